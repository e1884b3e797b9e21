#include "support.h"

#include "base/str.h"

static void an_empty_text_costs_nothing(void **state)
{
    (void)state;
    Str t;
    size_t live = mem_live();
    str_init(&t);
    assert_string_equal(t.s, "");
    str_clear(&t);
    str_done(&t);
    str_done(&t);
    assert_string_equal(t.s, "");
    assert_int_equal(mem_live(), live);
}

static void appends_and_stays_terminated(void **state)
{
    (void)state;
    Str t;
    str_init(&t);
    for (int i = 0; i < 5000; i++) {
        str_addc(&t, (char)('a' + i % 26));
        assert_int_equal(t.len, i + 1);
        assert_int_equal(t.s[t.len], '\0');
        assert_true(t.len < t.cap);
    }
    str_clear(&t);
    str_add(&t, "ab");
    str_addn(&t, "c\0d", 3);
    str_addf(&t, "%s=%d", "e", 5);
    assert_int_equal(t.len, 8);
    assert_memory_equal(t.s, "abc\0de=5", 9);
    assert_true(str_ok(&t, NULL));
    str_done(&t);
}

static void long_formats_and_own_pieces(void **state)
{
    (void)state;
    Str t;
    str_init(&t);
    str_add(&t, "0123456789");
    str_addf(&t, "%0500d|%s", 3, t.s);
    assert_int_equal(t.len, 521);
    assert_string_equal(t.s + 511, "0123456789");
    str_clear(&t);
    str_add(&t, "xyz");
    for (int i = 0; i < 12; i++)
        str_add(&t, t.s); /* doubles: must survive its own move */
    assert_int_equal(t.len, 3 << 12);
    for (size_t i = 0; i < t.len; i++)
        assert_int_equal(t.s[i], "xyz"[i % 3]);
    str_done(&t);
}

static bool build(void *ctx, Err *err)
{
    (void)ctx;
    Str t;
    str_init(&t);
    str_add(&t, "start ");
    for (int i = 0; i < 100; i++)
        str_addf(&t, "%d ", i);
    str_addf(&t, "%01000d", 1);
    str_add_rune(&t, 0x1F600);
    bool ok = str_ok(&t, err);
    if (ok)
        assert_int_equal(t.len, 6 + 10 * 2 + 90 * 3 + 1000 + 4);
    str_done(&t);
    return ok;
}

static void failure_is_sticky_and_leaks_nothing(void **state)
{
    (void)state;
    assert_in_range(fail_each_alloc(build, NULL), 5, 10);
    Str t;
    str_init(&t);
    mem_fail_at(1);
    str_add(&t, "lost");
    str_add(&t, "not appended either");
    str_addf(&t, "%0300d", 1);
    assert_true(t.oom);
    assert_string_equal(t.s, "");
    str_done(&t);
    assert_false(t.oom);
}

static void distance_counts_slips(void **state)
{
    (void)state;
    static const struct {
        const char *a, *b;
        int d;
    } row[] = {{"", "", 0},           {"", "abc", 3},         {"abc", "", 3},
               {"abc", "abc", 0},     {"abc", "abd", 1},      {"abc", "acb", 1},
               {"epochs", "epoch", 1}, {"kitten", "sitting", 3}, {"ab", "ba", 1},
               {"lr", "rl", 1},       {"ca", "abc", 3},       {"hidden", "hiden", 1}};
    for (size_t i = 0; i < ARRAY_LEN(row); i++) {
        assert_int_equal(text_distance(row[i].a, row[i].b), row[i].d);
        assert_int_equal(text_distance(row[i].b, row[i].a), row[i].d);
    }
    char a[200], b[200];
    memset(a, 'a', 199);
    memset(b, 'b', 199);
    a[199] = b[199] = '\0';
    assert_int_equal(text_distance(a, b), 64);
}

static void nearest_finds_slips_and_nothing_else(void **state)
{
    (void)state;
    static const char *const names[] = {"epochs", "batch", "lr",        "noise",
                                        "hidden", "seed",  "components", "bias"};
    static const struct {
        const char *typed, *meant;
    } row[] = {{"epoch", "epochs"}, {"bacth", "batch"},     {"noize", "noise"},
               {"ls", "lr"},        {"hiden", "hidden"},    {"comp", "components"},
               {"sede", "seed"},    {"temperature", NULL},  {"x", NULL},
               {"", NULL},          {"zzzz", NULL},         {"Epochs", "epochs"}};
    for (size_t i = 0; i < ARRAY_LEN(row); i++) {
        const char *got = text_nearest(row[i].typed, names, ARRAY_LEN(names));
        if (!row[i].meant)
            assert_null(got);
        else if (!got)
            fail_msg("nothing near '%s'", row[i].typed);
        else
            assert_string_equal(got, row[i].meant);
    }
    assert_null(text_nearest("epochs", names, 0));
}

static void copy_cuts_between_code_points(void **state)
{
    (void)state;
    char dst[6];
    assert_true(text_copy(dst, sizeof dst, "abcde"));
    assert_string_equal(dst, "abcde");
    assert_false(text_copy(dst, sizeof dst, "abcdef"));
    assert_string_equal(dst, "abcde");
    assert_false(text_copy(dst, sizeof dst, "abc\xE2\x82\xAC"));
    assert_string_equal(dst, "abc");
    assert_false(text_copy(dst, 1, "a"));
    assert_string_equal(dst, "");
    assert_false(text_copy(dst, 0, "a"));
    assert_false(text_copy(dst, 3, "\x80\x80\x80\x80"));
    assert_true(strlen(dst) < 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_text_costs_nothing),
        cmocka_unit_test(appends_and_stays_terminated),
        cmocka_unit_test(long_formats_and_own_pieces),
        cmocka_unit_test(failure_is_sticky_and_leaks_nothing),
        cmocka_unit_test(distance_counts_slips),
        cmocka_unit_test(nearest_finds_slips_and_nothing_else),
        cmocka_unit_test(copy_cuts_between_code_points),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
