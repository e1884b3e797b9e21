/* sae_many.c -- one job whose loss is the sum of theirs. Parameters are disjoint, so
 * gradients are, too; clipping would couple them, so each is clipped by its own norm
 * before the common optimiser step. */
#include "lab/sae_many.h"

#include <stdio.h>
#include <string.h>

#include "graph/build.h"

static Val many_loss(void *ctx, Graph *g, Val idx)
{
    const SaeMany *m = ctx;
    Val sum = VAL_NONE;
    for (int i = 0; i < m->n; i++) {
        Val one = sae_loss(m->s[i], g, idx);
        sum = i ? g_add(g, sum, one) : one;
    }
    return sum;
}

/* min(1, clip / norm) times each gradient. */
static void clip_own(Graph *g, double clip, OptimParam *p, int n)
{
    Val sum = VAL_NONE;
    for (int i = 0; i < n; i++) {
        Val one = g_unary(g, "grad_norm_sq", p[i].grad);
        sum = i ? g_add(g, sum, one) : one;
    }
    Val scale = g_call(g, "clip_scale", &sum, 1, &(OpAttr){.f = {clip}});
    for (int i = 0; i < n; i++)
        p[i].grad = g_mul(g, p[i].grad, scale);
}

static void many_adjust(void *ctx, Graph *g, OptimParam *p, int n)
{
    const SaeMany *m = ctx;
    for (int i = 0, at = 0; i < m->n && at < n; i++) {
        int count = tset_count(sae_params(m->s[i]));
        const char *full[32];
        for (int k = 0; k < count; k++) {
            full[k] = p[at + k].name;
            p[at + k].name = strchr(full[k], '.') + 1;
        }
        sae_adjust(m->s[i], g, p + at, count);
        double clip = sae_cfg(m->s[i])->clip;
        if (clip > 0)
            clip_own(g, clip, p + at, count);
        for (int k = 0; k < count; k++)
            p[at + k].name = full[k];
        at += count;
    }
}

static void many_after(void *ctx, Graph *g)
{
    const SaeMany *m = ctx;
    for (int i = 0; i < m->n; i++)
        sae_after(m->s[i], g);
}

static bool add_all(TensorSet *to, const TensorSet *from, int i, Err *err)
{
    for (int k = 0; k < tset_count(from); k++) {
        char name[128];
        snprintf(name, sizeof name, "%d.%s", i + 1, tset_name(from, k));
        if (!tset_add(to, name, tset_at(from, k), err))
            return false;
    }
    return true;
}

static bool alike(Sae *const *s, int n, Err *err)
{
    const SaeCfg *a = sae_cfg(s[0]);
    for (int i = 1; i < n; i++) {
        const SaeCfg *b = sae_cfg(s[i]);
        if (sae_activations(s[i])->data != sae_activations(s[0])->data ||
            sae_targets(s[i])->data != sae_targets(s[0])->data)
            return err_set(err, ERR_OPTION,
                           "autoencoder %d has other activations or targets than the "
                           "first",
                           i + 1);
        if (a->steps != b->steps || a->batch != b->batch || a->seed != b->seed ||
            a->lr != b->lr || strcmp(a->schedule, b->schedule))
            return err_set(err, ERR_OPTION,
                           "autoencoder %d has other steps, batch, seed, lr or "
                           "schedule than the first: in one pass these are common",
                           i + 1);
    }
    return true;
}

bool sae_many_job(SaeMany *m, Sae *const *s, int n, TrainJob *job, TrainCfg *cfg,
                  Err *err)
{
    *m = (SaeMany){.s = s, .n = n};
    if (n < 1 || n > SAE_MANY_MAX)
        return err_set(err, ERR_OPTION, "1 to %d autoencoders, not %d", SAE_MANY_MAX,
                       n);
    if (!alike(s, n, err) || !sae_job(s[0], job, cfg, err) ||
        !(m->params = tset_new(err)) || !(m->states = tset_new(err)))
        return false;
    for (int i = 0; i < n; i++) {
        sae_set_place(s[i], i + 1);
        if (!add_all(m->params, sae_params(s[i]), i, err) ||
            !add_all(m->states, sae_states(s[i]), i, err))
            return false;
    }
    job->params = m->params;
    job->states = m->states;
    job->loss = many_loss;
    job->adjust = many_adjust;
    job->after = many_after;
    job->ctx = m;
    job->name = "saes";
    cfg->optim.clip = 0;
    return true;
}

void sae_many_done(SaeMany *m)
{
    for (int i = 0; i < m->n; i++)
        sae_set_place(m->s[i], 0);
    tset_free(m->params);
    tset_free(m->states);
}

bool fit_saes(Sae *const *s, int n, const TrainHooks *hooks, TrainReport *out,
              SaeCalibration *cal, Err *err)
{
    return fit_saes_fed(s, n, NULL, hooks, out, cal, err);
}

bool fit_saes_fed(Sae *const *s, int n, const TrainFeed *feed, const TrainHooks *hooks,
                  TrainReport *out, SaeCalibration *cal, Err *err)
{
    SaeMany m = {0};
    TrainJob job;
    TrainCfg cfg;
    memset(out, 0, sizeof *out);
    bool ok = sae_many_job(&m, s, n, &job, &cfg, err);
    job.feed = feed;
    ok = ok && (cfg.steps == 0 || train_run(&job, &cfg, hooks, out, err));
    sae_many_done(&m);
    for (int i = 0; ok && i < n; i++)
        sae_let_go(s[i]);
    for (int i = 0; ok && i < n; i++) {
        cal[i] = (SaeCalibration){0};
        ok = out->interrupted || fit_calibrate(s[i], &cal[i], err);
    }
    return ok;
}
