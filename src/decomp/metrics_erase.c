/* metrics_erase.c -- taking a component's plane out of an image. With u and w the two
 * displayed patterns (orthonormal, they span the plane of a and b), x' = x - u (u.x) -
 * w (w.x), and the network answers x'^T B_c x' differently by
 *   -2 s (z.Mu) - 2 t (z.Mw) + s^2 u.Mu + 2 s t u.Mw + t^2 w.Mw,    s = u.x, t = w.x,
 * all in the embedding: z = embed x, M the core of the component's class. The
 * dictionary predicts -act D. Also the correlations. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/intr.h"
#include "base/mem.h"
#include "decomp/metrics_int.h"
#include "tensor/blas.h"

static double *f64(const Tensor *t)
{
    return t->data;
}

/* --- correlations ----------------------------------------------------------------- */

double corr_pearson(const double *x, const double *y, int64_t n)
{
    double mx = 0, my = 0, xx = 0, yy = 0, xy = 0;
    for (int64_t i = 0; i < n; i++) {
        mx += x[i];
        my += y[i];
    }
    mx /= (double)n;
    my /= (double)n;
    for (int64_t i = 0; i < n; i++) {
        double a = x[i] - mx, b = y[i] - my;
        xx += a * a;
        yy += b * b;
        xy += a * b;
    }
    return xx > 0 && yy > 0 ? xy / (sqrt(xx) * sqrt(yy)) : (double)NAN;
}

typedef struct Place {
    double value;
    int64_t i;
} Place;

static int by_value(const void *x, const void *y)
{
    const Place *a = x, *b = y;
    if (a->value != b->value)
        return a->value < b->value ? -1 : 1;
    return (a->i > b->i) - (a->i < b->i);
}

static void mean_ranks(const double *x, int64_t n, Place *order, double *rank)
{
    for (int64_t i = 0; i < n; i++)
        order[i] = (Place){x[i], i};
    qsort(order, (size_t)n, sizeof *order, by_value);
    for (int64_t i = 0; i < n;) {
        int64_t end = i + 1;
        while (end < n && order[end].value == order[i].value)
            end++;
        for (int64_t k = i; k < end; k++)
            rank[order[k].i] = 0.5 * (double)(i + end - 1);
        i = end;
    }
}

bool corr_spearman(const double *x, const double *y, int64_t n, double *out, Err *err)
{
    Place *order = mem_array((size_t)n, sizeof *order, err);
    double *rank = mem_array((size_t)(2 * n), sizeof *rank, err);
    bool ok = order && rank;
    if (ok) {
        mean_ranks(x, n, order, rank);
        mean_ranks(y, n, order, rank + n);
        *out = corr_pearson(rank, rank + n, n);
    }
    mem_free(order);
    mem_free(rank);
    return ok;
}

/* --- erasure ---------------------------------------------------------------------- */

enum { ERASED_IMAGES = 1000 };

typedef struct Erasure {
    int64_t n, R, E;
    Tensor q;     /* f64 [2R,I] patterns, a component's two in a row */
    Tensor x;     /* f64 [n,I] */
    Tensor xq;    /* [n,2R] s and t */
    Tensor qe;    /* [2R,E] patterns in the embedding */
    Tensor qm;    /* [2R,E] times the core of the component's class */
    Tensor z;     /* [n,E] */
    Tensor zm;    /* [n,2R] z . Mu and z . Mw */
    Tensor act;   /* [n,R] predicted change */
    Tensor truth; /* [n,R] */
} Erasure;

static void erasure_done(Erasure *w)
{
    Tensor *const all[] = {&w->q, &w->x,  &w->xq,  &w->qe,   &w->qm,
                           &w->z, &w->zm, &w->act, &w->truth};
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        tensor_release(all[i]);
}

/* y [n,M] new = x [n,K] rows^T, rows [M,K] */
static bool project(const Tensor *x, const Tensor *rows, Tensor *y, Err *err)
{
    int64_t n = x->dim[0], K = x->dim[1], M = rows->dim[0];
    return tensor_new(F64, 2, (int64_t[]){n, M}, y, err) &&
           blas_gemm_f64(false, true, n, M, K, 1, f64(x), K, f64(rows), K, 0, f64(y), M,
                         err);
}

static bool erasure_new(const DictEval *e, Erasure *w, Err *err)
{
    const Dictionary *d = e->dict;
    const Interaction *b = e->b;
    Tensor q32 = {0};
    int64_t N = e->x->dim[0], E = b->E;
    memset(w, 0, sizeof *w);
    w->n = N < ERASED_IMAGES ? N : ERASED_IMAGES;
    w->R = d->R;
    w->E = E;
    bool ok = dict_patterns(d, NULL, false, &q32, err) &&
              tensor_convert(&q32, F64, &w->q, err) &&
              metrics_wide_rows(e->x, 0, w->n, &w->x, err) &&
              project(&w->x, &w->q, &w->xq, err) &&
              project(&w->q, &b->embed, &w->qe, err) &&
              tensor_new(F64, 2, (int64_t[]){2 * d->R, E}, &w->qm, err);
    for (int64_t r = 0; ok && r < d->R; r++)
        ok = blas_gemm_f64(false, false, 2, E, E, 1, f64(&w->qe) + 2 * r * E, E,
                           f64(&b->core) + ((int32_t *)d->owner.data)[r] * E * E, E, 0,
                           f64(&w->qm) + 2 * r * E, E, err);
    ok = ok && project(&w->x, &b->embed, &w->z, err) &&
         project(&w->z, &w->qm, &w->zm, err) &&
         tensor_new(F64, 2, (int64_t[]){w->n, d->R}, &w->truth, err);
    tensor_release(&q32);
    return ok;
}

static double dot(const double *x, const double *y, int64_t n)
{
    double s = 0;
    for (int64_t i = 0; i < n; i++)
        s += x[i] * y[i];
    return s;
}

static void true_changes(Erasure *w)
{
    int64_t R = w->R, E = w->E;
    for (int64_t r = 0; r < R; r++) {
        const double *u = f64(&w->qe) + 2 * r * E, *um = f64(&w->qm) + 2 * r * E;
        double uu = dot(u, um, E), uv = dot(u + E, um, E), vv = dot(u + E, um + E, E);
        for (int64_t i = 0; i < w->n; i++) {
            const double *s = f64(&w->xq) + (i * R + r) * 2;
            const double *m = f64(&w->zm) + (i * R + r) * 2;
            f64(&w->truth)[i * R + r] = -2 * (s[0] * m[0] + s[1] * m[1]) +
                                        s[0] * s[0] * uu + 2 * s[0] * s[1] * uv +
                                        s[1] * s[1] * vv;
        }
    }
}

/* -act D of each component's own class, into w->act. */
static bool predicted_changes(const DictEval *e, Erasure *w, Err *err)
{
    const Dictionary *d = e->dict;
    Tensor a = {0}, b = {0}, xb = {0};
    bool ok = tensor_convert(&d->a, F64, &a, err) &&
              tensor_convert(&d->b, F64, &b, err) && project(&w->x, &a, &w->act, err) &&
              project(&w->x, &b, &xb, err);
    for (int64_t k = 0; ok && k < w->n * w->R; k++) {
        int64_t r = k % w->R, c = ((int32_t *)d->owner.data)[r];
        f64(&w->act)[k] *= -f64(&xb)[k] * (double)((float *)d->head.data)[r * d->C + c];
    }
    tensor_release(&a);
    tensor_release(&b);
    tensor_release(&xb);
    return ok;
}

bool metrics_of_erasure(const DictEval *e, double *v, Err *err)
{
    Erasure w;
    if (!e->x)
        return true;
    bool ok = erasure_new(e, &w, err) && predicted_changes(e, &w, err);
    if (ok) {
        true_changes(&w);
        v[M_ERASE_CORR] = corr_pearson(f64(&w.act), f64(&w.truth), w.n * w.R);
    }
    erasure_done(&w);
    return ok;
}
