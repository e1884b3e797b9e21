/* bench_sae.c -- steps of sparse autoencoders as the trainer runs them: forward,
 * sparse backward, projection of the decoder's gradient, Adam, unit rows. The loss is
 * given per element, as other libraries have it. Starts are those of the PyTorch form
 * of the same step (Kaiming-uniform encoder, decoder its unit rows, biases 0), so that
 * the two loss curves can be held against each other. */
#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "decomp/sae.h"
#include "graph/build.h"
#include "tensor/rng.h"
#include "ui/bench.h"

enum { SMALL_IN = 10, SMALL_N = 65536 };

typedef struct SaeBench {
    Sae *sae;
    double scale; /* from the fraction unexplained to a mean over elements */
} SaeBench;

static Val mean_loss(void *ctx, Graph *g, Val idx)
{
    const SaeBench *b = ctx;
    return g_scale(g, sae_loss(b->sae, g, idx), b->scale);
}

static void adjust(void *ctx, Graph *g, OptimParam *p, int n)
{
    sae_adjust(((SaeBench *)ctx)->sae, g, p, n);
}

static void after(void *ctx, Graph *g)
{
    sae_after(((SaeBench *)ctx)->sae, g);
}

/* Pixels 0 to 1, or normal numbers where the case is a small one. */
static bool examples(Bench *b, bool small, Tensor *x, Err *err)
{
    if (small) {
        RngKey key = {(uint64_t)b->seed, rng_stream("bench.sae"), 0};
        int64_t dim[2] = {SMALL_N, SMALL_IN};
        if (!tensor_new(F32, 2, dim, x, err))
            return false;
        rng_normal_f32(key, 0, tensor_count(x), 0, 1, x->data);
        return true;
    }
    const Dataset *d = bench_mnist(b, err);
    if (!d)
        return false;
    int64_t dim[2] = {d->n, (int64_t)d->height * d->width};
    if (!tensor_new(F32, 2, dim, x, err))
        return false;
    const uint8_t *from = d->images.data;
    for (int64_t i = 0; i < tensor_count(x); i++)
        ((float *)x->data)[i] = (float)from[i] * (1.0f / 255);
    return true;
}

static void start_as_peer(Sae *s, uint64_t seed)
{
    TensorSet *p = sae_params(s);
    Tensor enc = *tset_get(p, "encoder"), dec = *tset_get(p, "decoder");
    int64_t D = sae_in(s), M = sae_latents(s);
    float *e = enc.data, *w = dec.data;
    float bound = sqrtf(6 / (float)M);
    RngKey key = {seed, rng_stream("bench.encoder"), 0};
    rng_uniform_f32(key, 0, M * D, -bound, bound, e);
    for (int64_t m = 0; m < M; m++) {
        double sum = 0;
        for (int64_t d = 0; d < D; d++)
            sum += (double)e[m * D + d] * (double)e[m * D + d];
        for (int64_t d = 0; d < D; d++)
            w[m * D + d] = e[m * D + d] / (float)sqrt(sum);
    }
    memset(tset_get(p, "decoder_bias")->data, 0, sizeof(float) * (size_t)D);
}

static double variance(const Tensor *x)
{
    double sum = 0;
    int64_t N = x->dim[0], D = x->dim[1];
    for (int64_t d = 0; d < D; d++) {
        double mean = 0, m2 = 0;
        for (int64_t n = 0; n < N; n++) {
            double v = (double)((const float *)x->data)[n * D + d], e = v - mean;
            mean += e / (double)(n + 1);
            m2 += e * (v - mean);
        }
        sum += m2 / (double)N;
    }
    return sum;
}

bool bench_sae(Bench *b, const BenchCase *c, BenchResult *out, Err *err)
{
    SaeCfg cfg;
    Tensor x = {0};
    SaeBench k = {0};
    bool small = c->weight == 0;
    bool ok = opt_defaults(sae_options, sae_n_options, &cfg, err) &&
              examples(b, small, &x, err);
    text_copy(cfg.activation, sizeof cfg.activation, c->kind);
    text_copy(cfg.normalise, sizeof cfg.normalise, "none");
    cfg.seed = b->seed;
    cfg.latents = c->size;
    cfg.k = small ? 1 : c->weight;
    cfg.aux = 0;
    if (small) {
        text_copy(cfg.control, sizeof cfg.control, "fixed");
        cfg.unit = false;
        cfg.sparsity = 0.05 / SMALL_IN;
        cfg.width = 0.03;
    }
    k.sae = ok ? sae_new(&cfg, &x, NULL, err) : NULL;
    if (k.sae) {
        k.scale = variance(&x) / (double)x.dim[1];
        start_as_peer(k.sae, (uint64_t)b->seed);
        BenchLoss loss = {mean_loss, adjust, after, &k};
        ok = bench_fit(b, sae_params(k.sae), &loss, x.dim[0], c->batch, 1e-3, out, err);
        double B = (double)c->batch, D = (double)x.dim[1], M = (double)c->size;
        /* the encoder's product; decoder, its gradient, that of the code and that of
         * the encoder on active latents only */
        out->flops = 2 * B * D * (M + 4 * (small ? M : cfg.k));
    }
    ok = ok && k.sae;
    sae_free(k.sae);
    tensor_release(&x);
    return ok;
}
