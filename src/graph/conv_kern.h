/* conv_kern.h -- the loops of 2-D convolution over flat planes. An image that was
 * padded and split by the phases of the stride is a set of planes in which every tap
 * of the kernel is one fixed distance, so that all of conv2d, its transpose and its
 * kernel gradient are shifted multiply-adds over contiguous memory. CONV_STRIP is
 * the number of elements that a kernel may read and write beyond the end of a plane. */
#ifndef CLEAVE_GRAPH_CONV_KERN_H
#define CLEAVE_GRAPH_CONV_KERN_H
#include <stdint.h>

#include "base/kern.h"

enum { CONV_STRIP = 32, CONV_TILE = 4 };

typedef struct ConvFlat {
    int64_t n_in, n_out, taps, length; /* planes, planes, taps, elements of a result */
    int64_t in_stride, out_stride;     /* elements from plane to plane */
    const int64_t *at;                 /* distance of each tap */
} ConvFlat;

typedef struct ConvTable {
    /* y[j][q] = bias[j] + sum_i sum_t w[(i taps + t) J + j] x[i][q + at[t]] for q <
     * length rounded up to CONV_STRIP; J is n_out rounded up to CONV_TILE; bias may
     * be NULL. */
    void (*flat)(const ConvFlat *c, const void *x, const void *w, const void *bias,
                 void *y);
    /* dw[j][i taps + t] += sum_q dy[j][q] x[i][q + at[t]], q as above; dy must be 0
     * where there is no result. dy's planes are out_stride apart. */
    void (*weigh)(const ConvFlat *c, const void *x, const void *dy, void *dw);
    /* dst[(i taps + t) J + j] = w[j][i][tap[t]]; swap: w[i][j][tap[t]]. w has all_taps
     * taps, and as many planes as said on its two first axes. */
    void (*pack)(const ConvFlat *c, const int64_t *tap, int64_t all_taps, int swap,
                 const void *w, void *dst);
    /* One line: dst[k] = src[k * from_step], k < n; dst_step likewise. */
    void (*move)(int64_t n, const void *src, int64_t from_step, void *dst,
                 int64_t to_step);
    /* y += x */
    void (*add)(int64_t n, const void *x, void *y);
} ConvTable;

KERN_TABLES(ConvTable, conv_table);
#endif
