/* lb_numbers.c -- numbers, texts and names out of Lua tables, for figures. */
#include <string.h>

#include "script/lb_plot.h"

static bool is_one_of(const char *key, const char *const *names)
{
    for (; names && *names; names++)
        if (strcmp(key, *names) == 0)
            return true;
    return false;
}

void lb_plot_options(lua_State *L, int arg, const char *where, const OptRow *rows,
                     size_t n, const char *const *data, PlotCfg *c)
{
    memset(c, 0, sizeof *c);
    lua_newtable(L);
    int plain = lua_gettop(L);
    if (lua_istable(L, arg)) {
        lua_pushnil(L);
        while (lua_next(L, arg)) {
            bool item = lua_isinteger(L, -2) || (lua_type(L, -2) == LUA_TSTRING &&
                                                 is_one_of(lua_tostring(L, -2), data));
            if (!item) {
                lua_pushvalue(L, -2);
                lua_pushvalue(L, -2);
                lua_rawset(L, plain);
            }
            lua_pop(L, 1);
        }
    }
    lb_options(L, plain, where, rows, n, c);
    lua_settop(L, plain - 1);
}

double *lb_push_numbers(lua_State *L, int idx, const char *what, int64_t *n)
{
    Err err;
    *n = 0;
    idx = lua_absindex(L, idx);
    if (lua_isnil(L, idx)) {
        lua_pushnil(L);
        return NULL;
    }
    LTensor *t = lb_test_tensor(L, idx);
    if (!t && !lua_istable(L, idx))
        lb_error(L, ERR_OPTION, "%s must be a list of numbers or a tensor, got a %s",
                 what, luaL_typename(L, idx));
    int64_t count = t ? tensor_count(&t->t) : (int64_t)lua_rawlen(L, idx);
    if (count > PLOT_MOST)
        lb_error(L, ERR_SHAPE, "%s has %lld values: at most %d can be drawn", what,
                 (long long)count, PLOT_MOST);
    double *v = lua_newuserdatauv(L, sizeof *v * (size_t)(count > 0 ? count : 1), 0);
    if (t && count > 0) {
        Tensor wrap = tensor_wrap(F64, t->t.ndim, t->t.dim, v);
        if (!tensor_copy_into(&t->t, &wrap, &err))
            lb_raise(L, &err);
    }
    for (int64_t i = 0; !t && i < count; i++) {
        lua_rawgeti(L, idx, i + 1);
        if (lua_type(L, -1) != LUA_TNUMBER)
            lb_error(L, ERR_OPTION, "%s: item %lld is a %s, not a number", what,
                     (long long)i + 1, luaL_typename(L, -1));
        v[i] = lua_tonumber(L, -1);
        lua_pop(L, 1);
    }
    *n = count;
    return v;
}

double *lb_push_field(lua_State *L, int idx, const char *key, int64_t *n)
{
    idx = lua_absindex(L, idx);
    lua_getfield(L, idx, key);
    double *v = lb_push_numbers(L, -1, key, n);
    lua_remove(L, -2);
    return v;
}

const char *lb_text_field(lua_State *L, int idx, const char *key)
{
    const char *s = NULL;
    if (lua_getfield(L, idx, key) == LUA_TSTRING) /* the table keeps it alive */
        s = lua_tostring(L, -1);
    else if (!lua_isnil(L, -1))
        lb_error(L, ERR_OPTION, "%s must be a text, got a %s", key,
                 luaL_typename(L, -1));
    lua_pop(L, 1);
    return s;
}

double lb_number_field(lua_State *L, int idx, const char *key, double dflt)
{
    double v = dflt;
    LTensor *t;
    if (lua_getfield(L, idx, key) == LUA_TNUMBER)
        v = lua_tonumber(L, -1);
    else if ((t = lb_test_tensor(L, -1)) != NULL && tensor_count(&t->t) == 1)
        v = tensor_item(&t->t);
    else if (!lua_isnil(L, -1))
        lb_error(L, ERR_OPTION, "%s must be a number, got a %s", key,
                 luaL_typename(L, -1));
    lua_pop(L, 1);
    return v;
}

void lb_set_names(lua_State *L, int idx, const char *key, Figure *f, int n,
                  SetName *set)
{
    Err err;
    lua_getfield(L, idx, key);
    int list = lua_gettop(L);
    if (!lua_isnil(L, list)) {
        if (!lua_istable(L, list) || lua_rawlen(L, list) != (size_t)n)
            lb_error(L, ERR_SHAPE, "%s must be a list of %d texts", key, n);
        for (int i = 0; i < n; i++) {
            lua_rawgeti(L, list, i + 1);
            const char *s = lua_tostring(L, -1);
            if (!s)
                lb_error(L, ERR_OPTION, "%s: item %d is a %s, not a text", key, i + 1,
                         luaL_typename(L, -1));
            if (!set(f, i, s, &err))
                lb_raise(L, &err);
            lua_pop(L, 1);
        }
    }
    lua_settop(L, list - 1);
}

Figure *lb_made(lua_State *L, Figure **slot, Figure *f, const PlotCfg *c,
                const Err *err)
{
    Err e;
    *slot = f;
    if (!f)
        lb_raise(L, err);
    if (!figure_set_title(f, c->title, &e) || !figure_set_caption(f, c->caption, &e))
        lb_raise(L, &e);
    return f;
}

bool lb_has_field(lua_State *L, int idx, const char *key)
{
    bool yes = lua_istable(L, idx) && lua_getfield(L, idx, key) != LUA_TNIL;
    lua_settop(L, lua_istable(L, idx) ? -2 : -1);
    return yes;
}
