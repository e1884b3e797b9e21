/* spd_eval.h -- what a decomposition is worth: evaluation losses, L0, densities, and
 * three counts of alive components, on fresh batches without gradients. A layer's
 * population is its own P rows; convolutions are counted by position and by image. */
#ifndef CLEAVE_DECOMP_SPD_EVAL_H
#define CLEAVE_DECOMP_SPD_EVAL_H
#include "decomp/spd.h"

enum { SPD_BINS = 100 };
typedef struct SpdLayerEval {
    double l0, l0_image;              /* mean count of g > tau: a position, an image */
    double faithfulness, relative;    /* mean D^2, |D| / |W| */
    int64_t ever, dense, normed;      /* alive: fired at all; density > 0.1 %; norm */
    double *density, *density_image;  /* [C] */
    double *mean_ci, *mean_ci_image;  /* [C]; image: of the largest over positions */
    double *norm;                     /* [C] |V[:,c]| |U[c,:]| */
    int64_t hist_ci[SPD_BINS];        /* of g in [0,1] */
    int64_t hist_ci_image[SPD_BINS];
    int64_t hist_pre[SPD_BINS + 2];   /* of z in [-2,3], then under, over */
    double agreement; /* argmax as the target's with this layer alone masked */
} SpdLayerEval;
typedef struct SpdEval {
    int64_t batches, examples;
    double loss[24];    /* by spd_loss_rows; NaN: not asked for */
    double recon_by[SPD_MASK_COUNT]; /* divergence of outputs under each kind of mask */
    double accuracy[SPD_MASK_COUNT]; /* NaN without labels */
    double ce[SPD_MASK_COUNT];
    double faithfulness, relative;
    int n_layers;
    SpdLayerEval layer[SPD_MAX_LAYERS];
} SpdEval;
/* batches of cfg's size drawn from streams that training does not use. */
bool spd_evaluate(Spd *s, int64_t batches, uint64_t draw, SpdEval *out, Err *err);
void spd_eval_done(SpdEval *e);
#endif
