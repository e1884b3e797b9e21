/* rng_kern.h -- what rng_kern.c offers rng.c: filling one stretch of a stream. The
 * addressing is fixed here once: element i of a stream reads word (i mod 4) of block
 * (i / 4). f64 reads its low 32 bits from the twin block (RNG_TWIN set in the counter),
 * so an f64 draw is the f32 draw with more digits. Pure functions; any thread. */
#ifndef CLEAVE_TENSOR_RNG_KERN_H
#define CLEAVE_TENSOR_RNG_KERN_H
#include <stdint.h>

#include "base/kern.h"

#define PHILOX_M0 0xD2511F53u /* multipliers */
#define PHILOX_M1 0xCD9E8D57u
#define PHILOX_W0 0x9E3779B9u /* what the key grows by in every round */
#define PHILOX_W1 0xBB67AE85u
enum { PHILOX_ROUNDS = 10 };
#define RNG_TWIN 0x80000000u /* in the second word of the counter */

/* The counter of block b is {low b, high b, c2, c3}. */
typedef struct RngSource {
    uint32_t k0, k1, c2, c3;
} RngSource;

typedef enum RngKind {
    RNG_UNIFORM,
    RNG_NORMAL,
    RNG_BERNOULLI,
    RNG_SPARSE,
    RNG_KINDS
} RngKind;

/* dst (real *) [0..n-1] = elements first .. first+n-1. a, b: lo and hi, mean and
 * standard deviation, or the probability and nothing; sparse: lo, hi and, in c, the
 * probability. */
typedef struct RngTable {
    void (*fill)(RngKind kind, RngSource s, int64_t first, int64_t n, double a,
                 double b, double c, void *dst);
} RngTable;
KERN_TABLES(RngTable, rng_table);
#endif
