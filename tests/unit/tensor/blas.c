/* Products against triple loops in double: every transposition, odd and zero sizes,
 * strided rows, alpha and beta, NaN, bits against the thread count, interrupts. */
#include "tensor/blas.h"

#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "base/intr.h"
#include "base/mem.h"
#include "tensor/pool.h"

static uint64_t state = 88172645463325252u;

static double next_unit(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (double)(state >> 11) / 9007199254740992.0 * 2 - 1;
}

static float *random_f32(int64_t n)
{
    float *p = mem_array((size_t)n + 1, sizeof *p, NULL);
    assert_non_null(p);
    for (int64_t i = 0; i < n; i++)
        p[i] = (float)next_unit();
    return p;
}

static double *random_f64(int64_t n)
{
    double *p = mem_array((size_t)n + 1, sizeof *p, NULL);
    assert_non_null(p);
    for (int64_t i = 0; i < n; i++)
        p[i] = next_unit();
    return p;
}

typedef struct Shape {
    int64_t M, N, K;
} Shape;

/* Shapes on both sides of every cut; the last has both halves of unequal size. */
static const Shape shapes[] = {
    {1,    1,    1    },
    {3,    5,    7    },
    {0,    4,    3    },
    {4,    0,    3    },
    {4,    3,    0    },
    {17,   33,   16   },
    {8,    128,  784  },
    {128,  8,    784  },
    {130,  67,   65   },
    {257,  31,   300  },
    {15,   2500, 20   },
    {15,   2001, 150  },
    {2003, 24,   50   },
    {520,  311,  13   },
    {1,    3000, 700  },
    {2,    7,    90001}
};

static void check_f64(Shape s, bool ta, bool tb, double alpha, double beta)
{
    int64_t lda = (ta ? s.M : s.K) + 3, ldb = (tb ? s.K : s.N) + 1, ldc = s.N + 2;
    double *a = random_f64((ta ? s.K : s.M) * lda),
           *b = random_f64((tb ? s.N : s.K) * ldb);
    double *c = random_f64(s.M * ldc), *want = random_f64(s.M * ldc);
    memcpy(want, c, sizeof *c * (size_t)(s.M * ldc));
    for (int64_t i = 0; i < s.M; i++)
        for (int64_t j = 0; j < s.N; j++) {
            double sum = 0;
            for (int64_t k = 0; k < s.K; k++)
                sum += a[ta ? k * lda + i : i * lda + k] *
                       b[tb ? j * ldb + k : k * ldb + j];
            want[i * ldc + j] = alpha * sum + beta * want[i * ldc + j];
        }
    assert_true(blas_gemm_f64(ta, tb, s.M, s.N, s.K, alpha, a, lda, b, ldb, beta, c,
                              ldc, NULL));
    for (int64_t i = 0; i < s.M * ldc; i++) /* the padding too: untouched */
        assert_true(fabs(c[i] - want[i]) < 1e-12 * (double)(s.K + 1));
    mem_free(a), mem_free(b), mem_free(c), mem_free(want);
}

static void check_f32(Shape s, bool ta, bool tb, float alpha, float beta)
{
    int64_t lda = (ta ? s.M : s.K) + 3, ldb = (tb ? s.K : s.N) + 1, ldc = s.N + 2;
    float *a = random_f32((ta ? s.K : s.M) * lda),
          *b = random_f32((tb ? s.N : s.K) * ldb);
    float *c = random_f32(s.M * ldc), *want = random_f32(s.M * ldc);
    memcpy(want, c, sizeof *c * (size_t)(s.M * ldc));
    for (int64_t i = 0; i < s.M; i++)
        for (int64_t j = 0; j < s.N; j++) {
            double sum = 0;
            for (int64_t k = 0; k < s.K; k++)
                sum += (double)a[ta ? k * lda + i : i * lda + k] *
                       (double)b[tb ? j * ldb + k : k * ldb + j];
            double old = (double)want[i * ldc + j];
            want[i * ldc + j] = (float)((double)alpha * sum + (double)beta * old);
        }
    assert_true(blas_gemm_f32(ta, tb, s.M, s.N, s.K, alpha, a, lda, b, ldb, beta, c,
                              ldc, NULL));
    for (int64_t i = 0; i < s.M * ldc; i++)
        assert_true(fabsf(c[i] - want[i]) < 1e-6f * (float)(s.K + 1));
    mem_free(a), mem_free(b), mem_free(c), mem_free(want);
}

static void test_gemm_against_loops(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < ARRAY_LEN(shapes); i++)
        for (int t = 0; t < 4; t++) {
            check_f64(shapes[i], t & 1, t & 2, 1, 0);
            check_f64(shapes[i], t & 1, t & 2, -0.5, 2);
            check_f32(shapes[i], t & 1, t & 2, 1, 0);
            check_f32(shapes[i], t & 1, t & 2, 1.5f, 1);
        }
}

static void test_beta_zero_ignores_old_c(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < ARRAY_LEN(shapes); i++) {
        Shape s = shapes[i];
        float *a = random_f32(s.M * s.K), *b = random_f32(s.K * s.N);
        float *c = random_f32(s.M * s.N);
        for (int64_t j = 0; j < s.M * s.N; j++)
            c[j] = NAN;
        assert_true(blas_gemm_f32(false, false, s.M, s.N, s.K, 1, a, s.K, b, s.N, 0, c,
                                  s.N, NULL));
        for (int64_t j = 0; j < s.M * s.N; j++)
            assert_true(isfinite(c[j]));
        mem_free(a), mem_free(b), mem_free(c);
    }
}

/* A NaN in A reaches exactly its row of C, even against zeros in B. */
static void test_nan_reaches_its_row(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < ARRAY_LEN(shapes); i++) {
        Shape s = shapes[i];
        if (s.M * s.N * s.K == 0)
            continue;
        float *a = random_f32(s.M * s.K), *b = random_f32(s.K * s.N);
        float *c = random_f32(s.M * s.N);
        int64_t row = s.M / 2;
        a[row * s.K + s.K / 2] = NAN;
        memset(b, 0, sizeof *b * (size_t)(s.K * s.N));
        assert_true(blas_gemm_f32(false, false, s.M, s.N, s.K, 1, a, s.K, b, s.N, 0, c,
                                  s.N, NULL));
        for (int64_t j = 0; j < s.M * s.N; j++)
            assert_true((j / s.N == row) == (bool)isnan(c[j]));
        mem_free(a), mem_free(b), mem_free(c);
    }
}

static void test_same_bits_for_any_thread_count(void **unused)
{
    (void)unused;
    static const Shape big[] = {
        {512,  128,  784 },
        {8,    1024, 784 },
        {512,  10,   256 },
        {1024, 784,  8   },
        {128,  784,  512 },
        {1000, 700,  300 },
        {2048, 1024, 1024}
    };
    for (size_t i = 0; i < ARRAY_LEN(big); i++) {
        Shape s = big[i];
        float *a = random_f32(s.M * s.K), *b = random_f32(s.K * s.N);
        float *c[3];
        for (int t = 0; t < 3; t++) {
            c[t] = random_f32(s.M * s.N);
            assert_true(pool_set_threads(t + 1, NULL));
            assert_true(blas_gemm_f32(false, true, s.M, s.N, s.K, 1, a, s.K, b, s.K, 0,
                                      c[t], s.N, NULL));
        }
        for (int t = 1; t < 3; t++)
            assert_memory_equal(c[0], c[t], sizeof(float) * (size_t)(s.M * s.N));
        mem_free(a), mem_free(b), mem_free(c[0]), mem_free(c[1]), mem_free(c[2]);
    }
    assert_true(pool_set_threads(2, NULL));
}

/* K so long that it is cut as well: 64 x 64 x 600000 in f64. */
static void test_long_sum_is_cut(void **unused)
{
    (void)unused;
    int64_t n = 64, K = 600000;
    double *a = random_f64(n * K), c0 = 0, *c = random_f64(n * n);
    assert_true(blas_gemm_f64(false, true, n, n, K, 1, a, K, a, K, 0, c, n, NULL));
    for (int64_t k = 0; k < K; k++)
        c0 += a[5 * K + k] * a[9 * K + k];
    assert_true(fabs(c[5 * n + 9] - c0) < 1e-8 && fabs(c[9 * n + 5] - c0) < 1e-8);
    mem_free(a), mem_free(c);
}

static void test_bad_sizes_are_refused(void **unused)
{
    (void)unused;
    float x[16] = {0};
    Err err = {0};
    assert_false(blas_gemm_f32(false, false, -1, 2, 2, 1, x, 2, x, 2, 0, x, 2, &err));
    assert_int_equal(err.code, ERR_SHAPE);
    assert_false(blas_gemm_f32(false, false, 2, 2, 2, 1, x, 1, x, 2, 0, x, 2, &err));
    assert_non_null(strstr(err.msg, "row strides 1, 2, 2"));
    assert_false(blas_gemm_f64(false, false, (int64_t)1 << 32, 1, 1, 1, (double *)x, 1,
                               (double *)x, 1, 0, (double *)x, 1, &err));
}

static void *raise_soon(void *unused)
{
    (void)unused;
    nanosleep(&(struct timespec){.tv_nsec = 3000000}, NULL);
    intr_raise();
    return NULL;
}

static void test_long_product_is_interrupted(void **unused)
{
    (void)unused;
    int64_t n = 2048, K = 8192;
    float *a = random_f32(n * K), *c = random_f32(n * n);
    Err err = {0};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, raise_soon, NULL), 0);
    bool done = blas_gemm_f32(false, true, n, n, K, 1, a, K, a, K, 0, c, n, &err);
    pthread_join(thread, NULL);
    assert_false(done);
    assert_int_equal(err.code, ERR_INTERRUPT);
    /* A short one does not look at the flag: it is over before anybody could tell. */
    assert_true(blas_gemm_f32(false, true, 8, 8, 8, 1, a, K, a, K, 0, c, n, &err));
    intr_clear();
    mem_free(a), mem_free(c);
}

static void check_gemv(int64_t M, int64_t N, bool trans)
{
    int64_t lda = N + 2, outputs = trans ? N : M, terms = trans ? M : N;
    double *a = random_f64(M * lda), *x = random_f64(terms), *y = random_f64(outputs);
    float *af = random_f32(M * lda), *xf = random_f32(terms), *yf = random_f32(outputs);
    for (int64_t i = 0; i < outputs; i++)
        y[i] = NAN, yf[i] = 0.25f;
    blas_gemv_f64(trans, M, N, 2, a, lda, x, 0, y);
    blas_gemv_f32(trans, M, N, 1, af, lda, xf, -2, yf);
    for (int64_t i = 0; i < outputs; i++) {
        double sum = 0, sum_f = 0;
        for (int64_t k = 0; k < terms; k++) {
            int64_t at = trans ? k * lda + i : i * lda + k;
            sum += a[at] * x[k];
            sum_f += (double)af[at] * (double)xf[k];
        }
        assert_true(fabs(y[i] - 2 * sum) < 1e-12 * (double)(terms + 1));
        assert_true(fabs((double)yf[i] - (sum_f - 0.5)) < 1e-6 * (double)(terms + 1));
    }
    mem_free(a), mem_free(x), mem_free(y), mem_free(af), mem_free(xf), mem_free(yf);
}

static void test_gemv_and_dot(void **unused)
{
    (void)unused;
    static const int64_t size[][2] = {
        {1,   1   },
        {0,   3   },
        {3,   0   },
        {7,   5   },
        {784, 300 },
        {33,  9000}
    };
    for (size_t i = 0; i < ARRAY_LEN(size); i++) {
        check_gemv(size[i][0], size[i][1], false);
        check_gemv(size[i][0], size[i][1], true);
    }
    int64_t n = 200003;
    float *x = random_f32(n);
    double *z = random_f64(n), sum = 0, sum_f = 0;
    for (int64_t i = 0; i < n; i++)
        sum += z[i] * z[i], sum_f += (double)x[i] * (double)x[i];
    assert_true(fabs(blas_dot_f64(n, z, z) - sum) < 1e-9 * sum);
    assert_true(fabs(blas_dot_f32(n, x, x) - sum_f) < 1e-5 * sum_f);
    assert_true(blas_dot_f32(0, x, x) == 0);
    z[77777] = NAN;
    assert_true(isnan(blas_dot_f64(n, z, z)));
    mem_free(x), mem_free(z);
}

static void test_facts(void **unused)
{
    (void)unused;
    assert_true(strlen(blas_core()) > 0);
    assert_non_null(strstr(blas_version(), "OpenBLAS"));
    const char *notice = blas_notice();
    if (notice)
        assert_non_null(strstr(notice, "OPENBLAS_CORETYPE"));
#if defined(__x86_64__)
    if (strcmp(blas_core(), "Haswell") == 0 && __builtin_cpu_supports("avx512bw"))
        assert_non_null(notice);
#endif
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gemm_against_loops),
        cmocka_unit_test(test_beta_zero_ignores_old_c),
        cmocka_unit_test(test_nan_reaches_its_row),
        cmocka_unit_test(test_same_bits_for_any_thread_count),
        cmocka_unit_test(test_long_sum_is_cut),
        cmocka_unit_test(test_bad_sizes_are_refused),
        cmocka_unit_test(test_long_product_is_interrupted),
        cmocka_unit_test(test_gemv_and_dot),
        cmocka_unit_test(test_facts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
