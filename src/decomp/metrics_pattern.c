/* metrics_pattern.c -- how readable the displayed patterns are: mean over the two
 * patterns of every displayed component; one that is zero (a component of a single
 * eigenvector) does not count. Windows are sums over a summed-area table. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/intr.h"
#include "base/mem.h"
#include "decomp/metrics_int.h"

static int by_value(const void *x, const void *y)
{
    double a = *(const double *)x, b = *(const double *)y;
    return (a > b) - (a < b);
}

/* Gini coefficient of n values >= 0, which it sorts. */
static double gini(double *v, int64_t n)
{
    double sum = 0, weighted = 0;
    qsort(v, (size_t)n, sizeof *v, by_value);
    for (int64_t k = 0; k < n; k++) {
        sum += v[k];
        weighted += (double)(2 * (k + 1) - n - 1) * v[k];
    }
    return sum > 0 ? weighted / ((double)n * sum) : 0;
}

/* Largest share of the energy of q [h,w] in a window of 7x7 (or the whole of a smaller
 * side). */
static double best_window(const float *q, int64_t h, int64_t w, double *area)
{
    int64_t sh = h < 7 ? h : 7, sw = w < 7 ? w : 7, row = w + 1;
    double top = 0;
    memset(area, 0, sizeof *area * (size_t)row);
    for (int64_t y = 1; y <= h; y++) {
        double run = 0;
        area[y * row] = 0;
        for (int64_t x = 1; x <= w; x++) {
            double p = (double)q[(y - 1) * w + x - 1];
            run += p * p;
            area[y * row + x] = area[(y - 1) * row + x] + run;
        }
    }
    for (int64_t y = sh; y <= h; y++)
        for (int64_t x = sw; x <= w; x++)
            top = fmax(top, area[y * row + x] - area[(y - sh) * row + x] -
                                area[y * row + x - sw] + area[(y - sh) * row + x - sw]);
    return top / area[h * row + w];
}

/* Mean |vertical difference| plus mean |horizontal difference|. */
static double variation(const float *q, int64_t h, int64_t w)
{
    double down = 0, across = 0;
    for (int64_t y = 0; y < h; y++)
        for (int64_t x = 0; x < w; x++) {
            double p = (double)q[y * w + x];
            if (y + 1 < h)
                down += fabs((double)q[(y + 1) * w + x] - p);
            if (x + 1 < w)
                across += fabs((double)q[y * w + x + 1] - p);
        }
    return (h > 1 ? down / (double)((h - 1) * w) : 0) +
           (w > 1 ? across / (double)(h * (w - 1)) : 0);
}

static double energy_on(const float *q, const float *mask, int64_t n)
{
    double s = 0;
    for (int64_t i = 0; i < n; i++)
        s += (double)mask[i] * (double)q[i] * (double)q[i];
    return s;
}

static bool is_zero(const float *q, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        if (q[i] != 0)
            return false;
    return true;
}

bool metrics_add_pattern(const DictEval *e, const float *q, double *scratch,
                         PatternMeans *m)
{
    int64_t I = e->dict->I;
    if (is_zero(q, I))
        return false;
    for (int64_t i = 0; i < I; i++)
        scratch[i] = fabs((double)q[i]);
    m->gini += gini(scratch, I);
    if (e->height > 0) {
        m->locality += best_window(q, e->height, e->width, scratch);
        m->tv += variation(q, e->height, e->width);
    }
    if (e->unlit)
        m->background += energy_on(q, e->unlit->data, I);
    return true;
}

static bool pattern_means(const DictEval *e, bool raw, PatternMeans *m, Err *err)
{
    const Dictionary *d = e->dict;
    Tensor q = {0};
    int64_t used = 0, room = d->I;
    if (e->height > 0)
        room = (e->height + 1) * (e->width + 1);
    double *scratch = mem_array((size_t)room, sizeof *scratch, err);
    bool ok = scratch && dict_patterns(d, NULL, raw, &q, err);
    *m = (PatternMeans){0};
    for (int64_t k = 0; ok && k < 2 * d->shown; k++) {
        const float *row = (float *)q.data + k * d->I;
        ok = k % 64 || intr_check(err);
        used += ok && metrics_add_pattern(e, row, scratch, m);
    }
    double n = used ? (double)used : (double)NAN;
    *m = (PatternMeans){m->gini / n, m->locality / n, m->tv / n, m->background / n};
    mem_free(scratch);
    tensor_release(&q);
    return ok;
}

bool metrics_of_patterns(const DictEval *e, double *v, Err *err)
{
    PatternMeans shown, raw;
    if (!pattern_means(e, false, &shown, err) || !pattern_means(e, true, &raw, err))
        return false;
    v[M_PATTERN_GINI] = shown.gini;
    v[M_PATTERN_GINI_RAW] = raw.gini;
    if (e->height > 0) {
        v[M_LOCALITY] = shown.locality;
        v[M_LOCALITY_RAW] = raw.locality;
        v[M_DISPLAY_TV] = shown.tv;
    }
    if (e->unlit)
        v[M_BACKGROUND] = shown.background;
    return true;
}
