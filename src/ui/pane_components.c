/* pane_components.c -- sets of components (cl.components): a gallery of their pictures
 * in the order of a metric, one component with everything known of it, and the whole
 * set on a page. A set that a running cell makes again takes the place of the one
 * before, at the same component. */
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "lab/jval.h"
#include "ui/act.h"
#include "ui/find.h"
#include "ui/pictures.h"
#include "ui/science.h"

enum { IN_OVERVIEW = 12 };
typedef enum Look3 { LOOK_GALLERY, LOOK_ONE, LOOK_ALL, LOOKS } Look3;

typedef struct Components {
    Pictures list;
    int at;
    bool follow;
    Loaded loaded;
    const Figure *known; /* the figure that the order is of */
    Look3 look;
    int sort; /* metric, -1: as they are */
    char sort_name[64];
    bool rising;
    int *order, n;    /* components by place */
    Gallery page;     /* its selected group is the place */
    Figure *pictures; /* of all, in order; NULL: there are none */
    FigScale scale;
    bool scale_set;
    int top;
    Grid grid; /* drawn for: */
    int rows, cols, style;
    bool old;
    Err err;
} Components;

static Components *state_of(const Ui *u)
{
    return u->pane[PANE_COMPONENTS];
}

static void *make(Ui *u, Err *err)
{
    (void)u;
    Components *m = mem_zalloc(sizeof *m, err);
    if (!m)
        return NULL;
    m->follow = m->old = true;
    m->page.group = 1;
    return m;
}

static void forget(Components *m)
{
    mem_free(m->order);
    figure_free(m->pictures);
    m->order = NULL;
    m->pictures = NULL;
    m->known = NULL;
    m->n = 0;
}

static void destroy(void *state)
{
    Components *m = state;
    if (!m)
        return;
    forget(m);
    loaded_done(&m->loaded);
    grid_done(&m->grid);
    pictures_done(&m->list);
    mem_free(m);
}

bool components_any(const Ui *u)
{
    return state_of(u)->list.n > 0;
}

/* --- the set at hand -------------------------------------------------------------- */

static const Figure *pictures_part(const Figure *f)
{
    for (int i = 0; i < f->n_parts; i++) {
        if (f->parts[i]->each && f->parts[i]->kind == FIG_IMAGES)
            return f->parts[i];
    }
    return NULL;
}

/* "#12 digit 3" and what it is sorted by. */
static void label_of(const Components *m, const Figure *f, int r, Str *t)
{
    char number[32];
    if (f->left[r][0])
        str_add(t, f->left[r]);
    else
        str_addf(t, "#%d", r + 1);
    if (m->sort >= 0) {
        figure_number(f->series[m->sort].y[r], number);
        str_addf(t, " %s", number);
    }
}

/* The pictures in their order, labelled anew. */
static Figure *order_pictures(const Components *m, const Figure *f, Err *err)
{
    const Figure *from = pictures_part(f);
    if (!from)
        return NULL;
    int k = from->n / f->n_left;
    size_t group = (size_t)k * figure_plane(from);
    Figure *to = figure_images_like(from, from->n, from->pixels, err);
    bool ok = to != NULL;
    for (int p = 0; ok && p < m->n; p++) {
        int r = m->order[p];
        Str t;
        str_init(&t);
        memcpy(to->pixels + (size_t)p * group, from->pixels + (size_t)r * group,
               group * sizeof *to->pixels);
        label_of(m, f, r, &t);
        for (int i = 0; ok && i < k; i++) {
            const char *own = from->labels ? from->labels[r * k + i] : "";
            ok = figure_set_label(to, p * k + i, i == 0 ? t.s : own ? own : "", err);
        }
        str_done(&t);
    }
    if (ok)
        return to;
    figure_free(to);
    return NULL;
}

/* The component that is selected; -1: none. */
static int selected(const Components *m)
{
    return m->n > 0 && m->page.selected < m->n ? m->order[m->page.selected] : -1;
}

/* Sorts anew; `keep` (or -1) stays selected. */
static void sort_again(Components *m, const Figure *f, int keep)
{
    const Figure *part = pictures_part(f);
    forget(m);
    m->sort = -1;
    for (int i = 0; i < f->n_series; i++) {
        const char *name = f->series[i].name;
        if (name && (strcmp(name, m->sort_name) == 0 || !m->sort_name[0]) &&
            m->sort < 0)
            m->sort = i;
    }
    m->order = mem_array((size_t)f->n_left, sizeof *m->order, &m->err);
    m->known = f;
    m->old = true;
    if (!m->order)
        return;
    m->n = f->n_left;
    figure_component_order(f, m->sort, m->rising, m->order);
    m->page.group = part ? part->n / f->n_left : 1;
    m->page.selected = m->page.selected < m->n ? m->page.selected : m->n - 1;
    for (int p = 0; keep >= 0 && p < m->n; p++) {
        if (m->order[p] == keep)
            m->page.selected = p;
    }
    m->pictures = order_pictures(m, f, &m->err);
    if (!m->scale_set)
        m->scale = part ? part->scale : SCALE_EACH;
}

static const Figure *load(Components *m)
{
    int keep = selected(m);
    if (m->list.n == 0)
        return NULL;
    err_clear(&m->err);
    const Figure *f = loaded_get(&m->loaded, &m->list.pic[m->at], &m->err);
    if (f && f != m->known)
        sort_again(m, f, keep);
    if (!f)
        forget(m);
    return f;
}

static void show(Components *m, int at)
{
    bool same = m->list.n > 0 && strcmp(picture_name(&m->list.pic[m->at]),
                                        picture_name(&m->list.pic[at])) == 0;
    m->at = at;
    m->old = true;
    m->known = NULL; /* the next figure may have the address of this one */
    if (same)
        return;
    forget(m);
    m->top = 0;
    m->page = (Gallery){.group = 1};
    m->sort_name[0] = '\0';
    m->scale_set = false;
}

int components_take(Ui *u, const json_t *ev, const char *dir)
{
    Components *m = state_of(u);
    bool dropped = false;
    Follow f = pictures_follow(&m->list, m->at, m->follow, ev);
    const char *kind = jval_get(ev, "kind", "");
    if (strcmp(jval_get(ev, "ev", ""), "figure") != 0 ||
        strcmp(kind, figure_kind_name(FIG_COMPONENTS)) != 0 ||
        json_object_get(ev, "control") || !pictures_add(&m->list, ev, dir, &dropped))
        return 0;
    m->at -= dropped && m->at > 0;
    if (f != FOLLOW_NOT)
        show(m, m->list.n - 1);
    return 1;
}

static void event(Ui *u, const json_t *ev)
{
    components_take(u, ev, jreader_dir(u->reader));
}

/* --- drawing ---------------------------------------------------------------------- */

static bool draw_all(Components *m, const Figure *f, const DrawStyle *style)
{
    Figure *page = figure_overview(f, IN_OVERVIEW, &m->err);
    bool ok = page && figure_draw(page, style, &m->grid, &m->err);
    figure_free(page);
    return ok;
}

static bool redraw(Components *m, const Ui *u, const Figure *f, Area a)
{
    DrawStyle style = u->draw;
    style.width = a.cols > 20 ? a.cols : 20;
    m->old = false;
    m->rows = a.rows;
    m->cols = a.cols;
    m->style = u->style_changes;
    grid_done(&m->grid);
    if (m->look == LOOK_ALL)
        return draw_all(m, f, &style);
    if (m->look == LOOK_ONE || !m->pictures) {
        int r = selected(m);
        return r >= 0 && figure_draw_component(f, r, a.rows, &style, &m->grid, &m->err);
    }
    Figure scaled = *m->pictures;
    scaled.scale = m->scale;
    return gallery_draw(&scaled, &style, a.rows, &m->page, &m->grid, &m->err);
}

static void draw(Ui *u, Area a, bool focus)
{
    Components *m = state_of(u);
    (void)focus;
    if (m->list.n == 0) {
        paint_str(&u->paint, a, 0, 1,
                  "no components yet: cl.show(cl.components { ... })", ROLE_DIM);
        paint_str(&u->paint, a, 1, 1,
                  "shows a dictionary, an autoencoder or a parameter decomposition",
                  ROLE_DIM);
        return;
    }
    const Figure *f = load(m);
    bool ok = f != NULL;
    if (ok && (m->old || m->rows != a.rows || m->cols != a.cols ||
               m->style != u->style_changes))
        ok = redraw(m, u, f, a);
    if (!ok) {
        paint_cut(&u->paint, a, 0, 1, m->err.msg, a.cols - 2, ROLE_ERROR);
        return;
    }
    int most = m->grid.rows > a.rows ? m->grid.rows - a.rows : 0;
    m->top = m->top > most ? most : m->top;
    paint_grid(&u->paint, a, 0, 0, &m->grid, m->top, a.rows);
    if (most > m->top)
        paint_right(&u->paint, a, a.rows - 1, a.cols, " more below ", ROLE_DIM);
}

static void title(Ui *u, Str *out)
{
    const Components *m = state_of(u);
    if (m->list.n == 0)
        return;
    str_add(out, picture_title(&m->list.pic[m->at]));
    const Figure *f = m->known;
    if (f && m->look != LOOK_ALL)
        str_addf(out, "  %d/%d by %s%s", m->page.selected + 1, m->n,
                 m->sort >= 0 ? f->series[m->sort].name : "number",
                 m->rising ? ", rising" : "");
    if (m->list.n > 1)
        str_addf(out, "  set %d/%d", m->at + 1, m->list.n);
}

/* --- keys ------------------------------------------------------------------------- */

static bool gallery_seen(const Components *m)
{
    return m->look == LOOK_GALLERY && m->pictures;
}

static void go_to(Components *m, int64_t place)
{
    if (place < 0 || place >= m->n)
        return;
    m->page.selected = (int)place;
    m->old = true;
}

static void scroll_by(Components *m, int lines)
{
    int64_t top = (int64_t)m->top + lines;
    m->top = top < 0 ? 0 : top > INT_MAX ? INT_MAX : (int)top;
}

static void move(Ui *u, int by, int rows)
{
    Components *m = state_of(u);
    if (!load(m))
        return;
    if (rows && !gallery_seen(m))
        scroll_by(m, rows);
    else if (m->look != LOOK_ALL)
        go_to(m, (int64_t)m->page.selected + by + (int64_t)rows * m->page.per_row);
}

static void scroll(Ui *u, int lines)
{
    Components *m = state_of(u);
    if (!load(m))
        return;
    if (!gallery_seen(m))
        scroll_by(m, lines);
    else if (gallery_page(&m->page, m->n, lines < 0 ? -1 : 1))
        m->old = true;
}

/* g and G. */
static void to_end(Ui *u, int steps)
{
    Components *m = state_of(u);
    if (!load(m))
        return;
    if (steps == INT_MAX || steps == -INT_MAX)
        go_to(m, steps < 0 ? 0 : m->n - 1);
    else
        move(u, 0, steps);
}

static void pages(Ui *u, int by)
{
    Components *m = state_of(u);
    if (!load(m))
        return;
    if (!gallery_seen(m))
        move(u, by, 0);
    else
        scroll(u, by);
}

static void sort_by(Ui *u, int step)
{
    Components *m = state_of(u);
    const Figure *f = load(m);
    if (!f)
        return;
    if (f->n_series == 0) {
        ui_say(u, ROLE_DIM, "this set has no metrics to sort by");
        return;
    }
    int by = (m->sort + step + f->n_series) % f->n_series;
    text_copy(m->sort_name, sizeof m->sort_name, f->series[by].name);
    sort_again(m, f, -1);
    m->page.selected = m->page.first = 0;
    ui_say(u, ROLE_DIM, "by %s, %s first", f->series[by].name,
           m->rising ? "the smallest" : "the largest");
}

static void step_set(Ui *u, int step, bool same_name)
{
    Components *m = state_of(u);
    int to = m->list.n > 0 ? pictures_step(&m->list, m->at, step, same_name) : -1;
    if (to < 0) {
        ui_say(u, ROLE_DIM,
               step > 0 ? "this is the last one" : "this is the first one");
        return;
    }
    load(m); /* so that the component stays */
    show(m, to);
    m->follow = to == m->list.n - 1;
}

static void look_at(Ui *u, Look3 look, Look3 back)
{
    Components *m = state_of(u);
    if (!load(m))
        return;
    m->look = m->look == look ? back : look;
    m->top = 0;
    m->old = true;
}

#define KEY(name, call)                                                                \
    void act_parts_##name(Ui *u, const char *arg)                                      \
    {                                                                                  \
        (void)arg;                                                                     \
        call;                                                                          \
    }
KEY(left, move(u, -1, 0))
KEY(right, move(u, 1, 0))
KEY(up, move(u, 0, -1))
KEY(down, move(u, 0, 1))
KEY(next_page, pages(u, 1))
KEY(previous_page, pages(u, -1))
KEY(sort_next, sort_by(u, 1))
KEY(sort_previous, sort_by(u, -1))
KEY(later, step_set(u, 1, true))
KEY(earlier, step_set(u, -1, true))
KEY(next_set, step_set(u, 1, false))
KEY(previous_set, step_set(u, -1, false))
KEY(open, look_at(u, LOOK_ONE, LOOK_GALLERY))
KEY(overview, look_at(u, LOOK_ALL, LOOK_GALLERY))
#undef KEY

void act_parts_reverse(Ui *u, const char *arg)
{
    Components *m = state_of(u);
    const Figure *f = load(m);
    (void)arg;
    if (!f)
        return;
    m->rising = !m->rising;
    sort_again(m, f, -1);
    m->page.selected = m->page.first = 0;
}

void act_parts_scale(Ui *u, const char *arg)
{
    static const char *const words[] = {"one scale for all", "each its own scale",
                                        "99th percentile, larger values clipped"};
    Components *m = state_of(u);
    (void)arg;
    m->scale = (FigScale)((m->scale + 1) % 3);
    m->scale_set = m->old = true;
    ui_say(u, ROLE_DIM, "gallery: %s", words[m->scale]);
}

/* The component that is shown, else the set. */
void act_parts_export(Ui *u, const char *arg)
{
    Components *m = state_of(u);
    const Figure *f = load(m);
    char path[PATH_MAX], name[200];
    Err err = {0};
    if (!f) {
        ui_say(u, ROLE_DIM, "there are no components");
        return;
    }
    int r = selected(m);
    bool one = m->look == LOOK_ONE && r >= 0;
    const char *id = jval_get(m->list.pic[m->at].event, "id", "components");
    snprintf(name, sizeof name, one ? "%.80s-%d" : "%.80s", id, r + 1);
    picture_path(arg, name, path, sizeof path);
    Figure *page = one ? figure_one_component(f, r, &err) : NULL;
    bool ok = (page || !one) && figure_save(one ? page : f, path, &err);
    figure_free(page);
    if (ok)
        ui_wrote(u, path);
    else
        ui_say(u, ROLE_ERROR, "%s", err.msg);
}

/* A number is the component's, anything else is looked for in names. */
static bool find(Ui *u, const char *text, int step)
{
    Components *m = state_of(u);
    const Figure *f = load(m);
    char *end;
    long number = strtol(text, &end, 10);
    for (int k = 1; f && k <= m->n; k++) {
        int p = ((m->page.selected + k * step) % m->n + m->n) % m->n, r = m->order[p];
        const char *name = f->left[r];
        bool is = *end == '\0' && end > text
                      ? r + 1 == number
                      : text_find(name, strlen(name), text) < strlen(name);
        if (is) {
            go_to(m, p);
            return true;
        }
    }
    return false;
}

/* The metrics of the set as CSV. */
static bool copy(Ui *u, Str *out)
{
    const Figure *f = load(state_of(u));
    return f && figure_csv(f, out, NULL);
}

const PaneRow pane_components = {
    .name = "components",
    .tab = "parts",
    .make = make,
    .free = destroy,
    .event = event,
    .draw = draw,
    .title = title,
    .scroll = scroll,
    .select = to_end,
    .find = find,
    .copy = copy,
};
