/* sae.h -- sparse autoencoders and transcoders: one skeleton, tables for what differs.
 *   x' = normalise(x);  u = E (x' - a b) + e;  f = activation(u)
 *   y' = f D + b (+ S x');  y = denormalise(y')
 * loss = |y' - target'|^2 / V + weight * sparsity + aux * AuxK + kl * KL, with sums
 * over dimensions, means over the batch, and V the total variance of the normalised
 * targets, so that the first term is the fraction of variance unexplained. Encoder [M,D]
 * and decoder [M,O] hold one row for each latent; a = 1 unless there is a target of its
 * own (a transcoder). Top-k: Makhzani & Frey 2014, Gao et al. 2024 (arXiv 2406.04093);
 * BatchTopK arXiv 2412.06410; JumpReLU arXiv 2407.14435; gated arXiv 2404.16014;
 * matryoshka arXiv 2503.17547; AbsTopK arXiv 2510.00404. */
#ifndef CLEAVE_DECOMP_SAE_H
#define CLEAVE_DECOMP_SAE_H
#include "base/option.h"
#include "graph/optim.h"
#include "tensor/io.h"

typedef struct SaeCfg {
    char activation[OPT_STR_CAP], normalise[OPT_STR_CAP], control[OPT_STR_CAP];
    char start[OPT_STR_CAP], schedule[OPT_STR_CAP];
    int64_t latents, k_aux, dead_after, steps, batch, seed, warmup;
    double k, l0, sparsity, theta, width, aux, kl, lr;
    double theta_share, theta_end, width_end, clip;
    int64_t k_min, resample, split_in, split_out, split_latents;
    bool unit, skip, calibrate, warn;
} SaeCfg;
extern const OptRow sae_options[];
extern const size_t sae_n_options;

/* The rows of the activation table. */
typedef struct SaeActRow SaeActRow;
int sae_act_count(void);
const char *sae_act_name(int i);
const char *sae_act_doc(int i);

typedef struct Sae Sae;
/* Ready to train on x f32 [N,D], contiguous, and targets f32 [N,O] (NULL: x itself),
 * both retained. Errors: shapes, k above the number of latents, normalisations that do
 * not fit a target, values that are not finite. */
Sae *sae_new(const SaeCfg *cfg, const Tensor *x, const Tensor *target, Err *err);
/* Rows that are not all in memory. head: the first rows of x [H,D] and of the targets
 * [H,O] (data NULL: x itself), all or SAE_HEAD of them, which stand for all where a sample
 * is enough (starts from percentiles, calibration, warnings). window: where the loss
 * reads the rows idx; each: all rows in order, in blocks; y is x without targets. */
enum { SAE_HEAD = 16384 };
typedef bool SaeBlock(void *ctx, int64_t first, int64_t n, const float *x,
                      const float *y, Err *err);
typedef struct SaeSource {
    void *ctx;
    int64_t rows;
    Tensor head, head_target, window, window_target;
    bool (*each)(void *ctx, SaeBlock *block, void *block_ctx, Err *err);
} SaeSource;
/* As sae_new() on all rows, to the same bits. The source must stay until sae_let_go(),
 * after which nothing trains it further. */
Sae *sae_new_from(const SaeCfg *cfg, const SaeSource *src, Err *err);
void sae_let_go(Sae *s);
bool sae_is_fed(const Sae *s); /* its loss reads a window */
void sae_free(Sae *s); /* NULL is fine */
const SaeCfg *sae_cfg(const Sae *s);
int64_t sae_in(const Sae *s);      /* D */
int64_t sae_out(const Sae *s);     /* O */
int64_t sae_latents(const Sae *s); /* M */
int64_t sae_examples(const Sae *s);
const Tensor *sae_activations(const Sae *s); /* x as given, or the head of a source */
const Tensor *sae_targets(const Sae *s);     /* the same; x where there are none */
/* Its place among several that are trained together (0: alone), which is part of the
 * names of its moments. */
void sae_set_place(Sae *s, int place);
TensorSet *sae_params(Sae *s);
TensorSet *sae_states(Sae *s);
/* Thresholds f32 [M] of the activations that have some, else NULL. */
const Tensor *sae_theta(const Sae *s);

/* For the trainer; ctx is the Sae. The gradient of a unit-norm decoder loses its part
 * along each row before the step, and rows are made unit after it. */
Val sae_loss(void *ctx, Graph *g, Val idx);
void sae_adjust(void *ctx, Graph *g, OptimParam *p, int n);
void sae_after(void *ctx, Graph *g);

/* As values of a graph, from raw x [B,D]: the code [B,M] as at inference (one example
 * never depends on its batch), and the reconstruction [B,O] in x's or the target's
 * units. */
Val sae_encode(Sae *s, Graph *g, Val x);
Val sae_reconstruct(Sae *s, Graph *g, Val x);

/* Passes over x f32 [N,D] in blocks; pre: activations before the gate, f32 [N,M]. */
typedef struct SaeRows {
    int64_t first, n;       /* these examples */
    const float *u, *f, *y; /* [n,M] [n,M] [n,O] */
} SaeRows;
typedef bool SaeEach(void *ctx, const SaeRows *rows, Err *err);
/* block 0: chosen. Interruptible. */
bool sae_each(Sae *s, const Tensor *x, int64_t block, SaeEach *each, void *ctx,
              Err *err);
bool sae_codes(Sae *s, const Tensor *x, Tensor *out, Err *err);
bool sae_outputs(Sae *s, const Tensor *x, Tensor *out, Err *err);
/* Codes f32 [N,M] to outputs; an error where these depend on x beyond the code
 * (normalisation per example, skip). */
bool sae_decode(Sae *s, const Tensor *code, Tensor *out, Err *err);

/* Sets thresholds so that exactly round(l0 N) pre-activations of x are above theirs:
 * one number is added to all (BatchTopK: they start from 0). Trains nothing. For
 * activations without thresholds: ERR_OPTION. */
typedef struct SaeCalibration {
    double before, after, shift; /* mean L0 on x; added to the thresholds */
    bool edge; /* the target could not be met: too few positive pre-activations */
} SaeCalibration;
bool sae_calibrate(Sae *s, const Tensor *x, double l0, SaeCalibration *out, Err *err);
/* Weight of the penalty where the controller has brought it; else that of the
 * settings. */
double sae_weight(const Sae *s);
/* L0 that training aimed at: k, the target, or 0 for none. */
double sae_aim(const Sae *s);
bool sae_has_theta(const Sae *s);

/* Rows of the decoder become unit, encoder, biases and thresholds follow; codes change
 * by these factors, outputs and active sets do not. ERR_OPTION where selection depends
 * on the scale (top-k of any kind). */
bool sae_fold(Sae *s, Err *err);

/* For readers of other files: an autoencoder of these settings without examples, every
 * parameter at its start, inputs and targets as they are unless an example normalises
 * them. ERR_OPTION: settings that do not fit. */
Sae *sae_blank(const SaeCfg *cfg, int64_t D, int64_t O, bool own_target, Err *err);
bool sae_is_transcoder(const Sae *s);
/* Scale of the data, f32 [D] of inputs and [O] of targets: x' = (x - shift) gain. */
typedef struct SaeScale {
    const float *shift_in, *gain_in, *shift_out, *gain_out;
} SaeScale;
SaeScale sae_scale(const Sae *s);
float *sae_theta_data(Sae *s); /* [M], whether the activation has thresholds or not */

/* safetensors: parameters, thresholds, normalisation, settings as metadata. */
bool sae_save(const Sae *s, const char *path, Err *err);
/* What sae_save() wrote, to be used, not trained on: it has no examples. Errors name
 * the file and what is wrong with it. */
Sae *sae_load(const char *path, Err *err);
#endif
