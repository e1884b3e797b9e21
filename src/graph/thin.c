/* thin.c -- cuts and dispatch; the loops are in thin_kern.c. Two pieces keep to the
 * same cores from step to step while a weight fits in their caches; a large one comes
 * from memory anyway and is cut finer, so that more cores than two have work. */
#include "graph/thin.h"

#include "graph/thin_kern.h"
#include "tensor/pool.h"

enum { PIECE_MIN = 8192, LARGE = 1 << 20, PIECES = 2, PIECES_LARGE = 16 };

int weight_pieces(int64_t n)
{
    if (n < 2 * PIECE_MIN)
        return 1;
    return n < LARGE ? PIECES : PIECES_LARGE;
}

int64_t weight_cut(int64_t count, int piece, int pieces, int64_t unit)
{
    int64_t at = (count * piece / pieces + unit - 1) / unit * unit;
    return piece == pieces || at > count ? count : at;
}

bool thin_linear_fits(int64_t rows, const Tensor *w)
{
    return rows <= THIN_MAX_BATCH && w->dtype == F32 && isa_level() >= ISA_AVX2;
}

typedef struct ThinJob {
    const ThinTable *k;
    int64_t rows, O, I;
    const void *x, *w, *b;
    void *y;
    int pieces;
} ThinJob;

static void thin_piece(int piece, void *ctx)
{
    const ThinJob *j = ctx;
    int64_t first = weight_cut(j->O, piece, j->pieces, 1);
    int64_t end = weight_cut(j->O, piece + 1, j->pieces, 1);
    j->k->linear(j->rows, j->O, j->I, j->x, j->w, j->b, j->y, first, end - first);
}

void thin_linear(int64_t rows, const Tensor *x, const Tensor *w, const Tensor *b,
                 Tensor *y)
{
    ThinJob j = {.k = KERN_PICK(thin_table, w->dtype == F64),
                 .rows = rows,
                 .O = w->dim[0],
                 .I = w->dim[1],
                 .x = x->data,
                 .w = w->data,
                 .b = b ? b->data : NULL,
                 .y = y->data};
    j.pieces = weight_pieces(j.O * j.I);
    if (j.pieces > j.O)
        j.pieces = (int)j.O;
    if (rows > 0 && j.O > 0)
        pool_run(j.pieces, thin_piece, &j);
}
