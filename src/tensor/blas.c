/* blas.c -- products through OpenBLAS at one thread, cut by shape alone.
 *
 * C = alpha op(A) op(B) + beta C is laid out as a list of tiles of C that depends on
 * (M, N, K) and the dtype only:
 *   small    one tile, on the calling thread;
 *   medium   two tiles, cut along the longer of M and N at a multiple of 16, as one
 *            pair on the pool;
 *   large    a grid of tiles of about TILE_FLOPS each, taken two at a time, the
 *            interrupt flag read between pairs; a K too long for a tile is cut too.
 * Every tile is one OpenBLAS call that writes its own part of C, so which thread takes
 * it cannot change a bit; OpenBLAS's own threading changes low bits with the thread
 * count.
 *
 * A scale-only product (K = 0 or alpha = 0) never reaches the library, and C is never
 * read when beta = 0: it may be uninitialised. */
#include "tensor/blas.h"

#include <cblas.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/intr.h"
#include "tensor/pool.h"

#define SPLIT_FLOPS 1e6    /* pays from here on: 8x784x128 is 1.6e6 */
#define TILE_FLOPS  2.2e9  /* f32; 40 ms on an old core, 10 ms on a new one */
#define SPLIT_GEMV  131072 /* elements of A; half a megabyte of f32 */
enum { CUT = 16, MIN_TILE = 64, DOT_BLOCK = 65536 };

typedef struct Gemm {
    bool is_f64, trans_a, trans_b;
    int64_t M, N, K;
    int64_t lda, ldb, ldc;
    double alpha, beta;
    const char *A, *B;
    char *C;
    int64_t m_tile, n_tile, k_tile; /* how C (and K) is cut */
    int64_t first;                  /* tile that chunk 0 of the running pair takes */
} Gemm;

typedef struct Gemv {
    bool is_f64, trans;
    int64_t M, N, lda;
    double alpha, beta;
    const char *A, *x;
    char *y;
    int64_t cut; /* outputs 0..cut-1 are chunk 0 */
} Gemv;

static pthread_once_t once = PTHREAD_ONCE_INIT;
static char notice_text[256];

static int64_t min64(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t round_up(int64_t n, int64_t to)
{
    return (n + to - 1) / to * to;
}

static int64_t ceil_div(int64_t a, int64_t b)
{
    return (a + b - 1) / b;
}

/* ---- start-up and facts ---------------------------------------------------------- */

static bool cpu_has_avx512(void)
{
#if defined(__x86_64__) || defined(__i386__)
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl");
#else
    return false;
#endif
}

static bool core_is_avx512(const char *core)
{
    static const char *const good[] = {"SkylakeX", "Cooperlake", "Sapphire"};
    for (size_t i = 0; i < ARRAY_LEN(good); i++)
        if (strncasecmp(core, good[i], strlen(good[i])) == 0)
            return true;
    return false;
}

static void init_once(void)
{
    openblas_set_num_threads(1);
    const char *core = openblas_get_corename();
    if (!cpu_has_avx512() || core_is_avx512(core))
        return;
    const char *forced = getenv("OPENBLAS_CORETYPE");
    snprintf(
        notice_text, sizeof notice_text,
        forced ? "this CPU has AVX-512 but OpenBLAS runs its %s kernels, at about half "
                 "speed: unset OPENBLAS_CORETYPE (it is \"%.40s\")"
               : "this CPU has AVX-512 but OpenBLAS chose its %s kernels, at about "
                 "half speed: set OPENBLAS_CORETYPE=SkylakeX",
        core, forced ? forced : "");
}

void blas_init(void)
{
    pthread_once(&once, init_once);
}

const char *blas_core(void)
{
    return openblas_get_corename();
}

const char *blas_version(void)
{
    return openblas_get_config();
}

const char *blas_notice(void)
{
    blas_init();
    return notice_text[0] ? notice_text : NULL;
}

/* ---- matrix times matrix --------------------------------------------------------- */

static const char *at(const char *base, bool is_f64, int64_t element)
{
    return base + element * (is_f64 ? 8 : 4);
}

/* One tile: rows m0.., columns n0.. of C, over k0..k0+k of the sum. */
static void gemm_tile(const Gemm *g, int64_t m0, int64_t n0, int64_t k0, int64_t k,
                      double beta)
{
    int m = (int)min64(g->m_tile, g->M - m0), n = (int)min64(g->n_tile, g->N - n0);
    const void *a =
        at(g->A, g->is_f64, g->trans_a ? k0 * g->lda + m0 : m0 * g->lda + k0);
    const void *b =
        at(g->B, g->is_f64, g->trans_b ? n0 * g->ldb + k0 : k0 * g->ldb + n0);
    void *c = g->C + (m0 * g->ldc + n0) * (g->is_f64 ? 8 : 4);
    enum CBLAS_TRANSPOSE ta = g->trans_a ? CblasTrans : CblasNoTrans;
    enum CBLAS_TRANSPOSE tb = g->trans_b ? CblasTrans : CblasNoTrans;
    int lda = (int)g->lda, ldb = (int)g->ldb, ldc = (int)g->ldc;
    if (g->is_f64)
        cblas_dgemm(CblasRowMajor, ta, tb, m, n, (int)k, g->alpha, a, lda, b, ldb, beta,
                    c, ldc);
    else
        cblas_sgemm(CblasRowMajor, ta, tb, m, n, (int)k, (float)g->alpha, a, lda, b,
                    ldb, (float)beta, c, ldc);
}

static void gemm_chunk(int chunk, void *ctx)
{
    const Gemm *g = ctx;
    int64_t across = ceil_div(g->N, g->n_tile), t = g->first + chunk;
    int64_t m0 = t / across * g->m_tile, n0 = t % across * g->n_tile;
    for (int64_t k0 = 0; k0 < g->K; k0 += g->k_tile) {
        gemm_tile(g, m0, n0, k0, min64(g->k_tile, g->K - k0), k0 ? 1.0 : g->beta);
        if (g->k_tile < g->K && intr_pending())
            return; /* the caller sees the flag too and reports it */
    }
}

/* The cuts, from the shape and the dtype alone. */
static void gemm_plan(Gemm *g)
{
    double flops = 2.0 * (double)g->M * (double)g->N * (double)g->K;
    double tile = g->is_f64 ? TILE_FLOPS / 2 : TILE_FLOPS;
    g->m_tile = g->M;
    g->n_tile = g->N;
    g->k_tile = g->K;
    int64_t *longer = g->M >= g->N ? &g->m_tile : &g->n_tile;
    if (flops < SPLIT_FLOPS || *longer < 2 * CUT)
        return;
    *longer = round_up(ceil_div(*longer, 2), CUT);
    while (2.0 * (double)g->m_tile * (double)g->n_tile * (double)g->K > tile) {
        longer = g->m_tile >= g->n_tile ? &g->m_tile : &g->n_tile;
        if (*longer <= MIN_TILE) {
            double per_k = 2.0 * (double)g->m_tile * (double)g->n_tile;
            g->k_tile = min64(g->K, (int64_t)(tile / per_k) / CUT * CUT);
            return;
        }
        *longer = round_up(ceil_div(*longer, 2), CUT);
    }
}

/* C *= beta, for a sum without terms; -0.0 and NaN only survive when beta is not 0. */
static void gemm_scale(const Gemm *g)
{
    for (int64_t i = 0; i < g->M; i++) {
        char *row = g->C + i * g->ldc * (g->is_f64 ? 8 : 4);
        if (g->beta == 0) {
            memset(row, 0, (size_t)g->N * (g->is_f64 ? 8 : 4));
        } else if (g->is_f64) {
            for (int64_t j = 0; j < g->N; j++)
                ((double *)(void *)row)[j] *= g->beta;
        } else {
            for (int64_t j = 0; j < g->N; j++)
                ((float *)(void *)row)[j] *= (float)g->beta;
        }
    }
}

/* The library prints and does nothing on a bad argument, so nothing bad may reach
 * it. */
static bool gemm_check(const Gemm *g, Err *err)
{
    int64_t a_cols = g->trans_a ? g->M : g->K, b_cols = g->trans_b ? g->K : g->N;
    if (g->M < 0 || g->N < 0 || g->K < 0 || g->M > INT_MAX || g->N > INT_MAX ||
        g->K > INT_MAX)
        return err_set(err, ERR_SHAPE,
                       "matrix product: sizes must be 0 to 2147483647, got "
                       "[%lld,%lld] x [%lld,%lld]",
                       (long long)g->M, (long long)g->K, (long long)g->K,
                       (long long)g->N);
    if (g->lda < a_cols || g->ldb < b_cols || g->ldc < g->N || g->lda > INT_MAX ||
        g->ldb > INT_MAX || g->ldc > INT_MAX)
        return err_set(
            err, ERR_SHAPE,
            "matrix product: row strides %lld, %lld, %lld must be at least the "
            "row lengths %lld, %lld, %lld and below 2^31",
            (long long)g->lda, (long long)g->ldb, (long long)g->ldc, (long long)a_cols,
            (long long)b_cols, (long long)g->N);
    return true;
}

static bool gemm_run(Gemm *g, Err *err)
{
    blas_init();
    if (!gemm_check(g, err))
        return false;
    if (g->M == 0 || g->N == 0)
        return true;
    if (g->K == 0 || g->alpha == 0) {
        gemm_scale(g);
        return true;
    }
    gemm_plan(g);
    int64_t tiles = ceil_div(g->M, g->m_tile) * ceil_div(g->N, g->n_tile);
    bool is_long = tiles > 2 || g->k_tile < g->K;
    for (g->first = 0; g->first < tiles; g->first += 2) {
        if (is_long && !intr_check(err))
            return false;
        int n = (int)min64(2, tiles - g->first);
        if (n == 1)
            gemm_chunk(0, g);
        else
            pool_run(n, gemm_chunk, g);
    }
    return is_long ? intr_check(err) : true;
}

bool blas_gemm_f32(bool trans_a, bool trans_b, int64_t M, int64_t N, int64_t K,
                   float alpha, const float *A, int64_t lda, const float *B,
                   int64_t ldb, float beta, float *C, int64_t ldc, Err *err)
{
    Gemm g = {.trans_a = trans_a,
              .trans_b = trans_b,
              .M = M,
              .N = N,
              .K = K,
              .lda = lda,
              .ldb = ldb,
              .ldc = ldc,
              .alpha = (double)alpha,
              .beta = (double)beta,
              .A = (const char *)A,
              .B = (const char *)B,
              .C = (char *)C};
    return gemm_run(&g, err);
}

bool blas_gemm_f64(bool trans_a, bool trans_b, int64_t M, int64_t N, int64_t K,
                   double alpha, const double *A, int64_t lda, const double *B,
                   int64_t ldb, double beta, double *C, int64_t ldc, Err *err)
{
    Gemm g = {.is_f64 = true,
              .trans_a = trans_a,
              .trans_b = trans_b,
              .M = M,
              .N = N,
              .K = K,
              .lda = lda,
              .ldb = ldb,
              .ldc = ldc,
              .alpha = alpha,
              .beta = beta,
              .A = (const char *)A,
              .B = (const char *)B,
              .C = (char *)C};
    return gemm_run(&g, err);
}

/* ---- matrix times vector, dot ---------------------------------------------------- */

/* Outputs first..first+count-1: rows of A, or columns when transposed. */
static void gemv_part(const Gemv *g, int64_t first, int64_t count)
{
    int m = (int)(g->trans ? g->M : count), n = (int)(g->trans ? count : g->N);
    enum CBLAS_TRANSPOSE t = g->trans ? CblasTrans : CblasNoTrans;
    const void *a = at(g->A, g->is_f64, g->trans ? first : first * g->lda);
    void *y = g->y + first * (g->is_f64 ? 8 : 4);
    double beta = g->beta;
    if (beta == 0) { /* never 0 * NaN, whatever kernel the library has */
        memset(y, 0, (size_t)count * (g->is_f64 ? 8 : 4));
        beta = 1;
    }
    if (g->is_f64)
        cblas_dgemv(CblasRowMajor, t, m, n, g->alpha, a, (int)g->lda,
                    (const void *)g->x, 1, beta, y, 1);
    else
        cblas_sgemv(CblasRowMajor, t, m, n, (float)g->alpha, a, (int)g->lda,
                    (const void *)g->x, 1, (float)beta, y, 1);
}

static void gemv_chunk(int chunk, void *ctx)
{
    const Gemv *g = ctx;
    int64_t outputs = g->trans ? g->N : g->M;
    gemv_part(g, chunk ? g->cut : 0, chunk ? outputs - g->cut : g->cut);
}

static void gemv_run(Gemv *g)
{
    blas_init();
    int64_t outputs = g->trans ? g->N : g->M, terms = g->trans ? g->M : g->N;
    if (outputs <= 0)
        return;
    if (terms <= 0 || g->alpha == 0) { /* a row of 1 x outputs is scaled */
        Gemm s = {.is_f64 = g->is_f64,
                  .M = 1,
                  .N = outputs,
                  .ldc = outputs,
                  .beta = g->beta,
                  .C = g->y};
        gemm_scale(&s);
        return;
    }
    g->cut = round_up(ceil_div(outputs, 2), CUT);
    if ((double)outputs * (double)terms >= SPLIT_GEMV && g->cut < outputs)
        pool_run(2, gemv_chunk, g);
    else
        gemv_part(g, 0, outputs);
}

void blas_gemv_f32(bool trans, int64_t M, int64_t N, float alpha, const float *A,
                   int64_t lda, const float *x, float beta, float *y)
{
    Gemv g = {.trans = trans,
              .M = M,
              .N = N,
              .lda = lda,
              .alpha = (double)alpha,
              .beta = (double)beta,
              .A = (const char *)A,
              .x = (const char *)x,
              .y = (char *)y};
    gemv_run(&g);
}

void blas_gemv_f64(bool trans, int64_t M, int64_t N, double alpha, const double *A,
                   int64_t lda, const double *x, double beta, double *y)
{
    Gemv g = {.is_f64 = true,
              .trans = trans,
              .M = M,
              .N = N,
              .lda = lda,
              .alpha = alpha,
              .beta = beta,
              .A = (const char *)A,
              .x = (const char *)x,
              .y = (char *)y};
    gemv_run(&g);
}

double blas_dot_f32(int64_t n, const float *x, const float *y)
{
    blas_init();
    double sum = 0;
    for (int64_t i = 0; i < n; i += DOT_BLOCK)
        sum += (double)cblas_sdot((int)min64(DOT_BLOCK, n - i), x + i, 1, y + i, 1);
    return sum;
}

double blas_dot_f64(int64_t n, const double *x, const double *y)
{
    blas_init();
    double sum = 0;
    for (int64_t i = 0; i < n; i += DOT_BLOCK)
        sum += cblas_ddot((int)min64(DOT_BLOCK, n - i), x + i, 1, y + i, 1);
    return sum;
}
