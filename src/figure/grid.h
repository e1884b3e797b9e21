/* grid.h -- a rectangle of terminal cells, and how capable the terminal is. Everything
 * that is shown as text is drawn into a Grid first; ui/ puts grids on a screen or
 * prints them. A Grid owns its cells. Colours: GRID_DEFAULT, palette 0..255, or
 * GRID_RGB(r,g,b). */
#ifndef CLEAVE_FIGURE_GRID_H
#define CLEAVE_FIGURE_GRID_H
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

typedef enum Level {
    LEVEL_MONO,  /* L0: ASCII, no colour; two panels + and - for signed images */
    LEVEL_ANSI,  /* L1: ASCII, 8/16 colours */
    LEVEL_256,   /* L2: half blocks, 256 colours */
    LEVEL_TRUE,  /* L3: half blocks, 24 bits; quadrants for thumbnails */
} Level;
const char *level_name(Level l); /* "mono" "ansi" "256" "true" */
bool level_parse(const char *name, Level *l);

typedef struct DrawStyle {
    Level level;
    int width;       /* columns available */
    bool light;      /* light background */
    bool utf8;       /* half blocks and box lines allowed */
    int rows;        /* for the area of a plot; 0: as the width suggests */
    int side;        /* pixels of the longer side of images, at most; 0: no limit */
} DrawStyle;

enum { GRID_DEFAULT = -1 };
#define GRID_RGB(r, g, b) (0x1000000 | ((r) << 16) | ((g) << 8) | (b))
enum { CELL_BOLD = 1, CELL_REVERSE = 2, CELL_DIM = 4 };

typedef struct GridCell {
    uint32_t rune; /* 0: right half of a wide character */
    int32_t fg, bg;
    uint8_t attr;
} GridCell;
typedef struct Grid {
    int rows, cols;
    GridCell *cell; /* [rows*cols], row-major */
} Grid;

bool grid_new(int rows, int cols, Grid *g, Err *err); /* blanks in default colours */
void grid_done(Grid *g);
GridCell *grid_at(Grid *g, int row, int col); /* NULL outside */
/* Writes UTF-8 text clipped to the grid; control characters, bidi controls and invalid
 * bytes become visible placeholders. Returns the columns used. */
int grid_text(Grid *g, int row, int col, const char *text, int32_t fg, int32_t bg,
              uint8_t attr);
/* Grows or shrinks to `rows` rows; new ones are blank. */
bool grid_resize(Grid *g, int rows, Err *err);
/* The nearest colour a level has: GRID_DEFAULT at LEVEL_MONO, 0..7 (or what is below 16
 * already) at LEVEL_ANSI, a palette index at LEVEL_256. */
int32_t grid_colour(int32_t colour, Level level);
/* A colour as 0xRRGGBB; palette entries below 16 as they are. GRID_DEFAULT stays. */
int32_t grid_true(int32_t colour);
/* Replaces every code point outside ASCII, for locales without UTF-8: box lines by - |
 * +, the rest by '?'. */
void grid_ascii(Grid *g);
/* The grid as lines with SGR escapes for the level (none at LEVEL_MONO: reverse video
 * only), trailing blanks cut, each line ended by reset and newline. */
void grid_print(const Grid *g, Level level, Str *out);
void grid_plain(const Grid *g, Str *out); /* characters only; for tests and files */
#endif
