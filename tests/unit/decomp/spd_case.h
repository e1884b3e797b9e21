/* spd_case.h -- a small network with two decomposed layers, x A^T + a, relu, B^T + b,
 * over examples that are drawn once; and one linear layer tied to its transpose. */
#ifndef CLEAVE_TEST_SPD_CASE_H
#define CLEAVE_TEST_SPD_CASE_H
#include "graph_support.h"

#include "base/str.h"
#include "decomp/spd_eval.h"
#include "decomp/spd_int.h"
#include "decomp/spd_truth.h"

enum { IN = 6, HID = 5, OUT = 4, ROWS = 64 };

typedef struct Net {
    Tensor x, A, a, B, b, labels;
    bool tied;
} Net;

#define DIM2(p, q)                                                                     \
    2, (int64_t[])                                                                     \
    {                                                                                  \
        p, q                                                                           \
    }
#define DIM1(p)                                                                        \
    1, (int64_t[])                                                                     \
    {                                                                                  \
        p                                                                              \
    }

static inline Net net_make(void)
{
    Net n = {.x = t_random(1, F32, DIM2(ROWS, IN), -1, 1),
             .A = t_random(2, F32, DIM2(HID, IN), -1, 1),
             .a = t_random(3, F32, DIM1(HID), -0.5, 0.5),
             .B = t_random(4, F32, DIM2(OUT, HID), -1, 1),
             .b = t_random(5, F32, DIM1(OUT), -0.5, 0.5),
             .labels = t_make(I32, DIM1(ROWS))};
    for (int i = 0; i < ROWS; i++)
        ((int32_t *)n.labels.data)[i] = i % OUT;
    return n;
}

static inline void net_done(Net *n)
{
    Tensor *all[] = {&n->x, &n->A, &n->a, &n->B, &n->b, &n->labels};
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        tensor_release(all[i]);
}

static inline Val net_forward(void *ctx, Graph *g, Val x)
{
    Net *n = ctx;
    Val A = graph_const(g, &n->A), a = graph_const(g, &n->a);
    x = graph_site(g, "a.in", x);
    Val h = graph_site(g, "a.pre", g_linear(g, x, A, a));
    h = graph_site(g, "b.in", g_relu(g, h));
    if (n->tied)
        return graph_site(g, "b.pre", g_matmul(g, h, A, false, false));
    return graph_site(g, "b.pre",
                      g_linear(g, h, graph_const(g, &n->B), graph_const(g, &n->b)));
}

static inline Val net_batch(void *ctx, Graph *g, Val idx, int64_t B, const char *stream)
{
    (void)B, (void)stream;
    return g_binary(g, "gather", graph_const(g, &((Net *)ctx)->x), idx);
}

static inline Val net_labels(void *ctx, Graph *g, Val idx)
{
    return g_binary(g, "gather", graph_const(g, &((Net *)ctx)->labels), idx);
}

static inline SpdTarget net_target(Net *n)
{
    SpdTarget t = {.ctx = n,
                   .forward = net_forward,
                   .batch = net_batch,
                   .labels = n->tied ? NULL : net_labels,
                   .n_examples = ROWS,
                   .n_layers = 2};
    t.layer[0] = (SpdLayer){
        .name = "a", .kind = &spd_linear, .weight = n->A, .bias = n->a, .tied = -1};
    t.layer[1] = (SpdLayer){
        .name = "b", .kind = &spd_linear, .weight = n->B, .bias = n->b, .tied = -1};
    if (n->tied)
        t.layer[1] = (SpdLayer){
            .name = "b", .kind = &spd_linear, .weight = n->A, .transposed = true};
    return t;
}

static inline SpdCfg net_cfg(void)
{
    Err err = {0};
    SpdCfg c;
    assert_ok(opt_defaults(spd_options, spd_n_options, &c, &err), err);
    c.components = 7;
    c.batch = 16;
    c.seed = 3;
    return c;
}

static inline Spd *spd_of(Net *n, const SpdCfg *c)
{
    Err err = {0};
    SpdTarget t = net_target(n);
    Spd *s = spd_new(c, &t, &err);
    if (!s)
        fail_msg("%s", err.msg);
    return s;
}

static inline Tensor *par(Spd *s, const char *name)
{
    Tensor *t = (Tensor *)tset_get(spd_params(s), name);
    if (!t)
        fail_msg("no parameter %s", name);
    return t;
}

static inline void set_value(Spd *s, const char *name, double v)
{
    Tensor *t = par(s, name);
    for (int64_t i = 0; i < tensor_count(t); i++)
        ((float *)t->data)[i] = (float)v;
}

/* Runs a graph with idx = 0, 1, 2 ... and returns the copy of output `name`. */
static inline Tensor run_graph(Graph *g, const char *name, double t)
{
    Err err = {0};
    if (!graph_ok(g))
        fail_msg("%s", graph_err(g)->msg);
    Plan *p = plan_of(g, 5);
    Tensor in[4] = {0}, idx = {0}, out;
    for (int i = 0; i < plan_input_count(p); i++) {
        Spec s = plan_input_spec(p, i);
        if (s.ndim == 0) {
            assert_true(plan_bind_number(p, i, t, &err));
            continue;
        }
        idx = t_make(I32, 1, s.dim);
        for (int64_t k = 0; k < s.dim[0]; k++)
            ((int32_t *)idx.data)[k] = (int32_t)k;
        in[i] = idx;
    }
    assert_ok(plan_run(p, in, &err), err);
    assert_true(tensor_copy(plan_output(p, plan_output_index(p, name)), &out, &err));
    tensor_release(&idx);
    plan_free(p);
    return out;
}
#endif
