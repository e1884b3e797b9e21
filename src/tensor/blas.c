/* blas.c -- products through OpenBLAS at one thread, cut by shape alone.
 *
 * C = alpha op(A) op(B) + beta C is laid out as a list of tiles of C that depends on
 * (M, N, K), the dtype and the kernels in use only:
 *   small    one tile, on the calling thread;
 *   skinny   (an output side of at most 32, or K of at most 16) tiles small enough for
 *            the library's path without packing, where its kernels have one; each of
 *            two chunks takes half of them;
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

#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/intr.h"
#include "tensor/openblas.h"
#include "tensor/pool.h"

#define SPLIT_FLOPS 1e6    /* pays from here on: 8x784x128 is 1.6e6 */
#define TILE_FLOPS  2.2e9  /* f32; 40 ms on an old core, 10 ms on a new one */
#define SMALL_MNK   1e6    /* the library packs nothing up to here (AVX-512 kernels) */
#define SMALL_NT    1024.0 /* and only so many outputs when just B is transposed */
#define SPLIT_GEMV  131072 /* elements of A; half a megabyte of f32 */
#define PAGED_IN   1.3e8   /* bytes of fresh memory that a tile may touch: 50 ms */
enum { CUT = 16, MIN_TILE = 64, SKINNY = 32, SKINNY_K = 16, DOT_BLOCK = 65536 };

typedef struct Gemm {
    bool is_f64, trans_a, trans_b;
    int64_t M, N, K;
    int64_t lda, ldb, ldc;
    double alpha, beta;
    const char *A, *B;
    char *C;
    int64_t m_tile, n_tile, k_tile; /* how C (and K) is cut */
    int64_t tiles, per_chunk;       /* of C; consecutive ones that a chunk takes */
    int64_t first;                  /* tile that chunk 0 of the running round takes */
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
static bool has_small_path; /* the kernels in use have one without packing */

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
    const char *core = blas_core();
    has_small_path = core_is_avx512(core);
    if (!cpu_has_avx512() || has_small_path)
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

bool blas_ready(Err *err)
{
    return openblas_ready(err);
}

const char *blas_core(void)
{
    return openblas_ready(NULL) ? openblas()->openblas_get_corename() : "none";
}

const char *blas_version(void)
{
    return openblas_ready(NULL) ? openblas()->openblas_get_config() : "none";
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
        openblas()->cblas_dgemm(CblasRowMajor, ta, tb, m, n, (int)k, g->alpha, a, lda,
                                b, ldb, beta, c, ldc);
    else
        openblas()->cblas_sgemm(CblasRowMajor, ta, tb, m, n, (int)k, (float)g->alpha, a,
                                lda, b, ldb, (float)beta, c, ldc);
}

static void gemm_chunk(int chunk, void *ctx)
{
    const Gemm *g = ctx;
    int64_t across = ceil_div(g->N, g->n_tile);
    int64_t t = g->first + chunk * g->per_chunk,
            end = min64(t + g->per_chunk, g->tiles);
    for (; t < end; t++) {
        int64_t m0 = t / across * g->m_tile, n0 = t % across * g->n_tile;
        for (int64_t k0 = 0; k0 < g->K; k0 += g->k_tile) {
            gemm_tile(g, m0, n0, k0, min64(g->k_tile, g->K - k0), k0 ? 1.0 : g->beta);
            if (g->k_tile < g->K && intr_pending())
                return; /* the caller sees the flag too and reports it */
        }
    }
}

/* Skinny products in tiles that the library multiplies without packing; false when they
 * do not fit or nothing is gained. Measured on one core: 8x1024x784 221 -> 71 us,
 * 512x10x256 38 -> 15, 1024x784x8 100 -> 60; from 32 on packing pays. */
static bool plan_skinny(Gemm *g, double flops)
{
    int64_t shorter = min64(g->M, g->N);
    if (!has_small_path || g->is_f64 || flops <= 2 * SMALL_MNK ||
        4.0 * (double)g->M * (double)g->N > PAGED_IN ||
        (shorter > SKINNY && g->K > SKINNY_K))
        return false;
    int64_t *longer = g->M > g->N ? &g->m_tile : &g->n_tile;
    double most = SMALL_MNK / ((double)shorter * (double)g->K);
    if (!g->trans_a && g->trans_b && most > SMALL_NT / (double)shorter)
        most = SMALL_NT / (double)shorter;
    if (most < CUT || *longer < 2 * CUT)
        return false;
    int64_t fit = min64((int64_t)most, *longer) / CUT * CUT;
    int64_t even = round_up(ceil_div(*longer, fit), 2);
    *longer = min64(fit, round_up(ceil_div(*longer, even), CUT));
    return true;
}

/* Halves, and quarters of those until no tile takes too long. */
static void plan_tiles(Gemm *g)
{
    double most = g->is_f64 ? TILE_FLOPS / 2 : TILE_FLOPS;
    int64_t *longer = g->M > g->N ? &g->m_tile : &g->n_tile;
    *longer = round_up(ceil_div(*longer, 2), CUT);
    while (2.0 * (double)g->m_tile * (double)g->n_tile * (double)g->K > most) {
        longer = g->m_tile > g->n_tile ? &g->m_tile : &g->n_tile;
        if (*longer <= MIN_TILE) {
            double per_k = 2.0 * (double)g->m_tile * (double)g->n_tile;
            g->k_tile = min64(g->K, (int64_t)(most / per_k) / CUT * CUT);
            return;
        }
        *longer = round_up(ceil_div(*longer, 2), CUT);
    }
}

/* A slice of columns touches every page of C, so a large C is cut into rows as well. */
static void limit_rows(Gemm *g)
{
    double row = (double)g->N * (g->is_f64 ? 8 : 4);
    while ((double)g->m_tile * row > PAGED_IN && g->m_tile > MIN_TILE)
        g->m_tile = round_up(ceil_div(g->m_tile, 2), CUT);
}

/* The cuts, from the shape, the dtype and the library's kernels alone. */
static void gemm_plan(Gemm *g)
{
    double flops = 2.0 * (double)g->M * (double)g->N * (double)g->K;
    int64_t longer = g->M > g->N ? g->M : g->N;
    g->m_tile = g->M;
    g->n_tile = g->N;
    g->k_tile = g->K;
    g->per_chunk = 1;
    bool skinny = plan_skinny(g, flops);
    if (!skinny && flops >= SPLIT_FLOPS && (longer >= 2 * CUT || flops > TILE_FLOPS))
        plan_tiles(g);
    limit_rows(g);
    g->tiles = ceil_div(g->M, g->m_tile) * ceil_div(g->N, g->n_tile);
    if (skinny) /* a round is at most as long as one of two large tiles */
        g->per_chunk =
            min64(ceil_div(g->tiles, 2), (int64_t)(TILE_FLOPS / 2 / SMALL_MNK));
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
    if (!blas_ready(err) || !gemm_check(g, err))
        return false;
    if (g->M == 0 || g->N == 0)
        return true;
    if (g->K == 0 || g->alpha == 0) {
        gemm_scale(g);
        return true;
    }
    gemm_plan(g);
    bool is_long = g->tiles > 2 * g->per_chunk || g->k_tile < g->K;
    for (g->first = 0; g->first < g->tiles; g->first += 2 * g->per_chunk) {
        if (is_long && !intr_check(err))
            return false;
        if (g->tiles - g->first <= g->per_chunk)
            gemm_chunk(0, g);
        else
            pool_run(2, gemm_chunk, g);
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
        openblas()->cblas_dgemv(CblasRowMajor, t, m, n, g->alpha, a, (int)g->lda,
                                (const void *)g->x, 1, beta, y, 1);
    else
        openblas()->cblas_sgemv(CblasRowMajor, t, m, n, (float)g->alpha, a, (int)g->lda,
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
        sum += (double)openblas()->cblas_sdot((int)min64(DOT_BLOCK, n - i), x + i, 1,
                                              y + i, 1);
    return sum;
}

double blas_dot_f64(int64_t n, const double *x, const double *y)
{
    blas_init();
    double sum = 0;
    for (int64_t i = 0; i < n; i += DOT_BLOCK)
        sum += openblas()->cblas_ddot((int)min64(DOT_BLOCK, n - i), x + i, 1, y + i, 1);
    return sum;
}
