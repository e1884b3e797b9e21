/* vmath_f32_base.c -- vmath.h in float, baseline instruction set. */
#define KERN_SUFFIX f32_base
static int cpu_has(void)
{
    return 1;
}

#include "tensor/vmath_body.h"
