/* The loss of a fit: against an independent program, against dense tensors, its
 * gradient against differences; steps lower it; settings that cannot work are named. */
#include "case.h"

#include "base/str.h"
#include "decomp/fit.h"
#include "graph/optim.h"

static DictCfg settings(int64_t components)
{
    Err err = {0};
    DictCfg c;
    assert_ok(opt_defaults(dict_options, dict_n_options, &c, &err), err);
    c.components = components;
    return c;
}

static DictCfg no_priors(DictCfg c)
{
    memset(c.prior, 0, sizeof c.prior);
    return c;
}

typedef struct Loss {
    Graph *g;
    Plan *plan;
    int loss, similarity, da;
} Loss;

static Loss loss_of(DictFit *f, int64_t batch)
{
    Err err = {0};
    Loss l = {.g = graph_new(&err)};
    Val idx = batch ? graph_input(l.g, "idx", I32, 1, &batch) : VAL_NONE, p[2], d[2];
    Val v = dictfit_loss(f, l.g, idx);
    for (int k = 0; k < 2; k++)
        p[k] = graph_state(l.g, tset_name(dictfit_params(f), k),
                           tset_at(dictfit_params(f), k));
    graph_output(l.g, "loss", v);
    graph_grad(l.g, v, p, 2, d);
    graph_output(l.g, "da", d[0]);
    graph_output(l.g, "db", d[1]);
    if (!graph_ok(l.g))
        fail_msg("%s", graph_err(l.g)->msg);
    l.plan = plan_of(l.g, 0);
    l.loss = plan_output_index(l.plan, "loss");
    l.similarity = plan_output_index(l.plan, "similarity");
    l.da = plan_output_index(l.plan, "da");
    return l;
}

static double run_loss(Loss *l, const Tensor *idx)
{
    Err err = {0};
    assert_ok(plan_run(l->plan, idx, &err), err);
    return t_at(plan_output(l->plan, l->loss), 0);
}

static void loss_done(Loss *l)
{
    plan_free(l->plan);
    graph_free(l->g);
}

static DictFit *fit_new(const DictCfg *c, const Case *k, const DictData *d)
{
    Err err = {0};
    DictFit *f = dictfit_new(c, &k->b, d, &err);
    if (!f)
        fail_msg("dictfit_new: %s", err.msg);
    return f;
}

/* Makes the fit's parameters those of the case. */
static void set_factors(DictFit *f, const Dictionary *d)
{
    Err err = {0};
    Tensor a = tensor_retain(tset_at(dictfit_params(f), 0));
    Tensor b = tensor_retain(tset_at(dictfit_params(f), 1));
    assert_ok(tensor_copy_into(&d->a, &a, &err) && tensor_copy_into(&d->b, &b, &err),
              err);
    tensor_release(&a);
    tensor_release(&b);
}

/* --- values ----------------------------------------------------------------------- */

static void the_formula_case(void **state)
{
    (void)state;
    static const double da[5] = {-0.00468037281394913, 0.00978490097464471,
                                 0.002088090630913127, -0.0050218089575146145,
                                 0.0011364343205949002};
    static const double db[5] = {0.0015647478815020593, -0.0006800900622066534,
                                 -0.000919818731353442, 0.0007633262299206338,
                                 0.0014042540624625407};
    Case k = case_formula();
    DictCfg c = settings(5);
    DictData data = {.S = &k.S, .height = 28, .width = 28};
    double na = 0, nb = 0;
    strcpy(c.start, "random"); /* owners 0 1 2 0 1, as the formulas have them */
    DictFit *f = fit_new(&c, &k, &data);
    set_factors(f, &k.d);
    Loss l = loss_of(f, 0);
    assert_near(run_loss(&l, NULL), 0.9903697341351619, 2e-6);
    assert_near(t_at(plan_output(l.plan, l.similarity), 0), 0.18325333179061642, 1e-6);
    const Tensor *ga = plan_output(l.plan, l.da), *gb = plan_output(l.plan, l.da + 1);
    for (int64_t i = 0; i < 5 * 784; i++) {
        na += pow(t_at(ga, i), 2);
        nb += pow(t_at(gb, i), 2);
    }
    assert_near(sqrt(na), 0.41662793497949885, 1e-5);
    assert_near(sqrt(nb), 0.08019326559386536, 1e-5);
    for (int r = 0; r < 5; r++) {
        assert_near(t_at(ga, r * 784 + 400), da[r], 2e-7);
        assert_near(t_at(gb, r * 784 + 400), db[r], 2e-7);
    }
    loss_done(&l);
    dictfit_free(f);
    case_done(&k);
}

static void similarity_is_dense(void **state)
{
    (void)state;
    Case k = case_random(1, 3, 4, 5, 12, 5);
    for (int way = 0; way < 2; way++) {
        DictCfg c = no_priors(settings(5));
        DictData data = {.S = &k.S, .height = 3, .width = 4};
        strcpy(c.start, "random");
        strcpy(c.metric, way ? "data" : "plain");
        DictFit *f = fit_new(&c, &k, &data);
        set_factors(f, &k.d);
        Loss l = loss_of(f, 0);
        DenseGram g = dense_gram(&k, &k.d, way ? &k.S : NULL);
        assert_near(run_loss(&l, NULL), 1 - g.TB / sqrt(g.TT * g.BB), 1e-6);
        loss_done(&l);
        dictfit_free(f);
    }
    case_done(&k);
}

/* Loss of the logits at the best scale, by loops. */
static double distill_by_hand(const Case *k, const Tensor *logits, const int32_t *idx,
                              int n)
{
    DenseGram g = dense_gram(k, &k->d, NULL);
    double mse = 0, m = 0, m2 = 0, count = (double)tensor_count(logits);
    for (int64_t i = 0; i < tensor_count(logits); i++) {
        m += t_at(logits, i) / count;
        m2 += pow(t_at(logits, i), 2) / count;
    }
    for (int s = 0; s < n; s++)
        for (int64_t c = 0; c < k->C; c++) {
            double y = 0;
            for (int64_t r = 0; r < k->R; r++) {
                double xa = 0, xb = 0;
                for (int64_t i = 0; i < k->I; i++) {
                    double x = t_at(&k->x, idx[s] * k->I + i);
                    xa += x * t_at(&k->d.a, r * k->I + i);
                    xb += x * t_at(&k->d.b, r * k->I + i);
                }
                y += r % k->C == c ? xa * xb : 0;
            }
            mse += pow(y * g.TB / g.TT - t_at(logits, idx[s] * k->C + c), 2);
        }
    return mse / (double)(n * k->C) / (m2 - m * m);
}

static void distillation_by_hand(void **state)
{
    (void)state;
    Err err = {0};
    Case k = case_random(2, 3, 4, 5, 12, 5);
    DictCfg c = no_priors(settings(5));
    int32_t at[4] = {6, 0, 3, 3};
    Tensor logits, idx = tensor_wrap(I32, 1, DIMS(4), at);
    assert_ok(interaction_logits(&k.b, &k.x, &logits, &err), err);
    DictData data = {.x = &k.x, .logits = &logits, .height = 3, .width = 4};
    strcpy(c.start, "random");
    strcpy(c.metric, "plain");
    c.distill = 0.7;
    DictFit *f = fit_new(&c, &k, &data);
    set_factors(f, &k.d);
    Loss l = loss_of(f, 4);
    double want =
        1 - similarity_of(&k.d, &k.b, NULL) + 0.7 * distill_by_hand(&k, &logits, at, 4);
    assert_near(run_loss(&l, &idx) / want, 1, 1e-5);
    loss_done(&l);
    dictfit_free(f);
    tensor_release(&logits);
    case_done(&k);
}

/* --- gradients -------------------------------------------------------------------- */

/* Along random directions, as the loss is in f32; every prior on but no kinks within a
 * step. */
static void check_slope(const DictCfg *c, const Case *k, const DictData *data)
{
    DictFit *f = fit_new(c, k, data);
    Loss l = loss_of(f, 0);
    for (uint64_t way = 0; way < 6; way++) {
        Tensor p = tensor_retain(tset_at(dictfit_params(f), way & 1)), old = {0};
        Tensor z = t_random(50 + way, F32, 2, p.dim, -1, 1);
        Err err = {0};
        double slope = 0, step = 2e-3, v[2];
        run_loss(&l, NULL);
        const Tensor *d = plan_output(l.plan, l.da + (int)(way & 1));
        for (int64_t i = 0; i < tensor_count(&p);
             i++) { /* mostly uphill: a large slope */
            d32(&z)[i] = (float)t_at(d, i) * 20 + 0.2f * d32(&z)[i];
            slope += t_at(d, i) * (double)d32(&z)[i];
        }
        assert_ok(tensor_copy(&p, &old, &err), err);
        for (int side = 0; side < 2; side++) {
            for (int64_t i = 0; i < tensor_count(&p); i++)
                d32(&p)[i] = d32(&old)[i] + (float)(side ? -step : step) * d32(&z)[i];
            v[side] = run_loss(&l, NULL);
        }
        assert_ok(tensor_copy_into(&old, &p, &err), err);
        assert_near((v[0] - v[1]) / (2 * step) / slope, 1, 0.01);
        tensor_release(&p);
        tensor_release(&old);
        tensor_release(&z);
    }
    loss_done(&l);
    dictfit_free(f);
}

static void gradients_match_differences(void **state)
{
    (void)state;
    Case k = case_random(3, 3, 6, 7, 20, 5);
    Tensor unlit = t_make(F32, 1, DIMS(20));
    for (int i = 0; i < 20; i += 4)
        d32(&unlit)[i] = 1;
    DictData data = {.S = &k.S, .unlit = &unlit, .height = 4, .width = 5};
    DictCfg c = settings(5);
    c.emphasis = 0; /* its weights have no gradient by definition */
    c.prior[3] = c.prior[4] = c.prior[6] = 0.02;
    static const char *const family[2] = {"cp", "split"};
    static const char *const start[3] = {"gauge", "stroke", "random"};
    for (int way = 0; way < 6; way++) {
        strcpy(c.family, family[way & 1]);
        strcpy(c.start, start[way / 2]);
        check_slope(&c, &k, &data);
    }
    tensor_release(&unlit);
    case_done(&k);
}

static void a_given_start(void **state)
{
    (void)state;
    Err err = {0};
    Case k = case_random(11, 3, 4, 5, 12, 5);
    DictCfg c = settings(5);
    DictData data = {.S = &k.S, .given = &k.d, .height = 3, .width = 4};
    Dictionary d;
    strcpy(c.start, "given");
    d32(&k.d.head)[0] = -2; /* size and sign of heads go into the factors */
    DictFit *f = fit_new(&c, &k, &data);
    assert_ok(dictfit_finish(f, &d, &err), err);
    double was = similarity_of(&k.d, &k.b, &k.S);
    assert_near(similarity_of(&d, &k.b, &k.S), fabs(was), 1e-6);
    assert_true(fabs(was) > 1e-3);
    dictfit_free(f);
    dict_done(&d);
    d32(&k.d.head)[1] = 1;
    assert_null(dictfit_new(&c, &k.b, &data, &err));
    assert_has(err.msg, "one-class");
    c.components = 4;
    assert_null(dictfit_new(&c, &k.b, &data, &err));
    assert_has(err.msg, "4 displayed");
    case_done(&k);
}

/* --- fitting ---------------------------------------------------------------------- */

/* Adam steps on the fit's own parameters; returns the last loss. */
static double descend(DictFit *f, int steps)
{
    Err err = {0};
    OptimCfg o;
    OptimParam p[2];
    TensorSet *moments = tset_new(&err);
    Graph *g = graph_new(&err);
    Val loss = dictfit_loss(f, g, VAL_NONE), wrt[2], d[2];
    double last = 0;
    assert_ok(opt_defaults(optim_options, optim_n_options, &o, &err), err);
    strcpy(o.method, "adam");
    o.weight_decay = 0;
    for (int k = 0; k < 2; k++) {
        p[k].name = tset_name(dictfit_params(f), k);
        wrt[k] = graph_state(g, p[k].name, tset_at(dictfit_params(f), k));
    }
    graph_grad(g, loss, wrt, 2, d);
    for (int k = 0; k < 2; k++)
        p[k] = (OptimParam){p[k].name, wrt[k], d[k], 0};
    graph_output(g, "loss", loss);
    assert_ok(optim_build(g, &o, p, 2, moments, &err), err);
    Plan *plan = plan_of(g, 0);
    int lr = plan_input_index(plan, "lr"), t = plan_input_index(plan, "t");
    Tensor in[2] = {{0}};
    for (int s = 1; s <= steps; s++) {
        assert_ok(
            plan_bind_number(plan, lr, 0.02 * (1 - (double)s / (steps + 1)), &err) &&
                plan_bind_number(plan, t, s, &err) && plan_run(plan, in, &err),
            err);
        last = t_at(plan_output(plan, plan_output_index(plan, "loss")), 0);
        assert_true(isfinite(last));
    }
    plan_free(plan);
    graph_free(g);
    tset_free(moments);
    return last;
}

static void random_starts_reach_the_limit(void **state)
{
    (void)state;
    Err err = {0};
    Case k = case_random(4, 2, 4, 6, 6, 5);
    Spectrum s;
    static const char *const family[2] = {"cp", "split"};
    assert_ok(spectrum_new(&k.b, &k.S, &s, &err), err);
    for (int way = 0; way < 2; way++) {
        DictCfg c = no_priors(settings(4)); /* 2 a class: all of both */
        DictData data = {.S = &k.S, .height = 2, .width = 3};
        Dictionary d;
        strcpy(c.start, "random");
        strcpy(c.family, family[way]);
        DictFit *f = fit_new(&c, &k, &data);
        descend(f, 1500);
        assert_ok(dictfit_finish(f, &d, &err), err);
        double got = similarity_of(&d, &k.b, &k.S);
        double limit = limit_one_hot(&s, 4, true, NULL);
        assert_true(got <= limit + 1e-6);
        assert_near(got, limit, 5e-3);
        dict_done(&d);
        dictfit_free(f);
    }
    spectrum_done(&s);
    case_done(&k);
}

static void priors_pay_with_similarity(void **state)
{
    (void)state;
    Err err = {0};
    Case k = case_random(5, 3, 6, 7, 20, 5);
    DictCfg c = settings(6);
    DictData data = {.S = &k.S, .height = 4, .width = 5};
    Dictionary before, after;
    DictFit *f = fit_new(&c, &k, &data);
    Loss l = loss_of(f, 0);
    double first = run_loss(&l, NULL);
    assert_ok(dictfit_finish(f, &before, &err), err);
    assert_true(descend(f, 200) < first - 0.005);
    assert_ok(dictfit_finish(f, &after, &err), err);
    assert_true(similarity_of(&after, &k.b, &k.S) < similarity_of(&before, &k.b, &k.S));
    assert_true(similarity_of(&after, &k.b, &k.S) > 0.8);
    DictGram g;
    assert_ok(dict_gram(&after, &k.b, &k.S, &g, NULL, &err), err);
    assert_near(g.TB / g.TT, 1, 1e-5); /* scaled by least squares */
    loss_done(&l);
    dict_done(&before);
    dict_done(&after);
    dictfit_free(f);
    case_done(&k);
}

static void no_steps_keep_the_limit(void **state)
{
    (void)state;
    Err err = {0};
    Case k = case_random(6, 3, 6, 7, 20, 5);
    Spectrum s;
    static const char *const start[2] = {"eigen", "gauge"};
    for (int way = 0; way < 4; way++) {
        const Tensor *S = way & 1 ? &k.S : NULL;
        DictCfg c = settings(7);
        DictData data = {.S = &k.S, .height = 4, .width = 5};
        Dictionary d;
        strcpy(c.metric, S ? "data" : "plain");
        strcpy(c.start, start[way / 2]);
        DictFit *f = fit_new(&c, &k, &data);
        assert_ok(spectrum_new(&k.b, S, &s, &err), err);
        assert_ok(dictfit_finish(f, &d, &err), err);
        assert_near(similarity_of(&d, &k.b, S), limit_one_hot(&s, 7, true, NULL), 2e-6);
        spectrum_done(&s);
        dict_done(&d);
        dictfit_free(f);
    }
    case_done(&k);
}

static void toy_sizes(void **state)
{
    (void)state;
    Err err = {0};
    for (int64_t I = 1; I <= 4; I += 3)
        for (int64_t R = 1; R <= 9; R += 4) { /* far more components than eigenvalues */
            Case k = case_random(17, 1, 1, 2, I, 1);
            DictCfg c = settings(R);
            DictData data = {
                .S = &k.S, .height = I > 1 ? 2 : 1, .width = I > 1 ? 2 : 1};
            Dictionary d;
            DictFit *f = fit_new(&c, &k, &data);
            descend(f, 20);
            assert_ok(dictfit_finish(f, &d, &err), err);
            assert_near(similarity_of(&d, &k.b, &k.S), 1, 0.05);
            dict_done(&d);
            dictfit_free(f);
            case_done(&k);
        }
}

/* --- what goes wrong -------------------------------------------------------------- */

static void refuses(const DictCfg *c, const Case *k, const DictData *d, ErrCode code,
                    const char *part)
{
    Err err = {0};
    assert_null(dictfit_new(c, &k->b, d, &err));
    assert_int_equal(err.code, code);
    assert_has(err.msg, part);
}

static void settings_that_cannot_work(void **state)
{
    (void)state;
    Case k = case_random(8, 3, 4, 5, 12, 5), z = case_random(8, 3, 4, 5, 12, 5);
    DictCfg c = settings(5), x = c;
    DictData good = {.S = &k.S, .height = 3, .width = 4}, d = good;
    Tensor few = t_make(F32, 2, DIMS(9, 12)), mask = t_make(F32, 1, DIMS(5));
    d.S = NULL;
    refuses(&c, &k, &d, ERR_OPTION, "training images");
    d = good;
    d.height = 5;
    refuses(&c, &k, &d, ERR_SHAPE, "5 x 4");
    d = good;
    d.unlit = &mask;
    refuses(&c, &k, &d, ERR_SHAPE, "f32[5]");
    d = good;
    d.anchors = &few;
    strcpy(x.start, "stroke");
    refuses(&x, &k, &d, ERR_SHAPE, "f32[10,12]");
    x = c;
    x.distill = 1;
    refuses(&x, &k, &good, ERR_OPTION, "logits");
    d = good;
    d.x = &k.x;
    d.logits = &few;
    refuses(&x, &k, &d, ERR_SHAPE, "f32[N,3]");
    x = c;
    x.components = 0;
    strcpy(x.start, "random");
    refuses(&x, &k, &good, ERR_SHAPE, "component");
    memset(z.b.core.data, 0, tensor_bytes(&z.b.core));
    strcpy(x.start, "random");
    x.components = 2;
    refuses(&x, &z, &good, ERR_NUMERIC, "zero");
    tensor_release(&few);
    tensor_release(&mask);
    case_done(&k);
    case_done(&z);
}

typedef struct TryCtx {
    const Case *k;
    const DictCfg *c;
    const DictData *d;
} TryCtx;

static bool try_fit(void *ctx, Err *err)
{
    TryCtx *t = ctx;
    Dictionary d = {0};
    DictFit *f = dictfit_new(t->c, &t->k->b, t->d, err);
    bool ok = f && dictfit_finish(f, &d, err);
    if (ok) {
        Graph *g = graph_new(err);
        int64_t batch = 3;
        ok = g != NULL;
        if (g) {
            dictfit_loss(f, g, graph_input(g, "idx", I32, 1, &batch));
            ok = graph_ok(g) ||
                 err_set(err, graph_err(g)->code, "%s", graph_err(g)->msg);
        }
        graph_free(g);
    }
    dict_done(&d);
    dictfit_free(f);
    return ok;
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    Err err = {0};
    Case k = case_random(9, 2, 3, 3, 4, 1);
    Tensor logits, unlit = t_make(F32, 1, DIMS(4));
    assert_ok(interaction_logits(&k.b, &k.x, &logits, &err), err);
    DictData d = {.S = &k.S,
                  .unlit = &unlit,
                  .x = &k.x,
                  .logits = &logits,
                  .height = 2,
                  .width = 2};
    static const char *const start[3] = {"gauge", "stroke", "random"};
    for (int way = 0; way < 3; way++) {
        DictCfg c = settings(3);
        strcpy(c.start, start[way]);
        c.distill = c.prior[4] = 0.1;
        assert_true(fail_each_alloc(try_fit, &(TryCtx){&k, &c, &d}) > 50);
    }
    tensor_release(&logits);
    tensor_release(&unlit);
    case_done(&k);
}

int main(void)
{
    blas_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_formula_case),
        cmocka_unit_test(similarity_is_dense),
        cmocka_unit_test(a_given_start),
        cmocka_unit_test(distillation_by_hand),
        cmocka_unit_test(gradients_match_differences),
        cmocka_unit_test(random_starts_reach_the_limit),
        cmocka_unit_test(priors_pay_with_similarity),
        cmocka_unit_test(no_steps_keep_the_limit),
        cmocka_unit_test(toy_sizes),
        cmocka_unit_test(settings_that_cannot_work),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
