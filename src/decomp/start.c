/* start.c -- where a fit begins. At the one-hot limit class c's part of T is sum_k P_k
 * P_k^T - N_k N_k^T with P = sqrt(lambda+) w+, N = sqrt(-lambda-) w-; a = P + N and b =
 * P - N, balanced. What stays free there is O(n,n): rotations of the P among themselves
 * and of the N, and boosts (P, N) -> (ch t P + sh t N, sh t P + ch t N), which leave T
 * as it is. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "decomp/dictionary.h"
#include "tensor/blas.h"
#include "tensor/lapack.h"
#include "tensor/rng.h"

/* The k-th pair of class c as component r; zero when there are no more eigenvalues. */
static void fill_pair(const Spectrum *s, int64_t c, int64_t k, int64_t r, Dictionary *d)
{
    const double *v = (double *)s->val.data + c * s->K;
    ((float *)d->head.data)[r * s->C + c] = 1;
    if (k >= s->K)
        return;
    const double *wp = (double *)s->filter.data + (c * s->K + k) * s->I;
    const double *wn = (double *)s->filter.data + (c * s->K + s->K - 1 - k) * s->I;
    double p = sqrt(fmax(v[k], 0)), n = sqrt(fmax(-v[s->K - 1 - k], 0));
    for (int64_t i = 0; i < s->I; i++) {
        ((float *)d->a.data)[r * s->I + i] = (float)(p * wp[i] + n * wn[i]);
        ((float *)d->b.data)[r * s->I + i] = (float)(p * wp[i] - n * wn[i]);
    }
}

bool dict_start_eigen(const Spectrum *s, int64_t R, Dictionary *out, Err *err)
{
    memset(out, 0, sizeof *out);
    int64_t *count = mem_array((size_t)s->C, sizeof *count, err), r = 0;
    bool ok = count && dict_new(R, s->C, s->I, out, err);
    if (ok) {
        limit_one_hot(s, R, true, count);
        for (int64_t c = 0; c < s->C; c++)
            for (int64_t k = 0; k < count[c]; k++)
                fill_pair(s, c, k, r++, out);
        dict_find_owners(out);
        dict_balance(out);
    }
    mem_free(count);
    return ok;
}

/* A Haar-distributed orthogonal matrix: QR of a Gaussian one with R's diagonal
 * positive. */
static bool haar(int64_t n, RngKey key, Tensor *out, Err *err)
{
    Tensor g = {0}, r = {0};
    bool ok = tensor_new(F64, 2, (int64_t[]){n, n}, &g, err);
    if (ok) {
        rng_normal_f64(key, 0, n * n, 0, 1, g.data);
        ok = lapack_qr(&g, out, &r, err);
    }
    tensor_release(&g);
    tensor_release(&r);
    return ok;
}

/* x [n,I] := Q x, in place. */
static bool rotate(double *x, int64_t n, int64_t I, RngKey key, Err *err)
{
    Tensor q = {0};
    double *y = mem_array((size_t)(n * I), sizeof *y, err);
    bool ok = y && haar(n, key, &q, err);
    for (int64_t k = 0; ok && k < n; k++)
        for (int64_t i = 0; i < I; i++) {
            double s = 0;
            for (int64_t m = 0; m < n; m++)
                s += ((double *)q.data)[k * n + m] * x[m * I + i];
            y[k * I + i] = s;
        }
    if (ok)
        memcpy(x, y, sizeof *x * (size_t)(n * I));
    mem_free(y);
    tensor_release(&q);
    return ok;
}

/* One class: rows[n] are component numbers; P and N are scratch [n,I]. */
static bool move_class(Dictionary *d, const int64_t *rows, int64_t n, double *P,
                       double *N, RngKey key, Err *err)
{
    int64_t I = d->I;
    float *a = d->a.data, *b = d->b.data;
    for (int64_t k = 0; k < n; k++)
        for (int64_t i = 0; i < I; i++) {
            double x = (double)a[rows[k] * I + i], y = (double)b[rows[k] * I + i];
            P[k * I + i] = 0.5 * (x + y);
            N[k * I + i] = 0.5 * (x - y);
        }
    bool ok = true;
    for (int pass = 0; ok && pass < 2; pass++) {
        RngKey turn = {key.seed, key.stream, key.step * 4 + (uint64_t)pass * 2};
        ok = rotate(P, n, I, turn, err);
        turn.step++;
        ok = ok && rotate(N, n, I, turn, err);
        for (int64_t k = 0; ok && pass == 0 && k < n; k++) {
            double t = 0;
            RngKey boost = {key.seed, rng_stream("gauge.boost"), key.step};
            rng_normal_f64(boost, k, 1, 0, 0.5, &t);
            for (int64_t i = 0; i < I; i++) {
                double p = P[k * I + i], q = N[k * I + i];
                P[k * I + i] = cosh(t) * p + sinh(t) * q;
                N[k * I + i] = sinh(t) * p + cosh(t) * q;
            }
        }
    }
    for (int64_t k = 0; ok && k < n; k++)
        for (int64_t i = 0; i < I; i++) {
            a[rows[k] * I + i] = (float)(P[k * I + i] + N[k * I + i]);
            b[rows[k] * I + i] = (float)(P[k * I + i] - N[k * I + i]);
        }
    return ok;
}

bool dict_gauge(Dictionary *d, uint64_t seed, Err *err)
{
    int64_t *rows = mem_array((size_t)d->R, sizeof *rows, err);
    double *P = mem_array((size_t)(d->R * d->I), sizeof *P, err);
    double *N = mem_array((size_t)(d->R * d->I), sizeof *N, err);
    bool ok = rows && P && N;
    for (int64_t c = 0; ok && c < d->C; c++) {
        int64_t n = 0;
        for (int64_t r = 0; r < d->R; r++)
            if (((int32_t *)d->owner.data)[r] == c)
                rows[n++] = r;
        RngKey key = {seed, rng_stream("gauge"), (uint64_t)c};
        ok = n == 0 || move_class(d, rows, n, P, N, key, err);
    }
    if (ok)
        dict_balance(d);
    mem_free(rows);
    mem_free(P);
    mem_free(N);
    return ok;
}

bool dict_interaction(const Dictionary *d, Interaction *out, Err *err)
{
    int64_t R = d->shown, I = d->I, F = 2 * R;
    memset(out, 0, sizeof *out);
    bool ok = tensor_new(F64, 2, (int64_t[]){F, I}, &out->embed, err) &&
              tensor_zeros(F64, 3, (int64_t[]){d->C, F, F}, &out->core, err) &&
              tensor_zeros(F64, 1, &d->C, &out->bias, err);
    if (!ok) {
        interaction_done(out);
        return false;
    }
    out->C = d->C;
    out->E = F;
    out->I = I;
    double *e = out->embed.data, *m = out->core.data;
    for (int64_t i = 0; i < R * I; i++) {
        e[i] = (double)((float *)d->a.data)[i];
        e[R * I + i] = (double)((float *)d->b.data)[i];
    }
    for (int64_t c = 0; c < d->C; c++)
        for (int64_t r = 0; r < R; r++)
            m[(c * F + r) * F + R + r] = m[(c * F + R + r) * F + r] =
                0.5 * (double)((float *)d->head.data)[r * d->C + c];
    return true;
}

static bool one_class(const Dictionary *d, Err *err)
{
    for (int64_t r = 0; r < d->shown; r++) {
        int64_t used = 0;
        for (int64_t c = 0; c < d->C; c++)
            used += ((float *)d->head.data)[r * d->C + c] != 0;
        if (used > 1)
            return err_set(
                err, ERR_OPTION,
                "component %lld speaks for %lld classes; the canonical gauge "
                "needs one-class heads",
                (long long)r, (long long)used);
    }
    return true;
}

bool dict_canonical(const Dictionary *d, const Tensor *S, Dictionary *out, Err *err)
{
    Interaction t = {0};
    Spectrum s = {0};
    memset(out, 0, sizeof *out);
    bool ok = one_class(d, err) && dict_interaction(d, &t, err) &&
              spectrum_new(&t, S, &s, err) && dict_start_eigen(&s, d->shown, out, err);
    interaction_done(&t);
    spectrum_done(&s);
    return ok;
}

bool dict_start_random(int64_t R, int64_t C, int64_t I, uint64_t seed, Dictionary *out,
                       Err *err)
{
    if (!dict_new(R, C, I, out, err))
        return false;
    rng_normal_f32((RngKey){seed, rng_stream("dictionary.a"), 0}, 0, R * I, 0, 0.02f,
                   out->a.data);
    rng_normal_f32((RngKey){seed, rng_stream("dictionary.b"), 0}, 0, R * I, 0, 0.02f,
                   out->b.data);
    for (int64_t r = 0; r < R; r++)
        ((float *)out->head.data)[r * C + r % C] = 1;
    dict_find_owners(out);
    return true;
}

typedef struct Claim {
    double score; /* a^T B_c b */
    int32_t r, c;
} Claim;

static int by_score(const void *x, const void *y)
{
    const Claim *a = x, *b = y;
    if (fabs(a->score) != fabs(b->score))
        return fabs(a->score) < fabs(b->score) ? 1 : -1;
    return a->r != b->r ? (a->r < b->r ? -1 : 1) : (a->c < b->c ? -1 : 1);
}

/* claims[r*C+c] with the score of each component for each class */
static bool score_claims(const Dictionary *d, const Interaction *b, Claim *claims,
                         Err *err)
{
    Tensor ea = {0}, eb = {0}, e32 = {0}, em = {0}, m32 = {0};
    int64_t R = d->R, E = b->E;
    bool ok = tensor_convert(&b->embed, F32, &e32, err) &&
              tensor_convert(&b->core, F32, &m32, err) &&
              tensor_new(F32, 2, (int64_t[]){R, E}, &ea, err) &&
              tensor_new(F32, 2, (int64_t[]){R, E}, &eb, err) &&
              tensor_new(F32, 2, (int64_t[]){R, E}, &em, err) &&
              blas_gemm_f32(false, true, R, E, d->I, 1, d->a.data, d->I, e32.data, d->I,
                            0, ea.data, E, err) &&
              blas_gemm_f32(false, true, R, E, d->I, 1, d->b.data, d->I, e32.data, d->I,
                            0, eb.data, E, err);
    for (int64_t c = 0; ok && c < d->C; c++) {
        ok = blas_gemm_f32(false, false, R, E, E, 1, ea.data, E,
                           (float *)m32.data + c * E * E, E, 0, em.data, E, err);
        for (int64_t r = 0; ok && r < R; r++) {
            double s = 0;
            for (int64_t e = 0; e < E; e++)
                s += (double)((float *)em.data)[r * E + e] *
                     (double)((float *)eb.data)[r * E + e];
            claims[r * d->C + c] = (Claim){s, (int32_t)r, (int32_t)c};
        }
    }
    Tensor *const all[] = {&ea, &eb, &e32, &em, &m32};
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        tensor_release(all[i]);
    return ok;
}

bool dict_assign_owners(Dictionary *d, const Interaction *b, const int64_t *count,
                        Err *err)
{
    Claim *claims = mem_array((size_t)(d->R * d->C), sizeof *claims, err);
    int64_t *left = mem_array((size_t)d->C, sizeof *left, err);
    float *head = d->head.data, *fb = d->b.data;
    bool ok = claims && left && score_claims(d, b, claims, err);
    if (ok) {
        memcpy(left, count, sizeof *left * (size_t)d->C);
        memset(head, 0, tensor_bytes(&d->head));
        for (int64_t r = 0; r < d->R; r++)
            ((int32_t *)d->owner.data)[r] = -1;
        qsort(claims, (size_t)(d->R * d->C), sizeof *claims, by_score);
    }
    for (int64_t k = 0; ok && k < d->R * d->C; k++) {
        Claim *q = &claims[k];
        int32_t *owner = (int32_t *)d->owner.data + q->r;
        if (*owner >= 0 || left[q->c] <= 0)
            continue;
        *owner = q->c;
        left[q->c]--;
        head[q->r * d->C + q->c] = 1;
        for (int64_t i = 0; q->score < 0 && i < d->I; i++)
            fb[q->r * d->I + i] = -fb[q->r * d->I + i];
    }
    mem_free(claims);
    mem_free(left);
    return ok;
}

bool dict_start_anchors(const Interaction *b, const Tensor *S, const Tensor *anchors,
                        Dictionary *out, Err *err)
{
    Spectrum s = {0};
    int64_t R = anchors->dim[0] / 2;
    memset(out, 0, sizeof *out);
    int64_t *count = mem_array((size_t)b->C, sizeof *count, err);
    bool ok = count && spectrum_new(b, S, &s, err) && dict_new(R, b->C, b->I, out, err);
    if (ok) {
        limit_one_hot(&s, R, true, count);
        memcpy(out->a.data, anchors->data, tensor_bytes(&out->a));
        memcpy(out->b.data, (float *)anchors->data + R * b->I, tensor_bytes(&out->b));
        ok = dict_assign_owners(out, b, count, err);
    }
    if (!ok)
        dict_done(out);
    mem_free(count);
    spectrum_done(&s);
    return ok;
}
