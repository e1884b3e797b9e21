/* lb_plot.c -- figures with axes from Lua: plots, scatter, histograms, bars. Numbers
 * are copied into buffers that Lua owns, so an error leaves nothing behind. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "script/lb_plot.h"

static const OptRow plot_options[] = {
    ROW_TITLE,
    ROW_CAPTION,
    ROW_XLABEL,
    ROW_YLABEL,
    {"logx", OPT_BOOL, AT(logx), "false", 0, 0, NULL, "Logarithmic x axis."},
    ROW_LOGY,
    {"xmin", OPT_NUM, AT(xmin), "0", 0, 0, NULL, "Fixed limits when xmin < xmax."},
    {"xmax", OPT_NUM, AT(xmax), "0", 0, 0, NULL, "Fixed limits when xmin < xmax."},
    {"ymin", OPT_NUM, AT(ymin), "0", 0, 0, NULL, "Fixed limits when ymin < ymax."},
    {"ymax", OPT_NUM, AT(ymax), "0", 0, 0, NULL, "Fixed limits when ymin < ymax."},
};
static const size_t n_plot_options = ARRAY_LEN(plot_options);

static const OptRow histogram_options[] = {
    ROW_TITLE,
    ROW_CAPTION,
    ROW_XLABEL,
    {"bins", OPT_INT, AT(bins), "40", 1, 65536, NULL, "Equal bins from lo to hi."},
    {"lo", OPT_NUM, AT(lo), "0", 0, 0, NULL, "Left edge; lo = hi: the data's range."},
    {"hi", OPT_NUM, AT(hi), "0", 0, 0, NULL, "Right edge."},
    {"logy", OPT_BOOL, AT(logy), "false", 0, 0, NULL, "Logarithmic counts."},
};
static const size_t n_histogram_options = ARRAY_LEN(histogram_options);

static const OptRow bars_options[] = {
    ROW_TITLE,
    ROW_CAPTION,
    ROW_YLABEL,
    ROW_LOGY,
    {"signed", OPT_BOOL, AT(is_signed), "false", 0, 0, NULL,
     "Red for positive and blue for negative bars."},
};
static const size_t n_bars_options = ARRAY_LEN(bars_options);

static void set_axes(lua_State *L, Figure *f, const PlotCfg *c)
{
    Err err;
    if ((f->kind == FIG_PLOT && !figure_set_axis(f, false, c->xlabel, c->logx, &err)) ||
        !figure_set_axis(f, true, c->ylabel, c->logy, &err))
        lb_raise(L, &err);
    f->x.lo = c->xmin;
    f->x.hi = c->xmax;
    f->y.lo = c->ymin;
    f->y.hi = c->ymax;
}

/* --- plots --- */

static const char *const series_keys[] = {"x",      "y",    "lo",     "hi", "name",
                                          "labels", "mark", "values", NULL};

static void same_length(lua_State *L, const double *v, int64_t n, int64_t want,
                        const char *key)
{
    if (v && n != want)
        lb_error(L, ERR_SHAPE, "%s has %lld values and y has %lld: they must be equal",
                 key, (long long)n, (long long)want);
}

static Mark mark_of(lua_State *L, int idx, Mark dflt)
{
    const char *s = lb_text_field(L, idx, "mark");
    if (s && strcmp(s, "line") && strcmp(s, "points"))
        lb_error(L, ERR_OPTION, "mark is line or points, got '%s'", s);
    return !s ? dflt : s[0] == 'l' ? MARK_LINE : MARK_POINTS;
}

/* x counts from 1 where it is not given. */
static const double *x_or_count(lua_State *L, const double *x, int64_t n)
{
    if (x)
        return x;
    double *v = lua_newuserdatauv(L, sizeof *v * (size_t)(n > 0 ? n : 1), 0);
    for (int64_t i = 0; i < n; i++)
        v[i] = (double)(i + 1);
    return v;
}

/* A series from { x, y, lo, hi, name, labels, mark }, a list of numbers or a tensor. */
static void add_series(lua_State *L, int idx, Figure *f, Mark mark)
{
    Err err;
    int64_t n, nx = 0, nlo = 0, nhi = 0;
    int top = lua_gettop(L);
    bool bare = lb_test_tensor(L, idx) != NULL;
    const double *x = NULL, *y, *lo = NULL, *hi = NULL;
    const char *name = NULL;
    if (!bare && lua_istable(L, idx) && lua_getfield(L, idx, "y") == LUA_TNIL)
        bare = true;
    if (bare) {
        y = lb_push_numbers(L, idx, "a series", &n);
    } else {
        luaL_checktype(L, idx, LUA_TTABLE);
        luaL_checkstack(L, 12, NULL);
        y = lb_push_field(L, idx, "y", &n);
        x = lb_push_field(L, idx, "x", &nx);
        lo = lb_push_field(L, idx, "lo", &nlo);
        hi = lb_push_field(L, idx, "hi", &nhi);
        same_length(L, x, nx, n, "x");
        same_length(L, lo, nlo, n, "lo");
        same_length(L, hi, nhi, n, "hi");
        name = lb_text_field(L, idx, "name");
        mark = mark_of(L, idx, mark);
    }
    x = x_or_count(L, x, n);
    if (!figure_add_series(f, name, mark, (int)n, x, y, lo, hi, &err))
        lb_raise(L, &err);
    if (!bare)
        lb_set_names(L, idx, "labels", f, (int)n, figure_set_point);
    lua_settop(L, top);
}

/* Numbers alone, or several series as a list. */
static bool is_numbers(lua_State *L, int idx)
{
    if (lb_test_tensor(L, idx))
        return true;
    bool yes = lua_istable(L, idx) && lua_rawgeti(L, idx, 1) == LUA_TNUMBER;
    if (lua_istable(L, idx))
        lua_pop(L, 1);
    return yes;
}

static int plot_with(lua_State *L, const char *where, Mark mark)
{
    Err err = {0};
    PlotCfg c;
    lua_settop(L, 2);
    bool numbers = is_numbers(L, 1), single = !numbers && lb_has_field(L, 1, "y");
    if (!numbers) {
        luaL_checktype(L, 1, LUA_TTABLE);
        luaL_argcheck(L, lua_isnil(L, 2), 2,
                      "title and the like belong into the table of series");
    }
    lb_plot_options(L, numbers ? 2 : 1, where, plot_options, n_plot_options,
                    single ? series_keys : NULL, &c);
    Figure *f = lb_made(L, lb_push_figure(L), figure_plot(&err), &c, &err);
    set_axes(L, f, &c);
    if (numbers || single)
        add_series(L, 1, f, mark);
    for (int i = 1; !numbers && i <= (int)lua_rawlen(L, 1); i++) {
        lua_rawgeti(L, 1, i);
        add_series(L, lua_gettop(L), f, mark);
        lua_pop(L, 1);
    }
    return 1;
}

static int cl_plot(lua_State *L)
{
    return plot_with(L, "cl.plot", MARK_LINE);
}

static int cl_scatter(lua_State *L)
{
    return plot_with(L, "cl.scatter", MARK_POINTS);
}

/* All histograms of a figure share their bins: the range is that of all of them. */
static void shared_range(lua_State *L, int list, double *lo, double *hi)
{
    int top = lua_gettop(L);
    *lo = INFINITY;
    *hi = -INFINITY;
    for (int i = 1; i <= (int)lua_rawlen(L, list); i++) {
        int64_t n;
        lua_rawgeti(L, list, i);
        if (!lua_istable(L, -1))
            lb_error(L, ERR_OPTION, "cl.histogram: item %d is a %s, not a table", i,
                     luaL_typename(L, -1));
        const double *v = lb_push_field(L, -1, "values", &n);
        for (int64_t k = 0; k < n; k++)
            if (isfinite(v[k])) {
                *lo = fmin(*lo, v[k]);
                *hi = fmax(*hi, v[k]);
            }
        lua_settop(L, top);
    }
    if (!(*lo < *hi))
        *lo = *hi = 0;
}

static void add_counts(lua_State *L, Figure *f, const char *name, const double *v,
                       int64_t n, const PlotCfg *c, int64_t *left_out)
{
    Err err;
    int64_t out = 0;
    if (!figure_add_counts(f, name, v, n, (int)c->bins, c->lo, c->hi, &out, &err))
        lb_raise(L, &err);
    *left_out += out;
}

/* Counts that are there already, in equal bins from lo to hi. */
static void add_bins(lua_State *L, Figure *f, int item, const PlotCfg *c)
{
    Err err;
    int64_t n;
    const double *count = lb_push_field(L, item, "counts", &n);
    if (!(c->lo < c->hi))
        lb_error(L, ERR_OPTION, "cl.histogram: counts need lo and hi, the outer edges");
    if (n < 1)
        lb_error(L, ERR_SHAPE, "cl.histogram: counts of no bins");
    double *edge = lua_newuserdatauv(L, sizeof *edge * (size_t)(n + 1), 0);
    for (int64_t i = 0; i <= n; i++)
        edge[i] = i == n ? c->hi : c->lo + (c->hi - c->lo) * (double)i / (double)n;
    if (!figure_add_series(f, lb_text_field(L, item, "name"), MARK_BINS, (int)n, edge,
                           count, NULL, NULL, &err))
        lb_raise(L, &err);
}

static int cl_histogram(lua_State *L)
{
    Err err = {0};
    PlotCfg c;
    int64_t n, left_out = 0;
    lua_settop(L, 2);
    bool numbers = is_numbers(L, 1);
    if (!numbers) {
        luaL_checktype(L, 1, LUA_TTABLE);
        luaL_argcheck(L, lua_isnoneornil(L, 2), 2,
                      "bins and the like belong into the table of series");
    }
    lb_plot_options(L, numbers ? 2 : 1, "cl.histogram", histogram_options,
                    n_histogram_options, NULL, &c);
    if (!numbers && !(c.lo < c.hi))
        shared_range(L, 1, &c.lo, &c.hi);
    Figure *f = lb_made(L, lb_push_figure(L), figure_plot(&err), &c, &err);
    int result = lua_gettop(L);
    strcpy(c.ylabel, "count");
    set_axes(L, f, &c);
    if (numbers) {
        const double *v = lb_push_numbers(L, 1, "values", &n);
        add_counts(L, f, NULL, v, n, &c, &left_out);
    }
    for (int i = 1; !numbers && i <= (int)lua_rawlen(L, 1); i++) {
        lua_rawgeti(L, 1, i);
        int item = lua_gettop(L);
        if (lb_has_field(L, item, "counts")) {
            add_bins(L, f, item, &c);
            lua_settop(L, result);
            continue;
        }
        const double *v = lb_push_field(L, item, "values", &n);
        if (!v)
            lb_error(L, ERR_OPTION, "cl.histogram: item %d has no values", i);
        add_counts(L, f, lb_text_field(L, item, "name"), v, n, &c, &left_out);
        lua_settop(L, result);
    }
    lua_settop(L, result);
    if (left_out > 0 && !c.caption[0]) {
        lua_pushfstring(L, "%I values outside the bins or not finite", left_out);
        if (!figure_set_caption(f, lua_tostring(L, -1), &err))
            lb_raise(L, &err);
        lua_pop(L, 1);
    }
    return 1;
}

/* --- bars --- */

/* Bars from { values = numbers, names = {...} }. */
static void bars_of_values(lua_State *L, int idx, Figure **slot, const PlotCfg *c)
{
    Err err = {0};
    int64_t n;
    const double *v = lb_push_field(L, idx, "values", &n);
    Figure *f = lb_made(L, slot, figure_bars((int)n, &err), c, &err);
    if (!figure_add_series(f, NULL, MARK_LINE, (int)n, NULL, v, NULL, NULL, &err))
        lb_raise(L, &err);
    for (int i = 0; i < n; i++) { /* labels count from 0 */
        char text[16];
        snprintf(text, sizeof text, "%d", i);
        if (!figure_set_left(f, i, text, &err))
            lb_raise(L, &err);
    }
    lb_set_names(L, idx, "names", f, (int)n, figure_set_left);
}

/* Value k of a row: `value` may be a number or a list with one for each series. */
static double row_number(lua_State *L, int row, const char *key, int k)
{
    double v = (double)NAN;
    int type = lua_getfield(L, row, key);
    if (type == LUA_TTABLE) {
        lua_rawgeti(L, -1, k + 1);
        v = lua_isnumber(L, -1) ? lua_tonumber(L, -1) : (double)NAN;
        lua_pop(L, 1);
        lua_pop(L, 1);
        return v;
    }
    lua_pop(L, 1);
    return k == 0 ? lb_number_field(L, row, key, NAN) : (double)NAN;
}

/* One series of the rows; lo and hi count as given when the first row has them. */
static void bars_series(lua_State *L, int list, Figure *f, int k, const char *name)
{
    Err err;
    int n = f->n_left, top = lua_gettop(L);
    double *v = lua_newuserdatauv(L, sizeof *v * 3 * (size_t)n, 0);
    bool band = false;
    for (int i = 0; i < n; i++) {
        lua_rawgeti(L, list, i + 1);
        int row = lua_gettop(L);
        v[i] = row_number(L, row, "value", k);
        v[n + i] = row_number(L, row, "lo", k);
        v[2 * n + i] = row_number(L, row, "hi", k);
        band = band || (isfinite(v[n + i]) && isfinite(v[2 * n + i]));
        lua_pop(L, 1);
    }
    if (!figure_add_series(f, name, MARK_LINE, n, NULL, v, band ? v + n : NULL,
                           band ? v + 2 * n : NULL, &err))
        lb_raise(L, &err);
    lua_settop(L, top);
}

static int series_count(lua_State *L, int idx)
{
    int n = 1;
    if (lua_getfield(L, idx, "series") == LUA_TTABLE)
        n = (int)lua_rawlen(L, -1);
    lua_pop(L, 1);
    return n < 1 ? 1 : n;
}

static int cl_bars(lua_State *L)
{
    static const char *const data[] = {"values", "names", "series", NULL};
    Err err = {0};
    PlotCfg c;
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    lb_plot_options(L, 1, "cl.bars", bars_options, n_bars_options, data, &c);
    Figure **slot = lb_push_figure(L);
    if (lb_has_field(L, 1, "values")) {
        bars_of_values(L, 1, slot, &c);
    } else {
        int n = (int)lua_rawlen(L, 1), n_series = series_count(L, 1);
        if (n < 1)
            return lb_error(L, ERR_OPTION,
                            "cl.bars: give rows { name =, value = }, or "
                            "values");
        Figure *f = lb_made(L, slot, figure_bars(n, &err), &c, &err);
        for (int i = 0; i < n; i++) {
            lua_rawgeti(L, 1, i + 1);
            if (!lua_istable(L, -1))
                return lb_error(L, ERR_OPTION, "cl.bars: row %d is a %s, not a table",
                                i + 1, luaL_typename(L, -1));
            const char *name = lb_text_field(L, lua_gettop(L), "name");
            if (!figure_set_left(f, i, name ? name : "", &err))
                lb_raise(L, &err);
            lua_pop(L, 1);
        }
        lua_getfield(L, 1, "series");
        for (int k = 0; k < n_series; k++) {
            const char *name = NULL;
            if (lua_istable(L, 3) && lua_rawgeti(L, 3, k + 1) == LUA_TSTRING)
                name = lua_tostring(L, -1);
            bars_series(L, 1, f, k, name);
            lua_settop(L, 3);
        }
    }
    lua_settop(L, 2);
    (*slot)->is_signed = c.is_signed;
    set_axes(L, *slot, &c);
    return 1;
}

const LbFn lb_plot_fns[] = {
    {"cl.plot",      "({ series, ..., title = text, ... })",
     "A line plot. A series is a list of numbers, a tensor, or { x = numbers, y = "
     "numbers, "
     "lo = numbers, hi = numbers, name = text, mark = \"line\" or \"points\", labels = "
     "texts "
     "}; lo and hi are a band. Without x the values count from 1. NaN leaves a gap.", cl_plot,      plot_options,      &n_plot_options,
     "cl.show(cl.plot { { y = { 2.3, 0.5, 0.1 }, name = \"loss\" }, logy = true })"},
    {"cl.scatter",   "({ series, ..., title = text, ... })",
     "Points instead of lines, otherwise as cl.plot; labels stand beside their points "
     "where "
     "there is room.",                                                                cl_scatter,   plot_options,      &n_plot_options,
     "cl.scatter { x = { 1, 2 }, y = { 3, 4 }, labels = { \"a\", \"b\" } }"        },
    {"cl.histogram", "(values, { bins = 40, ... })",
     "Counts of a list or tensor in equal bins. Several: { { values = numbers, name = "
     "text }, "
     "..., bins = 40 } share their bins. counts = numbers instead of values: of bins "
     "that were counted already, from lo to hi.",                                     cl_histogram, histogram_options, &n_histogram_options,
     "cl.histogram(cl.rng(1):normal({ 1000 }), { logy = true })"                   },
    {"cl.bars",      "({ { name = text, value = number }, ..., title = text })",
     "Named bars. A row may have lo and hi (an interval); with series = { \"a\", \"b\" "
     "} each "
     "value is a list with one number for each. Or { values = numbers, names = texts "
     "}.",                                                                            cl_bars,      bars_options,      &n_bars_options,
     "cl.bars { { name = \"two_bank\", value = 0.97 } }"                           },
};
const size_t lb_n_plot_fns = ARRAY_LEN(lb_plot_fns);
