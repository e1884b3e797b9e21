/* sweep.h -- a grid of settings as a list of independent runs. "seed=1..5
 * lr=1e-3,1e-4 name=a" has ten points; items are lists (a,b), whole ranges (1..5),
 * ranges with a step (0..1:0.25, both ends included where they are met) and single
 * values, all as text: the script's cl.config types them. A point is known by a mark
 * of the script's text and its settings, wherever and whenever it runs; run.json
 * records it, so that a point is not run twice. Owns its texts. */
#ifndef CLEAVE_LAB_SWEEP_H
#define CLEAVE_LAB_SWEEP_H
#include <stdint.h>

#include "base/err.h"

enum { SWEEP_MAX_POINTS = 1000000, SWEEP_MAX_SETTINGS = 64 };

typedef struct SweepPoint {
    char **setting; /* "name=text", in the order given; Sweep.n_settings of them */
    char mark[17];
} SweepPoint;
typedef struct Sweep {
    SweepPoint *point; /* the last setting varies fastest; no two have the same mark */
    size_t n, n_settings;
    char mark[17]; /* of the script and the grid as written */
    char *varied;  /* "lr,rank": names with more than one value, but for seed */
} Sweep;

/* script: its text; grid: "name=items" (a backslash keeps the next comma in a value).
 * ERR_OPTION names the item that cannot be read. */
bool sweep_expand(const char *script, size_t n, char *const *grid, int n_grid,
                  Sweep *out, Err *err);
void sweep_done(Sweep *s); /* zeroed is fine */

/* Which process of how many this is, as the launcher says it in the environment: Open
 * MPI, PMI (MPICH, Intel), srun's tasks, elements of a Slurm array, and tasks within
 * elements. 0 of 1 without a launcher. ERR_OPTION when what it says is impossible. */
bool sweep_share(size_t *rank, size_t *size, Err *err);
#endif
