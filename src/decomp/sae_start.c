/* sae_start.c -- where the encoder of a transcoder starts. Its inputs and targets are
 * different spaces, so it cannot start as the decoder; it starts as the decoder seen
 * through the ridge regression A of targets on inputs: a latent then reads what
 * predicts the direction that it writes. Its bias makes pre-activations 0 at the mean
 * input; inputs that are not centred (pixels) would leave half of the latents silent
 * from the first step on. */
#include <math.h>
#include <string.h>

#include "base/intr.h"
#include "base/mem.h"
#include "decomp/sae_int.h"
#include "tensor/blas.h"
#include "tensor/lapack.h"

enum { ROWS = 8192 };
static const double ridge = 0.01; /* of the mean variance of an input */

typedef struct Map {
    Tensor x, y;      /* f32 [n,D] [n,O], normalised and centred */
    Tensor xx, xy, a; /* f64 [D,D] [D,O] [D,O] */
    double *mean;
} Map;

static void centre(Tensor *t, double *mean)
{
    int64_t n = t->dim[0], width = t->dim[1];
    float *v = t->data;
    memset(mean, 0, sizeof *mean * (size_t)width);
    for (int64_t i = 0; i < n * width; i++)
        mean[i % width] += (double)v[i] / (double)n;
    for (int64_t i = 0; i < n * width; i++)
        v[i] = (float)((double)v[i] - mean[i % width]);
}

typedef struct Rows {
    const Sae *s;
    Map *m;
    double *row; /* [max(D,O)] */
    int64_t n, next;
} Rows;

static bool take_rows(void *ctx, int64_t first, int64_t n, const float *x,
                      const float *y, Err *err)
{
    Rows *r = ctx;
    const Sae *s = r->s;
    for (; r->next < r->n; r->next++) {
        int64_t at = r->next * s->N / r->n - first;
        if (at >= n)
            break;
        sae_norm_in_row(s, x + at * s->D, (float *)r->m->x.data + r->next * s->D);
        sae_norm_row(s, x + at * s->D, y + at * s->O, r->row);
        for (int64_t o = 0; o < s->O; o++)
            ((float *)r->m->y.data)[r->next * s->O + o] = (float)r->row[o];
    }
    return intr_check(err);
}

/* Rows spread over all of the data. */
static bool fill(Sae *s, Map *m, Err *err)
{
    int64_t n = s->N < ROWS ? s->N : ROWS, wide = s->D > s->O ? s->D : s->O;
    Rows r = {.s = s, .m = m, .n = n};
    bool ok = tensor_new(F32, 2, (int64_t[]){n, s->D}, &m->x, err) &&
              tensor_new(F32, 2, (int64_t[]){n, s->O}, &m->y, err) &&
              (r.row = mem_alloc(sizeof *r.row * (size_t)wide, err)) &&
              (m->mean = mem_alloc(sizeof *r.row * (size_t)(2 * wide), err)) &&
              sae_rows(s, take_rows, &r, err);
    if (ok) {
        centre(&m->x, m->mean);
        centre(&m->y, m->mean + wide);
    }
    mem_free(r.row);
    return ok;
}

static bool product(const Tensor *a, const Tensor *b, Tensor *out, Err *err)
{
    Tensor f = {0};
    int64_t n = a->dim[0], p = a->dim[1], q = b->dim[1];
    bool ok = tensor_new(F32, 2, (int64_t[]){p, q}, &f, err) &&
              blas_gemm_f32(true, false, p, q, n, 1, a->data, p, b->data, q, 0, f.data,
                            q, err) &&
              tensor_convert(&f, F64, out, err);
    tensor_release(&f);
    return ok;
}

static bool regress(Sae *s, Map *m, Err *err)
{
    if (!product(&m->x, &m->x, &m->xx, err) || !product(&m->x, &m->y, &m->xy, err))
        return false;
    double *c = m->xx.data, trace = 0;
    for (int64_t d = 0; d < s->D; d++)
        trace += c[d * s->D + d];
    for (int64_t d = 0; d < s->D; d++)
        c[d * s->D + d] += fmax(ridge * trace / (double)s->D, 1e-12);
    return lapack_solve(&m->xx, &m->xy, &m->a, err);
}

/* E = D A^T, e = -E mean. */
static void set_encoder(Sae *s, const Map *m)
{
    float *enc = tset_get(s->params, "encoder")->data;
    float *bias = tset_get(s->params, "encoder_bias")->data;
    const float *dec = tset_get(s->params, "decoder")->data;
    const double *a = m->a.data;
    for (int64_t l = 0; l < s->M; l++) {
        double at_mean = 0;
        for (int64_t d = 0; d < s->D; d++) {
            double sum = 0;
            for (int64_t o = 0; o < s->O; o++)
                sum += a[d * s->O + o] * (double)dec[l * s->O + o];
            if (s->mask_in.data)
                sum *= (double)((const float *)s->mask_in.data)[l * s->D + d];
            enc[l * s->D + d] = (float)sum;
            at_mean += sum * m->mean[d];
        }
        bias[l] = (float)-at_mean;
    }
}

bool sae_start_map(Sae *s, Err *err)
{
    Map m = {0};
    bool ok = fill(s, &m, err) && regress(s, &m, err);
    if (ok)
        set_encoder(s, &m);
    Tensor *const own[] = {&m.x, &m.y, &m.xx, &m.xy, &m.a};
    for (size_t i = 0; i < ARRAY_LEN(own); i++)
        tensor_release(own[i]);
    mem_free(m.mean);
    return ok;
}
