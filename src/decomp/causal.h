/* causal.h -- what the components of one layer do to those of the next, measured by
 * taking them away:  p = a U1 + b1 (+ extra),  h = gate(p),  o_j = h . V2[:,j].
 *   effect[i,j] = mean over S_j of o_j with component i at its natural value - without
 *   it,   S_j = rows where the causal importance of j is above tau.
 * path is the part that passes the gates as they stand with i present; the remainder
 * comes from gates that change. Matrices are [inputs, outputs], everything f64 and
 * contiguous; components are listed by index. Values that are not finite are errors. */
#ifndef CLEAVE_DECOMP_CAUSAL_H
#define CLEAVE_DECOMP_CAUSAL_H
#include "base/option.h"
#include "tensor/tensor.h"

typedef struct CausalNet {
    const Tensor *a;     /* [N,R1] component activations x V1 */
    const Tensor *U1;    /* [R1,H] */
    const Tensor *b1;    /* [H] */
    const Tensor *V2;    /* [H,R2] */
    const Tensor *ci1;   /* [N,R1]; NULL: importance 1 (ones; no gauge by importance) */
    const Tensor *ci2;   /* [N,R2] */
    const Tensor *extra; /* [N,H] added to p: the weight delta's output; NULL: none */
    const int32_t *input, *output; /* components looked at */
    int64_t n, m;                  /* how many */
} CausalNet;

typedef struct CausalCfg {
    char background[OPT_STR_CAP]; /* of the other components: ones, ci, stochastic */
    char bias[OPT_STR_CAP];       /* inside the gate, or after it (a published bug) */
    char gate[OPT_STR_CAP];       /* relu, identity */
    double tau;
    int64_t min_rows, samples, seed;
} CausalCfg;
extern const OptRow causal_options[];
extern const size_t causal_n_options;

typedef struct CausalEffects {
    Tensor effect, se, path; /* [n,m]; outputs with fewer than min_rows rows are 0 */
    Tensor weight;           /* [n,m] U1 V2: the path through the weights alone */
    Tensor mean;             /* [n,m] mean activation of i over S_j */
    Tensor turn;             /* [n] mean activation of i where its own CI is above tau,
                                over all rows if it never is */
    Tensor rows;             /* [m] size of S_j, 0 if below min_rows */
    double interaction;      /* sum |effect - path| / sum (|path| + |effect - path|) */
} CausalEffects;
bool causal_effects(const CausalNet *net, const CausalCfg *cfg, CausalEffects *out,
                    Err *err);
void causal_done(CausalEffects *e);

/* Why the sign of an effect is not that of the weight path. From one to the other it is
 * a chain of factors, each of which may turn the sign: the gauge of i (sign of turn),
 * selection of rows (mean against turn), gates (path against mean times weight), gates
 * that change (effect against path), and the bias (theirs against effect). */
typedef enum CausalCause {
    CAUSE_GAUGE,
    CAUSE_SELECTION,
    CAUSE_GATES,
    CAUSE_CHANGE,
    CAUSE_BIAS,
    N_CAUSES,
} CausalCause;
extern const char *const causal_cause_names[N_CAUSES];
typedef struct CausalSigns {
    int64_t pairs, against; /* pairs with all signs; those against the weights */
    int64_t skipped;        /* pairs where some link is exactly 0 */
    struct {
        int64_t turns; /* pairs whose sign it turns */
        int64_t alone; /* contradictions in which nothing else does */
        int64_t left;  /* contradictions that were left without it */
        double share;  /* of the contradictions, split evenly among what turns them */
    } cause[N_CAUSES];
} CausalSigns;
/* theirs [n,m]: effects with the bias after the gate (NULL: e's own); keep u8 [n,m]:
 * only these pairs (NULL: all). */
bool causal_signs(const CausalEffects *e, const Tensor *theirs, const Tensor *keep,
                  CausalSigns *out, Err *err);

/* The largest entries of each column until their sum of |v| first reaches `share` of
 * the column's; columns with a sum below 1e-6 keep none. keep u8 [n,m]; count[m]. */
bool causal_keep(const Tensor *v, double share, Tensor *keep, int64_t *count, Err *err);
/* Pearson correlation of columns of a [N,n] and b [N,m]; 0 where one does not vary. */
bool causal_correlation(const Tensor *a, const Tensor *b, Tensor *out, Err *err);
/* Factors s [R] that make V[:,c] s_c of unit norm with a positive mean activation where
 * ci is above tau (never: with its largest entry positive). 1 for a zero column. U is
 * divided by them. V [D,R], a and ci [N,R]. */
bool causal_gauge(const Tensor *V, const Tensor *a, const Tensor *ci, double tau,
                  Tensor *s, Err *err);
/* Live columns of v [N,R], i32, ascending. by "mean": mean |v| above limit; "density":
 * share of rows with v above tau is above limit; "ever": some row has v above tau. */
bool causal_alive(const Tensor *v, const char *by, double tau, double limit,
                  Tensor *out, Err *err);
/* Mean of y [N] in bins x bins cells between the 2nd and 98th percentile of p and q [N]
 * (rows: q from its largest down; columns: p rising), f64; NaN: an empty cell. */
bool causal_pair_map(const Tensor *p, const Tensor *q, const Tensor *y, int64_t bins,
                     Tensor *out, Err *err);
#endif
