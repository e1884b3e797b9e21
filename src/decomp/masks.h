/* masks.h -- Gaussian windows over images that span [-1,1] both ways: fixed ones on a
 * grid, and ones whose centre .9 tanh(.) and width .18 + .47 sigmoid(.) are learnt. A
 * mask is an outer product of a column and a row, so it costs h + w exponentials. */
#ifndef CLEAVE_DECOMP_MASKS_H
#define CLEAVE_DECOMP_MASKS_H
#include "graph/build.h"

/* n coordinates from -1 to 1, new f32 [n]; 0 when there is only one. */
bool mask_coordinates(int64_t n, Tensor *out, Err *err);
/* Raw centres [n,2] (y, x) whose masks sit on the centre of energy of each row of t
 * f32 [n, height*width]. */
void mask_centres(const Tensor *t, const Tensor *ys, const Tensor *xs, float *centre);
/* Masks [n, height*width] of raw centres [n,2] and raw widths [n,1]. */
Val mask_learnt(Graph *g, Val centre, Val width, const Tensor *ys, const Tensor *xs);
/* R masks of width sigma, each with maximum 1, centres on the smallest square grid in
 * [-.75,.75]^2 that has room for them: new f32 [R, height*width]. */
bool mask_grid(int64_t R, double sigma, int64_t height, int64_t width, Tensor *out,
               Err *err);
#endif
