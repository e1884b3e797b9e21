/* bench_kern.c -- single ops, each replayed from a plan, against the loop that a C
 * programmer would write first (compiled like the rest of the program, one thread). The
 * plain loops check the ops as well: their results must agree. */
#include <math.h>
#include <string.h>

#include "graph/build.h"
#include "graph/plan.h"
#include "tensor/blas.h"
#include "tensor/rng.h"
#include "ui/bench.h"

enum { ROW = 1024 }; /* of a softmax */

/* ---- plain forms ----------------------------------------------------------------- */

typedef struct Plain {
    int64_t n;
    const float *a, *b;
    float *y;
} Plain;

static bool plain_gemm(void *ctx, Err *err)
{
    const Plain *p = ctx;
    (void)err;
    memset(p->y, 0, sizeof *p->y * (size_t)(p->n * p->n));
    for (int64_t i = 0; i < p->n; i++)
        for (int64_t k = 0; k < p->n; k++)
            for (int64_t j = 0; j < p->n; j++)
                p->y[i * p->n + j] += p->a[i * p->n + k] * p->b[k * p->n + j];
    return true;
}

static bool plain_add(void *ctx, Err *err)
{
    const Plain *p = ctx;
    (void)err;
    for (int64_t i = 0; i < p->n; i++)
        p->y[i] = p->a[i] + p->b[i];
    return true;
}

static bool plain_gelu(void *ctx, Err *err)
{
    const Plain *p = ctx;
    (void)err;
    for (int64_t i = 0; i < p->n; i++)
        p->y[i] = 0.5f * p->a[i] * (1 + erff(p->a[i] * 0.70710678f));
    return true;
}

static bool plain_softmax(void *ctx, Err *err)
{
    const Plain *p = ctx;
    (void)err;
    for (int64_t r = 0; r < p->n; r += ROW) {
        const float *x = p->a + r;
        float top = x[0], sum = 0;
        for (int i = 1; i < ROW; i++)
            top = fmaxf(top, x[i]);
        for (int i = 0; i < ROW; i++)
            sum += p->y[r + i] = expf(x[i] - top);
        for (int i = 0; i < ROW; i++)
            p->y[r + i] /= sum;
    }
    return true;
}

/* One counter gives four words; 24 bits of each make a number from 0 to 1. */
static bool plain_uniform(void *ctx, Err *err)
{
    const Plain *p = ctx;
    (void)err;
    for (int64_t i = 0; i < p->n; i += 4) {
        uint32_t counter[4] = {(uint32_t)(i / 4)}, key[2] = {1, 0}, word[4];
        philox4x32(counter, key, word);
        for (int k = 0; k < 4; k++)
            p->y[i + k] = (float)(word[k] >> 8) * 0x1p-24f;
    }
    return true;
}

static bool plain_normal(void *ctx, Err *err)
{
    const Plain *p = ctx;
    plain_uniform(ctx, err);
    for (int64_t i = 0; i < p->n; i += 2) {
        float r = sqrtf(-2 * logf(1 - p->y[i])), t = 6.2831853f * p->y[i + 1];
        p->y[i] = r * cosf(t);
        p->y[i + 1] = r * sinf(t);
    }
    return true;
}

/* ---- ops ------------------------------------------------------------------------- */

typedef struct OpBench {
    const char *name;
    int inputs;
    BenchStep *plain;
    double bytes;     /* of an element: read and written */
    double tolerance; /* 0: the plain form draws other numbers */
} OpBench;

static const OpBench ops[] = {
    {"add",     2, plain_add,     12, 0   },
    {"gelu",    1, plain_gelu,    8,  1e-5},
    {"softmax", 1, plain_softmax, 8,  1e-5},
    {"uniform", 0, plain_uniform, 4,  0   },
    {"normal",  0, plain_normal,  4,  0   },
};

static bool replay(void *ctx, Err *err)
{
    return plan_run(ctx, NULL, err);
}

static Plan *op_plan(const OpBench *o, const Tensor in[2], int64_t n, Err *err)
{
    Graph *g = graph_new(err);
    OpAttr a;
    Val v[2];
    if (!g)
        return NULL;
    op_attr_defaults(op_find(o->name), &a);
    for (int i = 0; i < o->inputs; i++)
        v[i] = graph_const(g, &in[i]);
    if (o->inputs == 0) {
        a.n_list = 1;
        a.list[0] = n;
        text_copy(a.text, sizeof a.text, "bench");
    }
    if (strcmp(o->name, "softmax") == 0)
        v[0] = g_reshape(g, v[0], 2, (int64_t[]){n / ROW, ROW});
    graph_output(g, "y", g_call(g, o->name, v, o->inputs, &a));
    Plan *p = plan_new(g, 1, err);
    graph_free(g);
    return p;
}

static bool same_values(const BenchCase *c, const float *x, const float *y, int64_t n,
                        double tolerance, Err *err)
{
    for (int64_t i = 0; i < n; i++) {
        double a = (double)x[i], b = (double)y[i];
        if (!(fabs(a - b) <= tolerance * fmax(1, fabs(b))))
            return err_set(err, ERR_NUMERIC,
                           "%s gives %.9g at %lld, the plain loop %.9g", c->name, a,
                           (long long)i, b);
    }
    return true;
}

/* Draws agree in their mean only. */
static bool same_mean(const BenchCase *c, const float *x, const float *y, int64_t n,
                      Err *err)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += (double)x[i] - (double)y[i];
    if (fabs(sum / (double)n) < 10 / sqrt((double)n))
        return true;
    return err_set(err, ERR_NUMERIC, "%s: the means of two samples differ by %g",
                   c->name, sum / (double)n);
}

bool bench_op(Bench *b, const BenchCase *c, BenchResult *out, Err *err)
{
    const OpBench *o = ops;
    Tensor in[2] = {0}, y = {0};
    int64_t n = c->size;
    while (strcmp(o->name, c->kind) != 0)
        o++;
    bool ok = tensor_new(F32, 1, &n, &y, err);
    for (int i = 0; ok && i < o->inputs; i++)
        if ((ok = tensor_new(F32, 1, &n, &in[i], err)))
            rng_uniform_f32((RngKey){1, (uint32_t)i, 0}, 0, n, -4, 4, in[i].data);
    Plan *p = ok ? op_plan(o, in, n, err) : NULL;
    Plain plain = {n, in[0].data, in[1].data, y.data};
    double best;
    ok = p && bench_time(b, replay, p, &out->seconds, &out->best, err) &&
         bench_time(b, o->plain, &plain, &out->reference, &best, err);
    if (ok) {
        const float *x = plan_output(p, 0)->data;
        out->bytes = o->bytes * (double)n;
        ok = o->inputs ? same_values(c, x, y.data, n, o->tolerance, err)
                       : same_mean(c, x, y.data, n, err);
    }
    plan_free(p);
    tensor_release(&in[0]);
    tensor_release(&in[1]);
    tensor_release(&y);
    return ok;
}

/* ---- the product ----------------------------------------------------------------- */

static bool own_gemm(void *ctx, Err *err)
{
    const Plain *p = ctx;
    int64_t n = p->n;
    return blas_gemm_f32(false, false, n, n, n, 1, p->a, n, p->b, n, 0, p->y, n, err);
}

bool bench_gemm(Bench *b, const BenchCase *c, BenchResult *out, Err *err)
{
    int64_t n = c->size, dim[2] = {n, n};
    Tensor t[4] = {0};
    bool ok = true;
    for (int i = 0; i < 4; i++)
        if ((ok = ok && tensor_new(F32, 2, dim, &t[i], err)))
            rng_uniform_f32((RngKey){1, (uint32_t)i, 0}, 0, n * n, -1, 1, t[i].data);
    Plain own = {n, t[0].data, t[1].data, t[2].data};
    Plain plain = {n, t[0].data, t[1].data, t[3].data};
    double best;
    ok = ok && bench_time(b, own_gemm, &own, &out->seconds, &out->best, err) &&
         bench_time(b, plain_gemm, &plain, &out->reference, &best, err) &&
         same_values(c, own.y, plain.y, n * n, 1e-4, err);
    out->flops = 2.0 * (double)n * (double)n * (double)n;
    out->bytes = 12.0 * (double)n * (double)n;
    for (int i = 0; i < 4; i++)
        tensor_release(&t[i]);
    return ok;
}
