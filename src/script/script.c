/* script.c -- one Lua state: opening it, running a chunk, interrupting it. An
 * interrupt raises a flag that the C core polls, and installs a hook that raises in
 * Lua. The hook stays as long as the flag is up, so a loop around pcall stops too,
 * and nothing is paid for it before the signal. Only the thread that runs the state
 * may install it: from another one, script_interrupt() sends that thread a signal
 * whose handler does. Everything that may raise runs under one protected call, so
 * that no memory of Lua's running out ends the process. */
#include "script/script.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/intr.h"
#include "base/mem.h"
#include "script/lb.h"
#include "script/lualex.h"
#include "script/script_int.h"

struct Script {
    lua_State *L;
    Lb lb;
    pthread_t thread;
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

/* --- interrupts ------------------------------------------------------------------- */

/* A signal that does nothing unless handled; few programs have a use for it. */
enum { POKE = SIGURG };

static _Thread_local Script *volatile running_here;

static void hook(lua_State *L, lua_Debug *ar)
{
    (void)ar;
    if (!intr_pending()) { /* left over in a coroutine from an earlier interrupt */
        lua_sethook(L, NULL, 0, 0);
        return;
    }
    luaL_error(L, "interrupted");
}

void lb_stop_hook(lua_State *L)
{
    lua_sethook(L, hook, LUA_MASKCOUNT,
                1); /* only Lua code: our error handler goes on */
}

static void stop(Script *s)
{
    lua_State *L = s->lb.current;
    if (L)
        lb_stop_hook(L);
}

static void on_poke(int signo)
{
    (void)signo;
    if (running_here && intr_pending())
        stop(running_here);
}

void script_interrupt(Script *s)
{
    intr_raise();
    if (pthread_equal(pthread_self(), s->thread))
        stop(s);
    else
        pthread_kill(s->thread, POKE);
}

static void take_pokes(void)
{
    struct sigaction poke = {.sa_handler = on_poke, .sa_flags = SA_RESTART};
    sigemptyset(&poke.sa_mask);
    sigaction(POKE, &poke, NULL);
}

/* --- opening ---------------------------------------------------------------------- */

enum { LUA_RESERVE = 16 << 20 };

/* Lua's own memory counts against the budget too, except for a reserve with which it
 * can say that the budget is used up. */
static void *lua_memory(void *ud, void *p, size_t old, size_t size)
{
    Lb *lb = ud;
    if (!p)
        old = 0;
    if (size == 0) {
        free(p);
        lb->lua_bytes -= old;
        return NULL;
    }
    size_t after = lb->lua_bytes - old + size;
    if (size > old && after > LUA_RESERVE && after + mem_live() > mem_budget())
        return NULL;
    void *q = realloc(p, size);
    if (q)
        lb->lua_bytes = after;
    return q;
}

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

/* Recipes are Lua files that receive cl through require and add to it; "init" runs
 * at start, the others when first required as "cleave.NAME". */
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

/* Cells have globals of their own, a copy of the library's names: a top-level `local
 * type = ..` must not change what modules and recipes see. What modules add is still
 * found. */
static void open_cell_globals(lua_State *L)
{
    lua_newtable(L);
    lua_pushglobaltable(L);
    lua_pushnil(L);
    while (lua_next(L, -2)) {
        lua_pushvalue(L, -2);
        lua_insert(L, -2);
        lua_rawset(L, -5);
    }
    lua_newtable(L);
    lua_insert(L, -2);
    lua_setfield(L, -2, "__index");
    lua_setmetatable(L, -2);
    lua_pushvalue(L, -1);
    lua_setfield(L, -2, "_G");
    lb_of(L)->env = luaL_ref(L, LUA_REGISTRYINDEX);
}

static int open_all(lua_State *L)
{
    Lb *lb = lb_of(L);
    lua_newtable(L);
    lb->settings = luaL_ref(L, LUA_REGISTRYINDEX);
    lb_open_safe(L);
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
    lb_open_dial(L);
    lb_open_sae(L);
    lb_open_spd(L);
    lb_open_logit(L);
    lb_open_super(L);
    lb_open_figure(L);
    lb_open_session(L);
    for (int i = 0; i < lb_area_count(); i++)
        lb_install(L, lb_area(i).fn, lb_area(i).n);
    open_recipes(L);
    open_cell_globals(L);
    return 0;
}

Script *script_new(Run *borrowed, Err *err)
{
    Script *s = mem_zalloc(sizeof *s, err);
    if (!s)
        return NULL;
    s->lb = (Lb){.run = borrowed, .gc_mark = mem_total()};
    s->thread = pthread_self();
    s->L = lua_newstate(lua_memory, &s->lb);
    if (!s->L) {
        err_set(err, ERR_MEMORY, "no memory for the Lua state");
        mem_free(s);
        return NULL;
    }
    s->lb.current = s->L;
    *(Lb **)lua_getextraspace(s->L) = &s->lb;
    take_pokes();
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
    running_here = NULL;
    s->lb.current = NULL;
    lua_close(s->L);
    mem_free(s->trace);
    mem_free(s);
}

static int set_body(lua_State *L)
{
    lua_rawgeti(L, LUA_REGISTRYINDEX, lb_of(L)->settings);
    lua_pushstring(L, lua_touserdata(L, 2));
    lua_setfield(L, -2, lua_touserdata(L, 1));
    return 0;
}

bool script_set(Script *s, const char *name, const char *text, Err *err)
{
    lua_pushcfunction(s->L, set_body);
    lua_pushlightuserdata(s->L, (void *)(uintptr_t)name);
    lua_pushlightuserdata(s->L, (void *)(uintptr_t)text);
    if (lua_pcall(s->L, 2, 0, 0) != LUA_OK) {
        lua_pop(s->L, 1);
        return err_set(err, ERR_MEMORY, "no memory for the setting %s", name);
    }
    s->n_settings++;
    return true;
}

/* --- running ---------------------------------------------------------------------- */

typedef struct Job {
    Script *s;
    const char *text, *chunk;
    size_t n;
    bool want_result;
    bool is_cell;       /* shows its value when it is an expression */
    bool is_expression; /* found out by the compiler */
    json_t *result;
    ScriptEnd end;
    Err *err;
} Job;

/* An error value that is no text is shown as its own __tostring or as the notebook
 * would. */
static void push_message(lua_State *L)
{
    if (lua_type(L, 1) == LUA_TSTRING) {
        lua_pushvalue(L, 1);
        return;
    }
    if (luaL_callmeta(L, 1, "__tostring") && lua_type(L, -1) == LUA_TSTRING)
        return;
    lua_settop(L, 1);
    Str *s = lb_push_str(L);
    str_add(s, "the script raised an error value that is no text: ");
    lb_format(L, 1, s);
    lb_push_text(L, s);
}

/* Runs at the place of an error that nobody caught. */
static int on_error(lua_State *L)
{
    lua_settop(L, 1);
    push_message(L);
    const char *msg = lua_tostring(L, -1); /* stays on the stack */
    lb_push_calls(L, msg);
    lua_setfield(L, LUA_REGISTRYINDEX, "cleave.traceback");
    lb_push_meant(L, msg);
    return 1;
}

/* Compiles text with "return " put in at a byte; pushes the chunk or an error. */
static int compile_value(lua_State *L, const Str *text, size_t at, const char *chunk)
{
    Str *value = lb_push_str(L);
    str_addn(value, text->s, at);
    str_add(value, "return ");
    str_addn(value, text->s + at, text->len - at);
    int status = LUA_ERRMEM;
    if (value->oom)
        lua_pushnil(L); /* in the error's place */
    else
        status = luaL_loadbufferx(L, value->s, value->len, chunk, "t");
    str_done(value);
    return status;
}

/* Where a statement may begin: tokens outside all blocks and brackets that are the
 * first of their line; the last TAILS of them, a ring. Returns how many there were. */
enum { TAILS = 8 };
static int find_tails(const Str *text, size_t tail[TAILS])
{
    Lex l;
    int depth = 0, n = 0;
    size_t before = 0; /* end of the last token */
    lex_start(&l, text->s, text->len);
    while (lex_next_code(&l)) {
        bool first = n == 0 || memchr(text->s + before, '\n', l.from - before);
        if (first && depth == 0)
            tail[n++ % TAILS] = l.from;
        before = l.to;
        depth += lex_depth(&l);
    }
    return n;
}

/* Pushes the chunk or an error text. An expression is tried as `return <text>` first, so
 * that a cell shows its value; one that stands behind statements, as the last of a cell,
 * does too. */
static int compile_chunk(lua_State *L, const Str *text, const char *chunk, bool is_cell,
                         bool *is_expression)
{
    size_t tail[TAILS];
    *is_expression = true;
    if (compile_value(L, text, 0, chunk) == LUA_OK)
        return LUA_OK;
    *is_expression = false;
    int status = luaL_loadbufferx(L, text->s, text->len, chunk, "t");
    if (status == LUA_OK || !is_cell)
        return status;
    int n = find_tails(text, tail);
    for (int i = n - 1; i > 0 && i >= n - TAILS; i--) {
        if (compile_value(L, text, tail[i % TAILS], chunk) == LUA_OK) {
            *is_expression = true;
            return LUA_OK;
        }
        lua_pop(L, 2); /* the error and the text */
    }
    return status;
}

/* The error value is on the stack top. */
static void note_failure(lua_State *L, Job *job, int status)
{
    Script *s = job->s;
    const char *msg = lua_tostring(L, -1);
    bool usage = msg && s->lb.usage[0] && strcmp(msg, s->lb.usage) == 0;
    if (intr_pending()) {
        err_set(job->err, ERR_INTERRUPT, "interrupted");
        job->end = SCRIPT_STOPPED;
    } else if (status == LUA_ERRMEM) {
        err_set(job->err, ERR_MEMORY,
                "out of memory: the script's own tables and texts hold %zu "
                "MiB, tensors %zu MiB, of a budget of %zu MiB",
                s->lb.lua_bytes >> 20, mem_live() >> 20, mem_budget() >> 20);
        job->end = SCRIPT_FAILED;
    } else {
        err_set(job->err, usage ? ERR_OPTION : ERR_SCRIPT, "%s",
                msg ? msg : "unknown error");
        job->end = usage ? SCRIPT_USAGE : SCRIPT_FAILED;
    }
}

static void keep_trace(lua_State *L, Script *s)
{
    if (lua_getfield(L, LUA_REGISTRYINDEX, "cleave.traceback") == LUA_TSTRING)
        s->trace = mem_strdup(lua_tostring(L, -1), NULL);
}

/* Calls cl.show with the value on the stack top. */
static int show_value(lua_State *L, int handler)
{
    if (lua_isnil(L, -1))
        return LUA_OK;
    lua_getfield(L, LUA_REGISTRYINDEX, "cleave.cl");
    lua_getfield(L, -1, "show");
    lua_pushvalue(L, -3);
    return lua_pcall(L, 1, 0, handler);
}

/* Under a protected call of its own: an error here means that memory is out. */
static int run_job(lua_State *L)
{
    Job *job = lua_touserdata(L, 1);
    Lb *lb = lb_of(L);
    lua_pushnil(L);
    lua_setfield(L, LUA_REGISTRYINDEX, "cleave.traceback");
    lua_pushcfunction(L, on_error);
    int handler = lua_gettop(L);
    Str *kept = lb_push_str(L);
    if (!locals_keep(job->text, job->n, kept, job->err)) {
        job->end = SCRIPT_FAILED;
        return 0;
    }
    int status = compile_chunk(L, kept, job->chunk, job->is_cell, &job->is_expression);
    str_done(kept);
    if (status == LUA_OK) {
        lua_rawgeti(L, LUA_REGISTRYINDEX, lb->env);
        lua_setupvalue(L, -2, 1);
        if (intr_pending()) /* came before there was anything to stop */
            lb_stop_hook(L);
        status = lua_pcall(L, 0, 1, handler);
        if (status == LUA_OK && job->is_cell && job->is_expression)
            status = show_value(L, handler);
    }
    if (status != LUA_OK) {
        note_failure(L, job, status);
        keep_trace(L, job->s);
    } else if (!job->is_cell && !script_settings_taken(job->s, job->err)) {
        job->end = SCRIPT_USAGE;
    } else if (job->want_result && !(job->is_cell && job->is_expression) &&
               !lua_isnil(L, -1)) {
        job->result = lb_to_json(L, -1);
    }
    return 0;
}

void script_on_run(Script *s, ScriptRunFn fn, void *ctx)
{
    s->lb.open_run = fn;
    s->lb.open_run_ctx = ctx;
}

const char *script_trace(const Script *s)
{
    return s->trace ? s->trace : "";
}

static ScriptEnd run_chunk(Script *s, Job *job, json_t **result, Err *err)
{
    lua_State *L = s->L;
    const char *text = job->text, *chunk = job->chunk;
    size_t n = job->n;
    job->s = s;
    job->want_result = result != NULL;
    job->end = SCRIPT_DONE;
    job->err = err;
    if (result)
        *result = NULL;
    if (n >= 4 && memcmp(text, "\033Lua", 4) == 0) {
        err_set(err, ERR_FORMAT, "%s is a compiled Lua chunk; only Lua text is run",
                chunk[0] == '@' || chunk[0] == '=' ? chunk + 1 : chunk);
        return SCRIPT_FAILED;
    }
    mem_free(s->trace);
    s->trace = NULL;
    s->lb.usage[0] = '\0';
    s->lb.current = L;
    s->thread = pthread_self();
    running_here = s;
    lua_pushcfunction(L, run_job);
    lua_pushlightuserdata(L, job);
    int status = lua_pcall(L, 1, 0, 0);
    if (status != LUA_OK) {
        note_failure(L, job, LUA_ERRMEM);
        json_decref(job->result);
        job->result = NULL;
    }
    lua_settop(L, 0);
    lua_sethook(L, NULL, 0, 0);
    intr_clear();
    if (result)
        *result = job->result;
    return job->end;
}

ScriptEnd script_run_text(Script *s, const char *text, size_t n, const char *chunk,
                          json_t **result, Err *err)
{
    Job job = {.text = text, .n = n, .chunk = chunk};
    return run_chunk(s, &job, result, err);
}

ScriptEnd script_run_cell(Script *s, const char *text, size_t n, const char *chunk,
                          json_t **result, Err *err)
{
    Job job = {.text = text, .n = n, .chunk = chunk, .is_cell = true};
    return run_chunk(s, &job, result, err);
}

bool script_settings_taken(const Script *s, Err *err)
{
    if (s->lb.config_seen || s->n_settings == 0)
        return true;
    return err_set(err, ERR_OPTION,
                   "settings were given, but the script declares none with "
                   "cl.config");
}

lua_State *script_state(Script *s)
{
    return s->L;
}

ScriptEnd script_run_file(Script *s, const char *path, json_t **result, Err *err)
{
    char *text;
    size_t n;
    Str chunk;
    if (result)
        *result = NULL;
    if (!file_read_all(path, 16u << 20, &text, &n, err))
        return SCRIPT_FAILED;
    str_init(&chunk);
    str_addf(&chunk, "@%s", path);
    ScriptEnd end =
        script_run_text(s, text, n, chunk.oom ? "@script" : chunk.s, result, err);
    str_done(&chunk);
    mem_free(text);
    return end;
}
