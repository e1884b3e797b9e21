/* sandbox.c -- the standard library as scripts get it. Taken out: what ends the
 * process or loads machine code (os.exit, os.setlocale, C loaders, binary chunks,
 * string.dump), and the parts of `debug` that could hand a userdata a wrong type or
 * remove the interrupt's hook. Replaced: print and io.write go to the run;
 * coroutine.resume, wrap and close keep track of the coroutine that runs, because a
 * hook belongs to one coroutine. */
#include <lualib.h>
#include <stdio.h>

#include "base/intr.h"
#include "script/lb.h"

/* --- coroutines ------------------------------------------------------------------- */

static lua_State *enter(lua_State *L, lua_State *co)
{
    Lb *lb = lb_of(L);
    lua_State *before = lb->current;
    lb->current = co;
    if (intr_pending())
        lb_stop_hook(co);
    return before;
}

static void leave(lua_State *L, lua_State *before)
{
    lb_of(L)->current = before;
    if (intr_pending())
        lb_stop_hook(before);
}

/* Pushes results or one error value on L; returns their count, or -1 for an error. */
static int resume_with(lua_State *L, lua_State *co, int n)
{
    int n_results;
    if (!lua_checkstack(co, n)) {
        lua_pushliteral(L, "too many arguments to resume");
        return -1;
    }
    lua_xmove(L, co, n);
    lua_State *before = enter(L, co);
    int status = lua_resume(co, L, n, &n_results);
    leave(L, before);
    if (status != LUA_OK && status != LUA_YIELD) {
        lua_xmove(co, L, 1);
        return -1;
    }
    if (!lua_checkstack(L, n_results + 1)) {
        lua_pop(co, n_results);
        lua_pushliteral(L, "too many results to resume");
        return -1;
    }
    lua_xmove(co, L, n_results);
    return n_results;
}

static int co_resume(lua_State *L)
{
    lua_State *co = lua_tothread(L, 1);
    luaL_argexpected(L, co, 1, "coroutine");
    int n = resume_with(L, co, lua_gettop(L) - 1);
    lua_pushboolean(L, n >= 0);
    lua_insert(L, n >= 0 ? -(n + 1) : -2);
    return n >= 0 ? n + 1 : 2;
}

static int co_wrapped(lua_State *L)
{
    lua_State *co = lua_tothread(L, lua_upvalueindex(1));
    int n = resume_with(L, co, lua_gettop(L));
    if (n >= 0)
        return n;
    int status = lua_status(co);
    if (status != LUA_OK && status != LUA_YIELD) {
        lua_State *before = enter(L, co);
        status = lua_resetthread(co); /* closes its pending variables */
        leave(L, before);
        if (status != LUA_OK)
            lua_xmove(co, L, 1);
    }
    if (status != LUA_ERRMEM && lua_type(L, -1) == LUA_TSTRING) {
        luaL_where(L, 1);
        lua_insert(L, -2);
        lua_concat(L, 2);
    }
    return lua_error(L);
}

static int co_wrap(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TFUNCTION);
    lua_State *co = lua_newthread(L);
    lua_pushvalue(L, 1);
    lua_xmove(L, co, 1);
    lua_pushcclosure(L, co_wrapped, 1);
    return 1;
}

/* Pending variables are closed in the coroutine; upvalue 1 is the library's close. */
static int co_close(lua_State *L)
{
    lua_State *co = lua_tothread(L, 1);
    luaL_argexpected(L, co, 1, "coroutine");
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_insert(L, 1);
    lua_State *before = enter(L, co);
    int status = lua_pcall(L, lua_gettop(L) - 1, LUA_MULTRET, 0);
    leave(L, before);
    return status == LUA_OK ? lua_gettop(L) : lua_error(L);
}

/* --- output ----------------------------------------------------------------------- */

static void put_out(lua_State *L, const char *text, size_t n)
{
    Lb *lb = lb_of(L);
    Err err;
    if (!lb->run)
        fwrite(text, 1, n, stdout);
    else if (!journal_out(run_journal(lb->run), text, n, &err))
        lb_raise(L, &err);
}

static int print_fn(lua_State *L)
{
    int n = lua_gettop(L);
    luaL_Buffer b;
    luaL_buffinit(L, &b);
    for (int i = 1; i <= n; i++) {
        if (i > 1)
            luaL_addchar(&b, '\t');
        luaL_tolstring(L, i, NULL);
        luaL_addvalue(&b);
    }
    luaL_addchar(&b, '\n');
    luaL_pushresult(&b);
    size_t len;
    const char *text = lua_tolstring(L, -1, &len);
    put_out(L, text, len);
    return 0;
}

/* Upvalues: the library's io.write, io.output and io.stdout. A file that the script
 * made its output is written by the library. */
static int write_fn(lua_State *L)
{
    int n = lua_gettop(L);
    lua_pushvalue(L, lua_upvalueindex(2));
    lua_call(L, 0, 1);
    bool ours = lua_rawequal(L, -1, lua_upvalueindex(3));
    lua_pop(L, 1);
    if (!ours) {
        lua_pushvalue(L, lua_upvalueindex(1));
        lua_insert(L, 1);
        lua_call(L, n, LUA_MULTRET);
        return lua_gettop(L);
    }
    for (int i = 1; i <= n; i++) {
        size_t len;
        const char *text = luaL_checklstring(L, i, &len);
        put_out(L, text, len);
    }
    lua_pushvalue(L, lua_upvalueindex(3));
    return 1;
}

/* --- loading text only ------------------------------------------------------------ */

/* load(chunk, name, mode, env): binary chunks could crash the interpreter. Globals
 * are the cells' unless env is given. */
static int load_fn(lua_State *L)
{
    bool has_env = !lua_isnone(L, 4);
    lua_settop(L, 4);
    if (!has_env)
        lua_rawgeti(L, LUA_REGISTRYINDEX, lb_of(L)->env);
    if (!has_env)
        lua_replace(L, 4);
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_pushvalue(L, 1);
    lua_pushvalue(L, 2);
    lua_pushliteral(L, "t");
    lua_pushvalue(L, 4);
    lua_call(L, 4, LUA_MULTRET);
    return lua_gettop(L) - 4;
}

/* Pushes the function, or an error text (false). env: stack index, 0: the cells'
 * globals. */
static bool load_file(lua_State *L, const char *path, int env)
{
    if (luaL_loadfilex(L, path, "t") != LUA_OK)
        return false;
    if (env)
        lua_pushvalue(L, env);
    else
        lua_rawgeti(L, LUA_REGISTRYINDEX, lb_of(L)->env);
    if (!lua_setupvalue(L, -2, 1))
        lua_pop(L, 1);
    return true;
}

static int loadfile_fn(lua_State *L)
{
    const char *path = luaL_checkstring(L, 1);
    if (load_file(L, path, lua_isnone(L, 3) ? 0 : 3))
        return 1;
    lua_pushnil(L);
    lua_insert(L, -2);
    return 2;
}

static int dofile_fn(lua_State *L)
{
    lua_settop(L, 1);
    if (!load_file(L, luaL_checkstring(L, 1), 0))
        return lua_error(L);
    lua_call(L, 0, LUA_MULTRET);
    return lua_gettop(L) - 1;
}

/* Finds Lua modules along package.path; upvalues: package, its searchpath. */
static int search_lua(lua_State *L)
{
    const char *name = luaL_checkstring(L, 1);
    lua_pushvalue(L, lua_upvalueindex(2));
    lua_pushvalue(L, 1);
    if (lua_getfield(L, lua_upvalueindex(1), "path") != LUA_TSTRING)
        return luaL_error(L, "'package.path' must be a string");
    lua_call(L, 2, 2);
    if (lua_isnil(L, -2))
        return 1; /* the list of places looked at */
    lua_pop(L, 1);
    const char *path = lua_tostring(L, -1);
    if (luaL_loadfilex(L, path, "t") != LUA_OK)
        return luaL_error(L, "error loading module '%s' from file '%s':\n\t%s", name,
                          path, lua_tostring(L, -1));
    lua_pushstring(L, path);
    return 2;
}

/* --- opening ---------------------------------------------------------------------- */

static void drop(lua_State *L, const char *table, const char *field)
{
    lua_getglobal(L, table);
    lua_pushnil(L);
    lua_setfield(L, -2, field);
    lua_pop(L, 1);
}

static void limit_packages(lua_State *L)
{
    lua_getglobal(L, "package");
    lua_getfield(L, -1, "searchers"); /* preload, then Lua files; no C loaders */
    lua_pushvalue(L, -2);
    lua_getfield(L, -3, "searchpath");
    lua_pushcclosure(L, search_lua, 2);
    lua_rawseti(L, -2, 2);
    for (int i = 3; i <= 4; i++) {
        lua_pushnil(L);
        lua_rawseti(L, -2, i);
    }
    lua_pop(L, 2);
    drop(L, "package", "loadlib");
    drop(L, "package", "cpath");
}

/* Only what looks and does not change anything stays. */
static void limit_debug(lua_State *L)
{
    static const char *const keep[] = {"traceback", "getinfo", "getlocal", "getupvalue",
                                       "upvalueid"};
    lua_getglobal(L, "debug");
    lua_newtable(L);
    for (size_t i = 0; i < ARRAY_LEN(keep); i++) {
        lua_getfield(L, -2, keep[i]);
        lua_setfield(L, -2, keep[i]);
    }
    luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
    lua_pushvalue(L, -2);
    lua_setfield(L, -2, "debug");
    lua_pop(L, 1);
    lua_setglobal(L, "debug");
    lua_pop(L, 1);
}

static void replace_coroutines(lua_State *L)
{
    lua_getglobal(L, "coroutine");
    lua_pushcfunction(L, co_resume);
    lua_setfield(L, -2, "resume");
    lua_pushcfunction(L, co_wrap);
    lua_setfield(L, -2, "wrap");
    lua_getfield(L, -1, "close");
    lua_pushcclosure(L, co_close, 1);
    lua_setfield(L, -2, "close");
    lua_pop(L, 1);
}

static void replace_output(lua_State *L)
{
    lua_getglobal(L, "io");
    lua_getfield(L, -1, "write");
    lua_getfield(L, -2, "output");
    lua_getfield(L, -3, "stdout");
    lua_pushcclosure(L, write_fn, 3);
    lua_setfield(L, -2, "write");
    lua_pop(L, 1);
    lua_register(L, "print", print_fn);
}

void lb_open_safe(lua_State *L)
{
    luaL_openlibs(L);
    drop(L, "os", "exit");
    drop(L, "os", "setlocale");
    drop(L, "string", "dump");
    limit_packages(L);
    limit_debug(L);
    replace_coroutines(L);
    replace_output(L);
    lua_getglobal(L, "load");
    lua_pushcclosure(L, load_fn, 1);
    lua_setglobal(L, "load");
    lua_register(L, "loadfile", loadfile_fn);
    lua_register(L, "dofile", dofile_fn);
}
