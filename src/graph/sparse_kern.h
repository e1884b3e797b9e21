/* sparse_kern.h -- loops over matrices [rows, M] of which few elements are not 0: rows
 * are scanned, what is found selects rows of a dense factor. Every result is computed
 * by one call whatever the cut, so cuts do not matter to bits. */
#ifndef CLEAVE_GRAPH_SPARSE_KERN_H
#define CLEAVE_GRAPH_SPARSE_KERN_H
#include <stdint.h>

#include "base/kern.h"

enum { SPARSE_BINS = 4096, SPARSE_STRIP = 128 };

typedef struct SparseTable {
    /* Adds every `every`th run of 16 of the n elements to a histogram of the leading
     * bits of their size; those that are not above 0 count as 0 unless `sign`. */
    void (*bins)(int64_t n, const void *x, int sign, int64_t every, int32_t *bin);
    /* Of elements first .. first+n-1 the places of those in the bin or above; y = 0
     * for all. Returns how many. */
    int64_t (*candidates)(int64_t first, int64_t n, const void *x, int sign, int bin,
                          void *y, int32_t *place);
    /* Of n candidates the k largest that are not 0 go to y, the first of equal ones.
     * key: room for n elements. */
    void (*pick)(int64_t n, const int32_t *place, const void *x, int sign, int64_t k,
                 void *key, void *y);
    /* Rows on their own: the k largest of each, or round(limit[r]) if that is less. */
    void (*topk)(int64_t rows, int64_t M, const void *x, int sign, int64_t k,
                 const void *limit, void *y);
    /* y [rows,O] = f w + b; b NULL: 0. */
    void (*decode)(int64_t rows, int64_t M, int64_t O, const void *f, const void *w,
                   const void *b, void *y);
    /* df = dy w^T where f is not 0, else 0. */
    void (*df)(int64_t rows, int64_t M, int64_t O, const void *f, const void *w,
               const void *dy, void *df);
    /* Rows first .. first+n-1 (n at most SPARSE_STRIP) of y [M,O] = f^T (x - c);
     * c NULL: 0. */
    void (*dw)(int64_t rows, int64_t M, int64_t O, const void *f, const void *x,
               const void *c, int64_t first, int64_t n, void *y);
    int64_t (*count)(int64_t n, const void *x); /* elements that are not 0 */
    void (*pass)(int64_t n, const void *dy, const void *f, void *y); /* dy where f */
    /* y [n]: 1 for the columns first .. first+n-1 of f [rows,M] with an element that is
     * not 0, else 0. */
    void (*marks)(int64_t rows, int64_t M, const void *f, int64_t first, int64_t n,
                  void *y);
    void (*minus)(int64_t rows, int64_t O, const void *x, const void *c, void *y);
    /* y = g - (g.w / w.w) w for each row. */
    void (*tangent)(int64_t rows, int64_t O, const void *g, const void *w, void *y);
    void (*unit)(int64_t rows, int64_t O, void *w); /* rows to length 1, in place */
} SparseTable;

KERN_TABLES(SparseTable, sparse_table);
#endif
