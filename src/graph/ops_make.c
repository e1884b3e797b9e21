/* ops_make.c -- tensors made from nothing or from a pattern: constants, the identity,
 * ranges, triangles and diagonals. */
#include <string.h>

#include "graph/build.h"
#include "graph/families.h"

static char *element(const Tensor *t, int64_t offset)
{
    return (char *)t->data + offset * (int64_t)dtype_size(t->dtype);
}

/* ---- makers ---------------------------------------------------------------------- */

static bool shape_like(const Spec *in, int n_in, const OpAttr *a, Spec *out, Err *err)
{
    (void)n_in, (void)a, (void)err;
    *out = in[0];
    return true;
}

static bool run_ones(const OpArgs *x, Err *err)
{
    (void)err;
    fill_tensor(x->out[0], 1.0);
    return true;
}

static bool list_spec(const OpAttr *a, int64_t dtype, Spec *out, Err *err)
{
    for (int k = 0; k < a->n_list; k++)
        if (a->list[k] < 0)
            return err_set(err, ERR_SHAPE, "dimension %d is %lld", k + 1,
                           (long long)a->list[k]);
    *out = spec_make((DType)dtype, a->n_list, a->list);
    return true;
}

static bool shape_full(const Spec *in, int n_in, const OpAttr *a, Spec *out, Err *err)
{
    (void)in, (void)n_in;
    return list_spec(a, a->i[2], out, err);
}

static bool run_full(const OpArgs *x, Err *err)
{
    (void)err;
    fill_tensor(x->out[0], x->attr->f[1]);
    return true;
}

static bool shape_count(const OpAttr *a, int ndim, int64_t dtype, Spec *out, Err *err)
{
    int64_t dim[2] = {a->i[0], a->i[0]};
    if (a->i[0] < 0)
        return err_set(err, ERR_SHAPE, "n must be 0 or more, it is %lld",
                       (long long)a->i[0]);
    *out = spec_make((DType)dtype, ndim, dim);
    return true;
}

static bool shape_eye(const Spec *in, int n_in, const OpAttr *a, Spec *out, Err *err)
{
    (void)in, (void)n_in;
    return shape_count(a, 2, a->i[1], out, err);
}

/* The diagonal of a square matrix as a vector that can be copied from or to. */
static Tensor diagonal(const Tensor *t)
{
    Tensor v = *t;
    v.ndim = 1;
    v.stride[0] = t->stride[0] + t->stride[1];
    return v;
}

static bool run_eye(const OpArgs *x, Err *err)
{
    (void)err;
    fill_tensor(x->out[0], 0.0);
    Tensor d = diagonal(x->out[0]);
    fill_tensor(&d, 1.0);
    return true;
}

static bool shape_arange(const Spec *in, int n_in, const OpAttr *a, Spec *out, Err *err)
{
    (void)in, (void)n_in;
    return shape_count(a, 1, a->i[3], out, err);
}

static bool run_arange(const OpArgs *x, Err *err)
{
    (void)err;
    for (int64_t i = 0; i < x->out[0]->dim[0]; i++) {
        double v = x->attr->f[1] + (double)i * x->attr->f[2];
        Tensor one = {.dtype = F64, .data = &v};
        Tensor at = {.dtype = x->out[0]->dtype, .data = element(x->out[0], i)};
        tensor_copy_into(&one, &at, NULL);
    }
    return true;
}

/* ---- triangles and diagonals ----------------------------------------------------- */

static bool shape_triangle(const Spec *in, int n_in, const OpAttr *a, Spec *out,
                           Err *err)
{
    (void)n_in, (void)a;
    char text[96];
    *out = in[0];
    return in[0].ndim >= 2 ||
           err_set(err, ERR_SHAPE, "needs 2 or more dimensions, got %s",
                   spec_format(&in[0], text));
}

/* Row i keeps columns from..to-1. */
static void run_triangle(const OpArgs *x, bool lower)
{
    const Tensor *t = x->in[0];
    int64_t rows = t->dim[t->ndim - 2], cols = t->dim[t->ndim - 1];
    int64_t count = tensor_count(t);
    size_t size = dtype_size(t->dtype);
    char *y = x->out[0]->data;
    if (count == 0)
        return;
    if (y != (char *)t->data)
        memcpy(y, t->data, tensor_bytes(t));
    int64_t k = x->attr->i[0];
    k = k < -rows ? -rows : k > cols ? cols : k;
    for (int64_t r = 0; r < count / cols; r++) {
        int64_t cut = r % rows + k + (lower ? 1 : 0);
        cut = cut < 0 ? 0 : cut > cols ? cols : cut;
        int64_t from = lower ? cut : 0, to = lower ? cols : cut;
        memset(y + (size_t)(r * cols + from) * size, 0, (size_t)(to - from) * size);
    }
}

static bool run_tril(const OpArgs *x, Err *err)
{
    (void)err;
    run_triangle(x, true);
    return true;
}

static bool run_triu(const OpArgs *x, Err *err)
{
    (void)err;
    run_triangle(x, false);
    return true;
}

static bool grad_tril(Graph *g, OpGrad *d)
{
    d->din[0] = g_call(g, "tril", d->dout, 1, d->attr);
    return graph_ok(g);
}

static bool grad_triu(Graph *g, OpGrad *d)
{
    d->din[0] = g_call(g, "triu", d->dout, 1, d->attr);
    return graph_ok(g);
}

static bool shape_diag(const Spec *in, int n_in, const OpAttr *a, Spec *out, Err *err)
{
    (void)n_in, (void)a;
    char text[96];
    int64_t n = in[0].dim[0], dim[2] = {n, n};
    if (in[0].ndim == 1 || (in[0].ndim == 2 && n == in[0].dim[1])) {
        *out = spec_make(in[0].dtype, in[0].ndim == 1 ? 2 : 1, dim);
        return true;
    }
    return err_set(err, ERR_SHAPE, "takes a vector or a square matrix, not %s",
                   spec_format(&in[0], text));
}

static bool run_diag(const OpArgs *x, Err *err)
{
    (void)err;
    if (x->in[0]->ndim == 2) {
        copy_view(diagonal(x->in[0]), *x->out[0]);
        return true;
    }
    fill_tensor(x->out[0], 0.0);
    copy_view(*x->in[0], diagonal(x->out[0]));
    return true;
}

static bool grad_diag(Graph *g, OpGrad *d)
{
    d->din[0] = g_unary(g, "diag", d->dout[0]);
    return graph_ok(g);
}

/* ---- rows ------------------------------------------------------------------------ */

const OpRow ops_make[] = {
    {.name = "ones_like",
     .sig = "x",
     .doc = "Ones of the shape and dtype of x.",
     .formula = "y = 1",
     .flags = OP_NODIFF,
     .shape = shape_like,
     .run = run_ones,
     .test = {.shapes = "3x4; ; 0x3; 300x200"}},
    {.name = "full",
     .sig = "shape:I, value:f=0, dtype:d=f32",
     .doc = "A tensor of one value.",
     .formula = "y = value",
     .flags = OP_NODIFF,
     .shape = shape_full,
     .run = run_full,
     .test = {.shapes = "none; none; none",
              .attrs = "shape=3,4 value=2.5; shape= value=1; shape=0,3"}},
    {.name = "eye",
     .sig = "n:i, dtype:d=f32",
     .doc = "The n by n identity matrix.",
     .formula = "y_ij = [i = j]",
     .flags = OP_NODIFF,
     .shape = shape_eye,
     .run = run_eye,
     .test = {.shapes = "none; none; none", .attrs = "n=3; n=0; n=1"}},
    {.name = "arange",
     .sig = "n:i, start:f=0, step:f=1, dtype:d=f32",
     .doc = "n numbers: start, start + step, ...",
     .formula = "y_i = start + i step",
     .flags = OP_NODIFF,
     .shape = shape_arange,
     .run = run_arange,
     .test = {.shapes = "none; none; none",
              .attrs = "n=5; n=0; n=7 start=-1 step=0.25"}},
    {.name = "tril",
     .sig = "x, k:i=0",
     .doc = "The lower triangle of the last two axes, with k diagonals above the main "
            "one; "
            "the rest is 0.",
     .inplace = 1,
     .shape = shape_triangle,
     .run = run_tril,
     .grad = grad_tril,
     .test = {.shapes = "3x4; 2x3x3; 3x3; 0x2", .attrs = "; k=1; k=-1;"}},
    {.name = "triu",
     .sig = "x, k:i=0",
     .doc = "The upper triangle of the last two axes from the k-th diagonal above the "
            "main "
            "one on; the rest is 0.",
     .inplace = 1,
     .shape = shape_triangle,
     .run = run_triu,
     .grad = grad_triu,
     .test = {.shapes = "3x4; 2x3x3; 3x3; 0x2", .attrs = "; k=1; k=-1;"}},
    {.name = "diag",
     .sig = "x",
     .doc = "A square matrix with the vector x on its diagonal, or the diagonal of the "
            "square "
            "matrix x.",
     .formula = "y_ij = x_i [i = j], or y_i = x_ii",
     .shape = shape_diag,
     .run = run_diag,
     .grad = grad_diag,
     .test = {.shapes = "4; 3x3; 0; 0x0"}},
};
const int ops_make_count = ARRAY_LEN(ops_make);
