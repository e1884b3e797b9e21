/* pool.h -- worker threads for parallel loops whose cuts depend on shape alone.
 * pool_run(n, fn, ctx) calls fn(i, ctx) for i in 0..n-1 on the caller and the workers
 * and returns when all are done; which thread runs which chunk never matters to
 * results. Workers spin 20 microseconds, then sleep on a futex, with all signals
 * blocked. Chunks run with flush-to-zero on every thread, the caller included. One
 * caller at a time (the Lua thread); nested calls, and calls from a second thread
 * meanwhile, run inline. */
#ifndef CLEAVE_TENSOR_POOL_H
#define CLEAVE_TENSOR_POOL_H
#include "base/err.h"

enum { POOL_MAX = 64 }; /* threads at most */

typedef void PoolFn(int chunk, void *ctx);
void pool_run(int n_chunks, PoolFn *fn, void *ctx);
/* Threads in use, the caller included. Default: cores this process may use, at most 8;
 * $CLEAVE_THREADS (1 to 64) and --threads set it. */
int pool_threads(void);
/* May be called again; 1 joins all workers, more start with the next pool_run that
 * needs them. ERR_OPTION outside 1..64, ERR_STATE from inside a chunk. */
bool pool_set_threads(int n, Err *err);
void pool_shutdown(void); /* joins the workers; a later pool_run starts new ones */

/* Splits 0..count into chunks of `grain` elements (a multiple of 16): the count of
 * chunks. */
int pool_chunks(long count, long grain);
#endif
