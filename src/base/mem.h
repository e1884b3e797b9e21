/* mem.h -- the budgeted allocator that everything of ours goes through, and arenas.
 * mem_alloc() owns nothing; the caller frees with mem_free(). Blocks are 64-byte
 * aligned; blocks of 4 MiB and more ask for huge pages. Live and peak bytes are
 * counted (headers included); an allocation past the budget fails with ERR_MEMORY.
 * Fault injection: mem_fail_at(n) makes the n-th allocation from now fail once.
 * Threads: all functions are safe from any thread. An Arena belongs to one. */
#ifndef CLEAVE_BASE_MEM_H
#define CLEAVE_BASE_MEM_H
#include <stdint.h>

#include "base/err.h"

void *mem_alloc(size_t bytes, Err *err);  /* contents undefined; 0 bytes is legal */
void *mem_zalloc(size_t bytes, Err *err); /* zeroed */
/* Array of n items: fails cleanly when n*size overflows. */
void *mem_array(size_t n, size_t size, Err *err);
/* Grows or shrinks; on failure returns NULL and the old block stays valid. */
void *mem_realloc(void *p, size_t bytes, Err *err);
char *mem_strdup(const char *s, Err *err);
void mem_free(void *p); /* NULL is fine */

size_t mem_live(void);   /* bytes now */
size_t mem_peak(void);   /* most bytes at once since start or mem_peak_reset() */
void mem_peak_reset(void);
uint64_t mem_total(void); /* bytes ever handed out: what garbage pacing reads */
size_t mem_budget(void);  /* default: 3/4 of mem_machine() */
void mem_set_budget(size_t bytes);
void mem_trim(void); /* gives freed large blocks that are kept for reuse back now */
/* Physical memory, or less where a control group (container, batch job) allows less. */
size_t mem_machine(void);
/* The smallest memory.max from root + group up to root; SIZE_MAX without a limit. */
size_t mem_group_limit(const char *root, const char *group);

/* Tests: the n-th allocation from now (1 = next) fails once; 0 switches it off.
 * mem_fail_fired() tells whether it has happened. */
void mem_fail_at(long n);
bool mem_fail_fired(void);

/* Bump allocator for things that die together. */
typedef struct Arena Arena;
typedef struct ArenaMark {
    void *block;
    size_t used;
} ArenaMark;
Arena *arena_new(Err *err);
void arena_free(Arena *a);                            /* NULL is fine */
void *arena_alloc(Arena *a, size_t bytes, Err *err);  /* zeroed, 16-byte aligned */
char *arena_strdup(Arena *a, const char *s, Err *err);
char *arena_printf(Arena *a, Err *err, const char *fmt, ...) ATTR_PRINTF(3, 4);
ArenaMark arena_mark(const Arena *a);
void arena_release(Arena *a, ArenaMark m); /* drops everything since the mark */
#endif
