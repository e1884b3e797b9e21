/* classic.h -- the textbook decompositions of a three-way tensor, as references:
 *   CP by alternating least squares (Carroll & Chang 1970, Harshman 1970): each factor
 *   in turn solves F (G1 * G2) = X_(k) (Khatri-Rao product), G = Gram matrices, with a
 *   line search along the last sweep's direction (Rajih, Comon & Harshman 2008);
 *   HOSVD (De Lathauwer, De Moor & Vandewalle 2000): singular vectors of every
 *   unfolding and the core between them.
 * All in f64, deterministic, interruptible. */
#ifndef CLEAVE_DECOMP_CLASSIC_H
#define CLEAVE_DECOMP_CLASSIC_H
#include "decomp/dictionary.h"

typedef struct AlsCfg {
    int64_t components, steps, seed;
    double tolerance; /* stop when a sweep lowers the relative error by less */
    bool line_search;
} AlsCfg;
extern const OptRow als_options[];
extern const size_t als_n_options;

typedef struct Als {
    Tensor factor[3]; /* f64 [n_k,R] */
    int64_t sweeps;
    int64_t jumps; /* extrapolations that lowered the error */
    double error;  /* |X - T| / |X| */
} Als;
/* X f64 [n0,n1,n2], not zero. */
bool als_fit(const Tensor *X, const AlsCfg *cfg, Als *out, Err *err);
void als_done(Als *a);

typedef struct Hosvd {
    Tensor u[3];     /* f64 [n_k,rank_k], orthonormal columns */
    Tensor sigma[3]; /* f64 [min(n_k, rest)] singular values of the unfolding */
    Tensor core;     /* f64 [rank_0,rank_1,rank_2] */
    double error;    /* |X - core x u| / |X| */
} Hosvd;
/* rank[k] is cut to what there is; 0: all. */
bool hosvd_fit(const Tensor *X, const int64_t rank[3], Hosvd *out, Err *err);
void hosvd_done(Hosvd *h);

/* The interaction tensor in an orthonormal basis of its pixels: X f64 [C,E,E], Q f64
 * [I,E] with B_c = Q X_c Q^T. Norms and products are those of the full tensor. */
bool interaction_compress(const Interaction *b, Tensor *X, Tensor *Q, Err *err);
/* CP of the interaction tensor as a dictionary with free heads, in the plain metric;
 * T is symmetrised, which can only lower the error. */
bool interaction_als(const Interaction *b, const AlsCfg *cfg, Dictionary *out,
                     Als *report, Err *err);
#endif
