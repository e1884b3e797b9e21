/* The reverse sweep: values against central differences and closed forms, gradient of
 * gradient, several calls, and what it refuses. */
#include "graph_support.h"

#include <math.h>

/* A function of two matrices with shared parts, a view, and a value used three
 * times. */
static Val example(Graph *g, Val x, Val w)
{
    Val h = g_mul(g, x, w);
    Val t = g_unary(g, "tanh", h);
    Val flat = g_reshape(g, t, 1, DIMS(-1));
    Val a = g_sum(g, g_mul(g, flat, flat));
    Val b = g_mean(g, g_exp(g, g_add(g, t, g_scale(g, h, 0.3))));
    return g_add(g, a, g_mul(g, b, g_sum(g, g_square(g, w))));
}

static double run_scalar(Plan *p, const Tensor *in, int output)
{
    Err err = {0};
    assert_ok(plan_run(p, in, &err), err);
    return t_at(plan_output(p, output), 0);
}

/* d f / d in[k] against central differences, element by element. */
static void check_gradient(Plan *p, Tensor *in, int k, int f, int df)
{
    const double h = 1e-6;
    double *x = in[k].data;
    for (int64_t i = 0; i < tensor_count(&in[k]); i++) {
        double keep = x[i];
        x[i] = keep + h;
        double up = run_scalar(p, in, f);
        x[i] = keep - h;
        double down = run_scalar(p, in, f);
        x[i] = keep;
        run_scalar(p, in, f);
        double got = t_at(plan_output(p, df), i), want = (up - down) / (2 * h);
        if (fabs(got - want) > 1e-7 * (1 + fabs(want)))
            fail_msg("element %d: %.12g, differences give %.12g", (int)i, got, want);
    }
}

static void test_values(void **state)
{
    (void)state;
    Err err = {0};
    Graph *g = graph_new(&err);
    Val x = graph_input(g, "x", F64, 2, DIMS(3, 4)),
        w = graph_input(g, "w", F64, 2, DIMS(3, 4));
    Val loss = example(g, x, w), wrt[2] = {x, w}, d[2];
    assert_true(graph_grad(g, loss, wrt, 2, d));
    graph_output(g, "f", loss);
    graph_output(g, "dx", d[0]);
    graph_output(g, "dw", d[1]);
    Plan *p = plan_of(g, 0);
    Tensor in[2] = {t_random(1, F64, 2, DIMS(3, 4), -1, 1),
                    t_random(2, F64, 2, DIMS(3, 4), -1, 1)};
    check_gradient(p, in, 0, 0, 1);
    check_gradient(p, in, 1, 0, 2);
    plan_free(p);
    graph_free(g);
    tensor_release(&in[0]);
    tensor_release(&in[1]);
}

/* The gradient of |d f / d x|^2: backward is only nodes. */
static void test_second_order(void **state)
{
    (void)state;
    Err err = {0};
    Graph *g = graph_new(&err);
    Val x = graph_input(g, "x", F64, 2, DIMS(2, 3)),
        w = graph_input(g, "w", F64, 2, DIMS(2, 3));
    Val loss = example(g, x, w), d, wrt[2] = {x, w}, dd[2];
    assert_true(graph_grad(g, loss, &x, 1, &d));
    Val penalty = g_sum(g, g_square(g, d));
    if (!graph_grad(g, penalty, wrt, 2, dd))
        fail_msg("%s", graph_err(g)->msg);
    graph_output(g, "f", penalty);
    graph_output(g, "dx", dd[0]);
    graph_output(g, "dw", dd[1]);
    Plan *p = plan_of(g, 0);
    Tensor in[2] = {t_random(3, F64, 2, DIMS(2, 3), -1, 1),
                    t_random(4, F64, 2, DIMS(2, 3), -1, 1)};
    check_gradient(p, in, 0, 0, 1);
    check_gradient(p, in, 1, 0, 2);
    plan_free(p);
    graph_free(g);
    tensor_release(&in[0]);
    tensor_release(&in[1]);
}

static void test_weight_gradient_twice(void **state)
{
    (void)state;
    Err err = {0};
    Graph *g = graph_new(&err);
    Val dy = graph_input(g, "dy", F64, 2, DIMS(3, 4)),
        x = graph_input(g, "x", F64, 2, DIMS(3, 5));
    Val loss = g_sum(g, g_square(g, g_binary(g, "linear_dw", dy, x)));
    Val wrt[2] = {dy, x}, d[2];
    if (!graph_grad(g, loss, wrt, 2, d))
        fail_msg("%s", graph_err(g)->msg);
    graph_output(g, "f", loss);
    graph_output(g, "ddy", d[0]);
    graph_output(g, "dx", d[1]);
    Plan *p = plan_of(g, 0);
    Tensor in[2] = {t_random(5, F64, 2, DIMS(3, 4), -1, 1),
                    t_random(6, F64, 2, DIMS(3, 5), -1, 1)};
    check_gradient(p, in, 0, 0, 1);
    check_gradient(p, in, 1, 0, 2);
    plan_free(p);
    graph_free(g);
    tensor_release(&in[0]);
    tensor_release(&in[1]);
}

/* Used twice directly: d(x x)/dx = 2x; an inner value; the loss itself; no
 * dependence. */
static void test_special_wrt(void **state)
{
    (void)state;
    Err err = {0};
    Graph *g = graph_new(&err);
    Val x = graph_input(g, "x", F32, 1, DIMS(3)),
        other = graph_input(g, "o", F32, 2, DIMS(2, 2));
    Val y = g_mul(g, x, x), loss = g_sum(g, y), stopped = g_sum(g, g_stop(g, x));
    Val wrt[4] = {x, y, loss, other}, d[4], ds;
    assert_true(graph_grad(g, loss, wrt, 4, d));
    assert_true(graph_grad(g, stopped, &x, 1, &ds));
    for (int i = 0; i < 4; i++)
        graph_output(g, (char[]){'a', (char)('0' + i), 0}, d[i]);
    graph_output(g, "s", ds);
    Plan *p = plan_of(g, 0);
    Tensor in[2] = {t_random(1, F32, 1, DIMS(3), -1, 1), t_make(F32, 2, DIMS(2, 2))};
    assert_ok(plan_run(p, in, &err), err);
    for (int64_t i = 0; i < 3; i++) {
        assert_true(t_at(plan_output(p, 0), i) == 2 * t_at(&in[0], i));
        assert_true(t_at(plan_output(p, 1), i) == 1);
        assert_true(t_at(plan_output(p, 4), i) == 0);
    }
    assert_true(t_at(plan_output(p, 2), 0) == 1);
    assert_int_equal(plan_output(p, 3)->ndim, 2);
    for (int64_t i = 0; i < 4; i++)
        assert_true(t_at(plan_output(p, 3), i) == 0);
    plan_free(p);
    graph_free(g);
    tensor_release(&in[0]);
    tensor_release(&in[1]);
}

static void test_after_assignment(void **state)
{
    (void)state;
    Err err = {0};
    Tensor w = t_random(1, F32, 1, DIMS(4), 0.5, 1),
           mean = t_random(2, F32, 1, DIMS(4), 0.5, 1);
    Graph *g = graph_new(&err);
    Val x = graph_input(g, "x", F32, 1, DIMS(4)), s = graph_state(g, "w", &w), d;
    Val loss = g_sum(g, g_mul(g, x, s));
    assert_true(graph_grad(g, loss, &s, 1, &d));
    graph_assign(g, s, d);
    /* the first loss read the old w */
    assert_false(graph_grad(g, loss, &x, 1, &d));
    assert_has(graph_err(g)->msg, "state \"w\"");
    assert_has(graph_err(g)->msg, "mul");
    assert_int_equal(graph_err(g)->code, ERR_STATE);
    graph_free(g);

    /* a new loss after the assignment is fine; so is a state that backward does not
     * read */
    g = graph_new(&err);
    x = graph_input(g, "x", F32, 1, DIMS(4));
    s = graph_state(g, "w", &w);
    Val m = graph_state(g, "mean", &mean);
    loss = g_sum(g, g_mul(g, x, g_scale(g, m, 2)));
    graph_assign(g, m, x);
    graph_assign(g, s, x);
    Val fresh = g_add(g, loss, g_sum(g, g_mul(g, x, s))), dx;
    if (!graph_grad(g, fresh, &x, 1, &dx))
        fail_msg("%s", graph_err(g)->msg);
    graph_output(g, "dx", dx);
    Plan *p = plan_of(g, 0);
    Tensor in = t_random(3, F32, 1, DIMS(4), -1, 1), old = {0};
    assert_ok(tensor_copy(&mean, &old, &err), err);
    assert_ok(plan_run(p, &in, &err), err);
    for (int64_t i = 0; i < 4; i++) /* 2 old mean + w, and w is x by then */
        assert_near(t_at(plan_output(p, 0), i), 2 * t_at(&old, i) + t_at(&in, i), 1e-6);
    assert_true(t_same_bits(&mean, &in) && t_same_bits(&w, &in));
    plan_free(p);
    graph_free(g);
    tensor_release(&old);
    tensor_release(&in);
    tensor_release(&w);
    tensor_release(&mean);
}

/* Inner ascent then outer descent in one graph: two sweeps, an assignment between. */
static void test_two_sweeps(void **state)
{
    (void)state;
    Err err = {0};
    Tensor w = t_random(1, F64, 1, DIMS(3), -1, 1), w0;
    assert_ok(tensor_copy(&w, &w0, &err), err);
    Graph *g = graph_new(&err);
    Val x = graph_input(g, "x", F64, 1, DIMS(3)), s = graph_state(g, "w", &w), dx, dw;
    assert_true(graph_grad(g, g_sum(g, g_mul(g, g_square(g, x), s)), &x, 1, &dx));
    Val moved = g_add(g, x, g_scale(g, dx, 0.5)); /* x + x w */
    assert_true(graph_grad(g, g_sum(g, g_mul(g, g_square(g, moved), s)), &s, 1, &dw));
    graph_assign(g, s, g_sub(g, s, dw));
    Plan *p = plan_of(g, 0);
    Tensor in = t_random(2, F64, 1, DIMS(3), -1, 1);
    assert_ok(plan_run(p, &in, &err), err);
    for (int64_t i = 0; i < 3; i++) {
        double X = t_at(&in, i), W = t_at(&w0, i), M = X + X * W;
        double slope = M * M + 2 * M * W * X; /* moved depends on w too */
        assert_near(t_at(&w, i), W - slope, 1e-12);
    }
    plan_free(p);
    graph_free(g);
    tensor_release(&in);
    tensor_release(&w);
    tensor_release(&w0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_second_order),
        cmocka_unit_test(test_weight_gradient_twice),
        cmocka_unit_test(test_special_wrt),
        cmocka_unit_test(test_after_assignment),
        cmocka_unit_test(test_two_sweeps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
