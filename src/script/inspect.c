/* inspect.c -- completion and inspection: the value graph by raw access. Metatables
 * are followed only where their __index is a plain table. The collector rests
 * meanwhile, so no finaliser runs, and everything is inside one protected call, so
 * that memory running out is an answer and not a jump. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "lab/jval.h"
#include "script/lb.h"
#include "script/script_int.h"

enum { CHAIN_MAX = 8, TEXT_MAX = 4000, LINE_MAX_BYTES = 160 };

typedef struct Look {
    const char *path;
    double deadline;
    int max;
    bool found;
    json_t *out;
} Look;

static bool expired(const Look *k)
{
    return clock_now() > k->deadline;
}

static bool put(json_t *list, json_t *taken)
{
    return list && json_array_append_new(list, taken) == 0;
}

/* A name that can stand behind a dot. */
static bool is_name(const char *s, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        bool letter = (s[i] >= 'a' && s[i] <= 'z') || (s[i] >= 'A' && s[i] <= 'Z') ||
                      s[i] == '_' || (i > 0 && s[i] >= '0' && s[i] <= '9');
        if (!letter)
            return false;
    }
    return n > 0 && n < 128;
}

static const char *kind_of(lua_State *L, int idx)
{
    int type = lua_type(L, idx);
    if (type != LUA_TUSERDATA || !lua_getmetatable(L, idx))
        return lua_typename(L, type);
    lua_pushliteral(L, "__name");
    const char *name =
        lua_rawget(L, -2) == LUA_TSTRING ? lua_tostring(L, -1) : "userdata";
    lua_pop(L, 2); /* the metatable keeps the name alive */
    return strncmp(name, "cleave.", 7) == 0 ? name + 7 : name;
}

/* Replaces the value on top by the table that a failed look-up goes on to, if there is
 * a plain one; else pops it and returns false. */
static bool push_index_table(lua_State *L)
{
    if (!lua_getmetatable(L, -1)) {
        lua_pop(L, 1);
        return false;
    }
    lua_pushliteral(L, "__index");
    bool table = lua_rawget(L, -2) == LUA_TTABLE;
    lua_replace(L, -3);
    lua_pop(L, 1);
    if (!table)
        lua_pop(L, 1);
    return table;
}

/* Replaces the value on top by its member; false: there is none, and nothing is on
 * top. */
static bool member(lua_State *L, const char *key, size_t n)
{
    for (int i = 0; i < CHAIN_MAX; i++) {
        if (lua_type(L, -1) == LUA_TTABLE) {
            lua_pushlstring(L, key, n);
            if (lua_rawget(L, -2) != LUA_TNIL) {
                lua_replace(L, -2);
                return true;
            }
            lua_pop(L, 1);
        }
        if (!push_index_table(L))
            return false;
    }
    lua_pop(L, 1);
    return false;
}

/* Pushes the value at a path "a.b:c"; "" is the globals of the cells. */
static bool push_path(lua_State *L, const char *path)
{
    lua_rawgeti(L, LUA_REGISTRYINDEX, lb_of(L)->env);
    while (*path) {
        size_t n = strcspn(path, ".:");
        if (!is_name(path, n)) {
            lua_pop(L, 1);
            return false;
        }
        if (!member(L, path, n))
            return false;
        path += n + (path[n] != '\0');
    }
    return true;
}

/* --- fields ----------------------------------------------------------------------- */

static int fields_body(lua_State *L)
{
    Look *k = lua_touserdata(L, 1);
    int count = 0;
    if (!push_path(L, k->path))
        return 0;
    k->found = true;
    for (int i = 0; i < CHAIN_MAX; i++) {
        if (lua_type(L, -1) == LUA_TTABLE) {
            lua_pushnil(L);
            while (lua_next(L, -2)) {
                size_t n = 0;
                const char *key =
                    lua_type(L, -2) == LUA_TSTRING ? lua_tolstring(L, -2, &n) : NULL;
                bool show = key && is_name(key, n) && strncmp(key, "__", 2) != 0;
                if (show && put(k->out, json_pack("{s:s,s:s}", "text", key, "kind",
                                                  kind_of(L, -1))))
                    count++;
                lua_pop(L, 1);
                if (count >= k->max || expired(k))
                    return 0;
            }
        }
        if (!push_index_table(L))
            break;
    }
    return 0;
}

/* --- one value -------------------------------------------------------------------- */

static json_t *text_of(lua_State *L, int idx, size_t max)
{
    Str t;
    str_init(&t);
    lb_format(L, idx, &t);
    if (t.len > max) {
        size_t n = max;
        while (n > 0 && ((unsigned char)t.s[n] & 0xC0) == 0x80)
            n--;
        t.len = n;
        t.s[n] = '\0';
        str_add(&t, " ...");
    }
    json_t *v = t.oom ? NULL : jval_text(t.s, t.len);
    str_done(&t);
    return v;
}

static int describe_body(lua_State *L)
{
    Look *k = lua_touserdata(L, 1);
    if (!push_path(L, k->path))
        return 0;
    k->found = true;
    int idx = lua_gettop(L);
    jval_set(k->out, "name", jval_str(k->path));
    jval_set(k->out, "kind", jval_str(kind_of(L, idx)));
    jval_set(k->out, "text", text_of(L, idx, TEXT_MAX));
    return 0;
}

/* --- variables -------------------------------------------------------------------- */

static int variables_body(lua_State *L)
{
    Look *k = lua_touserdata(L, 1);
    k->found = true;
    lua_rawgeti(L, LUA_REGISTRYINDEX, lb_of(L)->env);
    int env = lua_gettop(L);
    lua_pushglobaltable(L);
    int library = lua_gettop(L);
    lua_pushnil(L);
    while (lua_next(L, env)) {
        int value = lua_gettop(L);
        size_t n = 0;
        const char *key =
            lua_type(L, -2) == LUA_TSTRING ? lua_tolstring(L, -2, &n) : NULL;
        bool ours = key && is_name(key, n) && strcmp(key, "_G") != 0;
        if (ours) {
            lua_pushvalue(L, -2);
            lua_rawget(L, library);
            ours = !lua_rawequal(L, -1, value);
            lua_pop(L, 1);
        }
        if (ours)
            put(k->out,
                json_pack("{s:s,s:s,s:o}", "name", key, "kind", kind_of(L, value),
                          "text", text_of(L, value, LINE_MAX_BYTES)));
        lua_settop(L, value - 1);
        if (expired(k))
            break;
    }
    return 0;
}

/* --- entries ---------------------------------------------------------------------- */

static bool look(Script *s, lua_CFunction body, Look *k, Err *err)
{
    lua_State *L = script_state(s);
    int top = lua_gettop(L);
    bool collected = lua_gc(L, LUA_GCISRUNNING);
    lua_gc(L, LUA_GCSTOP);
    bool room = lua_checkstack(L, 40);
    if (room) {
        lua_pushcfunction(L, body);
        lua_pushlightuserdata(L, k);
    }
    bool ok = room && k->out && lua_pcall(L, 1, 0, 0) == LUA_OK;
    lua_settop(L, top);
    if (collected)
        lua_gc(L, LUA_GCRESTART);
    if (ok && k->found)
        return true;
    json_decref(k->out);
    k->out = NULL;
    if (!ok)
        return err_set(err, ERR_MEMORY, "out of memory while looking at '%s'", k->path);
    return err_set(err, ERR_STATE, "there is no '%s'", k->path);
}

json_t *script_fields(Script *s, const char *path, double deadline, int max, Err *err)
{
    Look k = {.path = path, .deadline = deadline, .max = max, .out = json_array()};
    return look(s, fields_body, &k, err) ? k.out : NULL;
}

json_t *script_describe(Script *s, const char *path, Err *err)
{
    Look k = {.path = path, .out = json_object()};
    return look(s, describe_body, &k, err) ? k.out : NULL;
}

static int by_name(const void *a, const void *b)
{
    json_t *const *x = a, *const *y = b;
    return strcmp(jval_get(*x, "name", ""), jval_get(*y, "name", ""));
}

json_t *script_variables(Script *s, double deadline, Err *err)
{
    Look k = {.path = "", .deadline = deadline, .out = json_array()};
    if (!look(s, variables_body, &k, err))
        return NULL;
    size_t n = json_array_size(k.out);
    json_t **item = mem_array(n + 1, sizeof *item, err);
    json_t *sorted = json_array();
    for (size_t i = 0; item && i < n; i++)
        item[i] = json_array_get(k.out, i);
    if (item)
        qsort(item, n, sizeof *item, by_name);
    bool ok = item && sorted;
    for (size_t i = 0; ok && i < n; i++)
        ok = json_array_append(sorted, item[i]) == 0;
    mem_free(item);
    json_decref(k.out);
    if (ok)
        return sorted;
    json_decref(sorted);
    err_set(err, ERR_MEMORY, "out of memory while looking at the variables");
    return NULL;
}

static bool ends_early(lua_State *L, const char *text, size_t n, bool *whole)
{
    size_t len = 0;
    int status = luaL_loadbufferx(L, text, n, "=", "t");
    const char *msg = status == LUA_ERRSYNTAX ? lua_tolstring(L, -1, &len) : "";
    bool early = len >= 5 && strcmp(msg + len - 5, "<eof>") == 0;
    *whole = status == LUA_OK;
    lua_pop(L, 1);
    return early;
}

bool script_wants_more(const char *text, size_t n)
{
    lua_State *L = luaL_newstate();
    Str value;
    bool whole = false, is_value = false, more = false;
    str_init(&value);
    str_add(&value, "return ");
    str_addn(&value, text, n);
    if (L && !value.oom) {
        more = ends_early(L, value.s, value.len, &is_value);
        more = ends_early(L, text, n, &whole) || more;
    }
    str_done(&value);
    if (L)
        lua_close(L);
    return more && !whole && !is_value;
}
