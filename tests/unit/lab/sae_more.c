/* sae_more.c -- several autoencoders in one pass, what is drawn and blocked out in
 * training, latents that start again, bitwise resuming of all of it, and the folders of
 * other programs. */
#include "toy.h"

#include <sys/stat.h>

#include "base/str.h"
#include "decomp/sae_metrics.h"
#include "lab/sae_files.h"
#include "lab/sae_many.h"

enum { N = 900, D = 10, O = 7, M = 24 };

static Tensor values(uint64_t seed, int64_t width)
{
    Tensor t;
    Err err = {0};
    RngKey key = {seed, rng_stream("values"), 0};
    assert_ok(tensor_new(F32, 2, (int64_t[]){N, width}, &t, &err), err);
    rng_normal_f32(key, 0, N * width, 0.3f, 1, t.data);
    for (int64_t i = 0; i < N * width; i++) /* sparse, above 0 */
        ((float *)t.data)[i] = fmaxf(((float *)t.data)[i], 0);
    return t;
}

static SaeCfg settings(const char *activation, const char *const *set)
{
    Err err = {0};
    SaeCfg c;
    assert_ok(opt_defaults(sae_options, sae_n_options, &c, &err), err);
    text_copy(c.activation, sizeof c.activation, activation);
    c.latents = M;
    c.k = 3;
    c.l0 = 3;
    c.batch = 32;
    c.steps = 60;
    c.dead_after = 320;
    for (; set && *set; set += 2)
        assert_ok(
            opt_set_text(sae_options, sae_n_options, &c, set[0], set[1], "sae", &err),
            err);
    return c;
}

static Sae *make(SaeCfg c, const Tensor *x, const Tensor *y)
{
    Err err = {0};
    Sae *s = sae_new(&c, x, y, &err);
    if (!s)
        fail_msg("%s", err.msg);
    return s;
}

static void same_tensors(const TensorSet *a, const TensorSet *b, const char *what)
{
    assert_int_equal(tset_count(a), tset_count(b));
    for (int i = 0; i < tset_count(a); i++)
        if (memcmp(tset_at(a, i)->data, tset_at(b, i)->data,
                   tensor_bytes(tset_at(a, i))))
            fail_msg("%s: '%s' has other bits", what, tset_name(a, i));
}

/* ---- several --------------------------------------------------------------------- */

static SaeCfg variant(int i)
{
    switch (i) {
    case 0: return settings("topk", NULL);
    case 1: return settings("batchtopk", SET("resample", "20"));
    case 2: return settings("jumprelu", SET("normalise", "zscore"));
    case 3: return settings("gated", SET("clip", "0.05"));
    case 4: return settings("stochastic", SET("clip", "0"));
    default: return settings("abstopk", SET("k_min", "1"));
    }
}

static void test_many_equal_alone(void **state)
{
    (void)state;
    enum { HOW_MANY = 6 };
    Err err = {0};
    Tensor x = values(1, D);
    Sae *s[HOW_MANY];
    SaeCalibration cal[HOW_MANY], one;
    TrainReport r;
    for (int i = 0; i < HOW_MANY; i++)
        s[i] = make(variant(i), &x, NULL);
    assert_ok(fit_saes(s, HOW_MANY, NULL, &r, cal, &err), err);
    for (int i = 0; i < HOW_MANY; i++) {
        Sae *alone = make(variant(i), &x, NULL);
        assert_ok(fit_sae(alone, NULL, &r, &one, &err), err);
        same_tensors(sae_params(s[i]), sae_params(alone), variant(i).activation);
        same_tensors(sae_states(s[i]), sae_states(alone), variant(i).activation);
        assert_true(cal[i].after == one.after && cal[i].shift == one.shift);
        sae_free(alone);
        sae_free(s[i]);
    }
    tensor_release(&x);
}

static void test_many_refuses(void **state)
{
    (void)state;
    Err err = {0};
    TrainReport r;
    SaeCalibration cal[2];
    Tensor x = values(1, D), y = values(2, D);
    Sae *a = make(settings("topk", NULL), &x, NULL);
    Sae *b = make(settings("topk", SET("batch", "16")), &x, NULL);
    Sae *c = make(settings("topk", NULL), &y, NULL);
    assert_false(fit_saes((Sae *[]){a, b}, 2, NULL, &r, cal, &err));
    assert_non_null(strstr(err.msg, "other steps, batch"));
    assert_false(fit_saes((Sae *[]){a, c}, 2, NULL, &r, cal, &err));
    assert_non_null(strstr(err.msg, "other activations"));
    assert_false(fit_saes((Sae *[]){a}, 0, NULL, &r, cal, &err));
    sae_free(a);
    sae_free(b);
    sae_free(c);
    tensor_release(&x);
    tensor_release(&y);
}

/* ---- resuming -------------------------------------------------------------------- */

static void run_job(TrainJob *job, TrainCfg *cfg, const char *path, const char *resume,
                    int64_t stop)
{
    Err err = {0};
    TrainReport r;
    text_copy(cfg->checkpoint, sizeof cfg->checkpoint, path);
    text_copy(cfg->resume, sizeof cfg->resume, resume);
    cfg->stop_at = stop;
    assert_ok(train_run(job, cfg, NULL, &r, &err), err);
}

static void save_one(SaeCfg c, const Tensor *x, const Tensor *y, const char *path,
                     const char *resume, int64_t stop)
{
    Err err = {0};
    TrainJob job;
    TrainCfg cfg;
    Sae *s = make(c, x, y);
    assert_ok(sae_job(s, &job, &cfg, &err), err);
    run_job(&job, &cfg, path, resume, stop);
    sae_free(s);
}

static void save_many(const Tensor *x, const char *path, const char *resume,
                      int64_t stop)
{
    Err err = {0};
    TrainJob job;
    TrainCfg cfg;
    SaeMany m = {0};
    Sae *s[3];
    for (int i = 0; i < 3; i++)
        s[i] = make(variant(i), x, NULL);
    assert_ok(sae_many_job(&m, s, 3, &job, &cfg, &err), err);
    run_job(&job, &cfg, path, resume, stop);
    sae_many_done(&m);
    for (int i = 0; i < 3; i++)
        sae_free(s[i]);
}

static void test_resume_is_bitwise(void **state)
{
    (void)state;
    char dir[64], a[128], b[128], whole[160], half[160];
    Tensor x = values(1, D), y = values(2, O);
    scratch_make(dir);
    snprintf(a, sizeof a, "%s/a", dir);
    snprintf(b, sizeof b, "%s/b", dir);
    snprintf(whole, sizeof whole, "%s/a-last.safetensors", dir);
    snprintf(half, sizeof half, "%s/b-last.safetensors", dir);
    for (int i = 0; i < 8; i++) {
        bool own = i == 6;
        SaeCfg c = own ? settings("batchtopk", SET("split_latents", "12", "split_in",
                                                   "4", "split_out", "3"))
                       : variant(i);
        if (i == 7) {
            save_many(&x, a, "", 0);
            save_many(&x, b, "", 31);
            save_many(&x, b, half, 0);
        } else {
            save_one(c, &x, own ? &y : NULL, a, "", 0);
            save_one(c, &x, own ? &y : NULL, b, "", 31);
            save_one(c, &x, own ? &y : NULL, b, half, 0);
        }
        assert_same_files(whole, half);
    }
    scratch_remove(dir);
    tensor_release(&x);
    tensor_release(&y);
}

/* ---- layers and starts ----------------------------------------------------------- */

static void test_blocks_stay_empty(void **state)
{
    (void)state;
    Err err = {0};
    TrainReport r;
    SaeCalibration cal;
    Tensor x = values(1, D), y = values(2, O);
    SaeCfg c = settings("batchtopk",
                        SET("split_latents", "12", "split_in", "4", "split_out", "3"));
    Sae *s = make(c, &x, &y);
    assert_ok(fit_sae(s, NULL, &r, &cal, &err), err);
    const float *e = tset_get(sae_params(s), "encoder")->data;
    const float *w = tset_get(sae_params(s), "decoder")->data;
    int read = 0, wrote = 0;
    for (int m = 0; m < M; m++) {
        bool first = m < 12;
        double length = 0;
        for (int d = 0; d < D; d++) {
            assert_true((d < 4) == first || e[m * D + d] == 0);
            read += e[m * D + d] != 0;
        }
        for (int o = 0; o < O; o++) {
            assert_true(first || o >= 3 || w[m * O + o] == 0);
            wrote += w[m * O + o] != 0;
            length += (double)w[m * O + o] * (double)w[m * O + o];
        }
        assert_near(length, 1, 1e-5);
    }
    assert_int_equal(read, 12 * 4 + 12 * 6);
    assert_int_equal(wrote, 12 * 7 + 12 * 4);
    sae_free(s);
    c.split_in = D;
    assert_null(sae_new(&c, &x, &y, &err));
    assert_non_null(strstr(err.msg, "must leave something to both layers"));
    c.split_in = 4;
    assert_null(sae_new(&c, &x, NULL, &err));
    assert_non_null(strstr(err.msg, "layers need a target"));
    tensor_release(&x);
    tensor_release(&y);
}

/* Latents that cannot fire come back, and their moments begin anew. */
static void test_dead_latents_start_again(void **state)
{
    (void)state;
    Err err = {0};
    TrainReport r;
    SaeCalibration cal;
    SaeMetrics m;
    double dead[2];
    Tensor x = values(1, D);
    for (int on = 0; on < 2; on++) {
        SaeCfg c = settings("topk", SET("aux", "0", "steps", "200"));
        c.resample = on ? 40 : 0;
        Sae *s = make(c, &x, NULL);
        for (int k = 0; k < 12; k++)
            ((float *)tset_get(sae_params(s), "encoder_bias")->data)[k] = -5;
        assert_ok(fit_sae(s, NULL, &r, &cal, &err), err);
        assert_ok(sae_measure(s, &x, NULL, NULL, 0, &m, NULL, &err), err);
        dead[on] = m.dead;
        sae_free(s);
    }
    if (!(dead[0] >= 0.5 && dead[1] <= 0.25))
        fail_msg("dead: %g without, %g with", dead[0], dead[1]);
    tensor_release(&x);
}

/* ---- files of other programs ----------------------------------------------------- */

static void nudge(Sae *s)
{
    for (int i = 0; i < tset_count(sae_params(s)); i++) {
        Tensor t = *tset_at(sae_params(s), i);
        RngKey key = {9, rng_stream(tset_name(sae_params(s), i)), 0};
        for (int64_t k = 0; k < tensor_count(&t); k++)
            ((float *)t.data)[k] += 0.2f * (float)rng_unit(key, k);
    }
    for (int64_t m = 0; m < M; m++)
        sae_theta_data(s)[m] =
            0.3f + (sae_cfg(s)->activation[0] == 'j' ? 0.01f * (float)m : 0);
}

static void check_trip(const char *dir, const char *activation, const char *normalise,
                       const char *layout, const Tensor *x, const Tensor *y, bool skip)
{
    Err err = {0};
    char path[160];
    SaeCfg c = settings(activation, SET("normalise", normalise, "steps", "0"));
    c.skip = skip;
    Sae *s = make(c, x, y);
    nudge(s);
    snprintf(path, sizeof path, "%s/%s-%s-%s%d", dir, layout, activation, normalise,
             y != NULL);
    assert_ok(sae_export(s, path, layout, &err), err);
    Sae *back = sae_import(path, &err);
    if (!back)
        fail_msg("%s %s %s: %s", layout, activation, normalise, err.msg);
    Tensor a = {0}, b = {0};
    assert_ok(sae_outputs(s, x, &a, &err), err);
    assert_ok(sae_outputs(back, x, &b, &err), err);
    double worst = 0, top = 0;
    for (int64_t i = 0; i < tensor_count(&a); i++) {
        double p = (double)((float *)a.data)[i], q = (double)((float *)b.data)[i];
        worst = fmax(worst, fabs(p - q));
        top = fmax(top, fabs(p));
    }
    if (!(worst <= 3e-5 * top))
        fail_msg("%s %s %s: outputs differ by %g of %g", layout, activation, normalise,
                 worst, top);
    tensor_release(&a);
    tensor_release(&b);
    sae_free(back);
    sae_free(s);
}

static void test_files_go_round(void **state)
{
    (void)state;
    char dir[64];
    Tensor x = values(1, D), y = values(2, O);
    scratch_make(dir);
    static const char *const kinds[] = {"relu",       "topk",     "batchtopk",
                                        "matryoshka", "jumprelu", "gated"};
    static const char *const scales[] = {"none", "rms", "length", "zscore"};
    for (size_t k = 0; k < ARRAY_LEN(kinds); k++)
        for (size_t n = 0; n < ARRAY_LEN(scales); n++) {
            check_trip(dir, kinds[k], scales[n], "saelens", &x, NULL, false);
            check_trip(dir, kinds[k], scales[n], "dictionary_learning", &x, NULL,
                       false);
        }
    check_trip(dir, "relu", "unit", "saelens", &x, NULL, false);
    check_trip(dir, "jumprelu", "standardise", "saelens", &x, NULL, false);
    check_trip(dir, "relu", "zscore", "saelens", &x, &y, false);
    check_trip(dir, "relu", "zscore", "saelens", &x, &y, true);
    check_trip(dir, "batchtopk", "rms", "saelens", &x, &y, false);
    scratch_remove(dir);
    tensor_release(&x);
    tensor_release(&y);
}

static void refuses(Sae *s, const char *dir, const char *layout, const char *part)
{
    Err err = {0};
    if (sae_export(s, dir, layout, &err) || !strstr(err.msg, part))
        fail_msg("'%s' does not say '%s'", err.msg, part);
    sae_free(s);
}

static void test_files_refuse(void **state)
{
    (void)state;
    char dir[64], path[160];
    Err err = {0};
    Tensor x = values(1, D), y = values(2, O);
    scratch_make(dir);
    refuses(make(settings("abstopk", NULL), &x, NULL), dir, "saelens",
            "no activation like abstopk");
    refuses(make(settings("stochastic", NULL), &x, NULL), dir, "dictionary_learning",
            "no activation like stochastic");
    refuses(make(settings("gated", NULL), &x, &y), dir, NULL, "no transcoder of gated");
    refuses(make(settings("relu", NULL), &x, &y), dir, "dictionary_learning",
            "has no target");
    refuses(make(settings("relu", SET("normalise", "unit")), &x, NULL), dir,
            "dictionary_learning", "normalisation of examples");
    refuses(make(settings("relu", NULL), &x, NULL), dir, "keras", "no layout 'keras'");
    assert_null(sae_import(dir, &err));
    assert_non_null(strstr(err.msg, "neither cfg.json nor config.json"));
    snprintf(path, sizeof path, "%s/cfg.json", dir);
    assert_true(file_write_all(path, "{\"architecture\":\"temporal\"}", 27, &err));
    assert_null(sae_import(dir, &err));
    assert_non_null(strstr(err.msg, "'temporal' is none of ours"));
    assert_true(file_write_all(path, "{\"architecture\":", 16, &err));
    assert_null(sae_import(dir, &err));
    assert_non_null(strstr(err.msg, "cfg.json, line 1"));
    scratch_remove(dir);
    tensor_release(&x);
    tensor_release(&y);
}

/* What is written as torch.save() does is read by what reads its files. */
static void test_torch_goes_round(void **state)
{
    (void)state;
    char dir[64], path[160];
    Err err = {0};
    TensorSet *set = tset_new(&err), *back = NULL;
    Tensor x = values(1, D), k;
    scratch_make(dir);
    snprintf(path, sizeof path, "%s/a.pt", dir);
    assert_ok(tensor_full(I32, 0, NULL, 32, &k, &err), err);
    assert_ok(tset_add(set, "encoder.weight", &x, &err), err);
    assert_ok(tset_add(set, "k", &k, &err), err);
    assert_ok(torch_save(path, set, &err), err);
    assert_ok(torch_load(path, &back, &err), err);
    const Tensor *t = tset_get(back, "encoder.weight");
    assert_true(t && tensor_same_shape(t, &x) &&
                !memcmp(t->data, x.data, tensor_bytes(&x)));
    assert_true(tensor_item(tset_get(back, "k")) == 32);
    tset_free(set);
    tset_free(back);
    tensor_release(&k);
    tensor_release(&x);
    scratch_remove(dir);
}

/* ---- memory ---------------------------------------------------------------------- */

typedef struct Life {
    const Tensor *x, *y;
    const char *dir;
} Life;

static bool trained_together(void *ctx, Err *err)
{
    const Life *l = ctx;
    SaeCfg a = settings("topk", SET("steps", "3", "resample", "2")),
           b = settings("stochastic", SET("steps", "3"));
    Sae *s[2] = {sae_new(&a, l->x, NULL, err), NULL};
    SaeCalibration cal[2];
    TrainReport r;
    s[1] = s[0] ? sae_new(&b, l->x, NULL, err) : NULL;
    bool ok = s[1] && fit_saes(s, 2, NULL, &r, cal, err);
    sae_free(s[0]);
    sae_free(s[1]);
    return ok;
}

static bool there_and_back(void *ctx, Err *err)
{
    const Life *l = ctx;
    SaeCfg c = settings("relu", SET("split_latents", "0", "normalise", "zscore"));
    c.skip = true;
    Sae *s = sae_new(&c, l->x, l->y, err), *back = NULL;
    bool ok = s && sae_export(s, l->dir, "saelens", err) &&
              (back = sae_import(l->dir, err));
    sae_free(back);
    sae_free(s);
    return ok;
}

static bool torch_and_back(void *ctx, Err *err)
{
    const Life *l = ctx;
    char path[160];
    SaeCfg c = settings("gated", NULL);
    Sae *s = sae_new(&c, l->x, NULL, err), *back = NULL;
    snprintf(path, sizeof path, "%s/dl", l->dir);
    bool ok = s && sae_export(s, path, "dictionary_learning", err) &&
              (back = sae_import(path, err));
    sae_free(back);
    sae_free(s);
    return ok;
}

static void test_every_allocation_may_fail(void **state)
{
    (void)state;
    char dir[64];
    Tensor x = values(1, D), y = values(2, O);
    Life l = {&x, &y, dir};
    scratch_make(dir);
    assert_true(fail_each_alloc(trained_together, &l) > 100);
    assert_true(fail_each_alloc(there_and_back, &l) > 50);
    assert_true(fail_each_alloc(torch_and_back, &l) > 50);
    scratch_remove(dir);
    tensor_release(&x);
    tensor_release(&y);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_many_equal_alone),
        cmocka_unit_test(test_many_refuses),
        cmocka_unit_test(test_resume_is_bitwise),
        cmocka_unit_test(test_blocks_stay_empty),
        cmocka_unit_test(test_dead_latents_start_again),
        cmocka_unit_test(test_files_go_round),
        cmocka_unit_test(test_files_refuse),
        cmocka_unit_test(test_torch_goes_round),
        cmocka_unit_test(test_every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
