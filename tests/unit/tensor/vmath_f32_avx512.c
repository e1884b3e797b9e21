/* vmath_f32_avx512.c -- vmath.h in float, compiled for AVX-512. */
#define KERN_SUFFIX f32_avx512
#pragma GCC target("avx2,fma,avx512f,avx512bw,avx512dq,avx512vl")
static int cpu_has(void)
{
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl");
}

#include "tensor/vmath_body.h"
