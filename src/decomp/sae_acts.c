/* sae_acts.c -- the activation table: how a code is made in training, what its sparsity
 * term counts, and how the code of a single example is made afterwards. The batch
 * decides in training only: BatchTopK becomes a threshold (sae_calibrate). */
#include <math.h>
#include <string.h>

#include "decomp/sae_int.h"
#include "graph/build.h"

static const double tanh_slope = 4, pull = 3e-6; /* of the January 2025 recipe */

static Val topk(Graph *g, Val u, int64_t n, bool batch, bool with_sign)
{
    OpAttr a = {
        .i = {n, batch, with_sign}
    };
    return g_call(g, "sparse_topk", &u, 1, &a);
}

static Val threshold(Graph *g, const char *op, Val u, Val theta, double width)
{
    Val in[2] = {u, theta};
    OpAttr a = {.f = {width}};
    return g_call(g, op, in, 2, &a);
}

/* u and thresholds in units of the kernel's width at this step; returns the factor or
 * VAL_NONE. */
static Val sharpened(SaeForm *t, Val *u, Val *theta)
{
    Val k = sae_sharpness(t->s, t->g);
    *u = k == VAL_NONE ? t->u : g_mul(t->g, t->u, k);
    *theta = k == VAL_NONE ? t->theta : g_mul(t->g, t->theta, k);
    return k;
}

static Val jump(SaeForm *t, Val *u, Val *theta)
{
    Val k = sharpened(t, u, theta);
    Val f = threshold(t->g, "jump", *u, *theta, t->s->cfg.width);
    return k == VAL_NONE ? f : g_div(t->g, f, k);
}

/* Sum over latents, mean over the batch. */
static Val per_example(SaeForm *t, Val v)
{
    return g_scale(t->g, g_sum(t->g, v), 1 / (double)t->B);
}

/* Latents weighed by the length of what they write, 1 in a unit-norm decoder. */
static Val weighed(SaeForm *t, Val v)
{
    OpAttr rows = {
        .i = {1, 0}
    };
    if (t->s->cfg.unit)
        return v;
    return g_mul(t->g, v, g_call(t->g, "norm", &t->dec, 1, &rows));
}

/* ---- in training ----------------------------------------------------------------- */

static void train_relu(SaeForm *t)
{
    t->f = g_relu(t->g, t->u);
    t->penalty = per_example(t, weighed(t, t->f));
}

static void train_topk(SaeForm *t)
{
    t->f = topk(t->g, t->u, llround(t->s->cfg.k), false, false);
}

static void train_abstopk(SaeForm *t)
{
    Val in[2] = {t->u, sae_draw_limits(t->s, t->g, t->B)};
    OpAttr a = {
        .i = {llround(t->s->cfg.k), false, true}
    };
    t->f = g_call(t->g, "sparse_topk", in, in[1] == VAL_NONE ? 1 : 2, &a);
}

static void train_batchtopk(SaeForm *t)
{
    int64_t all = t->B * t->s->M, n = llround(t->s->cfg.k * (double)t->B);
    t->f = topk(t->g, t->u, n < all ? n : all, true, false);
}

static void train_jump(SaeForm *t)
{
    Val u, theta;
    t->f = jump(t, &u, &theta);
    Val count = threshold(t->g, "jump_count", u, theta, t->s->cfg.width);
    t->penalty = per_example(t, count);
}

static void train_jump_tanh(SaeForm *t)
{
    Graph *g = t->g;
    Val u, theta;
    t->f = jump(t, &u, &theta);
    Val size = g_scale(g, weighed(t, t->f), tanh_slope);
    t->penalty = per_example(t, g_unary(g, "tanh", size));
    Val below = g_relu(g, g_sub(g, t->theta, t->u));
    t->extra = g_scale(g, per_example(t, weighed(t, below)), pull);
}

static void train_jump_sigmoid(SaeForm *t)
{
    Graph *g = t->g;
    Val u, theta;
    double tau = t->s->cfg.width;
    sharpened(t, &u, &theta);
    t->f = g_mul(g, t->u, threshold(g, "soft_gate", u, theta, tau));
    Val z = g_scale(g, g_sub(g, u, theta), 1 / tau);
    t->penalty = per_example(t, g_unary(g, "sigmoid", z));
}

/* exp(r) p + b, where the gate is u = p + e > 0. */
static Val magnitude(Sae *s, Graph *g, Val u)
{
    Val p = g_sub(g, u, sae_param(s, g, "encoder_bias"));
    Val gain = g_exp(g, sae_param(s, g, "log_gain"));
    return g_add(g, g_mul(g, p, gain), sae_param(s, g, "magnitude_bias"));
}

static Val gated(Sae *s, Graph *g, Val u)
{
    Val open = g_binary(g, "gt", u, g_num(g, u, 0));
    return g_mul(g, open, g_relu(g, magnitude(s, g, u)));
}

static void train_gated(SaeForm *t)
{
    Graph *g = t->g;
    Val gate = g_relu(g, t->u);
    t->f = gated(t->s, g, t->u);
    t->penalty = per_example(t, weighed(t, gate));
    Val by_gate = g_add(g, g_matmul(g, gate, g_stop(g, t->dec), false, false),
                        g_stop(g, t->dec_b));
    t->extra = per_example(t, g_square(g, g_sub(g, t->y, by_gate)));
}

/* ---- afterwards ------------------------------------------------------------------ */

static Val infer_relu(Sae *s, Graph *g, Val u)
{
    (void)s;
    return g_relu(g, u);
}

static Val infer_topk(Sae *s, Graph *g, Val u)
{
    return topk(g, u, llround(s->cfg.k), false, false);
}

static Val infer_abstopk(Sae *s, Graph *g, Val u)
{
    return topk(g, u, llround(s->cfg.k), false, true);
}

static Val infer_theta(Sae *s, Graph *g, Val u)
{
    return threshold(g, "jump", u, graph_state(g, "threshold", &s->theta), 1);
}

static const SaeActRow rows[] = {
    {"relu",             "max(u, 0); the penalty is the sum of the code (L1).",   0,                        train_relu,
     infer_relu                                                                                                                              },
    {"topk",             "The k largest positive u of an example.",               ACT_K,                    train_topk,         infer_topk   },
    {"batchtopk",
     "In training the k B largest positive u of a batch; afterwards one threshold for "
     "all latents, calibrated so that the mean L0 is k.",                         ACT_K | ACT_SHARED,       train_batchtopk,    infer_theta  },
    {"matryoshka",
     "batchtopk whose first eighth, quarter, half and whole of the latents must each "
     "reconstruct.",                                                              ACT_K | ACT_SHARED,       train_batchtopk,    infer_theta  },
    {"abstopk",          "The k elements of u largest in size, with their sign.",
     ACT_K | ACT_SIGNED,                                                                                    train_abstopk,      infer_abstopk},
    {"jumprelu",
     "u above a trained threshold per latent; penalty L0, rectangle kernel "
     "(arXiv 2407.14435).",                                                       ACT_TRAINED | ACT_COUNTS, train_jump,         infer_theta  },
    {"jumprelu_tanh",
     "The same gate; penalty tanh(4 f |D|) and a pull on what stays below its "
     "threshold; thresholds as they are, not their logarithms.",                  ACT_TRAINED,              train_jump_tanh,    infer_theta  },
    {"jumprelu_sigmoid",
     "A hard gate with the gradient of sigmoid((u - threshold) / width); the penalty "
     "is the sum of these sigmoids.",                                             ACT_TRAINED | ACT_COUNTS, train_jump_sigmoid, infer_theta  },
    {"gated",
     "One encoder, a gate and a magnitude (arXiv 2404.16014); penalty L1 of "
     "the gate's pre-activation.",                                                0,                        train_gated,        gated        },
    {"stochastic",
     "u, signed, times an importance in 0..1 that a small network for each latent gives; "
     "in training times a mask drawn between the importance and 1 (arXiv 2506.20790). "
     "The penalty is the sum of powers of importances, the power falling from 2 to 0.3.",
     ACT_SIGNED | ACT_DRAWN, sae_train_stochastic, sae_infer_stochastic},
};

const SaeActRow *sae_act(const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (!strcmp(rows[i].name, name))
            return &rows[i];
    return NULL;
}

int sae_act_count(void)
{
    return (int)ARRAY_LEN(rows);
}

const char *sae_act_name(int i)
{
    return rows[i].name;
}

const char *sae_act_doc(int i)
{
    return rows[i].doc;
}
