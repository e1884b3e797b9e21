/* probe.h -- how much of a label a few features carry (sparse probing, as in SAEBench):
 * for each class against the rest, the k features whose means differ most between the
 * two, and a logistic regression on them. Works on any features: codes, neurons,
 * principal directions. */
#ifndef CLEAVE_DECOMP_PROBE_H
#define CLEAVE_DECOMP_PROBE_H
#include "tensor/tensor.h"

enum { PROBE_MAX = 16 };
typedef struct Probe {
    double acc, f1; /* means over the classes, on the test examples */
    double base;    /* mean over the classes of what always answering "rest" gets */
} Probe;
/* x f32 [N,F], xt f32 [T,F], labels i32 in 0..C-1. chosen: NULL, or i32 [C,k] is put
 * there, the most different first. Errors: shapes, k outside 1..PROBE_MAX or above F,
 * a class without examples. Interruptible. */
bool probe_sparse(const Tensor *x, const Tensor *labels, const Tensor *xt,
                  const Tensor *test_labels, int64_t C, int64_t k, Probe *out,
                  Tensor *chosen, Err *err);
#endif
