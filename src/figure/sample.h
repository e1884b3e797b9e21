/* sample.h -- the numbers under an image page: limits of the scale, what is odd about
 * an image, and the area filter that brings an image to a size. Everything is exactly
 * antisymmetric: a negated image gives negated samples and the same limits. */
#ifndef CLEAVE_FIGURE_SAMPLE_H
#define CLEAVE_FIGURE_SAMPLE_H
#include "figure/figure.h"

typedef struct ImageFacts {
    double limit; /* full colour; 0 for an image without a finite non-zero value */
    int nans, infs;
    bool zero;    /* all values are 0 */
    int clipped;  /* finite values beyond the limit (SCALE_P99) */
    int below;    /* values below 0 in an unsigned figure */
} ImageFacts;

/* facts[f->n]; the limit of SHARED and P99 is the page's. In an unsigned figure only
 * positive values count. P99 of a page that is nearly all zero falls back to the
 * largest value. */
bool sample_facts(const Figure *f, ImageFacts *facts, Err *err);
/* What a shared limit is at least: 1 for colours, which have a natural range. */
double sample_least(const Figure *f);
/* What the eye cannot tell from the picture: "zero", "NaN", "!" (infinite), "! NaN" or
 * "". */
const char *sample_oddity(const ImageFacts *a);
/* Appends what the limit of the scale is, and what the oddities of the page mean. */
void sample_words(const Figure *f, const ImageFacts *facts, Str *t);
/* Value as share of the limit; infinities become -1 and 1, NaN stays. */
double sample_share(double v, double limit);
/* Averages src [h, w] over the boxes of an oh x ow raster into dst. A box that holds a
 * NaN is NaN; an infinity wins. Enlarging by an integer repeats values exactly. */
void sample_area(const float *src, int h, int w, double *dst, int oh, int ow);
#endif
