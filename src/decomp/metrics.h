/* metrics.h -- how good a dictionary is: fidelity to the tensor and to the network's
 * answers, how readable its patterns are, and causal tests. One table of rows; value[k]
 * belongs to metric_rows[k], NaN where the inputs for it are missing. All in f64, all
 * invariant under a -> s a, b -> b/s (except the two *_raw rows, which are the
 * published unbalanced display). Interruptible. */
#ifndef CLEAVE_DECOMP_METRICS_H
#define CLEAVE_DECOMP_METRICS_H
#include "decomp/dictionary.h"

typedef struct MetricRow {
    const char *name, *doc;
    int better;        /* +1 higher, -1 lower, 0 neither */
    const char *limit; /* name of the row that bounds it; NULL: 1 or none */
} MetricRow;
extern const MetricRow metric_rows[];
extern const size_t metric_n_rows;
enum { METRIC_CAP = 40 };

typedef struct DictEval {
    const Dictionary *dict;
    const Interaction *b;
    const Tensor *S;              /* f64 [I,I]; NULL: no data metric */
    const Spectrum *plain, *data; /* for the limits; NULL: NaN */
    const Tensor *x;      /* f32 [N,I] test images in 0..1; NULL: weights only */
    const Tensor *labels; /* i32 [N] */
    const Tensor
        *unlit; /* f32 [I], 1 where a pixel is lit in under 1 % of training images */
    int64_t height, width;
} DictEval;
typedef struct DictMetrics {
    double value[METRIC_CAP];
} DictMetrics;

bool dict_metrics(const DictEval *e, DictMetrics *out, Err *err);
int metric_index(const char *name); /* -1: none */

/* Agreement with the network (its bias included) when of every image only the k
 * strongest components are kept, or (keep false) the k strongest are taken away; k[n]
 * rising. half[i] is the half width of a 95 % Wilson interval over images. Needs e->x.
 */
bool dict_curve(const DictEval *e, bool keep, const int64_t *k, int n,
                double *agreement, double *half, Err *err);
#endif
