/* lualex.h -- Lua's tokens, comments included, from a text that may be half typed. It
 * never fails: what is unfinished reaches to the end (long brackets) or to the line's
 * end (strings). For highlighting, cell markers, completion and finding out which names
 * a cell reads and assigns. Bytes are ASCII or part of a text, whatever the locale. */
#ifndef CLEAVE_SCRIPT_LUALEX_H
#define CLEAVE_SCRIPT_LUALEX_H
#include <stdbool.h>
#include <stddef.h>

typedef enum LexKind {
    LEX_END,
    LEX_NAME,
    LEX_KEYWORD,
    LEX_NUMBER,
    LEX_STRING,
    LEX_COMMENT,
    LEX_OP, /* one operator or bracket, of up to three bytes; any other byte */
} LexKind;

typedef struct Lex {
    const char *s;
    size_t n;
    size_t pos;      /* where the next token is looked for */
    size_t from, to; /* the bytes of the current token */
    LexKind kind;
    bool open; /* it is unfinished: its closing quote or bracket is missing */
    unsigned long long unclosed; /* bit i: long brackets of level i close no more, so
                                    that looking for their ends stays linear */
} Lex;

void lex_start(Lex *l, const char *s, size_t n);
/* Moves to the next token; false at the end (kind LEX_END). */
bool lex_next(Lex *l);
/* As lex_next(), but passes over comments. */
bool lex_next_code(Lex *l);
bool lex_is(const Lex *l, const char *text); /* the token's bytes are this text */
bool lex_keyword(const char *s, size_t n);
/* How much deeper in blocks and brackets the text is behind this token: 1, 0, -1. */
int lex_depth(const Lex *l);
/* Lua's keywords, sorted. */
extern const char *const lex_keywords[];
extern const size_t lex_n_keywords;
#endif
