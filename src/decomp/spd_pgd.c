/* spd_pgd.c -- adversarial masks: sources in [0,1] climb the error by steps of the sign
 * of its gradient (Madry et al. 2018, arXiv 1706.06083), inside the graph; the loss is
 * the error under the sources where they end, held fixed. */
#include <stdio.h>
#include <string.h>

#include "decomp/spd_int.h"
#include "graph/build.h"

typedef struct Adversary {
    int n; /* sources in use: r of layers, then d */
    Val now[2 * SPD_MAX_LAYERS];
    int layer[2 * SPD_MAX_LAYERS];
    bool is_delta[2 * SPD_MAX_LAYERS];
} Adversary;

static Val start(SpdForm *f, const char *stream, const char *what, int l, int ndim,
                 const int64_t *dim)
{
    const char *init = f->s->cfg.pgd_init;
    bool random = !strcmp(init, "random");
    OpAttr a;
    const OpRow *row = op_find(random ? "uniform" : "full");
    op_attr_defaults(row, &a);
    a.n_list = ndim;
    memcpy(a.list, dim, sizeof *dim * (size_t)ndim);
    if (random)
        snprintf(a.text, sizeof a.text, "%s.%s%d", stream, what, l);
    else
        a.f[1] = !strcmp(init, "ones");
    return graph_op(f->g, row, NULL, 0, &a);
}

static void add_sources(SpdForm *f, const SpdPass *p, Adversary *a)
{
    Spd *s = f->s;
    for (int l = 0; l < s->target.n_layers; l++) {
        int64_t P = s->cfg.pgd_shared ? 1 : f->seen[l].P, dim[2] = {P, s->part[l].C};
        if (!(p->layers >> l & 1))
            continue;
        a->layer[a->n] = l;
        a->is_delta[a->n] = false;
        a->now[a->n++] = start(f, p->stream, "r", l, 2, dim);
        if (!p->delta)
            continue;
        a->layer[a->n] = l;
        a->is_delta[a->n] = true;
        a->now[a->n++] = start(f, p->stream, "d", l, 1, dim);
    }
}

static Val attacked(SpdForm *f, SpdPass *p, const Adversary *a)
{
    Graph *g = f->g;
    for (int k = 0; k < a->n; k++) {
        int l = a->layer[k];
        int64_t P = f->seen[l].P;
        Val v = a->now[k];
        OpAttr wide = {.n_list = 1, .list = {P}};
        if (a->is_delta[k] && f->s->cfg.pgd_shared)
            v = g_call(g, "broadcast_to", &v, 1, &wide);
        *(a->is_delta[k] ? &p->d[l] : &p->r[l]) = v;
    }
    return spd_divergence(f, spd_pass(f, p));
}

/* One climb: the sources where their error was largest. */
static void climb(SpdForm *f, SpdPass *p, Adversary *a)
{
    Graph *g = f->g;
    Val d[2 * SPD_MAX_LAYERS], loss = attacked(f, p, a);
    OpAttr unit = {
        .f = {0, 1}
    };
    if (!graph_ok(g) || !graph_grad(g, loss, a->now, a->n, d))
        return;
    for (int k = 0; k < a->n; k++) {
        Val step = g_scale(g, g_unary(g, "sign", d[k]), f->s->cfg.pgd_size);
        Val to = g_add(g, a->now[k], step);
        a->now[k] = g_stop(g, g_call(g, "clamp", &to, 1, &unit));
    }
}

static Val one_attack(SpdForm *f, const SpdLossRow *row, int l)
{
    Spd *s = f->s;
    Adversary a = {0};
    SpdPass p;
    spd_pass_init(&p, SPD_MASK_STOCHASTIC, "%s.%s.%d", f->stream, row->name, l);
    p.delta = s->cfg.delta;
    if (row->plan == SPD_LAYERWISE)
        p.layers = 1u << l;
    if (row->plan == SPD_SUBSET)
        p.route = spd_route(f, p.stream);
    add_sources(f, &p, &a);
    for (int k = 0; k < s->cfg.pgd_steps && graph_ok(f->g); k++)
        climb(f, &p, &a);
    return graph_ok(f->g) ? attacked(f, &p, &a) : VAL_NONE;
}

Val spd_loss_pgd(SpdForm *f, const SpdLossRow *row)
{
    int each = row->plan == SPD_LAYERWISE ? f->s->target.n_layers : 1;
    Val sum = VAL_NONE;
    for (int l = 0; l < each && graph_ok(f->g); l++) {
        Val one = one_attack(f, row, l);
        sum = sum == VAL_NONE ? one : g_add(f->g, sum, one);
    }
    return graph_ok(f->g) ? g_scale(f->g, sum, 1.0 / each) : VAL_NONE;
}
