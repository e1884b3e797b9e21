/* dictionary.h -- a tensor as a sum of rank-two parts:  T_c = sym sum_r D_rc a_r b_r^T.
 * "cp" fits a and b; "split" fits p and n with a = p + n, b = p - n, so that a
 * component is evidence for minus evidence against, (x.p)^2 - (x.n)^2: the same family.
 * Component activation: (x.a)(x.b); logits = activations D. A Dictionary owns its
 * tensors. Everything shown or measured is invariant under a -> s a, b -> b/s:
 * components are balanced (|a| = |b|) first, and the displayed patterns are (a+b)/|a+b|
 * and (a-b)/|a-b|, the two eigenvectors of the component's symmetric form. */
#ifndef CLEAVE_DECOMP_DICTIONARY_H
#define CLEAVE_DECOMP_DICTIONARY_H
#include "base/option.h"
#include "decomp/interaction.h"
#include "graph/graph.h"
#include "tensor/io.h"

typedef struct Dictionary {
    int64_t R, C, I;
    Tensor a, b;  /* f32 [R,I] */
    Tensor head;  /* f32 [R,C] */
    Tensor owner; /* i32 [R]: class of the largest |head| */
    /* Components that are displayed, the first ones; the rest is a residual that only
     * helps the fit. R after dict_new(). */
    int64_t shown;
} Dictionary;

bool dict_new(int64_t R, int64_t C, int64_t I, Dictionary *out, Err *err); /* zeros */
void dict_done(Dictionary *d);
/* A dictionary of components first..first+n-1 that shares d's memory. */
bool dict_part(const Dictionary *d, int64_t first, int64_t n, Dictionary *out,
               Err *err);
/* x's displayed components, then y's, then both residuals: a new dictionary. */
bool dict_join(const Dictionary *x, const Dictionary *y, Dictionary *out, Err *err);
void dict_find_owners(Dictionary *d);
void dict_balance(Dictionary *d);
/* Displayed patterns [2R,I] f32: rows 2r and 2r+1 are the plus and minus pattern of
 * component r, of unit norm (zero where a component has a single eigenvector). S not
 * NULL: of (S a, S b), what the filters respond to; raw: without balancing, as
 * published. */
bool dict_patterns(const Dictionary *d, const Tensor *S, bool raw, Tensor *out,
                   Err *err);
/* Activations [N,R] and logits [N,C] (either may be NULL) of x [N,I] f32. */
bool dict_activations(const Dictionary *d, const Tensor *x, Tensor *act, Tensor *logits,
                      Err *err);
/* Reorders components by falling std of activation times head norm over x; a residual
 * stays behind what is displayed. */
bool dict_order(Dictionary *d, const Tensor *x, Err *err);
bool dict_save(const Dictionary *d, const char *path, Err *err);
bool dict_load(const char *path, Dictionary *out, Err *err);

/* Inner products in a metric (S NULL: plain): <T,B>, <T,T>, <B,B>, and |T_r|^2 per
 * component in nrm [R] (may be NULL). All from factors, never from dense tensors. */
typedef struct DictGram {
    double TB, TT, BB;
} DictGram;
bool dict_gram(const Dictionary *d, const Interaction *b, const Tensor *S,
               DictGram *out, double *nrm, Err *err);
/* G f64 [R,R]: <T_r,T_s> in a metric (S NULL: plain), heads included. */
bool dict_gram_matrix(const Dictionary *d, const Tensor *S, Tensor *G, Err *err);
double gram_cosine(const DictGram *g); /* similarity: TB / sqrt(TT BB) */
/* Least squares: scales T so that <T,B> = <T,T>. */
bool dict_rescale(Dictionary *d, const Interaction *b, const Tensor *S, Err *err);

/* Starts. Eigen: the optimum of limit_one_hot() itself, balanced. Gauge: the same
 * tensor moved by a random element of O(n,n) inside each class (rotations by Haar
 * matrices, boosts N(0, 0.5^2)). Random: 0.02 N(0,1), owners round-robin. */
bool dict_start_eigen(const Spectrum *s, int64_t R, Dictionary *out, Err *err);
bool dict_gauge(Dictionary *d, uint64_t seed, Err *err);
/* The tensor of the displayed components, factored; heads of any kind. */
bool dict_interaction(const Dictionary *d, Interaction *out, Err *err);
/* The same displayed tensor in the gauge of its own eigenvectors in the metric (S NULL:
 * plain), where no two components of a class overlap: dictionaries that differ by a
 * gauge become equal. One-class heads; balanced; ordered by class and value. */
bool dict_canonical(const Dictionary *d, const Tensor *S, Dictionary *out, Err *err);
/* Anchors f32 [2R,I] as factors, rows r are a and rows R+r are b; owners by
 * dict_assign_owners() with as many components a class as the limit in the metric (S
 * NULL: plain) hands out. */
bool dict_start_anchors(const Interaction *b, const Tensor *S, const Tensor *anchors,
                        Dictionary *out, Err *err);
/* One-hot heads for given factors: component r goes to the class with the largest |a^T
 * B_c b|, best scores first, at most count[c] a class; b takes the sign, so that all
 * heads are +1. */
bool dict_assign_owners(Dictionary *d, const Interaction *b, const int64_t *count,
                        Err *err);
bool dict_start_random(int64_t R, int64_t C, int64_t I, uint64_t seed, Dictionary *out,
                       Err *err);
#endif
