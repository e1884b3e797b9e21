/* spd.c -- settings, and components at their start: V ~ N(0, 1/d_in), U ~ N(0, 1/C), so
 * that an entry of V U has variance 1/d_in, or random unit vectors scaled by how much of
 * the weight they hold. Tied layers have one pair of matrices, read both ways round. */
#include "decomp/spd.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "decomp/spd_int.h"
#include "graph/build.h"
#include "tensor/rng.h"

#define OPT(field, type, dflt, lo, hi, doc)                                            \
    {                                                                                  \
#field, type, offsetof(SpdCfg, field), dflt, lo, hi, NULL, doc                 \
    }
#define WORD(field, dflt, choices, doc)                                                \
    {                                                                                  \
#field, OPT_ENUM, offsetof(SpdCfg, field), dflt, 0, 0, choices, doc            \
    }
#define LOSS(field, dflt, doc) OPT(field, OPT_NUM, dflt, 0, 1e9, doc)
const OptRow spd_options[] = {
    OPT(components, OPT_INT, "20", 1, 1000000, "components of a layer"),
    WORD(ci, "mlp", "mlp vector_mlp shared_mlp linear",
         "causal-importance function: a small network for each component, of its "
         "activation or of the layer's input; one network for all; w a + b"),
    OPT(ci_hidden, OPT_STR, "16", 0, 0, "its hidden widths, separated by commas"),
    WORD(sigmoid, "gated", "gated leaky",
         "importances from 0 to 1: clamped, with a leak below 0 that can only open; or "
         "with a slope of 0.01 below 0"),
    WORD(sampling, "continuous", "continuous binomial",
         "random part of a mask: even in 0..1, or 0 or 1"),
    OPT(samples, OPT_INT, "1", 1, 100, "masks a stochastic loss averages over"),
    OPT(delta, OPT_BOOL, "true", 0, 0,
        "what the components leave over is a component with a random mask"),
    WORD(init, "normal", "normal unit", "components at the start"),
    WORD(output, "mse", "mse kl", "how outputs are compared"),
    WORD(routing, "uniform_k", "uniform_k static",
         "layers that a subset loss replaces: a random number of them, or each with "
         "probability route_p"),
    OPT(route_p, OPT_NUM, "0.5", 0, 1, "probability of static routing"),
    LOSS(importance, "3e-3", "coefficient of importance minimality"),
    LOSS(faithfulness, "0", "coefficient of the mean squared difference of weights"),
    LOSS(recon, "1", "coefficient of the output under stochastic masks of all layers"),
    LOSS(layerwise, "1", "the same, one layer at a time"),
    LOSS(subset, "0", "the same, random subsets of layers"),
    LOSS(ci_recon, "0", "coefficient of the output with importances as masks"),
    LOSS(ci_layerwise, "0", "the same, one layer at a time"),
    LOSS(ci_subset, "0", "the same, random subsets of layers"),
    LOSS(unmasked, "0", "coefficient of the output with all components"),
    LOSS(hidden_acts, "0", "coefficient of the layers' inputs under stochastic masks"),
    LOSS(pgd, "0", "coefficient of the output under adversarial masks of all layers"),
    LOSS(pgd_layerwise, "0", "the same, one layer at a time"),
    LOSS(pgd_subset, "0", "the same, random subsets of layers"),
    LOSS(l1, "0", "coefficient of the mean absolute value of V and U"),
    LOSS(l2, "0", "coefficient of the mean square of V and U"),
    OPT(p, OPT_NUM, "1", 0.01, 10, "exponent of importance minimality"),
    OPT(p_final, OPT_NUM, "0", 0, 10, "the exponent at the end; 0: it stays"),
    OPT(p_start, OPT_NUM, "0", 0, 1, "share of the steps when it begins to change"),
    OPT(p_end, OPT_NUM, "1", 0, 1, "share of the steps when it is there"),
    OPT(eps, OPT_NUM, "1e-12", 0, 1, "added to importances before the power"),
    OPT(frequency, OPT_NUM, "0", 0, 1e6,
        "weight of log2(1 + sum over the batch) in importance minimality"),
    WORD(pgd_init, "random", "random ones zeros", "adversarial sources at the start"),
    OPT(pgd_steps, OPT_INT, "1", 1, 100, "steps of the adversary"),
    OPT(pgd_size, OPT_NUM, "1", 0, 10, "length of its steps, by sign"),
    OPT(pgd_shared, OPT_BOOL, "false", 0, 0, "one set of sources for the whole batch"),
    OPT(steps, OPT_INT, "10000", 0, 100000000, "steps"),
    OPT(batch, OPT_INT, "4096", 1, 10000000, "examples a step"),
    OPT(lr, OPT_NUM, "1e-3", 0, 10, "learning rate of AdamW, without decay"),
    WORD(schedule, "cosine", "constant linear cosine", "how it falls"),
    OPT(final_lr, OPT_NUM, "0", 0, 1, "fraction of lr that it ends at"),
    OPT(warmup, OPT_INT, "0", 0, 100000000, "steps in which it rises"),
    OPT(clip, OPT_NUM, "0", 0, 1e30, "largest gradient norm of the components; 0: off"),
    OPT(clip_ci, OPT_NUM, "0", 0, 1e30,
        "largest gradient norm of the importance functions; 0: off"),
    OPT(faith_steps, OPT_INT, "200", 0, 1000000,
        "steps on faithfulness alone before the first"),
    OPT(faith_lr, OPT_NUM, "0.01", 0, 10, "their learning rate"),
    OPT(faith_decay, OPT_NUM, "0.1", 0, 1e6, "their weight decay"),
    OPT(tau, OPT_NUM, "0.1", 0, 1, "a component is on where its importance is above"),
    OPT(shortcut, OPT_BOOL, "true", 0, 0,
        "rows of zeros are not run where they change nothing"),
    OPT(seed, OPT_INT, "0", 0, 1e15, "seed of the start, batches and masks"),
    OPT(ci_seed, OPT_INT, "0", 0, 1e15,
        "seed of the importance functions' start; 0: as seed"),
};
const size_t spd_n_options = ARRAY_LEN(spd_options);

/* ---- components ------------------------------------------------------------------ */

static bool add(Spd *s, int l, const char *what, int64_t rows, int64_t cols, double std,
                Err *err)
{
    char name[SPD_NAME + 8], stream[SPD_NAME + 16];
    Tensor t;
    snprintf(name, sizeof name, "%s.%s", s->target.layer[l].name, what);
    snprintf(stream, sizeof stream, "spd.%s", name);
    if (!tensor_new(F32, 2, (int64_t[]){rows, cols}, &t, err))
        return false;
    RngKey key = {.seed = (uint64_t)s->cfg.seed, .stream = rng_stream(stream)};
    rng_normal_f32(key, 0, rows * cols, 0, (float)std, t.data);
    bool ok = tset_add(s->params, name, &t, err);
    tensor_release(&t);
    return ok;
}

static Tensor *matrix(const Spd *s, int l, const char *what)
{
    char name[SPD_NAME + 8];
    snprintf(name, sizeof name, "%s.%s", s->target.layer[s->part[l].own].name, what);
    return (Tensor *)tset_get(s->params, name);
}

/* w[i * step], i < n, scaled to length 1. */
static void unit(float *w, int64_t n, int64_t step)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += (double)w[i * step] * (double)w[i * step];
    for (int64_t i = 0; i < n; i++)
        w[i * step] = (float)((double)w[i * step] / sqrt(sum > 0 ? sum : 1));
}

/* Unit columns of V and rows of U, the latter times u^T W v. */
static bool start_unit(Spd *s, int l, Err *err)
{
    const SpdPart *p = &s->part[l];
    const SpdLayer *y = &s->target.layer[l];
    const float *W = y->weight.data;
    float *V = matrix(s, l, "V")->data, *U = matrix(s, l, "U")->data;
    if (y->weight.ndim != 2)
        return err_set(err, ERR_OPTION,
                       "init = \"unit\" is for linear layers, not '%s'", y->name);
    for (int64_t c = 0; c < p->C; c++) {
        double with = 0;
        unit(V + c, p->d_in, p->C);
        unit(U + c * p->d_out, p->d_out, 1);
        for (int64_t o = 0; o < p->d_out; o++)
            for (int64_t i = 0; i < p->d_in; i++) {
                int64_t at = y->transposed ? i * p->d_out + o : o * p->d_in + i;
                with += (double)W[at] * (double)V[i * p->C + c] *
                        (double)U[c * p->d_out + o];
            }
        for (int64_t o = 0; o < p->d_out; o++)
            U[c * p->d_out + o] = (float)((double)U[c * p->d_out + o] * with);
    }
    return true;
}

static bool make_layer(Spd *s, int l, Err *err)
{
    const SpdPart *p = &s->part[l];
    if (p->own == l &&
        (!add(s, l, "V", p->d_in, p->C, 1 / sqrt((double)p->d_in), err) ||
         !add(s, l, "U", p->C, p->d_out, 1 / sqrt((double)p->C), err) ||
         (!strcmp(s->cfg.init, "unit") && !start_unit(s, l, err))))
        return false;
    return s->ci->make(s, l, err);
}

/* ---- making ---------------------------------------------------------------------- */

static bool tie(Spd *s, int l, Err *err)
{
    const SpdLayer *y = &s->target.layer[l];
    SpdPart *p = &s->part[l];
    p->own = l;
    if (y->tied < 0)
        return true;
    const SpdPart *o = &s->part[y->tied];
    if (y->tied >= l || o->own != y->tied || o->d_in != p->d_out || o->d_out != p->d_in)
        return err_set(err, ERR_SHAPE,
                       "layer '%s' cannot be tied to layer %d: that must come before, "
                       "not be tied itself, and be its transpose",
                       y->name, y->tied + 1);
    p->own = y->tied;
    p->C = o->C;
    return true;
}

static bool check_layer(Spd *s, int l, Err *err)
{
    SpdLayer *y = &s->target.layer[l];
    SpdPart *p = &s->part[l];
    if (!y->kind)
        return err_set(err, ERR_SHAPE,
                       "layer '%s' is of no kind that can be decomposed", y->name);
    for (int k = 0; k < l; k++)
        if (!strcmp(y->name, s->target.layer[k].name))
            return err_set(err, ERR_OPTION, "layer '%s' is listed twice", y->name);
    if (s->ci->whole && y->kind->positions)
        return err_set(err, ERR_OPTION,
                       "ci = \"%s\" sees whole inputs; layer '%s' is of kind %s, which "
                       "needs \"mlp\" or \"linear\"",
                       s->ci->name, y->name, y->kind->name);
    if (!y->kind->sizes(y, &p->d_in, &p->d_out, err))
        return false;
    if (!tensor_finite(&y->weight) || (y->bias.data && !tensor_finite(&y->bias)))
        return err_set(err, ERR_NUMERIC, "the weights of layer '%s' are not finite",
                       y->name);
    p->C = y->components > 0 ? y->components : s->cfg.components;
    if (!tie(s, l, err))
        return false;
    y->components = p->C;
    s->part[p->own].sharers++;
    return true;
}

static bool check(Spd *s, Err *err)
{
    const SpdCfg *c = &s->cfg;
    int64_t width[SPD_MAX_HIDDEN];
    s->ci = spd_ci_row(c->ci);
    if (!s->ci)
        return err_set(err, ERR_OPTION, "there is no CI function '%.40s'", c->ci);
    int n = spd_ci_widths(c, width, err);
    if (n < 0)
        return false;
    if (n == 0 && s->ci->hidden)
        return err_set(err, ERR_OPTION, "ci = \"%s\" needs a width in ci_hidden",
                       c->ci);
    if (s->target.n_layers < 1 || s->target.n_layers > SPD_MAX_LAYERS)
        return err_set(err, ERR_OPTION, "1 to %d layers can be decomposed, not %d",
                       SPD_MAX_LAYERS, s->target.n_layers);
    if (c->p_end < c->p_start)
        return err_set(err, ERR_OPTION, "p_end is %g, before p_start %g", c->p_end,
                       c->p_start);
    if (s->target.n_examples > 0 && c->batch > s->target.n_examples)
        return err_set(err, ERR_OPTION, "batch is %lld, there are %lld examples",
                       (long long)c->batch, (long long)s->target.n_examples);
    return true;
}

static bool fill(Spd *s, Err *err)
{
    if (!check(s, err))
        return false;
    for (int l = 0; l < s->target.n_layers; l++)
        if (!check_layer(s, l, err))
            return false;
    if (!(s->params = tset_new(err)))
        return false;
    for (int l = 0; l < s->target.n_layers; l++)
        if (!make_layer(s, l, err))
            return false;
    return true;
}

Spd *spd_new(const SpdCfg *cfg, const SpdTarget *target, Err *err)
{
    Spd *s = mem_zalloc(sizeof *s, err);
    if (!s)
        return NULL;
    s->cfg = *cfg;
    s->target = *target;
    int n = target->n_layers < 0 ? 0 : target->n_layers;
    for (int l = 0; l < n && l < SPD_MAX_LAYERS; l++) {
        s->target.layer[l].weight = tensor_retain(&target->layer[l].weight);
        s->target.layer[l].bias = tensor_retain(&target->layer[l].bias);
    }
    if (fill(s, err))
        return s;
    spd_free(s);
    return NULL;
}

void spd_free(Spd *s)
{
    if (!s)
        return;
    for (int l = 0; l < s->target.n_layers && l < SPD_MAX_LAYERS; l++) {
        tensor_release(&s->target.layer[l].weight);
        tensor_release(&s->target.layer[l].bias);
    }
    tset_free(s->params);
    mem_free(s);
}

/* ---- reading --------------------------------------------------------------------- */

const SpdCfg *spd_cfg(const Spd *s)
{
    return &s->cfg;
}

const SpdTarget *spd_target(const Spd *s)
{
    return &s->target;
}

int spd_layers(const Spd *s)
{
    return s->target.n_layers;
}

const SpdLayer *spd_layer(const Spd *s, int l)
{
    return &s->target.layer[l];
}

int spd_find_layer(const Spd *s, const char *name)
{
    for (int l = 0; l < s->target.n_layers; l++)
        if (!strcmp(s->target.layer[l].name, name))
            return l;
    return -1;
}

int64_t spd_components(const Spd *s, int l)
{
    return s->part[l].C;
}

TensorSet *spd_params(Spd *s)
{
    return s->params;
}

static Val matrix_val(Spd *s, Graph *g, int l, bool first)
{
    int own = s->part[l].own;
    bool v = (own == l) == first;
    char name[SPD_NAME + 8];
    snprintf(name, sizeof name, "%s.%s", s->target.layer[own].name, v ? "V" : "U");
    Val m = graph_state(g, name, tset_get(s->params, name));
    return own == l ? m : g_transpose(g, m);
}

Val spd_V(Spd *s, Graph *g, int l)
{
    return matrix_val(s, g, l, true);
}

Val spd_U(Spd *s, Graph *g, int l)
{
    return matrix_val(s, g, l, false);
}

Val spd_delta(Spd *s, Graph *g, int l)
{
    const SpdLayer *y = &s->target.layer[l];
    Val W = y->kind->matrix(y, g, graph_const(g, &y->weight));
    return g_sub(g, W, g_matmul(g, spd_U(s, g, l), spd_V(s, g, l), true, true));
}
