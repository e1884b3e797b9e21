/* train_int.h -- the trainer's own structures, for train.c and checkpoint.c.
 * `live` lists every tensor that a step changes, under the name it has in a checkpoint:
 * the parameters, "optim.<moment>", "state.<state>" and "train.losses". Copying live is
 * copying the training; saving live is a checkpoint. */
#ifndef CLEAVE_LAB_TRAIN_INT_H
#define CLEAVE_LAB_TRAIN_INT_H
#include "data/sampler.h"
#include "lab/shadow.h"
#include "lab/train.h"

/* "train.losses": a ring of the latest losses, then sum and count since the last
 * metric. */
enum { RECENT = 50, LOSS_SUM = RECENT, LOSS_COUNT, N_LOSSES };

typedef struct Trainer {
    const TrainJob *job;
    const TrainCfg *cfg;
    const TrainHooks *hooks;
    TensorSet *moments, *live;
    Tensor losses; /* f64 [N_LOSSES] */
    Plan *plan;
    Tensor *input; /* one per input of the plan; data NULL but for idx */
    int in_lr, in_t, out_loss;
    Tensor idx; /* i32 [B] */
    Sampler sampler;
    Shadow shadow;
    double shadow_due;
    int64_t step, total, per_epoch; /* per_epoch 0: full batch */
    int64_t log_every;
    double best;
    int64_t best_step, evaluated; /* steps; -1: never */
    int64_t saved;                /* step of the last checkpoint by this call */
    const char *score_name[TRAIN_MAX_SCORES];
    double score[TRAIN_MAX_SCORES];
    int n_scores;
    double begun, step_seconds; /* clock; seconds inside steps */
    int64_t first;              /* step that this call began at */
    double shown_at;            /* progress: clock, step and step_seconds then */
    int64_t shown_step;
    double shown_seconds;
} Trainer;

/* Writes "<prefix>-<which>.safetensors"; nothing when cfg->checkpoint is "". */
bool checkpoint_save(Trainer *t, const char *which, Err *err);
/* Fills t and the live tensors from cfg->resume; nothing is touched on failure. */
bool checkpoint_resume(Trainer *t, Err *err);
#endif
