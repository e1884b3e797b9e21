/* bench_conv.c -- a training step of a convolutional network on shapes: two 3x3
 * convolutions with pools, two linear layers, three heads, Adam. Beside it the same
 * step as loops over every index, as one would write it first (one thread); the
 * losses of the first step must agree. The floor counts products and the traffic of
 * the weights. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "data/sampler.h"
#include "data/shapes.h"
#include "lab/evaluate.h"
#include "lab/heads.h"
#include "ui/bench.h"

enum {
    B = 64,
    SIDE = 32,
    C1 = 8,
    C2 = 16,
    WIDTH = 64,
    OUT = 9,
    IN = 3,
    FLAT = C2 * 64
};

/* ---- plain loops ----------------------------------------------------------------- */

typedef struct Map { /* [B, n, side, side], values and gradients */
    int n, side;
    float *v, *d;
} Map;

typedef struct Weights {
    int n, taps;                    /* of a result */
    float *w, *b, *dw, *db, *m, *s; /* moments of both, one after the other */
} Weights;

typedef struct Net {
    Map x, a1, p1, a2, p2, h, y;
    Weights c1, c2, f1, f2;
    const Dataset *data;
    Sampler sampler;
    int32_t idx[B];
    double loss;
    int steps;
    float *memory;
} Net;

static int64_t map_size(const Map *m)
{
    return (int64_t)B * m->n * m->side * m->side;
}

static void plain_conv(const Map *x, const Weights *k, const Map *y)
{
    for (int b = 0; b < B; b++)
        for (int o = 0; o < y->n; o++)
            for (int i = 0; i < y->side; i++)
                for (int j = 0; j < y->side; j++) {
                    float sum = k->b[o];
                    for (int t = 0; t < k->taps; t++) {
                        int p = i + t / 3 % 3 - 1, q = j + t % 3 - 1;
                        if (p >= 0 && p < x->side && q >= 0 && q < x->side)
                            sum +=
                                k->w[o * k->taps + t] *
                                x->v[((b * x->n + t / 9) * x->side + p) * x->side + q];
                    }
                    y->v[((b * y->n + o) * y->side + i) * y->side + j] =
                        sum > 0 ? sum : 0;
                }
}

/* Gradients of the kernel and, unless x->d is NULL, of x; y->d is masked by the
 * relu. */
static void plain_conv_back(const Map *x, const Weights *k, const Map *y)
{
    for (int b = 0; b < B; b++)
        for (int o = 0; o < y->n; o++)
            for (int i = 0; i < y->side; i++)
                for (int j = 0; j < y->side; j++) {
                    int64_t at = ((b * y->n + o) * y->side + i) * y->side + j;
                    float d = y->v[at] > 0 ? y->d[at] : 0;
                    k->db[o] += d;
                    for (int t = 0; t < k->taps; t++) {
                        int p = i + t / 3 % 3 - 1, q = j + t % 3 - 1;
                        if (p < 0 || p >= x->side || q < 0 || q >= x->side)
                            continue;
                        int64_t from = ((b * x->n + t / 9) * x->side + p) * x->side + q;
                        k->dw[o * k->taps + t] += d * x->v[from];
                        if (x->d)
                            x->d[from] += d * k->w[o * k->taps + t];
                    }
                }
}

static int64_t pool_pixel(const Map *x, int64_t at, int side, int k)
{
    int64_t plane = at / (side * side), i = at / side % side * 2, j = at % side * 2;
    return (plane * x->side + i + k / 2) * x->side + j + k % 2;
}

static void plain_pool(const Map *x, const Map *y, bool back)
{
    for (int64_t at = 0; at < map_size(y); at++) {
        int64_t best = pool_pixel(x, at, y->side, 0);
        for (int k = 1; k < 4; k++) {
            int64_t p = pool_pixel(x, at, y->side, k);
            best = x->v[p] > x->v[best] ? p : best;
        }
        if (back)
            x->d[best] += y->d[at];
        else
            y->v[at] = x->v[best];
    }
}

static void plain_linear(const Map *x, const Weights *k, const Map *y, bool relu)
{
    for (int b = 0; b < B; b++)
        for (int o = 0; o < k->n; o++) {
            float sum = k->b[o];
            for (int i = 0; i < k->taps; i++)
                sum += k->w[o * k->taps + i] * x->v[b * k->taps + i];
            y->v[b * k->n + o] = relu && sum < 0 ? 0 : sum;
        }
}

static void plain_linear_back(const Map *x, const Weights *k, const Map *y, bool relu)
{
    for (int b = 0; b < B; b++)
        for (int o = 0; o < k->n; o++) {
            float d = relu && y->v[b * k->n + o] <= 0 ? 0 : y->d[b * k->n + o];
            k->db[o] += d;
            for (int i = 0; i < k->taps; i++) {
                k->dw[o * k->taps + i] += d * x->v[b * k->taps + i];
                x->d[b * k->taps + i] += d * k->w[o * k->taps + i];
            }
        }
}

/* Softmax of three groups of three; the mean over the batch of their summed losses. */
static double plain_loss(const Net *n)
{
    double loss = 0;
    for (int b = 0; b < B; b++) {
        int label = ((const int32_t *)n->data->labels.data)[n->idx[b]];
        for (int h = 0; h < 3; h++) {
            const float *z = n->y.v + b * OUT + h * 3;
            int want = h == 0 ? label / 9 : h == 1 ? label / 3 % 3 : label % 3;
            float top = fmaxf(z[0], fmaxf(z[1], z[2])), sum = 0;
            for (int k = 0; k < 3; k++)
                sum += expf(z[k] - top);
            for (int k = 0; k < 3; k++)
                n->y.d[b * OUT + h * 3 + k] =
                    (expf(z[k] - top) / sum - (k == want ? 1.0f : 0.0f)) / B;
            loss += (double)(logf(sum) + top - z[want]) / B;
        }
    }
    return loss;
}

static void plain_adam(const Weights *k, int t)
{
    float *p[2] = {k->w, k->b}, *d[2] = {k->dw, k->db};
    int n[2] = {k->n * k->taps, k->n};
    for (int part = 0, at = 0; part < 2; part++)
        for (int i = 0; i < n[part]; i++, at++) {
            k->m[at] = 0.9f * k->m[at] + 0.1f * d[part][i];
            k->s[at] = 0.999f * k->s[at] + 0.001f * d[part][i] * d[part][i];
            float m = k->m[at] / (1 - powf(0.9f, (float)t));
            float s = k->s[at] / (1 - powf(0.999f, (float)t));
            p[part][i] -= 1e-3f * m / (sqrtf(s) + 1e-8f);
            d[part][i] = 0;
        }
}

static bool plain_step(void *ctx, Err *err)
{
    Net *n = ctx;
    Map *maps[] = {&n->a1, &n->p1, &n->a2, &n->p2, &n->h};
    (void)err;
    sampler_next(&n->sampler, n->idx);
    for (int b = 0; b < B; b++)
        for (int k = 0; k < IN * SIDE * SIDE; k++)
            n->x.v[b * IN * SIDE * SIDE + k] =
                (float)((const uint8_t *)n->data->images
                            .data)[(int64_t)n->idx[b] * IN * SIDE * SIDE + k] /
                255;
    plain_conv(&n->x, &n->c1, &n->a1);
    plain_pool(&n->a1, &n->p1, false);
    plain_conv(&n->p1, &n->c2, &n->a2);
    plain_pool(&n->a2, &n->p2, false);
    plain_linear(&n->p2, &n->f1, &n->h, true);
    plain_linear(&n->h, &n->f2, &n->y, false);
    n->loss = plain_loss(n);
    for (size_t k = 0; k < ARRAY_LEN(maps); k++)
        memset(maps[k]->d, 0, (size_t)map_size(maps[k]) * sizeof(float));
    plain_linear_back(&n->h, &n->f2, &n->y, false);
    plain_linear_back(&n->p2, &n->f1, &n->h, true);
    plain_pool(&n->a2, &n->p2, true);
    plain_conv_back(&n->p1, &n->c2, &n->a2);
    plain_pool(&n->a1, &n->p1, true);
    plain_conv_back(&n->x, &n->c1, &n->a1);
    n->steps++;
    plain_adam(&n->c1, n->steps);
    plain_adam(&n->c2, n->steps);
    plain_adam(&n->f1, n->steps);
    plain_adam(&n->f2, n->steps);
    return true;
}

/* ---- the case -------------------------------------------------------------------- */

/* Gives every array its place in one piece of memory (NULL: only counts). */
static int64_t lay_out(Net *n, float *memory)
{
    Map *maps[] = {&n->x, &n->a1, &n->p1, &n->a2, &n->p2, &n->h, &n->y};
    Weights *weights[] = {&n->c1, &n->c2, &n->f1, &n->f2};
    int64_t at = 0;
    for (size_t k = 0; k < ARRAY_LEN(maps); k++) {
        maps[k]->v = memory ? memory + at : NULL;
        at += map_size(maps[k]);
        maps[k]->d = memory && k ? memory + at : NULL;
        at += k ? map_size(maps[k]) : 0;
    }
    for (size_t k = 0; k < ARRAY_LEN(weights); k++) {
        Weights *w = weights[k];
        int64_t size = (int64_t)w->n * w->taps;
        float **part[] = {&w->w, &w->b, &w->dw, &w->db};
        for (int q = 0; q < 4; q++) {
            *part[q] = memory ? memory + at : NULL;
            at += q % 2 ? w->n : size;
        }
        w->m = memory ? memory + at : NULL;
        w->s = memory ? memory + at + size + w->n : NULL;
        at += 2 * (size + w->n);
    }
    return at;
}

static bool net_init(Net *n, const Model *m, const Dataset *d, int64_t seed, Err *err)
{
    static const char *const name[] = {"conv1", "conv2", "fc1", "fc2"};
    *n = (Net){
        .x = {.n = IN,    .side = SIDE    },
        .a1 = {.n = C1,    .side = SIDE    },
        .p1 = {.n = C1,    .side = SIDE / 2},
        .a2 = {.n = C2,    .side = SIDE / 2},
        .p2 = {.n = C2,    .side = SIDE / 4},
        .h = {.n = WIDTH, .side = 1       },
        .y = {.n = OUT,   .side = 1       },
        .c1 = {.n = C1,    .taps = IN * 9  },
        .c2 = {.n = C2,    .taps = C1 * 9  },
        .f1 = {.n = WIDTH, .taps = FLAT    },
        .f2 = {.n = OUT,   .taps = WIDTH   },
        .data = d
    };
    n->memory = mem_zalloc((size_t)lay_out(n, NULL) * sizeof(float), err);
    if (!n->memory || !sampler_init(&n->sampler, d->n, B, (uint64_t)seed, true, err))
        return false;
    lay_out(n, n->memory);
    Weights *weights[] = {&n->c1, &n->c2, &n->f1, &n->f2};
    for (int k = 0; k < 4; k++) {
        char full[24];
        snprintf(full, sizeof full, "%s.weight", name[k]);
        const Tensor *w = tset_get(m->params, full);
        memcpy(weights[k]->w, w->data, tensor_bytes(w));
        snprintf(full, sizeof full, "%s.bias", name[k]);
        const Tensor *b = tset_get(m->params, full);
        memcpy(weights[k]->b, b->data, tensor_bytes(b));
    }
    return true;
}

typedef struct Case {
    Model *model;
    Dataset train, test;
} Case;

static Val case_loss(void *ctx, Graph *g, Val idx)
{
    const Case *c = ctx;
    Val y = model_forward(c->model, g, dataset_pixels(g, &c->train, idx));
    return heads_loss(g, &c->train, y, dataset_labels(g, &c->train, idx), 0);
}

static Model *case_model(int64_t seed, Err *err)
{
    static const char *const set[] = {"channels", "3",  "height", "32",
                                      "width",    "32", "heads",  "3,3,3"};
    const ModelRow *row = model_row("cnn");
    void *cfg = mem_zalloc(row->config_size, err);
    bool ok = cfg && opt_defaults(row->options, row->n_options, cfg, err);
    for (size_t i = 0; ok && i < ARRAY_LEN(set); i += 2)
        ok = opt_set_text(row->options, row->n_options, cfg, set[i], set[i + 1],
                          "bench", err);
    char text[24];
    snprintf(text, sizeof text, "%lld", (long long)seed);
    ok = ok &&
         opt_set_text(row->options, row->n_options, cfg, "seed", text, "bench", err);
    Model *m = ok ? model_new(row, cfg, err) : NULL;
    mem_free(cfg);
    return m;
}

/* Each product runs forward and for the weights, and for the inputs but the pixels. */
static double step_flops(void)
{
    double conv1 = (double)SIDE * SIDE * C1 * IN * 9;
    double conv2 = (double)SIDE * SIDE / 4 * C2 * C1 * 9;
    return 2.0 * B * (2 * conv1 + 3 * (conv2 + FLAT * WIDTH + WIDTH * OUT));
}

bool bench_conv(Bench *b, const BenchCase *c, BenchResult *out, Err *err)
{
    Case k = {0};
    Net n = {0};
    ShapesCfg shapes;
    double best;
    (void)c;
    bool ok = opt_defaults(shapes_options, shapes_n_options, &shapes, err) &&
              dataset_shapes(&shapes, &k.train, &k.test, err) &&
              (k.model = case_model(b->seed, err)) &&
              net_init(&n, k.model, &k.train, b->seed, err) && plain_step(&n, err);
    BenchLoss loss = {.build = case_loss, .ctx = &k};
    double first = n.loss;
    ok = ok && bench_fit(b, k.model->params, &loss, k.train.n, B, 1e-3, out, err);
    double own = b->n_losses > 0 ? b->losses[0] : out->first_loss;
    if (ok && !(fabs(own - first) <= 1e-4 * first))
        ok = err_set(err, ERR_NUMERIC,
                     "the first loss is %.7g, that of plain loops %.7g", own, first);
    ok = ok && (b->n_losses > 0 ||
                bench_time(b, plain_step, &n, &out->reference, &best, err));
    out->flops = step_flops();
    out->bytes += (double)B * IN * SIDE * SIDE;
    sampler_done(&n.sampler);
    mem_free(n.memory);
    model_free(k.model);
    dataset_done(&k.train);
    dataset_done(&k.test);
    return ok;
}
