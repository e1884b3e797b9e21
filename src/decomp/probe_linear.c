/* probe_linear.c -- all classes at once, with one matrix for all of them: the curvature
 * of a logistic loss is nowhere above a quarter of the features' second moment, so steps
 * by the inverse of that bound never overshoot (Boehning 1992); momentum that starts
 * again where it points uphill makes them fast. Features are standardised in f32, the
 * weights are in double. */
#include <math.h>
#include <string.h>

#include "base/intr.h"
#include "base/mem.h"
#include "decomp/probe.h"
#include "tensor/blas.h"
#include "tensor/lapack.h"

enum { ROUNDS = 400 };
static const double close_enough = 1e-6; /* of the gradient */
/* Second moments of standardised features in f32 are wrong by less than this. Without
 * as much in the diagonal, features that depend on each other leave no bound. */
static const double moment_error = 2e-7;

typedef struct Fit {
    const int32_t *label;
    int64_t N, F, C;
    double ridge;
    Tensor z, s, inverse;  /* f32 [N,F], f32 [N,C], f64 [F,F] */
    double *mean, *scale;  /* [F] */
    double *w, *v, *g, *d; /* [F+1,C]: weights, where the gradient is, it, the step */
    double *momentum;      /* [C] */
    float *narrow;         /* [F,C] */
} Fit;

static bool moments(Fit *f, const float *x, Err *err)
{
    int64_t N = f->N, F = f->F;
    for (int64_t i = 0; i < N; i++) {
        for (int64_t k = 0; k < F; k++)
            f->mean[k] += (double)x[i * F + k] / (double)N;
        if (!intr_check(err))
            return false;
    }
    for (int64_t i = 0; i < N; i++) {
        for (int64_t k = 0; k < F; k++) {
            double c = (double)x[i * F + k] - f->mean[k];
            f->scale[k] += c * c / (double)N;
        }
        if (!intr_check(err))
            return false;
    }
    return true;
}

static bool standardise(Fit *f, const float *x, Err *err)
{
    float *z = f->z.data;
    if (!moments(f, x, err))
        return false;
    for (int64_t k = 0; k < f->F; k++) {
        if (!isfinite(f->scale[k]))
            return err_set(err, ERR_NUMERIC, "feature %lld is not finite",
                           (long long)k);
        f->scale[k] = f->scale[k] > 0 ? 1 / sqrt(f->scale[k]) : 0;
    }
    for (int64_t i = 0; i < f->N; i++) {
        for (int64_t k = 0; k < f->F; k++, x++)
            *z++ = (float)(((double)*x - f->mean[k]) * f->scale[k]);
        if (!intr_check(err))
            return false;
    }
    return true;
}

/* The inverse of z'z / 4N + ridge, or of a little more. */
static bool bound(Fit *f, Err *err)
{
    Tensor gram = {0}, wide = {0}, one = {0};
    int64_t dim[2] = {f->F, f->F};
    double slack = moment_error * (double)f->F;
    bool ok =
        tensor_new(F32, 2, dim, &gram, err) && tensor_zeros(F64, 2, dim, &one, err) &&
        blas_gemm_f32(true, false, f->F, f->F, f->N, 0.25f / (float)f->N, f->z.data,
                      f->F, f->z.data, f->F, 0, gram.data, f->F, err) &&
        tensor_convert(&gram, F64, &wide, err);
    for (int64_t k = 0; ok && k < f->F; k++) {
        ((double *)wide.data)[k * f->F + k] += f->ridge + slack;
        ((double *)one.data)[k * f->F + k] = 1;
    }
    ok = ok && lapack_solve(&wide, &one, &f->inverse, err);
    Tensor *const own[] = {&gram, &wide, &one};
    for (size_t i = 0; i < ARRAY_LEN(own); i++)
        tensor_release(own[i]);
    return ok;
}

/* Scores of weights w [F+1,C] to s: z w, and the intercepts apart. */
static bool scores(Fit *f, const double *w, const Tensor *z, Tensor *s, Err *err)
{
    for (int64_t i = 0; i < f->F * f->C; i++)
        f->narrow[i] = (float)w[i];
    return blas_gemm_f32(false, false, z->dim[0], f->C, f->F, 1, z->data, f->F,
                         f->narrow, f->C, 0, s->data, f->C, err);
}

/* g at v; the largest of its elements. */
static bool gradient(Fit *f, double *most, Err *err)
{
    int64_t C = f->C, all = f->F * C;
    float *s = f->s.data;
    if (!scores(f, f->v, &f->z, &f->s, err))
        return false;
    memset(f->g + all, 0, sizeof *f->g * (size_t)C);
    for (int64_t i = 0; i < f->N * C; i++) {
        int64_t c = i % C;
        double p = 1 / (1 + exp(-(double)s[i] - f->v[all + c]));
        double miss = (p - (f->label[i / C] == c)) / (double)f->N;
        s[i] = (float)miss;
        f->g[all + c] += miss;
    }
    if (!blas_gemm_f32(true, false, f->F, C, f->N, 1, f->z.data, f->F, s, C, 0,
                       f->narrow, C, err))
        return false;
    *most = 0;
    for (int64_t i = 0; i < all; i++)
        f->g[i] = (double)f->narrow[i] + f->ridge * f->v[i];
    for (int64_t i = 0; i < all + C; i++) {
        if (!isfinite(f->g[i]))
            return err_set(err, ERR_NUMERIC,
                           "the weights of a linear probe are not finite; a larger "
                           "ridge keeps them so");
        *most = fmax(*most, fabs(f->g[i]));
    }
    return true;
}

/* From v down to w, and v ahead of it. */
static bool move(Fit *f, Err *err)
{
    int64_t C = f->C, all = f->F * C;
    if (!blas_gemm_f64(false, false, f->F, C, f->F, 1, f->inverse.data, f->F, f->g, C,
                       0, f->d, C, err))
        return false;
    for (int64_t c = 0; c < C; c++) {
        double uphill = 0, t = f->momentum[c];
        f->d[all + c] = 4 * f->g[all + c];
        for (int64_t i = c; i < all + C; i += C) {
            double next = f->v[i] - f->d[i];
            uphill += f->g[i] * (next - f->w[i]);
            f->d[i] = next - f->w[i];
            f->w[i] = next;
        }
        double then = (1 + sqrt(1 + 4 * t * t)) / 2;
        double ahead = uphill > 0 ? 0 : (t - 1) / then;
        f->momentum[c] = uphill > 0 ? 1 : then;
        for (int64_t i = c; i < all + C; i += C)
            f->v[i] = f->w[i] + ahead * f->d[i];
    }
    return true;
}

static bool descend(Fit *f, double *most, Err *err)
{
    for (int64_t c = 0; c < f->C; c++)
        f->momentum[c] = 1;
    for (int round = 0; round < ROUNDS; round++) {
        if (!intr_check(err) || !gradient(f, most, err) || !move(f, err))
            return false;
        if (*most < close_enough)
            break;
    }
    return true;
}

static bool put(const Fit *f, LinearProbe *out, Err *err)
{
    int64_t C = f->C, F = f->F;
    if (!tensor_new(F64, 2, (int64_t[]){C, F}, &out->weight, err) ||
        !tensor_new(F64, 1, &C, &out->bias, err) ||
        !tensor_new(F64, 1, &C, &out->f1, err))
        return false;
    for (int64_t c = 0; c < C; c++) {
        double b = f->w[F * C + c];
        for (int64_t k = 0; k < F; k++) {
            double w = f->w[k * C + c] * f->scale[k];
            ((double *)out->weight.data)[c * F + k] = w;
            b -= w * f->mean[k];
        }
        ((double *)out->bias.data)[c] = b;
    }
    return true;
}

double probe_linear_score(const LinearProbe *p, int64_t c, const float *x)
{
    int64_t F = p->weight.dim[1];
    const double *w = (const double *)p->weight.data + c * F;
    double s = ((const double *)p->bias.data)[c];
    for (int64_t k = 0; k < F; k++)
        s += w[k] * (double)x[k];
    return s;
}

static bool judge(LinearProbe *p, const Tensor *xt, const int32_t *label, Err *err)
{
    int64_t C = p->weight.dim[0], F = p->weight.dim[1];
    for (int64_t c = 0; c < C; c++) {
        double hit = 0, wrong = 0;
        for (int64_t i = 0; i < xt->dim[0]; i++) {
            bool yes = probe_linear_score(p, c, (const float *)xt->data + i * F) > 0;
            hit += yes && label[i] == c;
            wrong += yes != (label[i] == c);
        }
        ((double *)p->f1.data)[c] = hit > 0 ? 2 * hit / (2 * hit + wrong) : 0;
        if (!intr_check(err))
            return false;
    }
    return true;
}

static bool make(Fit *f, Err *err)
{
    int64_t w = (f->F + 1) * f->C;
    return tensor_new(F32, 2, (int64_t[]){f->N, f->F}, &f->z, err) &&
           tensor_new(F32, 2, (int64_t[]){f->N, f->C}, &f->s, err) &&
           (f->mean =
                mem_zalloc(sizeof *f->mean * (size_t)(2 * f->F + 4 * w + f->C), err)) &&
           (f->narrow = mem_alloc(sizeof *f->narrow * (size_t)(f->F * f->C), err));
}

bool probe_linear(const Tensor *x, const Tensor *labels, const Tensor *xt,
                  const Tensor *test_labels, int64_t C, double ridge, LinearProbe *out,
                  Err *err)
{
    *out = (LinearProbe){0};
    if (!probe_check(x, labels, xt, test_labels, C, err))
        return false;
    Fit f = {
        .label = labels->data, .N = x->dim[0], .F = x->dim[1], .C = C, .ridge = ridge};
    bool ok = make(&f, err);
    if (ok) {
        int64_t w = (f.F + 1) * C;
        f.scale = f.mean + f.F;
        f.w = f.scale + f.F;
        f.v = f.w + w;
        f.g = f.v + w;
        f.d = f.g + w;
        f.momentum = f.d + w;
        ok = standardise(&f, x->data, err) && bound(&f, err) &&
             descend(&f, &out->residual, err) && put(&f, out, err) &&
             judge(out, xt, test_labels->data, err);
    }
    Tensor *const own[] = {&f.z, &f.s, &f.inverse};
    for (size_t i = 0; i < ARRAY_LEN(own); i++)
        tensor_release(own[i]);
    mem_free(f.mean);
    mem_free(f.narrow);
    if (!ok)
        probe_linear_done(out);
    return ok;
}

void probe_linear_done(LinearProbe *p)
{
    tensor_release(&p->weight);
    tensor_release(&p->bias);
    tensor_release(&p->f1);
    *p = (LinearProbe){0};
}
