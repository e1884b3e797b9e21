/* ops_optim.c -- rows that change states: optimiser steps, assignment; and the rows
 * around them: weight gradient, gradient norm, zeros.
 *
 * linear_dw is the weight gradient that the backward of `linear` should emit (inputs
 * dy, x; dW = dy^T x): up to 16 examples it is an element-wise kernel whose bits do not
 * depend on how dW is cut, above that a matrix product. The planner joins a small-batch
 * linear_dw with the step that alone uses it (optim_fused_row), so that the gradient of
 * a large layer is never stored. */
#include <math.h>
#include <string.h>

#include "graph/build.h"
#include "graph/families.h"
#include "graph/optim_kern.h"
#include "graph/plan_int.h"
#include "graph/thin.h"
#include "tensor/blas.h"
#include "tensor/pool.h"

static const OptimTable *table_of(const Tensor *t)
{
    return KERN_PICK(optim_table, t->dtype == F64);
}

/* ---- assignment and zeros -------------------------------------------------------- */

static bool assign_shape(const Spec *in, int n_in, const OpAttr *a, Spec *out, Err *err)
{
    (void)n_in, (void)a, (void)out;
    char sa[96], sb[96];
    if (spec_equal(&in[0], &in[1]))
        return true;
    return err_set(err, ERR_SHAPE,
                   "the state is %s and the value %s; they must be equal",
                   spec_format(&in[0], sa), spec_format(&in[1], sb));
}

static bool assign_run(const OpArgs *x, Err *err)
{
    (void)err;
    size_t n = tensor_bytes(x->in[0]);
    if (n > 0)
        memmove(x->in[0]->data, x->in[1]->data, n);
    return true;
}

static bool zeros_shape(const Spec *in, int n_in, const OpAttr *a, Spec *out, Err *err)
{
    (void)n_in, (void)a, (void)err;
    *out = in[0];
    return true;
}

static bool zeros_run(const OpArgs *x, Err *err)
{
    (void)err;
    size_t n = tensor_bytes(x->out[0]);
    if (n > 0)
        memset(x->out[0]->data, 0, n);
    return true;
}

static bool copy_run(const OpArgs *x, Err *err)
{
    (void)err;
    size_t n = tensor_bytes(x->out[0]);
    if (n > 0)
        memcpy(x->out[0]->data, x->in[0]->data, n);
    return true;
}

const OpRow row_copy = {
    .name = "copy",
    .sig = "x",
    .doc = "A copy of x in memory of its own.",
    .shape = zeros_shape,
    .run = copy_run,
    .flags = OP_NODIFF,
};

/* ---- weight gradient ------------------------------------------------------------- */

static bool dw_shape(const Spec *in, int n_in, const OpAttr *a, Spec *out, Err *err)
{
    (void)n_in, (void)a;
    char sa[96], sb[96];
    if (!need_float(in, 0, err) || !need_ndim(in, 0, 2, err) ||
        !need_float(in, 1, err) || !need_ndim(in, 1, 2, err))
        return false;
    if (in[0].dim[0] != in[1].dim[0])
        return err_set(err, ERR_SHAPE, "dy is %s and x %s; both need the same batch",
                       spec_format(&in[0], sa), spec_format(&in[1], sb));
    int64_t dim[2] = {in[0].dim[1], in[1].dim[1]};
    *out = spec_make(in[0].dtype, 2, dim);
    return true;
}

typedef struct DwJob {
    const OptimTable *k;
    const StepCoef *c; /* NULL: store dW */
    StepKind kind;
    StepMem mem;
    int64_t B, O, I;
    const void *dy, *x;
    void *dw;
    int chunks;
} DwJob;

static void dw_chunk(int chunk, void *ctx)
{
    const DwJob *j = ctx;
    int64_t first = weight_cut(j->O, chunk, j->chunks, 1),
            end = weight_cut(j->O, chunk + 1, j->chunks, 1);
    if (j->c)
        j->k->step_dw[j->kind](j->c, j->mem, j->B, j->O, j->I, j->dy, j->x, first,
                               end - first);
    else
        j->k->dw(j->B, j->O, j->I, j->dy, j->x, j->dw, first, end - first);
}

static void dw_job(DwJob *j)
{
    j->chunks = weight_pieces(j->O * j->I);
    if (j->chunks > j->O)
        j->chunks = (int)j->O;
    if (j->O > 0 && j->I > 0)
        pool_run(j->chunks, dw_chunk, j);
}

static bool dw_run(const OpArgs *x, Err *err)
{
    const Tensor *dy = x->in[0], *in = x->in[1];
    int64_t B = dy->dim[0], O = dy->dim[1], I = in->dim[1];
    if (B <= DW_MAX_BATCH) {
        DwJob j = {.k = table_of(dy),
                   .B = B,
                   .O = O,
                   .I = I,
                   .dy = dy->data,
                   .x = in->data,
                   .dw = x->out[0]->data};
        dw_job(&j);
        return true;
    }
    if (dy->dtype == F64)
        return blas_gemm_f64(true, false, O, I, B, 1, dy->data, O, in->data, I, 0,
                             x->out[0]->data, I, err);
    return blas_gemm_f32(true, false, O, I, B, 1, dy->data, O, in->data, I, 0,
                         x->out[0]->data, I, err);
}

/* dW = dy^T x, so d dy = x G^T and d x = dy G. */
static bool dw_grad(Graph *g, OpGrad *d)
{
    if (d->need[0])
        d->din[0] = g_matmul(g, d->in[1], d->dout[0], false, true);
    if (d->need[1])
        d->din[1] = g_matmul(g, d->in[0], d->dout[0], false, false);
    return true;
}

static double dw_flops(const Spec *in, int n_in, const OpAttr *a)
{
    (void)n_in, (void)a;
    return 2.0 * (double)in[0].dim[0] * (double)in[0].dim[1] * (double)in[1].dim[1];
}

/* ---- clipping -------------------------------------------------------------------- */

enum { NORM_BLOCK = 16384 };

static bool norm_shape(const Spec *in, int n_in, const OpAttr *a, Spec *out, Err *err)
{
    (void)n_in, (void)a;
    *out = spec_make(in[0].dtype, 0, NULL);
    return need_float(in, 0, err);
}

typedef struct NormJob {
    const OptimTable *k;
    const char *x;
    int64_t n;
    size_t size;
    double *sum;
} NormJob;

static void norm_chunk(int chunk, void *ctx)
{
    const NormJob *j = ctx;
    int64_t first = (int64_t)chunk * NORM_BLOCK;
    int64_t n = j->n - first < NORM_BLOCK ? j->n - first : NORM_BLOCK;
    j->sum[chunk] = j->k->sum_squares(j->x + (size_t)first * j->size, n);
}

static void put_scalar(Tensor *t, double v)
{
    if (t->dtype == F64)
        *(double *)t->data = v;
    else
        *(float *)t->data = (float)v;
}

static double get_scalar(const Tensor *t)
{
    return t->dtype == F64 ? *(const double *)t->data : (double)*(const float *)t->data;
}

static bool norm_run(const OpArgs *x, Err *err)
{
    (void)err;
    NormJob j = {.k = table_of(x->in[0]),
                 .x = x->in[0]->data,
                 .n = tensor_count(x->in[0]),
                 .size = dtype_size(x->in[0]->dtype),
                 .sum = x->scratch};
    int blocks = pool_chunks((long)j.n, NORM_BLOCK);
    pool_run(blocks, norm_chunk, &j);
    double sum = 0;
    for (int i = 0; i < blocks; i++)
        sum += j.sum[i];
    put_scalar(x->out[0], sum);
    return true;
}

static size_t norm_scratch(const Spec *in, int n_in, const OpAttr *a)
{
    (void)n_in, (void)a;
    return (size_t)pool_chunks((long)spec_count(&in[0]), NORM_BLOCK) * sizeof(double);
}

static bool norm_grad(Graph *g, OpGrad *d)
{
    d->din[0] = g_mul(g, g_scale(g, d->in[0], 2), d->dout[0]);
    return true;
}

static bool clip_shape(const Spec *in, int n_in, const OpAttr *a, Spec *out, Err *err)
{
    *out = spec_make(in[0].dtype, 0, NULL);
    for (int k = 0; k < n_in; k++)
        if (in[k].ndim != 0)
            return err_set(err, ERR_SHAPE, "input %d must be a scalar", k + 1);
    if (!(a->f[0] > 0))
        return err_set(err, ERR_OPTION, "the largest norm must be above 0, not %g",
                       a->f[0]);
    return need_float(in, 0, err);
}

static bool clip_run(const OpArgs *x, Err *err)
{
    (void)err;
    double norm = sqrt(get_scalar(x->in[0]));
    put_scalar(x->out[0], norm > x->attr->f[0] ? x->attr->f[0] / norm : 1.0);
    return true;
}

/* ---- steps ----------------------------------------------------------------------- */

/* Inputs of a step row: first the weight and its moments, then the gradient (or dy, x
 * in the fused rows), lr, t for adam, and an optional scale of the gradient. */
static StepKind step_kind(const OpRow *row)
{
    return row->inplace == 1 ? STEP_SGD : row->inplace == 3 ? STEP_MOMENTUM : STEP_ADAM;
}

static bool step_shape(StepKind kind, const Spec *in, int n_in, Err *err)
{
    char sa[96], sb[96];
    int n_like = (int)kind + 2; /* weight, moments, gradient */
    for (int k = 0; k < n_like; k++) {
        if (!need_float(in, k, err))
            return false;
        if (!spec_equal(&in[k], &in[0]))
            return err_set(err, ERR_SHAPE,
                           "input %d is %s, it must be like the weight, %s", k + 1,
                           spec_format(&in[k], sa), spec_format(&in[0], sb));
    }
    for (int k = n_like; k < n_in; k++)
        if (in[k].ndim > 0 || (in[k].ndim == 0 && !need_float(in, k, err)))
            return err_set(err, ERR_SHAPE, "input %d must be a float scalar, it is %s",
                           k + 1, spec_format(&in[k], sa));
    return true;
}

static bool sgd_shape(const Spec *in, int n_in, const OpAttr *a, Spec *out, Err *err)
{
    (void)a, (void)out;
    return step_shape(STEP_SGD, in, n_in, err);
}

static bool momentum_shape(const Spec *in, int n_in, const OpAttr *a, Spec *out,
                           Err *err)
{
    (void)a, (void)out;
    return step_shape(STEP_MOMENTUM, in, n_in, err);
}

static bool adam_shape(const Spec *in, int n_in, const OpAttr *a, Spec *out, Err *err)
{
    (void)a, (void)out;
    return step_shape(STEP_ADAM, in, n_in, err);
}

/* lr is input `at`. Bias corrections in double: in float beta2^t is wrong for large
 * t. */
static StepCoef step_coef(StepKind kind, const OpArgs *x, int at)
{
    const OpAttr *a = x->attr;
    double lr = get_scalar(x->in[at]);
    int scale = at + (kind == STEP_ADAM ? 2 : 1);
    StepCoef c = {.scale = 1, .rate = lr, .l2 = a->f[0], .keep = 1 - lr * a->f[1]};
    if (scale < x->n_in && x->in[scale])
        c.scale = get_scalar(x->in[scale]);
    if (kind == STEP_MOMENTUM)
        c.beta1 = a->f[2];
    if (kind == STEP_ADAM) {
        double t = get_scalar(x->in[at + 1]);
        c.beta1 = a->f[2];
        c.beta2 = a->f[3];
        c.eps = a->f[4];
        c.rate = lr / (1 - pow(c.beta1, t));
        c.inv_sqrt = 1 / sqrt(1 - pow(c.beta2, t));
    }
    return c;
}

static StepMem step_mem(StepKind kind, const OpArgs *x)
{
    return (StepMem){.w = x->in[0]->data,
                     .m = kind >= STEP_MOMENTUM ? x->in[1]->data : NULL,
                     .v = kind == STEP_ADAM ? x->in[2]->data : NULL};
}

typedef struct StepJob {
    const OptimTable *k;
    StepKind kind;
    StepCoef c;
    StepMem mem;
    const void *g;
    int64_t n;
    int chunks;
} StepJob;

static void step_chunk(int chunk, void *ctx)
{
    const StepJob *j = ctx;
    int64_t first = weight_cut(j->n, chunk, j->chunks, 64);
    int64_t end = weight_cut(j->n, chunk + 1, j->chunks, 64);
    j->k->step[j->kind](&j->c, j->mem, j->g, first, end - first);
}

static bool step_run(StepKind kind, const OpArgs *x)
{
    int g = (int)kind + 1;
    StepJob j = {.k = table_of(x->in[0]),
                 .kind = kind,
                 .c = step_coef(kind, x, g + 1),
                 .mem = step_mem(kind, x),
                 .g = x->in[g]->data,
                 .n = tensor_count(x->in[0])};
    j.chunks = weight_pieces(j.n);
    if (j.n > 0)
        pool_run(j.chunks, step_chunk, &j);
    return true;
}

static bool step_dw_run(StepKind kind, const OpArgs *x)
{
    int g = (int)kind + 1;
    const Tensor *dy = x->in[g], *in = x->in[g + 1];
    StepCoef c = step_coef(kind, x, g + 2);
    DwJob j = {.k = table_of(dy),
               .c = &c,
               .kind = kind,
               .mem = step_mem(kind, x),
               .B = dy->dim[0],
               .O = dy->dim[1],
               .I = in->dim[1],
               .dy = dy->data,
               .x = in->data};
    dw_job(&j);
    return true;
}

#define STEP_RUNS(name, kind)                                                          \
    static bool name##_run(const OpArgs *x, Err *err)                                  \
    {                                                                                  \
        (void)err;                                                                     \
        return step_run(kind, x);                                                      \
    }                                                                                  \
    static bool name##_dw_run(const OpArgs *x, Err *err)                               \
    {                                                                                  \
        (void)err;                                                                     \
        return step_dw_run(kind, x);                                                   \
    }
STEP_RUNS(sgd, STEP_SGD)
STEP_RUNS(momentum, STEP_MOMENTUM)
STEP_RUNS(adam, STEP_ADAM)

static double step_flops(StepKind kind, const Spec *w)
{
    static const double per_element[N_STEPS] = {4, 6, 14};
    return per_element[kind] * (double)spec_count(w);
}

#define STEP_FLOPS(name, kind)                                                         \
    static double name##_flops(const Spec *in, int n_in, const OpAttr *a)              \
    {                                                                                  \
        (void)n_in, (void)a;                                                           \
        return step_flops(kind, &in[0]);                                               \
    }                                                                                  \
    static double name##_dw_flops(const Spec *in, int n_in, const OpAttr *a)           \
    {                                                                                  \
        return step_flops(kind, &in[0]) + dw_flops(in + kind + 1, n_in, a);            \
    }
STEP_FLOPS(sgd, STEP_SGD)
STEP_FLOPS(momentum, STEP_MOMENTUM)
STEP_FLOPS(adam, STEP_ADAM)

static const OpRow fused[N_STEPS] = {
    {.name = "sgd_step+linear_dw",
     .flags = OP_EFFECT | OP_NODIFF,
     .inplace = 1,
     .run = sgd_dw_run,
     .flops = sgd_dw_flops},
    {.name = "momentum_step+linear_dw",
     .flags = OP_EFFECT | OP_NODIFF,
     .inplace = 3,
     .run = momentum_dw_run,
     .flops = momentum_dw_flops},
    {.name = "adam_step+linear_dw",
     .flags = OP_EFFECT | OP_NODIFF,
     .inplace = 7,
     .run = adam_dw_run,
     .flops = adam_dw_flops},
};

int optim_grad_input(const OpRow *row)
{
    bool is_step =
        row->run == sgd_run || row->run == momentum_run || row->run == adam_run;
    return is_step ? (int)step_kind(row) + 1 : -1;
}

const OpRow *optim_fused_row(const OpRow *step, const Spec *dy)
{
    return dy->dim[0] <= DW_MAX_BATCH ? &fused[step_kind(step)] : NULL;
}

const OpRow ops_optim[] = {
    {.name = "assign",
     .sig = "state, value",
     .doc = "Writes value into the state in place; both have the same shape and dtype.",
     .formula = "state := value",
     .flags = OP_EFFECT | OP_NODIFF,
     .inplace = 1,
     .shape = assign_shape,
     .run = assign_run,
     .test = {.shapes = "3x4,3x4; ,; 0x3,0x3"}},
    {.name = "zeros_like",
     .sig = "x",
     .doc = "Zeros of the shape and dtype of x.",
     .formula = "y = 0",
     .flags = OP_NODIFF,
     .shape = zeros_shape,
     .run = zeros_run,
     .test = {.shapes = "3x4; ; 0x3"}},
    {.name = "linear_dw",
     .sig = "dy, x",
     .doc = "The weight gradient of linear: dy [B,O] and x [B,I] give [O,I].",
     .formula = "dW = dy^T x",
     .shape = dw_shape,
     .run = dw_run,
     .grad = dw_grad,
     .flops = dw_flops,
     .test = {.shapes = "3x4,3x5; 8x2,8x37; 17x3,17x2; 1x1,1x1; 0x2,0x3; 2x0,2x3"}},
    {.name = "grad_norm_sq",
     .sig = "x",
     .doc = "The sum of the squares of all elements, as a scalar; 0 for an empty x.",
     .formula = "y = sum(x^2)",
     .shape = norm_shape,
     .run = norm_run,
     .grad = norm_grad,
     .scratch = norm_scratch,
     .test = {.shapes = "3x4; ; 0x3; 20000"}},
    {.name = "clip_scale",
     .sig = "norm_sq, max_norm:f",
     .doc = "The factor that brings a gradient with the given squared norm down to "
            "max_norm; 1 if it is below.",
     .formula = "y = min(1, max_norm / sqrt(norm_sq))",
     .flags = OP_NODIFF,
     .shape = clip_shape,
     .run = clip_run,
     .test = {.shapes = "; ", .attrs = "max_norm=1; max_norm=0.1", .lo = 0.1, .hi = 4}},
    {.name = "sgd_step",
     .sig = "w, g, lr, scale?, l2:f=0, decay:f=0",
     .doc = "Gradient descent in place. g is multiplied by scale; l2 adds l2*w to it; "
            "decay "
            "shrinks w by lr*decay first.",
     .formula = "w := (1 - lr decay) w - lr (scale g + l2 w)",
     .flags = OP_EFFECT | OP_NODIFF,
     .inplace = 1,
     .shape = sgd_shape,
     .run = sgd_run,
     .flops = sgd_flops,
     .test = {.shapes = "5x7,5x7,; ,,; 0x3,0x3,"}},
    {.name = "momentum_step",
     .sig = "w, m, g, lr, scale?, l2:f=0, decay:f=0, momentum:f=0.9",
     .doc = "Gradient descent with heavy-ball momentum, in place; m is the velocity.",
     .formula = "m := momentum m + scale g + l2 w; w := (1 - lr decay) w - lr m",
     .flags = OP_EFFECT | OP_NODIFF,
     .inplace = 3,
     .shape = momentum_shape,
     .run = momentum_run,
     .flops = momentum_flops,
     .test = {.shapes = "5x7,5x7,5x7,; ,,,; 0x3,0x3,0x3,"}},
    {.name = "adam_step",
     .sig = "w, m, v, g, lr, t, scale?, l2:f=0, decay:f=0, beta1:f=0.9, beta2:f=0.999, "
            "eps:f=1e-8",
     .doc = "One step of Adam in place; t counts from 1. l2 is coupled decay (added to "
            "the "
            "gradient), decay the decoupled one of AdamW.",
     .formula =
         "w := (1 - lr decay) w - lr m' / (sqrt(v') + eps), m' v' bias-corrected",
     .flags = OP_EFFECT | OP_NODIFF,
     .inplace = 7,
     .shape = adam_shape,
     .run = adam_run,
     .flops = adam_flops,
     .test = {.shapes = "5x7,5x7,5x7,5x7,,; ,,,,,; 0x3,0x3,0x3,0x3,,",
              .lo = 0.5,
              .hi = 2}},
};
const int ops_optim_count = (int)ARRAY_LEN(ops_optim);
