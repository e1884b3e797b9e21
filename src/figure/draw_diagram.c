/* draw_diagram.c -- columns of nodes with the edges between neighbours, as cells.
 * Strong edges are drawn last and stay whole; strength is colour, or ink in ASCII,
 * where a sign is + or -. Names stand beside the first and the last column only. */
#include <math.h>
#include <stdlib.h>

#include "base/intr.h"
#include "base/mem.h"
#include "figure/clean.h"
#include "figure/diagram.h"
#include "figure/dots.h"
#include "figure/map.h"
#include "figure/multiples.h"

enum { MOST_ROWS = 33, LEAST_ROWS = 5, STEPS = 4, LOOKS = 2 * STEPS, BAR = 15 };

static int node_row(int rows, double share)
{
    return (int)floor((1 - share) * (rows - 1) + 0.5);
}

/* Steps of strength, positive first. */
static int look_of(const Diagram *d, double weight)
{
    int step = (int)(fmin(fabs(weight) / d->limit, 1) * STEPS); /* may be far above */
    return at_most(step, STEPS - 1) + (weight < 0 ? STEPS : 0);
}

static void looks(const Canvas *c, const Figure *f, GridCell *look)
{
    Map m = {c->style.level, c->style.light, f->is_signed, f->tone};
    for (int i = 0; i < LOOKS; i++) {
        double t = 0.4 + 0.6 * (i % STEPS) / (STEPS - 1);
        bool minus = f->is_signed && i >= STEPS;
        look[i] = map_ascii(m, minus ? -t : t);
        if (f->is_signed && m.level == LEVEL_MONO)
            look[i].rune = minus ? '-' : '+';
        if (m.level >= LEVEL_256)
            look[i].fg = map_colour(m, minus ? -t : t);
    }
}

static bool draw_edges(const Diagram *d, Canvas *c, int at, int cols, int rows,
                       Err *err)
{
    GridCell look[LOOKS];
    Dots dots;
    bool ok = true;
    looks(c, d->f, look);
    if (!dots_new(rows, cols, canvas_fine(c), &dots, err))
        return false;
    for (int i = d->weak; ok && i < d->n; i++) {
        const Edge *e = d->order[i];
        double x0, y0, x1, y1;
        diagram_at(d->f, e->left, &x0, &y0);
        diagram_at(d->f, e->right, &x1, &y1);
        dots_line(&dots, x0, y0, x1, y1, look_of(d, e->weight));
        ok = i % 1024 || intr_check(err);
    }
    dots_put(&dots, c, c->row, at, look, LOOKS);
    dots_done(&dots);
    return ok;
}

/* Nodes of a column, and their names where `side` is -1 (left of it) or 1. More nodes
 * than rows: the name of the first of each row. */
static void draw_nodes(const Figure *f, Canvas *c, int first, int n, int col, int rows,
                       int side, int room)
{
    uint32_t mark = canvas_fine(c) ? 0x25CF : 'O';
    for (int i = 0, before = -1; i < n; i++) {
        double x, y;
        diagram_at(f, first + i, &x, &y);
        int row = node_row(rows, y), w = at_most(clean_width(f->left[first + i]), room);
        canvas_put(c, c->row + row, col, mark, GRID_DEFAULT);
        if (row != before && side != 0)
            canvas_cut(c, c->row + row, side < 0 ? col - 1 - w : col + 2,
                       f->left[first + i], room, GRID_DEFAULT, 0);
        before = row;
    }
}

static int longest(const Figure *f, int first, int n)
{
    int most = 0;
    for (int i = 0; i < n; i++)
        most = at_least(most, clean_width(f->left[first + i]));
    return most;
}

static bool draw_body(const Diagram *d, Canvas *c, Err *err)
{
    const Figure *f = d->f;
    int last = f->n_stages - 1, end = f->n_left - f->stage[last], most = 0, first = 0;
    int left = at_most(longest(f, 0, f->stage[0]), c->width / 4);
    int right = at_most(longest(f, end, f->stage[last]), c->width / 4);
    int at = left + (left > 0), cols = c->width - at - right - (right > 0);
    for (int k = 0; k < f->n_stages; k++)
        most = at_least(most, f->stage[k]);
    int rows = at_least(at_most(2 * most - 1, MOST_ROWS), LEAST_ROWS);
    if (c->tile)
        rows = at_least(at_most(rows, c->width / 2), LEAST_ROWS);
    if (!canvas_need(c, rows, err) || !draw_edges(d, c, at, cols, rows, err))
        return false;
    for (int k = 0; k < f->n_stages; first += f->stage[k++]) {
        int col = at + (int)floor((double)k / last * (cols - 1) + 0.5);
        draw_nodes(f, c, first, f->stage[k], col, rows, k == 0 ? -1 : k == last,
                   k == 0 ? left : right);
    }
    c->row += rows;
    return true;
}

static bool draw_words(const Figure *f, double limit, int weak, Canvas *c, Err *err)
{
    GridCell look[LOOKS];
    char number[32];
    Str t;
    looks(c, f, look);
    figure_number(limit, number);
    str_init(&t);
    str_addf(&t, "%s%s ", f->is_signed ? "-" : "0", f->is_signed ? number : "");
    int at = (int)t.len, row = c->row, n = f->is_signed ? LOOKS : STEPS;
    str_addf(&t, "%*s %s%s  weight of edges", n, "", f->is_signed ? "+" : "", number);
    if (weak > 0)
        str_addf(&t, "; %d below 1/20 of it left out", weak);
    bool ok = str_ok(&t, err) && canvas_text(c, t.s, CELL_DIM, err);
    for (int i = 0; ok && i < n; i++) {
        int k = !f->is_signed ? i : i < STEPS ? LOOKS - 1 - i : i - STEPS;
        GridCell *cell = grid_at(c->grid, row, at + i);
        if (cell)
            *cell = look[k];
        if (cell && canvas_fine(c))
            cell->rune = 0x2588;
    }
    str_done(&t);
    return ok;
}

bool draw_diagram_scale(Canvas *c, const Figure *page, const Figure *f, Err *err)
{
    return draw_words(f, f->limit, multiples_weak(page, f), c, err);
}

bool draw_diagram(Canvas *c, const Figure *f, Err *err)
{
    Diagram d;
    if (!diagram_sort(f, &d, err))
        return false;
    bool ok = draw_body(&d, c, err);
    if (ok && !multiples_told(c->common, f))
        ok = draw_words(f, d.limit, d.weak, c, err);
    mem_free(d.order);
    return ok;
}
