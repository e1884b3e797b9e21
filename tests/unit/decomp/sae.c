/* Sparse autoencoders: parameters set by hand whose codes, thresholds, metrics and
 * gradients are known, and the loss against plain loops. */
#include "graph_support.h"

#include "base/str.h"
#include "decomp/sae.h"
#include "decomp/sae_metrics.h"

enum { N = 60, D = 6 };

static SaeCfg settings(const char *activation, const char *norm, int64_t latents)
{
    Err err = {0};
    SaeCfg c;
    assert_ok(opt_defaults(sae_options, sae_n_options, &c, &err), err);
    text_copy(c.activation, sizeof c.activation, activation);
    text_copy(c.normalise, sizeof c.normalise, norm);
    c.latents = latents;
    c.k = 2;
    return c;
}

static Tensor examples(void)
{
    return t_random(5, F32, 2, DIMS(N, D), -1, 2);
}

static Sae *make(const SaeCfg *c, const Tensor *x, const Tensor *y)
{
    Err err = {0};
    Sae *s = sae_new(c, x, y, &err);
    if (!s)
        fail_msg("%s", err.msg);
    return s;
}

static float *param(Sae *s, const char *name)
{
    const Tensor *t = tset_get(sae_params(s), name);
    if (!t)
        fail_msg("no parameter %s", name);
    return t->data;
}

static void fill(Sae *s, const char *name, uint64_t seed, double lo, double hi)
{
    const Tensor *t = tset_get(sae_params(s), name);
    Tensor r = t_random(seed, F32, t->ndim, t->dim, lo, hi);
    memcpy(t->data, r.data, tensor_bytes(&r));
    tensor_release(&r);
}

/* Encoder and decoder rows +e_d, then -e_d; everything else 0: relu is the identity. */
static void both_signs(Sae *s, int64_t d)
{
    for (int64_t m = 0; m < 2 * d; m++)
        for (int64_t i = 0; i < d; i++)
            param(s, "encoder")[m * d + i] = param(s, "decoder")[m * d + i] =
                m % d == i ? (m < d ? 1 : -1) : 0;
}

static Tensor codes_of(Sae *s, const Tensor *x)
{
    Err err = {0};
    Tensor f;
    assert_ok(sae_codes(s, x, &f, &err), err);
    return f;
}

/* ---- codes ----------------------------------------------------------------------- */

static void test_batch_threshold(void **state)
{
    (void)state;
    static const float v[6] = {3, 2.5f, -1, 2, 0.5f, 0.1f};
    static const double want[6] = {3, 2.5, 0, 0, 0, 0};
    Err err = {0};
    Tensor x = tensor_wrap(F32, 2, DIMS(2, 3), (void *)v);
    SaeCfg c = settings("batchtopk", "none", 3);
    SaeCalibration cal;
    c.k = 1;
    Sae *s = make(&c, &x, NULL);
    for (int m = 0; m < 9; m++)
        param(s, "encoder")[m] = param(s, "decoder")[m] = m % 4 == 0;
    memset(param(s, "decoder_bias"), 0, 12);
    assert_ok(sae_calibrate(s, &x, 1, &cal, &err), err);
    double theta = t_at(sae_theta(s), 0);
    assert_true(theta >= 2 && theta < 2.5);
    assert_near(cal.before, 2.5, 0);
    assert_near(cal.after, 1, 0);
    assert_false(cal.edge);
    Tensor both = codes_of(s, &x);
    for (int i = 0; i < 6; i++)
        assert_near(t_at(&both, i), want[i], 0);
    for (int r = 0; r < 2; r++) { /* alone as among others */
        Tensor one = tensor_wrap(F32, 2, DIMS(1, 3), (void *)(v + 3 * r));
        Tensor f = codes_of(s, &one);
        assert_memory_equal(f.data, (float *)both.data + 3 * r, 12);
        tensor_release(&f);
    }
    assert_ok(sae_calibrate(s, &x, 3, &cal, &err), err); /* one of six is negative */
    assert_true(cal.edge);
    tensor_release(&both);
    sae_free(s);
}

/* A code that wins by the largest logit keeps every answer. */
static void test_argmax_code(void **state)
{
    (void)state;
    enum { C = 10, K = 400 };
    const double B = 15; /* alpha (y_c + B) wins where the logit does */
    Err err = {0};
    Tensor y = t_random(8, F32, 2, DIMS(K, C), -6, 9), f, out;
    double mean[C] = {0}, std[C] = {0}, class_mean[C][C] = {{0}}, count[C] = {0};
    const float *v = y.data;
    for (int i = 0; i < K * C; i++)
        mean[i % C] += (double)v[i] / K;
    for (int i = 0; i < K * C; i++)
        std[i % C] += pow((double)v[i] - mean[i % C], 2) / (K - 1);
    SaeCfg c = settings("topk", "zscore", C);
    c.k = 1;
    Sae *s = make(&c, &y, NULL);
    for (int i = 0; i < K; i++) {
        int top = 0;
        for (int k = 1; k < C; k++)
            top = v[i * C + k] > v[i * C + top] ? k : top;
        count[top]++;
        for (int k = 0; k < C; k++)
            class_mean[top][k] += ((double)v[i * C + k] - mean[k]) / sqrt(std[k]);
    }
    double length = 0, top_mean = 0;
    for (int m = 0; m < C; m++) {
        double sq = 0;
        for (int k = 0; k < C; k++)
            sq += pow(class_mean[m][k] / count[m], 2);
        length += sqrt(sq) / C;
    }
    for (int i = 0; i < K; i++) {
        double top = -100;
        for (int k = 0; k < C; k++)
            top = fmax(top, (double)v[i * C + k]);
        top_mean += top / K;
    }
    double alpha = length / (top_mean + B);
    for (int m = 0; m < C; m++) {
        double norm = 0;
        for (int k = 0; k < C; k++)
            norm += class_mean[m][k] * class_mean[m][k];
        for (int k = 0; k < C; k++) {
            param(s, "decoder")[m * C + k] = (float)(class_mean[m][k] / sqrt(norm));
            param(s, "encoder")[m * C + k] = m == k ? (float)(alpha * sqrt(std[m])) : 0;
        }
        param(s, "encoder_bias")[m] = (float)(alpha * (mean[m] + B));
        param(s, "decoder_bias")[m] = 0;
    }
    assert_ok(sae_codes(s, &y, &f, &err) && sae_outputs(s, &y, &out, &err), err);
    int same = 0, active = 0;
    for (int i = 0; i < K; i++) {
        int a = 0, b = 0;
        for (int k = 0; k < C; k++) {
            active += t_at(&f, i * C + k) != 0;
            a = v[i * C + k] > v[i * C + a] ? k : a;
            b = t_at(&out, i * C + k) > t_at(&out, i * C + b) ? k : b;
        }
        same += a == b && t_at(&f, i * C + a) > 0;
    }
    assert_int_equal(active, K);
    assert_int_equal(same, K);
    tensor_release(&f);
    tensor_release(&out);
    tensor_release(&y);
    sae_free(s);
}

static void test_gated_is_a_threshold(void **state)
{
    (void)state;
    Tensor x = examples();
    SaeCfg g = settings("gated", "none", 9), j = settings("jumprelu", "none", 9);
    Sae *a = make(&g, &x, NULL), *b = make(&j, &x, NULL);
    fill(a, "encoder", 1, -1, 1);
    fill(a, "encoder_bias", 2, -1, 0);
    fill(a, "magnitude_bias", 3, 0, 0.5);
    fill(a, "log_gain", 4, -0.5, 0.5);
    for (int m = 0; m < 9; m++) {
        double k = exp((double)param(a, "log_gain")[m]);
        for (int d = 0; d < D; d++)
            param(b, "encoder")[m * D + d] =
                (float)(k * (double)param(a, "encoder")[m * D + d]);
        param(b, "encoder_bias")[m] = param(a, "magnitude_bias")[m];
        param(b, "threshold")[m] = (float)((double)param(a, "magnitude_bias")[m] -
                                           k * (double)param(a, "encoder_bias")[m]);
    }
    Tensor f = codes_of(a, &x), h = codes_of(b, &x);
    int open = 0;
    for (int64_t i = 0; i < tensor_count(&f); i++) {
        assert_near(t_at(&f, i), t_at(&h, i), 1e-5);
        open += t_at(&f, i) > 0;
    }
    assert_true(open > 20 && open < N * 9 - 20);
    tensor_release(&f);
    tensor_release(&h);
    tensor_release(&x);
    sae_free(a);
    sae_free(b);
}

static void test_folding(void **state)
{
    (void)state;
    static const char *const kinds[] = {"relu", "jumprelu", "jumprelu_sigmoid",
                                        "gated"};
    Err err = {0};
    Tensor x = examples();
    for (size_t k = 0; k < ARRAY_LEN(kinds); k++) {
        SaeCfg c = settings(kinds[k], "rms", 9);
        c.unit = false;
        Sae *s = make(&c, &x, NULL);
        Tensor f, y, f2, y2;
        fill(s, "decoder", 7, -3, 3);
        fill(s, "encoder_bias", 9, -0.1, 0.1);
        assert_ok(sae_codes(s, &x, &f, &err) && sae_outputs(s, &x, &y, &err), err);
        assert_ok(sae_fold(s, &err), err);
        assert_ok(sae_codes(s, &x, &f2, &err) && sae_outputs(s, &x, &y2, &err), err);
        int open = 0;
        for (int64_t i = 0; i < tensor_count(&f); i++) {
            assert_int_equal(t_at(&f, i) > 0, t_at(&f2, i) > 0);
            open += t_at(&f, i) > 0;
        }
        assert_true(open > 10);
        for (int64_t i = 0; i < tensor_count(&y); i++)
            assert_near(t_at(&y2, i), t_at(&y, i), 1e-5 * fmax(1, fabs(t_at(&y, i))));
        Tensor *all[] = {&f, &y, &f2, &y2};
        for (int i = 0; i < 4; i++)
            tensor_release(all[i]);
        sae_free(s);
    }
    SaeCfg c = settings("topk", "none", 9);
    Sae *s = make(&c, &x, NULL);
    assert_false(sae_fold(s, &err));
    assert_has(err.msg, "selects by the size");
    sae_free(s);
    tensor_release(&x);
}

/* ---- metrics --------------------------------------------------------------------- */

static void test_explained_variance(void **state)
{
    (void)state;
    static const int64_t blocks[] = {1, 7, 256};
    Err err = {0};
    Tensor x = examples(), density;
    SaeMetrics m, first;
    SaeCfg c = settings("relu", "none", 2 * D);
    Sae *s = make(&c, &x, NULL); /* the decoder's bias starts at the mean */
    memset(param(s, "encoder"), 0, sizeof(float) * 2 * D * D);
    assert_ok(sae_measure(s, &x, NULL, NULL, 0, &m, &density, &err), err);
    assert_near(m.fve, 0, 1e-6);
    assert_near(m.dead, 1, 0);
    assert_near(m.active[0], 1, 0);
    assert_near(m.l0, 0, 0);
    assert_near(t_at(&density, 0), 0, 0);
    tensor_release(&density);
    both_signs(s, D);
    memset(param(s, "decoder_bias"), 0, sizeof(float) * D);
    assert_ok(sae_measure(s, &x, NULL, NULL, 0, &m, NULL, &err), err);
    assert_near(m.fve, 1, 1e-12);
    assert_near(m.l0, D, 0);
    assert_near(m.cosine, 1, 1e-12);
    assert_near(m.bias, 1, 1e-12);
    assert_near(m.dead, 0, 0);
    fill(s, "decoder", 3, -1, 1);
    for (size_t k = 0; k < ARRAY_LEN(blocks); k++) {
        assert_ok(sae_measure(s, &x, NULL, NULL, blocks[k], &m, NULL, &err), err);
        if (k == 0)
            first = m;
        assert_near(m.fve, first.fve, 1e-6);
        assert_near(m.mse, first.mse, 1e-6);
        assert_near(m.l1, first.l1, 1e-6);
    }
    tensor_release(&x);
    sae_free(s);
}

static void test_purity_and_top(void **state)
{
    (void)state;
    static const float v[8] = {2, 0, 1, 0, 3, 0, 0, 5};
    static const int32_t label[4] = {1, 1, 0, 2};
    Err err = {0};
    Tensor x = tensor_wrap(F32, 2, DIMS(4, 2), (void *)v), top;
    Tensor l = tensor_wrap(I32, 1, DIMS(4), (void *)label);
    SaeCfg c = settings("relu", "none", 2);
    Sae *s = make(&c, &x, NULL);
    SaeMetrics m;
    for (int i = 0; i < 4; i++)
        param(s, "encoder")[i] = param(s, "decoder")[i] = i % 3 == 0;
    memset(param(s, "decoder_bias"), 0, 8);
    assert_ok(sae_measure(s, &x, NULL, &l, 0, &m, NULL, &err), err);
    assert_near(m.purity, (2.0 / 3 + 1) / 2, 1e-12);
    assert_near(m.twin, 0, 0);
    assert_near(m.active[1], 1, 0);
    Tensor f = codes_of(s, &x);
    assert_ok(sae_top_examples(&f, 2, &top, &err), err);
    static const int32_t want[4] = {2, 0, 3, -1};
    assert_memory_equal(top.data, want, sizeof want);
    tensor_release(&f);
    tensor_release(&top);
    sae_free(s);
}

static void test_normalisations(void **state)
{
    (void)state;
    static const char *const norms[] = {"none", "standardise", "unit",
                                        "rms",  "length",      "zscore"};
    Err err = {0};
    Tensor x = examples();
    for (size_t k = 0; k < ARRAY_LEN(norms); k++) {
        SaeCfg c = settings("relu", norms[k], 2 * D);
        Sae *s = make(&c, &x, NULL);
        SaeMetrics m;
        both_signs(s, D);
        memset(param(s, "decoder_bias"), 0, sizeof(float) * D);
        assert_ok(sae_measure(s, &x, NULL, NULL, 0, &m, NULL, &err), err);
        if (!(m.fve > 1 - 1e-9 && m.fve_own > 1 - 1e-9))
            fail_msg("%s: %g %g", norms[k], m.fve, m.fve_own);
        memset(param(s, "encoder"), 0, sizeof(float) * 2 * D * D);
        for (int o = 0; o < D; o++) /* y' = 0: the error is the size of x' itself */
            param(s, "decoder_bias")[o] = 0;
        assert_ok(sae_measure(s, &x, NULL, NULL, 0, &m, NULL, &err), err);
        double size = m.mse_own * D;
        if (!strcmp(norms[k], "rms") || !strcmp(norms[k], "unit"))
            assert_near(size, 1, 1e-5);
        if (!strcmp(norms[k], "zscore"))
            assert_near(size, D * (N - 1.0) / N, 1e-5);
        if (!strcmp(norms[k], "standardise"))
            assert_near(size, D - 1, 1e-3);
        sae_free(s);
    }
    tensor_release(&x);
}

/* ---- the loss -------------------------------------------------------------------- */

typedef struct Run {
    Plan *plan;
    Tensor idx;
} Run;

static Run loss_of(Sae *s, int64_t batch)
{
    Err err = {0};
    Graph *g = graph_new(&err);
    Val idx = graph_input(g, "idx", I32, 1, &batch), p[8], d[8];
    TensorSet *set = sae_params(s);
    int n = tset_count(set);
    Val loss = sae_loss(s, g, idx);
    for (int k = 0; k < n; k++)
        p[k] = graph_state(g, tset_name(set, k), tset_at(set, k));
    graph_output(g, "loss", loss);
    if (!graph_grad(g, loss, p, n, d))
        fail_msg("%s", graph_err(g)->msg);
    for (int k = 0; k < n; k++)
        graph_output(g, tset_name(set, k), d[k]);
    Run r = {.plan = plan_of(g, 0), .idx = t_make(I32, 1, &batch)};
    for (int64_t i = 0; i < batch; i++)
        ((int32_t *)r.idx.data)[i] = (int32_t)(i * 7 % N);
    graph_free(g);
    return r;
}

static double loss_now(Sae *s, Run *r)
{
    Err err = {0};
    for (int i = 0; i < tset_count(sae_states(s)); i++)
        if (strcmp(tset_name(sae_states(s), i), "silence"))
            memset(tset_at(sae_states(s), i)->data, 0, 4);
    assert_ok(plan_run(r->plan, &r->idx, &err), err);
    return t_at(plan_output(r->plan, plan_output_index(r->plan, "loss")), 0);
}

static void run_done(Run *r)
{
    plan_free(r->plan);
    tensor_release(&r->idx);
}

static void test_loss_value(void **state)
{
    (void)state;
    enum { M = 9, B = 8 };
    Tensor x = examples();
    SaeCfg c = settings("relu", "none", M);
    c.sparsity = 0.3;
    c.aux = 0;
    Sae *s = make(&c, &x, NULL);
    Run r = loss_of(s, B);
    double got = loss_now(s, &r), error = 0, l1 = 0, mean[D] = {0}, var = 0;
    const float *v = x.data, *E = param(s, "encoder"), *W = param(s, "decoder"),
                *b = param(s, "decoder_bias");
    for (int i = 0; i < N * D; i++)
        mean[i % D] += (double)v[i] / N;
    for (int i = 0; i < N * D; i++)
        var += pow((double)v[i] - mean[i % D], 2) / N;
    for (int i = 0; i < B; i++) {
        const float *row = v + i * 7 % N * D;
        double y[D];
        for (int d = 0; d < D; d++)
            y[d] = mean[d];
        for (int m = 0; m < M; m++) {
            double u = 0;
            for (int d = 0; d < D; d++)
                u += (double)E[m * D + d] * ((double)row[d] - (double)b[d]);
            l1 += fmax(u, 0);
            for (int d = 0; d < D; d++)
                y[d] += fmax(u, 0) * (double)W[m * D + d];
        }
        for (int d = 0; d < D; d++)
            error += pow(y[d] - (double)row[d], 2);
    }
    assert_near(got, error / B / var + 0.3 * l1 / B, 1e-5);
    run_done(&r);
    sae_free(s);
    tensor_release(&x);
}

/* Along a random direction in all parameters at once. */
static void check_slope(const char *kind, bool skip)
{
    Tensor x = examples();
    SaeCfg c = settings(kind, "zscore", 16);
    c.sparsity = 0.2;
    c.kl = 0.3;
    c.aux = 0; /* its residual is held fixed, which a difference would not know */
    c.skip = skip;
    Sae *s = make(&c, &x, NULL);
    TensorSet *set = sae_params(s);
    Run r = loss_of(s, 12);
    for (int m = 12; m < 16; m++)
        ((float *)tset_get(sae_states(s), "silence")->data)[m] = 1e6f;
    double slope = 0, value[2];
    const double h = 2e-3;
    Tensor dir[8], keep = {0}, *silence = (Tensor *)tset_get(sae_states(s), "silence");
    assert_true(tensor_copy(silence, &keep, NULL));
    loss_now(s, &r);
    for (int k = 0; k < tset_count(set); k++) {
        const Tensor *t = tset_at(set, k);
        dir[k] = t_random(40 + (uint64_t)k, F32, t->ndim, t->dim, -0.1, 0.1);
        const Tensor *g =
            plan_output(r.plan, plan_output_index(r.plan, tset_name(set, k)));
        for (int64_t i = 0; i < tensor_count(t); i++)
            slope += t_at(&dir[k], i) * t_at(g, i);
    }
    for (int side = 0; side < 2; side++) {
        for (int k = 0; k < tset_count(set); k++)
            for (int64_t i = 0; i < tensor_count(&dir[k]); i++)
                ((float *)tset_at(set, k)->data)[i] +=
                    (float)((side ? -2 : 1) * h * t_at(&dir[k], i));
        memcpy(silence->data, keep.data, tensor_bytes(&keep));
        value[side] = loss_now(s, &r);
    }
    double numeric = (value[0] - value[1]) / (2 * h);
    if (!(fabs(numeric - slope) <= 0.01 * fmax(0.1, fabs(slope))))
        fail_msg("%s: backward %g, difference quotient %g", kind, slope, numeric);
    for (int k = 0; k < tset_count(set); k++)
        tensor_release(&dir[k]);
    tensor_release(&keep);
    run_done(&r);
    sae_free(s);
    tensor_release(&x);
}

static void test_slopes(void **state)
{
    (void)state;
    check_slope("relu", false);
    check_slope("topk", true);
}

static double norm_of(const float *x, int64_t n)
{
    double s = 0;
    for (int64_t i = 0; i < n; i++)
        s += (double)x[i] * (double)x[i];
    return sqrt(s);
}

/* With and without the auxiliary loss: live latents get the same gradient. */
static void test_revival_spares_the_living(void **state)
{
    (void)state;
    enum { M = 12, DEAD = 8 }; /* latents DEAD.. have been silent */
    Tensor x = examples(), grad[2][2];
    for (int on = 0; on < 2; on++) {
        SaeCfg c = settings("topk", "rms", M);
        c.aux = on ? 0.5 : 0;
        Sae *s = make(&c, &x, NULL);
        Run r = loss_of(s, 16);
        for (int m = 0; m < M; m++) {
            ((float *)tset_get(sae_states(s), "silence")->data)[m] =
                m < DEAD ? 0 : 1e6f;
            param(s, "encoder_bias")[m] = m < DEAD ? 0 : -0.05f;
        }
        loss_now(s, &r);
        for (int k = 0; k < 2; k++)
            assert_true(tensor_copy(
                plan_output(r.plan,
                            plan_output_index(r.plan, k ? "decoder" : "encoder")),
                &grad[on][k], NULL));
        const float *silence = tset_get(sae_states(s), "silence")->data;
        bool counted = false;
        for (int m = 0; m < M; m++)
            counted = counted || silence[m] == 0;
        assert_true(counted);
        run_done(&r);
        sae_free(s);
    }
    for (int k = 0; k < 2; k++) {
        const float *off = grad[0][k].data, *on = grad[1][k].data;
        double more = 0;
        for (int i = 0; i < DEAD * D; i++)
            assert_near((double)on[i], (double)off[i], 1e-9);
        for (int i = DEAD * D; i < M * D; i++)
            more += fabs((double)on[i] - (double)off[i]);
        assert_true(more > 1e-3 && norm_of(on, DEAD * D) > 0);
        tensor_release(&grad[0][k]);
        tensor_release(&grad[1][k]);
    }
    tensor_release(&x);
}

/* ---- what is refused, and memory ------------------------------------------------- */

static void refuses(const SaeCfg *c, const Tensor *x, const Tensor *y, const char *part)
{
    Err err = {0};
    Sae *s = sae_new(c, x, y, &err);
    assert_null(s);
    assert_has(err.msg, part);
}

static void test_refused(void **state)
{
    (void)state;
    Err err = {0};
    Tensor x = examples(), same = t_make(F32, 2, DIMS(N, D)),
           y = t_random(1, F32, 2, DIMS(N, 3), 0, 1), f;
    SaeCfg c = settings("topk", "none", 4);
    c.k = 5;
    refuses(&c, &x, NULL, "k is 5");
    c.k = 1.5;
    refuses(&c, &x, NULL, "whole k");
    c.k = 2;
    refuses(&c, &same, NULL, "all alike");
    c = settings("topk", "standardise", 4);
    refuses(&c, &x, &y, "their own target");
    c = settings("relu", "none", 4);
    c.l0 = 2;
    text_copy(c.control, sizeof c.control, "quadratic");
    refuses(&c, &x, NULL, "needs a penalty that counts");
    c = settings("topk", "unit", 4);
    Sae *s = make(&c, &x, NULL);
    SaeCalibration cal;
    assert_false(sae_calibrate(s, &x, 1, &cal, &err));
    assert_has(err.msg, "no thresholds");
    assert_false(sae_codes(s, &y, &f, &err));
    assert_has(err.msg, "[N,6]");
    Tensor code = t_make(F32, 2, DIMS(1, 4));
    assert_false(sae_decode(s, &code, &f, &err));
    assert_has(err.msg, "beside the code");
    sae_free(s);
    ((float *)x.data)[7] = NAN;
    refuses(&c, &x, NULL, "not finite, in row 1");
    tensor_release(&code);
    tensor_release(&x);
    tensor_release(&y);
    tensor_release(&same);
}

static bool whole_life(void *ctx, Err *err)
{
    const Tensor *x = ctx;
    SaeCfg c = settings("batchtopk", "rms", 9);
    SaeCalibration cal;
    SaeMetrics m;
    Tensor f = {0};
    Sae *s = sae_new(&c, x, NULL, err);
    bool ok = s && sae_calibrate(s, x, 2, &cal, err) &&
              sae_measure(s, x, NULL, NULL, 0, &m, NULL, err) &&
              sae_codes(s, x, &f, err);
    tensor_release(&f);
    sae_free(s);
    return ok;
}

static bool from_file(void *ctx, Err *err)
{
    Sae *s = sae_load(ctx, err);
    sae_free(s);
    return s != NULL;
}

static void test_memory(void **state)
{
    (void)state;
    Err err = {0};
    char dir[64], path[96];
    Tensor x = examples();
    assert_true(fail_each_alloc(whole_life, &x) > 30);
    SaeCfg c = settings("jumprelu", "zscore", 9);
    Sae *s = make(&c, &x, NULL);
    scratch_make(dir);
    snprintf(path, sizeof path, "%s/sae.safetensors", dir);
    assert_ok(sae_save(s, path, &err), err);
    assert_true(fail_each_alloc(from_file, path) > 10);
    param(s, "encoder_bias")[3] = NAN;
    assert_ok(sae_save(s, path, &err), err);
    assert_null(sae_load(path, &err));
    assert_has(err.msg, "'encoder_bias' holds a value that is not finite");
    scratch_remove(dir);
    sae_free(s);
    tensor_release(&x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_batch_threshold),
        cmocka_unit_test(test_argmax_code),
        cmocka_unit_test(test_gated_is_a_threshold),
        cmocka_unit_test(test_folding),
        cmocka_unit_test(test_explained_variance),
        cmocka_unit_test(test_purity_and_top),
        cmocka_unit_test(test_normalisations),
        cmocka_unit_test(test_loss_value),
        cmocka_unit_test(test_slopes),
        cmocka_unit_test(test_revival_spares_the_living),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
