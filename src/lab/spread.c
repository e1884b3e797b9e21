/* spread.c -- for whole degrees of freedom the integral of Student's density is a
 * finite sum (Abramowitz and Stegun 1964, 26.7.3 and 26.7.4), so the quantile is
 * found by bisection on an exact function; from 200 on the expansion about the
 * normal quantile (26.7.5) is right to twelve digits. */
#include "lab/spread.h"

#include <math.h>

enum { SERIES_FROM = 200 };
static const double z95 = 1.959963984540054; /* the normal's 97.5 % point */

/* P(|T| < t) */
static double within(double t, size_t df)
{
    double theta = atan(t / sqrt((double)df)), c = cos(theta), s = sin(theta);
    double sum = 0, term = df % 2 ? c : 1;
    for (size_t k = df % 2; k + 2 <= df; k += 2) {
        sum += term;
        term *= c * c * (double)(k + 1) / (double)(k + 2);
    }
    return df % 2 ? 2 / M_PI * (theta + s * sum) : s * sum;
}

double student_t95(size_t df)
{
    double z = z95, n = (double)df, lo = 0, hi = 13;
    if (df < 1)
        return NAN;
    if (df >= SERIES_FROM)
        return z + (pow(z, 3) + z) / (4 * n) +
               (5 * pow(z, 5) + 16 * pow(z, 3) + 3 * z) / (96 * n * n) +
               (3 * pow(z, 7) + 19 * pow(z, 5) + 17 * pow(z, 3) - 15 * z) /
                   (384 * n * n * n);
    for (int i = 0; i < 60; i++) {
        double mid = (lo + hi) / 2;
        *(within(mid, df) < 0.95 ? &lo : &hi) = mid;
    }
    return (lo + hi) / 2;
}

Spread spread_of(const double *v, size_t n)
{
    Spread out = {0, NAN, NAN};
    double sum = 0, squares = 0;
    for (size_t i = 0; i < n; i++) {
        if (isfinite(v[i])) {
            sum += v[i];
            out.n++;
        }
    }
    if (out.n == 0)
        return out;
    out.mean = sum / (double)out.n;
    for (size_t i = 0; i < n; i++) {
        if (isfinite(v[i]))
            squares += (v[i] - out.mean) * (v[i] - out.mean);
    }
    if (out.n > 1)
        out.half = student_t95(out.n - 1) *
                   sqrt(squares / (double)(out.n - 1) / (double)out.n);
    return out;
}
