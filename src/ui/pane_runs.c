/* pane_runs.c -- the runs of the folder as a table to sort, filter and mark. It is read
 * when the pane is shown and, as long as a run in it is live, once a second; new runs
 * are announced by the file system. Marked runs are compared and plotted. */
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "figure/clean.h"
#include "lab/jval.h"
#include "ui/act.h"
#include "ui/find.h"
#include "ui/runs.h"
#include "ui/science.h"

enum { MAX_MARKED = 7, MAX_TERMS = 16, COL_MAX = 24 };

typedef struct RunsPane {
    char root[PATH_MAX];
    Runs runs;    /* sorted, filtered */
    size_t all;   /* before the filter */
    json_t *keys; /* columns */
    int sort;     /* column, -1: by start */
    bool down;    /* the largest first */
    int sel, top, rows;
    char *filter;
    MarkedRun mark[MAX_MARKED];
    int n_marked;
    bool only_marked;
    bool read; /* once at least */
    bool live;
    int notify;    /* -1: not watched */
    double looked; /* when it was read */
    char trouble[200];
} RunsPane;

static RunsPane *state_of(const Ui *u)
{
    return u->pane[PANE_RUNS];
}

static void *make(Ui *u, Err *err)
{
    (void)u;
    RunsPane *r = mem_zalloc(sizeof *r, err);
    if (!r)
        return NULL;
    text_copy(r->root, sizeof r->root, runs_root(""));
    r->sort = r->notify = -1;
    return r;
}

static void drop_mark(RunsPane *r, int i)
{
    runs_curves_done(r->mark[i].curves);
    mem_free(r->mark[i].curves);
    mem_free(r->mark[i].dir);
    memmove(&r->mark[i], &r->mark[i + 1],
            (size_t)(--r->n_marked - i) * sizeof *r->mark);
}

static void destroy(void *state)
{
    RunsPane *r = state;
    if (!r)
        return;
    while (r->n_marked > 0)
        drop_mark(r, r->n_marked - 1);
    runs_close(&r->runs);
    json_decref(r->keys);
    mem_free(r->filter);
    if (r->notify >= 0)
        close(r->notify);
    mem_free(r);
}

int runs_n_marked(const Ui *u)
{
    return state_of(u)->n_marked;
}

const MarkedRun *runs_marked(const Ui *u, int i)
{
    return &state_of(u)->mark[i];
}

bool runs_any(const Ui *u)
{
    RunsPane *r = state_of(u);
    return r->runs.n > 0 || plots_any(u);
}

bool runs_live(const Ui *u)
{
    return state_of(u)->live &&
           (ui_pane_visible(u, PANE_RUNS) || ui_pane_visible(u, PANE_PLOTS));
}

static int find_mark(const RunsPane *r, const char *dir)
{
    for (int i = 0; i < r->n_marked; i++) {
        if (strcmp(r->mark[i].dir, dir) == 0)
            return i;
    }
    return -1;
}

/* --- reading ---------------------------------------------------------------------- */

/* Terms are separated by blanks. */
static bool apply_filter(RunsPane *r, Err *err)
{
    char *copy = mem_strdup(r->filter, err);
    const char *term[MAX_TERMS];
    size_t n = 0;
    if (!copy)
        return false;
    char *save = NULL;
    for (char *t = strtok_r(copy, " ", &save); t && n < MAX_TERMS;
         t = strtok_r(NULL, " ", &save))
        term[n++] = t;
    bool ok = runs_filter(&r->runs, term, n, err);
    mem_free(copy);
    return ok;
}

static void read_curves(MarkedRun *m)
{
    RunRow row;
    if (!runs_read(m->dir, &row, NULL))
        return;
    runs_curves_done(m->curves);
    *m->curves = (Curves){0};
    runs_curves(&row, m->curves, NULL);
    runs_row_done(&row);
}

static void read_runs(Ui *u)
{
    RunsPane *r = state_of(u);
    Err err = {0};
    char dir[PATH_MAX] = "";
    if (r->sel < (int)r->runs.n)
        text_copy(dir, sizeof dir, r->runs.row[r->sel].dir);
    runs_close(&r->runs);
    r->runs = (Runs){0};
    r->trouble[0] = '\0';
    r->looked = u->now;
    r->read = true;
    if (!file_is_dir(r->root))
        return;
    bool ok = runs_open(r->root, &r->runs, &err);
    r->all = r->runs.n;
    r->live = false;
    for (size_t i = 0; ok && i < r->runs.n; i++)
        r->live = r->live || strcmp(r->runs.row[i].state, "running") == 0;
    json_decref(r->keys);
    RunsOptions opt = {.columns = ""};
    r->keys = ok ? runs_columns(&r->runs, &opt) : NULL;
    if (ok && r->filter)
        ok = apply_filter(r, &err);
    if (ok && r->sort >= 0 && r->sort < (int)json_array_size(r->keys)) {
        char key[300];
        snprintf(key, sizeof key, "%s%s", r->down ? "-" : "",
                 json_string_value(json_array_get(r->keys, (size_t)r->sort)));
        ok = runs_sort(&r->runs, key, &err);
    } else if (ok) {
        ok = runs_sort(&r->runs, "-number", &err);
    }
    if (!ok)
        text_copy(r->trouble, sizeof r->trouble, err.msg);
    for (int i = 0; i < r->n_marked; i++)
        read_curves(&r->mark[i]);
    for (size_t i = 0; i < r->runs.n; i++) { /* the selection stays on its run */
        if (strcmp(r->runs.row[i].dir, dir) == 0)
            r->sel = (int)i;
    }
    u->dirty = true;
}

int runs_watch(Ui *u)
{
    RunsPane *r = state_of(u);
    if (!ui_pane_visible(u, PANE_RUNS))
        return -1;
    if (r->notify < 0 && file_is_dir(r->root)) {
        r->notify = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
        if (r->notify >= 0)
            inotify_add_watch(r->notify, r->root, IN_CREATE | IN_MOVED_TO | IN_DELETE);
    }
    return r->notify;
}

void runs_announced(Ui *u)
{
    _Alignas(struct inotify_event) char buf[4096];
    bool news = false;
    ssize_t n;
    while ((n = read(state_of(u)->notify, buf, sizeof buf)) > 0) {
        for (ssize_t at = 0; at < n;) {
            const struct inotify_event *e = (const void *)(buf + at);
            news = news || (e->mask & IN_ISDIR); /* not our own index */
            at += (ssize_t)(sizeof *e + e->len);
        }
    }
    if (news)
        read_runs(u);
}

static void shown(Ui *u)
{
    RunsPane *r = state_of(u);
    if (!r->read || r->live || u->now - r->looked > 1)
        read_runs(u);
}

static void event(Ui *u, const json_t *ev)
{
    const char *kind = jval_get(ev, "ev", "");
    if (strcmp(kind, "done") == 0 && state_of(u)->read && ui_pane_visible(u, PANE_RUNS))
        read_runs(u);
}

/* --- drawing ---------------------------------------------------------------------- */

static bool is_shown(const RunsPane *r, size_t i)
{
    return !r->only_marked || find_mark(r, r->runs.row[i].dir) >= 0;
}

static int column_width(const RunsPane *r, size_t k)
{
    const char *key = json_string_value(json_array_get(r->keys, k));
    int w = clean_width(strcmp(key, "number") == 0 ? "#" : key) + 1;
    Str t;
    str_init(&t);
    for (size_t i = 0; i < r->runs.n; i++) {
        runs_cell(&r->runs.row[i], key, true, &t);
        int one = t.s ? clean_width(t.s) : 0;
        w = one > w ? one : w;
    }
    str_done(&t);
    return w < COL_MAX ? w : COL_MAX;
}

static Role state_role(const char *state)
{
    if (strcmp(state, "running") == 0)
        return ROLE_GOOD;
    if (strcmp(state, "crashed") == 0 || strcmp(state, "failed") == 0)
        return ROLE_ERROR;
    return ROLE_TEXT;
}

static void draw_row(Ui *u, Area a, int line, size_t i, const int *width, int n)
{
    RunsPane *r = state_of(u);
    const RunRow *row = &r->runs.row[i];
    int mark = find_mark(r, row->dir), col = 2;
    Str t;
    str_init(&t);
    if (mark >= 0)
        paint_str(&u->paint, a, line, 0, "*", ROLE_SELECT);
    for (int k = 0; k < n; k++) {
        const char *key = json_string_value(json_array_get(r->keys, (size_t)k));
        const json_t *v = runs_value(row, key);
        runs_cell(row, key, true, &t);
        Role role = strcmp(key, "state") == 0 ? state_role(row->state) : ROLE_TEXT;
        if (t.s && json_is_number(v))
            paint_right(&u->paint, a, line, col + width[k], t.s, role);
        else if (t.s)
            paint_cut(&u->paint, a, line, col, t.s, width[k], role);
        col += width[k] + 2;
    }
    str_done(&t);
}

static void draw(Ui *u, Area a, bool focus)
{
    RunsPane *r = state_of(u);
    int width[64], n = 0, col = 2, line = 1;
    if (!r->read)
        read_runs(u);
    r->rows = a.rows - 1;
    if (r->runs.n == 0) {
        Str t;
        str_init(&t);
        if (r->trouble[0])
            str_add(&t, r->trouble);
        else if (r->filter && r->all > 0)
            str_add(&t, "no run fits the filter");
        else
            str_addf(&t, "no runs in %s/: cleave run and cleave sweep make them",
                     r->root);
        paint_cut(&u->paint, a, 0, 1, t.s, a.cols - 2,
                  r->trouble[0] ? ROLE_ERROR : ROLE_DIM);
        str_done(&t);
        return;
    }
    for (size_t k = 0; k < json_array_size(r->keys) && n < 64; k++) {
        width[n] = column_width(r, k);
        if (col + width[n] > a.cols)
            break;
        const char *key = json_string_value(json_array_get(r->keys, k));
        char head[80];
        snprintf(head, sizeof head, "%s%s", strcmp(key, "number") == 0 ? "#" : key,
                 r->sort == (int)k ? r->down ? "v" : "^" : "");
        paint_cut(&u->paint, a, 0, col, head, width[n],
                  r->sort == (int)k ? ROLE_STRONG : ROLE_DIM);
        col += width[n++] + 2;
    }
    r->sel = r->sel >= (int)r->runs.n ? (int)r->runs.n - 1 : r->sel;
    if (r->sel < r->top)
        r->top = r->sel;
    if (r->sel >= r->top + r->rows)
        r->top = r->sel - r->rows + 1;
    for (size_t i = (size_t)r->top; i < r->runs.n && line < a.rows; i++) {
        if (!is_shown(r, i))
            continue;
        draw_row(u, a, line, i, width, n);
        if (focus && (int)i == r->sel)
            paint_row(&u->paint, a, line, ROLE_CURSOR_LINE);
        line++;
    }
}

static void title(Ui *u, Str *out)
{
    const RunsPane *r = state_of(u);
    str_addf(out, "%zu", r->runs.n);
    if (r->runs.n < r->all)
        str_addf(out, " of %zu", r->all);
    if (r->n_marked)
        str_addf(out, "  %d marked%s", r->n_marked,
                 r->only_marked ? ", only these" : "");
    if (r->filter)
        str_addf(out, "  filter: %s", r->filter);
}

/* --- keys ------------------------------------------------------------------------- */

static void move(Ui *u, int steps)
{
    RunsPane *r = state_of(u);
    int n = (int)r->runs.n, way = steps < 0 ? -1 : 1;
    int64_t left = steps < 0 ? -(int64_t)steps : steps;
    for (int i = r->sel + way; left > 0 && i >= 0 && i < n; i += way) {
        if (is_shown(r, (size_t)i)) {
            r->sel = i;
            left--;
        }
    }
}

static RunRow *selected(Ui *u)
{
    RunsPane *r = state_of(u);
    if (r->sel < (int)r->runs.n)
        return &r->runs.row[r->sel];
    ui_say(u, ROLE_DIM, "there is no run");
    return NULL;
}

static void sort_by(Ui *u, int step)
{
    RunsPane *r = state_of(u);
    int n = (int)json_array_size(r->keys);
    if (n == 0)
        return;
    r->sort = (r->sort + 1 + step + n + 1) % (n + 1) - 1;
    read_runs(u);
}

void act_runs_sort_next(Ui *u, const char *arg)
{
    (void)arg;
    sort_by(u, 1);
}
void act_runs_sort_previous(Ui *u, const char *arg)
{
    (void)arg;
    sort_by(u, -1);
}

void act_runs_reverse(Ui *u, const char *arg)
{
    (void)arg;
    state_of(u)->down = !state_of(u)->down;
    read_runs(u);
}

void act_runs_refresh(Ui *u, const char *arg)
{
    RunsPane *r = state_of(u);
    if (*arg) { /* another folder */
        text_copy(r->root, sizeof r->root, arg);
        if (r->notify >= 0)
            close(r->notify);
        r->notify = -1;
        r->sel = r->top = 0;
    }
    read_runs(u);
    ui_focus(u, PANE_RUNS);
}

void act_runs_mark(Ui *u, const char *arg)
{
    RunsPane *r = state_of(u);
    RunRow *row = selected(u);
    (void)arg;
    if (!row)
        return;
    int at = find_mark(r, row->dir);
    if (at >= 0) {
        drop_mark(r, at);
    } else if (r->n_marked == MAX_MARKED) {
        ui_say(u, ROLE_WARN, "at most %d runs can be marked", MAX_MARKED);
        return;
    } else {
        MarkedRun *m = &r->mark[r->n_marked];
        *m = (MarkedRun){.dir = mem_strdup(row->dir, NULL),
                         .curves = mem_zalloc(sizeof(Curves), NULL)};
        if (!m->dir || !m->curves) {
            mem_free(m->dir);
            mem_free(m->curves);
            return;
        }
        snprintf(m->label, sizeof m->label, "run %d", row->number);
        r->n_marked++;
        read_curves(m);
    }
    move(u, 1);
}

void act_runs_only_marked(Ui *u, const char *arg)
{
    RunsPane *r = state_of(u);
    (void)arg;
    r->only_marked = r->n_marked > 0 && !r->only_marked;
    r->top = 0;
}

static void add_members(Str *t, const json_t *info, const char *section)
{
    const char *key;
    json_t *v;
    json_t *o = json_object_get(info, section);
    if (json_object_size(o) == 0)
        return;
    str_addf(t, "\n# %s\n", section);
    json_object_foreach(o, key, v)
    {
        str_addf(t, "  %-28s ", key);
        runs_text(v, true, t);
        str_addc(t, '\n');
    }
}

/* What is known of a run; its pictures go to the images pane. */
void act_runs_open(Ui *u, const char *arg)
{
    static const char *const sections[] = {"result", "metric", "settings", "run"};
    RunRow *row = selected(u);
    Str t;
    (void)arg;
    if (!row)
        return;
    str_init(&t);
    str_addf(&t, "run %d: %s (%s)\n", row->number, row->dir, row->state);
    int pictures = images_of_run(u, row->dir);
    if (pictures > 0)
        str_addf(&t, "%d figures are in the images pane now (4)\n", pictures);
    for (size_t i = 0; i < ARRAY_LEN(sections); i++)
        add_members(&t, row->info, sections[i]);
    if (!t.oom)
        ui_popup(u, row->id, t.s);
    str_done(&t);
}

/* Of every two runs different. */
static bool says_nothing(const char *key)
{
    static const char *const keys[] = {"run.id", "run.start", "run.end", "run.number",
                                       "run.name"};
    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        if (strcmp(keys[i], key) == 0)
            return true;
    }
    return false;
}

/* A line for every key in which the marked runs differ. */
static void compare_rows(const Runs *m, Str *t)
{
    json_t *keys = runs_keys(m, NULL), *v;
    size_t i;
    json_array_foreach(keys, i, v)
    {
        const char *key = json_string_value(v);
        bool differs = false;
        for (size_t k = 1; k < m->n; k++) {
            const json_t *a = runs_value(&m->row[0], key),
                         *b = runs_value(&m->row[k], key);
            differs = differs || (a && b ? !json_equal(a, b) : a != b);
        }
        if (!differs || says_nothing(key))
            continue;
        str_addf(t, "%-28s", key);
        for (size_t k = 0; k < m->n; k++) {
            Str one;
            str_init(&one);
            runs_cell(&m->row[k], key, true, &one);
            str_addf(t, " %12.12s", one.s && one.s[0] ? one.s : "-");
            str_done(&one);
        }
        str_addc(t, '\n');
    }
    json_decref(keys);
}

void act_runs_compare(Ui *u, const char *arg)
{
    RunsPane *r = state_of(u);
    RunRow rows[MAX_MARKED];
    Runs m = {.root = r->root, .row = rows};
    Str t;
    (void)arg;
    if (r->n_marked < 2) {
        ui_say(u, ROLE_DIM, "mark two runs or more with Space first");
        return;
    }
    for (int i = 0; i < r->n_marked; i++)
        m.n += runs_read(r->mark[i].dir, &rows[m.n], NULL);
    str_init(&t);
    str_addf(&t, "%-28s", "only what differs");
    for (int i = 0; i < r->n_marked; i++)
        str_addf(&t, " %12s", r->mark[i].label);
    str_addc(&t, '\n');
    compare_rows(&m, &t);
    if (!t.oom)
        ui_popup(u, "marked runs", t.s);
    str_done(&t);
    for (size_t i = 0; i < m.n; i++)
        runs_row_done(&rows[i]);
}

static bool find(Ui *u, const char *text, int step)
{
    RunsPane *r = state_of(u);
    int n = (int)r->runs.n;
    for (int k = 1; k <= n; k++) {
        int i = ((r->sel + k * step) % n + n) % n;
        const char *dir = r->runs.row[i].id;
        if (is_shown(r, (size_t)i) && text_find(dir, strlen(dir), text) < strlen(dir)) {
            r->sel = i;
            return true;
        }
    }
    return false;
}

/* key=value, key>value ... as cleave runs takes them; a word alone looks at names. */
static void filter(Ui *u, const char *text)
{
    RunsPane *r = state_of(u);
    char term[300];
    mem_free(r->filter);
    snprintf(term, sizeof term, strpbrk(text, "=<>~ ") ? "%s" : "name~%s", text);
    r->filter = *text ? mem_strdup(term, NULL) : NULL;
    r->sel = r->top = 0;
    read_runs(u);
}

static bool copy(Ui *u, Str *out)
{
    RunRow *row = selected(u);
    if (row)
        str_add(out, row->dir);
    return row != NULL;
}

const PaneRow pane_runs = {
    .name = "runs",
    .tab = "runs",
    .make = make,
    .free = destroy,
    .event = event,
    .draw = draw,
    .title = title,
    .select = move,
    .find = find,
    .filter = filter,
    .copy = copy,
    .shown = shown,
};
