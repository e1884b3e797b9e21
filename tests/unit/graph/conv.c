/* conv.c -- convolution, its gradients, pooling and patches against plain loops in
 * double over every index, for the strides, paddings, dilations and sides where the
 * kernels differ; and the identities that tie them to linear maps. */
#include <math.h>

#include "graph_support.h"

typedef struct Geo {
    int64_t B, C, H, W, O, kh, kw, stride, pad, dilation, Ho, Wo;
} Geo;

static Geo geo(int64_t B, int64_t C, int64_t H, int64_t W, int64_t O, int64_t kh,
               int64_t kw, int64_t stride, int64_t pad, int64_t dilation)
{
    Geo g = {B, C, H, W, O, kh, kw, stride, pad, dilation, 0, 0};
    g.Ho = (H + 2 * pad - dilation * (kh - 1) - 1) / stride + 1;
    g.Wo = (W + 2 * pad - dilation * (kw - 1) - 1) / stride + 1;
    return g;
}

static OpAttr steps(const Geo *g, int64_t a, int64_t b)
{
    return (OpAttr){
        .i = {g->stride, g->pad, g->dilation, -1, -1, -1, a, b}
    };
}

static Tensor run_op(const char *name, const Tensor *a, const Tensor *b,
                     const Tensor *c, const OpAttr *attr)
{
    Err err = {0};
    Tensor out[OP_MAX_OUT];
    const Tensor *in[3] = {a, b, c};
    if (!op_eager(op_find(name), in, c ? 3 : b ? 2 : 1, attr, NULL, out, &err))
        fail_msg("%s: %s", name, err.msg);
    return out[0];
}

/* Calls f for every product of a pixel, a weight and a result, by their flat numbers. */
typedef void ProductFn(void *ctx, int64_t x, int64_t w, int64_t y);
static void each_product(const Geo *g, ProductFn *f, void *ctx)
{
    int64_t n = g->B * g->O * g->Ho * g->Wo;
    for (int64_t y = 0; y < n; y++) {
        int64_t q = y % g->Wo, p = y / g->Wo % g->Ho, o = y / (g->Wo * g->Ho) % g->O;
        int64_t b = y / (g->Wo * g->Ho * g->O), m = g->C * g->kh * g->kw;
        for (int64_t k = 0; k < m; k++) {
            int64_t s = k % g->kw, r = k / g->kw % g->kh, c = k / (g->kw * g->kh);
            int64_t i = p * g->stride + r * g->dilation - g->pad;
            int64_t j = q * g->stride + s * g->dilation - g->pad;
            if (i >= 0 && i < g->H && j >= 0 && j < g->W)
                f(ctx, ((b * g->C + c) * g->H + i) * g->W + j, o * m + k, y);
        }
    }
}

typedef struct Sums {
    const Tensor *x, *w, *dy;
    double *y, *dx, *dw;
} Sums;

static void add_product(void *ctx, int64_t x, int64_t w, int64_t y)
{
    Sums *s = ctx;
    s->y[y] += t_at(s->x, x) * t_at(s->w, w);
    s->dx[x] += t_at(s->dy, y) * t_at(s->w, w);
    s->dw[w] += t_at(s->dy, y) * t_at(s->x, x);
}

/* Relative to the largest value. */
static void close_to(const char *what, const Geo *g, const Tensor *t,
                     const double *want, double tol)
{
    double most = 0;
    int64_t n = tensor_count(t);
    for (int64_t i = 0; i < n; i++)
        most = fmax(most, fabs(want[i]));
    for (int64_t i = 0; i < n; i++)
        if (!(fabs(t_at(t, i) - want[i]) <= tol * most))
            fail_msg("%s of %lldx%lld, kernel %lldx%lld, stride %lld pad %lld dilation "
                     "%lld: [%lld] is %.9g, expected %.9g",
                     what, (long long)g->H, (long long)g->W, (long long)g->kh,
                     (long long)g->kw, (long long)g->stride, (long long)g->pad,
                     (long long)g->dilation, (long long)i, t_at(t, i), want[i]);
}

static void conv_case(const Geo *g, DType t)
{
    Tensor x = t_random(1, t, 4, DIMS(g->B, g->C, g->H, g->W), -1, 1);
    Tensor w = t_random(2, t, 4, DIMS(g->O, g->C, g->kh, g->kw), -1, 1);
    Tensor dy = t_random(3, t, 4, DIMS(g->B, g->O, g->Ho, g->Wo), -1, 1);
    Sums s = {&x,
              &w,
              &dy,
              calloc((size_t)tensor_count(&dy), 8),
              calloc((size_t)tensor_count(&x), 8),
              calloc((size_t)tensor_count(&w), 8)};
    double tol = t == F32 ? 1e-5 : 1e-13;
    OpAttr plain = steps(g, 0, 0), back = steps(g, g->H, g->W),
           weigh = steps(g, g->kh, g->kw);
    each_product(g, add_product, &s);
    Tensor y = run_op("conv2d", &x, &w, NULL, &plain);
    Tensor dx = run_op("conv2d_input_grad", &dy, &w, NULL, &back);
    Tensor dw = run_op("conv2d_kernel_grad", &x, &dy, NULL, &weigh);
    close_to("conv2d", g, &y, s.y, tol);
    close_to("input gradient", g, &dx, s.dx, tol);
    close_to("kernel gradient", g, &dw, s.dw, tol);
    Tensor all[] = {x, w, dy, y, dx, dw};
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        tensor_release(&all[i]);
    free(s.y);
    free(s.dx);
    free(s.dw);
}

static void test_plain_loops(void **state)
{
    (void)state;
    for (int64_t stride = 1; stride <= 3; stride++)
        for (int64_t pad = 0; pad <= 2; pad++)
            for (int64_t dilation = 1; dilation <= 2; dilation++) {
                Geo some[] = {
                    geo(2, 3, 9, 14, 5, 3, 3, stride, pad, dilation),
                    geo(1, 1, 7, 7, 1, 1, 1, stride, pad, dilation),
                    geo(3, 2, 8, 5, 9, 2, 3, stride, pad, dilation),
                    geo(2, 4, 6, 40, 3, 3, 1, stride, pad, dilation),
                };
                for (size_t k = 0; k < ARRAY_LEN(some); k++) {
                    conv_case(&some[k], F32);
                    conv_case(&some[k], F64);
                }
            }
    Geo wide = geo(33, 9, 16, 16, 18, 3, 3, 1, 1, 1);
    conv_case(&wide, F32);
}

/* Patches times the kernel's rows, and the bias. */
static void test_patches(void **state)
{
    (void)state;
    Geo g = geo(3, 4, 11, 8, 7, 3, 2, 2, 1, 2);
    Tensor x = t_random(1, F32, 4, DIMS(g.B, g.C, g.H, g.W), -1, 1);
    Tensor w = t_random(2, F32, 4, DIMS(g.O, g.C, g.kh, g.kw), -1, 1);
    Tensor b = t_random(3, F32, 1, DIMS(g.O), -1, 1);
    OpAttr plain = steps(&g, 0, 0), cut = {
                                        .i = {g.kh, g.kw, g.stride, g.pad, g.dilation}
    };
    Tensor y = run_op("conv2d", &x, &w, &b, &plain);
    Tensor rows = run_op("unfold2d", &x, NULL, NULL, &cut);
    int64_t P = g.Ho * g.Wo, K = g.C * g.kh * g.kw;
    assert_int_equal(rows.ndim, 3);
    assert_int_equal(rows.dim[1], P);
    assert_int_equal(rows.dim[2], K);
    for (int64_t n = 0; n < g.B; n++)
        for (int64_t o = 0; o < g.O; o++)
            for (int64_t p = 0; p < P; p++) {
                double want = t_at(&b, o);
                for (int64_t k = 0; k < K; k++)
                    want += t_at(&rows, (n * P + p) * K + k) * t_at(&w, o * K + k);
                assert_true(fabs(t_at(&y, (n * g.O + o) * P + p) - want) < 1e-5);
            }
    Tensor all[] = {x, w, b, y, rows};
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        tensor_release(&all[i]);
}

/* A 1x1 kernel on 1x1 images is a linear layer. */
static void test_dense(void **state)
{
    (void)state;
    Tensor x = t_random(1, F32, 4, DIMS(6, 20, 1, 1), -1, 1);
    Tensor w = t_random(2, F32, 4, DIMS(9, 20, 1, 1), -1, 1);
    Tensor b = t_random(3, F32, 1, DIMS(9), -1, 1), x2, w2;
    OpAttr a =
               {
                   .i = {1, 0, 1, -1, -1, -1}
    },
           none = {0};
    assert_true(tensor_reshape(&x, 2, DIMS(6, 20), &x2, NULL));
    assert_true(tensor_reshape(&w, 2, DIMS(9, 20), &w2, NULL));
    Tensor y = run_op("conv2d", &x, &w, &b, &a);
    Tensor z = run_op("linear", &x2, &w2, &b, &none);
    for (int64_t i = 0; i < 54; i++)
        assert_true(fabs(t_at(&y, i) - t_at(&z, i)) < 1e-5);
    Tensor all[] = {x, w, b, x2, w2, y, z};
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        tensor_release(&all[i]);
}

static void pool_case(int64_t H, int64_t W, int64_t size, int64_t stride, int64_t pad)
{
    OpAttr a = {
        .i = {size, stride, pad, 0, 0, -1}
    };
    Tensor x = t_random(7, F32, 4, DIMS(2, 3, H, W), -1, 1);
    Tensor most = run_op("max_pool2d", &x, NULL, NULL, &a);
    Tensor mean = run_op("avg_pool2d", &x, NULL, NULL, &a);
    Tensor dx = run_op("max_pool2d_grad", &x, &most, NULL, &a);
    int64_t Ho = (H + 2 * pad - size) / stride + 1,
            Wo = (W + 2 * pad - size) / stride + 1;
    double *want = calloc((size_t)tensor_count(&x), sizeof *want);
    assert_int_equal(most.dim[2], Ho);
    assert_int_equal(mean.dim[3], Wo);
    for (int64_t y = 0; y < 6 * Ho * Wo; y++) {
        double best = -INFINITY, sum = 0;
        int64_t at = -1;
        for (int64_t k = 0; k < size * size; k++) {
            int64_t i = y / Wo % Ho * stride + k / size - pad;
            int64_t j = y % Wo * stride + k % size - pad;
            if (i < 0 || i >= H || j < 0 || j >= W)
                continue;
            int64_t pixel = (y / (Ho * Wo) * H + i) * W + j;
            double v = t_at(&x, pixel);
            sum += v;
            if (v > best)
                best = v, at = pixel;
        }
        assert_true(t_at(&most, y) == best);
        assert_true(fabs(t_at(&mean, y) - sum / (double)(size * size)) < 1e-6);
        want[at] += best;
    }
    for (int64_t i = 0; i < tensor_count(&x); i++)
        assert_true(fabs(t_at(&dx, i) - want[i]) < 1e-5);
    free(want);
    Tensor all[] = {x, most, mean, dx};
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        tensor_release(&all[i]);
}

static void test_pools(void **state)
{
    (void)state;
    pool_case(8, 6, 2, 2, 0);
    pool_case(7, 9, 2, 2, 0);
    pool_case(7, 9, 3, 2, 1);
    pool_case(5, 5, 3, 1, 1);
    pool_case(4, 300, 2, 2, 1);
    pool_case(6, 6, 2, 3, 0);
}

/* Equal pixels: the gradient goes to the first. A NaN is not lost. */
static void test_ties(void **state)
{
    (void)state;
    OpAttr a = {
        .i = {2, 2, 0, 0, 0, -1}
    };
    Tensor x = t_make(F32, 4, DIMS(1, 1, 2, 2)), dy = t_make(F32, 4, DIMS(1, 1, 1, 1));
    *(float *)dy.data = 3;
    Tensor dx = run_op("max_pool2d_grad", &x, &dy, NULL, &a);
    for (int i = 0; i < 4; i++)
        assert_true(t_at(&dx, i) == (i ? 0 : 3));
    tensor_release(&dx);
    ((float *)x.data)[2] = NAN;
    dx = run_op("max_pool2d", &x, NULL, NULL, &a);
    assert_true(isnan(t_at(&dx, 0)));
    tensor_release(&dx);
    tensor_release(&x);
    tensor_release(&dy);
}

static void refuses(const char *op, const Tensor *x, const Tensor *w, const OpAttr *a,
                    const char *says)
{
    Err err = {0};
    Tensor out[OP_MAX_OUT];
    assert_false(
        op_eager(op_find(op), (const Tensor *[]){x, w}, w ? 2 : 1, a, NULL, out, &err));
    assert_has(err.msg, says);
}

static void test_refuses(void **state)
{
    (void)state;
    Tensor x = t_make(F32, 4, DIMS(2, 3, 4, 4)), w = t_make(F32, 4, DIMS(5, 2, 3, 3)),
           v = t_make(F32, 4, DIMS(5, 3, 5, 3)), r = t_make(F32, 4, DIMS(2, 5, 2, 2));
    OpAttr a =
               {
                   .i = {1, 0, 1, -1, -1, -1}
    },
           b = {.i = {0, 0, 1, -1, -1, -1}}, c = {.i = {2, 0, 0, 0, 0, 2}},
           d = {.i = {1, 0, 1, -1, -1, -1, 9, 9}};
    refuses("conv2d", &x, &w, &a, "has 2 channels, not 3");
    refuses("conv2d", &x, &v, &a, "does not fit into images of 4x4");
    refuses("conv2d", &x, &v, &b, "stride must be in 1..");
    refuses("max_pool2d", &x, NULL, &c, "pad must be at most half");
    refuses("conv2d_input_grad", &r, &v, &d, "it can be 6 to 6");
    refuses("conv2d_kernel_grad", &x, &r, &d, "kernel of 9x9");
    Tensor all[] = {x, w, v, r};
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        tensor_release(&all[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain_loops), cmocka_unit_test(test_patches),
        cmocka_unit_test(test_dense),       cmocka_unit_test(test_pools),
        cmocka_unit_test(test_ties),        cmocka_unit_test(test_refuses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
