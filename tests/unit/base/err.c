#include "support.h"

static void fills_and_returns_false(void **state)
{
    (void)state;
    Err e = {0};
    assert_false(err_set(&e, ERR_SHAPE, "matmul: (%d,%d) and (%d,%d)", 2, 3, 4, 5));
    assert_int_equal(e.code, ERR_SHAPE);
    assert_string_equal(e.msg, "matmul: (2,3) and (4,5)");
    assert_false(err_prefix(&e, "step %d", 7));
    assert_int_equal(e.code, ERR_SHAPE);
    assert_string_equal(e.msg, "step 7: matmul: (2,3) and (4,5)");
    err_clear(&e);
    assert_int_equal(e.code, ERR_NONE);
    assert_string_equal(e.msg, "");
}

static void null_is_a_caller_who_does_not_care(void **state)
{
    (void)state;
    assert_false(err_set(NULL, ERR_IO, "%s", "x"));
    assert_false(err_prefix(NULL, "%s", "x"));
    err_clear(NULL);
}

static void old_message_may_be_an_argument(void **state)
{
    (void)state;
    Err e = {0};
    err_set(&e, ERR_IO, "inner");
    err_set(&e, ERR_FORMAT, "outer of %s and %s", e.msg, e.msg);
    assert_string_equal(e.msg, "outer of inner and inner");
}

static void too_long_is_cut_between_code_points(void **state)
{
    (void)state;
    char text[3001];
    for (int shift = 0; shift < 4; shift++) {
        Err e = {0};
        memset(text, 'a', sizeof text);
        for (size_t i = (size_t)shift; i + 3 < sizeof text; i += 3)
            memcpy(text + i, "\xE2\x82\xAC", 3);
        text[3000] = '\0';
        err_set(&e, ERR_IO, "%s", text);
        size_t n = strlen(e.msg);
        assert_in_range(n, sizeof e.msg - 8, sizeof e.msg - 1);
        assert_string_equal(e.msg + n - 3, "...");
        assert_int_equal((n - 3 - (size_t)shift) % 3, 0);
        for (int i = 0; i < 50; i++)
            err_prefix(&e, "deeper and deeper and deeper");
        assert_true(strlen(e.msg) < sizeof e.msg);
    }
}

static void control_bytes_and_line_ends_are_tamed(void **state)
{
    (void)state;
    Err e = {0};
    err_set(&e, ERR_IO, "cannot open '%s'\n\n", "a\x1b[2Jb\x7f\r");
    assert_string_equal(e.msg, "cannot open 'a?[2Jb?" "?'");
    err_set(&e, ERR_SCRIPT, "one\n\ttwo");
    assert_string_equal(e.msg, "one\n\ttwo");
}

static void every_code_has_its_own_name(void **state)
{
    (void)state;
    for (int a = ERR_NONE; a <= ERR_SCRIPT; a++)
        for (int b = ERR_NONE; b < a; b++)
            assert_string_not_equal(err_code_name((ErrCode)a),
                                    err_code_name((ErrCode)b));
    assert_string_equal(err_code_name(ERR_SHAPE), "shape");
    assert_string_equal(err_code_name((ErrCode)99), "unknown");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fills_and_returns_false),
        cmocka_unit_test(null_is_a_caller_who_does_not_care),
        cmocka_unit_test(old_message_may_be_an_argument),
        cmocka_unit_test(too_long_is_cut_between_code_points),
        cmocka_unit_test(control_bytes_and_line_ends_are_tamed),
        cmocka_unit_test(every_code_has_its_own_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
