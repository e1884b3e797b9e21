/* spd_loss.c -- the losses as rows. A reconstruction loss is a kind of mask and a plan
 * of which layers are replaced; it is the mean over its passes. Every pass, sample and
 * layer draws masks of its own. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "decomp/spd_int.h"
#include "graph/build.h"

/* ---- schedules and routing ------------------------------------------------------- */

Val spd_clock(SpdForm *f)
{
    if (strcmp(f->stream, "train"))
        return VAL_NONE;
    Val t = graph_find_input(f->g, "t");
    if (t == VAL_NONE)
        t = graph_input(f->g, "t", F32, 0, NULL);
    return g_shift(f->g, t, -1);
}

Val spd_route(SpdForm *f, const char *stream)
{
    const SpdCfg *c = &f->s->cfg;
    OpAttr a;
    const OpRow *row = op_find("spd_route");
    op_attr_defaults(row, &a);
    a.i[0] = f->s->target.n_layers;
    a.i[1] = f->B;
    a.f[2] = strcmp(c->routing, "static") ? 0 : c->route_p;
    snprintf(a.text, sizeof a.text, "%s.route", stream);
    return graph_op(f->g, row, NULL, 0, &a);
}

/* The exponent of importance minimality as a scalar. */
static Val exponent(SpdForm *f)
{
    const SpdCfg *c = &f->s->cfg;
    Graph *g = f->g;
    bool fixed = c->p_final == 0 || c->p_start >= 1;
    Val now = fixed ? VAL_NONE : spd_clock(f);
    if (now == VAL_NONE)
        return graph_number(g, F32, fixed ? c->p : c->p_final);
    double from = c->p_start * (double)c->steps, to = c->p_end * (double)c->steps;
    double span = to > from ? to - from : 1;
    OpAttr a = {
        .f = {0, 1}
    };
    Val w = g_scale(g, g_shift(g, now, -from), 1 / span);
    w = g_call(g, "clamp", &w, 1, &a);
    return g_shift(g, g_scale(g, w, c->p_final - c->p), c->p);
}

/* ---- reconstruction -------------------------------------------------------------- */

static Val add(Graph *g, Val sum, Val v)
{
    return sum == VAL_NONE ? v : g_add(g, sum, v);
}

static Val recon(SpdForm *f, const SpdLossRow *row)
{
    Spd *s = f->s;
    bool random = row->mask == SPD_MASK_STOCHASTIC;
    int samples = random ? (int)s->cfg.samples : 1, passes = 0;
    int each = row->plan == SPD_LAYERWISE ? s->target.n_layers : 1;
    Val sum = VAL_NONE;
    for (int k = 0; k < samples; k++)
        for (int l = 0; l < each; l++, passes++) {
            SpdPass p;
            spd_pass_init(&p, row->mask, "%s.%s.%d", f->stream, row->name, passes);
            p.delta = random && s->cfg.delta;
            if (row->plan == SPD_LAYERWISE)
                p.layers = 1u << l;
            if (row->plan == SPD_SUBSET)
                p.route = spd_route(f, p.stream);
            sum = add(f->g, sum, spd_divergence(f, spd_pass(f, &p)));
        }
    return g_scale(f->g, sum, 1.0 / passes);
}

static Val hidden_acts(SpdForm *f, const SpdLossRow *row)
{
    Spd *s = f->s;
    Graph *g = f->g;
    Val sum = VAL_NONE;
    double count = 0;
    for (int k = 0; k < s->cfg.samples; k++) {
        SpdPass p;
        spd_pass_init(&p, row->mask, "%s.%s.%d", f->stream, row->name, k);
        p.delta = s->cfg.delta;
        spd_pass(f, &p);
        for (int l = 0; l < s->target.n_layers && graph_ok(g); l++) {
            Spec in = graph_spec(g, p.in[l]);
            Val e = g_sub(g, p.in[l], f->seen[l].in);
            sum = add(g, sum, g_sum(g, g_square(g, e)));
            count += (double)spec_count(&in) * (double)f->total / (double)f->B;
        }
    }
    return g_scale(g, sum, 1 / (count > 0 ? count : 1));
}

/* ---- the rest -------------------------------------------------------------------- */

static Val faithfulness(SpdForm *f, const SpdLossRow *row)
{
    Spd *s = f->s;
    Graph *g = f->g;
    Val sum = VAL_NONE;
    double count = 0;
    (void)row;
    for (int l = 0; l < s->target.n_layers; l++) {
        const SpdPart *p = &s->part[l];
        if (p->own != l)
            continue;
        Val one = g_sum(g, g_square(g, spd_delta(s, g, l)));
        sum = add(g, sum, g_scale(g, one, p->sharers));
        count += (double)(p->d_in * p->d_out * p->sharers);
    }
    return g_scale(g, sum, 1 / count);
}

static Val importance(SpdForm *f, const SpdLossRow *row)
{
    const SpdCfg *c = &f->s->cfg;
    Graph *g = f->g;
    Val p = exponent(f), loss = VAL_NONE;
    (void)row;
    for (int l = 0; l < f->s->target.n_layers; l++) {
        const SpdSeen *e = &f->seen[l];
        double each = (double)(e->P / f->B), n = (double)f->total * each;
        OpAttr a = {
            .f = {c->eps, 0.01, (double)(f->total - f->B) * each}
        };
        Val S = g_call(g, "spd_power", (Val[]){e->z, p}, 2, &a);
        Val M = g_scale(g, S, 1 / n);
        if (c->frequency > 0) {
            Val bits = g_scale(g, g_log(g, g_shift(g, S, 1)), c->frequency / M_LN2);
            M = g_mul(g, M, g_shift(g, bits, 1));
        }
        loss = add(g, loss, g_sum(g, M));
    }
    return loss;
}

static Val weights(SpdForm *f, const SpdLossRow *row)
{
    Spd *s = f->s;
    Graph *g = f->g;
    bool square = row->coefficient == offsetof(SpdCfg, l2);
    Val sum = VAL_NONE;
    double count = 0;
    for (int l = 0; l < s->target.n_layers; l++) {
        const SpdPart *p = &s->part[l];
        Val both[2] = {f->seen[l].V, f->seen[l].U};
        for (int k = 0; k < 2 && p->own == l; k++)
            sum = add(g, sum,
                      g_sum(g, square ? g_square(g, both[k]) : g_abs(g, both[k])));
        count += p->own == l ? (double)(p->C * (p->d_in + p->d_out)) : 0;
    }
    return g_scale(g, sum, 1 / count);
}

/* ---- the table ------------------------------------------------------------------- */

#define ROW(name, build, mask, plan, doc)                                              \
    {                                                                                  \
#name, doc, offsetof(SpdCfg, name), build, SPD_MASK_##mask, SPD_##plan         \
    }
const SpdLossRow spd_loss_rows[] = {
    ROW(importance, importance, TARGET, ALL,
        "Sum over components of the mean of (importance + eps)^p."),
    ROW(faithfulness, faithfulness, TARGET, ALL,
        "Mean squared difference between weights and the sum of components."),
    ROW(recon, recon, STOCHASTIC, ALL, "Output error under stochastic masks."),
    ROW(layerwise, recon, STOCHASTIC, LAYERWISE,
        "Output error under stochastic masks of one layer at a time."),
    ROW(subset, recon, STOCHASTIC, SUBSET,
        "Output error under stochastic masks of random subsets of layers."),
    ROW(ci_recon, recon, CI, ALL, "Output error with importances as masks."),
    ROW(ci_layerwise, recon, CI, LAYERWISE,
        "Output error with importances as masks of one layer at a time."),
    ROW(ci_subset, recon, CI, SUBSET,
        "Output error with importances as masks of random subsets of layers."),
    ROW(unmasked, recon, ONES, ALL, "Output error with all components in full."),
    ROW(hidden_acts, hidden_acts, STOCHASTIC, ALL,
        "Error of the layers' inputs under stochastic masks."),
    ROW(pgd, spd_loss_pgd, STOCHASTIC, ALL, "Output error under adversarial masks."),
    ROW(pgd_layerwise, spd_loss_pgd, STOCHASTIC, LAYERWISE,
        "Output error under adversarial masks of one layer at a time."),
    ROW(pgd_subset, spd_loss_pgd, STOCHASTIC, SUBSET,
        "Output error under adversarial masks of random subsets of layers."),
    ROW(l1, weights, TARGET, ALL, "Mean absolute value of V and U."),
    ROW(l2, weights, TARGET, ALL, "Mean square of V and U."),
};
const size_t spd_n_loss_rows = ARRAY_LEN(spd_loss_rows);

/* ---- the step -------------------------------------------------------------------- */

/* Room for the rows that are not zero: ten standard deviations above their mean. */
static int64_t room(const Spd *s, int64_t B)
{
    double live = s->target.live_rows, mean = (double)B * live;
    double most = mean + 10 * sqrt(mean * (1 - live)) + 16;
    int64_t rows = ((int64_t)most + 63) / 64 * 64;
    return live > 0 && (double)rows < 0.9 * (double)B ? rows : B;
}

bool spd_batch_form(SpdForm *f, Spd *s, Graph *g, Val idx, int64_t B, bool shortcut,
                    const char *stream)
{
    const SpdTarget *t = &s->target;
    Val x = t->batch(t->ctx, g, idx, B, stream);
    int64_t rows = shortcut ? room(s, B) : B;
    OpAttr a = {.i = {rows}};
    if (rows < B)
        x = g_call(g, "pack_rows", &x, 1, &a);
    return spd_form(f, s, g, x, B, stream);
}

Val spd_loss(void *ctx, Graph *g, Val idx)
{
    Spd *s = ctx;
    SpdForm f;
    Val total = VAL_NONE;
    if (!spd_batch_form(&f, s, g, idx, s->cfg.batch, s->cfg.shortcut, "train"))
        return VAL_NONE;
    for (size_t k = 0; k < spd_n_loss_rows; k++) {
        const SpdLossRow *row = &spd_loss_rows[k];
        double w;
        memcpy(&w, (const char *)&s->cfg + row->coefficient, sizeof w);
        if (w == 0)
            continue;
        Val one = row->build(&f, row);
        if (!graph_ok(g))
            return VAL_NONE;
        graph_output(g, row->name, one);
        total = add(g, total, g_scale(g, one, w));
    }
    if (total == VAL_NONE)
        return graph_fail(g, ERR_OPTION, "all losses have the coefficient 0");
    return total;
}

Val spd_faith_loss(void *ctx, Graph *g, Val idx)
{
    SpdForm f = {.s = ctx, .g = g};
    (void)idx;
    return faithfulness(&f, NULL);
}

static void clip_group(Graph *g, OptimParam *p, int n, bool ci, double most)
{
    Val sum = VAL_NONE;
    for (int i = 0; i < n; i++)
        if ((strstr(p[i].name, ".ci.") != NULL) == ci)
            sum = add(g, sum, g_unary(g, "grad_norm_sq", p[i].grad));
    OpAttr a = {.f = {most}};
    if (sum == VAL_NONE)
        return;
    Val k = g_call(g, "clip_scale", &sum, 1, &a);
    for (int i = 0; i < n; i++)
        if ((strstr(p[i].name, ".ci.") != NULL) == ci)
            p[i].grad = g_mul(g, p[i].grad, k);
}

void spd_adjust(void *ctx, Graph *g, OptimParam *p, int n)
{
    const SpdCfg *c = &((Spd *)ctx)->cfg;
    if (c->clip > 0)
        clip_group(g, p, n, false, c->clip);
    if (c->clip_ci > 0)
        clip_group(g, p, n, true, c->clip_ci);
}
