/* What a terminal may see of foreign text, and the progress line. */
#include "support.h"

#include "lab/jval.h"
#include "ui/bar.h"
#include "ui/style.h"

static const Stream utf8 = {.tty = true, .escapes = true, .utf8 = true, .width = 80};
static const Stream ascii = {.tty = true, .escapes = true, .width = 80};
static const Stream piped = {.width = 80};

static void shows(const Stream *s, const char *text, const char *want)
{
    Str t;
    str_init(&t);
    assert_int_equal(style_text(s, text, strlen(text), true, &t), strlen(text));
    assert_string_equal(t.s, want);
    str_done(&t);
}

static void controls_become_visible(void **state)
{
    (void)state;
    shows(&utf8, "a\tb\r\nc\rd\n", "a\tb\nc^Md\n");
    shows(&utf8, "\x1b[31m\x07\x7f", "^[[31m^G^?");
    shows(&utf8, "\xC2\x9B\xE2\x80\xAE\xEF\xBB\xBF",
          "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD");
    shows(&utf8, "\xFF\xC3", "\xEF\xBF\xBD\xEF\xBF\xBD");
    shows(&utf8, "\xC3\xA9 \xE2\x96\x80", "\xC3\xA9 \xE2\x96\x80");
    shows(&ascii, "\xC3\xA9\x1b", "?^[");
    shows(&piped, "\x1b[31m\xFF\r", "\x1b[31m\xFF\r");
}

/* However the bytes are cut, a terminal gets the same. */
static void cuts_do_not_matter(void **state)
{
    (void)state;
    const char *text = "x\xF0\x9F\x98\x80\r\n\xE2\x82\xAC\x80\xC3";
    size_t n = strlen(text);
    for (size_t at = 0; at <= n; at++) {
        Str whole, parts;
        str_init(&whole);
        str_init(&parts);
        style_text(&utf8, text, n, true, &whole);
        size_t used = style_text(&utf8, text, at, false, &parts);
        assert_true(used <= at && at - used <= 3);
        style_text(&utf8, text + used, n - used, true, &parts);
        assert_string_equal(parts.s, whole.s);
        str_done(&whole);
        str_done(&parts);
    }
}

static void line_is(const char *json, int width, const char *want)
{
    Str t;
    str_init(&t);
    json_t *ev = jval_parse(json, strlen(json), NULL);
    bar_format(ev, width, true, &t);
    assert_string_equal(t.s, want);
    json_decref(ev);
    str_done(&t);
}

static void progress_lines(void **state)
{
    (void)state;
    line_is("{\"done\":3,\"total\":12,\"rate\":1.5,\"eta\":6,\"text\":\"loss 0.1\"}",
            79, "[#####...............]  25%  3/12  1.5/s  ETA 00:06  loss 0.1");
    line_is("{\"done\":3,\"total\":12,\"rate\":0.25,\"eta\":36}", 50,
            " 25%  3/12  4.0 s each  ETA 00:36");
    line_is("{\"done\":7}", 79, "7");
    line_is("{\"done\":12,\"total\":12}", 79, "[####################] 100%  12/12");
    line_is("{\"done\":13,\"total\":12}", 20, "100%  13/12");
    line_is("{\"done\":\"nan\",\"total\":0}", 79, "nan");
    line_is("{\"done\":1,\"text\":\"\xE4\xB8\xAD\xE4\xB8\xAD\"}", 6, "1  \xE4\xB8\xAD");
    line_is("{\"done\":1,\"text\":\"a\\u001bb\"}", 79, "1  a b");
}

/* Plain lines by the events' own clock: none at first, then at each tenth. */
static void plain_lines_are_few(void **state)
{
    (void)state;
    Bar b = {0};
    Str t;
    int lines = 0;
    str_init(&t);
    for (int i = 0; i <= 1000; i++) {
        json_t *ev =
            json_pack("{s:f,s:i,s:i}", "t", 1000 + i * 0.03, "done", i, "total", 1000);
        bar_event(&b, ev);
        bar_draw(&b, &piped, &t);
        json_decref(ev);
    }
    for (char *s = t.s; (s = strchr(s, '\n')); s++)
        lines++;
    assert_in_range(lines, 9, 12);
    assert_has(t.s, "100%  1000/1000");
    bar_forget(&b);
    str_done(&t);
}

static void the_line_is_taken_away_with_blanks(void **state)
{
    (void)state;
    Bar b = {0};
    Str t;
    str_init(&t);
    bar_clear(&b, &utf8, &t);
    assert_int_equal(t.len, 0);
    json_t *ev = json_pack("{s:i}", "done", 5);
    bar_event(&b, ev);
    json_decref(ev);
    bar_draw(&b, &utf8, &t);
    assert_string_equal(t.s, "5");
    str_clear(&t);
    bar_clear(&b, &utf8, &t);
    assert_int_equal(t.len, 81);
    assert_int_equal(t.s[0], '\r');
    assert_int_equal(t.s[80], '\r');
    str_clear(&t);
    bar_clear(&b, &utf8, &t);
    assert_int_equal(t.len, 0);
    bar_forget(&b);
    str_done(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(controls_become_visible),
        cmocka_unit_test(cuts_do_not_matter),
        cmocka_unit_test(progress_lines),
        cmocka_unit_test(plain_lines_are_few),
        cmocka_unit_test(the_line_is_taken_away_with_blanks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
