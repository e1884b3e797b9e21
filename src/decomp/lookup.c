/* lookup.c -- every kind but kmeans is a cell number computed from the order of the
 * logits, and a mean per cell. */
#include "decomp/lookup.h"

#include <math.h>
#include <string.h>

#include "base/intr.h"
#include "base/mem.h"
#include "base/str.h"
#include "decomp/sae_int.h"
#include "tensor/rng.h"

typedef struct Kind {
    const char *name, *doc;
    int64_t (*cells)(int64_t C);
    int64_t (*cell)(const float *x, int64_t C); /* NULL: the nearest value */
} Kind;

static int64_t largest(const float *x, int64_t C, int64_t but)
{
    int64_t best = but == 0 && C > 1 ? 1 : 0;
    for (int64_t c = best + 1; c < C; c++)
        if (c != but && x[c] > x[best])
            best = c;
    return best;
}

static int64_t one(int64_t C)
{
    return C ? 1 : 0;
}

static int64_t each(int64_t C)
{
    return C;
}

static int64_t pairs(int64_t C)
{
    return C * C;
}

static int64_t only(const float *x, int64_t C)
{
    (void)x, (void)C;
    return 0;
}

static int64_t answer(const float *x, int64_t C)
{
    return largest(x, C, -1);
}

static int64_t answer_and_next(const float *x, int64_t C)
{
    int64_t first = largest(x, C, -1);
    return first * C + largest(x, C, first);
}

static const Kind kinds[] = {
    {"constant",  "The mean of all: what nothing known gives.",                       one,  only           },
    {"argmax",    "The mean of the examples with the same answer.",                   each, answer         },
    {"affine",
     "For each answer an affine function of the largest logit: the answer and how "
     "sure it is.",                                                                   each, answer         },
    {"runner_up", "The mean of the examples with the same answer and second answer.",
     pairs,                                                                                 answer_and_next},
    {"kmeans",    "The nearest of `cells` vectors in z-scored logits.",               NULL, NULL           },
};

const OptRow lookup_options[] = {
    {"kind",   OPT_ENUM, offsetof(LookupCfg, kind),   "argmax", 0, 0,
     "constant argmax affine runner_up kmeans",                                  "What is looked up."},
    {"cells",  OPT_INT,  offsetof(LookupCfg, cells),  "32",     1, 100000, NULL,
     "Vectors of kmeans."                                                                            },
    {"sweeps", OPT_INT,  offsetof(LookupCfg, sweeps), "100",    0, 100000, NULL,
     "Most sweeps of kmeans; 0 keeps the seeds."                                                     },
    {"seed",   OPT_INT,  offsetof(LookupCfg, seed),   "1",      0, 1e15,   NULL,
     "Seed of the first vectors of kmeans."                                                          },
};
const size_t lookup_n_options = ARRAY_LEN(lookup_options);

int lookup_count(void)
{
    return (int)ARRAY_LEN(kinds);
}

const char *lookup_name(int i)
{
    return kinds[i].name;
}

const char *lookup_doc(int i)
{
    return kinds[i].doc;
}

static double *f64_of(const Tensor *t)
{
    return t->data;
}

/* ---- means ----------------------------------------------------------------------- */

/* Sums of one cell: weight, of x, of x^2 and of each y and x y. */
typedef struct Fitted {
    double *n, *t, *tt; /* [cells] */
    double *y, *ty;     /* [cells,C] */
} Fitted;

static void add_example(const Lookup *l, const float *x, Fitted *f)
{
    int64_t k = kinds[l->row].cell(x, l->C);
    double top = (double)x[answer(x, l->C)];
    f->n[k] += 1;
    f->t[k] += top;
    f->tt[k] += top * top;
    for (int64_t c = 0; c < l->C; c++) {
        f->y[k * l->C + c] += (double)x[c];
        f->ty[k * l->C + c] += top * (double)x[c];
    }
}

/* The mean of a cell; where it is empty, of the cells with its answer; then of all. */
static void set_value(const Lookup *l, const Fitted *f, int64_t k)
{
    double *value = f64_of(&l->value) + k * l->C, n = 0;
    const int64_t wide[3] = {1, l->cells > l->C ? l->cells / l->C : 1, l->cells};
    int64_t from = k, to = k;
    for (int w = 0; w < 3 && n == 0; w++) {
        from = k / wide[w] * wide[w];
        to = from + wide[w];
        for (int64_t j = from; j < to; j++)
            n += f->n[j];
    }
    for (int64_t c = 0; c < l->C; c++)
        for (int64_t j = from; j < to; j++)
            value[c] += f->y[j * l->C + c] / n;
}

static void set_line(const Lookup *l, const Fitted *f, int64_t k)
{
    double *value = f64_of(&l->value) + k * l->C, *slope = f64_of(&l->slope) + k * l->C;
    double n = f->n[k], spread = n > 0 ? f->tt[k] - f->t[k] * f->t[k] / n : 0;
    for (int64_t c = 0; c < l->C && spread > 1e-12 * f->tt[k]; c++) {
        double together = f->ty[k * l->C + c] - f->t[k] * f->y[k * l->C + c] / n;
        slope[c] = together / spread;
        value[c] -= slope[c] * f->t[k] / n;
    }
}

static bool fit_cells(Lookup *l, const Tensor *x, Err *err)
{
    bool affine = !strcmp(kinds[l->row].name, "affine");
    int64_t shape[2] = {l->cells, l->C}, wide = l->cells * l->C;
    double *sums = mem_zalloc(sizeof *sums * (size_t)(3 * l->cells + 2 * wide), err);
    bool ok = sums && tensor_zeros(F64, 2, shape, &l->value, err) &&
              (!affine || tensor_zeros(F64, 2, shape, &l->slope, err));
    if (ok) {
        Fitted f = {sums, sums + l->cells, sums + 2 * l->cells, sums + 3 * l->cells,
                    sums + 3 * l->cells + wide};
        for (int64_t i = 0; i < x->dim[0]; i++)
            add_example(l, (const float *)x->data + i * l->C, &f);
        for (int64_t k = 0; k < l->cells; k++) {
            set_value(l, &f, k);
            if (affine)
                set_line(l, &f, k);
        }
    }
    mem_free(sums);
    return ok;
}

/* ---- kmeans ---------------------------------------------------------------------- */

static bool column_scale(Lookup *l, const Tensor *x, Err *err)
{
    if (!tensor_zeros(F64, 1, &l->C, &l->mean, err) ||
        !tensor_zeros(F64, 1, &l->C, &l->gain, err))
        return false;
    double *mean = f64_of(&l->mean), *gain = f64_of(&l->gain);
    int64_t N = x->dim[0];
    const float *v = x->data;
    for (int64_t i = 0; i < N * l->C; i++)
        mean[i % l->C] += (double)v[i] / (double)N;
    for (int64_t i = 0; i < N * l->C; i++)
        gain[i % l->C] += pow((double)v[i] - mean[i % l->C], 2);
    for (int64_t c = 0; c < l->C; c++)
        gain[c] = 1 / fmax(sqrt(gain[c] / (double)(N > 1 ? N - 1 : 1)), 1e-6);
    return true;
}

static double distance(const Lookup *l, const float *x, const double *centre)
{
    const double *gain = f64_of(&l->gain);
    double sum = 0;
    for (int64_t c = 0; c < l->C; c++) {
        double d = ((double)x[c] - centre[c]) * gain[c];
        sum += d * d;
    }
    return sum;
}

static int64_t nearest(const Lookup *l, const float *x, double *how_far)
{
    int64_t best = 0;
    double least = INFINITY;
    for (int64_t k = 0; k < l->cells; k++) {
        double d = distance(l, x, f64_of(&l->value) + k * l->C);
        if (d < least) {
            least = d;
            best = k;
        }
    }
    if (how_far)
        *how_far = least;
    return best;
}

static void put_centre(Lookup *l, int64_t k, const float *x)
{
    for (int64_t c = 0; c < l->C; c++)
        f64_of(&l->value)[k * l->C + c] = (double)x[c];
}

/* k-means++ (Arthur & Vassilvitskii 2007): the next vector is an example drawn with
 * weight its squared distance from those there are. far [N] is left as the distances. */
static bool seed_centres(Lookup *l, const Tensor *x, double *far, Err *err)
{
    int64_t N = x->dim[0];
    const float *v = x->data;
    RngKey key = {.seed = (uint64_t)l->cfg.seed, .stream = rng_stream("kmeans")};
    put_centre(l, 0, v + rng_below(key, 0, N) * l->C);
    for (int64_t i = 0; i < N; i++)
        far[i] = INFINITY;
    for (int64_t k = 1; k < l->cells; k++) {
        double sum = 0;
        for (int64_t i = 0; i < N; i++) {
            double d = distance(l, v + i * l->C, f64_of(&l->value) + (k - 1) * l->C);
            far[i] = fmin(far[i], d);
            sum += far[i];
        }
        double draw = rng_unit(key, k) * sum;
        int64_t pick = 0;
        while (pick < N - 1 && (draw -= far[pick]) >= 0)
            pick++;
        put_centre(l, k, v + pick * l->C);
        if (!intr_check(err))
            return false;
    }
    return true;
}

/* One sweep: every example to its nearest vector, every vector to the mean of its
 * examples; one without any becomes the example that is farthest from its own. */
static bool sweep(Lookup *l, const Tensor *x, int32_t *cell, double *sum, bool *moved,
                  Err *err)
{
    int64_t N = x->dim[0], worst = 0;
    const float *v = x->data;
    double *n = sum + l->cells * l->C, far = -1, d;
    memset(sum, 0, sizeof *sum * (size_t)(l->cells * (l->C + 1)));
    *moved = false;
    for (int64_t i = 0; i < N; i++) {
        int64_t k = nearest(l, v + i * l->C, &d);
        *moved = *moved || cell[i] != k;
        cell[i] = (int32_t)k;
        n[k] += 1;
        for (int64_t c = 0; c < l->C; c++)
            sum[k * l->C + c] += (double)v[i * l->C + c];
        if (d > far) {
            far = d;
            worst = i;
        }
        if (i % 4096 == 0 && !intr_check(err))
            return false;
    }
    for (int64_t k = 0; k < l->cells; k++) {
        for (int64_t c = 0; c < l->C && n[k] > 0; c++)
            f64_of(&l->value)[k * l->C + c] = sum[k * l->C + c] / n[k];
        if (n[k] == 0)
            put_centre(l, k, v + worst * l->C);
    }
    return true;
}

static bool fit_kmeans(Lookup *l, const Tensor *x, Err *err)
{
    int64_t N = x->dim[0], shape[2] = {l->cells, l->C};
    if (l->cells > N)
        return err_set(err, ERR_OPTION, "%lld cells, but only %lld examples",
                       (long long)l->cells, (long long)N);
    if (!column_scale(l, x, err) || !tensor_zeros(F64, 2, shape, &l->value, err))
        return false;
    double *far = mem_alloc(sizeof *far * (size_t)N, err);
    double *sum = mem_alloc(sizeof *sum * (size_t)(l->cells * (l->C + 1)), err);
    int32_t *cell = mem_alloc(sizeof *cell * (size_t)N, err);
    bool moved = true, ok = far && sum && cell && seed_centres(l, x, far, err);
    for (int64_t i = 0; ok && i < N; i++)
        cell[i] = -1;
    while (ok && moved && l->sweeps < l->cfg.sweeps) {
        ok = sweep(l, x, cell, sum, &moved, err);
        l->sweeps++;
    }
    mem_free(far);
    mem_free(sum);
    mem_free(cell);
    return ok;
}

/* ---- the table ------------------------------------------------------------------- */

static bool check(const Tensor *x, int64_t C, Err *err)
{
    char is[96];
    if (x->dtype != F32 || x->ndim != 2 || x->dim[0] < 1 || x->dim[1] < 2 ||
        !tensor_contiguous(x) || (C && x->dim[1] != C))
        return err_set(err, ERR_SHAPE,
                       "logits must be contiguous f32 [N,C] with C %s %lld, not %s",
                       C ? "=" : "at least", (long long)(C ? C : 2),
                       tensor_format_shape(x, is));
    return tensor_finite(x) || err_set(err, ERR_NUMERIC, "a logit is not finite");
}

bool lookup_fit(const LookupCfg *cfg, const Tensor *x, Lookup *out, Err *err)
{
    *out = (Lookup){.cfg = *cfg, .row = -1};
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
        if (!strcmp(kinds[i].name, cfg->kind))
            out->row = (int)i;
    if (out->row < 0)
        return err_set(err, ERR_OPTION, "there is no lookup of kind '%.40s'",
                       cfg->kind);
    if (!check(x, 0, err))
        return false;
    out->C = x->dim[1];
    out->cells = kinds[out->row].cells ? kinds[out->row].cells(out->C) : cfg->cells;
    bool ok = kinds[out->row].cell ? fit_cells(out, x, err) : fit_kmeans(out, x, err);
    if (!ok)
        lookup_done(out);
    return ok;
}

void lookup_done(Lookup *l)
{
    Tensor *const own[] = {&l->value, &l->slope, &l->mean, &l->gain};
    for (size_t i = 0; i < ARRAY_LEN(own); i++)
        tensor_release(own[i]);
    *l = (Lookup){0};
}

bool lookup_apply(const Lookup *l, const Tensor *x, Tensor *out, Tensor *cell, Err *err)
{
    Tensor y = {0}, k = {0};
    if (!check(x, l->C, err) || !tensor_new(F32, 2, x->dim, &y, err) ||
        !tensor_new(I32, 1, x->dim, &k, err)) {
        tensor_release(&y);
        return false;
    }
    for (int64_t i = 0; i < x->dim[0]; i++) {
        const float *v = (const float *)x->data + i * l->C;
        double top = (double)v[answer(v, l->C)];
        int64_t at =
            kinds[l->row].cell ? kinds[l->row].cell(v, l->C) : nearest(l, v, NULL);
        ((int32_t *)k.data)[i] = (int32_t)at;
        for (int64_t c = 0; c < l->C; c++) {
            int64_t w = at * l->C + c;
            double line = l->slope.data ? f64_of(&l->slope)[w] * top : 0;
            ((float *)y.data)[i * l->C + c] = (float)(f64_of(&l->value)[w] + line);
        }
    }
    if (out)
        *out = tensor_retain(&y);
    if (cell)
        *cell = tensor_retain(&k);
    tensor_release(&y);
    tensor_release(&k);
    return true;
}

/* ---- as an autoencoder ----------------------------------------------------------- */

/* Means of the z-scored logits by answer, f64 [C,C], and the mean of the largest. */
static bool answer_means(const Sae *s, const Tensor *x, double *mean, double *top,
                         Err *err)
{
    int64_t C = s->D, N = x->dim[0];
    double *n = mem_zalloc(sizeof *n * (size_t)(2 * C), err), *z = n + C;
    *top = 0;
    for (int64_t i = 0; n && i < N; i++) {
        const float *v = (const float *)x->data + i * C;
        int64_t k = answer(v, C);
        sae_norm_row(s, v, v, z);
        n[k] += 1;
        *top += (double)v[k] / (double)N;
        for (int64_t c = 0; c < C; c++)
            mean[k * C + c] += z[c];
    }
    for (int64_t k = 0; n && k < C * C; k++)
        mean[k] /= fmax(n[k / C], 1);
    mem_free(n);
    return n != NULL;
}

static void write_argmax(Sae *s, const double *mean, double top, double margin)
{
    int64_t C = s->D;
    float *enc = tset_get(s->params, "encoder")->data;
    float *enc_b = tset_get(s->params, "encoder_bias")->data;
    float *dec = tset_get(s->params, "decoder")->data;
    const Tensor *dec_b = tset_get(s->params, "decoder_bias");
    double size = 0;
    memset(enc, 0, sizeof *enc * (size_t)(C * C));
    memset(dec_b->data, 0, tensor_bytes(dec_b));
    for (int64_t k = 0; k < C; k++) {
        double length = 0;
        for (int64_t c = 0; c < C; c++)
            length += mean[k * C + c] * mean[k * C + c];
        length = sqrt(length);
        size += length / (double)C;
        for (int64_t c = 0; c < C; c++)
            dec[k * C + c] = (float)(length > 0 ? mean[k * C + c] / length : c == k);
    }
    double alpha = size / (top + margin);
    for (int64_t k = 0; k < C; k++) {
        double gain = (double)((float *)s->gain_in.data)[k];
        double shift = (double)((float *)s->shift_in.data)[k];
        enc[k * C + k] = (float)(alpha / gain);
        enc_b[k] = (float)(alpha * (shift + margin));
    }
}

Sae *sae_argmax(const Tensor *x, double margin, Err *err)
{
    SaeCfg cfg;
    double top = 0;
    if (!check(x, 0, err) || !opt_defaults(sae_options, sae_n_options, &cfg, err))
        return NULL;
    text_copy(cfg.activation, sizeof cfg.activation, "topk");
    text_copy(cfg.normalise, sizeof cfg.normalise, "zscore");
    cfg.latents = x->dim[1];
    cfg.k = 1;
    cfg.steps = 0;
    cfg.aux = 0;
    double *mean = mem_zalloc(sizeof *mean * (size_t)(x->dim[1] * x->dim[1]), err);
    Sae *s = mean ? sae_new(&cfg, x, NULL, err) : NULL;
    bool ok = s && answer_means(s, x, mean, &top, err);
    if (ok && !(top + margin > 0))
        ok = err_set(err, ERR_OPTION,
                     "margin must be above %g, so that codes are positive", -top);
    if (ok)
        write_argmax(s, mean, top, margin);
    mem_free(mean);
    if (!ok) {
        sae_free(s);
        return NULL;
    }
    return s;
}
