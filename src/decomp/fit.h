/* fit.h -- fitting a dictionary to an interaction tensor: a loss on a graph, for any
 * trainer.
 *   loss = 1 - similarity + sum_k weight_k prior_k
 *          + distill MSE(decomposed logits, logits) / variance
 * in the data metric (S, the second moment of what the network saw) or the plain one,
 * everything through Gram matrices of the factors. Heads are one-hot: component r
 * belongs to one class for good. A DictFit owns its parameters and constants and
 * borrows the interaction for its life. */
#ifndef CLEAVE_DECOMP_FIT_H
#define CLEAVE_DECOMP_FIT_H
#include "decomp/dictionary.h"
#include "decomp/priors.h"

typedef struct DictCfg {
    int64_t components, heads, steps, seed, batch;
    char family[OPT_STR_CAP]; /* cp split */
    char start[OPT_STR_CAP];  /* eigen gauge stroke random given */
    char metric[OPT_STR_CAP]; /* data plain */
    char schedule[OPT_STR_CAP];
    double lr, emphasis, distill;
    double prior[PRIOR_CAP]; /* weights, in the order of prior_rows */
} DictCfg;
extern const OptRow dict_options[];
extern const size_t dict_n_options;

/* What the fit may need besides the tensor. */
typedef struct DictData {
    const Tensor *S;      /* f64 [I,I]; needed in the data metric */
    const Tensor *unlit;  /* f32 [I], 1 where hardly any image is lit; NULL: unknown */
    const Tensor *x;      /* f32 [N,I] examples for distillation; NULL: none */
    const Tensor *logits; /* f32 [N,C] the network's, without bias */
    const Tensor *labels; /* i32 [N or more]; NULL: unknown */
    /* f32 [2R,I] for start = "stroke": rows r are a, rows R+r are b; NULL: the stroke
     * bank. */
    const Tensor *anchors;
    /* for start = "given": one-class heads, as many components as asked for */
    const Dictionary *given;
    int64_t height, width;
} DictData;

typedef struct DictFit DictFit;
DictFit *dictfit_new(const DictCfg *cfg, const Interaction *b, const DictData *data,
                     Err *err);
void dictfit_free(DictFit *f);
TensorSet *dictfit_params(DictFit *f); /* "a" "b", or "p" "n": trained in place */
/* Appends the loss; also outputs "similarity". idx [B] i32 picks distillation examples
 * (VAL_NONE when distill is 0). Has the signature of a trainer's builder: ctx is the
 * DictFit. */
Val dictfit_loss(void *ctx, Graph *g, Val idx);
/* The dictionary as it stands: balanced, scaled by least squares in the fit's metric.
 */
bool dictfit_finish(DictFit *f, Dictionary *out, Err *err);
#endif
