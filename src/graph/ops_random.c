/* ops_random.c -- draws. A draw depends on (seed, stream, step, element) alone: two ops
 * with one stream name in one step give the same numbers, and skipping one changes no
 * other. */
#include <string.h>

#include "graph/families.h"

/* Slots: shape, stream, two numbers, dtype; bernoulli has one number, sparse three. */
static bool draw_spec(const OpAttr *a, int64_t dtype, Spec *out, Err *err)
{
    if (!is_float((DType)dtype))
        return err_set(err, ERR_OPTION, "the dtype must be f32 or f64");
    if (!a->text[0])
        return err_set(err, ERR_OPTION, "the stream needs a name");
    for (int k = 0; k < a->n_list; k++)
        if (a->list[k] < 0)
            return err_set(err, ERR_SHAPE, "dimension %d is %lld", k + 1,
                           (long long)a->list[k]);
    *out = spec_make((DType)dtype, a->n_list, a->list);
    return true;
}

static bool shape_draw(const Spec *in, int n_in, const OpAttr *a, Spec *out, Err *err)
{
    (void)in, (void)n_in;
    return draw_spec(a, a->i[4], out, err);
}

static bool shape_bernoulli(const Spec *in, int n_in, const OpAttr *a, Spec *out,
                            Err *err)
{
    (void)in, (void)n_in;
    if (!(a->f[2] >= 0 && a->f[2] <= 1))
        return err_set(err, ERR_OPTION, "p must be in 0..1, it is %g", a->f[2]);
    return draw_spec(a, a->i[3], out, err);
}

static bool shape_sparse(const Spec *in, int n_in, const OpAttr *a, Spec *out, Err *err)
{
    (void)in, (void)n_in;
    if (!(a->f[2] >= 0 && a->f[2] <= 1))
        return err_set(err, ERR_OPTION, "p must be in 0..1, it is %g", a->f[2]);
    return draw_spec(a, a->i[5], out, err);
}

static bool shape_randint(const Spec *in, int n_in, const OpAttr *a, Spec *out,
                          Err *err)
{
    (void)in, (void)n_in;
    int64_t lo = a->i[2], hi = a->i[3];
    if (lo < INT32_MIN || hi > INT32_MAX || lo >= hi)
        return err_set(err, ERR_OPTION, "lo must be below hi, both within i32: %lld, %lld",
                       (long long)lo, (long long)hi);
    if (!draw_spec(a, F32, out, err))
        return false;
    out->dtype = I32;
    return true;
}

static bool shape_permutation(const Spec *in, int n_in, const OpAttr *a, Spec *out,
                              Err *err)
{
    (void)in, (void)n_in;
    int64_t dim[1] = {a->i[0]};
    if (a->i[0] < 0 || a->i[0] > INT32_MAX)
        return err_set(err, ERR_SHAPE, "n must be in 0..%d, it is %lld", INT32_MAX,
                       (long long)a->i[0]);
    *out = spec_make(I32, 1, dim);
    return true;
}

static RngKey key_of(const OpArgs *x)
{
    RngKey k = {0};
    k.stream = rng_stream(x->attr->text);
    if (x->ctx) {
        k.seed = x->ctx->seed;
        k.step = x->ctx->step;
    }
    return k;
}

static bool run_uniform(const OpArgs *x, Err *err)
{
    (void)err;
    int64_t n = tensor_count(x->out[0]);
    double lo = x->attr->f[2], hi = x->attr->f[3];
    if (tensor_is_f64(x->out[0]))
        rng_uniform_f64(key_of(x), 0, n, lo, hi, x->out[0]->data);
    else
        rng_uniform_f32(key_of(x), 0, n, (float)lo, (float)hi, x->out[0]->data);
    return true;
}

static bool run_normal(const OpArgs *x, Err *err)
{
    (void)err;
    int64_t n = tensor_count(x->out[0]);
    double mean = x->attr->f[2], std = x->attr->f[3];
    if (tensor_is_f64(x->out[0]))
        rng_normal_f64(key_of(x), 0, n, mean, std, x->out[0]->data);
    else
        rng_normal_f32(key_of(x), 0, n, (float)mean, (float)std, x->out[0]->data);
    return true;
}

static bool run_bernoulli(const OpArgs *x, Err *err)
{
    (void)err;
    int64_t n = tensor_count(x->out[0]);
    if (tensor_is_f64(x->out[0]))
        rng_bernoulli_f64(key_of(x), 0, n, x->attr->f[2], x->out[0]->data);
    else
        rng_bernoulli_f32(key_of(x), 0, n, (float)x->attr->f[2], x->out[0]->data);
    return true;
}

static bool run_sparse(const OpArgs *x, Err *err)
{
    (void)err;
    int64_t n = tensor_count(x->out[0]);
    double p = x->attr->f[2], lo = x->attr->f[3], hi = x->attr->f[4];
    if (tensor_is_f64(x->out[0]))
        rng_sparse_f64(key_of(x), 0, n, p, lo, hi, x->out[0]->data);
    else
        rng_sparse_f32(key_of(x), 0, n, (float)p, (float)lo, (float)hi,
                       x->out[0]->data);
    return true;
}

static bool run_randint(const OpArgs *x, Err *err)
{
    (void)err;
    RngKey key = key_of(x);
    int64_t n = tensor_count(x->out[0]), lo = x->attr->i[2], hi = x->attr->i[3];
    for (int64_t k = 0; k < n; k++)
        ((int32_t *)x->out[0]->data)[k] = (int32_t)(lo + rng_below(key, k, hi - lo));
    return true;
}

static bool run_permutation(const OpArgs *x, Err *err)
{
    (void)err;
    rng_permutation(key_of(x), x->attr->i[0], x->out[0]->data);
    return true;
}

static double cost_draw(const Spec *in, int n_in, const OpAttr *a)
{
    (void)in, (void)n_in;
    double n = 20;
    for (int k = 0; k < a->n_list; k++)
        n *= (double)a->list[k];
    return n;
}

#define DRAW_DOC                                                                       \
    " Equal seeds, stream names and steps give equal numbers, so streams that must "   \
    "differ need different names."

const OpRow ops_random[] = {
    {.name = "uniform",
     .sig = "shape:I, stream:s=uniform, lo:f=0, hi:f=1, dtype:d=f32",
     .doc = "Numbers spread evenly over lo..hi, hi excluded." DRAW_DOC,
     .formula = "y ~ U(lo, hi)",
     .flags = OP_RANDOM | OP_NODIFF,
     .shape = shape_draw,
     .run = run_uniform,
     .flops = cost_draw,
     .test = {.shapes = "none; none; none; none",
              .attrs = "shape=3,5; shape= lo=-1; shape=0,3; shape=40,500 stream=u hi=2",
              .tol_f32 = 2}},
    {.name = "normal",
     .sig = "shape:I, stream:s=normal, mean:f=0, std:f=1, dtype:d=f32",
     .doc = "Normally distributed numbers." DRAW_DOC,
     .formula = "y ~ N(mean, std^2)",
     .flags = OP_RANDOM | OP_NODIFF,
     .shape = shape_draw,
     .run = run_normal,
     .flops = cost_draw,
     .test = {.shapes = "none; none; none; none",
              .attrs =
                  "shape=3,5; shape= mean=-1; shape=0,3; shape=40,500 stream=u std=2",
              .tol_f32 = 2}},
    {.name = "bernoulli",
     .sig = "shape:I, stream:s=bernoulli, p:f=0.5, dtype:d=f32",
     .doc = "1 with probability p, else 0." DRAW_DOC,
     .formula = "y ~ Bernoulli(p)",
     .flags = OP_RANDOM | OP_NODIFF,
     .shape = shape_bernoulli,
     .run = run_bernoulli,
     .flops = cost_draw,
     .test = {.shapes = "none; none; none; none",
              .attrs = "shape=3,5; shape= p=1; shape=0,3; shape=40,500 stream=u p=0.1",
              .tol_f32 = 2}},
    {.name = "sparse_uniform",
     .sig = "shape:I, stream:s=sparse, p:f=0.05, lo:f=-1, hi:f=1, dtype:d=f32",
     .doc = "With probability p a number spread evenly over lo..hi, else 0: the "
            "features of sparse toy data." DRAW_DOC,
     .formula = "y ~ Bernoulli(p) U(lo, hi)",
     .flags = OP_RANDOM | OP_NODIFF,
     .shape = shape_sparse,
     .run = run_sparse,
     .flops = cost_draw,
     .test = {.shapes = "none; none; none; none",
              .attrs = "shape=3,5; shape= p=1; shape=0,3; shape=40,500 stream=u p=0.1 "
                       "lo=0 hi=2",
              .tol_f32 = 2}},
    {.name = "randint",
     .sig = "shape:I, stream:s=randint, lo:i=0, hi:i=2",
     .doc = "Whole numbers from lo to hi - 1 as i32, all equally likely." DRAW_DOC,
     .formula = "y ~ U{lo, ..., hi - 1}",
     .flags = OP_RANDOM | OP_NODIFF,
     .shape = shape_randint,
     .run = run_randint,
     .flops = cost_draw,
     .test = {.shapes = "none; none; none; none",
              .attrs = "shape=3,5; shape= lo=-1; shape=0,3; shape=40,50 stream=u lo=-2 "
                       "hi=3"}},
    {.name = "permutation",
     .sig = "n:i, stream:s=permutation",
     .doc = "The numbers 0 to n-1 as i32 in random order." DRAW_DOC,
     .flags = OP_RANDOM | OP_NODIFF,
     .shape = shape_permutation,
     .run = run_permutation,
     .test = {.shapes = "none; none; none", .attrs = "n=10; n=0; n=5000"}},
};
const int ops_random_count = ARRAY_LEN(ops_random);
