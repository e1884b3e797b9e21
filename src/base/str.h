/* str.h -- growable text and UTF-8. A Str owns its bytes; they are always
 * NUL-terminated. Failure is sticky: after an allocation failed, `oom` is set,
 * further appends do nothing, and the caller checks once at the end. */
#ifndef CLEAVE_BASE_STR_H
#define CLEAVE_BASE_STR_H
#include <stdint.h>

#include "base/err.h"

typedef struct Str {
    char *s;         /* never NULL after str_init */
    size_t len, cap; /* bytes, without and with the NUL */
    bool oom;
} Str;

void str_init(Str *t); /* allocates nothing */
void str_done(Str *t);
void str_clear(Str *t);
void str_add(Str *t, const char *s);
void str_addn(Str *t, const char *s, size_t n);
void str_addc(Str *t, char c);
void str_addf(Str *t, const char *fmt, ...) ATTR_PRINTF(2, 3);
/* Appends a code point as UTF-8. */
void str_add_rune(Str *t, uint32_t rune);
/* false with ERR_MEMORY if any append failed. */
bool str_ok(const Str *t, Err *err);

/* Strict UTF-8: decodes one code point from s (n bytes left, n >= 1) into *rune and
 * returns its length; an invalid byte gives length 1 and *rune = 0xFFFD. */
int utf8_next(const char *s, size_t n, uint32_t *rune);
/* Columns a code point takes on a terminal: 0, 1 or 2; -1 for a control character. */
int rune_width(uint32_t rune);
/* Columns of a NUL-terminated UTF-8 text (control characters count 0). */
int text_width(const char *s);
/* Edit distance, for "did you mean"; at most 64 bytes of each are looked at. */
int text_distance(const char *a, const char *b);
/* The nearest of names[0..n-1] to s if close enough for a typing mistake, or the first
 * that begins with s (3 bytes or more), else NULL. */
const char *text_nearest(const char *s, const char *const *names, size_t n);
/* Copies src into dst[cap], always terminated; false when it was cut. */
bool text_copy(char *dst, size_t cap, const char *src);
#endif
