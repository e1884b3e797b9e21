/* cnn.c -- convolutions with pooling, then a fully connected head. Inputs are rows of
 * pixels, channel by channel, as data sets have them; the reshape to images is free.
 * Layers count from 1 as in "conv1" and "fc1". Outputs may be several heads beside each
 * other. */
#include <stdio.h>
#include <string.h>

#include "graph/build.h"
#include "model/rows.h"

enum { MAX_CONV = 8, MAX_DENSE = 16, MAX_HEADS = 16, NAME_CAP = 32 };

typedef struct Cnn {
    int64_t input, channels, height, width, classes, seed;
    int64_t kernel, stride, pad, dilation, pool;
    bool bias;
    char conv[OPT_STR_CAP], hidden[OPT_STR_CAP], heads[OPT_STR_CAP],
        pooling[OPT_STR_CAP], activation[OPT_STR_CAP], init[OPT_STR_CAP];
} Cnn;

#define OPT(field, type, dflt, lo, hi, choices, doc)                                   \
    {                                                                                  \
#field, type, offsetof(Cnn, field), dflt, lo, hi, choices, doc                 \
    }
static const OptRow options[] = {
    OPT(input, OPT_INT, "0", 0, MODEL_MAX_SIZE, NULL,
        "input values; 0: channels * height * width, which it must be"),
    OPT(channels, OPT_INT, "1", 1, 4096, NULL, "of the images: 1 grey, 3 colour"),
    OPT(height, OPT_INT, "28", 1, 4096, NULL, "rows of an image"),
    OPT(width, OPT_INT, "28", 1, 4096, NULL, "columns of an image"),
    OPT(conv, OPT_STR, "8,16", 0, 0, NULL,
        "channels that the convolutions give, separated by commas"),
    OPT(kernel, OPT_INT, "3", 1, 64, NULL, "sides of the kernels"),
    OPT(stride, OPT_INT, "1", 1, 64, NULL, "of the convolutions"),
    OPT(pad, OPT_INT, "-1", -1, 64, NULL,
        "zeros around an image; -1: half of what the kernel covers"),
    OPT(dilation, OPT_INT, "1", 1, 64, NULL, "distance of the kernels' taps"),
    OPT(pool, OPT_INT, "2", 1, 64, NULL,
        "windows after every convolution, a window apart; 1: none"),
    OPT(pooling, OPT_ENUM, "max", 0, 0, "max avg", "what a window gives"),
    OPT(hidden, OPT_STR, "64", 0, 0, NULL,
        "widths of the hidden layers of the head; empty: none"),
    OPT(classes, OPT_INT, "10", 1, MODEL_MAX_SIZE, NULL,
        "outputs; with heads, their sum"),
    OPT(heads, OPT_STR, "", 0, 0, NULL,
        "sizes of several heads, as in '3,3,3'; empty: one head"),
    OPT(activation, OPT_ENUM, "relu", 0, 0, "relu gelu",
        "after each convolution and hidden layer"),
    OPT(bias, OPT_BOOL, "true", 0, 0, NULL, "biases on all layers"),
    OPT(init, OPT_ENUM, "pytorch", 0, 0, MODEL_INITS,
        "distribution of the first weights"),
    OPT(seed, OPT_INT, "1", 0, 1e15, NULL, "seed of the first weights"),
};

/* Everything that the options say about sizes. */
typedef struct Sizes {
    int convs, dense;               /* linear maps of the head, the last included */
    int64_t channels[MAX_CONV + 1]; /* from the image's on */
    int64_t width[MAX_DENSE + 1];   /* from the last image, flat, to the outputs */
    int64_t pad;
} Sizes;

static bool image_sizes(const Cnn *c, Sizes *s, Err *err)
{
    int64_t side[2] = {c->height, c->width};
    s->channels[0] = c->channels;
    s->pad = c->pad >= 0 ? c->pad : c->dilation * (c->kernel - 1) / 2;
    if (!model_widths(c->conv, "conv", MAX_CONV, s->channels + 1, &s->convs, err))
        return false;
    for (int k = 1; k <= s->convs; k++)
        for (int d = 0; d < 2; d++) {
            int64_t room = side[d] + 2 * s->pad - c->dilation * (c->kernel - 1) - 1;
            int64_t y = room < 0 ? 0 : (room / c->stride + 1) / c->pool;
            if (y < 1)
                return err_set(
                    err, ERR_OPTION,
                    "nothing is left of images of %lldx%lld after "
                    "convolution %d: fewer layers, a smaller pool or more pad",
                    (long long)c->height, (long long)c->width, k);
            side[d] = y;
        }
    s->width[0] = s->channels[s->convs] * side[0] * side[1];
    return s->width[0] <= MODEL_MAX_SIZE ||
           err_set(err, ERR_OPTION, "the head would have %lld inputs, more than %d",
                   (long long)s->width[0], MODEL_MAX_SIZE);
}

static bool sizes_of(const Cnn *c, Sizes *s, Err *err)
{
    int64_t head[MAX_HEADS], sum = 0, pixels = c->channels * c->height * c->width;
    int heads;
    if (c->input && c->input != pixels)
        return err_set(err, ERR_OPTION,
                       "input is %lld, but %lld channels of %lldx%lld are %lld values",
                       (long long)c->input, (long long)c->channels,
                       (long long)c->height, (long long)c->width, (long long)pixels);
    if (pixels > MODEL_MAX_SIZE)
        return err_set(err, ERR_OPTION, "an image of %lld values is more than %d",
                       (long long)pixels, MODEL_MAX_SIZE);
    if (!image_sizes(c, s, err) ||
        !model_widths(c->hidden, "hidden", MAX_DENSE - 1, s->width + 1, &s->dense,
                      err) ||
        !model_widths(c->heads, "heads", MAX_HEADS, head, &heads, err))
        return false;
    for (int h = 0; h < heads; h++)
        sum += head[h];
    s->width[++s->dense] = heads ? sum : c->classes;
    return true;
}

static bool cnn_init(Model *m, Err *err)
{
    Cnn *c = m->config;
    Sizes s;
    char name[NAME_CAP];
    bool ok = sizes_of(c, &s, err);
    if (!ok)
        return false;
    c->input = c->channels * c->height * c->width;
    c->classes = s.width[s.dense];
    for (int k = 1; ok && k <= s.convs; k++) {
        int64_t dim[4] = {s.channels[k], s.channels[k - 1], c->kernel, c->kernel};
        snprintf(name, sizeof name, "conv%d", k);
        ok = model_add_weights(m, name, 4, dim, c->bias, c->init, (uint64_t)c->seed,
                               err);
    }
    for (int k = 1; ok && k <= s.dense; k++) {
        snprintf(name, sizeof name, "fc%d", k);
        ok = model_add_linear(m, name, s.width[k], s.width[k - 1], c->bias, c->init,
                              (uint64_t)c->seed, err);
    }
    return ok;
}

/* The value `what` of a layer as a site "<layer>.what". */
static Val site(Graph *g, const char *layer, const char *what, Val v)
{
    char name[NAME_CAP + 8];
    snprintf(name, sizeof name, "%s.%s", layer, what);
    return graph_site(g, name, v);
}

static Val param(Model *m, Graph *g, const char *layer, const char *what)
{
    char name[NAME_CAP + 8];
    snprintf(name, sizeof name, "%s.%s", layer, what);
    return model_param(m, g, name);
}

static Val bias_of(Model *m, Graph *g, const char *layer)
{
    const Cnn *c = m->config;
    return c->bias ? param(m, g, layer, "bias") : VAL_NONE;
}

static Val activate(const Cnn *c, Graph *g, Val x)
{
    return strcmp(c->activation, "gelu") == 0 ? g_gelu(g, x) : g_relu(g, x);
}

static Val convolve(Model *m, Graph *g, const Sizes *s, int k, Val x)
{
    const Cnn *c = m->config;
    char layer[NAME_CAP];
    snprintf(layer, sizeof layer, "conv%d", k);
    x = site(g, layer, "in", x);
    x = g_conv2d(g, x, param(m, g, layer, "weight"), bias_of(m, g, layer), c->stride,
                 s->pad, c->dilation);
    x = activate(c, g, site(g, layer, "pre", x));
    x = site(g, layer, "act", x);
    if (c->pool == 1)
        return x;
    OpAttr a = {
        .i = {c->pool, 0, 0, 0, 0, -1}
    };
    bool most = strcmp(c->pooling, "max") == 0;
    return site(g, layer, "pool",
                g_call(g, most ? "max_pool2d" : "avg_pool2d", &x, 1, &a));
}

static Val cnn_forward(Model *m, Graph *g, Val x)
{
    const Cnn *c = m->config;
    Err err = {0};
    Sizes s;
    char layer[NAME_CAP];
    if (!sizes_of(c, &s, &err))
        return graph_fail(g, err.code, "%s", err.msg);
    int64_t B = graph_ok(g) ? graph_spec(g, x).dim[0] : 0;
    x = g_reshape(g, x, 4, (int64_t[]){B, c->channels, c->height, c->width});
    for (int k = 1; k <= s.convs; k++)
        x = convolve(m, g, &s, k, x);
    x = g_reshape(g, x, 2, (int64_t[]){B, s.width[0]});
    for (int k = 1; k <= s.dense; k++) {
        snprintf(layer, sizeof layer, "fc%d", k);
        x = g_linear(g, site(g, layer, "in", x), param(m, g, layer, "weight"),
                     bias_of(m, g, layer));
        x = site(g, layer, "pre", x);
        if (k == s.dense)
            break;
        x = activate(c, g, x);
        x = k == s.dense - 1 ? graph_site(g, "hidden", x) : site(g, layer, "act", x);
    }
    return graph_site(g, "logits", x);
}

const ModelRow model_cnn = {
    .name = "cnn",
    .doc = "Convolutions with pooling, then a fully connected head or several heads.",
    .options = options,
    .n_options = ARRAY_LEN(options),
    .config_size = sizeof(Cnn),
    .init = cnn_init,
    .forward = cnn_forward,
};
