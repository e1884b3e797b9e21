/* ew_kern.h -- the table of elementwise loops. Every entry runs over n contiguous
 * elements; y may be the same memory as an input. Binary loops come in three forms:
 * both vectors, b one value, a one value. Element types: real, except cmp_i32 (i32 in,
 * f32 out). */
#ifndef CLEAVE_GRAPH_EW_KERN_H
#define CLEAVE_GRAPH_EW_KERN_H
#include <stdint.h>

#include "base/kern.h"

/* name, value of one element from x and the attributes k, k2 */
#define EW_UNARY_LIST(X)                                                               \
    X(neg)                                                                             \
    X(abs) X(square) X(sqrt) X(rsqrt) X(exp) X(log) X(log1p) X(expm1) X(sin) X(cos)    \
        X(tanh) X(sigmoid) X(softplus) X(relu) X(gelu) X(erf) X(sign) X(floor)         \
            X(round) X(scale) X(shift) X(clamp)
#define EW_BINARY_LIST(X)                                                              \
    X(add)                                                                             \
    X(sub) X(mul) X(div) X(pow) X(maximum) X(minimum) X(lt) X(le) X(gt) X(ge) X(eq)    \
        X(ne) X(relu_grad) X(gelu_grad) X(sigmoid_grad) X(tanh_grad)
#define EW_COMPARE_LIST(X) X(lt) X(le) X(gt) X(ge) X(eq) X(ne)

#define EW_ENUM(name) EW_##name,
enum { EW_UNARY_LIST(EW_ENUM) EW_N_UNARY };
#undef EW_ENUM
#define EW_ENUM(name) EB_##name,
enum { EW_BINARY_LIST(EW_ENUM) EW_N_BINARY };
#undef EW_ENUM
#define EW_ENUM(name) EC_##name,
enum { EW_COMPARE_LIST(EW_ENUM) EW_N_COMPARE };
#undef EW_ENUM
enum { EW_VV, EW_VS, EW_SV, EW_N_FORMS };

typedef void EwUnary(int64_t n, const void *x, void *y, double k, double k2);
typedef void EwBinary(int64_t n, const void *a, const void *b, void *y);
/* Strides are 0 or 1. */
typedef void EwWhere(int64_t n, const void *c, int sc, const void *a, int sa,
                     const void *b, int sb, void *y);
typedef struct EwTable {
    EwUnary *unary[EW_N_UNARY];
    EwBinary *binary[EW_N_BINARY][EW_N_FORMS];
    EwBinary *cmp_i32[EW_N_COMPARE][EW_N_FORMS];
    EwWhere *where;
} EwTable;

KERN_TABLES(EwTable, ew_table);
#endif
