/* reduce_kern.h -- the table of reduction loops. A reduction sees [outer, n, inner].
 * Row functions (inner == 1) reduce n contiguous elements to a double; column functions
 * reduce n rows of `width` elements, `stride` apart, to one double per column. Blocks
 * are fixed, so the result depends on n alone. */
#ifndef CLEAVE_GRAPH_REDUCE_KERN_H
#define CLEAVE_GRAPH_REDUCE_KERN_H
#include <stdint.h>

#include "base/kern.h"

enum { SUM_BLOCK = 4096, COL_BLOCK = 64, COL_TILE = 256 };
enum { RED_SUM, RED_SQUARES, RED_N_SUMS };

typedef struct ReduceTable {
    /* One block, n <= SUM_BLOCK: sum of x, of (x - mean)^2. */
    double (*block[RED_N_SUMS])(int64_t n, const void *x, double mean);
    /* width <= COL_TILE columns; mean has one value a column (RED_SQUARES) or is NULL.
     */
    void (*columns[RED_N_SUMS])(int64_t n, int64_t width, int64_t stride, const void *x,
                                const double *mean, double *sum);
    /* Largest (sign 1) or smallest (sign -1) of n >= 1 elements a stride apart: stored
     * in *value, or (value NULL) its position returned. NaN wins over everything. */
    int64_t (*extreme)(int64_t n, int64_t stride, const void *x, int sign, void *value);
    void (*logsumexp)(int64_t n, int64_t stride, const void *x, void *y);
    void (*cumsum)(int64_t n, int64_t stride, const void *x, void *y);
    void (*prod)(int64_t n, int64_t stride, const void *x, void *y);
    void (*prod_grad)(int64_t n, int64_t stride, const void *x, const void *dy,
                      void *dx);
    /* y[i] = (real)(factor * sum[i]) */
    void (*store)(int64_t n, const double *sum, double factor, void *y);
} ReduceTable;

KERN_TABLES(ReduceTable, reduce_table);
#endif
