/* Colours in printed text: what is understood, what is passed over, what stays. */
#include "support.h"

#include "ui/ansi.h"

static void becomes(const char *line, const char *want, int spans)
{
    char text[256];
    AnsiSpan span[8];
    snprintf(text, sizeof text, "%s", line);
    assert_int_equal(ansi_take(text, span, 8), spans);
    assert_string_equal(text, want);
}

static Look last_look(const char *line)
{
    char text[256];
    AnsiSpan span[8] = {0};
    snprintf(text, sizeof text, "%s", line);
    int n = ansi_take(text, span, 8);
    assert_in_range(n, 1, 8);
    return span[n - 1].look;
}

static void look_is(const char *line, int32_t fg, int32_t bg, int attr)
{
    Look k = last_look(line);
    assert_int_equal(k.fg, fg);
    assert_int_equal(k.bg, bg);
    assert_int_equal(k.attr, attr);
}

static void colours_are_taken_out(void **state)
{
    (void)state;
    becomes("plain", "plain", 0);
    becomes("\033[31mred\033[0m", "red", 2);
    becomes("a\033[1;4;38;5;200mb\033[mc", "abc", 2);
    look_is("\033[31m", 1, GRID_DEFAULT, 0);
    look_is("\033[1;92;44m", 10, 4, CELL_BOLD);
    look_is("\033[38;5;200;48;2;1;2;3m", 200, GRID_RGB(1, 2, 3), 0);
    look_is("\033[1;2;7m\033[22;27m", GRID_DEFAULT, GRID_DEFAULT, 0);
    look_is("\033[31;41m\033[39m", GRID_DEFAULT, 1, 0);
    look_is("\033[31;1m\033[m", GRID_DEFAULT, GRID_DEFAULT, 0);
}

/* Numbers that could hide a text or are none change nothing. */
static void the_rest_changes_nothing(void **state)
{
    (void)state;
    look_is("\033[5;8;9;53m", GRID_DEFAULT, GRID_DEFAULT, 0);
    look_is("\033[38;5;999m", GRID_DEFAULT, GRID_DEFAULT, 0);
    look_is("\033[38m", GRID_DEFAULT, GRID_DEFAULT, 0);
    look_is("\033[38;2;1m", GRID_DEFAULT, GRID_DEFAULT, 0);
    look_is("\033[99999999999999999999m", GRID_DEFAULT, GRID_DEFAULT, 0);
}

static void other_sequences_stay(void **state)
{
    (void)state;
    const char *const lines[] = {
        "\033[2J",      "\033]0;title\007",
        "\033[31",      "\033[31;",
        "\033",         "\033[?25m",
        "\033[38:5:1m", "\033[31 m",
        "\033(0",       "\033[1;2;3;4;5;6;7;8;9;10;11;12;13;14;15;16;17m"};
    for (size_t i = 0; i < ARRAY_LEN(lines); i++)
        becomes(lines[i], lines[i], 0);
    /* what is left when a sequence goes is text too */
    becomes("\033\033[31m[2J", "\033[2J", 1);
    becomes("\033[1\033[31mm", "\033[1m", 1);
}

static void too_many_are_taken_out_as_well(void **state)
{
    (void)state;
    char text[2048] = "";
    AnsiSpan span[8];
    for (int i = 0; i < 100; i++)
        strcat(text, "\033[31mx\033[0m");
    assert_int_equal(ansi_take(text, span, 8), 8);
    assert_int_equal(strlen(text), 100);
    assert_int_equal(span[7].at, 4);
    strcpy(text, "\033[31mx");
    assert_int_equal(ansi_take(text, NULL, 0), 0);
    assert_string_equal(text, "x");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(colours_are_taken_out),
        cmocka_unit_test(the_rest_changes_nothing),
        cmocka_unit_test(other_sequences_stay),
        cmocka_unit_test(too_many_are_taken_out_as_well),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
