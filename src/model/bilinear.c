/* bilinear.c -- the network whose logits are quadratic forms: y = (l * r) Wu^T + b with
 * l and r linear in the input (Pearce et al. 2024). Draws are N(0, 1/fan_in), the bias
 * starts at 0. */
#include <math.h>

#include "graph/build.h"
#include "model/rows.h"

typedef struct Bilinear {
    int64_t input, embed, hidden, classes, seed;
    bool bias;
} Bilinear;

#define OPT(field, type, dflt, lo, hi, doc)                                            \
    {#field, type, offsetof(Bilinear, field), dflt, lo, hi, NULL, doc}
static const OptRow options[] = {
    OPT(input, OPT_INT, "784", 1, MODEL_MAX_SIZE, "input values, pixels of an image"),
    OPT(embed, OPT_INT, "96", 0, MODEL_MAX_SIZE,
        "size of the linear embedding; 0: none, left and right read the input"),
    OPT(hidden, OPT_INT, "256", 1, MODEL_MAX_SIZE, "products of the bilinear layer"),
    OPT(classes, OPT_INT, "10", 1, MODEL_MAX_SIZE, "outputs"),
    OPT(seed, OPT_INT, "1", 0, 1e15, "seed of the first weights"),
    OPT(bias, OPT_BOOL, "true", 0, 0, "a bias on the outputs"),
};

static bool add(Model *m, const char *name, int64_t out, int64_t in, Err *err)
{
    const Bilinear *c = m->config;
    return model_add_normal(m, name, 2, (int64_t[]){out, in}, 1 / sqrt((double)in),
                            (uint64_t)c->seed, err);
}

static bool bilinear_init(Model *m, Err *err)
{
    const Bilinear *c = m->config;
    int64_t from = c->embed ? c->embed : c->input;
    return (!c->embed || add(m, "embed", c->embed, c->input, err)) &&
           add(m, "left", c->hidden, from, err) &&
           add(m, "right", c->hidden, from, err) &&
           add(m, "head", c->classes, c->hidden, err) &&
           (!c->bias || model_add_zeros(m, "bias", 1, &c->classes, err));
}

static Val bilinear_forward(Model *m, Graph *g, Val x)
{
    const Bilinear *c = m->config;
    Val z = graph_site(g, "in", x);
    if (c->embed)
        z = graph_site(g, "embed",
                       g_linear(g, z, model_param(m, g, "embed"), VAL_NONE));
    Val l = g_linear(g, z, model_param(m, g, "left"), VAL_NONE);
    l = graph_site(g, "left", l);
    Val r = g_linear(g, z, model_param(m, g, "right"), VAL_NONE);
    r = graph_site(g, "right", r);
    Val h = graph_site(g, "hidden", g_mul(g, l, r));
    Val bias = c->bias ? model_param(m, g, "bias") : VAL_NONE;
    return graph_site(g, "logits", g_linear(g, h, model_param(m, g, "head"), bias));
}

const ModelRow model_bilinear = {
    .name = "bilinear",
    .doc = "Linear embedding, elementwise product of two linear maps, linear head: each "
           "logit is a quadratic form of the input.",
    .options = options,
    .n_options = ARRAY_LEN(options),
    .config_size = sizeof(Bilinear),
    .init = bilinear_init,
    .forward = bilinear_forward,
};
