/* regress.h -- which few columns of X [N,n] predict the columns of Y [N,m]: the lasso
 * (Tibshirani 1996) by coordinate descent with cross-validation, and forward stepwise
 * least squares. Both work on moments of contiguous folds of the rows, the first N mod
 * folds of them one row longer. Everything f64, contiguous, finite; intercepts are
 * free. A column that does not vary is never chosen. */
#ifndef CLEAVE_DECOMP_REGRESS_H
#define CLEAVE_DECOMP_REGRESS_H
#include "base/option.h"
#include "tensor/tensor.h"

typedef struct LassoCfg {
    double alpha, ratio, tol;
    int64_t folds, alphas, sweeps;
    bool standardise;
} LassoCfg;
extern const OptRow lasso_options[];
extern const size_t lasso_n_options;
/* Minimises |y - X w - b|^2 / 2N + alpha |w|_1 for each column y of Y. */
typedef struct LassoFit {
    Tensor coef;      /* [m,n], in the units of X also where standardised */
    Tensor intercept; /* [m] */
    Tensor alpha;     /* [m] given, or the one of least mean error over the folds */
    Tensor r2;        /* [m] on all rows; NaN: y does not vary */
    Tensor r2_top2;   /* [m] least squares on the two largest |w| (of scaled columns
                         where standardised) */
    Tensor top;       /* i32 [m,2] these two, -1: fewer are not 0 */
    int64_t unfinished; /* fits that used up their sweeps */
} LassoFit;
bool lasso_fit(const Tensor *X, const Tensor *Y, const LassoCfg *cfg, LassoFit *out,
               Err *err);
void lasso_done(LassoFit *f);

typedef struct StepwiseCfg {
    int64_t folds, most;
    double enough;
} StepwiseCfg;
extern const OptRow stepwise_options[];
extern const size_t stepwise_n_options;
/* Adds the column with the best mean R2 over held-out folds while that grows, until
 * `enough` or `most` columns. */
typedef struct StepwiseFit {
    Tensor chosen; /* i32 [m,most] in order, -1: none */
    Tensor r2;     /* [m,most] mean held-out R2 with as many columns, NaN: none */
    Tensor needed; /* i32 [m] how many were chosen */
    Tensor reached; /* u8 [m] R2 got to `enough` */
} StepwiseFit;
bool stepwise_fit(const Tensor *X, const Tensor *Y, const StepwiseCfg *cfg,
                  StepwiseFit *out, Err *err);
void stepwise_done(StepwiseFit *f);
#endif
