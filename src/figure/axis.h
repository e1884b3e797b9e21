/* axis.h -- from values to a share of an axis, and where its ticks stand. Linear ticks
 * are multiples of 1, 2 or 5 times a power of ten; logarithmic ones whole decades, or
 * 1, 2, 5 within them. Any finite range works: constant values, 1e-300, 1e308. */
#ifndef CLEAVE_FIGURE_AXIS_H
#define CLEAVE_FIGURE_AXIS_H
#include "figure/figure.h"

enum { MAX_TICKS = 16 };

typedef struct Axis {
    double lo, hi; /* lo < hi, finite; positive on a log axis */
    bool log;
} Axis;
typedef struct Ticks {
    int n;
    double at[MAX_TICKS]; /* 0..1 */
    char text[MAX_TICKS][32];
} Ticks;

/* What the values of a figure need, and what of them cannot be shown. */
typedef struct Extent {
    double lo, hi; /* of what can be shown; lo > hi: nothing */
    int64_t nans, infs, not_positive;
} Extent;

void extent_start(Extent *e);
void extent_add(Extent *e, const double *v, int64_t n, bool log);
/* The axis: fixed limits where the figure has them, else the extent with a share `pad`
 * of room at both ends (an extent that starts at 0 keeps its 0). */
Axis axis_make(const FigAxis *spec, const Extent *e, double pad);
/* Where v stands: 0 at lo, 1 at hi, beyond them outside; NaN for what cannot be shown
 * (NaN, infinite, not positive on a log axis). */
double axis_share(const Axis *a, double v);
/* At most `most` ticks (2..MAX_TICKS). */
void axis_ticks(const Axis *a, int most, Ticks *t);

/* Both axes of a plot, or the one of values of a bar chart (x may be NULL). Histograms
 * and bars start at 0; on a log axis below the smallest value. */
void plot_axes(const Figure *f, Axis *x, Axis *y);
/* Both limits of both axes are given: a plane, drawn with equal units in tiles. */
static inline bool plot_is_plane(const Figure *f)
{
    return f->x.lo < f->x.hi && f->y.lo < f->y.hi && !f->x.log && !f->y.log;
}
/* Appends what of the values is not shown: "3 values not shown: ..." or nothing. */
void plot_words(const Figure *f, Str *out);
#endif
