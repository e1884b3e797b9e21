/* lb.c -- shared pieces of the bindings: raising, classes, pacing of the collector,
 * options, installation from the tables. */
#include "script/lb.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/intr.h"
#include "base/mem.h"

Lb *lb_of(lua_State *L)
{
    return *(Lb **)lua_getextraspace(L);
}

/* Pushes "file:line: " of the innermost Lua function; our own recipes are passed
 * over, since the mistake is their caller's. */
static void push_place(lua_State *L)
{
    lua_Debug ar;
    for (int level = 0; lua_getstack(L, level, &ar); level++) {
        lua_getinfo(L, "Sl", &ar);
        if (ar.currentline > 0 && strncmp(ar.source, "=cleave.", 8) != 0) {
            lua_pushfstring(L, "%s:%d: ", ar.short_src, ar.currentline);
            return;
        }
    }
    lua_pushliteral(L, "");
}

int lb_raise(lua_State *L, const Err *err)
{
    luaL_checkstack(L, 4, "error");
    if (err->code == ERR_SCRIPT) /* its place is in the sentence already */
        lua_pushliteral(L, "");
    else
        push_place(L);
    lua_pushstring(L, err->msg[0] ? err->msg : "unknown failure");
    lua_concat(L, 2);
    return lua_error(L);
}

int lb_error(lua_State *L, ErrCode code, const char *fmt, ...)
{
    Err err;
    va_list ap;
    va_start(ap, fmt);
    err_vset(&err, code, fmt, ap);
    va_end(ap);
    return lb_raise(L, &err);
}

void lb_poll(lua_State *L)
{
    Err err;
    if (!intr_check(&err))
        lb_raise(L, &err);
}

/* --- C memory owned by Lua -------------------------------------------------------- */

static int guard_gc(lua_State *L)
{
    lb_unguard(lua_touserdata(L, 1));
    return 0;
}

LbGuard *lb_push_guard(lua_State *L, void (*release)(void *))
{
    LbGuard *g = lua_newuserdatauv(L, sizeof *g, 0);
    *g = (LbGuard){.release = release};
    lb_class(L, "cleave.guard", guard_gc);
    luaL_setmetatable(L, "cleave.guard");
    return g;
}

void lb_unguard(LbGuard *g)
{
    if (g->p)
        g->release(g->p);
    g->p = NULL;
}

static int str_gc(lua_State *L)
{
    str_done(lua_touserdata(L, 1));
    return 0;
}

Str *lb_push_str(lua_State *L)
{
    Str *s = lua_newuserdatauv(L, sizeof *s, 0);
    str_init(s);
    lb_class(L, "cleave.text", str_gc);
    luaL_setmetatable(L, "cleave.text");
    return s;
}

int lb_push_text(lua_State *L, Str *s)
{
    Err err;
    if (!str_ok(s, &err))
        return lb_raise(L, &err);
    lua_pushlstring(L, s->s, s->len);
    str_done(s);
    return 1;
}

/* --- pacing ----------------------------------------------------------------------- */

/* Lua sees a few dozen bytes where C holds megabytes, so bytes are counted here and
 * a full collection runs when the new ones exceed both 16 MiB and a quarter of what
 * is alive. */
void lb_pace(lua_State *L)
{
    Lb *lb = lb_of(L);
    uint64_t now = mem_total(), fresh = now - lb->gc_mark;
    if (fresh > 16u << 20 && fresh > mem_live() / 4) {
        lb->gc_mark = now;
        lua_gc(L, LUA_GCCOLLECT);
    }
}

bool lb_relieve(lua_State *L)
{
    size_t before = mem_live();
    lua_gc(L, LUA_GCCOLLECT);
    lb_of(L)->gc_mark = mem_total();
    return mem_live() < before;
}

void lb_class(lua_State *L, const char *kind, lua_CFunction gc)
{
    if (luaL_newmetatable(L, kind)) {
        lua_newtable(L);
        lua_setfield(L, -2, "__index");
        lua_pushliteral(L, "locked");
        lua_setfield(L, -2, "__metatable");
        if (gc) {
            lua_pushcfunction(L, gc);
            lua_setfield(L, -2, "__gc");
            lua_pushcfunction(L, gc);
            lua_setfield(L, -2, "__close");
        }
    }
    lua_pop(L, 1);
}

/* --- tensors ---------------------------------------------------------------------- */

LTensor *lb_push_tensor(lua_State *L)
{
    LTensor *t = lua_newuserdatauv(L, sizeof *t, 0);
    memset(t, 0, sizeof *t);
    luaL_setmetatable(L, LB_TENSOR);
    return t;
}

static bool is_closed(const LTensor *t)
{
    return !t->t.data && tensor_count(&t->t) > 0;
}

LTensor *lb_peek_tensor(lua_State *L, int arg)
{
    LTensor *t = luaL_testudata(L, arg, LB_TENSOR);
    return t && !is_closed(t) ? t : NULL;
}

LTensor *lb_test_tensor(lua_State *L, int arg)
{
    LTensor *t = luaL_testudata(L, arg, LB_TENSOR);
    if (t && is_closed(t))
        lb_error(L, ERR_STATE,
                 "this tensor was closed: its variable was <close> or its scope "
                 "has ended");
    return t;
}

LTensor *lb_check_tensor(lua_State *L, int arg)
{
    luaL_checkudata(L, arg, LB_TENSOR);
    return lb_test_tensor(L, arg);
}

void lb_check_readable(lua_State *L, const LTensor *t, const char *what)
{
    if (t->is_state && lb_of(L)->trace)
        lb_error(
            L, ERR_STATE,
            "%s: the values of a state change from call to call, so they "
            "cannot be read while a function is traced; use operations such as slice",
            what);
}

void lb_push_element(lua_State *L, DType t, double v)
{
    if (t == I32 || t == U8)
        lua_pushinteger(L, (lua_Integer)v);
    else
        lua_pushnumber(L, v);
}

LSym *lb_test_sym(lua_State *L, int arg)
{
    return luaL_testudata(L, arg, LB_SYM);
}

/* --- options ---------------------------------------------------------------------- */

static void option_value(lua_State *L, int idx, OptValue *v)
{
    memset(v, 0, sizeof *v);
    switch (lua_type(L, idx)) {
    case LUA_TNUMBER:
        if (lua_isinteger(L, idx)) {
            v->type = OPT_INT;
            v->i = lua_tointeger(L, idx);
            v->f = (double)v->i;
        } else {
            v->type = OPT_NUM;
            v->f = lua_tonumber(L, idx);
        }
        break;
    case LUA_TBOOLEAN:
        v->type = OPT_BOOL;
        v->b = lua_toboolean(L, idx);
        break;
    case LUA_TSTRING:
        v->type = OPT_STR;
        v->s = lua_tostring(L, idx);
        break;
    default:
        v->type =
            OPT_ENUM; /* no row accepts this as a value: opt_set says what it wants */
        v->s = luaL_typename(L, idx);
    }
}

void lb_push_named(lua_State *L, const char *name, const char *doc)
{
    lua_createtable(L, 0, 4);
    lua_pushstring(L, name);
    lua_setfield(L, -2, "name");
    lua_pushstring(L, doc);
    lua_setfield(L, -2, "doc");
}

void lb_take_option(lua_State *L, int arg, const char *key)
{
    arg = lua_absindex(L, arg);
    if (!lua_istable(L, arg)) {
        lua_pushnil(L);
        return;
    }
    lua_newtable(L);
    int copy = lua_gettop(L);
    lua_pushnil(L);
    while (lua_next(L, arg)) {
        lua_pushvalue(L, -2);
        lua_insert(L, -2);
        lua_rawset(L, copy);
    }
    lua_pushstring(L, key);
    lua_rawget(L, copy);
    lua_pushstring(L, key);
    lua_pushnil(L);
    lua_rawset(L, copy);
    lua_pushvalue(L, copy);
    lua_replace(L, arg);
    lua_remove(L, copy);
}

void lb_options(lua_State *L, int arg, const char *where, const OptRow *rows, size_t n,
                void *cfg)
{
    Err err;
    if (!opt_defaults(rows, n, cfg, &err))
        lb_raise(L, &err);
    lb_options_over(L, arg, where, rows, n, cfg);
}

void lb_options_over(lua_State *L, int arg, const char *where, const OptRow *rows,
                     size_t n, void *cfg)
{
    Err err;
    if (lua_isnoneornil(L, arg))
        return;
    if (!lua_istable(L, arg))
        lb_error(L, ERR_OPTION, "%s: options must be a table, got a %s", where,
                 luaL_typename(L, arg));
    arg = lua_absindex(L, arg);
    lua_pushnil(L);
    while (lua_next(L, arg)) {
        if (lua_type(L, -2) != LUA_TSTRING)
            lb_error(L, ERR_OPTION, "%s: option names are words, got a %s key", where,
                     luaL_typename(L, -2));
        OptValue v;
        const char *key = lua_tostring(L, -2);
        option_value(L, -1, &v);
        if (v.type == OPT_STR && strlen(v.s) != lua_rawlen(L, -1))
            lb_error(L, ERR_OPTION, "%s: option '%s' holds a zero byte", where, key);
        bool known = false;
        for (size_t i = 0; i < n; i++)
            known = known || strcmp(rows[i].name, key) == 0;
        if (v.type == OPT_ENUM && known)
            lb_error(L, ERR_OPTION, "%s: option '%s' cannot be a %s", where, key, v.s);
        if (!opt_set(rows, n, cfg, key, &v, where, &err))
            lb_raise(L, &err);
        lua_pop(L, 1);
    }
}

int lb_check_shape(lua_State *L, int arg, int64_t dim[MAX_DIM])
{
    int exact;
    if (lua_type(L, arg) == LUA_TNUMBER &&
        (dim[0] = lua_tointegerx(L, arg, &exact), exact)) {
        luaL_argcheck(L, dim[0] >= 0, arg, "a dimension cannot be negative");
        return 1;
    }
    luaL_argcheck(L, lua_istable(L, arg), arg,
                  "a shape is an integer or a table of integers, such as {2, 3}");
    lua_Integer n = (lua_Integer)lua_rawlen(L, arg);
    luaL_argcheck(L, n <= MAX_DIM, arg, "a tensor has at most 6 dimensions");
    for (lua_Integer i = 1; i <= n; i++) {
        lua_rawgeti(L, arg, i);
        dim[i - 1] = lua_tointegerx(L, -1, &exact);
        luaL_argcheck(L, lua_type(L, -1) == LUA_TNUMBER && exact && dim[i - 1] >= 0,
                      arg, "dimensions are integers from 0 on");
        lua_pop(L, 1);
    }
    return (int)n;
}

DType lb_check_dtype(lua_State *L, int arg, DType dflt)
{
    DType t = dflt;
    if (!lua_isnoneornil(L, arg) && !dtype_parse(luaL_checkstring(L, arg), &t))
        lb_error(L, ERR_OPTION, "unknown dtype '%s'; there are f32, f64, i32 and u8",
                 lua_tostring(L, arg));
    return t;
}

/* --- installation ----------------------------------------------------------------- */

/* Leaves on the stack the table that "cl.data.mnist" or "tensor:item" lives in, and
 * returns the last word of the name. */
static const char *push_home(lua_State *L, const char *name)
{
    const char *colon = strchr(name, ':');
    if (colon) {
        char kind[64];
        snprintf(kind, sizeof kind, "cleave.%.*s", (int)(colon - name), name);
        luaL_getmetatable(L, kind);
        lua_getfield(L, -1, "__index");
        if (lua_isfunction(
                L, -1)) { /* classes with their own __index keep methods aside */
            lua_pop(L, 1);
            lua_getfield(L, -1, "methods");
        }
        lua_remove(L, -2);
        return colon + 1;
    }
    lua_getfield(L, LUA_REGISTRYINDEX, "cleave.cl");
    const char *p = name + 3; /* after "cl." */
    for (const char *dot; (dot = strchr(p, '.')); p = dot + 1) {
        lua_pushlstring(L, p, (size_t)(dot - p));
        lua_pushvalue(L, -1);
        if (lua_rawget(L, -3) != LUA_TTABLE) {
            lua_pop(L, 1);
            lua_newtable(L);
            lua_pushvalue(L, -2);
            lua_pushvalue(L, -2);
            lua_rawset(L, -5);
        }
        lua_remove(L, -2);
        lua_remove(L, -2);
    }
    return p;
}

void lb_install(lua_State *L, const LbFn *fn, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (!fn[i].fn)
            continue;
        const char *last = push_home(L, fn[i].name);
        lua_pushcfunction(L, fn[i].fn);
        lua_setfield(L, -2, last);
        lua_pop(L, 1);
    }
}
