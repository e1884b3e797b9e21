/* lb_super.c -- networks on sparse features in Lua: trained, measured in both
 * conventions, swept, and compared with theory. */
#include <string.h>

#include "base/mem.h"
#include "decomp/superpose.h"
#include "lab/super_fit.h"
#include "script/lb_dict.h"

#define LB_SUPER "cleave.superposition"

typedef struct LSuper {
    Super *s;
    TrainReport report;
} LSuper;

static LSuper *check_super(lua_State *L, int arg)
{
    LSuper *s = luaL_checkudata(L, arg, LB_SUPER);
    luaL_argcheck(L, s->s, arg, "this network was closed");
    return s;
}

static int super_gc(lua_State *L)
{
    LSuper *s = luaL_checkudata(L, 1, LB_SUPER);
    super_free(s->s);
    s->s = NULL;
    return 0;
}

static int super_tostring(lua_State *L)
{
    LSuper *s = luaL_checkudata(L, 1, LB_SUPER);
    if (!s->s)
        return lua_pushliteral(L, "superposition network (closed)"), 1;
    const SuperCfg *c = super_cfg(s->s);
    lua_pushfstring(L, "superposition %s: %I features in %I neurons, density %f",
                    c->form, (LUAI_UACINT)c->features, (LUAI_UACINT)c->neurons,
                    (LUAI_UACNUMBER)c->density);
    return 1;
}

static int decomp_superposition(lua_State *L)
{
    Err err;
    SuperCfg cfg;
    lua_settop(L, 1);
    lb_options(L, 1, "cl.decomp.superposition", super_options, super_n_options, &cfg);
    LSuper *out = lua_newuserdatauv(L, sizeof *out, 0);
    memset(out, 0, sizeof *out);
    luaL_setmetatable(L, LB_SUPER);
    TrainHooks hooks = lb_fit_hooks(L);
    if (!(out->s = super_new(&cfg, &err)) ||
        !fit_super(out->s, &hooks, &out->report, &err))
        return lb_raise(L, &err);
    lb_pace(L);
    return lb_interrupted_after(L, &out->report);
}

static void put_number(lua_State *L, const char *name, double v)
{
    lua_pushnumber(L, v);
    lua_setfield(L, -2, name);
}

typedef struct MeasureCfg {
    double density;
    int64_t samples, seed;
} MeasureCfg;
static const OptRow measure_options[] = {
    {"density", OPT_NUM, offsetof(MeasureCfg, density), "0",      0, 1, NULL,
     "Of the examples measured on; 0: that of training."           },
    {"samples", OPT_INT, offsetof(MeasureCfg, samples), "200000", 1, 1e10, NULL,
     "Examples drawn."                                              },
    {"seed",    OPT_INT, offsetof(MeasureCfg, seed),    "12345",  0, 0, NULL,
     "Seed of these examples."                                         },
};
static const size_t n_measure_options = ARRAY_LEN(measure_options);

static int super_metrics_fn(lua_State *L)
{
    Err err;
    MeasureCfg c;
    SuperMeasure m;
    LSuper *s = check_super(L, 1);
    Tensor per[SUPER_PER_FEATURE] = {{0}};
    LTensor *own[SUPER_PER_FEATURE];
    lua_settop(L, 2);
    lb_options(L, 2, "network:metrics", measure_options, n_measure_options, &c);
    lua_createtable(L, 0, (int)super_n_measure_rows);
    lua_createtable(L, 0, SUPER_PER_FEATURE);
    for (int k = 0; k < SUPER_PER_FEATURE; k++) {
        own[k] = lb_push_tensor(L);
        lua_setfield(L, -2, super_feature_names[k]);
    }
    if (!super_measure(s->s, c.density, c.samples, (uint64_t)c.seed, &m, per, &err))
        return lb_raise(L, &err);
    for (int k = 0; k < SUPER_PER_FEATURE; k++)
        own[k]->t = per[k];
    lua_insert(L, -2);
    for (size_t k = 0; k < super_n_measure_rows; k++) {
        double v;
        memcpy(&v, (const char *)&m + super_measure_rows[k].offset, sizeof v);
        put_number(L, super_measure_rows[k].name, v);
    }
    lua_insert(L, -2);
    lb_pace(L);
    return 2;
}

static int decomp_super_metrics(lua_State *L)
{
    lua_createtable(L, (int)super_n_measure_rows, 0);
    for (size_t k = 0; k < super_n_measure_rows; k++) {
        lb_push_named(L, super_measure_rows[k].name, super_measure_rows[k].doc);
        lua_rawseti(L, -2, (lua_Integer)k + 1);
    }
    return 1;
}

static int super_responses_fn(lua_State *L)
{
    Err err;
    LSuper *s = check_super(L, 1);
    lua_Integer points = luaL_optinteger(L, 2, 101);
    LTensor *out = lb_push_tensor(L);
    return super_responses(s->s, points, &out->t, &err) ? 1 : lb_raise(L, &err);
}

static int super_gains_fn(lua_State *L)
{
    Err err;
    LSuper *s = check_super(L, 1);
    LTensor *out = lb_push_tensor(L);
    return super_gains(s->s, &out->t, &err) ? 1 : lb_raise(L, &err);
}

static int super_outputs_fn(lua_State *L)
{
    Err err;
    LSuper *s = check_super(L, 1);
    LTensor *x = lb_check_tensor(L, 2);
    lb_check_readable(L, x, "the examples");
    LTensor *own = lb_push_tensor(L), *y = lb_push_tensor(L);
    if (!tensor_contiguous_of(&x->t, &own->t, &err) ||
        !super_outputs(s->s, &own->t, &y->t, &err))
        return lb_raise(L, &err);
    return 1;
}

static int super_params_fn(lua_State *L)
{
    LSuper *s = check_super(L, 1);
    TensorSet *set = super_params(s->s);
    lua_createtable(L, 0, tset_count(set));
    for (int i = 0; i < tset_count(set); i++) {
        lb_push_param(L, set, i);
        lua_setfield(L, -2, tset_name(set, i));
    }
    return 1;
}

static int super_report_fn(lua_State *L)
{
    LSuper *s = check_super(L, 1);
    lua_createtable(L, 0, 4);
    put_number(L, "steps", (double)s->report.steps);
    put_number(L, "loss", s->report.loss);
    put_number(L, "seconds", s->report.seconds);
    put_number(L, "steps_per_second", s->report.steps_per_second);
    return 1;
}

/* ---- geometry and theory ----------------------------------------------------------- */

static Tensor *push_directions(lua_State *L, int arg)
{
    Err err;
    LTensor *t = lb_check_tensor(L, arg);
    LTensor *own = lb_push_tensor(L);
    if (!tensor_contiguous_of(&t->t, &own->t, &err))
        lb_raise(L, &err);
    return &own->t;
}

static int decomp_dimensions(lua_State *L)
{
    Err err;
    const Tensor *w = push_directions(L, 1);
    LTensor *out = lb_push_tensor(L);
    return super_dimensions(w, &out->t, &err) ? 1 : lb_raise(L, &err);
}

static int decomp_polytopes(lua_State *L)
{
    Err err;
    int64_t n;
    double tolerance = luaL_optnumber(L, 2, 0.1);
    luaL_argcheck(L, tolerance >= 0 && tolerance < 1, 2, "a cosine in 0..1");
    const Tensor *w = push_directions(L, 1);
    LTensor *group = lb_push_tensor(L);
    LbGuard *guard = lb_push_guard(L, mem_free);
    SuperShape *shape;
    if (!super_shapes(w, tolerance, &shape, &n, &group->t, &err))
        return lb_raise(L, &err);
    guard->p = shape;
    lua_createtable(L, (int)n, 0);
    for (int64_t k = 0; k < n; k++) {
        lua_createtable(L, 0, 5);
        lua_pushstring(L, shape[k].name);
        lua_setfield(L, -2, "name");
        put_number(L, "features", (double)shape[k].features);
        put_number(L, "dims", (double)shape[k].dims);
        put_number(L, "dimension", shape[k].dimension);
        put_number(L, "spread", shape[k].spread);
        lua_rawseti(L, -2, (lua_Integer)k + 1);
    }
    lb_unguard(guard);
    lua_pushvalue(L, -3);
    return 2;
}

typedef struct TheoryCfg {
    int64_t features, neurons, power;
    double density, k;
} TheoryCfg;
#define THEORY(type, name, dflt, lo, hi, doc)                                          \
    {                                                                                  \
#name, type, offsetof(TheoryCfg, name), dflt, lo, hi, NULL, doc                \
    }
static const OptRow theory_options[] = {
    THEORY(OPT_INT, features, "100", 1, 1e9, "N, number of features."),
    THEORY(OPT_INT, neurons, "10", 1, 1e9, "n, number of neurons."),
    THEORY(OPT_INT, power, "4", 2, 4, "q of the loss: 2 or 4."),
    THEORY(OPT_NUM, density, "0.02", 1e-9, 1, "Probability that a feature is active."),
    THEORY(OPT_NUM, k, "0", 0, 1e9,
           "Sum over the others of (response / gain)^q as measured; 0: the least "
           "possible."),
};
static const size_t n_theory_options = ARRAY_LEN(theory_options);

static int decomp_theory(lua_State *L)
{
    Err err;
    TheoryCfg c;
    SuperTheory t;
    lua_settop(L, 1);
    lb_options(L, 1, "cl.decomp.superposition_theory", theory_options, n_theory_options,
               &c);
    if (!super_theory(c.features, c.neurons, c.power, c.density, c.k, &t, &err))
        return lb_raise(L, &err);
    lua_createtable(L, 0, 8);
    put_number(L, "k_design", t.k_design);
    put_number(L, "k_random", t.k_random);
    put_number(L, "gain", t.gain);
    put_number(L, "loss_ratio", t.loss_ratio);
    put_number(L, "cross_bound", t.cross_bound);
    if (c.power == 4) {
        put_number(L, "gain_coactive", t.gain_coactive);
        put_number(L, "u_mse", t.u_mse);
        put_number(L, "u_l4", t.u_l4);
    }
    return 1;
}

void lb_open_super(lua_State *L)
{
    lb_class(L, LB_SUPER, super_gc);
    luaL_getmetatable(L, LB_SUPER);
    lua_pushcfunction(L, super_tostring);
    lua_setfield(L, -2, "__tostring");
    lua_pop(L, 1);
}

#define TOY "cl.decomp.superposition { features = 8, neurons = 3, steps = 20 }"
const LbFn lb_super_fns[] = {
    {"cl.decomp.superposition",         "({ features = 100, neurons = 10, ... })",
     "Trains a network on sparse features of which it has more than neurons: the mlp O "
     "ReLU(W x) computes a target of each feature, the tied ReLU(W^T W x + b) is the toy "
     "model of superposition (Elhage et al. 2022). Examples are drawn in every step. "
     "Loss: mean of importance |error|^power.",
     decomp_superposition, super_options, &super_n_options, "net = " TOY},
    {"cl.decomp.superposition_metrics", "()",
     "What superposition:metrics measures: name and doc.", decomp_super_metrics, NULL,
     NULL,                                                                  NULL        },
    {"cl.decomp.superposition_theory",  "({ features = 100, neurons = 10, ... })",
     "What theory expects of N features in n neurons under |error|^q: gain and "
     "loss_ratio (loss / naive) with one active feature at a time, g = 1 / (1 + "
     "k^(1/(q-1))); for q = 4 gain_coactive, u_mse and u_l4 with others present (good "
     "to density 0.02); cross_bound, the least rms response to other features, by the "
     "rank; k_design and k_random, the least possible and the random k.",
     decomp_theory, theory_options, &n_theory_options,
     "cl.decomp.superposition_theory { power = 2 }"                                     },
    {"cl.decomp.dimensions",            "(w)",
     "Feature dimensionalities f64 [N] of directions w [n,N], a column for each "
     "feature: |w_i|^2 / sum_j (w_i . w_j / |w_i|)^2. 1: a dimension of its own, 1/2: "
     "shared by two. Their sum is at most n.",
     decomp_dimensions, NULL, NULL, "cl.decomp.dimensions(cl.eye(3))"                   },
    {"cl.decomp.polytopes",             "(w, tolerance = 0.1)",
     "Groups of features of w [n,N] whose directions meet at |cosine| above tolerance, "
     "columns shorter than 0.3 of the longest left out: name (dedicated, digon, "
     "triangle, tetrahedron, pentagon, square antiprism or none), features, dims (their "
     "rank), mean dimension and its spread. Also returns the group of each feature, i32 "
     "[N] from 0, -1: left out.",
     decomp_polytopes, NULL, NULL, "cl.decomp.polytopes(cl.eye(3))"                     },
    {"superposition:metrics",           "({ density = 0, samples = 200000, ... })",
     "Errors in both conventions with the naive network's, gains, cross-gains and their "
     "bound, geometry: see cl.decomp.superposition_metrics(). Also returns tensors [N] "
     "by name: c_mse, naive_c_mse, isolated, received (rms response to the others), "
     "gain, negative, dimension, norm.",
     super_metrics_fn, measure_options, &n_measure_options,
     "m, features = " TOY ":metrics { samples = 4000 }"                                 },
    {"superposition:responses",         "(points = 101)",
     "Output i when feature i alone goes from -1 (0 with values = \"unit\") to 1: f64 "
     "[N,points].",
     super_responses_fn, NULL, NULL, NULL                                               },
    {"superposition:gains",             "()",
     "Output j when feature i alone is 1: f64 [N,N], rows are outputs.", super_gains_fn,
     NULL, NULL,                                                            NULL        },
    {"superposition:outputs",           "(x)",                                      "Outputs [B,N] of examples f32 [B,N].",
     super_outputs_fn, NULL, NULL,                                          NULL        },
    {"superposition:parameters",        "()",
     "The parameters by name as states: in [n,N], and out [N,n] (mlp) or bias [N] "
     "(tied).",
     super_params_fn, NULL, NULL, NULL                                                  },
    {"superposition:report",            "()",
     "Steps, loss, seconds and steps_per_second of the training.", super_report_fn, NULL,
     NULL,                                                                  NULL        },
};
const size_t lb_n_super_fns = ARRAY_LEN(lb_super_fns);
