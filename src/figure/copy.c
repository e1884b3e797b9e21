/* copy.c -- a deep copy, made with the same functions that fill a figure, so that every
 * check holds for the copy as well. */
#include "figure/figure.h"

static Figure *empty_like(const Figure *f, Err *err)
{
    switch (f->kind) {
    case FIG_IMAGES:
        return figure_images_like(f, f->n, f->pixels, err);
    case FIG_TABLE: return figure_table(f->n_rows, f->n_cols, err);
    case FIG_TEXT: return figure_text(f->text, err);
    case FIG_PLOT: return figure_plot(err);
    case FIG_BARS: return figure_bars(f->n_left, err);
    case FIG_HEAT: return figure_heat(f->h, f->w, f->pixels, f->is_signed, err);
    case FIG_BIPARTITE: return figure_bipartite(f->n_left, f->n_right, err);
    case FIG_BETWEEN: return figure_between(err);
    case FIG_DIAGRAM: return figure_diagram(f->n_stages, f->stage, f->is_signed, err);
    case FIG_COMPONENTS: return figure_components(f->n_left, err);
    case FIG_PAGE: break;
    }
    return figure_page(err);
}

static bool copy_series(Figure *to, const Series *s, Err *err)
{
    bool ok =
        figure_add_series(to, s->name, s->mark, s->n, s->x, s->y, s->lo, s->hi, err);
    for (int i = 0; ok && s->label && i < s->n; i++)
        ok = figure_set_point(to, i, s->label[i], err);
    return ok;
}

static bool copy_names(Figure *to, const Figure *f, Err *err)
{
    bool ok = true;
    for (int i = 0; ok && f->labels && i < f->n; i++)
        ok = figure_set_label(to, i, f->labels[i], err);
    for (int i = 0; ok && i < f->n_left; i++)
        ok = figure_set_left(to, i, f->left[i], err);
    for (int i = 0; ok && i < f->n_right; i++)
        ok = figure_set_right(to, i, f->right[i], err);
    for (int j = 0; ok && j < f->n_cols; j++)
        ok = figure_set_head(to, j, f->head[j], f->numeric[j], err);
    for (int i = 0; ok && i < f->n_rows * f->n_cols; i++)
        ok = figure_set_cell(to, i / f->n_cols, i % f->n_cols, f->cell[i], err);
    return ok;
}

static bool copy_axes(Figure *to, const Figure *f, Err *err)
{
    if (f->kind != FIG_PLOT && f->kind != FIG_BARS)
        return true;
    to->x.lo = f->x.lo;
    to->x.hi = f->x.hi;
    to->y.lo = f->y.lo;
    to->y.hi = f->y.hi;
    return (f->kind == FIG_BARS ||
            figure_set_axis(to, false, f->x.label, f->x.log, err)) &&
           figure_set_axis(to, true, f->y.label, f->y.log, err);
}

static bool copy_members(Figure *to, const Figure *f, Err *err)
{
    bool ok = copy_names(to, f, err) && copy_axes(to, f, err);
    for (int i = 0; ok && i < f->n_series; i++)
        ok = copy_series(to, &f->series[i], err);
    for (int i = 0; ok && i < f->n_edges; i++)
        ok = figure_add_edge(to, f->edges[i].left, f->edges[i].right,
                             f->edges[i].weight, err);
    for (int i = 0; ok && i < f->n_between; i++)
        ok = figure_add_between(to, &f->between[i], err);
    for (int i = 0; ok && i < f->n_parts; i++) {
        Figure *part = figure_copy(f->parts[i], err);
        ok = part && figure_add_part(to, part, err);
    }
    return ok;
}

Figure *figure_copy(const Figure *f, Err *err)
{
    Figure *to = empty_like(f, err);
    if (!to)
        return NULL;
    to->is_signed = f->is_signed;
    to->scale = f->scale;
    to->tone = f->tone;
    to->limit = f->limit;
    to->per_row = f->per_row;
    to->group = f->group;
    to->each = f->each;
    to->multiples = f->multiples;
    if (figure_set_title(to, f->title, err) &&
        figure_set_caption(to, f->caption, err) && copy_members(to, f, err))
        return to;
    figure_free(to);
    return NULL;
}
