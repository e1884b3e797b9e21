/* reduce_kern.c -- sums in fixed blocks. A block of SUM_BLOCK elements is added in 16 lanes
 * of the element type, the lanes pairwise in double; blocks are added in double by the
 * caller, in order. Columns are added COL_BLOCK rows at a time in the element type, then
 * into doubles. */
#include "graph/reduce_kern.h"

#include <math.h>
#include <stddef.h>

#include "tensor/vmath.h"

enum { LANES = 16 };

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

static void KERN(column_squares)(int64_t n, int64_t width, int64_t stride, const void *xp,
                                 const double *mean, double *sum)
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

static int64_t KERN(extreme)(int64_t n, int64_t stride, const void *xp, int sign,
                             void *value)
{
    const real *x = xp;
    real s = (real)sign, best = x[0];
    int64_t at = 0;
    for (int64_t i = 1; i < n && best == best; i++) {
        real v = x[i * stride];
        if (s * v > s * best || v != v) {
            best = v;
            at = i;
        }
    }
    if (value)
        *(real *)value = best;
    return at;
}

static void KERN(logsumexp)(int64_t n, int64_t stride, const void *xp, void *yp)
{
    const real *x = xp;
    real top, sum = 0;
    KERN(extreme)(n, stride, xp, 1, &top);
    if (top - top != 0) { /* infinite or NaN: it decides alone */
        *(real *)yp = top;
        return;
    }
    for (int64_t i = 0; i < n; i++)
        sum += v_exp(x[i * stride] - top);
    *(real *)yp = top + v_log(sum);
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

/* Products of everything before and everything after, so a zero among x is no trouble. */
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
