/* ops_sae.c -- gates of sparse codes whose gradient is defined, not derived: the
 * forward is flat in the threshold. jump and jump_count follow Rajamanoharan et al.
 * 2024 (arXiv 2407.14435): a rectangle kernel of a given width around the threshold.
 * soft_gate is a hard gate with the gradient of a sigmoid. */
#include <math.h>

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
/* ---- latents that start again ---------------------------------------------------- */

enum { AGAIN_M = 7, AGAIN_IN = 13 };
static const double small = 0.2; /* of the mean length of live encoder rows */

typedef struct Again {
    const OpArgs *x;
    int64_t B, M, D, O;
    double silent, length;
    RngKey key;
} Again;

static double get(const Tensor *t, int64_t i)
{
    return t->dtype == F64 ? ((const double *)t->data)[i]
                           : (double)((const float *)t->data)[i];
}

static void put(const Tensor *t, int64_t i, double v)
{
    if (t->dtype == F64)
        ((double *)t->data)[i] = v;
    else
        ((float *)t->data)[i] = (float)v;
}

static double row_square(const Tensor *t, int64_t r)
{
    double sum = 0;
    int64_t n = t->dim[1];
    for (int64_t i = 0; i < n; i++)
        sum += get(t, r * n + i) * get(t, r * n + i);
    return sum;
}

static double live_length(const Again *a)
{
    double sum = 0, n = 0;
    for (int64_t m = 0; m < a->M; m++)
        if (get(a->x->in[1], m) <= a->silent) {
            sum += sqrt(row_square(a->x->in[4], m));
            n += 1;
        }
    return n > 0 ? sum / n : 1;
}

/* An example with the probability of its squared error. */
static int64_t draw_example(const Again *a, int64_t m, double total)
{
    float r;
    rng_uniform_f32(a->key, m, 1, 0, 1, &r);
    double at = (double)r * total;
    for (int64_t b = 0; b < a->B; b++) {
        at -= row_square(a->x->in[3], b);
        if (at < 0)
            return b;
    }
    return a->B - 1;
}

static void set_row(const Tensor *w, int64_t m, const Tensor *from, int64_t b,
                    double length)
{
    double size = sqrt(row_square(from, b));
    int64_t n = w->dim[1];
    for (int64_t i = 0; size > 0 && i < n; i++)
        put(w, m * n + i, get(from, b * n + i) / size * length);
}

static void start_row(const Again *a, int64_t m, int64_t b)
{
    const Tensor *const *in = a->x->in;
    set_row(in[4], m, in[2], b, small * a->length);
    set_row(in[6], m, in[3], b, 1);
    put(in[5], m, 0);
    put(in[1], m, 0);
    for (int k = AGAIN_M; k < AGAIN_IN; k++) {
        int64_t width = k < a->x->n_in && in[k] ? tensor_count(in[k]) / a->M : 0;
        for (int64_t i = 0; i < width; i++)
            put(in[k], m * width + i, 0);
    }
}

static bool run_again(const OpArgs *x, Err *err)
{
    (void)err;
    const Tensor *e = x->in[3];
    double clock = get(x->in[0], 0), total = 0;
    Again a = {.x = x,
               .B = e->dim[0],
               .M = x->in[1]->dim[0],
               .D = x->in[2]->dim[1],
               .O = e->dim[1],
               .silent = x->attr->f[2]};
    int64_t step = (int64_t)clock, every = x->attr->i[0];
    if (step < 1 || step > x->attr->i[1] || step % every)
        return true;
    a.key = (RngKey){x->ctx ? x->ctx->seed : 0, rng_stream("sae.again"),
                     (uint64_t)step};
    a.length = live_length(&a);
    for (int64_t b = 0; b < a.B; b++)
        total += row_square(e, b);
    for (int64_t m = 0; m < a.M; m++)
        if (get(x->in[1], m) > a.silent && a.B > 0)
            start_row(&a, m, draw_example(&a, m, total));
    return true;
}

static bool shape_again(const Spec *in, int n_in, const OpAttr *a, Spec *out, Err *err)
{
    (void)out;
    int64_t M = in[1].ndim == 1 ? in[1].dim[0] : -1;
    bool fits = in[0].ndim == 0 && M >= 0;
    for (int k = 2; k < 7; k++)
        fits = fits && in[k].ndim == (k == 5 ? 1 : 2);
    fits = fits && in[2].dim[0] == in[3].dim[0] && in[4].dim[0] == M &&
           in[4].dim[1] == in[2].dim[1] && in[5].dim[0] == M && in[6].dim[0] == M &&
           in[6].dim[1] == in[3].dim[1];
    for (int k = AGAIN_M; k < n_in; k++)
        fits = fits && (in[k].ndim < 0 ||
                        spec_count(&in[k]) == spec_count(&in[4 + (k - AGAIN_M) % 3]));
    if (!fits)
        return err_set(err, ERR_SHAPE,
                       "clock must be a scalar, silence [M], x [B,D], error [B,O], "
                       "encoder [M,D], bias [M], decoder [M,O], moments like these");
    return a->i[0] > 0 ||
           err_set(err, ERR_OPTION, "every must be at least 1, not %lld",
                   (long long)a->i[0]);
}

const OpRow ops_sae[] = {
    {.name = "start_again",
     .sig = "clock, silence, x, error, encoder, bias, decoder, m1?, m2?, m3?, v1?, v2?, "
            "v3?, every:i, last:i, silent:f",
     .doc = "Resampling (Bricken et al. 2023): at steps that `every` divides, up to "
            "`last`, latents whose silence is above `silent` get the direction of an "
            "example of this batch, drawn by its squared error, as encoder (a fifth as "
            "long as live ones) and that of its error as decoder; bias, silence and "
            "moments become 0.",
     .flags = OP_EFFECT | OP_NODIFF,
     .inplace = 2 | 0x1ff0,
     .shape = shape_again,
     .run = run_again,
     .test = {.shapes = ",4,3x5,3x2,4x5,4,4x2,4x5,4,4x2,4x5,4,4x2; "
                        ",4,3x5,3x2,4x5,4,4x2; ,0,3x5,3x2,0x5,0,0x2",
              .attrs = "every=1 last=10 silent=1.2; every=1 last=10 silent=1.2; every=1 "
                       "last=5 silent=0",
              .lo = 1, .hi = 1.5}},
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
