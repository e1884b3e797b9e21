/* io.h -- tensors in files: .npy (format 1.0-3.0) and .safetensors. Readers check every
 * length before they allocate (headers over 100 MB, shapes that overflow, offsets outside
 * the file, unknown dtypes, Fortran order is transposed on load) and say what is wrong in
 * one sentence that names the file. f16/bf16/i64/bool convert to f32 or i32 on load (values
 * that do not fit are an error). Writers go through base/file.h. */
#ifndef CLEAVE_TENSOR_IO_H
#define CLEAVE_TENSOR_IO_H
#include "tensor/tensor.h"

bool npy_load(const char *path, Tensor *out, Err *err);
bool npy_save(const char *path, const Tensor *t, Err *err);
/* From memory, for archives and fuzzing; `name` is used in error sentences. */
bool npy_parse(const void *data, size_t n, const char *name, Tensor *out, Err *err);

/* Named tensors and string metadata, in order of insertion. Owns its tensors. */
typedef struct TensorSet TensorSet;
TensorSet *tset_new(Err *err);
void tset_free(TensorSet *s);
bool tset_add(TensorSet *s, const char *name, const Tensor *t, Err *err); /* retains */
bool tset_add_meta(TensorSet *s, const char *key, const char *value, Err *err);
int tset_count(const TensorSet *s);
const char *tset_name(const TensorSet *s, int i);
const Tensor *tset_at(const TensorSet *s, int i);             /* borrowed */
const Tensor *tset_get(const TensorSet *s, const char *name); /* borrowed, NULL: none */
const char *tset_meta(const TensorSet *s, const char *key);   /* borrowed, NULL: none */
int tset_meta_count(const TensorSet *s);
const char *tset_meta_key(const TensorSet *s, int i);

/* Equal sets give equal bytes: tensors and metadata are written sorted by name. */
bool safetensors_save(const char *path, const TensorSet *s, Err *err);
bool safetensors_load(const char *path, TensorSet **out, Err *err);
bool safetensors_parse(const void *data, size_t n, const char *name, TensorSet **out,
                       Err *err);
#endif
