/* sae_metrics.h -- how faithful and how sparse: sums in double over the whole set,
 * divided once, so that no figure depends on how the set was cut. */
#ifndef CLEAVE_DECOMP_SAE_METRICS_H
#define CLEAVE_DECOMP_SAE_METRICS_H
#include "decomp/sae.h"

enum { SAE_COUNTS = 4 };
typedef struct SaeMetrics {
    double n, l0, l1;
    double active[SAE_COUNTS]; /* share of examples with 0, 1, 2, 3 or more active */
    double mse, mse_own, fve, fve_own;
    double cosine, length_ratio, bias;
    double dead, rare, dense, twin, purity;
    double kernel; /* NaN without trained thresholds */
    double worst; /* index of the example with the largest error */
} SaeMetrics;

/* The table that names and documents them. */
typedef struct SaeMetricRow {
    const char *name, *doc;
    size_t offset;
} SaeMetricRow;
extern const SaeMetricRow sae_metric_rows[];
extern const size_t sae_n_metric_rows;

/* x f32 [N,D]; target f32 [N,O] (NULL: x); labels i32 [N] in 0..n_classes-1 or NULL
 * (purity is NaN then); block 0: chosen. density: NULL, or f64 [M] is put there: the
 * share of examples on which each latent is active. */
bool sae_measure(Sae *s, const Tensor *x, const Tensor *target, const Tensor *labels,
                 int64_t block, SaeMetrics *out, Tensor *density, Err *err);
/* What a user should know before believing a result. */
typedef struct SaeWarning {
    const char *name;
    char text[240]; /* a sentence with its figures */
} SaeWarning;
enum { SAE_WARNINGS = 8 };
/* Those that hold of s as measured on some set and calibrated (cal may be zeroed), at
 * most SAE_WARNINGS; returns how many. empty: examples without an active latent; edge:
 * a calibration that could not meet its aim; saturated: the penalty's weight has gone
 * far and L0 does not follow; kernel: hardly a pre-activation trains the thresholds;
 * dead, dense: latents that are never, or mostly, active. */
int sae_warnings(const Sae *s, const SaeMetrics *m, const SaeCalibration *cal,
                 SaeWarning out[SAE_WARNINGS]);
/* For each latent the `n` examples of codes [N,M] with the largest code, i32 [M,n], the
 * first of equal ones first; -1 where fewer are active. */
bool sae_top_examples(const Tensor *codes, int64_t n, Tensor *out, Err *err);
#endif
