/* lb_spd.c -- stochastic parameter decomposition in Lua: of a toy with its settings, or
 * of any network on a data set or a tensor of inputs. */
#include "script/lb_spd.h"

#include <stdio.h>
#include <string.h>

#include "base/intr.h"
#include "base/mem.h"
#include "base/str.h"
#include "decomp/spd_eval.h"
#include "decomp/spd_view.h"
#include "graph/build.h"
#include "graph/plan.h"
#include "script/lb_dict.h"

LSpd *lb_check_spd(lua_State *L, int arg)
{
    LSpd *u = luaL_checkudata(L, arg, LB_SPD);
    luaL_argcheck(L, u->s, arg, "this decomposition was closed");
    return u;
}

static int spd_gc(lua_State *L)
{
    LSpd *u = luaL_checkudata(L, 1, LB_SPD);
    spd_free(u->s);
    tensor_release(&u->x);
    u->s = NULL;
    return 0;
}

static int spd_tostring(lua_State *L)
{
    LSpd *u = luaL_checkudata(L, 1, LB_SPD);
    if (!u->s)
        return lua_pushliteral(L, "spd (closed)"), 1;
    luaL_Buffer b;
    luaL_buffinit(L, &b);
    luaL_addstring(&b, "spd:");
    for (int l = 0; l < spd_layers(u->s); l++) {
        char text[SPD_NAME + 40];
        snprintf(text, sizeof text, "%s %s %lld", l ? "," : "",
                 spd_layer(u->s, l)->name, (long long)spd_components(u->s, l));
        luaL_addstring(&b, text);
    }
    luaL_pushresult(&b);
    return 1;
}

int lb_spd_layer(lua_State *L, int arg, LSpd *u)
{
    int n = spd_layers(u->s), l = -1;
    lua_Integer number = lua_isinteger(L, arg) ? lua_tointeger(L, arg) : 0;
    if (lua_isinteger(L, arg))
        l = number >= 1 && number <= n ? (int)number - 1 : -1;
    else
        l = spd_find_layer(u->s, luaL_checkstring(L, arg));
    if (l >= 0 && l < n)
        return l;
    char all[256] = "";
    for (int k = 0; k < n; k++) {
        strncat(all, k ? ", " : "", sizeof all - strlen(all) - 1);
        strncat(all, spd_layer(u->s, k)->name, sizeof all - strlen(all) - 1);
    }
    return lb_error(L, ERR_OPTION, "there is no layer '%s'; layers: %s",
                    lua_tostring(L, arg), all);
}

/* Whole numbers as integers; none for NaN. */
static void put_number(lua_State *L, const char *name, double v)
{
    lua_Integer whole;
    if (v != v)
        return;
    lua_pushnumber(L, v);
    if (lua_numbertointeger(v, &whole) && (double)whole == v) {
        lua_pop(L, 1);
        lua_pushinteger(L, whole);
    }
    lua_setfield(L, -2, name);
}

/* ---- making ---------------------------------------------------------------------- */

/* The fit's own settings out of the options at arg. */
static void take_fit(lua_State *L, int arg, SpdFitCfg *c)
{
    Err err;
    if (!opt_defaults(spd_fit_options, spd_fit_n_options, c, &err))
        lb_raise(L, &err);
    for (size_t i = 0; i < spd_fit_n_options; i++) {
        const OptRow *row = &spd_fit_options[i];
        OptValue v = {.type = row->type};
        lb_take_option(L, arg, row->name);
        if (lua_isnil(L, -1))
            continue;
        int whole = 0;
        v.i = lua_tointegerx(L, -1, &whole);
        if (row->type == OPT_INT ? !whole : lua_type(L, -1) != LUA_TSTRING)
            lb_error(L, ERR_OPTION, "cl.decomp.spd: '%s' must be %s, not a %s",
                     row->name, row->type == OPT_INT ? "a whole number" : "a text",
                     luaL_typename(L, -1));
        if (row->type != OPT_INT && strlen(lua_tostring(L, -1)) != lua_rawlen(L, -1))
            lb_error(L, ERR_OPTION, "cl.decomp.spd: '%s' holds a zero byte", row->name);
        if (row->type != OPT_INT)
            v.s = lua_tostring(L, -1);
        if (!opt_set(spd_fit_options, spd_fit_n_options, c, row->name, &v,
                     "cl.decomp.spd", &err))
            lb_raise(L, &err);
    }
}

static bool take_bool(lua_State *L, int arg, const char *key, bool dflt)
{
    lb_take_option(L, arg, key);
    if (!lua_isnil(L, -1) && !lua_isboolean(L, -1))
        lb_error(L, ERR_OPTION, "cl.decomp.spd: '%s' must be true or false, not a %s",
                 key, luaL_typename(L, -1));
    return lua_isnil(L, -1) ? dflt : lua_toboolean(L, -1);
}

static const char *take_layers(lua_State *L, int arg)
{
    lb_take_option(L, arg, "layers");
    if (!lua_isnil(L, -1) && lua_type(L, -1) != LUA_TSTRING)
        lb_error(L, ERR_OPTION,
                 "cl.decomp.spd: 'layers' must be a text such as \"fc1=500,fc2\", not a "
                 "%s",
                 luaL_typename(L, -1));
    return luaL_optstring(L, -1, "");
}

/* Inputs at arg: a data set, or a tensor [N,I]. */
static void take_inputs(lua_State *L, int arg, LSpd *u, int self)
{
    Err err;
    if (luaL_testudata(L, arg, LB_DATA)) {
        u->net.data = lb_check_dataset(L, arg);
    } else {
        LTensor *t = lb_check_tensor(L, arg), *wide = lb_push_tensor(L);
        lb_check_readable(L, t, "the inputs");
        if (!tensor_convert(&t->t, F32, &wide->t, &err) ||
            !tensor_contiguous_of(&wide->t, &u->x, &err))
            lb_raise(L, &err);
        lua_pop(L, 1);
        if (u->x.ndim != 2 || u->x.dim[0] < 1)
            lb_error(L, ERR_SHAPE, "cl.decomp.spd: inputs are [N,I]");
        u->net.x = &u->x;
    }
    lua_pushvalue(L, arg);
    lua_setiuservalue(L, self, 2);
}

static LSpd *push_spd(lua_State *L)
{
    LSpd *u = lua_newuserdatauv(L, sizeof *u, 2);
    memset(u, 0, sizeof *u);
    luaL_setmetatable(L, LB_SPD);
    return u;
}

/* cl.decomp.spd(toy, options), cl.decomp.spd(net, inputs, options) */
static int decomp_spd(lua_State *L)
{
    Err err;
    SpdCfg cfg;
    SpdFitCfg fit;
    SpdTarget target;
    LToy *toy = lb_test_toy(L, 1);
    int opt = toy ? 2 : 3;
    lua_settop(L, opt);
    take_fit(L, opt, &fit);
    bool live = take_bool(L, opt, "live", true);
    bool paper = take_bool(L, opt, "paper", false);
    const char *layers = take_layers(L, opt);
    if (!opt_defaults(spd_options, spd_n_options, &cfg, &err) ||
        (toy && !toy_preset(toy->t.row, paper, &cfg, &err)))
        return lb_raise(L, &err);
    lb_options_over(L, opt, "cl.decomp.spd", spd_options, spd_n_options, &cfg);
    LSpd *u = push_spd(L);
    int self = lua_gettop(L);
    if (toy) {
        u->net = toy->t.net;
        lua_getiuservalue(L, 1, 1);
    } else {
        u->net.model = lb_check_model(L, 1)->m;
        take_inputs(L, 2, u, self);
        lua_pushvalue(L, 1);
    }
    lua_setiuservalue(L, self, 1);
    u->run = live ? lb_of(L)->run : NULL;
    SpdFitHooks hooks = {
        .train = lb_fit_hooks(L), .picture = u->run ? lb_spd_picture : NULL, .ctx = u};
    if (!spd_net_target(&u->net, layers, &target, &err) ||
        !(u->s = spd_new(&cfg, &target, &err)) ||
        !fit_spd(u->s, &fit, &hooks, &u->report, &err))
        return lb_raise(L, &err);
    lb_pace(L);
    bool stopped = u->report.interrupted && !intr_pending(); /* by stop_at */
    return stopped ? 1 : lb_interrupted_after(L, &u->report);
}

/* ---- reading --------------------------------------------------------------------- */

static int spd_report_fn(lua_State *L)
{
    LSpd *u = lb_check_spd(L, 1);
    lua_createtable(L, 0, 5);
    lua_pushboolean(L, u->report.interrupted);
    lua_setfield(L, -2, "interrupted");
    put_number(L, "steps", (double)u->report.steps);
    put_number(L, "loss", u->report.loss);
    put_number(L, "seconds", u->report.seconds);
    put_number(L, "steps_per_second", u->report.steps_per_second);
    return 1;
}

static int spd_layers_fn(lua_State *L)
{
    LSpd *u = lb_check_spd(L, 1);
    lua_createtable(L, spd_layers(u->s), 0);
    for (int l = 0; l < spd_layers(u->s); l++) {
        const SpdLayer *y = spd_layer(u->s, l);
        lua_createtable(L, 0, 4);
        lua_pushstring(L, y->name);
        lua_setfield(L, -2, "name");
        lua_pushstring(L, y->kind->name);
        lua_setfield(L, -2, "kind");
        lua_pushinteger(L, spd_components(u->s, l));
        lua_setfield(L, -2, "components");
        lua_pushboolean(L, y->tied >= 0);
        lua_setfield(L, -2, "tied");
        lua_rawseti(L, -2, l + 1);
    }
    return 1;
}

static int spd_params_fn(lua_State *L)
{
    LSpd *u = lb_check_spd(L, 1);
    TensorSet *set = spd_params(u->s);
    lua_createtable(L, 0, tset_count(set));
    for (int i = 0; i < tset_count(set); i++) {
        lb_push_param(L, set, i);
        lua_setfield(L, -2, tset_name(set, i));
    }
    return 1;
}

/* A matrix of a layer, computed by a graph of one value. */
static int push_matrix(lua_State *L, Val (*build)(Spd *s, Graph *g, int l))
{
    Err err;
    LSpd *u = lb_check_spd(L, 1);
    int l = lb_spd_layer(L, 2, u);
    LTensor *out = lb_push_tensor(L);
    Graph *g = graph_new(&err);
    if (!g)
        return lb_raise(L, &err);
    Val v = build(u->s, g, l);
    graph_output(g, "y", v);
    Plan *p = plan_new(g, 0, &err);
    graph_free(g);
    bool ok =
        p && plan_run(p, NULL, &err) && tensor_copy(plan_output(p, 0), &out->t, &err);
    plan_free(p);
    if (!ok)
        return lb_raise(L, &err);
    lb_pace(L);
    return 1;
}

static int spd_V_fn(lua_State *L)
{
    return push_matrix(L, spd_V);
}

static int spd_U_fn(lua_State *L)
{
    return push_matrix(L, spd_U);
}

static int spd_delta_fn(lua_State *L)
{
    return push_matrix(L, spd_delta);
}

/* The inputs at arg as f32 [N,I], pushed. */
static const Tensor *push_inputs(lua_State *L, int arg)
{
    Err err;
    if (luaL_testudata(L, arg, LB_DATA))
        return &lb_push_pixels(L, lb_check_dataset(L, arg))->t;
    LTensor *t = lb_check_tensor(L, arg);
    lb_check_readable(L, t, "the inputs");
    LTensor *wide = lb_push_tensor(L), *out = lb_push_tensor(L);
    if (!tensor_convert(&t->t, F32, &wide->t, &err) ||
        !tensor_contiguous_of(&wide->t, &out->t, &err))
        lb_raise(L, &err);
    return &out->t;
}

static int view(lua_State *L, SpdView v)
{
    Err err;
    LSpd *u = lb_check_spd(L, 1);
    int l = lb_spd_layer(L, 3, u);
    const Tensor *x = push_inputs(L, 2);
    LTensor *out = lb_push_tensor(L);
    if (!spd_view(u->s, x, l, v, &out->t, &err))
        return lb_raise(L, &err);
    lb_pace(L);
    return 1;
}

static int spd_activations_fn(lua_State *L)
{
    return view(L, SPD_ACTS);
}

static int spd_importance_fn(lua_State *L)
{
    static const char *const kinds[] = {"lower", "upper", "raw", NULL};
    static const SpdView views[] = {SPD_CI, SPD_CI_UP, SPD_PRE};
    return view(L, views[luaL_checkoption(L, 4, "lower", kinds)]);
}

static SpdMask check_mask(lua_State *L, int arg)
{
    const char *name = luaL_optstring(L, arg, "ci");
    char all[128] = "";
    for (int m = 0; m < SPD_MASK_COUNT; m++) {
        if (!strcmp(spd_mask_name((SpdMask)m), name))
            return (SpdMask)m;
        strncat(all, m ? ", " : "", sizeof all - strlen(all) - 1);
        strncat(all, spd_mask_name((SpdMask)m), sizeof all - strlen(all) - 1);
    }
    return (SpdMask)lb_error(L, ERR_OPTION, "a mask is one of %s, not '%s'", all, name);
}

/* spd:outputs(x, mask, { layer, ... }, draw) */
static int spd_outputs_fn(lua_State *L)
{
    Err err;
    LSpd *u = lb_check_spd(L, 1);
    SpdMask m = check_mask(L, 3);
    uint32_t layers = ~0u;
    lua_Integer draw = luaL_optinteger(L, 5, 0);
    if (!lua_isnoneornil(L, 4)) {
        luaL_checktype(L, 4, LUA_TTABLE);
        layers = 0;
        for (lua_Integer i = 1; lua_geti(L, 4, i) != LUA_TNIL; i++)
            layers |= 1u << lb_spd_layer(L, lua_gettop(L), u);
    }
    const Tensor *x = push_inputs(L, 2);
    LTensor *out = lb_push_tensor(L);
    if (!spd_outputs(u->s, x, m, layers, (uint64_t)draw, &out->t, &err))
        return lb_raise(L, &err);
    lb_pace(L);
    return 1;
}

static int spd_single_fn(lua_State *L)
{
    Err err;
    LSpd *u = lb_check_spd(L, 1);
    int l = lb_spd_layer(L, 2, u);
    lua_settop(L, 3);
    LTensor *out = lb_push_tensor(L);
    if (!spd_single(u->s, l, model_in(u->net.model), lua_toboolean(L, 3), &out->t,
                    &err))
        return lb_raise(L, &err);
    lb_pace(L);
    return 1;
}

static int spd_canonical_fn(lua_State *L)
{
    Err err;
    LSpd *u = lb_check_spd(L, 1);
    if (!spd_canonical(u->s, push_inputs(L, 2), &err))
        return lb_raise(L, &err);
    lua_settop(L, 1);
    return 1;
}

static int spd_save_fn(lua_State *L)
{
    Err err;
    return spd_save(lb_check_spd(L, 1)->s, luaL_checkstring(L, 2), &err)
               ? 0
               : lb_raise(L, &err);
}

static int spd_load_fn(lua_State *L)
{
    Err err;
    LSpd *u = lb_check_spd(L, 1);
    if (!spd_load_into(u->s, luaL_checkstring(L, 2), &err))
        return lb_raise(L, &err);
    lua_settop(L, 1);
    return 1;
}

/* ---- measuring ------------------------------------------------------------------- */

typedef struct MetricsCfg {
    int64_t batches, draw;
    bool full, adversary;
} MetricsCfg;
static const OptRow metrics_options[] = {
    {"batches",   OPT_INT,  offsetof(MetricsCfg, batches),   "10",    1, 1e6, NULL,
     "Fresh batches of the size of training."           },
    {"draw",      OPT_INT,  offsetof(MetricsCfg, draw),      "1",     0, 1e9, NULL,
     "Another number takes other batches and masks."    },
    {"full",      OPT_BOOL, offsetof(MetricsCfg, full),      "true",  0, 0,   NULL,
     "Also losses, and outputs under each kind of mask."},
    {"adversary", OPT_BOOL, offsetof(MetricsCfg, adversary), "false", 0, 0,   NULL,
     "Also the adversarial losses with a coefficient: 20 steps of 0.1, sources shared "
     "by the batch."                                    },
};
static const size_t n_metrics_options = ARRAY_LEN(metrics_options);

static void put_list(lua_State *L, const char *name, const double *v, int64_t n)
{
    Err err;
    LTensor *t = lb_push_tensor(L);
    if (!tensor_new(F64, 1, &n, &t->t, &err))
        lb_raise(L, &err);
    memcpy(t->t.data, v, sizeof *v * (size_t)n);
    lua_setfield(L, -2, name);
}

static void put_counts(lua_State *L, const char *name, const int64_t *v, int64_t n)
{
    Err err;
    LTensor *t = lb_push_tensor(L);
    if (!tensor_new(F64, 1, &n, &t->t, &err))
        lb_raise(L, &err);
    for (int64_t i = 0; i < n; i++)
        ((double *)t->t.data)[i] = (double)v[i];
    lua_setfield(L, -2, name);
}

/* { shape = v, colour = v }; for data of several heads only. */
static void put_heads(lua_State *L, const char *name, const LSpd *u, const double *v)
{
    const Dataset *d = u->net.data;
    lua_createtable(L, 0, SPD_HEADS);
    for (int k = 0; k < spd_target(u->s)->heads.n; k++)
        put_number(L, d->head_name[k], v[k]);
    lua_setfield(L, -2, name);
}

static void push_layer(lua_State *L, LSpd *u, int l, const SpdLayerEval *y, bool full)
{
    lua_createtable(L, 0, 20);
    lua_pushstring(L, spd_layer(u->s, l)->name);
    lua_setfield(L, -2, "name");
    put_number(L, "components", (double)y->C);
    put_number(L, "positions", (double)y->positions);
    put_number(L, "l0", y->l0);
    put_number(L, "l0_image", y->l0_image);
    put_number(L, "faithfulness", y->faithfulness);
    put_number(L, "relative", y->relative);
    put_number(L, "left", y->left);
    put_number(L, "alive_ever", (double)y->ever);
    put_number(L, "alive", (double)y->dense);
    put_number(L, "alive_norm", (double)y->normed);
    put_number(L, "agreement", y->agreement);
    if (full && spd_target(u->s)->heads.n > 0)
        put_heads(L, "agreement_heads", u, y->agreement_head);
    put_list(L, "density", y->density, y->C);
    put_list(L, "density_image", y->density_image, y->C);
    put_list(L, "mean_ci", y->mean_ci, y->C);
    put_list(L, "mean_ci_image", y->mean_ci_image, y->C);
    put_list(L, "norm", y->norm, y->C);
    put_counts(L, "hist_ci", y->hist_ci, SPD_BINS);
    put_counts(L, "hist_ci_image", y->hist_ci_image, SPD_BINS);
    put_counts(L, "hist_raw", y->hist_pre, SPD_BINS + 2);
}

static void put_masks(lua_State *L, const char *name, const double *v)
{
    lua_createtable(L, 0, SPD_MASK_COUNT);
    for (int m = 0; m < SPD_MASK_COUNT; m++)
        put_number(L, spd_mask_name((SpdMask)m), v[m]);
    lua_setfield(L, -2, name);
}

static void free_eval(void *p)
{
    spd_eval_done(p);
    mem_free(p);
}

static int spd_metrics_fn(lua_State *L)
{
    Err err;
    MetricsCfg c;
    LSpd *u = lb_check_spd(L, 1);
    lua_settop(L, 2);
    lb_options(L, 2, "spd:metrics", metrics_options, n_metrics_options, &c);
    LbGuard *guard = lb_push_guard(L, free_eval);
    SpdEval *e = guard->p = mem_zalloc(sizeof *e, &err);
    SpdEvalCfg cfg = {c.batches, (uint64_t)c.draw, c.full, c.adversary};
    if (!e || !spd_evaluate(u->s, &cfg, e, &err))
        return lb_raise(L, &err);
    lua_createtable(L, 0, 12);
    put_number(L, "examples", (double)e->examples);
    put_number(L, "faithfulness", e->faithfulness);
    put_number(L, "relative", e->relative);
    lua_createtable(L, 0, spd_loss_count());
    for (int k = 0; k < spd_loss_count(); k++)
        put_number(L, spd_loss_name(k), e->loss[k]);
    lua_setfield(L, -2, "losses");
    put_masks(L, "recon", e->recon);
    put_masks(L, "accuracy", e->accuracy);
    put_masks(L, "ce", e->ce);
    if (c.full && spd_target(u->s)->heads.n > 0) {
        lua_createtable(L, 0, SPD_MASK_COUNT);
        for (int m = 0; m < SPD_MASK_COUNT; m++)
            put_heads(L, spd_mask_name((SpdMask)m), u, e->accuracy_head[m]);
        lua_setfield(L, -2, "accuracy_heads");
    }
    lua_createtable(L, e->n_layers, 0);
    for (int l = 0; l < e->n_layers; l++) {
        push_layer(L, u, l, &e->layer[l], c.full);
        lua_rawseti(L, -2, l + 1);
    }
    lua_setfield(L, -2, "layers");
    lb_unguard(guard);
    lb_pace(L);
    return 1;
}

static int decomp_spd_losses(lua_State *L)
{
    lua_createtable(L, spd_loss_count(), 0);
    for (int k = 0; k < spd_loss_count(); k++) {
        lb_push_named(L, spd_loss_name(k), spd_loss_doc(k));
        lua_rawseti(L, -2, k + 1);
    }
    return 1;
}

void lb_open_spd(lua_State *L)
{
    lb_class(L, LB_SPD, spd_gc);
    luaL_getmetatable(L, LB_SPD);
    lua_pushcfunction(L, spd_tostring);
    lua_setfield(L, -2, "__tostring");
    lua_pop(L, 1);
    lb_open_toys(L);
}

#define SMALL                                                                          \
    "toy = cl.decomp.toy(\"tms_5-2\", { steps = 2000 }) spd = cl.decomp.spd(toy, { "   \
    "steps = 20, batch = 256 }) "

const LbFn lb_spd_fns[] = {
    {"cl.decomp.spd",        "(toy, { ... }) or (net, inputs, { layers = \"fc1,fc2\", ... })",
     "Stochastic parameter decomposition (arXiv 2506.20790): every chosen layer "
     "becomes "
     "rank-one components V[:,c] U[c,:] with a causal importance for each input. A toy "
     "brings its inputs and settings, which options change (paper = true: those of the "
     "paper); a network takes a data set or a tensor [N,I]. layers: names separated by "
     "commas, each perhaps with its number of components (\"fc1=500,fc2\"); \"\": all. "
     "Tied layers have one pair of matrices: both layers' gradients are summed into "
     "one step of Adam, where the authors' program takes two steps with moments of their "
     "own. "
     "Also: checkpoint, checkpoint_every, resume, stop_at as in cl.train; eval_every: "
     "steps between counts of active components and live pictures; live = false: no "
     "pictures.",                                                                                                                                       decomp_spd,         spd_options,     &spd_n_options,     SMALL                           },
    {"cl.decomp.spd_losses", "()",                                                             "The losses, each { name, doc }.",                       decomp_spd_losses,
     NULL,                                                                                                                                                                                   NULL,               "cl.decomp.spd_losses()[1].name"},
    {"spd:layers",           "()",                                                             "A list of { name, kind, components, tied }.",           spd_layers_fn,
     NULL,                                                                                                                                                                                   NULL,               NULL                            },
    {"spd:V",                "(layer)",
     "V [d_in,C] of a layer, copied; a layer is a name or a number.",                                                                                   spd_V_fn,           NULL,
     NULL,                                                                                                                                                                                                       NULL                            },
    {"spd:U",                "(layer)",                                                        "U [C,d_out] of a layer, copied.",                       spd_U_fn,           NULL,            NULL,               NULL                            },
    {"spd:delta",            "(layer)",
     "What the components leave over: W - (V U)^T, [d_out,d_in].",                                                                                      spd_delta_fn,       NULL,
     NULL,                                                                                                                                                                                                       NULL                            },
    {"spd:params",           "()",                                                             "All parameters as states that share memory.",           spd_params_fn,
     NULL,                                                                                                                                                                                   NULL,               NULL                            },
    {"spd:activations",      "(inputs, layer)",
     "Component activations x V, [P,C]; inputs are a tensor [N,I] or a data set. P is "
     "N "
     "times the positions of the layer.",                                                                                                               spd_activations_fn, NULL,            NULL,               NULL                            },
    {"spd:importance",       "(inputs, layer, \"lower\")",
     "Causal importances [P,C]: \"lower\" as masks use them (0 to 1), \"upper\" as the "
     "importance loss does, \"raw\" before squashing.",                                                                                                 spd_importance_fn,  NULL,            NULL,               NULL                            },
    {"spd:outputs",          "(inputs, \"ci\", { layer, ... }, draw)",
     "The network's outputs [N,O] under masks: target (the network itself), ones, ci, "
     "stochastic, random, rounded, zeros; in all layers, or those listed.",                                                                             spd_outputs_fn,     NULL,            NULL,               NULL                            },
    {"spd:single",           "(layer, upper)",
     "Importances of inputs that have one feature, at 0.75: [features,C].",                                                                             spd_single_fn,      NULL,            NULL,               NULL                            },
    {"spd:metrics",          "({ batches = 10, full = true, ... })",
     "On fresh batches: losses, recon, accuracy and ce under each kind of mask (with "
     "several heads, accuracy is of all at once and accuracy_heads of each, and ce is "
     "their sum), "
     "faithfulness (mean squared difference of weights), relative (|W - V U| / |W|), "
     "and layers, each with left (|(W - V U) x| / |W x| on the inputs), l0, alive "
     "(density above 0.1 %), alive_ever, alive_norm, "
     "agreement (answers as the network's with this layer alone under stochastic masks; "
     "with several heads all at once, and agreement_heads each), and tensors density, mean_ci, norm [C], hist_ci [100] of 0..1, "
     "hist_raw [102] of -2..3 with what is below and above; *_image are of the largest "
     "importance over positions.",                                                                                                                      spd_metrics_fn,     metrics_options, &n_metrics_options,
     SMALL "m = spd:metrics { batches = 1 }"                                                                                                                                                                                                     },
    {"spd:canonical",        "(inputs)",
     "Scales and signs of components by convention: |V[:,c]| = 1, and the mean "
     "activation over inputs with importance above 0.1 is positive. Outputs and "
     "importances stay. Returns the decomposition.",                                                                                                    spd_canonical_fn,   NULL,            NULL,               NULL                            },
    {"spd:report",           "()",                                                             "steps, loss, seconds, steps_per_second of the fit, and interrupted: by stop_at.",
     spd_report_fn,                                                                                                                                                         NULL,            NULL,               NULL                            },
    {"spd:save",             "(path)",                                                         "Writes parameters and settings as safetensors.",
     spd_save_fn,                                                                                                                                                           NULL,            NULL,               NULL                            },
    {"spd:load",             "(path)",
     "Takes parameters from a file of spd:save or a checkpoint of an equal "
     "decomposition; make one with steps = 0, faith_steps = 0 first.",                                                                                  spd_load_fn,        NULL,            NULL,               NULL                            },
};
const size_t lb_n_spd_fns = ARRAY_LEN(lb_spd_fns);
