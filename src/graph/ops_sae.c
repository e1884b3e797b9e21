/* ops_sae.c -- gates of sparse codes whose gradient is defined, not derived: the
 * forward is flat in the threshold. jump and jump_count follow Rajamanoharan et al.
 * 2024 (arXiv 2407.14435): a rectangle kernel of a given width around the threshold.
 * soft_gate is a hard gate with the gradient of a sigmoid. */
#include "graph/build.h"
#include "graph/families.h"
#include "graph/sae_kern.h"

typedef struct GateJob {
    const SaeTable *k;
    GateKind kind;
    int64_t M;
    const char *u, *theta;
    char *y;
    size_t size;
    double width;
} GateJob;

static void gate_rows(int64_t first, int64_t count, void *ctx)
{
    const GateJob *j = ctx;
    size_t at = (size_t)(first * j->M) * j->size;
    j->k->gate[j->kind](count, j->M, j->u + at, j->theta, j->width, j->y + at);
}

static bool run_gate(const OpArgs *x, GateKind kind)
{
    const Tensor *u = x->in[0];
    bool f64 = tensor_is_f64(u);
    GateJob j = {.k = KERN_PICK(sae_table, f64),
                 .kind = kind,
                 .M = x->in[1]->dim[0],
                 .u = u->data,
                 .theta = x->in[1]->data,
                 .y = x->out[0]->data,
                 .size = f64 ? 8 : 4,
                 .width = x->attr->f[0]};
    if (j.M > 0)
        for_ranges(tensor_count(u) / j.M, rows_grain(j.M), gate_rows, &j);
    return true;
}

static bool run_jump(const OpArgs *x, Err *err)
{
    (void)err;
    return run_gate(x, GATE_JUMP);
}

static bool run_step(const OpArgs *x, Err *err)
{
    (void)err;
    return run_gate(x, GATE_STEP);
}

static bool run_window(const OpArgs *x, Err *err)
{
    (void)err;
    return run_gate(x, GATE_WINDOW);
}

static bool shape_gate(const Spec *in, int n_in, const OpAttr *a, Spec *out, Err *err)
{
    (void)n_in;
    char su[96], st[96];
    *out = in[0];
    if (!need_float(in, 0, err) || !need_float(in, 1, err) || !need_ndim(in, 1, 1, err))
        return false;
    if (in[0].ndim < 1 || in[0].dim[in[0].ndim - 1] != in[1].dim[0])
        return err_set(err, ERR_SHAPE,
                       "%s needs one threshold for each of its last "
                       "axis, got %s",
                       spec_format(&in[0], su), spec_format(&in[1], st));
    return a->f[0] > 0 ||
           err_set(err, ERR_OPTION, "the width must be above 0, not %g", a->f[0]);
}

/* ---- backward -------------------------------------------------------------------- */

static Val gate(Graph *g, const char *op, const OpGrad *d)
{
    return g_call(g, op, d->in, 2, d->attr);
}

/* dy [|u - theta| < w/2] / w, summed to one value for each latent. */
static Val in_window(Graph *g, const OpGrad *d)
{
    Val dy = g_mul(g, d->dout[0], gate(g, "jump_window", d));
    return g_scale(g, grad_sum_to(g, dy, d->in[1]), -1 / d->attr->f[0]);
}

static bool grad_jump(Graph *g, OpGrad *d)
{
    if (d->need[0])
        d->din[0] = g_mul(g, d->dout[0], g_stop(g, gate(g, "jump_count", d)));
    if (d->need[1])
        d->din[1] = g_mul(g, in_window(g, d), d->in[1]);
    return graph_ok(g);
}

static bool grad_count(Graph *g, OpGrad *d)
{
    if (d->need[1])
        d->din[1] = in_window(g, d);
    return graph_ok(g);
}

static bool grad_soft(Graph *g, OpGrad *d)
{
    double tau = d->attr->f[0];
    Val z = g_abs(g, g_scale(g, g_sub(g, d->in[0], d->in[1]), 1 / tau));
    Val s = g_unary(g, "sigmoid", g_neg(g, z)); /* the slope is even: no cancellation */
    Val slope = g_sub(g, s, g_square(g, s));
    Val du = g_scale(g, g_mul(g, d->dout[0], slope), 1 / tau);
    d->din[0] = du;
    if (d->need[1])
        d->din[1] = grad_sum_to(g, g_neg(g, du), d->in[1]);
    return graph_ok(g);
}

#define GATE_SHAPES "3x5,5; 2x3x4,4; 0x3,3; 7,7; 9x260,260"
const OpRow ops_sae[] = {
    {.name = "jump",
     .sig = "u, theta, width:f=1e-3",
     .doc = "JumpReLU: u where it is above its latent's threshold, else 0. u is "
            "[...,M], theta [M]. By definition the gradient of theta is -theta/width "
            "where u is within width/2 of theta, that of u is 1 where the gate is open "
            "(arXiv 2407.14435).",                                                                       .formula = "y = u [u > theta]",
     .flags = OP_OWN_RULE | OP_KINKS,
     .inplace = 1,
     .shape = shape_gate,
     .run = run_jump,
     .grad = grad_jump,
     .test = {.shapes = GATE_SHAPES, .attrs = "width=0.5; ; ; ;", .margin = 1e-3}},
    {.name = "jump_count",
     .sig = "u, theta, width:f=1e-3",
     .doc = "1 where u [...,M] is above its latent's threshold theta [M], else 0. By "
            "definition the gradient of theta is -1/width where u is within width/2 of "
            "theta, and u has none: summed over latents, an L0 that trains thresholds "
            "(arXiv 2407.14435).",                                                                    .formula = "y = [u > theta]",
     .flags = OP_OWN_RULE | OP_KINKS,
     .inplace = 1,
     .shape = shape_gate,
     .run = run_step,
     .grad = grad_count,
     .test = {.shapes = GATE_SHAPES, .attrs = "width=0.5; ; ; ;", .margin = 1e-3}},
    {.name = "soft_gate",
     .sig = "u, theta, tau:f=0.1",
     .doc = "1 where u [...,M] is above its latent's threshold theta [M], else 0; by "
            "definition the gradient is that of sigmoid((u - theta) / tau).", .formula = "y = [u > theta]",
     .flags = OP_OWN_RULE | OP_KINKS,
     .inplace = 1,
     .shape = shape_gate,
     .run = run_step,
     .grad = grad_soft,
     .test = {.shapes = GATE_SHAPES, .attrs = "tau=0.5; ; ; ;", .margin = 1e-3}},
    {.name = "jump_window",
     .sig = "u, theta, width:f=1e-3",
     .doc = "1 where u [...,M] is within width/2 of its latent's threshold theta [M]: "
            "the elements that train the threshold.",                       .formula = "y = [|u - theta| < width/2]",
     .flags = OP_NODIFF | OP_KINKS,
     .inplace = 1,
     .shape = shape_gate,
     .run = run_window,
     .test = {.shapes = GATE_SHAPES,
              .attrs = "width=0.5; width=1; ; ; width=0.3",
              .margin = 1e-3}       },
};
const int ops_sae_count = ARRAY_LEN(ops_sae);
