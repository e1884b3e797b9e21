/* pool.h -- worker threads for parallel loops whose cuts depend on shape alone.
 * pool_run(n, fn, ctx) calls fn(i, ctx) for i in 0..n-1 on the caller and the workers and
 * returns when all are done; which thread runs which chunk never matters to results.
 * Workers spin a few microseconds, then sleep on a futex; they run with flush-to-zero and with
 * all signals blocked. One caller at a time (the Lua thread); nested calls run inline. */
#ifndef CLEAVE_TENSOR_POOL_H
#define CLEAVE_TENSOR_POOL_H
#include "base/err.h"

typedef void PoolFn(int chunk, void *ctx);
void pool_run(int n_chunks, PoolFn *fn, void *ctx);
/* Threads in use, the caller included. Default: cores, at most 8; --threads and
 * $CLEAVE_THREADS set it. May be called again; 1 joins all workers. Workers start lazily. */
int pool_threads(void);
bool pool_set_threads(int n, Err *err);
void pool_shutdown(void);

/* Splits 0..count into chunks of `grain` elements (a multiple of 16): the count of chunks. */
int pool_chunks(long count, long grain);
#endif
