/* match.c -- the Hungarian method on costs -score: rows are added one by one, each by a
 * shortest augmenting path with potentials, O(n^2 m). Pairs that may not be matched
 * cost more than all others together, and are taken out at the end. */
#include "decomp/match.h"

#include <math.h>
#include <string.h>

#include "base/intr.h"
#include "base/mem.h"
#include "tensor/blas.h"

static double at(const Tensor *t, int64_t i, int64_t j)
{
    return ((double *)t->data)[i * t->dim[1] + j];
}

static bool check_score(const Tensor *s, Err *err)
{
    char shape[96];
    if (s->dtype == F64 && s->ndim == 2 && tensor_contiguous(s))
        return true;
    return err_set(err, ERR_SHAPE, "the scores are %s, they must be f64[n,m]",
                   tensor_format_shape(s, shape));
}

/* The largest score of row i whose column is free; -1: none. */
static int32_t best_of_row(const Tensor *score, const bool *used, int64_t i)
{
    int64_t best = -1;
    for (int64_t j = 0; j < score->dim[1]; j++)
        if (!used[j] && isfinite(at(score, i, j)) &&
            (best < 0 || at(score, i, j) > at(score, i, best)))
            best = j;
    return (int32_t)best;
}

/* Open rows keep their best free column; those that lose it look again. */
bool match_greedy(const Tensor *score, int32_t *column, Err *err)
{
    if (!check_score(score, err))
        return false;
    int64_t n = score->dim[0], m = score->dim[1], top = 0;
    bool *used = mem_zalloc(sizeof *used * (size_t)(m + 1), err), ok = true;
    int32_t *best = used ? mem_array((size_t)n, sizeof *best, err) : NULL;
    for (int64_t i = 0; best && ok && i < n; i++) {
        column[i] = -1;
        best[i] = best_of_row(score, used, i);
        ok = intr_check(err);
    }
    while (best && ok && top >= 0) {
        top = -1;
        for (int64_t i = 0; ok && i < n; i++) {
            if (column[i] < 0 && best[i] >= 0 && used[best[i]]) {
                best[i] = best_of_row(score, used, i);
                ok = intr_check(err);
            }
            if (column[i] < 0 && best[i] >= 0 &&
                (top < 0 || at(score, i, best[i]) > at(score, top, best[top])))
                top = i;
        }
        if (ok && top >= 0) {
            column[top] = best[top];
            used[best[top]] = true;
        }
    }
    ok = ok && best;
    mem_free(best);
    mem_free(used);
    return ok;
}

/* --- Hungarian -------------------------------------------------------------------- */

typedef struct Paths { /* rows 1..n, columns 1..m; 0 is the free column */
    int64_t n, m;
    bool turned; /* rows are the score's columns */
    const Tensor *score;
    double forbidden;
    double *u, *v, *least;
    int64_t *row_of, *way;
    bool *seen;
} Paths;

static double cost(const Paths *p, int64_t i, int64_t j)
{
    double s = p->turned ? at(p->score, j - 1, i - 1) : at(p->score, i - 1, j - 1);
    return isfinite(s) ? -s : p->forbidden;
}

/* Row i gets a column, others may change theirs. */
static bool augment(Paths *p, int64_t i, Err *err)
{
    int64_t j = 0;
    p->row_of[0] = i;
    for (int64_t k = 0; k <= p->m; k++) {
        p->least[k] = INFINITY;
        p->seen[k] = false;
    }
    do {
        int64_t row = p->row_of[j], next = 0;
        double delta = INFINITY;
        if (!intr_check(err))
            return false;
        p->seen[j] = true;
        for (int64_t k = 1; k <= p->m; k++) {
            if (p->seen[k])
                continue;
            double c = cost(p, row, k) - p->u[row] - p->v[k];
            if (c < p->least[k]) {
                p->least[k] = c;
                p->way[k] = j;
            }
            if (p->least[k] < delta) {
                delta = p->least[k];
                next = k;
            }
        }
        for (int64_t k = 0; k <= p->m; k++) {
            if (p->seen[k]) {
                p->u[p->row_of[k]] += delta;
                p->v[k] -= delta;
            } else {
                p->least[k] -= delta;
            }
        }
        j = next;
    } while (p->row_of[j] != 0);
    while (j) {
        int64_t before = p->way[j];
        p->row_of[j] = p->row_of[before];
        j = before;
    }
    return true;
}

static bool paths_new(const Tensor *score, Paths *p, Err *err)
{
    int64_t n = score->dim[0], m = score->dim[1];
    double most = 0;
    for (int64_t i = 0; i < n && !intr_pending(); i++)
        for (int64_t j = 0; j < m; j++)
            most = isfinite(at(score, i, j)) ? fmax(most, fabs(at(score, i, j))) : most;
    *p = (Paths){.turned = n > m, .score = score};
    p->n = n > m ? m : n;
    p->m = n > m ? n : m;
    p->forbidden = (2 * most + 1) * (double)(p->n + 1);
    size_t room = (size_t)p->m + 1;
    return (p->u = mem_zalloc(sizeof(double) * ((size_t)p->n + 1), err)) &&
           (p->v = mem_zalloc(sizeof(double) * room, err)) &&
           (p->least = mem_zalloc(sizeof(double) * room, err)) &&
           (p->row_of = mem_zalloc(sizeof(int64_t) * room, err)) &&
           (p->way = mem_zalloc(sizeof(int64_t) * room, err)) &&
           (p->seen = mem_zalloc(sizeof(bool) * room, err));
}

bool match_hungarian(const Tensor *score, int32_t *column, Err *err)
{
    Paths p = {0};
    if (!check_score(score, err))
        return false;
    bool ok = paths_new(score, &p, err);
    for (int64_t i = 1; ok && i <= p.n; i++)
        ok = augment(&p, i, err);
    for (int64_t i = 0; ok && i < score->dim[0]; i++)
        column[i] = -1;
    for (int64_t j = 1; ok && j <= p.m; j++) {
        int64_t i = p.row_of[j];
        if (i == 0 || cost(&p, i, j) == p.forbidden)
            continue;
        if (p.turned)
            column[j - 1] = (int32_t)(i - 1);
        else
            column[i - 1] = (int32_t)(j - 1);
    }
    void *const all[] = {p.u, p.v, p.least, p.row_of, p.way, p.seen};
    for (size_t k = 0; k < ARRAY_LEN(all); k++)
        mem_free(all[k]);
    return ok;
}

double match_mean(const Tensor *score, const int32_t *column)
{
    double sum = 0;
    int64_t n = 0;
    for (int64_t i = 0; i < score->dim[0]; i++)
        if (column[i] >= 0) {
            sum += at(score, i, column[i]);
            n++;
        }
    return n ? sum / (double)n : (double)NAN;
}

/* --- scores ----------------------------------------------------------------------- */

static bool check_pair(const Dictionary *x, const Dictionary *y, Err *err)
{
    if (x->I == y->I && x->C == y->C)
        return true;
    return err_set(err, ERR_SHAPE,
                   "the dictionaries have %lld and %lld classes, %lld and %lld "
                   "pixels; they must agree",
                   (long long)x->C, (long long)y->C, (long long)x->I, (long long)y->I);
}

bool score_patterns_of(const Dictionary *x, const Dictionary *y, const Tensor *S,
                       Tensor *score, Err *err)
{
    Tensor p = {0}, q = {0}, wp = {0}, wq = {0};
    memset(score, 0, sizeof *score);
    bool ok = check_pair(x, y, err) && dict_patterns(x, S, false, &p, err) &&
              dict_patterns(y, S, false, &q, err) &&
              tensor_convert(&p, F64, &wp, err) && tensor_convert(&q, F64, &wq, err) &&
              tensor_new(F64, 2, (int64_t[]){2 * x->R, 2 * y->R}, score, err) &&
              blas_gemm_f64(false, true, 2 * x->R, 2 * y->R, x->I, 1, wp.data, x->I,
                            wq.data, x->I, 0, score->data, 2 * y->R, err);
    for (int64_t k = 0; ok && k < tensor_count(score); k++)
        ((double *)score->data)[k] = fabs(((double *)score->data)[k]);
    Tensor *const all[] = {&p, &q, &wp, &wq};
    for (size_t k = 0; k < ARRAY_LEN(all); k++)
        tensor_release(all[k]);
    if (!ok)
        tensor_release(score);
    return ok;
}

bool match_recovery(const Dictionary *d, const Tensor *rows, double *out, Err *err)
{
    Tensor q = {0}, score = {0};
    Dictionary shown = {0};
    char shape[96];
    if (rows->dtype != F32 || rows->ndim != 2 || rows->dim[1] != d->I ||
        rows->dim[0] < 1 || !tensor_contiguous(rows))
        return err_set(err, ERR_SHAPE, "the parts are %s, they must be f32[n,%lld]",
                       tensor_format_shape(rows, shape), (long long)d->I);
    int64_t n = rows->dim[0], m = 2 * d->shown;
    int32_t *column = mem_array((size_t)n, sizeof *column, err);
    bool ok = column && dict_part(d, 0, d->shown, &shown, err) &&
              dict_patterns(&shown, NULL, false, &q, err) &&
              tensor_zeros(F64, 2, (int64_t[]){n, m}, &score, err);
    for (int64_t i = 0; ok && i < n * m; i++) {
        const float *x = (float *)rows->data + i / m * d->I;
        const float *y = (float *)q.data + i % m * d->I;
        double xy = 0, xx = 0;
        for (int64_t k = 0; k < d->I; k++) {
            xy += (double)x[k] * (double)y[k];
            xx += (double)x[k] * (double)x[k];
        }
        ((double *)score.data)[i] = xx > 0 ? fabs(xy) / sqrt(xx) : 0;
    }
    ok = ok && match_hungarian(&score, column, err);
    double sum = 0;
    for (int64_t i = 0; ok && i < n; i++)
        sum += column[i] >= 0 ? at(&score, i, column[i]) : 0;
    *out = sum / (double)n;
    mem_free(column);
    dict_done(&shown);
    tensor_release(&q);
    tensor_release(&score);
    return ok;
}

/* Columns with mean 0 and norm 1 (or all 0), signs from heads: f64 [N,R]. */
static bool standard_activations(const Dictionary *d, const Tensor *images, Tensor *out,
                                 Err *err)
{
    Tensor act = {0};
    bool ok = dict_activations(d, images, &act, NULL, err) &&
              tensor_convert(&act, F64, out, err);
    int64_t N = images->dim[0], R = d->R;
    double *a = out->data;
    for (int64_t r = 0; ok && r < R; r++) {
        int64_t owner = ((int32_t *)d->owner.data)[r];
        double sign = ((float *)d->head.data)[r * d->C + owner] < 0 ? -1 : 1;
        double mean = 0, n = 0;
        for (int64_t i = 0; i < N; i++)
            mean += a[i * R + r] / (double)N;
        for (int64_t i = 0; i < N; i++)
            n += pow(a[i * R + r] - mean, 2);
        for (int64_t i = 0; i < N; i++)
            a[i * R + r] = n > 0 ? sign * (a[i * R + r] - mean) / sqrt(n) : 0;
    }
    tensor_release(&act);
    return ok;
}

bool score_activations(const Dictionary *x, const Dictionary *y, const Tensor *images,
                       Tensor *score, Err *err)
{
    Tensor p = {0}, q = {0};
    memset(score, 0, sizeof *score);
    bool ok = check_pair(x, y, err) && standard_activations(x, images, &p, err) &&
              standard_activations(y, images, &q, err) &&
              tensor_new(F64, 2, (int64_t[]){x->R, y->R}, score, err) &&
              blas_gemm_f64(true, false, x->R, y->R, images->dim[0], 1, p.data, x->R,
                            q.data, y->R, 0, score->data, y->R, err);
    tensor_release(&p);
    tensor_release(&q);
    if (!ok)
        tensor_release(score);
    return ok;
}

void score_restrict(Tensor *score, const Dictionary *x, const Dictionary *y,
                    int64_t shift, int64_t per)
{
    const int32_t *ox = x->owner.data, *oy = y->owner.data;
    for (int64_t i = 0; i < score->dim[0]; i++)
        for (int64_t j = 0; j < score->dim[1]; j++)
            if ((ox[i / per] + shift) % x->C != oy[j / per])
                ((double *)score->data)[i * score->dim[1] + j] = (double)NAN;
}
