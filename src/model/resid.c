/* resid.c -- residual MLPs between a fixed random embedding and its transpose (Bushnaq
 * et al. 2025, arXiv 2506.20790): r = x E; r += W_out relu(W_in r) a layer; y = r E^T.
 * Rows of E have unit length and are not trained; there are no biases. */
#include <math.h>
#include <stdio.h>

#include "graph/build.h"
#include "model/rows.h"

typedef struct Resid {
    int64_t input, width, neurons, layers, seed;
} Resid;

enum { MAX_LAYERS = 8 };

#define OPT(name, field, dflt, lo, hi, doc)                                            \
    {                                                                                  \
        name, OPT_INT, offsetof(Resid, field), dflt, lo, hi, NULL, doc                 \
    }
static const OptRow options[] = {
    OPT("input", input, "100", 1, MODEL_MAX_SIZE, "features"),
    OPT("classes", input, "100", 1, MODEL_MAX_SIZE, "the same number as input"),
    OPT("width", width, "1000", 1, MODEL_MAX_SIZE, "dimensions of the residual stream"),
    OPT("neurons", neurons, "50", 1, MODEL_MAX_SIZE, "neurons of a layer"),
    OPT("layers", layers, "1", 1, MAX_LAYERS, "MLP layers"),
    OPT("seed", seed, "1", 0, 1e15, "seed of the first weights"),
};

static bool add_embed(Model *m, const Resid *c, Err *err)
{
    if (!model_add_normal(m, "embed", 2, (int64_t[]){c->input, c->width}, 1,
                          (uint64_t)c->seed, err))
        return false;
    float *e = tset_get(m->params, "embed")->data;
    for (int64_t i = 0; !m->from && i < c->input; i++, e += c->width) {
        double sum = 0;
        for (int64_t d = 0; d < c->width; d++)
            sum += (double)e[d] * (double)e[d];
        for (int64_t d = 0; d < c->width; d++)
            e[d] = (float)((double)e[d] / sqrt(sum > 0 ? sum : 1));
    }
    return true;
}

static bool resid_init(Model *m, Err *err)
{
    const Resid *c = m->config;
    bool ok = add_embed(m, c, err);
    for (int64_t k = 1; ok && k <= c->layers; k++) {
        char in[32], out[32];
        snprintf(in, sizeof in, "mlp_in%d", (int)k);
        snprintf(out, sizeof out, "mlp_out%d", (int)k);
        ok = model_add_linear(m, in, c->neurons, c->width, false, "pytorch",
                              (uint64_t)c->seed, err) &&
             model_add_linear(m, out, c->width, c->neurons, false, "pytorch",
                              (uint64_t)c->seed, err);
    }
    return ok;
}

/* One map with its sites: "mlp_in1.in", "mlp_in1.pre". */
static Val map(Model *m, Graph *g, const char *what, int k, Val x)
{
    char name[48];
    snprintf(name, sizeof name, "%s%d.in", what, k);
    x = graph_site(g, name, x);
    snprintf(name, sizeof name, "%s%d.weight", what, k);
    Val w = model_param(m, g, name);
    snprintf(name, sizeof name, "%s%d.pre", what, k);
    return graph_site(g, name, g_product(g, x, w, true));
}

static Val resid_forward(Model *m, Graph *g, Val x)
{
    const Resid *c = m->config;
    Val e = model_param(m, g, "embed");
    Val r = graph_site(g, "embed", g_matmul(g, x, e, false, false));
    for (int k = 1; k <= c->layers; k++)
        r = g_add(g, r, map(m, g, "mlp_out", k, g_relu(g, map(m, g, "mlp_in", k, r))));
    return graph_site(g, "out", g_product(g, r, e, true));
}

const ModelRow model_resid = {
    .name = "resid",
    .doc = "Residual MLP layers between a fixed random embedding and its transpose.",
    .options = options,
    .n_options = ARRAY_LEN(options),
    .config_size = sizeof(Resid),
    .init = resid_init,
    .forward = resid_forward,
};
