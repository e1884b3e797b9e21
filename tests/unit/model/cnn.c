/* cnn.c -- the convolutional network: its sites and shapes, a 1x1 kernel on images of
 * one pixel against the dense network, the forward pass against plain loops, files, and
 * sentences about sizes that do not fit. */
#include <math.h>
#include <unistd.h>

#include "support.h"

#include "graph/build.h"
#include "graph/plan.h"
#include "model/model.h"
#include "tensor/blas.h"
#include "tensor/rng.h"

enum { CONFIG_CAP = 8192 };

static Model *try_make(const char *row, const char *const *set, Err *err)
{
    _Alignas(16) char config[CONFIG_CAP] = {0};
    const ModelRow *r = model_row(row);
    assert_non_null(r);
    assert_true(r->config_size <= sizeof config);
    assert_ok(opt_defaults(r->options, r->n_options, config, err), *err);
    for (; *set; set += 2)
        if (!opt_set_text(r->options, r->n_options, config, set[0], set[1], row, err))
            return NULL;
    return model_new(r, config, err);
}

static Model *make(const char *row, const char *const *set)
{
    Err err = {0};
    Model *m = try_make(row, set, &err);
    if (!m)
        fail_msg("%s: %s", row, err.msg);
    return m;
}

#define SET(...) ((const char *const[]){__VA_ARGS__, NULL})

static float *param(const Model *m, const char *name)
{
    const Tensor *t = tset_get(m->params, name);
    if (!t)
        fail_msg("no parameter %s", name);
    return t->data;
}

static Tensor inputs(int64_t B, int64_t n)
{
    Err err = {0};
    Tensor x;
    assert_ok(tensor_new(F32, 2, (int64_t[]){B, n}, &x, &err), err);
    rng_uniform_f32((RngKey){4, 1, 0}, 0, B * n, 0, 1, x.data);
    return x;
}

/* Outputs for x, and the plan that holds them. */
static Plan *run(Model *m, const Tensor *x)
{
    Err err = {0};
    Graph *g = graph_new(&err);
    Val in = graph_input(g, "x", F32, 2, x->dim);
    graph_output(g, "y", model_forward(m, g, in));
    Plan *p = plan_new(g, 1, &err);
    graph_free(g);
    if (!p || !plan_run(p, x, &err))
        fail_msg("%s", err.msg);
    return p;
}

static void test_dense(void **state)
{
    (void)state;
    Model *c =
        make("cnn", SET("channels", "20", "height", "1", "width", "1", "conv", "9",
                        "kernel", "1", "pool", "1", "hidden", "7", "heads", "3,2"));
    Model *d = make("mlp", SET("input", "20", "hidden", "9,7", "classes", "5"));
    static const char *const pair[][2] = {
        {"conv1.weight", "fc1.weight"},
        {"conv1.bias",   "fc1.bias"  },
        {"fc1.weight",   "fc2.weight"},
        {"fc1.bias",     "fc2.bias"  },
        {"fc2.weight",   "fc3.weight"},
        {"fc2.bias",     "fc3.bias"  }
    };
    for (size_t k = 0; k < ARRAY_LEN(pair); k++) {
        const Tensor *t = tset_get(c->params, pair[k][0]);
        assert_int_equal(tensor_count(t),
                         tensor_count(tset_get(d->params, pair[k][1])));
        memcpy(param(d, pair[k][1]), t->data, tensor_bytes(t));
    }
    assert_int_equal(model_in(c), 20);
    assert_int_equal(model_out(c), 5);
    Tensor x = inputs(6, 20);
    Plan *a = run(c, &x), *b = run(d, &x);
    for (int64_t i = 0; i < 30; i++) {
        double u = (double)((const float *)plan_output(a, 0)->data)[i];
        double v = (double)((const float *)plan_output(b, 0)->data)[i];
        assert_true(fabs(u - v) < 1e-5);
    }
    plan_free(a);
    plan_free(b);
    model_free(c);
    model_free(d);
    tensor_release(&x);
}

/* One convolution of stride 2 with pad 1 and a 2x2 pool on a 9x7 image of 2 channels. */
static double plain(const Model *m, const float *x, int out)
{
    const float *w = param(m, "conv1.weight"), *b = param(m, "conv1.bias");
    const float *f = param(m, "fc1.weight");
    double y = (double)param(m, "fc1.bias")[out];
    for (int o = 0; o < 3; o++)
        for (int cell = 0; cell < 4; cell++) {
            double best = 0; /* after the relu */
            for (int k = 0; k < 4; k++) {
                int p = cell / 2 * 2 + k / 2, q = cell % 2 * 2 + k % 2;
                double sum = (double)b[o];
                for (int t = 0; t < 18; t++) {
                    int i = p * 2 + t / 3 % 3 - 1, j = q * 2 + t % 3 - 1;
                    if (i >= 0 && i < 9 && j >= 0 && j < 7)
                        sum +=
                            (double)w[o * 18 + t] * (double)x[(t / 9 * 9 + i) * 7 + j];
                }
                best = fmax(best, sum);
            }
            y += best * (double)f[out * 12 + o * 4 + cell];
        }
    return y;
}

static void test_formula(void **state)
{
    (void)state;
    Model *m = make("cnn", SET("channels", "2", "height", "9", "width", "7", "conv",
                               "3", "stride", "2", "hidden", "", "classes", "4"));
    Tensor x = inputs(3, 126);
    Plan *p = run(m, &x);
    const float *y = plan_output(p, 0)->data;
    for (int i = 0; i < 12; i++) {
        double want = plain(m, (const float *)x.data + i / 4 * 126, i % 4);
        if (!(fabs((double)y[i] - want) < 1e-5))
            fail_msg("output %d is %.7g, not %.7g", i, (double)y[i], want);
    }
    plan_free(p);
    model_free(m);
    tensor_release(&x);
}

static void test_sites(void **state)
{
    (void)state;
    Model *m = make(
        "cnn", SET("channels", "3", "height", "32", "width", "32", "heads", "3,3,3"));
    Err err = {0};
    Graph *g = graph_new(&err);
    Val x = graph_input(g, "x", F32, 2, (int64_t[]){2, 3072});
    model_forward(m, g, x);
    static const struct {
        const char *name, *shape;
    } want[] = {
        {"conv1.in",   "f32[2,3,32,32]" },
        {"conv1.pre",  "f32[2,8,32,32]" },
        {"conv1.act",  "f32[2,8,32,32]" },
        {"conv1.pool", "f32[2,8,16,16]" },
        {"conv2.in",   "f32[2,8,16,16]" },
        {"conv2.pre",  "f32[2,16,16,16]"},
        {"conv2.act",  "f32[2,16,16,16]"},
        {"conv2.pool", "f32[2,16,8,8]"  },
        {"fc1.in",     "f32[2,1024]"    },
        {"fc1.pre",    "f32[2,64]"      },
        {"hidden",     "f32[2,64]"      },
        {"fc2.in",     "f32[2,64]"      },
        {"fc2.pre",    "f32[2,9]"       },
        {"logits",     "f32[2,9]"       }
    };
    assert_int_equal(graph_site_count(g), ARRAY_LEN(want));
    for (int i = 0; i < graph_site_count(g); i++) {
        Spec s = graph_spec(g, graph_site_value(g, i));
        char text[96];
        assert_string_equal(graph_site_name(g, i), want[i].name);
        assert_string_equal(shape_format(s.dtype, s.ndim, s.dim, text), want[i].shape);
    }
    graph_free(g);
    model_free(m);
}

static void test_files(void **state)
{
    (void)state;
    char path[] = "/tmp/cleave-cnn-XXXXXX";
    int fd = mkstemp(path);
    Err err = {0};
    Model *m = make("cnn",
                    SET("heads", "4,3", "conv", "2,3", "pooling", "avg", "seed", "9")),
          *back;
    assert_ok(model_save(m, path, &err), err);
    assert_ok(model_load(path, &back, &err), err);
    Tensor x = inputs(4, 784);
    Plan *a = run(m, &x), *b = run(back, &x);
    assert_memory_equal(plan_output(a, 0)->data, plan_output(b, 0)->data, 4 * 4 * 7);
    plan_free(a);
    plan_free(b);
    model_free(m);
    model_free(back);
    tensor_release(&x);
    close(fd);
    unlink(path);
}

static void test_refuses(void **state)
{
    (void)state;
    static const struct {
        const char *set[5], *says;
    } bad[] = {
        {{"input", "100"},                    "1 channels of 28x28 are 784 values"},
        {{"conv", "8,8,8,8,8"},
         "nothing is left of images of 28x28 after convolution 5"                 },
        {{"conv", "8,x"},                     "'conv' is '8,x'"                   },
        {{"heads", "3,,3"},                   "'heads' is '3,,3'"                 },
        {{"kernel", "31", "pad", "0"},        "nothing is left"                   },
        {{"height", "4096", "width", "4096"}, "more than 1048576"                 },
    };
    for (size_t k = 0; k < ARRAY_LEN(bad); k++) {
        Err err = {0};
        Model *m = try_make("cnn", bad[k].set, &err);
        assert_null(m);
        assert_has(err.msg, bad[k].says);
    }
}

int main(void)
{
    blas_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_dense),   cmocka_unit_test(test_formula),
        cmocka_unit_test(test_sites),   cmocka_unit_test(test_files),
        cmocka_unit_test(test_refuses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
