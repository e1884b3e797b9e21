/* sae_fit.c -- the fit as a job, and four passes with the same hook in four modes. */
#include "lab/sae_fit.h"

#include <math.h>
#include <string.h>

#include "base/str.h"
#include "graph/build.h"
#include "lab/sites.h"

enum { CALIBRATE = 16384 };

/* ---- fitting --------------------------------------------------------------------- */

bool sae_job(Sae *s, TrainJob *job, TrainCfg *cfg, Err *err)
{
    const SaeCfg *c = sae_cfg(s);
    *job = (TrainJob){.params = sae_params(s),
                      .states = sae_states(s),
                      .loss = sae_loss,
                      .adjust = sae_adjust,
                      .after = sae_after,
                      .ctx = s,
                      .n_examples = sae_examples(s),
                      .name = "sae"};
    if (!opt_defaults(train_options, train_n_options, cfg, err))
        return false;
    cfg->steps = c->steps;
    cfg->batch = c->batch < sae_examples(s) ? c->batch : sae_examples(s);
    cfg->seed = c->seed;
    cfg->optim.lr = c->lr;
    cfg->optim.clip = c->clip;
    cfg->optim.weight_decay = 0;
    text_copy(cfg->optim.method, sizeof cfg->optim.method, "adam");
    text_copy(cfg->optim.schedule, sizeof cfg->optim.schedule, c->schedule);
    return true;
}

bool fit_calibrate(Sae *s, SaeCalibration *cal, Err *err)
{
    Tensor head;
    const Tensor *x = sae_activations(s);
    *cal = (SaeCalibration){0};
    if (!sae_cfg(s)->calibrate || !sae_has_theta(s) || !(sae_aim(s) > 0))
        return true;
    int64_t n = x->dim[0] < CALIBRATE ? x->dim[0] : CALIBRATE;
    if (!tensor_slice(x, 0, 0, n, 1, &head, err))
        return false;
    bool ok = sae_calibrate(s, &head, sae_aim(s), cal, err);
    tensor_release(&head);
    return ok;
}

bool fit_sae(Sae *s, const TrainHooks *hooks, TrainReport *out, SaeCalibration *cal,
             Err *err)
{
    return fit_sae_keeping(s, &(SaeKeep){0}, hooks, out, cal, err);
}

bool fit_sae_keeping(Sae *s, const SaeKeep *keep, const TrainHooks *hooks,
                     TrainReport *out, SaeCalibration *cal, Err *err)
{
    return fit_sae_fed(s, NULL, keep, hooks, out, cal, err);
}

bool fit_sae_fed(Sae *s, const TrainFeed *feed, const SaeKeep *keep,
                 const TrainHooks *hooks, TrainReport *out, SaeCalibration *cal,
                 Err *err)
{
    TrainJob job;
    TrainCfg cfg;
    memset(out, 0, sizeof *out);
    *cal = (SaeCalibration){0};
    if (!sae_job(s, &job, &cfg, err))
        return false;
    if (!text_copy(cfg.checkpoint, sizeof cfg.checkpoint,
                   keep->checkpoint ? keep->checkpoint : "") ||
        !text_copy(cfg.resume, sizeof cfg.resume, keep->resume ? keep->resume : ""))
        return err_set(err, ERR_OPTION, "the path of a checkpoint is too long");
    cfg.checkpoint_every = keep->every;
    cfg.stop_at = keep->stop_at;
    job.feed = feed;
    if (cfg.steps > 0 && !train_run(&job, &cfg, hooks, out, err))
        return false;
    sae_let_go(s);
    return out->interrupted || fit_calibrate(s, cal, err);
}

/* ---- splicing -------------------------------------------------------------------- */

#define ROW(field, doc)                                                                \
    {                                                                                  \
#field, doc, offsetof(SaeSplice, field)                                        \
    }
const SaeSpliceRow sae_splice_rows[] = {
    ROW(acc, "Accuracy with the reconstruction in place."),
    ROW(acc_base, "Accuracy of the network as it is."),
    ROW(acc_zero, "Accuracy with zeros in place."),
    ROW(acc_mean, "Accuracy with the set's mean in place."),
    ROW(acc_loss, "acc_base - acc."),
    ROW(ce, "Cross-entropy with the reconstruction in place, nats."),
    ROW(ce_base, "Cross-entropy of the network as it is."),
    ROW(ce_zero, "Cross-entropy with zeros in place."),
    ROW(ce_mean, "Cross-entropy with the set's mean in place."),
    ROW(ce_loss, "ce - ce_base."),
    ROW(recovered, "(ce_zero - ce) / (ce_zero - ce_base)."),
    ROW(agreement, "Share of answers that stayed the same."),
    ROW(kl, "KL of the network's distribution to the spliced one, nats."),
    ROW(to_wrong, "Share of examples whose right answer became wrong."),
    ROW(to_right, "Share of examples whose wrong answer became right."),
};
const size_t sae_n_splice_rows = ARRAY_LEN(sae_splice_rows);

typedef struct Hook {
    Sae *s;
    const char *from, *to;
    const Tensor *mean; /* f32 [O] */
    enum { RECONSTRUCT, ZERO, MEAN } mode;
    Val seen; /* the value of `from` in this build */
} Hook;

static Val flat(Graph *g, Val v)
{
    Spec p = graph_spec(g, v);
    if (!graph_ok(g) || p.ndim == 2)
        return v;
    int64_t rows = p.ndim ? p.dim[0] : 1;
    return g_reshape(g, v, 2, (int64_t[]){rows, rows ? spec_count(&p) / rows : 0});
}

static Val replace(Graph *g, const char *site, Val v, void *ctx)
{
    Hook *h = ctx;
    if (!strcmp(site, h->from))
        h->seen = v;
    if (strcmp(site, h->to) || !graph_ok(g))
        return v;
    if (h->mode == ZERO)
        return g_scale(g, v, 0);
    if (h->seen == VAL_NONE)
        return graph_fail(g, ERR_OPTION, "site '%.64s' does not come before '%.64s'",
                          h->from, site);
    Spec p = graph_spec(g, v);
    Val y = h->mode == MEAN
                ? g_add(g, g_scale(g, flat(g, v), 0), graph_const(g, h->mean))
                : sae_reconstruct(h->s, g, flat(g, h->seen));
    if (!graph_ok(g) || spec_count(&p) != graph_spec(g, y).dim[0] * sae_out(h->s))
        return graph_fail(g, ERR_SHAPE,
                          "site '%.64s' does not have the %lld values "
                          "that the autoencoder writes",
                          site, (long long)sae_out(h->s));
    h->seen = VAL_NONE;
    return p.ndim == 2 ? y : g_reshape(g, y, p.ndim, p.dim);
}

static bool column_mean(const Tensor *t, Tensor *out, Err *err)
{
    int64_t n = t->dim[0], width = tensor_count(t) / n;
    if (!tensor_new(F32, 1, &width, out, err))
        return false;
    for (int64_t o = 0; o < width; o++) {
        double sum = 0;
        for (int64_t i = 0; i < n; i++)
            sum += (double)((const float *)t->data)[i * width + o];
        ((float *)out->data)[o] = (float)(sum / (double)n);
    }
    return true;
}

static int64_t answer(const float *l, int64_t C)
{
    int64_t best = 0;
    for (int64_t c = 1; c < C; c++)
        best = l[c] > l[best] ? c : best;
    return best;
}

static double log_sum_exp(const float *l, int64_t C)
{
    double top = (double)l[answer(l, C)], sum = 0;
    for (int64_t c = 0; c < C; c++)
        sum += exp((double)l[c] - top);
    return top + log(sum);
}

void sae_compare(const Tensor *base, const Tensor *spliced, const Tensor *labels,
                 SaeSplice *out)
{
    int64_t n = base->dim[0], C = base->dim[1];
    for (int64_t i = 0; i < n; i++) {
        const float *p = (const float *)base->data + i * C;
        const float *q = (const float *)spliced->data + i * C;
        int64_t label = ((const int32_t *)labels->data)[i];
        int64_t a = answer(p, C), b = answer(q, C);
        double zp = log_sum_exp(p, C), zq = log_sum_exp(q, C);
        out->agreement += a == b;
        out->to_wrong += a == label && b != label;
        out->to_right += a != label && b == label;
        for (int64_t c = 0; c < C; c++)
            out->kl += exp((double)p[c] - zp) * ((double)p[c] - zp - (double)q[c] + zq);
    }
    out->agreement /= (double)n;
    out->to_wrong /= (double)n;
    out->to_right /= (double)n;
    out->kl /= (double)n;
}

static bool pass(SitePass *p, Hook *h, int mode, const Tensor *labels, Tensor *logits,
                 double *acc, double *ce, Err *err)
{
    h->mode = mode;
    return site_pass(p, logits, err) && logits_score(logits, labels, acc, ce, err);
}

bool sae_splice(Sae *s, Model *m, const Dataset *d, const char *from, const char *to,
                SaeSplice *out, Err *err)
{
    Tensor base = {0}, spliced = {0}, zero = {0}, mean = {0}, site = {0}, column = {0};
    Hook h = {
        .s = s, .from = from ? from : to, .to = to, .mean = &column, .seen = VAL_NONE};
    SitePass plain = {.model = m, .data = d}, at = {.model = m, .data = d, .site = to};
    SitePass p = {.model = m, .data = d, .hook = replace, .ctx = &h};
    *out = (SaeSplice){0};
    bool ok =
        site_pass(&at, &site, err) && column_mean(&site, &column, err) &&
        site_pass(&plain, &base, err) &&
        logits_score(&base, &d->labels, &out->acc_base, &out->ce_base, err) &&
        pass(&p, &h, RECONSTRUCT, &d->labels, &spliced, &out->acc, &out->ce, err) &&
        pass(&p, &h, ZERO, &d->labels, &zero, &out->acc_zero, &out->ce_zero, err) &&
        pass(&p, &h, MEAN, &d->labels, &mean, &out->acc_mean, &out->ce_mean, err);
    if (ok) {
        sae_compare(&base, &spliced, &d->labels, out);
        out->acc_loss = out->acc_base - out->acc;
        out->ce_loss = out->ce - out->ce_base;
        out->recovered = (out->ce_zero - out->ce) / (out->ce_zero - out->ce_base);
    }
    Tensor *const own[] = {&base, &spliced, &zero, &mean, &site, &column};
    for (size_t i = 0; i < ARRAY_LEN(own); i++)
        tensor_release(own[i]);
    return ok;
}
