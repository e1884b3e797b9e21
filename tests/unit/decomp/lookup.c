/* Tables as baselines, against closed forms: means of cells, a line that is there,
 * clusters that are there; and the autoencoder that is written down. */
#include "graph_support.h"

#include "base/str.h"
#include "decomp/lookup.h"
#include "decomp/sae_metrics.h"

enum { N = 3000, C = 5 };

static LookupCfg settings(const char *kind)
{
    Err err = {0};
    LookupCfg c;
    assert_ok(opt_defaults(lookup_options, lookup_n_options, &c, &err), err);
    text_copy(c.kind, sizeof c.kind, kind);
    return c;
}

static Lookup fit(const LookupCfg *c, const Tensor *x)
{
    Err err = {0};
    Lookup l;
    assert_ok(lookup_fit(c, x, &l, &err), err);
    return l;
}

static void apply(const Lookup *l, const Tensor *x, Tensor *y, Tensor *cell)
{
    Err err = {0};
    assert_ok(lookup_apply(l, x, y, cell, &err), err);
}

static int first_of(const float *x, int but)
{
    int best = -1;
    for (int c = 0; c < C; c++)
        if (c != but && (best < 0 || x[c] > x[best]))
            best = c;
    return best;
}

/* The mean of column c over the examples whose first (and second, if >= 0) answers are
 * these, by plain loops. */
static double mean_where(const Tensor *x, int first, int second, int c)
{
    double sum = 0, n = 0;
    for (int64_t i = 0; i < x->dim[0]; i++) {
        const float *v = (const float *)x->data + i * C;
        int a = first_of(v, -1), b = first_of(v, a);
        if ((first >= 0 && a != first) || (second >= 0 && b != second))
            continue;
        sum += (double)v[c];
        n++;
    }
    return sum / n;
}

static void test_means(void **state)
{
    (void)state;
    static const char *const kinds[] = {"constant", "argmax", "runner_up"};
    Tensor x = t_random(5, F32, 2, DIMS(N, C), -2, 3);
    for (int k = 0; k < 3; k++) {
        LookupCfg c = settings(kinds[k]);
        Lookup l = fit(&c, &x);
        Tensor y, cell;
        apply(&l, &x, &y, &cell);
        for (int64_t i = 0; i < N; i += 37) {
            const float *v = (const float *)x.data + i * C;
            int a = first_of(v, -1), b = first_of(v, a);
            for (int j = 0; j < C; j++)
                assert_near(t_at(&y, i * C + j),
                            mean_where(&x, k ? a : -1, k == 2 ? b : -1, j), 1e-5);
            assert_near(t_at(&cell, i), k == 0 ? 0 : k == 1 ? a : a * C + b, 0);
        }
        lookup_done(&l);
        tensor_release(&y);
        tensor_release(&cell);
    }
    tensor_release(&x);
}

/* Logits that are an affine function of their largest within each answer. */
static void test_affine_is_exact(void **state)
{
    (void)state;
    Tensor x = t_make(F32, 2, DIMS(N, C)), top = t_random(3, F32, 1, DIMS(N), 1, 9), y;
    for (int64_t i = 0; i < N; i++)
        for (int c = 0; c < C; c++) {
            double t = t_at(&top, i), a = (double)(i % C);
            ((float *)x.data)[i * C + c] =
                (float)(c == i % C ? t : -0.1 * (double)(c + 1) * t - a);
        }
    LookupCfg c = settings("affine");
    Lookup l = fit(&c, &x);
    apply(&l, &x, &y, NULL);
    for (int64_t i = 0; i < N * C; i++)
        assert_near(t_at(&y, i), t_at(&x, i), 1e-4);
    lookup_done(&l);
    tensor_release(&y);
    /* all of one answer equally sure: the mean, no slope */
    for (int64_t i = 0; i < N * C; i++)
        ((float *)x.data)[i] = i % C == 2 ? 1 : 0;
    l = fit(&c, &x);
    apply(&l, &x, &y, NULL);
    for (int64_t i = 0; i < N * C; i++)
        assert_near(t_at(&y, i), t_at(&x, i), 1e-6);
    lookup_done(&l);
    tensor_release(&y);
    tensor_release(&x);
    tensor_release(&top);
}

/* A pair that never occurs stands for the mean of its answer, an answer that never
 * occurs for the mean of all. */
static void test_empty_cells(void **state)
{
    (void)state;
    Tensor x = t_make(F32, 2, DIMS(4, 3)), q = t_make(F32, 2, DIMS(2, 3)), y;
    static const float rows[] = {5, 3, 0, 7, 3, 0, 1, 4, 0, 1, 8, 0};
    static const float asked[] = {5, 0, 3, 0, 1, 9};
    memcpy(x.data, rows, sizeof rows);
    memcpy(q.data, asked, sizeof asked);
    LookupCfg c = settings("runner_up");
    Lookup l = fit(&c, &x);
    apply(&l, &q, &y, NULL);
    assert_near(t_at(&y, 0), 6, 1e-6);
    assert_near(t_at(&y, 1), 3, 1e-6);
    assert_near(t_at(&y, 3), 3.5, 1e-6);
    assert_near(t_at(&y, 4), 4.5, 1e-6);
    lookup_done(&l);
    tensor_release(&x);
    tensor_release(&q);
    tensor_release(&y);
}

/* Tight clusters far apart: their means are found, and one cell is the mean. */
static void test_kmeans(void **state)
{
    (void)state;
    Err err = {0};
    Tensor x = t_random(9, F32, 2, DIMS(N, C), -0.01, 0.01), y, cell;
    for (int64_t i = 0; i < N; i++)
        for (int c = 0; c < C; c++)
            ((float *)x.data)[i * C + c] += (float)((i % 4 == c) * 10 + c);
    LookupCfg c = settings("kmeans");
    c.cells = 4;
    Lookup l = fit(&c, &x);
    apply(&l, &x, &y, &cell);
    assert_true(l.sweeps < c.sweeps);
    for (int64_t i = 0; i < N; i++) {
        assert_near(t_at(&cell, i), t_at(&cell, i % 4), 0);
        for (int j = 0; j < C; j++)
            assert_near(t_at(&y, i * C + j), (i % 4 == j) * 10 + j, 0.01);
    }
    lookup_done(&l);
    tensor_release(&cell);
    tensor_release(&y);
    c.cells = 1;
    l = fit(&c, &x);
    apply(&l, &x, &y, NULL);
    for (int j = 0; j < C; j++)
        assert_near(t_at(&y, j), mean_where(&x, -1, -1, j), 1e-5);
    lookup_done(&l);
    tensor_release(&y);
    c.cells = N + 1;
    assert_false(lookup_fit(&c, &x, &l, &err));
    assert_has(err.msg, "3001 cells, but only 3000 examples");
    tensor_release(&x);
}

/* Its error never rises from sweep to sweep, and more cells explain more. */
static void test_kmeans_descends(void **state)
{
    (void)state;
    Tensor x = t_random(5, F32, 2, DIMS(N, C), -2, 3);
    LookupCfg c = settings("kmeans");
    double last = INFINITY;
    for (int64_t sweeps = 0; sweeps < 12; sweeps++) {
        Tensor y;
        double e = 0;
        c.cells = 16;
        c.sweeps = sweeps;
        Lookup l = fit(&c, &x);
        apply(&l, &x, &y, NULL);
        for (int64_t i = 0; i < N * C; i++)
            e += pow((t_at(&y, i) - t_at(&x, i)) * ((double *)l.gain.data)[i % C], 2);
        assert_true(e <= last * (1 + 1e-9));
        last = e;
        lookup_done(&l);
        tensor_release(&y);
    }
    assert_true(last < 0.7 * N * C); /* z-scores: the variance is N C */
    tensor_release(&x);
}

/* ---- as an autoencoder ----------------------------------------------------------- */

/* Answers with a margin and some confusion, as a classifier's. */
static Tensor logits_like(int64_t n)
{
    Tensor x = t_random(11, F32, 2, DIMS(n, 10), -3, 3);
    for (int64_t i = 0; i < n; i++)
        ((float *)x.data)[i * 10 + i % 10] += 6 + (float)(i % 7) / 3;
    return x;
}

static void test_argmax_code(void **state)
{
    (void)state;
    Err err = {0};
    Tensor x = logits_like(2000), y, f;
    Sae *s = sae_argmax(&x, 15, &err);
    assert_non_null(s);
    SaeMetrics m;
    assert_ok(sae_measure(s, &x, NULL, NULL, 0, &m, NULL, &err), err);
    assert_true(m.l0 == 1 && m.active[1] == 1 && m.dead == 0);
    assert_ok(sae_outputs(s, &x, &y, &err), err);
    assert_ok(sae_codes(s, &x, &f, &err), err);
    for (int64_t i = 0; i < 2000; i++) {
        int a = 0, b = 0, on = 0;
        for (int c = 1; c < 10; c++) {
            a = t_at(&x, i * 10 + c) > t_at(&x, i * 10 + a) ? c : a;
            b = t_at(&y, i * 10 + c) > t_at(&y, i * 10 + b) ? c : b;
            on = t_at(&f, i * 10 + c) > 0 ? c : on;
        }
        assert_int_equal(a, b);
        assert_int_equal(a, on);
    }
    assert_true(m.mse_own < 0.5 && m.fve_own > 0.5);
    tensor_release(&y);
    tensor_release(&f);
    sae_free(s);
    assert_null(sae_argmax(&x, -1000, &err));
    assert_has(err.msg, "margin must be above");
    tensor_release(&x);
}

/* ---- refusals -------------------------------------------------------------------- */

static bool every_kind(void *ctx, Err *err)
{
    const Tensor *x = ctx;
    bool ok = true;
    for (int k = 0; ok && k < lookup_count(); k++) {
        LookupCfg c = {.cells = 3, .sweeps = 2};
        Lookup l;
        Tensor y;
        text_copy(c.kind, sizeof c.kind, lookup_name(k));
        ok = lookup_fit(&c, x, &l, err);
        if (ok && (ok = lookup_apply(&l, x, &y, NULL, err)))
            tensor_release(&y);
        lookup_done(&l);
    }
    Sae *s = ok ? sae_argmax(x, 15, err) : NULL;
    sae_free(s);
    return ok && s;
}

static void test_refusals_and_allocations(void **state)
{
    (void)state;
    Err err = {0};
    Tensor x = logits_like(30), thin = t_random(1, F32, 2, DIMS(4, 1), 0, 1), y;
    LookupCfg c = settings("argmax"), no = settings("psychic");
    Lookup l = fit(&c, &x);
    assert_false(lookup_apply(&l, &thin, &y, NULL, &err));
    assert_has(err.msg, "f32 [N,C] with C = 10, not f32[4,1]");
    lookup_done(&l);
    assert_false(lookup_fit(&c, &thin, &l, &err));
    assert_has(err.msg, "C at least 2");
    assert_false(lookup_fit(&no, &x, &l, &err));
    assert_has(err.msg, "no lookup of kind 'psychic'");
    assert_true(fail_each_alloc(every_kind, &x) > 10);
    ((float *)x.data)[7] = NAN;
    assert_false(lookup_fit(&c, &x, &l, &err));
    assert_has(err.msg, "not finite");
    tensor_release(&x);
    tensor_release(&thin);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_means),
        cmocka_unit_test(test_affine_is_exact),
        cmocka_unit_test(test_empty_cells),
        cmocka_unit_test(test_kmeans),
        cmocka_unit_test(test_kmeans_descends),
        cmocka_unit_test(test_argmax_code),
        cmocka_unit_test(test_refusals_and_allocations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
