/* dots.c -- a segment takes as many steps as its longer side has dots, so that no dot
 * on the way is left out. */
#include "figure/dots.h"

#include <math.h>

#include "base/mem.h"

bool dots_new(int rows, int cols, bool fine, Dots *d, Err *err)
{
    size_t n = (size_t)rows * (size_t)cols;
    *d = (Dots){rows, cols, fine ? 2 : 1, fine ? 4 : 1, NULL, NULL};
    d->bits = mem_zalloc(n, err);
    d->owner = d->bits ? mem_zalloc(n, err) : NULL;
    if (!d->owner)
        dots_done(d);
    return d->owner != NULL;
}

void dots_done(Dots *d)
{
    mem_free(d->bits);
    mem_free(d->owner);
    *d = (Dots){0};
}

static void dot(Dots *d, int x, int y, int owner)
{
    /* braille numbers its dots by column, the fourth row came later */
    static const uint8_t braille[4][2] = {
        {1,  8  },
        {2,  16 },
        {4,  32 },
        {64, 128}
    };
    int w = d->cols * d->across, h = d->rows * d->down;
    x = x < 0 ? 0 : x >= w ? w - 1 : x;
    y = y < 0 ? 0 : y >= h ? h - 1 : y;
    size_t at = (size_t)(y / d->down) * (size_t)d->cols + (size_t)(x / d->across);
    d->bits[at] |= braille[y % d->down][x % d->across];
    d->owner[at] = (uint8_t)owner;
}

static int dot_x(const Dots *d, double x)
{
    return (int)floor(x * (d->cols * d->across - 1) + 0.5);
}

static int dot_y(const Dots *d, double y)
{
    return (int)floor((1 - y) * (d->rows * d->down - 1) + 0.5);
}

void dots_point(Dots *d, double x, double y, int owner)
{
    if (x >= 0 && x <= 1 && y >= 0 && y <= 1)
        dot(d, dot_x(d, x), dot_y(d, y), owner);
}

/* One side: t0..t1 is the part of the line within. */
static bool clip_side(double way, double room, double *t0, double *t1)
{
    if (way == 0)
        return room >= 0;
    double t = room / way;
    if (way < 0)
        *t0 = fmax(*t0, t);
    else
        *t1 = fmin(*t1, t);
    return *t0 <= *t1;
}

bool clip_line(double *x0, double *y0, double *x1, double *y1)
{
    double dx = *x1 - *x0, dy = *y1 - *y0, t0 = 0, t1 = 1;
    if (!isfinite(dx) || !isfinite(dy) || !clip_side(-dx, *x0, &t0, &t1) ||
        !clip_side(dx, 1 - *x0, &t0, &t1) || !clip_side(-dy, *y0, &t0, &t1) ||
        !clip_side(dy, 1 - *y0, &t0, &t1))
        return false;
    double x = *x0, y = *y0;
    *x0 = x + t0 * dx;
    *y0 = y + t0 * dy;
    *x1 = x + t1 * dx;
    *y1 = y + t1 * dy;
    return true;
}

void dots_line(Dots *d, double x0, double y0, double x1, double y1, int owner)
{
    if (!clip_line(&x0, &y0, &x1, &y1))
        return;
    int ax = dot_x(d, x0), ay = dot_y(d, y0), bx = dot_x(d, x1), by = dot_y(d, y1);
    int wide = bx > ax ? bx - ax : ax - bx, high = by > ay ? by - ay : ay - by;
    int steps = wide > high ? wide : high;
    for (int i = 0; i <= steps; i++) {
        double t = steps > 0 ? (double)i / steps : 0;
        dot(d, (int)floor(ax + t * (bx - ax) + 0.5),
            (int)floor(ay + t * (by - ay) + 0.5), owner);
    }
}

void dots_put(const Dots *d, Canvas *c, int row, int col, const GridCell *look,
              int n_looks)
{
    for (int i = 0; i < d->rows; i++)
        for (int j = 0; j < d->cols; j++) {
            size_t at = (size_t)i * (size_t)d->cols + (size_t)j;
            GridCell *cell = grid_at(c->grid, row + i, col + j);
            if (!cell || d->bits[at] == 0)
                continue;
            const GridCell *l = &look[d->owner[at] % n_looks];
            cell->rune = d->across == 2 ? 0x2800u + d->bits[at] : l->rune;
            cell->fg = l->fg;
            cell->attr = l->attr;
        }
}
