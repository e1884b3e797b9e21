/* evaluate.h -- logits of a whole data set, again and again: the plans (one for whole
 * blocks, one for the tail) and the result live as long as the Evaluator. It reads the
 * model's parameters where they are, so it always sees the newest; the data set must
 * outlive it. */
#ifndef CLEAVE_LAB_EVALUATE_H
#define CLEAVE_LAB_EVALUATE_H
#include "data/dataset.h"
#include "graph/plan.h"
#include "model/model.h"

typedef struct Evaluator {
    Plan *block, *tail; /* NULL when there is none */
    Tensor logits;      /* f32 [N,C], of the latest run */
} Evaluator;

bool evaluator_init(Evaluator *e, Model *m, const Dataset *d, Err *err);
void evaluator_done(Evaluator *e);          /* zeroed is fine */
bool evaluator_run(Evaluator *e, Err *err); /* fills e->logits; interruptible */

/* Pixels of the examples idx [B] i32, scaled to 0..1: f32 [B, H*W]; their labels i32
 * [B]. */
Val dataset_pixels(Graph *g, const Dataset *d, Val idx);
Val dataset_labels(Graph *g, const Dataset *d, Val idx);
/* The pixels as training sees them: a share of the examples (0 to 1) with Gaussian
 * noise of that standard deviation on every pixel, not clipped; streams "noise" and
 * "noise_on". */
Val classifier_input(Graph *g, const Dataset *d, Val idx, double noise, double share);
/* ERR_SHAPE unless the model takes this data set's images (and has its classes). */
bool dataset_fits(const Dataset *d, const Model *m, Err *err);
#endif
