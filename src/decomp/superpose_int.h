/* superpose_int.h -- what the files on superposition share. */
#ifndef CLEAVE_DECOMP_SUPERPOSE_INT_H
#define CLEAVE_DECOMP_SUPERPOSE_INT_H
#include <stdio.h>

#include "base/intr.h"
#include "base/str.h"
#include "decomp/superpose.h"

typedef enum SuperTarget { SUPER_RELU, SUPER_IDENTITY, SUPER_ABS } SuperTarget;

struct Super {
    SuperCfg cfg;
    bool tied, weighted;
    SuperTarget target;
    double lo; /* smallest value of an active feature */
    TensorSet *params;
    Tensor importance; /* f32 [N] */
    Tensor mixing;     /* f32 [N,N]; empty: none */
};
/* Angles between the columns of w [n,N]: abs_cos to frame4 of *m. */
bool super_angles(const Tensor *w, SuperMeasure *m, Err *err);
#endif
