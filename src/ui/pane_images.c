/* pane_images.c -- the pictures of the session, and of a run that was opened, one
 * figure at a time: a gallery in pages, one image of it enlarged, or a whole figure. A
 * second figure can be kept beside it; linked, both page, step and select together and
 * share a scale. What is drawn is kept until something about it changes. */
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "figure/clean.h"
#include "lab/jval.h"
#include "lab/run.h"
#include "ui/act.h"
#include "ui/pictures.h"
#include "ui/science.h"

enum { WIDE = 100 };

typedef struct View {
    int at; /* the figure shown */
    Gallery page;
    bool zoomed;
    int top; /* rows scrolled, of other figures */
    FigScale scale;
    bool scale_set;
    double limit; /* of a shared scale that another gallery has too; 0: its own */
    Loaded loaded;
    Grid grid; /* drawn for: */
    int rows, cols, style;
    bool old;
    Err err;
} View;
typedef struct Images {
    Pictures list;
    bool follow; /* new figures are shown as they come */
    View view[2];
    int active;
    bool split, linked;
    JournalReader *run; /* whose pictures were asked for last; NULL: none */
    char *run_dir;
    bool run_live; /* more of them may come */
} Images;

static Images *state_of(const Ui *u)
{
    return u->pane[PANE_IMAGES];
}

static View *active(const Ui *u)
{
    return &state_of(u)->view[state_of(u)->active];
}

static void *make(Ui *u, Err *err)
{
    (void)u;
    Images *m = mem_zalloc(sizeof *m, err);
    if (!m)
        return NULL;
    m->follow = true;
    for (int i = 0; i < 2; i++)
        m->view[i] = (View){.page = {.group = 1}, .old = true};
    return m;
}

static void destroy(void *state)
{
    Images *m = state;
    if (!m)
        return;
    for (int i = 0; i < 2; i++) {
        loaded_done(&m->view[i].loaded);
        grid_done(&m->view[i].grid);
    }
    pictures_done(&m->list);
    jreader_close(m->run);
    mem_free(m->run_dir);
    mem_free(m);
}

bool images_any(const Ui *u)
{
    return state_of(u)->list.n > 0;
}

static void show(Images *m, View *v, int at)
{
    v->at = at < 0 ? 0 : at >= m->list.n ? m->list.n - 1 : at;
    v->page = (Gallery){.group = 1};
    v->top = 0;
    v->zoomed = false;
    v->old = true;
}

/* The same place in another figure: image, page and zoom stay where they fit. */
static void show_same(Images *m, View *v, int at)
{
    v->at = at < 0 ? 0 : at >= m->list.n ? m->list.n - 1 : at;
    v->old = true;
}

static void add(Images *m, const json_t *ev, const char *dir)
{
    bool dropped = false;
    pictures_add(&m->list, ev, dir, &dropped);
    for (int i = 0; i < 2 && dropped; i++)
        m->view[i].at -= m->view[i].at > 0;
}

/* Tables and texts stay in the notebook; components and controls have panes. */
static bool is_picture(const json_t *ev)
{
    static const FigKind others[] = {FIG_TABLE, FIG_TEXT, FIG_COMPONENTS};
    const char *kind = jval_get(ev, "kind", "");
    if (strcmp(jval_get(ev, "ev", ""), "figure") != 0 || json_object_get(ev, "control"))
        return false;
    for (size_t i = 0; i < ARRAY_LEN(others); i++) {
        if (strcmp(kind, figure_kind_name(others[i])) == 0)
            return false;
    }
    return true;
}

/* A figure that is made again takes the place of the one before: the eye stays on the
 * same image. */
static void take(Images *m, const json_t *ev, const char *dir)
{
    Follow f[2];
    for (int i = 0; i < 2; i++)
        f[i] = pictures_follow(&m->list, m->view[i].at, m->follow && !m->split, ev);
    add(m, ev, dir);
    for (int i = 0; i < 2; i++) {
        bool seen = m->split || i == m->active;
        if (seen && f[i] == FOLLOW_SAME)
            show_same(m, &m->view[i], m->list.n - 1);
        else if (seen && f[i] == FOLLOW_NEW)
            show(m, &m->view[i], m->list.n - 1);
    }
}

static void event(Ui *u, const json_t *ev)
{
    if (is_picture(ev))
        take(state_of(u), ev, jreader_dir(u->reader));
}

/* --- the pictures of a run -------------------------------------------------------- */

/* What the run has made since the last look; follow: as the session's own figures.
 * Returns how many sets of components there were. */
static int take_run(Ui *u, bool follow)
{
    Images *m = state_of(u);
    char state[16] = "";
    int others = 0;
    bool more = true;
    m->run_live = run_state(m->run_dir, state, NULL) && strcmp(state, "running") == 0;
    while (m->run && more) {
        json_t *ev = jreader_next(m->run, &more, NULL);
        if (ev)
            more = true;
        if (ev && is_picture(ev)) {
            if (follow)
                take(m, ev, m->run_dir);
            else
                add(m, ev, m->run_dir);
            u->dirty = true;
        } else if (ev) {
            others += components_take(u, ev, m->run_dir);
        }
        json_decref(ev);
    }
    return others;
}

bool images_live(const Ui *u)
{
    const Images *m = state_of(u);
    return m->run_live &&
           (ui_pane_visible(u, PANE_IMAGES) || ui_pane_visible(u, PANE_COMPONENTS));
}

static void shown(Ui *u)
{
    if (state_of(u)->run_live)
        take_run(u, true);
}

/* Pictures of a run that is read from its beginning again. */
static void forget(Images *m, const char *dir)
{
    for (int i = m->list.n - 1; i >= 0; i--) {
        if (strcmp(m->list.pic[i].dir, dir) != 0)
            continue;
        pictures_drop(&m->list, i);
        for (int k = 0; k < 2; k++) {
            m->view[k].at -= m->view[k].at > i || m->view[k].at == m->list.n;
            m->view[k].at += m->view[k].at < 0;
            m->view[k].old = true;
        }
    }
}

/* Every picture of a run, behind those that are there; the first is shown. Those that it
 * makes later come by themselves. */
int images_of_run(Ui *u, const char *dir)
{
    Images *m = state_of(u);
    int found = 0, first = -1, others;
    if (!m->run || strcmp(m->run_dir, dir) != 0) {
        jreader_close(m->run);
        mem_free(m->run_dir);
        m->run_dir = mem_strdup(dir, NULL);
        m->run_live = false;
        forget(m, dir);
        m->run = m->run_dir ? jreader_open(dir, NULL) : NULL;
    }
    others = m->run ? take_run(u, false) : 0;
    for (int i = 0; i < m->list.n; i++) {
        if (strcmp(m->list.pic[i].dir, dir) == 0) {
            first = first < 0 ? i : first;
            found++;
        }
    }
    if (found > 0)
        show(m, active(u), m->run_live ? m->list.n - 1 : first);
    return found + others;
}

/* --- drawing ---------------------------------------------------------------------- */

static const Figure *load(Images *m, View *v)
{
    err_clear(&v->err);
    const Figure *f = loaded_get(&v->loaded, &m->list.pic[v->at], &v->err);
    if (f && !v->scale_set)
        v->scale = f->scale;
    return f;
}

static bool is_gallery(const Figure *f)
{
    return f && f->kind == FIG_IMAGES;
}

static bool redraw(View *v, const Ui *u, const Figure *f, Area a)
{
    DrawStyle style = u->draw;
    style.width = a.cols > 20 ? a.cols : 20;
    v->old = false;
    v->rows = a.rows;
    v->cols = a.cols;
    v->style = u->style_changes;
    grid_done(&v->grid);
    if (is_gallery(f)) {
        Figure scaled = *f;
        scaled.scale = v->scale;
        scaled.limit = v->limit;
        if (!v->zoomed)
            return gallery_draw(&scaled, &style, a.rows, &v->page, &v->grid, &v->err);
        int n = v->page.selected < f->n ? v->page.selected : f->n - 1;
        return figure_zoom(&scaled, n, a.rows, &style, &v->grid, &v->err);
    }
    style.rows = f->kind == FIG_PLOT ? (a.rows > 10 ? a.rows - 6 : 4) : 0;
    return figure_draw(f, &style, &v->grid, &v->err);
}

static void draw_view(Ui *u, View *v, Area a)
{
    Images *m = state_of(u);
    const Figure *f = load(m, v);
    bool ok = f != NULL;
    if (ok && (v->old || v->rows != a.rows || v->cols != a.cols ||
               v->style != u->style_changes))
        ok = redraw(v, u, f, a);
    if (!ok) {
        paint_cut(&u->paint, a, 0, 1, v->err.msg, a.cols - 2, ROLE_ERROR);
        return;
    }
    int most = v->grid.rows > a.rows ? v->grid.rows - a.rows : 0;
    v->top = v->top > most ? most : v->top;
    paint_grid(&u->paint, a, 0, 0, &v->grid, v->top, a.rows);
}

/* A long title is cut on a narrow screen, so that the place in it is seen. */
static void add_title(const char *title, int cols, Str *out)
{
    int used;
    size_t skip, n = clean_line(title, cols, &used, &skip);
    str_addn(out, title, n);
    if (title[n])
        str_addc(out, '~');
}

static void view_title(const Images *m, const View *v, int cols, Str *out)
{
    const Picture *p = &m->list.pic[v->at];
    const Figure *f = v->loaded.event == p->event ? v->loaded.figure : NULL;
    add_title(picture_title(p), cols < WIDE ? 26 : WIDE, out);
    if (is_gallery(f)) {
        int first = v->zoomed ? v->page.selected + 1 : v->page.first + 1;
        int last = v->zoomed ? first : v->page.first + v->page.on_page;
        str_addf(out, "  %d", first);
        if (last > first)
            str_addf(out, "-%d", last);
        str_addf(out, " of %d", f->n);
    }
    str_addf(out, "  figure %d/%d", v->at + 1, m->list.n);
}

/* The place of a half, its rule included. */
static Area half(Area a, int k)
{
    Area h = a;
    if (a.cols >= WIDE) {
        h.cols = (a.cols - 1) / 2;
        h.col += k * (h.cols + 1);
    } else {
        h.rows = a.rows / 2;
        h.row += k * h.rows;
    }
    return h;
}

/* A half below its rule, which says what it is when that is known; the one that keys
 * move is marked. */
static void draw_half(Ui *u, int k, Area a)
{
    const Images *m = state_of(u);
    Area h = half(a, k), in = {h.row + 1, h.col, h.rows - 1, h.cols};
    Str t;
    str_init(&t);
    draw_view(u, &state_of(u)->view[k], in);
    str_addf(&t, "%c ", k == m->active ? '>' : ' ');
    view_title(m, &m->view[k], h.cols, &t);
    if (m->linked)
        str_add(&t, "  linked");
    paint_rule(&u->paint, h, 0, t.s, k == m->active ? ROLE_TITLE_FOCUS : ROLE_TITLE);
    str_done(&t);
}

static void draw(Ui *u, Area a, bool focus)
{
    Images *m = state_of(u);
    (void)focus;
    if (m->list.n == 0) {
        paint_str(&u->paint, a, 0, 1,
                  "no images yet: cl.show(cl.images(...)) makes some", ROLE_DIM);
        return;
    }
    if (!m->split || a.rows < 6) {
        draw_view(u, active(u), a);
        return;
    }
    for (int k = 0; k < 2; k++)
        draw_half(u, k, a);
}

static void title(Ui *u, Str *out)
{
    const Images *m = state_of(u);
    if (m->list.n > 0)
        view_title(m, active(u), u->grid.cols, out);
}

/* --- two views -------------------------------------------------------------------- */

/* One scale for both: the larger of the two limits. */
static void share_limit(Images *m)
{
    double most = 0;
    for (int i = 0; i < 2; i++) {
        const Figure *f = m->linked && m->split ? load(m, &m->view[i]) : NULL;
        if (is_gallery(f))
            most = fmax(most, figure_largest(f));
    }
    for (int i = 0; i < 2; i++) {
        m->view[i].old = m->view[i].old || m->view[i].limit != most;
        m->view[i].limit = most;
    }
}

/* The other view goes where this one went. */
static void follow_link(Ui *u)
{
    Images *m = state_of(u);
    View *v = active(u), *w = &m->view[!m->active];
    if (!m->split || !m->linked)
        return;
    w->page.selected = v->page.selected;
    w->page.first = v->page.first;
    w->zoomed = v->zoomed;
    w->scale = v->scale;
    w->scale_set = v->scale_set;
    w->top = v->top;
    w->old = true;
    share_limit(m);
}

/* What is worth seeing beside a figure: the newest one of another name, else the one
 * before. */
static int beside(const Images *m, int at)
{
    const char *name = picture_name(&m->list.pic[at]);
    for (int i = m->list.n - 1; i >= 0; i--) {
        if (i != at && strcmp(picture_name(&m->list.pic[i]), name) != 0)
            return i;
    }
    return at > 0 ? at - 1 : at;
}

void act_images_split(Ui *u, const char *arg)
{
    Images *m = state_of(u);
    View *v = active(u), *w = &m->view[!m->active];
    (void)arg;
    if (m->list.n == 0)
        return;
    m->split = !m->split;
    m->linked = m->linked && m->split;
    share_limit(m);
    v->old = true;
    if (!m->split)
        return;
    show(m, w, beside(m, v->at));
    ui_say(u, ROLE_DIM,
           "two figures: Space changes sides, J and K the figure, L links "
           "them");
}

void act_images_other(Ui *u, const char *arg)
{
    Images *m = state_of(u);
    (void)arg;
    if (m->split)
        m->active = !m->active;
    else
        ui_say(u, ROLE_DIM, "| shows a second figure beside this one");
}

void act_images_link(Ui *u, const char *arg)
{
    Images *m = state_of(u);
    if (!m->split)
        act_images_split(u, arg);
    if (!m->split)
        return;
    m->linked = !m->linked;
    share_limit(m);
    follow_link(u);
    ui_say(u, ROLE_DIM,
           m->linked ? "linked: pages, steps, zoom and scale go together"
                     : "each goes its own way");
}

/* --- keys ------------------------------------------------------------------------- */

static void move(Ui *u, int by, int rows)
{
    Images *m = state_of(u);
    View *v = active(u);
    const Figure *f = m->list.n > 0 ? load(m, v) : NULL;
    if (!is_gallery(f)) {
        v->top += rows ? rows : 0;
        v->top = v->top < 0 ? 0 : v->top;
        return;
    }
    int64_t row = v->zoomed ? 1 : v->page.per_row;
    int64_t to = (int64_t)v->page.selected + by + (int64_t)rows * row;
    if (to < 0 || to >= f->n)
        return;
    v->page.selected = (int)to;
    v->old = true;
    follow_link(u);
}

static void scroll(Ui *u, int lines)
{
    Images *m = state_of(u);
    View *v = active(u);
    const Figure *f = m->list.n > 0 ? load(m, v) : NULL;
    if (!is_gallery(f)) {
        int64_t top = (int64_t)v->top + lines;
        v->top = top < 0 ? 0 : top > INT_MAX ? INT_MAX : (int)top;
        return;
    }
    if (!gallery_page(&v->page, f->n, lines < 0 ? -1 : 1))
        return;
    v->old = true;
    follow_link(u);
}

/* The same image of the figure that came later or earlier. */
static bool step_view(Images *m, View *v, int step)
{
    int to = pictures_step(&m->list, v->at, step, true);
    if (to < 0)
        return false;
    show_same(m, v, to);
    return true;
}

static void step_figure(Ui *u, int step, bool same_name)
{
    Images *m = state_of(u);
    View *v = active(u);
    if (m->list.n == 0)
        return;
    bool moved;
    if (same_name) {
        moved = step_view(m, v, step);
        if (m->split && m->linked)
            moved = step_view(m, &m->view[!m->active], step) || moved;
    } else {
        int to = pictures_step(&m->list, v->at, step, false);
        moved = to >= 0;
        if (moved)
            show(m, v, to);
    }
    if (moved)
        share_limit(m);
    else
        ui_say(u, ROLE_DIM,
               step > 0 ? "this is the last one" : "this is the first one");
    m->follow = v->at == m->list.n - 1;
}

#define MOVE(name, call)                                                               \
    void act_images_##name(Ui *u, const char *arg)                                     \
    {                                                                                  \
        (void)arg;                                                                     \
        call;                                                                          \
    }
MOVE(left, move(u, -1, 0))
MOVE(right, move(u, 1, 0))
MOVE(up, move(u, 0, -1))
MOVE(down, move(u, 0, 1))
MOVE(next_page, scroll(u, 1))
MOVE(previous_page, scroll(u, -1))
MOVE(later, step_figure(u, 1, true))
MOVE(earlier, step_figure(u, -1, true))
MOVE(next_figure, step_figure(u, 1, false))
MOVE(previous_figure, step_figure(u, -1, false))
#undef MOVE

void act_images_zoom(Ui *u, const char *arg)
{
    Images *m = state_of(u);
    View *v = active(u);
    (void)arg;
    if (m->list.n == 0 || !is_gallery(load(m, v)))
        return;
    v->zoomed = !v->zoomed;
    v->old = true;
    follow_link(u);
}

void act_images_scale(Ui *u, const char *arg)
{
    static const char *const words[] = {"one scale for all", "each image its own scale",
                                        "99th percentile, larger values clipped"};
    View *v = active(u);
    (void)arg;
    v->scale = (FigScale)((v->scale + 1) % 3);
    v->scale_set = v->old = true;
    follow_link(u);
    ui_say(u, ROLE_DIM, "%s", words[v->scale]);
}

/* The suffix decides the format: png svg pdf csv. */
void act_images_export(Ui *u, const char *arg)
{
    Images *m = state_of(u);
    View *v = active(u);
    char path[PATH_MAX];
    Err err = {0};
    const Figure *f = m->list.n > 0 ? load(m, v) : NULL;
    if (!f) {
        ui_say(u, ROLE_DIM, "there is no image");
        return;
    }
    Figure copy = *f;
    copy.scale = v->scale;
    picture_path(arg, jval_get(m->list.pic[v->at].event, "id", "figure"), path,
                 sizeof path);
    if (figure_save(&copy, path, &err))
        ui_wrote(u, path);
    else
        ui_say(u, ROLE_ERROR, "%s", err.msg);
}

static bool find(Ui *u, const char *text, int step)
{
    Images *m = state_of(u);
    int to = pictures_find(&m->list, active(u)->at, step, text);
    if (to >= 0)
        show(m, active(u), to);
    return to >= 0;
}

/* Where the PNG of the figure is. */
static bool copy(Ui *u, Str *out)
{
    const Images *m = state_of(u);
    if (m->list.n == 0)
        return false;
    const Picture *p = &m->list.pic[active(u)->at];
    str_addf(out, "%s/%s", p->dir, jval_get(p->event, "png", ""));
    return true;
}

const PaneRow pane_images = {
    .name = "images",
    .tab = "img",
    .make = make,
    .free = destroy,
    .event = event,
    .draw = draw,
    .title = title,
    .scroll = scroll,
    .find = find,
    .copy = copy,
    .shown = shown,
};
