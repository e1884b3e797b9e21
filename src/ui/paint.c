/* paint.c -- every character goes through glyph_next(), so that what comes from outside
 * can do nothing but be seen. */
#include "ui/paint.h"

#include <string.h>

#include "figure/clean.h"

Look paint_look(const Painter *p, Role role)
{
    Look k = p->theme->look[role];
    if (p->level == LEVEL_MONO || (p->level < LEVEL_256 && (k.attr & CELL_REVERSE))) {
        k.fg = k.bg = GRID_DEFAULT; /* the attributes say it */
    } else if (p->level >= LEVEL_256) {
        if (k.bg != GRID_DEFAULT)
            k.attr &= (uint8_t)~CELL_REVERSE; /* the colours say it */
        if (k.fg != GRID_DEFAULT)
            k.attr &= (uint8_t)~CELL_DIM;
    }
    return k;
}

static GridCell *cell_at(const Painter *p, Area a, int row, int col)
{
    if (row < 0 || col < 0 || row >= a.rows || col >= a.cols)
        return NULL;
    return grid_at(p->grid, a.row + row, a.col + col);
}

/* Half of a wide character is not left behind. */
static void put(const Painter *p, Area a, int row, int col, uint32_t rune, int width,
                Look look)
{
    if (width == 2 && !cell_at(p, a, row, col + 1))
        rune = ' ';
    for (int i = 0; i < width; i++) {
        GridCell *c = cell_at(p, a, row, col + i);
        if (!c)
            continue;
        GridCell *left = grid_at(p->grid, a.row + row, a.col + col + i - 1);
        GridCell *right = grid_at(p->grid, a.row + row, a.col + col + i + 1);
        if (c->rune == 0 && i == 0 && left)
            left->rune = ' ';
        if (right && right->rune == 0)
            right->rune = ' ';
        int32_t bg = look.bg == GRID_DEFAULT ? c->bg : look.bg;
        *c = (GridCell){i == 0 ? rune : rune == ' ' ? ' ' : 0, look.fg, bg, look.attr};
    }
}

void paint_clear(const Painter *p, Area a, Role role)
{
    Look k = paint_look(p, role);
    for (int r = 0; r < a.rows; r++)
        for (int c = 0; c < a.cols; c++) {
            GridCell *cell = cell_at(p, a, r, c);
            if (cell)
                *cell = (GridCell){' ', k.fg, k.bg, k.attr};
        }
}

int paint_text(const Painter *p, Area a, int row, int col, const char *s, size_t n,
               Look look)
{
    int at = 0;
    while (n > 0 && col + at < a.cols) {
        Glyph y;
        Look k = look;
        size_t len = glyph_next(s, n, at, &y);
        if (y.odd)
            k.attr ^= CELL_REVERSE;
        if (y.n == 1 && y.rune[0] == ' ') {
            for (int i = 0; i < y.width; i++)
                put(p, a, row, col + at + i, ' ', 1, k);
        } else {
            for (int i = 0; i < y.n; i++) {
                int each = y.width / y.n;
                uint32_t r = !p->utf8 && y.rune[i] > 0x7E ? '?' : y.rune[i];
                put(p, a, row, col + at + i * each, r, each, k);
            }
        }
        at += y.width;
        s += len;
        n -= len;
    }
    return at;
}

int paint_str(const Painter *p, Area a, int row, int col, const char *s, Role role)
{
    return paint_text(p, a, row, col, s, strlen(s), paint_look(p, role));
}

void paint_right(const Painter *p, Area a, int row, int end, const char *s, Role role)
{
    int w = clean_width(s);
    while (w > end && *s) {
        Glyph y;
        size_t len = glyph_next(s, strlen(s), 0, &y);
        w -= y.width;
        s += len;
    }
    paint_str(p, a, row, end - w, s, role);
}

int paint_cut(const Painter *p, Area a, int row, int col, const char *s, int room,
              Role role)
{
    size_t n = 0, left = strlen(s);
    int used = 0, fit = 0;
    size_t n_fit = 0;
    while (left > 0) {
        Glyph y;
        size_t len = glyph_next(s + n, left, used, &y);
        if (used + y.width > room) {
            if (room <= 0)
                return 0;
            paint_text(p, a, row, col, s, n_fit, paint_look(p, role));
            return fit + paint_str(p, a, row, col + fit, "~", role);
        }
        used += y.width;
        n += len;
        left -= len;
        if (used < room) {
            fit = used;
            n_fit = n;
        }
    }
    return paint_text(p, a, row, col, s, n, paint_look(p, role));
}

void paint_grid(const Painter *p, Area a, int row, int col, const Grid *g, int from,
                int n_rows)
{
    for (int r = 0; r < n_rows && from + r < g->rows; r++)
        for (int c = 0; c < g->cols; c++) {
            GridCell *to = cell_at(p, a, row + r, col + c);
            const GridCell *src =
                &g->cell[(size_t)(from + r) * (size_t)g->cols + (size_t)c];
            if (!to || from + r < 0)
                continue;
            *to = *src;
            if (src->rune > 0 && c + 1 < g->cols && src[1].rune == 0 &&
                col + c + 1 >= a.cols)
                to->rune = ' ';
        }
}

static uint32_t line_rune(const Painter *p, bool vertical)
{
    if (p->utf8)
        return vertical ? 0x2502 : 0x2500;
    return vertical ? '|' : '-';
}

void paint_rule(const Painter *p, Area a, int row, const char *title, Role role)
{
    Look k = paint_look(p, role);
    for (int c = 0; c < a.cols; c++)
        put(p, a, row, c, line_rune(p, false), 1, k);
    if (title[0]) {
        paint_str(p, a, row, 1, " ", role);
        int used = paint_cut(p, a, row, 2, title, a.cols - 4, role);
        paint_str(p, a, row, 2 + used, " ", role);
    }
}

Area paint_box(const Painter *p, Area a, const char *title)
{
    static const uint32_t fine[] = {0x250C, 0x2510, 0x2514, 0x2518};
    Look k = paint_look(p, ROLE_BOX);
    paint_clear(p, a, ROLE_BOX);
    paint_rule(p, a, 0, title, ROLE_BOX);
    paint_rule(p, a, a.rows - 1, "", ROLE_BOX);
    for (int r = 1; r < a.rows - 1; r++) {
        put(p, a, r, 0, line_rune(p, true), 1, k);
        put(p, a, r, a.cols - 1, line_rune(p, true), 1, k);
    }
    for (int i = 0; i < 4; i++)
        put(p, a, i < 2 ? 0 : a.rows - 1, i % 2 ? a.cols - 1 : 0,
            p->utf8 ? fine[i] : '+', 1, k);
    return (Area){a.row + 1, a.col + 1, a.rows - 2, a.cols - 2};
}

void paint_row(const Painter *p, Area a, int row, Role role)
{
    Look k = paint_look(p, role);
    for (int c = 0; c < a.cols; c++) {
        GridCell *cell = cell_at(p, a, row, c);
        if (!cell)
            continue;
        if (k.fg != GRID_DEFAULT)
            cell->fg = k.fg;
        if (k.bg != GRID_DEFAULT)
            cell->bg = k.bg;
        cell->attr |= k.attr;
    }
}
