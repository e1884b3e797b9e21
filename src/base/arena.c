/* arena.c -- a chain of blocks, newest first; only the newest is filled, so a mark is
 * that block and how full it was. Blocks double from 16 KiB to 1 MiB; one that a
 * release emptied is kept as a spare, so that mark/release around a loop body does not
 * go back to the allocator each time. */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"

enum { UNIT = 16, FIRST = 16 << 10, LAST = 1 << 20 };

typedef struct Block Block;
struct Block {
    Block *older;
    size_t cap, used; /* bytes of data[] */
    _Alignas(16) char data[];
};

struct Arena {
    Block *top, *spare;
    size_t next_cap;
};

Arena *arena_new(Err *err)
{
    Arena *a = mem_zalloc(sizeof *a, err);
    if (a)
        a->next_cap = FIRST;
    return a;
}

void arena_free(Arena *a)
{
    if (!a)
        return;
    arena_release(a, (ArenaMark){NULL, 0});
    mem_free(a->spare);
    mem_free(a);
}

static Block *push_block(Arena *a, size_t need, Err *err)
{
    Block *b = a->spare;
    if (b && b->cap >= need) {
        a->spare = NULL;
    } else {
        size_t cap = need > a->next_cap ? need : a->next_cap;
        b = mem_alloc(sizeof *b + cap, err);
        if (!b)
            return NULL;
        b->cap = cap;
        if (a->next_cap < LAST)
            a->next_cap *= 2;
    }
    b->used = 0;
    b->older = a->top;
    a->top = b;
    return b;
}

void *arena_alloc(Arena *a, size_t bytes, Err *err)
{
    if (bytes > SIZE_MAX / 4) {
        err_set(err, ERR_MEMORY, "out of memory: %zu bytes asked of an arena", bytes);
        return NULL;
    }
    size_t need = (bytes + UNIT - 1) / UNIT * UNIT;
    if (need == 0)
        need = UNIT;
    Block *b = a->top;
    if (!b || b->cap - b->used < need)
        b = push_block(a, need, err);
    if (!b)
        return NULL;
    void *p = b->data + b->used;
    b->used += need;
    return memset(p, 0, need);
}

char *arena_strdup(Arena *a, const char *s, Err *err)
{
    size_t n = strlen(s) + 1;
    char *t = arena_alloc(a, n, err);
    return t ? memcpy(t, s, n) : NULL;
}

char *arena_printf(Arena *a, Err *err, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    if (n < 0) {
        err_set(err, ERR_FORMAT, "a text could not be formatted");
        return NULL;
    }
    char *t = arena_alloc(a, (size_t)n + 1, err);
    if (!t)
        return NULL;
    va_start(ap, fmt);
    vsnprintf(t, (size_t)n + 1, fmt, ap);
    va_end(ap);
    return t;
}

ArenaMark arena_mark(const Arena *a)
{
    return (ArenaMark){a->top, a->top ? a->top->used : 0};
}

static void drop_block(Arena *a, Block *b)
{
    if (a->spare && a->spare->cap >= b->cap) {
        mem_free(b);
    } else if (b->cap > LAST) {
        mem_free(b); /* an oversized block is not worth holding on to */
    } else {
        mem_free(a->spare);
        a->spare = b;
    }
}

void arena_release(Arena *a, ArenaMark m)
{
    while (a->top && a->top != m.block) {
        Block *b = a->top;
        a->top = b->older;
        drop_block(a, b);
    }
    if (a->top)
        a->top->used = m.used;
}
