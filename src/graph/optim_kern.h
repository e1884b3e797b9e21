/* optim_kern.h -- optimiser updates and the small-batch weight gradient, as kernels.
 * All of them are element-wise in the weight: an element's value depends on its own
 * inputs and a fixed order of operations, never on how the array is cut. So the fused
 * form (gradient made in registers and used at once) has the bits of the two separate
 * ops. */
#ifndef CLEAVE_GRAPH_OPTIM_KERN_H
#define CLEAVE_GRAPH_OPTIM_KERN_H
#include <stdint.h>

#include "base/kern.h"

enum { DW_MAX_BATCH = 16 };

typedef enum StepKind { STEP_SGD, STEP_MOMENTUM, STEP_ADAM, N_STEPS } StepKind;

/* Everything in double; the kernels round once to their own type. */
typedef struct StepCoef {
    double scale;        /* multiplies the gradient (clipping) */
    double l2;           /* coupled decay: gradient += l2 * w */
    double keep;         /* decoupled decay: w *= keep */
    double beta1, beta2; /* momentum is beta1 */
    double rate;         /* lr, for adam lr / (1 - beta1^t) */
    double inv_sqrt;     /* 1 / sqrt(1 - beta2^t) */
    double eps;
} StepCoef;

/* Memory of one weight; m and v may be NULL where the kind has none. */
typedef struct StepMem {
    void *w, *m, *v;
} StepMem;

typedef struct OptimTable {
    /* Elements first..first+n-1 of the arrays. */
    void (*step[N_STEPS])(const StepCoef *c, StepMem mem, const void *g, int64_t first,
                          int64_t n);
    /* Rows first..first+n-1 of dW[O,I] = dY[B,O]^T X[B,I], B <= DW_MAX_BATCH. */
    void (*dw)(int64_t B, int64_t O, int64_t I, const void *dy, const void *x, void *dw,
               int64_t first, int64_t n);
    /* The same rows, updated without storing dW. */
    void (*step_dw[N_STEPS])(const StepCoef *c, StepMem mem, int64_t B, int64_t O,
                             int64_t I, const void *dy, const void *x, int64_t first,
                             int64_t n);
    double (*sum_squares)(const void *x, int64_t n);
} OptimTable;
KERN_TABLES(OptimTable, optim_table);
#endif
