/* The reference: nothing is undocumented, every example runs, the manual page is the
 * current one. */
#include "say.h"

#include <unistd.h>

#include "base/file.h"
#include "graph/op.h"
#include "lab/run.h"
#include "script/lb.h"

static void everything_is_documented(void **state)
{
    (void)state;
    for (int a = 0; a < lb_area_count(); a++) {
        LbTable t = lb_area(a);
        assert_true(t.n > 0);
        for (size_t i = 0; i < t.n; i++) {
            const LbFn *f = &t.fn[i];
            Str out;
            Err err;
            if (!f->doc || strlen(f->doc) < 10 || f->sig[0] != '(')
                fail_msg("%s has no documentation", f->name);
            for (size_t k = 0; f->options && k < *f->n_options; k++)
                if (!f->options[k].doc || strlen(f->options[k].doc) < 4)
                    fail_msg("%s: option %s has no documentation", f->name,
                             f->options[k].name);
            str_init(&out);
            assert_ok(doc_text(f->name, &out, &err), err);
            assert_has(out.s, f->name);
            str_done(&out);
        }
    }
    for (int i = 0; i < op_count(); i++)
        if (!op_at(i)->doc || strlen(op_at(i)->doc) < 10)
            fail_msg("%s has no documentation", op_at(i)->name);
}

static void networks_show_their_options(void **state)
{
    (void)state;
    Str out;
    Err err;
    str_init(&out);
    assert_ok(doc_text("cl.model.bilinear", &out, &err), err);
    assert_has(out.s, "    embed ");
    assert_has(out.s, "default 96");
    str_clear(&out);
    assert_ok(doc_mdoc(&out, &err), err);
    assert_has(out.s, "activation (choice of relu");
    str_clear(&out);
    assert_false(doc_text("cl.trian", &out, &err));
    assert_has(err.msg, "cl.train");
    assert_false(doc_text("\033[31m", &out, &err));
    str_done(&out);
}

/* What the examples speak of, made small: `acc`, `net`, `mnist` and so on. Long jobs
 * are cut. */
static const char stage[] =
    "local full = cl.data.mnist()\n"
    "mnist = { train = full.train:range(1, 512), test = full.test:range(1, 100) }\n"
    "cl.data.mnist = function() return mnist end\n"
    "local function cut(home, name, at, with)\n"
    "  local real = home[name]\n"
    "  home[name] = function(...)\n"
    "    local a = table.pack(...)\n"
    "    a[at] = a[at] or {}\n"
    "    for k, v in pairs(with) do a[at][k] = v end\n"
    "    return real(table.unpack(a, 1, math.max(a.n, at)))\n"
    "  end\n"
    "end\n"
    "cut(cl, 'train', 3, { epochs = 1, batch = 128 })\n"
    "cut(cl.decomp, 'dictionary', 2, { steps = 2 })\n"
    "net = cl.model.bilinear { embed = 8, hidden = 8 }\n"
    "cl.train(net, mnist)\n"
    "B = net:interaction()\n"
    "dict = cl.decomp.dictionary(B, { components = 20 })\n"
    "kept = { net, B, dict }\n"
    "x, acc, loss = cl.rng(1):normal { 4, 784 }, 0.99, 0.5\n";

/* A few examples read a file of the user's: then the sentence about it is all they
 * can give. */
static bool reads_a_file(const Err *err)
{
    return strstr(err->msg, "No such file") || strstr(err->msg, "there is no file");
}

static void every_example_runs(void **state)
{
    (void)state;
    char root[64], path[128], dir[512];
    Err err;
    int n = 0, bad = 0;
    scratch_make(root);
    snprintf(path, sizeof path, "%s/doc.lua", root);
    assert_ok(file_write_all(path, "return 1\n", 9, &err), err);
    assert_ok(run_make_dir(root, path, dir, sizeof dir, &err), err);
    Run *run = run_open(dir, &err);
    Script *s = script_new(run, &err);
    if (say_in(s, stage, NULL, &err) != SCRIPT_DONE)
        fail_msg("%s", err.msg);
    assert_non_null(getcwd(path, sizeof path));
    assert_int_equal(chdir(root), 0);
    for (int a = 0; a < lb_area_count(); a++)
        for (size_t i = 0; i < lb_area(a).n; i++) {
            const LbFn *f = &lb_area(a).fn[i];
            if (!f->example)
                continue;
            n++;
            says(s, "net, B, dict = table.unpack(kept)", "none");
            if (say_in(s, f->example, NULL, &err) != SCRIPT_DONE &&
                !reads_a_file(&err)) {
                print_message("%s: %s\n   %s\n", f->name, f->example, err.msg);
                bad++;
            }
        }
    assert_int_equal(chdir(path), 0);
    script_free(s);
    run_close(run);
    scratch_remove(root);
    assert_in_range(n, 10, 10000);
    assert_int_equal(bad, 0);
}

static void the_manual_page_is_current(void **state)
{
    (void)state;
    Str out;
    Err err;
    char *page;
    size_t n;
    str_init(&out);
    assert_ok(doc_mdoc(&out, &err), err);
    assert_ok(file_read_all("man/cleave-api.3", 1 << 24, &page, &n, &err), err);
    if (strcmp(page, out.s) != 0)
        fail_msg("man/cleave-api.3 differs from what `make man` writes");
    mem_free(page);
    str_done(&out);
}

int main(void)
{
    setenv("CLEAVE_DATA", "data", 0);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everything_is_documented),
        cmocka_unit_test(networks_show_their_options),
        cmocka_unit_test(every_example_runs),
        cmocka_unit_test(the_manual_page_is_current),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
