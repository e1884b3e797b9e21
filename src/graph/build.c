/* build.c -- graph_op() by name. Attribute slots follow the rows' signatures. */
#include "graph/build.h"

#include <stdio.h>
#include <string.h>

#include "base/str.h"

Val g_call(Graph *g, const char *op, const Val *in, int n_in, const OpAttr *a)
{
    if (!graph_ok(g))
        return VAL_NONE;
    const OpRow *row = op_find(op);
    if (!row)
        return graph_fail(g, ERR_STATE, "there is no op called '%s'", op);
    return graph_op(g, row, in, n_in, a);
}

Val g_num(Graph *g, Val like, double v)
{
    if (!graph_ok(g))
        return VAL_NONE;
    return graph_number(g, graph_spec(g, like).dtype, v);
}

Val g_unary(Graph *g, const char *op, Val x)
{
    return g_call(g, op, &x, 1, NULL);
}

Val g_binary(Graph *g, const char *op, Val a, Val b)
{
    Val in[2] = {a, b};
    return g_call(g, op, in, 2, NULL);
}

Val g_add(Graph *g, Val a, Val b)
{
    return g_binary(g, "add", a, b);
}

Val g_sub(Graph *g, Val a, Val b)
{
    return g_binary(g, "sub", a, b);
}

Val g_mul(Graph *g, Val a, Val b)
{
    return g_binary(g, "mul", a, b);
}

Val g_div(Graph *g, Val a, Val b)
{
    return g_binary(g, "div", a, b);
}

static Val with_number(Graph *g, const char *op, Val x, double k)
{
    OpAttr a = {.f = {k}};
    return g_call(g, op, &x, 1, &a);
}

Val g_scale(Graph *g, Val x, double k)
{
    return with_number(g, "scale", x, k);
}

Val g_shift(Graph *g, Val x, double k)
{
    return with_number(g, "shift", x, k);
}

Val g_neg(Graph *g, Val x)
{
    return g_unary(g, "neg", x);
}

Val g_square(Graph *g, Val x)
{
    return g_unary(g, "square", x);
}

Val g_sqrt(Graph *g, Val x)
{
    return g_unary(g, "sqrt", x);
}

Val g_abs(Graph *g, Val x)
{
    return g_unary(g, "abs", x);
}

Val g_exp(Graph *g, Val x)
{
    return g_unary(g, "exp", x);
}

Val g_log(Graph *g, Val x)
{
    return g_unary(g, "log", x);
}

Val g_relu(Graph *g, Val x)
{
    return g_unary(g, "relu", x);
}

Val g_gelu(Graph *g, Val x)
{
    return g_unary(g, "gelu", x);
}

Val g_stop(Graph *g, Val x)
{
    return g_unary(g, "stop_gradient", x);
}

Val g_linear(Graph *g, Val x, Val w, Val b)
{
    Val in[3] = {x, w, b};
    return g_call(g, "linear", in, b == VAL_NONE ? 2 : 3, NULL);
}

Val g_conv2d(Graph *g, Val x, Val w, Val b, int64_t stride, int64_t pad,
             int64_t dilation)
{
    Val in[3] = {x, w, b};
    OpAttr a = {.i = {stride, pad, dilation, -1, -1, -1}};
    return g_call(g, "conv2d", in, b == VAL_NONE ? 2 : 3, &a);
}

Val g_matmul(Graph *g, Val a, Val b, bool ta, bool tb)
{
    Val in[2] = {a, b};
    OpAttr at = {.i = {ta, tb}};
    return g_call(g, "matmul", in, 2, &at);
}

Val g_einsum(Graph *g, const char *spec, Val a, Val b)
{
    Val in[2] = {a, b};
    OpAttr at = {0};
    if (!text_copy(at.text, sizeof at.text, spec))
        return graph_fail(g, ERR_SHAPE, "einsum: '%s' is longer than %zu characters",
                          spec, sizeof at.text - 1);
    return g_call(g, "einsum", in, b == VAL_NONE ? 1 : 2, &at);
}

static Val reduce(Graph *g, const char *op, Val x, int64_t axis, bool keep)
{
    OpAttr a = {.i = {axis, keep}};
    return g_call(g, op, &x, 1, &a);
}

Val g_sum(Graph *g, Val x)
{
    return reduce(g, "sum", x, OP_AXIS_NONE, false);
}

Val g_mean(Graph *g, Val x)
{
    return reduce(g, "mean", x, OP_AXIS_NONE, false);
}

Val g_sum_axis(Graph *g, Val x, int axis, bool keep)
{
    return reduce(g, "sum", x, axis, keep);
}

Val g_reshape(Graph *g, Val x, int ndim, const int64_t *dim)
{
    OpAttr a = {.n_list = ndim};
    memcpy(a.list, dim, sizeof *dim * (size_t)ndim);
    return g_call(g, "reshape", &x, 1, &a);
}

Val g_transpose(Graph *g, Val x)
{
    OpAttr a = {.i = {-2, -1}};
    return g_call(g, "transpose", &x, 1, &a);
}

Val g_cross_entropy(Graph *g, Val logits, Val labels)
{
    return g_binary(g, "cross_entropy", logits, labels);
}

static Val draw(Graph *g, const char *op, const char *stream, DType t, int ndim,
                const int64_t *dim, double f1, double f2)
{
    /* All draws: shape:I, stream:s, two numbers (one for bernoulli), dtype:d. */
    OpAttr a = {.n_list = ndim, .f = {0, 0, f1, f2}};
    a.i[!strcmp(op, "bernoulli") ? 3 : 4] = t;
    memcpy(a.list, dim, sizeof *dim * (size_t)ndim);
    if (!text_copy(a.text, sizeof a.text, stream))
        return graph_fail(g, ERR_OPTION, "%s: stream name '%s' is too long", op,
                          stream);
    return g_call(g, op, NULL, 0, &a);
}

Val g_normal(Graph *g, const char *stream, DType t, int ndim, const int64_t *dim)
{
    return draw(g, "normal", stream, t, ndim, dim, 0.0, 1.0);
}

Val g_uniform(Graph *g, const char *stream, double lo, double hi, DType t, int ndim,
              const int64_t *dim)
{
    return draw(g, "uniform", stream, t, ndim, dim, lo, hi);
}

Val g_bernoulli(Graph *g, const char *stream, double p, DType t, int ndim,
                const int64_t *dim)
{
    return draw(g, "bernoulli", stream, t, ndim, dim, p, 0.0);
}
