/* lb_ops.c -- every op row becomes cl.NAME(x, ...) and x:NAME(...), for tensors
 * (computed at once) and for symbols (recorded). One C closure serves all; the row
 * is its upvalue and the arguments are read by its signature: tensors first, then
 * attributes by position or in one option table. Axes and slices count from 1 here
 * and from 0 in the rows. */
#include <math.h>
#include <string.h>

#include "base/kern.h"
#include "base/mem.h"
#include "graph/op.h"
#include "script/lb.h"

enum { IN_CAP = OP_MAX_IN };

typedef struct Call {
    const OpRow *row;
    const OpSig *sig;
    int n_in;
    Tensor tensor[IN_CAP]; /* borrowed headers: Lua's arguments keep the memory alive */
    LTensor *lt[IN_CAP];   /* where it came from, NULL for numbers */
    LSym *sym[IN_CAP];
    bool present[IN_CAP], is_number[IN_CAP];
    double number[IN_CAP]; /* memory of number arguments */
    float number32[IN_CAP];
    int32_t number_i[IN_CAP];
    OpAttr attr;
    bool traced, named; /* named: the text attribute was given */
} Call;

static void take_input(lua_State *L, Call *c, int arg, const char *what)
{
    int k = c->n_in;
    if (k >= IN_CAP)
        lb_error(L, ERR_OPTION, "%s takes at most %d tensors", c->row->name, IN_CAP);
    c->n_in++;
    if (lua_isnoneornil(L, arg))
        return;
    c->present[k] = true;
    if ((c->sym[k] = lb_test_sym(L, arg))) {
        c->traced = true;
    } else if ((c->lt[k] = lb_test_tensor(L, arg))) {
        c->tensor[k] = c->lt[k]->t;
    } else if (lua_type(L, arg) == LUA_TNUMBER) {
        c->is_number[k] = true;
        c->number[k] = lua_tonumber(L, arg);
    } else {
        lb_error(L, ERR_OPTION, "%s: %s must be a tensor or a number, got %s",
                 c->row->name, what, luaL_typename(L, arg));
    }
}

/* Number arguments take the dtype of the first tensor argument (f32 when there is
 * none). */
static DType number_dtype(lua_State *L, const Call *c)
{
    for (int k = 0; k < c->n_in; k++) {
        if (c->lt[k])
            return c->tensor[k].dtype == U8 ? I32 : c->tensor[k].dtype;
        if (c->sym[k]) {
            Val v = lb_sym_val(L, c->sym[k]);
            return graph_spec(trace_graph(lb_of(L)->trace), v).dtype;
        }
    }
    return F32;
}

static int64_t to_axis(lua_State *L, const Call *c, const char *name, lua_Integer v)
{
    if (v == 0)
        lb_error(L, ERR_OPTION,
                 "%s: axis '%s' counts from 1 (or from the end with -1), got 0",
                 c->row->name, name);
    return v > 0 ? v - 1 : v;
}

static void take_list(lua_State *L, Call *c, const OpParam *p, int arg)
{
    OpAttr *a = &c->attr;
    if (lua_isinteger(L, arg)) {
        lua_Integer v = lua_tointeger(L, arg);
        a->list[0] = p->type == 'A' ? to_axis(L, c, p->name, v) : v;
        a->n_list = 1;
        return;
    }
    lua_Integer n = (lua_Integer)lua_rawlen(L, arg);
    if (!lua_istable(L, arg) || n > MAX_DIM)
        lb_error(L, ERR_OPTION, "%s: '%s' must be a list of at most %d integers",
                 c->row->name, p->name, MAX_DIM);
    for (lua_Integer i = 1; i <= n; i++) {
        if (lua_rawgeti(L, arg, i) != LUA_TNUMBER || !lua_isinteger(L, -1))
            lb_error(L, ERR_OPTION, "%s: '%s' must hold integers", c->row->name,
                     p->name);
        lua_Integer v = lua_tointeger(L, -1);
        a->list[i - 1] = p->type == 'A' ? to_axis(L, c, p->name, v) : v;
        lua_pop(L, 1);
    }
    a->n_list = (int)n;
}

static void take_attr(lua_State *L, Call *c, const OpParam *p, int arg)
{
    OpAttr *a = &c->attr;
    DType t;
    arg = lua_absindex(L, arg);
    if (lua_isnil(L, arg))
        return;
    switch (p->type) {
    case 'i':
        if (!lua_isinteger(L, arg))
            lb_error(L, ERR_OPTION, "%s: '%s' must be an integer, got %s", c->row->name,
                     p->name, luaL_typename(L, arg));
        a->i[p->slot] = lua_tointeger(L, arg);
        break;
    case 'a':
        if (!lua_isinteger(L, arg))
            lb_error(L, ERR_OPTION,
                     "%s: '%s' must be an axis (an integer from 1), got %s",
                     c->row->name, p->name, luaL_typename(L, arg));
        a->i[p->slot] = to_axis(L, c, p->name, lua_tointeger(L, arg));
        break;
    case 'f':
        if (lua_type(L, arg) != LUA_TNUMBER)
            lb_error(L, ERR_OPTION, "%s: '%s' must be a number, got %s", c->row->name,
                     p->name, luaL_typename(L, arg));
        a->f[p->slot] = lua_tonumber(L, arg);
        break;
    case 'b':
        if (!lua_isboolean(L, arg))
            lb_error(L, ERR_OPTION, "%s: '%s' must be true or false, got %s",
                     c->row->name, p->name, luaL_typename(L, arg));
        a->i[p->slot] = lua_toboolean(L, arg);
        break;
    case 's':
        if (lua_type(L, arg) != LUA_TSTRING ||
            !text_copy(a->text, sizeof a->text, lua_tostring(L, arg)))
            lb_error(L, ERR_OPTION, "%s: '%s' must be a text of at most %d bytes",
                     c->row->name, p->name, (int)sizeof a->text - 1);
        c->named = true;
        break;
    case 'd':
        if (lua_type(L, arg) != LUA_TSTRING || !dtype_parse(lua_tostring(L, arg), &t))
            lb_error(L, ERR_OPTION, "%s: '%s' must be f32, f64, i32 or u8",
                     c->row->name, p->name);
        a->i[p->slot] = t;
        break;
    default: take_list(L, c, p, arg);
    }
}

static bool is_option_table(lua_State *L, int arg)
{
    if (!lua_istable(L, arg) || lua_rawlen(L, arg) > 0)
        return false;
    lua_pushnil(L);
    if (!lua_next(L, arg))
        return false;
    lua_pop(L, 2);
    return true;
}

static bool is_empty_table(lua_State *L, int arg)
{
    return lua_istable(L, arg) && lua_rawlen(L, arg) == 0 && !is_option_table(L, arg);
}

static void take_option_table(lua_State *L, Call *c, int arg, bool *seen)
{
    const OpSig *s = c->sig;
    lua_pushnil(L);
    while (lua_next(L, arg)) {
        const char *names[OP_MAX_IN + OP_MAX_ATTR];
        size_t n = 0;
        int hit = -1;
        if (lua_type(L, -2) != LUA_TSTRING)
            lb_error(L, ERR_OPTION, "%s: option names are words", c->row->name);
        const char *key = lua_tostring(L, -2);
        for (int i = s->n_tensors; i < s->n; i++) {
            names[n++] = s->p[i].name;
            if (strcmp(s->p[i].name, key) == 0)
                hit = i;
        }
        if (hit < 0) {
            const char *near = text_nearest(key, names, n);
            lb_error(L, ERR_OPTION, "%s: unknown option '%s'%s%s%s; signature: %s(%s)",
                     c->row->name, key, near ? "; did you mean '" : "",
                     near ? near : "", near ? "'" : "", c->row->name, c->row->sig);
        }
        take_attr(L, c, &s->p[hit], -1);
        seen[hit] = true;
        lua_pop(L, 1);
    }
}

static void take_attributes(lua_State *L, Call *c, int arg, int top)
{
    const OpSig *s = c->sig;
    bool seen[OP_MAX_IN + OP_MAX_ATTR] = {false};
    int i = s->n_tensors;
    for (; arg <= top; arg++) {
        if (is_empty_table(L, arg) && (i >= s->n || !strchr("AI", s->p[i].type)))
            continue; /* no options */
        if (is_option_table(L, arg)) {
            take_option_table(L, c, arg, seen);
            continue;
        }
        if (i >= s->n)
            lb_error(L, ERR_OPTION, "%s: too many arguments; signature: %s(%s)",
                     c->row->name, c->row->name, c->row->sig);
        if (!lua_isnil(L, arg)) {
            take_attr(L, c, &s->p[i], arg);
            seen[i] = true;
        }
        i++;
    }
    for (i = s->n_tensors; i < s->n; i++)
        if (!s->p[i].optional && !seen[i])
            lb_error(L, ERR_OPTION, "%s: '%s' is missing; signature: %s(%s)",
                     c->row->name, s->p[i].name, c->row->name, c->row->sig);
}

static int take_rest(lua_State *L, Call *c, const char *name, int arg, int top)
{
    if (lua_istable(L, arg) && lua_rawlen(L, arg) > 0) {
        lua_Integer n = (lua_Integer)lua_rawlen(L, arg);
        for (lua_Integer i = 1; i <= n; i++) {
            lua_rawgeti(L, arg, i);
            take_input(L, c, -1, name);
            lua_pop(L, 1); /* the table keeps it alive */
        }
        return arg + 1;
    }
    while (arg <= top && (lb_test_tensor(L, arg) || lb_test_sym(L, arg)))
        take_input(L, c, arg++, name);
    return arg;
}

static void take_arguments(lua_State *L, Call *c, int first)
{
    int top = lua_gettop(L), arg = first;
    const OpSig *s = c->sig;
    op_attr_defaults(c->row, &c->attr);
    for (int i = 0; i < s->n_tensors; i++) {
        const OpParam *p = &s->p[i];
        if (p->rest) {
            arg = take_rest(L, c, p->name, arg, top);
        } else if (p->optional && arg <= top && !lb_test_tensor(L, arg) &&
                   !lb_test_sym(L, arg) && !lua_isnil(L, arg)) {
            take_input(L, c, top + 1,
                       p->name); /* absent: what follows is an attribute */
        } else {
            if (!p->optional && lua_isnoneornil(L, arg))
                lb_error(L, ERR_OPTION, "%s: '%s' is missing; signature: %s(%s)",
                         c->row->name, p->name, c->row->name, c->row->sig);
            take_input(L, c, arg++, p->name);
        }
    }
    take_attributes(L, c, arg, top);
}

static void bind_numbers(lua_State *L, Call *c)
{
    DType t = F32;
    bool known = false;
    for (int k = 0; k < c->n_in; k++) {
        if (!c->is_number[k])
            continue;
        if (!known)
            t = number_dtype(L, c);
        known = true;
        if (t == I32 &&
            !(c->number[k] == floor(c->number[k]) && fabs(c->number[k]) <= INT32_MAX))
            lb_error(L, ERR_OPTION,
                     "%s: %.14g is not an i32 value, as the tensor's are; cast the "
                     "tensor first, as in x:cast(\"f32\")",
                     c->row->name, c->number[k]);
        c->number32[k] = (float)c->number[k];
        c->number_i[k] = t == I32 ? (int32_t)c->number[k] : 0;
        void *at = t == F64   ? (void *)&c->number[k]
                   : t == F32 ? (void *)&c->number32[k]
                              : (void *)&c->number_i[k];
        c->tensor[k] = tensor_wrap(t, 0, NULL, at);
    }
}

static int call_traced(lua_State *L, Call *c)
{
    Lb *lb = lb_of(L);
    Graph *g;
    Val in[IN_CAP], out[OP_MAX_OUT];
    int n_out = op_n_out(c->row);
    if (!lb->trace)
        return lb_error(L, ERR_STATE,
                        "%s: a symbolic value was used outside the function that "
                        "cl.compile traces",
                        c->row->name);
    if (c->row->flags & OP_EAGER_ONLY)
        return lb_error(L, ERR_STATE,
                        "%s has a result whose shape depends on values; compute "
                        "it before cl.compile and pass it in",
                        c->row->name);
    if ((c->row->flags & OP_RANDOM) && !c->named)
        trace_name_stream(lb->trace, c->attr.text, sizeof c->attr.text);
    g = trace_graph(lb->trace);
    for (int k = 0; k < c->n_in; k++) {
        if (!c->present[k])
            in[k] = VAL_NONE;
        else if (c->sym[k])
            in[k] = lb_sym_val(L, c->sym[k]);
        else if (c->lt[k])
            in[k] = lb_tensor_val(L, c->lt[k]);
        else
            in[k] = graph_number(g, c->tensor[k].dtype, c->number[k]);
    }
    if (!graph_op_multi(g, c->row, in, c->n_in, &c->attr, out))
        lb_graph_check(L);
    for (int k = 0; k < n_out; k++)
        lb_push_sym(L, lb->trace, out[k]);
    return n_out;
}

/* A finaliser may have run since the arguments were read, and closed one of them. */
static void reread(lua_State *L, Call *c)
{
    for (int k = 0; k < c->n_in; k++) {
        if (!c->lt[k])
            continue;
        c->tensor[k] = c->lt[k]->t;
        if (!c->tensor[k].data && tensor_count(&c->tensor[k]) > 0)
            lb_error(L, ERR_STATE, "%s: an argument was closed while memory was made",
                     c->row->name);
    }
}

static int call_eager(lua_State *L, Call *c, const RunCtx *ctx)
{
    Err err;
    int n_out = op_n_out(c->row);
    LTensor *dst[OP_MAX_OUT];
    Tensor out[OP_MAX_OUT] = {0};
    const Tensor *in[IN_CAP];
    if ((c->row->flags & OP_RANDOM) && !ctx)
        return lb_error(L, ERR_STATE,
                        "%s: draw from a generator, as in cl.rng(1):%s(...); only "
                        "traced functions have a seed of their own",
                        c->row->name, c->row->name);
    luaL_checkstack(L, n_out, "results");
    for (int k = 0; k < n_out; k++)
        dst[k] = lb_push_tensor(L);
    for (int k = 0; k < c->n_in; k++)
        in[k] = c->present[k] ? &c->tensor[k] : NULL;
    reread(L, c);
    bool ok = op_eager(c->row, in, c->n_in, &c->attr, ctx, out, &err);
    if (!ok && err.code == ERR_MEMORY && lb_relieve(L)) {
        reread(L, c);
        ok = op_eager(c->row, in, c->n_in, &c->attr, ctx, out, &err);
    }
    if (!ok)
        return lb_raise(L, &err);
    for (int k = 0; k < n_out; k++)
        dst[k]->t = out[k];
    lb_pace(L);
    return n_out;
}

int lb_call_row(lua_State *L, const OpRow *row, int first, const RunCtx *ctx)
{
    Lb *lb = lb_of(L);
    Call c = {.row = row, .sig = op_sig(row)};
    take_arguments(L, &c, first);
    if (ctx && c.traced)
        return lb_error(L, ERR_STATE,
                        "%s: a generator draws at once; inside a traced function use "
                        "cl.%s(...), which draws anew in each call",
                        row->name, row->name);
    bind_numbers(L, &c);
    if (lb->trace && !c.traced && !ctx) {
        c.traced = (row->flags & (OP_RANDOM | OP_EFFECT)) != 0;
        for (int k = 0; k < c.n_in; k++)
            c.traced = c.traced || (c.lt[k] && c.lt[k]->is_state);
    }
    return c.traced ? call_traced(L, &c) : call_eager(L, &c, ctx);
}

static int op_closure(lua_State *L)
{
    return lb_call_row(L, lua_touserdata(L, lua_upvalueindex(1)), 1, NULL);
}

/* Operators: the metamethod's name and the row it calls. */
static const struct {
    const char *event, *row;
} operators[] = {
    {"__add", "add"}, {"__sub", "sub"}, {"__mul", "mul"},
    {"__div", "div"}, {"__pow", "pow"}, {"__unm", "neg"},
};

static int operator_closure(lua_State *L)
{
    if (lua_toboolean(L, lua_upvalueindex(2)))
        lua_settop(L, 1); /* unary events get their operand twice */
    return lb_call_row(L, lua_touserdata(L, lua_upvalueindex(1)), 1, NULL);
}

static void set_in_class(lua_State *L, const char *kind, const char *name)
{
    luaL_getmetatable(L, kind);
    lua_getfield(L, -1, "methods");
    lua_pushvalue(L, -3);
    lua_setfield(L, -2, name);
    lua_pop(L, 2);
}

void lb_open_ops(lua_State *L)
{
    lua_getfield(L, LUA_REGISTRYINDEX, "cleave.cl");
    for (int i = 0; i < op_count(); i++) {
        const OpRow *row = op_at(i);
        if (row->flags & OP_EFFECT) /* optimiser updates are reached through cl.optim */
            continue;
        lua_pushlightuserdata(L, (void *)(uintptr_t)row);
        lua_pushcclosure(L, op_closure, 1);
        set_in_class(L, LB_TENSOR, row->name);
        set_in_class(L, LB_SYM, row->name);
        lua_setfield(L, -2, row->name);
    }
    lua_pop(L, 1);
    static const char *const kinds[] = {LB_TENSOR, LB_SYM};
    for (size_t i = 0; i < ARRAY_LEN(operators); i++) {
        const OpRow *row = op_find(operators[i].row);
        for (size_t k = 0; row && k < ARRAY_LEN(kinds); k++) {
            luaL_getmetatable(L, kinds[k]);
            lua_pushlightuserdata(L, (void *)(uintptr_t)row);
            lua_pushboolean(L, strcmp(operators[i].event, "__unm") == 0);
            lua_pushcclosure(L, operator_closure, 2);
            lua_setfield(L, -2, operators[i].event);
            lua_pop(L, 1);
        }
    }
}
