/* nn_kern.c -- softmax and friends. The largest element is subtracted before exp; a line is
 * walked in order, so its result depends on the line alone. Contiguous lines, the usual
 * case, get loops with a unit stride that vectorise. */
#include "graph/nn_kern.h"

#include <math.h>
#include <string.h>

#include "tensor/vmath.h"

enum { LANES = 16, ROW_CHUNK = 256 };

static inline real line_max(int64_t n, int64_t stride, const real *x)
{
    real top = x[0];
    for (int64_t i = 1; i < n; i++)
        top = x[i * stride] > top ? x[i * stride] : top;
    return top;
}

/* y_i = e^(x_i - top), contiguous y; returns the sum. */
static inline real exps(int64_t n, int64_t stride, const real *x, real top, real *y)
{
    real lane[LANES] = {0}, s = 0;
    int64_t i = 0;
    if (stride == 1) {
#pragma omp simd
        for (int64_t j = 0; j < n; j++)
            y[j] = v_exp(x[j] - top);
    } else {
        for (int64_t j = 0; j < n; j++)
            y[j] = v_exp(x[j * stride] - top);
    }
    for (; i + LANES <= n; i += LANES)
        for (int l = 0; l < LANES; l++)
            lane[l] += y[i + l];
    for (; i < n; i++)
        s += y[i];
    for (int half = LANES / 2; half > 0; half /= 2)
        for (int l = 0; l < half; l++)
            lane[l] += lane[l + half];
    return s + lane[0];
}

/* Sum of e^(x - top) in pieces that live on the stack. */
static real sum_exps(int64_t n, int64_t stride, const real *x, real top)
{
    real piece[ROW_CHUNK], s = 0;
    for (int64_t i = 0; i < n; i += ROW_CHUNK) {
        int64_t m = n - i < ROW_CHUNK ? n - i : ROW_CHUNK;
        s += exps(m, stride, x + i * stride, top, piece);
    }
    return s;
}

static void KERN(softmax)(int64_t n, int64_t stride, const void *xp, void *yp)
{
    const real *x = xp;
    real *y = yp, top, factor;
    if (n == 0)
        return;
    top = line_max(n, stride, x);
    if (stride == 1) {
        factor = 1 / exps(n, 1, x, top, y);
        for (int64_t i = 0; i < n; i++)
            y[i] *= factor;
        return;
    }
    factor = 1 / sum_exps(n, stride, x, top);
    for (int64_t i = 0; i < n; i++)
        y[i * stride] = factor * v_exp(x[i * stride] - top);
}

static real line_lse(int64_t n, int64_t stride, const real *x)
{
    real top = line_max(n, stride, x);
    return top + v_log(sum_exps(n, stride, x, top));
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

static void KERN(normalize)(int64_t n, int64_t stride, const void *xp, double eps, void *yp)
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

/* ---- the k largest ----------------------------------------------------------------------- */

/* Non-negative floats are ordered as their bits are. */
static inline int_of_real magnitude(real x)
{
    int_of_real u;
    real a = x < 0 ? -x : x;
    memcpy(&u, &a, sizeof u);
    return u & (int_of_real)(((uint64_t)1 << (8 * sizeof u - 1)) - 1);
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

/* ---- losses ------------------------------------------------------------------------------ */

static void KERN(xent)(int64_t rows, int64_t C, const void *xp, const int32_t *label,
                       double *loss)
{
    const real *x = xp;
    for (int64_t r = 0; r < rows; r++, x += C) {
        real top = line_max(C, 1, x);
        real lse = v_log(sum_exps(C, 1, x, top));
        loss[r] = (double)(lse - (x[label[r]] - top));
    }
}

static void KERN(xent_grad)(int64_t rows, int64_t C, const void *xp, const int32_t *label,
                            double factor, void *dxp)
{
    const real *x = xp, f = (real)factor;
    real *dx = dxp;
    for (int64_t r = 0; r < rows; r++, x += C, dx += C) {
        real top = line_max(C, 1, x);
        real scale = f / exps(C, 1, x, top, dx);
        for (int64_t c = 0; c < C; c++)
            dx[c] *= scale;
        dx[label[r]] -= f;
    }
}

static void KERN(kl)(int64_t rows, int64_t C, const void *pp, const void *qp, double *loss)
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

const NnTable KERN(nn_table) = {
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
