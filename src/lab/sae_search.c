/* sae_search.c -- the searches know trials only; a trial is a whole training from the
 * same start with another weight. */
#include "lab/sae_search.h"

#include <math.h>
#include <string.h>

#include "base/str.h"
#include "decomp/sae_metrics.h"

/* ---- searches -------------------------------------------------------------------- */

typedef struct Trials {
    L0At *at;
    void *ctx;
    double target;
    L0Search *out;
} Trials;

static bool run_trial(Trials *t, double weight, double *l0, Err *err)
{
    if (!t->at(t->ctx, weight, l0, err))
        return false;
    double off = fabs(*l0 - t->target), best = fabs(t->out->l0 - t->target);
    if (t->out->trials == 0 || off < best) {
        t->out->weight = weight;
        t->out->l0 = *l0;
    }
    t->out->trials++;
    return true;
}

static bool run_grid(Trials *t, double lo, double hi, int64_t n, Err *err)
{
    int64_t best = 0;
    double last = 0, nearest = INFINITY;
    t->out->lo = lo;
    t->out->hi = hi;
    for (int64_t i = 0; i < n; i++) {
        double l0, w = lo * pow(hi / lo, (double)i / (double)(n - 1));
        if (!run_trial(t, w, &l0, err))
            return false;
        if (fabs(l0 - t->target) < nearest) {
            nearest = fabs(l0 - t->target);
            best = i;
        }
        t->out->bracketed |= i > 0 && last > t->target && l0 <= t->target;
        last = l0;
    }
    t->out->edge = best == 0 || best == n - 1;
    return true;
}

bool l0_grid(L0At *at, void *ctx, double target, double lo, double hi, int64_t n,
             int64_t refine, L0Search *out, Err *err)
{
    Trials t = {at, ctx, target, out};
    *out = (L0Search){0};
    if (n < 2 || !(lo > 0 && lo < hi) || refine < 0 || refine == 1)
        return err_set(
            err, ERR_OPTION,
            "a grid needs two points or more between lo > 0 and a larger hi, "
            "and so does its refinement");
    if (!run_grid(&t, lo, hi, n, err))
        return false;
    double around = out->weight;
    return refine == 0 || run_grid(&t, around / 9, around * 9, refine, err);
}

/* Walks until the target is between lo and hi; false: no more trials or an error. */
static bool find_bracket(Trials *t, double start, int64_t most, Err *err)
{
    const double factor = 3;
    double l0, w = start;
    L0Search *o = t->out;
    if (!run_trial(t, w, &l0, err))
        return false;
    bool up = l0 > t->target;
    while (o->trials < most) {
        double next = up ? w * factor : w / factor;
        if (!run_trial(t, next, &l0, err))
            return false;
        if (up != (l0 > t->target)) {
            o->lo = up ? w : next;
            o->hi = up ? next : w;
            o->bracketed = true;
            return true;
        }
        w = next;
    }
    o->lo = o->hi = w;
    o->edge = true;
    return true;
}

bool l0_bracket(L0At *at, void *ctx, double target, double start, double close,
                int64_t most, L0Search *out, Err *err)
{
    Trials t = {at, ctx, target, out};
    *out = (L0Search){0};
    if (!(start > 0) || most < 2)
        return err_set(err, ERR_OPTION,
                       "a bracket needs a start above 0 and two trials or more");
    if (!find_bracket(&t, start, most, err))
        return false;
    while (out->bracketed && out->trials < most &&
           fabs(out->l0 - target) > close * target) {
        double l0, middle = sqrt(out->lo * out->hi);
        if (!run_trial(&t, middle, &l0, err))
            return false;
        *(l0 > target ? &out->lo : &out->hi) = middle;
    }
    return true;
}

/* ---- of autoencoders ------------------------------------------------------------- */

#define OPT(type, name, dflt, lo, hi, doc)                                             \
    {                                                                                  \
#name, type, offsetof(SaeSearchCfg, name), dflt, lo, hi, NULL, doc             \
    }
const OptRow sae_search_options[] = {
    {"search", OPT_ENUM, offsetof(SaeSearchCfg, search), "bracket", 0, 0,
     "grid bracket", "How the weight is found."},
    OPT(OPT_NUM, target, "1", 1e-6, 1e6, "L0 aimed at."),
    OPT(OPT_NUM, lo, "1e-5", 1e-12, 1e6, "First weight of the grid."),
    OPT(OPT_NUM, hi, "1e-2", 1e-12, 1e6, "Last weight of the grid."),
    OPT(OPT_INT, points, "4", 2, 1000, "Weights in the grid."),
    OPT(OPT_INT, refine, "3", 0, 1000,
        "Weights in a second grid, from a ninth to nine times the best; 0: none."),
    OPT(OPT_INT, trial_steps, "0", 0, 10000000,
        "Steps of the grid's trials; 0: those of the autoencoder."),
    OPT(OPT_NUM, start, "0.05", 1e-12, 1e6, "First weight of the bracket."),
    OPT(OPT_NUM, close, "0.01", 0, 1,
        "The bracket ends at an L0 so close to the target, relative."),
    OPT(OPT_INT, most, "12", 2, 1000, "Most trainings of the bracket."),
};
const size_t sae_search_n_options = ARRAY_LEN(sae_search_options);

typedef struct Search {
    SaeCfg cfg;
    const Tensor *x, *val;
    const TrainHooks *hooks;
    SaeSearch *out;
    double target;
    Sae *best;
    double best_l0;
} Search;

/* A training with this weight; *s is to be freed. */
static bool train_one(Search *c, double weight, int64_t steps, Sae **s, double *l0,
                      Err *err)
{
    SaeCfg cfg = c->cfg;
    SaeCalibration none;
    SaeMetrics m;
    TrainReport r;
    cfg.sparsity = weight;
    cfg.steps = steps;
    *s = sae_new(&cfg, c->x, NULL, err);
    if (!*s || !fit_sae(*s, c->hooks, &r, &none, err))
        return false;
    if (r.interrupted)
        return err_set(err, ERR_INTERRUPT, "interrupted");
    if (!sae_measure(*s, c->val, NULL, NULL, 0, &m, NULL, err))
        return false;
    r.steps += c->out->report.steps;
    r.seconds += c->out->report.seconds;
    c->out->report = r;
    *l0 = m.l0;
    return true;
}

/* A trial whose autoencoder is kept while it is the best. */
static bool keep_best(void *ctx, double weight, double *l0, Err *err)
{
    Search *c = ctx;
    Sae *s = NULL;
    bool ok = train_one(c, weight, c->cfg.steps, &s, l0, err);
    if (ok && (!c->best || fabs(*l0 - c->target) < fabs(c->best_l0 - c->target))) {
        sae_free(c->best);
        c->best = s;
        c->best_l0 = *l0;
        return true;
    }
    sae_free(s);
    return ok;
}

typedef struct ShortTrial {
    Search *c;
    int64_t steps;
} ShortTrial;

static bool forget(void *ctx, double weight, double *l0, Err *err)
{
    ShortTrial *t = ctx;
    Sae *s = NULL;
    bool ok = train_one(t->c, weight, t->steps, &s, l0, err);
    sae_free(s);
    return ok;
}

static bool by_grid(Search *c, const SaeSearchCfg *g, Err *err)
{
    ShortTrial t = {c, g->trial_steps ? g->trial_steps : c->cfg.steps};
    L0Search *found = &c->out->found;
    return l0_grid(forget, &t, g->target, g->lo, g->hi, g->points, g->refine, found,
                   err) &&
           train_one(c, found->weight, c->cfg.steps, &c->best, &c->best_l0, err);
}

Sae *sae_search(const SaeCfg *cfg, const SaeSearchCfg *search, const Tensor *x,
                const Tensor *val, const TrainHooks *hooks, SaeSearch *out, Err *err)
{
    *out = (SaeSearch){0};
    if (strstr(cfg->activation, "topk") || !strcmp(cfg->activation, "matryoshka")) {
        err_set(err, ERR_OPTION,
                "the L0 of %s is its k, there is nothing to search for",
                cfg->activation);
        return NULL;
    }
    Search c = {.cfg = *cfg,
                .x = x,
                .val = val ? val : x,
                .hooks = hooks,
                .out = out,
                .target = search->target};
    text_copy(c.cfg.control, sizeof c.cfg.control, "fixed");
    c.cfg.l0 = 0;
    bool ok = !strcmp(search->search, "grid")
                  ? by_grid(&c, search, err)
                  : l0_bracket(keep_best, &c, search->target, search->start,
                               search->close, search->most, &out->found, err);
    if (!ok) {
        sae_free(c.best);
        return NULL;
    }
    out->before = out->found.l0;
    out->l0 = c.best_l0;
    return c.best;
}
