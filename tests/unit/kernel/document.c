/* The percent format and the reducer: same bytes out as in, the same document from the
 * same events, and every allocation failing once. */
#include "kernel/document.h"

#include "kernel/compact.h"
#include "lab/journal.h"
#include "lab/jval.h"
#include "support.h"

static Document *load(const char *text, size_t n)
{
    Err err = {0};
    Document *d = document_new(&err);
    assert_non_null(d);
    assert_ok(document_load(d, text, n, &err), err);
    return d;
}

static void same_bytes(const char *text, size_t n)
{
    Err err = {0};
    Document *d = load(text, n);
    Str out;
    str_init(&out);
    assert_ok(document_save(d, &out, &err), err);
    if (out.len != n || memcmp(out.s, text, n) != 0)
        fail_msg("in:\n%s\nout:\n%s", text, out.s);
    /* and through the journal */
    json_t *body = document_to_json(d);
    Document *e = document_new(&err);
    jval_set(body, "ev", json_string("doc"));
    assert_ok(document_apply(e, body, &err), err);
    str_clear(&out);
    assert_ok(document_save(e, &out, &err), err);
    assert_int_equal(out.len, n);
    assert_memory_equal(out.s, text, n);
    assert_int_equal(e->next, d->next);
    assert_false(document_dirty(e));
    json_decref(body);
    str_done(&out);
    document_free(e);
    document_free(d);
}

static const char *const files[] = {
    "",
    "\n",
    "x = 1",
    "x = 1\n",
    "-- %%\nx = 1\n\n-- %%\ny = 2\n",
    "--%%\nx = 1\n--%% title here\n\n\n\ny = 2",
    "\n\n-- %% first\nx = 1\n",
    "#!/usr/bin/env cleave\n-- about\n\n-- %% [markdown]\n-- # Head\n--\n-- text\n\n-- "
    "%%\nx\n",
    "-- %% [markdown] title\n--no space\nno comment\n-- %%\n",
    "-- %% [raw]\n-- a\n",
    "-- %%\nlocal s = [[\n-- %% inside\n]]\n-- %%\ny = 1\n",
    "-- %%\n--[==[\n-- %% inside\n]==]\n-- %%\ny = 1\n",
    "-- %%\nlocal s = [[ never closed\n-- %%\ny = 1\n",
    "-- %%\n--[[ never closed\n-- %%\ny = 1\n",
    "-- %%\r\nx = 1\r\n\r\n-- %% two\r\ny = 2\r\n",
    "-- %%\r\nx = 1\n\r\n-- %% two\ny = 2\r\n",
    "\xEF\xBB\xBF-- %%\nx = 1\n",
    "\xEF\xBB\xBFx = 1\n-- %%\n",
    "-- %%\nx = 'latin \xE9'\n-- %% caf\xE9\ny = 1\n",
    "-- %%\nx = 1   \n   \n\t\n-- %%\n\n\n",
    "  -- %% indented\nx = 1\n",
    "-- %%%% deeper\nx = 1\n-- %%x no marker\n--  %% no marker\n-- %",
    "-- %%\nx = 1\n-- %%",
    "-- %% [markdown]\n-- one\n--\n",
    "-- %% [markdown]\n--  %% percent\n",
    "x = 'unfinished\n-- %%\ny = 1\n",
    "-- %% [raw]\r--%% t\r\n-- %%\rcode()\n-- %%\r\nx\r\n",
};

static void same_bytes_test(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(files); i++)
        same_bytes(files[i], strlen(files[i]));
    same_bytes("-- %%\nx = 'a\0b'\n", 16);
}

static void cells_test(void **state)
{
    (void)state;
    const char *text = "-- preamble\n\n-- %% the net\nx = 1\n\n\n-- %% [markdown] why\n"
                       "-- # Head\n--\n-- text\n-- %%\ns = [[\n-- %%\n]]\n";
    Document *d = load(text, strlen(text));
    assert_int_equal(d->n, 4);
    assert_string_equal(d->cell[0]->text, "-- preamble");
    assert_string_equal(d->cell[1]->text, "x = 1");
    assert_string_equal(d->cell[1]->title, "the net");
    assert_int_equal(d->cell[2]->type, CELL_MARKDOWN);
    assert_string_equal(d->cell[2]->title, "why");
    assert_string_equal(d->cell[2]->text, "# Head\n\ntext");
    assert_string_equal(d->cell[3]->text, "s = [[\n-- %%\n]]");
    char line[8];
    cell_headline(d->cell[3], line, sizeof line);
    assert_string_equal(line, "s = [[");
    document_free(d);
}

/* --- the reducer ------------------------------------------------------------------ */

static void apply(Document *d, const char *json)
{
    Err err = {0};
    json_t *ev = jval_parse(json, strlen(json), &err);
    if (!ev)
        fail_msg("%s: %s", json, err.msg);
    assert_ok(document_apply(d, ev, &err), err);
    json_decref(ev);
}

static void refused(Document *d, const char *json, const char *why)
{
    Err err = {0};
    json_t *ev = jval_parse(json, strlen(json), &err);
    assert_non_null(ev);
    assert_false(document_apply(d, ev, &err));
    assert_has(err.msg, why);
    json_decref(ev);
}

static void saves_as(const Document *d, const char *want)
{
    Err err = {0};
    Str out;
    str_init(&out);
    assert_ok(document_save(d, &out, &err), err);
    assert_string_equal(out.s, want);
    str_done(&out);
}

static void edits_test(void **state)
{
    (void)state;
    const char *text = "-- %% a\nx = 1\n\n-- %% [markdown]\n-- hello\n\n-- %%\ny = 2\n";
    Document *d = load(text, strlen(text));
    apply(d, "{\"ev\":\"text\",\"rev\":1,\"cell\":1,\"text\":\"x = 3\\nz = 4\"}");
    assert_true(document_dirty(d));
    saves_as(d,
             "-- %% a\nx = 3\nz = 4\n\n-- %% [markdown]\n-- hello\n\n-- %%\ny = 2\n");
    apply(d, "{\"ev\":\"text\",\"rev\":2,\"cell\":2,\"text\":\"a\\n\\n%% b\"}");
    saves_as(d,
             "-- %% a\nx = 3\nz = 4\n\n-- %% [markdown]\n-- a\n--\n--  %% b\n\n-- %%\n"
             "y = 2\n");
    apply(d, "{\"ev\":\"delete\",\"rev\":3,\"cell\":3}");
    saves_as(d, "-- %% a\nx = 3\nz = 4\n\n-- %% [markdown]\n-- a\n--\n--  %% b\n");
    apply(d, "{\"ev\":\"insert\",\"rev\":4,\"cell\":9,\"after\":1,\"type\":\"code\","
             "\"text\":\"q = 1\",\"title\":\"new\"}");
    saves_as(d,
             "-- %% a\nx = 3\nz = 4\n\n-- %% new\nq = 1\n\n-- %% [markdown]\n-- a\n--\n"
             "--  %% b\n");
    assert_int_equal(d->next, 10);
    apply(d, "{\"ev\":\"move\",\"rev\":5,\"cell\":1,\"after\":2}");
    saves_as(
        d,
        "-- %% new\nq = 1\n\n-- %% [markdown]\n-- a\n--\n--  %% b\n\n-- %% a\nx = 3\n"
        "z = 4\n");
    apply(d, "{\"ev\":\"type\",\"rev\":6,\"cell\":9,\"type\":\"markdown\"}");
    saves_as(
        d, "-- %% new [markdown]\n-- q = 1\n\n-- %% [markdown]\n-- a\n--\n--  %% b\n\n"
           "-- %% a\nx = 3\nz = 4\n");
    apply(d, "{\"ev\":\"saved\",\"rev\":6,\"path\":\"x\",\"hash\":\"h\"}");
    assert_false(document_dirty(d));
    apply(d, "{\"ev\":\"draft\",\"cell\":1,\"text\":\"half\",\"viewer\":1}");
    assert_string_equal(document_cell(d, 1)->draft, "half");
    apply(d, "{\"ev\":\"text\",\"rev\":7,\"cell\":1,\"text\":\"whole\"}");
    assert_null(document_cell(d, 1)->draft);
    refused(d, "{\"ev\":\"text\",\"seq\":5,\"cell\":77,\"text\":\"\"}", "cell 77");
    refused(d, "{\"ev\":\"insert\",\"cell\":1,\"after\":0}", "not there");
    refused(d, "{\"ev\":\"move\",\"cell\":1,\"after\":50}", "not there");
    refused(d, "{\"ev\":\"doc\",\"cells\":[{\"id\":1},{\"id\":1}]}", "twice");
    apply(d, "{\"ev\":\"something new\"}");
    document_free(d);
}

static void execution_test(void **state)
{
    (void)state;
    const char *text = "-- %%\nx = 1\n-- %%\ny = x + 1\n-- %%\nprint(y)\n";
    Document *d = load(text, strlen(text));
    d->keep_outputs = true;
    apply(d, "{\"ev\":\"kernel\",\"pid\":7,\"why\":\"start\"}");
    apply(d, "{\"ev\":\"queue\",\"cells\":[1,2,3]}");
    assert_int_equal(d->cell[2]->state, CELL_QUEUED);
    for (int i = 1; i <= 3; i++) {
        char ev[80];
        snprintf(ev, sizeof ev, "{\"ev\":\"start\",\"t\":1.5,\"cell\":%d}", i);
        apply(d, ev);
        assert_int_equal(d->running, i);
        assert_int_equal(d->cell[i - 1]->state, CELL_RUNNING);
        snprintf(ev, sizeof ev, "{\"ev\":\"out\",\"cell\":%d,\"from\":4,\"to\":9,"
                 "\"lines\":2}",
                 i);
        apply(d, ev);
        snprintf(ev, sizeof ev, "{\"ev\":\"out\",\"cell\":%d,\"from\":9,\"to\":20,"
                 "\"lines\":3}",
                 i);
        apply(d, ev);
        apply(d, "{\"ev\":\"metric\",\"step\":1,\"m\":{\"loss\":2}}");
        apply(d, "{\"ev\":\"metric\",\"step\":2,\"m\":{\"loss\":1}}");
        snprintf(ev, sizeof ev,
                 "{\"ev\":\"done\",\"cell\":%d,\"status\":\"done\",\"secs\":0.25}", i);
        apply(d, ev);
    }
    assert_int_equal(d->n_queue, 0);
    const json_t *o = d->cell[0]->outputs;
    assert_int_equal(json_array_size(o), 2);
    assert_int_equal(jval_get_int(json_array_get(o, 0), "to", 0), 20);
    assert_int_equal(jval_get_int(json_array_get(o, 0), "from", 0), 4);
    assert_int_equal(jval_get_int(json_array_get(o, 0), "lines", 0), 5);
    assert_int_equal(jval_get_int(json_array_get(o, 1), "n", 0), 2);
    assert_int_equal(jval_get_int(json_array_get(o, 1), "step", 0), 2);
    assert_false(d->cell[1]->stale || d->cell[2]->stale);
    /* an edit makes a cell stale, and what reads from it */
    apply(d, "{\"ev\":\"text\",\"rev\":1,\"cell\":1,\"text\":\"x = 2\"}");
    assert_true(d->cell[0]->stale && d->cell[1]->stale && d->cell[2]->stale);
    apply(d, "{\"ev\":\"start\",\"t\":2,\"cell\":1}");
    assert_false(d->cell[0]->stale);
    assert_true(d->cell[1]->stale && d->cell[2]->stale);
    apply(d, "{\"ev\":\"start\",\"t\":2,\"cell\":2}");
    assert_false(d->cell[1]->stale);
    assert_true(d->cell[2]->stale);
    apply(d, "{\"ev\":\"kernel\",\"pid\":8,\"why\":\"start\"}");
    assert_int_equal(d->cell[1]->state, CELL_DIED);
    assert_int_equal(d->cell[2]->state, CELL_DONE);
    assert_int_equal(d->cell[2]->exec, 0);
    assert_non_null(d->cell[2]->outputs);
    document_free(d);
}

static void many_outputs_test(void **state)
{
    (void)state;
    Document *d = load("x", 1);
    d->keep_outputs = true;
    apply(d, "{\"ev\":\"start\",\"t\":1,\"cell\":1}");
    for (int i = 0; i < 1000; i++) {
        char ev[80];
        snprintf(ev, sizeof ev, "{\"ev\":\"value\",\"cell\":1,\"text\":\"%d\"}", i);
        apply(d, ev);
    }
    const json_t *o = d->cell[0]->outputs;
    assert_int_equal(json_array_size(o) + (size_t)d->cell[0]->n_dropped, 1000);
    assert_true(json_array_size(o) <= 400);
    assert_string_equal(jval_get(json_array_get(o, 0), "text", ""), "0");
    assert_string_equal(jval_get(json_array_get(o, json_array_size(o) - 1), "text", ""),
                        "999");
    document_free(d);
}

static void reload_test(void **state)
{
    (void)state;
    Err err = {0};
    const char *before = "-- %%\na = 1\n-- %%\nb = 2\n-- %%\nc = 3\n";
    const char *after = "-- %%\na = 1\n-- %%\nb = 22\n-- %%\nnew = 1\n-- %%\nc = 3\n";
    Document *d = load(before, strlen(before));
    d->keep_outputs = true;
    apply(d, "{\"ev\":\"start\",\"t\":1,\"cell\":2}");
    apply(d, "{\"ev\":\"value\",\"cell\":2,\"text\":\"two\"}");
    apply(d, "{\"ev\":\"done\",\"cell\":2,\"status\":\"done\",\"secs\":1}");
    json_t *ev = document_reload(d, after, strlen(after), &err);
    assert_non_null(ev);
    jval_set(ev, "ev", json_string("doc"));
    assert_ok(document_apply(d, ev, &err), err);
    json_decref(ev);
    assert_int_equal(d->n, 4);
    assert_int_equal(d->cell[0]->id, 1);
    assert_int_equal(d->cell[1]->id, 2);
    assert_string_equal(d->cell[1]->text, "b = 22");
    assert_true(d->cell[1]->edited && d->cell[1]->stale);
    assert_non_null(d->cell[1]->outputs);
    assert_int_equal(d->cell[2]->id, 4);
    assert_int_equal(d->cell[3]->id, 3);
    assert_false(document_dirty(d));
    saves_as(d, after);
    document_free(d);
}

/* --- a journal told again --------------------------------------------------------- */

static Document *replay(const char *dir, int *events)
{
    Err err = {0};
    bool more;
    json_t *ev;
    Document *d = document_new(&err);
    d->keep_outputs = true;
    JournalReader *r = jreader_open(dir, &err);
    int64_t seq = 0;
    *events = 0;
    while ((ev = jreader_next(r, &more, &err)) || more) {
        assert_non_null(ev);
        assert_true(jval_get_int(ev, "seq", 0) > seq);
        seq = jval_get_int(ev, "seq", 0);
        assert_ok(document_apply(d, ev, &err), err);
        json_decref(ev);
        ++*events;
    }
    jreader_close(r);
    return d;
}

static void record(Journal *j, const char *json)
{
    Err err = {0};
    json_t *ev = jval_parse(json, strlen(json), &err);
    char kind[16];
    strcpy(kind, jval_get(ev, "ev", ""));
    json_object_del(ev, "ev");
    assert_ok(journal_event(j, kind, ev, &err), err);
}

static void compact_test(void **state)
{
    (void)state;
    char dir[64];
    Err err = {0};
    int before, after;
    scratch_make(dir);
    Journal *j = journal_open(dir, &err);
    record(j, "{\"ev\":\"doc\",\"rev\":0,\"hash\":\"h0\",\"cells\":[{\"id\":1,\"text\":"
              "\"x\"},"
              "{\"id\":2,\"text\":\"y\",\"head\":\"-- %%\\n\",\"tail\":\"\\n\"}]}");
    record(j, "{\"ev\":\"text\",\"rev\":1,\"cell\":1,\"text\":\"x = 2\"}");
    assert_ok(journal_begin_cell(j, 2, "y", &err), err);
    for (int i = 0; i < 500; i++) {
        static const char *const names[] = {"loss"};
        double loss = 1.0 / (i + 1);
        assert_ok(journal_metric(j, i, names, &loss, 1, &err), err);
    }
    assert_ok(journal_out(j, "text\n", 5, &err), err);
    record(j, "{\"ev\":\"value\",\"text\":\"v\"}");
    assert_ok(journal_end_cell(j, "failed", 0.5, &err), err);
    record(j, "{\"ev\":\"draft\",\"cell\":2,\"text\":\"half\",\"viewer\":1}");
    journal_close(j);
    assert_ok(journal_compact(dir, 1 << 30, &err), err);
    Document *a = replay(dir, &before);
    assert_ok(journal_compact(dir, 1, &err), err);
    Document *b = replay(dir, &after);
    assert_true(before > 500 && after < 12);
    assert_int_equal(a->rev, b->rev);
    assert_int_equal(a->next, b->next);
    assert_true(document_dirty(b));
    assert_string_equal(b->saved_hash, "h0");
    assert_string_equal(b->cell[1]->draft, "half");
    assert_int_equal(b->cell[1]->state, CELL_FAILED);
    json_t *x = document_to_json(a), *y = document_to_json(b);
    assert_true(json_equal(x, y));
    assert_int_equal(json_array_size(b->cell[1]->outputs), 3);
    for (size_t i = 0; i < 3; i++) {
        const json_t *p = json_array_get(a->cell[1]->outputs, i);
        const json_t *q = json_array_get(b->cell[1]->outputs, i);
        assert_string_equal(jval_get(p, "ev", ""), jval_get(q, "ev", ""));
        assert_int_equal(jval_get_int(p, "n", 0), jval_get_int(q, "n", 0));
        assert_int_equal(jval_get_int(p, "to", 0), jval_get_int(q, "to", 0));
    }
    json_decref(x), json_decref(y);
    document_free(a), document_free(b);
    j = journal_open(dir, &err); /* and it goes on */
    record(j, "{\"ev\":\"kernel\",\"pid\":1}");
    journal_close(j);
    document_free(replay(dir, &after));
    scratch_remove(dir);
}

/* --- names ------------------------------------------------------------------------ */

static void names(const char *lua, const char *want_reads, const char *want_assigns)
{
    Err err = {0};
    json_t *reads = json_object(), *assigns = json_object();
    assert_ok(names_of(lua, strlen(lua), reads, assigns, &err), err);
    json_t *sets[] = {reads, assigns};
    const char *want[] = {want_reads, want_assigns};
    for (int i = 0; i < 2; i++) {
        char *got = json_dumps(sets[i], JSON_SORT_KEYS | JSON_COMPACT), list[400] = "";
        size_t at = 0;
        for (char *p = got; *p; p++) { /* {"a":true,"b":true} -> a b */
            if (*p == '"') {
                char *end = strchr(p + 1, '"');
                at += (size_t)snprintf(list + at, sizeof list - at, "%s%.*s",
                                       at ? " " : "", (int)(end - p - 1), p + 1);
                p = end;
            }
        }
        if (strcmp(list, want[i]) != 0)
            fail_msg("%s\n%s: got '%s', want '%s'", lua, i ? "assigns" : "reads", list,
                     want[i]);
        free(got);
    }
    json_decref(reads);
    json_decref(assigns);
}

static void names_test(void **state)
{
    (void)state;
    names("x = y + 1", "y", "x");
    names("local x, z = y", "y", "x z");
    names("local x <const> = y", "y", "x");
    names("function f(a) return a + b end", "b", "f");
    names("local function f(a) local c = a; d = c; return g(c) end", "g", "d f");
    names("for i, v in ipairs(t) do s = s + v * i end", "ipairs s t", "s");
    names("for i = 1, n do print(i) end\nprint(i)", "i n print", "");
    names("local t = { a = 1, b = q, [k] = 2, r }", "k q r", "t");
    names("t.x = 1", "t", "t");
    names("t.x, u = 1, 2", "t", "t u");
    names("net:train(data)\nloss = net.loss", "data net", "loss");
    names("do local x = x; y = x end", "x", "y");
    names("if a then local b = 1 elseif c then d = b end", "a b c", "d");
    names("foo(function(x) y = x end)", "foo", "y");
    names("local f = function(n) return f(n) end", "f", "f");
    names("goto done ::done:: print'x'", "print", "");
    names("print(\"a = b\") -- c = d", "print", "");
    names("cl.show(dict:gallery { n = 10, class = cls })", "cl cls dict", "");
    names("a = 1 b = a", "a", "a b");
    names("repeat local q = f() until q", "f q", "");
    names("x = = ] ) end end end", "", "x");
    names("#!/usr/bin/x y = z\nw = 1", "", "w");
}

/* --- memory ----------------------------------------------------------------------- */

static bool whole_life(void *ctx, Err *err)
{
    (void)ctx;
    static const char *const events[] = {
        "{\"ev\":\"insert\",\"rev\":1,\"cell\":9,\"after\":1,\"text\":\"n\"}",
        "{\"ev\":\"text\",\"rev\":2,\"cell\":1,\"text\":\"t\"}",
        "{\"ev\":\"draft\",\"cell\":1,\"text\":\"d\"}",
        "{\"ev\":\"queue\",\"cells\":[1,9]}",
        "{\"ev\":\"start\",\"t\":1,\"cell\":1}",
        "{\"ev\":\"delete\",\"rev\":3,\"cell\":9}",
        "{\"ev\":\"saved\",\"rev\":3,\"hash\":\"h\"}",
    };
    const char *text = "-- %%\nx = '\xE9'\n-- %% [markdown] t\n-- m\n";
    Document *d = document_new(err);
    bool ok = d && document_load(d, text, strlen(text), err);
    for (size_t i = 0; ok && i < ARRAY_LEN(events); i++) {
        json_t *ev = json_loads(events[i], 0, NULL);
        ok = document_apply(d, ev, err);
        json_decref(ev);
    }
    json_t *again = ok ? document_reload(d, text, strlen(text), err) : NULL;
    ok = again != NULL;
    json_decref(again);
    document_free(d);
    return ok;
}

static void memory_test(void **state)
{
    (void)state;
    assert_true(fail_each_alloc(whole_life, NULL) > 30);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(same_bytes_test),   cmocka_unit_test(cells_test),
        cmocka_unit_test(edits_test),        cmocka_unit_test(execution_test),
        cmocka_unit_test(many_outputs_test), cmocka_unit_test(reload_test),
        cmocka_unit_test(names_test),        cmocka_unit_test(memory_test),
        cmocka_unit_test(compact_test),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
