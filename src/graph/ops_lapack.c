/* ops_lapack.c -- factorisations as ops, through tensor/lapack.h. They run on one
 * thread, have no gradient, and allocate their workspace at every run, in plans too. */
#include <string.h>

#include "graph/families.h"
#include "tensor/lapack.h"

/* A result of LAPACK becomes an output of the op. */
static bool hand_over(Tensor *from, Tensor *to, Err *err)
{
    bool ok = tensor_copy_into(from, to, err);
    tensor_release(from);
    return ok;
}

static bool need_square(const Spec *in, Err *err)
{
    char text[96];
    if (!need_float(in, 0, err) || !need_ndim(in, 0, 2, err))
        return false;
    return in[0].dim[0] == in[0].dim[1] ||
           err_set(err, ERR_SHAPE, "needs a square matrix, got %s",
                   spec_format(&in[0], text));
}

static int64_t smaller_side(const Spec *s)
{
    return s->dim[0] < s->dim[1] ? s->dim[0] : s->dim[1];
}

static bool order_of(const char *name, EighOrder *order, Err *err)
{
    static const char *const names[] = {"descending", "ascending", "magnitude"};
    static const EighOrder orders[] = {EIGH_DESCENDING, EIGH_ASCENDING,
                                       EIGH_BY_MAGNITUDE};
    for (size_t k = 0; k < ARRAY_LEN(names); k++)
        if (!strcmp(name, names[k])) {
            *order = orders[k];
            return true;
        }
    return err_set(err, ERR_OPTION,
                   "order '%s' is not one of descending, ascending, magnitude", name);
}

static bool shape_eigh(const Spec *in, int n_in, const OpAttr *a, Spec *out, Err *err)
{
    (void)n_in;
    EighOrder order;
    out[0] = spec_make(in[0].dtype, 1, in[0].dim);
    out[1] = in[0];
    return need_square(in, err) && order_of(a->text, &order, err);
}

static bool run_eigh(const OpArgs *x, Err *err)
{
    Tensor val = {0}, vec = {0};
    EighOrder order;
    if (!order_of(x->attr->text, &order, err) ||
        !lapack_eigh(x->in[0], order, &val, &vec, err))
        return false;
    bool ok = hand_over(&val, x->out[0], err);
    return hand_over(&vec, x->out[1], err) && ok;
}

static bool shape_svd(const Spec *in, int n_in, const OpAttr *a, Spec *out, Err *err)
{
    (void)n_in, (void)a;
    if (!need_float(in, 0, err) || !need_ndim(in, 0, 2, err))
        return false;
    int64_t k = smaller_side(&in[0]), u[2] = {in[0].dim[0], k},
            vt[2] = {k, in[0].dim[1]};
    out[0] = spec_make(in[0].dtype, 2, u);
    out[1] = spec_make(in[0].dtype, 1, &k);
    out[2] = spec_make(in[0].dtype, 2, vt);
    return true;
}

static bool run_svd(const OpArgs *x, Err *err)
{
    Tensor u = {0}, s = {0}, vt = {0};
    if (!lapack_svd(x->in[0], &u, &s, &vt, err))
        return false;
    bool ok = hand_over(&u, x->out[0], err);
    ok = hand_over(&s, x->out[1], err) && ok;
    return hand_over(&vt, x->out[2], err) && ok;
}

static bool shape_qr(const Spec *in, int n_in, const OpAttr *a, Spec *out, Err *err)
{
    Spec all[3] = {0};
    if (!shape_svd(in, n_in, a, all, err))
        return false;
    out[0] = all[0];
    out[1] = all[2];
    return true;
}

static bool run_qr(const OpArgs *x, Err *err)
{
    Tensor q = {0}, r = {0};
    if (!lapack_qr(x->in[0], &q, &r, err))
        return false;
    bool ok = hand_over(&q, x->out[0], err);
    return hand_over(&r, x->out[1], err) && ok;
}

static bool shape_cholesky(const Spec *in, int n_in, const OpAttr *a, Spec *out,
                           Err *err)
{
    (void)n_in, (void)a;
    *out = in[0];
    return need_square(in, err);
}

static bool run_cholesky(const OpArgs *x, Err *err)
{
    Tensor l = {0};
    return lapack_cholesky(x->in[0], &l, err) && hand_over(&l, x->out[0], err);
}

/* b [m] or [m,k] beside a [m,n]: x [n] or [n,k]. */
static bool shape_lstsq(const Spec *in, int n_in, const OpAttr *a, Spec *out, Err *err)
{
    (void)n_in, (void)a;
    char sa[96], sb[96];
    if (!need_float(in, 0, err) || !need_float(in, 1, err) || !need_ndim(in, 0, 2, err))
        return false;
    if (in[1].ndim < 1 || in[1].ndim > 2 || in[1].dim[0] != in[0].dim[0])
        return err_set(err, ERR_SHAPE,
                       "a is %s, so b must be [%lld] or [%lld, k], not %s",
                       spec_format(&in[0], sa), (long long)in[0].dim[0],
                       (long long)in[0].dim[0], spec_format(&in[1], sb));
    *out = in[1];
    out->dim[0] = in[0].dim[1];
    return true;
}

static bool run_lstsq(const OpArgs *x, Err *err)
{
    Tensor y = {0};
    int rank;
    return lapack_lstsq(x->in[0], x->in[1], x->attr->f[0], &y, &rank, err) &&
           hand_over(&y, x->out[0], err);
}

static bool shape_solve(const Spec *in, int n_in, const OpAttr *a, Spec *out, Err *err)
{
    return need_square(in, err) && shape_lstsq(in, n_in, a, out, err);
}

static bool run_solve(const OpArgs *x, Err *err)
{
    Tensor y = {0};
    return lapack_solve(x->in[0], x->in[1], &y, err) && hand_over(&y, x->out[0], err);
}

/* A few n^3: enough for the planner and the profile. */
static double cost_cube(const Spec *in, int n_in, const OpAttr *a)
{
    (void)n_in, (void)a;
    double m = (double)in[0].dim[0], n = (double)in[0].dim[1];
    return 8.0 * m * n * (double)smaller_side(&in[0]);
}

const OpRow ops_lapack[] = {
    {.name = "eigh",
     .sig = "a, order:s=descending",
     .doc =
         "Eigenvalues [n] and eigenvectors [n, n] (as columns) of a symmetric matrix, "
         "of "
         "which the lower triangle is read. order: descending, ascending or magnitude "
         "(largest size first). Every vector's largest entry is positive.",
     .formula = "a = v diag(l) v^T",
     .n_out = 2,
     .flags = OP_NODIFF,
     .shape = shape_eigh,
     .run = run_eigh,
     .flops = cost_cube,
     .test = {.shapes = "5x5; 1x1; 6x6; 4x4",
              .attrs = "; ; order=magnitude; order=ascending",
              .tol_f32 = 1e-4}},
    {.name = "svd",
     .sig = "a",
     .doc = "The thin singular value decomposition of a [m, n]: u [m, k], s [k] "
            "descending, vt "
            "[k, n], k = min(m, n). Every column of u has its largest entry positive.",
     .formula = "a = u diag(s) vt",
     .n_out = 3,
     .flags = OP_NODIFF,
     .shape = shape_svd,
     .run = run_svd,
     .flops = cost_cube,
     .test = {.shapes = "5x3; 3x5; 4x4; 1x1", .tol_f32 = 1e-4}},
    {.name = "qr",
     .sig = "a",
     .doc = "The thin QR factorisation of a [m, n]: q [m, k] with orthonormal columns, "
            "r [k, n] "
            "upper triangular with a diagonal that is not negative, k = min(m, n).",
     .formula = "a = q r",
     .n_out = 2,
     .flags = OP_NODIFF,
     .shape = shape_qr,
     .run = run_qr,
     .flops = cost_cube,
     .test = {.shapes = "5x3; 3x5; 4x4; 1x1", .tol_f32 = 1e-4}},
    {.name = "cholesky",
     .sig = "a",
     .doc = "The lower triangular factor of a symmetric positive definite matrix.",
     .formula = "a = l l^T",
     .flags = OP_NODIFF,
     .shape = shape_cholesky,
     .run = run_cholesky,
     .flops = cost_cube,
     .test = {.shapes = "1x1; 3x3; 8x8", .ints = "0:spd", .tol_f32 = 1e-4}},
    {.name = "lstsq",
     .sig = "a, b, rcond:f=0",
     .doc = "Least squares: the x of smallest length that minimises |a x - b|, a [m, "
            "n], b [m] "
            "or [m, k]. Singular values below rcond times the largest count as 0 "
            "(rcond 0: "
            "machine precision times the longer side).",
     .formula = "x = argmin |a x - b|",
     .flags = OP_NODIFF,
     .shape = shape_lstsq,
     .run = run_lstsq,
     .flops = cost_cube,
     .test = {.shapes = "6x3,6; 6x3,6x2; 3x5,3", .tol_f32 = 1e-3}},
    {.name = "solve",
     .sig = "a, b",
     .doc = "The x with a x = b for a square, regular matrix a; b [n] or [n, k].",
     .formula = "a x = b",
     .flags = OP_NODIFF,
     .shape = shape_solve,
     .run = run_solve,
     .flops = cost_cube,
     .test = {.shapes = "4x4,4; 4x4,4x2; 1x1,1", .tol_f32 = 1e-3}},
};
const int ops_lapack_count = ARRAY_LEN(ops_lapack);
