/* sae_kern.c -- thresholds per latent; every element on its own, so any cut gives the
 * same bits. */
#include "graph/sae_kern.h"

static void KERN(jump)(int64_t rows, int64_t M, const void *up, const void *tp,
                       double width, void *yp)
{
    const real *theta = tp;
    (void)width;
    for (int64_t r = 0; r < rows; r++) {
        const real *u = (const real *)up + r * M;
        real *y = (real *)yp + r * M;
#pragma omp simd
        for (int64_t m = 0; m < M; m++)
            y[m] = u[m] > theta[m] ? u[m] : 0;
    }
}

static void KERN(step)(int64_t rows, int64_t M, const void *up, const void *tp,
                       double width, void *yp)
{
    const real *theta = tp;
    (void)width;
    for (int64_t r = 0; r < rows; r++) {
        const real *u = (const real *)up + r * M;
        real *y = (real *)yp + r * M;
#pragma omp simd
        for (int64_t m = 0; m < M; m++)
            y[m] = u[m] > theta[m] ? 1 : 0;
    }
}

static void KERN(window)(int64_t rows, int64_t M, const void *up, const void *tp,
                         double width, void *yp)
{
    const real *theta = tp;
    const real half = (real)(width / 2);
    for (int64_t r = 0; r < rows; r++) {
        const real *u = (const real *)up + r * M;
        real *y = (real *)yp + r * M;
#pragma omp simd
        for (int64_t m = 0; m < M; m++) {
            real d = u[m] - theta[m];
            y[m] = d < half && d > -half ? 1 : 0;
        }
    }
}

const SaeTable KERN(sae_table) = {
    .gate = {KERN(jump), KERN(step), KERN(window)},
};
