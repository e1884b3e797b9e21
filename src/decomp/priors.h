/* priors.h -- what makes a pattern readable, as rows of one table: each adds a weighted
 * scalar to the loss of a fit. Priors see the balanced, normalised patterns only, so
 * none changes under a -> s a, b -> b/s. Patterns weigh as their component's share of
 * the norm to the power `emphasis` (without gradient), so that strong components are
 * cleaned first. */
#ifndef CLEAVE_DECOMP_PRIORS_H
#define CLEAVE_DECOMP_PRIORS_H
#include "graph/build.h"

typedef struct PriorCtx {
    Graph *g;
    int64_t R, I, height, width;
    Val q;      /* [2R,I] patterns, unit norm: R plus patterns, then R minus patterns */
    Val energy; /* q*q */
    Val weight; /* [2R], mean 1, no gradient */
    Val nrm;    /* [R] |T_r|^2 in the fit's metric */
    Val TT;     /* |T|^2 */
    Val gram;   /* [R,R] <T_r,T_s> of components of one class */
    Val unlit; /* [I] 1 where hardly any image is lit; VAL_NONE: unknown */
} PriorCtx;

/* Default weight and documentation of a prior are its row in dict_options (same name).
 */
typedef struct PriorRow {
    const char *name;
    Val (*build)(const PriorCtx *p);
} PriorRow;
extern const PriorRow prior_rows[];
extern const size_t prior_n_rows;

/* Balanced patterns of a [R,I] and b [R,I] as graph values: q [2R,I]. */
Val prior_patterns(Graph *g, Val a, Val b);
/* Sum over the rows of x [n,I] weighted by w [n], divided by n. */
Val prior_weighted_mean(const PriorCtx *p, Val row_values);
#endif
