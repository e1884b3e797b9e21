/* sae_norm.c -- the six conventions of input scale. Those of a data set are one affine
 * map per dimension; those of an example are computed from its input, for the target
 * too. */
#include <math.h>
#include <string.h>

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

static bool column_moments(const Tensor *t, double *mean, double *std, Err *err)
{
    int64_t N = t->dim[0], D = t->dim[1];
    const float *x = t->data;
    memset(mean, 0, sizeof *mean * (size_t)D);
    memset(std, 0, sizeof *std * (size_t)D);
    for (int64_t i = 0; i < N * D; i++) {
        if (!isfinite(x[i]))
            return err_set(err, ERR_NUMERIC,
                           "the activations hold a value that is not finite, in row "
                           "%lld",
                           (long long)(i / D));
        mean[i % D] += (double)x[i];
    }
    for (int64_t d = 0; d < D; d++)
        mean[d] /= (double)N;
    for (int64_t i = 0; i < N * D; i++) {
        double c = (double)x[i] - mean[i % D];
        std[i % D] += c * c;
    }
    for (int64_t d = 0; d < D; d++)
        std[d] = N > 1 ? sqrt(std[d] / (double)(N - 1)) : 0;
    return true;
}

static double row_length(const float *x, int64_t D)
{
    double s = 0;
    for (int64_t d = 0; d < D; d++)
        s += (double)x[d] * (double)x[d];
    return sqrt(s);
}

/* One gain for all dimensions. */
static double scalar_gain(const Sae *s, const Tensor *t)
{
    double length = 0, square = 0;
    int64_t N = t->dim[0], D = t->dim[1];
    for (int64_t n = 0; n < N; n++) {
        double l = row_length((const float *)t->data + n * D, D);
        length += l;
        square += l * l;
    }
    if (!(square > 0) || (s->norm != NORM_RMS && s->norm != NORM_LENGTH))
        return 1;
    return s->norm == NORM_RMS ? 1 / sqrt(square / (double)N)
                               : sqrt((double)D) / (length / (double)N);
}

static bool affine(const Sae *s, const Tensor *t, Tensor *shift, Tensor *gain, Err *err)
{
    int64_t D = t->dim[1];
    double *mean = mem_alloc(2 * sizeof *mean * (size_t)D, err), k = scalar_gain(s, t);
    bool ok = mean && column_moments(t, mean, mean + D, err) &&
              tensor_zeros(F32, 1, &D, shift, err) &&
              tensor_full(F32, 1, &D, k, gain, err);
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
        out[d] = (float)(((double)x[d] - shift - (double)sh[d]) / scale * (double)ga[d]);
}

/* Mean (the first decoder bias) and total variance of the normalised targets. */
static bool target_moments(Sae *s, Err *err)
{
    int64_t O = s->O;
    double *row = mem_zalloc(3 * sizeof *row * (size_t)O, err);
    if (!row)
        return false;
    double *mean = row + O, *m2 = row + 2 * O;
    for (int64_t n = 0; n < s->N; n++) {
        sae_norm_row(s, (float *)s->x.data + n * s->D, (float *)s->y.data + n * O, row);
        for (int64_t o = 0; o < O; o++) {
            double delta = row[o] - mean[o];
            mean[o] += delta / (double)(n + 1);
            m2[o] += delta * (row[o] - mean[o]);
        }
    }
    float *b = tset_get(s->params, "decoder_bias")->data;
    s->variance = 0;
    for (int64_t o = 0; o < O; o++) {
        b[o] = (float)mean[o];
        s->variance += m2[o] / (double)s->N;
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
    return affine(s, &s->x, &s->shift_in, &s->gain_in, err) &&
           affine(s, &s->y, &s->shift_out, &s->gain_out, err) && target_moments(s, err);
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
