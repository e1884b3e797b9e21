/* spd_fit.c -- a network as a target, and the decomposition as two jobs of the trainer:
 * the warm-up, whose moments are dropped, and the fit. */
#include "lab/spd_fit.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "decomp/spd_eval.h"
#include "graph/build.h"
#include "lab/evaluate.h"
#include "lab/heads.h"
#include "lab/sites.h"

#define OPT(field, type, dflt, lo, hi, doc)                                            \
    {                                                                                  \
#field, type, offsetof(SpdFitCfg, field), dflt, lo, hi, NULL, doc              \
    }
const OptRow spd_fit_options[] = {
    OPT(checkpoint, OPT_STR, "", 0, 0,
        "path to which -last.safetensors is added; empty: none"),
    OPT(checkpoint_every, OPT_INT, "1000", 1, 1e15, "steps between checkpoints"),
    OPT(resume, OPT_STR, "", 0, 0, "checkpoint to go on from"),
    OPT(stop_at, OPT_INT, "0", 0, 1e15, "step to stop at as if interrupted; 0: off"),
    OPT(eval_every, OPT_INT, "1000", 0, 1e15,
        "steps between counts of active components, and pictures; 0: at the end"),
};
const size_t spd_fit_n_options = ARRAY_LEN(spd_fit_options);

/* ---- inputs ---------------------------------------------------------------------- */

Val spd_net_features(const SpdNet *net, Graph *g, int64_t B, const char *stream)
{
    char name[48];
    OpAttr a;
    const OpRow *row = op_find("uniform");
    int64_t dim[2] = {B, model_in(net->model)};
    snprintf(name, sizeof name, "%.40s.on", stream);
    Val on = g_bernoulli(g, name, net->active, F32, 2, dim);
    op_attr_defaults(row, &a);
    a.n_list = 2;
    memcpy(a.list, dim, sizeof dim);
    a.f[2] = net->negative ? -1 : 0;
    snprintf(a.text, sizeof a.text, "%.40s.x", stream);
    return g_mul(g, on, graph_op(g, row, NULL, 0, &a));
}

static Val batch(void *ctx, Graph *g, Val idx, int64_t B, const char *stream)
{
    const SpdNet *net = ctx;
    if (net->data)
        return dataset_pixels(g, net->data, idx);
    if (net->x)
        return g_binary(g, "gather", graph_const(g, net->x), idx);
    return spd_net_features(net, g, B, stream);
}

static Val labels(void *ctx, Graph *g, Val idx)
{
    const SpdNet *net = ctx;
    return g_binary(g, "gather", graph_const(g, &net->data->labels), idx);
}

static Val forward(void *ctx, Graph *g, Val x)
{
    return model_forward(((const SpdNet *)ctx)->model, g, x);
}

/* ---- layers ---------------------------------------------------------------------- */

static const Tensor *param(const Model *m, const char *name, const char *what)
{
    char full[SPD_NAME + 16];
    snprintf(full, sizeof full, "%s.%s", name, what);
    return tset_get(m->params, full);
}

static int find(const SpdTarget *t, const char *name)
{
    for (int l = 0; l < t->n_layers; l++)
        if (!strcmp(t->layer[l].name, name))
            return l;
    return -1;
}

/* The decoder of the toy model of superposition is its encoder. */
static bool tied_decoder(const SpdNet *net, const char *name)
{
    return !strcmp(net->model->row->name, "tms") && !strcmp(name, "linear2");
}

static bool names_of(const Model *m, char *dst, size_t cap)
{
    Str s;
    str_init(&s);
    for (int i = 0; i < tset_count(m->params); i++) {
        const char *name = tset_name(m->params, i), *dot = strrchr(name, '.');
        if (dot && !strcmp(dot, ".weight") && spd_kind_for(tset_at(m->params, i)))
            str_addf(&s, "%s%.*s", s.len ? "," : "", (int)(dot - name), name);
    }
    if (!strcmp(m->row->name, "tms"))
        str_add(&s, ",linear2");
    bool ok = text_copy(dst, cap, s.s) && s.len > 0;
    str_done(&s);
    return ok;
}

static bool add_layer(SpdNet *net, SpdTarget *t, const char *name, int64_t C, Err *err)
{
    char all[512];
    bool decoder = tied_decoder(net, name);
    const Tensor *w = param(net->model, decoder ? "linear1" : name, "weight");
    const Tensor *b = param(net->model, name, "bias");
    if (!w || !spd_kind_for(w)) {
        names_of(net->model, all, sizeof all);
        return err_set(err, ERR_OPTION,
                       "there is no layer '%.40s' to decompose; layers: %s", name, all);
    }
    if (t->n_layers == SPD_MAX_LAYERS)
        return err_set(err, ERR_OPTION, "more than %d layers", SPD_MAX_LAYERS);
    SpdLayer *l = &t->layer[t->n_layers];
    *l = (SpdLayer){.kind = spd_kind_for(w),
                    .weight = *w,
                    .transposed = decoder,
                    .tied = decoder ? find(t, "linear1") : -1,
                    .components = C};
    model_conv_steps(net->model, &l->stride, &l->pad, &l->dilation);
    if (b)
        l->bias = *b;
    text_copy(l->name, sizeof l->name, name);
    t->n_layers++;
    return true;
}

/* "fc1=500, fc2" */
static bool parse_layers(SpdNet *net, const char *s, SpdTarget *t, Err *err)
{
    char all[512];
    if (!s[strspn(s, " ")]) {
        if (!names_of(net->model, all, sizeof all))
            return err_set(err, ERR_OPTION, "%s has no layers that can be decomposed",
                           net->model->row->name);
        s = all;
    }
    while (*(s += strspn(s, " ,"))) {
        char name[SPD_NAME];
        int64_t C = 0;
        size_t n = strcspn(s, " ,=");
        if (n == 0 || n >= sizeof name)
            return err_set(err, ERR_OPTION, "'%.40s' does not name a layer", s);
        memcpy(name, s, n);
        name[n] = '\0';
        s += n;
        if (*s == '=') {
            char *end;
            C = strtoll(s + 1, &end, 10);
            if (end == s + 1 || C < 1 || C > 1000000)
                return err_set(err, ERR_OPTION,
                               "'%s%.20s' must give a number of components, 1 to "
                               "1000000",
                               name, s);
            s = end;
        }
        if (!add_layer(net, t, name, C, err))
            return false;
    }
    for (int l = 0; l < t->n_layers; l++)
        if (tied_decoder(net, t->layer[l].name) && find(t, "linear1") > l)
            return err_set(err, ERR_OPTION,
                           "linear2 is linear1 transposed: name linear1 first, so that "
                           "they stay tied");
    return true;
}

typedef struct Sites {
    SpdTarget *t;
    bool pre[SPD_MAX_LAYERS];
} Sites;

static void note_site(void *ctx, const char *site, const Spec *spec)
{
    Sites *n = ctx;
    (void)spec;
    for (int l = 0; l < n->t->n_layers; l++) {
        const char *name = n->t->layer[l].name;
        size_t len = strlen(name);
        n->pre[l] =
            n->pre[l] || (!strncmp(site, name, len) && !strcmp(site + len, ".pre"));
    }
}

/* The last layer's output may be the site "logits". */
static bool find_outputs(SpdNet *net, SpdTarget *t, Err *err)
{
    Sites n = {.t = t};
    if (!site_list(net->model, note_site, &n, err))
        return false;
    for (int l = 0; l < t->n_layers; l++)
        if (!n.pre[l])
            text_copy(t->layer[l].out_site, sizeof t->layer[l].out_site, "logits");
    return true;
}

/* A row of zeros passes through without activations: no bias before the last layer. */
static bool quiet(const SpdNet *net)
{
    const char *kind = net->model->row->name;
    return !net->data && !net->x && (!strcmp(kind, "tms") || !strcmp(kind, "resid"));
}

/* False: the network's outputs are not the heads of the data. */
static bool heads_of(const SpdNet *net, SpdHeads *out)
{
    _Static_assert((int)SPD_HEADS == (int)DATASET_HEADS, "those of a data set");
    Heads h = dataset_heads(net->data);
    if (h.outputs != model_out(net->model))
        return false;
    out->n = h.n;
    for (int k = 0; k < h.n; k++) {
        out->first[k] = h.first[k];
        out->size[k] = h.size[k];
        out->divide[k] = h.divide[k];
    }
    return true;
}

bool spd_net_target(SpdNet *net, const char *layers, SpdTarget *out, Err *err)
{
    *out = (SpdTarget){.ctx = net,
                       .forward = forward,
                       .batch = batch,
                       .labels = net->data ? labels : NULL};
    if (net->data && net->data->n_heads > 0 && !heads_of(net, &out->heads))
        out->labels = NULL;
    out->n_examples = net->data ? net->data->n : net->x ? net->x->dim[0] : 0;
    if (quiet(net))
        out->live_rows = 1 - pow(1 - net->active, (double)model_in(net->model));
    return parse_layers(net, layers, out, err) && find_outputs(net, out, err);
}

/* ---- the fit --------------------------------------------------------------------- */

typedef struct Fit {
    Spd *s;
    const SpdFitHooks *hooks;
    int64_t step; /* steps done, at an evaluation */
    char name[2 * SPD_MAX_LAYERS][SPD_NAME + 16];
} Fit;

static Val loss(void *ctx, Graph *g, Val idx)
{
    return spd_loss(((Fit *)ctx)->s, g, idx);
}

static void adjust(void *ctx, Graph *g, OptimParam *p, int n)
{
    spd_adjust(((Fit *)ctx)->s, g, p, n);
}

static bool evaluate(void *ctx, const char **names, double *v, int *n, Err *err)
{
    Fit *f = ctx;
    SpdEval e;
    int most = *n / 2, count = 0;
    SpdEvalCfg one = {.batches = 1};
    if (!spd_evaluate(f->s, &one, &e, err))
        return false;
    for (int l = 0; l < e.n_layers && l < most; l++) {
        snprintf(f->name[count], sizeof f->name[count], "l0_%s",
                 spd_layer(f->s, l)->name);
        names[count] = f->name[count];
        v[count++] = e.layer[l].l0;
        snprintf(f->name[count], sizeof f->name[count], "alive_%s",
                 spd_layer(f->s, l)->name);
        names[count] = f->name[count];
        v[count++] = (double)e.layer[l].dense;
    }
    *n = count;
    spd_eval_done(&e);
    return !f->hooks || !f->hooks->picture ||
           f->hooks->picture(f->hooks->ctx, f->s, f->step, err);
}

static bool describe(void *ctx, TensorSet *file, Err *err)
{
    const SpdCfg *c = spd_cfg(((Fit *)ctx)->s);
    for (size_t i = 0; i < spd_n_options; i++) {
        char key[96], text[OPT_STR_CAP];
        snprintf(key, sizeof key, "spd.%s", spd_options[i].name);
        if (!tset_add_meta(file, key, opt_text(&spd_options[i], c, text), err))
            return false;
    }
    return true;
}

static bool common(const Spd *s, TrainCfg *cfg, Err *err)
{
    const SpdCfg *c = spd_cfg(s);
    if (!opt_defaults(train_options, train_n_options, cfg, err))
        return false;
    cfg->batch = c->batch;
    cfg->seed = c->seed;
    cfg->optim.weight_decay = 0;
    text_copy(cfg->optim.method, sizeof cfg->optim.method, "adamw");
    text_copy(cfg->optim.schedule, sizeof cfg->optim.schedule, "constant");
    return true;
}

/* Components only, on faithfulness; the optimiser's state is dropped. */
static bool warm_up(Spd *s, TrainReport *out, Err *err)
{
    const SpdCfg *c = spd_cfg(s);
    TrainCfg cfg;
    TensorSet *all = spd_params(s), *some = tset_new(err);
    bool ok = some && common(s, &cfg, err);
    for (int i = 0; ok && i < tset_count(all); i++)
        if (!strstr(tset_name(all, i), ".ci."))
            ok = tset_add(some, tset_name(all, i), tset_at(all, i), err);
    TrainJob job = {
        .params = some, .loss = spd_faith_loss, .ctx = s, .name = "spd warm-up"};
    if (ok) {
        cfg.steps = c->faith_steps;
        cfg.optim.lr = c->faith_lr;
        cfg.optim.weight_decay = c->faith_decay;
        ok = train_run(&job, &cfg, NULL, out, err);
    }
    tset_free(some);
    return ok;
}

bool fit_spd(Spd *s, const SpdFitCfg *fc, const SpdFitHooks *hooks, TrainReport *out,
             Err *err)
{
    const SpdCfg *c = spd_cfg(s);
    Fit f = {.s = s, .hooks = hooks};
    TrainCfg cfg;
    TrainJob job = {.params = spd_params(s),
                    .loss = loss,
                    .adjust = adjust,
                    .evaluate = evaluate,
                    .describe = describe,
                    .ctx = &f,
                    .eval_steps = fc->eval_every ? fc->eval_every : c->steps,
                    .step = &f.step,
                    .no_best = true,
                    .curves = true,
                    .n_examples = spd_target(s)->n_examples,
                    .name = "spd"};
    *out = (TrainReport){0};
    bool warm = c->faith_steps > 0 && !fc->resume[0];
    if (warm && !warm_up(s, out, err))
        return false;
    if (warm && out->interrupted)
        return true;
    if (c->steps == 0 || !common(s, &cfg, err))
        return c->steps == 0;
    cfg.steps = c->steps;
    cfg.checkpoint_every = fc->checkpoint_every;
    cfg.stop_at = fc->stop_at;
    cfg.optim.lr = c->lr;
    cfg.optim.final_lr = c->final_lr;
    cfg.optim.warmup = c->warmup;
    text_copy(cfg.optim.schedule, sizeof cfg.optim.schedule, c->schedule);
    text_copy(cfg.checkpoint, sizeof cfg.checkpoint, fc->checkpoint);
    text_copy(cfg.resume, sizeof cfg.resume, fc->resume);
    return train_run(&job, &cfg, hooks ? &hooks->train : NULL, out, err);
}
