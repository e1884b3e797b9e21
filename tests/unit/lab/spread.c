/* Student's interval against printed tables, and against sampling. */
#include "lab/spread.h"

#include <math.h>

#include "support.h"

static void quantiles_match_the_tables(void **state)
{
    static const struct {
        size_t df;
        double t;
    } table[] = {
        {1,       12.7062047364},
        {2,       4.3026527299 },
        {3,       3.1824463053 },
        {4,       2.7764451052 },
        {5,       2.5705818366 },
        {9,       2.2621571628 },
        {10,      2.2281388520 },
        {30,      2.0422724563 },
        {99,      1.9842169515 },
        {120,     1.9799304051 },
        {199,     1.9719565442 },
        {200,     1.9718962236 },
        {1000,    1.9623390808 },
        {1000000, 1.9599664    },
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        double t = student_t95(table[i].df);
        if (!(fabs(t - table[i].t) < 1e-7))
            fail_msg("df %zu: %.10f, the table has %.10f", table[i].df, t, table[i].t);
    }
    assert_true(isnan(student_t95(0)));
}

static void means_and_intervals(void **state)
{
    (void)state;
    const double v[] = {1, 2, NAN, 3, 4, INFINITY};
    Spread s = spread_of(v, ARRAY_LEN(v));
    assert_int_equal(s.n, 4);
    assert_true(s.mean == 2.5);
    /* s = sqrt(5/3), t(3) = 3.18244..., n = 4 */
    assert_true(fabs(s.half - 3.1824463053 * sqrt(5.0 / 3) / 2) < 1e-9);
    s = spread_of(v, 1);
    assert_true(s.n == 1 && s.mean == 1 && isnan(s.half));
    s = spread_of(v + 2, 1);
    assert_true(s.n == 0 && isnan(s.mean) && isnan(s.half));
    const double same[] = {7, 7, 7};
    assert_true(spread_of(same, 3).half == 0);
}

/* 95 of 100 intervals hold the true mean, whatever the size of the sample. */
static void intervals_cover(void **state)
{
    (void)state;
    uint64_t x = 88172645463325252u;
    for (size_t n = 2; n <= 8; n += 2) {
        int hits = 0, trials = 20000;
        for (int k = 0; k < trials; k++) {
            double v[8];
            for (size_t i = 0; i < n; i++) {
                double sum = -6; /* of 12 uniforms: nearly normal */
                for (int j = 0; j < 12; j++) {
                    x ^= x << 13, x ^= x >> 7, x ^= x << 17;
                    sum += (double)(x >> 11) / 9007199254740992.0;
                }
                v[i] = sum;
            }
            Spread s = spread_of(v, n);
            hits += fabs(s.mean) <= s.half;
        }
        if (!(fabs(hits / (double)trials - 0.95) < 0.008))
            fail_msg("%zu values: %d of %d intervals hold the mean", n, hits, trials);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(quantiles_match_the_tables),
        cmocka_unit_test(means_and_intervals),
        cmocka_unit_test(intervals_cover),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
