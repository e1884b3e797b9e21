/* attributes.h -- what a component stands for when every example has several
 * attributes that were drawn apart: one value of one attribute, or a combination. A
 * component is one number q for each example (its largest importance over
 * positions). Its means over the cells of the attribute grid are split by a balanced
 * analysis of variance into the shares of the main effects and of all interactions.
 * A component whose cells explain no more of q than they do of shuffled labels says
 * nothing of the attributes: without that test noise would read as a combination, as
 * most of the grid's freedoms are interactions. */
#ifndef CLEAVE_DECOMP_ATTRIBUTES_H
#define CLEAVE_DECOMP_ATTRIBUTES_H
#include "base/option.h"
#include "tensor/tensor.h"

enum { ATTR_MAX = 4, ATTR_CELLS = 4096 };

/* Labels are digits: attribute 0 first, bases dim[]. */
typedef struct AttrGrid {
    int n, dim[ATTR_MAX];
} AttrGrid;
int attr_cells(const AttrGrid *g); /* 0: not a grid */
int attr_digit(const AttrGrid *g, int label, int attribute);

typedef struct AttrShares {
    double variance;       /* of the cells */
    double main[ATTR_MAX]; /* shares of it; 0 when there is none */
    double interaction;
} AttrShares;
/* cell[attr_cells]: means, the last attribute fastest. */
void attr_anova(const AttrGrid *g, const double *cell, AttrShares *out);

typedef enum AttrVerdict {
    ATTR_SILENT,    /* q is above tau on too few examples */
    ATTR_CONSTANT,  /* q never changes, but is not silent */
    ATTR_UNRELATED, /* its cells explain too little, or no more than shuffled labels */
    ATTR_ATOMIC,    /* one main effect has a share of 0.8 */
    ATTR_COMBINATION, /* interactions have a share of 0.4 */
    ATTR_NEITHER,
    ATTR_VERDICTS
} AttrVerdict;
const char *attr_verdict_name(AttrVerdict v);

typedef struct AttrCfg {
    double atomic, combination; /* the two bounds */
    double explained;           /* least share of q's variance between cells */
    double tau, density;        /* silent: q > tau on at most this share of examples */
    int64_t shuffles;           /* of the labels */
    double quantile;            /* of the shuffles that has to be passed */
    int64_t seed;
} AttrCfg;
extern const OptRow attr_options[];
extern const size_t attr_n_options;

typedef struct AttrScore {
    AttrShares shares;
    double density;         /* share of examples with q > tau */
    double explained, null; /* share of q's variance between cells; that of shuffles */
    AttrVerdict verdict;
    int attribute; /* with the largest main share */
    int value;     /* of it with the largest mean, or, where */
    bool inverted; /* most values are on, the one with the smallest */
    int cell;      /* with the largest mean */
    bool single;   /* no other cell's mean is above the middle of the range */
    double selectivity[ATTR_MAX]; /* variance of value means, normalised to sum 1 */
} AttrScore;

/* q f32 [N,C], labels i32 [N]. cells f64 [C,cells] are the means; score has C
 * entries of the caller's. other (NULL: q) gives what `selectivity` is of, f32
 * [N,C]. Errors: shapes, labels outside the grid, a cell without examples.
 * Interruptible. */
bool attr_scores(const AttrGrid *g, const AttrCfg *cfg, const Tensor *q,
                 const Tensor *other, const Tensor *labels, Tensor *cells,
                 AttrScore *score, Err *err);

typedef struct AttrSummary {
    int64_t count[ATTR_VERDICTS];
    int64_t values, covered, covered_inverted; /* of all values: by atomic components */
    int64_t covers[ATTR_MAX][64];              /* atomic components of each value */
    int64_t cells, cells_covered; /* by combinations that are on in one cell alone */
    /* Of all variance between cells, summed over related components: the part of the
     * interactions. */
    double interaction;
} AttrSummary;
void attr_summary(const AttrGrid *g, const AttrScore *score, int64_t n,
                  AttrSummary *out);
#endif
