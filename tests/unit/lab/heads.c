/* heads.c -- several labels of one example: the loss and the scores against plain sums,
 * training of a convolutional network on shapes, the same bits for any number of threads
 * and after a resume, and sentences for what does not fit. */
#include "folder.h"
#include "toy.h"

#include "data/shapes.h"
#include "graph/build.h"
#include "lab/heads.h"
#include "tensor/pool.h"

static Dataset train_set, test_set;

static Model *network(const char *heads)
{
    _Alignas(16) char config[16384] = {0};
    Err err = {0};
    const ModelRow *r = model_row("cnn");
    assert_true(r->config_size <= sizeof config);
    const char *const set[] = {"channels", "3",   "height", "32", "width", "32",
                               "conv",     "4,6", "hidden", "24", "heads", heads};
    assert_ok(opt_defaults(r->options, r->n_options, config, &err), err);
    for (size_t i = 0; i < ARRAY_LEN(set); i += 2)
        assert_ok(opt_set_text(r->options, r->n_options, config, set[i], set[i + 1],
                               "cnn", &err),
                  err);
    Model *m = model_new(r, config, &err);
    assert_non_null(m);
    return m;
}

static double log_sum(const float *z)
{
    return log(exp((double)z[0]) + exp((double)z[1]) + exp((double)z[2]));
}

static void test_scores(void **state)
{
    (void)state;
    Err err = {0};
    int64_t n = test_set.n;
    Tensor z, other;
    HeadScore s, same;
    assert_ok(tensor_new(F32, 2, (int64_t[]){n, 9}, &z, &err), err);
    rng_uniform_f32((RngKey){3, 1, 0}, 0, n * 9, -2, 2, z.data);
    assert_ok(heads_score(&test_set, &z, &s, &err), err);
    double right[3] = {0}, joint = 0, nll = 0;
    for (int64_t i = 0; i < n; i++) {
        int label = ((const int32_t *)test_set.labels.data)[i], all = 1;
        for (int h = 0; h < 3; h++) {
            const float *v = (const float *)z.data + i * 9 + 3 * h;
            int want = h == 0 ? label / 9 : h == 1 ? label / 3 % 3 : label % 3;
            int best = v[1] > v[0] ? (v[2] > v[1] ? 2 : 1) : v[2] > v[0] ? 2 : 0;
            right[h] += best == want;
            all &= best == want;
            nll += log_sum(v) - (double)v[want];
        }
        joint += all;
    }
    for (int h = 0; h < 3; h++)
        assert_near(s.acc[h], right[h] / (double)n, 1e-12);
    assert_near(s.joint, joint / (double)n, 1e-12);
    assert_near(s.nll, nll / (double)n, 1e-6);
    assert_ok(tensor_copy(&z, &other, &err), err);
    for (int64_t i = 0; i < n; i += 2) { /* colour of every second row */
        float *v = (float *)other.data + i * 9 + 3;
        int best = v[1] > v[0] ? (v[2] > v[1] ? 2 : 1) : v[2] > v[0] ? 2 : 0;
        v[best] -= 10;
    }
    assert_ok(heads_agreement(&test_set, &z, &other, &same, &err), err);
    assert_near(same.acc[0], 1, 0);
    assert_near(same.acc[1], 0.5, 1e-12);
    assert_near(same.joint, 0.5, 1e-12);
    tensor_release(&z);
    tensor_release(&other);
}

/* The loss in the graph is the score's mean. */
static void test_loss(void **state)
{
    (void)state;
    Err err = {0};
    int64_t n = 50;
    Dataset d;
    Tensor z;
    HeadScore s;
    assert_ok(dataset_range(&test_set, 0, n, &d, &err), err);
    assert_ok(tensor_new(F32, 2, (int64_t[]){n, 9}, &z, &err), err);
    rng_uniform_f32((RngKey){3, 2, 0}, 0, n * 9, -2, 2, z.data);
    Graph *g = graph_new(&err);
    Val labels = graph_const(g, &d.labels);
    graph_output(g, "loss", heads_loss(g, &d, graph_const(g, &z), labels, 0));
    Plan *p = plan_new(g, 1, &err);
    graph_free(g);
    assert_non_null(p);
    assert_ok(plan_run(p, NULL, &err), err);
    assert_ok(heads_score(&d, &z, &s, &err), err);
    assert_near(tensor_item(plan_output(p, 0)), s.nll, 1e-5);
    plan_free(p);
    tensor_release(&z);
    dataset_done(&d);
}

static TrainCfg config(int64_t steps)
{
    Err err = {0};
    TrainCfg c;
    assert_ok(opt_defaults(train_options, train_n_options, &c, &err), err);
    c.steps = steps;
    c.batch = 32;
    c.eval_every = 0;
    c.optim.lr = 2e-3;
    return c;
}

static void fit(Model *m, const TrainCfg *c, TrainReport *r)
{
    Err err = {0};
    assert_ok(train_model(m, &train_set, &test_set, c, NULL, r, &err), err);
}

static bool same_params(const Model *a, const Model *b)
{
    for (int i = 0; i < tset_count(a->params); i++)
        if (memcmp(tset_at(a->params, i)->data, tset_at(b->params, i)->data,
                   tensor_bytes(tset_at(a->params, i))))
            return false;
    return true;
}

static void test_training(void **state)
{
    (void)state;
    Err err = {0};
    TrainCfg c = config(150);
    TrainReport r;
    Model *a = network("3,3,3"), *b = network("3,3,3");
    int threads = pool_threads();
    fit(a, &c, &r);
    assert_true(r.test_acc > 0.3 && r.loss < 2); /* chance: 1/27 and 3.3 */
    assert_ok(pool_set_threads(threads == 1 ? 2 : 1, &err), err);
    fit(b, &c, &r);
    assert_ok(pool_set_threads(threads, &err), err);
    assert_true(same_params(a, b));
    model_free(a);
    model_free(b);
}

static void test_resume(void **state)
{
    (void)state;
    TrainCfg c = config(30);
    TrainReport r;
    Model *a = network("3,3,3"), *b = network("3,3,3");
    fit(a, &c, &r);
    snprintf(c.checkpoint, sizeof c.checkpoint, "%s", in_folder("net"));
    c.stop_at = 17;
    fit(b, &c, &r);
    assert_true(r.interrupted);
    c.stop_at = 0;
    snprintf(c.resume, sizeof c.resume, "%s", in_folder("net-last.safetensors"));
    fit(b, &c, &r);
    assert_true(same_params(a, b));
    model_free(a);
    model_free(b);
}

static void test_refuses(void **state)
{
    (void)state;
    Err err = {0};
    TrainCfg c = config(2);
    TrainReport r;
    Model *m = network("3,3");
    assert_false(train_model(m, &train_set, NULL, &c, NULL, &r, &err));
    assert_has(err.msg, "the 3 heads of shapes train need 9");
    model_free(m);
    m = network("3,3,3");
    c.shift = 2;
    assert_false(train_model(m, &train_set, NULL, &c, NULL, &r, &err));
    assert_has(err.msg, "images of one channel");
    model_free(m);
}

int main(void)
{
    Err err = {0};
    ShapesCfg cfg;
    blas_init();
    if (!opt_defaults(shapes_options, shapes_n_options, &cfg, &err))
        return 1;
    cfg.train = 600;
    cfg.test = 200;
    if (!dataset_shapes(&cfg, &train_set, &test_set, &err))
        return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_scores),   cmocka_unit_test(test_loss),
        cmocka_unit_test(test_training), cmocka_unit_test(test_resume),
        cmocka_unit_test(test_refuses),
    };
    return cmocka_run_group_tests(tests, folder_make, folder_drop);
}
