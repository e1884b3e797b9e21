/* ops_reduce.c -- reductions over one axis or over everything. A tensor is seen as
 * [outer, n, inner]. With inner == 1 a line is n contiguous elements, summed in blocks
 * of SUM_BLOCK; otherwise columns are summed side by side, COL_TILE at a time. Long
 * lines are cut at fixed places whose partial sums go to scratch as doubles and are
 * added in order, so the bits depend on the shape alone. Attributes of all rows: slot 0
 * the axis, slot 1 keep. */
#include <math.h>
#include <string.h>

#include "graph/build.h"
#include "graph/families.h"
#include "graph/reduce_kern.h"

enum { ROW_SPLIT = 2048 }; /* rows of a column sum that make one piece */

typedef struct SumJob {
    const ReduceTable *k;
    const char *x;
    char *y;
    double *part;
    size_t size;
    AxisView v;
    double factor;
    int64_t pieces, tiles; /* along n, along inner */
} SumJob;

static int64_t ceil_div(int64_t a, int64_t b)
{
    return (a + b - 1) / b;
}

static int64_t min64(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t sum_pieces(AxisView v)
{
    int64_t piece = v.inner == 1 ? SUM_BLOCK : ROW_SPLIT;
    return v.n <= piece ? 1 : ceil_div(v.n, piece);
}

size_t sum_scratch(AxisView v)
{
    int64_t pieces = sum_pieces(v);
    return pieces > 1 ? (size_t)(v.outer * pieces * v.inner) * sizeof(double) : 0;
}

/* Unit = (line, piece). */
static void row_units(int64_t first, int64_t count, void *ctx)
{
    const SumJob *j = ctx;
    for (int64_t u = first; u < first + count; u++) {
        int64_t line = u / j->pieces, start = u % j->pieces * SUM_BLOCK;
        int64_t n = min64(SUM_BLOCK, j->v.n - start);
        const char *x = j->x + (size_t)(line * j->v.n + start) * j->size;
        double s = j->k->block[RED_SUM](n, x, 0.0);
        if (j->part)
            j->part[u] = s;
        else
            j->k->store(1, &s, j->factor, j->y + (size_t)line * j->size);
    }
}

/* Unit = (outer, piece, tile). */
static void column_units(int64_t first, int64_t count, void *ctx)
{
    const SumJob *j = ctx;
    double sum[COL_TILE];
    for (int64_t u = first; u < first + count; u++) {
        int64_t tile = u % j->tiles, piece = u / j->tiles % j->pieces;
        int64_t outer = u / j->tiles / j->pieces;
        int64_t c = tile * COL_TILE, row = piece * ROW_SPLIT;
        int64_t width = min64(COL_TILE, j->v.inner - c);
        int64_t n = j->pieces > 1 ? min64(ROW_SPLIT, j->v.n - row) : j->v.n;
        const char *x =
            j->x + (size_t)((outer * j->v.n + row) * j->v.inner + c) * j->size;
        j->k->columns[RED_SUM](n, width, j->v.inner, x, NULL, sum);
        if (j->part)
            memcpy(j->part + (outer * j->pieces + piece) * j->v.inner + c, sum,
                   sizeof *sum * (size_t)width);
        else
            j->k->store(width, sum, j->factor,
                        j->y + (size_t)(outer * j->v.inner + c) * j->size);
    }
}

/* part[outer][piece][inner] added over the pieces, in order. */
static void add_parts(const SumJob *j)
{
    for (int64_t o = 0; o < j->v.outer; o++) {
        double *total = j->part + o * j->pieces * j->v.inner;
        for (int64_t p = 1; p < j->pieces; p++)
            for (int64_t c = 0; c < j->v.inner; c++)
                total[c] += total[p * j->v.inner + c];
        j->k->store(j->v.inner, total, j->factor,
                    j->y + (size_t)(o * j->v.inner) * j->size);
    }
}

void sum_run(bool f64, const void *x, AxisView v, double factor, void *y, void *scratch)
{
    SumJob j = {.k = KERN_PICK(reduce_table, f64),
                .x = x,
                .y = y,
                .size = f64 ? 8 : 4,
                .v = v,
                .factor = factor,
                .pieces = sum_pieces(v)};
    j.part = j.pieces > 1 ? scratch : NULL;
    if (v.inner == 1) {
        int64_t length = min64(v.n, SUM_BLOCK);
        for_ranges(v.outer * j.pieces, rows_grain(length), row_units, &j);
    } else {
        int64_t length = min64(v.inner, COL_TILE) * (j.part ? ROW_SPLIT : v.n);
        j.tiles = ceil_div(v.inner, COL_TILE);
        for_ranges(v.outer * j.pieces * j.tiles, rows_grain(length), column_units, &j);
    }
    if (j.part)
        add_parts(&j);
}

static size_t scratch_sum(const Spec *in, int n_in, const OpAttr *a)
{
    (void)n_in;
    return sum_scratch(axis_view_spec(&in[0], a->i[0]));
}

static bool run_sum(const OpArgs *x, Err *err)
{
    (void)err;
    sum_run(tensor_is_f64(x->in[0]), x->in[0]->data, axis_view(x->in[0], x->attr->i[0]),
            1.0, x->out[0]->data, x->scratch);
    return true;
}

static bool run_mean(const OpArgs *x, Err *err)
{
    (void)err;
    AxisView v = axis_view(x->in[0], x->attr->i[0]);
    sum_run(tensor_is_f64(x->in[0]), x->in[0]->data, v, 1.0 / (double)v.n,
            x->out[0]->data, x->scratch);
    return true;
}

/* ---- second moments -------------------------------------------------------------- */

typedef enum Moment { VARIANCE, DEVIATION, NORM } Moment;
typedef struct MomentJob {
    const ReduceTable *k;
    const char *x;
    char *y;
    size_t size;
    AxisView v;
    Moment kind;
    double divisor;
    int64_t tiles;
} MomentJob;

static double finish(const MomentJob *j, double squares)
{
    double v = squares / j->divisor;
    return j->kind == VARIANCE ? v : sqrt(v);
}

static double line_sum(const MomentJob *j, const char *x, int what, double mean)
{
    double s = 0;
    for (int64_t i = 0; i < j->v.n; i += SUM_BLOCK)
        s += j->k->block[what](min64(SUM_BLOCK, j->v.n - i), x + (size_t)i * j->size,
                               mean);
    return s;
}

static void moment_rows(int64_t first, int64_t count, void *ctx)
{
    const MomentJob *j = ctx;
    for (int64_t r = first; r < first + count; r++) {
        const char *x = j->x + (size_t)(r * j->v.n) * j->size;
        double mean = 0;
        if (j->kind != NORM)
            mean = line_sum(j, x, RED_SUM, 0.0) / (double)j->v.n;
        double y = finish(j, line_sum(j, x, RED_SQUARES, mean));
        j->k->store(1, &y, 1.0, j->y + (size_t)r * j->size);
    }
}

static void moment_columns(int64_t first, int64_t count, void *ctx)
{
    const MomentJob *j = ctx;
    double mean[COL_TILE], s[COL_TILE];
    for (int64_t u = first; u < first + count; u++) {
        int64_t outer = u / j->tiles, c = u % j->tiles * COL_TILE;
        int64_t width = min64(COL_TILE, j->v.inner - c);
        const char *x = j->x + (size_t)(outer * j->v.n * j->v.inner + c) * j->size;
        if (j->kind != NORM)
            j->k->columns[RED_SUM](j->v.n, width, j->v.inner, x, NULL, mean);
        for (int64_t k = 0; k < width; k++)
            mean[k] = j->kind == NORM ? 0 : mean[k] / (double)j->v.n;
        j->k->columns[RED_SQUARES](j->v.n, width, j->v.inner, x, mean, s);
        for (int64_t k = 0; k < width; k++)
            s[k] = finish(j, s[k]);
        j->k->store(width, s, 1.0, j->y + (size_t)(outer * j->v.inner + c) * j->size);
    }
}

static bool run_moment(const OpArgs *x, Moment kind)
{
    bool f64 = tensor_is_f64(x->in[0]);
    MomentJob j = {.k = KERN_PICK(reduce_table, f64),
                   .x = x->in[0]->data,
                   .y = x->out[0]->data,
                   .size = f64 ? 8 : 4,
                   .v = axis_view(x->in[0], x->attr->i[0]),
                   .kind = kind};
    j.divisor = kind == NORM ? 1.0 : (double)(j.v.n - x->attr->i[2]);
    if (j.v.inner == 1) {
        for_ranges(j.v.outer, rows_grain(j.v.n), moment_rows, &j);
        return true;
    }
    j.tiles = ceil_div(j.v.inner, COL_TILE);
    for_ranges(j.v.outer * j.tiles, rows_grain(j.v.n * min64(j.v.inner, COL_TILE)),
               moment_columns, &j);
    return true;
}

static bool run_var(const OpArgs *x, Err *err)
{
    (void)err;
    return run_moment(x, VARIANCE);
}

static bool run_std(const OpArgs *x, Err *err)
{
    (void)err;
    return run_moment(x, DEVIATION);
}

static bool run_norm(const OpArgs *x, Err *err)
{
    (void)err;
    return run_moment(x, NORM);
}

/* ---- one line at a time ---------------------------------------------------------- */

typedef enum LineOp { MAX, MIN, ARGMAX, ARGMIN, LSE, CUMSUM, PROD, PROD_GRAD } LineOp;
typedef struct LineJob {
    const ReduceTable *k;
    const char *x, *dy;
    char *y;
    size_t size;
    AxisView v;
    LineOp op;
} LineJob;

static void lines_range(int64_t first, int64_t count, void *ctx)
{
    const LineJob *j = ctx;
    int64_t n = j->v.n, stride = j->v.inner;
    for (int64_t u = first; u < first + count; u++) {
        size_t at = (size_t)(u / stride * n * stride + u % stride) * j->size;
        const char *x = j->x + at;
        char *y = j->y + (size_t)u * j->size;
        switch (j->op) {
        case MAX:
        case MIN: j->k->extreme(n, stride, x, j->op == MAX ? 1 : -1, y); break;
        case ARGMAX:
        case ARGMIN:
            ((int32_t *)(void *)j->y)[u] =
                (int32_t)j->k->extreme(n, stride, x, j->op == ARGMAX ? 1 : -1, NULL);
            break;
        case LSE: j->k->logsumexp(n, stride, x, y); break;
        case CUMSUM: j->k->cumsum(n, stride, x, j->y + at); break;
        case PROD: j->k->prod(n, stride, x, y); break;
        case PROD_GRAD:
            j->k->prod_grad(n, stride, x, j->dy + (size_t)u * j->size, j->y + at);
            break;
        }
    }
}

static bool run_lines(const OpArgs *x, LineOp op)
{
    bool f64 = tensor_is_f64(x->in[0]);
    LineJob j = {.k = KERN_PICK(reduce_table, f64),
                 .x = x->in[0]->data,
                 .dy = op == PROD_GRAD ? x->in[1]->data : NULL,
                 .y = x->out[0]->data,
                 .size = f64 ? 8 : 4,
                 .v = axis_view(x->in[0], x->attr->i[0]),
                 .op = op};
    for_ranges(j.v.outer * j.v.inner, rows_grain(j.v.n), lines_range, &j);
    return true;
}

#define RUN_LINES(name, OP)                                                            \
    static bool run_##name(const OpArgs *x, Err *err)                                  \
    {                                                                                  \
        (void)err;                                                                     \
        return run_lines(x, OP);                                                       \
    }
RUN_LINES(max, MAX)
RUN_LINES(min, MIN)
RUN_LINES(argmax, ARGMAX)
RUN_LINES(argmin, ARGMIN)
RUN_LINES(logsumexp, LSE)
RUN_LINES(cumsum, CUMSUM)
RUN_LINES(prod, PROD)
RUN_LINES(prod_grad, PROD_GRAD)

/* ---- shape rules ----------------------------------------------------------------- */

/* Reductions that have no value for an empty line. */
static bool shape_extreme(const Spec *in, int n_in, const OpAttr *a, Spec *out,
                          Err *err)
{
    char text[96];
    if (!shape_reduce(in, n_in, a, out, err))
        return false;
    AxisView v = axis_view_spec(&in[0], a->i[0]);
    if (v.n == 0 && v.outer * v.inner > 0)
        return err_set(err, ERR_SHAPE, "%s has no element along the axis",
                       spec_format(&in[0], text));
    return true;
}

static bool shape_arg(const Spec *in, int n_in, const OpAttr *a, Spec *out, Err *err)
{
    if (!shape_extreme(in, n_in, a, out, err))
        return false;
    out->dtype = I32;
    return true;
}

static bool shape_cumsum(const Spec *in, int n_in, const OpAttr *a, Spec *out, Err *err)
{
    int axis;
    return shape_float_like(in, n_in, a, out, err) &&
           need_axis(a->i[0], in[0].ndim, &axis, err);
}

static bool shape_prod_grad(const Spec *in, int n_in, const OpAttr *a, Spec *out,
                            Err *err)
{
    AxisView v = axis_view_spec(&in[0], a->i[0]);
    if (spec_count(&in[1]) != v.outer * v.inner)
        return err_set(err, ERR_SHAPE, "dy has %lld elements, %lld are needed",
                       (long long)spec_count(&in[1]), (long long)(v.outer * v.inner));
    return need_float(in, 1, err) && shape_float_like(in, n_in, a, out, err);
}

static double cost_input(const Spec *in, int n_in, const OpAttr *a)
{
    (void)n_in, (void)a;
    return (double)spec_count(&in[0]);
}

static double cost_moment(const Spec *in, int n_in, const OpAttr *a)
{
    return 4.0 * cost_input(in, n_in, a);
}

static double cost_lse(const Spec *in, int n_in, const OpAttr *a)
{
    return 14.0 * cost_input(in, n_in, a);
}

/* ---- backward -------------------------------------------------------------------- */

static double line_length(Graph *g, const OpGrad *d)
{
    Spec s = graph_spec(g, d->in[0]);
    return (double)axis_view_spec(&s, d->attr->i[0]).n;
}

static bool grad_sum(Graph *g, OpGrad *d)
{
    d->din[0] = grad_expand(g, d->dout[0], d->in[0], d->attr);
    return graph_ok(g);
}

static bool grad_mean(Graph *g, OpGrad *d)
{
    Val dy = g_scale(g, d->dout[0], 1.0 / line_length(g, d));
    d->din[0] = grad_expand(g, dy, d->in[0], d->attr);
    return graph_ok(g);
}

/* Equal elements share the gradient. */
static bool grad_extreme(Graph *g, OpGrad *d)
{
    Val y = grad_keep(g, d->out[0], d->in[0], d->attr);
    Val dy = grad_keep(g, d->dout[0], d->in[0], d->attr);
    Val hit = g_binary(g, "eq", d->in[0], y);
    Val ties = call_axis(g, "sum", &hit, 1, d->attr->i[0], true);
    d->din[0] = g_mul(g, hit, g_div(g, dy, ties));
    return graph_ok(g);
}

static Val centred(Graph *g, const OpGrad *d)
{
    return g_sub(g, d->in[0], call_axis(g, "mean", &d->in[0], 1, d->attr->i[0], true));
}

static bool grad_var(Graph *g, OpGrad *d)
{
    double k = 2.0 / (line_length(g, d) - (double)d->attr->i[2]);
    Val dy = grad_keep(g, g_scale(g, d->dout[0], k), d->in[0], d->attr);
    d->din[0] = g_mul(g, centred(g, d), dy);
    return graph_ok(g);
}

/* dy / y with 0 where y is 0. */
static Val over_output(Graph *g, const OpGrad *d, double k)
{
    Val y = g_binary(g, "maximum", d->out[0], g_num(g, d->out[0], 1e-30));
    return grad_keep(g, g_div(g, g_scale(g, d->dout[0], k), y), d->in[0], d->attr);
}

static bool grad_std(Graph *g, OpGrad *d)
{
    double k = 1.0 / (line_length(g, d) - (double)d->attr->i[2]);
    d->din[0] = g_mul(g, centred(g, d), over_output(g, d, k));
    return graph_ok(g);
}

static bool grad_norm(Graph *g, OpGrad *d)
{
    d->din[0] = g_mul(g, d->in[0], over_output(g, d, 1.0));
    return graph_ok(g);
}

static bool grad_logsumexp(Graph *g, OpGrad *d)
{
    Val y = grad_keep(g, d->out[0], d->in[0], d->attr);
    Val dy = grad_keep(g, d->dout[0], d->in[0], d->attr);
    d->din[0] = g_mul(g, g_exp(g, g_sub(g, d->in[0], y)), dy);
    return graph_ok(g);
}

static bool grad_cumsum(Graph *g, OpGrad *d)
{
    Val v = call_axis(g, "flip", &d->dout[0], 1, d->attr->i[0], false);
    v = call_axis(g, "cumsum", &v, 1, d->attr->i[0], false);
    d->din[0] = call_axis(g, "flip", &v, 1, d->attr->i[0], false);
    return graph_ok(g);
}

static bool grad_prod(Graph *g, OpGrad *d)
{
    Val in[2] = {d->in[0], d->dout[0]};
    d->din[0] = call_axis(g, "prod_grad", in, 2, d->attr->i[0], false);
    return graph_ok(g);
}

/* ---- rows ------------------------------------------------------------------------ */

#define AXIS_DOC                                                                       \
    " Without an axis everything is reduced to a scalar; keep leaves the axis with "   \
    "length 1."
#define SHAPES "3x5; 3x5; 3x5; 2x3x4; 2x3x4; 9001; 5000x3; 2x300; 4x0; ; 3x2x270; 1x1"
#define ATTRS                                                                          \
    "; axis=0; axis=1 keep=true; axis=1; keep=true; axis=0; axis=0; axis=-1; axis=0; " \
    "; "                                                                               \
    "axis=1 keep=true; axis=0"
#define FULL_SHAPES "3x5; 3x5; 3x5; 2x3x4; 2x3x4; 901; 50x3; ; 3x2x70"
#define FULL_ATTRS                                                                     \
    "; axis=0; axis=1 keep=true; axis=1; keep=true; axis=0; axis=0; ; axis=1"
#define REDUCTION(nm, dc, fm, ...)                                                     \
    {                                                                                  \
        .name = #nm, .sig = "x, axis:a=none, keep:b=false", .doc = dc AXIS_DOC,        \
        .formula = fm, .run = run_##nm, __VA_ARGS__                                    \
    }

const OpRow ops_reduce[] = {
    REDUCTION(sum, "The sum along an axis.", "y = sum_i x_i", .flops = cost_input,
              .shape = shape_reduce, .grad = grad_sum, .scratch = scratch_sum,
              .test = {.shapes = SHAPES, .attrs = ATTRS}),
    REDUCTION(mean, "The mean along an axis.", "y = 1/n sum_i x_i", .flops = cost_input,
              .shape = shape_reduce, .grad = grad_mean, .scratch = scratch_sum,
              .test = {.shapes = FULL_SHAPES "; 9001; 5000x3",
                       .attrs = FULL_ATTRS "; ; axis=0"}),
    REDUCTION(max, "The largest element along an axis; NaN if there is one.",
              "y = max_i x_i", .flops = cost_input, .shape = shape_extreme,
              .grad = grad_extreme, .flags = OP_KINKS,
              .test = {.shapes = FULL_SHAPES, .attrs = FULL_ATTRS, .margin = 1e-4}),
    REDUCTION(min, "The smallest element along an axis; NaN if there is one.",
              "y = min_i x_i", .flops = cost_input, .shape = shape_extreme,
              .grad = grad_extreme, .flags = OP_KINKS,
              .test = {.shapes = FULL_SHAPES, .attrs = FULL_ATTRS, .margin = 1e-4}),
    REDUCTION(
        argmax,
        "The position of the largest element along an axis, counted from 0, as i32; "
        "the first of equal ones.",
        "y = argmax_i x_i", .flops = cost_input, .shape = shape_arg,
        .flags = OP_NODIFF | OP_KINKS,
        .test = {.shapes = FULL_SHAPES, .attrs = FULL_ATTRS, .margin = 1e-4}),
    REDUCTION(
        argmin,
        "The position of the smallest element along an axis, counted from 0, as i32; "
        "the first of equal ones.",
        "y = argmin_i x_i", .flops = cost_input, .shape = shape_arg,
        .flags = OP_NODIFF | OP_KINKS,
        .test = {.shapes = FULL_SHAPES, .attrs = FULL_ATTRS, .margin = 1e-4}),
    REDUCTION(logsumexp, "The logarithm of the sum of exponentials, without overflow.",
              "y = ln sum_i e^x_i", .shape = shape_extreme, .grad = grad_logsumexp,
              .flops = cost_lse, .test = {.shapes = FULL_SHAPES, .attrs = FULL_ATTRS}),
    REDUCTION(norm, "The Euclidean (L2) norm along an axis; its gradient at 0 is 0.",
              "y = sqrt(sum_i x_i^2)", .shape = shape_reduce, .grad = grad_norm,
              .flops = cost_moment,
              .test = {.shapes = FULL_SHAPES "; 9001; 700x3",
                       .attrs = FULL_ATTRS "; ; axis=0"}),
    REDUCTION(prod, "The product along an axis.", "y = prod_i x_i", .flops = cost_input,
              .shape = shape_reduce, .grad = grad_prod,
              .test = {.shapes = "3x5; 3x5; 2x3x4; ; 4x0",
                       .attrs = "; axis=0; axis=1 keep=true; ; axis=1"}),
    {.name = "var",
     .sig = "x, axis:a=none, keep:b=false, ddof:i=0",
     .doc = "The variance along an axis; the divisor is n - ddof." AXIS_DOC,
     .formula = "y = 1/(n - ddof) sum_i (x_i - mean)^2",
     .shape = shape_reduce,
     .run = run_var,
     .grad = grad_var,
     .flops = cost_moment,
     .test = {.shapes = FULL_SHAPES "; 9001; 700x3; 6x4",
              .attrs =
                  "; axis=0; axis=1 keep=true; axis=1; keep=true; axis=0; axis=0; ; "
                  "axis=1; ; axis=0; axis=1 ddof=1"}},
    {.name = "std",
     .sig = "x, axis:a=none, keep:b=false, ddof:i=0",
     .doc = "The standard deviation along an axis; the divisor is n - ddof." AXIS_DOC,
     .formula = "y = sqrt(1/(n - ddof) sum_i (x_i - mean)^2)",
     .shape = shape_reduce,
     .run = run_std,
     .grad = grad_std,
     .flops = cost_moment,
     .test = {.shapes = "3x5; 3x5; 3x5; 2x3x4; 2x3x4; 9001; 700x3; 6x4",
              .attrs = "; axis=0; axis=1 keep=true; axis=1; keep=true; ; axis=0; "
                       "axis=1 ddof=1"}},
    {.name = "cumsum",
     .sig = "x, axis:a",
     .doc = "The running sum along an axis, same shape as x.",
     .formula = "y_i = sum_{j <= i} x_j",
     .inplace = 1,
     .shape = shape_cumsum,
     .run = run_cumsum,
     .grad = grad_cumsum,
     .test = {.shapes = "3x5; 3x5; 2x3x4; 0x4; 700",
              .attrs = "axis=0; axis=1; axis=1; axis=0; axis=-1"}},
    {.name = "prod_grad",
     .sig = "x, dy, axis:a=none",
     .doc = "The backward of prod: dy times the product of all other elements of the "
            "line, "
            "right also when some are 0.",
     .formula = "y_i = dy prod_{j != i} x_j",
     .flags = OP_NODIFF,
     .shape = shape_prod_grad,
     .run = run_prod_grad,
     .flops = cost_moment,
     .test = {.shapes = "3x5,; 3x5,5; 2x3x4,2x1x4", .attrs = "; axis=0; axis=1"}},
};
const int ops_reduce_count = ARRAY_LEN(ops_reduce);
