/* features.c -- one pass over the activations for the sums, one for the examples. The
 * best examples of a feature are kept sorted by insertion: k is small. */
#include "decomp/features.h"

#include <math.h>
#include <stdlib.h>

#include "base/intr.h"
#include "base/mem.h"

void features_done(FeatureStats *s)
{
    Tensor *all[] = {&s->density,     &s->spread, &s->energy, &s->class_mean,
                     &s->selectivity, &s->best,   &s->share,  &s->order};
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        tensor_release(all[i]);
    *s = (FeatureStats){0};
}

static bool make(int64_t M, int64_t C, FeatureStats *s, Err *err)
{
    return tensor_zeros(F64, 1, (int64_t[]){M}, &s->density, err) &&
           tensor_zeros(F64, 1, (int64_t[]){M}, &s->spread, err) &&
           tensor_zeros(F64, 1, (int64_t[]){M}, &s->energy, err) &&
           tensor_zeros(F64, 2, (int64_t[]){M, C}, &s->class_mean, err) &&
           tensor_zeros(F64, 1, (int64_t[]){M}, &s->selectivity, err) &&
           tensor_zeros(I32, 1, (int64_t[]){M}, &s->best, err) &&
           tensor_zeros(F64, 1, (int64_t[]){C}, &s->share, err) &&
           tensor_zeros(I32, 1, (int64_t[]){M}, &s->order, err);
}

static bool check(const Tensor *act, const Tensor *labels, int64_t C, Err *err)
{
    const int32_t *y = labels->data;
    if (act->dtype != F32 || act->ndim != 2 || act->dim[0] < 1 || act->dim[1] < 1 ||
        !tensor_contiguous(act) || labels->dtype != I32 || labels->ndim != 1 ||
        labels->dim[0] != act->dim[0] || C < 1)
        return err_set(err, ERR_SHAPE,
                       "features need activations f32 [N,M] and labels i32 [N] of the "
                       "same N examples");
    for (int64_t i = 0; i < labels->dim[0]; i++)
        if (y[i] < 0 || y[i] >= C)
            return err_set(err, ERR_SHAPE, "label %d of example %lld is not in 0..%lld",
                           y[i], (long long)i, (long long)C - 1);
    return true;
}

/* Sums over the examples: count of non-zeros in density, |a| in spread, a^2 in energy,
 * a in class_mean, a^2 by class in by_class. */
static bool add_up(const Tensor *act, const int32_t *y, int64_t C, FeatureStats *s,
                   double *by_class, Err *err)
{
    int64_t N = act->dim[0], M = act->dim[1];
    double *count = s->density.data, *sum = s->spread.data, *sq = s->energy.data;
    double *mean = s->class_mean.data, *share = s->share.data;
    for (int64_t i = 0; i < N; i++) {
        const float *a = (const float *)act->data + i * M;
        if (i % 256 == 0 && !intr_check(err))
            return false;
        share[y[i]]++;
        for (int64_t m = 0; m < M; m++) {
            double v = (double)a[m];
            if (v == 0)
                continue;
            if (!isfinite(v))
                return err_set(err, ERR_NUMERIC,
                               "the activation of feature %lld on example %lld is not "
                               "finite",
                               (long long)m, (long long)i);
            count[m]++;
            sum[m] += fabs(v);
            sq[m] += v * v;
            mean[m * C + y[i]] += v;
            by_class[m * C + y[i]] += v * v;
        }
    }
    return true;
}

static void divide(int64_t N, int64_t M, int64_t C, FeatureStats *s,
                   const double *by_class)
{
    double *count = s->density.data, *sum = s->spread.data, *sq = s->energy.data;
    double *mean = s->class_mean.data, *share = s->share.data;
    double *selectivity = s->selectivity.data;
    int32_t *best = s->best.data;
    for (int64_t m = 0; m < M; m++) {
        for (int64_t c = 0; c < C; c++) {
            mean[m * C + c] /= share[c] > 0 ? share[c] : 1;
            if (by_class[m * C + c] > by_class[m * C + best[m]])
                best[m] = (int32_t)c;
        }
        selectivity[m] = sq[m] > 0 ? by_class[m * C + best[m]] / sq[m] : 0;
        sum[m] = sq[m] > 0 ? sum[m] * sum[m] / ((double)N * sq[m]) : 0;
        count[m] /= (double)N;
        sq[m] /= (double)N;
    }
    for (int64_t c = 0; c < C; c++)
        share[c] /= (double)N;
}

typedef struct Key {
    double v;
    int32_t at;
} Key;

static int by_value(const void *x, const void *y)
{
    const Key *a = x, *b = y;
    if (a->v != b->v)
        return a->v < b->v ? 1 : -1;
    return a->at - b->at;
}

static bool sort(int64_t M, FeatureStats *s, Err *err)
{
    Key *k = mem_array((size_t)M, sizeof *k, err);
    if (!k)
        return false;
    for (int64_t m = 0; m < M; m++)
        k[m] = (Key){((double *)s->energy.data)[m], (int32_t)m};
    qsort(k, (size_t)M, sizeof *k, by_value);
    for (int64_t m = 0; m < M; m++)
        ((int32_t *)s->order.data)[m] = k[m].at;
    mem_free(k);
    return true;
}

bool features_measure(const Tensor *act, const Tensor *labels, int64_t C,
                      FeatureStats *out, Err *err)
{
    *out = (FeatureStats){0};
    if (!check(act, labels, C, err))
        return false;
    int64_t N = act->dim[0], M = act->dim[1];
    double *by_class = mem_zalloc(sizeof *by_class * (size_t)(M * C), err);
    bool ok = by_class && make(M, C, out, err) &&
              add_up(act, labels->data, C, out, by_class, err);
    if (ok) {
        divide(N, M, C, out, by_class);
        ok = sort(M, out, err);
    }
    mem_free(by_class);
    if (!ok)
        features_done(out);
    return ok;
}

/* Puts example i with value v among the k best of a row; value[] are theirs. */
static void insert(int32_t *at, float *value, int64_t k, int32_t i, float v)
{
    if (!(v > 0) || (at[k - 1] >= 0 && v <= value[k - 1]))
        return;
    int64_t p = k - 1;
    while (p > 0 && (at[p - 1] < 0 || value[p - 1] < v)) {
        at[p] = at[p - 1];
        value[p] = value[p - 1];
        p--;
    }
    at[p] = i;
    value[p] = v;
}

bool features_top(const Tensor *act, const int32_t *pick, int64_t n, int64_t k,
                  int sign, Tensor *out, Err *err)
{
    *out = (Tensor){0};
    if (act->dtype != F32 || act->ndim != 2 || !tensor_contiguous(act) || n < 1 ||
        k < 1 || (!pick && n > act->dim[1]))
        return err_set(err, ERR_SHAPE,
                       "top examples need activations f32 [N,M], features of it and at "
                       "least one example of each");
    int64_t N = act->dim[0], M = act->dim[1];
    for (int64_t m = 0; pick && m < n; m++)
        if (pick[m] < 0 || pick[m] >= M)
            return err_set(err, ERR_SHAPE, "there is no feature %d: 0 to %lld", pick[m],
                           (long long)M - 1);
    float *value = mem_array((size_t)(n * k), sizeof *value, err);
    bool ok = value && tensor_new(I32, 2, (int64_t[]){n, k}, out, err);
    int32_t *at = ok ? out->data : NULL;
    for (int64_t i = 0; ok && i < n * k; i++)
        at[i] = -1;
    for (int64_t i = 0; ok && i < N; i++) {
        const float *a = (const float *)act->data + i * M;
        ok = i % 256 != 0 || intr_check(err);
        for (int64_t m = 0; ok && m < n; m++)
            insert(at + m * k, value + m * k, k, (int32_t)i,
                   (float)sign * a[pick ? pick[m] : m]);
    }
    mem_free(value);
    if (!ok)
        tensor_release(out);
    return ok;
}
