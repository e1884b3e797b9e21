/* index_kern.h -- gather and scatter loops; indices are valid when they get here. */
#ifndef CLEAVE_GRAPH_INDEX_KERN_H
#define CLEAVE_GRAPH_INDEX_KERN_H
#include <stdint.h>

#include "base/kern.h"

typedef struct IndexTable {
    /* y[idx[i]*stride + c] += x[i*stride + c], c < width */
    void (*scatter)(int64_t m, int64_t width, int64_t stride, const int32_t *idx,
                    const void *x, void *y);
    /* y[i*stride] = x[idx[i*stride]*stride], and its reverse, adding */
    void (*take)(int64_t m, int64_t stride, const int32_t *idx, const void *x, void *y);
    void (*put)(int64_t m, int64_t stride, const int32_t *idx, const void *x, void *y);
    void (*scale_u8)(int64_t n, const uint8_t *x, double scale, float *y);
} IndexTable;

KERN_TABLES(IndexTable, index_table);
#endif
