/* moment.c -- E[x x^T] by exact integer sums. Pixels are whole numbers 0..255, so a
 * block of 256 images sums to at most 256 * 255^2 < 2^24 in every entry: the f32
 * product of a block is exact whatever the order of its additions. Blocks are added in
 * f64 (exact below 2^53, that is 1.3e11 images), and one division at the end makes the
 * mean. Cost: 2 N D^2 flops, in f32. */
#include "base/intr.h"
#include "base/mem.h"
#include "data/dataset.h"
#include "tensor/blas.h"
#include "tensor/pool.h"

enum { BLOCK = 256, GRAIN = 65536 };
_Static_assert(BLOCK * 255 * 255 < 1 << 24, "a block's sums must be exact in f32");

typedef struct Moment {
    const uint8_t *src; /* first pixel of the block */
    float *x, *part;    /* the block as f32 [BLOCK,D]; its product [D,D] */
    double *sum;        /* [D,D] */
    int64_t n_x, n_sum; /* elements in use */
} Moment;

static int64_t part_end(int chunk, int64_t n)
{
    int64_t end = ((int64_t)chunk + 1) * GRAIN;
    return end < n ? end : n;
}

static void widen(int chunk, void *ctx)
{
    const Moment *m = ctx;
    for (int64_t i = (int64_t)chunk * GRAIN; i < part_end(chunk, m->n_x); i++)
        m->x[i] = (float)m->src[i];
}

static void add_part(int chunk, void *ctx)
{
    const Moment *m = ctx;
    for (int64_t i = (int64_t)chunk * GRAIN; i < part_end(chunk, m->n_sum); i++)
        m->sum[i] += (double)m->part[i];
}

static void add_blocks(int64_t n, int64_t d, Moment *m, bool *ok, Err *err)
{
    for (int64_t i = 0; *ok && i < n; i += BLOCK) {
        int64_t rows = n - i < BLOCK ? n - i : BLOCK;
        m->n_x = rows * d;
        pool_run(pool_chunks(m->n_x, GRAIN), widen, m);
        *ok = intr_check(err) && blas_gemm_f32(true, false, d, d, rows, 1, m->x, d,
                                               m->x, d, 0, m->part, d, err);
        if (*ok)
            pool_run(pool_chunks(m->n_sum, GRAIN), add_part, m);
        m->src += m->n_x;
    }
}

bool dataset_second_moment(const Dataset *data, Tensor *sigma, Err *err)
{
    int64_t d = (int64_t)data->height * data->width;
    *sigma = (Tensor){0};
    if (data->n == 0)
        return err_set(err, ERR_SHAPE, "%s: an empty data set has no second moment",
                       data->name);
    Tensor x = {0}, part = {0};
    bool ok = tensor_new(F32, 2, (int64_t[]){BLOCK, d}, &x, err) &&
              tensor_new(F32, 2, (int64_t[]){d, d}, &part, err) &&
              tensor_zeros(F64, 2, (int64_t[]){d, d}, sigma, err);
    if (ok) {
        Moment m = {.src = data->images.data,
                    .x = x.data,
                    .part = part.data,
                    .sum = sigma->data,
                    .n_sum = d * d};
        add_blocks(data->n, d, &m, &ok, err);
        double scale = 255.0 * 255.0 * (double)data->n;
        for (int64_t i = 0; i < d * d; i++)
            m.sum[i] /= scale;
    }
    tensor_release(&x);
    tensor_release(&part);
    if (!ok)
        tensor_release(sigma);
    return ok;
}
