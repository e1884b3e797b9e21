/* Stroke templates and the two-bank method against an independent program, its gradient
 * against differences, and what it refuses. */
#include "case.h"

#include "decomp/strokes.h"
#include "decomp/two_bank.h"
#include "graph/optim.h"

static double largest(const float *x, int n)
{
    float top = x[0];
    for (int i = 1; i < n; i++)
        top = x[i] > top ? x[i] : top;
    return (double)top;
}

static void templates(void **state)
{
    (void)state;
    Err err = {0};
    Tensor t;
    double gram = 0;
    assert_ok(stroke_bank(28, 28, &t, &err), err);
    assert_true(t.dtype == F32 && t.dim[0] == STROKE_COUNT && t.dim[1] == 784);
    const float *x = t.data;
    assert_near((double)x[147], 0.1185807, 1e-6);
    assert_near(largest(x + 37 * 784, 784), 0.2975608, 1e-6);
    assert_near((double)x[88 * 784], -0.0081761, 1e-6);
    assert_near(largest(x + 92 * 784, 784), 0.1589662, 1e-6);
    assert_near(largest(x + 119 * 784, 784), 0.3479372, 1e-6);
    for (int r = 0; r < STROKE_COUNT; r++)
        for (int s = 0; s < STROKE_COUNT; s++) {
            double dot = 0, sum = 0;
            for (int i = 0; i < 784; i++) {
                dot += (double)x[r * 784 + i] * (double)x[s * 784 + i];
                sum += (double)x[r * 784 + i];
            }
            gram += r == s ? 0 : fabs(dot);
            if (r == s) {
                assert_near(dot, 1, 1e-5);
                assert_near(sum, 0, 1e-4);
            }
        }
    assert_near(gram / (120 * 119), 0.1089922, 1e-6);
    tensor_release(&t);
}

static void anchors_pair_templates(void **state)
{
    (void)state;
    Err err = {0};
    Tensor bank, t;
    size_t row = 784 * sizeof(float);
    assert_ok(stroke_bank(28, 28, &bank, &err), err);
    assert_ok(stroke_anchors(128, 28, 28, &t, &err), err);
    assert_int_equal(t.dim[0], 256);
    for (int k = 0; k < 64; k++) {
        const int want[4] = {7 * k % 120, (11 * k + 5) % 120, (7 * k + 31) % 120,
                             (11 * k + 64) % 120};
        for (int part = 0; part < 4; part++)
            assert_memory_equal(d32(&t) + (part * 64 + k) * 784,
                                d32(&bank) + want[part] * 784, row);
    }
    tensor_release(&t);
    tensor_release(&bank);
}

static void any_size(void **state)
{
    (void)state;
    Err err = {0};
    Tensor t;
    static const int size[4][2] = {{1, 1}, {1, 5}, {9, 4}, {40, 32}};
    for (int k = 0; k < 4; k++) {
        int I = size[k][0] * size[k][1];
        assert_ok(stroke_anchors(3, size[k][0], size[k][1], &t, &err), err);
        for (int r = 0; r < 6; r++) {
            double n = 0;
            for (int i = 0; i < I; i++)
                n += pow(t_at(&t, r * I + i), 2);
            assert_near(n, I > 1 ? 1 : 0, 1e-5);
        }
        tensor_release(&t);
    }
    assert_false(stroke_bank(0, 4, &t, &err));
    assert_has(err.msg, "0 x 4");
    assert_false(stroke_anchors(0, 4, 4, &t, &err));
}

/* --- two banks -------------------------------------------------------------------- */

static TwoBankCfg settings(int64_t components)
{
    Err err = {0};
    TwoBankCfg c;
    assert_ok(opt_defaults(twobank_options, twobank_n_options, &c, &err), err);
    c.components = components;
    return c;
}

/* The first 5 anchors of two banks of 64. */
static Tensor five_anchors(void)
{
    Err err = {0};
    Tensor all, t = t_make(F32, 2, DIMS(10, 784));
    assert_ok(stroke_anchors(128, 28, 28, &all, &err), err);
    memcpy(t.data, all.data, 5 * 784 * sizeof(float));
    memcpy(d32(&t) + 5 * 784, d32(&all) + 128 * 784, 5 * 784 * sizeof(float));
    tensor_release(&all);
    return t;
}

/* Whether the score of anchor pair r is negative, so that b is turned round. */
static bool turned(const Case *k, const Tensor *anchors, int r)
{
    Err err = {0};
    Dictionary d;
    assert_ok(dict_start_anchors(&k->b, NULL, anchors, &d, &err), err);
    bool yes = t_at(&d.b, r * 784) * t_at(anchors, (5 + r) * 784) < 0;
    dict_done(&d);
    return yes;
}

/* Parameters by formula, the same on both sides but for the sign. */
static void set_params(TwoBank *f, const Case *c, const Tensor *anchors)
{
    TensorSet *p = twobank_params(f);
    const Tensor *delta = tset_get(p, "delta"), *centre = tset_get(p, "centre");
    const Tensor *width = tset_get(p, "width");
    for (int k = 0; k < 10; k++) {
        int r = k % 5;
        double size = k >= 5 && turned(c, anchors, r) ? -.01 : .01;
        for (int j = 0; j < 784; j++)
            d32(delta)[k * 784 + j] = (float)(size * cos(.02 * j * (r + 1)));
        d32(centre)[2 * k] = (float)(.2 * r - .3);
        d32(centre)[2 * k + 1] = (float)(.1 * r);
        d32(width)[k] = (float)(.5 * r - 1);
    }
}

typedef struct Loss {
    Graph *g;
    Plan *plan;
} Loss;

static Loss loss_of(TwoBank *f, int64_t batch)
{
    Err err = {0};
    Loss l = {.g = graph_new(&err)};
    TensorSet *p = twobank_params(f);
    Val idx = batch ? graph_input(l.g, "idx", I32, 1, &batch) : VAL_NONE, w[4], d[4];
    Val loss = twobank_loss(f, l.g, idx);
    graph_output(l.g, "loss", loss);
    for (int k = 0; k < 4; k++)
        w[k] = graph_state(l.g, tset_name(p, k), tset_at(p, k));
    graph_grad(l.g, loss, w, 4, d);
    for (int k = 0; k < 4; k++)
        graph_output(l.g, tset_name(p, k), d[k]);
    if (!graph_ok(l.g))
        fail_msg("%s", graph_err(l.g)->msg);
    l.plan = plan_of(l.g, 0);
    return l;
}

static double output(Loss *l, const char *name, int64_t i)
{
    return t_at(plan_output(l->plan, plan_output_index(l->plan, name)), i);
}

static double run_loss(Loss *l, const Tensor *idx)
{
    Err err = {0};
    assert_ok(plan_run(l->plan, idx, &err), err);
    return output(l, "loss", 0);
}

static void loss_done(Loss *l)
{
    plan_free(l->plan);
    graph_free(l->g);
}

static double loss_with(const Case *k, const Tensor *anchors, double sparsity,
                        double anchor)
{
    Err err = {0};
    TwoBankCfg c = settings(5);
    DictData data = {.anchors = anchors, .height = 28, .width = 28};
    c.distill = 0;
    c.sparsity = sparsity;
    c.anchor = anchor;
    TwoBank *f = twobank_new(&c, &k->b, &data, &err);
    assert_non_null(f);
    set_params(f, k, anchors);
    Loss l = loss_of(f, 0);
    double v = run_loss(&l, NULL);
    loss_done(&l);
    twobank_free(f);
    return v;
}

static void the_formula_case(void **state)
{
    (void)state;
    static const double a_want[5] = {-0.004180805425854205, -0.015862909681634934,
                                     -0.0007168981554848719, -0.004103789349645048,
                                     0.0008954124246463043};
    static const double b_want[5] = {-0.004252148487818023, -0.011986310467783387,
                                     -0.000782118015591903, -0.0041691105159136965,
                                     0.0008279378533097039};
    Err err = {0};
    Case k = case_formula();
    Tensor anchors = five_anchors();
    TwoBankCfg c = settings(5);
    DictData data = {.anchors = &anchors, .height = 28, .width = 28};
    Dictionary d;
    c.distill = 0;
    TwoBank *f = twobank_new(&c, &k.b, &data, &err);
    assert_non_null(f);
    set_params(f, &k, &anchors);
    assert_ok(twobank_finish(f, &d, &err), err);
    /* least squares scale both by one factor, and turn b when the whole fit points away
     */
    double scale = t_at(&d.a, 400) / a_want[0];
    double sign = loss_with(&k, &anchors, 0, 0) > 1 ? -1 : 1;
    for (int r = 0; r < 5; r++) {
        assert_near(t_at(&d.a, r * 784 + 400) / scale, a_want[r], 1e-7);
        double b = turned(&k, &anchors, r) ? -b_want[r] : b_want[r];
        assert_near(t_at(&d.b, r * 784 + 400) / fabs(scale), b * sign, 1e-7);
    }
    double plain = loss_with(&k, &anchors, 0, 0);
    assert_near(plain, 1 - sign * similarity_of(&d, &k.b, NULL), 1e-5);
    assert_near(loss_with(&k, &anchors, 1, 0) - plain, 0.39725016492054327, 1e-5);
    assert_near(loss_with(&k, &anchors, 0, 1) - plain, 0.6164691330388692, 1e-5);
    dict_done(&d);
    twobank_free(f);
    tensor_release(&anchors);
    case_done(&k);
}

static void masks_begin_on_their_anchors(void **state)
{
    (void)state;
    Err err = {0};
    Case k = case_formula();
    TwoBankCfg c = settings(6);
    DictData data = {.height = 28, .width = 28};
    Tensor anchors;
    c.distill = 0;
    TwoBank *f = twobank_new(&c, &k.b, &data, &err);
    assert_non_null(f);
    assert_ok(stroke_anchors(6, 28, 28, &anchors, &err), err);
    const Tensor *centre = tset_get(twobank_params(f), "centre");
    for (int r = 0; r < 12; r++) {
        double y = 0, x = 0;
        for (int i = 0; i < 784; i++) {
            double e = pow(t_at(&anchors, r * 784 + i), 2);
            y += e * (i / 28 / 13.5 - 1);
            x += e * (i % 28 / 13.5 - 1);
        }
        assert_near(.9 * tanh(t_at(centre, 2 * r)), y, 1e-5);
        assert_near(.9 * tanh(t_at(centre, 2 * r + 1)), x, 1e-5);
    }
    tensor_release(&anchors);
    twobank_free(f);
    case_done(&k);
}

static void gradients_match_differences(void **state)
{
    (void)state;
    Err err = {0};
    Case k = case_random(1, 3, 6, 7, 20, 5);
    TwoBankCfg c = settings(6);
    int32_t at[5] = {0, 3, 1, 6, 3};
    Tensor logits, idx = tensor_wrap(I32, 1, DIMS(5), at);
    assert_ok(interaction_logits(&k.b, &k.x, &logits, &err), err);
    DictData data = {.x = &k.x, .logits = &logits, .height = 4, .width = 5};
    c.anchor = 0.1;
    TwoBank *f = twobank_new(&c, &k.b, &data, &err);
    assert_non_null(f);
    Loss l = loss_of(f, 5);
    TensorSet *p = twobank_params(f);
    for (int w = 0; w < 4; w++) { /* away from the start, where |pattern| has kinks */
        const Tensor *t = tset_at(p, w);
        Tensor z = t_random(70 + (uint64_t)w, F32, 2, t->dim, -0.05, 0.05);
        for (int64_t i = 0; i < tensor_count(t); i++)
            d32(t)[i] += d32(&z)[i];
        tensor_release(&z);
    }
    for (int w = 0; w < 4; w++) {
        Tensor t = tensor_retain(tset_at(p, w)), old, d;
        double slope = 0, v[2], top = 0;
        run_loss(&l, &idx);
        assert_ok(tensor_copy(&t, &old, &err), err);
        const Tensor *g =
            plan_output(l.plan, plan_output_index(l.plan, tset_name(p, w)));
        assert_ok(tensor_copy(g, &d, &err), err);
        for (int64_t i = 0; i < tensor_count(&t); i++) {
            slope += t_at(&d, i) * t_at(&d, i);
            top = fmax(top, fabs(t_at(&d, i)));
        }
        double step = 2e-3 / top;
        for (int side = 0; side < 2; side++) {
            for (int64_t i = 0; i < tensor_count(&t); i++)
                d32(&t)[i] =
                    (float)(t_at(&old, i) + (side ? -step : step) * t_at(&d, i));
            v[side] = run_loss(&l, &idx);
        }
        assert_ok(tensor_copy_into(&old, &t, &err), err);
        assert_true(top > 1e-5);
        assert_near((v[0] - v[1]) / (2 * step) / slope, 1, 0.02);
        tensor_release(&t);
        tensor_release(&old);
        tensor_release(&d);
    }
    loss_done(&l);
    twobank_free(f);
    tensor_release(&logits);
    case_done(&k);
}

static void steps_raise_the_similarity(void **state)
{
    (void)state;
    Err err = {0};
    Case k = case_formula();
    TwoBankCfg c = settings(12);
    DictData data = {.height = 28, .width = 28};
    Dictionary before, after;
    OptimCfg o;
    OptimParam p[4];
    Val w[4], d[4];
    TensorSet *moments = tset_new(&err);
    Graph *g = graph_new(&err);
    c.distill = 0;
    TwoBank *f = twobank_new(&c, &k.b, &data, &err);
    assert_non_null(f);
    assert_ok(twobank_finish(f, &before, &err), err);
    Val loss = twobank_loss(f, g, VAL_NONE);
    for (int i = 0; i < 4; i++)
        w[i] = graph_state(g, tset_name(twobank_params(f), i),
                           tset_at(twobank_params(f), i));
    graph_grad(g, loss, w, 4, d);
    for (int i = 0; i < 4; i++)
        p[i] = (OptimParam){tset_name(twobank_params(f), i), w[i], d[i], 0};
    assert_ok(opt_defaults(optim_options, optim_n_options, &o, &err), err);
    assert_ok(optim_build(g, &o, p, 4, moments, &err), err);
    Plan *plan = plan_of(g, 0);
    Tensor in[2] = {{0}};
    for (int s = 1; s <= 60; s++)
        assert_ok(plan_bind_number(plan, plan_input_index(plan, "lr"), 0.01, &err) &&
                      plan_bind_number(plan, plan_input_index(plan, "t"), s, &err) &&
                      plan_run(plan, in, &err),
                  err);
    assert_ok(twobank_finish(f, &after, &err), err);
    double first = similarity_of(&before, &k.b, NULL),
           last = similarity_of(&after, &k.b, NULL);
    assert_true(last > first + 0.2);
    for (int64_t r = 0; r < 12; r++) /* owners never move */
        assert_int_equal(((int32_t *)before.owner.data)[r],
                         ((int32_t *)after.owner.data)[r]);
    plan_free(plan);
    graph_free(g);
    tset_free(moments);
    dict_done(&before);
    dict_done(&after);
    twobank_free(f);
    case_done(&k);
}

/* --- what goes wrong -------------------------------------------------------------- */

static void settings_that_cannot_work(void **state)
{
    (void)state;
    Err err = {0};
    Case k = case_random(2, 3, 4, 5, 12, 5);
    TwoBankCfg c = settings(4);
    DictData d = {.height = 3, .width = 4};
    Tensor few = t_make(F32, 2, DIMS(7, 12));
    assert_null(twobank_new(&c, &k.b, &d, &err));
    assert_has(err.msg, "logits");
    c.distill = 0;
    d.height = 4;
    assert_null(twobank_new(&c, &k.b, &d, &err));
    assert_has(err.msg, "4 x 4");
    d.height = 3;
    d.anchors = &few;
    assert_null(twobank_new(&c, &k.b, &d, &err));
    assert_has(err.msg, "f32[8,12]");
    tensor_release(&few);
    case_done(&k);
}

typedef struct TryCtx {
    const Case *k;
    const DictData *d;
} TryCtx;

static bool try_bank(void *ctx, Err *err)
{
    TryCtx *t = ctx;
    TwoBankCfg c = settings(4);
    Dictionary d = {0};
    TwoBank *f = twobank_new(&c, &t->k->b, t->d, err);
    bool ok = f && twobank_finish(f, &d, err);
    dict_done(&d);
    twobank_free(f);
    return ok;
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    Err err = {0};
    Case k = case_random(3, 2, 3, 3, 12, 1);
    Tensor logits;
    assert_ok(interaction_logits(&k.b, &k.x, &logits, &err), err);
    DictData d = {.x = &k.x, .logits = &logits, .height = 3, .width = 4};
    assert_true(fail_each_alloc(try_bank, &(TryCtx){&k, &d}) > 50);
    tensor_release(&logits);
    case_done(&k);
}

int main(void)
{
    blas_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(templates),
        cmocka_unit_test(anchors_pair_templates),
        cmocka_unit_test(any_size),
        cmocka_unit_test(the_formula_case),
        cmocka_unit_test(masks_begin_on_their_anchors),
        cmocka_unit_test(gradients_match_differences),
        cmocka_unit_test(steps_raise_the_similarity),
        cmocka_unit_test(settings_that_cannot_work),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
