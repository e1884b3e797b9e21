/* metrics.c -- the table, the checks, and what weights alone can tell. Each group of
 * rows is one function; the score at the end reads rows that are filled by then. */
#include "decomp/metrics.h"

#include <math.h>
#include <string.h>

#include "base/intr.h"
#include "base/mem.h"
#include "decomp/metrics_int.h"

const MetricRow metric_rows[] = {
    [M_SIMILARITY_DATA] = {"similarity_data",
                           "Cosine of the dictionary's tensor and the network's, "
                           "weights counted as images meet them.",
                           1, "limit_data"},
    [M_LIMIT_DATA] = {"limit_data",
                      "The largest similarity_data that so many one-class components "
                      "can have.",
                      0, NULL},
    [M_SIMILARITY] = {"similarity",
                      "Cosine of the dictionary's tensor and the network's, all "
                      "weights alike.",
                      1, "limit"},
    [M_LIMIT] = {"limit",
                 "The largest similarity that so many displayed one-class components "
                 "can have; a residual may pass it.",
                 0, NULL},
    [M_MAIN_SIMILARITY] = {"main_similarity",
                           "similarity of the displayed components alone.", 1, "limit"},
    [M_RESIDUAL_FRACTION] = {"residual_fraction",
                             "1 minus main_similarity over similarity: what only the "
                             "components that are not displayed explain.",
                             -1, NULL},
    [M_BASE_ACC] = {"base_acc", "Test accuracy of the network.", 0, NULL},
    [M_TEST_ACC] = {"test_acc", "Test accuracy of the dictionary's logits.", 1, NULL},
    [M_TEST_ACC_BIAS] = {"test_acc_bias", "The same with the network's bias added.", 1,
                         NULL},
    [M_AGREEMENT] = {"agreement",
                     "Share of test images on which the dictionary (with the network's "
                     "bias) answers as the network does.",
                     1, NULL},
    [M_PATTERN_GINI] = {"pattern_gini",
                        "Gini coefficient of |pixel| of the displayed patterns, mean; "
                        "1 when one pixel has everything.",
                        1, NULL},
    [M_LOCALITY] = {"locality_7x7",
                    "Share of a pattern's energy in its best 7 by 7 window, mean.",
                    1, NULL},
    [M_CLASS_SELECTIVITY] = {"class_selectivity",
                             "1 minus the normalised entropy of a component's |head|, "
                             "mean; 1 for one-class heads.",
                             1, NULL},
    [M_HEAD_TOP1] = {"head_top1_frac",
                     "Share of a component's |head| on its largest entry, mean.",
                     1, NULL},
    [M_DISPLAY_TV] = {"display_tv",
                      "Mean absolute vertical plus horizontal difference of "
                      "neighbouring pixels of the patterns.",
                      -1, NULL},
    [M_TOP_SIGMA] = {"top_sigma_frac",
                     "Share of the 8 largest components in the sum of |a||b||head|.",
                     0, NULL},
    [M_FRONTIER] = {"frontier_score",
                    ".40 similarity + .25 main_similarity + .30 test_acc + .45 "
                    "pattern_gini + .65 locality_7x7 + .60 class_selectivity + .15 "
                    "head_top1_frac.",
                    1, NULL},
    [M_CANCELLATION] = {"cancellation",
                        "Root of the sum of |T_r|^2 over |T|^2: above 1 when "
                        "components cancel, blind to duplicates.",
                        -1, NULL},
    [M_CANCELLATION_DATA] = {"cancellation_data",
                             "Sum of |activation head| over the sum of |logit| on test "
                             "images; 1 when nothing cancels.",
                             -1, NULL},
    [M_MAX_SAME_CLASS_COS] = {"max_same_class_cos",
                              "Largest |cosine| of two components of one class, in the "
                              "data metric; 1 for duplicates.",
                              -1, NULL},
    [M_BACKGROUND] = {"background_energy",
                      "Share of a pattern's energy on pixels lit in under 1 % of the "
                      "training images, mean.",
                      -1, NULL},
    [M_KEEP16] = {"keep16_agreement",
                  "Agreement when only the 16 strongest components of each image are "
                  "kept.",
                  1, NULL},
    [M_ERASE_CORR] =
        {"erase_corr",
         "Correlation of the predicted and the network's true change of logit when a "
         "component's plane is removed from an image; 1000 images.",
         1, NULL},
    [M_ABLATION_RANK] =
        {"ablation_rank_corr",
         "Rank correlation of a component's size on data with the answers that change "
         "when it is replaced by its mean.",
         1, NULL},
    [M_OTHER_DIGIT] = {"other_digit_share",
                       "Share of components that are at least as active on other "
                       "digits as on their own.",
                       -1, NULL},
    [M_PATTERN_GINI_RAW] = {"pattern_gini_raw",
                            "pattern_gini of the unbalanced display, as published.",
                            0, NULL},
    [M_LOCALITY_RAW] = {"locality_7x7_raw",
                        "locality_7x7 of the unbalanced display, as published.",
                        0, NULL},
};
const size_t metric_n_rows = N_METRICS;
_Static_assert((int)N_METRICS <= (int)METRIC_CAP, "METRIC_CAP");

int metric_index(const char *name)
{
    for (int k = 0; k < N_METRICS; k++)
        if (!strcmp(metric_rows[k].name, name))
            return k;
    return -1;
}

/* --- heads and norms -------------------------------------------------------------- */

static bool one_hot_heads(const Dictionary *d)
{
    const float *h = d->head.data;
    for (int64_t r = 0; r < d->shown; r++) {
        int64_t used = 0;
        for (int64_t c = 0; c < d->C; c++)
            used += h[r * d->C + c] != 0;
        if (used > 1)
            return false;
    }
    return true;
}

/* Share of the largest entry and 1 - normalised entropy of |h|; an empty head selects
 * nothing. */
static void head_shape(const float *h, int64_t C, double *top1, double *selectivity)
{
    double sum = 0, top = 0, entropy = 0;
    for (int64_t c = 0; c < C; c++) {
        double x = fabs((double)h[c]);
        sum += x;
        top = fmax(top, x);
    }
    for (int64_t c = 0; c < C; c++) {
        double p = sum > 0 ? fabs((double)h[c]) / sum : 0;
        entropy -= p > 0 ? p * log(p) : 0;
    }
    *top1 = sum > 0 ? top / sum : 0;
    *selectivity = sum > 0 ? 1 - (C > 1 ? entropy / log((double)C) : 0) : 0;
}

static void metrics_of_heads(const Dictionary *d, double *v)
{
    double top1 = 0, selectivity = 0;
    for (int64_t r = 0; r < d->shown; r++) {
        double t, s;
        head_shape((float *)d->head.data + r * d->C, d->C, &t, &s);
        top1 += t;
        selectivity += s;
    }
    v[M_HEAD_TOP1] = top1 / (double)d->shown;
    v[M_CLASS_SELECTIVITY] = selectivity / (double)d->shown;
}

static double norm(const float *x, int64_t n)
{
    double s = 0;
    for (int64_t i = 0; i < n; i++)
        s += (double)x[i] * (double)x[i];
    return sqrt(s);
}

static void metrics_of_sizes(const Dictionary *d, double *v)
{
    double top[8] = {0}, sum = 0, first = 0;
    for (int64_t r = 0; r < d->R; r++) {
        double s = norm((float *)d->a.data + r * d->I, d->I) *
                   norm((float *)d->b.data + r * d->I, d->I) *
                   norm((float *)d->head.data + r * d->C, d->C);
        sum += s;
        for (size_t k = 0; k < ARRAY_LEN(top); k++)
            if (s > top[k]) {
                double t = top[k];
                top[k] = s;
                s = t;
            }
    }
    for (size_t k = 0; k < ARRAY_LEN(top); k++)
        first += top[k];
    if (sum > 0)
        v[M_TOP_SIGMA] = first / sum;
}

/* --- the tensor ------------------------------------------------------------------- */

static double largest_cosine(const Dictionary *d, const double *G)
{
    const int32_t *owner = d->owner.data;
    double top = 0;
    for (int64_t r = 0; r < d->shown; r++)
        for (int64_t s = 0; s < r; s++) {
            double n = G[r * d->R + r] * G[s * d->R + s];
            if (owner[r] == owner[s] && n > 0)
                top = fmax(top, fabs(G[r * d->R + s]) / sqrt(n));
        }
    return top;
}

static bool main_similarity(const DictEval *e, double *v, Err *err)
{
    const Dictionary *d = e->dict;
    Dictionary part;
    DictGram g;
    if (d->shown == d->R) {
        v[M_MAIN_SIMILARITY] = v[M_SIMILARITY];
        v[M_RESIDUAL_FRACTION] = 0;
        return true;
    }
    bool ok = dict_part(d, 0, d->shown, &part, err) &&
              dict_gram(&part, e->b, NULL, &g, NULL, err);
    if (ok) {
        v[M_MAIN_SIMILARITY] = gram_cosine(&g);
        v[M_RESIDUAL_FRACTION] = 1 - v[M_MAIN_SIMILARITY] / v[M_SIMILARITY];
    }
    dict_done(&part);
    return ok;
}

static bool metrics_of_tensor(const DictEval *e, double *v, Err *err)
{
    const Dictionary *d = e->dict;
    DictGram g;
    Tensor G = {0};
    double *nrm = mem_array((size_t)d->R, sizeof *nrm, err), sum = 0;
    bool ok = nrm && dict_gram(d, e->b, NULL, &g, nrm, err);
    if (ok) {
        for (int64_t r = 0; r < d->R; r++)
            sum += nrm[r];
        v[M_SIMILARITY] = gram_cosine(&g);
        v[M_CANCELLATION] = g.TT > 0 ? sqrt(sum / g.TT) : (double)NAN;
    }
    ok = ok && main_similarity(e, v, err);
    if (ok && e->S) {
        ok = dict_gram(d, e->b, e->S, &g, NULL, err) &&
             dict_gram_matrix(d, e->S, &G, err);
        if (ok) {
            v[M_SIMILARITY_DATA] = gram_cosine(&g);
            v[M_MAX_SAME_CLASS_COS] = largest_cosine(d, G.data);
        }
    }
    tensor_release(&G);
    mem_free(nrm);
    return ok;
}

static void metrics_of_limits(const DictEval *e, double *v)
{
    if (!one_hot_heads(e->dict))
        return; /* the limit is one of one-class components */
    if (e->plain)
        v[M_LIMIT] = limit_one_hot(e->plain, e->dict->shown, true, NULL);
    if (e->data)
        v[M_LIMIT_DATA] = limit_one_hot(e->data, e->dict->shown, true, NULL);
}

/* --- all -------------------------------------------------------------------------- */

static bool check_images(const DictEval *e, Err *err)
{
    char shape[96];
    const Tensor *x = e->x, *l = e->labels;
    if (!x)
        return true;
    if (x->dtype != F32 || x->ndim != 2 || x->dim[1] != e->dict->I || x->dim[0] < 1 ||
        !tensor_contiguous(x))
        return err_set(err, ERR_SHAPE,
                       "metrics: the images are %s, they must be f32[N,%lld] with N at "
                       "least 1",
                       tensor_format_shape(x, shape), (long long)e->dict->I);
    if (!l)
        return true;
    if (l->dtype != I32 || l->ndim != 1 || l->dim[0] != x->dim[0] ||
        !tensor_contiguous(l))
        return err_set(err, ERR_SHAPE,
                       "metrics: the labels are %s, they must be i32[%lld]",
                       tensor_format_shape(l, shape), (long long)x->dim[0]);
    return true;
}

static bool check(const DictEval *e, Err *err)
{
    char shape[96];
    const Dictionary *d = e->dict;
    if (d->I != e->b->I || d->C != e->b->C)
        return err_set(err, ERR_SHAPE,
                       "metrics: the dictionary has %lld classes of %lld pixels, the "
                       "network %lld of %lld",
                       (long long)d->C, (long long)d->I, (long long)e->b->C,
                       (long long)e->b->I);
    if ((e->height || e->width) && e->height * e->width != d->I)
        return err_set(err, ERR_SHAPE,
                       "metrics: images of %lld x %lld have not %lld pixels",
                       (long long)e->height, (long long)e->width, (long long)d->I);
    if (e->unlit && (e->unlit->dtype != F32 || tensor_count(e->unlit) != d->I ||
                     !tensor_contiguous(e->unlit)))
        return err_set(err, ERR_SHAPE,
                       "metrics: the mask of unlit pixels is %s, it must be f32[%lld]",
                       tensor_format_shape(e->unlit, shape), (long long)d->I);
    return check_images(e, err);
}

bool dict_metrics(const DictEval *e, DictMetrics *out, Err *err)
{
    double *v = out->value;
    for (size_t k = 0; k < METRIC_CAP; k++)
        v[k] = (double)NAN;
    if (!check(e, err))
        return false;
    metrics_of_heads(e->dict, v);
    metrics_of_sizes(e->dict, v);
    metrics_of_limits(e, v);
    bool ok = metrics_of_tensor(e, v, err) && intr_check(err) &&
              metrics_of_patterns(e, v, err) && intr_check(err) &&
              metrics_of_images(e, v, err) && metrics_of_erasure(e, v, err);
    if (!ok)
        return false;
    v[M_FRONTIER] = .40 * v[M_SIMILARITY] + .25 * v[M_MAIN_SIMILARITY] +
                    .30 * v[M_TEST_ACC] +
                    .45 * v[M_PATTERN_GINI] + .65 * v[M_LOCALITY] +
                    .60 * v[M_CLASS_SELECTIVITY] + .15 * v[M_HEAD_TOP1];
    return true;
}
