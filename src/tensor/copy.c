/* copy.c -- moving elements between layouts and dtypes.
 * Method: order the axes by the target's strides, merge axes that are adjacent in both
 * tensors, then walk the two innermost axes in 32 x 32 tiles (so that a transposed
 * source uses every cache line it touches) with one row loop per pair of dtypes.
 * Conversion: float to float rounds to nearest; to i32 and u8 truncates towards zero,
 * saturates, and NaN becomes 0. */
#include <string.h>

#include "base/intr.h"
#include "tensor/tensor.h"

enum { TILE = 32, CHECK_ELEMENTS = 1 << 22 }; /* 4 Mi elements: a few milliseconds */

/* Float to integer without branches: the comparisons put NaN at 0. */
static inline int32_t i32_of(double v)
{
    double c = v > -2147483648.0 ? v : -2147483648.0;
    c = c < 2147483647.0 ? c : 2147483647.0;
    return v == v ? (int32_t)c : 0;
}

static inline uint8_t u8_of(double v)
{
    double c = v > 0 ? v : 0;
    return (uint8_t)(int32_t)(c < 255 ? c : 255);
}

typedef void CopyRow(void *dst, int64_t ds, const void *src, int64_t ss, int64_t n);

/* Unit strides get a loop of their own, which the compiler vectorises. */
#define COPY_ROW(name, S, D, expr)                                                     \
    static void name(void *dst, int64_t ds, const void *src, int64_t ss, int64_t n)    \
    {                                                                                  \
        const S *s = src;                                                              \
        D *d = dst;                                                                    \
        if (ds == 1 && ss == 1) {                                                      \
            for (int64_t i = 0; i < n; i++) {                                          \
                S v = s[i];                                                            \
                d[i] = expr;                                                           \
            }                                                                          \
            return;                                                                    \
        }                                                                              \
        for (int64_t i = 0; i < n; i++) {                                              \
            S v = s[i * ss];                                                           \
            d[i * ds] = expr;                                                          \
        }                                                                              \
    }

COPY_ROW(f32_f32, float, float, v)
COPY_ROW(f32_f64, float, double, (double)v)
COPY_ROW(f32_i32, float, int32_t, i32_of((double)v))
COPY_ROW(f32_u8, float, uint8_t, u8_of((double)v))
COPY_ROW(f64_f32, double, float, (float)v)
COPY_ROW(f64_f64, double, double, v)
COPY_ROW(f64_i32, double, int32_t, i32_of(v))
COPY_ROW(f64_u8, double, uint8_t, u8_of(v))
COPY_ROW(i32_f32, int32_t, float, (float)v)
COPY_ROW(i32_f64, int32_t, double, (double)v)
COPY_ROW(i32_i32, int32_t, int32_t, v)
COPY_ROW(i32_u8, int32_t, uint8_t, (uint8_t)(v < 0 ? 0 : v > 255 ? 255 : v))
COPY_ROW(u8_f32, uint8_t, float, (float)v)
COPY_ROW(u8_f64, uint8_t, double, (double)v)
COPY_ROW(u8_i32, uint8_t, int32_t, (int32_t)v)
COPY_ROW(u8_u8, uint8_t, uint8_t, v)

static CopyRow *const copy_rows[N_DTYPES][N_DTYPES] = {
    [F32] = {[F32] = f32_f32, [F64] = f32_f64, [I32] = f32_i32, [U8] = f32_u8},
    [F64] = {[F32] = f64_f32, [F64] = f64_f64, [I32] = f64_i32, [U8] = f64_u8},
    [I32] = {[F32] = i32_f32, [F64] = i32_f64, [I32] = i32_i32, [U8] = i32_u8},
    [U8] = {[F32] = u8_f32, [F64] = u8_f64, [I32] = u8_i32, [U8] = u8_u8},
};

/* A walk over two tensors of one shape, at least two axes; axis n-1 is innermost. */
typedef struct Walk {
    int n;
    int64_t dim[MAX_DIM], ds[MAX_DIM], ss[MAX_DIM]; /* elements */
    int64_t dsize, ssize;                           /* bytes of an element */
    int64_t since;                                  /* elements since the last look */
    CopyRow *row;
} Walk;

static int64_t magnitude(int64_t v)
{
    return v < 0 ? -v : v;
}

static void walk_push(Walk *w, int64_t dim, int64_t ds, int64_t ss)
{
    int last = w->n - 1;
    if (last >= 0 && w->ds[last] == ds * dim && w->ss[last] == ss * dim) {
        dim *= w->dim[last];
        w->n--;
    }
    w->dim[w->n] = dim;
    w->ds[w->n] = ds;
    w->ss[w->n] = ss;
    w->n++;
}

static Walk walk_plan(const Tensor *dst, const Tensor *src)
{
    Walk w = {.dsize = (int64_t)dtype_size(dst->dtype),
              .ssize = (int64_t)dtype_size(src->dtype),
              .row = copy_rows[src->dtype][dst->dtype]};
    int axis[MAX_DIM], n = 0;

    for (int i = 0; i < dst->ndim; i++) {
        if (dst->dim[i] == 1)
            continue;
        int at = n++;
        int64_t step = magnitude(dst->stride[i]);
        for (; at > 0 && magnitude(dst->stride[axis[at - 1]]) < step; at--)
            axis[at] = axis[at - 1];
        axis[at] = i;
    }
    for (int k = 0; k < n; k++)
        walk_push(&w, dst->dim[axis[k]], dst->stride[axis[k]], src->stride[axis[k]]);
    if (w.n == 0)
        walk_push(&w, 1, 1, 1);
    if (w.n == 1) { /* one row */
        w.dim[1] = w.dim[0];
        w.ds[1] = w.ds[0];
        w.ss[1] = w.ss[0];
        w.dim[0] = 1;
        w.n = 2;
    }
    return w;
}

/* The two innermost axes. */
static bool copy_plane(Walk *w, char *dst, const char *src, Err *err)
{
    int b = w->n - 1, a = b - 1;
    int64_t rows = w->dim[a], cols = w->dim[b];
    int64_t da = w->ds[a] * w->dsize, db = w->ds[b] * w->dsize;
    int64_t sa = w->ss[a] * w->ssize, sb = w->ss[b] * w->ssize;
    bool tiled = magnitude(sa) < magnitude(sb);
    int64_t tc = tiled ? TILE : cols < CHECK_ELEMENTS ? cols : CHECK_ELEMENTS;
    int64_t tr = tiled ? TILE : CHECK_ELEMENTS / tc;

    for (int64_t i = 0; i < rows; i += tr) {
        int64_t i1 = i + tr < rows ? i + tr : rows;
        for (int64_t j = 0; j < cols; j += tc) {
            int64_t n = j + tc < cols ? tc : cols - j;
            for (int64_t r = i; r < i1; r++)
                w->row(dst + r * da + j * db, w->ds[b], src + r * sa + j * sb, w->ss[b],
                       n);
            w->since += n * (i1 - i);
            if (w->since >= CHECK_ELEMENTS) {
                w->since = 0;
                if (!intr_check(err))
                    return false;
            }
        }
    }
    return true;
}

static bool copy_walk(Walk *w, int axis, char *dst, const char *src, Err *err)
{
    if (axis == w->n - 2)
        return copy_plane(w, dst, src, err);
    for (int64_t i = 0; i < w->dim[axis]; i++) {
        if (!copy_walk(w, axis + 1, dst + i * w->ds[axis] * w->dsize,
                       src + i * w->ss[axis] * w->ssize, err))
            return false;
    }
    return true;
}

/* First and last byte (exclusive) that a non-empty tensor touches. */
static void extent(const Tensor *t, uintptr_t *lo, uintptr_t *hi)
{
    int64_t size = (int64_t)dtype_size(t->dtype), below = 0, above = size;
    for (int i = 0; i < t->ndim; i++) {
        int64_t reach = (t->dim[i] - 1) * t->stride[i] * size;
        *(reach < 0 ? &below : &above) += reach;
    }
    *lo = (uintptr_t)t->data + (uintptr_t)below;
    *hi = (uintptr_t)t->data + (uintptr_t)above;
}

/* The same elements in the same places: copying element by element is safe. */
static bool same_layout(const Tensor *a, const Tensor *b)
{
    bool same = a->data == b->data && a->dtype == b->dtype;
    for (int i = 0; same && i < a->ndim; i++)
        same = a->stride[i] == b->stride[i] || a->dim[i] == 1;
    return same;
}

static bool overlap(const Tensor *a, const Tensor *b)
{
    uintptr_t a0, a1, b0, b1;
    extent(a, &a0, &a1);
    extent(b, &b0, &b1);
    return a0 < b1 && b0 < a1 && !same_layout(a, b);
}

bool tensor_copy_into(const Tensor *src, Tensor *dst, Err *err)
{
    char from[96], to[96];
    if (!tensor_same_shape(src, dst))
        return err_set(err, ERR_SHAPE,
                       "copy: %s does not fit into %s; broadcast it first",
                       tensor_format_shape(src, from), tensor_format_shape(dst, to));
    if (tensor_count(src) == 0)
        return true;
    for (int i = 0; i < dst->ndim; i++) {
        if (dst->stride[i] == 0 && dst->dim[i] > 1)
            return err_set(
                err, ERR_SHAPE,
                "copy: %s is broadcast along axis %d, so several of its elements "
                "share memory; copy into a tensor of its own",
                tensor_format_shape(dst, to), i);
    }
    Tensor apart = {0};
    if (overlap(src, dst)) {
        if (!tensor_copy(src, &apart, err))
            return false;
        src = &apart;
    }
    Walk w = walk_plan(dst, src);
    bool ok = copy_walk(&w, 0, dst->data, src->data, err);
    tensor_release(&apart);
    return ok;
}

bool tensor_convert(const Tensor *t, DType to, Tensor *out, Err *err)
{
    if (!tensor_new(to, t->ndim, t->dim, out, err))
        return false;
    if (!tensor_copy_into(t, out, err)) {
        tensor_release(out);
        return false;
    }
    return true;
}

bool tensor_copy(const Tensor *t, Tensor *out, Err *err)
{
    return tensor_convert(t, t->dtype, out, err);
}

bool tensor_contiguous_of(const Tensor *t, Tensor *out, Err *err)
{
    if (!tensor_contiguous(t))
        return tensor_copy(t, out, err);
    /* Axes of one element may carry any stride; callers read the usual ones. */
    *out = tensor_wrap(t->dtype, t->ndim, t->dim, t->data);
    out->buf = tensor_retain(t).buf;
    return true;
}
