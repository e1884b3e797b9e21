/* lookup.h -- tables as baselines of a code: what is known of a vector of logits when
 * only the answer is known, or the answer and how sure it is, or the answer and the
 * runner-up, or the nearest of K vectors. An autoencoder with one active latent has to
 * be better than these to have found anything; and one can be written down that gives
 * every answer of the network. */
#ifndef CLEAVE_DECOMP_LOOKUP_H
#define CLEAVE_DECOMP_LOOKUP_H
#include "decomp/sae.h"

typedef struct LookupCfg {
    char kind[OPT_STR_CAP];
    int64_t cells, sweeps, seed; /* kmeans */
} LookupCfg;
extern const OptRow lookup_options[];
extern const size_t lookup_n_options;

/* The rows of the table: "constant", "argmax", "affine", "runner_up", "kmeans". */
int lookup_count(void);
const char *lookup_name(int i);
const char *lookup_doc(int i);

typedef struct Lookup {
    LookupCfg cfg;
    int row;
    int64_t C, cells;
    Tensor value; /* f64 [cells,C]: what a cell stands for; its intercept in "affine" */
    Tensor slope; /* f64 [cells,C] times the largest logit; empty but in "affine" */
    Tensor mean, gain; /* f64 [C]: kmeans measures distance in (x - mean) gain */
    int64_t sweeps;    /* of kmeans until nothing moved, or cfg.sweeps */
} Lookup;

/* Fits the table to logits f32 [N,C]. Values are means over the examples of a cell;
 * pairs that never occurred stand for the mean of their answer. kmeans (Lloyd 1982, from
 * k-means++ seeds) works on logits with mean 0 and standard deviation 1 in each
 * dimension. ERR_OPTION: more cells than examples. Interruptible. */
bool lookup_fit(const LookupCfg *cfg, const Tensor *x, Lookup *out, Err *err);
void lookup_done(Lookup *l); /* zeroed is fine */
/* Outputs f32 [N,C] and cells i32 [N] (either may be NULL). */
bool lookup_apply(const Lookup *l, const Tensor *x, Tensor *out, Tensor *cell,
                  Err *err);

/* An autoencoder on logits with one latent per class and one active, not trained:
 * latent c reads its logit plus `margin` and writes along the mean z-scored logits of
 * the examples whose answer is c, at a length right on average. Its answers are the
 * network's wherever the largest entry of that mean is c. */
Sae *sae_argmax(const Tensor *x, double margin, Err *err);
#endif
