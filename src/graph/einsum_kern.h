/* einsum_kern.h -- batches of products too small for a GEMM call each. */
#ifndef CLEAVE_GRAPH_EINSUM_KERN_H
#define CLEAVE_GRAPH_EINSUM_KERN_H
#include <stdint.h>

#include "base/kern.h"

/* C [M,N] = A B^T per item; A is [M,K] or [K,M] (a_trans), B is [N,K] or [K,N]
 * (b_trans). */
typedef struct SmallProduct {
    int64_t M, N, K;
    int a_trans, b_trans;
} SmallProduct;
typedef struct EinsumTable {
    void (*products)(int64_t count, SmallProduct p, const void *a, const void *b,
                     void *c);
} EinsumTable;

KERN_TABLES(EinsumTable, einsum_table);
#endif
