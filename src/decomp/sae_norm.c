/* sae_norm.c -- the six conventions of input scale. Those of a data set are one affine
 * map per dimension; those of an example are computed from its input, for the target
 * too. */
#include <math.h>
#include <string.h>

#include "base/intr.h"
#include "base/mem.h"
#include "decomp/sae_int.h"
#include "graph/build.h"

static const double std_eps = 1e-5, length_eps = 1e-8;

SaeNorm sae_norm_kind(const char *name)
{
    static const char *const names[] = {"none", "standardise", "unit",
                                        "rms",  "length",      "zscore"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (!strcmp(names[i], name))
            return (SaeNorm)i;
    return NORM_NONE;
}

/* ---- fitting --------------------------------------------------------------------- */

/* Sums over all rows of the inputs or of the targets. */
typedef struct Columns {
    const Sae *s;
    bool target, second; /* second: std about the mean, else the mean and lengths */
    int64_t D;
    double *mean, *std; /* [D] */
    double length, square;
} Columns;

static double row_length(const float *x, int64_t D)
{
    double s = 0;
    for (int64_t d = 0; d < D; d++)
        s += (double)x[d] * (double)x[d];
    return sqrt(s);
}

static bool add_columns(void *ctx, int64_t first, int64_t n, const float *x,
                        const float *y, Err *err)
{
    Columns *c = ctx;
    int64_t D = c->D;
    x = c->target ? y : x;
    for (int64_t i = 0; i < n; i++, x += D) {
        if (i % 4096 == 0 && !intr_check(err))
            return false;
        for (int64_t d = 0; d < D; d++) {
            double v = (double)x[d] - (c->second ? c->mean[d] : 0);
            if (!isfinite(v))
                return err_set(
                    err, ERR_NUMERIC,
                    "the activations hold a value that is not finite, in row "
                    "%lld",
                    (long long)(first + i));
            if (c->second)
                c->std[d] += v * v;
            else
                c->mean[d] += v;
        }
        double l = c->second ? 0 : row_length(x, D);
        c->length += l;
        c->square += l * l;
    }
    return true;
}

static bool column_moments(Columns *c, Err *err)
{
    double N = (double)c->s->N;
    if (!sae_rows(c->s, add_columns, c, err))
        return false;
    for (int64_t d = 0; d < c->D; d++)
        c->mean[d] /= N;
    c->second = true;
    if (c->s->norm == NORM_ZSCORE && !sae_rows(c->s, add_columns, c, err))
        return false;
    for (int64_t d = 0; d < c->D; d++)
        c->std[d] = N > 1 ? sqrt(c->std[d] / (N - 1)) : 0;
    return true;
}

/* One gain for all dimensions. */
static double scalar_gain(const Columns *c)
{
    double N = (double)c->s->N;
    if (!(c->square > 0) || (c->s->norm != NORM_RMS && c->s->norm != NORM_LENGTH))
        return 1;
    return c->s->norm == NORM_RMS ? 1 / sqrt(c->square / N)
                                  : sqrt((double)c->D) / (c->length / N);
}

static bool affine(const Sae *s, bool target, Tensor *shift, Tensor *gain, Err *err)
{
    int64_t D = target ? s->O : s->D;
    Columns c = {.s = s, .target = target, .D = D};
    double *mean = c.mean = mem_zalloc(2 * sizeof *mean * (size_t)D, err);
    c.std = mean ? mean + D : NULL;
    bool ok = mean && column_moments(&c, err) && tensor_zeros(F32, 1, &D, shift, err) &&
              tensor_full(F32, 1, &D, scalar_gain(&c), gain, err);
    for (int64_t d = 0; ok && s->norm == NORM_ZSCORE && d < D; d++) {
        ((float *)shift->data)[d] = (float)mean[d];
        ((float *)gain->data)[d] = (float)(1 / fmax(mean[D + d], 1e-6));
    }
    mem_free(mean);
    return ok;
}

/* What an example is shifted and divided by, going by its input. */
static void example_scale(const Sae *s, const float *x, double *shift, double *scale)
{
    if (s->norm == NORM_UNIT)
        *scale = row_length(x, s->D) + length_eps;
    if (s->norm != NORM_STANDARDISE)
        return;
    double sum = 0, sq = 0;
    for (int64_t d = 0; d < s->D; d++)
        sum += (double)x[d];
    *shift = sum / (double)s->D;
    for (int64_t d = 0; d < s->D; d++)
        sq += ((double)x[d] - *shift) * ((double)x[d] - *shift);
    *scale = sqrt(sq / (double)(s->D - 1)) + std_eps;
}

void sae_norm_row(const Sae *s, const float *x, const float *y, double *out)
{
    double shift = 0, scale = 1;
    const float *sh = s->shift_out.data, *ga = s->gain_out.data;
    example_scale(s, x, &shift, &scale);
    for (int64_t o = 0; o < s->O; o++)
        out[o] = ((double)y[o] - shift - (double)sh[o]) / scale * (double)ga[o];
}

void sae_norm_in_row(const Sae *s, const float *x, float *out)
{
    double shift = 0, scale = 1;
    const float *sh = s->shift_in.data, *ga = s->gain_in.data;
    example_scale(s, x, &shift, &scale);
    for (int64_t d = 0; d < s->D; d++)
        out[d] =
            (float)(((double)x[d] - shift - (double)sh[d]) / scale * (double)ga[d]);
}

typedef struct Moments {
    const Sae *s;
    double *row, *mean, *m2; /* [O] */
} Moments;

static bool add_targets(void *ctx, int64_t first, int64_t n, const float *x,
                        const float *y, Err *err)
{
    const Moments *m = ctx;
    const Sae *s = m->s;
    for (int64_t i = 0; i < n; i++, x += s->D, y += s->O) {
        if (i % 4096 == 0 && !intr_check(err))
            return false;
        sae_norm_row(s, x, y, m->row);
        for (int64_t o = 0; o < s->O; o++) {
            double delta = m->row[o] - m->mean[o];
            m->mean[o] += delta / (double)(first + i + 1);
            m->m2[o] += delta * (m->row[o] - m->mean[o]);
        }
    }
    return true;
}

/* Mean (the first decoder bias) and total variance of the normalised targets. */
static bool target_moments(Sae *s, Err *err)
{
    int64_t O = s->O;
    double *row = mem_zalloc(3 * sizeof *row * (size_t)O, err);
    Moments m = {s, row, row + O, row + 2 * O};
    if (!row || !sae_rows(s, add_targets, &m, err)) {
        mem_free(row);
        return false;
    }
    float *b = tset_get(s->params, "decoder_bias")->data;
    s->variance = 0;
    for (int64_t o = 0; o < O; o++) {
        b[o] = (float)m.mean[o];
        s->variance += m.m2[o] / (double)s->N;
    }
    mem_free(row);
    return s->variance > 0 || err_set(err, ERR_NUMERIC,
                                      "the targets are all alike: there is nothing to "
                                      "explain");
}

bool sae_norm_fit(Sae *s, Err *err)
{
    if (s->norm == NORM_STANDARDISE && (s->own_target || s->D < 2))
        return err_set(err, ERR_OPTION,
                       "normalise = \"standardise\" needs activations of at least two "
                       "dimensions that are their own target");
    bool ok = affine(s, false, &s->shift_in, &s->gain_in, err);
    if (ok && s->own_target)
        ok = affine(s, true, &s->shift_out, &s->gain_out, err);
    else if (ok)
        ok = tensor_copy(&s->shift_in, &s->shift_out, err) &&
             tensor_copy(&s->gain_in, &s->gain_out, err);
    return ok && target_moments(s, err);
}

/* ---- on a graph ------------------------------------------------------------------ */

SaeScaled sae_norm_in(Sae *s, Graph *g, Val x)
{
    SaeScaled v = {x, VAL_NONE, VAL_NONE};
    OpAttr over = {
        .i = {1, 1, 1}
    }; /* axis 1, kept, divisor n - 1 */
    if (s->norm == NORM_UNIT) {
        v.scale = g_shift(g, g_call(g, "norm", &x, 1, &over), length_eps);
        v.x = g_div(g, x, v.scale);
    } else if (s->norm == NORM_STANDARDISE) {
        v.shift = g_call(g, "mean", &x, 1, &over);
        Val c = g_sub(g, x, v.shift);
        v.scale = g_shift(g, g_call(g, "std", &x, 1, &over), std_eps);
        v.x = g_div(g, c, v.scale);
    } else if (s->norm != NORM_NONE) {
        v.x = g_mul(g, g_sub(g, x, graph_const(g, &s->shift_in)),
                    graph_const(g, &s->gain_in));
    }
    return v;
}

Val sae_norm_target(Sae *s, Graph *g, const SaeScaled *in, Val y)
{
    if (in->shift != VAL_NONE)
        y = g_sub(g, y, in->shift);
    if (in->scale != VAL_NONE)
        return g_div(g, y, in->scale);
    return s->norm == NORM_NONE ? y
                                : g_mul(g, g_sub(g, y, graph_const(g, &s->shift_out)),
                                        graph_const(g, &s->gain_out));
}

Val sae_norm_back(Sae *s, Graph *g, const SaeScaled *in, Val y)
{
    if (in->scale != VAL_NONE)
        y = g_mul(g, y, in->scale);
    if (in->shift != VAL_NONE)
        return g_add(g, y, in->shift);
    if (in->scale != VAL_NONE || s->norm == NORM_NONE)
        return y;
    return g_add(g, g_div(g, y, graph_const(g, &s->gain_out)),
                 graph_const(g, &s->shift_out));
}
