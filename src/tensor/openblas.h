/* openblas.h -- the library behind blas.c and lapack.c, its only users. It is opened at the first
 * product, not at start: its own threads, which would never be used here, are not even
 * made, and a command that multiplies nothing starts faster. */
#ifndef CLEAVE_TENSOR_OPENBLAS_H
#define CLEAVE_TENSOR_OPENBLAS_H
#include <cblas.h>
#include <stddef.h>

#include "base/err.h"

/* LAPACK's Fortran symbols. Every CHARACTER argument carries a hidden length behind the last
 * argument, as gfortran expects. */
typedef const int *IntP;
typedef const char *CharP;
#define FORTRAN(p, real)                                                               \
    void p##syevd_(CharP jobz, CharP uplo, IntP n, real *a, IntP lda, real *w,         \
                   real *work, IntP lwork, int *iwork, IntP liwork, int *info, size_t, \
                   size_t);                                                            \
    void p##gesdd_(CharP jobz, IntP m, IntP n, real *a, IntP lda, real *s, real *u,    \
                   IntP ldu, real *vt, IntP ldvt, real *work, IntP lwork, int *iwork,  \
                   int *info, size_t);                                                 \
    void p##geqrf_(IntP m, IntP n, real *a, IntP lda, real *tau, real *work,           \
                   IntP lwork, int *info);                                             \
    void p##orgqr_(IntP m, IntP n, IntP k, real *a, IntP lda, const real *tau,         \
                   real *work, IntP lwork, int *info);                                 \
    void p##potrf_(CharP uplo, IntP n, real *a, IntP lda, int *info, size_t);          \
    void p##gelsd_(IntP m, IntP n, IntP nrhs, real *a, IntP lda, real *b, IntP ldb,    \
                   real *s, const real *rcond, int *rank, real *work, IntP lwork,      \
                   int *iwork, int *info);                                             \
    void p##gesvx_(CharP fact, CharP trans, IntP n, IntP nrhs, real *a, IntP lda,      \
                   real *af, IntP ldaf, int *ipiv, char *equed, real *r, real *c,      \
                   real *b, IntP ldb, real *x, IntP ldx, real *rcond, real *ferr,      \
                   real *berr, real *work, int *iwork, int *info, size_t, size_t,      \
                   size_t);
FORTRAN(s, float)
FORTRAN(d, double)

/* clang-format off */
#define OPENBLAS_FUNCTIONS(F)                                                          \
    F(openblas_set_num_threads) F(openblas_get_corename) F(openblas_get_config)        \
    F(cblas_sgemm) F(cblas_dgemm) F(cblas_sgemv) F(cblas_dgemv) F(cblas_sdot)          \
    F(cblas_ddot) F(ssyevd_) F(dsyevd_) F(sgesdd_) F(dgesdd_) F(sgeqrf_) F(dgeqrf_)    \
    F(sorgqr_) F(dorgqr_) F(spotrf_) F(dpotrf_) F(sgelsd_) F(dgelsd_) F(sgesvx_)       \
    F(dgesvx_)
/* clang-format on */
#define OPENBLAS_POINTER(name) __typeof__(&name) name;

typedef struct OpenBlas {
    OPENBLAS_FUNCTIONS(OPENBLAS_POINTER)
} OpenBlas;
/* Its functions; NULL members when it could not be opened. Opens it on the first call. */
const OpenBlas *openblas(void);
/* false with ERR_IO when the library is not there. */
bool openblas_ready(Err *err);
#endif
