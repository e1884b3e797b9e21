/* shape.c -- shapes and views: everything that changes dims and strides and no
 * element. A view of borrowed memory (buf NULL) is borrowed too. Data pointers of
 * empty views never move, so they stay inside their buffer. */
#include <stdio.h>
#include <string.h>

#include "tensor/tensor.h"

char *shape_format(DType t, int ndim, const int64_t *dim, char dst[96])
{
    int n = snprintf(dst, 96, "%s[", dtype_name(t));
    for (int i = 0; i < ndim && i < MAX_DIM && n < 95; i++)
        n += snprintf(dst + n, 96 - (size_t)n, i ? ",%lld" : "%lld", (long long)dim[i]);
    if (n > 94)
        n = 94;
    dst[n] = ']';
    dst[n + 1] = '\0';
    return dst;
}

char *tensor_format_shape(const Tensor *t, char dst[96])
{
    return shape_format(t->dtype, t->ndim, t->dim, dst);
}

/* Axis counted from the front, or -1 with an error. */
static int axis_of(const char *what, const Tensor *t, int axis, Err *err)
{
    int at = axis < 0 ? axis + t->ndim : axis;
    if (at >= 0 && at < t->ndim)
        return at;
    char text[96];
    err_set(err, ERR_SHAPE,
            "%s: axis %d does not exist in %s, which has %d dimension%s", what, axis,
            tensor_format_shape(t, text), t->ndim, t->ndim == 1 ? "" : "s");
    return -1;
}

/* No dim is negative, and no product of dims or of bytes overflows. */
static bool countable(int ndim, const int64_t *dim)
{
    int64_t bytes = sizeof(double);
    for (int i = 0; i < ndim; i++) {
        if (dim[i] < 0 || __builtin_mul_overflow(bytes, dim[i] ? dim[i] : 1, &bytes))
            return false;
    }
    return true;
}

static void advance(Tensor *t, int64_t elements)
{
    if (t->data)
        t->data = (char *)t->data + elements * (int64_t)dtype_size(t->dtype);
}

bool tensor_slice(const Tensor *t, int axis, int64_t start, int64_t stop, int64_t step,
                  Tensor *out, Err *err)
{
    memset(out, 0, sizeof *out);
    int at = axis_of("slice", t, axis, err);
    if (at < 0)
        return false;
    if (step == 0 || step == INT64_MIN)
        return err_set(err, ERR_SHAPE, "slice: the step must not be %s",
                       step ? "so small" : "0");
    int64_t dim = t->dim[at], lo = step > 0 ? 0 : -1, hi = step > 0 ? dim : dim - 1;
    if (start < lo || start > hi || stop < lo || stop > hi)
        return err_set(
            err, ERR_SHAPE,
            "slice: %lld to %lld with step %lld leaves axis %d of size %lld; "
            "both ends must be in %lld to %lld",
            (long long)start, (long long)stop, (long long)step, at, (long long)dim,
            (long long)lo, (long long)hi);
    int64_t span = step > 0 ? stop - start : start - stop;
    int64_t width = step > 0 ? step : -step;
    int64_t n = span > 0 ? (span - 1) / width + 1 : 0;

    *out = tensor_retain(t);
    out->dim[at] = n;
    if (n > 0)
        advance(out, start * t->stride[at]);
    if (n > 1)
        out->stride[at] = step * t->stride[at];
    return true;
}

bool tensor_select(const Tensor *t, int axis, int64_t index, Tensor *out, Err *err)
{
    memset(out, 0, sizeof *out);
    int at = axis_of("select", t, axis, err);
    if (at < 0)
        return false;
    if (index < 0 || index >= t->dim[at])
        return err_set(err, ERR_SHAPE,
                       "select: index %lld is outside axis %d, which holds %lld",
                       (long long)index, at, (long long)t->dim[at]);
    *out = tensor_retain(t);
    if (tensor_count(t) > 0)
        advance(out, index * t->stride[at]);
    out->ndim--;
    for (int i = at; i < out->ndim; i++) {
        out->dim[i] = out->dim[i + 1];
        out->stride[i] = out->stride[i + 1];
    }
    out->dim[out->ndim] = out->stride[out->ndim] = 0;
    return true;
}

bool tensor_transpose(const Tensor *t, int a, int b, Tensor *out, Err *err)
{
    memset(out, 0, sizeof *out);
    int i = axis_of("transpose", t, a, err);
    int j = i < 0 ? -1 : axis_of("transpose", t, b, err);
    if (j < 0)
        return false;
    *out = tensor_retain(t);
    out->dim[i] = t->dim[j];
    out->dim[j] = t->dim[i];
    out->stride[i] = t->stride[j];
    out->stride[j] = t->stride[i];
    return true;
}

bool tensor_permute(const Tensor *t, const int *axes, Tensor *out, Err *err)
{
    int from[MAX_DIM] = {0};
    unsigned seen = 0;
    memset(out, 0, sizeof *out);
    for (int i = 0; i < t->ndim; i++) {
        from[i] = axis_of("permute", t, axes[i], err);
        if (from[i] < 0)
            return false;
        if (seen & 1u << from[i])
            return err_set(err, ERR_SHAPE, "permute: axis %d is named twice", from[i]);
        seen |= 1u << from[i];
    }
    *out = tensor_retain(t);
    for (int i = 0; i < t->ndim; i++) {
        out->dim[i] = t->dim[from[i]];
        out->stride[i] = t->stride[from[i]];
    }
    return true;
}

/* Replaces the one -1 in dim by what count asks for. */
static bool resolve_dims(const Tensor *t, int ndim, const int64_t *dim, int64_t *full,
                         Err *err)
{
    char from[96], to[96];
    int64_t count = tensor_count(t), known = 1;
    int open = -1;
    bool fits = ndim >= 0 && ndim <= MAX_DIM;
    for (int i = 0; fits && i < ndim; i++) {
        full[i] = dim[i];
        if (dim[i] == -1 && open < 0)
            full[open = i] = 1;
    }
    fits = fits && countable(ndim, full);
    for (int i = 0; fits && i < ndim; i++)
        known *= full[i];
    if (fits && open >= 0 && known > 0)
        full[open] = count / known;
    if (!fits || (open >= 0 && known == 0) ||
        (open >= 0 ? full[open] : 1) * known != count)
        return err_set(
            err, ERR_SHAPE,
            "reshape: %s with %lld elements cannot become %s; the counts must "
            "agree, with at most one dimension left open as -1",
            tensor_format_shape(t, from), (long long)count,
            shape_format(t->dtype, ndim, dim, to));
    return true;
}

bool tensor_reshape(const Tensor *t, int ndim, const int64_t *dim, Tensor *out,
                    Err *err)
{
    int64_t full[MAX_DIM];
    memset(out, 0, sizeof *out);
    if (!resolve_dims(t, ndim, dim, full, err) || !tensor_contiguous_of(t, out, err))
        return false;
    Tensor shaped = tensor_wrap(t->dtype, ndim, full, out->data);
    shaped.buf = out->buf;
    *out = shaped;
    return true;
}

bool shape_broadcast(const char *what, int na, const int64_t *a, int nb,
                     const int64_t *b, int *n, int64_t *out, Err *err)
{
    int most = na > nb ? na : nb;
    for (int i = 1; i <= most; i++) {
        int64_t da = i <= na ? a[na - i] : 1, db = i <= nb ? b[nb - i] : 1;
        if (da != db && da != 1 && db != 1) {
            char ta[96], tb[96];
            return err_set(
                err, ERR_SHAPE,
                "%s: shapes %s and %s do not broadcast; dimension %d from the "
                "end is %lld and %lld, and neither is 1",
                what, strchr(shape_format(F32, na, a, ta), '['),
                strchr(shape_format(F32, nb, b, tb), '['), i, (long long)da,
                (long long)db);
        }
        out[most - i] = da == 1 ? db : da;
    }
    *n = most;
    return true;
}

bool tensor_broadcast(const Tensor *t, int ndim, const int64_t *dim, Tensor *out,
                      Err *err)
{
    bool fits = ndim >= t->ndim && ndim <= MAX_DIM;
    int lead = ndim - t->ndim;
    memset(out, 0, sizeof *out);
    for (int i = 0; fits && i < t->ndim; i++)
        fits = t->dim[i] == dim[lead + i] || t->dim[i] == 1;
    if (!fits || !countable(ndim, dim)) {
        char from[96], to[96];
        return err_set(err, ERR_SHAPE, "broadcast: %s cannot be stretched to %s",
                       tensor_format_shape(t, from),
                       shape_format(t->dtype, ndim, dim, to));
    }
    *out = tensor_retain(t);
    out->ndim = ndim;
    for (int i = 0; i < ndim; i++) {
        bool kept = i >= lead && t->dim[i - lead] == dim[i];
        out->dim[i] = dim[i];
        out->stride[i] = kept ? t->stride[i - lead] : 0;
    }
    return true;
}
