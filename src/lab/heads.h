/* heads.h -- several labels of one example, each with its own slice of the logits:
 * the loss is the sum of the heads' cross-entropies; accuracy is that of each head,
 * and the share of examples on which all heads are right. A data set of one label is
 * one head. */
#ifndef CLEAVE_LAB_HEADS_H
#define CLEAVE_LAB_HEADS_H
#include "data/dataset.h"
#include "graph/graph.h"

/* Heads of d, at least 1; size[h] and first[h] describe its slice of the logits, and
 * its labels are label / divide[h] % size[h]. */
typedef struct Heads {
    int n;
    int64_t size[DATASET_HEADS], first[DATASET_HEADS], divide[DATASET_HEADS], outputs;
} Heads;
Heads dataset_heads(const Dataset *d);

/* logits [B,outputs], labels i32 [B] as d has them. Targets are (1 - s) one-hot + s / C
 * with s = smoothing. */
Val heads_loss(Graph *g, const Dataset *d, Val logits, Val labels, double smoothing);

typedef struct HeadScore {
    double acc[DATASET_HEADS]; /* of each head */
    double joint, nll;         /* all heads right; sum over heads, mean over examples */
} HeadScore;
/* logits f32 [N,outputs] of all of d's examples. */
bool heads_score(const Dataset *d, const Tensor *logits, HeadScore *out, Err *err);
/* Share of rows on which a and b have the same largest logit, of each head and of all;
 * nll is 0. */
bool heads_agreement(const Dataset *d, const Tensor *a, const Tensor *b, HeadScore *out,
                     Err *err);
#endif
