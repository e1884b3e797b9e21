/* The claim ledger: what is claimed, written behind a report, and read back. */
#include "lab/ledger.h"

#include <math.h>
#include <sys/stat.h>

#include "lab/folder.h"
#include "lab/jval.h"
#include "support.h"

static const char run_json[] =
    "{\"state\":\"done\",\"script\":\"s.lua\",\"argv\":[\"cleave\",\"run\",\"s.lua\","
    "\"seed=3\"],"
    "\"cwd\":\"/"
    "\",\"isa\":\"avx2\",\"threads\":2,\"settings\":{\"seed\":3,\"note\":\"a|b\"},"
    "\"claims\":[{\"text\":\"t --> "
    "<!--\",\"value\":1.5,\"lo\":1,\"hi\":2,\"flag\":false},"
    "{\"text\":\"same\",\"value\":1,\"lo\":1,\"hi\":1,\"flag\":true},"
    "{\"text\":\"same\",\"value\":0,\"lo\":0,\"hi\":0,\"flag\":true}],"
    "\"result\":[{\"name\":\"a\",\"acc\":0.97,\"n\":12,\"nan\":\"nan\",\"text\":\"x\","
    "\"seconds\":3.5,\"ok\":true}]}";

static void make_run(const char *report)
{
    mkdir(in_folder("run"), 0777);
    write_text("run/run.json", "w", run_json);
    write_text("run/script.lua", "w", "return 1\n");
    if (report)
        write_text("run/report.md", "w", report);
}

static const json_t *claim(const json_t *ledger, const char *key)
{
    size_t i;
    json_t *c;
    json_array_foreach(json_object_get(ledger, "claims"), i, c)
    {
        if (strcmp(jval_get(c, "key", ""), key) == 0)
            return c;
    }
    return NULL;
}

static double number(const json_t *o, const char *key)
{
    return jval_to_number(json_object_get(o, key), NAN);
}

static void what_is_written_is_read(void **state)
{
    (void)state;
    Err err = {0};
    size_t n;
    make_run("# Title");
    assert_ok(ledger_write(in_folder("run"), &err), err);
    char *text = read_text("run/report.md", &n);
    assert_true(strncmp(text, "# Title\n\n## Settings\n", 21) == 0);
    assert_has(text, "| note | a\\|b |");
    assert_has(text, "## Environment");
    assert_has(text, "| isa | avx2 |");
    assert_has(
        text,
        "| a.acc | 0.97 | 0.9699 to 0.9701 | run | 3 | cleave run s.lua seed=3 |");
    assert_has(text, "| same | fails | the same |");
    assert_true(strstr(strstr(text, "<!-- cleave-ledger"), "-->") == text + n - 4);
    free(text);
    json_t *l = ledger_read(in_folder("run/report.md"), &err);
    assert_non_null(l);
    assert_int_equal(json_array_size(json_object_get(l, "claims")), 6);
    assert_true(number(claim(l, "claim.t --> <!--"), "value") == 1.5);
    assert_true(number(claim(l, "claim.same"), "value") == 1);
    assert_true(number(claim(l, "claim.same#2"), "value") == 0);
    assert_true(number(claim(l, "result.a.n"), "lo") == 12);
    assert_true(number(claim(l, "result.a.ok"), "hi") == 1);
    assert_null(claim(l, "result.a.seconds"));
    assert_null(claim(l, "result.a.nan"));
    const json_t *run = json_object_get(l, "run");
    assert_int_equal(strlen(jval_get(run, "mark", "")), 16);
    assert_int_equal(jval_get_int(run, "seed", 0), 3);
    json_t *values = ledger_values(in_folder("run"), &err);
    assert_true(number(values, "result.a.acc") == 0.97);
    assert_int_equal(json_object_size(values), 6);
    json_decref(values);
    json_decref(l);
}

static void runs_without_claims_get_no_report(void **state)
{
    (void)state;
    Err err = {0};
    make_run(NULL);
    write_text("run/run.json", "w", "{\"state\":\"done\",\"result\":1}");
    assert_ok(ledger_write(in_folder("run"), &err), err);
    assert_int_equal(access(in_folder("run/report.md"), F_OK), -1);
    write_text("run/run.json", "w", run_json);
    assert_ok(ledger_write(in_folder("run"), &err), err);
    assert_int_equal(access(in_folder("run/report.md"), F_OK), 0);
}

static void damaged_ledgers_are_refused(void **state)
{
    static const char *const damaged[] = {
        "",
        "# nothing\n",
        "<!-- cleave-ledger\n{}\n",
        "<!-- cleave-ledger\n{}\n-->",
        "<!-- cleave-ledger\n[]\n-->",
        "<!-- cleave-ledger\n{\"version\":1\n-->",
        "<!-- "
        "cleave-ledger\n{\"version\":2,\"run\":{\"argv\":[\"a\",\"b\",\"c\"]},"
        "\"claims\":[]}\n-->",
        "<!-- "
        "cleave-ledger\n{\"version\":1,\"run\":{\"argv\":[\"a\",\"b\"]},\"claims\":[]}"
        "\n-->",
        "<!-- "
        "cleave-ledger\n{\"version\":1,\"run\":{\"argv\":[\"a\",\"b\",3]},\"claims\":[]"
        "}\n-->",
        "<!-- "
        "cleave-ledger\n{\"version\":1,\"run\":{\"argv\":[\"a\",\"b\",\"c\"]},"
        "\"claims\":[{\"key\":\"k\","
        "\"value\":\"nan\",\"lo\":0,\"hi\":1}]}\n-->",
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(damaged); i++) {
        Err err = {0};
        write_text("r.md", "w", damaged[i]);
        assert_null(ledger_read(in_folder("r.md"), &err));
        assert_has(err.msg, "r.md");
    }
}

static void intervals_are_the_fourth_digit(void **state)
{
    static const struct {
        double v, unit;
    } row[] = {
        {0.97,  1e-4 },
        {123.4, 0.1  },
        {-5,    1e-3 },
        {1e-20, 1e-23},
        {0,     1e-9 }
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(row); i++) {
        double lo, hi;
        ledger_interval(row[i].v, false, &lo, &hi);
        assert_true(fabs(hi - row[i].v - row[i].unit) <=
                    1e-6 * row[i].unit + 1e-16 * fabs(row[i].v));
        assert_true(lo < row[i].v && row[i].v < hi);
        ledger_interval(row[i].v, true, &lo, &hi);
        assert_true(lo == row[i].v && hi == row[i].v);
    }
}

#define T(f) cmocka_unit_test_setup_teardown(f, folder_make, folder_drop)
int main(void)
{
    const struct CMUnitTest tests[] = {
        T(what_is_written_is_read),
        T(runs_without_claims_get_no_report),
        T(damaged_ledgers_are_refused),
        T(intervals_are_the_fourth_digit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
