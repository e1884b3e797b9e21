/* value.c -- Lua values as text and as JSON, for the journal and for results.
 * Nothing here raises or calls a metamethod but our own objects' __tostring, so both may
 * run while C memory is held.
 * JSON keys are sorted: Lua's own order differs from run to run. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "lab/jval.h"
#include "script/lb.h"

/* --- text ------------------------------------------------------------------------- */

static void add_limited(Str *out, const char *s, size_t n, size_t most)
{
    if (n <= most) {
        str_addn(out, s, n);
        return;
    }
    while (most > 0 && ((unsigned char)s[most] & 0xC0) == 0x80)
        most--; /* not in the middle of a character */
    str_addn(out, s, most);
    str_add(out, "...");
}

static void format_string(lua_State *L, int idx, Str *out, size_t most)
{
    size_t n;
    const char *s = lua_tolstring(L, idx, &n);
    add_limited(out, s, n, most);
}

enum { SHOWN = 12, SCANNED = 5000 };

/* The first keys in order that are texts, of those that are no part of the list of n;
 * *others counts every key that is no part of it. Lua's own order differs from run to run. */
static int first_keys(lua_State *L, int idx, const char *key[SHOWN], lua_Integer n_list,
                      int *others)
{
    int n = 0, seen = 0;
    *others = 0;
    lua_pushnil(L);
    while (lua_next(L, idx)) {
        lua_pop(L, 1);
        if (++seen > SCANNED) {
            lua_pop(L, 1);
            break;
        }
        lua_Integer at = lua_isinteger(L, -1) ? lua_tointeger(L, -1) : 0;
        *others += at < 1 || at > n_list;
        if (lua_type(L, -1) != LUA_TSTRING)
            continue;
        const char *name = lua_tostring(L, -1);
        int i = n < SHOWN ? n++ : SHOWN;
        for (; i > 0 && strcmp(name, key[i - 1]) < 0; i--) {
            if (i < SHOWN)
                key[i] = key[i - 1];
        }
        if (i < SHOWN)
            key[i] = name;
    }
    return n;
}

static void format_member(lua_State *L, Str *out)
{
    if (lua_istable(L, -1))
        str_add(out, "{...}");
    else
        lb_format(L, -1, out);
    lua_pop(L, 1);
}

/* Pushes the member of a key that first_keys() gave; a text pushed anew could raise. */
static void push_member(lua_State *L, int idx, const char *key)
{
    lua_pushnil(L);
    while (lua_next(L, idx)) {
        if (lua_type(L, -2) == LUA_TSTRING && lua_tostring(L, -2) == key) {
            lua_remove(L, -2);
            return;
        }
        lua_pop(L, 1);
    }
    lua_pushnil(L);
}

/* The list first, then names in order. */
static void format_table(lua_State *L, int idx, Str *out)
{
    const char *key[SHOWN];
    int shown = 0, others;
    if (!lua_checkstack(L, 6)) {
        str_add(out, "{...}");
        return;
    }
    idx = lua_absindex(L, idx);
    lua_Integer n = (lua_Integer)lua_rawlen(L, idx);
    int n_keys = first_keys(L, idx, key, n, &others);
    str_add(out, "{");
    for (lua_Integer i = 1; i <= n && shown < SHOWN; i++) {
        str_add(out, shown++ ? ", " : " ");
        lua_rawgeti(L, idx, i);
        format_member(L, out);
    }
    for (int i = 0; i < n_keys && shown < SHOWN; i++) {
        str_add(out, shown++ ? ", " : " ");
        add_limited(out, key[i], strlen(key[i]), 40);
        str_add(out, " = ");
        push_member(L, idx, key[i]);
        format_member(L, out);
    }
    if (shown < n + others)
        str_add(out, shown ? ", ..." : " ...");
    str_add(out, n + others > 0 ? " }" : "}");
}

/* Only our own objects have a __tostring; it is C and runs protected. */
static bool says_itself(lua_State *L, int idx, Str *out)
{
    bool said = false;
    idx = lua_absindex(L, idx);
    if (!lua_checkstack(L, 6) ||
        luaL_getmetafield(L, idx, "__tostring") == LUA_TNIL)
        return false;
    if (lua_iscfunction(L, -1)) {
        lua_pushvalue(L, idx);
        said = lua_pcall(L, 1, 1, 0) == LUA_OK && lua_type(L, -1) == LUA_TSTRING;
    }
    if (said)
        str_add(out, lua_tostring(L, -1));
    lua_pop(L, 1);
    return said;
}

static void format_userdata(lua_State *L, int idx, Str *out)
{
    LTensor *t = lb_peek_tensor(L, idx);
    if (t) {
        tensor_format(&t->t, out);
        return;
    }
    if (luaL_testudata(L, idx, LB_TENSOR)) {
        str_add(out, "closed tensor");
        return;
    }
    if (says_itself(L, idx, out))
        return;
    int kind = luaL_getmetafield(L, idx, "__name");
    str_add(out, kind == LUA_TSTRING ? lua_tostring(L, -1) : "userdata");
    if (kind != LUA_TNIL)
        lua_pop(L, 1);
}

static void format_function(lua_State *L, int idx, Str *out)
{
    lua_Debug ar;
    str_add(out, "function");
    if (!lua_checkstack(L, 2))
        return;
    lua_pushvalue(L, idx);
    if (lua_getinfo(L, ">S", &ar) && ar.linedefined > 0)
        str_addf(out, " of %s:%d", ar.short_src, ar.linedefined);
}

void lb_format(lua_State *L, int idx, Str *out)
{
    switch (lua_type(L, idx)) {
    case LUA_TNIL: str_add(out, "nil"); break;
    case LUA_TBOOLEAN: str_add(out, lua_toboolean(L, idx) ? "true" : "false"); break;
    case LUA_TNUMBER:
        if (lua_isinteger(L, idx))
            str_addf(out, "%" PRId64, (int64_t)lua_tointeger(L, idx));
        else if (isnan(lua_tonumber(L, idx)))
            str_add(out, "nan");
        else
            str_addf(out, "%.6g", lua_tonumber(L, idx));
        break;
    case LUA_TSTRING: format_string(L, idx, out, 2000); break;
    case LUA_TTABLE: format_table(L, idx, out); break;
    case LUA_TUSERDATA: format_userdata(L, idx, out); break;
    case LUA_TFUNCTION: format_function(L, idx, out); break;
    default: str_add(out, lua_typename(L, lua_type(L, idx)));
    }
}

/* --- JSON ------------------------------------------------------------------------- */

enum {
    MAX_DEPTH = 16,
    MAX_VALUES = 200000,
    MAX_LISTED = 4096,
    MAX_TEXT = 4 << 20,
    SHORT_TEXT = 200 /* names and the like are always whole */
};

/* What is being converted: the tables from the outermost in, and how many values and
 * bytes of text remain. */
typedef struct Walk {
    const void *path[MAX_DEPTH + 1];
    int depth;
    long left;
    size_t text;
} Walk;

static json_t *to_json(lua_State *L, int idx, Walk *w);

static json_t *array_json(lua_State *L, int idx, size_t n, Walk *w)
{
    json_t *j = json_array();
    for (size_t i = 1; j && i <= n; i++) {
        if (w->left <= 0) {
            json_array_append_new(j, json_string("..."));
            break;
        }
        lua_rawgeti(L, idx, (lua_Integer)i);
        json_array_append_new(j, to_json(L, -1, w));
        lua_pop(L, 1);
    }
    return j;
}

/* A text, cut where it is more than a record should hold; what was cut is said. */
static json_t *string_json(lua_State *L, int idx, Walk *w)
{
    size_t n;
    const char *s = lua_tolstring(L, idx, &n);
    if (n <= w->text || n <= SHORT_TEXT) {
        w->text -= n < w->text ? n : w->text;
        return jval_text(s, n);
    }
    json_t *j = jval_clipped(s, n, w->text);
    w->text = 0;
    return j;
}

/* The key at -2 as text; what is neither text nor integer is named by its kind. */
static json_t *key_json(lua_State *L, Walk *w)
{
    char text[48];
    if (lua_type(L, -2) == LUA_TSTRING)
        return string_json(L, -2, w);
    if (lua_isinteger(L, -2))
        snprintf(text, sizeof text, "%" PRId64, (int64_t)lua_tointeger(L, -2));
    else if (lua_type(L, -2) == LUA_TNUMBER)
        snprintf(text, sizeof text, "%.17g", lua_tonumber(L, -2));
    else
        snprintf(text, sizeof text, "(%s)", lua_typename(L, lua_type(L, -2)));
    return json_string(text);
}

static int by_key(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The same object with its keys in order; takes j. On no memory the order stays. */
static json_t *sorted(json_t *j)
{
    size_t n = json_object_size(j), i = 0;
    const char **keys = n > 1 ? mem_array(n, sizeof *keys, NULL) : NULL;
    json_t *out = keys ? json_object() : NULL;
    const char *key;
    json_t *value;
    if (!out) {
        mem_free(keys);
        return j;
    }
    json_object_foreach(j, key, value) keys[i++] = key;
    qsort(keys, n, sizeof *keys, by_key);
    for (i = 0; i < n; i++)
        json_object_set(out, keys[i], json_object_get(j, keys[i]));
    mem_free(keys);
    json_decref(j);
    return out;
}

static json_t *object_json(lua_State *L, int idx, Walk *w)
{
    json_t *j = json_object();
    lua_pushnil(L);
    while (j && lua_next(L, idx)) {
        json_t *key = key_json(L, w);
        if (w->left <= 0) {
            json_decref(key);
            jval_set(j, "...", json_string("..."));
            lua_pop(L, 2);
            break;
        }
        if (key)
            jval_set(j, json_string_value(key), to_json(L, -1, w));
        json_decref(key);
        lua_pop(L, 1);
    }
    return j ? sorted(j) : NULL;
}

/* A list has the keys 1..n and no other. */
static bool is_list(lua_State *L, int idx, size_t n)
{
    size_t keys = 0;
    lua_pushnil(L);
    while (lua_next(L, idx)) {
        lua_pop(L, 1);
        if (++keys > n || !lua_isinteger(L, -1)) {
            lua_pop(L, 1);
            return false;
        }
    }
    return keys == n;
}

static json_t *table_json(lua_State *L, int idx, Walk *w)
{
    const void *self = lua_topointer(L, idx);
    for (int i = 0; i < w->depth; i++)
        if (w->path[i] == self)
            return json_string("...");
    if (w->depth >= MAX_DEPTH || !lua_checkstack(L, 6))
        return json_string("...");
    w->path[w->depth++] = self;
    size_t n = lua_rawlen(L, idx);
    json_t *j =
        n && is_list(L, idx, n) ? array_json(L, idx, n, w) : object_json(L, idx, w);
    w->depth--;
    return j;
}

static json_t *tensor_json(const Tensor *t, int axis, int64_t *index)
{
    if (axis == t->ndim)
        return jval_number(tensor_get(t, index));
    json_t *j = json_array();
    for (int64_t i = 0; j && i < t->dim[axis]; i++) {
        index[axis] = i;
        json_array_append_new(j, tensor_json(t, axis + 1, index));
    }
    return j;
}

static json_t *text_json(lua_State *L, int idx)
{
    Str s;
    str_init(&s);
    lb_format(L, idx, &s);
    json_t *j = jval_text(s.s, s.len);
    str_done(&s);
    return j;
}

static json_t *to_json(lua_State *L, int idx, Walk *w)
{
    LTensor *t;
    int64_t index[MAX_DIM] = {0};
    idx = lua_absindex(L, idx);
    w->left--;
    switch (lua_type(L, idx)) {
    case LUA_TNIL: return json_null();
    case LUA_TBOOLEAN: return json_boolean(lua_toboolean(L, idx));
    case LUA_TNUMBER:
        return lua_isinteger(L, idx) ? json_integer(lua_tointeger(L, idx))
                                     : jval_number(lua_tonumber(L, idx));
    case LUA_TSTRING: return string_json(L, idx, w);
    case LUA_TTABLE: return table_json(L, idx, w);
    case LUA_TUSERDATA:
        t = lb_peek_tensor(L, idx);
        if (t && tensor_count(&t->t) <= MAX_LISTED) {
            w->left -= (long)tensor_count(&t->t);
            return tensor_json(&t->t, 0, index);
        }
        return text_json(L, idx);
    default: return text_json(L, idx);
    }
}

json_t *lb_to_json(lua_State *L, int idx)
{
    Walk w = {.left = MAX_VALUES, .text = MAX_TEXT};
    return lua_checkstack(L, 6) ? to_json(L, idx, &w) : NULL;
}
