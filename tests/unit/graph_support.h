/* graph_support.h -- small things that the graph tests share: tensors from a seed,
 * equality of bits, rows by name with attributes. */
#ifndef CLEAVE_TEST_GRAPH_SUPPORT_H
#define CLEAVE_TEST_GRAPH_SUPPORT_H
#include <math.h>

#include "support.h"

#include "graph/build.h"
#include "graph/plan.h"
#include "tensor/blas.h"
#include "tensor/pool.h"
#include "tensor/rng.h"

static inline Tensor t_make(DType t, int ndim, const int64_t *dim)
{
    Err err = {0};
    Tensor x;
    assert_ok(tensor_zeros(t, ndim, dim, &x, &err), err);
    return x;
}

/* Uniform in [lo, hi). */
static inline Tensor t_random(uint64_t seed, DType t, int ndim, const int64_t *dim,
                              double lo, double hi)
{
    Tensor x = t_make(t, ndim, dim);
    RngKey key = {seed, rng_stream("test"), 0};
    if (t == F64)
        rng_uniform_f64(key, 0, tensor_count(&x), lo, hi, x.data);
    else
        rng_uniform_f32(key, 0, tensor_count(&x), (float)lo, (float)hi, x.data);
    return x;
}

static inline Tensor t_scalar(DType t, double v)
{
    Tensor x = t_make(t, 0, NULL);
    tensor_set(&x, NULL, v);
    return x;
}

static inline bool t_same_bits(const Tensor *a, const Tensor *b)
{
    return a->dtype == b->dtype && tensor_same_shape(a, b) &&
           (tensor_count(a) == 0 || memcmp(a->data, b->data, tensor_bytes(a)) == 0);
}

static inline double t_at(const Tensor *t, int64_t i)
{
    return t->dtype == F64   ? ((const double *)t->data)[i]
           : t->dtype == I32 ? (double)((const int32_t *)t->data)[i]
                             : (double)((const float *)t->data)[i];
}

static inline Plan *plan_of(Graph *g, uint64_t seed)
{
    Err err = {0};
    Plan *p = plan_new(g, seed, &err);
    if (!p)
        fail_msg("plan_new: %s", err.msg);
    return p;
}

#define assert_near(got, want, tol)                                                    \
    do {                                                                               \
        double got_ = (got), want_ = (want);                                           \
        if (!(fabs(got_ - want_) <= (tol)))                                            \
            fail_msg("%s is %.12g, must be %.12g", #got, got_, want_);                 \
    } while (0)
#define DIMS(...) ((int64_t[]){__VA_ARGS__})
#endif
