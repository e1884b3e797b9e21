/* dots.h -- lines and points in cells: braille (2 x 4 dots a cell) or one mark a cell.
 * Coordinates are shares of the area, x to the right and y upwards; what is outside is
 * clipped exactly. A later owner takes the cells that it crosses. */
#ifndef CLEAVE_FIGURE_DOTS_H
#define CLEAVE_FIGURE_DOTS_H
#include "figure/draw.h"

typedef struct Dots {
    int rows, cols;   /* cells */
    int across, down; /* dots in a cell: 2 x 4 or 1 x 1 */
    uint8_t *bits;    /* [rows*cols] */
    uint8_t *owner;   /* [rows*cols] */
} Dots;

bool dots_new(int rows, int cols, bool fine, Dots *d, Err *err);
void dots_done(Dots *d);
void dots_point(Dots *d, double x, double y, int owner);
void dots_line(Dots *d, double x0, double y0, double x1, double y1, int owner);
/* Puts the inked cells at (row, col) of the canvas: look[owner] has the colour, and the
 * rune for the coarse ones. Backgrounds stay. */
void dots_put(const Dots *d, Canvas *c, int row, int col, const GridCell *look,
              int n_looks);
/* The ends of a line within 0..1 each way (Liang and Barsky 1984); false: outside. */
bool clip_line(double *x0, double *y0, double *x1, double *y1);
#endif
