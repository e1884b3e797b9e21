/* lb_absorb.c -- linear probes, and whether latents of an autoencoder tell a class
 * whole, in Lua. A probe is a table of tensors, so one can be made by other means. */
#include <string.h>

#include "decomp/absorb.h"
#include "script/lb_sae.h"

typedef struct ProbeCfg {
    int64_t classes;
    double ridge;
} ProbeCfg;
static const OptRow probe_options[] = {
    {"classes", OPT_INT, offsetof(ProbeCfg, classes), "10",   2, 1000, NULL,
     "Number of classes."                                                           },
    {"ridge",   OPT_NUM, offsetof(ProbeCfg, ridge),   "1e-3", 0, 1e6,  NULL,
     "Half the squared weights of standardised features, times this, join the loss."},
};
static const size_t n_probe_options = ARRAY_LEN(probe_options);

static void put_number(lua_State *L, const char *name, double v)
{
    lua_pushnumber(L, v);
    lua_setfield(L, -2, name);
}

/* cl.decomp.linear_probe(features, labels, test features, test labels, { classes }) */
static int decomp_linear_probe(lua_State *L)
{
    Err err;
    ProbeCfg c;
    LinearProbe p;
    lua_settop(L, 5);
    lb_options(L, 5, "cl.decomp.linear_probe", probe_options, n_probe_options, &c);
    const Tensor *x = lb_push_f32(L, 1, "the features"), *labels = lb_push_labels(L, 2);
    const Tensor *xt = lb_push_f32(L, 3, "the test features");
    const Tensor *test = lb_push_labels(L, 4);
    static const char *const names[] = {"weight", "bias", "f1"};
    LTensor *own[] = {lb_push_tensor(L), lb_push_tensor(L), lb_push_tensor(L)};
    int first = lua_gettop(L) - 2;
    if (!probe_linear(x, labels, xt, test, c.classes, c.ridge, &p, &err))
        return lb_raise(L, &err);
    own[0]->t = p.weight;
    own[1]->t = p.bias;
    own[2]->t = p.f1;
    lua_createtable(L, 0, 4);
    put_number(L, "residual", p.residual);
    for (int i = 0; i < 3; i++) {
        lua_pushvalue(L, first + i);
        lua_setfield(L, -2, names[i]);
    }
    lb_pace(L);
    return 1;
}

/* A field of the probe at `arg` as contiguous f64, which stays pushed. */
static Tensor field(lua_State *L, int arg, const char *name)
{
    Err err;
    if (lua_getfield(L, arg, name) != LUA_TUSERDATA)
        lb_error(L, ERR_OPTION,
                 "sae:absorption: the probe must be a table with tensors weight, bias "
                 "and f1, as cl.decomp.linear_probe gives it");
    LTensor *t = lb_check_tensor(L, lua_gettop(L));
    lb_check_readable(L, t, "the probe");
    LTensor *wide = lb_push_tensor(L), *own = lb_push_tensor(L);
    if (!tensor_convert(&t->t, F64, &wide->t, &err) ||
        !tensor_contiguous_of(&wide->t, &own->t, &err))
        lb_raise(L, &err);
    return own->t;
}

static LinearProbe take_probe(lua_State *L, int arg)
{
    LinearProbe p = {field(L, arg, "weight"), field(L, arg, "bias"),
                     field(L, arg, "f1"), 0};
    if (p.weight.ndim != 2 || p.bias.ndim != 1 || p.f1.ndim != 1 ||
        p.weight.dim[0] < 1 || p.bias.dim[0] != p.weight.dim[0] ||
        p.f1.dim[0] != p.weight.dim[0])
        lb_error(L, ERR_SHAPE,
                 "sae:absorption: a probe has weight [C,F], bias [C] and f1 [C]");
    return p;
}

static void push_row(lua_State *L, const AbsorbClass *a)
{
    lua_createtable(L, 0, (int)absorb_n_rows + 2);
    for (size_t r = 0; r < absorb_n_rows; r++) {
        double v;
        memcpy(&v, (const char *)a + absorb_rows[r].offset, sizeof v);
        if (v == v)
            put_number(L, absorb_rows[r].name, v);
    }
    lua_pushboolean(L, a->counts);
    lua_setfield(L, -2, "counts");
}

/* sae:absorption(x, labels, xt, test labels, { probe, target, test_target, ... }) */
static int sae_absorption_fn(lua_State *L)
{
    Err err;
    AbsorbCfg c;
    AbsorbClass mean;
    LSae *s = lb_check_sae(L, 1);
    lua_settop(L, 6);
    const Tensor *x = lb_push_f32(L, 2, "the activations");
    const Tensor *labels = lb_push_labels(L, 3);
    const Tensor *xt = lb_push_f32(L, 4, "the test activations");
    const Tensor *test = lb_push_labels(L, 5), *yt = lb_take_f32(L, 6, "test_target");
    lb_take_option(L, 6, "probe");
    int probe = lua_gettop(L);
    if (!lua_istable(L, probe))
        return lb_error(L, ERR_OPTION,
                        "sae:absorption: give probe = cl.decomp.linear_probe(...) of "
                        "what the autoencoder writes");
    const LinearProbe p = take_probe(L, probe);
    lb_options(L, 6, "sae:absorption", absorb_options, absorb_n_options, &c);
    int C = (int)p.weight.dim[0];
    AbsorbClass *all = lua_newuserdatauv(L, sizeof *all * (size_t)C, 0);
    if (!sae_absorb(s->s, &p, x, labels, xt, yt, test, &c, all, &mean, &err))
        return lb_raise(L, &err);
    push_row(L, &mean);
    lua_createtable(L, C, 0);
    for (int k = 0; k < C; k++) {
        push_row(L, &all[k]);
        put_number(L, "class", k);
        lua_rawseti(L, -2, k + 1);
    }
    lb_pace(L);
    return 2;
}

static int decomp_absorption_metrics(lua_State *L)
{
    lua_createtable(L, (int)absorb_n_rows, 0);
    for (size_t r = 0; r < absorb_n_rows; r++) {
        lb_push_named(L, absorb_rows[r].name, absorb_rows[r].doc);
        lua_rawseti(L, -2, (lua_Integer)r + 1);
    }
    return 1;
}

// clang-format off
const LbFn lb_absorb_fns[] = {
    {"cl.decomp.linear_probe",
     "(features, labels, test_features, test_labels, { classes = 10, ... })",
     "A logistic regression on all features of each class against the rest: weight f64 "
     "[C,F], bias and f1 (on the test examples) f64 [C], residual, the largest element of "
     "the gradient where it stopped.",
     decomp_linear_probe, probe_options, &n_probe_options,
     "probe = cl.decomp.linear_probe(net:activations(mnist.train, \"hidden\"), "
     "mnist.train.labels, net:activations(mnist.test, \"hidden\"), mnist.test.labels)"},
    {"sae:absorption", "(x, labels, xt, test_labels, { probe = table, ... })",
     "How many latents tell a class (main: split when above 1), and on which share of the "
     "examples that a linear probe of the class accepts these are all silent and another "
     "latent carries the class instead (absorbed), beside its limit (silent) and null "
     "(decoder rows dealt out anew): means over the classes whose probe is good, and a list "
     "of all classes. See cl.decomp.absorption_metrics(). x chooses main latents; the probe "
     "reads what the autoencoder writes (test_target for a transcoder). A diagnosis of "
     "small networks, no score (arXiv 2409.14507, 2503.09532).",
     sae_absorption_fn, absorb_options, &absorb_n_options,
     "sae:absorption(net:activations(mnist.train, \"hidden\"), mnist.train.labels, "
     "net:activations(mnist.test, \"hidden\"), mnist.test.labels, { probe = "
     "cl.decomp.linear_probe(net:activations(mnist.train, \"hidden\"), mnist.train.labels, "
     "net:activations(mnist.test, \"hidden\"), mnist.test.labels) })"},
    {"cl.decomp.absorption_metrics", "()",
     "What sae:absorption measures: name and doc.", decomp_absorption_metrics, NULL, NULL,
     NULL},
};
// clang-format on
const size_t lb_n_absorb_fns = ARRAY_LEN(lb_absorb_fns);
