/* draw_components.c -- a component on one screen. Its first pictures stand at the upper
 * left, as large as leaves room for the others; bars, curves and metrics stand beside
 * them, further pictures (examples) in rows below. The whole table of metrics follows
 * at the end where it did not fit beside. */
#include <string.h>

#include "figure/clean.h"
#include "figure/draw.h"

enum {
    OVERVIEW = 6, /* components in a set's overview */
    BESIDE = 20,  /* columns that bars and metrics need at least */
    GUTTER = 2,
    FULL_METRICS = 44 /* columns of a table with null and limit */
};

typedef struct Plan {
    const Figure *pictures, *table; /* NULL: there is none */
    const Figure *side[FIG_KINDS * 4], *below[FIG_KINDS * 4];
    int n_side, n_below;
    int size;   /* of the longer side of the first pictures */
    int across; /* further pictures beside each other */
} Plan;

static void sort_parts(const Figure *page, Plan *p)
{
    for (int i = 0; i < page->n_parts; i++) {
        const Figure *f = page->parts[i];
        if (f->kind == FIG_IMAGES && !p->pictures)
            p->pictures = f;
        else if (f->kind == FIG_IMAGES && p->n_below < (int)ARRAY_LEN(p->below))
            p->below[p->n_below++] = f;
        else if (f->kind == FIG_TABLE)
            p->table = f;
        else if (f->kind != FIG_IMAGES && p->n_side < (int)ARRAY_LEN(p->side))
            p->side[p->n_side++] = f;
    }
}

static int label_rows(const Figure *f)
{
    return (f->labels != NULL) + (f->scale == SCALE_EACH);
}

/* Rows that the pictures below take, with their titles, `across` beside each other. */
static int rows_below(const Plan *p, int across)
{
    int rows = 0;
    for (int i = 0; i < p->n_below; i += across)
        rows += 8 + label_rows(p->below[i]);
    return rows;
}

/* The largest size at which all fits, pictures below preferably in rows of their own.
 */
static void choose(const Canvas *c, int rows, Plan *p)
{
    static const int sizes[] = {28, 24, 20, 18, 16, 14};
    DrawStyle style = c->style;
    const Figure *f = p->pictures;
    int own = at_least(f->h, f->w), room = c->width - BESIDE - GUTTER;
    p->size = 14;
    p->across = c->width >= 60 && p->n_below > 1 ? 2 : 1;
    for (int i = -1; i < 2 * (int)ARRAY_LEN(sizes); i++) {
        int size = i < 0 ? 2 * at_least(own, 28) : sizes[i / 2];
        int across = i >= 0 && i % 2 == 1 && c->width >= 60 ? 2 : 1;
        int high = (size * f->h / own + 1) / 2 + label_rows(f) +
                   (f->is_signed && style.level < (f->rgb ? LEVEL_256 : LEVEL_ANSI));
        style.width = at_least(room, 20);
        if (1 + high + rows_below(p, across) > rows ||
            figure_row_at(f, &style, size) < f->n)
            continue;
        p->size = size;
        p->across = across;
        return;
    }
}

/* --- metrics as lines ------------------------------------------------------------- */

static int column_width(const Figure *t, int j)
{
    int most = clean_width(t->head[j]);
    for (int i = 0; i < t->n_rows; i++)
        most = at_least(most, clean_width(t->cell[i * t->n_cols + j]));
    return most;
}

/* As many of the table's columns as fit, the names cut if they must. */
static bool draw_metrics(Canvas *c, const Figure *t, Err *err)
{
    int width[8], n = at_most(t->n_cols, (int)ARRAY_LEN(width)), total = 0, fit = 0;
    for (int j = 0; j < n; j++)
        width[j] = column_width(t, j);
    for (; fit < n && (fit < 2 || total + 1 + width[fit] <= c->width); fit++)
        total += width[fit] + (fit > 0);
    if (total > c->width)
        width[0] = at_least(width[0] - (total - c->width), 3);
    if (!canvas_need(c, t->n_rows + 1, err))
        return false;
    for (int i = -1; i < t->n_rows; i++) {
        int at = 0;
        for (int j = 0; j < fit; j++) {
            const char *s = i < 0 ? t->head[j] : t->cell[i * t->n_cols + j];
            int w = clean_width(s), pad = j > 0 ? at_least(width[j] - w, 0) : 0;
            canvas_cut(c, c->row, at + pad, s, width[j], GRID_DEFAULT,
                       i < 0 ? CELL_DIM : 0);
            at += width[j] + 1;
        }
        c->row++;
    }
    return true;
}

/* --- the parts -------------------------------------------------------------------- */

static bool draw_side(Canvas *c, const Plan *p, Err *err)
{
    bool two = p->n_side > 0 && p->table && c->width >= 2 * 16 + GUTTER;
    Canvas bars, metrics;
    int half = two ? (c->width - GUTTER) / 2 : c->width, top = c->row;
    Grid g, h;
    if (!canvas_part(c, half, &bars, &g, err))
        return false;
    bool ok = true;
    for (int i = 0; ok && i < p->n_side; i++) {
        Figure bare = *p->side[i];
        bars.style.rows = 6;
        bars.bare = true; /* the numbers are there */
        ok = canvas_figure(&bars, &bare, err);
    }
    if (ok && !two && p->table)
        ok = draw_metrics(&bars, p->table, err);
    ok = canvas_paste(c, &bars, top, 0, ok, err);
    if (!ok || !two)
        return ok;
    int end = c->row;
    if (!canvas_part(c, c->width - half - GUTTER, &metrics, &h, err))
        return false;
    ok = draw_metrics(&metrics, p->table, err);
    ok = canvas_paste(c, &metrics, top, half + GUTTER, ok, err);
    c->row = at_least(c->row, end);
    return ok;
}

/* First pictures, and beside them what is no picture. *beside: there was room. */
static bool draw_top(Canvas *c, const Plan *p, bool *beside, Err *err)
{
    Canvas left, right;
    Grid g, h;
    int top = c->row;
    *beside = false;
    if (!canvas_part(c, c->width, &left, &g, err))
        return false;
    left.side = p->size;
    left.bare = true;
    bool ok = draw_images(&left, p->pictures, -1, 0, err);
    int used = canvas_used(&left, 0);
    ok = canvas_paste(c, &left, top, 0, ok, err);
    int room = c->width - used - GUTTER, end = c->row;
    if (!ok || room < BESIDE || (p->n_side == 0 && !p->table))
        return ok;
    if (!canvas_part(c, room, &right, &h, err))
        return false;
    *beside = true;
    ok = draw_side(&right, p, err);
    ok = canvas_paste(c, &right, top, used + GUTTER, ok, err);
    c->row = at_least(c->row, end);
    return ok;
}

/* As many of a part's pictures as stand in one row. */
static bool draw_row_of(Canvas *c, const Figure *f, Err *err)
{
    Figure some = *f;
    DrawStyle style = c->style;
    style.width = c->width;
    c->side = 14;
    c->bare = true;
    some.caption = NULL;
    some.n = at_most(f->n, figure_row_at(f, &style, c->side));
    return canvas_figure(c, &some, err);
}

static bool draw_below(Canvas *c, const Plan *p, Err *err)
{
    bool ok = true;
    int wide = (c->width - GUTTER * (p->across - 1)) / p->across;
    for (int i = 0; ok && i < p->n_below; i += p->across) {
        int top = c->row, end = top;
        for (int k = 0; ok && k < p->across && i + k < p->n_below; k++) {
            Canvas part;
            Grid g;
            if (!canvas_part(c, wide, &part, &g, err))
                return false;
            ok = draw_row_of(&part, p->below[i + k], err);
            ok = canvas_paste(c, &part, top, k * (wide + GUTTER), ok, err);
            end = at_least(end, c->row);
        }
        c->row = end;
    }
    return ok;
}

bool draw_component(Canvas *c, const Figure *page, int rows, Err *err)
{
    Plan p = {0};
    bool beside = false;
    sort_parts(page, &p);
    bool ok = !page->title || canvas_text(c, page->title, CELL_BOLD, err);
    if (p.pictures) {
        choose(c, rows, &p);
        ok = ok && draw_top(c, &p, &beside, err);
    } else {
        p.across = 1;
    }
    ok = ok && (beside || draw_side(c, &p, err)) && draw_below(c, &p, err);
    if (ok && p.table && beside && p.table->n_cols > 2 && c->width < 2 * FULL_METRICS)
        ok = draw_metrics(c, p.table, err);
    return ok;
}

bool draw_components(Canvas *c, const Figure *f, Err *err)
{
    Figure *page = figure_overview(f, OVERVIEW, err);
    bool ok = page && figure_set_title(page, NULL, err) && /* drawn by the frame */
              figure_set_caption(page, NULL, err) && canvas_figure(c, page, err);
    figure_free(page);
    return ok;
}
