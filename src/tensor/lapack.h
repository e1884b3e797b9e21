/* lapack.h -- the only door to LAPACK: dense factorisations of contiguous row-major f32 or f64
 * tensors. Single-threaded, so the same bits always. Signs and order are fixed: every
 * eigenvector and left singular vector has its largest |entry| positive (ties: smallest index);
 * R of QR has a non-negative diagonal. Inputs are never modified; outputs are new.
 * Interrupts are looked at before and after one call. ERR_NUMERIC: NaN in the input, no
 * convergence, not positive definite. */
#ifndef CLEAVE_TENSOR_LAPACK_H
#define CLEAVE_TENSOR_LAPACK_H
#include "tensor/tensor.h"

typedef enum EighOrder { EIGH_DESCENDING, EIGH_ASCENDING, EIGH_BY_MAGNITUDE } EighOrder;
/* a [n,n] symmetric (the lower triangle is read) = vec diag(val) vec^T;
 * val [n], vec [n,n] with eigenvectors as COLUMNS. */
bool lapack_eigh(const Tensor *a, EighOrder order, Tensor *val, Tensor *vec, Err *err);
/* a [m,n] = u diag(s) vt, thin: u [m,k], s [k] descending, vt [k,n], k = min(m,n). */
bool lapack_svd(const Tensor *a, Tensor *u, Tensor *s, Tensor *vt, Err *err);
/* a [m,n] = q r, thin: q [m,k], r [k,n]. */
bool lapack_qr(const Tensor *a, Tensor *q, Tensor *r, Err *err);
/* a [n,n] symmetric positive definite = l l^T, l lower triangular. */
bool lapack_cholesky(const Tensor *a, Tensor *l, Err *err);
/* Least squares min |a x - b|: a [m,n], b [m] or [m,k]; minimum norm, rank by singular
 * values below rcond * largest (rcond <= 0: machine precision * max(m,n)). */
bool lapack_lstsq(const Tensor *a, const Tensor *b, double rcond, Tensor *x, int *rank,
                  Err *err);
/* Solves a x = b, a [n,n] general. ERR_NUMERIC when singular. */
bool lapack_solve(const Tensor *a, const Tensor *b, Tensor *x, Err *err);
#endif
