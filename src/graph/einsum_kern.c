/* einsum_kern.c -- small products one after another. With B stored [K,N] a row of C
 * gathers rows of B; with both stored along K every element is a dot product in 16
 * lanes. */
#include "graph/einsum_kern.h"

enum { LANES = 16 };

static inline real dot(int64_t n, const real *a, int64_t step, const real *b)
{
    real lane[LANES] = {0}, s = 0;
    int64_t i = 0;
    if (step == 1) {
        for (; i + LANES <= n; i += LANES)
            for (int l = 0; l < LANES; l++)
                lane[l] += a[i + l] * b[i + l];
        for (int half = LANES / 2; half > 0; half /= 2)
            for (int l = 0; l < half; l++)
                lane[l] += lane[l + half];
        s = lane[0];
    }
    for (; i < n; i++)
        s += a[i * step] * b[i];
    return s;
}

/* c = A^T b with A [K,M]: rows of A gathered, never its columns walked. */
static void transposed_vector(SmallProduct p, const real *a, const real *b, real *c)
{
    for (int64_t m = 0; m < p.M; m++)
        c[m] = b[0] * a[m];
    int64_t k = 1;
    for (; k + 4 <= p.K; k += 4) {
        const real f0 = b[k], f1 = b[k + 1], f2 = b[k + 2], f3 = b[k + 3];
        const real *a0 = a + k * p.M, *a1 = a0 + p.M, *a2 = a1 + p.M, *a3 = a2 + p.M;
#pragma omp simd
        for (int64_t m = 0; m < p.M; m++)
            c[m] += (f0 * a0[m] + f1 * a1[m]) + (f2 * a2[m] + f3 * a3[m]);
    }
    for (; k < p.K; k++) {
        const real f = b[k], *ak = a + k * p.M;
#pragma omp simd
        for (int64_t m = 0; m < p.M; m++)
            c[m] += f * ak[m];
    }
}

static void one_product(SmallProduct p, const real *a, const real *b, real *c)
{
    int64_t row = p.a_trans ? 1 : p.K, step = p.a_trans ? p.M : 1;
    if (p.N == 1 && p.a_trans && p.M > 1) {
        transposed_vector(p, a, b, c);
        return;
    }
    for (int64_t m = 0; m < p.M; m++, c += p.N) {
        const real *am = a + m * row;
        if (!p.b_trans && p.K != 1) {
            for (int64_t n = 0; n < p.N; n++)
                c[n] = dot(p.K, am, step, b + n * p.K);
            continue;
        }
        for (int64_t n = 0; n < p.N; n++)
            c[n] = am[0] * b[n];
        for (int64_t k = 1; k < p.K; k++) {
            const real f = am[k * step], *bk = b + k * p.N;
#pragma omp simd
            for (int64_t n = 0; n < p.N; n++)
                c[n] += f * bk[n];
        }
    }
}

static void KERN(products)(int64_t count, SmallProduct p, const void *ap,
                           const void *bp, void *cp)
{
    const real *a = ap, *b = bp;
    real *c = cp;
    for (int64_t i = 0; i < count; i++)
        one_product(p, a + i * p.M * p.K, b + i * p.N * p.K, c + i * p.M * p.N);
}

const EinsumTable KERN(einsum_table) = {.products = KERN(products)};
