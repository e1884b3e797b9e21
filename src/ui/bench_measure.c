/* bench_measure.c -- windows, and what the machine can do. A window is as many steps as
 * fit its length, judged from the steps before; a step longer than a window is a window
 * of its own. */
#include <stdlib.h>

#include "base/clock.h"
#include "base/intr.h"
#include "tensor/blas.h"
#include "tensor/pool.h"
#include "ui/bench.h"

enum { WINDOWS = 7 };

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

bool bench_time(const Bench *b, BenchStep *step, void *ctx, double *median,
                double *best, Err *err)
{
    double window[WINDOWS], t0 = clock_now(), spent;
    int64_t warm = 0;
    do {
        if (!step(ctx, err))
            return false;
        spent = clock_now() - t0;
    } while (++warm < 3 ? spent < 4 * b->window : spent < b->window);
    int64_t n = (int64_t)(b->window / (spent / (double)warm));
    n = n > 0 ? n : 1;
    for (int w = 0; w < WINDOWS; w++) {
        t0 = clock_now();
        for (int64_t i = 0; i < n; i++)
            if (!step(ctx, err))
                return false;
        window[w] = (clock_now() - t0) / (double)n;
        if (!intr_check(err))
            return false;
    }
    qsort(window, WINDOWS, sizeof *window, compare);
    *median = window[WINDOWS / 2];
    *best = window[0];
    return true;
}

bool bench_product_rate(double *flops, Err *err)
{
    enum { N = 1024 };
    Tensor a = {0}, b = {0}, c = {0};
    int64_t dim[2] = {N, N};
    bool ok = tensor_full(F32, 2, dim, 0.5, &a, err) &&
              tensor_full(F32, 2, dim, 0.25, &b, err) &&
              tensor_new(F32, 2, dim, &c, err);
    *flops = 0;
    for (double t, t0 = clock_now(); ok && (t = clock_now()) - t0 < 0.2;) {
        ok = blas_gemm_f32(false, false, N, N, N, 1, a.data, N, b.data, N, 0, c.data, N,
                           err);
        double rate = 2.0 * N * N * N / (clock_now() - t);
        *flops = rate > *flops ? rate : *flops;
    }
    tensor_release(&a);
    tensor_release(&b);
    tensor_release(&c);
    return ok;
}

typedef struct Pass {
    float *p;
    int64_t n;
    int chunks;
} Pass;

/* The widest vectors of the machine: a floor has to be one. */
#if defined(__x86_64__)
#define WIDE __attribute__((target_clones("default", "avx2", "avx512f")))
#else
#define WIDE
#endif
typedef float Lane __attribute__((vector_size(64), may_alias));

WIDE static void pass_over(Lane *p, int64_t n)
{
    for (int64_t i = 0; i < n; i += 4) {
        p[i] += 1;
        p[i + 1] += 1;
        p[i + 2] += 1;
        p[i + 3] += 1;
    }
}

static void pass_chunk(int chunk, void *ctx)
{
    const Pass *j = ctx;
    int64_t n = j->n / j->chunks;
    pass_over((Lane *)(void *)(j->p + n * chunk), n / 16);
}

bool bench_bandwidth(size_t bytes, double *rate, Err *err)
{
    Tensor t;
    int chunks = pool_threads();
    int64_t unit = 64 * (int64_t)chunks, n = (int64_t)(bytes / 4) / unit * unit;
    n = n > unit ? n : unit;
    if (!tensor_zeros(F32, 1, &n, &t, err))
        return false;
    Pass j = {t.data, n, chunks};
    *rate = 0;
    for (int i = 0, repeat = (int)(1e8 / (double)n / 4) + 4; i < repeat; i++) {
        double t0 = clock_now();
        pool_run(j.chunks, pass_chunk, &j);
        double now = 2 * (double)n * 4 / (clock_now() - t0);
        *rate = now > *rate ? now : *rate;
    }
    tensor_release(&t);
    return true;
}

const Dataset *bench_mnist(Bench *b, Err *err)
{
    Dataset test = {0};
    if (!b->train.n && !dataset_mnist(&b->train, &test, err))
        return NULL;
    dataset_done(&test);
    return &b->train;
}
