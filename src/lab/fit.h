/* fit.h -- dictionaries through the one trainer: a fit is a job whose loss a
 * decomposition builds. The parameters stay in the fit; an interrupt leaves those of
 * the last whole step. */
#ifndef CLEAVE_LAB_FIT_H
#define CLEAVE_LAB_FIT_H
#include "decomp/family.h"
#include "lab/train.h"

/* Adam without weight decay on cfg->lr and cfg->schedule for cfg->steps steps (0:
 * none). */
bool fit_dictionary(DictFit *f, const DictCfg *cfg, int64_t n_examples,
                    const TrainHooks *hooks, TrainReport *out, Err *err);
/* The same for any parameters and loss; optimiser "adam", decay as given. */
typedef struct FitJob {
    const char *name;
    TensorSet *params, *states; /* states NULL: the loss assigns none */
    Val (*loss)(void *ctx, Graph *g, Val idx);
    void *ctx;
    int64_t n_examples, batch, steps, seed; /* n_examples 0: no batches */
    double lr, weight_decay;
    const char *schedule;
} FitJob;
/* A family's fit with all its boosts, and its dictionary: displayed components first.
 * Steps and seconds of the report are summed over the boosts. */
bool fit_family(const FamilyCfg *cfg, const Interaction *b, const DictData *data,
                const TrainHooks *hooks, Dictionary *dict, TrainReport *out, Err *err);
bool fit_run(const FitJob *job, const TrainHooks *hooks, TrainReport *out, Err *err);
#endif
