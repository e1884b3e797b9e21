/* absorb.c -- linear probes against their closed form, and absorption in hierarchies
 * where it is known: a parent with rare children whose latents take its direction over. */
#include "decomp/absorb.h"

#include <math.h>
#include <string.h>

#include "base/intr.h"
#include "base/str.h"
#include "support.h"
#include "tensor/rng.h"

enum { N = 1000, D = 16, CHILDREN = 3, OTHERS = 5 };

static void near_to(double got, double want, double within)
{
    if (!(fabs(got - want) <= within))
        fail_msg("%.9g is not within %g of %.9g", got, within, want);
}

static AbsorbCfg settings(void)
{
    Err err = {0};
    AbsorbCfg c;
    assert_ok(opt_defaults(absorb_options, absorb_n_options, &c, &err), err);
    return c;
}

static Tensor zeros(DType t, int64_t a, int64_t b)
{
    Tensor x;
    Err err = {0};
    assert_ok(tensor_zeros(t, b ? 2 : 1, (int64_t[]){a, b}, &x, &err), err);
    return x;
}

static float *at(const Tensor *t, int64_t i, int64_t k)
{
    return (float *)t->data + i * t->dim[1] + k;
}

/* ---- the probe ------------------------------------------------------------------- */

/* One feature of two values: the weights are differences of log odds. */
static void test_log_odds(void **state)
{
    (void)state;
    Err err = {0};
    Tensor x = zeros(F32, 400, 1), y = zeros(I32, 400, 0);
    LinearProbe p;
    for (int i = 0; i < 400; i++) {
        *at(&x, i, 0) = i < 200 ? 3 : 5;
        ((int32_t *)y.data)[i] = i < 200 ? i < 40 : i < 350; /* .2 and .75 */
    }
    assert_ok(probe_linear(&x, &y, &x, &y, 2, 1e-9, &p, &err), err);
    double low = log(0.2 / 0.8), high = log(0.75 / 0.25);
    const double *w = p.weight.data, *b = p.bias.data, *f1 = p.f1.data;
    near_to(w[1], (high - low) / 2, 1e-3);
    near_to(b[1], low - 3 * (high - low) / 2, 4e-3);
    near_to(w[0], -w[1], 1e-4);
    near_to(f1[1], 2 * 150.0 / (2 * 150 + 50 + 40), 1e-9);
    assert_true(p.residual < 1e-5);
    assert_true(probe_linear_score(&p, 1, (float[]){5}) > 0);
    assert_true(probe_linear_score(&p, 1, (float[]){3}) < 0);
    probe_linear_done(&p);
    tensor_release(&x);
    tensor_release(&y);
}

/* Labels drawn from a logistic model: its direction comes back, at a stationary point. */
static void test_direction(void **state)
{
    (void)state;
    enum { ROWS = 20000, F = 6 };
    static const double truth[F] = {2, -1, 0.5, 0, 0, 1};
    Err err = {0};
    Tensor x = zeros(F32, ROWS, F), y = zeros(I32, ROWS, 0);
    RngKey key = {.seed = 5, .stream = rng_stream("x")};
    float *u = mem_alloc(sizeof *u * ROWS, &err);
    rng_normal_f32(key, 0, ROWS * F, 1, 2, x.data);
    key.stream = rng_stream("u");
    rng_uniform_f32(key, 0, ROWS, 0, 1, u);
    for (int i = 0; i < ROWS; i++) {
        double s = -0.5;
        for (int k = 0; k < F; k++)
            s += truth[k] * (double)*at(&x, i, k);
        ((int32_t *)y.data)[i] = (double)u[i] < 1 / (1 + exp(-s));
    }
    LinearProbe p;
    assert_ok(probe_linear(&x, &y, &x, &y, 2, 0, &p, &err), err);
    for (int k = 0; k < F; k++)
        near_to(((double *)p.weight.data)[F + k], truth[k], 0.1);
    near_to(((double *)p.bias.data)[1], -0.5, 0.1);
    assert_true(p.residual < 1e-6);
    probe_linear_done(&p);
    mem_free(u);
    tensor_release(&x);
    tensor_release(&y);
}

/* Many features that are mixtures of a few, and next to no ridge: nothing runs away. */
static void test_dependent_features(void **state)
{
    (void)state;
    enum { ROWS = 1000, WIDE = 200, FEW = 5 };
    Err err = {0};
    Tensor x = zeros(F32, ROWS, WIDE), y = zeros(I32, ROWS, 0);
    Tensor few = zeros(F32, ROWS, FEW), mix = zeros(F32, FEW, WIDE);
    RngKey key = {.seed = 1, .stream = rng_stream("few")};
    rng_normal_f32(key, 0, ROWS * FEW, 0, 1, few.data);
    key.stream = rng_stream("mix");
    rng_normal_f32(key, 0, FEW * WIDE, 0, 1, mix.data);
    for (int i = 0; i < ROWS; i++) {
        for (int k = 0; k < WIDE; k++)
            for (int j = 0; j < FEW; j++)
                *at(&x, i, k) += *at(&few, i, j) * *at(&mix, j, k);
        ((int32_t *)y.data)[i] = *at(&few, i, 0) + 0.3F * (float)sin(i) > 0;
    }
    for (int k = 0; k < 2; k++) {
        LinearProbe p;
        assert_ok(probe_linear(&x, &y, &x, &y, 2, k ? 1e-6 : 0, &p, &err), err);
        assert_true(p.residual < 1e-4 && ((double *)p.f1.data)[1] > 0.85);
        for (int64_t i = 0; i < WIDE; i++)
            assert_true(fabs(((double *)p.weight.data)[i]) < 10);
        probe_linear_done(&p);
    }
    Tensor *const own[] = {&x, &y, &few, &mix};
    for (size_t i = 0; i < ARRAY_LEN(own); i++)
        tensor_release(own[i]);
}

/* ---- hierarchies ----------------------------------------------------------------- */

/* Half of the examples have the parent, direction 0. A share `rare` of these has child
 * k, direction 1 + k; all have other things at random. Latents: the parent, the
 * children, the others. Where a child absorbs, the parent's latent is silent on its
 * examples, and the child's row is (carry, sqrt(1 - carry^2)) with a code such that it
 * carries `carried` of the parent. */
typedef struct World {
    Tensor x, label, codes, decoder;
    LinearProbe probe;
    double rare;
} World;

static int child_of(const World *w, int i)
{
    int each = (int)lround(w->rare * N / 2), k = (i / 2) / each;
    return i % 2 == 0 && k < CHILDREN ? k : -1;
}

static void world(World *w, double rare, bool absorbs, double carry, double carried)
{
    Err err = {0};
    int M = 1 + CHILDREN + OTHERS;
    *w = (World){.rare = rare};
    w->x = zeros(F32, N, D);
    w->label = zeros(I32, N, 0);
    w->codes = zeros(F32, N, M);
    w->decoder = zeros(F32, M, D);
    for (int m = 0; m < M; m++)
        *at(&w->decoder, m, m) = 1;
    for (int k = 0; absorbs && k < CHILDREN; k++) {
        *at(&w->decoder, 1 + k, 0) = (float)carry;
        *at(&w->decoder, 1 + k, 1 + k) = (float)sqrt(1 - carry * carry);
    }
    for (int i = 0; i < N; i++) {
        bool parent = i % 2 == 0;
        int child = child_of(w, i), other = 1 + CHILDREN + i / 2 % OTHERS;
        ((int32_t *)w->label.data)[i] = parent;
        *at(&w->x, i, 0) = parent;
        *at(&w->x, i, other) = 1;
        *at(&w->codes, i, other) = 1;
        *at(&w->codes, i, 0) = parent && !(absorbs && child >= 0);
        if (child < 0)
            continue;
        *at(&w->x, i, 1 + child) = 1;
        *at(&w->codes, i, 1 + child) = absorbs ? (float)(carried / carry) : 1;
    }
    assert_ok(
        probe_linear(&w->x, &w->label, &w->x, &w->label, 2, 1e-3, &w->probe, &err),
        err);
}

static void world_done(World *w)
{
    Tensor *const own[] = {&w->x, &w->label, &w->codes, &w->decoder};
    for (size_t i = 0; i < ARRAY_LEN(own); i++)
        tensor_release(own[i]);
    probe_linear_done(&w->probe);
}

static AbsorbIn all_of(const World *w)
{
    return (AbsorbIn){&w->codes, &w->label, &w->codes,   &w->label,
                      &w->x,     NULL,      &w->decoder, &w->probe};
}

/* Of the class "has the parent". */
static AbsorbClass measure(const World *w, const AbsorbCfg *cfg)
{
    Err err = {0};
    AbsorbClass c[2], mean;
    AbsorbIn in = all_of(w);
    assert_ok(absorb_measure(&in, cfg, c, &mean, &err), err);
    near_to(c[1].accepted, N / 2, 0);
    assert_true(c[1].counts);
    return c[1];
}

/* Three children of 4 % each: a second latent raises F1 by .022, so one is main. */
static void test_known_absorption(void **state)
{
    (void)state;
    World w;
    AbsorbCfg cfg = settings();
    world(&w, 0.04, true, 0.7, 1);
    AbsorbClass c = measure(&w, &cfg);
    near_to(c.main, 1, 0);
    near_to(c.main_f1, 2 * 0.88 / 1.88, 1e-9);
    near_to(c.silent, 0.12, 1e-9);
    near_to(c.absorbed, 0.12, 1e-9);
    near_to(c.part, 0.12, 1e-6);
    world_done(&w);
}

static void test_no_absorption(void **state)
{
    (void)state;
    World w;
    AbsorbCfg cfg = settings();
    world(&w, 0.04, false, 0, 0);
    AbsorbClass c = measure(&w, &cfg);
    near_to(c.main_f1, 1, 0);
    near_to(c.silent + c.absorbed + c.part + c.null, 0, 0);
    world_done(&w);
}

/* Children of 20 % are found by the probe: the class is split, and nothing is silent. */
static void test_split_is_not_absorbed(void **state)
{
    (void)state;
    World w;
    AbsorbCfg cfg = settings();
    world(&w, 0.2, true, 0.7, 1);
    AbsorbClass c = measure(&w, &cfg);
    near_to(c.main, 1 + CHILDREN, 0);
    near_to(c.main_f1, 1, 0);
    near_to(c.silent, 0, 0);
    near_to(c.absorbed, 0, 0);
    cfg.most = 1;
    c = measure(&w, &cfg);
    near_to(c.main, 1, 0);
    near_to(c.absorbed, 0.6, 1e-9);
    world_done(&w);
}

/* Just below and above each limit. The probe's direction is not quite the parent's, so
 * what is carried is asked for in its own terms. */
static void test_limits(void **state)
{
    (void)state;
    for (int above = 0; above < 2; above++) {
        World w;
        AbsorbCfg cfg = settings();
        world(&w, 0.04, true, 0.7, above ? 0.45 : 0.35);
        AbsorbClass c = measure(&w, &cfg);
        near_to(c.silent, 0.12, 1e-9);
        near_to(c.absorbed, above ? 0.12 : 0, 1e-9);
        near_to(c.part, above ? 0.12 : 0, 1e-9);
        world_done(&w);
        world(&w, 0.04, true, 0.7, 1);
        cfg.cosine = above ? 0.6 : 0.8;
        near_to(measure(&w, &cfg).absorbed, above ? 0.12 : 0, 1e-9);
        world_done(&w);
    }
}

/* Two that carry half of the parent each, beside a main latent that carries none of it:
 * none absorbs it by itself, both do together. */
static void test_part(void **state)
{
    (void)state;
    World w;
    AbsorbCfg cfg = settings();
    world(&w, 0.04, true, 0.7, 0.35);
    for (int i = 0; i < N; i++) {
        int k = child_of(&w, i);
        if (k >= 0)
            *at(&w.codes, i, 1 + (k + 1) % CHILDREN) = (float)(0.35 / 0.7);
    }
    cfg.most = 1;
    AbsorbClass c = measure(&w, &cfg);
    near_to(c.absorbed, 0, 0);
    near_to(c.part, 0.12, 1e-9);
    cfg.many = 1;
    near_to(measure(&w, &cfg).part, 0, 0);
    world_done(&w);
    /* The main latent carries a quarter on every example, others the rest on some. */
    world(&w, 0.04, true, 0.7, 0.75);
    for (int i = 0; i < N; i += 2)
        *at(&w.codes, i, 0) = child_of(&w, i) >= 0 ? 0.25F : 1;
    cfg = settings();
    c = measure(&w, &cfg);
    near_to(c.silent, 0, 0);
    near_to(c.part, 0.12 * 0.75, 0.004);
    world_done(&w);
}

/* Rows dealt out anew: on such an example two latents are active, a child's and
 * another, of eight that are dealt; 3 of 8 rows carry the parent. One or both of two
 * have such a row with probability 1 - 5/8 4/7. */
static void test_null(void **state)
{
    (void)state;
    World w;
    AbsorbCfg cfg = settings();
    world(&w, 0.04, true, 0.7, 1);
    cfg.draws = 1000;
    AbsorbClass c = measure(&w, &cfg);
    near_to(c.null, 0.12 * (1 - 5.0 / 8 * 4 / 7), 0.004);
    cfg.draws = 0;
    assert_true(isnan(measure(&w, &cfg).null));
    world_done(&w);
}

/* Shuffled labels: no probe tells the class, so nothing is said about it. */
static void test_shuffled_labels(void **state)
{
    (void)state;
    Err err = {0};
    World w;
    AbsorbCfg cfg = settings();
    AbsorbClass c[2], mean;
    world(&w, 0.04, true, 0.7, 1);
    for (int i = 0; i < N; i++) /* a pattern that no feature follows */
        ((int32_t *)w.label.data)[i] = i / 2 % 10 < 3;
    probe_linear_done(&w.probe);
    Tensor noise = zeros(F32, N, D);
    rng_normal_f32((RngKey){.seed = 3, .stream = rng_stream("x")}, 0, N * D, 0, 1,
                   noise.data);
    assert_ok(probe_linear(&noise, &w.label, &noise, &w.label, 2, 1e-3, &w.probe, &err),
              err);
    AbsorbIn in = all_of(&w);
    in.test = &noise;
    assert_ok(absorb_measure(&in, &cfg, c, &mean, &err), err);
    assert_false(c[1].counts);
    assert_true(c[1].probe_f1 < 0.2);
    assert_true(c[0].counts && mean.counts); /* "rest" is most of them */
    cfg.f1 = 0.95;
    assert_ok(absorb_measure(&in, &cfg, c, &mean, &err), err);
    assert_false(mean.counts);
    assert_true(isnan(mean.absorbed) && isnan(mean.main));
    tensor_release(&noise);
    world_done(&w);
}

/* Latents at random: dealing out their rows changes nothing but noise. */
static void test_random_latents(void **state)
{
    (void)state;
    enum { M = 60 };
    Err err = {0};
    World w;
    AbsorbCfg cfg = settings();
    world(&w, 0.04, false, 0, 0);
    tensor_release(&w.codes);
    tensor_release(&w.decoder);
    w.codes = zeros(F32, N, M);
    w.decoder = zeros(F32, M, D);
    RngKey key = {.seed = 9, .stream = rng_stream("codes")};
    rng_uniform_f32(key, 0, N * M, -4, 1, w.codes.data);
    key.stream = rng_stream("rows");
    rng_normal_f32(key, 0, M * D, 0, 0.25F, w.decoder.data);
    for (int64_t i = 0; i < N * M; i++)
        if (((float *)w.codes.data)[i] < 0)
            ((float *)w.codes.data)[i] = 0;
    cfg.draws = 400;
    cfg.most = 1;
    AbsorbClass c = measure(&w, &cfg);
    assert_true(c.silent > 0.7 && c.absorbed > 0.02);
    near_to(c.absorbed, c.null, 0.06);
    near_to(c.part, c.null_part, 0.06);
    assert_true(c.absorbed <= c.silent && c.null <= c.silent);
    world_done(&w);
    (void)err;
}

/* A code that is the negative of all, of rows that are the negative, is the same. */
static void test_signs(void **state)
{
    (void)state;
    World w;
    AbsorbCfg cfg = settings();
    world(&w, 0.04, true, 0.7, 1);
    AbsorbClass a = measure(&w, &cfg);
    for (int64_t i = 0; i < tensor_count(&w.codes); i++)
        ((float *)w.codes.data)[i] *= -1;
    for (int64_t i = 0; i < tensor_count(&w.decoder); i++)
        ((float *)w.decoder.data)[i] *= -1;
    AbsorbClass b = measure(&w, &cfg);
    assert_memory_equal(&a, &b, sizeof a);
    world_done(&w);
}

/* ---- of an autoencoder ----------------------------------------------------------- */

/* The wrapper against the same made of its public parts: what is to be written is the
 * target without the output of an empty code, rows are outputs of single latents. */
static void test_sae(void **state)
{
    (void)state;
    static const char *const norms[] = {"none", "rms", "zscore"};
    enum { M = 12 };
    World w;
    Err err = {0};
    AbsorbCfg cfg = settings();
    world(&w, 0.04, false, 0, 0);
    for (size_t k = 0; k < ARRAY_LEN(norms); k++) {
        SaeCfg c;
        AbsorbClass a[2], b[2], mean_a, mean_b;
        Tensor codes, one = zeros(F32, M + 1, M), out, rows = zeros(F32, M, D);
        Tensor part = zeros(F32, N, D);
        assert_ok(opt_defaults(sae_options, sae_n_options, &c, &err), err);
        text_copy(c.activation, sizeof c.activation, "topk");
        text_copy(c.normalise, sizeof c.normalise, norms[k]);
        c.latents = M;
        c.k = 3;
        Sae *s = sae_new(&c, &w.x, NULL, &err);
        assert_non_null(s);
        for (int m = 0; m < M; m++)
            *at(&one, m, m) = 1;
        assert_ok(sae_codes(s, &w.x, &codes, &err) && sae_decode(s, &one, &out, &err),
                  err);
        for (int i = 0; i < M * D; i++)
            ((float *)rows.data)[i] = ((float *)out.data)[i] - *at(&out, M, i % D);
        for (int i = 0; i < N * D; i++)
            ((float *)part.data)[i] = ((float *)w.x.data)[i] - *at(&out, M, i % D);
        AbsorbIn in = {&codes, &w.label, &codes, &w.label,
                       &w.x,   &part,    &rows,  &w.probe};
        assert_ok(absorb_measure(&in, &cfg, a, &mean_a, &err), err);
        assert_ok(sae_absorb(s, &w.probe, &w.x, &w.label, &w.x, NULL, &w.label, &cfg, b,
                             &mean_b, &err),
                  err);
        for (size_t r = 0; r < absorb_n_rows; r++) {
            double p, q;
            memcpy(&p, (char *)&mean_a + absorb_rows[r].offset, sizeof p);
            memcpy(&q, (char *)&mean_b + absorb_rows[r].offset, sizeof q);
            near_to(p, q, 0.01);
        }
        sae_free(s);
        Tensor *const own[] = {&codes, &one, &out, &rows, &part};
        for (size_t i = 0; i < ARRAY_LEN(own); i++)
            tensor_release(own[i]);
    }
    world_done(&w);
}

/* ---- refusals -------------------------------------------------------------------- */

static bool both(void *ctx, Err *err)
{
    const World *w = ctx;
    AbsorbCfg cfg = settings();
    AbsorbClass c[2], mean;
    LinearProbe p;
    AbsorbIn in = all_of(w);
    bool ok = probe_linear(&w->x, &w->label, &w->x, &w->label, 2, 1e-3, &p, err) &&
              absorb_measure(&in, &cfg, c, &mean, err);
    probe_linear_done(&p);
    return ok;
}

static void test_refusals(void **state)
{
    (void)state;
    World w;
    Err err = {0};
    world(&w, 0.04, true, 0.7, 1);
    assert_true(fail_each_alloc(both, &w) > 10);
    intr_raise();
    assert_false(both(&w, &err));
    assert_int_equal(err.code, ERR_INTERRUPT);
    intr_clear();
    AbsorbCfg cfg = settings();
    AbsorbClass c[2], mean;
    AbsorbIn in = all_of(&w);
    in.decoder = &w.x;
    assert_false(absorb_measure(&in, &cfg, c, &mean, &err));
    assert_has(err.msg, "a decoder f32 [M,F]");
    *at(&w.x, 3, 4) = NAN;
    probe_linear_done(&w.probe);
    assert_false(probe_linear(&w.x, &w.label, &w.x, &w.label, 2, 1e-3, &w.probe, &err));
    assert_has(err.msg, "feature 4 is not finite");
    world_done(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_log_odds),
        cmocka_unit_test(test_direction),
        cmocka_unit_test(test_dependent_features),
        cmocka_unit_test(test_known_absorption),
        cmocka_unit_test(test_no_absorption),
        cmocka_unit_test(test_split_is_not_absorbed),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_part),
        cmocka_unit_test(test_null),
        cmocka_unit_test(test_shuffled_labels),
        cmocka_unit_test(test_random_latents),
        cmocka_unit_test(test_signs),
        cmocka_unit_test(test_sae),
        cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
