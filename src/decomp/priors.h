/* priors.h -- what makes a pattern readable, as rows of one table: each adds a weighted
 * scalar to the loss of a fit. Priors see the balanced, normalised patterns only, so
 * none changes under a -> s a, b -> b/s. Patterns weigh as their component's share of
 * the norm to the power `emphasis` (without gradient), so that strong components are
 * cleaned first. */
#ifndef CLEAVE_DECOMP_PRIORS_H
#define CLEAVE_DECOMP_PRIORS_H
#include <stddef.h>

#include "base/option.h"
#include "graph/build.h"

typedef struct PriorCtx {
    Graph *g;
    int64_t R, I, height, width;
    /* [2R,I] patterns of unit norm: R plus, then R minus ones; or [R,I] when a = b */
    Val q;
    Val energy; /* q*q */
    Val weight; /* one a pattern, mean 1, no gradient */
    Val nrm;    /* [R] |T_r|^2 in the fit's metric */
    Val TT;     /* |T|^2 */
    Val gram;   /* [R,R] <T_r,T_s> of components of one class */
    Val unlit; /* [I] 1 where hardly any image is lit; VAL_NONE: unknown */
    Val a, b;  /* [R,I] factors */
    Val head;  /* [R,C] */
} PriorCtx;

/* Default weight and documentation of a prior are its row in dict_options (same name).
 */
typedef struct PriorRow {
    const char *name;
    Val (*build)(const PriorCtx *p);
} PriorRow;
/* Their options in a config struct with a member prior[PRIOR_CAP], in the order of
 * prior_rows; four of them have defaults of their own. */
#define PRIOR_OPT(cfg, k, name, dflt, doc)                                             \
    {                                                                                  \
        name, OPT_NUM, offsetof(cfg, prior) + (k) * sizeof(double), dflt, 0, 1e6,      \
            NULL, doc                                                                  \
    }
#define PRIOR_OPTIONS(cfg, sparsity, locality, roughness, cancellation)                \
    PRIOR_OPT(cfg, 0, "sparsity", sparsity,                                            \
              "Weight of the sum of |pixel| of a pattern."),                           \
        PRIOR_OPT(cfg, 1, "locality", locality,                                        \
                  "Weight of the spatial variance of a pattern's energy."),            \
        PRIOR_OPT(cfg, 2, "roughness", roughness,                                      \
                  "Weight of squared differences of neighbours."),                     \
        PRIOR_OPT(cfg, 3, "variation", "0", "Weight of the total variation."),         \
        PRIOR_OPT(cfg, 4, "background", "0",                                           \
                  "Weight of the energy on pixels that are hardly ever lit."),         \
        PRIOR_OPT(cfg, 5, "cancellation", cancellation,                                \
                  "Weight of the group lasso over components."),                       \
        PRIOR_OPT(cfg, 6, "duplicates", "0",                                           \
                  "Weight of squared cosines between components of a class."),         \
        PRIOR_OPT(cfg, 7, "laplacian", "0",                                            \
                  "Weight of the squared 5-point Laplacian of a pattern."),            \
        PRIOR_OPT(cfg, 8, "border", "0",                                               \
                  "Weight of a pattern's energy times its squared distance from the "  \
                  "middle."),                                                          \
        PRIOR_OPT(cfg, 9, "symmetry", "0",                                             \
                  "Weight of the squared distance of the two normalised factors."),    \
        PRIOR_OPT(cfg, 10, "head_l1", "0",                                             \
                  "Weight of the sum of |entry| of a head of unit norm; nothing to "   \
                  "one-class heads."),                                                 \
        PRIOR_OPT(cfg, 11, "head_entropy", "0",                                        \
                  "Weight of the normalised entropy of a head; nothing to one-class "  \
                  "heads."),                                                           \
        PRIOR_OPT(cfg, 12, "varimax", "0",                                             \
                  "Weight of 1 minus the sum of fourth powers of a pattern's pixels.")
extern const PriorRow prior_rows[];
extern const size_t prior_n_rows;

enum { PRIOR_CAP = 16 };
int prior_index(const char *name); /* -1: none */

/* Balanced patterns of a [R,I] and b [R,I] as graph values: q [2R,I]. */
Val prior_patterns(Graph *g, Val a, Val b);
/* Mean-one weights of the patterns from nrm [R], without gradient: nrm^(emphasis/2). */
Val prior_weights(Graph *g, Val nrm, double emphasis, bool twice);
/* x [n,I] with rows of unit norm. */
Val prior_unit_rows(Graph *g, Val x);
/* Sum over the rows of x [n,I] weighted by w [n], divided by n. */
Val prior_weighted_mean(const PriorCtx *p, Val row_values);
#endif
