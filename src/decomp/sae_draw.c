/* sae_draw.c -- what is drawn anew at every step. A stochastic mask is even between an
 * importance and 1, so that the loss has a derivative by the importance: a latent of
 * importance g may be scaled down to g without hurting. Importances come from a network
 * of one input for each latent, of its own pre-activation. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "decomp/sae_int.h"
#include "graph/build.h"
#include "tensor/rng.h"

enum { HIDDEN = 8 };
static const double first_power = 2, last_power = 0.3, power_until = 0.5;
static const double also_low = 1, also_all = 1; /* the other two reconstructions */
static const double share_of_steps = 0.8;       /* in which latents are resampled */

Val sae_draw_limits(Sae *s, Graph *g, int64_t B)
{
    double lo = (double)s->cfg.k_min, hi = s->cfg.k;
    if (s->cfg.k_min <= 0)
        return VAL_NONE;
    return g_exp(g, g_uniform(g, "sae.limits", log(lo), log(hi), F32, 1, &B));
}

/* ---- the stochastic activation --------------------------------------------------- */

bool sae_make_gates(Sae *s, Err *err)
{
    int64_t dim[2] = {3 * HIDDEN + 1, s->M};
    Tensor t;
    if (!tensor_new(F32, 2, dim, &t, err))
        return false;
    RngKey key = {.seed = (uint64_t)s->cfg.seed, .stream = rng_stream("sae.gates")};
    float *v = t.data, out = 1 / sqrtf(HIDDEN);
    rng_normal_f32(key, 0, 2 * HIDDEN * s->M, 0, 1, v);
    rng_normal_f32(key, 2 * HIDDEN * s->M, HIDDEN * s->M, 0, out,
                   v + 2 * HIDDEN * s->M);
    for (int64_t m = 0; m < s->M; m++)
        v[3 * HIDDEN * s->M + m] = 0.5f;
    bool ok = tset_add(s->params, "gates", &t, err);
    tensor_release(&t);
    return ok;
}

/* Before squashing. Pre-activations of inputs of length 1 are about 1/sqrt(D). */
static Val importance(Sae *s, Graph *g, Val u)
{
    Val in[2] = {g_scale(g, u, sqrt((double)s->D)), sae_param(s, g, "gates")};
    return g_call(g, "gate_mlp", in, 2, NULL);
}

static Val clamped(Graph *g, Val z)
{
    return g_call(g, "gated_clamp", &z, 1, &(OpAttr){.f = {0.01}});
}

static Val power_now(Sae *s, Graph *g)
{
    double steps = fmax(1, power_until * (double)s->cfg.steps);
    Val clock = graph_state(g, "clock", tset_get(s->states, "clock"));
    Val part = g_scale(g, clock, 1 / steps);
    part = g_call(g, "clamp", &part, 1,
                  &(OpAttr){
                      .f = {0, 1}
    });
    return g_shift(g, g_scale(g, part, last_power - first_power), first_power);
}

static Val squared(SaeForm *t, Val y)
{
    return g_scale(t->g, g_binary(t->g, "mse", t->y, y), (double)t->s->O);
}

void sae_train_stochastic(SaeForm *t)
{
    Graph *g = t->g;
    Val z = importance(t->s, g, t->u), low = clamped(g, z);
    OpAttr how = {.text = "sae.mask"};
    Val in_mask[5] = {t->u, low, VAL_NONE, VAL_NONE, VAL_NONE};
    t->f = g_call(g, "spd_mask", in_mask, 5, &how);
    t->code = g_mul(g, t->u, low);
    OpAttr squash = {
        .f = {1e-8, 0.01, 0}
    };
    Val in[2] = {z, power_now(t->s, g)};
    t->penalty =
        g_scale(g, g_sum(g, g_call(g, "spd_power", in, 2, &squash)), 1 / (double)t->B);
    t->extra =
        g_add(g, g_scale(g, squared(t, sae_write(t->s, g, t->code, t->x)), also_low),
              g_scale(g, squared(t, sae_write(t->s, g, t->u, t->x)), also_all));
}

Val sae_infer_stochastic(Sae *s, Graph *g, Val u)
{
    return g_mul(g, u, clamped(g, importance(s, g, u)));
}

/* ---- latents that start again ---------------------------------------------------- */

void sae_resample(Sae *s, Graph *g)
{
    static const char *const name[] = {"encoder", "encoder_bias", "decoder"};
    Val in[4 + 9];
    OpAttr a = {
        .i = {s->cfg.resample, (int64_t)(share_of_steps * (double)s->cfg.steps)},
        .f = { 0,              0,                        (double)s->cfg.dead_after}
    };
    in[0] = graph_state(g, "clock", tset_get(s->states, "clock"));
    in[1] = graph_state(g, "silence", tset_get(s->states, "silence"));
    in[2] = s->seen_x;
    in[3] = s->seen_error;
    for (int k = 0; k < 3; k++) {
        char moment[64];
        in[4 + k] = sae_param(s, g, name[k]);
        snprintf(moment, sizeof moment, "%s%s.m", s->prefix, name[k]);
        in[7 + k] = graph_find_state(g, moment);
        moment[strlen(moment) - 1] = 'v';
        in[10 + k] = graph_find_state(g, moment);
    }
    g_call(g, "start_again", in, 13, &a);
}
