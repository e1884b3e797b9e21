/* grid.c -- cells in one block. A wide character takes its cell and a follower with
 * rune 0; writing over one half blanks the other, so a row never shows more columns
 * than it has. Printing walks runs of equal attributes; colours beyond the level are
 * brought to the nearest one it has. */
#include "figure/grid.h"

#include <string.h>

#include "base/mem.h"
#include "figure/clean.h"

enum { MAX_ROWS = 1 << 22, MAX_COLS = 1 << 14 };

static const char *const level_names[] = {"mono", "ansi", "256", "true"};

const char *level_name(Level l)
{
    return level_names[l];
}

bool level_parse(const char *name, Level *l)
{
    for (size_t i = 0; i < ARRAY_LEN(level_names); i++)
        if (strcmp(name, level_names[i]) == 0) {
            *l = (Level)i;
            return true;
        }
    return false;
}

static const GridCell blank = {.rune = ' ', .fg = GRID_DEFAULT, .bg = GRID_DEFAULT};

static void blank_from(Grid *g, size_t first)
{
    for (size_t i = first; i < (size_t)g->rows * (size_t)g->cols; i++)
        g->cell[i] = blank;
}

static bool check_size(int rows, int cols, Err *err)
{
    if (rows >= 0 && cols >= 0 && rows <= MAX_ROWS && cols <= MAX_COLS)
        return true;
    return err_set(err, ERR_SHAPE,
                   "a grid of %d rows and %d columns: at most %d and %d can be drawn",
                   rows, cols, MAX_ROWS, MAX_COLS);
}

bool grid_new(int rows, int cols, Grid *g, Err *err)
{
    *g = (Grid){0};
    if (!check_size(rows, cols, err))
        return false;
    g->cell = mem_array((size_t)rows * (size_t)cols, sizeof *g->cell, err);
    if (!g->cell)
        return false;
    g->rows = rows;
    g->cols = cols;
    blank_from(g, 0);
    return true;
}

bool grid_resize(Grid *g, int rows, Err *err)
{
    if (!check_size(rows, g->cols, err))
        return false;
    size_t had = (size_t)g->rows * (size_t)g->cols;
    size_t want = (size_t)rows * (size_t)g->cols;
    GridCell *cell = mem_realloc(g->cell, want * sizeof *cell, err);
    if (!cell)
        return false;
    g->cell = cell;
    g->rows = rows;
    blank_from(g, had);
    return true;
}

void grid_done(Grid *g)
{
    mem_free(g->cell);
    *g = (Grid){0};
}

GridCell *grid_at(Grid *g, int row, int col)
{
    if (row < 0 || col < 0 || row >= g->rows || col >= g->cols)
        return NULL;
    return &g->cell[(size_t)row * (size_t)g->cols + (size_t)col];
}

/* A cell about to be overwritten must not leave half a wide character behind. */
static void split_wide(Grid *g, int row, int col)
{
    GridCell *c = grid_at(g, row, col);
    GridCell *left = grid_at(g, row, col - 1), *right = grid_at(g, row, col + 1);
    if (c && c->rune == 0 && left)
        left->rune = ' ';
    if (right && right->rune == 0)
        right->rune = ' ';
}

static void put(Grid *g, int row, int col, GridCell with, int width)
{
    if (!grid_at(g, row, col) || !grid_at(g, row, col + width - 1)) {
        with.rune = ' '; /* half of it would stand outside */
    }
    for (int i = 0; i < width; i++) {
        GridCell *c = grid_at(g, row, col + i);
        if (!c)
            continue;
        split_wide(g, row, col + i);
        *c = with;
        if (i > 0 && with.rune != ' ')
            c->rune = 0;
    }
}

int grid_text(Grid *g, int row, int col, const char *text, int32_t fg, int32_t bg,
              uint8_t attr)
{
    int at = 0;
    size_t left = strlen(text);
    while (left > 0 && col + at < g->cols) {
        Glyph y;
        size_t len = glyph_next(text, left, at, &y);
        GridCell c = {.fg = fg, .bg = bg, .attr = attr};
        if (y.odd)
            c.attr ^= CELL_REVERSE;
        int each = y.n > 0 ? y.width / y.n : 0;
        for (int i = 0; i < y.n; i++) {
            c.rune = y.rune[i];
            put(g, row, col + at + i * each, c, each);
        }
        at += y.width;
        text += len;
        left -= len;
    }
    return at < g->cols - col ? at : g->cols - col > 0 ? g->cols - col : 0;
}

static uint32_t ascii_of(uint32_t r)
{
    if (r < 0x7F)
        return r;
    if (r >= 0x2500 && r <= 0x257F)
        return r <= 0x2501 ? '-' : r <= 0x2503 ? '|' : '+';
    return '?';
}

void grid_ascii(Grid *g)
{
    for (size_t i = 0; i < (size_t)g->rows * (size_t)g->cols; i++) {
        GridCell *c = &g->cell[i];
        c->rune = c->rune == 0 ? '?' : ascii_of(c->rune);
    }
}

/* ---- printing ---- */

static int cube_step(int v)
{
    return v < 48 ? 0 : v < 115 ? 1 : (v - 35) / 40;
}

static void rgb_of_256(int p, int rgb[3])
{
    static const int step[] = {0, 95, 135, 175, 215, 255};
    if (p >= 232) {
        rgb[0] = rgb[1] = rgb[2] = 8 + 10 * (p - 232);
        return;
    }
    rgb[0] = step[(p - 16) / 36];
    rgb[1] = step[(p - 16) / 6 % 6];
    rgb[2] = step[(p - 16) % 6];
}

static int distance(int p, const int rgb[3])
{
    int c[3], sum = 0;
    rgb_of_256(p, c);
    for (int i = 0; i < 3; i++)
        sum += (c[i] - rgb[i]) * (c[i] - rgb[i]);
    return sum;
}

/* Of the cube and of the greys the nearest, then the nearer one; of equal ones the grey,
 * whose steps are finer. */
static int nearest_256(const int rgb[3])
{
    int mean = (rgb[0] + rgb[1] + rgb[2]) / 3;
    int grey = 232 + (mean < 8 ? 0 : mean > 238 ? 23 : (mean - 3) / 10);
    int cube = 16 + 36 * cube_step(rgb[0]) + 6 * cube_step(rgb[1]) + cube_step(rgb[2]);
    return distance(grey, rgb) <= distance(cube, rgb) ? grey : cube;
}

/* One of the eight first colours: each channel counts when it is near the largest. */
static int nearest_8(const int rgb[3])
{
    int most = rgb[0] > rgb[1] ? rgb[0] : rgb[1];
    most = most > rgb[2] ? most : rgb[2];
    int c = 0;
    for (int i = 0; i < 3 && most >= 64; i++)
        c |= rgb[i] * 3 >= most * 2 ? 1 << i : 0;
    return c;
}

int32_t grid_colour(int32_t colour, Level level)
{
    if (colour == GRID_DEFAULT || level == LEVEL_TRUE || level == LEVEL_MONO)
        return level == LEVEL_MONO ? GRID_DEFAULT : colour;
    bool is_rgb = colour >= 0x1000000;
    int rgb[3] = {colour >> 16 & 255, colour >> 8 & 255, colour & 255};
    if (level == LEVEL_256)
        return is_rgb ? nearest_256(rgb) : colour;
    if (!is_rgb && colour < 16)
        return colour;
    if (!is_rgb)
        rgb_of_256(colour, rgb);
    return nearest_8(rgb);
}

int32_t grid_true(int32_t colour)
{
    int rgb[3];
    if (colour < 16)
        return colour;
    if (colour >= 0x1000000)
        return colour & 0xFFFFFF;
    rgb_of_256(colour, rgb);
    return rgb[0] << 16 | rgb[1] << 8 | rgb[2];
}

static void add_colour(Str *out, int32_t c, int base)
{
    if (c == GRID_DEFAULT)
        return;
    if (c >= 0x1000000)
        str_addf(out, ";%d;2;%d;%d;%d", base + 8, c >> 16 & 255, c >> 8 & 255, c & 255);
    else if (c >= 16)
        str_addf(out, ";%d;5;%d", base + 8, c);
    else
        str_addf(out, ";%d", c < 8 ? base + c : base + 60 + c - 8);
}

/* What a cell looks like at a level; runes are left out of the comparison. */
static GridCell look_of(const GridCell *c, Level level)
{
    GridCell k = {.attr = c->attr};
    k.fg = grid_colour(c->fg, level);
    k.bg = grid_colour(c->bg, level);
    if (level == LEVEL_MONO)
        k.attr &= CELL_REVERSE;
    return k;
}

static bool same_look(GridCell a, GridCell b)
{
    return a.fg == b.fg && a.bg == b.bg && a.attr == b.attr;
}

static void add_look(Str *out, GridCell k)
{
    str_add(out, "\033[0");
    if (k.attr & CELL_BOLD)
        str_add(out, ";1");
    if (k.attr & CELL_DIM)
        str_add(out, ";2");
    if (k.attr & CELL_REVERSE)
        str_add(out, ";7");
    add_colour(out, k.fg, 30);
    add_colour(out, k.bg, 40);
    str_addc(out, 'm');
}

static int row_end(const Grid *g, const GridCell *row, bool with_looks)
{
    int end = g->cols;
    while (end > 0) {
        const GridCell *c = &row[end - 1];
        bool shows = with_looks && (c->bg != GRID_DEFAULT || (c->attr & CELL_REVERSE));
        if (c->rune != ' ' || shows)
            break;
        end--;
    }
    return end;
}

void grid_print(const Grid *g, Level level, Str *out)
{
    const GridCell plain = look_of(&blank, level);
    for (int r = 0; r < g->rows; r++) {
        const GridCell *row = g->cell + (size_t)r * (size_t)g->cols;
        GridCell now = plain;
        int end = row_end(g, row, true);
        for (int c = 0; c < end; c++) {
            GridCell want = look_of(&row[c], level);
            if (row[c].rune == 0)
                continue;
            /* nobody sees the ink of a blank */
            bool turned = (want.attr | now.attr) & CELL_REVERSE;
            if (row[c].rune == ' ' && !turned && want.bg == now.bg)
                want = now;
            if (!same_look(want, now))
                add_look(out, want);
            now = want;
            str_add_rune(out, row[c].rune);
        }
        str_add(out, same_look(now, plain) ? "\n" : "\033[0m\n");
    }
}

void grid_plain(const Grid *g, Str *out)
{
    for (int r = 0; r < g->rows; r++) {
        const GridCell *row = g->cell + (size_t)r * (size_t)g->cols;
        int end = row_end(g, row, false);
        for (int c = 0; c < end; c++)
            if (row[c].rune != 0)
                str_add_rune(out, row[c].rune);
        str_addc(out, '\n');
    }
}
