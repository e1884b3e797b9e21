/* ops_shape.c -- ops that move elements and compute nothing. Each describes its result
 * as a strided view of the input (strides may be 0 or negative) and copies that view
 * into the output, in pieces of its first dimension when it is large; reshape copies
 * nothing. */

#include <string.h>

#include "graph/build.h"
#include "graph/families.h"

/* ---- views and copies ------------------------------------------------------------ */

static char *element(const Tensor *t, int64_t offset)
{
    return (char *)t->data + offset * (int64_t)dtype_size(t->dtype);
}

static bool run_copy(const OpArgs *x, Err *err)
{
    (void)err;
    if (tensor_count(x->in[0]) > 0 && x->in[0]->data != x->out[0]->data)
        memmove(x->out[0]->data, x->in[0]->data, tensor_bytes(x->in[0]));
    return true;
}

/* ---- reshape, transpose, permute ------------------------------------------------- */

static bool shape_reshape(const Spec *in, int n_in, const OpAttr *a, Spec *out,
                          Err *err)
{
    (void)n_in;
    char from[96], to[96];
    int64_t known = 1, count = spec_count(&in[0]);
    int open = -1;
    *out = spec_make(in[0].dtype, a->n_list, a->list);
    for (int k = 0; k < a->n_list; k++) {
        if (a->list[k] == -1 && open < 0)
            open = k;
        else if (a->list[k] < 0)
            return err_set(err, ERR_SHAPE, "dimension %d is %lld; one may be -1", k + 1,
                           (long long)a->list[k]);
        else
            known *= a->list[k];
    }
    if (open >= 0 && known > 0 && count % known == 0)
        out->dim[open] = count / known;
    else if (open >= 0 || known != count)
        return err_set(err, ERR_SHAPE, "%s has %lld elements and cannot become %s",
                       spec_format(&in[0], from), (long long)count,
                       spec_format(out, to));
    return true;
}

static bool grad_reshape(Graph *g, OpGrad *d)
{
    Spec s = graph_spec(g, d->in[0]);
    d->din[0] = g_reshape(g, d->dout[0], s.ndim, s.dim);
    return graph_ok(g);
}

static bool shape_transpose(const Spec *in, int n_in, const OpAttr *a, Spec *out,
                            Err *err)
{
    (void)n_in;
    int p, q;
    if (!need_axis(a->i[0], in[0].ndim, &p, err) ||
        !need_axis(a->i[1], in[0].ndim, &q, err))
        return false;
    *out = in[0];
    out->dim[p] = in[0].dim[q];
    out->dim[q] = in[0].dim[p];
    return true;
}

static bool run_transpose(const OpArgs *x, Err *err)
{
    (void)err;
    Tensor v = *x->in[0];
    int p = op_axis_of(&v, x->attr->i[0]), q = op_axis_of(&v, x->attr->i[1]);
    v.dim[p] = x->in[0]->dim[q];
    v.dim[q] = x->in[0]->dim[p];
    v.stride[p] = x->in[0]->stride[q];
    v.stride[q] = x->in[0]->stride[p];
    copy_view(v, *x->out[0]);
    return true;
}

static bool grad_transpose(Graph *g, OpGrad *d)
{
    d->din[0] = g_call(g, "transpose", d->dout, 1, d->attr);
    return graph_ok(g);
}

static bool shape_permute(const Spec *in, int n_in, const OpAttr *a, Spec *out,
                          Err *err)
{
    (void)n_in;
    unsigned seen = 0;
    *out = in[0];
    if (a->n_list != in[0].ndim)
        return err_set(err, ERR_SHAPE, "%d axes given for a tensor of %d dimensions",
                       a->n_list, in[0].ndim);
    for (int k = 0; k < a->n_list; k++) {
        int axis;
        if (!need_axis(a->list[k], in[0].ndim, &axis, err))
            return false;
        if (seen >> axis & 1)
            return err_set(err, ERR_SHAPE, "axis %d is named twice", axis + 1);
        seen |= 1u << axis;
        out->dim[k] = in[0].dim[axis];
    }
    return true;
}

static bool run_permute(const OpArgs *x, Err *err)
{
    (void)err;
    Tensor v = *x->in[0];
    for (int k = 0; k < v.ndim; k++) {
        int axis = op_axis_of(&v, x->attr->list[k]);
        v.dim[k] = x->in[0]->dim[axis];
        v.stride[k] = x->in[0]->stride[axis];
    }
    copy_view(v, *x->out[0]);
    return true;
}

static bool grad_permute(Graph *g, OpGrad *d)
{
    OpAttr back = {.n_list = d->attr->n_list};
    for (int k = 0; k < back.n_list; k++) {
        int64_t axis = d->attr->list[k];
        back.list[axis < 0 ? axis + back.n_list : axis] = k;
    }
    d->din[0] = g_call(g, "permute", d->dout, 1, &back);
    return graph_ok(g);
}

/* ---- concat, stack --------------------------------------------------------------- */

static bool shape_concat(const Spec *in, int n_in, const OpAttr *a, Spec *out, Err *err)
{
    int axis;
    char sa[96], sb[96];
    if (n_in < 1)
        return err_set(err, ERR_SHAPE, "needs at least one tensor");
    if (!need_axis(a->i[0], in[0].ndim, &axis, err))
        return false;
    *out = in[0];
    for (int k = 1; k < n_in; k++) {
        Spec s = in[k];
        if (s.ndim == in[0].ndim)
            s.dim[axis] = in[0].dim[axis];
        if (!spec_equal(&s, &in[0]))
            return err_set(err, ERR_SHAPE, "%s and %s differ beyond axis %d",
                           spec_format(&in[0], sa), spec_format(&in[k], sb), axis + 1);
        out->dim[axis] += in[k].dim[axis];
    }
    return true;
}

static bool run_concat(const OpArgs *x, Err *err)
{
    (void)err;
    int axis = op_axis_of(x->out[0], x->attr->i[0]);
    int64_t at = 0;
    for (int k = 0; k < x->n_in; k++) {
        Tensor part = *x->out[0];
        part.dim[axis] = x->in[k]->dim[axis];
        part.data = element(&part, at * part.stride[axis]);
        at += part.dim[axis];
        copy_view(*x->in[k], part);
    }
    return true;
}

static Val take_slice(Graph *g, Val x, int64_t axis, int64_t start, int64_t stop,
                      int64_t step)
{
    OpAttr a = {.i = {axis, start, stop, step}};
    return g_call(g, "slice", &x, 1, &a);
}

static bool grad_concat(Graph *g, OpGrad *d)
{
    int64_t at = 0;
    for (int k = 0; k < d->n_in; k++) {
        Spec s = graph_spec(g, d->in[k]);
        int64_t axis = d->attr->i[0] < 0 ? d->attr->i[0] + s.ndim : d->attr->i[0];
        int64_t n = graph_ok(g) ? s.dim[axis] : 0;
        if (d->need[k])
            d->din[k] = take_slice(g, d->dout[0], axis, at, at + n, 1);
        at += n;
    }
    return graph_ok(g);
}

static bool shape_stack(const Spec *in, int n_in, const OpAttr *a, Spec *out, Err *err)
{
    int axis;
    char sa[96], sb[96];
    if (n_in < 1)
        return err_set(err, ERR_SHAPE, "needs at least one tensor");
    if (in[0].ndim == MAX_DIM)
        return err_set(err, ERR_SHAPE, "a stack would have more than %d dimensions",
                       MAX_DIM);
    if (!need_axis(a->i[0], in[0].ndim + 1, &axis, err))
        return false;
    for (int k = 1; k < n_in; k++)
        if (!spec_equal(&in[k], &in[0]))
            return err_set(err, ERR_SHAPE, "%s and %s differ", spec_format(&in[0], sa),
                           spec_format(&in[k], sb));
    out->dtype = in[0].dtype;
    out->ndim = in[0].ndim + 1;
    for (int k = 0, j = 0; k < out->ndim; k++)
        out->dim[k] = k == axis ? n_in : in[0].dim[j++];
    return true;
}

/* The output without one axis, at a position of it. */
static Tensor select_axis(const Tensor *t, int axis, int64_t index)
{
    Tensor v = *t;
    v.data = element(t, index * t->stride[axis]);
    v.ndim = t->ndim - 1;
    for (int k = axis; k < v.ndim; k++) {
        v.dim[k] = t->dim[k + 1];
        v.stride[k] = t->stride[k + 1];
    }
    return v;
}

static bool run_stack(const OpArgs *x, Err *err)
{
    (void)err;
    int axis = op_axis_of(x->out[0], x->attr->i[0]);
    for (int k = 0; k < x->n_in; k++)
        copy_view(*x->in[k], select_axis(x->out[0], axis, k));
    return true;
}

static bool grad_stack(Graph *g, OpGrad *d)
{
    Spec s = graph_spec(g, d->out[0]);
    int64_t axis = d->attr->i[0] < 0 ? d->attr->i[0] + s.ndim : d->attr->i[0];
    for (int k = 0; k < d->n_in; k++) {
        Spec to = graph_spec(g, d->in[k]);
        if (d->need[k])
            d->din[k] = g_reshape(g, take_slice(g, d->dout[0], axis, k, k + 1, 1),
                                  to.ndim, to.dim);
    }
    return graph_ok(g);
}

/* ---- slice, pad ------------------------------------------------------------------ */

typedef struct Cut {
    int axis;
    int64_t start, n, step;
} Cut;

/* Slots: axis, start (a position), stop (excluded; negative: -1 is through the end),
 * step. */
static bool cut_of(const Spec *in, const OpAttr *a, Cut *c, Err *err)
{
    if (!need_axis(a->i[0], in->ndim, &c->axis, err))
        return false;
    int64_t len = in->dim[c->axis], start = a->i[1], stop = a->i[2];
    start = start < 0 ? start + len : start;
    stop = stop < 0 ? stop + len + 1 : stop;
    c->start = start;
    c->step = a->i[3];
    if (c->step < 1)
        return err_set(err, ERR_SHAPE, "step must be at least 1, it is %lld",
                       (long long)c->step);
    if (start < 0 || start > len || stop < 0 || stop > len)
        return err_set(
            err, ERR_SHAPE, "elements %lld to %lld are outside axis %d of length %lld",
            (long long)start + 1, (long long)stop, c->axis + 1, (long long)len);
    c->n = stop > start ? (stop - start + c->step - 1) / c->step : 0;
    return true;
}

static bool shape_slice(const Spec *in, int n_in, const OpAttr *a, Spec *out, Err *err)
{
    (void)n_in;
    Cut c;
    if (!cut_of(&in[0], a, &c, err))
        return false;
    *out = in[0];
    out->dim[c.axis] = c.n;
    return true;
}

/* Positions start, start+step, ... of an axis of t, n of them. */
static Tensor cut_view(const Tensor *t, int axis, int64_t start, int64_t n,
                       int64_t step)
{
    Tensor v = *t;
    v.data = n > 0 ? element(t, start * t->stride[axis]) : t->data;
    v.dim[axis] = n;
    v.stride[axis] *= step;
    return v;
}

static bool run_slice(const OpArgs *x, Err *err)
{
    Cut c;
    Spec s = spec_of(x->in[0]);
    if (!cut_of(&s, x->attr, &c, err))
        return false;
    copy_view(cut_view(x->in[0], c.axis, c.start, c.n, c.step), *x->out[0]);
    return true;
}

static bool grad_slice(Graph *g, OpGrad *d)
{
    Cut c = {0};
    Spec s = graph_spec(g, d->in[0]);
    if (!graph_ok(g) || !cut_of(&s, d->attr, &c, NULL))
        return false;
    OpAttr a = {.i = {0, c.axis, c.start, c.step}, .n_list = s.ndim};
    memcpy(a.list, s.dim, sizeof a.list);
    d->din[0] = g_call(g, "slice_into", d->dout, 1, &a);
    return graph_ok(g);
}

/* Slots: shape, axis, start, step. */
static bool shape_slice_into(const Spec *in, int n_in, const OpAttr *a, Spec *out,
                             Err *err)
{
    (void)n_in;
    int axis;
    char sa[96], sb[96];
    *out = spec_make(in[0].dtype, a->n_list, a->list);
    if (!need_axis(a->i[1], in[0].ndim, &axis, err))
        return false;
    Spec s = *out;
    s.dim[axis] = in[0].dim[axis];
    int64_t start = a->i[2] < 0 ? a->i[2] + out->dim[axis] : a->i[2];
    int64_t last = start + (in[0].dim[axis] - 1) * a->i[3];
    if (!spec_same_shape(&s, &in[0]) || a->i[3] < 1 || start < 0 ||
        (in[0].dim[axis] > 0 && last >= out->dim[axis]))
        return err_set(err, ERR_SHAPE, "%s does not fit into %s from position %lld on",
                       spec_format(&in[0], sa), spec_format(out, sb),
                       (long long)start + 1);
    return true;
}

static bool run_slice_into(const OpArgs *x, Err *err)
{
    (void)err;
    Tensor *y = x->out[0];
    int axis = op_axis_of(y, x->attr->i[1]);
    int64_t start = x->attr->i[2] < 0 ? x->attr->i[2] + y->dim[axis] : x->attr->i[2];
    if (tensor_count(y) > 0)
        memset(y->data, 0, tensor_bytes(y));
    copy_view(*x->in[0], cut_view(y, axis, start, x->in[0]->dim[axis], x->attr->i[3]));
    return true;
}

static bool grad_slice_into(Graph *g, OpGrad *d)
{
    Spec s = graph_spec(g, d->in[0]), to = graph_spec(g, d->out[0]);
    if (!graph_ok(g))
        return false;
    int64_t axis = d->attr->i[1] < 0 ? d->attr->i[1] + s.ndim : d->attr->i[1];
    int64_t start = d->attr->i[2] < 0 ? d->attr->i[2] + to.dim[axis] : d->attr->i[2];
    int64_t n = s.dim[axis], step = d->attr->i[3];
    int64_t stop = n > 0 ? start + (n - 1) * step + 1 : start;
    d->din[0] = take_slice(g, d->dout[0], axis, start, stop, step);
    return graph_ok(g);
}

/* Slots: axis, before, after, value. */
static bool shape_pad(const Spec *in, int n_in, const OpAttr *a, Spec *out, Err *err)
{
    (void)n_in;
    int axis;
    if (!need_axis(a->i[0], in[0].ndim, &axis, err))
        return false;
    if (a->i[1] < 0 || a->i[2] < 0)
        return err_set(err, ERR_SHAPE, "padding cannot be negative: %lld and %lld",
                       (long long)a->i[1], (long long)a->i[2]);
    *out = in[0];
    out->dim[axis] += a->i[1] + a->i[2];
    return true;
}

static bool run_pad(const OpArgs *x, Err *err)
{
    (void)err;
    int axis = op_axis_of(x->out[0], x->attr->i[0]);
    fill_tensor(x->out[0], x->attr->f[3]);
    copy_view(*x->in[0],
              cut_view(x->out[0], axis, x->attr->i[1], x->in[0]->dim[axis], 1));
    return true;
}

static bool grad_pad(Graph *g, OpGrad *d)
{
    Spec s = graph_spec(g, d->in[0]);
    if (!graph_ok(g))
        return false;
    int64_t axis = d->attr->i[0] < 0 ? d->attr->i[0] + s.ndim : d->attr->i[0];
    int64_t start = d->attr->i[1];
    d->din[0] = take_slice(g, d->dout[0], axis, start, start + s.dim[axis], 1);
    return graph_ok(g);
}

/* ---- broadcast_to, sum_to -------------------------------------------------------- */

static bool broadcasts_to(const Spec *from, const Spec *to, Err *err)
{
    char sa[96], sb[96];
    Spec both = *from;
    if (broadcast_dims(from, to, &both, NULL) && spec_same_shape(&both, to))
        return true;
    return err_set(err, ERR_SHAPE, "%s does not broadcast to %s", spec_format(from, sa),
                   spec_format(to, sb));
}

static bool shape_broadcast_to(const Spec *in, int n_in, const OpAttr *a, Spec *out,
                               Err *err)
{
    (void)n_in;
    *out = spec_make(in[0].dtype, a->n_list, a->list);
    return broadcasts_to(&in[0], out, err);
}

static bool run_broadcast_to(const OpArgs *x, Err *err)
{
    (void)err;
    const Tensor *t = x->in[0];
    Tensor v = *x->out[0];
    v.data = t->data;
    for (int k = 0; k < v.ndim; k++) {
        int from = k - (v.ndim - t->ndim);
        v.stride[k] = from < 0 || t->dim[from] == 1 ? 0 : t->stride[from];
    }
    copy_view(v, *x->out[0]);
    return true;
}

static bool grad_broadcast_to(Graph *g, OpGrad *d)
{
    d->din[0] = grad_sum_to(g, d->dout[0], d->in[0]);
    return graph_ok(g);
}

static bool shape_sum_to(const Spec *in, int n_in, const OpAttr *a, Spec *out, Err *err)
{
    (void)n_in;
    *out = spec_make(in[0].dtype, a->n_list, a->list);
    return need_float(in, 0, err) && broadcasts_to(out, &in[0], err);
}

/* The dimensions of x as runs that are kept or summed, outermost first. */
typedef struct Runs {
    int n;
    int64_t dim[MAX_DIM + 1];
    bool summed[MAX_DIM + 1];
} Runs;

static Runs runs_of(const Spec *x, const OpAttr *a)
{
    Runs r = {0};
    for (int k = 0; k < x->ndim; k++) {
        int to = k - (x->ndim - a->n_list);
        if (x->dim[k] == 1)
            continue;
        bool summed = to < 0 || a->list[to] == 1;
        if (r.n > 0 && r.summed[r.n - 1] == summed)
            r.dim[r.n - 1] *= x->dim[k];
        else {
            r.summed[r.n] = summed;
            r.dim[r.n++] = x->dim[k];
        }
    }
    return r;
}

/* The innermost summed run as an axis, and the runs without it; false when none is
 * left. */
static bool next_sum(Runs *r, AxisView *v)
{
    int at = r->n - 1;
    while (at >= 0 && !r->summed[at])
        at--;
    if (at < 0)
        return false;
    *v = (AxisView){1, r->dim[at], 1};
    for (int k = 0; k < r->n; k++)
        *(k < at ? &v->outer : &v->inner) *= k == at ? 1 : r->dim[k];
    r->n--;
    for (int k = at; k < r->n; k++) {
        r->dim[k] = r->dim[k + 1];
        r->summed[k] = r->summed[k + 1];
    }
    return true;
}

static size_t align64(size_t n)
{
    return (n + 63) / 64 * 64;
}

/* Two buffers for what lies between the sums, then the sums' own scratch. */
static void sum_to_room(const Spec *x, const OpAttr *a, size_t *half, size_t *own)
{
    Runs r = runs_of(x, a);
    AxisView v;
    *half = *own = 0;
    while (next_sum(&r, &v)) {
        size_t bytes = align64((size_t)(v.outer * v.inner) * dtype_size(x->dtype));
        size_t need = sum_scratch(v);
        *half = bytes > *half ? bytes : *half;
        *own = need > *own ? need : *own;
    }
}

static size_t scratch_sum_to(const Spec *in, int n_in, const OpAttr *a)
{
    (void)n_in;
    size_t half, own;
    sum_to_room(&in[0], a, &half, &own);
    return 2 * half + own;
}

static bool run_sum_to(const OpArgs *x, Err *err)
{
    (void)err;
    Spec s = spec_of(x->in[0]);
    size_t half, own;
    sum_to_room(&s, x->attr, &half, &own);
    Runs r = runs_of(&s, x->attr);
    char *buffers[2] = {x->scratch, (char *)x->scratch + half};
    const void *from = x->in[0]->data;
    AxisView v;
    if (tensor_count(x->out[0]) == 0)
        return true;
    if (!next_sum(&r, &v)) {
        memcpy(x->out[0]->data, from, tensor_bytes(x->out[0]));
        return true;
    }
    for (int k = 0;; k ^= 1) {
        AxisView now = v;
        bool more = next_sum(&r, &v);
        void *to = more ? buffers[k] : x->out[0]->data;
        sum_run(tensor_is_f64(x->in[0]), from, now, 1.0, to,
                (char *)x->scratch + 2 * half);
        if (!more)
            return true;
        from = to;
    }
}

static bool grad_sum_to_row(Graph *g, OpGrad *d)
{
    Spec s = graph_spec(g, d->in[0]);
    OpAttr a = {.n_list = s.ndim};
    memcpy(a.list, s.dim, sizeof a.list);
    d->din[0] = g_call(g, "broadcast_to", d->dout, 1, &a);
    return graph_ok(g);
}

static double cost_in(const Spec *in, int n_in, const OpAttr *a)
{
    (void)n_in, (void)a;
    return (double)spec_count(&in[0]);
}

/* ---- flip, repeat ---------------------------------------------------------------- */

static bool shape_flip(const Spec *in, int n_in, const OpAttr *a, Spec *out, Err *err)
{
    (void)n_in;
    int axis;
    *out = in[0];
    return need_axis(a->i[0], in[0].ndim, &axis, err);
}

static bool run_flip(const OpArgs *x, Err *err)
{
    (void)err;
    Tensor v = *x->in[0];
    int axis = op_axis_of(&v, x->attr->i[0]);
    if (v.dim[axis] > 0)
        v.data = element(&v, (v.dim[axis] - 1) * v.stride[axis]);
    v.stride[axis] = -v.stride[axis];
    copy_view(v, *x->out[0]);
    return true;
}

static bool grad_flip(Graph *g, OpGrad *d)
{
    d->din[0] = g_call(g, "flip", d->dout, 1, d->attr);
    return graph_ok(g);
}

static bool shape_repeat(const Spec *in, int n_in, const OpAttr *a, Spec *out, Err *err)
{
    (void)n_in;
    int axis;
    if (!need_axis(a->i[0], in[0].ndim, &axis, err))
        return false;
    if (a->i[1] < 0 || in[0].ndim == MAX_DIM)
        return err_set(err, ERR_SHAPE,
                       "n must be 0 or more and x have fewer than %d "
                       "dimensions",
                       MAX_DIM);
    *out = in[0];
    out->dim[axis] *= a->i[1];
    return true;
}

/* x and the output, both with [.., dim, n, ..] in place of the axis. */
static bool run_repeat(const OpArgs *x, Err *err)
{
    (void)err;
    const Tensor *t = x->in[0];
    int axis = op_axis_of(t, x->attr->i[0]);
    int64_t dim[MAX_DIM];
    for (int k = 0, j = 0; k < t->ndim; k++) {
        dim[j++] = t->dim[k];
        if (k == axis)
            dim[j++] = x->attr->i[1];
    }
    Tensor y = tensor_wrap(t->dtype, t->ndim + 1, dim, x->out[0]->data), v = y;
    v.data = t->data;
    for (int k = 0; k < v.ndim; k++)
        v.stride[k] = k == axis + 1 ? 0 : t->stride[k > axis ? k - 1 : k];
    copy_view(v, y);
    return true;
}

static bool grad_repeat(Graph *g, OpGrad *d)
{
    Spec s = graph_spec(g, d->in[0]);
    int64_t dim[MAX_DIM + 1];
    int axis = (int)(d->attr->i[0] < 0 ? d->attr->i[0] + s.ndim : d->attr->i[0]);
    for (int k = 0, j = 0; k < s.ndim; k++) {
        dim[j++] = s.dim[k];
        if (k == axis)
            dim[j++] = d->attr->i[1];
    }
    Val v = g_reshape(g, d->dout[0], s.ndim + 1, dim);
    d->din[0] = g_sum_axis(g, v, axis + 1, false);
    return graph_ok(g);
}

/* ---- rows ------------------------------------------------------------------------ */

const OpRow ops_shape[] = {
    {.name = "reshape",
     .sig = "x, shape:I",
     .doc = "The same elements in row-major order under another shape; one dimension "
            "may be "
            "-1. Shares memory where it can.",
     .flags = OP_VIEW,
     .shape = shape_reshape,
     .run = run_copy,
     .grad = grad_reshape,
     .test = {.shapes = "3x4; 3x4; 2x3x4; ; 0x3",
              .attrs = "shape=12; shape=2,-1; shape=4,3,2,1; shape=1,1; shape=3,0"}},
    {.name = "transpose",
     .sig = "x, a:a=-2, b:a=-1",
     .doc = "Swaps two axes, by default the last two.",
     .formula = "y_ij = x_ji",
     .shape = shape_transpose,
     .run = run_transpose,
     .grad = grad_transpose,
     .test = {.shapes = "3x4; 2x3x4; 0x3; 1x5; 300x70",
              .attrs = "; a=0 b=2; ; a=1 b=0;"}},
    {.name = "permute",
     .sig = "x, axes:A",
     .doc = "Reorders the axes: axis k of the result is axis axes[k] of x.",
     .shape = shape_permute,
     .run = run_permute,
     .grad = grad_permute,
     .test = {.shapes = "2x3x4; 2x3x4; 3x0x2; 2x3x2x2",
              .attrs = "axes=2,0,1; axes=-1,1,0; axes=1,2,0; axes=3,1,2,0"}},
    {.name = "concat",
     .sig = "x*, axis:a=0",
     .doc = "Joins up to 8 tensors along an existing axis, by default the first; all "
            "other "
            "dimensions are equal.",
     .shape = shape_concat,
     .run = run_concat,
     .grad = grad_concat,
     .test = {.shapes = "2x3,4x3; 2x3,2x1,2x2; 3; 0x2,3x2", .attrs = "; axis=1; ;"}},
    {.name = "stack",
     .sig = "x*, axis:a=0",
     .doc =
         "Joins up to 8 tensors of one shape along a new axis, by default the first.",
     .shape = shape_stack,
     .run = run_stack,
     .grad = grad_stack,
     .test = {.shapes = "2x3,2x3; 2x3,2x3,2x3; ,; 0x2,0x2",
              .attrs = "; axis=1; ; axis=-1"}},
    {.name = "slice",
     .sig = "x, axis:a, start:a=0, stop:i=-1, step:i=1",
     .doc =
         "Elements start to stop of an axis, counted from 1, both included; negative "
         "counts from the end. By default all of them.",
     .shape = shape_slice,
     .run = run_slice,
     .grad = grad_slice,
     .test = {.shapes = "5x3; 5x3; 4x6; 7; 3x4",
              .attrs = "axis=0 start=1 stop=3; axis=1 start=-2; axis=1 start=1 step=2; "
                       "axis=0 start=0 stop=-2 step=3; axis=0 start=2 stop=2"}},
    {.name = "slice_into",
     .sig = "x, shape:I, axis:a, start:a=0, step:i=1",
     .doc = "Zeros of a shape with x at the positions start, start+step ... of an "
            "axis: the "
            "backward of slice.",
     .shape = shape_slice_into,
     .run = run_slice_into,
     .grad = grad_slice_into,
     .test = {.shapes = "2x3; 3x2; 0x3",
              .attrs = "shape=5,3 axis=0 start=1; shape=3,5 axis=1 start=1 step=2; "
                       "shape=4,3 axis=0"}},
    {.name = "pad",
     .sig = "x, axis:a, before:i=0, after:i=0, value:f=0",
     .doc = "Adds elements of one value before and after the others along an axis.",
     .shape = shape_pad,
     .run = run_pad,
     .grad = grad_pad,
     .test =
         {.shapes = "2x3; 2x3; 0",
          .attrs =
              "axis=1 before=1 after=2; axis=0 after=1 value=-1.5; axis=0 before=2"}},
    {.name = "broadcast_to",
     .sig = "x, shape:I",
     .doc = "x repeated to a shape by NumPy's rule.",
     .shape = shape_broadcast_to,
     .run = run_broadcast_to,
     .grad = grad_broadcast_to,
     .test = {.shapes = "3x1; 4; ; 1x0; 2x1x3; 2x1",
              .attrs = "shape=3,4; shape=3,4; shape=2,2; shape=5,0; shape=2,4,3; "
                       "shape=3,2,2"}},
    {.name = "sum_to",
     .sig = "x, shape:I",
     .doc = "Sums x over the axes along which the shape would be broadcast to x's: the "
            "backward of broadcasting.",
     .shape = shape_sum_to,
     .run = run_sum_to,
     .grad = grad_sum_to_row,
     .scratch = scratch_sum_to,
     .flops = cost_in,
     .test = {.shapes =
                  "3x4; 3x4; 3x4; 2x3x4; 3x4; 5000x3; 0x3; 2x3x2x3; 9000; 3x5000x2",
              .attrs = "shape=3,1; shape=4; shape=; shape=1,3,1; shape=3,4; shape=3; "
                       "shape=1,3; shape=1,3,1,3; shape=; shape=1,5000,1"}},
    {.name = "flip",
     .sig = "x, axis:a",
     .doc = "The elements of an axis in reverse order.",
     .shape = shape_flip,
     .run = run_flip,
     .grad = grad_flip,
     .test = {.shapes = "3x4; 3x4; 0x2; 5",
              .attrs = "axis=0; axis=-1; axis=0; axis=0"}},
    {.name = "repeat",
     .sig = "x, axis:a, n:i",
     .doc = "Every element of an axis n times in a row, as NumPy's repeat.",
     .shape = shape_repeat,
     .run = run_repeat,
     .grad = grad_repeat,
     .test = {.shapes = "3x4; 2x3; 2x0; 3",
              .attrs = "axis=0 n=2; axis=1 n=3; axis=0 n=2; axis=0 n=0"}},
};
const int ops_shape_count = ARRAY_LEN(ops_shape);
