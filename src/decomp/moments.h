/* moments.h -- what least squares needs of some rows, so that a fit on all folds but
 * one is a subtraction. Internal to regress.c and stepwise.c. */
#ifndef CLEAVE_DECOMP_MOMENTS_H
#define CLEAVE_DECOMP_MOMENTS_H
#include "tensor/tensor.h"

typedef struct Moments {
    double rows;
    double *xz; /* [n, n+m] sums of x_k z_l, z = x then y */
    double *s;  /* [n+m] sums */
    double *yy; /* [m] */
} Moments;
typedef struct FoldSet {
    int64_t n, m, folds;
    Moments all, *fold; /* [folds] */
    double *mean;       /* [n+m] taken off before summing */
    double *scale;      /* [n] X was divided by this: standard deviation, or 1 */
    double *memory;
} FoldSet;
/* Checks X and Y, sums every fold. Errors: shapes, values that are not finite, fewer
 * rows than folds. */
bool folds_new(const Tensor *X, const Tensor *Y, int64_t folds, bool standardise,
               FoldSet *out, Err *err);
void folds_done(FoldSet *f);
/* Covariances of the rows of a (less those of b, if not NULL): g [n,n], q [n] of column
 * y, means [n+m]. */
void moments_centre(const FoldSet *f, const Moments *a, const Moments *b, int64_t y,
                    double *g, double *q, double *mean);
/* Sum of squared errors of w (the columns at list, k of them; list NULL: 0 to k-1)
 * and b on the rows of a. */
double moments_sse(const FoldSet *f, const Moments *a, int64_t y, const int32_t *list,
                   int64_t k, const double *w, double b);
/* Sum of squares of y about its mean over the rows of a. */
double moments_sst(const FoldSet *f, const Moments *a, int64_t y);
/* Least squares: w [k] on the columns at list, from g and q; columns that depend on
 * those before get 0. work [k*k + k]. */
void moments_solve(const double *g, const double *q, int64_t n, const int32_t *list,
                   int64_t k, double *w, double *work);
#endif
