/* ops_sparse.c -- sparse codes [B,M] and the products they take part in, at a cost that
 * goes with the elements that are not 0. Codes stay dense tensors: kernels scan them,
 * which costs one pass. For the selection over a batch a histogram of the leading 12
 * bits of a seventh of it gives a bound that surely leaves enough; one pass lists what
 * is above, and only that is looked at bit by bit. Where too much is not 0 a product
 * falls back to the dense one. */
#include <math.h>
#include <string.h>

#include "graph/build.h"
#include "graph/families.h"
#include "graph/sparse_kern.h"

enum {
    CHUNK = 65536,
    DENSE_SHARE = 6,
    USED_GRAIN = 256,
    SAMPLE = 7,
    ROWS_GRAIN = 64,
    SLACK = 16
};

typedef struct Rows {
    const SparseTable *k;
    size_t size;
    int64_t B, M, O, top;
    int sign, bin;
    const char *f, *w, *b, *x;
    char *y;
    int32_t *bins, *place, *found;
} Rows;

static Rows rows_of(const OpArgs *x, int64_t O)
{
    bool f64 = tensor_is_f64(x->in[0]);
    return (Rows){.k = KERN_PICK(sparse_table, f64),
                  .size = f64 ? 8 : 4,
                  .B = x->in[0]->dim[0],
                  .M = x->in[0]->dim[1],
                  .O = O,
                  .f = x->in[0]->data,
                  .y = x->out[0]->data};
}

static const char *data_of(const OpArgs *x, int k)
{
    return k < x->n_in && x->in[k] ? x->in[k]->data : NULL;
}

static bool need_vector(const Spec *in, int k, int64_t n, Err *err)
{
    char is[96];
    if (in[k].ndim < 0)
        return true;
    if (!need_float(in, k, err))
        return false;
    return (in[k].ndim == 1 && in[k].dim[0] == n) ||
           err_set(err, ERR_SHAPE, "input %d must be [%lld], it is %s", k + 1,
                   (long long)n, spec_format(&in[k], is));
}

/* ---- the largest ----------------------------------------------------------------- */

static void bins_chunk(int64_t first, int64_t count, void *ctx)
{
    const Rows *j = ctx;
    j->k->bins(count, j->f + (size_t)first * j->size, j->sign, SAMPLE,
               j->bins + first / CHUNK * SPARSE_BINS);
}

/* Where a chunk's candidates begin: writers may go SLACK beyond their last. */
static int64_t place_of(int64_t chunk)
{
    return chunk * (CHUNK + SLACK);
}

static void candidates_chunk(int64_t first, int64_t count, void *ctx)
{
    const Rows *j = ctx;
    j->found[first / CHUNK] = (int32_t)j->k->candidates(
        first, count, j->f, j->sign, j->bin, j->y, j->place + place_of(first / CHUNK));
}

static int64_t chunks_of(int64_t n)
{
    return (n + CHUNK - 1) / CHUNK;
}

/* Scratch: histograms and counts of the chunks, candidates, their keys. */
static size_t topk_scratch(const Spec *in, int n_in, const OpAttr *a)
{
    int64_t n = spec_count(&in[0]);
    (void)n_in;
    if (!a->i[1])
        return 0;
    return (size_t)(chunks_of(n) * (SPARSE_BINS + 1 + SLACK) + n) * sizeof(int32_t) +
           64 + (size_t)n * dtype_size(in[0].dtype);
}

/* The bin from which on there are surely enough, going by the sample. */
static int find_bin(const int32_t *bins, int64_t chunks, int64_t top)
{
    double mean = (double)top / SAMPLE, wanted = 1.1 * mean + 6 * sqrt(mean) + 16;
    double seen = 0;
    int at = SPARSE_BINS;
    while (at > 0 && seen < wanted) {
        at--;
        for (int64_t c = 0; c < chunks; c++)
            seen += bins[c * SPARSE_BINS + at];
    }
    return at;
}

static int64_t find_candidates(Rows *j, int64_t n)
{
    int64_t found = 0;
    for_ranges(n, CHUNK, candidates_chunk, j);
    for (int64_t c = 0; c < chunks_of(n); c++) {
        memmove(j->place + found, j->place + place_of(c),
                (size_t)j->found[c] * sizeof *j->place);
        found += j->found[c];
    }
    return found;
}

static void topk_all(Rows *j, void *scratch)
{
    int64_t n = j->B * j->M, chunks = chunks_of(n);
    j->bins = scratch;
    j->found = j->bins + chunks * SPARSE_BINS;
    j->place = j->found + chunks;
    char *key =
        (char *)(((uintptr_t)(j->place + n + chunks * SLACK) + 63) & ~(uintptr_t)63);
    memset(j->bins, 0, (size_t)(chunks * SPARSE_BINS) * sizeof *j->bins);
    for_ranges(n, CHUNK, bins_chunk, j);
    j->bin = find_bin(j->bins, chunks, j->top);
    int64_t found = find_candidates(j, n);
    if (found < j->top && j->bin > 0) { /* an unlucky sample: all of them */
        j->bin = 0;
        found = find_candidates(j, n);
    }
    j->k->pick(found, j->place, j->f, j->sign, j->top, key, j->y);
}

static void topk_rows(int64_t first, int64_t count, void *ctx)
{
    const Rows *j = ctx;
    size_t at = (size_t)(first * j->M) * j->size;
    j->k->topk(count, j->M, j->f + at, j->sign, j->top,
               j->b ? j->b + (size_t)first * j->size : NULL, j->y + at);
}

static bool run_topk(const OpArgs *x, Err *err)
{
    (void)err;
    Rows j = rows_of(x, 0);
    j.top = x->attr->i[0];
    j.sign = x->attr->i[2] != 0;
    j.b = data_of(x, 1);
    if (x->attr->i[1] && j.B * j.M > 0)
        topk_all(&j, x->scratch);
    else if (j.M > 0)
        for_ranges(j.B, rows_grain(4 * j.M), topk_rows, &j);
    return true;
}

static bool shape_topk(const Spec *in, int n_in, const OpAttr *a, Spec *out, Err *err)
{
    *out = in[0];
    if (!need_float(in, 0, err) || !need_ndim(in, 0, 2, err))
        return false;
    if (n_in > 1 && !need_vector(in, 1, in[0].dim[0], err))
        return false;
    int64_t all = a->i[1] ? spec_count(&in[0]) : in[0].dim[1];
    if (all > INT32_MAX)
        return err_set(err, ERR_SHAPE, "at most 2^31-1 elements can be compared");
    return (a->i[0] >= 0 && a->i[0] <= all) ||
           err_set(err, ERR_SHAPE, "n is %lld, there are %lld elements",
                   (long long)a->i[0], (long long)all);
}

static bool grad_topk(Graph *g, OpGrad *d)
{
    d->din[0] = g_binary(g, "sparse_pass", d->dout[0], d->out[0]);
    return graph_ok(g);
}

/* ---- dy where the code is not 0 -------------------------------------------------- */

static void pass_range(int64_t first, int64_t count, void *ctx)
{
    const Rows *j = ctx;
    size_t at = (size_t)first * j->size;
    j->k->pass(count, j->f + at, j->w + at, j->y + at);
}

static bool run_pass(const OpArgs *x, Err *err)
{
    bool f64 = tensor_is_f64(x->in[0]);
    Rows j = {.k = KERN_PICK(sparse_table, f64),
              .size = f64 ? 8 : 4,
              .f = x->in[0]->data,
              .w = x->in[1]->data,
              .y = x->out[0]->data};
    (void)err;
    for_ranges(tensor_count(x->in[0]), EW_GRAIN, pass_range, &j);
    return true;
}

static bool grad_pass(Graph *g, OpGrad *d)
{
    if (d->need[0])
        d->din[0] = g_binary(g, "sparse_pass", d->dout[0], d->in[1]);
    return graph_ok(g);
}

/* ---- columns in use --------------------------------------------------------------- */

static bool shape_used(const Spec *in, int n_in, const OpAttr *a, Spec *out, Err *err)
{
    (void)n_in, (void)a;
    if (!need_float(in, 0, err) || !need_ndim(in, 0, 2, err))
        return false;
    *out = spec_make(in[0].dtype, 1, &in[0].dim[1]);
    return true;
}

static void used_range(int64_t first, int64_t count, void *ctx)
{
    const Rows *j = ctx;
    j->k->marks(j->B, j->M, j->f, first, count, j->y + (size_t)first * j->size);
}

static bool run_used(const OpArgs *x, Err *err)
{
    (void)err;
    Rows j = rows_of(x, 0);
    for_ranges(j.M, USED_GRAIN, used_range, &j);
    return true;
}

/* ---- products -------------------------------------------------------------------- */

static bool product_specs(const Spec *in, int n, Err *err)
{
    for (int k = 0; k < n; k++)
        if (!need_float(in, k, err) || !need_ndim(in, k, 2, err))
            return false;
    return true;
}

static bool mismatch(const Spec *in, const char *must, Err *err)
{
    char a[96], b[96];
    return err_set(err, ERR_SHAPE, "%s, got %s and %s", must, spec_format(&in[0], a),
                   spec_format(&in[1], b));
}

static bool shape_decode(const Spec *in, int n_in, const OpAttr *a, Spec *out, Err *err)
{
    (void)a;
    if (!product_specs(in, 2, err))
        return false;
    if (in[0].dim[1] != in[1].dim[0])
        return mismatch(in, "codes [B,M] need a factor [M,O]", err);
    *out = spec_make(in[0].dtype, 2, (int64_t[]){in[0].dim[0], in[1].dim[1]});
    return n_in < 3 || need_vector(in, 2, in[1].dim[1], err);
}

static void decode_rows(int64_t first, int64_t count, void *ctx)
{
    const Rows *j = ctx;
    j->k->decode(count, j->M, j->O, j->f + (size_t)(first * j->M) * j->size, j->w, j->b,
                 j->y + (size_t)(first * j->O) * j->size);
}

static bool run_decode(const OpArgs *x, Err *err)
{
    (void)err;
    Rows j = rows_of(x, x->in[1]->dim[1]);
    j.w = data_of(x, 1);
    j.b = data_of(x, 2);
    for_ranges(j.B, ROWS_GRAIN, decode_rows, &j);
    return true;
}

static bool grad_decode(Graph *g, OpGrad *d)
{
    Val back[3] = {d->in[0], d->in[1], d->dout[0]}, dw[2] = {d->in[0], d->dout[0]};
    if (d->need[0])
        d->din[0] = g_call(g, "sparse_df", back, 3, NULL);
    if (d->need[1])
        d->din[1] = g_call(g, "sparse_dw", dw, 2, NULL);
    if (d->n_in > 2 && d->in[2] != VAL_NONE && d->need[2])
        d->din[2] = grad_sum_to(g, d->dout[0], d->in[2]);
    return graph_ok(g);
}

static bool shape_df(const Spec *in, int n_in, const OpAttr *a, Spec *out, Err *err)
{
    (void)n_in, (void)a;
    *out = in[0];
    if (!product_specs(in, 3, err))
        return false;
    if (in[0].dim[1] != in[1].dim[0])
        return mismatch(in, "codes [B,M] need a factor [M,O]", err);
    if (in[2].dim[0] != in[0].dim[0] || in[2].dim[1] != in[1].dim[1])
        return mismatch(in, "dy must be as codes times factor", err);
    return true;
}

static void df_rows(int64_t first, int64_t count, void *ctx)
{
    const Rows *j = ctx;
    size_t f = (size_t)(first * j->M) * j->size, y = (size_t)(first * j->O) * j->size;
    j->k->df(count, j->M, j->O, j->f + f, j->w, j->x + y, j->y + f);
}

static bool run_df(const OpArgs *x, Err *err)
{
    (void)err;
    Rows j = rows_of(x, x->in[1]->dim[1]);
    j.w = data_of(x, 1);
    j.x = data_of(x, 2);
    for_ranges(j.B, ROWS_GRAIN, df_rows, &j);
    return true;
}

static bool shape_dw(const Spec *in, int n_in, const OpAttr *a, Spec *out, Err *err)
{
    (void)a;
    if (!product_specs(in, 2, err))
        return false;
    if (in[0].dim[0] != in[1].dim[0])
        return mismatch(in, "both need the same batch", err);
    *out = spec_make(in[0].dtype, 2, (int64_t[]){in[0].dim[1], in[1].dim[1]});
    return n_in < 3 || need_vector(in, 2, in[1].dim[1], err);
}

static void dw_strips(int64_t first, int64_t count, void *ctx)
{
    const Rows *j = ctx;
    for (int64_t s = first; s < first + count; s++) {
        int64_t m = s * SPARSE_STRIP,
                n = j->M - m < SPARSE_STRIP ? j->M - m : SPARSE_STRIP;
        j->k->dw(j->B, j->M, j->O, j->f, j->x, j->b, m, n, j->y);
    }
}

static void minus_rows(int64_t first, int64_t count, void *ctx)
{
    const Rows *j = ctx;
    size_t at = (size_t)(first * j->O) * j->size;
    j->k->minus(count, j->O, j->x + at, j->b, j->y + at);
}

/* y = x - c for rows [B,O]; both borrowed. */
static void subtract(const Rows *like, const void *x, const void *c, void *y)
{
    Rows j = *like;
    j.x = x;
    j.b = c;
    j.y = y;
    for_ranges(j.B, rows_grain(j.O), minus_rows, &j);
}

static size_t dw_scratch(const Spec *in, int n_in, const OpAttr *a)
{
    (void)a;
    bool shifted = n_in > 2 && in[2].ndim >= 0;
    return shifted ? (size_t)spec_count(&in[1]) * dtype_size(in[1].dtype) : 0;
}

static bool run_dw(const OpArgs *x, Err *err)
{
    Rows j = rows_of(x, x->in[1]->dim[1]);
    j.x = data_of(x, 1);
    j.b = data_of(x, 2);
    if (j.k->count(j.B * j.M, j.f) * DENSE_SHARE > j.B * j.M) {
        if (j.b)
            subtract(&j, j.x, j.b, x->scratch);
        return gemm_any(j.size == 8, true, false, j.M, j.O, j.B, j.f,
                        j.b ? x->scratch : j.x, 0, j.y, err);
    }
    for_ranges((j.M + SPARSE_STRIP - 1) / SPARSE_STRIP, 1, dw_strips, &j);
    return true;
}

/* y = f^T (x - c) */
static bool grad_dw(Graph *g, OpGrad *d)
{
    Val x = d->in[1];
    bool shifted = d->n_in > 2 && d->in[2] != VAL_NONE;
    if (shifted)
        x = g_sub(g, x, d->in[2]);
    if (d->need[0])
        d->din[0] = g_matmul(g, x, d->dout[0], false, true);
    if (d->need[1] || (shifted && d->need[2])) {
        Val dx = g_matmul(g, d->in[0], d->dout[0], false, false);
        d->din[1] = dx;
        if (shifted && d->need[2])
            d->din[2] = g_neg(g, grad_sum_to(g, dx, d->in[2]));
    }
    return graph_ok(g);
}

/* ---- the encoder ----------------------------------------------------------------- */

static bool shape_encode(const Spec *in, int n_in, const OpAttr *a, Spec *out, Err *err)
{
    (void)a;
    if (!product_specs(in, 2, err))
        return false;
    if (in[0].dim[1] != in[1].dim[1])
        return mismatch(in, "x [B,D] needs an encoder [M,D]", err);
    *out = spec_make(in[0].dtype, 2, (int64_t[]){in[0].dim[0], in[1].dim[0]});
    return need_vector(in, 2, in[1].dim[0], err) &&
           (n_in < 4 || need_vector(in, 3, in[0].dim[1], err));
}

static size_t encode_scratch(const Spec *in, int n_in, const OpAttr *a)
{
    (void)a;
    bool shifted = n_in > 3 && in[3].ndim >= 0;
    return shifted ? (size_t)spec_count(&in[0]) * dtype_size(in[0].dtype) : 0;
}

static void bias_rows(int64_t first, int64_t count, void *ctx)
{
    const Rows *j = ctx;
    for (int64_t r = first; r < first + count; r++)
        memcpy(j->y + (size_t)(r * j->M) * j->size, j->b, (size_t)j->M * j->size);
}

static bool run_encode(const OpArgs *x, Err *err)
{
    Rows j = rows_of(x, x->in[0]->dim[1]);
    const char *in = data_of(x, 0), *c = data_of(x, 3);
    j.M = x->in[1]->dim[0];
    j.b = data_of(x, 2);
    for_ranges(j.B, rows_grain(j.M), bias_rows, &j);
    if (c)
        subtract(&j, in, c, x->scratch);
    return gemm_any(j.size == 8, false, true, j.B, j.M, j.O, c ? x->scratch : in,
                    data_of(x, 1), 1, j.y, err);
}

/* u = (x - c) w^T + b. dc needs only the sum of du over the batch. */
static bool grad_encode(Graph *g, OpGrad *d)
{
    bool shifted = d->n_in > 3 && d->in[3] != VAL_NONE;
    Val du = d->dout[0], in[3] = {du, d->in[0], shifted ? d->in[3] : VAL_NONE};
    Val sum = g_sum_axis(g, du, 0, true);
    if (d->need[0])
        d->din[0] = g_matmul(g, du, d->in[1], false, false);
    if (d->need[1])
        d->din[1] = g_call(g, "sparse_dw", in, shifted ? 3 : 2, NULL);
    if (d->need[2])
        d->din[2] = grad_sum_to(g, sum, d->in[2]);
    if (shifted && d->need[3])
        d->din[3] = g_neg(
            g, grad_sum_to(g, g_matmul(g, sum, d->in[1], false, false), d->in[3]));
    return graph_ok(g);
}

/* ---- unit rows ------------------------------------------------------------------- */

static void tangent_rows(int64_t first, int64_t count, void *ctx)
{
    const Rows *j = ctx;
    size_t at = (size_t)(first * j->M) * j->size;
    j->k->tangent(count, j->M, j->f + at, j->w + at, j->y + at);
}

static bool run_tangent(const OpArgs *x, Err *err)
{
    (void)err;
    Rows j = rows_of(x, 0);
    j.w = data_of(x, 1);
    for_ranges(j.B, rows_grain(j.M), tangent_rows, &j);
    return true;
}

static bool shape_tangent(const Spec *in, int n_in, const OpAttr *a, Spec *out,
                          Err *err)
{
    return shape_all_equal(in, n_in, a, out, err) && need_ndim(in, 0, 2, err);
}

static void unit_range(int64_t first, int64_t count, void *ctx)
{
    const Rows *j = ctx;
    j->k->unit(count, j->M, j->y + (size_t)(first * j->M) * j->size);
}

static bool run_unit(const OpArgs *x, Err *err)
{
    (void)err;
    bool f64 = tensor_is_f64(x->in[0]);
    Rows j = {.k = KERN_PICK(sparse_table, f64),
              .size = f64 ? 8 : 4,
              .M = x->in[0]->dim[1],
              .y = x->in[0]->data};
    for_ranges(x->in[0]->dim[0], rows_grain(j.M), unit_range, &j);
    return true;
}

static bool shape_unit(const Spec *in, int n_in, const OpAttr *a, Spec *out, Err *err)
{
    (void)n_in, (void)a;
    *out = in[0];
    return need_float(in, 0, err) && need_ndim(in, 0, 2, err);
}

// clang-format off
const OpRow ops_sparse[] = {
    {.name = "sparse_topk",
     .sig = "u, limit?, n:i, batch:b=false, signed:b=false",
     .doc = "The n largest elements above 0 of each row of u [B,M], or of the whole of "
            "it (batch); with signed those largest in size, with their sign. The first "
            "of equal ones; the rest 0, but NaN stays NaN. With limit [B] a row keeps at "
            "most as many as that says, rounded.",
     .formula = "y = u [u among the n largest]",
     .flags = OP_KINKS,
     .shape = shape_topk, .run = run_topk, .grad = grad_topk, .scratch = topk_scratch,
     .test = {.shapes = "3x5,-; 4x40,-; 6x8,-; 6x8,-; 5x0,-; 0x4,-; 40x2000,-; 3x5,-; "
                        "9x20,9",
              .attrs = "n=2; n=7 signed=true; n=9 batch=true; n=20 batch=true "
                       "signed=true; n=0; n=2; n=500 batch=true; n=15 batch=true; n=3",
              .margin = 1e-3}},
    {.name = "sparse_pass",
     .sig = "dy, f",
     .doc = "dy where f is not 0, else 0: the gradient of a selection, f being what it "
            "kept.",
     .formula = "y = dy [f != 0]",
     .flags = OP_KINKS,
     .inplace = 1,
     .shape = shape_all_equal, .run = run_pass, .grad = grad_pass,
     .test = {.shapes = "3x5,3x5; 0x3,0x3; 400x100,400x100", .margin = 1e-3}},
    {.name = "sparse_used",
     .sig = "f",
     .doc = "1 for each column of f [B,M] that has an element that is not 0, else 0.",
     .formula = "y_m = [f_bm != 0 for some b]",
     .flags = OP_NODIFF,
     .shape = shape_used, .run = run_used,
     .test = {.shapes = "3x5; 0x3; 2x0; 4x700"}},
    {.name = "sparse_decode",
     .sig = "f, w, b?",
     .doc = "A code f [B,M], most of which is 0, times w [M,O] plus b [O]. By "
            "definition f has a gradient only where it is not 0, which is all that "
            "the selection before it passes on.",
     .formula = "y = f w + b",
     .flags = OP_OWN_RULE,
     .shape = shape_decode, .run = run_decode, .grad = grad_decode,
     .test = {.shapes = "3x5,5x4,4; 3x40,40x37,-; 0x3,3x2,2; 2x0,0x3,3; 1x700,700x200,200"}},
    {.name = "sparse_df",
     .sig = "f, w, dy",
     .doc = "The gradient of the code in sparse_decode: dy [B,O] times w [M,O] "
            "transposed where f [B,M] is not 0, else 0.",
     .formula = "df = (dy w^T) [f != 0]",
     .flags = OP_NODIFF,
     .shape = shape_df, .run = run_df,
     .test = {.shapes = "3x5,5x4,3x4; 3x40,40x37,3x37; 0x3,3x2,0x2; 2x0,0x3,2x3"}},
    {.name = "sparse_dw",
     .sig = "f, x, c?",
     .doc = "f [B,M] transposed times x [B,O] minus c [O], by the elements of f that "
            "are not 0; by a dense product where more than a sixth are not.",
     .formula = "y = f^T (x - c)",
     .shape = shape_dw, .run = run_dw, .grad = grad_dw, .scratch = dw_scratch,
     .test = {.shapes = "3x5,3x4,4; 9x33,9x37,-; 0x3,0x2,2; 2x0,2x3,-"}},
    {.name = "sparse_linear",
     .sig = "x, w, b, c?",
     .doc = "An encoder: x [B,D] minus c [D] times w [M,D] transposed plus b [M]. As "
            "linear; its weight gradient costs what the gradient's elements that are "
            "not 0 cost.",
     .formula = "y = (x - c) w^T + b",
     .shape = shape_encode, .run = run_encode, .grad = grad_encode,
     .scratch = encode_scratch,
     .test = {.shapes = "3x5,4x5,4,5; 3x37,20x37,20,-; 0x3,2x3,2,3; 2x3,0x3,0,3"}},
    {.name = "tangent_rows",
     .sig = "g, w",
     .doc = "Each row of g without its part along the same row of w, both [N,D]: what a "
            "step may change where rows keep their length.",
     .formula = "y = g - (g.w / w.w) w",
     .flags = OP_NODIFF,
     .inplace = 1,
     .shape = shape_tangent, .run = run_tangent,
     .test = {.shapes = "3x5,3x5; 2x100,2x100; 0x3,0x3; 2x0,2x0"}},
    {.name = "unit_rows",
     .sig = "w",
     .doc = "Makes the rows of the state w [N,D] length 1 in place; rows of zeros stay.",
     .formula = "w := w / |w|",
     .flags = OP_EFFECT | OP_NODIFF,
     .inplace = 1,
     .shape = shape_unit, .run = run_unit,
     .test = {.shapes = "3x5; 2x100; 0x3; 2x0"}},
};
// clang-format on
const int ops_sparse_count = ARRAY_LEN(ops_sparse);
