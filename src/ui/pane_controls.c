/* pane_controls.c -- displays with controls (cl.control): a line for each control, the
 * figure below. A key changes the value here at once and asks the kernel for it; the
 * figure follows when its event comes. Until then further changes of the same control
 * are gathered by the kernel, so a key that is held down never runs behind. */
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "figure/clean.h"
#include "lab/jval.h"
#include "ui/act.h"
#include "ui/pictures.h"

enum { MAX_DISPLAYS = 64, LINES_MOST = 6, BIG = 10 };

typedef struct Display {
    char *name;
    Picture now;
    json_t *items; /* the controls as this viewer has them: values run ahead */
    int at;        /* the control that keys change */
    int64_t asked; /* the last change that no figure answered yet; 0: all did */
    int top;
} Display;
typedef struct Controls {
    Display display[MAX_DISPLAYS];
    int n, at;
    int64_t token; /* of the last change */
    Loaded loaded;
    Grid grid; /* drawn for: */
    int rows, cols, style;
    const json_t *drawn;
    char trouble[300];
    Err err;
} Controls;

static Controls *state_of(const Ui *u)
{
    return u->pane[PANE_CONTROLS];
}

static void *make(Ui *u, Err *err)
{
    (void)u;
    Controls *m = mem_zalloc(sizeof *m, err);
    if (m) /* another viewer's changes have other numbers */
        m->token = (int64_t)(clock_wall() * 1e3) << 20;
    return m;
}

static void drop(Display *d)
{
    mem_free(d->name);
    mem_free(d->now.dir);
    json_decref(d->now.event);
    json_decref(d->items);
}

static void destroy(void *state)
{
    Controls *m = state;
    if (!m)
        return;
    for (int i = 0; i < m->n; i++)
        drop(&m->display[i]);
    loaded_done(&m->loaded);
    grid_done(&m->grid);
    mem_free(m);
}

bool controls_any(const Ui *u)
{
    return state_of(u)->n > 0;
}

bool controls_wait(const Ui *u)
{
    const Controls *m = state_of(u);
    for (int i = 0; i < m->n; i++) {
        if (m->display[i].asked)
            return true;
    }
    return false;
}

static Display *current(const Ui *u)
{
    Controls *m = state_of(u);
    return m->n > 0 ? &m->display[m->at] : NULL;
}

/* --- events ----------------------------------------------------------------------- */

static int display_of(const Controls *m, const char *name)
{
    for (int i = 0; i < m->n; i++) {
        if (strcmp(m->display[i].name, name) == 0)
            return i;
    }
    return -1;
}

/* A place for a new display; the oldest one goes where there are too many. */
static Display *add(Controls *m, const char *name, const char *dir)
{
    char *copy = mem_strdup(name, NULL), *folder = mem_strdup(dir, NULL);
    if (!copy || !folder) {
        mem_free(copy);
        mem_free(folder);
        return NULL;
    }
    if (m->n == MAX_DISPLAYS) {
        drop(&m->display[0]);
        memmove(&m->display[0], &m->display[1], (size_t)--m->n * sizeof m->display[0]);
        m->at -= m->at > 0;
    }
    m->display[m->n] = (Display){.name = copy, .now = {.dir = folder}};
    m->at = m->n++;
    return &m->display[m->at];
}

static void take(Controls *m, const json_t *ev, const json_t *control, const char *dir)
{
    const char *name = jval_get(control, "name", "");
    int i = display_of(m, name);
    bool anew = i < 0 || jval_get_int(control, "count", 0) == 0;
    Display *d = i >= 0 ? &m->display[i] : add(m, name, dir);
    if (!d)
        return;
    if (anew)
        m->at = (int)(d - m->display);
    json_decref(d->now.event);
    d->now.event = json_incref((json_t *)ev);
    if (anew || jval_get_int(control, "token", 0) == d->asked)
        d->asked = 0;
    int n = (int)json_array_size(json_object_get(control, "items"));
    if (d->asked == 0 || !d->items) { /* else our values are newer */
        json_decref(d->items);
        d->items = json_deep_copy(json_object_get(control, "items"));
    }
    d->at = d->at < n ? d->at : 0;
    m->trouble[0] = '\0';
}

static void event(Ui *u, const json_t *ev)
{
    Controls *m = state_of(u);
    const char *kind = jval_get(ev, "ev", "");
    const json_t *control = json_object_get(ev, "control");
    if (strcmp(kind, "figure") == 0 && json_is_object(control)) {
        take(m, ev, control, jreader_dir(u->reader));
    } else if (strcmp(kind, "control") == 0) {
        int i = display_of(m, jval_get(ev, "display", ""));
        text_copy(m->trouble, sizeof m->trouble, jval_get(ev, "error", ""));
        if (i < 0)
            return;
        m->display[i].asked = 0; /* the values are those of the last figure again */
        json_decref(m->display[i].items);
        m->display[i].items = json_deep_copy(json_object_get(
            json_object_get(m->display[i].now.event, "control"), "items"));
    }
}

/* --- drawing ---------------------------------------------------------------------- */

static void value_text(const json_t *item, Str *t)
{
    const json_t *v = json_object_get(item, "value");
    if (json_is_string(v)) {
        str_add(t, json_string_value(v));
    } else {
        char number[32];
        figure_number(jval_to_number(v, (double)NAN), number);
        str_add(t, number);
    }
}

/* "turn     <  0.35  >  step 0.1, 0 to 2", and what it is. */
static void draw_item(Ui *u, Area a, int row, const json_t *item, bool focus, int name)
{
    Str t;
    str_init(&t);
    const json_t *choices = json_object_get(item, "choices");
    double lo = jval_to_number(json_object_get(item, "lo"), -HUGE_VAL);
    double hi = jval_to_number(json_object_get(item, "hi"), HUGE_VAL);
    int col = paint_cut(&u->paint, a, row, 1, jval_get(item, "name", ""), name,
                        focus ? ROLE_STRONG : ROLE_TEXT);
    paint_str(&u->paint, a, row, 0, focus ? ">" : " ", ROLE_STRONG);
    (void)col;
    str_add(&t, focus ? "< " : "  ");
    value_text(item, &t);
    str_add(&t, focus ? " >" : "  ");
    int used = paint_str(&u->paint, a, row, name + 2, t.s ? t.s : "",
                         focus ? ROLE_SELECT : ROLE_TEXT);
    str_clear(&t);
    if (choices) {
        str_addf(&t, "one of %zu", json_array_size(choices));
    } else {
        char step[32], from[32], to[32];
        figure_number(jval_to_number(json_object_get(item, "step"), 0.1), step);
        figure_number(lo, from);
        figure_number(hi, to);
        str_addf(&t, "step %s", step);
        if (isfinite(lo) || isfinite(hi))
            str_addf(&t, ", %s to %s", from, to);
    }
    const char *doc = jval_get(item, "doc", "");
    if (*doc)
        str_addf(&t, "  %s", doc);
    int at = name + 2 + used + 2;
    if (at + 6 < a.cols)
        paint_cut(&u->paint, a, row, at, t.s ? t.s : "", a.cols - at, ROLE_DIM);
    str_done(&t);
}

/* The controls, the selected one among them; returns the rows. */
static int draw_items(Ui *u, const Display *d, Area a)
{
    int n = (int)json_array_size(d->items), name = 4;
    int rows = n < LINES_MOST ? n : LINES_MOST;
    rows = rows < a.rows / 3 ? rows : a.rows / 3 > 0 ? a.rows / 3 : 1;
    int first = d->at >= rows ? d->at - rows + 1 : 0;
    for (int i = 0; i < n; i++) {
        int w = clean_width(jval_get(json_array_get(d->items, (size_t)i), "name", ""));
        name = w > name ? w : name;
    }
    name = name < a.cols / 3 ? name : a.cols / 3;
    for (int i = 0; i < rows && first + i < n; i++)
        draw_item(u, a, i, json_array_get(d->items, (size_t)(first + i)),
                  first + i == d->at, name);
    return rows;
}

static bool redraw(Controls *m, const Ui *u, const Display *d, Area a)
{
    DrawStyle style = u->draw;
    style.width = a.cols > 20 ? a.cols : 20;
    style.rows = a.rows > 8 ? a.rows - 4 : 4;
    const Figure *f = loaded_get(&m->loaded, &d->now, &m->err);
    if (!f)
        return false;
    grid_done(&m->grid);
    m->rows = a.rows;
    m->cols = a.cols;
    m->style = u->style_changes;
    m->drawn = d->now.event;
    if (f->kind != FIG_COMPONENTS)
        return figure_draw(f, &style, &m->grid, &m->err);
    return figure_draw_component(f, 0, a.rows, &style, &m->grid, &m->err);
}

static void draw(Ui *u, Area a, bool focus)
{
    Controls *m = state_of(u);
    Display *d = current(u);
    (void)focus;
    if (!d) {
        paint_str(&u->paint, a, 0, 1,
                  "no controls yet: cl.control(name, controls, function) makes some",
                  ROLE_DIM);
        return;
    }
    int rows = draw_items(u, d, a);
    const char *note = m->trouble[0]                     ? m->trouble
                       : d->asked > 0 && u->doc->running ? "waits for the running cell"
                                                         : NULL;
    Area below = {a.row + rows, a.col, a.rows - rows, a.cols};
    if (note && below.rows > 1) {
        paint_cut(&u->paint, below, 0, 1, note, a.cols - 1,
                  m->trouble[0] ? ROLE_ERROR : ROLE_WARN);
        below.row++;
        below.rows--;
    }
    if (below.rows < 1)
        return;
    err_clear(&m->err);
    if ((m->drawn != d->now.event || m->rows != below.rows || m->cols != below.cols ||
         m->style != u->style_changes) &&
        !redraw(m, u, d, below)) {
        m->drawn = NULL;
        paint_cut(&u->paint, below, 0, 1, m->err.msg, a.cols - 2, ROLE_ERROR);
        return;
    }
    int most = m->grid.rows > below.rows ? m->grid.rows - below.rows : 0;
    d->top = d->top > most ? most : d->top;
    paint_grid(&u->paint, below, 0, 0, &m->grid, d->top, below.rows);
    if (most > d->top)
        paint_right(&u->paint, below, below.rows - 1, a.cols, " more below ", ROLE_DIM);
}

static void title(Ui *u, Str *out)
{
    const Controls *m = state_of(u);
    const Display *d = current(u);
    if (!d)
        return;
    str_add(out, d->name);
    if (m->n > 1)
        str_addf(out, "  display %d/%d", m->at + 1, m->n);
}

/* --- keys ------------------------------------------------------------------------- */

static void answered(Ui *u, const json_t *ok, int64_t tag)
{
    (void)tag;
    if (json_is_true(json_object_get(ok, "waits")))
        u->dirty = true;
}

static void ask(Ui *u, Display *d, const char *control, json_t *taken_value)
{
    d->asked = ++state_of(u)->token;
    json_t *q = json_pack("{s:s,s:s,s:I}", "req", "control", "display", d->name,
                          "token", (json_int_t)d->asked);
    if (control && q)
        jval_set(q, "control", jval_str(control));
    if (control && q)
        jval_set(q, "value", taken_value);
    ui_request(u, q, answered, 0);
}

static int choice_at(const json_t *choices, const char *value)
{
    for (size_t i = 0; i < json_array_size(choices); i++) {
        if (strcmp(json_string_value(json_array_get(choices, i)), value) == 0)
            return (int)i;
    }
    return 0;
}

/* By steps; INT_MAX and -INT_MAX: to the end there is. */
static void turn(Ui *u, int steps)
{
    Display *d = current(u);
    json_t *item = d ? json_array_get(d->items, (size_t)d->at) : NULL, *value = NULL;
    if (!item)
        return;
    const json_t *choices = json_object_get(item, "choices");
    bool end = steps == INT_MAX || steps == -INT_MAX;
    if (choices) {
        int n = (int)json_array_size(choices);
        int at = choice_at(choices, jval_get(item, "value", ""));
        int64_t to = end ? (steps < 0 ? 0 : n - 1) : (int64_t)at + steps;
        to = to < 0 ? 0 : to >= n ? n - 1 : to;
        if (to != at)
            value = json_incref(json_array_get(choices, (size_t)to));
    } else {
        double lo = jval_to_number(json_object_get(item, "lo"), -HUGE_VAL);
        double hi = jval_to_number(json_object_get(item, "hi"), HUGE_VAL);
        double step = jval_to_number(json_object_get(item, "step"), 0.1);
        double v = jval_to_number(json_object_get(item, "value"), 0);
        double to = end ? (steps < 0 ? lo : hi) : v + steps * step;
        to = fmin(fmax(to, lo), hi);
        /* sums of steps come back to zero exactly */
        if (!end && fabs(to) < step * 1e-6)
            to = 0;
        if (isfinite(to) && to != v)
            value = json_real(to);
    }
    if (!value) {
        ui_say(u, ROLE_DIM, "this is as far as it goes");
        return;
    }
    jval_set(item, "value", json_incref(value));
    ask(u, d, jval_get(item, "name", ""), value);
}

static void pick(Ui *u, int by)
{
    Display *d = current(u);
    int n = d ? (int)json_array_size(d->items) : 0;
    if (n > 0 && d->at + by >= 0 && d->at + by < n)
        d->at += by;
}

static void step_display(Ui *u, int by)
{
    Controls *m = state_of(u);
    if (m->at + by >= 0 && m->at + by < m->n)
        m->at += by;
    else
        ui_say(u, ROLE_DIM, by > 0 ? "this is the last one" : "this is the first one");
    m->drawn = NULL;
}

static void scroll(Ui *u, int lines)
{
    Display *d = current(u);
    if (!d)
        return;
    int64_t top = (int64_t)d->top + lines;
    d->top = top < 0 ? 0 : top > INT_MAX ? INT_MAX : (int)top;
}

#define KEY(name, call)                                                                \
    void act_control_##name(Ui *u, const char *arg)                                    \
    {                                                                                  \
        (void)arg;                                                                     \
        call;                                                                          \
    }
KEY(less, turn(u, -1))
KEY(more, turn(u, 1))
KEY(much_less, turn(u, -BIG))
KEY(much_more, turn(u, BIG))
KEY(least, turn(u, -INT_MAX))
KEY(most, turn(u, INT_MAX))
KEY(up, pick(u, -1))
KEY(down, pick(u, 1))
KEY(next, step_display(u, 1))
KEY(previous, step_display(u, -1))
#undef KEY

void act_control_reset(Ui *u, const char *arg)
{
    (void)arg;
    if (current(u))
        ask(u, current(u), NULL, NULL);
}

void act_control_export(Ui *u, const char *arg)
{
    Controls *m = state_of(u);
    Display *d = current(u);
    char path[PATH_MAX];
    Err err = {0};
    const Figure *f = d ? loaded_get(&m->loaded, &d->now, &err) : NULL;
    if (!d) {
        ui_say(u, ROLE_DIM, "there is no display");
        return;
    }
    picture_path(arg, d->name, path, sizeof path);
    if (f && figure_save(f, path, &err))
        ui_wrote(u, path);
    else
        ui_say(u, ROLE_ERROR, "%s", err.msg);
}

/* The display of the selected cell, from the notebook. */
void act_pane_controls(Ui *u, const char *arg)
{
    Controls *m = state_of(u);
    (void)arg;
    for (int i = 0; u->focus == PANE_NOTEBOOK && i < m->n; i++) {
        if (jval_get_int(m->display[i].now.event, "cell", 0) == u->sel)
            m->at = i;
    }
    ui_focus(u, PANE_CONTROLS);
}

/* "name value" lines of the controls. */
static bool copy(Ui *u, Str *out)
{
    const Display *d = current(u);
    for (size_t i = 0; d && i < json_array_size(d->items); i++) {
        const json_t *item = json_array_get(d->items, i);
        str_addf(out, "%s ", jval_get(item, "name", ""));
        value_text(item, out);
        str_addc(out, '\n');
    }
    return d != NULL;
}

const PaneRow pane_controls = {
    .name = "controls",
    .tab = "dial",
    .make = make,
    .free = destroy,
    .event = event,
    .draw = draw,
    .title = title,
    .scroll = scroll,
    .copy = copy,
};
