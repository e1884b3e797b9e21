/* lb_sae.c -- sparse autoencoders and transcoders in Lua: trained on activations, used
 * on tensors or, inside hooks and compiled functions, on symbols. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/intr.h"
#include "base/mem.h"
#include "decomp/sae_metrics.h"
#include "script/lb_sae.h"

LSae *lb_check_sae(lua_State *L, int arg)
{
    LSae *s = luaL_checkudata(L, arg, LB_SAE);
    luaL_argcheck(L, s->s, arg, "this autoencoder was closed");
    return s;
}

static int sae_gc(lua_State *L)
{
    LSae *s = luaL_checkudata(L, 1, LB_SAE);
    sae_free(s->s);
    s->s = NULL;
    return 0;
}

static int sae_tostring(lua_State *L)
{
    LSae *s = luaL_checkudata(L, 1, LB_SAE);
    if (!s->s)
        return lua_pushliteral(L, "sae (closed)"), 1;
    lua_pushfstring(L, "sae %s: %I -> %I latents -> %I", sae_cfg(s->s)->activation,
                    (LUAI_UACINT)sae_in(s->s), (LUAI_UACINT)sae_latents(s->s),
                    (LUAI_UACINT)sae_out(s->s));
    return 1;
}

/* The tensor at arg as contiguous f32, pushed. */
Tensor *lb_push_f32(lua_State *L, int arg, const char *what)
{
    Err err;
    LTensor *x = lb_check_tensor(L, arg);
    lb_check_readable(L, x, what);
    LTensor *wide = lb_push_tensor(L), *out = lb_push_tensor(L);
    if (!tensor_convert(&x->t, F32, &wide->t, &err) ||
        !tensor_contiguous_of(&wide->t, &out->t, &err))
        lb_raise(L, &err);
    return &out->t;
}

Tensor *lb_push_labels(lua_State *L, int arg)
{
    Err err;
    LTensor *t = lb_check_tensor(L, arg), *own = lb_push_tensor(L);
    lb_check_readable(L, t, "the labels");
    if (!tensor_contiguous_of(&t->t, &own->t, &err))
        lb_raise(L, &err);
    return &own->t;
}

/* Takes a tensor out of the options at arg and pushes it; NULL (and nil) if absent. */
Tensor *lb_take_f32(lua_State *L, int arg, const char *key)
{
    lb_take_option(L, arg, key);
    return lua_isnil(L, -1) ? NULL : lb_push_f32(L, lua_gettop(L), key);
}

LSae *lb_push_sae(lua_State *L)
{
    LSae *s = lua_newuserdatauv(L, sizeof *s, 0);
    memset(s, 0, sizeof *s);
    luaL_setmetatable(L, LB_SAE);
    return s;
}

/* ---- making ---------------------------------------------------------------------- */

/* Takes a text or a whole number out of the options at arg; the text stays pushed. */
static const char *take_text(lua_State *L, int arg, const char *key)
{
    lb_take_option(L, arg, key);
    if (!lua_isnil(L, -1) && lua_type(L, -1) != LUA_TSTRING)
        lb_error(L, ERR_OPTION, "cl.decomp.sae: %s must be a path", key);
    return lua_tostring(L, -1);
}

static int64_t take_count(lua_State *L, int arg, const char *key)
{
    int whole = 1;
    lb_take_option(L, arg, key);
    int64_t n = lua_isnil(L, -1) ? 0 : lua_tointegerx(L, -1, &whole);
    if (!whole || n < 0)
        lb_error(L, ERR_OPTION, "cl.decomp.sae: %s must be a number of steps", key);
    return n;
}

static int decomp_sae(lua_State *L)
{
    Err err;
    SaeCfg cfg;
    lua_settop(L, 2);
    const SaeKeep keep = {take_text(L, 2, "checkpoint"), take_text(L, 2, "resume"),
                          take_count(L, 2, "checkpoint_every"),
                          take_count(L, 2, "stop_at")};
    lb_take_option(L, 2, "target");
    LInput in = lb_check_input(L, 1, lua_gettop(L), "cl.decomp.sae");
    lb_options(L, 2, "cl.decomp.sae", sae_options, sae_n_options, &cfg);
    lb_open_input(L, &in, &cfg);
    LSae *out = lb_push_sae(L);
    TrainHooks hooks = lb_fit_hooks(L);
    if (!(out->s = lb_sae_on(&in, &cfg, &err)) ||
        !fit_sae_fed(out->s, lb_input_feed(&in), &keep, &hooks, &out->report, &out->cal,
                     &err))
        return lb_raise(L, &err);
    if (cfg.warn && !out->report.interrupted && out->report.steps > 0)
        lb_sae_warn(L, out);
    lb_pace(L);
    bool stopped = out->report.interrupted && !intr_pending(); /* by stop_at */
    return stopped ? 1 : lb_interrupted_after(L, &out->report);
}

static int decomp_sae_load(lua_State *L)
{
    Err err;
    const char *path = luaL_checkstring(L, 1);
    LSae *out = lb_push_sae(L);
    return (out->s = sae_load(path, &err)) ? 1 : lb_raise(L, &err);
}

static int decomp_activations(lua_State *L)
{
    lua_createtable(L, sae_act_count(), 0);
    for (int i = 0; i < sae_act_count(); i++) {
        lb_push_named(L, sae_act_name(i), sae_act_doc(i));
        lua_rawseti(L, -2, i + 1);
    }
    return 1;
}

static void put_number(lua_State *L, const char *name, double v)
{
    lua_pushnumber(L, v);
    lua_setfield(L, -2, name);
}

static void put_calibration(lua_State *L, const SaeCalibration *c)
{
    put_number(L, "l0_before", c->before);
    put_number(L, "l0_after", c->after);
    put_number(L, "shift", c->shift);
    lua_pushboolean(L, c->edge);
    lua_setfield(L, -2, "edge");
}

static int sae_report_fn(lua_State *L)
{
    LSae *s = lb_check_sae(L, 1);
    lua_createtable(L, 0, 8);
    put_calibration(L, &s->cal);
    put_number(L, "aim", sae_aim(s->s));
    put_number(L, "steps", (double)s->report.steps);
    put_number(L, "loss", s->report.loss);
    put_number(L, "seconds", s->report.seconds);
    return 1;
}

/* ---- using ----------------------------------------------------------------------- */

typedef Val OnGraph(Sae *s, Graph *g, Val x);
typedef bool OnTensor(Sae *s, const Tensor *x, Tensor *out, Err *err);

static int apply(lua_State *L, OnGraph *build, OnTensor *compute, const char *what)
{
    Err err;
    LSae *s = lb_check_sae(L, 1);
    LSym *x = lb_test_sym(L, 2);
    Lb *lb = lb_of(L);
    if (x) {
        Val in = lb_sym_val(L, x);
        Val y = build(s->s, trace_graph(lb->trace), in);
        lb_graph_check(L);
        lb_push_sym(L, lb->trace, y);
        return 1;
    }
    const Tensor *t = lb_push_f32(L, 2, what);
    LTensor *out = lb_push_tensor(L);
    if (!compute(s->s, t, &out->t, &err))
        return lb_raise(L, &err);
    lb_pace(L);
    return 1;
}

static int sae_encode_fn(lua_State *L)
{
    return apply(L, sae_encode, sae_codes, "the activations");
}

static int sae_reconstruct_fn(lua_State *L)
{
    return apply(L, sae_reconstruct, sae_outputs, "the activations");
}

static int sae_decode_fn(lua_State *L)
{
    Err err;
    LSae *s = lb_check_sae(L, 1);
    const Tensor *t = lb_push_f32(L, 2, "the codes");
    LTensor *out = lb_push_tensor(L);
    return sae_decode(s->s, t, &out->t, &err) ? 1 : lb_raise(L, &err);
}

static int sae_params_fn(lua_State *L)
{
    LSae *s = lb_check_sae(L, 1);
    TensorSet *set = sae_params(s->s);
    lua_createtable(L, 0, tset_count(set));
    for (int i = 0; i < tset_count(set); i++) {
        lb_push_param(L, set, i);
        lua_setfield(L, -2, tset_name(set, i));
    }
    return 1;
}

static int sae_features_fn(lua_State *L)
{
    Err err;
    LSae *s = lb_check_sae(L, 1);
    LTensor *out = lb_push_tensor(L);
    if (!tensor_copy(tset_get(sae_params(s->s), "decoder"), &out->t, &err))
        return lb_raise(L, &err);
    lb_pace(L);
    return 1;
}

static int sae_calibrate_fn(lua_State *L)
{
    Err err;
    LSae *s = lb_check_sae(L, 1);
    double l0 = luaL_optnumber(L, 3, sae_aim(s->s));
    if (!sae_calibrate(s->s, lb_push_f32(L, 2, "the activations"), l0, &s->cal, &err))
        return lb_raise(L, &err);
    lua_createtable(L, 0, 4);
    put_calibration(L, &s->cal);
    return 1;
}

static int sae_fold_fn(lua_State *L)
{
    Err err;
    LSae *s = lb_check_sae(L, 1);
    if (!sae_fold(s->s, &err))
        return lb_raise(L, &err);
    lua_settop(L, 1);
    return 1;
}

static int sae_save_fn(lua_State *L)
{
    Err err;
    LSae *s = lb_check_sae(L, 1);
    return sae_save(s->s, luaL_checkstring(L, 2), &err) ? 0 : lb_raise(L, &err);
}

/* ---- measuring ------------------------------------------------------------------- */

static const Tensor *take_labels(lua_State *L, int arg)
{
    lb_take_option(L, arg, "labels");
    if (lua_isnil(L, -1))
        return NULL;
    LTensor *t = lb_check_tensor(L, lua_gettop(L));
    LTensor *own = lb_push_tensor(L);
    Err err;
    if (!tensor_contiguous_of(&t->t, &own->t, &err))
        lb_raise(L, &err);
    return &own->t;
}

static int sae_metrics_fn(lua_State *L)
{
    Err err;
    SaeMetrics m;
    LSae *s = lb_check_sae(L, 1);
    lua_settop(L, 3);
    const Tensor *x = lb_push_f32(L, 2, "the activations");
    const Tensor *target = lb_take_f32(L, 3, "target"), *labels = take_labels(L, 3);
    lb_options(L, 3, "sae:metrics", NULL, 0, NULL);
    LTensor *density = lb_push_tensor(L);
    if (!sae_measure(s->s, x, target, labels, 0, &m, &density->t, &err))
        return lb_raise(L, &err);
    lua_createtable(L, 0, (int)sae_n_metric_rows);
    for (size_t k = 0; k < sae_n_metric_rows; k++) {
        double v;
        memcpy(&v, (const char *)&m + sae_metric_rows[k].offset, sizeof v);
        if (v == v)
            put_number(L, sae_metric_rows[k].name, v);
    }
    lua_insert(L, -2);
    return 2;
}

static int decomp_sae_metrics(lua_State *L)
{
    lua_createtable(L, (int)(sae_n_metric_rows + sae_n_splice_rows), 0);
    for (size_t k = 0; k < sae_n_metric_rows + sae_n_splice_rows; k++) {
        size_t at = k - sae_n_metric_rows;
        bool splice = k >= sae_n_metric_rows;
        lb_push_named(L, splice ? sae_splice_rows[at].name : sae_metric_rows[k].name,
                      splice ? sae_splice_rows[at].doc : sae_metric_rows[k].doc);
        lua_rawseti(L, -2, (lua_Integer)k + 1);
    }
    return 1;
}

/* sae:splice(net, dataset, site, from) */
static int sae_splice_fn(lua_State *L)
{
    Err err;
    SaeSplice r;
    LSae *s = lb_check_sae(L, 1);
    Model *m = lb_check_model(L, 2)->m;
    const Dataset *d = lb_check_dataset(L, 3);
    const char *to = luaL_checkstring(L, 4), *from = luaL_optstring(L, 5, NULL);
    if (!sae_splice(s->s, m, d, from, to, &r, &err))
        return lb_raise(L, &err);
    lua_createtable(L, 0, (int)sae_n_splice_rows);
    for (size_t k = 0; k < sae_n_splice_rows; k++) {
        double v;
        memcpy(&v, (const char *)&r + sae_splice_rows[k].offset, sizeof v);
        put_number(L, sae_splice_rows[k].name, v);
    }
    return 1;
}

static int sae_top_fn(lua_State *L)
{
    Err err;
    LSae *s = lb_check_sae(L, 1);
    lua_Integer n = luaL_optinteger(L, 3, 8);
    luaL_argcheck(L, n >= 1 && n <= 1000, 3, "a number of examples");
    const Tensor *x = lb_push_f32(L, 2, "the activations");
    LTensor *codes = lb_push_tensor(L), *out = lb_push_tensor(L);
    if (!sae_codes(s->s, x, &codes->t, &err) ||
        !sae_top_examples(&codes->t, n, &out->t, &err))
        return lb_raise(L, &err);
    lb_pace(L);
    return 1;
}

/* ---- gallery --------------------------------------------------------------------- */

typedef struct GalleryCfg {
    int64_t n, examples;
    char title[OPT_STR_CAP];
} GalleryCfg;
static const OptRow gallery_options[] = {
    {"n",        OPT_INT, offsetof(GalleryCfg, n),        "10", 1, 1000, NULL,
     "Latents, those with the largest mean code first."                                     },
    {"examples", OPT_INT, offsetof(GalleryCfg, examples), "8",  1, 100,  NULL,
     "Images of each, the strongest first."                                                 },
    {"title",    OPT_STR, offsetof(GalleryCfg, title),    "",   0, 0,    NULL, "Line above."},
};
static const size_t n_gallery_options = ARRAY_LEN(gallery_options);

typedef struct Strength {
    double sum;
    int64_t latent, fired;
} Strength;

static int stronger(const void *a, const void *b)
{
    const Strength *p = a, *q = b;
    if (p->sum != q->sum)
        return p->sum > q->sum ? -1 : 1;
    return p->latent < q->latent ? -1 : 1;
}

static void rank_latents(const Tensor *codes, Strength *to)
{
    int64_t M = codes->dim[1];
    const float *f = codes->data;
    for (int64_t m = 0; m < M; m++)
        to[m] = (Strength){0, m, 0};
    for (int64_t i = 0; i < tensor_count(codes); i++) {
        to[i % M].sum += f[i] > 0 ? (double)f[i] : 0;
        to[i % M].fired += f[i] > 0;
    }
    qsort(to, (size_t)M, sizeof *to, stronger);
}

/* Rows of images: latent after latent, its strongest examples from left to right. */
static bool draw_gallery(const Dataset *d, const Tensor *codes, const Tensor *top,
                         const Strength *order, const GalleryCfg *c, Figure **out,
                         Err *err)
{
    int64_t k = c->examples, pixels = (int64_t)d->height * d->width;
    int64_t M = codes->dim[1], n = c->n < M ? c->n : M;
    float *x = mem_zalloc(sizeof *x * (size_t)(n * k * pixels), err);
    for (int64_t i = 0; x && i < n * k; i++) {
        int32_t at = ((int32_t *)top->data)[order[i / k].latent * k + i % k];
        for (int64_t p = 0; at >= 0 && p < pixels; p++)
            x[i * pixels + p] =
                (float)((uint8_t *)d->images.data)[at * pixels + p] * (1.0f / 255);
    }
    if (x)
        *out = d->channels == 3 ? figure_colours((int)(n * k), d->height / 3, d->width,
                                                 x, false, err)
                                : figure_images((int)(n * k), d->height, d->width, x,
                                                false, err);
    mem_free(x);
    for (int64_t i = 0; *out && i < n * k; i++) {
        char label[64];
        int64_t m = order[i / k].latent;
        int32_t at = ((int32_t *)top->data)[m * k + i % k];
        if (at < 0)
            snprintf(label, sizeof label, "none");
        else if (i % k == 0)
            snprintf(label, sizeof label, "#%lld on %.1f %%", (long long)m,
                     100 * (double)order[i / k].fired / (double)codes->dim[0]);
        else
            snprintf(label, sizeof label, "%.2f",
                     (double)((float *)codes->data)[at * M + m]);
        if (!figure_set_label(*out, (int)i, label, err))
            return false;
    }
    return *out && (!c->title[0] || figure_set_title(*out, c->title, err));
}

/* sae:gallery(dataset, activations, { n, examples }) */
static int sae_gallery_fn(lua_State *L)
{
    Err err;
    GalleryCfg c;
    LSae *s = lb_check_sae(L, 1);
    const Dataset *d = lb_check_dataset(L, 2);
    lua_settop(L, 4);
    lb_options(L, 4, "sae:gallery", gallery_options, n_gallery_options, &c);
    const Tensor *x = lb_push_f32(L, 3, "the activations");
    if (x->ndim < 1 || x->dim[0] != d->n)
        return lb_error(L, ERR_SHAPE,
                        "sae:gallery: the activations must be those of "
                        "the %d images, one row each",
                        (int)d->n);
    LTensor *codes = lb_push_tensor(L), *top = lb_push_tensor(L);
    Strength *order =
        lua_newuserdatauv(L, sizeof *order * (size_t)sae_latents(s->s), 0);
    Figure **slot = lb_push_figure(L);
    if (!sae_codes(s->s, x, &codes->t, &err) ||
        !sae_top_examples(&codes->t, c.examples, &top->t, &err))
        return lb_raise(L, &err);
    rank_latents(&codes->t, order);
    if (!draw_gallery(d, &codes->t, &top->t, order, &c, slot, &err))
        return lb_raise(L, &err);
    lb_pace(L);
    return 1;
}

void lb_open_sae(lua_State *L)
{
    lb_open_streams(L);
    lb_class(L, LB_SAE, sae_gc);
    luaL_getmetatable(L, LB_SAE);
    lua_pushcfunction(L, sae_tostring);
    lua_setfield(L, -2, "__tostring");
    lua_pop(L, 1);
}

const LbFn lb_sae_fns[] = {
    {"cl.decomp.sae",             "(activations, { target = tensor, ... })",
     "Trains a sparse autoencoder on activations [N,D] (net:activations, or any "
     "tensor); with a target [N,O] it is a transcoder. Files (cl.data.shards, target, "
     "too) are read window by window, so memory stays the same however many there are; "
     "each window is shuffled by itself, and one of all rows gives the bits of a tensor. "
     "The loss is the fraction of "
     "variance unexplained plus sparsity, auxiliary and KL terms. Afterwards, where "
     "there are thresholds and an L0 to aim at, they are set so that the mean L0 on "
     "the activations (at most the first 16,384) is that; sae:report() tells. "
     "checkpoint, checkpoint_every, resume and stop_at are those of cl.train.",                                               decomp_sae,         sae_options,     &sae_n_options,
     "sae = cl.decomp.sae(net:activations(mnist.train, \"hidden\"), { latents = 32, k "
     "= "
     "2, steps = 20 })"                                                                                                                                                                                                         },
    {"cl.decomp.sae_load",        "(path)",
     "An autoencoder that sae:save wrote, ready to use.",                                                                     decomp_sae_load,    NULL,            NULL,
     NULL                                                                                                                                                                                                                       },
    {"cl.decomp.sae_activations", "()",                                        "The rows of activations: name and doc.",
     decomp_activations,                                                                                                                          NULL,            NULL,               NULL                                     },
    {"cl.decomp.sae_metrics",     "()",
     "What sae:metrics and sae:splice measure: name and doc.",                                                                decomp_sae_metrics, NULL,
     NULL,                                                                                                                                                                             NULL                                     },
    {"sae:encode",                "(x)",
     "Codes f32 [N,M] of activations [N,D], as at inference: an example's code never "
     "depends on the others. On a symbol, in hooks and compiled functions, a symbol.",                                        sae_encode_fn,      NULL,            NULL,               NULL                                     },
    {"sae:reconstruct",           "(x)",
     "Outputs [N,O] for activations [N,D] in raw units; a symbol gives a symbol.",                                            sae_reconstruct_fn, NULL,            NULL,
     "net:accuracy(mnist.test, { hook = function(s, v) if s == \"hidden\" then return "
     "sae:reconstruct(v) end end })"                                                                                                                                                                                            },
    {"sae:decode",                "(codes)",
     "Outputs [N,O] of codes [N,M]; refused where these need the input, too (skip, "
     "normalisation per example).",                                                                                           sae_decode_fn,      NULL,            NULL,               NULL                                     },
    {"sae:metrics",               "(x, { target = tensor, labels = tensor })",
     "Fidelity and sparsity on a set, accumulated in double: see "
     "cl.decomp.sae_metrics(). labels add purity. Also returns the density of each "
     "latent, f64 [M].",                                                                                                      sae_metrics_fn,     NULL,            NULL,
     "m = sae:metrics(net:activations(mnist.test, \"hidden\"), { labels = "
     "mnist.test.labels })"                                                                                                                                                                                                     },
    {"sae:splice",                "(net, dataset, site, from = site)",
     "Runs the network with the site's value replaced by the reconstruction (from "
     "another site's value for a transcoder), by zeros and by the set's mean: "
     "accuracies, cross-entropies, agreement, KL.",                                                                           sae_splice_fn,      NULL,            NULL,               "sae:splice(net, mnist.test, \"hidden\")"},
    {"sae:calibrate",             "(x, l0 = aim)",
     "Shifts all thresholds by one number so that exactly round(l0 N) codes of x are "
     "not 0. Returns l0_before, l0_after, shift, and edge: the aim could not be met.",                                        sae_calibrate_fn,   NULL,            NULL,               NULL                                     },
    {"sae:report",                "()",
     "Steps, loss and seconds of the training, the L0 aimed at, and the calibration "
     "after it.",                                                                                                             sae_report_fn,      NULL,            NULL,               NULL                                     },
    {"sae:top",                   "(x, n = 8)",
     "For each latent the n examples with the largest codes, i32 [M,n] counted from 0; "
     "-1 where fewer are active.",                                                                                            sae_top_fn,         NULL,            NULL,               NULL                                     },
    {"sae:gallery",               "(dataset, activations, { n = 10, ... })",
     "The images with the largest codes, one row for each of the strongest latents: "
     "its number, the share of images it is active on, then codes.",                                                          sae_gallery_fn,     gallery_options, &n_gallery_options,
     "cl.show(sae:gallery(mnist.test, net:activations(mnist.test, \"hidden\"), { n = 4 "
     "}))"                                                                                                                                                                                                                      },
    {"sae:features",              "()",                                        "The decoder [M,O]: what each latent writes.",
     sae_features_fn,                                                                                                                             NULL,            NULL,               NULL                                     },
    {"sae:parameters",            "()",
     "The parameters by name as states: encoder [M,D], encoder_bias, decoder [M,O], "
     "decoder_bias, and those of the activation.",                                                                            sae_params_fn,      NULL,            NULL,               NULL                                     },
    {"sae:fold",                  "()",
     "Makes the decoder's rows unit without changing outputs or active sets; refused "
     "where selection depends on scale (the top-k kinds).",                                                                   sae_fold_fn,        NULL,            NULL,               NULL                                     },
    {"sae:save",                  "(path)",
     "Parameters, thresholds, normalisation and settings as .safetensors.",                                                   sae_save_fn,
     NULL,                                                                                                                                                         NULL,               NULL                                     },
};
const size_t lb_n_sae_fns = ARRAY_LEN(lb_sae_fns);
