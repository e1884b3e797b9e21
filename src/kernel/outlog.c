/* outlog.c -- bytes go to the head until it is full, then to the tail, whose oldest
 * lines leave. Every byte is read once; lines are counted as they pass. */
#include "kernel/outlog.h"

#include <string.h>

#include "base/mem.h"

enum { PIECE = 256 << 10 };

void outlog_start(OutLog *o, int cell, int64_t from)
{
    *o = (OutLog){.cell = cell, .from = from, .to = from};
    str_init(&o->head);
    str_init(&o->tail);
}

void outlog_done(OutLog *o)
{
    str_done(&o->head);
    str_done(&o->tail);
}

static bool head_full(const OutLog *o)
{
    return o->head_lines >= OUTLOG_LINES || o->head.len >= OUTLOG_BYTES;
}

/* How many of the bytes still belong to the head: whole lines, unless one line alone
 * is too long. */
static size_t head_share(OutLog *o, const char *s, size_t n)
{
    size_t at = 0;
    while (at < n && !head_full(o)) {
        const char *nl = memchr(s + at, '\n', n - at);
        size_t end = nl ? (size_t)(nl - s) + 1 : n, room = OUTLOG_BYTES - o->head.len;
        if (end - at > room)
            end = at + room;
        str_addn(&o->head, s + at, end - at);
        o->head_lines += s[end - 1] == '\n';
        at = end;
    }
    return at;
}

static int64_t count_newlines(const char *s, size_t n)
{
    int64_t lines = 0;
    for (const char *p = s, *end = s + n; (p = memchr(p, '\n', (size_t)(end - p))); p++)
        lines++;
    return lines;
}

/* Lets the oldest lines of the tail go; done rarely, so that moving costs little. */
static void trim_tail(OutLog *o)
{
    if (o->tail.len <= 2 * OUTLOG_BYTES && o->tail_lines <= 4 * OUTLOG_LINES)
        return;
    size_t at = o->tail.len > OUTLOG_BYTES ? o->tail.len - OUTLOG_BYTES : 0;
    const char *nl = at > 0 ? memchr(o->tail.s + at, '\n', o->tail.len - at) : NULL;
    if (nl)
        at = (size_t)(nl - o->tail.s) + 1;
    int64_t left = count_newlines(o->tail.s + at, o->tail.len - at);
    while (left > OUTLOG_LINES) {
        nl = memchr(o->tail.s + at, '\n', o->tail.len - at);
        at = (size_t)(nl - o->tail.s) + 1;
        left--;
    }
    memmove(o->tail.s, o->tail.s + at, o->tail.len - at);
    o->tail.len -= at;
    o->tail.s[o->tail.len] = '\0';
    o->tail_lines = left;
}

static void take(OutLog *o, const char *s, size_t n)
{
    size_t at = head_share(o, s, n);
    o->lines -= o->mid_line; /* the unfinished line goes on */
    o->lines += count_newlines(s, n);
    o->mid_line = s[n - 1] != '\n';
    o->lines += o->mid_line;
    if (at < n) {
        str_addn(&o->tail, s + at, n - at);
        o->tail_lines += count_newlines(s + at, n - at);
        trim_tail(o);
    }
}

bool outlog_follow(OutLog *o, JournalReader *r, int64_t to, Err *err)
{
    while (to < 0 || o->to < to) {
        char *text;
        size_t n, max = PIECE;
        if (to >= 0 && to - o->to < PIECE)
            max = (size_t)(to - o->to);
        if (!jreader_out(r, o->cell, o->to, max, &text, &n, err))
            return false;
        if (n > 0)
            take(o, text, n);
        o->to += (int64_t)n;
        mem_free(text);
        if (!str_ok(&o->head, err) || !str_ok(&o->tail, err))
            return false;
        if (n == 0)
            break;
    }
    return true;
}

int64_t outlog_hidden(const OutLog *o)
{
    bool cut = o->tail.len > 0 && o->mid_line;
    int64_t shown = o->head_lines + o->tail_lines + cut;
    if (o->tail.len == 0)
        return 0;
    return o->lines > shown ? o->lines - shown : 0;
}

bool outlog_page(const OutLog *o, JournalReader *r, int64_t line, size_t max, Str *out,
                 Err *err)
{
    int64_t at = o->from, skip = line;
    if (line >= o->lines)
        return true;
    while (at < o->to && out->len < max) {
        char *text;
        size_t n, from = 0;
        if (!jreader_out(r, o->cell, at, PIECE, &text, &n, err))
            return false;
        if (at + (int64_t)n > o->to)
            n = (size_t)(o->to - at);
        while (skip > 0 && from < n) {
            const char *nl = memchr(text + from, '\n', n - from);
            from = nl ? (size_t)(nl - text) + 1 : n;
            skip -= nl != NULL;
        }
        if (skip == 0 && from < n)
            str_addn(out, text + from,
                     n - from < max - out->len ? n - from : max - out->len);
        mem_free(text);
        at += (int64_t)n;
        if (n == 0)
            break;
    }
    return str_ok(out, err);
}
