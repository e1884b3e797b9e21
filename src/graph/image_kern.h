/* image_kern.h -- loops over one image of h rows and w columns. Reflection leaves the
 * edge pixel itself out: position -1 is position 1. A side of one pixel reflects onto
 * itself. */
#ifndef CLEAVE_GRAPH_IMAGE_KERN_H
#define CLEAVE_GRAPH_IMAGE_KERN_H
#include <stdint.h>

#include "base/kern.h"

typedef struct ImageTable {
    /* Mean |vertical| plus mean |horizontal| difference. */
    double (*tv)(int64_t h, int64_t w, const void *x);
    void (*tv_grad)(int64_t h, int64_t w, const void *x, double dy, void *dx);
    /* adjoint: the transposed map. */
    void (*laplacian)(int64_t h, int64_t w, const void *x, int adjoint, void *y);
    void (*smooth3)(int64_t h, int64_t w, const void *x, int adjoint, void *y);
    /* Sums of every s by s window, [h-s+1, w-s+1]; spread is the transposed map. */
    void (*box)(int64_t h, int64_t w, int64_t s, const void *x, void *y);
    void (*spread)(int64_t h, int64_t w, int64_t s, const void *x, void *y);
    void (*put)(double v, void *y);
    double (*get)(const void *x);
} ImageTable;

KERN_TABLES(ImageTable, image_table);
#endif
