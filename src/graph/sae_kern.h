/* sae_kern.h -- loops of the gates of sparse codes. u is [rows, M], theta [M]. */
#ifndef CLEAVE_GRAPH_SAE_KERN_H
#define CLEAVE_GRAPH_SAE_KERN_H
#include <stdint.h>

#include "base/kern.h"

typedef enum GateKind { GATE_JUMP, GATE_STEP, GATE_WINDOW } GateKind;
typedef struct SaeTable {
    /* u [u > theta], [u > theta], [|u - theta| < width/2] */
    void (*gate[3])(int64_t rows, int64_t M, const void *u, const void *theta,
                    double width, void *y);
} SaeTable;

KERN_TABLES(SaeTable, sae_table);
#endif
