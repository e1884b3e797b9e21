/* rng.c -- keys, single draws and parallel fills of the counter-based generator
 * (J. Salmon, M. Moraes, R. Dror, D. Shaw, "Parallel random numbers: as easy as
 * 1, 2, 3", SC 2011). The 64-bit seed is the Philox key; the counter holds the block's
 * number, the step and the stream. Steps from 2^32 on move the stream by a multiple of
 * an odd constant, so they too have counters of their own. */
#include "tensor/rng.h"

#include "tensor/pool.h"
#include "tensor/rng_kern.h"

enum { GRAIN = 1 << 15 }; /* elements of a chunk: some 15 us of uniforms */

uint32_t rng_stream(const char *name)
{
    uint32_t h = 2166136261u;
    for (; *name; name++)
        h = (h ^ (unsigned char)*name) * 16777619u;
    return h;
}

void philox4x32(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4])
{
    uint32_t c0 = counter[0], c1 = counter[1], c2 = counter[2], c3 = counter[3];
    uint32_t k0 = key[0], k1 = key[1];
    for (int round = 0; round < PHILOX_ROUNDS; round++) {
        uint64_t p0 = (uint64_t)c0 * PHILOX_M0, p1 = (uint64_t)c2 * PHILOX_M1;
        c0 = (uint32_t)(p1 >> 32) ^ c1 ^ k0;
        c2 = (uint32_t)(p0 >> 32) ^ c3 ^ k1;
        c1 = (uint32_t)p1;
        c3 = (uint32_t)p0;
        k0 += PHILOX_W0;
        k1 += PHILOX_W1;
    }
    out[0] = c0;
    out[1] = c1;
    out[2] = c2;
    out[3] = c3;
}

static RngSource source(RngKey k)
{
    return (RngSource){
        .k0 = (uint32_t)k.seed,
        .k1 = (uint32_t)(k.seed >> 32),
        .c2 = (uint32_t)k.step,
        .c3 = k.stream + PHILOX_W0 * (uint32_t)(k.step >> 32),
    };
}

typedef struct Fill {
    const RngTable *table;
    RngKind kind;
    RngSource source;
    int64_t first, n;
    double a, b, c;
    char *dst;
    int64_t size; /* bytes of an element */
} Fill;

static void fill_chunk(int chunk, void *ctx)
{
    const Fill *f = ctx;
    int64_t at = (int64_t)chunk * GRAIN, n = f->n - at < GRAIN ? f->n - at : GRAIN;
    f->table->fill(f->kind, f->source, f->first + at, n, f->a, f->b, f->c,
                   f->dst + at * f->size);
}

static void fill(RngKind kind, bool is_f64, RngKey k, int64_t first, int64_t n,
                 double a, double b, double c, void *dst)
{
    Fill f = {
        .table = KERN_PICK(rng_table, is_f64),
        .kind = kind,
        .source = source(k),
        .first = first,
        .n = n,
        .a = a,
        .b = b,
        .c = c,
        .dst = dst,
        .size = is_f64 ? 8 : 4,
    };
    pool_run(pool_chunks(n, GRAIN), fill_chunk, &f);
}

void rng_uniform_f32(RngKey k, int64_t first, int64_t n, float lo, float hi, float *dst)
{
    fill(RNG_UNIFORM, false, k, first, n, (double)lo, (double)hi, 0, dst);
}

void rng_uniform_f64(RngKey k, int64_t first, int64_t n, double lo, double hi,
                     double *dst)
{
    fill(RNG_UNIFORM, true, k, first, n, lo, hi, 0, dst);
}

void rng_normal_f32(RngKey k, int64_t first, int64_t n, float mean, float std,
                    float *dst)
{
    fill(RNG_NORMAL, false, k, first, n, (double)mean, (double)std, 0, dst);
}

void rng_normal_f64(RngKey k, int64_t first, int64_t n, double mean, double std,
                    double *dst)
{
    fill(RNG_NORMAL, true, k, first, n, mean, std, 0, dst);
}

void rng_bernoulli_f32(RngKey k, int64_t first, int64_t n, float p, float *dst)
{
    fill(RNG_BERNOULLI, false, k, first, n, (double)p, 0, 0, dst);
}

void rng_bernoulli_f64(RngKey k, int64_t first, int64_t n, double p, double *dst)
{
    fill(RNG_BERNOULLI, true, k, first, n, p, 0, 0, dst);
}

void rng_sparse_f32(RngKey k, int64_t first, int64_t n, float p, float lo, float hi,
                    float *dst)
{
    fill(RNG_SPARSE, false, k, first, n, (double)lo, (double)hi, (double)p, dst);
}

void rng_sparse_f64(RngKey k, int64_t first, int64_t n, double p, double lo, double hi,
                    double *dst)
{
    fill(RNG_SPARSE, true, k, first, n, lo, hi, p, dst);
}

uint64_t rng_u64(RngKey k, int64_t index)
{
    RngSource s = source(k);
    uint64_t block = (uint64_t)index / 4;
    uint32_t counter[4] = {(uint32_t)block, (uint32_t)(block >> 32), s.c2, s.c3};
    uint32_t key[2] = {s.k0, s.k1}, hi[4], lo[4];
    philox4x32(counter, key, hi);
    counter[1] |= RNG_TWIN;
    philox4x32(counter, key, lo);
    return (uint64_t)hi[index % 4] << 32 | lo[index % 4];
}

double rng_unit(RngKey k, int64_t index)
{
    return (double)(rng_u64(k, index) >> 11) * 0x1p-53;
}

int64_t rng_below(RngKey k, int64_t index, int64_t n)
{
    __extension__ typedef unsigned __int128 Wide;
    return (int64_t)((Wide)rng_u64(k, index) * (uint64_t)n >> 64);
}

void rng_permutation(RngKey k, int64_t n, int32_t *dst)
{
    for (int64_t i = 0; i < n; i++)
        dst[i] = (int32_t)i;
    for (int64_t i = n - 1; i > 0; i--) {
        int64_t j = rng_below(k, i, i + 1);
        int32_t t = dst[i];
        dst[i] = dst[j];
        dst[j] = t;
    }
}
