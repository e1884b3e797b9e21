/* lb_text.c -- files of text for cl.save and cl.load: JSON of any value, and text as it
 * is. Both appear whole or not at all. */
#include <math.h>
#include <stdlib.h>

#include "base/file.h"
#include "base/mem.h"
#include "lab/jval.h"
#include "script/lb_text.h"

enum { MAX_TEXT = 64 << 20, MAX_DEPTH = 64 };

static void free_json(void *p)
{
    json_decref(p);
}

static void free_dump(void *p)
{
    free(p);
}

void lb_save_json(lua_State *L, const char *path)
{
    Err err;
    LbGuard *value = lb_push_guard(L, free_json), *text = lb_push_guard(L, free_dump);
    if (!(value->p = lb_to_json(L, 2)) ||
        !(text->p = json_dumps(value->p, JSON_INDENT(2) | JSON_ENCODE_ANY |
                                             JSON_REAL_PRECISION(17))))
        lb_error(L, ERR_MEMORY, "cl.save: not enough memory for '%s'", path);
    Str *s = lb_push_str(L);
    str_add(s, text->p);
    str_addc(s, '\n');
    if (!str_ok(s, &err) || !file_write_all(path, s->s, s->len, &err))
        lb_raise(L, &err);
}

void lb_save_text(lua_State *L, const char *path)
{
    Err err;
    size_t n;
    const char *s = luaL_checklstring(L, 2, &n);
    if (!file_write_all(path, s, n, &err))
        lb_raise(L, &err);
}

static void push_json(lua_State *L, const json_t *v, int depth);

static void push_members(lua_State *L, const json_t *v, int depth)
{
    const char *key;
    json_t *item;
    lua_createtable(L, 0, (int)json_object_size(v));
    json_object_foreach((json_t *)v, key, item)
    {
        push_json(L, item, depth + 1);
        lua_setfield(L, -2, key);
    }
}

static void push_elements(lua_State *L, const json_t *v, int depth)
{
    lua_createtable(L, (int)json_array_size(v), 0);
    for (size_t i = 0; i < json_array_size(v); i++) {
        push_json(L, json_array_get(v, i), depth + 1);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
}

/* "nan", "inf" and "-inf" are how numbers that JSON lacks are written. */
static void push_json(lua_State *L, const json_t *v, int depth)
{
    const char *s = json_string_value(v);
    double special = jval_to_number(v, 0);
    if (depth > MAX_DEPTH)
        lb_error(L, ERR_FORMAT, "cl.load: nested deeper than %d", MAX_DEPTH);
    luaL_checkstack(L, 4, "cl.load");
    if (json_is_object(v))
        push_members(L, v, depth);
    else if (json_is_array(v))
        push_elements(L, v, depth);
    else if (json_is_integer(v))
        lua_pushinteger(L, (lua_Integer)json_integer_value(v));
    else if (json_is_real(v) || (s && !isfinite(special)))
        lua_pushnumber(L, json_is_real(v) ? json_real_value(v) : special);
    else if (s)
        lua_pushlstring(L, s, json_string_length(v));
    else if (json_is_boolean(v))
        lua_pushboolean(L, json_is_true(v));
    else
        lua_pushnil(L);
}

static void free_text(void *p)
{
    mem_free(p);
}

int lb_load_json(lua_State *L, const char *path)
{
    Err err;
    char *text = NULL;
    size_t n;
    json_error_t where;
    LbGuard *file = lb_push_guard(L, free_text), *value = lb_push_guard(L, free_json);
    if (!file_read_all(path, MAX_TEXT, &text, &n, &err))
        return lb_raise(L, &err);
    file->p = text;
    if (!(value->p = json_loadb(text, n, JSON_DECODE_ANY, &where)))
        return lb_error(L, ERR_FORMAT, "cl.load: '%s' is no JSON: line %d: %s", path,
                        where.line, where.text);
    lb_unguard(file);
    push_json(L, value->p, 0);
    lb_unguard(value);
    return 1;
}
