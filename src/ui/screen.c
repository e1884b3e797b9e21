/* screen.c -- runs of changed cells; a run that touches a wide character takes it
 * whole. */
#include "ui/screen.h"

#include <string.h>

#include "ui/term.h"

void screen_init(Screen *s, Level level, bool utf8)
{
    *s = (Screen){.level = level, .utf8 = utf8};
}

void screen_done(Screen *s)
{
    grid_done(&s->shown);
}

void screen_forget(Screen *s)
{
    grid_done(&s->shown);
    term_redraw();
}

static uint32_t plain_rune(uint32_t r)
{
    if (r >= 0x2500 && r <= 0x257F)
        return r == 0x2500 ? '-' : r == 0x2502 ? '|' : '+';
    return r == 0 || r > 0x7E ? '?' : r;
}

GridCell screen_cell(const Screen *s, const GridCell *c)
{
    GridCell k = *c;
    k.fg = grid_colour(c->fg, s->level);
    k.bg = grid_colour(c->bg, s->level);
    if (!s->utf8)
        k.rune = plain_rune(c->rune);
    return k;
}

static bool same(const GridCell *a, const GridCell *b)
{
    return a->rune == b->rune && a->fg == b->fg && a->bg == b->bg && a->attr == b->attr;
}

static void show_row(Screen *s, const Grid *g, int row)
{
    const GridCell *now = g->cell + (size_t)row * (size_t)g->cols;
    GridCell *was = s->shown.cell + (size_t)row * (size_t)g->cols;
    int from = -1;
    for (int c = 0; c <= g->cols; c++) {
        bool differs = c < g->cols;
        if (differs) {
            GridCell k = screen_cell(s, &now[c]);
            differs = !same(&k, &was[c]);
            was[c] = k;
        }
        if (differs && from < 0)
            from = c > 0 && now[c].rune == 0 ? c - 1 : c;
        if (!differs && from >= 0) {
            term_put(row, from, was + from, c - from);
            from = -1;
        }
    }
}

void screen_show(Screen *s, const Grid *g, int row, int col)
{
    if (s->shown.rows != g->rows || s->shown.cols != g->cols) {
        grid_done(&s->shown);
        if (!grid_new(g->rows, g->cols, &s->shown, NULL))
            return;
        for (int i = 0; i < g->rows * g->cols; i++)
            s->shown.cell[i].attr = 0xFF; /* like no cell */
    }
    for (int r = 0; r < g->rows; r++)
        show_row(s, g, r);
    term_show(row, col);
}
