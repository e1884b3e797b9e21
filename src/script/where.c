/* where.c -- what is said of an error beside its sentence: the calls that led there, and
 * a name that was probably meant. Most errors of a cell need neither: their sentence
 * begins with the line. Runs in the message handler, on the stack of the error. */
#include <stdio.h>
#include <string.h>

#include "script/lb.h"
#include "script/script_int.h"

enum { FIRST_LEVELS = 10, LAST_LEVELS = 6, NAMES_MAX = 1024, DEPTH = 3 };

/* --- calls ------------------------------------------------------------------------ */

/* Lua functions only: what a call of the library is inside says nothing to a user. */
static bool is_frame(lua_State *L, int level, lua_Debug *ar)
{
    return lua_getstack(L, level, ar) && lua_getinfo(L, "Sln", ar) &&
           ar->currentline > 0;
}

static bool is_place_of(const lua_Debug *ar, const char *msg)
{
    char place[LUA_IDSIZE + 32];
    int n = snprintf(place, sizeof place, "%s:%d:", ar->short_src, ar->currentline);
    return strncmp(msg, place, (size_t)n) == 0;
}

/* How many levels there are; looking one up takes time in proportion to it. */
static int count_levels(lua_State *L)
{
    lua_Debug ar;
    int low = 1, high = 1;
    while (lua_getstack(L, high, &ar)) {
        low = high;
        high *= 2;
    }
    while (low < high) {
        int middle = (low + high) / 2;
        if (lua_getstack(L, middle, &ar))
            low = middle + 1;
        else
            high = middle;
    }
    return high;
}

/* Adds the frames of the levels from..to-1; *said: the place that the sentence
 * begins with has been left out. */
static void add_calls(lua_State *L, int from, int to, const char *msg, bool *said, Str *out)
{
    lua_Debug ar;
    for (int level = from; level < to; level++) {
        if (!is_frame(L, level, &ar))
            continue;
        if (!*said && is_place_of(&ar, msg)) {
            *said = true;
            continue;
        }
        bool named = ar.name && strcmp(ar.what, "main") != 0;
        str_addf(out, "%sat %s:%d%s%s", out->len ? "\n" : "", ar.short_src,
                 ar.currentline, named ? ", in " : "", named ? ar.name : "");
    }
}

void lb_push_calls(lua_State *L, const char *msg)
{
    Str *out = lb_push_str(L);
    int levels = count_levels(L);
    bool said = false;
    if (levels <= FIRST_LEVELS + LAST_LEVELS) {
        add_calls(L, 1, levels, msg, &said, out);
    } else {
        add_calls(L, 1, FIRST_LEVELS, msg, &said, out);
        str_add(out, "\n...");
        add_calls(L, levels - LAST_LEVELS, levels, msg, &said, out);
    }
    lb_push_text(L, out);
}

/* --- names ------------------------------------------------------------------------ */

typedef struct Names {
    const char *name[NAMES_MAX];
    char path[NAMES_MAX][64];
    size_t n;
} Names;

/* The functions of the table on top, and of the tables in it. */
static void collect(lua_State *L, const char *prefix, int depth, Names *all)
{
    if (!lua_checkstack(L, 6))
        return;
    lua_pushnil(L);
    while (lua_next(L, -2)) {
        if (lua_type(L, -2) == LUA_TSTRING && all->n < NAMES_MAX) {
            char path[64];
            const char *key = lua_tostring(L, -2);
            snprintf(path, sizeof path, "%s.%s", prefix, key);
            if (lua_isfunction(L, -1)) {
                all->name[all->n] = key;
                memcpy(all->path[all->n++], path, sizeof path);
            } else if (lua_istable(L, -1) && depth < DEPTH) {
                collect(L, path, depth + 1, all);
            }
        }
        lua_pop(L, 1);
    }
}

/* The name between "field '" and "'" of Lua's message about a call of nothing. */
static bool missing_name(const char *msg, char dst[64])
{
    static const char sentence[] = "attempt to call a nil value (field '";
    const char *s = strstr(msg, sentence);
    size_t n = s ? strcspn(s + sizeof sentence - 1, "'") : 0;
    if (n == 0 || n >= 64)
        return false;
    memcpy(dst, s + sizeof sentence - 1, n);
    dst[n] = '\0';
    return true;
}

void lb_push_meant(lua_State *L, const char *msg)
{
    char missing[64];
    int top = lua_gettop(L);
    if (!missing_name(msg, missing)) {
        lua_pushstring(L, msg);
        return;
    }
    Names *all = lua_newuserdatauv(L, sizeof *all, 0);
    all->n = 0;
    lua_getfield(L, LUA_REGISTRYINDEX, "cleave.cl");
    if (lua_istable(L, -1))
        collect(L, "cl", 1, all);
    const char *near = text_nearest(missing, all->name, all->n);
    size_t i = 0;
    while (near && all->name[i] != near)
        i++;
    if (near)
        lua_pushfstring(L, "%s; did you mean '%s'?", msg, all->path[i]);
    else
        lua_pushstring(L, msg);
    lua_replace(L, top + 1);
    lua_settop(L, top + 1);
}
