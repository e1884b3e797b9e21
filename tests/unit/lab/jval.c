/* JSON values: shortest numbers that come back with the same bits, cleaned strings,
 * depth. */
#include "lab/jval.h"

#include <math.h>

#include "lab/folder.h"

static void dumps_as(json_t *taken, const char *want)
{
    Str t;
    Err err = {0};
    str_init(&t);
    assert_true(jval_dump(taken, 0, &t, &err));
    assert_string_equal(t.s, want);
    str_done(&t);
    json_decref(taken);
}

static void numbers_are_short_and_exact(void **state)
{
    (void)state;
    dumps_as(jval_number(0.1), "0.1");
    dumps_as(jval_number(3), "3");
    dumps_as(jval_number(-0.0), "-0.0");
    dumps_as(jval_number(1e300), "1e+300");
    dumps_as(jval_number(NAN), "\"nan\"");
    dumps_as(jval_number(-HUGE_VAL), "\"-inf\"");
    dumps_as(json_integer(9007199254740993), "9007199254740993");
    dumps_as(json_real(2.0), "2.0");
    uint64_t bits = 88172645463325252u;
    for (int i = 0; i < 20000; i++) {
        bits ^= bits << 13;
        bits ^= bits >> 7;
        bits ^= bits << 17;
        double v, back;
        memcpy(&v, &bits, sizeof v);
        Str t;
        str_init(&t);
        json_t *n = jval_number(v);
        assert_true(jval_dump(n, 0, &t, NULL));
        json_decref(n);
        n = jval_parse(t.s, t.len, NULL);
        assert_non_null(n);
        back = jval_to_number(n, 0);
        assert_true(isnan(v) ? isnan(back) : memcmp(&v, &back, sizeof v) == 0);
        json_decref(n);
        str_done(&t);
    }
}

static void strings_are_valid_utf8(void **state)
{
    (void)state;
    dumps_as(jval_text("a\0b", 3), "\"a\xEF\xBF\xBD"
                                   "b\"");
    dumps_as(jval_text("\xC3\x28\xFF", 3), "\"\xEF\xBF\xBD(\xEF\xBF\xBD\"");
    dumps_as(jval_str("\"\\\n\t\x1b\x7f"), "\"\\\"\\\\\\n\\t\\u001b\\u007f\"");
    dumps_as(jval_str(NULL), "null");
    json_t *o = json_object();
    assert_true(jval_set(o, "k\xff", json_true()));
    assert_false(jval_set(o, "none", NULL));
    dumps_as(o, "{\"k\xEF\xBF\xBD\":true}");
}

static void depth_is_bounded_both_ways(void **state)
{
    (void)state;
    Err err = {0};
    Str t;
    str_init(&t);
    json_t *v = json_integer(1);
    for (int i = 0; i < JVAL_DEPTH; i++)
        v = json_pack("[o]", v);
    assert_true(jval_dump(v, 0, &t, &err));
    json_t *back = jval_parse(t.s, t.len, &err);
    assert_non_null(back);
    json_decref(back);
    v = json_pack("[o]", v);
    str_clear(&t);
    assert_false(jval_dump(v, 2, &t, &err));
    json_decref(v);
    str_done(&t);
    char deep[2000];
    memset(deep, '[', sizeof deep);
    assert_null(jval_parse(deep, sizeof deep, &err));
    assert_non_null(strstr(err.msg, "deep"));
    /* brackets in strings do not count */
    memset(deep, '[', 300);
    deep[0] = deep[299] = '"';
    v = jval_parse(deep, 300, &err);
    assert_true(json_is_string(v));
    json_decref(v);
}

static void files_are_indented_and_checked(void **state)
{
    (void)state;
    Err err = {0};
    json_t *o = json_pack("{s:i,s:[ii],s:{}}", "a", 1, "b", 2, 3, "c");
    assert_true(jval_write_file(in_folder("v.json"), o, &err));
    json_decref(o);
    size_t n;
    char *text = read_text("v.json", &n);
    assert_string_equal(text, "{\n  \"a\": 1,\n  \"b\": [2, 3],\n  \"c\": {}\n}\n");
    free(text);
    o = jval_read_file(in_folder("v.json"), 1000, &err);
    assert_int_equal(jval_get_int(o, "a", 0), 1);
    json_decref(o);
    assert_null(jval_read_file(in_folder("v.json"), 10, &err));
    write_text("v.json", "w", "[1]");
    assert_null(jval_read_file(in_folder("v.json"), 1000, &err));
    write_text("v.json", "w", "{\"a\":");
    assert_null(jval_read_file(in_folder("v.json"), 1000, &err));
    assert_non_null(strstr(err.msg, "v.json"));
}

#define T(f) cmocka_unit_test_setup_teardown(f, folder_make, folder_drop)
int main(void)
{
    const struct CMUnitTest tests[] = {
        T(numbers_are_short_and_exact),
        T(strings_are_valid_utf8),
        T(depth_is_bounded_both_ways),
        T(files_are_indented_and_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
