/* two_bank.c -- factors as functions of their parameters, a's rows stacked on b's
 * [2R,I]:
 *   factor = (anchor + gain smooth3(delta)) mask,   a also times exp(amp),
 * under a learnt mask. Masks begin on their anchor's centre
 * of energy. Owners and signs come from the anchors and stay. */
#include "decomp/two_bank.h"

#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "decomp/masks.h"
#include "decomp/priors.h"
#include "decomp/strokes.h"
#include "decomp/terms.h"
#include "graph/build.h"
#include "graph/plan.h"

#define OPT(type, name, dflt, lo, hi, doc)                                             \
    {                                                                                  \
#name, type, offsetof(TwoBankCfg, name), dflt, lo, hi, NULL, doc               \
    }
const OptRow twobank_options[] = {
    OPT(OPT_INT, components, "128", 2, 100000,
        "Number of components, half of them a bank."),
    OPT(OPT_INT, steps, "250", 0, 10000000,
        "Adam steps; 0 keeps the masked templates."),
    OPT(OPT_NUM, lr, "0.005", 0, 10, "Learning rate; falls to 0 along a cosine."),
    OPT(OPT_NUM, weight_decay, "0", 0, 10, "Decoupled weight decay of all parameters."),
    OPT(OPT_INT, seed, "1", 0, 0, "Seed of the order of examples."),
    OPT(OPT_NUM, gain, "6", 0, 1000,
        "Factor of the smoothed deviation from a template."),
    OPT(OPT_NUM, distill, "0.02", 0, 1e6,
        "Weight of the squared error of the logits, in units of their variance."),
    OPT(OPT_INT, batch, "512", 1, 1000000, "Examples a step for distillation."),
    OPT(OPT_NUM, sparsity, "0.05", 0, 1e6,
        "Weight of the sum of |pixel| of a displayed pattern over the root of its "
        "pixels."),
    OPT(OPT_NUM, anchor, "0.002", 0, 1e6,
        "Weight of the squared distance of normalised factors to their templates."),
};
const size_t twobank_n_options = ARRAY_LEN(twobank_options);

struct TwoBank {
    TwoBankCfg cfg;
    const Interaction *b;
    int64_t R, height, width;
    Dictionary dict; /* anchors as factors, owners and heads */
    Tensor anchors;  /* f32 [2R,I] with signs */
    Tensor ys, xs;   /* f32 [height], [width] coordinates */
    TensorSet *params;
    CosineConst cosine;
    Distill distill;
};

/* --- making ----------------------------------------------------------------------- */

static bool make_anchors(TwoBank *f, const DictData *d, Err *err)
{
    Tensor t = {0};
    int64_t n = f->R * f->b->I;
    if (d->anchors && (d->anchors->dtype != F32 || d->anchors->ndim != 2 ||
                       d->anchors->dim[0] != 2 * f->R || d->anchors->dim[1] != f->b->I))
        return err_set(err, ERR_SHAPE,
                       "the anchors must be f32[%lld,%lld]: a's rows, then b's",
                       (long long)(2 * f->R), (long long)f->b->I);
    bool ok = (d->anchors ? tensor_contiguous_of(d->anchors, &t, err)
                          : stroke_anchors(f->R, f->height, f->width, &t, err)) &&
              dict_start_anchors(f->b, NULL, &t, &f->dict, err) &&
              tensor_new(F32, 2, t.dim, &f->anchors, err);
    if (ok) {
        memcpy(f->anchors.data, f->dict.a.data, sizeof(float) * (size_t)n);
        memcpy((float *)f->anchors.data + n, f->dict.b.data, sizeof(float) * (size_t)n);
    }
    tensor_release(&t);
    return ok;
}

static bool add_param(TwoBank *f, const char *name, int64_t n, int64_t m, double value,
                      Tensor *out, Err *err)
{
    return tensor_full(F32, 2, (int64_t[]){n, m}, value, out, err) &&
           tset_add(f->params, name, out, err);
}

enum { P_DELTA, P_AMP, P_CENTRE, P_WIDTH };

static bool make_params(TwoBank *f, Err *err)
{
    Tensor t[4] = {{0}};
    int64_t R = f->R;
    bool ok = (f->params = tset_new(err)) &&
              add_param(f, "delta", 2 * R, f->b->I, 0, &t[P_DELTA], err) &&
              add_param(f, "amp", R, 1, 0, &t[P_AMP], err) &&
              add_param(f, "centre", 2 * R, 2, 0, &t[P_CENTRE], err) &&
              add_param(f, "width", 2 * R, 1, 1.5, &t[P_WIDTH], err);
    if (ok)
        mask_centres(&f->anchors, &f->ys, &f->xs, t[P_CENTRE].data);
    for (size_t i = 0; i < ARRAY_LEN(t); i++)
        tensor_release(&t[i]);
    return ok;
}

TwoBank *twobank_new(const TwoBankCfg *cfg, const Interaction *b, const DictData *data,
                     Err *err)
{
    if (data->height < 1 || data->width < 1 || data->height * data->width != b->I) {
        err_set(err, ERR_SHAPE,
                "images of %lld x %lld do not fit a network with %lld inputs",
                (long long)data->height, (long long)data->width, (long long)b->I);
        return NULL;
    }
    TwoBank *f = mem_zalloc(sizeof *f, err);
    if (!f)
        return NULL;
    f->cfg = *cfg;
    f->b = b;
    f->R = cfg->components;
    f->height = data->height;
    f->width = data->width;
    bool ok =
        mask_coordinates(f->height, &f->ys, err) &&
        mask_coordinates(f->width, &f->xs, err) && make_anchors(f, data, err) &&
        make_params(f, err) &&
        cosine_const(b, NULL, f->dict.owner.data, f->R, &f->cosine, err) &&
        (!(cfg->distill > 0) || distill_new(data, b, &f->dict.head, &f->distill, err));
    if (ok)
        return f;
    twobank_free(f);
    return NULL;
}

void twobank_free(TwoBank *f)
{
    if (!f)
        return;
    tensor_release(&f->anchors);
    tensor_release(&f->ys);
    tensor_release(&f->xs);
    tset_free(f->params);
    dict_done(&f->dict);
    cosine_done(&f->cosine);
    distill_done(&f->distill);
    mem_free(f);
}

TensorSet *twobank_params(TwoBank *f)
{
    return f->params;
}

/* --- the loss --------------------------------------------------------------------- */

static Val param(TwoBank *f, Graph *g, int k)
{
    return graph_state(g, tset_name(f->params, k), tset_at(f->params, k));
}

/* Masked factors [2R,I], before amplitudes. */
static Val masked(TwoBank *f, Graph *g)
{
    OpAttr size = {
        .i = {f->height, f->width}
    };
    Val delta = param(f, g, P_DELTA);
    Val t = g_add(g, g_scale(g, g_call(g, "smooth3", &delta, 1, &size), f->cfg.gain),
                  graph_const(g, &f->anchors));
    Val mask =
        mask_learnt(g, param(f, g, P_CENTRE), param(f, g, P_WIDTH), &f->ys, &f->xs);
    return g_mul(g, t, mask);
}

/* Sum over both sides of the mean |t/|t| - anchor|^2. */
static Val anchor_distance(TwoBank *f, Graph *g, Val t)
{
    Val n = g_sqrt(g, g_shift(g, g_sum_axis(g, g_square(g, t), 1, true), 1e-24));
    Val d = g_sub(g, g_div(g, t, n), graph_const(g, &f->anchors));
    return g_scale(g, g_sum(g, g_square(g, d)), 1 / (double)f->R);
}

Val twobank_loss(void *ctx, Graph *g, Val idx)
{
    TwoBank *f = ctx;
    CosineTerms t;
    Val both = masked(f, g);
    Val a = g_mul(g, rows_of(g, both, 0, f->R), g_exp(g, param(f, g, P_AMP)));
    Val b = rows_of(g, both, f->R, 2 * f->R);
    cosine_terms(&f->cosine, g, a, b, &t);
    graph_output(g, "similarity", t.cosine);
    Val loss = g_shift(g, g_neg(g, t.cosine), 1);
    if (f->cfg.distill > 0)
        loss = g_add(
            g, loss,
            g_scale(g, distill_loss(&f->distill, g, &t, a, b, idx), f->cfg.distill));
    if (f->cfg.sparsity > 0) {
        Val l1 = g_sum(g, g_abs(g, prior_patterns(g, a, b)));
        double n = (double)(2 * f->R) * sqrt((double)f->b->I);
        loss = g_add(g, loss, g_scale(g, l1, f->cfg.sparsity / n));
    }
    if (f->cfg.anchor > 0)
        loss = g_add(g, loss, g_scale(g, anchor_distance(f, g, both), f->cfg.anchor));
    return loss;
}

/* --- the result ------------------------------------------------------------------- */

/* The factors as they stand, through the same graph that the loss uses. */
static bool run_factors(TwoBank *f, float *a, float *b, Err *err)
{
    size_t bytes = sizeof(float) * (size_t)(f->R * f->b->I);
    Plan *plan = NULL;
    Graph *g = graph_new(err);
    if (!g)
        return false;
    Val both = masked(f, g);
    graph_output(g, "a",
                 g_mul(g, rows_of(g, both, 0, f->R), g_exp(g, param(f, g, P_AMP))));
    graph_output(g, "b", rows_of(g, both, f->R, 2 * f->R));
    bool ok = graph_ok(g);
    if (!ok)
        err_set(err, graph_err(g)->code, "%s", graph_err(g)->msg);
    ok = ok && (plan = plan_new(g, 0, err)) && plan_run(plan, NULL, err);
    if (ok) {
        memcpy(a, plan_output(plan, 0)->data, bytes);
        memcpy(b, plan_output(plan, 1)->data, bytes);
    }
    plan_free(plan);
    graph_free(g);
    return ok;
}

/* Not balanced, so that the published display of raw factors can be computed from it.
 */
bool twobank_finish(TwoBank *f, Dictionary *out, Err *err)
{
    if (!dict_new(f->R, f->b->C, f->b->I, out, err))
        return false;
    memcpy(out->head.data, f->dict.head.data, tensor_bytes(&out->head));
    dict_find_owners(out);
    if (run_factors(f, out->a.data, out->b.data, err) &&
        dict_rescale(out, f->b, NULL, err))
        return true;
    dict_done(out);
    return false;
}
