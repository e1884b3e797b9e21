/* match.h -- which component of one dictionary is which of another: scores between
 * them, one-to-one matchings, and groups that recur over many dictionaries. */
#ifndef CLEAVE_DECOMP_MATCH_H
#define CLEAVE_DECOMP_MATCH_H
#include "decomp/dictionary.h"

/* One-to-one matchings of score f64 [n,m]: column[i] gets i's partner or -1. Entries
 * that are not finite may not be matched. Greedy: the largest score left, again and
 * again. Hungarian: min(n,m) pairs of the largest sum (Kuhn 1955; the shortest
 * augmenting paths of Jonker & Volgenant 1987). */
bool match_greedy(const Tensor *score, int32_t *column, Err *err);
bool match_hungarian(const Tensor *score, int32_t *column, Err *err);
/* Mean of the matched scores; NaN when there are none. */
double match_mean(const Tensor *score, const int32_t *column);

/* |cosine| of displayed patterns (S as in dict_patterns), f64 [2 Rx, 2 Ry]: rows 2r and
 * 2r+1 are component r's. */
bool score_patterns_of(const Dictionary *x, const Dictionary *y, const Tensor *S,
                       Tensor *score, Err *err);
/* Correlation over images f32 [N,I] of activation times head entry of the owner, f64
 * [Rx, Ry]; 0 for a component that does not vary. */
bool score_activations(const Dictionary *x, const Dictionary *y, const Tensor *images,
                       Tensor *score, Err *err);
/* How well rows f32 [n,I] (parts that are known) are among the displayed patterns: mean
 * |cosine| of the best one-to-one matching, a row without a partner counts 0. */
bool match_recovery(const Dictionary *d, const Tensor *rows, double *out, Err *err);
/* Leaves only pairs whose classes are `shift` apart modulo C (0: the same class), the
 * rest becomes NaN; per is rows a component (2 for patterns). */
void score_restrict(Tensor *score, const Dictionary *x, const Dictionary *y,
                    int64_t shift, int64_t per);

/* Consensus: rows f32 [n,D] of unit norm (or zero) with their class and the dictionary
 * they come from, in order. A row joins the group of its class whose centroid (of rows
 * turned to agree in sign) it has the largest |cosine| with, if that reaches
 * `threshold`, else begins a group; a dictionary has one row a group. */
typedef struct Consensus {
    int64_t n_groups;
    int32_t *group;   /* [n] of every row; groups by falling support, then likeness */
    int64_t *support; /* [n_groups] dictionaries in it */
    double *likeness; /* [n_groups] mean |cosine| of its pairs, NaN: one row */
    int32_t *owner;   /* [n_groups] */
} Consensus;
bool consensus_new(const Tensor *rows, const int32_t *owner, const int32_t *from,
                   double threshold, Consensus *out, Err *err);
void consensus_done(Consensus *c);
#endif
