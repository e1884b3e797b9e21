/* metrics_int.h -- what the files of metrics.h share: the order of the rows, the three
 * groups that fill them, and two correlations. A group writes only its own entries of
 * v, which are NaN before; missing inputs leave them so. */
#ifndef CLEAVE_DECOMP_METRICS_INT_H
#define CLEAVE_DECOMP_METRICS_INT_H
#include "decomp/metrics.h"

typedef enum MetricId {
    M_SIMILARITY_DATA,
    M_LIMIT_DATA,
    M_SIMILARITY,
    M_LIMIT,
    M_MAIN_SIMILARITY,
    M_RESIDUAL_FRACTION,
    M_BASE_ACC,
    M_TEST_ACC,
    M_TEST_ACC_BIAS,
    M_AGREEMENT,
    M_PATTERN_GINI,
    M_LOCALITY,
    M_CLASS_SELECTIVITY,
    M_HEAD_TOP1,
    M_DISPLAY_TV,
    M_TOP_SIGMA,
    M_FRONTIER,
    M_CANCELLATION,
    M_CANCELLATION_DATA,
    M_MAX_SAME_CLASS_COS,
    M_BACKGROUND,
    M_KEEP16,
    M_ERASE_CORR,
    M_ABLATION_RANK,
    M_OTHER_DIGIT,
    M_PATTERN_GINI_RAW,
    M_LOCALITY_RAW,
    N_METRICS
} MetricId;

typedef struct PatternMeans { /* sums while they are made */
    double gini, locality, tv, background;
} PatternMeans;
/* Adds a pattern [I] of e's dictionary; scratch [max(I, (height + 1) (width + 1))].
 * false: it is zero and does not count. */
bool metrics_add_pattern(const DictEval *e, const float *q, double *scratch,
                         PatternMeans *m);
/* Gini, locality, variation, background of the displayed patterns. */
bool metrics_of_patterns(const DictEval *e, double *v, Err *err);
/* Everything that looks at images: answers, cancellation, keeping, ablation. */
bool metrics_of_images(const DictEval *e, double *v, Err *err);
/* Predicted against true change of the logits when components are erased from images.
 */
bool metrics_of_erasure(const DictEval *e, double *v, Err *err);

/* Correlation of n pairs; NaN when one side does not vary. */
double corr_pearson(const double *x, const double *y, int64_t n);
/* Of ranks, ties sharing their mean rank. */
bool corr_spearman(const double *x, const double *y, int64_t n, double *out, Err *err);
/* Rows [n,I] of an f32 matrix as a new f64 one. */
bool metrics_wide_rows(const Tensor *x, int64_t first, int64_t n, Tensor *out,
                       Err *err);
#endif
