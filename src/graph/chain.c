/* chain.c -- products of products. (A R) M = A (R M) is far cheaper when the inner side
 * is wide, as in a residual stream that few directions write and read; a sum of such
 * products is multiplied term by term. The graph already says how a value was made, so
 * nothing but the value is needed. Gradients follow the same order. */
#include <string.h>

#include "graph/build.h"
#include "graph/graph_int.h"

enum { DEEP = 24 };
static const double worth = 0.7; /* of the plain product's operations */

static const GNode *maker(const Graph *g, Val x)
{
    const GVal *v = &g->val[x];
    return v->kind == VK_NODE ? &g->node[v->index] : NULL;
}

/* All states that the node reads are still what it read. */
static bool current(const Graph *g, const GNode *n)
{
    for (int k = 0; k < n->n_in; k++) {
        const GVal *v = n->in[k] == VAL_NONE ? NULL : &g->val[n->in[k]];
        if (v && v->kind == VK_STATE && g->states.at[v->index].version != n->version[k])
            return false;
    }
    return true;
}

typedef enum Form { PLAIN, PRODUCT, SUM, SCALED } Form;
typedef struct Term {
    Form form;
    Val a, b;   /* of a product: left and right; sum: both terms; scaled: x, column */
    bool trans; /* the right one of a product is [D,k] */
} Term;

static bool is(const GNode *n, const char *name)
{
    return strcmp(n->row->name, name) == 0;
}

static bool column_of(const Graph *g, Val e, Val x)
{
    const Spec *c = &g->val[e].spec, *s = &g->val[x].spec;
    return c->ndim == 2 && s->ndim == 2 && c->dim[1] == 1 && c->dim[0] == s->dim[0] &&
           s->dim[1] != 1;
}

static bool same_shape(const Graph *g, Val a, Val b)
{
    const Spec *p = &g->val[a].spec, *q = &g->val[b].spec;
    return p->ndim == 2 && q->ndim == 2 && p->dim[0] == q->dim[0] &&
           p->dim[1] == q->dim[1];
}

static Term term_of(const Graph *g, Val x)
{
    Term t = {.form = PLAIN, .a = x};
    const GNode *n = maker(g, x);
    if (!n || !current(g, n))
        return t;
    bool linear = is(n, "linear") && (n->n_in < 3 || n->in[2] == VAL_NONE) &&
                  g->val[n->in[0]].spec.ndim == 2;
    bool matmul = is(n, "matmul") && !n->attr.i[0];
    if (linear || matmul)
        return (Term){PRODUCT, n->in[0], n->in[1], linear || n->attr.i[1]};
    if (is(n, "add") && same_shape(g, n->in[0], n->in[1]))
        return (Term){SUM, n->in[0], n->in[1], false};
    if (is(n, "mul") && column_of(g, n->in[1], n->in[0]))
        return (Term){SCALED, n->in[0], n->in[1], false};
    return t;
}

static double columns(const Graph *g, Val x)
{
    return (double)g->val[x].spec.dim[1];
}

/* Operations of x M for M [D,K], with x [B,D]. */
static double cost(const Graph *g, Val x, double B, double D, double K, int deep)
{
    double plain = 2 * B * D * K;
    Term t = term_of(g, x);
    if (deep == 0 || t.form == PLAIN)
        return plain;
    if (t.form == SUM) {
        double both =
            cost(g, t.a, B, D, K, deep - 1) + cost(g, t.b, B, D, K, deep - 1) + B * K;
        return both < worth * plain ? both : plain;
    }
    if (t.form == SCALED) {
        double one = cost(g, t.a, B, D, K, deep - 1) + B * K;
        return one < worth * plain ? one : plain;
    }
    double inner = columns(g, t.a), chain = 2 * inner * D * K + 2 * B * inner * K;
    return chain < worth * plain ? chain : plain;
}

static Val product(Graph *g, Val x, Val m, bool trans, int deep)
{
    double B = (double)g->val[x].spec.dim[0], D = columns(g, x);
    double K = (double)g->val[m].spec.dim[trans ? 0 : 1];
    Term t = term_of(g, x);
    bool plain = deep == 0 || t.form == PLAIN ||
                 cost(g, x, B, D, K, deep) >= worth * 2 * B * D * K;
    if (plain)
        return g_matmul(g, x, m, false, trans);
    if (t.form == PRODUCT)
        return g_matmul(g, t.a, g_matmul(g, t.b, m, t.trans, trans), false, false);
    Val a = product(g, t.a, m, trans, deep - 1);
    if (t.form == SCALED)
        return graph_ok(g) ? g_mul(g, a, t.b) : VAL_NONE;
    if (!graph_ok(g))
        return VAL_NONE;
    Val b = product(g, t.b, m, trans, deep - 1);
    return graph_ok(g) ? g_add(g, a, b) : VAL_NONE;
}

Val g_product(Graph *g, Val x, Val m, bool trans)
{
    if (!graph_ok(g))
        return VAL_NONE;
    if (g->val[x].spec.ndim != 2 || g->val[m].spec.ndim != 2 ||
        g->val[x].spec.dim[1] != g->val[m].spec.dim[trans ? 1 : 0])
        return g_matmul(g, x, m, false, trans);
    return product(g, x, m, trans, DEEP);
}
