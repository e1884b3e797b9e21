/* bench_spd.c -- steps of stochastic parameter decomposition: of a 784-128-10 network
 * with the losses of the peer's script (faithfulness, all layers, each layer,
 * importance), and of the smallest toy with its own settings. What a step cannot avoid:
 * the products of activations, of masked components, of weights and their gradients,
 * each once where passes can share it. */
#include <math.h>
#include <string.h>

#include "base/str.h"
#include "lab/spd_fit.h"
#include "lab/toys.h"
#include "tensor/rng.h"
#include "ui/bench.h"

/* He-normal weights and no biases, as the peer draws its network. */
static Model *network(uint64_t seed, Err *err)
{
    Model *m = model_new(model_row("mlp"), NULL, err);
    for (int i = 0; m && i < tset_count(m->params); i++) {
        const Tensor *t = tset_at(m->params, i);
        RngKey key = {.seed = seed, .stream = rng_stream(tset_name(m->params, i))};
        memset(t->data, 0, tensor_bytes(t));
        if (t->ndim == 2)
            rng_normal_f32(key, 0, tensor_count(t), 0, sqrtf(2 / (float)t->dim[1]),
                           t->data);
    }
    return m;
}

static bool settings(SpdCfg *c, int64_t components, int64_t batch, Err *err)
{
    if (!opt_defaults(spd_options, spd_n_options, c, err))
        return false;
    c->components = components;
    c->batch = batch;
    c->delta = false;
    c->faithfulness = 1;
    c->p = 0.9;
    text_copy(c->output, sizeof c->output, "kl");
    return true;
}

/* Forward and both gradients of a layer's masked components, used `passes` times. */
static double flops_of(double B, double in, double out, double C, double passes)
{
    double acts = 2 * 2 * B * in * C, parts = 3 * 2 * B * C * out * passes;
    return acts + parts + 3 * 2 * in * C * out; /* and of V U */
}

static bool of_network(Bench *b, const BenchCase *c, BenchResult *out, Err *err)
{
    SpdCfg cfg;
    SpdTarget t;
    SpdNet net = {.data = bench_mnist(b, err)};
    if (!net.data || !settings(&cfg, c->size, c->batch, err))
        return false;
    cfg.seed = b->seed;
    net.model = network((uint64_t)b->seed, err);
    bool ok = net.model && spd_net_target(&net, "", &t, err);
    Spd *s = ok ? spd_new(&cfg, &t, err) : NULL;
    BenchLoss loss = {spd_loss, spd_adjust, NULL, s};
    ok =
        s && bench_fit(b, spd_params(s), &loss, t.n_examples, c->batch, 1e-3, out, err);
    double B = (double)c->batch, C = (double)c->size;
    /* the second layer's activations twice: its input differs in the full pass; its
     * gradient with respect to the first layer; and the network itself */
    out->flops = flops_of(B, 784, 128, C, 2) + flops_of(B, 128, 10, C, 2) +
                 3 * 2 * B * 128 * C + 2 * B * 784 * 128;
    spd_free(s);
    model_free(net.model);
    return ok;
}

static bool of_toy(Bench *b, const BenchCase *c, BenchResult *out, Err *err)
{
    SpdCfg cfg;
    SpdTarget t;
    Toy toy;
    if (!opt_defaults(spd_options, spd_n_options, &cfg, err) ||
        !toy_preset(toy_row(c->kind), false, &cfg, err) ||
        !toy_make(toy_row(c->kind), 0, 20, 0, NULL, &toy, err))
        return false;
    cfg.seed = b->seed;
    bool ok = spd_net_target(&toy.net, "", &t, err);
    Spd *s = ok ? spd_new(&cfg, &t, err) : NULL;
    BenchLoss loss = {spd_loss, spd_adjust, NULL, s};
    ok = s && bench_fit(b, spd_params(s), &loss, 0, 0, 1e-3, out, err);
    spd_free(s);
    toy_done(&toy);
    return ok;
}

bool bench_spd(Bench *b, const BenchCase *c, BenchResult *out, Err *err)
{
    return toy_row(c->kind) ? of_toy(b, c, out, err) : of_network(b, c, out, err);
}
