/* pix.h -- an RGB raster, and its PNG file. */
#ifndef CLEAVE_FIGURE_PIX_H
#define CLEAVE_FIGURE_PIX_H
#include <stdint.h>

#include "base/err.h"

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
/* Compresses the raster and writes it atomically. */
bool pix_png(const Pix *p, const char *path, Err *err);
#endif
