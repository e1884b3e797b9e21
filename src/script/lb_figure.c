/* lb_figure.c -- figures from Lua: galleries, tables, texts; showing them, PNG
 * files, and report.md. A figure is plain data that viewers draw at their own size;
 * nothing here draws. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "figure/figure.h"
#include "lab/jval.h"
#include "script/lb_images.h"

enum { MAX_COLUMNS = 500, MAX_ROWS = 1000000, MAX_NAMED = 1000 };

typedef struct LFigure {
    Figure *f;
} LFigure;

static int figure_gc(lua_State *L)
{
    LFigure *f = luaL_checkudata(L, 1, LB_FIGURE);
    figure_free(f->f);
    f->f = NULL;
    return 0;
}

static LFigure *push_figure(lua_State *L)
{
    LFigure *f = lua_newuserdatauv(L, sizeof *f, 0);
    f->f = NULL;
    luaL_setmetatable(L, LB_FIGURE);
    return f;
}

Figure **lb_push_figure(lua_State *L)
{
    return &push_figure(L)->f;
}

static Figure *check_figure(lua_State *L, int arg)
{
    LFigure *f = luaL_checkudata(L, arg, LB_FIGURE);
    luaL_argcheck(L, f->f, arg, "this figure was closed");
    return f->f;
}

/* --- tables ----------------------------------------------------------------------- */

typedef struct TableCfg {
    char title[OPT_STR_CAP], caption[OPT_STR_CAP];
} TableCfg;
static const OptRow table_options[] = {
    {"title", OPT_STR, offsetof(TableCfg, title), "", 0, 0, NULL, "Line above."},
    {"caption", OPT_STR, offsetof(TableCfg, caption), "", 0, 0, NULL,
     "Paragraph below."},
};
static const size_t n_table_options = ARRAY_LEN(table_options);

/* Sorts the list of strings at `list`; binary insertion, for a few hundred names. */
static void sort_names(lua_State *L, int list)
{
    lua_Integer n = (lua_Integer)lua_rawlen(L, list);
    for (lua_Integer i = 2; i <= n; i++) {
        lua_rawgeti(L, list, i);
        lua_Integer k = i;
        for (; k > 1; k--) {
            lua_rawgeti(L, list, k - 1);
            if (!lua_compare(L, -2, -1, LUA_OPLT)) {
                lua_pop(L, 1);
                break;
            }
            lua_rawseti(L, list, k);
        }
        lua_rawseti(L, list, k);
    }
}

/* Pushes the list of the string keys of the table at idx, sorted. */
static void push_sorted_keys(lua_State *L, int idx)
{
    lua_Integer n = 0;
    idx = lua_absindex(L, idx);
    lua_newtable(L);
    int list = lua_gettop(L);
    lua_pushnil(L);
    while (lua_next(L, idx)) {
        lua_pop(L, 1);
        if (lua_type(L, -1) == LUA_TSTRING) {
            lua_pushvalue(L, -1);
            lua_rawseti(L, list, ++n);
        }
    }
    sort_names(L, list);
}

/* Leaves the list of column names on the stack: the one given (at index `given`),
 * else the sorted keys of the first row. */
static int push_columns(lua_State *L, int rows, int given)
{
    if (!lua_isnil(L, given)) {
        if (!lua_istable(L, given))
            lb_error(L, ERR_OPTION,
                     "cl.table: columns must be a list of names, got a %s",
                     luaL_typename(L, given));
        lua_pushvalue(L, given);
    } else if (lua_rawgeti(L, rows, 1) == LUA_TTABLE) {
        push_sorted_keys(L, -1);
        lua_remove(L, -2);
    } else {
        lua_newtable(L);
        lua_remove(L, -2);
    }
    lua_Integer n = (lua_Integer)lua_rawlen(L, -1);
    if (n < 1 || n > MAX_COLUMNS)
        lb_error(L, ERR_OPTION,
                 "cl.table: 1 to %d columns; rows must be tables with named values, "
                 "such as { { name = \"a\", loss = 0.5 } }",
                 MAX_COLUMNS);
    return (int)n;
}

static void cell_text(lua_State *L, int idx, char dst[256], bool *is_number)
{
    LTensor *t = lb_peek_tensor(L, idx);
    *is_number = true;
    if (lua_isinteger(L, idx)) {
        snprintf(dst, 256, "%lld", (long long)lua_tointeger(L, idx));
    } else if (lua_type(L, idx) == LUA_TNUMBER) {
        figure_number(lua_tonumber(L, idx), dst);
    } else if (t && tensor_count(&t->t) == 1) {
        figure_number(tensor_item(&t->t), dst);
    } else {
        *is_number = false;
        Str s;
        str_init(&s);
        if (!lua_isnil(L, idx))
            lb_format(L, idx, &s); /* raises nothing */
        text_copy(dst, 256, s.s);
        str_done(&s);
    }
}

/* Fills column c from the field `name` of every row. */
static void fill_column(lua_State *L, Figure *f, int c, const char *name, int n_rows)
{
    Err err;
    bool numeric = true, any = false;
    for (int r = 0; r < n_rows; r++) {
        char text[256];
        bool number;
        if (lua_rawgeti(L, 1, r + 1) != LUA_TTABLE)
            lb_error(L, ERR_OPTION,
                     "cl.table: row %d is a %s; rows are tables with named values",
                     r + 1, luaL_typename(L, -1));
        lua_pushstring(L, name);
        lua_rawget(L, -2);
        cell_text(L, lua_gettop(L), text, &number);
        numeric = numeric && (number || !text[0] || !strcmp(text, "-"));
        any = any || number;
        lua_pop(L, 2);
        if (!figure_set_cell(f, r, c, text, &err))
            lb_raise(L, &err);
    }
    if (!figure_set_head(f, c, name, numeric && any, &err))
        lb_raise(L, &err);
}

static int cl_table(lua_State *L)
{
    Err err;
    TableCfg cfg;
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 2);
    lb_take_option(L, 2, "columns");
    lb_options(L, 2, "cl.table", table_options, n_table_options, &cfg);
    size_t n = lua_rawlen(L, 1);
    luaL_argcheck(L, n <= MAX_ROWS, 1, "a table has at most a million rows");
    int n_rows = (int)n, n_cols = push_columns(L, 1, 3), cols = lua_gettop(L);
    LFigure *f = push_figure(L);
    if (!(f->f = figure_table(n_rows, n_cols, &err)))
        return lb_raise(L, &err);
    for (int c = 0; c < n_cols; c++) {
        if (lua_rawgeti(L, cols, c + 1) != LUA_TSTRING)
            return lb_error(L, ERR_OPTION,
                            "cl.table: columns are named by texts, got a %s",
                            luaL_typename(L, -1));
        fill_column(L, f->f, c, lua_tostring(L, -1), n_rows);
        lua_pop(L, 1);
    }
    if ((cfg.title[0] && !figure_set_title(f->f, cfg.title, &err)) ||
        (cfg.caption[0] && !figure_set_caption(f->f, cfg.caption, &err)))
        return lb_raise(L, &err);
    return 1;
}

/* --- showing ---------------------------------------------------------------------- */

static bool is_row_list(lua_State *L, int arg)
{
    if (!lua_istable(L, arg) || lua_rawlen(L, arg) == 0)
        return false;
    lua_rawgeti(L, arg, 1);
    bool yes = lua_istable(L, -1) && lua_rawlen(L, -1) == 0;
    lua_pop(L, 1);
    return yes;
}

/* A table whose keys are all texts becomes a two-column table, sorted by name. */
static bool is_named_values(lua_State *L, int arg)
{
    int n = 0;
    if (!lua_istable(L, arg))
        return false;
    lua_pushnil(L);
    while (lua_next(L, arg)) {
        lua_pop(L, 1);
        if (lua_type(L, -1) != LUA_TSTRING || ++n > MAX_NAMED) {
            lua_pop(L, 1);
            return false;
        }
    }
    return n > 0;
}

static void push_name_value_rows(lua_State *L, int arg)
{
    push_sorted_keys(L, arg);
    int names = lua_gettop(L);
    lua_Integer n = (lua_Integer)lua_rawlen(L, names);
    lua_createtable(L, n < 1000 ? (int)n : 0, 0);
    for (lua_Integer i = 1; i <= n; i++) {
        lua_createtable(L, 0, 2);
        lua_rawgeti(L, names, i);
        lua_pushvalue(L, -1);
        lua_setfield(L, -3, "name");
        lua_rawget(L, arg);
        lua_setfield(L, -2, "value");
        lua_rawseti(L, -2, i);
    }
    lua_remove(L, names);
}

/* Networks and the like say what they are, as print() has it. What has no words of its
 * own is left: Lua would give its address, which no two runs share. */
static void describe_object(lua_State *L, int arg)
{
    int top = lua_gettop(L);
    if (lua_isuserdata(L, arg) && !lb_peek_tensor(L, arg) &&
        luaL_getmetafield(L, arg, "__name") == LUA_TSTRING &&
        strncmp(lua_tostring(L, -1), "cleave.", 7) == 0 &&
        luaL_getmetafield(L, arg, "__tostring") != LUA_TNIL) {
        luaL_tolstring(L, arg, NULL);
        lua_replace(L, arg);
    }
    lua_settop(L, top);
}

static int show_value(lua_State *L, int arg)
{
    Lb *lb = lb_of(L);
    Err err;
    if (!lb->run)
        return 0;
    describe_object(L, arg);
    Str s;
    str_init(&s);
    lb_format(L, arg, &s); /* raises nothing */
    json_t *body = json_pack("{s:o}", "text", jval_text(s.s, s.len));
    str_done(&s);
    return journal_event(run_journal(lb->run), "value", body, &err) ? 0
                                                                    : lb_raise(L, &err);
}

static int cl_show(lua_State *L)
{
    Lb *lb = lb_of(L);
    Err err;
    const char *name = luaL_optstring(L, 2, NULL);
    if (is_row_list(L, 1)) {
        lua_pushcfunction(L, cl_table);
        lua_pushvalue(L, 1);
        lua_call(L, 1, 1);
        lua_replace(L, 1);
    } else if (is_named_values(L, 1)) {
        push_name_value_rows(L, 1);
        lua_pushcfunction(L, cl_table);
        lua_insert(L, -2);
        lua_call(L, 1, 1);
        lua_replace(L, 1);
    }
    if (!luaL_testudata(L, 1, LB_FIGURE))
        return show_value(L, 1);
    Figure *f = check_figure(L, 1);
    if (lb->run && !journal_figure(run_journal(lb->run), f, name, &err))
        return lb_raise(L, &err);
    return 0;
}

static int figure_png_fn(lua_State *L)
{
    Err err;
    return figure_png(check_figure(L, 1), luaL_checkstring(L, 2), &err)
               ? 0
               : lb_raise(L, &err);
}

static int figure_text_fn(lua_State *L)
{
    Err err;
    Grid g;
    Figure *f = check_figure(L, 1);
    lua_Integer width = luaL_optinteger(L, 2, 80);
    DrawStyle style = {.level = LEVEL_MONO};
    const char *level = luaL_optstring(L, 3, "mono");
    luaL_argcheck(L, width >= 20 && width <= 1000, 2, "20 to 1000 columns");
    style.width = (int)width;
    if (!level_parse(level, &style.level))
        return lb_error(L, ERR_OPTION,
                        "figure:text: level is mono, ansi, 256 or true, got '%s'",
                        level);
    style.utf8 = style.level >= LEVEL_256;
    Str *s = lb_push_str(L);
    if (!figure_draw(f, &style, &g, &err))
        return lb_raise(L, &err);
    grid_print(&g, style.level, s);
    grid_done(&g);
    return lb_push_text(L, s);
}

/* --- report.md -------------------------------------------------------------------- */

/* The item is on the stack top. */
static bool add_item(lua_State *L, const char *dir, int i, Str *out, Err *err)
{
    char path[1024], name[64];
    if (!luaL_testudata(L, -1, LB_FIGURE)) {
        str_add(out, luaL_tolstring(L, -1, NULL));
        str_add(out, "\n\n");
        lua_pop(L, 1);
        return true;
    }
    Figure *f = check_figure(L, lua_gettop(L));
    snprintf(name, sizeof name, "figures/report-%d.png", i);
    if (figure_is_picture(f)) {
        if (!path_join(path, sizeof path, dir, "figures", err) ||
            !dir_make(path, err) || !path_join(path, sizeof path, dir, name, err) ||
            !figure_png(f, path, err))
            return false;
    }
    if (!figure_markdown(f, name, out, err))
        return false;
    str_addc(out, '\n');
    return true;
}

static int cl_report(lua_State *L)
{
    Lb *lb = lb_of(L);
    Err err;
    char path[1024];
    const char *name = luaL_optstring(L, 2, "report.md");
    luaL_checktype(L, 1, LUA_TTABLE);
    luaL_argcheck(L, *name && !strchr(name, '/'), 2, "a file name without folders");
    if (!lb->run)
        return 0;
    int n = (int)lua_rawlen(L, 1);
    Str *s = lb_push_str(L);
    for (int i = 1; i <= n; i++) {
        lua_rawgeti(L, 1, i);
        if (!add_item(L, run_dir(lb->run), i, s, &err))
            return lb_raise(L, &err);
        lua_pop(L, 1);
    }
    if (!str_ok(s, &err) ||
        !path_join(path, sizeof path, run_dir(lb->run), name, &err) ||
        !file_write_all(path, s->s, s->len, &err))
        return lb_raise(L, &err);
    return 0;
}

const LbFn lb_figure_fns[] = {
    {"cl.show", "(value, name)",
     "Shows a figure, a list of rows (as a table), named values (as a table), a tensor "
     "or any "
     "other value, and records it in the run; name becomes the file name of its PNG.",
     cl_show, NULL, NULL, "cl.show { { digit = 0, acc = 0.99 } }"},
    {"cl.images", "(tensor, { labels = {...}, channels = \"auto\", ... })",
     "A gallery of images from [n, height, width], one [height, width], or rows of "
     "square images "
     "[n, height * width]. Colours, from 0 to 1, are [n, 3, height, width] or [n, "
     "height, width, 3]; channels says so for other shapes. labels is a list with one "
     "text per image.",
     lb_cl_images, lb_images_options, &lb_n_images_options,
     "cl.show(cl.images(cl.rng(1):normal({ 3, 784 })))"},
    {"cl.table", "(rows, { columns = {...}, title = text, caption = text })",
     "A table figure from a list of rows with named values. Without columns the sorted "
     "names of "
     "the first row are shown.",
     cl_table, table_options, &n_table_options,
     "cl.table { { name = \"a\", loss = 0.5 } }"},
    {"cl.report", "({ item, ... }, name = \"report.md\")",
     "Writes that file in the run's folder from texts (Markdown) and figures, in order; "
     "it appears whole or not at all.",
     cl_report, NULL, NULL, NULL},
    {"cl.compare", "(columns, { rows = {...}, title = text })",
     "A table with one row a metric and one column a method: columns is a list of { "
     "name, "
     "metrics }, where metrics is a table of named numbers. rows lists the metrics to "
     "show.",
     NULL, NULL, NULL, NULL},
    {"cl.check", "(text, condition)",
     "Records an expectation and whether it held; the log gets a line. Returns the "
     "condition.",
     NULL, NULL, NULL, "cl.check(\"accuracy above 96.8 %\", acc > 0.968)"},
    {"figure:png", "(path)", "Writes the figure as a PNG file.", figure_png_fn, NULL,
     NULL, NULL},
    {"figure:text", "(width = 80, level = \"mono\")",
     "The figure as terminal text at a level: mono, ansi, 256 or true.", figure_text_fn,
     NULL, NULL, NULL},
};
const size_t lb_n_figure_fns = ARRAY_LEN(lb_figure_fns);

void lb_open_figure(lua_State *L)
{
    lb_class(L, LB_FIGURE, figure_gc);
}
