/* vmath.h -- elementary functions over `real` for loops in *_kern.c.
 * The f32 functions are branch-free and call nothing, so a plain loop around them is
 * vectorised; both sides of every choice are computed. The f64 ones call libm: f64
 * exists for checks. Arguments: +-0, infinities and NaN give what C's functions give;
 * results that overflow are infinite, results below the normal range may flush to 0.
 * Largest f32 errors found, in ulp, over every 2503rd float: exp 1.0, log 0.8,
 * log1p 1.4, expm1 1.6, erf 1.4, tanh 2.5, sigmoid 2.0, softplus 1.8, sin and cos 1.4,
 * sincos2pi 1.5, pow 1.1, rsqrt 1.5, gelu 5.3, gelu_grad 4.2 (of at least 1/8); f64:
 * all below 3. */
#ifndef CLEAVE_TENSOR_VMATH_H
#define CLEAVE_TENSOR_VMATH_H
#include <math.h>
#include <stdint.h>
#include <string.h>

#include "base/kern.h"

#ifdef KERN_F64
#include "tensor/vmath_f64.h"
#else
#include "tensor/vmath_f32.h"
#endif

static inline real v_rsqrt(real x)
{
    return 1 / v_sqrt(x);
}

/* 1 / (1 + e^-x), without overflow and with full relative precision below 0. */
static inline real v_sigmoid(real x)
{
    real e = v_exp(-v_abs(x));
    return (x < 0 ? e : 1) / (1 + e);
}

/* The exact GELU, x Phi(x) = x/2 (1 + erf(x / sqrt 2)) (Hendrycks and Gimpel 2016). */
static inline real v_gelu(real x)
{
    real pdf, cdf = v_normal_cdf(x, &pdf);
    return (x < -40 ? -40 : x) * cdf;
}

/* Its derivative, Phi(x) + x phi(x). */
static inline real v_gelu_grad(real x)
{
    real pdf, cdf = v_normal_cdf(x, &pdf);
    real c = x < -40 ? -40 : x > 40 ? 40 : x;
    return cdf + c * pdf;
}
#endif
