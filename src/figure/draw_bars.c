/* draw_bars.c -- bars run to the right, one line each, because names are words and a
 * line has room for the number. Eighth blocks at the free end; at negative bars, which
 * grow to the left, a reversed block leaves the rest. An interval is drawn as [ ]. */
#include <math.h>
#include <string.h>

#include "base/intr.h"
#include "figure/axis.h"
#include "figure/clean.h"
#include "figure/draw.h"
#include "figure/map.h"

enum { LEAST_BAR = 6 };

typedef struct Bars {
    const Figure *f;
    Map map;
    Axis axis;
    bool fine;
    int name, mark;       /* columns of names, and of marks of series */
    int at, cols, number; /* of bars, and of numbers behind them */
} Bars;

static void number_text(const Series *s, int i, Str *t)
{
    char v[32], lo[32], hi[32];
    figure_number(s->y[i], v);
    str_add(t, v);
    if (s->lo && isfinite(s->lo[i]) && isfinite(s->hi[i])) {
        figure_number(s->lo[i], lo);
        figure_number(s->hi[i], hi);
        str_addf(t, " [%s, %s]", lo, hi);
    }
}

static bool plan(Bars *b, const Canvas *c, Err *err)
{
    const Figure *f = b->f;
    Str t;
    plot_axes(f, NULL, &b->axis);
    b->fine = canvas_fine(c);
    for (int i = 0; i < f->n_left; i++)
        b->name = at_least(b->name, clean_width(f->left[i]));
    b->name = at_most(b->name, c->width / 3);
    b->mark = f->n_series > 1 ? 2 : 0;
    str_init(&t);
    bool ok = true;
    for (int k = 0; ok && k < f->n_series; k++)
        for (int i = 0; ok && i < f->n_left; i++) {
            str_clear(&t);
            number_text(&f->series[k], i, &t);
            b->number = at_least(b->number, (int)t.len);
            ok = str_ok(&t, err);
        }
    str_done(&t);
    b->at = b->name + (b->name > 0) + b->mark;
    b->number = at_most(b->number, at_least(c->width - b->at - LEAST_BAR - 1, 0));
    b->cols = at_least(c->width - b->at - b->number - 1, 1);
    return ok;
}

static int32_t ink_of(const Bars *b, int series, double v)
{
    return b->f->is_signed ? map_sign(b->map, v) : map_series(b->map, series);
}

/* From share a to share b (a <= b), in eighths of a cell. */
static void draw_span(const Bars *b, Canvas *c, double from, double to, uint32_t mark,
                      int32_t ink)
{
    int a = (int)floor(from * b->cols * 8 + 0.5),
        e = (int)floor(to * b->cols * 8 + 0.5);
    for (int j = a / 8; j < b->cols && j * 8 < e; j++) {
        int skip = at_least(a - 8 * j, 0), end = at_most(e - 8 * j, 8);
        int col = b->at + j;
        if (!b->fine) {
            if (end - skip >= 4 || e - a < 8)
                canvas_put(c, c->row, col, mark, ink);
        } else if (skip == 0) {
            canvas_put(c, c->row, col, 0x2590u - (unsigned)end, ink);
        } else {
            canvas_put(c, c->row, col, 0x2590u - (unsigned)skip, ink);
            GridCell *cell = grid_at(c->grid, c->row, col);
            if (cell)
                cell->attr |= CELL_REVERSE;
        }
    }
}

static void draw_bar(const Bars *b, Canvas *c, int series, int i)
{
    const Series *s = &b->f->series[series];
    double v = axis_share(&b->axis, s->y[i]);
    double zero = b->axis.log ? 0 : fmin(fmax(axis_share(&b->axis, 0), 0), 1);
    uint32_t mark = b->f->is_signed      ? (s->y[i] < 0 ? '-' : '+')
                    : b->f->n_series > 1 ? (unsigned char)map_series_mark(series)
                                         : '#';
    if (!isnan(v)) {
        v = fmin(fmax(v, 0), 1);
        draw_span(b, c, fmin(v, zero), fmax(v, zero), mark, ink_of(b, series, s->y[i]));
    }
    int col = b->at + (int)fmin(floor(zero * b->cols), b->cols - 1);
    GridCell *cell = grid_at(c->grid, c->row, col);
    if (zero > 0 && cell && cell->rune == ' ')
        canvas_put(c, c->row, col, b->fine ? 0x2502 : '|', GRID_DEFAULT);
    for (int end = 0; s->lo && end < 2; end++) {
        double at = axis_share(&b->axis, end ? s->hi[i] : s->lo[i]);
        if (at >= 0 && at <= 1)
            canvas_put(c, c->row, b->at + (int)fmin(floor(at * b->cols), b->cols - 1),
                       end ? ']' : '[', GRID_DEFAULT);
    }
}

static bool draw_one(const Bars *b, Canvas *c, int series, int i, Str *t, Err *err)
{
    const Figure *f = b->f;
    if (!canvas_need(c, 1, err))
        return false;
    if (series == 0)
        canvas_cut(c, c->row, 0, f->left[i], b->name, GRID_DEFAULT, 0);
    if (b->mark > 0)
        canvas_put(c, c->row, b->at - b->mark, (unsigned char)map_series_mark(series),
                   map_series(b->map, series));
    draw_bar(b, c, series, i);
    str_clear(t);
    number_text(&f->series[series], i, t);
    if (b->number > 0)
        canvas_cut(c, c->row, b->at + b->cols + 1, t->s, b->number, GRID_DEFAULT, 0);
    c->row++;
    return str_ok(t, err);
}

/* What the length means, under the bars. */
static bool draw_range(const Bars *b, Canvas *c, Str *t, Err *err)
{
    char lo[32], hi[32];
    const Figure *f = b->f;
    figure_number(b->axis.lo, lo);
    figure_number(b->axis.hi, hi);
    str_clear(t);
    str_addf(t, "%s%s%s to %s%s", f->y.label ? f->y.label : "", f->y.label ? ", " : "",
             lo, hi, f->y.log ? " (log)" : "");
    size_t n = t->len;
    plot_words(f, t);
    if (t->len > n) { /* a gap in front of the words */
        Str w;
        str_init(&w);
        str_addn(&w, t->s, n);
        str_addf(&w, "; %s", t->s + n);
        bool ok = str_ok(t, err) && str_ok(&w, err) &&
                  canvas_text(c, w.s, CELL_DIM, err);
        str_done(&w);
        return ok;
    }
    return str_ok(t, err) && canvas_text(c, t->s, CELL_DIM, err);
}

bool draw_bars(Canvas *c, const Figure *f, Err *err)
{
    Bars b = {
        .f = f, .map = {c->style.level, c->style.light, false, TONE_GREY}
    };
    Str t;
    if (!draw_legend(c, f, err) || !plan(&b, c, err))
        return false;
    str_init(&t);
    bool ok = true;
    for (int i = 0; ok && i < f->n_left; i++) {
        ok = intr_check(err);
        for (int k = 0; ok && k < f->n_series; k++)
            ok = draw_one(&b, c, k, i, &t, err);
    }
    ok = ok && (c->bare || draw_range(&b, c, &t, err));
    str_done(&t);
    return ok;
}
