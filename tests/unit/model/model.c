/* Networks as rows: parameters and their draws, the forward pass against plain loops in
 * double, whole-model gradients against differences, sites, and files good and bad. */
#include "support.h"

#include <math.h>

#include "base/file.h"
#include "base/kern.h"
#include "graph/build.h"
#include "graph/plan.h"
#include "model/model.h"
#include "tensor/blas.h"
#include "tensor/rng.h"

enum { CONFIG_CAP = 8192 };

#define assert_near(got, want, tol)                                                    \
    do {                                                                               \
        double got_ = (got), want_ = (want);                                           \
        if (!(fabs(got_ - want_) <= (tol)))                                            \
            fail_msg("%s is %.9g, not %.9g", #got, got_, want_);                       \
    } while (0)

static Model *try_make(const char *row, const char *const *set, Err *err)
{
    _Alignas(16) char config[CONFIG_CAP] = {0};
    const ModelRow *r = model_row(row);
    assert_non_null(r);
    assert_true(r->config_size <= sizeof config);
    assert_ok(opt_defaults(r->options, r->n_options, config, err), *err);
    for (; set && *set; set += 2)
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
#define TINY_BILINEAR SET("input", "5", "embed", "3", "hidden", "4", "classes", "3")

static const float *param(const Model *m, const char *name)
{
    const Tensor *t = tset_get(m->params, name);
    if (!t)
        fail_msg("no parameter %s", name);
    return t->data;
}

static void assert_shape(const Model *m, const char *name, const char *want)
{
    char text[96];
    assert_non_null(tset_get(m->params, name));
    assert_string_equal(tensor_format_shape(tset_get(m->params, name), text), want);
}

static double std_of(const Tensor *t)
{
    int64_t n = tensor_count(t);
    const float *x = t->data;
    double sum = 0, sq = 0;
    for (int64_t i = 0; i < n; i++) {
        sum += (double)x[i];
        sq += (double)x[i] * (double)x[i];
    }
    return sqrt(sq / (double)n - sum / (double)n * (sum / (double)n));
}

static void rows_are_complete(void **state)
{
    (void)state;
    for (int i = 0; i < model_row_count(); i++) {
        const ModelRow *r = model_row_at(i);
        _Alignas(16) char config[CONFIG_CAP] = {0};
        OptValue v;
        Err err = {0};
        assert_ptr_equal(model_row(r->name), r);
        assert_true(r->doc && r->init && r->forward && r->config_size <= sizeof config);
        assert_ok(opt_defaults(r->options, r->n_options, config, &err), err);
        const char *const needed[] = {"input", "classes", "seed"};
        for (size_t k = 0; k < ARRAY_LEN(needed); k++) {
            assert_true(opt_get(r->options, r->n_options, config, needed[k], &v));
            assert_int_equal(v.type, OPT_INT);
        }
        Model *m = model_new(r, NULL, &err);
        assert_non_null(m);
        /* the toys of superposition have features, all others are for digits */
        bool toy = !strcmp(r->name, "tms") || !strcmp(r->name, "resid");
        assert_true(toy ? model_in(m) == model_out(m) : model_in(m) == 784);
        assert_true(toy || model_out(m) == 10);
        model_free(m);
    }
    assert_null(model_row("transformer"));
}

static void bilinear_starts_as_published(void **state)
{
    (void)state;
    Model *m = make("bilinear", NULL);
    assert_int_equal(tset_count(m->params), 5);
    assert_shape(m, "embed", "f32[96,784]");
    assert_shape(m, "left", "f32[256,96]");
    assert_shape(m, "right", "f32[256,96]");
    assert_shape(m, "head", "f32[10,256]");
    assert_shape(m, "bias", "f32[10]");
    assert_near(std_of(tset_get(m->params, "embed")) * 28, 1, 0.02);
    assert_near(std_of(tset_get(m->params, "left")) * sqrt(96), 1, 0.02);
    assert_near(std_of(tset_get(m->params, "right")) * sqrt(96), 1, 0.02);
    assert_near(std_of(tset_get(m->params, "head")) * 16, 1, 0.05);
    for (int c = 0; c < 10; c++)
        assert_true(param(m, "bias")[c] == 0.0f);
    assert_true(memcmp(param(m, "left"), param(m, "right"), 4 * 256 * 96) != 0);
    Model *same = make("bilinear", SET("seed", "1")),
          *other = make("bilinear", SET("seed", "2"));
    assert_memory_equal(param(m, "embed"), param(same, "embed"), 4 * 96 * 784);
    assert_true(memcmp(param(m, "embed"), param(other, "embed"), 4 * 96 * 784) != 0);
    model_free(other);
    model_free(same);
    model_free(m);
}

static void bilinear_options(void **state)
{
    (void)state;
    Model *m = make("bilinear", SET("input", "4", "embed", "0", "hidden", "6",
                                    "classes", "6", "bias", "false"));
    assert_int_equal(tset_count(m->params), 3);
    assert_shape(m, "left", "f32[6,4]");
    assert_shape(m, "right", "f32[6,4]");
    assert_shape(m, "head", "f32[6,6]");
    model_free(m);
    Err err = {0};
    assert_null(try_make("bilinear", SET("hiden", "3"), &err));
    assert_has(err.msg, "did you mean 'hidden'");
    assert_null(try_make("bilinear", SET("hidden", "0"), &err));
    assert_has(err.msg, "from 1 to");
}

typedef struct InitCase {
    const char *name;
    double std, bias_bound;
} InitCase;

static void mlp_inits(void **state)
{
    (void)state;
    const InitCase cases[] = {
        {"pytorch", 1 / sqrt(3.0 * 200), 1 / sqrt(200)},
        {"normal", 1 / sqrt(200), 0},
        {"he", sqrt(2.0 / 200), 0},
        {"xavier", sqrt(2.0 / 300), 0},
        {"small", 0.02, 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        Model *m =
            make("mlp", SET("input", "200", "hidden", "100", "init", cases[i].name));
        assert_near(std_of(tset_get(m->params, "fc1.weight")) / cases[i].std, 1, 0.03);
        double most = 0;
        for (int k = 0; k < 100; k++)
            most = fmax(most, fabs((double)param(m, "fc1.bias")[k]));
        if (cases[i].bias_bound > 0)
            assert_in_range((int)(1000 * most / cases[i].bias_bound), 900, 1000);
        else
            assert_true(most == 0);
        model_free(m);
    }
}

static void mlp_widths(void **state)
{
    (void)state;
    Model *m = make("mlp", SET("hidden", " 50, 20 ", "activation", "geglu"));
    assert_int_equal(tset_count(m->params), 10);
    assert_shape(m, "fc1.weight", "f32[50,784]");
    assert_shape(m, "fc1.gate.weight", "f32[50,784]");
    assert_shape(m, "fc2.weight", "f32[20,50]");
    assert_shape(m, "fc2.gate.bias", "f32[20]");
    assert_shape(m, "fc3.weight", "f32[10,20]");
    model_free(m);
    m = make("mlp", SET("hidden", "", "bias", "false"));
    assert_int_equal(tset_count(m->params), 1);
    assert_shape(m, "fc1.weight", "f32[10,784]");
    model_free(m);
    const char *const bad[] = {"12,",
                               ",12",
                               "0",
                               "12 13",
                               "-4",
                               "a",
                               "3,,4",
                               "9999999999",
                               "12;3",
                               "1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,"
                               "1,1,1,1,1,1"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        Err err = {0};
        assert_null(try_make("mlp", SET("hidden", bad[i]), &err));
        assert_int_equal(err.code, ERR_OPTION);
        assert_has(err.msg, "mlp: 'hidden'");
    }
}

/* ---- forward --------------------------------------------------------------------- */

enum { B = 4 };

static void fill(Tensor *x, uint64_t seed)
{
    rng_normal_f32((RngKey){.seed = seed, .stream = rng_stream("test")}, 0,
                   tensor_count(x), 0, 1, x->data);
}

/* Logits of x; optionally the names of the sites, "in embed ...". */
static Tensor forward(Model *m, const Tensor *x, char *sites, SiteHook *hook)
{
    Err err = {0};
    Tensor y;
    Graph *g = graph_new(&err);
    graph_set_hook(g, hook, NULL);
    Val v = graph_input(g, "x", x->dtype, x->ndim, x->dim);
    graph_output(g, "y", model_forward(m, g, v));
    Plan *p = plan_new(g, 0, &err);
    if (!p)
        fail_msg("%s", err.msg);
    if (sites)
        for (int i = 0; i < graph_site_count(g); i++)
            strcat(strcat(sites, i ? " " : ""), graph_site_name(g, i));
    assert_ok(plan_run(p, x, &err), err);
    assert_ok(tensor_copy(plan_output(p, 0), &y, &err), err);
    plan_free(p);
    graph_free(g);
    return y;
}

/* y [B,O] = x [B,I] w^T + b, in double. */
static void linear(const double *x, int I, const float *w, const float *b, int O,
                   double *y)
{
    for (int i = 0; i < B; i++)
        for (int o = 0; o < O; o++) {
            double s = b ? (double)b[o] : 0;
            for (int k = 0; k < I; k++)
                s += x[i * I + k] * (double)w[o * I + k];
            y[i * O + o] = s;
        }
}

static void assert_logits(const Tensor *y, const double *want, int n)
{
    assert_int_equal(tensor_count(y), n);
    for (int i = 0; i < n; i++)
        assert_near((double)((const float *)y->data)[i], want[i], 1e-5);
}

static Tensor input(int I, double *copy)
{
    Err err = {0};
    Tensor x;
    assert_ok(tensor_new(F32, 2, (int64_t[]){B, I}, &x, &err), err);
    fill(&x, 7);
    for (int i = 0; i < B * I; i++)
        copy[i] = (double)((const float *)x.data)[i];
    return x;
}

static void bilinear_forward_is_its_formula(void **state)
{
    (void)state;
    for (int embed = 0; embed <= 3; embed += 3) {
        char e[16];
        snprintf(e, sizeof e, "%d", embed);
        Model *m = make("bilinear",
                        SET("input", "5", "embed", e, "hidden", "4", "classes", "3"));
        double x[B * 5], z[B * 3], l[B * 4], r[B * 4], want[B * 3];
        Tensor in = input(5, x), b = *tset_get(m->params, "bias");
        fill(&b, 3);
        const double *from = embed ? z : x;
        if (embed)
            linear(x, 5, param(m, "embed"), NULL, 3, z);
        linear(from, embed ? 3 : 5, param(m, "left"), NULL, 4, l);
        linear(from, embed ? 3 : 5, param(m, "right"), NULL, 4, r);
        for (int i = 0; i < B * 4; i++)
            l[i] *= r[i];
        linear(l, 4, param(m, "head"), param(m, "bias"), 3, want);
        char sites[256] = "";
        Tensor y = forward(m, &in, sites, NULL);
        assert_logits(&y, want, B * 3);
        assert_string_equal(sites, embed ? "in embed left right hidden logits"
                                         : "in left right hidden logits");
        tensor_release(&y);
        tensor_release(&in);
        model_free(m);
    }
}

static double gelu(double x)
{
    return x / 2 * (1 + erf(x / sqrt(2)));
}

static void mlp_forward_is_its_formula(void **state)
{
    (void)state;
    const char *const acts[] = {"relu", "gelu", "geglu"};
    const char *const sites_want[] = {
        "fc1.in fc1.pre fc1.act fc2.in fc2.pre hidden fc3.in logits",
        "fc1.in fc1.pre fc1.act fc2.in fc2.pre hidden fc3.in logits",
        "fc1.in fc1.pre fc1.gate fc1.act fc2.in fc2.pre fc2.gate "
        "hidden fc3.in logits"};
    for (int a = 0; a < 3; a++) {
        Model *m = make("mlp", SET("input", "5", "hidden", "6,4", "classes", "3",
                                   "activation", acts[a]));
        double x[B * 6], pre[B * 6], gate[B * 6];
        Tensor in = input(5, x);
        const int size[4] = {5, 6, 4, 3};
        for (int k = 1; k <= 3; k++) {
            char w[32], b[32];
            snprintf(w, sizeof w, "fc%d.weight", k);
            snprintf(b, sizeof b, "fc%d.bias", k);
            linear(x, size[k - 1], param(m, w), param(m, b), size[k], pre);
            if (a == 2 && k < 3) {
                snprintf(w, sizeof w, "fc%d.gate.weight", k);
                snprintf(b, sizeof b, "fc%d.gate.bias", k);
                linear(x, size[k - 1], param(m, w), param(m, b), size[k], gate);
            }
            for (int i = 0; i < B * size[k]; i++)
                x[i] = k == 3   ? pre[i]
                       : a == 0 ? fmax(pre[i], 0)
                       : a == 1 ? gelu(pre[i])
                                : pre[i] * gelu(gate[i]);
        }
        char sites[256] = "";
        Tensor y = forward(m, &in, sites, NULL);
        assert_logits(&y, x, B * 3);
        assert_string_equal(sites, sites_want[a]);
        tensor_release(&y);
        tensor_release(&in);
        model_free(m);
    }
}

static Val no_hidden(Graph *g, const char *site, Val v, void *ctx)
{
    (void)ctx;
    return strcmp(site, "hidden") == 0 ? g_scale(g, v, 0) : v;
}

static void a_hook_replaces_a_site(void **state)
{
    (void)state;
    Model *m = make("mlp", SET("input", "5", "hidden", "6", "classes", "3"));
    double x[B * 5];
    Tensor in = input(5, x), y = forward(m, &in, NULL, no_hidden);
    for (int i = 0; i < B * 3; i++)
        assert_true(((const float *)y.data)[i] == param(m, "fc2.bias")[i % 3]);
    tensor_release(&y);
    tensor_release(&in);
    model_free(m);
}

static void wrong_inputs_are_refused(void **state)
{
    (void)state;
    Err err = {0};
    Model *m = make("bilinear", TINY_BILINEAR);
    Graph *g = graph_new(&err);
    assert_int_equal(
        model_forward(m, g, graph_input(g, "x", F32, 2, (int64_t[]){2, 6})), VAL_NONE);
    assert_has(graph_err(g)->msg, "bilinear takes inputs [B,5], not f32[2,6]");
    graph_free(g);
    g = graph_new(&err);
    assert_int_equal(model_param(m, g, "wrong"), VAL_NONE);
    assert_has(graph_err(g)->msg, "no parameter called 'wrong'");
    graph_free(g);
    model_free(m);
}

/* ---- gradients ------------------------------------------------------------------- */

/* The same model with f64 parameters, drawn anew so that biases count too. */
static void widen(Model *m)
{
    Err err = {0};
    TensorSet *wide = tset_new(&err);
    for (int i = 0; i < tset_count(m->params); i++) {
        Tensor t, f = *tset_at(m->params, i);
        fill(&f, (uint64_t)i + 1);
        assert_ok(tensor_convert(&f, F64, &t, &err), err);
        assert_ok(tset_add(wide, tset_name(m->params, i), &t, &err), err);
        tensor_release(&t);
    }
    tset_free(m->params);
    m->params = wide;
}

static void check_gradient(Model *m)
{
    enum { MAX_PARAMS = 16 };
    Err err = {0};
    double x[B * 5];
    Tensor in = input(5, x), wide, labels;
    assert_ok(tensor_convert(&in, F64, &wide, &err), err);
    assert_ok(tensor_new(I32, 1, (int64_t[]){B}, &labels, &err), err);
    for (int i = 0; i < B; i++)
        ((int32_t *)labels.data)[i] = i % 3;
    widen(m);
    Graph *g = graph_new(&err);
    Val loss = g_cross_entropy(g, model_forward(m, g, graph_const(g, &wide)),
                               graph_const(g, &labels));
    Val p[MAX_PARAMS], d[MAX_PARAMS];
    int n = tset_count(m->params);
    for (int i = 0; i < n; i++)
        p[i] = model_param(m, g, tset_name(m->params, i));
    graph_grad(g, loss, p, n, d);
    graph_output(g, "loss", loss);
    for (int i = 0; i < n; i++)
        graph_output(g, tset_name(m->params, i), d[i]);
    Plan *plan = plan_new(g, 0, &err);
    if (!plan)
        fail_msg("%s", err.msg);
    for (int i = 0; i < n; i++)
        for (int64_t k = 0; k < tensor_count(tset_at(m->params, i)); k++) {
            double *at = (double *)tset_at(m->params, i)->data + k, was = *at, f[2];
            const double h = 1e-5;
            for (int side = 0; side < 2; side++) {
                *at = was + (side ? -h : h);
                assert_ok(plan_run(plan, NULL, &err), err);
                f[side] = tensor_item(plan_output(plan, 0));
            }
            *at = was;
            assert_ok(plan_run(plan, NULL, &err), err);
            double got = ((const double *)plan_output(plan, 1 + i)->data)[k];
            double want = (f[0] - f[1]) / (2 * h);
            if (fabs(got - want) > 1e-7 * fmax(1, fabs(want)))
                fail_msg("%s: d loss / d %s[%d] is %.12g, differences give %.12g",
                         m->row->name, tset_name(m->params, i), (int)k, got, want);
        }
    plan_free(plan);
    graph_free(g);
    tensor_release(&labels);
    tensor_release(&wide);
    tensor_release(&in);
    model_free(m);
}

static void gradients_of_whole_models(void **state)
{
    (void)state;
    check_gradient(make("bilinear", TINY_BILINEAR));
    check_gradient(make("bilinear", SET("input", "5", "embed", "0", "hidden", "4",
                                        "classes", "3", "bias", "false")));
    const char *const acts[] = {"relu", "gelu", "geglu"};
    for (int a = 0; a < 3; a++)
        check_gradient(make("mlp", SET("input", "5", "hidden", "4,3", "classes", "3",
                                       "activation", acts[a])));
    check_gradient(make("mlp", SET("input", "5", "hidden", "", "classes", "3")));
}

/* ---- files ----------------------------------------------------------------------- */

static void saved_is_loaded(void **state)
{
    (void)state;
    char dir[64], a[128], b[128];
    Err err = {0};
    scratch_make(dir);
    snprintf(a, sizeof a, "%s/a.safetensors", dir);
    snprintf(b, sizeof b, "%s/b.safetensors", dir);
    for (int i = 0; i < 2; i++) {
        Model *back, *m = i ? make("mlp", SET("input", "5", "hidden", "6,4", "classes",
                                              "3", "activation", "geglu", "init", "he"))
                            : make("bilinear", TINY_BILINEAR);
        assert_ok(model_save(m, a, &err), err);
        assert_ok(model_load(a, &back, &err), err);
        assert_ptr_equal(back->row, m->row);
        assert_memory_equal(back->config, m->config, m->row->config_size);
        assert_int_equal(tset_count(back->params), tset_count(m->params));
        for (int k = 0; k < tset_count(m->params); k++) {
            assert_string_equal(tset_name(back->params, k), tset_name(m->params, k));
            assert_memory_equal(tset_at(back->params, k)->data,
                                tset_at(m->params, k)->data,
                                tensor_bytes(tset_at(m->params, k)));
        }
        assert_ok(model_save(back, b, &err), err);
        char *da, *db;
        size_t na, nb;
        assert_ok(file_read_all(a, 1 << 20, &da, &na, &err), err);
        assert_ok(file_read_all(b, 1 << 20, &db, &nb, &err), err);
        assert_int_equal(na, nb);
        assert_memory_equal(da, db, na);
        mem_free(da);
        mem_free(db);
        model_free(back);
        model_free(m);
    }
    scratch_remove(dir);
}

typedef struct Bad {                   /* one thing that is wrong with a file */
    const char *meta_key, *meta_value; /* replaced or added; value NULL: left out */
    const char *tensor;                /* left out ... */
    int what; /* ... or another: 1 shape, 2 dtype, 3 NaN, 4 added */
    const char *says;
} Bad;

static const Bad bads[] = {
    {"model", NULL, NULL, 0, "holds no model"},
    {"model", "resnet", NULL, 0, "there is no model 'resnet'"},
    {"model.hiden", "3", NULL, 0, "no option 'hiden'; did you mean 'hidden'"},
    {"model.hidden", "many", NULL, 0, "'hidden' must be an integer"},
    {"model.hidden", "999999999999", NULL, 0, "'hidden' is 999999999999"},
    {"model.hidden", "1000000", NULL, 0,
     "'left' is f32[4,3]; it must be f32[1000000,3]"},
    {"model.bias", "false", NULL, 0, "'bias' is no parameter"},
    {NULL, NULL, "left", 0, "'left' is missing; it must be f32[4,3]"},
    {NULL, NULL, "head", 1, "'head' is f32[4,3]; it must be f32[3,4]"},
    {NULL, NULL, "embed", 2, "'embed' is f64[3,5]; it must be f32[3,5]"},
    {NULL, NULL, "bias", 3, "'bias' holds NaN"},
    {NULL, NULL, "extra", 4, "'extra' is no parameter of bilinear"},
};

static void add_bad_tensor(TensorSet *f, const char *name, const Tensor *t,
                           const Bad *bad)
{
    Err err = {0};
    Tensor other;
    bool hit = bad->tensor && strcmp(bad->tensor, name) == 0;
    if (hit && bad->what == 0)
        return;
    if (!hit) {
        other = tensor_retain(t);
    } else if (bad->what == 2) {
        assert_ok(tensor_convert(t, F64, &other, &err), err);
    } else if (bad->what == 1) {
        assert_ok(tensor_reshape(t, 2, (int64_t[]){t->dim[1], t->dim[0]}, &other, &err),
                  err);
    } else {
        assert_ok(tensor_copy(t, &other, &err), err);
        ((float *)other.data)[1] = NAN;
    }
    assert_ok(tset_add(f, name, &other, &err), err);
    tensor_release(&other);
}

static TensorSet *bad_file(const Model *m, const Bad *bad)
{
    Err err = {0};
    TensorSet *good = tset_new(&err), *f = tset_new(&err);
    assert_ok(model_describe(m, good, &err), err);
    for (int i = 0; i < tset_meta_count(good); i++) {
        const char *key = tset_meta_key(good, i);
        if (!bad->meta_key || strcmp(key, bad->meta_key) != 0)
            assert_ok(tset_add_meta(f, key, tset_meta(good, key), &err), err);
    }
    if (bad->meta_value)
        assert_ok(tset_add_meta(f, bad->meta_key, bad->meta_value, &err), err);
    for (int i = 0; i < tset_count(m->params); i++)
        add_bad_tensor(f, tset_name(m->params, i), tset_at(m->params, i), bad);
    if (bad->what == 4)
        assert_ok(tset_add(f, bad->tensor, tset_at(m->params, 0), &err), err);
    tset_free(good);
    return f;
}

static void bad_files_are_refused(void **state)
{
    (void)state;
    Model *m = make("bilinear", TINY_BILINEAR), *back;
    for (size_t i = 0; i < ARRAY_LEN(bads); i++) {
        Err err = {0};
        TensorSet *f = bad_file(m, &bads[i]);
        size_t live = mem_live();
        assert_false(model_from(f, "some.safetensors", &back, &err));
        assert_null(back);
        assert_int_equal(mem_live(), live);
        assert_has(err.msg, "some.safetensors: ");
        assert_has(err.msg, bads[i].says);
        tset_free(f);
    }
    Err err = {0};
    const Bad fine = {NULL, NULL, "optim.left.m", 4, NULL}; /* a training checkpoint */
    TensorSet *f = bad_file(m, &fine);
    assert_ok(model_from(f, "x", &back, &err), err);
    model_free(back);
    tset_free(f);
    assert_false(model_load("/nonexistent/x.safetensors", &back, &err));
    assert_has(err.msg, "/nonexistent/x.safetensors");
    model_free(m);
}

/* ---- allocations that fail ------------------------------------------------------- */

typedef struct Alloc {
    const char *row;
    char dir[64];
} Alloc;

static bool new_save_load(void *ctx, Err *err)
{
    char path[128];
    snprintf(path, sizeof path, "%s/m.safetensors", ((Alloc *)ctx)->dir);
    Model *back = NULL, *m = try_make(((Alloc *)ctx)->row, NULL, err);
    bool ok = m && model_save(m, path, err) && model_load(path, &back, err);
    model_free(back);
    model_free(m);
    return ok;
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    Alloc a = {.row = "bilinear"};
    scratch_make(a.dir);
    assert_true(fail_each_alloc(new_save_load, &a) > 20);
    a.row = "mlp";
    assert_true(fail_each_alloc(new_save_load, &a) > 20);
    scratch_remove(a.dir);
}

int main(void)
{
    blas_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_are_complete),
        cmocka_unit_test(bilinear_starts_as_published),
        cmocka_unit_test(bilinear_options),
        cmocka_unit_test(mlp_inits),
        cmocka_unit_test(mlp_widths),
        cmocka_unit_test(bilinear_forward_is_its_formula),
        cmocka_unit_test(mlp_forward_is_its_formula),
        cmocka_unit_test(a_hook_replaces_a_site),
        cmocka_unit_test(wrong_inputs_are_refused),
        cmocka_unit_test(gradients_of_whole_models),
        cmocka_unit_test(saved_is_loaded),
        cmocka_unit_test(bad_files_are_refused),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
