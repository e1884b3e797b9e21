/* family.c -- one loss for every row of the table. The penalty of a residual may rise
 * over the fit: a clock among the states counts the steps. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "decomp/family_int.h"
#include "graph/build.h"
#include "graph/plan.h"
#include "tensor/rng.h"

// clang-format off
#define FAMILIES                                                                       \
    "cp split sym nonnegative visual strokes masked_strokes two_banks data_anchors "   \
    "eigen pairs"
#define OPT(type, name, dflt, lo, hi, doc)                                             \
    {                                                                                  \
        #name, type, offsetof(FamilyCfg, name), dflt, lo, hi, NULL, doc                \
    }
const OptRow family_options[] = {
    {"family", OPT_ENUM, offsetof(FamilyCfg, family), "cp", 0, 0, FAMILIES,
     "How factors are made of parameters; see cl.decomp.families()."},
    {"metric", OPT_ENUM, offsetof(FamilyCfg, metric), "plain", 0, 0, "plain data",
     "What similarity means: all weights alike, or as images meet them."},
    {"schedule", OPT_ENUM, offsetof(FamilyCfg, schedule), "cosine", 0, 0,
     "constant linear cosine", "Learning rate over the fit."},
    OPT(OPT_INT, components, "64", 1, 100000, "Components that are displayed."),
    OPT(OPT_INT, residual, "0", 0, 100000,
        "Rank of a free branch that is not displayed."),
    OPT(OPT_INT, boost, "1", 1, 16,
        "Dictionaries, each fitted to what those before it left over."),
    OPT(OPT_INT, bank, "0", 0, 1,
        "Which of two rules pairs templates; boosts take turns."),
    OPT(OPT_INT, top, "0", 0, 4096, "Entries a head keeps, the largest; 0: all."),
    OPT(OPT_INT, smooth, "1", 0, 64, "Passes of a 3 by 3 mean over free pixels."),
    OPT(OPT_INT, steps, "250", 0, 10000000, "Adam steps; 0 keeps the start."),
    OPT(OPT_INT, seed, "1", 0, 0, "Seed of noise and of the order of examples."),
    OPT(OPT_INT, batch, "512", 1, 1000000, "Examples a step for distillation."),
    OPT(OPT_INT, examples, "8192", 1, 10000000,
        "Training examples that distillation and consistency draw from."),
    OPT(OPT_NUM, lr, "0.01", 0, 10, "Learning rate."),
    OPT(OPT_NUM, weight_decay, "0", 0, 10, "Decoupled weight decay of all parameters."),
    OPT(OPT_NUM, sigma, "0.34", 1e-3, 100,
        "Width of fixed masks; the image is 2 wide."),
    OPT(OPT_NUM, gain, "6", 0, 1000, "Factor of the deviation from a template."),
    OPT(OPT_NUM, distill, "0", 0, 1e6,
        "Weight of the squared error of the logits, in units of their variance."),
    OPT(OPT_NUM, anchor, "0", 0, 1e6,
        "Weight of the squared distance of normalised factors to their templates."),
    OPT(OPT_NUM, penalty, "0", 0, 1e6,
        "Weight of the residual's share of the squared norm, at the start."),
    OPT(OPT_NUM, penalty_end, "-1", -1, 1e6,
        "The same at the end; -1: as at the start."),
    OPT(OPT_NUM, consistency, "0", 0, 1e6,
        "Weight of the share of squared activation on other classes than the head's."),
    OPT(OPT_NUM, emphasis, "0", 0, 4,
        "Power of a component's norm with which the priors weigh its patterns."),
    PRIOR_OPTIONS(FamilyCfg, "0", "0", "0", "0"),
};
// clang-format on
const size_t family_n_options = ARRAY_LEN(family_options);

/* --- settings --------------------------------------------------------------------- */

bool family_set(FamilyCfg *cfg, const char *settings, const char *where, Err *err)
{
    while (*settings) {
        char pair[128], *value;
        size_t n = strcspn(settings, " ");
        if (n >= sizeof pair)
            return err_set(err, ERR_OPTION, "%s: a setting is too long", where);
        memcpy(pair, settings, n);
        pair[n] = '\0';
        settings += n + strspn(settings + n, " ");
        if (!(value = strchr(pair, '=')))
            return err_set(err, ERR_OPTION, "%s: '%s' is not name=value", where, pair);
        *value++ = '\0';
        if (!opt_set_text(family_options, family_n_options, cfg, pair, value, where,
                          err))
            return false;
    }
    return true;
}

bool family_defaults(const char *family, FamilyCfg *cfg, Err *err)
{
    const FamilyRow *row = family_row(family);
    char first[64];
    if (!row)
        return err_set(err, ERR_OPTION, "there is no family '%s'; they are %s", family,
                       FAMILIES);
    snprintf(first, sizeof first, "family=%s", row->name);
    return opt_defaults(family_options, family_n_options, cfg, err) &&
           family_set(cfg, first, "family", err) &&
           family_set(cfg, row->settings, row->name, err);
}

bool family_needs_examples(const FamilyCfg *cfg)
{
    return cfg->distill > 0 || cfg->consistency > 0;
}

/* --- making ----------------------------------------------------------------------- */

Val family_param(Family *f, Graph *g, const char *name)
{
    return graph_state(g, name, tset_get(f->params, name));
}

bool family_add(Family *f, const char *name, int64_t n, int64_t m, Err *err,
                Tensor *view)
{
    return tensor_zeros(F32, 2, (int64_t[]){n, m}, view, err) &&
           tset_add(f->params, name, view, err);
}

bool family_add_normal(Family *f, const char *name, int64_t n, int64_t m, double std,
                       Err *err)
{
    Tensor t = {0};
    char stream[64];
    snprintf(stream, sizeof stream, "family.%s", name);
    RngKey key = {(uint64_t)f->cfg.seed, rng_stream(stream), 0};
    bool ok = family_add(f, name, n, m, err, &t);
    if (ok)
        rng_normal_f32(key, 0, n * m, 0, (float)std, t.data);
    tensor_release(&t);
    return ok;
}

static bool add_residual(Family *f, Err *err)
{
    return f->Q == 0 || (family_add_normal(f, "residual.a", f->Q, f->I, 0.015, err) &&
                         family_add_normal(f, "residual.b", f->Q, f->I, 0.015, err) &&
                         family_add_normal(f, "residual.head", f->Q, f->C, 0.015, err));
}

static bool rises(const FamilyCfg *c)
{
    return c->residual > 0 && c->penalty_end >= 0 && c->penalty_end != c->penalty;
}

static bool add_clock(Family *f, Err *err)
{
    return !rises(&f->cfg) ||
           (tensor_zeros(F32, 0, NULL, &f->clock, err) && (f->states = tset_new(err)) &&
            tset_add(f->states, "clock", &f->clock, err));
}

static bool add_examples(Family *f, const DictData *d, Err *err)
{
    if (family_needs_examples(&f->cfg) && !distill_new(d, f->b, NULL, &f->distill, err))
        return false;
    if (!(f->cfg.consistency > 0))
        return true;
    int64_t N = d->x->dim[0];
    const Tensor *l = d->labels;
    if (!l || l->dtype != I32 || l->ndim != 1 || l->dim[0] < N || !tensor_contiguous(l))
        return err_set(err, ERR_OPTION,
                       "consistency needs the labels of the %lld examples",
                       (long long)N);
    if (!tensor_zeros(F32, 2, (int64_t[]){N, f->C}, &f->own, err))
        return false;
    for (int64_t i = 0; i < N; i++) {
        int32_t c = ((int32_t *)l->data)[i];
        if (c >= 0 && c < f->C)
            ((float *)f->own.data)[i * f->C + c] = 1;
    }
    return true;
}

static bool check_settings(const Family *f, const DictData *d, Err *err)
{
    if (f->height < 1 || f->width < 1 || f->height * f->width != f->I)
        return err_set(err, ERR_SHAPE,
                       "images of %lld x %lld do not fit a network with %lld inputs",
                       (long long)f->height, (long long)f->width, (long long)f->I);
    if (f->cfg.top > f->C)
        return err_set(err, ERR_OPTION, "a head has %lld entries, it cannot keep %lld",
                       (long long)f->C, (long long)f->cfg.top);
    if (f->data_metric && !d->S)
        return err_set(err, ERR_OPTION,
                       "metric 'data' needs the training images; give them, or use "
                       "metric = \"plain\"");
    if (f->cfg.prior[prior_index("background")] > 0 && !d->unlit)
        return err_set(err, ERR_OPTION,
                       "the background prior needs the training images");
    return true;
}

Family *family_new(const FamilyCfg *cfg, const Interaction *b, const DictData *data,
                   Err *err)
{
    Family *f = mem_zalloc(sizeof *f, err);
    if (!f)
        return NULL;
    f->cfg = *cfg;
    f->row = family_row(cfg->family);
    f->b = b;
    f->R = cfg->components;
    f->Q = cfg->residual;
    f->C = b->C;
    f->I = b->I;
    f->height = data->height;
    f->width = data->width;
    f->data_metric = !strcmp(cfg->metric, "data");
    bool ok =
        f->row || err_set(err, ERR_OPTION, "there is no family '%s'", cfg->family);
    ok = ok && check_settings(f, data, err);
    if (ok && f->data_metric)
        f->S64 = tensor_retain(data->S);
    if (ok && data->unlit)
        ok = tensor_convert(data->unlit, F32, &f->unlit, err);
    ok = ok && (f->params = tset_new(err)) && f->row->start(f, data, err) &&
         add_residual(f, err) && add_clock(f, err) && add_examples(f, data, err) &&
         head_const(b, f->data_metric ? &f->S64 : NULL, &f->cosine, err);
    if (ok)
        return f;
    family_free(f);
    return NULL;
}

void family_free(Family *f)
{
    if (!f)
        return;
    Tensor *const all[] = {&f->S64, &f->anchors, &f->masks, &f->ys,
                           &f->xs,  &f->clock,   &f->own,   &f->unlit};
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        tensor_release(all[i]);
    tset_free(f->params);
    tset_free(f->states);
    head_done(&f->cosine);
    distill_done(&f->distill);
    mem_free(f);
}

TensorSet *family_params(Family *f)
{
    return f->params;
}

TensorSet *family_states(Family *f)
{
    return f->states;
}

/* --- the loss --------------------------------------------------------------------- */

/* Displayed components, and all with the residual behind them. */
typedef struct Parts {
    Val both; /* [2R,I] or [R,I] */
    Val a, b, head;
    Val all_a, all_b, all_head;
} Parts;

static Val join(Graph *g, Val x, Val y)
{
    OpAttr axis = {0};
    return g_call(g, "concat", (Val[]){x, y}, 2, &axis);
}

static void make_parts(Family *f, Graph *g, Parts *p)
{
    p->both = f->row->factors(f, g);
    p->a = f->row->symmetric ? p->both : rows_of(g, p->both, 0, f->R);
    p->b = f->row->symmetric ? p->both : rows_of(g, p->both, f->R, 2 * f->R);
    p->head = family_param(f, g, "head");
    if (f->cfg.top > 0) {
        OpAttr keep = {
            .i = {f->cfg.top, -1}
        };
        p->head = g_call(g, "topk_gate", &p->head, 1, &keep);
    }
    p->all_a = p->a;
    p->all_b = p->b;
    p->all_head = p->head;
    if (f->Q) {
        p->all_a = join(g, p->a, family_param(f, g, "residual.a"));
        p->all_b = join(g, p->b, family_param(f, g, "residual.b"));
        p->all_head = join(g, p->head, family_param(f, g, "residual.head"));
    }
}

static Val add_priors(Family *f, Graph *g, const Parts *v, const CosineTerms *t,
                      Val loss)
{
    double any = 0;
    for (size_t k = 0; k < prior_n_rows; k++)
        any += f->cfg.prior[k];
    if (any == 0)
        return loss;
    bool sym = f->row->symmetric;
    PriorCtx p = {.g = g,
                  .R = f->R,
                  .I = f->I,
                  .height = f->height,
                  .width = f->width,
                  .nrm = t->nrm,
                  .TT = t->TT,
                  .gram = t->gram,
                  .unlit = f->unlit.data ? graph_const(g, &f->unlit) : VAL_NONE,
                  .a = v->a,
                  .b = v->b,
                  .head = v->head};
    p.q = sym ? prior_unit_rows(g, v->a) : prior_patterns(g, v->a, v->b);
    p.energy = g_square(g, p.q);
    p.weight = prior_weights(g, t->nrm, f->cfg.emphasis, !sym);
    for (size_t k = 0; k < prior_n_rows; k++)
        if (f->cfg.prior[k] > 0)
            loss = g_add(g, loss, g_scale(g, prior_rows[k].build(&p), f->cfg.prior[k]));
    return loss;
}

/* Sum over both sides of the mean |t/|t| - anchor|^2. */
static Val anchor_distance(Family *f, Graph *g, Val t)
{
    Val d = g_sub(g, prior_unit_rows(g, t), graph_const(g, &f->anchors));
    return g_scale(g, g_sum(g, g_square(g, d)), 1 / (double)f->R);
}

/* Weight of the residual's share at this step, times that share. */
static Val residual_penalty(Family *f, Graph *g, const Parts *v, const CosineTerms *all)
{
    CosineTerms rest;
    Val a = rows_of(g, v->all_a, f->R, f->R + f->Q);
    Val b = rows_of(g, v->all_b, f->R, f->R + f->Q);
    Val head = rows_of(g, v->all_head, f->R, f->R + f->Q);
    head_terms(&f->cosine, g, a, b, head, f->Q, &rest, NULL);
    Val share = g_div(g, rest.TT, all->TT);
    double from = f->cfg.penalty, to = f->cfg.penalty_end;
    if (!rises(&f->cfg))
        return g_scale(g, share, from);
    Val clock = graph_state(g, "clock", &f->clock);
    graph_assign(g, clock, g_shift(g, clock, 1));
    double last = f->cfg.steps > 1 ? (double)(f->cfg.steps - 1) : 1;
    Val weight =
        g_shift(g, g_scale(g, g_shift(g, clock, -1), (to - from) / last), from);
    return g_mul(g, share, g_stop(g, weight));
}

/* Mean over components of 1 - share of squared activation on the head's classes. */
static Val inconsistency(Family *f, Graph *g, Val act, Val head, Val idx)
{
    OpAttr axis = {0};
    Val own = g_call(g, "gather", (Val[]){graph_const(g, &f->own), idx}, 2, &axis);
    Val h = g_stop(g, g_abs(g, head));
    Val share = g_div(g, h, g_shift(g, g_sum_axis(g, h, 1, true), 1e-12));
    Val mass = g_matmul(g, own, share, false, true);
    Val square = g_square(g, act);
    Val on = g_sum_axis(g, g_mul(g, square, mass), 0, false);
    Val all = g_shift(g, g_sum_axis(g, square, 0, false), 1e-20);
    return g_shift(g, g_neg(g, g_mean(g, g_div(g, on, all))), 1);
}

static Val shown_columns(Family *f, Graph *g, Val act)
{
    OpAttr a = {
        .i = {1, 0, f->R, 1}
    };
    return f->Q ? g_call(g, "slice", &act, 1, &a) : act;
}

static Val add_examples_loss(Family *f, Graph *g, const Parts *v, const CosineTerms *t,
                             Val idx, Val loss)
{
    Val act = distill_act(&f->distill, g, v->all_a, v->all_b, idx);
    if (f->cfg.distill > 0) {
        /* T may still be orthogonal to B, or zero: the scale must stay finite */
        Val scale = g_div(g, t->TB, g_shift(g, t->TT, 1e-30));
        Val e = distill_error(&f->distill, g, act, v->all_head, scale, idx);
        loss = g_add(g, loss, g_scale(g, e, f->cfg.distill));
    }
    if (f->cfg.consistency > 0) {
        Val shown = shown_columns(f, g, act);
        loss = g_add(
            g, loss,
            g_scale(g, inconsistency(f, g, shown, v->head, idx), f->cfg.consistency));
    }
    return loss;
}

Val family_loss(void *ctx, Graph *g, Val idx)
{
    Family *f = ctx;
    Parts v;
    CosineTerms t, main;
    make_parts(f, g, &v);
    if (!graph_ok(g))
        return VAL_NONE;
    head_terms(&f->cosine, g, v.all_a, v.all_b, v.all_head, f->R, &t, &main);
    graph_output(g, "similarity", t.cosine);
    graph_output(g, "main_similarity", main.cosine);
    Val loss = g_shift(g, g_neg(g, t.cosine), 1);
    loss = add_priors(f, g, &v, &main, loss);
    if (family_needs_examples(&f->cfg))
        loss = add_examples_loss(f, g, &v, &t, idx, loss);
    if (f->cfg.anchor > 0 && f->anchors.data)
        loss = g_add(g, loss, g_scale(g, anchor_distance(f, g, v.both), f->cfg.anchor));
    if (f->Q && (f->cfg.penalty > 0 || rises(&f->cfg)))
        loss = g_add(g, loss, residual_penalty(f, g, &v, &t));
    return loss;
}

/* --- the result ------------------------------------------------------------------- */

/* Factors and heads as they stand, through the same graph that the loss uses. */
static bool run_parts(Family *f, Dictionary *out, Err *err)
{
    const Tensor *to[3] = {&out->a, &out->b, &out->head};
    static const char *const name[3] = {"a", "b", "head"};
    Plan *plan = NULL;
    Parts v;
    Graph *g = graph_new(err);
    if (!g)
        return false;
    make_parts(f, g, &v);
    const Val part[3] = {v.all_a, v.all_b, v.all_head};
    for (int k = 0; graph_ok(g) && k < 3; k++)
        graph_output(g, name[k], part[k]);
    bool ok = graph_ok(g);
    if (!ok)
        err_set(err, graph_err(g)->code, "%s", graph_err(g)->msg);
    ok = ok && (plan = plan_new(g, 0, err)) && plan_run(plan, NULL, err);
    for (int k = 0; ok && k < 3; k++)
        memcpy(to[k]->data, plan_output(plan, plan_output_index(plan, name[k]))->data,
               tensor_bytes(to[k]));
    plan_free(plan);
    graph_free(g);
    return ok;
}

bool family_finish(Family *f, Dictionary *out, Err *err)
{
    if (!dict_new(f->R + f->Q, f->C, f->I, out, err))
        return false;
    out->shown = f->R;
    if (run_parts(f, out, err) &&
        dict_rescale(out, f->b, f->data_metric ? &f->S64 : NULL, err)) {
        dict_find_owners(out);
        return true;
    }
    dict_done(out);
    return false;
}
