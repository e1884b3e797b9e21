/* plan_int.h -- the planner's and the runner's common structures.
 * While a plan is built, nodes and values are plain arrays that passes rewrite
 * (plan_opt.c: merge, drop, fuse, copy; plan_mem.c: memory, arguments). What a run
 * needs stays in the plan's own arena; the rest dies with the builder's. */
#ifndef CLEAVE_GRAPH_PLAN_INT_H
#define CLEAVE_GRAPH_PLAN_INT_H
#include "base/mem.h"
#include "graph/graph_int.h"
#include "graph/plan.h"

typedef struct PNode {
    const OpRow *row; /* NULL: dropped */
    int n_in, n_out;
    Val in[OP_MAX_IN];
    int version[OP_MAX_IN]; /* of states read directly, as the graph recorded them */
    Val out[OP_MAX_OUT];
    const OpAttr *attr; /* in the plan's arena */
    bool in_place;
} PNode;

typedef struct PVal {
    Spec spec;
    ValKind kind;
    int index; /* of the input, state or constant */
    Val owner; /* whose memory it is: itself, or through views and in-place ops another
                */
    int def, last;    /* of an owner: positions of its first and last use */
    size_t offset;    /* of an owner that lives in the arena */
    const char *name; /* "" or a site's, input's or state's */
} PVal;

typedef struct PlanOut {
    const char *name;
    Val val;
    int pos; /* nodes before it when it was asked for */
} PlanOut;

typedef struct Step { /* what replay touches */
    bool (*run)(const OpArgs *x, Err *err);
    OpArgs args;
} Step;

typedef struct PlanInput {
    const char *name;
    Spec spec;
    Val val;
    double number; /* storage of a bound scalar */
    bool bound;
    int n_alias; /* tensors that share the memory */
    Tensor **alias;
} PlanInput;

typedef struct Poison { /* test mode: memory that is free after a node */
    int after;
    size_t offset, bytes;
} Poison;

struct Plan {
    Arena *arena;
    char *memory; /* slots, then the common scratch */
    Step *step;
    PNode *node;
    PVal *val;
    Tensor *tensor; /* one per value */
    PlanInput *input;
    PlanOut *output;
    Tensor *held; /* references to states and constants */
    Poison *poison;
    int n_node, n_val, n_input, n_output, n_held, n_poison;
    RunCtx ctx;
    PlanInfo info;
    double *profile;
};

/* The builder's view: everything in p, plus what only planning needs. */
typedef struct Builder {
    Plan *p;
    const Graph *g;
    Arena *tmp;
    int cap_node, cap_val;
    Err *err;
} Builder;

bool opt_load(Builder *b);   /* nodes and values of the graph */
bool opt_merge(Builder *b);  /* common subexpressions */
bool opt_drop(Builder *b);   /* dead nodes; compacts */
bool opt_fuse(Builder *b);   /* weight gradient + step; compacts */
bool opt_copies(Builder *b); /* where a view or an output must not share memory */
bool mem_plan(Builder *b);   /* slots, in-place, tensors, arguments */

/* Which input of a step row is the gradient; -1 when the row is no step. */
int optim_grad_input(const OpRow *row);
/* The row that takes linear_dw's inputs dy, x in place of its output; NULL when that
 * would not give the same bits. */
const OpRow *optim_fused_row(const OpRow *step, const Spec *dy);
extern const OpRow row_copy;
#endif
