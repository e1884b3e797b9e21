/* sae_anneal.c -- how a training starts and what is changed along it by the step number
 * alone: the first weights, the first thresholds from the data's own distribution, the
 * width of the kernel, and thresholds that follow a line. A width that changes is not an
 * attribute of the gates: with s = width / width(t), a gate of u s and theta s with the
 * constant width has the gradients of one of u and theta with width(t). */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "decomp/sae_int.h"
#include "graph/build.h"
#include "tensor/rng.h"

static const double along = 0.8; /* of the steps; then both stay at their end */

/* 0 at the first step, 1 from `along` of the steps on. */
static Val progress(Sae *s, Graph *g)
{
    OpAttr unit = {
        .f = {0, 1}
    };
    double steps = fmax(1, along * (double)s->cfg.steps);
    Val clock = graph_state(g, "clock", tset_get(s->states, "clock"));
    Val part = g_scale(g, clock, 1 / steps);
    return g_call(g, "clamp", &part, 1, &unit);
}

Val sae_sharpness(Sae *s, Graph *g)
{
    if (s->cfg.width_end <= 0 || s->cfg.width_end == s->cfg.width)
        return VAL_NONE;
    return g_exp(g, g_scale(g, progress(s, g), log(s->cfg.width / s->cfg.width_end)));
}

void sae_follow_line(Sae *s, Graph *g, Val theta)
{
    double first = s->cfg.theta, last = s->cfg.theta_end;
    Val now = g_shift(g, g_scale(g, progress(s, g), last - first), first);
    graph_assign(g, theta, g_add(g, g_scale(g, theta, 0), now));
}

/* ---- starts ---------------------------------------------------------------------- */

static void fill_uniform(Sae *s, const char *name, double fan_in)
{
    const Tensor *t = tset_get(s->params, name);
    char stream[64] = "sae.uniform.";
    strncat(stream, name, sizeof stream - strlen(stream) - 1);
    RngKey key = {.seed = (uint64_t)s->cfg.seed, .stream = rng_stream(stream)};
    float bound = (float)(1 / sqrt(fan_in));
    rng_uniform_f32(key, 0, tensor_count(t), -bound, bound, t->data);
}

static int ascending(const void *a, const void *b)
{
    float p = *(const float *)a, q = *(const float *)b;
    return (p > q) - (p < q);
}

typedef struct Columns {
    float *at; /* [M,n] */
    int64_t n, M;
} Columns;

static bool keep_columns(void *ctx, const SaeRows *r, Err *err)
{
    const Columns *c = ctx;
    (void)err;
    for (int64_t i = 0; i < r->n; i++)
        for (int64_t m = 0; m < c->M; m++)
            c->at[m * c->n + r->first + i] = r->u[i * c->M + m];
    return true;
}

/* Each threshold where the share of examples above it is theta_share; at least theta,
 * so that none starts below 0. */
static bool from_percentile(Sae *s, Err *err)
{
    Tensor head;
    Columns c = {.n = s->N < SAE_HEAD ? s->N : SAE_HEAD, .M = s->M};
    int64_t keep = llround(s->cfg.theta_share * (double)c.n);
    c.at = mem_alloc(sizeof *c.at * (size_t)(c.n * c.M), err);
    if (!c.at || !tensor_slice(&s->x, 0, 0, c.n, 1, &head, err)) {
        mem_free(c.at);
        return false;
    }
    bool ok = sae_each(s, &head, 0, keep_columns, &c, err);
    for (int64_t m = 0; ok && m < s->M; m++) {
        float *u = c.at + m * c.n;
        qsort(u, (size_t)c.n, sizeof *u, ascending);
        double below = keep < c.n ? (double)u[c.n - 1 - keep] : s->cfg.theta;
        ((float *)s->theta.data)[m] = (float)fmax(below, s->cfg.theta);
    }
    tensor_release(&head);
    mem_free(c.at);
    return ok;
}

typedef struct Picked {
    Sae *s;
    RngKey key;
    double *row; /* [D] */
} Picked;

static bool take_examples(void *ctx, int64_t first, int64_t n, const float *x,
                          const float *y, Err *err)
{
    const Picked *p = ctx;
    Sae *s = p->s;
    float *enc = tset_get(s->params, "encoder")->data;
    float *dec = tset_get(s->params, "decoder")->data;
    const float *mean = tset_get(s->params, "decoder_bias")->data;
    (void)y;
    (void)err;
    for (int64_t m = 0; m < s->M; m++) {
        int64_t i = rng_below(p->key, m, s->N) - first;
        double sum = 0;
        if (i < 0 || i >= n)
            continue;
        sae_norm_row(s, x + i * s->D, x + i * s->D, p->row);
        for (int64_t d = 0; d < s->D; d++) {
            p->row[d] -= (double)mean[d];
            sum += p->row[d] * p->row[d];
        }
        for (int64_t d = 0; sum > 0 && d < s->D; d++)
            enc[m * s->D + d] = dec[m * s->D + d] = (float)(p->row[d] / sqrt(sum));
    }
    return true;
}

/* Each latent reads and writes the direction of a random example from the mean. */
static bool from_examples(Sae *s, Err *err)
{
    if (s->own_target)
        return err_set(err, ERR_OPTION,
                       "start = \"examples\" is for activations that are their own "
                       "target");
    Picked p = {.s = s,
                .key = {.seed = (uint64_t)s->cfg.seed,
                        .stream = rng_stream("sae.examples")}};
    p.row = mem_alloc(sizeof *p.row * (size_t)s->D, err);
    bool ok = p.row && sae_rows(s, take_examples, &p, err);
    mem_free(p.row);
    return ok;
}

bool sae_start(Sae *s, Err *err)
{
    if (!strcmp(s->cfg.start, "examples") && !from_examples(s, err))
        return false;
    if (!strcmp(s->cfg.start, "uniform")) {
        fill_uniform(s, "encoder", (double)s->D);
        fill_uniform(s, "encoder_bias", (double)s->D);
        fill_uniform(s, "decoder", (double)s->M);
        fill_uniform(s, "decoder_bias", (double)s->M);
    }
    bool trained = s->act->flags & ACT_TRAINED;
    if (s->cfg.theta_share > 0 && !trained)
        return err_set(err, ERR_OPTION,
                       "theta_share sets trained thresholds; %s has none",
                       s->act->name);
    if (s->cfg.theta_end > 0 && !trained)
        return err_set(err, ERR_OPTION,
                       "theta_end moves thresholds; %s has none to move", s->act->name);
    return s->cfg.theta_share <= 0 || from_percentile(s, err);
}
