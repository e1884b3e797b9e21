/* fit.c -- the loss as a graph. One stacked product with S serves a and b; with ea = a S embed^T,
 *   <T,B> = sum_r ea_r M_owner(r) eb_r,   <T,T> = sum_rs same_rs 1/2 (Gaa Gbb + Gab Gab^T),
 * G.. = Gram matrices in the metric, same_rs = 1 for components of one class. */
#include "decomp/fit.h"

#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "decomp/priors.h"
#include "graph/build.h"
#include "tensor/blas.h"

#define PRIOR_OPT(k, name, dflt, doc)                                                         \
    { name, OPT_NUM, offsetof(DictCfg, prior) + (k) * sizeof(double), dflt, 0, 1e6, NULL, doc }
const OptRow dict_options[] = {
    { "components", OPT_INT, offsetof(DictCfg, components), "128", 1, 100000, NULL,
      "Number of components." },
    { "family", OPT_ENUM, offsetof(DictCfg, family), "cp", 0, 0, "cp split",
      "Parameters of a component: a and b, or p and n with (x.p)^2 - (x.n)^2." },
    { "start", OPT_ENUM, offsetof(DictCfg, start), "eigen", 0, 0, "eigen gauge stroke random",
      "Where the fit begins: the optimum of the one-hot limit, the same in a random gauge, stroke "
      "templates, or noise." },
    { "metric", OPT_ENUM, offsetof(DictCfg, metric), "data", 0, 0, "data plain",
      "What similarity means: weights as images meet them, or all alike." },
    { "steps", OPT_INT, offsetof(DictCfg, steps), "400", 0, 10000000, NULL,
      "Adam steps; 0 keeps the start." },
    { "lr", OPT_NUM, offsetof(DictCfg, lr), "0.007", 0, 10, NULL, "Learning rate." },
    { "schedule", OPT_ENUM, offsetof(DictCfg, schedule), "cosine", 0, 0,
      "constant linear cosine", "Learning rate over the fit." },
    { "seed", OPT_INT, offsetof(DictCfg, seed), "1", 0, 0, NULL,
      "Seed of random starts and gauges." },
    { "emphasis", OPT_NUM, offsetof(DictCfg, emphasis), "0.6", 0, 4, NULL,
      "Power of a component's norm with which the priors weigh its patterns; 0: all alike." },
    { "distill", OPT_NUM, offsetof(DictCfg, distill), "0", 0, 1e6, NULL,
      "Weight of the squared error of the logits, in units of their variance." },
    { "batch", OPT_INT, offsetof(DictCfg, batch), "512", 1, 1000000, NULL,
      "Examples a step for distillation." },
    PRIOR_OPT(0, "sparsity", "0.05", "Weight of the sum of |pixel| of a pattern."),
    PRIOR_OPT(1, "locality", "0.12", "Weight of the spatial variance of a pattern's energy."),
    PRIOR_OPT(2, "roughness", "0.007", "Weight of squared differences of neighbours."),
    PRIOR_OPT(3, "variation", "0", "Weight of the total variation."),
    PRIOR_OPT(4, "background", "0", "Weight of the energy on pixels that are hardly ever lit."),
    PRIOR_OPT(5, "cancellation", "0.05", "Weight of the group lasso over components."),
    PRIOR_OPT(6, "duplicates", "0", "Weight of squared cosines between components of a class."),
};
const size_t dict_n_options = ARRAY_LEN(dict_options);

struct DictFit {
    DictCfg cfg;
    const Interaction *b;
    bool data_metric, split;
    int64_t R, height, width;
    Dictionary dict;      /* the start; head and owners stay as they are */
    TensorSet *params;
    Tensor S64, S, embed; /* S f64 and f32 [I,I] (empty: plain), embed f32 [E,I] */
    Tensor core;          /* f32 [R,E,E]: M of each component's class */
    Tensor same;          /* f32 [R,R] */
    Tensor unlit, x, logits;
    double BB, logit_var;
};

/* --- making --------------------------------------------------------------------------------- */

static bool check_data(const DictFit *f, const DictData *d, Err *err)
{
    char shape[96];
    if (f->data_metric && !d->S)
        return err_set(err, ERR_OPTION, "metric 'data' needs the training images; give them, or "
                       "use metric = \"plain\"");
    if (f->height * f->width != f->b->I)
        return err_set(err, ERR_SHAPE, "images of %lld x %lld do not fit a network with %lld "
                       "inputs", (long long)f->height, (long long)f->width, (long long)f->b->I);
    if (f->cfg.distill > 0 && (!d->x || !d->logits || d->x->dim[0] != d->logits->dim[0]))
        return err_set(err, ERR_OPTION, "distill needs examples and the network's logits on them");
    if (d->unlit && tensor_count(d->unlit) != f->b->I)
        return err_set(err, ERR_SHAPE, "the mask of unlit pixels is %s, the network has %lld "
                       "inputs", tensor_format_shape(d->unlit, shape), (long long)f->b->I);
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

/* Stroke anchors as factors; owners by |a^T B_c b|, best first, as many a class as the limit hands out. */
static bool start_stroke(DictFit *f, const Tensor *anchors, Err *err)
{
    Spectrum s;
    int64_t R = f->R, I = f->b->I, C = f->b->C;
    if (!anchors || anchors->ndim != 2 || anchors->dim[0] != 2 * R || anchors->dim[1] != I)
        return err_set(err, ERR_OPTION, "start 'stroke' needs anchors f32[%lld,%lld]",
                       (long long)(2 * R), (long long)I);
    int64_t *count = mem_array(256, sizeof *count, err);
    if (!count || !spectrum_new(f->b, f->data_metric ? &f->S64 : NULL, &s, err)) {
        mem_free(count);
        return false;
    }
    bool ok = dict_new(R, C, I, &f->dict, err);
    if (ok) {
        limit_one_hot(&s, R, true, count);
        memcpy(f->dict.a.data, anchors->data, tensor_bytes(&f->dict.a));
        memcpy(f->dict.b.data, (float *)anchors->data + R * I, tensor_bytes(&f->dict.b));
        ok = dict_assign_owners(&f->dict, f->b, count, err);
    }
    mem_free(count);
    spectrum_done(&s);
    return ok;
}

static bool make_start(DictFit *f, const DictData *d, Err *err)
{
    const char *start = f->cfg.start;
    uint64_t seed = (uint64_t)f->cfg.seed;
    if (!strcmp(start, "random"))
        return dict_start_random(f->R, f->b->C, f->b->I, seed, &f->dict, err);
    if (!strcmp(start, "stroke"))
        return start_stroke(f, d->anchors, err);
    return start_eigen(f, err) && (strcmp(start, "gauge") || dict_gauge(&f->dict, seed, err));
}

/* Mean norm 1, so that one learning rate suits every network; the cosine does not care. */
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
    return (f->params = tset_new(err)) && tset_add(f->params, f->split ? "p" : "a", a, err) &&
           tset_add(f->params, f->split ? "n" : "b", b, err);
}

static bool make_constants(DictFit *f, const DictData *d, Err *err)
{
    int64_t R = f->R, E = f->b->E;
    const int32_t *owner = f->dict.owner.data;
    Tensor K = { 0 };
    bool ok = tensor_convert(&f->b->embed, F32, &f->embed, err) &&
              tensor_new(F32, 3, (int64_t[]){ R, E, E }, &f->core, err) &&
              tensor_zeros(F32, 2, (int64_t[]){ R, R }, &f->same, err) &&
              interaction_gram(f->b, f->data_metric ? &f->S64 : NULL, &K, err) &&
              interaction_norm2(f->b, &K, &f->BB, err);
    tensor_release(&K);
    if (ok && !(f->BB > 0))
        ok = err_set(err, ERR_NUMERIC, "the interaction tensor is zero: nothing to decompose");
    for (int64_t r = 0; ok && r < R; r++) {
        const double *m = (double *)f->b->core.data + owner[r] * E * E;
        for (int64_t i = 0; i < E * E; i++)
            ((float *)f->core.data)[r * E * E + i] = (float)m[i];
        for (int64_t s = 0; s < R; s++)
            ((float *)f->same.data)[r * R + s] = owner[r] == owner[s] ? 1 : 0;
    }
    if (ok && d->unlit)
        ok = tensor_convert(d->unlit, F32, &f->unlit, err);
    if (ok && f->cfg.distill > 0) {
        double s = 0, s2 = 0;
        int64_t n = tensor_count(d->logits);
        f->x = tensor_retain(d->x);
        f->logits = tensor_retain(d->logits);
        for (int64_t i = 0; i < n; i++) {
            double v = (double)((float *)d->logits->data)[i];
            s += v;
            s2 += v * v;
        }
        f->logit_var = fmax(s2 / (double)n - (s / (double)n) * (s / (double)n), 1e-12);
    }
    return ok;
}

DictFit *dictfit_new(const DictCfg *cfg, const Interaction *b, const DictData *data, Err *err)
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
    if (ok && f->data_metric) {
        f->S64 = tensor_retain(data->S);
        ok = tensor_convert(data->S, F32, &f->S, err);
    }
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
    Tensor *const all[] = { &f->S64, &f->S, &f->embed, &f->core, &f->same,
                            &f->unlit, &f->x, &f->logits };
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        tensor_release(all[i]);
    tset_free(f->params);
    dict_done(&f->dict);
    mem_free(f);
}

TensorSet *dictfit_params(DictFit *f)
{
    return f->params;
}

/* --- the loss ------------------------------------------------------------------------------------ */

typedef struct Terms {
    Val a, b;
    Val TB, TT, nrm, gram, cosine;
} Terms;

static void factors(DictFit *f, Graph *g, Terms *t)
{
    Val u = graph_state(g, f->split ? "p" : "a", tset_at(f->params, 0));
    Val v = graph_state(g, f->split ? "n" : "b", tset_at(f->params, 1));
    t->a = f->split ? g_add(g, u, v) : u;
    t->b = f->split ? g_sub(g, u, v) : v;
}

static Val half(Graph *g, Val stacked, int64_t from, int64_t to)
{
    OpAttr a = { .i = { 0, from, to, 1 } };
    return g_call(g, "slice", &stacked, 1, &a);
}

static void similarity_terms(DictFit *f, Graph *g, Terms *t)
{
    int64_t R = f->R;
    OpAttr axis = { 0 };
    Val embed = graph_const(g, &f->embed), aS = t->a, bS = t->b;
    if (f->data_metric) {
        Val both = g_call(g, "concat", (Val[]){ t->a, t->b }, 2, &axis);
        Val bothS = g_matmul(g, both, graph_const(g, &f->S), false, false);
        aS = half(g, bothS, 0, R);
        bS = half(g, bothS, R, 2 * R);
    }
    Val ea = g_matmul(g, aS, embed, false, true), eb = g_matmul(g, bS, embed, false, true);
    Val em = g_einsum(g, "re,ref->rf", ea, graph_const(g, &f->core));
    Val Gaa = g_matmul(g, aS, t->a, false, true), Gbb = g_matmul(g, bS, t->b, false, true);
    Val Gab = g_matmul(g, aS, t->b, false, true);
    Val sum = g_add(g, g_mul(g, Gaa, Gbb), g_mul(g, Gab, g_transpose(g, Gab)));
    t->gram = g_mul(g, g_scale(g, sum, 0.5), graph_const(g, &f->same));
    t->TB = g_sum(g, g_mul(g, em, eb));
    t->TT = g_sum(g, t->gram);
    t->nrm = g_unary(g, "diag", t->gram);
    t->cosine = g_div(g, t->TB, g_sqrt(g, g_scale(g, t->TT, f->BB)));
}

/* mean-one weights of the 2R patterns, without gradient */
static Val pattern_weights(DictFit *f, Graph *g, const Terms *t)
{
    OpAttr axis = { 0 };
    Val size = g_stop(g, g_shift(g, t->nrm, 1e-20));
    Val h = g_exp(g, g_scale(g, g_log(g, size), f->cfg.emphasis / 2));
    h = g_div(g, h, g_mean(g, h));
    return g_call(g, "concat", (Val[]){ h, h }, 2, &axis);
}

static Val add_priors(DictFit *f, Graph *g, const Terms *t, Val loss)
{
    PriorCtx p = { .g = g, .R = f->R, .I = f->b->I, .height = f->height, .width = f->width,
                   .nrm = t->nrm, .TT = t->TT, .gram = t->gram, .unlit = VAL_NONE };
    p.q = prior_patterns(g, t->a, t->b);
    p.energy = g_square(g, p.q);
    p.weight = pattern_weights(f, g, t);
    if (f->unlit.data)
        p.unlit = graph_const(g, &f->unlit);
    for (size_t k = 0; k < prior_n_rows; k++) {
        /* without images nothing is known of the background: its default weight is dropped */
        bool skip = f->cfg.prior[k] == 0 ||
                    (!strcmp(prior_rows[k].name, "background") && p.unlit == VAL_NONE);
        if (!skip)
            loss = g_add(g, loss, g_scale(g, prior_rows[k].build(&p), f->cfg.prior[k]));
    }
    return loss;
}

static Val add_distillation(DictFit *f, Graph *g, const Terms *t, Val idx, Val loss)
{
    OpAttr axis = { 0 };
    Val x = g_call(g, "gather", (Val[]){ graph_const(g, &f->x), idx }, 2, &axis);
    Val y = g_call(g, "gather", (Val[]){ graph_const(g, &f->logits), idx }, 2, &axis);
    Val act = g_mul(g, g_matmul(g, x, t->a, false, true), g_matmul(g, x, t->b, false, true));
    Val fit = g_mul(g, g_matmul(g, act, graph_const(g, &f->dict.head), false, false),
                    g_div(g, t->TB, t->TT));
    Val mse = g_mean(g, g_square(g, g_sub(g, fit, y)));
    return g_add(g, loss, g_scale(g, mse, f->cfg.distill / f->logit_var));
}

Val dictfit_loss(void *ctx, Graph *g, Val idx)
{
    DictFit *f = ctx;
    Terms t;
    factors(f, g, &t);
    similarity_terms(f, g, &t);
    graph_output(g, "similarity", t.cosine);
    Val loss = g_shift(g, g_neg(g, t.cosine), 1);
    loss = add_priors(f, g, &t, loss);
    if (f->cfg.distill > 0)
        loss = add_distillation(f, g, &t, idx, loss);
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
