/* sample.c -- box weights are integers: in units where the source is w*ow wide, source
 * pixel p covers [p*ow, (p+1)*ow) and target pixel j covers [j*w, (j+1)*w). So no
 * rounding ever lets a neighbouring NaN leak in, and an average of equal values is that
 * value. */
#include "figure/sample.h"

#include <math.h>

#include "base/mem.h"

static double size_of(const Figure *f, float v)
{
    return f->is_signed ? fabs((double)v) : v > 0 ? (double)v : 0;
}

/* The k-th smallest of v[0..n-1] (Hoare's selection); reorders v. */
static float select_kth(float *v, size_t n, size_t k)
{
    size_t lo = 0, hi = n - 1;
    while (lo < hi) {
        float pivot = v[lo + (hi - lo) / 2];
        size_t i = lo, j = hi;
        for (;;) {
            while (v[i] < pivot)
                i++;
            while (v[j] > pivot)
                j--;
            if (i >= j)
                break;
            float t = v[i];
            v[i++] = v[j];
            v[j--] = t;
        }
        /* up to j all are <= pivot, from j + 1 on all are >= pivot */
        if (k <= j)
            hi = j;
        else
            lo = j + 1;
    }
    return v[k];
}

/* 99th percentile of the finite sizes of the page; `most` when that is 0. */
static bool percentile(const Figure *f, double most, double *limit, Err *err)
{
    size_t total = (size_t)f->n * figure_plane(f), m = 0;
    float *v = mem_array(total + 1, sizeof *v, err);
    if (!v)
        return false;
    for (size_t i = 0; i < total; i++)
        if (isfinite(f->pixels[i]))
            v[m++] = (float)size_of(f, f->pixels[i]);
    size_t k = m > 0 ? (size_t)ceil(0.99 * (double)m) - 1 : 0;
    *limit = m > 0 ? (double)select_kth(v, m, k) : 0;
    if (*limit <= 0)
        *limit = most;
    mem_free(v);
    return true;
}

static void look_at(const Figure *f, const float *p, size_t m, ImageFacts *a)
{
    *a = (ImageFacts){.zero = true};
    for (size_t i = 0; i < m; i++) {
        a->nans += isnan(p[i]) != 0;
        a->infs += isinf(p[i]) != 0;
        a->zero = a->zero && p[i] == 0;
        a->below += !f->is_signed && p[i] < 0;
        if (isfinite(p[i]) && size_of(f, p[i]) > a->limit)
            a->limit = size_of(f, p[i]);
    }
}

double sample_least(const Figure *f)
{
    return f->rgb && !f->is_signed ? 1 : 0;
}

bool sample_facts(const Figure *f, ImageFacts *facts, Err *err)
{
    size_t m = figure_plane(f);
    double page = 0;
    for (int k = 0; k < f->n; k++) {
        look_at(f, f->pixels + (size_t)k * m, m, &facts[k]);
        page = fmax(page, facts[k].limit);
    }
    if (f->scale == SCALE_EACH)
        return true;
    if (f->scale == SCALE_P99 && !percentile(f, page, &page, err))
        return false;
    if (f->scale == SCALE_SHARED)
        page = f->limit > 0 ? f->limit : fmax(page, sample_least(f));
    for (int k = 0; k < f->n; k++) {
        const float *p = f->pixels + (size_t)k * m;
        facts[k].limit = page;
        for (size_t i = 0; i < m; i++)
            facts[k].clipped += isfinite(p[i]) && size_of(f, p[i]) > page;
    }
    return true;
}

const char *sample_oddity(const ImageFacts *a)
{
    if (a->infs > 0)
        return a->nans > 0 ? "! NaN" : "!";
    return a->nans > 0 ? "NaN" : a->zero ? "zero" : "";
}

void sample_words(const Figure *f, const ImageFacts *facts, Str *t)
{
    const char *v = f->is_signed ? "|v|" : "v";
    int clipped = 0, infs = 0, nans = 0, below = 0;
    for (int i = 0; i < f->n; i++) {
        clipped += facts[i].clipped;
        infs += facts[i].infs;
        nans += facts[i].nans;
        below += facts[i].below;
    }
    bool whole = sample_least(f) > 0 && facts[0].limit == sample_least(f);
    if (f->scale == SCALE_EACH)
        str_addf(t, "each: largest %s of the image, printed below it", v);
    else if (f->scale == SCALE_P99)
        str_addf(t, "p99: 99th percentile of %s, %d beyond it at full level", v,
                 clipped);
    else if (whole)
        str_add(t, "red, green and blue from none to full");
    else if (f->limit > 0 && clipped > 0)
        str_addf(t, "shared: %d beyond it at full level", clipped);
    else if (f->limit > 0)
        str_addf(t, "shared: largest %s of all", v);
    else if (f->n > 1)
        str_addf(t, "shared: largest %s of the page", v);
    else
        str_addf(t, "largest %s", v);
    if (f->rgb && below > 0)
        str_addf(t, "; %d below 0 as 0", below);
    if (infs > 0)
        str_add(t, "; ! infinite values at full level");
    if (nans > 0)
        str_add(t, "; ? not a number");
}

double sample_share(double v, double limit)
{
    if (isnan(v))
        return v;
    if (isinf(v))
        return v > 0 ? 1 : -1;
    double t = limit > 0 ? v / limit : 0;
    return t > 1 ? 1 : t < -1 ? -1 : t;
}

static double box(const float *src, int h, int w, int oh, int ow, int i, int j)
{
    int64_t y0 = (int64_t)i * h, y1 = y0 + h, x0 = (int64_t)j * w, x1 = x0 + w;
    double sum = 0;
    for (int64_t y = y0 / oh; y * oh < y1; y++) {
        int64_t top = y * oh > y0 ? y * oh : y0;
        int64_t end = (y + 1) * oh < y1 ? (y + 1) * oh : y1;
        for (int64_t x = x0 / ow; x * ow < x1; x++) {
            int64_t left = x * ow > x0 ? x * ow : x0;
            int64_t right = (x + 1) * ow < x1 ? (x + 1) * ow : x1;
            sum += (double)src[y * w + x] * (double)((end - top) * (right - left));
        }
    }
    return sum / ((double)h * w);
}

void sample_area(const float *src, int h, int w, double *dst, int oh, int ow)
{
    for (int i = 0; i < oh; i++)
        for (int j = 0; j < ow; j++)
            dst[(int64_t)i * ow + j] = box(src, h, w, oh, ow, i, j);
}
