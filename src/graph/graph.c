/* graph.c -- recording. Every public function starts with the sticky check, so a
 * builder may ignore failures until the end; the first message is the one that is kept.
 * Invariant: ids grow with time; val[node.out[k]] is VK_NODE with that node's index; a
 * state's version counts the nodes recorded so far that write it. */
#include "graph/graph_int.h"

#include <stdatomic.h>
#include <string.h>

#include "graph/families.h"

static _Atomic uint64_t graphs; /* made so far */

Graph *graph_new(Err *err)
{
    Graph *g = mem_zalloc(sizeof *g, err);
    if (!g)
        return NULL;
    g->id = atomic_fetch_add(&graphs, 1) + 1;
    g->text = arena_new(err);
    if (!g->text) {
        mem_free(g);
        return NULL;
    }
    return g;
}

static void leaves_free(GLeaves *l)
{
    for (int i = 0; i < l->n; i++)
        tensor_release(&l->at[i].t);
    mem_free(l->at);
}

void graph_free(Graph *g)
{
    if (!g)
        return;
    leaves_free(&g->inputs);
    leaves_free(&g->states);
    leaves_free(&g->consts);
    mem_free(g->outputs.at);
    mem_free(g->sites.at);
    mem_free(g->node);
    mem_free(g->val);
    arena_free(g->text);
    mem_free(g);
}

uint64_t graph_id(const Graph *g)
{
    return g->id;
}

bool graph_ok(const Graph *g)
{
    return !g->failed;
}

const Err *graph_err(const Graph *g)
{
    return &g->err;
}

Val graph_fail(Graph *g, ErrCode code, const char *fmt, ...)
{
    if (!g->failed) {
        va_list ap;
        va_start(ap, fmt);
        err_vset(&g->err, code, fmt, ap);
        va_end(ap);
        g->failed = true;
    }
    return VAL_NONE;
}

/* For a callee that has filled g->err itself. */
static Val failed(Graph *g)
{
    g->failed = true;
    return VAL_NONE;
}

/* Room for one more item; doubles. */
static bool grow(Graph *g, void **at, int n, int *cap, size_t size)
{
    if (n < *cap)
        return true;
    int more = *cap ? *cap * 2 : 16;
    void *p = mem_realloc(*at, (size_t)more * size, &g->err);
    if (!p)
        return g->failed = true, false;
    *at = p;
    *cap = more;
    return true;
}

static bool grow_vals(Graph *g)
{
    void *p = g->val;
    bool ok = grow(g, &p, g->n_val, &g->cap_val, sizeof *g->val);
    g->val = p;
    return ok;
}

static Val add_val(Graph *g, Spec spec, ValKind kind, int index)
{
    if (!grow_vals(g))
        return VAL_NONE;
    g->val[g->n_val] = (GVal){.spec = spec, .kind = kind, .index = index};
    return g->n_val++;
}

static const char *keep_name(Graph *g, const char *name)
{
    const char *s = arena_strdup(g->text, name ? name : "", &g->err);
    if (!s)
        g->failed = true;
    return s;
}

/* Takes a reference to t (NULL for an input). */
static Val add_leaf(Graph *g, GLeaves *l, ValKind kind, Spec spec, const char *name,
                    const Tensor *t)
{
    const char *kept = keep_name(g, name);
    void *p = l->at;
    if (!kept || !grow(g, &p, l->n, &l->cap, sizeof *l->at))
        return VAL_NONE;
    l->at = p;
    Val v = add_val(g, spec, kind, l->n);
    if (v == VAL_NONE)
        return VAL_NONE;
    GLeaf leaf = {.name = kept, .val = v};
    if (t)
        leaf.t = tensor_retain(t);
    l->at[l->n++] = leaf;
    return v;
}

Val graph_find_input(const Graph *g, const char *name)
{
    for (int i = 0; i < g->inputs.n; i++)
        if (strcmp(g->inputs.at[i].name, name) == 0)
            return g->inputs.at[i].val;
    return VAL_NONE;
}

Val graph_input(Graph *g, const char *name, DType t, int ndim, const int64_t *dim)
{
    if (g->failed)
        return VAL_NONE;
    if (graph_find_input(g, name) != VAL_NONE)
        return graph_fail(g, ERR_OPTION, "the graph already has an input named \"%s\"",
                          name);
    return add_leaf(g, &g->inputs, VK_INPUT, spec_make(t, ndim, dim), name, NULL);
}

static Val same_memory(const GLeaves *l, const Tensor *t)
{
    if (tensor_count(t) == 0)
        return VAL_NONE;
    for (int i = 0; i < l->n; i++)
        if (l->at[i].t.data == t->data && !l->at[i].is_number)
            return l->at[i].val;
    return VAL_NONE;
}

Val graph_state(Graph *g, const char *name, const Tensor *t)
{
    if (g->failed)
        return VAL_NONE;
    char a[96], b[96];
    if (!tensor_contiguous(t))
        return graph_fail(
            g, ERR_SHAPE,
            "state \"%s\" is a strided view of %s: a state must be contiguous", name,
            tensor_format_shape(t, a));
    Spec s = spec_of(t);
    Val old = same_memory(&g->states, t);
    if (old == VAL_NONE)
        return add_leaf(g, &g->states, VK_STATE, s, name, t);
    if (!spec_equal(&g->val[old].spec, &s))
        return graph_fail(
            g, ERR_SHAPE,
            "state \"%s\" of %s shares its memory with state \"%s\" of %s: "
            "reshape inside the graph",
            name, spec_format(&s, a), g->states.at[g->val[old].index].name,
            spec_format(&g->val[old].spec, b));
    return old;
}

Val graph_find_state(const Graph *g, const char *name)
{
    for (int i = 0; i < g->states.n; i++)
        if (strcmp(g->states.at[i].name, name) == 0)
            return g->states.at[i].val;
    return VAL_NONE;
}

Val graph_const(Graph *g, const Tensor *t)
{
    if (g->failed)
        return VAL_NONE;
    Spec s = spec_of(t);
    Val old = tensor_contiguous(t) ? same_memory(&g->consts, t) : VAL_NONE;
    if (old != VAL_NONE && spec_equal(&g->val[old].spec, &s))
        return old;
    Tensor c;
    if (!tensor_contiguous_of(t, &c, &g->err))
        return failed(g);
    Val v = add_leaf(g, &g->consts, VK_CONST, s, "", &c);
    tensor_release(&c);
    return v;
}

Val graph_number(Graph *g, DType t, double v)
{
    if (g->failed)
        return VAL_NONE;
    for (int i = 0; i < g->consts.n; i++) {
        const GLeaf *c = &g->consts.at[i];
        if (c->is_number && c->t.dtype == t && memcmp(&c->number, &v, sizeof v) == 0)
            return c->val;
    }
    Tensor num;
    if (!tensor_full(t, 0, NULL, v, &num, &g->err))
        return failed(g);
    Val val = add_leaf(g, &g->consts, VK_CONST, spec_of(&num), "", &num);
    tensor_release(&num);
    if (val != VAL_NONE) {
        GLeaf *c = &g->consts.at[g->consts.n - 1];
        c->is_number = true;
        c->number = v;
    }
    return val;
}

static bool valid(const Graph *g, Val v)
{
    return v >= 0 && v < g->n_val;
}

/* The specs of the inputs, and no input that does not exist. */
static bool input_specs(Graph *g, const OpRow *row, const Val *in, int n_in, Spec *spec)
{
    if (n_in < 0 || n_in > OP_MAX_IN)
        return graph_fail(g, ERR_SHAPE, "%s: %d inputs, at most %d are possible",
                          row->name, n_in, OP_MAX_IN),
               false;
    for (int k = 0; k < n_in; k++) {
        if (in[k] != VAL_NONE && !valid(g, in[k]))
            return graph_fail(g, ERR_SHAPE, "%s: input %d is not a value of this graph",
                              row->name, k + 1),
                   false;
        spec[k] = in[k] == VAL_NONE ? spec_absent() : g->val[in[k]].spec;
    }
    return true;
}

/* An effect may only write states; each write opens a new version. */
static bool bump_states(Graph *g, const OpRow *row, const Val *in, int n_in)
{
    for (int k = 0; k < n_in; k++) {
        if (!(row->inplace >> k & 1) || in[k] == VAL_NONE)
            continue;
        if (g->val[in[k]].kind != VK_STATE)
            return graph_fail(
                       g, ERR_STATE,
                       "%s: input %d is written, so it must be a state of the graph",
                       row->name, k + 1),
                   false;
    }
    for (int k = 0; k < n_in; k++)
        if ((row->inplace >> k & 1) && in[k] != VAL_NONE)
            g->states.at[g->val[in[k]].index].version++;
    return true;
}

static GNode *new_node(Graph *g, const OpRow *row, const Val *in, int n_in,
                       const OpAttr *a)
{
    void *p = g->node;
    if (!grow(g, &p, g->n_node, &g->cap_node, sizeof *g->node))
        return NULL;
    g->node = p;
    GNode *n = &g->node[g->n_node];
    memset(n, 0, sizeof *n);
    n->row = row;
    n->n_in = n_in;
    n->n_out = op_n_out(row);
    if (a)
        n->attr = *a;
    else
        op_attr_defaults(row, &n->attr);
    for (int k = 0; k < n_in; k++) {
        n->in[k] = in[k];
        if (in[k] != VAL_NONE && g->val[in[k]].kind == VK_STATE)
            n->version[k] = g->states.at[g->val[in[k]].index].version;
    }
    return n;
}

bool graph_op_multi(Graph *g, const OpRow *row, const Val *in, int n_in,
                    const OpAttr *a, Val *out)
{
    for (int k = 0; k < OP_MAX_OUT && k < (row ? op_n_out(row) : 0); k++)
        out[k] = VAL_NONE;
    if (g->failed)
        return false;
    if (!row)
        return graph_fail(g, ERR_OPTION, "no such op"), false;
    if (row->flags & OP_EAGER_ONLY)
        return graph_fail(
                   g, ERR_STATE,
                   "%s: the shape of its result depends on data, so it cannot be "
                   "traced; call it outside the compiled function",
                   row->name),
               false;
    Spec spec[OP_MAX_IN], out_spec[OP_MAX_OUT];
    if (!input_specs(g, row, in, n_in, spec))
        return false;
    GNode *n = new_node(g, row, in, n_in, a);
    if (!n)
        return false;
    if (!op_shape(row, spec, n_in, &n->attr, out_spec, &g->err))
        return failed(g), false;
    for (int k = 0; k < n->n_out; k++) {
        n->out[k] = out[k] = add_val(g, out_spec[k], VK_NODE, g->n_node);
        if (out[k] == VAL_NONE)
            return false;
    }
    if ((row->flags & OP_EFFECT) && !bump_states(g, row, in, n_in))
        return false;
    g->n_node++;
    return true;
}

Val graph_op(Graph *g, const OpRow *row, const Val *in, int n_in, const OpAttr *a)
{
    Val out[OP_MAX_OUT] = {VAL_NONE, VAL_NONE, VAL_NONE};
    return graph_op_multi(g, row, in, n_in, a, out) ? out[0] : VAL_NONE;
}

void graph_assign(Graph *g, Val state, Val value)
{
    Val in[2] = {state, value};
    if (!g->failed && !valid(g, state))
        graph_fail(g, ERR_STATE,
                   "assign: the first argument is not a state of this graph");
    graph_op(g, op_find("assign"), in, 2, NULL);
}

Spec graph_spec(const Graph *g, Val v)
{
    return valid(g, v) ? g->val[v].spec : spec_absent();
}

bool graph_is_state(const Graph *g, Val v)
{
    return valid(g, v) && g->val[v].kind == VK_STATE;
}

static void add_name(Graph *g, GNames *l, const char *name, Val v)
{
    const char *kept = keep_name(g, name);
    void *p = l->at;
    if (!kept || !grow(g, &p, l->n, &l->cap, sizeof *l->at))
        return;
    l->at = p;
    l->at[l->n++] = (GName){.name = kept, .val = v, .pos = g->n_node};
}

void graph_output(Graph *g, const char *name, Val v)
{
    if (g->failed)
        return;
    if (!valid(g, v)) {
        graph_fail(g, ERR_STATE, "output \"%s\" is not a value of this graph", name);
        return;
    }
    for (int i = 0; i < g->outputs.n; i++)
        if (strcmp(g->outputs.at[i].name, name) == 0) {
            graph_fail(g, ERR_OPTION, "the graph already has an output named \"%s\"",
                       name);
            return;
        }
    add_name(g, &g->outputs, name, v);
}

void graph_set_hook(Graph *g, SiteHook *hook, void *ctx)
{
    g->hook = hook;
    g->hook_ctx = ctx;
}

Val graph_site(Graph *g, const char *site, Val v)
{
    if (g->failed)
        return VAL_NONE;
    if (!valid(g, v))
        return graph_fail(g, ERR_STATE, "site \"%s\" is not a value of this graph",
                          site);
    add_name(g, &g->sites, site, v);
    if (g->failed || !g->hook)
        return g->failed ? VAL_NONE : v;
    Val made = g->hook(g, site, v, g->hook_ctx);
    if (g->failed)
        return VAL_NONE;
    if (!valid(g, made))
        return graph_fail(g, ERR_STATE, "site \"%s\": the hook returned no value",
                          site);
    char a[96], b[96];
    if (!spec_equal(&g->val[made].spec, &g->val[v].spec))
        return graph_fail(
            g, ERR_SHAPE, "site \"%s\": the hook returned %s, it must be %s", site,
            spec_format(&g->val[made].spec, a), spec_format(&g->val[v].spec, b));
    return made;
}

int graph_site_count(const Graph *g)
{
    return g->sites.n;
}

const char *graph_site_name(const Graph *g, int i)
{
    return g->sites.at[i].name;
}

Val graph_site_value(const Graph *g, int i)
{
    return g->sites.at[i].val;
}
