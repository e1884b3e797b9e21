/* lapack.c -- factorisations by LAPACK's Fortran symbols (OpenBLAS has no LAPACKE
 * here).
 *
 * A row-major [m,n] matrix is, in memory, the column-major transpose [n,m]. Where the
 * algebra allows it that is used as it is:
 *   eigh      symmetric; our lower triangle is Fortran's upper one
 *   cholesky  A = U^T U in Fortran's view, and U's memory read by rows is L
 *   svd       A^T = U' S V'^T, so U' read by rows is vt and V'^T read by rows is u
 *   solve     A^T is what Fortran sees, and it is asked for the transposed system
 * qr and lstsq work on a transposed copy. Every CHARACTER argument carries a hidden
 * length after the last argument, as gfortran expects.
 *
 * solve goes through the expert driver: it equilibrates and estimates the condition,
 * so a badly scaled matrix is solved and a singular one is found out. */
#include "tensor/lapack.h"

#include <float.h>
#include <limits.h>
#include <math.h>
#include <string.h>

#include "base/intr.h"
#include "base/mem.h"
#include "tensor/blas.h"
#include "tensor/openblas.h"

/* Calls the routine of the matrix's dtype: the two differ only in pointer types, which
 * void * converts to. */
#define CALL(is_f64, name, ...)                                                        \
    ((is_f64) ? openblas()->d##name(__VA_ARGS__) : openblas()->s##name(__VA_ARGS__))

enum { WORK_SLOTS = 8 };

/* Scratch memory of one factorisation; freed together. */
typedef struct Work {
    void *p[WORK_SLOTS];
    int n;
    Err *err;
} Work;

static void *work_take(Work *w, size_t count, size_t size)
{
    void *p = mem_array(count ? count : 1, size, w->err);
    if (p)
        w->p[w->n++] = p;
    return p;
}

static void work_done(Work *w)
{
    while (w->n > 0)
        mem_free(w->p[--w->n]);
}

static double get(const void *p, bool is_f64, int64_t i)
{
    return is_f64 ? ((const double *)p)[i] : (double)((const float *)p)[i];
}

static void put(void *p, bool is_f64, int64_t i, double value)
{
    if (is_f64)
        ((double *)p)[i] = value;
    else
        ((float *)p)[i] = (float)value;
}

/* ---- arguments and results ------------------------------------------------------- */

static bool check_matrix(const char *what, const Tensor *a, bool square, Err *err)
{
    char shape[96];
    if ((a->dtype != F32 && a->dtype != F64) || a->ndim != 2)
        return err_set(err, ERR_SHAPE, "%s: needs an f32 or f64 matrix, got %s", what,
                       tensor_format_shape(a, shape));
    if (square && a->dim[0] != a->dim[1])
        return err_set(err, ERR_SHAPE, "%s: needs a square matrix, got %s", what,
                       tensor_format_shape(a, shape));
    if (a->dim[0] > INT_MAX / 4 || a->dim[1] > INT_MAX / 4)
        return err_set(err, ERR_SHAPE, "%s: %s is too large for LAPACK", what,
                       tensor_format_shape(a, shape));
    return openblas_ready(err);
}

/* Every entry of a contiguous matrix is finite; `lower`: only the triangle that is
 * read. */
static bool check_finite(const char *what, const Tensor *c, bool lower, Err *err)
{
    bool f64 = c->dtype == F64;
    int64_t rows = c->ndim ? c->dim[0] : 1, cols = c->ndim > 1 ? c->dim[1] : 1;
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j < (lower ? i + 1 : cols); j++) {
            double v = get(c->data, f64, i * cols + j);
            if (!isfinite(v))
                return err_set(
                    err, ERR_NUMERIC,
                    "%s: entry [%lld,%lld] is %s; every entry must be finite", what,
                    (long long)i, (long long)j, isnan(v) ? "NaN" : "infinite");
        }
    return true;
}

/* A private contiguous copy of a, transposed on request, checked for finite entries. */
static bool load(const char *what, const Tensor *a, bool transposed, bool lower,
                 Tensor *out, Err *err)
{
    Tensor view = {0};
    memset(out, 0, sizeof *out);
    if (!check_finite(what, a, lower, err)) /* in the caller's indices */
        return false;
    if (!transposed)
        return tensor_copy(a, out, err);
    bool ok = tensor_transpose(a, 0, 1, &view, err) && tensor_copy(&view, out, err);
    tensor_release(&view);
    return ok;
}

static bool new_matrix(DType t, int64_t m, int64_t n, Tensor *out, Err *err)
{
    return tensor_new(t, 2, (int64_t[]){m, n}, out, err);
}

/* LAPACK's own verdict. A negative info is a fault of this file, not of the user. */
static bool check_info(const char *what, int info, const char *why, Err *err)
{
    if (info == 0)
        return true;
    if (info < 0)
        return err_set(err, ERR_STATE, "%s: LAPACK refused argument %d", what, -info);
    return err_set(err, ERR_NUMERIC, "%s: %s", what, why);
}

/* The size a workspace query returned; single precision may have rounded it down. */
static bool work_size(const char *what, const void *query, bool is_f64, int *lwork,
                      Err *err)
{
    double n = get(query, is_f64, 0);
    n = ceil(is_f64 ? n : n * (1 + 2 * (double)FLT_EPSILON)) + 1;
    if (!(n < INT_MAX))
        return err_set(err, ERR_SHAPE, "%s: the matrix is too large for LAPACK", what);
    *lwork = (int)fmax(n, 1);
    return true;
}

/* +1 or -1: the sign that makes the largest |entry| positive; ties go to the first. */
static double fixed_sign(const void *p, bool is_f64, int64_t first, int64_t step,
                         int64_t n)
{
    double best = 0, sign = 1;
    for (int64_t i = 0; i < n; i++) {
        double v = get(p, is_f64, first + i * step);
        if (fabs(v) > best) {
            best = fabs(v);
            sign = v < 0 ? -1 : 1;
        }
    }
    return sign;
}

/* ---- symmetric eigenproblem ------------------------------------------------------ */

/* Which of LAPACK's ascending eigenvalues comes at each place. By magnitude is a merge
 * from both ends; of two equal magnitudes the positive one comes first. */
static void eigen_order(const void *val, bool is_f64, int n, EighOrder order, int *perm)
{
    int lo = 0, hi = n - 1;
    for (int j = 0; j < n; j++) {
        bool take_hi = order == EIGH_DESCENDING ||
                       (order == EIGH_BY_MAGNITUDE &&
                        fabs(get(val, is_f64, hi)) >= fabs(get(val, is_f64, lo)));
        perm[j] = take_hi ? hi-- : lo++;
    }
}

/* LAPACK left eigenvector j in row j of `rows`, value j in `raw`. */
static void eigen_collect(const Tensor *rows, const void *raw, const int *perm,
                          Tensor *val, Tensor *vec)
{
    bool f64 = rows->dtype == F64;
    int64_t n = rows->dim[0];
    for (int64_t j = 0; j < n; j++) {
        int64_t from = perm[j] * n;
        double sign = fixed_sign(rows->data, f64, from, 1, n);
        put(val->data, f64, j, get(raw, f64, perm[j]));
        for (int64_t i = 0; i < n; i++)
            put(vec->data, f64, i * n + j, sign * get(rows->data, f64, from + i));
    }
}

static bool eigen_run(Tensor *c, EighOrder order, Tensor *val, Tensor *vec, Work *w)
{
    bool f64 = c->dtype == F64;
    int64_t wide = c->dim[0];
    if (1 + 6 * wide + 2 * wide * wide > INT_MAX)
        return err_set(
            w->err, ERR_SHAPE,
            "eigh: %lld x %lld is too large; at most 32760 x 32760 is possible",
            (long long)wide, (long long)wide);
    int n = (int)wide, lwork = 1 + 6 * n + 2 * n * n, liwork = 3 + 5 * n, info = 0;
    size_t size = dtype_size(c->dtype);
    void *raw = work_take(w, (size_t)n, size);
    void *work = raw ? work_take(w, (size_t)lwork, size) : NULL;
    int *iwork = work ? work_take(w, (size_t)liwork, sizeof *iwork) : NULL;
    int *perm = iwork ? work_take(w, (size_t)n, sizeof *perm) : NULL;
    if (!perm)
        return false;
    CALL(f64, syevd_, "V", "U", &n, c->data, &n, raw, work, &lwork, iwork, &liwork,
         &info, 1, 1);
    if (!check_info("eigh", info, "the eigenvalues did not converge", w->err) ||
        !intr_check(w->err))
        return false;
    eigen_order(raw, f64, n, order, perm);
    eigen_collect(c, raw, perm, val, vec);
    return true;
}

bool lapack_eigh(const Tensor *a, EighOrder order, Tensor *val, Tensor *vec, Err *err)
{
    Tensor c = {0}, src = {0};
    Work w = {.err = err};
    memset(val, 0, sizeof *val);
    memset(vec, 0, sizeof *vec);
    blas_init();
    bool ok = check_matrix("eigh", a, true, err) && intr_check(err) &&
              tensor_contiguous_of(a, &src, err) &&
              load("eigh", &src, false, true, &c, err) &&
              tensor_new(a->dtype, 1, a->dim, val, err) &&
              tensor_new(a->dtype, 2, a->dim, vec, err) &&
              (a->dim[0] == 0 || eigen_run(&c, order, val, vec, &w));
    work_done(&w);
    tensor_release(&c);
    tensor_release(&src);
    if (!ok) {
        tensor_release(val);
        tensor_release(vec);
    }
    return ok;
}

/* ---- singular values ------------------------------------------------------------- */

static void svd_fix_signs(Tensor *u, Tensor *vt)
{
    bool f64 = u->dtype == F64;
    int64_t m = u->dim[0], k = u->dim[1], n = vt->dim[1];
    for (int64_t j = 0; j < k; j++) {
        if (fixed_sign(u->data, f64, j, k, m) > 0)
            continue;
        for (int64_t i = 0; i < m; i++)
            put(u->data, f64, i * k + j, -get(u->data, f64, i * k + j));
        for (int64_t i = 0; i < n; i++)
            put(vt->data, f64, j * n + i, -get(vt->data, f64, j * n + i));
    }
}

static bool svd_run(Tensor *c, Tensor *u, Tensor *s, Tensor *vt, Work *w)
{
    bool f64 = c->dtype == F64;
    int m = (int)c->dim[0], n = (int)c->dim[1], k = m < n ? m : n, lwork = -1, info = 0;
    _Alignas(8) char query[8] = {0}; /* one number of either type */
    int *iwork = work_take(w, 8 * (size_t)k, sizeof *iwork);
    if (!iwork)
        return false;
    CALL(f64, gesdd_, "S", &n, &m, c->data, &n, s->data, vt->data, &n, u->data, &k,
         (void *)query, &lwork, iwork, &info, 1);
    if (!work_size("svd", query, f64, &lwork, w->err))
        return false;
    void *work = work_take(w, (size_t)lwork, dtype_size(c->dtype));
    if (!work)
        return false;
    CALL(f64, gesdd_, "S", &n, &m, c->data, &n, s->data, vt->data, &n, u->data, &k,
         work, &lwork, iwork, &info, 1);
    if (!check_info("svd", info, "the singular values did not converge", w->err) ||
        !intr_check(w->err))
        return false;
    svd_fix_signs(u, vt);
    return true;
}

bool lapack_svd(const Tensor *a, Tensor *u, Tensor *s, Tensor *vt, Err *err)
{
    Tensor c = {0}, src = {0};
    Work w = {.err = err};
    memset(u, 0, sizeof *u);
    memset(s, 0, sizeof *s);
    memset(vt, 0, sizeof *vt);
    blas_init();
    if (!check_matrix("svd", a, false, err) || !intr_check(err))
        return false;
    int64_t m = a->dim[0], n = a->dim[1], k = m < n ? m : n;
    bool ok =
        tensor_contiguous_of(a, &src, err) &&
        load("svd", &src, false, false, &c, err) &&
        new_matrix(a->dtype, m, k, u, err) && tensor_new(a->dtype, 1, &k, s, err) &&
        new_matrix(a->dtype, k, n, vt, err) && (k == 0 || svd_run(&c, u, s, vt, &w));
    work_done(&w);
    tensor_release(&c);
    tensor_release(&src);
    if (!ok) {
        tensor_release(u);
        tensor_release(s);
        tensor_release(vt);
    }
    return ok;
}

/* ---- QR -------------------------------------------------------------------------- */

/* c is the transposed copy [n,m]: Fortran's m x n. R goes out before Q overwrites
 * it. */
static bool qr_run(Tensor *c, Tensor *q, Tensor *r, Work *w)
{
    bool f64 = c->dtype == F64;
    int n = (int)c->dim[0], m = (int)c->dim[1], k = m < n ? m : n, lwork = -1, info = 0;
    int lwork_q = -1;
    _Alignas(8) char query[8] = {0}; /* one number of either type */
    void *tau = work_take(w, (size_t)k, dtype_size(c->dtype));
    double *sign = tau ? work_take(w, (size_t)k, sizeof *sign) : NULL;
    if (!sign)
        return false;
    CALL(f64, geqrf_, &m, &n, c->data, &m, tau, (void *)query, &lwork, &info);
    if (!work_size("qr", query, f64, &lwork, w->err))
        return false;
    CALL(f64, orgqr_, &m, &k, &k, c->data, &m, tau, (void *)query, &lwork_q, &info);
    if (!work_size("qr", query, f64, &lwork_q, w->err))
        return false;
    lwork = lwork > lwork_q ? lwork : lwork_q;
    void *work = work_take(w, (size_t)lwork, dtype_size(c->dtype));
    if (!work)
        return false;
    CALL(f64, geqrf_, &m, &n, c->data, &m, tau, work, &lwork, &info);
    if (!check_info("qr", info, "the factorisation failed", w->err) ||
        !intr_check(w->err))
        return false;
    for (int64_t i = 0; i < k; i++) {
        sign[i] = signbit(get(c->data, f64, i * m + i)) ? -1 : 1;
        for (int64_t j = 0; j < n; j++)
            put(r->data, f64, i * n + j,
                j < i ? 0 : sign[i] * get(c->data, f64, j * m + i));
    }
    CALL(f64, orgqr_, &m, &k, &k, c->data, &m, tau, work, &lwork, &info);
    if (!check_info("qr", info, "the factorisation failed", w->err))
        return false;
    for (int64_t i = 0; i < m; i++)
        for (int64_t j = 0; j < k; j++)
            put(q->data, f64, i * k + j, sign[j] * get(c->data, f64, j * m + i));
    return intr_check(w->err);
}

bool lapack_qr(const Tensor *a, Tensor *q, Tensor *r, Err *err)
{
    Tensor c = {0}, src = {0};
    Work w = {.err = err};
    memset(q, 0, sizeof *q);
    memset(r, 0, sizeof *r);
    blas_init();
    if (!check_matrix("qr", a, false, err) || !intr_check(err))
        return false;
    int64_t m = a->dim[0], n = a->dim[1], k = m < n ? m : n;
    bool ok = tensor_contiguous_of(a, &src, err) &&
              load("qr", &src, true, false, &c, err) &&
              new_matrix(a->dtype, m, k, q, err) &&
              new_matrix(a->dtype, k, n, r, err) && (k == 0 || qr_run(&c, q, r, &w));
    work_done(&w);
    tensor_release(&c);
    tensor_release(&src);
    if (!ok) {
        tensor_release(q);
        tensor_release(r);
    }
    return ok;
}

/* ---- Cholesky -------------------------------------------------------------------- */

static bool cholesky_run(Tensor *l, Err *err)
{
    bool f64 = l->dtype == F64;
    int n = (int)l->dim[0], info = 0;
    CALL(f64, potrf_, "U", &n, l->data, &n, &info, 1);
    if (info > 0)
        return err_set(
            err, ERR_NUMERIC,
            "cholesky: the matrix is not positive definite: its leading %d x %d "
            "block has no factor",
            info, info);
    if (!check_info("cholesky", info, "", err))
        return false;
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = i + 1; j < n; j++)
            put(l->data, f64, i * n + j, 0);
    return intr_check(err);
}

bool lapack_cholesky(const Tensor *a, Tensor *l, Err *err)
{
    Tensor src = {0};
    memset(l, 0, sizeof *l);
    blas_init();
    bool ok = check_matrix("cholesky", a, true, err) && intr_check(err) &&
              tensor_contiguous_of(a, &src, err) &&
              load("cholesky", &src, false, true, l, err) &&
              (a->dim[0] == 0 || cholesky_run(l, err));
    tensor_release(&src);
    if (!ok)
        tensor_release(l);
    return ok;
}

/* ---- linear systems -------------------------------------------------------------- */

/* b as a contiguous matrix [m,k] of a's dtype; a vector is one column. */
static bool load_rhs(const char *what, const Tensor *a, const Tensor *b, Tensor *out,
                     Err *err)
{
    char sa[96], sb[96];
    Tensor flat = {0};
    memset(out, 0, sizeof *out);
    if (b->dtype != a->dtype || b->ndim < 1 || b->ndim > 2 || b->dim[0] != a->dim[0])
        return err_set(
            err, ERR_SHAPE,
            "%s: the right side must be [%lld] or [%lld,k] of the matrix's type, "
            "got %s with %s",
            what, (long long)a->dim[0], (long long)a->dim[0],
            tensor_format_shape(a, sa), tensor_format_shape(b, sb));
    int64_t k = b->ndim == 2 ? b->dim[1] : 1;
    bool ok = tensor_contiguous_of(b, &flat, err) &&
              check_finite(what, &flat, false, err) &&
              tensor_reshape(&flat, 2, (int64_t[]){b->dim[0], k}, out, err);
    tensor_release(&flat);
    if (!ok)
        tensor_release(out);
    return ok;
}

/* The first n rows of Fortran's ld x k matrix as a row-major tensor shaped like b's. */
static bool collect_x(const void *x, int64_t ld, int64_t n, const Tensor *b,
                      Tensor *out, Err *err)
{
    bool f64 = b->dtype == F64;
    int64_t k = b->ndim == 2 ? b->dim[1] : 1;
    if (!tensor_new(b->dtype, b->ndim, (int64_t[]){n, k}, out, err))
        return false;
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < k; j++)
            put(out->data, f64, i * k + j, get(x, f64, j * ld + i));
    return true;
}

/* Fortran's ld x k copy of the row-major [m,k] right side, padded with zeros. */
static void *columns_of(const Tensor *rhs, int64_t ld, Work *w)
{
    bool f64 = rhs->dtype == F64;
    int64_t m = rhs->dim[0], k = rhs->dim[1];
    void *p = work_take(w, (size_t)(ld * k), dtype_size(rhs->dtype));
    for (int64_t j = 0; p && j < k; j++)
        for (int64_t i = 0; i < ld; i++)
            put(p, f64, j * ld + i, i < m ? get(rhs->data, f64, i * k + j) : 0);
    return p;
}

static bool lstsq_run(Tensor *c, const Tensor *rhs, double rcond, int *rank, void **x,
                      Work *w)
{
    bool f64 = c->dtype == F64;
    int n = (int)c->dim[0], m = (int)c->dim[1], k = (int)rhs->dim[1], info = 0,
        lwork = -1;
    int ld = m > n ? m : n, liwork = 0;
    _Alignas(8) char query[8] = {0}, cut[8] = {0};
    put(cut, f64, 0,
        rcond > 0 ? rcond : (f64 ? DBL_EPSILON : (double)FLT_EPSILON) * ld);
    *x = columns_of(rhs, ld, w);
    void *s = *x ? work_take(w, (size_t)(m < n ? m : n), dtype_size(c->dtype)) : NULL;
    if (!s)
        return false;
    CALL(f64, gelsd_, &m, &n, &k, c->data, &m, *x, &ld, s, (void *)cut, rank,
         (void *)query, &lwork, &liwork, &info);
    if (!work_size("lstsq", query, f64, &lwork, w->err))
        return false;
    void *work = work_take(w, (size_t)lwork, dtype_size(c->dtype));
    int *iwork = work ? work_take(w, (size_t)liwork + 1, sizeof *iwork) : NULL;
    if (!iwork)
        return false;
    CALL(f64, gelsd_, &m, &n, &k, c->data, &m, *x, &ld, s, (void *)cut, rank, work,
         &lwork, iwork, &info);
    return check_info("lstsq", info, "the singular values did not converge", w->err) &&
           intr_check(w->err);
}

bool lapack_lstsq(const Tensor *a, const Tensor *b, double rcond, Tensor *x, int *rank,
                  Err *err)
{
    Tensor c = {0}, src = {0}, rhs = {0};
    Work w = {.err = err};
    void *columns = NULL;
    int found = 0;
    memset(x, 0, sizeof *x);
    blas_init();
    bool ok = check_matrix("lstsq", a, false, err) && intr_check(err) &&
              tensor_contiguous_of(a, &src, err) &&
              load("lstsq", &src, true, false, &c, err) &&
              load_rhs("lstsq", a, b, &rhs, err);
    if (ok && a->dim[0] * a->dim[1] == 0)
        ok = tensor_zeros(b->dtype, b->ndim,
                          (int64_t[]){a->dim[1], b->ndim == 2 ? b->dim[1] : 1}, x, err);
    else if (ok)
        ok = lstsq_run(&c, &rhs, rcond, &found, &columns, &w) &&
             collect_x(columns, a->dim[0] > a->dim[1] ? a->dim[0] : a->dim[1],
                       a->dim[1], b, x, err);
    if (rank)
        *rank = ok ? found : 0;
    work_done(&w);
    tensor_release(&c);
    tensor_release(&src);
    tensor_release(&rhs);
    return ok;
}

static bool solve_run(Tensor *c, const Tensor *rhs, void **x, Work *w)
{
    bool f64 = c->dtype == F64;
    int n = (int)c->dim[0], k = (int)rhs->dim[1], info = 0;
    size_t size = dtype_size(c->dtype), N = (size_t)n, K = (size_t)k;
    _Alignas(8) char rcond[8] = {0};
    char equed = 'N';
    void *b = columns_of(rhs, n, w);
    void *af = b ? work_take(w, N * N, size) : NULL;
    void *real =
        af ? work_take(w, 6 * N + 2 * K, size) : NULL; /* r, c, work, ferr, berr */
    int *iwork = real ? work_take(w, 2 * N, sizeof *iwork) : NULL;
    *x = iwork ? work_take(w, N * K, size) : NULL;
    if (!*x)
        return false;
    char *r = real, *col = r + N * size, *work = col + N * size;
    char *ferr = work + 4 * N * size, *berr = ferr + K * size;
    CALL(f64, gesvx_, "E", "T", &n, &k, c->data, &n, af, &n, iwork + n, &equed,
         (void *)r, (void *)col, b, &n, *x, &n, (void *)rcond, (void *)ferr,
         (void *)berr, (void *)work, iwork, &info, 1, 1, 1);
    if (info > 0)
        return err_set(w->err, ERR_NUMERIC,
                       "solve: the matrix is singular to working precision (reciprocal "
                       "condition %.2g); least squares can be asked for instead",
                       info <= n ? 0.0 : get(rcond, f64, 0));
    return check_info("solve", info, "", w->err) && intr_check(w->err);
}

bool lapack_solve(const Tensor *a, const Tensor *b, Tensor *x, Err *err)
{
    Tensor c = {0}, src = {0}, rhs = {0};
    Work w = {.err = err};
    void *columns = NULL;
    memset(x, 0, sizeof *x);
    blas_init();
    bool ok = check_matrix("solve", a, true, err) && intr_check(err) &&
              tensor_contiguous_of(a, &src, err) &&
              load("solve", &src, false, false, &c, err) &&
              load_rhs("solve", a, b, &rhs, err);
    if (ok && a->dim[0] == 0)
        ok = tensor_zeros(b->dtype, b->ndim, b->dim, x, err);
    else if (ok)
        ok = solve_run(&c, &rhs, &columns, &w) &&
             collect_x(columns, a->dim[0], a->dim[0], b, x, err);
    work_done(&w);
    tensor_release(&c);
    tensor_release(&src);
    tensor_release(&rhs);
    return ok;
}
