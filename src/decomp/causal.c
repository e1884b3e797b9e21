/* causal.c -- blocks of rows; within one, for each component, the change it makes to
 * the gates' outputs and what it sends through open gates, both multiplied by V2 in one
 * product. Sums are in row order, so no figure depends on the cut. */
#include "decomp/causal.h"

#include <math.h>
#include <string.h>

#include "base/intr.h"
#include "base/mem.h"
#include "tensor/blas.h"
#include "tensor/rng.h"

enum { BLOCK = 256 };
#define DIMS(...) ((int64_t[]){__VA_ARGS__})

const OptRow causal_options[] = {
    {"background", OPT_ENUM, offsetof(CausalCfg, background), "ones", 0, 0,
     "ones ci stochastic",
     "The other components of the layer: all present, at their causal importance, or "
     "at random between it and 1 (mean over samples)."},
    {"bias", OPT_ENUM, offsetof(CausalCfg, bias), "inside", 0, 0, "inside after",
     "The first layer's bias inside the gate, as in the network, or added after it: "
     "gates that are decided without their bias, as in a published analysis."},
    {"gate", OPT_ENUM, offsetof(CausalCfg, gate), "relu", 0, 0, "relu identity",
     "What is between the layers."},
    {"tau", OPT_NUM, offsetof(CausalCfg, tau), "0.1", 0, 0, NULL,
     "A row counts for an output whose causal importance is above this."},
    {"min_rows", OPT_INT, offsetof(CausalCfg, min_rows), "10", 1, 1 << 30, NULL,
     "Outputs with fewer rows get zeros."},
    {"samples", OPT_INT, offsetof(CausalCfg, samples), "8", 1, 1000, NULL,
     "Draws of the stochastic background."},
    {"seed", OPT_INT, offsetof(CausalCfg, seed), "1", 0, 0, NULL, "Of those draws."},
};
const size_t causal_n_options = ARRAY_LEN(causal_options);

typedef struct Job {
    const CausalNet *net;
    bool after, linear;
    int kind; /* 0 ones, 1 ci, 2 stochastic */
    double tau;
    int64_t N, R, H, m, S;
    uint64_t seed;
    double *V;       /* [H,m] columns of V2 */
    double *mask;    /* [S,BLOCK,R] */
    double *am;      /* [BLOCK,R] */
    double *p;       /* [S,BLOCK,H] */
    double *dw;      /* [2 BLOCK,H]: change, then what passes open gates */
    double *o;       /* [2 BLOCK,m] */
    double *sum[4];  /* [n,m]: effect, effect^2, path, mean */
    int64_t *rows;   /* [m] */
    bool *in;        /* [BLOCK,m] row is in S_j */
} Job;

static double *values(const Tensor *t)
{
    return t->data;
}

/* --- checks ----------------------------------------------------------------------- */

static bool check(const Tensor *t, const char *name, int64_t rows, int64_t cols,
                  Err *err)
{
    char shape[96];
    int ndim = cols < 0 ? 1 : 2;
    if (t->dtype != F64 || !tensor_contiguous(t) || t->ndim != ndim ||
        t->dim[0] != rows || (ndim == 2 && t->dim[1] != cols))
        return ndim == 1
                   ? err_set(err, ERR_SHAPE, "%s is %s, it must be f64[%lld]", name,
                             tensor_format_shape(t, shape), (long long)rows)
                   : err_set(err, ERR_SHAPE, "%s is %s, it must be f64[%lld,%lld]",
                             name, tensor_format_shape(t, shape), (long long)rows,
                             (long long)cols);
    if (!tensor_finite(t))
        return err_set(err, ERR_NUMERIC, "%s has values that are not finite", name);
    return true;
}

static bool check_list(const int32_t *list, int64_t n, int64_t R, const char *what,
                       Err *err)
{
    if (n < 1)
        return err_set(err, ERR_OPTION, "the list of %s components is empty", what);
    for (int64_t i = 0; i < n; i++)
        if (list[i] < 0 || list[i] >= R)
            return err_set(err, ERR_OPTION,
                           "%s component %d does not exist; they are 0 to %lld", what,
                           (int)list[i], (long long)R - 1);
    return true;
}

static bool check_net(const CausalNet *net, Err *err)
{
    char shape[96];
    if (net->a->ndim != 2 || net->a->dim[0] < 1 || net->V2->ndim != 2)
        return err_set(err, ERR_SHAPE,
                       "activations are needed as [rows, components] with at least "
                       "one row, and V2 as [hidden, components], got %s",
                       tensor_format_shape(net->a, shape));
    int64_t N = net->a->dim[0], R = net->a->dim[1], H = net->V2->dim[0],
            R2 = net->V2->dim[1];
    return check(net->a, "a", N, R, err) && check(net->U1, "U1", R, H, err) &&
           check(net->b1, "b1", H, -1, err) && check(net->V2, "V2", H, R2, err) &&
           check(net->ci2, "ci2", N, R2, err) &&
           (!net->ci1 || check(net->ci1, "ci1", N, R, err)) &&
           (!net->extra || check(net->extra, "extra", N, H, err)) &&
           check_list(net->input, net->n, R, "input", err) &&
           check_list(net->output, net->m, R2, "output", err);
}

/* --- one block of rows ------------------------------------------------------------ */

static void draw_masks(Job *j, int64_t first, int64_t n)
{
    const double *g = j->net->ci1 ? values(j->net->ci1) + first * j->R : NULL;
    for (int64_t s = 0; s < j->S; s++) {
        double *m = j->mask + s * BLOCK * j->R;
        RngKey key = {j->seed, rng_stream("causal.background"), (uint64_t)s};
        if (j->kind == 2)
            rng_uniform_f64(key, first * j->R, n * j->R, 0, 1, m);
        for (int64_t k = 0; k < n * j->R; k++)
            m[k] = j->kind == 0 || !g ? 1
                   : j->kind == 1     ? g[k]
                                      : g[k] + (1 - g[k]) * m[k];
    }
}

/* The background's pre-activations of every draw. */
static bool fill_p(Job *j, int64_t first, int64_t n, Err *err)
{
    const double *a = values(j->net->a) + first * j->R, *b = values(j->net->b1);
    const double *x = j->net->extra ? values(j->net->extra) + first * j->H : NULL;
    for (int64_t s = 0; s < j->S; s++) {
        double *p = j->p + s * BLOCK * j->H;
        const double *m = j->mask + s * BLOCK * j->R;
        for (int64_t k = 0; k < n * j->R; k++)
            j->am[k] = a[k] * m[k];
        for (int64_t r = 0; r < n; r++)
            for (int64_t h = 0; h < j->H; h++)
                p[r * j->H + h] = (j->after ? 0 : b[h]) + (x ? x[r * j->H + h] : 0);
        if (!blas_gemm_f64(false, false, n, j->H, j->R, 1, j->am, j->R,
                           values(j->net->U1), j->H, 1, p, j->H, err))
            return false;
    }
    return true;
}

/* Change and open path of component c, rows 0..n-1, draw s. */
static void ablate(Job *j, int64_t first, int64_t n, int64_t c, int64_t s)
{
    const double *u = values(j->net->U1) + c * j->H;
    for (int64_t r = 0; r < n; r++) {
        double a = values(j->net->a)[(first + r) * j->R + c];
        double m = j->mask[(s * BLOCK + r) * j->R + c];
        const double *p = j->p + (s * BLOCK + r) * j->H;
        double *d = j->dw + r * j->H, *w = j->dw + (n + r) * j->H;
        for (int64_t h = 0; h < j->H; h++) {
            double on = p[h] + (1 - m) * a * u[h], off = p[h] - m * a * u[h];
            double open = j->linear || on > 0 ? 1 : 0;
            d[h] = open * on - (j->linear || off > 0 ? off : 0);
            w[h] = open * a * u[h];
        }
    }
}

static void add_sums(Job *j, int64_t first, int64_t n, int64_t i)
{
    for (int64_t r = 0; r < n; r++) {
        double a = values(j->net->a)[(first + r) * j->R + j->net->input[i]];
        for (int64_t k = 0; k < j->m; k++) {
            if (!j->in[r * j->m + k])
                continue;
            int64_t at = i * j->m + k;
            double e = j->o[r * j->m + k];
            j->sum[0][at] += e;
            j->sum[1][at] += e * e;
            j->sum[2][at] += j->o[(n + r) * j->m + k];
            j->sum[3][at] += a;
        }
    }
}

static bool run_block(Job *j, int64_t first, int64_t n, Err *err)
{
    const double *g = values(j->net->ci2);
    int64_t R2 = j->net->V2->dim[1];
    for (int64_t r = 0; r < n; r++)
        for (int64_t k = 0; k < j->m; k++) {
            bool in = g[(first + r) * R2 + j->net->output[k]] > j->tau;
            j->in[r * j->m + k] = in;
            j->rows[k] += in;
        }
    draw_masks(j, first, n);
    if (!fill_p(j, first, n, err))
        return false;
    for (int64_t i = 0; i < j->net->n; i++) {
        for (int64_t s = 0; s < j->S; s++) {
            ablate(j, first, n, j->net->input[i], s);
            if (!blas_gemm_f64(false, false, 2 * n, j->m, j->H, 1.0 / (double)j->S,
                               j->dw, j->H, j->V, j->m, s > 0 ? 1 : 0, j->o, j->m, err))
                return false;
        }
        add_sums(j, first, n, i);
        if (!intr_check(err))
            return false;
    }
    return true;
}

/* --- the whole -------------------------------------------------------------------- */

static bool job_new(Job *j, Err *err)
{
    size_t m = (size_t)j->m, H = (size_t)j->H, R = (size_t)j->R, S = (size_t)j->S;
    size_t nm = (size_t)j->net->n * m, d = sizeof(double);
    j->V = mem_array(H * m, d, err);
    j->mask = j->V ? mem_array(S * BLOCK * R, d, err) : NULL;
    j->am = j->mask ? mem_array(BLOCK * R, d, err) : NULL;
    j->p = j->am ? mem_array(S * BLOCK * H, d, err) : NULL;
    j->dw = j->p ? mem_array(2 * BLOCK * H, d, err) : NULL;
    j->o = j->dw ? mem_array(2 * BLOCK * m, d, err) : NULL;
    j->sum[0] = j->o ? mem_zalloc(4 * nm * d, err) : NULL;
    j->rows = j->sum[0] ? mem_zalloc(m * sizeof *j->rows, err) : NULL;
    j->in = j->rows ? mem_array(BLOCK * m, sizeof *j->in, err) : NULL;
    if (!j->in)
        return false;
    for (int k = 1; k < 4; k++)
        j->sum[k] = j->sum[0] + (size_t)k * nm;
    for (int64_t h = 0; h < j->H; h++)
        for (int64_t k = 0; k < j->m; k++)
            j->V[h * j->m + k] =
                values(j->net->V2)[h * j->net->V2->dim[1] + j->net->output[k]];
    return true;
}

static void job_done(Job *j)
{
    mem_free(j->V);
    mem_free(j->mask);
    mem_free(j->am);
    mem_free(j->p);
    mem_free(j->dw);
    mem_free(j->o);
    mem_free(j->sum[0]);
    mem_free(j->rows);
    mem_free(j->in);
}

static void fill_turn(const Job *j, Tensor *turn)
{
    const double *g = j->net->ci1 ? values(j->net->ci1) : NULL, *a = values(j->net->a);
    for (int64_t i = 0; i < j->net->n; i++) {
        int64_t c = j->net->input[i], n = 0;
        double some = 0, all = 0;
        for (int64_t r = 0; r < j->N; r++) {
            double v = a[r * j->R + c];
            bool in = !g || g[r * j->R + c] > j->tau;
            all += v;
            some += in ? v : 0;
            n += in;
        }
        values(turn)[i] = n > 0 ? some / (double)n : all / (double)j->N;
    }
}

static void finish(const Job *j, const CausalCfg *cfg, CausalEffects *out)
{
    double through = 0, change = 0;
    for (int64_t k = 0; k < j->m; k++)
        values(&out->rows)[k] =
            j->rows[k] < cfg->min_rows ? 0 : (double)j->rows[k];
    for (int64_t at = 0; at < j->net->n * j->m; at++) {
        int64_t i = at / j->m, k = at % j->m;
        double n = values(&out->rows)[k], w = 0;
        for (int64_t h = 0; h < j->H; h++)
            w += values(j->net->U1)[j->net->input[i] * j->H + h] * j->V[h * j->m + k];
        values(&out->weight)[at] = w;
        if (n == 0)
            continue;
        double mean = j->sum[0][at] / n, path = j->sum[2][at] / n;
        double var = fmax(j->sum[1][at] / n - mean * mean, 0);
        values(&out->effect)[at] = mean;
        values(&out->path)[at] = path;
        values(&out->mean)[at] = j->sum[3][at] / n;
        values(&out->se)[at] = n > 1 ? sqrt(var / (n - 1)) : 0;
        through += fabs(path);
        change += fabs(mean - path);
    }
    out->interaction = through + change > 0 ? change / (through + change) : 0;
    fill_turn(j, &out->turn);
}

void causal_done(CausalEffects *e)
{
    tensor_release(&e->effect);
    tensor_release(&e->se);
    tensor_release(&e->path);
    tensor_release(&e->weight);
    tensor_release(&e->mean);
    tensor_release(&e->turn);
    tensor_release(&e->rows);
}

bool causal_effects(const CausalNet *net, const CausalCfg *cfg, CausalEffects *out,
                    Err *err)
{
    memset(out, 0, sizeof *out);
    if (!check_net(net, err))
        return false;
    int64_t n = net->n, m = net->m;
    Job j = {.net = net, .N = net->a->dim[0], .R = net->a->dim[1],
             .H = net->V2->dim[0], .m = m, .seed = (uint64_t)cfg->seed,
             .tau = cfg->tau};
    j.after = strcmp(cfg->bias, "after") == 0;
    j.linear = strcmp(cfg->gate, "identity") == 0;
    j.kind = strcmp(cfg->background, "stochastic") == 0 ? 2
             : strcmp(cfg->background, "ci") == 0       ? 1
                                                        : 0;
    j.S = j.kind == 2 ? cfg->samples : 1;
    if (j.kind && !net->ci1)
        return err_set(err, ERR_OPTION, "background '%s' needs the causal importances "
                       "of the first layer, ci1", cfg->background);
    bool ok = tensor_zeros(F64, 2, DIMS(n, m), &out->effect, err) &&
              tensor_zeros(F64, 2, DIMS(n, m), &out->se, err) &&
              tensor_zeros(F64, 2, DIMS(n, m), &out->path, err) &&
              tensor_zeros(F64, 2, DIMS(n, m), &out->weight, err) &&
              tensor_zeros(F64, 2, DIMS(n, m), &out->mean, err) &&
              tensor_zeros(F64, 1, DIMS(n), &out->turn, err) &&
              tensor_zeros(F64, 1, DIMS(m), &out->rows, err) && job_new(&j, err);
    for (int64_t r = 0; ok && r < j.N; r += BLOCK)
        ok = run_block(&j, r, j.N - r < BLOCK ? j.N - r : BLOCK, err);
    if (ok)
        finish(&j, cfg, out);
    else
        causal_done(out);
    job_done(&j);
    return ok;
}
