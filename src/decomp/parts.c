/* parts.c -- balanced, a +- b are sqrt(2 (|a||b| +- a.b)) times the unit patterns, so
 * plus = |a+b|^2 / 4 and minus = |a-b|^2 / 4. */
#include "decomp/parts.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "decomp/sae_metrics.h"
#include "tensor/blas.h"

static double dot(const float *x, const float *y, int64_t n)
{
    double s = 0;
    for (int64_t i = 0; i < n; i++)
        s += (double)x[i] * (double)y[i];
    return s;
}

void dict_eigenvalues(const Dictionary *d, int64_t r, double *plus, double *minus)
{
    const float *a = (float *)d->a.data + r * d->I, *b = (float *)d->b.data + r * d->I;
    double ab = dot(a, b, d->I);
    double size = sqrt(dot(a, a, d->I)) * sqrt(dot(b, b, d->I));
    *plus = fmax(0.5 * (size + ab), 0);
    *minus = fmax(0.5 * (size - ab), 0);
}

/* Patterns of the displayed components alone. */
static bool shown_patterns(const Dictionary *d, Tensor *q, Err *err)
{
    Dictionary part = {0};
    bool ok = dict_part(d, 0, d->shown, &part, err) &&
              dict_patterns(&part, NULL, false, q, err);
    dict_done(&part);
    return ok;
}

bool dict_sides(const Dictionary *d, const Tensor *x, Tensor *out, Err *err)
{
    char shape[96];
    int64_t n = 2 * d->shown;
    Tensor q = {0};
    memset(out, 0, sizeof *out);
    if (x->dtype != F32 || x->ndim != 2 || x->dim[1] != d->I || !tensor_contiguous(x))
        return err_set(err, ERR_SHAPE, "images are %s, they must be f32[N,%lld]",
                       tensor_format_shape(x, shape), (long long)d->I);
    bool ok = shown_patterns(d, &q, err) &&
              tensor_new(F32, 2, (int64_t[]){x->dim[0], n}, out, err) &&
              blas_gemm_f32(false, true, x->dim[0], n, d->I, 1, x->data, d->I, q.data,
                            d->I, 0, out->data, n, err);
    for (int64_t k = 0; ok && k < n; k++) {
        double value[2];
        dict_eigenvalues(d, k / 2, &value[0], &value[1]);
        for (int64_t i = 0; i < x->dim[0]; i++) {
            float *v = (float *)out->data + i * n + k;
            *v = (float)(value[k % 2] * (double)*v * (double)*v);
        }
    }
    tensor_release(&q);
    if (!ok)
        tensor_release(out);
    return ok;
}

bool dict_examples(const Dictionary *d, const Tensor *x, int64_t n, Tensor *out,
                   Err *err)
{
    Tensor sides = {0};
    memset(out, 0, sizeof *out);
    bool ok = dict_sides(d, x, &sides, err) && sae_top_examples(&sides, n, out, err);
    tensor_release(&sides);
    return ok;
}

/* --- top pixels ------------------------------------------------------------------- */

static int falling(const void *x, const void *y)
{
    double a = *(const double *)x, b = *(const double *)y;
    return (a < b) - (a > b);
}

/* What equals the last that is kept stays, too. */
static void keep_largest(float *q, int64_t I, int64_t keep, double *scratch)
{
    if (keep >= I)
        return;
    for (int64_t i = 0; i < I; i++)
        scratch[i] = fabs((double)q[i]);
    qsort(scratch, (size_t)I, sizeof *scratch, falling);
    for (int64_t i = 0; i < I; i++)
        q[i] = fabs((double)q[i]) < scratch[keep - 1] ? 0 : q[i];
}

bool patterns_keep(Tensor *q, int64_t pixels, Err *err)
{
    if (pixels < 1)
        return err_set(err, ERR_OPTION, "a pattern needs at least one pixel, got %lld",
                       (long long)pixels);
    int64_t I = q->dim[1];
    double *scratch = mem_array((size_t)I, sizeof *scratch, err);
    for (int64_t r = 0; scratch && r < q->dim[0]; r++)
        keep_largest((float *)q->data + r * I, I, pixels, scratch);
    mem_free(scratch);
    return scratch != NULL;
}

bool dict_denoise(const Dictionary *d, int64_t pixels, Dictionary *out, Err *err)
{
    int64_t I = d->I, C = d->C;
    Tensor q = {0};
    memset(out, 0, sizeof *out);
    bool ok = shown_patterns(d, &q, err) && patterns_keep(&q, pixels, err) &&
              dict_new(d->shown, C, I, out, err);
    for (int64_t r = 0; ok && r < d->shown; r++) {
        const float *u = (float *)q.data + 2 * r * I, *w = u + I;
        double plus, minus;
        dict_eigenvalues(d, r, &plus, &minus);
        for (int64_t i = 0; i < I; i++) {
            double p = sqrt(plus) * (double)u[i], n = sqrt(minus) * (double)w[i];
            ((float *)out->a.data)[r * I + i] = (float)(p + n);
            ((float *)out->b.data)[r * I + i] = (float)(p - n);
        }
        memcpy((float *)out->head.data + r * C, (float *)d->head.data + r * C,
               sizeof(float) * (size_t)C);
    }
    if (ok)
        dict_find_owners(out);
    tensor_release(&q);
    return ok;
}

bool class_means(const Tensor *x, const Tensor *labels, int64_t C, Tensor *out,
                 Err *err)
{
    int64_t N = x->dim[0], I = x->ndim == 2 ? x->dim[1] : 0;
    const int32_t *label = labels->data;
    memset(out, 0, sizeof *out);
    if (x->dtype != F32 || x->ndim != 2 || labels->dtype != I32 ||
        tensor_count(labels) < N)
        return err_set(err, ERR_SHAPE,
                       "class means need f32[N,I] images and i32[N] labels");
    int64_t *n = mem_zalloc(sizeof *n * (size_t)C, err);
    double *sum = mem_zalloc(sizeof *sum * (size_t)(C * I), err);
    bool ok = n && sum && tensor_new(F32, 2, (int64_t[]){C, I}, out, err);
    for (int64_t k = 0; ok && k < N; k++) {
        int64_t c = label[k];
        if (c < 0 || c >= C)
            continue;
        n[c]++;
        for (int64_t i = 0; i < I; i++)
            sum[c * I + i] += (double)((float *)x->data)[k * I + i];
    }
    for (int64_t i = 0; ok && i < C * I; i++)
        ((float *)out->data)[i] = n[i / I] ? (float)(sum[i] / (double)n[i / I]) : 0;
    mem_free(n);
    mem_free(sum);
    return ok;
}
