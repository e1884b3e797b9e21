/* lualex.c -- one pass, no table: the first byte decides. */
#include "script/lualex.h"

#include <string.h>

#include "base/err.h"

const char *const lex_keywords[] = {
    "and",      "break",  "do",   "else", "elseif", "end",  "false", "for",
    "function", "goto",   "if",   "in",   "local",  "nil",  "not",   "or",
    "repeat",   "return", "then", "true", "until",  "while"};
const size_t lex_n_keywords = ARRAY_LEN(lex_keywords);

static bool is_blank(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static bool is_line_end(char c)
{
    return c == '\n' || c == '\r';
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static bool is_hex(char c)
{
    return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

bool lex_keyword(const char *s, size_t n)
{
    for (size_t i = 0; i < lex_n_keywords; i++) {
        if (strlen(lex_keywords[i]) == n && memcmp(lex_keywords[i], s, n) == 0)
            return true;
    }
    return false;
}

void lex_start(Lex *l, const char *s, size_t n)
{
    *l = (Lex){.s = s, .n = n, .kind = LEX_END};
}

/* The byte k places further on, NUL beyond the end. */
static char peek(const Lex *l, size_t k)
{
    return l->pos + k < l->n ? l->s[l->pos + k] : '\0';
}

/* Moves over a long bracket "[==[ ... ]==]" if one opens here. */
static bool long_bracket(Lex *l)
{
    size_t level = 0;
    if (peek(l, 0) != '[')
        return false;
    while (peek(l, 1 + level) == '=')
        level++;
    if (peek(l, 1 + level) != '[')
        return false;
    size_t bit = level < 63 ? level : 63;
    bool hopeless = bit < 63 && (l->unclosed >> bit & 1);
    for (size_t q = hopeless ? l->n : l->pos + level + 2; q < l->n; q++) {
        size_t k = 0;
        if (l->s[q] != ']')
            continue;
        while (q + 1 + k < l->n && l->s[q + 1 + k] == '=')
            k++;
        if (k == level && q + 1 + k < l->n && l->s[q + 1 + k] == ']') {
            l->pos = q + k + 2;
            return true;
        }
        q += k;
    }
    l->unclosed |= 1ull << bit;
    l->pos = l->n;
    l->open = true;
    return true;
}

/* A backslash and what it takes along; the position is on the backslash. */
static void escape(Lex *l)
{
    char c = peek(l, 1);
    l->pos += 2;
    if (c == 'z') {
        while (l->pos < l->n && is_blank(l->s[l->pos]))
            l->pos++;
    } else if (is_line_end(c) && is_line_end(peek(l, 0)) && peek(l, 0) != c) {
        l->pos++; /* a line end of two bytes */
    }
    if (l->pos > l->n)
        l->pos = l->n;
}

static void string(Lex *l)
{
    char quote = l->s[l->pos++];
    while (l->pos < l->n && !is_line_end(l->s[l->pos])) {
        if (l->s[l->pos] == '\\') {
            escape(l);
        } else if (l->s[l->pos++] == quote) {
            return;
        }
    }
    l->open = true;
}

static void number(Lex *l)
{
    bool hex = peek(l, 0) == '0' && (peek(l, 1) | 0x20) == 'x';
    l->pos += hex ? 2 : 0;
    while (l->pos < l->n) {
        char c = l->s[l->pos], low = (char)(c | 0x20);
        bool exponent = low == (hex ? 'p' : 'e');
        if (exponent && (peek(l, 1) == '+' || peek(l, 1) == '-'))
            l->pos++;
        else if (c == '.' && peek(l, 1) == '.')
            return; /* 1..2 is half typed; the operator is more useful to see */
        else if (!(exponent || c == '.' || (hex ? is_hex(c) : is_digit(c))))
            return;
        l->pos++;
    }
}

static void comment(Lex *l)
{
    l->pos += 2;
    if (long_bracket(l))
        return;
    while (l->pos < l->n && !is_line_end(l->s[l->pos]))
        l->pos++;
}

static void operator(Lex *l)
{
    static const char *const longer[] = {
        "...", "..", "==", "~=", "<=", ">=", "//", "::", "<<", ">>"};
    for (size_t i = 0; i < ARRAY_LEN(longer); i++) {
        size_t n = strlen(longer[i]);
        if (l->n - l->pos >= n && memcmp(l->s + l->pos, longer[i], n) == 0) {
            l->pos += n;
            return;
        }
    }
    l->pos++;
}

bool lex_next(Lex *l)
{
    while (l->pos < l->n && is_blank(l->s[l->pos]))
        l->pos++;
    l->from = l->to = l->pos;
    l->open = false;
    l->kind = LEX_END;
    if (l->pos >= l->n)
        return false;
    char c = peek(l, 0);
    if (is_letter(c)) {
        while (is_letter(peek(l, 0)) || is_digit(peek(l, 0)))
            l->pos++;
        bool keyword = lex_keyword(l->s + l->from, l->pos - l->from);
        l->kind = keyword ? LEX_KEYWORD : LEX_NAME;
    } else if (is_digit(c) || (c == '.' && is_digit(peek(l, 1)))) {
        l->kind = LEX_NUMBER;
        number(l);
    } else if (c == '"' || c == '\'') {
        l->kind = LEX_STRING;
        string(l);
    } else if (c == '-' && peek(l, 1) == '-') {
        l->kind = LEX_COMMENT;
        comment(l);
    } else if (long_bracket(l)) {
        l->kind = LEX_STRING;
    } else {
        l->kind = LEX_OP;
        operator(l);
    }
    l->to = l->pos;
    return true;
}

bool lex_next_code(Lex *l)
{
    while (lex_next(l)) {
        if (l->kind != LEX_COMMENT)
            return true;
    }
    return false;
}

bool lex_is(const Lex *l, const char *text)
{
    size_t n = strlen(text);
    return l->to - l->from == n && memcmp(l->s + l->from, text, n) == 0;
}

int lex_depth(const Lex *l)
{
    static const char *const open[] = {"function", "do", "if", "repeat"};
    static const char *const close[] = {"end", "until"};
    for (size_t i = 0; l->kind == LEX_KEYWORD && i < ARRAY_LEN(open); i++)
        if (lex_is(l, open[i]))
            return 1;
    for (size_t i = 0; l->kind == LEX_KEYWORD && i < ARRAY_LEN(close); i++)
        if (lex_is(l, close[i]))
            return -1;
    if (l->kind != LEX_OP || l->to - l->from != 1)
        return 0;
    char c = l->s[l->from];
    return strchr("([{", c) ? 1 : strchr(")]}", c) ? -1 : 0;
}
