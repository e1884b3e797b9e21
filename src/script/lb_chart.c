/* lb_chart.c -- figures without axes from Lua: heat maps, graphs, metrics between null
 * and limit, pages of figures; and saving. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "script/lb_plot.h"

#define ROW_TONE                                                                       \
    {                                                                                  \
        "tone", OPT_ENUM, AT(tone), "grey", 0, 0, "grey red blue",                     \
            "Of values without sign."                                                  \
    }

static const OptRow heat_options[] = {
    ROW_TITLE,
    ROW_CAPTION,
    {"scale",  OPT_ENUM, AT(scale),     "shared", 0, 0,     "shared p99",
      "What full colour means: the largest |value| or the 99th percentile."          },
    {"signed", OPT_BOOL, AT(is_signed), "true",   0, 0,     NULL,
      "Red for positive and blue for negative; false: one tone from 0 up."           },
    ROW_TONE,
    {"limit",  OPT_NUM,  AT(limit),     "0",      0, 1e300, NULL,
      "What full colour means, for scales that figures share; 0: the matrix decides."},
};
static const size_t n_heat_options = ARRAY_LEN(heat_options);

static const OptRow graph_options[] = {
    ROW_TITLE,
    ROW_CAPTION,
    {"top", OPT_INT, AT(top), "0", 0, 1 << 20, NULL,
     "Only the strongest edges, by |weight|; 0: all that are not 0."},
};
static const size_t n_graph_options = ARRAY_LEN(graph_options);

static const OptRow diagram_options[] = {
    ROW_TITLE,
    ROW_CAPTION,
    {"signed", OPT_BOOL, AT(is_signed), "false", 0, 0,     NULL,
      "Red for positive and blue for negative edges; false: one tone by |weight|."   },
    ROW_TONE,
    {"limit",  OPT_NUM,  AT(limit),     "0",     0, 1e300, NULL,
      "The weight of the widest edge, for scales that figures share; 0: the largest."},
};
static const size_t n_diagram_options = ARRAY_LEN(diagram_options);

static const OptRow plain_options[] = {ROW_TITLE, ROW_CAPTION};
static const size_t n_plain_options = ARRAY_LEN(plain_options);

static const OptRow page_options[] = {
    ROW_TITLE,
    ROW_CAPTION,
    {"multiples", OPT_BOOL, AT(multiples), "false", 0, 0,    NULL,
      "Small multiples: tiles of one width in rows, with one legend; plots are square "
     "where the limits of both axes are given. A scale is told once where all figures "
     "have the same limit."                                           },
    {"per_row",   OPT_INT,  AT(per_row),   "0",     0, 1000, NULL,
      "Columns, where there is room; 0: one, or as many tiles as fit."},
};
static const size_t n_page_options = ARRAY_LEN(page_options);

/* --- matrices --- */

/* A matrix as contiguous f32, owned by the pushed tensor. */
static const float *push_matrix(lua_State *L, int arg, const char *where, int64_t *h,
                                int64_t *w)
{
    Err err;
    char shape[96];
    LTensor *t = lb_check_tensor(L, arg);
    if (t->t.ndim != 2 || t->t.dim[0] < 1 || t->t.dim[1] < 1 || t->t.dim[0] > 65536 ||
        t->t.dim[1] > 65536 || tensor_count(&t->t) > PLOT_MOST)
        lb_error(L, ERR_SHAPE, "%s: a matrix of 1 to %d values is needed, got %s",
                 where, PLOT_MOST, tensor_format_shape(&t->t, shape));
    LTensor *flat = lb_push_tensor(L);
    if (!tensor_convert(&t->t, F32, &flat->t, &err))
        lb_raise(L, &err);
    *h = t->t.dim[0];
    *w = t->t.dim[1];
    return flat->t.data;
}

static void set_colours(Figure *f, const PlotCfg *c)
{
    for (int t = 0; t < TONES; t++)
        if (strcmp(c->tone, tone_name((Tone)t)) == 0)
            f->tone = (Tone)t;
    f->limit = c->limit;
}

static int cl_heatmap(lua_State *L)
{
    static const char *const data[] = {"rows", "cols", NULL};
    Err err = {0};
    PlotCfg c;
    int64_t h, w;
    lua_settop(L, 2);
    lb_plot_options(L, 2, "cl.heatmap", heat_options, n_heat_options, data, &c);
    const float *v = push_matrix(L, 1, "cl.heatmap", &h, &w);
    Figure **slot = lb_push_figure(L);
    Figure *f =
        lb_made(L, slot, figure_heat((int)h, (int)w, v, c.is_signed, &err), &c, &err);
    f->scale = strcmp(c.scale, "p99") == 0 ? SCALE_P99 : SCALE_SHARED;
    set_colours(f, &c);
    if (lua_istable(L, 2)) {
        lb_set_names(L, 2, "rows", f, (int)h, figure_set_left);
        lb_set_names(L, 2, "cols", f, (int)w, figure_set_right);
    }
    return 1;
}

static int rising(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

/* The |weight| that the `top` strongest reach; sorts a copy that Lua owns. */
static double threshold(lua_State *L, const float *v, size_t n, int64_t top)
{
    if (top <= 0 || (size_t)top >= n)
        return 0;
    float *a = lua_newuserdatauv(L, n * sizeof *a, 0);
    for (size_t i = 0; i < n; i++)
        a[i] = isfinite(v[i]) ? fabsf(v[i]) : 0;
    qsort(a, n, sizeof *a, rising);
    double least = (double)a[n - (size_t)top];
    lua_pop(L, 1);
    return least;
}

static int cl_bipartite(lua_State *L)
{
    static const char *const data[] = {"left", "right", NULL};
    Err err = {0};
    PlotCfg c;
    int64_t h, w;
    lua_settop(L, 2);
    lb_plot_options(L, 2, "cl.bipartite", graph_options, n_graph_options, data, &c);
    const float *v = push_matrix(L, 1, "cl.bipartite", &h, &w);
    double least = threshold(L, v, (size_t)(h * w), c.top);
    Figure **slot = lb_push_figure(L);
    Figure *f = lb_made(L, slot, figure_bipartite((int)h, (int)w, &err), &c, &err);
    int64_t left = c.top > 0 ? c.top : h * w;
    for (int64_t i = 0; i < h * w && left > 0; i++) {
        double weight = (double)v[i];
        if (weight == 0 || !(fabs(weight) >= least))
            continue;
        if (!figure_add_edge(f, (int)(i / w), (int)(i % w), weight, &err))
            return lb_raise(L, &err);
        left--;
    }
    if (lua_istable(L, 2)) {
        lb_set_names(L, 2, "left", f, (int)h, figure_set_left);
        lb_set_names(L, 2, "right", f, (int)w, figure_set_right);
    }
    return 1;
}

/* --- diagrams --- */

enum { MOST_STAGES = 16 };

/* The names of column k from the list `names` (1-based), if there is one. */
static void name_stage(lua_State *L, Figure *f, int k, int first)
{
    Err err;
    if (!lua_istable(L, 2) || lua_getfield(L, 2, "names") == LUA_TNIL)
        return;
    int names = lua_gettop(L);
    if (!lua_istable(L, names))
        lb_error(L, ERR_OPTION, "cl.diagram: names must be a list, not a %s",
                 luaL_typename(L, names));
    if (lua_rawgeti(L, names, k + 1) != LUA_TNIL) {
        int n = lua_istable(L, -1) ? (int)lua_rawlen(L, -1) : -1, list = lua_gettop(L);
        if (n != f->stage[k])
            lb_error(L, ERR_OPTION,
                     "cl.diagram: names of column %d must be a list of %d texts", k + 1,
                     f->stage[k]);
        for (int i = 0; i < n; i++) {
            lua_rawgeti(L, list, i + 1);
            const char *text = lua_tostring(L, -1);
            if (!figure_set_left(f, first + i, text ? text : "", &err))
                lb_raise(L, &err);
            lua_pop(L, 1);
        }
    }
    lua_settop(L, names - 1);
}

/* Matrices [n1,n2], [n2,n3] ... in the list at 1 as contiguous f32, pushed. */
static int read_stages(lua_State *L, const float **v, int *sizes)
{
    int n = (int)lua_rawlen(L, 1);
    if (n < 1 || n >= MOST_STAGES)
        lb_error(L, ERR_OPTION, "cl.diagram: a list of 1 to %d matrices is needed",
                 MOST_STAGES - 1);
    luaL_checkstack(L, 2 * MOST_STAGES, NULL);
    for (int k = 0; k < n; k++) {
        int64_t h, w;
        lua_rawgeti(L, 1, k + 1);
        if (!lb_test_tensor(L, -1))
            lb_error(L, ERR_OPTION, "cl.diagram: item %d must be a matrix, not a %s",
                     k + 1, luaL_typename(L, -1));
        v[k] = push_matrix(L, lua_gettop(L), "cl.diagram", &h, &w);
        if (k > 0 && h != sizes[k])
            lb_error(L, ERR_SHAPE,
                     "cl.diagram: matrix %d has %d rows, the one before %d columns: "
                     "they must be equal",
                     k + 1, (int)h, sizes[k]);
        sizes[k] = (int)h;
        sizes[k + 1] = (int)w;
    }
    return n + 1;
}

static int cl_diagram(lua_State *L)
{
    static const char *const data[] = {"names", NULL};
    Err err = {0};
    PlotCfg c;
    const float *v[MOST_STAGES];
    int sizes[MOST_STAGES + 1];
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 2);
    lb_plot_options(L, 2, "cl.diagram", diagram_options, n_diagram_options, data, &c);
    int n = read_stages(L, v, sizes);
    Figure *f = lb_made(L, lb_push_figure(L),
                        figure_diagram(n, sizes, c.is_signed, &err), &c, &err);
    set_colours(f, &c);
    int result = lua_gettop(L);
    for (int k = 0, first = 0; k < n; first += sizes[k++]) {
        name_stage(L, f, k, first);
        for (int i = 0; k + 1 < n && i < sizes[k]; i++)
            for (int j = 0; j < sizes[k + 1]; j++) {
                double weight =
                    (double)v[k][(size_t)i * (size_t)sizes[k + 1] + (size_t)j];
                if (weight != 0 &&
                    !figure_add_edge(f, first + i, first + sizes[k] + j, weight, &err))
                    return lb_raise(L, &err);
            }
    }
    lua_settop(L, result);
    return 1;
}

/* --- between null and limit --- */

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Quantile q of n sorted values, interpolated between neighbours. */
static double quantile(const double *v, int64_t n, double q)
{
    double at = q * (double)(n - 1);
    int64_t i = (int64_t)at, next = i + 1 < n ? i + 1 : i;
    return v[i] + (at - (double)i) * (v[next] - v[i]);
}

/* A number, { value, lo, hi }, or samples: their mean and their 95 % range. */
static void read_span(lua_State *L, int idx, const char *what, double *v, double *lo,
                      double *hi)
{
    int64_t n;
    int top = lua_gettop(L);
    LTensor *t = lb_test_tensor(L, idx);
    *lo = *hi = NAN;
    if (lua_type(L, idx) == LUA_TNUMBER) {
        *v = lua_tonumber(L, idx);
    } else if (t && tensor_count(&t->t) == 1) {
        *v = tensor_item(&t->t);
    } else if (!t && lb_has_field(L, idx, "value")) {
        *v = lb_number_field(L, idx, "value", NAN);
        *lo = lb_number_field(L, idx, "lo", NAN);
        *hi = lb_number_field(L, idx, "hi", NAN);
    } else {
        double sum = 0;
        double *s = lb_push_numbers(L, idx, what, &n);
        if (!s || n < 2)
            lb_error(L, ERR_OPTION,
                     "%s must be a number, { value, lo, hi }, or two samples "
                     "or more",
                     what);
        for (int64_t i = 0; i < n; i++) {
            sum += s[i];
            if (!isfinite(s[i]))
                lb_error(L, ERR_NUMERIC, "%s: sample %lld is not finite", what,
                         (long long)i + 1);
        }
        qsort(s, (size_t)n, sizeof *s, by_value);
        *v = sum / (double)n;
        *lo = quantile(s, n, 0.025);
        *hi = quantile(s, n, 0.975);
    }
    lua_settop(L, top);
}

/* A metric from a table { name, value, lo, hi, null, limit }. */
static void read_between(lua_State *L, int idx, Between *b)
{
    if (!lua_istable(L, idx))
        lb_error(L, ERR_OPTION, "cl.between: an item is a %s, not a table",
                 luaL_typename(L, idx));
    b->name =
        (char *)(uintptr_t)lb_text_field(L, idx, "name"); /* only read, and copied */
    lua_getfield(L, idx, "value");
    if (lua_type(L, -1) == LUA_TNUMBER) {
        b->value = lua_tonumber(L, -1);
        b->lo = lb_number_field(L, idx, "lo", NAN);
        b->hi = lb_number_field(L, idx, "hi", NAN);
    } else {
        read_span(L, lua_gettop(L), "value", &b->value, &b->lo, &b->hi);
    }
    lua_getfield(L, idx, "null");
    read_span(L, lua_gettop(L), "null", &b->null, &b->null_lo, &b->null_hi);
    b->limit = lb_number_field(L, idx, "limit", NAN);
    lua_pop(L, 2);
}

/* Figure, share or nil, and the verdict of the last metric. */
static int push_verdict(lua_State *L, const Between *b)
{
    double share;
    Str t;
    between_verdict(b, &share);
    if (isnan(share))
        lua_pushnil(L);
    else
        lua_pushnumber(L, share);
    str_init(&t);
    between_words(b, &t);
    lua_pushstring(L, t.s);
    str_done(&t);
    return 3;
}

static int cl_between(lua_State *L)
{
    Err err = {0};
    PlotCfg c;
    Between b = {0};
    bool list = lua_istable(L, 1) && lua_rawlen(L, 1) > 0 && lua_isnoneornil(L, 2);
    lua_settop(L, 4);
    lb_plot_options(L, list ? 1 : 4, "cl.between", plain_options, n_plain_options,
                    (const char *const[]){"name", NULL}, &c);
    Figure *f = lb_made(L, lb_push_figure(L), figure_between(&err), &c, &err);
    for (int i = 1; list && i <= (int)lua_rawlen(L, 1); i++) {
        lua_rawgeti(L, 1, i);
        read_between(L, lua_gettop(L), &b);
        if (!figure_add_between(f, &b, &err))
            return lb_raise(L, &err);
        lua_pop(L, 1);
    }
    if (!list) {
        read_span(L, 1, "the metric", &b.value, &b.lo, &b.hi);
        read_span(L, 2, "the null", &b.null, &b.null_lo, &b.null_hi);
        b.limit = luaL_checknumber(L, 3);
        if (lua_istable(L, 4))
            b.name = (char *)(uintptr_t)lb_text_field(L, 4, "name");
        if (!figure_add_between(f, &b, &err))
            return lb_raise(L, &err);
    }
    return push_verdict(L, &b);
}

/* --- pages --- */

static Figure *check_figure(lua_State *L, int arg)
{
    Figure **f = luaL_testudata(L, arg, LB_FIGURE);
    if (!f || !*f)
        lb_error(L, ERR_OPTION, "a figure is needed, got a %s%s", f ? "closed one" : "",
                 f ? "" : luaL_typename(L, arg));
    return *f;
}

/* Copies the figure at idx into the page. */
static void add_part(lua_State *L, int idx, Figure *page)
{
    Err err;
    Figure *part = figure_copy(check_figure(L, idx), &err);
    if (!part || !figure_add_part(page, part, &err))
        lb_raise(L, &err);
}

static int cl_page(lua_State *L)
{
    Err err = {0};
    PlotCfg c;
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    lb_plot_options(L, 1, "cl.page", page_options, n_page_options, NULL, &c);
    Figure *f = lb_made(L, lb_push_figure(L), figure_page(&err), &c, &err);
    f->multiples = c.multiples;
    f->per_row = (int)c.per_row;
    for (int i = 1; i <= (int)lua_rawlen(L, 1); i++) {
        lua_rawgeti(L, 1, i);
        add_part(L, lua_gettop(L), f);
        lua_pop(L, 1);
    }
    return 1;
}

/* Calls cl.<maker>(value, options) with the field; a figure is taken as it is. */
static bool push_part(lua_State *L, const char *key, const char *maker,
                      const char *labels, const char *title, bool is_signed)
{
    if (lua_getfield(L, 1, key) == LUA_TNIL) {
        lua_pop(L, 1);
        return false;
    }
    if (luaL_testudata(L, -1, LB_FIGURE))
        return true;
    lua_getglobal(L, "require");
    lua_pushliteral(L, "cleave");
    lua_call(L, 1, 1);
    lua_getfield(L, -1, maker);
    lua_remove(L, -2);
    bool bars = strcmp(maker, "bars") == 0;
    if (!bars)
        lua_pushvalue(L, -2); /* the tensor */
    lua_newtable(L);
    if (bars) {
        lua_pushvalue(L, -3);
        lua_setfield(L, -2, "values");
    }
    lua_getfield(L, 1, labels);
    lua_setfield(L, -2, bars ? "names" : "labels");
    lua_pushboolean(L, is_signed);
    lua_setfield(L, -2, "signed");
    lua_pushstring(L, title);
    lua_setfield(L, -2, "title");
    lua_call(L, bars ? 1 : 2, 1);
    lua_remove(L, -2);
    return true;
}

static int cl_component(lua_State *L)
{
    static const char *const data[] = {
        "patterns",   "heads",          "examples", "pattern_labels",
        "head_names", "example_labels", NULL};
    static const struct {
        const char *key, *maker, *labels, *title;
        bool is_signed;
    } parts[] = {
        {"patterns", "images", "pattern_labels", "patterns", true},
        {"heads", "bars", "head_names", "heads", true},
        {"examples", "images", "example_labels", "top activating examples", false},
    };
    Err err = {0};
    PlotCfg c;
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    lb_plot_options(L, 1, "cl.component", plain_options, n_plain_options, data, &c);
    Figure *f = lb_made(L, lb_push_figure(L), figure_page(&err), &c, &err);
    for (size_t i = 0; i < ARRAY_LEN(parts); i++)
        if (push_part(L, parts[i].key, parts[i].maker, parts[i].labels, parts[i].title,
                      parts[i].is_signed)) {
            add_part(L, lua_gettop(L), f);
            lua_pop(L, 1);
        }
    if (f->n_parts == 0)
        return lb_error(L, ERR_OPTION,
                        "cl.component: give patterns, heads or examples");
    return 1;
}

static int figure_save_fn(lua_State *L)
{
    Err err;
    return figure_save(check_figure(L, 1), luaL_checkstring(L, 2), &err)
               ? 0
               : lb_raise(L, &err);
}

const LbFn lb_chart_fns[] = {
    {"cl.heatmap",   "(matrix, { rows = texts, cols = texts, ... })",
     "A matrix as colours with names of rows and columns, and the numbers where they "
     "fit.",                                                                             cl_heatmap,     heat_options,    &n_heat_options,    NULL                                     },
    {"cl.bipartite", "(weights, { left = texts, right = texts, ... })",
     "Two columns of names joined by edges from a matrix [left, right]: width and "
     "colour by "
     "weight, 0 is no edge.",                                                            cl_bipartite,   graph_options,   &n_graph_options,   NULL                                     },
    {"cl.diagram",   "({ matrix, ... }, { names = { texts, ... }, ... })",
     "A network as columns of nodes: matrices [n1,n2], [n2,n3] ... hold the weights of "
     "the edges from a column to the next, 0 is no edge. Edges are as wide and dark as "
     "they are strong; names is a list of texts for each column.",                       cl_diagram,     diagram_options, &n_diagram_options,
     "cl.diagram({ cl.ones({ 5, 2 }), cl.ones({ 2, 5 }) }, { limit = 2 })"                                                                                                             },
    {"cl.between",   "(metric, null, limit, { name = text, title = text })",
     "A metric drawn between its null and its limit. metric and null are numbers, { "
     "value =, "
     "lo =, hi = }, or samples (their mean and 95 % range). Inside the null band the "
     "verdict "
     "is refused. Returns the figure, the share of the way (nil when refused) and the "
     "verdict "
     "as text. Several: cl.between { { name =, value =, null =, limit = }, ... }.",      cl_between,     plain_options,   &n_plain_options,
     "local figure, share, words = cl.between(0.71, { value = 0.11, lo = 0.09, hi = "
     "0.14 }, 0.98)"                                                                                                                                                                   },
    {"cl.component", "({ patterns = tensor, heads = numbers, examples = tensor, ... })",
     "One component: its pattern pair as signed images [2, height, width], a bar for "
     "each "
     "head (head_names), and the examples that drive it most as grey images; "
     "pattern_labels "
     "and example_labels are lists of texts. Each may also be a figure.",                cl_component,   plain_options,   &n_plain_options,   NULL                                     },
    {"cl.page",      "({ figure, ..., title = text, caption = text })",
     "Figures together; copies of them. Bars stand beside the images before them where "
     "there "
     "is room.",                                                                         cl_page,        page_options,    &n_page_options,
     "cl.page { cl.plot { 1, 2 }, cl.plot { 2, 1 }, multiples = true }"                                                                                                                },
    {"figure:save",  "(path)",
     "Writes the figure by the suffix of the path: .png .svg .pdf pictures, .csv the "
     "numbers "
     "behind it, .md and .tex tables (with the picture beside them for other figures).", figure_save_fn, NULL,            NULL,               "cl.plot({ 1, 2, 3 }):save(\"line.svg\")"},
};
const size_t lb_n_chart_fns = ARRAY_LEN(lb_chart_fns);
