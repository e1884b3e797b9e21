/* lb_decomp.c -- interaction tensors, spectra, limits and dictionaries in Lua. An interaction
 * remembers the data its network was trained on, so that the data metric needs no further argument;
 * class numbers are digits, from 0. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "decomp/metrics.h"
#include "decomp/parts.h"
#include "decomp/two_bank.h"
#include "lab/fit.h"
#include "script/lb_dict.h"

LInter *lb_check_inter(lua_State *L, int arg)
{
    LInter *b = luaL_checkudata(L, arg, LB_INTER);
    luaL_argcheck(L, b->b.C > 0, arg, "this interaction tensor was closed");
    return b;
}

LDict *lb_check_dict(lua_State *L, int arg)
{
    LDict *d = luaL_checkudata(L, arg, LB_DICT);
    luaL_argcheck(L, d->d.R > 0, arg, "this dictionary was closed");
    return d;
}

static int inter_gc(lua_State *L)
{
    LInter *b = luaL_checkudata(L, 1, LB_INTER);
    interaction_done(&b->b);
    for (int k = 0; k < 2; k++)
        if (b->has_spectrum[k])
            spectrum_done(&b->spectrum[k]);
    tensor_release(&b->S);
    tensor_release(&b->unlit);
    memset(b, 0, sizeof *b);
    return 0;
}

static int dict_gc(lua_State *L)
{
    LDict *d = luaL_checkudata(L, 1, LB_DICT);
    dict_done(&d->d);
    return 0;
}

LInter *lb_push_inter(lua_State *L)
{
    LInter *b = lua_newuserdatauv(L, sizeof *b, 1);
    memset(b, 0, sizeof *b);
    luaL_setmetatable(L, LB_INTER);
    return b;
}

/* --- interaction ----------------------------------------------------------------------------- */

/* f32 [I]: 1 where a pixel is lit in under 1 % of the images. */
static bool find_unlit(const Dataset *d, Tensor *out, Err *err)
{
    int64_t I = (int64_t)d->height * d->width;
    int64_t *lit = mem_zalloc(sizeof *lit * (size_t)I, err);
    const uint8_t *x = d->images.data;
    if (!lit || !tensor_new(F32, 1, &I, out, err)) {
        mem_free(lit);
        return false;
    }
    for (int64_t n = 0; n < d->n; n++)
        for (int64_t i = 0; i < I; i++)
            lit[i] += x[n * I + i] > 0;
    for (int64_t i = 0; i < I; i++)
        ((float *)out->data)[i] = lit[i] * 100 < d->n ? 1 : 0;
    mem_free(lit);
    return true;
}

/* Takes the training data at stack index `data` into the metric of b (on the stack top). */
static void attach_data(lua_State *L, LInter *b, int data)
{
    Err err;
    Dataset *d = lb_check_dataset(L, data);
    int64_t I = (int64_t)d->height * d->width;
    if (I != b->b.I)
        lb_error(L, ERR_SHAPE, "the data set has %d pixels, the network %d inputs", (int)I,
                 (int)b->b.I);
    int self = lua_gettop(L);
    LTensor *S = lb_push_moment(L, data, b->noise, b->share);
    b->S = tensor_retain(&S->t);
    lua_pop(L, 1);
    if (!find_unlit(d, &b->unlit, &err))
        lb_raise(L, &err);
    b->height = d->height;
    b->width = d->width;
    lua_pushvalue(L, data);
    lua_setiuservalue(L, self, 1);
}

static int model_interaction(lua_State *L)
{
    Err err;
    LModel *m = lb_check_model(L, 1);
    const TensorSet *p = m->m->params;
    const Tensor *left = tset_get(p, "left"), *right = tset_get(p, "right");
    lua_settop(L, 2);
    if (!left || !right || strcmp(m->m->row->name, "bilinear"))
        return lb_error(L, ERR_OPTION, "interaction: only a bilinear network has one, this is %s",
                        m->m->row->name);
    if (lua_isnil(L, 2)) {
        lua_getiuservalue(L, 1, 1);
        lua_replace(L, 2);
    }
    LInter *b = lb_push_inter(L);
    if (!interaction_new(tset_get(p, "embed"), left, right, tset_get(p, "head"),
                         tset_get(p, "bias"), &b->b, &err))
        return lb_raise(L, &err);
    b->noise = m->noise;
    b->share = m->noise_share;
    b->height = (int64_t)llround(sqrt((double)b->b.I));
    b->width = b->height ? b->b.I / b->height : 0;
    if (!lua_isnil(L, 2))
        attach_data(L, b, 2);
    lb_pace(L);
    return 1;
}

static int inter_set_data(lua_State *L)
{
    LInter *b = lb_check_inter(L, 1);
    lb_check_dataset(L, 2);
    b->noise = luaL_optnumber(L, 3, 0);
    b->share = luaL_optnumber(L, 4, 0.5);
    tensor_release(&b->S);
    tensor_release(&b->unlit);
    if (b->has_spectrum[1]) {
        spectrum_done(&b->spectrum[1]);
        b->has_spectrum[1] = false;
    }
    lua_settop(L, 2);
    lua_pushvalue(L, 1);
    attach_data(L, b, 2);
    return 1;
}

static int inter_new(lua_State *L)
{
    Err err;
    static const char *const names[] = { "embed", "left", "right", "head", "bias" };
    const Tensor *t[5] = { NULL };
    luaL_checktype(L, 1, LUA_TTABLE);
    for (lua_pushnil(L); lua_next(L, 1); lua_pop(L, 1)) {
        const char *key = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : "?";
        bool known = false;
        for (int i = 0; i < 5; i++)
            known = known || !strcmp(key, names[i]);
        if (!known)
            return lb_error(L, ERR_OPTION, "cl.decomp.interaction: there is no factor '%s'; there "
                            "are embed, left, right, head and bias", key);
    }
    for (int i = 0; i < 5; i++) {
        lua_getfield(L, 1, names[i]);
        LTensor *x = lb_test_tensor(L, -1);
        t[i] = x ? &x->t : NULL;
        if (!x && (i == 1 || i == 2 || i == 3))
            return lb_error(L, ERR_OPTION, "cl.decomp.interaction: '%s' is missing; left, right "
                            "and head are needed, embed and bias may be left out", names[i]);
    }
    LInter *b = lb_push_inter(L);
    if (!interaction_new(t[0], t[1], t[2], t[3], t[4], &b->b, &err))
        return lb_raise(L, &err);
    b->height = (int64_t)llround(sqrt((double)b->b.I));
    b->width = b->height ? b->b.I / b->height : 0;
    return 1;
}

Spectrum *lb_spectrum_of(lua_State *L, LInter *b, bool data)
{
    Err err;
    if (data && !b->S.data)
        lb_error(L, ERR_STATE, "the data metric needs the training images; train the network "
                 "here, or call B:with_data(dataset, noise)");
    if (!b->has_spectrum[data]) {
        if (!spectrum_new(&b->b, data ? &b->S : NULL, &b->spectrum[data], &err))
            lb_raise(L, &err);
        b->has_spectrum[data] = true;
    }
    return &b->spectrum[data];
}

bool lb_metric_arg(lua_State *L, int arg, const LInter *b)
{
    const char *m = luaL_optstring(L, arg, b->S.data ? "data" : "plain");
    if (strcmp(m, "data") && strcmp(m, "plain"))
        lb_error(L, ERR_OPTION, "the metric is \"data\" or \"plain\", got '%s'", m);
    return m[0] == 'd';
}

static int inter_dense(lua_State *L)
{
    Err err;
    LInter *b = lb_check_inter(L, 1);
    LTensor *out = lb_push_tensor(L);
    if (!interaction_dense(&b->b, luaL_checkinteger(L, 2), &out->t, &err))
        return lb_raise(L, &err);
    lb_pace(L);
    return 1;
}

static int class_dense(lua_State *L)
{
    lua_settop(L, 0);
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_pushvalue(L, lua_upvalueindex(2));
    return inter_dense(L);
}

/* B:eigen(class, metric): values descending and the filters as rows */
static int inter_eigen(lua_State *L)
{
    LInter *b = lb_check_inter(L, 1);
    lua_Integer c = luaL_checkinteger(L, 2);
    Spectrum *s = lb_spectrum_of(L, b, lb_metric_arg(L, 3, b));
    Err err;
    luaL_argcheck(L, c >= 0 && c < s->C, 2, "no such class");
    Tensor view;
    const Tensor *src[2] = { &s->val, &s->filter };
    for (int k = 0; k < 2; k++) {
        LTensor *out = lb_push_tensor(L);
        bool ok = tensor_select(src[k], 0, c, &view, &err) && tensor_convert(&view, F32, &out->t, &err);
        tensor_release(&view);
        if (!ok)
            return lb_raise(L, &err);
    }
    lb_pace(L);
    return 2;
}

/* Called with a colon or with a dot. */
static int class_eigen(lua_State *L)
{
    int metric = lua_istable(L, 1) ? 2 : 1;
    lua_settop(L, 2);
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_pushvalue(L, lua_upvalueindex(2));
    lua_pushvalue(L, metric);
    lua_remove(L, 1);
    lua_remove(L, 1);
    return inter_eigen(L);
}

/* B:class(3) -> { dense = fn, eigen = fn } */
static int inter_class(lua_State *L)
{
    static const luaL_Reg fns[] = { { "dense", class_dense }, { "eigen", class_eigen },
                                    { NULL, NULL } };
    LInter *b = lb_check_inter(L, 1);
    lua_Integer c = luaL_checkinteger(L, 2);
    luaL_argcheck(L, c >= 0 && c < b->b.C, 2, "classes count from 0, as digits do");
    lua_createtable(L, 0, 3);
    for (int i = 0; fns[i].name; i++) {
        lua_pushvalue(L, 1);
        lua_pushvalue(L, 2);
        lua_pushcclosure(L, fns[i].func, 2);
        lua_setfield(L, -2, fns[i].name);
    }
    lua_pushvalue(L, 2);
    lua_setfield(L, -2, "class");
    return 1;
}

static int inter_limit(lua_State *L)
{
    LInter *b = lb_check_inter(L, 1);
    lua_Integer n = luaL_checkinteger(L, 2);
    luaL_argcheck(L, n >= 0 && n <= 1000000, 2, "a number of components");
    Spectrum *s = lb_spectrum_of(L, b, lb_metric_arg(L, 3, b));
    lua_pushnumber(L, limit_one_hot(s, n, true, NULL));
    return 1;
}

/* Cosine of two interaction tensors; the metric is the first one's. */
static int inter_similarity(lua_State *L)
{
    Err err;
    double v = 0;
    LInter *a = lb_check_inter(L, 1), *b = lb_check_inter(L, 2);
    bool data = lb_metric_arg(L, 3, a);
    if (data && !a->S.data)
        return lb_error(L, ERR_STATE, "the data metric needs the training images");
    return interaction_cosine(&a->b, &b->b, data ? &a->S : NULL, &v, &err)
               ? (lua_pushnumber(L, v), 1)
               : lb_raise(L, &err);
}

/* --- dictionaries -------------------------------------------------------------------------------- */

LDict *lb_push_dict(lua_State *L, int inter)
{
    inter = lua_absindex(L, inter);
    LDict *d = lua_newuserdatauv(L, sizeof *d, 1);
    memset(d, 0, sizeof *d);
    luaL_setmetatable(L, LB_DICT);
    lua_pushvalue(L, inter);
    lua_setiuservalue(L, -2, 1);
    return d;
}

/* Examples for distillation: f32 pixels of the first n training images and their logits. */
void lb_distill_examples(lua_State *L, LInter *b, int64_t n, DictData *data)
{
    Err err;
    if (lua_getiuservalue(L, 1, 1) == LUA_TNIL)
        lb_error(L, ERR_STATE, "distillation needs the training images; call "
                 "B:with_data(dataset, noise) first");
    Dataset *d = lb_check_dataset(L, lua_gettop(L));
    LTensor *x = lb_push_tensor(L), *y = lb_push_tensor(L);
    if (n > d->n)
        n = d->n;
    if (!tensor_new(F32, 2, (int64_t[]){ n, b->b.I }, &x->t, &err))
        lb_raise(L, &err);
    for (int64_t i = 0; i < n * b->b.I; i++)
        ((float *)x->t.data)[i] = (float)((uint8_t *)d->images.data)[i] * (1.0f / 255);
    if (!interaction_logits(&b->b, &x->t, &y->t, &err))
        lb_raise(L, &err);
    data->x = &x->t;
    data->logits = &y->t;
    data->labels = &d->labels;
}

DictData lb_data_of(LInter *b)
{
    return (DictData){ .S = b->S.data ? &b->S : NULL,
                       .unlit = b->unlit.data ? &b->unlit : NULL,
                       .height = b->height,
                       .width = b->width };
}

int lb_interrupted_after(lua_State *L, const TrainReport *r)
{
    return r->interrupted ? lb_error(L, ERR_INTERRUPT, "interrupted") : 1;
}

enum { DISTILL_EXAMPLES = 8192 };

static int decomp_dictionary(lua_State *L)
{
    Err err;
    DictCfg cfg;
    LInter *b = lb_check_inter(L, 1);
    lua_settop(L, 2);
    lb_options(L, 2, "cl.decomp.dictionary", dict_options, dict_n_options, &cfg);
    DictData data = lb_data_of(b);
    if (cfg.distill > 0)
        lb_distill_examples(L, b, DISTILL_EXAMPLES, &data);
    LDict *out = lb_push_dict(L, 1);
    TrainHooks hooks = lb_fit_hooks(L);
    DictFit *fit = dictfit_new(&cfg, &b->b, &data, &err);
    bool ok = fit &&
              fit_dictionary(fit, &cfg, data.x ? data.x->dim[0] : 0, &hooks, &out->report,
                             &err) &&
              dictfit_finish(fit, &out->d, &err);
    dictfit_free(fit);
    if (!ok)
        return lb_raise(L, &err);
    lb_pace(L);
    return lb_interrupted_after(L, &out->report);
}

static int decomp_two_banks(lua_State *L)
{
    Err err;
    TwoBankCfg cfg;
    LInter *b = lb_check_inter(L, 1);
    lua_settop(L, 2);
    lb_options(L, 2, "cl.decomp.two_banks", twobank_options, twobank_n_options, &cfg);
    DictData data = lb_data_of(b);
    if (cfg.distill > 0)
        lb_distill_examples(L, b, DISTILL_EXAMPLES, &data);
    LDict *out = lb_push_dict(L, 1);
    TrainHooks hooks = lb_fit_hooks(L);
    TwoBank *fit = twobank_new(&cfg, &b->b, &data, &err);
    bool ok = fit != NULL;
    if (ok) {
        FitJob job = { .name = "two banks",
                       .params = twobank_params(fit),
                       .loss = twobank_loss,
                       .ctx = fit,
                       .n_examples = data.x ? data.x->dim[0] : 0,
                       .batch = cfg.batch,
                       .steps = cfg.steps,
                       .seed = cfg.seed,
                       .lr = cfg.lr,
                       .weight_decay = cfg.weight_decay,
                       .schedule = "cosine" };
        ok = fit_run(&job, &hooks, &out->report, &err) && twobank_finish(fit, &out->d, &err);
    }
    twobank_free(fit);
    if (!ok)
        return lb_raise(L, &err);
    lb_pace(L);
    return lb_interrupted_after(L, &out->report);
}

LInter *lb_inter_of(lua_State *L, int dict)
{
    lua_getiuservalue(L, dict, 1);
    LInter *b = lb_check_inter(L, lua_gettop(L));
    return b; /* stays on the stack */
}

/* f32 [N,I] pixels of a data set, pushed as a tensor. */
LTensor *lb_push_pixels(lua_State *L, const Dataset *d)
{
    Err err;
    int64_t I = (int64_t)d->height * d->width;
    LTensor *x = lb_push_tensor(L);
    if (!tensor_new(F32, 2, (int64_t[]){ d->n, I }, &x->t, &err))
        lb_raise(L, &err);
    for (int64_t i = 0; i < d->n * I; i++)
        ((float *)x->t.data)[i] = (float)((uint8_t *)d->images.data)[i] * (1.0f / 255);
    return x;
}

static int dict_metrics_fn(lua_State *L)
{
    Err err;
    DictMetrics m;
    LDict *d = lb_check_dict(L, 1);
    lua_settop(L, 2);
    LInter *b = lb_inter_of(L, 1);
    DictEval e = { .dict = &d->d, .b = &b->b, .height = b->height, .width = b->width };
    e.plain = lb_spectrum_of(L, b, false);
    if (b->S.data) {
        e.S = &b->S;
        e.unlit = &b->unlit;
        e.data = lb_spectrum_of(L, b, true);
    }
    if (!lua_isnil(L, 2)) {
        Dataset *t = lb_check_dataset(L, 2);
        e.x = &lb_push_pixels(L, t)->t;
        e.labels = &t->labels;
    }
    if (!dict_metrics(&e, &m, &err))
        return lb_raise(L, &err);
    lua_createtable(L, 0, (int)metric_n_rows);
    for (size_t k = 0; k < metric_n_rows; k++) {
        if (isnan(m.value[k]))
            continue;
        lua_pushnumber(L, m.value[k]);
        lua_setfield(L, -2, metric_rows[k].name);
    }
    lb_pace(L);
    return 1;
}

/* cl.decomp.metrics(): { { name, doc, better, limit }, ... } in the order of the table */
static int decomp_metrics(lua_State *L)
{
    lua_createtable(L, (int)metric_n_rows, 0);
    for (size_t k = 0; k < metric_n_rows; k++) {
        lb_push_named(L, metric_rows[k].name, metric_rows[k].doc);
        lua_pushinteger(L, metric_rows[k].better);
        lua_setfield(L, -2, "better");
        lua_pushstring(L, metric_rows[k].limit);
        lua_setfield(L, -2, "limit");
        lua_rawseti(L, -2, (lua_Integer)k + 1);
    }
    return 1;
}

typedef struct PatternCfg {
    char view[OPT_STR_CAP], display[OPT_STR_CAP];
    int64_t pixels;
} PatternCfg;
static const OptRow pattern_options[] = {
    { "view", OPT_ENUM, offsetof(PatternCfg, view), "filters", 0, 0, "filters patterns",
      "The weights themselves, or what they respond to (times the second moment of the data)." },
    { "display", OPT_ENUM, offsetof(PatternCfg, display), "balanced", 0, 0, "balanced raw",
      "Balanced factors, or as published, where a picture may appear twice." },
    { "pixels", OPT_INT, offsetof(PatternCfg, pixels), "0", 0, 1e9, NULL,
      "Only the so many largest pixels of each picture, denoised; 0: all." },
};
static const size_t n_pattern_options = ARRAY_LEN(pattern_options);

static int dict_patterns_fn(lua_State *L)
{
    Err err;
    PatternCfg c;
    LDict *d = lb_check_dict(L, 1);
    lua_settop(L, 2);
    lb_options(L, 2, "dictionary:patterns", pattern_options, n_pattern_options, &c);
    LInter *b = lb_inter_of(L, 1);
    bool through = !strcmp(c.view, "patterns");
    if (through && !b->S.data)
        return lb_error(L, ERR_STATE, "dictionary:patterns: view = \"patterns\" needs the training "
                        "images; call B:with_data(dataset, noise) first");
    LTensor *out = lb_push_tensor(L);
    if (!dict_patterns(&d->d, through ? &b->S : NULL, !strcmp(c.display, "raw"), &out->t, &err) ||
        (c.pixels && !patterns_keep(&out->t, c.pixels, &err)))
        return lb_raise(L, &err);
    int64_t dim[4] = { d->d.R, 2, b->height, b->width };
    Tensor shaped;
    if (!tensor_reshape(&out->t, 4, dim, &shaped, &err))
        return lb_raise(L, &err);
    tensor_release(&out->t);
    out->t = shaped;
    lb_pace(L);
    return 1;
}

typedef struct GalleryCfg {
    PatternCfg pattern;
    int64_t n;
    char title[OPT_STR_CAP];
} GalleryCfg;
static const OptRow gallery_options[] = {
    { "n", OPT_INT, offsetof(GalleryCfg, n), "10", 1, 5000, NULL, "Components, two images each." },
    { "view", OPT_ENUM, offsetof(GalleryCfg, pattern.view), "filters", 0, 0, "filters patterns",
      "The weights themselves, or what they respond to." },
    { "display", OPT_ENUM, offsetof(GalleryCfg, pattern.display), "balanced", 0, 0,
      "balanced raw", "Balanced factors, or as published." },
    { "pixels", OPT_INT, offsetof(GalleryCfg, pattern.pixels), "0", 0, 1e9, NULL,
      "Only the so many largest pixels of each picture; 0: all." },
    { "title", OPT_STR, offsetof(GalleryCfg, title), "", 0, 0, NULL, "Line above." },
};
static const size_t n_gallery_options = ARRAY_LEN(gallery_options);

static int dict_gallery_fn(lua_State *L)
{
    Err err;
    GalleryCfg c;
    Tensor q;
    LDict *d = lb_check_dict(L, 1);
    lua_settop(L, 2);
    lb_options(L, 2, "dictionary:gallery", gallery_options, n_gallery_options, &c);
    LInter *b = lb_inter_of(L, 1);
    bool through = !strcmp(c.pattern.view, "patterns");
    if (through && !b->S.data)
        return lb_error(L, ERR_STATE, "dictionary:gallery: view = \"patterns\" needs the training "
                        "images");
    int64_t n = c.n < d->d.shown ? c.n : d->d.shown;
    Figure **slot = lb_push_figure(L);
    if (!dict_patterns(&d->d, through ? &b->S : NULL, !strcmp(c.pattern.display, "raw"), &q, &err))
        return lb_raise(L, &err);
    bool ok = !c.pattern.pixels || patterns_keep(&q, c.pattern.pixels, &err);
    if (ok)
        *slot = figure_images((int)(2 * n), (int)b->height, (int)b->width, q.data, true, &err);
    tensor_release(&q);
    ok = ok && *slot != NULL;
    if (ok)
        (*slot)->scale = SCALE_EACH, (*slot)->group = 2;
    for (int64_t i = 0; ok && i < 2 * n; i++) {
        char label[48];
        snprintf(label, sizeof label, "#%lld digit %d %c", (long long)i / 2 + 1,
                 ((int32_t *)d->d.owner.data)[i / 2], i % 2 ? '-' : '+');
        ok = figure_set_label(*slot, (int)i, label, &err);
    }
    ok = ok && (!c.title[0] || figure_set_title(*slot, c.title, &err));
    return ok ? 1 : lb_raise(L, &err);
}

static int dict_order_fn(lua_State *L)
{
    Err err;
    LDict *d = lb_check_dict(L, 1);
    LTensor *x = lb_push_pixels(L, lb_check_dataset(L, 2));
    if (!dict_order(&d->d, &x->t, &err))
        return lb_raise(L, &err);
    lua_settop(L, 1);
    lb_pace(L);
    return 1;
}

LDict *lb_copy_dict(lua_State *L, int dict)
{
    Err err;
    LDict *d = lb_check_dict(L, dict);
    dict = lua_absindex(L, dict);
    lb_inter_of(L, dict);
    LDict *out = lb_push_dict(L, lua_gettop(L));
    lua_remove(L, -2);
    if (!dict_new(d->d.R, d->d.C, d->d.I, &out->d, &err) ||
        !tensor_copy_into(&d->d.a, &out->d.a, &err) ||
        !tensor_copy_into(&d->d.b, &out->d.b, &err) ||
        !tensor_copy_into(&d->d.head, &out->d.head, &err))
        lb_raise(L, &err);
    out->d.shown = d->d.shown;
    dict_find_owners(&out->d);
    return out;
}

static int dict_gauge_fn(lua_State *L)
{
    Err err;
    lua_Integer seed = luaL_checkinteger(L, 2);
    LDict *out = lb_copy_dict(L, 1);
    return dict_gauge(&out->d, (uint64_t)seed, &err) ? 1 : lb_raise(L, &err);
}

static int dict_save_fn(lua_State *L)
{
    Err err;
    return dict_save(&lb_check_dict(L, 1)->d, luaL_checkstring(L, 2), &err) ? 0 : lb_raise(L, &err);
}

static int decomp_load(lua_State *L)
{
    Err err;
    LInter *b = lb_check_inter(L, 1);
    const char *path = luaL_checkstring(L, 2);
    LDict *d = lb_push_dict(L, 1);
    if (!dict_load(path, &d->d, &err))
        return lb_raise(L, &err);
    if (d->d.I != b->b.I || d->d.C != b->b.C)
        return lb_error(L, ERR_SHAPE, "%s: the dictionary does not fit the network", path);
    return 1;
}

static int dict_activations_fn(lua_State *L)
{
    Err err;
    LDict *d = lb_check_dict(L, 1);
    LTensor *x = lb_test_tensor(L, 2) ? lb_check_tensor(L, 2)
                                      : lb_push_pixels(L, lb_check_dataset(L, 2));
    LTensor *act = lb_push_tensor(L), *logits = lb_push_tensor(L);
    if (!dict_activations(&d->d, &x->t, &act->t, &logits->t, &err))
        return lb_raise(L, &err);
    lb_pace(L);
    return 2;
}

static int dict_index(lua_State *L)
{
    LDict *d = luaL_checkudata(L, 1, LB_DICT);
    const char *key = luaL_checkstring(L, 2);
    luaL_getmetatable(L, LB_DICT);
    lua_getfield(L, -1, "methods");
    lua_pushvalue(L, 2);
    if (lua_rawget(L, -2) != LUA_TNIL)
        return 1;
    const struct {
        const char *name;
        const Tensor *t;
    } fields[] = { { "a", &d->d.a }, { "b", &d->d.b }, { "head", &d->d.head },
                   { "owner", &d->d.owner } };
    for (size_t i = 0; i < ARRAY_LEN(fields); i++)
        if (!strcmp(key, fields[i].name)) {
            lb_push_tensor(L)->t = tensor_retain(fields[i].t);
            return 1;
        }
    if (!strcmp(key, "components"))
        return (lua_pushinteger(L, d->d.R), 1);
    if (!strcmp(key, "shown"))
        return (lua_pushinteger(L, d->d.shown), 1);
    if (!strcmp(key, "seconds"))
        return (lua_pushnumber(L, d->report.seconds), 1);
    if (!strcmp(key, "steps"))
        return (lua_pushinteger(L, d->report.steps), 1);
    return lb_error(L, ERR_OPTION, "a dictionary has a, b, head, owner, components, shown, seconds, steps "
                    "and its methods, but no '%s'", key);
}

static int dict_tostring(lua_State *L)
{
    LDict *d = luaL_checkudata(L, 1, LB_DICT);
    lua_pushfstring(L, "dictionary: %d components, %d classes, %d pixels", (int)d->d.R,
                    (int)d->d.C, (int)d->d.I);
    return 1;
}

static int inter_tostring(lua_State *L)
{
    LInter *b = luaL_checkudata(L, 1, LB_INTER);
    lua_pushfstring(L, "interaction tensor: %d classes, %d x %d pixels, rank space %d%s",
                    (int)b->b.C, (int)b->b.I, (int)b->b.I, (int)b->b.E,
                    b->S.data ? ", with data metric" : "");
    return 1;
}

const LbFn lb_decomp_fns[] = {
    { "model:interaction", "(dataset)",
      "The interaction tensor B_cij of a bilinear network, factored. The data metric comes from the "
      "data set the network was trained on (or the one given) and its training noise.",
      model_interaction, NULL, NULL, "B = net:interaction()" },
    { "cl.decomp.interaction", "({ left, right, head, embed, bias })",
      "An interaction tensor from factors made elsewhere: left and right [H,E], head [C,H], embed "
      "[E,I] and bias [C] optional.", inter_new, NULL, NULL, NULL },
    { "interaction:with_data", "(dataset, noise = 0, share = 0.5)",
      "Sets the data metric: the second moment of the data set plus share * noise^2.",
      inter_set_data, NULL, NULL, NULL },
    { "interaction:class", "(digit)", "One class, counted from 0, with the functions dense() and "
      "eigen(metric).", inter_class, NULL, NULL, "B:class(3):dense()" },
    { "interaction:dense", "(digit)", "One class as a symmetric matrix f64 [I,I].", inter_dense,
      NULL, NULL, NULL },
    { "interaction:eigen", "(digit, metric = \"data\")",
      "Eigenvalues of one class, descending, and row filters f32 [K,I] (arXiv 2410.08417). In the data "
      "metric w_k S w_l = 1 for k = l and 0 otherwise.", inter_eigen, NULL, NULL, NULL },
    { "interaction:limit", "(components, metric = \"data\")",
      "The largest cosine any dictionary of so many one-hot components can reach: closed form.",
      inter_limit, NULL, NULL, "B:limit(128)" },
    { "interaction:similarity", "(other, metric = \"data\")",
      "Cosine of two networks' interaction tensors.", inter_similarity, NULL, NULL, NULL },
    { "cl.decomp.dictionary", "(B, { components = 128, start = \"eigen\", ... })",
      "Fits T_c = sym sum_r D_rc a_r b_r^T to the interaction tensor with one-hot heads: 1 - cosine "
      "plus priors on the balanced patterns, with Adam. steps = 0 gives the start itself.",
      decomp_dictionary, dict_options, &dict_n_options,
      "dict = cl.decomp.dictionary(B, { components = 128 })" },
    { "cl.decomp.two_banks", "(B, { ... })",
      "The published two banks of masked stroke templates with one-class heads and no residual, fitted "
      "in the plain metric with distillation.", decomp_two_banks, twobank_options,
      &twobank_n_options, NULL },
    { "cl.decomp.load", "(B, path)", "A dictionary of this interaction tensor saved before.",
      decomp_load, NULL, NULL, NULL },
    { "cl.decomp.metrics", "()", "The metrics of dictionaries: name, doc, better (1 higher, -1 "
      "lower), limit.", decomp_metrics, NULL, NULL, NULL },
    { "dictionary:metrics", "(test)",
      "All metrics as named numbers; without a test set only those of the weights. See "
      "cl.decomp.metrics() for what each means.", dict_metrics_fn, NULL, NULL, NULL },
    { "dictionary:patterns", "({ view = \"filters\", display = \"balanced\" })",
      "Displayed patterns f32 [R,2,height,width]: the plus and the minus pattern of each "
      "component, unit norm.", dict_patterns_fn, pattern_options, &n_pattern_options, NULL },
    { "dictionary:gallery", "({ n = 10, view = \"filters\" })",
      "A figure of the first n components: the pattern that speaks for the digit (+) and the one "
      "that speaks against it (-).", dict_gallery_fn, gallery_options, &n_gallery_options,
      "cl.show(dict:gallery { n = 10 })" },
    { "dictionary:order", "(dataset)",
      "Sorts components by their effect on the data (std of the activation times the head); "
      "returns the dictionary.", dict_order_fn, NULL, NULL, NULL },
    { "dictionary:gauge", "(seed)",
      "The same tensor in a random gauge, a control: inside a class components are mixed by a random "
      "element of O(n,n).", dict_gauge_fn, NULL, NULL, NULL },
    { "dictionary:activations", "(dataset or tensor)", "Activations [N,R] and logits [N,C] without "
      "bias.", dict_activations_fn, NULL, NULL, NULL },
    { "dictionary:save", "(path)", "Writes the factors as .safetensors.", dict_save_fn, NULL, NULL,
      NULL },
};
const size_t lb_n_decomp_fns = ARRAY_LEN(lb_decomp_fns);

void lb_open_decomp(lua_State *L)
{
    lb_class(L, LB_INTER, inter_gc);
    luaL_getmetatable(L, LB_INTER);
    lua_pushcfunction(L, inter_tostring);
    lua_setfield(L, -2, "__tostring");
    lua_pop(L, 1);
    lb_class(L, LB_DICT, dict_gc);
    luaL_getmetatable(L, LB_DICT);
    lua_newtable(L);
    lua_setfield(L, -2, "methods");
    lua_pushcfunction(L, dict_index);
    lua_setfield(L, -2, "__index");
    lua_pushcfunction(L, dict_tostring);
    lua_setfield(L, -2, "__tostring");
    lua_pop(L, 1);
}
