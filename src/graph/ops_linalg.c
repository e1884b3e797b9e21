/* ops_linalg.c -- products. All of them end in the GEMM of tensor/blas.h, which cuts by
 * shape. A batched product is a loop of GEMMs. Stored transposes are GEMM flags, never
 * copies. */
#include <string.h>

#include "graph/build.h"
#include "graph/families.h"
#include "graph/thin.h"
#include "tensor/blas.h"

bool gemm_any(bool f64, bool ta, bool tb, int64_t M, int64_t N, int64_t K,
              const void *A, const void *B, double beta, void *C, Err *err)
{
    int64_t lda = ta ? M : K, ldb = tb ? K : N;
    lda = lda > 0 ? lda : 1;
    ldb = ldb > 0 ? ldb : 1;
    int64_t ldc = N > 0 ? N : 1;
    if (M * N > 0 && K > 0 && (M == 1 || N == 1)) {
        /* One side is a vector: C or C^T is matrix times vector. */
        bool trans = N == 1 ? ta : !tb;
        int64_t outputs = N == 1 ? M : N, ld = N == 1 ? lda : ldb;
        const void *mat = N == 1 ? A : B, *vec = N == 1 ? B : A;
        if (!blas_ready(err))
            return false;
        int64_t rows = trans ? K : outputs, cols = trans ? outputs : K;
        if (f64)
            blas_gemv_f64(trans, rows, cols, 1.0, mat, ld, vec, beta, C);
        else
            blas_gemv_f32(trans, rows, cols, 1.0f, mat, ld, vec, (float)beta, C);
        return true;
    }
    if (f64)
        return blas_gemm_f64(ta, tb, M, N, K, 1.0, A, lda, B, ldb, beta, C, ldc, err);
    return blas_gemm_f32(ta, tb, M, N, K, 1.0f, A, lda, B, ldb, (float)beta, C, ldc,
                         err);
}

/* ---- linear ---------------------------------------------------------------------- */

static bool shape_linear(const Spec *in, int n_in, const OpAttr *a, Spec *out, Err *err)
{
    (void)a;
    char sx[96], sw[96];
    if (!need_float(in, 0, err) || !need_float(in, 1, err) || !need_ndim(in, 1, 2, err))
        return false;
    if (in[0].ndim < 1 || in[0].dim[in[0].ndim - 1] != in[1].dim[1])
        return err_set(
            err, ERR_SHAPE, "x %s and w %s: the last dimension of x must be %lld",
            spec_format(&in[0], sx), spec_format(&in[1], sw), (long long)in[1].dim[1]);
    *out = in[0];
    out->dim[out->ndim - 1] = in[1].dim[0];
    if (n_in > 2 && in[2].ndim >= 0 &&
        (in[2].ndim != 1 || in[2].dim[0] != in[1].dim[0]))
        return err_set(err, ERR_SHAPE, "b must be [%lld], it is %s",
                       (long long)in[1].dim[0], spec_format(&in[2], sx));
    return true;
}

static double flops_linear(const Spec *in, int n_in, const OpAttr *a)
{
    (void)n_in, (void)a;
    return 2.0 * (double)spec_count(&in[0]) * (double)in[1].dim[0];
}

typedef struct BiasJob {
    const char *b;
    char *y;
    size_t row;
} BiasJob;

static void bias_rows(int64_t first, int64_t count, void *ctx)
{
    const BiasJob *j = ctx;
    for (int64_t r = first; r < first + count; r++)
        memcpy(j->y + (size_t)r * j->row, j->b, j->row);
}

static bool run_linear(const OpArgs *x, Err *err)
{
    const Tensor *w = x->in[1], *b = x->n_in > 2 ? x->in[2] : NULL;
    int64_t out = w->dim[0], in = w->dim[1], rows = 1;
    for (int k = 0; k + 1 < x->in[0]->ndim; k++)
        rows *= x->in[0]->dim[k];
    if (rows * out == 0)
        return true;
    if (thin_linear_fits(rows, w)) {
        thin_linear(rows, x->in[0], w, b, x->out[0]);
        return true;
    }
    if (b) {
        BiasJob j = {b->data, x->out[0]->data, (size_t)out * dtype_size(b->dtype)};
        for_ranges(rows, rows_grain(out), bias_rows, &j);
    }
    return gemm_any(tensor_is_f64(w), false, true, rows, out, in, x->in[0]->data,
                    w->data, b ? 1.0 : 0.0, x->out[0]->data, err);
}

/* x as a matrix of its rows. */
static Val as_matrix(Graph *g, Val x)
{
    Spec s = graph_spec(g, x);
    int64_t dim[2] = {1, s.ndim > 0 ? s.dim[s.ndim - 1] : 1};
    for (int k = 0; k + 1 < s.ndim; k++)
        dim[0] *= s.dim[k];
    return s.ndim == 2 ? x : g_reshape(g, x, 2, dim);
}

static bool grad_linear(Graph *g, OpGrad *d)
{
    Val x = as_matrix(g, d->in[0]), dy = as_matrix(g, d->dout[0]);
    if (d->need[0]) {
        Spec s = graph_spec(g, d->in[0]);
        Val dx = g_matmul(g, dy, d->in[1], false, false);
        d->din[0] = s.ndim == 2 ? dx : g_reshape(g, dx, s.ndim, s.dim);
    }
    if (d->need[1])
        d->din[1] = g_binary(g, "linear_dw", dy, x);
    if (d->n_in > 2 && d->need[2])
        d->din[2] = g_sum_axis(g, dy, 0, false);
    return graph_ok(g);
}

/* ---- matmul ---------------------------------------------------------------------- */

typedef struct MatDims {
    int64_t batch, M, N, K;
} MatDims;

/* Both 2-D, or both 3-D with one batch size; ta, tb: slots 0 and 1. */
static bool mat_dims(const Spec *in, const OpAttr *a, MatDims *m, Err *err)
{
    char sa[96], sb[96];
    const Spec *p = &in[0], *q = &in[1];
    bool fits = p->ndim == q->ndim && (p->ndim == 2 || p->ndim == 3);
    if (fits) {
        const int64_t *u = p->dim + p->ndim - 2, *v = q->dim + q->ndim - 2;
        *m = (MatDims){p->ndim == 3 ? p->dim[0] : 1, u[a->i[0] ? 1 : 0],
                       v[a->i[1] ? 0 : 1], u[a->i[0] ? 0 : 1]};
        fits = m->K == v[a->i[1] ? 1 : 0] && (p->ndim == 2 || p->dim[0] == q->dim[0]);
    }
    if (fits)
        return true;
    return err_set(
        err, ERR_SHAPE,
        "%s%s times %s%s: inner dimensions must agree (both 2-D, or both 3-D with "
        "one batch size)",
        spec_format(p, sa), a->i[0] ? " transposed" : "", spec_format(q, sb),
        a->i[1] ? " transposed" : "");
}

static bool shape_matmul(const Spec *in, int n_in, const OpAttr *a, Spec *out, Err *err)
{
    (void)n_in;
    MatDims m;
    if (!need_float(in, 0, err) || !need_float(in, 1, err) || !mat_dims(in, a, &m, err))
        return false;
    *out = in[0];
    out->dim[out->ndim - 2] = m.M;
    out->dim[out->ndim - 1] = m.N;
    return true;
}

static bool run_matmul(const OpArgs *x, Err *err)
{
    Spec in[2] = {spec_of(x->in[0]), spec_of(x->in[1])};
    MatDims m;
    if (!mat_dims(in, x->attr, &m, err))
        return false;
    size_t size = dtype_size(x->in[0]->dtype);
    const char *A = x->in[0]->data, *B = x->in[1]->data;
    char *C = x->out[0]->data;
    for (int64_t b = 0; b < m.batch && m.M * m.N > 0; b++)
        if (!gemm_any(size == 8, x->attr->i[0], x->attr->i[1], m.M, m.N, m.K,
                      A + (size_t)(b * m.M * m.K) * size,
                      B + (size_t)(b * m.K * m.N) * size, 0.0,
                      C + (size_t)(b * m.M * m.N) * size, err))
            return false;
    return true;
}

static double flops_matmul(const Spec *in, int n_in, const OpAttr *a)
{
    (void)n_in;
    MatDims m;
    if (!mat_dims(in, a, &m, NULL))
        return 0;
    return 2.0 * (double)m.batch * (double)m.M * (double)m.N * (double)m.K;
}

/* C = op(A) op(B): each gradient is one product with flags, no transposed copy. */
static bool grad_matmul(Graph *g, OpGrad *d)
{
    bool ta = d->attr->i[0], tb = d->attr->i[1];
    Val a = d->in[0], b = d->in[1], dy = d->dout[0];
    if (d->need[0])
        d->din[0] = ta ? g_matmul(g, b, dy, tb, true) : g_matmul(g, dy, b, false, !tb);
    if (d->need[1])
        d->din[1] = tb ? g_matmul(g, dy, a, true, ta) : g_matmul(g, a, dy, !ta, false);
    return graph_ok(g);
}

/* ---- outer, dot ------------------------------------------------------------------ */

static bool shape_outer(const Spec *in, int n_in, const OpAttr *a, Spec *out, Err *err)
{
    (void)n_in, (void)a;
    int64_t dim[2] = {in[0].dim[0], in[1].dim[0]};
    *out = spec_make(in[0].dtype, 2, dim);
    return need_float(in, 0, err) && need_float(in, 1, err) &&
           need_ndim(in, 0, 1, err) && need_ndim(in, 1, 1, err);
}

static bool run_outer(const OpArgs *x, Err *err)
{
    int64_t m = x->in[0]->dim[0], n = x->in[1]->dim[0];
    if (m * n == 0)
        return true;
    return gemm_any(tensor_is_f64(x->in[0]), false, false, m, n, 1, x->in[0]->data,
                    x->in[1]->data, 0.0, x->out[0]->data, err);
}

static bool grad_outer(Graph *g, OpGrad *d)
{
    if (d->need[0])
        d->din[0] = g_einsum(g, "ij,j->i", d->dout[0], d->in[1]);
    if (d->need[1])
        d->din[1] = g_einsum(g, "ij,i->j", d->dout[0], d->in[0]);
    return graph_ok(g);
}

static bool shape_dot(const Spec *in, int n_in, const OpAttr *a, Spec *out, Err *err)
{
    Spec like;
    if (!shape_all_equal(in, n_in, a, &like, err))
        return false;
    *out = spec_make(in[0].dtype, 0, NULL);
    return true;
}

static bool run_dot(const OpArgs *x, Err *err)
{
    int64_t n = tensor_count(x->in[0]);
    if (!blas_ready(err))
        return false;
    if (tensor_is_f64(x->in[0]))
        *(double *)x->out[0]->data =
            n ? blas_dot_f64(n, x->in[0]->data, x->in[1]->data) : 0.0;
    else
        *(float *)x->out[0]->data =
            n ? (float)blas_dot_f32(n, x->in[0]->data, x->in[1]->data) : 0.0f;
    return true;
}

static bool grad_dot(Graph *g, OpGrad *d)
{
    if (d->need[0])
        d->din[0] = g_mul(g, d->in[1], d->dout[0]);
    if (d->need[1])
        d->din[1] = g_mul(g, d->in[0], d->dout[0]);
    return graph_ok(g);
}

static double flops_dot(const Spec *in, int n_in, const OpAttr *a)
{
    (void)n_in, (void)a;
    return 2.0 * (double)spec_count(&in[0]);
}

/* ---- rows ------------------------------------------------------------------------ */

const OpRow ops_linalg[] = {
    {.name = "linear",
     .sig = "x, w, b?",
     .doc = "A linear layer: x [..., I] by weights w [O, I], plus the bias b [O] if "
            "given; the "
            "result is [..., O].",
     .formula = "y = x w^T + b",
     .shape = shape_linear,
     .run = run_linear,
     .grad = grad_linear,
     .flops = flops_linear,
     .test = {.shapes = "4x5,3x5,3; 4x5,3x5; 2x3x4,5x4,5; 5,3x5; 0x5,3x5,3; 4x0,3x0,3; "
                        "70x33,20x33,20"}},
    {.name = "matmul",
     .sig = "a, b, ta:b=false, tb:b=false",
     .doc = "The matrix product, each factor transposed if asked. 2-D by 2-D, or 3-D "
            "by 3-D "
            "for a batch of products.",
     .formula = "y_ij = sum_k a_ik b_kj",
     .shape = shape_matmul,
     .run = run_matmul,
     .grad = grad_matmul,
     .flops = flops_matmul,
     .test = {.shapes = "3x4,4x5; 4x3,4x5; 3x4,5x4; 4x3,5x4; 2x3x4,2x4x5; 2x4x3,2x5x4; "
                        "0x4,4x5; 3x0,0x5; 40x50,50x60; 1x1,1x1",
              .attrs =
                  "; ta=true; tb=true; ta=true tb=true; ; ta=true tb=true; ; ; ;"}},
    {.name = "outer",
     .sig = "a, b",
     .doc = "The outer product of two vectors.",
     .formula = "y_ij = a_i b_j",
     .shape = shape_outer,
     .run = run_outer,
     .grad = grad_outer,
     .test = {.shapes = "3,4; 1,1; 0,3"}},
    {.name = "dot",
     .sig = "a, b",
     .doc = "The sum of products of two tensors of one shape, a scalar.",
     .formula = "y = sum_i a_i b_i",
     .shape = shape_dot,
     .run = run_dot,
     .grad = grad_dot,
     .flops = flops_dot,
     .test = {.shapes = "5,5; 3x4,3x4; 0,0; ,; 9000,9000"}},
};
const int ops_linalg_count = ARRAY_LEN(ops_linalg);
