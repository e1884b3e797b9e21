/* rank.c -- scores of single components come from the same code as the metrics' means:
 * a dictionary of one component has a mean over one. */
#include "decomp/rank.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "decomp/metrics_int.h"

const char *const rank_names = "effect sigma locality gini selectivity";

static double norm(const Tensor *t, int64_t r)
{
    double s = 0;
    int64_t n = t->dim[1];
    for (int64_t i = 0; i < n; i++)
        s += pow((double)((float *)t->data)[r * n + i], 2);
    return sqrt(s);
}

static void score_sigma(const Dictionary *d, double *score)
{
    for (int64_t r = 0; r < d->R; r++)
        score[r] = norm(&d->a, r) * norm(&d->b, r) * norm(&d->head, r);
}

static bool score_patterns(const Dictionary *d, int row, int64_t height, int64_t width,
                           double *score, Err *err)
{
    Interaction none = {.C = d->C, .I = d->I};
    for (int64_t r = 0; r < d->R; r++) {
        Dictionary one;
        double v[N_METRICS];
        if (!dict_part(d, r, 1, &one, err))
            return false;
        DictEval e = {.dict = &one, .b = &none, .height = height, .width = width};
        bool ok = metrics_of_patterns(&e, v, err);
        dict_done(&one);
        if (!ok)
            return false;
        score[r] = isfinite(v[row]) ? v[row] : -1; /* nothing to show: last */
    }
    return true;
}

static double effect(const float *act, int64_t N, int64_t R)
{
    double s = 0, s2 = 0;
    for (int64_t i = 0; i < N; i++) {
        double v = (double)act[i * R];
        s += v;
        s2 += v * v;
    }
    double mean = N ? s / (double)N : 0;
    return sqrt(fmax(N ? s2 / (double)N - mean * mean : 0, 0));
}

static double own_share(const float *act, int64_t N, int64_t R, const int32_t *label,
                        int32_t owner)
{
    double own = 0, all = 0;
    for (int64_t i = 0; i < N; i++) {
        double v = pow((double)act[i * R], 2);
        all += v;
        own += label[i] == owner ? v : 0;
    }
    return all > 0 ? own / all : 0;
}

static bool score_images(const Dictionary *d, const Tensor *x, const int32_t *label,
                         double *score, Err *err)
{
    Tensor act = {0};
    if (!dict_activations(d, x, &act, NULL, err))
        return false;
    for (int64_t r = 0; r < d->R; r++) {
        const float *a = (float *)act.data + r;
        score[r] =
            label ? own_share(a, x->dim[0], d->R, label, ((int32_t *)d->owner.data)[r])
                  : effect(a, x->dim[0], d->R) * norm(&d->head, r);
    }
    tensor_release(&act);
    return true;
}

bool dict_scores(const Dictionary *d, const char *by, const Tensor *x,
                 const Tensor *labels, int64_t height, int64_t width, double *score,
                 Err *err)
{
    if (!strcmp(by, "sigma")) {
        score_sigma(d, score);
        return true;
    }
    if (!strcmp(by, "locality") || !strcmp(by, "gini")) {
        if (height * width != d->I)
            return err_set(err, ERR_SHAPE, "images of %lld x %lld have not %lld pixels",
                           (long long)height, (long long)width, (long long)d->I);
        int row = by[0] == 'l' ? M_LOCALITY : M_PATTERN_GINI;
        return score_patterns(d, row, height, width, score, err);
    }
    bool selectivity = !strcmp(by, "selectivity");
    if (!selectivity && strcmp(by, "effect"))
        return err_set(err, ERR_OPTION, "components are ranked by one of %s, not '%s'",
                       rank_names, by);
    if (!x || (selectivity && (!labels || labels->dtype != I32 || labels->ndim != 1 ||
                               labels->dim[0] != x->dim[0])))
        return err_set(err, ERR_OPTION, "ranking by %s needs images%s", by,
                       selectivity ? " with labels" : "");
    return score_images(d, x, selectivity ? labels->data : NULL, score, err);
}

/* --- orders ----------------------------------------------------------------------- */

typedef struct Place {
    double score;
    int64_t r;
} Place;

static int by_score(const void *x, const void *y)
{
    const Place *a = x, *b = y;
    if (a->score != b->score)
        return a->score < b->score ? 1 : -1;
    return a->r < b->r ? -1 : 1;
}

/* Component from[k] of d as component k, for all of out. */
static void copy_rows(const Dictionary *d, const Place *from, Dictionary *out)
{
    const Tensor *src[3] = {&d->a, &d->b, &d->head};
    const Tensor *dst[3] = {&out->a, &out->b, &out->head};
    for (int t = 0; t < 3; t++) {
        int64_t n = src[t]->dim[1];
        for (int64_t k = 0; k < out->R; k++)
            memcpy((float *)dst[t]->data + k * n, (float *)src[t]->data + from[k].r * n,
                   sizeof(float) * (size_t)n);
    }
    dict_find_owners(out);
}

bool dict_sort(Dictionary *d, const double *score, Err *err)
{
    Dictionary out = {0};
    Place *order = mem_array((size_t)d->R, sizeof *order, err);
    bool ok = order && dict_new(d->R, d->C, d->I, &out, err);
    for (int64_t r = 0; ok && r < d->R; r++)
        order[r] = (Place){score[r], r};
    if (ok) {
        qsort(order, (size_t)d->shown, sizeof *order, by_score);
        copy_rows(d, order, &out);
        out.shown = d->shown;
        dict_done(d);
        *d = out;
    }
    mem_free(order);
    return ok;
}

bool dict_order(Dictionary *d, const Tensor *x, Err *err)
{
    double *score = mem_array((size_t)d->R, sizeof *score, err);
    bool ok = score && dict_scores(d, "effect", x, NULL, 0, 0, score, err) &&
              dict_sort(d, score, err);
    mem_free(score);
    return ok;
}

bool dict_take(const Dictionary *d, const bool *keep, Dictionary *out, Err *err)
{
    int64_t n = 0, shown = 0;
    memset(out, 0, sizeof *out);
    Place *from = mem_array((size_t)d->R, sizeof *from, err);
    if (!from)
        return false;
    for (int64_t r = 0; r < d->R; r++)
        if (r >= d->shown || keep[r]) {
            from[n++] = (Place){0, r};
            shown += r < d->shown;
        }
    bool ok = shown > 0 || err_set(err, ERR_OPTION, "no component would be left");
    ok = ok && dict_new(n, d->C, d->I, out, err);
    if (ok) {
        copy_rows(d, from, out);
        out->shown = shown;
    }
    mem_free(from);
    return ok;
}

bool dict_top(const Dictionary *d, int64_t k, Dictionary *out, Err *err)
{
    int64_t *used = mem_zalloc(sizeof *used * (size_t)d->C, err);
    bool *keep = mem_zalloc(sizeof *keep * (size_t)d->R, err);
    bool ok = used && keep;
    for (int64_t r = 0; ok && r < d->shown; r++)
        keep[r] = used[((int32_t *)d->owner.data)[r]]++ < k;
    memset(out, 0, sizeof *out);
    ok = ok && dict_take(d, keep, out, err);
    mem_free(used);
    mem_free(keep);
    return ok;
}
