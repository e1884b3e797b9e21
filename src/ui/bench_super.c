/* bench_super.c -- a step of the network on sparse features: examples drawn, products,
 * fourth powers, Adam. The floor counts the products and one pass over examples and
 * errors; what the numbers cost to draw is not in it. */
#include "decomp/superpose.h"
#include "ui/bench.h"

bool bench_super(Bench *b, const BenchCase *c, BenchResult *out, Err *err)
{
    SuperCfg cfg;
    if (!opt_defaults(super_options, super_n_options, &cfg, err))
        return false;
    cfg.seed = b->seed;
    cfg.neurons = c->size;
    cfg.batch = c->batch;
    Super *s = super_new(&cfg, err);
    if (!s)
        return false;
    BenchLoss loss = {.build = super_loss, .after = super_after, .ctx = s};
    bool ok = bench_fit(b, super_params(s), &loss, 0, 0, cfg.lr, out, err);
    double B = (double)c->batch, N = (double)cfg.features;
    out->flops = 2 * B * N * (double)c->size * 5;
    out->bytes = 4 * B * N * sizeof(float);
    super_free(s);
    return ok;
}
