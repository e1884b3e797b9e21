/* lb_trace.c -- cl.compile: a Lua function is run once on symbols, its graph is
 * planned, and calls replay the plan. A step keeps up to 8 plans, one for each
 * combination of argument shapes. Numbers given as arguments become scalar inputs,
 * so a changing rate is not baked in; tensors that the function closes over are
 * constants, or states if they came from cl.state or a network. What the function
 * returns (symbols, or one table of named symbols) is what a call returns: numbers
 * for scalars, fresh tensors otherwise. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/intr.h"
#include "graph/optim.h"
#include "script/lb_objects.h"

enum { MAX_ARGS = 16, MAX_PLANS = 8, MAX_RESULTS = 32 };

struct Trace {
    Graph *g;
    uint64_t id;
    struct LOptim *optim; /* the optimiser used in this trace, NULL: none */
    int optim_ref;
    int draws; /* random ops without a stream name so far */
};

typedef struct LOptim {
    OptimCfg cfg;
    int64_t total; /* steps, for schedules */
    TensorSet *moments;
} LOptim;

typedef struct StepPlan {
    Plan *plan;
    int n_args, n_out;
    Spec args[MAX_ARGS];
    bool is_number[MAX_ARGS];
    int in_lr, in_t;             /* inputs of the optimiser, -1: none */
    char names[MAX_RESULTS][32]; /* of a table of results, "" for plain results */
    bool as_table;
    LOptim *optim;
} StepPlan;

typedef struct LStep {
    uint64_t seed, step; /* step: shared by all plans of this function */
    int n;
    StepPlan p[MAX_PLANS];
} LStep;
/* user values of a step: 1 the function, 2 a table that keeps optimisers and states
 * alive */

Graph *trace_graph(Trace *t)
{
    return t->g;
}

void trace_name_stream(Trace *t, char *text, size_t cap)
{
    size_t n = strlen(text);
    if (++t->draws > 1)
        snprintf(text + n, cap - n, "#%d", t->draws);
}

void lb_push_sym(lua_State *L, Trace *t, Val v)
{
    LSym *s = lua_newuserdatauv(L, sizeof *s, 0);
    *s = (LSym){.id = t->id, .v = v};
    luaL_setmetatable(L, LB_SYM);
}

void lb_graph_check(lua_State *L)
{
    Trace *t = lb_of(L)->trace;
    if (t && !graph_ok(t->g)) {
        Err err = *graph_err(t->g);
        lb_raise(L, &err);
    }
}

Val lb_sym_val(lua_State *L, const LSym *s)
{
    Trace *t = lb_of(L)->trace;
    if (!t || t->id != s->id)
        lb_error(L, ERR_STATE,
                 "a symbolic value of another trace was used; symbols live only "
                 "inside the function that cl.compile traces");
    return s->v;
}

Val lb_tensor_val(lua_State *L, LTensor *t)
{
    Graph *g = lb_of(L)->trace->g;
    Val v = t->is_state ? graph_state(g, t->name, &t->t) : graph_const(g, &t->t);
    lb_graph_check(L);
    return v;
}

/* --- symbols ---------------------------------------------------------------------- */
static int sym_index(lua_State *L)
{
    LSym *s = luaL_checkudata(L, 1, LB_SYM);
    const char *key = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : "";
    luaL_getmetatable(L, LB_SYM);
    lua_getfield(L, -1, "methods");
    lua_pushvalue(L, 2);
    if (lua_rawget(L, -2) != LUA_TNIL)
        return 1;
    if (strcmp(key, "shape") == 0) {
        Val v = lb_sym_val(L, s);
        Spec spec = graph_spec(lb_of(L)->trace->g, v);
        lua_createtable(L, spec.ndim, 0);
        for (int d = 0; d < spec.ndim; d++) {
            lua_pushinteger(L, spec.dim[d]);
            lua_rawseti(L, -2, d + 1);
        }
        return 1;
    }
    if (strcmp(key, "dtype") == 0) {
        Val v = lb_sym_val(L, s);
        lua_pushstring(L, dtype_name(graph_spec(lb_of(L)->trace->g, v).dtype));
        return 1;
    }
    return lb_error(L, ERR_STATE,
                    "inside cl.compile values are not known yet, so '%s' cannot be "
                    "read; return the symbol and read the result of the call",
                    lua_type(L, 2) == LUA_TSTRING ? key : "elements");
}

static int sym_tostring(lua_State *L)
{
    LSym *s = luaL_checkudata(L, 1, LB_SYM);
    Lb *lb = lb_of(L);
    char shape[96];
    if (!lb->trace || lb->trace->id != s->id) {
        lua_pushliteral(L, "symbol (of a finished trace)");
        return 1;
    }
    Spec spec = graph_spec(lb->trace->g, s->v);
    lua_pushfstring(L, "symbol %s",
                    shape_format(spec.dtype, spec.ndim, spec.dim, shape));
    return 1;
}

static int sym_len(lua_State *L)
{
    Val v = lb_sym_val(L, luaL_checkudata(L, 1, LB_SYM));
    Spec spec = graph_spec(lb_of(L)->trace->g, v);
    lua_pushinteger(L, spec.ndim ? spec.dim[0] : 0);
    return 1;
}

static int sym_newindex(lua_State *L)
{
    return lb_error(L, ERR_STATE,
                    "inside cl.compile a value cannot be assigned to by index; use "
                    "where or slice_into, and cl.assign for states");
}

static int sym_refuse(lua_State *L)
{
    return lb_error(
        L, ERR_STATE,
        "inside cl.compile values are not known yet, so a symbol can "
        "neither be compared nor joined to a text; use where, maximum or gt");
}

Val lb_any_val(lua_State *L, int arg, const char *what)
{
    Lb *lb = lb_of(L);
    if (!lb->trace)
        lb_error(L, ERR_STATE, "%s works only inside a function given to cl.compile",
                 what);
    LSym *s = lb_test_sym(L, arg);
    if (s)
        return lb_sym_val(L, s);
    LTensor *t = lb_test_tensor(L, arg);
    if (!t)
        lb_error(L, ERR_OPTION, "%s: expected a symbol or a tensor, got %s", what,
                 luaL_typename(L, arg));
    return lb_tensor_val(L, t);
}

static int collect_vals(lua_State *L, int arg, const char *what, Val *out, int cap)
{
    if (!lua_istable(L, arg)) {
        out[0] = lb_any_val(L, arg, what);
        return 1;
    }
    lua_Integer n = (lua_Integer)lua_rawlen(L, arg);
    if (n < 1 || n > cap)
        lb_error(L, ERR_OPTION, "%s: a list of 1 to %d values is needed", what, cap);
    for (lua_Integer i = 1; i <= n; i++) {
        lua_rawgeti(L, arg, i);
        out[i - 1] = lb_any_val(L, lua_gettop(L), what);
        lua_pop(L, 1);
    }
    return (int)n;
}

static int cl_grad(lua_State *L)
{
    Val wrt[128], d[128];
    Val loss = lb_any_val(L, 1, "cl.grad");
    int n = collect_vals(L, 2, "cl.grad", wrt, 128);
    Trace *t = lb_of(L)->trace;
    if (!graph_grad(t->g, loss, wrt, n, d))
        lb_graph_check(L);
    if (!lua_istable(L, 2)) {
        lb_push_sym(L, t, d[0]);
        return 1;
    }
    lua_createtable(L, n, 0);
    for (int i = 0; i < n; i++) {
        lb_push_sym(L, t, d[i]);
        lua_rawseti(L, -2, i + 1);
    }
    return 1;
}

static int cl_assign(lua_State *L)
{
    Lb *lb = lb_of(L);
    LTensor *state = lb_check_tensor(L, 1);
    if (!state->is_state)
        return lb_error(L, ERR_STATE, "cl.assign: the target must come from cl.state");
    Err err;
    if (lua_type(L, 2) == LUA_TNUMBER) { /* fills the state */
        LTensor *full = lb_push_tensor(L);
        if (!tensor_full(state->t.dtype, state->t.ndim, state->t.dim,
                         lua_tonumber(L, 2), &full->t, &err))
            return lb_raise(L, &err);
        lua_replace(L, 2);
    }
    if (lb->trace) {
        Val to = lb_tensor_val(L, state), v = lb_any_val(L, 2, "cl.assign");
        graph_assign(lb->trace->g, to, v);
        lb_graph_check(L);
        return 0;
    }
    LTensor *src = lb_check_tensor(L, 2);
    char want[96], got[96];
    if (!tensor_same_shape(&src->t, &state->t))
        return lb_error(L, ERR_SHAPE, "cl.assign: the state is %s, the value %s",
                        tensor_format_shape(&state->t, want),
                        tensor_format_shape(&src->t, got));
    return tensor_copy_into(&src->t, &state->t, &err) ? 0 : lb_raise(L, &err);
}

static int cl_site(lua_State *L)
{
    const char *name = luaL_checkstring(L, 1);
    Val v = lb_any_val(L, 2, "cl.site");
    Trace *t = lb_of(L)->trace;
    v = graph_site(t->g, name, v);
    lb_graph_check(L);
    lb_push_sym(L, t, v);
    return 1;
}

/* --- optimisers ------------------------------------------------------------------- */
static int optim_gc(lua_State *L)
{
    LOptim *o = luaL_checkudata(L, 1, LB_OPTIM);
    tset_free(o->moments);
    o->moments = NULL;
    return 0;
}

static int cl_optim(lua_State *L)
{
    Err err;
    OptimCfg cfg;
    lua_settop(L, 1);
    lb_take_option(L, 1,
                   "total"); /* belongs to the schedule, not to the optimiser's rows */
    if (!lua_isnil(L, 2) && !(lua_isinteger(L, 2) && lua_tointeger(L, 2) > 0))
        return lb_error(L, ERR_OPTION,
                        "cl.optim: total must be a number of steps from 1 on");
    int64_t total = lua_tointeger(L, 2);
    lb_options(L, 1, "cl.optim", optim_options, optim_n_options, &cfg);
    if (!total && strcmp(cfg.schedule, "constant"))
        return lb_error(L, ERR_OPTION,
                        "cl.optim: the %s schedule needs total, its length in steps",
                        cfg.schedule);
    LOptim *o = lua_newuserdatauv(L, sizeof *o, 0);
    memset(o, 0, sizeof *o);
    luaL_setmetatable(L, LB_OPTIM);
    o->cfg = cfg;
    o->total = total;
    if (!(o->moments = tset_new(&err)))
        return lb_raise(L, &err);
    return 1;
}

static int optim_update(lua_State *L)
{
    LOptim *o = luaL_checkudata(L, 1, LB_OPTIM);
    Lb *lb = lb_of(L);
    Err err;
    luaL_argcheck(L, o->moments, 1, "this optimizer was closed");
    enum { MAX_PARAMS = 128 };
    OptimParam p[MAX_PARAMS];
    Val wrt[MAX_PARAMS], d[MAX_PARAMS];
    char names[MAX_PARAMS][80];
    Val loss = lb_any_val(L, 2, "optimizer:update");
    luaL_checktype(L, 3, LUA_TTABLE);
    int n = collect_vals(L, 3, "optimizer:update", wrt, MAX_PARAMS);
    if (lb->trace->optim)
        return lb_error(L, ERR_STATE,
                        "optimizer:update: one update in a traced function; give "
                        "all parameters at once");
    for (int i = 0; i < n; i++) {
        lua_rawgeti(L, 3, i + 1);
        LTensor *t = lb_test_tensor(L, -1);
        if (!t || !t->is_state)
            return lb_error(L, ERR_STATE,
                            "optimizer:update: parameter %d is not a state; make "
                            "it with cl.state or take it from a network",
                            i + 1);
        snprintf(names[i], sizeof names[i], "%d.%s", i + 1, t->name);
        lua_pop(L, 1);
    }
    if (!graph_grad(lb->trace->g, loss, wrt, n, d))
        lb_graph_check(L);
    for (int i = 0; i < n; i++)
        p[i] =
            (OptimParam){.name = names[i], .param = wrt[i], .grad = d[i], .decay = 1};
    if (!optim_build(lb->trace->g, &o->cfg, p, n, o->moments, &err))
        return lb_raise(L, &err);
    lb->trace->optim = o;
    lua_pushvalue(L, 1);
    lb->trace->optim_ref = luaL_ref(L, LUA_REGISTRYINDEX);
    return 0;
}

/* --- Lua inside of C builders ----------------------------------------------------- */
/* The message at the stack top as g's error. */
static void take_error(lua_State *L, Graph *g, int status)
{
    const char *msg = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : NULL;
    graph_fail(g,
               intr_pending()         ? ERR_INTERRUPT
               : status == LUA_ERRMEM ? ERR_MEMORY
                                      : ERR_SCRIPT,
               "%s", msg ? msg : "an error that is no text was raised");
}

void lb_build(Lb *lb, Graph *g, lua_CFunction body, void *arg)
{
    lua_State *L = lb->current;
    Trace *outer = lb->trace, own = {.g = g, .id = graph_id(g), .optim_ref = LUA_NOREF};
    if (!L || !lua_checkstack(L, 4)) {
        graph_fail(g, ERR_STATE,
                   "a function of a script was needed while no script runs");
        return;
    }
    bool same = outer && outer->g == g;
    if (lb->built == own.id)
        own.draws = lb->draws; /* another piece of the same graph */
    if (!same)
        lb->trace = &own;
    int top = lua_gettop(L);
    lua_pushcfunction(L, body);
    lua_pushlightuserdata(L, arg);
    int status = lua_pcall(L, 1, 0, 0);
    if (status != LUA_OK && graph_ok(g))
        take_error(L, g, status);
    lua_settop(L, top);
    lb->trace = outer;
    if (!same) {
        luaL_unref(L, LUA_REGISTRYINDEX, own.optim_ref);
        lb->built = own.id;
        lb->draws = own.draws;
    }
}

/* --- tracing ---------------------------------------------------------------------- */
static int step_gc(lua_State *L)
{
    LStep *s = luaL_checkudata(L, 1, LB_STEP);
    for (int i = 0; i < s->n; i++)
        plan_free(s->p[i].plan);
    s->n = 0;
    return 0;
}

typedef struct CompileCfg {
    int64_t seed;
} CompileCfg;
static const OptRow compile_options[] = {
    {"seed", OPT_INT, offsetof(CompileCfg, seed), "0", 0, 0, NULL,
     "Seed of the random ops inside."},
};
static const size_t n_compile_options = ARRAY_LEN(compile_options);

static int cl_compile(lua_State *L)
{
    CompileCfg cfg;
    luaL_checktype(L, 1, LUA_TFUNCTION);
    lb_options(L, 2, "cl.compile", compile_options, n_compile_options, &cfg);
    LStep *s = lua_newuserdatauv(L, sizeof *s, 2);
    memset(s, 0, sizeof *s);
    s->seed = (uint64_t)cfg.seed;
    luaL_setmetatable(L, LB_STEP);
    lua_pushvalue(L, 1);
    lua_setiuservalue(L, -2, 1);
    lua_newtable(L);
    lua_setiuservalue(L, -2, 2);
    return 1;
}

/* Numbers become scalars of the first floating tensor's dtype, f32 without one. */
static void read_args(lua_State *L, int first, int n, Spec *spec, bool *is_number)
{
    DType number = F32;
    for (int i = n - 1; i >= 0; i--) {
        LTensor *t = lb_test_tensor(L, first + i);
        if (t && (t->t.dtype == F32 || t->t.dtype == F64))
            number = t->t.dtype;
    }
    for (int i = 0; i < n; i++) {
        LTensor *t = lb_test_tensor(L, first + i);
        is_number[i] = !t;
        if (t)
            spec[i] = spec_of(&lb_check_tensor(L, first + i)->t);
        else if (lua_type(L, first + i) == LUA_TNUMBER)
            spec[i] = spec_make(number, 0, NULL);
        else
            lb_error(L, ERR_OPTION,
                     "argument %d of a compiled function must be a tensor or a "
                     "number, got %s",
                     i + 1, luaL_typename(L, first + i));
    }
}

static bool same_spec(const Spec *a, const Spec *b)
{
    if (a->dtype != b->dtype || a->ndim != b->ndim)
        return false;
    for (int d = 0; d < a->ndim; d++)
        if (a->dim[d] != b->dim[d])
            return false;
    return true;
}

static StepPlan *find_plan(LStep *s, int n, const Spec *spec, const bool *is_number)
{
    for (int i = 0; i < s->n; i++) {
        StepPlan *p = &s->p[i];
        bool same = p->n_args == n;
        for (int k = 0; same && k < n; k++)
            same = p->is_number[k] == is_number[k] && same_spec(&p->args[k], &spec[k]);
        if (same)
            return p;
    }
    return NULL;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(a, b);
}

/* The results are the named symbols of one table; outputs in the order of their
 * names. */
static void table_results(lua_State *L, StepPlan *p, int table)
{
    p->as_table = true;
    lua_pushnil(L);
    while (lua_next(L, table)) {
        if (p->n_out == MAX_RESULTS)
            lb_error(L, ERR_OPTION, "a compiled function returns at most %d values",
                     MAX_RESULTS);
        if (lua_type(L, -2) != LUA_TSTRING)
            lb_error(L, ERR_OPTION,
                     "a compiled function returns symbols or a table of named "
                     "symbols");
        if (!text_copy(p->names[p->n_out], sizeof p->names[0], lua_tostring(L, -2)))
            lb_error(L, ERR_OPTION, "the name of a result has at most %d bytes",
                     (int)sizeof p->names[0] - 1);
        p->n_out++;
        lua_pop(L, 1);
    }
    qsort(p->names, (size_t)p->n_out, sizeof p->names[0], by_name);
    for (int i = 0; i < p->n_out; i++) {
        lua_pushstring(L, p->names[i]);
        lua_rawget(L, table);
        graph_output(lb_of(L)->trace->g, p->names[i],
                     lb_any_val(L, lua_gettop(L), "return"));
        lua_pop(L, 1);
    }
}

/* Runs under lua_pcall: arguments are (step, StepPlan*, function); records the
 * graph. */
static int trace_body(lua_State *L)
{
    StepPlan *p = lua_touserdata(L, 2);
    Trace *t = lb_of(L)->trace;
    lua_settop(L, 3);
    luaL_checkstack(L, MAX_ARGS + MAX_RESULTS + 8, "arguments");
    for (int i = 0; i < p->n_args; i++) {
        char name[16];
        snprintf(name, sizeof name, "arg%d", i + 1);
        lb_push_sym(
            L, t,
            graph_input(t->g, name, p->args[i].dtype, p->args[i].ndim, p->args[i].dim));
    }
    lb_graph_check(L);
    lua_call(L, p->n_args, LUA_MULTRET);
    int n = lua_gettop(L) - 2;
    if (n > MAX_RESULTS)
        lb_error(L, ERR_OPTION, "a compiled function returns at most %d values",
                 MAX_RESULTS);
    if (n == 1 && lua_istable(L, 3)) {
        table_results(L, p, 3);
    } else {
        for (int i = 0; i < n; i++) {
            snprintf(p->names[i], sizeof p->names[i], "%d", i + 1);
            graph_output(t->g, p->names[i], lb_any_val(L, 3 + i, "return"));
        }
        p->n_out = n;
    }
    lb_graph_check(L);
    if (t->optim) { /* the step keeps its optimiser alive */
        lua_getiuservalue(L, 1, 2);
        lua_rawgeti(L, LUA_REGISTRYINDEX, t->optim_ref);
        lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
    }
    return 0;
}

/* Records and plans the function for these arguments; the last plan gives way when
 * all places are taken. */
static StepPlan *trace_plan(lua_State *L, LStep *s, int n, const Spec *spec,
                            const bool *is_number)
{
    Lb *lb = lb_of(L);
    Err err;
    Trace trace = {.optim_ref = LUA_NOREF};
    StepPlan p = {.n_args = n};
    memcpy(p.args, spec, sizeof spec[0] * (size_t)n);
    memcpy(p.is_number, is_number, sizeof is_number[0] * (size_t)n);
    luaL_checkstack(L, 8, "tracing");
    if (!(trace.g = graph_new(&err)))
        lb_raise(L, &err);
    trace.id = graph_id(trace.g);
    lb->trace = &trace;
    lua_pushcfunction(L, trace_body);
    lua_pushvalue(L, 1);
    lua_pushlightuserdata(L, &p);
    lua_getiuservalue(L, 1, 1);
    int status = lua_pcall(L, 3, 0, 0);
    lb->trace = NULL;
    p.plan = status == LUA_OK ? plan_new(trace.g, s->seed, &err) : NULL;
    graph_free(trace.g);
    luaL_unref(L, LUA_REGISTRYINDEX, trace.optim_ref);
    if (status != LUA_OK)
        lua_error(L);
    if (!p.plan)
        lb_raise(L, &err);
    p.optim = trace.optim;
    p.in_lr = plan_input_index(p.plan, "lr");
    p.in_t = plan_input_index(p.plan, "t");
    if (s->n == MAX_PLANS)
        plan_free(s->p[--s->n].plan);
    s->p[s->n++] = p;
    lb_pace(L);
    return &s->p[s->n - 1];
}

/* Binds and replays once. idx replaces argument 1 when it is not NULL. */
static bool run_once(lua_State *L, LStep *s, StepPlan *p, int first, const Tensor *idx,
                     Err *err)
{
    Tensor in[MAX_ARGS + 2] = {0}, copy[MAX_ARGS] = {0};
    double number[MAX_ARGS];
    float number32[MAX_ARGS], lr, t;
    bool ok = true;
    int n_in = plan_input_count(p->plan);
    for (int i = 0; ok && i < p->n_args; i++) {
        char name[16];
        snprintf(name, sizeof name, "arg%d", i + 1);
        int k = plan_input_index(p->plan, name);
        if (k < 0)
            continue; /* an argument nothing reads */
        if (p->is_number[i] && !(idx && i == 0)) {
            number[i] = lua_tonumber(L, first + i);
            number32[i] = (float)number[i];
            in[k] = p->args[i].dtype == F64 ? tensor_wrap(F64, 0, NULL, &number[i])
                                            : tensor_wrap(F32, 0, NULL, &number32[i]);
        } else if (idx && i == 0) {
            in[k] = *idx;
        } else {
            ok = tensor_contiguous_of(&lb_test_tensor(L, first + i)->t, &copy[i], err);
            in[k] = copy[i];
        }
    }
    if (p->optim && p->in_lr >= 0) {
        int64_t at = (int64_t)s->step + 1;
        lr = (float)sched_rate(&p->optim->cfg, at,
                               p->optim->total ? p->optim->total : at);
        in[p->in_lr] = tensor_wrap(F32, 0, NULL, &lr);
    }
    if (p->optim && p->in_t >= 0) {
        t = (float)(s->step + 1);
        in[p->in_t] = tensor_wrap(F32, 0, NULL, &t);
    }
    plan_set_step(p->plan, s->step);
    ok = ok && n_in <= MAX_ARGS + 2 && plan_run(p->plan, in, err);
    for (int i = 0; i < p->n_args; i++)
        tensor_release(&copy[i]);
    if (ok)
        s->step++;
    return ok;
}

static int push_results(lua_State *L, const StepPlan *p)
{
    Err err;
    if (p->as_table)
        lua_createtable(L, 0, p->n_out);
    luaL_checkstack(L, p->n_out + 2, "results");
    for (int i = 0; i < p->n_out; i++) {
        const Tensor *v = plan_output(p->plan, i);
        if (v->ndim == 0) {
            lb_push_element(L, v->dtype, tensor_item(v));
        } else {
            LTensor *out = lb_push_tensor(L);
            if (!tensor_copy(v, &out->t, &err))
                return lb_raise(L, &err);
        }
        if (p->as_table)
            lua_setfield(L, -2, p->names[i]);
    }
    lb_pace(L);
    return p->as_table ? 1 : p->n_out;
}

static void refuse_nested(lua_State *L)
{
    if (lb_of(L)->trace)
        lb_error(L, ERR_STATE,
                 "a compiled function was called while another one is traced; call "
                 "the plain function instead");
}

static int step_call(lua_State *L)
{
    LStep *s = luaL_checkudata(L, 1, LB_STEP);
    Spec spec[MAX_ARGS];
    bool is_number[MAX_ARGS];
    Err err;
    int n = lua_gettop(L) - 1;
    if (n > MAX_ARGS)
        return lb_error(L, ERR_OPTION, "a compiled function takes at most %d arguments",
                        MAX_ARGS);
    refuse_nested(L);
    read_args(L, 2, n, spec, is_number);
    StepPlan *p = find_plan(s, n, spec, is_number);
    if (!p)
        p = trace_plan(L, s, n, spec, is_number);
    if (!run_once(L, s, p, 2, NULL, &err))
        return lb_raise(L, &err);
    return push_results(L, p);
}

static int step_run(lua_State *L)
{
    LStep *s = luaL_checkudata(L, 1, LB_STEP);
    Sampler *data = lb_check_sampler(L, 2);
    lua_Integer steps = luaL_checkinteger(L, 3);
    int n = lua_gettop(L) - 3 + 1;
    Spec spec[MAX_ARGS];
    bool is_number[MAX_ARGS] = {false};
    Err err;
    refuse_nested(L);
    luaL_argcheck(L, steps >= 1, 3, "at least one step");
    luaL_argcheck(L, n >= 1 && n <= MAX_ARGS, 4, "too many arguments");
    int64_t batch = data->batch;
    spec[0] = spec_make(I32, 1, &batch);
    read_args(L, 4, n - 1, spec + 1, is_number + 1);
    LTensor *idx = lb_push_tensor(L);
    if (!tensor_new(I32, 1, &batch, &idx->t, &err))
        return lb_raise(L, &err);
    StepPlan *p = find_plan(s, n, spec, is_number);
    if (!p)
        p = trace_plan(L, s, n, spec, is_number);
    for (lua_Integer i = 0; i < steps; i++) {
        if (sampler_next(data, idx->t.data) != batch)
            return lb_error(L, ERR_STATE,
                            "step:run: the sampler must be shuffled, so that every "
                            "batch is whole");
        if (!run_once(L, s, p, 3, &idx->t, &err))
            return lb_raise(L, &err);
    }
    return push_results(L, p);
}

static int step_info(lua_State *L)
{
    LStep *s = luaL_checkudata(L, 1, LB_STEP);
    if (!s->n)
        return lb_error(L, ERR_STATE, "step:info: call the function once first");
    PlanInfo i = plan_info(s->p[s->n - 1].plan);
    const struct {
        const char *name;
        int64_t v;
    } counts[] = {{"nodes", i.nodes},       {"nodes_recorded", i.nodes_recorded},
                  {"merged", i.merged},     {"fused", i.fused},
                  {"in_place", i.in_place}, {"arena_bytes", (int64_t)i.arena_bytes}};
    lua_createtable(L, 0, 8);
    for (size_t k = 0; k < ARRAY_LEN(counts); k++) {
        lua_pushinteger(L, counts[k].v);
        lua_setfield(L, -2, counts[k].name);
    }
    lua_pushnumber(L, i.flops);
    lua_setfield(L, -2, "flops");
    return 1;
}

static int step_describe(lua_State *L)
{
    LStep *s = luaL_checkudata(L, 1, LB_STEP);
    if (!s->n)
        return lb_error(L, ERR_STATE, "step:describe: call the function once first");
    Str *t = lb_push_str(L);
    plan_describe(s->p[s->n - 1].plan, t);
    return lb_push_text(L, t);
}

const LbFn lb_trace_fns[] = {
    {"cl.compile", "(fn, { seed = 0 })",
     "A compiled function: fn runs once on symbols for each new combination of "
     "argument "
     "shapes, its graph is planned, and calls replay it without allocating. Arguments "
     "are "
     "tensors or numbers; results are numbers for scalars and tensors otherwise, or "
     "one table of named "
     "values. Random ops inside draw from (seed, stream, call number); without a "
     "stream name "
     "each has a stream of its own.",
     cl_compile, compile_options, &n_compile_options,
     "step = cl.compile(function(x) return (x * x):sum() end)"},
    {"cl.grad", "(loss, wrt)",
     "Inside a compiled function: the gradients of a scalar with respect to a value or "
     "a list of "
     "values. May be used more than once.",
     cl_grad, NULL, NULL, NULL},
    {"cl.assign", "(state, value)",
     "Writes a state: inside a compiled function at this point of its order, outside "
     "at once.",
     cl_assign, NULL, NULL, NULL},
    {"cl.site", "(name, value)",
     "Names a value inside a compiled function; a rewrite hook may replace it.",
     cl_site, NULL, NULL, NULL},
    {"cl.optim", "({ method = \"adam\", lr = 1e-3, total = steps, ... })",
     "An optimiser for compiled functions. total is the length of linear and cosine "
     "schedules "
     "in steps.",
     cl_optim, optim_options, &optim_n_options, NULL},
    {"optimizer:update", "(loss, params)",
     "Inside a compiled function: appends the gradients of loss and the update of the "
     "listed "
     "states.",
     optim_update, NULL, NULL, NULL},
    {"step:run", "(sampler, n, ...)",
     "n calls in one, with the sampler's indices (i32) as the first argument; the same "
     "bits as "
     "n separate calls. Returns the last call's results.",
     step_run, NULL, NULL, NULL},
    {"step:info", "()",
     "Nodes, merged and fused nodes, arena bytes and flops of the last plan.",
     step_info, NULL, NULL, NULL},
    {"step:describe", "()", "The last plan as text, one line a node.", step_describe,
     NULL, NULL, NULL},
};
const size_t lb_n_trace_fns = ARRAY_LEN(lb_trace_fns);

void lb_open_trace(lua_State *L)
{
    static const luaL_Reg events[] = {
        {"__index", sym_index},   {"__tostring", sym_tostring},
        {"__len", sym_len},       {"__newindex", sym_newindex},
        {"__lt", sym_refuse},     {"__le", sym_refuse},
        {"__concat", sym_refuse}, {NULL, NULL},
    };
    lb_class(L, LB_SYM, NULL);
    luaL_getmetatable(L, LB_SYM);
    lua_newtable(L);
    lua_setfield(L, -2, "methods");
    luaL_setfuncs(L, events, 0);
    lua_pop(L, 1);
    lb_class(L, LB_OPTIM, optim_gc);
    lb_class(L, LB_STEP, step_gc);
    luaL_getmetatable(L, LB_STEP);
    lua_pushcfunction(L, step_call);
    lua_setfield(L, -2, "__call");
    lua_pop(L, 1);
}
