/* What the trainer does to examples and networks while it trains: moved images, dropped
 * pixels and hidden values, smoothed labels. Each is looked at through the loss of one
 * step, which leaves nothing of it in evaluation. */
#include "toy.h"

#include "base/str.h"
#include "graph/build.h"

static Dataset train_set;

enum { N = 160, P = TOY_SIDE * TOY_SIDE };

/* The mean loss of the first step, a whole epoch as one batch; nothing is learned. */
static double first_loss(Model *m, const Dataset *d, const char *const *set)
{
    Err err = {0};
    TrainReport r;
    TrainCfg cfg = toy_cfg(SET("lr", "0", "steps", "1", "weight_decay", "0"));
    cfg.batch = d->n;
    for (; set && *set; set += 2)
        assert_ok(opt_set_text(train_options, train_n_options, &cfg, set[0], set[1],
                               "train", &err),
                  err);
    assert_ok(train_model(m, d, NULL, &cfg, NULL, &r, &err), err);
    return r.loss;
}

static Model *small_mlp(void)
{
    return toy_model("mlp", SET("hidden", "24", "init", "he"));
}

/* ---- smoothing ------------------------------------------------------------------- */

static void smoothed_labels_by_hand(void **state)
{
    (void)state;
    Err err = {0};
    Model *m = small_mlp();
    Tensor logits;
    assert_ok(model_logits(m, &train_set, &logits, &err), err);
    double hard = 0, even = 0;
    for (int64_t i = 0; i < N; i++) {
        const float *z = (const float *)logits.data + i * TOY_CLASSES;
        double sum = 0;
        for (int c = 0; c < TOY_CLASSES; c++)
            sum += exp((double)z[c]);
        for (int c = 0; c < TOY_CLASSES; c++) {
            double nll = log(sum) - (double)z[c];
            even += nll / TOY_CLASSES / N;
            hard += c == ((int32_t *)train_set.labels.data)[i] ? nll / N : 0;
        }
    }
    assert_true(fabs(hard - even) > 1e-3);
    assert_near(first_loss(m, &train_set, NULL), hard, 1e-5);
    assert_near(first_loss(m, &train_set, SET("smoothing", "0.3")),
                0.7 * hard + 0.3 * even, 1e-5);
    assert_near(first_loss(m, &train_set, SET("smoothing", "1")), even, 1e-5);
    tensor_release(&logits);
    model_free(m);
}

/* ---- moving ---------------------------------------------------------------------- */

/* One lit pixel in the middle of each image, and a linear network whose only output that
 * differs from 0 is the weight of the pixel: the loss tells where pixels went. */
static double loss_with_weight_at(int row, int column, const char *shift)
{
    Err err = {0};
    Tensor images, labels;
    Dataset d;
    int64_t n = 4000, at = row * TOY_SIDE + column;
    assert_ok(tensor_zeros(U8, 3, (int64_t[]){n, TOY_SIDE, TOY_SIDE}, &images, &err),
              err);
    assert_ok(tensor_zeros(I32, 1, &n, &labels, &err), err);
    for (int64_t i = 0; i < n; i++)
        ((uint8_t *)images.data)[i * P + 2 * TOY_SIDE + 2] = 255;
    assert_ok(dataset_make("lit", &images, &labels, TOY_CLASSES, &d, &err), err);
    Model *m = toy_model("mlp", SET("hidden", "", "bias", "false"));
    Tensor *w = (Tensor *)tset_get(m->params, "fc1.weight");
    memset(w->data, 0, tensor_bytes(w));
    ((float *)w->data)[at] = 40; /* class 0: almost no loss where the pixel is here */
    double loss = first_loss(m, &d, SET("shift", shift));
    model_free(m);
    dataset_done(&d);
    tensor_release(&images);
    tensor_release(&labels);
    return loss;
}

static void images_move_everywhere_equally(void **state)
{
    (void)state;
    double all = log(TOY_CLASSES), sum = 0;
    for (int row = 0; row < TOY_SIDE; row++)
        for (int column = 0; column < TOY_SIDE; column++) {
            double share = 1 - loss_with_weight_at(row, column, "1") / all;
            bool near = abs(row - 2) <= 1 && abs(column - 2) <= 1;
            assert_near(share, near ? 1.0 / 9 : 0, near ? 0.03 : 1e-6);
            sum += share;
        }
    assert_near(sum, 1, 1e-4);
    assert_near(loss_with_weight_at(2, 2, "0"), 0, 1e-6);
    /* moves of up to 5 leave the image for 11*11 - 6*6 of 121 */
    assert_near(1 - loss_with_weight_at(2, 2, "5") / all, 1.0 / 121, 0.006);
}

/* ---- dropping -------------------------------------------------------------------- */

/* A network that answers with one number, so that loss = log(1 + 3 exp(-v)). */
static void half_of_the_values_twice_as_large(void **state)
{
    (void)state;
    Err err = {0};
    Tensor images, labels;
    Dataset d;
    int64_t n = 4000;
    assert_ok(tensor_zeros(U8, 3, (int64_t[]){n, TOY_SIDE, TOY_SIDE}, &images, &err),
              err);
    assert_ok(tensor_zeros(I32, 1, &n, &labels, &err), err);
    for (int64_t i = 0; i < n; i++)
        ((uint8_t *)images.data)[i * P] = 255;
    assert_ok(dataset_make("lit", &images, &labels, TOY_CLASSES, &d, &err), err);
    Model *m = toy_model("mlp", SET("hidden", "1", "bias", "false"));
    Tensor *in = (Tensor *)tset_get(m->params, "fc1.weight"),
           *out = (Tensor *)tset_get(m->params, "fc2.weight");
    memset(in->data, 0, tensor_bytes(in));
    memset(out->data, 0, tensor_bytes(out));
    ((float *)in->data)[0] = ((float *)out->data)[0] = 1;
    double none = log(4), one = log(1 + 3 * exp(-1)), two = log(1 + 3 * exp(-2));
    double both = log(1 + 3 * exp(-4));
    assert_near(first_loss(m, &d, NULL), one, 1e-5);
    assert_near(first_loss(m, &d, SET("dropout", "0.5")), (none + two) / 2, 0.02);
    assert_near(first_loss(m, &d, SET("dropout_in", "0.5")), (none + two) / 2, 0.02);
    /* the two draws are independent */
    assert_near(first_loss(m, &d, SET("dropout_in", "0.5", "dropout", "0.5")),
                0.75 * none + 0.25 * both, 0.03);
    model_free(m);
    dataset_done(&d);
    tensor_release(&images);
    tensor_release(&labels);
}

static void evaluation_sees_none_of_it(void **state)
{
    (void)state;
    Err err = {0};
    Model *m = small_mlp();
    TrainCfg cfg = toy_cfg(SET("dropout", "0.5", "dropout_in", "0.2", "shift", "1",
                               "smoothing", "0.1", "schedule", "onecycle"));
    TrainReport r;
    Tensor logits;
    double acc, nll;
    assert_ok(train_model(m, &train_set, &train_set, &cfg, NULL, &r, &err), err);
    assert_ok(model_logits(m, &train_set, &logits, &err), err);
    assert_ok(logits_score(&logits, &train_set.labels, &acc, &nll, &err), err);
    assert_true(acc == r.test_acc && nll == r.test_loss);
    tensor_release(&logits);
    model_free(m);
}

static void draws_follow_the_seed_and_the_step(void **state)
{
    (void)state;
    Model *m = small_mlp();
    const char *const set[] = {"dropout", "0.5", "shift", "2", NULL};
    const char *const other[] = {"dropout", "0.5", "shift", "2", "seed", "2", NULL};
    double a = first_loss(m, &train_set, set);
    assert_true(a == first_loss(m, &train_set, set));
    assert_true(a != first_loss(m, &train_set, other));
    model_free(m);
}

static int setup(void **state)
{
    (void)state;
    train_set = toy_data("toy train", N, 1);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    dataset_done(&train_set);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(smoothed_labels_by_hand),
        cmocka_unit_test(images_move_everywhere_equally),
        cmocka_unit_test(half_of_the_values_twice_as_large),
        cmocka_unit_test(evaluation_sees_none_of_it),
        cmocka_unit_test(draws_follow_the_seed_and_the_step),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
