/* lb_sae_more.c -- what surrounds an autoencoder in Lua: several in one pass, warnings,
 * files of other programs, matching, sparse probing. */
#include <stdio.h>
#include <string.h>

#include "decomp/probe.h"
#include "decomp/sae_match.h"
#include "decomp/sae_metrics.h"
#include "lab/sae_files.h"
#include "lab/sae_many.h"
#include "script/lb_sae.h"

enum { LOOK = 4096 };

static void put_number(lua_State *L, const char *name, double v)
{
    lua_pushnumber(L, v);
    lua_setfield(L, -2, name);
}

/* ---- warnings -------------------------------------------------------------------- */

/* Pushes a list of { name, text }; each is also logged. */
static void push_warnings(lua_State *L, const LSae *s, const SaeMetrics *m)
{
    SaeWarning w[SAE_WARNINGS];
    int n = sae_warnings(s->s, m, &s->cal, w);
    lua_createtable(L, n, 0);
    for (int i = 0; i < n; i++) {
        lua_createtable(L, 0, 2);
        lua_pushstring(L, w[i].name);
        lua_setfield(L, -2, "name");
        lua_pushfstring(L, "warning, %s: %s", sae_cfg(s->s)->activation, w[i].text);
        size_t len;
        const char *text = lua_tolstring(L, -1, &len);
        lb_log(L, text, len);
        lua_setfield(L, -2, "text");
        lua_rawseti(L, -2, i + 1);
    }
}

static bool measure(LSae *s, const Tensor *x, const Tensor *y, SaeMetrics *m, Err *err)
{
    return sae_measure(s->s, x, y, NULL, 0, m, NULL, err);
}

void lb_sae_warn(lua_State *L, LSae *s)
{
    Err err;
    SaeMetrics m;
    const Tensor *x = sae_activations(s->s), *y = sae_targets(s->s);
    int64_t n = x->dim[0] < LOOK ? x->dim[0] : LOOK;
    LTensor *head = lb_push_tensor(L), *goal = lb_push_tensor(L);
    if (!tensor_slice(x, 0, 0, n, 1, &head->t, &err) ||
        !tensor_slice(y, 0, 0, n, 1, &goal->t, &err) ||
        !measure(s, &head->t, sae_is_transcoder(s->s) ? &goal->t : NULL, &m, &err))
        lb_raise(L, &err);
    push_warnings(L, s, &m);
    lua_pop(L, 3);
}

/* sae:warnings(x, { target }) */
static int sae_warnings_fn(lua_State *L)
{
    Err err;
    SaeMetrics m;
    LSae *s = lb_check_sae(L, 1);
    lua_settop(L, 3);
    const Tensor *x = lb_push_f32(L, 2, "the activations");
    const Tensor *y = lb_take_f32(L, 3, "target");
    lb_options(L, 3, "sae:warnings", NULL, 0, NULL);
    if (!measure(s, x, y, &m, &err))
        return lb_raise(L, &err);
    push_warnings(L, s, &m);
    return 1;
}

/* ---- several in one pass --------------------------------------------------------- */

typedef struct Several {
    Sae *s[SAE_MANY_MAX];
    SaeCalibration cal[SAE_MANY_MAX];
} Several;

/* cl.decomp.saes(x, { { ... }, { ... }, target = }) */
static int decomp_saes(lua_State *L)
{
    Err err;
    TrainReport report;
    lua_settop(L, 2);
    luaL_checktype(L, 2, LUA_TTABLE);
    lua_getfield(L, 2, "target");
    LInput in = lb_check_input(L, 1, lua_gettop(L), "cl.decomp.saes");
    lua_Integer n = luaL_len(L, 2);
    luaL_argcheck(L, n >= 1 && n <= SAE_MANY_MAX, 2, "a list of 1 to 64 option tables");
    Several *all = lua_newuserdatauv(L, sizeof *all, 0);
    lua_createtable(L, (int)n, 0);
    int list = lua_gettop(L);
    for (int i = 0; i < n; i++) {
        SaeCfg cfg;
        lua_rawgeti(L, 2, i + 1);
        lb_options(L, lua_gettop(L), "cl.decomp.saes", sae_options, sae_n_options,
                   &cfg);
        LSae *one = lb_push_sae(L);
        lua_rawseti(L, list, i + 1);
        lua_pop(L, 1);
        if (i == 0)
            lb_open_input(L, &in, &cfg); /* batch and seed are common */
        if (!(one->s = lb_sae_on(&in, &cfg, &err)))
            return lb_raise(L, &err);
        all->s[i] = one->s;
    }
    TrainHooks hooks = lb_fit_hooks(L);
    if (!fit_saes_fed(all->s, (int)n, lb_input_feed(&in), &hooks, &report, all->cal,
                      &err))
        return lb_raise(L, &err);
    for (int i = 0; i < n; i++) {
        lua_rawgeti(L, list, i + 1);
        LSae *one = lb_check_sae(L, -1);
        one->report = report;
        one->report.seconds /= (double)n;
        one->cal = all->cal[i];
        if (!report.interrupted && report.steps > 0)
            lb_sae_warn(L, one);
        lua_pop(L, 1);
    }
    lua_settop(L, list);
    lb_pace(L);
    return lb_interrupted_after(L, &report);
}

/* ---- files of other programs ----------------------------------------------------- */

static int sae_export_fn(lua_State *L)
{
    Err err;
    LSae *s = lb_check_sae(L, 1);
    const char *folder = luaL_checkstring(L, 2);
    return sae_export(s->s, folder, luaL_optstring(L, 3, NULL), &err)
               ? 0
               : lb_raise(L, &err);
}

static int decomp_sae_import(lua_State *L)
{
    Err err;
    const char *folder = luaL_checkstring(L, 1);
    LSae *out = lb_push_sae(L);
    return (out->s = sae_import(folder, &err)) ? 1 : lb_raise(L, &err);
}

/* ---- matching -------------------------------------------------------------------- */

typedef struct MatchCfg {
    int64_t seed;
} MatchCfg;
static const OptRow match_options[] = {
    {"seed", OPT_INT, offsetof(MatchCfg, seed), "1", 0, 0, NULL,
     "Seed of the random directions."},
};
static const size_t n_match_options = ARRAY_LEN(match_options);

static int sae_match_fn(lua_State *L)
{
    Err err;
    SaeMatch m;
    MatchCfg c;
    LSae *a = lb_check_sae(L, 1), *b = lb_check_sae(L, 2);
    lua_settop(L, 4);
    lb_options(L, 4, "sae:match", match_options, n_match_options, &c);
    const Tensor *x = lb_push_f32(L, 3, "the activations");
    if (!sae_match(a->s, b->s, x, c.seed, &m, &err))
        return lb_raise(L, &err);
    lua_createtable(L, 0, (int)sae_n_match_rows + 1);
    for (size_t k = 0; k < sae_n_match_rows; k++) {
        double v;
        memcpy(&v, (const char *)&m + sae_match_rows[k].offset, sizeof v);
        put_number(L, sae_match_rows[k].name, v);
    }
    lua_pushboolean(L, m.by_chance);
    lua_setfield(L, -2, "by_chance");
    if (m.by_chance) {
        char text[200];
        int n = snprintf(text, sizeof text,
                         "warning, match: latents are alike by %.3f, random directions "
                         "by %.3f +- %.3f: no more than chance",
                         m.mmcs, m.chance, m.chance_sd);
        lb_log(L, text, (size_t)n);
    }
    return 1;
}

/* ---- probing --------------------------------------------------------------------- */

typedef struct ProbeCfg {
    int64_t k, classes;
} ProbeCfg;
static const OptRow probe_options[] = {
    {"k",       OPT_INT, offsetof(ProbeCfg, k),       "1",  1, PROBE_MAX, NULL,
     "Features a class is told by."},
    {"classes", OPT_INT, offsetof(ProbeCfg, classes), "10", 2, 1000,      NULL,
     "Number of classes."          },
};
static const size_t n_probe_options = ARRAY_LEN(probe_options);

/* cl.decomp.probe(features, labels, test features, test labels, { k }) */
static int decomp_probe(lua_State *L)
{
    Err err;
    Probe p;
    ProbeCfg c;
    lua_settop(L, 5);
    lb_options(L, 5, "cl.decomp.probe", probe_options, n_probe_options, &c);
    const Tensor *x = lb_push_f32(L, 1, "the features"), *labels = lb_push_labels(L, 2);
    const Tensor *xt = lb_push_f32(L, 3, "the test features");
    const Tensor *test = lb_push_labels(L, 4);
    LTensor *chosen = lb_push_tensor(L);
    if (!probe_sparse(x, labels, xt, test, c.classes, c.k, &p, &chosen->t, &err))
        return lb_raise(L, &err);
    lua_createtable(L, 0, 4);
    put_number(L, "acc", p.acc);
    put_number(L, "f1", p.f1);
    put_number(L, "base", p.base);
    lua_insert(L, -2);
    lua_setfield(L, -2, "chosen");
    lb_pace(L);
    return 1;
}

// clang-format off
const LbFn lb_sae_more_fns[] = {
    {"cl.decomp.saes", "(activations, { { ... }, { ... }, target = tensor })",
     "Several autoencoders (options of cl.decomp.sae) on one stream of activations, a "
     "tensor or files, in one pass: each batch is gathered and normalised once and seen by all, so comparisons "
     "are paired. steps, batch, seed, lr and schedule must be the same; what comes out of "
     "each has the bits that it would have alone. Returns a list.",
     decomp_saes, NULL, NULL,
     "list = cl.decomp.saes(net:activations(mnist.train, \"hidden\"), { { activation = "
     "\"relu\", latents = 32, steps = 20 }, { activation = \"topk\", k = 4, latents = 32, "
     "steps = 20 } })"},
    {"cl.sae_dashboard", "(sae, dataset, activations, { title = text, top = 64, ... })",
     "All about the latents of an autoencoder on a data set, as components to page "
     "through: what they read or write where that is an image (or picture, a tensor "
     "[M,...]), the images that drive them (examples = 6 of each), mean codes for each "
     "class, how dense they are, a heat map of the strongest against the classes.",
     NULL, NULL, NULL,
     "cl.show(cl.sae_dashboard(sae, mnist.test, net:activations(mnist.test, \"hidden\"), "
     "{ top = 20 }))"},
    {"sae:warnings", "(x, { target = tensor })",
     "What to know before believing figures on x, a list of { name, text }, each also "
     "logged: empty (examples without an active latent), edge (a calibration that missed), "
     "saturated (a penalty that L0 no longer follows), kernel (thresholds that hardly "
     "train), dead, dense. Training logs those of its first 4,096 examples by itself.",
     sae_warnings_fn, NULL, NULL, NULL},
    {"sae:match", "(other, x, { seed = 1 })",
     "Which latents two autoencoders share, and what chance would give: mmcs (forward, "
     "back), the best one-to-one matching of decoder rows (matched) and of codes on x "
     "(alike), chance, chance_sd, matched_chance, alike_chance; by_chance when mmcs is no "
     "more than chance, which is also logged. Dead latents are left out.",
     sae_match_fn, match_options, &n_match_options, NULL},
    {"sae:export", "(folder, layout = \"saelens\")",
     "Writes it as SAELens (cfg.json, sae_weights.safetensors) or dictionary_learning "
     "(layout \"dictionary_learning\": config.json, ae.pt) loads it; the scale of the data "
     "is folded in, batchtopk becomes its threshold. Refused where the layout cannot say "
     "it.",
     sae_export_fn, NULL, NULL, NULL},
    {"cl.decomp.sae_import", "(folder)",
     "An autoencoder or transcoder from a folder of SAELens or dictionary_learning, ready "
     "to use.",
     decomp_sae_import, NULL, NULL, NULL},
    {"cl.decomp.probe", "(features, labels, test_features, test_labels, { k = 1, ... })",
     "Sparse probing: for each class against the rest the k features whose means differ "
     "most, and a logistic regression on them. acc and f1 on the test examples, means over "
     "the classes; base, what always answering \"rest\" gets; chosen i32 [C,k] from 0. Any "
     "features: codes, neurons, principal directions.",
     decomp_probe, probe_options, &n_probe_options,
     "cl.decomp.probe(net:activations(mnist.train, \"hidden\"), mnist.train.labels, "
     "net:activations(mnist.test, \"hidden\"), mnist.test.labels, { k = 2 }).f1"},
};
// clang-format on
const size_t lb_n_sae_more_fns = ARRAY_LEN(lb_sae_more_fns);
