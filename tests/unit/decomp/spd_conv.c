/* spd_conv.c -- convolutions in stochastic parameter decomposition: components against
 * loops over every index, counts and denominators that are a layer's own when a
 * convolution and a matrix stand side by side, routing by image, pooling, maps, tiles. */
#include <math.h>

#include "support.h"

#include "base/mem.h"
#include "decomp/spd_eval.h"
#include "decomp/spd_int.h"
#include "decomp/spd_pooled.h"
#include "graph/build.h"
#include "graph/plan.h"
#include "tensor/blas.h"
#include "tensor/rng.h"

/* Images of 2 channels, 5x7; a 3x2 kernel, stride 2, pad 1; then a matrix. */
enum { B = 6, CH = 2, H = 5, W = 7, O = 3, KH = 3, KW = 2, HO = 3, WO = 4 };
enum { P = HO * WO, K = CH * KH * KW, C1 = 5, C2 = 4, OUT = 3, IN = CH * H * W };

typedef struct Net {
    Tensor kernel, bias, matrix, x;
} Net;

static Tensor drawn(uint64_t seed, int ndim, const int64_t *dim)
{
    Err err = {0};
    Tensor t;
    assert_ok(tensor_new(F32, ndim, dim, &t, &err), err);
    rng_uniform_f32((RngKey){seed, 9, 0}, 0, tensor_count(&t), -1, 1, t.data);
    return t;
}
#define DIMS(...) ((int64_t[]){__VA_ARGS__})

static Net net_make(void)
{
    return (Net){drawn(1, 4, DIMS(O, CH, KH, KW)), drawn(2, 1, DIMS(O)),
                 drawn(3, 2, DIMS(OUT, O * P)), drawn(4, 2, DIMS(B, IN))};
}

static void net_done(Net *n)
{
    tensor_release(&n->kernel);
    tensor_release(&n->bias);
    tensor_release(&n->matrix);
    tensor_release(&n->x);
}

static Val forward(void *ctx, Graph *g, Val x)
{
    Net *n = ctx;
    int64_t rows = graph_spec(g, x).dim[0];
    x = graph_site(g, "conv.in", g_reshape(g, x, 4, DIMS(rows, CH, H, W)));
    Val y =
        g_conv2d(g, x, graph_const(g, &n->kernel), graph_const(g, &n->bias), 2, 1, 1);
    y = g_relu(g, graph_site(g, "conv.pre", y));
    y = graph_site(g, "fc.in", g_reshape(g, y, 2, DIMS(rows, O * P)));
    return graph_site(g, "fc.pre",
                      g_linear(g, y, graph_const(g, &n->matrix), VAL_NONE));
}

static Val batch(void *ctx, Graph *g, Val idx, int64_t rows, const char *stream)
{
    (void)rows, (void)stream;
    return g_binary(g, "gather", graph_const(g, &((Net *)ctx)->x), idx);
}

static Spd *spd_with(Net *n, SpdCfg cfg)
{
    Err err = {0};
    SpdTarget t = {
        .ctx = n, .forward = forward, .batch = batch, .n_examples = B, .n_layers = 2};
    cfg.batch = B;
    t.layer[0] = (SpdLayer){.name = "conv",
                            .kind = spd_kind_for(&n->kernel),
                            .weight = n->kernel,
                            .bias = n->bias,
                            .tied = -1,
                            .components = C1,
                            .stride = 2,
                            .pad = 1,
                            .dilation = 1};
    t.layer[1] = (SpdLayer){.name = "fc",
                            .kind = spd_kind_for(&n->matrix),
                            .weight = n->matrix,
                            .tied = -1,
                            .components = C2};
    Spd *s = spd_new(&cfg, &t, &err);
    if (!s)
        fail_msg("%s", err.msg);
    return s;
}

static Spd *spd_make(Net *n, bool delta)
{
    Err err = {0};
    SpdCfg cfg;
    assert_ok(opt_defaults(spd_options, spd_n_options, &cfg, &err), err);
    strcpy(cfg.ci, "linear");
    cfg.delta = delta;
    return spd_with(n, cfg);
}

static Spd *spd_gated(Net *n, const char *ci, const char *hidden)
{
    Err err = {0};
    SpdCfg cfg;
    assert_ok(opt_defaults(spd_options, spd_n_options, &cfg, &err), err);
    strcpy(cfg.ci, ci);
    strcpy(cfg.ci_hidden, hidden);
    return spd_with(n, cfg);
}

static float *param(Spd *s, const char *name)
{
    const Tensor *t = tset_get(spd_params(s), name);
    assert_non_null(t);
    return t->data;
}

static double at(const Tensor *t, int64_t i)
{
    return (double)((const float *)t->data)[i];
}

/* Element k of the patch of image b at position p. */
static double patch(const Net *n, int64_t b, int64_t p, int64_t k)
{
    int64_t s = k % KW, r = k / KW % KH, c = k / (KW * KH);
    int64_t i = p / WO * 2 + r - 1, j = p % WO * 2 + s - 1;
    if (i < 0 || i >= H || j < 0 || j >= W)
        return 0;
    return at(&n->x, ((b * CH + c) * H + i) * W + j);
}

static void near(double got, double want)
{
    if (!(fabs(got - want) <= 1e-5 * fmax(1, fabs(want))))
        fail_msg("%.9g, expected %.9g", got, want);
}

/* Filters V, a mask for each position, a 1x1 convolution with U. */
static void test_components(void **state)
{
    (void)state;
    Net n = net_make();
    Spd *s = spd_make(&n, false);
    Err err = {0};
    Tensor a, g, y;
    const float *V = param(s, "conv.V"), *U = param(s, "conv.U");
    const float *w = param(s, "conv.ci.w"), *bias = param(s, "conv.ci.b");
    assert_ok(spd_view(s, &n.x, 0, SPD_ACTS, &a, &err), err);
    assert_ok(spd_view(s, &n.x, 0, SPD_CI, &g, &err), err);
    assert_ok(spd_outputs(s, &n.x, SPD_MASK_CI, 1, 0, &y, &err), err);
    for (int64_t b = 0; b < B; b++) {
        double hidden[O * P];
        for (int64_t p = 0; p < P; p++) {
            double pre[O];
            for (int o = 0; o < O; o++)
                pre[o] = at(&n.bias, o);
            for (int c = 0; c < C1; c++) {
                double act = 0;
                for (int k = 0; k < K; k++)
                    act += patch(&n, b, p, k) * (double)V[k * C1 + c];
                double ci = act * (double)w[c] + (double)bias[c];
                ci = ci < 0 ? 0 : ci > 1 ? 1 : ci;
                near(at(&a, (b * P + p) * C1 + c), act);
                near(at(&g, (b * P + p) * C1 + c), ci);
                for (int o = 0; o < O; o++)
                    pre[o] += ci * act * (double)U[c * O + o];
            }
            for (int o = 0; o < O; o++)
                hidden[o * P + p] = pre[o] > 0 ? pre[o] : 0;
        }
        for (int o = 0; o < OUT; o++) {
            double want = 0;
            for (int i = 0; i < O * P; i++)
                want += hidden[i] * at(&n.matrix, o * O * P + i);
            near(at(&y, b * OUT + o), want);
        }
    }
    tensor_release(&a);
    tensor_release(&g);
    tensor_release(&y);
    spd_free(s);
    net_done(&n);
}

static void set_gates(Spd *s, const char *layer, int C, float value)
{
    char name[32];
    snprintf(name, sizeof name, "%s.ci.w", layer);
    for (int c = 0; c < C; c++)
        param(s, name)[c] = 0;
    snprintf(name, sizeof name, "%s.ci.b", layer);
    for (int c = 0; c < C; c++)
        param(s, name)[c] = value;
}

static double loss_of(Spd *s, const char *name)
{
    Err err = {0};
    Graph *g = graph_new(&err);
    Val idx = graph_input(g, "idx", I32, 1, DIMS(B));
    graph_output(g, "total", spd_loss(s, g, idx));
    Plan *p = plan_new(g, 1, &err);
    graph_free(g);
    if (!p)
        fail_msg("%s", err.msg);
    int32_t index[B];
    Tensor in[4] = {0};
    for (int i = 0; i < B; i++)
        index[i] = i;
    for (int i = 0; i < plan_input_count(p); i++)
        if (strcmp(plan_input_name(p, i), "idx") == 0)
            in[i] = tensor_wrap(I32, 1, DIMS(B), index);
        else
            assert_ok(plan_bind_number(p, i, 1, &err), err);
    if (!plan_run(p, in, &err))
        fail_msg("%s", err.msg);
    double v = tensor_item(plan_output(p, plan_output_index(p, name)));
    plan_free(p);
    return v;
}

/* A gate of 1/2 everywhere costs the same in a convolution as in a matrix. */
static void test_denominators(void **state)
{
    (void)state;
    Net n = net_make();
    Spd *s = spd_make(&n, true);
    Err err = {0};
    SpdEval e;
    SpdEvalCfg cfg = {.batches = 1};
    set_gates(s, "conv", C1, 0.5f);
    set_gates(s, "fc", C2, 0.25f);
    near(loss_of(s, "importance"), C1 * 0.5 + C2 * 0.25);
    assert_ok(spd_evaluate(s, &cfg, &e, &err), err);
    assert_int_equal(e.layer[0].positions, P);
    assert_int_equal(e.layer[1].positions, 1);
    near(e.layer[0].l0, C1);
    near(e.layer[0].l0_image, C1);
    near(e.layer[1].l0, C2);
    near(e.layer[0].density[C1 - 1], 1);
    near(e.layer[0].mean_ci[0], 0.5);
    near(e.layer[1].mean_ci[0], 0.25);
    assert_int_equal(e.layer[0].hist_ci[50], B * P * C1);
    assert_int_equal(e.layer[0].hist_ci_image[50], B * C1);
    assert_int_equal(e.layer[1].hist_ci[25], B * C2);
    spd_eval_done(&e);
    spd_free(s);
    net_done(&n);
}

/* Where an image is routed through components without strength, all of its positions are
 * the bias; else all are the network's. */
static void test_routing(void **state)
{
    (void)state;
    Net n = net_make();
    Spd *s = spd_make(&n, false);
    Err err = {0};
    SpdForm f;
    SpdPass p;
    float q[2 * B];
    for (int i = 0; i < 2 * B; i++)
        q[i] = i < B && i % 2 == 0;
    Tensor route = tensor_wrap(F32, 2, DIMS(2, B), q);
    memset(param(s, "conv.U"), 0, sizeof(float) * C1 * O);
    Graph *g = graph_new(&err);
    Val x = graph_input(g, "x", F32, 2, DIMS(B, IN));
    assert_true(spd_form(&f, s, g, x, 0, "test"));
    spd_pass_init(&p, SPD_MASK_ONES, "test");
    p.route = graph_input(g, "route", F32, 2, route.dim);
    spd_pass(&f, &p);
    graph_output(g, "in", p.in[1]);
    graph_output(g, "as", f.seen[1].in);
    Plan *plan = plan_new(g, 1, &err);
    graph_free(g);
    assert_non_null(plan);
    Tensor in[2];
    in[plan_input_index(plan, "x")] = n.x;
    in[plan_input_index(plan, "route")] = route;
    assert_ok(plan_run(plan, in, &err), err);
    for (int64_t i = 0; i < B * O * P; i++) {
        double bias = fmax(0, at(&n.bias, i / P % O));
        near(at(plan_output(plan, 0), i),
             i / (O * P) % 2 ? at(plan_output(plan, 1), i) : bias);
    }
    plan_free(plan);
    spd_free(s);
    net_done(&n);
}

static void test_pooling(void **state)
{
    (void)state;
    Net n = net_make();
    Spd *s = spd_make(&n, false);
    Err err = {0};
    Tensor a, max, mean, maps, V, U;
    assert_ok(spd_view(s, &n.x, 0, SPD_ACTS, &a, &err), err);
    assert_ok(spd_pooled(s, &n.x, 0, SPD_ACTS, &max, &mean, &err), err);
    assert_ok(spd_maps(s, &n.x, 0, SPD_ACTS, &maps, &err), err);
    assert_ok(spd_tiles(s, 0, &V, &U, &err), err);
    assert_int_equal(maps.dim[2], HO);
    assert_int_equal(maps.dim[3], WO);
    assert_int_equal(V.dim[1], CH);
    assert_int_equal(V.dim[2], KH);
    for (int64_t b = 0; b < B; b++)
        for (int64_t c = 0; c < C1; c++) {
            double top = -INFINITY, sum = 0;
            for (int64_t p = 0; p < P; p++) {
                double v = at(&a, (b * P + p) * C1 + c);
                near(at(&maps, (b * C1 + c) * P + p), v);
                top = fmax(top, v);
                sum += v;
            }
            near(at(&max, b * C1 + c), top);
            near(at(&mean, b * C1 + c), sum / P);
        }
    for (int64_t c = 0; c < C1; c++) {
        double length = 0;
        for (int64_t k = 0; k < K; k++)
            length += at(&V, c * K + k) * at(&V, c * K + k);
        near(length, 1);
        near(at(&V, c * K + 3) * at(&U, c * O + 1),
             (double)param(s, "conv.V")[3 * C1 + c] *
                 (double)param(s, "conv.U")[c * O + 1]);
    }
    Tensor all[] = {a, max, mean, maps, V, U};
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        tensor_release(&all[i]);
    assert_false(spd_pooled(s, &n.x, 2, SPD_CI, &max, NULL, &err));
    assert_has(err.msg, "no layer 3 of 2");
    spd_free(s);
    net_done(&n);
}

/* A network of one layer: a 1x1 convolution on images of one pixel, or a matrix. */
typedef struct One {
    bool conv;
    Tensor weight, x;
} One;
enum { ONE_IN = 7, ONE_OUT = 4 };

static Val one_forward(void *ctx, Graph *g, Val x)
{
    One *o = ctx;
    int64_t rows = graph_spec(g, x).dim[0];
    if (o->conv)
        x = g_reshape(g, x, 4, DIMS(rows, ONE_IN, 1, 1));
    x = graph_site(g, "one.in", x);
    Val w = graph_const(g, &o->weight);
    Val y = o->conv ? g_conv2d(g, x, w, VAL_NONE, 1, 0, 1) : g_linear(g, x, w, VAL_NONE);
    return g_reshape(g, graph_site(g, "one.pre", y), 2, DIMS(rows, ONE_OUT));
}

static Val one_batch(void *ctx, Graph *g, Val idx, int64_t rows, const char *stream)
{
    (void)rows, (void)stream;
    return g_binary(g, "gather", graph_const(g, &((One *)ctx)->x), idx);
}

static Spd *one_make(One *o)
{
    Err err = {0};
    SpdCfg cfg;
    SpdTarget t = {.ctx = o,
                   .forward = one_forward,
                   .batch = one_batch,
                   .n_examples = B,
                   .n_layers = 1};
    assert_ok(opt_defaults(spd_options, spd_n_options, &cfg, &err), err);
    strcpy(cfg.ci, "mlp");
    cfg.batch = B;
    cfg.subset = 1;
    t.layer[0] = (SpdLayer){.name = "one",
                            .kind = spd_kind_for(&o->weight),
                            .weight = o->weight,
                            .tied = -1,
                            .components = C1,
                            .stride = 1,
                            .dilation = 1};
    Spd *s = spd_new(&cfg, &t, &err);
    if (!s)
        fail_msg("%s", err.msg);
    return s;
}

static void test_dense(void **state)
{
    (void)state;
    Err err = {0};
    One conv = {true, drawn(5, 4, DIMS(ONE_OUT, ONE_IN, 1, 1)),
                drawn(6, 2, DIMS(B, ONE_IN))},
        dense = {.x = conv.x};
    assert_ok(tensor_reshape(&conv.weight, 2, DIMS(ONE_OUT, ONE_IN), &dense.weight,
                             &err),
              err);
    Spd *a = one_make(&conv), *b = one_make(&dense);
    near(loss_of(a, "total"), loss_of(b, "total"));
    near(loss_of(a, "subset"), loss_of(b, "subset"));
    for (int m = SPD_MASK_ONES; m < SPD_MASK_COUNT; m++) {
        Tensor y, z;
        assert_ok(spd_outputs(a, &conv.x, (SpdMask)m, ~0u, 3, &y, &err), err);
        assert_ok(spd_outputs(b, &conv.x, (SpdMask)m, ~0u, 3, &z, &err), err);
        for (int64_t i = 0; i < B * ONE_OUT; i++)
            near(at(&y, i), at(&z, i));
        tensor_release(&y);
        tensor_release(&z);
    }
    spd_free(a);
    spd_free(b);
    tensor_release(&conv.weight);
    tensor_release(&dense.weight);
    tensor_release(&conv.x);
}

static double gelu(double x)
{
    return 0.5 * x * (1 + erf(x / sqrt(2)));
}

/* Importances of a convolution by small networks: of one hidden layer as the fused gate
 * has it, rows of weights, biases, weights, bias; and deeper. */
static void test_gates(void **state)
{
    (void)state;
    Net n = net_make();
    for (int deep = 0; deep < 2; deep++) {
        Err err = {0};
        Spd *s = spd_gated(&n, "mlp", deep ? "3,2" : "3");
        Tensor a, z;
        assert_ok(spd_view(s, &n.x, 0, SPD_ACTS, &a, &err), err);
        assert_ok(spd_view(s, &n.x, 0, SPD_PRE, &z, &err), err);
        assert_int_equal(z.dim[0], B * P);
        for (int64_t i = 0; i < B * P * C1; i++) {
            int64_t c = i % C1;
            double sum = 0, h[3], k[2] = {0};
            const float *t = deep ? NULL : param(s, "conv.ci.theta");
            for (int64_t j = 0; !deep && j < 3; j++)
                sum += (double)t[(6 + j) * C1 + c] *
                       gelu((double)t[j * C1 + c] * at(&a, i) + (double)t[(3 + j) * C1 + c]);
            for (int64_t j = 0; deep && j < 3; j++) {
                h[j] = gelu((double)param(s, "conv.ci.w1")[c * 3 + j] * at(&a, i) +
                            (double)param(s, "conv.ci.b1")[c * 3 + j]);
                for (int64_t o = 0; o < 2; o++)
                    k[o] += (double)param(s, "conv.ci.w2")[(c * 3 + j) * 2 + o] * h[j];
            }
            for (int64_t o = 0; deep && o < 2; o++)
                sum += (double)param(s, "conv.ci.w3")[c * 2 + o] *
                       gelu(k[o] + (double)param(s, "conv.ci.b2")[c * 2 + o]);
            near(at(&z, i), sum + (deep ? (double)param(s, "conv.ci.b3")[c]
                                        : (double)t[9 * C1 + c]));
        }
        assert_true(isfinite(loss_of(s, "total")));
        tensor_release(&a);
        tensor_release(&z);
        spd_free(s);
    }
    net_done(&n);
}

static void test_refuses(void **state)
{
    (void)state;
    Net n = net_make();
    Err err = {0};
    SpdCfg cfg;
    SpdTarget t = {
        .ctx = &n, .forward = forward, .batch = batch, .n_examples = B, .n_layers = 1};
    assert_ok(opt_defaults(spd_options, spd_n_options, &cfg, &err), err);
    cfg.batch = B;
    t.layer[0] = (SpdLayer){.name = "conv",
                            .kind = &spd_conv2d,
                            .weight = n.kernel,
                            .tied = -1,
                            .components = C1};
    assert_null(spd_new(&cfg, &t, &err));
    assert_has(err.msg, "stride and dilation of at least 1");
    t.layer[0].stride = t.layer[0].dilation = 1;
    strcpy(cfg.ci, "shared_mlp");
    err = (Err){0};
    assert_null(spd_new(&cfg, &t, &err));
    assert_has(err.msg, "shared_mlp");
    net_done(&n);
}

static void test_allocations(void **state)
{
    (void)state;
    Net n = net_make();
    Spd *s = spd_make(&n, false);
    Tensor max, mean, V, U;
    for (long k = 1;; k++) {
        Err err = {0};
        size_t before = mem_live();
        mem_fail_at(k);
        bool ok = spd_pooled(s, &n.x, 0, SPD_CI, &max, &mean, &err);
        if (ok) {
            tensor_release(&max);
            tensor_release(&mean);
            ok = spd_maps(s, &n.x, 0, SPD_CI, &max, &err);
            tensor_release(&max);
        }
        if (ok) {
            ok = spd_tiles(s, 0, &V, &U, &err);
            tensor_release(&V);
            tensor_release(&U);
        }
        bool fired = mem_fail_fired();
        mem_fail_at(0);
        assert_int_equal(mem_live(), before);
        assert_true(ok || (fired && err.code == ERR_MEMORY));
        if (!fired)
            break;
    }
    spd_free(s);
    net_done(&n);
}

int main(void)
{
    blas_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_components), cmocka_unit_test(test_denominators),
        cmocka_unit_test(test_routing),    cmocka_unit_test(test_pooling),
        cmocka_unit_test(test_dense),      cmocka_unit_test(test_gates),
        cmocka_unit_test(test_refuses),    cmocka_unit_test(test_allocations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
