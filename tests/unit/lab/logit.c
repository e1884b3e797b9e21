/* The logits of a classifier of the real digits: a code that is written down gives every
 * answer, the controller hits its L0 before any calibration, the best table is what it
 * should be, and a spliced network on corrupted digits. Runs from the top of the tree. */
#include "toy.h"

#include "base/str.h"
#include "data/corrupt.h"
#include "decomp/lookup.h"
#include "decomp/sae_metrics.h"
#include "lab/fidelity.h"

static Dataset all, train_set, val_set, test_set;
static Model *net;
static Tensor on_train, on_val, on_test;

static int set_up(void **state)
{
    (void)state;
    Err err = {0};
    _Alignas(16) char config[8192] = {0};
    const ModelRow *row = model_row("mlp");
    TrainCfg cfg = toy_cfg(SET("epochs", "1", "batch", "64", "lr", "2e-3"));
    setenv("CLEAVE_DATA", "data", 1);
    assert_ok(dataset_mnist(&all, &test_set, &err), err);
    assert_ok(dataset_split(&all, 48000, 1, &train_set, &val_set, &err), err);
    assert_ok(opt_defaults(row->options, row->n_options, config, &err), err);
    net = model_new(row, config, &err);
    assert_non_null(net);
    assert_ok(train_model(net, &train_set, NULL, &cfg, NULL, NULL, &err), err);
    assert_ok(model_logits(net, &train_set, &on_train, &err), err);
    assert_ok(model_logits(net, &val_set, &on_val, &err), err);
    assert_ok(model_logits(net, &test_set, &on_test, &err), err);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    Tensor *const own[] = {&on_train, &on_val, &on_test};
    for (size_t i = 0; i < ARRAY_LEN(own); i++)
        tensor_release(own[i]);
    Dataset *const sets[] = {&all, &train_set, &val_set, &test_set};
    for (size_t i = 0; i < ARRAY_LEN(sets); i++)
        dataset_done(sets[i]);
    model_free(net);
    return 0;
}

static void the_written_code_gives_every_answer(void **state)
{
    (void)state;
    Err err = {0};
    Tensor y;
    Fidelity f;
    SaeMetrics m;
    Sae *s = sae_argmax(&on_train, 15, &err);
    assert_non_null(s);
    assert_ok(sae_outputs(s, &on_test, &y, &err), err);
    assert_ok(
        logits_fidelity(&on_test, &y, &test_set.labels, &on_train, &f, NULL, &err),
        err);
    assert_ok(sae_measure(s, &on_test, NULL, NULL, 0, &m, NULL, &err), err);
    assert_true(f.acc_base > 0.93);
    assert_near(f.agreement, 1, 0);
    assert_near(f.acc_loss, 0, 0);
    assert_near(m.l0, 1, 0);
    assert_true(f.mse_z > 0.15 && f.mse_z < 0.45 && f.bits_kept < f.bits_there);
    tensor_release(&y);
    sae_free(s);
}

static void the_controller_hits_its_target(void **state)
{
    (void)state;
    Err err = {0};
    SaeCfg c;
    SaeMetrics before, after;
    SaeCalibration cal;
    TrainJob job;
    TrainCfg cfg;
    TrainReport r;
    assert_ok(opt_defaults(sae_options, sae_n_options, &c, &err), err);
    text_copy(c.activation, sizeof c.activation, "jumprelu_sigmoid");
    text_copy(c.normalise, sizeof c.normalise, "zscore");
    c.latents = 32;
    c.batch = 64;
    c.steps = 15000;
    c.theta = 0.5;
    c.width = 0.1;
    c.l0 = 1.6;
    Sae *s = sae_new(&c, &on_train, NULL, &err);
    assert_non_null(s);
    assert_ok(sae_job(s, &job, &cfg, &err), err);
    assert_ok(train_run(&job, &cfg, NULL, &r, &err), err);
    assert_ok(sae_measure(s, &on_val, NULL, NULL, 0, &before, NULL, &err), err);
    assert_ok(sae_calibrate(s, &on_val, 1.6, &cal, &err), err);
    assert_ok(sae_measure(s, &on_val, NULL, NULL, 0, &after, NULL, &err), err);
    assert_near(before.l0, 1.6, 0.03 * 1.6);
    assert_near(after.l0, 1.6, 0.005 * 1.6);
    assert_false(cal.edge);
    sae_free(s);
}

/* Answers of the table are those of the network, whatever the network. */
static void tables_on_digits(void **state)
{
    (void)state;
    Err err = {0};
    double mse[2], kept[2];
    static const char *const kinds[] = {"argmax", "runner_up"};
    for (int k = 0; k < 2; k++) {
        LookupCfg c;
        Lookup l;
        Tensor y;
        Fidelity f;
        assert_ok(opt_defaults(lookup_options, lookup_n_options, &c, &err), err);
        text_copy(c.kind, sizeof c.kind, kinds[k]);
        assert_ok(lookup_fit(&c, &on_train, &l, &err), err);
        assert_ok(lookup_apply(&l, &on_test, &y, NULL, &err), err);
        assert_ok(
            logits_fidelity(&on_test, &y, &test_set.labels, &on_train, &f, NULL, &err),
            err);
        assert_near(f.agreement, 1, 0.001);
        mse[k] = f.mse_z;
        kept[k] = f.bits_kept;
        lookup_done(&l);
        tensor_release(&y);
    }
    assert_true(mse[1] < mse[0] - 0.02 && kept[1] > kept[0]);
}

static void worse_digits_are_read_worse(void **state)
{
    (void)state;
    Err err = {0};
    double acc[3], ece[3];
    const CorruptCfg how[] = {
        {.seed = 1    },
        { .seed = 1, .noise = 0.3},
        { .seed = 1,   .shift = 3}
    };
    for (int k = 0; k < 3; k++) {
        Dataset d;
        Tensor z;
        Calibration c;
        assert_ok(dataset_corrupt(&test_set, &how[k], &d, &err), err);
        assert_ok(model_logits(net, &d, &z, &err), err);
        assert_ok(logits_calibration(&z, &d.labels, 15, &c, NULL, &err), err);
        acc[k] = c.acc;
        ece[k] = c.ece;
        tensor_release(&z);
        dataset_done(&d);
    }
    assert_true(acc[1] < acc[0] - 0.01 && acc[2] < acc[0] - 0.1);
    assert_true(ece[2] > ece[0] + 0.05);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_written_code_gives_every_answer),
        cmocka_unit_test(the_controller_hits_its_target),
        cmocka_unit_test(tables_on_digits),
        cmocka_unit_test(worse_digits_are_read_worse),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
