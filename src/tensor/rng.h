/* rng.h -- counter-based random numbers: Philox4x32-10 (Salmon et al. 2011).
 * A draw is a pure function of (seed, stream, step, index), so it does not depend on
 * who draws first or on threads. `stream` is rng_stream("name"). Uniforms are in
 * [lo,hi) with 24 (f32) or 53 (f64) bits; normals by Box-Muller, index i paired with
 * i^1. f64 draws are the f32 draws with more digits. Uniforms and Bernoulli draws have
 * the same bits with every instruction set; f32 normals agree to a few units in the
 * last place. */
#ifndef CLEAVE_TENSOR_RNG_H
#define CLEAVE_TENSOR_RNG_H
#include <stdint.h>

#include "base/err.h"
#include "tensor/tensor.h"

typedef struct RngKey {
    uint64_t seed;
    uint32_t stream;
    uint64_t step;
} RngKey;

uint32_t rng_stream(const char *name); /* FNV-1a hash */
/* The raw generator: 4 words for one 128-bit counter. */
void philox4x32(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4]);

/* Fill contiguous arrays; element i uses index first+i. Parallel, vectorised. */
void rng_uniform_f32(RngKey k, int64_t first, int64_t n, float lo, float hi,
                     float *dst);
void rng_uniform_f64(RngKey k, int64_t first, int64_t n, double lo, double hi,
                     double *dst);
void rng_normal_f32(RngKey k, int64_t first, int64_t n, float mean, float std,
                    float *dst);
void rng_normal_f64(RngKey k, int64_t first, int64_t n, double mean, double std,
                    double *dst);
void rng_bernoulli_f32(RngKey k, int64_t first, int64_t n, float p, float *dst);
void rng_bernoulli_f64(RngKey k, int64_t first, int64_t n, double p, double *dst);
/* With probability p a uniform in lo..hi, else 0: the features of sparse toy data. One
 * draw of [0,1) decides both, so f32 has about 2^24 p different values. */
void rng_sparse_f32(RngKey k, int64_t first, int64_t n, float p, float lo, float hi,
                    float *dst);
void rng_sparse_f64(RngKey k, int64_t first, int64_t n, double p, double lo, double hi,
                    double *dst);
uint64_t rng_u64(RngKey k, int64_t index);
double rng_unit(RngKey k, int64_t index); /* one uniform in [0,1) */
/* Integer in 0..n-1 without bias worth naming (64-bit multiply-shift). */
int64_t rng_below(RngKey k, int64_t index, int64_t n);
/* Fisher-Yates over 0..n-1. */
void rng_permutation(RngKey k, int64_t n, int32_t *dst);
#endif
