/* Ops of stochastic parameter decomposition: slopes by table, the sign rule applied to
 * the sum, values against plain formulas, powers beyond their kinks, routing that is
 * even, rows of zeros, and products of products. */
#include "graph_support.h"

#define DIM2(p, q)                                                                     \
    2, (int64_t[])                                                                     \
    {                                                                                  \
        p, q                                                                           \
    }
#define DIM1(p)                                                                        \
    1, (int64_t[])                                                                     \
    {                                                                                  \
        p                                                                              \
    }

static Tensor eager(const char *op, const Tensor *const *in, int n, const OpAttr *a,
                    int which)
{
    Err err = {0};
    Tensor out[OP_MAX_OUT] = {{0}};
    OpAttr attr;
    const OpRow *row = op_find(op);
    op_attr_defaults(row, &attr);
    assert_ok(op_eager(row, in, n, a ? a : &attr, NULL, out, &err), err);
    Tensor keep = out[which];
    for (int k = 0; k < OP_MAX_OUT; k++)
        if (k != which)
            tensor_release(&out[k]);
    return keep;
}

/* ---- squashings ------------------------------------------------------------------ */

static void test_slopes(void **state)
{
    (void)state;
    static float z[] = {-1, 0, 0.5f, 1, 2}, down[] = {-1, -1, -1, -1, -1},
                 up[] = {1, 1, 1, 1, 1};
    static const double open[] = {-0.01, -0.01, -1, -1, 0}, shut[] = {0, 0, 1, 1, 0},
                        upper[] = {0, 1, 1, 1, 0.01}, value[] = {0, 0, 0.5, 1, 1.01};
    Tensor t = tensor_wrap(F32, DIM1(5), z), d = tensor_wrap(F32, DIM1(5), down),
           u = tensor_wrap(F32, DIM1(5), up);
    OpAttr high = {
        .f = {0, 0.01}
    };
    Tensor a = eager("gated_clamp_grad", (const Tensor *[]){&t, &d}, 2, NULL, 0);
    Tensor b = eager("gated_clamp_grad", (const Tensor *[]){&t, &u}, 2, NULL, 0);
    Tensor c = eager("leaky_clamp_grad", (const Tensor *[]){&t, &u}, 2, &high, 0);
    Tensor y = eager("leaky_clamp", (const Tensor *[]){&t}, 1, &high, 0);
    for (int i = 0; i < 5; i++) {
        assert_near(t_at(&a, i), open[i], 1e-7);
        assert_near(t_at(&b, i), shut[i], 1e-7);
        assert_near(t_at(&c, i), upper[i], 1e-7);
        assert_near(t_at(&y, i), value[i], 1e-6);
    }
    tensor_release(&a);
    tensor_release(&b);
    tensor_release(&c);
    tensor_release(&y);
}

/* Two losses pull g of z < 0 up by 3 and down by 2: the sum opens, so the slope is that
 * of the sum, not one part's. */
static void test_sum_rule(void **state)
{
    (void)state;
    Err err = {0};
    Graph *g = graph_new(&err);
    Val z = graph_input(g, "z", F32, DIM1(2)), d;
    Val y = g_unary(g, "gated_clamp", z);
    Val loss = g_add(g, g_scale(g, g_sum(g, y), -3), g_scale(g, g_sum(g, y), 2));
    assert_true(graph_grad(g, loss, &z, 1, &d));
    graph_output(g, "d", d);
    Plan *p = plan_of(g, 1);
    float at[] = {-1, 0.5f};
    Tensor in = tensor_wrap(F32, DIM1(2), at);
    assert_ok(plan_run(p, &in, &err), err);
    assert_near(t_at(plan_output(p, 0), 0), -0.01, 1e-7);
    assert_near(t_at(plan_output(p, 0), 1), -1, 1e-7);
    plan_free(p);
    graph_free(g);
}

/* ---- gates and masks ------------------------------------------------------------- */

static void test_gate(void **state)
{
    (void)state;
    enum { P = 37, C = 19, H = 5 };
    Tensor a = t_random(1, F64, DIM2(P, C), -3, 3);
    Tensor w = t_random(2, F64, DIM2(3 * H + 1, C), -2, 2);
    Tensor z = eager("gate_mlp", (const Tensor *[]){&a, &w}, 2, NULL, 0);
    for (int i = 0; i < P * C; i++) {
        double want = t_at(&w, 3 * H * C + i % C);
        for (int h = 0; h < H; h++) {
            double u =
                t_at(&w, h * C + i % C) * t_at(&a, i) + t_at(&w, (H + h) * C + i % C);
            want +=
                t_at(&w, (2 * H + h) * C + i % C) * u * 0.5 * (1 + erf(u * M_SQRT1_2));
        }
        assert_true(fabs(t_at(&z, i) - want) < 1e-12);
    }
    tensor_release(&a);
    tensor_release(&w);
    tensor_release(&z);
}

/* The numbers drawn inside are those of `uniform` under the same name. */
static void test_mask(void **state)
{
    (void)state;
    enum { P = 130, C = 37 };
    Err err = {0};
    Graph *g = graph_new(&err);
    Val a = graph_input(g, "a", F32, DIM2(P, C)),
        b = graph_input(g, "b", F32, DIM2(P, C));
    OpAttr at = {0}, draw;
    snprintf(at.text, sizeof at.text, "noise");
    Val y = g_call(g, "spd_mask", (Val[]){a, b, VAL_NONE, VAL_NONE, VAL_NONE}, 5, &at);
    op_attr_defaults(op_find("uniform"), &draw);
    draw.n_list = 2;
    draw.list[0] = P;
    draw.list[1] = C;
    snprintf(draw.text, sizeof draw.text, "noise");
    Val r = graph_op(g, op_find("uniform"), NULL, 0, &draw);
    Val m = g_add(g, b, g_mul(g, g_shift(g, g_neg(g, b), 1), r));
    graph_output(g, "e", g_sum(g, g_abs(g, g_sub(g, y, g_mul(g, a, m)))));
    graph_output(g, "s", g_sum(g, g_abs(g, y)));
    Plan *p = plan_of(g, 9);
    Tensor x = t_random(3, F32, DIM2(P, C), -1, 1),
           q = t_random(4, F32, DIM2(P, C), 0, 1);
    Tensor in[2] = {x, q};
    assert_ok(plan_run(p, in, &err), err);
    assert_true(tensor_item(plan_output(p, 0)) < 1e-4 * tensor_item(plan_output(p, 1)));
    plan_free(p);
    graph_free(g);
    tensor_release(&x);
    tensor_release(&q);
}

/* ---- powers ---------------------------------------------------------------------- */

static double power_sum(const double *z, int n, double p, double tail)
{
    double sum = 0;
    for (int i = 0; i < n; i++) {
        double u = z[i] < 0 ? 0 : z[i] > 1 ? 1 + 0.01 * (z[i] - 1) : z[i];
        sum += (i == n - 1 ? 1 + tail : 1) * pow(u + 0.05, p);
    }
    return sum;
}

/* Values and slopes on all three pieces, with the last row counted several times. */
static void test_power(void **state)
{
    (void)state;
    static double z[] = {-0.7, 0.2, 0.8, 1.7};
    static const double ps[] = {0.5, 1, 1.5, 2};
    for (int k = 0; k < 4; k++) {
        double p = ps[k], dy = 1;
        OpAttr a = {
            .f = {0.05, 0.01, 3}
        };
        Tensor t = tensor_wrap(F64, DIM2(4, 1), z), e = tensor_wrap(F64, 0, NULL, &p),
               d = tensor_wrap(F64, DIM1(1), &dy);
        Tensor y = eager("spd_power", (const Tensor *[]){&t, &e}, 2, &a, 0);
        Tensor s = eager("spd_power_grad", (const Tensor *[]){&t, &e, &d}, 3, &a, 0);
        assert_true(fabs(tensor_item(&y) - power_sum(z, 4, p, 3)) < 1e-12);
        for (int i = 0; i < 4; i++) {
            double keep = z[i], h = 1e-6, v[2];
            for (int side = 0; side < 2; side++) {
                z[i] = keep + (side ? -h : h);
                v[side] = power_sum(z, 4, p, 3);
            }
            z[i] = keep;
            assert_true(fabs(t_at(&s, i) - (v[0] - v[1]) / (2 * h)) < 1e-7);
        }
        tensor_release(&y);
        tensor_release(&s);
    }
}

/* CI rows {1,2,3} and {0.5,1.5}, p = 1: 8; {2,3}, p = 2: 13 (slope 1 above 1). */
static void test_power_goldens(void **state)
{
    (void)state;
    static double a[] = {1, 2, 3}, b[] = {0.5, 1.5}, c[] = {2, 3}, d[] = {1, 2, 3, 4};
    double one = 1, two = 2, sum = 0;
    OpAttr at = {
        .f = {0, 1, 0}
    };
    Tensor p1 = tensor_wrap(F64, 0, NULL, &one), p2 = tensor_wrap(F64, 0, NULL, &two);
    const struct {
        double *v;
        int n;
        Tensor *p;
    } rows[] = {
        {a, 3, &p1},
        {b, 2, &p1},
        {c, 2, &p2}
    };
    for (int k = 0; k < 3; k++) {
        Tensor t = tensor_wrap(F64, DIM2(1, rows[k].n), rows[k].v);
        Tensor y = eager("spd_power", (const Tensor *[]){&t, rows[k].p}, 2, &at, 0);
        sum = k == 2 ? 0 : sum;
        for (int i = 0; i < rows[k].n; i++)
            sum += t_at(&y, i);
        tensor_release(&y);
        if (k > 0)
            assert_true(fabs(sum - (k == 1 ? 8 : 13)) < 1e-12);
    }
    Tensor t = tensor_wrap(F64, DIM2(2, 2), d);
    Tensor y = eager("spd_power", (const Tensor *[]){&t, &p1}, 2, &at, 0);
    double loss = 0; /* mean times 1 + log2(1 + sum) */
    for (int i = 0; i < 2; i++)
        loss += t_at(&y, i) / 2 * (1 + log2(1 + t_at(&y, i)));
    assert_true(fabs(loss - 18.06592) < 1e-5);
    tensor_release(&y);
}

/* ---- routing --------------------------------------------------------------------- */

/* uniform_k: k is even over 1..L, and every layer is as likely as any. */
static void test_route(void **state)
{
    (void)state;
    enum { L = 4, N = 40000 };
    OpAttr a = {
        .i = {L, N}
    };
    a.i[4] = F32;
    snprintf(a.text, sizeof a.text, "r");
    Tensor t = eager("spd_route", NULL, 0, &a, 0);
    double size[L + 1] = {0}, layer[L] = {0};
    for (int n = 0; n < N; n++) {
        int k = 0;
        for (int l = 0; l < L; l++) {
            double on = t_at(&t, l * N + n);
            assert_true(on == 0 || on == 1);
            layer[l] += on / N;
            k += on == 1;
        }
        size[k] += 1.0 / N;
    }
    assert_true(size[0] == 0);
    for (int l = 0; l < L; l++) { /* four standard errors */
        assert_near(size[l + 1], 0.25, 4 * sqrt(0.25 * 0.75 / N));
        assert_near(layer[l], 0.625, 4 * sqrt(0.625 * 0.375 / N));
    }
    tensor_release(&t);
    a.f[2] = 0.3;
    t = eager("spd_route", NULL, 0, &a, 0);
    double mean = 0;
    for (int i = 0; i < L * N; i++)
        mean += t_at(&t, i) / (L * N);
    assert_near(mean, 0.3, 4 * sqrt(0.21 / (L * N)));
    tensor_release(&t);
}

/* ---- rows of zeros --------------------------------------------------------------- */

static void test_pack(void **state)
{
    (void)state;
    static float x[] = {0, 0, 1, 2, 0, 0, 0, 3, 0, 0};
    static const double want[] = {1, 2, 0, 3, 0, 0};
    Err err = {0};
    Tensor t = tensor_wrap(F32, DIM2(5, 2), x), out = {0};
    OpAttr a = {.i = {3}};
    Tensor y = eager("pack_rows", (const Tensor *[]){&t}, 1, &a, 0);
    for (int i = 0; i < 6; i++)
        assert_true(t_at(&y, i) == want[i]);
    tensor_release(&y);
    a.i[0] = 2; /* no room for a row of zeros */
    const Tensor *in[] = {&t};
    assert_false(op_eager(op_find("pack_rows"), in, 1, &a, NULL, &out, &err));
    assert_int_equal(err.code, ERR_NUMERIC);
    assert_has(err.msg, "2 of 5 rows are not zero");
    a.i[0] = 0;
    assert_false(op_eager(op_find("pack_rows"), in, 1, &a, NULL, &out, &err));
}

/* ---- chains ---------------------------------------------------------------------- */

static Tensor chain(bool plain, bool trans, Tensor in[5], PlanInfo *info)
{
    Err err = {0};
    Graph *g = graph_new(&err);
    Val v[5], d[5];
    for (int k = 0; k < 5; k++) {
        char name[8];
        snprintf(name, sizeof name, "%d", k);
        v[k] = graph_input(g, name, F64, in[k].ndim, in[k].dim);
    }
    /* (x A + column (x A) + x B^T) M */
    Val r = g_matmul(g, v[0], v[1], false, false);
    r = g_add(g, g_add(g, r, g_mul(g, r, v[3])), g_linear(g, v[0], v[2], VAL_NONE));
    Val y = plain ? g_matmul(g, r, v[4], false, trans) : g_product(g, r, v[4], trans);
    assert_true(graph_grad(g, g_sum(g, g_square(g, y)), v, 5, d));
    Val all = g_reshape(g, y, 1, (int64_t[]){40 * 3});
    for (int k = 0; k < 5; k++) {
        int64_t n = tensor_count(&in[k]);
        all = g_call(g, "concat", (Val[]){all, g_reshape(g, d[k], 1, &n)}, 2, NULL);
    }
    graph_output(g, "all", all);
    if (!graph_ok(g))
        fail_msg("%s", graph_err(g)->msg);
    Plan *p = plan_of(g, 1);
    Tensor out;
    assert_ok(plan_run(p, in, &err), err);
    assert_true(tensor_copy(plan_output(p, 0), &out, &err));
    *info = plan_info(p);
    plan_free(p);
    graph_free(g);
    return out;
}

/* Any order gives the same product and gradients; the chosen one is cheaper. */
static void test_chain(void **state)
{
    (void)state;
    for (int trans = 0; trans < 2; trans++) {
        Tensor in[5] = {
            t_random(1, F64, DIM2(40, 4), -1, 1), t_random(2, F64, DIM2(4, 300), -1, 1),
            t_random(3, F64, DIM2(300, 4), -1, 1), t_random(4, F64, DIM2(40, 1), -1, 1),
            trans ? t_random(5, F64, DIM2(3, 300), -1, 1)
                  : t_random(5, F64, DIM2(300, 3), -1, 1)};
        PlanInfo slow, fast;
        Tensor a = chain(true, trans, in, &slow), b = chain(false, trans, in, &fast);
        for (int64_t i = 0; i < tensor_count(&a); i++)
            assert_true(fabs(t_at(&a, i) - t_at(&b, i)) <
                        1e-9 * (1 + fabs(t_at(&a, i))));
        assert_true(fast.flops < 0.7 * slow.flops);
        tensor_release(&a);
        tensor_release(&b);
        for (int k = 0; k < 5; k++)
            tensor_release(&in[k]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_slopes), cmocka_unit_test(test_sum_rule),
        cmocka_unit_test(test_gate),   cmocka_unit_test(test_mask),
        cmocka_unit_test(test_power),  cmocka_unit_test(test_power_goldens),
        cmocka_unit_test(test_route),  cmocka_unit_test(test_pack),
        cmocka_unit_test(test_chain),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
