/* spd_fit.h -- stochastic parameter decomposition of a network through the one trainer.
 * A SpdNet says where inputs come from: a data set, a matrix of inputs, or features
 * that are drawn anew for every batch (toys). It must outlive the decomposition. */
#ifndef CLEAVE_LAB_SPD_FIT_H
#define CLEAVE_LAB_SPD_FIT_H
#include "data/dataset.h"
#include "decomp/spd.h"
#include "lab/train.h"

typedef struct SpdNet {
    Model *model;
    const Dataset *data; /* its pixels, or */
    const Tensor *x;     /* f32 [N,I], or neither: */
    double active;       /* each feature is on with this probability, */
    bool negative;       /* even in -1..1 rather than 0..1 */
} SpdNet;

/* layers: names separated by commas; each may end in "=C". "": all that can be
 * decomposed. Linear, tied and convolutional layers are told by their weights. Errors
 * list the names there are. */
bool spd_net_target(SpdNet *net, const char *layers, SpdTarget *out, Err *err);
/* x [B,I]: a batch of drawn features, as toys have them. */
Val spd_net_features(const SpdNet *net, Graph *g, int64_t B, const char *stream);

typedef struct SpdFitCfg {
    char checkpoint[OPT_STR_CAP], resume[OPT_STR_CAP]; /* as the trainer's */
    int64_t checkpoint_every, stop_at;
    int64_t eval_every; /* steps between L0 and alive counts, and pictures; 0: never */
} SpdFitCfg;
extern const OptRow spd_fit_options[];
extern const size_t spd_fit_n_options;

typedef struct SpdFitHooks {
    TrainHooks train;
    /* Called with each evaluation; NULL: none. */
    bool (*picture)(void *ctx, Spd *s, int64_t step, Err *err);
    void *ctx;
} SpdFitHooks;

/* Warm-up on faithfulness (not when resumed), then cfg->steps of AdamW. Every loss with
 * a coefficient is a metric of its name. True with out->interrupted when stopped. */
bool fit_spd(Spd *s, const SpdFitCfg *cfg, const SpdFitHooks *hooks, TrainReport *out,
             Err *err);
#endif
