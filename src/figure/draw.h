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
    int side;  /* pixels of the longer side of images, at most; 0: no limit */
    bool bare; /* images and bars without the line about their scale */
    bool tile; /* of small multiples */
    const Figure *common; /* what is told below all tiles: multiples.h; NULL: nothing */
} Canvas;

static inline int at_least(int a, int b)
{
    return a > b ? a : b;
}

static inline int at_most(int a, int b)
{
    return a < b ? a : b;
}

/* Half blocks, braille and box lines instead of ASCII. */
static inline bool canvas_fine(const Canvas *c)
{
    return c->style.utf8 && c->style.level >= LEVEL_256;
}

/* Makes sure that `rows` rows below c->row exist. */
bool canvas_need(Canvas *c, int rows, Err *err);
/* First `n` bytes of a text at (row, col); n as clean_line() gave it. */
void canvas_piece(Canvas *c, int row, int col, const char *text, size_t n,
                  uint8_t attr);
/* One line cut to `room` columns (a ~ marks the cut) in a colour; returns the columns
 * used. */
int canvas_cut(Canvas *c, int row, int col, const char *text, int room, int32_t fg,
               uint8_t attr);
/* One cell, if it is inside. */
void canvas_put(Canvas *c, int row, int col, uint32_t rune, int32_t fg);
/* Columns from the left that rows `top` and below use. */
int canvas_used(const Canvas *c, int top);
/* An empty canvas of `width` columns on a grid of its own; canvas_paste() copies what
 * was drawn to (top, col), moves c->row below it, and frees the grid. `drawn` false: it
 * only frees. */
bool canvas_part(const Canvas *c, int width, Canvas *part, Grid *grid, Err *err);
bool canvas_paste(Canvas *c, Canvas *part, int top, int col, bool drawn, Err *err);
/* Title, body and caption of any figure. */
bool canvas_figure(Canvas *c, const Figure *f, Err *err);
/* A paragraph wrapped to the width. */
bool canvas_text(Canvas *c, const char *text, uint8_t attr, Err *err);
/* The whole page, or only image `only` (0-based, -1: all) as large as it fits in the
 * width and `max_rows` rows of picture; the scale stays the page's. */
bool draw_images(Canvas *c, const Figure *f, int only, int max_rows, Err *err);
bool draw_table(Canvas *c, const Figure *f, Err *err);
bool draw_plot(Canvas *c, const Figure *f, Err *err);
bool draw_bars(Canvas *c, const Figure *f, Err *err);
bool draw_heat(Canvas *c, const Figure *f, Err *err);
bool draw_bipartite(Canvas *c, const Figure *f, Err *err);
bool draw_diagram(Canvas *c, const Figure *f, Err *err);
/* The scale of `f` below the small multiples that have it in common: multiples.h. */
bool draw_heat_scale(Canvas *c, const Figure *page, const Figure *f, Err *err);
bool draw_diagram_scale(Canvas *c, const Figure *page, const Figure *f, Err *err);
bool draw_between(Canvas *c, const Figure *f, Err *err);
/* The overview of a set; one component (its page) in about `rows` rows. */
bool draw_components(Canvas *c, const Figure *f, Err *err);
bool draw_component(Canvas *c, const Figure *page, int rows, Err *err);
/* How many images stand in a row when their longer side has at most `side` pixels. */
int figure_row_at(const Figure *f, const DrawStyle *style, int side);
/* The names of the series with their marks, wrapped; nothing when there are none. */
bool draw_legend(Canvas *c, const Figure *f, Err *err);
#endif
