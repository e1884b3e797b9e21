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

/* How many features a class is split over: the smallest k, at most `most`, at which one
 * more raises the test F1 by less than `gain`, and which these are. */
typedef struct ProbeSplit {
    int64_t k;
    double f1, f1_one; /* with k features, with one */
    int32_t at[PROBE_MAX];
} ProbeSplit;
bool probe_split(const Tensor *x, const Tensor *labels, const Tensor *xt,
                 const Tensor *test_labels, int64_t C, int64_t most, double gain,
                 ProbeSplit out[], Err *err);

/* Logistic regression on all features, one class against the rest each, ridge times
 * half the squared weights of standardised features added to the mean loss. */
typedef struct LinearProbe {
    Tensor weight, bias, f1; /* f64 [C,F] [C] [C]: score = weight x + bias; f1 on the
                                test examples */
    double residual;         /* largest element of the gradient where it stopped */
} LinearProbe;
bool probe_linear(const Tensor *x, const Tensor *labels, const Tensor *xt,
                  const Tensor *test_labels, int64_t C, double ridge, LinearProbe *out,
                  Err *err);
void probe_linear_done(LinearProbe *p); /* zeroed is fine */
/* Of one example x [F]; above 0 the class is accepted. */
double probe_linear_score(const LinearProbe *p, int64_t c, const float *x);
/* For the files of probes: shapes, labels within 0..C-1. */
bool probe_check(const Tensor *x, const Tensor *labels, const Tensor *xt,
                 const Tensor *test_labels, int64_t C, Err *err);
#endif
