/* sae_warn.c -- when a result is not what it seems. */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "decomp/sae_int.h"
#include "decomp/sae_metrics.h"

static const double empty_share = 0.001, dead_share = 0.1, kernel_share = 1e-3;
static const double missed = 0.1, far = 100; /* of the L0; of the weight's start */

typedef struct List {
    SaeWarning *at;
    int n;
} List;

static void ATTR_PRINTF(3, 4) add(List *l, const char *name, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    l->at[l->n].name = name;
    vsnprintf(l->at[l->n].text, sizeof l->at[l->n].text, fmt, args);
    va_end(args);
    l->n++;
}

static void on_sparsity(List *l, const Sae *s, const SaeMetrics *m,
                        const SaeCalibration *cal)
{
    const SaeCfg *c = &s->cfg;
    double reached = cal->before > 0 ? cal->before : m->l0, weight = sae_weight(s);
    bool aims = c->l0 > 0 && !(s->act->flags & ACT_K);
    if (m->active[0] > empty_share)
        add(l, "empty",
            "%.1f %% of the examples have no active latent: they all get one output",
            100 * m->active[0]);
    if (cal->edge)
        add(l, "edge",
            "the calibration ended at its edge: mean L0 is %.3g where %.3g was aimed "
            "at, as too few pre-activations are above 0",
            cal->after, sae_aim(s));
    if (aims && !strcmp(c->control, "pi") && fabs(reached / c->l0 - 1) > missed &&
        fabs(log(weight / c->sparsity)) > log(far))
        add(l, "saturated",
            "the penalty's weight went from %.3g to %.3g and L0 is %.3g before "
            "calibration, not %.3g: it no longer follows",
            c->sparsity, weight, reached, c->l0);
    if (m->kernel < kernel_share)
        add(l, "kernel",
            "only %.3g %% of the pre-activations are within the kernel (width %.3g), "
            "so "
            "thresholds hardly train: a wider one would see more",
            100 * m->kernel, c->width_end > 0 ? c->width_end : c->width);
}

int sae_warnings(const Sae *s, const SaeMetrics *m, const SaeCalibration *cal,
                 SaeWarning out[SAE_WARNINGS])
{
    List l = {out, 0};
    on_sparsity(&l, s, m, cal);
    if (m->dead > dead_share)
        add(&l, "dead", "%.0f of %lld latents are active on no example",
            m->dead * (double)s->M, (long long)s->M);
    if (m->dense > 0 && m->l0 < 0.25 * (double)s->M)
        add(&l, "dense",
            "%.0f of %lld latents are active on more than half of the examples",
            m->dense * (double)s->M, (long long)s->M);
    return l.n;
}
