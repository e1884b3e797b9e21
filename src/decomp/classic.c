/* classic.c -- an unfolding X_(k) is [n_k, rest] with the later of the two other modes
 * running fastest, as are rows of the Khatri-Rao products. Errors come from Gram
 * matrices: |X - T|^2 = |X|^2 - 2 <X,T> + |T|^2. */
#include "decomp/classic.h"

#include <math.h>
#include <string.h>

#include "base/intr.h"
#include "tensor/blas.h"
#include "tensor/lapack.h"
#include "tensor/rng.h"

#define OPT(type, name, dflt, lo, hi, doc)                                             \
    {                                                                                  \
#name, type, offsetof(AlsCfg, name), dflt, lo, hi, NULL, doc                   \
    }
const OptRow als_options[] = {
    OPT(OPT_INT, components, "64", 1, 100000, "Rank-one parts."),
    OPT(OPT_INT, steps, "60", 0, 1000000, "Sweeps over the three factors."),
    OPT(OPT_INT, seed, "1", 0, 0, "Seed of the Gaussian start."),
    OPT(OPT_NUM, tolerance, "1e-5", 0, 1,
        "Stop when a sweep lowers the relative error by less."),
    OPT(OPT_BOOL, line_search, "true", 0, 0,
        "Try to go further along each sweep's direction."),
};
const size_t als_n_options = ARRAY_LEN(als_options);

static double *f64(const Tensor *t)
{
    return t->data;
}

static bool new2(int64_t n, int64_t m, Tensor *out, Err *err)
{
    return tensor_new(F64, 2, (int64_t[]){n, m}, out, err);
}

static double square_sum(const Tensor *t)
{
    double s = 0;
    for (int64_t i = 0; i < tensor_count(t); i++)
        s += f64(t)[i] * f64(t)[i];
    return s;
}

/* The two modes other than k, in order. */
static void others(int k, int *p, int *q)
{
    *p = k == 0 ? 1 : 0;
    *q = k == 2 ? 1 : 2;
}

static bool unfold(const Tensor *X, int k, Tensor *out, Err *err)
{
    int p, q;
    Tensor view = {0}, flat = {0};
    others(k, &p, &q);
    bool ok = tensor_permute(X, (int[]){k, p, q}, &view, err) &&
              tensor_copy(&view, &flat, err) &&
              tensor_reshape(&flat, 2, (int64_t[]){X->dim[k], X->dim[p] * X->dim[q]},
                             out, err);
    tensor_release(&view);
    tensor_release(&flat);
    return ok;
}

static bool check(const Tensor *X, Err *err)
{
    char shape[96];
    if (X->dtype != F64 || X->ndim != 3 || tensor_count(X) == 0 ||
        !tensor_contiguous(X))
        return err_set(err, ERR_SHAPE,
                       "the tensor is %s, it must be f64[n,m,k] without gaps",
                       tensor_format_shape(X, shape));
    if (!(square_sum(X) > 0))
        return err_set(err, ERR_NUMERIC, "the tensor is zero: nothing to decompose");
    return true;
}

/* --- alternating least squares ---------------------------------------------------- */

typedef struct Sweep {
    int64_t n[3], R;
    Tensor unfolded[3];
    Tensor factor[3], before[3], step[3]; /* [n_k,R] */
    Tensor product;                       /* [max rest,R] Khatri-Rao */
    Tensor image;                         /* [max n,R] X_(k) product */
    Tensor gram;                          /* [R,R] */
    double norm2;
} Sweep;

static void sweep_done(Sweep *s)
{
    for (int k = 0; k < 3; k++) {
        tensor_release(&s->unfolded[k]);
        tensor_release(&s->factor[k]);
        tensor_release(&s->before[k]);
        tensor_release(&s->step[k]);
    }
    tensor_release(&s->product);
    tensor_release(&s->image);
    tensor_release(&s->gram);
}

static bool sweep_new(const Tensor *X, const AlsCfg *cfg, Sweep *s, Err *err)
{
    int64_t most = 0, rest = 0, R = cfg->components;
    memset(s, 0, sizeof *s);
    s->R = R;
    s->norm2 = square_sum(X);
    for (int k = 0; k < 3; k++) {
        int64_t n = s->n[k] = X->dim[k], m = tensor_count(X) / n;
        char name[16] = "als.0";
        name[4] = (char)('0' + k);
        most = n > most ? n : most;
        rest = m > rest ? m : rest;
        if (!unfold(X, k, &s->unfolded[k], err) || !new2(n, R, &s->factor[k], err) ||
            !new2(n, R, &s->before[k], err) || !new2(n, R, &s->step[k], err))
            return false;
        rng_normal_f64((RngKey){(uint64_t)cfg->seed, rng_stream(name), 0}, 0, n * R, 0,
                       1, s->factor[k].data);
    }
    return new2(rest, R, &s->product, err) && new2(most, R, &s->image, err) &&
           new2(R, R, &s->gram, err);
}

/* image := X_(k) times the Khatri-Rao product of the other factors. */
static bool project(Sweep *s, const Tensor *factor, int k, Err *err)
{
    int p, q;
    others(k, &p, &q);
    int64_t R = s->R, rest = s->n[p] * s->n[q];
    double *z = f64(&s->product);
    for (int64_t i = 0; i < s->n[p]; i++)
        for (int64_t j = 0; j < s->n[q]; j++)
            for (int64_t r = 0; r < R; r++)
                *z++ = f64(&factor[p])[i * R + r] * f64(&factor[q])[j * R + r];
    return blas_gemm_f64(false, false, s->n[k], R, rest, 1, f64(&s->unfolded[k]), rest,
                         f64(&s->product), R, 0, f64(&s->image), R, err);
}

/* gram := Hadamard product of the Gram matrices of all factors but k (k < 0: of all
 * three). */
static void multiply_grams(Sweep *s, const Tensor *factor, int k)
{
    int64_t R = s->R;
    for (int64_t r = 0; r < R; r++)
        for (int64_t t = 0; t <= r; t++) {
            double all = 1;
            for (int m = 0; m < 3; m++) {
                double dot = 0;
                for (int64_t i = 0; m != k && i < s->n[m]; i++)
                    dot += f64(&factor[m])[i * R + r] * f64(&factor[m])[i * R + t];
                all *= m == k ? 1 : dot;
            }
            f64(&s->gram)[r * R + t] = f64(&s->gram)[t * R + r] = all;
        }
}

static bool relative_error(Sweep *s, const Tensor *factor, double *out, Err *err)
{
    double cross = 0, own = 0;
    if (!project(s, factor, 0, err))
        return false;
    multiply_grams(s, factor, -1);
    for (int64_t i = 0; i < s->n[0] * s->R; i++)
        cross += f64(&s->image)[i] * f64(&factor[0])[i];
    for (int64_t i = 0; i < s->R * s->R; i++)
        own += f64(&s->gram)[i];
    *out = sqrt(fmax(s->norm2 - 2 * cross + own, 0) / s->norm2);
    return true;
}

/* factor_k := image gram^+, by least squares. */
static bool solve_factor(Sweep *s, int k, Err *err)
{
    int64_t n = s->n[k], R = s->R;
    Tensor right = {0}, x = {0};
    int rank;
    bool ok = project(s, s->factor, k, err) && new2(R, n, &right, err);
    if (ok) {
        multiply_grams(s, s->factor, k);
        for (int64_t i = 0; i < n; i++)
            for (int64_t r = 0; r < R; r++)
                f64(&right)[r * n + i] = f64(&s->image)[i * R + r];
        ok = lapack_lstsq(&s->gram, &right, 0, &x, &rank, err);
    }
    for (int64_t i = 0; ok && i < n; i++)
        for (int64_t r = 0; r < R; r++)
            f64(&s->factor[k])[i * R + r] = f64(&x)[r * n + i];
    tensor_release(&right);
    tensor_release(&x);
    return ok;
}

/* Columns of unit norm but in the first factor, so that none grows without end. */
static void normalise(Sweep *s)
{
    int64_t R = s->R;
    for (int k = 1; k < 3; k++)
        for (int64_t r = 0; r < R; r++) {
            double n = 0;
            for (int64_t i = 0; i < s->n[k]; i++)
                n += pow(f64(&s->factor[k])[i * R + r], 2);
            n = sqrt(n);
            for (int64_t i = 0; n > 0 && i < s->n[k]; i++)
                f64(&s->factor[k])[i * R + r] /= n;
            for (int64_t i = 0; n > 0 && i < s->n[0]; i++)
                f64(&s->factor[0])[i * R + r] *= n;
        }
}

/* Keeps before + t (factor - before) if its error is smaller. */
static bool jump(Sweep *s, double t, double *error, int64_t *jumps, Err *err)
{
    double further;
    for (int k = 0; k < 3; k++)
        for (int64_t i = 0; i < tensor_count(&s->factor[k]); i++) {
            double old = f64(&s->before[k])[i], now = f64(&s->factor[k])[i];
            f64(&s->step[k])[i] = old + t * (now - old);
        }
    if (!relative_error(s, s->step, &further, err))
        return false;
    if (further >= *error)
        return true;
    *error = further;
    (*jumps)++;
    for (int k = 0; k < 3; k++)
        memcpy(s->factor[k].data, s->step[k].data, tensor_bytes(&s->step[k]));
    return true;
}

static bool run_sweeps(Sweep *s, const AlsCfg *cfg, Als *out, Err *err)
{
    double last;
    normalise(s);
    bool ok = relative_error(s, s->factor, &out->error, err);
    for (int64_t n = 1; ok && n <= cfg->steps; n++) {
        last = out->error;
        for (int k = 0; k < 3; k++)
            memcpy(s->before[k].data, s->factor[k].data, tensor_bytes(&s->factor[k]));
        for (int k = 0; ok && k < 3; k++)
            ok = intr_check(err) && solve_factor(s, k, err);
        if (ok)
            normalise(s);
        ok = ok && relative_error(s, s->factor, &out->error, err) &&
             (!cfg->line_search || n < 3 ||
              jump(s, cbrt((double)n), &out->error, &out->jumps, err));
        out->sweeps = n;
        if (ok && last - out->error < cfg->tolerance)
            break;
    }
    return ok;
}

bool als_fit(const Tensor *X, const AlsCfg *cfg, Als *out, Err *err)
{
    Sweep s;
    memset(out, 0, sizeof *out);
    if (!check(X, err))
        return false;
    bool ok = sweep_new(X, cfg, &s, err) && run_sweeps(&s, cfg, out, err);
    for (int k = 0; ok && k < 3; k++)
        out->factor[k] = tensor_retain(&s.factor[k]);
    sweep_done(&s);
    return ok;
}

void als_done(Als *a)
{
    for (int k = 0; k < 3; k++)
        tensor_release(&a->factor[k]);
}

/* --- HOSVD ------------------------------------------------------------------------ */

/* The first `rank` left singular vectors of the unfolding; rank 0 or too large: all. */
static bool mode_basis(const Tensor *X, int k, int64_t rank, Tensor *u, Tensor *sigma,
                       Err *err)
{
    Tensor flat = {0}, all = {0}, vt = {0}, cut = {0};
    bool ok = unfold(X, k, &flat, err) && lapack_svd(&flat, &all, sigma, &vt, err);
    int64_t have = ok ? all.dim[1] : 0;
    rank = rank <= 0 || rank > have ? have : rank;
    ok =
        ok && tensor_slice(&all, 1, 0, rank, 1, &cut, err) && tensor_copy(&cut, u, err);
    Tensor *const t[] = {&flat, &all, &vt, &cut};
    for (size_t i = 0; i < ARRAY_LEN(t); i++)
        tensor_release(t[i]);
    return ok;
}

/* y := x with mode k multiplied by u^T. */
static bool contract(const Tensor *x, int k, const Tensor *u, Tensor *y, Err *err)
{
    int p, q;
    others(k, &p, &q);
    int64_t n = x->dim[k], r = u->dim[1], rest = tensor_count(x) / n;
    Tensor flat = {0}, low = {0}, cube = {0}, view = {0};
    bool ok = unfold(x, k, &flat, err) && new2(r, rest, &low, err) &&
              blas_gemm_f64(true, false, r, rest, n, 1, f64(u), r, f64(&flat), rest, 0,
                            f64(&low), rest, err) &&
              tensor_reshape(&low, 3, (int64_t[]){r, x->dim[p], x->dim[q]}, &cube, err);
    int back[3];
    back[k] = 0;
    back[p] = 1;
    back[q] = 2;
    ok = ok && tensor_permute(&cube, back, &view, err) && tensor_copy(&view, y, err);
    Tensor *const t[] = {&flat, &low, &cube, &view};
    for (size_t i = 0; i < ARRAY_LEN(t); i++)
        tensor_release(t[i]);
    return ok;
}

bool hosvd_fit(const Tensor *X, const int64_t rank[3], Hosvd *out, Err *err)
{
    Tensor a = {0}, b = {0};
    memset(out, 0, sizeof *out);
    bool ok = check(X, err);
    for (int k = 0; ok && k < 3; k++)
        ok = intr_check(err) &&
             mode_basis(X, k, rank[k], &out->u[k], &out->sigma[k], err);
    ok = ok && contract(X, 0, &out->u[0], &a, err) &&
         contract(&a, 1, &out->u[1], &b, err) &&
         contract(&b, 2, &out->u[2], &out->core, err);
    if (ok) {
        double all = square_sum(X);
        out->error = sqrt(fmax(all - square_sum(&out->core), 0) / all);
    }
    tensor_release(&a);
    tensor_release(&b);
    if (!ok)
        hosvd_done(out);
    return ok;
}

void hosvd_done(Hosvd *h)
{
    for (int k = 0; k < 3; k++) {
        tensor_release(&h->u[k]);
        tensor_release(&h->sigma[k]);
    }
    tensor_release(&h->core);
}

/* --- of an interaction tensor ----------------------------------------------------- */

bool interaction_compress(const Interaction *b, Tensor *X, Tensor *Q, Err *err)
{
    Tensor et = {0}, wide = {0}, r = {0}, rm = {0};
    int64_t E = b->E, k;
    memset(X, 0, sizeof *X);
    memset(Q, 0, sizeof *Q);
    bool ok = tensor_transpose(&b->embed, 0, 1, &et, err) &&
              tensor_copy(&et, &wide, err) && lapack_qr(&wide, Q, &r, err);
    k = ok ? r.dim[0] : 0;
    ok = ok && tensor_new(F64, 3, (int64_t[]){b->C, k, k}, X, err) &&
         new2(k, E, &rm, err);
    for (int64_t c = 0; ok && c < b->C; c++)
        ok = blas_gemm_f64(false, false, k, E, E, 1, f64(&r), E,
                           f64(&b->core) + c * E * E, E, 0, f64(&rm), E, err) &&
             blas_gemm_f64(false, true, k, k, E, 1, f64(&rm), E, f64(&r), E, 0,
                           f64(X) + c * k * k, k, err);
    Tensor *const t[] = {&et, &wide, &r, &rm};
    for (size_t i = 0; i < ARRAY_LEN(t); i++)
        tensor_release(t[i]);
    if (!ok) {
        tensor_release(X);
        tensor_release(Q);
    }
    return ok;
}

/* rows [R,I] f32 := (Q factor)^T */
static bool expand(const Tensor *Q, const Tensor *factor, Tensor *rows, Err *err)
{
    int64_t I = Q->dim[0], E = Q->dim[1], R = factor->dim[1];
    Tensor wide = {0};
    bool ok = new2(R, I, &wide, err) &&
              blas_gemm_f64(true, true, R, I, E, 1, f64(factor), R, f64(Q), E, 0,
                            f64(&wide), I, err) &&
              tensor_copy_into(&wide, rows, err);
    tensor_release(&wide);
    return ok;
}

bool interaction_als(const Interaction *b, const AlsCfg *cfg, Dictionary *out,
                     Als *report, Err *err)
{
    Tensor X = {0}, Q = {0};
    int64_t R = cfg->components;
    memset(out, 0, sizeof *out);
    memset(report, 0, sizeof *report);
    bool ok = interaction_compress(b, &X, &Q, err) && als_fit(&X, cfg, report, err) &&
              dict_new(R, b->C, b->I, out, err) &&
              expand(&Q, &report->factor[1], &out->a, err) &&
              expand(&Q, &report->factor[2], &out->b, err);
    for (int64_t i = 0; ok && i < R * b->C; i++)
        ((float *)out->head.data)[i] =
            (float)f64(&report->factor[0])[i % b->C * R + i / b->C];
    if (ok)
        dict_find_owners(out);
    tensor_release(&X);
    tensor_release(&Q);
    if (!ok) {
        als_done(report);
        dict_done(out);
    }
    return ok;
}
