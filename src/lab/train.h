/* train.h -- the one trainer: a plan, a sampler, states and hooks. What is trained is a
 * builder (a classifier, a dictionary ...) that appends its loss to a graph; the
 * trainer adds gradients, the optimiser and the schedule, runs the steps, reports
 * progress and metrics, writes checkpoints, and stops on NaN with the value's name and
 * the step. Resuming equals never stopping, bit for bit: the checkpoint (safetensors)
 * holds parameters, moments, extra states, step, epoch, sampler position and best
 * score; no time and no host. */
#ifndef CLEAVE_LAB_TRAIN_H
#define CLEAVE_LAB_TRAIN_H
#include "base/option.h"
#include "data/dataset.h"
#include "graph/optim.h"
#include "graph/plan.h"
#include "lab/run.h"
#include "model/model.h"

typedef struct TrainCfg {
    int64_t epochs;     /* passes over the training split; ignored when steps > 0 */
    int64_t steps;      /* 0: from epochs */
    int64_t batch;      /* 512 */
    double noise;       /* std of additive Gaussian noise; 0: none */
    double noise_share; /* share of the examples that get it: 0.5 */
    /* Of classifiers only; see classify.c. */
    double dropout_in, dropout, smoothing; /* shares, 0 to 1 */
    int64_t shift; /* images are moved by up to so many pixels, anew in each step */
    int64_t seed;
    int64_t eval_every; /* epochs between evaluations; 0: at the end only */
    char checkpoint[OPT_STR_CAP]; /* <this>-last.safetensors, -best; "": none */
    int64_t checkpoint_every;     /* steps between "last" checkpoints; 0: each epoch */
    char resume[OPT_STR_CAP];     /* a "last" checkpoint to go on from; "": fresh */
    int64_t stop_at;              /* end at this step as if interrupted; 0: off */
    OptimCfg optim;
} TrainCfg;
extern const OptRow train_options[]; /* includes the optimiser's options */
extern const size_t train_n_options;

typedef struct TrainReport {
    int64_t steps, epochs; /* done in all, by this call and those before a resume */
    double loss;           /* mean over the last 50 steps */
    double test_acc, test_loss, best_acc; /* NaN: the job has no such score */
    double seconds;                       /* of this call */
    double steps_per_second; /* of this call, evaluations and checkpoints left out */
    bool interrupted;        /* stopped by the user or by stop_at */
} TrainReport;

/* What the trainer tells while it runs; any may be NULL. A false return stops with that
 * error. */
typedef struct TrainHooks {
    void *ctx;
    bool (*metric)(void *ctx, int64_t step, const char *const *names, const double *v,
                   int n, Err *err);
    bool (*progress)(void *ctx, double done, double total, const char *text, Err *err);
} TrainHooks;

/* Where the examples of a job are not all in memory: puts those of a batch where the loss
 * reads them, and their rows there into idx [B]. Epochs count from 0, position is a
 * multiple of the batch. It follows from these alone; fresh: from the batch before this
 * one it is far, so that the trainer will not go back across it. Errors and interrupts
 * leave the training as it was. */
typedef struct TrainFeed {
    void *ctx;
    bool (*next)(void *ctx, int64_t epoch, int64_t position, int32_t *idx, bool *fresh,
                 Err *err);
    const char *order; /* what the order follows from beside the seed, for checkpoints;
                          "": that of examples in memory */
} TrainFeed;

/* A job: params by name (states), a builder of the scalar loss, batches of indices. */
typedef struct TrainJob {
    TensorSet *params; /* trained in place */
    TensorSet *states; /* every other tensor that the loss assigns; NULL: none */
    /* Appends the loss. idx [B] i32 is an input of the graph or VAL_NONE when
     * n_examples == 0. */
    Val (*loss)(void *ctx, Graph *g, Val idx);
    /* Constraints, both may be NULL: adjust changes gradients (p[i].grad) before they
     * are clipped and used; after appends what follows the updates in the same step. */
    void (*adjust)(void *ctx, Graph *g, OptimParam *p, int n);
    void (*after)(void *ctx, Graph *g);
    /* Called every eval_every epochs and at the end; fills *n named scores, at most
     * TRAIN_MAX_SCORES; the first is the one that "best" maximises. NULL: no
     * evaluation. */
    bool (*evaluate)(void *ctx, const char **names, double *v, int *n, Err *err);
    void *ctx;
    int64_t eval_steps; /* steps between evaluations instead of epochs; 0: epochs */
    int64_t *step;      /* gets the number of steps done before each evaluation */
    bool no_best;       /* scores have no order: no "best" checkpoint */
    bool curves; /* other scalars that the loss made outputs become metrics, too */
    int64_t n_examples; /* 0: full batch: cfg->steps counts, evaluation at the end */
    const TrainFeed *feed; /* NULL: all examples are in memory */
    const char *name;   /* in progress and errors: "bilinear" */
    /* Adds metadata to checkpoints (keys not starting with "train."). NULL: none. */
    bool (*describe)(void *ctx, TensorSet *file, Err *err);
} TrainJob;
enum { TRAIN_MAX_SCORES = 16 };

/* Trains until the end, cfg->stop_at or an interrupt (true with out->interrupted; the
 * interrupt flag stays raised for the caller). Whatever happens, parameters, moments
 * and states are those after some whole step: a step that was cut short or went NaN is
 * undone. Errors: ERR_NUMERIC names the first value that is not finite and its step;
 * ERR_OPTION a checkpoint of other settings; a checkpoint that cannot be written leaves
 * the one before in place. */
bool train_run(const TrainJob *job, const TrainCfg *cfg, const TrainHooks *hooks,
               TrainReport *out, Err *err);
/* The classifier job: cross-entropy of a model on a data set, with input noise; scores
 * test_acc and test_loss. test NULL or empty: no evaluation. */
bool train_model(Model *m, const Dataset *train, const Dataset *test,
                 const TrainCfg *cfg, const TrainHooks *hooks, TrainReport *out,
                 Err *err);
/* Logits [N,C] f32 of all examples of a data set, in blocks; and accuracy and mean NLL
 * of them. */
bool model_logits(Model *m, const Dataset *d, Tensor *logits, Err *err);
bool logits_score(const Tensor *logits, const Tensor *labels, double *acc, double *nll,
                  Err *err);
#endif
