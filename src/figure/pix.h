/* pix.h -- an RGB raster and a bitmap font, for exported figures. The font is 5x7 with
 * two rows of descender in cells of 6x10, made smooth when enlarged; it knows ASCII and
 * a few signs of mathematics, anything else is an empty box. A Pix without pixels (rgb
 * NULL) swallows all drawing: layouts run once on such a one to learn their height. */
#ifndef CLEAVE_FIGURE_PIX_H
#define CLEAVE_FIGURE_PIX_H
#include <stdint.h>

#include "base/err.h"

enum { FONT_W = 6, FONT_H = 10, FONT_ROWS = 9 };

typedef struct Rgb {
    uint8_t r, g, b;
} Rgb;

typedef struct Pix {
    int w, h;
    uint8_t *rgb; /* [h, w, 3] */
} Pix;

/* All pixels in one colour. */
bool pix_new(int w, int h, Rgb paper, Pix *p, Err *err);
void pix_done(Pix *p);
/* Filled rectangle, clipped to the raster. */
void pix_fill(Pix *p, int x, int y, int w, int h, Rgb colour);
/* One character with its cell's upper left corner at (x, y), `scale` pixels per font
 * pixel (1..8); `cells` is 2 for wide characters. */
void pix_rune(Pix *p, int x, int y, uint32_t rune, int cells, int scale, bool bold,
              Rgb ink);
/* First n bytes of a text in one line, filtered as in grid_text(). */
void pix_text(Pix *p, int x, int y, const char *text, size_t n, int scale, bool bold,
              Rgb ink);
/* Rows of a glyph, 5 bits each, the highest on the left; NULL when the font lacks
 * it. */
const uint8_t *font_rows(uint32_t rune);
/* Compresses the raster and writes it atomically. */
bool pix_png(const Pix *p, const char *path, Err *err);
#endif
