/* plan_opt.c -- passes over the node list before memory is assigned.
 * Invariants between passes: nodes stay in an order of execution; a dropped node has
 * row NULL until compact(); an output's pos counts the nodes before it. Only effect
 * nodes change states, and none of the passes moves a read of a state across a write of
 * it. */
#include <string.h>

#include "graph/families.h"
#include "graph/plan_int.h"

/* ---- loading --------------------------------------------------------------------- */

static void *keep(Builder *b, size_t n, size_t size)
{
    return arena_alloc(b->p->arena, (n ? n : 1) * size, b->err);
}

static void *temporary(Builder *b, size_t n, size_t size)
{
    return arena_alloc(b->tmp, (n ? n : 1) * size, b->err);
}

static bool load_nodes(Builder *b)
{
    Plan *p = b->p;
    const Graph *g = b->g;
    OpAttr *attr = keep(b, (size_t)g->n_node, sizeof *attr);
    p->node = keep(b, (size_t)b->cap_node, sizeof *p->node);
    if (!attr || !p->node)
        return false;
    for (int i = 0; i < g->n_node; i++) {
        const GNode *from = &g->node[i];
        PNode *to = &p->node[i];
        attr[i] = from->attr;
        *to = (PNode){.row = from->row,
                      .n_in = from->n_in,
                      .n_out = from->n_out,
                      .attr = &attr[i]};
        memcpy(to->in, from->in, sizeof to->in);
        memcpy(to->version, from->version, sizeof to->version);
        memcpy(to->out, from->out, sizeof to->out);
    }
    p->n_node = g->n_node;
    return true;
}

static bool name_value(Builder *b, Val v, const char *name)
{
    if (b->p->val[v].name[0] || !name[0])
        return true;
    b->p->val[v].name = arena_strdup(b->p->arena, name, b->err);
    return b->p->val[v].name != NULL;
}

static bool load_values(Builder *b)
{
    Plan *p = b->p;
    const Graph *g = b->g;
    p->val = keep(b, (size_t)b->cap_val, sizeof *p->val);
    if (!p->val)
        return false;
    for (int v = 0; v < g->n_val; v++)
        p->val[v] = (PVal){.spec = g->val[v].spec,
                           .kind = g->val[v].kind,
                           .index = g->val[v].index,
                           .owner = v,
                           .name = ""};
    p->n_val = g->n_val;
    for (int i = 0; i < g->inputs.n; i++)
        if (!name_value(b, g->inputs.at[i].val, g->inputs.at[i].name))
            return false;
    for (int i = 0; i < g->states.n; i++)
        if (!name_value(b, g->states.at[i].val, g->states.at[i].name))
            return false;
    for (int i = 0; i < g->sites.n; i++)
        if (!name_value(b, g->sites.at[i].val, g->sites.at[i].name))
            return false;
    return true;
}

static bool load_ends(Builder *b)
{
    Plan *p = b->p;
    const Graph *g = b->g;
    p->input = keep(b, (size_t)g->inputs.n, sizeof *p->input);
    p->output = keep(b, (size_t)g->outputs.n, sizeof *p->output);
    if (!p->input || !p->output)
        return false;
    for (int i = 0; i < g->inputs.n; i++) {
        Val v = g->inputs.at[i].val;
        const char *name = arena_strdup(p->arena, g->inputs.at[i].name, b->err);
        if (!name)
            return false;
        p->input[i] = (PlanInput){.name = name, .spec = g->val[v].spec, .val = v};
        p->n_input++;
    }
    for (int i = 0; i < g->outputs.n; i++) {
        const GName *o = &g->outputs.at[i];
        const char *name = arena_strdup(p->arena, o->name, b->err);
        if (!name)
            return false;
        p->output[i] = (PlanOut){.name = name, .val = o->val, .pos = o->pos};
        p->n_output++;
    }
    return true;
}

bool opt_load(Builder *b)
{
    const Graph *g = b->g;
    b->cap_node = g->n_node + g->outputs.n; /* an output may need a copy */
    b->cap_val = g->n_val + g->outputs.n;
    b->p->info.nodes_recorded = g->n_node;
    return load_nodes(b) && load_values(b) && load_ends(b);
}

/* Removes dropped nodes and moves the outputs' positions with the rest. */
static bool compact(Builder *b)
{
    Plan *p = b->p;
    int *moved = temporary(b, (size_t)p->n_node + 1, sizeof *moved), n = 0;
    if (!moved)
        return false;
    for (int i = 0; i < p->n_node; i++) {
        moved[i] = n;
        if (p->node[i].row)
            p->node[n++] = p->node[i];
    }
    moved[p->n_node] = n;
    for (int i = 0; i < p->n_output; i++)
        p->output[i].pos = moved[p->output[i].pos];
    p->n_node = n;
    return true;
}

/* ---- common subexpressions ------------------------------------------------------- */

static uint64_t mix(uint64_t h, const void *data, size_t n)
{
    const unsigned char *s = data;
    for (size_t i = 0; i < n; i++)
        h = (h ^ s[i]) * 0x100000001b3u;
    return h;
}

static uint64_t hash_node(const PNode *n)
{
    uint64_t h = 0xcbf29ce484222325u;
    h = mix(h, &n->row, sizeof n->row);
    h = mix(h, n->in, (size_t)n->n_in * sizeof *n->in);
    h = mix(h, n->version, (size_t)n->n_in * sizeof *n->version);
    return mix(h, n->attr, sizeof *n->attr);
}

static bool same_node(const PNode *a, const PNode *b)
{
    return a->row == b->row && a->n_in == b->n_in &&
           memcmp(a->in, b->in, (size_t)a->n_in * sizeof *a->in) == 0 &&
           memcmp(a->version, b->version, (size_t)a->n_in * sizeof *a->version) == 0 &&
           memcmp(a->attr, b->attr, sizeof *a->attr) == 0;
}

bool opt_merge(Builder *b)
{
    Plan *p = b->p;
    size_t cap = 16;
    while (cap < 2 * (size_t)p->n_node)
        cap *= 2;
    int *slot = temporary(b, cap, sizeof *slot); /* 1 + node, 0: free */
    Val *rep = temporary(b, (size_t)p->n_val, sizeof *rep);
    if (!slot || !rep)
        return false;
    for (int v = 0; v < p->n_val; v++)
        rep[v] = v;
    for (int i = 0; i < p->n_node; i++) {
        PNode *n = &p->node[i];
        for (int k = 0; k < n->n_in; k++)
            if (n->in[k] != VAL_NONE)
                n->in[k] = rep[n->in[k]];
        if (n->row->flags & (OP_EFFECT | OP_RANDOM))
            continue;
        size_t h = hash_node(n) & (cap - 1);
        while (slot[h] && !same_node(n, &p->node[slot[h] - 1]))
            h = (h + 1) & (cap - 1);
        if (!slot[h]) {
            slot[h] = i + 1;
            continue;
        }
        for (int k = 0; k < n->n_out; k++)
            rep[n->out[k]] = p->node[slot[h] - 1].out[k];
        n->row = NULL;
        p->info.merged++;
    }
    for (int i = 0; i < p->n_output; i++)
        p->output[i].val = rep[p->output[i].val];
    for (int v = 0; v < p->n_val; v++)
        if (rep[v] != v && !p->val[rep[v]].name[0])
            p->val[rep[v]].name = p->val[v].name;
    return compact(b);
}

/* ---- dead nodes ------------------------------------------------------------------ */

bool opt_drop(Builder *b)
{
    Plan *p = b->p;
    bool *live = temporary(b, (size_t)p->n_val, sizeof *live);
    if (!live)
        return false;
    for (int i = 0; i < p->n_output; i++)
        live[p->output[i].val] = true;
    for (int i = p->n_node - 1; i >= 0; i--) {
        PNode *n = &p->node[i];
        bool wanted = n->row->flags & OP_EFFECT;
        for (int k = 0; k < n->n_out; k++)
            wanted |= live[n->out[k]];
        for (int k = 0; wanted && k < n->n_in; k++)
            if (n->in[k] != VAL_NONE)
                live[n->in[k]] = true;
        if (!wanted)
            n->row = NULL;
    }
    return compact(b);
}

/* ---- weight gradient with the step ----------------------------------------------- */

static bool writes(const PNode *n, Val state)
{
    if (!n->row || !(n->row->flags & OP_EFFECT))
        return false;
    for (int k = 0; k < n->n_in; k++)
        if ((n->row->inplace >> k & 1) && n->in[k] == state)
            return true;
    return false;
}

/* Whether some node in first..last writes the state. */
static bool written_in(const Plan *p, Val state, int first, int last)
{
    for (int i = first; i <= last && i < p->n_node; i++)
        if (writes(&p->node[i], state))
            return true;
    return false;
}

typedef struct Readers {
    int *uses;     /* of a value, outputs included */
    int *producer; /* node, -1: a leaf */
    Val *base;     /* through views */
} Readers;

static bool find_readers(Builder *b, Readers *r)
{
    Plan *p = b->p;
    size_t n_val = (size_t)p->n_val;
    r->uses = temporary(b, n_val, sizeof *r->uses);
    r->producer = temporary(b, n_val, sizeof *r->producer);
    r->base = temporary(b, n_val, sizeof *r->base);
    if (!r->uses || !r->producer || !r->base)
        return false;
    for (int v = 0; v < p->n_val; v++) {
        r->producer[v] = -1;
        r->base[v] = v;
    }
    for (int i = 0; i < p->n_node; i++) {
        const PNode *n = &p->node[i];
        for (int k = 0; k < n->n_in; k++)
            if (n->in[k] != VAL_NONE)
                r->uses[n->in[k]]++;
        for (int k = 0; k < n->n_out; k++)
            r->producer[n->out[k]] = i;
        if (n->row->flags & OP_VIEW)
            r->base[n->out[0]] = r->base[n->in[0]];
    }
    for (int i = 0; i < p->n_output; i++)
        r->uses[p->output[i].val]++;
    return true;
}

/* The gradient may be computed at the step instead: nothing that it reads changes
 * between. */
static bool may_sink(const Plan *p, const Readers *r, int from, int to)
{
    const PNode *dw = &p->node[from];
    for (int k = 0; k < dw->n_in; k++) {
        Val base = r->base[dw->in[k]];
        if (p->val[base].kind == VK_STATE && written_in(p, base, from, to))
            return false;
    }
    return true;
}

/* step reads dW of `from` at input k: it takes dy and x there instead. */
static void fuse_pair(Plan *p, const OpRow *row, int step, int k, int from)
{
    PNode *n = &p->node[step], *dw = &p->node[from];
    for (int j = n->n_in; j > k + 1; j--) {
        n->in[j] = n->in[j - 1];
        n->version[j] = n->version[j - 1];
    }
    for (int j = 0; j < 2; j++) {
        n->in[k + j] = dw->in[j];
        n->version[k + j] = dw->version[j];
    }
    n->n_in++;
    n->row = row;
    dw->row = NULL;
    p->info.fused++;
}

bool opt_fuse(Builder *b)
{
    Plan *p = b->p;
    Readers r;
    const OpRow *dw_row = op_find("linear_dw");
    if (!find_readers(b, &r))
        return false;
    for (int i = 0; i < p->n_node; i++) {
        const PNode *n = &p->node[i];
        int k = n->n_in < OP_MAX_IN ? optim_grad_input(n->row) : -1;
        int from = k >= 0 ? r.producer[n->in[k]] : -1;
        if (from < 0 || r.uses[n->in[k]] != 1 || p->node[from].row != dw_row)
            continue;
        const OpRow *row = optim_fused_row(n->row, &p->val[p->node[from].in[0]].spec);
        if (row && may_sink(p, &r, from, i))
            fuse_pair(p, row, i, k, from);
    }
    return compact(b);
}

/* ---- copies ---------------------------------------------------------------------- */

/* A view of a state that is read after the state was written would see the new
 * values. */
static bool fix_views(Builder *b)
{
    Plan *p = b->p;
    int *last = temporary(b, (size_t)p->n_val, sizeof *last);
    if (!last)
        return false;
    for (int i = 0; i < p->n_output; i++)
        last[p->output[i].val] = p->n_node;
    for (int i = p->n_node - 1; i >= 0; i--) {
        const PNode *n = &p->node[i];
        int until = i; /* reading through a view is reading what it views */
        if ((n->row->flags & OP_VIEW) && last[n->out[0]] > until)
            until = last[n->out[0]];
        for (int k = 0; k < n->n_in; k++)
            if (n->in[k] != VAL_NONE && last[n->in[k]] < until)
                last[n->in[k]] = until;
    }
    for (int i = 0; i < p->n_node; i++) {
        PNode *n = &p->node[i];
        if (!(n->row->flags & OP_VIEW))
            continue;
        Val base = p->val[n->in[0]].owner;
        if (p->val[base].kind == VK_STATE &&
            written_in(p, base, i + 1, last[n->out[0]]))
            n->row = &row_copy;
        else
            p->val[n->out[0]].owner = base;
    }
    return true;
}

/* An output must not live in an input's memory, which is the caller's, nor in that of a
 * state that is written later in the run. */
static int output_copy_at(const Plan *p, const PlanOut *o)
{
    Val base = p->val[o->val].owner;
    if (p->val[base].kind == VK_INPUT)
        return p->n_node;
    if (p->val[base].kind == VK_STATE && base == o->val &&
        written_in(p, base, o->pos, p->n_node - 1))
        return o->pos;
    return -1;
}

static void make_copy(Plan *p, PNode *n, PlanOut *o)
{
    static const OpAttr no_attr;
    Val v = p->n_val++;
    p->val[v] = (PVal){
        .spec = p->val[o->val].spec, .kind = VK_NODE, .owner = v, .name = o->name};
    *n = (PNode){.row = &row_copy, .n_in = 1, .n_out = 1, .attr = &no_attr};
    n->in[0] = o->val;
    n->out[0] = v;
    o->val = v;
}

bool opt_copies(Builder *b)
{
    Plan *p = b->p;
    if (!fix_views(b))
        return false;
    int *at = temporary(b, (size_t)p->n_output, sizeof *at);
    PNode *node = keep(b, (size_t)b->cap_node, sizeof *node);
    if (!at || !node)
        return false;
    for (int k = 0; k < p->n_output; k++)
        at[k] = output_copy_at(p, &p->output[k]);
    int n = 0;
    for (int i = 0; i <= p->n_node; i++) {
        for (int k = 0; k < p->n_output; k++)
            if (at[k] == i)
                make_copy(p, &node[n++], &p->output[k]);
        if (i < p->n_node)
            node[n++] = p->node[i];
    }
    p->node = node;
    p->n_node = n;
    return true;
}
