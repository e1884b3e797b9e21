/* corrupt.h -- a data set made worse in a controlled way: images moved by whole pixels,
 * Gaussian noise, a square blanked. What a classifier keeps of its accuracy on it is its
 * robustness; as the result is a data set, everything that takes one can be asked. */
#ifndef CLEAVE_DATA_CORRUPT_H
#define CLEAVE_DATA_CORRUPT_H
#include "base/option.h"
#include "data/dataset.h"

typedef struct CorruptCfg {
    int64_t shift, blank, seed;
    double noise;
} CorruptCfg;
extern const OptRow corrupt_options[];
extern const size_t corrupt_n_options;

/* New images, the same labels (shared). In this order: each image is moved by its own
 * whole numbers of pixels in -shift..shift (what comes in is 0), a square of `blank`
 * pixels at a place of its own is set to 0, noise of that standard deviation (pixels are
 * 0 to 1) is added; then values are cut to 0..1 and rounded to 1/255. A function of
 * (data, cfg) alone. ERR_OPTION: a square larger than the images. */
bool dataset_corrupt(const Dataset *d, const CorruptCfg *cfg, Dataset *out, Err *err);
#endif
