/* ops_ew.c -- elementwise ops. Unary ops run in pieces of EW_GRAIN elements. Binary
 * ones bring the broadcast to its fewest dimensions by merging neighbours that step
 * alike; what remains innermost is vector with vector, vector with one value, or one
 * value with vector, and one kernel call per innermost run does it. Same shape, a
 * scalar, a row and a column are then the cases with one or two dimensions left. */
#include <string.h>

#include "graph/build.h"
#include "graph/ew_kern.h"
#include "graph/families.h"

/* ---- unary ----------------------------------------------------------------------- */

typedef struct UnaryJob {
    EwUnary *fn;
    const char *x;
    char *y;
    size_t size;
    double k, k2;
} UnaryJob;

static void unary_range(int64_t first, int64_t count, void *ctx)
{
    const UnaryJob *j = ctx;
    j->fn(count, j->x + (size_t)first * j->size, j->y + (size_t)first * j->size, j->k,
          j->k2);
}

static bool run_unary(const OpArgs *x, int op)
{
    bool f64 = tensor_is_f64(x->in[0]);
    UnaryJob j = {KERN_PICK(ew_table, f64)->unary[op],
                  x->in[0]->data,
                  x->out[0]->data,
                  f64 ? 8 : 4,
                  x->attr ? x->attr->f[0] : 0,
                  x->attr ? x->attr->f[1] : 0};
    for_ranges(tensor_count(x->in[0]), EW_GRAIN, unary_range, &j);
    return true;
}

#define RUN_UNARY(name)                                                                \
    static bool run_##name(const OpArgs *x, Err *err)                                  \
    {                                                                                  \
        (void)err;                                                                     \
        return run_unary(x, EW_##name);                                                \
    }
EW_UNARY_LIST(RUN_UNARY)

/* ---- broadcasting ---------------------------------------------------------------- */

enum { MAX_OPERANDS = 3 };
typedef struct Steps {
    int nd, n_in;
    int64_t dim[MAX_DIM];
    int64_t step[MAX_OPERANDS][MAX_DIM]; /* elements; 0 where broadcast */
} Steps;

static bool merges(const Steps *s, const int64_t *step)
{
    if (s->nd == 0)
        return false;
    for (int j = 0; j < s->n_in; j++)
        if (step[j] != s->step[j][s->nd - 1] * s->dim[s->nd - 1])
            return false;
    return true;
}

/* Dimensions are stored innermost first. */
static Steps steps_of(const OpArgs *x)
{
    Steps s = {.n_in = x->n_in};
    const Tensor *out = x->out[0];
    int64_t run[MAX_OPERANDS] = {1, 1, 1};
    for (int k = 1; k <= out->ndim; k++) {
        int64_t dim = out->dim[out->ndim - k], step[MAX_OPERANDS];
        for (int j = 0; j < x->n_in; j++) {
            int64_t d = k <= x->in[j]->ndim ? x->in[j]->dim[x->in[j]->ndim - k] : 1;
            step[j] = d == 1 ? 0 : run[j];
            run[j] *= d;
        }
        if (dim == 1)
            continue;
        if (merges(&s, step)) {
            s.dim[s.nd - 1] *= dim;
            continue;
        }
        for (int j = 0; j < x->n_in; j++)
            s.step[j][s.nd] = step[j];
        s.dim[s.nd++] = dim;
    }
    if (s.nd == 0)
        s.dim[s.nd++] = 1;
    return s;
}

typedef struct BroadcastJob {
    Steps s;
    EwBinary *const *form; /* [EW_N_FORMS] */
    EwWhere *where;
    const char *in[MAX_OPERANDS];
    char *y;
    size_t size;
    int64_t inner;
} BroadcastJob;

static void innermost(const BroadcastJob *j, const int64_t *at, int64_t y, int64_t n)
{
    const char *p[MAX_OPERANDS];
    for (int k = 0; k < j->s.n_in; k++)
        p[k] = j->in[k] + (size_t)at[k] * j->size;
    char *dst = j->y + (size_t)y * j->size;
    if (j->where) {
        j->where(n, p[0], (int)j->s.step[0][0], p[1], (int)j->s.step[1][0], p[2],
                 (int)j->s.step[2][0], dst);
        return;
    }
    bool va = j->s.step[0][0] != 0, vb = j->s.step[1][0] != 0;
    j->form[va == vb ? EW_VV : va ? EW_VS : EW_SV](n, p[0], p[1], dst);
}

/* One row of the innermost dimension after another, first..first+count-1 of the rest.
 */
static void rows_range(int64_t first, int64_t count, void *ctx)
{
    const BroadcastJob *j = ctx;
    int64_t index[MAX_DIM] = {0}, at[MAX_OPERANDS] = {0}, rest = first;
    for (int d = 1; d < j->s.nd; d++) {
        index[d] = rest % j->s.dim[d];
        rest /= j->s.dim[d];
        for (int k = 0; k < j->s.n_in; k++)
            at[k] += index[d] * j->s.step[k][d];
    }
    for (int64_t r = first; r < first + count; r++) {
        innermost(j, at, r * j->inner, j->inner);
        for (int d = 1; d < j->s.nd; d++) {
            index[d]++;
            for (int k = 0; k < j->s.n_in; k++)
                at[k] += j->s.step[k][d];
            if (index[d] < j->s.dim[d])
                break;
            for (int k = 0; k < j->s.n_in; k++)
                at[k] -= index[d] * j->s.step[k][d];
            index[d] = 0;
        }
    }
}

static void flat_range(int64_t first, int64_t count, void *ctx)
{
    const BroadcastJob *j = ctx;
    int64_t at[MAX_OPERANDS];
    for (int k = 0; k < j->s.n_in; k++)
        at[k] = first * j->s.step[k][0];
    innermost(j, at, first, count);
}

static void run_broadcast(BroadcastJob *j, const OpArgs *x)
{
    int64_t total = tensor_count(x->out[0]);
    if (total == 0)
        return;
    j->s = steps_of(x);
    j->size = dtype_size(x->out[0]->dtype);
    j->y = x->out[0]->data;
    for (int k = 0; k < x->n_in; k++)
        j->in[k] = x->in[k]->data;
    j->inner = j->s.dim[0];
    if (j->s.nd == 1)
        for_ranges(total, EW_GRAIN, flat_range, j);
    else
        for_ranges(total / j->inner, rows_grain(j->inner), rows_range, j);
}

static bool run_binary(const OpArgs *x, int op)
{
    BroadcastJob j = {0};
    j.form = KERN_PICK(ew_table, tensor_is_f64(x->in[0]))->binary[op];
    run_broadcast(&j, x);
    return true;
}

#define RUN_BINARY(name)                                                               \
    static bool run_##name(const OpArgs *x, Err *err)                                  \
    {                                                                                  \
        (void)err;                                                                     \
        return run_binary(x, EB_##name);                                               \
    }
RUN_BINARY(add)
RUN_BINARY(sub)
RUN_BINARY(mul)
RUN_BINARY(div)
RUN_BINARY(pow)
RUN_BINARY(maximum)
RUN_BINARY(minimum)
RUN_BINARY(relu_grad)
RUN_BINARY(gelu_grad)
RUN_BINARY(sigmoid_grad)
RUN_BINARY(tanh_grad)

#define RUN_COMPARE(name)                                                              \
    static bool run_##name(const OpArgs *x, Err *err)                                  \
    {                                                                                  \
        (void)err;                                                                     \
        BroadcastJob j = {0};                                                          \
        const EwTable *t = KERN_PICK(ew_table, tensor_is_f64(x->in[0]));               \
        j.form =                                                                       \
            x->in[0]->dtype == I32 ? t->cmp_i32[EC_##name] : t->binary[EB_##name];     \
        run_broadcast(&j, x);                                                          \
        return true;                                                                   \
    }
EW_COMPARE_LIST(RUN_COMPARE)

static bool run_where(const OpArgs *x, Err *err)
{
    (void)err;
    BroadcastJob j = {.where = KERN_PICK(ew_table, tensor_is_f64(x->out[0]))->where};
    run_broadcast(&j, x);
    return true;
}

/* ---- shape rules ----------------------------------------------------------------- */

static bool shape_binary(const Spec *in, int n_in, const OpAttr *a, Spec *out, Err *err)
{
    (void)n_in, (void)a;
    out->dtype = in[0].dtype;
    return need_float(in, 0, err) && need_float(in, 1, err) &&
           broadcast_dims(&in[0], &in[1], out, err);
}

static bool shape_compare(const Spec *in, int n_in, const OpAttr *a, Spec *out,
                          Err *err)
{
    if (in[0].dtype != I32 || in[1].dtype != I32)
        return shape_binary(in, n_in, a, out, err);
    out->dtype = F32;
    return broadcast_dims(&in[0], &in[1], out, err);
}

static bool shape_where(const Spec *in, int n_in, const OpAttr *a, Spec *out, Err *err)
{
    (void)n_in, (void)a;
    Spec both = {.dtype = in[1].dtype};
    out->dtype = in[1].dtype;
    return need_float(in, 0, err) && need_float(in, 1, err) && need_float(in, 2, err) &&
           broadcast_dims(&in[1], &in[2], &both, err) &&
           broadcast_dims(&in[0], &both, out, err);
}

static bool shape_clamp(const Spec *in, int n_in, const OpAttr *a, Spec *out, Err *err)
{
    if (!(a->f[0] <= a->f[1]))
        return err_set(err, ERR_OPTION, "lo must not exceed hi, got %g and %g", a->f[0],
                       a->f[1]);
    return shape_float_like(in, n_in, a, out, err);
}

static bool shape_cast(const Spec *in, int n_in, const OpAttr *a, Spec *out, Err *err)
{
    (void)n_in;
    *out = in[0];
    out->dtype = (DType)a->i[0];
    if (a->i[0] < 0 || a->i[0] >= N_DTYPES)
        return err_set(err, ERR_OPTION, "unknown dtype number %lld",
                       (long long)a->i[0]);
    return true;
}

static bool shape_copy(const Spec *in, int n_in, const OpAttr *a, Spec *out, Err *err)
{
    (void)n_in, (void)a, (void)err;
    *out = in[0];
    return true;
}

static bool run_cast(const OpArgs *x, Err *err)
{
    (void)err;
    copy_view(*x->in[0], *x->out[0]);
    return true;
}

/* Costs: multiply-adds that a polynomial of that kind takes. */
static double cost_12(const Spec *in, int n_in, const OpAttr *a)
{
    (void)n_in, (void)a;
    return 12.0 * (double)spec_count(&in[0]);
}

/* ---- backward -------------------------------------------------------------------- */

/* din = dout * f, with f made by the expression; X, Y, DY are the values at hand. */
#define X  (d->in[0])
#define Y  (d->out[0])
#define DY (d->dout[0])
#define GRAD_UNARY(name, expr)                                                         \
    static bool grad_##name(Graph *g, OpGrad *d)                                       \
    {                                                                                  \
        d->din[0] = (expr);                                                            \
        return graph_ok(g);                                                            \
    }
GRAD_UNARY(neg, g_neg(g, DY))
GRAD_UNARY(abs, g_mul(g, DY, g_unary(g, "sign", X)))
GRAD_UNARY(square, g_mul(g, g_scale(g, DY, 2.0), X))
GRAD_UNARY(sqrt, g_div(g, g_scale(g, DY, 0.5), Y))
GRAD_UNARY(rsqrt, g_mul(g, g_scale(g, DY, -0.5), g_mul(g, Y, g_square(g, Y))))
GRAD_UNARY(exp, g_mul(g, DY, Y))
GRAD_UNARY(log, g_div(g, DY, X))
GRAD_UNARY(log1p, g_div(g, DY, g_shift(g, X, 1.0)))
GRAD_UNARY(expm1, g_mul(g, DY, g_shift(g, Y, 1.0)))
GRAD_UNARY(sin, g_mul(g, DY, g_unary(g, "cos", X)))
GRAD_UNARY(cos, g_neg(g, g_mul(g, DY, g_unary(g, "sin", X))))
GRAD_UNARY(tanh, g_binary(g, "tanh_grad", Y, DY))
GRAD_UNARY(sigmoid, g_binary(g, "sigmoid_grad", Y, DY))
GRAD_UNARY(softplus, g_mul(g, DY, g_unary(g, "sigmoid", X)))
GRAD_UNARY(relu, g_binary(g, "relu_grad", X, DY))
GRAD_UNARY(gelu, g_binary(g, "gelu_grad", X, DY))
/* 2/sqrt(pi) exp(-x^2) */
GRAD_UNARY(erf, g_mul(g, g_scale(g, DY, 1.1283791670955126),
                      g_exp(g, g_neg(g, g_square(g, X)))))
GRAD_UNARY(scale, g_scale(g, DY, d->attr->f[0]))
GRAD_UNARY(shift, DY)
GRAD_UNARY(clamp, g_mul(g, DY, g_binary(g, "eq", X, Y)))

static bool grad_cast(Graph *g, OpGrad *d)
{
    DType from = graph_spec(g, X).dtype;
    OpAttr a = {.i = {from}};
    if (is_float(from) && is_float(graph_spec(g, Y).dtype))
        d->din[0] = g_call(g, "cast", &DY, 1, &a);
    return graph_ok(g);
}

/* Both gradients of a binary op, each only when wanted, summed down to its input. */
#define GRAD_BINARY(name, ga, gb)                                                      \
    static bool grad_##name(Graph *g, OpGrad *d)                                       \
    {                                                                                  \
        Val A = d->in[0], B = d->in[1];                                                \
        (void)A, (void)B;                                                              \
        if (d->need[0])                                                                \
            d->din[0] = grad_sum_to(g, (ga), A);                                       \
        if (d->need[1])                                                                \
            d->din[1] = grad_sum_to(g, (gb), B);                                       \
        return graph_ok(g);                                                            \
    }
GRAD_BINARY(add, DY, DY)
GRAD_BINARY(sub, DY, g_neg(g, DY))
GRAD_BINARY(mul, g_mul(g, DY, B), g_mul(g, DY, A))
GRAD_BINARY(div, g_div(g, DY, B), g_neg(g, g_div(g, g_mul(g, DY, Y), B)))
GRAD_BINARY(pow, g_mul(g, DY, g_mul(g, B, g_binary(g, "pow", A, g_shift(g, B, -1.0)))),
            g_mul(g, DY, g_mul(g, Y, g_log(g, A))))
GRAD_BINARY(maximum, g_mul(g, DY, g_binary(g, "ge", A, B)),
            g_mul(g, DY, g_binary(g, "lt", A, B)))
GRAD_BINARY(minimum, g_mul(g, DY, g_binary(g, "le", A, B)),
            g_mul(g, DY, g_binary(g, "gt", A, B)))

/* The fused backward rows are linear in the incoming gradient (input 2). */
static bool grad_relu_grad(Graph *g, OpGrad *d)
{
    if (d->need[1])
        d->din[1] = g_binary(g, "relu_grad", X, DY);
    return graph_ok(g);
}

/* gelu'' = phi(x) (2 - x^2) */
static bool grad_gelu_grad(Graph *g, OpGrad *d)
{
    Val x = d->in[0], up = d->in[1];
    if (d->need[0]) {
        Val phi =
            g_scale(g, g_exp(g, g_scale(g, g_square(g, x), -0.5)), 0.3989422804014327);
        Val second = g_mul(g, phi, g_shift(g, g_neg(g, g_square(g, x)), 2.0));
        d->din[0] = g_mul(g, g_mul(g, DY, up), second);
    }
    if (d->need[1])
        d->din[1] = g_binary(g, "gelu_grad", x, DY);
    return graph_ok(g);
}

static bool grad_sigmoid_grad(Graph *g, OpGrad *d)
{
    Val y = d->in[0], up = d->in[1];
    if (d->need[0])
        d->din[0] = g_mul(g, g_mul(g, DY, up), g_shift(g, g_scale(g, y, -2.0), 1.0));
    if (d->need[1])
        d->din[1] = g_binary(g, "sigmoid_grad", y, DY);
    return graph_ok(g);
}

static bool grad_tanh_grad(Graph *g, OpGrad *d)
{
    Val y = d->in[0], up = d->in[1];
    if (d->need[0])
        d->din[0] = g_mul(g, g_mul(g, DY, up), g_scale(g, y, -2.0));
    if (d->need[1])
        d->din[1] = g_binary(g, "tanh_grad", y, DY);
    return graph_ok(g);
}

static bool grad_where(Graph *g, OpGrad *d)
{
    Val c = d->in[0], zero = g_num(g, DY, 0.0);
    Val yes[3] = {c, DY, zero}, no[3] = {c, zero, DY};
    if (d->need[1])
        d->din[1] = grad_sum_to(g, g_call(g, "where", yes, 3, NULL), d->in[1]);
    if (d->need[2])
        d->din[2] = grad_sum_to(g, g_call(g, "where", no, 3, NULL), d->in[2]);
    return graph_ok(g);
}
#undef X
#undef Y
#undef DY

/* ---- rows ------------------------------------------------------------------------ */

#define UNARY_SHAPES "3x5; ; 0x4; 1x1; 2x3x4; 40; 17001"
#define BINARY_SHAPES                                                                  \
    "3x4,3x4; 3x4,4; 3x4,3x1; 3x1,1x4; 3x4,; ,3x4; 2x1x3,4x1; 0x3,1x3; 1,1; 300x70,70"

#define UNARY(nm, dc, fm, ...)                                                         \
    {                                                                                  \
        .name = #nm, .sig = "x", .doc = dc, .formula = fm, .inplace = 1,               \
        .shape = shape_float_like, .run = run_##nm, __VA_ARGS__                        \
    }
#define BINARY(nm, dc, fm, ...)                                                        \
    {                                                                                  \
        .name = #nm, .sig = "a, b", .doc = dc " Shapes broadcast by NumPy's rule.",    \
        .formula = fm, .inplace = 3, .shape = shape_binary, .run = run_##nm,           \
        __VA_ARGS__                                                                    \
    }
#define COMPARE(nm, dc, fm)                                                            \
    {                                                                                  \
        .name = #nm, .sig = "a, b",                                                    \
        .doc = dc " as 1 or 0. Two floats give their dtype, two i32 give f32; shapes " \
                  "broadcast by NumPy's rule.",                                        \
        .formula = fm, .flags = OP_NODIFF | OP_KINKS, .shape = shape_compare,          \
        .run = run_##nm, .test = {                                                     \
            .shapes = BINARY_SHAPES,                                                   \
            .margin = 1e-3                                                             \
        }                                                                              \
    }
#define GRAD_ROW(nm, dc, fm, sg, ...)                                                  \
    {                                                                                  \
        .name = #nm, .sig = sg, .doc = dc, .formula = fm, .inplace = 3,                \
        .shape = shape_all_equal, .run = run_##nm, .grad = grad_##nm, __VA_ARGS__      \
    }

const OpRow ops_ew[] = {
    BINARY(add, "The sum of two tensors.", "y = a + b", .grad = grad_add,
           .test = {.shapes = BINARY_SHAPES}),
    BINARY(sub, "The difference of two tensors.", "y = a - b", .grad = grad_sub,
           .test = {.shapes = BINARY_SHAPES}),
    BINARY(mul, "The product of two tensors, element by element.", "y = a b",
           .grad = grad_mul, .test = {.shapes = BINARY_SHAPES}),
    BINARY(div, "The quotient of two tensors, element by element.", "y = a / b",
           .grad = grad_div, .test = {.shapes = BINARY_SHAPES, .lo = 0.5, .hi = 3}),
    BINARY(pow, "a to the power b. A negative a needs an integral b.", "y = a^b",
           .grad = grad_pow, .flops = cost_12,
           .test = {.shapes = BINARY_SHAPES, .lo = 0.3, .hi = 2.5}),
    BINARY(maximum, "The larger of two elements; NaN if either is.", "y = max(a, b)",
           .grad = grad_maximum, .flags = OP_KINKS,
           .test = {.shapes = BINARY_SHAPES, .margin = 1e-3}),
    BINARY(minimum, "The smaller of two elements; NaN if either is.", "y = min(a, b)",
           .grad = grad_minimum, .flags = OP_KINKS,
           .test = {.shapes = BINARY_SHAPES, .margin = 1e-3}),
    COMPARE(lt, "a < b", "y = [a < b]"),
    COMPARE(le, "a <= b", "y = [a <= b]"),
    COMPARE(gt, "a > b", "y = [a > b]"),
    COMPARE(ge, "a >= b", "y = [a >= b]"),
    COMPARE(eq, "a = b", "y = [a = b]"),
    COMPARE(ne, "a differs from b", "y = [a != b]"),
    {.name = "where",
     .sig = "cond, a, b",
     .doc =
         "a where cond is not 0, else b. cond is a float tensor (as comparisons give); "
         "the three shapes broadcast by NumPy's rule.",
     .formula = "y = cond != 0 ? a : b",
     .inplace = 6,
     .flags = OP_KINKS,
     .shape = shape_where,
     .run = run_where,
     .grad = grad_where,
     .test = {.shapes = "3x4,3x4,3x4; 3x1,4,; ,3,3; 0x2,2,1x2; 5,,", .margin = 1e-3}},
    UNARY(neg, "The negative of every element.", "y = -x", .grad = grad_neg,
          .test = {.shapes = UNARY_SHAPES}),
    UNARY(abs, "The absolute value.", "y = |x|", .grad = grad_abs, .flags = OP_KINKS,
          .test = {.shapes = UNARY_SHAPES, .margin = 1e-3}),
    UNARY(square, "The square.", "y = x^2", .grad = grad_square,
          .test = {.shapes = UNARY_SHAPES}),
    UNARY(sqrt, "The square root; NaN for a negative x.", "y = sqrt(x)",
          .grad = grad_sqrt, .test = {.shapes = UNARY_SHAPES, .lo = 0.2, .hi = 4}),
    UNARY(rsqrt, "One over the square root.", "y = 1 / sqrt(x)", .grad = grad_rsqrt,
          .test = {.shapes = UNARY_SHAPES, .lo = 0.2, .hi = 4}),
    UNARY(exp, "The exponential.", "y = e^x", .grad = grad_exp, .flops = cost_12,
          .test = {.shapes = UNARY_SHAPES}),
    UNARY(log, "The natural logarithm.", "y = ln x", .grad = grad_log, .flops = cost_12,
          .test = {.shapes = UNARY_SHAPES, .lo = 0.2, .hi = 4}),
    UNARY(log1p, "ln(1 + x), accurate near 0.", "y = ln(1 + x)", .grad = grad_log1p,
          .flops = cost_12, .test = {.shapes = UNARY_SHAPES, .lo = -0.7, .hi = 3}),
    UNARY(expm1, "e^x - 1, accurate near 0.", "y = e^x - 1", .grad = grad_expm1,
          .flops = cost_12, .test = {.shapes = UNARY_SHAPES}),
    UNARY(sin, "The sine; x in radians.", "y = sin x", .grad = grad_sin,
          .flops = cost_12, .test = {.shapes = UNARY_SHAPES, .lo = -4, .hi = 4}),
    UNARY(cos, "The cosine; x in radians.", "y = cos x", .grad = grad_cos,
          .flops = cost_12, .test = {.shapes = UNARY_SHAPES, .lo = -4, .hi = 4}),
    UNARY(tanh, "The hyperbolic tangent.", "y = tanh x", .grad = grad_tanh,
          .flops = cost_12, .test = {.shapes = UNARY_SHAPES}),
    UNARY(sigmoid, "The logistic function.", "y = 1 / (1 + e^-x)", .grad = grad_sigmoid,
          .flops = cost_12, .test = {.shapes = UNARY_SHAPES, .lo = -6, .hi = 6}),
    UNARY(softplus, "A smooth relu, safe for large |x|.", "y = ln(1 + e^x)",
          .grad = grad_softplus, .flops = cost_12,
          .test = {.shapes = UNARY_SHAPES, .lo = -6, .hi = 6}),
    UNARY(relu, "x where it is positive, else 0.", "y = max(x, 0)", .grad = grad_relu,
          .flags = OP_KINKS, .test = {.shapes = UNARY_SHAPES, .margin = 1e-3}),
    UNARY(gelu, "The Gaussian error linear unit, exact (with erf).",
          "y = x/2 (1 + erf(x / sqrt 2))", .grad = grad_gelu, .flops = cost_12,
          .test = {.shapes = UNARY_SHAPES, .lo = -4, .hi = 4}),
    UNARY(erf, "The error function.", "y = 2/sqrt(pi) int_0^x e^(-t^2) dt",
          .grad = grad_erf, .flops = cost_12,
          .test = {.shapes = UNARY_SHAPES, .lo = -3, .hi = 3}),
    UNARY(sign, "-1, 0 or 1. Its gradient is 0.", "y = sign x",
          .flags = OP_NODIFF | OP_KINKS,
          .test = {.shapes = UNARY_SHAPES, .margin = 1e-3}),
    UNARY(floor, "The largest integer not above x. Its gradient is 0.", "y = floor x",
          .flags = OP_NODIFF | OP_KINKS,
          .test = {.shapes = UNARY_SHAPES, .margin = 1e-3}),
    UNARY(round, "The nearest integer, halves to the even one. Its gradient is 0.",
          "y = round x", .flags = OP_NODIFF | OP_KINKS,
          .test = {.shapes = UNARY_SHAPES, .margin = 1e-3}),
    {.name = "scale",
     .sig = "x, k:f",
     .doc = "Every element times a fixed number.",
     .formula = "y = k x",
     .inplace = 1,
     .shape = shape_float_like,
     .run = run_scale,
     .grad = grad_scale,
     .test = {.shapes = "3x5; ; 0x4; 17001", .attrs = "k=2.5; k=-1; k=3; k=0.1"}},
    {.name = "shift",
     .sig = "x, k:f",
     .doc = "Every element plus a fixed number.",
     .formula = "y = x + k",
     .inplace = 1,
     .shape = shape_float_like,
     .run = run_shift,
     .grad = grad_shift,
     .test = {.shapes = "3x5; ; 0x4; 17001", .attrs = "k=2.5; k=-1; k=3; k=0.1"}},
    {.name = "clamp",
     .sig = "x, lo:f, hi:f",
     .doc = "x limited to lo..hi. The gradient is 0 outside.",
     .formula = "y = min(max(x, lo), hi)",
     .inplace = 1,
     .flags = OP_KINKS,
     .shape = shape_clamp,
     .run = run_clamp,
     .grad = grad_clamp,
     .test = {.shapes = "3x5; ; 0x4; 17001",
              .attrs = "lo=-1 hi=1; lo=0 hi=0.5; lo=0 hi=1; lo=-0.3 hi=0.7",
              .margin = 1e-5}},
    {.name = "stop_gradient",
     .sig = "x",
     .doc = "x itself; no gradient flows through.",
     .formula = "y = x",
     .flags = OP_VIEW | OP_NODIFF,
     .shape = shape_copy,
     .run = run_cast,
     .test = {.shapes = "3x5; ; 0x4"}},
    {.name = "cast",
     .sig = "x, dtype:d",
     .doc = "x converted to another dtype. Floats become integers by truncation, u8 "
            "and i32 "
            "saturate. The gradient flows between floats only.",
     .formula = NULL,
     .shape = shape_cast,
     .run = run_cast,
     .grad = grad_cast,
     .test = {.shapes = "3x5; ; 0x4; 4x3; 7",
              .attrs = "dtype=f64; dtype=f64; dtype=f64; dtype=i32; dtype=u8"}},
    GRAD_ROW(relu_grad, "The backward of relu: dy where x is positive.",
             "y = dy [x > 0]", "x, dy", .flags = OP_KINKS,
             .test = {.shapes = "3x5,3x5; ,; 0x4,0x4", .margin = 1e-3}),
    GRAD_ROW(gelu_grad, "The backward of gelu.", "y = dy (Phi(x) + x phi(x))", "x, dy",
             .flops = cost_12, .test = {.shapes = "3x5,3x5; ,; 0x4,0x4"}),
    GRAD_ROW(sigmoid_grad, "The backward of sigmoid, from its output s.",
             "y = dy s (1 - s)", "s, dy",
             .test = {.shapes = "3x5,3x5; ,; 0x4,0x4", .lo = 0.05, .hi = 0.95}),
    GRAD_ROW(tanh_grad, "The backward of tanh, from its output t.", "y = dy (1 - t^2)",
             "t, dy", .test = {.shapes = "3x5,3x5; ,; 0x4,0x4", .lo = -0.9, .hi = 0.9}),
};
const int ops_ew_count = ARRAY_LEN(ops_ew);
