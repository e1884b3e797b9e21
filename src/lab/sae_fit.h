/* sae_fit.h -- sparse autoencoders through the one trainer, and what a network loses
 * when a site's value is replaced by its reconstruction. */
#ifndef CLEAVE_LAB_SAE_FIT_H
#define CLEAVE_LAB_SAE_FIT_H
#include "data/dataset.h"
#include "decomp/sae.h"
#include "lab/train.h"

/* Adam with a cosine schedule for cfg->steps (0: none), gradients clipped at norm 1
 * after projection; then, where there are thresholds and an aim, calibration on up to
 * 16,384 of the training examples (`cal`, zeroed where there was none). Returns true
 * with out->interrupted when it was stopped; then nothing is calibrated. */
bool fit_sae(Sae *s, const TrainHooks *hooks, TrainReport *out, SaeCalibration *cal,
             Err *err);
/* The same with checkpoints: those fields of the trainer's settings (lab/train.h). */
typedef struct SaeKeep {
    const char *checkpoint, *resume; /* NULL: none */
    int64_t every, stop_at;
} SaeKeep;
bool fit_sae_keeping(Sae *s, const SaeKeep *keep, const TrainHooks *hooks,
                     TrainReport *out, SaeCalibration *cal, Err *err);
/* The same of one that was made from a stream's source (lab/sae_stream.h), which it lets
 * go of afterwards. */
bool fit_sae_fed(Sae *s, const TrainFeed *feed, const SaeKeep *keep,
                 const TrainHooks *hooks, TrainReport *out, SaeCalibration *cal,
                 Err *err);
/* The calibration of that fit alone. */
bool fit_calibrate(Sae *s, SaeCalibration *cal, Err *err);
/* The job and settings of that fit, for checkpoints and tests. */
bool sae_job(Sae *s, TrainJob *job, TrainCfg *cfg, Err *err);

/* Accuracies are shares, CE and KL are means in nats over the data set. */
typedef struct SaeSplice {
    double acc, acc_base, acc_zero, acc_mean;
    double ce, ce_base, ce_zero, ce_mean;
    double acc_loss, ce_loss;  /* base - spliced, spliced - base: positive is worse */
    double recovered;          /* (ce_zero - ce) / (ce_zero - ce_base) */
    double agreement, kl;      /* of answers; KL(base || spliced) */
    double to_wrong, to_right; /* share of answers that became wrong, right */
} SaeSplice;
typedef struct SaeSpliceRow {
    const char *name, *doc;
    size_t offset;
} SaeSpliceRow;
extern const SaeSpliceRow sae_splice_rows[];
extern const size_t sae_n_splice_rows;

/* Runs the network with the value of site `to` replaced by the reconstruction from site
 * `from` (NULL: the same), by zero, and by the mean of the set. */
bool sae_splice(Sae *s, Model *m, const Dataset *d, const char *from, const char *to,
                SaeSplice *out, Err *err);
/* agreement, kl, to_wrong and to_right of two f32 [N,C] and labels i32 [N], into an out
 * that was zeroed. */
void sae_compare(const Tensor *base, const Tensor *spliced, const Tensor *labels,
                 SaeSplice *out);
#endif
