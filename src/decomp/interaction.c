/* interaction.c -- building the cores, and the eigenproblem of each class in E
 * dimensions: with K = embed S embed^T = V diag(s) V^T and F = diag(sqrt s) V^T, the
 * matrices F M_c F^T have the spectrum of S^1/2 B_c S^1/2; filters are u^T F^-T embed.
 * Directions with s below 1e-12 of the largest are dropped (a rank-deficient
 * embedding). */
#include "decomp/interaction.h"

#include <math.h>
#include <string.h>

#include "base/intr.h"
#include "base/mem.h"
#include "tensor/blas.h"
#include "tensor/lapack.h"

static double *f64(const Tensor *t)
{
    return t->data;
}

static bool new2(int64_t n, int64_t m, Tensor *out, Err *err)
{
    return tensor_zeros(F64, 2, (int64_t[]){n, m}, out, err);
}

/* y [n,m] = op(a) op(b), all f64. */
static bool mul(const Tensor *a, bool ta, const Tensor *b, bool tb, Tensor *y, Err *err)
{
    int64_t M = a->dim[ta], K = a->dim[!ta], N = b->dim[!tb];
    return new2(M, N, y, err) && blas_gemm_f64(ta, tb, M, N, K, 1, f64(a), a->dim[1],
                                               f64(b), b->dim[1], 0, f64(y), N, err);
}

/* M_c = sym left^T diag(head_c) right. */
static bool fill_cores(const Tensor *left, const Tensor *right, const Tensor *head,
                       Tensor *core, Err *err)
{
    int64_t H = left->dim[0], E = left->dim[1], C = head->dim[0];
    Tensor scaled = {0};
    bool ok = new2(H, E, &scaled, err);
    for (int64_t c = 0; ok && c < C; c++) {
        double *m = f64(core) + c * E * E;
        for (int64_t h = 0; h < H; h++)
            for (int64_t e = 0; e < E; e++)
                f64(&scaled)[h * E + e] = f64(right)[h * E + e] * f64(head)[c * H + h];
        ok = blas_gemm_f64(true, false, E, E, H, 1, f64(left), E, f64(&scaled), E, 0, m,
                           E, err);
        for (int64_t e = 0; ok && e < E; e++)
            for (int64_t f = 0; f < e; f++)
                m[e * E + f] = m[f * E + e] = 0.5 * (m[e * E + f] + m[f * E + e]);
    }
    tensor_release(&scaled);
    return ok;
}

/* Without an embedding: an orthonormal basis of the rows of left and right, and both in
 * it. */
static bool make_basis(Tensor *left, Tensor *right, Tensor *embed, Err *err)
{
    int64_t H = left->dim[0], I = left->dim[1];
    Tensor both = {0}, q = {0}, r = {0}, l2 = {0}, r2 = {0}, qt = {0};
    bool ok = new2(I, 2 * H, &both, err);
    for (int64_t i = 0; ok && i < I; i++)
        for (int64_t h = 0; h < H; h++) {
            f64(&both)[i * 2 * H + h] = f64(left)[h * I + i];
            f64(&both)[i * 2 * H + H + h] = f64(right)[h * I + i];
        }
    ok = ok && lapack_qr(&both, &q, &r, err) && mul(left, false, &q, false, &l2, err) &&
         mul(right, false, &q, false, &r2, err) &&
         tensor_transpose(&q, 0, 1, &qt, err) && tensor_copy(&qt, embed, err);
    if (ok) {
        tensor_release(left);
        tensor_release(right);
        *left = l2;
        *right = r2;
        l2 = r2 = (Tensor){0};
    }
    Tensor *const all[] = {&both, &q, &r, &l2, &r2, &qt};
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        tensor_release(all[i]);
    return ok;
}

static bool check_shapes(const Tensor *embed, const Tensor *left, const Tensor *right,
                         const Tensor *head, const Tensor *bias, Err *err)
{
    char l[96], r[96], h[96], e[96];
    bool ok = left->ndim == 2 && tensor_same_shape(left, right) && head->ndim == 2 &&
              head->dim[1] == left->dim[0] && left->dim[0] > 0 && left->dim[1] > 0 &&
              head->dim[0] > 0 &&
              (!embed || (embed->ndim == 2 && embed->dim[0] == left->dim[1] &&
                          embed->dim[1] > 0));
    if (ok && head->dim[0] > INTERACTION_MAX_CLASSES)
        return err_set(err, ERR_SHAPE,
                       "interaction: %lld classes, at most %d are supported",
                       (long long)head->dim[0], INTERACTION_MAX_CLASSES);
    if (ok && bias && (bias->ndim != 1 || bias->dim[0] != head->dim[0]))
        return err_set(err, ERR_SHAPE, "interaction: bias %s must be [%lld]",
                       tensor_format_shape(bias, l), (long long)head->dim[0]);
    return ok ? true
              : err_set(err, ERR_SHAPE,
                        "interaction: left %s and right %s must be [H,E], head %s "
                        "[C,H], embed "
                        "%s [E,I]",
                        tensor_format_shape(left, l), tensor_format_shape(right, r),
                        tensor_format_shape(head, h),
                        embed ? tensor_format_shape(embed, e) : "(none)");
}

bool interaction_new(const Tensor *embed, const Tensor *left, const Tensor *right,
                     const Tensor *head, const Tensor *bias, Interaction *out, Err *err)
{
    Tensor l = {0}, r = {0}, h = {0};
    memset(out, 0, sizeof *out);
    if (!check_shapes(embed, left, right, head, bias, err))
        return false;
    int64_t C = head->dim[0];
    bool ok = tensor_convert(left, F64, &l, err) &&
              tensor_convert(right, F64, &r, err) &&
              tensor_convert(head, F64, &h, err) &&
              (embed ? tensor_convert(embed, F64, &out->embed, err)
                     : make_basis(&l, &r, &out->embed, err)) &&
              (bias ? tensor_convert(bias, F64, &out->bias, err)
                    : tensor_zeros(F64, 1, &C, &out->bias, err));
    if (ok) {
        out->C = C;
        out->E = out->embed.dim[0];
        out->I = out->embed.dim[1];
        ok = tensor_zeros(F64, 3, (int64_t[]){C, out->E, out->E}, &out->core, err) &&
             fill_cores(&l, &r, &h, &out->core, err);
    }
    tensor_release(&l);
    tensor_release(&r);
    tensor_release(&h);
    if (!ok)
        interaction_done(out);
    return ok;
}

void interaction_done(Interaction *b)
{
    tensor_release(&b->embed);
    tensor_release(&b->core);
    tensor_release(&b->bias);
    memset(b, 0, sizeof *b);
}

static Tensor core_of(const Interaction *b, int64_t c)
{
    return tensor_wrap(F64, 2, (int64_t[]){b->E, b->E},
                       f64(&b->core) + c * b->E * b->E);
}

bool interaction_dense(const Interaction *b, int64_t c, Tensor *out, Err *err)
{
    Tensor me = {0}, m;
    memset(out, 0, sizeof *out);
    if (c < 0 || c >= b->C)
        return err_set(err, ERR_SHAPE, "class %lld is outside 0..%lld", (long long)c,
                       (long long)b->C - 1);
    m = core_of(b, c);
    bool ok = mul(&m, false, &b->embed, false, &me, err) &&
              mul(&b->embed, true, &me, false, out, err);
    for (int64_t i = 0; ok && i < b->I; i++)
        for (int64_t j = 0; j < i; j++) {
            double *x = f64(out) + i * b->I + j, *y = f64(out) + j * b->I + i;
            *x = *y = 0.5 * (*x + *y);
        }
    tensor_release(&me);
    return ok;
}

bool metric_apply(const Tensor *S, const Tensor *x, Tensor *y, Err *err)
{
    return S ? mul(x, false, S, false, y, err) : tensor_copy(x, y, err);
}

bool interaction_gram(const Interaction *b, const Tensor *S, Tensor *K, Err *err)
{
    Tensor es = {0};
    if (S &&
        (S->dtype != F64 || S->ndim != 2 || S->dim[0] != b->I || S->dim[1] != b->I))
        return err_set(err, ERR_SHAPE, "the metric must be f64[%lld,%lld]",
                       (long long)b->I, (long long)b->I);
    bool ok = metric_apply(S, &b->embed, &es, err) &&
              mul(&es, false, &b->embed, true, K, err);
    tensor_release(&es);
    return ok;
}

bool interaction_norm2(const Interaction *b, const Tensor *K, double *out, Err *err)
{
    bool ok = true;
    *out = 0;
    for (int64_t c = 0; ok && c < b->C; c++) {
        Tensor m = core_of(b, c), mk = {0};
        ok = mul(&m, false, K, false, &mk, err);
        for (int64_t e = 0; ok && e < b->E; e++)
            for (int64_t f = 0; f < b->E; f++)
                *out += f64(&mk)[e * b->E + f] * f64(&mk)[f * b->E + e];
        tensor_release(&mk);
    }
    return ok;
}

bool interaction_cosine(const Interaction *a, const Interaction *b, const Tensor *S,
                        double *out, Err *err)
{
    Tensor as = {0}, X = {0}, Ka = {0}, Kb = {0}, mx = {0}, xm = {0};
    double ab = 0, aa = 0, bb = 0;
    *out = 0;
    if (a->C != b->C || a->I != b->I)
        return err_set(err, ERR_SHAPE,
                       "the two networks have %lld and %lld classes, %lld and "
                       "%lld inputs; they must agree",
                       (long long)a->C, (long long)b->C, (long long)a->I,
                       (long long)b->I);
    bool ok = interaction_gram(a, S, &Ka, err) && interaction_gram(b, S, &Kb, err) &&
              interaction_norm2(a, &Ka, &aa, err) &&
              interaction_norm2(b, &Kb, &bb, err) &&
              metric_apply(S, &a->embed, &as, err) &&
              mul(&as, false, &b->embed, true, &X, err);
    /* tr(A_c X B_c X^T) = sum of (A_c X) * (X B_c), elementwise */
    for (int64_t c = 0; ok && c < a->C; c++) {
        Tensor ma = core_of(a, c), mb = core_of(b, c);
        ok = mul(&ma, false, &X, false, &mx, err) &&
             mul(&X, false, &mb, false, &xm, err);
        for (int64_t i = 0; ok && i < a->E * b->E; i++)
            ab += f64(&mx)[i] * f64(&xm)[i];
        tensor_release(&mx);
        tensor_release(&xm);
    }
    if (ok && aa * bb > 0)
        *out = ab / sqrt(aa * bb);
    Tensor *const all[] = {&as, &X, &Ka, &Kb};
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        tensor_release(all[i]);
    return ok;
}

bool interaction_logits(const Interaction *b, const Tensor *x, Tensor *out, Err *err)
{
    int64_t N = x->dim[0], E = b->E, C = b->C;
    Tensor e32 = {0}, m32 = {0}, z = {0}, zm = {0};
    char shape[96];
    memset(out, 0, sizeof *out);
    if (x->dtype != F32 || x->ndim != 2 || x->dim[1] != b->I || !tensor_contiguous(x))
        return err_set(err, ERR_SHAPE,
                       "logits: x is %s, it must be f32[N,%lld] without gaps",
                       tensor_format_shape(x, shape), (long long)b->I);
    bool ok = tensor_convert(&b->embed, F32, &e32, err) &&
              tensor_convert(&b->core, F32, &m32, err) &&
              tensor_new(F32, 2, (int64_t[]){N, E}, &z, err) &&
              tensor_new(F32, 2, (int64_t[]){N, E}, &zm, err) &&
              tensor_new(F32, 2, (int64_t[]){N, C}, out, err) &&
              blas_gemm_f32(false, true, N, E, b->I, 1, x->data, b->I, e32.data, b->I,
                            0, z.data, E, err);
    for (int64_t c = 0; ok && c < C; c++) {
        ok = blas_gemm_f32(false, false, N, E, E, 1, z.data, E,
                           (float *)m32.data + c * E * E, E, 0, zm.data, E, err);
        const float *p = z.data, *q = zm.data;
        for (int64_t n = 0; ok && n < N; n++) {
            double sum = 0;
            for (int64_t e = 0; e < E; e++)
                sum += (double)p[n * E + e] * (double)q[n * E + e];
            ((float *)out->data)[n * C + c] = (float)sum;
        }
    }
    Tensor *const all[] = {&e32, &m32, &z, &zm};
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        tensor_release(all[i]);
    if (!ok)
        tensor_release(out);
    return ok;
}

/* --- spectrum --------------------------------------------------------------------- */

/* F [r,E] with F^T F = K and G [r,E] = F^-T, over the directions K really has. */
static bool factor_gram(const Tensor *K, Tensor *F, Tensor *G, Err *err)
{
    Tensor val = {0}, vec = {0};
    int64_t E = K->dim[0], r = 0;
    bool ok = lapack_eigh(K, EIGH_DESCENDING, &val, &vec, err);
    while (ok && r < E && f64(&val)[r] > 1e-12 * fmax(f64(&val)[0], 1e-300))
        r++;
    if (ok && r == 0)
        ok = err_set(err, ERR_NUMERIC, "the interaction tensor is zero in this metric");
    ok = ok && new2(r, E, F, err) && new2(r, E, G, err);
    for (int64_t k = 0; ok && k < r; k++)
        for (int64_t e = 0; e < E; e++) {
            double s = sqrt(f64(&val)[k]), v = f64(&vec)[e * E + k];
            f64(F)[k * E + e] = s * v;
            f64(G)[k * E + e] = v / s;
        }
    tensor_release(&val);
    tensor_release(&vec);
    return ok;
}

static void fix_sign(double *row, int64_t n)
{
    int64_t top = 0;
    for (int64_t i = 1; i < n; i++)
        if (fabs(row[i]) > fabs(row[top]))
            top = i;
    if (row[top] < 0)
        for (int64_t i = 0; i < n; i++)
            row[i] = -row[i];
}

static bool class_spectrum(const Interaction *b, int64_t c, const Tensor *F,
                           const Tensor *G, Spectrum *s, Err *err)
{
    Tensor m = core_of(b, c), fm = {0}, fmf = {0}, val = {0}, vec = {0}, ug = {0};
    Tensor w = {0};
    bool ok = mul(F, false, &m, false, &fm, err) &&
              mul(&fm, false, F, true, &fmf, err) &&
              lapack_eigh(&fmf, EIGH_DESCENDING, &val, &vec, err) &&
              mul(&vec, true, G, false, &ug, err) &&
              mul(&ug, false, &b->embed, false, &w, err);
    if (ok) {
        memcpy(f64(&s->val) + c * s->K, val.data, tensor_bytes(&val));
        memcpy(f64(&s->filter) + c * s->K * s->I, w.data, tensor_bytes(&w));
        for (int64_t k = 0; k < s->K; k++)
            fix_sign(f64(&s->filter) + (c * s->K + k) * s->I, s->I);
    }
    Tensor *const all[] = {&fm, &fmf, &val, &vec, &ug, &w};
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        tensor_release(all[i]);
    return ok;
}

bool spectrum_new(const Interaction *b, const Tensor *S, Spectrum *out, Err *err)
{
    Tensor K = {0}, F = {0}, G = {0};
    memset(out, 0, sizeof *out);
    bool ok = interaction_gram(b, S, &K, err) && factor_gram(&K, &F, &G, err);
    if (ok) {
        out->C = b->C;
        out->K = F.dim[0];
        out->I = b->I;
        ok = new2(out->C, out->K, &out->val, err) &&
             tensor_zeros(F64, 3, (int64_t[]){out->C, out->K, out->I}, &out->filter,
                          err);
    }
    for (int64_t c = 0; ok && c < b->C; c++)
        ok = intr_check(err) && class_spectrum(b, c, &F, &G, out, err);
    tensor_release(&K);
    tensor_release(&F);
    tensor_release(&G);
    if (!ok)
        spectrum_done(out);
    return ok;
}

void spectrum_done(Spectrum *s)
{
    tensor_release(&s->val);
    tensor_release(&s->filter);
    memset(s, 0, sizeof *s);
}

/* Energy that the k-th component of class c captures: its k-th pair, or its k-th
 * largest |value|. */
static double captured(const Spectrum *s, int64_t c, int64_t k, bool pairs)
{
    const double *v = f64(&s->val) + c * s->K;
    if (k >= s->K)
        return 0;
    if (pairs) {
        double up = fmax(v[k], 0), down = fmin(v[s->K - 1 - k], 0);
        return up * up + down * down;
    }
    int64_t lo = 0, hi = s->K - 1; /* merge from both ends of the descending list */
    double top = 0;
    for (int64_t i = 0; i <= k; i++)
        top = fabs(v[lo]) >= fabs(v[hi]) ? v[lo++] : v[hi--];
    return top * top;
}

double limit_one_hot(const Spectrum *s, int64_t n, bool pairs, int64_t *count)
{
    int64_t used[INTERACTION_MAX_CLASSES] = {0};
    double total = 0, sum = 0;
    int64_t C = s->C;
    for (int64_t i = 0; i < s->C * s->K; i++)
        total += f64(&s->val)[i] * f64(&s->val)[i];
    for (int64_t i = 0; i < n; i++) {
        int64_t best = 0;
        for (int64_t c = 1; c < C; c++)
            if (captured(s, c, used[c], pairs) > captured(s, best, used[best], pairs))
                best = c;
        sum += captured(s, best, used[best], pairs);
        used[best]++;
    }
    if (count)
        memcpy(count, used, sizeof used[0] * (size_t)C);
    return total > 0 ? sqrt(fmin(sum / total, 1)) : 0;
}
