/* sae_many.h -- several autoencoders on one stream of activations, in one pass: every
 * batch is gathered and normalised once and seen by all, so comparisons are paired.
 * What comes out of each has the bits that it would have alone. */
#ifndef CLEAVE_LAB_SAE_MANY_H
#define CLEAVE_LAB_SAE_MANY_H
#include "lab/sae_fit.h"

enum { SAE_MANY_MAX = 64 };
/* As fit_sae() for each of s[0..n-1], which must have the same activations, targets,
 * steps, batch, seed, lr and schedule; cal [n]. The report's loss is the sum of theirs.
 * A checkpoint holds them all, their parameters named "1.encoder", "2.encoder" ... */
bool fit_saes(Sae *const *s, int n, const TrainHooks *hooks, TrainReport *out,
              SaeCalibration *cal, Err *err);
/* The same of some that were made from one source. */
bool fit_saes_fed(Sae *const *s, int n, const TrainFeed *feed, const TrainHooks *hooks,
                  TrainReport *out, SaeCalibration *cal, Err *err);
/* The job of that fit, for checkpoints and tests. */
typedef struct SaeMany {
    Sae *const *s;
    int n;
    TensorSet *params, *states;
} SaeMany;
bool sae_many_job(SaeMany *m, Sae *const *s, int n, TrainJob *job, TrainCfg *cfg,
                  Err *err);
void sae_many_done(SaeMany *m); /* zeroed is fine */
#endif
