/* gram.c -- inner products of factored tensors. With u = (a, b, D) and the metric's S,
 *   <T,T> = sum_rs (D_r.D_s) 1/2 [ (a_r S a_s)(b_r S b_s) + (a_r S b_s)(b_r S a_s) ],
 *   <T,B> = sum_rc D_rc (a_r S embed^T) M_c (embed S b_r^T),
 * all in f64. */
#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "decomp/dictionary.h"
#include "tensor/blas.h"

static double *f64(const Tensor *t)
{
    return t->data;
}

static bool mul_nt(const Tensor *a, const Tensor *b, Tensor *y, Err *err)
{
    int64_t M = a->dim[0], K = a->dim[1], N = b->dim[0];
    return tensor_new(F64, 2, (int64_t[]){M, N}, y, err) &&
           blas_gemm_f64(false, true, M, N, K, 1, f64(a), K, f64(b), K, 0, f64(y), N,
                         err);
}

/* <T,B> from ea = a S embed^T and eb. */
static bool cross_term(const Dictionary *d, const Interaction *b, const Tensor *ea,
                       const Tensor *eb, double *out, Err *err)
{
    int64_t R = d->R, E = b->E;
    Tensor em = {0};
    double sum = 0;
    bool ok = tensor_new(F64, 2, (int64_t[]){R, E}, &em, err);
    for (int64_t c = 0; ok && c < b->C; c++) {
        ok = blas_gemm_f64(false, false, R, E, E, 1, f64(ea), E,
                           f64(&b->core) + c * E * E, E, 0, f64(&em), E, err);
        for (int64_t r = 0; ok && r < R; r++) {
            double h = (double)((float *)d->head.data)[r * d->C + c], s = 0;
            for (int64_t e = 0; h != 0 && e < E; e++)
                s += f64(&em)[r * E + e] * f64(eb)[r * E + e];
            sum += h * s;
        }
    }
    *out = sum;
    tensor_release(&em);
    return ok;
}

/* a S and b S, all f64 [R,I]. */
typedef struct Factors {
    Tensor a, b, aS, bS;
} Factors;

static void factors_done(Factors *f)
{
    tensor_release(&f->a);
    tensor_release(&f->b);
    tensor_release(&f->aS);
    tensor_release(&f->bS);
}

static bool factors_new(const Dictionary *d, const Tensor *S, Factors *f, Err *err)
{
    memset(f, 0, sizeof *f);
    if (S &&
        (S->dtype != F64 || S->ndim != 2 || S->dim[0] != d->I || S->dim[1] != d->I))
        return err_set(err, ERR_SHAPE, "the metric must be f64[%lld,%lld]",
                       (long long)d->I, (long long)d->I);
    return tensor_convert(&d->a, F64, &f->a, err) &&
           tensor_convert(&d->b, F64, &f->b, err) &&
           metric_apply(S, &f->a, &f->aS, err) && metric_apply(S, &f->b, &f->bS, err);
}

/* G := sum of products, from Gaa in G, Gbb and Gab. */
static void combine(const Dictionary *d, double *G, const double *bb, const double *ab)
{
    const float *h = d->head.data;
    int64_t R = d->R, C = d->C;
    for (int64_t r = 0; r < R; r++)
        for (int64_t s = 0; s < R; s++) {
            double dd = 0;
            for (int64_t c = 0; c < C; c++)
                dd += (double)h[r * C + c] * (double)h[s * C + c];
            G[r * R + s] = dd == 0 ? 0
                                   : dd * 0.5 *
                                         (G[r * R + s] * bb[r * R + s] +
                                          ab[r * R + s] * ab[s * R + r]);
        }
}

static bool gram_of(const Dictionary *d, const Factors *f, Tensor *G, Err *err)
{
    Tensor bb = {0}, ab = {0};
    bool ok = mul_nt(&f->aS, &f->a, G, err) && mul_nt(&f->bS, &f->b, &bb, err) &&
              mul_nt(&f->aS, &f->b, &ab, err);
    if (ok)
        combine(d, f64(G), f64(&bb), f64(&ab));
    else
        tensor_release(G);
    tensor_release(&bb);
    tensor_release(&ab);
    return ok;
}

bool dict_gram_matrix(const Dictionary *d, const Tensor *S, Tensor *G, Err *err)
{
    Factors f;
    memset(G, 0, sizeof *G);
    bool ok = factors_new(d, S, &f, err) && gram_of(d, &f, G, err);
    factors_done(&f);
    return ok;
}

bool dict_gram(const Dictionary *d, const Interaction *b, const Tensor *S,
               DictGram *out, double *nrm, Err *err)
{
    Factors f;
    Tensor ea = {0}, eb = {0}, K = {0}, G = {0};
    memset(out, 0, sizeof *out);
    if (d->I != b->I || d->C != b->C)
        return err_set(err, ERR_SHAPE,
                       "the dictionary has %lld classes of %lld pixels, the "
                       "interaction tensor %lld of %lld",
                       (long long)d->C, (long long)d->I, (long long)b->C,
                       (long long)b->I);
    bool ok = factors_new(d, S, &f, err) && mul_nt(&f.aS, &b->embed, &ea, err) &&
              mul_nt(&f.bS, &b->embed, &eb, err) &&
              cross_term(d, b, &ea, &eb, &out->TB, err) &&
              interaction_gram(b, S, &K, err) &&
              interaction_norm2(b, &K, &out->BB, err) && gram_of(d, &f, &G, err);
    for (int64_t i = 0; ok && i < d->R * d->R; i++)
        out->TT += f64(&G)[i];
    for (int64_t r = 0; ok && nrm && r < d->R; r++)
        nrm[r] = f64(&G)[r * d->R + r];
    Tensor *const all[] = {&ea, &eb, &K, &G};
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        tensor_release(all[i]);
    factors_done(&f);
    return ok;
}

double gram_cosine(const DictGram *g)
{
    double n = g->TT * g->BB;
    return n > 0 ? g->TB / sqrt(n) : 0;
}

bool dict_rescale(Dictionary *d, const Interaction *b, const Tensor *S, Err *err)
{
    DictGram g;
    if (!dict_gram(d, b, S, &g, NULL, err))
        return false;
    if (!(g.TT > 0) || !isfinite(g.TB / g.TT))
        return err_set(err, ERR_NUMERIC, "the dictionary is zero or not finite");
    double k = g.TB / g.TT, root = sqrt(fabs(k));
    for (int64_t i = 0; i < d->R * d->I; i++) {
        ((float *)d->a.data)[i] = (float)((double)((float *)d->a.data)[i] * root);
        ((float *)d->b.data)[i] =
            (float)((double)((float *)d->b.data)[i] * (k < 0 ? -root : root));
    }
    return true;
}
