/* probe.c -- Newton's method on at most 17 weights, in double; features are centred and
 * scaled by the training examples, and a small ridge keeps separable classes finite. */
#include "decomp/probe.h"

#include <math.h>
#include <string.h>

#include "base/intr.h"
#include "base/mem.h"

enum { W = PROBE_MAX + 1, ROUNDS = 12 };
static const double ridge = 1e-3;

typedef struct Work {
    const Tensor *x, *xt;
    const int32_t *label, *test;
    int64_t N, T, F, C, k;
    double *sum; /* [C,F], then [F] in all */
} Work;

typedef struct Fit {
    int64_t at[PROBE_MAX];
    double mean[PROBE_MAX], scale[PROBE_MAX], w[W];
} Fit;

/* The k features with the largest difference of means, scaled by nothing: a feature
 * that is large where the class is counts more than one that is rare and small. */
static void choose(const Work *j, int64_t c, const double *n, Fit *f)
{
    const double *own = j->sum + c * j->F, *all = j->sum + j->C * j->F;
    double best[PROBE_MAX], total = (double)j->N;
    int64_t found = 0;
    for (int64_t i = 0; i < j->F; i++) {
        double d = fabs(own[i] / n[c] - (all[i] - own[i]) / (total - n[c]));
        int64_t at = found;
        while (at > 0 && best[at - 1] < d)
            at--;
        if (at >= j->k)
            continue;
        found += found < j->k;
        for (int64_t m = found - 1; m > at; m--) {
            best[m] = best[m - 1];
            f->at[m] = f->at[m - 1];
        }
        best[at] = d;
        f->at[at] = i;
    }
}

static void scale_of(const Work *j, Fit *f)
{
    const float *x = j->x->data;
    for (int64_t q = 0; q < j->k; q++) {
        double sum = 0, square = 0;
        for (int64_t i = 0; i < j->N; i++)
            sum += (double)x[i * j->F + f->at[q]];
        f->mean[q] = sum / (double)j->N;
        for (int64_t i = 0; i < j->N; i++) {
            double d = (double)x[i * j->F + f->at[q]] - f->mean[q];
            square += d * d;
        }
        f->scale[q] = square > 0 ? 1 / sqrt(square / (double)j->N) : 0;
    }
}

static double score(const Work *j, const Fit *f, const float *row, double z[W])
{
    double s = f->w[j->k];
    for (int64_t q = 0; q < j->k; q++) {
        z[q] = ((double)row[f->at[q]] - f->mean[q]) * f->scale[q];
        s += f->w[q] * z[q];
    }
    z[j->k] = 1;
    return s;
}

/* Solves h d = g in place by elimination; h is positive definite. */
static void solve(double h[W][W], double g[W], int64_t n)
{
    for (int64_t p = 0; p < n; p++)
        for (int64_t r = p + 1; r < n; r++) {
            double k = h[r][p] / h[p][p];
            for (int64_t c = p; c < n; c++)
                h[r][c] -= k * h[p][c];
            g[r] -= k * g[p];
        }
    for (int64_t p = n; p-- > 0;) {
        for (int64_t c = p + 1; c < n; c++)
            g[p] -= h[p][c] * g[c];
        g[p] /= h[p][p];
    }
}

static void newton(const Work *j, int64_t c, Fit *f)
{
    int64_t n = j->k + 1;
    memset(f->w, 0, sizeof f->w);
    for (int round = 0; round < ROUNDS; round++) {
        double h[W][W] = {{0}}, g[W] = {0}, z[W], size = 0;
        for (int64_t i = 0; i < j->N; i++) {
            double s = score(j, f, (const float *)j->x->data + i * j->F, z);
            double p = 1 / (1 + exp(-s)), miss = p - (j->label[i] == c);
            for (int64_t a = 0; a < n; a++) {
                g[a] += miss * z[a];
                for (int64_t b = 0; b <= a; b++)
                    h[a][b] += p * (1 - p) * z[a] * z[b];
            }
        }
        for (int64_t a = 0; a < n; a++) {
            g[a] += ridge * (double)j->N * (a < j->k ? f->w[a] : 0);
            h[a][a] += ridge * (double)j->N * (a < j->k) + 1e-9;
            for (int64_t b = 0; b < a; b++)
                h[b][a] = h[a][b];
        }
        solve(h, g, n);
        for (int64_t a = 0; a < n; a++) {
            f->w[a] -= g[a];
            size += g[a] * g[a];
        }
        if (size < 1e-12)
            break;
    }
}

/* Right answers, their F1, and what always answering "rest" gets. */
static void judge(const Work *j, int64_t c, const Fit *f, Probe *out)
{
    double right = 0, hit = 0, false_alarm = 0, missed = 0, of_class = 0, z[W];
    for (int64_t i = 0; i < j->T; i++) {
        bool yes = score(j, f, (const float *)j->xt->data + i * j->F, z) > 0;
        bool is = j->test[i] == c;
        right += yes == is;
        hit += yes && is;
        false_alarm += yes && !is;
        missed += !yes && is;
        of_class += is;
    }
    double n = (double)j->T, twice = 2 * hit;
    *out = (Probe){.acc = right / n,
                   .f1 = twice > 0 ? twice / (twice + false_alarm + missed) : 0,
                   .base = (n - of_class) / n};
}

static bool labels_fit(const Tensor *t, const Tensor *x, int64_t C, const char *what,
                       Err *err)
{
    if (t->dtype != I32 || t->ndim != 1 || t->dim[0] != x->dim[0] ||
        !tensor_contiguous(t))
        return err_set(err, ERR_SHAPE, "%s labels must be i32 [%lld]", what,
                       (long long)x->dim[0]);
    for (int64_t i = 0; i < t->dim[0]; i++)
        if (((int32_t *)t->data)[i] < 0 || ((int32_t *)t->data)[i] >= C)
            return err_set(err, ERR_SHAPE, "a %s label is outside 0..%lld", what,
                           (long long)C - 1);
    return true;
}

bool probe_check(const Tensor *x, const Tensor *labels, const Tensor *xt,
                 const Tensor *test, int64_t C, Err *err)
{
    char a[96], b[96];
    if (x->dtype != F32 || xt->dtype != F32 || x->ndim != 2 || xt->ndim != 2 ||
        x->dim[1] != xt->dim[1] || !tensor_contiguous(x) || !tensor_contiguous(xt) ||
        xt->dim[0] < 1)
        return err_set(err, ERR_SHAPE,
                       "features must be f32 [N,F] and [T,F], not %s and %s",
                       tensor_format_shape(x, a), tensor_format_shape(xt, b));
    return labels_fit(labels, x, C, "training", err) &&
           labels_fit(test, xt, C, "test", err);
}

static bool class_sums(Work *j, double *n, Err *err)
{
    const float *x = j->x->data;
    for (int64_t i = 0; i < j->N; i++) {
        double *own = j->sum + j->label[i] * j->F, *all = j->sum + j->C * j->F;
        n[j->label[i]] += 1;
        for (int64_t q = 0; q < j->F; q++) {
            own[q] += (double)x[i * j->F + q];
            all[q] += (double)x[i * j->F + q];
        }
    }
    for (int64_t c = 0; c < j->C; c++)
        if (n[c] < 1 || n[c] == (double)j->N)
            return err_set(err, ERR_SHAPE, "class %lld has %s of the training examples",
                           (long long)c, n[c] < 1 ? "none" : "all");
    return true;
}

/* Checks, and the sums that features are chosen by; work_done() in any case. */
static bool work_make(Work *j, const Tensor *x, const Tensor *labels, const Tensor *xt,
                      const Tensor *test_labels, int64_t C, int64_t k, Err *err)
{
    *j = (Work){0};
    if (!probe_check(x, labels, xt, test_labels, C, err))
        return false;
    if (k < 1 || k > PROBE_MAX || k > x->dim[1])
        return err_set(err, ERR_OPTION,
                       "a probe takes 1 to %d features, and of %lld; not %lld",
                       PROBE_MAX, (long long)x->dim[1], (long long)k);
    *j = (Work){.x = x,
                .xt = xt,
                .label = labels->data,
                .test = test_labels->data,
                .N = x->dim[0],
                .T = xt->dim[0],
                .F = x->dim[1],
                .C = C,
                .k = k};
    j->sum = mem_zalloc(sizeof *j->sum * (size_t)((C + 1) * j->F + C), err);
    return j->sum && class_sums(j, j->sum + (C + 1) * j->F, err);
}

static void work_done(Work *j)
{
    mem_free(j->sum);
}

bool probe_sparse(const Tensor *x, const Tensor *labels, const Tensor *xt,
                  const Tensor *test_labels, int64_t C, int64_t k, Probe *out,
                  Tensor *chosen, Err *err)
{
    Work j;
    *out = (Probe){0};
    bool ok = work_make(&j, x, labels, xt, test_labels, C, k, err) &&
              (!chosen || tensor_new(I32, 2, (int64_t[]){C, k}, chosen, err));
    for (int64_t c = 0; ok && c < C; c++) {
        Fit f;
        Probe one;
        choose(&j, c, j.sum + (C + 1) * j.F, &f);
        scale_of(&j, &f);
        newton(&j, c, &f);
        judge(&j, c, &f, &one);
        out->acc += one.acc / (double)C;
        out->f1 += one.f1 / (double)C;
        out->base += one.base / (double)C;
        for (int64_t q = 0; chosen && q < k; q++)
            ((int32_t *)chosen->data)[c * k + q] = (int32_t)f.at[q];
        if (intr_pending() && c + 1 < C) {
            if (chosen)
                tensor_release(chosen);
            ok = err_set(err, ERR_INTERRUPT, "interrupted");
        }
    }
    work_done(&j);
    return ok;
}

/* One feature after another, until the next gains too little. */
static bool split_one(Work *j, int64_t c, double gain, ProbeSplit *out, Err *err)
{
    Fit f;
    Probe one;
    int64_t most = j->k;
    bool ok = true;
    choose(j, c, j->sum + (j->C + 1) * j->F, &f);
    scale_of(j, &f);
    *out = (ProbeSplit){0};
    for (j->k = 1; ok && j->k <= most; j->k++) {
        newton(j, c, &f);
        judge(j, c, &f, &one);
        if (j->k > 1 && one.f1 - out->f1 < gain)
            break;
        out->f1_one = j->k == 1 ? one.f1 : out->f1_one;
        out->f1 = one.f1;
        out->k = j->k;
        ok = intr_check(err);
    }
    j->k = most;
    for (int64_t q = 0; q < out->k; q++)
        out->at[q] = (int32_t)f.at[q];
    return ok;
}

bool probe_split(const Tensor *x, const Tensor *labels, const Tensor *xt,
                 const Tensor *test_labels, int64_t C, int64_t most, double gain,
                 ProbeSplit *out, Err *err)
{
    Work j;
    bool ok = work_make(&j, x, labels, xt, test_labels, C, most, err);
    for (int64_t c = 0; ok && c < C; c++)
        ok = split_one(&j, c, gain, &out[c], err);
    work_done(&j);
    return ok;
}
