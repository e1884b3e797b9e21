/* interaction.h -- the interaction tensor of a bilinear network, always in factored
 * form:
 *   B_cij = sym sum_h head_ch L_hi R_hj,  L = left embed, R = right embed,
 * kept as B_c = embed^T M_c embed with the small symmetric cores M_c [C,E,E]. A network
 * without an embedding gets an orthonormal basis of its factors instead (QR), so E <=
 * min(2H, I). Metrics: plain (identity) or data, where <T,B> = sum_c tr(T_c S B_c S)
 * with the second moment S of what the network saw. All in f64. An Interaction and a
 * Spectrum own their tensors. */
#ifndef CLEAVE_DECOMP_INTERACTION_H
#define CLEAVE_DECOMP_INTERACTION_H
#include "tensor/tensor.h"

enum { INTERACTION_MAX_CLASSES = 4096 };

typedef struct Interaction {
    int64_t C, E, I;
    Tensor embed; /* f64 [E,I] */
    Tensor core;  /* f64 [C,E,E], symmetric */
    Tensor bias;  /* f64 [C] of the network, zeros if it has none */
} Interaction;

/* embed [E,I] or NULL, left and right [H,E] (or [H,I]), head [C,H], bias [C] or NULL;
 * f32 or f64. */
bool interaction_new(const Tensor *embed, const Tensor *left, const Tensor *right,
                     const Tensor *head, const Tensor *bias, Interaction *out,
                     Err *err);
void interaction_done(Interaction *b);
/* One class as a symmetric f64 [I,I] matrix. */
bool interaction_dense(const Interaction *b, int64_t c, Tensor *out, Err *err);

/* The metric's S times rows: y [n,I] = x [n,I] S, f64; S NULL means the identity (a
 * copy). */
bool metric_apply(const Tensor *S, const Tensor *x, Tensor *y, Err *err);
/* embed S embed^T, f64 [E,E]. */
bool interaction_gram(const Interaction *b, const Tensor *S, Tensor *K, Err *err);
/* <B,B> = sum_c tr(M_c K M_c K). */
bool interaction_norm2(const Interaction *b, const Tensor *K, double *out, Err *err);
/* Cosine of two networks' tensors of the same C and I in a metric, from their factors.
 */
bool interaction_cosine(const Interaction *a, const Interaction *b, const Tensor *S,
                        double *out, Err *err);
/* Logits without bias x^T B_c x of rows x [N,I] f32: out [N,C] f32. */
bool interaction_logits(const Interaction *b, const Tensor *x, Tensor *out, Err *err);

/* Eigenvalues of S^1/2 B_c S^1/2 per class, descending, and row filters w with w_k S
 * w_l^T = delta_kl and B_c S-equivalent to sum_k val_k w_k^T w_k. In the plain metric
 * these are the eigenvectors of B_c (Pearce et al. 2024). Signs: largest |entry| of a
 * filter positive. */
typedef struct Spectrum {
    int64_t C, K, I;
    Tensor val;    /* f64 [C,K] */
    Tensor filter; /* f64 [C,K,I] */
} Spectrum;
bool spectrum_new(const Interaction *b, const Tensor *S, Spectrum *out, Err *err);
void spectrum_done(Spectrum *s);

/* The best cosine any dictionary of n one-hot components can reach, in the metric of
 * the spectrum: one component holds one positive and one negative eigenvalue of its
 * class (cp and split; `pairs`), or a single one (sym). count[C] gets the components
 * each class receives when they are handed out greedily by captured energy; it may be
 * NULL. */
double limit_one_hot(const Spectrum *s, int64_t n, bool pairs, int64_t *count);
#endif
