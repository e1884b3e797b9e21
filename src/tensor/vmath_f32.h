/* vmath_f32.h -- the float half of vmath.h. Included by vmath.h only.
 * Method: argument reduction in two parts (Cody and Waite 1980), minimax polynomials
 * found by the exchange algorithm of Remez for the relative error, exact scaling
 * through the exponent field. Nothing relies on fused multiply-add; with it, errors
 * shrink. pow and the sines of large arguments reduce in double, which costs half the
 * lanes. */
#ifndef CLEAVE_TENSOR_VMATH_F32_H
#define CLEAVE_TENSOR_VMATH_F32_H

#define V_NAN __builtin_nanf("")
#define V_INF __builtin_inff()

static inline uint32_t v_bits(float x)
{
    uint32_t u;
    memcpy(&u, &x, sizeof u);
    return u;
}

static inline float v_float(uint32_t u)
{
    float x;
    memcpy(&x, &u, sizeof x);
    return x;
}

static inline float v_abs(float x)
{
    return v_float(v_bits(x) & 0x7fffffffu);
}

/* x, or 0 where its sign is set. */
static inline float v_positive(float x)
{
    return v_float(v_bits(x) & ~(uint32_t)((int32_t)v_bits(x) >> 31));
}

/* |x| with the sign of s. */
static inline float v_sign(float x, float s)
{
    return v_float((v_bits(x) & 0x7fffffffu) | (v_bits(s) & 0x80000000u));
}

/* The smaller magnitude of x and top, with the sign of x; top for NaN. Written on the
 * bits because the compiler splits loops around floats limited by constants. */
static inline float v_limit(float x, float top)
{
    int32_t m = (int32_t)(v_bits(x) & 0x7fffffffu), t = (int32_t)v_bits(top);
    return v_sign(v_float((uint32_t)(m < t ? m : t)), x);
}

/* c ? a : b without a jump; many ?: in a row are threaded into jumps that no vectoriser
 * undoes. c is 0 or 1. */
static inline float v_pick(int32_t c, float a, float b)
{
    uint32_t mask = (uint32_t)-c;
    return v_float((v_bits(a) & mask) | (v_bits(b) & ~mask));
}

static inline float v_sqrt(float x)
{
    return __builtin_sqrtf(x);
}

/* Nearest integer as float and as int, by adding 1.5 * 2^23. |x| <= 2^22. */
static inline float v_nearest(float x, int32_t *i)
{
    float t = x + 0x1.8p23f;
    *i = (int32_t)(v_bits(t) - 0x4b400000u);
    return t - 0x1.8p23f;
}

/* x 2^n for x near 1 and -252 <= n <= 254, rounded once. */
static inline float v_scale(float x, int32_t n)
{
    int32_t half = n >> 1;
    return x * v_float((uint32_t)(half + 127) << 23) *
           v_float((uint32_t)(n - half + 127) << 23);
}

/* (e^r - 1 - r) / r^2, |r| <= ln(2) / 2. */
static inline float v_exp_poly(float r)
{
    float p = 0x1.6dbc4p-10f;
    p = p * r + 0x1.124148p-7f;
    p = p * r + 0x1.555454p-5f;
    p = p * r + 0x1.555486p-3f;
    return p * r + 0.5f;
}

/* e^(x + tail) for a small tail, -150 < x < 100 or NaN. */
static inline float v_exp_sum(float x, float tail)
{
    int32_t n;
    float k = v_nearest(x * 1.44269504f, &n);
    float r = x - k * 0.693359375f;
    r = r + k * 2.12194440e-4f + tail;
    return v_scale(1 + (r + r * r * v_exp_poly(r)), n);
}

static inline float v_exp(float x)
{
    x = x < -104 ? -104 : x;
    x = x > 89 ? 89 : x;
    return v_exp_sum(x, 0);
}

static inline float v_expm1(float x)
{
    int32_t n;
    float c = x < -20 ? -20 : x;
    c = c > 89 ? 89 : c;
    float k = v_nearest(c * 1.44269504f, &n);
    float r = c - k * 0.693359375f;
    r = r + k * 2.12194440e-4f;
    /* Half the scale, so that the largest one is representable. */
    float s = v_float((uint32_t)(n + 126) << 23);
    float e = r + r * r * v_exp_poly(r);
    return v_sign(2 * (s * e + (s - 0.5f)), x);
}

/* Splits a positive normal x into m 2^e, sqrt(1/2) <= m < sqrt(2); returns m - 1. */
static inline float v_split(float x, int32_t *e)
{
    uint32_t u = v_bits(x);
    *e = (int32_t)(u - 0x3f3504f3u) >> 23;
    return v_float(u - ((uint32_t)*e << 23)) - 1;
}

/* ln of a positive normal x. */
static inline float v_log_normal(float x)
{
    int32_t e;
    float f = v_split(x, &e), k = (float)e, p = 0x1.145802p-4f;
    p = p * f - 0x1.de3c4ep-4f;
    p = p * f + 0x1.e6f05ep-4f;
    p = p * f - 0x1.fc21fcp-4f;
    p = p * f + 0x1.233768p-3f;
    p = p * f - 0x1.555c4ep-3f;
    p = p * f + 0x1.99a4b6p-3f;
    p = p * f - 0x1.000006p-2f;
    p = p * f + 0x1.555548p-2f;
    float q = f * f;
    float t = f * q * p - k * 2.12194440e-4f - 0.5f * q;
    return k * 0.693359375f + (f + t);
}

static inline float v_log(float x)
{
    float tiny = x < 0x1p-126f ? 1 : 0;
    float r = v_log_normal(tiny > 0 ? x * 0x1p23f : x) - tiny * 15.9423847f;
    r = x < V_INF ? r : x;
    return x > 0 ? r : x == 0 ? -V_INF : V_NAN;
}

/* ln of the rounded 1 + x, plus what the rounding lost. */
static inline float v_log1p(float x)
{
    float u = 1 + x, up = u - 1;
    float lost = (x - up) + (1 - (u - up));
    float r = v_log_normal(u) + lost / u;
    r = x < V_INF ? v_sign(r, x) : x;
    return x > -1 ? r : x == -1 ? -V_INF : V_NAN;
}

/* ln(1 + e^x), without overflow. e^-|x| is in 0..1, so log1p needs no special cases. */
static inline float v_softplus(float x)
{
    float e = v_exp(-v_abs(x)), u = 1 + e, lost = e - (u - 1);
    return v_positive(x) + (v_log_normal(u) + lost / u);
}

static inline float v_tanh(float x)
{
    float t = v_expm1(-2 * v_abs(x));
    return v_sign(t / (t + 2), x);
}

/* The standard normal density at a, 0 <= a <= 15, and, from a = 1 on, the probability
 * of being above a: e^(-a^2/2) t P(t), t = 1 / (1 + 0.7 a / sqrt 2). a^2 is taken in
 * two parts, the first of them exact. */
static inline float v_normal_tail(float a, float *pdf)
{
    float hi = v_float(v_bits(a) & 0xfffff000u);
    float e = v_exp_sum(-0.5f * hi * hi, -0.5f * ((a - hi) * (a + hi)));
    float t = 1 / (1 + 0.494974747f * a), p = 0x1.133c54p-3f;
    p = p * t - 0x1.bbb58cp-2f;
    p = p * t + 0x1.df7084p-2f;
    p = p * t - 0x1.345818p-4f;
    p = p * t - 0x1.33b27cp-3f;
    p = p * t - 0x1.1d3202p-5f;
    p = p * t + 0x1.809412p-5f;
    p = p * t + 0x1.32c746p-3f;
    p = p * t + 0x1.944f86p-3f;
    p = p * t + 0x1.9469fap-3f;
    *pdf = 0.398942280f * e;
    return e * (t * p);
}

/* erf(x) / x - 1 of s = x^2, |x| <= 1. */
static inline float v_erf_poly(float s)
{
    float p = 0x1.496a2ap-14f;
    p = p * s - 0x1.a3f6fep-11f;
    p = p * s + 0x1.5405b2p-8f;
    p = p * s - 0x1.b7f90ep-6f;
    p = p * s + 0x1.ce2cf8p-4f;
    p = p * s - 0x1.81273ep-2f;
    return p * s + 0x1.06eba8p-3f;
}

/* The standard normal distribution function and its density. Near 0 the tail's rounding
 * would show in the last three bits, so the odd series is used there. */
static inline float v_normal_cdf(float x, float *pdf)
{
    float a = v_abs(v_limit(x, 14.5f)); /* e^(-a^2/2) is 0 from there on */
    float q = v_normal_tail(a, pdf), z = 0.353553391f * x;
    float near = 0.5f + (z + z * v_erf_poly(0.5f * x * x));
    float far = x < 0 ? q : 1 - q;
    return v_abs(x) >= 1 ? far : near;
}

static inline float v_erf(float x)
{
    float a = v_abs(x), pdf;
    float b = v_abs(v_limit(1.41421356f * x, 14.5f));
    float far = 1 - 2 * v_normal_tail(b, &pdf);
    return a >= 1 ? v_sign(far, x) : x + x * v_erf_poly(x * x);
}

/* Puts sine and cosine of the reduced angle into quadrant q. */
static inline void v_quadrant(float s, float c, int32_t q, float *sine, float *cosine)
{
    float a = q & 1 ? c : s, b = q & 1 ? s : c;
    *sine = v_float(v_bits(a) ^ ((uint32_t)q & 2) << 30);
    *cosine = v_float(v_bits(b) ^ ((uint32_t)(q + 1) & 2) << 30);
}

/* Sine and cosine of 2 pi u; exact at multiples of a quarter. |u| <= 2^20. */
static inline void v_sincos2pi(float u, float *sine, float *cosine)
{
    int32_t q;
    float k = v_nearest(4 * u, &q), r = u - 0.25f * k, z = r * r;
    float p = 0x1.4bd4dep5f;
    p = p * z - 0x1.32cae6p6f;
    p = p * z + 0x1.466bbcp6f;
    p = p * z - 0x1.4abbcep5f;
    float s = r * 6.28318548f + r * (p * z - 1.74845553e-7f);
    float c = 0x1.d9c076p5f;
    c = c * z - 0x1.55c598p6f;
    c = c * z + 0x1.03c1dep6f;
    c = c * z - 0x1.3bd3ccp4f;
    v_quadrant(s, c * z + 1, q, sine, cosine);
}

/* Sine and cosine of x radians, reduced in double. NaN beyond |x| = 2^30, where floats
 * are 64 apart and no angle is meant. */
static inline void v_sincos(float x, float *sine, float *cosine)
{
    float ok = v_abs(x) <= 0x1p30f ? x : 0;
    double d = (double)ok;
    double k = d * 0.6366197723675814 + 0x1.8p52 - 0x1.8p52;
    float r = (float)(d - k * 0x1.921fb544p0 - k * 0x1.0b4611a626331p-34), z = r * r;
    float p = 0x1.6cc508p-19f;
    p = p * z - 0x1.a00f48p-13f;
    p = p * z + 0x1.111108p-7f;
    p = p * z - 0x1.555556p-3f;
    float c = 0x1.990478p-16f;
    c = c * z - 0x1.6c07a4p-10f;
    c = c * z + 0x1.55553cp-5f;
    c = c * z - 0.5f;
    v_quadrant(r + r * z * p, c * z + 1, (int32_t)k, sine, cosine);
    float bad = v_abs(x) <= 0x1p30f ? 0 : V_NAN;
    *sine += bad;
    *cosine += bad;
}

static inline float v_sin(float x)
{
    float s, c;
    v_sincos(x, &s, &c);
    return v_abs(x) > 0 ? s : x;
}

static inline float v_cos(float x)
{
    float s, c;
    v_sincos(x, &s, &c);
    return c;
}

/* log2 of x >= 0 as double, by 2 atanh(f / (2 + f)); 0 and infinity give numbers too
 * large to matter. */
static inline double v_log2_wide(float x)
{
    int32_t e, tiny = x < 0x1p-126f;
    double f = (double)v_split(v_pick(tiny, x * 0x1p23f, x), &e);
    double s = f / (f + 2), z = s * s, r = 0x1.e33d0c37d0eap-3;
    r = r * z + 0x1.2437191729578p-2;
    r = r * z + 0x1.999a810aaa087p-2;
    r = r * z + 0x1.555554fa47fddp-1;
    float k = v_pick(x < V_INF, (float)(e - 23 * tiny), 1e30f);
    k = v_pick(x > 0, k, -1e30f);
    return (double)k + (2 * s + s * z * r) * 1.4426950408889634;
}

static inline float v_pow(float x, float y)
{
    float a = v_abs(x), ay = v_abs(y);
    double w = (double)y * v_log2_wide(a);
    int32_t n;
    float k = v_nearest(v_limit((float)w, 150), &n);
    float r = v_limit((float)((w - (double)k) * 0.6931471805599453), 0.5f);
    float p = v_scale(1 + (r + r * r * v_exp_poly(r)), n);

    float small = v_pick(ay < 0x1p24f, y, 0), part = small - (float)(int32_t)small;
    int32_t whole = part == 0;
    uint32_t odd = (uint32_t)((int32_t)small & whole);
    p = v_pick(a == 1, 1, p);
    p = v_float(v_bits(p) ^ (v_bits(x) & odd << 31));
    p = v_pick((x < 0) & (a < V_INF) & !whole, V_NAN, p);
    p = v_pick((x != x) | (y != y), V_NAN, p);
    return v_pick((x == 1) | (y == 0), 1, p);
}
#endif
