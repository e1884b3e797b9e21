/* Optimisers: against a naive reference in double, fused against plain bit for bit,
 * resuming, schedules, settings, threads and instruction sets. */
#include "graph_support.h"

#include <math.h>

#include "base/kern.h"
#include "base/str.h"
#include "graph/optim.h"

enum { BATCH = 8, OUT = 5, IN = 37 }; /* IN leaves a ragged vector */

static OptimCfg cfg_of(const char *method)
{
    OptimCfg c;
    Err err = {0};
    assert_ok(opt_defaults(optim_options, optim_n_options, &c, &err), err);
    strcpy(c.method, method);
    return c;
}

/* ---- one layer, trained ---------------------------------------------------------- */

typedef struct Layer {
    Tensor w, b;
    TensorSet *moments;
    Graph *g;
    Plan *plan;
    DType t;
} Layer;

typedef struct Case {
    const char *method;
    double momentum, decay, clip;
    int64_t batch;
    bool show_gradient; /* as an output, so that it cannot be fused */
} Case;

static Layer layer_new(DType t, int64_t out, int64_t in)
{
    Err err = {0};
    Layer l = {.t = t, .moments = tset_new(&err)};
    assert_non_null(l.moments);
    l.w = t_random(11, t, 2, DIMS(out, in), -0.5, 0.5);
    l.b = t_random(12, t, 1, DIMS(out), -0.5, 0.5);
    return l;
}

/* loss = sum over the batch of dot(dy, x w' + b): the gradients are dy' x and sum
 * dy. */
static void layer_plan(Layer *l, const Case *c)
{
    Err err = {0};
    OptimCfg cfg = cfg_of(c->method);
    cfg.momentum = c->momentum;
    cfg.weight_decay = c->decay;
    cfg.clip = c->clip;
    l->g = graph_new(&err);
    Graph *g = l->g;
    Val x = graph_input(g, "x", l->t, 2, DIMS(c->batch, l->w.dim[1]));
    Val dy = graph_input(g, "dy", l->t, 2, DIMS(c->batch, l->w.dim[0]));
    Val w = graph_state(g, "w", &l->w), b = graph_state(g, "b", &l->b);
    Val dw = g_binary(g, "linear_dw", dy, x), db = g_sum_axis(g, dy, 0, false);
    OptimParam p[2] = {{"w", w, dw, 1}, {"b", b, db, 0.5}};
    if (c->show_gradient)
        graph_output(g, "dw", dw);
    assert_ok(optim_build(g, &cfg, p, 2, l->moments, &err), err);
    l->plan = plan_of(g, 0);
}

static void layer_unplan(Layer *l)
{
    plan_free(l->plan);
    graph_free(l->g);
}

static void layer_free(Layer *l)
{
    layer_unplan(l);
    tset_free(l->moments);
    tensor_release(&l->w);
    tensor_release(&l->b);
}

static double rate_at(int64_t step)
{
    return 0.01 / (1 + 0.02 * (double)step);
}

typedef struct Batch {
    Tensor x, dy;
} Batch;

/* Drawn in double and rounded, so that both precisions see the same numbers. */
static Batch batch_at(const Layer *l, int64_t rows, int64_t step)
{
    Err err = {0};
    Batch b;
    Tensor x = t_random(100 + (uint64_t)step, F32, 2, DIMS(rows, l->w.dim[1]), -1, 1);
    Tensor dy = t_random(200 + (uint64_t)step, F32, 2, DIMS(rows, l->w.dim[0]), -1, 1);
    assert_ok(tensor_convert(&x, l->t, &b.x, &err), err);
    assert_ok(tensor_convert(&dy, l->t, &b.dy, &err), err);
    tensor_release(&x);
    tensor_release(&dy);
    return b;
}

static void layer_train(Layer *l, const Case *c, int64_t first, int64_t last)
{
    Err err = {0};
    for (int64_t step = first; step <= last; step++) {
        Batch b = batch_at(l, c->batch, step);
        Tensor in[4] = {b.x, b.dy};
        int lr = plan_input_index(l->plan, "lr"), t = plan_input_index(l->plan, "t");
        assert_ok(plan_bind_number(l->plan, lr, rate_at(step), &err), err);
        if (t >= 0)
            assert_ok(plan_bind_number(l->plan, t, (double)step, &err), err);
        assert_ok(plan_run(l->plan, in, &err), err);
        tensor_release(&b.x);
        tensor_release(&b.dy);
    }
}

/* ---- the reference --------------------------------------------------------------- */

typedef struct Naive {
    double w[OUT * IN], b[OUT], m[OUT * IN + OUT], v[OUT * IN + OUT];
} Naive;

static void naive_step(const Case *c, double *w, double *m, double *v, double g,
                       double decay, double lr, double t)
{
    bool adam = strncmp(c->method, "adam", 4) == 0;
    bool coupled = strcmp(c->method, "adamw") != 0;
    if (coupled)
        g += decay * *w;
    else
        *w -= lr * decay * *w;
    if (!adam) {
        *m = c->momentum * *m + g;
        *w -= lr * *m;
        return;
    }
    *m = 0.9 * *m + 0.1 * g;
    *v = 0.999 * *v + 0.001 * g * g;
    double mh = *m / (1 - pow(0.9, t)), vh = *v / (1 - pow(0.999, t));
    *w -= lr * mh / (sqrt(vh) + 1e-8);
}

static void naive_train(Naive *n, const Layer *l, const Case *c, int64_t last)
{
    for (int64_t step = 1; step <= last; step++) {
        Batch b = batch_at(l, c->batch, step);
        double g[OUT * IN + OUT] = {0}, norm = 0;
        for (int64_t r = 0; r < c->batch; r++)
            for (int64_t o = 0; o < OUT; o++) {
                double dy = t_at(&b.dy, r * OUT + o);
                g[OUT * IN + o] += dy;
                for (int64_t i = 0; i < IN; i++)
                    g[o * IN + i] += dy * t_at(&b.x, r * IN + i);
            }
        for (int i = 0; i < OUT * IN + OUT; i++)
            norm += g[i] * g[i];
        double f = c->clip > 0 && sqrt(norm) > c->clip ? c->clip / sqrt(norm) : 1;
        for (int i = 0; i < OUT * IN + OUT; i++) {
            bool bias = i >= OUT * IN;
            naive_step(c, bias ? &n->b[i - OUT * IN] : &n->w[i], &n->m[i], &n->v[i],
                       g[i] * f, c->decay * (bias ? 0.5 : 1), rate_at(step),
                       (double)step);
        }
        tensor_release(&b.x);
        tensor_release(&b.dy);
    }
}

static const Case cases[] = {
    {"sgd", 0, 0, 0, BATCH, false},       {"sgd", 0, 0.1, 0, BATCH, true},
    {"sgd", 0.9, 0.1, 0, BATCH, false},   {"adam", 0, 0, 0, BATCH, false},
    {"adam_l2", 0, 0.1, 0, BATCH, false}, {"adamw", 0, 0.1, 0, BATCH, false},
    {"adam", 0, 0, 1.5, BATCH, false},    {"sgd", 0.9, 0, 2, BATCH, false},
    {"adamw", 0, 0.1, 0, 40, false},
};

static void check_case(const Case *c, DType t, double tol)
{
    static Naive n;
    memset(&n, 0, sizeof n);
    Layer l = layer_new(t, OUT, IN);
    for (int i = 0; i < OUT * IN; i++)
        n.w[i] = t_at(&l.w, i);
    for (int i = 0; i < OUT; i++)
        n.b[i] = t_at(&l.b, i);
    layer_plan(&l, c);
    bool fuses = c->batch <= 16 && !c->show_gradient && c->clip == 0;
    assert_int_equal(plan_info(l.plan).fused, fuses);
    layer_train(&l, c, 1, 50);
    naive_train(&n, &l, c, 50);
    for (int i = 0; i < OUT * IN; i++)
        if (fabs(t_at(&l.w, i) - n.w[i]) > tol)
            fail_msg("%s: w[%d] = %.9g, reference %.9g", c->method, i, t_at(&l.w, i),
                     n.w[i]);
    for (int i = 0; i < OUT; i++)
        assert_near(t_at(&l.b, i), n.b[i], tol);
    layer_free(&l);
}

static void test_reference(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        check_case(&cases[i], F64, 1e-11);
        check_case(&cases[i], F32, 2e-5);
    }
}

/* ---- equal bits ------------------------------------------------------------------ */

static void assert_equal_layers(const Layer *a, const Layer *b)
{
    assert_true(t_same_bits(&a->w, &b->w));
    assert_true(t_same_bits(&a->b, &b->b));
    assert_int_equal(tset_count(a->moments), tset_count(b->moments));
    for (int i = 0; i < tset_count(a->moments); i++)
        assert_true(t_same_bits(tset_at(a->moments, i),
                                tset_get(b->moments, tset_name(a->moments, i))));
}

static void check_fused(const Case *c, DType t, int64_t out, int64_t in)
{
    Err err = {0};
    Case plain = *c;
    plain.show_gradient = true;
    Layer a = layer_new(t, out, in), b = layer_new(t, out, in);
    layer_plan(&a, c);
    layer_plan(&b, &plain);
    assert_int_equal(plan_info(a.plan).fused, 1);
    assert_int_equal(plan_info(b.plan).fused, 0);
    assert_ok(pool_set_threads(2, &err), err);
    layer_train(&a, c, 1, 3);
    assert_ok(pool_set_threads(1, &err), err);
    layer_train(&b, &plain, 1, 3);
    assert_equal_layers(&a, &b);
    layer_free(&a);
    layer_free(&b);
}

static void test_fused_bits(void **state)
{
    (void)state;
    static const char *const isa[] = {"baseline", "avx2", "avx512"};
    static const char *const method[] = {"sgd", "adamw", "adam_l2"};
    static const int64_t shape[][2] = {{5, 37},   {1, 1},     {3, 16},  {64, 784},
                                       {10, 128}, {130, 129}, {2, 5000}};
    const char *best = isa_name();
    for (size_t k = 0; k < ARRAY_LEN(isa); k++) {
        if (!isa_force(isa[k]))
            continue;
        for (size_t m = 0; m < ARRAY_LEN(method); m++)
            for (size_t s = 0; s < ARRAY_LEN(shape); s++) {
                int64_t batch = 1 + (int64_t)(s * 5 + m) % 16;
                Case c = {method[m], m == 0 ? 0.9 : 0, 0.05, 0, batch, false};
                check_fused(&c, F32, shape[s][0], shape[s][1]);
                c.momentum = 0;
                check_fused(&c, F64, shape[s][0], shape[s][1]);
            }
    }
    assert_true(isa_force(best));
}

static void test_empty_shapes(void **state)
{
    (void)state;
    Case c = {"adamw", 0, 0.1, 0, BATCH, false}, none = {"adam", 0, 0, 0, 0, false};
    check_fused(&c, F32, 0, 4);
    check_fused(&c, F32, 4, 0);
    check_fused(&none, F32, 4, 5); /* an empty batch: a zero gradient */
}

static void test_threads(void **state)
{
    (void)state;
    Err err = {0};
    Case c = {"adamw", 0, 0.1, 3, 40, false};
    Layer a = layer_new(F32, 70, 784), b = layer_new(F32, 70, 784);
    layer_plan(&a, &c);
    layer_plan(&b, &c);
    assert_ok(pool_set_threads(1, &err), err);
    layer_train(&a, &c, 1, 5);
    assert_ok(pool_set_threads(2, &err), err);
    layer_train(&b, &c, 1, 5);
    assert_equal_layers(&a, &b);
    layer_free(&a);
    layer_free(&b);
}

/* 20 steps, everything into new memory and a new plan, 30 more: as 50 at once. */
static void test_resume(void **state)
{
    (void)state;
    Err err = {0};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const Case *c = &cases[i];
        Layer whole = layer_new(F32, OUT, IN), first = layer_new(F32, OUT, IN);
        layer_plan(&whole, c);
        layer_train(&whole, c, 1, 50);
        layer_plan(&first, c);
        layer_train(&first, c, 1, 20);
        Layer rest = {.t = F32, .moments = tset_new(&err)};
        assert_ok(tensor_copy(&first.w, &rest.w, &err), err);
        assert_ok(tensor_copy(&first.b, &rest.b, &err), err);
        for (int k = 0; k < tset_count(first.moments); k++) {
            Tensor copy;
            assert_ok(tensor_copy(tset_at(first.moments, k), &copy, &err), err);
            assert_ok(tset_add(rest.moments, tset_name(first.moments, k), &copy, &err),
                      err);
            tensor_release(&copy);
        }
        layer_free(&first);
        layer_plan(&rest, c);
        layer_train(&rest, c, 21, 50);
        assert_equal_layers(&whole, &rest);
        layer_free(&whole);
        layer_free(&rest);
    }
}

/* ---- when fusing would be wrong -------------------------------------------------- */

/* x is itself a state that is stepped before w: dW must see the old x. */
static void test_no_fusion_across_writes(void **state)
{
    (void)state;
    Err err = {0};
    Tensor w = t_random(1, F32, 2, DIMS(3, 4), -1, 1),
           x = t_random(2, F32, 2, DIMS(2, 4), -1, 1);
    Tensor w0, x0;
    assert_ok(tensor_copy(&w, &w0, &err), err);
    assert_ok(tensor_copy(&x, &x0, &err), err);
    Graph *g = graph_new(&err);
    Val ws = graph_state(g, "w", &w), xs = graph_state(g, "x", &x);
    Val dy = graph_input(g, "dy", F32, 2, DIMS(2, 3));
    Val dw = g_binary(g, "linear_dw", dy, xs);
    Val lr = graph_number(g, F32, 0.5);
    g_call(g, "sgd_step", (Val[]){xs, graph_number(g, F32, 0), lr}, 3, NULL);
    assert_false(graph_ok(g)); /* a scalar is no gradient of x */
    graph_free(g);

    g = graph_new(&err);
    ws = graph_state(g, "w", &w);
    xs = graph_state(g, "x", &x);
    dy = graph_input(g, "dy", F32, 2, DIMS(2, 3));
    dw = g_binary(g, "linear_dw", dy, xs);
    lr = graph_number(g, F32, 0.5);
    g_call(g, "sgd_step", (Val[]){xs, g_neg(g, xs), lr}, 3, NULL);
    g_call(g, "sgd_step", (Val[]){ws, dw, lr}, 3, NULL);
    assert_true(graph_ok(g));
    Plan *p = plan_of(g, 0);
    assert_int_equal(plan_info(p).fused, 0);
    Tensor in = t_random(3, F32, 2, DIMS(2, 3), -1, 1);
    assert_ok(plan_run(p, &in, &err), err);
    for (int64_t o = 0; o < 3; o++)
        for (int64_t i = 0; i < 4; i++) {
            double grad =
                t_at(&in, o) * t_at(&x0, i) + t_at(&in, 3 + o) * t_at(&x0, 4 + i);
            assert_near(t_at(&w, o * 4 + i), t_at(&w0, o * 4 + i) - 0.5 * grad, 1e-6);
        }
    plan_free(p);
    graph_free(g);
    tensor_release(&in);
    tensor_release(&w);
    tensor_release(&x);
    tensor_release(&w0);
    tensor_release(&x0);
}

/* Every allocation of building and planning fails once; moments made so far stay
 * whole. */
static bool build_and_plan(void *ctx, Err *err)
{
    Tensor *w = ctx;
    OptimCfg cfg = {.method = "adamw", .beta1 = 0.9, .beta2 = 0.99, .clip = 1};
    TensorSet *set = tset_new(err);
    Graph *g = set ? graph_new(err) : NULL;
    Plan *p = NULL;
    if (g) {
        OptimParam one = {"w", graph_state(g, "w", w),
                          graph_input(g, "g", F32, 2, DIMS(6, 4)), 1};
        if (optim_build(g, &cfg, &one, 1, set, err))
            p = plan_new(g, 0, err);
    }
    bool ok = p != NULL;
    plan_free(p);
    graph_free(g);
    tset_free(set);
    return ok;
}

static void test_allocation_faults(void **state)
{
    (void)state;
    Tensor w = t_random(1, F32, 2, DIMS(6, 4), -1, 1);
    assert_true(fail_each_alloc(build_and_plan, &w) > 15);
    tensor_release(&w);
}

/* ---- settings -------------------------------------------------------------------- */

static void test_refusals(void **state)
{
    (void)state;
    Err err = {0};
    TensorSet *set = tset_new(&err);
    OptimCfg c = cfg_of("adam");
    Tensor w = t_random(1, F32, 1, DIMS(3), -1, 1);
    Graph *g = graph_new(&err);
    Val x = graph_input(g, "x", F32, 1, DIMS(3)), s = graph_state(g, "w", &w);
    OptimParam good = {"w", s, x, 1}, bad = {"x", x, x, 1};
    strcpy(c.method, "adagrad");
    assert_false(optim_build(g, &c, &good, 1, set, &err));
    assert_has(err.msg, "adagrad");
    c = cfg_of("adam");
    c.beta2 = 1;
    assert_false(optim_build(g, &c, &good, 1, set, &err));
    assert_has(err.msg, "beta2");
    c = cfg_of("adam");
    assert_ok(optim_build(g, &c, &good, 0, set, &err), err);
    assert_false(optim_build(g, &c, &bad, 1, set, &err));
    assert_has(err.msg, "not a state");
    graph_free(g);

    /* a saved moment of another shape */
    g = graph_new(&err);
    good.grad = graph_input(g, "x", F32, 1, DIMS(3));
    good.param = graph_state(g, "w", &w);
    Tensor m = t_make(F32, 1, DIMS(4));
    assert_ok(tset_add(set, "w.m", &m, &err), err);
    assert_false(optim_build(g, &c, &good, 1, set, &err));
    assert_has(err.msg, "\"w.m\" is f32[4], it must be f32[3]");
    graph_free(g);
    tensor_release(&m);
    tensor_release(&w);
    tset_free(set);
}

static void test_schedules(void **state)
{
    (void)state;
    OptimCfg c = cfg_of("adam");
    c.lr = 2;
    assert_true(sched_rate(&c, 1, 100) == 2 && sched_rate(&c, 100, 100) == 2);
    strcpy(c.schedule, "linear");
    c.final_lr = 0.1;
    assert_near(sched_rate(&c, 1, 101), 2, 1e-12);
    assert_near(sched_rate(&c, 51, 101), 1.1, 1e-12);
    assert_near(sched_rate(&c, 101, 101), 0.2, 1e-12);
    assert_near(sched_rate(&c, 5000, 101), 0.2, 1e-12);
    strcpy(c.schedule, "cosine");
    assert_near(sched_rate(&c, 26, 101), 2 * (0.1 + 0.9 * 0.5 * (1 + sqrt(0.5))),
                1e-12);
    assert_near(sched_rate(&c, 101, 101), 0.2, 1e-12);
    c.warmup = 10;
    assert_near(sched_rate(&c, 1, 101), 0.2, 1e-12);
    assert_near(sched_rate(&c, 10, 101), 2, 1e-12);
    assert_near(sched_rate(&c, 11, 101), 2, 1e-12);
    strcpy(c.schedule, "onecycle"); /* without the warm-up */
    assert_near(sched_rate(&c, 1, 101), 0.08, 1e-12);
    assert_near(sched_rate(&c, 16, 101), 2 * (0.04 + 0.96 * 0.5), 1e-12);
    assert_near(sched_rate(&c, 31, 101), 2, 1e-12);
    assert_near(sched_rate(&c, 66, 101), 2 * (0.1 + 0.9 * 0.5), 1e-12);
    assert_near(sched_rate(&c, 101, 101), 0.2, 1e-12);
    assert_near(sched_rate(&c, 1, 1), 0.2, 1e-12);
    strcpy(c.schedule, "cosine");
    /* degenerate lengths */
    c.warmup = 0;
    assert_near(sched_rate(&c, 1, 1), 2, 1e-12);
    assert_true(isfinite(sched_rate(&c, 1, 0)));
}

/* The flush of denormals: moments of a dead input reach 0 and stay there. */
static void test_dead_input(void **state)
{
    (void)state;
    Err err = {0};
    Tensor w = t_random(1, F32, 1, DIMS(3), -1, 1);
    TensorSet *set = tset_new(&err);
    OptimCfg c = cfg_of("adam");
    Graph *g = graph_new(&err);
    OptimParam p = {"w", graph_state(g, "w", &w), graph_input(g, "g", F32, 1, DIMS(3)),
                    1};
    assert_ok(optim_build(g, &c, &p, 1, set, &err), err);
    Plan *plan = plan_of(g, 0);
    Tensor grad = t_make(F32, 1, DIMS(3));
    assert_ok(plan_bind_number(plan, plan_input_index(plan, "lr"), 1e-3, &err), err);
    for (int t = 1; t <= 1500; t++) {
        tensor_set(&grad, DIMS(0), t == 1);
        Tensor in[3] = {grad};
        assert_ok(plan_bind_number(plan, plan_input_index(plan, "t"), t, &err), err);
        assert_ok(plan_run(plan, in, &err), err);
    }
    assert_true(t_at(tset_get(set, "w.m"), 0) == 0);
    plan_free(plan);
    graph_free(g);
    tset_free(set);
    tensor_release(&w);
    tensor_release(&grad);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reference),
        cmocka_unit_test(test_fused_bits),
        cmocka_unit_test(test_empty_shapes),
        cmocka_unit_test(test_threads),
        cmocka_unit_test(test_resume),
        cmocka_unit_test(test_no_fusion_across_writes),
        cmocka_unit_test(test_allocation_faults),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_schedules),
        cmocka_unit_test(test_dead_input),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
