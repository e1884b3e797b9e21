/* The gauge dial: every direction keeps the tensor, generators are those of
 * gauge_turn() and come back, flows better their criterion and end at an optimum, and
 * the quick scores are those that dict_metrics() finds the long way. */
#include "case.h"

#include "decomp/gauge_dial.h"
#include "decomp/metrics.h"

enum { N = 40, SIDE_Y = 9, SIDE_X = 10 };

typedef struct Stage {
    Case k;
    Dictionary d; /* eigenvectors, 10 components of 3 classes */
    Tensor x, labels, unlit;
    DictEval e;
} Stage;

static void stage_new(Stage *s)
{
    Err err = {0};
    Spectrum spectrum;
    s->k = case_random(11, 3, 8, 9, SIDE_Y * SIDE_X, 9);
    assert_ok(spectrum_new(&s->k.b, NULL, &spectrum, &err), err);
    assert_ok(dict_start_eigen(&spectrum, 10, &s->d, &err), err);
    spectrum_done(&spectrum);
    assert_ok(dict_gauge(&s->d, 3, &err), err);
    dict_balance(&s->d);
    s->x = quarters(99, F32, N, s->k.I);
    s->labels = t_make(I32, 1, DIMS(N));
    s->unlit = t_make(F32, 1, DIMS(s->k.I));
    for (int64_t i = 0; i < N; i++)
        ((int32_t *)s->labels.data)[i] = (int32_t)(i * i % 3);
    for (int64_t i = 0; i < s->k.I; i++)
        d32(&s->unlit)[i] = i % 5 == 0;
    s->e = (DictEval){.dict = &s->d,
                      .b = &s->k.b,
                      .S = &s->k.S,
                      .x = &s->x,
                      .labels = &s->labels,
                      .unlit = &s->unlit,
                      .height = SIDE_Y,
                      .width = SIDE_X};
}

static void stage_done(Stage *s)
{
    case_done(&s->k);
    dict_done(&s->d);
    tensor_release(&s->x);
    tensor_release(&s->labels);
    tensor_release(&s->unlit);
}

static GaugeDial *dial_of(const Stage *s, int64_t digit)
{
    Err err = {0};
    GaugeDial *d = dial_new(&s->e, digit, &err);
    assert_ok(d != NULL, err);
    return d;
}

/* Largest difference of two dictionaries' tensors over the largest entry. */
static double apart(const Dictionary *x, const Dictionary *y)
{
    double most = 0, top = 0;
    for (int64_t c = 0; c < x->C; c++) {
        double *X = dense_parts(x, c, 0, x->R), *Y = dense_parts(y, c, 0, y->R);
        for (int64_t i = 0; i < x->I * x->I; i++) {
            most = fmax(most, fabs(X[i] - Y[i]));
            top = fmax(top, fabs(X[i]));
        }
        free(X);
        free(Y);
    }
    return most / top;
}

static void assert_same_tensor(const Stage *s, const GaugeDial *d)
{
    Err err = {0};
    Dictionary now;
    assert_ok(dial_dictionary(d, &now, &err), err);
    assert_true(apart(&s->d, &now) < 2e-6);
    assert_int_equal(now.shown, s->d.shown);
    dict_done(&now);
}

static void every_direction_keeps_the_tensor(void **state)
{
    (void)state;
    Err err = {0};
    Stage s;
    stage_new(&s);
    for (int64_t c = 0; c < 3; c++) {
        GaugeDial *d = dial_of(&s, c);
        DialState before, after;
        DialDirection at;
        int64_t n = dial_components(d), k = 0;
        assert_int_equal(dial_n_directions(d), 5 + 2 * n * (n - 1));
        assert_ok(dial_state(d, &before, NULL, &err), err);
        assert_near(before.similarity, similarity_of(&s.d, &s.k.b, NULL), 1e-7);
        assert_near(before.similarity_data, similarity_of(&s.d, &s.k.b, &s.k.S), 1e-7);
        for (; dial_direction(d, k, &at); k++) {
            assert_int_equal(dial_find(d, at.name), k);
            assert_ok(dial_step(d, k, k % 2 ? 0.13 : 0.2, NULL, &err), err);
        }
        assert_int_equal(k, dial_n_directions(d));
        assert_ok(dial_state(d, &after, NULL, &err), err);
        assert_near(after.similarity, before.similarity, 1e-12);
        assert_near(after.similarity_data, before.similarity_data, 1e-12);
        assert_true(after.drift < 1e-12);
        assert_true(fabs(after.pattern_gini - before.pattern_gini) > 1e-4);
        assert_same_tensor(&s, d);
        dial_free(d);
    }
    stage_done(&s);
}

static double patterns_apart(const GaugeDial *d, const Tensor *q)
{
    Err err = {0};
    Tensor now;
    double most = 0;
    assert_ok(dial_patterns(d, false, &now, &err), err);
    assert_int_equal(tensor_count(&now), tensor_count(q));
    for (int64_t i = 0; i < tensor_count(q); i++)
        most = fmax(most, fabs(t_at(&now, i) - t_at(q, i)));
    tensor_release(&now);
    return most;
}

/* All but flows: by an amount and back. */
static void steps_come_back(void **state)
{
    (void)state;
    Err err = {0};
    Stage s;
    Tensor q;
    stage_new(&s);
    GaugeDial *d = dial_of(&s, 1);
    assert_ok(dial_patterns(d, false, &q, &err), err);
    for (int64_t k = 4; k < dial_n_directions(d); k++) {
        double moved;
        assert_ok(dial_step(d, k, 0.4, &moved, &err), err);
        assert_near(moved, 0.4, 1e-15);
        assert_true(patterns_apart(d, &q) > 1e-3);
        assert_ok(dial_step(d, k, -0.4, &moved, &err), err);
        assert_true(patterns_apart(d, &q) < 1e-6);
    }
    assert_ok(dial_step(d, dial_find(d, "boost 2 1"), 0.5, NULL, &err), err);
    dial_reset(d);
    assert_true(patterns_apart(d, &q) == 0);
    tensor_release(&q);
    dial_free(d);
    stage_done(&s);
}

/* The generators are the turns of gauge.h, which count components of a class from 0. */
static void generators_are_turns(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        GaugeTurn kind;
        int64_t i, j;
    } same[] = {
        {"plus 1 2",  TURN_PLUS,  0, 1},
        {"minus 1 3", TURN_MINUS, 0, 2},
        {"boost 2 1", TURN_BOOST, 1, 0},
        {"boost 1 2", TURN_BOOST, 0, 1},
        {"boost 3 2", TURN_BOOST, 2, 1},
    };
    Err err = {0};
    Stage s;
    stage_new(&s);
    for (size_t t = 0; t < ARRAY_LEN(same); t++) {
        GaugeDial *d = dial_of(&s, 0);
        Dictionary now, then;
        Tensor q, all;
        assert_ok(dial_dictionary(d, &then, &err), err);
        assert_ok(gauge_turn(&then, 0, same[t].kind, same[t].i, same[t].j, 0.3, &err),
                  err);
        assert_ok(dial_step(d, dial_find(d, same[t].name), 0.3, NULL, &err), err);
        assert_ok(dial_dictionary(d, &now, &err), err);
        assert_ok(dict_patterns(&now, NULL, false, &q, &err), err);
        assert_ok(dict_patterns(&then, NULL, false, &all, &err), err);
        for (int64_t i = 0; i < tensor_count(&q); i++)
            assert_near(t_at(&q, i), t_at(&all, i), 1e-5);
        tensor_release(&q);
        tensor_release(&all);
        dict_done(&now);
        dict_done(&then);
        dial_free(d);
    }
    stage_done(&s);
}

/* A class's scores: those of a dictionary of its components alone; keep16: the whole's.
 */
static void assert_scores(const Stage *s, GaugeDial *d, int64_t c)
{
    Err err = {0};
    DialState now;
    DialPart part[10];
    Dictionary whole, own;
    DictMetrics all, class;
    bool keep[10];
    assert_ok(dial_state(d, &now, part, &err), err);
    assert_ok(dial_dictionary(d, &whole, &err), err);
    for (int64_t r = 0; r < 10; r++)
        keep[r] = ((int32_t *)whole.owner.data)[r] == c;
    int64_t n = 0;
    assert_ok(dict_new(dial_components(d), 3, whole.I, &own, &err), err);
    for (int64_t r = 0; r < 10; r++)
        if (keep[r]) {
            size_t row = sizeof(float) * (size_t)whole.I;
            memcpy(d32(&own.a) + n * whole.I, d32(&whole.a) + r * whole.I, row);
            memcpy(d32(&own.b) + n * whole.I, d32(&whole.b) + r * whole.I, row);
            memcpy(d32(&own.head) + 3 * n++, d32(&whole.head) + 3 * r, 12);
        }
    dict_find_owners(&own);
    DictEval e = s->e;
    e.dict = &whole;
    assert_ok(dict_metrics(&e, &all, &err), err);
    e.dict = &own;
    assert_ok(dict_metrics(&e, &class, &err), err);
    assert_near(now.keep16_agreement, all.value[metric_index("keep16_agreement")],
                1e-12);
    assert_near(now.similarity, all.value[metric_index("similarity")], 1e-6);
    const struct {
        const char *name;
        double value;
    } of_class[] = {
        {"cancellation_data",  now.cancellation_data },
        {"cancellation",       now.cancellation      },
        {"erase_corr",         now.erase_corr        },
        {"ablation_rank_corr", now.ablation_rank_corr},
        {"other_digit_share",  now.other_digit_share },
        {"pattern_gini",       now.pattern_gini      },
        {"locality_7x7",       now.locality_7x7      },
        {"display_tv",         now.display_tv        },
        {"background_energy",  now.background_energy },
    };
    for (size_t k = 0; k < ARRAY_LEN(of_class); k++) {
        double want = class.value[metric_index(of_class[k].name)];
        bool same = isnan(want) ? isnan(of_class[k].value)
                                : fabs(of_class[k].value - want) < 1e-5;
        if (!same)
            fail_msg("%s: %.9g, should be %.9g", of_class[k].name, of_class[k].value,
                     want);
    }
    double gini = 0;
    for (int64_t r = 0; r < n; r++)
        gini += part[r].gini / (double)n;
    assert_near(gini, now.pattern_gini, 1e-6);
    assert_true(part[0].effect > 0 && part[0].flips >= 0 && part[0].erase_corr <= 1);
    dict_done(&own);
    dict_done(&whole);
}

static void scores_are_the_metrics(void **state)
{
    (void)state;
    Err err = {0};
    Stage s;
    stage_new(&s);
    for (int64_t c = 0; c < 3; c++) {
        GaugeDial *d = dial_of(&s, c);
        assert_scores(&s, d, c);
        assert_ok(dial_step(d, dial_find(d, "random"), 0.8, NULL, &err), err);
        assert_scores(&s, d, c);
        assert_ok(dial_step(d, dial_find(d, "sparsity"), 1, NULL, &err), err);
        assert_scores(&s, d, c);
        dial_free(d);
    }
    stage_done(&s);
}

static void flows_end_at_an_optimum(void **state)
{
    (void)state;
    static const char *const flow[] = {"sparsity", "locality", "smoothness", "varimax"};
    Err err = {0};
    Stage s;
    stage_new(&s);
    for (int k = 0; k < 4; k++) {
        GaugeDial *d = dial_of(&s, 2);
        int64_t at = dial_find(d, flow[k]);
        DialState before, after, up;
        double moved = 1;
        assert_int_equal(at, k);
        assert_ok(dial_state(d, &before, NULL, &err), err);
        for (int t = 0; t < 200 && moved > 1e-9; t++)
            assert_ok(dial_step(d, at, 1, &moved, &err), err);
        assert_true(moved < 1e-3);
        assert_ok(dial_state(d, &after, NULL, &err), err);
        assert_near(after.similarity, before.similarity, 1e-12);
        if (k == 0)
            assert_true(after.pattern_gini > before.pattern_gini + 0.01);
        if (k == 1)
            assert_true(after.locality_7x7 > before.locality_7x7 + 0.005);
        assert_ok(dial_step(d, at, -0.5, &moved, &err), err);
        assert_near(moved, -0.5, 1e-12);
        assert_ok(dial_state(d, &up, NULL, &err), err);
        assert_true(k != 0 || up.pattern_gini < after.pattern_gini);
        assert_same_tensor(&s, d);
        dial_free(d);
    }
    stage_done(&s);
}

static void what_a_dial_refuses(void **state)
{
    (void)state;
    Err err = {0};
    Stage s;
    Tensor q;
    DialState now;
    stage_new(&s);
    assert_null(dial_new(&s.e, 3, &err));
    assert_has(err.msg, "no digit 3");
    DictEval e = s.e;
    e.height = 4;
    assert_null(dial_new(&e, 0, &err));
    assert_has(err.msg, "images 4 x 10");
    e = s.e;
    e.labels = &s.unlit;
    assert_null(dial_new(&e, 0, &err));
    assert_has(err.msg, "labels");
    e = (DictEval){.dict = &s.d, .b = &s.k.b, .height = SIDE_Y, .width = SIDE_X};
    GaugeDial *d = dial_new(&e, 0, &err);
    assert_ok(d != NULL, err);
    assert_ok(dial_state(d, &now, NULL, &err), err);
    assert_true(isnan(now.erase_corr) && isnan(now.similarity_data));
    assert_true(now.similarity > 0 && now.pattern_gini > 0);
    assert_false(dial_patterns(d, true, &q, &err));
    assert_has(err.msg, "data metric");
    assert_false(dial_step(d, 100000, 0.1, NULL, &err));
    assert_false(dial_step(d, 0, 4, NULL, &err));
    assert_has(err.msg, "3.2");
    assert_int_equal(dial_find(d, "plus 2 2"), -1);
    int k = 0;
    while (k < 100 && dial_step(d, dial_find(d, "boost 1 2"), 3, NULL, &err))
        k++;
    assert_int_equal(k, 1); /* refused before digits are lost */
    assert_has(err.msg, "step back");
    assert_ok(dial_state(d, &now, NULL, &err), err);
    assert_true(now.drift < 1e-12);
    dial_free(d);
    for (int64_t r = 0; r < 10; r++)
        ((int32_t *)s.d.owner.data)[r] = 1;
    assert_null(dial_new(&s.e, 0, &err));
    assert_has(err.msg, "digit 0");
    stage_done(&s);
}

static bool try_dial(void *ctx, Err *err)
{
    Stage *s = ctx;
    DialState now;
    Tensor q = {0};
    Dictionary out = {0};
    GaugeDial *d = dial_new(&s->e, 1, err);
    bool ok = d && dial_step(d, 0, 0.1, NULL, err) && dial_step(d, 4, 0.1, NULL, err) &&
              dial_state(d, &now, NULL, err) && dial_patterns(d, true, &q, err) &&
              dial_dictionary(d, &out, err);
    tensor_release(&q);
    dict_done(&out);
    dial_free(d);
    return ok;
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    Stage s;
    stage_new(&s);
    assert_true(fail_each_alloc(try_dial, &s) > 80);
    stage_done(&s);
}

int main(void)
{
    blas_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_direction_keeps_the_tensor),
        cmocka_unit_test(steps_come_back),
        cmocka_unit_test(generators_are_turns),
        cmocka_unit_test(scores_are_the_metrics),
        cmocka_unit_test(flows_end_at_an_optimum),
        cmocka_unit_test(what_a_dial_refuses),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
