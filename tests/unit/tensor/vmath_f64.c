/* vmath_f64.c -- vmath.h in double. */
#define KERN_SUFFIX f64_base
#define KERN_F64
static int cpu_has(void)
{
    return 1;
}

#include "tensor/vmath_body.h"
