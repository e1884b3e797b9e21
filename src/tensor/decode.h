/* decode.h -- elements as files have them, into the four dtypes that we compute with.
 * Every file reader (npy, safetensors, IDX) goes through here. f16 and bf16 become f32;
 * i8, i16, u16, u32, i64, u64 and bool become i32, and an integer that does not fit is
 * an error; f32, f64, i32 and u8 stay as they are. */
#ifndef CLEAVE_TENSOR_DECODE_H
#define CLEAVE_TENSOR_DECODE_H
#include "tensor/tensor.h"

typedef enum ElemKind {
    ELEM_F16,
    ELEM_BF16,
    ELEM_F32,
    ELEM_F64,
    ELEM_BOOL,
    ELEM_U8,
    ELEM_I8,
    ELEM_U16,
    ELEM_I16,
    ELEM_U32,
    ELEM_I32,
    ELEM_U64,
    ELEM_I64,
    N_ELEM
} ElemKind;

size_t elem_size(ElemKind k);      /* bytes in the file */
DType elem_dtype(ElemKind k);      /* what it becomes */
const char *elem_name(ElemKind k); /* "f16" ... */

/* The bytes that a shape of k takes in a file: false when that overflows or an entry is
 * negative. A zero anywhere makes 0. */
bool elem_bytes(ElemKind k, int ndim, const int64_t *dim, size_t *bytes);
/* A new contiguous tensor from the elements at src (any alignment; elem_bytes() of
 * them). `where` starts error sentences. Errors: memory, a value that does not fit,
 * interrupt. */
bool elem_load(ElemKind k, bool big_endian, const void *src, int ndim,
               const int64_t *dim, const char *where, Tensor *out, Err *err);
/* Where one array lies in a file, for readers that take it in pieces: its elements are
 * the `bytes` bytes from byte `begin` on, row-major unless `fortran`. */
typedef struct ArrayInfo {
    ElemKind kind;
    bool big_endian, fortran;
    int ndim;
    int64_t dim[MAX_DIM];
    int64_t begin, bytes;
} ArrayInfo;
/* From the first n bytes of a .npy file, which must hold its header (they do when n is
 * NPY_LONG_HEADER or the whole file). */
enum { NPY_LONG_HEADER = 1 << 20 };
bool npy_describe(const void *data, size_t n, const char *name, ArrayInfo *out,
                  Err *err);
/* From the first n bytes of a safetensors file of file_bytes bytes, which must hold its
 * header (8 bytes and as many as they say): the tensor called `tensor`, or the only one
 * when that is NULL. Checks this tensor's place only. */
bool safetensors_describe(const void *data, size_t n, int64_t file_bytes,
                          const char *name, const char *tensor, ArrayInfo *out,
                          Err *err);
/* The header of a .npy file for t's dtype and shape; returns its length. */
enum { NPY_HEAD_CAP = 512 };
size_t npy_header(const Tensor *t, char head[NPY_HEAD_CAP]);
/* A name or text out of a file, fit for an error sentence: control characters and bytes
 * that are no UTF-8 become '?', a long one is cut. Returns dst. */
enum { SHOWN_CAP = 104 };
const char *text_shown(const char *s, char dst[SHOWN_CAP]);
#endif
