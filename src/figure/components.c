/* components.c -- a set of components taken apart into plain figures: a page about one
 * of them, and one page about all. Everything that draws or writes a set goes through
 * these pages. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "figure/figure.h"

enum { HEAT_ROWS = 40 };

/* --- one component ---------------------------------------------------------------- */

/* Images first .. first + n - 1 with their labels. */
static Figure *some_images(const Figure *f, int first, int n, Err *err)
{
    Figure *to =
        figure_images_like(f, n, f->pixels + (size_t)first * figure_plane(f), err);
    bool ok = to != NULL;
    for (int i = 0; ok && f->labels && i < n; i++)
        ok = figure_set_label(to, i, f->labels[first + i], err);
    if (ok)
        return to;
    figure_free(to);
    return NULL;
}

static Figure *row_as_bars(const Figure *f, int r, Err *err)
{
    Figure *to = figure_bars(f->w, err);
    double *y = to ? mem_array((size_t)f->w, sizeof *y, err) : NULL;
    bool ok = y != NULL;
    for (int j = 0; ok && j < f->w; j++) {
        y[j] = (double)f->pixels[(size_t)r * (size_t)f->w + (size_t)j];
        ok = figure_set_left(to, j, f->right[j], err);
    }
    ok = ok && figure_add_series(to, NULL, MARK_LINE, f->w, NULL, y, NULL, NULL, err);
    mem_free(y);
    if (ok) {
        to->is_signed = f->is_signed;
        return to;
    }
    figure_free(to);
    return NULL;
}

static Figure *one_curve(const Figure *f, int r, Err *err)
{
    const Series *s = &f->series[r];
    Figure *to = figure_plot(err);
    if (to && figure_set_axis(to, false, f->x.label, f->x.log, err) &&
        figure_set_axis(to, true, f->y.label, f->y.log, err) &&
        figure_add_series(to, NULL, s->mark, s->n, s->x, s->y, s->lo, s->hi, err)) {
        to->x.lo = f->x.lo;
        to->x.hi = f->x.hi;
        to->y.lo = f->y.lo;
        to->y.hi = f->y.hi;
        return to;
    }
    figure_free(to);
    return NULL;
}

static Figure *part_of_one(const Figure *part, int n, int r, Err *err)
{
    int k = part->kind == FIG_IMAGES ? part->n / n : 0;
    Figure *to = part->kind == FIG_IMAGES ? some_images(part, r * k, k, err)
                 : part->kind == FIG_HEAT ? row_as_bars(part, r, err)
                                          : one_curve(part, r, err);
    if (to && figure_set_title(to, part->title, err) &&
        figure_set_caption(to, part->caption, err))
        return to;
    figure_free(to);
    return NULL;
}

static double member(const double *list, int i)
{
    return list ? list[i] : (double)NAN;
}

/* 1 is the largest; 0: it has no value. */
static int rank_of(const Series *s, int r)
{
    int rank = 1;
    if (isnan(s->y[r]))
        return 0;
    for (int i = 0; i < s->n; i++)
        rank += s->y[i] > s->y[r];
    return rank;
}

static bool any_known(const Figure *f, bool limit)
{
    for (int k = 0; k < f->n_series; k++) {
        const double *v = limit ? f->series[k].hi : f->series[k].lo;
        for (int i = 0; v && i < f->series[k].n; i++)
            if (!isnan(v[i]))
                return true;
    }
    return false;
}

static bool set_number(Figure *t, int row, int col, double v, Err *err)
{
    char text[32];
    figure_number(v, text);
    return figure_set_cell(t, row, col, text, err);
}

/* metric, value, rank, and null and limit where any is known. */
static Figure *metrics_of_one(const Figure *f, int r, Err *err)
{
    bool nulls = any_known(f, false), limits = any_known(f, true);
    static const char *const head[] = {"metric", "value", "rank"};
    Figure *t = figure_table(f->n_series, 3 + nulls + limits, err);
    bool ok = t != NULL;
    for (int j = 0; ok && j < 3; j++)
        ok = figure_set_head(t, j, head[j], j > 0, err);
    ok = ok && (!nulls || figure_set_head(t, 3, "null", true, err)) &&
         (!limits || figure_set_head(t, 3 + nulls, "limit", true, err));
    for (int k = 0; ok && k < f->n_series; k++) {
        const Series *s = &f->series[k];
        char rank[32];
        int place = rank_of(s, r);
        snprintf(rank, sizeof rank, place ? "%d" : "-", place);
        ok = figure_set_cell(t, k, 0, s->name ? s->name : "", err) &&
             set_number(t, k, 1, s->y[r], err) && figure_set_cell(t, k, 2, rank, err) &&
             (!nulls || set_number(t, k, 3, member(s->lo, r), err)) &&
             (!limits || set_number(t, k, 3 + nulls, member(s->hi, r), err));
    }
    if (ok)
        return t;
    figure_free(t);
    return NULL;
}

Figure *figure_one_component(const Figure *f, int r, Err *err)
{
    if (f->kind != FIG_COMPONENTS || r < 0 || r >= f->n_left) {
        err_set(err, ERR_SHAPE, "there is no such component: the figure has %d",
                f->kind == FIG_COMPONENTS ? f->n_left : 0);
        return NULL;
    }
    char name[128];
    snprintf(name, sizeof name, f->left[r][0] ? "%.110s" : "#%.0s%d", f->left[r],
             r + 1);
    Figure *page = figure_page(err);
    bool ok = page && figure_set_title(page, name, err);
    for (int i = 0; ok && i < f->n_parts; i++) {
        if (!f->parts[i]->each)
            continue;
        Figure *part = part_of_one(f->parts[i], f->n_left, r, err);
        ok = part && figure_add_part(page, part, err);
    }
    if (ok && f->n_series > 0) {
        Figure *part = metrics_of_one(f, r, err);
        ok = part && figure_add_part(page, part, err);
    }
    if (ok)
        return page;
    figure_free(page);
    return NULL;
}

/* --- all of them ------------------------------------------------------------------ */

static const Figure *first_of(const Figure *f, FigKind kind)
{
    for (int i = 0; i < f->n_parts; i++)
        if (f->parts[i]->each && f->parts[i]->kind == kind)
            return f->parts[i];
    return NULL;
}

/* "name label" below every picture, so that it is known whose it is. */
static bool name_images(const Figure *f, const Figure *from, Figure *to, Err *err)
{
    int k = from->n / f->n_left;
    bool ok = true;
    for (int i = 0; ok && i < to->n; i++) {
        char text[160];
        const char *own = from->labels && from->labels[i] ? from->labels[i] : "";
        const char *name = f->left[i / k];
        if (!name[0])
            snprintf(text, sizeof text, "#%d%s%.100s", i / k + 1, *own ? " " : "", own);
        else
            snprintf(text, sizeof text, "%.60s%s%.80s", name, *own ? " " : "", own);
        ok = figure_set_label(to, i, text, err);
    }
    return ok;
}

static bool add_gallery(const Figure *f, int most, Figure *page, Err *err)
{
    const Figure *from = first_of(f, FIG_IMAGES);
    if (!from)
        return true;
    int k = from->n / f->n_left, n = f->n_left < most ? f->n_left : most;
    Figure *to = some_images(from, 0, n * k, err);
    if (to)
        to->group = k;
    if (!to || !name_images(f, from, to, err)) {
        figure_free(to);
        return false;
    }
    char title[160];
    snprintf(title, sizeof title,
             n < f->n_left ? "%.100s, the first %d of %d components" : "%.100s",
             from->title ? from->title : "pictures", n, f->n_left);
    if (!figure_set_title(to, title, err)) {
        figure_free(to);
        return false;
    }
    return figure_add_part(page, to, err);
}

/* The bars of the first components as rows of a heat map. */
static bool add_bars(const Figure *f, int most, Figure *page, Err *err)
{
    const Figure *from = first_of(f, FIG_HEAT);
    int n = f->n_left < most ? f->n_left : most;
    n = n < HEAT_ROWS ? n : HEAT_ROWS;
    if (!from)
        return true;
    Figure *to = figure_heat(n, from->w, from->pixels, from->is_signed, err);
    bool ok = to && figure_set_title(to, from->title, err);
    for (int i = 0; ok && i < n; i++) {
        char text[24];
        snprintf(text, sizeof text, "#%d", i + 1);
        ok = figure_set_left(to, i, f->left[i][0] ? f->left[i] : text, err);
    }
    for (int j = 0; ok && j < from->w; j++)
        ok = figure_set_right(to, j, from->right[j], err);
    if (ok) {
        to->scale = from->scale;
        return figure_add_part(page, to, err);
    }
    figure_free(to);
    return false;
}

static bool add_summary(const Figure *f, Figure *page, Err *err)
{
    if (f->n_between == 0)
        return true;
    Figure *to = figure_between(err);
    bool ok = to != NULL;
    for (int i = 0; ok && i < f->n_between; i++)
        ok = figure_add_between(to, &f->between[i], err);
    if (ok)
        return figure_add_part(page, to, err);
    figure_free(to);
    return false;
}

Figure *figure_overview(const Figure *f, int most, Err *err)
{
    Figure *page = figure_page(err);
    bool ok = page && figure_set_title(page, f->title, err) &&
              figure_set_caption(page, f->caption, err) && add_summary(f, page, err) &&
              add_gallery(f, most, page, err);
    for (int i = 0; ok && i < f->n_parts; i++) {
        if (f->parts[i]->each)
            continue;
        Figure *part = figure_copy(f->parts[i], err);
        ok = part && figure_add_part(page, part, err);
    }
    if (ok && add_bars(f, most, page, err)) {
        page->per_row = f->per_row;
        return page;
    }
    figure_free(page);
    return NULL;
}

/* --- orders ----------------------------------------------------------------------- */

typedef struct Key {
    double v;
    int at;
} Key;

static int by_value(const void *x, const void *y)
{
    const Key *a = x, *b = y;
    bool na = isnan(a->v), nb = isnan(b->v);
    if (na != nb)
        return na - nb;
    if (!na && a->v != b->v)
        return a->v < b->v ? 1 : -1;
    return a->at - b->at;
}

void figure_component_order(const Figure *f, int by, bool rising, int *order)
{
    int n = f->n_left;
    for (int i = 0; i < n; i++)
        order[i] = i;
    Key *k = by >= 0 && by < f->n_series ? mem_array((size_t)n, sizeof *k, NULL) : NULL;
    if (!k) { /* as they are, also where memory is out */
        for (int i = 0; rising && i < n; i++)
            order[i] = n - 1 - i;
        return;
    }
    for (int i = 0; i < n; i++)
        k[i] = (Key){rising ? -f->series[by].y[i] : f->series[by].y[i], i};
    qsort(k, (size_t)n, sizeof *k, by_value);
    for (int i = 0; i < n; i++)
        order[i] = k[i].at;
    mem_free(k);
}
