/* The search for a penalty: grids that flag their edges, brackets that expand, on curves
 * that are known; then what schedules and starts do to a training. */
#include "toy.h"

#include "base/str.h"
#include "decomp/sae_metrics.h"
#include "lab/sae_search.h"

/* ---- known curves ---------------------------------------------------------------- */

typedef struct Curve {
    double scale; /* L0 = scale / weight, at most 30 */
    int64_t calls, fail_at;
} Curve;

static bool curve(void *ctx, double weight, double *l0, Err *err)
{
    Curve *c = ctx;
    if (++c->calls == c->fail_at)
        return err_set(err, ERR_NUMERIC, "trial %d failed", (int)c->calls);
    *l0 = fmin(30, c->scale / weight);
    return true;
}

static void a_grid_flags_its_edges(void **state)
{
    (void)state;
    Err err = {0};
    L0Search s;
    /* the published grid: the target needs 0.2, both grids end below it */
    Curve c = {.scale = 0.2};
    assert_ok(l0_grid(curve, &c, 1, 1e-5, 1e-2, 4, 3, &s, &err), err);
    assert_near(s.weight, 9e-2, 1e-12);
    assert_true(s.edge && !s.bracketed);
    assert_int_equal(s.trials, 7);
    assert_near(s.l0, 0.2 / 0.09, 1e-9);
    /* the best is the first */
    c = (Curve){.scale = 1e-9};
    assert_ok(l0_grid(curve, &c, 1, 1e-5, 1e-2, 4, 0, &s, &err), err);
    assert_true(s.edge && s.weight == 1e-5);
    /* inside */
    c = (Curve){.scale = 1.1e-3};
    assert_ok(l0_grid(curve, &c, 1, 1e-5, 1e-1, 9, 5, &s, &err), err);
    assert_true(!s.edge && s.bracketed);
    assert_near(s.weight, 1e-3, 1e-9);
    assert_false(l0_grid(curve, &c, 1, 1e-2, 1e-5, 4, 0, &s, &err));
    assert_has(err.msg, "between lo > 0 and a larger hi");
    c.fail_at = c.calls + 3;
    assert_false(l0_grid(curve, &c, 1, 1e-5, 1e-2, 4, 0, &s, &err));
    assert_has(err.msg, "failed");
}

static void a_bracket_expands(void **state)
{
    (void)state;
    Err err = {0};
    L0Search s;
    const double scales[] = {2e-6, 0.04, 0.2, 700};
    for (size_t k = 0; k < ARRAY_LEN(scales); k++) {
        Curve c = {.scale = scales[k]};
        assert_ok(l0_bracket(curve, &c, 1.5, 0.05, 1e-3, 60, &s, &err), err);
        assert_true(s.bracketed && !s.edge);
        assert_near(s.l0, 1.5, 1.5e-3);
        assert_near(s.weight, scales[k] / 1.5, 2e-3 * scales[k]);
        assert_true(s.lo < s.hi && s.hi / s.lo <= 3 + 1e-9);
    }
    /* no trials left: no answer is claimed */
    Curve c = {.scale = 700};
    assert_ok(l0_bracket(curve, &c, 1.5, 0.05, 1e-3, 4, &s, &err), err);
    assert_true(s.edge && !s.bracketed);
    assert_int_equal(s.trials, 4);
    assert_false(l0_bracket(curve, &c, 1.5, 0, 1e-3, 4, &s, &err));
    assert_has(err.msg, "start above 0");
}

/* ---- trainings ------------------------------------------------------------------- */

enum { N = 600, D = 8 };

static Tensor sums(uint64_t seed)
{
    Err err = {0};
    Tensor x;
    RngKey key = {.seed = seed, .stream = rng_stream("sums")};
    assert_ok(tensor_zeros(F32, 2, (int64_t[]){N, D}, &x, &err), err);
    for (int64_t i = 0; i < N; i++)
        for (int64_t k = 0; k < 3; k++)
            ((float *)x.data)[i * D + rng_below(key, 6 * i + k, D)] +=
                (float)(1 + rng_unit(key, 6 * i + 3 + k));
    return x;
}

static SaeCfg settings(const char *const *set)
{
    Err err = {0};
    SaeCfg c;
    assert_ok(opt_defaults(sae_options, sae_n_options, &c, &err), err);
    text_copy(c.activation, sizeof c.activation, "jumprelu_sigmoid");
    text_copy(c.normalise, sizeof c.normalise, "zscore");
    c.latents = 16;
    c.batch = 50;
    c.steps = 600;
    c.theta = 0.3;
    c.width = 0.1;
    for (; set && *set; set += 2)
        assert_ok(
            opt_set_text(sae_options, sae_n_options, &c, set[0], set[1], "sae", &err),
            err);
    return c;
}

static void the_search_trains(void **state)
{
    (void)state;
    Err err = {0};
    Tensor x = sums(1), held = sums(2);
    SaeCfg c = settings(NULL);
    SaeSearchCfg how;
    SaeSearch found;
    SaeMetrics m;
    assert_ok(opt_defaults(sae_search_options, sae_search_n_options, &how, &err), err);
    how.target = 2;
    how.most = 20;
    how.close = 0.02;
    Sae *s = sae_search(&c, &how, &x, &held, NULL, &found, &err);
    if (!s)
        fail_msg("%s", err.msg);
    assert_ok(sae_measure(s, &held, NULL, NULL, 0, &m, NULL, &err), err);
    assert_true(found.found.bracketed && m.l0 == found.l0);
    assert_near(m.l0, 2, 0.08);
    assert_int_equal(found.report.steps, 600 * found.found.trials);
    sae_free(s);
    text_copy(how.search, sizeof how.search, "grid");
    how.hi = 1e-4; /* too weak by far */
    how.trial_steps = 100;
    s = sae_search(&c, &how, &x, NULL, NULL, &found, &err);
    assert_non_null(s);
    assert_true(found.found.edge && found.l0 > 2.2);
    assert_int_equal(found.report.steps, 7 * 100 + 600);
    sae_free(s);
    c = settings(SET("activation", "topk"));
    assert_null(sae_search(&c, &how, &x, NULL, NULL, &found, &err));
    assert_has(err.msg, "is its k");
    tensor_release(&x);
    tensor_release(&held);
}

static Sae *trained(const Tensor *x, const char *const *set)
{
    Err err = {0};
    SaeCfg c = settings(set);
    SaeCalibration cal;
    TrainReport r;
    Sae *s = sae_new(&c, x, NULL, &err);
    if (!s || !fit_sae(s, NULL, &r, &cal, &err))
        fail_msg("%s", err.msg);
    return s;
}

static double l0_of(Sae *s, const Tensor *x)
{
    Err err = {0};
    SaeMetrics m;
    assert_ok(sae_measure(s, x, NULL, NULL, 0, &m, NULL, &err), err);
    return m.l0;
}

static void thresholds_start_at_a_percentile(void **state)
{
    (void)state;
    Err err = {0};
    Tensor x = sums(1), density;
    SaeMetrics m;
    Sae *s = trained(&x, SET("theta_share", "0.2", "theta", "1e-6", "steps", "0"));
    assert_ok(sae_measure(s, &x, NULL, NULL, 0, &m, &density, &err), err);
    for (int k = 0; k < 16; k++)
        assert_near(((double *)density.data)[k], 0.2, 0.01);
    tensor_release(&density);
    sae_free(s);
    SaeCfg c = settings(SET("activation", "topk", "theta_share", "0.2", "k", "2"));
    assert_null(sae_new(&c, &x, NULL, &err));
    assert_has(err.msg, "topk has none");
    tensor_release(&x);
}

static void thresholds_follow_the_line(void **state)
{
    (void)state;
    Tensor x = sums(1);
    static const struct {
        const char *steps;
        double part;
    } at[] = {
        {"1",   1},
        {"600", 1}
    };
    for (size_t k = 0; k < ARRAY_LEN(at); k++) {
        Sae *s = trained(&x, SET("theta_end", "0.9", "steps", at[k].steps));
        for (int m = 0; m < 16; m++)
            assert_near((double)((float *)sae_theta(s)->data)[m], 0.9, 1e-5);
        sae_free(s);
    }
    /* half way along the 80 %: stopped at 240 of 600 */
    Err err = {0};
    SaeCfg c = settings(SET("theta_end", "0.9"));
    Sae *s = sae_new(&c, &x, NULL, &err);
    TrainJob job;
    TrainCfg cfg;
    TrainReport r;
    assert_ok(sae_job(s, &job, &cfg, &err), err);
    cfg.stop_at = 240;
    assert_ok(train_run(&job, &cfg, NULL, &r, &err), err);
    assert_near((double)((float *)sae_theta(s)->data)[3], 0.6, 1e-5);
    sae_free(s);
    tensor_release(&x);
}

/* The line of widths from w to w is no line: the same bits as without it. A width that
 * ends elsewhere trains other thresholds. */
static void widths_follow_theirs(void **state)
{
    (void)state;
    Tensor x = sums(1);
    for (int k = 0; k < 3; k++) {
        const char *kinds[] = {"jumprelu", "jumprelu_sigmoid", "jumprelu_tanh"};
        Sae *a = trained(&x, SET("activation", kinds[k]));
        Sae *b = trained(&x, SET("activation", kinds[k], "width_end", "0.1"));
        Sae *c = trained(&x, SET("activation", kinds[k], "width_end", "0.5"));
        const Tensor *ta = sae_theta(a), *tb = sae_theta(b), *tc = sae_theta(c);
        assert_memory_equal(ta->data, tb->data, tensor_bytes(ta));
        double moved = 0;
        for (int m = 0; m < 16; m++)
            moved +=
                fabs((double)((float *)ta->data)[m] - (double)((float *)tc->data)[m]);
        assert_true(moved > 1e-3 && l0_of(c, &x) > 0.1);
        sae_free(a);
        sae_free(b);
        sae_free(c);
    }
    tensor_release(&x);
}

static void latents_start_at_examples(void **state)
{
    (void)state;
    Err err = {0};
    Tensor x = sums(1), copy;
    Sae *s = trained(&x, SET("start", "examples", "normalise", "none", "steps", "0"));
    const float *dec = tset_get(sae_params(s), "decoder")->data;
    const float *enc = tset_get(sae_params(s), "encoder")->data;
    const float *mean = tset_get(sae_params(s), "decoder_bias")->data;
    for (int m = 0; m < 16; m++) {
        double best = -1;
        for (int64_t i = 0; i < N; i++) {
            double dot = 0, size = 0;
            for (int d = 0; d < D; d++) {
                double v = (double)((float *)x.data)[i * D + d] - (double)mean[d];
                dot += v * (double)dec[m * D + d];
                size += v * v;
            }
            best = fmax(best, dot / sqrt(size));
        }
        assert_near(best, 1, 1e-5);
        assert_memory_equal(dec + m * D, enc + m * D, sizeof *dec * D);
    }
    sae_free(s);
    assert_ok(tensor_copy(&x, &copy, &err), err);
    SaeCfg c = settings(SET("start", "examples"));
    assert_null(sae_new(&c, &x, &copy, &err));
    assert_has(err.msg, "their own target");
    Sae *u = trained(&x, SET("start", "uniform", "steps", "0"));
    double widest = 0;
    for (int k = 0; k < 16 * D; k++)
        widest =
            fmax(widest,
                 fabs((double)((float *)tset_get(sae_params(u), "encoder")->data)[k]));
    assert_true(widest <= 1 / sqrt(D) && widest > 0.9 / sqrt(D));
    sae_free(u);
    tensor_release(&x);
    tensor_release(&copy);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_grid_flags_its_edges),
        cmocka_unit_test(a_bracket_expands),
        cmocka_unit_test(the_search_trains),
        cmocka_unit_test(thresholds_start_at_a_percentile),
        cmocka_unit_test(thresholds_follow_the_line),
        cmocka_unit_test(widths_follow_theirs),
        cmocka_unit_test(latents_start_at_examples),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
