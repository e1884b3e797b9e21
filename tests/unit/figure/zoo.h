/* zoo.h -- one figure of every kind with what is awkward in it: gaps, infinities, zeros
 * on a log axis, labels that collide, names that steer terminals. `sign` multiplies the
 * values of the signed kinds. Everything is computed, nothing is random. */
#ifndef CLEAVE_TEST_ZOO_H
#define CLEAVE_TEST_ZOO_H
#include <math.h>

#include "figure/figure.h"
#include "support.h"

#define HOSTILE "<b>&\"evil\"\033[2J\xE2\x80\xAE,\\end{x}\n|`"

static inline Figure *zoo_plot(void)
{
    enum { N = 40 };
    double x[N], y[N], lo[N], hi[N];
    Figure *f = figure_plot(NULL);
    assert_non_null(f);
    for (int i = 0; i < N; i++) {
        x[i] = 100 * i;
        y[i] = 2.3 * exp(-i / 9.0) + 0.02;
        lo[i] = 0.8 * y[i];
        hi[i] = 1.25 * y[i];
    }
    assert_true(figure_add_series(f, "with a band", MARK_LINE, N, x, y, lo, hi, NULL));
    for (int i = 0; i < N; i++)
        y[i] = 3 - 0.05 * i;
    y[7] = NAN;
    y[8] = INFINITY;
    y[20] = 0;
    assert_true(
        figure_add_series(f, "with gaps", MARK_LINE, N, x, y, NULL, NULL, NULL));
    assert_true(figure_set_axis(f, false, "step", false, NULL));
    assert_true(figure_set_axis(f, true, "loss", true, NULL));
    assert_true(figure_set_title(f, "Loss", NULL));
    assert_true(figure_set_caption(f, "Bands are intervals.", NULL));
    return f;
}

static inline Figure *zoo_scatter(void)
{
    const double x[] = {1, 2, 2.05, 3, 4, 9.9}, y[] = {5, 4, 4.02, 1, -2, 5};
    const double lo[] = {4.5, NAN, 3.9, 0.5, -3, 5}, hi[] = {5.5, NAN, 4.2, 1.5, -1, 5};
    Figure *f = figure_plot(NULL);
    assert_non_null(f);
    assert_true(figure_add_series(f, "methods", MARK_POINTS, 6, x, y, lo, hi, NULL));
    for (int i = 0; i < 6; i++) {
        char name[32];
        snprintf(name, sizeof name, "method %c", 'A' + i);
        assert_true(figure_set_point(f, i, name, NULL));
    }
    assert_true(figure_set_axis(f, false, "bits", false, NULL));
    return f;
}

static inline Figure *zoo_counts(bool two)
{
    double v[500];
    int64_t out = 0;
    Figure *f = figure_plot(NULL);
    assert_non_null(f);
    for (int i = 0; i < 500; i++) {
        double u = (i + 0.5) / 500;
        v[i] = log(u / (1 - u));
    }
    v[3] = NAN;
    v[4] = INFINITY;
    assert_true(figure_add_counts(f, two ? "a" : NULL, v, 500, 24, 0, 0, &out, NULL));
    assert_int_equal(out, 2);
    for (int i = 0; i < 500; i++)
        v[i] += 2;
    if (two)
        assert_true(figure_add_counts(f, "b", v, 500, 24, -6, 9, NULL, NULL));
    assert_true(figure_set_axis(f, false, "activation", false, NULL));
    assert_true(figure_set_axis(f, true, "count", !two, NULL));
    return f;
}

static inline Figure *zoo_bars(double sign)
{
    const double v[] = {sign * 1.5, sign * -0.75, sign * 0.01, NAN};
    const double w[] = {0.5, 0.25, 1, 2};
    const char *const names[] = {"first", "second of them with a long name", "third",
                                 "none"};
    Figure *f = figure_bars(4, NULL);
    assert_non_null(f);
    f->is_signed = sign != 0;
    for (int i = 0; i < 4; i++)
        assert_true(figure_set_left(f, i, names[i], NULL));
    if (sign != 0) {
        assert_true(figure_add_series(f, NULL, 0, 4, NULL, v, NULL, NULL, NULL));
        return f;
    }
    const double lo[] = {0.4, 0.2, NAN, 1.5}, hi[] = {0.6, 0.3, NAN, 2.5};
    assert_true(figure_add_series(f, "clean", 0, 4, NULL, w, lo, hi, NULL));
    assert_true(figure_add_series(f, "noisy", 0, 4, NULL, w, NULL, NULL, NULL));
    return f;
}

static inline Figure *zoo_heat(double sign, int h, int w)
{
    float *v = mem_array((size_t)h * (size_t)w, sizeof *v, NULL);
    char name[32];
    for (int i = 0; i < h * w; i++)
        v[i] = (float)(sign * sin(0.7 * (i / w) + 0.9 * (i % w)));
    v[w + 1] = NAN;
    v[w + 2] = (float)(sign * (double)INFINITY);
    Figure *f = figure_heat(h, w, v, true, NULL);
    mem_free(v);
    assert_non_null(f);
    for (int i = 0; i < h; i++) {
        snprintf(name, sizeof name, "row %d", i);
        assert_true(figure_set_left(f, i, name, NULL));
    }
    for (int j = 0; j < w; j++) {
        snprintf(name, sizeof name, "c%d", j);
        assert_true(figure_set_right(f, j, name, NULL));
    }
    return f;
}

static inline Figure *zoo_graph(double sign)
{
    Figure *f = figure_bipartite(4, 3, NULL);
    assert_non_null(f);
    for (int i = 0; i < 4; i++)
        for (int j = 0; j < 3; j++)
            assert_true(figure_add_edge(f, i, j, sign * sin(3.0 * i + 2.0 * j), NULL));
    assert_true(figure_add_edge(f, 0, 0, NAN, NULL));
    assert_true(figure_add_edge(f, 1, 0, sign * 0.001, NULL));
    for (int i = 0; i < 4; i++)
        assert_true(figure_set_left(f, i, "part", NULL));
    assert_true(figure_set_right(f, 1, "digit", NULL));
    return f;
}

static inline Figure *zoo_between(void)
{
    static const struct {
        const char *name;
        double value, lo, hi, null, null_lo, null_hi, limit;
    } rows[] = {
        {"similarity",            0.714, 0.70, 0.73, 0.113, 0.09, 0.14, 0.98},
        {"inside the band",       0.31,  NAN,  NAN,  0.30,  0.28, 0.33, 0.8 },
        {"error, less is better", 0.2,   NAN,  NAN,  1,     NAN,  NAN,  0.05},
        {"worse",                 0.05,  NAN,  NAN,  0.30,  0.28, 0.33, 0.8 },
        {"no room",               0.5,   NAN,  NAN,  0.30,  0.28, 0.53, 0.5 },
        {"missing",               NAN,   NAN,  NAN,  0.30,  0.28, 0.53, 0.9 },
        {"beyond",                1.2,   1.1,  1.3,  0,     NAN,  NAN,  1   },
    };
    Figure *f = figure_between(NULL);
    assert_non_null(f);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char name[40];
        snprintf(name, sizeof name, "%s", rows[i].name);
        Between b = {name,         rows[i].value,   rows[i].lo,      rows[i].hi,
                     rows[i].null, rows[i].null_lo, rows[i].null_hi, rows[i].limit};
        assert_true(figure_add_between(f, &b, NULL));
    }
    return f;
}

static inline Figure *zoo_component(void)
{
    float v[3 * 64];
    for (int i = 0; i < 3 * 64; i++)
        v[i] = (float)cos(0.3 * i);
    Figure *patterns = figure_images(2, 8, 8, v, true, NULL);
    Figure *examples = figure_images(3, 8, 8, v, false, NULL);
    assert_true(figure_set_label(examples, 0, "#7 +1.5", NULL));
    Figure *f = figure_component("Component 12", patterns, zoo_bars(1), examples, NULL);
    assert_non_null(f);
    return f;
}

static inline Figure *zoo_table(void)
{
    Figure *f = figure_table(2, 2, NULL);
    assert_non_null(f);
    assert_true(figure_set_head(f, 0, "name", false, NULL));
    assert_true(figure_set_head(f, 1, "x_1", true, NULL));
    assert_true(figure_set_cell(f, 0, 0, HOSTILE, NULL));
    assert_true(figure_set_cell(f, 0, 1, "-0.5", NULL));
    assert_true(figure_set_cell(f, 1, 0, "50 % & more_", NULL));
    return f;
}

/* Pictures, examples up and down, bars, curves, and something about all of them. */
static inline Figure *zoo_set(void)
{
    enum { N = 5 };
    float v[N * 2 * 64], bar[N * 3];
    double x[5] = {0, 1, 2, 3, 4}, y[N], lo[N], hi[N];
    for (int i = 0; i < N * 2 * 64; i++)
        v[i] = (float)cos(0.21 * i);
    for (int i = 0; i < N * 3; i++)
        bar[i] = (float)sin(1.7 * i);
    Figure *f = figure_components(N, NULL);
    Figure *pictures = figure_images(2 * N, 8, 8, v, true, NULL);
    Figure *up = figure_images(2 * N, 8, 8, v, false, NULL);
    Figure *down = figure_images(N, 8, 8, v, false, NULL);
    Figure *heads = figure_heat(N, 3, bar, true, NULL), *curves = figure_plot(NULL);
    assert_true(f && pictures && up && down && heads && curves);
    pictures->scale = SCALE_EACH;
    for (int i = 0; i < N; i++) {
        y[i] = i == 2 ? (double)NAN : 1.0 / (1 + i);
        lo[i] = 0.1;
        hi[i] = i == 1 ? (double)NAN : 2;
        assert_true(figure_add_series(curves, NULL, MARK_BINS, 4, x, y, NULL, NULL, NULL) &&
                    figure_set_label(up, 2 * i, "7  0.53", NULL));
    }
    assert_true(figure_set_left(f, 1, "part " HOSTILE, NULL) &&
                figure_set_right(heads, 1, "one", NULL) &&
                figure_set_title(heads, "heads", NULL) &&
                figure_set_title(up, "drive it up", NULL) &&
                figure_set_title(down, "drive it down", NULL) &&
                figure_set_title(f, "a set", NULL) &&
                figure_add_series(f, "effect", MARK_LINE, N, NULL, y, NULL, NULL, NULL) &&
                figure_add_series(f, "gini", MARK_LINE, N, NULL, hi, lo, hi, NULL));
    char name[] = "similarity";
    Between b = {name, 0.9, NAN, NAN, 0.1, NAN, NAN, 0.95};
    pictures->each = up->each = down->each = heads->each = curves->each = true;
    assert_true(figure_add_between(f, &b, NULL) && figure_add_part(f, pictures, NULL) &&
                figure_add_part(f, heads, NULL) && figure_add_part(f, up, NULL) &&
                figure_add_part(f, down, NULL) && figure_add_part(f, curves, NULL) &&
                figure_add_part(f, zoo_bars(0), NULL));
    f->per_row = 2;
    return f;
}

/* Three columns, an edge too weak to draw, one that is no number, a long name. */
static inline Figure *zoo_diagram(double sign)
{
    const int sizes[] = {5, 2, 4};
    Figure *f = figure_diagram(3, sizes, sign != 0, NULL);
    assert_non_null(f);
    for (int i = 0; i < 5; i++)
        for (int j = 0; j < 2; j++)
            assert_true(figure_add_edge(
                f, i, 5 + j, (sign ? sign : 1) * sin(i + 2.0 * j + 1), NULL));
    for (int j = 0; j < 4; j++)
        assert_true(figure_add_edge(f, 5, 7 + j, j == 3 ? 0.001 : 0.3 * (j + 1), NULL));
    assert_true(figure_add_edge(f, 6, 7, NAN, NULL) &&
                figure_set_left(f, 0, "a feature of a long name", NULL) &&
                figure_set_left(f, 4, "5", NULL) && figure_set_left(f, 6, "h2", NULL) &&
                figure_set_left(f, 10, "out", NULL));
    return f;
}

/* Plots of arrows with one legend, or heat maps and diagrams with one scale. */
static inline Figure *zoo_multiples(FigKind kind)
{
    Figure *page = figure_page(NULL);
    assert_non_null(page);
    page->multiples = true;
    page->per_row = kind == FIG_HEAT ? 2 : 0;
    for (int k = 0; k < 4; k++) {
        char title[24];
        Figure *f = kind == FIG_HEAT      ? zoo_heat(0.5 * (k + 1), 4, 5)
                    : kind == FIG_DIAGRAM ? zoo_diagram(k % 2)
                                          : figure_plot(NULL);
        assert_non_null(f);
        for (int i = 0; kind == FIG_PLOT && i < 3; i++) {
            const double x[] = {0, cos(2.1 * i)}, y[] = {0, sin(2.1 * i) * (k + 1) / 4};
            assert_true(figure_add_series(f, i ? "b" : "a", MARK_LINE, 2, x, y, NULL,
                                          NULL, NULL));
        }
        f->x.lo = f->y.lo = -1.3;
        f->x.hi = f->y.hi = 1.3;
        f->limit = kind == FIG_PLOT ? 0 : 1.5;
        f->is_signed = f->is_signed && kind != FIG_HEAT;
        f->tone = kind == FIG_HEAT ? (Tone)(k % 3) : TONE_GREY;
        snprintf(title, sizeof title, "part %d", k);
        assert_true(figure_set_title(f, title, NULL) && figure_add_part(page, f, NULL));
    }
    assert_true(figure_set_title(page, "Multiples", NULL));
    return page;
}

enum { ZOO = 18 };

/* All kinds by number, for tests that treat them alike. */
static inline Figure *zoo(int i)
{
    switch (i) {
    case 0: return zoo_plot();
    case 1: return zoo_scatter();
    case 2: return zoo_counts(false);
    case 3: return zoo_counts(true);
    case 4: return zoo_bars(0);
    case 5: return zoo_bars(1);
    case 6: return zoo_heat(1, 4, 5);
    case 7: return zoo_heat(1, 80, 200);
    case 8: return zoo_graph(1);
    case 9: return zoo_between();
    case 10: return zoo_component();
    case 11: return zoo_table();
    case 12: return zoo_set();
    case 13: return figure_text("words " HOSTILE "\n\tend", NULL);
    case 14: return zoo_diagram(1);
    case 15: return zoo_multiples(FIG_PLOT);
    case 16: return zoo_multiples(FIG_HEAT);
    default: return zoo_multiples(FIG_DIAGRAM);
    }
}
#endif
