/* index_kern.c -- gather and scatter loops, in the order of the index. */
#include "graph/index_kern.h"

static void KERN(scatter)(int64_t m, int64_t width, int64_t stride, const int32_t *idx,
                          const void *xp, void *yp)
{
    for (int64_t i = 0; i < m; i++) {
        const real *x = (const real *)xp + i * stride;
        real *y = (real *)yp + idx[i] * stride;
#pragma omp simd
        for (int64_t c = 0; c < width; c++)
            y[c] += x[c];
    }
}

static void KERN(take)(int64_t m, int64_t stride, const int32_t *idx, const void *xp,
                       void *yp)
{
    const real *x = xp;
    real *y = yp;
    for (int64_t i = 0; i < m; i++)
        y[i * stride] = x[idx[i * stride] * stride];
}

static void KERN(put)(int64_t m, int64_t stride, const int32_t *idx, const void *xp,
                      void *yp)
{
    const real *x = xp;
    real *y = yp;
    for (int64_t i = 0; i < m; i++)
        y[idx[i * stride] * stride] += x[i * stride];
}

static void KERN(scale_u8)(int64_t n, const uint8_t *x, double scale, float *y)
{
    const float f = (float)scale;
#pragma omp simd
    for (int64_t i = 0; i < n; i++)
        y[i] = f * (float)x[i];
}

const IndexTable KERN(index_table) = {
    .scatter = KERN(scatter),
    .take = KERN(take),
    .put = KERN(put),
    .scale_u8 = KERN(scale_u8),
};
