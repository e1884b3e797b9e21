/* gauge.h -- what stays free when a dictionary's tensor is fixed. With P = (a+b)/2 and
 * N = (a-b)/2, class c's part is P^T P - N^T N over its n components, which any Q with
 * Q^T J Q = J (J = diag(1,-1), the group O(n,n)) leaves as it is. A move follows the
 * gradient of a criterion inside the group; every step is a Cayley transform of an
 * element of the Lie algebra, so the tensor does not change at all but for rounding
 * (f64 inside, f32 factors). Needs one-class heads. */
#ifndef CLEAVE_DECOMP_GAUGE_H
#define CLEAVE_DECOMP_GAUGE_H
#include "decomp/dictionary.h"

typedef struct GaugeCfg {
    char criterion[OPT_STR_CAP]; /* sparsity locality smoothness varimax */
    char display[OPT_STR_CAP];   /* pairs squares */
    int64_t steps, starts, seed;
    double lr, cancellation, emphasis;
} GaugeCfg;
extern const OptRow gauge_options[];
extern const size_t gauge_n_options;

typedef struct GaugeReport {
    double before, after; /* the criterion, without the cancellation term */
    int64_t start;        /* which start was best: 0 the dictionary as given */
} GaugeReport;
/* Displayed components only. height x width: the pixels as an image. With display
 * "pairs" the criterion sees what is displayed, d keeps its shape and is balanced. With
 * "squares" it sees the rows of P and N, and d becomes 2R components a = b with heads
 * +1 and -1 (zero ones left out). */
bool gauge_move(Dictionary *d, const GaugeCfg *cfg, int64_t height, int64_t width,
                GaugeReport *out, Err *err);

typedef enum GaugeTurn { TURN_PLUS, TURN_MINUS, TURN_BOOST } GaugeTurn;
/* One parameter of the gauge of a class: rotates the P (or N) of its i-th and j-th
 * components by an angle, or boosts P_i with N_j by a rapidity. Not balanced, so that
 * turning back gives the factors back. */
bool gauge_turn(Dictionary *d, int64_t c, GaugeTurn kind, int64_t i, int64_t j,
                double angle, Err *err);
#endif
