/* lb_logit.c -- logits in Lua: tables as baselines of codes, what replaced logits keep,
 * calibration, corrupted data sets, and the search for an L0. */
#include <string.h>

#include "data/corrupt.h"
#include "decomp/lookup.h"
#include "lab/fidelity.h"
#include "lab/sae_search.h"
#include "script/lb_sae.h"

#define LB_LOOKUP "cleave.lookup"

static void put_numbers(lua_State *L, const char *const *names, const double *v, int n)
{
    for (int i = 0; i < n; i++) {
        lua_pushnumber(L, v[i]);
        lua_setfield(L, -2, names[i]);
    }
}

/* The i32 tensor at arg, contiguous, pushed. */
static Tensor *push_labels(lua_State *L, int arg)
{
    Err err;
    LTensor *t = lb_check_tensor(L, arg), *own = lb_push_tensor(L);
    lb_check_readable(L, t, "the labels");
    if (!tensor_contiguous_of(&t->t, &own->t, &err))
        lb_raise(L, &err);
    return &own->t;
}

/* ---- lookups --------------------------------------------------------------------- */

static Lookup *check_lookup(lua_State *L, int arg)
{
    Lookup *l = luaL_checkudata(L, arg, LB_LOOKUP);
    luaL_argcheck(L, l->value.data, arg, "this lookup was closed");
    return l;
}

static int lookup_gc(lua_State *L)
{
    lookup_done(luaL_checkudata(L, 1, LB_LOOKUP));
    return 0;
}

static int decomp_lookup(lua_State *L)
{
    Err err;
    LookupCfg cfg;
    lua_settop(L, 2);
    lb_options(L, 2, "cl.decomp.lookup", lookup_options, lookup_n_options, &cfg);
    const Tensor *x = lb_push_f32(L, 1, "the logits");
    Lookup *l = lua_newuserdatauv(L, sizeof *l, 0);
    memset(l, 0, sizeof *l);
    luaL_setmetatable(L, LB_LOOKUP);
    if (!lookup_fit(&cfg, x, l, &err))
        return lb_raise(L, &err);
    lb_pace(L);
    return 1;
}

static int decomp_lookups(lua_State *L)
{
    lua_createtable(L, lookup_count(), 0);
    for (int i = 0; i < lookup_count(); i++) {
        lb_push_named(L, lookup_name(i), lookup_doc(i));
        lua_rawseti(L, -2, i + 1);
    }
    return 1;
}

static int lookup_reconstruct_fn(lua_State *L)
{
    Err err;
    Lookup *l = check_lookup(L, 1);
    const Tensor *x = lb_push_f32(L, 2, "the logits");
    LTensor *out = lb_push_tensor(L);
    return lookup_apply(l, x, &out->t, NULL, &err) ? 1 : lb_raise(L, &err);
}

static int lookup_encode_fn(lua_State *L)
{
    Err err;
    Lookup *l = check_lookup(L, 1);
    const Tensor *x = lb_push_f32(L, 2, "the logits");
    LTensor *out = lb_push_tensor(L);
    return lookup_apply(l, x, NULL, &out->t, &err) ? 1 : lb_raise(L, &err);
}

static int lookup_values_fn(lua_State *L)
{
    Err err;
    Lookup *l = check_lookup(L, 1);
    LTensor *out = lb_push_tensor(L);
    return tensor_copy(&l->value, &out->t, &err) ? 1 : lb_raise(L, &err);
}

/* ---- autoencoders on logits ------------------------------------------------------ */

static int decomp_sae_argmax(lua_State *L)
{
    Err err;
    double margin = luaL_optnumber(L, 2, 15);
    const Tensor *x = lb_push_f32(L, 1, "the logits");
    LSae *out = lb_push_sae(L);
    return (out->s = sae_argmax(x, margin, &err)) ? 1 : lb_raise(L, &err);
}

static void push_search(lua_State *L, const SaeSearchCfg *c, const SaeSearch *r)
{
    const char *const names[] = {"weight", "l0",     "before", "target", "lo",
                                 "hi",     "trials", "steps",  "seconds"};
    const double v[] = {r->found.weight,
                        r->l0,
                        r->before,
                        c->target,
                        r->found.lo,
                        r->found.hi,
                        (double)r->found.trials,
                        (double)r->report.steps,
                        r->report.seconds};
    lua_createtable(L, 0, 11);
    put_numbers(L, names, v, ARRAY_LEN(v));
    lua_pushboolean(L, r->found.edge);
    lua_setfield(L, -2, "edge");
    lua_pushboolean(L, r->found.bracketed);
    lua_setfield(L, -2, "bracketed");
}

/* An answer at the edge is no answer: it is said where nobody looks at the flag. */
static void warn_search(lua_State *L, const SaeSearchCfg *c, const SaeSearch *r)
{
    if (!r->found.edge)
        return;
    lua_pushfstring(L,
                    "warning, search: the weight %f is the end of what was tried, L0 %f "
                    "is not the target %f",
                    r->found.weight, r->l0, c->target);
    size_t n;
    const char *text = lua_tolstring(L, -1, &n);
    lb_log(L, text, n);
    lua_pop(L, 1);
}

static int decomp_sae_search(lua_State *L)
{
    Err err;
    SaeCfg cfg;
    SaeSearchCfg search;
    SaeSearch found;
    lua_settop(L, 3);
    lb_options(L, 2, "cl.decomp.sae_search", sae_options, sae_n_options, &cfg);
    const Tensor *val = lb_take_f32(L, 3, "val");
    lb_options(L, 3, "cl.decomp.sae_search", sae_search_options, sae_search_n_options,
               &search);
    const Tensor *x = lb_push_f32(L, 1, "the activations");
    LSae *out = lb_push_sae(L);
    TrainHooks hooks = lb_fit_hooks(L);
    if (!(out->s = sae_search(&cfg, &search, x, val, &hooks, &found, &err)))
        return lb_raise(L, &err);
    out->report = found.report;
    if (cfg.warn)
        warn_search(L, &search, &found);
    lb_pace(L);
    push_search(L, &search, &found);
    return 2;
}

/* ---- what replaced logits keep --------------------------------------------------- */

static int decomp_fidelity(lua_State *L)
{
    Err err;
    Fidelity f;
    lua_settop(L, 4);
    const Tensor *reference = lb_take_f32(L, 4, "reference");
    lb_options(L, 4, "cl.decomp.fidelity", NULL, 0, NULL);
    const Tensor *logits = lb_push_f32(L, 1, "the logits");
    const Tensor *outputs = lb_push_f32(L, 2, "the outputs");
    const Tensor *labels = push_labels(L, 3);
    LTensor *errors = lb_push_tensor(L);
    if (!logits_fidelity(logits, outputs, labels, reference, &f, &errors->t, &err))
        return lb_raise(L, &err);
    lua_createtable(L, 0, (int)fidelity_n_rows);
    for (size_t k = 0; k < fidelity_n_rows; k++) {
        double v;
        memcpy(&v, (const char *)&f + fidelity_rows[k].offset, sizeof v);
        put_numbers(L, &fidelity_rows[k].name, &v, 1);
    }
    lua_insert(L, -2);
    return 2;
}

static int decomp_fidelity_metrics(lua_State *L)
{
    lua_createtable(L, (int)fidelity_n_rows, 0);
    for (size_t k = 0; k < fidelity_n_rows; k++) {
        lb_push_named(L, fidelity_rows[k].name, fidelity_rows[k].doc);
        lua_rawseti(L, -2, (lua_Integer)k + 1);
    }
    return 1;
}

static int decomp_code_bits(lua_State *L)
{
    Err err;
    CodeBits b;
    LTensor *codes = lb_check_tensor(L, 1);
    const Tensor *words =
        codes->t.dtype == I32 ? push_labels(L, 1) : lb_push_f32(L, 1, "the codes");
    const Tensor *logits = lb_push_f32(L, 2, "the logits");
    if (!code_bits(words, logits, &b, &err))
        return lb_raise(L, &err);
    const char *const names[] = {"words", "word", "answer", "beyond", "missing"};
    const double v[] = {b.words, b.word, b.answer, b.beyond, b.missing};
    lua_createtable(L, 0, ARRAY_LEN(v));
    put_numbers(L, names, v, ARRAY_LEN(v));
    return 1;
}

typedef struct CalibrationCfg {
    int64_t bins;
} CalibrationCfg;
static const OptRow calibration_options[] = {
    {"bins", OPT_INT, offsetof(CalibrationCfg, bins), "15", 1, CALIB_MAX_BINS, NULL,
     "Equal parts of 0..1 that confidences are sorted into."},
};
static const size_t n_calibration_options = ARRAY_LEN(calibration_options);

static int cl_calibration(lua_State *L)
{
    Err err;
    CalibrationCfg cfg;
    Calibration c;
    lua_settop(L, 3);
    lb_options(L, 3, "cl.calibration", calibration_options, n_calibration_options,
               &cfg);
    const Tensor *logits = lb_push_f32(L, 1, "the logits"), *labels = push_labels(L, 2);
    LTensor *table = lb_push_tensor(L);
    if (!logits_calibration(logits, labels, cfg.bins, &c, &table->t, &err))
        return lb_raise(L, &err);
    const char *const names[] = {"acc", "nll", "brier", "confidence", "ece", "mce"};
    const double v[] = {c.acc, c.nll, c.brier, c.confidence, c.ece, c.mce};
    lua_createtable(L, 0, ARRAY_LEN(v));
    put_numbers(L, names, v, ARRAY_LEN(v));
    lua_insert(L, -2);
    return 2;
}

/* ---- corrupted data sets --------------------------------------------------------- */

static int dataset_corrupt_fn(lua_State *L)
{
    Err err;
    CorruptCfg cfg;
    Dataset *d = lb_check_dataset(L, 1);
    lb_options(L, 2, "dataset:corrupt", corrupt_options, corrupt_n_options, &cfg);
    Dataset *out = lb_push_dataset(L);
    if (!dataset_corrupt(d, &cfg, out, &err))
        return lb_raise(L, &err);
    lb_pace(L);
    return 1;
}

void lb_open_logit(lua_State *L)
{
    lb_class(L, LB_LOOKUP, lookup_gc);
}

const LbFn lb_logit_fns[] = {
    {"cl.decomp.lookup",           "(logits, { kind = \"argmax\", ... })",
     "A table as the baseline of a code: what is known of logits [N,C] when only a "
     "cell "
     "is known. See cl.decomp.lookups().",                                                                                                    decomp_lookup,           lookup_options,      &lookup_n_options,
     "answers = cl.decomp.lookup(net:logits(mnist.train), { kind = \"runner_up\" })"                                                                                                                                                                                 },
    {"cl.decomp.lookups",          "()",                                                    "The kinds of lookup: name and doc.",             decomp_lookups,
     NULL,                                                                                                                                                                                  NULL,                   NULL                                           },
    {"lookup:reconstruct",         "(logits)",                                              "What the cells of logits stand for, f32 [N,C].",
     lookup_reconstruct_fn,                                                                                                                                            NULL,                NULL,                   NULL                                           },
    {"lookup:encode",              "(logits)",                                              "The cells of logits, i32 [N] from 0.",
     lookup_encode_fn,                                                                                                                                                 NULL,                NULL,                   NULL                                           },
    {"lookup:values",              "()",
     "What each cell stands for, f64 [cells,C]; in \"affine\" at a largest logit of 0.",                                                      lookup_values_fn,        NULL,                NULL,                   NULL                                           },
    {"cl.decomp.sae_argmax",       "(logits, margin = 15)",
     "An autoencoder written down, not trained: one latent per class, one active. "
     "Latent c reads logit c plus margin and writes the mean logits of the examples "
     "with that answer: its answers are the network's.",                                                                                      decomp_sae_argmax,       NULL,                NULL,                   "cl.decomp.sae_argmax(net:logits(mnist.train))"},
    {"cl.decomp.sae_search",       "(activations, { ... }, { search = \"bracket\", ... })",
     "An autoencoder (options as cl.decomp.sae) whose penalty weight is searched so "
     "that L0 on val (a tensor in the second table; by default the activations) is the "
     "target; and how it went: weight, l0, before (L0 of the trial that was chosen), "
     "trials, edge (the answer is the end of the grid, or no bracket was found), "
     "bracketed, steps and seconds of all trainings.",                                                                                        decomp_sae_search,       sae_search_options,  &sae_search_n_options,  NULL                                           },
    {"cl.decomp.fidelity",         "(logits, outputs, labels, { reference = logits })",
     "What is left when outputs take the place of logits, see "
     "cl.decomp.fidelity_metrics(); z-scores use the means and deviations of "
     "reference, those of training say. Also returns each example's z-scored error, "
     "f64 "
     "[N].",                                                                                                                                  decomp_fidelity,         NULL,                NULL,
     "cl.decomp.fidelity(net:logits(mnist.test), cl.zeros { 100, 10 }, "
     "mnist.test.labels)"                                                                                                                                                                                                                                          },
    {"cl.decomp.fidelity_metrics", "()",
     "What cl.decomp.fidelity measures: name and doc.",                                                                                       decomp_fidelity_metrics, NULL,
     NULL,                                                                                                                                                                                                          NULL                                           },
    {"cl.decomp.code_bits",        "(codes, logits)",
     "Entropies in bits of the word that a code is (which latents of [N,M] are active, "
     "or "
     "cells i32 [N]) and of the answer: word, answer, beyond = H(word | answer), "
     "missing "
     "= H(answer | word), and the number of words.",                                                                                          decomp_code_bits,        NULL,                NULL,
     "cl.decomp.code_bits(mnist.test.labels, net:logits(mnist.test)).missing"                                                                                                                                                                                      },
    {"cl.calibration",             "(logits, labels, { bins = 15 })",
     "Whether confidences are right: acc, nll, brier, mean confidence, ece and mce "
     "(expected and largest |accuracy - confidence| over bins; Guo et al. 2017, arXiv "
     "1706.04599). Also returns examples, confidence and accuracy of each bin, f64 "
     "[bins,3].",                                                                                                                             cl_calibration,          calibration_options, &n_calibration_options,
     "cl.calibration(net:logits(mnist.test), mnist.test.labels).ece"                                                                                                                                                                                               },
    {"dataset:corrupt",            "({ noise = 0, shift = 0, ... })",
     "A copy made worse: images moved, a square blanked, noise; cut to 0..1 and "
     "rounded "
     "to 1/255. Networks are asked about it as about any data set.",                                                                          dataset_corrupt_fn,      corrupt_options,     &corrupt_n_options,
     "net:accuracy(mnist.test:corrupt { noise = 0.3 })"                                                                                                                                                                                                            },
};
const size_t lb_n_logit_fns = ARRAY_LEN(lb_logit_fns);
