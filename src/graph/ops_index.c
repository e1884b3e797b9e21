/* ops_index.c -- gathers and scatters. Index data are i32 counted from 0 and checked
 * before anything is written. Gathers copy whole runs; scatters add in the order of the
 * index, and pieces of the pool never share a target, so equal indices add up the same
 * way always. */
#include <string.h>

#include "graph/build.h"
#include "graph/families.h"
#include "graph/index_kern.h"

static bool index_ok(const char *op, const Tensor *idx, int64_t n, Err *err)
{
    const int32_t *i = idx->data;
    int64_t count = tensor_count(idx);
    for (int64_t k = 0; k < count; k++)
        if (i[k] < 0 || i[k] >= n)
            return err_set(err, ERR_SHAPE,
                           "%s: index %d at position %lld is outside 0..%lld", op, i[k],
                           (long long)k, (long long)n - 1);
    return true;
}

typedef struct IndexJob {
    const IndexTable *k;
    AxisView v; /* of the indexed tensor */
    int64_t m;  /* entries of the index along the axis */
    const int32_t *idx;
    const char *x;
    char *y;
    size_t size;
    double scale;
    int64_t n_classes;
} IndexJob;

static IndexJob index_job(const Tensor *indexed, int64_t axis, const Tensor *idx)
{
    return (IndexJob){.k = KERN_PICK(index_table, tensor_is_f64(indexed)),
                      .v = axis_view(indexed, axis),
                      .idx = idx->data,
                      .m = tensor_count(idx),
                      .size = dtype_size(indexed->dtype)};
}

/* ---- gather, scatter_add: whole runs --------------------------------------------- */

static bool shape_gather(const Spec *in, int n_in, const OpAttr *a, Spec *out, Err *err)
{
    (void)n_in;
    int axis;
    if (!need_dtype(in, 1, I32, err) || !need_axis(a->i[0], in[0].ndim, &axis, err))
        return false;
    if (in[0].ndim - 1 + in[1].ndim > MAX_DIM)
        return err_set(err, ERR_SHAPE, "the result would have more than %d dimensions",
                       MAX_DIM);
    out->dtype = in[0].dtype;
    for (int k = 0; k < in[0].ndim; k++) {
        if (k != axis) {
            out->dim[out->ndim++] = in[0].dim[k];
            continue;
        }
        for (int j = 0; j < in[1].ndim; j++)
            out->dim[out->ndim++] = in[1].dim[j];
    }
    return true;
}

static void gather_rows(int64_t first, int64_t count, void *ctx)
{
    const IndexJob *j = ctx;
    size_t run = (size_t)j->v.inner * j->size;
    for (int64_t r = first; r < first + count; r++) {
        int64_t from = r / j->m * j->v.n + j->idx[r % j->m];
        memcpy(j->y + (size_t)r * run, j->x + (size_t)from * run, run);
    }
}

static bool run_gather(const OpArgs *x, Err *err)
{
    IndexJob j = index_job(x->in[0], x->attr->i[0], x->in[1]);
    if (!index_ok("gather", x->in[1], j.v.n, err))
        return false;
    j.x = x->in[0]->data;
    j.y = x->out[0]->data;
    if (j.v.inner > 0 && j.m > 0)
        for_ranges(j.v.outer * j.m, rows_grain(j.v.inner), gather_rows, &j);
    return true;
}

/* scatter_add(zeros, idx, dy): the zeros are only a shape. */
static bool grad_gather(Graph *g, OpGrad *d)
{
    Val in[3] = {g_unary(g, "zeros_like", d->in[0]), d->in[1], d->dout[0]};
    d->din[0] = g_call(g, "scatter_add", in, 3, d->attr);
    return graph_ok(g);
}

static bool shape_scatter_add(const Spec *in, int n_in, const OpAttr *a, Spec *out,
                              Err *err)
{
    char sa[96], sb[96];
    Spec src = {0};
    *out = in[0];
    if (!need_float(in, 0, err) || !need_float(in, 2, err) ||
        !shape_gather(in, n_in, a, &src, err))
        return false;
    if (spec_same_shape(&src, &in[2]))
        return true;
    return err_set(err, ERR_SHAPE, "the values must be %s, they are %s",
                   spec_format(&src, sa), spec_format(&in[2], sb));
}

/* Unit = (outer, tile of the inner dimension): a target of its own. */
enum { INNER_TILE = 512 };
static void scatter_units(int64_t first, int64_t count, void *ctx)
{
    const IndexJob *j = ctx;
    int64_t tiles = (j->v.inner + INNER_TILE - 1) / INNER_TILE;
    for (int64_t u = first; u < first + count; u++) {
        int64_t outer = u / tiles, at = u % tiles * INNER_TILE;
        int64_t width = j->v.inner - at < INNER_TILE ? j->v.inner - at : INNER_TILE;
        char *y = j->y + (size_t)(outer * j->v.n * j->v.inner + at) * j->size;
        const char *x = j->x + (size_t)(outer * j->m * j->v.inner + at) * j->size;
        j->k->scatter(j->m, width, j->v.inner, j->idx, x, y);
    }
}

static void copy_base(const OpArgs *x)
{
    if (tensor_count(x->in[0]) > 0 && x->in[0]->data != x->out[0]->data)
        memcpy(x->out[0]->data, x->in[0]->data, tensor_bytes(x->in[0]));
}

static bool run_scatter_add(const OpArgs *x, Err *err)
{
    IndexJob j = index_job(x->in[0], x->attr->i[0], x->in[1]);
    if (!index_ok("scatter_add", x->in[1], j.v.n, err))
        return false;
    copy_base(x);
    j.x = x->in[2]->data;
    j.y = x->out[0]->data;
    int64_t tiles = (j.v.inner + INNER_TILE - 1) / INNER_TILE;
    int64_t width = j.v.inner < INNER_TILE ? j.v.inner : INNER_TILE;
    for_ranges(j.v.outer * tiles, rows_grain(j.m * width), scatter_units, &j);
    return true;
}

static bool grad_scatter_add(Graph *g, OpGrad *d)
{
    Val in[2] = {d->dout[0], d->in[1]};
    d->din[0] = d->dout[0];
    if (d->need[2])
        d->din[2] = g_call(g, "gather", in, 2, d->attr);
    return graph_ok(g);
}

/* ---- take_along, put_along_add: one index an element ----------------------------- */

static bool along_ok(const Spec *in, int64_t attr, Err *err)
{
    int axis;
    char sa[96], sb[96];
    if (!need_dtype(in, 1, I32, err) || !need_axis(attr, in[0].ndim, &axis, err))
        return false;
    Spec s = in[1];
    if (s.ndim == in[0].ndim) {
        s.dim[axis] = in[0].dim[axis];
        if (spec_same_shape(&s, &in[0]))
            return true;
    }
    return err_set(err, ERR_SHAPE, "%s and index %s must agree beyond axis %d",
                   spec_format(&in[0], sa), spec_format(&in[1], sb), axis + 1);
}

static bool shape_take_along(const Spec *in, int n_in, const OpAttr *a, Spec *out,
                             Err *err)
{
    (void)n_in;
    *out = in[1];
    out->dtype = in[0].dtype;
    return need_float(in, 0, err) && along_ok(in, a->i[0], err);
}

static void take_lines(int64_t first, int64_t count, void *ctx)
{
    const IndexJob *j = ctx;
    int64_t s = j->v.inner;
    for (int64_t u = first; u < first + count; u++) {
        int64_t x = u / s * j->v.n * s + u % s, y = u / s * j->m * s + u % s;
        j->k->take(j->m, s, j->idx + y, j->x + (size_t)x * j->size,
                   j->y + (size_t)y * j->size);
    }
}

static void put_lines(int64_t first, int64_t count, void *ctx)
{
    const IndexJob *j = ctx;
    int64_t s = j->v.inner;
    for (int64_t u = first; u < first + count; u++) {
        int64_t y = u / s * j->v.n * s + u % s, x = u / s * j->m * s + u % s;
        j->k->put(j->m, s, j->idx + x, j->x + (size_t)x * j->size,
                  j->y + (size_t)y * j->size);
    }
}

static bool run_take_along(const OpArgs *x, Err *err)
{
    IndexJob j = index_job(x->in[0], x->attr->i[0], x->in[1]);
    j.m = axis_view(x->in[1], x->attr->i[0]).n;
    if (!index_ok("take_along", x->in[1], j.v.n, err))
        return false;
    j.x = x->in[0]->data;
    j.y = x->out[0]->data;
    for_ranges(j.v.outer * j.v.inner, rows_grain(j.m), take_lines, &j);
    return true;
}

static bool grad_take_along(Graph *g, OpGrad *d)
{
    Val in[3] = {g_unary(g, "zeros_like", d->in[0]), d->in[1], d->dout[0]};
    d->din[0] = g_call(g, "put_along_add", in, 3, d->attr);
    return graph_ok(g);
}

static bool shape_put_along(const Spec *in, int n_in, const OpAttr *a, Spec *out,
                            Err *err)
{
    (void)n_in;
    char sa[96], sb[96];
    *out = in[0];
    if (!need_float(in, 0, err) || !need_float(in, 2, err) ||
        !along_ok(in, a->i[0], err))
        return false;
    if (spec_same_shape(&in[1], &in[2]))
        return true;
    return err_set(err, ERR_SHAPE, "index %s and values %s must have one shape",
                   spec_format(&in[1], sa), spec_format(&in[2], sb));
}

static bool run_put_along(const OpArgs *x, Err *err)
{
    IndexJob j = index_job(x->in[0], x->attr->i[0], x->in[1]);
    j.m = axis_view(x->in[1], x->attr->i[0]).n;
    if (!index_ok("put_along_add", x->in[1], j.v.n, err))
        return false;
    copy_base(x);
    j.x = x->in[2]->data;
    j.y = x->out[0]->data;
    for_ranges(j.v.outer * j.v.inner, rows_grain(j.m), put_lines, &j);
    return true;
}

static bool grad_put_along(Graph *g, OpGrad *d)
{
    Val in[2] = {d->dout[0], d->in[1]};
    d->din[0] = d->dout[0];
    if (d->need[2])
        d->din[2] = g_call(g, "take_along", in, 2, d->attr);
    return graph_ok(g);
}

/* ---- one_hot, batch_u8 ----------------------------------------------------------- */

static bool shape_one_hot(const Spec *in, int n_in, const OpAttr *a, Spec *out,
                          Err *err)
{
    (void)n_in;
    if (!need_dtype(in, 0, I32, err))
        return false;
    if (a->i[0] < 1 || in[0].ndim == MAX_DIM || !is_float((DType)a->i[1]))
        return err_set(err, ERR_SHAPE,
                       "n must be at least 1, the dtype f32 or f64, and the "
                       "index have fewer than %d dimensions",
                       MAX_DIM);
    *out = in[0];
    out->dtype = (DType)a->i[1];
    out->dim[out->ndim++] = a->i[0];
    return true;
}

static bool run_one_hot(const OpArgs *x, Err *err)
{
    int64_t n = x->attr->i[0], count = tensor_count(x->in[0]);
    if (!index_ok("one_hot", x->in[0], n, err))
        return false;
    if (count == 0)
        return true;
    const int32_t *idx = x->in[0]->data;
    memset(x->out[0]->data, 0, tensor_bytes(x->out[0]));
    for (int64_t k = 0; k < count; k++) {
        if (tensor_is_f64(x->out[0]))
            ((double *)x->out[0]->data)[k * n + idx[k]] = 1.0;
        else
            ((float *)x->out[0]->data)[k * n + idx[k]] = 1.0f;
    }
    return true;
}

static bool shape_batch_u8(const Spec *in, int n_in, const OpAttr *a, Spec *out,
                           Err *err)
{
    (void)n_in, (void)a;
    char text[96];
    int64_t dim[2] = {in[1].dim[0], 1};
    if (!need_dtype(in, 0, U8, err) || !need_dtype(in, 1, I32, err) ||
        !need_ndim(in, 1, 1, err))
        return false;
    if (in[0].ndim < 1)
        return err_set(err, ERR_SHAPE, "images must be [N, ...], they are %s",
                       spec_format(&in[0], text));
    for (int k = 1; k < in[0].ndim; k++)
        dim[1] *= in[0].dim[k];
    *out = spec_make(F32, 2, dim);
    return true;
}

static void batch_rows(int64_t first, int64_t count, void *ctx)
{
    const IndexJob *j = ctx;
    int64_t n = j->v.inner;
    for (int64_t r = first; r < first + count; r++)
        j->k->scale_u8(n, (const uint8_t *)j->x + j->idx[r] * n, j->scale,
                       (float *)(void *)j->y + r * n);
}

static bool run_batch_u8(const OpArgs *x, Err *err)
{
    IndexJob j = index_job(x->in[0], 0, x->in[1]);
    if (!index_ok("batch_u8", x->in[1], j.v.n, err))
        return false;
    j.x = x->in[0]->data;
    j.y = x->out[0]->data;
    j.scale = x->attr->f[0];
    for_ranges(j.m, rows_grain(j.v.inner), batch_rows, &j);
    return true;
}

/* ---- rows ------------------------------------------------------------------------ */

const OpRow ops_index[] = {
    {.name = "gather",
     .sig = "x, idx, axis:a=0",
     .doc =
         "The elements of an axis (by default the first) at the places that the i32 "
         "index "
         "says, counted from 0. The index's dimensions take the place of the axis. Any "
         "dtype.",
     .formula = "y[i, ...] = x[idx[i], ...]",
     .shape = shape_gather,
     .run = run_gather,
     .grad = grad_gather,
     .test = {.shapes = "5x3,4; 5x3,2x2; 5x3x2,3; 3x5,; 5x3,0; 2x5x3,7; 5x0,4",
              .attrs = "; ; axis=0; axis=1; ; axis=1;",
              .ints = "1:5"}},
    {.name = "scatter_add",
     .sig = "base, idx, src, axis:a=0",
     .doc = "base with src added at the places of an axis that the i32 index says, "
            "counted "
            "from 0; equal indices add up. src has the shape that gather would give.",
     .formula = "y = base; y[idx[i], ...] += src[i, ...]",
     .inplace = 1,
     .shape = shape_scatter_add,
     .run = run_scatter_add,
     .grad = grad_scatter_add,
     .test = {.shapes =
                  "5x3,4,4x3; 5x3,2x4,2x4x3; 2x5x3,7,2x7x3; 5x600,3,3x600; 5x3,0,0x3",
              .attrs = "; ; axis=1; ;",
              .ints = "1:5"}},
    {.name = "take_along",
     .sig = "x, idx, axis:a=-1",
     .doc =
         "One element of an axis (by default the last) for each entry of an i32 index "
         "counted from 0, which has x's shape but for that axis.",
     .formula = "y[b, i] = x[b, idx[b, i]]",
     .shape = shape_take_along,
     .run = run_take_along,
     .grad = grad_take_along,
     .test = {.shapes = "4x5,4x2; 5x4,2x4; 3x5x2,3x7x2; 5,3; 4x5,4x0",
              .attrs = "; axis=0; axis=1; ;",
              .ints = "1:5"}},
    {.name = "put_along_add",
     .sig = "base, idx, src, axis:a=-1",
     .doc = "base with src added along an axis at the places of an i32 index counted "
            "from 0; "
            "index and src have one shape. The backward of take_along.",
     .formula = "y = base; y[b, idx[b, i]] += src[b, i]",
     .inplace = 1,
     .shape = shape_put_along,
     .run = run_put_along,
     .grad = grad_put_along,
     .test = {.shapes = "4x5,4x2,4x2; 5x4,7x4,7x4; 3x5x2,3x7x2,3x7x2",
              .attrs = "; axis=0; axis=1",
              .ints = "1:5"}},
    {.name = "one_hot",
     .sig = "idx, n:i, dtype:d=f32",
     .doc =
         "1 at the place that an i32 index says, counted from 0, in a new last axis of "
         "length n; 0 elsewhere.",
     .formula = "y[..., c] = [idx[...] = c]",
     .flags = OP_NODIFF,
     .shape = shape_one_hot,
     .run = run_one_hot,
     .test = {.shapes = "4; 2x3; 0; ", .attrs = "n=5; n=5; n=5; n=5", .ints = "0:5"}},
    {.name = "batch_u8",
     .sig = "images, idx, scale:f=1/255",
     .doc = "Rows of u8 images [N, ...] chosen by an i32 index [B] counted from 0, "
            "flattened "
            "and scaled: f32 [B, pixels].",
     .formula = "y[b, :] = scale images[idx[b], :]",
     .flags = OP_NODIFF,
     .shape = shape_batch_u8,
     .run = run_batch_u8,
     .test = {.shapes = "6x4x5,3; 6x784,40; 6,3; 6x4,0",
              .attrs = "; ; scale=1;",
              .ints = "0:u8 1:6"}},
};
const int ops_index_count = ARRAY_LEN(ops_index);
