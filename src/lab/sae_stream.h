/* sae_stream.h -- autoencoders on activations that stay in files, in a fixed amount of
 * memory: one window of rows (data/shards.h), and the first SAE_HEAD rows for what a
 * sample is enough for. Normalisation and starts read all files, in order. In training
 * an epoch takes the files in an order of (seed, epoch), cuts these rows into windows
 * and shuffles each by itself, so rows further apart than a window never meet; a window
 * of all rows is shuffled as activations in memory are, and the result has the same
 * bits. Two readers go side by side where there are targets. */
#ifndef CLEAVE_LAB_SAE_STREAM_H
#define CLEAVE_LAB_SAE_STREAM_H
#include "data/shards.h"
#include "decomp/sae.h"
#include "lab/train.h"

typedef struct SaeStream SaeStream;
/* Readers of the same files for these settings (batch, seed); target NULL: none. The
 * window is that of x. ERR_SHAPE: rows that are not vectors are flattened; targets that
 * are cut otherwise than x. Reads the first rows; interruptible. */
SaeStream *sae_stream_open(const Shards *x, const Shards *target, const SaeCfg *cfg,
                           Err *err);
void sae_stream_free(SaeStream *st); /* NULL is fine */
const SaeSource *sae_stream_source(const SaeStream *st);
const TrainFeed *sae_stream_feed(const SaeStream *st);
#endif
