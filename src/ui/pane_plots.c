/* pane_plots.c -- metric curves of this session and of the marked runs in one plot,
 * one metric at a time. A series keeps at most POINTS values: when it is full every
 * other one is dropped and the rest is taken at half the rate, so any length of
 * training costs the same. A step that goes back begins a new curve. */
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "lab/jval.h"
#include "ui/act.h"
#include "ui/find.h"
#include "ui/science.h"

enum { POINTS = 4096, MAX_TRACKS = 64, MAX_NAMES = 64, PARTS = 4 };

typedef struct Track {
    char name[64];
    int part; /* 0 is the newest of its name */
    double *step, *value;
    int n;
    int64_t seen;  /* points that came */
    int64_t every; /* one of so many is kept */
    double last_step, last_value;
} Track;
typedef struct Plots {
    Track track[MAX_TRACKS];
    int n;
    int at; /* metric shown, among the names */
    char name[64];
    bool log, band; /* band: marked runs that differ by their seed as one */
    int smooth;     /* index of smoothing[] */
    bool cursor_on;
    double cursor;   /* 0..1 of the range shown */
    double from, to; /* share of all steps shown */
    Figure *figure;  /* last drawn, for export */
    char words[200]; /* what is under the cursor */
} Plots;

static const double smoothing[] = {0, 0.6, 0.9, 0.97};

static Plots *state_of(const Ui *u)
{
    return u->pane[PANE_PLOTS];
}

static void *make(Ui *u, Err *err)
{
    (void)u;
    Plots *p = mem_zalloc(sizeof *p, err);
    if (p)
        p->to = 1;
    return p;
}

static void destroy(void *state)
{
    Plots *p = state;
    if (!p)
        return;
    for (int i = 0; i < p->n; i++) {
        mem_free(p->track[i].step);
        mem_free(p->track[i].value);
    }
    figure_free(p->figure);
    mem_free(p);
}

bool plots_any(const Ui *u)
{
    return state_of(u)->n > 0;
}

/* --- points ----------------------------------------------------------------------- */

static Track *newest(Plots *p, const char *name)
{
    for (int i = 0; i < p->n; i++) {
        if (p->track[i].part == 0 && strcmp(p->track[i].name, name) == 0)
            return &p->track[i];
    }
    return NULL;
}

/* Room for a track: the oldest part of the name, else a new slot. */
static Track *new_track(Plots *p, const char *name)
{
    Track *t = NULL;
    for (int i = 0; i < p->n; i++) {
        if (strcmp(p->track[i].name, name) == 0 && ++p->track[i].part == PARTS)
            t = &p->track[i];
    }
    if (!t && p->n == MAX_TRACKS)
        return NULL;
    if (!t) {
        t = &p->track[p->n];
        *t = (Track){.step = mem_array(POINTS, sizeof(double), NULL),
                     .value = mem_array(POINTS, sizeof(double), NULL)};
        if (!t->step || !t->value) {
            mem_free(t->step);
            mem_free(t->value);
            return NULL;
        }
        p->n++;
        text_copy(t->name, sizeof t->name, name);
    }
    t->part = t->n = 0;
    t->seen = 0;
    t->every = 1;
    return t;
}

static void thin_out(Track *t)
{
    for (int i = 0; 2 * i < t->n; i++) {
        t->step[i] = t->step[2 * i];
        t->value[i] = t->value[2 * i];
    }
    t->n = (t->n + 1) / 2;
    t->every *= 2;
}

static void add_point(Plots *p, const char *name, double step, double value)
{
    Track *t = newest(p, name);
    if (!t || (t->n > 0 && step <= t->last_step))
        t = new_track(p, name);
    if (!t)
        return;
    t->last_step = step;
    t->last_value = value;
    if (t->seen++ % t->every)
        return;
    if (t->n == POINTS)
        thin_out(t);
    t->step[t->n] = step;
    t->value[t->n++] = value;
}

static void event(Ui *u, const json_t *ev)
{
    Plots *p = state_of(u);
    const char *name;
    json_t *value;
    if (strcmp(jval_get(ev, "ev", ""), "metric") != 0)
        return;
    double step = (double)jval_get_int(ev, "step", 0);
    json_object_foreach(json_object_get(ev, "m"), name, value)
        add_point(p, name, step, jval_to_number(value, (double)NAN));
}

/* --- which metric ----------------------------------------------------------------- */

typedef struct Names {
    const char *name[MAX_NAMES];
    int n;
} Names;

static void add_name(Names *t, const char *name)
{
    for (int i = 0; i < t->n; i++) {
        if (strcmp(t->name[i], name) == 0)
            return;
    }
    if (t->n < MAX_NAMES)
        t->name[t->n++] = name;
}

static void all_names(const Ui *u, Names *t)
{
    const Plots *p = state_of(u);
    t->n = 0;
    for (int i = 0; i < p->n; i++)
        add_name(t, p->track[i].name);
    for (int i = 0; i < runs_n_marked(u); i++) {
        const Curves *c = runs_marked(u, i)->curves;
        for (size_t k = 0; k < c->n; k++)
            add_name(t, c->curve[k].name);
    }
}

static const char *current(const Ui *u, Names *t)
{
    Plots *p = state_of(u);
    all_names(u, t);
    if (t->n == 0)
        return NULL;
    p->at = ((p->at % t->n) + t->n) % t->n;
    return t->name[p->at];
}

/* --- drawing ---------------------------------------------------------------------- */

/* Exponential smoothing, weighted so that the first values are not pulled to zero. */
static void smooth(const double *in, double *out, int n, double keep)
{
    double sum = 0, weight = 0;
    for (int i = 0; i < n; i++) {
        if (isnan(in[i])) {
            out[i] = in[i];
            continue;
        }
        sum = keep * sum + (1 - keep) * in[i];
        weight = keep * weight + (1 - keep);
        out[i] = sum / weight;
    }
}

typedef struct Lines {
    Figure *f;
    const Plots *p;
    double lo, hi; /* all steps */
    double at;     /* step under the cursor */
    Str words;
} Lines;

static void range(Lines *l, const double *step, size_t n)
{
    if (n == 0)
        return;
    l->lo = fmin(l->lo, step[0]);
    l->hi = fmax(l->hi, step[n - 1]);
}

/* lo and hi: a band about the values, or NULL. */
static void add_line(Lines *l, const char *name, const double *step,
                     const double *value, const double *lo, const double *hi, size_t n,
                     Err *err)
{
    double from = l->lo + l->p->from * (l->hi - l->lo);
    double to = l->lo + l->p->to * (l->hi - l->lo);
    size_t a = 0, b = n;
    while (a < n && step[a] < from)
        a++;
    while (b > a && step[b - 1] > to)
        b--;
    a -= a > 0; /* the line goes on to the edge */
    b += b < n;
    double *y = mem_array(n > 0 ? 3 * n : 1, sizeof *y, err);
    if (!y || b <= a) {
        mem_free(y);
        return;
    }
    double keep = smoothing[l->p->smooth], *low = y + n, *high = y + 2 * n;
    smooth(value, y, (int)n, keep);
    if (lo) {
        smooth(lo, low, (int)n, keep);
        smooth(hi, high, (int)n, keep);
    }
    figure_add_series(l->f, name, MARK_LINE, (int)(b - a), step + a, y + a,
                      lo ? low + a : NULL, lo ? high + a : NULL, err);
    if (l->p->cursor_on) {
        size_t k = a;
        while (k + 1 < b && fabs(step[k + 1] - l->at) <= fabs(step[k] - l->at))
            k++;
        char number[32];
        figure_number(y[k], number);
        str_addf(&l->words, "  %s %s", name, number);
    }
    mem_free(y);
}

static bool same_group(const MarkedRun *a, const MarkedRun *b)
{
    return a->group && b->group && strcmp(a->group, b->group) == 0;
}

/* Marked runs that differ by their seed: mean and 95 % interval of the mean. */
static void each_band(const Ui *u, Lines *l, const char *metric, bool draw_them,
                      Err *err)
{
    Curves of[MAX_TRACKS];
    int n = runs_n_marked(u);
    for (int i = 0; i < n; i++) {
        const MarkedRun *m = runs_marked(u, i);
        bool first = true;
        size_t runs = 0, points = 0;
        for (int k = 0; k < i; k++)
            first = first && !same_group(m, runs_marked(u, k));
        for (int k = i; first && k < n && runs < MAX_TRACKS; k++) {
            if (k == i || same_group(m, runs_marked(u, k)))
                of[runs++] = *runs_marked(u, k)->curves;
        }
        double *v = first ? runs_band(of, runs, metric, &points, err) : NULL;
        char name[64];
        snprintf(name, sizeof name, runs > 1 ? "%s and %zu more" : "%s", m->label,
                 runs - 1);
        if (v && points > 0 && draw_them)
            add_line(l, name, v, v + points, v + 2 * points, v + 3 * points, points,
                     err);
        else if (v)
            range(l, v, points);
        mem_free(v);
    }
}

static void each_line(const Ui *u, Lines *l, const char *metric, bool draw_them,
                      Err *err)
{
    const Plots *p = l->p;
    for (int part = PARTS - 1; part >= 0; part--)
        for (int i = 0; i < p->n; i++) {
            const Track *t = &p->track[i];
            char name[100];
            if (t->part != part || strcmp(t->name, metric) != 0)
                continue;
            snprintf(name, sizeof name, part == 0 ? "now" : "%d before", part);
            if (draw_them)
                add_line(l, name, t->step, t->value, NULL, NULL, (size_t)t->n, err);
            else
                range(l, t->step, (size_t)t->n);
        }
    if (p->band) {
        each_band(u, l, metric, draw_them, err);
        return;
    }
    for (int i = 0; i < runs_n_marked(u); i++) {
        const MarkedRun *m = runs_marked(u, i);
        for (size_t k = 0; k < m->curves->n; k++) {
            const Curve *c = &m->curves->curve[k];
            if (strcmp(c->name, metric) != 0)
                continue;
            if (draw_them)
                add_line(l, m->label, c->step, c->value, NULL, NULL, c->n, err);
            else
                range(l, c->step, c->n);
        }
    }
}

/* The curves as a figure; NULL when there are none. */
static Figure *make_figure(Ui *u, const char *metric, Err *err)
{
    Plots *p = state_of(u);
    Lines l = {.p = p, .lo = INFINITY, .hi = -INFINITY};
    str_init(&l.words);
    l.f = figure_plot(err);
    each_line(u, &l, metric, false, err);
    double from = l.lo + p->from * (l.hi - l.lo), to = l.lo + p->to * (l.hi - l.lo);
    l.at = from + p->cursor * (to - from);
    bool ok = l.f && figure_set_axis(l.f, true, NULL, p->log, err);
    if (ok)
        each_line(u, &l, metric, true, err);
    if (ok && (p->from > 0 || p->to < 1) && to > from) {
        l.f->x.lo = from;
        l.f->x.hi = to;
    }
    p->words[0] = '\0';
    if (p->cursor_on && l.words.s)
        snprintf(p->words, sizeof p->words, "step %.0f%s", l.at, l.words.s);
    str_done(&l.words);
    return l.f;
}

static void draw(Ui *u, Area a, bool focus)
{
    Plots *p = state_of(u);
    Names names;
    Err err = {0};
    Grid g = {0};
    const char *metric = current(u, &names);
    (void)focus;
    if (!metric) {
        paint_str(&u->paint, a, 0, 1,
                  "no metrics yet: training makes some, and cl.metric;", ROLE_DIM);
        paint_str(&u->paint, a, 1, 1, "runs are added by marking them (3, then Space)",
                  ROLE_DIM);
        return;
    }
    figure_free(p->figure);
    p->figure = make_figure(u, metric, &err);
    DrawStyle style = u->draw;
    style.width = a.cols > 20 ? a.cols : 20;
    int below = p->cursor_on ? 1 : 0;
    style.rows = a.rows - 4 - below > 3 ? a.rows - 4 - below : 3;
    if (p->figure && figure_draw(p->figure, &style, &g, &err)) {
        paint_grid(&u->paint, a, 0, 0, &g, 0, a.rows - below);
        if (p->cursor_on)
            paint_cut(&u->paint, a, a.rows - 1, 0, p->words, a.cols, ROLE_STRONG);
    } else {
        paint_cut(&u->paint, a, 0, 1, err.msg, a.cols - 2, ROLE_ERROR);
    }
    grid_done(&g);
}

static void title(Ui *u, Str *out)
{
    const Plots *p = state_of(u);
    Names names;
    const char *metric = current(u, &names);
    if (!metric)
        return;
    str_addf(out, "%s  %d/%d", metric, p->at + 1, names.n);
    if (p->log)
        str_add(out, "  log");
    if (p->band)
        str_add(out, "  mean over seeds");
    if (p->smooth)
        str_addf(out, "  smooth %.4g", smoothing[p->smooth]);
}

/* --- keys ------------------------------------------------------------------------- */

static void pick(Ui *u, int steps)
{
    Names names;
    if (current(u, &names))
        state_of(u)->at += steps > 1 || steps < -1 ? 0 : steps;
}

static void move_cursor(Ui *u, double by)
{
    Plots *p = state_of(u);
    if (!p->cursor_on) {
        p->cursor_on = true;
        p->cursor = 1;
        return;
    }
    double to = p->cursor + by, span = p->to - p->from;
    if (to < 0 || to > 1) { /* the window moves along */
        double shift = (to < 0 ? to : to - 1) * span;
        shift = fmax(shift, -p->from);
        shift = fmin(shift, 1 - p->to);
        p->from += shift;
        p->to += shift;
    }
    p->cursor = fmin(fmax(to, 0), 1);
}

static void zoom(Ui *u, double factor)
{
    Plots *p = state_of(u);
    double at = p->cursor_on ? p->cursor : 1;
    double mid = p->from + at * (p->to - p->from), span = (p->to - p->from) * factor;
    span = fmin(fmax(span, 1e-3), 1);
    p->from = fmin(fmax(mid - at * span, 0), 1 - span);
    p->to = p->from + span;
}

void act_plot_log(Ui *u, const char *arg)
{
    (void)arg;
    state_of(u)->log = !state_of(u)->log;
}

void act_plot_smooth(Ui *u, const char *arg)
{
    (void)arg;
    Plots *p = state_of(u);
    p->smooth = (p->smooth + 1) % (int)ARRAY_LEN(smoothing);
}

void act_plot_band(Ui *u, const char *arg)
{
    Plots *p = state_of(u);
    (void)arg;
    p->band = !p->band;
    ui_say(u, ROLE_DIM,
           p->band ? "marked runs that differ by their seed only: mean, 95 %% interval"
                   : "every marked run for itself");
}

void act_plot_left(Ui *u, const char *arg)
{
    (void)arg;
    move_cursor(u, -0.02);
}
void act_plot_right(Ui *u, const char *arg)
{
    (void)arg;
    move_cursor(u, 0.02);
}
void act_plot_next(Ui *u, const char *arg)
{
    (void)arg;
    pick(u, 1);
}
void act_plot_previous(Ui *u, const char *arg)
{
    (void)arg;
    pick(u, -1);
}
void act_plot_narrower(Ui *u, const char *arg)
{
    (void)arg;
    zoom(u, 0.5);
}
void act_plot_wider(Ui *u, const char *arg)
{
    (void)arg;
    zoom(u, 2);
}

void act_plot_export(Ui *u, const char *arg)
{
    Plots *p = state_of(u);
    Names names;
    char path[PATH_MAX];
    Err err = {0};
    const char *metric = current(u, &names);
    if (!metric || !p->figure) {
        ui_say(u, ROLE_DIM, "there is no plot");
        return;
    }
    snprintf(path, sizeof path, "%s%s", arg[0] ? arg : metric, arg[0] ? "" : ".png");
    for (char *c = path; !arg[0] && *c; c++) {
        if (*c == '/')
            *c = '-';
    }
    if (figure_save(p->figure, path, &err))
        ui_wrote(u, path);
    else
        ui_say(u, ROLE_ERROR, "%s", err.msg);
}

static bool find(Ui *u, const char *text, int step)
{
    Plots *p = state_of(u);
    Names names;
    if (!current(u, &names))
        return false;
    for (int k = 1; k <= names.n; k++) {
        int i = ((p->at + k * step) % names.n + names.n) % names.n;
        if (text_find(names.name[i], strlen(names.name[i]), text) <
            strlen(names.name[i])) {
            p->at = i;
            return true;
        }
    }
    return false;
}

/* The points as CSV. */
static bool copy(Ui *u, Str *out)
{
    const Plots *p = state_of(u);
    return p->figure && figure_csv(p->figure, out, NULL);
}

const PaneRow pane_plots = {
    .name = "plots",
    .tab = "plot",
    .make = make,
    .free = destroy,
    .event = event,
    .draw = draw,
    .title = title,
    .select = pick,
    .find = find,
    .copy = copy,
    .shown = runs_keep_up,
};
