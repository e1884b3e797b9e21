/* superpose_theory.c -- directions and formulas: feature dimensionality, potentials of
 * frames, groups of features that form known polytopes; the gain that minimises a loss of
 * power q under interference. */
#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "decomp/superpose_int.h"
#include "tensor/lapack.h"

/* ---- directions -------------------------------------------------------------------- */

/* f64 [N,N] products of the columns of w, and their lengths. */
typedef struct Gram {
    int64_t N, n;
    double *dot, *norm;
} Gram;

static void gram_done(Gram *g)
{
    mem_free(g->dot);
    mem_free(g->norm);
}

static bool gram_new(const Tensor *w, Gram *g, Err *err)
{
    char shape[96];
    Tensor wide = {0}, own = {0};
    *g = (Gram){0};
    if (w->ndim != 2 || (w->dtype != F32 && w->dtype != F64) || !tensor_finite(w))
        return err_set(err, ERR_SHAPE,
                       "feature directions must be a finite float matrix [n,N], one "
                       "column for each feature; this is %s",
                       tensor_format_shape(w, shape));
    g->n = w->dim[0];
    g->N = w->dim[1];
    size_t N = (size_t)g->N;
    g->dot = mem_zalloc(N * N * sizeof *g->dot, err);
    g->norm = g->dot ? mem_zalloc(N * sizeof *g->norm, err) : NULL;
    bool ok = g->norm && tensor_convert(w, F64, &wide, err) &&
              tensor_contiguous_of(&wide, &own, err);
    const double *v = own.data;
    for (int64_t i = 0; ok && i < g->N; i++) {
        for (int64_t k = 0; k < g->n && !intr_pending(); k++)
            for (int64_t j = 0; j < g->N; j++)
                g->dot[i * g->N + j] += v[k * g->N + i] * v[k * g->N + j];
        ok = intr_check(err);
    }
    for (int64_t i = 0; ok && i < g->N; i++)
        g->norm[i] = sqrt(g->dot[i * g->N + i]);
    tensor_release(&wide);
    tensor_release(&own);
    if (!ok)
        gram_done(g);
    return ok;
}

static double cosine(const Gram *g, int64_t i, int64_t j)
{
    double scale = g->norm[i] * g->norm[j];
    return scale > 0 ? g->dot[i * g->N + j] / scale : 0;
}

static double dimension(const Gram *g, int64_t i)
{
    double sum = 0, own = g->norm[i] * g->norm[i];
    if (own <= 0)
        return 0;
    for (int64_t j = 0; j < g->N; j++)
        sum += g->dot[i * g->N + j] * g->dot[i * g->N + j] / own;
    return own / sum;
}

bool super_dimensions(const Tensor *w, Tensor *out, Err *err)
{
    Gram g;
    if (!gram_new(w, &g, err))
        return false;
    bool ok = tensor_zeros(F64, 1, &g.N, out, err);
    for (int64_t i = 0; ok && i < g.N; i++) {
        ((double *)out->data)[i] = dimension(&g, i);
        ok = intr_check(err);
    }
    gram_done(&g);
    if (!ok)
        tensor_release(out);
    return ok;
}

bool super_angles(const Tensor *w, SuperMeasure *m, Err *err)
{
    Gram g;
    if (!gram_new(w, &g, err))
        return false;
    double N = (double)g.N, n = (double)g.n, abs_sum = 0, frame = 0, frame4 = 0;
    m->max_cos = 0;
    bool ok = true;
    for (int64_t i = 0; ok && i < g.N; i++) {
        for (int64_t j = 0; j < g.N; j++) {
            double c = i == j ? 1 : fabs(cosine(&g, i, j));
            frame += c * c;
            frame4 += c * c * c * c;
            abs_sum += i == j ? 0 : c;
            m->max_cos = i == j ? m->max_cos : fmax(m->max_cos, c);
        }
        ok = intr_check(err);
    }
    m->abs_cos = g.N > 1 ? abs_sum / (N * (N - 1)) : 0;
    m->abs_cos_random = exp(lgamma(n / 2) - lgamma((n + 1) / 2)) / sqrt(M_PI);
    m->welch = g.N > g.n ? sqrt((N - n) / (n * (N - 1))) : 0;
    m->frame = frame / (N * fmax(N / n, 1));
    m->frame4 = frame4 / fmax(3 * N * N / (n * (n + 2)), N);
    gram_done(&g);
    return ok;
}

/* ---- polytopes --------------------------------------------------------------------- */

static const struct {
    const char *name;
    int64_t features, dims;
} known[] = {
    {"dedicated", 1, 1},   {"digon", 2, 1},    {"triangle", 3, 2},
    {"tetrahedron", 4, 3}, {"pentagon", 5, 2}, {"square antiprism", 8, 3},
};

#define LONG_ENOUGH 0.3 /* of the longest column */
#define EVEN 0.05       /* spread of D over a polytope's corners */
#define RANK_SHARE 0.01 /* eigenvalues below this share of the largest are none */

static bool label_groups(const Gram *g, double tolerance, int32_t *label, int64_t *n,
                         Err *err)
{
    double longest = 0;
    bool changed = true;
    for (int64_t i = 0; i < g->N; i++)
        longest = fmax(longest, g->norm[i]);
    for (int64_t i = 0; i < g->N; i++)
        label[i] = longest > 0 && g->norm[i] > LONG_ENOUGH * longest ? (int32_t)i : -1;
    while (changed) {
        changed = false;
        for (int64_t i = 0; i < g->N; i++) {
            if (!intr_check(err))
                return false;
            for (int64_t j = 0; j < i; j++)
                if (label[i] >= 0 && label[j] >= 0 && label[i] != label[j] &&
                    fabs(cosine(g, i, j)) > tolerance) {
                    label[i] = label[j] = label[i] < label[j] ? label[i] : label[j];
                    changed = true;
                }
        }
    }
    *n = 0;
    for (int64_t i = 0; i < g->N; i++) { /* labels to 0 .. n-1, by first member */
        if (label[i] != (int32_t)i)
            continue;
        for (int64_t j = i; j < g->N; j++)
            if (label[j] == (int32_t)i)
                label[j] = (int32_t)(-2 - *n);
        ++*n;
    }
    for (int64_t i = 0; i < g->N; i++)
        label[i] = label[i] <= -2 ? -2 - label[i] : -1;
    return true;
}

static bool rank_of(const Gram *g, const int32_t *label, int32_t which, int64_t size,
                    int64_t *rank, Err *err)
{
    Tensor a, val = {0}, vec = {0};
    int64_t r = 0;
    if (!tensor_zeros(F64, 2, (int64_t[]){size, size}, &a, err))
        return false;
    for (int64_t i = 0; i < g->N; i++) {
        int64_t c = 0;
        if (label[i] != which)
            continue;
        for (int64_t j = 0; j < g->N; j++)
            if (label[j] == which)
                ((double *)a.data)[r * size + c++] = i == j ? 1 : cosine(g, i, j);
        r++;
    }
    bool ok = lapack_eigh(&a, EIGH_DESCENDING, &val, &vec, err);
    *rank = 0;
    for (int64_t k = 0; ok && k < size; k++)
        *rank += ((double *)val.data)[k] > RANK_SHARE * ((double *)val.data)[0];
    tensor_release(&a);
    tensor_release(&val);
    tensor_release(&vec);
    return ok;
}

static bool describe(const Gram *g, const int32_t *label, int32_t which, SuperShape *s,
                     Err *err)
{
    double sum = 0, sq = 0;
    *s = (SuperShape){.name = ""};
    for (int64_t i = 0; i < g->N; i++)
        if (label[i] == which) {
            double d = dimension(g, i);
            s->features++;
            sum += d;
            sq += d * d;
        }
    s->dimension = sum / (double)s->features;
    s->spread = sqrt(fmax(sq / (double)s->features - s->dimension * s->dimension, 0));
    if (!rank_of(g, label, which, s->features, &s->dims, err))
        return false;
    for (size_t k = 0; k < ARRAY_LEN(known); k++)
        if (known[k].features == s->features && known[k].dims == s->dims &&
            s->spread < EVEN &&
            fabs(s->dimension - (double)s->dims / (double)s->features) < EVEN)
            s->name = known[k].name;
    return true;
}

bool super_shapes(const Tensor *w, double tolerance, SuperShape **out, int64_t *n,
                  Tensor *group, Err *err)
{
    Gram g;
    Tensor label = {0};
    *out = NULL;
    *n = 0;
    if (!gram_new(w, &g, err))
        return false;
    bool ok = tensor_zeros(I32, 1, &g.N, &label, err);
    ok = ok && label_groups(&g, tolerance, label.data, n, err) &&
         (*out = mem_zalloc(((size_t)*n + 1) * sizeof **out, err)) != NULL;
    for (int64_t k = 0; ok && k < *n; k++)
        ok = describe(&g, label.data, (int32_t)k, &(*out)[k], err);
    gram_done(&g);
    if (ok && group)
        *group = label;
    else
        tensor_release(&label);
    if (!ok) {
        mem_free(*out);
        *out = NULL;
    }
    return ok;
}

/* ---- theory ------------------------------------------------------------------------ */

/* Expected fourth power per feature and example: own error (1-g) x with x uniform, and
 * Gaussian interference of variance s2 with the fourth moment of a sparse sum. */
typedef struct Coactive {
    double kappa, k2, k4;
} Coactive;

static double variance_at(const Coactive *c, double g)
{
    return g * g * c->k2 * c->kappa / 3;
}

static double loss_at(const Coactive *c, double g)
{
    double s2 = variance_at(c, g), miss = 1 - g;
    double b4 = g * g * g * g * c->k4 * c->kappa / 5 + 3 * s2 * s2;
    return c->kappa * (pow(miss, 4) / 5 + 2 * miss * miss * s2) + b4;
}

/* Golden section on [0,1], where the loss has one minimum. */
static double best_gain(const Coactive *c)
{
    const double ratio = (sqrt(5) - 1) / 2;
    double lo = 0, hi = 1;
    for (int k = 0; k < 80; k++) {
        double a = hi - ratio * (hi - lo), b = lo + ratio * (hi - lo);
        if (loss_at(c, a) < loss_at(c, b))
            hi = b;
        else
            lo = a;
    }
    return (lo + hi) / 2;
}

bool super_theory(int64_t N, int64_t n, int64_t power, double density, double k,
                  SuperTheory *out, Err *err)
{
    double F = (double)N, d = (double)n, q = (double)power;
    if (N < 1 || n < 1 || !(density > 0 && density <= 1) || !(k >= 0))
        return err_set(err, ERR_OPTION,
                       "theory needs features and neurons of at least 1, a density "
                       "in 0..1 and k of at least 0");
    if (power != 2 && power != 4)
        return err_set(err, ERR_OPTION, "theory knows power 2 and 4, not %lld",
                       (long long)power);
    double tight = fmax(F / d - 1, 0);
    bool room = n >= N;
    out->k_design = room ? 0 : power == 2 ? tight : fmax(3 * F / (d * (d + 2)) - 1, 0);
    out->k_random = power == 2 ? (F - 1) / d : (F - 1) * 3 / (d * (d + 2));
    double sum = k > 0 ? k : out->k_design;
    out->gain = 1 / (1 + pow(sum, 1 / (q - 1)));
    out->loss_ratio = room ? 0 : pow(1 - out->gain, q - 1) / (1 - d / F);
    out->gain_coactive = out->u_mse = out->u_l4 = (double)NAN;
    if (power == 4) {
        Coactive c = {.kappa = density / 2, .k2 = tight, .k4 = sum};
        double g = out->gain_coactive = best_gain(&c);
        out->u_mse = c.kappa * (1 - g) * (1 - g) / 3 + variance_at(&c, g);
        out->u_l4 = loss_at(&c, g);
    }
    double g = power == 4 ? out->gain_coactive : out->gain;
    out->cross_bound = room ? 0 : g * sqrt(tight / (F - 1));
    return true;
}
