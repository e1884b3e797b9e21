/* line_kern.h -- inline loops over one line of n elements, a stride apart, that several
 * kernel files share. Contiguous lines run in 16 lanes that are combined in a fixed
 * order, so a result depends on the line alone. Include from *_kern.c only. */
#ifndef CLEAVE_GRAPH_LINE_KERN_H
#define CLEAVE_GRAPH_LINE_KERN_H
#include <stdint.h>

#include "tensor/vmath.h"

enum { LANES = 16, LINE_PIECE = 256 };

/* The largest of sign * x, n >= 1; *nan tells whether there is a NaN (the value is then
 * of no use). A maximum does not depend on the order, so the compiler may choose it. */
static inline real line_top(int64_t n, int64_t stride, const real *x, real sign,
                            int *nan)
{
    real top = sign * x[0];
    int_of_real bad = 0;
    if (stride == 1 && n >= LANES) {
#pragma omp simd reduction(max : top) reduction(| : bad)
        for (int64_t i = 0; i < n; i++) {
            real v = sign * x[i];
            top = v > top ? v : top;
            bad |= v != v;
        }
    } else {
        for (int64_t i = 0; i < n; i++) {
            real v = sign * x[i * stride];
            top = v > top ? v : top;
            bad |= v != v;
        }
    }
    *nan = bad != 0;
    return top;
}

/* The same without NaN and sign. */
static inline real line_max(int64_t n, int64_t stride, const real *x)
{
    real top = x[0];
    if (stride == 1 && n >= LANES) {
#pragma omp simd reduction(max : top)
        for (int64_t i = 0; i < n; i++)
            top = x[i] > top ? x[i] : top;
        return top;
    }
    for (int64_t i = 1; i < n; i++)
        top = x[i * stride] > top ? x[i * stride] : top;
    return top;
}

/* y_i = e^(x_i - top), contiguous y; returns the sum. */
static inline real line_exps(int64_t n, int64_t stride, const real *x, real top,
                             real *y)
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
static inline real line_sum_exps(int64_t n, int64_t stride, const real *x, real top)
{
    real piece[LINE_PIECE], s = 0;
    for (int64_t i = 0; i < n; i += LINE_PIECE) {
        int64_t m = n - i < LINE_PIECE ? n - i : LINE_PIECE;
        s += line_exps(m, stride, x + i * stride, top, piece);
    }
    return s;
}
#endif
