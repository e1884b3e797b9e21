/* sampler.h -- which examples make up the next batch.
 * Shuffled (training): epoch e visits the examples in the order permutation(seed, e) of
 * the stream "shuffle"; a tail shorter than a batch is dropped and the next epoch
 * begins. Sequential (evaluation): 0..n-1 in order, the tail as a short batch, then 0.
 * (epoch, position) is the whole state: sampler_seek() to a saved pair goes on exactly
 * as if it had never stopped. Owns one permutation; sampler_next() allocates
 * nothing. */
#ifndef CLEAVE_DATA_SAMPLER_H
#define CLEAVE_DATA_SAMPLER_H
#include <stdint.h>

#include "base/err.h"

typedef struct Sampler {
    int64_t n, batch;
    uint64_t seed;
    bool shuffle;
    int64_t epoch;       /* the one that the next batch comes from, from 0 */
    int64_t position;    /* examples of it already handed out */
    int32_t *order;      /* of epoch `order_epoch`; NULL when sequential */
    int64_t order_epoch; /* -1: none yet */
} Sampler;

/* ERR_OPTION when n or batch is not positive, or shuffled and batch > n. */
bool sampler_init(Sampler *s, int64_t n, int64_t batch, uint64_t seed, bool shuffle,
                  Err *err);
void sampler_done(Sampler *s); /* zeroed is fine */
/* Fills idx[0..count-1] and returns count: `batch`, a tail, or 0 at the end
 * (sequential; the call after that begins again). */
int64_t sampler_next(Sampler *s, int32_t *idx);
/* Batches in one epoch, the tail included when sequential. */
int64_t sampler_batches(const Sampler *s);
/* Goes to a saved state; ERR_OPTION when it is not one of this sampler. */
bool sampler_seek(Sampler *s, int64_t epoch, int64_t position, Err *err);
#endif
