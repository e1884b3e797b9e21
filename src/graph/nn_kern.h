/* nn_kern.h -- loops over lines of n elements a stride apart, for the softmax family,
 * losses and gates. Losses come back in double. */
#ifndef CLEAVE_GRAPH_NN_KERN_H
#define CLEAVE_GRAPH_NN_KERN_H
#include <stdint.h>

#include "base/kern.h"

typedef struct NnTable {
    void (*softmax)(int64_t n, int64_t stride, const void *x, void *y);
    void (*log_softmax)(int64_t n, int64_t stride, const void *x, void *y);
    /* y = x / max(|x|, eps) */
    void (*normalize)(int64_t n, int64_t stride, const void *x, double eps, void *y);
    /* a.b / max(|a| |b|, eps) */
    double (*cosine)(int64_t n, int64_t stride, const void *a, const void *b,
                     double eps);
    /* y = 1 at the k largest |x| (ties: first), else 0; gate: x there. */
    void (*topk)(int64_t n, int64_t stride, const void *x, int64_t k, int gate,
                 void *y);
    /* rows of C logits */
    void (*xent)(int64_t rows, int64_t C, const void *x, const int32_t *label,
                 double *loss);
    void (*xent_grad)(int64_t rows, int64_t C, const void *x, const int32_t *label,
                      double factor, void *dx);
    void (*kl)(int64_t rows, int64_t C, const void *p, const void *q, double *loss);
    void (*nll)(int64_t rows, int64_t C, const void *x, const int32_t *label,
                double *loss);
    /* One block: sum of (a - b)^2. */
    double (*squared_difference)(int64_t n, const void *a, const void *b);
    /* `width` neighbouring lines a stride long to contiguous ones, and back. */
    void (*gather_tile)(int64_t n, int64_t stride, int64_t width, const void *x,
                        void *tile);
    void (*scatter_tile)(int64_t n, int64_t stride, int64_t width, const void *tile,
                         void *y);
    void (*put)(double v, void *y);
    double (*get)(const void *x);
} NnTable;

KERN_TABLES(NnTable, nn_table);
#endif
