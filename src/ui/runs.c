/* runs.c -- `cleave runs`: the list with filters, order and groups, as a table or as
 * CSV; removing. `show` and `compare` are in runs_show.c. */
#include <errno.h>
#include <ftw.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "lab/jval.h"
#include "ui/runs.h"

/* Fields that every list starts with. */
static const char *const lead[] = {"number", "id", "name", "state", "seconds"};
enum { LEAD_ALWAYS = 4, MAX_COLUMNS = 400, GROUP_METRICS = 12 };

/* --- the list --------------------------------------------------------------------- */

/* Of a run that is not over: since its start. NaN: it has not begun to say. */
static double seconds_of(const RunRow *row)
{
    struct tm tm = {0};
    double sec;
    const json_t *v = runs_value(row, "seconds");
    const char *start = json_string_value(runs_value(row, "run.start"));
    if (v || strcmp(row->state, "running") != 0)
        return v ? json_number_value(v) : (double)NAN;
    if (!start || sscanf(start, "%d-%d-%dT%d:%d:%lf", &tm.tm_year, &tm.tm_mon,
                         &tm.tm_mday, &tm.tm_hour, &tm.tm_min, &sec) != 6)
        return NAN;
    tm.tm_year -= 1900;
    tm.tm_mon--;
    double since = clock_wall() - (double)timegm(&tm) - sec;
    return since > 0 ? since : 0;
}

void runs_cell(const RunRow *row, const char *key, bool brief, Str *t)
{
    const json_t *v = runs_value(row, key);
    str_clear(t);
    if (brief && strcmp(key, "id") == 0) {
        const char *dash = strrchr(row->id, '-');
        str_add(t, dash ? dash + 1 : row->id);
    } else if (brief && strcmp(key, "seconds") == 0) {
        char hms[16] = "";
        double seconds = seconds_of(row);
        if (!isnan(seconds))
            clock_hms(seconds, hms);
        str_add(t, hms);
    } else {
        runs_text(v, brief, t);
    }
}

/* Two rows have the key with different values. */
static bool varies(const Runs *r, const char *key)
{
    const json_t *first = NULL;
    for (size_t i = 0; i < r->n; i++) {
        const json_t *v = runs_value(&r->row[i], key);
        if (first && v && !json_equal(first, v))
            return true;
        first = first ? first : v;
    }
    return false;
}

static bool add_key(json_t *keys, const char *key)
{
    size_t i;
    json_t *v;
    json_array_foreach(keys, i, v)
    {
        if (strcmp(json_string_value(v), key) == 0)
            return true;
    }
    return json_array_size(keys) >= MAX_COLUMNS ||
           json_array_append_new(keys, jval_str(key)) == 0;
}

static bool holds_numbers(const Runs *r, const char *key)
{
    for (size_t i = 0; i < r->n; i++) {
        if (json_is_number(runs_value(&r->row[i], key)))
            return true;
    }
    return false;
}

/* What follows "section." unless another key in the list has that name already. */
static const char *bare(const Runs *r, const char *key)
{
    const char *name = strchr(key, '.') + 1;
    for (size_t i = 0; i < r->n; i++) {
        const json_t *v = runs_value(&r->row[i], key);
        if (v && runs_value(&r->row[i], name) != v)
            return key;
    }
    return name;
}

/* A last metric that the result repeats under the same name. */
static bool repeated(const Runs *r, const char *key)
{
    char name[300];
    if (strncmp(key, "metric.", 7) != 0)
        return false;
    snprintf(name, sizeof name, "result.%s", key + 7);
    return holds_numbers(r, name);
}

static bool add_section(const Runs *r, const char *section, bool all, json_t *keys)
{
    json_t *have = runs_keys(r, section), *v;
    size_t i;
    bool ok = have != NULL;
    json_array_foreach(have, i, v)
    {
        const char *key = json_string_value(v);
        bool metric = strcmp(section, "settings") != 0;
        bool tells =
            metric ? holds_numbers(r, key) && !repeated(r, key) : varies(r, key);
        if (ok && (all || tells))
            ok = add_key(keys, bare(r, key));
    }
    json_decref(have);
    return ok;
}

static json_t *split_list(const char *list)
{
    json_t *keys = json_array();
    for (const char *s = list; keys && *s;) {
        size_t n = strcspn(s, ",");
        if (n > 0)
            json_array_append_new(keys, jval_text(s, n));
        s += n + (s[n] == ',');
    }
    return keys;
}

static bool any_live(const Runs *r)
{
    bool live = false;
    for (size_t i = 0; i < r->n; i++)
        live = live || strcmp(r->row[i].state, "running") == 0;
    return live;
}

/* What runs that go on measure stands before settings and results. */
static bool add_live(const Runs *r, json_t *keys)
{
    json_t *have = runs_keys(r, "metric"), *v;
    size_t i;
    bool ok = have != NULL;
    json_array_foreach(have, i, v)
    {
        const char *key = json_string_value(v);
        bool live = false;
        for (size_t k = 0; k < r->n && !live; k++)
            live = strcmp(r->row[k].state, "running") == 0 &&
                   json_is_number(runs_value(&r->row[k], key));
        if (ok && live && !repeated(r, key))
            ok = add_key(keys, bare(r, key));
    }
    json_decref(have);
    return ok;
}

json_t *runs_columns(const Runs *r, const RunsOptions *o)
{
    static const char *const order[] = {"run", "settings", "result", "metric"};
    if (o->columns[0])
        return split_list(o->columns);
    json_t *keys = json_array();
    bool ok = keys != NULL;
    for (size_t i = 0; ok && i < ARRAY_LEN(lead); i++)
        ok = add_key(keys, lead[i]);
    if (ok && !o->csv && (varies(r, "step") || any_live(r)) && holds_numbers(r, "step"))
        ok = add_key(keys, "step");
    ok = ok && (o->csv || add_live(r, keys));
    for (size_t i = o->csv ? 0 : 1; ok && i < ARRAY_LEN(order); i++)
        ok = add_section(r, order[i], o->csv, keys);
    if (ok)
        return keys;
    json_decref(keys);
    return NULL;
}

static bool fill_list(const Runs *r, const json_t *keys, bool brief, Listing *s,
                      Err *err)
{
    Str t;
    bool ok = true;
    size_t n = json_array_size(keys);
    for (size_t k = 0; ok && k < n; k++) {
        const char *key = json_string_value(json_array_get(keys, k));
        ok = listing_column(s, brief && strcmp(key, "number") == 0 ? "#" : key, err);
    }
    str_init(&t);
    for (size_t i = 0; ok && i < r->n; i++) {
        for (size_t k = 0; ok && k < n; k++) {
            runs_cell(&r->row[i], json_string_value(json_array_get(keys, k)), brief,
                       &t);
            ok = str_ok(&t, err) && listing_cell(s, t.s, err);
        }
    }
    str_done(&t);
    return ok;
}

static void describe_list(const Runs *r, size_t all, size_t dropped, Str *t)
{
    size_t live = 0;
    for (size_t i = 0; i < r->n; i++)
        live += strcmp(r->row[i].state, "running") == 0;
    str_addf(t, "%s: ", r->root);
    if (r->n < all)
        str_addf(t, "%zu of ", r->n);
    str_addf(t, "%zu run%s, %zu live", all, all == 1 ? "" : "s", live);
    if (dropped)
        str_addf(t, "; %zu more column%s: --columns, --csv or a wider terminal",
                 dropped, dropped == 1 ? "" : "s");
}

static bool show_list(const Runs *r, size_t all, const RunsOptions *o,
                      const PrintStyle *style, Err *err)
{
    Listing s = {0};
    Str t;
    json_t *keys = runs_columns(r, o);
    bool ok = keys ? fill_list(r, keys, !o->csv, &s, err)
                   : err_set(err, ERR_MEMORY, "out of memory while listing runs");
    str_init(&t);
    if (ok && o->csv) {
        listing_csv(&s, &t);
        ok = str_ok(&t, err);
        if (ok)
            fwrite(t.s, 1, t.len, stdout);
    } else if (ok) {
        size_t dropped =
            o->columns[0] ? 0 : listing_fit(&s, LEAD_ALWAYS, style->draw.width);
        describe_list(r, all, dropped, &t);
        ok = r->n > 0 ? listing_show(&s, NULL, t.s, style, err)
                      : (str_addc(&t, '\n'), show_text(t.s, style), true);
    }
    str_done(&t);
    listing_done(&s);
    json_decref(keys);
    return ok;
}

static bool show_keys(const Runs *r, const PrintStyle *style, Err *err)
{
    size_t i;
    json_t *v, *keys = runs_keys(r, NULL);
    json_array_foreach(keys, i, v)
    {
        show_text(json_string_value(v), style);
        show_text("\n", style);
    }
    bool ok = keys || err_set(err, ERR_MEMORY, "out of memory while listing keys");
    json_decref(keys);
    return ok;
}

/* --- groups ----------------------------------------------------------------------- */

/* "0.9712 +- 0.0021"; in CSV three cells. */
static bool spread_cells(const Spread *d, bool csv, Listing *s, Err *err)
{
    char mean[40], half[40], both[100];
    if (csv) {
        snprintf(mean, sizeof mean, d->n > 0 ? "%.17g" : "", d->mean);
        snprintf(half, sizeof half, d->n > 1 ? "%.17g" : "", d->half);
        snprintf(both, sizeof both, "%zu", d->n);
        return listing_cell(s, mean, err) && listing_cell(s, half, err) &&
               listing_cell(s, both, err);
    }
    snprintf(mean, sizeof mean, d->n > 0 ? "%.4g" : "", d->mean);
    snprintf(half, sizeof half, d->n > 1 ? " +- %.2g" : "", d->half);
    snprintf(both, sizeof both, "%s%s", mean, half);
    return listing_cell(s, both, err);
}

static bool spread_head(const char *key, const char *what, bool csv, Listing *s,
                        Err *err)
{
    char head[320];
    if (!csv) {
        snprintf(head, sizeof head, "%s%s", key, what);
        return listing_column(s, head, err);
    }
    static const char *const parts[] = {"", " half95", " n"};
    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        snprintf(head, sizeof head, "%s%s%s", key, what, parts[i]);
        if (!listing_column(s, head, err))
            return false;
    }
    return true;
}

/* Numeric values of results, or of metrics when no run has a result. */
json_t *runs_group_metrics(const Runs *r, const char *columns)
{
    static const char *const order[] = {"result", "metric"};
    if (columns[0])
        return split_list(columns);
    json_t *keys = json_array();
    for (size_t i = 0; keys && i < ARRAY_LEN(order); i++) {
        json_t *have = runs_keys(r, order[i]), *v;
        size_t k;
        json_array_foreach(have, k, v)
        {
            const char *key = json_string_value(v);
            if (holds_numbers(r, key) && !repeated(r, key) &&
                json_array_size(keys) < GROUP_METRICS)
                add_key(keys, bare(r, key));
        }
        json_decref(have);
    }
    return keys;
}

static bool group_heads(const RunGroup *g, const json_t *metrics, bool paired, bool csv,
                        Listing *s, Err *err)
{
    const char *key;
    json_t *v;
    size_t i;
    bool ok = true;
    json_object_foreach(g->label, key, v) ok = ok && listing_column(s, key, err);
    ok = ok && listing_column(s, "runs", err) && listing_column(s, "seeds", err);
    json_array_foreach(metrics, i, v)
    {
        ok = ok && spread_head(json_string_value(v), "", csv, s, err) &&
             (!paired || spread_head(json_string_value(v), " diff", csv, s, err));
    }
    return ok;
}

static bool group_row(const Runs *r, const RunGroup *g, const RunGroup *base,
                      const json_t *metrics, bool csv, Listing *s, Err *err)
{
    const char *key;
    char count[24];
    json_t *v;
    size_t i;
    bool ok = true;
    Spread d;
    Str t;
    str_init(&t);
    json_object_foreach(g->label, key, v)
    {
        str_clear(&t);
        if (!json_is_null(v))
            runs_text(v, false, &t);
        ok = ok && listing_cell(s, t.s, err);
    }
    str_done(&t);
    snprintf(count, sizeof count, "%zu", g->n);
    ok = ok && listing_cell(s, count, err);
    snprintf(count, sizeof count, "%zu", g->seeds);
    ok = ok && listing_cell(s, count, err);
    json_array_foreach(metrics, i, v)
    {
        ok = ok && runs_spread(r, g, json_string_value(v), &d, err) &&
             spread_cells(&d, csv, s, err);
        if (!ok || !base)
            continue;
        if (base == g)
            d = (Spread){0, NAN, NAN};
        else
            ok = runs_difference(r, g, base, json_string_value(v), &d, err);
        ok = ok && spread_cells(&d, csv, s, err);
    }
    return ok;
}

bool runs_show_groups(const Runs *r, const char *by, const char *baseline,
                      const char *columns, bool csv, const PrintStyle *style, Err *err)
{
    RunGroups g;
    Listing s = {0};
    Str t;
    int base = -1;
    if (!runs_group(r, by, &g, err))
        return false;
    json_t *metrics = runs_group_metrics(r, columns);
    bool ok = metrics || err_set(err, ERR_MEMORY, "out of memory while grouping runs");
    if (ok && baseline[0])
        ok = (base = runs_baseline(r, &g, baseline, err)) >= 0;
    if (ok && g.n > 0)
        ok = group_heads(&g.group[0], metrics, base >= 0, csv, &s, err);
    for (size_t i = 0; ok && i < g.n; i++)
        ok = group_row(r, &g.group[i], base >= 0 ? &g.group[base] : NULL, metrics, csv,
                       &s, err);
    str_init(&t);
    if (ok && csv) {
        listing_csv(&s, &t);
        fwrite(t.s, 1, t.len, stdout);
    } else if (ok && g.n > 0) {
        size_t keys = json_object_size(g.group[0].label);
        size_t dropped = columns[0] ? 0 : listing_fit(&s, keys + 3, style->draw.width);
        str_add(&t, "mean over seeds +- half of its 95 % interval");
        if (base >= 0)
            str_addf(&t, "; diff: to %s, paired by seed", baseline);
        if (dropped)
            str_addf(&t, "; %zu more column%s: --columns or --csv", dropped,
                     dropped == 1 ? "" : "s");
        ok = listing_show(&s, NULL, t.s, style, err);
    }
    str_done(&t);
    listing_done(&s);
    json_decref(metrics);
    runs_groups_done(&g);
    return ok;
}

/* --- removing --------------------------------------------------------------------- */

static int64_t bytes_below;

static int add_bytes(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)path, (void)ftw;
    bytes_below += type == FTW_F ? (int64_t)st->st_size : 0;
    return 0;
}

static int remove_one(const char *path, const struct stat *st, int type,
                      struct FTW *ftw)
{
    (void)st, (void)type, (void)ftw;
    return remove(path);
}

bool runs_remove_tree(const char *path)
{
    return nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS) == 0;
}

/* Renamed first, so that no reader meets half a run. */
static bool remove_run(const Runs *r, const RunRow *row, Err *err)
{
    char name[NAME_MAX + 16], hidden[PATH_MAX];
    snprintf(name, sizeof name, ".removed-%s", row->id);
    if (!path_join(hidden, sizeof hidden, r->root, name, err))
        return false;
    if (rename(row->dir, hidden) != 0)
        return err_set(err, ERR_IO, "cannot remove '%s': %s", row->dir,
                       strerror(errno));
    if (!runs_remove_tree(hidden))
        return err_set(err, ERR_IO, "cannot remove all of '%s': %s", hidden,
                       strerror(errno));
    return true;
}

static bool confirmed(const RunRow *const *row, int n, const PrintStyle *style)
{
    char answer[16] = "";
    bytes_below = 0;
    for (int i = 0; i < n; i++) {
        show_text(row[i]->dir, style);
        show_text("\n", style);
        nftw(row[i]->dir, add_bytes, 16, FTW_PHYS);
    }
    printf("Remove %d run%s (%.1f MB)? [y/N] ", n, n == 1 ? "" : "s",
           (double)bytes_below / 1e6);
    fflush(stdout);
    return fgets(answer, sizeof answer, stdin) && (answer[0] | 32) == 'y';
}

static bool check_removable(const RunRow *row, Err *err)
{
    if (strcmp(row->state, "running") == 0 || strcmp(row->state, "starting") == 0)
        return err_set(err, ERR_OPTION, "'%s' is live; stop it before removing it",
                       row->id);
    return true;
}

static Exit runs_remove(const Runs *r, const Operands *ops, const RunsOptions *o,
                        const PrintStyle *style)
{
    Err err = {0};
    const RunRow **row = mem_array((size_t)ops->n, sizeof *row, &err);
    int n = 0;
    bool ok = row != NULL;
    for (int i = 1; ok && i < ops->n; i++) {
        const RunRow *found = runs_find(r, ops->item[i], &err);
        bool twice = false;
        for (int k = 0; k < n; k++)
            twice = twice || row[k] == found;
        ok = found && check_removable(found, &err);
        if (ok && !twice)
            row[n++] = found;
    }
    if (ok && !o->yes && !(isatty(STDIN_FILENO) && isatty(STDOUT_FILENO)))
        ok = err_set(&err, ERR_OPTION,
                     "nobody can be asked here; --yes removes without a question");
    Exit code = ok ? EXIT_OK : command_fail(EXIT_USAGE, "%s", err.msg);
    if (ok && !o->yes && !confirmed(row, n, style))
        ok = false;
    for (int i = 0; ok && i < n; i++) {
        ok = remove_run(r, row[i], &err);
        if (!ok)
            code = command_fail(EXIT_BROKEN, "%s", err.msg);
    }
    mem_free(row);
    return code;
}

/* --- the command ------------------------------------------------------------------ */

static bool check_columns(const Runs *r, const char *list, Err *err)
{
    json_t *keys = split_list(list), *v;
    size_t i;
    bool ok = keys || err_set(err, ERR_MEMORY, "out of memory while listing runs");
    json_array_foreach(keys, i, v) ok =
        ok && runs_check_key(r, json_string_value(v), "--columns", err);
    json_decref(keys);
    return ok;
}

static Exit list(Runs *r, const Operands *ops, const RunsOptions *o,
                 const PrintStyle *style)
{
    Err err = {0};
    size_t all = r->n;
    if (!check_columns(r, o->columns, &err))
        return command_fail(EXIT_USAGE, "%s", err.msg);
    if (o->baseline[0] && !o->group[0])
        return command_fail(EXIT_USAGE, "--baseline needs --group");
    bool ok = runs_filter(r, (const char *const *)ops->item, (size_t)ops->n, &err) &&
              (!o->sort[0] || runs_sort(r, o->sort, &err));
    if (ok && o->keys)
        ok = show_keys(r, style, &err);
    else if (ok && o->group[0])
        ok =
            runs_show_groups(r, o->group, o->baseline, o->columns, o->csv, style, &err);
    else if (ok)
        ok = show_list(r, all, o, style, &err);
    if (!ok)
        return command_fail(err.code == ERR_OPTION ? EXIT_USAGE : EXIT_BROKEN, "%s",
                            err.msg);
    return show_end(&err) ? EXIT_OK : command_fail(EXIT_BROKEN, "%s", err.msg);
}

/* Verbs and the least number of runs that each takes. */
static const struct {
    const char *name;
    int least, most;
    Exit (*run)(const Runs *, const Operands *, const RunsOptions *,
                const PrintStyle *);
} verbs[] = {
    {"show",    1, 1,       runs_show   },
    {"compare", 2, INT_MAX, runs_compare},
    {"remove",  1, INT_MAX, runs_remove },
};

static Exit act(Runs *r, const Operands *ops, const RunsOptions *o,
                const PrintStyle *style)
{
    const char *names[ARRAY_LEN(verbs)], *word = ops->n > 0 ? ops->item[0] : "";
    for (size_t i = 0; i < ARRAY_LEN(verbs); i++) {
        names[i] = verbs[i].name;
        if (strcmp(word, verbs[i].name) != 0)
            continue;
        int n = ops->n - 1;
        if (n < verbs[i].least || n > verbs[i].most)
            return command_fail(EXIT_USAGE, "cleave runs %s takes %s run%s", word,
                                verbs[i].least == 2  ? "two or more"
                                : verbs[i].most == 1 ? "one"
                                                     : "one or more",
                                verbs[i].most == 1 ? "" : "s");
        return verbs[i].run(r, ops, o, style);
    }
    const char *near =
        strpbrk(word, "=<>~!") ? NULL : text_nearest(word, names, ARRAY_LEN(verbs));
    if (near)
        return command_fail(EXIT_USAGE, "cleave runs: unknown '%s'; did you mean '%s'?",
                            word, near);
    return list(r, ops, o, style);
}

/* Where the run of `show`, `compare` or `remove` lies when it is named by its path and
 * no folder was asked for: a path that was printed elsewhere works as it is. */
static bool folder_of_run(const Operands *ops, char dst[PATH_MAX])
{
    char file[PATH_MAX];
    bool is_verb = false;
    for (size_t i = 0; i < ARRAY_LEN(verbs) && ops->n > 1; i++)
        is_verb = is_verb || strcmp(ops->item[0], verbs[i].name) == 0;
    if (!is_verb || !path_join(file, sizeof file, ops->item[1], "run.json", NULL) ||
        !file_exists(file) || !text_copy(dst, PATH_MAX, ops->item[1]))
        return false;
    size_t n = strlen(dst);
    while (n > 1 && dst[n - 1] == '/')
        dst[--n] = '\0';
    char *slash = strrchr(dst, '/');
    if (!slash || slash == dst)
        return false;
    *slash = '\0';
    return true;
}

Exit command_runs(const Operands *ops, const void *config)
{
    const RunsOptions *o = config;
    Err err = {0};
    Runs r = {0};
    PrintStyle style;
    char folder[PATH_MAX];
    const char *root =
        !o->runs[0] && folder_of_run(ops, folder) ? folder : runs_root(o->runs);
    if (!style_detect(o->level, (int)o->width, &style, &err))
        return command_fail(EXIT_USAGE, "%s", err.msg);
    if (!o->runs[0] && !file_exists(root)) {
        if (ops->n > 0)
            return command_fail(EXIT_USAGE, "there are no runs yet: no folder '%s'",
                                root);
        command_say("no runs yet: there is no folder '%s'", root);
        return EXIT_OK;
    }
    if (!runs_open(root, &r, &err))
        return command_fail(EXIT_USAGE, "%s", err.msg);
    Exit code = act(&r, ops, o, &style);
    runs_close(&r);
    return code;
}
