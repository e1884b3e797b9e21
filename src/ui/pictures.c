/* pictures.c -- lists of figure events and pages of galleries. Labels of a page are
 * made anew, with a mark at the selected group; pixels stay the figure's. */
#include "ui/pictures.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "figure/sample.h"
#include "lab/jval.h"
#include "ui/find.h"

enum { MAX_FIGURES = 2000, PAGE_MAX = 240, TRIES = 6, THUMB = 14, LEAST_SIDE = 6 };

bool pictures_add(Pictures *p, const json_t *ev, const char *dir, bool *dropped)
{
    if (dropped)
        *dropped = p->n == MAX_FIGURES;
    if (p->n == MAX_FIGURES) {
        json_decref(p->pic[0].event);
        mem_free(p->pic[0].dir);
        memmove(p->pic, p->pic + 1, (size_t)--p->n * sizeof *p->pic);
    }
    if (p->n == p->cap) {
        int cap = p->cap ? 2 * p->cap : 16;
        Picture *more = mem_realloc(p->pic, (size_t)cap * sizeof *more, NULL);
        if (!more)
            return false;
        p->pic = more;
        p->cap = cap;
    }
    char *copy = mem_strdup(dir, NULL);
    if (copy)
        p->pic[p->n++] = (Picture){json_incref((json_t *)ev), copy};
    return copy != NULL;
}

void pictures_drop(Pictures *p, int i)
{
    json_decref(p->pic[i].event);
    mem_free(p->pic[i].dir);
    memmove(&p->pic[i], &p->pic[i + 1], (size_t)(--p->n - i) * sizeof *p->pic);
}

void pictures_done(Pictures *p)
{
    for (int i = 0; i < p->n; i++) {
        json_decref(p->pic[i].event);
        mem_free(p->pic[i].dir);
    }
    mem_free(p->pic);
    *p = (Pictures){0};
}

const char *picture_name(const Picture *p)
{
    return jval_get(p->event, "name", "");
}

const char *picture_title(const Picture *p)
{
    const char *title = jval_get(p->event, "title", "");
    return title[0] ? title : jval_get(p->event, "name", jval_get(p->event, "id", ""));
}

bool picture_is(const Picture *p, FigKind kind)
{
    return strcmp(jval_get(p->event, "kind", ""), figure_kind_name(kind)) == 0;
}

int pictures_step(const Pictures *p, int at, int step, bool same_name)
{
    for (int i = at + step; at >= 0 && i >= 0 && i < p->n; i += step) {
        if (!same_name ||
            strcmp(picture_name(&p->pic[i]), picture_name(&p->pic[at])) == 0)
            return i;
    }
    return -1;
}

/* Of two series that one cell draws in turn, the one looked at stays. */
Follow pictures_follow(const Pictures *p, int at, bool newest, const json_t *event)
{
    if (at >= p->n)
        return FOLLOW_NEW;
    const Picture *now = &p->pic[at];
    const char *name = picture_name(now);
    bool last = pictures_step(p, at, 1, true) < 0;
    bool series = name[0] && pictures_step(p, at, -1, true) >= 0;
    if (name[0] && last && strcmp(name, jval_get(event, "name", "")) == 0)
        return FOLLOW_SAME;
    if (series && last &&
        jval_get_int(now->event, "cell", -1) == jval_get_int(event, "cell", -2))
        return FOLLOW_NOT;
    return newest ? FOLLOW_NEW : FOLLOW_NOT;
}

static bool has(const char *s, const char *text)
{
    return text_find(s, strlen(s), text) < strlen(s);
}

int pictures_find(const Pictures *p, int at, int step, const char *text)
{
    for (int k = 1; k <= p->n; k++) {
        int i = ((at + k * step) % p->n + p->n) % p->n;
        if (has(jval_get(p->pic[i].event, "title", ""), text) ||
            has(jval_get(p->pic[i].event, "id", ""), text))
            return i;
    }
    return -1;
}

const Figure *loaded_get(Loaded *l, const Picture *p, Err *err)
{
    if (l->figure && l->event == p->event)
        return l->figure;
    loaded_done(l);
    JournalReader *r = jreader_open(p->dir, err);
    if (r)
        l->figure = jreader_figure(r, p->event, err);
    jreader_close(r);
    l->event = l->figure ? json_incref(p->event) : NULL;
    return l->figure;
}

void loaded_done(Loaded *l)
{
    figure_free(l->figure);
    json_decref(l->event);
    *l = (Loaded){0};
}

double figure_largest(const Figure *f)
{
    size_t n = (size_t)f->n * figure_plane(f);
    double most = sample_least(f);
    for (size_t i = 0; i < n; i++) {
        double v = (double)f->pixels[i];
        if (isfinite(v) && (f->is_signed ? fabs(v) : v) > most)
            most = f->is_signed ? fabs(v) : v;
    }
    return most;
}

/* --- pages ------------------------------------------------------------------------ */

typedef struct Part {
    Figure f;
    char *label[PAGE_MAX];
    char text[PAGE_MAX][96];
} Part;

static void make_part(const Gallery *g, const Figure *f, int groups, Part *p)
{
    int first = g->first * g->group;
    p->f = *f;
    p->f.n = groups * g->group < PAGE_MAX ? groups * g->group : PAGE_MAX;
    p->f.pixels = f->pixels + (size_t)first * figure_plane(f);
    p->f.group = g->group > 1 ? g->group : f->group;
    p->f.labels = p->label;
    p->f.title = p->f.caption = NULL;
    if (p->f.n < f->n && f->scale == SCALE_SHARED && f->limit <= 0)
        p->f.limit = figure_largest(f);
    for (int i = 0; i < p->f.n; i++) {
        int k = first + i;
        const char *own = f->labels && f->labels[k] ? f->labels[k] : "";
        char mark = k / g->group == g->selected && k % g->group == 0 ? '>' : ' ';
        if (own[0])
            snprintf(p->text[i], sizeof p->text[i], "%c%s", mark, own);
        else
            snprintf(p->text[i], sizeof p->text[i], "%c#%d", mark, k + 1);
        p->label[i] = p->text[i];
    }
}

/* Every page has pictures of one size: thumbnails when not all stand in one row. */
static DrawStyle page_style(const Figure *f, const DrawStyle *style, const Gallery *g)
{
    DrawStyle s = *style;
    Figure whole = *f;
    whole.group = g->group;
    if (s.side == 0 && figure_per_row(&whole, &s) < f->n)
        s.side = THUMB;
    return s;
}

static bool draw_from(const Figure *f, const DrawStyle *style, int rows, Gallery *g,
                      Grid *out, Err *err)
{
    Part *p = mem_alloc(sizeof *p, err);
    int n = f->n / g->group - g->first, most = PAGE_MAX / g->group;
    n = n < most ? n : most > 0 ? most : 1;
    bool ok = p != NULL;
    for (int i = 0; ok && i < TRIES; i++) {
        make_part(g, f, n, p);
        int row = figure_per_row(&p->f, style);
        g->per_row = row > g->group ? row / g->group : 1;
        grid_done(out);
        ok = figure_draw(&p->f, style, out, err);
        if (!ok || out->rows <= rows || n <= g->per_row)
            break;
        int lines = (n + g->per_row - 1) / g->per_row;
        int each = lines > 0 ? out->rows / lines : 1; /* the scale is shared */
        int fit = rows / (each > 0 ? each : 1);
        int want = (fit > 0 ? fit : 1) * g->per_row;
        n = want < n ? want : n - g->per_row;
    }
    g->on_page = n;
    mem_free(p);
    return ok;
}

bool gallery_draw(const Figure *f, const DrawStyle *style, int rows, Gallery *g,
                  Grid *out, Err *err)
{
    int n = f->n / g->group;
    g->selected = g->selected >= n ? n - 1 : g->selected < 0 ? 0 : g->selected;
    if (g->selected < g->first || g->first >= n)
        g->first = g->selected;
    DrawStyle s = page_style(f, style, g);
    if (!draw_from(f, &s, rows, g, out, err))
        return false;
    if (out->rows > rows) { /* not even one line: smaller pictures */
        int spare = rows - 3 - (f->scale == SCALE_EACH);
        s.side = 2 * spare > LEAST_SIDE ? 2 * spare : LEAST_SIDE;
        if (!draw_from(f, &s, rows, g, out, err))
            return false;
    }
    if (g->selected < g->first + g->on_page)
        return true;
    g->first = g->selected / g->on_page * g->on_page;
    return draw_from(f, &s, rows, g, out, err);
}

bool gallery_page(Gallery *g, int n_groups, int by)
{
    int step = g->on_page > 0 ? g->on_page : 1;
    int64_t to = (int64_t)g->first + by * step;
    if (by < 0 && g->first == 0)
        return false;
    to = to < 0 ? 0 : to;
    if (to >= n_groups)
        return false;
    g->first = g->selected = (int)to;
    return true;
}

void picture_path(const char *given, const char *name, char *dst, size_t cap)
{
    snprintf(dst, cap, "%s%s", given[0] ? given : name, given[0] ? "" : ".png");
    for (char *c = dst; !given[0] && *c; c++) {
        if (*c == '/' || *c == ' ')
            *c = '-';
    }
}
