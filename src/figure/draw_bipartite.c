/* draw_bipartite.c -- two columns of names and the edges between them. Weak edges are
 * drawn first, so that strong ones stay whole; sign is colour, or + and - in ASCII, and
 * edges below a twentieth of the strongest are left out and counted. The strongest are
 * listed below with their numbers: a tangle of lines is no source for them. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/intr.h"
#include "base/mem.h"
#include "figure/clean.h"
#include "figure/dots.h"
#include "figure/map.h"

enum { LISTED = 8, MOST_ROWS = 48, STEPS = 4, LOOKS = 2 * STEPS };
#define WEAKEST 0.05

typedef struct Graph2 {
    const Figure *f;
    const Edge **order; /* [n_edges] rising |weight|, then index */
    int n, weak;        /* edges that can be drawn, and left out */
    double limit;
    int left, right, rows; /* columns of names, rows of the picture */
} Graph2;

static int by_weight(const void *a, const void *b)
{
    const Edge *x = *(const Edge *const *)a, *y = *(const Edge *const *)b;
    double wx = fabs(x->weight), wy = fabs(y->weight);
    if (wx != wy)
        return wx < wy ? -1 : 1;
    return x > y ? -1 : x < y; /* the first of equals is on top */
}

static void sort_edges(Graph2 *g)
{
    const Figure *f = g->f;
    for (int i = 0; i < f->n_edges; i++)
        if (isfinite(f->edges[i].weight) && f->edges[i].weight != 0) {
            g->order[g->n++] = &f->edges[i];
            g->limit = fmax(g->limit, fabs(f->edges[i].weight));
        }
    qsort(g->order, (size_t)g->n, sizeof *g->order, by_weight);
    while (g->weak < g->n && fabs(g->order[g->weak]->weight) < WEAKEST * g->limit)
        g->weak++;
}

static int row_of(const Graph2 *g, int i, int n)
{
    return n == 1 ? (g->rows - 1) / 2
                  : (int)(((int64_t)i * (g->rows - 1) + (n - 1) / 2) / (n - 1));
}

static int longest(char *const *names, int n)
{
    int most = 0;
    for (int i = 0; i < n; i++)
        most = at_least(most, clean_width(names[i]));
    return most;
}

/* Steps of strength, positive first. */
static int look_of(const Graph2 *g, double weight)
{
    int step = (int)(fabs(weight) / g->limit * STEPS);
    return at_most(step, STEPS - 1) + (weight < 0 ? STEPS : 0);
}

static bool draw_edges(const Graph2 *g, Canvas *c, Err *err)
{
    Map m = {c->style.level, c->style.light, true, TONE_GREY};
    GridCell look[LOOKS];
    Dots d;
    int cols = c->width - g->left - g->right - 2;
    bool ok = true;
    for (int i = 0; i < LOOKS; i++) {
        double t = (0.4 + 0.6 * (i % STEPS) / (STEPS - 1)) * (i < STEPS ? 1 : -1);
        look[i] = (GridCell){i < STEPS ? '+' : '-', map_sign(m, t), GRID_DEFAULT, 0};
        if (m.level >= LEVEL_256)
            look[i].fg = map_colour(m, t);
    }
    if (!dots_new(g->rows, cols, canvas_fine(c), &d, err))
        return false;
    for (int i = g->weak; ok && i < g->n; i++) {
        const Edge *e = g->order[i];
        double last = at_least(g->rows - 1, 1);
        double y0 = 1 - row_of(g, e->left, g->f->n_left) / last;
        double y1 = 1 - row_of(g, e->right, g->f->n_right) / last;
        dots_line(&d, 0, y0, 1, y1, look_of(g, e->weight));
        ok = i % 1024 || intr_check(err);
    }
    dots_put(&d, c, c->row, g->left + 1, look, LOOKS);
    dots_done(&d);
    return ok;
}

static void draw_names(const Graph2 *g, Canvas *c)
{
    const Figure *f = g->f;
    int before = -1;
    for (int i = 0; i < f->n_left; i++) {
        int row = row_of(g, i, f->n_left), w = clean_width(f->left[i]);
        if (row != before) /* more nodes than rows: the first of each row */
            canvas_cut(c, c->row + row, at_least(g->left - w, 0), f->left[i], g->left,
                       GRID_DEFAULT, 0);
        before = row;
    }
    before = -1;
    for (int i = 0; i < f->n_right; i++) {
        int row = row_of(g, i, f->n_right);
        if (row != before)
            canvas_cut(c, c->row + row, c->width - g->right, f->right[i], g->right,
                       GRID_DEFAULT, 0);
        before = row;
    }
}

static bool draw_list(const Graph2 *g, Canvas *c, Err *err)
{
    const Figure *f = g->f;
    Str t;
    str_init(&t);
    bool ok = true;
    for (int k = 0; ok && k < LISTED && k < g->n - g->weak; k++) {
        const Edge *e = g->order[g->n - 1 - k];
        char number[32];
        figure_number(e->weight, number);
        str_clear(&t);
        str_addf(&t, "%s%s  %s - %s", e->weight > 0 ? "+" : "", number,
                 f->left[e->left], f->right[e->right]);
        ok = str_ok(&t, err) && canvas_text(c, t.s, 0, err);
    }
    int more = g->n - g->weak - LISTED;
    str_clear(&t);
    if (more > 0)
        str_addf(&t, "%d more edges drawn", more);
    if (g->weak > 0)
        str_addf(&t, "%s%d weaker than 1/20 of the strongest left out",
                 t.len > 0 ? ", " : "", g->weak);
    if (f->n_edges > g->n)
        str_addf(&t, "%s%d zero or not finite", t.len > 0 ? ", " : "",
                 f->n_edges - g->n);
    ok = ok && str_ok(&t, err) && canvas_text(c, t.s, CELL_DIM, err);
    str_done(&t);
    return ok;
}

bool draw_bipartite(Canvas *c, const Figure *f, Err *err)
{
    Graph2 g = {.f = f};
    g.order = mem_array((size_t)f->n_edges, sizeof(Edge *), err);
    if (!g.order)
        return false;
    sort_edges(&g);
    g.left = at_most(longest(f->left, f->n_left), c->width / 3);
    g.right = at_most(longest(f->right, f->n_right), c->width / 3);
    int most = at_least(f->n_left, f->n_right);
    g.rows = at_most(at_least(2 * most - 1, 5), most > MOST_ROWS / 2 ? MOST_ROWS : 23);
    g.rows = at_least(g.rows, at_most(most, MOST_ROWS));
    bool ok = canvas_need(c, g.rows, err) && draw_edges(&g, c, err);
    if (ok) {
        draw_names(&g, c);
        c->row += g.rows;
        ok = draw_list(&g, c, err);
    }
    mem_free(g.order);
    return ok;
}
