/* lb_session.c -- how a script speaks: settings, log, metrics, progress, values,
 * sleep. All of it goes to the run's journal and nowhere else; viewers draw it. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "lab/jval.h"
#include "script/lb.h"

/* --- settings --------------------------------------------------------------------- */

static int usage(lua_State *L, const char *fmt, ...)
{
    Lb *lb = lb_of(L);
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(lb->usage, sizeof lb->usage, fmt, ap);
    va_end(ap);
    lua_pushstring(L, lb->usage);
    return lua_error(L);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Pushes the text converted to the type of the default at idx. */
static void convert(lua_State *L, const char *name, const char *text, int idx)
{
    switch (lua_type(L, idx)) {
    case LUA_TNUMBER:
        if (!lua_stringtonumber(L, text))
            usage(L, "setting %s: '%s' is not a number (default %s)", name, text,
                  luaL_tolstring(L, idx, NULL));
        if (lua_isinteger(L, idx) && !lua_isinteger(L, -1)) {
            lua_Number v = lua_tonumber(L, -1);
            if (v != floor(v) || fabs(v) > 9e15)
                usage(L, "setting %s: '%s' is not an integer", name, text);
            lua_pop(L, 1);
            lua_pushinteger(L, (lua_Integer)v);
        }
        break;
    case LUA_TBOOLEAN:
        if (strcmp(text, "true") && strcmp(text, "false"))
            usage(L, "setting %s: '%s' is neither true nor false", name, text);
        lua_pushboolean(L, text[0] == 't');
        break;
    default: lua_pushstring(L, text);
    }
}

static void unknown_setting(lua_State *L, const char *key, const char **names, size_t n)
{
    char list[120] = "";
    qsort(names, n, sizeof *names, by_name); /* Lua's order differs from run to run */
    const char *near = text_nearest(key, names, n);
    for (size_t i = 0, at = 0; i < n && at < sizeof list; i++)
        at += (size_t)snprintf(list + at, sizeof list - at, "%s%s", i ? ", " : "",
                               names[i]);
    usage(L, "unknown setting '%.60s'%s%.30s%s; the script has %s", key,
          near ? ", did you mean '" : "", near ? near : "", near ? "'" : "",
          n ? list : "no settings");
}

static void check_given(lua_State *L, int given)
{
    const char *names[128];
    size_t n = 0;
    lua_pushnil(L);
    while (lua_next(L, 1)) {
        if (lua_type(L, -2) != LUA_TSTRING)
            lb_error(L, ERR_OPTION, "cl.config: setting names are words");
        int type = lua_type(L, -1);
        if (type != LUA_TNUMBER && type != LUA_TBOOLEAN && type != LUA_TSTRING)
            lb_error(L, ERR_OPTION,
                     "cl.config: the default of '%s' must be a number, a text or "
                     "a boolean",
                     lua_tostring(L, -2));
        if (n < ARRAY_LEN(names))
            names[n++] = lua_tostring(L, -2);
        lua_pop(L, 1);
    }
    lua_pushnil(L);
    while (lua_next(L, given)) {
        const char *key = lua_tostring(L, -2);
        lua_pushvalue(L, -2);
        if (lua_rawget(L, 1) == LUA_TNIL)
            unknown_setting(L, key, names, n);
        lua_pop(L, 2);
    }
}

static void unknown_profile(lua_State *L, const char *name, int profiles)
{
    const char *names[32];
    size_t n = 0;
    lua_pushnil(L);
    while (lua_next(L, profiles)) {
        lua_pop(L, 1);
        if (lua_type(L, -1) == LUA_TSTRING && n < ARRAY_LEN(names))
            names[n++] = lua_tostring(L, -1);
    }
    char list[120] = "";
    qsort(names, n, sizeof *names, by_name);
    for (size_t i = 0, at = 0; i < n && at < sizeof list; i++)
        at += (size_t)snprintf(list + at, sizeof list - at, "%s%s", i ? ", " : "",
                               names[i]);
    usage(L, "unknown profile '%.60s'; the script has %s", name, list);
}

/* Takes `profiles` out of the declaration at 1 (a copy takes its place): the one
 * that the setting `profile` names, given at 2 or declared, replaces defaults. */
static void apply_profile(lua_State *L)
{
    if (lua_getfield(L, 1, "profiles") != LUA_TTABLE) { /* 3 */
        lua_pop(L, 1);
        return;
    }
    lua_newtable(L); /* 4 */
    lua_pushliteral(L, "");
    lua_setfield(L, 4, "profile");
    lua_pushnil(L);
    while (lua_next(L, 1)) {
        lua_pushvalue(L, -2);
        lua_insert(L, -2);
        lua_rawset(L, 4);
    }
    lua_pushnil(L);
    lua_setfield(L, 4, "profiles");
    if (lua_getfield(L, 2, "profile") != LUA_TSTRING) /* 5 */
        lua_getfield(L, 4, "profile");                /* 6, or still 5 */
    if (lua_type(L, -1) != LUA_TSTRING)
        lb_error(L, ERR_OPTION, "profile must be the name of a profile, not a %s",
                 luaL_typename(L, -1));
    const char *name = lua_tostring(L, -1);
    int kind = name[0] ? lua_getfield(L, 3, name) : LUA_TNIL;
    if (name[0] && kind != LUA_TTABLE)
        unknown_profile(L, name, 3);
    int chosen = lua_gettop(L);
    lua_pushnil(L);
    while (kind == LUA_TTABLE && lua_next(L, chosen)) {
        lua_pushvalue(L, -2);
        if (lua_rawget(L, 4) != lua_type(L, -2))
            lb_error(L, ERR_OPTION,
                     "cl.config: profile '%s' sets '%s', which is no setting of "
                     "that type",
                     name, luaL_tolstring(L, -3, NULL));
        lua_pop(L, 1);
        lua_pushvalue(L, -2);
        lua_insert(L, -2);
        lua_rawset(L, 4);
    }
    lua_pushvalue(L, 4);
    lua_replace(L, 1);
    lua_settop(L, 2);
}

static int cl_config(lua_State *L)
{
    Lb *lb = lb_of(L);
    Err err;
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    lua_rawgeti(L, LUA_REGISTRYINDEX, lb->settings); /* 2 */
    apply_profile(L);
    check_given(L, 2);
    lua_newtable(L); /* 3: the result */
    lua_pushnil(L);
    while (lua_next(L, 1)) {
        int value = lua_gettop(L);
        const char *name = lua_tostring(L, -2);
        if (lua_getfield(L, 2, name) == LUA_TSTRING)
            convert(L, name, lua_tostring(L, -1), value);
        else
            lua_pushvalue(L, value);
        lua_setfield(L, 3, name);
        lua_settop(L, value - 1);
    }
    lb->config_seen = true;
    json_t *j = lb->run ? lb_to_json(L, 3) : NULL;
    if (lb->run && !run_set(lb->run, "settings", j, &err))
        return lb_raise(L, &err);
    return 1;
}

/* --- speaking --------------------------------------------------------------------- */

void lb_log(lua_State *L, const char *text, size_t n)
{
    Lb *lb = lb_of(L);
    Err err;
    if (lb->run && !journal_event(run_journal(lb->run), "log",
                                  json_pack("{s:o}", "text", jval_text(text, n)), &err))
        lb_raise(L, &err);
}

static int cl_log(lua_State *L)
{
    size_t n;
    const char *text = luaL_tolstring(L, 1, &n);
    lb_log(L, text, n);
    return 0;
}

static int cl_metric(lua_State *L)
{
    enum { CAP = 64 };
    Lb *lb = lb_of(L);
    Err err;
    const char *names[CAP];
    double v[CAP];
    int n = 0;
    lua_Integer step = luaL_checkinteger(L, 1);
    luaL_checktype(L, 2, LUA_TTABLE);
    lua_pushnil(L);
    while (lua_next(L, 2)) {
        LTensor *t = lb_test_tensor(L, -1);
        if (lua_type(L, -2) != LUA_TSTRING || n == CAP ||
            (t ? tensor_count(&t->t) != 1 : lua_type(L, -1) != LUA_TNUMBER))
            return lb_error(L, ERR_OPTION,
                            "cl.metric: a table of at most %d named numbers is "
                            "needed",
                            CAP);
        names[n] = lua_tostring(L, -2);
        if (strcmp(names[n], "step") == 0 || strcmp(names[n], "t") == 0)
            return lb_error(L, ERR_OPTION,
                            "cl.metric: '%s' is a column of the record itself; choose "
                            "another name",
                            names[n]);
        v[n++] = t ? tensor_item(&t->t) : lua_tonumber(L, -1);
        lua_pop(L, 1);
    }
    /* next() visits names in no fixed order; the record has them sorted */
    for (int i = 1; i < n; i++)
        for (int k = i; k > 0 && strcmp(names[k - 1], names[k]) > 0; k--) {
            const char *name = names[k];
            double value = v[k];
            names[k] = names[k - 1];
            v[k] = v[k - 1];
            names[k - 1] = name;
            v[k - 1] = value;
        }
    if (lb->run && !journal_metric(run_journal(lb->run), step, names, v, n, &err))
        return lb_raise(L, &err);
    return 0;
}

static int cl_progress(lua_State *L)
{
    Lb *lb = lb_of(L);
    Err err;
    double done = luaL_checknumber(L, 1), total = luaL_optnumber(L, 2, 0);
    const char *text = luaL_optstring(L, 3, "");
    if (lb->run && !journal_progress(run_journal(lb->run), done, total, text, &err))
        return lb_raise(L, &err);
    return 0;
}

static int cl_sleep(lua_State *L)
{
    Err err;
    double s = luaL_checknumber(L, 1);
    luaL_argcheck(L, s >= 0, 1, "seconds cannot be negative");
    return clock_sleep(s, &err) ? 0 : lb_raise(L, &err);
}

static int cl_clock(lua_State *L)
{
    lua_pushnumber(L, clock_now());
    return 1;
}

static int cl_memory(lua_State *L)
{
    lua_createtable(L, 0, 4);
    lua_pushinteger(L, (lua_Integer)lb_of(L)->lua_bytes);
    lua_setfield(L, -2, "lua");
    lua_pushinteger(L, (lua_Integer)mem_live());
    lua_setfield(L, -2, "live");
    lua_pushinteger(L, (lua_Integer)mem_peak());
    lua_setfield(L, -2, "peak");
    lua_pushinteger(L, (lua_Integer)mem_budget());
    lua_setfield(L, -2, "budget");
    return 1;
}

static int cl_run_dir(lua_State *L)
{
    Lb *lb = lb_of(L);
    if (!lb->run)
        return 0;
    lua_pushstring(L, run_dir(lb->run));
    return 1;
}

static int cl_help(lua_State *L)
{
    Err err;
    const char *name = luaL_optstring(L, 1, NULL);
    Str *t = lb_push_str(L);
    if (!doc_text(name, t, &err))
        return lb_raise(L, &err);
    lb_push_text(L, t);
    lua_getglobal(L, "print");
    lua_insert(L, -2);
    lua_call(L, 1, 0);
    return 0;
}

const LbFn lb_session_fns[] = {
    {"cl.config", "({ name = default, ... })",
     "Declares a script's settings and returns them, with what `cleave run f.lua "
     "name=value` "
     "gave in place of the defaults, typed by the default. A name that was not "
     "declared ends "
     "the run with exit code 2. `profiles = { quick = { epochs = 1 } }` names sets of "
     "other "
     "defaults; `profile=quick` chooses one.",
     cl_config, NULL, NULL, "cl.config { seed = 1, epochs = 8 }"},
    {"cl.metric", "(step, { name = value, ... })",
     "Records named numbers at a step; they make the run's curves.", cl_metric, NULL,
     NULL, "cl.metric(10, { loss = 0.5 })"},
    {"cl.log", "(value)", "Writes one line to the run's log.", cl_log, NULL, NULL,
     NULL},
    {"cl.progress", "(done, total, text)",
     "Reports progress; rate and time left are worked out. At most 10 reports a second "
     "are "
     "kept.",
     cl_progress, NULL, NULL, NULL},
    {"cl.sleep", "(seconds)", "Waits; an interrupt ends it.", cl_sleep, NULL, NULL,
     NULL},
    {"cl.clock", "()", "Seconds of a steady clock, for durations.", cl_clock, NULL,
     NULL, NULL},
    {"cl.memory", "()",
     "Bytes that tensors and the core hold (live, peak, of budget), and those of Lua's "
     "own "
     "values (lua).",
     cl_memory, NULL, NULL, NULL},
    {"cl.run_dir", "()", "The folder of this run.", cl_run_dir, NULL, NULL, NULL},
    {"cl.help", "(name)", "Prints the documentation of a name, or the list of names.",
     cl_help, NULL, NULL, "cl.help(\"relu\")"},
};
const size_t lb_n_session_fns = ARRAY_LEN(lb_session_fns);

void lb_open_session(lua_State *L)
{
    (void)L;
}
