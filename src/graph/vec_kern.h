/* vec_kern.h -- vectors of a kernel variant's own width, for *_kern.c files whose bits
 * must not depend on how an array is cut: multiply-adds are spelled (vfma), so the
 * compiler cannot contract differently in two places; ragged ends go through padded
 * copies. */
#ifndef CLEAVE_GRAPH_VEC_KERN_H
#define CLEAVE_GRAPH_VEC_KERN_H
#include <math.h>
#include <stdint.h>
#include <string.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "base/kern.h"

#if defined(KERN_F64) || !defined(__AVX2__)
#define VEC_BYTES 16
#elif defined(__AVX512F__)
#define VEC_BYTES 64
#else
#define VEC_BYTES 32
#endif
enum { LANES = VEC_BYTES / sizeof(real) };

typedef real vec __attribute__((vector_size(VEC_BYTES)));
typedef real vec_mem __attribute__((vector_size(VEC_BYTES), aligned(sizeof(real))));
#define ALWAYS static inline __attribute__((always_inline))

ALWAYS vec load(const real *p)
{
    return (vec) * (const vec_mem *)(const void *)p;
}

ALWAYS void store(real *p, vec x)
{
    *(vec_mem *)(void *)p = (vec_mem)x;
}

ALWAYS vec load_part(const real *p, int64_t n)
{
    real t[LANES] = {0};
    memcpy(t, p, (size_t)n * sizeof *t);
    return load(t);
}

ALWAYS void store_part(real *p, vec x, int64_t n)
{
    real t[LANES];
    store(t, x);
    memcpy(p, t, (size_t)n * sizeof *t);
}

ALWAYS vec splat(double x)
{
    return (real)x - (vec){0};
}

ALWAYS vec vfma(vec a, vec b, vec c)
{
#if defined(KERN_F64) || !defined(__FMA__)
    return a * b + c;
#elif defined(__AVX512F__)
    return (vec)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
#else
    return (vec)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
#endif
}

ALWAYS vec vsqrt(vec x)
{
#if !defined(__x86_64__)
    for (int k = 0; k < (int)LANES; k++)
        x[k] = (real)sqrt((double)x[k]);
    return x;
#elif defined(KERN_F64)
    return (vec)_mm_sqrt_pd((__m128d)x);
#elif defined(__AVX512F__)
    return (vec)_mm512_sqrt_ps((__m512)x);
#elif defined(__AVX2__)
    return (vec)_mm256_sqrt_ps((__m256)x);
#else
    return (vec)_mm_sqrt_ps((__m128)x);
#endif
}

/* Halves added to halves: a fixed tree. */
ALWAYS real vsum(vec x)
{
#if defined(__AVX2__) && !defined(KERN_F64)
#if defined(__AVX512F__)
    __m256 h = _mm256_add_ps(_mm512_castps512_ps256((__m512)x),
                             _mm512_extractf32x8_ps((__m512)x, 1));
#else
    __m256 h = (__m256)x;
#endif
    __m128 q = _mm_add_ps(_mm256_castps256_ps128(h), _mm256_extractf128_ps(h, 1));
    q = _mm_add_ps(q, _mm_movehl_ps(q, q));
    return _mm_cvtss_f32(_mm_add_ss(q, _mm_movehdup_ps(q)));
#else
    for (int n = (int)LANES / 2; n > 0; n /= 2)
        for (int k = 0; k < n; k++)
            x[k] += x[k + n];
    return x[0];
#endif
}
#endif
