/* features.h -- what can be said of any set of features from their activations on
 * labelled examples alone: how often they act, for which class, and which examples drive
 * them most. Dictionaries, autoencoders and parameter decompositions share it. Sums are
 * in double over all examples, so nothing depends on how they are cut. */
#ifndef CLEAVE_DECOMP_FEATURES_H
#define CLEAVE_DECOMP_FEATURES_H
#include "tensor/tensor.h"

typedef struct FeatureStats {
    Tensor density; /* f64 [M]: share of examples on which it is not 0 */
    Tensor spread;  /* f64 [M]: (sum |a|)^2 / (N sum a^2), the share of examples that
                           would carry the same activation evenly; 0 for a dead one */
    Tensor energy;  /* f64 [M]: mean a^2 */
    Tensor
        class_mean; /* f64 [M,C]: mean a over the examples of a class; 0 where a class
                           has none */
    Tensor selectivity; /* f64 [M]: share of the energy that the strongest class has */
    Tensor best;        /* i32 [M]: that class; 0 for a dead feature */
    Tensor share;       /* f64 [C]: share of the examples; what selectivity is by chance
                           for a feature that does not look at the class */
    Tensor order;       /* i32 [M]: by falling energy, ties as they are */
} FeatureStats;

/* act f32 [N,M]; labels i32 [N] in 0..C-1. ERR_SHAPE otherwise; NaN is an error. */
bool features_measure(const Tensor *act, const Tensor *labels, int64_t C,
                      FeatureStats *out, Err *err);
void features_done(FeatureStats *s); /* zeroed is fine */
/* i32 [n,k]: for each feature of pick[0..n-1] (NULL: 0..n-1) the k examples with the
 * largest activation times `sign` (1 or -1), the first of equal ones first; -1 where
 * fewer are above 0. */
bool features_top(const Tensor *act, const int32_t *pick, int64_t n, int64_t k,
                  int sign, Tensor *out, Err *err);
#endif
