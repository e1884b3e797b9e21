/* isa.c -- which of the compiled kernel variants runs. The level is settled once, on
 * first use: the best the CPU and the system's register saving allow, lowered by
 * $CLEAVE_ISA if that names a level this machine has. */
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/kern.h"

#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

static const char *const names[] = {"baseline", "avx2", "avx512"};
static _Atomic int level = -1;

static int cpu_level(void)
{
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma"))
        return ISA_BASE;
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"))
        return ISA_AVX512;
    return ISA_AVX2;
#else
    return ISA_BASE;
#endif
}

/* The level of that name, -1 when there is none or the CPU lacks it. */
static int usable_level(const char *name)
{
    for (int i = 0; name && i <= ISA_AVX512; i++)
        if (strcmp(name, names[i]) == 0)
            return i <= cpu_level() ? i : -1;
    return -1;
}

IsaLevel isa_level(void)
{
    int now = atomic_load_explicit(&level, memory_order_relaxed);
    if (now < 0) {
        int asked = usable_level(getenv("CLEAVE_ISA"));
        int first = -1;
        now = asked >= 0 ? asked : cpu_level();
        if (!atomic_compare_exchange_strong(&level, &first, now))
            now = first;
    }
    return (IsaLevel)now;
}

_Bool isa_force(const char *name)
{
    int asked = usable_level(name);
    if (asked < 0)
        return 0;
    atomic_store(&level, asked);
    return 1;
}

const char *isa_name(void)
{
    return names[isa_level()];
}

#if defined(__x86_64__)
enum { MXCSR_DAZ = 0x0040, MXCSR_FTZ = 0x8000 };

unsigned fpmode_enter(void)
{
    unsigned saved = _mm_getcsr();
    _mm_setcsr(saved | MXCSR_DAZ | MXCSR_FTZ);
    return saved;
}

void fpmode_leave(unsigned saved)
{
    _mm_setcsr(saved);
}
#else
unsigned fpmode_enter(void)
{
    return 0;
}

void fpmode_leave(unsigned saved)
{
    (void)saved;
}
#endif
