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

enum { MAX_MARKED = 20, MAX_TERMS = 16, COL_MAX = 24, MAX_COLUMNS = 64 };

typedef struct RunsPane {
    char root[PATH_MAX];
    Runs runs;              /* sorted, filtered */
    size_t all;             /* before the filter */
    json_t *keys;           /* columns */
    json_t *order, *hidden; /* names of columns as the user wants them; NULL: no wish */
    int left;               /* first column on the screen */
    int sort;               /* column, -1: by start */
    char sort_key[128];     /* its name, "" by start */
    bool down;              /* the largest first */
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
    mem_free(r->mark[i].group);
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
    json_decref(r->order);
    json_decref(r->hidden);
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

/* The name and all settings but the seed. */
static char *group_of(const RunRow *row)
{
    const json_t *name = runs_value(row, "run.name");
    json_t *settings = json_copy(json_object_get(row->info, "settings"));
    Str t;
    str_init(&t);
    str_addf(&t, "%s ", json_is_string(name) ? json_string_value(name) : "");
    json_object_del(settings, "seed");
    if (settings)
        jval_dump(settings, 0, &t, NULL);
    json_decref(settings);
    char *copy = t.oom ? NULL : mem_strdup(t.s, NULL);
    str_done(&t);
    return copy;
}

static void read_curves(MarkedRun *m)
{
    RunRow row;
    if (!runs_read(m->dir, &row, NULL))
        return;
    mem_free(m->group);
    m->group = group_of(&row);
    runs_curves_done(m->curves);
    *m->curves = (Curves){0};
    runs_curves(&row, m->curves, NULL);
    runs_row_done(&row);
}

/* --- columns ---------------------------------------------------------------------- */

static int column_of(const json_t *list, const char *key)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        if (strcmp(json_string_value(json_array_get(list, i)), key) == 0)
            return (int)i;
    }
    return -1;
}

/* Those that the runs have, in the order and without those that the user chose. */
static void arrange_columns(RunsPane *r)
{
    json_t *out = json_array(), *v;
    size_t i;
    json_array_foreach(r->order, i, v)
    {
        const char *key = json_string_value(v);
        if (column_of(r->keys, key) >= 0 && !json_object_get(r->hidden, key))
            json_array_append(out, v);
    }
    json_array_foreach(r->keys, i, v)
    {
        const char *key = json_string_value(v);
        if (column_of(r->order, key) < 0 && !json_object_get(r->hidden, key))
            json_array_append(out, v);
    }
    if (out) {
        json_decref(r->keys);
        r->keys = out;
    }
    r->sort = r->sort_key[0] ? column_of(r->keys, r->sort_key) : -1;
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
        r->live = r->live || strcmp(r->runs.row[i].state, "running") == 0 ||
                  strcmp(r->runs.row[i].state, "starting") == 0;
    json_decref(r->keys);
    RunsOptions opt = {.columns = ""};
    r->keys = ok ? runs_columns(&r->runs, &opt) : NULL;
    arrange_columns(r);
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

void runs_keep_up(Ui *u)
{
    RunsPane *r = state_of(u);
    if (r->n_marked > 0 && r->live && u->now - r->looked >= 1 &&
        !ui_pane_visible(u, PANE_RUNS))
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
        const char *key =
            json_string_value(json_array_get(r->keys, (size_t)(r->left + k)));
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

/* Heads of the columns that fit, from r->left on: further right when the one that is
 * sorted by would not be seen. Returns how many. */
static int draw_heads(Ui *u, Area a, int *width)
{
    RunsPane *r = state_of(u);
    int all = (int)json_array_size(r->keys), n, col;
    r->left = r->left < all ? r->left : 0;
    r->left = r->sort >= 0 && r->sort < r->left ? r->sort : r->left;
    for (;; r->left++) {
        col = 2;
        for (n = 0; r->left + n < all && n < MAX_COLUMNS; n++) {
            width[n] = column_width(r, (size_t)(r->left + n));
            if (col + width[n] > a.cols)
                break;
            col += width[n] + 2;
        }
        if (r->sort < r->left + n || n == 0 || r->left >= r->sort)
            break;
    }
    col = 2;
    for (int k = 0; k < n; col += width[k++] + 2) {
        char head[80];
        bool sorted = r->sort == r->left + k;
        const char *key =
            json_string_value(json_array_get(r->keys, (size_t)(r->left + k)));
        snprintf(head, sizeof head, "%s%s", strcmp(key, "number") == 0 ? "#" : key,
                 !sorted   ? ""
                 : r->down ? "v"
                           : "^");
        paint_cut(&u->paint, a, 0, col, head, width[k],
                  sorted ? ROLE_STRONG : ROLE_DIM);
    }
    if (r->left > 0)
        paint_str(&u->paint, a, 0, 0, "<", ROLE_DIM);
    return n;
}

static void draw(Ui *u, Area a, bool focus)
{
    RunsPane *r = state_of(u);
    int width[MAX_COLUMNS], n, line = 1;
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
            str_addf(&t, "no runs in %s/: cleave run, sweep and cells with metrics make some",
                     r->root);
        paint_cut(&u->paint, a, 0, 1, t.s, a.cols - 2,
                  r->trouble[0] ? ROLE_ERROR : ROLE_DIM);
        str_done(&t);
        return;
    }
    n = draw_heads(u, a, width);
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
    text_copy(
        r->sort_key, sizeof r->sort_key,
        r->sort < 0 ? "" : json_string_value(json_array_get(r->keys, (size_t)r->sort)));
    if (r->sort < 0)
        r->left = 0;
    read_runs(u);
}

/* The columns as they stand are the order from now on. */
static bool keep_order(Ui *u)
{
    RunsPane *r = state_of(u);
    if (r->sort < 0) {
        ui_say(u, ROLE_DIM, "] chooses a column first: the one that is sorted by");
        return false;
    }
    json_decref(r->order);
    r->order = json_copy(r->keys);
    return r->order != NULL;
}

static void move_column(Ui *u, int by)
{
    RunsPane *r = state_of(u);
    if (!keep_order(u))
        return;
    size_t from = (size_t)r->sort, to = from + (size_t)by;
    if (r->sort + by < 0 || to >= json_array_size(r->order))
        return;
    json_t *v = json_incref(json_array_get(r->order, from));
    json_array_remove(r->order, from);
    json_array_insert_new(r->order, to, v);
    read_runs(u);
}

void act_runs_column_left(Ui *u, const char *arg)
{
    (void)arg;
    move_column(u, -1);
}

void act_runs_column_right(Ui *u, const char *arg)
{
    (void)arg;
    move_column(u, 1);
}

/* The column that is sorted by goes; the order of the rows stays until the next key. */
void act_runs_hide(Ui *u, const char *arg)
{
    RunsPane *r = state_of(u);
    (void)arg;
    if (!keep_order(u))
        return;
    if (!r->hidden)
        r->hidden = json_object();
    jval_set(r->hidden, r->sort_key, json_true());
    ui_say(u, ROLE_DIM, "%s is hidden; U shows all columns", r->sort_key);
    int next = r->sort + 1 < (int)json_array_size(r->keys) ? r->sort + 1 : r->sort - 1;
    text_copy(r->sort_key, sizeof r->sort_key,
              next < 0 ? "" : json_string_value(json_array_get(r->keys, (size_t)next)));
    read_runs(u);
}

void act_runs_unhide(Ui *u, const char *arg)
{
    RunsPane *r = state_of(u);
    (void)arg;
    json_decref(r->hidden);
    r->hidden = NULL;
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

static bool add_mark(Ui *u, const RunRow *row)
{
    RunsPane *r = state_of(u);
    if (r->n_marked == MAX_MARKED) {
        ui_say(u, ROLE_WARN, "at most %d runs can be marked", MAX_MARKED);
        return false;
    }
    MarkedRun *m = &r->mark[r->n_marked];
    *m = (MarkedRun){.dir = mem_strdup(row->dir, NULL),
                     .curves = mem_zalloc(sizeof(Curves), NULL)};
    if (!m->dir || !m->curves) {
        mem_free(m->dir);
        mem_free(m->curves);
        return false;
    }
    snprintf(m->label, sizeof m->label, "run %d", row->number);
    r->n_marked++;
    read_curves(m);
    return true;
}

void act_runs_mark(Ui *u, const char *arg)
{
    RunsPane *r = state_of(u);
    RunRow *row = selected(u);
    (void)arg;
    if (!row)
        return;
    int at = find_mark(r, row->dir);
    if (at >= 0)
        drop_mark(r, at);
    else if (!add_mark(u, row))
        return;
    move(u, 1);
}

/* Those that the filter leaves; when all of them are marked, none. */
void act_runs_mark_all(Ui *u, const char *arg)
{
    RunsPane *r = state_of(u);
    bool all = true, room = true;
    (void)arg;
    for (size_t i = 0; i < r->runs.n; i++)
        all = all && find_mark(r, r->runs.row[i].dir) >= 0;
    while (all && r->n_marked > 0)
        drop_mark(r, r->n_marked - 1);
    r->only_marked = r->only_marked && !all;
    for (size_t i = 0; !all && room && i < r->runs.n; i++) {
        if (find_mark(r, r->runs.row[i].dir) < 0)
            room = add_mark(u, &r->runs.row[i]);
    }
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
