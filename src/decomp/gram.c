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
    return tensor_new(F64, 2, (int64_t[]){ M, N }, y, err) &&
           blas_gemm_f64(false, true, M, N, K, 1, f64(a), K, f64(b), K, 0, f64(y), N, err);
}

/* <T,B> from ea = a S embed^T and eb. */
static bool cross_term(const Dictionary *d, const Interaction *b, const Tensor *ea,
                       const Tensor *eb, double *out, Err *err)
{
    int64_t R = d->R, E = b->E;
    Tensor em = { 0 };
    double sum = 0;
    bool ok = tensor_new(F64, 2, (int64_t[]){ R, E }, &em, err);
    for (int64_t c = 0; ok && c < b->C; c++) {
        ok = blas_gemm_f64(false, false, R, E, E, 1, f64(ea), E, f64(&b->core) + c * E * E, E,
                           0, f64(&em), E, err);
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

static double self_term(const Dictionary *d, const double *aa, const double *bb,
                        const double *ab, double *nrm)
{
    const float *h = d->head.data;
    int64_t R = d->R, C = d->C;
    double sum = 0;
    for (int64_t r = 0; r < R; r++)
        for (int64_t s = 0; s < R; s++) {
            double dd = 0;
            for (int64_t c = 0; c < C; c++)
                dd += (double)h[r * C + c] * (double)h[s * C + c];
            double g = dd == 0 ? 0
                               : dd * 0.5 * (aa[r * R + s] * bb[r * R + s] +
                                             ab[r * R + s] * ab[s * R + r]);
            sum += g;
            if (nrm && r == s)
                nrm[r] = g;
        }
    return sum;
}

bool dict_gram(const Dictionary *d, const Interaction *b, const Tensor *S, DictGram *out,
               double *nrm, Err *err)
{
    Tensor t[10] = { { 0 } };
    Tensor *a = &t[0], *bb = &t[1], *aS = &t[2], *bS = &t[3], *ea = &t[4], *eb = &t[5];
    Tensor *K = &t[6], *Gaa = &t[7], *Gbb = &t[8], *Gab = &t[9];
    memset(out, 0, sizeof *out);
    if (d->I != b->I || d->C != b->C)
        return err_set(err, ERR_SHAPE, "the dictionary has %lld classes of %lld pixels, the "
                       "interaction tensor %lld of %lld", (long long)d->C, (long long)d->I,
                       (long long)b->C, (long long)b->I);
    bool ok = tensor_convert(&d->a, F64, a, err) && tensor_convert(&d->b, F64, bb, err) &&
              metric_apply(S, a, aS, err) && metric_apply(S, bb, bS, err) &&
              mul_nt(aS, &b->embed, ea, err) && mul_nt(bS, &b->embed, eb, err) &&
              cross_term(d, b, ea, eb, &out->TB, err) && interaction_gram(b, S, K, err) &&
              interaction_norm2(b, K, &out->BB, err) && mul_nt(aS, a, Gaa, err) &&
              mul_nt(bS, bb, Gbb, err) && mul_nt(aS, bb, Gab, err);
    if (ok)
        out->TT = self_term(d, f64(Gaa), f64(Gbb), f64(Gab), nrm);
    for (size_t i = 0; i < ARRAY_LEN(t); i++)
        tensor_release(&t[i]);
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
