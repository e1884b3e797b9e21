/* optim.h -- optimisers as in-plan state. optim_build() appends update nodes that write
 * the parameters in place and keep moments as states named "<param>.m", "<param>.v".
 * The learning rate is the graph input "lr" (schedules are host-side rows: sched_rate),
 * the step number the input "t" (1 at the first step). Rows: sgd (momentum), adam
 * (Kingma & Ba 2015), adamw (decoupled decay, Loshchilov & Hutter 2019), adam with
 * coupled L2 (weight_decay added to the gradient). Clipping by global norm before the
 * update (0: off). */
#ifndef CLEAVE_GRAPH_OPTIM_H
#define CLEAVE_GRAPH_OPTIM_H
#include "base/option.h"
#include "graph/graph.h"
#include "tensor/io.h"

typedef struct OptimCfg {
    char method[OPT_STR_CAP]; /* sgd adam adamw adam_l2 */
    double lr, beta1, beta2, eps, weight_decay, momentum, clip;
    char schedule[OPT_STR_CAP]; /* constant linear cosine onecycle */
    int64_t warmup;             /* steps of linear warm-up */
    double final_lr;            /* fraction of lr at the end of linear and cosine */
} OptimCfg;
extern const OptRow optim_options[];
extern const size_t optim_n_options;

typedef struct OptimParam {
    const char *name;
    Val param; /* a state */
    Val grad;
    double decay; /* multiplies cfg->weight_decay: 0 for biases if wanted */
} OptimParam;

/* New moment tensors (zeroed) are added to `moments` under their names unless it
 * already has them (resume); the set must outlive the plan. */
bool optim_build(Graph *g, const OptimCfg *cfg, const OptimParam *p, int n,
                 TensorSet *moments, Err *err);
/* The rate of step t (1-based) of `total`. */
double sched_rate(const OptimCfg *cfg, int64_t t, int64_t total);
#endif
