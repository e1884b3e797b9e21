/* fidelity.c -- passes over rows of logits. */
#include "lab/fidelity.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

/* ---- rows ------------------------------------------------------------------------ */

static int64_t answer(const float *z, int64_t C)
{
    int64_t best = 0;
    for (int64_t c = 1; c < C; c++)
        best = z[c] > z[best] ? c : best;
    return best;
}

static void softmax(const float *z, int64_t C, double *p)
{
    double top = (double)z[answer(z, C)], sum = 0;
    for (int64_t c = 0; c < C; c++)
        sum += p[c] = exp((double)z[c] - top);
    for (int64_t c = 0; c < C; c++)
        p[c] /= sum;
}

static bool check_logits(const Tensor *t, const char *what, Err *err)
{
    char is[96];
    if (t->dtype != F32 || t->ndim != 2 || t->dim[0] < 1 || t->dim[1] < 1 ||
        !tensor_contiguous(t))
        return err_set(err, ERR_SHAPE,
                       "%s must be contiguous f32 [N,C] with a row or more, not %s",
                       what, tensor_format_shape(t, is));
    return tensor_finite(t) || err_set(err, ERR_NUMERIC, "%s are not finite", what);
}

static bool check_pair(const Tensor *a, const Tensor *b, Err *err)
{
    char x[96], y[96];
    return (check_logits(a, "logits", err) && check_logits(b, "outputs", err) &&
            (tensor_same_shape(a, b) ||
             err_set(err, ERR_SHAPE, "logits are %s, but outputs %s",
                     tensor_format_shape(a, x), tensor_format_shape(b, y))));
}

/* ---- calibration ----------------------------------------------------------------- */

typedef struct Bins {
    int64_t n;
    double *count, *confidence, *right;
} Bins;

static void count_example(const float *z, int64_t C, int32_t label, double *p, Bins *b,
                          Calibration *out)
{
    softmax(z, C, p);
    int64_t a = answer(z, C), at = (int64_t)ceil(p[a] * (double)b->n) - 1;
    at = at < 0 ? 0 : at >= b->n ? b->n - 1 : at;
    b->count[at] += 1;
    b->confidence[at] += p[a];
    b->right[at] += a == label;
    out->confidence += p[a];
    for (int64_t c = 0; c < C; c++)
        out->brier += (p[c] - (c == label)) * (p[c] - (c == label));
}

static void finish_bins(const Bins *b, double N, Calibration *out, double *table)
{
    for (int64_t k = 0; k < b->n; k++) {
        double n = b->count[k],
               gap = n > 0 ? fabs(b->right[k] - b->confidence[k]) / n : 0;
        out->ece += gap * n / N;
        out->mce = fmax(out->mce, gap);
        if (table) {
            table[3 * k] = n;
            table[3 * k + 1] = n > 0 ? b->confidence[k] / n : (double)NAN;
            table[3 * k + 2] = n > 0 ? b->right[k] / n : (double)NAN;
        }
    }
    out->confidence /= N;
    out->brier /= N;
}

bool logits_calibration(const Tensor *logits, const Tensor *labels, int64_t bins,
                        Calibration *out, Tensor *table, Err *err)
{
    *out = (Calibration){0};
    if (bins < 1 || bins > CALIB_MAX_BINS)
        return err_set(err, ERR_OPTION, "bins must be in 1..%d, not %lld",
                       CALIB_MAX_BINS, (long long)bins);
    if (!check_logits(logits, "logits", err) ||
        !logits_score(logits, labels, &out->acc, &out->nll, err))
        return false;
    int64_t N = logits->dim[0], C = logits->dim[1];
    double *m = mem_zalloc(sizeof *m * (size_t)(3 * bins + C), err);
    bool ok = m && (!table || tensor_zeros(F64, 2, (int64_t[]){bins, 3}, table, err));
    Bins b = {bins, m, m + bins, m + 2 * bins};
    for (int64_t i = 0; ok && i < N; i++)
        count_example((const float *)logits->data + i * C, C,
                      ((const int32_t *)labels->data)[i], m + 3 * bins, &b, out);
    if (ok)
        finish_bins(&b, (double)N, out, table ? table->data : NULL);
    mem_free(m);
    return ok;
}

/* ---- errors ---------------------------------------------------------------------- */

#define ROW(field, doc)                                                                \
    {                                                                                  \
#field, doc, offsetof(Fidelity, field)                                         \
    }
const FidelityRow fidelity_rows[] = {
    ROW(acc, "Accuracy of the outputs."),
    ROW(acc_base, "Accuracy of the logits."),
    ROW(acc_loss, "acc_base - acc."),
    ROW(ce, "Cross-entropy of the outputs, nats."),
    ROW(ce_base, "Cross-entropy of the logits."),
    ROW(ce_loss, "ce - ce_base."),
    ROW(recovered, "(ln C - ce) / (ln C - ce_base): zeros in place of the logits give "
                   "ln C."),
    ROW(agreement, "Share of answers that stayed the same."),
    ROW(kl, "KL of the logits' distribution to that of the outputs, nats."),
    ROW(to_wrong, "Share of examples whose right answer became wrong."),
    ROW(to_right, "Share of examples whose wrong answer became right."),
    ROW(mse, "Mean squared error of the logits."),
    ROW(fve, "Fraction of their variance explained."),
    ROW(mse_z, "Mean squared error of the logits, each z-scored with `reference`."),
    ROW(fve_z, "Fraction of variance explained, z-scored."),
    ROW(median, "Median over examples of mse_z."),
    ROW(p95, "95th percentile over examples of mse_z."),
    ROW(best, "Least mse_z of an example."),
    ROW(worst, "Largest mse_z of an example."),
    ROW(best_at, "Index of the best example, from 0."),
    ROW(worst_at, "Index of the worst example."),
    ROW(bits_kept, "Bits about the network's distribution that outputs keep beyond its "
                   "answer; negative: fewer than a table of answers."),
    ROW(bits_there, "Bits that there are beyond the answer."),
    ROW(ece, "Expected calibration error of the outputs, 15 bins."),
    ROW(ece_base, "The same of the logits."),
};
const size_t fidelity_n_rows = ARRAY_LEN(fidelity_rows);

static void column_moments(const Tensor *t, double *mean, double *var, double divisor)
{
    int64_t N = t->dim[0], C = t->dim[1];
    const float *x = t->data;
    memset(mean, 0, sizeof *mean * (size_t)C);
    memset(var, 0, sizeof *var * (size_t)C);
    for (int64_t i = 0; i < N * C; i++)
        mean[i % C] += (double)x[i] / (double)N;
    for (int64_t i = 0; i < N * C; i++)
        var[i % C] += pow((double)x[i] - mean[i % C], 2) / divisor;
}

/* each [N]: mse_z. std, mean, var [C] of scratch. */
static void errors_of(const Tensor *logits, const Tensor *outputs, const double *std,
                      const double *var, double *each, Fidelity *out)
{
    int64_t N = logits->dim[0], C = logits->dim[1];
    const float *y = logits->data, *q = outputs->data;
    double raw = 0, own = 0, raw_var = 0, own_var = 0;
    for (int64_t i = 0; i < N; i++) {
        each[i] = 0;
        for (int64_t c = 0; c < C; c++) {
            double d = (double)q[i * C + c] - (double)y[i * C + c];
            raw += d * d;
            each[i] += d * d / (std[c] * std[c]) / (double)C;
        }
        own += each[i];
        if (each[i] < each[(int64_t)out->best_at])
            out->best_at = (double)i;
        if (each[i] > each[(int64_t)out->worst_at])
            out->worst_at = (double)i;
    }
    for (int64_t c = 0; c < C; c++) {
        raw_var += var[c];
        own_var += var[c] / (std[c] * std[c]);
    }
    out->mse = raw / (double)(N * C);
    out->mse_z = own / (double)N;
    out->fve = 1 - raw / (double)N / raw_var;
    out->fve_z = 1 - out->mse_z * (double)C / own_var;
    out->best = each[(int64_t)out->best_at];
    out->worst = each[(int64_t)out->worst_at];
}

static int ascending(const void *a, const void *b)
{
    double p = *(const double *)a, q = *(const double *)b;
    return (p > q) - (p < q);
}

/* Linear between order statistics. */
static double quantile(const double *sorted, int64_t n, double q)
{
    double at = q * (double)(n - 1);
    int64_t i = (int64_t)at;
    double next = i + 1 < n ? sorted[i + 1] : sorted[i];
    return sorted[i] + (at - (double)i) * (next - sorted[i]);
}

/* Mean KL of each example's distribution to the mean of its answer's, in nats. */
static bool kl_to_answers(const Tensor *logits, double *out, Err *err)
{
    int64_t N = logits->dim[0], C = logits->dim[1];
    const float *y = logits->data;
    double *mean = mem_zalloc(sizeof *mean * (size_t)(C * C + 2 * C), err);
    if (!mean)
        return false;
    double *n = mean + C * C, *p = n + C, sum = 0;
    for (int64_t i = 0; i < N; i++) {
        int64_t a = answer(y + i * C, C);
        softmax(y + i * C, C, p);
        n[a] += 1;
        for (int64_t c = 0; c < C; c++)
            mean[a * C + c] += p[c];
    }
    for (int64_t i = 0; i < N; i++) {
        int64_t a = answer(y + i * C, C);
        softmax(y + i * C, C, p);
        for (int64_t c = 0; c < C; c++)
            if (p[c] > 0)
                sum += p[c] * (log(p[c]) - log(mean[a * C + c] / n[a]));
    }
    *out = sum / (double)N;
    mem_free(mean);
    return true;
}

static void take_compared(const SaeSplice *s, Fidelity *out)
{
    out->agreement = s->agreement;
    out->kl = s->kl;
    out->to_wrong = s->to_wrong;
    out->to_right = s->to_right;
}

static bool scores(const Tensor *logits, const Tensor *outputs, const Tensor *labels,
                   Fidelity *out, Err *err)
{
    Calibration base, spliced;
    SaeSplice s = {0};
    double there, zero = log((double)logits->dim[1]);
    if (!logits_calibration(logits, labels, 15, &base, NULL, err) ||
        !logits_calibration(outputs, labels, 15, &spliced, NULL, err) ||
        !kl_to_answers(logits, &there, err))
        return false;
    sae_compare(logits, outputs, labels, &s);
    take_compared(&s, out);
    out->acc = spliced.acc;
    out->acc_base = base.acc;
    out->acc_loss = base.acc - spliced.acc;
    out->ce = spliced.nll;
    out->ce_base = base.nll;
    out->ce_loss = spliced.nll - base.nll;
    out->recovered = (zero - out->ce) / (zero - out->ce_base);
    out->ece = spliced.ece;
    out->ece_base = base.ece;
    out->bits_there = there / log(2);
    out->bits_kept = (there - out->kl) / log(2);
    return true;
}

bool logits_fidelity(const Tensor *logits, const Tensor *outputs, const Tensor *labels,
                     const Tensor *reference, Fidelity *out, Tensor *errors, Err *err)
{
    *out = (Fidelity){0};
    reference = reference ? reference : logits;
    if (!check_pair(logits, outputs, err) ||
        !check_logits(reference, "reference logits", err))
        return false;
    int64_t N = logits->dim[0], C = logits->dim[1];
    if (reference->dim[1] != C || reference->dim[0] < 2)
        return err_set(err, ERR_SHAPE,
                       "reference logits must have %lld columns and two rows or more",
                       (long long)C);
    double *each = mem_alloc(sizeof *each * (size_t)(N + 3 * C), err);
    bool ok = each && scores(logits, outputs, labels, out, err);
    double *mean = each + N, *std = mean + C, *var = std + C;
    if (ok) {
        column_moments(reference, mean, std, (double)(reference->dim[0] - 1));
        for (int64_t c = 0; c < C; c++)
            std[c] = fmax(sqrt(std[c]), 1e-6);
        column_moments(logits, mean, var, (double)N);
        errors_of(logits, outputs, std, var, each, out);
        ok = !errors || tensor_new(F64, 1, &N, errors, err);
    }
    if (ok && errors)
        memcpy(errors->data, each, sizeof *each * (size_t)N);
    if (ok) {
        qsort(each, (size_t)N, sizeof *each, ascending);
        out->median = quantile(each, N, 0.5);
        out->p95 = quantile(each, N, 0.95);
    }
    mem_free(each);
    return ok;
}

/* ---- words ----------------------------------------------------------------------- */

typedef struct Word {
    uint64_t hash;
    int64_t answer;
} Word;

/* FNV-1a over the numbers of the active latents. */
static uint64_t hash_active(const float *f, int64_t M)
{
    uint64_t h = 14695981039346656037u;
    for (int64_t m = 0; m < M; m++)
        if (f[m] != 0)
            h = (h ^ (uint64_t)(m + 1)) * 1099511628211u;
    return h;
}

static int by_word(const void *a, const void *b)
{
    const Word *p = a, *q = b;
    if (p->hash != q->hash)
        return p->hash < q->hash ? -1 : 1;
    return (p->answer > q->answer) - (p->answer < q->answer);
}

static double plogp(double n, double N)
{
    return n > 0 ? -n / N * log2(n / N) : 0;
}

/* Entropies of words sorted by hash, then answer. */
static void entropies(const Word *w, int64_t N, CodeBits *out, double *joint)
{
    double n = (double)N;
    int64_t word = 0, pair = 0;
    *joint = 0;
    for (int64_t i = 1; i <= N; i++) {
        bool new_word = i == N || w[i].hash != w[i - 1].hash;
        if (new_word || w[i].answer != w[i - 1].answer) {
            *joint += plogp((double)(i - pair), n);
            pair = i;
        }
        if (new_word) {
            out->word += plogp((double)(i - word), n);
            out->words += 1;
            word = i;
        }
    }
}

bool code_bits(const Tensor *codes, const Tensor *logits, CodeBits *out, Err *err)
{
    char is[96];
    *out = (CodeBits){0};
    if (!check_logits(logits, "logits", err))
        return false;
    int64_t N = logits->dim[0], C = logits->dim[1],
            M = codes->ndim == 2 ? codes->dim[1] : 1;
    bool cells = codes->dtype == I32 && codes->ndim == 1;
    if ((!cells && (codes->dtype != F32 || codes->ndim != 2)) || codes->dim[0] != N ||
        !tensor_contiguous(codes))
        return err_set(
            err, ERR_SHAPE,
            "codes must be contiguous f32 [%lld,M] or cells i32 [%lld], not %s",
            (long long)N, (long long)N, tensor_format_shape(codes, is));
    if (!cells && !tensor_finite(codes))
        return err_set(err, ERR_NUMERIC, "codes are not finite");
    Word *w = mem_alloc(sizeof *w * (size_t)N, err);
    double *count = w ? mem_zalloc(sizeof *count * (size_t)C, err) : NULL, joint;
    for (int64_t i = 0; count && i < N; i++) {
        w[i].hash = cells ? (uint64_t)((const int32_t *)codes->data)[i]
                          : hash_active((const float *)codes->data + i * M, M);
        w[i].answer = answer((const float *)logits->data + i * C, C);
        count[w[i].answer] += 1;
    }
    if (count) {
        qsort(w, (size_t)N, sizeof *w, by_word);
        entropies(w, N, out, &joint);
        for (int64_t c = 0; c < C; c++)
            out->answer += plogp(count[c], (double)N);
        out->beyond = fmax(0, joint - out->answer);
        out->missing = fmax(0, joint - out->word);
    }
    bool ok = count != NULL;
    mem_free(count);
    mem_free(w);
    return ok;
}
