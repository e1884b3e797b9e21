/* absorb.c -- once the projections of all decoder rows on a class are known, an example
 * is a list of numbers: code times projection of each active latent. Dealing out rows
 * anew (those of active latents that are not main, among these) is another order of the
 * same table. */
#include "decomp/absorb.h"

#include <math.h>
#include <string.h>

#include "base/intr.h"
#include "base/mem.h"
#include "decomp/sae_int.h"
#include "tensor/rng.h"

enum { MANY_MAX = 16 };

#define OPT(type, name, dflt, lo, hi, doc)                                             \
    {                                                                                  \
#name, type, offsetof(AbsorbCfg, name), dflt, lo, hi, NULL, doc                \
    }
const OptRow absorb_options[] = {
    OPT(OPT_INT, most, "5", 1, PROBE_MAX, "Main latents of a class at most."),
    OPT(OPT_NUM, gain, "0.03", 0, 1, "One more is main if it raises F1 by so much."),
    OPT(OPT_NUM, f1, "0.6", 0, 1, "F1 that a class's probe must exceed to count."),
    OPT(OPT_NUM, cosine, "0.025", -1, 1, "Least cosine of one absorbing latent."),
    OPT(OPT_NUM, share, "0.4", 0, 1, "Share of the projection it must carry."),
    OPT(OPT_NUM, cosine_many, "0.1", -1, 1, "Least cosine of each of several."),
    OPT(OPT_INT, many, "3", 1, MANY_MAX, "How many these may be."),
    OPT(OPT_INT, draws, "16", 0, 1000, "Times that rows are dealt out; 0: no null."),
    OPT(OPT_INT, seed, "1", 0, 1e15, "Seed of these draws."),
};
const size_t absorb_n_options = ARRAY_LEN(absorb_options);

#define ROW(field, doc)                                                                \
    {                                                                                  \
#field, doc, offsetof(AbsorbClass, field)                                      \
    }
const AbsorbRow absorb_rows[] = {
    ROW(probe_f1, "F1 of a linear probe of the class on the test examples."),
    ROW(main_f1, "F1 of the class's main latents alone."),
    ROW(main, "How many these are; above 1 the class is split."),
    ROW(accepted, "Test examples of the class that the probe accepts."),
    ROW(silent, "Share of these on which all main latents are 0: limit of absorbed."),
    ROW(absorbed, "Share of these that one other latent absorbs."),
    ROW(null, "absorbed with decoder rows dealt out anew, mean over draws."),
    ROW(part, "Mean share of the projection that up to three others carry."),
    ROW(null_part, "part with decoder rows dealt out anew."),
};
const size_t absorb_n_rows = ARRAY_LEN(absorb_rows);

typedef struct Work {
    const AbsorbIn *in;
    const AbsorbCfg *cfg;
    const Tensor *part;
    int64_t M, F, T, c;
    double *w;            /* [F]: the probe of the class, of length 1 */
    double *dot, *cosine; /* [M]: of decoder rows with it */
    int32_t *dealt;       /* [1 + draws, M]: whose row a latent has */
    int32_t *list;        /* [M]: scratch; active latents of an example */
    bool *main, *alive;   /* [M] */
} Work;

static double cut(double v, double lo, double hi)
{
    return v < lo ? lo : v > hi ? hi : v;
}

/* ---- a class --------------------------------------------------------------------- */

static void project(Work *k)
{
    const double *w = (const double *)k->in->probe->weight.data + k->c * k->F;
    const float *row = k->in->decoder->data;
    double size = 0;
    for (int64_t d = 0; d < k->F; d++)
        size += w[d] * w[d];
    for (int64_t d = 0; d < k->F; d++)
        k->w[d] = size > 0 ? w[d] / sqrt(size) : 0;
    for (int64_t m = 0; m < k->M; m++, row += k->F) {
        double dot = 0, square = 0;
        for (int64_t d = 0; d < k->F; d++) {
            dot += k->w[d] * (double)row[d];
            square += (double)row[d] * (double)row[d];
        }
        k->dot[m] = dot;
        k->cosine[m] = square > 0 ? dot / sqrt(square) : 0;
    }
}

/* Row 0 as it is, then the draws: main and dead latents keep theirs. */
static bool deal(Work *k, Err *err)
{
    int64_t n = 0, M = k->M, draws = k->cfg->draws;
    int32_t *order = mem_array((size_t)M, sizeof *order, err);
    if (!order)
        return false;
    for (int64_t m = 0; m < M; m++)
        if (k->alive[m] && !k->main[m])
            k->list[n++] = (int32_t)m;
    for (int64_t r = 0; r <= draws; r++) {
        int32_t *to = k->dealt + r * M;
        RngKey key = {.seed = (uint64_t)k->cfg->seed,
                      .stream = rng_stream("absorb"),
                      .step = (uint64_t)(k->c * draws + r)};
        for (int64_t m = 0; m < M; m++)
            to[m] = (int32_t)m;
        if (r > 0)
            rng_permutation(key, n, order);
        for (int64_t i = 0; r > 0 && i < n; i++)
            to[k->list[i]] = k->list[order[i]];
    }
    mem_free(order);
    return true;
}

/* ---- an example ------------------------------------------------------------------ */

typedef struct Example {
    const float *f; /* [M] */
    double whole;   /* projection of what is to be written */
    double main;    /* of it by main latents */
    int64_t active; /* others that are active: k->list */
    bool silent;    /* no main latent is */
} Example;

static bool absorbed(const Work *k, const Example *e, const int32_t *row)
{
    double best = -INFINITY, cosine = 0, carried = 0;
    for (int64_t i = 0; i < e->active; i++) {
        double f = (double)e->f[k->list[i]], sign = f < 0 ? -1 : 1;
        int32_t r = row[k->list[i]];
        if (f * k->cosine[r] > best) {
            best = f * k->cosine[r];
            cosine = sign * k->cosine[r];
            carried = f * k->dot[r];
        }
    }
    return e->silent && e->whole > 0 && cosine >= k->cfg->cosine &&
           carried >= k->cfg->share * e->whole && e->active > 0;
}

static double share_of_others(const Work *k, const Example *e, const int32_t *row)
{
    double top[MANY_MAX] = {0}, sum = 0;
    int64_t many = k->cfg->many;
    for (int64_t i = 0; i < e->active; i++) {
        double f = (double)e->f[k->list[i]], sign = f < 0 ? -1 : 1;
        int32_t r = row[k->list[i]];
        double carried = f * k->dot[r];
        if (sign * k->cosine[r] < k->cfg->cosine_many || carried <= top[many - 1])
            continue;
        int64_t at = many - 1;
        for (; at > 0 && top[at - 1] < carried; at--)
            top[at] = top[at - 1];
        top[at] = carried;
    }
    for (int64_t i = 0; i < many; i++)
        sum += top[i];
    if (!(e->whole > 0) || e->main >= e->whole || sum < k->cfg->share * e->whole ||
        sum <= 0)
        return 0;
    sum = fmin(sum, e->whole - e->main);
    return cut(sum / (sum + fmax(e->main, 0)), 0, 1);
}

static Example look_at(Work *k, int64_t i)
{
    Example e = {.f = (const float *)k->in->test_codes->data + i * k->M,
                 .silent = true};
    const float *part = (const float *)k->part->data + i * k->F;
    for (int64_t d = 0; d < k->F; d++)
        e.whole += k->w[d] * (double)part[d];
    for (int64_t m = 0; m < k->M; m++) {
        if (e.f[m] == 0)
            continue;
        if (!k->main[m]) {
            k->list[e.active++] = (int32_t)m;
            continue;
        }
        e.silent = false;
        e.main += (double)e.f[m] * k->dot[m];
    }
    return e;
}

static bool count(Work *k, AbsorbClass *out, Err *err)
{
    const AbsorbIn *in = k->in;
    double draws = (double)k->cfg->draws;
    for (int64_t i = 0; i < k->T; i++) {
        if (((const int32_t *)in->test_labels->data)[i] != k->c ||
            !(probe_linear_score(in->probe, k->c,
                                 (const float *)in->test->data + i * k->F) > 0))
            continue;
        Example e = look_at(k, i);
        out->accepted += 1;
        out->silent += e.silent;
        out->absorbed += absorbed(k, &e, k->dealt);
        out->part += share_of_others(k, &e, k->dealt);
        for (int64_t r = 1; r <= k->cfg->draws; r++) {
            out->null += absorbed(k, &e, k->dealt + r * k->M) / draws;
            out->null_part += share_of_others(k, &e, k->dealt + r * k->M) / draws;
        }
        if (!intr_check(err))
            return false;
    }
    double *const shares[] = {&out->silent, &out->absorbed, &out->part, &out->null,
                              &out->null_part};
    for (size_t i = 0; i < ARRAY_LEN(shares); i++)
        *shares[i] = out->accepted > 0 ? *shares[i] / out->accepted : (double)NAN;
    if (k->cfg->draws == 0)
        out->null = out->null_part = NAN;
    return true;
}

static bool measure_class(Work *k, const ProbeSplit *split, AbsorbClass *out, Err *err)
{
    memset(k->main, 0, sizeof *k->main * (size_t)k->M);
    for (int64_t q = 0; q < split->k; q++)
        k->main[split->at[q]] = true;
    *out = (AbsorbClass){
        .probe_f1 = ((const double *)k->in->probe->f1.data)[k->c],
        .main_f1 = split->f1,
        .main = (double)split->k,
    };
    project(k);
    if (!deal(k, err) || !count(k, out, err))
        return false;
    out->counts = out->probe_f1 > k->cfg->f1 && out->accepted > 0;
    return true;
}

/* ---- all ------------------------------------------------------------------------- */

static void average(const AbsorbClass *a, int64_t C, AbsorbClass *mean)
{
    double n = 0;
    *mean = (AbsorbClass){0};
    for (int64_t c = 0; c < C; c++)
        n += a[c].counts;
    mean->counts = n > 0;
    for (size_t r = 0; r < absorb_n_rows; r++) {
        double sum = 0, v;
        bool total = absorb_rows[r].offset == offsetof(AbsorbClass, accepted);
        for (int64_t c = 0; c < C; c++) {
            memcpy(&v, (const char *)&a[c] + absorb_rows[r].offset, sizeof v);
            sum += a[c].counts ? v : 0;
        }
        v = n > 0 ? sum / (total ? 1 : n) : (double)NAN;
        memcpy((char *)mean + absorb_rows[r].offset, &v, sizeof v);
    }
}

static bool check(const AbsorbIn *in, Err *err)
{
    char a[96], b[96];
    const Tensor *d = in->decoder, *t = in->test, *w = &in->probe->weight;
    bool fits = d->ndim == 2 && d->dtype == F32 && tensor_contiguous(d) &&
                in->codes->ndim == 2 && d->dim[0] == in->codes->dim[1] &&
                t->ndim == 2 && t->dtype == F32 && tensor_contiguous(t) &&
                t->dim[0] == in->test_codes->dim[0] && t->dim[1] == d->dim[1] &&
                w->dim[1] == d->dim[1];
    if (in->part)
        fits = fits && in->part->dtype == F32 && tensor_same_shape(in->part, t) &&
               tensor_contiguous(in->part);
    return fits ||
           err_set(err, ERR_SHAPE,
                   "absorption needs a decoder f32 [M,F] of the codes' M latents, and "
                   "test examples and a probe of its F values; the decoder is %s, the "
                   "examples are %s, the probe is of %lld",
                   tensor_format_shape(d, a), tensor_format_shape(t, b),
                   (long long)w->dim[1]);
}

static bool note_alive(Work *k, Err *err)
{
    const float *f = k->in->test_codes->data;
    for (int64_t i = 0; i < k->T; i++) {
        for (int64_t m = 0; m < k->M; m++)
            k->alive[m] |= f[i * k->M + m] != 0;
        if (!intr_check(err))
            return false;
    }
    return true;
}

static bool make(Work *k, int64_t C, ProbeSplit **split, Err *err)
{
    size_t M = (size_t)k->M, rows = (size_t)k->cfg->draws + 1;
    *split = mem_array((size_t)C, sizeof **split, err);
    k->w = *split ? mem_array((size_t)k->F + 2 * M, sizeof *k->w, err) : NULL;
    k->dealt = k->w ? mem_array((rows + 1) * M, sizeof *k->dealt, err) : NULL;
    k->main = k->dealt ? mem_zalloc(2 * M * sizeof *k->main, err) : NULL;
    if (!k->main)
        return false;
    k->dot = k->w + k->F;
    k->cosine = k->dot + M;
    k->list = k->dealt + rows * M;
    k->alive = k->main + M;
    return true;
}

bool absorb_measure(const AbsorbIn *in, const AbsorbCfg *cfg, AbsorbClass classes[],
                    AbsorbClass *mean, Err *err)
{
    if (!check(in, err))
        return false;
    Work k = {.in = in,
              .cfg = cfg,
              .part = in->part ? in->part : in->test,
              .M = in->decoder->dim[0],
              .F = in->decoder->dim[1],
              .T = in->test->dim[0]};
    int64_t C = in->probe->weight.dim[0], most = cfg->most < k.M ? cfg->most : k.M;
    ProbeSplit *split = NULL;
    bool ok = make(&k, C, &split, err) &&
              probe_split(in->codes, in->labels, in->test_codes, in->test_labels, C,
                          most, cfg->gain, split, err) &&
              note_alive(&k, err);
    for (k.c = 0; ok && k.c < C; k.c++)
        ok = measure_class(&k, &split[k.c], &classes[k.c], err);
    if (ok)
        average(classes, C, mean);
    mem_free(split);
    mem_free(k.w);
    mem_free(k.dealt);
    mem_free(k.main);
    return ok;
}

/* ---- of an autoencoder ----------------------------------------------------------- */

/* Raw units up to a factor of each example: what is to be written beside the decoder's
 * bias, and the rows that write it. */
static bool in_raw_units(const Sae *s, const Tensor *x, const Tensor *y, Tensor *part,
                         Tensor *rows, Err *err)
{
    int64_t O = s->O;
    const float *gain = s->gain_out.data,
                *bias = tset_get(s->params, "decoder_bias")->data;
    double *own = mem_alloc(sizeof *own * (size_t)O, err);
    bool ok = own && tensor_new(F32, 2, y->dim, part, err) &&
              tensor_copy(tset_get(s->params, "decoder"), rows, err);
    for (int64_t i = 0; ok && i < y->dim[0]; i++) {
        sae_norm_row(s, (const float *)x->data + i * s->D,
                     (const float *)y->data + i * O, own);
        for (int64_t o = 0; o < O; o++)
            ((float *)part->data)[i * O + o] =
                (float)((own[o] - (double)bias[o]) / (double)gain[o]);
        ok = intr_check(err);
    }
    for (int64_t i = 0; ok && i < s->M * O; i++)
        ((float *)rows->data)[i] /= gain[i % O];
    mem_free(own);
    return ok;
}

bool sae_absorb(Sae *s, const LinearProbe *probe, const Tensor *x, const Tensor *labels,
                const Tensor *xt, const Tensor *yt, const Tensor *test_labels,
                const AbsorbCfg *cfg, AbsorbClass classes[], AbsorbClass *mean,
                Err *err)
{
    char is[96];
    Tensor codes = {0}, test = {0}, part = {0}, rows = {0};
    const Tensor *y = yt ? yt : xt;
    if (s->cfg.skip)
        return err_set(err, ERR_OPTION,
                       "absorption asks what the code writes; a skip writes beside it");
    if (s->own_target && !yt)
        return err_set(err, ERR_OPTION, "this autoencoder predicts a target: give it");
    if (y->dtype != F32 || y->ndim != 2 || y->dim[1] != s->O ||
        y->dim[0] != xt->dim[0] || !tensor_contiguous(y))
        return err_set(err, ERR_SHAPE, "test targets must be f32 [%lld,%lld], not %s",
                       (long long)xt->dim[0], (long long)s->O,
                       tensor_format_shape(y, is));
    bool ok = sae_codes(s, x, &codes, err) && sae_codes(s, xt, &test, err) &&
              in_raw_units(s, xt, y, &part, &rows, err);
    AbsorbIn in = {&codes, labels, &test, test_labels, y, &part, &rows, probe};
    ok = ok && absorb_measure(&in, cfg, classes, mean, err);
    Tensor *const own[] = {&codes, &test, &part, &rows};
    for (size_t i = 0; i < ARRAY_LEN(own); i++)
        tensor_release(own[i]);
    return ok;
}
