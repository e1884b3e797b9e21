/* vmath_body.h -- the checks of vmath.h, included by one test per instruction set,
 * which fixes KERN_SUFFIX and the target and defines cpu_has(). Errors are in units in
 * the last place of the result, against libm in the next wider type; results below the
 * normal range may flush to 0. Sweeps step through the bit patterns of all numbers, so
 * every exponent and both signs occur. CLEAVE_VERBOSE=1 prints the largest errors. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tensor/vmath.h"

#ifdef KERN_F64
typedef long double Wide;
#define WIDE(f) f##l
enum { DIGITS = 53, MIN_EXP = -1021, MAX_EXP = 1024 };
#define PATTERN_STEP 0x0000a0000000301dull /* about 1.6 million numbers */
#else
typedef double Wide;
#define WIDE(f) f
enum { DIGITS = 24, MIN_EXP = -125, MAX_EXP = 128 };
#define PATTERN_STEP 2503ull /* about 1.7 million numbers */
#endif

static Wide at_most_top(Wide w)
{
    Wide top = WIDE(ldexp)(1, MAX_EXP);
    return w > top ? top : w < -top ? -top : w;
}

/* Error of got in units of the last place of max(|want|, floor). */
static double ulps(real got, Wide want, double floor_at)
{
    if (isnan(want) || isnan(got))
        return isnan(want) && isnan(got) ? 0 : HUGE_VAL;
    want = at_most_top(want);
    Wide error = WIDE(fabs)(at_most_top((Wide)got) - want), size = WIDE(fabs)(want);
    int e;
    WIDE(frexp)(size > (Wide)floor_at ? size : (Wide)floor_at, &e);
    return (double)WIDE(ldexp)(error, DIGITS - (e > MIN_EXP ? e : MIN_EXP));
}

static real from_pattern(uint64_t u)
{
    real x;
    memcpy(&x, &u, sizeof x);
    return x;
}

#define PI_W ((Wide)3.14159265358979323846264338327950288L)
#define ROOT_HALF_W ((Wide)0.70710678118654752440084436210484903928L)

static Wide ref_sqrt(Wide x) { return WIDE(sqrt)(x); }
static Wide ref_rsqrt(Wide x) { return 1 / WIDE(sqrt)(x); }
static Wide ref_exp(Wide x) { return WIDE(exp)(x); }
static Wide ref_expm1(Wide x) { return WIDE(expm1)(x); }
static Wide ref_log(Wide x) { return WIDE(log)(x); }
static Wide ref_log1p(Wide x) { return WIDE(log1p)(x); }
static Wide ref_tanh(Wide x) { return WIDE(tanh)(x); }
static Wide ref_erf(Wide x) { return WIDE(erf)(x); }
static Wide ref_sin(Wide x) { return WIDE(sin)(x); }
static Wide ref_cos(Wide x) { return WIDE(cos)(x); }

static Wide ref_sigmoid(Wide x)
{
    return 1 / (1 + WIDE(exp)(-x));
}

static Wide ref_softplus(Wide x)
{
    return x > 40 ? x : WIDE(log1p)(WIDE(exp)(x));
}

static Wide ref_cdf(Wide x)
{
    return WIDE(erfc)(-x * ROOT_HALF_W) / 2;
}

static Wide ref_gelu(Wide x)
{
    return isinf(x) && x < 0 ? -(Wide)0 : x * ref_cdf(x);
}

static Wide ref_gelu_grad(Wide x)
{
    if (isinf(x))
        return x > 0;
    return ref_cdf(x) + x * WIDE(exp)(-x * x / 2) / WIDE(sqrt)(2 * PI_W);
}

/* Reduced to an eighth of a turn, where the sine has no zero but the exact one. */
static Wide ref_sin2pi(Wide u)
{
    Wide k = WIDE(rint)(4 * u), a = 2 * PI_W * (u - k / 4);
    switch ((int)k & 3) {
    case 0: return WIDE(sin)(a);
    case 1: return WIDE(cos)(a);
    case 2: return -WIDE(sin)(a);
    default: return -WIDE(cos)(a);
    }
}

static Wide ref_cos2pi(Wide u)
{
    return ref_sin2pi(u + (Wide)0.25);
}

static real v_sin2pi(real u)
{
    real s, c;
    v_sincos2pi(u, &s, &c);
    return s;
}

static real v_cos2pi(real u)
{
    real s, c;
    v_sincos2pi(u, &s, &c);
    return c;
}

static real v_cdf(real x)
{
    real pdf;
    return v_normal_cdf(x, &pdf);
}

typedef struct Case {
    const char *name;
    real (*fn)(real);
    Wide (*ref)(Wide);
    double reach;      /* |x| up to here */
    double floor_at;   /* errors count relative to at least this */
    double f32, f64;   /* the largest error allowed, ulp */
} Case;

#define ALL HUGE_VAL
static const Case cases[] = {
    {"sqrt", v_sqrt, ref_sqrt, ALL, 0, 0.5001, 0.501},
    {"rsqrt", v_rsqrt, ref_rsqrt, ALL, 0, 1.5, 1.5},
    {"exp", v_exp, ref_exp, ALL, 0, 2, 2},
    {"expm1", v_expm1, ref_expm1, ALL, 0, 2, 2},
    {"log", v_log, ref_log, ALL, 0, 2, 2},
    {"log1p", v_log1p, ref_log1p, ALL, 0, 2, 2},
    {"tanh", v_tanh, ref_tanh, ALL, 0, 2.5, 3},
    {"erf", v_erf, ref_erf, ALL, 0, 2, 2},
    {"sigmoid", v_sigmoid, ref_sigmoid, ALL, 0, 2.5, 3},
    {"softplus", v_softplus, ref_softplus, ALL, 0, 2.5, 4},
    {"sin", v_sin, ref_sin, 1e5, 0, 2, 2},
    {"cos", v_cos, ref_cos, 1e5, 0, 2, 2},
    {"sin2pi", v_sin2pi, ref_sin2pi, 1000, 0, 2, 4},
    {"cos2pi", v_cos2pi, ref_cos2pi, 1000, 0, 2, 4},
    {"cdf", v_cdf, ref_cdf, ALL, 1e-9, 6, 4},
    {"gelu", v_gelu, ref_gelu, ALL, 1e-9, 6.5, 4},
    {"gelu_grad", v_gelu_grad, ref_gelu_grad, ALL, 0.125, 5.5, 4},
};

static double case_limit(const Case *c)
{
    return DIGITS == 24 ? c->f32 : c->f64;
}

/* The largest error of one function over the sweep. */
static double sweep(const Case *c, real *where)
{
    const uint64_t end = DIGITS == 24 ? 1ull << 32 : UINT64_MAX - PATTERN_STEP;
    double worst = 0;
    for (uint64_t u = 1; u < end; u += PATTERN_STEP) {
        real x = from_pattern(u);
        if (!((double)(x < 0 ? -x : x) <= c->reach))
            continue;
        double e = ulps(c->fn(x), c->ref((Wide)x), c->floor_at);
        if (!(e <= worst)) {
            worst = e;
            *where = x;
        }
    }
    return worst;
}

static void test_sweeps(void **state)
{
    (void)state;
    if (!cpu_has())
        skip();
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        real where = 0;
        double worst = sweep(&cases[i], &where);
        if (getenv("CLEAVE_VERBOSE"))
            print_message("%-10s %7.3f ulp at %.9g\n", cases[i].name, worst,
                          (double)where);
        if (!(worst <= case_limit(&cases[i])))
            fail_msg("%s is %.3f ulp off at %.17g, %.3f are allowed", cases[i].name,
                     worst, (double)where, case_limit(&cases[i]));
    }
}

/* Bases and exponents whose powers fill the whole range of results, and negative bases
 * with whole exponents. */
static void test_pow(void **state)
{
    (void)state;
    if (!cpu_has())
        skip();
    uint64_t lcg = 1;
    double worst = 0;
    for (int i = 0; i < 1000000; i++) {
        lcg = lcg * 6364136223846793005ull + 1442695040888963407ull;
        double u = (double)(lcg >> 40) * 0x1p-24,
               v = (double)(lcg << 24 >> 40) * 0x1p-24;
        bool wide = i & 1;
        real x = (real)exp2(wide ? 200 * u - 100 : 2 * u - 1);
        real y = (real)((260 * v - 130) / (wide ? 50 : 0.5));
        if (i % 5 == 0) {
            x = -x;
            y = (real)(int)(12 * v - 6);
        }
        double e = ulps(v_pow(x, y), WIDE(pow)((Wide)x, (Wide)y), 0);
        if (!(e <= worst)) {
            worst = e;
            if (e > 2)
                fail_msg("pow(%.9g, %.9g) = %.9g is %g ulp off", (double)x, (double)y,
                         (double)v_pow(x, y), e);
        }
    }
    if (getenv("CLEAVE_VERBOSE"))
        print_message("%-10s %7.3f ulp\n", "pow", worst);
}

/* Equal in value, sign of zero and being NaN. */
static void check_same(const char *what, double x, double y, double got, double want)
{
    bool same = isnan(want) ? isnan(got)
                            : got == want && !signbit(got) == !signbit(want);
    if (!same)
        fail_msg("%s(%g, %g) is %g instead of %g", what, x, y, got, want);
}

static void test_special_values(void **state)
{
    (void)state;
    if (!cpu_has())
        skip();
    const double inf = HUGE_VAL, nan = inf - inf;
    const struct {
        const char *name;
        real (*fn)(real);
        double x, want;
    } rows[] = {
        {"exp", v_exp, -inf, 0},           {"exp", v_exp, inf, inf},
        {"exp", v_exp, 0, 1},              {"exp", v_exp, -1e30, 0},
        {"exp", v_exp, 1e30, inf},         {"exp", v_exp, nan, nan},
        {"expm1", v_expm1, -0.0, -0.0},    {"expm1", v_expm1, -inf, -1},
        {"expm1", v_expm1, inf, inf},      {"expm1", v_expm1, nan, nan},
        {"log", v_log, 0, -inf},           {"log", v_log, -0.0, -inf},
        {"log", v_log, -1, nan},           {"log", v_log, inf, inf},
        {"log", v_log, 1, 0},              {"log", v_log, nan, nan},
        {"log", v_log, -inf, nan},         {"log1p", v_log1p, -1, -inf},
        {"log1p", v_log1p, -2, nan},       {"log1p", v_log1p, inf, inf},
        {"log1p", v_log1p, -0.0, -0.0},    {"log1p", v_log1p, nan, nan},
        {"tanh", v_tanh, -0.0, -0.0},      {"tanh", v_tanh, inf, 1},
        {"tanh", v_tanh, -inf, -1},        {"tanh", v_tanh, nan, nan},
        {"erf", v_erf, -0.0, -0.0},        {"erf", v_erf, inf, 1},
        {"erf", v_erf, -inf, -1},          {"erf", v_erf, nan, nan},
        {"sigmoid", v_sigmoid, inf, 1},    {"sigmoid", v_sigmoid, -inf, 0},
        {"sigmoid", v_sigmoid, 0, 0.5},    {"sigmoid", v_sigmoid, nan, nan},
        {"softplus", v_softplus, inf, inf}, {"softplus", v_softplus, -inf, 0},
        {"softplus", v_softplus, nan, nan}, {"sqrt", v_sqrt, -1, nan},
        {"sqrt", v_sqrt, -0.0, -0.0},      {"rsqrt", v_rsqrt, 0, inf},
        {"rsqrt", v_rsqrt, inf, 0},        {"sin", v_sin, -0.0, -0.0},
        {"sin", v_sin, inf, nan},          {"sin", v_sin, nan, nan},
        {"cos", v_cos, 0, 1},              {"cos", v_cos, -inf, nan},
        {"cos", v_cos, nan, nan},          {"sin2pi", v_sin2pi, 0.25, 1},
        {"sin2pi", v_sin2pi, -0.25, -1},   {"cos2pi", v_cos2pi, 0.5, -1},
        {"gelu", v_gelu, -0.0, -0.0},      {"gelu", v_gelu, inf, inf},
        {"gelu", v_gelu, -inf, -0.0},      {"gelu", v_gelu, nan, nan},
        {"gelu_grad", v_gelu_grad, 0, 0.5}, {"gelu_grad", v_gelu_grad, inf, 1},
        {"gelu_grad", v_gelu_grad, nan, nan},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        check_same(rows[i].name, rows[i].x, 0, (double)rows[i].fn((real)rows[i].x),
                   rows[i].want);
    assert_true(fabs((double)v_gelu_grad((real)-inf)) == 0);

    /* Every pair of notable arguments, against C's pow. */
    const double p[] = {0,   -0.0, 1,   -1,  0.5,  -0.5, 2, -2, 3,    -3,
                        inf, -inf, nan, 1.5, -1.5, 7,    -7, 1e20, 16777217, 33554432};
    for (size_t i = 0; i < sizeof p / sizeof p[0]; i++) {
        for (size_t j = 0; j < sizeof p / sizeof p[0]; j++) {
            real x = (real)p[i], y = (real)p[j], got = v_pow(x, y);
            double want = pow((double)x, (double)y);
            if (ulps(got, (Wide)want, 0) <= 1.5 && (real)want != 0 &&
                !isinf((real)want))
                continue;
            check_same("pow", (double)x, (double)y, (double)got, (double)(real)want);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sweeps),
        cmocka_unit_test(test_pow),
        cmocka_unit_test(test_special_values),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
