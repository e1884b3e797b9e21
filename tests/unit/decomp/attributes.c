/* attributes.c -- the analysis of variance on gates whose shares are known by hand, the
 * verdicts, the null against noise (whose cells look like combinations), and refusals. */
#include <math.h>

#include "support.h"

#include "base/mem.h"
#include "decomp/attributes.h"
#include "tensor/rng.h"

enum { N = 2700, CELLS = 27 };
static const AttrGrid grid = {
    3, {3, 3, 3}
};

typedef bool Gate(int shape, int colour, int size);

static bool circle(int s, int c, int z)
{
    (void)c, (void)z;
    return s == 0;
}

static bool not_blue(int s, int c, int z)
{
    (void)s, (void)z;
    return c != 2;
}

static bool circle_and_red(int s, int c, int z)
{
    (void)z;
    return s == 0 && c == 0;
}

static bool all_three(int s, int c, int z)
{
    return s == 0 && c == 0 && z == 0;
}

static bool circle_or_red(int s, int c, int z)
{
    (void)z;
    return s == 0 || c == 0;
}

static bool always(int s, int c, int z)
{
    (void)s, (void)c, (void)z;
    return true;
}

static bool never(int s, int c, int z)
{
    (void)s, (void)c, (void)z;
    return false;
}

static const struct {
    Gate *gate;
    double main[3], interaction;
    AttrVerdict verdict;
    bool inverted;
    int value;
} golden[] = {
    {circle,         {1, 0, 0},                      0,         ATTR_ATOMIC,      false, 0},
    {not_blue,       {0, 1, 0},                      0,         ATTR_ATOMIC,      true,  2},
    {circle_and_red, {0.25, 0.25, 0},                0.5,       ATTR_COMBINATION, false, 0},
    {all_three,      {1.0 / 13, 1.0 / 13, 1.0 / 13}, 10.0 / 13, ATTR_COMBINATION, false, 0},
    {circle_or_red,  {0.4, 0.4, 0},                  0.2,       ATTR_NEITHER,     false, 0},
    {always,         {0, 0, 0},                      0,         ATTR_CONSTANT,    false, 0},
    {never,          {0, 0, 0},                      0,         ATTR_SILENT,      false, 0},
};
enum { GATES = ARRAY_LEN(golden), NOISE = 40, C = GATES + NOISE };

#define assert_near(got, want)                                                         \
    do {                                                                               \
        double got_ = (got), want_ = (want);                                           \
        if (!(fabs(got_ - want_) < 1e-9))                                              \
            fail_msg("%s is %.9g, not %.9g", #got, got_, want_);                       \
    } while (0)

static void test_anova(void **state)
{
    (void)state;
    for (int k = 0; k < GATES; k++) {
        double cell[CELLS];
        AttrShares s;
        for (int i = 0; i < CELLS; i++)
            cell[i] = golden[k].gate(attr_digit(&grid, i, 0), attr_digit(&grid, i, 1),
                                     attr_digit(&grid, i, 2));
        attr_anova(&grid, cell, &s);
        for (int a = 0; a < 3; a++)
            assert_near(s.main[a], golden[k].main[a]);
        assert_near(s.interaction, golden[k].interaction);
    }
}

/* Labels in turn; gates as they are, then columns of noise. */
static void fill(Tensor *q, Tensor *labels)
{
    Err err = {0};
    assert_ok(tensor_zeros(F32, 2, (int64_t[]){N, C}, q, &err), err);
    assert_ok(tensor_zeros(I32, 1, (int64_t[]){N}, labels, &err), err);
    for (int64_t i = 0; i < N; i++) {
        int label = (int)(i % CELLS);
        float *row = (float *)q->data + i * C;
        ((int32_t *)labels->data)[i] = label;
        rng_uniform_f32((RngKey){5, 1, 0}, i * C, C, 0, 1, row);
        for (int k = 0; k < GATES; k++)
            row[k] =
                golden[k].gate(attr_digit(&grid, label, 0), attr_digit(&grid, label, 1),
                               attr_digit(&grid, label, 2));
    }
}

static AttrCfg defaults(void)
{
    AttrCfg cfg;
    Err err = {0};
    assert_ok(opt_defaults(attr_options, attr_n_options, &cfg, &err), err);
    return cfg;
}

static void test_verdicts(void **state)
{
    (void)state;
    Err err = {0};
    Tensor q, labels, cells;
    AttrScore score[C];
    AttrSummary sum;
    AttrCfg cfg = defaults();
    fill(&q, &labels);
    assert_ok(attr_scores(&grid, &cfg, &q, NULL, &labels, &cells, score, &err), err);
    for (int k = 0; k < GATES; k++) {
        if (score[k].verdict != golden[k].verdict)
            fail_msg("gate %d is %s", k, attr_verdict_name(score[k].verdict));
        if (golden[k].verdict == ATTR_CONSTANT || golden[k].verdict == ATTR_SILENT)
            continue;
        assert_near(score[k].explained, 1);
        assert_int_equal(score[k].value, golden[k].value);
        assert_int_equal(score[k].inverted, golden[k].inverted);
        double sum_of = 0;
        for (int a = 0; a < 3; a++)
            sum_of += score[k].selectivity[a];
        assert_near(sum_of, 1);
    }
    /* noise has most of its variance of cells in interactions, and is not called so */
    int unrelated = 0;
    double interaction = 0;
    for (int k = GATES; k < C; k++) {
        unrelated += score[k].verdict == ATTR_UNRELATED;
        interaction += score[k].shares.interaction / NOISE;
    }
    assert_true(interaction > 0.6 && unrelated >= NOISE - 2);
    attr_summary(&grid, score, C, &sum);
    assert_int_equal(sum.count[ATTR_ATOMIC], 2);
    assert_int_equal(sum.count[ATTR_CONSTANT], 1);
    assert_int_equal(sum.count[ATTR_SILENT], 1);
    assert_int_equal(sum.values, 9);
    assert_int_equal(sum.covered, 1);
    assert_int_equal(sum.covered_inverted, 2);
    assert_true(score[3].single && score[3].cell == 0 && !score[2].single);
    assert_int_equal(sum.cells, CELLS);
    assert_int_equal(sum.cells_covered, 1);
    assert_true(sum.interaction > 0.1 && sum.interaction < 0.3);
    tensor_release(&q);
    tensor_release(&labels);
    tensor_release(&cells);
}

static void test_refuses(void **state)
{
    (void)state;
    Err err = {0};
    Tensor q, labels, cells;
    AttrScore score[C];
    AttrCfg cfg = defaults();
    AttrGrid none =
                 {
                     2, {3, 0}
    },
             larger = {3, {3, 3, 4}};
    fill(&q, &labels);
    assert_false(attr_scores(&none, &cfg, &q, NULL, &labels, &cells, score, &err));
    assert_has(err.msg, "no grid");
    assert_false(attr_scores(&larger, &cfg, &q, NULL, &labels, &cells, score, &err));
    assert_has(err.msg, "no example has label 27");
    ((int32_t *)labels.data)[3] = 27;
    assert_false(attr_scores(&grid, &cfg, &q, NULL, &labels, &cells, score, &err));
    assert_has(err.msg, "outside 0..26");
    assert_false(attr_scores(&grid, &cfg, &labels, NULL, &labels, &cells, score, &err));
    assert_has(err.msg, "a row for each label");
    tensor_release(&q);
    tensor_release(&labels);
}

/* Whichever allocation fails, the call says so and leaves nothing behind. */
static void test_allocations(void **state)
{
    (void)state;
    Tensor q, labels, cells;
    AttrScore score[C];
    AttrCfg cfg = defaults();
    cfg.shuffles = 2;
    fill(&q, &labels);
    for (long n = 1;; n++) {
        Err err = {0};
        size_t before = mem_live();
        mem_fail_at(n);
        bool ok = attr_scores(&grid, &cfg, &q, NULL, &labels, &cells, score, &err);
        bool fired = mem_fail_fired();
        mem_fail_at(0);
        if (!fired) {
            assert_true(ok && n > 5);
            break;
        }
        assert_false(ok);
        assert_int_equal(err.code, ERR_MEMORY);
        assert_int_equal(mem_live(), before);
    }
    tensor_release(&cells);
    tensor_release(&q);
    tensor_release(&labels);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_anova),
        cmocka_unit_test(test_verdicts),
        cmocka_unit_test(test_refuses),
        cmocka_unit_test(test_allocations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
