/* vmath_f32_avx2.c -- vmath.h in float, compiled for AVX2 and fused multiply-add. */
#define KERN_SUFFIX f32_avx2
#pragma GCC target("avx2,fma")
static int cpu_has(void)
{
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}

#include "tensor/vmath_body.h"
