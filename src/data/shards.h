/* shards.h -- rows that are kept in many .npy or .safetensors files, such as stored
 * activations, handed out in batches with a fixed amount of memory. All files hold rows
 * of one shape. An epoch reads every row once: the files one after the other, in
 * windows of so many rows; shuffled, the files come in an order of (seed, epoch) and
 * the rows of a window too. (epoch, position) is the whole state. Errors name the file.
 * Owns its window and one open file; one thread. */
#ifndef CLEAVE_DATA_SHARDS_H
#define CLEAVE_DATA_SHARDS_H
#include "base/option.h"
#include "tensor/tensor.h"

typedef struct ShardsCfg {
    int64_t batch;  /* rows */
    int64_t window; /* rows in memory, made a multiple of batch */
    int64_t seed;
    bool shuffle;             /* drops the tail that fills no batch */
    char tensor[OPT_STR_CAP]; /* its name in .safetensors; "": the only one */
} ShardsCfg;
extern const OptRow shards_options[];
extern const size_t shards_n_options;

typedef struct Shards Shards;
/* Files that match a pattern of glob(7), sorted by name;
 * a folder means its .npy and .safetensors files. Reads every header. */
Shards *shards_open(const char *pattern, const ShardsCfg *cfg, Err *err);
void shards_free(Shards *s); /* NULL is fine */
int64_t shards_rows(const Shards *s);
int shards_files(const Shards *s);
int shards_row_shape(const Shards *s, int64_t dim[MAX_DIM]); /* returns ndim */
/* The next batch, a new f32 tensor [n, ...]; n = 0 and a zeroed tensor at the end of an
 * epoch, after which the next one begins. Interruptible. */
bool shards_next(Shards *s, Tensor *out, int64_t *n, Err *err);
/* The first `rows` of a whole epoch as one tensor f32 [rows, ...], fewer if there are
 * not so many (a shuffled epoch lacks the tail); the next batch is from another epoch.
 * rows 0: all. Memory that is not there is an error. */
bool shards_load(Shards *s, int64_t rows, Tensor *out, Err *err);
int64_t shards_epoch(const Shards *s);    /* that the next batch is from, from 0 */
int64_t shards_position(const Shards *s); /* rows of it already handed out */
bool shards_seek(Shards *s, int64_t epoch, int64_t position, Err *err);

/* The same files, rows and seed of another reader. ERR_FORMAT names a file whose header
 * is another than it was. */
const ShardsCfg *shards_cfg(const Shards *s);
Shards *shards_again(const Shards *s, const ShardsCfg *cfg, Err *err);
/* ERR_SHAPE unless file by file a and b have the same number of rows, so that readers of
 * one batch, window and seed give rows that belong together. */
bool shards_aligned(const Shards *a, const Shards *b, Err *err);
/* Reading without copies: the window, f32 [window, values of a row], stays where it is
 * while its contents change. */
bool shards_window(Shards *s, const Tensor **out, Err *err);
/* Makes the batch of a state (in a shuffled epoch, not its tail) present: it is at rows
 * idx[0..batch-1] of the window. fresh: another window had to be read. */
bool shards_ready(Shards *s, int64_t epoch, int64_t position, int32_t *idx, bool *fresh,
                  Err *err);
/* Rows first, first + 1 ... in the order of the files to the start of the window; n: how
 * many. The next batch reads its window again. */
bool shards_block(Shards *s, int64_t first, int64_t *n, Err *err);
#endif
