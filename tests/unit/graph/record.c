/* Recording: leaves, sticky failure, sites, assignment rules. */
#include "graph_support.h"

static void test_leaves(void **state)
{
    (void)state;
    Err err = {0};
    Graph *g = graph_new(&err);
    assert_non_null(g);
    Tensor w = t_random(1, F32, 2, DIMS(3, 4), -1, 1);
    Val a = graph_state(g, "w", &w), b = graph_state(g, "again", &w);
    assert_int_equal(a, b);
    assert_true(graph_is_state(g, a));
    assert_int_equal(graph_number(g, F32, 0.5), graph_number(g, F32, 0.5));
    assert_int_not_equal(graph_number(g, F32, 0.5), graph_number(g, F64, 0.5));
    assert_int_not_equal(graph_number(g, F32, 0.0), graph_number(g, F32, -0.0));
    Val x = graph_input(g, "x", F32, 2, DIMS(3, 4));
    assert_int_equal(graph_find_input(g, "x"), x);
    assert_int_equal(graph_find_input(g, "y"), VAL_NONE);
    assert_false(graph_is_state(g, x));
    assert_int_equal(graph_spec(g, g_add(g, x, a)).dim[1], 4);
    assert_true(graph_ok(g));

    /* the same memory with another shape */
    Tensor flat;
    assert_ok(tensor_reshape(&w, 1, DIMS(12), &flat, &err), err);
    assert_int_equal(graph_state(g, "flat", &flat), VAL_NONE);
    assert_has(graph_err(g)->msg, "shares its memory");
    graph_free(g);
    tensor_release(&flat);
    tensor_release(&w);
}

static void test_sticky(void **state)
{
    (void)state;
    Err err = {0};
    Graph *g = graph_new(&err);
    Val x = graph_input(g, "x", F32, 2, DIMS(3, 4));
    Val y = graph_input(g, "y", F32, 2, DIMS(5, 7));
    assert_int_equal(g_add(g, x, y), VAL_NONE);
    assert_false(graph_ok(g));
    assert_int_equal(graph_err(g)->code, ERR_SHAPE);
    char first[1000];
    strcpy(first, graph_err(g)->msg);
    assert_has(first, "add");
    /* later calls neither crash nor replace the message */
    assert_int_equal(g_relu(g, x), VAL_NONE);
    assert_int_equal(graph_input(g, "z", F32, 0, NULL), VAL_NONE);
    graph_output(g, "o", x);
    graph_assign(g, x, y);
    Val d;
    assert_false(graph_grad(g, x, &x, 1, &d));
    assert_string_equal(graph_err(g)->msg, first);
    assert_null(plan_new(g, 0, &err));
    assert_string_equal(err.msg, first);
    graph_free(g);
}

static void expect_fail(void (*f)(Graph *g), const char *part)
{
    Err err = {0};
    Graph *g = graph_new(&err);
    f(g);
    assert_false(graph_ok(g));
    assert_has(graph_err(g)->msg, part);
    graph_free(g);
}

static void dup_input(Graph *g)
{
    graph_input(g, "x", F32, 0, NULL);
    graph_input(g, "x", F32, 0, NULL);
}

static void dup_output(Graph *g)
{
    Val x = graph_input(g, "x", F32, 0, NULL);
    graph_output(g, "o", x);
    graph_output(g, "o", x);
}

static void assign_to_value(Graph *g)
{
    Val x = graph_input(g, "x", F32, 0, NULL);
    graph_assign(g, g_neg(g, x), x);
}

static void foreign_value(Graph *g)
{
    Val x = graph_input(g, "x", F32, 0, NULL);
    g_add(g, x, 12345);
}

static void not_scalar_loss(Graph *g)
{
    Val x = graph_input(g, "x", F32, 1, DIMS(3)), d;
    graph_grad(g, x, &x, 1, &d);
}

static void integer_wrt(Graph *g)
{
    Val x = graph_input(g, "x", F32, 0, NULL), d;
    Val k = graph_input(g, "k", I32, 1, DIMS(3));
    graph_grad(g, g_square(g, x), &k, 1, &d);
}

static void output_of_nothing(Graph *g)
{
    graph_output(g, "o", VAL_NONE);
}

static void unknown_op(Graph *g)
{
    graph_op(g, op_find("no_such_op"), NULL, 0, NULL);
}

static void test_refusals(void **state)
{
    (void)state;
    expect_fail(dup_input, "already has an input named \"x\"");
    expect_fail(dup_output, "already has an output named \"o\"");
    expect_fail(assign_to_value, "must be a state");
    expect_fail(foreign_value, "input 2");
    expect_fail(not_scalar_loss, "float scalar, got f32[3]");
    expect_fail(integer_wrt, "must be f32 or f64, got i32[3]");
    expect_fail(output_of_nothing, "output \"o\"");
    expect_fail(unknown_op, "no such op");
}

static void test_strided_state(void **state)
{
    (void)state;
    Err err = {0};
    Graph *g = graph_new(&err);
    Tensor w = t_random(1, F32, 2, DIMS(3, 4), -1, 1), wt;
    assert_ok(tensor_transpose(&w, 0, 1, &wt, &err), err);
    assert_int_equal(graph_state(g, "w", &wt), VAL_NONE);
    assert_has(graph_err(g)->msg, "contiguous");
    graph_free(g);
    /* a constant may be strided: it is copied */
    g = graph_new(&err);
    Val c = graph_const(g, &wt);
    graph_output(g, "c", c);
    Plan *p = plan_of(g, 0);
    assert_ok(plan_run(p, NULL, &err), err);
    const Tensor *o = plan_output(p, 0);
    for (int64_t i = 0; i < 4; i++)
        for (int64_t j = 0; j < 3; j++)
            assert_true(t_at(o, i * 3 + j) == t_at(&w, j * 4 + i));
    plan_free(p);
    graph_free(g);
    tensor_release(&wt);
    tensor_release(&w);
}

typedef struct Hook {
    const char *site;
    double factor;
    int calls;
} Hook;

static Val hook_scale(Graph *g, const char *site, Val v, void *ctx)
{
    Hook *h = ctx;
    h->calls++;
    return strcmp(site, h->site) == 0 ? g_scale(g, v, h->factor) : v;
}

static Val hook_wrong_shape(Graph *g, const char *site, Val v, void *ctx)
{
    (void)site, (void)ctx;
    return g_sum(g, v);
}

static double run_sites(Graph *g, double x)
{
    Err err = {0};
    Val v = graph_site(g, "in", graph_input(g, "x", F32, 1, DIMS(2)));
    Val h = graph_site(g, "hidden", g_square(g, v));
    graph_output(g, "y", g_sum(g, h));
    Plan *p = plan_of(g, 0);
    Tensor in = t_make(F32, 1, DIMS(2));
    tensor_set(&in, DIMS(0), x);
    assert_ok(plan_run(p, &in, &err), err);
    double y = t_at(plan_output(p, 0), 0);
    plan_free(p);
    tensor_release(&in);
    return y;
}

static void test_sites(void **state)
{
    (void)state;
    Err err = {0};
    Graph *g = graph_new(&err);
    assert_near(run_sites(g, 3), 9, 1e-6);
    assert_int_equal(graph_site_count(g), 2);
    assert_string_equal(graph_site_name(g, 1), "hidden");
    graph_free(g);

    g = graph_new(&err);
    Hook h = {"hidden", 10, 0};
    graph_set_hook(g, hook_scale, &h);
    assert_near(run_sites(g, 3), 90, 1e-5);
    assert_int_equal(h.calls, 2);
    assert_int_equal(graph_spec(g, graph_site_value(g, 1)).dim[0], 2);
    graph_free(g);

    g = graph_new(&err);
    graph_set_hook(g, hook_wrong_shape, NULL);
    Val x = graph_input(g, "x", F32, 1, DIMS(2));
    assert_int_equal(graph_site(g, "in", x), VAL_NONE);
    assert_has(graph_err(g)->msg, "site \"in\"");
    graph_free(g);
}

static bool record(void *ctx, Err *err)
{
    Tensor *w = ctx;
    Graph *g = graph_new(err);
    if (!g)
        return false;
    Val x = graph_input(g, "x", F32, 2, DIMS(3, 4));
    Val s = graph_state(g, "w", w), v = x, d;
    for (int i = 0; i < 20; i++)
        v = graph_site(g, "v", g_add(g, v, g_mul(g, s, g_scale(g, v, i))));
    Val loss = g_sum(g, v);
    graph_grad(g, loss, &s, 1, &d);
    graph_output(g, "loss", loss);
    graph_assign(g, s, d);
    bool ok = graph_ok(g);
    if (!ok)
        *err = *graph_err(g);
    graph_free(g);
    return ok;
}

static void test_allocation_faults(void **state)
{
    (void)state;
    Tensor w = t_random(1, F32, 2, DIMS(3, 4), -1, 1);
    assert_true(fail_each_alloc(record, &w) > 10);
    tensor_release(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_leaves),   cmocka_unit_test(test_sticky),
        cmocka_unit_test(test_refusals), cmocka_unit_test(test_strided_state),
        cmocka_unit_test(test_sites),    cmocka_unit_test(test_allocation_faults),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
