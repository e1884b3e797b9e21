/* lb_shards.c -- rows streamed from many files, in Lua. */
#include <string.h>

#include "data/shards.h"
#include "script/lb_objects.h"

#define LB_SHARDS "cleave.shards"

typedef struct LShards {
    Shards *s; /* NULL: closed */
} LShards;

static Shards *check_shards(lua_State *L, int arg)
{
    LShards *s = luaL_checkudata(L, arg, LB_SHARDS);
    luaL_argcheck(L, s->s, arg, "these shards were closed");
    return s->s;
}

const Shards *lb_test_shards(lua_State *L, int arg)
{
    return luaL_testudata(L, arg, LB_SHARDS) ? check_shards(L, arg) : NULL;
}

static int shards_gc(lua_State *L)
{
    LShards *s = luaL_checkudata(L, 1, LB_SHARDS);
    shards_free(s->s);
    s->s = NULL;
    return 0;
}

int lb_data_shards(lua_State *L)
{
    Err err;
    ShardsCfg cfg;
    const char *pattern = luaL_checkstring(L, 1);
    lb_options(L, 2, "cl.data.shards", shards_options, shards_n_options, &cfg);
    LShards *s = lua_newuserdatauv(L, sizeof *s, 0);
    s->s = NULL;
    luaL_setmetatable(L, LB_SHARDS);
    if (!(s->s = shards_open(pattern, &cfg, &err)))
        return lb_raise(L, &err);
    lb_pace(L);
    return 1;
}

int lb_shards_next(lua_State *L)
{
    Err err;
    int64_t n;
    Shards *s = check_shards(L, 1);
    LTensor *out = lb_push_tensor(L);
    if (!shards_next(s, &out->t, &n, &err))
        return lb_raise(L, &err);
    lb_pace(L);
    return n > 0;
}

int lb_shards_load(lua_State *L)
{
    Err err;
    Shards *s = check_shards(L, 1);
    lua_Integer rows = luaL_optinteger(L, 2, 0);
    luaL_argcheck(L, rows >= 0, 2, "a number of rows");
    LTensor *out = lb_push_tensor(L);
    if (!shards_load(s, rows, &out->t, &err))
        return lb_raise(L, &err);
    lb_pace(L);
    return 1;
}

static int next_batch(lua_State *L)
{
    lua_settop(L, 1); /* the state of the loop: the shards */
    return lb_shards_next(L);
}

int lb_shards_batches(lua_State *L)
{
    Err err;
    Shards *s = check_shards(L, 1);
    if (shards_position(s) > 0 && !shards_seek(s, shards_epoch(s) + 1, 0, &err))
        return lb_raise(L, &err);
    lua_pushcfunction(L, next_batch);
    lua_pushvalue(L, 1);
    return 2;
}

int lb_shards_seek(lua_State *L)
{
    Err err;
    Shards *s = check_shards(L, 1);
    return shards_seek(s, luaL_checkinteger(L, 2), luaL_checkinteger(L, 3), &err)
               ? 0
               : lb_raise(L, &err);
}

static void push_shape(lua_State *L, const Shards *s)
{
    int64_t dim[MAX_DIM];
    int n = shards_row_shape(s, dim);
    lua_createtable(L, n, 0);
    for (int i = 0; i < n; i++) {
        lua_pushinteger(L, dim[i]);
        lua_rawseti(L, -2, i + 1);
    }
}

static int shards_index(lua_State *L)
{
    const Shards *s = check_shards(L, 1);
    const char *key = luaL_checkstring(L, 2);
    luaL_getmetatable(L, LB_SHARDS);
    lua_getfield(L, -1, "methods");
    lua_pushvalue(L, 2);
    if (lua_rawget(L, -2) != LUA_TNIL)
        return 1;
    if (!strcmp(key, "rows"))
        lua_pushinteger(L, shards_rows(s));
    else if (!strcmp(key, "files"))
        lua_pushinteger(L, shards_files(s));
    else if (!strcmp(key, "epoch"))
        lua_pushinteger(L, shards_epoch(s));
    else if (!strcmp(key, "position"))
        lua_pushinteger(L, shards_position(s));
    else if (!strcmp(key, "row_shape"))
        push_shape(L, s);
    else
        return lb_error(L, ERR_OPTION,
                        "shards have rows, files, row_shape, epoch, position and "
                        "their methods, but no '%s'",
                        key);
    return 1;
}

static int shards_tostring(lua_State *L)
{
    LShards *s = luaL_checkudata(L, 1, LB_SHARDS);
    if (s->s)
        lua_pushfstring(L, "shards: %I rows in %d files",
                        (LUAI_UACINT)shards_rows(s->s), shards_files(s->s));
    else
        lua_pushliteral(L, "closed shards");
    return 1;
}

void lb_open_shards(lua_State *L)
{
    static const luaL_Reg events[] = {
        {"__index",    shards_index   },
        {"__tostring", shards_tostring},
        {NULL,         NULL           }
    };
    lb_class(L, LB_SHARDS, shards_gc);
    luaL_getmetatable(L, LB_SHARDS);
    lua_newtable(L);
    lua_setfield(L, -2, "methods");
    luaL_setfuncs(L, events, 0);
    lua_pop(L, 1);
}
