/* spd_pass.c -- the network as it is, and with components in place of layers. Both are
 * the network's own builder with a hook at the layers' sites. Before the first layer
 * that a pass replaces, everything is as in the network, so its activations, which the
 * importance functions made already, are used again: one product x V serves all passes.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "decomp/spd_int.h"
#include "graph/build.h"

static bool is_site(const char *site, const char *layer, const char *end)
{
    size_t n = strlen(layer);
    return !strncmp(site, layer, n) && !strcmp(site + n, end);
}

/* The layer whose site this is and whether it is the input; -1: of none. */
static int layer_at(const Spd *s, const char *site, bool *in)
{
    for (int l = 0; l < s->target.n_layers; l++) {
        const SpdLayer *y = &s->target.layer[l];
        *in = is_site(site, y->name, ".in");
        bool out = y->out_site[0] ? !strcmp(site, y->out_site)
                                  : is_site(site, y->name, ".pre");
        if (*in || out)
            return l;
    }
    return -1;
}

/* ---- as it is -------------------------------------------------------------------- */

static Val see(Graph *g, const char *site, Val v, void *ctx)
{
    SpdForm *f = ctx;
    bool in;
    int l = layer_at(f->s, site, &in);
    (void)g;
    if (l >= 0)
        *(in ? &f->seen[l].in : &f->seen[l].pre) = v;
    return v;
}

static Val squash(SpdForm *f, int l)
{
    Spd *s = f->s;
    Graph *g = f->g;
    Val z = f->seen[l].z;
    if (!strcmp(s->cfg.sampling, "binomial") && graph_ok(g)) {
        char stream[48];
        Spec p = graph_spec(g, z);
        snprintf(stream, sizeof stream, "%s.open.%d", f->stream, l);
        OpAttr a;
        const OpRow *row = op_find("uniform");
        op_attr_defaults(row, &a);
        a.n_list = 2;
        memcpy(a.list, p.dim, sizeof a.list);
        snprintf(a.text, sizeof a.text, "%s", stream);
        Val u = graph_op(g, row, NULL, 0, &a);
        z = g_sub(g, g_scale(g, z, 1.05), g_scale(g, u, 0.05));
    }
    bool leaky = !strcmp(s->cfg.sigmoid, "leaky");
    OpAttr a = {.f = {0.01}};
    return g_call(g, leaky ? "leaky_clamp" : "gated_clamp", &z, 1, &a);
}

static bool see_layer(SpdForm *f, int l)
{
    Spd *s = f->s;
    Graph *g = f->g;
    SpdSeen *e = &f->seen[l];
    const SpdLayer *y = &s->target.layer[l];
    if (e->in == VAL_NONE || e->pre == VAL_NONE) {
        graph_fail(g, ERR_OPTION, "the network has no sites '%s.in' and '%s%s'",
                   y->name, y->out_site[0] ? y->out_site : y->name,
                   y->out_site[0] ? "" : ".pre");
        return false;
    }
    e->V = spd_V(s, g, l);
    e->U = spd_U(s, g, l);
    e->rows = y->kind->to_rows(y, g, e->pre);
    e->a = y->kind->acts(y, g, e->in, e->V);
    if (!graph_ok(g))
        return false;
    e->P = graph_spec(g, e->a).dim[0];
    e->z = s->ci->apply(s, g, l, e->in, e->a);
    e->g = squash(f, l);
    return graph_ok(g);
}

bool spd_form(SpdForm *f, Spd *s, Graph *g, Val x, int64_t total, const char *stream)
{
    *f = (SpdForm){.s = s, .g = g, .x = x, .stream = stream};
    for (int l = 0; l < s->target.n_layers; l++)
        f->seen[l] = (SpdSeen){.in = VAL_NONE, .pre = VAL_NONE};
    if (!graph_ok(g))
        return false;
    f->B = graph_spec(g, x).dim[0];
    f->total = total > 0 ? total : f->B;
    graph_set_hook(g, see, f);
    f->out = s->target.forward(s->target.ctx, g, x);
    graph_set_hook(g, NULL, NULL);
    for (int l = 0; l < s->target.n_layers; l++)
        if (!graph_ok(g) || !see_layer(f, l))
            return false;
    return true;
}

/* ---- with components ------------------------------------------------------------- */

typedef struct Swap {
    SpdForm *f;
    SpdPass *p;
    bool changed; /* a layer has been replaced */
} Swap;

void spd_pass_init(SpdPass *p, SpdMask m, const char *fmt, ...)
{
    va_list ap;
    *p = (SpdPass){.mask = m, .layers = ~0u, .route = VAL_NONE};
    for (int l = 0; l < SPD_MAX_LAYERS; l++)
        p->r[l] = p->d[l] = p->in[l] = VAL_NONE;
    va_start(ap, fmt);
    vsnprintf(p->stream, sizeof p->stream, fmt, ap);
    va_end(ap);
}

static Val drawn(SpdForm *f, const SpdPass *p, const char *what, int l, int ndim,
                 const int64_t *dim)
{
    OpAttr a;
    const OpRow *row = op_find("uniform");
    op_attr_defaults(row, &a);
    a.n_list = ndim;
    memcpy(a.list, dim, sizeof *dim * (size_t)ndim);
    snprintf(a.text, sizeof a.text, "%s.%s%d", p->stream, what, l);
    return graph_op(f->g, row, NULL, 0, &a);
}

/* A value for each example [B] as one for each position [P]. */
static Val by_position(SpdForm *f, Val v, int64_t P)
{
    Graph *g = f->g;
    int64_t each = P / f->B;
    if (each == 1 || !graph_ok(g))
        return v;
    OpAttr a = {
        .n_list = 2, .list = {f->B, each}
    };
    v = g_reshape(g, v, 2, (int64_t[]){f->B, 1});
    return g_reshape(g, g_call(g, "broadcast_to", &v, 1, &a), 1, &P);
}

static Val route_of(SpdForm *f, const SpdPass *p, int l)
{
    if (p->route == VAL_NONE)
        return VAL_NONE;
    OpAttr a = {
        .i = {0, l, l + 1, 1}
    };
    Val row = g_call(f->g, "slice", &p->route, 1, &a);
    return by_position(f, g_reshape(f->g, row, 1, &f->B), f->seen[l].P);
}

static Val column(Graph *g, Val v, int64_t P)
{
    return g_reshape(g, v, 2, (int64_t[]){P, 1});
}

/* Activations under the masks of pass p; VAL_NONE: all zero. d may be absent. */
static Val masked(SpdForm *f, const SpdPass *p, int l, Val a, Val q, Val d)
{
    Graph *g = f->g;
    const SpdSeen *e = &f->seen[l];
    Val m = VAL_NONE;
    switch (p->mask) {
    case SPD_MASK_STOCHASTIC: {
        OpAttr at = {
            .i = {0, !strcmp(f->s->cfg.sampling, "binomial")}
        };
        snprintf(at.text, sizeof at.text, "%s.r%d", p->stream, l);
        return g_call(g, "spd_mask", (Val[]){a, e->g, q, d, p->r[l]}, 5, &at);
    }
    case SPD_MASK_CI: m = g_mul(g, a, e->g); break;
    case SPD_MASK_RANDOM:
        m = g_mul(g, a, drawn(f, p, "r", l, 2, (int64_t[]){e->P, f->s->part[l].C}));
        break;
    case SPD_MASK_ROUNDED:
        m = g_mul(g, a, g_binary(g, "gt", e->g, g_num(g, e->g, f->s->cfg.tau)));
        break;
    case SPD_MASK_ONES: m = a; break;
    default: return VAL_NONE;
    }
    return q == VAL_NONE ? m : g_mul(g, m, column(g, q, e->P));
}

/* y = (a q (m - d)) U + e (v - b) + b as rows. */
static Val replaced(SpdForm *f, SpdPass *p, int l, Val a, Val v)
{
    Graph *g = f->g;
    const SpdSeen *s = &f->seen[l];
    const SpdLayer *y = &f->s->target.layer[l];
    Val q = route_of(f, p, l), d = p->d[l], e = VAL_NONE;
    if (p->delta && d == VAL_NONE)
        d = drawn(f, p, "d", l, 1, &s->P);
    if (q != VAL_NONE) /* e = 1 - q, plus q d */
        e = g_shift(
            g, g_neg(g, d == VAL_NONE ? q : g_mul(g, q, g_shift(g, g_neg(g, d), 1))),
            1);
    else
        e = d;
    Val am = masked(f, p, l, a, q, d), out = VAL_NONE;
    Val b = y->bias.data ? graph_const(g, &y->bias) : VAL_NONE;
    if (am != VAL_NONE)
        out = g_matmul(g, am, s->U, false, false);
    if (e != VAL_NONE) {
        Val kept = b == VAL_NONE ? v : g_sub(g, v, b);
        kept = g_mul(g, kept, column(g, e, s->P));
        out = out == VAL_NONE ? kept : g_add(g, out, kept);
    }
    if (out == VAL_NONE)
        out = g_scale(g, v, 0);
    return b == VAL_NONE ? out : g_add(g, out, b);
}

static Val swap(Graph *g, const char *site, Val v, void *ctx)
{
    Swap *w = ctx;
    SpdForm *f = w->f;
    SpdPass *p = w->p;
    bool in;
    int l = layer_at(f->s, site, &in);
    if (l < 0 || !graph_ok(g))
        return v;
    const SpdLayer *y = &f->s->target.layer[l];
    if (in) {
        p->in[l] = w->changed ? v : f->seen[l].in;
        return p->in[l];
    }
    if (!(p->layers >> l & 1))
        return w->changed ? v : f->seen[l].pre;
    Val a = w->changed ? y->kind->acts(y, g, p->in[l], f->seen[l].V) : f->seen[l].a;
    Val rows = w->changed ? y->kind->to_rows(y, g, v) : f->seen[l].rows;
    w->changed = true;
    return y->kind->from_rows(y, g, replaced(f, p, l, a, rows), f->seen[l].pre);
}

Val spd_pass(SpdForm *f, SpdPass *p)
{
    Swap w = {.f = f, .p = p};
    if (p->mask == SPD_MASK_TARGET || !graph_ok(f->g))
        return f->out;
    graph_set_hook(f->g, swap, &w);
    Val out = f->s->target.forward(f->s->target.ctx, f->g, f->x);
    graph_set_hook(f->g, NULL, NULL);
    return out;
}

Val spd_divergence(SpdForm *f, Val out)
{
    Graph *g = f->g;
    double part = (double)f->B / (double)f->total;
    Val d = !strcmp(f->s->cfg.output, "kl")
                ? g_binary(g, "kl_div", f->out, out)
                : g_mean(g, g_square(g, g_sub(g, out, f->out)));
    return part == 1 ? d : g_scale(g, d, part);
}
