/* anchors.c -- templates taken from the data, and the tensor a dictionary leaves over.
 * B - T has the embedding of B stacked on the factors of T: cores
 *   [ M_c  0           0          ]
 *   [ 0    0           -diag(D)/2 ]
 *   [ 0    -diag(D)/2  0          ]   over rows embed, a, b. */
#include <math.h>
#include <string.h>

#include "decomp/family.h"
#include "tensor/blas.h"
#include "tensor/lapack.h"

static void unit_row(float *q, int64_t I)
{
    double mean = 0, n = 0;
    for (int64_t i = 0; i < I; i++)
        mean += (double)q[i] / (double)I;
    for (int64_t i = 0; i < I; i++)
        n += pow((double)q[i] - mean, 2);
    n = sqrt(n);
    for (int64_t i = 0; i < I; i++)
        q[i] = n > 1e-30 ? (float)(((double)q[i] - mean) / n) : 0;
}

/* Class means into rows 0..C-1, differences behind them. */
static void class_rows(const Tensor *x, const int32_t *label, int64_t C, float *out)
{
    int64_t N = x->dim[0], I = x->dim[1], at = C;
    const float *p = x->data;
    for (int64_t c = 0; c < C; c++) {
        int64_t n = 0;
        for (int64_t k = 0; k < N; k++)
            if (label[k] == c) {
                n++;
                for (int64_t i = 0; i < I; i++)
                    out[c * I + i] += p[k * I + i];
            }
        for (int64_t i = 0; n && i < I; i++)
            out[c * I + i] /= (float)n;
    }
    for (int64_t c = 0; c < C; c++)
        for (int64_t e = c + 1; e < C; e++, at++)
            for (int64_t i = 0; i < I; i++)
                out[at * I + i] = out[c * I + i] - out[e * I + i];
}

/* The n leading eigenvectors of the covariance of x as rows. */
static bool principal_rows(const Tensor *x, int64_t n, float *out, Err *err)
{
    int64_t N = x->dim[0], I = x->dim[1];
    Tensor cov = {0}, val = {0}, vec = {0}, mean = {0};
    bool ok = tensor_zeros(F32, 1, &I, &mean, err) &&
              tensor_new(F32, 2, (int64_t[]){I, I}, &cov, err);
    float *m = mean.data;
    for (int64_t k = 0; ok && k < N; k++)
        for (int64_t i = 0; i < I; i++)
            m[i] += ((float *)x->data)[k * I + i] / (float)N;
    ok = ok && blas_gemm_f32(true, false, I, I, N, 1 / (float)N, x->data, I, x->data, I,
                             0, cov.data, I, err);
    for (int64_t i = 0; ok && i < I * I; i++)
        ((float *)cov.data)[i] -= m[i / I] * m[i % I];
    ok = ok && lapack_eigh(&cov, EIGH_DESCENDING, &val, &vec, err);
    for (int64_t k = 0; ok && k < n; k++)
        for (int64_t i = 0; i < I; i++)
            out[k * I + i] = ((float *)vec.data)[i * I + k];
    Tensor *const all[] = {&cov, &val, &vec, &mean};
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        tensor_release(all[i]);
    return ok;
}

bool data_anchors(const Tensor *x, const Tensor *labels, int64_t C, int64_t n_pc,
                  Tensor *out, Err *err)
{
    char xs[96], ls[96];
    memset(out, 0, sizeof *out);
    if (x->dtype != F32 || x->ndim != 2 || !tensor_contiguous(x) ||
        labels->dtype != I32 || labels->ndim != 1 || labels->dim[0] < x->dim[0] ||
        !tensor_contiguous(labels) || n_pc < 0 || n_pc > x->dim[1] || x->dim[0] < 1)
        return err_set(err, ERR_SHAPE,
                       "anchors: images %s and labels %s must be f32[N,I] and i32[N], "
                       "with at most I principal components",
                       tensor_format_shape(x, xs), tensor_format_shape(labels, ls));
    int64_t I = x->dim[1], n = C + C * (C - 1) / 2;
    bool ok = tensor_zeros(F32, 2, (int64_t[]){n + n_pc, I}, out, err);
    if (ok)
        class_rows(x, labels->data, C, out->data);
    ok = ok && principal_rows(x, n_pc, (float *)out->data + n * I, err);
    for (int64_t k = 0; ok && k < n + n_pc; k++)
        unit_row((float *)out->data + k * I, I);
    if (!ok)
        tensor_release(out);
    return ok;
}

static void fill_rest(const Interaction *b, const Dictionary *d, Interaction *out)
{
    int64_t I = b->I, E = b->E, R = d->R, F = out->E;
    double *e = out->embed.data;
    memcpy(e, b->embed.data, tensor_bytes(&b->embed));
    for (int64_t i = 0; i < R * I; i++) {
        e[E * I + i] = (double)((float *)d->a.data)[i];
        e[(E + R) * I + i] = (double)((float *)d->b.data)[i];
    }
    for (int64_t c = 0; c < b->C; c++) {
        double *m = (double *)out->core.data + c * F * F;
        const double *old = (double *)b->core.data + c * E * E;
        for (int64_t k = 0; k < E; k++)
            memcpy(m + k * F, old + k * E, sizeof *m * (size_t)E);
        for (int64_t r = 0; r < R; r++) {
            double h = -0.5 * (double)((float *)d->head.data)[r * d->C + c];
            m[(E + r) * F + E + R + r] = m[(E + R + r) * F + E + r] = h;
        }
    }
}

bool interaction_minus(const Interaction *b, const Dictionary *d, Interaction *out,
                       Err *err)
{
    memset(out, 0, sizeof *out);
    if (d->I != b->I || d->C != b->C)
        return err_set(err, ERR_SHAPE,
                       "the dictionary has %lld classes of %lld pixels, the "
                       "interaction tensor %lld of %lld",
                       (long long)d->C, (long long)d->I, (long long)b->C,
                       (long long)b->I);
    out->C = b->C;
    out->I = b->I;
    out->E = b->E + 2 * d->R;
    bool ok =
        tensor_zeros(F64, 2, (int64_t[]){out->E, out->I}, &out->embed, err) &&
        tensor_zeros(F64, 3, (int64_t[]){out->C, out->E, out->E}, &out->core, err) &&
        tensor_copy(&b->bias, &out->bias, err);
    if (ok)
        fill_rest(b, d, out);
    else
        interaction_done(out);
    return ok;
}
