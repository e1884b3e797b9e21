/* super_fit.h -- networks on sparse features through the one trainer. Examples are drawn
 * inside the step, so resuming needs no more than the step's number. */
#ifndef CLEAVE_LAB_SUPER_FIT_H
#define CLEAVE_LAB_SUPER_FIT_H
#include "decomp/superpose.h"
#include "lab/train.h"

/* Adam for cfg->steps steps (0: none). */
bool fit_super(Super *s, const TrainHooks *hooks, TrainReport *out, Err *err);
/* The job and settings of that fit, for checkpoints and tests. */
bool super_job(Super *s, TrainJob *job, TrainCfg *cfg, Err *err);
#endif
