/* spd_view.h -- the gauge of a decomposition, and its files. Multiplying V[:,c] by s and
 * U[c,:] by 1/s changes no output, so signs and scales of single columns mean nothing
 * until a convention fixes them. */
#ifndef CLEAVE_DECOMP_SPD_VIEW_H
#define CLEAVE_DECOMP_SPD_VIEW_H
#include "decomp/spd.h"

/* What V and U can be without changing anything else: |V[:,c]| = 1, and the mean of a_c
 * over positions of x with g_c > 0.1 positive (none: the largest entry of V[:,c]).
 * U and the CI functions follow, so outputs and importances stay. */
bool spd_canonical(Spd *s, const Tensor *x, Err *err);

/* safetensors: parameters, settings as metadata. */
bool spd_save(const Spd *s, const char *path, Err *err);
bool spd_load_into(Spd *s, const char *path, Err *err);
#endif
