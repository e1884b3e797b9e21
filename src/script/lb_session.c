/* lb_session.c -- how a script speaks: settings, log, metrics, progress, values, sleep. All of it
 * goes to the run's journal and nowhere else; viewers draw it. */
#include <math.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "script/lb.h"

/* --- settings -------------------------------------------------------------------------------- */

static int usage(lua_State *L, const char *fmt, ...)
{
    Err err;
    va_list ap;
    lb_of(L)->usage = true;
    va_start(ap, fmt);
    err_vset(&err, ERR_OPTION, fmt, ap);
    va_end(ap);
    lua_pushstring(L, err.msg);
    return lua_error(L);
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

static void check_given(lua_State *L, int given)
{
    const char *names[128];
    size_t n = 0;
    lua_pushnil(L);
    while (lua_next(L, 1)) {
        if (lua_type(L, -2) != LUA_TSTRING)
            lb_error(L, ERR_OPTION, "cl.config: setting names are words");
        if (!lua_isnumber(L, -1) && !lua_isboolean(L, -1) && !lua_isstring(L, -1))
            lb_error(L, ERR_OPTION, "cl.config: the default of '%s' must be a number, a text or "
                     "a boolean", lua_tostring(L, -2));
        if (n < ARRAY_LEN(names))
            names[n++] = lua_tostring(L, -2);
        lua_pop(L, 1);
    }
    lua_pushnil(L);
    while (lua_next(L, given)) {
        const char *key = lua_tostring(L, -2);
        lua_pushvalue(L, -2);
        if (lua_rawget(L, 1) == LUA_TNIL) {
            const char *near = text_nearest(key, names, n);
            Str all;
            str_init(&all);
            for (size_t i = 0; i < n; i++)
                str_addf(&all, "%s%s", i ? ", " : "", names[i]);
            char list[400];
            text_copy(list, sizeof list, all.s);
            str_done(&all);
            usage(L, "unknown setting '%s'%s%s%s; the script has %s", key,
                  near ? ", did you mean '" : "", near ? near : "", near ? "'" : "", list);
        }
        lua_pop(L, 2);
    }
}

static int cl_config(lua_State *L)
{
    Lb *lb = lb_of(L);
    Err err;
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    lua_rawgeti(L, LUA_REGISTRYINDEX, lb->settings); /* 2 */
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
    json_t *j = lb->run ? lb_to_json(L, 3, 0) : NULL;
    if (lb->run && !run_set(lb->run, "settings", j, &err))
        return lb_raise(L, &err);
    return 1;
}

/* --- speaking ------------------------------------------------------------------------------------ */

static int cl_log(lua_State *L)
{
    Lb *lb = lb_of(L);
    Err err;
    const char *text = luaL_tolstring(L, 1, NULL);
    if (lb->run && !journal_event(run_journal(lb->run), "log",
                                  json_pack("{s:s}", "text", text), &err))
        return lb_raise(L, &err);
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
        if (lua_type(L, -2) != LUA_TSTRING || (!lua_isnumber(L, -1) && !t) || n == CAP)
            return lb_error(L, ERR_OPTION, "cl.metric: a table of at most %d named numbers is "
                            "needed", CAP);
        names[n] = lua_tostring(L, -2);
        v[n++] = t ? tensor_item(&lb_check_tensor(L, lua_gettop(L))->t) : lua_tonumber(L, -1);
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
    lua_createtable(L, 0, 3);
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
    Str t;
    Err err;
    str_init(&t);
    bool ok = doc_text(luaL_optstring(L, 1, NULL), &t, &err);
    if (!ok) {
        str_done(&t);
        return lb_raise(L, &err);
    }
    Lb *lb = lb_of(L);
    str_addc(&t, '\n');
    ok = !lb->run || journal_out(run_journal(lb->run), t.s, t.len, &err);
    str_done(&t);
    return ok ? 0 : lb_raise(L, &err);
}

/* --- values as text and JSON ------------------------------------------------------------------------- */

static void format_table(lua_State *L, int idx, Str *out)
{
    int shown = 0;
    luaL_checkstack(L, 4, "value");
    idx = lua_absindex(L, idx);
    str_add(out, "{");
    lua_pushnil(L);
    while (lua_next(L, idx)) {
        if (shown == 12) {
            str_add(out, ", ...");
            lua_pop(L, 2);
            break;
        }
        str_add(out, shown++ ? ", " : " ");
        if (lua_type(L, -2) == LUA_TSTRING)
            str_addf(out, "%.40s = ", lua_tostring(L, -2));
        if (lua_istable(L, -1))
            str_add(out, "{...}");
        else
            lb_format(L, -1, out);
        lua_pop(L, 1);
    }
    str_add(out, shown ? " }" : "}");
}

void lb_format(lua_State *L, int idx, Str *out)
{
    LTensor *t;
    switch (lua_type(L, idx)) {
    case LUA_TNIL: str_add(out, "nil"); break;
    case LUA_TBOOLEAN: str_add(out, lua_toboolean(L, idx) ? "true" : "false"); break;
    case LUA_TNUMBER:
        if (lua_isinteger(L, idx))
            str_addf(out, "%lld", (long long)lua_tointeger(L, idx));
        else
            str_addf(out, "%.6g", lua_tonumber(L, idx));
        break;
    case LUA_TSTRING: str_addf(out, "%.2000s", lua_tostring(L, idx)); break;
    case LUA_TTABLE: format_table(L, idx, out); break;
    case LUA_TUSERDATA:
        t = lb_test_tensor(L, idx);
        if (t && (t->t.data || tensor_count(&t->t) == 0)) {
            tensor_format(&t->t, out);
        } else {
            int kind = luaL_getmetafield(L, idx, "__name");
            str_add(out, kind == LUA_TSTRING ? lua_tostring(L, -1) : "userdata");
            if (kind != LUA_TNIL)
                lua_pop(L, 1);
        }
        break;
    default: str_add(out, luaL_typename(L, idx));
    }
}

static json_t *number_json(double v)
{
    if (isnan(v))
        return json_string("nan");
    if (isinf(v))
        return json_string(v > 0 ? "inf" : "-inf");
    return json_real(v);
}

static json_t *table_json(lua_State *L, int idx, int depth)
{
    size_t n = lua_rawlen(L, idx);
    json_t *j = n ? json_array() : json_object();
    if (!j || !lua_checkstack(L, 6))
        return j;
    if (n) {
        for (size_t i = 1; i <= n; i++) {
            lua_rawgeti(L, idx, (lua_Integer)i);
            json_array_append_new(j, lb_to_json(L, -1, depth + 1));
            lua_pop(L, 1);
        }
        return j;
    }
    lua_pushnil(L);
    while (lua_next(L, idx)) {
        char key[64];
        const char *name = key;
        if (lua_type(L, -2) == LUA_TSTRING)
            name = lua_tostring(L, -2);
        else if (lua_isinteger(L, -2))
            snprintf(key, sizeof key, "%lld", (long long)lua_tointeger(L, -2));
        else
            snprintf(key, sizeof key, "%s", luaL_typename(L, -2));
        json_object_set_new(j, name, lb_to_json(L, -1, depth + 1));
        lua_pop(L, 1);
    }
    return j;
}

json_t *lb_to_json(lua_State *L, int idx, int depth)
{
    idx = lua_absindex(L, idx);
    LTensor *t;
    if (depth > 16)
        return json_string("...");
    switch (lua_type(L, idx)) {
    case LUA_TNIL: return json_null();
    case LUA_TBOOLEAN: return json_boolean(lua_toboolean(L, idx));
    case LUA_TNUMBER:
        return lua_isinteger(L, idx) ? json_integer(lua_tointeger(L, idx))
                                     : number_json(lua_tonumber(L, idx));
    case LUA_TSTRING: {
        json_t *j = json_string(lua_tostring(L, idx));
        return j ? j : json_string("(text that is not UTF-8)");
    }
    case LUA_TTABLE: return table_json(L, idx, depth);
    case LUA_TUSERDATA:
        t = lb_test_tensor(L, idx);
        if (t && t->t.data && tensor_count(&t->t) == 1)
            return number_json(tensor_item(&t->t));
        break;
    default: break;
    }
    Str s;
    str_init(&s);
    lb_format(L, idx, &s);
    json_t *j = json_string(s.s);
    str_done(&s);
    return j ? j : json_null();
}

const LbFn lb_session_fns[] = {
    { "cl.config", "({ name = default, ... })",
      "Declares a script's settings and returns them, with what `cleave run f.lua name=value` "
      "gave in place of the defaults, typed by the default. A name that was not declared ends "
      "the run with exit code 2.", cl_config, NULL, NULL, "cl.config { seed = 1, epochs = 8 }" },
    { "cl.metric", "(step, { name = value, ... })",
      "Records named numbers at a step; they make the run's curves.", cl_metric, NULL, NULL,
      "cl.metric(10, { loss = 0.5 })" },
    { "cl.log", "(value)", "Writes one line to the run's log.", cl_log, NULL, NULL, NULL },
    { "cl.progress", "(done, total, text)",
      "Reports progress; rate and time left are worked out. At most 10 reports a second are "
      "kept.", cl_progress, NULL, NULL, NULL },
    { "cl.sleep", "(seconds)", "Waits; an interrupt ends it.", cl_sleep, NULL, NULL, NULL },
    { "cl.clock", "()", "Seconds of a steady clock, for durations.", cl_clock, NULL, NULL, NULL },
    { "cl.memory", "()", "Bytes that tensors and the core hold: live, peak, budget.", cl_memory,
      NULL, NULL, NULL },
    { "cl.run_dir", "()", "The folder of this run.", cl_run_dir, NULL, NULL, NULL },
    { "cl.help", "(name)", "Prints the documentation of a name, or the list of names.", cl_help,
      NULL, NULL, "cl.help(\"relu\")" },
};
const size_t lb_n_session_fns = ARRAY_LEN(lb_session_fns);

void lb_open_session(lua_State *L)
{
    (void)L;
}
