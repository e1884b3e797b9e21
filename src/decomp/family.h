/* family.h -- dictionary families as rows of one table: how the factors of
 *   T_c = sym sum_r D_rc a_r b_r^T
 * are made of parameters, and what they start from. One loss serves them all:
 *   1 - cos(T,B) + distill MSE(logits)/variance + sum_k weight_k prior_k
 *   + anchor |factor - anchor|^2 + penalty(t) |T_residual|^2/|T|^2
 *   + consistency (share of a component's squared activation on other classes).
 * Heads keep their `top` largest entries (all: 0); a residual is a free branch behind
 * the displayed components. Priors see the balanced patterns of the displayed ones. A
 * Family owns its parameters and borrows the interaction. */
#ifndef CLEAVE_DECOMP_FAMILY_H
#define CLEAVE_DECOMP_FAMILY_H
#include "decomp/fit.h"

typedef struct FamilyCfg {
    char family[OPT_STR_CAP], metric[OPT_STR_CAP], schedule[OPT_STR_CAP];
    int64_t components, residual, boost, bank, top, smooth, steps, seed, batch,
        examples;
    double lr, weight_decay, sigma, gain, distill, anchor, penalty, penalty_end,
        consistency, emphasis;
    double prior[PRIOR_CAP];
} FamilyCfg;
extern const OptRow family_options[];
extern const size_t family_n_options;

typedef struct Family Family;
typedef struct FamilyRow {
    const char *name, *doc;
    const char *settings; /* its own defaults, "top=1 smooth=2" */
    bool symmetric;       /* b is a */
    bool (*start)(Family *f, const DictData *d, Err *err); /* adds parameters */
    Val (*factors)(Family *f, Graph *g); /* [2R,I]: a's rows, then b's; or [R,I] */
} FamilyRow;
extern const FamilyRow family_rows[];
extern const size_t family_n_rows;
const FamilyRow *family_row(const char *name); /* NULL: none */

/* A published run: settings of a family, and what was measured (NaN: not reported). */
typedef struct PublishedRow {
    const char *name, *family, *settings;
    double similarity, main, accuracy, gini, locality, selectivity, limit;
} PublishedRow;
extern const PublishedRow published_rows[];
extern const size_t published_n_rows;

/* "a=1 b=2" onto cfg. where starts the error sentence. */
bool family_set(FamilyCfg *cfg, const char *settings, const char *where, Err *err);
/* Defaults of all, then of the family. */
bool family_defaults(const char *family, FamilyCfg *cfg, Err *err);

/* data: S for the data metric, x and logits for distillation and consistency, labels
 * (in the range of classes) for consistency, anchors [2R,I] instead of the family's
 * own, height and width. */
Family *family_new(const FamilyCfg *cfg, const Interaction *b, const DictData *data,
                   Err *err);
void family_free(Family *f);
TensorSet *family_params(Family *f);
TensorSet *family_states(Family *f); /* what the loss assigns; NULL: nothing */
bool family_needs_examples(const FamilyCfg *cfg);
/* Builder for a trainer; also outputs "similarity" and "main_similarity". */
Val family_loss(void *ctx, Graph *g, Val idx);
/* The dictionary as it stands, scaled by least squares; not balanced. */
bool family_finish(Family *f, Dictionary *out, Err *err);

/* Anchors from examples x f32 [N,I] with labels: class means, all pairwise differences
 * of them, and n_pc principal components; mean removed, unit norm: new f32 [K,I]. */
bool data_anchors(const Tensor *x, const Tensor *labels, int64_t C, int64_t n_pc,
                  Tensor *out, Err *err);
/* What the tensor leaves when a dictionary is taken away: B - T, factored. */
bool interaction_minus(const Interaction *b, const Dictionary *d, Interaction *out,
                       Err *err);
#endif
