/* axis.c -- ranges are clamped to +-8e307, so that hi - lo never overflows, and widened
 * where they are narrower than the numbers in them can resolve. */
#include "figure/axis.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define MOST       8e307
#define LEAST_SPAN 1e-305

void extent_start(Extent *e)
{
    *e = (Extent){.lo = INFINITY, .hi = -INFINITY};
}

void extent_add(Extent *e, const double *v, int64_t n, bool log)
{
    for (int64_t i = 0; v && i < n; i++) {
        if (isnan(v[i]))
            e->nans++;
        else if (isinf(v[i]))
            e->infs++;
        else if (log && v[i] <= 0)
            e->not_positive++;
        else {
            e->lo = fmin(e->lo, v[i]);
            e->hi = fmax(e->hi, v[i]);
        }
    }
}

static void widen_linear(double *lo, double *hi, double pad)
{
    double big = fmax(fabs(*lo), fabs(*hi));
    bool from_zero = *lo == 0, to_zero = *hi == 0;
    if (!(*hi - *lo > LEAST_SPAN && *hi - *lo > 1e-12 * big)) {
        double half = big > LEAST_SPAN ? big * 0.1 : big == 0 ? 1 : LEAST_SPAN;
        *lo -= half;
        *hi += half;
    } else {
        double room = (*hi - *lo) * pad;
        *lo -= from_zero ? 0 : room;
        *hi += to_zero ? 0 : room;
    }
    *lo = fmax(*lo, -MOST);
    *hi = fmin(*hi, MOST);
}

static void widen_log(double *lo, double *hi, double pad)
{
    double factor = *hi / *lo > 1 + 1e-9 ? pow(10, pad * (log10(*hi) - log10(*lo))) : 2;
    *lo = fmax(*lo / factor, LEAST_SPAN);
    *hi = fmin(fmax(*hi * factor, 4 * LEAST_SPAN), MOST);
}

Axis axis_make(const FigAxis *spec, const Extent *e, double pad)
{
    Axis a = {spec->lo, spec->hi, spec->log};
    bool fixed =
        a.lo < a.hi && isfinite(a.lo) && isfinite(a.hi) && (!a.log || a.lo > 0);
    if (fixed && fabs(a.lo) <= MOST && fabs(a.hi) <= MOST &&
        a.hi - a.lo > 1e-12 * fmax(fabs(a.lo), fabs(a.hi)))
        return a;
    a.lo = fmax(e->lo, -MOST);
    a.hi = fmin(e->hi, MOST);
    if (!(a.lo <= a.hi)) { /* nothing to show */
        a.lo = a.log ? 1 : 0;
        a.hi = a.log ? 10 : 1;
    } else if (a.log) {
        widen_log(&a.lo, &a.hi, pad);
    } else {
        widen_linear(&a.lo, &a.hi, pad);
    }
    return a;
}

double axis_share(const Axis *a, double v)
{
    if (!isfinite(v) || (a->log && v <= 0))
        return NAN;
    if (a->log)
        return (log10(v) - log10(a->lo)) / (log10(a->hi) - log10(a->lo));
    return (v / 2 - a->lo / 2) / (a->hi / 2 - a->lo / 2);
}

static void add_tick(const Axis *a, Ticks *t, double v, int digits)
{
    double at = axis_share(a, v);
    if (t->n >= MAX_TICKS || !(at >= -1e-6 && at <= 1 + 1e-6))
        return;
    t->at[t->n] = at < 0 ? 0 : at > 1 ? 1 : at;
    if (digits == 0)
        figure_number(v, t->text[t->n]);
    else if (digits < 0)
        snprintf(t->text[t->n], sizeof t->text[0], "%.*f", -digits - 1, v);
    else
        figure_digits(v, digits, t->text[t->n]);
    if (strcmp(t->text[t->n], "-0") == 0)
        strcpy(t->text[t->n], "0");
    t->n++;
}

static double nice_step(double span, int most)
{
    double raw = span / most, ten = pow(10, floor(log10(raw)));
    double m = raw / ten;
    return (m <= 1 ? 1 : m <= 2 ? 2 : m <= 5 ? 5 : 10) * ten;
}

static void linear_ticks(const Axis *a, int most, Ticks *t)
{
    double step = nice_step(a->hi - a->lo, most - 1);
    double big = fmax(fabs(a->lo), fabs(a->hi));
    int top = (int)floor(log10(big)), low = (int)floor(log10(step) + 1e-9);
    /* plain decimals for ordinary sizes: -1 - number of decimals */
    int digits = top < 6 && top > -4 ? -1 - (low < 0 ? -low : 0) : top - low + 1;
    double first = ceil(a->lo / step - 1e-9), last = floor(a->hi / step + 1e-9);
    for (int i = 0; first + i <= last && t->n < MAX_TICKS; i++) {
        double k = first + i;
        add_tick(a, t, k == 0 ? 0 : k * step, digits);
    }
}

/* 1, 2, 5 or 1, 3 within decades when there is room, else every k-th decade. */
static void log_ticks(const Axis *a, int most, Ticks *t)
{
    static const int sets[3][3] = {
        {1,  2, 5},
        {1, 3},
        {1 }
    };
    int first = (int)floor(log10(a->lo)), last = (int)ceil(log10(a->hi));
    double decades = log10(a->hi) - log10(a->lo);
    int set = decades * 3 <= most ? 0 : decades * 2 <= most + 1 ? 1 : 2, each = 1;
    while (set == 2 && decades / each > most)
        each++;
    for (int d = first; d <= last; d++) {
        int64_t whole = (int64_t)d + 480; /* so that decades stay when ranges move */
        for (int k = 0; k < 3 && sets[set][k] > 0; k++)
            if (whole % each == 0)
                add_tick(a, t, sets[set][k] * pow(10, d), 0);
    }
}

void axis_ticks(const Axis *a, int most, Ticks *t)
{
    most = most < 2 ? 2 : most > MAX_TICKS ? MAX_TICKS : most;
    t->n = 0;
    if (a->log)
        log_ticks(a, most, t);
    if (t->n >= 2)
        return;
    /* a coarse step may hit a short axis once */
    for (int more = most; t->n < 2 && more <= MAX_TICKS; more++) {
        t->n = 0;
        linear_ticks(a, more, t);
    }
}

/* --- what a plot needs --- */

static void measure(const Figure *f, Extent *x, Extent *y)
{
    bool filled = f->kind == FIG_BARS;
    extent_start(x);
    extent_start(y);
    for (int i = 0; i < f->n_series; i++) {
        const Series *s = &f->series[i];
        bool bins = f->kind == FIG_PLOT && s->mark == MARK_BINS;
        extent_add(x, s->x, bins ? s->n + 1 : s->n, f->x.log);
        extent_add(y, s->y, s->n, f->y.log);
        Extent band;
        extent_start(&band); /* missing ends of a band are no missing values */
        extent_add(&band, s->lo, s->n, f->y.log);
        extent_add(&band, s->hi, s->n, f->y.log);
        y->lo = fmin(y->lo, band.lo);
        y->hi = fmax(y->hi, band.hi);
        filled = filled || bins;
    }
    if (filled && !f->y.log) {
        y->lo = fmin(y->lo, 0);
        y->hi = fmax(y->hi, 0);
    } else if (filled && y->lo <= y->hi) {
        y->lo /= 2; /* or the smallest bar has no length */
    }
}

static bool has_bins(const Figure *f)
{
    for (int i = 0; i < f->n_series; i++)
        if (f->series[i].mark != MARK_BINS)
            return false;
    return f->n_series > 0;
}

static bool has_points(const Figure *f)
{
    for (int i = 0; i < f->n_series; i++)
        if (f->series[i].mark == MARK_POINTS)
            return true;
    return false;
}

void plot_axes(const Figure *f, Axis *x, Axis *y)
{
    Extent ex, ey;
    measure(f, &ex, &ey);
    if (x)
        *x = axis_make(&f->x, &ex, has_points(f) ? 0.04 : 0);
    *y = axis_make(&f->y, &ey, f->kind == FIG_BARS ? 0 : has_bins(f) ? 0.02 : 0.03);
}

static void add_count(Str *out, int64_t n, const char *what, const char **gap)
{
    if (n > 0) {
        str_addf(out, "%s%lld %s", *gap, (long long)n, what);
        *gap = ", ";
    }
}

/* Empty bins of a histogram with logarithmic counts are what one expects: not told. */
void plot_words(const Figure *f, Str *out)
{
    Extent x, y;
    measure(f, &x, &y);
    int64_t below = x.not_positive + (has_bins(f) ? 0 : y.not_positive);
    int64_t all = x.nans + y.nans + x.infs + y.infs + below;
    const char *gap = "";
    if (all == 0)
        return;
    str_addf(out, "%lld value%s not shown: ", (long long)all, all > 1 ? "s" : "");
    add_count(out, x.nans + y.nans, "not a number", &gap);
    add_count(out, x.infs + y.infs, "infinite", &gap);
    add_count(out, below, "not positive on a log axis", &gap);
}
