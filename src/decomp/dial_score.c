/* dial_score.c -- pictures and scores of the class as it stands. An activation is
 * (x.p)^2 - (x.n)^2; balanced, a component's patterns are combinations of its p and n,
 * so erasure needs only x W^T, z M W^T and the matrices of the metric. */
#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "decomp/dial_int.h"
#include "decomp/metrics_int.h"
#include "tensor/blas.h"

static double *f64(const Tensor *t)
{
    return t->data;
}

#define STATE(field, doc)                                                              \
    {                                                                                  \
#field, doc, offsetof(DialState, field)                                        \
    }
#define PART(field, doc)                                                               \
    {                                                                                  \
#field, doc, offsetof(DialPart, field)                                         \
    }
const DialRow dial_state_rows[] = {
    STATE(similarity_data, "Of the whole dictionary; a gauge does not change it."),
    STATE(similarity, "Of the whole dictionary, all weights alike; does not change."),
    STATE(
        drift,
        "How far rounding has led off the gauge group: largest entry of Q^T J Q - J."),
    STATE(keep16_agreement, "Of the whole dictionary: agreement with the 16 strongest "
                            "components of each image."),
    STATE(cancellation_data, "Of the digit: sum of |activation| over |its logit|."),
    STATE(cancellation, "Of the digit: root of the sum of |T_r|^2 over |T|^2."),
    STATE(erase_corr, "Of the digit: predicted and true change of its logit when a "
                      "component's plane is removed."),
    STATE(ablation_rank_corr, "Of the digit: rank correlation of a component's effect "
                              "with the answers its mean-ablation changes."),
    STATE(other_digit_share, "Share of the digit's components that are at least as "
                             "active on other digits."),
    STATE(pattern_gini, "Of the digit's patterns."),
    STATE(locality_7x7, "Of the digit's patterns."),
    STATE(display_tv, "Of the digit's patterns."),
    STATE(background_energy, "Of the digit's patterns."),
};
const size_t dial_n_state_rows = ARRAY_LEN(dial_state_rows);
const DialRow dial_part_rows[] = {
    PART(effect, "Standard deviation of the activation over the images."),
    PART(gini, "Gini coefficient of |pixel|, mean of its patterns."),
    PART(locality, "Best 7 by 7 window's share of the energy, mean of its patterns."),
    PART(erase_corr, "Predicted and true change of the logit when it is erased."),
    PART(flips, "Share of answers that change when it acts as on average."),
};
const size_t dial_n_part_rows = ARRAY_LEN(dial_part_rows);

/* --- pictures --------------------------------------------------------------------- */

bool dial_class(const GaugeDial *d, bool responses, Dictionary *out, Err *err)
{
    const Tensor *rows = responses ? &d->V0 : &d->W0;
    int64_t I = d->dict.I, n = d->n;
    memset(out, 0, sizeof *out);
    double *W = mem_array((size_t)(d->m * I), sizeof *W, err);
    bool ok =
        W && dial_rows(d, &d->Q, rows, W, err) && dict_new(n, d->dict.C, I, out, err);
    for (int64_t i = 0; ok && i < n * I; i++) {
        ((float *)out->a.data)[i] = (float)(W[i] + W[n * I + i]);
        ((float *)out->b.data)[i] = (float)(W[i] - W[n * I + i]);
    }
    for (int64_t r = 0; ok && r < n; r++) {
        ((float *)out->head.data)[r * d->dict.C + d->c] = 1;
        ((int32_t *)out->owner.data)[r] = (int32_t)d->c;
    }
    mem_free(W);
    return ok;
}

bool dial_patterns(const GaugeDial *d, bool responses, Tensor *out, Err *err)
{
    Dictionary own;
    memset(out, 0, sizeof *out);
    if (responses && !d->has_metric[1])
        return err_set(err, ERR_STATE, "what filters respond to needs the data metric");
    bool ok = dial_class(d, responses, &own, err) &&
              dict_patterns(&own, NULL, false, out, err);
    dict_done(&own);
    return ok;
}

bool dial_dictionary(const GaugeDial *d, Dictionary *out, Err *err)
{
    Dictionary own = {0};
    int64_t I = d->dict.I, C = d->dict.C;
    memset(out, 0, sizeof *out);
    bool ok = dial_class(d, false, &own, err) && dict_new(d->dict.R, C, I, out, err) &&
              tensor_copy_into(&d->dict.a, &out->a, err) &&
              tensor_copy_into(&d->dict.b, &out->b, err) &&
              tensor_copy_into(&d->dict.head, &out->head, err) &&
              tensor_copy_into(&d->dict.owner, &out->owner, err);
    if (ok) {
        dict_balance(&own);
        out->shown = d->dict.shown;
    } else {
        dict_done(out);
    }
    for (int64_t k = 0; ok && k < d->n; k++) {
        size_t row = sizeof(float) * (size_t)I;
        int64_t r = d->rows[k];
        memcpy((float *)out->a.data + r * I, (float *)own.a.data + k * I, row);
        memcpy((float *)out->b.data + r * I, (float *)own.b.data + k * I, row);
        memcpy((float *)out->head.data + r * C, (float *)own.head.data + k * C,
               sizeof(float) * (size_t)C);
    }
    dict_done(&own);
    return ok;
}

static bool score_patterns(const GaugeDial *d, DialState *out, DialPart *part, Err *err)
{
    Dictionary own;
    Tensor q = {0};
    int64_t I = d->dict.I, room = (d->height + 1) * (d->width + 1), used = 0;
    double *scratch = mem_array((size_t)room, sizeof *scratch, err);
    bool ok = dial_class(d, false, &own, err) && scratch &&
              dict_patterns(&own, NULL, false, &q, err);
    DictEval e = {.dict = &own, .height = d->height, .width = d->width};
    e.unlit = d->has_unlit ? &d->unlit : NULL;
    PatternMeans all = {0};
    for (int64_t r = 0; ok && r < d->n; r++) {
        PatternMeans one = {0};
        int seen = 0;
        for (int64_t s = 0; s < 2; s++)
            seen += metrics_add_pattern(&e, (float *)q.data + (2 * r + s) * I, scratch,
                                        &one);
        part[r].gini = seen ? one.gini / seen : (double)NAN;
        part[r].locality = seen ? one.locality / seen : (double)NAN;
        all.gini += one.gini;
        all.locality += one.locality;
        all.tv += one.tv;
        all.background += one.background;
        used += seen;
    }
    double n = used ? (double)used : (double)NAN;
    out->pattern_gini = all.gini / n;
    out->locality_7x7 = all.locality / n;
    out->display_tv = all.tv / n;
    out->background_energy = e.unlit ? all.background / n : (double)NAN;
    mem_free(scratch);
    tensor_release(&q);
    dict_done(&own);
    return ok;
}

/* --- matrices --------------------------------------------------------------------- */

/* out [rows,m] = X Q^T */
static bool times_turned(const GaugeDial *d, int64_t rows, const double *X, double *out,
                         Err *err)
{
    return blas_gemm_f64(false, true, rows, d->m, d->m, 1, X, d->m, f64(&d->Q), d->m, 0,
                         out, d->m, err);
}

/* out [m,m] = Q X Q^T; t [m,m] is scratch. */
static bool turned(const GaugeDial *d, const Tensor *X, double *t, double *out,
                   Err *err)
{
    int64_t m = d->m;
    return blas_gemm_f64(false, false, m, m, m, 1, f64(&d->Q), m, f64(X), m, 0, t, m,
                         err) &&
           times_turned(d, m, t, out, err);
}

/* <T_c,T_c> and <T_c,B_c> of gram and cross matrices. */
static void class_products(const GaugeDial *d, const double *G, const double *H,
                           double *TT, double *TB)
{
    int64_t m = d->m, n = d->n;
    *TT = *TB = 0;
    for (int64_t i = 0; i < m; i++) {
        *TB += i < n ? H[i * m + i] : -H[i * m + i];
        for (int64_t j = 0; j < m; j++)
            *TT += ((i < n) == (j < n) ? 1 : -1) * G[i * m + j] * G[i * m + j];
    }
}

/* The whole's cosine: what the class was is taken out, what it is put in. */
static double whole_cosine(const GaugeDial *d, const DialMetric *x, const double *G,
                           const double *H)
{
    double TT0, TB0, TT, TB;
    class_products(d, f64(&x->gram), f64(&x->cross), &TT0, &TB0);
    class_products(d, G, H, &TT, &TB);
    return gram_cosine(&(DictGram){x->TB - TB0 + TB, x->TT - TT0 + TT, x->BB});
}

static double class_cancellation(const GaugeDial *d, const double *G)
{
    int64_t m = d->m, n = d->n;
    double parts = 0, TT, TB;
    for (int64_t r = 0; r < n; r++) {
        double pp = G[r * m + r], nn = G[(n + r) * m + n + r], pn = G[r * m + n + r];
        parts += pp * pp + nn * nn - 2 * pn * pn;
    }
    class_products(d, G, G, &TT, &TB);
    return TT > 0 ? sqrt(parts / TT) : (double)NAN;
}

/* --- images ----------------------------------------------------------------------- */

typedef struct Scored {
    double *G, *H, *t;      /* [m,m] of the plain metric, scratch */
    double *xw, *zm;        /* [N,m] */
    double *act;            /* [N,n] */
    double *guess, *truth;  /* [erased,n] changes of the logit */
    double *effect, *flips; /* [n] */
} Scored;

static void scored_done(Scored *s)
{
    double *const all[] = {s->G,   s->H,     s->t,     s->xw,     s->zm,
                           s->act, s->guess, s->truth, s->effect, s->flips};
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        mem_free(all[i]);
}

static int64_t erased(const GaugeDial *d)
{
    return d->images.N < DIAL_ERASED ? d->images.N : DIAL_ERASED;
}

static bool scored_new(const GaugeDial *d, Scored *s, Err *err)
{
    size_t m = (size_t)d->m, n = (size_t)d->n, N = (size_t)d->images.N;
    size_t few = (size_t)erased(d), w = sizeof(double);
    *s = (Scored){0};
    return (s->G = mem_array(m * m, w, err)) && (s->H = mem_array(m * m, w, err)) &&
           (s->t = mem_array(m * m, w, err)) &&
           (s->xw = mem_array(N * m + 1, w, err)) &&
           (s->zm = mem_array(N * m + 1, w, err)) &&
           (s->act = mem_array(N * n + 1, w, err)) &&
           (s->guess = mem_array(few * n + 1, w, err)) &&
           (s->truth = mem_array(few * n + 1, w, err)) &&
           (s->effect = mem_array(n, w, err)) && (s->flips = mem_array(n, w, err));
}

/* The patterns of a component as combinations of p and n: K[0] of plus, K[1] of minus;
 * zero where the other one is all there is. */
static void display(const GaugeDial *d, const double *G, int64_t r, double K[2][2])
{
    int64_t m = d->m, n = d->n;
    double pp = G[r * m + r], nn = G[(n + r) * m + n + r], pn = G[r * m + n + r];
    double aa = sqrt(fmax(pp + nn + 2 * pn, 0)), bb = sqrt(fmax(pp + nn - 2 * pn, 0));
    double t = sqrt((bb + 1e-12) / (aa + 1e-12)), size[2];
    for (int k = 0; k < 2; k++) {
        double s = k == 0 ? 1 : -1;
        K[k][0] = t + s / t; /* t (p+n) + s (p-n)/t */
        K[k][1] = t - s / t;
        size[k] = sqrt(fmax(K[k][0] * K[k][0] * pp + K[k][1] * K[k][1] * nn +
                                2 * K[k][0] * K[k][1] * pn,
                            0));
    }
    for (int k = 0; k < 2; k++) {
        bool seen = size[k] > 1e-6 * fmax(size[0], size[1]);
        K[k][0] = seen ? K[k][0] / size[k] : 0;
        K[k][1] = seen ? K[k][1] / size[k] : 0;
    }
}

/* u^T B w of patterns u = K[k], w = K[l] of component r. */
static double form(const GaugeDial *d, const double *H, int64_t r, const double *k,
                   const double *l)
{
    int64_t m = d->m, n = d->n;
    return k[0] * l[0] * H[r * m + r] + k[1] * l[1] * H[(n + r) * m + n + r] +
           (k[0] * l[1] + k[1] * l[0]) * H[r * m + n + r];
}

static void erase(const GaugeDial *d, Scored *s, DialState *out, DialPart *part)
{
    int64_t m = d->m, n = d->n, few = erased(d);
    for (int64_t r = 0; r < n; r++) {
        double K[2][2];
        display(d, s->G, r, K);
        double uu = form(d, s->H, r, K[0], K[0]), uw = form(d, s->H, r, K[0], K[1]),
               ww = form(d, s->H, r, K[1], K[1]);
        for (int64_t i = 0; i < few; i++) {
            const double *x = s->xw + i * m, *z = s->zm + i * m;
            double u = K[0][0] * x[r] + K[0][1] * x[n + r];
            double w = K[1][0] * x[r] + K[1][1] * x[n + r];
            double zu = K[0][0] * z[r] + K[0][1] * z[n + r];
            double zw = K[1][0] * z[r] + K[1][1] * z[n + r];
            s->truth[r * few + i] =
                -2 * (u * zu + w * zw) + u * u * uu + 2 * u * w * uw + w * w * ww;
            s->guess[r * few + i] = -s->act[i * n + r];
        }
        part[r].erase_corr = corr_pearson(s->guess + r * few, s->truth + r * few, few);
    }
    out->erase_corr = corr_pearson(s->guess, s->truth, few * n);
}

/* Answers of the network that change when component r acts as on average. */
static void ablate(const GaugeDial *d, Scored *s, DialPart *part)
{
    const DialImages *w = &d->images;
    for (int64_t r = 0; r < d->n; r++) {
        double mean = 0, var = 0;
        int64_t flips = 0;
        for (int64_t i = 0; i < w->N; i++)
            mean += s->act[i * d->n + r] / (double)w->N;
        for (int64_t i = 0; i < w->N; i++) {
            double change = mean - s->act[i * d->n + r], y = w->logit[i] + change;
            var += change * change;
            flips += w->answer[i] == d->c ? y < w->rival[i] : y > w->rival[i];
        }
        s->effect[r] = part[r].effect = sqrt(var / (double)w->N);
        s->flips[r] = part[r].flips = (double)flips / (double)w->N;
    }
}

/* Components at least as active on other digits as on their own; cancellation. */
static void share_and_cancel(const GaugeDial *d, const Scored *s, DialState *out)
{
    const DialImages *w = &d->images;
    double parts = 0, whole = 0;
    int64_t others = 0, own_n = 0;
    for (int64_t i = 0; i < w->N; i++) {
        double logit = 0;
        for (int64_t r = 0; r < d->n; r++) {
            logit += s->act[i * d->n + r];
            parts += fabs(s->act[i * d->n + r]);
        }
        whole += fabs(logit);
        own_n += w->label && w->label[i] == d->c;
    }
    out->cancellation_data = whole > 0 ? parts / whole : (double)NAN;
    if (own_n == 0 || own_n == w->N)
        return;
    for (int64_t r = 0; r < d->n; r++) {
        double sum[2] = {0};
        for (int64_t i = 0; i < w->N; i++)
            sum[w->label[i] == d->c] += fabs(s->act[i * d->n + r]);
        others += sum[1] / (double)own_n <= sum[0] / (double)(w->N - own_n);
    }
    out->other_digit_share = (double)others / (double)d->n;
}

/* Merges the class's components with the strongest of the others, image by image. */
static bool keep_strongest(const GaugeDial *d, const Scored *s, DialState *out,
                           Err *err)
{
    const DialImages *w = &d->images;
    int64_t C = d->dict.C, agree = 0;
    const float *head = d->dict.head.data;
    double *y = mem_array((size_t)C, sizeof *y, err);
    bool *used = y ? mem_array((size_t)d->n, sizeof *used, err) : NULL;
    for (int64_t i = 0; used && i < w->N; i++) {
        const DialStrong *other = w->strong + i * w->kept;
        const double *act = s->act + i * d->n;
        int64_t next = 0;
        memcpy(y, d->bias, sizeof *y * (size_t)C);
        memset(used, 0, sizeof *used * (size_t)d->n);
        for (int k = 0; k < DIAL_KEPT; k++) {
            int64_t best = -1;
            for (int64_t r = 0; r < d->n; r++)
                if (!used[r] && (best < 0 || fabs(act[r]) > fabs(act[best])))
                    best = r;
            if (next < w->kept && (best < 0 || other[next].size >= fabs(act[best]))) {
                const float *h = head + other[next].component * C;
                for (int64_t c = 0; c < C; c++)
                    y[c] += other[next].value * (double)h[c];
                next++;
            } else if (best >= 0) {
                used[best] = true;
                y[d->c] += act[best];
            }
        }
        int64_t top = 0;
        for (int64_t c = 1; c < C; c++)
            top = y[c] > y[top] ? c : top;
        agree += top == w->answer[i];
    }
    out->keep16_agreement = (double)agree / (double)w->N;
    bool ok = used != NULL;
    mem_free(y);
    mem_free(used);
    return ok;
}

static bool score_images(const GaugeDial *d, Scored *s, DialState *out, DialPart *part,
                         Err *err)
{
    const DialImages *w = &d->images;
    if (!d->has_images)
        return true;
    if (!times_turned(d, w->N, f64(&w->xw), s->xw, err) ||
        !times_turned(d, erased(d), f64(&w->zm), s->zm, err))
        return false;
    for (int64_t i = 0; i < w->N; i++)
        for (int64_t r = 0; r < d->n; r++) {
            double p = s->xw[i * d->m + r], n = s->xw[i * d->m + d->n + r];
            s->act[i * d->n + r] = p * p - n * n;
        }
    erase(d, s, out, part);
    ablate(d, s, part);
    share_and_cancel(d, s, out);
    return corr_spearman(s->effect, s->flips, d->n, &out->ablation_rank_corr, err) &&
           keep_strongest(d, s, out, err);
}

/* --- all -------------------------------------------------------------------------- */

static void missing(double *v, size_t bytes)
{
    for (size_t i = 0; i < bytes / sizeof *v; i++)
        v[i] = (double)NAN;
}

bool dial_state(GaugeDial *d, DialState *out, DialPart *part, Err *err)
{
    Scored s;
    DialPart *own = mem_array((size_t)d->n, sizeof *own, err);
    missing((double *)out, sizeof *out);
    if (!own)
        return false;
    missing((double *)own, sizeof *own * (size_t)d->n);
    bool ok = scored_new(d, &s, err) && score_patterns(d, out, own, err);
    if (ok && d->has_metric[1]) {
        const DialMetric *x = &d->metric[1];
        ok = turned(d, &x->gram, s.t, s.G, err) && turned(d, &x->cross, s.t, s.H, err);
        out->similarity_data = whole_cosine(d, x, s.G, s.H);
    }
    ok = ok && turned(d, &d->metric[0].gram, s.t, s.G, err) &&
         turned(d, &d->metric[0].cross, s.t, s.H, err);
    if (ok) {
        out->similarity = whole_cosine(d, &d->metric[0], s.G, s.H);
        out->cancellation = class_cancellation(d, s.G);
        out->drift = dial_drift(&d->Q);
    }
    ok = ok && score_images(d, &s, out, own, err);
    if (ok && part)
        memcpy(part, own, sizeof *own * (size_t)d->n);
    scored_done(&s);
    mem_free(own);
    return ok;
}
