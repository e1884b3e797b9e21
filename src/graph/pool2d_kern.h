/* pool2d_kern.h -- loops of pooling and of patches, over one image plane or one image.
 * Windows that hang over the edge see only the pixels inside; an average counts the
 * padding as zeros. Of pixels that are equally large the first of a window wins. */
#ifndef CLEAVE_GRAPH_POOL2D_KERN_H
#define CLEAVE_GRAPH_POOL2D_KERN_H
#include <stdint.h>

#include "base/kern.h"

/* Index 0 is down, 1 across: sides of image, window and result. */
typedef struct Windows {
    int64_t x[2], k[2], y[2], stride[2], pad[2], dilation[2];
} Windows;

typedef struct Pool2dTable {
    void (*max)(const Windows *w, const void *x, void *y);
    void (*max_grad)(const Windows *w, const void *x, const void *dy, void *dx);
    void (*mean)(const Windows *w, const void *x, void *y);
    void (*mean_back)(const Windows *w, const void *dy, void *dx);
    /* y [y0 y1, channels k0 k1]; back adds into dx. x is [channels, x0, x1]. */
    void (*unfold)(const Windows *w, int64_t channels, const void *x, void *y);
    void (*fold)(const Windows *w, int64_t channels, const void *y, void *x);
} Pool2dTable;

KERN_TABLES(Pool2dTable, pool2d_table);
#endif
