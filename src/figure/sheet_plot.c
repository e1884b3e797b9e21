/* sheet_plot.c -- plots on paper: faint lines at the ticks, bands under lines under
 * points, and texts beside points at the first of eight places that covers nothing
 * drawn before. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/intr.h"
#include "base/mem.h"
#include "figure/axis.h"
#include "figure/multiples.h"
#include "figure/sheet.h"

#define HEIGHT 230.0
#define SMALL  8.5
#define RADIUS 2.2

typedef struct Box {
    double x, y, w, h;
} Box;

typedef struct Area {
    Sheet *s;
    const Figure *f;
    Axis x, y;
    Ticks xt, yt;
    Box box;
    Box *taken; /* [n_taken] texts and marks of labelled points */
    int n_taken, hidden;
} Area;

static double px(const Area *a, double v)
{
    return a->box.x + axis_share(&a->x, v) * a->box.w;
}

static double py(const Area *a, double v)
{
    return a->box.y + (1 - axis_share(&a->y, v)) * a->box.h;
}

static Ink small(double align)
{
    return (Ink){SMALL, 0, align, sheet_soft};
}

/* "loss (log)" */
static void axis_name(const FigAxis *a, Str *t)
{
    str_addf(t, "%s%s%s", a->label ? a->label : "", a->log && a->label ? " " : "",
             a->log ? "(log)" : "");
}

static void draw_frame(const Area *a)
{
    Paper *p = a->s->paper;
    const Box *b = &a->box;
    for (int i = 0; i < a->yt.n; i++) {
        double y = b->y + (1 - a->yt.at[i]) * b->h;
        paper_line(p, b->x, y, b->x + b->w, y, 0.5, sheet_faint);
        paper_text(p, b->x - 5, y - SMALL * 0.65, a->yt.text[i], small(1));
    }
    for (int i = 0; i < a->xt.n; i++) {
        double x = b->x + a->xt.at[i] * b->w;
        paper_line(p, x, b->y, x, b->y + b->h, 0.5, sheet_faint);
        paper_text(p, x, b->y + b->h + 4, a->xt.text[i], small(0.5));
    }
    paper_line(p, b->x, b->y, b->x, b->y + b->h, 0.8, sheet_soft);
    paper_line(p, b->x, b->y + b->h, b->x + b->w, b->y + b->h, 0.8, sheet_soft);
}

/* --- series --- */

/* Runs of values that can be shown become one polygon each: up along hi, back on lo. */
static bool draw_band(const Area *a, int i, Err *err)
{
    const Series *s = &a->f->series[i];
    double(*xy)[2] = mem_array(2 * (size_t)s->n, sizeof *xy, err);
    int n = 0;
    for (int k = 0; xy && k <= s->n; k++) {
        double x = k < s->n ? px(a, s->x[k]) : (double)NAN;
        double lo = k < s->n ? py(a, s->lo[k]) : (double)NAN;
        double hi = k < s->n ? py(a, s->hi[k]) : (double)NAN;
        if (isfinite(x) && isfinite(lo) && isfinite(hi)) {
            xy[n][0] = xy[s->n + n][0] = x;
            xy[n][1] = hi;
            xy[s->n + n++][1] = lo;
            continue;
        }
        for (int j = 0; j < n; j++) /* the way back stands reversed behind the first */
            if (j < n - 1 - j) {
                double *u = xy[s->n + j], *v = xy[s->n + n - 1 - j], t[2];
                memcpy(t, u, sizeof t);
                memcpy(u, v, sizeof t);
                memcpy(v, t, sizeof t);
            }
        memmove(xy + n, xy + s->n, (size_t)n * sizeof *xy);
        paper_area(a->s->paper, (const double(*)[2])xy, 2 * n, series_rgb(i), 0.18);
        n = 0;
    }
    mem_free(xy);
    return xy != NULL;
}

static bool draw_line(const Area *a, int i, Err *err)
{
    const Series *s = &a->f->series[i];
    double(*xy)[2] = mem_array((size_t)s->n + 1, sizeof *xy, err);
    int n = 0;
    for (int k = 0; xy && k <= s->n; k++) {
        double x = k < s->n ? px(a, s->x[k]) : (double)NAN,
               y = k < s->n ? py(a, s->y[k]) : (double)NAN;
        if (isfinite(x) && isfinite(y)) {
            xy[n][0] = x;
            xy[n++][1] = y;
            continue;
        }
        if (n == 1) /* alone between gaps */
            paper_mark(a->s->paper, xy[0][0], xy[0][1], 1.2, 0, series_rgb(i));
        paper_curve(a->s->paper, (const double(*)[2])xy, n, 1.3, series_rgb(i));
        n = 0;
    }
    mem_free(xy);
    return xy != NULL;
}

static void draw_points(const Area *a, int i)
{
    const Series *s = &a->f->series[i];
    double r = s->n > 400 ? RADIUS * 0.6 : RADIUS;
    for (int k = 0; k < s->n; k++) {
        double x = px(a, s->x[k]), y = py(a, s->y[k]);
        if (!isfinite(x) || !isfinite(y))
            continue;
        if (s->lo && isfinite(py(a, s->lo[k])) && isfinite(py(a, s->hi[k])))
            paper_line(a->s->paper, x, py(a, s->lo[k]), x, py(a, s->hi[k]), 0.9,
                       series_rgb(i));
        paper_mark(a->s->paper, x, y, r, i, series_rgb(i));
    }
}

static void draw_bins(const Area *a, int i, bool alone)
{
    const Series *s = &a->f->series[i];
    double base = a->box.y + a->box.h;
    for (int k = 0; k < s->n; k++) {
        double x0 = px(a, s->x[k]), x1 = px(a, s->x[k + 1]), y = py(a, s->y[k]);
        if (!isfinite(y) || !isfinite(x0) || !isfinite(x1))
            continue;
        const double area[4][2] = {
            {x0, base},
            {x0, y   },
            {x1, y   },
            {x1, base}
        };
        paper_area(a->s->paper, area, 4, series_rgb(i), alone ? 0.75 : 0.3);
        paper_curve(a->s->paper, area, 4, alone ? 0.3 : 0.7, series_rgb(i));
    }
}

/* --- texts --- */

static bool meets(const Box *a, const Box *b)
{
    return a->x < b->x + b->w && b->x < a->x + a->w && a->y < b->y + b->h &&
           b->y < a->y + a->h;
}

static bool is_free(const Area *a, const Box *b)
{
    const Box *o = &a->box;
    if (b->x < o->x || b->x + b->w > o->x + o->w || b->y < o->y ||
        b->y + b->h > o->y + o->h)
        return false;
    for (int i = 0; i < a->n_taken; i++)
        if (meets(b, &a->taken[i]))
            return false;
    return true;
}

static void draw_text(Area *a, double x, double y, const char *text)
{
    static const double way[8][2] = {
        {0,  .5},
        {1,  .5},
        {.5, 1 },
        {.5, 0 },
        {0,  1 },
        {0,  0 },
        {1,  1 },
        {1,  0 }
    };
    Ink ink = {SMALL, 0, 0, sheet_ink};
    double w = paper_width(a->s->paper, text, ink), h = SMALL * 1.2, r = RADIUS + 1.5;
    for (int i = 0; i < 8; i++) { /* shares of the text left of and above the mark */
        double dx = way[i][0] == 0 ? r : way[i][0] == 1 ? -r : 0;
        double dy = way[i][1] == 0 ? r : way[i][1] == 1 ? -r : 0;
        Box b = {x + dx - way[i][0] * w,
                 y + (way[i][0] == 0.5 ? dy : dy / 2) - way[i][1] * h, w, h};
        if (!is_free(a, &b))
            continue;
        paper_text(a->s->paper, b.x, b.y, text, ink);
        a->taken[a->n_taken++] = b;
        return;
    }
    a->hidden++;
}

static bool draw_texts(Area *a, Err *err)
{
    size_t total = 0;
    bool any = false;
    for (int i = 0; i < a->f->n_series; i++) {
        total += 2 * (size_t)a->f->series[i].n;
        any = any || a->f->series[i].label;
    }
    if (!any)
        return true;
    a->taken = mem_array(total, sizeof *a->taken, err);
    for (int pass = 0; a->taken && pass < 2; pass++) /* no text over any mark */
        for (int i = 0; i < a->f->n_series; i++) {
            const Series *s = &a->f->series[i];
            for (int k = 0; k < s->n; k++) {
                double x = px(a, s->x[k]), y = py(a, s->y[k]);
                bool shown = isfinite(x) && isfinite(y) && s->mark == MARK_POINTS &&
                             x >= a->box.x && x <= a->box.x + a->box.w &&
                             y >= a->box.y && y <= a->box.y + a->box.h;
                if (shown && pass == 0)
                    a->taken[a->n_taken++] =
                        (Box){x - RADIUS, y - RADIUS, 2 * RADIUS, 2 * RADIUS};
                else if (shown && s->label && s->label[k][0])
                    draw_text(a, x, y, s->label[k]);
            }
        }
    bool ok = a->taken != NULL;
    mem_free(a->taken);
    return ok;
}

static bool draw_series(Area *a, Err *err)
{
    const Figure *f = a->f;
    int bins = 0;
    bool ok = true;
    for (int i = 0; i < f->n_series; i++)
        bins += f->series[i].mark == MARK_BINS;
    paper_clip(a->s->paper, a->box.x, a->box.y - 1, a->box.w + 1, a->box.h + 1);
    for (int i = 0; ok && i < f->n_series; i++)
        if (f->series[i].mark == MARK_LINE && f->series[i].lo)
            ok = draw_band(a, i, err);
    for (int i = 0; ok && i < f->n_series; i++) {
        Mark mark = f->series[i].mark;
        if (mark == MARK_BINS)
            draw_bins(a, i, bins == 1);
        else if (mark == MARK_POINTS)
            draw_points(a, i);
        else
            ok = draw_line(a, i, err);
        ok = ok && intr_check(err);
    }
    paper_unclip(a->s->paper);
    return ok && draw_texts(a, err);
}

static bool notes(Sheet *s, const Area *a, Err *err)
{
    Str t;
    str_init(&t);
    plot_words(a->f, &t);
    if (a->hidden > 0)
        str_addf(&t, "%s%d label%s without room left out", t.len > 0 ? "; " : "",
                 a->hidden, a->hidden > 1 ? "s" : "");
    bool ok = str_ok(&t, err);
    sheet_words(s, t.s, small(0));
    str_done(&t);
    return ok;
}

bool sheet_plot(Sheet *s, const Figure *f, Err *err)
{
    Area a = {.s = s, .f = f};
    Str name;
    double left = 0;
    if (!multiples_told(s->common, f))
        sheet_legend(s, f);
    plot_axes(f, &a.x, &a.y);
    axis_ticks(&a.y, s->tile ? 5 : 7, &a.yt);
    axis_ticks(&a.x, s->tile ? 5 : 8, &a.xt);
    for (int i = 0; i < a.yt.n; i++)
        left = fmax(left, paper_width(s->paper, a.yt.text[i], small(0)));
    str_init(&name);
    axis_name(&f->y, &name);
    double beside = name.len > 0 ? SMALL + 6 : 0;
    a.box = (Box){s->x + beside + left + 6, s->y + 3, 0, HEIGHT};
    a.box.w = s->x + s->room - a.box.x - 8;
    a.box.h = !s->tile ? HEIGHT : plot_is_plane(f) ? a.box.w : 0.6 * a.box.w;
    Ink up = {SMALL + 0.5, TEXT_UP, 0.5, sheet_ink};
    paper_text(s->paper, s->x - 2, s->y + a.box.h / 2, name.s, up);
    draw_frame(&a);
    bool ok = str_ok(&name, err) && draw_series(&a, err);
    s->y += a.box.h + 3 + 4 + SMALL * 1.4;
    str_clear(&name);
    axis_name(&f->x, &name);
    if (name.len > 0) {
        Ink mid = {SMALL + 0.5, 0, 0.5, sheet_ink};
        paper_text(s->paper, a.box.x + a.box.w / 2, s->y, name.s, mid);
        s->y += paper_leading(mid);
    }
    ok = ok && str_ok(&name, err) && notes(s, &a, err);
    str_done(&name);
    return ok;
}
