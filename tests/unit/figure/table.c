/* Tables and texts: alignment on the decimal point, wrapping into blocks, wide
 * characters, every width, numbers, and Markdown. */
#include <math.h>

#include "figure/clean.h"
#include "golden.h"

static const char *const heads[] = {"name", "similarity", "limit", "pattern_gini",
                                    "remark"};
static const char *const cells[][5] = {
    {"two_bank",                      "0.9714",  "0.98",  "0.3333", "ok"        },
    {"\xE8\xA7\xA3\xE6\x9E\x90 bank", "12.5",    "1e-5",  "-",
     "needs a warm start from eigenvectors"                                     },
    {"one bank of parts",             "-102400", "inf",   "-0.25",  "two\nlines"},
    {"raw\033[2J",                    "",        "14.1%", "7",      ""          },
};

static Figure *results(void)
{
    Figure *f = figure_table(4, 5, NULL);
    assert_non_null(f);
    for (int j = 0; j < 5; j++) {
        assert_true(figure_set_head(f, j, heads[j], j >= 1 && j <= 3, NULL));
        for (int i = 0; i < 4; i++)
            assert_true(figure_set_cell(f, i, j, cells[i][j], NULL));
    }
    assert_true(figure_set_title(f, "Fidelity", NULL));
    assert_true(figure_set_caption(f, "Test set.", NULL));
    return f;
}

static DrawStyle wide(int width)
{
    return (DrawStyle){
        .level = LEVEL_256, .width = width, .light = false, .utf8 = true};
}

static void test_golden(void **unused)
{
    (void)unused;
    Figure *f = results();
    golden_figure("table-120", f, wide(120));
    golden_figure("table-80", f, wide(80));
    golden_figure("table-50", f, wide(50));
    golden_figure("table-20", f, wide(20));
    golden_figure(
        "table-mono-80", f,
        (DrawStyle){.level = LEVEL_MONO, .width = 80, .light = false, .utf8 = false});
    figure_free(f);
    f = figure_text("one paragraph that is longer than forty columns and so wraps\n\n"
                    "\tindented \xE8\xA7\xA3 text\n\033]0;x\007",
                    NULL);
    golden_figure("text-40", f, wide(40));
    figure_free(f);
}

/* The decimal points of a numeric column stand in one terminal column. */
static void test_points_line_up(void **unused)
{
    (void)unused;
    static const char *const v[] = {"0.5", "12.25", "-3", "1.5e-7", "100,000.1", "3%"};
    Figure *f = figure_table(6, 2, NULL);
    Grid g;
    for (int i = 0; i < 6; i++) {
        assert_true(figure_set_cell(f, i, 0, "row", NULL));
        assert_true(figure_set_cell(f, i, 1, v[i], NULL));
    }
    assert_true(figure_set_head(f, 1, "value", true, NULL));
    DrawStyle style = wide(60);
    assert_true(figure_draw(f, &style, &g, NULL));
    assert_int_equal(g.rows, 8);
    int point = 5 + 7; /* "row" and the gap, then "100,000" */
    for (int i = 0; i < 6; i++) {
        uint32_t r = grid_at(&g, 2 + i, point)->rune;
        assert_int_equal(r, i == 2 ? ' ' : i == 5 ? '%' : '.');
        r = grid_at(&g, 2 + i, point - 1)->rune;
        assert_true(r >= '0' && r <= '9');
    }
    grid_done(&g);
    figure_free(f);
}

/* All words of all cells, in any width from 20 on, nothing beyond the width. */
static void test_every_width(void **unused)
{
    (void)unused;
    Figure *f = results();
    for (int width = 20; width <= 300; width++) {
        Str t = plain_figure(f, wide(width));
        static const char *const words[] = {
            "two_bank", "12.5",  "1e-5",     "-102400", "inf",   "0.3333",  "warm",
            "lines",    "parts", "raw^[[2J", "14.1%",   "-0.25", "Fidelity"};
        bool split = width < 26; /* the names' column is too narrow for one word */
        for (size_t i = 0; i < ARRAY_LEN(words); i++)
            if (!split || (i != 0 && i != 9))
                assert_has(t.s, words[i]);
        for (const char *p = t.s; *p;) {
            size_t n = strcspn(p, "\n");
            char line[2000];
            assert_true(n < sizeof line);
            memcpy(line, p, n);
            line[n] = '\0';
            assert_true(clean_width(line) <= width);
            p += n + 1;
        }
        str_done(&t);
    }
    figure_free(f);
}

static void test_blocks_repeat_the_key(void **unused)
{
    (void)unused;
    Figure *f = figure_table(1, 30, NULL);
    assert_true(figure_set_head(f, 0, "key", false, NULL));
    assert_true(figure_set_cell(f, 0, 0, "K", NULL));
    for (int j = 1; j < 30; j++) {
        char s[32];
        snprintf(s, sizeof s, "%d.5", j);
        assert_true(figure_set_cell(f, 0, j, s, NULL));
        assert_true(figure_set_head(f, j, "h", true, NULL));
    }
    Str t = plain_figure(f, wide(40));
    int keys = 0, rows = 0;
    for (const char *p = t.s; (p = strstr(p, "\nK ")) != NULL; p++)
        keys++;
    for (const char *p = t.s; (p = strchr(p, '\n')) != NULL; p++)
        rows++;
    assert_true(keys >= 4);
    assert_int_equal(rows, keys * 4 - 1); /* head, rule, row, and a gap between */
    assert_has(t.s, "29.5");
    str_done(&t);
    figure_free(f);
}

static void test_empty_tables(void **unused)
{
    (void)unused;
    Figure *f = figure_table(0, 2, NULL);
    Err err = {0};
    assert_true(figure_set_head(f, 1, "lonely", false, NULL));
    Str t = plain_figure(
        f, (DrawStyle){.level = LEVEL_MONO, .width = 40, .light = false, .utf8 = true});
    assert_string_equal(t.s, "   lonely\n-  ------\n");
    str_done(&t);
    assert_false(figure_set_cell(f, 0, 0, "x", &err));
    assert_has(err.msg, "0 x 2");
    assert_false(figure_set_label(f, 0, "x", &err));
    figure_free(f);
    assert_null(figure_table(1, 0, &err));
    assert_int_equal(err.code, ERR_SHAPE);
    f = figure_table(2, 1, NULL);
    t = plain_figure(f, wide(30));
    assert_string_equal(t.s, "\n\n");
    str_done(&t);
    figure_free(f);
}

static void test_numbers(void **unused)
{
    (void)unused;
    static const struct {
        double v;
        const char *want;
    } row[] = {
        {0.0,          "0"         },
        {-0.0,         "0"         },
        {1,            "1"         },
        {0.97136,      "0.9714"    },
        {-12.345,      "-12.35"    },
        {102400,       "102400"    },
        {999.96,       "1000"      },
        {12345.678,    "12346"     },
        {1e-5,         "1e-5"      },
        {1.2345e-300,  "1.234e-300"},
        {1.5e20,       "1.5e20"    },
        {-2.5e6 - 0.5, "-2.5e6"    },
        {NAN,          "-"         },
        {INFINITY,     "inf"       },
        {-INFINITY,    "-inf"      },
        {0.55,         "0.55"      }
    };
    for (size_t i = 0; i < ARRAY_LEN(row); i++) {
        char s[32];
        figure_number(row[i].v, s);
        assert_string_equal(s, row[i].want);
    }
}

static Str markdown(const Figure *f, const char *png)
{
    Str t;
    str_init(&t);
    assert_true(figure_markdown(f, png, &t, NULL));
    return t;
}

static void test_markdown(void **unused)
{
    (void)unused;
    Figure *f = results();
    assert_true(figure_set_cell(f, 0, 4, "a|b <i>*x*_y_ `z`", NULL));
    Str t = markdown(f, NULL);
    golden_check("table-md", &t);
    str_done(&t);
    figure_free(f);
    f = figure_text("use ``` here\033", NULL);
    t = markdown(f, NULL);
    assert_string_equal(t.s, "````text\nuse ``` here^[\n````\n");
    str_done(&t);
    figure_free(f);
    f = figure_images(1, 1, 1, &(float){1}, true, NULL);
    assert_true(figure_set_title(f, "A [title]", NULL));
    assert_true(figure_set_caption(f, "1. not a list", NULL));
    t = markdown(f, "figures/a b).png");
    assert_string_equal(t.s, "**A \\[title\\]**\n\n"
                             "![A \\[title\\]](figures/a%20b%29.png)\n\n"
                             "1\\. not a list\n");
    str_done(&t);
    t = markdown(f, NULL);
    assert_has(t.s, "(1 image of 1 x 1)");
    str_done(&t);
    figure_free(f);
}

static bool make_and_draw(void *ctx, Err *err)
{
    Grid g;
    Str md;
    (void)ctx;
    Figure *f = figure_table(2, 2, err);
    str_init(&md);
    bool ok =
        f && figure_set_head(f, 0, "h", false, err) &&
        figure_set_cell(f, 1, 1, "one", err) && figure_set_cell(f, 1, 1, "two", err) &&
        figure_draw(
            f,
            &(DrawStyle){.level = LEVEL_256, .width = 30, .light = false, .utf8 = true},
            &g, err);
    if (ok) {
        grid_done(&g);
        ok = figure_markdown(f, NULL, &md, err);
    }
    str_done(&md);
    figure_free(f);
    return ok;
}

static bool make_text(void *ctx, Err *err)
{
    (void)ctx;
    Figure *f = figure_text("hello", err);
    figure_free(f);
    return f != NULL;
}

static void test_memory(void **unused)
{
    (void)unused;
    assert_true(fail_each_alloc(make_and_draw, NULL) >= 8);
    assert_true(fail_each_alloc(make_text, NULL) >= 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden),
        cmocka_unit_test(test_points_line_up),
        cmocka_unit_test(test_every_width),
        cmocka_unit_test(test_blocks_repeat_the_key),
        cmocka_unit_test(test_empty_tables),
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_markdown),
        cmocka_unit_test(test_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
