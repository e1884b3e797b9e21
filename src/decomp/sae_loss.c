/* sae_loss.c -- the training graph. What changes from step to step without a gradient
 * (silence of latents, the controller) are states that the graph assigns after it has
 * read them, so a checkpoint holds all of it. */
#include <math.h>
#include <string.h>

#include "decomp/sae_int.h"
#include "graph/build.h"

static const double floor_theta = 1e-6;
static const double pull_weight = 10;
/* The controller. Its integral can travel as far in a short run as in a long one. */
static const double pi_p = 1.5, pi_i = 0.002, pi_keep = 0.99, pi_travel = 10;
enum { PI_START = 50, PI_BATCH = 64 };
static const double least_weight = 1e-8, most_weight = 1e3;

static Val state(Sae *s, Graph *g, const char *name)
{
    return graph_state(g, name, tset_get(s->states, name));
}

static Val clamp(Graph *g, Val x, double lo, double hi)
{
    OpAttr a = {
        .f = {lo, hi}
    };
    return g_call(g, "clamp", &x, 1, &a);
}

static Val above(Graph *g, Val x, double k)
{
    return g_binary(g, "gt", x, g_num(g, x, k));
}

/* ---- reconstruction -------------------------------------------------------------- */

/* |a - b|^2 summed over dimensions, mean over the batch. */
static Val squared(SaeForm *t, Val a, Val b)
{
    return g_scale(t->g, g_binary(t->g, "mse", a, b), (double)t->s->O);
}

static Val rows_of(Graph *g, Val x, int axis, int64_t first, int64_t end)
{
    OpAttr a = {
        .i = {axis, first, end, 1}
    };
    return g_call(g, "slice", &x, 1, &a);
}

/* Mean over nested prefixes; t->out is the last of them. */
static Val nested(SaeForm *t, Val base)
{
    enum { LEVELS = 4 };
    Graph *g = t->g;
    int64_t from = 0;
    Val sum = VAL_NONE, y = base;
    for (int k = LEVELS - 1; k >= 0; k--) {
        int64_t to = t->s->M >> k;
        if (to == from)
            continue;
        y = g_add(g, y,
                  sae_times(t->s, g, rows_of(g, t->f, 1, from, to),
                            rows_of(g, t->dec, 0, from, to), VAL_NONE));
        Val one = squared(t, t->y, y);
        sum = sum == VAL_NONE ? one : g_add(g, sum, one);
        from = to;
    }
    t->out = y;
    return g_scale(g, sum, 1.0 / LEVELS);
}

static Val reconstruction(SaeForm *t)
{
    Sae *s = t->s;
    Graph *g = t->g;
    if (!strcmp(s->act->name, "matryoshka") && s->M >= 8) {
        Val base = t->dec_b;
        if (s->cfg.skip)
            base = g_add(g, base, g_linear(g, t->x, sae_param(s, g, "skip"), VAL_NONE));
        return nested(t, base);
    }
    t->out = sae_write(s, g, t->f, t->x);
    return squared(t, t->y, t->out);
}

/* ---- dead latents ---------------------------------------------------------------- */

/* What a pre-activation must exceed to be part of the code: the threshold, or the
 * smallest that a selection kept in this batch. */
static Val bar(SaeForm *t)
{
    Graph *g = t->g;
    if (t->theta != VAL_NONE)
        return g_stop(g, t->theta);
    if (!(t->s->act->flags & ACT_K))
        return g_num(g, t->u, 0);
    Val f = g_abs(g, g_stop(g, t->f));
    OpAttr all = {
        .i = {OP_AXIS_NONE, 0}
    };
    Val in[3] = {above(g, f, 0), f, g_num(g, f, 1e30)},
        kept = g_call(g, "where", in, 3, NULL);
    return clamp(g, g_call(g, "min", &kept, 1, &all), 0, 1e4);
}

/* The residual, held fixed, from latents that have been silent; in units of its
 * variance (arXiv 2406.04093). That alone gives a latent pre-activations of the size of
 * the residual, which a selection among larger ones never takes; so pre-activations of
 * the silent are pulled up to the bar, too. Live latents get no gradient: they are 0
 * here. */
static Val revive(SaeForm *t, Val silence)
{
    Graph *g = t->g;
    Sae *s = t->s;
    int64_t k = s->cfg.k_aux ? s->cfg.k_aux : (s->O + 1) / 2;
    bool with_sign = s->act->flags & ACT_SIGNED;
    OpAttr pick = {.i = {k < s->M ? k : s->M}}, batch = {0};
    Val dead = above(g, silence, (double)s->cfg.dead_after);
    Val low = g_sub(g, bar(t), with_sign ? g_abs(g, t->u) : t->u);
    Val below = g_mean(g, g_mul(g, g_relu(g, low), dead));
    Val pulled = g_scale(g, below, pull_weight);
    if (with_sign) /* the fit would make them smaller still: 47 % dead became 78 % */
        return pulled;
    Val u = g_mul(g, t->u, dead), f = g_call(g, "sparse_topk", &u, 1, &pick);
    Val e = g_stop(g, g_sub(g, t->y, t->out));
    Val var = g_sum(g, g_call(g, "var", &e, 1, &batch));
    Val fit = g_div(g, squared(t, e, sae_times(s, g, f, t->dec, VAL_NONE)),
                    g_shift(g, g_stop(g, var), 1e-12));
    return g_add(g, fit, pulled);
}

static Val counted(const SaeForm *t)
{
    return t->code == VAL_NONE ? t->f : t->code;
}

static void count_silence(SaeForm *t, Val silence)
{
    Graph *g = t->g;
    Val in[3] = {g_unary(g, "sparse_used", g_stop(g, counted(t))), g_num(g, silence, 0),
                 clamp(g, g_shift(g, silence, (double)t->B), 0, 1e7)};
    graph_assign(g, silence, g_call(g, "where", in, 3, NULL));
}

/* ---- how sparse ------------------------------------------------------------------ */

/* How much of the average L0 a step keeps. It is over as many examples whatever the
 * batch, from PI_BATCH on: an average that is older than it must be sees the aim passed
 * too late, and latents that die of it stay dead. */
static double kept(const SaeForm *t)
{
    return pow(pi_keep, fmax(1, (double)t->B / PI_BATCH));
}

/* lambda = lambda_0 exp(I + kp e) with e the relative error of the averaged L0. */
static Val controlled(SaeForm *t, Val l0, Val clock)
{
    Graph *g = t->g;
    Sae *s = t->s;
    Val mean = state(s, g, "l0"), sum = state(s, g, "integral");
    Val first = g_binary(g, "eq", clock, g_num(g, clock, 0));
    Val keep = g_scale(g, g_sub(g, g_num(g, clock, 1), first), kept(t));
    Val now = g_add(g, g_mul(g, keep, mean),
                    g_mul(g, g_sub(g, g_num(g, clock, 1), keep), l0));
    Val e = g_scale(g, g_shift(g, now, -s->cfg.l0), 1 / s->cfg.l0);
    e = g_mul(g, clamp(g, e, -1, 1), above(g, clock, PI_START));
    Val total =
        g_add(g, sum, g_scale(g, e, fmax(pi_i, pi_travel / (double)s->cfg.steps)));
    Val power = g_exp(g, g_add(g, total, g_scale(g, e, pi_p)));
    Val lambda =
        clamp(g, g_scale(g, power, s->cfg.sparsity), least_weight, most_weight);
    graph_assign(g, mean, now);
    graph_assign(g, sum, total);
    return lambda;
}

double sae_weight(const Sae *s)
{
    const SaeCfg *c = &s->cfg;
    double clock = tensor_item(tset_get(s->states, "clock"));
    if (c->l0 <= 0 || strcmp(c->control, "pi") || clock < 1)
        return c->sparsity;
    double off = tensor_item(tset_get(s->states, "l0")) / c->l0 - 1;
    double sum = tensor_item(tset_get(s->states, "integral"));
    double weight = c->sparsity * exp(sum + pi_p * fmax(-1, fmin(1, off)));
    return fmax(least_weight, fmin(most_weight, weight));
}

/* The sparsity term in units of the total variance, or VAL_NONE. */
static Val sparsity(SaeForm *t, Val clock)
{
    Graph *g = t->g;
    const SaeCfg *c = &t->s->cfg;
    if (t->penalty == VAL_NONE)
        return VAL_NONE;
    if (c->l0 > 0 && !strcmp(c->control, "quadratic")) {
        Val off = g_shift(g, g_scale(g, t->penalty, 1 / c->l0), -1);
        return g_scale(g, g_square(g, off), c->sparsity);
    }
    Val weight = g_num(g, t->penalty, c->sparsity);
    if (c->l0 > 0 && !strcmp(c->control, "pi")) {
        Val code = g_stop(g, counted(t));
        Val on = g_binary(g, "ne", code, g_num(g, code, 0));
        weight = controlled(t, g_scale(g, g_sum(g, on), 1 / (double)t->B), clock);
    }
    if (c->warmup > 0) {
        Val part = g_scale(g, g_shift(g, clock, 1), 1 / (double)c->warmup);
        weight = g_mul(g, weight, clamp(g, part, 0, 1));
    }
    return g_mul(g, g_stop(g, weight), t->penalty);
}

/* ---- the loss -------------------------------------------------------------------- */

static void begin(SaeForm *t, Sae *s, Graph *g, Val idx, SaeScaled *in, Val *raw)
{
    bool fed = sae_is_fed(s);
    Val x = g_binary(g, "gather", graph_const(g, fed ? &s->window_x : &s->x), idx);
    *raw = x;
    if (s->own_target)
        *raw = g_binary(g, "gather", graph_const(g, fed ? &s->window_y : &s->y), idx);
    *in = sae_norm_in(s, g, x);
    *t = (SaeForm){.s = s,
                   .g = g,
                   .x = in->x,
                   .penalty = VAL_NONE,
                   .extra = VAL_NONE,
                   .code = VAL_NONE};
    t->B = graph_ok(g) ? graph_spec(g, x).dim[0] : 1;
    t->y = s->own_target ? sae_norm_target(s, g, in, *raw) : in->x;
    t->dec = sae_param(s, g, "decoder");
    t->dec_b = sae_param(s, g, "decoder_bias");
    t->theta = s->act->flags & ACT_TRAINED ? sae_param(s, g, "threshold") : VAL_NONE;
    t->u = sae_pre(s, g, in->x);
}

Val sae_loss(void *ctx, Graph *g, Val idx)
{
    Sae *s = ctx;
    SaeForm t;
    SaeScaled in;
    Val raw, clock = state(s, g, "clock"), silence = state(s, g, "silence");
    begin(&t, s, g, idx, &in, &raw);
    if (!graph_ok(g))
        return VAL_NONE;
    s->act->train(&t);
    Val error = reconstruction(&t), sparse = sparsity(&t, clock);
    if (t.extra != VAL_NONE)
        error = g_add(g, error, t.extra);
    Val loss = g_scale(g, error, 1 / s->variance);
    if (sparse != VAL_NONE)
        loss = g_add(g, loss, sparse);
    if (s->cfg.resample > 0) {
        s->graph = graph_id(g);
        s->seen_x = g_stop(g, s->own_target ? t.x : g_sub(g, t.x, t.dec_b));
        s->seen_error = g_stop(g, g_sub(g, t.y, t.out));
    }
    if (s->cfg.aux > 0 && !(s->act->flags & ACT_DRAWN))
        loss = g_add(g, loss, g_scale(g, revive(&t, silence), s->cfg.aux));
    if (s->cfg.kl > 0) {
        Val kl = g_binary(g, "kl_div", raw, sae_norm_back(s, g, &in, t.out));
        loss = g_add(g, loss, g_scale(g, kl, s->cfg.kl));
    }
    count_silence(&t, silence);
    graph_assign(g, clock, g_shift(g, clock, 1));
    return loss;
}

/* ---- around the step ------------------------------------------------------------- */

void sae_adjust(void *ctx, Graph *g, OptimParam *p, int n)
{
    Sae *s = ctx;
    for (int i = 0; i < n; i++) {
        if (s->cfg.theta_end > 0 && !strcmp(p[i].name, "threshold"))
            p[i].grad = g_scale(g, p[i].grad, 0);
        if (!s->cfg.unit || strcmp(p[i].name, "decoder"))
            continue;
        p[i].grad = g_binary(g, "tangent_rows", p[i].grad, p[i].param);
    }
    for (int i = 0; s->mask_in.data && i < n; i++)
        if (!strcmp(p[i].name, "encoder") || !strcmp(p[i].name, "decoder"))
            p[i].grad =
                g_mul(g, p[i].grad,
                      graph_const(g, p[i].name[0] == 'e' ? &s->mask_in : &s->mask_out));
}

void sae_after(void *ctx, Graph *g)
{
    Sae *s = ctx;
    if (s->cfg.resample > 0 && s->graph == graph_id(g))
        sae_resample(s, g);
    Val dec = sae_param(s, g, "decoder");
    if (s->cfg.unit)
        g_unary(g, "unit_rows", dec);
    if (s->act->flags & ACT_TRAINED) {
        Val theta = sae_param(s, g, "threshold");
        if (s->cfg.theta_end > 0) {
            sae_follow_line(s, g, theta);
            return;
        }
        graph_assign(g, theta, clamp(g, theta, floor_theta, 1e30));
    }
}
