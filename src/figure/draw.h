/* draw.h -- inside the folder: a grid that grows downwards while a figure is drawn.
 * Every draw_ function starts at row `c->row`, makes the room it needs and leaves `row`
 * below what it drew. The layout is made for `width` columns, at least 20; what a
 * narrower grid lacks is cut. */
#ifndef CLEAVE_FIGURE_DRAW_H
#define CLEAVE_FIGURE_DRAW_H
#include "figure/figure.h"

typedef struct Canvas {
    Grid *grid;
    DrawStyle style;
    int width;
    int row;
} Canvas;

/* Makes sure that `rows` rows below c->row exist. */
bool canvas_need(Canvas *c, int rows, Err *err);
/* First `n` bytes of a text at (row, col); n as clean_line() gave it. */
void canvas_piece(Canvas *c, int row, int col, const char *text, size_t n,
                  uint8_t attr);
/* A paragraph wrapped to the width. */
bool canvas_text(Canvas *c, const char *text, uint8_t attr, Err *err);
/* The whole page, or only image `only` (0-based, -1: all) as large as it fits in the
 * width and `max_rows` rows of picture; the scale stays the page's. */
bool draw_images(Canvas *c, const Figure *f, int only, int max_rows, Err *err);
bool draw_table(Canvas *c, const Figure *f, Err *err);
#endif
