/* Sparse autoencoders through the trainer: constraints hold after every step, L0 ends
 * where it was aimed, resuming equals never stopping, and a spliced network. */
#include "toy.h"

#include "base/str.h"
#include "decomp/sae_metrics.h"
#include "graph/build.h"
#include "lab/sae_fit.h"
#include "lab/sites.h"

enum { N = 1200, D = 12, FACTORS = 20 };

/* Sums of few of FACTORS random directions: what an autoencoder can find. */
static Tensor sparse_sums(uint64_t seed)
{
    Err err = {0};
    RngKey key = {.seed = 3, .stream = rng_stream("directions")};
    float dir[FACTORS * D];
    Tensor x;
    rng_normal_f32(key, 0, FACTORS * D, 0, 1, dir);
    assert_ok(tensor_zeros(F32, 2, (int64_t[]){N, D}, &x, &err), err);
    key = (RngKey){.seed = seed, .stream = rng_stream("sums")};
    for (int64_t i = 0; i < N; i++)
        for (int64_t k = 0; k < FACTORS; k++) {
            double on = rng_unit(key, 2 * (i * FACTORS + k));
            double size = 0.5 + rng_unit(key, 2 * (i * FACTORS + k) + 1);
            for (int64_t d = 0; on < 0.1 && d < D; d++)
                ((float *)x.data)[i * D + d] += (float)size * dir[k * D + d];
        }
    return x;
}

static SaeCfg settings(const char *activation, const char *const *set)
{
    Err err = {0};
    SaeCfg c;
    assert_ok(opt_defaults(sae_options, sae_n_options, &c, &err), err);
    text_copy(c.activation, sizeof c.activation, activation);
    c.latents = 40;
    c.k = 2;
    c.batch = 64;
    c.steps = 300;
    for (; set && *set; set += 2)
        assert_ok(
            opt_set_text(sae_options, sae_n_options, &c, set[0], set[1], "sae", &err),
            err);
    return c;
}

static Sae *make(const SaeCfg *c, const Tensor *x)
{
    Err err = {0};
    Sae *s = sae_new(c, x, NULL, &err);
    if (!s)
        fail_msg("%s", err.msg);
    return s;
}

static void train(Sae *s, SaeCalibration *cal)
{
    Err err = {0};
    TrainReport r;
    assert_ok(fit_sae(s, NULL, &r, cal, &err), err);
}

/* ---- constraints ----------------------------------------------------------------- */

static double row_error(const Tensor *dec)
{
    double worst = 0;
    const float *w = dec->data;
    for (int64_t m = 0; m < dec->dim[0]; m++) {
        double sum = 0;
        for (int64_t o = 0; o < dec->dim[1]; o++)
            sum += pow((double)w[m * dec->dim[1] + o], 2);
        worst = fmax(worst, fabs(sqrt(sum) - 1));
    }
    return worst;
}

static void test_unit_rows_after_each_step(void **state)
{
    (void)state;
    Tensor x = sparse_sums(1);
    SaeCfg c = settings("topk", NULL);
    for (int64_t steps = 1; steps <= 5; steps++) {
        Err err = {0};
        TrainJob job;
        TrainCfg cfg;
        TrainReport r;
        Sae *s = make(&c, &x);
        assert_ok(sae_job(s, &job, &cfg, &err), err);
        cfg.stop_at = steps;
        assert_ok(train_run(&job, &cfg, NULL, &r, &err), err);
        assert_int_equal(r.steps, steps);
        assert_true(row_error(tset_get(sae_params(s), "decoder")) < 1e-5);
        sae_free(s);
    }
    tensor_release(&x);
}

static void test_projected_gradient(void **state)
{
    (void)state;
    Err err = {0};
    Tensor x = sparse_sums(1);
    SaeCfg c = settings("batchtopk", NULL);
    Sae *s = make(&c, &x);
    int64_t batch = 32;
    Graph *g = graph_new(&err);
    Val idx = graph_input(g, "idx", I32, 1, &batch), loss = sae_loss(s, g, idx), d;
    const Tensor *dec = tset_get(sae_params(s), "decoder");
    Val w = graph_state(g, "decoder", dec);
    assert_true(graph_grad(g, loss, &w, 1, &d));
    OptimParam p = {.name = "decoder", .param = w, .grad = d};
    sae_adjust(s, g, &p, 1);
    graph_output(g, "raw", d);
    graph_output(g, "projected", p.grad);
    Plan *plan = plan_new(g, 0, &err);
    int32_t at[32];
    for (int i = 0; i < 32; i++)
        at[i] = i;
    Tensor in = tensor_wrap(I32, 1, &batch, at);
    assert_ok(plan_run(plan, &in, &err), err);
    const float *raw = plan_output(plan, 0)->data, *flat = plan_output(plan, 1)->data;
    double along = 0;
    for (int64_t m = 0; m < 40; m++) {
        double dot = 0, size = 0, before = 0;
        for (int64_t o = 0; o < D; o++) {
            double u = (double)((float *)dec->data)[m * D + o];
            dot += u * (double)flat[m * D + o];
            before += u * (double)raw[m * D + o];
            size += pow((double)flat[m * D + o], 2);
        }
        assert_true(fabs(dot) <= 1e-5 * sqrt(size) + 1e-9);
        along += fabs(before);
    }
    assert_true(along > 1e-3); /* there was something to take away */
    plan_free(plan);
    graph_free(g);
    sae_free(s);
    tensor_release(&x);
}

/* ---- how sparse ------------------------------------------------------------------ */

static SaeMetrics measure(Sae *s, const Tensor *x)
{
    Err err = {0};
    SaeMetrics m;
    assert_ok(sae_measure(s, x, NULL, NULL, 0, &m, NULL, &err), err);
    return m;
}

static void test_controller_hits(void **state)
{
    (void)state;
    static const char *const kinds[] = {"jumprelu", "jumprelu_sigmoid", "relu"};
    static const double before[] = {0.12, 0.05}; /* the rectangle reacts slowly */
    Tensor x = sparse_sums(1), held = sparse_sums(2);
    for (size_t k = 0; k < ARRAY_LEN(kinds); k++) {
        SaeCfg c = settings(kinds[k], SET("l0", "2.5", "steps", "4000", "normalise",
                                          "zscore", "width", "0.2", "theta", "0.5"));
        SaeCalibration cal;
        Sae *s = make(&c, &x);
        train(s, &cal);
        double l0 = measure(s, &held).l0;
        if (k < 2) {
            if (!(fabs(cal.before / 2.5 - 1) < before[k]))
                fail_msg("%s: L0 %.3f before calibration", kinds[k], cal.before);
            assert_near(cal.after, 2.5, 0.5 / N + 1e-9);
            assert_false(cal.edge);
        }
        if (!(fabs(l0 / 2.5 - 1) < 0.12))
            fail_msg("%s: L0 %.3f on held-out data", kinds[k], l0);
        sae_free(s);
    }
    tensor_release(&x);
    tensor_release(&held);
}

static void test_batch_threshold_and_null(void **state)
{
    (void)state;
    Tensor x = sparse_sums(1), held = sparse_sums(2);
    SaeCfg c = settings("batchtopk", SET("steps", "2000"));
    SaeCalibration cal;
    Sae *s = make(&c, &x);
    train(s, &cal);
    SaeMetrics m = measure(s, &held);
    assert_near(cal.after, 2, 0.5 / N + 1e-9);
    assert_near(m.l0, 2, 0.2);
    c.steps = 0;
    Sae *null = make(&c, &x);
    train(null, &cal);
    assert_true(m.fve > 0.7 && m.fve > measure(null, &held).fve + 0.1);
    sae_free(s);
    sae_free(null);
    tensor_release(&x);
    tensor_release(&held);
}

/* Latents that start out of reach are brought back by the auxiliary loss. */
static void test_revival(void **state)
{
    (void)state;
    double dead[2];
    Tensor x = sparse_sums(1);
    for (int on = 0; on < 2; on++) {
        SaeCfg c = settings("topk", SET("steps", "1500", "dead_after", "1200"));
        c.aux = on ? 1.0 / 32 : 0;
        SaeCalibration cal;
        Sae *s = make(&c, &x);
        float *b = tset_get(sae_params(s), "encoder_bias")->data;
        for (int m = 20; m < 40; m++)
            b[m] = -0.6f;
        train(s, &cal);
        dead[on] = measure(s, &x).dead;
        sae_free(s);
    }
    if (!(dead[0] >= 0.4 && dead[1] <= 0.2))
        fail_msg("dead: %g without, %g with", dead[0], dead[1]);
    tensor_release(&x);
}

/* ---- bits ------------------------------------------------------------------------ */

static void save_after(const Tensor *x, const char *path, const char *resume,
                       int64_t stop)
{
    Err err = {0};
    SaeCfg c = settings("jumprelu", SET("l0", "2", "steps", "120"));
    Sae *s = make(&c, x);
    TrainJob job;
    TrainCfg cfg;
    TrainReport r;
    assert_ok(sae_job(s, &job, &cfg, &err), err);
    text_copy(cfg.checkpoint, sizeof cfg.checkpoint, path);
    text_copy(cfg.resume, sizeof cfg.resume, resume);
    cfg.stop_at = stop;
    assert_ok(train_run(&job, &cfg, NULL, &r, &err), err);
    sae_free(s);
}

static void test_resume_is_bitwise(void **state)
{
    (void)state;
    char dir[64], a[128], b[128], c[128], from[160];
    Tensor x = sparse_sums(1);
    scratch_make(dir);
    snprintf(a, sizeof a, "%s/a", dir);
    snprintf(b, sizeof b, "%s/b", dir);
    snprintf(c, sizeof c, "%s/c", dir);
    save_after(&x, a, "", 0);
    save_after(&x, b, "", 0);
    save_after(&x, c, "", 57);
    snprintf(from, sizeof from, "%s-last.safetensors", c);
    save_after(&x, c, from, 0);
    snprintf(a, sizeof a, "%s/a-last.safetensors", dir);
    snprintf(b, sizeof b, "%s/b-last.safetensors", dir);
    assert_same_files(a, b);
    assert_same_files(a, from);
    scratch_remove(dir);
    tensor_release(&x);
}

/* ---- splicing -------------------------------------------------------------------- */

/* Rows +e_d and -e_d: relu is the identity. */
static void make_identity(Sae *s, int64_t d)
{
    float *e = tset_get(sae_params(s), "encoder")->data;
    float *w = tset_get(sae_params(s), "decoder")->data;
    memset(tset_get(sae_params(s), "decoder_bias")->data, 0, sizeof(float) * (size_t)d);
    for (int64_t m = 0; m < 2 * d; m++)
        for (int64_t i = 0; i < d; i++)
            e[m * d + i] = w[m * d + i] = m % d == i ? (m < d ? 1 : -1) : 0;
}

static void test_splice(void **state)
{
    (void)state;
    Err err = {0};
    Dataset d = toy_data("toy", 1100, 4);
    Model *m = toy_model("mlp", SET("hidden", "10"));
    TrainCfg cfg = toy_cfg(SET("epochs", "4"));
    SaeSplice r;
    Tensor logits, hidden;
    assert_ok(train_model(m, &d, NULL, &cfg, NULL, NULL, &err), err);
    SitePass at = {.model = m, .data = &d};
    assert_ok(site_pass(&at, &logits, &err), err);
    SaeCfg c = settings("relu", SET("latents", "8", "normalise", "none"));
    Sae *s = make(&c, &logits);
    make_identity(s, 4);
    assert_ok(sae_splice(s, m, &d, NULL, "logits", &r, &err), err);
    assert_true(r.acc_base > 0.5);
    assert_near(r.acc_loss, 0, 0);
    assert_near(r.ce_loss, 0, 1e-6);
    assert_near(r.agreement, 1, 0);
    assert_near(r.kl, 0, 1e-9);
    assert_near(r.recovered, 1, 1e-6);
    assert_near(r.ce_zero, log(4), 1e-6); /* no logits: every class alike */
    assert_false(sae_splice(s, m, &d, NULL, "hidden", &r, &err));
    assert_has(err.msg, "takes f32 [B,4]");
    assert_false(sae_splice(s, m, &d, "logits", "hidden", &r, &err));
    assert_has(err.msg, "does not come before");
    assert_false(sae_splice(s, m, &d, NULL, "nowhere", &r, &err));
    assert_has(err.msg, "nowhere");
    sae_free(s);
    /* a transcoder, from the hidden layer to the logits, exact through its skip path */
    at.site = "hidden";
    assert_ok(site_pass(&at, &hidden, &err), err);
    c = settings("topk", SET("normalise", "none", "skip", "true", "steps", "0"));
    s = sae_new(&c, &hidden, &logits, &err);
    assert_non_null(s);
    memcpy(tset_get(sae_params(s), "skip")->data,
           tset_get(m->params, "fc2.weight")->data, sizeof(float) * 40);
    memcpy(tset_get(sae_params(s), "decoder_bias")->data,
           tset_get(m->params, "fc2.bias")->data, sizeof(float) * 4);
    memset(tset_get(sae_params(s), "decoder")->data, 0, sizeof(float) * 160);
    assert_ok(sae_splice(s, m, &d, "hidden", "logits", &r, &err), err);
    assert_near(r.acc_loss, 0, 0);
    assert_near(r.ce_loss, 0, 1e-6);
    sae_free(s);
    tensor_release(&logits);
    tensor_release(&hidden);
    model_free(m);
    dataset_done(&d);
}

/* From far above, L1 goes down to its aim and not through it: the average that the
 * controller sees is not much older than a batch of this size needs. */
static void test_no_overshoot(void **state)
{
    (void)state;
    enum { STEPS = 400, EVERY = 10 };
    Err err = {0};
    Tensor x = sparse_sums(1);
    SaeCfg c = settings("relu", NULL);
    c.l0 = 2;
    c.batch = 512;
    c.steps = STEPS;
    c.lr = 5e-3;
    c.sparsity = 0.01;
    double least = 1e9, last = 0;
    char dir[64], path[128], file[160];
    scratch_make(dir);
    snprintf(path, sizeof path, "%s/a", dir);
    snprintf(file, sizeof file, "%s-last.safetensors", path);
    for (int64_t stop = EVERY; stop <= STEPS; stop += EVERY) {
        Sae *s = make(&c, &x);
        SaeKeep keep = {.checkpoint = path, .stop_at = stop};
        keep.resume = stop > EVERY ? file : NULL;
        TrainReport r;
        SaeCalibration cal;
        SaeMetrics m;
        assert_ok(fit_sae_keeping(s, &keep, NULL, &r, &cal, &err), err);
        assert_ok(sae_measure(s, &x, NULL, NULL, 0, &m, NULL, &err), err);
        least = fmin(least, m.l0);
        last = m.l0;
        sae_free(s);
    }
    assert_true(least > 0.9 * c.l0);
    assert_near(last, c.l0, 0.1 * c.l0);
    scratch_remove(dir);
    tensor_release(&x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_unit_rows_after_each_step),
        cmocka_unit_test(test_projected_gradient),
        cmocka_unit_test(test_controller_hits),
        cmocka_unit_test(test_batch_threshold_and_null),
        cmocka_unit_test(test_revival),
        cmocka_unit_test(test_resume_is_bitwise),
        cmocka_unit_test(test_splice),
        cmocka_unit_test(test_no_overshoot),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
