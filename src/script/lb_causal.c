/* lb_causal.c -- what components do to each other, in Lua: effects by ablation, signs,
 * regressions, and the graph of what is kept with few crossings. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "decomp/causal.h"
#include "decomp/crossing.h"
#include "decomp/match.h"
#include "decomp/regress.h"
#include "script/lb_plot.h"

/* --- arguments -------------------------------------------------------------------- */

/* The tensor at idx, contiguous in a dtype, pushed. */
static const Tensor *push_as(lua_State *L, int idx, DType t, const char *what)
{
    Err err;
    LTensor *x = lb_test_tensor(L, idx);
    if (!x)
        lb_error(L, ERR_OPTION, "%s must be a tensor, got a %s", what,
                 luaL_typename(L, idx));
    lb_check_readable(L, x, what);
    LTensor *wide = lb_push_tensor(L), *out = lb_push_tensor(L);
    if (!tensor_convert(&x->t, t, &wide->t, &err) ||
        !tensor_contiguous_of(&wide->t, &out->t, &err))
        lb_raise(L, &err);
    return &out->t;
}

/* Field `key` of the table at arg, taken out of it; NULL if absent and not needed. */
static const Tensor *take(lua_State *L, int arg, DType t, const char *key, bool needed)
{
    lb_take_option(L, arg, key);
    if (lua_isnil(L, -1) && !needed)
        return NULL;
    return push_as(L, lua_gettop(L), t, key);
}

/* A list of numbers from 0, as i32 [n], pushed: no rounding, no wrapping. */
static const Tensor *push_indices(lua_State *L, int idx, const char *what)
{
    Err err;
    const Tensor *t = push_as(L, idx, F64, what);
    LTensor *out = lb_push_tensor(L);
    if (t->ndim != 1)
        lb_error(L, ERR_SHAPE, "%s must be a list of component numbers from 0", what);
    for (int64_t i = 0; i < t->dim[0]; i++) {
        double v = ((const double *)t->data)[i];
        if (!(v >= INT32_MIN && v <= INT32_MAX && v == floor(v)))
            lb_error(L, ERR_OPTION, "%s: number %d is %f, no number of a component",
                     what, (int)i + 1, v);
    }
    if (!tensor_convert(t, I32, &out->t, &err))
        lb_raise(L, &err);
    return &out->t;
}

/* The same for a list of components: a tensor or a table of indices from 0; absent: all
 * n. */
static const Tensor *take_list(lua_State *L, int arg, const char *key, int64_t n)
{
    Err err;
    lb_take_option(L, arg, key);
    int idx = lua_gettop(L);
    if (lb_test_tensor(L, idx))
        return push_indices(L, idx, key);
    if (!lua_isnil(L, idx) && !lua_istable(L, idx))
        lb_error(L, ERR_OPTION, "%s must be a list of component numbers from 0", key);
    bool all = lua_isnil(L, idx);
    int64_t count = all ? n : (int64_t)lua_rawlen(L, idx);
    LTensor *out = lb_push_tensor(L);
    if (!tensor_new(I32, 1, &count, &out->t, &err))
        lb_raise(L, &err);
    for (int64_t i = 0; i < count; i++) {
        if (!all) {
            lua_rawgeti(L, idx, (lua_Integer)i + 1);
            lua_Integer v = lua_tointeger(L, -1);
            if (!lua_isinteger(L, -1) || v < INT32_MIN || v > INT32_MAX)
                lb_error(L, ERR_OPTION, "%s: number %d is no number of a component",
                         key, (int)i + 1);
        }
        ((int32_t *)out->t.data)[i] = all ? (int32_t)i : (int32_t)lua_tointeger(L, -1);
        if (!all)
            lua_pop(L, 1);
    }
    return &out->t;
}

/* Gives a tensor to a new userdata and sets it as a field of the table at `table`. */
static void give(lua_State *L, int table, const char *name, Tensor *t)
{
    LTensor *own = lb_push_tensor(L);
    own->t = *t;
    memset(t, 0, sizeof *t);
    lua_setfield(L, table, name);
}

static void put_number(lua_State *L, const char *name, double v)
{
    lua_pushnumber(L, v);
    lua_setfield(L, -2, name);
}

static void put_integer(lua_State *L, const char *name, int64_t v)
{
    lua_pushinteger(L, (lua_Integer)v);
    lua_setfield(L, -2, name);
}

/* --- effects ---------------------------------------------------------------------- */

static void effects_release(void *p)
{
    causal_done(p);
    mem_free(p);
}

static int causal_effects_fn(lua_State *L)
{
    Err err;
    CausalCfg cfg;
    CausalNet net;
    luaL_checktype(L, 1, LUA_TTABLE);
    luaL_checkstack(L, 64, NULL);
    lua_settop(L, 1);
    net.a = take(L, 1, F64, "a", true);
    net.U1 = take(L, 1, F64, "U1", true);
    net.b1 = take(L, 1, F64, "b1", true);
    net.V2 = take(L, 1, F64, "V2", true);
    net.ci1 = take(L, 1, F64, "ci1", false);
    net.ci2 = take(L, 1, F64, "ci2", true);
    net.extra = take(L, 1, F64, "extra", false);
    const Tensor *in = take_list(L, 1, "inputs", net.a->ndim == 2 ? net.a->dim[1] : 0);
    const Tensor *out =
        take_list(L, 1, "outputs", net.V2->ndim == 2 ? net.V2->dim[1] : 0);
    lb_options(L, 1, "cl.causal.effects", causal_options, causal_n_options, &cfg);
    net.input = in->data;
    net.output = out->data;
    net.n = tensor_count(in);
    net.m = tensor_count(out);
    LbGuard *g = lb_push_guard(L, effects_release);
    CausalEffects *e = g->p = mem_zalloc(sizeof *e, &err);
    if (!e || !causal_effects(&net, &cfg, e, &err))
        return lb_raise(L, &err);
    lua_createtable(L, 0, 10);
    int t = lua_gettop(L);
    put_number(L, "interaction", e->interaction);
    give(L, t, "effect", &e->effect);
    give(L, t, "se", &e->se);
    give(L, t, "path", &e->path);
    give(L, t, "weight", &e->weight);
    give(L, t, "mean", &e->mean);
    give(L, t, "turn", &e->turn);
    give(L, t, "rows", &e->rows);
    Tensor list[2] = {tensor_retain(in), tensor_retain(out)};
    give(L, t, "inputs", &list[0]);
    give(L, t, "outputs", &list[1]);
    lb_unguard(g);
    lb_pace(L);
    return 1;
}

/* Field of the effects at idx as f64 with `ndim` dimensions; borrowed from what is
 * pushed. */
static Tensor field(lua_State *L, int idx, const char *key, int ndim)
{
    lua_getfield(L, idx, key);
    const Tensor *t = push_as(L, lua_gettop(L), F64, key);
    if (t->ndim != ndim)
        lb_error(L, ERR_SHAPE, "%s must have %d dimensions, as cl.causal.effects gives",
                 key, ndim);
    return *t;
}

static void push_signs(lua_State *L, const CausalSigns *s)
{
    lua_createtable(L, 0, 4);
    put_integer(L, "pairs", s->pairs);
    put_integer(L, "against", s->against);
    put_integer(L, "skipped", s->skipped);
    lua_createtable(L, N_CAUSES, 0);
    for (int c = 0; c < N_CAUSES; c++) {
        lua_createtable(L, 0, 5);
        lua_pushstring(L, causal_cause_names[c]);
        lua_setfield(L, -2, "name");
        put_integer(L, "turns", s->cause[c].turns);
        put_integer(L, "alone", s->cause[c].alone);
        put_integer(L, "left", s->cause[c].left);
        put_number(L, "share", s->cause[c].share);
        lua_rawseti(L, -2, c + 1);
    }
    lua_setfield(L, -2, "causes");
}

static int causal_signs_fn(lua_State *L)
{
    Err err;
    CausalSigns s;
    luaL_checktype(L, 1, LUA_TTABLE);
    luaL_checkstack(L, 64, NULL);
    lua_settop(L, 2);
    const Tensor *theirs = take(L, 2, F64, "theirs", false);
    const Tensor *keep = take(L, 2, U8, "keep", false);
    lb_options(L, 2, "cl.causal.signs", NULL, 0, NULL);
    CausalEffects e = {
        .effect = field(L, 1, "effect", 2), .path = field(L, 1, "path", 2),
        .weight = field(L, 1, "weight", 2), .mean = field(L, 1, "mean", 2),
        .turn = field(L, 1, "turn", 1),     .rows = field(L, 1, "rows", 1),
    };
    if (!tensor_same_shape(&e.effect, &e.path) ||
        !tensor_same_shape(&e.effect, &e.weight) ||
        !tensor_same_shape(&e.effect, &e.mean) || e.turn.dim[0] != e.effect.dim[0] ||
        e.rows.dim[0] != e.effect.dim[1])
        return lb_error(L, ERR_SHAPE, "cl.causal.signs: the effects do not belong "
                        "together; they are what cl.causal.effects gives");
    if (!causal_signs(&e, theirs, keep, &s, &err))
        return lb_raise(L, &err);
    push_signs(L, &s);
    return 1;
}

/* --- what is kept, what lives ----------------------------------------------------- */

static int causal_keep_fn(lua_State *L)
{
    Err err;
    double share = luaL_optnumber(L, 2, 0.8);
    const Tensor *v = push_as(L, 1, F64, "the matrix");
    int64_t m = v->ndim == 2 ? v->dim[1] : 0, total = 0;
    int64_t *n = lua_newuserdatauv(L, sizeof *n * (size_t)(m + 1), 0);
    LTensor *keep = lb_push_tensor(L), *count = lb_push_tensor(L);
    if (!tensor_new(I32, 1, &m, &count->t, &err) ||
        !causal_keep(v, share, &keep->t, n, &err))
        return lb_raise(L, &err);
    for (int64_t k = 0; k < m; k++) {
        ((int32_t *)count->t.data)[k] = (int32_t)n[k];
        total += n[k];
    }
    lua_pushnumber(L, (double)total / (double)tensor_count(v));
    return 3;
}

typedef struct AliveCfg {
    char by[OPT_STR_CAP];
    double tau, limit;
} AliveCfg;
static const OptRow alive_options[] = {
    {"by", OPT_ENUM, offsetof(AliveCfg, by), "density", 0, 0, "density mean ever",
     "density: share of rows above tau; mean: of |value|, which depends on the gauge "
     "for activations; ever: some row above tau."},
    {"tau", OPT_NUM, offsetof(AliveCfg, tau), "0.1", 0, 0, NULL,
     "A value counts above this."},
    {"limit", OPT_NUM, offsetof(AliveCfg, limit), "-1", 0, 0, NULL,
     "Alive above this share or mean; negative: 0.001 for density, 0.1 for mean."},
};
static const size_t n_alive_options = ARRAY_LEN(alive_options);

static int causal_alive_fn(lua_State *L)
{
    Err err;
    AliveCfg c;
    lua_settop(L, 2);
    lb_options(L, 2, "cl.causal.alive", alive_options, n_alive_options, &c);
    if (c.limit < 0)
        c.limit = strcmp(c.by, "mean") == 0 ? 0.1 : 0.001;
    const Tensor *v = push_as(L, 1, F64, "the values");
    LTensor *out = lb_push_tensor(L);
    return causal_alive(v, c.by, c.tau, c.limit, &out->t, &err) ? 1
                                                                 : lb_raise(L, &err);
}

static int causal_gauge_fn(lua_State *L)
{
    Err err;
    double tau = luaL_optnumber(L, 4, 0.1);
    lua_settop(L, 3);
    const Tensor *V = push_as(L, 1, F64, "V"), *a = push_as(L, 2, F64, "activations"),
                 *ci = push_as(L, 3, F64, "causal importances");
    LTensor *out = lb_push_tensor(L);
    return causal_gauge(V, a, ci, tau, &out->t, &err) ? 1 : lb_raise(L, &err);
}

static int causal_correlation_fn(lua_State *L)
{
    Err err;
    const Tensor *a = push_as(L, 1, F64, "the first set"),
                 *b = push_as(L, 2, F64, "the second set");
    LTensor *out = lb_push_tensor(L);
    if (!causal_correlation(a, b, &out->t, &err))
        return lb_raise(L, &err);
    lb_pace(L);
    return 1;
}

static int causal_pair_map_fn(lua_State *L)
{
    Err err;
    int64_t bins = luaL_optinteger(L, 4, 20);
    lua_settop(L, 3);
    const Tensor *p = push_as(L, 1, F64, "the first predictor"),
                 *q = push_as(L, 2, F64, "the second predictor"),
                 *y = push_as(L, 3, F64, "the values");
    LTensor *out = lb_push_tensor(L);
    return causal_pair_map(p, q, y, bins, &out->t, &err) ? 1 : lb_raise(L, &err);
}

/* --- regressions ------------------------------------------------------------------ */

static void lasso_release(void *p)
{
    lasso_done(p);
    mem_free(p);
}

static void stepwise_release(void *p)
{
    stepwise_done(p);
    mem_free(p);
}

/* X and Y of a regression; a Y of one dimension is one column. */
static const Tensor *push_columns(lua_State *L, int idx, const char *what)
{
    Err err;
    const Tensor *t = push_as(L, idx, F64, what);
    if (t->ndim != 1)
        return t;
    LTensor *out = lb_push_tensor(L);
    if (!tensor_reshape(t, 2, (int64_t[]){t->dim[0], 1}, &out->t, &err))
        lb_raise(L, &err);
    return &out->t;
}

static int causal_lasso_fn(lua_State *L)
{
    Err err;
    LassoCfg cfg;
    lua_settop(L, 3);
    lb_options(L, 3, "cl.causal.lasso", lasso_options, lasso_n_options, &cfg);
    const Tensor *X = push_columns(L, 1, "X"), *Y = push_columns(L, 2, "Y");
    LbGuard *g = lb_push_guard(L, lasso_release);
    LassoFit *f = g->p = mem_zalloc(sizeof *f, &err);
    if (!f || !lasso_fit(X, Y, &cfg, f, &err))
        return lb_raise(L, &err);
    lua_createtable(L, 0, 7);
    int t = lua_gettop(L);
    put_integer(L, "unfinished", f->unfinished);
    give(L, t, "coef", &f->coef);
    give(L, t, "intercept", &f->intercept);
    give(L, t, "alpha", &f->alpha);
    give(L, t, "r2", &f->r2);
    give(L, t, "r2_top2", &f->r2_top2);
    give(L, t, "top", &f->top);
    lb_unguard(g);
    lb_pace(L);
    return 1;
}

static int causal_stepwise_fn(lua_State *L)
{
    Err err;
    StepwiseCfg cfg;
    lua_settop(L, 3);
    lb_options(L, 3, "cl.causal.stepwise", stepwise_options, stepwise_n_options, &cfg);
    const Tensor *X = push_columns(L, 1, "X"), *Y = push_columns(L, 2, "Y");
    LbGuard *g = lb_push_guard(L, stepwise_release);
    StepwiseFit *f = g->p = mem_zalloc(sizeof *f, &err);
    if (!f || !stepwise_fit(X, Y, &cfg, f, &err))
        return lb_raise(L, &err);
    lua_createtable(L, 0, 4);
    int t = lua_gettop(L);
    give(L, t, "chosen", &f->chosen);
    give(L, t, "r2", &f->r2);
    give(L, t, "needed", &f->needed);
    give(L, t, "reached", &f->reached);
    lb_unguard(g);
    lb_pace(L);
    return 1;
}

/* --- matching --------------------------------------------------------------------- */

/* cl.decomp.match(score, method) */
static int decomp_match_fn(lua_State *L)
{
    Err err;
    static const char *const methods[] = {"hungarian", "greedy", NULL};
    int method = luaL_checkoption(L, 2, "hungarian", methods);
    const Tensor *s = push_as(L, 1, F64, "the scores");
    if (s->ndim != 2)
        return lb_error(L, ERR_SHAPE, "cl.decomp.match: the scores must be a matrix");
    LTensor *column = lb_push_tensor(L);
    if (!tensor_new(I32, 1, s->dim, &column->t, &err) ||
        !(method ? match_greedy : match_hungarian)(s, column->t.data, &err))
        return lb_raise(L, &err);
    lua_pushnumber(L, match_mean(s, column->t.data));
    return 2;
}

/* --- the graph -------------------------------------------------------------------- */

static void crossing_release(void *p)
{
    crossing_done(p);
    mem_free(p);
}

static Crossing *push_crossing(lua_State *L, const Tensor *w, const CrossingCfg *cfg)
{
    Err err;
    LbGuard *g = lb_push_guard(L, crossing_release);
    Crossing *c = g->p = mem_zalloc(sizeof *c, &err);
    if (!c || !crossing_minimise(w, cfg, c, &err))
        lb_raise(L, &err);
    return c;
}

/* The layout as a table; c loses its tensors. */
static void push_layout(lua_State *L, Crossing *c)
{
    lua_createtable(L, 0, 6);
    put_integer(L, "crossings", c->crossings);
    put_integer(L, "by_index", c->by_index);
    put_integer(L, "edges", c->edges);
    put_integer(L, "parts", c->parts);
    give(L, lua_gettop(L), "left", &c->left);
    give(L, lua_gettop(L), "right", &c->right);
}

static int causal_layout_fn(lua_State *L)
{
    CrossingCfg cfg;
    lua_settop(L, 2);
    lb_options(L, 2, "cl.causal.layout", crossing_options, crossing_n_options, &cfg);
    const Tensor *w = push_as(L, 1, F64, "the weights");
    push_layout(L, push_crossing(L, w, &cfg));
    return 1;
}

static int causal_crossings_fn(lua_State *L)
{
    Err err;
    int64_t n;
    lua_settop(L, 3);
    const Tensor *w = push_as(L, 1, F64, "the weights");
    const Tensor *l = lua_isnil(L, 2) ? NULL : push_indices(L, 2, "the left order");
    const Tensor *r = lua_isnil(L, 3) ? NULL : push_indices(L, 3, "the right order");
    if (!crossing_count(w, l, r, &n, &err))
        return lb_raise(L, &err);
    lua_pushinteger(L, (lua_Integer)n);
    return 1;
}

/* Name number i of the list at idx, or C<i>; stays on the stack. */
static const char *push_name(lua_State *L, int idx, int32_t i)
{
    if (lua_istable(L, idx) && lua_rawgeti(L, idx, i + 1) != LUA_TNIL)
        return luaL_tolstring(L, -1, NULL);
    return lua_pushfstring(L, "C%d", (int)i);
}

static void name_side(lua_State *L, Figure *f, const Tensor *order, int names,
                      SetName *set)
{
    Err err;
    int top = lua_gettop(L);
    if (!lua_isnil(L, names) && !lua_istable(L, names))
        lb_error(L, ERR_OPTION,
                 "cl.causal.graph: the names of a side must be a list, not a %s",
                 luaL_typename(L, names));
    for (int64_t k = 0; k < order->dim[0]; k++) {
        const char *name = push_name(L, names, ((int32_t *)order->data)[k]);
        if (!set(f, (int)k, name, &err))
            lb_raise(L, &err);
        lua_settop(L, top);
    }
}

static void add_edges(lua_State *L, Figure *f, const Tensor *w, const Crossing *c)
{
    Err err;
    for (int64_t a = 0; a < c->left.dim[0]; a++)
        for (int64_t b = 0; b < c->right.dim[0]; b++) {
            int64_t i = ((int32_t *)c->left.data)[a], j = ((int32_t *)c->right.data)[b];
            double v = ((double *)w->data)[i * w->dim[1] + j];
            if (isfinite(v) && v != 0 && !figure_add_edge(f, (int)a, (int)b, v, &err))
                lb_raise(L, &err);
        }
}

static int causal_graph_fn(lua_State *L)
{
    static const OptRow text_rows[] = {ROW_TITLE, ROW_CAPTION};
    Err err = {0};
    CrossingCfg cfg;
    PlotCfg texts;
    lua_settop(L, 2);
    lb_take_option(L, 2, "left");    /* 3 */
    lb_take_option(L, 2, "right");   /* 4 */
    lb_take_option(L, 2, "title");   /* 5 */
    lb_take_option(L, 2, "caption"); /* 6 */
    lb_options(L, 2, "cl.causal.graph", crossing_options, crossing_n_options, &cfg);
    const Tensor *w = push_as(L, 1, F64, "the weights");
    Crossing *c = push_crossing(L, w, &cfg);
    if (c->edges == 0)
        return lb_error(L, ERR_OPTION, "cl.causal.graph: there is no edge to draw, all "
                        "weights are 0 or not finite");
    lua_newtable(L);
    int t = lua_gettop(L);
    lua_pushvalue(L, 5);
    lua_setfield(L, t, "title");
    const char *own = lua_isnil(L, 6) ? "" : luaL_checkstring(L, 6);
    lua_pushfstring(L, "%s%s%I crossings (%I in the order of the numbers), %I edges",
                    own, own[0] ? " " : "", (LUAI_UACINT)c->crossings,
                    (LUAI_UACINT)c->by_index, (LUAI_UACINT)c->edges);
    lua_setfield(L, t, "caption");
    lb_plot_options(L, t, "cl.causal.graph", text_rows, ARRAY_LEN(text_rows), NULL,
                    &texts);
    Figure **slot = lb_push_figure(L);
    int figure = lua_gettop(L);
    Figure *f = lb_made(L, slot,
                        figure_bipartite((int)c->left.dim[0], (int)c->right.dim[0],
                                         &err), &texts, &err);
    name_side(L, f, &c->left, 3, figure_set_left);
    name_side(L, f, &c->right, 4, figure_set_right);
    add_edges(L, f, w, c);
    lua_settop(L, figure);
    push_layout(L, c);
    return 2;
}

const LbFn lb_causal_fns[] = {
    {"cl.causal.effects", "({ a =, U1 =, b1 =, V2 =, ci2 =, ci1 =, extra =, ... })",
     "What component i of one layer does to component j of the next, by taking it "
     "away: mean of o_j = relu(a U1 + b1 + extra) V2[:,j] with i at its natural "
     "value less without it, over the rows where the causal importance of j is above"
     " tau. a [N,R1] are activations x V1, ci1 [N,R1] and ci2 [N,R2] causal "
     "importances, extra [N,H] the weight delta's output. inputs and outputs list "
     "components from 0 (all). Gives effect, se (its standard error), path (through "
     "the gates as they stand), weight (U1 V2), mean activation, all f64 [inputs, "
     "outputs]; rows used for each output; interaction: the share that comes from "
     "gates that change.",
     causal_effects_fn, causal_options, &causal_n_options,
     "e = cl.causal.effects { a = cl.rng(1):normal { 50, 4 }, U1 = cl.rng(2):normal { "
     "4, 8 }, b1 = cl.zeros { 8 }, V2 = cl.rng(3):normal { 8, 3 }, ci2 = cl.ones { 50, "
     "3 } }"},
    {"cl.causal.signs", "(effects, { theirs = effect, keep = mask })",
     "Why effects contradict the signs of the weight path: pairs, how many are "
     "against, and for each cause (gauge of i, selection of rows, gates, gates that "
     "change, bias if theirs has it after the gate) turns: signs it turns; alone: "
     "contradictions that nothing else turns; left: contradictions without it; share: "
     "of the contradictions, split evenly among what turns them.",
     causal_signs_fn, NULL, NULL, "s = cl.causal.signs(e)"},
    {"cl.causal.keep", "(matrix, share = 0.8)",
     "The largest entries of each column until their |sum| reaches the share: a mask "
     "u8, how many in each column, and the density.",
     causal_keep_fn, NULL, NULL,
     "local mask, count, density = cl.causal.keep(e.effect)"},
    {"cl.causal.alive", "(values, { by = \"density\", tau = 0.1, ... })",
     "Components that live, from causal importances (or activations) [N,R]: i32, "
     "counted from 0.",
     causal_alive_fn, alive_options, &n_alive_options,
     "cl.causal.alive(cl.rng(1):uniform { 50, 4 })"},
    {"cl.causal.gauge", "(V, activations, importances, tau = 0.1)",
     "Factors f64 [R] for the columns of V that make them of unit norm with a positive "
     "mean activation where the importance is above tau; U is divided by them.",
     causal_gauge_fn, NULL, NULL,
     "local s = cl.causal.gauge(cl.rng(1):normal { 6, 4 }, cl.rng(2):normal { 50, 4 }, "
     "cl.rng(3):uniform { 50, 4 })"},
    {"cl.causal.correlation", "(a, b)",
     "Pearson correlation of the columns of a [N,n] and b [N,m], f64 [n,m]; 0 where "
     "one does not vary.",
     causal_correlation_fn, NULL, NULL,
     "cl.causal.correlation(cl.rng(1):normal { 9, 2 }, cl.rng(2):normal { 9, 3 })"},
    {"cl.causal.pair_map", "(p, q, y, bins = 20)",
     "Mean of y in bins of p (columns, rising) and q (rows, falling) between their "
     "2nd and 98th percentile, f64; NaN where there is no row.",
     causal_pair_map_fn, NULL, NULL,
     "local p, q = cl.rng(1):normal { 500 }, cl.rng(2):normal { 500 } "
     "cl.show(cl.images(cl.causal.pair_map(p, q, p * q, 8)))"},
    {"cl.causal.lasso", "(X, Y, { alpha = 0, ... })",
     "For each column of Y [N,m] the lasso on the columns of X [N,n], |y - X w - "
     "b|^2 / 2N + alpha |w|: coef [m,n], intercept, alpha (by cross-validation on "
     "contiguous folds if 0), r2 of the whole fit, top (i32 [m,2]: the two largest "
     "|w|) and r2_top2, of least squares on those. unfinished: fits out of sweeps.",
     causal_lasso_fn, lasso_options, &lasso_n_options,
     "cl.causal.lasso(cl.rng(1):normal { 60, 4 }, cl.rng(2):normal { 60, 2 }).r2"},
    {"cl.causal.stepwise", "(X, Y, { most = 10, enough = 0.9, folds = 3 })",
     "Forward selection of columns of X for each column of Y by the mean R2 of least"
     " squares over held-out folds: chosen i32 [m,most] (-1: none), r2 [m,most], "
     "needed, reached.",
     causal_stepwise_fn, stepwise_options, &stepwise_n_options,
     "cl.causal.stepwise(cl.rng(1):normal { 60, 4 }, cl.rng(2):normal { 60, 2 "
     "}).needed"},
    {"cl.decomp.match", "(score, method = \"hungarian\")",
     "One-to-one matching of the rows and columns of a matrix of scores: i32 [n] "
     "with the column of each row (-1: none), and the mean of the matched scores. "
     "hungarian: the largest sum; greedy: the largest score left, again and again.",
     decomp_match_fn, NULL, NULL,
     "local column, mean = cl.decomp.match(cl.rng(1):uniform { 3, 4 })"},
    {"cl.causal.layout", "(weights, { restarts = 50, ... })",
     "Orders of the two sides of a graph with edges where weights [left, right] are "
     "not 0, so that few edges cross: left (only nodes with an edge), right, i32 from "
     "0; crossings, by_index (in the order of the numbers), edges, parts.",
     causal_layout_fn, crossing_options, &crossing_n_options,
     "cl.causal.layout(cl.rng(1):normal({ 6, 5 }):relu()).crossings"},
    {"cl.causal.crossings", "(weights, left, right)",
     "How many edges cross in given orders (nil: that of the numbers).",
     causal_crossings_fn, NULL, NULL, "cl.causal.crossings(cl.ones { 3, 3 })"},
    {"cl.causal.graph", "(weights, { left = texts, right = texts, title = text, ... })",
     "cl.bipartite in such an order, with the crossings in its caption; names are of "
     "all nodes by number (C<number> without). Returns the figure and the layout.",
     causal_graph_fn, crossing_options, &crossing_n_options,
     "cl.show((cl.causal.graph(cl.rng(1):normal({ 6, 5 }))))"},
};
const size_t lb_n_causal_fns = ARRAY_LEN(lb_causal_fns);
