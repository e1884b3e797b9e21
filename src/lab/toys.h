/* toys.h -- networks whose mechanisms are known, as rows: how to make and train the
 * target, the settings that decompose it (of today's code and of the paper, Bushnaq et
 * al. 2025, arXiv 2506.20790), and what a right answer looks like. */
#ifndef CLEAVE_LAB_TOYS_H
#define CLEAVE_LAB_TOYS_H
#include "decomp/spd_truth.h"
#include "lab/spd_fit.h"

enum { TOY_LAYERS = 6 };
typedef struct ToyRow {
    const char *name, *doc;
    const char *model;   /* a row of networks, */
    const char *options; /* and its options: "input=5 width=2" */
    double active;       /* probability of a feature */
    bool negative;       /* values in -1..1 rather than 0..1 */
    bool labels_relu;    /* the label is x + relu(x) rather than x */
    int64_t batch, steps;
    double lr;
    const char *schedule;
    const char *spd, *paper; /* options of spd_options on top of the defaults; paper on
                              * top of spd */
    const char *encoder;     /* whose columns the components should be; NULL: none */
    TruthLayer expect[TOY_LAYERS];
    double worst; /* loss of a target that has not learnt; above it: again */
} ToyRow;
int toy_count(void);
const ToyRow *toy_at(int i);
const ToyRow *toy_row(const char *name); /* NULL: none */
int toy_layers(const ToyRow *row);       /* of expect */

typedef struct Toy {
    const ToyRow *row;
    SpdNet net; /* net.model is owned */
    double loss;
    int64_t seed, attempts; /* the seed that gave a sound target */
    char why[160];          /* why the last rejected one was */
} Toy;
/* Trains targets from seed, seed + 1000, ... until one is sound (at most `attempts`):
 * for the toy model of superposition every column's norm is at least 0.9 and, in two
 * dimensions, neighbours are 360/n degrees apart within 10. steps 0: the row's. False
 * with ERR_STATE when none was. */
bool toy_make(const ToyRow *row, int64_t seed, int64_t attempts, int64_t steps,
              const TrainHooks *hooks, Toy *out, Err *err);
void toy_done(Toy *t);
/* The row's settings on cfg, which holds defaults. */
bool toy_preset(const ToyRow *row, bool paper, SpdCfg *cfg, Err *err);
bool toy_truth(const Toy *t, Spd *s, SpdTruth *out, Err *err);
#endif
