/* lb_tensor.c -- tensors in Lua: making, indexing, reading, printing, random
 * generators. */
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "script/lb.h"
#include "tensor/rng.h"

/* --- printing --------------------------------------------------------------------- */

static void format_number(const Tensor *t, int64_t flat, Str *out)
{
    int64_t index[MAX_DIM];
    for (int d = t->ndim - 1; d >= 0; d--) {
        index[d] = t->dim[d] ? flat % t->dim[d] : 0;
        flat /= t->dim[d] ? t->dim[d] : 1;
    }
    double v = tensor_get(t, index);
    if (t->dtype == I32 || t->dtype == U8)
        str_addf(out, "%.0f", v);
    else if (isnan(v))
        str_add(out, "nan");
    else
        str_addf(out, "%.4g", v);
}

void tensor_format(const Tensor *t, Str *out)
{
    char shape[96];
    int64_t n = tensor_count(t), head = n > 10 ? 6 : n;
    str_add(out, tensor_format_shape(t, shape));
    for (int64_t i = 0; i < head; i++) {
        str_add(out, i ? " " : "  ");
        format_number(t, i, out);
    }
    if (n > 10) {
        str_add(out, " ...");
        for (int64_t i = n - 2; i < n; i++) {
            str_add(out, " ");
            format_number(t, i, out);
        }
    }
}

static int tensor_tostring(lua_State *L)
{
    LTensor *t = luaL_checkudata(L, 1, LB_TENSOR);
    char text[768];
    Str s;
    str_init(&s);
    if (!t->t.data && tensor_count(&t->t) > 0)
        str_add(&s, "closed tensor");
    else
        tensor_format(&t->t, &s);
    text_copy(text, sizeof text, s.s);
    str_done(&s);
    lua_pushstring(L, text);
    return 1;
}

static int tensor_gc(lua_State *L)
{
    LTensor *t = luaL_checkudata(L, 1, LB_TENSOR);
    tensor_release(&t->t);
    memset(&t->t, 0, sizeof t->t);
    t->t.dim[0] = 1;
    t->t.ndim = 1; /* reads as closed: one element, no data */
    return 0;
}

/* --- making ----------------------------------------------------------------------- */

static DType dtype_option(lua_State *L, int arg, DType dflt)
{
    if (lua_istable(L, arg)) {
        lua_pushnil(L);
        while (lua_next(L, arg)) {
            if (lua_type(L, -2) != LUA_TSTRING || strcmp(lua_tostring(L, -2), "dtype"))
                lb_error(L, ERR_OPTION, "unknown option '%s'; the only one is dtype",
                         lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : "?");
            lua_pop(L, 1);
        }
        lua_getfield(L, arg, "dtype");
        dflt = lb_check_dtype(L, -1, dflt);
        lua_pop(L, 1);
        return dflt;
    }
    return lb_check_dtype(L, arg, dflt);
}

enum { POLL_EACH = 1 << 20 }; /* elements between two looks at the interrupt flag */

static int make_full(lua_State *L, DType t, int ndim, const int64_t *dim, double v)
{
    Err err;
    LTensor *out = lb_push_tensor(L);
    if (!tensor_full(t, ndim, dim, v, &out->t, &err) &&
        !(err.code == ERR_MEMORY && lb_relieve(L) &&
          tensor_full(t, ndim, dim, v, &out->t, &err)))
        return lb_raise(L, &err);
    lb_pace(L);
    return 1;
}

static int cl_zeros(lua_State *L)
{
    int64_t dim[MAX_DIM];
    int n = lb_check_shape(L, 1, dim);
    return make_full(L, dtype_option(L, 2, F32), n, dim, 0);
}

static int cl_ones(lua_State *L)
{
    int64_t dim[MAX_DIM];
    int n = lb_check_shape(L, 1, dim);
    return make_full(L, dtype_option(L, 2, F32), n, dim, 1);
}

static int cl_full(lua_State *L)
{
    int64_t dim[MAX_DIM];
    int n = lb_check_shape(L, 1, dim);
    return make_full(L, dtype_option(L, 3, F32), n, dim, luaL_checknumber(L, 2));
}

static int cl_arange(lua_State *L)
{
    int last = lua_gettop(L);
    DType t = last > 1 && lua_istable(L, last) ? dtype_option(L, last, F32)
                                               : dtype_option(L, 4, F32);
    if (last > 1 && lua_istable(L, last))
        lua_settop(L, last - 1);
    double from = luaL_checknumber(L, 1), to, step = luaL_optnumber(L, 3, 1);
    if (lua_isnoneornil(L, 2)) {
        to = from;
        from = 0;
    } else {
        to = luaL_checknumber(L, 2);
    }
    luaL_argcheck(L, step != 0 && isfinite(step), 3,
                  "the step must be finite and not 0");
    double count = ceil((to - from) / step);
    luaL_argcheck(L, count < 1e12, 2,
                  "the limits must be finite, for at most 1e12 elements");
    int64_t n = count > 0 ? (int64_t)count : 0;
    make_full(L, t, 1, &n, 0);
    LTensor *out = lb_check_tensor(L, -1);
    for (int64_t i = 0; i < n; i++) {
        if (i % POLL_EACH == 0)
            lb_poll(L);
        tensor_set(&out->t, &i, from + (double)i * step);
    }
    return 1;
}

/* Shape of a nested table; raises when it is ragged. */
static int table_shape(lua_State *L, int arg, int64_t dim[MAX_DIM])
{
    int n = 0, top = lua_gettop(L);
    lua_pushvalue(L, arg);
    while (lua_istable(L, -1)) {
        if (n == MAX_DIM)
            lb_error(L, ERR_SHAPE, "cl.tensor: nested deeper than 6 dimensions");
        dim[n++] = (int64_t)lua_rawlen(L, -1);
        if (dim[n - 1] == 0)
            break;
        lua_rawgeti(L, -1, 1);
    }
    lua_settop(L, top);
    return n;
}

static void fill_table(lua_State *L, int arg, Tensor *t, int axis, int64_t *index)
{
    if (axis == t->ndim) {
        if (lua_type(L, arg) != LUA_TNUMBER)
            lb_error(L, ERR_SHAPE,
                     "cl.tensor: elements are numbers, got a %s (are all rows "
                     "of equal length?)",
                     luaL_typename(L, arg));
        tensor_set(t, index, lua_tonumber(L, arg));
        return;
    }
    if (!lua_istable(L, arg) || (int64_t)lua_rawlen(L, arg) != t->dim[axis])
        lb_error(L, ERR_SHAPE,
                 "cl.tensor: rows of unequal length along axis %d: expected %lld",
                 axis + 1, (long long)t->dim[axis]);
    luaL_checkstack(L, 4, "nested table");
    arg = lua_absindex(L, arg);
    for (int64_t i = 0; i < t->dim[axis]; i++) {
        index[axis] = i;
        if (i % POLL_EACH == 0)
            lb_poll(L);
        lua_rawgeti(L, arg, i + 1);
        fill_table(L, -1, t, axis + 1, index);
        lua_pop(L, 1);
    }
}

static int cl_tensor(lua_State *L)
{
    int64_t dim[MAX_DIM], index[MAX_DIM] = {0};
    DType t = dtype_option(L, 2, F32);
    LTensor *src = lb_test_tensor(L, 1);
    if (src) {
        Err err;
        DType to = lua_isnoneornil(L, 2) ? src->t.dtype : t;
        lb_check_readable(L, src, "cl.tensor");
        LTensor *out = lb_push_tensor(L);
        if (!tensor_convert(&src->t, to, &out->t, &err))
            return lb_raise(L, &err);
        lb_pace(L);
        return 1;
    }
    if (lua_type(L, 1) == LUA_TNUMBER)
        return make_full(L, t, 0, dim, lua_tonumber(L, 1));
    luaL_checktype(L, 1, LUA_TTABLE);
    int n = table_shape(L, 1, dim);
    make_full(L, t, n, dim, 0);
    fill_table(L, 1, &lb_check_tensor(L, -1)->t, 0, index);
    return 1;
}

static int cl_state(lua_State *L)
{
    Err err;
    LTensor *src = lb_test_tensor(L, 1);
    const char *name = luaL_optstring(L, 2, "state");
    double v = src ? 0 : luaL_checknumber(L, 1);
    LTensor *out = lb_push_tensor(L);
    bool ok = src ? tensor_copy(&src->t, &out->t, &err)
                  : tensor_full(F32, 0, NULL, v, &out->t, &err);
    if (!ok)
        return lb_raise(L, &err);
    out->is_state = true;
    text_copy(out->name, sizeof out->name, name);
    lb_pace(L);
    return 1;
}

/* --- reading and indexing --------------------------------------------------------- */

static int push_selected(lua_State *L, const LTensor *t, int axis, int64_t i)
{
    Err err;
    lb_check_readable(L, t, "indexing");
    if (t->t.ndim == 1) {
        lb_push_element(L, t->t.dtype, tensor_get(&t->t, &i));
        return 1;
    }
    LTensor *out = lb_push_tensor(L);
    if (!tensor_select(&t->t, axis, i, &out->t, &err))
        return lb_raise(L, &err);
    return 1;
}

static int64_t to_index(lua_State *L, const Tensor *t, int axis, lua_Integer i)
{
    char shape[96];
    int64_t n = t->ndim > axis ? t->dim[axis] : 0, k = i < 0 ? n + i : i - 1;
    if (i == 0 || k < 0 || k >= n)
        lb_error(L, ERR_SHAPE,
                 "index %lld is outside axis %d of %s (indices run from 1 to %lld)",
                 (long long)i, axis + 1, tensor_format_shape(t, shape), (long long)n);
    return k;
}

static int tensor_index(lua_State *L)
{
    LTensor *t = luaL_checkudata(L, 1, LB_TENSOR);
    if (lua_type(L, 2) == LUA_TNUMBER) {
        lb_check_tensor(L, 1);
        return push_selected(L, t, 0, to_index(L, &t->t, 0, luaL_checkinteger(L, 2)));
    }
    const char *key = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : "";
    luaL_getmetatable(L, LB_TENSOR);
    lua_getfield(L, -1, "methods");
    lua_pushvalue(L, 2);
    if (lua_rawget(L, -2) != LUA_TNIL)
        return 1;
    if (strcmp(key, "shape") == 0) {
        lua_createtable(L, t->t.ndim, 0);
        for (int d = 0; d < t->t.ndim; d++) {
            lua_pushinteger(L, t->t.dim[d]);
            lua_rawseti(L, -2, d + 1);
        }
    } else if (strcmp(key, "dtype") == 0) {
        lua_pushstring(L, dtype_name(t->t.dtype));
    } else if (strcmp(key, "name") == 0) {
        lua_pushstring(L, t->name);
    } else {
        return lb_error(L, ERR_OPTION, "a tensor has no method or field '%s'",
                        lua_type(L, 2) == LUA_TSTRING ? key : luaL_typename(L, 2));
    }
    return 1;
}

static int tensor_newindex(lua_State *L)
{
    Err err;
    LTensor *t = lb_check_tensor(L, 1), *src = lb_test_tensor(L, 3);
    Tensor view;
    if (lua_type(L, 2) != LUA_TNUMBER)
        return lb_error(L, ERR_OPTION,
                        "only elements can be assigned, as in t[1] = 0.5");
    lb_check_readable(L, t, "assigning an element");
    int64_t i = to_index(L, &t->t, 0, luaL_checkinteger(L, 2));
    if (t->t.ndim == 1) {
        tensor_set(&t->t, &i, luaL_checknumber(L, 3));
        return 0;
    }
    double v = src ? 0 : luaL_checknumber(L, 3);
    if (!tensor_select(&t->t, 0, i, &view, &err))
        return lb_raise(L, &err);
    Tensor one = tensor_wrap(F64, 0, NULL, &v), wide = {0};
    bool ok =
        tensor_broadcast(src ? &src->t : &one, view.ndim, view.dim, &wide, &err) &&
        tensor_copy_into(&wide, &view, &err);
    tensor_release(&wide);
    tensor_release(&view);
    return ok ? 0 : lb_raise(L, &err);
}

static int tensor_len(lua_State *L)
{
    LTensor *t = lb_check_tensor(L, 1);
    lua_pushinteger(L, t->t.ndim ? t->t.dim[0] : 0);
    return 1;
}

static int tensor_item_fn(lua_State *L)
{
    LTensor *t = lb_check_tensor(L, 1);
    if (tensor_count(&t->t) != 1)
        return lb_error(L, ERR_SHAPE,
                        "item: the tensor must have one element, it has %d",
                        (int)tensor_count(&t->t));
    lb_check_readable(L, t, "item");
    lb_push_element(L, t->t.dtype, tensor_item(&t->t));
    return 1;
}

static int tensor_at(lua_State *L)
{
    LTensor *t = lb_check_tensor(L, 1);
    int64_t index[MAX_DIM];
    if (lua_gettop(L) - 1 != t->t.ndim)
        return lb_error(L, ERR_SHAPE, "at: %d indices for %d axes", lua_gettop(L) - 1,
                        t->t.ndim);
    for (int d = 0; d < t->t.ndim; d++)
        index[d] = to_index(L, &t->t, d, luaL_checkinteger(L, d + 2));
    lb_check_readable(L, t, "at");
    lb_push_element(L, t->t.dtype, tensor_get(&t->t, index));
    return 1;
}

static void push_nested(lua_State *L, const Tensor *t, int axis, int64_t *index)
{
    if (axis == t->ndim) {
        lb_push_element(L, t->dtype, tensor_get(t, index));
        return;
    }
    luaL_checkstack(L, 4, "nested table");
    lua_createtable(L, t->dim[axis] < INT_MAX ? (int)t->dim[axis] : 0, 0);
    for (int64_t i = 0; i < t->dim[axis]; i++) {
        if (i % POLL_EACH == 0)
            lb_poll(L);
        index[axis] = i;
        push_nested(L, t, axis + 1, index);
        lua_rawseti(L, -2, i + 1);
    }
}

static int tensor_totable(lua_State *L)
{
    int64_t index[MAX_DIM] = {0};
    LTensor *t = lb_check_tensor(L, 1);
    lb_check_readable(L, t, "totable");
    push_nested(L, &t->t, 0, index);
    return 1;
}

static int tensor_copy_fn(lua_State *L)
{
    Err err;
    LTensor *t = lb_check_tensor(L, 1);
    lb_check_readable(L, t, "copy");
    LTensor *out = lb_push_tensor(L);
    if (!tensor_copy(&t->t, &out->t, &err))
        return lb_raise(L, &err);
    lb_pace(L);
    return 1;
}

static int tensor_select_fn(lua_State *L)
{
    LTensor *t = lb_check_tensor(L, 1);
    lua_Integer axis = luaL_checkinteger(L, 2);
    luaL_argcheck(L, axis >= 1 && axis <= t->t.ndim, 2, "no such axis");
    return push_selected(L, t, (int)axis - 1,
                         to_index(L, &t->t, (int)axis - 1, luaL_checkinteger(L, 3)));
}

/* --- random generators ------------------------------------------------------------ */

typedef struct LRng {
    RunCtx ctx; /* step counts draws, so a generator's n-th draw never changes */
} LRng;

static int cl_rng(lua_State *L)
{
    lua_Integer seed = luaL_checkinteger(L, 1);
    LRng *r = lua_newuserdatauv(L, sizeof *r, 0);
    r->ctx = (RunCtx){.seed = (uint64_t)seed};
    luaL_setmetatable(L, LB_RNG);
    return 1;
}

static int rng_closure(lua_State *L)
{
    LRng *r = luaL_checkudata(L, 1, LB_RNG);
    RunCtx ctx = r->ctx;
    int n = lb_call_row(L, lua_touserdata(L, lua_upvalueindex(1)), 2, &ctx);
    r->ctx.step++; /* a call that fails is no draw */
    return n;
}

static void open_rng(lua_State *L)
{
    lb_class(L, LB_RNG, NULL);
    luaL_getmetatable(L, LB_RNG);
    lua_getfield(L, -1, "__index");
    for (int i = 0; i < op_count(); i++) {
        const OpRow *row = op_at(i);
        if (!(row->flags & OP_RANDOM))
            continue;
        lua_pushlightuserdata(L, (void *)(uintptr_t)row);
        lua_pushcclosure(L, rng_closure, 1);
        lua_setfield(L, -2, row->name);
    }
    lua_pop(L, 2);
}

/* --- the table -------------------------------------------------------------------- */

const LbFn lb_tensor_fns[] = {
    {"cl.tensor", "(values, { dtype = \"f32\" })",
     "A tensor of a number, of nested tables of numbers, or a copy of a tensor "
     "(converted when "
     "dtype is given). Rows must be of equal length.",
     cl_tensor, NULL, NULL, "cl.tensor { { 1, 2 }, { 3, 4 } }"},
    {"cl.zeros", "(shape, { dtype = \"f32\" })", "A tensor of zeros.", cl_zeros, NULL,
     NULL, "cl.zeros({ 2, 3 })"},
    {"cl.ones", "(shape, { dtype = \"f32\" })", "A tensor of ones.", cl_ones, NULL,
     NULL, NULL},
    {"cl.full", "(shape, value, { dtype = \"f32\" })", "A tensor of one value.",
     cl_full, NULL, NULL, NULL},
    {"cl.arange", "(from, to, step = 1, { dtype = \"f32\" })",
     "from, from + step, ... below to. With one argument: 0, 1, ... below it.",
     cl_arange, NULL, NULL, "cl.arange(5)"},
    {"cl.state", "(tensor or number, name = \"state\")",
     "Memory that lives across the runs of compiled functions: a copy of the tensor "
     "(or an f32 "
     "scalar) that traced code reads and cl.assign writes.",
     cl_state, NULL, NULL, NULL},
    {"cl.rng", "(seed)",
     "A generator of random tensors with the random ops as methods. Its n-th draw "
     "depends on "
     "the seed and n alone (Philox 4x32-10, Salmon et al. 2011).",
     cl_rng, NULL, NULL, "cl.rng(1):normal({ 3, 3 })"},
    {"tensor:item", "()", "The only element of a one-element tensor as a number.",
     tensor_item_fn, NULL, NULL, NULL},
    {"tensor:at", "(i, j, ...)",
     "One element as a number; indices count from 1, negative ones "
     "from the end.",
     tensor_at, NULL, NULL, NULL},
    {"tensor:select", "(axis, index)",
     "The view at one index of an axis (a number for a "
     "one-dimensional tensor).",
     tensor_select_fn, NULL, NULL, NULL},
    {"tensor:totable", "()", "The elements as nested tables.", tensor_totable, NULL,
     NULL, NULL},
    {"tensor:copy", "()", "A contiguous copy.", tensor_copy_fn, NULL, NULL, NULL},
};
const size_t lb_n_tensor_fns = ARRAY_LEN(lb_tensor_fns);

void lb_open_tensor(lua_State *L)
{
    static const luaL_Reg events[] = {
        {"__index", tensor_index},
        {"__newindex", tensor_newindex},
        {"__len", tensor_len},
        {"__tostring", tensor_tostring},
        {"__gc", tensor_gc},
        {"__close", tensor_gc},
        {NULL, NULL},
    };
    lb_class(L, LB_TENSOR, tensor_gc);
    luaL_getmetatable(L, LB_TENSOR);
    lua_newtable(L);
    lua_setfield(L, -2, "methods");
    luaL_setfuncs(L, events, 0);
    lua_pop(L, 1);
    open_rng(L);
}
