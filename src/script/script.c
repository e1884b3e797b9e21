/* script.c -- one Lua state: what is opened and removed, running a chunk, interrupting it.
 * An interrupt raises a flag that the C core polls, and installs a hook that raises in Lua. The
 * hook stays until the top level is reached, so a loop around pcall stops too, and nothing is
 * paid for it before the signal. Hooks belong to coroutines, so the running one is tracked
 * by our own coroutine.resume and wrap. */
#include "script/script.h"

#include <lualib.h>
#include <string.h>

#include "base/file.h"
#include "base/intr.h"
#include "base/mem.h"
#include "script/lb.h"

struct Script {
    lua_State *L;
    Lb lb;
    int n_settings;
    char *trace;
};

typedef struct LuaFile {
    const char *name;
    const unsigned char *text;
    size_t len;
} LuaFile;
extern const LuaFile lua_files[];
extern const size_t lua_n_files;

/* --- interrupts and coroutines ------------------------------------------------------------ */

static void hook(lua_State *L, lua_Debug *ar)
{
    (void)ar;
    luaL_error(L, "interrupted");
}

static void set_hook(lua_State *L)
{
    lua_sethook(L, hook, LUA_MASKCALL | LUA_MASKRET | LUA_MASKLINE | LUA_MASKCOUNT, 1);
}

void script_interrupt(Script *s)
{
    intr_raise();
    lua_State *L = s->lb.current;
    if (L)
        set_hook(L);
}

/* Resumes co with n arguments on its stack; keeps `current` true on every way out. */
static int resume(lua_State *L, lua_State *co, int n, int *n_results)
{
    Lb *lb = lb_of(L);
    lua_State *before = lb->current;
    lb->current = co;
    if (intr_pending())
        set_hook(co);
    int status = lua_resume(co, L, n, n_results);
    lb->current = before;
    if (intr_pending())
        set_hook(before);
    return status;
}

static bool resumable(lua_State *L, lua_State *co, int n)
{
    if (!lua_checkstack(co, n)) {
        lua_pushliteral(L, "too many arguments to resume");
        return false;
    }
    if (lua_status(co) == LUA_OK && lua_gettop(co) == 0) {
        lua_pushliteral(L, "cannot resume dead coroutine");
        return false;
    }
    return true;
}

/* Pushes results or one error value on L; returns their count, or -1 for an error. */
static int resume_with(lua_State *L, lua_State *co, int n)
{
    int n_results;
    if (!resumable(L, co, n))
        return -1;
    lua_xmove(L, co, n);
    int status = resume(L, co, n, &n_results);
    if (status == LUA_OK || status == LUA_YIELD) {
        if (!lua_checkstack(L, n_results + 1)) {
            lua_pop(co, n_results);
            lua_pushliteral(L, "too many results to resume");
            return -1;
        }
        lua_xmove(co, L, n_results);
        return n_results;
    }
    lua_xmove(co, L, 1);
    return -1;
}

static int co_resume(lua_State *L)
{
    lua_State *co = lua_tothread(L, 1);
    luaL_argcheck(L, co, 1, "coroutine expected");
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
        status = lua_resetthread(co); /* closes its pending variables */
        if (status != LUA_OK)
            lua_xmove(co, L, 1);
    }
    if (lua_type(L, -1) == LUA_TSTRING) {
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

/* --- what a script may call --------------------------------------------------------------------- */

static int print_fn(lua_State *L)
{
    Lb *lb = lb_of(L);
    Err err = { 0 };
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
    if (lb->run && !journal_out(run_journal(lb->run), text, len, &err))
        return lb_raise(L, &err);
    if (!lb->run)
        fwrite(text, 1, len, stdout);
    return 0;
}

static int write_fn(lua_State *L)
{
    Lb *lb = lb_of(L);
    Err err = { 0 };
    int n = lua_gettop(L);
    for (int i = 1; i <= n; i++) {
        size_t len;
        const char *text = luaL_checklstring(L, i, &len);
        if (lb->run && !journal_out(run_journal(lb->run), text, len, &err))
            return lb_raise(L, &err);
        if (!lb->run)
            fwrite(text, 1, len, stdout);
    }
    return 0;
}

/* load(chunk, name, mode, env) that refuses binary chunks, which could crash the interpreter. */
static int load_fn(lua_State *L)
{
    lua_settop(L, 4);
    bool has_env = !lua_isnil(L, 4);
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_pushvalue(L, 1);
    lua_pushvalue(L, 2);
    lua_pushliteral(L, "t");
    if (has_env)
        lua_pushvalue(L, 4);
    lua_call(L, has_env ? 4 : 3, LUA_MULTRET);
    return lua_gettop(L) - 4;
}

static int loadfile_fn(lua_State *L)
{
    const char *path = luaL_optstring(L, 1, NULL);
    if (!path)
        return lb_error(L, ERR_OPTION, "loadfile: a path is needed");
    if (luaL_loadfilex(L, path, "t") != LUA_OK) {
        lua_pushnil(L);
        lua_insert(L, -2);
        return 2;
    }
    return 1;
}

static int dofile_fn(lua_State *L)
{
    if (luaL_loadfilex(L, luaL_checkstring(L, 1), "t") != LUA_OK)
        return lua_error(L);
    int base = lua_gettop(L) - 1;
    lua_call(L, 0, LUA_MULTRET);
    return lua_gettop(L) - base;
}

static void drop(lua_State *L, const char *table, const char *field)
{
    lua_getglobal(L, table);
    lua_pushnil(L);
    lua_setfield(L, -2, field);
    lua_pop(L, 1);
}

static void put(lua_State *L, const char *table, const char *field, lua_CFunction fn)
{
    lua_getglobal(L, table);
    lua_pushcfunction(L, fn);
    lua_setfield(L, -2, field);
    lua_pop(L, 1);
}

static void open_safe(lua_State *L)
{
    luaL_openlibs(L);
    drop(L, "os", "exit");
    drop(L, "os", "setlocale");
    drop(L, "string", "dump");
    drop(L, "package", "loadlib");
    drop(L, "package", "cpath");
    lua_getglobal(L, "package"); /* searchers: preload and Lua files, no C loaders */
    lua_getfield(L, -1, "searchers");
    for (int i = 3; i <= 4; i++) {
        lua_pushnil(L);
        lua_rawseti(L, -2, i);
    }
    lua_pop(L, 2);
    put(L, "coroutine", "resume", co_resume);
    put(L, "coroutine", "wrap", co_wrap);
    put(L, "io", "write", write_fn);
    lua_getglobal(L, "load");
    lua_pushcclosure(L, load_fn, 1);
    lua_setglobal(L, "load");
    lua_register(L, "print", print_fn);
    lua_register(L, "loadfile", loadfile_fn);
    lua_register(L, "dofile", dofile_fn);
}

/* --- opening ------------------------------------------------------------------------------------------ */

static int load_recipe(lua_State *L)
{
    const LuaFile *f = lua_touserdata(L, lua_upvalueindex(1));
    char name[96];
    snprintf(name, sizeof name, "=cleave.%s", f->name);
    if (luaL_loadbufferx(L, (const char *)f->text, f->len, name, "t") != LUA_OK)
        return lua_error(L);
    lua_call(L, 0, 1);
    return 1;
}

static int require_cl(lua_State *L)
{
    lua_getfield(L, LUA_REGISTRYINDEX, "cleave.cl");
    return 1;
}

/* Recipes are Lua files that receive cl through require and add to it; "init" runs at start,
 * the others when first required as "cleave.NAME". */
static void open_recipes(lua_State *L)
{
    lua_getglobal(L, "package");
    lua_getfield(L, -1, "preload");
    lua_pushcfunction(L, require_cl);
    lua_setfield(L, -2, "cleave");
    for (size_t i = 0; i < lua_n_files; i++) {
        char name[96];
        snprintf(name, sizeof name, "cleave.%s", lua_files[i].name);
        lua_pushlightuserdata(L, (void *)(uintptr_t)&lua_files[i]);
        lua_pushcclosure(L, load_recipe, 1);
        lua_setfield(L, -2, name);
    }
    lua_pop(L, 2);
    for (size_t i = 0; i < lua_n_files; i++) {
        if (strcmp(lua_files[i].name, "init") != 0)
            continue;
        lua_getglobal(L, "require");
        lua_pushliteral(L, "cleave.init");
        lua_call(L, 1, 0);
    }
}

static int open_all(lua_State *L)
{
    open_safe(L);
    lua_newtable(L);
    lua_pushvalue(L, -1);
    lua_setfield(L, LUA_REGISTRYINDEX, "cleave.cl");
    lua_setglobal(L, "cl");
    lb_open_tensor(L);
    lb_open_trace(L);
    lb_open_ops(L);
    lb_open_data(L);
    lb_open_model(L);
    lb_open_decomp(L);
    lb_open_figure(L);
    lb_open_session(L);
    for (int i = 0; i < lb_area_count(); i++)
        lb_install(L, lb_area(i).fn, lb_area(i).n);
    open_recipes(L);
    lua_newtable(L);
    lb_of(L)->settings = luaL_ref(L, LUA_REGISTRYINDEX);
    return 0;
}

Script *script_new(Run *borrowed, Err *err)
{
    Script *s = mem_zalloc(sizeof *s, err);
    if (!s)
        return NULL;
    s->L = luaL_newstate();
    if (!s->L) {
        err_set(err, ERR_MEMORY, "no memory for the Lua state");
        mem_free(s);
        return NULL;
    }
    s->lb = (Lb){ .run = borrowed, .main = s->L, .current = s->L, .gc_mark = mem_total() };
    *(Lb **)lua_getextraspace(s->L) = &s->lb;
    lua_pushcfunction(s->L, open_all);
    if (lua_pcall(s->L, 0, 0, 0) != LUA_OK) {
        err_set(err, ERR_SCRIPT, "opening the Lua library: %s", lua_tostring(s->L, -1));
        script_free(s);
        return NULL;
    }
    return s;
}

void script_free(Script *s)
{
    if (!s)
        return;
    s->lb.current = NULL;
    lua_close(s->L);
    mem_free(s->trace);
    mem_free(s);
}

bool script_set(Script *s, const char *name, const char *text, Err *err)
{
    (void)err;
    lua_rawgeti(s->L, LUA_REGISTRYINDEX, s->lb.settings);
    lua_pushstring(s->L, text);
    lua_setfield(s->L, -2, name);
    lua_pop(s->L, 1);
    s->n_settings++;
    return true;
}

/* --- running ------------------------------------------------------------------------------------------- */

static int on_error(lua_State *L)
{
    if (lua_type(L, 1) != LUA_TSTRING && !luaL_callmeta(L, 1, "__tostring"))
        lua_pushfstring(L, "(error value is a %s)", luaL_typename(L, 1));
    else if (lua_type(L, 1) == LUA_TSTRING)
        lua_pushvalue(L, 1);
    luaL_traceback(L, L, NULL, 1);
    lua_setfield(L, LUA_REGISTRYINDEX, "cleave.traceback");
    return 1;
}

static void keep_trace(Script *s)
{
    mem_free(s->trace);
    lua_getfield(s->L, LUA_REGISTRYINDEX, "cleave.traceback");
    s->trace = lua_type(s->L, -1) == LUA_TSTRING ? mem_strdup(lua_tostring(s->L, -1), NULL)
                                                 : NULL;
    lua_pop(s->L, 1);
}

const char *script_trace(const Script *s)
{
    return s->trace ? s->trace : "";
}

/* An expression is tried as `return <text>` first, so that a cell shows its value. */
static int compile_chunk(lua_State *L, const Str *text, const char *chunk)
{
    Str as_value;
    str_init(&as_value);
    str_add(&as_value, "return ");
    str_addn(&as_value, text->s, text->len);
    int status = as_value.oom ? LUA_ERRMEM
                              : luaL_loadbufferx(L, as_value.s, as_value.len, chunk, "t");
    str_done(&as_value);
    if (status == LUA_OK)
        return status;
    lua_pop(L, status == LUA_ERRMEM && lua_gettop(L) == 0 ? 0 : 1);
    return luaL_loadbufferx(L, text->s, text->len, chunk, "t");
}

static ScriptEnd fail(Script *s, int top, Err *err)
{
    bool stopped = intr_pending();
    const char *msg = lua_tostring(s->L, -1);
    err_set(err, stopped ? ERR_INTERRUPT : s->lb.usage ? ERR_OPTION : ERR_SCRIPT, "%s",
            stopped ? "interrupted" : msg ? msg : "unknown error");
    lua_settop(s->L, top);
    if (stopped)
        return SCRIPT_STOPPED;
    return s->lb.usage ? SCRIPT_USAGE : SCRIPT_FAILED;
}

ScriptEnd script_run_text(Script *s, const char *text, size_t n, const char *chunk,
                          json_t **result, Err *err)
{
    lua_State *L = s->L;
    Str kept;
    ScriptEnd end = SCRIPT_DONE;
    int top = lua_gettop(L);
    if (result)
        *result = NULL;
    s->lb.usage = false;
    s->lb.current = L;
    mem_free(s->trace);
    s->trace = NULL;
    if (n >= 4 && memcmp(text, "\033Lua", 4) == 0) {
        err_set(err, ERR_FORMAT, "%s is a compiled Lua chunk; only Lua text is run", chunk + 1);
        return SCRIPT_FAILED;
    }
    str_init(&kept);
    if (!locals_keep(text, n, &kept, err)) {
        str_done(&kept);
        return SCRIPT_FAILED;
    }
    lua_pushcfunction(L, on_error);
    int status = compile_chunk(L, &kept, chunk);
    str_done(&kept);
    if (status == LUA_OK)
        status = lua_pcall(L, 0, 1, top + 1);
    if (status == LUA_OK && !s->lb.config_seen && s->n_settings) {
        s->lb.usage = true;
        lua_pushliteral(L, "settings were given, but the script declares none with cl.config");
        status = LUA_ERRRUN;
    }
    if (status != LUA_OK) {
        keep_trace(s);
        end = fail(s, top, err);
    } else if (result && !lua_isnil(L, -1)) {
        *result = lb_to_json(L, -1, 0);
    }
    lua_settop(L, top);
    lua_sethook(L, NULL, 0, 0);
    intr_clear();
    return end;
}

ScriptEnd script_run_file(Script *s, const char *path, json_t **result, Err *err)
{
    char *text;
    size_t n;
    Str chunk;
    if (!file_read_all(path, 16u << 20, &text, &n, err))
        return SCRIPT_FAILED;
    str_init(&chunk);
    str_addf(&chunk, "@%s", path);
    ScriptEnd end = script_run_text(s, text, n, chunk.s, result, err);
    str_done(&chunk);
    mem_free(text);
    return end;
}
