/* Networks from elsewhere: names mapped, shapes checked, every refusal a sentence that
 * names the parameter; and networks whose forward pass is somebody else's function. */
#include <math.h>

#include "graph/build.h"
#include "graph/plan.h"
#include "model/custom.h"
#include "support.h"

static Model *mlp(const char *hidden)
{
    const ModelRow *row = model_row("mlp");
    Err err = {0};
    char *cfg = calloc(1, row->config_size);
    assert_non_null(cfg);
    assert_ok(opt_defaults(row->options, row->n_options, cfg, &err), err);
    assert_ok(
        opt_set_text(row->options, row->n_options, cfg, "input", "16", "t", &err) &&
            opt_set_text(row->options, row->n_options, cfg, "classes", "5", "t",
                         &err) &&
            opt_set_text(row->options, row->n_options, cfg, "hidden", hidden, "t",
                         &err),
        err);
    Model *m = model_new(row, cfg, &err);
    free(cfg);
    assert_non_null(m);
    return m;
}

static const ImportName sequential[] = {
    {"fc1.weight", "0.weight", false},
    {"fc1.bias",   "0.bias",   false},
    {"fc2.weight", "2.weight", false},
    {"fc2.bias",   "2.bias",   false},
    {"fc3.weight", "4.weight", false},
    {"fc3.bias",   "4.bias",   false},
};
static const ImportCfg cfg_all = {.map = sequential, .n_map = 6};

static Tensor logits(Model *m, const Tensor *x)
{
    Err err = {0};
    Tensor out;
    Graph *g = graph_new(&err);
    assert_non_null(g);
    graph_output(g, "y", model_forward(m, g, graph_input(g, "x", F32, 2, x->dim)));
    Plan *p = plan_new(g, 0, &err);
    graph_free(g);
    if (!p)
        fail_msg("%s", err.msg);
    assert_ok(plan_run(p, x, &err) && tensor_copy(plan_output(p, 0), &out, &err), err);
    plan_free(p);
    return out;
}

static double largest_difference(const Tensor *a, const Tensor *b)
{
    double most = 0;
    assert_true(tensor_same_shape(a, b));
    for (int64_t i = 0; i < tensor_count(a); i++)
        most = fmax(
            most, fabs((double)((float *)a->data)[i] - (double)((float *)b->data)[i]));
    return most;
}

static void test_pytorch_logits(void **unused)
{
    (void)unused;
    Err err = {0};
    TensorSet *from, *io;
    assert_ok(torch_load("tests/data/mlp.pt", &from, &err), err);
    assert_ok(npz_load("tests/data/mlp_io.npz", &io, &err), err);
    Model *m = mlp("12,8");
    assert_ok(model_import(m, from, &cfg_all, &err), err);
    Tensor y = logits(m, tset_get(io, "x"));
    assert_true(largest_difference(&y, tset_get(io, "logits")) < 1e-5);
    ((float *)tset_at(from, 0)->data)[0] += 1; /* nothing is shared */
    Tensor again = logits(m, tset_get(io, "x"));
    assert_true(largest_difference(&y, &again) == 0);
    tensor_release(&y);
    tensor_release(&again);
    model_free(m);
    tset_free(from);
    tset_free(io);
}

static void refuse(const char *hidden, ImportCfg cfg, const TensorSet *from,
                   const char *a, const char *b)
{
    Err err = {0};
    Model *m = mlp(hidden);
    assert_false(model_import(m, from, &cfg, &err));
    assert_has(err.msg, a);
    assert_has(err.msg, b);
    model_free(m);
}

static void test_refusals(void **unused)
{
    (void)unused;
    Err err = {0};
    TensorSet *from;
    assert_ok(torch_load("tests/data/mlp.pt", &from, &err), err);
    refuse("12,8", (ImportCfg){0}, from, "'0.weight'", "no parameter of mlp");
    refuse("12,9", cfg_all, from, "'fc2.weight' must be f32[9,12]", "is f32[8,12]");
    refuse("12", cfg_all, from, "no parameter 'fc3.weight'", "fc1.weight, fc1.bias");
    ImportName wrong[6];
    memcpy(wrong, sequential, sizeof wrong);
    wrong[3].source = "3.bias";
    const char *const ignore[] = {"2.bias"};
    refuse("12,8", (ImportCfg){wrong, 6, ignore, 1}, from, "no tensor '3.bias'",
           "there are: 0.weight, 0.bias");
    wrong[3].source = "2.bias";
    wrong[2].transpose = true;
    refuse("12,8", (ImportCfg){wrong, 6, NULL, 0}, from, "f32[12,8]", "transposed");
    ((float *)tset_get(from, "4.bias")->data)[2] = NAN;
    refuse("12,8", cfg_all, from, "4.bias", "NaN");
    tset_free(from);
}

/* ---- custom ---------------------------------------------------------------------- */

static Val linear(void *ctx, Model *m, Graph *g, Val x)
{
    int *calls = ctx;
    ++*calls;
    Val h = graph_site(g, "h", g_linear(g, x, model_param(m, g, "w"), VAL_NONE));
    return *calls == 99 ? h : g_linear(g, h, model_param(m, g, "u"), VAL_NONE);
}

static Model *custom(int *calls, Err *err)
{
    CustomCfg cfg = {.input = 6, .classes = 2, .forward = linear, .ctx = calls};
    Model *m = model_custom_new(&cfg, err);
    if (m && model_custom_draw(m, "w", 2, (int64_t[]){3, 6}, "pytorch", 0, 7, err) &&
        model_custom_draw(m, "u", 2, (int64_t[]){2, 3}, "xavier", 0, 7, err) &&
        model_custom_draw(m, "b", 1, (int64_t[]){2}, "ones", 0.5, 7, err))
        return m;
    model_free(m);
    return NULL;
}

static void test_custom(void **unused)
{
    (void)unused;
    Err err = {0};
    int calls = 0;
    float x[12];
    for (int i = 0; i < 12; i++)
        x[i] = (float)i / 12;
    Tensor in = tensor_wrap(F32, 2, (int64_t[]){2, 6}, x);
    Model *m = custom(&calls, &err), *same = custom(&calls, &err);
    assert_true(m && same);
    assert_int_equal(model_in(m), 6);
    assert_int_equal(model_out(m), 2);
    assert_true(tensor_item(tset_get(m->params, "b")) == 0.5);
    Tensor a = logits(m, &in), b = logits(same, &in);
    assert_int_equal(calls, 2);
    assert_true(largest_difference(&a, &b) == 0);
    calls = 98; /* the next call returns the wrong shape */
    Graph *g = graph_new(&err);
    model_forward(m, g, graph_input(g, "x", F32, 2, in.dim));
    assert_false(graph_ok(g));
    assert_has(graph_err(g)->msg, "must return logits f32[2,2], not f32[2,3]");
    graph_free(g);
    assert_false(model_custom_draw(m, "w", 1, (int64_t[]){2}, "zeros", 0, 1, &err));
    assert_has(err.msg, "there twice");
    assert_false(model_custom_draw(m, "q", 1, (int64_t[]){2}, "odd", 0, 1, &err));
    assert_has(err.msg, "init cannot be 'odd'");
    tensor_release(&a);
    tensor_release(&b);
    model_free(m);
    model_free(same);
}

/* The spread of each init is what its line says. */
static void test_inits(void **unused)
{
    (void)unused;
    static const struct {
        const char *init;
        double scale, std, most;
    } cases[] = {
        {"pytorch", 0,   0.1 / 1.7320508, 0.1      },
        {"normal",  0,   0.1,             0.6      },
        {"he",      0,   0.14142136,      0.9      },
        {"small",   0,   0.02,            0.12     },
        {"xavier",  0,   0.12909944,      0.2236068},
        {"normal",  0.5, 0.5,             3        },
        {"zeros",   0,   0,               0        },
    };
    Err err = {0};
    int calls = 0;
    CustomCfg cfg = {.input = 6, .classes = 2, .forward = linear, .ctx = &calls};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        Model *m = model_custom_new(&cfg, &err);
        assert_ok(model_custom_draw(m, "p", 2, (int64_t[]){20, 100}, cases[i].init,
                                    cases[i].scale, 3, &err),
                  err);
        const Tensor *t = tset_get(m->params, "p");
        double sum = 0, most = 0;
        for (int64_t k = 0; k < 2000; k++) {
            double v = (double)((float *)t->data)[k];
            sum += v * v;
            most = fmax(most, fabs(v));
        }
        assert_true(fabs(sqrt(sum / 2000) - cases[i].std) <= 0.05 * cases[i].std);
        assert_true(most <= cases[i].most * (1 + 1e-6));
        model_free(m);
    }
}

static bool make_and_import(void *ctx, Err *err)
{
    int calls = 0;
    Model *m = custom(&calls, err);
    bool ok = m && model_import(m, ctx, &(ImportCfg){0}, err);
    model_free(m);
    return ok;
}

static void test_faults(void **unused)
{
    (void)unused;
    Err err = {0};
    int calls = 0;
    Model *m = custom(&calls, &err);
    assert_non_null(m);
    assert_true(fail_each_alloc(make_and_import, m->params) > 8);
    model_free(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pytorch_logits), cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_custom),         cmocka_unit_test(test_inits),
        cmocka_unit_test(test_faults),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
