/* Passes through a network: blocks and tails, sites, hooks, and what is refused. */
#include "lab/sites.h"

#include <math.h>

#include "graph/build.h"
#include "lab/evaluate.h"
#include "lab/train.h"
#include "support.h"

static Dataset make_data(int64_t n)
{
    Err err = {0};
    Tensor images, labels;
    Dataset d;
    assert_ok(tensor_new(U8, 3, (int64_t[]){n, 4, 4}, &images, &err), err);
    assert_ok(tensor_zeros(I32, 1, &n, &labels, &err), err);
    for (int64_t i = 0; i < n * 16; i++)
        ((uint8_t *)images.data)[i] = (uint8_t)(i * 31 % 251);
    assert_ok(dataset_make("toy", &images, &labels, 3, &d, &err), err);
    tensor_release(&images);
    tensor_release(&labels);
    return d;
}

static Model *make_model(const char *kind)
{
    const ModelRow *row = model_row(kind);
    Err err = {0};
    char *cfg = calloc(1, row->config_size);
    assert_non_null(cfg);
    assert_ok(opt_defaults(row->options, row->n_options, cfg, &err), err);
    assert_ok(
        opt_set_text(row->options, row->n_options, cfg, "input", "16", "t", &err) &&
            opt_set_text(row->options, row->n_options, cfg, "classes", "3", "t",
                         &err) &&
            opt_set_text(row->options, row->n_options, cfg, "hidden", "8", "t", &err),
        err);
    Model *m = model_new(row, cfg, &err);
    free(cfg);
    assert_non_null(m);
    return m;
}

static void test_equals_evaluation(void **unused)
{
    (void)unused;
    static const int64_t sizes[] = {1, 999, 1000, 1001, 2000};
    Err err = {0};
    Model *m = make_model("mlp");
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        Dataset d = make_data(sizes[i]);
        Tensor want, got;
        assert_ok(model_logits(m, &d, &want, &err), err);
        assert_ok(site_pass(&(SitePass){.model = m, .data = &d}, &got, &err), err);
        assert_true(tensor_same_shape(&want, &got));
        assert_memory_equal(want.data, got.data, tensor_bytes(&want));
        tensor_release(&want);
        tensor_release(&got);
        dataset_done(&d);
    }
    model_free(m);
}

typedef struct Hook {
    int calls;
    const char *site;
} Hook;

static Val silence(Graph *g, const char *site, Val v, void *ctx)
{
    Hook *h = ctx;
    h->calls++;
    return strcmp(site, h->site) == 0 ? g_scale(g, v, 0) : v;
}

static Val break_it(Graph *g, const char *site, Val v, void *ctx)
{
    (void)site, (void)v, (void)ctx;
    return graph_fail(g, ERR_SCRIPT, "the hook's own words");
}

static void test_sites_and_hooks(void **unused)
{
    (void)unused;
    Err err = {0};
    Model *m = make_model("mlp");
    Dataset d = make_data(1203);
    Hook hook = {.site = "hidden"};
    Tensor h, y;
    SitePass p = {.model = m, .data = &d, .site = "hidden"};
    assert_ok(site_pass(&p, &h, &err), err);
    assert_int_equal(h.dim[0], 1203);
    assert_int_equal(h.dim[1], 8);
    p = (SitePass){.model = m, .data = &d, .hook = silence, .ctx = &hook};
    assert_ok(site_pass(&p, &y, &err), err);
    assert_true(hook.calls > 0 && hook.calls % 2 == 0); /* block and tail */
    const float *bias = tset_get(m->params, "fc2.bias")->data;
    for (int64_t i = 0; i < 1203 * 3; i++)
        assert_true(((float *)y.data)[i] == bias[i % 3]);
    tensor_release(&y);

    /* the head on the captured activations gives the logits */
    assert_ok(model_logits(m, &d, &y, &err), err);
    const float *w = tset_get(m->params, "fc2.weight")->data, *row = h.data;
    for (int64_t i = 0; i < 1203; i++, row += 8)
        for (int c = 0; c < 3; c++) {
            double z = (double)bias[c];
            for (int k = 0; k < 8; k++)
                z += (double)row[k] * (double)w[c * 8 + k];
            assert_true(fabs(z - (double)((float *)y.data)[i * 3 + c]) < 1e-5);
        }
    tensor_release(&y);
    tensor_release(&h);
    p.hook = break_it;
    assert_false(site_pass(&p, &y, &err));
    assert_int_equal(err.code, ERR_SCRIPT);
    assert_string_equal(err.msg, "the hook's own words");
    model_free(m);
    dataset_done(&d);
}

typedef struct List {
    char text[200];
} List;

static void add(void *ctx, const char *site, const Spec *s)
{
    List *l = ctx;
    size_t n = strlen(l->text);
    snprintf(l->text + n, sizeof l->text - n, "%s%s:%d", n ? " " : "", site,
             (int)s->dim[s->ndim - 1]);
}

static void test_list_and_refusals(void **unused)
{
    (void)unused;
    Err err = {0};
    Model *m = make_model("mlp");
    List l = {""};
    Tensor y;
    assert_ok(site_list(m, add, &l, &err), err);
    assert_string_equal(l.text, "fc1.in:16 fc1.pre:8 hidden:8 fc2.in:8 logits:3");
    float x[32] = {0};
    Tensor wide = tensor_wrap(F32, 2, (int64_t[]){2, 15}, x);
    Tensor none = tensor_wrap(F32, 2, (int64_t[]){0, 16}, x);
    Tensor in = tensor_wrap(F32, 2, (int64_t[]){2, 16}, x);
    assert_false(site_pass(&(SitePass){.model = m, .x = &wide}, &y, &err));
    assert_has(err.msg, "16 inputs, not f32[2,15]");
    assert_false(site_pass(&(SitePass){.model = m, .x = &none}, &y, &err));
    assert_has(err.msg, "at least one row");
    assert_false(
        site_pass(&(SitePass){.model = m, .x = &in, .site = "hiden"}, &y, &err));
    assert_has(err.msg, "no site 'hiden'; its sites are fc1.in, fc1.pre, hidden");
    model_free(m);
}

typedef struct Job {
    Model *m;
    const Dataset *d;
} Job;

static bool pass(void *ctx, Err *err)
{
    Job *j = ctx;
    Hook hook = {.site = "hidden"};
    Tensor y;
    bool ok = site_pass(
        &(SitePass){.model = j->m, .data = j->d, .hook = silence, .ctx = &hook}, &y,
        err);
    tensor_release(&y);
    return ok;
}

static void test_faults(void **unused)
{
    (void)unused;
    Dataset d = make_data(1003);
    Job j = {make_model("bilinear"), &d};
    assert_true(fail_each_alloc(pass, &j) > 20);
    model_free(j.m);
    dataset_done(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_equals_evaluation),
        cmocka_unit_test(test_sites_and_hooks),
        cmocka_unit_test(test_list_and_refusals),
        cmocka_unit_test(test_faults),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
