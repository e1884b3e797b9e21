/* kern.h -- one source, four objects. A file called *_kern.c is compiled as f32_base,
 * f32_avx2, f32_avx512 and f64_base by the Makefile; KERN(f) gives its symbols the
 * suffix and `real` is the element type. It ends in one const table (KERN(table)) that
 * the dispatching file picks from with KERN_PICK. Kernels see plain pointers, sizes. */
#ifndef CLEAVE_BASE_KERN_H
#define CLEAVE_BASE_KERN_H

#define KERN_CAT2(a, b) a##_##b
#define KERN_CAT(a, b) KERN_CAT2(a, b)

#ifdef KERN_SUFFIX /* set on the command line: f32_base ... */
#define KERN(name) KERN_CAT(name, KERN_SUFFIX)
#ifdef KERN_F64
typedef double real;
typedef long long int_of_real; /* same width as real */
#else
typedef float real;
typedef int int_of_real;
#endif
#endif

/* Declares the four tables of a kernel file: KERN_TABLES(EwTable, ew_table); */
#define KERN_TABLES(type, name)                                                        \
    extern const type name##_f32_base, name##_f32_avx2, name##_f32_avx512,             \
        name##_f64_base

/* Instruction set in use, fixed at start: 0 baseline, 1 AVX2+FMA, 2 AVX-512. */
typedef enum IsaLevel { ISA_BASE, ISA_AVX2, ISA_AVX512 } IsaLevel;
IsaLevel isa_level(void);
/* "baseline", "avx2", "avx512": forces one at or below what the CPU has (--isa,
 * $CLEAVE_ISA); false when it is unknown or the CPU lacks it, which $CLEAVE_ISA alone
 * does not report: the best level is used then. Before any kernel runs. */
_Bool isa_force(const char *name);
const char *isa_name(void);

/* The table for a dtype: KERN_PICK(ew_table, is_f64) */
#define KERN_PICK(name, is_f64)                                                        \
    ((is_f64)                       ? &name##_f64_base                                 \
     : isa_level() == ISA_AVX512 ? &name##_f32_avx512                                  \
     : isa_level() == ISA_AVX2   ? &name##_f32_avx2                                    \
                                 : &name##_f32_base)

/* Flush-to-zero and denormals-are-zero around the core; restore what Lua had. */
unsigned fpmode_enter(void);
void fpmode_leave(unsigned saved);
#endif
