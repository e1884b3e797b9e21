/* tensor.c -- memory and single elements of tensors.
 * One allocation holds the Buffer header (64 bytes) and the elements behind it, so
 * elements stay 64-byte aligned. Invariants: the product of max(dim, 1) times the
 * element size fits ptrdiff_t, so no index computed from strides can overflow; a
 * failing function leaves *out zeroed. Views are in shape.c, copies in copy.c. */
#include "tensor/tensor.h"

#include <math.h>
#include <stdatomic.h>
#include <string.h>

#include "base/mem.h"

struct Buffer {
    _Alignas(64) atomic_long refs;
};

static const struct {
    const char *name;
    size_t size;
} dtypes[N_DTYPES] = {
    [F32] = {"f32", 4},
    [F64] = {"f64", 8},
    [I32] = {"i32", 4},
    [U8] = {"u8", 1},
};

size_t dtype_size(DType t)
{
    return dtypes[t].size;
}

const char *dtype_name(DType t)
{
    return (unsigned)t < N_DTYPES ? dtypes[t].name : "?";
}

bool dtype_parse(const char *name, DType *t)
{
    for (int i = 0; i < N_DTYPES; i++) {
        if (strcmp(name, dtypes[i].name) == 0) {
            *t = (DType)i;
            return true;
        }
    }
    return false;
}

/* Row-major strides; the bytes needed in *bytes. Dimensions of 0 count as 1 in
 * strides, so that they stay usable for views. */
static bool shape_layout(DType t, int ndim, const int64_t *dim, int64_t *stride,
                         size_t *bytes, Err *err)
{
    if (ndim < 0 || ndim > MAX_DIM)
        return err_set(err, ERR_SHAPE, "a tensor has 0 to %d dimensions, not %d",
                       MAX_DIM, ndim);
    int64_t step = 1;
    bool empty = false;
    for (int i = ndim - 1; i >= 0; i--) {
        if (dim[i] < 0)
            return err_set(err, ERR_SHAPE,
                           "dimension %d is %lld; a dimension must be 0 or more", i,
                           (long long)dim[i]);
        stride[i] = step;
        empty |= dim[i] == 0;
        if (__builtin_mul_overflow(step, dim[i] > 0 ? dim[i] : 1, &step))
            step = INT64_MAX;
    }
    if (step > PTRDIFF_MAX / (int64_t)dtypes[t].size) {
        char text[96];
        return err_set(err, ERR_SHAPE, "%s has more elements than memory can address",
                       shape_format(t, ndim, dim, text));
    }
    *bytes = empty ? 0 : (size_t)step * dtypes[t].size;
    return true;
}

typedef void *AllocFn(size_t bytes, Err *err);

static bool tensor_make(AllocFn *alloc, DType t, int ndim, const int64_t *dim,
                        Tensor *out, Err *err)
{
    Tensor made = {.dtype = t, .ndim = ndim};
    size_t bytes = 0;

    memset(out, 0, sizeof *out);
    if ((unsigned)t >= N_DTYPES)
        return err_set(err, ERR_SHAPE,
                       "dtype %d does not exist; f32, f64, i32 and u8 do", (int)t);
    if (!shape_layout(t, ndim, dim, made.stride, &bytes, err))
        return false;
    made.buf = alloc(sizeof(Buffer) + bytes, err);
    if (!made.buf) {
        char text[96];
        return err_prefix(err, "%s", shape_format(t, ndim, dim, text));
    }
    atomic_init(&made.buf->refs, 1);
    made.data = made.buf + 1;
    for (int i = 0; i < ndim; i++)
        made.dim[i] = dim[i];
    *out = made;
    return true;
}

bool tensor_new(DType t, int ndim, const int64_t *dim, Tensor *out, Err *err)
{
    return tensor_make(mem_alloc, t, ndim, dim, out, err);
}

bool tensor_zeros(DType t, int ndim, const int64_t *dim, Tensor *out, Err *err)
{
    return tensor_make(mem_zalloc, t, ndim, dim, out, err);
}

/* NaN becomes 0; values outside lo..hi saturate; else truncation towards zero. */
static int32_t saturate(double v, int32_t lo, int32_t hi)
{
    if (isnan(v))
        return 0;
    return v <= lo ? lo : v >= hi ? hi : (int32_t)v;
}

static void store(DType t, void *p, double v)
{
    switch (t) {
    case F32: *(float *)p = (float)v; break;
    case F64: *(double *)p = v; break;
    case I32: *(int32_t *)p = saturate(v, INT32_MIN, INT32_MAX); break;
    case U8: *(uint8_t *)p = (uint8_t)saturate(v, 0, 255); break;
    case N_DTYPES: break;
    }
}

static double load(DType t, const void *p)
{
    switch (t) {
    case F32: return *(const float *)p;
    case F64: return *(const double *)p;
    case I32: return *(const int32_t *)p;
    case U8: return *(const uint8_t *)p;
    case N_DTYPES: break;
    }
    return 0;
}

bool tensor_full(DType t, int ndim, const int64_t *dim, double value, Tensor *out,
                 Err *err)
{
    if (value == 0 && !signbit(value))
        return tensor_zeros(t, ndim, dim, out, err);
    if (!tensor_new(t, ndim, dim, out, err))
        return false;
    size_t size = dtypes[t].size, bytes = tensor_bytes(out);
    char *p = out->data;
    if (bytes > 0)
        store(t, p, value);
    /* Doubling what is filled, in pieces that stay in the first-level cache. */
    for (size_t done = size, n; done < bytes; done += n) {
        n = done < bytes - done ? done : bytes - done;
        if (n > 8192)
            n = 8192;
        memcpy(p + done, p, n);
    }
    return true;
}

Tensor tensor_wrap(DType t, int ndim, const int64_t *dim, void *data)
{
    Tensor out = {.dtype = t, .ndim = ndim, .data = data};
    int64_t step = 1;
    for (int i = ndim - 1; i >= 0; i--) {
        out.dim[i] = dim[i];
        out.stride[i] = step;
        step *= dim[i] > 0 ? dim[i] : 1;
    }
    return out;
}

Tensor tensor_retain(const Tensor *t)
{
    if (t->buf)
        atomic_fetch_add_explicit(&t->buf->refs, 1, memory_order_relaxed);
    return *t;
}

void tensor_release(Tensor *t)
{
    if (!t)
        return;
    Buffer *buf = t->buf;
    memset(t, 0, sizeof *t);
    if (buf && atomic_fetch_sub_explicit(&buf->refs, 1, memory_order_acq_rel) == 1)
        mem_free(buf);
}

int64_t tensor_count(const Tensor *t)
{
    int64_t n = 1;
    for (int i = 0; i < t->ndim; i++)
        n *= t->dim[i];
    return n;
}

size_t tensor_bytes(const Tensor *t)
{
    return (size_t)tensor_count(t) * dtypes[t->dtype].size;
}

bool tensor_contiguous(const Tensor *t)
{
    int64_t step = 1;
    bool dense = true;
    for (int i = t->ndim - 1; i >= 0; i--) {
        if (t->dim[i] == 0)
            return true;
        dense &= t->dim[i] == 1 || t->stride[i] == step;
        step *= t->dim[i];
    }
    return dense;
}

bool tensor_same_shape(const Tensor *a, const Tensor *b)
{
    if (a->ndim != b->ndim)
        return false;
    for (int i = 0; i < a->ndim; i++) {
        if (a->dim[i] != b->dim[i])
            return false;
    }
    return true;
}

static char *element(const Tensor *t, const int64_t *index)
{
    int64_t at = 0;
    for (int i = 0; i < t->ndim; i++)
        at += index[i] * t->stride[i];
    return (char *)t->data + at * (int64_t)dtypes[t->dtype].size;
}

double tensor_get(const Tensor *t, const int64_t *index)
{
    return load(t->dtype, element(t, index));
}

void tensor_set(Tensor *t, const int64_t *index, double value)
{
    store(t->dtype, element(t, index), value);
}

double tensor_item(const Tensor *t)
{
    return tensor_count(t) > 0 ? load(t->dtype, t->data) : (double)NAN;
}

bool tensor_finite(const Tensor *t)
{
    bool ok = true;
    int64_t n = tensor_count(t);
    if (t->dtype == F32)
        for (int64_t i = 0; i < n; i++)
            ok &= isfinite(((const float *)t->data)[i]) != 0;
    else if (t->dtype == F64)
        for (int64_t i = 0; i < n; i++)
            ok &= isfinite(((const double *)t->data)[i]) != 0;
    return ok;
}
