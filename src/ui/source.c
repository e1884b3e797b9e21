/* source.c -- one walk over the bytes does counting and drawing, so both agree. A line
 * is broken one column before the edge: the cursor always has a place behind the last
 * character. The lexer runs beside it. */
#include "ui/source.h"

#include <string.h>

#include "figure/clean.h"
#include "script/lualex.h"

typedef struct Walk {
    const Source *s;
    int cols, row, col;
    size_t at;
} Walk;

/* Where the glyph at `at` stands; moves over a break before it where there is one. */
static size_t place(Walk *w, Glyph *g)
{
    size_t n = glyph_next(w->s->s + w->at, w->s->n - w->at, w->col, g);
    int room = w->cols > 2 ? w->cols - 1 : w->cols;
    if (w->col > 0 && w->col + g->width > room) {
        w->row++;
        w->col = 0;
        n = glyph_next(w->s->s + w->at, w->s->n - w->at, 0, g);
    }
    return n;
}

static int walk_to(const Source *s, int cols, size_t end)
{
    Walk w = {.s = s, .cols = cols};
    while (w.at < end && w.at < s->n) {
        Glyph g;
        if (s->s[w.at] == '\n') {
            w.row++;
            w.col = 0;
            w.at++;
            continue;
        }
        size_t n = place(&w, &g);
        w.col += g.width;
        w.at += n;
    }
    return w.row;
}

int source_rows(const Source *s, int cols)
{
    return walk_to(s, cols, s->n) + 1;
}

int source_cursor_row(const Source *s, int cols)
{
    return s->cursor > s->n ? 0 : walk_to(s, cols, s->cursor);
}

static Role token_role(const Lex *l)
{
    switch (l->kind) {
    case LEX_KEYWORD: return ROLE_KEYWORD;
    case LEX_STRING: return ROLE_STRING;
    case LEX_NUMBER: return ROLE_NUMBER;
    case LEX_COMMENT: return ROLE_COMMENT;
    case LEX_NAME: return lex_is(l, "cl") ? ROLE_NAME : ROLE_TEXT;
    default: return ROLE_TEXT;
    }
}

static Look look_at(const Source *s, const Painter *p, const Lex *l, size_t at)
{
    Look k = paint_look(p, ROLE_TEXT);
    if (s->lua && l->kind != LEX_END && at >= l->from && at < l->to)
        k = paint_look(p, token_role(l));
    for (int i = 0; i < 2; i++) {
        if (at >= s->mark[i][0] && at < s->mark[i][1])
            k = paint_look(p, ROLE_MATCH);
    }
    if (at >= s->from && at < s->to) {
        Look region = paint_look(p, ROLE_REGION);
        k.bg = region.bg;
        k.attr |= region.attr & CELL_REVERSE;
    }
    return k;
}

void source_draw(const Source *s, const Painter *p, Area a, int skip, int *row,
                 int *col)
{
    Walk w = {.s = s, .cols = a.cols};
    Lex l;
    lex_start(&l, s->s, s->n);
    *row = *col = -1;
    while (w.row - skip < a.rows) {
        if (w.at == s->cursor && w.row >= skip) {
            *row = w.row - skip;
            *col = w.col;
        }
        if (w.at >= s->n)
            return;
        while (s->lua && w.at >= l.to && lex_next(&l))
            ;
        if (s->s[w.at] == '\n') {
            if (w.at >= s->from && w.at < s->to && w.row >= skip)
                paint_text(p, a, w.row - skip, w.col, " ", 1, look_at(s, p, &l, w.at));
            w.row++;
            w.col = 0;
            w.at++;
            continue;
        }
        Glyph g;
        bool here = w.at == s->cursor;
        size_t n = place(&w, &g);
        if (here && w.row >= skip && w.row - skip < a.rows) {
            *row = w.row - skip;
            *col = w.col;
        }
        if (w.row >= skip) /* a tab is drawn as wide as it is here */
            paint_text(
                p,
                (Area){a.row, a.col, a.rows,
                       w.col + g.width < a.cols ? w.col + g.width : a.cols},
                w.row - skip, w.col, s->s[w.at] == '\t' ? "        " : s->s + w.at,
                s->s[w.at] == '\t' ? (size_t)g.width : n, look_at(s, p, &l, w.at));
        w.col += g.width;
        w.at += n;
    }
}
