/* The texts of cells: a new execution replaces the text of the last one, readers never
 * mix the two, newlines are counted; and a journal that tells another what a script
 * does. */
#include "support.h"

#include <sys/stat.h>

#include "base/file.h"
#include "lab/journal.h"
#include "lab/jval.h"
#include "lab/run.h"

static char folder[64];

static int begin(void **state)
{
    (void)state;
    scratch_make(folder);
    return 0;
}

static int end(void **state)
{
    (void)state;
    scratch_remove(folder);
    return 0;
}

static char *in_folder(const char *name)
{
    static char path[256];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static void text_is(const char *name, const char *want)
{
    char *text;
    size_t n;
    Err err = {0};
    assert_ok(file_read_all(in_folder(name), 1 << 20, &text, &n, &err), err);
    assert_int_equal(n, strlen(want));
    assert_memory_equal(text, want, n);
    mem_free(text);
}

static void print_in(Journal *j, int cell, const char *text)
{
    Err err = {0};
    assert_ok(journal_begin_cell(j, cell, "x", &err), err);
    assert_ok(journal_out(j, text, strlen(text), &err), err);
    assert_ok(journal_end_cell(j, "done", 0, &err), err);
}

/* The next event of a kind; NULL: none comes. */
static json_t *next(JournalReader *r, const char *kind)
{
    bool more;
    json_t *ev;
    while ((ev = jreader_next(r, &more, NULL)) || more) {
        if (ev && strcmp(jval_get(ev, "ev", ""), kind) == 0)
            return ev;
        json_decref(ev);
    }
    return NULL;
}

static void out_is(JournalReader *r, int cell, const char *want)
{
    char *text;
    size_t n;
    Err err = {0};
    assert_ok(jreader_out(r, cell, 0, 100, &text, &n, &err), err);
    assert_string_equal(text, want);
    mem_free(text);
}

static void a_new_execution_replaces_the_text(void **state)
{
    (void)state;
    Err err = {0};
    char *text;
    size_t n;
    Journal *j = journal_open(folder, &err);
    assert_non_null(j);
    print_in(j, 1, "first\n");
    print_in(j, 12, "other\n");
    JournalReader *slow = jreader_open(folder, &err);
    json_decref(next(slow, "done"));
    out_is(slow, 1, "first\n");
    print_in(j, 1, "second\nand more\n");
    assert_false(file_exists(in_folder("out-1.log")));
    text_is("out-1.2.log", "second\nand more\n");
    text_is("out-12.log", "other\n");
    /* a reader that has not come so far is not given another execution's text */
    assert_false(jreader_out(slow, 1, 0, 100, &text, &n, &err));
    assert_int_equal(err.code, ERR_STATE);
    assert_has(err.msg, "replaced");
    json_t *ev = next(slow, "start");
    json_decref(ev);
    ev = next(slow, "start");
    assert_int_equal(jval_get_int(ev, "log", 1), 2);
    json_decref(ev);
    out_is(slow, 1, "second\nand more\n");
    out_is(slow, 12, "other\n");
    ev = next(slow, "out");
    assert_int_equal(jval_get_int(ev, "lines", 0), 2);
    assert_int_equal(jval_get_int(ev, "from", -1), 0);
    json_decref(ev);
    /* one that printed nothing leaves its empty file to the next */
    print_in(j, 1, "");
    assert_true(file_exists(in_folder("out-1.3.log")));
    journal_close(j);
    j = journal_open(folder, &err);
    assert_non_null(j);
    print_in(j, 1, "fourth");
    text_is("out-1.3.log", "fourth");
    journal_close(j);
    jreader_close(slow);
}

static void the_number_survives_strange_files(void **state)
{
    (void)state;
    Err err = {0};
    const char *const names[] = {"out-1.log.tmp", "out-1.x.log",  "out-1.02x.log",
                                 "out-11.9.log",  "out-1.-4.log", "out-1..log"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        assert_ok(file_write_all(in_folder(names[i]), "x", 1, &err), err);
    assert_ok(file_write_all(in_folder("out-1.7.log"), "old", 3, &err), err);
    Journal *j = journal_open(folder, &err);
    print_in(j, 1, "new");
    text_is("out-1.8.log", "new");
    assert_false(file_exists(in_folder("out-1.7.log")));
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        text_is(names[i], "x");
    journal_close(j);
}

static void be_measured(void *told)
{
    ++*(int *)told;
}

static void what_a_script_does_is_told(void **state)
{
    (void)state;
    Err err = {0};
    const char *names[] = {"m"};
    double v = 0.5;
    int asked = 0;
    assert_ok(dir_make(in_folder("part"), &err), err);
    Run *all = run_open(folder, &err), *part = run_open(in_folder("part"), &err);
    assert_non_null(all);
    assert_non_null(part);
    Journal *j = run_journal(all);
    assert_ok(run_set(all, "settings", json_pack("{s:i}", "n", 3), &err), err);
    assert_ok(journal_begin_cell(j, 4, "name", &err), err);
    assert_ok(journal_out(j, "before\n", 7, &err), err);
    journal_before_metric(j, be_measured, &asked);
    assert_ok(journal_metric(j, 1, names, &v, 1, &err), err);
    assert_int_equal(asked, 1);
    run_tell(all, part);
    assert_ok(journal_metric(j, 2, names, &v, 1, &err), err);
    assert_int_equal(asked, 1); /* not while somebody is told */
    assert_ok(journal_out(j, "after\n", 6, &err), err);
    assert_ok(journal_event(j, "value", json_pack("{s:s}", "text", "v"), &err), err);
    assert_ok(journal_event(j, "draft", json_pack("{s:s}", "text", "d"), &err), err);
    assert_ok(run_set(all, "extra", json_true(), &err), err);
    assert_ok(journal_end_cell(j, "done", 0, &err), err);
    run_tell(all, NULL);
    assert_ok(journal_metric(j, 3, names, &v, 1, &err), err);
    assert_ok(run_finish(part, "done", NULL, &err), err);
    run_close(part);
    run_close(all);
    text_is("part/out-4.log", "before\nafter\n");
    text_is("out-4.log", "before\nafter\n");
    json_t *o = jval_read_file(in_folder("part/run.json"), 1 << 20, &err);
    assert_int_equal(jval_get_int(json_object_get(o, "settings"), "n", 0), 3);
    assert_true(json_is_true(json_object_get(o, "extra")));
    json_decref(o);
    static const char *const want[] = {"start", "metric", "out",
                                       "value", "done",   "state"};
    JournalReader *r = jreader_open(in_folder("part"), &err);
    bool more;
    size_t i = 0;
    while ((o = jreader_next(r, &more, NULL)) && i < ARRAY_LEN(want)) {
        if (strcmp(jval_get(o, "ev", ""), "out") != 0 || strcmp(want[i], "out") == 0)
            assert_string_equal(jval_get(o, "ev", ""), want[i++]);
        if (strcmp(jval_get(o, "ev", ""), "metric") == 0)
            assert_int_equal(jval_get_int(o, "step", 0), 2);
        json_decref(o);
    }
    assert_int_equal(i, ARRAY_LEN(want));
    jreader_close(r);
}

#define T(f) cmocka_unit_test_setup_teardown(f, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(a_new_execution_replaces_the_text),
        T(the_number_survives_strange_files),
        T(what_a_script_does_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
