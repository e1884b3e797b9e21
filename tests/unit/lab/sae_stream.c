/* sae_stream.c -- autoencoders on files: the bits of memory where all fits into one
 * window, and where it does not, the same bits on any thread count, after any stop and
 * after interrupts; fixed memory; damage names its file and leaves whole steps. */
#include "toy.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/intr.h"
#include "base/str.h"
#include "decomp/sae_metrics.h"
#include "lab/sae_many.h"
#include "lab/sae_stream.h"
#include "tensor/pool.h"

enum { N = 1000, D = 10, O = 6, M = 24, FILES = 4 };
static const int64_t file_rows[FILES] = {300, 1, 499, 200};
static char dir[64];

static const char *in_dir(const char *name)
{
    static char path[4][160];
    static int turn;
    char *to = path[turn++ % 4];
    snprintf(to, sizeof path[0], "%s/%s", dir, name);
    return to;
}

static Tensor values(int64_t n, int64_t width)
{
    Tensor t;
    Err err = {0};
    RngKey key = {(uint64_t)width, rng_stream("values"), 0};
    assert_ok(tensor_new(F32, 2, (int64_t[]){n, width}, &t, &err), err);
    rng_normal_f32(key, 0, n * width, 0.3f, 1, t.data);
    for (int64_t i = 0; i < n * width; i++)
        ((float *)t.data)[i] = fmaxf(((float *)t.data)[i], 0);
    return t;
}

/* Rows of x to files <name>0.npy ..., cut as file_rows. */
static void write_files(const char *name, const Tensor *x)
{
    Err err = {0};
    int64_t first = 0;
    for (int i = 0; i < FILES; first += file_rows[i++]) {
        char path[160];
        Tensor part;
        snprintf(path, sizeof path, "%s/%s%d.npy", dir, name, i);
        assert_ok(tensor_slice(x, 0, first, first + file_rows[i], 1, &part, &err), err);
        assert_ok(npy_save(path, &part, &err), err);
        tensor_release(&part);
    }
}

static int prepare(void **unused)
{
    (void)unused;
    scratch_make(dir);
    Tensor x = values(N, D), y = values(N, O);
    write_files("x", &x);
    write_files("y", &y);
    tensor_release(&x);
    tensor_release(&y);
    return 0;
}

static int clear_up(void **unused)
{
    (void)unused;
    scratch_remove(dir);
    return 0;
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
    c.steps = 70;
    c.dead_after = 320;
    for (; set && *set; set += 2)
        assert_ok(
            opt_set_text(sae_options, sae_n_options, &c, set[0], set[1], "sae", &err),
            err);
    return c;
}

static Shards *files(const char *pattern, int64_t window)
{
    Err err = {0};
    ShardsCfg c;
    assert_ok(opt_defaults(shards_options, shards_n_options, &c, &err), err);
    c.batch = 3; /* not that of the training */
    c.window = window;
    Shards *s = shards_open(in_dir(pattern), &c, &err);
    if (!s)
        fail_msg("%s", err.msg);
    return s;
}

typedef struct Fed {
    Sae *s;
    TrainReport report;
    SaeCalibration cal;
} Fed;

static bool fit(const SaeCfg *c, const Shards *x, const Shards *y, const SaeKeep *keep,
                const TrainHooks *hooks, Fed *out, Err *err)
{
    SaeStream *st = sae_stream_open(x, y, c, err);
    *out = (Fed){0};
    out->s = st ? sae_new_from(c, sae_stream_source(st), err) : NULL;
    bool ok = out->s && fit_sae_fed(out->s, sae_stream_feed(st), keep, hooks,
                                    &out->report, &out->cal, err);
    if (out->s)
        sae_let_go(out->s);
    sae_stream_free(st);
    return ok;
}

static Fed train(const SaeCfg *c, int64_t window, bool target, const SaeKeep *keep,
                 const TrainHooks *hooks)
{
    Fed f;
    Err err = {0};
    SaeKeep none = {0};
    Shards *x = files("x*.npy", window), *y = target ? files("y*.npy", window) : NULL;
    assert_ok(fit(c, x, y, keep ? keep : &none, hooks, &f, &err), err);
    shards_free(x);
    shards_free(y);
    return f;
}

static void same(Sae *a, Sae *b, const char *what)
{
    TensorSet *sets[2][2] = {
        {sae_params(a), sae_params(b)},
        {sae_states(a), sae_states(b)}
    };
    for (int k = 0; k < 2; k++)
        for (int i = 0; i < tset_count(sets[k][0]); i++) {
            const Tensor *p = tset_at(sets[k][0], i), *q = tset_at(sets[k][1], i);
            if (memcmp(p->data, q->data, tensor_bytes(p)))
                fail_msg("%s: '%s' has other bits", what, tset_name(sets[k][0], i));
        }
    if (sae_theta(a))
        assert_memory_equal(sae_theta(a)->data, sae_theta(b)->data,
                            tensor_bytes(sae_theta(a)));
}

/* ---- one window ------------------------------------------------------------------ */

typedef struct Kind {
    const char *activation;
    const char *const *set;
    bool target;
} Kind;

static void test_all_in_a_window_is_memory(void **state)
{
    (void)state;
    const Kind kinds[] = {
        {"batchtopk",     SET("normalise", "zscore"),       false          },
        {"topk",          SET("start",     "examples",      "normalise",     "length"), false},
        {"jumprelu",          SET("theta_share",                         "0.1",                               "normalise",                    "none"), false},
        {"topk",    SET("resample",            "20","dead_after","100"), false},
        {"stochastic",SET("normalise","standardise"),          false                               },
        {"batchtopk",               SET("skip",                   "true"),                      true                         },
        {"gated",               SET("normalise",                    "unit"),           true},
    };
    Err err = {0};
    Tensor x = values(N, D), y = values(N, O);
    for (size_t k = 0; k < ARRAY_LEN(kinds); k++) {
        SaeCfg c = settings(kinds[k].activation, kinds[k].set);
        Fed fed = train(&c, 5000, kinds[k].target, NULL, NULL);
        Sae *s = sae_new(&c, &x, kinds[k].target ? &y : NULL, &err);
        TrainReport r;
        SaeCalibration cal;
        assert_non_null(s);
        assert_ok(fit_sae(s, NULL, &r, &cal, &err), err);
        same(s, fed.s, kinds[k].activation);
        assert_memory_equal(&cal, &fed.cal, sizeof cal);
        assert_true(r.loss == fed.report.loss && r.epochs == fed.report.epochs);
        assert_int_equal(sae_examples(fed.s), N);
        sae_free(s);
        sae_free(fed.s);
    }
    tensor_release(&x);
    tensor_release(&y);
}

/* ---- several windows ------------------------------------------------------------- */

/* Not the bits of memory, but as good, and the same again on any number of threads. */
static void test_windows(void **state)
{
    (void)state;
    Err err = {0};
    SaeCfg c = settings("topk", SET("steps", "400"));
    Tensor x = values(N, D);
    Sae *s = sae_new(&c, &x, NULL, &err);
    TrainReport r;
    SaeCalibration cal;
    SaeMetrics memory, files_of;
    assert_ok(fit_sae(s, NULL, &r, &cal, &err), err);
    assert_ok(pool_set_threads(1, &err), err);
    Fed one = train(&c, 100, false, NULL, NULL);
    assert_ok(pool_set_threads(2, &err), err);
    Fed two = train(&c, 100, false, NULL, NULL);
    same(one.s, two.s, "threads");
    assert_ok(sae_measure(s, &x, NULL, NULL, 0, &memory, NULL, &err), err);
    assert_ok(sae_measure(one.s, &x, NULL, NULL, 0, &files_of, NULL, &err), err);
    assert_true(memory.fve != files_of.fve);
    assert_true(memory.fve > 0.6 && fabs(memory.fve - files_of.fve) < 0.02);
    Fed other = train(&c, 200, false, NULL, NULL);
    assert_true(other.report.loss != one.report.loss);
    Sae *const own[] = {s, one.s, two.s, other.s};
    for (size_t i = 0; i < ARRAY_LEN(own); i++)
        sae_free(own[i]);
    tensor_release(&x);
}

/* Windows of 96 rows are three steps: stops at their ends, in the middle, and over the
 * end of an epoch of 31 steps. */
static void test_resume(void **state)
{
    (void)state;
    Err err = {0};
    SaeCfg c = settings("batchtopk", SET("resample", "20"));
    Fed whole = train(&c, 96, true, NULL, NULL);
    char path[160], last[200];
    snprintf(path, sizeof path, "%s", in_dir("c"));
    snprintf(last, sizeof last, "%s-last.safetensors", path);
    for (int64_t stop = 1; stop < 70;
         stop += stop < 8 || (stop > 28 && stop < 34) ? 1 : 9) {
        Fed part =
            train(&c, 96, true, &(SaeKeep){.checkpoint = path, .stop_at = stop}, NULL);
        assert_true(part.report.interrupted && part.report.steps == stop);
        Fed rest = train(&c, 96, true, &(SaeKeep){.resume = last}, NULL);
        same(whole.s, rest.s, "resumed");
        assert_true(rest.report.loss == whole.report.loss);
        sae_free(part.s);
        sae_free(rest.s);
    }
    Fed f;
    Shards *x = files("x*.npy", 128), *y = files("y*.npy", 128);
    assert_false(fit(&c, x, y, &(SaeKeep){.resume = last}, NULL, &f, &err));
    assert_has(err.msg, "4 files of 1000 rows in windows of 96");
    assert_has(err.msg, "windows of 128");
    sae_free(f.s);
    Fed all = train(&c, N, true, &(SaeKeep){.checkpoint = path, .stop_at = 9}, NULL);
    assert_false(fit(&c, x, y, &(SaeKeep){.resume = last}, NULL, &f, &err));
    assert_has(err.msg, "came from memory");
    sae_free(f.s);
    sae_free(all.s);
    sae_free(whole.s);
    shards_free(x);
    shards_free(y);
}

typedef struct Raise {
    long ns;
    double at;
} Raise;

static void *raise_later(void *ctx)
{
    Raise *r = ctx;
    nanosleep(&(struct timespec){r->ns / 1000000000, r->ns % 1000000000}, NULL);
    r->at = clock_now();
    intr_raise();
    return NULL;
}

/* At any moment, while a window is read too: whole steps, soon, and the rest of the
 * training as if nothing had been. */
static void test_interrupts(void **state)
{
    (void)state;
    SaeCfg c = settings("topk", SET("steps", "1500"));
    char path[160], last[200];
    int stopped = 0;
    snprintf(path, sizeof path, "%s", in_dir("i"));
    snprintf(last, sizeof last, "%s-last.safetensors", path);
    double start = clock_now();
    Fed whole = train(&c, 64, false, NULL, NULL);
    double seconds = clock_now() - start;
    for (int k = 1; k <= 12; k++) {
        Raise r = {.ns = (long)(1e9 * seconds * k / 13)};
        pthread_t thread;
        Fed part = {0}, rest;
        Err err = {0};
        Shards *x = files("x*.npy", 64);
        assert_int_equal(pthread_create(&thread, NULL, raise_later, &r), 0);
        bool ok = fit(&c, x, NULL, &(SaeKeep){.checkpoint = path}, NULL, &part, &err);
        double end = clock_now();
        pthread_join(thread, NULL);
        bool in_time = r.at == 0 || end < r.at || end - r.at < 0.5;
        intr_clear();
        assert_true(in_time);
        shards_free(x);
        if (!ok) { /* before the first step */
            assert_int_equal(err.code, ERR_INTERRUPT);
            sae_free(part.s);
            continue;
        }
        stopped += part.report.interrupted;
        rest = train(&c, 64, false, &(SaeKeep){.resume = last}, NULL);
        same(whole.s, rest.s, "interrupted");
        sae_free(part.s);
        sae_free(rest.s);
    }
    assert_true(stopped >= 3);
    sae_free(whole.s);
}

/* ---- damage ---------------------------------------------------------------------- */

typedef struct Damage {
    enum { CUT, GONE, TOUCHED } what;
    const char *path;
} Damage;

static bool damage(void *ctx, int64_t step, const char *const *names, const double *v,
                   int n, Err *err)
{
    const Damage *d = ctx;
    (void)names, (void)v, (void)n, (void)err;
    if (step != 20)
        return true;
    if (d->what == CUT)
        assert_int_equal(truncate(d->path, 3000), 0);
    else if (d->what == GONE)
        assert_int_equal(unlink(d->path), 0);
    else
        assert_int_equal(utimensat(AT_FDCWD, d->path, NULL, 0), 0);
    return true;
}

/* A file that changes while it trains: a sentence with its name, and the parameters of
 * a whole step. */
static void test_damage(void **state)
{
    (void)state;
    static const char *const say[] = {"has changed since it was opened: it had",
                                      "No such file", "has been written to since"};
    for (int k = CUT; k <= TOUCHED; k++) {
        Err err = {0};
        Fed f;
        Tensor x = values(N, D);
        Damage d = {(int)k, in_dir("d2.npy")};
        write_files("d", &x);
        tensor_release(&x);
        TrainHooks hooks = {.ctx = &d, .metric = damage};
        SaeCfg c = settings("topk", NULL);
        Shards *s = files("d*.npy", 64);
        assert_false(fit(&c, s, NULL, &(SaeKeep){0}, &hooks, &f, &err));
        assert_has(err.msg, "d2.npy");
        assert_has(err.msg, say[k]);
        double steps = tensor_item(tset_get(sae_states(f.s), "clock"));
        assert_true(steps >= 20 && steps < 62);
        Fed until = train(&c, 64, false, &(SaeKeep){.stop_at = (int64_t)steps}, NULL);
        same(until.s, f.s, say[k]);
        sae_free(until.s);
        sae_free(f.s);
        shards_free(s);
        unlink(in_dir("d2.npy"));
    }
}

static void test_refusals(void **state)
{
    (void)state;
    Err err = {0};
    SaeCfg c = settings("topk", NULL);
    Fed f;
    Shards *x = files("x*.npy", 64), *y = files("y*.npy", 64);
    Tensor few = values(4, O);
    assert_ok(npy_save(in_dir("z0.npy"), &few, &err), err);
    Shards *z = files("z*.npy", 64);
    assert_false(fit(&c, x, z, &(SaeKeep){0}, NULL, &f, &err));
    assert_has(err.msg, "in 4 files, targets in 1");
    for (int i = 0; i < FILES; i++) {
        char path[160];
        snprintf(path, sizeof path, "%s/z%d.npy", dir, i);
        assert_ok(npy_save(path, &few, &err), err);
    }
    Shards *again = files("z*.npy", 64);
    assert_false(fit(&c, x, again, &(SaeKeep){0}, NULL, &f, &err));
    assert_has(err.msg, "x0.npy' has 300 rows, but its targets");
    tensor_release(&few);
    few = values(5, O); /* a header that is another now */
    assert_ok(npy_save(in_dir("z1.npy"), &few, &err), err);
    assert_false(fit(&c, again, NULL, &(SaeKeep){0}, NULL, &f, &err));
    assert_has(err.msg, "z1.npy' has changed");
    for (int64_t d = 0; d < 5 * O; d++)
        ((float *)few.data)[d] = d == 2 * O ? NAN : 1;
    assert_ok(npy_save(in_dir("z1.npy"), &few, &err), err);
    Shards *bad = files("z*.npy", 64);
    assert_false(fit(&c, bad, NULL, &(SaeKeep){0}, NULL, &f, &err));
    assert_has(err.msg, "not finite, in row 6");
    tensor_release(&few);
    Shards *const own[] = {x, y, z, again, bad};
    for (size_t i = 0; i < ARRAY_LEN(own); i++)
        shards_free(own[i]);
}

/* ---- memory ---------------------------------------------------------------------- */

/* Ten times the files and rows, read to their end: the same peak. */
static void test_fixed_memory(void **state)
{
    (void)state;
    enum { ROWS = 20000, W = 8 };
    size_t peak[2];
    Err err = {0};
    Tensor x = values(ROWS, W);
    for (int k = 0; k < 2; k++) {
        int count = k ? 10 : 1;
        for (int i = 0; i < count; i++) {
            char path[160];
            snprintf(path, sizeof path, "%s/big%d.npy", dir, i);
            assert_ok(npy_save(path, &x, &err), err);
        }
        SaeCfg c = settings("topk", SET("batch", "500", "dead_after", "5000"));
        c.steps = 41 * count;
        mem_trim();
        mem_peak_reset();
        size_t before = mem_live();
        Fed f;
        Shards *s = files("big*.npy", 4000);
        assert_int_equal(shards_rows(s), ROWS * count);
        assert_ok(fit(&c, s, NULL, &(SaeKeep){0}, NULL, &f, &err), err);
        assert_int_equal(f.report.epochs, 1);
        peak[k] = mem_peak() - before;
        sae_free(f.s);
        shards_free(s);
    }
    /* Ten files' rows would be 6.4 MB. */
    if (peak[1] > peak[0] + 65536)
        fail_msg("%zu bytes for one file, %zu for ten", peak[0], peak[1]);
    tensor_release(&x);
}

static bool open_and_fit(void *ctx, Err *err)
{
    Fed f = {0};
    SaeCfg c = settings("batchtopk", SET("steps", "4"));
    (void)ctx;
    ShardsCfg sc;
    Shards *x = NULL, *y = NULL;
    bool ok = opt_defaults(shards_options, shards_n_options, &sc, err);
    sc.window = 64;
    ok = ok && (x = shards_open(in_dir("x*.npy"), &sc, err)) &&
         (y = shards_open(in_dir("y*.npy"), &sc, err)) &&
         fit(&c, x, y, &(SaeKeep){0}, NULL, &f, err);
    sae_free(f.s);
    shards_free(x);
    shards_free(y);
    return ok;
}

static void test_faults(void **state)
{
    (void)state;
    assert_true(fail_each_alloc(open_and_fit, NULL) > 50);
}

/* ---- several --------------------------------------------------------------------- */

static void test_several(void **state)
{
    (void)state;
    Err err = {0};
    SaeCfg a = settings("topk", NULL), b = settings("relu", NULL);
    Shards *x = files("x*.npy", 96);
    SaeStream *st = sae_stream_open(x, NULL, &a, &err);
    assert_non_null(st);
    Sae *both[2] = {sae_new_from(&a, sae_stream_source(st), &err),
                    sae_new_from(&b, sae_stream_source(st), &err)};
    TrainReport r;
    SaeCalibration cal[2];
    assert_ok(fit_saes_fed(both, 2, sae_stream_feed(st), NULL, &r, cal, &err), err);
    Fed one = train(&a, 96, false, NULL, NULL), two = train(&b, 96, false, NULL, NULL);
    same(both[0], one.s, "topk beside another");
    same(both[1], two.s, "relu beside another");
    Sae *const own[] = {both[0], both[1], one.s, two.s};
    for (size_t i = 0; i < ARRAY_LEN(own); i++)
        sae_free(own[i]);
    sae_stream_free(st);
    shards_free(x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_in_a_window_is_memory),
        cmocka_unit_test(test_windows),
        cmocka_unit_test(test_resume),
        cmocka_unit_test(test_interrupts),
        cmocka_unit_test(test_damage),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_fixed_memory),
        cmocka_unit_test(test_faults),
        cmocka_unit_test(test_several),
    };
    return cmocka_run_group_tests(tests, prepare, clear_up);
}
