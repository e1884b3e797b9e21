/* Runs as rows: keys, filters, order, names, groups, bands, and the index. */
#include "lab/runs.h"

#include <math.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/mem.h"
#include "lab/folder.h"
#include "lab/jval.h"
#include "support.h"

static char *root(void)
{
    static char path[600];
    snprintf(path, sizeof path, "%s/runs", folder);
    return path;
}

static void write_run(const char *id, const char *json, const char *metrics)
{
    char name[300];
    mkdir(root(), 0777);
    snprintf(name, sizeof name, "runs/%s", id);
    mkdir(in_folder(name), 0777);
    snprintf(name, sizeof name, "runs/%s/run.json", id);
    write_text(name, "w", json);
    snprintf(name, sizeof name, "runs/%s/metrics.jsonl", id);
    if (metrics)
        write_text(name, "w", metrics);
}

/* Two learning rates, seeds 1 and 2, and one run twice. */
static void write_study(void)
{
    static const struct {
        const char *id;
        double lr, acc;
        int seed;
    } run[] = {
        {"20260101-000001-a-xaaaa1", 0.1, 0.5, 1},
        {"20260101-000002-a-xaaaa2", 0.1, 0.7, 2},
        {"20260101-000003-a-xbbbb3", 0.2, 0.6, 1},
        {"20260101-000004-a-xbbbb4", 0.2, 0.9, 2},
        {"20260101-000005-a-xbbbb5", 0.2, 0.9, 2},
    };
    for (size_t i = 0; i < ARRAY_LEN(run); i++) {
        char json[600], metrics[300];
        snprintf(json, sizeof json,
                 "{\"state\":\"done\",\"start\":\"2026-01-01T00:00:0%zu\","
                 "\"settings\":{\"lr\":%g,\"seed\":%d,\"tag\":\"t%d\",\"deep\":{\"er\":"
                 "%zu}},"
                 "\"result\":[{\"name\":\"m\",\"acc\":%g},{\"loss\":\"nan\"}]}",
                 i + 1, run[i].lr, run[i].seed, run[i].seed, i, run[i].acc);
        snprintf(metrics, sizeof metrics,
                 "{\"step\":0,\"t\":1,\"loss\":%g}\n{\"step\":1,\"t\":2,\"loss\":%g,"
                 "\"other\":\"nan\"}\n{\"step\":2,\"t\":3,\"lo",
                 run[i].acc, 2 * run[i].acc);
        write_run(run[i].id, json, metrics);
    }
}

static void open_runs(Runs *r)
{
    Err err = {0};
    assert_ok(runs_open(root(), r, &err), err);
}

static void keys_have_values(void **state)
{
    (void)state;
    Runs r;
    write_study();
    open_runs(&r);
    assert_int_equal(r.n, 5);
    const RunRow *row = &r.row[2];
    assert_true(runs_number(row, "lr") == 0.2 &&
                runs_number(row, "settings.lr") == 0.2);
    assert_true(runs_number(row, "deep.er") == 2);
    assert_true(runs_number(row, "m.acc") == 0.6 &&
                runs_number(row, "result.m.acc") == 0.6);
    assert_true(runs_number(row, "loss") == 1.2); /* the last whole line */
    assert_true(runs_number(row, "step") == 1 && runs_number(row, "number") == 3);
    assert_true(isnan(runs_number(row, "tag")) &&
                isnan(runs_number(row, "result.2.loss")));
    assert_null(runs_value(row, "nothing"));
    assert_string_equal(json_string_value(runs_value(row, "name")), "a");
    assert_string_equal(row->state, "done");
    runs_close(&r);
}

/* A row that has the name of one before hides nothing of it. */
static void rows_of_one_name(void **state)
{
    (void)state;
    Runs r;
    write_run("20260101-000001-a-xaaaa1",
              "{\"state\":\"done\",\"result\":[{\"name\":\"m\",\"acc\":0.9,\"why\":\"x\"},"
              "{\"name\":\"m\",\"acc\":0.1},{\"name\":\"n\",\"acc\":0.5},"
              "{\"name\":\"m\",\"acc\":0.2}]}",
              NULL);
    open_runs(&r);
    assert_true(runs_number(&r.row[0], "m.acc") == 0.9);
    assert_string_equal(json_string_value(runs_value(&r.row[0], "m.why")), "x");
    assert_true(runs_number(&r.row[0], "m.2.acc") == 0.1);
    assert_true(runs_number(&r.row[0], "m.3.acc") == 0.2);
    assert_true(runs_number(&r.row[0], "n.acc") == 0.5);
    runs_close(&r);
}

/* The numbers of the rows that are left, "1,3". */
static const char *left(const char *terms)
{
    static char text[200];
    char copy[200], *rest = copy;
    const char *term[8];
    size_t n = 0;
    Err err = {0};
    Runs r;
    strcpy(copy, terms);
    for (char *s; (s = strsep(&rest, " "));)
        term[n++] = s;
    open_runs(&r);
    text[0] = '\0';
    if (!runs_filter(&r, term, n, &err))
        snprintf(text, sizeof text, "%.190s", err.msg);
    else
        for (size_t i = 0; i < r.n; i++)
            sprintf(text + strlen(text), "%s%d", i ? "," : "", r.row[i].number);
    runs_close(&r);
    return text;
}

static void filters_keep_what_they_say(void **state)
{
    (void)state;
    write_study();
    assert_string_equal(left("lr=0.1"), "1,2");
    assert_string_equal(left("lr=1e-1"), "1,2");
    assert_string_equal(left("lr!=0.1"), "3,4,5");
    assert_string_equal(left("m.acc>=0.7 lr>0.1"), "4,5");
    assert_string_equal(left("m.acc<0.7"), "1,3");
    assert_string_equal(left("seed=1,7"), "1,3");
    assert_string_equal(left("tag~T2"), "2,4,5");
    assert_string_equal(left("tag!~T2"), "1,3");
    assert_string_equal(left("state=done,failed"), "1,2,3,4,5");
    assert_string_equal(left("state=live"), "");
    assert_string_equal(left("start>2026-01-01T00:00:03"), "4,5");
    assert_string_equal(left("number<=2"), "1,2");
    assert_string_equal(left("other>0"), ""); /* NaN is not more than anything */
    assert_string_equal(left("other=nan"), "1,2,3,4,5");
    assert_has(left("leed=1"), "did you mean 'seed'");
    assert_has(left("seed>x"), "'x' is none");
    assert_has(left("seed"), "is no filter");
    assert_has(left("=1"), "is no filter");
    assert_has(left("seed>="), "is no filter");
}

static void order_is_stable_and_puts_the_missing_last(void **state)
{
    (void)state;
    Runs r;
    Err err = {0};
    write_study();
    write_run("20260101-000006-a-xcccc6", "{\"state\":\"done\"}", NULL);
    open_runs(&r);
    assert_true(runs_sort(&r, "-m.acc", &err));
    static const int want[] = {4, 5, 2, 3, 1, 6};
    for (size_t i = 0; i < 6; i++)
        assert_int_equal(r.row[i].number, want[i]);
    assert_true(runs_sort(&r, "m.acc", &err));
    assert_int_equal(r.row[0].number, 1);
    assert_int_equal(r.row[5].number, 6);
    assert_false(runs_sort(&r, "nothing", &err));
    runs_close(&r);
}

static void runs_have_names(void **state)
{
    (void)state;
    Runs r;
    Err err = {0};
    write_study();
    open_runs(&r);
    assert_ptr_equal(runs_find(&r, "2", &err), &r.row[1]);
    assert_ptr_equal(runs_find(&r, "xbbbb3", &err), &r.row[2]);
    assert_ptr_equal(runs_find(&r, "20260101-000004", &err), &r.row[3]);
    assert_ptr_equal(runs_find(&r, "20260101-000005-a-xbbbb5", &err), &r.row[4]);
    char path[700];
    snprintf(path, sizeof path, "%s/", r.row[0].dir);
    assert_ptr_equal(runs_find(&r, path, &err), &r.row[0]);
    assert_null(runs_find(&r, "xbbbb", &err));
    assert_has(err.msg, "3 runs begin with 'xbbbb'");
    assert_null(runs_find(&r, "nothing", &err));
    assert_has(err.msg, "no run 'nothing'");
    assert_null(runs_find(&r, "", &err));
    runs_close(&r);
}

static void groups_average_over_seeds(void **state)
{
    (void)state;
    Runs r;
    RunGroups g;
    Spread s;
    Err err = {0};
    write_study();
    open_runs(&r);
    assert_ok(runs_group(&r, "lr", &g, &err), err);
    assert_int_equal(g.n, 2);
    assert_int_equal(g.group[1].n, 3);
    assert_int_equal(g.group[1].seeds, 2); /* the repeated run counts once */
    assert_ok(runs_spread(&r, &g.group[1], "m.acc", &s, &err), err);
    assert_true(s.n == 2 && fabs(s.mean - 0.75) < 1e-12);
    assert_true(fabs(s.half - student_t95(1) * 0.15) < 1e-9);
    int base = runs_baseline(&r, &g, "lr=0.1", &err);
    assert_int_equal(base, 0);
    assert_ok(runs_difference(&r, &g.group[1], &g.group[0], "m.acc", &s, &err), err);
    assert_true(s.n == 2 && fabs(s.mean - 0.15) < 1e-12); /* +.1 and +.2 */
    assert_true(fabs(s.half - student_t95(1) * 0.05) < 1e-9);
    assert_int_equal(runs_baseline(&r, &g, "lr=3", &err), -1);
    assert_int_equal(runs_baseline(&r, &g, "state=done", &err), -1);
    assert_has(err.msg, "several groups");
    assert_int_equal(runs_baseline(&r, &g, "lr", &err), -1);
    runs_groups_done(&g);
    assert_false(runs_group(&r, "nothing", &g, &err));
    assert_ok(runs_group(&r, "", &g, &err), err);
    assert_int_equal(g.n, 1);
    runs_groups_done(&g);
    runs_close(&r);
}

static void curves_and_bands(void **state)
{
    (void)state;
    Runs r;
    Curves c[2];
    size_t n;
    Err err = {0};
    write_study();
    open_runs(&r);
    assert_ok(runs_curves(&r.row[0], &c[0], &err), err);
    assert_ok(runs_curves(&r.row[1], &c[1], &err), err);
    assert_int_equal(c[0].n, 2); /* loss, other */
    assert_true(c[0].curve[0].n == 2 && c[0].curve[0].value[1] == 1.0);
    assert_true(isnan(c[0].curve[1].value[0]));
    double *band = runs_band(c, 2, "loss", &n, &err);
    assert_int_equal(n, 2);
    assert_true(band[0] == 0 && band[1] == 1); /* steps */
    assert_true(fabs(band[2] - 0.6) < 1e-12);  /* mean */
    assert_true(fabs(band[3] - 1.2) < 1e-12);
    assert_true(fabs(band[4] - (0.6 - student_t95(1) * 0.1)) < 1e-9); /* low */
    assert_true(fabs(band[7] - (1.2 + student_t95(1) * 0.2)) < 1e-9); /* high */
    mem_free(band);
    runs_curves_done(&c[0]);
    runs_curves_done(&c[1]);
    runs_close(&r);
}

static void the_index_is_believed_until_the_file_changes(void **state)
{
    (void)state;
    Runs r;
    write_study();
    open_runs(&r);
    assert_int_equal(r.parsed, 5);
    runs_close(&r);
    open_runs(&r);
    assert_int_equal(r.parsed, 0);
    assert_true(runs_number(&r.row[3], "m.acc") == 0.9);
    runs_close(&r);
    write_run("20260101-000002-a-xaaaa2",
              "{\"state\":\"failed\",\"start\":\"2026-02\"}", NULL);
    open_runs(&r);
    assert_int_equal(r.parsed, 1);
    assert_string_equal(r.row[4].state, "failed"); /* it starts last now */
    runs_close(&r);
    write_text("runs/.cleave-index", "w", "{\"v\":1,\"dir\":\"x\"}\nnonsense\n\0\n");
    open_runs(&r);
    assert_int_equal(r.parsed, 5);
    runs_close(&r);
    mkdir(in_folder("runs/empty"), 0777);
    write_run("20260101-000009-a-xtorn1", "{\"state\":", NULL);
    open_runs(&r);
    assert_int_equal(r.n, 6);
    assert_string_equal(r.row[5].state, "damaged");
    runs_close(&r);
    Err err = {0};
    assert_false(runs_open(in_folder("nowhere"), &r, &err));
    assert_int_equal(err.code, ERR_IO);
}

/* A full disk or a lost index costs time, never an answer. */
static void an_index_that_cannot_be_written_is_no_error(void **state)
{
    (void)state;
    Runs r;
    Err err = {0};
    write_study();
    setenv("XDG_CACHE_HOME", "/dev/null/nowhere", 1);
    file_fail_after(10);
    bool ok = runs_open(root(), &r, &err);
    file_fail_after(-1);
    unsetenv("XDG_CACHE_HOME");
    assert_ok(ok, err);
    assert_int_equal(r.n, 5);
    assert_false(file_exists(in_folder("runs/.cleave-index")));
    runs_close(&r);
}

static bool read_once(void *ctx, Err *err)
{
    Runs r;
    RunGroups g;
    (void)ctx;
    const char *term = "seed=1,2";
    if (!runs_open(root(), &r, err))
        return false;
    bool ok = runs_filter(&r, &term, 1, err) && runs_group(&r, "lr", &g, err);
    Spread s;
    if (ok) {
        ok = runs_difference(&r, &g.group[1], &g.group[0], "m.acc", &s, err);
        runs_groups_done(&g);
    }
    runs_close(&r);
    return ok;
}

/* Allocation failures inside the index are survived without a word, so only leaks and
 * crashes are looked for. */
static void every_allocation_may_fail(void **state)
{
    (void)state;
    write_study();
    for (long n = 1; n < 400; n++) {
        Err err = {0};
        size_t live = mem_live();
        mem_fail_at(n);
        bool ok = read_once(NULL, &err);
        bool fired = mem_fail_fired();
        mem_fail_at(0);
        assert_int_equal(mem_live(), live);
        assert_true(ok || err.code == ERR_MEMORY);
        if (!fired)
            break;
    }
}

#define T(f) cmocka_unit_test_setup_teardown(f, folder_make, folder_drop)
int main(void)
{
    const struct CMUnitTest tests[] = {
        T(keys_have_values),
        T(rows_of_one_name),
        T(filters_keep_what_they_say),
        T(order_is_stable_and_puts_the_missing_last),
        T(runs_have_names),
        T(groups_average_over_seeds),
        T(curves_and_bands),
        T(the_index_is_believed_until_the_file_changes),
        T(an_index_that_cannot_be_written_is_no_error),
        T(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
