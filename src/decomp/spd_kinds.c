/* spd_kinds.c -- layers that are plain matrices, and the table of kinds. A kind says how
 * a layer's input becomes component activations and its output rows; everything else
 * sees rows only. */
#include <string.h>

#include "decomp/spd.h"
#include "graph/build.h"

static bool linear_sizes(const SpdLayer *l, int64_t *d_in, int64_t *d_out, Err *err)
{
    char is[96];
    if (l->weight.ndim != 2 || l->weight.dtype != F32 || !tensor_contiguous(&l->weight))
        return err_set(err, ERR_SHAPE,
                       "the weight of layer '%s' must be f32 [out,in], it is %s",
                       l->name, tensor_format_shape(&l->weight, is));
    *d_out = l->weight.dim[l->transposed ? 1 : 0];
    *d_in = l->weight.dim[l->transposed ? 0 : 1];
    return true;
}

static Val linear_acts(const SpdLayer *l, Graph *g, Val x, Val V)
{
    (void)l;
    return g_product(g, x, V, false);
}

static Val linear_to_rows(const SpdLayer *l, Graph *g, Val y)
{
    (void)l, (void)g;
    return y;
}

static Val linear_from_rows(const SpdLayer *l, Graph *g, Val rows, Val like)
{
    (void)l, (void)g, (void)like;
    return rows;
}

static Val linear_matrix(const SpdLayer *l, Graph *g, Val weight)
{
    return l->transposed ? g_transpose(g, weight) : weight;
}

const SpdKindRow spd_linear = {.name = "linear",
                               .doc = "A matrix on vectors.",
                               .ndim = 2,
                               .sizes = linear_sizes,
                               .acts = linear_acts,
                               .to_rows = linear_to_rows,
                               .from_rows = linear_from_rows,
                               .matrix = linear_matrix};

static const SpdKindRow *const kinds[] = {&spd_linear, &spd_conv2d};

const SpdKindRow *spd_kind_for(const Tensor *weight)
{
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
        if (kinds[i]->ndim == weight->ndim)
            return kinds[i];
    return NULL;
}
