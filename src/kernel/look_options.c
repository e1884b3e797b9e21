/* look_options.c -- which function's option table the cursor stands in: one pass over
 * the tokens with a stack of the brackets that are open and what is called by them. */
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "kernel/look.h"
#include "script/lualex.h"

enum { DEPTH = 64 };

typedef struct Bracket {
    char c;
    char callee[sizeof((OptionPlace *)0)->callee]; /* "": none */
    char key[sizeof((OptionPlace *)0)->key];       /* of the value that is written */
    bool at_key;                                   /* the next token begins an entry */
} Bracket;

typedef struct Scan {
    Bracket open[DEPTH];
    int n;
    char path[sizeof((OptionPlace *)0)->callee]; /* "a.b:c" before the next token */
    char last[sizeof((OptionPlace *)0)->key];    /* the last name */
    bool joins;                                  /* the path ends in . or : */
} Scan;

static Bracket *top(Scan *s)
{
    return s->n > 0 ? &s->open[s->n - 1] : NULL;
}

static void take_name(Scan *s, const Lex *l)
{
    size_t n = l->to - l->from, have = s->joins ? strlen(s->path) : 0;
    s->joins = false;
    s->last[0] = '\0';
    if (n < sizeof s->last) {
        memcpy(s->last, l->s + l->from, n);
        s->last[n] = '\0';
    }
    if (have + n >= sizeof s->path) {
        s->path[0] = '\0';
        return;
    }
    memcpy(s->path + have, l->s + l->from, n);
    s->path[have + n] = '\0';
}

/* false: too deep to follow. */
static bool push(Scan *s, char c)
{
    if (s->n == DEPTH)
        return false;
    Bracket *b = &s->open[s->n++];
    const Bracket *outer = s->n > 1 ? b - 1 : NULL;
    bool inherits = c == '{' && !s->path[0] && outer && outer->c == '(';
    *b = (Bracket){.c = c, .at_key = c == '{'};
    text_copy(b->callee, sizeof b->callee,
              inherits   ? outer->callee
              : c == '[' ? ""
                         : s->path);
    s->path[0] = '\0';
    return true;
}

static bool take_op(Scan *s, const Lex *l)
{
    char c = l->s[l->from];
    size_t n = l->to - l->from;
    Bracket *b = top(s);
    if (n == 1 && (c == '.' || c == ':') && s->path[0]) {
        size_t have = strlen(s->path);
        if (have + 1 < sizeof s->path) {
            s->path[have] = c;
            s->path[have + 1] = '\0';
        }
        s->joins = true;
        return true;
    }
    if (n == 1 && strchr("({[", c))
        return push(s, c);
    if (n == 1 && strchr(")}]", c) && s->n > 0)
        s->n--;
    else if (n == 1 && b && b->c == '{' && (c == ',' || c == ';'))
        b->at_key = true, b->key[0] = '\0';
    else if (n == 1 && b && b->c == '{' && c == '=' && !b->key[0])
        text_copy(b->key, sizeof b->key, s->last);
    s->path[0] = '\0';
    s->joins = false;
    return true;
}

bool option_place(const char *text, size_t n, OptionPlace *out)
{
    Scan s = {0};
    Lex l;
    lex_start(&l, text, n);
    *out = (OptionPlace){0};
    while (lex_next_code(&l)) {
        Bracket *b = top(&s);
        bool separates = l.kind == LEX_OP && strchr(",;", text[l.from]);
        if (b && !separates)
            b->at_key = false;
        if (l.kind == LEX_NAME) {
            take_name(&s, &l);
        } else if (l.kind == LEX_OP) {
            if (!take_op(&s, &l))
                return false;
        } else {
            s.path[0] = '\0';
            s.joins = false;
        }
    }
    const Bracket *b = top(&s);
    if (!b || b->c != '{' || !b->callee[0])
        return false;
    text_copy(out->callee, sizeof out->callee, b->callee);
    text_copy(out->key, sizeof out->key, b->key);
    out->names = b->at_key;
    return b->at_key || b->key[0];
}
