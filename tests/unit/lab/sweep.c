/* Grids: what they expand to, marks that know a point again, shares of launchers. */
#include "lab/sweep.h"

#include "support.h"

static const char script[] = "return 1\n";

/* Points as "a=1 b=2;a=1 b=3;" or the error. */
static const char *expand(const char *const *grid, int n)
{
    static char text[4000];
    Sweep s;
    Err err = {0};
    size_t at = 0;
    text[0] = '\0';
    if (!sweep_expand(script, sizeof script - 1, (char *const *)grid, n, &s, &err)) {
        snprintf(text, sizeof text, "error: %s", err.msg);
        return text;
    }
    for (size_t i = 0; i < s.n; i++) {
        for (size_t k = 0; k < s.n_settings; k++)
            at += (size_t)snprintf(text + at, sizeof text - at, "%s%s", k ? " " : "",
                                   s.point[i].setting[k]);
        at += (size_t)snprintf(text + at, sizeof text - at, ";");
    }
    sweep_done(&s);
    return text;
}
#define EXPAND(...)                                                                    \
    expand((const char *const[]){__VA_ARGS__},                                         \
           (int)ARRAY_LEN(((const char *const[]){__VA_ARGS__})))

static void grids_expand(void **state)
{
    (void)state;
    assert_string_equal(EXPAND("a=1"), "a=1;");
    assert_string_equal(EXPAND("a=1..3"), "a=1;a=2;a=3;");
    assert_string_equal(EXPAND("a=1,2", "b=x,y"), "a=1 b=x;a=1 b=y;a=2 b=x;a=2 b=y;");
    assert_string_equal(EXPAND("a=0..1:0.25"), "a=0;a=0.25;a=0.5;a=0.75;a=1;");
    assert_string_equal(EXPAND("a=0.1..0.5:0.2,7"), "a=0.1;a=0.3;a=0.5;a=7;");
    assert_string_equal(EXPAND("a=-1..1"), "a=-1;a=0;a=1;");
    assert_string_equal(EXPAND("a=3..1:-1"), "a=3;a=2;a=1;");
    assert_string_equal(EXPAND("a=1..2:3"), "a=1;");
    assert_string_equal(EXPAND("a=../x,y..z"), "a=../x;a=y..z;");
    assert_string_equal(EXPAND("a=x\\,y,z"), "a=x,y;a=z;");
    assert_string_equal(EXPAND("a=b=c"), "a=b=c;");
    assert_string_equal(EXPAND("a="), "a=;");
    assert_string_equal(EXPAND("a=1e-3,0.001,2"), "a=1e-3;a=2;"); /* the same point */
    assert_string_equal(EXPAND("a=007,7"), "a=007;a=7;");
    assert_string_equal(expand(NULL, 0), ";"); /* one run without settings */
}

static void wrong_grids_are_named(void **state)
{
    (void)state;
    assert_has(EXPAND("a"), "'a' is no setting");
    assert_has(EXPAND("=1"), "'=1' is no setting");
    assert_has(EXPAND("a=1,,2"), "empty place");
    assert_has(EXPAND("a=1,"), "empty place");
    assert_has(EXPAND("a=2..1"), "never arrives");
    assert_has(EXPAND("a=1..2:0"), "never arrives");
    assert_has(EXPAND("a=1..1e7"), "more than");
    assert_has(EXPAND("a=1..2000", "b=1..2000"), "more than");
    assert_has(EXPAND("a=1", "a=2"), "given twice");
}

static void mark_of(const char *text, const char *a, const char *b, char dst[17])
{
    const char *grid[] = {a, b};
    Sweep s;
    Err err = {0};
    assert_ok(
        sweep_expand(text, strlen(text), (char *const *)grid, b ? 2 : 1, &s, &err),
        err);
    assert_int_equal(s.n, 1);
    strcpy(dst, s.point[0].mark);
    sweep_done(&s);
}

static void marks_know_points(void **state)
{
    (void)state;
    char one[17], other[17];
    mark_of("x", "lr=0.001", "seed=1", one);
    mark_of("x", "seed=1", "lr=1e-3", other);
    assert_string_equal(one, other);
    mark_of("y", "seed=1", "lr=1e-3", other);
    assert_string_not_equal(one, other);
    mark_of("x", "seed=2", "lr=1e-3", other);
    assert_string_not_equal(one, other);
    mark_of("x", "lr=1e-3", NULL, other);
    assert_string_not_equal(one, other);
    mark_of("x", "l=r", "ab=c", one);
    mark_of("x", "l=", "rab=c", other);
    assert_string_not_equal(one, other);
}

static void share_is(size_t rank, size_t size)
{
    size_t r = 99, n = 99;
    Err err = {0};
    assert_ok(sweep_share(&r, &n, &err), err);
    assert_int_equal(r, rank);
    assert_int_equal(n, size);
}

static void unset_all(void)
{
    static const char *const names[] = {"OMPI_COMM_WORLD_RANK",
                                        "OMPI_COMM_WORLD_SIZE",
                                        "PMI_RANK",
                                        "PMI_SIZE",
                                        "SLURM_PROCID",
                                        "SLURM_NTASKS",
                                        "SLURM_STEP_NUM_TASKS",
                                        "SLURM_ARRAY_TASK_ID",
                                        "SLURM_ARRAY_TASK_COUNT",
                                        "SLURM_ARRAY_TASK_MIN",
                                        "SLURM_ARRAY_TASK_STEP",
                                        "SLURM_JOB_ID",
                                        "SLURM_STEP_ID",
                                        "SLURM_STEPID"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        unsetenv(names[i]);
}

static void launchers_say_their_share(void **state)
{
    (void)state;
    size_t r, n;
    unset_all();
    share_is(0, 1);
    setenv("OMPI_COMM_WORLD_RANK", "2", 1);
    share_is(0, 1); /* without a size it means nothing */
    setenv("OMPI_COMM_WORLD_SIZE", "4", 1);
    share_is(2, 4);
    unset_all();
    setenv("PMI_RANK", "1", 1);
    setenv("PMI_SIZE", "3", 1);
    share_is(1, 3);
    setenv("PMI_RANK", "-1", 1);
    share_is(0, 1);
    unset_all();
    setenv("SLURM_JOB_ID", "7", 1);
    setenv("SLURM_PROCID", "0", 1);
    setenv("SLURM_NTASKS", "8", 1);
    share_is(0, 1); /* a batch script alone is no task */
    setenv("SLURM_STEP_ID", "0", 1);
    setenv("SLURM_PROCID", "5", 1);
    share_is(5, 8);
    setenv("SLURM_ARRAY_TASK_ID", "12", 1);
    setenv("SLURM_ARRAY_TASK_COUNT", "3", 1);
    setenv("SLURM_ARRAY_TASK_MIN", "10", 1);
    share_is(2 * 8 + 5, 24);
    setenv("SLURM_ARRAY_TASK_ID", "13", 1);
    assert_false(sweep_share(&r, &n, NULL));
    setenv("SLURM_ARRAY_TASK_STEP", "3", 1);
    share_is(1 * 8 + 5, 24);
    setenv("SLURM_PROCID", "8", 1);
    assert_false(sweep_share(&r, &n, NULL));
    unset_all();
}

static bool expand_once(void *ctx, Err *err)
{
    const char *grid[] = {"a=1..9", "b=x,y"};
    Sweep s;
    (void)ctx;
    bool ok = sweep_expand(script, 9, (char *const *)grid, 2, &s, err);
    sweep_done(&s);
    return ok;
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    assert_true(fail_each_alloc(expand_once, NULL) > 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(grids_expand),
        cmocka_unit_test(wrong_grids_are_named),
        cmocka_unit_test(marks_know_points),
        cmocka_unit_test(launchers_say_their_share),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
