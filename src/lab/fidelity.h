/* fidelity.h -- what is left of a classifier when its logits are replaced: calibration
 * of the answers, errors in z-scored logits, and information in bits. All sums are in
 * double over the whole set. Logits and outputs are f32 [N,C], labels i32 [N]. */
#ifndef CLEAVE_LAB_FIDELITY_H
#define CLEAVE_LAB_FIDELITY_H
#include "lab/sae_fit.h"

/* How far confidence (the largest probability) is from being right as often. Bins are
 * equal parts of 0..1, (a,b], as in Guo et al. 2017 (arXiv 1706.04599). */
enum { CALIB_MAX_BINS = 1000 };
typedef struct Calibration {
    double acc, nll, brier; /* brier: mean squared distance from the one-hot label */
    double confidence;      /* mean */
    double ece,
        mce; /* mean over examples, and most over bins, of |accuracy - confidence| */
} Calibration;
/* table: NULL, or f64 [bins,3] is put there: examples, mean confidence, accuracy of each
 * bin. ERR_OPTION: bins outside 1..CALIB_MAX_BINS. */
bool logits_calibration(const Tensor *logits, const Tensor *labels, int64_t bins,
                        Calibration *out, Tensor *table, Err *err);

typedef struct Fidelity {
    double acc, acc_base, acc_loss, ce, ce_base, ce_loss, recovered;
    double agreement, kl, to_wrong, to_right;
    double mse, fve;                 /* raw logits */
    double mse_z, fve_z;             /* z-scored with `reference` */
    double median, p95, best, worst; /* of the examples' mse_z */
    double best_at, worst_at;        /* indices from 0 */
    double bits_kept,
        bits_there; /* about the network's distribution, given its answer */
    double ece, ece_base;
} Fidelity;
typedef struct FidelityRow {
    const char *name, *doc;
    size_t offset;
} FidelityRow;
extern const FidelityRow fidelity_rows[];
extern const size_t fidelity_n_rows;

/* reference: logits whose means and standard deviations (n - 1) make the z-score; NULL:
 * those given. errors: NULL, or f64 [N] is put there, each example's mse_z.
 * A draw from the network's distribution p and the network's answer a share I(draw; a);
 * of what p says beyond that, bits_there = E KL(p || mean p of the examples with the
 * same answer), outputs q keep bits_kept = bits_there - E KL(p || q): 0 for the best
 * table of answers, all of it for the logits themselves, negative when worse than the
 * table. */
bool logits_fidelity(const Tensor *logits, const Tensor *outputs, const Tensor *labels,
                     const Tensor *reference, Fidelity *out, Tensor *errors, Err *err);

/* Which latents are active (for f32 [N,M], those that are not 0) or which cell (i32 [N]),
 * as a word, and the answer of the logits: entropies in bits, from the counts. */
typedef struct CodeBits {
    double words;        /* different ones */
    double word, answer; /* H(word), H(answer) */
    double beyond;       /* H(word | answer): what the word says on top of it */
    double missing;      /* H(answer | word): what it does not say */
} CodeBits;
bool code_bits(const Tensor *codes, const Tensor *logits, CodeBits *out, Err *err);
#endif
