/* superpose_stats.c -- what a network on sparse features does: errors by Monte Carlo in
 * blocks, both conventions and the naive network on the same examples; responses, gains
 * and isolated errors by exact sweeps of one feature at a time. Sums in double. */
#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "decomp/superpose_int.h"
#include "tensor/blas.h"
#include "tensor/rng.h"

enum { BLOCK = 2048, SWEEP = 1000, AT_ONCE = 1 << 22 }; /* elements between looks */
#define IGNORED 0.1

#define ROW(field, doc)                                                                \
    {                                                                                  \
#field, doc, offsetof(SuperMeasure, field)                                     \
    }
const SuperMeasureRow super_measure_rows[] = {
    ROW(u_mse, "Mean squared error over all examples and features."),
    ROW(u_l4, "Mean fourth power of the error over all examples and features."),
    ROW(c_mse, "Mean squared error of a feature where it is active, mean over features."),
    ROW(c_l4, "Mean fourth power of the error where a feature is active."),
    ROW(naive_u_mse, "u_mse of n features perfect, the others zero."),
    ROW(naive_u_l4, "u_l4 of n features perfect, the others zero."),
    ROW(naive_c_mse, "c_mse of n features perfect, the others zero."),
    ROW(naive_c_l4, "c_l4 of n features perfect, the others zero."),
    ROW(ratio_u_mse, "naive_u_mse / u_mse: above 1 the network is better."),
    ROW(ratio_u_l4, "naive_u_l4 / u_l4."),
    ROW(ratio_c_mse, "naive_c_mse / c_mse."),
    ROW(ratio_c_l4, "naive_c_l4 / c_l4."),
    ROW(c_mse_min, "Smallest c_mse of a feature."),
    ROW(c_mse_max, "Largest c_mse of a feature."),
    ROW(c_mse_std, "Standard deviation of c_mse over features, sampling noise included."),
    ROW(isolated, "c_mse when no other feature is active: attenuation alone."),
    ROW(interference, "c_mse - isolated."),
    ROW(interference_share, "interference / c_mse."),
    ROW(idle_mse, "Mean squared error of a feature where it is not active."),
    ROW(idle_l4, "Mean fourth power of the error where a feature is not active."),
    ROW(gain, "Response of a feature to itself at 1, alone; mean over features."),
    ROW(gain_std, "Standard deviation of the gain over features."),
    ROW(negative, "Response of a feature to itself at -1, alone; mean."),
    ROW(diagonal, "Mean diagonal of O W (mlp) or W^T W (tied): not the gain."),
    ROW(ignored, "Features with a gain below 0.1."),
    ROW(cross_mean, "Mean response of a feature to another one at 1."),
    ROW(cross_abs, "Mean absolute response to another one."),
    ROW(cross_rms, "Root mean squared response to another one."),
    ROW(cross_bound, "Least cross_rms at this gain: the gains have rank n at most."),
    ROW(cross_min, "Smallest response to another one."),
    ROW(cross_max, "Largest response to another one."),
    ROW(k2, "Sum over the others of (response / gain)^2, mean over features."),
    ROW(k4, "Sum over the others of (response / gain)^4, mean over features."),
    ROW(k4_design, "Least k4 of N directions in n dimensions (spherical 4-design)."),
    ROW(k4_random, "k4 of random directions."),
    ROW(abs_cos, "Mean |cos| between input directions of features."),
    ROW(abs_cos_random, "The same for random directions in n dimensions."),
    ROW(max_cos, "Largest |cos| between input directions."),
    ROW(welch, "Least largest |cos| of N directions in n dimensions (Welch bound)."),
    ROW(dims, "Sum of feature dimensionalities."),
    ROW(dims_limit, "Its limit: the number of neurons."),
    ROW(frame, "Frame potential of unit directions over its least value N^2/n."),
    ROW(frame4, "Fourth potential over its bound 3 N^2 / (n (n + 2))."),
};
const size_t super_n_measure_rows = ARRAY_LEN(super_measure_rows);
const char *const super_feature_names[SUPER_PER_FEATURE] = {
    "c_mse", "naive_c_mse", "isolated", "received",
    "gain",  "negative",    "dimension", "norm"};

static double target_of(const Super *s, double x)
{
    return s->target == SUPER_RELU  ? (x > 0 ? x : 0)
           : s->target == SUPER_ABS ? fabs(x)
                                    : x;
}

/* Examples that go through the network in one piece. */
static int64_t rows_at_once(const Super *s)
{
    int64_t rows = AT_ONCE / s->cfg.features;
    return rows < 1 ? 1 : rows < BLOCK ? rows : BLOCK;
}

/* y [B,N] of the neurons h [B,n], which are rectified in place in the mlp. */
static bool read_out(const Super *s, int64_t B, float *h, float *y, Err *err)
{
    int64_t N = s->cfg.features, n = s->cfg.neurons;
    if (s->tied) {
        const float *in = tset_get(s->params, "in")->data;
        const float *bias = tset_get(s->params, "bias")->data;
        if (!blas_gemm_f32(false, false, B, N, n, 1, h, n, in, N, 0, y, N, err))
            return false;
        for (int64_t i = 0; i < B * N; i++)
            y[i] = fmaxf(y[i] + bias[i % N], 0);
        return true;
    }
    const float *out = tset_get(s->params, "out")->data;
    for (int64_t i = 0; i < B * n; i++)
        h[i] = fmaxf(h[i], 0);
    return blas_gemm_f32(false, true, B, N, n, 1, h, n, out, n, 0, y, N, err);
}

/* y [B,N] of x [B,N]; h is scratch [B,n]. */
static bool forward(const Super *s, int64_t B, const float *x, float *h, float *y,
                    Err *err)
{
    int64_t N = s->cfg.features, n = s->cfg.neurons;
    const float *in = tset_get(s->params, "in")->data;
    return intr_check(err) &&
           blas_gemm_f32(false, true, B, n, N, 1, x, N, in, N, 0, h, n, err) &&
           read_out(s, B, h, y, err);
}

bool super_outputs(const Super *s, const Tensor *x, Tensor *y, Err *err)
{
    int64_t N = s->cfg.features, n = s->cfg.neurons, most = rows_at_once(s);
    char shape[96];
    if (x->dtype != F32 || x->ndim != 2 || x->dim[1] != N || !tensor_contiguous(x))
        return err_set(err, ERR_SHAPE, "examples must be f32 [B,%lld], they are %s",
                       (long long)N, tensor_format_shape(x, shape));
    if (!tensor_finite(x))
        return err_set(err, ERR_NUMERIC, "the examples are not finite");
    if (!tensor_new(F32, 2, x->dim, y, err))
        return false;
    float *h = mem_array((size_t)(most * n), sizeof *h, err);
    bool ok = h != NULL;
    for (int64_t at = 0, B = x->dim[0]; ok && at < B; at += most)
        ok = forward(s, B - at < most ? B - at : most, (float *)x->data + at * N, h,
                     (float *)y->data + at * N, err);
    mem_free(h);
    if (!ok)
        tensor_release(y);
    return ok;
}

/* ---- one feature at a time --------------------------------------------------------- */

/* A feature alone takes the P values v, and y [P] is its own response. The neurons see
 * one column of the weights then, the response one row. */
typedef struct Sweep {
    float *h, *y, *to; /* neurons [P,n], responses [P], weights of the response [n] */
    int64_t P;
} Sweep;

static void sweep_done(Sweep *w)
{
    mem_free(w->h);
    mem_free(w->y);
    mem_free(w->to);
}

static bool sweep_new(const Super *s, int64_t P, Sweep *w, Err *err)
{
    size_t n = (size_t)s->cfg.neurons;
    *w = (Sweep){.P = P};
    return (w->h = mem_array((size_t)P * n, sizeof *w->h, err)) &&
           (w->y = mem_array((size_t)P, sizeof *w->y, err)) &&
           (w->to = mem_array(n, sizeof *w->to, err));
}

static bool sweep_feature(const Super *s, Sweep *w, int64_t i, const double *v,
                          Err *err)
{
    int64_t N = s->cfg.features, n = s->cfg.neurons;
    const float *in = tset_get(s->params, "in")->data;
    const float *out = s->tied ? NULL : tset_get(s->params, "out")->data;
    for (int64_t k = 0; k < n; k++)
        w->to[k] = out ? out[i * n + k] : in[k * N + i];
    for (int64_t p = 0; p < w->P; p++)
        for (int64_t k = 0; k < n; k++) {
            float h = (float)v[p] * in[k * N + i];
            w->h[p * n + k] = s->tied ? h : fmaxf(h, 0);
        }
    if (!intr_check(err) || !blas_gemm_f32(false, true, w->P, 1, n, 1, w->h, n, w->to,
                                           n, 0, w->y, 1, err))
        return false;
    if (s->tied) {
        float bias = ((float *)tset_get(s->params, "bias")->data)[i];
        for (int64_t p = 0; p < w->P; p++)
            w->y[p] = fmaxf(w->y[p] + bias, 0);
    }
    return true;
}

bool super_responses(const Super *s, int64_t points, Tensor *out, Err *err)
{
    int64_t N = s->cfg.features, most = AT_ONCE / s->cfg.neurons;
    Sweep w;
    if (points < 2 || points > 100000)
        return err_set(err, ERR_OPTION, "%lld points; 2 to 100000 are possible",
                       (long long)points);
    if (!tensor_new(F64, 2, (int64_t[]){N, points}, out, err))
        return false;
    int64_t piece = most < 1 ? 1 : most < points ? most : points;
    double *v = mem_array((size_t)points, sizeof *v, err);
    bool ok = v && sweep_new(s, piece, &w, err);
    for (int64_t p = 0; ok && p < points; p++)
        v[p] = s->lo + (1 - s->lo) * (double)p / (double)(points - 1);
    for (int64_t i = 0; ok && i < N; i++)
        for (int64_t p = 0; ok && p < points; p += piece) {
            w.P = points - p < piece ? points - p : piece;
            ok = sweep_feature(s, &w, i, v + p, err);
            for (int64_t q = 0; ok && q < w.P; q++)
                ((double *)out->data)[i * points + p + q] = (double)w.y[q];
        }
    if (v)
        sweep_done(&w);
    mem_free(v);
    if (!ok)
        tensor_release(out);
    return ok;
}

/* Rows of outputs: each is a row of the second weights times all the neurons that a
 * feature at 1 turns on, so that memory is written in order. */
bool super_gains(const Super *s, Tensor *gains, Err *err)
{
    int64_t N = s->cfg.features, n = s->cfg.neurons, most = rows_at_once(s);
    const float *in = tset_get(s->params, "in")->data;
    const float *out = s->tied ? in : tset_get(s->params, "out")->data;
    const float *bias = s->tied ? tset_get(s->params, "bias")->data : NULL;
    if (!tensor_new(F64, 2, (int64_t[]){N, N}, gains, err))
        return false;
    float *h = mem_array((size_t)(n * N), sizeof *h, err);
    float *y = h ? mem_array((size_t)(most * N), sizeof *y, err) : NULL;
    bool ok = y != NULL;
    for (int64_t k = 0; ok && k < n * N; k++)
        h[k] = s->tied ? in[k] : fmaxf(in[k], 0);
    for (int64_t j = 0; ok && j < N; j += most) {
        int64_t rows = N - j < most ? N - j : most;
        double *g = (double *)gains->data + j * N;
        ok = intr_check(err) &&
             blas_gemm_f32(s->tied, false, rows, N, n, 1, s->tied ? out + j : out + j * n,
                           s->tied ? N : n, h, N, 0, y, N, err);
        for (int64_t k = 0; ok && k < rows * N; k++)
            g[k] = (double)(bias ? fmaxf(y[k] + bias[j + k / N], 0) : y[k]);
    }
    mem_free(h);
    mem_free(y);
    if (!ok)
        tensor_release(gains);
    return ok;
}

/* Isolated error by the midpoint rule, and the response at -1 (0 for values 0..1). */
static bool alone(const Super *s, double *isolated, double *negative, Err *err)
{
    int64_t N = s->cfg.features;
    double v[SWEEP + 1];
    Sweep w;
    bool ok = sweep_new(s, SWEEP + 1, &w, err);
    for (int p = 0; p < SWEEP; p++)
        v[p] = s->lo + (1 - s->lo) * (p + 0.5) / SWEEP;
    v[SWEEP] = -1;
    for (int64_t i = 0; ok && i < N; i++) {
        double sum = 0;
        ok = sweep_feature(s, &w, i, v, err);
        for (int p = 0; ok && p < SWEEP; p++) {
            double e = (double)w.y[p] - target_of(s, v[p]);
            sum += e * e;
        }
        isolated[i] = sum / SWEEP;
        negative[i] = ok ? (double)w.y[SWEEP] : 0;
    }
    sweep_done(&w);
    return ok;
}

/* ---- Monte Carlo ------------------------------------------------------------------- */

typedef struct Sums {
    double *active2, *active4, *naive2, *naive4; /* [N] where the feature is active */
    double *idle2, *idle4, *naive_idle2, *naive_idle4;
    double *count;
} Sums;
enum { SUMS = sizeof(Sums) / sizeof(double *) };

typedef struct Block {
    float *x, *h, *y, *mix;
} Block;

static void block_done(Block *b)
{
    mem_free(b->x);
    mem_free(b->h);
    mem_free(b->y);
    mem_free(b->mix);
}

static bool block_new(const Super *s, Block *b, Err *err)
{
    size_t rows = (size_t)rows_at_once(s);
    size_t N = rows * (size_t)s->cfg.features, n = rows * (size_t)s->cfg.neurons;
    *b = (Block){0};
    return (b->x = mem_array(N, sizeof *b->x, err)) &&
           (b->h = mem_array(n, sizeof *b->h, err)) &&
           (b->y = mem_array(N, sizeof *b->y, err)) &&
           (b->mix = mem_zalloc(N * sizeof *b->mix, err));
}

static void add_block(const Super *s, const Block *b, int64_t rows, Sums *t)
{
    int64_t N = s->cfg.features, n = s->cfg.neurons;
    for (int64_t r = 0; r < rows; r++) {
        for (int64_t i = 0; i < N; i++) {
            int64_t at = r * N + i;
            double x = (double)b->x[at], mix = (double)b->mix[at];
            double own = target_of(s, x), e = (double)b->y[at] - own - mix;
            double e2 = e * e, miss = i < n ? mix : own + mix, m2 = miss * miss;
            bool active = x != 0;
            t->count[i] += active;
            (active ? t->active2 : t->idle2)[i] += e2;
            (active ? t->active4 : t->idle4)[i] += e2 * e2;
            (active ? t->naive2 : t->naive_idle2)[i] += m2;
            (active ? t->naive4 : t->naive_idle4)[i] += m2 * m2;
        }
    }
}

static bool monte_carlo(const Super *s, double density, int64_t samples, uint64_t seed,
                        Sums *t, Err *err)
{
    int64_t N = s->cfg.features, most = rows_at_once(s), rows;
    RngKey key = {.seed = seed, .stream = rng_stream("superposition.measure")};
    Block b;
    bool ok = block_new(s, &b, err);
    for (int64_t at = 0; ok && at < samples; at += rows) { /* a step is a block of draws */
        int64_t in = at % BLOCK, left = samples - at;
        rows = BLOCK - in < most ? BLOCK - in : most;
        rows = left < rows ? left : rows;
        key.step = (uint64_t)(at / BLOCK);
        rng_sparse_f32(key, in * N, rows * N, (float)density, (float)s->lo, 1, b.x);
        ok = forward(s, rows, b.x, b.h, b.y, err) &&
             (!s->mixing.data ||
              blas_gemm_f32(false, true, rows, N, N, 1, b.x, N, s->mixing.data, N, 0,
                            b.mix, N, err));
        if (ok)
            add_block(s, &b, rows, t);
    }
    block_done(&b);
    return ok;
}

static double total(const double *v, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += v[i];
    return sum;
}

/* Mean over the features that were active at least once of sum/count. */
static double conditional(const double *sum, const double *count, int64_t n)
{
    double mean = 0;
    int64_t seen = 0;
    for (int64_t i = 0; i < n; i++)
        if (count[i] > 0) {
            mean += sum[i] / count[i];
            seen++;
        }
    return seen ? mean / (double)seen : (double)NAN;
}

static void errors(const Sums *t, int64_t N, int64_t samples, SuperMeasure *m)
{
    double all = (double)samples * (double)N, active = total(t->count, N);
    double idle = all - active;
    m->u_mse = (total(t->active2, N) + total(t->idle2, N)) / all;
    m->u_l4 = (total(t->active4, N) + total(t->idle4, N)) / all;
    m->naive_u_mse = (total(t->naive2, N) + total(t->naive_idle2, N)) / all;
    m->naive_u_l4 = (total(t->naive4, N) + total(t->naive_idle4, N)) / all;
    m->c_mse = conditional(t->active2, t->count, N);
    m->c_l4 = conditional(t->active4, t->count, N);
    m->naive_c_mse = conditional(t->naive2, t->count, N);
    m->naive_c_l4 = conditional(t->naive4, t->count, N);
    m->idle_mse = idle > 0 ? total(t->idle2, N) / idle : 0;
    m->idle_l4 = idle > 0 ? total(t->idle4, N) / idle : 0;
    m->ratio_u_mse = m->naive_u_mse / m->u_mse;
    m->ratio_u_l4 = m->naive_u_l4 / m->u_l4;
    m->ratio_c_mse = m->naive_c_mse / m->c_mse;
    m->ratio_c_l4 = m->naive_c_l4 / m->c_l4;
}

static void spread(const Sums *t, int64_t N, SuperMeasure *m)
{
    double q = 0;
    m->c_mse_min = INFINITY;
    m->c_mse_max = -INFINITY;
    for (int64_t i = 0; i < N; i++) {
        if (t->count[i] == 0)
            continue;
        double v = t->active2[i] / t->count[i];
        m->c_mse_min = fmin(m->c_mse_min, v);
        m->c_mse_max = fmax(m->c_mse_max, v);
        q += (v - m->c_mse) * (v - m->c_mse);
    }
    m->c_mse_std = sqrt(q / (double)N);
}

/* ---- gains ------------------------------------------------------------------------- */

static bool crossing(const double *G, int64_t N, int64_t n, SuperMeasure *m,
                     double *received, Err *err)
{
    double pairs = (double)(N > 1 ? N * (N - 1) : 1), g = m->gain;
    double sum = 0, abs_sum = 0, sq = 0, k2 = 0, k4 = 0;
    m->cross_min = m->cross_max = N > 1 ? G[1] : 0;
    for (int64_t j = 0; j < N; j++) {
        double row = 0;
        if (!intr_check(err))
            return false;
        for (int64_t i = 0; i < N; i++) {
            double v = G[j * N + i], r = g != 0 ? v / g : 0;
            if (i == j)
                continue;
            sum += v;
            abs_sum += fabs(v);
            row += v * v;
            k2 += r * r;
            k4 += r * r * r * r;
            m->cross_min = fmin(m->cross_min, v);
            m->cross_max = fmax(m->cross_max, v);
        }
        sq += row;
        received[j] = sqrt(row / (double)(N > 1 ? N - 1 : 1));
    }
    m->cross_mean = sum / pairs;
    m->cross_abs = abs_sum / pairs;
    m->cross_rms = sqrt(sq / pairs);
    m->k2 = k2 / (double)N;
    m->k4 = k4 / (double)N;
    m->cross_bound =
        N > n ? fabs(g) * sqrt(((double)N / (double)n - 1) / (double)(N - 1)) : 0;
    return true;
}

static bool gains(const Super *s, const Tensor *G, SuperMeasure *m, double *gain,
                  Err *err)
{
    int64_t N = s->cfg.features, n = s->cfg.neurons;
    const float *in = tset_get(s->params, "in")->data;
    const float *out = s->tied ? NULL : tset_get(s->params, "out")->data;
    double sum = 0, sq = 0;
    m->ignored = m->diagonal = 0;
    for (int64_t i = 0; i < N; i++) {
        if (!intr_check(err))
            return false;
        gain[i] = ((double *)G->data)[i * N + i];
        sum += gain[i];
        m->ignored += gain[i] < IGNORED;
        for (int64_t k = 0; k < n; k++)
            m->diagonal += (double)in[k * N + i] *
                           (double)(out ? out[i * n + k] : in[k * N + i]);
    }
    m->gain = sum / (double)N;
    m->diagonal /= (double)N;
    for (int64_t i = 0; i < N; i++)
        sq += (gain[i] - m->gain) * (gain[i] - m->gain);
    m->gain_std = sqrt(sq / (double)N);
    return true;
}

/* ---- all of it --------------------------------------------------------------------- */

static bool geometry(const Super *s, SuperMeasure *m, double *dims, double *norms,
                     Err *err)
{
    const Tensor *in = tset_get(s->params, "in");
    int64_t N = s->cfg.features, n = s->cfg.neurons;
    SuperTheory theory;
    Tensor d = {0};
    if (!super_dimensions(in, &d, err) ||
        !super_theory(N, n, 4, s->cfg.density, 0, &theory, err)) {
        tensor_release(&d);
        return false;
    }
    memcpy(dims, d.data, tensor_bytes(&d));
    tensor_release(&d);
    m->dims = total(dims, N);
    m->dims_limit = (double)n;
    m->k4_design = theory.k_design;
    m->k4_random = theory.k_random;
    memset(norms, 0, (size_t)N * sizeof *norms);
    for (int64_t k = 0; k < n; k++)
        for (int64_t i = 0; i < N; i++)
            norms[i] += (double)((float *)in->data)[k * N + i] *
                        (double)((float *)in->data)[k * N + i];
    for (int64_t i = 0; i < N; i++)
        norms[i] = sqrt(norms[i]);
    return super_angles(in, m, err);
}

static bool store(double *const per[SUPER_PER_FEATURE], int64_t N, Tensor *out,
                  Err *err)
{
    for (int k = 0; k < SUPER_PER_FEATURE; k++) {
        if (!tensor_zeros(F64, 1, &N, &out[k], err))
            return false;
        memcpy(out[k].data, per[k], (size_t)N * sizeof(double));
    }
    return true;
}

static bool measure(const Super *s, double density, int64_t samples, uint64_t seed,
                    Sums *t, double *const per[SUPER_PER_FEATURE], SuperMeasure *m,
                    Err *err)
{
    int64_t N = s->cfg.features;
    Tensor G = {0};
    if (!monte_carlo(s, density, samples, seed, t, err) ||
        !alone(s, per[SUPER_ISOLATED], per[SUPER_NEGATIVE], err) ||
        !super_gains(s, &G, err))
        return false;
    errors(t, N, samples, m);
    spread(t, N, m);
    for (int64_t i = 0; i < N; i++) {
        double n = t->count[i] > 0 ? t->count[i] : (double)NAN;
        per[SUPER_C_MSE][i] = t->active2[i] / n;
        per[SUPER_NAIVE_C_MSE][i] = t->naive2[i] / n;
    }
    bool ok = gains(s, &G, m, per[SUPER_GAIN], err) &&
              crossing(G.data, N, s->cfg.neurons, m, per[SUPER_RECEIVED], err);
    tensor_release(&G);
    m->isolated = total(per[SUPER_ISOLATED], N) / (double)N;
    m->negative = total(per[SUPER_NEGATIVE], N) / (double)N;
    m->interference = m->c_mse - m->isolated;
    m->interference_share = m->interference / m->c_mse;
    return ok && geometry(s, m, per[SUPER_DIMENSION], per[SUPER_NORM], err);
}

bool super_measure(const Super *s, double density, int64_t samples, uint64_t seed,
                   SuperMeasure *out, Tensor *per, Err *err)
{
    size_t N = (size_t)s->cfg.features;
    double *column[SUPER_PER_FEATURE], *sums[SUMS];
    if (samples < 1)
        return err_set(err, ERR_OPTION, "samples must be at least 1");
    double *all = mem_zalloc((SUPER_PER_FEATURE + SUMS) * N * sizeof *all, err);
    if (!all)
        return false;
    for (size_t k = 0; k < SUPER_PER_FEATURE; k++)
        column[k] = all + k * N;
    for (size_t k = 0; k < SUMS; k++)
        sums[k] = all + (SUPER_PER_FEATURE + k) * N;
    Sums t = {sums[0], sums[1], sums[2], sums[3], sums[4],
              sums[5], sums[6], sums[7], sums[8]};
    memset(out, 0, sizeof *out);
    bool ok = measure(s, density > 0 ? density : s->cfg.density, samples, seed, &t,
                      column, out, err) &&
              (!per || store(column, s->cfg.features, per, err));
    if (!ok && per)
        for (int k = 0; k < SUPER_PER_FEATURE; k++)
            tensor_release(&per[k]);
    mem_free(all);
    return ok;
}
