/* stepwise.c -- forward selection by held-out R2: every remaining column is tried with
 * those chosen, on each fold's training moments; the best joins if it helps. */
#include <math.h>
#include <string.h>

#include "base/intr.h"
#include "base/mem.h"
#include "decomp/moments.h"
#include "decomp/regress.h"

#define DIMS(...) ((int64_t[]){__VA_ARGS__})

const OptRow stepwise_options[] = {
    {"folds", OPT_INT, offsetof(StepwiseCfg, folds), "3", 2, 1000, NULL,
     "Contiguous folds of the held-out R2."},
    {"most", OPT_INT, offsetof(StepwiseCfg, most), "10", 1, 1000, NULL,
     "Columns at most."},
    {"enough", OPT_NUM, offsetof(StepwiseCfg, enough), "0.9", -1, 2, NULL,
     "R2 at which to stop."},
};
const size_t stepwise_n_options = ARRAY_LEN(stepwise_options);

typedef struct Work {
    FoldSet f;
    double *g, *q, *mean; /* [folds] times [n,n] [n] [n+m]: each fold's training rows */
    double *w, *solve;    /* [most], [most (most + 1)] */
    bool *used;           /* [n] */
} Work;

/* Mean R2 over held-out folds of least squares on k columns. A fold in which y does not
 * vary counts 0. */
static double score(const Work *t, int64_t y, const int32_t *list, int64_t k)
{
    int64_t n = t->f.n, d = n + t->f.m;
    double sum = 0;
    for (int64_t f = 0; f < t->f.folds; f++) {
        const double *mean = t->mean + f * d;
        double sst = moments_sst(&t->f, &t->f.fold[f], y), b = mean[n + y];
        moments_solve(t->g + f * n * n, t->q + f * n, n, list, k, t->w, t->solve);
        for (int64_t i = 0; i < k; i++)
            b -= mean[list[i]] * t->w[i];
        double sse = moments_sse(&t->f, &t->f.fold[f], y, list, k, t->w, b);
        sum += sst > 0 ? 1 - sse / sst : 0;
    }
    return sum / (double)t->f.folds;
}

static bool fit_column(Work *t, int64_t y, const StepwiseCfg *cfg, StepwiseFit *out,
                       Err *err)
{
    int64_t n = t->f.n, d = n + t->f.m, k = 0;
    int32_t *list = (int32_t *)out->chosen.data + y * cfg->most;
    double *curve = (double *)out->r2.data + y * cfg->most, now = 0;
    for (int64_t f = 0; f < t->f.folds; f++)
        moments_centre(&t->f, &t->f.all, &t->f.fold[f], y, t->g + f * n * n,
                       t->q + f * n, t->mean + f * d);
    memset(t->used, 0, sizeof *t->used * (size_t)n);
    for (; k < cfg->most && k < n && now < cfg->enough; k++) {
        double best = now;
        int32_t which = -1;
        for (int64_t c = 0; c < n; c++) {
            if (t->used[c])
                continue;
            list[k] = (int32_t)c;
            double s = score(t, y, list, k + 1);
            if (s > best) {
                best = s;
                which = (int32_t)c;
            }
            if (!intr_check(err))
                return false;
        }
        list[k] = which;
        if (which < 0)
            break;
        t->used[which] = true;
        curve[k] = now = best;
    }
    ((int32_t *)out->needed.data)[y] = (int32_t)k;
    ((uint8_t *)out->reached.data)[y] = k > 0 && now >= cfg->enough;
    return true;
}

void stepwise_done(StepwiseFit *f)
{
    tensor_release(&f->chosen);
    tensor_release(&f->r2);
    tensor_release(&f->needed);
    tensor_release(&f->reached);
}

bool stepwise_fit(const Tensor *X, const Tensor *Y, const StepwiseCfg *cfg,
                  StepwiseFit *out, Err *err)
{
    Work t = {0};
    memset(out, 0, sizeof *out);
    if (!folds_new(X, Y, cfg->folds, false, &t.f, err))
        return false;
    int64_t n = t.f.n, m = t.f.m, F = t.f.folds, most = cfg->most;
    t.g = mem_array((size_t)(F * (n * n + 2 * n + m) + most * (most + 2)),
                    sizeof *t.g, err);
    t.used = t.g ? mem_array((size_t)n, sizeof *t.used, err) : NULL;
    bool ok = t.used && tensor_full(I32, 2, DIMS(m, most), -1, &out->chosen, err) &&
              tensor_full(F64, 2, DIMS(m, most), (double)NAN, &out->r2, err) &&
              tensor_zeros(I32, 1, DIMS(m), &out->needed, err) &&
              tensor_zeros(U8, 1, DIMS(m), &out->reached, err);
    if (ok) {
        t.q = t.g + F * n * n;
        t.mean = t.q + F * n;
        t.w = t.mean + F * (n + m);
        t.solve = t.w + most;
    }
    for (int64_t y = 0; ok && y < m; y++)
        ok = fit_column(&t, y, cfg, out, err);
    if (!ok)
        stepwise_done(out);
    mem_free(t.g);
    mem_free(t.used);
    folds_done(&t.f);
    return ok;
}
