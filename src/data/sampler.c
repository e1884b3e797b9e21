/* sampler.c -- the permutation of an epoch is made when its first batch is asked for;
 * it depends on (seed, epoch) alone, so seeking needs no replay. */
#include "data/sampler.h"

#include <limits.h>
#include <string.h>

#include "base/mem.h"
#include "tensor/rng.h"

bool sampler_init(Sampler *s, int64_t n, int64_t batch, uint64_t seed, bool shuffle,
                  Err *err)
{
    memset(s, 0, sizeof *s);
    if (n < 1 || n > INT32_MAX || batch < 1)
        return err_set(err, ERR_OPTION,
                       "sampler: needs at least one example and a positive batch, got "
                       "%lld and %lld",
                       (long long)n, (long long)batch);
    if (shuffle && batch > n)
        return err_set(err, ERR_OPTION,
                       "sampler: a batch of %lld does not fit into %lld examples",
                       (long long)batch, (long long)n);
    *s = (Sampler){
        .n = n, .batch = batch, .seed = seed, .shuffle = shuffle, .order_epoch = -1};
    if (shuffle)
        s->order = mem_array((size_t)n, sizeof *s->order, err);
    return !shuffle || s->order;
}

void sampler_done(Sampler *s)
{
    mem_free(s->order);
    memset(s, 0, sizeof *s);
}

int64_t sampler_batches(const Sampler *s)
{
    return s->shuffle ? s->n / s->batch : (s->n + s->batch - 1) / s->batch;
}

static int64_t next_shuffled(Sampler *s, int32_t *idx)
{
    if (s->n - s->position < s->batch) {
        s->epoch++;
        s->position = 0;
    }
    if (s->order_epoch != s->epoch) {
        RngKey key = {.seed = s->seed,
                      .stream = rng_stream("shuffle"),
                      .step = (uint64_t)s->epoch};
        rng_permutation(key, s->n, s->order);
        s->order_epoch = s->epoch;
    }
    memcpy(idx, s->order + s->position, (size_t)s->batch * sizeof *idx);
    s->position += s->batch;
    return s->batch;
}

int64_t sampler_next(Sampler *s, int32_t *idx)
{
    if (s->shuffle)
        return next_shuffled(s, idx);
    int64_t left = s->n - s->position, count = left < s->batch ? left : s->batch;
    for (int64_t i = 0; i < count; i++)
        idx[i] = (int32_t)(s->position + i);
    s->position += count;
    if (count == 0) {
        s->epoch++;
        s->position = 0;
    }
    return count;
}

bool sampler_seek(Sampler *s, int64_t epoch, int64_t position, Err *err)
{
    bool whole = position >= 0 && position <= s->n &&
                 (position % s->batch == 0 || (!s->shuffle && position == s->n));
    if (epoch < 0 || !whole)
        return err_set(
            err, ERR_OPTION,
            "sampler: epoch %lld, position %lld is not a state of %lld examples "
            "in batches of %lld",
            (long long)epoch, (long long)position, (long long)s->n,
            (long long)s->batch);
    s->epoch = epoch;
    s->position = position;
    return true;
}
