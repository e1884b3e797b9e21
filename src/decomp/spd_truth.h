/* spd_truth.h -- decompositions of networks whose mechanisms are known. The importances
 * of inputs with one feature, M [n,C], should be an identity (a component for each
 * feature) or have k columns and no more (components that all features share); and the
 * components of an encoder should be its columns. All of these must hold for a run to
 * count as recovered: a cosine alone is high on failed runs, because dead components of
 * any direction take part in its maximum. */
#ifndef CLEAVE_DECOMP_SPD_TRUTH_H
#define CLEAVE_DECOMP_SPD_TRUTH_H
#include "decomp/spd.h"

/* order[k]: the column at place k; [C]. Identity: the assignment with the largest
 * diagonal (greedy from 500 on), then the rest in order; rows beyond C have no place.
 * Dense: by falling sums. */
bool truth_identity_order(const Tensor *M, int32_t *order, Err *err);
bool truth_dense_order(const Tensor *M, int32_t *order, Err *err);
/* Entries off the diagonal above tol, plus diagonal entries below 1 - tol. */
int64_t truth_identity_error(const Tensor *M, const int32_t *order, double tol);
/* Of the first k columns those without an entry of 1 - tol, plus entries of the rest
 * above tol. */
int64_t truth_dense_error(const Tensor *M, const int32_t *order, int64_t k, double tol);

/* Best cosine between a column of W [O,I] and any component, and the length of that
 * component's column over W's, both averaged over columns; least: components whose
 * |V[:,c]|_1 |U[c,:]|_2 is not above it take no part (0: all, as published). */
typedef struct TruthMatch {
    double mmcs, ml2r;
} TruthMatch;
TruthMatch truth_match(const Tensor *V, const Tensor *U, const Tensor *W, double least);

/* What a layer should look like. */
typedef struct TruthLayer {
    const char *layer;
    int64_t identity, dense; /* features, or components; one of them is 0 */
} TruthLayer;

typedef struct SpdTruthLayer {
    int layer;
    bool identity;
    int64_t expected;
    int64_t error, error_loose;     /* tolerance 0.1 and 0.2 */
    int64_t ever, dense, normed;    /* alive: fired on the probes; density; norm */
    int64_t missing, shared, extra; /* features without a component, components of
                                     * several features, alive ones beyond expected */
} SpdTruthLayer;
typedef struct SpdTruth {
    int n_layers;
    SpdTruthLayer layer[SPD_MAX_LAYERS];
    int64_t error, error_loose; /* sums */
    TruthMatch all, filtered;   /* of the encoder; NaN without one */
    double relative;            /* |D| / |W| over layers */
    bool recovered;
    char why[480]; /* a sentence, of success too */
} SpdTruth;
/* encoder: the layer that `all` and `filtered` are about; NULL: none. Probes are single
 * features at 0.75; counts by density come from 10 batches. */
bool spd_truth(Spd *s, const TruthLayer *expect, int n, const char *encoder,
               int64_t features, SpdTruth *out, Err *err);
/* M of one layer, f32 [features, C]; up: the upper-leaky importances. */
bool spd_single(Spd *s, int layer, int64_t features, bool upper, Tensor *out, Err *err);
#endif
