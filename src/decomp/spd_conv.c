/* spd_conv.c -- convolutions as layers of stochastic parameter decomposition. A
 * convolution is a linear map of patches, so a position of the result is a row: a =
 * patch V, and masks, importances and counts are per position. That equals a
 * convolution with the columns of V as filters, the masks, and a 1x1 convolution
 * with U. */
#include "decomp/spd.h"
#include "graph/build.h"

static bool conv_sizes(const SpdLayer *l, int64_t *d_in, int64_t *d_out, Err *err)
{
    char is[96];
    const Tensor *w = &l->weight;
    if (w->ndim != 4 || w->dtype != F32 || !tensor_contiguous(w) || l->transposed)
        return err_set(err, ERR_SHAPE,
                       "the kernel of layer '%s' must be f32 [out,in,kh,kw], it is %s",
                       l->name, tensor_format_shape(w, is));
    if (l->stride < 1 || l->pad < 0 || l->dilation < 1)
        return err_set(
            err, ERR_OPTION,
            "layer '%s' needs stride and dilation of at least 1 and pad of at "
            "least 0",
            l->name);
    *d_in = w->dim[1] * w->dim[2] * w->dim[3];
    *d_out = w->dim[0];
    return true;
}

static Val conv_acts(const SpdLayer *l, Graph *g, Val x, Val V)
{
    OpAttr a = {
        .i = {l->weight.dim[2], l->weight.dim[3], l->stride, l->pad, l->dilation}
    };
    Val patches = g_call(g, "unfold2d", &x, 1, &a);
    if (!graph_ok(g))
        return VAL_NONE;
    Spec s = graph_spec(g, patches);
    patches = g_reshape(g, patches, 2, (int64_t[]){s.dim[0] * s.dim[1], s.dim[2]});
    return g_matmul(g, patches, V, false, false);
}

static Val permuted(Graph *g, Val x, const int64_t *order)
{
    OpAttr a = {
        .n_list = 4, .list = {order[0], order[1], order[2], order[3]}
    };
    return g_call(g, "permute", &x, 1, &a);
}

/* [B,O,Ho,Wo] and [B Ho Wo, O] */
static Val conv_to_rows(const SpdLayer *l, Graph *g, Val y)
{
    (void)l;
    if (!graph_ok(g))
        return VAL_NONE;
    Spec s = graph_spec(g, y);
    y = permuted(g, y, (int64_t[]){0, 2, 3, 1});
    return g_reshape(g, y, 2, (int64_t[]){s.dim[0] * s.dim[2] * s.dim[3], s.dim[1]});
}

static Val conv_from_rows(const SpdLayer *l, Graph *g, Val rows, Val like)
{
    (void)l;
    if (!graph_ok(g))
        return VAL_NONE;
    Spec s = graph_spec(g, like);
    int64_t B = graph_spec(g, rows).dim[0] / (s.dim[2] * s.dim[3]);
    rows = g_reshape(g, rows, 4, (int64_t[]){B, s.dim[2], s.dim[3], s.dim[1]});
    return permuted(g, rows, (int64_t[]){0, 3, 1, 2});
}

static Val conv_matrix(const SpdLayer *l, Graph *g, Val weight)
{
    const int64_t *d = l->weight.dim;
    return g_reshape(g, weight, 2, (int64_t[]){d[0], d[1] * d[2] * d[3]});
}

const SpdKindRow spd_conv2d = {.name = "conv2d",
                               .doc = "A convolution; its positions are rows.",
                               .ndim = 4,
                               .sizes = conv_sizes,
                               .acts = conv_acts,
                               .to_rows = conv_to_rows,
                               .from_rows = conv_from_rows,
                               .matrix = conv_matrix,
                               .positions = true};
