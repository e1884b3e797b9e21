/* Gates whose gradient is a definition: figures worked out by hand from the papers'
 * formulas, since no difference quotient can check them. */
#include "graph_support.h"

typedef struct Result {
    Tensor y, du, dtheta;
} Result;

/* y, and the gradients of sum(y); by_u: of sum(y u). */
static Result run(const char *op, double width, bool by_u, int n, const double *u,
                  double theta)
{
    Err err = {0};
    Graph *g = graph_new(&err);
    Val in[2] = {graph_input(g, "u", F64, 2, DIMS(n, 1)),
                 graph_input(g, "theta", F64, 1, DIMS(1))};
    Val wrt[2] = {in[0], in[1]}, d[2];
    Val y = g_call(g, op, in, 2, &(OpAttr){.f = {width}});
    if (by_u)
        y = g_mul(g, y, in[0]);
    graph_output(g, "y", y);
    if (!graph_grad(g, g_sum(g, y), wrt, 2, d))
        fail_msg("%s", graph_err(g)->msg);
    graph_output(g, "du", d[0]);
    graph_output(g, "dtheta", d[1]);
    Plan *p = plan_of(g, 1);
    Tensor bound[2] = {{0}}, x = t_make(F64, 2, DIMS(n, 1)),
           t = t_make(F64, 1, DIMS(1));
    memcpy(x.data, u, sizeof *u * (size_t)n);
    ((double *)t.data)[0] = theta;
    for (int i = 0; i < plan_input_count(p); i++)
        bound[i] = plan_input_name(p, i)[0] == 'u' ? x : t;
    assert_ok(plan_run(p, bound, &err), err);
    Result r;
    assert_ok(tensor_copy(plan_output(p, 0), &r.y, &err), err);
    assert_ok(tensor_copy(plan_output(p, 1), &r.du, &err), err);
    assert_ok(tensor_copy(plan_output(p, 2), &r.dtheta, &err), err);
    tensor_release(&x);
    tensor_release(&t);
    plan_free(p);
    graph_free(g);
    return r;
}

static void done(Result *r)
{
    tensor_release(&r->y);
    tensor_release(&r->du);
    tensor_release(&r->dtheta);
}

static void test_rectangle(void **state)
{
    (void)state;
    static const double u[5] = {0.2, 0.45, 0.55, 0.8, 1.2},
                        f[5] = {0, 0, 0.55, 0.8, 1.2}, open[5] = {0, 0, 1, 1, 1};
    Result r = run("jump", 0.2, false, 5, u, 0.5);
    for (int i = 0; i < 5; i++) {
        assert_near(t_at(&r.y, i), f[i], 0);
        assert_near(t_at(&r.du, i), open[i], 0);
    }
    assert_near(t_at(&r.dtheta, 0), -5, 1e-12);
    done(&r);
    for (int i = 1; i <= 2; i++) { /* each element inside the kernel: -theta/width */
        r = run("jump", 0.2, false, 1, &u[i], 0.5);
        assert_near(t_at(&r.dtheta, 0), -2.5, 1e-12);
        done(&r);
    }
    r = run("jump_count", 0.2, false, 5, u, 0.5);
    double l0 = 0;
    for (int i = 0; i < 5; i++) {
        l0 += t_at(&r.y, i);
        assert_near(t_at(&r.du, i), 0, 0);
    }
    assert_near(l0, 3, 0);
    assert_near(t_at(&r.dtheta, 0), -10, 1e-12);
    done(&r);
}

static void test_sigmoid(void **state)
{
    (void)state;
    static const double above = 0.55, below = 0.45;
    Result r = run("soft_gate", 0.1, true, 1, &above, 0.5);
    assert_near(t_at(&r.y, 0), 0.55, 0);
    assert_near(t_at(&r.du, 0), 2.29252, 1e-5);
    assert_near(t_at(&r.dtheta, 0), -1.29252, 1e-5);
    done(&r);
    r = run("soft_gate", 0.1, true, 1, &below, 0.5);
    assert_near(t_at(&r.y, 0), 0, 0);
    assert_near(t_at(&r.du, 0), 1.05752, 1e-5);
    assert_near(t_at(&r.dtheta, 0), -1.05752, 1e-5);
    done(&r);
    r = run("soft_gate", 0.1, false, 1, &above, 0.5);
    assert_near(t_at(&r.du, 0), 2.35004, 1e-5);
    done(&r);
}

/* The first of equal ones wins, in a batch as in a row. */
static void test_topk_of_a_batch(void **state)
{
    (void)state;
    static const float u[6] = {3, 2.5f, -1, 2, 0.5f, 0.1f}, tie[4] = {1, 2, 2, 2};
    Err err = {0};
    Tensor y, flat = tensor_wrap(F32, 1, DIMS(6), (void *)u),
              rows = tensor_wrap(F32, 2, DIMS(2, 3), (void *)u),
              t = tensor_wrap(F32, 1, DIMS(4), (void *)tie);
    const OpRow *row = op_find("topk_gate");
    OpAttr a;
    op_attr_defaults(row, &a);
    a.i[0] = 2;
    assert_ok(op_eager(row, (const Tensor *[]){&flat}, 1, &a, NULL, &y, &err), err);
    static const double batch[6] = {3, 2.5, 0, 0, 0, 0}, each[6] = {3, 0, 0, 2, 0, 0},
                        first[4] = {0, 2, 2, 0};
    for (int i = 0; i < 6; i++)
        assert_near(t_at(&y, i), batch[i], 0);
    tensor_release(&y);
    assert_ok(op_eager(row, (const Tensor *[]){&t}, 1, &a, NULL, &y, &err), err);
    for (int i = 0; i < 4; i++)
        assert_near(t_at(&y, i), first[i], 0);
    tensor_release(&y);
    a.i[0] = 1;
    assert_ok(op_eager(row, (const Tensor *[]){&rows}, 1, &a, NULL, &y, &err), err);
    for (int i = 0; i < 6; i++)
        assert_near(t_at(&y, i), each[i], 0);
    tensor_release(&y);
}

static void test_refuses(void **state)
{
    (void)state;
    Err err = {0};
    Spec in[2] = {spec_make(F32, 2, DIMS(3, 5)), spec_make(F32, 1, DIMS(4))}, out;
    assert_false(op_shape(op_find("jump"), in, 2, NULL, &out, &err));
    assert_has(err.msg, "jump: f32[3,5] needs one threshold");
    in[1].dim[0] = 5;
    assert_false(
        op_shape(op_find("soft_gate"), in, 2, &(OpAttr){.f = {0}}, &out, &err));
    assert_has(err.msg, "above 0");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rectangle), cmocka_unit_test(test_sigmoid),
        cmocka_unit_test(test_topk_of_a_batch), cmocka_unit_test(test_refuses)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
