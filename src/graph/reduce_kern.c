/* reduce_kern.c -- sums in fixed blocks. A block of SUM_BLOCK elements is added in 16
 * lanes of the element type, the lanes pairwise in double; blocks are added in double
 * by the caller, in order. Columns are added COL_BLOCK rows at a time in the element
 * type, then into doubles. */
#include "graph/reduce_kern.h"

#include <math.h>
#include <stddef.h>

#include "graph/line_kern.h"

static double add_lanes(const real *lane)
{
    double d[LANES];
    for (int l = 0; l < LANES; l++)
        d[l] = (double)lane[l];
    for (int half = LANES / 2; half > 0; half /= 2)
        for (int l = 0; l < half; l++)
            d[l] += d[l + half];
    return d[0];
}

static double KERN(block_sum)(int64_t n, const void *xp, double mean)
{
    (void)mean;
    const real *x = xp;
    real lane[LANES] = {0};
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES)
        for (int l = 0; l < LANES; l++)
            lane[l] += x[i + l];
    for (int l = 0; i < n; i++, l++)
        lane[l] += x[i];
    return add_lanes(lane);
}

static double KERN(block_squares)(int64_t n, const void *xp, double mean)
{
    const real *x = xp, m = (real)mean;
    real lane[LANES] = {0};
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES)
        for (int l = 0; l < LANES; l++)
            lane[l] += (x[i + l] - m) * (x[i + l] - m);
    for (int l = 0; i < n; i++, l++)
        lane[l] += (x[i] - m) * (x[i] - m);
    return add_lanes(lane);
}

static void KERN(column_sum)(int64_t n, int64_t width, int64_t stride, const void *xp,
                             const double *mean, double *sum)
{
    (void)mean;
    const real *x = xp;
    real acc[COL_TILE];
    for (int64_t c = 0; c < width; c++)
        sum[c] = 0;
    for (int64_t first = 0; first < n; first += COL_BLOCK) {
        int64_t last = first + COL_BLOCK < n ? first + COL_BLOCK : n;
        for (int64_t c = 0; c < width; c++)
            acc[c] = 0;
        for (int64_t r = first; r < last; r++)
            for (int64_t c = 0; c < width; c++)
                acc[c] += x[r * stride + c];
        for (int64_t c = 0; c < width; c++)
            sum[c] += (double)acc[c];
    }
}

static void KERN(column_squares)(int64_t n, int64_t width, int64_t stride,
                                 const void *xp, const double *mean, double *sum)
{
    const real *x = xp;
    real acc[COL_TILE], m[COL_TILE];
    for (int64_t c = 0; c < width; c++) {
        sum[c] = 0;
        m[c] = mean ? (real)mean[c] : 0;
    }
    for (int64_t first = 0; first < n; first += COL_BLOCK) {
        int64_t last = first + COL_BLOCK < n ? first + COL_BLOCK : n;
        for (int64_t c = 0; c < width; c++)
            acc[c] = 0;
        for (int64_t r = first; r < last; r++)
            for (int64_t c = 0; c < width; c++)
                acc[c] += (x[r * stride + c] - m[c]) * (x[r * stride + c] - m[c]);
        for (int64_t c = 0; c < width; c++)
            sum[c] += (double)acc[c];
    }
}

/* The first element equal to v (NaN: the first NaN); there is one. */
static int64_t first_equal(int64_t n, int64_t stride, const real *x, real v)
{
    int64_t i = 0;
    if (stride == 1 && v == v)
        for (; i + 4 * LANES <= n; i += 4 * LANES) {
            int_of_real hit = 0;
#pragma omp simd reduction(| : hit)
            for (int l = 0; l < 4 * LANES; l++)
                hit |= x[i + l] == v;
            if (hit)
                break;
        }
    while (i + 1 < n &&
           !(x[i * stride] == v || (v != v && x[i * stride] != x[i * stride])))
        i++;
    return i;
}

static int64_t KERN(extreme)(int64_t n, int64_t stride, const void *xp, int sign,
                             void *value)
{
    const real *x = xp, s = (real)sign;
    int nan;
    real best = s * line_top(n, stride, x, s, &nan);
    if (nan)
        best = (real)NAN;
    if (value) {
        *(real *)value = best;
        return 0;
    }
    return first_equal(n, stride, x, best);
}

static void KERN(logsumexp)(int64_t n, int64_t stride, const void *xp, void *yp)
{
    const real *x = xp;
    int nan;
    real top = line_top(n, stride, x, 1, &nan);
    if (nan || top - top != 0) /* NaN or infinite: it decides alone */
        *(real *)yp = nan ? (real)NAN : top;
    else
        *(real *)yp = top + v_log(line_sum_exps(n, stride, x, top));
}

static void KERN(cumsum)(int64_t n, int64_t stride, const void *xp, void *yp)
{
    const real *x = xp;
    real *y = yp;
    double sum = 0;
    for (int64_t i = 0; i < n; i++) {
        sum += (double)x[i * stride];
        y[i * stride] = (real)sum;
    }
}

static void KERN(prod)(int64_t n, int64_t stride, const void *xp, void *yp)
{
    const real *x = xp;
    double p = 1;
    for (int64_t i = 0; i < n; i++)
        p *= (double)x[i * stride];
    *(real *)yp = (real)p;
}

/* Products of everything before and everything after, so a zero among x is no trouble.
 */
static void KERN(prod_grad)(int64_t n, int64_t stride, const void *xp, const void *dyp,
                            void *dxp)
{
    const real *x = xp;
    real *dx = dxp;
    double p = (double)*(const real *)dyp;
    for (int64_t i = 0; i < n; i++) {
        dx[i * stride] = (real)p;
        p *= (double)x[i * stride];
    }
    p = 1;
    for (int64_t i = n - 1; i >= 0; i--) {
        dx[i * stride] = (real)((double)dx[i * stride] * p);
        p *= (double)x[i * stride];
    }
}

static void KERN(store)(int64_t n, const double *sum, double factor, void *yp)
{
    real *y = yp;
    for (int64_t i = 0; i < n; i++)
        y[i] = (real)(factor * sum[i]);
}

const ReduceTable KERN(reduce_table) = {
    .block = {KERN(block_sum), KERN(block_squares)},
    .columns = {KERN(column_sum), KERN(column_squares)},
    .extreme = KERN(extreme),
    .logsumexp = KERN(logsumexp),
    .cumsum = KERN(cumsum),
    .prod = KERN(prod),
    .prod_grad = KERN(prod_grad),
    .store = KERN(store),
};
