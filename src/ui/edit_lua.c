/* edit_lua.c -- what the editor knows of Lua, all of it from the lexer: blocks and
 * their indentation, partners of brackets and block words, the name under the cursor. */
#include <string.h>

#include "script/lualex.h"
#include "ui/edit.h"

enum { STEP = 2, MAX_DEPTH = 256 };

bool edit_at_indent(const Edit *e)
{
    size_t p = e->cursor;
    while (p > 0 && (e->s[p - 1] == ' ' || e->s[p - 1] == '\t'))
        p--;
    return p == 0 || e->s[p - 1] == '\n';
}

static bool opens(const Lex *l)
{
    return lex_is(l, "then") || lex_is(l, "do") || lex_is(l, "function") ||
           lex_is(l, "repeat") || lex_is(l, "else") || lex_is(l, "{") ||
           lex_is(l, "(") || lex_is(l, "[");
}

static bool closes(const Lex *l)
{
    return lex_is(l, "end") || lex_is(l, "until") || lex_is(l, "}") || lex_is(l, ")") ||
           lex_is(l, "]") || lex_is(l, "else") || lex_is(l, "elseif");
}

/* 1 when a line leaves a block open. A line is looked at by itself: inside a long
 * string it says what it would say as code, which costs at most two blanks. */
static int line_opens(const char *s, size_t n)
{
    Lex l;
    int depth = 0;
    lex_start(&l, s, n);
    while (lex_next_code(&l)) {
        if (l.kind != LEX_KEYWORD && l.kind != LEX_OP)
            continue;
        if (closes(&l) && depth > 0)
            depth--;
        if (opens(&l))
            depth++;
    }
    return depth > 0;
}

static size_t indent_of(const Edit *e, size_t line)
{
    size_t n = 0;
    while (e->s[line + n] == ' ')
        n++;
    return n;
}

void edit_newline(Edit *e)
{
    char text[1 + 256];
    size_t line = edit_line_start(e, e->cursor);
    size_t want = indent_of(e, line);
    if (want > e->cursor - line)
        want = e->cursor - line;
    if (line_opens(e->s + line, e->cursor - line))
        want += STEP;
    if (want > 255)
        want = 255;
    text[0] = '\n';
    memset(text + 1, ' ', want);
    e->group++;
    edit_replace(e, e->cursor, e->cursor, text, want + 1);
    e->did = DID_OTHER;
}

void edit_outdent_closer(Edit *e)
{
    static const char *const closers[] = {"end", "else", "elseif", "until",
                                          "}",   ")",    "]"};
    size_t line = edit_line_start(e, e->cursor), at = line + indent_of(e, line);
    size_t n = e->cursor - at;
    if (e->cursor != edit_line_end(e, e->cursor) || line == 0 || at > e->cursor)
        return;
    bool is_closer = false;
    for (size_t i = 0; i < sizeof closers / sizeof closers[0]; i++)
        is_closer |= strlen(closers[i]) == n && memcmp(closers[i], e->s + at, n) == 0;
    if (!is_closer)
        return;
    /* only from where edit_newline() put it: at or beyond the line before */
    size_t before = edit_line_start(e, line - 1);
    size_t above = indent_of(e, before);
    size_t want = above;
    if (!line_opens(e->s + before, line - 1 - before))
        want = above >= STEP ? above - STEP : 0;
    if (at - line <= want || at - line > above + STEP)
        return;
    size_t cursor = e->cursor - (at - line - want);
    EditKind did = e->did;
    edit_replace(e, line, line + (at - line - want), "", 0);
    e->cursor = cursor;
    e->did = did;
}

void edit_indent(Edit *e, int steps)
{
    size_t from = e->cursor, to = e->cursor;
    edit_region(e, &from, &to);
    size_t line = edit_line_start(e, from), end = to;
    edit_group(e);
    int group = e->group;
    for (;;) {
        size_t had = indent_of(e, line), cursor = e->cursor;
        e->group = group;
        if (steps > 0) {
            edit_replace(e, line, line, "  ", STEP);
            e->cursor = cursor + STEP;
            end += STEP;
        } else {
            size_t cut = had < STEP ? had : STEP;
            edit_replace(e, line, line + cut, "", 0);
            e->cursor = cursor >= line + cut ? cursor - cut : line;
            end -= cut < end ? cut : end;
        }
        size_t next = edit_line_end(e, line);
        if (next >= e->len || next >= end)
            break;
        line = next + 1;
        if (line >= end)
            break;
    }
    e->group++;
}

/* Blocks by their words: what a word opens, and what closes it. */
static char block_kind(const Lex *l)
{
    if (l->kind == LEX_OP) {
        if (l->to - l->from != 1)
            return 0;
        char c = l->s[l->from];
        return strchr("([{)]}", c) ? c : 0;
    }
    if (l->kind != LEX_KEYWORD)
        return 0;
    if (lex_is(l, "function") || lex_is(l, "do") || lex_is(l, "then"))
        return 'b';
    if (lex_is(l, "repeat"))
        return 'r';
    if (lex_is(l, "end"))
        return 'e';
    if (lex_is(l, "until"))
        return 'u';
    return 0;
}

static char partner(char opener)
{
    switch (opener) {
    case '(': return ')';
    case '[': return ']';
    case '{': return '}';
    case 'b': return 'e';
    case 'r': return 'u';
    default: return 0;
    }
}

bool edit_match(const Edit *e, size_t a[2], size_t b[2])
{
    struct {
        char kind;
        size_t from, to;
    } open[MAX_DEPTH];
    int n = 0;
    bool in_elseif = false;
    Lex l;
    lex_start(&l, e->s, e->len);
    while (lex_next_code(&l)) {
        if (l.kind == LEX_KEYWORD && lex_is(&l, "elseif"))
            in_elseif = true; /* its `then` goes on with the block that is open */
        char kind = block_kind(&l);
        if (kind == 'b' && in_elseif && lex_is(&l, "then")) {
            in_elseif = false;
            continue;
        }
        if (!kind)
            continue;
        if (partner(kind)) {
            if (n == MAX_DEPTH)
                return false;
            open[n].kind = kind;
            open[n].from = l.from;
            open[n++].to = l.to;
            continue;
        }
        if (n == 0 || partner(open[n - 1].kind) != kind)
            return false;
        n--;
        bool here = e->cursor >= l.from && e->cursor <= l.to;
        bool there = e->cursor >= open[n].from && e->cursor <= open[n].to;
        if (here || there) {
            a[0] = open[n].from, a[1] = open[n].to;
            b[0] = l.from, b[1] = l.to;
            return true;
        }
    }
    return false;
}

static bool name_byte(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           c == '_' || c == '.' || c == ':';
}

void edit_word(const Edit *e, size_t pos, size_t *from, size_t *to)
{
    size_t a = pos, b = pos;
    /* inside the arguments of a call, the call is meant */
    if (a > 0 && !name_byte(e->s[a]) && !name_byte(e->s[a - 1])) {
        int depth = 0;
        while (a > 0) {
            char c = e->s[a - 1];
            depth += (c == ')' || c == '}') - (c == '(' || c == '{');
            if (depth < 0)
                break;
            a--;
        }
        while (a > 0 &&
               (e->s[a - 1] == '(' || e->s[a - 1] == '{' || e->s[a - 1] == ' '))
            a--;
        b = a;
    }
    while (a > 0 && name_byte(e->s[a - 1]))
        a--;
    while (b < e->len && name_byte(e->s[b]) && e->s[b] != '.' && e->s[b] != ':')
        b++;
    *from = a;
    *to = b;
}
