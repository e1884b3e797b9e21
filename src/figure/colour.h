/* colour.h -- pixels of red, green and blue as bytes and cells. A pixel arrives as
 * three shares of the limit: 0..1 in pictures, which look the same on every background, and
 * -1..1 in signed ones, where mid grey is 0 and negating gives the complement. NaN in
 * any channel makes the pixel a missing one. Below 256 colours a cell is one character
 * whose ink is the strongest channel and whose colour the hue; without colour the ink
 * is the luminance. */
#ifndef CLEAVE_FIGURE_COLOUR_H
#define CLEAVE_FIGURE_COLOUR_H
#include "figure/map.h"

/* The byte of a channel: 255 t, or 127.5 (1 + t) of signed ones; beyond: cut. */
uint8_t colour_byte(bool is_signed, double t);
void colour_rgb(bool is_signed, const double t[3], uint8_t rgb[3]);
bool colour_missing(const double t[3]);
/* GRID_RGB at LEVEL_TRUE, the nearest of 16..255 at LEVEL_256. */
int32_t colour_of(Map m, const double t[3]);
/* Upper and lower pixel of a half block; lower NULL: there is none. */
GridCell colour_half(Map m, const double upper[3], const double *lower);
/* Upper left, upper right, lower left, lower right in the two colours that split them
 * best. */
GridCell colour_quad(Map m, double t[4][3]);
/* One pixel a cell in ASCII: a filled blank from 256 colours on; below that a
 * character, of signed pixels the positive part of each channel, or the negative. */
GridCell colour_ascii(Map m, const double t[3], bool negative);
#endif
