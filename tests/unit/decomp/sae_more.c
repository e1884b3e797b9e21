/* sae_more.c -- draws, warnings, sparse probes and matching with chance. */
#include "support.h"

#include <math.h>

#include "base/str.h"
#include "decomp/probe.h"
#include "decomp/sae_int.h"
#include "decomp/sae_match.h"
#include "decomp/sae_metrics.h"
#include "graph/build.h"
#include "graph/plan.h"
#include "tensor/rng.h"

static Tensor normals(uint64_t seed, int64_t n, int64_t d)
{
    Tensor t;
    Err err = {0};
    RngKey key = {seed, rng_stream("normals"), 0};
    assert_ok(tensor_new(F32, 2, (int64_t[]){n, d}, &t, &err), err);
    rng_normal_f32(key, 0, n * d, 0, 1, t.data);
    return t;
}

static SaeCfg settings(const char *activation, int64_t latents)
{
    Err err = {0};
    SaeCfg c;
    assert_ok(opt_defaults(sae_options, sae_n_options, &c, &err), err);
    text_copy(c.activation, sizeof c.activation, activation);
    c.latents = latents;
    c.k = 4;
    return c;
}

/* ---- draws ----------------------------------------------------------------------- */

static int ascending(const void *a, const void *b)
{
    double p = *(const double *)a, q = *(const double *)b;
    return (p > q) - (p < q);
}

/* Numbers of latents between 1 and 64, evenly on a logarithmic scale: half are at most
 * 8, and the code has as many. */
static void test_limits(void **state)
{
    (void)state;
    enum { ROWS = 1000, STEPS = 100 };
    Err err = {0};
    Tensor x = normals(1, 100, 8), u = normals(2, ROWS, 64);
    SaeCfg c = settings("abstopk", 64);
    c.k = 64;
    c.k_min = 1;
    Sae *s = sae_new(&c, &x, NULL, &err);
    assert_non_null(s);
    Graph *g = graph_new(&err);
    Val in[2] = {graph_const(g, &u), sae_draw_limits(s, g, ROWS)};
    graph_output(g, "code",
                 g_call(g, "sparse_topk", in, 2,
                        &(OpAttr){
                            .i = {64, 0, 1}
    }));
    Plan *p = plan_new(g, 1, &err);
    assert_non_null(p);
    static double count[ROWS * STEPS];
    for (int64_t t = 0; t < STEPS; t++) {
        plan_set_step(p, (uint64_t)t);
        assert_ok(plan_run(p, NULL, &err), err);
        const float *f = plan_output(p, 0)->data;
        for (int64_t r = 0; r < ROWS; r++) {
            double n = 0;
            for (int64_t m = 0; m < 64; m++)
                n += f[r * 64 + m] != 0;
            assert_true(n >= 1 && n <= 64);
            count[t * ROWS + r] = n;
        }
    }
    qsort(count, ROWS * STEPS, sizeof *count, ascending);
    double median = count[ROWS * STEPS / 2];
    assert_true(median >= 7 && median <= 9);
    plan_free(p);
    graph_free(g);
    sae_free(s);
    c.k_min = 65;
    assert_null(sae_new(&c, &x, NULL, &err));
    assert_non_null(strstr(err.msg, "k_min is for abstopk"));
    tensor_release(&x);
    tensor_release(&u);
}

/* ---- warnings -------------------------------------------------------------------- */

static bool warned(const Sae *s, SaeMetrics m, SaeCalibration cal, const char *name)
{
    SaeWarning w[SAE_WARNINGS];
    int n = sae_warnings(s, &m, &cal, w);
    bool found = false;
    for (int i = 0; i < n; i++) {
        assert_true(strlen(w[i].text) > 20);
        found |= !strcmp(w[i].name, name);
    }
    return found;
}

static void set_state(Sae *s, const char *name, float v)
{
    *(float *)tset_get(s->states, name)->data = v;
}

/* Each appears when it is true, and only then. */
static void test_warnings(void **state)
{
    (void)state;
    Err err = {0};
    Tensor x = normals(1, 100, 8);
    SaeCfg c = settings("jumprelu", 32);
    c.l0 = 4;
    Sae *s = sae_new(&c, &x, NULL, &err);
    assert_non_null(s);
    SaeMetrics fine = {.l0 = 4, .kernel = 0.1}, m;
    SaeCalibration ok = {.before = 4, .after = 4}, cal;
    SaeWarning w[SAE_WARNINGS];
    assert_int_equal(sae_warnings(s, &fine, &ok, w), 0);
    m = fine, m.active[0] = 0.02;
    assert_true(warned(s, m, ok, "empty"));
    cal = ok, cal.edge = true;
    assert_true(warned(s, fine, cal, "edge"));
    m = fine, m.kernel = 1e-4;
    assert_true(warned(s, m, ok, "kernel"));
    m = fine, m.kernel = (double)NAN;
    assert_false(warned(s, m, ok, "kernel"));
    m = fine, m.dead = 0.5;
    assert_true(warned(s, m, ok, "dead"));
    m = fine, m.dense = 0.1;
    assert_true(warned(s, m, ok, "dense"));
    set_state(s, "clock", 1000);
    set_state(s, "l0", 4);
    set_state(s, "integral", 8);                    /* e^8 times the start */
    assert_false(warned(s, fine, ok, "saturated")); /* far, but it is there */
    cal = ok, cal.before = 9;
    assert_true(warned(s, fine, cal, "saturated"));
    set_state(s, "integral", 1);
    assert_false(warned(s, fine, cal, "saturated")); /* not far yet */
    sae_free(s);
    tensor_release(&x);
}

/* Kernel and empties as measured: thresholds where nothing is. */
static void test_empty_kernel_is_measured(void **state)
{
    (void)state;
    Err err = {0};
    SaeMetrics m;
    Tensor x = normals(1, 100, 8);
    SaeCfg c = settings("jumprelu", 32);
    Sae *s = sae_new(&c, &x, NULL, &err);
    assert_non_null(s);
    assert_ok(sae_measure(s, &x, NULL, NULL, 0, &m, NULL, &err), err);
    assert_true(m.kernel > 0.01 && m.active[0] < 0.5);
    for (int k = 0; k < 32; k++)
        sae_theta_data(s)[k] = 50;
    assert_ok(sae_measure(s, &x, NULL, NULL, 0, &m, NULL, &err), err);
    assert_true(m.kernel == 0 && m.active[0] == 1 && m.dead == 1);
    assert_true(warned(s, m, (SaeCalibration){0}, "kernel"));
    assert_true(warned(s, m, (SaeCalibration){0}, "empty"));
    assert_true(warned(s, m, (SaeCalibration){0}, "dead"));
    sae_free(s);
    tensor_release(&x);
}

/* ---- probes ---------------------------------------------------------------------- */

enum { N = 600, F = 12, C = 3 };

/* Feature 2 c + 1 is the class c, the others are noise. */
static void planted(uint64_t seed, Tensor *x, Tensor *label)
{
    Err err = {0};
    *x = normals(seed, N, F);
    assert_ok(tensor_zeros(I32, 1, &(int64_t){N}, label, &err), err);
    for (int64_t i = 0; i < N; i++) {
        int32_t c = (int32_t)(i % C);
        ((int32_t *)label->data)[i] = c;
        ((float *)x->data)[i * F + 2 * c + 1] += 8;
    }
}

/* Classes 0 and 1 are the sign of the first feature, class 2 the second one. Of twelve
 * test examples 2 are hits of class 1, 3 missed, 1 a false alarm; class 2 does not occur
 * and is not guessed, which is an F1 of 0. */
static void test_probe_by_hand(void **state)
{
    (void)state;
    enum { TRAIN = 30, TEST = 12, WIDE = 2 };
    Err err = {0};
    Tensor x, xt, label, test;
    Probe p;
    assert_ok(tensor_zeros(F32, 2, (int64_t[]){TRAIN, WIDE}, &x, &err), err);
    assert_ok(tensor_zeros(F32, 2, (int64_t[]){TEST, WIDE}, &xt, &err), err);
    assert_ok(tensor_zeros(I32, 1, &(int64_t){TRAIN}, &label, &err), err);
    assert_ok(tensor_zeros(I32, 1, &(int64_t){TEST}, &test, &err), err);
    for (int i = 0; i < TRAIN; i++) {
        int c = ((int32_t *)label.data)[i] = i % 3;
        ((float *)x.data)[i * WIDE] = c == 2 ? 0 : c == 1 ? 1 : -1;
        ((float *)x.data)[i * WIDE + 1] = c == 2 ? 0.5f : 0;
    }
    for (int i = 0; i < TEST; i++) {
        ((int32_t *)test.data)[i] = i < 5;
        ((float *)xt.data)[i * WIDE] = i < 2 || i == 5 ? 1 : -1;
    }
    assert_ok(probe_sparse(&x, &label, &xt, &test, 3, 1, &p, NULL, &err), err);
    double one = 4.0 / (4 + 1 + 3), zero = 12.0 / (12 + 3 + 1);
    assert_true(fabs(p.f1 - (one + zero + 0) / 3) < 1e-9);
    assert_true(fabs(p.acc - (8.0 / 12 + 8.0 / 12 + 1) / 3) < 1e-9);
    assert_true(fabs(p.base - (7.0 / 12 + 5.0 / 12 + 1) / 3) < 1e-9);
    Tensor *const own[] = {&x, &xt, &label, &test};
    for (size_t i = 0; i < ARRAY_LEN(own); i++)
        tensor_release(own[i]);
}

static void test_probe(void **state)
{
    (void)state;
    Err err = {0};
    Tensor x, xt, label, test, chosen = {0};
    Probe one, two, none;
    planted(1, &x, &label);
    planted(2, &xt, &test);
    assert_ok(probe_sparse(&x, &label, &xt, &test, C, 1, &one, &chosen, &err), err);
    for (int32_t c = 0; c < C; c++)
        assert_int_equal(((int32_t *)chosen.data)[c], 2 * c + 1);
    assert_true(one.f1 > 0.99 && one.acc > 0.99);
    assert_true(fabs(one.base - 2.0 / 3) < 1e-9);
    assert_ok(probe_sparse(&x, &label, &xt, &test, C, 4, &two, NULL, &err), err);
    assert_true(two.f1 > 0.99);
    Tensor noise = normals(3, N, F), noise_t = normals(4, N, F);
    assert_ok(probe_sparse(&noise, &label, &noise_t, &test, C, 3, &none, NULL, &err),
              err);
    assert_true(none.f1 < 0.3); /* it answers "rest" nearly always */
    assert_false(probe_sparse(&x, &label, &xt, &test, C, 13, &one, NULL, &err));
    assert_non_null(strstr(err.msg, "and of 12; not 13"));
    assert_false(probe_sparse(&x, &label, &xt, &test, 2, 1, &one, NULL, &err));
    assert_non_null(strstr(err.msg, "outside 0..1"));
    assert_false(probe_sparse(&x, &label, &xt, &test, 4, 1, &one, NULL, &err));
    assert_non_null(strstr(err.msg, "class 3 has none"));
    Tensor *const own[] = {&x, &xt, &label, &test, &chosen, &noise, &noise_t};
    for (size_t i = 0; i < ARRAY_LEN(own); i++)
        tensor_release(own[i]);
}

/* ---- matching -------------------------------------------------------------------- */

/* An autoencoder is itself; unrelated ones in ten dimensions are as alike as random
 * directions, which is much: 0.618 for 32 in 10. */
static void test_match(void **state)
{
    (void)state;
    Err err = {0};
    SaeMatch m;
    Tensor x = normals(1, 500, 10);
    SaeCfg c = settings("relu", 32), d = c;
    d.seed = 2;
    Sae *a = sae_new(&c, &x, NULL, &err), *b = sae_new(&d, &x, NULL, &err);
    assert_true(a && b);
    assert_ok(sae_match(a, a, &x, 1, &m, &err), err);
    assert_true(m.alive == 32 && m.other_alive == 32);
    assert_true(fabs(m.mmcs - 1) < 1e-5 && fabs(m.matched - 1) < 1e-5 &&
                fabs(m.alike - 1) < 1e-5 && !m.by_chance);
    assert_true(m.alike_chance < 0.3);
    assert_ok(sae_match(a, b, &x, 1, &m, &err), err);
    assert_true(m.by_chance && fabs(m.chance - 0.618) < 0.02 &&
                fabs(m.mmcs - m.chance) < 0.05);
    c = settings("abstopk", 32);
    Sae *s = sae_new(&c, &x, NULL, &err);
    assert_non_null(s);
    assert_ok(sae_match(s, b, &x, 1, &m, &err), err); /* sizes of cosines */
    assert_true(fabs(m.chance - 0.681) < 0.02);
    float *bias = tset_get(sae_params(b), "encoder_bias")->data;
    for (int k = 0; k < 32; k++)
        bias[k] = -100;
    assert_false(sae_match(a, b, &x, 1, &m, &err));
    assert_non_null(strstr(err.msg, "no latent is active"));
    sae_free(a);
    sae_free(b);
    sae_free(s);
    tensor_release(&x);
}

/* ---- a transcoder's start -------------------------------------------------------- */

/* Targets that are a linear map: a latent's pre-activation is then the projection of the
 * target on what it writes. */
static void test_start_of_a_transcoder(void **state)
{
    (void)state;
    Err err = {0};
    enum { ROWS = 2000, IN = 6, OUT = 4 };
    Tensor x = normals(1, ROWS, IN), map = normals(2, OUT, IN),
           y = normals(3, ROWS, OUT);
    for (int64_t i = 0; i < ROWS; i++)
        for (int64_t o = 0; o < OUT; o++) {
            double sum = 0;
            for (int64_t d = 0; d < IN; d++)
                sum += (double)((float *)map.data)[o * IN + d] *
                       ((double)((float *)x.data)[i * IN + d] + 5);
            ((float *)y.data)[i * OUT + o] = (float)sum;
        }
    for (int64_t i = 0; i < ROWS * IN; i++)
        ((float *)x.data)[i] += 5; /* far from centred */
    SaeCfg c = settings("relu", 16);
    text_copy(c.normalise, sizeof c.normalise, "none");
    Sae *s = sae_new(&c, &x, &y, &err);
    assert_non_null(s);
    const float *E = tset_get(s->params, "encoder")->data;
    const float *W = tset_get(s->params, "decoder")->data;
    const float *e = tset_get(s->params, "encoder_bias")->data;
    const float *b = tset_get(s->params, "decoder_bias")->data;
    double worst = 0, size = 0;
    for (int64_t i = 0; i < 50; i++)
        for (int64_t m = 0; m < 16; m++) {
            double u = (double)e[m], want = 0;
            for (int64_t d = 0; d < IN; d++)
                u += (double)E[m * IN + d] * (double)((float *)x.data)[i * IN + d];
            for (int64_t o = 0; o < OUT; o++)
                want += (double)W[m * OUT + o] *
                        ((double)((float *)y.data)[i * OUT + o] - (double)b[o]);
            worst = fmax(worst, fabs(u - want));
            size = fmax(size, fabs(want));
        }
    assert_true(worst < 0.05 * size); /* the ridge shrinks by about 1 % */
    sae_free(s);
    tensor_release(&x);
    tensor_release(&y);
    tensor_release(&map);
}

/* ---- memory ---------------------------------------------------------------------- */

static bool probed_and_matched(void *ctx, Err *err)
{
    const Tensor *const *t = ctx; /* features, labels */
    SaeCfg c = settings("relu", 8);
    Probe p;
    SaeMatch m;
    Tensor chosen = {0};
    Sae *s = sae_new(&c, t[0], NULL, err);
    bool ok = s && probe_sparse(t[0], t[1], t[0], t[1], C, 2, &p, &chosen, err) &&
              sae_match(s, s, t[0], 1, &m, err);
    tensor_release(&chosen);
    sae_free(s);
    return ok;
}

static bool transcoder_with_layers(void *ctx, Err *err)
{
    const Tensor *const *t = ctx;
    SaeCfg c = settings("batchtopk", 8);
    c.k = 2;
    c.split_in = c.split_out = c.split_latents = 3;
    Sae *s = sae_new(&c, t[0], t[0], err);
    sae_free(s);
    return s != NULL;
}

static void test_every_allocation_may_fail(void **state)
{
    (void)state;
    Tensor x, label;
    planted(1, &x, &label);
    const Tensor *both[2] = {&x, &label};
    assert_true(fail_each_alloc(probed_and_matched, both) > 40);
    assert_true(fail_each_alloc(transcoder_with_layers, both) > 15);
    tensor_release(&x);
    tensor_release(&label);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_warnings),
        cmocka_unit_test(test_empty_kernel_is_measured),
        cmocka_unit_test(test_probe_by_hand),
        cmocka_unit_test(test_probe),
        cmocka_unit_test(test_match),
        cmocka_unit_test(test_start_of_a_transcoder),
        cmocka_unit_test(test_every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
