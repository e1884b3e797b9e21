/* The network under study on the real digits: the accuracy that everything later starts
 * from, the memory it takes, and equal files whatever the threads. */
#include "toy.h"

#include "tensor/pool.h"

static Dataset train_set, test_set;
static char dir[64];

static Model *bilinear(const char *const *set)
{
    _Alignas(16) char config[2048] = {0};
    Err err = {0};
    const ModelRow *r = model_row("bilinear");
    assert_ok(opt_defaults(r->options, r->n_options, config, &err), err);
    for (; set && *set; set += 2)
        assert_ok(opt_set_text(r->options, r->n_options, config, set[0], set[1],
                               "model", &err),
                  err);
    Model *m = model_new(r, config, &err);
    assert_non_null(m);
    return m;
}

static TrainCfg defaults(void)
{
    Err err = {0};
    TrainCfg cfg = {0};
    assert_ok(opt_defaults(train_options, train_n_options, &cfg, &err), err);
    cfg.noise = 0.55;
    return cfg;
}

static void eight_epochs_reach_the_known_accuracy(void **state)
{
    (void)state;
    Err err = {0};
    Model *m = bilinear(NULL);
    TrainCfg cfg = defaults();
    TrainReport r;
    mem_peak_reset();
    size_t before = mem_live();
    assert_ok(train_model(m, &train_set, &test_set, &cfg, NULL, &r, &err), err);
    assert_int_equal(r.steps, 8 * 117);
    assert_true(r.test_acc >= 0.975 && r.test_loss < 0.09);
    assert_true(mem_peak() - before < (size_t)24 << 20);
    print_message("           %.2f %% after %.2f s\n", 100 * r.test_acc, r.seconds);
    model_free(m);
}

static void threads_do_not_matter(void **state)
{
    (void)state;
    Err err = {0};
    char a[128], b[128];
    TrainCfg cfg = defaults();
    cfg.steps = 12;
    cfg.eval_every = 0;
    for (int n = 1; n <= 2; n++) {
        Model *m = bilinear(NULL);
        assert_ok(pool_set_threads(n, &err), err);
        snprintf(cfg.checkpoint, sizeof cfg.checkpoint, "%s/%d", dir, n);
        assert_ok(train_model(m, &train_set, &test_set, &cfg, NULL, NULL, &err), err);
        model_free(m);
    }
    snprintf(a, sizeof a, "%s/1-last.safetensors", dir);
    snprintf(b, sizeof b, "%s/2-last.safetensors", dir);
    assert_same_files(a, b);
}

static void other_seeds_and_a_constant_rate(void **state)
{
    (void)state;
    Err err = {0};
    Model *m = bilinear(SET("seed", "2"));
    TrainCfg cfg = defaults();
    TrainReport r;
    cfg.seed = 2;
    cfg.epochs = 2;
    snprintf(cfg.optim.schedule, sizeof cfg.optim.schedule, "constant");
    assert_ok(train_model(m, &train_set, &test_set, &cfg, NULL, &r, &err), err);
    assert_true(r.test_acc >= 0.95);
    model_free(m);
}

static int setup(void **state)
{
    (void)state;
    Err err = {0};
    blas_init();
    scratch_make(dir);
    setenv("CLEAVE_DATA", "data", 0); /* tests run in the top folder */
    if (!dataset_mnist(&train_set, &test_set, &err)) {
        print_error("%s\n", err.msg);
        return -1;
    }
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
        cmocka_unit_test(eight_epochs_reach_the_known_accuracy),
        cmocka_unit_test(threads_do_not_matter),
        cmocka_unit_test(other_seeds_and_a_constant_rate),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
