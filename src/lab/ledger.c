/* ledger.c -- keys of claims are "claim.<text>" (with "#2" behind a text that comes
 * twice) and "result.<name>"; both runs of a comparison are read by the same code.
 * In the comment every '>' is an escape, so no text can end it. */
#include "lab/ledger.h"

#include <inttypes.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "figure/figure.h"
#include "lab/fingerprint.h"
#include "lab/jval.h"
#include "lab/runs.h"

#define OPENING "<!-- cleave-ledger\n"
#define CLOSING "\n-->"
enum {
    LEDGER_VERSION = 1,
    REPORT_MAX = 64 << 20,
    RUN_MAX = 64 << 20,
    SCRIPT_CAP = 16 << 20
};

void ledger_interval(double value, bool is_integer, double *lo, double *hi)
{
    double unit = 1e-9;
    if (value != 0 && isfinite(value))
        unit = fmax(pow(10, floor(log10(fabs(value))) - 3), 1e-300);
    *lo = is_integer ? value : value - unit;
    *hi = is_integer ? value : value + unit;
}

/* --- claims ----------------------------------------------------------------------- */

/* Durations and sizes of the process depend on the machine, not on the study. */
static bool is_measurement(const char *key)
{
    static const char *const parts[] = {"second", "_ms",    "_us",
                                        "time",   "memory", "_rss"};
    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        if (strstr(key, parts[i]))
            return true;
    }
    return false;
}

static bool add_claim(json_t *list, const char *key, const char *text, json_t *value,
                      json_t *lo, json_t *hi, bool flag, Err *err)
{
    json_t *c =
        json_pack("{s:o,s:o,s:O,s:o,s:o,s:b}", "key", jval_str(key), "text",
                  jval_str(text), "value", value, "lo", lo, "hi", hi, "flag", flag);
    return (c && json_array_append_new(list, c) == 0) ||
           err_set(err, ERR_MEMORY, "out of memory while collecting claims");
}

static bool own_claims(const json_t *run, json_t *list, json_t *seen, Err *err)
{
    size_t i;
    json_t *c;
    bool ok = true;
    json_array_foreach(json_object_get(run, "claims"), i, c)
    {
        char key[600];
        const char *text = jval_get(c, "text", "");
        int64_t before = jval_get_int(seen, text, 0);
        json_object_set_new(seen, text, json_integer(before + 1));
        if (before)
            snprintf(key, sizeof key, "claim.%.500s#%" PRId64, text, before + 1);
        else
            snprintf(key, sizeof key, "claim.%.500s", text);
        ok = ok && add_claim(list, key, text, json_object_get(c, "value"),
                             json_incref(json_object_get(c, "lo")),
                             json_incref(json_object_get(c, "hi")),
                             json_is_true(json_object_get(c, "flag")), err);
    }
    return ok;
}

static bool result_claims(const json_t *flat, json_t *list, Err *err)
{
    const char *key;
    json_t *v;
    bool ok = true;
    json_object_foreach((json_t *)flat, key, v)
    {
        char name[300];
        double value = jval_to_number(v, NAN), lo, hi;
        bool flag = json_is_boolean(v);
        if (flag)
            value = json_is_true(v);
        if (!isfinite(value) || is_measurement(key))
            continue;
        ledger_interval(value, flag || json_is_integer(v), &lo, &hi);
        snprintf(name, sizeof name, "result.%s", key);
        json_t *number = jval_number(value);
        ok = ok && add_claim(list, name, key, number, jval_number(lo), jval_number(hi),
                             flag, err);
        json_decref(number);
    }
    return ok;
}

/* All claims of a run, and its run.json; both new. */
static bool claims_of(const char *dir, json_t **claims, json_t **run, Err *err)
{
    char path[PATH_MAX];
    RunRow row = {0};
    *claims = NULL;
    *run = path_join(path, sizeof path, dir, "run.json", err)
               ? jval_read_file(path, RUN_MAX, err)
               : NULL;
    bool ok = *run && runs_read(dir, &row, err);
    json_t *seen = json_object();
    *claims = json_array();
    if (ok && (!seen || !*claims))
        ok = err_set(err, ERR_MEMORY, "out of memory while collecting claims");
    ok = ok && own_claims(*run, *claims, seen, err) &&
         result_claims(json_object_get(row.info, "result"), *claims, err);
    json_decref(seen);
    runs_row_done(&row);
    if (ok)
        return true;
    json_decref(*claims);
    json_decref(*run);
    return false;
}

json_t *ledger_values(const char *run_dir, Err *err)
{
    json_t *claims, *run, *c, *values;
    size_t i;
    if (!claims_of(run_dir, &claims, &run, err))
        return NULL;
    values = json_object();
    json_array_foreach(claims, i, c) jval_set(values, jval_get(c, "key", ""),
                                              json_incref(json_object_get(c, "value")));
    if (!values)
        err_set(err, ERR_MEMORY, "out of memory while collecting claims");
    json_decref(claims);
    json_decref(run);
    return values;
}

/* --- writing ---------------------------------------------------------------------- */

static bool add_table(Figure *taken, Str *out, Err *err)
{
    bool ok = taken && figure_markdown(taken, NULL, out, err);
    figure_free(taken);
    str_addc(out, '\n');
    return ok;
}

/* name and value of each listed member that is there; names NULL: all of them. */
static bool add_members(const char *title, const json_t *o, const char *const *names,
                        size_t n, Str *out, Err *err)
{
    const char *key;
    json_t *v;
    int rows = 0;
    Figure *f = figure_table((int)(names ? n : json_object_size(o)), 2, err);
    bool ok = f && figure_set_head(f, 0, "name", false, err) &&
              figure_set_head(f, 1, "value", false, err);
    json_object_foreach((json_t *)o, key, v)
    {
        bool wanted = !names;
        for (size_t i = 0; i < n; i++)
            wanted = wanted || strcmp(names[i], key) == 0;
        if (!ok || !wanted)
            continue;
        Str t;
        str_init(&t);
        runs_text(v, false, &t);
        ok = figure_set_cell(f, rows, 0, key, err) &&
             figure_set_cell(f, rows++, 1, t.s, err);
        str_done(&t);
    }
    if (ok)
        f->n_rows = names ? rows : f->n_rows;
    str_addf(out, "## %s\n\n", title);
    if (ok && rows > 0)
        return add_table(f, out, err);
    if (ok)
        str_add(out, "none\n\n");
    figure_free(f);
    return ok;
}

static void command_text(const json_t *argv, Str *out)
{
    size_t i;
    json_t *v;
    json_array_foreach(argv, i, v) str_addf(
        out, "%s%s", i ? " " : "", json_string_value(v) ? json_string_value(v) : "");
}

static bool claim_row(Figure *f, int row, const json_t *c, const char *const *origin,
                      Err *err)
{
    char value[32], lo[32], hi[32], interval[80];
    double v = jval_to_number(json_object_get(c, "value"), NAN);
    bool flag = json_is_true(json_object_get(c, "flag"));
    figure_number(v, value);
    figure_number(jval_to_number(json_object_get(c, "lo"), NAN), lo);
    figure_number(jval_to_number(json_object_get(c, "hi"), NAN), hi);
    snprintf(interval, sizeof interval, flag ? "the same" : "%s to %s", lo, hi);
    const char *text[] = {jval_get(c, "text", ""),
                          !flag    ? value
                          : v != 0 ? "holds"
                                   : "fails",
                          interval,
                          origin[0],
                          origin[1],
                          origin[2]};
    for (int i = 0; i < (int)ARRAY_LEN(text); i++) {
        if (!figure_set_cell(f, row, i, text[i], err))
            return false;
    }
    return true;
}

static bool add_claims(const json_t *claims, const json_t *about, Str *out, Err *err)
{
    static const char *const heads[] = {"claim", "value", "interval",
                                        "run",   "seed",  "command"};
    Str seed, command;
    size_t i;
    json_t *c;
    str_init(&seed);
    str_init(&command);
    runs_text(json_object_get(about, "seed"), false, &seed);
    command_text(json_object_get(about, "argv"), &command);
    const char *origin[] = {jval_get(about, "id", ""), seed.len ? seed.s : "-",
                            command.s};
    Figure *f = figure_table((int)json_array_size(claims), ARRAY_LEN(heads), err);
    bool ok = f != NULL && str_ok(&command, err);
    for (int k = 0; ok && k < (int)ARRAY_LEN(heads); k++)
        ok = figure_set_head(f, k, heads[k], k == 1, err);
    json_array_foreach(claims, i, c) ok = ok && claim_row(f, (int)i, c, origin, err);
    str_done(&seed);
    str_done(&command);
    str_add(out,
            "## Claims\n\n"
            "`cleave verify report.md` runs the command again and says which values "
            "fall into their intervals.\n\n");
    if (ok)
        return add_table(f, out, err);
    figure_free(f);
    return false;
}

static bool add_json(const json_t *ledger, Str *out, Err *err)
{
    Str t;
    str_init(&t);
    bool ok = jval_dump(ledger, 0, &t, err) && str_ok(&t, err);
    str_add(out, OPENING);
    for (size_t i = 0; ok && i < t.len; i++) {
        if (t.s[i] == '>')
            str_add(out, "\\u003e");
        else
            str_addc(out, t.s[i]);
    }
    str_add(out, CLOSING "\n");
    str_done(&t);
    return ok;
}

/* What is needed to run it again, and to know that it is the same. */
static json_t *about_run(const char *dir, const json_t *run)
{
    static const char *const copied[] = {"script", "argv",    "cwd",
                                         "isa",    "threads", "version"};
    char path[PATH_MAX], mark[17] = "", *text;
    size_t n;
    const char *slash = strrchr(dir, '/');
    json_t *about = json_object(), *v;
    if (path_join(path, sizeof path, dir, "script.lua", NULL) &&
        file_read_all(path, SCRIPT_CAP, &text, &n, NULL)) {
        fingerprint_hex(fingerprint(text, n, 0), mark);
        mem_free(text);
    }
    jval_set(about, "id", jval_str(slash ? slash + 1 : dir));
    jval_set(about, "mark", jval_str(mark));
    for (size_t i = 0; about && i < ARRAY_LEN(copied); i++) {
        if ((v = json_object_get(run, copied[i])))
            json_object_set(about, copied[i], v);
    }
    if ((v = json_object_get(json_object_get(run, "settings"), "seed")))
        json_object_set(about, "seed", v);
    return about;
}

static bool write_report(const char *dir, const char *path, const json_t *claims,
                         const json_t *run, Err *err)
{
    static const char *const environment[] = {
        "version", "host",      "start",        "seconds",     "isa",
        "threads", "blas_core", "blas_version", "peak_memory", "cwd"};
    char *old = NULL;
    size_t n = 0;
    Str t;
    if (file_exists(path) && !file_read_all(path, REPORT_MAX, &old, &n, err))
        return false;
    str_init(&t);
    str_addn(&t, old ? old : "", n);
    mem_free(old);
    if (n > 0)
        str_add(&t, t.s[t.len - 1] == '\n' ? "\n" : "\n\n");
    json_t *about = about_run(dir, run);
    json_t *ledger = about ? json_pack("{s:i,s:O,s:O}", "version", LEDGER_VERSION,
                                       "run", about, "claims", claims)
                           : NULL;
    bool ok =
        ledger || err_set(err, ERR_MEMORY, "out of memory while writing a report");
    ok =
        ok &&
        add_members("Settings", json_object_get(run, "settings"), NULL, 0, &t, err) &&
        add_members("Environment", run, environment, ARRAY_LEN(environment), &t, err) &&
        add_claims(claims, about, &t, err) && add_json(ledger, &t, err) &&
        str_ok(&t, err) && file_write_all(path, t.s, t.len, err);
    json_decref(about);
    json_decref(ledger);
    str_done(&t);
    return ok;
}

bool ledger_write(const char *run_dir, Err *err)
{
    char path[PATH_MAX];
    json_t *claims, *run;
    if (!path_join(path, sizeof path, run_dir, "report.md", err) ||
        !claims_of(run_dir, &claims, &run, err))
        return false;
    bool wanted =
        file_exists(path) || json_array_size(json_object_get(run, "claims")) > 0;
    bool ok = !wanted || write_report(run_dir, path, claims, run, err);
    json_decref(claims);
    json_decref(run);
    return ok;
}

/* --- reading ---------------------------------------------------------------------- */

static bool check_ledger(const json_t *o, Err *err)
{
    const json_t *run = json_object_get(o, "run"), *argv = json_object_get(run, "argv");
    const json_t *claims = json_object_get(o, "claims");
    size_t i;
    json_t *v;
    if (jval_get_int(o, "version", 0) != LEDGER_VERSION)
        return err_set(err, ERR_FORMAT, "its claim ledger is of another version");
    bool good = json_array_size(argv) >= 3 && json_is_array(claims);
    json_array_foreach(argv, i, v) good = good && json_is_string(v);
    json_array_foreach(claims, i, v)
    {
        good = good && json_is_string(json_object_get(v, "key")) &&
               isfinite(jval_to_number(json_object_get(v, "value"), NAN)) &&
               !isnan(jval_to_number(json_object_get(v, "lo"), NAN)) &&
               !isnan(jval_to_number(json_object_get(v, "hi"), NAN));
    }
    return good || err_set(err, ERR_FORMAT, "its claim ledger is damaged");
}

json_t *ledger_read(const char *report, Err *err)
{
    char *text, *s = NULL, *end;
    size_t n;
    if (!file_read_all(report, REPORT_MAX, &text, &n, err))
        return NULL;
    for (char *p = text; (p = strstr(p, OPENING)); p++)
        s = p + strlen(OPENING);
    json_t *o = NULL;
    if (!s || !(end = strstr(s, CLOSING)))
        err_set(err, ERR_FORMAT, "it holds no claim ledger; a run writes one");
    else
        o = jval_parse(s, (size_t)(end - s), err);
    if (o && !check_ledger(o, err)) {
        json_decref(o);
        o = NULL;
    }
    mem_free(text);
    if (!o)
        err_prefix(err, "'%s'", report);
    return o;
}

bool ledger_shown(const char *report, const json_t *ledger, bool *shown, Err *err)
{
    char *text;
    size_t n;
    if (!file_read_all(report, REPORT_MAX, &text, &n, err))
        return false;
    Str t;
    str_init(&t);
    bool ok = add_claims(json_object_get(ledger, "claims"),
                         json_object_get(ledger, "run"), &t, err) &&
              str_ok(&t, err);
    const char *table = ok ? strstr(t.s, "\n| ") : NULL;
    *shown = table && strstr(text, table);
    str_done(&t);
    mem_free(text);
    return ok;
}
