/* super_fit.c -- settings of a sparse-feature network as settings of the trainer. */
#include "lab/super_fit.h"

#include <string.h>

#include "base/str.h"

bool super_job(Super *s, TrainJob *job, TrainCfg *cfg, Err *err)
{
    const SuperCfg *c = super_cfg(s);
    *job = (TrainJob){.params = super_params(s),
                      .loss = super_loss,
                      .after = super_after,
                      .ctx = s,
                      .name = "superposition"};
    if (!opt_defaults(train_options, train_n_options, cfg, err))
        return false;
    cfg->steps = c->steps;
    cfg->batch = c->batch;
    cfg->seed = c->seed;
    cfg->optim.lr = c->lr;
    cfg->optim.weight_decay = 0;
    text_copy(cfg->optim.method, sizeof cfg->optim.method, "adam");
    text_copy(cfg->optim.schedule, sizeof cfg->optim.schedule, c->schedule);
    return true;
}

bool fit_super(Super *s, const TrainHooks *hooks, TrainReport *out, Err *err)
{
    TrainJob job;
    TrainCfg cfg;
    memset(out, 0, sizeof *out);
    return super_job(s, &job, &cfg, err) &&
           (cfg.steps == 0 || train_run(&job, &cfg, hooks, out, err));
}
