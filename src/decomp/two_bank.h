/* two_bank.h -- the published two-bank method: two dictionaries of stroke templates
 * with different anchors, each factor (anchor + smooth(delta)) under a Gaussian mask
 * with learnable centre and width, one-class heads, no residual, fitted in the plain
 * metric with distillation:
 *   loss = 1 - cos(T,B) + distill MSE(logits) / variance
 *          + sparsity |patterns|_1 + anchor |factor - anchor|^2.
 * A TwoBank owns its parameters; the interaction is borrowed. */
#ifndef CLEAVE_DECOMP_TWO_BANK_H
#define CLEAVE_DECOMP_TWO_BANK_H
#include "decomp/fit.h"

typedef struct TwoBankCfg {
    int64_t components, steps, seed, batch;
    double lr, weight_decay, distill, anchor, sparsity, gain;
} TwoBankCfg;
extern const OptRow twobank_options[];
extern const size_t twobank_n_options;

typedef struct TwoBank TwoBank;
/* data: x and logits for distillation, height and width, anchors (NULL: the stroke
 * bank); S and unlit are not used. */
TwoBank *twobank_new(const TwoBankCfg *cfg, const Interaction *b, const DictData *data,
                     Err *err);
void twobank_free(TwoBank *f);
TensorSet *twobank_params(TwoBank *f);
Val twobank_loss(void *ctx, Graph *g, Val idx);
/* Scaled by least squares in the plain metric; not balanced. */
bool twobank_finish(TwoBank *f, Dictionary *out, Err *err);
#endif
