/* lb_control.c -- displays with controls: a function draws a figure from a few values, a
 * viewer changes one of them, the function is called again and the new figure takes the
 * old one's place. Specs, values and function are kept in the registry under the
 * display's name, so they live as long as the Lua state. */
#include <math.h>
#include <string.h>

#include "lab/display.h"
#include "lab/journal.h"
#include "lab/jval.h"
#include "script/lb.h"

#define REGISTRY "cleave.controls"
#define DRAWING  "cleave.controls.drawing"
enum { MAX_ITEMS = 32, MAX_CHOICES = 1000 };

/* A table of the registry, pushed: of the displays, or of those being drawn. */
static void push_registry(lua_State *L, const char *key)
{
    if (lua_getfield(L, LUA_REGISTRYINDEX, key) == LUA_TTABLE)
        return;
    lua_pop(L, 1);
    lua_newtable(L);
    lua_pushvalue(L, -1);
    lua_setfield(L, LUA_REGISTRYINDEX, key);
}

/* --- the controls of a display ---------------------------------------------------- */

static double number_of(lua_State *L, int spec, const char *key, double dflt)
{
    double v = dflt;
    int kind = lua_getfield(L, spec, key);
    if (kind == LUA_TNUMBER)
        v = lua_tonumber(L, -1);
    else if (kind != LUA_TNIL)
        lb_error(L, ERR_OPTION, "cl.control: %s must be a number, got a %s", key,
                 luaL_typename(L, -1));
    lua_pop(L, 1);
    return v;
}

static void set_number(lua_State *L, int to, const char *key, double v)
{
    lua_pushnumber(L, v);
    lua_setfield(L, to, key);
}

static void check_keys(lua_State *L, int spec)
{
    static const char *const names[] = {"name", "doc",  "value",  "lo",
                                        "hi",   "step", "choices"};
    lua_pushnil(L);
    while (lua_next(L, spec)) {
        bool known = false;
        for (size_t i = 0; i < ARRAY_LEN(names) && lua_type(L, -2) == LUA_TSTRING; i++)
            known = known || strcmp(names[i], lua_tostring(L, -2)) == 0;
        if (!known)
            lb_error(
                L, ERR_OPTION,
                "cl.control: unknown field '%.40s' of a control; it has name, doc, "
                "value, and choices or lo, hi, step",
                luaL_tolstring(L, -2, NULL));
        lua_pop(L, 1);
    }
}

/* The place of the text at the top in the list `choices` at `list`, from 1; 0: it is
 * not there. */
static int choice_of(lua_State *L, int list)
{
    int n = (int)lua_rawlen(L, list);
    for (int i = 1; i <= n; i++) {
        lua_rawgeti(L, list, i);
        bool same = lua_rawequal(L, -1, -2);
        lua_pop(L, 1);
        if (same)
            return i;
    }
    return 0;
}

/* Copies the choices into the spec at `to`; its value is one of them. */
static void take_choices(lua_State *L, int spec, int to, const char *name)
{
    lua_getfield(L, spec, "choices");
    int n = lua_istable(L, -1) ? (int)lua_rawlen(L, -1) : 0, from = lua_gettop(L);
    if (n < 1 || n > MAX_CHOICES)
        lb_error(L, ERR_OPTION, "cl.control: choices of '%s' must be 1 to %d texts",
                 name, MAX_CHOICES);
    lua_createtable(L, n, 0);
    int list = lua_gettop(L);
    for (int i = 1; i <= n; i++) {
        if (lua_rawgeti(L, from, i) != LUA_TSTRING)
            lb_error(L, ERR_OPTION, "cl.control: choice %d of '%s' is a %s, not a text",
                     i, name, luaL_typename(L, -1));
        lua_rawseti(L, list, i);
    }
    if (lua_getfield(L, spec, "value") == LUA_TNIL) {
        lua_pop(L, 1);
        lua_rawgeti(L, list, 1);
    }
    if (choice_of(L, list) == 0)
        lb_error(L, ERR_OPTION, "cl.control: the value of '%s' is none of its choices",
                 name);
    lua_setfield(L, to, "value");
    lua_setfield(L, to, "choices");
    lua_settop(L, from - 1);
}

static void refuse_twice(lua_State *L, int out, int n, const char *name)
{
    for (int i = 1; i < n; i++) {
        lua_rawgeti(L, out, i);
        lua_getfield(L, -1, "name");
        if (strcmp(lua_tostring(L, -1), name) == 0)
            lb_error(L, ERR_OPTION, "cl.control: two controls are called '%.60s'", name);
        lua_pop(L, 2);
    }
}

static void take_range(lua_State *L, int spec, int to, const char *name)
{
    double lo = number_of(L, spec, "lo", -HUGE_VAL),
           hi = number_of(L, spec, "hi", HUGE_VAL);
    double value = number_of(L, spec, "value", fmin(fmax(0, lo), hi));
    double step = number_of(L, spec, "step", 0.1);
    if (!(lo <= hi) || !(step > 0) || !isfinite(step) ||
        !(value >= lo && value <= hi) || !isfinite(value))
        lb_error(L, ERR_OPTION,
                 "cl.control: '%s' needs lo <= value <= hi and a step above 0", name);
    set_number(L, to, "lo", lo);
    set_number(L, to, "hi", hi);
    set_number(L, to, "step", step);
    set_number(L, to, "value", value);
}

/* A list of checked copies of the specs at `list`, pushed. */
static void push_specs(lua_State *L, int list)
{
    int n = (int)lua_rawlen(L, list);
    if (n < 1 || n > MAX_ITEMS)
        lb_error(L, ERR_OPTION, "cl.control: 1 to %d controls, got %d", MAX_ITEMS, n);
    lua_createtable(L, n, 0);
    int out = lua_gettop(L);
    for (int i = 1; i <= n; i++) {
        if (lua_rawgeti(L, list, i) != LUA_TTABLE)
            lb_error(L, ERR_OPTION, "cl.control: control %d is a %s, not a table", i,
                     luaL_typename(L, -1));
        int spec = lua_gettop(L);
        check_keys(L, spec);
        if (lua_getfield(L, spec, "name") != LUA_TSTRING)
            lb_error(L, ERR_OPTION, "cl.control: control %d has no name", i);
        const char *name = lua_tostring(L, -1);
        refuse_twice(L, out, i, name);
        lua_createtable(L, 0, 8);
        int to = lua_gettop(L);
        lua_pushvalue(L, -2);
        lua_setfield(L, to, "name");
        if (lua_getfield(L, spec, "doc") == LUA_TSTRING)
            lua_setfield(L, to, "doc");
        lua_settop(L, to);
        bool choice = lua_getfield(L, spec, "choices") != LUA_TNIL;
        lua_settop(L, to);
        if (choice)
            take_choices(L, spec, to, name);
        else
            take_range(L, spec, to, name);
        lua_getfield(L, to, "value");
        lua_setfield(L, to, "first");
        lua_rawseti(L, out, i);
        lua_settop(L, out);
    }
}

/* The spec of the control `name` of the display at `at`, pushed. */
static void push_spec(lua_State *L, int at, const char *who, const char *display,
                      const char *name)
{
    lua_getfield(L, at, "specs");
    int specs = lua_gettop(L);
    for (int i = 1; i <= (int)lua_rawlen(L, specs); i++) {
        lua_rawgeti(L, specs, i);
        lua_getfield(L, -1, "name");
        bool same = strcmp(lua_tostring(L, -1), name) == 0;
        lua_pop(L, 1);
        if (same) {
            lua_remove(L, specs);
            return;
        }
        lua_pop(L, 1);
    }
    lb_error(L, ERR_OPTION, "%s: '%.60s' has no control '%.60s'", who, display, name);
}

/* --- drawing ---------------------------------------------------------------------- */

/* { name = value } of all controls of the display at `at`, pushed. */
static void push_values(lua_State *L, int at)
{
    lua_newtable(L);
    int to = lua_gettop(L);
    lua_getfield(L, at, "specs");
    int specs = lua_gettop(L);
    for (int i = 1; i <= (int)lua_rawlen(L, specs); i++) {
        lua_rawgeti(L, specs, i);
        lua_getfield(L, -1, "name");
        lua_getfield(L, -2, "value");
        lua_settable(L, to);
        lua_pop(L, 1);
    }
    lua_settop(L, to);
}

static json_t *spec_json(lua_State *L, int spec)
{
    json_t *o = json_object();
    static const char *const texts[] = {"name", "doc"};
    static const char *const numbers[] = {"lo", "hi", "step"};
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        if (lua_getfield(L, spec, texts[i]) == LUA_TSTRING)
            jval_set(o, texts[i], jval_str(lua_tostring(L, -1)));
        lua_pop(L, 1);
    }
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
        if (lua_getfield(L, spec, numbers[i]) == LUA_TNUMBER)
            jval_set(o, numbers[i], jval_number(lua_tonumber(L, -1)));
        lua_pop(L, 1);
    }
    lua_getfield(L, spec, "value");
    jval_set(o, "value",
             lua_type(L, -1) == LUA_TNUMBER ? jval_number(lua_tonumber(L, -1))
                                            : jval_str(lua_tostring(L, -1)));
    if (lua_getfield(L, spec, "choices") == LUA_TTABLE) {
        json_t *list = json_array();
        for (int i = 1; i <= (int)lua_rawlen(L, -1); i++) {
            lua_rawgeti(L, -1, i);
            json_array_append_new(list, jval_str(lua_tostring(L, -1)));
            lua_pop(L, 1);
        }
        jval_set(o, "choices", list);
    }
    lua_pop(L, 2);
    return o;
}

static json_t *control_json(lua_State *L, int at, const char *name, int64_t count)
{
    json_t *items = json_array();
    lua_getfield(L, at, "specs");
    int specs = lua_gettop(L);
    for (int i = 1; i <= (int)lua_rawlen(L, specs); i++) {
        lua_rawgeti(L, specs, i);
        json_array_append_new(items, spec_json(L, lua_gettop(L)));
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
    lua_getfield(L, at, "token");
    json_int_t token = lua_tointeger(L, -1);
    lua_pop(L, 1);
    return json_pack("{s:o,s:I,s:I,s:o}", "name", jval_str(name), "count",
                     (json_int_t)count, "token", token, "items", items);
}

/* What a function returned beside its figure, at the top: the value of one control. */
static void take_value(lua_State *L, int spec, const char *display, const char *name)
{
    int value = lua_gettop(L);
    bool ok = false;
    if (lua_getfield(L, spec, "choices") == LUA_TTABLE) {
        lua_pushvalue(L, value);
        ok = choice_of(L, value + 1) != 0;
    } else {
        ok = lua_type(L, value) == LUA_TNUMBER && isfinite(lua_tonumber(L, value));
    }
    if (!ok)
        lb_error(L, ERR_OPTION,
                 "cl.control: the function of '%.60s' says that '%.60s' is %.60s, which "
                 "it cannot be",
                 display, name, luaL_tolstring(L, value, NULL));
    lua_pushvalue(L, value);
    lua_setfield(L, spec, "value");
}

/* All of them: values as they really are now. */
static void take_values(lua_State *L, int at, const char *display, int values)
{
    if (lua_isnil(L, values))
        return;
    if (!lua_istable(L, values))
        lb_error(L, ERR_OPTION,
                 "cl.control: behind its figure the function of '%.60s' may return a "
                 "table of values, not a %s",
                 display, luaL_typename(L, values));
    int top = lua_gettop(L);
    lua_pushnil(L);
    while (lua_next(L, values)) {
        if (lua_type(L, -2) != LUA_TSTRING)
            lb_error(L, ERR_OPTION,
                     "cl.control: the function of '%.60s' returned a value without the "
                     "name of its control",
                     display);
        const char *name = lua_tostring(L, -2);
        int value = lua_gettop(L);
        push_spec(L, at, "cl.control", display, name);
        lua_pushvalue(L, value);
        take_value(L, value + 1, display, name);
        lua_settop(L, value - 1);
    }
    lua_settop(L, top);
}

/* Closes a drawing, however it ended: { name }. */
static int end_drawing(lua_State *L)
{
    push_registry(L, DRAWING);
    lua_rawgeti(L, 1, 1);
    lua_pushnil(L);
    lua_settable(L, -3);
    return 0;
}

/* From here until the C function returns the display `name` is being drawn. */
static void begin_drawing(lua_State *L, const char *name)
{
    push_registry(L, DRAWING);
    lua_getfield(L, -1, name);
    /* a coroutine that an error ended has not closed its drawing */
    lua_State *by = lua_tothread(L, -1);
    if (by && lua_status(by) == LUA_OK)
        lb_error(L, ERR_OPTION,
                 "the display '%.60s' is being drawn: its own function cannot draw or "
                 "turn it",
                 name);
    lua_pop(L, 1);
    lua_createtable(L, 1, 0);
    lua_pushstring(L, name);
    lua_rawseti(L, -2, 1);
    lua_createtable(L, 0, 1);
    lua_pushcfunction(L, end_drawing);
    lua_setfield(L, -2, "__close");
    lua_setmetatable(L, -2);
    lua_toclose(L, -1);
    lua_pushthread(L);
    lua_setfield(L, -3, name);
}

/* Calls the display's function and records its figure; `change` is a table's index or
 * 0. Leaves the figure on the stack. */
static void draw(lua_State *L, int at, const char *name, int change)
{
    Lb *lb = lb_of(L);
    Err err;
    begin_drawing(L, name);
    lua_getfield(L, at, "fn");
    push_values(L, at);
    if (change)
        lua_pushvalue(L, change);
    else
        lua_pushnil(L);
    lua_call(L, 2, 2);
    int figure = lua_gettop(L) - 1;
    Figure **f = luaL_testudata(L, figure, LB_FIGURE);
    if (!f || !*f)
        lb_error(L, ERR_OPTION,
                 "cl.control: the function of '%s' must return a figure, got a %s",
                 name, luaL_typename(L, figure));
    take_values(L, at, name, figure + 1);
    lua_settop(L, figure);
    lua_getfield(L, at, "cell");
    int cell = (int)lua_tointeger(L, -1);
    lua_getfield(L, at, "count");
    int64_t count = lua_tointeger(L, -1);
    lua_pop(L, 2);
    if (lb->run && !display_write(lb->run, *f, name, cell, count,
                                  control_json(L, at, name, count), &err))
        lb_raise(L, &err);
    lua_pushinteger(L, count + 1);
    lua_setfield(L, at, "count");
}

/* cl.control(name, { control, ... }, fn) */
static int cl_control(lua_State *L)
{
    Lb *lb = lb_of(L);
    const char *name = luaL_checkstring(L, 1);
    luaL_argcheck(L, name[0], 1, "a display needs a name");
    luaL_checktype(L, 2, LUA_TTABLE);
    luaL_checktype(L, 3, LUA_TFUNCTION);
    lua_settop(L, 3);
    push_registry(L, REGISTRY); /* 4 */
    lua_newtable(L);  /* 5: the display */
    push_specs(L, 2);
    lua_setfield(L, 5, "specs");
    lua_pushvalue(L, 3);
    lua_setfield(L, 5, "fn");
    lua_pushinteger(L, lb->run ? journal_cell(run_journal(lb->run)) : 0);
    lua_setfield(L, 5, "cell");
    lua_pushinteger(L, 0);
    lua_setfield(L, 5, "count");
    draw(L, 5, name, 0);
    lua_pushvalue(L, 5);
    lua_setfield(L, 4, name);
    return 0;
}

/* --- turning ---------------------------------------------------------------------- */

/* Sets the control's value from stack index `value` and pushes the change. */
static void change_value(lua_State *L, int spec, const char *name, int value)
{
    lua_createtable(L, 0, 3);
    int change = lua_gettop(L);
    lua_pushstring(L, name);
    lua_setfield(L, change, "name");
    if (lua_getfield(L, spec, "choices") == LUA_TTABLE) {
        int list = lua_gettop(L);
        lua_pushvalue(L, value);
        if (choice_of(L, list) == 0)
            lb_error(L, ERR_OPTION, "cl.turn: '%s' has no choice '%.60s'", name,
                     luaL_tolstring(L, value, NULL));
        lua_setfield(L, spec, "value");
    } else {
        double v = luaL_checknumber(L, value), was = number_of(L, spec, "value", 0);
        if (!isfinite(v))
            lb_error(L, ERR_OPTION, "cl.turn: '%s' cannot be %s", name,
                     isnan(v) ? "nan" : "infinite");
        v = fmin(fmax(v, number_of(L, spec, "lo", v)), number_of(L, spec, "hi", v));
        set_number(L, spec, "value", v);
        set_number(L, change, "by", v - was);
    }
    lua_settop(L, change);
}

static void reset_values(lua_State *L, int at)
{
    lua_getfield(L, at, "specs");
    for (int i = 1; i <= (int)lua_rawlen(L, -1); i++) {
        lua_rawgeti(L, -1, i);
        lua_getfield(L, -1, "first");
        lua_setfield(L, -2, "value");
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
    lua_createtable(L, 0, 1);
    lua_pushboolean(L, true);
    lua_setfield(L, -2, "reset");
}

/* cl.turn(display, control, value); without a control: back to the first values. */
static int cl_turn(lua_State *L)
{
    const char *display = luaL_checkstring(L, 1), *name = luaL_optstring(L, 2, NULL);
    lua_settop(L, 4);
    push_registry(L, REGISTRY);
    lua_insert(L, 4); /* 4: displays, 5: what the viewer calls this change */
    lua_getfield(L, 4, display);
    lua_insert(L, 5); /* 5: the display */
    if (!lua_istable(L, 5))
        return lb_error(L, ERR_OPTION,
                        "there is no display '%.60s' any more: run its cell again",
                        display);
    lua_setfield(L, 5, "token"); /* nil from scripts */
    if (name) {
        push_spec(L, 5, "cl.turn", display, name); /* 6 */
        change_value(L, 6, name, 3);
    } else {
        reset_values(L, 5);
    }
    draw(L, 5, display, lua_gettop(L));
    return 1;
}

const LbFn lb_control_fns[] = {
    {"cl.control",    "(name, { control, ... }, function(values, change) ... end)",
     "Shows a figure with controls: in the notebook, arrow keys in the controls pane "
     "(9) "
     "change them, and the function is called again and draws anew; it should take "
     "less "
     "than 50 ms. A control is { name =, value = 0, step = 0.1, lo =, hi = } or { name "
     "=, "
     "choices = texts, value = the first }, with a doc if you like. values has the "
     "value "
     "of each by name; change is nil at first, then { name =, by = } (by: how far a "
     "number "
     "moved) or { reset = true }. The function returns the figure and, when it could "
     "not "
     "go as far as asked, a table of the values that hold now. Another display of the "
     "same "
     "name takes its place.",                                                cl_control, NULL, NULL,
     "cl.control(\"wave\", { { name = \"phase\", step = 0.1 } }, function(v) return "
     "cl.plot({ math.sin(v.phase), math.sin(v.phase + 1) }) end)"                                                                                    },
    {"cl.gauge_dial", "(dictionary, dataset, { digit = 0, step = 0.1, images = 2000 })",
     "One digit of a dictionary turned by hand in the controls pane (9): turn moves "
     "along "
     "a direction of the gauge (dictionary:dial), at exactly the same tensor, and "
     "pictures and scores follow. Scores are those of dial:state: cancel "
     "(cancellation_data), erase (erase_corr), ablate (ablation_rank_corr), others "
     "(other_digit_share), gini, local, agree (keep16_agreement) and similar "
     "(similarity_data).",                                                   NULL,       NULL, NULL, "cl.gauge_dial(dict, mnist.test, { digit = 3 })"},
    {"cl.turn",       "(display, control, value)",
     "Changes a control as a key in the notebook would, for scripts and tests; returns "
     "the new figure. Without control and value: back to the first values.", cl_turn,    NULL, NULL, NULL                                            },
};
const size_t lb_n_control_fns = ARRAY_LEN(lb_control_fns);
