/* rank.h -- orders of components, and dictionaries of some of them. Scores are f64 [R],
 * larger is better; only displayed components are reordered or dropped. */
#ifndef CLEAVE_DECOMP_RANK_H
#define CLEAVE_DECOMP_RANK_H
#include "decomp/dictionary.h"

/* The rows: effect (std of activation times head norm), sigma (|a||b||head|), locality
 * (best 7x7 window, mean of both patterns), gini (of |pixel|), selectivity (share of
 * the mean squared activation that comes from the head's own digit). */
extern const char *const rank_names; /* "effect sigma ..." */
/* x f32 [N,I] for effect and selectivity, labels i32 [N] for selectivity; ERR_OPTION
 * without them. */
bool dict_scores(const Dictionary *d, const char *by, const Tensor *x,
                 const Tensor *labels, int64_t height, int64_t width, double *score,
                 Err *err);
/* Displayed components by falling score; ties keep their order. */
bool dict_sort(Dictionary *d, const double *score, Err *err);
/* The components with keep[r] != 0, in order; a residual stays. New memory. */
bool dict_take(const Dictionary *d, const bool *keep, Dictionary *out, Err *err);
/* The first k displayed components of every class. */
bool dict_top(const Dictionary *d, int64_t k, Dictionary *out, Err *err);
#endif
