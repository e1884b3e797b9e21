/* rng.c -- Philox against published vectors, and what every fill promises: the same
 * numbers however a request is cut, on any number of threads, with any instruction set;
 * and the right distributions (Kolmogorov-Smirnov against exact distribution
 * functions). */
#include "support.h"

#include <math.h>

#include "base/kern.h"
#include "tensor/pool.h"
#include "tensor/rng.h"

enum { N = 200000 };
static const RngKey key = {.seed = 0x123456789abcdef0u, .stream = 77, .step = 5};

/* D. E. Shaw Research, Random123 distribution, known-answer vectors. */
static void test_known_answers(void **state)
{
    (void)state;
    static const uint32_t rows[][10] = {
        {0, 0, 0, 0, 0, 0, 0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8},
        {~0u, ~0u, ~0u, ~0u, ~0u, ~0u, 0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd},
        {0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344, 0xa4093822, 0x299f31d0,
         0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        uint32_t out[4];
        philox4x32(rows[i], rows[i] + 4, out);
        assert_memory_equal(out, rows[i] + 6, sizeof out);
    }
    assert_int_equal(rng_stream(""), 2166136261u);
    assert_int_equal(rng_stream("a"), 0xe40c292cu);
    assert_int_equal(rng_stream("foobar"), 0xbf9cf968u);
}

/* The vectorised fill reads the words of philox4x32 at the documented counter. */
static void test_fill_is_philox(void **state)
{
    (void)state;
    enum { COUNT = 4096 };
    static float f[COUNT];
    static double d[COUNT];
    const RngKey k = {.seed = 0xfedcba9876543210u, .stream = 3, .step = 0x300000007};
    const int64_t first =
        ((int64_t)1 << 34) - 2000; /* the block number leaves 32 bits */
    rng_uniform_f32(k, first, COUNT, 0, 1, f);
    rng_uniform_f64(k, first, COUNT, 0, 1, d);
    for (int64_t i = 0; i < COUNT; i++) {
        uint64_t block = (uint64_t)(first + i) / 4;
        uint32_t counter[4] = {(uint32_t)block, (uint32_t)(block >> 32), 7,
                               3 + 3 * 0x9E3779B9u};
        uint32_t seed[2] = {0x76543210, 0xfedcba98}, w[4];
        philox4x32(counter, seed, w);
        float want = (float)(w[(first + i) % 4] >> 8) * 0x1p-24f;
        assert_true(f[i] == want);
        assert_true(d[i] == rng_unit(k, first + i));
        assert_true(floor(d[i] * 0x1p24) * 0x1p-24 == (double)want);
    }
}

static float whole_f[N], part_f[N];
static double whole_d[N], part_d[N];

typedef void FillF32(int64_t first, int64_t n, float *dst);
typedef void FillF64(int64_t first, int64_t n, double *dst);
static void uniform_f32(int64_t first, int64_t n, float *dst)
{
    rng_uniform_f32(key, first, n, -1.5f, 2.25f, dst);
}
static void normal_f32(int64_t first, int64_t n, float *dst)
{
    rng_normal_f32(key, first, n, 0.5f, 3, dst);
}
static void bernoulli_f32(int64_t first, int64_t n, float *dst)
{
    rng_bernoulli_f32(key, first, n, 0.3f, dst);
}
static void uniform_f64(int64_t first, int64_t n, double *dst)
{
    rng_uniform_f64(key, first, n, -1.5, 2.25, dst);
}
static void normal_f64(int64_t first, int64_t n, double *dst)
{
    rng_normal_f64(key, first, n, 0.5, 3, dst);
}
static void bernoulli_f64(int64_t first, int64_t n, double *dst)
{
    rng_bernoulli_f64(key, first, n, 0.3, dst);
}
static void sparse_f32(int64_t first, int64_t n, float *dst)
{
    rng_sparse_f32(key, first, n, 0.1f, -1, 2, dst);
}
static void sparse_f64(int64_t first, int64_t n, double *dst)
{
    rng_sparse_f64(key, first, n, 0.1, -1, 2, dst);
}
static FillF32 *const fills_f32[] = {uniform_f32, normal_f32, bernoulli_f32,
                                     sparse_f32};
static FillF64 *const fills_f64[] = {uniform_f64, normal_f64, bernoulli_f64,
                                     sparse_f64};

/* Pieces of every awkward length, and one after the other on 1 and more threads. */
static void test_cuts_and_threads(void **state)
{
    (void)state;
    for (size_t k = 0; k < ARRAY_LEN(fills_f32); k++) {
        assert_true(pool_set_threads(1, NULL));
        fills_f32[k](0, N, whole_f);
        fills_f64[k](0, N, whole_d);
        int64_t at = 0;
        for (int64_t len = 0; at < N; len = len * 3 / 2 + 1) {
            int64_t n = len < N - at ? len : N - at;
            fills_f32[k](at, n, part_f + at);
            fills_f64[k](at, n, part_d + at);
            at += n;
        }
        assert_memory_equal(whole_f, part_f, sizeof whole_f);
        assert_memory_equal(whole_d, part_d, sizeof whole_d);
        for (int threads = 2; threads <= 5; threads += 3) {
            memset(part_f, 0, sizeof part_f);
            memset(part_d, 0, sizeof part_d);
            assert_true(pool_set_threads(threads, NULL));
            fills_f32[k](0, N, part_f);
            fills_f64[k](0, N, part_d);
            assert_memory_equal(whole_f, part_f, sizeof whole_f);
            assert_memory_equal(whole_d, part_d, sizeof whole_d);
        }
    }
    pool_shutdown();
}

/* A request writes its n elements and nothing beside them. */
static void test_bounds(void **state)
{
    (void)state;
    for (int64_t n = 0; n <= 130; n++) {
        float f[140];
        for (int i = 0; i < 140; i++)
            f[i] = -7;
        rng_uniform_f32(key, 13, n, 0, 1, f + 4);
        for (int64_t i = 0; i < 140; i++)
            assert_int_equal(f[i] == -7, i < 4 || i >= 4 + n);
    }
}

static void test_instruction_sets(void **state)
{
    (void)state;
    const char *best = isa_name();
    static const char *const names[] = {"baseline", "avx2", "avx512"};
    for (size_t k = 0; k < ARRAY_LEN(fills_f32); k++) {
        assert_true(isa_force("baseline"));
        fills_f32[k](3, N, whole_f);
        fills_f64[k](3, N, whole_d);
        for (size_t i = 1; i < ARRAY_LEN(names); i++) {
            if (!isa_force(names[i]))
                continue;
            fills_f32[k](3, N, part_f);
            fills_f64[k](3, N, part_d);
            assert_memory_equal(whole_d, part_d, sizeof whole_d);
            if (fills_f32[k] != normal_f32)
                assert_memory_equal(whole_f, part_f, sizeof whole_f);
            for (int64_t j = 0; j < N; j++)
                assert_true(fabsf(whole_f[j] - part_f[j]) <= 3e-6f);
        }
    }
    assert_true(isa_force(best));
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double uniform_cdf(double x)
{
    return x < 0 ? 0 : x > 1 ? 1 : x;
}

static double normal_cdf(double x)
{
    return 0.5 * erfc(-x * 0.70710678118654752440);
}

/* sqrt(n) times the Kolmogorov-Smirnov distance; sorts v. 1.95 is exceeded once in
 * 1000. */
static double ks(double *v, int64_t n, double (*cdf)(double))
{
    double worst = 0;
    qsort(v, (size_t)n, sizeof *v, by_value);
    for (int64_t i = 0; i < n; i++) {
        double f = cdf(v[i]), lo = (double)i / (double)n,
               hi = (double)(i + 1) / (double)n;
        worst = fmax(worst, fmax(f - lo, hi - f));
    }
    return worst * sqrt((double)n);
}

static void widen(const float *f, double *d, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        d[i] = (double)f[i];
}

/* Mean and variance within 4 standard errors; fourth: E(x - mean)^4. */
static void check_moments(const double *v, int64_t n, double mean, double var,
                          double fourth)
{
    double m = 0, s = 0;
    for (int64_t i = 0; i < n; i++)
        m += v[i];
    m /= (double)n;
    for (int64_t i = 0; i < n; i++)
        s += (v[i] - mean) * (v[i] - mean);
    s /= (double)n;
    assert_true(fabs(m - mean) < 4 * sqrt(var / (double)n));
    assert_true(fabs(s - var) < 4 * sqrt((fourth - var * var) / (double)n));
}

/* Correlation of v[i] with v[i + lag], in standard errors. */
static double correlation(const double *v, int64_t n, int64_t lag, double mean,
                          double var)
{
    double s = 0;
    for (int64_t i = 0; i + lag < n; i++)
        s += (v[i] - mean) * (v[i + lag] - mean);
    return s / var / sqrt((double)(n - lag));
}

static void test_distributions(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 3; seed++) {
        RngKey k = {.seed = seed, .stream = rng_stream("test"), .step = 0};
        rng_uniform_f32(k, 0, N, 0, 1, whole_f);
        widen(whole_f, whole_d, N);
        check_moments(whole_d, N, 0.5, 1.0 / 12, 1.0 / 80);
        for (int64_t lag = 1; lag <= 64; lag *= 2)
            assert_true(fabs(correlation(whole_d, N, lag, 0.5, 1.0 / 12)) < 4);
        assert_true(ks(whole_d, N, uniform_cdf) < 1.95);
        rng_normal_f32(k, 0, N, 0, 1, whole_f);
        widen(whole_f, whole_d, N);
        check_moments(whole_d, N, 0, 1, 3);
        for (int64_t lag = 1; lag <= 64; lag *= 2)
            assert_true(fabs(correlation(whole_d, N, lag, 0, 1)) < 4);
        /* Partners share their radius: squares must not be correlated either. */
        for (int64_t i = 0; i < N; i++)
            part_d[i] = whole_d[i] * whole_d[i];
        assert_true(fabs(correlation(part_d, N, 1, 1, 2)) < 4);
        assert_true(ks(whole_d, N, normal_cdf) < 1.95);
        rng_normal_f64(k, 0, N, 0, 1, part_d);
        assert_true(ks(part_d, N, normal_cdf) < 1.95);
        for (int64_t i = 0; i < N; i++)
            assert_true(isfinite(part_d[i]));
        rng_bernoulli_f32(k, 0, N, 0.3f, whole_f);
        widen(whole_f, whole_d, N);
        check_moments(whole_d, N, 0.3, 0.21,
                      0.3 * 0.7 * (0.7 * 0.7 * 0.7 + 0.3 * 0.3 * 0.3));
    }
}

/* f64 draws are the f32 draws with more digits. */
static void test_precisions_agree(void **state)
{
    (void)state;
    rng_normal_f32(key, 0, N, 0, 1, whole_f);
    rng_normal_f64(key, 0, N, 0, 1, whole_d);
    for (int64_t i = 0; i < N; i++)
        assert_true(fabs((double)whole_f[i] - whole_d[i]) < 2e-4);
    rng_uniform_f32(key, 0, N, -3, 5, whole_f);
    rng_uniform_f64(key, 0, N, -3, 5, whole_d);
    for (int64_t i = 0; i < N; i++)
        assert_true(fabs((double)whole_f[i] - whole_d[i]) < 8 * 0x1p-23);
}

/* Every part of the key matters, and results stay inside [lo, hi). */
static void test_keys_and_ranges(void **state)
{
    (void)state;
    const RngKey keys[] = {
        {1, 2, 3}, {2, 2, 3}, {(uint64_t)1 << 40 | 1, 2, 3}, {1, 3, 3}, {1, 2, 4},
        {1, 2, (uint64_t)1 << 32 | 3},
    };
    for (size_t a = 0; a < ARRAY_LEN(keys); a++) {
        for (size_t b = 0; b < a; b++) {
            int equal = 0;
            for (int64_t i = 0; i < 64; i++)
                equal += rng_u64(keys[a], i) == rng_u64(keys[b], i);
            assert_int_equal(equal, 0);
        }
    }
    rng_uniform_f32(key, 0, N, 1, 1.0000002f, whole_f); /* two floats wide */
    for (int64_t i = 0; i < N; i++)
        assert_true(whole_f[i] >= 1 && whole_f[i] < 1.0000002f);
    rng_uniform_f64(key, 0, N, 1, 1.0000000000000004, whole_d);
    for (int64_t i = 0; i < N; i++)
        assert_true(whole_d[i] >= 1 && whole_d[i] < 1.0000000000000004);
    rng_uniform_f32(key, 0, 100, 4, 4, whole_f);
    for (int64_t i = 0; i < 100; i++)
        assert_true(whole_f[i] == 4);
    rng_bernoulli_f32(key, 0, N, 0, whole_f);
    rng_bernoulli_f64(key, 0, N, 1, whole_d);
    for (int64_t i = 0; i < N; i++)
        assert_true(whole_f[i] == 0 && whole_d[i] == 1);
}

/* How many there are, where they lie, and that the active ones are uniform. */
static void test_sparse(void **state)
{
    (void)state;
    const double p = 0.05;
    int64_t n = 0;
    rng_sparse_f64(key, 0, N, p, -1, 3, whole_d);
    for (int64_t i = 0; i < N; i++) {
        assert_true(whole_d[i] >= -1 && whole_d[i] <= 3);
        if (whole_d[i] != 0)
            part_d[n++] = (whole_d[i] + 1) / 4;
    }
    assert_true(fabs((double)n - p * N) < 4 * sqrt(p * (1 - p) * N));
    assert_true(ks(part_d, n, uniform_cdf) < 1.95);
    rng_sparse_f32(key, 0, N, 0, -1, 3, whole_f);
    for (int64_t i = 0; i < N; i++)
        assert_true(whole_f[i] == 0);
    rng_sparse_f32(key, 0, N, 1, 1, 3, whole_f);
    for (int64_t i = 0; i < N; i++)
        assert_true(whole_f[i] >= 1 && whole_f[i] <= 3);
}

static void test_integers(void **state)
{
    (void)state;
    enum { SIDES = 7, ROLLS = 70000 };
    int count[SIDES] = {0};
    for (int64_t i = 0; i < ROLLS; i++) {
        int64_t v = rng_below(key, i, SIDES);
        assert_in_range(v, 0, SIDES - 1);
        count[v]++;
    }
    double chi2 = 0;
    for (int i = 0; i < SIDES; i++)
        chi2 += (count[i] - 1e4) * (count[i] - 1e4) / 1e4;
    assert_true(chi2 < 22.5); /* 6 degrees of freedom, once in 1000 */
    assert_int_equal(rng_below(key, 9, 1), 0);
    assert_true(rng_below(key, 9, INT64_MAX) > 0);
}

static void test_permutation(void **state)
{
    (void)state;
    enum { LEN = 1000 };
    static int32_t p[LEN], q[LEN];
    static bool seen[LEN];
    rng_permutation(key, LEN, p);
    int fixed = 0;
    for (int i = 0; i < LEN; i++) {
        assert_in_range(p[i], 0, LEN - 1);
        assert_false(seen[p[i]]);
        seen[p[i]] = true;
        fixed += p[i] == i;
    }
    assert_true(fixed < 8);
    rng_permutation((RngKey){key.seed, key.stream, key.step + 1}, LEN, q);
    assert_memory_not_equal(p, q, sizeof p);
    rng_permutation(key, 0, NULL);
    rng_permutation(key, 1, q);
    assert_int_equal(q[0], 0);

    /* All 24 orders of 4 things, 24000 times: chi-square with 23 degrees of freedom. */
    int count[256] = {0};
    for (uint64_t s = 0; s < 24000; s++) {
        rng_permutation((RngKey){key.seed, key.stream, s}, 4, p);
        count[p[0] << 6 | p[1] << 4 | p[2] << 2 | p[3]]++;
    }
    double chi2 = 0;
    int orders = 0;
    for (int i = 0; i < 256; i++) {
        orders += count[i] > 0;
        chi2 += count[i] > 0 ? (count[i] - 1e3) * (count[i] - 1e3) / 1e3 : 0;
    }
    assert_int_equal(orders, 24);
    assert_true(chi2 < 49.7); /* once in 1000 */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known_answers),    cmocka_unit_test(test_fill_is_philox),
        cmocka_unit_test(test_cuts_and_threads), cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_instruction_sets), cmocka_unit_test(test_distributions),
        cmocka_unit_test(test_precisions_agree), cmocka_unit_test(test_keys_and_ranges),
        cmocka_unit_test(test_sparse),
        cmocka_unit_test(test_integers),         cmocka_unit_test(test_permutation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
