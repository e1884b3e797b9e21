/* ops_nn.c -- the softmax family, losses, cosine and gates. Lines along an axis go to
 * the kernels one by one, in pieces of the pool; losses of rows are kept in scratch as
 * doubles and added in order. */
#include <math.h>
#include <string.h>

#include "graph/build.h"
#include "graph/families.h"
#include "graph/nn_kern.h"

enum { BLOCK = 4096, TILE_LINES = 16, TILE_BYTES = 1 << 16 };

/* ---- lines ----------------------------------------------------------------------- */

typedef enum LineKind {
    SOFTMAX,
    LOG_SOFTMAX,
    NORMALIZE,
    COSINE,
    TOPK_MASK,
    TOPK_GATE
} LineKind;
typedef struct LineJob {
    const NnTable *k;
    const char *a, *b;
    char *y;
    size_t size;
    AxisView v;
    LineKind kind;
    double eps;
    int64_t top;
} LineJob;

static void one_line(const LineJob *j, int64_t stride, const char *x, const char *b,
                     char *y)
{
    int64_t n = j->v.n;
    switch (j->kind) {
    case SOFTMAX: j->k->softmax(n, stride, x, y); break;
    case LOG_SOFTMAX: j->k->log_softmax(n, stride, x, y); break;
    case NORMALIZE: j->k->normalize(n, stride, x, j->eps, y); break;
    case COSINE: j->k->put(j->k->cosine(n, stride, x, b, j->eps), y); break;
    case TOPK_MASK:
    case TOPK_GATE: j->k->topk(n, stride, x, j->top, j->kind == TOPK_GATE, y); break;
    }
}

/* Neighbouring lines that lie across memory are turned round on the stack, so that
 * every cache line is used whole and the kernels see unit strides. */
static void tile_lines(const LineJob *j, int64_t at, int64_t width)
{
    _Alignas(64) char tile[TILE_BYTES];
    size_t line = (size_t)j->v.n * j->size, byte = (size_t)at * j->size;
    j->k->gather_tile(j->v.n, j->v.inner, width, j->a + byte, tile);
    for (int64_t c = 0; c < width; c++) {
        char *x = tile + (size_t)c * line;
        one_line(j, 1, x, NULL, x);
    }
    j->k->scatter_tile(j->v.n, j->v.inner, width, tile, j->y + byte);
}

static void lines_range(int64_t first, int64_t count, void *ctx)
{
    const LineJob *j = ctx;
    int64_t n = j->v.n, s = j->v.inner;
    bool tiled = s > 1 && n > 0 && j->kind != COSINE &&
                 (size_t)n * j->size * TILE_LINES <= TILE_BYTES;
    for (int64_t u = first, width; u < first + count; u += width) {
        int64_t left = first + count - u, row = s - u % s;
        int64_t at = u / s * n * s + u % s;
        width = 1;
        if (tiled) {
            width = left < row ? left : row;
            width = width < TILE_LINES ? width : TILE_LINES;
            tile_lines(j, at, width);
            continue;
        }
        size_t byte = (size_t)at * j->size;
        char *y = j->kind == COSINE ? j->y + (size_t)u * j->size : j->y + byte;
        one_line(j, s, j->a + byte, j->b ? j->b + byte : NULL, y);
    }
}

static bool run_lines(const OpArgs *x, LineKind kind, int64_t axis, double eps,
                      int64_t top)
{
    bool f64 = tensor_is_f64(x->in[0]);
    LineJob j = {.k = KERN_PICK(nn_table, f64),
                 .a = x->in[0]->data,
                 .b = x->n_in > 1 ? x->in[1]->data : NULL,
                 .y = x->out[0]->data,
                 .size = f64 ? 8 : 4,
                 .v = axis_view(x->in[0], axis),
                 .kind = kind,
                 .eps = eps,
                 .top = top};
    for_ranges(j.v.outer * j.v.inner, rows_grain(4 * j.v.n), lines_range, &j);
    return true;
}

static bool run_softmax(const OpArgs *x, Err *err)
{
    (void)err;
    return run_lines(x, SOFTMAX, x->attr->i[0], 0, 0);
}

static bool run_log_softmax(const OpArgs *x, Err *err)
{
    (void)err;
    return run_lines(x, LOG_SOFTMAX, x->attr->i[0], 0, 0);
}

static bool run_normalize(const OpArgs *x, Err *err)
{
    (void)err;
    return run_lines(x, NORMALIZE, x->attr->i[0], x->attr->f[1], 0);
}

static bool run_cosine(const OpArgs *x, Err *err)
{
    (void)err;
    return run_lines(x, COSINE, x->attr->i[0], x->attr->f[2], 0);
}

static bool run_topk_mask(const OpArgs *x, Err *err)
{
    (void)err;
    return run_lines(x, TOPK_MASK, x->attr->i[1], 0, x->attr->i[0]);
}

static bool run_topk_gate(const OpArgs *x, Err *err)
{
    (void)err;
    return run_lines(x, TOPK_GATE, x->attr->i[1], 0, x->attr->i[0]);
}

static bool shape_line(const Spec *in, int n_in, const OpAttr *a, Spec *out, Err *err)
{
    int axis;
    return shape_float_like(in, n_in, a, out, err) &&
           (a->i[0] == OP_AXIS_NONE || need_axis(a->i[0], in[0].ndim, &axis, err));
}

static bool shape_topk(const Spec *in, int n_in, const OpAttr *a, Spec *out, Err *err)
{
    int axis;
    if (!shape_float_like(in, n_in, a, out, err) ||
        !need_axis(a->i[1], in[0].ndim, &axis, err))
        return false;
    if (a->i[0] < 0 || a->i[0] > in[0].dim[axis])
        return err_set(err, ERR_SHAPE, "k is %lld, the axis has %lld elements",
                       (long long)a->i[0], (long long)in[0].dim[axis]);
    return true;
}

static bool shape_cosine(const Spec *in, int n_in, const OpAttr *a, Spec *out, Err *err)
{
    Spec like;
    return shape_all_equal(in, n_in, a, &like, err) && shape_reduce(in, 1, a, out, err);
}

static double cost_line(const Spec *in, int n_in, const OpAttr *a)
{
    (void)n_in, (void)a;
    return 14.0 * (double)spec_count(&in[0]);
}

/* ---- losses ---------------------------------------------------------------------- */

typedef struct LossJob {
    const NnTable *k;
    const char *x, *q;
    const int32_t *label;
    char *dx;
    double *loss, factor;
    int64_t C;
    size_t size;
    enum { XENT, XENT_GRAD, NLL, KL } kind;
} LossJob;

static void loss_rows(int64_t first, int64_t count, void *ctx)
{
    const LossJob *j = ctx;
    size_t at = (size_t)(first * j->C) * j->size;
    switch (j->kind) {
    case XENT:
        j->k->xent(count, j->C, j->x + at, j->label + first, j->loss + first);
        break;
    case XENT_GRAD:
        j->k->xent_grad(count, j->C, j->x + at, j->label + first, j->factor,
                        j->dx + at);
        break;
    case NLL:
        j->k->nll(count, j->C, j->x + at, j->label + first, j->loss + first);
        break;
    case KL: j->k->kl(count, j->C, j->x + at, j->q + at, j->loss + first); break;
    }
}

static bool labels_ok(const char *op, const Tensor *labels, int64_t C, Err *err)
{
    const int32_t *l = labels->data;
    for (int64_t r = 0; r < labels->dim[0]; r++)
        if (l[r] < 0 || l[r] >= C)
            return err_set(err, ERR_SHAPE,
                           "%s: label %d of row %lld is outside 0..%lld", op, l[r],
                           (long long)r, (long long)C - 1);
    return true;
}

static LossJob loss_job(const OpArgs *x, int kind)
{
    const Tensor *t = x->in[0];
    bool f64 = tensor_is_f64(t);
    LossJob j = {.k = KERN_PICK(nn_table, f64),
                 .x = t->data,
                 .loss = x->scratch,
                 .C = t->ndim > 0 ? t->dim[t->ndim - 1] : 1,
                 .size = f64 ? 8 : 4,
                 .kind = kind};
    return j;
}

/* The mean of the rows' losses, added in order. */
static void mean_loss(LossJob *j, int64_t rows, Tensor *out)
{
    double s = 0;
    for_ranges(rows, rows_grain(4 * j->C), loss_rows, j);
    for (int64_t r = 0; r < rows; r++)
        s += j->loss[r];
    j->k->put(s / (double)rows, out->data);
}

static bool run_cross_entropy(const OpArgs *x, Err *err)
{
    LossJob j = loss_job(x, XENT);
    j.label = x->in[1]->data;
    if (!labels_ok("cross_entropy", x->in[1], j.C, err))
        return false;
    mean_loss(&j, x->in[0]->dim[0], x->out[0]);
    return true;
}

static bool run_nll(const OpArgs *x, Err *err)
{
    LossJob j = loss_job(x, NLL);
    j.label = x->in[1]->data;
    if (!labels_ok("nll", x->in[1], j.C, err))
        return false;
    mean_loss(&j, x->in[0]->dim[0], x->out[0]);
    return true;
}

static bool run_cross_entropy_grad(const OpArgs *x, Err *err)
{
    LossJob j = loss_job(x, XENT_GRAD);
    int64_t rows = x->in[0]->dim[0];
    j.label = x->in[1]->data;
    j.dx = x->out[0]->data;
    j.factor = j.k->get(x->in[2]->data) / (double)rows;
    if (!labels_ok("cross_entropy_grad", x->in[1], j.C, err))
        return false;
    for_ranges(rows, rows_grain(4 * j.C), loss_rows, &j);
    return true;
}

static bool run_kl_div(const OpArgs *x, Err *err)
{
    (void)err;
    LossJob j = loss_job(x, KL);
    j.q = x->in[1]->data;
    mean_loss(&j, j.C ? tensor_count(x->in[0]) / j.C : 0, x->out[0]);
    return true;
}

static size_t scratch_rows(const Spec *in, int n_in, const OpAttr *a)
{
    (void)n_in, (void)a;
    int64_t C = in[0].ndim > 0 ? in[0].dim[in[0].ndim - 1] : 1;
    return C ? (size_t)(spec_count(&in[0]) / C) * sizeof(double) : 0;
}

static bool logits_and_labels(const Spec *in, Err *err)
{
    char sa[96], sb[96];
    if (!need_float(in, 0, err) || !need_ndim(in, 0, 2, err) ||
        !need_dtype(in, 1, I32, err) || !need_ndim(in, 1, 1, err))
        return false;
    if (in[0].dim[0] == in[1].dim[0] && in[0].dim[1] > 0)
        return true;
    return err_set(err, ERR_SHAPE, "%s needs one label for each row, got %s",
                   spec_format(&in[0], sa), spec_format(&in[1], sb));
}

static bool shape_label_loss(const Spec *in, int n_in, const OpAttr *a, Spec *out,
                             Err *err)
{
    (void)n_in, (void)a;
    *out = spec_make(in[0].dtype, 0, NULL);
    return logits_and_labels(in, err);
}

static bool shape_xent_grad(const Spec *in, int n_in, const OpAttr *a, Spec *out,
                            Err *err)
{
    (void)n_in, (void)a;
    *out = in[0];
    return logits_and_labels(in, err) && need_float(in, 2, err) &&
           need_ndim(in, 2, 0, err);
}

static bool shape_pair_loss(const Spec *in, int n_in, const OpAttr *a, Spec *out,
                            Err *err)
{
    Spec like;
    *out = spec_make(in[0].dtype, 0, NULL);
    return shape_all_equal(in, n_in, a, &like, err);
}

static bool shape_kl(const Spec *in, int n_in, const OpAttr *a, Spec *out, Err *err)
{
    if (!shape_pair_loss(in, n_in, a, out, err))
        return false;
    if (in[0].ndim < 1 || in[0].dim[in[0].ndim - 1] < 1)
        return err_set(err, ERR_SHAPE, "needs logits with at least one class");
    return true;
}

/* ---- mse ------------------------------------------------------------------------- */

typedef struct DiffJob {
    const NnTable *k;
    const char *a, *b;
    double *part;
    int64_t n;
    size_t size;
} DiffJob;

static void diff_blocks(int64_t first, int64_t count, void *ctx)
{
    const DiffJob *j = ctx;
    for (int64_t u = first; u < first + count; u++) {
        int64_t at = u * BLOCK, n = j->n - at < BLOCK ? j->n - at : BLOCK;
        size_t byte = (size_t)at * j->size;
        j->part[u] = j->k->squared_difference(n, j->a + byte, j->b + byte);
    }
}

static size_t scratch_mse(const Spec *in, int n_in, const OpAttr *a)
{
    (void)n_in, (void)a;
    return (size_t)((spec_count(&in[0]) + BLOCK - 1) / BLOCK) * sizeof(double);
}

static bool run_mse(const OpArgs *x, Err *err)
{
    (void)err;
    bool f64 = tensor_is_f64(x->in[0]);
    DiffJob j = {KERN_PICK(nn_table, f64), x->in[0]->data, x->in[1]->data, x->scratch,
                 tensor_count(x->in[0]),   f64 ? 8 : 4};
    int64_t blocks = (j.n + BLOCK - 1) / BLOCK;
    double s = 0;
    for_ranges(blocks, EW_GRAIN / BLOCK, diff_blocks, &j);
    for (int64_t u = 0; u < blocks; u++)
        s += j.part[u];
    j.k->put(s / (double)j.n, x->out[0]->data);
    return true;
}

/* ---- backward -------------------------------------------------------------------- */

static Val sum_line(Graph *g, Val x, int64_t axis)
{
    return call_axis(g, "sum", &x, 1, axis, true);
}

static bool grad_softmax(Graph *g, OpGrad *d)
{
    Val y = d->out[0], dy = d->dout[0];
    Val inner = sum_line(g, g_mul(g, dy, y), d->attr->i[0]);
    d->din[0] = g_mul(g, y, g_sub(g, dy, inner));
    return graph_ok(g);
}

static bool grad_log_softmax(Graph *g, OpGrad *d)
{
    Val y = d->out[0], dy = d->dout[0];
    Val total = sum_line(g, dy, d->attr->i[0]);
    d->din[0] = g_sub(g, dy, g_mul(g, g_exp(g, y), total));
    return graph_ok(g);
}

static Val length_of(Graph *g, Val x, int64_t axis, double eps)
{
    Val n = call_axis(g, "norm", &x, 1, axis, true);
    return g_binary(g, "maximum", n, g_num(g, x, eps > 0 ? eps : 1e-30));
}

static bool grad_normalize(Graph *g, OpGrad *d)
{
    Val y = d->out[0], dy = d->dout[0];
    Val n = length_of(g, d->in[0], d->attr->i[0], d->attr->f[1]);
    Val along = sum_line(g, g_mul(g, dy, y), d->attr->i[0]);
    d->din[0] = g_div(g, g_sub(g, dy, g_mul(g, y, along)), n);
    return graph_ok(g);
}

static bool grad_cosine(Graph *g, OpGrad *d)
{
    Val y = grad_keep(g, d->out[0], d->in[0], d->attr);
    Val dy = grad_keep(g, d->dout[0], d->in[0], d->attr);
    Val unit[2], length[2];
    for (int k = 0; k < 2; k++) {
        length[k] = length_of(g, d->in[k], d->attr->i[0], d->attr->f[2]);
        unit[k] = g_div(g, d->in[k], length[k]);
    }
    for (int k = 0; k < 2; k++)
        if (d->need[k])
            d->din[k] = g_mul(g, g_div(g, dy, length[k]),
                              g_sub(g, unit[1 - k], g_mul(g, y, unit[k])));
    return graph_ok(g);
}

static bool grad_topk_gate(Graph *g, OpGrad *d)
{
    Val mask = g_call(g, "topk_mask", d->in, 1, d->attr);
    d->din[0] = g_mul(g, d->dout[0], mask);
    return graph_ok(g);
}

static bool grad_cross_entropy(Graph *g, OpGrad *d)
{
    Val in[3] = {d->in[0], d->in[1], d->dout[0]};
    d->din[0] = g_call(g, "cross_entropy_grad", in, 3, NULL);
    return graph_ok(g);
}

/* out = (softmax(x) - onehot) dy / B. */
static bool grad_cross_entropy_grad(Graph *g, OpGrad *d)
{
    Val x = d->in[0], dy = d->in[2], up = d->dout[0];
    double B = graph_ok(g) ? (double)graph_spec(g, x).dim[0] : 1;
    if (d->need[0]) {
        Val s = call_axis(g, "softmax", &x, 1, 1, false);
        Val centred = g_sub(g, up, sum_line(g, g_mul(g, up, s), 1));
        d->din[0] = g_mul(g, g_scale(g, dy, 1.0 / B), g_mul(g, s, centred));
    }
    if (d->need[2]) {
        Val in[3] = {x, d->in[1], g_num(g, x, 1.0)};
        d->din[2] =
            g_sum(g, g_mul(g, up, g_call(g, "cross_entropy_grad", in, 3, NULL)));
    }
    return graph_ok(g);
}

static bool grad_nll(Graph *g, OpGrad *d)
{
    Spec s = graph_spec(g, d->in[0]);
    OpAttr a = {.i = {s.dim[1], s.dtype}};
    Val hot = g_call(g, "one_hot", &d->in[1], 1, &a);
    d->din[0] = g_mul(g, hot, g_scale(g, d->dout[0], -1.0 / (double)s.dim[0]));
    return graph_ok(g);
}

static bool grad_mse(Graph *g, OpGrad *d)
{
    Spec s = graph_spec(g, d->in[0]);
    Val diff = g_sub(g, d->in[0], d->in[1]);
    Val v = g_mul(g, diff, g_scale(g, d->dout[0], 2.0 / (double)spec_count(&s)));
    if (d->need[0])
        d->din[0] = v;
    if (d->need[1])
        d->din[1] = g_neg(g, v);
    return graph_ok(g);
}

static bool grad_kl_div(Graph *g, OpGrad *d)
{
    Spec s = graph_spec(g, d->in[0]);
    double rows = (double)spec_count(&s) / (double)s.dim[s.ndim - 1];
    Val dy = g_scale(g, d->dout[0], 1.0 / rows);
    Val p = call_axis(g, "softmax", &d->in[0], 1, -1, false);
    if (d->need[0]) {
        Val lp = call_axis(g, "log_softmax", &d->in[0], 1, -1, false);
        Val lq = call_axis(g, "log_softmax", &d->in[1], 1, -1, false);
        Val ratio = g_sub(g, lp, lq);
        Val row = sum_line(g, g_mul(g, p, ratio), -1);
        d->din[0] = g_mul(g, dy, g_mul(g, p, g_sub(g, ratio, row)));
    }
    if (d->need[1]) {
        Val q = call_axis(g, "softmax", &d->in[1], 1, -1, false);
        d->din[1] = g_mul(g, dy, g_sub(g, q, p));
    }
    return graph_ok(g);
}

/* ---- rows ------------------------------------------------------------------------ */

#define LINE_SHAPES "3x5; 3x5; 2x3x4; 3x0; 7; 4x700; 1x1; 3x4"
#define LINE_ATTRS  "; axis=0; axis=1; ; ; ; ; axis=none"

const OpRow ops_nn[] = {
    {.name = "softmax",
     .sig = "x, axis:a=-1",
     .doc = "Exponentials along an axis (by default the last), scaled to sum 1.",
     .formula = "y_i = e^x_i / sum_j e^x_j",
     .inplace = 1,
     .shape = shape_line,
     .run = run_softmax,
     .grad = grad_softmax,
     .flops = cost_line,
     .test = {.shapes = LINE_SHAPES, .attrs = LINE_ATTRS}},
    {.name = "log_softmax",
     .sig = "x, axis:a=-1",
     .doc = "The logarithm of softmax along an axis (by default the last), computed "
            "without "
            "overflow.",
     .formula = "y_i = x_i - ln sum_j e^x_j",
     .inplace = 1,
     .shape = shape_line,
     .run = run_log_softmax,
     .grad = grad_log_softmax,
     .flops = cost_line,
     .test = {.shapes = LINE_SHAPES, .attrs = LINE_ATTRS}},
    {.name = "cross_entropy",
     .sig = "logits, labels",
     .doc = "The mean over rows of -ln softmax(logits)[label]: logits [B, C], labels "
            "i32 [B] "
            "counted from 0; the result is a scalar.",
     .formula = "y = 1/B sum_b (ln sum_c e^x_bc - x_b,label(b))",
     .shape = shape_label_loss,
     .run = run_cross_entropy,
     .grad = grad_cross_entropy,
     .scratch = scratch_rows,
     .flops = cost_line,
     .test = {.shapes = "4x5,4; 5x5,5; 300x10,300", .ints = "1:5"}},
    {.name = "cross_entropy_grad",
     .sig = "logits, labels, dy",
     .doc =
         "The backward of cross_entropy: logits [B, C], labels i32 [B], dy a scalar.",
     .formula = "y = (softmax(x) - onehot(label)) dy / B",
     .shape = shape_xent_grad,
     .run = run_cross_entropy_grad,
     .grad = grad_cross_entropy_grad,
     .flops = cost_line,
     .test = {.shapes = "4x5,4,; 30x10,30,; 0x3,0,", .ints = "1:5"}},
    {.name = "nll",
     .sig = "logp, labels",
     .doc = "The mean over rows of -logp[label]: logp [B, C] as log_softmax gives, "
            "labels i32 "
            "[B] counted from 0.",
     .formula = "y = -1/B sum_b logp_b,label(b)",
     .shape = shape_label_loss,
     .run = run_nll,
     .grad = grad_nll,
     .scratch = scratch_rows,
     .test = {.shapes = "4x5,4; 300x10,300", .ints = "1:5"}},
    {.name = "mse",
     .sig = "a, b",
     .doc = "The mean squared difference of two tensors of one shape, a scalar.",
     .formula = "y = 1/n sum_i (a_i - b_i)^2",
     .shape = shape_pair_loss,
     .run = run_mse,
     .grad = grad_mse,
     .scratch = scratch_mse,
     .flops = cost_line,
     .test = {.shapes = "3x4,3x4; ,; 9000,9000; 1,1"}},
    {.name = "kl_div",
     .sig = "p, q",
     .doc = "The Kullback-Leibler divergence KL(P || Q) of the distributions with "
            "logits p and "
            "q (P is the reference, Q the approximation) along the last axis, averaged "
            "over "
            "all rows.",
     .formula = "y = mean_b sum_c P_bc (ln P_bc - ln Q_bc)",
     .shape = shape_kl,
     .run = run_kl_div,
     .grad = grad_kl_div,
     .scratch = scratch_rows,
     .flops = cost_line,
     .test = {.shapes = "4x5,4x5; 7,7; 2x3x4,2x3x4; 300x10,300x10"}},
    {.name = "normalize",
     .sig = "x, axis:a=-1, eps:f=1e-12",
     .doc = "x divided by its Euclidean length along an axis (by default the last), or "
            "by eps "
            "if that is longer.",
     .formula = "y = x / max(|x|, eps)",
     .inplace = 1,
     .shape = shape_line,
     .run = run_normalize,
     .grad = grad_normalize,
     .test = {.shapes = LINE_SHAPES, .attrs = LINE_ATTRS}},
    {.name = "cosine",
     .sig = "a, b, axis:a=none, keep:b=false, eps:f=1e-12",
     .doc = "The cosine of the angle between two tensors of one shape, along an axis "
            "or over "
            "everything; 0 if either is 0. keep leaves the axis with length 1.",
     .formula = "y = a.b / max(|a| |b|, eps)",
     .shape = shape_cosine,
     .run = run_cosine,
     .grad = grad_cosine,
     .flops = cost_line,
     .test = {.shapes = "3x5,3x5; 3x5,3x5; 3x5,3x5; 2x3x4,2x3x4; 900,900; 0x3,0x3",
              .attrs = "; axis=0; axis=1 keep=true; axis=1; ; axis=1"}},
    {.name = "topk_mask",
     .sig = "x, k:i, axis:a=-1",
     .doc = "1 at the k elements largest in size along an axis (by default the last; "
            "the first "
            "of equal ones), else 0.",
     .formula = "y_i = [|x_i| among the k largest]",
     .flags = OP_NODIFF | OP_KINKS,
     .shape = shape_topk,
     .run = run_topk_mask,
     .test = {.shapes = "3x5; 4x6; 3x5; 2x0; 2x4x3",
              .attrs = "k=2; k=1 axis=0; k=5; k=0; k=2 axis=1",
              .margin = 1e-3}},
    {.name = "topk_gate",
     .sig = "x, k:i, axis:a=-1",
     .doc =
         "Keeps the k elements largest in size along an axis (by default the last; the "
         "first of equal ones) and makes the rest 0. The gradient passes straight "
         "through "
         "the kept ones.",
     .formula = "y_i = x_i [|x_i| among the k largest]",
     .flags = OP_KINKS,
     .shape = shape_topk,
     .run = run_topk_gate,
     .grad = grad_topk_gate,
     .test = {.shapes = "3x5; 4x6; 3x5; 2x0; 2x4x3",
              .attrs = "k=2; k=1 axis=0; k=5; k=0; k=2 axis=1",
              .margin = 1e-3}},
};
const int ops_nn_count = ARRAY_LEN(ops_nn);
