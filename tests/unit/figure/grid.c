/* Cells: the text filter against hostile input, wide characters, clipping, wrapping,
 * and what is printed at each level. */
#include "figure/grid.h"

#include "figure/clean.h"
#include "golden.h"

static void write_one(const char *text, int cols, Grid *g, Str *plain)
{
    assert_true(grid_new(1, cols, g, NULL));
    int used = grid_text(g, 0, 0, text, GRID_DEFAULT, GRID_DEFAULT, 0);
    int width = clean_width(text);
    assert_int_equal(used, width < cols ? width : cols);
    str_init(plain);
    grid_plain(g, plain);
}

static void expect(const char *text, const char *want)
{
    Grid g;
    Str t;
    write_one(text, 24, &g, &t);
    assert_int_equal(t.s[t.len - 1], '\n');
    t.s[t.len - 1] = '\0';
    assert_string_equal(t.s, want);
    grid_done(&g);
    str_done(&t);
}

static void test_hostile_text(void **unused)
{
    (void)unused;
    expect("plain", "plain");
    expect("a\033[31mb", "a^[[31mb");
    expect("\033]0;title\007", "^[]0;title^G");
    expect("a\nb\rc\177", "a^Jb^Mc^?");
    expect("x\ty", "x       y");
    expect("a\xC2\x9B" "1m", "a\xEF\xBF\xBD" "1m"); /* C1: CSI in one byte */
    expect("a\xE2\x80\xAE" "b", "a\xEF\xBF\xBD" "b"); /* right-to-left */
    expect("a\xE2\x81\xA6" "b", "a\xEF\xBF\xBD" "b");           /* isolate */
    expect("a\xE2\x80\x8D" "b", "a\xEF\xBF\xBD" "b");           /* zero width joiner */
    expect("a\xF3\xA0\x81\x81" "b", "a\xEF\xBF\xBD" "b");       /* tag character */
    expect("a\xFF\xC0\xAF" "b", "a\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD" "b");
    expect("cut\xE2\x82", "cut\xEF\xBF\xBD\xEF\xBF\xBD");
    expect("e\xCC\x81" "f", "ef"); /* combining marks take no cell */
    expect("\xE8\xA7\xA3 x", "\xE8\xA7\xA3 x");
}

/* Every byte pair, every code point: no control character, no half of a wide one, never
 * more columns than the grid has. */
static void test_nothing_steers_the_terminal(void **unused)
{
    (void)unused;
    Grid g;
    assert_true(grid_new(1, 6, &g, NULL));
    for (unsigned a = 1; a < 0x11000; a++) {
        char text[8];
        Str s;
        str_init(&s);
        str_add_rune(&s, a);
        snprintf(text, sizeof text, "%s%c", s.s, (int)(a & 0xFF ? a & 0xFF : 'x'));
        str_clear(&s);
        grid_text(&g, 0, 0, text, GRID_DEFAULT, GRID_DEFAULT, 0);
        for (int i = 0; i < 6; i++) {
            uint32_t r = grid_at(&g, 0, i)->rune;
            bool half = r == 0;
            assert_true(half || rune_width(r) > 0);
            assert_true(half || rune_width(r) == 1 || grid_at(&g, 0, i + 1)->rune == 0);
            const GridCell *before = grid_at(&g, 0, i - 1);
            assert_true(!half || (before && rune_width(before->rune) == 2));
        }
        grid_plain(&g, &s);
        for (size_t i = 0; i + 1 < s.len; i++)
            assert_true((unsigned char)s.s[i] >= 0x20 && s.s[i] != 0x7F);
        str_done(&s);
    }
    grid_done(&g);
}

static void test_placeholders_stand_out(void **unused)
{
    (void)unused;
    Grid g;
    assert_true(grid_new(1, 9, &g, NULL));
    grid_text(&g, 0, 0, "a\033\xC2\x85", 3, 4, CELL_BOLD);
    assert_int_equal(grid_at(&g, 0, 0)->attr, CELL_BOLD);
    for (int i = 1; i < 4; i++)
        assert_int_equal(grid_at(&g, 0, i)->attr, CELL_BOLD | CELL_REVERSE);
    assert_int_equal(grid_at(&g, 0, 1)->fg, 3);
    assert_int_equal(grid_at(&g, 0, 1)->bg, 4);
    grid_done(&g);
}

static void test_clipping_and_wide(void **unused)
{
    (void)unused;
    Grid g;
    Str t;
    str_init(&t);
    assert_true(grid_new(3, 4, &g, NULL));
    assert_int_equal(grid_text(&g, 0, 0, "abc\xE8\xA7\xA3", -1, -1, 0), 4);
    assert_int_equal(grid_text(&g, 1, -2, "xyz", -1, -1, 0), 3);
    assert_int_equal(grid_text(&g, 2, 0, "\xE8\xA7\xA3\xE8\xA7\xA3", -1, -1, 0), 4);
    grid_text(&g, 2, 1, "-", -1, -1, 0); /* over the right half of the first one */
    grid_text(&g, 7, 0, "outside", -1, -1, 0);
    grid_plain(&g, &t);
    assert_string_equal(t.s, "abc\nz\n -\xE8\xA7\xA3\n");
    assert_null(grid_at(&g, 3, 0));
    assert_null(grid_at(&g, 0, -1));
    grid_ascii(&g);
    str_clear(&t);
    grid_plain(&g, &t);
    assert_string_equal(t.s, "abc\nz\n -??\n");
    grid_done(&g);
    str_done(&t);
}

static void test_print_levels(void **unused)
{
    (void)unused;
    Grid g;
    Str t;
    str_init(&t);
    assert_true(grid_new(1, 8, &g, NULL));
    grid_text(&g, 0, 0, "ab", GRID_RGB(255, 0, 0), GRID_DEFAULT, 0);
    grid_text(&g, 0, 2, "c", 208, GRID_RGB(8, 8, 8), CELL_BOLD);
    grid_text(&g, 0, 3, "d", GRID_DEFAULT, GRID_DEFAULT, CELL_REVERSE);
    grid_print(&g, LEVEL_TRUE, &t);
    assert_string_equal(t.s, "\033[0;38;2;255;0;0mab\033[0;1;38;5;208;48;2;8;8;8mc"
                             "\033[0;7md\033[0m\n");
    str_clear(&t);
    grid_print(&g, LEVEL_256, &t);
    assert_string_equal(t.s, "\033[0;38;5;196mab\033[0;1;38;5;208;48;5;232mc"
                             "\033[0;7md\033[0m\n");
    str_clear(&t);
    grid_print(&g, LEVEL_ANSI, &t);
    assert_string_equal(t.s, "\033[0;31mab\033[0;1;31;40mc\033[0;7md\033[0m\n");
    str_clear(&t);
    grid_print(&g, LEVEL_MONO, &t);
    assert_string_equal(t.s, "abc\033[0;7md\033[0m\n");
    grid_done(&g);
    str_done(&t);
}

/* Pieces of a wrapped text: joined with | */
static void expect_wrap(const char *s, int cols, const char *want)
{
    Str t;
    str_init(&t);
    while (*s) {
        int used;
        size_t skip, n = clean_line(s, cols, &used, &skip);
        assert_true(skip > 0 && n <= skip);
        str_addn(&t, s, n);
        str_addc(&t, '|');
        s += skip;
    }
    assert_string_equal(t.s ? t.s : "", want);
    str_done(&t);
}

static void test_wrapping(void **unused)
{
    (void)unused;
    expect_wrap("", 5, "");
    expect_wrap("one two three", 7, "one two|three|");
    expect_wrap("one two three", 8, "one two|three|");
    expect_wrap("one   two", 4, "one|two|");
    expect_wrap("abcdefgh ij", 3, "abc|def|gh|ij|");
    expect_wrap("a\n\nb\n", 9, "a||b|");
    expect_wrap("  in dent", 6, "  in|dent|");
    expect_wrap("        far", 4, "|far|");
    expect_wrap("\xE8\xA7\xA3\xE6\x9E\x90", 3, "\xE8\xA7\xA3|\xE6\x9E\x90|");
    expect_wrap("\xE8\xA7\xA3" "a", 1, "\xE8\xA7\xA3|a|");
    expect_wrap("tail   ", 4, "tail|");
}

static void test_clean_text(void **unused)
{
    (void)unused;
    Str t;
    str_init(&t);
    clean_text("a\nb\tc\033[2Jd\xC2\x9D\0e", 13, &t);
    assert_int_equal(t.len, 16);
    assert_memory_equal(t.s, "a\nb\tc^[[2Jd\xEF\xBF\xBD^@e", 16);
    str_clear(&t);
    clean_text("e\xCC\x81", 3, &t);
    assert_string_equal(t.s, "e\xCC\x81");
    str_done(&t);
}

static void test_level_names(void **unused)
{
    (void)unused;
    Level l = LEVEL_MONO;
    for (int i = LEVEL_MONO; i <= LEVEL_TRUE; i++) {
        assert_true(level_parse(level_name((Level)i), &l));
        assert_int_equal(l, i);
    }
    assert_false(level_parse("24bit", &l));
}

static bool make_and_grow(void *ctx, Err *err)
{
    Grid g;
    (void)ctx;
    if (!grid_new(2, 3, &g, err))
        return false;
    grid_text(&g, 1, 0, "abc", -1, -1, 0);
    bool ok = grid_resize(&g, 40, err);
    assert_int_equal(grid_at(&g, 1, 2)->rune, 'c'); /* kept either way */
    assert_int_equal(g.rows, ok ? 40 : 2);
    if (ok)
        assert_int_equal(grid_at(&g, 39, 2)->rune, ' ');
    grid_done(&g);
    return ok;
}

static void test_memory_and_size(void **unused)
{
    (void)unused;
    Err err = {0};
    Grid g;
    assert_true(fail_each_alloc(make_and_grow, NULL) >= 2);
    assert_false(grid_new(1 << 30, 1 << 30, &g, &err));
    assert_int_equal(err.code, ERR_SHAPE);
    grid_done(&g);
    assert_true(grid_new(0, 0, &g, &err));
    grid_done(&g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hostile_text),
        cmocka_unit_test(test_nothing_steers_the_terminal),
        cmocka_unit_test(test_placeholders_stand_out),
        cmocka_unit_test(test_clipping_and_wide),
        cmocka_unit_test(test_print_levels),
        cmocka_unit_test(test_wrapping),
        cmocka_unit_test(test_clean_text),
        cmocka_unit_test(test_level_names),
        cmocka_unit_test(test_memory_and_size),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
