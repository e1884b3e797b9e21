/* families.h -- the op families and what their files share. A family is one OpRow[] in
 * ops_<name>.c with its length beside it; op.c lists the families, and nothing else
 * does. To add an op: a row in a family. To add a family: a line here and a line in
 * op.c. Shape rules do not name their op: op_shape() puts the name in front of their
 * sentence. The helpers below are what several families use; loops over numbers are in
 * *_kern.c. */
#ifndef CLEAVE_GRAPH_FAMILIES_H
#define CLEAVE_GRAPH_FAMILIES_H
#include "graph/op.h"

extern const OpRow ops_ew[], ops_reduce[], ops_shape[], ops_linalg[], ops_nn[],
    ops_index[], ops_random[], ops_image[], ops_lapack[], ops_optim[], ops_einsum[],
    ops_make[], ops_sae[], ops_spd[], ops_sparse[], ops_conv[], ops_pool2d[];
extern const int ops_ew_count, ops_reduce_count, ops_shape_count, ops_linalg_count,
    ops_nn_count, ops_index_count, ops_random_count, ops_image_count, ops_lapack_count,
    ops_optim_count, ops_einsum_count, ops_make_count,
    ops_sae_count, ops_spd_count, ops_sparse_count, ops_conv_count, ops_pool2d_count;

/* ---- checks ---------------------------------------------------------------------- */

bool is_float(DType t);
/* false with "input 2 must be f32 or f64, it is i32[4]". k is 0-based. */
bool need_float(const Spec *in, int k, Err *err);
bool need_dtype(const Spec *in, int k, DType t, Err *err);
bool need_ndim(const Spec *in, int k, int ndim, Err *err);
/* Resolves an axis (negative from the end) to 0..ndim-1. */
bool need_axis(int64_t axis, int ndim, int *out, Err *err);
bool spec_same_shape(const Spec *a, const Spec *b);
bool spec_equal(const Spec *a, const Spec *b);  /* dtype and shape */
char *spec_format(const Spec *s, char dst[96]); /* "f32[8,10]" */

/* A shape seen around one axis: [outer, n, inner]. */
typedef struct AxisView {
    int64_t outer, n, inner;
} AxisView;
/* OP_AXIS_NONE is everything as one axis, [1, count, 1]; other axes were checked by the
 * shape rule. */
AxisView axis_view(const Tensor *t, int64_t axis);
AxisView axis_view_spec(const Spec *s, int64_t axis);

/* ---- shape rules ----------------------------------------------------------------- */

/* Output as the first input, which must be a float. */
bool shape_float_like(const Spec *in, int n_in, const OpAttr *a, Spec *out, Err *err);
/* All inputs floats of one shape; output the same. */
bool shape_all_equal(const Spec *in, int n_in, const OpAttr *a, Spec *out, Err *err);
/* Reduction with attributes axis:a=none, keep:b=false. */
bool shape_reduce(const Spec *in, int n_in, const OpAttr *a, Spec *out, Err *err);
/* NumPy's broadcasting of two shapes; dtype untouched. */
bool broadcast_dims(const Spec *a, const Spec *b, Spec *out, Err *err);

/* ---- loops ----------------------------------------------------------------------- */

/* Runs fn(first, count, ctx) over 0..n-1 in pieces of `grain` on the pool. */
typedef void RangeFn(int64_t first, int64_t count, void *ctx);
void for_ranges(int64_t n, int64_t grain, RangeFn *fn, void *ctx);
/* Rows of a length that make a piece of about EW_GRAIN elements, at least 1. */
int64_t rows_grain(int64_t row_length);
enum { EW_GRAIN = 16384 };
bool tensor_is_f64(const Tensor *t);

/* y = factor * sum over the middle of [outer, n, inner], outer*inner values. Fixed
 * blocks, in double above a block. scratch: sum_scratch() bytes. */
void sum_run(bool f64, const void *x, AxisView v, double factor, void *y,
             void *scratch);
size_t sum_scratch(AxisView v);

/* C = op(A) op(B) + beta C through the one BLAS door, packed row-major. */
bool gemm_any(bool f64, bool ta, bool tb, int64_t M, int64_t N, int64_t K,
              const void *A, const void *B, double beta, void *C, Err *err);
/* Copies a strided view into a strided view of the same shape, in parallel when large.
 */
void copy_view(Tensor src, Tensor dst);
void fill_tensor(Tensor *t, double value);
int op_axis_of(const Tensor *t, int64_t axis); /* negative from the end */

/* ---- backward idioms ------------------------------------------------------------- */

/* Sums d down to the shape of `like`: the reverse of broadcasting. */
Val grad_sum_to(Graph *g, Val d, Val like);
/* Spreads the gradient of a reduction (attributes axis, keep) over the shape of `like`.
 */
Val grad_expand(Graph *g, Val d, Val like, const OpAttr *a);
/* d seen as a reduction's result with its axis kept (length 1). */
Val grad_keep(Graph *g, Val d, Val like, const OpAttr *a);
/* An op with one axis attribute in slot 0. */
Val call_axis(Graph *g, const char *op, const Val *in, int n_in, int64_t axis,
              bool keep);
#endif
