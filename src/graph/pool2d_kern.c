/* pool2d_kern.c -- a row of results at a time, tap by tap: which results have the tap
 * inside the image is a range, so inner loops have no tests. */
#include "graph/pool2d_kern.h"

#include <math.h>
#include <string.h>

enum { BLOCK = 128 }; /* results whose best tap is remembered */

/* Results first..last-1 of side s whose tap is inside; at: the first one's pixel. */
typedef struct Reach {
    int64_t first, last, at, step;
} Reach;

static Reach reach(const Windows *w, int s, int64_t tap)
{
    int64_t off = tap * w->dilation[s] - w->pad[s], step = w->stride[s];
    Reach r = {.step = step};
    r.first = off < 0 ? (-off + step - 1) / step : 0;
    r.last = w->x[s] > off ? (w->x[s] - off + step - 1) / step : 0;
    r.last = r.last > w->y[s] ? w->y[s] : r.last;
    r.at = off + r.first * step;
    return r;
}

/* Pixel row that tap r of result row i reads, or -1. */
static int64_t row_of(const Windows *w, int64_t i, int64_t tap)
{
    int64_t row = i * w->stride[0] + tap * w->dilation[0] - w->pad[0];
    return row >= 0 && row < w->x[0] ? row : -1;
}

static void max_line(int64_t n, const real *x, int64_t step, real *y)
{
    if (step == 2) {
#pragma omp simd
        for (int64_t k = 0; k < n; k++)
            y[k] = x[2 * k] > y[k] || x[2 * k] != x[2 * k] ? x[2 * k] : y[k];
        return;
    }
    for (int64_t k = 0; k < n; k++)
        y[k] = x[k * step] > y[k] || x[k * step] != x[k * step] ? x[k * step] : y[k];
}

static void KERN(max)(const Windows *w, const void *xp, void *yp)
{
    const real *x = xp;
    real *y = yp;
    for (int64_t i = 0; i < w->y[0]; i++, y += w->y[1]) {
        for (int64_t j = 0; j < w->y[1]; j++)
            y[j] = (real)-INFINITY;
        for (int64_t r = 0; r < w->k[0]; r++) {
            int64_t row = row_of(w, i, r);
            for (int64_t s = 0; s < w->k[1] && row >= 0; s++) {
                Reach c = reach(w, 1, s);
                max_line(c.last - c.first, x + row * w->x[1] + c.at, c.step,
                         y + c.first);
            }
        }
    }
}

/* The pixel that each of the results first..first+n-1 of row i is. */
static void best_pixels(const Windows *w, const real *x, int64_t i, int64_t first,
                        int64_t n, real *best, int_of_real *where)
{
    for (int64_t j = 0; j < n; j++) {
        best[j] = (real)-INFINITY;
        where[j] = -1;
    }
    for (int64_t r = 0; r < w->k[0]; r++) {
        int64_t row = row_of(w, i, r);
        for (int64_t s = 0; s < w->k[1] && row >= 0; s++) {
            Reach c = reach(w, 1, s);
            int64_t from = c.first > first ? c.first : first;
            int64_t to = c.last < first + n ? c.last : first + n;
            int64_t at = row * w->x[1] + c.at + (from - c.first) * c.step;
#pragma omp simd
            for (int64_t j = 0; j < to - from; j++) {
                const real v = x[at + j * c.step], b = best[from - first + j];
                const int_of_real old = where[from - first + j];
                const int up = v > b || v != v || old < 0;
                best[from - first + j] = up ? v : b;
                where[from - first + j] = up ? (int_of_real)(at + j * c.step) : old;
            }
        }
    }
}

static void KERN(max_grad)(const Windows *w, const void *xp, const void *dyp, void *dxp)
{
    const real *dy = dyp;
    real *dx = dxp, best[BLOCK];
    int_of_real where[BLOCK];
    memset(dx, 0, (size_t)(w->x[0] * w->x[1]) * sizeof *dx);
    for (int64_t i = 0; i < w->y[0]; i++)
        for (int64_t j = 0; j < w->y[1]; j += BLOCK) {
            int64_t n = w->y[1] - j < BLOCK ? w->y[1] - j : BLOCK;
            best_pixels(w, xp, i, j, n, best, where);
            for (int64_t k = 0; k < n; k++)
                dx[where[k]] += dy[i * w->y[1] + j + k];
        }
}

static void KERN(mean)(const Windows *w, const void *xp, void *yp)
{
    const real *x = xp, share = (real)1 / (real)(w->k[0] * w->k[1]);
    real *y = yp;
    for (int64_t i = 0; i < w->y[0]; i++, y += w->y[1]) {
        memset(y, 0, (size_t)w->y[1] * sizeof *y);
        for (int64_t r = 0; r < w->k[0]; r++) {
            int64_t row = row_of(w, i, r);
            for (int64_t s = 0; s < w->k[1] && row >= 0; s++) {
                Reach c = reach(w, 1, s);
                const real *from = x + row * w->x[1] + c.at;
                for (int64_t j = 0; j < c.last - c.first; j++)
                    y[c.first + j] += from[j * c.step];
            }
        }
        for (int64_t j = 0; j < w->y[1]; j++)
            y[j] *= share;
    }
}

static void KERN(mean_back)(const Windows *w, const void *dyp, void *dxp)
{
    const real *dy = dyp, share = (real)1 / (real)(w->k[0] * w->k[1]);
    real *dx = dxp;
    memset(dx, 0, (size_t)(w->x[0] * w->x[1]) * sizeof *dx);
    for (int64_t i = 0; i < w->y[0]; i++, dy += w->y[1])
        for (int64_t r = 0; r < w->k[0]; r++) {
            int64_t row = row_of(w, i, r);
            for (int64_t s = 0; s < w->k[1] && row >= 0; s++) {
                Reach c = reach(w, 1, s);
                real *to = dx + row * w->x[1] + c.at;
                for (int64_t j = 0; j < c.last - c.first; j++)
                    to[j * c.step] += share * dy[c.first + j];
            }
        }
}

static void KERN(unfold)(const Windows *w, int64_t channels, const void *xp, void *yp)
{
    const real *x = xp;
    int64_t width = channels * w->k[0] * w->k[1];
    for (int64_t i = 0; i < w->y[0]; i++) {
        real *y = (real *)yp + i * w->y[1] * width;
        memset(y, 0, (size_t)(w->y[1] * width) * sizeof *y);
        for (int64_t n = 0; n < width; n++) {
            int64_t s = n % w->k[1], r = n / w->k[1] % w->k[0];
            int64_t c = n / (w->k[0] * w->k[1]), row = row_of(w, i, r);
            Reach k = reach(w, 1, s);
            const real *from = x + (c * w->x[0] + row) * w->x[1] + k.at;
            for (int64_t j = 0; row >= 0 && j < k.last - k.first; j++)
                y[(k.first + j) * width + n] = from[j * k.step];
        }
    }
}

static void KERN(fold)(const Windows *w, int64_t channels, const void *yp, void *xp)
{
    real *x = xp;
    int64_t width = channels * w->k[0] * w->k[1];
    memset(x, 0, (size_t)(channels * w->x[0] * w->x[1]) * sizeof *x);
    for (int64_t i = 0; i < w->y[0]; i++) {
        const real *y = (const real *)yp + i * w->y[1] * width;
        for (int64_t n = 0; n < width; n++) {
            int64_t s = n % w->k[1], r = n / w->k[1] % w->k[0];
            int64_t c = n / (w->k[0] * w->k[1]), row = row_of(w, i, r);
            Reach k = reach(w, 1, s);
            real *to = x + (c * w->x[0] + row) * w->x[1] + k.at;
            for (int64_t j = 0; row >= 0 && j < k.last - k.first; j++)
                to[j * k.step] += y[(k.first + j) * width + n];
        }
    }
}

const Pool2dTable KERN(pool2d_table) = {
    .max = KERN(max),
    .max_grad = KERN(max_grad),
    .mean = KERN(mean),
    .mean_back = KERN(mean_back),
    .unfold = KERN(unfold),
    .fold = KERN(fold),
};
