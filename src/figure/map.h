/* map.h -- values to colours and characters. A value arrives as t in -1..1 (a share of
 * the scale's limit), 0 is the background. Signed maps run blue, zero, red with equal
 * lightness on both sides, so that negating an image swaps the colours exactly;
 * unsigned ones run from the background to ink. */
#ifndef CLEAVE_FIGURE_MAP_H
#define CLEAVE_FIGURE_MAP_H
#include "figure/grid.h"

typedef enum Tone {
    TONE_GREY,
    TONE_RED,
    TONE_BLUE,
    TONE_SHADES, /* of colour pictures, not of figures: black to white everywhere, and
                  * mid grey for 0 where they are signed */
} Tone;
enum { TONES = TONE_BLUE + 1 };
const char *tone_name(Tone t); /* "grey", "red", "blue" */

typedef struct Map {
    Level level;
    bool light; /* zero is white instead of black */
    bool is_signed;
    Tone tone; /* of an unsigned map: half of the signed one, or grey */
} Map;

/* Colour of t: GRID_RGB at LEVEL_TRUE, a palette index of 16..255 at LEVEL_256. NaN: a
 * grey. */
int32_t map_colour(Map m, double t);
/* The same as three bytes, always from the 24-bit map. */
void map_rgb(Map m, double t, uint8_t rgb[3]);
/* The ASCII cell of t: character by |t|^0.7 in 7 steps, the sign as colour (none at
 * LEVEL_MONO, where it is lost: the caller draws two panels). */
GridCell map_ascii(Map m, double t);
/* Colours that tell series apart, for colour-blind eyes too (Okabe and Ito 2008), and
 * their mark in ASCII. They repeat after MAP_SERIES. */
enum { MAP_SERIES = 8 };
int32_t map_series(Map m, int i);
int32_t map_tint(Map m, int i); /* background of a band; GRID_DEFAULT below 256 */
void map_series_rgb(int i, uint8_t rgb[3]); /* on white paper */
char map_series_mark(int i);
/* Ink for signs where there is no scale: red, blue, default for 0. */
int32_t map_sign(Map m, double v);
/* The cell of a missing value. */
GridCell map_missing(Map m);
/* The characters from weak to strong, without the blank. */
const char *map_ink(void);
#endif
