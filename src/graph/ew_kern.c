/* ew_kern.c -- elementwise loops, one per op and form, that the compiler turns into
 * vectors: every body is one expression without branches or calls that do not inline.
 * An output may be one of the inputs, so no pointer is restrict; the simd pragma says
 * that elements do not depend on each other. */
#include "graph/ew_kern.h"

#include <math.h>

#include "tensor/vmath.h"

#ifdef KERN_F64
#define C(x)    x
#define M_RINT  rint
#define M_FLOOR floor
#define M_ABS   fabs
#else
#define C(x)    x##f
#define M_RINT  rintf
#define M_FLOOR floorf
#define M_ABS   fabsf
#endif

/* ---- one element ----------------------------------------------------------------- */

static inline real sign_of(real x)
{
    return x > 0 ? C(1.0) : x < 0 ? C(-1.0) : x;
}

/* NaN in either operand is kept, as NumPy does. */
static inline real larger(real a, real b)
{
    return a > b || a != a ? a : b;
}

static inline real smaller(real a, real b)
{
    return a < b || a != a ? a : b;
}

static void KERN(choose)(int64_t n, const void *cp, int sc, const void *ap, int sa,
                         const void *bp, int sb, void *yp)
{
    const real *c = cp, *a = ap, *b = bp;
    real *y = yp;
    if (sc && sa && sb) {
#pragma omp simd
        for (int64_t i = 0; i < n; i++)
            y[i] = c[i] != 0 ? a[i] : b[i];
        return;
    }
    for (int64_t i = 0; i < n; i++)
        y[i] = c[i * sc] != 0 ? a[i * sa] : b[i * sb];
}

/* ---- loops ----------------------------------------------------------------------- */

#define UNARY(name, expr)                                                              \
    static void KERN(u_##name)(int64_t n, const void *xp, void *yp, double k,          \
                               double k2)                                              \
    {                                                                                  \
        const real *xs = xp;                                                           \
        real *ys = yp;                                                                 \
        const real K = (real)k, K2 = (real)k2;                                         \
        (void)K, (void)K2;                                                             \
        _Pragma("omp simd") for (int64_t i = 0; i < n; i++)                            \
        {                                                                              \
            real x = xs[i];                                                            \
            ys[i] = (expr);                                                            \
        }                                                                              \
    }
UNARY(neg, -x)
UNARY(abs, M_ABS(x))
UNARY(square, (x * x))
UNARY(sqrt, v_sqrt(x))
UNARY(rsqrt, v_rsqrt(x))
UNARY(exp, v_exp(x))
UNARY(log, v_log(x))
UNARY(log1p, v_log1p(x))
UNARY(expm1, v_expm1(x))
UNARY(sin, v_sin(x))
UNARY(cos, v_cos(x))
UNARY(tanh, v_tanh(x))
UNARY(sigmoid, v_sigmoid(x))
UNARY(softplus, v_softplus(x))
UNARY(relu, x > 0 || x != x ? x : C(0.0))
UNARY(gelu, v_gelu(x))
UNARY(erf, v_erf(x))
UNARY(sign, sign_of(x))
UNARY(floor, M_FLOOR(x))
UNARY(round, M_RINT(x))
UNARY(scale, K *x)
UNARY(shift, x + K)
UNARY(clamp, x<K ? K : x> K2 ? K2 : x)

#define FORM(fn, in_t, out_t, ia, ib, expr)                                            \
    static void fn(int64_t n, const void *ap, const void *bp, void *yp)                \
    {                                                                                  \
        const in_t *as = ap, *bs = bp;                                                 \
        out_t *ys = yp;                                                                \
        const in_t a0 = as[0], b0 = bs[0];                                             \
        (void)a0, (void)b0;                                                            \
        _Pragma("omp simd") for (int64_t i = 0; i < n; i++)                            \
        {                                                                              \
            in_t a = ia, b = ib;                                                       \
            ys[i] = (expr);                                                            \
        }                                                                              \
    }
#define BINARY(name, expr)                                                             \
    FORM(KERN(vv_##name), real, real, as[i], bs[i], expr)                              \
    FORM(KERN(vs_##name), real, real, as[i], b0, expr)                                 \
    FORM(KERN(sv_##name), real, real, a0, bs[i], expr)
BINARY(add, a + b)
BINARY(sub, a - b)
BINARY(mul, (a * b))
BINARY(div, a / b)
BINARY(pow, v_pow(a, b))
BINARY(maximum, larger(a, b))
BINARY(minimum, smaller(a, b))
BINARY(lt, a < b ? C(1.0) : C(0.0))
BINARY(le, a <= b ? C(1.0) : C(0.0))
BINARY(gt, a > b ? C(1.0) : C(0.0))
BINARY(ge, a >= b ? C(1.0) : C(0.0))
BINARY(eq, a == b ? C(1.0) : C(0.0))
BINARY(ne, a != b ? C(1.0) : C(0.0))
BINARY(relu_grad, a > 0 ? b : C(0.0))
BINARY(gelu_grad, (b * v_gelu_grad(a)))
BINARY(sigmoid_grad, (b * a * (C(1.0) - a)))
BINARY(tanh_grad, (b * (C(1.0) - a * a)))

#define COMPARE_I32(name, op)                                                          \
    FORM(KERN(ivv_##name), int32_t, float, as[i], bs[i], a op b ? 1.0f : 0.0f)         \
    FORM(KERN(ivs_##name), int32_t, float, as[i], b0, a op b ? 1.0f : 0.0f)            \
    FORM(KERN(isv_##name), int32_t, float, a0, bs[i], a op b ? 1.0f : 0.0f)
COMPARE_I32(lt, <)
COMPARE_I32(le, <=)
COMPARE_I32(gt, >)
COMPARE_I32(ge, >=)
COMPARE_I32(eq, ==)
COMPARE_I32(ne, !=)

#define U_ENTRY(name) [EW_##name] = KERN(u_##name),
#define B_ENTRY(name) [EB_##name] = {KERN(vv_##name), KERN(vs_##name), KERN(sv_##name)},
#define C_ENTRY(name)                                                                  \
    [EC_##name] = {KERN(ivv_##name), KERN(ivs_##name), KERN(isv_##name)},
const EwTable KERN(ew_table) = {
    .unary = {EW_UNARY_LIST(U_ENTRY)},
    .binary = {EW_BINARY_LIST(B_ENTRY)},
    .cmp_i32 = {EW_COMPARE_LIST(C_ENTRY)},
    .where = KERN(choose),
};
