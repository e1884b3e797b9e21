/* gauge_dial.h -- the gauge of one class under a hand: a fitted dictionary, one digit,
 * and directions along O(n,n) to turn it in while pictures, causal scores and
 * cancellation follow. Everything that is slow is projected on the class's 2n rows once;
 * a step then works on 2n x 2n matrices (f64) and costs milliseconds. The tensor, so
 * every similarity, stays: `drift` says how exactly. A dial owns all it needs.
 * Directions: criterion flows ("sparsity" "locality" "smoothness" "varimax", amount > 0
 * betters the criterion and stops at its optimum), a fixed "random" one, and the
 * generators "plus i j", "minus i j" (rotations) and "boost i j" of the class's i-th and
 * j-th component, counted from 1; a step by -amount takes one by amount back, except in
 * flows. */
#ifndef CLEAVE_DECOMP_GAUGE_DIAL_H
#define CLEAVE_DECOMP_GAUGE_DIAL_H
#include "decomp/gauge.h"
#include "decomp/metrics.h"

typedef struct GaugeDial GaugeDial;
/* e: the dictionary (one-class heads in this class), its interaction, and as far as
 * there are S, images with labels, unlit pixels; height and width. Scores that need what
 * is missing are NaN. Borrows nothing afterwards. ERR_OPTION for a class without
 * components. */
GaugeDial *dial_new(const DictEval *e, int64_t digit, Err *err);
void dial_free(GaugeDial *d);                /* NULL is fine */
int64_t dial_components(const GaugeDial *d); /* n */

typedef struct DialDirection {
    char name[64];
    const char *doc;
} DialDirection;
/* Flows first, then random, then generators of the first components before others. */
int64_t dial_n_directions(const GaugeDial *d);
bool dial_direction(const GaugeDial *d, int64_t k, DialDirection *out); /* false: no */
int64_t dial_find(const GaugeDial *d, const char *name);                /* -1: none */

/* Moves by an angle or rapidity in radians, |amount| <= DIAL_MOST; in a flow amount is
 * the length of the path. moved (may be NULL): how far it went, less than asked at the
 * optimum of a flow. A boost so long that f32 factors could not hold the tensor is not taken:
 * ERR_NUMERIC. */
#define DIAL_MOST 3.2
bool dial_step(GaugeDial *d, int64_t direction, double amount, double *moved, Err *err);
void dial_reset(GaugeDial *d);

/* Scores of the class as it stands; `part` ones for every component. Those of the whole
 * dictionary say so. Same definitions as metric_rows of the same name. */
typedef struct DialState {
    double similarity_data, similarity, drift, keep16_agreement;
    double cancellation_data, cancellation, erase_corr, ablation_rank_corr,
        other_digit_share;
    double pattern_gini, locality_7x7, display_tv, background_energy;
} DialState;
typedef struct DialPart {
    double effect;         /* std of the activation over the images */
    double gini, locality; /* mean of its patterns */
    double erase_corr;     /* of this component alone */
    double flips;          /* share of answers its mean-ablation changes */
} DialPart;
typedef struct DialRow {
    const char *name, *doc;
    size_t offset; /* of a double in DialState, DialPart */
} DialRow;
extern const DialRow dial_state_rows[], dial_part_rows[];
extern const size_t dial_n_state_rows, dial_n_part_rows;
/* part [n] may be NULL. */
bool dial_state(GaugeDial *d, DialState *out, DialPart *part, Err *err);
/* As dict_patterns() of the class's components: f32 [2n,I]. responses: what the filters
 * respond to; needs S. */
bool dial_patterns(const GaugeDial *d, bool responses, Tensor *out, Err *err);
/* The whole dictionary with the class as it stands: new memory. */
bool dial_dictionary(const GaugeDial *d, Dictionary *out, Err *err);
#endif
