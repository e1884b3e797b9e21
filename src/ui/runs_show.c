/* runs_show.c -- one run: what it was given, what it gave, its curves and its pictures;
 * several: only what differs, and each metric's curves in one plot, where runs that
 * differ in nothing but the seed become one line with a band. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "lab/journal.h"
#include "lab/jval.h"
#include "ui/runs.h"

enum { MAX_PLOTS = 6, MAX_LINES = 12 };

static bool value_rows(const json_t *o, Listing *s, Err *err)
{
    const char *key;
    json_t *v;
    bool ok = listing_column(s, "name", err) && listing_column(s, "value", err);
    json_object_foreach((json_t *)o, key, v)
    {
        Str t;
        str_init(&t);
        runs_text(v, true, &t);
        ok = ok && listing_cell(s, key, err) && listing_cell(s, t.s, err);
        str_done(&t);
    }
    return ok;
}

static bool show_section(const RunRow *row, const char *section, const char *title,
                         const PrintStyle *style, Err *err)
{
    Listing s = {0};
    const json_t *o = json_object_get(row->info, section);
    if (json_object_size(o) == 0)
        return true;
    bool ok = value_rows(o, &s, err) && listing_show(&s, title, NULL, style, err);
    listing_done(&s);
    show_text("\n", style);
    return ok;
}

/* --- curves ----------------------------------------------------------------------- */

static bool draw_plot(const char *metric, const char *caption, Figure *plot,
                      const PrintStyle *style, Err *err)
{
    bool ok = plot && figure_set_title(plot, metric, err) &&
              figure_set_axis(plot, false, "step", false, err) &&
              (!caption || figure_set_caption(plot, caption, err)) &&
              show_figure(plot, style, err);
    show_text("\n", style);
    return ok;
}

static bool show_curves(const RunRow *row, const PrintStyle *style, Err *err)
{
    Curves c;
    size_t shown = 0, more = 0;
    if (!runs_curves(row, &c, err))
        return false;
    bool ok = true;
    for (size_t i = 0; ok && i < c.n; i++) {
        const Curve *k = &c.curve[i];
        if (k->n < 2)
            continue;
        if (shown == MAX_PLOTS) {
            more++;
            continue;
        }
        Figure *plot = figure_plot(err);
        ok = plot &&
             figure_add_series(plot, NULL, MARK_LINE, (int)k->n, k->step, k->value,
                               NULL, NULL, err) &&
             draw_plot(k->name, NULL, plot, style, err);
        figure_free(plot);
        shown++;
    }
    if (ok && more)
        printf("(%zu more curves; cleave runs --csv and metrics.jsonl have all)\n",
               more);
    runs_curves_done(&c);
    return ok;
}

/* --- pictures and texts of the journal -------------------------------------------- */

static bool show_journal_figure(JournalReader *j, const json_t *ev,
                                const PrintStyle *style)
{
    Err err = {0};
    Figure *f = jreader_figure(j, ev, &err);
    const char *png = jval_get(ev, "png", "");
    bool ok = f && show_figure(f, style, &err);
    if (ok && figure_is_picture(f) && png[0]) {
        show_text("(", style);
        show_text(jreader_dir(j), style);
        show_text("/", style);
        show_text(png, style);
        show_text(")\n", style);
    }
    if (!ok) {
        show_text("a figure cannot be shown: ", style);
        show_text(err.msg, style);
        show_text("\n", style);
    }
    figure_free(f);
    show_text("\n", style);
    return ok;
}

static bool show_journal(const RunRow *row, const PrintStyle *style, Err *err)
{
    bool more = true;
    JournalReader *j = jreader_open(row->dir, err);
    if (!j)
        return false;
    for (;;) {
        json_t *ev = jreader_next(j, &more, NULL);
        if (!ev && !more)
            break;
        const char *kind = jval_get(ev, "ev", "");
        if (strcmp(kind, "figure") == 0) {
            show_journal_figure(j, ev, style);
        } else if (strcmp(kind, "error") == 0) {
            show_text("error: ", style);
            show_text(jval_get(ev, "msg", ""), style);
            show_text("\n\n", style);
        }
        json_decref(ev);
    }
    jreader_close(j);
    return true;
}

Exit runs_show(const Runs *r, const Operands *ops, const RunsOptions *o,
               const PrintStyle *style)
{
    Err err = {0};
    (void)o;
    const RunRow *row = runs_find(r, ops->item[1], &err);
    if (!row)
        return command_fail(EXIT_USAGE, "%s", err.msg);
    show_text(row->dir, style);
    show_text("\n\n", style);
    bool ok = show_section(row, "run", "Run", style, &err) &&
              show_section(row, "settings", "Settings", style, &err) &&
              show_section(row, "result", "Result", style, &err) &&
              show_section(row, "metric", "Last metrics", style, &err) &&
              show_curves(row, style, &err) && show_journal(row, style, &err) &&
              show_end(&err);
    return ok ? EXIT_OK : command_fail(EXIT_BROKEN, "%s", err.msg);
}

/* --- several runs ----------------------------------------------------------------- */

/* Fields that differ between any two runs and tell nothing. */
static bool is_trivial(const char *key)
{
    static const char *const keys[] = {"run.id",      "run.start",  "run.end",
                                       "run.seconds", "run.number", "run.point"};
    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        if (strcmp(keys[i], key) == 0)
            return true;
    }
    return false;
}

static bool same_value(const json_t *a, const json_t *b)
{
    return a == b || (a && b && json_equal(a, b));
}

static bool differs(const Runs *r, const char *key)
{
    for (size_t i = 1; i < r->n; i++) {
        if (!same_value(runs_value(&r->row[0], key), runs_value(&r->row[i], key)))
            return true;
    }
    return false;
}

static bool difference_rows(const Runs *r, Listing *s, Err *err)
{
    json_t *keys = runs_keys(r, NULL), *v;
    size_t k;
    bool ok = keys && listing_column(s, "key", err);
    for (size_t i = 0; ok && i < r->n; i++) {
        char head[80];
        const char *dash = strrchr(r->row[i].id, '-');
        snprintf(head, sizeof head, "%d %.60s", r->row[i].number,
                 dash ? dash + 1 : r->row[i].id);
        ok = listing_column(s, head, err);
    }
    json_array_foreach(keys, k, v)
    {
        const char *key = json_string_value(v);
        if (!ok || is_trivial(key) || !differs(r, key))
            continue;
        ok = listing_cell(s, key, err);
        for (size_t i = 0; ok && i < r->n; i++) {
            Str t;
            str_init(&t);
            runs_text(runs_value(&r->row[i], key), true, &t);
            ok = listing_cell(s, t.s, err);
            str_done(&t);
        }
    }
    json_decref(keys);
    return ok;
}

/* Settings, but for the seed, that differ between the runs: "a,b". */
static void line_keys(const Runs *r, Str *out)
{
    json_t *keys = runs_keys(r, "settings"), *v;
    size_t k;
    json_array_foreach(keys, k, v)
    {
        const char *key = json_string_value(v);
        if (strcmp(key, "settings.seed") != 0 && differs(r, key))
            str_addf(out, "%s%s", out->len ? "," : "", key);
    }
    if (differs(r, "run.name"))
        str_addf(out, "%srun.name", out->len ? "," : "");
    json_decref(keys);
}

static void line_name(const Runs *r, const RunGroup *g, Str *out)
{
    const char *key;
    json_t *v;
    json_object_foreach(g->label, key, v)
    {
        str_addf(out, "%s%s ", out->len ? " " : "", strchr(key, '.') + 1);
        runs_text(v, true, out);
    }
    if (!out->len)
        str_add(out, r->row[g->member[0]].id);
    if (g->n > 1)
        str_addf(out, " (%zu runs)", g->n);
}

/* One line of a plot; nothing when the group's runs have no such curve. */
static bool add_line(const Runs *r, const RunGroup *g, const Curves *curves,
                     const char *metric, Figure *plot, Err *err)
{
    Str name;
    size_t n = 0;
    Curves *mine = mem_array(g->n, sizeof *mine, err);
    if (!mine)
        return false;
    for (size_t i = 0; i < g->n; i++)
        mine[i] = curves[g->member[i]];
    double *band = runs_band(mine, g->n, metric, &n, err);
    bool ok = band != NULL, several = g->n > 1;
    str_init(&name);
    line_name(r, g, &name);
    if (ok && n > 0)
        ok = figure_add_series(plot, name.s, MARK_LINE, (int)n, band, band + n,
                               several ? band + 2 * n : NULL,
                               several ? band + 3 * n : NULL, err);
    str_done(&name);
    mem_free(band);
    mem_free(mine);
    return ok;
}

static bool plot_metric(const Runs *r, const RunGroups *g, const Curves *curves,
                        const char *metric, const PrintStyle *style, Err *err)
{
    Figure *plot = figure_plot(err);
    bool ok = plot != NULL, band = false;
    for (size_t i = 0; ok && i < g->n && i < MAX_LINES; i++) {
        band = band || g->group[i].n > 1;
        ok = add_line(r, &g->group[i], curves, metric, plot, err);
    }
    if (ok && plot->n_series > 0)
        ok =
            draw_plot(metric, band ? "band: 95 % interval of the mean over runs" : NULL,
                      plot, style, err);
    figure_free(plot);
    return ok;
}

static bool compare_curves(const Runs *r, const PrintStyle *style, Err *err)
{
    RunGroups g = {0};
    Str by;
    size_t read = 0, k, shown = 0;
    json_t *keys = runs_keys(r, "metric"), *v;
    Curves *curves = mem_zalloc(r->n * sizeof *curves, err);
    str_init(&by);
    line_keys(r, &by);
    bool ok = curves && keys && runs_group(r, by.s, &g, err);
    for (; ok && read < r->n; read += ok)
        ok = runs_curves(&r->row[read], &curves[read], err);
    json_array_foreach(keys, k, v)
    {
        if (ok && shown++ < MAX_PLOTS)
            ok = plot_metric(r, &g, curves, strchr(json_string_value(v), '.') + 1,
                             style, err);
    }
    for (size_t i = 0; i < read; i++)
        runs_curves_done(&curves[i]);
    mem_free(curves);
    runs_groups_done(&g);
    str_done(&by);
    json_decref(keys);
    return ok;
}

/* The named runs alone; rows are borrowed. */
static bool pick(const Runs *all, const Operands *ops, Runs *out, Err *err)
{
    *out = (Runs){.root = all->root};
    out->row = mem_array((size_t)ops->n, sizeof *out->row, err);
    for (int i = 1; out->row && i < ops->n; i++) {
        const RunRow *row = runs_find(all, ops->item[i], err);
        if (!row) {
            mem_free(out->row);
            return false;
        }
        out->row[out->n++] = *row;
    }
    return out->row != NULL;
}

Exit runs_compare(const Runs *r, const Operands *ops, const RunsOptions *o,
                  const PrintStyle *style)
{
    Err err = {0};
    Runs some;
    Listing s = {0};
    (void)o;
    if (!pick(r, ops, &some, &err))
        return command_fail(EXIT_USAGE, "%s", err.msg);
    bool ok = difference_rows(&some, &s, &err);
    if (ok && s.rows == 0)
        show_text("no settings, results or metrics differ\n", style);
    else if (ok)
        ok = listing_show(&s, "What differs", NULL, style, &err);
    show_text("\n", style);
    ok = ok && compare_curves(&some, style, &err) && show_end(&err);
    listing_done(&s);
    mem_free(some.row);
    return ok ? EXIT_OK : command_fail(EXIT_BROKEN, "%s", err.msg);
}
