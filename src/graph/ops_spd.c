/* ops_spd.c -- stochastic parameter decomposition (Bushnaq et al. 2025, arXiv
 * 2506.20790): gate networks of components, masks that are drawn where they are used,
 * squashings, powers of importances, routing, and rows of zeros left out. Random masks
 * are not stored: backward draws the same numbers again. */
#include <stdio.h>
#include <string.h>

#include "graph/build.h"
#include "graph/families.h"
#include "graph/spd_kern.h"
#include "tensor/pool.h"

enum { GATE_ROWS = 128, GATE_CHUNKS = 64, DRAW = 2048, MASK_GRAIN = 8192 };

static const SpdTable *table_of(const Tensor *t)
{
    return KERN_PICK(spd_table, tensor_is_f64(t));
}

static bool matrix_like(const Spec *in, int k, Err *err)
{
    return need_float(in, k, err) && need_ndim(in, k, 2, err);
}

static int64_t last_dim(const Tensor *t)
{
    return t->dim[t->ndim - 1];
}

/* ---- gates ----------------------------------------------------------------------- */

typedef struct GateJob {
    const SpdTable *k;
    int64_t C, H;
    size_t size;
    const char *a, *theta, *dz;
    char *z, *da, *part; /* part: dtheta of each chunk */
    int64_t grain;
} GateJob;

static bool gate_spec(const Spec *in, Err *err)
{
    char s[96], t[96];
    if (!matrix_like(in, 0, err) || !matrix_like(in, 1, err))
        return false;
    if (in[1].dim[1] != in[0].dim[1] || in[1].dim[0] % 3 != 1 || in[1].dim[0] < 4)
        return err_set(err, ERR_SHAPE,
                       "activations [P,C] need theta [3H+1,C] with H at least 1, they "
                       "are %s and %s",
                       spec_format(&in[0], s), spec_format(&in[1], t));
    return true;
}

static bool shape_gate(const Spec *in, int n_in, const OpAttr *a, Spec *out, Err *err)
{
    (void)n_in, (void)a;
    *out = in[0];
    return gate_spec(in, err);
}

static bool shape_gate_grad(const Spec *in, int n_in, const OpAttr *a, Spec *out,
                            Err *err)
{
    (void)n_in, (void)a;
    if (!gate_spec(in, err))
        return false;
    if (!spec_equal(&in[0], &in[2]))
        return err_set(err, ERR_SHAPE, "the gradient must have the activations' shape");
    out[0] = in[0];
    out[1] = in[1];
    return true;
}

/* Rows of a chunk: whole tiles, at most GATE_CHUNKS chunks. */
static int64_t gate_grain(int64_t P)
{
    int64_t rows = (P + GATE_CHUNKS - 1) / GATE_CHUNKS;
    return (rows + GATE_ROWS - 1) / GATE_ROWS * GATE_ROWS;
}

static GateJob gate_job(const OpArgs *x)
{
    return (GateJob){.k = table_of(x->in[0]),
                     .C = x->in[0]->dim[1],
                     .H = (x->in[1]->dim[0] - 1) / 3,
                     .size = dtype_size(x->in[0]->dtype),
                     .a = x->in[0]->data,
                     .theta = x->in[1]->data};
}

static void gate_rows(int64_t first, int64_t count, void *ctx)
{
    const GateJob *j = ctx;
    size_t at = (size_t)(first * j->C) * j->size;
    j->k->gate(count, j->C, j->H, j->a + at, j->theta, j->z + at);
}

static bool run_gate(const OpArgs *x, Err *err)
{
    (void)err;
    GateJob j = gate_job(x);
    j.z = x->out[0]->data;
    for_ranges(x->in[0]->dim[0], GATE_ROWS, gate_rows, &j);
    return true;
}

static void gate_back(int64_t first, int64_t count, void *ctx)
{
    const GateJob *j = ctx;
    size_t at = (size_t)(first * j->C) * j->size;
    size_t part = (size_t)(first / j->grain * (3 * j->H + 1) * j->C) * j->size;
    j->k->gate_grad(count, j->C, j->H, j->a + at, j->theta, j->dz + at, j->da + at,
                    j->part + part, 1);
}

static bool run_gate_grad(const OpArgs *x, Err *err)
{
    (void)err;
    GateJob j = gate_job(x);
    int64_t P = x->in[0]->dim[0], n = tensor_count(x->in[1]);
    j.dz = x->in[2]->data;
    j.da = x->out[0]->data;
    j.part = x->scratch;
    j.grain = gate_grain(P);
    for_ranges(P, j.grain, gate_back, &j);
    memset(x->out[1]->data, 0, tensor_bytes(x->out[1]));
    for (int64_t c = 0; P > 0 && c <= (P - 1) / j.grain; c++)
        j.k->add(n, j.part + (size_t)(c * n) * j.size, x->out[1]->data);
    return true;
}

static size_t scratch_gate_grad(const Spec *in, int n_in, const OpAttr *a)
{
    (void)n_in, (void)a;
    int64_t P = in[0].dim[0], chunks = P > 0 ? (P - 1) / gate_grain(P) + 1 : 0;
    return (size_t)(chunks * spec_count(&in[1])) * dtype_size(in[0].dtype);
}

static double cost_gate(const Spec *in, int n_in, const OpAttr *a)
{
    (void)n_in, (void)a;
    return 12 * (double)spec_count(&in[0]) * (double)in[1].dim[0];
}

static bool grad_gate(Graph *g, OpGrad *d)
{
    Val in[3] = {d->in[0], d->in[1], d->dout[0]}, out[OP_MAX_OUT];
    if (!graph_op_multi(g, op_find("gate_mlp_grad"), in, 3, NULL, out))
        return false;
    d->din[0] = out[0];
    d->din[1] = out[1];
    return true;
}

/* ---- masks ----------------------------------------------------------------------- */

typedef struct MaskJob {
    const SpdTable *k;
    int64_t C;
    size_t size;
    bool f64, binomial, one_row; /* of r */
    RngKey key;
    const char *a, *g, *r, *dy;
    const void *q, *d;
    char *y, *da, *dg;
} MaskJob;

static bool shape_mask(const Spec *in, int n_in, const OpAttr *a, Spec *out, Err *err)
{
    char s[96], t[96];
    (void)a;
    if (!matrix_like(in, 0, err))
        return false;
    for (int k = 1; k < n_in; k++) {
        bool whole = k == 1 || k == 5;
        if (in[k].ndim < 0)
            continue;
        bool row = k == 4 && in[k].ndim == 2 && in[k].dim[0] == 1 &&
                   in[k].dim[1] == in[0].dim[1];
        bool flat =
            (k == 2 || k == 3) && in[k].ndim == 1 && in[k].dim[0] == in[0].dim[0];
        bool same = (whole || k == 4) && spec_same_shape(&in[0], &in[k]);
        if (!need_float(in, k, err))
            return false;
        if (!row && !flat && !same)
            return err_set(err, ERR_SHAPE, "activations %s do not go with input %d, %s",
                           spec_format(&in[0], s), k + 1, spec_format(&in[k], t));
    }
    if (in[4].ndim < 0 && !a->text[0])
        return err_set(err, ERR_OPTION, "the stream needs a name");
    *out = in[0];
    return true;
}

static bool shape_mask_grad(const Spec *in, int n_in, const OpAttr *a, Spec *out,
                            Err *err)
{
    out[1] = in[0];
    return shape_mask(in, n_in, a, out, err);
}

static double element(const void *p, bool f64, int64_t i)
{
    return f64 ? ((const double *)p)[i] : (double)((const float *)p)[i];
}

/* Elements first .. first+n-1 of the stream. */
static void draw(const MaskJob *j, int64_t first, int64_t n, void *dst)
{
    if (j->f64 && j->binomial)
        rng_bernoulli_f64(j->key, first, n, 0.5, dst);
    else if (j->f64)
        rng_uniform_f64(j->key, first, n, 0, 1, dst);
    else if (j->binomial)
        rng_bernoulli_f32(j->key, first, n, 0.5f, dst);
    else
        rng_uniform_f32(j->key, first, n, 0, 1, dst);
}

static void mask_piece(const MaskJob *j, int64_t at, int64_t n, const char *r)
{
    int64_t row = at / j->C;
    size_t byte = (size_t)at * j->size;
    SpdMaskRow m = {.n = n,
                    .a = j->a + byte,
                    .g = j->g + byte,
                    .r = r,
                    .q = j->q ? element(j->q, j->f64, row) : 1,
                    .d = j->d ? element(j->d, j->f64, row) : 0};
    if (j->dy)
        j->k->mask_grad(m, j->dy + byte, j->da + byte, j->dg + byte);
    else
        j->k->mask(m, j->y + byte);
}

/* Whole rows; drawn numbers come in blocks that hold several short rows. */
static void mask_rows(int64_t first, int64_t count, void *ctx)
{
    const MaskJob *j = ctx;
    _Alignas(64) char drawn[DRAW * sizeof(double)];
    int64_t at = first * j->C, end = (first + count) * j->C, have = at;
    while (at < end) {
        int64_t left = j->C - at % j->C, n = left;
        const char *r = drawn;
        if (j->r) {
            r = j->r + (size_t)(j->one_row ? at % j->C : at) * j->size;
        } else {
            if (at >= have || (at + left > have && left <= DRAW)) {
                have = end - at < DRAW ? end : at + DRAW;
                draw(j, at, have - at, drawn);
                first = at;
            }
            n = left < have - at ? left : have - at;
            r = drawn + (size_t)(at - first) * j->size;
        }
        mask_piece(j, at, n, r);
        at += n;
    }
}

static void run_mask_any(const OpArgs *x, const Tensor *dy)
{
    const Tensor *a = x->in[0], *q = x->in[2], *d = x->in[3], *r = x->in[4];
    MaskJob j = {.k = table_of(a),
                 .C = a->dim[1],
                 .size = dtype_size(a->dtype),
                 .f64 = tensor_is_f64(a),
                 .binomial = x->attr->i[1],
                 .one_row = r && r->dim[0] == 1,
                 .key = {.stream = rng_stream(x->attr->text)},
                 .a = a->data,
                 .g = x->in[1]->data,
                 .r = r ? r->data : NULL,
                 .dy = dy ? dy->data : NULL,
                 .q = q ? q->data : NULL,
                 .d = d ? d->data : NULL};
    if (x->ctx) {
        j.key.seed = x->ctx->seed;
        j.key.step = x->ctx->step;
    }
    j.y = j.da = x->out[0]->data;
    j.dg = dy ? x->out[1]->data : NULL;
    int64_t grain = j.C > 0 ? MASK_GRAIN / j.C : 0;
    if (j.C > 0)
        for_ranges(a->dim[0], grain > 0 ? grain : 1, mask_rows, &j);
}

static bool run_mask(const OpArgs *x, Err *err)
{
    (void)err;
    run_mask_any(x, NULL);
    return true;
}

static bool run_mask_grad(const OpArgs *x, Err *err)
{
    (void)err;
    run_mask_any(x, x->in[5]);
    return true;
}

static Val column(Graph *g, Val v)
{
    Spec s = graph_spec(g, v);
    return g_reshape(g, v, 2, (int64_t[]){s.dim[0], 1});
}

/* r as a value: given, or drawn by the row that draws the same numbers. */
static Val mask_noise(Graph *g, const OpGrad *d)
{
    if (d->in[4] != VAL_NONE)
        return d->in[4];
    Spec s = graph_spec(g, d->in[0]);
    OpAttr a = {
        .n_list = 2, .list = {s.dim[0], s.dim[1]}
    };
    const OpRow *row = op_find(d->attr->i[1] ? "bernoulli" : "uniform");
    op_attr_defaults(row, &a);
    a.n_list = 2;
    memcpy(a.list, s.dim, sizeof a.list);
    a.i[d->attr->i[1] ? 3 : 4] = s.dtype;
    snprintf(a.text, sizeof a.text, "%s", d->attr->text);
    return graph_op(g, row, NULL, 0, &a);
}

static bool grad_mask(Graph *g, OpGrad *d)
{
    Val in[6] = {d->in[0], d->in[1], d->in[2], d->in[3], d->in[4], d->dout[0]};
    Val out[OP_MAX_OUT], da = g_mul(g, d->dout[0], d->in[0]);
    if (!graph_op_multi(g, op_find("spd_mask_grad"), in, 6, d->attr, out))
        return false;
    d->din[0] = out[0];
    d->din[1] = out[1];
    Val routed = d->in[2] == VAL_NONE ? da : g_mul(g, da, column(g, d->in[2]));
    Val closed = g_shift(g, g_neg(g, d->in[1]), 1);
    if (d->need[2]) {
        Val m = g_add(g, d->in[1], g_mul(g, closed, mask_noise(g, d)));
        if (d->in[3] != VAL_NONE)
            m = g_sub(g, m, column(g, d->in[3]));
        d->din[2] = g_sum_axis(g, g_mul(g, da, m), 1, false);
    }
    if (d->need[3])
        d->din[3] = g_neg(g, g_sum_axis(g, routed, 1, false));
    if (d->need[4])
        d->din[4] = grad_sum_to(g, g_mul(g, routed, closed), d->in[4]);
    return graph_ok(g);
}

/* ---- squashings ------------------------------------------------------------------ */

typedef struct LeakyJob {
    const SpdTable *k;
    const char *z, *dy;
    char *y;
    size_t size;
    double low, high;
    bool gated;
} LeakyJob;

static void leaky_range(int64_t first, int64_t n, void *ctx)
{
    const LeakyJob *j = ctx;
    size_t at = (size_t)first * j->size;
    if (j->gated && j->dy)
        j->k->gated_grad(n, j->z + at, j->dy + at, j->low, j->y + at);
    else if (j->dy)
        j->k->leaky_grad(n, j->z + at, j->dy + at, j->low, j->high, j->y + at);
    else
        j->k->leaky(n, j->z + at, j->low, j->high, j->y + at);
}

static bool run_leaky_any(const OpArgs *x, double low, double high, bool gated)
{
    LeakyJob j = {.k = table_of(x->in[0]),
                  .z = x->in[0]->data,
                  .dy = x->n_in > 1 ? x->in[1]->data : NULL,
                  .y = x->out[0]->data,
                  .size = dtype_size(x->in[0]->dtype),
                  .low = low,
                  .high = high,
                  .gated = gated};
    for_ranges(tensor_count(x->in[0]), EW_GRAIN, leaky_range, &j);
    return true;
}

static bool run_leaky(const OpArgs *x, Err *err)
{
    (void)err;
    return run_leaky_any(x, x->attr->f[0], x->attr->f[1], false);
}

static bool run_gated(const OpArgs *x, Err *err)
{
    (void)err;
    return run_leaky_any(x, x->n_in > 1 ? x->attr->f[0] : 0, 0, true);
}

static bool grad_leaky(Graph *g, OpGrad *d)
{
    d->din[0] =
        g_call(g, "leaky_clamp_grad", (Val[]){d->in[0], d->dout[0]}, 2, d->attr);
    return graph_ok(g);
}

static bool grad_gated(Graph *g, OpGrad *d)
{
    d->din[0] =
        g_call(g, "gated_clamp_grad", (Val[]){d->in[0], d->dout[0]}, 2, d->attr);
    return graph_ok(g);
}

/* ---- powers ---------------------------------------------------------------------- */

typedef struct PowerJob {
    const SpdTable *k;
    int64_t C, grain;
    size_t size;
    const char *z, *dS;
    char *dz;
    double *sums; /* of each chunk */
    SpdPower f;
} PowerJob;

static bool shape_power(const Spec *in, int n_in, const OpAttr *a, Spec *out, Err *err)
{
    char s[96];
    (void)n_in;
    if (!matrix_like(in, 0, err) || !need_float(in, 1, err) ||
        !need_ndim(in, 1, 0, err))
        return false;
    if (a->f[0] < 0 || a->f[2] < 0 || (a->f[2] > 0 && in[0].dim[0] < 1))
        return err_set(err, ERR_OPTION,
                       "eps and tail must be at least 0, and a tail needs a row; "
                       "they are %g and %g of %s",
                       a->f[0], a->f[2], spec_format(&in[0], s));
    *out = spec_make(in[0].dtype, 1, &in[0].dim[1]);
    return true;
}

static bool shape_power_grad(const Spec *in, int n_in, const OpAttr *a, Spec *out,
                             Err *err)
{
    Spec sums;
    if (!shape_power(in, n_in, a, &sums, err))
        return false;
    if (!spec_equal(&sums, &in[2]))
        return err_set(err, ERR_SHAPE, "the gradient must have one value a component");
    *out = in[0];
    return true;
}

static PowerJob power_job(const OpArgs *x)
{
    const Tensor *z = x->in[0];
    return (PowerJob){
        .k = table_of(z),
        .C = z->dim[1],
        .grain = rows_grain(z->dim[1]),
        .size = dtype_size(z->dtype),
        .z = z->data,
        .f = {.p = tensor_item(x->in[1]), .eps = x->attr->f[0], .high = x->attr->f[1]}
    };
}

static void power_rows(int64_t first, int64_t count, void *ctx)
{
    const PowerJob *j = ctx;
    double *sums = j->sums + first / j->grain * j->C;
    memset(sums, 0, sizeof *sums * (size_t)j->C);
    j->k->power(count, j->C, j->z + (size_t)(first * j->C) * j->size, j->f, 1, sums);
}

static bool run_power(const OpArgs *x, Err *err)
{
    (void)err;
    PowerJob j = power_job(x);
    int64_t P = x->in[0]->dim[0], chunks = (P + j.grain - 1) / j.grain;
    j.sums = x->scratch;
    for_ranges(P, j.grain, power_rows, &j);
    double *all = j.sums + chunks * j.C;
    memset(all, 0, sizeof *all * (size_t)j.C);
    for (int64_t k = 0; k < chunks; k++)
        for (int64_t c = 0; c < j.C; c++)
            all[c] += j.sums[k * j.C + c];
    if (x->attr->f[2] > 0)
        j.k->power(1, j.C, j.z + (size_t)((P - 1) * j.C) * j.size, j.f, x->attr->f[2],
                   all);
    j.k->narrow(j.C, all, x->out[0]->data);
    return true;
}

static size_t scratch_power(const Spec *in, int n_in, const OpAttr *a)
{
    (void)n_in, (void)a;
    int64_t grain = rows_grain(in[0].dim[1]);
    int64_t chunks = (in[0].dim[0] + grain - 1) / grain;
    return (size_t)((chunks + 1) * in[0].dim[1]) * sizeof(double);
}

static void power_back(int64_t first, int64_t count, void *ctx)
{
    const PowerJob *j = ctx;
    size_t at = (size_t)(first * j->C) * j->size;
    j->k->power_grad(count, j->C, j->z + at, j->f, 1, j->dS, j->dz + at);
}

static bool run_power_grad(const OpArgs *x, Err *err)
{
    (void)err;
    PowerJob j = power_job(x);
    int64_t P = x->in[0]->dim[0];
    size_t last = (size_t)((P - 1) * j.C) * j.size;
    j.dS = x->in[2]->data;
    j.dz = x->out[0]->data;
    for_ranges(P, j.grain, power_back, &j);
    if (x->attr->f[2] > 0)
        j.k->power_grad(1, j.C, j.z + last, j.f, 1 + x->attr->f[2], j.dS, j.dz + last);
    return true;
}

/* d/dp = sum (u + eps)^p ln (u + eps), by rows that exist. */
static Val power_slope(Graph *g, const OpGrad *d)
{
    Spec s = graph_spec(g, d->in[0]);
    OpAttr bent = {
        .f = {0, d->attr->f[1]}
    };
    Val u = g_shift(g, g_call(g, "leaky_clamp", d->in, 1, &bent), d->attr->f[0]);
    Val l = g_log(g, u), w = g_mul(g, g_exp(g, g_mul(g, l, d->in[1])), l);
    Val sums = g_sum_axis(g, w, 0, false);
    OpAttr end = {
        .i = {0, s.dim[0] - 1, s.dim[0], 1}
    };
    if (d->attr->f[2] > 0)
        sums = g_add(
            g, sums,
            g_scale(g, g_reshape(g, g_call(g, "slice", &w, 1, &end), 1, &s.dim[1]),
                    d->attr->f[2]));
    return g_sum(g, g_mul(g, sums, d->dout[0]));
}

static bool grad_power(Graph *g, OpGrad *d)
{
    if (d->need[0])
        d->din[0] = g_call(g, "spd_power_grad", (Val[]){d->in[0], d->in[1], d->dout[0]},
                           3, d->attr);
    if (d->need[1])
        d->din[1] = power_slope(g, d);
    return graph_ok(g);
}

/* ---- routing --------------------------------------------------------------------- */

typedef struct RouteJob {
    RngKey key;
    int64_t L, B;
    double p;
    Tensor *out;
} RouteJob;

static bool shape_route(const Spec *in, int n_in, const OpAttr *a, Spec *out, Err *err)
{
    (void)in, (void)n_in;
    int64_t dim[2] = {a->i[0], a->i[1]};
    if (dim[0] < 1 || dim[0] > 64 || dim[1] < 0)
        return err_set(err, ERR_SHAPE,
                       "1 to 64 layers and at least 0 examples, not "
                       "%lld and %lld",
                       (long long)dim[0], (long long)dim[1]);
    if (!(a->f[2] >= 0 && a->f[2] <= 1))
        return err_set(err, ERR_OPTION, "p must be in 0..1, it is %g", a->f[2]);
    if (!is_float((DType)a->i[4]) || !a->text[0])
        return err_set(err, ERR_OPTION,
                       "the stream needs a name, the dtype is a float");
    *out = spec_make((DType)a->i[4], 2, dim);
    return true;
}

static void route_put(const RouteJob *j, int64_t l, int64_t b, bool on)
{
    int64_t at = l * j->B + b;
    if (tensor_is_f64(j->out))
        ((double *)j->out->data)[at] = on;
    else
        ((float *)j->out->data)[at] = on ? 1.0f : 0.0f;
}

/* k of L by walking the layers: l is taken with probability (left to take) / (left). */
static void route_rows(int64_t first, int64_t count, void *ctx)
{
    const RouteJob *j = ctx;
    for (int64_t b = first; b < first + count; b++) {
        int64_t draw_at = b * (j->L + 1);
        int64_t k = 1 + rng_below(j->key, draw_at, j->L);
        for (int64_t l = 0; l < j->L; l++) {
            double u = rng_unit(j->key, draw_at + 1 + l);
            bool on = j->p > 0 ? u < j->p : u * (double)(j->L - l) < (double)k;
            route_put(j, l, b, on);
            k -= on;
        }
    }
}

static bool run_route(const OpArgs *x, Err *err)
{
    (void)err;
    RouteJob j = {.key = {.stream = rng_stream(x->attr->text)},
                  .L = x->attr->i[0],
                  .B = x->attr->i[1],
                  .p = x->attr->f[2],
                  .out = x->out[0]};
    if (x->ctx) {
        j.key.seed = x->ctx->seed;
        j.key.step = x->ctx->step;
    }
    for_ranges(j.B, 1024, route_rows, &j);
    return true;
}

/* ---- rows of zeros --------------------------------------------------------------- */

static bool shape_pack(const Spec *in, int n_in, const OpAttr *a, Spec *out, Err *err)
{
    char s[96];
    (void)n_in;
    if (!matrix_like(in, 0, err))
        return false;
    if (a->i[0] < 1)
        return err_set(err, ERR_OPTION, "rows must be at least 1, it is %lld of %s",
                       (long long)a->i[0], spec_format(&in[0], s));
    *out = in[0];
    out->dim[0] = a->i[0];
    return true;
}

static bool run_pack(const OpArgs *x, Err *err)
{
    const Tensor *t = x->in[0];
    int64_t cap = x->attr->i[0], B = t->dim[0];
    int64_t live = table_of(t)->pack(B, last_dim(t), cap, t->data, x->out[0]->data);
    if (live > cap || (live == cap && B > cap))
        return err_set(err, ERR_NUMERIC,
                       "%lld of %lld rows are not zero, but only %lld are kept",
                       (long long)live, (long long)B, (long long)cap);
    return true;
}

#define GATE_SHAPES "5x3,4x3; 0x2,7x2; 1x1,4x1; 300x20,49x20; 17x33,7x33"
#define MASK_SHAPES                                                                    \
    "4x3,4x3,-,-,-; 4x3,4x3,4,4,-; 4x3,4x3,4,4,4x3; 4x3,4x3,-,4,1x3; 0x3,0x3,-,-,-; "  \
    "3x2100,3x2100,3,-,-; 900x20,900x20,-,900,-"
#define MASK_ATTRS                                                                     \
    "stream=a; stream=b; stream=c; stream=d; stream=e; stream=f; stream=g "            \
    "binomial=true"

const OpRow ops_spd[] = {
    {.name = "gate_mlp",
     .sig = "a, theta",
     .doc =
         "One small network for each component: a [P,C] to z [P,C] through H hidden "
         "GELUs. theta [3H+1,C] holds the weights of the hidden units, their biases, "
         "the output weights, and the output bias.",                                   .formula = "z = sum_h v_h gelu(w_h a + b_h) + o",
     .shape = shape_gate,
     .run = run_gate,
     .grad = grad_gate,
     .flops = cost_gate,
     .test = {.shapes = GATE_SHAPES, .tol_f32 = 1e-4}},
    {.name = "gate_mlp_grad",
     .sig = "a, theta, dz",
     .doc = "The backward of gate_mlp: the gradients of a and of theta.",
     .n_out = 2,
     .flags = OP_NODIFF,
     .shape = shape_gate_grad,
     .run = run_gate_grad,
     .scratch = scratch_gate_grad,
     .flops = cost_gate,
     .test = {.shapes = "5x3,4x3,5x3; 300x20,49x20,300x20; 17x33,7x33,17x33",
              .tol_f32 = 1e-4}},
    {.name = "spd_mask",
     .sig = "a, g, q?, d?, r?, stream:s=mask, binomial:b=false",
     .doc =
         "Component activations a [P,C] under stochastic masks of importances g: "
         "routing q and the delta component's mask d are [P] (absent: 1 and 0), r is "
         "[P,C] or [1,C], or drawn evenly from 0..1 (binomial: 0 or 1) from the "
         "stream.",                                                               .formula = "y = a q (g + (1 - g) r - d)",
     .flags = OP_RANDOM,
     .shape = shape_mask,
     .run = run_mask,
     .grad = grad_mask,
     .test = {.shapes = MASK_SHAPES, .attrs = MASK_ATTRS}},
    {.name = "spd_mask_grad",
     .sig = "a, g, q?, d?, r?, dy, stream:s=mask, binomial:b=false",
     .doc = "The backward of spd_mask: the gradients of a and g.",
     .n_out = 2,
     .flags = OP_RANDOM | OP_NODIFF,
     .shape = shape_mask_grad,
     .run = run_mask_grad,
     .test = {.shapes = "4x3,4x3,4,4,-,4x3; 900x20,900x20,-,-,1x20,900x20",
              .attrs = "stream=a; stream=b"}},
    {.name = "leaky_clamp",
     .sig = "z, low:f=0, high:f=0",
     .doc = "z between 0 and 1, with the slope `low` below 0 and `high` above 1.",
     .formula = "y = z in 0..1, low z below, 1 + high (z - 1) above",
     .flags = OP_KINKS,
     .inplace = 1,
     .shape = shape_float_like,
     .run = run_leaky,
     .grad = grad_leaky,
     .test = {.shapes = "3x5; 0; 40000; ",
              .attrs = "low=0.01; ; high=0.01; low=0.5",
              .margin = 1e-3}},
    {.name = "leaky_clamp_grad",
     .sig = "z, dy, low:f=0, high:f=0",
     .doc = "The backward of leaky_clamp.",
     .flags = OP_NODIFF | OP_KINKS,
     .inplace = 3,
     .shape = shape_all_equal,
     .run = run_leaky,
     .test = {.shapes = "3x5,3x5; ,", .attrs = "low=0.01; high=0.01", .margin = 1e-3}},
    {.name = "gated_clamp",
     .sig = "z, leak:f=0.01",
     .doc =
         "z clamped to 0..1; by definition the gradient is that of the clamp, and at "
         "and below 0 it is leak times the incoming one where that asks for a larger "
         "value, else 0.",                                                       .formula = "y = min(max(z, 0), 1)",
     .flags = OP_OWN_RULE | OP_KINKS,
     .inplace = 1,
     .shape = shape_float_like,
     .run = run_gated,
     .grad = grad_gated,
     .test = {.shapes = "3x5; 0; 40000; ", .margin = 1e-3}},
    {.name = "gated_clamp_grad",
     .sig = "z, dy, leak:f=0.01",
     .doc = "The backward of gated_clamp.",
     .flags = OP_NODIFF | OP_KINKS,
     .inplace = 3,
     .shape = shape_all_equal,
     .run = run_gated,
     .test = {.shapes = "3x5,3x5; ,", .margin = 1e-3}},
    {.name = "spd_power",
     .sig = "z, p, eps:f=1e-12, high:f=0.01, tail:f=0",
     .doc =
         "Sums over rows of powers of importances: z [P,C] squashed to 0..1 with the "
         "slope `high` above 1, to the power p (a scalar); the last row counts "
         "1 + tail times. For p below 1 the gradient takes the base to be at least "
         "1e-6.",                                                        .formula = "y_c = sum_b (leaky_clamp(z_bc) + eps)^p",
     .flags = OP_KINKS,
     .shape = shape_power,
     .run = run_power,
     .grad = grad_power,
     .scratch = scratch_power,
     .test = {.shapes = "3x5,; 2x3,; 700x30,; 1x4,",
              .attrs = "eps=0.1; tail=7; ; tail=0.5 high=0.3",
              .lo = 0.05,
              .hi = 0.95,
              .margin = 1e-3,
              .tol_f32 = 1e-4}},
    {.name = "spd_power_grad",
     .sig = "z, p, dy, eps:f=1e-12, high:f=0.01, tail:f=0",
     .doc = "The backward of spd_power for z.",
     .flags = OP_NODIFF | OP_KINKS,
     .shape = shape_power_grad,
     .run = run_power_grad,
     .test = {.shapes = "3x5,,5; 700x30,,30",
              .attrs = "eps=0.1; tail=3",
              .lo = 0.05,
              .hi = 0.95,
              .margin = 1e-3,
              .tol_f32 = 1e-4}          },
    {.name = "spd_route",
     .sig = "layers:i, n:i, p:f=0, stream:s=route, dtype:d=f32",
     .doc = "Which layers go through components, 0 or 1 [layers,n]: for each example a "
            "random subset of k layers with k drawn from 1..layers, or, with p, each "
            "layer on its own with probability p.",                                                                      .flags = OP_RANDOM | OP_NODIFF,
     .shape = shape_route,
     .run = run_route,
     .test = {.shapes = "none; none; none",
              .attrs = "layers=3 n=7; layers=1 n=0; layers=4 n=3000 p=0.3",
              .tol_f32 = 2}                                          },
    {.name = "pack_rows",
     .sig = "x, rows:i",
     .doc = "The rows of x [B,n] that are not all zero, in order, then rows of zeros, "
            "[rows,n]. An error when there is no room for them and one row of zeros.",                                                      .flags = OP_NODIFF,
     .shape = shape_pack,
     .run = run_pack,
     .test = {.shapes = "4x3; 0x2; 5x7", .attrs = "rows=5; rows=1; rows=5"}                             },
};
const int ops_spd_count = ARRAY_LEN(ops_spd);
