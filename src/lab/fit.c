/* fit.c -- settings of a fit as settings of the trainer. */
#include "lab/fit.h"

#include <string.h>

#include "base/str.h"

bool fit_run(const FitJob *f, const TrainHooks *hooks, TrainReport *out, Err *err)
{
    TrainCfg cfg;
    TrainJob job = { .params = f->params, .loss = f->loss, .ctx = f->ctx,
                     .n_examples = f->n_examples, .name = f->name };
    memset(out, 0, sizeof *out);
    if (f->steps == 0)
        return true;
    if (!opt_defaults(train_options, train_n_options, &cfg, err))
        return false;
    cfg.steps = f->steps;
    cfg.batch = f->batch;
    cfg.seed = f->seed;
    cfg.optim.lr = f->lr;
    cfg.optim.weight_decay = f->weight_decay;
    text_copy(cfg.optim.method, sizeof cfg.optim.method, f->weight_decay > 0 ? "adamw" : "adam");
    text_copy(cfg.optim.schedule, sizeof cfg.optim.schedule, f->schedule);
    return train_run(&job, &cfg, hooks, out, err);
}

bool fit_dictionary(DictFit *f, const DictCfg *cfg, int64_t n_examples,
                    const TrainHooks *hooks, TrainReport *out, Err *err)
{
    FitJob job = { .name = "dictionary",
                   .params = dictfit_params(f),
                   .loss = dictfit_loss,
                   .ctx = f,
                   .n_examples = cfg->distill > 0 ? n_examples : 0,
                   .batch = cfg->batch,
                   .steps = cfg->steps,
                   .seed = cfg->seed,
                   .lr = cfg->lr,
                   .schedule = cfg->schedule };
    return fit_run(&job, hooks, out, err);
}
