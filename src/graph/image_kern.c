/* image_kern.c -- stencils on one image. A pass along an axis is a three-point stencil
 * whose weights differ only at the edges: reflection doubles a neighbour. Forward, the
 * doubled neighbour belongs to the first and last output; in the transposed map it
 * belongs to the first and last input. */
#include "graph/image_kern.h"

#include <stddef.h>

enum { PIECE = 4096, STRIP = 1024 };

static inline real size_of(real x)
{
    return x < 0 ? -x : x;
}

static inline real sign_of(real x)
{
    return x > 0 ? 1 : x < 0 ? -1 : 0;
}

static double KERN(tv)(int64_t h, int64_t w, const void *xp)
{
    const real *x = xp;
    double across = 0, down = 0;
    for (int64_t i = 0; i < h; i++) {
        real s = 0;
#pragma omp simd reduction(+ : s)
        for (int64_t j = 0; j < w - 1; j++)
            s += size_of(x[i * w + j + 1] - x[i * w + j]);
        across += (double)s;
    }
    for (int64_t k = 0; k < (h - 1) * w; k += PIECE) {
        const int64_t n = (h - 1) * w - k < PIECE ? (h - 1) * w - k : PIECE;
        real s = 0;
#pragma omp simd reduction(+ : s)
        for (int64_t j = k; j < k + n; j++)
            s += size_of(x[j + w] - x[j]);
        down += (double)s;
    }
    across = w > 1 ? across / (double)(h * (w - 1)) : 0;
    down = h > 1 ? down / (double)((h - 1) * w) : 0;
    return across + down;
}

/* Across first, over the image as one line whose row ends are then put right; down is
 * added. */
static void KERN(tv_grad)(int64_t h, int64_t w, const void *xp, double dy, void *dxp)
{
    const real *x = xp;
    real *d = dxp;
    const real fa = (real)(w > 1 ? dy / (double)(h * (w - 1)) : 0);
    const real fd = (real)(h > 1 ? dy / (double)((h - 1) * w) : 0);
#pragma omp simd
    for (int64_t k = 1; k < h * w - 1; k++)
        d[k] = fa * (sign_of(x[k] - x[k - 1]) + sign_of(x[k] - x[k + 1]));
    for (int64_t i = 0; i < h; i++) {
        const real *at = x + i * w;
        d[i * w] = w > 1 ? fa * sign_of(at[0] - at[1]) : 0;
        if (w > 1)
            d[i * w + w - 1] = fa * sign_of(at[w - 1] - at[w - 2]);
    }
#pragma omp simd
    for (int64_t k = w; k < h * w; k++)
        d[k] += fd * sign_of(x[k] - x[k - w]);
#pragma omp simd
    for (int64_t k = 0; k < (h - 1) * w; k++)
        d[k] += fd * sign_of(x[k] - x[k + w]);
}

/* Weights of the neighbours before and after position i of n in the sum that makes
 * output i. */
static inline void edge_weights(int64_t n, int64_t i, int adjoint, real *before,
                                real *after)
{
    if (adjoint) {
        *before = i == 0 ? 0 : i == 1 ? 2 : 1;
        *after = i == n - 1 ? 0 : i == n - 2 ? 2 : 1;
    } else {
        *before = i == 0 ? 0 : i == n - 1 ? 2 : 1;
        *after = i == n - 1 ? 0 : i == 0 ? 2 : 1;
    }
}

/* One pixel of a pass across. */
static inline real across_at(int64_t w, int64_t j, const real *x, real centre,
                             real side, int adjoint)
{
    real b, a;
    edge_weights(w, j, adjoint, &b, &a);
    real v = (centre + (w == 1 ? 2 * side : 0)) * x[j];
    return v + side * ((j > 0 ? b * x[j - 1] : 0) + (j + 1 < w ? a * x[j + 1] : 0));
}

/* y = centre x + side (both neighbours in the row). The rows are taken as one long
 * line; the two pixels at each end of a row are then put right. */
static void across(int64_t h, int64_t w, const real *x, real centre, real side,
                   int adjoint, real *y)
{
#pragma omp simd
    for (int64_t k = 1; k < h * w - 1; k++)
        y[k] = centre * x[k] + side * (x[k - 1] + x[k + 1]);
    for (int64_t i = 0; i < h; i++)
        for (int64_t e = 0; e < 4 && e < w; e++) {
            int64_t j = e < 2 ? e : w < 4 ? e : w - 4 + e;
            y[i * w + j] = across_at(w, j, x + i * w, centre, side, adjoint);
        }
}

/* The same with the neighbours above and below, for rows first..last-1; y starts at row
 * `first`. */
static void down(int64_t h, int64_t w, int64_t first, int64_t last, const real *x,
                 real centre, real side, int adjoint, int add, real *y)
{
    for (int64_t i = first; i < last; i++) {
        real b, a;
        edge_weights(h, i, adjoint, &b, &a);
        /* rows of equal weights are one long row */
        int64_t rows = i >= 2 && i < h - 2 ? (last < h - 2 ? last : h - 2) - i : 1;
        const real *at = x + i * w, c = centre + (h == 1 ? 2 * side : 0);
        const real *up = i > 0 ? at - w : at, *below = i + 1 < h ? at + w : at;
        real *d = y + (i - first) * w;
        b *= side;
        a *= side;
#pragma omp simd
        for (int64_t j = 0; j < rows * w; j++)
            d[j] = (add ? d[j] : 0) + (c * at[j] + (b * up[j] + a * below[j]));
        i += rows - 1;
    }
}

static void KERN(laplacian)(int64_t h, int64_t w, const void *xp, int adjoint, void *yp)
{
    across(h, w, xp, -2, 1, adjoint, yp);
    down(h, w, 0, h, xp, -2, 1, adjoint, 1, yp);
}

/* Images wider than the strip: pixel by pixel, the three columns of sums each time. */
static void smooth_wide(int64_t h, int64_t w, const real *x, int adjoint, real *y)
{
    const real third = (real)1 / 3;
    for (int64_t i = 0; i < h; i++)
        for (int64_t j = 0; j < w; j++) {
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

/* Strips of rows: down into the strip, then across into the result. */
static void KERN(smooth3)(int64_t h, int64_t w, const void *xp, int adjoint, void *yp)
{
    const real third = (real)1 / 3, *x = xp;
    real *y = yp, strip[STRIP];
    if (w > STRIP) {
        smooth_wide(h, w, x, adjoint, y);
        return;
    }
    int64_t rows = STRIP / w;
    for (int64_t i = 0; i < h; i += rows) {
        int64_t last = i + rows < h ? i + rows : h;
        down(h, w, i, last, x, third, third, adjoint, 0, strip);
        across(last - i, w, strip, third, third, adjoint, y + i * w);
    }
}

/* line_j += the sums over s image lines and cs neighbours from x_j on, j < n. */
static void box_part(int64_t w, int64_t s, const real *x, int64_t n, int64_t cs,
                     real *column, real *line)
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

/* Sums down the s lines of a window, then s neighbours across, BOX_TILE outputs at a
 * time. */
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
