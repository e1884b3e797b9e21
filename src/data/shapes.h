/* shapes.h -- coloured shapes on black, each with three attributes that are drawn
 * apart: shape (circle, square, triangle), colour (red, green, blue) and size
 * (small, medium, large; or small, large), at a jittered place. Images are RGB
 * planes, labels the three heads. Whatever is learnt of one attribute can so be told
 * from what is learnt of combinations. */
#ifndef CLEAVE_DATA_SHAPES_H
#define CLEAVE_DATA_SHAPES_H
#include "base/option.h"
#include "data/dataset.h"

typedef struct ShapesCfg {
    int64_t train, test; /* examples */
    int64_t side;        /* of an image; the rest is in proportion to 32 */
    int64_t sizes;       /* 3 or 2 */
    double noise;        /* std of Gaussian noise on every value, clipped to 0..1 */
    int64_t seed;
} ShapesCfg;
extern const OptRow shapes_options[];
extern const size_t shapes_n_options;

bool dataset_shapes(const ShapesCfg *cfg, Dataset *train, Dataset *test, Err *err);
/* "circle" ...: the name of a value of head 0 shape, 1 colour, 2 size. */
const char *shapes_value(int head, int value, int sizes);
#endif
