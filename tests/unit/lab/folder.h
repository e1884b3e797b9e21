/* folder.h -- a scratch folder for one test program, and reading files in tests. */
#ifndef CLEAVE_TESTS_FOLDER_H
#define CLEAVE_TESTS_FOLDER_H
#include <ftw.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[512];

static inline int remove_one(const char *path, const struct stat *st, int type,
                             struct FTW *ftw)
{
    (void)st, (void)type, (void)ftw;
    return remove(path);
}

static inline int folder_make(void **state)
{
    (void)state;
    const char *base = getenv("TMPDIR");
    snprintf(folder, sizeof folder, "%s/cleave-lab-XXXXXX", base ? base : "/tmp");
    return mkdtemp(folder) ? 0 : -1;
}

static inline int folder_drop(void **state)
{
    (void)state;
    return nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static inline const char *in_folder(const char *name)
{
    static char path[1024];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static inline void write_text(const char *name, const char *mode, const char *text)
{
    FILE *f = fopen(in_folder(name), mode);
    assert_non_null(f);
    assert_int_equal(fwrite(text, 1, strlen(text), f), strlen(text));
    assert_int_equal(fclose(f), 0);
}

/* The whole file, NUL-terminated; freed by the caller with free(). */
static inline char *read_text(const char *name, size_t *n)
{
    FILE *f = fopen(in_folder(name), "rb");
    assert_non_null(f);
    char *s = malloc((size_t)64 << 20);
    assert_non_null(s);
    *n = fread(s, 1, ((size_t)64 << 20) - 1, f);
    s[*n] = '\0';
    fclose(f);
    return s;
}
#endif
