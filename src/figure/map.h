/* map.h -- values to colours and characters. A value arrives as t in -1..1 (a share of
 * the scale's limit), 0 is the background. Signed maps run blue, zero, red with equal
 * lightness on both sides, so that negating an image swaps the colours exactly;
 * unsigned ones run from the background to ink. */
#ifndef CLEAVE_FIGURE_MAP_H
#define CLEAVE_FIGURE_MAP_H
#include "figure/grid.h"

typedef struct Map {
    Level level;
    bool light; /* zero is white instead of black */
    bool is_signed;
} Map;

/* Colour of t: GRID_RGB at LEVEL_TRUE, a palette index of 16..255 at LEVEL_256. NaN: a
 * grey. */
int32_t map_colour(Map m, double t);
/* The same as three bytes, always from the 24-bit map. */
void map_rgb(Map m, double t, uint8_t rgb[3]);
/* The ASCII cell of t: character by |t|^0.7 in 7 steps, the sign as colour (none at
 * LEVEL_MONO, where it is lost: the caller draws two panels). */
Cell map_ascii(Map m, double t);
/* The cell of a missing value. */
Cell map_missing(Map m);
/* The characters from weak to strong, without the blank. */
const char *map_ink(void);
#endif
