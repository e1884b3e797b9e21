/* mlp.c -- fully connected classifiers. Layers count from 1 as in "fc1"; the last one
 * is the linear head. The widths come as text, so that one option covers any depth. */
#include <stdio.h>
#include <string.h>

#include "graph/build.h"
#include "model/rows.h"

enum { MAX_LAYERS = 32, NAME_CAP = 32 };

typedef struct Mlp {
    int64_t input, classes, seed;
    bool bias;
    char hidden[OPT_STR_CAP], activation[OPT_STR_CAP], init[OPT_STR_CAP];
} Mlp;

#define OPT(field, type, dflt, lo, hi, choices, doc)                                   \
    {#field, type, offsetof(Mlp, field), dflt, lo, hi, choices, doc}
static const OptRow options[] = {
    OPT(input, OPT_INT, "784", 1, MODEL_MAX_SIZE, NULL,
        "input values, pixels of an image"),
    OPT(hidden, OPT_STR, "128", 0, 0, NULL,
        "widths of the hidden layers, separated by commas; empty: a linear classifier"),
    OPT(classes, OPT_INT, "10", 1, MODEL_MAX_SIZE, NULL, "outputs"),
    OPT(activation, OPT_ENUM, "relu", 0, 0, "relu gelu geglu",
        "after each hidden layer; geglu is a linear map times the GELU of another"),
    OPT(bias, OPT_BOOL, "true", 0, 0, NULL, "biases on all layers"),
    OPT(init, OPT_ENUM, "pytorch", 0, 0, MODEL_INITS,
        "distribution of the first weights"),
    OPT(seed, OPT_INT, "1", 0, 1e15, NULL, "seed of the first weights"),
};

/* Sizes of all layers, input first and classes last; the number of linear maps, 0:
 * error. */
static int layer_sizes(const Mlp *c, int64_t size[MAX_LAYERS + 1], Err *err)
{
    int n;
    size[0] = c->input;
    if (!model_widths(c->hidden, "hidden", MAX_LAYERS - 1, size + 1, &n, err))
        return 0;
    size[++n] = c->classes;
    return n;
}

static bool gated(const Mlp *c)
{
    return strcmp(c->activation, "geglu") == 0;
}

static bool mlp_init(Model *m, Err *err)
{
    const Mlp *c = m->config;
    int64_t size[MAX_LAYERS + 1];
    int n = layer_sizes(c, size, err);
    bool ok = n > 0;
    for (int k = 1; ok && k <= n; k++) {
        char name[NAME_CAP];
        snprintf(name, sizeof name, "fc%d", k);
        ok = model_add_linear(m, name, size[k], size[k - 1], c->bias, c->init,
                              (uint64_t)c->seed, err);
        snprintf(name, sizeof name, "fc%d.gate", k);
        if (ok && k < n && gated(c))
            ok = model_add_linear(m, name, size[k], size[k - 1], c->bias, c->init,
                                  (uint64_t)c->seed, err);
    }
    return ok;
}

/* The value `what` of layer k as a site "fck.what". */
static Val site(Graph *g, int k, const char *what, Val v)
{
    char name[NAME_CAP];
    snprintf(name, sizeof name, "fc%d.%s", k, what);
    return graph_site(g, name, v);
}

/* The linear map of layer k; part is "" or ".gate". */
static Val map(Model *m, Graph *g, int k, const char *part, Val x)
{
    const Mlp *c = m->config;
    char name[NAME_CAP];
    snprintf(name, sizeof name, "fc%d%s.weight", k, part);
    Val w = model_param(m, g, name), b = VAL_NONE;
    snprintf(name, sizeof name, "fc%d%s.bias", k, part);
    if (c->bias)
        b = model_param(m, g, name);
    return g_linear(g, x, w, b);
}

static Val activate(Model *m, Graph *g, int k, Val x, Val pre)
{
    const Mlp *c = m->config;
    if (gated(c))
        return g_mul(g, pre, g_gelu(g, site(g, k, "gate", map(m, g, k, ".gate", x))));
    return strcmp(c->activation, "gelu") == 0 ? g_gelu(g, pre) : g_relu(g, pre);
}

static Val mlp_forward(Model *m, Graph *g, Val x)
{
    Err err = {0};
    int64_t size[MAX_LAYERS + 1];
    int n = layer_sizes(m->config, size, &err);
    if (n == 0)
        return graph_fail(g, err.code, "%s", err.msg);
    for (int k = 1; k < n; k++) {
        x = site(g, k, "in", x);
        Val pre = site(g, k, "pre", map(m, g, k, "", x));
        x = activate(m, g, k, x, pre);
        x = k == n - 1 ? graph_site(g, "hidden", x) : site(g, k, "act", x);
    }
    x = site(g, n, "in", x);
    return graph_site(g, "logits", map(m, g, n, "", x));
}

const ModelRow model_mlp = {
    .name = "mlp",
    .doc = "Fully connected layers with relu, gelu or geglu and a linear head.",
    .options = options,
    .n_options = ARRAY_LEN(options),
    .config_size = sizeof(Mlp),
    .init = mlp_init,
    .forward = mlp_forward,
};
