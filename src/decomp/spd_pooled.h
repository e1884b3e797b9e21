/* spd_pooled.h -- one number of a component for each example: the largest of its
 * importance (or another view) over the positions of a convolution, and the mean, which
 * is what selectivity is often read from though it cancels signs. A dense layer has one
 * position, so both are the value itself. */
#ifndef CLEAVE_DECOMP_SPD_POOLED_H
#define CLEAVE_DECOMP_SPD_POOLED_H
#include "decomp/spd.h"

/* For inputs x f32 [N,I]: max and mean f32 [N,C]; either may be NULL. Interruptible. */
bool spd_pooled(Spd *s, const Tensor *x, int layer, SpdView v, Tensor *max,
                Tensor *mean, Err *err);
/* The view of a few examples as maps: f32 [N,C,rows,columns] (dense layers: 1 by 1). */
bool spd_maps(Spd *s, const Tensor *x, int layer, SpdView v, Tensor *out, Err *err);
/* V of a layer as tiles, f32 [C, channels, kh, kw] (dense layers: [C,1,1,d_in]), and U
 * as f32 [C, d_out]. Scaled so that the tiles of a component have length 1 together,
 * which leaves V U as it is. */
bool spd_tiles(Spd *s, int layer, Tensor *V, Tensor *U, Err *err);
#endif
