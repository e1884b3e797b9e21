/* tms.c -- the toy model of superposition (Elhage et al. 2022, arXiv 2209.10652), as it
 * is taken apart in Bushnaq et al. 2025 (arXiv 2506.20790): the decoder is the transposed
 * encoder, and between them there may be an identity that is not trained. */
#include <math.h>
#include <string.h>

#include "graph/build.h"
#include "model/rows.h"

typedef struct Tms {
    int64_t input, width, seed;
    bool identity;
    char bias[OPT_STR_CAP];
} Tms;

#define OPT(name, type, field, dflt, lo, hi, choices, doc)                             \
    {                                                                                  \
        name, type, offsetof(Tms, field), dflt, lo, hi, choices, doc                   \
    }
static const OptRow options[] = {
    OPT("input", OPT_INT, input, "5", 1, MODEL_MAX_SIZE, NULL, "features"),
    OPT("classes", OPT_INT, input, "5", 1, MODEL_MAX_SIZE, NULL,
        "the same number as input"),
    OPT("width", OPT_INT, width, "2", 1, MODEL_MAX_SIZE, NULL, "hidden dimensions"),
    OPT("identity", OPT_BOOL, identity, "false", 0, 0, NULL,
        "an identity map between encoder and decoder"),
    OPT("bias", OPT_ENUM, bias, "pytorch", 0, 0, "pytorch zero",
        "first biases: uniform within 1/sqrt(width), or zero"),
    OPT("seed", OPT_INT, seed, "1", 0, 1e15, NULL, "seed of the first weights"),
};

static bool add_identity(Model *m, int64_t n, Err *err)
{
    if (!model_add_zeros(m, "hidden.weight", 2, (int64_t[]){n, n}, err))
        return false;
    float *w = tset_get(m->params, "hidden.weight")->data;
    for (int64_t i = 0; !m->from && i < n; i++)
        w[i * n + i] = 1;
    return true;
}

static bool tms_init(Model *m, Err *err)
{
    const Tms *c = m->config;
    double bound = strcmp(c->bias, "zero") ? 1 / sqrt((double)c->width) : 0;
    return model_add_uniform(m, "linear1.weight", 2, (int64_t[]){c->width, c->input},
                             1 / sqrt((double)c->input), (uint64_t)c->seed, err) &&
           model_add_uniform(m, "linear2.bias", 1, &c->input, bound, (uint64_t)c->seed,
                             err) &&
           (!c->identity || add_identity(m, c->width, err));
}

static Val tms_forward(Model *m, Graph *g, Val x)
{
    const Tms *c = m->config;
    Val w = model_param(m, g, "linear1.weight");
    x = graph_site(g, "linear1.in", x);
    Val h = graph_site(g, "linear1.pre", g_linear(g, x, w, VAL_NONE));
    if (c->identity) {
        h = graph_site(g, "hidden.in", h);
        Val id = model_param(m, g, "hidden.weight");
        h = graph_site(g, "hidden.pre", g_linear(g, h, id, VAL_NONE));
    }
    h = graph_site(g, "linear2.in", h);
    Val y =
        g_add(g, g_matmul(g, h, w, false, false), model_param(m, g, "linear2.bias"));
    return graph_site(g, "out", g_relu(g, graph_site(g, "linear2.pre", y)));
}

const ModelRow model_tms = {
    .name = "tms",
    .doc = "The toy model of superposition: relu(W^T W x + b).",
    .options = options,
    .n_options = ARRAY_LEN(options),
    .config_size = sizeof(Tms),
    .init = tms_init,
    .forward = tms_forward,
};
