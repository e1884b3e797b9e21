/* ops_util.c -- checks, shape rules, loops and backward idioms shared by the families.
 */
#include <stdio.h>
#include <string.h>

#include "graph/build.h"
#include "graph/families.h"
#include "tensor/pool.h"

/* ---- checks ---------------------------------------------------------------------- */

bool is_float(DType t)
{
    return t == F32 || t == F64;
}

bool tensor_is_f64(const Tensor *t)
{
    return t->dtype == F64;
}

char *spec_format(const Spec *s, char dst[96])
{
    return shape_format(s->dtype, s->ndim, s->dim, dst);
}

bool need_float(const Spec *in, int k, Err *err)
{
    char text[96];
    if (is_float(in[k].dtype))
        return true;
    return err_set(err, ERR_SHAPE, "input %d must be f32 or f64, it is %s", k + 1,
                   spec_format(&in[k], text));
}

bool need_dtype(const Spec *in, int k, DType t, Err *err)
{
    char text[96];
    if (in[k].dtype == t)
        return true;
    return err_set(err, ERR_SHAPE, "input %d must be %s, it is %s", k + 1,
                   dtype_name(t), spec_format(&in[k], text));
}

bool need_ndim(const Spec *in, int k, int ndim, Err *err)
{
    char text[96];
    if (in[k].ndim == ndim)
        return true;
    return err_set(err, ERR_SHAPE, "input %d must have %d dimension%s, it is %s", k + 1,
                   ndim, ndim == 1 ? "" : "s", spec_format(&in[k], text));
}

bool need_axis(int64_t axis, int ndim, int *out, Err *err)
{
    if (axis == OP_AXIS_NONE)
        return err_set(err, ERR_SHAPE, "an axis is needed");
    if (axis < -ndim || axis >= ndim)
        return err_set(
            err, ERR_SHAPE, "axis %lld is outside a tensor of %d dimension%s",
            (long long)(axis >= 0 ? axis + 1 : axis), ndim, ndim == 1 ? "" : "s");
    *out = (int)(axis < 0 ? axis + ndim : axis);
    return true;
}

bool spec_same_shape(const Spec *a, const Spec *b)
{
    if (a->ndim != b->ndim)
        return false;
    for (int k = 0; k < a->ndim; k++)
        if (a->dim[k] != b->dim[k])
            return false;
    return true;
}

bool spec_equal(const Spec *a, const Spec *b)
{
    return a->dtype == b->dtype && spec_same_shape(a, b);
}

static AxisView view_around(int ndim, const int64_t *dim, int64_t axis)
{
    AxisView v = {1, 1, 1};
    if (axis != OP_AXIS_NONE && axis < 0)
        axis += ndim;
    for (int k = 0; k < ndim; k++) {
        if (axis == OP_AXIS_NONE || k == axis)
            v.n *= dim[k];
        else if (k < axis)
            v.outer *= dim[k];
        else
            v.inner *= dim[k];
    }
    return v;
}

AxisView axis_view(const Tensor *t, int64_t axis)
{
    return view_around(t->ndim, t->dim, axis);
}

AxisView axis_view_spec(const Spec *s, int64_t axis)
{
    return view_around(s->ndim, s->dim, axis);
}

/* ---- shape rules ----------------------------------------------------------------- */

bool shape_float_like(const Spec *in, int n_in, const OpAttr *a, Spec *out, Err *err)
{
    (void)n_in, (void)a;
    *out = in[0];
    return need_float(in, 0, err);
}

bool shape_all_equal(const Spec *in, int n_in, const OpAttr *a, Spec *out, Err *err)
{
    (void)a;
    char sa[96], sb[96];
    *out = in[0];
    for (int k = 0; k < n_in; k++) {
        if (!need_float(in, k, err))
            return false;
        if (!spec_equal(&in[0], &in[k]))
            return err_set(err, ERR_SHAPE, "inputs must have one shape, got %s and %s",
                           spec_format(&in[0], sa), spec_format(&in[k], sb));
    }
    return true;
}

bool shape_reduce(const Spec *in, int n_in, const OpAttr *a, Spec *out, Err *err)
{
    (void)n_in;
    int axis = -1;
    bool whole = a->i[0] == OP_AXIS_NONE, keep = a->i[1];
    if (!need_float(in, 0, err))
        return false;
    if (!whole && !need_axis(a->i[0], in[0].ndim, &axis, err))
        return false;
    out->dtype = in[0].dtype;
    out->ndim = 0;
    for (int k = 0; k < in[0].ndim; k++) {
        bool gone = whole || k == axis;
        if (!gone || keep)
            out->dim[out->ndim++] = gone ? 1 : in[0].dim[k];
    }
    return true;
}

bool broadcast_dims(const Spec *a, const Spec *b, Spec *out, Err *err)
{
    char sa[96], sb[96];
    out->ndim = a->ndim > b->ndim ? a->ndim : b->ndim;
    for (int k = 1; k <= out->ndim; k++) {
        int64_t da = k <= a->ndim ? a->dim[a->ndim - k] : 1;
        int64_t db = k <= b->ndim ? b->dim[b->ndim - k] : 1;
        if (da != db && da != 1 && db != 1)
            return err_set(
                err, ERR_SHAPE,
                "%s and %s do not broadcast: dimension %d from the end is %lld "
                "and %lld (equal or 1 is needed)",
                spec_format(a, sa), spec_format(b, sb), k, (long long)da,
                (long long)db);
        out->dim[out->ndim - k] = da == 1 ? db : da;
    }
    return true;
}

/* ---- loops ----------------------------------------------------------------------- */

typedef struct Ranges {
    int64_t n, grain;
    RangeFn *fn;
    void *ctx;
} Ranges;

static void run_range(int chunk, void *ctx)
{
    const Ranges *r = ctx;
    int64_t first = chunk * r->grain;
    int64_t left = r->n - first;
    r->fn(first, left < r->grain ? left : r->grain, r->ctx);
}

void for_ranges(int64_t n, int64_t grain, RangeFn *fn, void *ctx)
{
    if (n <= 0)
        return;
    if (n <= grain) {
        fn(0, n, ctx);
        return;
    }
    Ranges r = {n, grain, fn, ctx};
    pool_run((int)((n + grain - 1) / grain), run_range, &r);
}

int64_t rows_grain(int64_t row_length)
{
    int64_t rows = row_length > 0 ? EW_GRAIN / row_length : EW_GRAIN;
    return rows > 0 ? rows : 1;
}

/* ---- copies ---------------------------------------------------------------------- */

typedef struct CopyJob {
    Tensor src, dst;
} CopyJob;

static char *element(const Tensor *t, int64_t offset)
{
    return (char *)t->data + offset * (int64_t)dtype_size(t->dtype);
}

static void copy_rows(int64_t first, int64_t count, void *ctx)
{
    const CopyJob *j = ctx;
    Tensor src = j->src, dst = j->dst;
    src.data = element(&src, first * src.stride[0]);
    dst.data = element(&dst, first * dst.stride[0]);
    src.dim[0] = dst.dim[0] = count;
    tensor_copy_into(&src, &dst, NULL);
}

/* dst and src never overlap here, so the copy cannot fail but for an interrupt, which
 * the executor sees between nodes. */
void copy_view(Tensor src, Tensor dst)
{
    src.buf = dst.buf = NULL;
    int64_t n = tensor_count(&dst);
    CopyJob j = {src, dst};
    if (n == 0)
        return;
    if (dst.ndim > 0 && n > 2 * EW_GRAIN)
        for_ranges(dst.dim[0], rows_grain(n / dst.dim[0]), copy_rows, &j);
    else
        tensor_copy_into(&src, &dst, NULL);
}

void fill_tensor(Tensor *t, double value)
{
    Tensor v = *t;
    v.dtype = F64;
    v.data = &value;
    memset(v.stride, 0, sizeof v.stride);
    copy_view(v, *t);
}

int op_axis_of(const Tensor *t, int64_t axis)
{
    return (int)(axis < 0 ? axis + t->ndim : axis);
}

/* ---- backward idioms ------------------------------------------------------------- */

Val grad_sum_to(Graph *g, Val d, Val like)
{
    Spec from = graph_spec(g, d), to = graph_spec(g, like);
    if (!graph_ok(g) || spec_same_shape(&from, &to))
        return d;
    OpAttr a = {.n_list = to.ndim};
    memcpy(a.list, to.dim, sizeof a.list);
    return g_call(g, "sum_to", &d, 1, &a);
}

Val grad_keep(Graph *g, Val d, Val like, const OpAttr *a)
{
    Spec x = graph_spec(g, like);
    if (a->i[1] || !graph_ok(g))
        return d;
    for (int k = 0; k < x.ndim; k++)
        if (a->i[0] == OP_AXIS_NONE || k == a->i[0] || k == a->i[0] + x.ndim)
            x.dim[k] = 1;
    return g_reshape(g, d, x.ndim, x.dim);
}

Val grad_expand(Graph *g, Val d, Val like, const OpAttr *a)
{
    Val kept = grad_keep(g, d, like, a);
    Spec x = graph_spec(g, like);
    if (!graph_ok(g))
        return VAL_NONE;
    OpAttr to = {.n_list = x.ndim};
    memcpy(to.list, x.dim, sizeof to.list);
    return g_call(g, "broadcast_to", &kept, 1, &to);
}

Val call_axis(Graph *g, const char *op, const Val *in, int n_in, int64_t axis,
              bool keep)
{
    OpAttr a = {.i = {axis, keep}};
    return g_call(g, op, in, n_in, &a);
}
