/* family_int.h -- what the rows of family.h share with the loss: the parameters by
 * name and the constants of a fit. */
#ifndef CLEAVE_DECOMP_FAMILY_INT_H
#define CLEAVE_DECOMP_FAMILY_INT_H
#include "decomp/family.h"
#include "decomp/terms.h"

struct Family {
    FamilyCfg cfg;
    const FamilyRow *row;
    const Interaction *b;
    bool data_metric;
    int64_t R, Q, C, I, height, width; /* displayed, residual */
    TensorSet *params, *states;
    Tensor S64, unlit;
    Tensor anchors; /* f32 [2R,I] unit norm; empty: none */
    Tensor masks;   /* f32 [2R,I] fixed; empty: none */
    Tensor ys, xs;  /* f32 coordinates for learnt masks */
    Tensor clock;   /* f32 scalar: steps done */
    Tensor own;     /* f32 [N,C] one-hot labels */
    HeadConst cosine;
    Distill distill;
};

Val family_param(Family *f, Graph *g, const char *name);
bool family_add(Family *f, const char *name, int64_t n, int64_t m, Err *err,
                Tensor *view);
/* name [n,m] from N(0, std^2), a stream of its own. */
bool family_add_normal(Family *f, const char *name, int64_t n, int64_t m, double std,
                       Err *err);
#endif
