/* pane_images.c -- the pictures of the session, and of a run that was opened, one
 * figure at a time: a gallery in pages, one image of it enlarged, or a whole figure.
 * What is drawn is kept until something about it changes. */
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "lab/jval.h"
#include "ui/act.h"
#include "ui/find.h"
#include "ui/science.h"

enum { MAX_FIGURES = 2000, PAGE_MAX = 120, TRIES = 6 };

typedef struct Picture {
    json_t *event;
    char *dir; /* of its journal */
} Picture;
typedef struct Images {
    Picture *pic;
    int n, cap;
    int at;      /* the figure shown */
    bool follow; /* new figures are shown as they come */
    int image;   /* selected, of a gallery */
    int first;   /* of the page */
    int on_page, per_row;
    bool zoomed;
    int top; /* rows scrolled, of other figures */
    FigScale scale;
    bool scale_set;
    Figure *figure; /* pic[have] */
    int have;
    Grid grid; /* drawn for: */
    int rows, cols;
    bool old;
    Err err;
} Images;

static Images *state_of(const Ui *u)
{
    return u->pane[PANE_IMAGES];
}

static void *make(Ui *u, Err *err)
{
    (void)u;
    Images *m = mem_zalloc(sizeof *m, err);
    if (!m)
        return NULL;
    m->have = -1;
    m->follow = m->old = true;
    return m;
}

static void destroy(void *state)
{
    Images *m = state;
    if (!m)
        return;
    for (int i = 0; i < m->n; i++) {
        json_decref(m->pic[i].event);
        mem_free(m->pic[i].dir);
    }
    mem_free(m->pic);
    figure_free(m->figure);
    grid_done(&m->grid);
    mem_free(m);
}

bool images_any(const Ui *u)
{
    return state_of(u)->n > 0;
}

static void show(Images *m, int at)
{
    m->at = at < 0 ? 0 : at >= m->n ? m->n - 1 : at;
    m->image = m->first = m->top = 0;
    m->zoomed = false;
    m->old = true;
}

static bool add(Images *m, const json_t *ev, const char *dir)
{
    if (m->n == MAX_FIGURES) {
        json_decref(m->pic[0].event);
        mem_free(m->pic[0].dir);
        memmove(m->pic, m->pic + 1, (size_t)--m->n * sizeof *m->pic);
        m->at -= m->at > 0;
        m->have = -1;
    }
    if (m->n == m->cap) {
        int cap = m->cap ? 2 * m->cap : 16;
        Picture *p = mem_realloc(m->pic, (size_t)cap * sizeof *p, NULL);
        if (!p)
            return false;
        m->pic = p;
        m->cap = cap;
    }
    char *copy = mem_strdup(dir, NULL);
    if (!copy)
        return false;
    m->pic[m->n++] = (Picture){json_incref((json_t *)ev), copy};
    return true;
}

static bool is_picture(const json_t *ev)
{
    const char *kind = jval_get(ev, "kind", "");
    return strcmp(kind, figure_kind_name(FIG_TABLE)) != 0 &&
           strcmp(kind, figure_kind_name(FIG_TEXT)) != 0;
}

static void event(Ui *u, const json_t *ev)
{
    Images *m = state_of(u);
    if (strcmp(jval_get(ev, "ev", ""), "figure") != 0 || !is_picture(ev))
        return;
    if (add(m, ev, jreader_dir(u->reader)) && m->follow)
        show(m, m->n - 1);
}

/* Every picture of a run, behind those that are there; the first is shown. */
int images_of_run(Ui *u, const char *dir)
{
    Images *m = state_of(u);
    JournalReader *r = jreader_open(dir, NULL);
    int found = 0;
    bool more = true;
    while (r && more) {
        json_t *ev = jreader_next(r, &more, NULL);
        if (ev)
            more = true;
        if (ev && strcmp(jval_get(ev, "ev", ""), "figure") == 0 && is_picture(ev))
            found += add(m, ev, dir);
        json_decref(ev);
    }
    jreader_close(r);
    if (found > 0)
        show(m, m->n - found);
    return found;
}

/* --- drawing ---------------------------------------------------------------------- */

static const Figure *load(Images *m)
{
    if (m->have == m->at && m->figure)
        return m->figure;
    figure_free(m->figure);
    m->figure = NULL;
    m->have = m->at;
    err_clear(&m->err);
    JournalReader *r = jreader_open(m->pic[m->at].dir, &m->err);
    if (r)
        m->figure = jreader_figure(r, m->pic[m->at].event, &m->err);
    jreader_close(r);
    if (m->figure && !m->scale_set)
        m->scale = m->figure->scale;
    return m->figure;
}

static bool is_gallery(const Figure *f)
{
    return f && f->kind == FIG_IMAGES;
}

/* The figure with `n` of its images from `first` on; its arrays stay the figure's, the
 * labels are made: the selected one is marked. */
typedef struct Part {
    Figure f;
    char *label[PAGE_MAX];
    char text[PAGE_MAX][96];
} Part;

static void make_part(const Images *m, const Figure *f, int n, Part *p)
{
    p->f = *f;
    p->f.n = n;
    p->f.pixels = f->pixels + (size_t)m->first * (size_t)f->h * (size_t)f->w;
    p->f.scale = m->scale;
    p->f.labels = p->label;
    p->f.title = p->f.caption = NULL;
    for (int i = 0; i < n; i++) {
        int k = m->first + i;
        const char *own = f->labels && f->labels[k] ? f->labels[k] : "";
        if (own[0])
            snprintf(p->text[i], sizeof p->text[i], "%c%s", k == m->image ? '>' : ' ',
                     own);
        else
            snprintf(p->text[i], sizeof p->text[i], "%c#%d", k == m->image ? '>' : ' ',
                     k + 1);
        p->label[i] = p->text[i];
    }
}

/* As many images as fit into the rows, whole rows of them. */
static bool draw_gallery(Images *m, const Figure *f, const DrawStyle *style, int rows)
{
    Part *p = mem_alloc(sizeof *p, &m->err);
    int n = f->n - m->first < PAGE_MAX ? f->n - m->first : PAGE_MAX;
    bool ok = p != NULL;
    for (int i = 0; ok && i < TRIES; i++) {
        make_part(m, f, n, p);
        m->per_row = figure_per_row(&p->f, style);
        grid_done(&m->grid);
        ok = figure_draw(&p->f, style, &m->grid, &m->err);
        if (m->grid.rows <= rows || n <= 1)
            break;
        int lines = (n + m->per_row - 1) / m->per_row;
        int each = lines > 0 ? (m->grid.rows + lines - 1) / lines : 1;
        int fit = rows / (each > 0 ? each : 1);
        int want = (fit > 0 ? fit : 1) * m->per_row;
        n = want < n ? want : n > m->per_row ? n - m->per_row : n > 1 ? n / 2 : 1;
    }
    m->on_page = n;
    mem_free(p);
    return ok;
}

static bool redraw(Images *m, const Ui *u, const Figure *f, Area a)
{
    DrawStyle style = u->draw;
    style.width = a.cols > 20 ? a.cols : 20;
    m->old = false;
    m->rows = a.rows;
    m->cols = a.cols;
    if (is_gallery(f) && !m->zoomed) {
        if (m->image < m->first)
            m->first = m->image;
        if (!draw_gallery(m, f, &style, a.rows))
            return false;
        if (m->image >= m->first + m->on_page) {
            m->first = m->image / m->on_page * m->on_page;
            return draw_gallery(m, f, &style, a.rows);
        }
        return true;
    }
    grid_done(&m->grid);
    if (is_gallery(f)) {
        Figure one = *f;
        one.scale = m->scale;
        return figure_zoom(&one, m->image, a.rows, &style, &m->grid, &m->err);
    }
    style.rows = f->kind == FIG_PLOT ? (a.rows > 10 ? a.rows - 6 : 4) : 0;
    return figure_draw(f, &style, &m->grid, &m->err);
}

static void draw(Ui *u, Area a, bool focus)
{
    Images *m = state_of(u);
    (void)focus;
    if (m->n == 0) {
        paint_str(&u->paint, a, 0, 1,
                  "no images yet: cl.show(cl.images(...)) makes some", ROLE_DIM);
        return;
    }
    const Figure *f = load(m);
    bool ok = f != NULL;
    if (ok && (m->old || m->rows != a.rows || m->cols != a.cols))
        ok = redraw(m, u, f, a);
    if (!ok) {
        paint_cut(&u->paint, a, 0, 1, m->err.msg, a.cols - 2, ROLE_ERROR);
        return;
    }
    int most = m->grid.rows > a.rows ? m->grid.rows - a.rows : 0;
    m->top = m->top > most ? most : m->top;
    paint_grid(&u->paint, a, 0, 0, &m->grid, m->top, a.rows);
}

static void title(Ui *u, Str *out)
{
    const Images *m = state_of(u);
    if (m->n == 0)
        return;
    const json_t *ev = m->pic[m->at].event;
    const char *name = jval_get(ev, "title", "");
    str_add(out, name[0] ? name : jval_get(ev, "name", jval_get(ev, "id", "")));
    if (is_gallery(m->figure) && m->have == m->at)
        str_addf(out, "  %d-%d of %d", m->zoomed ? m->image + 1 : m->first + 1,
                 m->zoomed ? m->image + 1 : m->first + m->on_page, m->figure->n);
    str_addf(out, "  figure %d/%d", m->at + 1, m->n);
}

/* --- keys ------------------------------------------------------------------------- */

static void move(Ui *u, int by, int rows)
{
    Images *m = state_of(u);
    const Figure *f = m->n > 0 ? load(m) : NULL;
    if (!is_gallery(f)) {
        m->top += rows ? rows : 0;
        m->top = m->top < 0 ? 0 : m->top;
        return;
    }
    int64_t to = (int64_t)m->image + by + (int64_t)rows * (m->zoomed ? 1 : m->per_row);
    if (to < 0 || to >= f->n)
        return;
    m->image = (int)to;
    m->old = true;
}

static void scroll(Ui *u, int lines)
{
    Images *m = state_of(u);
    const Figure *f = m->n > 0 ? load(m) : NULL;
    if (!is_gallery(f)) {
        int64_t top = (int64_t)m->top + lines;
        m->top = top < 0 ? 0 : top > INT_MAX ? INT_MAX : (int)top;
        return;
    }
    int step = m->on_page > 0 ? m->on_page : 1;
    int64_t to = lines < 0 ? (int64_t)m->first - step : (int64_t)m->first + step;
    to = to < 0 ? 0 : to;
    if (to >= f->n)
        return;
    m->first = m->image = (int)to;
    m->old = true;
}

static void step_figure(Ui *u, int step, bool same_name)
{
    Images *m = state_of(u);
    if (m->n == 0)
        return;
    const char *name = jval_get(m->pic[m->at].event, "name", "");
    int image = m->image;
    for (int i = m->at + step; i >= 0 && i < m->n; i += step) {
        if (same_name && strcmp(jval_get(m->pic[i].event, "name", ""), name) != 0)
            continue;
        bool zoomed = m->zoomed;
        show(m, i);
        const Figure *f = load(m);
        if (same_name && is_gallery(f) && image < f->n) { /* the same image, later */
            m->image = image;
            m->zoomed = zoomed;
        }
        m->follow = i == m->n - 1;
        return;
    }
    ui_say(u, ROLE_DIM, step > 0 ? "this is the last one" : "this is the first one");
}

void act_images_left(Ui *u, const char *arg)
{
    (void)arg;
    move(u, -1, 0);
}
void act_images_right(Ui *u, const char *arg)
{
    (void)arg;
    move(u, 1, 0);
}
void act_images_up(Ui *u, const char *arg)
{
    (void)arg;
    move(u, 0, -1);
}
void act_images_down(Ui *u, const char *arg)
{
    (void)arg;
    move(u, 0, 1);
}
void act_images_next_page(Ui *u, const char *arg)
{
    (void)arg;
    scroll(u, 1);
}
void act_images_previous_page(Ui *u, const char *arg)
{
    (void)arg;
    scroll(u, -1);
}
void act_images_later(Ui *u, const char *arg)
{
    (void)arg;
    step_figure(u, 1, true);
}
void act_images_earlier(Ui *u, const char *arg)
{
    (void)arg;
    step_figure(u, -1, true);
}

void act_images_next_figure(Ui *u, const char *arg)
{
    (void)arg;
    step_figure(u, 1, false);
}

void act_images_previous_figure(Ui *u, const char *arg)
{
    (void)arg;
    step_figure(u, -1, false);
}

void act_images_zoom(Ui *u, const char *arg)
{
    Images *m = state_of(u);
    (void)arg;
    if (m->n == 0 || !is_gallery(load(m)))
        return;
    m->zoomed = !m->zoomed;
    m->old = true;
}

void act_images_scale(Ui *u, const char *arg)
{
    static const char *const words[] = {"one scale for the page",
                                        "each image its own scale",
                                        "99th percentile, larger values clipped"};
    Images *m = state_of(u);
    (void)arg;
    m->scale = (FigScale)((m->scale + 1) % 3);
    m->scale_set = m->old = true;
    ui_say(u, ROLE_DIM, "%s", words[m->scale]);
}

void act_images_palette(Ui *u, const char *arg)
{
    (void)arg;
    u->draw.light = !u->draw.light;
    state_of(u)->old = true;
    notebook_changed(u, 0);
    ui_say(u, ROLE_DIM, "zero is %s", u->draw.light ? "white" : "black");
}

void act_images_level(Ui *u, const char *arg)
{
    (void)arg;
    u->draw.level =
        u->draw.level == LEVEL_MONO ? u->paint.level : (Level)(u->draw.level - 1);
    state_of(u)->old = true;
    notebook_changed(u, 0);
    ui_say(u, ROLE_DIM, "images in %s", level_name(u->draw.level));
}

/* The suffix decides the format: png svg pdf csv. */
void act_images_export(Ui *u, const char *arg)
{
    Images *m = state_of(u);
    char path[PATH_MAX];
    Err err = {0};
    const Figure *f = m->n > 0 ? load(m) : NULL;
    if (!f) {
        ui_say(u, ROLE_DIM, "there is no image");
        return;
    }
    Figure copy = *f;
    copy.scale = m->scale;
    snprintf(path, sizeof path, "%s%s",
             arg[0] ? arg : jval_get(m->pic[m->at].event, "id", "figure"),
             arg[0] ? "" : ".png");
    for (char *c = path; !arg[0] && *c; c++) {
        if (*c == '/')
            *c = '-';
    }
    if (figure_save(&copy, path, &err))
        ui_say(u, ROLE_GOOD, "wrote %s", path);
    else
        ui_say(u, ROLE_ERROR, "%s", err.msg);
}

static bool find(Ui *u, const char *text, int step)
{
    Images *m = state_of(u);
    for (int k = 1; k <= m->n; k++) {
        int i = ((m->at + k * step) % m->n + m->n) % m->n;
        const char *name = jval_get(m->pic[i].event, "title", "");
        const char *id = jval_get(m->pic[i].event, "id", "");
        if (text_find(name, strlen(name), text) < strlen(name) ||
            text_find(id, strlen(id), text) < strlen(id)) {
            show(m, i);
            return true;
        }
    }
    return false;
}

/* Where the PNG of the figure is. */
static bool copy(Ui *u, Str *out)
{
    const Images *m = state_of(u);
    if (m->n == 0)
        return false;
    str_addf(out, "%s/%s", m->pic[m->at].dir, jval_get(m->pic[m->at].event, "png", ""));
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
};
