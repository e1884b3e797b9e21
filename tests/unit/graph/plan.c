/* Plans: merging, dropping, memory, inputs and outputs, interrupts, faults. */
#include "graph_support.h"

#include "base/intr.h"
#include "base/str.h"
#include "graph/optim.h"

static void test_merge_and_drop(void **state)
{
    (void)state;
    Err err = {0};
    Graph *g = graph_new(&err);
    Val x = graph_input(g, "x", F32, 2, DIMS(3, 4));
    Val a = g_mul(g, x, x), b = g_mul(g, x, x);     /* the same */
    Val c = g_scale(g, x, 2), d = g_scale(g, x, 3); /* another attribute */
    Val dead = g_exp(g, g_exp(g, x));               /* nobody asks */
    graph_output(g, "y", g_add(g, g_add(g, a, b), g_add(g, c, d)));
    (void)dead;
    Plan *p = plan_of(g, 0);
    PlanInfo i = plan_info(p);
    assert_int_equal(i.nodes_recorded, 9);
    assert_int_equal(i.merged, 1);
    assert_int_equal(i.nodes, 6);
    assert_true(i.in_place > 0 && i.arena_bytes < i.no_reuse_bytes);
    assert_true(i.flops >= 6 * 12);
    Tensor in = t_random(1, F32, 2, DIMS(3, 4), -1, 1);
    assert_ok(plan_run(p, &in, &err), err);
    for (int64_t k = 0; k < 12; k++) {
        float v = (float)t_at(&in, k);
        assert_near(t_at(plan_output(p, 0), k), 2 * v * v + 5 * v, 1e-5);
    }
    plan_free(p);
    graph_free(g);
    tensor_release(&in);
}

/* A read before and one after an assignment are not the same value. */
static void test_versions(void **state)
{
    (void)state;
    Err err = {0};
    Tensor w = t_scalar(F32, 3);
    Graph *g = graph_new(&err);
    Val s = graph_state(g, "w", &w), before = g_square(g, s);
    Val view = g_reshape(g, s, 1, DIMS(1));
    graph_output(g, "w before", s);
    graph_assign(g, s, graph_number(g, F32, 5));
    Val after = g_square(g, s);
    graph_output(g, "before", before);
    graph_output(g, "after", after);
    graph_output(g, "view", view);
    graph_output(g, "w after", s);
    Plan *p = plan_of(g, 0);
    assert_int_equal(plan_info(p).merged, 0);
    assert_ok(plan_run(p, NULL, &err), err);
    const double want[] = {3, 9, 25, 3, 5};
    for (int i = 0; i < 5; i++)
        assert_true(t_at(plan_output(p, i), 0) == want[i]);
    assert_true(tensor_item(&w) == 5);
    plan_free(p);
    graph_free(g);
    tensor_release(&w);
}

/* Outputs that are leaves or views of leaves; the caller's input may change
 * afterwards. */
static void test_leaf_outputs(void **state)
{
    (void)state;
    Err err = {0};
    Graph *g = graph_new(&err);
    Val x = graph_input(g, "x", F32, 2, DIMS(2, 3));
    graph_output(g, "x", x);
    graph_output(g, "flat", g_reshape(g, x, 1, DIMS(6)));
    graph_output(g, "again", x);
    graph_output(g, "number", graph_number(g, F64, 0.25));
    Plan *p = plan_of(g, 0);
    Tensor in = t_random(1, F32, 2, DIMS(2, 3), -1, 1), keep;
    assert_ok(tensor_copy(&in, &keep, &err), err);
    assert_ok(plan_run(p, &in, &err), err);
    memset(in.data, 0, tensor_bytes(&in));
    assert_true(t_same_bits(plan_output(p, 0), &keep));
    assert_true(t_same_bits(plan_output(p, 2), &keep));
    assert_int_equal(plan_output(p, 1)->ndim, 1);
    assert_memory_equal(plan_output(p, 1)->data, keep.data, tensor_bytes(&keep));
    assert_true(t_at(plan_output(p, 3), 0) == 0.25);
    assert_int_equal(plan_output_index(p, "flat"), 1);
    assert_int_equal(plan_output_index(p, "none"), -1);
    plan_free(p);
    graph_free(g);
    tensor_release(&in);
    tensor_release(&keep);
}

static void test_outlives_graph(void **state)
{
    (void)state;
    Err err = {0};
    Graph *g = graph_new(&err);
    Tensor w = t_scalar(F32, 1), c = t_scalar(F32, 10);
    Val s = graph_state(g, "w", &w);
    graph_assign(g, s, g_add(g, s, graph_const(g, &c)));
    graph_output(g, "w", s);
    tensor_release(&c);
    Plan *train = plan_of(g, 0), *other = plan_of(g, 0);
    graph_free(g);
    Tensor mine = tensor_retain(&w);
    tensor_release(&w);
    assert_ok(plan_run(train, NULL, &err), err);
    assert_ok(plan_run(other, NULL, &err), err); /* plans share the state */
    assert_true(t_at(plan_output(train, 0), 0) == 21);
    assert_int_equal(plan_step(train), 1);
    plan_set_step(train, 40);
    assert_ok(plan_run(train, NULL, &err), err);
    assert_int_equal(plan_step(train), 41);
    plan_free(train);
    plan_free(other);
    assert_true(tensor_item(&mine) == 31);
    tensor_release(&mine);
}

static void test_inputs(void **state)
{
    (void)state;
    Err err = {0};
    Graph *g = graph_new(&err);
    Val x = graph_input(g, "x", F32, 2, DIMS(2, 3)),
        k = graph_input(g, "k", F32, 0, NULL);
    graph_output(g, "y", g_mul(g, x, k));
    Plan *p = plan_of(g, 0);
    assert_int_equal(plan_input_count(p), 2);
    assert_int_equal(plan_input_index(p, "k"), 1);
    assert_int_equal(plan_input_spec(p, 0).dim[1], 3);
    Tensor good = t_random(1, F32, 2, DIMS(2, 3), -1, 1),
           wide = t_make(F32, 2, DIMS(3, 2)), turned;
    Tensor f64 = t_make(F64, 2, DIMS(2, 3)), none = {0}, two = t_scalar(F32, 2);
    assert_ok(tensor_transpose(&wide, 0, 1, &turned, &err), err);

    assert_false(plan_run(p, (Tensor[]){good, none}, &err));
    assert_int_equal(err.code, ERR_STATE);
    assert_has(err.msg, "input \"k\"");
    assert_false(plan_run(p, (Tensor[]){wide, two}, &err));
    assert_has(err.msg, "must be f32[2,3], it is f32[3,2]");
    assert_false(plan_run(p, (Tensor[]){f64, two}, &err));
    assert_int_equal(err.code, ERR_SHAPE);
    assert_false(plan_run(p, (Tensor[]){turned, two}, &err));
    assert_has(err.msg, "strided");
    assert_false(plan_bind_number(p, 0, 1, &err));
    assert_false(plan_bind_number(p, 7, 1, &err));
    assert_int_equal(plan_step(p), 0);

    assert_ok(plan_run(p, (Tensor[]){good, two}, &err), err);
    assert_true(t_at(plan_output(p, 0), 5) == 2 * t_at(&good, 5));
    assert_ok(plan_bind_number(p, 1, 4, &err), err);
    assert_ok(plan_run(p, (Tensor[]){good, none}, &err), err);
    assert_ok(plan_run(p, (Tensor[]){good, none}, &err), err);
    assert_true(t_at(plan_output(p, 0), 5) == 4 * t_at(&good, 5));
    /* given again: the bound number is forgotten */
    assert_ok(plan_run(p, (Tensor[]){good, two}, &err), err);
    assert_false(plan_run(p, (Tensor[]){good, none}, &err));
    plan_free(p);
    graph_free(g);
    tensor_release(&good);
    tensor_release(&wide);
    tensor_release(&turned);
    tensor_release(&f64);
    tensor_release(&two);
}

static void test_interrupt(void **state)
{
    (void)state;
    Err err = {0};
    Graph *g = graph_new(&err);
    Val x = graph_input(g, "x", F32, 0, NULL);
    graph_output(g, "y", g_exp(g, g_square(g, x)));
    Plan *p = plan_of(g, 0);
    Tensor in = t_scalar(F32, 2);
    intr_raise();
    assert_false(plan_run(p, &in, &err));
    assert_int_equal(err.code, ERR_INTERRUPT);
    assert_int_equal(plan_step(p), 0);
    intr_clear();
    assert_ok(plan_run(p, &in, &err), err);
    assert_int_equal(plan_step(p), 1);
    plan_free(p);
    graph_free(g);
    tensor_release(&in);
}

static void test_describe_and_profile(void **state)
{
    (void)state;
    Err err = {0};
    Graph *g = graph_new(&err);
    Val x = graph_input(g, "x", F32, 2, DIMS(8, 64));
    Val h = graph_site(g, "hidden", g_unary(g, "tanh", g_scale(g, x, 2)));
    graph_output(g, "y", g_sum(g, h));
    Plan *p = plan_of(g, 0);
    struct Str s;
    str_init(&s);
    plan_describe(p, &s);
    assert_true(str_ok(&s, &err));
    assert_has(s.s, "hidden tanh f32[8,64]");
    assert_has(s.s, "in-place");
    str_done(&s);
    double seconds[8] = {0};
    Tensor in = t_random(1, F32, 2, DIMS(8, 64), -1, 1);
    plan_profile(p, seconds);
    for (int i = 0; i < 50; i++)
        assert_ok(plan_run(p, &in, &err), err);
    plan_profile(p, NULL);
    for (int i = 0; i < plan_info(p).nodes; i++)
        assert_true(seconds[i] > 0);
    plan_free(p);
    graph_free(g);
    tensor_release(&in);
}

/* ---- faults ---------------------------------------------------------------------- */

typedef struct Fault {
    Graph *g;
    Tensor in[4];
    double want;
} Fault;

static bool plan_and_run(void *ctx, Err *err)
{
    Fault *f = ctx;
    Plan *p = plan_new(f->g, 1, err);
    bool ok = p && plan_run(p, f->in, err);
    if (ok)
        assert_true(t_at(plan_output(p, 0), 0) == f->want);
    plan_free(p);
    return ok;
}

static void test_allocation_faults(void **state)
{
    (void)state;
    Err err = {0};
    Fault f = {.g = graph_new(&err)};
    Graph *g = f.g;
    Tensor w = t_random(1, F32, 2, DIMS(3, 5), -1, 1);
    TensorSet *set = tset_new(&err);
    OptimCfg cfg;
    assert_ok(opt_defaults(optim_options, optim_n_options, &cfg, &err), err);
    Val x = graph_input(g, "x", F32, 2, DIMS(2, 5)),
        dy = graph_input(g, "dy", F32, 2, DIMS(2, 3));
    Val s = graph_state(g, "w", &w);
    graph_output(g, "n", graph_site(g, "n", g_unary(g, "grad_norm_sq", dy)));
    OptimParam p = {"w", s, g_binary(g, "linear_dw", dy, x), 1};
    assert_ok(optim_build(g, &cfg, &p, 1, set, &err), err);
    f.in[0] = t_random(2, F32, 2, DIMS(2, 5), -1, 1);
    f.in[1] = t_random(3, F32, 2, DIMS(2, 3), -1, 1);
    f.in[2] = t_scalar(F32, 1e-3);
    f.in[3] = t_scalar(F32, 1);
    Plan *once = plan_of(g, 1);
    assert_ok(plan_run(once, f.in, &err), err);
    f.want = t_at(plan_output(once, 0), 0);
    plan_free(once);
    assert_true(fail_each_alloc(plan_and_run, &f) > 4);
    graph_free(g);
    for (int i = 0; i < 4; i++)
        tensor_release(&f.in[i]);
    tset_free(set);
    tensor_release(&w);
}

/* A run must not allocate. */
static void test_run_allocates_nothing(void **state)
{
    (void)state;
    Err err = {0};
    Graph *g = graph_new(&err);
    Val x = graph_input(g, "x", F32, 2, DIMS(30, 700)), d;
    Val loss = g_mean(g, g_square(g, g_unary(g, "tanh", x)));
    assert_true(graph_grad(g, loss, &x, 1, &d));
    graph_output(g, "d", d);
    Plan *p = plan_of(g, 0);
    Tensor in = t_random(1, F32, 2, DIMS(30, 700), -1, 1);
    assert_ok(plan_run(p, &in, &err), err);
    uint64_t before = mem_total();
    for (int i = 0; i < 10; i++)
        assert_ok(plan_run(p, &in, &err), err);
    assert_true(mem_total() == before);
    plan_free(p);
    graph_free(g);
    tensor_release(&in);
}

/* A budget that the arena does not fit in: one sentence, nothing left behind. */
static void test_budget(void **state)
{
    (void)state;
    Err err = {0};
    Graph *g = graph_new(&err);
    Val x = graph_input(g, "x", F32, 2, DIMS(1000, 1000));
    graph_output(g, "y", g_exp(g, x));
    size_t live = mem_live(), budget = mem_budget();
    mem_set_budget(live + 100000);
    assert_null(plan_new(g, 0, &err));
    assert_int_equal(err.code, ERR_MEMORY);
    assert_has(err.msg, "planning a graph");
    mem_set_budget(budget);
    assert_int_equal(mem_live(), live);
    graph_free(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_merge_and_drop),
        cmocka_unit_test(test_versions),
        cmocka_unit_test(test_leaf_outputs),
        cmocka_unit_test(test_outlives_graph),
        cmocka_unit_test(test_inputs),
        cmocka_unit_test(test_interrupt),
        cmocka_unit_test(test_describe_and_profile),
        cmocka_unit_test(test_allocation_faults),
        cmocka_unit_test(test_run_allocates_nothing),
        cmocka_unit_test(test_budget),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
