/* blas.h -- the only door to CBLAS. OpenBLAS runs single-threaded; products above a
 * size fixed by shape are cut in two along their longer output dimension (at a
 * multiple of 16) and the halves run on the pool, so the bits do not depend on the
 * number of threads. Skinny f32 products are tiled for the AVX-512 kernels, so their
 * bits also depend on which kernels are in use (blas_core()). Long products are cut
 * further so that an interrupt is seen within 50 ms (false: interrupted). Row-major;
 * trans_a means A is stored [K,M]. Leading dimensions in elements. */
#ifndef CLEAVE_TENSOR_BLAS_H
#define CLEAVE_TENSOR_BLAS_H
#include <stdint.h>

#include "base/err.h"

bool blas_gemm_f32(bool trans_a, bool trans_b, int64_t M, int64_t N, int64_t K, float alpha,
                   const float *A, int64_t lda, const float *B, int64_t ldb, float beta,
                   float *C, int64_t ldc, Err *err);
bool blas_gemm_f64(bool trans_a, bool trans_b, int64_t M, int64_t N, int64_t K,
                   double alpha, const double *A, int64_t lda, const double *B,
                   int64_t ldb, double beta, double *C, int64_t ldc, Err *err);
/* y = alpha*A x + beta*y, A [M,N] (or its transpose). */
void blas_gemv_f32(bool trans, int64_t M, int64_t N, float alpha, const float *A,
                   int64_t lda, const float *x, float beta, float *y);
void blas_gemv_f64(bool trans, int64_t M, int64_t N, double alpha, const double *A,
                   int64_t lda, const double *x, double beta, double *y);
/* Sum of x_i y_i: blocks of 65536 in the library, block sums added in order in
 * double. */
double blas_dot_f32(int64_t n, const float *x, const float *y);
double blas_dot_f64(int64_t n, const double *x, const double *y);
/* The kernels OpenBLAS picked ("Cooperlake"), its version, and a one-line notice when
 * the CPU has AVX-512 and the kernels are AVX2 ones (NULL when all is well). */
const char *blas_core(void);
const char *blas_version(void);
const char *blas_notice(void);
/* false with ERR_IO when OpenBLAS could not be opened, which the first call does. gemv and dot
 * may be called only after true; gemm looks by itself. */
bool blas_ready(Err *err);
void blas_init(void); /* one thread; called once by main and tests, idempotent */
#endif
