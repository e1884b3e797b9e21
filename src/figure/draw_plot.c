/* draw_plot.c -- lines, points, bands and histograms as cells. The area is drawn in
 * layers: tints of bands, filled bins, then lines and points, then texts beside points
 * where they cover nothing. What does not fit is counted below. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/intr.h"
#include "base/mem.h"
#include "figure/axis.h"
#include "figure/clean.h"
#include "figure/dots.h"
#include "figure/map.h"
#include "figure/multiples.h"

enum { LEAST_ROWS = 8, MOST_ROWS = 24, FEW_POINTS = 80, ROWS_A_TICK = 3, LABEL = 12 };

typedef struct Panel {
    const Figure *f;
    Map map;
    Axis x, y;
    Ticks xt, yt;
    int row, col, rows, cols; /* of the area */
    bool fine;
    int hidden; /* texts that found no room */
} Panel;

bool draw_legend(Canvas *c, const Figure *f, Err *err)
{
    Map m = {c->style.level, c->style.light, false, TONE_GREY};
    int at = 0, named = 0;
    for (int i = 0; i < f->n_series; i++)
        named += f->series[i].name != NULL;
    if (named == 0)
        return true;
    if (!canvas_need(c, named, err))
        return false;
    for (int i = 0; i < f->n_series; i++) {
        const char *name = f->series[i].name ? f->series[i].name : "";
        int room = at_most(clean_width(name), c->width - 2);
        if (!*name)
            continue;
        if (at > 0 && at + 2 + room > c->width) {
            c->row++;
            at = 0;
        }
        int32_t ink = map_series(m, i);
        uint32_t mark = (unsigned char)map_series_mark(i);
        canvas_put(c, c->row, at, canvas_fine(c) ? 0x2588 : mark, ink);
        canvas_cut(c, c->row, at + 2, name, room, GRID_DEFAULT, 0);
        at += 2 + room + 3;
    }
    c->row++;
    return true;
}

/* --- axes --- */

static int row_of(const Panel *p, double share)
{
    return p->row + (int)floor((1 - share) * (p->rows - 1) + 0.5);
}

static int col_of(const Panel *p, double share)
{
    return p->col + (int)floor(share * (p->cols - 1) + 0.5);
}

static bool plan(Panel *p, Canvas *c, Err *err)
{
    const Figure *f = p->f;
    plot_axes(f, &p->x, &p->y);
    p->fine = canvas_fine(c);
    p->rows = at_most(at_least(6 + c->width / 8, LEAST_ROWS), MOST_ROWS);
    if (c->style.rows > 0)
        p->rows = at_least(c->style.rows, 2);
    axis_ticks(&p->y, at_least(p->rows / ROWS_A_TICK + 1, 3), &p->yt);
    int left = 1;
    for (int i = 0; i < p->yt.n; i++)
        left = at_least(left, (int)strlen(p->yt.text[i]));
    p->row = c->row;
    p->col = at_most(left + 2, c->width / 2);
    p->cols = c->width - p->col;
    if (c->tile) /* a cell is twice as high as wide */
        p->rows = at_least(p->cols / (plot_is_plane(f) ? 2 : 3), 5);
    axis_ticks(&p->x, at_least(p->cols / LABEL + 1, 2), &p->xt);
    return canvas_need(c, p->rows + 2, err);
}

static void draw_y_axis(const Panel *p, Canvas *c)
{
    for (int i = 0; i < p->rows; i++)
        canvas_put(c, p->row + i, p->col - 1, p->fine ? 0x2502 : '|', GRID_DEFAULT);
    for (int i = 0; i < p->yt.n; i++) {
        const char *s = p->yt.text[i];
        int row = row_of(p, p->yt.at[i]), n = (int)strlen(s);
        canvas_piece(c, row, at_least(p->col - 2 - n, 0), s, strlen(s), 0);
        canvas_put(c, row, p->col - 1, p->fine ? 0x2524 : '+', GRID_DEFAULT);
    }
}

static void draw_x_axis(const Panel *p, Canvas *c)
{
    int row = p->row + p->rows, end = 0;
    for (int j = 0; j < p->cols; j++)
        canvas_put(c, row, p->col + j, p->fine ? 0x2500 : '-', GRID_DEFAULT);
    canvas_put(c, row, p->col - 1, p->fine ? 0x2514 : '+', GRID_DEFAULT);
    for (int i = 0; i < p->xt.n; i++) {
        const char *s = p->xt.text[i];
        int n = (int)strlen(s), mid = col_of(p, p->xt.at[i]);
        int at = at_most(at_least(mid - n / 2, 0), c->width - n);
        if (at < end) /* it would touch its neighbour */
            continue;
        canvas_put(c, row, mid, p->fine ? 0x252C : '+', GRID_DEFAULT);
        canvas_piece(c, row + 1, at, s, strlen(s), 0);
        end = at + n + 1;
    }
}

/* "loss (log)" */
static bool draw_axis_name(Canvas *c, const FigAxis *a, int col, bool right, Err *err)
{
    if (!a->label && !a->log)
        return true;
    Str t;
    str_init(&t);
    str_addf(&t, "%s%s", a->label ? a->label : "", a->log && a->label ? " " : "");
    str_add(&t, a->log ? "(log)" : "");
    bool ok = str_ok(&t, err) && canvas_need(c, 1, err);
    if (ok) {
        int room = c->width - col, used = at_most(clean_width(t.s), room);
        canvas_cut(c, c->row++, right ? col + (room - used) / 2 : col, t.s, room,
                   GRID_DEFAULT, CELL_DIM);
    }
    str_done(&t);
    return ok;
}

/* --- layers --- */

/* Tints the cells of one column between two shares. */
static void tint(const Panel *p, Canvas *c, int i, int col, double lo, double hi)
{
    int32_t back = map_tint(p->map, i);
    if (isnan(lo) || isnan(hi) || lo > 1 || hi < 0)
        return;
    int top = row_of(p, fmin(hi, 1)), low = row_of(p, fmax(lo, 0));
    for (int row = top; row <= low; row++) {
        GridCell *cell = grid_at(c->grid, row, col);
        if (cell && back != GRID_DEFAULT)
            cell->bg = back;
        else if (cell && cell->rune == ' ')
            cell->rune = '.';
    }
}

static void draw_band(const Panel *p, Canvas *c, int i)
{
    const Series *s = &p->f->series[i];
    for (int k = 0; s->lo && k + 1 < s->n; k++) {
        double x0 = axis_share(&p->x, s->x[k]), x1 = axis_share(&p->x, s->x[k + 1]);
        double a0 = axis_share(&p->y, s->lo[k]), a1 = axis_share(&p->y, s->lo[k + 1]);
        double b0 = axis_share(&p->y, s->hi[k]), b1 = axis_share(&p->y, s->hi[k + 1]);
        if (isnan(x0) || isnan(x1) || x1 < x0 || x1 < 0 || x0 > 1)
            continue;
        int first = col_of(p, fmax(x0, 0)), last = col_of(p, fmin(x1, 1));
        for (int col = first; col <= last; col++) {
            double x = (double)(col - p->col) / at_least(p->cols - 1, 1);
            double t = x1 > x0 ? fmin(fmax((x - x0) / (x1 - x0), 0), 1) : 0;
            tint(p, c, i, col, a0 + t * (a1 - a0), b0 + t * (b1 - b0));
        }
    }
}

/* Height of a column of `rows` cells in eighths. */
static void fill_column(const Panel *p, Canvas *c, int col, double share, int32_t ink)
{
    int eighths = (int)(fmin(fmax(share, 0), 1) * p->rows * 8 + 0.5);
    for (int i = 0; i < p->rows && eighths > 0; i++, eighths -= 8) {
        int row = p->row + p->rows - 1 - i;
        int part = at_most(eighths, 8);
        canvas_put(c, row, col, p->fine ? 0x2580u + (unsigned)part : '#', ink);
        if (!p->fine && part < 4 && i > 0)
            canvas_put(c, row, col, ' ', GRID_DEFAULT);
    }
}

/* The tallest bin that a column touches, so that no bin disappears. */
static void fill_bins(const Panel *p, Canvas *c, int i)
{
    const Series *s = &p->f->series[i];
    for (int j = 0; j < p->cols; j++) {
        double a = (double)j / p->cols, b = (j + 1.0) / p->cols, most = 0;
        for (int k = 0; k < s->n; k++) {
            double x0 = axis_share(&p->x, s->x[k]), x1 = axis_share(&p->x, s->x[k + 1]);
            double y = axis_share(&p->y, s->y[k]);
            bool inside = x0 <= (a + b) / 2 && x1 > (a + b) / 2;
            bool thin = x0 >= a && x1 <= b;
            if ((inside || thin) && y > most)
                most = y;
        }
        fill_column(p, c, p->col + j, most, map_series(p->map, i));
    }
}

static void step_bins(const Panel *p, Dots *d, int i)
{
    const Series *s = &p->f->series[i];
    double last = 0;
    for (int k = 0; k < s->n; k++) {
        double x0 = axis_share(&p->x, s->x[k]), x1 = axis_share(&p->x, s->x[k + 1]);
        double y = axis_share(&p->y, s->y[k]);
        y = isnan(y) ? 0 : y;
        dots_line(d, x0, last, x0, y, i);
        dots_line(d, x0, y, x1, y, i);
        last = y;
        if (k + 1 == s->n)
            dots_line(d, x1, y, x1, 0, i);
    }
}

static void draw_line(const Panel *p, Dots *d, int i)
{
    const Series *s = &p->f->series[i];
    for (int k = 0; k < s->n; k++) {
        double x = axis_share(&p->x, s->x[k]), y = axis_share(&p->y, s->y[k]);
        if (k + 1 < s->n)
            dots_line(d, x, y, axis_share(&p->x, s->x[k + 1]),
                      axis_share(&p->y, s->y[k + 1]), i);
        dots_point(d, x, y, i);
    }
}

static void draw_points(const Panel *p, Dots *d, int i)
{
    const Series *s = &p->f->series[i];
    for (int k = 0; k < s->n; k++) {
        double x = axis_share(&p->x, s->x[k]);
        dots_point(d, x, axis_share(&p->y, s->y[k]), i);
        if (s->lo)
            dots_line(d, x, axis_share(&p->y, s->lo[k]), x, axis_share(&p->y, s->hi[k]),
                      i);
    }
}

/* Few points get their mark; a single braille dot is hard to see. */
static void mark_points(const Panel *p, Canvas *c, int i)
{
    const Series *s = &p->f->series[i];
    for (int k = 0; k < s->n && (s->n <= FEW_POINTS || s->label); k++) {
        double x = axis_share(&p->x, s->x[k]), y = axis_share(&p->y, s->y[k]);
        if (x >= 0 && x <= 1 && y >= 0 && y <= 1)
            canvas_put(c, row_of(p, y), col_of(p, x), (unsigned char)map_series_mark(i),
                       map_series(p->map, i));
    }
}

static bool is_free(const Panel *p, Canvas *c, int row, int col, int n)
{
    for (int j = 0; j < n; j++) {
        const GridCell *cell = grid_at(c->grid, row, col + j);
        if (!cell || (cell->rune != ' ' && cell->rune != '.'))
            return false;
    }
    return col >= p->col && col + n <= p->col + p->cols;
}

/* Right of the mark, left of it, above or below. */
static void draw_texts(Panel *p, Canvas *c, int i)
{
    const Series *s = &p->f->series[i];
    for (int k = 0; s->label && k < s->n; k++) {
        double x = axis_share(&p->x, s->x[k]), y = axis_share(&p->y, s->y[k]);
        int n = clean_width(s->label[k]);
        if (n == 0 || !(x >= 0 && x <= 1 && y >= 0 && y <= 1))
            continue;
        int row = row_of(p, y), col = col_of(p, x);
        const int at[4][2] = {
            {row,     col + 2    },
            {row,     col - 1 - n},
            {row - 1, col - n / 2},
            {row + 1, col - n / 2}
        };
        int way = 0;
        while (way < 4 && (at[way][0] < p->row || at[way][0] >= p->row + p->rows ||
                           !is_free(p, c, at[way][0], at[way][1], n)))
            way++;
        if (way < 4)
            canvas_cut(c, at[way][0], at[way][1], s->label[k], n, GRID_DEFAULT, 0);
        else
            p->hidden++;
    }
}

static bool draw_area(Panel *p, Canvas *c, Err *err)
{
    const Figure *f = p->f;
    GridCell look[MAP_SERIES];
    Dots d;
    int bins = 0;
    for (int i = 0; i < f->n_series; i++)
        bins += f->series[i].mark == MARK_BINS;
    for (int i = 0; i < MAP_SERIES; i++)
        look[i] = (GridCell){(unsigned char)map_series_mark(i), map_series(p->map, i),
                             GRID_DEFAULT, 0};
    if (!dots_new(p->rows, p->cols, p->fine, &d, err))
        return false;
    for (int i = 0; i < f->n_series; i++)
        if (f->series[i].mark == MARK_LINE)
            draw_band(p, c, i);
    bool ok = true;
    for (int i = 0; ok && i < f->n_series; i++) {
        Mark mark = f->series[i].mark;
        if (mark == MARK_BINS && bins == 1)
            fill_bins(p, c, i);
        else if (mark == MARK_BINS)
            step_bins(p, &d, i);
        else if (mark == MARK_POINTS)
            draw_points(p, &d, i);
        else
            draw_line(p, &d, i);
        ok = intr_check(err);
    }
    dots_put(&d, c, p->row, p->col, look, MAP_SERIES);
    dots_done(&d);
    for (int i = 0; i < f->n_series; i++)
        if (f->series[i].mark == MARK_POINTS)
            mark_points(p, c, i);
    for (int i = 0; i < f->n_series; i++)
        draw_texts(p, c, i);
    return ok;
}

static bool draw_notes(const Panel *p, Canvas *c, Err *err)
{
    Str t;
    str_init(&t);
    plot_words(p->f, &t);
    if (p->hidden > 0)
        str_addf(&t, "%s%d label%s without room left out", t.len > 0 ? "; " : "",
                 p->hidden, p->hidden > 1 ? "s" : "");
    bool ok = str_ok(&t, err) && canvas_text(c, t.s, CELL_DIM, err);
    str_done(&t);
    return ok;
}

bool draw_plot(Canvas *c, const Figure *f, Err *err)
{
    Panel p = {
        .f = f, .map = {c->style.level, c->style.light, false, TONE_GREY}
    };
    if ((!multiples_told(c->common, f) && !draw_legend(c, f, err)) ||
        !draw_axis_name(c, &f->y, 0, false, err) || !plan(&p, c, err) ||
        !draw_area(&p, c, err))
        return false;
    draw_y_axis(&p, c);
    draw_x_axis(&p, c);
    c->row += p.rows + 2;
    return draw_axis_name(c, &f->x, p.col, true, err) && draw_notes(&p, c, err);
}
