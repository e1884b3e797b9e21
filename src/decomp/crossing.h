/* crossing.h -- orders of the two sides of a bipartite graph in which few edges cross:
 * edges (i,j) and (k,l) cross when (pos i - pos k)(pos j - pos l) < 0. Connected parts
 * are ordered one after the other, each from the order of its indices, from the second
 * singular vectors of its normalised adjacency, and from random orders, by sorting each
 * side by the median or mean place of its neighbours in turn (Sugiyama et al. 1981;
 * Eades & Wormald 1994) and then moving single nodes to their best place (Matuszewski
 * et al. 1999). The problem is NP-hard: no claim that the result is optimal. */
#ifndef CLEAVE_DECOMP_CROSSING_H
#define CLEAVE_DECOMP_CROSSING_H
#include "base/option.h"
#include "tensor/tensor.h"

typedef struct CrossingCfg {
    int64_t restarts, sweeps, seed;
    char sort[OPT_STR_CAP];
    bool spectral, sift;
} CrossingCfg;
extern const OptRow crossing_options[];
extern const size_t crossing_n_options;

typedef struct Crossing {
    Tensor left, right; /* i32: indices in order; left only those with an edge */
    int64_t crossings, by_index; /* in these orders, and in that of the indices */
    int64_t edges, parts;
} Crossing;
/* weights f64 [n,m] contiguous: an edge where finite and not 0. */
bool crossing_minimise(const Tensor *weights, const CrossingCfg *cfg, Crossing *out,
                       Err *err);
void crossing_done(Crossing *c);
/* Crossings with given orders, i32 lists of distinct indices; nodes that are not listed
 * do not count. O(E log V) with a Fenwick tree. */
bool crossing_count(const Tensor *weights, const Tensor *left, const Tensor *right,
                    int64_t *out, Err *err);
#endif
