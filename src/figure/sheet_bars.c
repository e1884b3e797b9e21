/* sheet_bars.c -- bars to the right, and metrics between null and limit, on paper. */
#include <math.h>
#include <string.h>

#include "base/intr.h"
#include "figure/axis.h"
#include "figure/sheet.h"

#define BAR   9.0
#define GROUP 5.0 /* between groups */

typedef struct Bars {
    Sheet *s;
    const Figure *f;
    Axis axis;
    double x, w, number; /* of the bars; room for the numbers behind them */
} Bars;

static Ink small(double align)
{
    return (Ink){8.5, 0, align, sheet_soft};
}

static Rgb colour_of(const Figure *f, int series, double v)
{
    return f->is_signed ? map_paper(true, v < 0 ? -0.65 : 0.65) : series_rgb(series);
}

static double at(const Bars *b, double v)
{
    return b->x + fmin(fmax(axis_share(&b->axis, v), 0), 1) * b->w;
}

static void one_bar(const Bars *b, int series, int i, double y)
{
    const Series *s = &b->f->series[series];
    Paper *p = b->s->paper;
    double v = at(b, s->y[i]), zero = b->axis.log ? b->x : at(b, 0), mid = y + BAR / 2;
    char number[32];
    if (!isnan(axis_share(&b->axis, s->y[i])))
        paper_fill(p, fmin(v, zero), y + 0.5, fabs(v - zero), BAR - 1,
                   colour_of(b->f, series, s->y[i]));
    if (s->lo && !isnan(axis_share(&b->axis, s->lo[i])) &&
        !isnan(axis_share(&b->axis, s->hi[i]))) {
        double lo = at(b, s->lo[i]), hi = at(b, s->hi[i]);
        paper_line(p, lo, mid, hi, mid, 0.9, sheet_ink);
        paper_line(p, lo, mid - 2.5, lo, mid + 2.5, 0.9, sheet_ink);
        paper_line(p, hi, mid - 2.5, hi, mid + 2.5, 0.9, sheet_ink);
    }
    figure_number(s->y[i], number);
    paper_text(p, b->x + b->w + 6, y - 1.2, number, small(0));
}

static double names_width(Sheet *s, char *const *names, int n, Ink ink)
{
    double most = 0;
    for (int i = 0; i < n; i++)
        most = fmax(most, paper_width(s->paper, names[i], ink));
    return fmin(most, s->room * 0.4);
}

static void bar_axis(const Bars *b, double top, double end)
{
    Paper *p = b->s->paper;
    Ticks t;
    axis_ticks(&b->axis, 6, &t);
    for (int i = 0; i < t.n; i++) {
        double x = b->x + t.at[i] * b->w;
        paper_line(p, x, top, x, end, 0.5, sheet_faint);
        paper_text(p, x, end + 3, t.text[i], small(0.5));
    }
}

bool sheet_bars(Sheet *s, const Figure *f, Err *err)
{
    Bars b = {.s = s, .f = f};
    char number[32];
    Str t;
    sheet_legend(s, f);
    plot_axes(f, NULL, &b.axis);
    double name = names_width(s, f->left, f->n_left, ink_of(0, sheet_ink));
    for (int k = 0; k < f->n_series; k++)
        for (int i = 0; i < f->n_left; i++) {
            figure_number(f->series[k].y[i], number);
            b.number = fmax(b.number, paper_width(s->paper, number, small(0)));
        }
    b.x = s->x + name + (name > 0 ? 6 : 0);
    b.w = fmax(s->x + s->room - b.x - b.number - 8, 20);
    double group = f->n_series * BAR + GROUP, end = s->y + f->n_left * group;
    bar_axis(&b, s->y, end);
    for (int i = 0; i < f->n_left; i++) {
        double y = s->y + i * group + GROUP / 2;
        paper_cut(s->paper, b.x - 6, y + f->n_series * BAR / 2 - 6.5, name + 0.01,
                  f->left[i], ink_of(1, sheet_ink));
        for (int k = 0; k < f->n_series; k++)
            one_bar(&b, k, i, y + k * BAR);
    }
    double zero = b.axis.log ? b.x : at(&b, 0);
    paper_line(s->paper, zero, s->y, zero, end, 0.8, sheet_soft);
    s->y = end + 3 + 12;
    str_init(&t);
    str_addf(&t, "%s%s", f->y.label ? f->y.label : "", f->y.log ? " (log)" : "");
    if (t.len > 0) {
        paper_text(s->paper, b.x + b.w / 2, s->y, t.s, ink_of(0.5, sheet_ink));
        s->y += paper_leading(ink_of(0, sheet_ink));
    }
    bool ok = str_ok(&t, err);
    str_clear(&t);
    plot_words(f, &t);
    sheet_words(s, t.s, small(0));
    ok = ok && str_ok(&t, err);
    str_done(&t);
    return ok;
}

/* --- between null and limit --- */

typedef struct Track {
    Sheet *s;
    const Between *b;
    Axis axis;
    double y; /* of the line */
} Track;

static double track_x(const Track *t, double v)
{
    double turned = t->b->limit < t->b->null ? -v : v;
    return t->s->x + 4 +
           fmin(fmax(axis_share(&t->axis, turned), 0), 1) * (t->s->room - 8);
}

static Track track_of(Sheet *s, const Between *b)
{
    const double v[] = {b->value,   b->lo,      b->hi,   b->null,
                        b->null_lo, b->null_hi, b->limit};
    double turned[ARRAY_LEN(v)];
    FigAxis spec = {0};
    Extent e;
    for (size_t i = 0; i < ARRAY_LEN(v); i++)
        turned[i] = b->limit < b->null ? -v[i] : v[i];
    extent_start(&e);
    extent_add(&e, turned, ARRAY_LEN(v), false);
    return (Track){s, b, axis_make(&spec, &e, 0), s->y + 9};
}

static Rgb verdict_rgb(Verdict v)
{
    return v == VERDICT_SHARE                          ? series_rgb(2)
           : v == VERDICT_BEYOND || v == VERDICT_WORSE ? map_paper(true, 0.8)
                                                       : sheet_soft;
}

static void tick(const Track *t, double v, const char *name)
{
    double x = track_x(t, v), room = t->s->room, left = x - t->s->x;
    double align = left < 30 ? 0 : left > room - 30 ? 1 : 0.5;
    if (!isfinite(v))
        return;
    paper_line(t->s->paper, x, t->y - 6, x, t->y + 6, 1.4, sheet_ink);
    paper_text(t->s->paper, x, t->y + 7, name, small(align));
}

static void draw_track(const Track *t)
{
    const Between *b = t->b;
    Paper *p = t->s->paper;
    double share, lo = isfinite(b->null_lo) ? track_x(t, b->null_lo) : (double)NAN;
    double hi = isfinite(b->null_hi) ? track_x(t, b->null_hi) : (double)NAN;
    Verdict v = between_verdict(b, &share);
    Rgb c = verdict_rgb(v);
    if (isfinite(lo) && isfinite(hi))
        paper_fill(p, fmin(lo, hi), t->y - 5, fabs(hi - lo), 10, (Rgb){214, 214, 218});
    if (isfinite(b->null) && isfinite(b->limit))
        paper_line(p, track_x(t, b->null), t->y, track_x(t, b->limit), t->y, 0.8,
                   sheet_soft);
    if (isfinite(share))
        paper_line(p, track_x(t, b->null), t->y, track_x(t, b->value), t->y, 3.2, c);
    tick(t, b->null, "null");
    tick(t, b->limit, "limit");
    if (isfinite(b->lo) && isfinite(b->hi)) {
        paper_line(p, track_x(t, b->lo), t->y, track_x(t, b->hi), t->y, 1.2, sheet_ink);
        paper_line(p, track_x(t, b->lo), t->y - 3, track_x(t, b->lo), t->y + 3, 1.2,
                   sheet_ink);
        paper_line(p, track_x(t, b->hi), t->y - 3, track_x(t, b->hi), t->y + 3, 1.2,
                   sheet_ink);
    }
    if (isfinite(b->value))
        paper_mark(p, track_x(t, b->value), t->y, 4, 3, c);
}

static void add_span(Str *t, double v, double lo, double hi)
{
    char s[3][32];
    figure_number(v, s[0]);
    figure_number(lo, s[1]);
    figure_number(hi, s[2]);
    str_add(t, s[0]);
    if (isfinite(lo) && isfinite(hi))
        str_addf(t, " [%s, %s]", s[1], s[2]);
}

bool sheet_between(Sheet *s, const Figure *f, Err *err)
{
    Str t;
    str_init(&t);
    bool ok = true;
    for (int i = 0; ok && i < f->n_between; i++) {
        const Between *b = &f->between[i];
        char limit[32];
        str_clear(&t);
        str_addf(&t, "%s%s", b->name, *b->name ? "  " : "");
        add_span(&t, b->value, b->lo, b->hi);
        sheet_words(s, t.s, ink_of(0, sheet_ink));
        ok = str_ok(&t, err);
        Track track = track_of(s, b);
        draw_track(&track);
        s->y = track.y + 20;
        str_clear(&t);
        str_add(&t, "null ");
        add_span(&t, b->null, b->null_lo, b->null_hi);
        figure_number(b->limit, limit);
        str_addf(&t, ", limit %s: ", limit);
        between_words(b, &t);
        sheet_words(s, t.s, small(0));
        s->y += i + 1 < f->n_between ? 9 : 0;
        ok = ok && str_ok(&t, err) && intr_check(err);
    }
    str_done(&t);
    return ok;
}
