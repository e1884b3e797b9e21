/* vmath_f64.h -- the double half of vmath.h: libm, and what libm lacks. Included by
 * vmath.h only. */
#ifndef CLEAVE_TENSOR_VMATH_F64_H
#define CLEAVE_TENSOR_VMATH_F64_H

static inline real v_abs(real x)
{
    return fabs(x);
}

static inline real v_sqrt(real x)
{
    return sqrt(x);
}

static inline real v_exp(real x)
{
    return exp(x);
}

static inline real v_log(real x)
{
    return log(x);
}

static inline real v_log1p(real x)
{
    return log1p(x);
}

static inline real v_expm1(real x)
{
    return expm1(x);
}

static inline real v_tanh(real x)
{
    return tanh(x);
}

static inline real v_erf(real x)
{
    return erf(x);
}

/* ln(1 + e^x), without overflow. */
static inline real v_softplus(real x)
{
    return (x > 0 ? x : 0) + log1p(exp(-fabs(x)));
}

static inline real v_sin(real x)
{
    return sin(x);
}

static inline real v_cos(real x)
{
    return cos(x);
}

static inline real v_pow(real x, real y)
{
    return pow(x, y);
}

/* Sine and cosine of 2 pi u; exact at multiples of a quarter. |u| <= 2^20. */
static inline void v_sincos2pi(real u, real *sine, real *cosine)
{
    real k = rint(4 * u), r = u - k / 4;
    real s = sin(6.283185307179586 * r), c = cos(6.283185307179586 * r);
    int q = (int)k;
    *sine = q & 1 ? c : s;
    *cosine = q & 1 ? s : c;
    *sine = q & 2 ? -*sine : *sine;
    *cosine = (q + 1) & 2 ? -*cosine : *cosine;
}

/* The standard normal distribution function and its density. What rounding x / sqrt 2
 * loses is put back with the derivative of erfc; far below 0 it would cost 5 bits. */
static inline real v_normal_cdf(real x, real *pdf)
{
    const real hi = 0.7071067811865476, lo = -4.833646656726457e-17;
    real a = x < -40 ? 40 : x > 40 ? -40 : -x;
    real z = a * hi, lost = fma(a, hi, -z) + a * lo;
    real high = (real)(float)a, low = a - high;
    *pdf = 0.3989422804014327 * exp(-0.5 * high * high) * exp(-0.5 * low * (a + high));
    real cdf = 0.5 * erfc(z) - 1.4142135623730951 * *pdf * lost;
    return x != x ? x : cdf;
}
#endif
