/* str.c -- growable text, and how far apart two words are. An empty Str points at one
 * shared NUL and owns nothing; capacity doubles. Appending a piece of the text itself
 * is legal, so the growth keeps track of where that piece moved to. */
#include "base/str.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"

enum { FIRST_CAP = 32, WORD_CAP = 64 };

static char empty[1];

void str_init(Str *t)
{
    *t = (Str){.s = empty};
}

void str_done(Str *t)
{
    if (t->cap > 0)
        mem_free(t->s);
    str_init(t);
}

void str_clear(Str *t)
{
    t->len = 0;
    if (t->cap > 0)
        t->s[0] = '\0';
}

/* Makes room for n more bytes and the NUL. */
static bool grow(Str *t, size_t n)
{
    if (t->oom)
        return false;
    if (t->len < t->cap && n < t->cap - t->len)
        return true;
    size_t cap = t->cap > 0 ? t->cap : FIRST_CAP;
    char *s = NULL;
    if (n < SIZE_MAX / 4 && t->len < SIZE_MAX / 4) {
        while (cap <= t->len + n)
            cap *= 2;
        s = mem_realloc(t->cap > 0 ? t->s : NULL, cap, NULL);
    }
    if (!s) {
        t->oom = true;
        return false;
    }
    t->s = s;
    t->cap = cap;
    return true;
}

void str_addn(Str *t, const char *s, size_t n)
{
    uintptr_t at = (uintptr_t)s, from = (uintptr_t)t->s;
    bool own = t->cap > 0 && at >= from && at - from <= t->len;
    if (!grow(t, n))
        return;
    memmove(t->s + t->len, own ? t->s + (at - from) : s, n);
    t->len += n;
    t->s[t->len] = '\0';
}

void str_add(Str *t, const char *s)
{
    str_addn(t, s, strlen(s));
}

void str_addc(Str *t, char c)
{
    str_addn(t, &c, 1);
}

void str_addf(Str *t, const char *fmt, ...)
{
    char local[256];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(local, sizeof local, fmt, ap);
    va_end(ap);
    if (n < 0) {
        t->oom = true;
    } else if ((size_t)n < sizeof local) {
        str_addn(t, local, (size_t)n);
    } else {
        /* arguments may point into t->s, so it stays until the new text is made */
        char *text = t->oom ? NULL : mem_alloc((size_t)n + 1, NULL);
        if (!text) {
            t->oom = true;
            return;
        }
        va_start(ap, fmt);
        vsnprintf(text, (size_t)n + 1, fmt, ap);
        va_end(ap);
        str_addn(t, text, (size_t)n);
        mem_free(text);
    }
}

void str_add_rune(Str *t, uint32_t r)
{
    char b[4];
    size_t n = 1;
    if (r > 0x10FFFF || (r >= 0xD800 && r <= 0xDFFF))
        r = 0xFFFD;
    if (r < 0x80) {
        b[0] = (char)r;
    } else if (r < 0x800) {
        b[0] = (char)(0xC0 | r >> 6);
        n = 2;
    } else if (r < 0x10000) {
        b[0] = (char)(0xE0 | r >> 12);
        n = 3;
    } else {
        b[0] = (char)(0xF0 | r >> 18);
        n = 4;
    }
    for (size_t i = 1; i < n; i++)
        b[i] = (char)(0x80 | (r >> 6 * (n - 1 - i) & 0x3F));
    str_addn(t, b, n);
}

bool str_ok(const Str *t, Err *err)
{
    if (!t->oom)
        return true;
    return err_set(err, ERR_MEMORY, "out of memory: a text of more than %zu bytes",
                   t->len);
}

/* Optimal string alignment: insert, delete, replace, swap two neighbours. */
int text_distance(const char *a, const char *b)
{
    unsigned char row[3][WORD_CAP + 1];
    unsigned char *before = row[0], *last = row[1], *now = row[2];
    size_t n = strnlen(a, WORD_CAP), m = strnlen(b, WORD_CAP);
    for (size_t j = 0; j <= m; j++)
        last[j] = (unsigned char)j;
    for (size_t i = 1; i <= n; i++) {
        now[0] = (unsigned char)i;
        for (size_t j = 1; j <= m; j++) {
            int d = last[j - 1] + (a[i - 1] != b[j - 1]);
            if (last[j] + 1 < d)
                d = last[j] + 1;
            if (now[j - 1] + 1 < d)
                d = now[j - 1] + 1;
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
                before[j - 2] + 1 < d)
                d = before[j - 2] + 1;
            now[j] = (unsigned char)d;
        }
        unsigned char *free_row = before;
        before = last;
        last = now;
        now = free_row;
    }
    return last[m];
}

const char *text_nearest(const char *s, const char *const *names, size_t n)
{
    const char *best = NULL;
    size_t len = strlen(s);
    int best_d = len < 3 ? 2 : (int)(len < 24 ? len / 3 : 8) + 1; /* first too far */
    for (size_t i = 0; i < n; i++) {
        int d = text_distance(s, names[i]);
        if (d < best_d && (size_t)d < len) {
            best = names[i];
            best_d = d;
        }
    }
    /* no slip of the finger: perhaps a word that was not finished */
    for (size_t i = 0; i < n && !best && len >= 3; i++)
        if (strncmp(s, names[i], len) == 0)
            best = names[i];
    return best;
}

bool text_copy(char *dst, size_t cap, const char *src)
{
    size_t n = strlen(src);
    bool whole = n < cap;
    if (cap == 0)
        return false;
    if (!whole)
        n = cap - 1;
    while (!whole && n > 0 && ((unsigned char)src[n] & 0xC0) == 0x80)
        n--; /* never half a code point */
    memmove(dst, src, n);
    dst[n] = '\0';
    return whole;
}
