/* spread.h -- mean and 95 % interval of few numbers, as runs over seeds give them. The
 * interval is Student's: mean +- t(0.975, n - 1) * s / sqrt(n), with the sample's
 * standard deviation s. It says where the mean lies, not where the next run will. */
#ifndef CLEAVE_LAB_SPREAD_H
#define CLEAVE_LAB_SPREAD_H
#include <stddef.h>

typedef struct Spread {
    size_t n;    /* finite values */
    double mean; /* NaN when n is 0 */
    double half; /* half the width of the interval; NaN when n < 2 */
} Spread;

/* The 97.5 % point of Student's t with `df` degrees of freedom; NaN below 1. */
double student_t95(size_t df);
/* Values that are not finite are left out. */
Spread spread_of(const double *v, size_t n);
#endif
