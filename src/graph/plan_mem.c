/* plan_mem.c -- which bytes a value lives in.
 * Every value has an owner: the value whose memory it shares, through views and
 * in-place ops, or itself. An owner that a node makes lives in the arena from its first
 * to its last use; owners are placed largest first at the lowest offset where no owner
 * with an overlapping life is. Slots are 64-byte aligned. Inputs, states and constants
 * keep their own memory. */
#include <stdlib.h>
#include <string.h>

#include "graph/families.h"
#include "graph/plan_int.h"

enum { SLOT = 64 };
static unsigned test_flags;

typedef struct Life {
    Val owner;
    int def, last;
    size_t bytes, offset;
} Life;

void plan_test_flags(unsigned flags)
{
    test_flags = flags;
}

static size_t spec_bytes(const Spec *s)
{
    return (size_t)spec_count(s) * dtype_size(s->dtype);
}

static size_t slot_bytes(const Spec *s)
{
    size_t n = spec_bytes(s);
    return n ? (n + SLOT - 1) / SLOT * SLOT : SLOT;
}

/* ---- lives ----------------------------------------------------------------------- */

static void use(Plan *p, Val v, int at)
{
    PVal *owner = &p->val[p->val[v].owner];
    if (owner->last < at)
        owner->last = at;
}

/* First and last uses, views counted for what they view. */
static void find_lives(Plan *p)
{
    p->info.no_reuse_bytes = 0;
    for (int v = 0; v < p->n_val; v++)
        p->val[v].def = p->val[v].last = -1;
    for (int i = 0; i < p->n_node; i++) {
        const PNode *n = &p->node[i];
        for (int k = 0; k < n->n_out; k++) {
            if (p->val[n->out[k]].owner == n->out[k]) {
                p->val[n->out[k]].def = i;
                p->info.no_reuse_bytes += slot_bytes(&p->val[n->out[k]].spec);
            }
            use(p, n->out[k], i);
        }
        for (int k = 0; k < n->n_in; k++)
            if (n->in[k] != VAL_NONE)
                use(p, n->in[k], i);
    }
    for (int i = 0; i < p->n_output; i++)
        use(p, p->output[i].val, p->n_node);
}

/* While in-place ops are chosen, an owner may have been taken over itself. */
static Val root(const Plan *p, Val v)
{
    while (p->val[v].owner != v)
        v = p->val[v].owner;
    return v;
}

/* Whether output 0 of node i may take the memory of its input k: that memory dies here,
 * and every other input that lives in it is read at the same place as it is written. */
static bool can_overwrite(const Plan *p, int i, int k)
{
    const PNode *n = &p->node[i];
    if (!(n->row->inplace >> k & 1) || n->in[k] == VAL_NONE)
        return false;
    Val owner = root(p, n->in[k]);
    if (p->val[owner].kind != VK_NODE || p->val[owner].last != i ||
        !spec_equal(&p->val[n->in[k]].spec, &p->val[n->out[0]].spec))
        return false;
    for (int j = 0; j < n->n_in; j++) {
        if (j == k || n->in[j] == VAL_NONE || root(p, n->in[j]) != owner)
            continue;
        if (!(n->row->inplace >> j & 1) ||
            !spec_equal(&p->val[n->in[j]].spec, &p->val[n->out[0]].spec))
            return false;
    }
    return true;
}

static void take_over(Plan *p, int i, int k)
{
    PNode *n = &p->node[i];
    Val old = n->out[0], owner = root(p, n->in[k]);
    p->val[owner].last = p->val[old].last;
    p->val[old].owner = owner;
    p->val[old].def = -1;
    n->in_place = true;
    p->info.in_place++;
}

static void choose_in_place(Plan *p)
{
    if (test_flags & PLAN_TEST_NO_REUSE)
        return;
    for (int i = 0; i < p->n_node; i++) {
        const PNode *n = &p->node[i];
        if (n->n_out == 0 || (n->row->flags & OP_VIEW))
            continue;
        for (int k = 0; k < n->n_in; k++)
            if (can_overwrite(p, i, k)) {
                take_over(p, i, k);
                break;
            }
    }
    for (int v = 0; v < p->n_val; v++)
        p->val[v].owner = root(p, v);
}

/* ---- placing --------------------------------------------------------------------- */

static int larger_first(const void *pa, const void *pb)
{
    const Life *a = pa, *b = pb;
    if (a->bytes != b->bytes)
        return a->bytes < b->bytes ? 1 : -1;
    return a->owner < b->owner ? -1 : a->owner > b->owner;
}

/* Lowest offset at which l fits among placed[0..n-1], which are in order of offset: a
 * gap counts between those that live at the same time. */
static size_t fit(const Life *l, const Life *placed, int n)
{
    size_t at = 0;
    for (int i = 0; i < n; i++) {
        const Life *o = &placed[i];
        if (l->def > o->last || o->def > l->last)
            continue;
        if (at + l->bytes <= o->offset)
            break;
        if (at < o->offset + o->bytes)
            at = o->offset + o->bytes;
    }
    return at;
}

static void insert(Life *placed, int n, Life l)
{
    while (n > 0 && placed[n - 1].offset > l.offset) {
        placed[n] = placed[n - 1];
        n--;
    }
    placed[n] = l;
}

static bool note_poison(Builder *b, const Life *life, int n)
{
    Plan *p = b->p;
    if (!(test_flags & PLAN_TEST_POISON))
        return true;
    p->poison = arena_alloc(p->arena, (size_t)(n ? n : 1) * sizeof *p->poison, b->err);
    if (!p->poison)
        return false;
    for (int i = 0; i < n; i++)
        p->poison[i] = (Poison){life[i].last, life[i].offset, life[i].bytes};
    p->n_poison = n;
    return true;
}

static bool place_all(Builder *b, size_t *total)
{
    Plan *p = b->p;
    size_t cap = (size_t)p->n_val + 1;
    Life *life = arena_alloc(b->tmp, cap * sizeof *life, b->err);
    Life *placed = life ? arena_alloc(b->tmp, cap * sizeof *placed, b->err) : NULL;
    int n = 0;
    if (!placed)
        return false;
    for (int v = 0; v < p->n_val; v++)
        if (p->val[v].kind == VK_NODE && p->val[v].owner == v && p->val[v].def >= 0)
            life[n++] = (Life){v, p->val[v].def, p->val[v].last,
                               slot_bytes(&p->val[v].spec), 0};
    qsort(life, (size_t)n, sizeof *life, larger_first);
    *total = 0;
    for (int i = 0; i < n; i++) {
        Life *l = &life[i];
        l->offset = (test_flags & PLAN_TEST_NO_REUSE) ? *total : fit(l, placed, i);
        p->val[l->owner].offset = l->offset;
        insert(placed, i, *l);
        if (*total < l->offset + l->bytes)
            *total = l->offset + l->bytes;
    }
    return note_poison(b, life, n);
}

/* ---- what a run needs ------------------------------------------------------------ */

static void input_specs(const Plan *p, const PNode *n, Spec spec[OP_MAX_IN])
{
    for (int k = 0; k < n->n_in; k++)
        spec[k] = n->in[k] == VAL_NONE ? spec_absent() : p->val[n->in[k]].spec;
}

static size_t scratch_bytes(const Plan *p)
{
    size_t most = 0;
    Spec spec[OP_MAX_IN];
    for (int i = 0; i < p->n_node; i++) {
        const PNode *n = &p->node[i];
        if (!n->row->scratch)
            continue;
        input_specs(p, n, spec);
        size_t bytes = n->row->scratch(spec, n->n_in, n->attr);
        most = bytes > most ? bytes : most;
    }
    return most;
}

static double count_flops(const Plan *p)
{
    double sum = 0;
    Spec spec[OP_MAX_IN];
    for (int i = 0; i < p->n_node; i++) {
        const PNode *n = &p->node[i];
        input_specs(p, n, spec);
        if (n->row->flops)
            sum += n->row->flops(spec, n->n_in, n->attr);
        else if (n->n_out && !(n->row->flags & OP_VIEW))
            sum += (double)spec_count(&p->val[n->out[0]].spec);
    }
    return sum;
}

/* References to every state and constant, also those that only an output shows. */
static bool hold_leaves(Builder *b)
{
    Plan *p = b->p;
    const Graph *g = b->g;
    int n = g->states.n + g->consts.n;
    p->held = arena_alloc(p->arena, (size_t)(n + 1) * sizeof *p->held, b->err);
    if (!p->held)
        return false;
    for (int i = 0; i < g->states.n; i++)
        p->held[p->n_held++] = tensor_retain(&g->states.at[i].t);
    for (int i = 0; i < g->consts.n; i++)
        p->held[p->n_held++] = tensor_retain(&g->consts.at[i].t);
    return true;
}

static void *memory_of(const Builder *b, Val v)
{
    const Plan *p = b->p;
    const PVal *owner = &p->val[p->val[v].owner];
    switch (owner->kind) {
    case VK_STATE: return b->g->states.at[owner->index].t.data;
    case VK_CONST: return b->g->consts.at[owner->index].t.data;
    case VK_INPUT: return NULL;
    case VK_NODE: break;
    }
    return owner->def >= 0 ? p->memory + owner->offset : NULL;
}

static bool make_tensors(Builder *b)
{
    Plan *p = b->p;
    p->tensor =
        arena_alloc(p->arena, (size_t)(p->n_val + 1) * sizeof *p->tensor, b->err);
    if (!p->tensor)
        return false;
    for (int v = 0; v < p->n_val; v++) {
        const Spec *s = &p->val[v].spec;
        p->tensor[v] = tensor_wrap(s->dtype, s->ndim, s->dim, memory_of(b, v));
    }
    for (int i = 0; i < p->n_input; i++) {
        PlanInput *in = &p->input[i];
        for (int v = 0; v < p->n_val; v++)
            in->n_alias += p->val[v].owner == in->val;
        in->alias =
            arena_alloc(p->arena, (size_t)in->n_alias * sizeof *in->alias, b->err);
        if (!in->alias)
            return false;
        for (int v = 0, k = 0; v < p->n_val; v++)
            if (p->val[v].owner == in->val)
                in->alias[k++] = &p->tensor[v];
    }
    return true;
}

static bool make_steps(Builder *b, void *scratch)
{
    Plan *p = b->p;
    p->step = arena_alloc(p->arena, (size_t)(p->n_node + 1) * sizeof *p->step, b->err);
    if (!p->step)
        return false;
    for (int i = 0; i < p->n_node; i++) {
        const PNode *n = &p->node[i];
        Step *s = &p->step[i];
        s->run = n->row->flags & OP_VIEW ? NULL : n->row->run;
        s->args = (OpArgs){.n_in = n->n_in,
                           .attr = n->attr,
                           .ctx = &p->ctx,
                           .scratch = n->row->scratch ? scratch : NULL};
        for (int k = 0; k < n->n_in; k++)
            if (n->in[k] != VAL_NONE)
                s->args.in[k] = &p->tensor[n->in[k]];
        for (int k = 0; k < n->n_out; k++)
            s->args.out[k] = &p->tensor[n->out[k]];
    }
    return true;
}

bool mem_plan(Builder *b)
{
    Plan *p = b->p;
    size_t slots;
    find_lives(p);
    choose_in_place(p);
    if (!place_all(b, &slots))
        return false;
    size_t scratch = scratch_bytes(p);
    p->memory = mem_alloc(slots + scratch, b->err);
    if (!p->memory)
        return err_prefix(b->err, "planning a graph of %d nodes", p->n_node);
    p->info.nodes = p->n_node;
    p->info.arena_bytes = slots + scratch;
    p->info.no_reuse_bytes += scratch;
    p->info.flops = count_flops(p);
    return hold_leaves(b) && make_tensors(b) && make_steps(b, p->memory + slots);
}
