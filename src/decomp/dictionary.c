/* dictionary.c -- balance, display, activations, order, files. */
#include "decomp/dictionary.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "tensor/blas.h"

static float *f32(const Tensor *t)
{
    return t->data;
}

bool dict_new(int64_t R, int64_t C, int64_t I, Dictionary *out, Err *err)
{
    memset(out, 0, sizeof *out);
    if (R < 1 || C < 1 || I < 1)
        return err_set(err, ERR_SHAPE,
                       "a dictionary needs at least one component, class and "
                       "pixel, got %lld, %lld, %lld",
                       (long long)R, (long long)C, (long long)I);
    if (tensor_zeros(F32, 2, (int64_t[]){R, I}, &out->a, err) &&
        tensor_zeros(F32, 2, (int64_t[]){R, I}, &out->b, err) &&
        tensor_zeros(F32, 2, (int64_t[]){R, C}, &out->head, err) &&
        tensor_zeros(I32, 1, &R, &out->owner, err)) {
        out->R = out->shown = R;
        out->C = C;
        out->I = I;
        return true;
    }
    dict_done(out);
    return false;
}

void dict_done(Dictionary *d)
{
    tensor_release(&d->a);
    tensor_release(&d->b);
    tensor_release(&d->head);
    tensor_release(&d->owner);
    memset(d, 0, sizeof *d);
}

bool dict_part(const Dictionary *d, int64_t first, int64_t n, Dictionary *out, Err *err)
{
    memset(out, 0, sizeof *out);
    if (first < 0 || n < 1 || first + n > d->R)
        return err_set(err, ERR_SHAPE,
                       "components %lld to %lld are not in a dictionary of %lld",
                       (long long)first, (long long)(first + n - 1), (long long)d->R);
    if (tensor_slice(&d->a, 0, first, first + n, 1, &out->a, err) &&
        tensor_slice(&d->b, 0, first, first + n, 1, &out->b, err) &&
        tensor_slice(&d->head, 0, first, first + n, 1, &out->head, err) &&
        tensor_slice(&d->owner, 0, first, first + n, 1, &out->owner, err)) {
        out->R = out->shown = n;
        out->C = d->C;
        out->I = d->I;
        return true;
    }
    dict_done(out);
    return false;
}

/* Components first..first+n-1 of src behind the *at that dst has already. */
static void put_components(const Dictionary *src, int64_t first, int64_t n,
                           Dictionary *dst, int64_t *at)
{
    const Tensor *from[3] = {&src->a, &src->b, &src->head};
    const Tensor *to[3] = {&dst->a, &dst->b, &dst->head};
    for (int k = 0; k < 3; k++) {
        int64_t m = from[k]->dim[1];
        memcpy(f32(to[k]) + *at * m, f32(from[k]) + first * m,
               sizeof(float) * (size_t)(n * m));
    }
    *at += n;
}

bool dict_join(const Dictionary *x, const Dictionary *y, Dictionary *out, Err *err)
{
    int64_t at = 0;
    memset(out, 0, sizeof *out);
    if (x->C != y->C || x->I != y->I)
        return err_set(err, ERR_SHAPE,
                       "the dictionaries have %lld and %lld classes, %lld and %lld "
                       "pixels; they must agree",
                       (long long)x->C, (long long)y->C, (long long)x->I,
                       (long long)y->I);
    if (!dict_new(x->R + y->R, x->C, x->I, out, err))
        return false;
    put_components(x, 0, x->shown, out, &at);
    put_components(y, 0, y->shown, out, &at);
    out->shown = at;
    put_components(x, x->shown, x->R - x->shown, out, &at);
    put_components(y, y->shown, y->R - y->shown, out, &at);
    dict_find_owners(out);
    return true;
}

void dict_find_owners(Dictionary *d)
{
    for (int64_t r = 0; r < d->R; r++) {
        const float *h = f32(&d->head) + r * d->C;
        int32_t top = 0;
        for (int32_t c = 1; c < d->C; c++)
            if (fabsf(h[c]) > fabsf(h[top]))
                top = c;
        ((int32_t *)d->owner.data)[r] = top;
    }
}

static double norm(const float *x, int64_t n)
{
    double s = 0;
    for (int64_t i = 0; i < n; i++)
        s += (double)x[i] * (double)x[i];
    return sqrt(s);
}

/* Factor t with |t a| = |b / t|. */
static double balance_of(const float *a, const float *b, int64_t n)
{
    return sqrt((norm(b, n) + 1e-12) / (norm(a, n) + 1e-12));
}

void dict_balance(Dictionary *d)
{
    for (int64_t r = 0; r < d->R; r++) {
        float *a = f32(&d->a) + r * d->I, *b = f32(&d->b) + r * d->I;
        double t = balance_of(a, b, d->I);
        for (int64_t i = 0; i < d->I; i++) {
            a[i] = (float)((double)a[i] * t);
            b[i] = (float)((double)b[i] / t);
        }
    }
}

static void show_pair(const float *a, const float *b, int64_t n, bool raw, float *plus,
                      float *minus)
{
    double t = raw ? 1 : balance_of(a, b, n);
    for (int64_t i = 0; i < n; i++) {
        plus[i] = (float)((double)a[i] * t + (double)b[i] / t);
        minus[i] = (float)((double)a[i] * t - (double)b[i] / t);
    }
    double p = norm(plus, n) + 1e-12, m = norm(minus, n) + 1e-12;
    /* of a single eigenvector the other picture is rounding noise: show nothing */
    double noise = 1e-6 * fmax(p, m);
    for (int64_t i = 0; i < n; i++) {
        plus[i] = p > noise ? (float)((double)plus[i] / p) : 0;
        minus[i] = m > noise ? (float)((double)minus[i] / m) : 0;
    }
}

/* x [R,I] f32 times S [I,I] f64, rounded to f32; S NULL: another reference to x. */
static bool through_metric(const Tensor *x, const Tensor *S, Tensor *out, Err *err)
{
    Tensor wide = {0}, y = {0};
    if (!S) {
        *out = tensor_retain(x);
        return true;
    }
    bool ok = tensor_convert(x, F64, &wide, err) && metric_apply(S, &wide, &y, err) &&
              tensor_convert(&y, F32, out, err);
    tensor_release(&wide);
    tensor_release(&y);
    return ok;
}

bool dict_patterns(const Dictionary *d, const Tensor *S, bool raw, Tensor *out,
                   Err *err)
{
    Tensor a = {0}, b = {0};
    memset(out, 0, sizeof *out);
    bool ok = through_metric(&d->a, S, &a, err) && through_metric(&d->b, S, &b, err) &&
              tensor_new(F32, 2, (int64_t[]){2 * d->R, d->I}, out, err);
    for (int64_t r = 0; ok && r < d->R; r++)
        show_pair(f32(&a) + r * d->I, f32(&b) + r * d->I, d->I, raw,
                  f32(out) + 2 * r * d->I, f32(out) + (2 * r + 1) * d->I);
    tensor_release(&a);
    tensor_release(&b);
    return ok;
}

bool dict_activations(const Dictionary *d, const Tensor *x, Tensor *act, Tensor *logits,
                      Err *err)
{
    int64_t N = x->ndim == 2 ? x->dim[0] : 0;
    Tensor xa = {0}, xb = {0};
    if (act)
        memset(act, 0, sizeof *act);
    if (logits)
        memset(logits, 0, sizeof *logits);
    char shape[96];
    if (x->ndim != 2 || x->dim[1] != d->I || x->dtype != F32 || !tensor_contiguous(x))
        return err_set(err, ERR_SHAPE,
                       "activations: x is %s, it must be f32[N,%lld] without "
                       "gaps",
                       tensor_format_shape(x, shape), (long long)d->I);
    bool ok = tensor_new(F32, 2, (int64_t[]){N, d->R}, &xa, err) &&
              tensor_new(F32, 2, (int64_t[]){N, d->R}, &xb, err) &&
              blas_gemm_f32(false, true, N, d->R, d->I, 1, x->data, d->I, d->a.data,
                            d->I, 0, xa.data, d->R, err) &&
              blas_gemm_f32(false, true, N, d->R, d->I, 1, x->data, d->I, d->b.data,
                            d->I, 0, xb.data, d->R, err);
    for (int64_t i = 0; ok && i < N * d->R; i++)
        f32(&xa)[i] *= f32(&xb)[i];
    if (ok && logits)
        ok = tensor_new(F32, 2, (int64_t[]){N, d->C}, logits, err) &&
             blas_gemm_f32(false, false, N, d->C, d->R, 1, xa.data, d->R, d->head.data,
                           d->C, 0, logits->data, d->C, err);
    if (ok && act)
        *act = tensor_retain(&xa);
    if (!ok && logits)
        tensor_release(logits);
    tensor_release(&xa);
    tensor_release(&xb);
    return ok;
}

bool dict_save(const Dictionary *d, const char *path, Err *err)
{
    TensorSet *s = tset_new(err);
    char shown[24];
    snprintf(shown, sizeof shown, "%lld", (long long)d->shown);
    bool ok =
        s && tset_add_meta(s, "shown", shown, err) && tset_add(s, "a", &d->a, err) &&
        tset_add(s, "b", &d->b, err) && tset_add(s, "head", &d->head, err) &&
        tset_add_meta(s, "cleave", "dictionary", err) && safetensors_save(path, s, err);
    tset_free(s);
    return ok;
}

static bool has_shape(const Tensor *t, int64_t n, int64_t m)
{
    return t && t->dtype == F32 && t->ndim == 2 && t->dim[0] == n && t->dim[1] == m;
}

bool dict_load(const char *path, Dictionary *out, Err *err)
{
    TensorSet *s = NULL;
    memset(out, 0, sizeof *out);
    if (!safetensors_load(path, &s, err))
        return false;
    const Tensor *a = tset_get(s, "a"), *b = tset_get(s, "b"), *h = tset_get(s, "head");
    bool ok = a && a->ndim == 2 && h && h->ndim == 2 &&
              has_shape(a, a->dim[0], a->dim[1]) &&
              has_shape(b, a->dim[0], a->dim[1]) && has_shape(h, a->dim[0], h->dim[1]);
    if (!ok)
        err_set(err, ERR_FORMAT,
                "%s is not a dictionary: it needs f32 tensors a and b of one "
                "shape [R,I] and head [R,C]",
                path);
    ok = ok && dict_new(a->dim[0], h->dim[1], a->dim[1], out, err) &&
         tensor_copy_into(a, &out->a, err) && tensor_copy_into(b, &out->b, err) &&
         tensor_copy_into(h, &out->head, err);
    if (ok) {
        const char *shown = tset_meta(s, "shown");
        long long n = shown ? strtoll(shown, NULL, 10) : 0;
        out->shown = n >= 1 && n <= out->R ? n : out->R;
        dict_find_owners(out);
    } else {
        dict_done(out);
    }
    tset_free(s);
    return ok;
}
