/* grad.c -- reverse sweep that appends nodes.
 * Forward pass: which values depend on a wanted one through differentiable rows.
 * Backward pass over the nodes before the loss, newest first: a node with an incoming
 * gradient and an input that matters calls its row's builder; contributions to one
 * value are added in that order. Backward is only more nodes, so it can be
 * differentiated again. */
#include <string.h>

#include "graph/families.h"
#include "graph/graph_int.h"

typedef struct Sweep {
    Graph *g;
    int n_val, n_node; /* as recorded before the sweep */
    bool *dep;         /* value depends on a wanted value */
    Val *d;            /* gradient so far, VAL_NONE: none */
} Sweep;

static Val add2(Graph *g, Val a, Val b)
{
    Val in[2] = {a, b};
    return graph_op(g, op_find("add"), in, 2, NULL);
}

static bool differentiable(const OpRow *row)
{
    return row->grad && !(row->flags & (OP_NODIFF | OP_EFFECT));
}

static void mark_dependence(Sweep *s)
{
    const Graph *g = s->g;
    for (int i = 0; i < s->n_node; i++) {
        const GNode *n = &g->node[i];
        bool any = false;
        if (!differentiable(n->row))
            continue;
        for (int k = 0; k < n->n_in; k++)
            any |= n->in[k] != VAL_NONE && s->dep[n->in[k]];
        for (int k = 0; k < n->n_out; k++)
            s->dep[n->out[k]] |= any && is_float(g->val[n->out[k]].spec.dtype);
    }
}

/* Backward of this node reads its inputs again: they must still be what they were. */
static bool versions_current(Graph *g, const GNode *n)
{
    for (int k = 0; k < n->n_in; k++) {
        if (n->in[k] == VAL_NONE || g->val[n->in[k]].kind != VK_STATE)
            continue;
        const GLeaf *s = &g->states.at[g->val[n->in[k]].index];
        if (s->version != n->version[k]) {
            graph_fail(g, ERR_STATE,
                       "gradient: the loss read state \"%s\" (in %s) and the state was "
                       "assigned since; take the gradient before the assignment",
                       s->name, n->row->name);
            return false;
        }
    }
    return true;
}

static void accumulate(Sweep *s, const GNode *n, const Val *din, const bool *need)
{
    Graph *g = s->g;
    char a[96], b[96];
    for (int k = 0; k < n->n_in && !g->failed; k++) {
        if (!need[k] || din[k] == VAL_NONE)
            continue;
        const Spec *is = &g->val[din[k]].spec, *want = &g->val[n->in[k]].spec;
        if (!spec_equal(is, want)) {
            graph_fail(g, ERR_SHAPE,
                       "gradient of %s: input %d is %s but its gradient came out as %s",
                       n->row->name, k + 1, spec_format(want, a), spec_format(is, b));
            return;
        }
        Val *d = &s->d[n->in[k]];
        *d = *d == VAL_NONE ? din[k] : add2(g, *d, din[k]);
    }
}

/* n is a copy: the builder grows the graph's arrays. */
static bool back_node(Sweep *s, GNode n)
{
    Val din[OP_MAX_IN], dout[OP_MAX_OUT];
    bool need[OP_MAX_IN] = {false}, any_in = false, any_out = false;
    for (int k = 0; k < n.n_out; k++) {
        dout[k] = s->d[n.out[k]];
        any_out |= dout[k] != VAL_NONE;
    }
    for (int k = 0; k < n.n_in; k++) {
        din[k] = VAL_NONE;
        need[k] = n.in[k] != VAL_NONE && s->dep[n.in[k]];
        any_in |= need[k];
    }
    if (!any_out || !any_in || !differentiable(n.row))
        return true;
    if (!versions_current(s->g, &n))
        return false;
    OpGrad d = {.in = n.in,
                .n_in = n.n_in,
                .out = n.out,
                .dout = dout,
                .need = need,
                .din = din,
                .attr = &n.attr};
    if (!n.row->grad(s->g, &d)) {
        graph_fail(s->g, ERR_STATE, "%s: its gradient could not be built", n.row->name);
        return false;
    }
    accumulate(s, &n, din, need);
    return !s->g->failed;
}

static bool check_request(Graph *g, Val loss, const Val *wrt, int n)
{
    char a[96];
    Spec l = graph_spec(g, loss);
    if (l.ndim != 0 || !is_float(l.dtype)) {
        graph_fail(g, ERR_SHAPE, "gradient: the loss must be a float scalar, got %s",
                   l.ndim < 0 ? "nothing" : spec_format(&l, a));
        return false;
    }
    for (int i = 0; i < n; i++) {
        Spec w = graph_spec(g, wrt[i]);
        if (w.ndim >= 0 && is_float(w.dtype))
            continue;
        graph_fail(g, ERR_SHAPE,
                   "gradient: value %d to differentiate by must be f32 or "
                   "f64, got %s",
                   i + 1, w.ndim < 0 ? "nothing" : spec_format(&w, a));
        return false;
    }
    return true;
}

static bool sweep(Sweep *s, Val loss, const Val *wrt, int n, Val *dwrt)
{
    Graph *g = s->g;
    for (int v = 0; v < s->n_val; v++)
        s->d[v] = VAL_NONE;
    for (int i = 0; i < n; i++)
        s->dep[wrt[i]] = true;
    mark_dependence(s);
    if (s->dep[loss])
        s->d[loss] = graph_number(g, g->val[loss].spec.dtype, 1.0);
    for (int i = s->n_node - 1; i >= 0 && !g->failed; i--)
        if (!back_node(s, g->node[i]))
            return false;
    for (int i = 0; i < n && !g->failed; i++) {
        dwrt[i] = s->d[wrt[i]];
        if (dwrt[i] == VAL_NONE)
            dwrt[i] = graph_op(g, op_find("zeros_like"), &wrt[i], 1, NULL);
    }
    return !g->failed;
}

bool graph_grad(Graph *g, Val loss, const Val *wrt, int n, Val *dwrt)
{
    for (int i = 0; i < n; i++)
        dwrt[i] = VAL_NONE;
    if (g->failed || !check_request(g, loss, wrt, n))
        return false;
    Sweep s = {.g = g, .n_val = g->n_val, .n_node = g->n_node};
    s.dep = mem_zalloc((size_t)g->n_val * sizeof *s.dep, &g->err);
    s.d = s.dep ? mem_array((size_t)g->n_val, sizeof *s.d, &g->err) : NULL;
    bool ok = s.d != NULL;
    if (!ok)
        g->failed = true;
    ok = ok && sweep(&s, loss, wrt, n, dwrt);
    mem_free(s.d);
    mem_free(s.dep);
    return ok;
}
