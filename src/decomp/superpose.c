/* superpose.c -- the networks, their sparse batches drawn inside the graph, the loss. */
#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "decomp/superpose_int.h"
#include "graph/build.h"
#include "tensor/rng.h"

#define OPT(type, name, dflt, lo, hi, doc)                                             \
    {                                                                                  \
#name, type, offsetof(SuperCfg, name), dflt, lo, hi, NULL, doc                 \
    }
#define CHOICE(name, dflt, choices, doc)                                               \
    {                                                                                  \
#name, OPT_ENUM, offsetof(SuperCfg, name), dflt, 0, 0, choices, doc            \
    }
const OptRow super_options[] = {
    CHOICE(form, "mlp", "mlp tied",
           "O ReLU(W x), or ReLU(W^T W x + b), the toy model of superposition."),
    CHOICE(target, "relu", "relu identity abs", "What a feature's output shall be."),
    CHOICE(values, "signed", "signed unit", "Active features lie in -1..1 or 0..1."),
    OPT(OPT_INT, features, "100", 1, 100000, "N, number of features."),
    OPT(OPT_INT, neurons, "10", 1, 100000, "n, number of neurons."),
    OPT(OPT_NUM, density, "0.02", 1e-6, 1, "Probability that a feature is active."),
    OPT(OPT_INT, power, "4", 2, 8, "q in |error|^q: 2, 4, 6 or 8."),
    OPT(OPT_NUM, importance, "1", 1e-6, 1e6,
        "Feature i (from 0) counts importance^i in the loss."),
    OPT(OPT_NUM, last, "1", 0, 1e6, "Factor on the importance of the last feature."),
    OPT(OPT_NUM, mixing, "0", 0, 1e6,
        "Adds mixing (E E^T - I) x to the targets, E random unit rows of length embed: "
        "the noise of a random embedding."),
    OPT(OPT_INT, embed, "1000", 1, 1000000, "Columns of E."),
    OPT(OPT_BOOL, nonnegative, "false", 0, 0, "W is kept free of negative entries."),
    OPT(OPT_INT, steps, "1000", 0, 100000000, "Adam steps; 0 keeps the start."),
    OPT(OPT_INT, batch, "2048", 1, 10000000, "Examples drawn for a step."),
    OPT(OPT_NUM, lr, "0.003", 0, 10, "Learning rate."),
    CHOICE(schedule, "cosine", "cosine constant", "Of the learning rate."),
    OPT(OPT_INT, seed, "1", 0, 0, "Seed of the start and of the examples."),
};
const size_t super_n_options = ARRAY_LEN(super_options);

/* ---- making ---------------------------------------------------------------------- */

static bool add(Super *s, const char *name, int ndim, int64_t a, int64_t b, double std,
                double bound, Err *err)
{
    Tensor t;
    char stream[64];
    snprintf(stream, sizeof stream, "superposition.%s", name);
    RngKey key = {.seed = (uint64_t)s->cfg.seed, .stream = rng_stream(stream)};
    if (!tensor_zeros(F32, ndim, (int64_t[]){a, b}, &t, err))
        return false;
    if (std > 0)
        rng_normal_f32(key, 0, tensor_count(&t), 0, (float)std, t.data);
    else if (bound > 0)
        rng_uniform_f32(key, 0, tensor_count(&t), (float)-bound, (float)bound, t.data);
    if (bound > 0 && s->cfg.nonnegative && !strcmp(name, "in"))
        for (int64_t i = 0; i < tensor_count(&t); i++)
            ((float *)t.data)[i] = fabsf(((float *)t.data)[i]);
    bool ok = tset_add(s->params, name, &t, err);
    tensor_release(&t);
    return ok;
}

/* PyTorch's default of linear layers; the toy model starts as its authors' (Xavier). */
static bool make_params(Super *s, Err *err)
{
    int64_t N = s->cfg.features, n = s->cfg.neurons;
    if (!(s->params = tset_new(err)))
        return false;
    if (s->tied)
        return add(s, "in", 2, n, N, sqrt(2.0 / (double)(n + N)), 0, err) &&
               add(s, "bias", 1, N, 0, 0, 0, err);
    return add(s, "in", 2, n, N, 0, 1 / sqrt((double)N), err) &&
           add(s, "out", 2, N, n, 0, 1 / sqrt((double)n), err);
}

static bool make_importance(Super *s, Err *err)
{
    int64_t N = s->cfg.features;
    s->weighted = s->cfg.importance != 1 || s->cfg.last != 1;
    if (!tensor_zeros(F32, 1, &N, &s->importance, err))
        return false;
    for (int64_t i = 0; i < N; i++)
        ((float *)s->importance.data)[i] = (float)super_importance(s, i);
    return true;
}

/* M = mixing (E E^T - I), its diagonal exactly 0. */
static bool make_mixing(Super *s, Err *err)
{
    int64_t N = s->cfg.features, d = s->cfg.embed;
    RngKey key = {.seed = (uint64_t)s->cfg.seed,
                  .stream = rng_stream("superposition.embedding")};
    double *e = mem_array((size_t)(N * d), sizeof *e, err);
    bool ok = e && tensor_zeros(F32, 2, (int64_t[]){N, N}, &s->mixing, err);
    if (ok)
        rng_normal_f64(key, 0, N * d, 0, 1, e);
    for (int64_t i = 0; ok && i < N; i++) {
        double sum = 0;
        for (int64_t k = 0; k < d; k++)
            sum += e[i * d + k] * e[i * d + k];
        for (int64_t k = 0; k < d; k++)
            e[i * d + k] /= sqrt(fmax(sum, 1e-300));
        for (int64_t j = 0; j < i; j++) {
            double dot = 0;
            for (int64_t k = 0; k < d; k++)
                dot += e[i * d + k] * e[j * d + k];
            ((float *)s->mixing.data)[i * N + j] = (float)(s->cfg.mixing * dot);
            ((float *)s->mixing.data)[j * N + i] = (float)(s->cfg.mixing * dot);
        }
        ok = intr_check(err);
    }
    mem_free(e);
    return ok;
}

Super *super_new(const SuperCfg *cfg, Err *err)
{
    if (cfg->power % 2) {
        err_set(err, ERR_OPTION, "power is %lld; it must be even: 2, 4, 6 or 8",
                (long long)cfg->power);
        return NULL;
    }
    if (cfg->features * cfg->neurons > (int64_t)1 << 28) {
        err_set(err, ERR_OPTION, "%lld features times %lld neurons are too many",
                (long long)cfg->features, (long long)cfg->neurons);
        return NULL;
    }
    Super *s = mem_zalloc(sizeof *s, err);
    if (!s)
        return NULL;
    s->cfg = *cfg;
    s->tied = !strcmp(cfg->form, "tied");
    s->lo = !strcmp(cfg->values, "unit") ? 0 : -1;
    s->target = !strcmp(cfg->target, "abs")        ? SUPER_ABS
                : !strcmp(cfg->target, "identity") ? SUPER_IDENTITY
                                                   : SUPER_RELU;
    if (make_params(s, err) && make_importance(s, err) &&
        (cfg->mixing == 0 || make_mixing(s, err)))
        return s;
    super_free(s);
    return NULL;
}

void super_free(Super *s)
{
    if (!s)
        return;
    tset_free(s->params);
    tensor_release(&s->importance);
    tensor_release(&s->mixing);
    mem_free(s);
}

const SuperCfg *super_cfg(const Super *s)
{
    return &s->cfg;
}

TensorSet *super_params(Super *s)
{
    return s->params;
}

double super_importance(const Super *s, int64_t i)
{
    double last = i == s->cfg.features - 1 ? s->cfg.last : 1;
    return last * pow(s->cfg.importance, (double)i);
}

double super_mixing(const Super *s, int64_t to, int64_t from)
{
    const float *m = s->mixing.data;
    return m ? (double)m[to * s->cfg.features + from] : 0;
}

/* ---- training -------------------------------------------------------------------- */

static Val param(Super *s, Graph *g, const char *name)
{
    return graph_state(g, name, tset_get(s->params, name));
}

static Val batch(Super *s, Graph *g)
{
    OpAttr a;
    const OpRow *row = op_find("sparse_uniform");
    op_attr_defaults(row, &a);
    a.n_list = 2;
    a.list[0] = s->cfg.batch;
    a.list[1] = s->cfg.features;
    text_copy(a.text, sizeof a.text, "superposition");
    a.f[2] = s->cfg.density;
    a.f[3] = s->lo;
    a.f[4] = 1;
    a.i[5] = F32;
    return graph_op(g, row, NULL, 0, &a);
}

static Val outputs(Super *s, Graph *g, Val x)
{
    Val in = param(s, g, "in"), h = g_linear(g, x, in, VAL_NONE);
    if (!s->tied)
        return g_linear(g, g_relu(g, h), param(s, g, "out"), VAL_NONE);
    Val y = g_matmul(g, h, in, false, false);
    return g_relu(g, g_add(g, y, param(s, g, "bias")));
}

static Val targets(Super *s, Graph *g, Val x)
{
    Val t = s->target == SUPER_RELU  ? g_relu(g, x)
            : s->target == SUPER_ABS ? g_abs(g, x)
                                     : x;
    if (!s->mixing.data)
        return t;
    return g_add(g, t, g_linear(g, x, graph_const(g, &s->mixing), VAL_NONE));
}

Val super_loss(void *ctx, Graph *g, Val idx)
{
    Super *s = ctx;
    (void)idx;
    Val x = batch(s, g);
    Val square = g_square(g, g_sub(g, outputs(s, g, x), targets(s, g, x)));
    Val e = s->cfg.power == 2 ? square : g_square(g, square);
    if (s->cfg.power == 6)
        e = g_mul(g, e, square);
    else if (s->cfg.power == 8)
        e = g_square(g, e);
    if (s->weighted)
        e = g_mul(g, e, graph_const(g, &s->importance));
    return g_mean(g, e);
}

void super_after(void *ctx, Graph *g)
{
    Super *s = ctx;
    Val in = param(s, g, "in");
    if (s->cfg.nonnegative)
        graph_assign(g, in, g_relu(g, in));
}
