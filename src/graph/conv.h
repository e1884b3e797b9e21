/* conv.h -- the geometry of 2-D convolutions and pools: NCHW images, kernels [out,
 * in, kh, kw], one group, numeric zero padding, any stride and dilation, each with
 * its own value down and across. Attributes stride, pad, dilation hold for both
 * unless stride_w, pad_w, dilation_w are given. A result has floor((h + 2 pad -
 * dilation (kh-1) - 1) / stride) + 1 rows. */
#ifndef CLEAVE_GRAPH_CONV_H
#define CLEAVE_GRAPH_CONV_H
#include "graph/op.h"

enum { CONV_MAX = 4096 }; /* of a stride, pad, dilation or kernel side */

/* Index 0 is down (rows), 1 is across (columns). */
typedef struct ConvGeo {
    int64_t images, in, out;  /* images of a batch, channels */
    int64_t x[2], k[2], y[2]; /* sides of image, kernel and result */
    int64_t stride[2], pad[2], dilation[2];
} ConvGeo;

/* Stride, pad and dilation from attributes first..first+5 in the order stride, pad,
 * dilation, stride_w, pad_w, dilation_w; -1 stands for "as down". false with a sentence
 * when one is out of its range. */
bool conv_steps(ConvGeo *g, const int64_t *attr, Err *err);
/* Sides of the result from those of image and kernel; false when there is none. */
bool conv_result(ConvGeo *g, Err *err);
#endif
