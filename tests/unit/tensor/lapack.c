/* Factorisations judged by what they promise: reconstruction, orthogonality, order,
 * signs and residuals, computed here by plain loops; f32 and f64, odd shapes, strided
 * inputs, ill-conditioned, rank-deficient, not positive definite, NaN. */
#include "tensor/lapack.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/intr.h"
#include "base/mem.h"

static uint64_t state = 1181783497276652981u;

static double next_unit(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (double)(state >> 11) / 9007199254740992.0 * 2 - 1;
}

static Tensor matrix(DType t, int64_t m, int64_t n)
{
    Tensor a;
    assert_true(tensor_zeros(t, 2, (int64_t[]){m, n}, &a, NULL));
    for (int64_t i = 0; i < m; i++)
        for (int64_t j = 0; j < n; j++)
            tensor_set(&a, (int64_t[]){i, j}, next_unit());
    return a;
}

static double at(const Tensor *a, int64_t i, int64_t j)
{
    return tensor_get(a, (int64_t[]){i, j});
}

static double at1(const Tensor *a, int64_t i)
{
    return tensor_get(a, &i);
}

static void set(Tensor *a, int64_t i, int64_t j, double v)
{
    tensor_set(a, (int64_t[]){i, j}, v);
}

static Tensor symmetric(DType t, int64_t n)
{
    Tensor a = matrix(t, n, n);
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < i; j++)
            set(&a, j, i, at(&a, i, j));
    return a;
}

static double tolerance(DType t)
{
    return t == F64 ? 1e-12 : 2e-5;
}

/* Columns of a are orthonormal. */
static void check_orthonormal(const Tensor *a, double tol)
{
    for (int64_t i = 0; i < a->dim[1]; i++)
        for (int64_t j = 0; j <= i; j++) {
            double sum = 0;
            for (int64_t k = 0; k < a->dim[0]; k++)
                sum += at(a, k, i) * at(a, k, j);
            assert_true(fabs(sum - (i == j)) < tol);
        }
}

static void check_column_signs(const Tensor *a)
{
    for (int64_t j = 0; j < a->dim[1]; j++) {
        double best = 0;
        for (int64_t i = 0; i < a->dim[0]; i++)
            if (fabs(at(a, i, j)) > fabs(best))
                best = at(a, i, j);
        assert_true(best > 0);
    }
}

static void check_eigh(const Tensor *a, EighOrder order)
{
    Tensor val, vec;
    Err err = {0};
    int64_t n = a->dim[0];
    double tol = tolerance(a->dtype) * (double)(n + 1);
    assert_true(lapack_eigh(a, order, &val, &vec, &err));
    check_orthonormal(&vec, tol);
    check_column_signs(&vec);
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j <= i; j++) {
            double sum = 0;
            for (int64_t k = 0; k < n; k++)
                sum += at(&vec, i, k) * at1(&val, k) * at(&vec, j, k);
            assert_true(fabs(sum - at(a, i, j)) < tol);
        }
    for (int64_t k = 0; k + 1 < n; k++) {
        double x = at1(&val, k), y = at1(&val, k + 1);
        assert_true(order == EIGH_DESCENDING  ? x >= y
                    : order == EIGH_ASCENDING ? x <= y
                                              : fabs(x) >= fabs(y));
    }
    tensor_release(&val);
    tensor_release(&vec);
}

static void test_eigh(void **unused)
{
    (void)unused;
    static const int64_t sizes[] = {0, 1, 2, 5, 33, 70};
    for (int t = 0; t < 2; t++)
        for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
            Tensor a = symmetric(t ? F64 : F32, sizes[i]);
            for (int order = 0; order < 3; order++)
                check_eigh(&a, (EighOrder)order);
            tensor_release(&a);
        }
}

/* diag(3, -3, 1): equal magnitudes, positive first; the upper triangle is never
 * read. */
static void test_eigh_order_and_triangle(void **unused)
{
    (void)unused;
    Tensor a, val, vec;
    assert_true(tensor_zeros(F64, 2, (int64_t[]){3, 3}, &a, NULL));
    set(&a, 0, 0, 3), set(&a, 1, 1, -3), set(&a, 2, 2, 1);
    set(&a, 0, 1, NAN), set(&a, 0, 2, 55), set(&a, 1, 2, INFINITY);
    assert_true(lapack_eigh(&a, EIGH_BY_MAGNITUDE, &val, &vec, NULL));
    double want[] = {3, -3, 1};
    for (int64_t k = 0; k < 3; k++) {
        assert_true(fabs(at1(&val, k) - want[k]) < 1e-15);
        assert_true(fabs(at(&vec, k, k) - 1) < 1e-15);
    }
    assert_true(isnan(at(&a, 0, 1)) && at(&a, 0, 2) == 55); /* input untouched */
    tensor_release(&val), tensor_release(&vec);
    set(&a, 2, 0, NAN);
    Err err = {0};
    assert_false(lapack_eigh(&a, EIGH_ASCENDING, &val, &vec, &err));
    assert_int_equal(err.code, ERR_NUMERIC);
    assert_non_null(strstr(err.msg, "[2,0] is NaN"));
    assert_null(val.data);
    tensor_release(&a);
}

static void check_svd(const Tensor *a)
{
    Tensor u, s, vt, v;
    int64_t m = a->dim[0], n = a->dim[1], k = m < n ? m : n;
    double tol = tolerance(a->dtype) * (double)(m + n + 1);
    assert_true(lapack_svd(a, &u, &s, &vt, NULL));
    assert_true(u.dim[0] == m && u.dim[1] == k && s.dim[0] == k && vt.dim[0] == k &&
                vt.dim[1] == n);
    check_orthonormal(&u, tol);
    check_column_signs(&u);
    assert_true(tensor_transpose(&vt, 0, 1, &v, NULL));
    check_orthonormal(&v, tol);
    for (int64_t i = 0; i < m; i++)
        for (int64_t j = 0; j < n; j++) {
            double sum = 0;
            for (int64_t r = 0; r < k; r++)
                sum += at(&u, i, r) * at1(&s, r) * at(&vt, r, j);
            assert_true(fabs(sum - at(a, i, j)) < tol);
        }
    for (int64_t r = 0; r < k; r++)
        assert_true(at1(&s, r) >= 0 && (r == 0 || at1(&s, r - 1) >= at1(&s, r)));
    tensor_release(&u), tensor_release(&s), tensor_release(&vt), tensor_release(&v);
}

static void check_qr(const Tensor *a)
{
    Tensor q, r;
    int64_t m = a->dim[0], n = a->dim[1], k = m < n ? m : n;
    double tol = tolerance(a->dtype) * (double)(m + n + 1);
    assert_true(lapack_qr(a, &q, &r, NULL));
    assert_true(q.dim[0] == m && q.dim[1] == k && r.dim[0] == k && r.dim[1] == n);
    check_orthonormal(&q, tol);
    for (int64_t i = 0; i < k; i++) {
        assert_true(at(&r, i, i) >= 0);
        for (int64_t j = 0; j < i; j++)
            assert_true(at(&r, i, j) == 0);
    }
    for (int64_t i = 0; i < m; i++)
        for (int64_t j = 0; j < n; j++) {
            double sum = 0;
            for (int64_t l = 0; l < k; l++)
                sum += at(&q, i, l) * at(&r, l, j);
            assert_true(fabs(sum - at(a, i, j)) < tol);
        }
    tensor_release(&q), tensor_release(&r);
}

static void test_svd_and_qr(void **unused)
{
    (void)unused;
    static const int64_t sizes[][2] = {
        {0,  0 },
        {0,  3 },
        {3,  0 },
        {1,  1 },
        {1,  6 },
        {6,  1 },
        {4,  4 },
        {9,  4 },
        {4,  9 },
        {40, 23},
        {23, 40}
    };
    for (int t = 0; t < 2; t++)
        for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
            Tensor a = matrix(t ? F64 : F32, sizes[i][0], sizes[i][1]);
            check_svd(&a);
            check_qr(&a);
            tensor_release(&a);
        }
}

/* Hilbert: condition 1e13 at n = 10; rank one; all zero: still orthonormal and
 * exact. */
static void test_hard_matrices(void **unused)
{
    (void)unused;
    Tensor h = matrix(F64, 10, 10), one = matrix(F64, 7, 5), zero;
    for (int64_t i = 0; i < 10; i++)
        for (int64_t j = 0; j < 10; j++)
            set(&h, i, j, 1.0 / (double)(i + j + 1));
    for (int64_t i = 1; i < 7; i++)
        for (int64_t j = 0; j < 5; j++)
            set(&one, i, j, (double)i * at(&one, 0, j));
    assert_true(tensor_zeros(F64, 2, (int64_t[]){4, 6}, &zero, NULL));
    check_svd(&h), check_qr(&h), check_eigh(&h, EIGH_DESCENDING);
    check_svd(&one), check_qr(&one);
    check_svd(&zero), check_qr(&zero);
    tensor_release(&h), tensor_release(&one), tensor_release(&zero);
}

static void test_strided_input(void **unused)
{
    (void)unused;
    Tensor a = matrix(F64, 20, 18), t, view;
    assert_true(tensor_transpose(&a, 0, 1, &t, NULL));
    assert_true(tensor_slice(&t, 0, 1, 18, 2, &view, NULL));
    assert_false(tensor_contiguous(&view));
    check_svd(&view);
    check_qr(&view);
    tensor_release(&a), tensor_release(&t), tensor_release(&view);
}

static void test_cholesky(void **unused)
{
    (void)unused;
    for (int t = 0; t < 2; t++)
        for (int64_t n = 0; n < 40; n += 13) {
            DType type = t ? F64 : F32;
            Tensor b = matrix(type, n, n + 3), a = matrix(type, n, n), l;
            for (int64_t i = 0; i < n; i++)
                for (int64_t j = 0; j < n; j++) {
                    double sum = 0;
                    for (int64_t k = 0; k < n + 3; k++)
                        sum += at(&b, i, k) * at(&b, j, k);
                    set(&a, i, j, i >= j ? sum + (i == j) : (double)NAN); /* upper: unread */
                }
            assert_true(lapack_cholesky(&a, &l, NULL));
            for (int64_t i = 0; i < n; i++)
                for (int64_t j = 0; j < n; j++) {
                    double sum = 0;
                    for (int64_t k = 0; k < n; k++)
                        sum += at(&l, i, k) * at(&l, j, k);
                    if (j > i)
                        assert_true(at(&l, i, j) == 0);
                    else
                        assert_true(fabs(sum - at(&a, i, j)) < 100 * tolerance(type));
                }
            tensor_release(&a), tensor_release(&b), tensor_release(&l);
        }
}

static void test_cholesky_refuses_indefinite(void **unused)
{
    (void)unused;
    Tensor a, l;
    Err err = {0};
    assert_true(tensor_zeros(F64, 2, (int64_t[]){3, 3}, &a, NULL));
    set(&a, 0, 0, 1), set(&a, 1, 1, -1), set(&a, 2, 2, 1);
    assert_false(lapack_cholesky(&a, &l, &err));
    assert_int_equal(err.code, ERR_NUMERIC);
    assert_non_null(strstr(err.msg, "leading 2 x 2 block"));
    assert_null(l.data);
    tensor_release(&a);
}

/* The residual is orthogonal to the columns, and for a wide or deficient matrix the
 * solution lies in the row space (minimum norm). */
static void check_lstsq(const Tensor *a, const Tensor *b, int want_rank)
{
    Tensor x, u, s, vt;
    int rank = -1;
    int64_t m = a->dim[0], n = a->dim[1], k = b->ndim == 2 ? b->dim[1] : 1;
    double tol = tolerance(a->dtype) * 1000;
    assert_true(lapack_lstsq(a, b, 0, &x, &rank, NULL));
    assert_int_equal(rank, want_rank);
    assert_true(x.ndim == b->ndim && x.dim[0] == n);
    assert_true(lapack_svd(a, &u, &s, &vt, NULL));
    for (int64_t c = 0; c < k; c++) {
        for (int64_t j = 0; j < n; j++) {
            double grad = 0;
            for (int64_t i = 0; i < m; i++) {
                double r = b->ndim == 2 ? -at(b, i, c) : -at1(b, i);
                for (int64_t l = 0; l < n; l++)
                    r += at(a, i, l) * (x.ndim == 2 ? at(&x, l, c) : at1(&x, l));
                grad += r * at(a, i, j);
            }
            assert_true(fabs(grad) < tol);
        }
        double norm = 0, inside = 0;
        for (int64_t j = 0; j < n; j++)
            norm += pow(x.ndim == 2 ? at(&x, j, c) : at1(&x, j), 2);
        for (int64_t r = 0; r < want_rank; r++) {
            double dot = 0;
            for (int64_t j = 0; j < n; j++)
                dot += at(&vt, r, j) * (x.ndim == 2 ? at(&x, j, c) : at1(&x, j));
            inside += dot * dot;
        }
        assert_true(fabs(norm - inside) <= tol * (norm + 1));
    }
    tensor_release(&x), tensor_release(&u), tensor_release(&s), tensor_release(&vt);
}

static void test_lstsq(void **unused)
{
    (void)unused;
    static const int64_t sizes[][2] = {
        {1,  1 },
        {12, 5 },
        {5,  12},
        {30, 30}
    };
    for (int t = 0; t < 2; t++)
        for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
            int64_t m = sizes[i][0], n = sizes[i][1];
            Tensor a = matrix(t ? F64 : F32, m, n), b = matrix(a.dtype, m, 3), v;
            check_lstsq(&a, &b, (int)(m < n ? m : n));
            assert_true(tensor_select(&b, 1, 2, &v, NULL)); /* strided vector */
            check_lstsq(&a, &v, (int)(m < n ? m : n));
            tensor_release(&a), tensor_release(&b), tensor_release(&v);
        }
    Tensor a = matrix(F64, 8, 6), b = matrix(F64, 8, 2), x;
    for (int64_t i = 0; i < 8; i++)
        set(&a, i, 5, at(&a, i, 0) - 2 * at(&a, i, 1));
    check_lstsq(&a, &b, 5);
    tensor_release(&a);
    assert_true(tensor_zeros(F64, 2, (int64_t[]){8, 3}, &a, NULL));
    check_lstsq(&a, &b, 0);
    tensor_release(&a), tensor_release(&b);
    a = matrix(F64, 0, 3), b = matrix(F64, 0, 2);
    assert_true(lapack_lstsq(&a, &b, 0, &x, NULL, NULL));
    assert_true(x.dim[0] == 3 && x.dim[1] == 2 && at(&x, 2, 1) == 0);
    tensor_release(&a), tensor_release(&b), tensor_release(&x);
}

/* A cut of 1e-3 drops a singular value of 1e-4: the rank says so. */
static void test_lstsq_rcond(void **unused)
{
    (void)unused;
    Tensor a, b = matrix(F64, 3, 1), x;
    int rank = 0;
    assert_true(tensor_zeros(F64, 2, (int64_t[]){3, 3}, &a, NULL));
    set(&a, 0, 0, 1), set(&a, 1, 1, 0.5), set(&a, 2, 2, 1e-4);
    assert_true(lapack_lstsq(&a, &b, 1e-3, &x, &rank, NULL));
    assert_int_equal(rank, 2);
    assert_true(fabs(at(&x, 2, 0)) < 1e-15);
    tensor_release(&a), tensor_release(&b), tensor_release(&x);
}

static void test_solve(void **unused)
{
    (void)unused;
    for (int t = 0; t < 2; t++)
        for (int64_t n = 0; n <= 40; n += 8) {
            Tensor a = matrix(t ? F64 : F32, n, n), b = matrix(a.dtype, n, 2), x;
            for (int64_t i = 0; i < n; i++) /* well conditioned, rows badly scaled */
                for (int64_t j = 0; j < n; j++)
                    set(&a, i, j, ((i == j) * 8 + at(&a, i, j)) * (i == 3 ? 1e-12 : 1));
            assert_true(lapack_solve(&a, &b, &x, NULL));
            for (int64_t i = 0; i < n; i++)
                for (int64_t c = 0; c < 2; c++) {
                    double sum = 0, size = 0;
                    for (int64_t j = 0; j < n; j++) {
                        sum += at(&a, i, j) * at(&x, j, c);
                        size += fabs(at(&a, i, j) * at(&x, j, c));
                    }
                    assert_true(fabs(sum - at(&b, i, c)) <
                                tolerance(a.dtype) * (size + 1));
                }
            tensor_release(&a), tensor_release(&b), tensor_release(&x);
        }
}

static void test_solve_refuses_singular(void **unused)
{
    (void)unused;
    Tensor a = matrix(F64, 3, 3), b = matrix(F64, 3, 1), x;
    for (int64_t i = 0; i < 9; i++)
        set(&a, i / 3, i % 3,
            (double)i + 1); /* rank 2, but its pivots round to non-zero */
    Err err = {0};
    assert_false(lapack_solve(&a, &b, &x, &err));
    assert_int_equal(err.code, ERR_NUMERIC);
    assert_non_null(strstr(err.msg, "singular"));
    tensor_release(&a), tensor_release(&b);
}

static void test_bad_arguments(void **unused)
{
    (void)unused;
    Tensor a = matrix(F64, 3, 4), i = matrix(I32, 3, 3), f = matrix(F32, 3, 1), x, y, z;
    Err err = {0};
    assert_false(lapack_eigh(&a, EIGH_ASCENDING, &x, &y, &err));
    assert_int_equal(err.code, ERR_SHAPE);
    assert_non_null(strstr(err.msg, "f64[3,4]"));
    assert_false(lapack_cholesky(&i, &x, &err));
    assert_int_equal(err.code, ERR_SHAPE);
    assert_false(lapack_lstsq(&a, &f, 0, &x, NULL, &err)); /* f32 against f64 */
    assert_int_equal(err.code, ERR_SHAPE);
    set(&a, 1, 2, INFINITY);
    assert_false(lapack_svd(&a, &x, &y, &z, &err));
    assert_non_null(strstr(err.msg, "svd: entry [1,2] is infinite"));
    assert_false(lapack_qr(&a, &x, &y, &err));
    assert_int_equal(err.code, ERR_NUMERIC);
    intr_raise();
    set(&a, 1, 2, 0);
    assert_false(lapack_svd(&a, &x, &y, &z, &err));
    assert_int_equal(err.code, ERR_INTERRUPT);
    intr_clear();
    tensor_release(&a), tensor_release(&i), tensor_release(&f);
}

/* Every allocation failed in turn: a clean error, nothing leaked. */
static void test_allocation_failures(void **unused)
{
    (void)unused;
    Tensor a = symmetric(F64, 6), b = matrix(F64, 6, 2), x, y, z;
    size_t live = mem_live();
    for (int call = 0; call < 5; call++)
        for (long n = 1; n < 100; n++) {
            Err err = {0};
            int rank;
            mem_fail_at(n);
            bool ok = call == 0   ? lapack_eigh(&a, EIGH_ASCENDING, &x, &y, &err)
                      : call == 1 ? lapack_svd(&a, &x, &y, &z, &err)
                      : call == 2 ? lapack_qr(&a, &x, &y, &err)
                      : call == 3 ? lapack_lstsq(&a, &b, 0, &x, &rank, &err)
                                  : lapack_solve(&a, &b, &x, &err);
            bool fired = mem_fail_fired();
            mem_fail_at(0);
            assert_true(ok == !fired);
            if (ok) {
                tensor_release(&x);
                if (call <= 2)
                    tensor_release(&y);
                if (call == 1)
                    tensor_release(&z);
            } else {
                assert_int_equal(err.code, ERR_MEMORY);
            }
            assert_int_equal(mem_live(), live);
            if (ok)
                break;
            assert_true(n < 90);
        }
    tensor_release(&a), tensor_release(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_eigh),
        cmocka_unit_test(test_eigh_order_and_triangle),
        cmocka_unit_test(test_svd_and_qr),
        cmocka_unit_test(test_hard_matrices),
        cmocka_unit_test(test_strided_input),
        cmocka_unit_test(test_cholesky),
        cmocka_unit_test(test_cholesky_refuses_indefinite),
        cmocka_unit_test(test_lstsq),
        cmocka_unit_test(test_lstsq_rcond),
        cmocka_unit_test(test_solve),
        cmocka_unit_test(test_solve_refuses_singular),
        cmocka_unit_test(test_bad_arguments),
        cmocka_unit_test(test_allocation_failures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
