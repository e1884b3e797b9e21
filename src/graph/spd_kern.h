/* spd_kern.h -- loops of stochastic parameter decomposition. P rows, C components.
 * theta of a gate is [3H+1, C]: first-layer weights, their biases, output weights (H
 * rows each), output biases. */
#ifndef CLEAVE_GRAPH_SPD_KERN_H
#define CLEAVE_GRAPH_SPD_KERN_H
#include <stdint.h>

#include "base/kern.h"

typedef struct SpdMaskRow { /* one stretch of a row; y = a q (m - d), m = g + (1-g) r */
    int64_t n;
    const void *a, *g, *r;
    double q, d;
} SpdMaskRow;
typedef struct SpdPower { /* (leaky(z) + eps)^p, slope `high` above 1, 0 below 0 */
    double p, eps, high;
} SpdPower;
typedef struct SpdTable {
    /* n rows: z [n,C] of a [n,C]. */
    void (*gate)(int64_t n, int64_t C, int64_t H, const void *a, const void *theta,
                 void *z);
    /* da [n,C]; dtheta [3H+1,C] is written when `first`, else added to. */
    void (*gate_grad)(int64_t n, int64_t C, int64_t H, const void *a, const void *theta,
                      const void *dz, void *da, void *dtheta, int first);
    void (*mask)(SpdMaskRow m, void *y);
    void (*mask_grad)(SpdMaskRow m, const void *dy, void *da, void *dg);
    /* sums [C] += weight * power of each row; and its gradient for dS [C]. */
    void (*power)(int64_t rows, int64_t C, const void *z, SpdPower f, double weight,
                  double *sums);
    void (*power_grad)(int64_t rows, int64_t C, const void *z, SpdPower f,
                       double weight, const void *dS, void *dz);
    void (*leaky)(int64_t n, const void *z, double low, double high, void *y);
    void (*leaky_grad)(int64_t n, const void *z, const void *dy, double low,
                       double high, void *dz);
    void (*gated_grad)(int64_t n, const void *z, const void *dy, double leak, void *dz);
    /* dst [n] += src [n], and dst [n] = src [n] (doubles to reals). */
    void (*add)(int64_t n, const void *src, void *dst);
    void (*narrow)(int64_t n, const double *src, void *dst);
    /* Rows of x [B,n] that are not zero, in order, into y [cap,n]; the rest of y is
     * zero. Returns how many there are (beyond cap they are only counted). */
    int64_t (*pack)(int64_t B, int64_t n, int64_t cap, const void *x, void *y);
} SpdTable;

KERN_TABLES(SpdTable, spd_table);
#endif
