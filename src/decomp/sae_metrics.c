/* sae_metrics.c -- one pass that accumulates, one division at the end. The mean of the
 * targets, which explained variance is relative to, is that of the same set. */
#include "decomp/sae_metrics.h"

#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "decomp/sae_int.h"

enum { MAX_CLASSES = 4096 };
static const double dense_from = 0.5, rare_below = 1e-3;

#define ROW(field, doc)                                                                \
    {                                                                                  \
#field, doc, offsetof(SaeMetrics, field)                                       \
    }
const SaeMetricRow sae_metric_rows[] = {
    ROW(n, "Examples."),
    ROW(l0, "Mean number of active latents, those with a code that is not 0."),
    ROW(l1, "Mean sum of the code's absolute values."),
    {"none", "Share of examples without an active latent.",
                                                     offsetof(SaeMetrics,                                                        active[0])},
    {"one",  "Share of examples with exactly one.",         offsetof(SaeMetrics, active[1])},
    {"two",  "Share of examples with exactly two.",         offsetof(SaeMetrics, active[2])},
    {"more", "Share of examples with three or more.",       offsetof(SaeMetrics, active[3])},
    ROW(mse, "Mean squared error over dimensions and examples, in raw units."),
    ROW(mse_own, "The same in the autoencoder's normalised units."),
    ROW(fve, "Fraction of variance explained, raw: 1 - error / variance about the mean "
             "of this set."),
    ROW(fve_own, "The same in normalised units."),
    ROW(cosine, "Mean cosine of output and target."),
    ROW(length_ratio, "Mean length of the output over that of the target."),
    ROW(bias, "E|y'|^2 / E[y.y']: 1 is unbiased, below 1 is shrinkage."),
    ROW(dead, "Share of latents that are active on no example."),
    ROW(rare, "Share of latents active on fewer than one example in a thousand, but "
              "on one."),
    ROW(dense, "Share of latents active on more than half of the examples."),
    ROW(twin, "Mean over latents of the largest cosine with another decoder row."),
    ROW(purity, "Mean over live latents of the largest share of one label among the "
                "examples they are active on."),
    ROW(kernel, "Share of pre-activations within the kernel that trains thresholds, "
                "where there are such."),
    ROW(worst, "Index of the example with the largest error, from 0."),
};
const size_t sae_n_metric_rows = ARRAY_LEN(sae_metric_rows);

typedef struct Sums {
    const Sae *s;
    const float *x, *y;
    const int32_t *label;
    int64_t N, C;
    double l0, l1, own, raw, cosine, ratio, yy, yt, worst, count[SAE_COUNTS];
    double raw_var, own_var;
    int64_t worst_at, in_kernel;
    int64_t *fired, *by_label; /* [M], [M,C] */
    double *a, *b;             /* [O]: a normalised target, a normalised output */
} Sums;

static void add_code(Sums *t, const float *f, int64_t example)
{
    int64_t active = 0, M = t->s->M;
    for (int64_t m = 0; m < M; m++) {
        if (f[m] == 0)
            continue;
        active++;
        t->l1 += fabs((double)f[m]);
        t->fired[m]++;
        if (t->label)
            t->by_label[m * t->C + t->label[example]]++;
    }
    t->l0 += (double)active;
    t->count[active < SAE_COUNTS ? active : SAE_COUNTS - 1] += 1;
}

static void add_kernel(Sums *t, const float *u)
{
    const float *theta = t->s->theta.data;
    const SaeCfg *c = &t->s->cfg;
    float half = (float)((c->width_end > 0 ? c->width_end : c->width) / 2);
    for (int64_t m = 0; m < t->s->M; m++)
        t->in_kernel += fabsf(u[m] - theta[m]) < half;
}

static void add_output(Sums *t, const float *out, int64_t example)
{
    int64_t O = t->s->O;
    const float *x = t->x + example * t->s->D, *y = t->y + example * O;
    double e = 0, own = 0, yy = 0, tt = 0, yt = 0;
    sae_norm_row(t->s, x, y, t->a);
    sae_norm_row(t->s, x, out, t->b);
    for (int64_t o = 0; o < O; o++) {
        double p = (double)out[o], q = (double)y[o];
        e += (p - q) * (p - q);
        own += (t->b[o] - t->a[o]) * (t->b[o] - t->a[o]);
        yy += p * p;
        tt += q * q;
        yt += p * q;
    }
    t->raw += e;
    t->own += own;
    t->yy += yy;
    t->yt += yt;
    t->cosine += yy > 0 && tt > 0 ? yt / sqrt(yy * tt) : 0;
    t->ratio += tt > 0 ? sqrt(yy / tt) : 0;
    if (e > t->worst) {
        t->worst = e;
        t->worst_at = example;
    }
}

static bool add_rows(void *ctx, const SaeRows *r, Err *err)
{
    Sums *t = ctx;
    (void)err;
    for (int64_t i = 0; i < r->n; i++) {
        add_code(t, r->f + i * t->s->M, r->first + i);
        add_output(t, r->y + i * t->s->O, r->first + i);
        if (t->s->act->flags & ACT_TRAINED)
            add_kernel(t, r->u + i * t->s->M);
    }
    return true;
}

/* Sum of squared distances to the mean, of raw and of normalised targets (Welford). */
static bool variances(Sums *t, Err *err)
{
    int64_t O = t->s->O;
    double *mean = mem_zalloc(2 * sizeof *mean * (size_t)O, err), *own = mean + O;
    if (!mean)
        return false;
    for (int64_t n = 0; n < t->N; n++) {
        const float *y = t->y + n * O;
        sae_norm_row(t->s, t->x + n * t->s->D, y, t->a);
        for (int64_t o = 0; o < O; o++) {
            double d = (double)y[o] - mean[o], e = t->a[o] - own[o];
            mean[o] += d / (double)(n + 1);
            own[o] += e / (double)(n + 1);
            t->raw_var += d * ((double)y[o] - mean[o]);
            t->own_var += e * (t->a[o] - own[o]);
        }
    }
    mem_free(mean);
    return true;
}

static double mean_purity(const Sums *t)
{
    double sum = 0, live = 0;
    for (int64_t m = 0; t->label && m < t->s->M; m++) {
        int64_t most = 0;
        for (int64_t c = 0; c < t->C; c++)
            most = t->by_label[m * t->C + c] > most ? t->by_label[m * t->C + c] : most;
        live += t->fired[m] > 0;
        sum += t->fired[m] ? (double)most / (double)t->fired[m] : 0;
    }
    return live > 0 ? sum / live : (double)NAN;
}

/* Rows are compared by their cosine whatever their length. */
static double mean_twin(const Sae *s)
{
    const float *d = tset_get(s->params, "decoder")->data;
    double sum = 0;
    for (int64_t m = 0; m < s->M; m++) {
        double best = -1;
        for (int64_t k = 0; k < s->M; k++) {
            double ab = 0, aa = 0, bb = 0;
            for (int64_t o = 0; k != m && o < s->O; o++) {
                double a = (double)d[m * s->O + o], b = (double)d[k * s->O + o];
                ab += a * b;
                aa += a * a;
                bb += b * b;
            }
            if (aa > 0 && bb > 0)
                best = fmax(best, ab / sqrt(aa * bb));
        }
        sum += best;
    }
    return s->M > 1 ? sum / (double)s->M : (double)NAN;
}

static void finish(const Sums *t, SaeMetrics *m)
{
    double n = (double)t->N, values = n * (double)t->s->O;
    double dead = 0, rare = 0, dense = 0;
    for (int64_t k = 0; k < t->s->M; k++) {
        dead += t->fired[k] == 0;
        rare += t->fired[k] > 0 && (double)t->fired[k] < rare_below * n;
        dense += (double)t->fired[k] > dense_from * n;
    }
    *m = (SaeMetrics){
        .n = n,
        .l0 = t->l0 / n,
        .l1 = t->l1 / n,
        .mse = t->raw / values,
        .mse_own = t->own / values,
        .fve = 1 - t->raw / t->raw_var,
        .fve_own = 1 - t->own / t->own_var,
        .cosine = t->cosine / n,
        .length_ratio = t->ratio / n,
        .bias = t->yy / t->yt,
        .dead = dead / (double)t->s->M,
        .rare = rare / (double)t->s->M,
        .dense = dense / (double)t->s->M,
        .kernel = t->s->act->flags & ACT_TRAINED
                      ? (double)t->in_kernel / (n * (double)t->s->M)
                      : (double)NAN,
        .twin = mean_twin(t->s),
        .purity = mean_purity(t),
        .worst = (double)t->worst_at,
    };
    for (int k = 0; k < SAE_COUNTS; k++)
        m->active[k] = t->count[k] / n;
}

static bool check_inputs(const Sae *s, const Tensor *x, const Tensor *y,
                         const Tensor *labels, int64_t *classes, Err *err)
{
    char a[96], b[96];
    if (y->dtype != F32 || y->ndim != 2 || y->dim[0] != x->dim[0] ||
        y->dim[1] != s->O || !tensor_contiguous(y))
        return err_set(err, ERR_SHAPE, "targets must be f32 [N,%lld] for %s, not %s",
                       (long long)s->O, tensor_format_shape(x, a),
                       tensor_format_shape(y, b));
    *classes = 1;
    for (int64_t n = 0; labels && n < x->dim[0]; n++) {
        if (labels->dtype != I32 || labels->ndim != 1 || labels->dim[0] != x->dim[0])
            return err_set(err, ERR_SHAPE, "labels must be i32 [%lld], not %s",
                           (long long)x->dim[0], tensor_format_shape(labels, a));
        int32_t l = ((const int32_t *)labels->data)[n];
        if (l < 0 || l >= MAX_CLASSES)
            return err_set(err, ERR_SHAPE, "label %d of example %lld is outside 0..%d",
                           l, (long long)n, MAX_CLASSES - 1);
        *classes = l >= *classes ? l + 1 : *classes;
    }
    return true;
}

static bool put_density(const Sums *t, Tensor *out, Err *err)
{
    if (!out)
        return true;
    if (!tensor_new(F64, 1, &t->s->M, out, err))
        return false;
    for (int64_t m = 0; m < t->s->M; m++)
        ((double *)out->data)[m] = (double)t->fired[m] / (double)t->N;
    return true;
}

bool sae_measure(Sae *s, const Tensor *x, const Tensor *target, const Tensor *labels,
                 int64_t block, SaeMetrics *out, Tensor *density, Err *err)
{
    Sums t = {.s = s, .x = x->data, .label = labels ? labels->data : NULL};
    const Tensor *y = target ? target : x;
    if (s->own_target && !target)
        return err_set(err, ERR_OPTION, "this autoencoder predicts a target: give it");
    if (!check_inputs(s, x, y, labels, &t.C, err))
        return false;
    t.y = y->data;
    t.N = x->dim[0];
    t.worst = -1;
    t.fired = mem_zalloc(sizeof *t.fired * (size_t)s->M, err);
    t.by_label =
        t.fired ? mem_zalloc(sizeof *t.fired * (size_t)(s->M * t.C), err) : NULL;
    t.a = t.by_label ? mem_alloc(2 * sizeof *t.a * (size_t)s->O, err) : NULL;
    t.b = t.a ? t.a + s->O : NULL;
    bool ok = t.a && sae_each(s, x, block, add_rows, &t, err) && variances(&t, err) &&
              put_density(&t, density, err);
    if (ok)
        finish(&t, out);
    mem_free(t.a);
    mem_free(t.by_label);
    mem_free(t.fired);
    return ok;
}

bool sae_top_examples(const Tensor *codes, int64_t n, Tensor *out, Err *err)
{
    int64_t N = codes->dim[0], M = codes->dim[1];
    const float *f = codes->data;
    if (!tensor_full(I32, 2, (int64_t[]){M, n}, -1, out, err))
        return false;
    for (int64_t i = 0; i < N; i++)
        for (int64_t m = 0; m < M; m++) {
            float v = f[i * M + m];
            int32_t *best = (int32_t *)out->data + m * n;
            int64_t at = n;
            while (v > 0 && at > 0 && (best[at - 1] < 0 || f[best[at - 1] * M + m] < v))
                at--;
            if (!(v > 0) || at == n)
                continue;
            memmove(best + at + 1, best + at, sizeof *best * (size_t)(n - at - 1));
            best[at] = (int32_t)i;
        }
    return true;
}
