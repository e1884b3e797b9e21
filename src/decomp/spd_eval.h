/* spd_eval.h -- what a decomposition is worth: evaluation losses, L0, densities, and
 * three counts of alive components, on fresh batches without gradients. A layer's
 * population is its own P rows; convolutions are counted by position and by image. */
#ifndef CLEAVE_DECOMP_SPD_EVAL_H
#define CLEAVE_DECOMP_SPD_EVAL_H
#include "decomp/spd.h"

enum { SPD_BINS = 100, SPD_EVAL_LOSSES = 24 };
typedef struct SpdEvalCfg {
    int64_t batches; /* of cfg's size */
    uint64_t draw;   /* another number: other batches and masks */
    bool full;       /* losses and outputs under each kind of mask, too */
    bool adversary;  /* with `full`: also the adversarial losses, by 20 shared steps */
} SpdEvalCfg;

typedef struct SpdLayerEval {
    int64_t C, positions;            /* positions of an example */
    double l0, l0_image;             /* mean count of g > tau: a position, an image */
    double faithfulness, relative;   /* mean D^2, |D| / |W| */
    int64_t ever, dense, normed;     /* alive: fired; density > 0.1 %; norm > 0.017 */
    double *density, *density_image; /* [C] */
    double *mean_ci, *mean_ci_image; /* [C]; image: of the largest over positions */
    double *norm;                    /* [C] |V[:,c]|_1 |U[c,:]|_2 */
    int64_t hist_ci[SPD_BINS];       /* of g in [0,1] */
    int64_t hist_ci_image[SPD_BINS];
    int64_t hist_pre[SPD_BINS + 2]; /* of z in [-2,3], then under, over */
    double left; /* |D x| / |W x| over the batches: what inputs do not reach is not seen */
    /* Share of answers that are the target's with this layer alone masked: of examples
     * on which all heads are, and of each head. */
    double agreement, agreement_head[SPD_HEADS];
} SpdLayerEval;
typedef struct SpdEval {
    int64_t batches, examples;
    double loss[SPD_EVAL_LOSSES];    /* by spd_loss_name(); NaN: not computed */
    double recon[SPD_MASK_COUNT];    /* divergence of outputs under each kind of mask */
    double accuracy[SPD_MASK_COUNT]; /* all heads right; NaN without labels */
    double accuracy_head[SPD_MASK_COUNT][SPD_HEADS];
    double ce[SPD_MASK_COUNT]; /* cross-entropy with the labels, nats; sum over heads */
    int n_heads;               /* at least 1 */
    double faithfulness, relative; /* over all layers */
    int n_layers;
    SpdLayerEval layer[SPD_MAX_LAYERS];
    void *memory; /* of the arrays */
} SpdEval;
/* Interruptible. */
bool spd_evaluate(Spd *s, const SpdEvalCfg *cfg, SpdEval *out, Err *err);
void spd_eval_done(SpdEval *e); /* zeroed is fine */
int spd_loss_count(void);
const char *spd_loss_name(int i);
const char *spd_loss_doc(int i);
#endif
