/* tensor.h -- dense strided arrays. A Tensor is a small value; its memory is a Buffer
 * with a reference count, which views share; tensor_release() drops one reference and
 * zeroes the value. Strides count elements. Up to 6 dimensions, any of them may be 0;
 * 0 dimensions is a scalar. A failed function leaves *out zeroed; *out must not be an
 * input, and what it held before is not released.
 * DIMENSION KEY (everywhere): B batch, I J pixel or input, E embedding, H hidden, C
 * class or output, R component (rank-one part), M latent, L layer, N examples in a set.
 * Threads: reference counts are atomic, contents are not guarded. */
#ifndef CLEAVE_TENSOR_TENSOR_H
#define CLEAVE_TENSOR_TENSOR_H
#include <stdint.h>

#include "base/err.h"

typedef enum DType { F32, F64, I32, U8, N_DTYPES } DType;
enum { MAX_DIM = 6 };

typedef struct Buffer Buffer;
typedef struct Tensor {
    DType dtype;
    int ndim;
    int64_t dim[MAX_DIM];
    int64_t stride[MAX_DIM]; /* elements */
    Buffer *buf;             /* NULL for a zeroed Tensor or borrowed memory */
    void *data;              /* first element */
} Tensor;

size_t dtype_size(DType t);       /* bytes */
const char *dtype_name(DType t);  /* "f32" ... */
bool dtype_parse(const char *name, DType *t);

/* Uninitialised / zeroed new tensor, contiguous, row-major. */
bool tensor_new(DType t, int ndim, const int64_t *dim, Tensor *out, Err *err);
bool tensor_zeros(DType t, int ndim, const int64_t *dim, Tensor *out, Err *err);
bool tensor_full(DType t, int ndim, const int64_t *dim, double value, Tensor *out,
                 Err *err);
/* Borrowed memory: no buffer, the caller keeps `data` alive; contiguous. */
Tensor tensor_wrap(DType t, int ndim, const int64_t *dim, void *data);
Tensor tensor_retain(const Tensor *t); /* another reference to the same memory */
void tensor_release(Tensor *t);        /* NULL and zeroed are fine */

int64_t tensor_count(const Tensor *t); /* elements */
size_t tensor_bytes(const Tensor *t);  /* count * dtype_size */
bool tensor_contiguous(const Tensor *t);
bool tensor_same_shape(const Tensor *a, const Tensor *b);
/* "f32[10,784]" into dst, returns dst. */
char *tensor_format_shape(const Tensor *t, char dst[96]);
char *shape_format(DType t, int ndim, const int64_t *dim, char dst[96]);

/* Views (share the buffer; out holds a reference). Axes are 0-based here, negative
 * counts from the end. A slice holds start, start+step ... before stop; both ends are
 * positions as they stand: 0 to dim for a positive step, dim-1 down to -1 for a
 * negative one. */
bool tensor_slice(const Tensor *t, int axis, int64_t start, int64_t stop, int64_t step,
                  Tensor *out, Err *err);
bool tensor_select(const Tensor *t, int axis, int64_t index, Tensor *out, Err *err);
bool tensor_transpose(const Tensor *t, int a, int b, Tensor *out, Err *err);
bool tensor_permute(const Tensor *t, const int *axes, Tensor *out, Err *err);
/* One dim may be -1. Shares memory when t is contiguous, else copies. */
bool tensor_reshape(const Tensor *t, int ndim, const int64_t *dim, Tensor *out,
                    Err *err);
/* Stride 0 along broadcast dimensions; NumPy's rule. */
bool tensor_broadcast(const Tensor *t, int ndim, const int64_t *dim, Tensor *out,
                      Err *err);
/* The shape two shapes broadcast to; what ("add") starts the error sentence. */
bool shape_broadcast(const char *what, int na, const int64_t *a, int nb,
                     const int64_t *b, int *n, int64_t *out, Err *err);

/* Contiguous copy in a new buffer / a reference if already contiguous. */
bool tensor_copy(const Tensor *t, Tensor *out, Err *err);
bool tensor_contiguous_of(const Tensor *t, Tensor *out, Err *err);
/* Copies values between equal shapes: any strides, dtype conversion by C rules, to u8
 * and i32 saturating with NaN as 0. Overlapping memory is fine; a broadcast dst is
 * refused. */
bool tensor_copy_into(const Tensor *src, Tensor *dst, Err *err);
bool tensor_convert(const Tensor *t, DType to, Tensor *out, Err *err);

/* One element as double (slow; for printing, tests and options). */
double tensor_get(const Tensor *t, const int64_t *index);
void tensor_set(Tensor *t, const int64_t *index, double value);
double tensor_item(const Tensor *t); /* first element; NaN when there is none */
/* Of a contiguous tensor: no element is NaN or infinite. */
bool tensor_finite(const Tensor *t);
#endif
