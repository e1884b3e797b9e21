/* image_kern.c -- stencils on one image. A pass along an axis is a three-point stencil whose
 * weights differ only at the edges: reflection doubles a neighbour. Forward, the doubled
 * neighbour belongs to the first and last output; in the transposed map it belongs to the
 * first and last input. */
#include "graph/image_kern.h"

#include <stddef.h>

static inline real size_of(real x)
{
    return x < 0 ? -x : x;
}

static inline real sign_of(real x)
{
    return (real)(x > 0) - (real)(x < 0);
}

static double KERN(tv)(int64_t h, int64_t w, const void *xp)
{
    const real *x = xp;
    double across = 0, down = 0;
    for (int64_t i = 0; i < h; i++) {
        real sa = 0, sd = 0;
#pragma omp simd reduction(+ : sa)
        for (int64_t j = 0; j < w - 1; j++)
            sa += size_of(x[i * w + j + 1] - x[i * w + j]);
        const int64_t last = i + 1 < h ? w : 0;
#pragma omp simd reduction(+ : sd)
        for (int64_t j = 0; j < last; j++)
            sd += size_of(x[(i + 1) * w + j] - x[i * w + j]);
        across += (double)sa;
        down += (double)sd;
    }
    across = w > 1 ? across / (double)(h * (w - 1)) : 0;
    down = h > 1 ? down / (double)((h - 1) * w) : 0;
    return across + down;
}

static void KERN(tv_grad)(int64_t h, int64_t w, const void *xp, double dy, void *dxp)
{
    const real *x = xp;
    real *dx = dxp;
    real fa = (real)(w > 1 ? dy / (double)(h * (w - 1)) : 0);
    real fd = (real)(h > 1 ? dy / (double)((h - 1) * w) : 0);
    for (int64_t i = 0; i < h; i++) {
        const real *at = x + i * w;
        const real *up = i > 0 ? at - w : at, *below = i + 1 < h ? at + w : at;
        real *d = dx + i * w;
#pragma omp simd
        for (int64_t j = 0; j < w; j++) /* an edge is its own neighbour: sign 0 */
            d[j] = fd * (sign_of(at[j] - up[j]) + sign_of(at[j] - below[j]));
#pragma omp simd
        for (int64_t j = 1; j < w; j++)
            d[j] += fa * sign_of(at[j] - at[j - 1]);
#pragma omp simd
        for (int64_t j = 0; j < w - 1; j++)
            d[j] += fa * sign_of(at[j] - at[j + 1]);
    }
}

/* Weights of the neighbours before and after position i of n in the sum that makes output i. */
static inline void edge_weights(int64_t n, int64_t i, int adjoint, real *before, real *after)
{
    if (adjoint) {
        *before = i == 0 ? 0 : i == 1 ? 2 : 1;
        *after = i == n - 1 ? 0 : i == n - 2 ? 2 : 1;
    } else {
        *before = i == 0 ? 0 : i == n - 1 ? 2 : 1;
        *after = i == n - 1 ? 0 : i == 0 ? 2 : 1;
    }
}

/* y = centre x + before neighbour + after neighbour along the rows of one image line; += when
 * add. */
static void across(int64_t w, const real *x, real centre, real side, int adjoint, int add,
                   real *y)
{
    for (int64_t j = 0; j < w; j++) {
        if (j == 2 && w > 4) { /* inside, where both weights are 1 */
#pragma omp simd
            for (int64_t k = 2; k < w - 2; k++)
                y[k] = (add ? y[k] : 0) + (centre * x[k] + side * (x[k - 1] + x[k + 1]));
            j = w - 2;
        }
        real b, a;
        edge_weights(w, j, adjoint, &b, &a);
        real v = (centre + (w == 1 ? 2 * side : 0)) * x[j];
        v += side * ((j > 0 ? b * x[j - 1] : 0) + (j + 1 < w ? a * x[j + 1] : 0));
        y[j] = (add ? y[j] : 0) + v;
    }
}

/* The same down the columns: y line i from the lines before, at and after it. */
static void down(int64_t h, int64_t w, int64_t i, const real *x, real centre, real side,
                 int adjoint, real *y)
{
    real b, a;
    edge_weights(h, i, adjoint, &b, &a);
    const real *at = x + i * w;
    const real *up = i > 0 ? at - w : at, *below = i + 1 < h ? at + w : at;
    real c = centre + (h == 1 ? 2 * side : 0);
    b *= side;
    a *= side;
#pragma omp simd
    for (int64_t j = 0; j < w; j++)
        y[j] = c * at[j] + (b * up[j] + a * below[j]);
}

static void KERN(laplacian)(int64_t h, int64_t w, const void *xp, int adjoint, void *yp)
{
    const real *x = xp;
    real *y = yp;
    for (int64_t i = 0; i < h; i++) {
        down(h, w, i, x, -2, 1, adjoint, y + i * w);
        across(w, x + i * w, -2, 1, adjoint, 1, y + i * w);
    }
}

/* A line at a time: down into a line of its own, then across into the result. */
static void KERN(smooth3)(int64_t h, int64_t w, const void *xp, int adjoint, void *yp)
{
    enum { TILE = 64 };
    const real third = (real)1 / 3, *x = xp;
    real *y = yp, line[TILE + 2];
    for (int64_t i = 0; i < h; i++) {
        if (w <= TILE) {
            down(h, w, i, x, third, third, adjoint, line);
            across(w, line, third, third, adjoint, 0, y + i * w);
            continue;
        }
        for (int64_t j = 0; j < w; j++) { /* wide images: column by column */
            real v[3], before, after, b, a;
            edge_weights(w, j, adjoint, &before, &after);
            edge_weights(h, i, adjoint, &b, &a);
            for (int64_t k = -1; k <= 1; k++) {
                int64_t c = j + k < 0 || j + k >= w ? j : j + k;
                real up = i > 0 ? x[(i - 1) * w + c] : 0;
                real below = i + 1 < h ? x[(i + 1) * w + c] : 0;
                v[k + 1] = (h == 1 ? 3 : 1) * x[i * w + c] + (b * up + a * below);
            }
            y[i * w + j] = third * third * (v[1] + (before * v[0] + after * v[2]));
        }
    }
}

/* line_j += the sums over s image lines and cs neighbours from x_j on, j < n. */
static void box_part(int64_t w, int64_t s, const real *x, int64_t n, int64_t cs, real *column,
                     real *line)
{
    int64_t m = n + cs - 1;
    for (int64_t j = 0; j < m; j++)
        column[j] = 0;
    for (int64_t r = 0; r < s; r++) {
#pragma omp simd
        for (int64_t j = 0; j < m; j++)
            column[j] += x[r * w + j];
    }
    for (int64_t c = 0; c < cs; c++) {
#pragma omp simd
        for (int64_t j = 0; j < n; j++)
            line[j] += column[j + c];
    }
}

/* Sums down the s lines of a window, then s neighbours across, BOX_TILE outputs at a time. */
static void KERN(box)(int64_t h, int64_t w, int64_t s, const void *xp, void *yp)
{
    enum { BOX_TILE = 128 };
    const real *x = xp;
    real *y = yp, column[2 * BOX_TILE];
    int64_t ow = w - s + 1, oh = h - s + 1;
    for (int64_t i = 0; i < oh; i++)
        for (int64_t j0 = 0; j0 < ow; j0 += BOX_TILE) {
            int64_t n = ow - j0 < BOX_TILE ? ow - j0 : BOX_TILE;
            real *line = y + i * ow + j0;
            for (int64_t j = 0; j < n; j++)
                line[j] = 0;
            for (int64_t c0 = 0; c0 < s; c0 += BOX_TILE) {
                int64_t cs = s - c0 < BOX_TILE ? s - c0 : BOX_TILE;
                box_part(w, s, x + i * w + j0 + c0, n, cs, column, line);
            }
        }
}

static void KERN(spread)(int64_t h, int64_t w, int64_t s, const void *xp, void *yp)
{
    const real *x = xp;
    real *y = yp;
    int64_t ow = w - s + 1, oh = h - s + 1;
    for (int64_t i = 0; i < h * w; i++)
        y[i] = 0;
    for (int64_t i = 0; i < oh; i++)
        for (int64_t r = i; r < i + s; r++)
            for (int64_t c = 0; c < s; c++) {
#pragma omp simd
                for (int64_t j = 0; j < ow; j++)
                    y[r * w + c + j] += x[i * ow + j];
            }
}

static void KERN(put)(double v, void *y)
{
    *(real *)y = (real)v;
}

static double KERN(get)(const void *x)
{
    return (double)*(const real *)x;
}

const ImageTable KERN(image_table) = {
    .tv = KERN(tv),
    .tv_grad = KERN(tv_grad),
    .laplacian = KERN(laplacian),
    .smooth3 = KERN(smooth3),
    .box = KERN(box),
    .spread = KERN(spread),
    .put = KERN(put),
    .get = KERN(get),
};
