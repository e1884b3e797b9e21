/* thin.h -- work on one weight matrix with a small batch: how its rows are shared out,
 * and the forward product. The same cut everywhere, so that a core finds the rows that
 * it updated last step in its own cache. */
#ifndef CLEAVE_GRAPH_THIN_H
#define CLEAVE_GRAPH_THIN_H
#include "tensor/tensor.h"

/* Pieces for a weight of n elements, and where piece k of them begins among `count`
 * rows (or elements) at a multiple of `unit`. Functions of the shape alone. */
int weight_pieces(int64_t n);
int64_t weight_cut(int64_t count, int piece, int pieces, int64_t unit);

/* Whether the own product is the faster one; a function of shape, dtype and instruction
 * set. */
bool thin_linear_fits(int64_t rows, const Tensor *w);
/* y [rows,O] = x [rows,I] w [O,I]^T + b [O]; b may be NULL. */
void thin_linear(int64_t rows, const Tensor *x, const Tensor *w, const Tensor *b,
                 Tensor *y);
#endif
