/* series.c -- making and filling the figures of numbers: plots, bars, heat maps,
 * graphs, metrics, pages. Lists grow by one: figures have few members. */
#include <limits.h>
#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "figure/figure.h"

enum {
    MOST = 1 << 24,
    MOST_NAMES = 1 << 16,
    MOST_EDGES = 1 << 20,
    MOST_STAGES = 16,
    MOST_BINS = 1 << 16
};

static char *no_name(Err *err)
{
    return mem_strdup("", err);
}

static Figure *new_figure(FigKind kind, Err *err)
{
    Figure *f = mem_zalloc(sizeof *f, err);
    if (f)
        f->kind = kind;
    return f;
}

Figure *figure_plot(Err *err)
{
    return new_figure(FIG_PLOT, err);
}

Figure *figure_between(Err *err)
{
    return new_figure(FIG_BETWEEN, err);
}

Figure *figure_page(Err *err)
{
    return new_figure(FIG_PAGE, err);
}

/* n empty names; *count says how many exist, also after a failure. */
static bool names_new(int n, char ***names, int *count, Err *err)
{
    char **t = mem_array((size_t)n, sizeof *t, err);
    *names = t;
    for (*count = 0; t && *count < n; (*count)++)
        if (!(t[*count] = no_name(err)))
            return false;
    return t != NULL;
}

static Figure *named_figure(FigKind kind, int n_left, int n_right, Err *err)
{
    if (n_left < 1 || n_right < 0 || n_left > MOST_NAMES || n_right > MOST_NAMES) {
        err_set(err, ERR_SHAPE, "a figure of kind %s with %d and %d names: 1 to %d",
                figure_kind_name(kind), n_left, n_right, MOST_NAMES);
        return NULL;
    }
    Figure *f = new_figure(kind, err);
    if (f && names_new(n_left, &f->left, &f->n_left, err) &&
        names_new(n_right, &f->right, &f->n_right, err))
        return f;
    figure_free(f);
    return NULL;
}

Figure *figure_bars(int n, Err *err)
{
    return named_figure(FIG_BARS, n, 0, err);
}

Figure *figure_components(int n, Err *err)
{
    return named_figure(FIG_COMPONENTS, n, 0, err);
}

Figure *figure_bipartite(int n_left, int n_right, Err *err)
{
    return named_figure(FIG_BIPARTITE, n_left, n_right, err);
}

Figure *figure_diagram(int n_stages, const int *sizes, bool is_signed, Err *err)
{
    int total = 0;
    for (int i = 0; i < n_stages && i < MOST_STAGES; i++)
        total = sizes[i] < 1 || sizes[i] > MOST_NAMES - total ? MOST_NAMES + 1
                                                              : total + sizes[i];
    if (n_stages < 2 || n_stages > MOST_STAGES || total > MOST_NAMES) {
        err_set(err, ERR_SHAPE,
                "a diagram of %d columns: 2 to %d columns of one node or more, and %d "
                "nodes at most",
                n_stages, MOST_STAGES, MOST_NAMES);
        return NULL;
    }
    Figure *f = named_figure(FIG_DIAGRAM, total, 0, err);
    if (f && (f->stage = mem_array((size_t)n_stages, sizeof *f->stage, err)) != NULL) {
        memcpy(f->stage, sizes, sizeof *sizes * (size_t)n_stages);
        f->n_stages = n_stages;
        f->is_signed = is_signed;
        return f;
    }
    figure_free(f);
    return NULL;
}

Figure *figure_heat(int h, int w, const float *values, bool is_signed, Err *err)
{
    if (w < 1 || h < 1) {
        err_set(err, ERR_SHAPE, "a heat map of %d x %d: needs one row and one column",
                h, w);
        return NULL;
    }
    Figure *f = named_figure(FIG_HEAT, h, w, err);
    size_t total = (size_t)h * (size_t)w;
    if (f && (f->pixels = mem_array(total, sizeof *f->pixels, err)) != NULL) {
        memcpy(f->pixels, values, total * sizeof *values);
        f->n = 1;
        f->h = h;
        f->w = w;
        f->is_signed = is_signed;
        return f;
    }
    figure_free(f);
    return NULL;
}

/* Room for one more item behind `n`; the list stays valid when it fails. */
static bool grow(void **list, int n, size_t size, Err *err)
{
    void *p = mem_realloc(*list, ((size_t)n + 1) * size, err);
    if (p)
        *list = p;
    return p != NULL;
}

static bool copy_numbers(double **dst, const double *src, int n, Err *err)
{
    if (!src)
        return true;
    *dst = mem_array((size_t)n, sizeof **dst, err);
    if (*dst)
        memcpy(*dst, src, (size_t)n * sizeof *src);
    return *dst != NULL;
}

static bool rising(const double *edge, int n)
{
    for (int i = 0; i <= n; i++)
        if (!isfinite(edge[i]) || (i > 0 && !(edge[i] > edge[i - 1])))
            return false;
    return true;
}

static bool check_series(const Figure *f, Mark mark, int n, const double *x,
                         const double *y, const double *lo, const double *hi, Err *err)
{
    bool bars = f->kind == FIG_BARS || f->kind == FIG_COMPONENTS;
    if (f->kind != FIG_PLOT && !bars)
        return err_set(err, ERR_SHAPE,
                       "a series for a figure of kind %s: only plots and "
                       "bars have series",
                       figure_kind_name(f->kind));
    if (n < 0 || n > MOST || (bars && n != f->n_left))
        return err_set(err, ERR_SHAPE, "a series of %d values: %s %d", n,
                       bars ? "the number of bars is" : "at most",
                       bars ? f->n_left : MOST);
    if ((n > 0 && !y) || !x != bars || !lo != !hi)
        return err_set(err, ERR_SHAPE,
                       "a series needs y, x in plots only, and both ends "
                       "of a band or none");
    if (!bars && mark == MARK_BINS && (n < 1 || !rising(x, n)))
        return err_set(err, ERR_SHAPE,
                       "a histogram needs a bin and %d finite edges that rise", n + 1);
    return true;
}

bool figure_add_series(Figure *f, const char *name, Mark mark, int n, const double *x,
                       const double *y, const double *lo, const double *hi, Err *err)
{
    void *list = f->series;
    if (!check_series(f, mark, n, x, y, lo, hi, err) ||
        !grow(&list, f->n_series, sizeof *f->series, err))
        return false;
    f->series = list;
    Series *s = &f->series[f->n_series];
    *s = (Series){.mark = mark, .n = n};
    if ((!name || !*name || (s->name = mem_strdup(name, err)) != NULL) &&
        copy_numbers(&s->x, x, mark == MARK_BINS ? n + 1 : n, err) &&
        copy_numbers(&s->y, y, n, err) && copy_numbers(&s->lo, lo, n, err) &&
        copy_numbers(&s->hi, hi, n, err)) {
        f->n_series++;
        return true;
    }
    mem_free(s->name);
    mem_free(s->x);
    mem_free(s->y);
    mem_free(s->lo);
    mem_free(s->hi);
    return false;
}

bool figure_set_point(Figure *f, int i, const char *text, Err *err)
{
    Series *s = f->n_series > 0 ? &f->series[f->n_series - 1] : NULL;
    if (f->kind != FIG_PLOT || !s || i < 0 || i >= s->n)
        return err_set(err, ERR_SHAPE, "a text for point %d: the last series has %d", i,
                       s ? s->n : 0);
    if (!s->label) { /* filled at once, or not there at all */
        int made = 0;
        char **names;
        bool ok = names_new(s->n, &names, &made, err);
        if (!ok) {
            for (int k = 0; k < made; k++)
                mem_free(names[k]);
            mem_free(names);
            return false;
        }
        s->label = names;
    }
    char *copy = mem_strdup(text ? text : "", err);
    if (!copy)
        return false;
    mem_free(s->label[i]);
    s->label[i] = copy;
    return true;
}

static void finite_range(const double *v, int64_t n, double *lo, double *hi)
{
    *lo = INFINITY;
    *hi = -INFINITY;
    for (int64_t i = 0; i < n; i++)
        if (isfinite(v[i])) {
            *lo = fmin(*lo, v[i]);
            *hi = fmax(*hi, v[i]);
        }
}

/* Edges that are strictly rising although doubles are not dense: fewer bins where the
 * range has fewer numbers. Returns how many bins there are. */
static int make_edges(double lo, double hi, int bins, double *edge)
{
    int n = 0;
    edge[0] = lo;
    for (int i = 1; i <= bins; i++) {
        double t = (double)i / bins, e = i == bins ? hi : lo * (1 - t) + hi * t;
        if (e > edge[n])
            edge[++n] = e;
    }
    return n;
}

static int bin_of(const double *edge, int n, double v)
{
    int a = 0, b = n;
    while (b - a > 1) {
        int m = (a + b) / 2;
        if (v >= edge[m])
            a = m;
        else
            b = m;
    }
    return a;
}

bool figure_add_counts(Figure *f, const char *name, const double *v, int64_t n,
                       int bins, double lo, double hi, int64_t *left_out, Err *err)
{
    int64_t out = 0;
    if (bins < 1 || bins > MOST_BINS)
        return err_set(err, ERR_SHAPE, "a histogram of %d bins: 1 to %d", bins,
                       MOST_BINS);
    if (!(lo < hi))
        finite_range(v, n, &lo, &hi);
    if (!(lo <= hi) || !isfinite(lo) || !isfinite(hi))
        lo = 0, hi = 1; /* nothing to count */
    if (lo == hi) {
        double half = fmax(fabs(lo) * 0.05, 1e-300);
        lo -= half;
        hi += half;
    }
    double *edge = mem_array((size_t)bins + 1, sizeof *edge, err);
    double *count = edge ? mem_zalloc((size_t)bins * sizeof *count, err) : NULL;
    bool ok = count != NULL;
    if (ok) {
        int made = make_edges(lo, hi, bins, edge);
        for (int64_t i = 0; i < n; i++) {
            if (v[i] >= lo && v[i] <= hi)
                count[bin_of(edge, made, v[i])]++;
            else
                out++;
        }
        ok = figure_add_series(f, name, MARK_BINS, made, edge, count, NULL, NULL, err);
    }
    mem_free(count);
    mem_free(edge);
    if (left_out)
        *left_out = out;
    return ok;
}

/* In a diagram from a column to the next one. */
static bool edge_fits(const Figure *f, int left, int right)
{
    if (f->kind != FIG_DIAGRAM)
        return f->kind == FIG_BIPARTITE && left >= 0 && left < f->n_left &&
               right >= 0 && right < f->n_right;
    int first = 0, k = 0;
    while (k + 1 < f->n_stages && left >= first + f->stage[k])
        first += f->stage[k++];
    int next = first + f->stage[k];
    return left >= 0 && k + 1 < f->n_stages && right >= next &&
           right < next + f->stage[k + 1];
}

bool figure_add_edge(Figure *f, int left, int right, double weight, Err *err)
{
    if (!edge_fits(f, left, right) || f->n_edges >= MOST_EDGES)
        return err_set(err, ERR_SHAPE,
                       "an edge from %d to %d: the graph has %d and %d nodes, and %d "
                       "edges at most",
                       left, right, f->n_left, f->n_right, MOST_EDGES);
    void *list = f->edges;
    /* by doubling: a graph may have a million */
    bool full = (f->n_edges & (f->n_edges - 1)) == 0;
    if (full &&
        !grow(&list, f->n_edges > 0 ? 2 * f->n_edges - 1 : 0, sizeof *f->edges, err))
        return false;
    f->edges = list;
    f->edges[f->n_edges++] = (Edge){left, right, weight};
    return true;
}

bool figure_add_between(Figure *f, const Between *b, Err *err)
{
    void *list = f->between;
    if (f->kind != FIG_BETWEEN && f->kind != FIG_COMPONENTS)
        return err_set(err, ERR_SHAPE,
                       "a metric between its null and its limit for a "
                       "figure of kind %s",
                       figure_kind_name(f->kind));
    if (!grow(&list, f->n_between, sizeof *f->between, err))
        return false;
    f->between = list;
    Between *to = &f->between[f->n_between];
    *to = *b;
    to->name = mem_strdup(b->name ? b->name : "", err);
    f->n_between += to->name != NULL;
    return to->name != NULL;
}

static int depth_of(const Figure *f)
{
    int most = 0;
    for (int i = 0; i < f->n_parts; i++) {
        int d = depth_of(f->parts[i]);
        most = d > most ? d : most;
    }
    return most + (f->kind == FIG_PAGE || f->kind == FIG_COMPONENTS);
}

/* A part with something for each component has as much for every one. */
static bool fits_each(const Figure *f, const Figure *part, Err *err)
{
    int n = f->n_left;
    bool ok = !part->each || (part->kind == FIG_IMAGES && part->n % n == 0) ||
              (part->kind == FIG_HEAT && part->h == n) ||
              (part->kind == FIG_PLOT && part->n_series == n);
    return ok || err_set(err, ERR_SHAPE,
                         "a part of kind %s for each of %d components: images in equal "
                         "number, a heat map with a row, or a plot with a series for "
                         "each",
                         figure_kind_name(part->kind), n);
}

bool figure_add_part(Figure *f, Figure *taken, Err *err)
{
    void *list = f->parts;
    bool set = f->kind == FIG_COMPONENTS;
    bool ok = (f->kind == FIG_PAGE || set) && depth_of(taken) < FIG_DEPTH;
    if (!ok)
        err_set(err, ERR_SHAPE,
                "a part for a figure of kind %s: only pages and components have parts, "
                "%d deep at most",
                figure_kind_name(f->kind), FIG_DEPTH);
    ok = ok && (!set || fits_each(f, taken, err));
    ok = ok && grow(&list, f->n_parts, sizeof(Figure *), err);
    if (!ok) {
        figure_free(taken);
        return false;
    }
    f->parts = list;
    f->parts[f->n_parts++] = taken;
    return true;
}

Figure *figure_component(const char *title, Figure *patterns, Figure *heads,
                         Figure *examples, Err *err)
{
    Figure *part[] = {patterns, heads, examples};
    Figure *f = figure_page(err);
    bool ok = f && figure_set_title(f, title, err);
    for (size_t i = 0; i < ARRAY_LEN(part); i++) {
        if (part[i] && ok)
            ok = figure_add_part(f, part[i], err);
        else
            figure_free(part[i]);
    }
    if (ok)
        return f;
    figure_free(f);
    return NULL;
}
