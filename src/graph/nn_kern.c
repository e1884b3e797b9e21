/* nn_kern.c -- softmax and friends. The largest element is subtracted before exp; a
 * line is walked in order, so its result depends on the line alone. Contiguous lines,
 * the usual case, get loops with a unit stride that vectorise. */
#include "graph/nn_kern.h"

#include <math.h>
#include <string.h>

#include "graph/line_kern.h"

enum { SHORT_LINE = 48 };

static void KERN(softmax)(int64_t n, int64_t stride, const void *xp, void *yp)
{
    const real *x = xp;
    real *y = yp, top, factor;
    if (n == 0)
        return;
    top = line_max(n, stride, x);
    if (stride == 1) {
        factor = 1 / line_exps(n, 1, x, top, y);
        for (int64_t i = 0; i < n; i++)
            y[i] *= factor;
        return;
    }
    factor = 1 / line_sum_exps(n, stride, x, top);
    for (int64_t i = 0; i < n; i++)
        y[i * stride] = factor * v_exp(x[i * stride] - top);
}

static real line_lse(int64_t n, int64_t stride, const real *x)
{
    real top = line_max(n, stride, x);
    return top + v_log(line_sum_exps(n, stride, x, top));
}

static void KERN(log_softmax)(int64_t n, int64_t stride, const void *xp, void *yp)
{
    const real *x = xp;
    real *y = yp;
    if (n == 0)
        return;
    real lse = line_lse(n, stride, x);
    for (int64_t i = 0; i < n; i++)
        y[i * stride] = x[i * stride] - lse;
}

static double line_dot(int64_t n, int64_t stride, const real *a, const real *b)
{
    real lane[LANES] = {0};
    double s = 0;
    int64_t i = 0;
    if (stride == 1)
        for (; i + LANES <= n; i += LANES)
            for (int l = 0; l < LANES; l++)
                lane[l] += a[i + l] * b[i + l];
    for (int l = 0; l < LANES; l++)
        s += (double)lane[l];
    for (; i < n; i++)
        s += (double)a[i * stride] * (double)b[i * stride];
    return s;
}

static void KERN(normalize)(int64_t n, int64_t stride, const void *xp, double eps,
                            void *yp)
{
    const real *x = xp;
    real *y = yp;
    double length = sqrt(line_dot(n, stride, x, x));
    real f = (real)(1 / (length > eps ? length : eps));
    for (int64_t i = 0; i < n; i++)
        y[i * stride] = f * x[i * stride];
}

static double KERN(cosine)(int64_t n, int64_t stride, const void *ap, const void *bp,
                           double eps)
{
    const real *a = ap, *b = bp;
    double aa = line_dot(n, stride, a, a), bb = line_dot(n, stride, b, b);
    double d = sqrt(aa) * sqrt(bb);
    return line_dot(n, stride, a, b) / (d > eps ? d : eps);
}

/* ---- the k largest --------------------------------------------------------------- */

/* Non-negative floats are ordered as their bits are. */
static inline int_of_real magnitude(real x)
{
    int_of_real u;
    real a = x < 0 ? -x : x;
    memcpy(&u, &a, sizeof u);
    return u & (int_of_real)(((uint64_t)1 << (8 * sizeof u - 1)) - 1);
}

/* Short lines: an element is kept when fewer than k go before it. */
static void topk_short(int64_t n, int64_t stride, const real *x, int64_t k, int gate,
                       real *y)
{
    int_of_real m[SHORT_LINE];
    for (int64_t i = 0; i < n; i++)
        m[i] = magnitude(x[i * stride]);
    for (int64_t i = 0; i < n; i++) {
        int_of_real before = 0, own = m[i];
        for (int64_t j = 0; j < i; j++)
            before += m[j] >= own;
        for (int64_t j = i + 1; j < n; j++)
            before += m[j] > own;
        real v = x[i * stride];
        y[i * stride] = before < k ? (gate ? v : 1) : 0;
    }
}

/* The largest t that at least k magnitudes reach, bit by bit. */
static int_of_real kth_largest(int64_t n, int64_t stride, const real *x, int64_t k)
{
    int_of_real t = 0;
    for (int bit = (int)(8 * sizeof t) - 2; bit >= 0; bit--) {
        int_of_real trial = t | (int_of_real)1 << bit;
        int64_t count = 0;
        for (int64_t i = 0; i < n; i++)
            count += magnitude(x[i * stride]) >= trial;
        t = count >= k ? trial : t;
    }
    return t;
}

static void KERN(topk)(int64_t n, int64_t stride, const void *xp, int64_t k, int gate,
                       void *yp)
{
    const real *x = xp;
    real *y = yp;
    if (n <= SHORT_LINE) {
        topk_short(n, stride, x, k, gate, y);
        return;
    }
    int_of_real t = k > 0 ? kth_largest(n, stride, x, k) : 0;
    int64_t ties = k;
    for (int64_t i = 0; i < n; i++)
        ties -= magnitude(x[i * stride]) > t;
    for (int64_t i = 0; i < n; i++) {
        real v = x[i * stride];
        int_of_real m = magnitude(v);
        int keep = k > 0 && (m > t || (m == t && ties-- > 0));
        y[i * stride] = keep ? (gate ? v : 1) : 0;
    }
}

/* ---- losses ---------------------------------------------------------------------- */

static void KERN(xent)(int64_t rows, int64_t C, const void *xp, const int32_t *label,
                       double *loss)
{
    const real *x = xp;
    for (int64_t r = 0; r < rows; r++, x += C) {
        real top = line_max(C, 1, x);
        real lse = v_log(line_sum_exps(C, 1, x, top));
        loss[r] = (double)(lse - (x[label[r]] - top));
    }
}

static void KERN(xent_grad)(int64_t rows, int64_t C, const void *xp,
                            const int32_t *label, double factor, void *dxp)
{
    const real *x = xp, f = (real)factor;
    real *dx = dxp;
    for (int64_t r = 0; r < rows; r++, x += C, dx += C) {
        real top = line_max(C, 1, x);
        real scale = f / line_exps(C, 1, x, top, dx);
        for (int64_t c = 0; c < C; c++)
            dx[c] *= scale;
        dx[label[r]] -= f;
    }
}

static void KERN(kl)(int64_t rows, int64_t C, const void *pp, const void *qp,
                     double *loss)
{
    const real *p = pp, *q = qp;
    for (int64_t r = 0; r < rows; r++, p += C, q += C) {
        real lp = line_lse(C, 1, p), lq = line_lse(C, 1, q);
        double s = 0;
        for (int64_t c = 0; c < C; c++)
            s += (double)(v_exp(p[c] - lp) * ((p[c] - lp) - (q[c] - lq)));
        loss[r] = s;
    }
}

static void KERN(nll)(int64_t rows, int64_t C, const void *xp, const int32_t *label,
                      double *loss)
{
    const real *x = xp;
    for (int64_t r = 0; r < rows; r++)
        loss[r] = -(double)x[r * C + label[r]];
}

static double KERN(squared_difference)(int64_t n, const void *ap, const void *bp)
{
    const real *a = ap, *b = bp;
    real lane[LANES] = {0};
    double s = 0;
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES)
        for (int l = 0; l < LANES; l++)
            lane[l] += (a[i + l] - b[i + l]) * (a[i + l] - b[i + l]);
    for (int l = 0; i < n; i++, l++)
        lane[l] += (a[i] - b[i]) * (a[i] - b[i]);
    for (int l = 0; l < LANES; l++)
        s += (double)lane[l];
    return s;
}

static void KERN(put)(double v, void *y)
{
    *(real *)y = (real)v;
}

static double KERN(get)(const void *x)
{
    return (double)*(const real *)x;
}

static void KERN(gather_tile)(int64_t n, int64_t stride, int64_t width, const void *xp,
                              void *tile)
{
    const real *x = xp;
    real *t = tile;
    for (int64_t i = 0; i < n; i++)
        for (int64_t c = 0; c < width; c++)
            t[c * n + i] = x[i * stride + c];
}

static void KERN(scatter_tile)(int64_t n, int64_t stride, int64_t width,
                               const void *tile, void *yp)
{
    const real *t = tile;
    real *y = yp;
    for (int64_t i = 0; i < n; i++)
        for (int64_t c = 0; c < width; c++)
            y[i * stride + c] = t[c * n + i];
}

const NnTable KERN(nn_table) = {
    .gather_tile = KERN(gather_tile),
    .scatter_tile = KERN(scatter_tile),
    .softmax = KERN(softmax),
    .log_softmax = KERN(log_softmax),
    .normalize = KERN(normalize),
    .cosine = KERN(cosine),
    .topk = KERN(topk),
    .xent = KERN(xent),
    .xent_grad = KERN(xent_grad),
    .kl = KERN(kl),
    .nll = KERN(nll),
    .squared_difference = KERN(squared_difference),
    .put = KERN(put),
    .get = KERN(get),
};
