/* Keys, layout and drawing, without a terminal. */
#include "support.h"

#include "ui/find.h"
#include "ui/keys_man.h"
#include "ui/source.h"
#include "ui/ui.h"

/* Every key of the table parses, and no two rows of a scope share one or its beginning. */
static void keys_are_sound(void **state)
{
    (void)state;
    Key chords[2000][KEY_CHORD];
    int length[2000], n = 0;
    unsigned scope[2000];
    for (int i = 0; i < key_n_rows; i++) {
        const KeyRow *r = &key_rows[i];
        assert_non_null(r->run);
        assert_true(r->name[0] && r->doc[0] && r->scope);
        assert_true(r->keys[0] || r->args); /* it can be reached */
        for (const char *s = r->keys; *s; s += *s == ' ') {
            int k = 0;
            while (*s && *s != ' ') {
                assert_true(k < KEY_CHORD && key_parse(&s, &chords[n][k]));
                k++;
            }
            length[n] = k;
            scope[n] = r->scope;
            for (int j = 0; j < n; j++) {
                int least = length[j] < k ? length[j] : k;
                bool clash =
                    (scope[j] & scope[n]) &&
                    memcmp(chords[j], chords[n], (size_t)least * sizeof(Key)) == 0;
                if (clash)
                    print_message("'%s' (%s) is taken\n", r->keys, r->name);
                assert_false(clash);
            }
            n++;
        }
        for (int j = 0; j < i; j++) {
            bool same =
                r->args && key_rows[j].args && strcmp(r->name, key_rows[j].name) == 0;
            if (same)
                print_message("two commands '%s'\n", r->name);
            assert_false(same);
        }
    }
    assert_true(n > 100);
}

static void key_names(void **state)
{
    (void)state;
    Str t;
    str_init(&t);
    key_show_all("dd <C-x>s <S-Enter> <A-gt> <F5> <lt>", &t);
    assert_string_equal(t.s, "dd Ctrl-X s Shift-Enter Alt-> F5 <");
    str_done(&t);
    const char *bad = "<Nokey>";
    Key k;
    assert_false(key_parse(&bad, &k));
}

static void manual_page(void **state)
{
    (void)state;
    Str t;
    str_init(&t);
    keys_man(&t);
    assert_true(str_ok(&t, NULL));
    for (int i = 0; i < key_n_rows; i++) {
        Str doc;
        str_init(&doc);
        for (const char *s = key_rows[i].doc; *s; s++)
            str_addf(&doc, *s == '-' ? "\\-" : "%c", *s);
        assert_has(t.s, doc.s);
        str_done(&doc);
    }
    str_done(&t);
}

/* Parts never overlap, stay inside, and the focused pane is always there. */
static void layouts(void **state)
{
    (void)state;
    for (int rows = 1; rows <= 100; rows += rows < 50 ? 1 : 10)
        for (int cols = 1; cols <= 300; cols += cols < 130 ? 3 : 20)
            for (int focus = 0; focus < PANE_COUNT; focus++)
                for (int flags = 0; flags < 8; flags++) {
                    Layout l;
                    LayoutWish w = {.rows = rows,
                                    .cols = cols,
                                    .focus = (PaneId)focus,
                                    .main = focus == PANE_LOG ? PANE_NOTEBOOK
                                                              : (PaneId)focus,
                                    .zoomed = flags & 1,
                                    .images = flags & 2,
                                    .science = flags & 4};
                    layout_make(&w, &l);
                    assert_int_equal(l.too_small, rows < 5 || cols < 20);
                    if (l.too_small)
                        continue;
                    assert_true(layout_part(&l, (PaneId)focus) >= 0);
                    static unsigned char used[100][300];
                    memset(used, 0, sizeof used);
                    for (int i = 0; i < l.n; i++) {
                        Area a = l.part[i].area;
                        assert_true(a.row >= 1 && a.row + a.rows <= l.status.row);
                        assert_true(a.col >= 0 && a.col + a.cols <= cols);
                        for (int r = 0; r < a.rows; r++)
                            for (int c = 0; c < a.cols; c++)
                                assert_int_equal(used[a.row + r][a.col + c]++, 0);
                    }
                }
}

static void finding(void **state)
{
    (void)state;
    assert_int_equal(text_find("Hello World", 11, "world"), 6);
    assert_int_equal(text_find("Hello world", 11, "World"), 11);
    assert_true(text_fuzzy("run below", "below") >
                text_fuzzy("boil every lower owl", "below"));
    assert_int_equal(text_fuzzy("abc", "x"), 0);
    assert_true(text_fuzzy("anything", "") > 0);
}

/* What source_rows() counts is what source_draw() draws. */
static void source_agrees(void **state)
{
    (void)state;
    static const char *const texts[] = {"",
                                        "x",
                                        "a\n\nb\n",
                                        "\tx\ty",
                                        "12345678901234567890",
                                        "\xE4\xB8\xAD\xE4\xB8\xAD\xE4\xB8\xAD z",
                                        "a\x1b[31m\xFF"};
    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        for (int cols = 1; cols < 24; cols++) {
            Grid g;
            Source s = {.s = texts[i],
                        .n = strlen(texts[i]),
                        .cursor = strlen(texts[i]),
                        .lua = true};
            int rows = source_rows(&s, cols), row, col;
            assert_true(grid_new(rows + 1, cols, &g, NULL));
            Painter p = {.grid = &g,
                         .theme = theme_find("dark"),
                         .level = LEVEL_256,
                         .utf8 = true};
            source_draw(&s, &p, (Area){0, 0, rows, cols}, 0, &row, &col);
            assert_int_equal(row, source_cursor_row(&s, cols));
            assert_int_equal(row, rows - 1);
            assert_true(cols < 3 || (col >= 0 && col < cols));
            for (int c = 0; c < cols; c++)
                assert_int_equal(grid_at(&g, rows, c)->rune, ' ');
            grid_done(&g);
        }
}

static void themes_say_it_without_colours(void **state)
{
    (void)state;
    for (int i = 0; i < n_themes; i++) {
        Painter p = {.theme = &themes[i], .level = LEVEL_MONO};
        for (Role r = ROLE_TEXT; r < ROLE_COUNT; r++) {
            Look k = paint_look(&p, r);
            assert_true(k.fg == GRID_DEFAULT && k.bg == GRID_DEFAULT);
        }
        p.level = LEVEL_256;
        Look sel = paint_look(&p, ROLE_CURSOR_LINE), text = paint_look(&p, ROLE_TEXT);
        assert_true(sel.bg != text.bg || sel.attr != text.attr);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_are_sound),
        cmocka_unit_test(key_names),
        cmocka_unit_test(manual_page),
        cmocka_unit_test(layouts),
        cmocka_unit_test(finding),
        cmocka_unit_test(source_agrees),
        cmocka_unit_test(themes_say_it_without_colours),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
