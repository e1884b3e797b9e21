/* fit.c -- settings of a fit as settings of the trainer. */
#include "lab/fit.h"

#include <string.h>

#include "base/str.h"

bool fit_run(const FitJob *f, const TrainHooks *hooks, TrainReport *out, Err *err)
{
    TrainCfg cfg;
    TrainJob job = {.params = f->params,
                    .states = f->states,
                    .loss = f->loss,
                    .ctx = f->ctx,
                    .n_examples = f->n_examples,
                    .name = f->name};
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
    text_copy(cfg.optim.method, sizeof cfg.optim.method,
              f->weight_decay > 0 ? "adamw" : "adam");
    text_copy(cfg.optim.schedule, sizeof cfg.optim.schedule, f->schedule);
    return train_run(&job, &cfg, hooks, out, err);
}

bool fit_dictionary(DictFit *f, const DictCfg *cfg, int64_t n_examples,
                    const TrainHooks *hooks, TrainReport *out, Err *err)
{
    FitJob job = {.name = "dictionary",
                  .params = dictfit_params(f),
                  .loss = dictfit_loss,
                  .ctx = f,
                  .n_examples = cfg->distill > 0 ? n_examples : 0,
                  .batch = cfg->batch,
                  .steps = cfg->steps,
                  .seed = cfg->seed,
                  .lr = cfg->lr,
                  .schedule = cfg->schedule};
    return fit_run(&job, hooks, out, err);
}

static bool fit_one(const FamilyCfg *cfg, const Interaction *b, const DictData *data,
                    const TrainHooks *hooks, Dictionary *dict, TrainReport *out,
                    Err *err)
{
    Family *f = family_new(cfg, b, data, err);
    if (!f)
        return false;
    FitJob job = {.name = cfg->family,
                  .params = family_params(f),
                  .states = family_states(f),
                  .loss = family_loss,
                  .ctx = f,
                  .n_examples = family_needs_examples(cfg) ? data->x->dim[0] : 0,
                  .batch = cfg->batch,
                  .steps = cfg->steps,
                  .seed = cfg->seed,
                  .lr = cfg->lr,
                  .weight_decay = cfg->weight_decay,
                  .schedule = cfg->schedule};
    bool ok = fit_run(&job, hooks, out, err) && family_finish(f, dict, err);
    family_free(f);
    return ok;
}

/* What the dictionary leaves over: the tensor, and the logits of the examples. */
typedef struct Rest {
    Interaction b;
    Tensor logits;
} Rest;

static void rest_done(Rest *r)
{
    interaction_done(&r->b);
    tensor_release(&r->logits);
}

static bool rest_new(const Interaction *b, const Dictionary *d, const DictData *data,
                     Rest *out, Err *err)
{
    Tensor did = {0};
    memset(out, 0, sizeof *out);
    bool ok = interaction_minus(b, d, &out->b, err);
    if (ok && data->x && data->logits) {
        ok = dict_activations(d, data->x, NULL, &did, err) &&
             tensor_copy(data->logits, &out->logits, err);
        float *y = out->logits.data;
        for (int64_t i = 0; ok && i < tensor_count(&did); i++)
            y[i] -= ((float *)did.data)[i];
        tensor_release(&did);
    }
    if (!ok)
        rest_done(out);
    return ok;
}

/* Fits one more dictionary to the rest of `dict` and puts it behind. */
static bool boost(const FamilyCfg *cfg, const Interaction *b, const DictData *data,
                  const TrainHooks *hooks, Dictionary *dict, TrainReport *out, Err *err)
{
    Rest rest;
    Dictionary more = {0}, both = {0};
    TrainReport r = {0};
    if (!rest_new(b, dict, data, &rest, err))
        return false;
    DictData left = *data;
    left.logits = rest.logits.data ? &rest.logits : NULL;
    bool ok = fit_one(cfg, &rest.b, &left, hooks, &more, &r, err) &&
              dict_join(dict, &more, &both, err);
    if (ok) {
        dict_done(dict);
        *dict = both;
        r.steps += out->steps;
        r.seconds += out->seconds;
        *out = r;
    }
    dict_done(&more);
    rest_done(&rest);
    return ok;
}

bool fit_family(const FamilyCfg *cfg, const Interaction *b, const DictData *data,
                const TrainHooks *hooks, Dictionary *dict, TrainReport *out, Err *err)
{
    FamilyCfg one = *cfg;
    bool ok = fit_one(&one, b, data, hooks, dict, out, err);
    for (int64_t k = 1; ok && !out->interrupted && k < cfg->boost; k++) {
        one.seed = cfg->seed + k;
        one.bank = (cfg->bank + k) % 2;
        if (!boost(&one, b, data, hooks, dict, out, err)) {
            dict_done(dict);
            return false;
        }
    }
    return ok;
}
