/* label.c -- templates are moved once and all cosines are one product. A null field is
 * white noise under as many 3 x 3 means as give, under the envelope, the pattern's own
 * correlation of neighbours. */
#include "decomp/label.h"

#include <math.h>
#include <string.h>

#include "base/intr.h"
#include "base/mem.h"
#include "decomp/strokes.h"
#include "tensor/blas.h"
#include "tensor/rng.h"

const char *const label_names[N_LABELS] = {
    "none", "mixed", "stroke", "hook", "loop", "dot", "gap", "counter-evidence"};

#define FIELD(name) offsetof(LabelCfg, name)
// clang-format off
const OptRow label_options[] = {
    {"view", OPT_ENUM, FIELD(view), "patterns", 0, 0, "filters patterns",
     "What is judged, of the dictionary and of its nulls: the weights themselves, or "
     "what they respond to."},
    {"shifts", OPT_INT, FIELD(shifts), "2", 0, 100, NULL,
     "Pixels that a template may be moved by, both ways."},
    {"draws", OPT_INT, FIELD(draws), "19", 1, 10000, NULL,
     "Draws of a pattern's own null, all of which a match has to beat: 19 is the 5 % "
     "level."},
    {"seed", OPT_INT, FIELD(seed), "1", 0, 0, NULL, "Seed of the draws."},
    {"least", OPT_NUM, FIELD(least), "0.4", 0, 1, NULL,
     "|cosine| that a match needs besides."},
    {"gap", OPT_NUM, FIELD(gap), "0.5", 0, 1, NULL,
     "A gap has less than this share of the other digits' ink."},
};
// clang-format on
const size_t label_n_options = ARRAY_LEN(label_options);

static const float *row_of(const Tensor *t, int64_t r)
{
    return (float *)t->data + r * t->dim[1];
}

static double norm(const float *x, int64_t n)
{
    double s = 0;
    for (int64_t i = 0; i < n; i++)
        s += (double)x[i] * (double)x[i];
    return sqrt(s);
}

static void make_unit(float *x, int64_t n)
{
    double s = norm(x, n);
    for (int64_t i = 0; i < n; i++)
        x[i] = s > 1e-30 ? (float)((double)x[i] / s) : 0;
}

/* --- shape ------------------------------------------------------------------------ */

static void move_image(const float *x, int64_t h, int64_t w, int64_t dy, int64_t dx,
                       float *out)
{
    for (int64_t y = 0; y < h; y++)
        for (int64_t k = 0; k < w; k++) {
            int64_t sy = y - dy, sx = k - dx;
            bool in = sy >= 0 && sy < h && sx >= 0 && sx < w;
            out[y * w + k] = in ? x[sy * w + sx] : 0;
        }
}

/* All templates in all places, unit rows: new f32 [STROKE_COUNT (2s+1)^2, I]. */
static bool moved_bank(int64_t h, int64_t w, int64_t s, Tensor *out, Err *err)
{
    Tensor bank = {0};
    int64_t side = 2 * s + 1, I = h * w, places = side * side;
    bool ok = stroke_bank(h, w, &bank, err) &&
              tensor_new(F32, 2, (int64_t[]){STROKE_COUNT * places, I}, out, err);
    for (int64_t k = 0; ok && k < STROKE_COUNT * places; k++) {
        float *to = (float *)out->data + k * I;
        int64_t at = k % places;
        move_image(row_of(&bank, k / places), h, w, at / side - s, at % side - s, to);
        make_unit(to, I);
    }
    tensor_release(&bank);
    return ok;
}

static bool match_against(const Tensor *q, const Tensor *bank, int64_t shifts,
                          ShapeMatch *out, Err *err)
{
    int64_t n = q->dim[0], I = q->dim[1], K = bank->dim[0], side = 2 * shifts + 1;
    Tensor score = {0};
    bool ok = tensor_new(F32, 2, (int64_t[]){n, K}, &score, err) &&
              blas_gemm_f32(false, true, n, K, I, 1, q->data, I, bank->data, I, 0,
                            score.data, K, err);
    for (int64_t r = 0; ok && r < n; r++) {
        const float *s = row_of(&score, r);
        double size = norm(row_of(q, r), I);
        int64_t top = 0;
        for (int64_t k = 1; k < K; k++)
            top = fabsf(s[k]) > fabsf(s[top]) ? k : top;
        int64_t at = top % (side * side);
        out[r] = (ShapeMatch){.score = size > 0 ? fabs((double)s[top]) / size : 0,
                              .which = (int32_t)(top / (side * side)),
                              .dy = (int32_t)(at / side - shifts),
                              .dx = (int32_t)(at % side - shifts)};
    }
    tensor_release(&score);
    return ok;
}

static bool check(const Tensor *q, int64_t h, int64_t w, int64_t shifts, Err *err)
{
    char shape[96];
    if (q->dtype == F32 && q->ndim == 2 && tensor_contiguous(q) && h > 0 && w > 0 &&
        q->dim[1] == h * w && shifts >= 0)
        return true;
    return err_set(err, ERR_SHAPE, "patterns are %s, they must be f32[n,%lld]",
                   tensor_format_shape(q, shape), (long long)(h * w));
}

bool shape_match(const Tensor *q, int64_t height, int64_t width, int64_t shifts,
                 ShapeMatch *out, Err *err)
{
    Tensor bank = {0};
    if (!check(q, height, width, shifts, err))
        return false;
    bool ok = moved_bank(height, width, shifts, &bank, err) &&
              match_against(q, &bank, shifts, out, err);
    tensor_release(&bank);
    return ok;
}

/* --- nulls ------------------------------------------------------------------------ */

/* Mean over the window of +-s pixels that lies in the image. */
static void box(const double *x, int64_t h, int64_t w, int64_t s, double *out)
{
    for (int64_t y = 0; y < h; y++)
        for (int64_t k = 0; k < w; k++) {
            double sum = 0;
            int64_t n = 0;
            for (int64_t j = y - s < 0 ? 0 : y - s; j <= y + s && j < h; j++)
                for (int64_t i = k - s < 0 ? 0 : k - s; i <= k + s && i < w; i++, n++)
                    sum += x[j * w + i];
            out[y * w + k] = sum / (double)n;
        }
}

/* Correlation of neighbours, down and across. */
static double neighbours(const double *x, int64_t h, int64_t w)
{
    double s = 0, n = 0;
    for (int64_t y = 0; y < h; y++)
        for (int64_t k = 0; k < w; k++) {
            double v = x[y * w + k];
            n += 2 * v * v;
            s += y + 1 < h ? 2 * v * x[(y + 1) * w + k] : 0;
            s += k + 1 < w ? 2 * v * x[y * w + k + 1] : 0;
        }
    return n > 0 ? s / n / 2 : 0;
}

/* Root of the energy in a 7 x 7 window about every pixel. */
static void own_envelope(const float *q, int64_t h, int64_t w, double *work,
                         double *env)
{
    for (int64_t i = 0; i < h * w; i++)
        work[i] = (double)q[i] * (double)q[i];
    box(work, h, w, 3, env);
    for (int64_t i = 0; i < h * w; i++)
        env[i] = sqrt(env[i]);
}

/* A round window whose energy has q's centre and mean square distance from it. */
static void round_envelope(const float *q, int64_t h, int64_t w, double *env)
{
    double e = 0, cy = 0, cx = 0, spread = 0;
    for (int64_t i = 0; i < h * w; i++) {
        double v = (double)q[i] * (double)q[i];
        e += v;
        cy += v * (double)(i / w);
        cx += v * (double)(i % w);
    }
    cy /= fmax(e, 1e-300);
    cx /= fmax(e, 1e-300);
    for (int64_t i = 0; i < h * w; i++) {
        double y = (double)(i / w) - cy, x = (double)(i % w) - cx;
        spread += (double)q[i] * (double)q[i] / fmax(e, 1e-300) * (y * y + x * x) / 2;
    }
    for (int64_t i = 0; i < h * w; i++) {
        double y = (double)(i / w) - cy, x = (double)(i % w) - cx;
        env[i] = exp(-0.25 * (y * y + x * x) / fmax(spread, 0.25));
    }
}

/* A random field under an envelope, as smooth as q; work [4 I]. */
static void random_like(const float *q, int64_t h, int64_t w, bool own, RngKey key,
                        double *work, float *out)
{
    enum { PASSES = 6 };
    int64_t I = h * w;
    double *env = work + I, *x = work + 2 * I, *y = work + 3 * I;
    double want, best = INFINITY;
    for (int64_t i = 0; i < I; i++)
        x[i] = (double)q[i];
    want = neighbours(x, h, w);
    if (own)
        own_envelope(q, h, w, work, env);
    else
        round_envelope(q, h, w, env);
    rng_normal_f64(key, 0, I, 0, 1, x);
    for (int p = 0; p <= PASSES; p++) {
        for (int64_t i = 0; i < I; i++)
            y[i] = x[i] * env[i];
        double off = fabs(neighbours(y, h, w) - want);
        if (off < best) {
            best = off;
            for (int64_t i = 0; i < I; i++)
                out[i] = (float)y[i];
        }
        box(x, h, w, 1, y);
        memcpy(x, y, sizeof *x * (size_t)I);
    }
    make_unit(out, I);
}

static void shuffle(const float *q, int64_t I, const float *unlit, RngKey key,
                    int32_t *order, int32_t *place, float *out)
{
    int64_t n = 0;
    for (int64_t i = 0; i < I; i++)
        if (!unlit || unlit[i] == 0)
            place[n++] = (int32_t)i;
    memset(out, 0, sizeof *out * (size_t)I);
    rng_permutation(key, n, order);
    for (int64_t i = 0; i < n; i++)
        out[place[i]] = q[place[order[i]]];
    make_unit(out, I);
}

bool shape_null(const Tensor *q, int64_t height, int64_t width, int64_t seed, int64_t k,
                ShapeNull kind, const Tensor *unlit, Tensor *out, Err *err)
{
    static const char *const stream[] = {"label null", "label envelope",
                                         "label shuffle"};
    memset(out, 0, sizeof *out);
    if (!check(q, height, width, 0, err))
        return false;
    int64_t n = q->dim[0], I = q->dim[1];
    double *work = mem_array((size_t)(4 * I), sizeof *work, err);
    int32_t *order = mem_array((size_t)(2 * I), sizeof *order, err);
    bool ok = work && order && tensor_new(F32, 2, q->dim, out, err);
    for (int64_t r = 0; ok && r < n; r++) {
        float *to = (float *)out->data + r * I;
        RngKey key = {(uint64_t)seed, rng_stream(stream[kind]), (uint64_t)(k * n + r)};
        if (kind == NULL_SHUFFLED)
            shuffle(row_of(q, r), I, unlit ? unlit->data : NULL, key, order, order + I,
                    to);
        else
            random_like(row_of(q, r), height, width, kind == NULL_ENVELOPE, key, work,
                        to);
    }
    mem_free(work);
    mem_free(order);
    return ok;
}

/* --- labels ----------------------------------------------------------------------- */

typedef struct Judge {
    const Dictionary *d;
    const LabelCfg *cfg;
    const Tensor *ink, *unlit;
    int64_t h, w, n;  /* n patterns */
    Tensor q, bank;   /* filters [n,I] */
    Tensor S;         /* f32 [I,I]; empty: filters are judged themselves */
    ShapeMatch *draw; /* [n] of one draw */
    ShapeMatch *further, *shuffled; /* [n] judged as patterns are */
} Judge;

static Label shape_label(int32_t which)
{
    static const Label of[] = {[STROKE_BAR] = LABEL_STROKE,
                               [STROKE_HOOK] = LABEL_HOOK,
                               [STROKE_LOOP] = LABEL_LOOP,
                               [STROKE_DOT] = LABEL_DOT};
    return of[stroke_kind(which)];
}

/* Ink of class c under the energy of a unit pattern. */
static double ink_under(const float *q, const float *ink, int64_t I)
{
    double s = 0;
    for (int64_t i = 0; i < I; i++)
        s += (double)q[i] * (double)q[i] * (double)ink[i];
    return s;
}

static bool against(const Dictionary *d, int64_t k)
{
    int64_t r = k / 2, c = ((int32_t *)d->owner.data)[r];
    return (((float *)d->head.data)[r * d->C + c] < 0) != (k % 2 == 1);
}

/* Ink of class c and mean ink of the others. */
static void find_place(const Judge *j, int64_t k, int64_t c, double *own, double *other)
{
    const float *q = row_of(&j->q, k), *ink = j->ink->data;
    *other = 0;
    for (int64_t e = 0; e < j->d->C; e++) {
        double s = ink_under(q, ink + e * j->d->I, j->d->I);
        if (e == c)
            *own = s;
        else
            *other += s / (double)(j->d->C - 1);
    }
}

/* The match of rows, or of what they respond to. */
static bool judge_rows(Judge *j, const Tensor *x, ShapeMatch *out, Err *err)
{
    Tensor y = {0};
    int64_t I = j->d->I;
    if (!j->S.data)
        return match_against(x, &j->bank, j->cfg->shifts, out, err);
    bool ok = tensor_new(F32, 2, x->dim, &y, err) &&
              blas_gemm_f32(false, false, j->n, I, I, 1, x->data, I, j->S.data, I, 0,
                            y.data, I, err) &&
              match_against(&y, &j->bank, j->cfg->shifts, out, err);
    tensor_release(&y);
    return ok;
}

static bool draw_match(Judge *j, int64_t k, ShapeNull kind, ShapeMatch *out, Err *err)
{
    Tensor x = {0};
    bool ok = intr_check(err) &&
              shape_null(&j->q, j->h, j->w, j->cfg->seed, k, kind, j->unlit, &x, err) &&
              judge_rows(j, &x, out, err);
    tensor_release(&x);
    return ok;
}

/* The match of every pattern and of all draws of its nulls. */
static bool all_matches(Judge *j, PartLabel *out, Err *err)
{
    if (!judge_rows(j, &j->q, j->draw, err))
        return false;
    for (int64_t k = 0; k < j->n; k++)
        out[k] =
            (PartLabel){.match = j->draw[k], .own = (double)NAN, .other = (double)NAN};
    for (int64_t t = 0; t < j->cfg->draws; t++) {
        if (!draw_match(j, t, NULL_ROUND, j->draw, err))
            return false;
        for (int64_t k = 0; k < j->n; k++) {
            out[k].null_mean += j->draw[k].score / (double)j->cfg->draws;
            out[k].null_top = fmax(out[k].null_top, j->draw[k].score);
        }
        if (!draw_match(j, t, NULL_ENVELOPE, j->draw, err))
            return false;
        for (int64_t k = 0; k < j->n; k++)
            out[k].envelope_top = fmax(out[k].envelope_top, j->draw[k].score);
    }
    return draw_match(j, j->cfg->draws, NULL_ROUND, j->further, err) &&
           draw_match(j, 0, NULL_SHUFFLED, j->shuffled, err);
}

static bool judge_shapes(Judge *j, PartLabel *out, LabelSummary *sum, Err *err)
{
    double least = j->cfg->least, seen = 0;
    if (!all_matches(j, out, err))
        return false;
    for (int64_t k = 0; k < j->n; k++) {
        double bar = out[k].null_top, score = out[k].match.score;
        if (score == 0)
            continue;
        out[k].shaped = score > bar && score >= least;
        out[k].lined = out[k].shaped && score > out[k].envelope_top;
        seen++;
        sum->shaped += out[k].shaped;
        sum->lined += out[k].lined;
        sum->shaped_null += j->further[k].score > fmax(bar, least);
        sum->shaped_shuffled += j->shuffled[k].score > fmax(bar, least);
        sum->match += score;
        sum->match_null += out[k].null_mean;
    }
    double *const shares[] = {&sum->shaped,          &sum->lined, &sum->shaped_null,
                              &sum->shaped_shuffled, &sum->match, &sum->match_null};
    for (size_t i = 0; i < ARRAY_LEN(shares); i++)
        *shares[i] = seen > 0 ? *shares[i] / seen : (double)NAN;
    return true;
}

static void judge_places(const Judge *j, PartLabel *out, LabelSummary *sum)
{
    int64_t C = j->d->C;
    double seen = 0;
    for (int64_t k = 0; j->ink && C > 1 && k < j->n; k++) {
        int64_t c = ((int32_t *)j->d->owner.data)[k / 2];
        if (out[k].match.score == 0)
            continue;
        find_place(j, k, c, &out[k].own, &out[k].other);
        if (!against(j->d, k))
            continue;
        seen++;
        sum->gap += out[k].own < j->cfg->gap * out[k].other;
        for (int64_t e = 0; e < C; e++) {
            double own, other;
            if (e == c)
                continue;
            find_place(j, k, e, &own, &other);
            sum->gap_null += (own < j->cfg->gap * other) / (double)(C - 1);
        }
    }
    sum->gap = seen > 0 ? sum->gap / seen : (double)NAN;
    sum->gap_null = seen > 0 ? sum->gap_null / seen : (double)NAN;
}

static Label name_of(const Judge *j, int64_t k, const PartLabel *p)
{
    if (p->match.score == 0)
        return LABEL_NONE;
    if (!against(j->d, k))
        return p->shaped ? shape_label(p->match.which) : LABEL_MIXED;
    if (p->own < j->cfg->gap * p->other) /* false without images */
        return LABEL_GAP;
    return p->shaped ? LABEL_COUNTER : LABEL_MIXED;
}

static bool judge_new(Judge *j, const Tensor *S, Err *err)
{
    Dictionary shown = {0};
    size_t n = (size_t)j->n;
    bool ok = dict_part(j->d, 0, j->d->shown, &shown, err) &&
              dict_patterns(&shown, NULL, false, &j->q, err) &&
              check(&j->q, j->h, j->w, j->cfg->shifts, err) &&
              moved_bank(j->h, j->w, j->cfg->shifts, &j->bank, err) &&
              (!S || tensor_convert(S, F32, &j->S, err)) &&
              (j->draw = mem_array(n, sizeof *j->draw, err)) &&
              (j->further = mem_array(n, sizeof *j->further, err)) &&
              (j->shuffled = mem_array(n, sizeof *j->shuffled, err));
    dict_done(&shown);
    return ok;
}

bool dict_labels(const Dictionary *d, const LabelCfg *cfg, const Tensor *S,
                 const Tensor *ink, const Tensor *unlit, int64_t height, int64_t width,
                 PartLabel *out, LabelSummary *sum, Err *err)
{
    Judge j = {.d = d, .cfg = cfg, .ink = ink, .unlit = unlit, .h = height, .w = width};
    j.n = 2 * d->shown;
    *sum = (LabelSummary){0};
    if (ink && (ink->dtype != F32 || ink->ndim != 2 || ink->dim[0] != d->C ||
                ink->dim[1] != d->I || !tensor_contiguous(ink)))
        return err_set(err, ERR_SHAPE, "labels: mean images must be f32[%lld,%lld]",
                       (long long)d->C, (long long)d->I);
    if (cfg->view[0] == 'p' && !S)
        return err_set(err, ERR_STATE,
                       "labels of what filters respond to need the data "
                       "metric");
    bool ok = judge_new(&j, cfg->view[0] == 'p' ? S : NULL, err) &&
              judge_shapes(&j, out, sum, err);
    if (ok)
        judge_places(&j, out, sum);
    for (int64_t k = 0; ok && k < j.n; k++) {
        out[k].label = name_of(&j, k, &out[k]);
        sum->count[out[k].label]++;
    }
    tensor_release(&j.q);
    tensor_release(&j.bank);
    tensor_release(&j.S);
    mem_free(j.draw);
    mem_free(j.further);
    mem_free(j.shuffled);
    return ok;
}
