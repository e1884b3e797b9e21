/* The editor: typing, undo groups, killing, indentation, partners; and its vi. */
#include "support.h"

#include "ui/edit.h"
#include "ui/vi.h"

static void type(Edit *e, const char *s)
{
    for (; *s; s++) {
        if (*s == '\n')
            edit_newline(e);
        else
            edit_type(e, s, 1);
        edit_outdent_closer(e);
    }
}

static void undo_goes_by_groups(void **state)
{
    (void)state;
    Edit e;
    assert_true(edit_init(&e, "", false, NULL));
    type(&e, "one two");
    edit_undo(&e);
    assert_string_equal(e.s, "one");
    edit_undo(&e);
    assert_string_equal(e.s, "");
    assert_false(edit_undo(&e));
    assert_true(edit_redo(&e) && edit_redo(&e));
    assert_string_equal(e.s, "one two");
    edit_paste(&e, " a\nb\nc", 6);
    edit_undo(&e);
    assert_string_equal(e.s, "one two");
    edit_redo(&e);
    edit_redo(&e);
    assert_string_equal(e.s, "one two a\nb\nc");
    edit_undo(&e);
    edit_type(&e, "!", 1);
    assert_false(edit_redo(&e));
    edit_done(&e);
}

static void long_histories_stay_right(void **state)
{
    (void)state;
    Edit e;
    assert_true(edit_init(&e, "", false, NULL));
    for (int i = 0; i < 5000; i++) {
        edit_group(&e);
        edit_replace(&e, e.len, e.len, "ab", 2);
    }
    assert_int_equal(e.len, 10000);
    int undone = 0;
    while (edit_undo(&e))
        undone++;
    assert_in_range(undone, 1000, 2000);
    assert_int_equal(e.len, 10000 - 2 * undone);
    while (edit_redo(&e))
        ;
    assert_int_equal(e.len, 10000);
    edit_done(&e);
}

static void blocks_are_indented(void **state)
{
    (void)state;
    Edit e;
    assert_true(edit_init(&e, "", false, NULL));
    type(&e, "for i = 1, 3 do\nif x then\nf {\n1,\n}\nelse\ny = 2 -- end\nend\nend\nz");
    assert_string_equal(e.s, "for i = 1, 3 do\n  if x then\n    f {\n      1,\n    }\n"
                             "  else\n    y = 2 -- end\n  end\nend\nz");
    edit_done(&e);
    assert_true(edit_init(&e, "a\nb", false, NULL));
    edit_go(&e, 0);
    edit_set_mark(&e);
    edit_move(&e, GO_END, 1);
    edit_indent(&e, 1);
    assert_string_equal(e.s, "  a\n  b");
    edit_undo(&e);
    assert_string_equal(e.s, "a\nb");
    edit_done(&e);
}

static void kills_in_a_row_are_one(void **state)
{
    (void)state;
    Edit e;
    KillRing k = {0};
    assert_true(edit_init(&e, "one\ntwo three", false, NULL));
    edit_go(&e, 0);
    edit_kill_line(&e, &k);
    edit_kill_line(&e, &k);
    edit_kill(&e, &k, GO_WORD_RIGHT);
    assert_string_equal(e.s, " three");
    assert_string_equal(kill_ring_top(&k), "one\ntwo");
    edit_move(&e, GO_END, 1);
    edit_kill(&e, &k, GO_WORD_LEFT);
    assert_string_equal(kill_ring_top(&k), "three");
    edit_yank(&e, &k);
    edit_yank_older(&e, &k);
    assert_string_equal(e.s, " one\ntwo");
    edit_yank_older(&e, &k);
    assert_string_equal(e.s, " three");
    edit_done(&e);
    kill_ring_done(&k);
}

static void code_points_stay_whole(void **state)
{
    (void)state;
    Edit e;
    assert_true(edit_init(&e, "a\xC3\xA4\xE4\xB8\xAD\xF0\x9F\x98\x80z", false, NULL));
    assert_int_equal(edit_column(&e, e.len), 7);
    edit_move(&e, GO_LEFT, 2);
    edit_backspace(&e);
    assert_string_equal(e.s, "a\xC3\xA4\xF0\x9F\x98\x80z");
    edit_delete(&e);
    assert_string_equal(e.s, "a\xC3\xA4z");
    edit_transpose(&e);
    assert_string_equal(e.s, "az\xC3\xA4");
    edit_done(&e);
}

static void columns_are_kept(void **state)
{
    (void)state;
    Edit e;
    assert_true(edit_init(&e, "long line\nx\nother line", false, NULL));
    edit_go(&e, 7);
    edit_move(&e, GO_DOWN, 1);
    assert_int_equal(e.cursor, 11);
    edit_move(&e, GO_DOWN, 1);
    assert_int_equal(e.cursor, 19);
    assert_false(edit_move(&e, GO_DOWN, 1));
    edit_done(&e);
}

static void matches(const char *text, size_t cursor, size_t from, size_t to)
{
    Edit e;
    size_t a[2], b[2];
    assert_true(edit_init(&e, text, false, NULL));
    edit_go(&e, cursor);
    assert_true(edit_match(&e, a, b));
    assert_int_equal(a[0], from);
    assert_int_equal(b[0], to);
    edit_done(&e);
}

static void partners_are_found(void **state)
{
    (void)state;
    matches("f(a, ')', (b))", 1, 1, 13);
    matches("f(a, ')', (b))", 12, 10, 12);
    matches("if a then b() elseif c then d() else e() end", 42, 5, 41);
    matches("while x do repeat y() until z end", 11, 11, 22);
    matches("-- )\n(x)", 5, 5, 7);
}

static void names_are_found(void **state)
{
    (void)state;
    Edit e;
    size_t from, to;
    assert_true(edit_init(&e, "cl.train(net, { epochs = 2 }", false, NULL));
    edit_word(&e, 5, &from, &to);
    assert_int_equal(from, 0);
    assert_int_equal(to, 8);
    edit_done(&e);
}

static void no_memory_loses_no_text(void **state)
{
    (void)state;
    Edit e;
    for (long at = 1; at < 6; at++) {
        assert_true(edit_init(&e, "text", false, NULL));
        mem_fail_at(at);
        for (int i = 0; i < 100; i++)
            edit_type(&e, "x", 1);
        bool fired = mem_fail_fired();
        mem_fail_at(0);
        assert_int_equal(strlen(e.s), e.len);
        assert_in_range(e.len, fired ? 103 : 104, 104);
        edit_done(&e);
    }
}

/* --- vi --------------------------------------------------------------------------- */

static void vi(const char *text, const char *keys, const char *want)
{
    Edit e;
    Vi v;
    KillRing k = {0};
    assert_true(edit_init(&e, text, false, NULL));
    edit_go(&e, 0);
    vi_start(&v);
    while (*keys) {
        Key key;
        assert_true(key_parse(&keys, &key));
        if (!v.insert) {
            vi_key(&v, &e, &k, key);
        } else if (key == K_ESC) {
            v.insert = false;
        } else {
            char c = (char)key;
            edit_type(&e, &c, 1);
        }
    }
    if (strcmp(e.s, want) != 0)
        print_message("text '%s'\n", text);
    assert_string_equal(e.s, want);
    edit_done(&e);
    kill_ring_done(&k);
}

static void vi_commands(void **state)
{
    (void)state;
    vi("one two three", "dw", "two three");
    vi("one two three", "2dw", "three");
    vi("one two three", "d2w.", "");
    vi("one two three", "wcwTWO<Esc>", "one TWO three");
    vi("one two three", "$x", "one two three");
    vi("one two three", "3x", " two three");
    vi("a\nb\nc\nd", "jdd", "a\nc\nd");
    vi("a\nb\nc\nd", "2ddp", "c\na\nb\nd");
    vi("a\nb\nc", "Gdd", "a\nb");
    vi("a\nb\nc", "yyjp", "a\nb\na\nc");
    vi("f(a, b)", "f(lct,x<Esc>", "f(x, b)");
    vi("f(a, b)", "f(%x", "f(a, b");
    vi("abc", "rxl.", "xxc");
    vi("a\n  b", "J", "a b");
    vi("abc", "xxuu", "abc");
    vi("abc", "A!<Esc>I?<Esc>", "?abc!");
    vi("abc", "onew<Esc>", "abc\nnew");
    vi("abc def", "vllld", " def");
    vi("abc def", "D", "");
    vi("a b c", "wd0", "b c");
    vi("x\ny\nz", "jdgg", "z");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(undo_goes_by_groups),
        cmocka_unit_test(long_histories_stay_right),
        cmocka_unit_test(blocks_are_indented),
        cmocka_unit_test(kills_in_a_row_are_one),
        cmocka_unit_test(code_points_stay_whole),
        cmocka_unit_test(columns_are_kept),
        cmocka_unit_test(partners_are_found),
        cmocka_unit_test(names_are_found),
        cmocka_unit_test(no_memory_loses_no_text),
        cmocka_unit_test(vi_commands),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
