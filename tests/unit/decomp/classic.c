/* CP-ALS and HOSVD against dense sums, exact recovery of planted parts, and bounds. */
#include "case.h"

#include "decomp/classic.h"

static AlsCfg settings(int64_t R, int64_t steps)
{
    Err err = {0};
    AlsCfg c;
    assert_ok(opt_defaults(als_options, als_n_options, &c, &err), err);
    c.components = R;
    c.steps = steps;
    c.tolerance = 0;
    return c;
}

/* sum_r u0_ir u1_jr u2_kr, written out */
static double part_sum(const Tensor f[3], int64_t i, int64_t j, int64_t k)
{
    double s = 0;
    int64_t R = f[0].dim[1];
    for (int64_t r = 0; r < R; r++)
        s += d64(&f[0])[i * R + r] * d64(&f[1])[j * R + r] * d64(&f[2])[k * R + r];
    return s;
}

static double dense_error(const Tensor *X, const Tensor f[3])
{
    double d = 0, n = 0;
    for (int64_t i = 0, at = 0; i < X->dim[0]; i++)
        for (int64_t j = 0; j < X->dim[1]; j++)
            for (int64_t k = 0; k < X->dim[2]; k++, at++) {
                d += pow(d64(X)[at] - part_sum(f, i, j, k), 2);
                n += pow(d64(X)[at], 2);
            }
    return sqrt(d / n);
}

static void errors_are_dense_and_fall(void **state)
{
    (void)state;
    Err err = {0};
    Tensor X = t_random(1, F64, 3, DIMS(3, 5, 4), -1, 1);
    double last = 1e9;
    for (int64_t steps = 0; steps < 12; steps++)
        for (int search = 0; search < 2; search++) {
            Als a;
            AlsCfg c = settings(4, steps);
            c.line_search = search;
            assert_ok(als_fit(&X, &c, &a, &err), err);
            assert_near(a.error, dense_error(&X, a.factor), 1e-10);
            if (!search) {
                assert_true(a.error <= last + 1e-12);
                last = a.error;
            }
            als_done(&a);
        }
    tensor_release(&X);
}

/* A sweep ends at least squares: no small change of the last factor helps. */
static void the_last_factor_is_optimal(void **state)
{
    (void)state;
    Err err = {0};
    Tensor X = t_random(2, F64, 3, DIMS(4, 3, 5), -1, 1);
    Als a;
    AlsCfg c = settings(3, 7);
    c.line_search = false;
    assert_ok(als_fit(&X, &c, &a, &err), err);
    for (int64_t i = 0; i < 15; i++)
        for (int side = -1; side <= 1; side += 2) {
            double *x = d64(&a.factor[2]) + i, old = *x;
            *x += side * 1e-4;
            assert_true(dense_error(&X, a.factor) > a.error - 1e-13);
            *x = old;
        }
    als_done(&a);
    tensor_release(&X);
}

static void planted_parts_come_back(void **state)
{
    (void)state;
    Err err = {0};
    Tensor f[3], X = t_make(F64, 3, DIMS(4, 6, 5));
    for (int k = 0; k < 3; k++)
        f[k] = t_random(30 + (uint64_t)k, F64, 2, DIMS(X.dim[k], 3), -1, 1);
    for (int64_t i = 0; i < 120; i++)
        d64(&X)[i] = part_sum(f, i / 30, i / 5 % 6, i % 5);
    Als a = {0};
    for (int64_t seed = 1; seed <= 5; seed++) {
        AlsCfg c = settings(3, 2000);
        c.seed = seed;
        c.tolerance = 1e-14;
        als_done(&a);
        assert_ok(als_fit(&X, &c, &a, &err), err);
        if (a.error < 1e-6)
            break;
    }
    assert_true(a.error < 1e-6);
    assert_true(a.jumps > 0);
    for (int r = 0; r < 3; r++) { /* unique up to order and scale */
        double best = 0;
        for (int s = 0; s < 3; s++) {
            double uv = 0, uu = 0, vv = 0;
            for (int i = 0; i < 6; i++) {
                double u = d64(&f[1])[i * 3 + r], v = d64(&a.factor[1])[i * 3 + s];
                uv += u * v;
                uu += u * u;
                vv += v * v;
            }
            best = fmax(best, fabs(uv) / sqrt(uu * vv));
        }
        assert_near(best, 1, 1e-5);
    }
    als_done(&a);
    for (int k = 0; k < 3; k++)
        tensor_release(&f[k]);
    tensor_release(&X);
}

/* --- HOSVD ------------------------------------------------------------------------ */

static double rebuilt(const Hosvd *h, int64_t i, int64_t j, int64_t k)
{
    double s = 0;
    const int64_t *r = h->core.dim;
    for (int64_t a = 0; a < r[0]; a++)
        for (int64_t b = 0; b < r[1]; b++)
            for (int64_t c = 0; c < r[2]; c++)
                s += d64(&h->core)[(a * r[1] + b) * r[2] + c] *
                     d64(&h->u[0])[i * r[0] + a] * d64(&h->u[1])[j * r[1] + b] *
                     d64(&h->u[2])[k * r[2] + c];
    return s;
}

static void hosvd_rebuilds_and_bounds(void **state)
{
    (void)state;
    Err err = {0};
    Tensor X = t_random(4, F64, 3, DIMS(3, 5, 4), -1, 1);
    static const int64_t ranks[4][3] = {
        {0, 0, 0},
        {2, 3, 2},
        {1, 1, 1},
        {9, 2, 4}
    };
    for (int way = 0; way < 4; way++) {
        Hosvd h;
        double d = 0, n = 0, cut = 0, most = 0;
        assert_ok(hosvd_fit(&X, ranks[way], &h, &err), err);
        for (int64_t i = 0; i < 60; i++) {
            d += pow(d64(&X)[i] - rebuilt(&h, i / 20, i / 4 % 5, i % 4), 2);
            n += pow(d64(&X)[i], 2);
        }
        assert_near(h.error, sqrt(d / n), 1e-7);
        for (int k = 0; k < 3; k++) {
            double mode = 0;
            for (int64_t i = h.u[k].dim[1]; i < h.sigma[k].dim[0]; i++)
                mode += pow(d64(&h.sigma[k])[i], 2);
            cut += mode;
            most = fmax(most, mode);
        }
        assert_true(d <= cut + 1e-9 && d >= most - 1e-9);
        if (way == 0)
            assert_near(h.error, 0, 1e-7);
        hosvd_done(&h);
    }
    tensor_release(&X);
}

/* --- of networks ------------------------------------------------------------------ */

static void compression_keeps_the_tensor(void **state)
{
    (void)state;
    Err err = {0};
    Case k = case_random(5, 3, 4, 5, 12, 4);
    Tensor X, Q;
    assert_ok(interaction_compress(&k.b, &X, &Q, &err), err);
    for (int64_t c = 0; c < 3; c++) {
        double *B = dense_network(&k, c);
        for (int64_t i = 0; i < 144; i++) {
            double s = 0;
            for (int e = 0; e < 4; e++)
                for (int f = 0; f < 4; f++)
                    s += d64(&Q)[i / 12 * 4 + e] * d64(&X)[(c * 4 + e) * 4 + f] *
                         d64(&Q)[i % 12 * 4 + f];
            assert_near(s, B[i], 1e-10);
        }
        free(B);
    }
    tensor_release(&X);
    tensor_release(&Q);
    case_done(&k);
}

static void a_dictionary_by_least_squares(void **state)
{
    (void)state;
    Err err = {0};
    Case k = case_random(6, 3, 4, 5, 12, 4);
    Dictionary d;
    Als a;
    AlsCfg c = settings(10, 60);
    assert_ok(interaction_als(&k.b, &c, &d, &a, &err), err);
    DenseGram g = dense_gram(&k, &d, NULL);
    double dense = sqrt((g.BB - 2 * g.TB + g.TT) / g.BB);
    assert_true(dense <= a.error + 1e-5); /* symmetrised */
    assert_true(dense < 0.1);
    als_done(&a);
    dict_done(&d);
    case_done(&k);
}

static void what_cannot_be_decomposed(void **state)
{
    (void)state;
    Err err = {0};
    Als a;
    Hosvd h;
    AlsCfg c = settings(2, 2);
    Tensor zero = t_make(F64, 3, DIMS(2, 2, 2)), flat = t_make(F64, 2, DIMS(2, 2));
    assert_false(als_fit(&zero, &c, &a, &err));
    assert_has(err.msg, "zero");
    assert_false(hosvd_fit(&flat, (int64_t[3]){0}, &h, &err));
    assert_has(err.msg, "f64[2,2]");
    tensor_release(&zero);
    tensor_release(&flat);
}

static bool try_all(void *ctx, Err *err)
{
    Case *k = ctx;
    Dictionary d;
    Als a;
    Hosvd h;
    Tensor X, Q;
    AlsCfg c = settings(2, 4);
    bool ok = interaction_als(&k->b, &c, &d, &a, err);
    if (ok) {
        als_done(&a);
        dict_done(&d);
        ok = interaction_compress(&k->b, &X, &Q, err);
    }
    if (ok) {
        ok = hosvd_fit(&X, (int64_t[3]){1, 2, 2}, &h, err);
        tensor_release(&X);
        tensor_release(&Q);
        hosvd_done(&h);
    }
    return ok;
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    Case k = case_random(7, 2, 3, 3, 4, 1);
    assert_true(fail_each_alloc(try_all, &k) > 50);
    case_done(&k);
}

int main(void)
{
    blas_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(errors_are_dense_and_fall),
        cmocka_unit_test(the_last_factor_is_optimal),
        cmocka_unit_test(planted_parts_come_back),
        cmocka_unit_test(hosvd_rebuilds_and_bounds),
        cmocka_unit_test(compression_keeps_the_tensor),
        cmocka_unit_test(a_dictionary_by_least_squares),
        cmocka_unit_test(what_cannot_be_decomposed),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
