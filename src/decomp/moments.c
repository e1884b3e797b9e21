/* moments.c -- the means of all rows are taken off first, so that differences of sums
 * lose little; least squares by Cholesky, where a pivot that is next to nothing drops
 * its column. */
#include "decomp/moments.h"

#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "tensor/blas.h"

#define DEPENDENT 1e-10

static bool check(const Tensor *t, const char *name, Err *err)
{
    char shape[96];
    if (t->dtype != F64 || t->ndim != 2 || !tensor_contiguous(t) || t->dim[1] < 1)
        return err_set(err, ERR_SHAPE,
                       "%s is %s, it must be f64[rows,columns] with at least one "
                       "column",
                       name, tensor_format_shape(t, shape));
    if (!tensor_finite(t))
        return err_set(err, ERR_NUMERIC, "%s has values that are not finite", name);
    return true;
}

static bool check_both(const Tensor *X, const Tensor *Y, int64_t folds, Err *err)
{
    if (!check(X, "X", err) || !check(Y, "Y", err))
        return false;
    if (X->dim[0] != Y->dim[0])
        return err_set(err, ERR_SHAPE, "X has %lld rows and Y %lld",
                       (long long)X->dim[0], (long long)Y->dim[0]);
    if (X->dim[0] < 2 || X->dim[0] < folds)
        return err_set(err, ERR_SHAPE,
                       "%lld rows are too few for %lld folds: one row in each is the "
                       "least, and two in all",
                       (long long)X->dim[0], (long long)folds);
    return true;
}

/* Means of Z = [X Y], and the scale of X, into f. */
static void centre(FoldSet *f, const Tensor *X, const Tensor *Y, bool standardise,
                   double *z)
{
    int64_t N = X->dim[0], d = f->n + f->m;
    for (int64_t r = 0; r < N; r++) {
        memcpy(z + r * d, (double *)X->data + r * f->n, sizeof *z * (size_t)f->n);
        memcpy(z + r * d + f->n, (double *)Y->data + r * f->m,
               sizeof *z * (size_t)f->m);
    }
    for (int64_t k = 0; k < d; k++) {
        double mean = 0, var = 0, most = 0;
        for (int64_t r = 0; r < N; r++) {
            mean += z[r * d + k] / (double)N;
            most = fmax(most, fabs(z[r * d + k]));
        }
        for (int64_t r = 0; r < N; r++) {
            z[r * d + k] -= mean;
            var += z[r * d + k] * z[r * d + k] / (double)N;
        }
        f->mean[k] = mean;
        bool varies = sqrt(var) > 1e-12 * most;
        double scale = standardise && varies && k < f->n ? sqrt(var) : 1;
        if (k < f->n)
            f->scale[k] = scale;
        for (int64_t r = 0; r < N; r++)
            z[r * d + k] = varies ? z[r * d + k] / scale : 0;
    }
}

static bool sum_fold(const FoldSet *f, const double *z, int64_t rows, Moments *out,
                     Err *err)
{
    int64_t d = f->n + f->m;
    out->rows = (double)rows;
    for (int64_t r = 0; r < rows; r++) {
        for (int64_t k = 0; k < d; k++)
            out->s[k] += z[r * d + k];
        for (int64_t k = 0; k < f->m; k++)
            out->yy[k] += z[r * d + f->n + k] * z[r * d + f->n + k];
    }
    return blas_gemm_f64(true, false, f->n, d, rows, 1, z, d, z, d, 0, out->xz, d, err);
}

static double *place(Moments *mo, double *at, int64_t n, int64_t m)
{
    mo->xz = at;
    mo->s = mo->xz + n * (n + m);
    mo->yy = mo->s + n + m;
    return mo->yy + m;
}

static void add(const FoldSet *f, Moments *sum, const Moments *part)
{
    int64_t d = f->n + f->m;
    sum->rows += part->rows;
    for (int64_t k = 0; k < f->n * d; k++)
        sum->xz[k] += part->xz[k];
    for (int64_t k = 0; k < d; k++)
        sum->s[k] += part->s[k];
    for (int64_t k = 0; k < f->m; k++)
        sum->yy[k] += part->yy[k];
}

bool folds_new(const Tensor *X, const Tensor *Y, int64_t folds, bool standardise,
               FoldSet *out, Err *err)
{
    memset(out, 0, sizeof *out);
    if (!check_both(X, Y, folds, err))
        return false;
    int64_t N = X->dim[0], n = X->dim[1], m = Y->dim[1], d = n + m;
    *out = (FoldSet){.n = n, .m = m, .folds = folds};
    size_t one = (size_t)(n * d + d + m);
    double *z = mem_array((size_t)(N * d), sizeof *z, err);
    out->fold = z ? mem_array((size_t)folds, sizeof *out->fold, err) : NULL;
    out->memory =
        out->fold
            ? mem_zalloc(sizeof(double) * ((size_t)(folds + 1) * one + (size_t)(d + n)),
                         err)
            : NULL;
    bool ok = out->memory != NULL;
    if (ok) {
        double *at = place(&out->all, out->memory, n, m);
        for (int64_t k = 0; k < folds; k++)
            at = place(&out->fold[k], at, n, m);
        out->mean = at;
        out->scale = at + d;
        centre(out, X, Y, standardise, z);
    }
    for (int64_t k = 0, first = 0; ok && k < folds; k++) {
        int64_t rows = N / folds + (k < N % folds);
        ok = sum_fold(out, z + first * d, rows, &out->fold[k], err);
        add(out, &out->all, &out->fold[k]);
        first += rows;
    }
    mem_free(z);
    if (!ok)
        folds_done(out);
    return ok;
}

void folds_done(FoldSet *f)
{
    mem_free(f->fold);
    mem_free(f->memory);
    memset(f, 0, sizeof *f);
}

void moments_centre(const FoldSet *f, const Moments *a, const Moments *b, int64_t y,
                    double *g, double *q, double *mean)
{
    int64_t n = f->n, d = n + f->m;
    double rows = a->rows - (b ? b->rows : 0);
    for (int64_t k = 0; k < d; k++)
        mean[k] = (a->s[k] - (b ? b->s[k] : 0)) / rows;
    for (int64_t i = 0; i < n; i++) {
        const double *p = a->xz + i * d, *o = b ? b->xz + i * d : NULL;
        for (int64_t k = 0; k < n; k++)
            g[i * n + k] = (p[k] - (o ? o[k] : 0)) / rows - mean[i] * mean[k];
        q[i] = (p[n + y] - (o ? o[n + y] : 0)) / rows - mean[i] * mean[n + y];
    }
}

double moments_sse(const FoldSet *f, const Moments *a, int64_t y, const int32_t *list,
                   int64_t k, const double *w, double b)
{
    int64_t d = f->n + f->m;
    double sse = a->yy[y] + b * b * a->rows - 2 * b * a->s[f->n + y];
    for (int64_t i = 0; i < k; i++) {
        if (w[i] == 0)
            continue;
        int64_t at = list ? list[i] : i;
        const double *row = a->xz + at * d;
        double v = 2 * b * a->s[at] - 2 * row[f->n + y];
        for (int64_t l = 0; l < k; l++)
            v += w[l] * row[list ? list[l] : l];
        sse += w[i] * v;
    }
    return fmax(sse, 0);
}

double moments_sst(const FoldSet *f, const Moments *a, int64_t y)
{
    double s = a->s[f->n + y];
    double v = a->yy[y] - s * s / a->rows;
    return v > 1e-13 * a->yy[y] ? v : 0;
}

void moments_solve(const double *g, const double *q, int64_t n, const int32_t *list,
                   int64_t k, double *w, double *work)
{
    double *l = work, *z = work + k * k; /* g = l l^T, l z = q */
    for (int64_t i = 0; i < k; i++) {
        double own = g[list[i] * n + list[i]];
        for (int64_t c = 0; c <= i; c++) {
            double v = g[list[i] * n + list[c]];
            for (int64_t t = 0; t < c; t++)
                v -= l[i * k + t] * l[c * k + t];
            if (c < i)
                l[i * k + c] = l[c * k + c] > 0 ? v / l[c * k + c] : 0;
            else
                l[i * k + i] = v > DEPENDENT * own && own > 0 ? sqrt(v) : 0;
        }
        double v = q[list[i]];
        for (int64_t t = 0; t < i; t++)
            v -= l[i * k + t] * z[t];
        z[i] = l[i * k + i] > 0 ? v / l[i * k + i] : 0;
    }
    for (int64_t i = k - 1; i >= 0; i--) {
        double v = z[i];
        for (int64_t t = i + 1; t < k; t++)
            v -= l[t * k + i] * w[t];
        w[i] = l[i * k + i] > 0 ? v / l[i * k + i] : 0;
    }
}
