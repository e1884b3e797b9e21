/* lb_toy.c -- toys with known mechanisms in Lua, and the verdict on their
 * decompositions. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "decomp/spd_eval.h"
#include "script/lb_dict.h"
#include "script/lb_spd.h"

/* ---- toys ------------------------------------------------------------------------ */

LToy *lb_test_toy(lua_State *L, int arg)
{
    LToy *t = luaL_testudata(L, arg, LB_TOY);
    luaL_argcheck(L, !t || t->made, arg, "this toy was closed");
    return t;
}

static LToy *check_toy(lua_State *L, int arg)
{
    LToy *t = luaL_checkudata(L, arg, LB_TOY);
    luaL_argcheck(L, t->made, arg, "this toy was closed");
    return t;
}

static int toy_gc(lua_State *L)
{
    ((LToy *)luaL_checkudata(L, 1, LB_TOY))->made = false;
    return 0;
}

static int toy_tostring(lua_State *L)
{
    LToy *t = luaL_checkudata(L, 1, LB_TOY);
    lua_pushfstring(L, "toy %s", t->made ? t->t.row->name : "(closed)");
    return 1;
}

typedef struct ToyCfg {
    int64_t seed, attempts, steps;
} ToyCfg;
static const OptRow toy_options[] = {
    {"seed",     OPT_INT, offsetof(ToyCfg, seed),     "0",  0, 1e12, NULL,
     "Seed of the target; the next ones are 1000 further."},
    {"attempts", OPT_INT, offsetof(ToyCfg, attempts), "20", 1, 1000, NULL,
     "Targets to train until one is sound."               },
    {"steps",    OPT_INT, offsetof(ToyCfg, steps),    "0",  0, 1e9,  NULL,
     "Steps of its training; 0: the toy's own."           },
};
static const size_t n_toy_options = ARRAY_LEN(toy_options);

static const ToyRow *check_row(lua_State *L, int arg)
{
    const char *name = luaL_checkstring(L, arg);
    const ToyRow *row = toy_row(name);
    char all[256] = "";
    for (int i = 0; i < toy_count(); i++) {
        strncat(all, i ? ", " : "", sizeof all - strlen(all) - 1);
        strncat(all, toy_at(i)->name, sizeof all - strlen(all) - 1);
    }
    if (!row)
        lb_error(L, ERR_OPTION, "there is no toy '%s'; toys: %s", name, all);
    return row;
}

static int decomp_toy(lua_State *L)
{
    Err err;
    ToyCfg c;
    const ToyRow *row = check_row(L, 1);
    lua_settop(L, 2);
    lb_options(L, 2, "cl.decomp.toy", toy_options, n_toy_options, &c);
    LToy *t = lua_newuserdatauv(L, sizeof *t, 1);
    memset(t, 0, sizeof *t);
    luaL_setmetatable(L, LB_TOY);
    LModel *m = lb_push_model(L);
    TrainHooks hooks = {.ctx = lb_of(L)->run, .progress = lb_fit_hooks(L).progress};
    if (!toy_make(row, c.seed, c.attempts, c.steps, &hooks, &t->t, &err))
        return lb_raise(L, &err);
    m->m = t->t.net.model;
    t->made = true;
    lua_setiuservalue(L, -2, 1);
    return 1;
}

static int decomp_toys(lua_State *L)
{
    lua_createtable(L, toy_count(), 0);
    for (int i = 0; i < toy_count(); i++) {
        lb_push_named(L, toy_at(i)->name, toy_at(i)->doc);
        lua_rawseti(L, -2, i + 1);
    }
    return 1;
}

static int toy_net(lua_State *L)
{
    check_toy(L, 1);
    lua_getiuservalue(L, 1, 1);
    return 1;
}

static void put_number(lua_State *L, const char *name, double v)
{
    if (v != v)
        return;
    lua_pushnumber(L, v);
    lua_setfield(L, -2, name);
}

static void put_integer(lua_State *L, const char *name, int64_t v)
{
    lua_pushinteger(L, (lua_Integer)v);
    lua_setfield(L, -2, name);
}

static int toy_info(lua_State *L)
{
    LToy *t = check_toy(L, 1);
    lua_createtable(L, 0, 6);
    lua_pushstring(L, t->t.row->name);
    lua_setfield(L, -2, "name");
    lua_pushstring(L, t->t.row->doc);
    lua_setfield(L, -2, "doc");
    put_number(L, "loss", t->t.loss);
    put_integer(L, "seed", t->t.seed);
    put_integer(L, "attempts", t->t.attempts);
    put_integer(L, "features", model_in(t->t.net.model));
    return 1;
}

/* toy:preset(paper): the settings as a table for cl.decomp.spd. */
static int toy_preset_fn(lua_State *L)
{
    Err err;
    SpdCfg cfg;
    LToy *t = check_toy(L, 1);
    if (!opt_defaults(spd_options, spd_n_options, &cfg, &err) ||
        !toy_preset(t->t.row, lua_toboolean(L, 2), &cfg, &err))
        return lb_raise(L, &err);
    lua_createtable(L, 0, (int)spd_n_options);
    for (size_t i = 0; i < spd_n_options; i++) {
        OptValue v;
        opt_get(spd_options, spd_n_options, &cfg, spd_options[i].name, &v);
        if (v.type == OPT_INT)
            lua_pushinteger(L, (lua_Integer)v.i);
        else if (v.type == OPT_NUM)
            lua_pushnumber(L, v.f);
        else if (v.type == OPT_BOOL)
            lua_pushboolean(L, v.b);
        else
            lua_pushstring(L, v.s);
        lua_setfield(L, -2, spd_options[i].name);
    }
    return 1;
}

static void push_truth_layer(lua_State *L, LSpd *u, const SpdTruthLayer *y)
{
    lua_createtable(L, 0, 12);
    lua_pushstring(L, spd_layer(u->s, y->layer)->name);
    lua_setfield(L, -2, "name");
    lua_pushstring(L, y->identity ? "identity" : "dense");
    lua_setfield(L, -2, "kind");
    put_integer(L, "expected", y->expected);
    put_integer(L, "error", y->error);
    put_integer(L, "error_loose", y->error_loose);
    put_integer(L, "alive_ever", y->ever);
    put_integer(L, "alive", y->dense);
    put_integer(L, "alive_norm", y->normed);
    put_integer(L, "missing", y->missing);
    put_integer(L, "shared", y->shared);
    put_integer(L, "extra", y->extra);
}

static int toy_truth_fn(lua_State *L)
{
    Err err;
    SpdTruth r;
    LToy *t = check_toy(L, 1);
    LSpd *u = lb_check_spd(L, 2);
    if (!toy_truth(&t->t, u->s, &r, &err))
        return lb_raise(L, &err);
    lua_createtable(L, 0, 10);
    lua_pushboolean(L, r.recovered);
    lua_setfield(L, -2, "recovered");
    lua_pushstring(L, r.why);
    lua_setfield(L, -2, "why");
    put_integer(L, "error", r.error);
    put_integer(L, "error_loose", r.error_loose);
    put_number(L, "mmcs", r.all.mmcs);
    put_number(L, "ml2r", r.all.ml2r);
    put_number(L, "mmcs_filtered", r.filtered.mmcs);
    put_number(L, "ml2r_filtered", r.filtered.ml2r);
    put_number(L, "relative", r.relative);
    lua_createtable(L, r.n_layers, 0);
    for (int k = 0; k < r.n_layers; k++) {
        push_truth_layer(L, u, &r.layer[k]);
        lua_rawseti(L, -2, k + 1);
    }
    lua_setfield(L, -2, "layers");
    return 1;
}

/* cl.decomp.spd_order(M, "identity", tolerance, k): columns of M [n,C] as a permutation, and
 * how many entries are wrong in that order. */
static int decomp_order(lua_State *L)
{
    Err err;
    static const char *const kinds[] = {"identity", "dense", NULL};
    LTensor *t = lb_check_tensor(L, 1);
    int kind = luaL_checkoption(L, 2, "identity", kinds);
    double tolerance = luaL_optnumber(L, 3, 0.1);
    luaL_argcheck(L, tolerance >= 0 && tolerance < 1, 3, "a tolerance in 0..1");
    lua_Integer k = luaL_optinteger(L, 4, -1);
    LTensor *wide = lb_push_tensor(L), *M = lb_push_tensor(L), *out = lb_push_tensor(L);
    if (t->t.ndim != 2)
        return lb_error(L, ERR_SHAPE, "cl.decomp.spd_order: importances are [n,C]");
    if (!tensor_convert(&t->t, F32, &wide->t, &err) ||
        !tensor_contiguous_of(&wide->t, &M->t, &err))
        return lb_raise(L, &err);
    if (!tensor_finite(&M->t))
        return lb_error(L, ERR_NUMERIC,
                        "cl.decomp.spd_order: the importances are not finite");
    if (!tensor_zeros(I32, 1, &M->t.dim[1], &out->t, &err) ||
        !(kind ? truth_dense_order : truth_identity_order)(&M->t, out->t.data, &err))
        return lb_raise(L, &err);
    if (k < 0 || k > M->t.dim[1])
        k = M->t.dim[0] < M->t.dim[1] ? M->t.dim[0] : M->t.dim[1];
    const int32_t *order = out->t.data;
    lua_pushinteger(L, kind ? truth_dense_error(&M->t, order, k, tolerance)
                            : truth_identity_error(&M->t, order, tolerance));
    return 2;
}

/* ---- networks of toys ------------------------------------------------------------ */

static int new_tms(lua_State *L)
{
    lb_make_model(L, 1, "cl.model.tms", model_row("tms"));
    return 1;
}

static int new_resid(lua_State *L)
{
    lb_make_model(L, 1, "cl.model.resid", model_row("resid"));
    return 1;
}

void lb_open_toys(lua_State *L)
{
    lb_class(L, LB_TOY, toy_gc);
    luaL_getmetatable(L, LB_TOY);
    lua_pushcfunction(L, toy_tostring);
    lua_setfield(L, -2, "__tostring");
    lua_pop(L, 1);
}

const LbFn lb_toy_fns[] = {
    {"cl.decomp.toy",       "(\"tms_5-2\", { seed = 0 })",
     "A network whose mechanisms are known, trained here; targets that have not learnt "
     "the known structure (columns of norm below 0.9, no regular pentagon) are trained "
     "again from another seed. cl.decomp.toys() lists them.",                                                                       decomp_toy,    toy_options, &n_toy_options,
     "toy = cl.decomp.toy(\"tms_5-2\", { steps = 2000 })"                                                                                                                                                                        },
    {"cl.decomp.toys",      "()",                                   "The toys, each { name, doc }.",                                decomp_toys,   NULL,        NULL,
     "cl.decomp.toys()[1].name"                                                                                                                                                                                                  },
    {"toy:net",             "()",                                   "Its network.",                                                 toy_net,       NULL,        NULL,           NULL                                             },
    {"toy:info",            "()",                                   "name, doc, features, and of the target loss, seed, attempts.",
     toy_info,                                                                                                                                     NULL,        NULL,           NULL                                             },
    {"toy:preset",          "(paper)",
     "The settings that cl.decomp.spd(toy) uses: of today's code, or of the paper.",                                                toy_preset_fn, NULL,        NULL,           NULL                                             },
    {"toy:truth",           "(spd)",
     "Whether a decomposition is the known one: recovered, and why or why not; error "
     "(entries of the single-feature importances that are wrong, tolerance 0.1; "
     "error_loose: 0.2); mmcs and ml2r as published and *_filtered over components "
     "that "
     "are not negligible; layers, each with alive_ever (answers to a probe), alive "
     "(density above 0.1 %), alive_norm, missing, shared, extra.",                                                                  toy_truth_fn,  NULL,        NULL,           NULL                                             },
    {"cl.decomp.spd_order", "(M, \"identity\", tolerance = 0.1, k = n)",
     "The order of the columns of importances M [n,C] of n features or groups of "
     "examples, 0-based i32: \"identity\" puts each row's component on the diagonal, "
     "\"dense\" sorts by sums. Also returns how many entries are wrong in that order: off "
     "the diagonal above the tolerance or on it below 1 - tolerance; or of the first k "
     "columns those without such an entry, and entries of the rest above it.",                                                          decomp_order,  NULL,        NULL,           "cl.decomp.spd_order(cl.eye(3))"                 },
    {"cl.model.tms",        "({ input = 5, width = 2, ... })",
     "The toy model of superposition, relu(W^T W x + b), untrained; cl.decomp.toy "
     "trains "
     "it.",                                                                                                                         new_tms,       NULL,        NULL,           "net = cl.model.tms { input = 5, width = 2 }"    },
    {"cl.model.resid",      "({ input = 100, neurons = 50, ... })",
     "Residual MLP layers between a fixed random embedding and its transpose, "
     "untrained; "
     "cl.decomp.toy trains it.",                                                                                                    new_resid,     NULL,        NULL,           "net = cl.model.resid { input = 20, width = 50 }"},
};
const size_t lb_n_toy_fns = ARRAY_LEN(lb_toy_fns);
