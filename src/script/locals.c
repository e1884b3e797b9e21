/* locals.c -- top-level locals of a chunk stay visible to later chunks. A lexer of
 * our own walks the text; at block depth 0 the word `local` is replaced by blanks
 * (columns and lines are kept), a declaration without a value gets "=nil" after its
 * names, and a declaration with an attribute (<const>, <close>) is left alone.
 * Strings, long brackets and comments are skipped as Lua's own lexer does. A first
 * line "#!..." becomes a comment, and a byte order mark is dropped, as Lua does for
 * files. A text that is not Lua is copied as it is: the compiler reports it better
 * than we could. */
#include <string.h>

#include "script/lb.h"

typedef enum Kind { T_END, T_NAME, T_OTHER } Kind;
typedef struct Lexer {
    const char *s;
    size_t n, pos;   /* pos: after the current token */
    size_t from, to; /* the current token */
    Kind kind;
} Lexer;

/* As Lua's lexer: ASCII only, whatever the locale. */
static bool is_blank(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

/* Length of a long bracket's opening at p ("[==["), 0 if it is none. */
static size_t long_open(const Lexer *l, size_t p)
{
    size_t q = p;
    if (q >= l->n || l->s[q] != '[')
        return 0;
    q++;
    while (q < l->n && l->s[q] == '=')
        q++;
    return q < l->n && l->s[q] == '[' ? q - p + 1 : 0;
}

static size_t long_end(const Lexer *l, size_t p, size_t open)
{
    size_t level = open - 2;
    for (size_t q = p + open; q < l->n; q++) {
        if (l->s[q] != ']')
            continue;
        size_t k = 0;
        while (q + 1 + k < l->n && l->s[q + 1 + k] == '=')
            k++;
        if (k == level && q + 1 + k < l->n && l->s[q + 1 + k] == ']')
            return q + k + 2;
    }
    return l->n;
}

static size_t string_end(const Lexer *l, size_t p)
{
    char quote = l->s[p];
    for (size_t q = p + 1; q < l->n; q++) {
        if (l->s[q] == quote || l->s[q] == '\n' || l->s[q] == '\r')
            return q + 1;
        if (l->s[q] != '\\' || ++q >= l->n)
            continue;
        if (l->s[q] == 'z') /* skips white space, line ends too */
            while (q + 1 < l->n && is_blank(l->s[q + 1]))
                q++;
        else if (q + 1 < l->n && (l->s[q] == '\r' || l->s[q] == '\n') &&
                 (l->s[q + 1] == '\r' || l->s[q + 1] == '\n') && l->s[q] != l->s[q + 1])
            q++; /* a line end of two bytes */
    }
    return l->n;
}

static void skip_blank(Lexer *l)
{
    while (l->pos < l->n) {
        if (is_blank(l->s[l->pos])) {
            l->pos++;
        } else if (l->pos + 1 < l->n && l->s[l->pos] == '-' &&
                   l->s[l->pos + 1] == '-') {
            size_t open = long_open(l, l->pos + 2);
            if (open) {
                l->pos = long_end(l, l->pos + 2, open);
            } else {
                while (l->pos < l->n && l->s[l->pos] != '\n' && l->s[l->pos] != '\r')
                    l->pos++;
            }
        } else {
            return;
        }
    }
}

static void next_token(Lexer *l)
{
    skip_blank(l);
    l->from = l->pos;
    if (l->pos >= l->n) {
        l->kind = T_END;
        l->to = l->n;
        return;
    }
    char c = l->s[l->pos];
    size_t open = long_open(l, l->pos);
    l->kind = T_OTHER;
    if (is_letter(c)) {
        l->kind = T_NAME;
        while (l->pos < l->n && (is_letter(l->s[l->pos]) || is_digit(l->s[l->pos])))
            l->pos++;
    } else if (is_digit(c)) {
        while (l->pos < l->n && (is_letter(l->s[l->pos]) || is_digit(l->s[l->pos]) ||
                                 l->s[l->pos] == '.'))
            l->pos++;
    } else if (c == '"' || c == '\'') {
        l->pos = string_end(l, l->pos);
    } else if (open) {
        l->pos = long_end(l, l->pos, open);
    } else {
        l->pos++;
    }
    l->to = l->pos;
}

static bool is_word(const Lexer *l, const char *word)
{
    return l->kind == T_NAME && l->to - l->from == strlen(word) &&
           memcmp(l->s + l->from, word, l->to - l->from) == 0;
}

static bool is_char(const Lexer *l, char c)
{
    return l->kind == T_OTHER && l->to - l->from == 1 && l->s[l->from] == c;
}

/* After `local`: true when the word may be blanked. *names_end is where "=nil"
 * belongs, or 0. */
static bool can_blank(Lexer l, size_t *names_end)
{
    *names_end = 0;
    next_token(&l);
    if (is_word(&l, "function"))
        return true;
    while (l.kind == T_NAME) {
        *names_end = l.to;
        next_token(&l);
        if (is_char(&l, '<'))
            return false;
        if (!is_char(&l, ','))
            break;
        next_token(&l);
    }
    if (is_char(&l, '='))
        *names_end = 0;
    return true;
}

static int depth_change(const Lexer *l)
{
    static const char *const open[] = {"function", "do", "if", "repeat"};
    static const char *const close[] = {"end", "until"};
    for (size_t i = 0; i < ARRAY_LEN(open); i++)
        if (is_word(l, open[i]))
            return 1;
    for (size_t i = 0; i < ARRAY_LEN(close); i++)
        if (is_word(l, close[i]))
            return -1;
    return 0;
}

bool locals_keep(const char *text, size_t n, Str *out, Err *err)
{
    Lexer l = {.s = text, .n = n};
    int depth = 0;
    if (n >= 3 && memcmp(text, "\xEF\xBB\xBF", 3) == 0)
        l.pos = 3;
    if (l.pos + 1 < n && text[l.pos] == '#' && text[l.pos + 1] == '!') {
        while (l.pos < n && text[l.pos] != '\n')
            l.pos++;
        str_add(out, "--");
    }
    size_t done = l.pos;
    for (next_token(&l); l.kind != T_END; next_token(&l)) {
        depth += depth_change(&l);
        size_t names_end;
        if (depth != 0 || !is_word(&l, "local") || !can_blank(l, &names_end))
            continue;
        str_addn(out, text + done, l.from - done);
        str_add(out, "     ");
        done = l.to;
        if (names_end) {
            str_addn(out, text + done, names_end - done);
            str_add(out, "=nil");
            done = names_end;
            l.pos = names_end;
        }
    }
    str_addn(out, text + done, n - done);
    return str_ok(out, err);
}
