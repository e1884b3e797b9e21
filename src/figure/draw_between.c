/* draw_between.c -- metrics between null and limit. The null is always at the left and
 * the limit at the right, also where less is better; the band of the null is shaded,
 * and the value stands out. The verdict is in words below: inside the band it is
 * refused. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "figure/axis.h"
#include "figure/draw.h"
#include "figure/map.h"

static double turned(const Between *b, double v)
{
    return b->limit < b->null ? -v : v;
}

/* The axis of one metric: everything that is finite, in the direction of the limit. */
static Axis axis_for(const Between *b)
{
    const double v[] = {turned(b, b->value),   turned(b, b->lo),
                        turned(b, b->hi),      turned(b, b->null),
                        turned(b, b->null_lo), turned(b, b->null_hi),
                        turned(b, b->limit)};
    FigAxis spec = {0};
    Extent e;
    extent_start(&e);
    extent_add(&e, v, ARRAY_LEN(v), false);
    return axis_make(&spec, &e, 0);
}

static int column(const Between *b, const Axis *a, double v, int cols)
{
    double t = axis_share(a, turned(b, v));
    return isnan(t) ? -1 : (int)floor(fmin(fmax(t, 0), 1) * (cols - 1) + 0.5);
}

static void fill(Canvas *c, int from, int to, uint32_t rune, int32_t ink)
{
    for (int j = at_most(from, to); from >= 0 && to >= 0 && j <= at_least(from, to);
         j++)
        canvas_put(c, c->row, j, rune, ink);
}

static void draw_line(const Between *b, Canvas *c)
{
    Axis a = axis_for(b);
    Map m = {c->style.level, c->style.light, true, TONE_GREY};
    bool fine = canvas_fine(c);
    int cols = c->width, null = column(b, &a, b->null, cols);
    int limit = column(b, &a, b->limit, cols), value = column(b, &a, b->value, cols);
    double share;
    Verdict v = between_verdict(b, &share);
    int32_t ink = v == VERDICT_SHARE                          ? map_series(m, 2)
                  : v == VERDICT_WORSE || v == VERDICT_BEYOND ? map_sign(m, 1)
                                                              : GRID_DEFAULT;
    fill(c, null, limit, fine ? 0x2500 : '-', GRID_DEFAULT);
    if (v == VERDICT_SHARE || v == VERDICT_BEYOND || v == VERDICT_WORSE)
        fill(c, null, value, fine ? 0x2501 : '=', ink);
    int lo = column(b, &a, isfinite(b->null_lo) ? b->null_lo : b->null, cols);
    int hi = column(b, &a, isfinite(b->null_hi) ? b->null_hi : b->null, cols);
    fill(c, lo, hi, fine ? 0x2592 : ':', GRID_DEFAULT);
    fill(c, null, null, fine ? 0x2503 : 'N', GRID_DEFAULT);
    fill(c, limit, limit, fine ? 0x2503 : 'L', GRID_DEFAULT);
    fill(c, column(b, &a, b->lo, cols), column(b, &a, b->lo, cols), '[', ink);
    fill(c, column(b, &a, b->hi, cols), column(b, &a, b->hi, cols), ']', ink);
    fill(c, value, value, fine ? 0x25C6 : '*', ink);
}

static void add_span(Str *t, double v, double lo, double hi)
{
    char s[3][32];
    figure_number(v, s[0]);
    str_add(t, s[0]);
    if (!isfinite(lo) || !isfinite(hi))
        return;
    figure_number(lo, s[1]);
    figure_number(hi, s[2]);
    str_addf(t, " [%s, %s]", s[1], s[2]);
}

static bool draw_one(const Between *b, Canvas *c, Err *err)
{
    char limit[32];
    Str t;
    str_init(&t);
    str_addf(&t, "%s%s", b->name, *b->name ? "  " : "");
    add_span(&t, b->value, b->lo, b->hi);
    bool ok = str_ok(&t, err) && canvas_text(c, t.s, CELL_BOLD, err) &&
              canvas_need(c, 1, err);
    if (ok) {
        draw_line(b, c);
        c->row++;
    }
    str_clear(&t);
    str_add(&t, "null ");
    add_span(&t, b->null, b->null_lo, b->null_hi);
    figure_number(b->limit, limit);
    str_addf(&t, ", limit %s: ", limit);
    between_words(b, &t);
    ok = ok && str_ok(&t, err) && canvas_text(c, t.s, 0, err);
    str_done(&t);
    return ok;
}

bool draw_between(Canvas *c, const Figure *f, Err *err)
{
    for (int i = 0; i < f->n_between; i++) {
        if (i > 0 && !canvas_need(c, 1, err))
            return false;
        c->row += i > 0;
        if (!draw_one(&f->between[i], c, err))
            return false;
    }
    return true;
}
