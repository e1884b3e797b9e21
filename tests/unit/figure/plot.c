/* Figures of numbers as cells: pictures compared with golden files at all levels, every
 * width, negation, values that cannot be shown, extreme ranges, verdicts, ticks, and
 * failing allocations. */
#include <float.h>
#include <math.h>

#include "figure/axis.h"
#include "figure/clean.h"
#include "figure/diagram.h"
#include "figure/map.h"
#include "figure/sample.h"
#include "golden.h"
#include "zoo.h"

static DrawStyle style_of(Level level, int width)
{
    return (DrawStyle){
        .level = level, .width = width, .utf8 = level >= LEVEL_256, .light = false};
}

static void test_golden(void **unused)
{
    (void)unused;
    static const char *const names[ZOO] = {"plot",
                                           "scatter",
                                           "counts",
                                           "two-counts",
                                           "bars",
                                           "signed-bars",
                                           "heat",
                                           "large-heat",
                                           "bipartite",
                                           "between",
                                           "component",
                                           "table-hostile",
                                           "set",
                                           "text-hostile",
                                           "diagram",
                                           "multiple-plots",
                                           "multiple-heats",
                                           "multiple-diagrams"};
    for (int i = 0; i < ZOO; i++) {
        char name[64];
        Figure *f = zoo(i);
        snprintf(name, sizeof name, "%s-mono-80", names[i]);
        golden_figure(name, f, style_of(LEVEL_MONO, 80));
        snprintf(name, sizeof name, "%s-ansi-40", names[i]);
        golden_figure(name, f, style_of(LEVEL_ANSI, 40));
        snprintf(name, sizeof name, "%s-256-80", names[i]);
        golden_figure(name, f, style_of(LEVEL_256, 80));
        snprintf(name, sizeof name, "%s-true-120", names[i]);
        golden_figure(name, f, style_of(LEVEL_TRUE, 120));
        figure_free(f);
    }
}

/* Any width from 20 to 300 at any level; nothing passes the width, nothing steers. */
static void test_every_width(void **unused)
{
    (void)unused;
    for (int i = 0; i < ZOO; i++) {
        Figure *f = zoo(i);
        for (int width = 20; width <= 300; width += width < 60 ? 1 : 7)
            for (int level = LEVEL_MONO; level <= LEVEL_TRUE; level++) {
                Grid g;
                DrawStyle style = style_of((Level)level, width);
                assert_true(figure_draw(f, &style, &g, NULL));
                assert_int_equal(g.cols, width);
                assert_in_range(g.rows, 1, 400);
                for (int k = 0; k < g.rows * g.cols; k++) {
                    uint32_t r = g.cell[k].rune;
                    assert_true(r == 0 || (r >= ' ' && r < 0x7F) || r >= 0xA0);
                    assert_true(style.utf8 || r < 0x7F);
                }
                grid_done(&g);
            }
        figure_free(f);
    }
}

enum { UPRIGHT = 3 }; /* rows of the names of columns: "c59" */

/* Cell by cell the colour of -v where that of v stood. */
static void expect_exchange(const Figure *f, Grid *a, Grid *b, Map m)
{
    ImageFacts facts;
    int top = UPRIGHT, left = (int)strlen("row 11 ");
    assert_true(sample_facts(f, &facts, NULL));
    for (int i = 0; i < f->h; i++)
        for (int j = 0; j < f->w; j++) {
            double t = sample_share((double)f->pixels[i * f->w + j], facts.limit);
            if (isnan(t))
                continue;
            assert_int_equal(grid_at(a, top + i, left + j)->bg, map_colour(m, t));
            assert_int_equal(grid_at(b, top + i, left + j)->bg, map_colour(m, -t));
        }
}

static uint32_t mirrored(uint32_t rune)
{
    return rune == '+' ? '-' : rune == '-' ? '+' : rune;
}

/* The colours of +v where -v stood, at each level; heat maps cell by cell. */
static void test_negation_swaps(void **unused)
{
    (void)unused;
    for (int level = LEVEL_MONO; level <= LEVEL_TRUE; level++) {
        Figure *a = zoo_heat(1, 12, 60), *b = zoo_heat(-1, 12, 60);
        DrawStyle style = style_of((Level)level, 70);
        Grid p, q;
        int coloured = 0;
        assert_true(figure_draw(a, &style, &p, NULL));
        for (int i = 0; i < a->h * a->w; i++)
            b->pixels[i] = -a->pixels[i];
        assert_true(figure_draw(b, &style, &q, NULL));
        assert_int_equal(p.rows, q.rows);
        Grid back;
        for (int i = 0; i < a->h * a->w; i++)
            b->pixels[i] = -b->pixels[i];
        assert_true(figure_draw(b, &style, &back, NULL));
        for (int k = 0; k < (p.rows - 1) * p.cols; k++) {
            const GridCell *x = &p.cell[k], *y = &q.cell[k], *z = &back.cell[k];
            assert_int_equal(x->bg, z->bg); /* twice is the identity */
            assert_int_equal(x->rune, z->rune);
            if (level == LEVEL_MONO)
                assert_int_equal(x->rune, y->rune); /* only reversed or not */
            coloured += x->bg != y->bg || x->fg != y->fg || x->attr != y->attr;
        }
        assert_true(coloured > 300);
        if (level >= LEVEL_256)
            expect_exchange(a, &p, &q, (Map){.level = (Level)level, .is_signed = true});
        grid_done(&p);
        grid_done(&q);
        grid_done(&back);
        figure_free(a);
        figure_free(b);
    }
    Figure *plus = zoo_graph(1), *minus = zoo_graph(-1);
    Str p = plain_figure(plus, style_of(LEVEL_MONO, 60));
    Str q = plain_figure(minus, style_of(LEVEL_MONO, 60));
    figure_free(plus);
    figure_free(minus);
    for (size_t i = 0; i < p.len && p.s[i] != 'p'; i++)
        assert_int_equal(mirrored((unsigned char)p.s[i]), (unsigned char)q.s[i]);
    str_done(&p);
    str_done(&q);
}

static void check_range(const double *y, int n, bool log, const char *words)
{
    double x[8];
    Figure *f = figure_plot(NULL);
    for (int i = 0; i < n; i++)
        x[i] = i;
    assert_true(figure_add_series(f, NULL, MARK_LINE, n, x, y, NULL, NULL, NULL));
    assert_true(figure_set_axis(f, true, NULL, log, NULL));
    for (int level = LEVEL_MONO; level <= LEVEL_TRUE; level += 3) {
        Str t = plain_figure(f, style_of((Level)level, 60));
        if (words)
            assert_has(t.s, words);
        else
            assert_null(strstr(t.s, "not shown"));
        assert_null(strstr(t.s, "nan"));
        str_done(&t);
    }
    figure_free(f);
}

static void test_ranges(void **unused)
{
    (void)unused;
    check_range((double[]){1e-300, 3e-300, 2e-300}, 3, false, NULL);
    check_range((double[]){1e-300, 1, 1e300}, 3, true, NULL);
    check_range((double[]){-DBL_MAX, DBL_MAX, 0}, 3, false, NULL);
    check_range((double[]){5, 5, 5}, 3, false, NULL);
    check_range((double[]){0, 0, 0}, 3, false, NULL);
    check_range((double[]){DBL_MIN, DBL_MIN * 2, 0}, 3, false, NULL);
    check_range((double[]){1e15, 1e15 + 1, 1e15 + 2}, 3, false, NULL);
    check_range((double[]){NAN, NAN}, 2, false, "2 values not shown: 2 not a number");
    check_range((double[]){1, INFINITY, 2}, 3, false, "1 value not shown: 1 infinite");
    check_range((double[]){1, -1, 0, 5}, 4, true, "2 not positive on a log axis");
    check_range((double[]){-1, 0}, 2, true, "2 not positive");
    check_range(NULL, 0, false, NULL);
}

static void check_axis(double lo, double hi, bool log, int most)
{
    FigAxis spec = {.log = log};
    Extent e = {.lo = lo, .hi = hi};
    Axis a = axis_make(&spec, &e, 0);
    Ticks t;
    axis_ticks(&a, most, &t);
    assert_true(a.lo < a.hi && isfinite(a.lo) && isfinite(a.hi));
    assert_true(axis_share(&a, lo) >= -1e-9 && axis_share(&a, hi) <= 1 + 1e-9);
    assert_true(isnan(axis_share(&a, NAN)) && isnan(axis_share(&a, INFINITY)));
    assert_in_range(t.n, 1, MAX_TICKS);
    for (int i = 0; i < t.n; i++) {
        assert_true(t.at[i] >= 0 && t.at[i] <= 1);
        assert_true(i == 0 || t.at[i] > t.at[i - 1]);
        /* the text names the place, within the digits it shows */
        double v = strtod(t.text[i], NULL), at = axis_share(&a, v);
        assert_true(fabs(at - t.at[i]) < 0.02);
        for (int k = 0; k < i; k++)
            assert_string_not_equal(t.text[i], t.text[k]);
    }
}

static void test_ticks(void **unused)
{
    (void)unused;
    for (int most = 2; most <= MAX_TICKS; most++) {
        for (int k = -300; k <= 300; k += 25) {
            double s = pow(10, k);
            check_axis(0, s, false, most);
            check_axis(-1.7 * s, 0.3 * s, false, most);
            check_axis(2 * s, 3.1 * s, false, most);
            check_axis(s, s, false, most);
            check_axis(s, 3 * s, true, most);
            check_axis(s, 1234 * s, true, most);
        }
        check_axis(1e-300, 1e300, true, most);
        check_axis(123456.0, 123457.5, false, most);
    }
}

/* The same verdicts whichever way is better, and a refusal wherever chance would do. */
static void test_verdicts(void **unused)
{
    (void)unused;
    static const struct {
        Verdict verdict;
        double share;
        Between b;
    } rows[] = {
        {VERDICT_SHARE,   0.5,  {NULL, 0.5, NAN, NAN, 0, -0.1, 0.1, 1}    },
        {VERDICT_SHARE,   0.9,  {NULL, 0.9, 0.8, 1.1, 0, NAN, NAN, 1}     },
        {VERDICT_NULL,    NAN,  {NULL, 0.1, NAN, NAN, 0, -0.1, 0.1, 1}    },
        {VERDICT_NULL,    NAN,  {NULL, 0.5, 0.05, 0.9, 0, -0.1, 0.1, 1}   },
        {VERDICT_NULL,    NAN,  {NULL, 0, NAN, NAN, 0, NAN, NAN, 1}       },
        {VERDICT_NO_ROOM, NAN,  {NULL, 0.5, NAN, NAN, 0, -1, 1, 1}        },
        {VERDICT_NO_ROOM, NAN,  {NULL, 0.5, NAN, NAN, 1, NAN, NAN, 1}     },
        {VERDICT_BEYOND,  1.2,  {NULL, 1.2, 1.1, 1.3, 0, NAN, NAN, 1}     },
        {VERDICT_WORSE,   -0.5, {NULL, -0.5, NAN, NAN, 0, -0.1, 0.1, 1}   },
        {VERDICT_MISSING, NAN,  {NULL, NAN, NAN, NAN, 0, -0.1, 0.1, 1}    },
        {VERDICT_MISSING, NAN,  {NULL, 1, NAN, NAN, 0, NAN, NAN, INFINITY}},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        Between b = rows[i].b, m = b;
        double share, mirror;
        m.value = -b.value;
        m.lo = -b.hi;
        m.hi = -b.lo;
        m.null = -b.null;
        m.null_lo = -b.null_hi;
        m.null_hi = -b.null_lo;
        m.limit = -b.limit;
        assert_int_equal(between_verdict(&b, &share), rows[i].verdict);
        assert_int_equal(between_verdict(&m, &mirror), rows[i].verdict);
        assert_true(isnan(rows[i].share) ? isnan(share) && isnan(mirror)
                                         : fabs(share - rows[i].share) < 1e-12 &&
                                               fabs(mirror - share) < 1e-12);
        Str t;
        str_init(&t);
        between_words(&b, &t);
        bool refused = rows[i].verdict == VERDICT_NULL ||
                       rows[i].verdict == VERDICT_NO_ROOM ||
                       rows[i].verdict == VERDICT_MISSING;
        assert_int_equal(refused, strncmp(t.s, "no verdict", 10) == 0);
        assert_int_equal(refused, isnan(share));
        str_done(&t);
    }
}

static void test_counts(void **unused)
{
    (void)unused;
    const double v[] = {0, 0.5, 1, 1.5, 2, NAN, INFINITY, -3};
    int64_t out;
    Figure *f = figure_plot(NULL);
    assert_true(figure_add_counts(f, NULL, v, 8, 2, 0, 2, &out, NULL));
    assert_int_equal(out, 3);
    assert_true(f->series[0].y[0] == 2 &&
                f->series[0].y[1] == 3); /* 2 is in the last */
    assert_true(figure_add_counts(f, NULL, v, 0, 3, 0, 0, &out, NULL));
    assert_true(figure_add_counts(f, NULL, (double[]){7, 7}, 2, 4, 0, 0, &out, NULL));
    const Series *s = &f->series[2];
    double sum = 0;
    for (int i = 0; i < s->n; i++)
        sum += s->y[i];
    assert_true(sum == 2 && out == 0);
    double next = nextafter(1, 2); /* two numbers are all there are between the edges */
    assert_true(
        figure_add_counts(f, NULL, (double[]){1, next}, 2, 50, 1, next, &out, NULL));
    assert_in_range(f->series[3].n, 1, 2);
    figure_free(f);
}

static void test_refusals(void **unused)
{
    (void)unused;
    const double x[] = {0, 1, 1}, y[] = {1, 2, 3};
    Err err;
    Figure *f = figure_plot(NULL), *b = figure_bars(2, NULL);
    assert_false(figure_add_series(f, "", MARK_BINS, 2, x, y, NULL, NULL, &err));
    assert_has(err.msg, "rise");
    assert_false(figure_add_series(f, "", MARK_LINE, 2, NULL, y, NULL, NULL, &err));
    assert_false(figure_add_series(f, "", MARK_LINE, 2, x, y, y, NULL, &err));
    assert_false(figure_add_series(b, "", MARK_LINE, 3, NULL, y, NULL, NULL, &err));
    assert_has(err.msg, "number of bars is 2");
    assert_false(figure_set_point(f, 0, "x", &err));
    assert_false(figure_set_axis(b, false, "x", false, &err));
    assert_false(figure_set_left(b, 2, "x", &err));
    assert_false(figure_add_edge(f, 0, 0, 1, &err));
    assert_false(figure_add_part(b, figure_text("x", NULL), &err));
    assert_int_equal(err.code, ERR_SHAPE);
    assert_null(figure_bars(0, &err));
    assert_null(figure_heat(0, 1, NULL, true, &err));
    figure_free(f);
    figure_free(b);
    Figure *page = figure_page(NULL);
    for (int i = 0; i < FIG_DEPTH - 1; i++) {
        Figure *outer = figure_page(NULL);
        assert_true(figure_add_part(outer, page, NULL));
        page = outer;
    }
    Figure *outer = figure_page(NULL);
    assert_false(figure_add_part(outer, page, &err)); /* and frees it */
    figure_free(outer);
}

/* A label never covers a mark or another label; what finds no room is counted. */
static void test_crowded_labels(void **unused)
{
    (void)unused;
    enum { N = 60 };
    double x[N], y[N];
    Figure *f = figure_plot(NULL);
    for (int i = 0; i < N; i++) {
        x[i] = i % 10;
        y[i] = i / 10;
    }
    assert_true(figure_add_series(f, NULL, MARK_POINTS, N, x, y, NULL, NULL, NULL));
    for (int i = 0; i < N; i++) {
        char name[24];
        snprintf(name, sizeof name, "label%02d", i);
        assert_true(figure_set_point(f, i, name, NULL));
    }
    Str t = plain_figure(f, style_of(LEVEL_MONO, 60));
    int shown = 0, marks = 0, hidden = 0;
    for (int i = 0; i < N; i++) {
        char name[24];
        snprintf(name, sizeof name, "label%02d", i);
        shown += strstr(t.s, name) != NULL;
    }
    const char *words = strstr(t.s, " labels without room");
    assert_non_null(words);
    while (words > t.s && words[-1] != '\n')
        words--;
    hidden = atoi(words);
    for (const char *p = t.s; (p = strchr(p, 'o')) != NULL && p < words; p++)
        marks++;
    assert_int_equal(shown + hidden, N);
    assert_int_equal(marks, N);
    assert_true(shown > 10);
    str_done(&t);
    figure_free(f);
}

/* An unsigned tone is the half of the signed map that it names; grey is no colour. */
static void test_tones(void **unused)
{
    (void)unused;
    for (int level = LEVEL_ANSI; level <= LEVEL_TRUE; level++)
        for (int i = -4; i <= 10; i++) {
            double t = i / 10.0, up = fmax(t, 0);
            Map both = {(Level)level, false, true, TONE_GREY};
            Map red = {(Level)level, false, false, TONE_RED};
            Map blue = {(Level)level, false, false, TONE_BLUE};
            GridCell a = map_ascii(both, -up), b = map_ascii(blue, t);
            if (level >= LEVEL_256) {
                assert_int_equal(map_colour(red, t), map_colour(both, up));
                assert_int_equal(map_colour(blue, t), map_colour(both, -up));
            }
            assert_int_equal(a.rune, b.rune);
            assert_int_equal(a.fg, b.fg);
        }
    uint8_t grey[3];
    map_rgb((Map){LEVEL_TRUE, true, false, TONE_GREY}, 0.4, grey);
    assert_true(grey[0] == grey[1] && grey[1] == grey[2]);
    Map blue = {LEVEL_TRUE, false, false, TONE_BLUE};
    assert_int_equal(map_colour(blue, NAN),
                     map_colour((Map){LEVEL_TRUE, false, true, TONE_GREY}, NAN));
}

/* A limit that is given holds, and what is beyond it is counted. */
static void test_given_limit(void **unused)
{
    (void)unused;
    const float v[] = {0.5f, -2, 4, 1};
    Figure *f = figure_heat(2, 2, v, true, NULL);
    assert_non_null(f);
    f->limit = 2;
    ImageFacts facts;
    assert_true(sample_facts(f, &facts, NULL));
    assert_true(facts.limit == 2 && facts.clipped == 1);
    Str t = plain_figure(f, style_of(LEVEL_MONO, 60));
    assert_has(t.s, "+/-2 shared: 1 beyond it at full level");
    str_done(&t);
    figure_free(f);
}

static Figure *heat_of(double limit, float largest)
{
    const float v[] = {0.5f, 0, largest, 1};
    Figure *f = figure_heat(2, 2, v, false, NULL);
    assert_non_null(f);
    f->limit = limit;
    return f;
}

static Figure *lines_of(int n)
{
    static const char *const names[] = {"one", "two", "three"};
    Figure *f = figure_plot(NULL);
    assert_non_null(f);
    for (int i = 0; i < n; i++)
        assert_true(figure_add_series(f, names[i], MARK_LINE, 2, (double[]){0, 1},
                                      (double[]){i, 1}, NULL, NULL, NULL));
    return f;
}

/* One scale below all that have it, with what is odd about any of them; a tile with
 * another one tells its own. A legend has the series of all tiles. */
static void test_multiples(void **unused)
{
    (void)unused;
    Figure *heats = figure_page(NULL), *plots = figure_page(NULL);
    assert_true(heats && plots);
    heats->multiples = plots->multiples = true;
    assert_true(figure_add_part(heats, heat_of(2, 1), NULL) &&
                figure_add_part(heats, heat_of(2, 7), NULL) &&
                figure_add_part(heats, heat_of(2, NAN), NULL) &&
                figure_add_part(heats, heat_of(9, 3), NULL) &&
                figure_add_part(plots, lines_of(1), NULL) &&
                figure_add_part(plots, lines_of(3), NULL));
    Str t = plain_figure(heats, style_of(LEVEL_MONO, 160));
    assert_has(t.s, "0..2 shared: 1 beyond it at full level; ? not a number");
    assert_has(t.s, "0..9 shared");
    str_done(&t);
    t = plain_figure(plots, style_of(LEVEL_MONO, 160));
    assert_has(t.s, "three");
    str_done(&t);
    figure_free(heats);
    figure_free(plots);
}

/* Edges go from a column to the next one only; small columns stand in the middle. */
static void test_diagram(void **unused)
{
    (void)unused;
    const int sizes[] = {5, 2, 5}, empty[] = {3, 0};
    Err err = {0};
    double x, y;
    Figure *f = figure_diagram(3, sizes, false, NULL);
    assert_non_null(f);
    assert_true(figure_add_edge(f, 4, 6, 1, NULL) &&
                figure_add_edge(f, 5, 11, -1, NULL));
    const int wrong[][2] = {
        {0,  1 },
        {0,  7 },
        {6,  4 },
        {-1, 5 },
        {5,  12},
        {7,  8 }
    };
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
        assert_false(figure_add_edge(f, wrong[i][0], wrong[i][1], 1, &err));
    assert_has(err.msg, "an edge from 7 to 8");
    diagram_at(f, 0, &x, &y);
    assert_true(x == 0 && fabs(y - 1) < 1e-12);
    diagram_at(f, 6, &x, &y);
    assert_true(x == 0.5 &&
                fabs(y - 0.1875) < 1e-12); /* two of five: 1/4 of the whole */
    diagram_at(f, 11, &x, &y);
    assert_true(x == 1 && fabs(y) < 1e-12);
    /* a weight far above the limit is drawn as one at it, which has the last step */
    Figure *same = figure_copy(f, NULL);
    DrawStyle style = style_of(LEVEL_MONO, 40);
    Grid above, at;
    f->limit = 1e-12;
    same->limit = 1;
    assert_true(figure_draw(f, &style, &above, NULL));
    assert_true(figure_draw(same, &style, &at, NULL));
    for (int i = 0; i < above.rows - 2; i++) /* behind them the scale, of its limit */
        for (int j = 0; j < 40; j++)
            assert_int_equal(grid_at(&above, i, j)->rune, grid_at(&at, i, j)->rune);
    grid_done(&above);
    grid_done(&at);
    figure_free(same);
    figure_free(f);
    assert_null(figure_diagram(1, sizes, false, &err));
    assert_null(figure_diagram(2, empty, false, &err));
    assert_has(err.msg, "2 to 16 columns of one node or more");
}

static void test_copies_are_equal(void **unused)
{
    (void)unused;
    for (int i = 0; i < ZOO; i++) {
        Figure *f = zoo(i), *copy = figure_copy(f, NULL);
        assert_non_null(copy);
        Str a = plain_figure(f, style_of(LEVEL_TRUE, 90));
        figure_free(f);
        Str b = plain_figure(copy, style_of(LEVEL_TRUE, 90));
        assert_string_equal(a.s, b.s);
        str_done(&a);
        str_done(&b);
        figure_free(copy);
    }
}

static bool draw(void *ctx, Err *err)
{
    DrawStyle style = style_of(LEVEL_TRUE, 90);
    Grid g;
    bool ok = figure_draw(ctx, &style, &g, err);
    if (ok)
        grid_done(&g);
    return ok;
}

static bool copy(void *ctx, Err *err)
{
    Figure *f = figure_copy(ctx, err);
    figure_free(f);
    return f != NULL;
}

static void draw_one(const Figure *f, int r, int rows, DrawStyle style, const char *name)
{
    Grid g;
    Str t;
    Err err = {0};
    str_init(&t);
    assert_ok(figure_draw_component(f, r, rows, &style, &g, &err), err);
    assert_int_equal(g.cols, style.width);
    grid_print(&g, style.level, &t);
    if (name)
        golden_check(name, &t);
    grid_done(&g);
    str_done(&t);
}

/* One component on a screen: as large as fits, and never wider than the screen. */
static void test_one_component(void **unused)
{
    (void)unused;
    Err err = {0};
    Grid g;
    DrawStyle style = style_of(LEVEL_256, 80);
    Figure *f = zoo_set();
    draw_one(f, 1, 21, style, "one-256-80");
    draw_one(f, 1, 21, style_of(LEVEL_MONO, 80), "one-mono-80");
    draw_one(f, 2, 37, style_of(LEVEL_ANSI, 160), "one-ansi-160");
    for (int width = 20; width <= 220; width += 7)
        for (int rows = 1; rows < 90; rows += 8)
            for (int level = LEVEL_MONO; level <= LEVEL_TRUE; level++)
                draw_one(f, rows % 5, rows, style_of((Level)level, width), NULL);
    assert_false(figure_draw_component(f, 5, 20, &style, &g, &err));
    assert_has(err.msg, "the figure has 5");
    assert_false(figure_draw_component(f, -1, 20, &style, &g, &err));
    figure_free(f);
}

static void test_component_order(void **unused)
{
    (void)unused;
    int order[5];
    Figure *f = zoo_set();
    static const int falling[] = {0, 1, 3, 4, 2}, rising[] = {4, 3, 1, 0, 2};
    static const int last[] = {0, 2, 3, 4, 1}; /* equal ones as they are, NaN behind */
    figure_component_order(f, 0, false, order);
    assert_memory_equal(order, falling, sizeof order);
    figure_component_order(f, 0, true, order);
    assert_memory_equal(order, rising, sizeof order);
    figure_component_order(f, 1, false, order);
    assert_memory_equal(order, last, sizeof order);
    figure_component_order(f, -1, false, order);
    for (int i = 0; i < 5; i++)
        assert_int_equal(order[i], i);
    figure_free(f);
}

/* What is not the same for every component is refused, and freed. */
static void test_component_parts(void **unused)
{
    (void)unused;
    Err err = {0};
    float v[12] = {0};
    Figure *f = zoo_set(), *images = figure_images(6, 1, 2, v, true, NULL);
    Figure *heat = figure_heat(4, 3, v, true, NULL), *text = figure_text("x", NULL);
    images->each = heat->each = text->each = true;
    assert_false(figure_add_part(f, images, &err));
    assert_has(err.msg, "each of 5 components");
    assert_false(figure_add_part(f, heat, &err));
    assert_false(figure_add_part(f, text, &err));
    assert_null(figure_components(0, &err));
    figure_free(f);
}

static bool one(void *ctx, Err *err)
{
    DrawStyle style = style_of(LEVEL_256, 100);
    Grid g;
    bool ok = figure_draw_component(ctx, 1, 30, &style, &g, err);
    if (ok)
        grid_done(&g);
    return ok;
}

static void test_one_memory(void **unused)
{
    (void)unused;
    Figure *f = zoo_set();
    assert_true(fail_each_alloc(one, f) >= 5);
    figure_free(f);
}

static void test_memory(void **unused)
{
    (void)unused;
    for (int i = 0; i < ZOO; i++) {
        Figure *f = zoo(i);
        assert_true(fail_each_alloc(draw, f) >= 1);
        if (i != 7) /* its 280 names take a while */
            assert_true(fail_each_alloc(copy, f) >= 2);
        figure_free(f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden),          cmocka_unit_test(test_every_width),
        cmocka_unit_test(test_negation_swaps),  cmocka_unit_test(test_ranges),
        cmocka_unit_test(test_ticks),           cmocka_unit_test(test_verdicts),
        cmocka_unit_test(test_counts),          cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_crowded_labels),  cmocka_unit_test(test_copies_are_equal),
        cmocka_unit_test(test_tones),           cmocka_unit_test(test_given_limit),
        cmocka_unit_test(test_multiples),
        cmocka_unit_test(test_diagram),         cmocka_unit_test(test_memory),
        cmocka_unit_test(test_one_component),   cmocka_unit_test(test_component_order),
        cmocka_unit_test(test_component_parts), cmocka_unit_test(test_one_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
