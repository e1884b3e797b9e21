/* Measures of a decomposition by hand values: norms and their count, what is left of the
 * weights, and answers of outputs with several heads, one by one and all at once. */
#include "spd_case.h"

static SpdEval evaluated(Spd *s)
{
    Err err = {0};
    SpdEvalCfg cfg = {.batches = 2, .full = true};
    SpdEval e;
    assert_ok(spd_evaluate(s, &cfg, &e, &err), err);
    return e;
}

static void put(Spd *s, const char *name, int64_t row, int64_t col, double v)
{
    Tensor *t = par(s, name);
    ((float *)t->data)[row * t->dim[1] + col] = (float)v;
}

/* |V[:,c]|_1 |U[c,:]|_2, and how many are above 0.017. */
static void test_norms(void **state)
{
    (void)state;
    Net n = net_make();
    SpdCfg c = net_cfg();
    Spd *s = spd_of(&n, &c);
    set_value(s, "a.V", 0);
    set_value(s, "a.U", 0);
    put(s, "a.V", 0, 0, 1);
    put(s, "a.V", 1, 0, -2);
    put(s, "a.U", 0, 0, 3);
    put(s, "a.U", 0, 1, -4);
    put(s, "a.V", 2, 1, 0.5);
    put(s, "a.U", 1, 2, 0.0342);
    put(s, "a.V", 2, 2, 0.5);
    put(s, "a.U", 2, 2, 0.0338);
    put(s, "a.V", 3, 3, 7); /* and no U */
    SpdEval e = evaluated(s);
    const double want[] = {15, 0.0171, 0.0169, 0, 0, 0, 0};
    for (int k = 0; k < 7; k++)
        assert_near(e.layer[0].norm[k], want[k], 1e-6);
    assert_int_equal(e.layer[0].normed, 2);
    spd_eval_done(&e);
    spd_free(s);
    net_done(&n);
}

/* Components that add up to 3/4 of the weights leave a quarter, of weights and of what
 * the layer does with its inputs; none leave all. */
static void test_left(void **state)
{
    (void)state;
    Net n = net_make();
    SpdCfg c = net_cfg();
    Spd *s = spd_of(&n, &c);
    const char *name[] = {"a.V", "a.U", "b.V", "b.U"};
    double square = 0;
    for (int k = 0; k < 4; k++)
        set_value(s, name[k], 0);
    for (int64_t o = 0; o < HID; o++) {
        put(s, "a.U", o, o, 1);
        for (int64_t i = 0; i < IN; i++) {
            double w = t_at(&n.A, o * IN + i);
            put(s, "a.V", i, o, 0.75 * w);
            square += w * w;
        }
    }
    SpdEval e = evaluated(s);
    assert_near(e.layer[0].relative, 0.25, 1e-6);
    assert_near(e.layer[0].left, 0.25, 1e-6);
    assert_near(e.layer[0].faithfulness, square / (HID * IN) / 16, 1e-6);
    assert_near(e.layer[1].relative, 1, 1e-6);
    assert_near(e.layer[1].left, 1, 1e-6);
    spd_eval_done(&e);
    /* a layer without weights has nothing that could be left */
    memset(n.B.data, 0, tensor_bytes(&n.B));
    e = evaluated(s);
    assert_near(e.layer[1].relative, 0, 1e-9);
    assert_near(e.layer[1].left, 0, 1e-9);
    spd_eval_done(&e);
    spd_free(s);
    net_done(&n);
}

/* A network that answers `own` whatever it sees, and `alone` where its second layer has
 * lost its components; labels are all `label`. */
static SpdEval answers(const double own[OUT], const double alone[OUT], int label,
                       bool heads)
{
    Err err = {0};
    Net n = net_make();
    SpdCfg c = net_cfg();
    c.delta = false;
    memset(n.A.data, 0, tensor_bytes(&n.A));
    memset(n.B.data, 0, tensor_bytes(&n.B));
    for (int64_t h = 0; h < HID; h++)
        ((float *)n.a.data)[h] = h == 0;
    for (int64_t o = 0; o < OUT; o++) {
        ((float *)n.b.data)[o] = (float)alone[o];
        ((float *)n.B.data)[o * HID] = (float)(own[o] - alone[o]);
    }
    for (int64_t i = 0; i < ROWS; i++)
        ((int32_t *)n.labels.data)[i] = label;
    SpdTarget t = net_target(&n);
    if (heads)
        t.heads = (SpdHeads){
            .n = 2, .first = {0, 2},
              .size = {2, 2},
              .divide = {2, 1}
        };
    Spd *s = spd_new(&c, &t, &err);
    assert_non_null(s);
    set_value(s, "a.U", 0); /* like its weights: this layer loses nothing */
    set_value(s, "b.U", 0);
    SpdEval e = evaluated(s);
    spd_free(s);
    net_done(&n);
    return e;
}

/* The whole output's largest stays where it is while the second head's moves. */
static void test_heads(void **state)
{
    (void)state;
    const double own[] = {5, 0, 1, 2}, alone[] = {5, 0, 2, 1};
    SpdEval e = answers(own, alone, 1, true);
    assert_int_equal(e.n_heads, 2);
    assert_near(e.layer[1].agreement_head[0], 1, 1e-9);
    assert_near(e.layer[1].agreement_head[1], 0, 1e-9);
    assert_near(e.layer[1].agreement, 0, 1e-9);
    assert_near(e.layer[0].agreement, 1, 1e-9);
    assert_near(e.layer[0].agreement_head[1], 1, 1e-9);
    /* label 1: the first of the first head, the second of the second */
    assert_near(e.accuracy[SPD_MASK_TARGET], 1, 1e-9);
    assert_near(e.accuracy[SPD_MASK_ZEROS], 0, 1e-9);
    assert_near(e.accuracy_head[SPD_MASK_ZEROS][0], 1, 1e-9);
    assert_near(e.accuracy_head[SPD_MASK_ZEROS][1], 0, 1e-9);
    assert_near(e.ce[SPD_MASK_TARGET], log(1 + exp(-5)) + log(1 + exp(-1)), 1e-6);
    assert_near(e.ce[SPD_MASK_ZEROS], log(1 + exp(-5)) + log(1 + exp(1)), 1e-6);
    spd_eval_done(&e);
    /* label 2: the second of the first, the first of the second */
    e = answers(own, alone, 2, true);
    assert_near(e.accuracy[SPD_MASK_TARGET], 0, 1e-9);
    assert_near(e.accuracy_head[SPD_MASK_TARGET][1], 0, 1e-9);
    assert_near(e.accuracy_head[SPD_MASK_ZEROS][0], 0, 1e-9);
    assert_near(e.accuracy_head[SPD_MASK_ZEROS][1], 1, 1e-9);
    spd_eval_done(&e);
}

/* Without heads the whole output is one answer, and so is the label. */
static void test_one_answer(void **state)
{
    (void)state;
    const double own[] = {0, 1, 5, 2}, alone[] = {0, 1, 2, 5};
    SpdEval e = answers(own, alone, 2, false);
    assert_int_equal(e.n_heads, 1);
    assert_near(e.layer[1].agreement, 0, 1e-9);
    assert_near(e.layer[1].agreement_head[0], 0, 1e-9);
    assert_near(e.layer[0].agreement, 1, 1e-9);
    assert_near(e.accuracy[SPD_MASK_TARGET], 1, 1e-9);
    assert_near(e.accuracy_head[SPD_MASK_TARGET][0], 1, 1e-9);
    assert_near(e.accuracy[SPD_MASK_ZEROS], 0, 1e-9);
    assert_near(e.ce[SPD_MASK_TARGET], log(1 + exp(-5) + exp(-4) + exp(-3)), 1e-6);
    spd_eval_done(&e);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_norms),
        cmocka_unit_test(test_left),
        cmocka_unit_test(test_heads),
        cmocka_unit_test(test_one_answer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
