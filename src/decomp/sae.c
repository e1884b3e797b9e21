/* sae.c -- options, parameters and their starts, the inference graph, folding. The
 * encoder starts as the decoder where both see the same space, so that every latent
 * reads what it writes; the decoder's bias starts at the mean of the targets. */
#include "decomp/sae.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "decomp/sae_int.h"
#include "graph/build.h"
#include "tensor/rng.h"

enum { FEW = 8 }; /* latents to one active one */
#define ACTS                                                                           \
    "relu topk batchtopk matryoshka abstopk jumprelu jumprelu_tanh jumprelu_sigmoid "  \
    "gated stochastic"
#define NORMS "none standardise unit rms length zscore"
#define OPT(type, name, dflt, lo, hi, doc)                                             \
    {                                                                                  \
#name, type, offsetof(SaeCfg, name), dflt, lo, hi, NULL, doc                   \
    }
const OptRow sae_options[] = {
    {"activation", OPT_ENUM, offsetof(SaeCfg, activation), "batchtopk", 0, 0, ACTS,
     "How a code is made; see cl.decomp.sae_activations()."                                                                         },
    {"normalise",  OPT_ENUM, offsetof(SaeCfg, normalise),  "rms",       0, 0, NORMS,
     "Scale of the activations: as they are; each example minus its mean by its "
     "standard deviation; each by its length; all by one number to mean squared length "
     "1, or to mean length sqrt(D); each dimension to mean 0 and standard deviation "
     "1."                                                                                                                           },
    {"control",    OPT_ENUM, offsetof(SaeCfg, control),    "pi",        0, 0, "pi quadratic fixed",
     "What brings L0 to l0 in activations with a penalty: a controller of its "
     "weight, sparsity (L0/l0 - 1)^2 in its place, or nothing."                                                                     },
    OPT(OPT_INT, latents, "512", 1, 1000000, "Number of latents."),
    OPT(OPT_NUM, k, "16", 0.001, 1000000,
        "Active latents of an example in the top-k kinds; batchtopk takes fractions."),
    OPT(OPT_INT, k_min, "0", 0, 1000000,
        "abstopk in training: the number of an example is drawn between this and k, "
        "evenly on a logarithmic scale; 0: always k."),
    OPT(OPT_NUM, l0, "0", 0, 1000000,
        "L0 aimed at by activations with a penalty; 0: none, sparsity stays."),
    OPT(OPT_NUM, sparsity, "0.003", 0, 1e6,
        "Weight of the penalty in units of the total variance; where a controller "
        "starts."),
    OPT(OPT_NUM, theta, "0.05", 1e-6, 1e6, "Thresholds at the start (jumprelu kinds)."),
    OPT(OPT_NUM, width, "0.05", 1e-9, 1e6,
        "Width of the kernel that trains thresholds, in units of u."),
    OPT(OPT_NUM, theta_share, "0", 0, 1,
        "Share of examples each latent starts active on: its threshold is put there, "
        "at least theta; 0: off."),
    OPT(OPT_NUM, theta_end, "0", 0, 1e6,
        "Thresholds are not trained but go from theta to this on a line over the first "
        "80 % of the steps; 0: off."),
    OPT(OPT_NUM, width_end, "0", 0, 1e6,
        "The kernel's width goes from width to this, geometrically, over the first 80 "
        "% "
        "of the steps; 0: it stays."),
    OPT(OPT_NUM, aux, "0.03125", 0, 1e6,
        "Weight of the auxiliary loss that revives dead latents; 0: off."),
    OPT(OPT_INT, k_aux, "0", 0, 1000000,
        "Dead latents it uses in an example; 0: half the target's dimensions."),
    OPT(OPT_INT, dead_after, "12800", 1, 10000000,
        "Examples without firing after which a latent counts as dead."),
    OPT(OPT_INT, resample, "0", 0, 10000000,
        "Every so many steps, up to four fifths of them, latents that are dead start "
        "again at examples that are badly reconstructed; 0: never."),
    OPT(OPT_NUM, kl, "0", 0, 1e6,
        "Weight of KL(softmax(target) || softmax(output)), where targets are logits."),
    {"start",      OPT_ENUM, offsetof(SaeCfg, start),      "tied",      0, 0, "tied uniform examples",
     "First weights: random directions, read and written alike; all weights and "
     "biases uniform within 1/sqrt(inputs of their layer); the directions of random "
     "examples from their mean, read and written alike."                                                                         },
    OPT(OPT_BOOL, unit, "true", 0, 0,
        "Rows of the decoder have length 1; else penalties weigh a latent by it."),
    OPT(OPT_BOOL, skip, "false", 0, 0,
        "A dense linear path from input to output beside the code."),
    OPT(OPT_INT, split_latents, "0", 0, 1000000,
        "Of a cross-layer transcoder over two layers, whose sites are side by side in "
        "input and target: the latents of the first layer, which read its site and "
        "write both; the others read and write the second's. 0: no layers."),
    OPT(OPT_INT, split_in, "0", 0, 1000000, "Input dimensions of the first layer."),
    OPT(OPT_INT, split_out, "0", 0, 1000000, "Target dimensions of the first layer."),
    OPT(OPT_BOOL, warn, "true", 0, 0,
        "A line in the log for each way in which the result is not what it seems."),
    OPT(OPT_BOOL, calibrate, "true", 0, 0,
        "Afterwards thresholds are set so that L0 on the activations is the aim."),
    OPT(OPT_INT, steps, "3000", 0, 10000000, "Adam steps; 0 keeps the start."),
    OPT(OPT_INT, batch, "256", 1, 1000000, "Examples a step."),
    OPT(OPT_NUM, lr, "1e-3", 0, 10, "Learning rate at its highest."),
    {"schedule",   OPT_ENUM, offsetof(SaeCfg, schedule),   "cosine",    0, 0,
     "constant linear cosine tail onecycle",                                                             "How it changes over the steps."},
    OPT(OPT_NUM, clip, "1", 0, 1e30,
        "Largest norm of the gradient of all parameters together; 0: off."),
    OPT(OPT_INT, warmup, "0", 0, 10000000,
        "Steps over which the weight of the penalty rises from 0."),
    OPT(OPT_INT, seed, "1", 0, 0, "Seed of the start and of the order of examples."),
};
const size_t sae_n_options = ARRAY_LEN(sae_options);

/* ---- making ---------------------------------------------------------------------- */

static bool check(const Sae *s, const Tensor *x, const Tensor *y, Err *err)
{
    char a[96], b[96];
    const SaeCfg *c = &s->cfg;
    if (x->dtype != F32 || x->ndim != 2 || x->dim[0] < 2 || x->dim[1] < 1)
        return err_set(err, ERR_SHAPE,
                       "activations must be f32 [N,D] with N at least "
                       "2, they are %s",
                       tensor_format_shape(x, a));
    if (y->dtype != F32 || y->ndim != 2 || y->dim[0] != x->dim[0] || y->dim[1] < 1)
        return err_set(err, ERR_SHAPE,
                       "targets must be f32 [%lld,O], one row for each "
                       "of the activations %s; they are %s",
                       (long long)x->dim[0], tensor_format_shape(x, a),
                       tensor_format_shape(y, b));
    if (!tensor_contiguous(x) || !tensor_contiguous(y))
        return err_set(err, ERR_SHAPE, "activations and targets must be contiguous");
    if ((s->act->flags & ACT_K) && c->k > (double)c->latents)
        return err_set(err, ERR_OPTION, "k is %g, there are %lld latents", c->k,
                       (long long)c->latents);
    if ((s->act->flags & ACT_K) && !(s->act->flags & ACT_SHARED) &&
        (c->k < 1 || c->k != floor(c->k)))
        return err_set(err, ERR_OPTION,
                       "%s needs a whole k of at least 1, not %g; "
                       "batchtopk takes fractions",
                       s->act->name, c->k);
    if (c->k_min > 0 && (strcmp(s->act->name, "abstopk") || (double)c->k_min > c->k))
        return err_set(err, ERR_OPTION,
                       "k_min is for abstopk, and at most k (%g), not %lld", c->k,
                       (long long)c->k_min);
    if (c->l0 > (double)c->latents)
        return err_set(err, ERR_OPTION, "l0 is %g, there are %lld latents", c->l0,
                       (long long)c->latents);
    if (c->l0 > 0 && !strcmp(c->control, "quadratic") &&
        !(s->act->flags & (ACT_COUNTS | ACT_K)))
        return err_set(err, ERR_OPTION,
                       "control = \"quadratic\" needs a penalty that "
                       "counts (jumprelu, jumprelu_sigmoid), not that "
                       "of %s",
                       s->act->name);
    return true;
}

static bool add_param(Sae *s, const char *name, int ndim, int64_t a, int64_t b,
                      double value, Tensor *out, Err *err)
{
    Tensor t;
    bool ok = tensor_full(F32, ndim, (int64_t[]){a, b}, value, &t, err) &&
              tset_add(s->params, name, &t, err);
    if (out && ok)
        *out = t;
    tensor_release(out && ok ? NULL : &t);
    return ok;
}

static void unit_rows(float *w, int64_t n, int64_t width)
{
    for (int64_t r = 0; r < n; r++) {
        double sum = 0;
        for (int64_t i = 0; i < width; i++)
            sum += (double)w[r * width + i] * (double)w[r * width + i];
        for (int64_t i = 0; i < width; i++)
            w[r * width + i] =
                (float)((double)w[r * width + i] / sqrt(fmax(sum, 1e-30)));
    }
}

static bool draw_weights(Sae *s, Err *err)
{
    Tensor enc = {0}, dec = {0};
    RngKey key = {.seed = (uint64_t)s->cfg.seed, .stream = rng_stream("sae.decoder")};
    bool ok = add_param(s, "encoder", 2, s->M, s->D, 0, &enc, err) &&
              add_param(s, "decoder", 2, s->M, s->O, 0, &dec, err);
    if (ok) {
        rng_normal_f32(key, 0, s->M * s->O, 0, 1, dec.data);
        unit_rows(dec.data, s->M, s->O);
        float bound = (float)(1 / sqrt((double)s->D));
        key.stream = rng_stream("sae.encoder");
        if (s->own_target)
            rng_uniform_f32(key, 0, s->M * s->D, -bound, bound, enc.data);
        else
            memcpy(enc.data, dec.data, tensor_bytes(&dec));
    }
    tensor_release(&enc);
    tensor_release(&dec);
    return ok;
}

bool sae_make_params(Sae *s, Err *err)
{
    bool trained = s->act->flags & ACT_TRAINED, gated = !strcmp(s->act->name, "gated");
    double theta = trained ? s->cfg.theta : 0;
    return (s->params = tset_new(err)) && draw_weights(s, err) &&
           add_param(s, "encoder_bias", 1, s->M, 0, 0, NULL, err) &&
           add_param(s, "decoder_bias", 1, s->O, 0, 0, NULL, err) &&
           tensor_full(F32, 1, &s->M, theta, &s->theta, err) &&
           (!trained || tset_add(s->params, "threshold", &s->theta, err)) &&
           (!gated || (add_param(s, "log_gain", 1, s->M, 0, 0, NULL, err) &&
                       add_param(s, "magnitude_bias", 1, s->M, 0, 0, NULL, err))) &&
           (strcmp(s->act->name, "stochastic") || sae_make_gates(s, err)) &&
           (!s->cfg.skip || add_param(s, "skip", 2, s->O, s->D, 0, NULL, err)) &&
           (!s->cfg.split_latents || sae_split(s, err));
}

bool sae_make_states(Sae *s, Err *err)
{
    static const char *const scalars[] = {"clock", "l0", "integral"};
    Tensor t;
    bool ok = (s->states = tset_new(err)) && tensor_zeros(F32, 1, &s->M, &t, err);
    if (!ok)
        return false;
    ok = tset_add(s->states, "silence", &t, err);
    tensor_release(&t);
    for (size_t i = 0; ok && i < ARRAY_LEN(scalars); i++) {
        ok = tensor_zeros(F32, 0, NULL, &t, err) &&
             tset_add(s->states, scalars[i], &t, err);
        tensor_release(&t);
    }
    return ok;
}

bool sae_rows(const Sae *s, SaeBlock *block, void *ctx, Err *err)
{
    if (s->src)
        return s->src->each(s->src->ctx, block, ctx, err);
    return block(ctx, 0, s->N, s->x.data, s->y.data, err);
}

static bool prepare(Sae *s, Err *err)
{
    bool mapped = s->own_target && !strcmp(s->cfg.start, "tied");
    if (!sae_make_params(s, err) || !sae_make_states(s, err) || !sae_norm_fit(s, err) ||
        (mapped && !sae_start_map(s, err)) || !sae_start(s, err))
        return false;
    sae_split_apply(s);
    return true;
}

static Sae *make(const SaeCfg *cfg, const Tensor *x, const Tensor *target,
                 const SaeSource *src, Err *err)
{
    Sae *s = mem_zalloc(sizeof *s, err);
    if (!s)
        return NULL;
    s->cfg = *cfg;
    s->act = sae_act(cfg->activation);
    s->norm = sae_norm_kind(cfg->normalise);
    s->own_target = target != NULL;
    target = target ? target : x;
    if (!s->act)
        err_set(err, ERR_OPTION, "there is no activation '%.40s'", cfg->activation);
    if (!s->act || !check(s, x, target, err)) {
        mem_free(s);
        return NULL;
    }
    s->x = tensor_retain(x);
    s->y = tensor_retain(target);
    s->N = src ? src->rows : x->dim[0];
    s->D = x->dim[1];
    s->O = target->dim[1];
    s->M = cfg->latents;
    s->src = src;
    if (src) {
        s->window_x = tensor_retain(&src->window);
        s->window_y = tensor_retain(s->own_target ? &src->window_target : &src->window);
    }
    if (prepare(s, err))
        return s;
    sae_free(s);
    return NULL;
}

Sae *sae_new(const SaeCfg *cfg, const Tensor *x, const Tensor *target, Err *err)
{
    return make(cfg, x, target, NULL, err);
}

Sae *sae_new_from(const SaeCfg *cfg, const SaeSource *src, Err *err)
{
    const Tensor *y = src->head_target.data ? &src->head_target : NULL;
    return make(cfg, &src->head, y, src, err);
}

void sae_let_go(Sae *s)
{
    s->src = NULL;
    tensor_release(&s->window_x);
    tensor_release(&s->window_y);
    s->window_x = s->window_y = (Tensor){0};
}

bool sae_is_fed(const Sae *s)
{
    return s->window_x.data != NULL;
}

void sae_free(Sae *s)
{
    if (!s)
        return;
    Tensor *const own[] = {&s->window_x, &s->window_y,
                           &s->x,       &s->y,         &s->theta,   &s->shift_in,
                           &s->gain_in, &s->shift_out, &s->gain_out, &s->mask_in,
                           &s->mask_out};
    for (size_t i = 0; i < ARRAY_LEN(own); i++)
        tensor_release(own[i]);
    tset_free(s->params);
    tset_free(s->states);
    mem_free(s);
}

const SaeCfg *sae_cfg(const Sae *s)
{
    return &s->cfg;
}

int64_t sae_in(const Sae *s)
{
    return s->D;
}

int64_t sae_out(const Sae *s)
{
    return s->O;
}

int64_t sae_latents(const Sae *s)
{
    return s->M;
}

int64_t sae_examples(const Sae *s)
{
    return s->N;
}

const Tensor *sae_activations(const Sae *s)
{
    return &s->x;
}

const Tensor *sae_targets(const Sae *s)
{
    return &s->y;
}

void sae_set_place(Sae *s, int place)
{
    s->prefix[0] = '\0';
    if (place > 0)
        snprintf(s->prefix, sizeof s->prefix, "%d.", place);
}

TensorSet *sae_params(Sae *s)
{
    return s->params;
}

TensorSet *sae_states(Sae *s)
{
    return s->states;
}

bool sae_has_theta(const Sae *s)
{
    return s->act->flags & (ACT_TRAINED | ACT_SHARED);
}

const Tensor *sae_theta(const Sae *s)
{
    return sae_has_theta(s) ? &s->theta : NULL;
}

double sae_aim(const Sae *s)
{
    return s->act->flags & ACT_K ? s->cfg.k : s->cfg.l0;
}

/* ---- the inference graph --------------------------------------------------------- */

Val sae_param(Sae *s, Graph *g, const char *name)
{
    return graph_state(g, name, tset_get(s->params, name));
}

bool sae_few(const Sae *s)
{
    return (s->act->flags & ACT_K) && s->cfg.k * FEW <= (double)s->M;
}

Val sae_times(const Sae *s, Graph *g, Val f, Val rows, Val b)
{
    if (sae_few(s))
        return g_call(g, "sparse_decode", (Val[]){f, rows, b}, b == VAL_NONE ? 2 : 3, NULL);
    Val y = g_matmul(g, f, rows, false, false);
    return b == VAL_NONE ? y : g_add(g, y, b);
}

Val sae_pre(Sae *s, Graph *g, Val x)
{
    if (sae_few(s)) {
        Val in[4] = {x, sae_param(s, g, "encoder"), sae_param(s, g, "encoder_bias"),
                     sae_param(s, g, "decoder_bias")};
        return g_call(g, "sparse_linear", in, s->own_target ? 3 : 4, NULL);
    }
    if (!s->own_target)
        x = g_sub(g, x, sae_param(s, g, "decoder_bias"));
    return g_linear(g, x, sae_param(s, g, "encoder"), sae_param(s, g, "encoder_bias"));
}

Val sae_write(Sae *s, Graph *g, Val f, Val x)
{
    Val y = sae_times(s, g, f, sae_param(s, g, "decoder"),
                      sae_param(s, g, "decoder_bias"));
    if (s->cfg.skip)
        y = g_add(g, y, g_linear(g, x, sae_param(s, g, "skip"), VAL_NONE));
    return y;
}

static bool fits(const Sae *s, Graph *g, Val x)
{
    char is[96];
    if (!graph_ok(g))
        return false;
    Spec p = graph_spec(g, x);
    if (p.ndim == 2 && p.dim[1] == s->D && p.dtype == F32)
        return true;
    graph_fail(g, ERR_SHAPE, "the autoencoder takes f32 [B,%lld], not %s",
               (long long)s->D, shape_format(p.dtype, p.ndim, p.dim, is));
    return false;
}

Val sae_encode(Sae *s, Graph *g, Val x)
{
    if (!fits(s, g, x))
        return VAL_NONE;
    return s->act->infer(s, g, sae_pre(s, g, sae_norm_in(s, g, x).x));
}

Val sae_reconstruct(Sae *s, Graph *g, Val x)
{
    if (!fits(s, g, x))
        return VAL_NONE;
    SaeScaled in = sae_norm_in(s, g, x);
    Val f = s->act->infer(s, g, sae_pre(s, g, in.x));
    return sae_norm_back(s, g, &in, sae_write(s, g, f, in.x));
}

/* ---- folding --------------------------------------------------------------------- */

static void scale_rows(const Tensor *t, const double *k, bool up)
{
    float *w = t ? t->data : NULL;
    int64_t rows = t ? t->dim[0] : 0, width = rows ? tensor_count(t) / rows : 0;
    for (int64_t i = 0; i < rows * width; i++)
        w[i] = (float)((double)w[i] * (up ? k[i / width] : 1 / k[i / width]));
}

bool sae_fold(Sae *s, Err *err)
{
    if (s->act->flags & ACT_K)
        return err_set(err, ERR_OPTION,
                       "%s selects by the size of the pre-activations, so scaling "
                       "latents would change which are chosen; train it with unit = "
                       "true",
                       s->act->name);
    const Tensor *dec = tset_get(s->params, "decoder");
    double *k = mem_alloc(sizeof *k * (size_t)s->M, err);
    if (!k)
        return false;
    for (int64_t m = 0; m < s->M; m++) {
        const float *row = (const float *)dec->data + m * s->O;
        double sum = 0;
        for (int64_t o = 0; o < s->O; o++)
            sum += (double)row[o] * (double)row[o];
        k[m] = fmax(sqrt(sum), 1e-8);
    }
    static const char *const up[] = {"encoder", "encoder_bias", "magnitude_bias"};
    scale_rows(dec, k, false);
    for (size_t i = 0; i < ARRAY_LEN(up); i++)
        scale_rows(tset_get(s->params, up[i]), k, true);
    scale_rows(&s->theta, k, true);
    mem_free(k);
    return true;
}
