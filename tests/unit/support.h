/* support.h -- what many unit tests need: cmocka with its includes in order, a scratch
 * folder that cleans up after itself, and the loop that lets every single allocation
 * of an operation fail once. */
#ifndef CLEAVE_TEST_SUPPORT_H
#define CLEAVE_TEST_SUPPORT_H
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <ftw.h>
#include <unistd.h>

#include "base/err.h"
#include "base/mem.h"

#define assert_has(text, part)                                                         \
    do {                                                                               \
        if (!strstr((text), (part)))                                                   \
            fail_msg("\"%s\" does not contain \"%s\"", (text), (part));                \
    } while (0)
#define assert_ok(call, err)                                                           \
    do {                                                                               \
        if (!(call))                                                                   \
            fail_msg("%s: %s", #call, (err).msg);                                      \
    } while (0)

typedef bool TryFn(void *ctx, Err *err);

/* Runs f with its 1st, 2nd, 3rd ... allocation failing until it gets through untouched.
 * Each failure must be reported as ERR_MEMORY and must leak nothing; f frees what it
 * made when it succeeds. Returns how many allocations f makes. */
static inline long fail_each_alloc(TryFn *f, void *ctx)
{
    for (long n = 1;; n++) {
        Err err = {0};
        size_t live = mem_live();
        mem_fail_at(n);
        bool ok = f(ctx, &err);
        bool fired = mem_fail_fired();
        mem_fail_at(0);
        if (mem_live() != live)
            fail_msg("allocation %ld: %zu bytes before, %zu after", n, live,
                     mem_live());
        if (!fired) {
            assert_ok(ok, err);
            return n - 1;
        }
        if (ok || err.code != ERR_MEMORY)
            fail_msg("allocation %ld failed unnoticed: %d '%s'", n, (int)ok, err.msg);
    }
}

static inline void scratch_make(char dir[64])
{
    strcpy(dir, "/tmp/cleave-test-XXXXXX");
    assert_non_null(mkdtemp(dir));
}

static inline int scratch_remove_one(const char *path, const struct stat *st, int type,
                                     struct FTW *ftw)
{
    (void)st, (void)type, (void)ftw;
    return remove(path);
}

static inline void scratch_remove(const char *dir)
{
    nftw(dir, scratch_remove_one, 16, FTW_DEPTH | FTW_PHYS);
}
#endif
