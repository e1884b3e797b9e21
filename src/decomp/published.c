/* published.c -- the runs of the published study, as settings of families. Weights of
 * priors are ours where the study's own are on another scale; what the runs reached is
 * theirs. Gini and locality were measured on the unbalanced display. */
#include <math.h>

#include "decomp/family.h"

#define NONE ((double)NAN)
// clang-format off
const PublishedRow published_rows[] = {
    /* similarity, main, accuracy, gini, locality, selectivity, limit */
    {"sparse baseline", "cp",
     "components=32 sparsity=0.01",
     .8589, .8589, .949, .440, .264, .106, NONE},
    {"evidence split", "split",
     "components=32 sparsity=0.01 variation=0.01",
     .8770, .8770, .955, .440, .255, .121, NONE},
    {"soft-symmetric", "cp",
     "components=64 sparsity=0.005 variation=0.005 symmetry=0.002",
     .9497, .9497, .971, .441, .241, .097, NONE},
    {"symmetric", "sym",
     "components=64 sparsity=0.005 variation=0.005 distill=0.02 steps=300",
     .8848, NONE, .968, .224, .139, .104, NONE},
    {"non-negative", "nonnegative",
     "components=80",
     .002, NONE, .077, NONE, NONE, NONE, NONE},
    {"masked top-1", "visual",
     "components=64 sigma=0.34 top=1 smooth=2 sparsity=0.03",
     .6546, .6546, .952, .697, .508, 1, .888},
    {"stroke templates", "strokes",
     "components=72 sparsity=0.05",
     .8424, .8424, .963, .470, .293, 1, .908},
    {"strokes + masks + residual", "masked_strokes",
     "components=64 residual=8 penalty=0.04 sparsity=0.1",
     .8757, .6668, .968, .500, .324, 1, .888},
    {"residual 48", "masked_strokes",
     "components=64 residual=48 penalty=0.04 sparsity=0.1",
     .9553, .2865, .972, .553, .338, 1, NONE},
    {"boosted", "masked_strokes",
     "components=64 boost=2 sparsity=0.1",
     .8466, .8466, .968, .513, .326, 1, .973},
    {"residual annealing", "masked_strokes",
     "components=64 residual=48 penalty=0.004 penalty_end=0.042 sparsity=0.1",
     .9495, .2615, .968, .597, .392, 1, NONE},
    {"two banks", "two_banks",
     "components=128 sparsity=0.05",
     .8889, .8889, .967, .531, .354, 1, .973},
    {"activation consistency", "masked_strokes",
     "components=64 residual=16 penalty=0.04 consistency=0.08 examples=4096 "
     "sparsity=0.1",
     .8647, .5036, .964, .567, .350, 1, NONE},
    {"data-derived anchors", "data_anchors",
     "components=64 residual=16 penalty=0.04 sparsity=0.1",
     .8833, .5067, .964, .540, .344, 1, NONE},
};
// clang-format on
const size_t published_n_rows = ARRAY_LEN(published_rows);
