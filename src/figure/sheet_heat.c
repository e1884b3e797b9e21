/* sheet_heat.c -- matrices with names, and bipartite graphs, on paper. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/intr.h"
#include "base/mem.h"
#include "figure/multiples.h"
#include "figure/sheet.h"

enum { WIDE = 800, CELL = 56, LEAST_CELL = 2, NUMBERS = 44 };
#define SMALL 8.5
#define LEAST 300.0

static Ink small(double align, Rgb c)
{
    return (Ink){SMALL, 0, align, c};
}

/* Pixels of a value, so that the map is about WIDE high and wide at most. */
static int cell_side(const Figure *f)
{
    int side = f->h > f->w ? f->h : f->w, k = WIDE / side;
    return k > CELL ? CELL : k < LEAST_CELL ? LEAST_CELL : k;
}

static double names_width(Paper *p, char *const *names, int n)
{
    double most = 0;
    for (int i = 0; i < n; i++)
        most = fmax(most, paper_width(p, names[i], small(0, sheet_ink)));
    return fmin(most, 120);
}

double heat_width(Paper *p, const Figure *f)
{
    double w = (double)f->w * cell_side(f) / PAPER_SCALE;
    return fmax(names_width(p, f->left, f->n_left) + 6 + w, LEAST);
}

/* Every k-th name where the cells are narrower than a line. */
static int name_step(double unit)
{
    int k = 1;
    while (k * unit < SMALL + 1)
        k++;
    return k;
}

static void heat_names(Sheet *s, const Figure *f, double x, double y, double unit,
                       double longest)
{
    Paper *p = s->paper;
    int step = name_step(unit);
    bool flat = true;
    for (int j = 0; j < f->w; j++)
        flat = flat && paper_width(p, f->right[j], small(0, sheet_ink)) < unit - 2;
    for (int i = 0; i < f->h; i += step) {
        paper_cut(p, x - 5, y + (i + 0.5) * unit - SMALL * 0.65, x - 5 - s->x,
                  f->left[i], small(1, sheet_ink));
    }
    for (int j = 0; j < f->w; j += flat ? 1 : step) {
        double mid = x + (j + 0.5) * unit;
        Ink up = small(0, sheet_ink);
        up.flags = TEXT_UP;
        if (flat)
            paper_text(p, mid, y - SMALL * 1.4, f->right[j], small(0.5, sheet_ink));
        else
            paper_cut(p, mid - SMALL * 0.65, y - 3, longest + 0.01, f->right[j], up);
    }
}

static void heat_numbers(Sheet *s, const Figure *f, double x, double y, double unit,
                         double limit)
{
    for (int i = 0; i < f->h; i++)
        for (int j = 0; j < f->w; j++) {
            double v = (double)f->pixels[(size_t)i * (size_t)f->w + (size_t)j];
            double t = sample_share(v, limit);
            Rgb c = map_on_paper(sheet_map(f), fabs(t)); /* as dark on both sides */
            bool dark = !isnan(t) && 299 * c.r + 587 * c.g + 114 * c.b < 128000;
            char text[32];
            Ink ink = {
                7.5, 0, 0.5, dark ? (Rgb){255, 255, 255}
                     : sheet_ink
            };
            if (isnan(v)) /* the hatching says it */
                continue;
            for (int digits = 2; digits > 0; digits--) {
                if (isfinite(v))
                    figure_digits(v, digits, text);
                else
                    figure_number(v, text);
                if (paper_width(s->paper, text, ink) < unit - 1)
                    break;
                if (digits == 1) /* its neighbours' numbers are more use */
                    *text = '\0';
            }
            paper_text(s->paper, x + (j + 0.5) * unit, y + (i + 0.5) * unit - 5, text,
                       ink);
        }
}

static bool heat_bar(Sheet *s, const Figure *f, const ImageFacts *facts, Err *err)
{
    char limit[32];
    Str t;
    str_init(&t);
    figure_number(facts->limit, limit);
    sample_words(f, facts, &t);
    if (facts->zero)
        str_add(&t, "; zero");
    sheet_bar(s, sheet_map(f), limit, t.s);
    bool ok = str_ok(&t, err);
    str_done(&t);
    return ok;
}

bool sheet_heat(Sheet *s, const Figure *f, Err *err)
{
    ImageFacts facts;
    int k = cell_side(f);
    double unit = (double)k / PAPER_SCALE, x, y, longest;
    if (!sample_facts(f, &facts, err))
        return false;
    longest = names_width(s->paper, f->right, f->n_right);
    bool flat = longest < unit - 2;
    /* whole pixels, or the raster would be smoothed */
    x = ceil(s->x + names_width(s->paper, f->left, f->n_left) + 6);
    y = ceil(s->y + (longest == 0 ? 0 : flat ? SMALL * 1.5 : longest + 6));
    if (!sheet_matrix(s, f, f->pixels, facts.limit, k, x, y, err))
        return false;
    heat_names(s, f, x, y, unit, longest);
    if (k >= NUMBERS)
        heat_numbers(s, f, x, y, unit, facts.limit);
    s->y = y + f->h * unit + 8;
    return multiples_told(s->common, f) || heat_bar(s, f, &facts, err);
}

bool sheet_heat_scale(Sheet *s, const Figure *page, const Figure *f, Err *err)
{
    ImageFacts facts;
    return multiples_facts(page, f, &facts, err) && heat_bar(s, f, &facts, err);
}

/* --- bipartite --- */

static int by_weight(const void *a, const void *b)
{
    const Edge *x = *(const Edge *const *)a, *y = *(const Edge *const *)b;
    double wx = fabs(x->weight), wy = fabs(y->weight);
    if (wx != wy)
        return wx < wy ? -1 : 1;
    return x > y ? -1 : x < y;
}

static double node_y(const Sheet *s, int i, int n, double height)
{
    return s->y + (i + 0.5) / n * height;
}

static void draw_edges(Sheet *s, const Figure *f, const Edge **order, int n,
                       double limit, double x0, double x1, double height)
{
    for (int i = 0; i < n; i++) {
        double t = order[i]->weight / limit, a = fabs(t);
        paper_line(s->paper, x0, node_y(s, order[i]->left, f->n_left, height), x1,
                   node_y(s, order[i]->right, f->n_right, height), 0.4 + 2.8 * a,
                   map_paper(true, (t < 0 ? -1 : 1) * (0.15 + 0.6 * a)));
    }
}

static void draw_nodes(Sheet *s, char *const *names, int n, double x, double align,
                       double room, double height)
{
    int step = name_step(height / n);
    for (int i = 0; i < n; i++) {
        double y = node_y(s, i, n, height);
        paper_mark(s->paper, x, y, 2, 0, sheet_ink);
        if (i % step == 0)
            paper_cut(s->paper, x + (align > 0 ? -6 : 6), y - SMALL * 0.65, room,
                      names[i], small(align, sheet_ink));
    }
}

bool sheet_bipartite(Sheet *s, const Figure *f, Err *err)
{
    const Edge **order = mem_array((size_t)f->n_edges, sizeof(Edge *), err);
    double limit = 0, left = names_width(s->paper, f->left, f->n_left) + 8.1;
    double right = names_width(s->paper, f->right, f->n_right) + 8.1;
    int n = 0, most = f->n_left > f->n_right ? f->n_left : f->n_right;
    double height = fmin(fmax(most * 22.0, 110), 560);
    char number[32];
    Str t;
    if (!order)
        return false;
    for (int i = 0; i < f->n_edges; i++)
        if (isfinite(f->edges[i].weight) && f->edges[i].weight != 0) {
            order[n++] = &f->edges[i];
            limit = fmax(limit, fabs(f->edges[i].weight));
        }
    qsort(order, (size_t)n, sizeof *order, by_weight);
    draw_edges(s, f, order, n, limit, s->x + left, s->x + s->room - right, height);
    draw_nodes(s, f->left, f->n_left, s->x + left, 1, left, height);
    draw_nodes(s, f->right, f->n_right, s->x + s->room - right, 0, right, height);
    mem_free(order);
    s->y += height + 6;
    str_init(&t);
    figure_number(limit, number);
    str_addf(&t, "%d edges, width and colour by weight", n);
    if (f->n_edges > n)
        str_addf(&t, ", %d zero or not finite", f->n_edges - n);
    sheet_bar(s, (Map){LEVEL_TRUE, true, true, TONE_GREY}, number, t.s);
    bool ok = str_ok(&t, err) && intr_check(err);
    str_done(&t);
    return ok;
}
