/* vmath_f64.h -- the double half of vmath.h: libm, and what libm lacks. Included by
 * vmath.h only. */
#ifndef CLEAVE_TENSOR_VMATH_F64_H
#define CLEAVE_TENSOR_VMATH_F64_H

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

/* The standard normal distribution function and its density. */
static inline real v_normal_cdf(real x, real *pdf)
{
    *pdf = 0.3989422804014327 * exp(-0.5 * x * x);
    return 0.5 * erfc(-0.7071067811865476 * x);
}
#endif
