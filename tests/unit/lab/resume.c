/* Exactness of training: equal runs give equal files, whatever the threads; stopping
 * and going on at any step, in any number of pieces, or by an interrupt at any moment,
 * gives the file of a run that never stopped. */
#include "toy.h"

#include <pthread.h>
#include <time.h>

#include "graph/build.h"
#include "tensor/pool.h"

static char dir[64];
static Dataset train_set, test_set;

static const char *at(const char *name)
{
    static char path[4][160];
    static int k;
    k = (k + 1) % 4;
    snprintf(path[k], sizeof path[k], "%s/%s", dir, name);
    return path[k];
}

typedef struct Setup {
    const char *row;
    const char *const *model;
    const char *const *train;
} Setup;

/* Trains a fresh model into <dir>/<name>-*.safetensors. */
static TrainReport go(const Setup *s, const char *name, const char *resume,
                      int64_t stop, const TrainHooks *hooks)
{
    Err err = {0};
    Model *m = toy_model(s->row, s->model);
    TrainCfg cfg = toy_cfg(s->train);
    TrainReport r;
    cfg.stop_at = stop;
    snprintf(cfg.checkpoint, sizeof cfg.checkpoint, "%s/%s", dir, name);
    if (resume)
        snprintf(cfg.resume, sizeof cfg.resume, "%s/%s-last.safetensors", dir, resume);
    assert_ok(train_model(m, &train_set, &test_set, &cfg, hooks, &r, &err), err);
    model_free(m);
    return r;
}

static void assert_same(const char *a, const char *b)
{
    char x[64], y[64];
    snprintf(x, sizeof x, "%s-last.safetensors", a);
    snprintf(y, sizeof y, "%s-last.safetensors", b);
    assert_same_files(at(x), at(y));
}

static const char *const small[] = {"embed", "8", "hidden", "16", NULL};
static const char *const mlp_small[] = {"hidden", "12,8", "activation", "geglu", NULL};
static const char *const noisy[] = {"noise", "0.4", NULL};
static const char *const clipped[] = {"method", "adam_l2", "clip",     "0.5",
                                      "warmup", "3",       "schedule", "linear",
                                      "batch",  "40",      NULL};
static const char *const momentum[] = {
    "method",      "sgd",      "momentum",   "0.9",   "lr",
    "0.05",        "schedule", "constant",   "noise", "0.2",
    "noise_share", "1",        "eval_every", "2",     "checkpoint_every",
    "2",           NULL};
static const char *const augmented[] = {
    "shift", "1",        "dropout",  "0.3",   "dropout_in", "0.1", "smoothing",
    "0.1",   "schedule", "onecycle", "noise", "0.1",        NULL};
static const Setup setups[] = {
    {"bilinear", small,     noisy    },
    {"bilinear", small,     clipped  },
    {"mlp",      mlp_small, momentum },
    {"mlp",      mlp_small, augmented},
};

static void equal_runs_give_equal_files(void **state)
{
    (void)state;
    Setup s = setups[0], other = s;
    other.train = SET("noise", "0.4", "seed", "2");
    go(&s, "one", NULL, 0, NULL);
    go(&s, "two", NULL, 0, NULL);
    assert_same("one", "two");
    assert_same_files(at("one-best.safetensors"), at("two-best.safetensors"));
    go(&other, "other", NULL, 0, NULL);
    assert_true(files_differ(at("one-last.safetensors"), at("other-last.safetensors")));
}

static void threads_do_not_matter(void **state)
{
    (void)state;
    Err err = {0};
    const Setup s = {"bilinear", SET("embed", "128", "hidden", "512"),
                     SET("noise", "0.4", "batch", "160", "steps", "4")};
    assert_ok(pool_set_threads(1, &err), err);
    go(&s, "t1", NULL, 0, NULL);
    for (int n = 2; n <= 3; n++) {
        assert_ok(pool_set_threads(n, &err), err);
        go(&s, "tn", NULL, 0, NULL);
        assert_same("t1", "tn");
    }
    assert_ok(pool_set_threads(2, &err), err);
}

static void stopping_anywhere_changes_nothing(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(setups); i++) {
        TrainReport whole = go(&setups[i], "whole", NULL, 0, NULL);
        assert_false(whole.interrupted);
        for (int64_t k = 1; k <= whole.steps; k++) {
            TrainReport r = go(&setups[i], "part", NULL, k, NULL);
            assert_int_equal(r.steps, k);
            assert_int_equal(r.interrupted, k < whole.steps);
            r = go(&setups[i], "part", "part", 0, NULL);
            assert_int_equal(r.steps, whole.steps);
            assert_true(r.loss == whole.loss && r.test_acc == whole.test_acc &&
                        r.test_loss == whole.test_loss && r.best_acc == whole.best_acc);
            assert_same("whole", "part");
            assert_same_files(at("whole-best.safetensors"),
                              at("part-best.safetensors"));
        }
    }
}

static void one_step_at_a_time(void **state)
{
    (void)state;
    TrainReport whole = go(&setups[0], "whole", NULL, 0, NULL);
    go(&setups[0], "piece", NULL, 1, NULL);
    for (int64_t k = 2; k <= whole.steps; k++)
        go(&setups[0], "piece", "piece", k, NULL);
    assert_same("whole", "piece");
}

/* ---- interrupts ------------------------------------------------------------------ */

static bool raise_at(void *ctx, int64_t step, const char *const *names, const double *v,
                     int n, Err *err)
{
    (void)names, (void)v, (void)n, (void)err;
    if (step >= *(const int64_t *)ctx)
        intr_raise();
    return true;
}

/* Raised between steps or before an evaluation: the run ends there, marked. */
static void an_interrupt_leaves_whole_steps(void **state)
{
    (void)state;
    TrainReport whole = go(&setups[0], "whole", NULL, 0, NULL);
    for (int64_t k = 1; k < whole.steps; k++) {
        TrainHooks hooks = {.ctx = &k, .metric = raise_at};
        TrainReport r = go(&setups[0], "intr", NULL, 0, &hooks);
        assert_true(r.interrupted && intr_pending());
        assert_int_equal(r.steps, k);
        intr_clear();
        go(&setups[0], "stop", NULL, k, NULL);
        if (k % (whole.steps / 3)) /* elsewhere the evaluation was cut off */
            assert_same("intr", "stop");
        go(&setups[0], "intr", "intr", 0, NULL);
        assert_same("whole", "intr");
    }
}

static void *raise_later(void *ctx)
{
    const long *ns = ctx;
    nanosleep(&(struct timespec){*ns / 1000000000, *ns % 1000000000}, NULL);
    intr_raise();
    return NULL;
}

/* Raised at any moment, in the middle of updates too. */
static void an_interrupt_inside_a_step_is_undone(void **state)
{
    (void)state;
    const Setup s = {"bilinear", SET("embed", "64", "hidden", "300"),
                     SET("noise", "0.4", "batch", "128", "epochs", "30", "eval_every",
                         "0", "checkpoint_every", "100000")};
    int cut = 0;
    TrainReport whole = go(&s, "whole", NULL, 0, NULL);
    /* On a busy machine the first run may have taken much longer than the next ones: earlier
     * moments are tried until some run was cut. */
    for (long i = 0; i < 30 || (cut == 0 && i < 240); i++) {
        pthread_t thread;
        double moment = (double)(i % 30 + 1) / 32 / (double)(1 << i / 30);
        long ns = (long)(1e9 * whole.seconds * moment);
        assert_int_equal(pthread_create(&thread, NULL, raise_later, &ns), 0);
        TrainReport r = go(&s, "cut", NULL, 0, NULL);
        pthread_join(thread, NULL);
        intr_clear();
        if (!r.interrupted)
            continue;
        cut++;
        if (r.steps > 0 && r.steps < whole.steps) {
            go(&s, "stop", NULL, r.steps, NULL);
            assert_same("cut", "stop");
        }
        go(&s, "cut", "cut", 0, NULL);
        assert_same("whole", "cut");
    }
    assert_true(cut >= 1); /* about 30 on a machine that is not busy */
}

/* ---- states in the plan ---------------------------------------------------------- */

typedef struct Fit { /* w to a noisy target; `mean` is a running average of the loss */
    TensorSet *params, *states;
} Fit;

static Val fit_loss(void *ctx, Graph *g, Val idx)
{
    Fit *f = ctx;
    (void)idx;
    Val w = graph_state(g, "w", tset_get(f->params, "w"));
    Val mean = graph_state(g, "mean", tset_get(f->states, "mean"));
    Val noise = g_normal(g, "target", F32, 1, tset_get(f->params, "w")->dim);
    Val loss = g_mean(g, g_square(g, g_sub(g, w, noise)));
    Val next = g_add(g, g_scale(g, mean, 0.9), g_scale(g, loss, 0.1));
    graph_assign(g, mean, g_stop(g, next));
    return loss;
}

static void fit_run(const char *name, const char *resume, int64_t stop)
{
    Err err = {0};
    Tensor w, mean;
    int64_t n = 5;
    Fit f = {tset_new(&err), tset_new(&err)};
    assert_ok(tensor_zeros(F32, 1, &n, &w, &err), err);
    assert_ok(tensor_zeros(F32, 0, NULL, &mean, &err), err);
    assert_ok(tset_add(f.params, "w", &w, &err), err);
    assert_ok(tset_add(f.states, "mean", &mean, &err), err);
    TrainJob job = {.params = f.params,
                    .states = f.states,
                    .loss = fit_loss,
                    .ctx = &f,
                    .name = "fit"};
    TrainCfg cfg = toy_cfg(SET("steps", "12"));
    cfg.stop_at = stop;
    snprintf(cfg.checkpoint, sizeof cfg.checkpoint, "%s/%s", dir, name);
    if (resume)
        snprintf(cfg.resume, sizeof cfg.resume, "%s/%s-last.safetensors", dir, resume);
    TrainReport r;
    assert_ok(train_run(&job, &cfg, NULL, &r, &err), err);
    assert_int_equal(r.epochs, 0);
    assert_true(isnan(r.test_acc) && isnan(r.best_acc));
    assert_true(((const float *)mean.data)[0] > 0);
    tensor_release(&w);
    tensor_release(&mean);
    tset_free(f.params);
    tset_free(f.states);
}

static void states_and_draws_resume(void **state)
{
    (void)state;
    fit_run("fit", NULL, 0);
    for (int64_t k = 1; k <= 12; k++) {
        fit_run("fitp", NULL, k);
        fit_run("fitp", "fitp", 0);
        assert_same("fit", "fitp");
    }
}

static int setup(void **state)
{
    (void)state;
    blas_init();
    scratch_make(dir);
    train_set = toy_data("toy train", 170, 1);
    test_set = toy_data("toy test", 90, 2);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    dataset_done(&train_set);
    dataset_done(&test_set);
    scratch_remove(dir);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equal_runs_give_equal_files),
        cmocka_unit_test(stopping_anywhere_changes_nothing),
        cmocka_unit_test(one_step_at_a_time),
        cmocka_unit_test(an_interrupt_leaves_whole_steps),
        cmocka_unit_test(an_interrupt_inside_a_step_is_undone),
        cmocka_unit_test(states_and_draws_resume),
        cmocka_unit_test(threads_do_not_matter),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
