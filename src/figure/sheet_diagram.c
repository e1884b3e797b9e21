/* sheet_diagram.c -- columns of nodes and their edges on paper. Edges are as wide and
 * as dark as they are strong; names stand beside the first and the last column, and above
 * the nodes between. */
#include <math.h>

#include "base/intr.h"
#include "base/mem.h"
#include "figure/diagram.h"
#include "figure/multiples.h"
#include "figure/sheet.h"

#define SMALL  8.5
#define STEP   20.0
#define RADIUS 2.6
#define WIDEST 60.0 /* of names, where the diagram stands alone */

typedef struct Frame {
    double x, y, w, h;
} Frame;

static Ink small(double align)
{
    return (Ink){SMALL, 0, align, sheet_ink};
}

static double names_width(Sheet *s, const Figure *f, int first, int n)
{
    double most = 0;
    for (int i = 0; i < n; i++)
        most = fmax(most, paper_width(s->paper, f->left[first + i], small(0)));
    return fmin(most, fmin(s->room / 4, WIDEST));
}

static void draw_edges(Sheet *s, const Diagram *d, const Frame *b)
{
    for (int i = d->weak; i < d->n; i++) {
        const Edge *e = d->order[i];
        double x0, y0, x1, y1, t = fmax(fmin(e->weight / d->limit, 1), -1), a = fabs(t);
        double shade = 0.12 + 0.78 * a;
        diagram_at(d->f, e->left, &x0, &y0);
        diagram_at(d->f, e->right, &x1, &y1);
        bool minus = d->f->is_signed && t < 0;
        paper_line(s->paper, b->x + x0 * b->w, b->y + (1 - y0) * b->h, b->x + x1 * b->w,
                   b->y + (1 - y1) * b->h, 0.4 + 2.6 * a,
                   map_on_paper(sheet_map(d->f), minus ? -shade : shade));
    }
}

static void draw_nodes(Sheet *s, const Figure *f, const Frame *b, double left,
                       double right)
{
    int first = 0;
    for (int k = 0; k < f->n_stages; first += f->stage[k++]) {
        int step = 1, n = f->stage[k];
        while (n > 1 && step * b->h / (n - 1) < SMALL + 1)
            step++;
        for (int i = 0; i < n; i++) {
            double x, y;
            diagram_at(f, first + i, &x, &y);
            x = b->x + x * b->w;
            y = b->y + (1 - y) * b->h;
            paper_mark(s->paper, x, y, fmin(RADIUS, 0.4 * b->h / n), 0, sheet_ink);
            if (i % step)
                continue;
            const char *name = f->left[first + i];
            if (k == 0)
                paper_cut(s->paper, x - 6, y - SMALL * 0.65, left, name, small(1));
            else if (k + 1 == f->n_stages)
                paper_cut(s->paper, x + 6, y - SMALL * 0.65, right, name, small(0));
            else
                paper_text(s->paper, x, y - SMALL * 1.3 - RADIUS, name, small(0.5));
        }
    }
}

static bool scale(Sheet *s, const Figure *f, double limit, int drawn, int weak,
                  Err *err)
{
    char number[32];
    Str t;
    str_init(&t);
    figure_number(limit, number);
    if (drawn < 0)
        str_add(&t, "width and shade of edges: weight");
    else
        str_addf(&t, "%d edges, width and shade by weight", drawn);
    if (weak > 0)
        str_addf(&t, ", %d below 1/20 of it left out", weak);
    sheet_bar(s, sheet_map(f), number, t.s);
    bool ok = str_ok(&t, err);
    str_done(&t);
    return ok;
}

bool sheet_diagram_scale(Sheet *s, const Figure *page, const Figure *f, Err *err)
{
    return scale(s, f, f->limit, -1, multiples_weak(page, f), err);
}

bool sheet_diagram(Sheet *s, const Figure *f, Err *err)
{
    Diagram d;
    int last = f->n_stages - 1, most = 0;
    if (!diagram_sort(f, &d, err))
        return false;
    double left = names_width(s, f, 0, f->stage[0]);
    double right = names_width(s, f, f->n_left - f->stage[last], f->stage[last]);
    for (int k = 0; k < f->n_stages; k++)
        most = most > f->stage[k] ? most : f->stage[k];
    Frame b = {.x = s->x + left + 6 + RADIUS, .y = s->y + SMALL};
    b.w = s->x + s->room - right - 6 - RADIUS - b.x;
    b.h = fmin(fmax((most - 1) * STEP, 3 * STEP), s->tile ? s->room : 520);
    draw_edges(s, &d, &b);
    draw_nodes(s, f, &b, left, right);
    s->y = b.y + b.h + SMALL;
    mem_free(d.order);
    if (!multiples_told(s->common, f) &&
        !scale(s, f, d.limit, d.n - d.weak, d.weak, err))
        return false;
    return intr_check(err);
}
