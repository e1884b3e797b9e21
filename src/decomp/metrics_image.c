/* metrics_image.c -- what a dictionary does on images, in f64, in blocks of images:
 *   act = (x a_r)(x b_r),  dec = act D,  own = the network's logits with bias.
 * A component's strength on an image is |act| |D_r|. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/intr.h"
#include "base/mem.h"
#include "decomp/metrics_int.h"
#include "tensor/blas.h"

enum { BLOCK = 1000, KEPT = 16 };

typedef struct Answers {
    int64_t N, R, C;
    Tensor act;          /* f64 [N,R] */
    Tensor own, dec;     /* f64 [N,C]: the network with bias, the dictionary without */
    double *head, *size; /* [R,C] D, [R] |D_r| */
    const double *bias;
} Answers;

static double *f64(const Tensor *t)
{
    return t->data;
}

bool metrics_wide_rows(const Tensor *x, int64_t first, int64_t n, Tensor *out, Err *err)
{
    int64_t I = x->dim[1];
    memset(out, 0, sizeof *out);
    if (!tensor_new(F64, 2, (int64_t[]){n, I}, out, err))
        return false;
    const float *p = (float *)x->data + first * I;
    for (int64_t i = 0; i < n * I; i++)
        f64(out)[i] = (double)p[i];
    return true;
}

/* --- answers ---------------------------------------------------------------------- */

typedef struct Factors {
    Tensor a, b;      /* f64 [R,I] */
    Tensor xb, z, zm; /* scratch of one block */
} Factors;

static void factors_done(Factors *f)
{
    Tensor *const all[] = {&f->a, &f->b, &f->xb, &f->z, &f->zm};
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        tensor_release(all[i]);
}

static bool factors_new(const DictEval *e, int64_t n, Factors *f, Err *err)
{
    int64_t R = e->dict->R, E = e->b->E;
    memset(f, 0, sizeof *f);
    return tensor_convert(&e->dict->a, F64, &f->a, err) &&
           tensor_convert(&e->dict->b, F64, &f->b, err) &&
           tensor_new(F64, 2, (int64_t[]){n, R}, &f->xb, err) &&
           tensor_new(F64, 2, (int64_t[]){n, E}, &f->z, err) &&
           tensor_new(F64, 2, (int64_t[]){n, E}, &f->zm, err);
}

/* y [n,M] = x [n,K] rows^T */
static bool project(const Tensor *x, const Tensor *rows, double *y, Err *err)
{
    int64_t n = x->dim[0], K = x->dim[1], M = rows->dim[0];
    return blas_gemm_f64(false, true, n, M, K, 1, f64(x), K, f64(rows), K, 0, y, M,
                         err);
}

/* The network's logits of one block. */
static bool own_block(const Interaction *b, const Tensor *x, Factors *f, double *own,
                      Err *err)
{
    int64_t n = x->dim[0], E = b->E, C = b->C;
    double *z = f64(&f->z), *zm = f64(&f->zm);
    bool ok = project(x, &b->embed, z, err);
    for (int64_t c = 0; ok && c < C; c++) {
        ok = blas_gemm_f64(false, false, n, E, E, 1, z, E, f64(&b->core) + c * E * E, E,
                           0, zm, E, err);
        for (int64_t i = 0; ok && i < n; i++) {
            double s = f64(&b->bias)[c];
            for (int64_t k = 0; k < E; k++)
                s += z[i * E + k] * zm[i * E + k];
            own[i * C + c] = s;
        }
    }
    return ok;
}

static bool answer_block(const DictEval *e, Answers *w, int64_t first, int64_t n,
                         Factors *f, Err *err)
{
    int64_t R = w->R, C = w->C;
    double *act = f64(&w->act) + first * R, *xb = f64(&f->xb);
    Tensor x;
    bool ok = metrics_wide_rows(e->x, first, n, &x, err) &&
              project(&x, &f->a, act, err) && project(&x, &f->b, xb, err);
    for (int64_t i = 0; ok && i < n * R; i++)
        act[i] *= xb[i];
    ok = ok &&
         blas_gemm_f64(false, false, n, C, R, 1, act, R, w->head, C, 0,
                       f64(&w->dec) + first * C, C, err) &&
         own_block(e->b, &x, f, f64(&w->own) + first * C, err);
    tensor_release(&x);
    return ok;
}

static void answers_done(Answers *w)
{
    tensor_release(&w->act);
    tensor_release(&w->own);
    tensor_release(&w->dec);
    mem_free(w->head);
    mem_free(w->size);
}

static bool answers_new(const DictEval *e, Answers *w, Err *err)
{
    const Dictionary *d = e->dict;
    int64_t N = e->x->dim[0];
    *w = (Answers){.N = N, .R = d->R, .C = d->C, .bias = f64(&e->b->bias)};
    bool ok = (w->head = mem_array((size_t)(d->R * d->C), sizeof *w->head, err)) &&
              (w->size = mem_array((size_t)d->R, sizeof *w->size, err)) &&
              tensor_new(F64, 2, (int64_t[]){N, d->R}, &w->act, err) &&
              tensor_new(F64, 2, (int64_t[]){N, d->C}, &w->own, err) &&
              tensor_new(F64, 2, (int64_t[]){N, d->C}, &w->dec, err);
    for (int64_t r = 0; ok && r < d->R; r++) {
        double s = 0;
        for (int64_t c = 0; c < d->C; c++) {
            double h = (double)((float *)d->head.data)[r * d->C + c];
            w->head[r * d->C + c] = h;
            s += h * h;
        }
        w->size[r] = sqrt(s);
    }
    Factors f = {0};
    ok = ok && factors_new(e, N < BLOCK ? N : BLOCK, &f, err);
    for (int64_t i = 0; ok && i < N; i += BLOCK)
        ok = intr_check(err) &&
             answer_block(e, w, i, N - i < BLOCK ? N - i : BLOCK, &f, err);
    factors_done(&f);
    if (!ok)
        answers_done(w);
    return ok;
}

/* --- right answers ---------------------------------------------------------------- */

/* First largest of y + bias (bias NULL: of y). */
static int64_t arg_max(const double *y, const double *bias, int64_t C)
{
    int64_t top = 0;
    double best = y[0] + (bias ? bias[0] : 0);
    for (int64_t c = 1; c < C; c++) {
        double s = y[c] + (bias ? bias[c] : 0);
        if (s > best) {
            best = s;
            top = c;
        }
    }
    return top;
}

static void count_answers(const Answers *w, const int32_t *label, double *v)
{
    int64_t agree = 0, base = 0, plain = 0, biased = 0;
    for (int64_t i = 0; i < w->N; i++) {
        const double *own = f64(&w->own) + i * w->C, *dec = f64(&w->dec) + i * w->C;
        int64_t o = arg_max(own, NULL, w->C), b = arg_max(dec, w->bias, w->C);
        agree += o == b;
        if (label) {
            base += o == label[i];
            biased += b == label[i];
            plain += arg_max(dec, NULL, w->C) == label[i];
        }
    }
    v[M_AGREEMENT] = (double)agree / (double)w->N;
    if (label) {
        v[M_BASE_ACC] = (double)base / (double)w->N;
        v[M_TEST_ACC] = (double)plain / (double)w->N;
        v[M_TEST_ACC_BIAS] = (double)biased / (double)w->N;
    }
}

static void sum_cancellation(const Answers *w, double *v)
{
    double parts = 0, whole = 0;
    for (int64_t r = 0; r < w->R; r++) {
        double h = 0, s = 0;
        for (int64_t c = 0; c < w->C; c++)
            h += fabs(w->head[r * w->C + c]);
        for (int64_t i = 0; i < w->N; i++)
            s += fabs(f64(&w->act)[i * w->R + r]);
        parts += h * s;
    }
    for (int64_t i = 0; i < w->N * w->C; i++)
        whole += fabs(f64(&w->dec)[i]);
    if (whole > 0)
        v[M_CANCELLATION_DATA] = parts / whole;
}

/* --- keeping the strongest -------------------------------------------------------- */

/* The n_kept strongest of R, strongest first; ties by number. */
static int64_t strongest(const double *act, const double *size, int64_t R,
                         int64_t kept[KEPT])
{
    double top[KEPT];
    int64_t n = 0;
    for (int64_t r = 0; r < R; r++) {
        double s = fabs(act[r]) * size[r];
        if (n == KEPT && !(s > top[n - 1]))
            continue;
        int64_t k = n < KEPT ? n++ : n - 1;
        for (; k > 0 && s > top[k - 1]; k--) {
            top[k] = top[k - 1];
            kept[k] = kept[k - 1];
        }
        top[k] = s;
        kept[k] = r;
    }
    return n;
}

static bool keep_strongest(const Answers *w, double *v, Err *err)
{
    double *y = mem_array((size_t)w->C, sizeof *y, err);
    int64_t agree = 0, C = w->C;
    for (int64_t i = 0; y && i < w->N; i++) {
        const double *act = f64(&w->act) + i * w->R;
        int64_t kept[KEPT], n = strongest(act, w->size, w->R, kept);
        memset(y, 0, sizeof *y * (size_t)C);
        for (int64_t k = 0; k < n; k++)
            for (int64_t c = 0; c < C; c++)
                y[c] += act[kept[k]] * w->head[kept[k] * C + c];
        agree += arg_max(y, w->bias, C) == arg_max(f64(&w->own) + i * C, NULL, C);
    }
    v[M_KEEP16] = y ? (double)agree / (double)w->N : (double)NAN;
    mem_free(y);
    return y != NULL;
}

/* --- curves ----------------------------------------------------------------------- */

typedef struct Strength {
    double size;
    int64_t r;
} Strength;

static int by_strength(const void *x, const void *y)
{
    const Strength *a = x, *b = y;
    if (a->size != b->size)
        return a->size < b->size ? 1 : -1;
    return a->r < b->r ? -1 : 1;
}

/* Adds to count[i] whether image j is still answered alike with k[i] components kept
 * (or taken away). */
static void follow_image(const Answers *w, int64_t j, bool keep, const int64_t *k,
                         int n, Strength *order, double *y, int64_t *count)
{
    int64_t R = w->R, C = w->C, done = 0;
    const double *act = f64(&w->act) + j * R, *dec = f64(&w->dec) + j * C;
    int64_t own = arg_max(f64(&w->own) + j * C, NULL, C);
    for (int64_t r = 0; r < R; r++)
        order[r] = (Strength){fabs(act[r]) * w->size[r], r};
    qsort(order, (size_t)R, sizeof *order, by_strength);
    for (int64_t c = 0; c < C; c++)
        y[c] = keep ? 0 : dec[c];
    for (int i = 0; i < n; i++) {
        for (; done < k[i] && done < R; done++) {
            double a = keep ? act[order[done].r] : -act[order[done].r];
            for (int64_t c = 0; c < C; c++)
                y[c] += a * w->head[order[done].r * C + c];
        }
        count[i] += arg_max(y, w->bias, C) == own;
    }
}

static double wilson_half(double p, double n)
{
    const double z = 1.959963985;
    return z * sqrt(p * (1 - p) / n + z * z / (4 * n * n)) / (1 + z * z / n);
}

bool dict_curve(const DictEval *e, bool keep, const int64_t *k, int n,
                double *agreement, double *half, Err *err)
{
    Answers w = {0};
    if (!e->x)
        return err_set(err, ERR_OPTION, "a curve of components needs images");
    for (int i = 1; i < n; i++)
        if (k[i] < k[i - 1])
            return err_set(err, ERR_OPTION, "the numbers of components must rise");
    Strength *order = mem_array((size_t)e->dict->R, sizeof *order, err);
    double *y = mem_array((size_t)e->dict->C, sizeof *y, err);
    int64_t *count = mem_zalloc(sizeof *count * (size_t)(n + 1), err);
    bool have = order && y && count && answers_new(e, &w, err), ok = have;
    for (int64_t j = 0; ok && j < w.N; j++) {
        follow_image(&w, j, keep, k, n, order, y, count);
        ok = j % 256 || intr_check(err);
    }
    for (int i = 0; ok && i < n; i++) {
        agreement[i] = (double)count[i] / (double)w.N;
        half[i] = wilson_half(agreement[i], (double)w.N);
    }
    if (have)
        answers_done(&w);
    mem_free(order);
    mem_free(y);
    mem_free(count);
    return ok;
}

/* --- ablation --------------------------------------------------------------------- */

/* Share of images whose answer changes when component r acts as on average, and the std
 * of it. */
static double mean_ablation(const Answers *w, int64_t r, const int64_t *answer,
                            double *y, double *std)
{
    int64_t N = w->N, R = w->R, C = w->C, flips = 0;
    const double *act = f64(&w->act), *head = w->head + r * C;
    double mean = 0, var = 0;
    for (int64_t i = 0; i < N; i++)
        mean += act[i * R + r];
    mean /= (double)N;
    for (int64_t i = 0; i < N; i++) {
        double change = mean - act[i * R + r];
        const double *own = f64(&w->own) + i * C;
        var += change * change;
        for (int64_t c = 0; c < C; c++)
            y[c] = own[c] + change * head[c];
        flips += arg_max(y, NULL, C) != answer[i];
    }
    *std = sqrt(var / (double)N);
    return (double)flips / (double)N;
}

static bool rank_ablations(const Answers *w, double *v, Err *err)
{
    int64_t *answer = mem_array((size_t)w->N, sizeof *answer, err);
    double *flips = mem_array((size_t)(2 * w->R + w->C), sizeof *flips, err);
    bool ok = answer && flips;
    for (int64_t i = 0; ok && i < w->N; i++)
        answer[i] = arg_max(f64(&w->own) + i * w->C, NULL, w->C);
    for (int64_t r = 0; ok && r < w->R; r++) {
        double std;
        flips[r] = mean_ablation(w, r, answer, flips + 2 * w->R, &std);
        flips[w->R + r] = std * w->size[r];
        ok = r % 64 || intr_check(err);
    }
    ok = ok && corr_spearman(flips + w->R, flips, w->R, &v[M_ABLATION_RANK], err);
    mem_free(answer);
    mem_free(flips);
    return ok;
}

/* Components with mean |act| on their own digit not above that on the others; one whose
 * digit (or every other) is missing from the set is left out. */
static void count_other_digit(const Answers *w, const int32_t *owner,
                              const int32_t *label, double *v)
{
    int64_t others = 0, used = 0;
    for (int64_t r = 0; r < w->R; r++) {
        double sum[2] = {0}, n[2] = {0};
        for (int64_t i = 0; i < w->N; i++) {
            int own = label[i] == owner[r];
            sum[own] += fabs(f64(&w->act)[i * w->R + r]);
            n[own]++;
        }
        if (n[0] > 0 && n[1] > 0) {
            used++;
            others += sum[1] / n[1] <= sum[0] / n[0];
        }
    }
    if (used)
        v[M_OTHER_DIGIT] = (double)others / (double)used;
}

bool metrics_of_images(const DictEval *e, double *v, Err *err)
{
    Answers w;
    if (!e->x)
        return true;
    if (!answers_new(e, &w, err))
        return false;
    const int32_t *label = e->labels ? e->labels->data : NULL;
    count_answers(&w, label, v);
    sum_cancellation(&w, v);
    if (label)
        count_other_digit(&w, e->dict->owner.data, label, v);
    bool ok =
        intr_check(err) && keep_strongest(&w, v, err) && rank_ablations(&w, v, err);
    answers_done(&w);
    return ok;
}
