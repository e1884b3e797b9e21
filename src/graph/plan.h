/* plan.h -- a graph made ready to run again and again. Planning drops dead nodes,
 * merges common subexpressions, fuses what pays (weight gradient with the optimiser at
 * small batches), and assigns every temporary a slot of one arena with in-place reuse.
 * plan_run() allocates nothing and gives the bits that eager calls of the same ops
 * would give. A Plan owns its arena and holds references to states and constants. The
 * step counter is the plan's; random ops read (seed, step). Interrupt: looked at
 * between nodes; a run that stops leaves the step counter where it was (states may be
 * partly updated: trainers restore). */
#ifndef CLEAVE_GRAPH_PLAN_H
#define CLEAVE_GRAPH_PLAN_H
#include "graph/graph.h"

typedef struct Plan Plan;
typedef struct PlanInfo {
    int nodes, nodes_recorded, merged, fused, in_place;
    size_t arena_bytes, no_reuse_bytes; /* with and without slot reuse */
    double flops;                       /* a run, by the rows' cost rules */
} PlanInfo;

Plan *plan_new(const Graph *g, uint64_t seed, Err *err);
void plan_free(Plan *p);
int plan_input_count(const Plan *p);
const char *plan_input_name(const Plan *p, int i);
int plan_input_index(const Plan *p, const char *name); /* -1: none */
Spec plan_input_spec(const Plan *p, int i);
int plan_output_index(const Plan *p, const char *name);
int plan_output_count(const Plan *p);
const char *plan_output_name(const Plan *p, int i);

/* in[i] for every input, contiguous and of the planned spec (ERR_SHAPE otherwise). */
bool plan_run(Plan *p, const Tensor *in, Err *err);
/* Scalar inputs may also be set once and stay bound: pass a Tensor with data == NULL in
 * plan_run to keep what plan_bind_number() gave. */
bool plan_bind_number(Plan *p, int input, double v, Err *err);
/* Valid until the next run; borrowed. */
const Tensor *plan_output(const Plan *p, int i);
uint64_t plan_step(const Plan *p);
void plan_set_step(Plan *p, uint64_t step);
PlanInfo plan_info(const Plan *p);
/* One line per node for people: "fc1 linear f32[8,128] slot 3 in-place". */
struct Str;
void plan_describe(const Plan *p, struct Str *out);
/* Per-node seconds of the next runs; NULL switches off. */
void plan_profile(Plan *p, double *seconds_per_node);
/* For tests, of plans made from now on: every temporary in memory of its own; freed
 * memory filled with NaN after its last use. */
enum { PLAN_TEST_NO_REUSE = 1, PLAN_TEST_POISON = 2 };
void plan_test_flags(unsigned flags);
#endif
