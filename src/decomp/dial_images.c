/* dial_images.c -- what a dial keeps of the images: projections on the class's rows, the
 * network's own answers, and of every other component the strongest few. */
#include <math.h>
#include <string.h>

#include "base/intr.h"
#include "base/mem.h"
#include "decomp/dial_int.h"
#include "decomp/metrics_int.h"
#include "tensor/blas.h"

enum { BLOCK = 1000 };

static double *f64(const Tensor *t)
{
    return t->data;
}

void dial_images_done(DialImages *w)
{
    tensor_release(&w->xw);
    tensor_release(&w->zm);
    void *const all[] = {w->logit, w->rival, w->answer, w->label, w->strong};
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        mem_free(all[i]);
    memset(w, 0, sizeof *w);
}

static bool images_room(GaugeDial *d, const DictEval *e, Err *err)
{
    DialImages *w = &d->images;
    size_t N = (size_t)e->x->dim[0];
    int64_t others = d->dict.R - d->n;
    w->N = e->x->dim[0];
    w->kept = others < DIAL_KEPT ? others : DIAL_KEPT;
    return tensor_new(F64, 2, (int64_t[]){w->N, d->m}, &w->xw, err) &&
           tensor_new(F64, 2, (int64_t[]){w->N, d->m}, &w->zm, err) &&
           (w->logit = mem_array(N, sizeof *w->logit, err)) &&
           (w->rival = mem_array(N, sizeof *w->rival, err)) &&
           (w->answer = mem_array(N, sizeof *w->answer, err)) &&
           (w->strong = mem_array(N * (size_t)w->kept + 1, sizeof *w->strong, err)) &&
           (d->bias = mem_array((size_t)d->dict.C, sizeof *d->bias, err)) &&
           (!e->labels || (w->label = mem_array(N, sizeof *w->label, err)));
}

/* The network's answers to z [n,E], bias included, of images first.. */
static bool own_answers(GaugeDial *d, const DictEval *e, int64_t first, const Tensor *z,
                        Tensor *zm, Tensor *logits, Err *err)
{
    DialImages *w = &d->images;
    int64_t n = z->dim[0], E = e->b->E, C = e->b->C;
    double *y = f64(logits);
    for (int64_t c = 0; c < C; c++) {
        if (!blas_gemm_f64(false, false, n, E, E, 1, f64(z), E,
                           f64(&e->b->core) + c * E * E, E, 0, f64(zm), E, err))
            return false;
        for (int64_t i = 0; i < n; i++) {
            double s = d->bias[c];
            for (int64_t k = 0; k < E; k++)
                s += f64(z)[i * E + k] * f64(zm)[i * E + k];
            y[i * C + c] = s;
        }
    }
    for (int64_t i = 0; i < n; i++) {
        int32_t top = 0;
        double rival = -INFINITY;
        for (int32_t c = 0; c < C; c++) {
            top = y[i * C + c] > y[i * C + top] ? c : top;
            rival = c != d->c ? fmax(rival, y[i * C + c]) : rival;
        }
        w->logit[first + i] = y[i * C + d->c];
        w->rival[first + i] = rival;
        w->answer[first + i] = top;
    }
    return true;
}

static bool own_block(GaugeDial *d, const DictEval *e, int64_t first, const Tensor *x,
                      const Tensor *rows, Err *err)
{
    DialImages *w = &d->images;
    int64_t n = x->dim[0], I = d->dict.I, E = e->b->E, m = d->m;
    Tensor z = {0}, zm = {0}, y = {0};
    bool ok = tensor_new(F64, 2, (int64_t[]){n, E}, &z, err) &&
              tensor_new(F64, 2, (int64_t[]){n, E}, &zm, err) &&
              tensor_new(F64, 2, (int64_t[]){n, e->b->C}, &y, err) &&
              blas_gemm_f64(false, true, n, m, I, 1, f64(x), I, f64(&d->W0), I, 0,
                            f64(&w->xw) + first * m, m, err) &&
              blas_gemm_f64(false, true, n, E, I, 1, f64(x), I, f64(&e->b->embed), I, 0,
                            f64(&z), E, err) &&
              own_answers(d, e, first, &z, &zm, &y, err) &&
              blas_gemm_f64(false, false, n, E, E, 1, f64(&z), E,
                            f64(&e->b->core) + d->c * E * E, E, 0, f64(&zm), E, err) &&
              blas_gemm_f64(false, true, n, m, E, 1, f64(&zm), E, f64(rows), E, 0,
                            f64(&w->zm) + first * m, m, err);
    tensor_release(&z);
    tensor_release(&zm);
    tensor_release(&y);
    return ok;
}

/* --- the other components --------------------------------------------------------- */

static double head_size(const Dictionary *d, int64_t r)
{
    double s = 0;
    for (int64_t c = 0; c < d->C; c++) {
        double h = (double)((float *)d->head.data)[r * d->C + c];
        s += h * h;
    }
    return sqrt(s);
}

/* Into the `room` strongest so far; ties by number. */
static void keep(DialStrong *top, int64_t *n, int64_t room, DialStrong s)
{
    if (room == 0 || (*n == room && !(s.size > top[*n - 1].size)))
        return;
    int64_t k = *n < room ? (*n)++ : *n - 1;
    for (; k > 0 && s.size > top[k - 1].size; k--)
        top[k] = top[k - 1];
    top[k] = s;
}

/* act [n,R] of all components on images first.. */
static void others_block(GaugeDial *d, int64_t first, int64_t n, const double *act,
                         const double *size)
{
    DialImages *w = &d->images;
    for (int64_t i = 0; i < n; i++) {
        int64_t used = 0, own = 0;
        for (int64_t r = 0; r < d->dict.R; r++) {
            if (own < d->n && d->rows[own] == r) {
                own++;
                continue;
            }
            double a = act[i * d->dict.R + r];
            keep(w->strong + (first + i) * w->kept, &used, w->kept,
                 (DialStrong){fabs(a) * size[r], a, (int32_t)r});
        }
    }
}

/* --- all -------------------------------------------------------------------------- */

typedef struct Wide {
    Tensor a, b, rows; /* f64 factors [R,I] and W0 in the embedding [m,E] */
    double *size;
} Wide;

static bool wide_new(const GaugeDial *d, const DictEval *e, Wide *w, Err *err)
{
    int64_t I = d->dict.I, E = e->b->E;
    *w = (Wide){0};
    bool ok = tensor_convert(&d->dict.a, F64, &w->a, err) &&
              tensor_convert(&d->dict.b, F64, &w->b, err) &&
              tensor_new(F64, 2, (int64_t[]){d->m, E}, &w->rows, err) &&
              blas_gemm_f64(false, true, d->m, E, I, 1, f64(&d->W0), I,
                            f64(&e->b->embed), I, 0, f64(&w->rows), E, err) &&
              (w->size = mem_array((size_t)d->dict.R, sizeof *w->size, err));
    for (int64_t r = 0; ok && r < d->dict.R; r++)
        w->size[r] = head_size(&d->dict, r);
    return ok;
}

static bool block(GaugeDial *d, const DictEval *e, const Wide *w, int64_t first,
                  int64_t n, Err *err)
{
    int64_t R = d->dict.R, I = d->dict.I;
    Tensor x = {0}, xa = {0}, xb = {0};
    bool ok = metrics_wide_rows(e->x, first, n, &x, err) &&
              tensor_new(F64, 2, (int64_t[]){n, R}, &xa, err) &&
              tensor_new(F64, 2, (int64_t[]){n, R}, &xb, err) &&
              blas_gemm_f64(false, true, n, R, I, 1, f64(&x), I, f64(&w->a), I, 0,
                            f64(&xa), R, err) &&
              blas_gemm_f64(false, true, n, R, I, 1, f64(&x), I, f64(&w->b), I, 0,
                            f64(&xb), R, err) &&
              own_block(d, e, first, &x, &w->rows, err);
    for (int64_t i = 0; ok && i < n * R; i++)
        f64(&xa)[i] *= f64(&xb)[i];
    if (ok)
        others_block(d, first, n, f64(&xa), w->size);
    tensor_release(&x);
    tensor_release(&xa);
    tensor_release(&xb);
    return ok;
}

bool dial_images_new(GaugeDial *d, const DictEval *e, Err *err)
{
    Wide w = {0};
    char shape[96];
    const Tensor *x = e->x, *l = e->labels;
    if (x->dtype != F32 || x->ndim != 2 || x->dim[1] != d->dict.I || x->dim[0] < 1 ||
        !tensor_contiguous(x))
        return err_set(err, ERR_SHAPE,
                       "a dial: the images are %s, they must be f32[N,%lld] with N at "
                       "least 1",
                       tensor_format_shape(x, shape), (long long)d->dict.I);
    if (l && (l->dtype != I32 || tensor_count(l) < x->dim[0] || !tensor_contiguous(l)))
        return err_set(err, ERR_SHAPE, "a dial: the labels are %s, not i32[%lld]",
                       tensor_format_shape(l, shape), (long long)x->dim[0]);
    bool ok = images_room(d, e, err) && wide_new(d, e, &w, err);
    int64_t N = d->images.N;
    if (ok)
        memcpy(d->bias, e->b->bias.data, sizeof *d->bias * (size_t)d->dict.C);
    if (ok && l)
        memcpy(d->images.label, l->data, sizeof *d->images.label * (size_t)N);
    for (int64_t i = 0; ok && i < N; i += BLOCK)
        ok = intr_check(err) && block(d, e, &w, i, N - i < BLOCK ? N - i : BLOCK, err);
    tensor_release(&w.a);
    tensor_release(&w.b);
    tensor_release(&w.rows);
    mem_free(w.size);
    return ok;
}
