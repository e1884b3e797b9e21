/* Jupyter notebooks there and back, and hostile ones; pages that hold hostile text;
 * long output followed in bounded memory. */
#include "kernel/export.h"

#include "base/file.h"
#include "lab/jval.h"
#include "support.h"

static void apply(Document *d, const char *json)
{
    Err err = {0};
    json_t *ev = jval_parse(json, strlen(json), &err);
    assert_non_null(ev);
    assert_ok(document_apply(d, ev, &err), err);
    json_decref(ev);
}

static Notebook hostile_notebook(void)
{
    Err err = {0};
    const char *text = "-- %% [markdown]\n-- # Head <script>\n-- ``` & text\n\n"
                       "-- %% a \"title\"\nx = \"</pre><script>\" -- ```\n\n"
                       "-- %% [raw]\n-- r\n";
    Notebook nb = {.doc = document_new(&err)};
    nb.doc->keep_outputs = true;
    strcpy(nb.place.file, "/x/<b>.lua");
    assert_ok(document_load(nb.doc, text, strlen(text), &err), err);
    apply(nb.doc, "{\"ev\":\"start\",\"t\":1,\"cell\":2}");
    apply(nb.doc, "{\"ev\":\"value\",\"cell\":2,"
                  "\"text\":\"<img src=x> ```` \\u001b[31m\"}");
    apply(nb.doc, "{\"ev\":\"metric\",\"cell\":2,\"step\":1,\"m\":{\"<i>\":\"nan\"}}");
    apply(nb.doc, "{\"ev\":\"error\",\"cell\":2,\"msg\":\"<u>\",\"trace\":\"a\\nb\"}");
    apply(nb.doc, "{\"ev\":\"done\",\"cell\":2,\"status\":\"failed\",\"secs\":1}");
    return nb;
}

static void ipynb_round_trip(void **state)
{
    (void)state;
    Err err = {0};
    Notebook nb = hostile_notebook();
    Str out, lua, again;
    str_init(&out), str_init(&lua), str_init(&again);
    assert_ok(ipynb_write(&nb, &out, &err), err);
    json_t *root = jval_parse(out.s, out.len, &err);
    const json_t *cells = json_object_get(root, "cells");
    assert_int_equal(json_array_size(cells), 3);
    const json_t *code = json_array_get(cells, 1);
    assert_string_equal(jval_get(code, "id", ""), "cell-2");
    assert_int_equal(json_array_size(json_object_get(code, "outputs")), 3);
    assert_int_equal(jval_get_int(root, "nbformat_minor", 0), 5);
    json_decref(root);
    Document *d = ipynb_read(out.s, out.len, &err);
    assert_non_null(d);
    assert_int_equal(d->n, nb.doc->n);
    for (int i = 0; i < d->n; i++) {
        assert_string_equal(d->cell[i]->text, nb.doc->cell[i]->text);
        assert_string_equal(d->cell[i]->title, nb.doc->cell[i]->title);
        assert_int_equal(d->cell[i]->type, nb.doc->cell[i]->type);
    }
    assert_ok(document_save(d, &lua, &err), err);
    assert_ok(document_save(nb.doc, &again, &err), err);
    assert_string_equal(lua.s, again.s);
    document_free(d);
    notebook_close(&nb);
    str_done(&out), str_done(&lua), str_done(&again);
}

static void pages_escape(void **state)
{
    (void)state;
    Err err = {0};
    Notebook nb = hostile_notebook();
    Str out;
    str_init(&out);
    assert_ok(html_write(&nb, &out, &err), err);
    assert_null(strstr(out.s, "<script>"));
    assert_null(strstr(out.s, "<img"));
    assert_null(strstr(out.s, "<u>"));
    assert_null(strstr(out.s, "<b>.lua"));
    assert_null(strchr(out.s, 0x1b));
    assert_has(out.s, "&lt;script&gt;");
    str_clear(&out);
    assert_ok(markdown_write(&nb, "/nowhere/x_files", &out, &err), err);
    assert_has(out.s, "````lua\nx = \"</pre><script>\" -- ```\n````\n");
    assert_has(out.s, "`````text\n<img src=x> ````");
    str_done(&out);
    notebook_close(&nb);
}

static void bad_notebooks(void **state)
{
    (void)state;
    static const struct {
        const char *text, *why;
    } cases[] = {
        {"", "JSON"},
        {"[]", "no Jupyter"},
        {"{\"nbformat\":3,\"cells\":[]}", "format 3"},
        {"{\"nbformat\":4,\"cells\":{}}", "without cells"},
        {"{\"nbformat\":4,\"cells\":[null]}", "no object"},
        {"{\"nbformat\":4,\"cells\":[{}]}", "type"},
        {"{\"nbformat\":4,\"cells\":[{\"cell_type\":\"code\",\"source\":{}}]}",
         "no text"},
        {"{\"nbformat\":4,\"cells\":[{\"cell_type\":\"code\",\"source\":[[]]}]}",
         "no text"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        Err err = {0};
        assert_null(ipynb_read(cases[i].text, strlen(cases[i].text), &err));
        assert_has(err.msg, cases[i].why);
    }
}

static bool read_and_write(void *ctx, Err *err)
{
    (void)ctx;
    const char *text = "{\"nbformat\":4,\"cells\":[{\"cell_type\":\"code\","
                       "\"source\":\"x\"},"
                       "{\"cell_type\":\"markdown\",\"source\":[\"a\\n\",\"b\"]}]}";
    Str out;
    str_init(&out);
    Notebook nb = {.doc = ipynb_read(text, strlen(text), err)};
    bool ok = nb.doc && ipynb_write(&nb, &out, err) && html_write(&nb, &out, err) &&
              markdown_write(&nb, "x_files", &out, err);
    notebook_close(&nb);
    str_done(&out);
    return ok;
}

static void memory(void **state)
{
    (void)state;
    assert_true(fail_each_alloc(read_and_write, NULL) > 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ipynb_round_trip), cmocka_unit_test(pages_escape),
        cmocka_unit_test(bad_notebooks),    cmocka_unit_test(memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
