/* lb_part.c -- a run that a script begins itself: a cell, or a loop over settings, is a
 * row of its own among the runs. Who keeps the record opens the folder (script_on_run()). */
#include <limits.h>
#include <string.h>

#include "lab/jval.h"
#include "script/lb.h"

static void release_settings(void *p)
{
    json_decref(p);
}

/* The plain members of the table at 1 but its name; the guard is on the stack. */
static LbGuard *take_settings(lua_State *L)
{
    LbGuard *g = lb_push_guard(L, release_settings);
    g->p = json_object();
    lua_pushnil(L);
    while (lua_next(L, 1)) {
        int type = lua_type(L, -1);
        if (lua_type(L, -2) != LUA_TSTRING)
            lb_error(L, ERR_OPTION, "cl.run: settings have names: cl.run { width = 32 }");
        const char *key = lua_tostring(L, -2);
        if (type != LUA_TNUMBER && type != LUA_TBOOLEAN && type != LUA_TSTRING)
            lb_error(L, ERR_OPTION,
                     "cl.run: the setting '%s' must be a number, a text or a boolean, "
                     "not a %s",
                     key, luaL_typename(L, -1));
        if (strcmp(key, "name") != 0)
            jval_set(g->p, key, lb_to_json(L, -1));
        else if (type != LUA_TSTRING)
            lb_error(L, ERR_OPTION, "cl.run: the name is a text");
        lua_pop(L, 1);
    }
    return g;
}

static int cl_run(lua_State *L)
{
    Lb *lb = lb_of(L);
    char dir[PATH_MAX];
    Err err = {0};
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    lua_getfield(L, 1, "name"); /* 2 */
    LbGuard *settings = take_settings(L);
    const char *name = lua_isstring(L, 2) ? lua_tostring(L, 2) : "";
    if (!lb->run)
        return 0;
    bool ok = lb->open_run ? lb->open_run(lb->open_run_ctx, name, settings->p, dir,
                                          sizeof dir, &err)
                           : run_add(lb->run, "settings", settings->p, &err);
    if (!lb->open_run)
        text_copy(dir, sizeof dir, run_dir(lb->run));
    lb_unguard(settings);
    if (!ok)
        return lb_raise(L, &err);
    lua_pushstring(L, dir);
    return 1;
}

const LbFn lb_part_fns[] = {
    {"cl.run", "({ name = text, setting = value, ... })",
     "Begins a run of its own: what is measured, printed and drawn from here to the next "
     "cl.run, or to the end of the cells that wait (of the script), is kept in a folder "
     "that `cleave runs` and the runs pane list under the name, with the settings as "
     "columns. Settings are numbers, texts or booleans. In a notebook a cell that "
     "measures opens a run by itself; this one says what it is. In a script, the "
     "script's own run has everything too. Returns the folder.",
     cl_run, NULL, NULL, "cl.run { name = \"wide\", width = 32 }"},
};
const size_t lb_n_part_fns = ARRAY_LEN(lb_part_fns);
