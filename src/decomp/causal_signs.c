/* causal_signs.c -- what is asked of effects afterwards: why signs differ, which edges
 * to keep, which components live, in which gauge; correlation and pair maps. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/intr.h"
#include "base/mem.h"
#include "decomp/causal.h"
#include "tensor/blas.h"

#define DIMS(...)   ((int64_t[]){__VA_ARGS__})
#define TINY_COLUMN 1e-6

const char *const causal_cause_names[N_CAUSES] = {"gauge", "selection", "gates",
                                                  "change", "bias"};

static const double *values(const Tensor *t)
{
    return t->data;
}

static bool check(const Tensor *t, const char *what, int ndim, Err *err)
{
    char shape[96];
    if (t->dtype != F64 || t->ndim != ndim || !tensor_contiguous(t) ||
        tensor_count(t) < 1)
        return err_set(err, ERR_SHAPE,
                       "%s is %s, it must be f64%s with at least one "
                       "value",
                       what, tensor_format_shape(t, shape),
                       ndim == 2 ? "[rows,columns]" : "[rows]");
    if (!tensor_finite(t))
        return err_set(err, ERR_NUMERIC, "%s has values that are not finite", what);
    return true;
}

/* --- signs ------------------------------------------------------------------------ */

static int sign(double v)
{
    return (v > 0) - (v < 0);
}

static void add_pair(CausalSigns *s, const int chain[N_CAUSES + 1])
{
    int turned = 0;
    s->pairs++;
    bool against = chain[0] != chain[N_CAUSES];
    s->against += against;
    for (int c = 0; c < N_CAUSES; c++)
        turned += chain[c] != chain[c + 1];
    for (int c = 0; c < N_CAUSES; c++) {
        bool turns = chain[c] != chain[c + 1];
        s->cause[c].turns += turns;
        s->cause[c].alone += turns && turned == 1;
        s->cause[c].left += against != turns;
        if (against && turns)
            s->cause[c].share += 1.0 / turned;
    }
}

bool causal_signs(const CausalEffects *e, const Tensor *theirs, const Tensor *keep,
                  CausalSigns *out, Err *err)
{
    memset(out, 0, sizeof *out);
    int64_t n = e->effect.dim[0], m = e->effect.dim[1];
    if (theirs && !tensor_same_shape(theirs, &e->effect))
        return err_set(err, ERR_SHAPE, "effects to compare must have the same shape");
    if (theirs && !check(theirs, "theirs", 2, err))
        return false;
    if (keep && (keep->dtype != U8 || !tensor_same_shape(keep, &e->effect) ||
                 !tensor_contiguous(keep)))
        return err_set(err, ERR_SHAPE, "keep must be u8 with the shape of the effects");
    for (int64_t at = 0; at < n * m; at++) {
        int64_t i = at / m;
        if (values(&e->rows)[at % m] == 0 || (keep && !((uint8_t *)keep->data)[at]))
            continue;
        int w = sign(values(&e->weight)[at]);
        int chain[N_CAUSES + 1] = {
            w,
            w * sign(values(&e->turn)[i]),
            w * sign(values(&e->mean)[at]),
            sign(values(&e->path)[at]),
            sign(values(&e->effect)[at]),
            sign(values(theirs ? theirs : &e->effect)[at]),
        };
        bool zero = false;
        for (int c = 0; c <= N_CAUSES; c++)
            zero = zero || chain[c] == 0;
        if (zero)
            out->skipped++;
        else
            add_pair(out, chain);
    }
    for (int c = 0; c < N_CAUSES; c++)
        out->cause[c].share /= out->against > 0 ? (double)out->against : 1;
    return true;
}

/* --- which to keep ---------------------------------------------------------------- */

typedef struct Entry {
    double v;
    int64_t at;
} Entry;

static int falling(const void *x, const void *y)
{
    const Entry *a = x, *b = y;
    if (a->v != b->v)
        return a->v > b->v ? -1 : 1;
    return (a->at > b->at) - (a->at < b->at);
}

bool causal_keep(const Tensor *v, double share, Tensor *keep, int64_t *count, Err *err)
{
    memset(keep, 0, sizeof *keep);
    if (!(share > 0 && share <= 1))
        return err_set(err, ERR_OPTION, "share is %g, it must be above 0, at most 1",
                       share);
    if (!check(v, "the matrix", 2, err))
        return false;
    int64_t n = v->dim[0], m = v->dim[1];
    Entry *e = mem_array((size_t)n, sizeof *e, err);
    bool ok = e && tensor_zeros(U8, 2, v->dim, keep, err);
    for (int64_t k = 0; ok && (ok = intr_check(err)) && k < m; k++) {
        double total = 0, sum = 0;
        for (int64_t i = 0; i < n; i++) {
            e[i] = (Entry){fabs(values(v)[i * m + k]), i};
            total += e[i].v;
        }
        qsort(e, (size_t)n, sizeof *e, falling);
        count[k] = 0;
        if (total < TINY_COLUMN)
            continue;
        while (count[k] < n && sum < share * total) {
            const Entry *next = &e[count[k]++];
            sum += next->v;
            ((uint8_t *)keep->data)[next->at * m + k] = 1;
        }
    }
    mem_free(e);
    if (!ok)
        tensor_release(keep);
    return ok;
}

bool causal_alive(const Tensor *v, const char *by, double tau, double limit,
                  Tensor *out, Err *err)
{
    memset(out, 0, sizeof *out);
    bool mean = strcmp(by, "mean") == 0, ever = strcmp(by, "ever") == 0;
    if (!mean && !ever && strcmp(by, "density") != 0)
        return err_set(err, ERR_OPTION, "by is '%s', it must be mean, density or ever",
                       by);
    if (!check(v, "the values", 2, err))
        return false;
    int64_t N = v->dim[0], R = v->dim[1], n = 0;
    double *score = mem_zalloc(sizeof *score * (size_t)R, err);
    if (!score)
        return false;
    for (int64_t r = 0; r < N; r++)
        for (int64_t c = 0; c < R; c++) {
            double x = values(v)[r * R + c];
            score[c] += mean ? fabs(x) : x > tau;
        }
    for (int64_t c = 0; c < R; c++) {
        score[c] = ever ? score[c] > 0 : score[c] / (double)N > limit;
        n += score[c] > 0;
    }
    bool ok = tensor_new(I32, 1, &n, out, err);
    n = 0;
    for (int64_t c = 0; ok && c < R; c++)
        if (score[c] > 0)
            ((int32_t *)out->data)[n++] = (int32_t)c;
    mem_free(score);
    return ok;
}

/* --- gauge ------------------------------------------------------------------------ */

static double scale_of(const Tensor *V, const Tensor *a, const Tensor *ci, double tau,
                       int64_t c)
{
    int64_t D = V->dim[0], R = V->dim[1], n = 0;
    double norm = 0, most = 0, sum = 0;
    for (int64_t d = 0; d < D; d++) {
        double x = values(V)[d * R + c];
        norm += x * x;
        most = fabs(x) > fabs(most) ? x : most;
    }
    for (int64_t r = 0; r < a->dim[0]; r++)
        if (values(ci)[r * R + c] > tau) {
            sum += values(a)[r * R + c];
            n++;
        }
    if (norm == 0)
        return 1;
    return (n > 0 && sum != 0 ? sum < 0 : most < 0) ? -1 / sqrt(norm) : 1 / sqrt(norm);
}

bool causal_gauge(const Tensor *V, const Tensor *a, const Tensor *ci, double tau,
                  Tensor *s, Err *err)
{
    memset(s, 0, sizeof *s);
    if (!check(V, "V", 2, err) || !check(a, "the activations", 2, err) ||
        !check(ci, "the causal importances", 2, err))
        return false;
    if (a->dim[1] != V->dim[1] || !tensor_same_shape(a, ci))
        return err_set(err, ERR_SHAPE,
                       "activations and causal importances must both be [rows, %lld], "
                       "a column for each of V",
                       (long long)V->dim[1]);
    if (!tensor_new(F64, 1, DIMS(V->dim[1]), s, err))
        return false;
    for (int64_t c = 0; c < V->dim[1]; c++)
        ((double *)s->data)[c] = scale_of(V, a, ci, tau, c);
    return true;
}

/* --- correlation ------------------------------------------------------------------ */

/* Columns minus their mean, over their norm; zero where they do not vary. */
static bool standard(const Tensor *x, Tensor *out, Err *err)
{
    int64_t N = x->dim[0], n = x->dim[1];
    if (!tensor_new(F64, 2, x->dim, out, err))
        return false;
    double *z = out->data;
    for (int64_t k = 0; k < n; k++) {
        double mean = 0, norm = 0, most = 0;
        for (int64_t r = 0; r < N; r++) {
            mean += values(x)[r * n + k] / (double)N;
            most = fmax(most, fabs(values(x)[r * n + k]));
        }
        for (int64_t r = 0; r < N; r++) {
            z[r * n + k] = values(x)[r * n + k] - mean;
            norm += z[r * n + k] * z[r * n + k];
        }
        bool varies = sqrt(norm / (double)N) > 1e-12 * most;
        for (int64_t r = 0; r < N; r++)
            z[r * n + k] = varies ? z[r * n + k] / sqrt(norm) : 0;
    }
    return true;
}

bool causal_correlation(const Tensor *a, const Tensor *b, Tensor *out, Err *err)
{
    Tensor p = {0}, q = {0};
    memset(out, 0, sizeof *out);
    if (!check(a, "the first set", 2, err) || !check(b, "the second set", 2, err))
        return false;
    if (a->dim[0] != b->dim[0])
        return err_set(err, ERR_SHAPE, "the sets have %lld and %lld rows",
                       (long long)a->dim[0], (long long)b->dim[0]);
    int64_t n = a->dim[1], m = b->dim[1];
    bool ok = standard(a, &p, err) && standard(b, &q, err) &&
              tensor_new(F64, 2, DIMS(n, m), out, err) &&
              blas_gemm_f64(true, false, n, m, a->dim[0], 1, p.data, n, q.data, m, 0,
                            out->data, m, err);
    if (!ok)
        tensor_release(out);
    for (int64_t k = 0; ok && k < n * m; k++) {
        double *r = (double *)out->data + k;
        *r = *r > 1 ? 1 : *r < -1 ? -1 : *r;
    }
    tensor_release(&p);
    tensor_release(&q);
    return ok;
}

/* --- pairs ------------------------------------------------------------------------ */

static int rising(const void *x, const void *y)
{
    double a = *(const double *)x, b = *(const double *)y;
    return (a > b) - (a < b);
}

/* 2nd and 98th percentile; buf [n] is overwritten. */
static void span(const Tensor *t, double *buf, double *lo, double *hi)
{
    int64_t n = tensor_count(t);
    memcpy(buf, t->data, sizeof *buf * (size_t)n);
    qsort(buf, (size_t)n, sizeof *buf, rising);
    *lo = buf[(int64_t)(0.02 * (double)(n - 1))];
    *hi = buf[(int64_t)(0.98 * (double)(n - 1) + 0.5)];
}

/* The bin of v, or -1. */
static int64_t bin_of(double v, double lo, double hi, int64_t bins)
{
    if (v < lo || v > hi)
        return -1;
    int64_t b = hi > lo ? (int64_t)((v - lo) / (hi - lo) * (double)bins) : 0;
    return b < bins ? b : bins - 1;
}

bool causal_pair_map(const Tensor *p, const Tensor *q, const Tensor *y, int64_t bins,
                     Tensor *out, Err *err)
{
    double lo[2], hi[2];
    memset(out, 0, sizeof *out);
    if (!check(p, "the first predictor", 1, err) ||
        !check(q, "the second predictor", 1, err) || !check(y, "the values", 1, err))
        return false;
    int64_t N = p->dim[0];
    if (q->dim[0] != N || y->dim[0] != N)
        return err_set(err, ERR_SHAPE,
                       "predictors and values have %lld, %lld and %lld "
                       "rows",
                       (long long)N, (long long)q->dim[0], (long long)y->dim[0]);
    if (bins < 1 || bins > 1000)
        return err_set(err, ERR_OPTION, "bins must be 1 to 1000");
    double *buf = mem_array((size_t)N, sizeof *buf, err);
    double *count = buf ? mem_zalloc(sizeof *count * (size_t)(bins * bins), err) : NULL;
    bool ok = count && tensor_zeros(F64, 2, DIMS(bins, bins), out, err);
    if (ok) {
        span(p, buf, &lo[0], &hi[0]);
        span(q, buf, &lo[1], &hi[1]);
    }
    for (int64_t r = 0; ok && r < N; r++) {
        int64_t i = bin_of(values(p)[r], lo[0], hi[0], bins);
        int64_t k = bin_of(values(q)[r], lo[1], hi[1], bins);
        if (i < 0 || k < 0)
            continue;
        int64_t at = (bins - 1 - k) * bins + i;
        ((double *)out->data)[at] += values(y)[r];
        count[at]++;
    }
    for (int64_t at = 0; ok && at < bins * bins; at++)
        ((double *)out->data)[at] =
            count[at] > 0 ? ((double *)out->data)[at] / count[at] : (double)NAN;
    mem_free(buf);
    mem_free(count);
    return ok;
}
