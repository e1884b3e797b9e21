/* io.h -- tensors in files: .npy (format 1.0-3.0), .npz, .safetensors, PyTorch's .pt
 * (read only), CSV and PNG (read only). Readers check every length before they allocate
 * (headers over 100 MB, shapes that overflow, offsets outside the file, unknown dtypes,
 * Fortran order is transposed on load) and say what is wrong in one sentence that names
 * the file. f16/bf16/i64/bool convert to f32 or i32 on load (values that do not fit are
 * an error). Writers go through base/file.h. */
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

/* NumPy's archives of .npy files; names are the members' without ".npy". Written ones
 * are sorted, uncompressed and without times; metadata is not written. */
bool npz_save(const char *path, const TensorSet *s, Err *err);
bool npz_load(const char *path, TensorSet **out, Err *err);
bool npz_parse(const void *data, size_t n, const char *name, TensorSet **out, Err *err);

/* What torch.save() wrote: tensors in dictionaries and lists, their names joined by
 * dots; a lone tensor is called "tensor". Numbers, booleans and texts become metadata.
 * The pickle inside is read by a machine that executes nothing (tensor/pickle.h). Both
 * file forms: the zip archive (PyTorch 1.6 on) and the one before. */
bool torch_load(const char *path, TensorSet **out, Err *err);
bool torch_parse(const void *data, size_t n, const char *name, TensorSet **out,
                 Err *err);

/* A dictionary of tensors as torch.save() writes it; equal sets give equal bytes.
 * Metadata is not written. */
bool torch_save(const char *path, const TensorSet *s, Err *err);

/* A table of numbers, f32 or f64 [N,C], one line a row, fields between `sep` (',' or
 * '\t') and perhaps in double quotes; nan and inf are numbers. A first line with a
 * field that is no number names the columns: *names (NULL: not wanted) becomes C texts,
 * each with its NUL, one behind the other in one block for mem_free(), or NULL when
 * there is no such line. Blank lines and lines that begin with '#' are passed over.
 * Errors give line and column. */
bool csv_load(const char *path, char sep, DType dtype, Tensor *out, char **names,
              Err *err);
bool csv_parse(const char *data, size_t n, const char *name, char sep, DType dtype,
               Tensor *out, char **names, Err *err);
/* t [N,C] or [N] (one column). names[0..C-1] become the first line; NULL: none. Numbers
 * are written so that they read back to the same bits. */
bool csv_save(const char *path, char sep, const Tensor *t, const char *const *names,
              Err *err);

/* A PNG as f32 from 0 to 1: grey [H,W]; grey with alpha, RGB and RGBA (palettes become
 * one of these) [2,H,W], [3,H,W] and [4,H,W]. Any depth to 16 bits, interlaced or not;
 * at most 65,535 pixels a side. Values are those in the file, without gamma. */
bool png_load(const char *path, Tensor *out, Err *err);
bool png_parse(const void *data, size_t n, const char *name, Tensor *out, Err *err);
#endif
