/* thin_kern.h -- the product of a thin batch with a weight, y = x w^T + b, for at most
 * 16 rows of x. A library product spends most of its time rearranging w there; this one
 * reads w once. An output's bits depend on its own row and column only, not on how the
 * rows of w are cut. */
#ifndef CLEAVE_GRAPH_THIN_KERN_H
#define CLEAVE_GRAPH_THIN_KERN_H
#include <stdint.h>

#include "base/kern.h"

enum { THIN_MAX_BATCH = 16 };

typedef struct ThinTable {
    /* Columns first..first+n-1 of y[B,O] = x[B,I] w[O,I]^T + b[O]; b may be NULL. */
    void (*linear)(int64_t B, int64_t O, int64_t I, const void *x, const void *w,
                   const void *b, void *y, int64_t first, int64_t n);
} ThinTable;
KERN_TABLES(ThinTable, thin_table);
#endif
