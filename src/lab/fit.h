/* fit.h -- dictionaries through the one trainer: a fit is a job whose loss a decomposition
 * builds. The parameters stay in the fit; an interrupt leaves those of the last whole step. */
#ifndef CLEAVE_LAB_FIT_H
#define CLEAVE_LAB_FIT_H
#include "decomp/fit.h"
#include "lab/train.h"

/* Adam without weight decay on cfg->lr and cfg->schedule for cfg->steps steps (0: none). */
bool fit_dictionary(DictFit *f, const DictCfg *cfg, int64_t n_examples,
                    const TrainHooks *hooks, TrainReport *out, Err *err);
/* The same for any parameters and loss; optimiser "adam", decay as given. */
typedef struct FitJob {
    const char *name;
    TensorSet *params;
    Val (*loss)(void *ctx, Graph *g, Val idx);
    void *ctx;
    int64_t n_examples, batch, steps, seed; /* n_examples 0: no batches */
    double lr, weight_decay;
    const char *schedule;
} FitJob;
bool fit_run(const FitJob *job, const TrainHooks *hooks, TrainReport *out, Err *err);
#endif
