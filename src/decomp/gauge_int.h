/* gauge_int.h -- what the files of the gauge share: components as rows of P and N with
 * the plan that gives a criterion and its gradient, the projection on the Lie algebra
 * of O(n,n) and the step inside the group. Matrices are f64, rows P first, then N. */
#ifndef CLEAVE_DECOMP_GAUGE_INT_H
#define CLEAVE_DECOMP_GAUGE_INT_H
#include "decomp/gauge.h"
#include "graph/plan.h"

typedef struct GaugeGroup { /* one class: rows of P and N, moments of its X */
    int64_t n, *rows;
    double *m, *v;
} GaugeGroup;

typedef struct GaugeMove {
    const GaugeCfg *cfg;
    int64_t R, C, I, height, width;
    bool squares;
    Tensor P, N; /* f64 [R,I] */
    Plan *plan;
    int out_value, out_loss, out_dp, out_dn;
    GaugeGroup *group; /* [C] */
    int64_t *order;
    double *scratch;
} GaugeMove;
/* cfg is borrowed. gauge_move_done() also after a failure. */
bool gauge_move_new(GaugeMove *v, const Dictionary *d, const GaugeCfg *cfg,
                    int64_t height, int64_t width, Err *err);
void gauge_move_done(GaugeMove *v);

/* Component r as p [I] and n [I], its head's size and sign in them. */
bool gauge_split_row(const Dictionary *d, int64_t r, double *p, double *n, Err *err);
/* M [2n,2n] to its projection on the Lie algebra, in place. */
void gauge_project(double *M, int64_t n);
/* Y [m,m] to (I - Y/2)^-1 (I + Y/2), a new tensor. */
bool gauge_cayley(const double *Y, int64_t m, Tensor *Q, Err *err);
#endif
