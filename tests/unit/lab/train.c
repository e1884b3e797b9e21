/* The trainer: what it learns and reports, how it stops on values that are not finite,
 * which checkpoints it refuses, and what failing allocations, disks and hooks leave. */
#include "toy.h"

#include "base/clock.h"
#include "graph/build.h"

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

/* ---- learning and telling -------------------------------------------------------- */

typedef struct Heard {
    int losses, scores, progress;
    int64_t last_step;
    double first_loss, loss, acc, done, total, first_time, last_time;
    char text[200];
    int fail_at; /* this many calls are fine */
} Heard;

static bool hear_metric(void *ctx, int64_t step, const char *const *names,
                        const double *v, int n, Err *err)
{
    Heard *h = ctx;
    assert_true(step >= h->last_step);
    h->last_step = step;
    if (strcmp(names[0], "loss") == 0) {
        assert_int_equal(n, 2);
        assert_string_equal(names[1], "lr");
        h->first_loss = h->losses++ ? h->first_loss : v[0];
        h->loss = v[0];
    } else {
        assert_string_equal(names[0], "test_acc");
        assert_string_equal(names[1], "test_loss");
        h->scores++;
        h->acc = v[0];
    }
    if (h->fail_at && h->losses > h->fail_at)
        return err_set(err, ERR_SCRIPT, "the hook had enough");
    return true;
}

static bool hear_progress(void *ctx, double done, double total, const char *text,
                          Err *err)
{
    (void)err;
    Heard *h = ctx;
    h->first_time = h->progress++ ? h->first_time : clock_now();
    h->last_time = clock_now();
    h->done = done;
    h->total = total;
    snprintf(h->text, sizeof h->text, "%s", text);
    return true;
}

static void learns(const char *row, const char *const *model)
{
    Err err = {0};
    Heard h = {0};
    TrainHooks hooks = {&h, hear_metric, hear_progress};
    Model *m = toy_model(row, model);
    TrainCfg cfg = toy_cfg(SET("epochs", "20", "noise", "0.1", "lr", "1e-2"));
    TrainReport r;
    assert_ok(train_model(m, &train_set, &test_set, &cfg, &hooks, &r, &err), err);
    assert_int_equal(r.steps, 20 * 5);
    assert_int_equal(r.epochs, 20);
    assert_int_equal(h.scores, 20);
    assert_int_equal(h.losses, 100);
    assert_true(r.test_acc >= 0.95 && r.test_acc <= 1 && r.best_acc >= r.test_acc);
    assert_true(h.acc == r.test_acc && h.loss < h.first_loss / 3);
    assert_true(r.test_loss > 0 && r.test_loss < 0.3 && r.loss < 0.6);
    assert_true(r.seconds > 0 && r.steps_per_second > 0 && !r.interrupted);
    assert_true(h.done == 100 && h.total == 100);
    assert_has(h.text, "epoch 20/20, loss 0.");
    assert_true(h.progress <= 2 + (int)((h.last_time - h.first_time) / 0.1));
    Tensor logits;
    double acc, nll;
    assert_ok(model_logits(m, &test_set, &logits, &err), err);
    assert_ok(logits_score(&logits, &test_set.labels, &acc, &nll, &err), err);
    assert_true(acc == r.test_acc && nll == r.test_loss);
    tensor_release(&logits);
    model_free(m);
}

static void networks_learn(void **state)
{
    (void)state;
    learns("bilinear", SET("embed", "8", "hidden", "16"));
    learns("bilinear", SET("embed", "0", "hidden", "16", "bias", "false"));
    learns("mlp", SET("hidden", "16"));
    learns("mlp", SET("hidden", "16,8", "activation", "gelu", "init", "he"));
    learns("mlp", SET("hidden", "12", "activation", "geglu", "init", "xavier"));
    learns("mlp", SET("hidden", "", "bias", "false"));
}

static void every_method_and_schedule(void **state)
{
    (void)state;
    const char *const methods[] = {"sgd", "adam", "adamw", "adam_l2"};
    const char *const schedules[] = {"constant", "linear", "cosine", "onecycle"};
    for (int i = 0; i < 16; i++) {
        Err err = {0};
        Heard h = {0};
        TrainHooks hooks = {&h, hear_metric, NULL};
        Model *m = toy_bilinear();
        TrainCfg cfg =
            toy_cfg(SET("method", methods[i % 4], "schedule", schedules[i / 4], "clip",
                        i % 2 ? "1" : "0", "warmup", "2", "lr", "1e-2"));
        assert_ok(train_model(m, &train_set, NULL, &cfg, &hooks, NULL, &err), err);
        assert_true(h.loss < h.first_loss && h.scores == 0);
        model_free(m);
    }
}

static void steps_rule_over_epochs(void **state)
{
    (void)state;
    Err err = {0};
    Heard h = {0};
    TrainHooks hooks = {&h, hear_metric, NULL};
    Model *m = toy_bilinear();
    TrainCfg cfg = toy_cfg(SET("steps", "7", "eval_every", "0"));
    TrainReport r;
    assert_ok(train_model(m, &train_set, &test_set, &cfg, &hooks, &r, &err), err);
    assert_int_equal(r.steps, 7);
    assert_int_equal(r.epochs, 1);
    assert_int_equal(h.scores, 1);
    model_free(m);
}

static void the_noise_has_its_size_and_share(void **state)
{
    (void)state;
    Err err = {0};
    enum { N = 400, P = TOY_SIDE * TOY_SIDE };
    double share[2] = {0.25, 1};
    for (int k = 0; k < 2; k++) {
        Graph *g = graph_new(&err);
        Val idx = graph_input(g, "idx", I32, 1, (int64_t[]){N});
        Val clean = dataset_pixels(g, &train_set, idx);
        graph_output(
            g, "d",
            g_sub(g, classifier_input(g, &train_set, idx, 0.4, share[k]), clean));
        Plan *p = plan_new(g, 1, &err);
        int32_t zero[N] = {0};
        Tensor in = tensor_wrap(I32, 1, (int64_t[]){N}, zero);
        assert_ok(plan_run(p, &in, &err), err);
        const float *d = plan_output(p, 0)->data;
        int noisy = 0;
        double sq = 0;
        for (int i = 0; i < N; i++) {
            bool any = d[i * P] != 0.0f;
            noisy += any;
            for (int j = 0; j < P; j++) {
                assert_int_equal(d[i * P + j] != 0.0f, any);
                sq += (double)d[i * P + j] * (double)d[i * P + j];
            }
        }
        assert_near((double)noisy / N, share[k], 0.06);
        assert_near(sqrt(sq / noisy / P), 0.4, 0.02);
        plan_free(p);
        graph_free(g);
    }
}

/* ---- logits and scores ----------------------------------------------------------- */

static void logits_of_blocks_and_tail(void **state)
{
    (void)state;
    Err err = {0};
    Dataset many = toy_data("many", 2300, 5), one;
    Model *m = toy_bilinear();
    Tensor all, single;
    assert_ok(model_logits(m, &many, &all, &err), err);
    assert_int_equal(all.dim[0], 2300);
    const int64_t pick[] = {0, 999, 1000, 1999, 2000, 2299};
    for (size_t k = 0; k < ARRAY_LEN(pick); k++) {
        assert_ok(dataset_range(&many, pick[k], pick[k] + 1, &one, &err), err);
        assert_ok(model_logits(m, &one, &single, &err), err);
        for (int c = 0; c < TOY_CLASSES; c++)
            assert_near((double)((const float *)single.data)[c],
                        (double)((const float *)all.data)[pick[k] * TOY_CLASSES + c],
                        1e-5);
        tensor_release(&single);
        dataset_done(&one);
    }
    tensor_release(&all);
    model_free(m);
    dataset_done(&many);
}

static void scores_by_hand(void **state)
{
    (void)state;
    Err err = {0};
    float z[] = {1, 2, 0, /**/ 0, 0, 0, /**/ 1000, 0, -1000};
    int32_t y[] = {1, 0, 1};
    Tensor logits = tensor_wrap(F32, 2, (int64_t[]){3, 3}, z);
    Tensor labels = tensor_wrap(I32, 1, (int64_t[]){3}, y);
    double acc, nll;
    assert_ok(logits_score(&logits, &labels, &acc, &nll, &err), err);
    assert_near(acc, 2.0 / 3, 1e-12); /* of equal logits the first counts */
    assert_near(nll, (log(exp(1) + exp(2) + 1) - 2 + log(3) + 1000) / 3, 1e-9);
    y[2] = 3;
    assert_false(logits_score(&logits, &labels, &acc, &nll, &err));
    assert_has(err.msg, "label 3 of example 2 is outside 0..2");
    labels.dim[0] = 2;
    assert_false(logits_score(&logits, &labels, &acc, &nll, &err));
    assert_has(err.msg, "f32[3,3] and i32[2]");
}

static void data_that_does_not_fit(void **state)
{
    (void)state;
    Err err = {0};
    TrainCfg cfg = toy_cfg(NULL);
    Model *m = toy_model("mlp", SET("input", "49"));
    assert_false(train_model(m, &train_set, &test_set, &cfg, NULL, NULL, &err));
    assert_has(err.msg,
               "mlp takes 49 inputs, but the images of toy train have 6x6 = 36");
    model_free(m);
    m = toy_model("mlp", SET("classes", "3"));
    assert_false(train_model(m, &train_set, &test_set, &cfg, NULL, NULL, &err));
    assert_has(err.msg, "mlp has 3 outputs, but toy train has 4 classes");
    model_free(m);
    m = toy_bilinear();
    cfg.batch = 171;
    assert_false(train_model(m, &train_set, &test_set, &cfg, NULL, NULL, &err));
    assert_has(err.msg, "a batch of 171 does not fit into 170 examples");
    model_free(m);
}

/* ---- options --------------------------------------------------------------------- */

static void options(void **state)
{
    (void)state;
    Err err = {0};
    TrainCfg cfg = {0};
    assert_ok(opt_defaults(train_options, train_n_options, &cfg, &err), err);
    assert_true(cfg.epochs == 8 && cfg.batch == 512 && cfg.noise == 0);
    assert_true(cfg.noise_share == 0.5 && cfg.optim.lr == 3e-3);
    assert_true(cfg.optim.weight_decay == 1e-4 && cfg.optim.beta2 == 0.999);
    assert_string_equal(cfg.optim.method, "adamw");
    assert_string_equal(cfg.optim.schedule, "cosine");
    assert_false(opt_set_text(train_options, train_n_options, &cfg, "epoch", "3",
                              "cl.train", &err));
    assert_has(err.msg, "cl.train: there is no option 'epoch'; did you mean 'epochs'");
    assert_false(opt_set_text(train_options, train_n_options, &cfg, "noise_share", "50",
                              "cl.train", &err));
    assert_has(err.msg, "from 0 to 1");
    for (size_t i = 0; i < optim_n_options; i++) { /* all of them are there */
        char text[OPT_STR_CAP];
        OptimCfg o = {0};
        OptValue v;
        assert_ok(opt_defaults(optim_options, optim_n_options, &o, &err), err);
        assert_true(
            opt_get(train_options, train_n_options, &cfg, optim_options[i].name, &v));
        opt_text(&optim_options[i], &o, text);
        assert_ok(opt_set_text(train_options, train_n_options, &cfg,
                               optim_options[i].name, text, "x", &err),
                  err);
    }
}

/* ---- values that are not finite -------------------------------------------------- */

typedef enum Way { LOSS_FIRST, GRADIENT_FIRST, PARAMETER_FIRST } Way;
typedef struct Bad {
    Way way;
    TensorSet *params;
} Bad;

/* w walks down from 1 by a constant slope; what breaks when it passes 0.65 differs. */
static Val bad_loss(void *ctx, Graph *g, Val idx)
{
    const Bad *b = ctx;
    (void)idx;
    Val w = graph_state(g, "w", tset_get(b->params, "w"));
    Val over = g_shift(g, w, -0.65);
    if (b->way == LOSS_FIRST) /* 0 * sqrt(negative) is NaN */
        return g_add(g, w, g_scale(g, g_sqrt(g, over), 0));
    if (b->way ==
        GRADIENT_FIRST) { /* sqrt(v^2) is 0 there; its slope is infinity times 0 */
        Val v = g_add(g, g_sub(g, w, g_stop(g, w)), g_stop(g, g_relu(g, over)));
        return g_add(g, w, g_scale(g, g_sqrt(g, g_square(g, v)), 1e-6));
    }
    return g_scale(g, w, 3e38);
}

static void not_finite(Way way, const char *method, const char *lr, const char *says,
                       double left)
{
    Err err = {0};
    Tensor w;
    assert_ok(tensor_full(F32, 0, NULL, 1, &w, &err), err);
    Bad b = {way, tset_new(&err)};
    assert_ok(tset_add(b.params, "w", &w, &err), err);
    TrainJob job = {.params = b.params, .loss = bad_loss, .ctx = &b, .name = "toy"};
    TrainCfg cfg = toy_cfg(SET("steps", "60", "method", method, "lr", lr, "schedule",
                               "constant", "weight_decay", "0", "eps", "0"));
    snprintf(cfg.checkpoint, sizeof cfg.checkpoint, "%s/bad-%s", dir, method);
    TrainReport r;
    assert_false(train_run(&job, &cfg, NULL, &r, &err));
    assert_int_equal(err.code, ERR_NUMERIC);
    assert_has(err.msg, says);
    assert_near(tensor_item(&w), left, 1e-5);
    assert_false(file_exists(at("bad-sgd-last.safetensors")));
    tensor_release(&w);
    tset_free(b.params);
}

static void the_first_bad_value_is_named(void **state)
{
    (void)state;
    /* 1, .9, .8, .7, .6: step 5 computes the loss at .6 */
    not_finite(
        LOSS_FIRST, "sgd", "0.1",
        "toy: the loss is not finite at step 5; the parameters are those of step 4",
        0.6);
    not_finite(
        GRADIENT_FIRST, "adam", "0.1",
        "toy: the gradient of 'w' is not finite at step 5; the parameters are those "
        "of step 4",
        0.6);
    not_finite(
        PARAMETER_FIRST, "sgd", "10",
        "toy: the parameter 'w' is not finite at step 1; the parameters are those of "
        "step 0",
        1);
    not_finite(PARAMETER_FIRST, "adam", "0.1",
               "toy: the squared gradient of 'w' is not finite at step 1", 1);
}

static void a_diverging_training_says_so(void **state)
{
    (void)state;
    Err err = {0};
    Model *m = toy_bilinear();
    TrainCfg cfg = toy_cfg(SET("method", "sgd", "lr", "1e6", "epochs", "20"));
    TrainReport r;
    assert_false(train_model(m, &train_set, &test_set, &cfg, NULL, &r, &err));
    assert_int_equal(err.code, ERR_NUMERIC);
    assert_has(err.msg, "bilinear: ");
    assert_has(err.msg, "is not finite at step ");
    for (int i = 0; i < tset_count(m->params); i++)
        for (int64_t k = 0; k < tensor_count(tset_at(m->params, i)); k++)
            assert_true(isfinite(((const float *)tset_at(m->params, i)->data)[k]));
    model_free(m);
}

static void a_full_batch_needs_steps(void **state)
{
    (void)state;
    Err err = {0};
    Bad b = {LOSS_FIRST, tset_new(&err)};
    TrainJob job = {.params = b.params, .loss = bad_loss, .ctx = &b, .name = "toy"};
    TrainCfg cfg = toy_cfg(NULL);
    assert_false(train_run(&job, &cfg, NULL, NULL, &err));
    assert_has(err.msg, "toy: a full-batch fit has no epochs: set 'steps'");
    tset_free(b.params);
}

/* ---- checkpoints ----------------------------------------------------------------- */

static bool train_toy(const char *const *set, Err *err)
{
    Model *m = toy_bilinear();
    TrainCfg cfg = toy_cfg(set);
    TrainReport r;
    bool ok = train_model(m, &train_set, &test_set, &cfg, NULL, &r, err);
    model_free(m);
    return ok;
}

static void a_checkpoint_is_a_model(void **state)
{
    (void)state;
    Err err = {0};
    Model *m = toy_bilinear(), *back;
    TrainCfg cfg = toy_cfg(SET("checkpoint", at("model")));
    TrainReport r;
    assert_ok(train_model(m, &train_set, &test_set, &cfg, NULL, &r, &err), err);
    assert_ok(model_load(at("model-last.safetensors"), &back, &err), err);
    for (int i = 0; i < tset_count(m->params); i++)
        assert_memory_equal(tset_at(m->params, i)->data, tset_at(back->params, i)->data,
                            tensor_bytes(tset_at(m->params, i)));
    model_free(back);
    model_free(m);
}

typedef struct Refusal {
    const char *name, *value, *says;
} Refusal;

static void other_settings_are_refused(void **state)
{
    (void)state;
    Err err = {0};
    const Refusal cases[] = {
        {"noise", "0.5", "made with noise = 0, now it is 0.5; resuming needs the same"},
        {"seed", "2", "made with seed = 1, now it is 2"},
        {"batch", "16", "made with batch = 32, now it is 16"},
        {"lr", "0.001", "made with lr = 0.003, now it is 0.001"},
        {"method", "sgd", "made with method = adamw, now it is sgd"},
        {"epochs", "4", "of a cosine schedule over 15 steps, now it is over 20"},
        {"steps", "3", "of a cosine schedule over 15 steps, now it is over 3"},
    };
    assert_ok(train_toy(SET("checkpoint", at("set"), "stop_at", "7"), &err), err);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        assert_false(train_toy(
            SET("resume", at("set-last.safetensors"), cases[i].name, cases[i].value),
            &err));
        assert_has(err.msg, cases[i].says);
        assert_has(err.msg, "resume from ");
    }
    assert_ok(
        train_toy(SET("resume", at("set-last.safetensors"), "checkpoint_every", "3"),
                  &err),
        err);
    assert_false(train_toy(SET("resume", at("missing.safetensors")), &err));
    assert_has(err.msg, "missing.safetensors");
    /* With a constant rate a training may go on for longer. */
    assert_ok(
        train_toy(SET("schedule", "constant", "checkpoint", at("long"), "epochs", "1"),
                  &err),
        err);
    assert_ok(train_toy(SET("schedule", "constant", "resume",
                            at("long-last.safetensors"), "epochs", "2"),
                        &err),
              err);
    assert_false(train_toy(SET("schedule", "constant", "resume",
                               at("long-last.safetensors"), "steps", "2"),
                           &err));
    assert_has(err.msg, "at step 5, beyond the 2 asked for");
}

static void another_job_is_refused(void **state)
{
    (void)state;
    Err err = {0};
    assert_ok(train_toy(SET("checkpoint", at("job"), "stop_at", "2"), &err), err);
    TrainCfg cfg = toy_cfg(SET("resume", at("job-last.safetensors")));
    Model *m = toy_model("mlp", SET("hidden", "16"));
    assert_false(train_model(m, &train_set, &test_set, &cfg, NULL, NULL, &err));
    assert_has(err.msg, "the checkpoint is of 'bilinear', this is 'mlp'");
    model_free(m);
    m = toy_model("bilinear", SET("embed", "8", "hidden", "17"));
    float first = *(const float *)tset_at(m->params, 0)->data;
    assert_false(train_model(m, &train_set, &test_set, &cfg, NULL, NULL, &err));
    assert_has(err.msg, "the tensor 'left' is f32[16,8]; it must be f32[17,8]");
    assert_true(first == *(const float *)tset_at(m->params, 0)->data);
    model_free(m);
    m = toy_bilinear();
    assert_false(train_model(m, &test_set, &test_set, &cfg, NULL, NULL, &err));
    assert_has(err.msg, "of 170 examples, now there are 90");
    assert_ok(model_save(m, at("plain.safetensors"), &err), err);
    snprintf(cfg.resume, sizeof cfg.resume, "%s", at("plain.safetensors"));
    assert_false(train_model(m, &train_set, &test_set, &cfg, NULL, NULL, &err));
    assert_has(err.msg, "no checkpoint of a training");
    model_free(m);
}

/* A copy of a checkpoint with one metadata value replaced (NULL: left out), or a tensor
 * left out or added. */
static void damage(const char *key, const char *value, const char *drop,
                   const char *extra)
{
    Err err = {0};
    TensorSet *in, *out = tset_new(&err);
    assert_ok(safetensors_load(at("whole-last.safetensors"), &in, &err), err);
    for (int i = 0; i < tset_meta_count(in); i++) {
        const char *k = tset_meta_key(in, i);
        const char *v = key && strcmp(k, key) == 0 ? value : tset_meta(in, k);
        if (v)
            assert_ok(tset_add_meta(out, k, v, &err), err);
    }
    for (int i = 0; i < tset_count(in); i++)
        if (!drop || strcmp(drop, tset_name(in, i)) != 0)
            assert_ok(tset_add(out, tset_name(in, i), tset_at(in, i), &err), err);
    if (extra)
        assert_ok(tset_add(out, extra, tset_at(in, 0), &err), err);
    assert_ok(safetensors_save(at("damaged.safetensors"), out, &err), err);
    tset_free(in);
    tset_free(out);
}

static void damaged_checkpoints_are_refused(void **state)
{
    (void)state;
    Err err = {0};
    const Refusal cases[] = {
        {"train.step", "-1", "counters contradict"},
        {"train.step", "6", "counters contradict"},
        {"train.step", "99999999999999999999", "'train.step' is 99999999999999999999"},
        {"train.step", "7x", "'train.step' is 7x; it must be a whole number"},
        {"train.step", NULL, "'train.step' is missing"},
        {"train.epoch", "9223372036854775807", "counters contradict"},
        {"train.position", "-32", "counters contradict"},
        {"train.position", "65", "epoch 1, position 65 is not a state"},
        {"train.evaluated", "8", "counters contradict"},
        {"train.best", "nan", "'train.best' is nan; it must be a number"},
        {"train.best", "", "'train.best' is ; it must be a number"},
        {"train.set.noise", NULL, "'train.set.noise' is missing"},
        {"train.job", NULL, "no checkpoint of a training"},
    };
    assert_ok(train_toy(SET("checkpoint", at("whole"), "stop_at", "7"), &err), err);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        damage(cases[i].name, cases[i].value, NULL, NULL);
        assert_false(train_toy(SET("resume", at("damaged.safetensors")), &err));
        assert_has(err.msg, cases[i].says);
    }
    damage(NULL, NULL, "optim.left.m", NULL);
    assert_false(train_toy(SET("resume", at("damaged.safetensors")), &err));
    assert_has(err.msg, "the tensor 'optim.left.m' is missing");
    damage(NULL, NULL, NULL, "optim.more.m");
    assert_false(train_toy(SET("resume", at("damaged.safetensors")), &err));
    assert_has(err.msg, "it holds 17 tensors; this training has 16");
    damage(NULL, NULL, NULL, NULL);
    assert_ok(train_toy(SET("resume", at("damaged.safetensors")), &err), err);
}

/* ---- failures -------------------------------------------------------------------- */

static void a_full_disk_leaves_the_old_checkpoint(void **state)
{
    (void)state;
    Err err = {0};
    assert_ok(train_toy(SET("checkpoint", at("disk"), "stop_at", "5"), &err), err);
    assert_ok(train_toy(SET("checkpoint", at("copy"), "stop_at", "5"), &err), err);
    for (int64_t room = 0; room < 9000; room += 1000) {
        file_fail_after(room);
        bool ok = train_toy(
            SET("checkpoint", at("disk"), "resume", at("disk-last.safetensors")), &err);
        file_fail_after(-1);
        assert_false(ok);
        assert_int_equal(err.code, ERR_IO);
        assert_has(err.msg, "bilinear: checkpoint: ");
        assert_has(err.msg, "disk-");
        assert_same_files(at("disk-last.safetensors"), at("copy-last.safetensors"));
    }
    assert_false(train_toy(SET("checkpoint", "/nonexistent/x"), &err));
    assert_has(err.msg, "/nonexistent/x-best.safetensors");
}

static void a_hook_that_fails_stops_the_run(void **state)
{
    (void)state;
    Err err = {0};
    Heard h = {.fail_at = 4};
    TrainHooks hooks = {&h, hear_metric, NULL};
    Model *m = toy_bilinear();
    TrainCfg cfg = toy_cfg(NULL);
    TrainReport r;
    assert_false(train_model(m, &train_set, &test_set, &cfg, &hooks, &r, &err));
    assert_int_equal(err.code, ERR_SCRIPT);
    assert_has(err.msg, "the hook had enough");
    assert_int_equal(r.steps, 5);
    model_free(m);
}

static bool train_and_resume(void *ctx, Err *err)
{
    (void)ctx;
    TrainReport r;
    TrainCfg cfg = toy_cfg(SET("steps", "3", "stop_at", "2", "checkpoint", at("alloc"),
                               "noise", "0.3", "clip", "1"));
    _Alignas(16) char config[2048] = {0};
    const ModelRow *row = model_row("bilinear");
    Err ignored;
    opt_defaults(row->options, row->n_options, config, &ignored);
    opt_set_text(row->options, row->n_options, config, "input", "36", "x", &ignored);
    opt_set_text(row->options, row->n_options, config, "embed", "4", "x", &ignored);
    opt_set_text(row->options, row->n_options, config, "hidden", "4", "x", &ignored);
    Model *m = model_new(row, config, err);
    bool ok = m && train_model(m, &train_set, &test_set, &cfg, NULL, &r, err);
    cfg.stop_at = 0;
    snprintf(cfg.resume, sizeof cfg.resume, "%s", at("alloc-last.safetensors"));
    ok = ok && train_model(m, &train_set, &test_set, &cfg, NULL, &r, err);
    model_free(m);
    return ok;
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    Err err = {0};
    assert_ok(train_and_resume(NULL, &err), err);
    assert_true(fail_each_alloc(train_and_resume, NULL) > 100);
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
        cmocka_unit_test(networks_learn),
        cmocka_unit_test(every_method_and_schedule),
        cmocka_unit_test(steps_rule_over_epochs),
        cmocka_unit_test(the_noise_has_its_size_and_share),
        cmocka_unit_test(logits_of_blocks_and_tail),
        cmocka_unit_test(scores_by_hand),
        cmocka_unit_test(data_that_does_not_fit),
        cmocka_unit_test(options),
        cmocka_unit_test(the_first_bad_value_is_named),
        cmocka_unit_test(a_diverging_training_says_so),
        cmocka_unit_test(a_full_batch_needs_steps),
        cmocka_unit_test(a_checkpoint_is_a_model),
        cmocka_unit_test(other_settings_are_refused),
        cmocka_unit_test(another_job_is_refused),
        cmocka_unit_test(damaged_checkpoints_are_refused),
        cmocka_unit_test(a_full_disk_leaves_the_old_checkpoint),
        cmocka_unit_test(a_hook_that_fails_stops_the_run),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
