/* source.h -- a cell's text as lines of terminal cells: wrapped at the width, coloured
 * by the lexer, with region, matching brackets and cursor. */
#ifndef CLEAVE_UI_SOURCE_H
#define CLEAVE_UI_SOURCE_H
#include "ui/paint.h"

typedef struct Source {
    const char *s;
    size_t n;
    bool lua;          /* coloured; else as it is */
    size_t from, to;   /* region; from == to: none */
    size_t mark[2][2]; /* two pieces to mark; empty: none */
    size_t cursor;     /* SIZE_MAX: none */
} Source;
/* Rows it takes at this width, at least 1. */
int source_rows(const Source *s, int cols);
/* Row of the cursor at this width. */
int source_cursor_row(const Source *s, int cols);
/* Draws from row `skip` on; the cursor's place in the area in *row, *col (-1:
 * outside). */
void source_draw(const Source *s, const Painter *p, Area a, int skip, int *row,
                 int *col);
#endif
