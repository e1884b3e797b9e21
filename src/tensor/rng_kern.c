/* rng_kern.c -- Philox4x32-10 on LANES counters at once, and the shapes of numbers made
 * from it. A group is 4 * LANES elements that begin at a multiple of that; groups cut
 * by the ends of a request are made whole in a small array and copied. Uniforms use
 * exact products and one rounding, so they have the same bits with and without fused
 * multiply-add. Normals are Box-Muller: elements 2k and 2k+1 are sqrt(-2 ln u) times
 * the cosine and the sine of one angle. */
#include "tensor/rng_kern.h"

#include <string.h>

#include "tensor/vmath.h"

#if defined(__AVX512F__)
#include <immintrin.h>
typedef unsigned long long Vec __attribute__((vector_size(64)));
#define MUL32(a, b) ((Vec)_mm512_mul_epu32((__m512i)(a), (__m512i)(b)))
enum { UNROLL = 2 };
#elif defined(__AVX2__)
#include <immintrin.h>
typedef unsigned long long Vec __attribute__((vector_size(32)));
#define MUL32(a, b) ((Vec)_mm256_mul_epu32((__m256i)(a), (__m256i)(b)))
enum { UNROLL = 4 };
#elif defined(__SSE2__)
#include <emmintrin.h>
typedef unsigned long long Vec __attribute__((vector_size(16)));
#define MUL32(a, b) ((Vec)_mm_mul_epu32((__m128i)(a), (__m128i)(b)))
enum { UNROLL = 4 };
#else
typedef unsigned long long Vec __attribute__((vector_size(16)));
#define MUL32(a, b) (((a) & 0xffffffffu) * ((b) & 0xffffffffu))
enum { UNROLL = 4 };
#endif

enum {
    LANES = 16,
    GROUP = 4 * LANES,
    PER_VEC = sizeof(Vec) / 8,
    STEP = UNROLL * PER_VEC
};

typedef struct Words {
    _Alignas(64) uint32_t w[4][LANES]; /* word j of the block of lane l */
} Words;

/* Blocks block .. block + STEP - 1 into lanes at .. of out. Counters live in 64-bit
 * lanes whose upper halves are noise: products read the low halves only. The compiler
 * would take a full 64-bit product here, which is three times slower. */
static inline void philox_step(RngSource s, uint64_t block, uint32_t twin, int at,
                               Words *out)
{
    Vec c0[UNROLL], c1[UNROLL], c2[UNROLL], c3[UNROLL];
    const Vec zero = {0}, m0 = zero + PHILOX_M0, m1 = zero + PHILOX_M1;
    static const unsigned long long ramp[8] = {0, 1, 2, 3, 4, 5, 6, 7};
    Vec lane_number;
    memcpy(&lane_number, ramp, sizeof lane_number);
    /* block is a multiple of STEP, so its upper word is the same for all lanes. */
    for (int v = 0; v < UNROLL; v++) {
        c0[v] = lane_number + (block + (uint64_t)(v * PER_VEC));
        c1[v] = zero + (block >> 32 | twin);
        c2[v] = zero + s.c2;
        c3[v] = zero + s.c3;
    }
#pragma GCC unroll 10
    for (int round = 0; round < PHILOX_ROUNDS; round++) {
#pragma GCC unroll 4
        for (int v = 0; v < UNROLL; v++) {
            Vec p0 = MUL32(c0[v], m0), p1 = MUL32(c2[v], m1);
            c0[v] = p1 >> 32 ^ c1[v] ^ s.k0;
            c2[v] = p0 >> 32 ^ c3[v] ^ s.k1;
            c1[v] = p1;
            c3[v] = p0;
        }
        s.k0 += PHILOX_W0;
        s.k1 += PHILOX_W1;
    }
    for (int v = 0; v < UNROLL; v++) {
        for (int l = 0; l < PER_VEC; l++) {
            int lane = at + v * PER_VEC + l;
            out->w[0][lane] = (uint32_t)c0[v][l];
            out->w[1][lane] = (uint32_t)c1[v][l];
            out->w[2][lane] = (uint32_t)c2[v][l];
            out->w[3][lane] = (uint32_t)c3[v][l];
        }
    }
}

static inline void philox(RngSource s, uint64_t block, uint32_t twin, Words *out)
{
    for (int at = 0; at < LANES; at += STEP)
        philox_step(s, block + (uint64_t)at, twin, at, out);
}

/* One group of raw draws. unit(): [0,1). open(): (0,1], for the logarithm. turn():
 * [-1/2,1/2), an angle in turns. f64 adds the digits of the twin block. */
#ifdef KERN_F64
typedef struct Draws {
    Words hi, lo;
} Draws;

static inline void draw(RngSource s, uint64_t block, Draws *d)
{
    philox(s, block, 0, &d->hi);
    philox(s, block, RNG_TWIN, &d->lo);
}

static inline uint64_t wide(const Draws *d, int j, int l)
{
    return (uint64_t)d->hi.w[j][l] << 32 | d->lo.w[j][l];
}

static inline real unit(const Draws *d, int j, int l)
{
    return (real)(int64_t)(wide(d, j, l) >> 11) * 0x1p-53;
}

static inline real open(const Draws *d, int j, int l)
{
    return ((real)(int64_t)(wide(d, j, l) >> 12) + 0.5) * 0x1p-52;
}

static inline real turn(const Draws *d, int j, int l)
{
    return (real)((int64_t)wide(d, j, l) >> 11) * 0x1p-53;
}
#else
typedef struct Draws {
    Words hi;
} Draws;

static inline void draw(RngSource s, uint64_t block, Draws *d)
{
    philox(s, block, 0, &d->hi);
}

static inline real unit(const Draws *d, int j, int l)
{
    return (real)(int32_t)(d->hi.w[j][l] >> 8) * 0x1p-24f;
}

static inline real open(const Draws *d, int j, int l)
{
    return ((real)(int32_t)(d->hi.w[j][l] >> 1) + 0.5f) * 0x1p-31f;
}

static inline real turn(const Draws *d, int j, int l)
{
    return (real)((int32_t)d->hi.w[j][l] >> 8) * 0x1p-24f;
}
#endif

/* lo + u (hi - lo) below hi. In f32 through double: the product is exact there. */
static inline real stretch(real u, double lo, double width, real below)
{
    real v = (real)(lo + (double)u * width);
    return v < below ? v : below;
}

static void group_uniform(const Draws *d, double a, double b, real *dst)
{
    if (a == 0 && b == 1) {
        for (int l = 0; l < LANES; l++) {
            for (int j = 0; j < 4; j++)
                dst[4 * l + j] = unit(d, j, l);
        }
        return;
    }
    double width = (double)(real)(b - a);
#ifdef KERN_F64
    real below = b > a ? nextafter(b, a) : b;
#else
    real below = b > a ? nextafterf((real)b, (real)a) : (real)b;
#endif
    for (int l = 0; l < LANES; l++) {
        for (int j = 0; j < 4; j++)
            dst[4 * l + j] = stretch(unit(d, j, l), a, width, below);
    }
}

static void group_normal(const Draws *d, double a, double b, real *dst)
{
    const real mean = (real)a, std = (real)b;
    for (int l = 0; l < LANES; l++) {
        for (int j = 0; j < 4; j += 2) {
            real s, c, r = std * v_sqrt(-2 * v_log(open(d, j, l)));
            v_sincos2pi(turn(d, j + 1, l), &s, &c);
            dst[4 * l + j] = mean + r * c;
            dst[4 * l + j + 1] = mean + r * s;
        }
    }
}

static void group_bernoulli(const Draws *d, double a, double b, real *dst)
{
    const real p = (real)a;
    (void)b;
    for (int l = 0; l < LANES; l++) {
        for (int j = 0; j < 4; j++)
            dst[4 * l + j] = unit(d, j, l) < p ? 1 : 0;
    }
}

/* One draw says both whether and what: below p it is spread over a..b. */
static void group_sparse(const Draws *d, double a, double b, double p, real *dst)
{
    const real bound = (real)p;
    double width = (double)(real)(b - a);
    for (int l = 0; l < LANES; l++) {
        for (int j = 0; j < 4; j++) {
            real u = unit(d, j, l);
            dst[4 * l + j] = u < bound ? stretch(u / bound, a, width, (real)b) : 0;
        }
    }
}

static inline void group(RngKind kind, RngSource s, uint64_t g, double a, double b,
                         double c, real *dst)
{
    Draws d;
    draw(s, g * LANES, &d);
    if (kind == RNG_UNIFORM)
        group_uniform(&d, a, b, dst);
    else if (kind == RNG_NORMAL)
        group_normal(&d, a, b, dst);
    else if (kind == RNG_BERNOULLI)
        group_bernoulli(&d, a, b, dst);
    else
        group_sparse(&d, a, b, c, dst);
}

static void fill(RngKind kind, RngSource s, int64_t first, int64_t n, double a,
                 double b, double c, void *out)
{
    real *dst = out;
    while (n > 0) {
        int64_t skip = first % GROUP, take = GROUP - skip < n ? GROUP - skip : n;
        uint64_t g = (uint64_t)(first / GROUP);
        if (take == GROUP) {
            group(kind, s, g, a, b, c, dst);
        } else {
            real whole[GROUP];
            group(kind, s, g, a, b, c, whole);
            memcpy(dst, whole + skip, (size_t)take * sizeof *dst);
        }
        first += take;
        dst += take;
        n -= take;
    }
}

const RngTable KERN(rng_table) = {.fill = fill};
