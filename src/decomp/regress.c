/* regress.c -- the lasso: coordinate descent that keeps q = X^T (y - X w) / N current,
 * so that a coordinate which stays costs nothing (Friedman et al. 2010), from the
 * largest alpha down, each start being the last solution. */
#include "decomp/regress.h"

#include <math.h>
#include <string.h>

#include "base/intr.h"
#include "base/mem.h"
#include "decomp/moments.h"

#define DIMS(...) ((int64_t[]){__VA_ARGS__})

const OptRow lasso_options[] = {
    {"alpha", OPT_NUM, offsetof(LassoCfg, alpha), "0", 0, 1e300, NULL,
     "Weight of |w|; 0: by cross-validation."},
    {"folds", OPT_INT, offsetof(LassoCfg, folds), "5", 2, 1000, NULL,
     "Contiguous folds of the cross-validation."},
    {"alphas", OPT_INT, offsetof(LassoCfg, alphas), "100", 2, 10000, NULL,
     "Values tried, geometric from the smallest that makes all w zero."},
    {"ratio", OPT_NUM, offsetof(LassoCfg, ratio), "1e-3", 1e-12, 1, NULL,
     "The last of these over the first."},
    {"sweeps", OPT_INT, offsetof(LassoCfg, sweeps), "2000", 1, 1 << 30, NULL,
     "Sweeps over the coordinates at most."},
    {"tol", OPT_NUM, offsetof(LassoCfg, tol), "1e-8", 0, 1, NULL,
     "Done when no step of a sweep changes the fit by more, in standard deviations."},
    {"standardise", OPT_BOOL, offsetof(LassoCfg, standardise), "false", 0, 0, NULL,
     "Columns divided by their standard deviation, so that |w| does not depend on "
     "their scale."},
};
const size_t lasso_n_options = ARRAY_LEN(lasso_options);

typedef struct Work {
    FoldSet f;
    const LassoCfg *cfg;
    double *g, *q, *mean, *w, *solve; /* [n,n] [n] [n+m] [n] [6] */
    double *alpha, *error;            /* [alphas] */
    double sd;                        /* of y over all rows */
    int64_t unfinished;
} Work;

/* One solution from the w and matching q in place. */
static void descend(Work *k, double alpha)
{
    int64_t n = k->f.n;
    for (int64_t sweep = 0; sweep < k->cfg->sweeps; sweep++) {
        double most = 0;
        for (int64_t i = 0; i < n; i++) {
            double own = k->g[i * n + i];
            if (!(own > 0))
                continue;
            double rho = k->q[i] + own * k->w[i], size = fabs(rho) - alpha;
            double w = size > 0 ? copysign(size / own, rho) : 0, step = w - k->w[i];
            if (step == 0)
                continue;
            for (int64_t c = 0; c < n; c++)
                k->q[c] -= k->g[i * n + c] * step;
            k->w[i] = w;
            most = fmax(most, fabs(step) * sqrt(own));
        }
        if (most <= k->cfg->tol * k->sd || intr_pending()) /* the caller looks, too */
            return;
    }
    k->unfinished++;
}

static void start(Work *k, const Moments *without, int64_t y)
{
    moments_centre(&k->f, &k->f.all, without, y, k->g, k->q, k->mean);
    memset(k->w, 0, sizeof *k->w * (size_t)k->f.n);
}

static double intercept(const Work *k, int64_t y)
{
    double b = k->mean[k->f.n + y];
    for (int64_t i = 0; i < k->f.n; i++)
        b -= k->mean[i] * k->w[i];
    return b;
}

/* The alpha with the least mean error over the folds, on the way the index up to which
 * the last path is to be followed. */
static bool choose_alpha(Work *k, int64_t y, double *alpha, Err *err)
{
    int64_t n = k->cfg->alphas, best = 0;
    double most = 0;
    start(k, NULL, y);
    for (int64_t i = 0; i < k->f.n; i++)
        most = fmax(most, fabs(k->q[i]));
    for (int64_t t = 0; t < n; t++) {
        k->alpha[t] = most * pow(k->cfg->ratio, (double)t / (double)(n - 1));
        k->error[t] = 0;
    }
    for (int64_t f = 0; most > 0 && f < k->f.folds; f++) {
        start(k, &k->f.fold[f], y);
        for (int64_t t = 0; t < n; t++) {
            descend(k, k->alpha[t]);
            k->error[t] += moments_sse(&k->f, &k->f.fold[f], y, NULL, k->f.n, k->w,
                                       intercept(k, y)) /
                           k->f.fold[f].rows / (double)k->f.folds;
            if (!intr_check(err))
                return false;
        }
    }
    for (int64_t t = 1; t < n; t++)
        if (k->error[t] < k->error[best])
            best = t;
    *alpha = k->alpha[best];
    return true;
}

static void two_largest(const Work *k, int32_t top[2])
{
    top[0] = top[1] = -1;
    for (int64_t i = 0; i < k->f.n; i++) {
        double v = fabs(k->w[i]);
        if (v == 0)
            continue;
        if (top[0] < 0 || v > fabs(k->w[top[0]])) {
            top[1] = top[0];
            top[0] = (int32_t)i;
        } else if (top[1] < 0 || v > fabs(k->w[top[1]])) {
            top[1] = (int32_t)i;
        }
    }
}

static double r2_of(const Work *k, int64_t y, const int32_t *list, int64_t n,
                    const double *w)
{
    double b = k->mean[k->f.n + y], sst = moments_sst(&k->f, &k->f.all, y);
    for (int64_t i = 0; i < n; i++)
        b -= k->mean[list ? list[i] : i] * w[i];
    double sse = moments_sse(&k->f, &k->f.all, y, list, n, w, b);
    return sst > 0 ? 1 - sse / sst : (double)NAN;
}

/* Everything about column y of Y into the rows of out. */
static bool fit_column(Work *k, int64_t y, LassoFit *out, Err *err)
{
    int64_t n = k->f.n;
    double alpha = k->cfg->alpha, two[2];
    int32_t *top = (int32_t *)out->top.data + 2 * y;
    k->sd = sqrt(moments_sst(&k->f, &k->f.all, y) / k->f.all.rows);
    if (alpha <= 0 && !choose_alpha(k, y, &alpha, err))
        return false;
    start(k, NULL, y);
    descend(k, alpha);
    two_largest(k, top);
    double b = k->f.mean[n + y];
    for (int64_t i = 0; i < n; i++) {
        double w = k->w[i] / k->f.scale[i];
        ((double *)out->coef.data)[y * n + i] = w;
        b -= w * k->f.mean[i];
    }
    ((double *)out->intercept.data)[y] = b;
    ((double *)out->alpha.data)[y] = alpha;
    ((double *)out->r2.data)[y] = r2_of(k, y, NULL, n, k->w);
    int64_t found = (top[0] >= 0) + (top[1] >= 0);
    start(k, NULL, y);
    moments_solve(k->g, k->q, n, top, found, two, k->solve);
    ((double *)out->r2_top2.data)[y] = r2_of(k, y, top, found, two);
    return intr_check(err);
}

void lasso_done(LassoFit *f)
{
    tensor_release(&f->coef);
    tensor_release(&f->intercept);
    tensor_release(&f->alpha);
    tensor_release(&f->r2);
    tensor_release(&f->r2_top2);
    tensor_release(&f->top);
}

bool lasso_fit(const Tensor *X, const Tensor *Y, const LassoCfg *cfg, LassoFit *out,
               Err *err)
{
    Work k = {.cfg = cfg};
    memset(out, 0, sizeof *out);
    if (!folds_new(X, Y, cfg->alpha > 0 ? 1 : cfg->folds, cfg->standardise, &k.f, err))
        return false;
    int64_t n = k.f.n, m = k.f.m;
    size_t count = (size_t)(n * n + 3 * n + m + 6 + 2 * cfg->alphas);
    k.g = mem_array(count, sizeof *k.g, err);
    bool ok = k.g && tensor_zeros(F64, 2, DIMS(m, n), &out->coef, err) &&
              tensor_zeros(F64, 1, DIMS(m), &out->intercept, err) &&
              tensor_zeros(F64, 1, DIMS(m), &out->alpha, err) &&
              tensor_zeros(F64, 1, DIMS(m), &out->r2, err) &&
              tensor_zeros(F64, 1, DIMS(m), &out->r2_top2, err) &&
              tensor_zeros(I32, 2, DIMS(m, 2), &out->top, err);
    if (ok) {
        k.q = k.g + n * n;
        k.w = k.q + n;
        k.mean = k.w + n;
        k.solve = k.mean + n + m;
        k.alpha = k.solve + 6;
        k.error = k.alpha + cfg->alphas;
    }
    for (int64_t y = 0; ok && y < m; y++)
        ok = fit_column(&k, y, out, err);
    out->unfinished = k.unfinished;
    if (!ok)
        lasso_done(out);
    mem_free(k.g);
    folds_done(&k.f);
    return ok;
}
