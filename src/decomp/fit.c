/* fit.c -- starts, and the loss as a graph: the cosine and distillation of terms.h and
 * the rows of priors.h. The start is scaled to mean norm 1, so that one learning rate
 * suits every network. */
#include "decomp/fit.h"

#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "decomp/priors.h"
#include "decomp/strokes.h"
#include "decomp/terms.h"
#include "graph/build.h"

const OptRow dict_options[] = {
    {"components", OPT_INT, offsetof(DictCfg, components), "128", 1, 100000, NULL,
     "Number of components."},
    {"heads", OPT_INT, offsetof(DictCfg, heads), "1", 0, 0, NULL,
     "Classes that a component speaks for: one; the families of cl.decomp.fit have more."},
    {"family", OPT_ENUM, offsetof(DictCfg, family), "cp", 0, 0, "cp split",
     "Parameters of a component: a and b, or p and n with (x.p)^2 - (x.n)^2."},
    {"start", OPT_ENUM, offsetof(DictCfg, start), "eigen", 0, 0,
     "eigen gauge stroke random given",
     "Where the fit begins: the optimum of the one-hot limit, the same in a random "
     "gauge, stroke templates, noise, or a dictionary (dictionary:refit)."},
    {"metric", OPT_ENUM, offsetof(DictCfg, metric), "data", 0, 0, "data plain",
     "What similarity means: weights as images meet them, or all alike."},
    {"steps", OPT_INT, offsetof(DictCfg, steps), "400", 0, 10000000, NULL,
     "Adam steps; 0 keeps the start."},
    {"lr", OPT_NUM, offsetof(DictCfg, lr), "0.007", 0, 10, NULL, "Learning rate."},
    {"schedule", OPT_ENUM, offsetof(DictCfg, schedule), "cosine", 0, 0,
     "constant linear cosine", "Learning rate over the fit."},
    {"seed", OPT_INT, offsetof(DictCfg, seed), "1", 0, 0, NULL,
     "Seed of random starts and gauges."},
    {"emphasis", OPT_NUM, offsetof(DictCfg, emphasis), "0.6", 0, 4, NULL,
     "Power of a component's norm with which the priors weigh its patterns; 0: all "
     "alike."},
    {"distill", OPT_NUM, offsetof(DictCfg, distill), "0", 0, 1e6, NULL,
     "Weight of the squared error of the logits, in units of their variance."},
    {"batch", OPT_INT, offsetof(DictCfg, batch), "512", 1, 1000000, NULL,
     "Examples a step for distillation."},
    PRIOR_OPTIONS(DictCfg, "0.05", "0.12", "0.007", "0.05"),
};
const size_t dict_n_options = ARRAY_LEN(dict_options);

struct DictFit {
    DictCfg cfg;
    const Interaction *b;
    bool data_metric, split;
    int64_t R, height, width;
    Dictionary dict; /* the start; head and owners stay as they are */
    TensorSet *params;
    Tensor S64, unlit;
    CosineConst cosine;
    Distill distill;
};

/* --- making ----------------------------------------------------------------------- */

static bool check_data(const DictFit *f, const DictData *d, Err *err)
{
    if (f->cfg.heads != 1)
        return err_set(err, ERR_OPTION,
                       "heads is %lld; a component of this fit speaks for one class, "
                       "cl.decomp.fit has families with more",
                       (long long)f->cfg.heads);
    char shape[96];
    if (f->data_metric && !d->S)
        return err_set(err, ERR_OPTION,
                       "metric 'data' needs the training images; give them, or "
                       "use metric = \"plain\"");
    if (f->height * f->width != f->b->I)
        return err_set(err, ERR_SHAPE,
                       "images of %lld x %lld do not fit a network with %lld inputs",
                       (long long)f->height, (long long)f->width, (long long)f->b->I);
    if (d->unlit && tensor_count(d->unlit) != f->b->I)
        return err_set(err, ERR_SHAPE,
                       "the mask of unlit pixels is %s, the network has %lld inputs",
                       tensor_format_shape(d->unlit, shape), (long long)f->b->I);
    return true;
}

static bool start_eigen(DictFit *f, Err *err)
{
    Spectrum s;
    if (!spectrum_new(f->b, f->data_metric ? &f->S64 : NULL, &s, err))
        return false;
    bool ok = dict_start_eigen(&s, f->R, &f->dict, err);
    spectrum_done(&s);
    return ok;
}

static bool check_anchors(const DictFit *f, const Tensor *t, Err *err)
{
    char shape[96];
    if (t->dtype == F32 && t->ndim == 2 && t->dim[0] == 2 * f->R &&
        t->dim[1] == f->b->I)
        return true;
    return err_set(err, ERR_SHAPE,
                   "the anchors are %s, they must be f32[%lld,%lld]: a's rows, then "
                   "b's",
                   tensor_format_shape(t, shape), (long long)(2 * f->R),
                   (long long)f->b->I);
}

/* Anchors (NULL: strokes) as factors. */
static bool start_stroke(DictFit *f, const Tensor *anchors, Err *err)
{
    Tensor t = {0};
    bool ok = anchors ? check_anchors(f, anchors, err) &&
                            tensor_contiguous_of(anchors, &t, err)
                      : stroke_anchors(f->R, f->height, f->width, &t, err);
    ok = ok &&
         dict_start_anchors(f->b, f->data_metric ? &f->S64 : NULL, &t, &f->dict, err);
    tensor_release(&t);
    return ok;
}

/* A dictionary with one-class heads; their size and sign go into the factors. */
static bool start_given(DictFit *f, const Dictionary *d, Err *err)
{
    if (!d || d->shown != f->R || d->C != f->b->C || d->I != f->b->I)
        return err_set(err, ERR_OPTION,
                       "start 'given' needs a dictionary of %lld displayed components "
                       "that fits the network",
                       (long long)f->R);
    if (!dict_new(f->R, d->C, d->I, &f->dict, err))
        return false;
    for (int64_t r = 0; r < f->R; r++) {
        int64_t c = ((int32_t *)d->owner.data)[r], used = 0;
        const float *h = (float *)d->head.data + r * d->C;
        for (int64_t k = 0; k < d->C; k++)
            used += h[k] != 0;
        if (used != 1)
            return err_set(err, ERR_OPTION,
                           "component %lld speaks for %lld classes; this fit needs "
                           "one-class heads",
                           (long long)r, (long long)used);
        float root = sqrtf(fabsf(h[c]));
        ((float *)f->dict.head.data)[r * d->C + c] = 1;
        for (int64_t i = r * d->I; i < (r + 1) * d->I; i++) {
            ((float *)f->dict.a.data)[i] = root * ((float *)d->a.data)[i];
            ((float *)f->dict.b.data)[i] =
                (h[c] < 0 ? -root : root) * ((float *)d->b.data)[i];
        }
    }
    dict_find_owners(&f->dict);
    dict_balance(&f->dict);
    return true;
}

static bool make_start(DictFit *f, const DictData *d, Err *err)
{
    const char *start = f->cfg.start;
    uint64_t seed = (uint64_t)f->cfg.seed;
    if (!strcmp(start, "random"))
        return dict_start_random(f->R, f->b->C, f->b->I, seed, &f->dict, err);
    if (!strcmp(start, "stroke"))
        return start_stroke(f, d->anchors, err);
    if (!strcmp(start, "given"))
        return start_given(f, d->given, err);
    return start_eigen(f, err) &&
           (strcmp(start, "gauge") || dict_gauge(&f->dict, seed, err));
}

/* Mean norm 1, so that one learning rate suits every network; the cosine does not care.
 */
static void scale_start(Dictionary *d)
{
    double sum = 0;
    float *a = d->a.data, *b = d->b.data;
    for (int64_t r = 0; r < d->R; r++) {
        double s = 0;
        for (int64_t i = 0; i < d->I; i++)
            s += (double)a[r * d->I + i] * (double)a[r * d->I + i];
        sum += sqrt(s);
    }
    float k = sum > 0 ? (float)((double)d->R / sum) : 1;
    for (int64_t i = 0; i < d->R * d->I; i++) {
        a[i] *= k;
        b[i] *= k;
    }
}

static bool make_params(DictFit *f, Err *err)
{
    Tensor *a = &f->dict.a, *b = &f->dict.b;
    if (f->split)
        for (int64_t i = 0; i < tensor_count(a); i++) {
            float x = ((float *)a->data)[i], y = ((float *)b->data)[i];
            ((float *)a->data)[i] = 0.5f * (x + y);
            ((float *)b->data)[i] = 0.5f * (x - y);
        }
    return (f->params = tset_new(err)) &&
           tset_add(f->params, f->split ? "p" : "a", a, err) &&
           tset_add(f->params, f->split ? "n" : "b", b, err);
}

static bool make_constants(DictFit *f, const DictData *d, Err *err)
{
    const Tensor *S = f->data_metric ? &f->S64 : NULL;
    return cosine_const(f->b, S, f->dict.owner.data, f->R, &f->cosine, err) &&
           (!d->unlit || tensor_convert(d->unlit, F32, &f->unlit, err)) &&
           (!(f->cfg.distill > 0) ||
            distill_new(d, f->b, &f->dict.head, &f->distill, err));
}

DictFit *dictfit_new(const DictCfg *cfg, const Interaction *b, const DictData *data,
                     Err *err)
{
    DictFit *f = mem_zalloc(sizeof *f, err);
    if (!f)
        return NULL;
    f->cfg = *cfg;
    f->b = b;
    f->R = cfg->components;
    f->data_metric = !strcmp(cfg->metric, "data");
    f->split = !strcmp(cfg->family, "split");
    f->height = data->height;
    f->width = data->width;
    bool ok = check_data(f, data, err);
    if (ok && f->data_metric)
        f->S64 = tensor_retain(data->S);
    ok = ok && make_start(f, data, err);
    if (ok)
        scale_start(&f->dict);
    ok = ok && make_params(f, err) && make_constants(f, data, err);
    if (ok)
        return f;
    dictfit_free(f);
    return NULL;
}

void dictfit_free(DictFit *f)
{
    if (!f)
        return;
    tensor_release(&f->S64);
    tensor_release(&f->unlit);
    cosine_done(&f->cosine);
    distill_done(&f->distill);
    tset_free(f->params);
    dict_done(&f->dict);
    mem_free(f);
}

TensorSet *dictfit_params(DictFit *f)
{
    return f->params;
}

/* --- the loss --------------------------------------------------------------------- */

static void factors(DictFit *f, Graph *g, Val *a, Val *b)
{
    Val u = graph_state(g, f->split ? "p" : "a", tset_at(f->params, 0));
    Val v = graph_state(g, f->split ? "n" : "b", tset_at(f->params, 1));
    *a = f->split ? g_add(g, u, v) : u;
    *b = f->split ? g_sub(g, u, v) : v;
}

static Val add_priors(DictFit *f, Graph *g, const CosineTerms *t, Val a, Val b,
                      Val loss)
{
    PriorCtx p = {.g = g,
                  .R = f->R,
                  .I = f->b->I,
                  .height = f->height,
                  .width = f->width,
                  .nrm = t->nrm,
                  .TT = t->TT,
                  .gram = t->gram,
                  .unlit = VAL_NONE,
                  .a = a,
                  .b = b};
    p.q = prior_patterns(g, a, b);
    p.energy = g_square(g, p.q);
    p.weight = prior_weights(g, t->nrm, f->cfg.emphasis, true);
    p.head = graph_const(g, &f->dict.head);
    if (f->unlit.data)
        p.unlit = graph_const(g, &f->unlit);
    for (size_t k = 0; k < prior_n_rows; k++) {
        /* without images nothing is known of the background: its default weight is
         * dropped */
        bool skip = f->cfg.prior[k] == 0 ||
                    (!strcmp(prior_rows[k].name, "background") && p.unlit == VAL_NONE);
        if (!skip)
            loss = g_add(g, loss, g_scale(g, prior_rows[k].build(&p), f->cfg.prior[k]));
    }
    return loss;
}

Val dictfit_loss(void *ctx, Graph *g, Val idx)
{
    DictFit *f = ctx;
    CosineTerms t;
    Val a, b;
    factors(f, g, &a, &b);
    cosine_terms(&f->cosine, g, a, b, &t);
    graph_output(g, "similarity", t.cosine);
    Val loss = g_shift(g, g_neg(g, t.cosine), 1);
    loss = add_priors(f, g, &t, a, b, loss);
    if (f->cfg.distill > 0)
        loss = g_add(
            g, loss,
            g_scale(g, distill_loss(&f->distill, g, &t, a, b, idx), f->cfg.distill));
    return loss;
}

bool dictfit_finish(DictFit *f, Dictionary *out, Err *err)
{
    if (!dict_new(f->R, f->b->C, f->b->I, out, err))
        return false;
    const float *u = tset_at(f->params, 0)->data, *v = tset_at(f->params, 1)->data;
    float *a = out->a.data, *b = out->b.data;
    for (int64_t i = 0; i < f->R * f->b->I; i++) {
        a[i] = f->split ? u[i] + v[i] : u[i];
        b[i] = f->split ? u[i] - v[i] : v[i];
    }
    memcpy(out->head.data, f->dict.head.data, tensor_bytes(&out->head));
    dict_find_owners(out);
    dict_balance(out);
    if (dict_rescale(out, f->b, f->data_metric ? &f->S64 : NULL, err))
        return true;
    dict_done(out);
    return false;
}
