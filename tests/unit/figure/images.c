/* Image pages: golden pictures at every level, sizes, exact antisymmetry of the
 * colours, thin lines in thumbnails, odd values, scales, and every width. */
#include <math.h>

#include "base/intr.h"
#include "figure/map.h"
#include "figure/sample.h"
#include "golden.h"

static Figure *rings(int n, int h, int w)
{
    float *p = mem_array((size_t)n * (size_t)h * (size_t)w, sizeof *p, NULL);
    for (int k = 0; k < n; k++)
        ring_picture(p + k * h * w, h, w, k - n / 2);
    Figure *f = figure_images(n, h, w, p, true, NULL);
    assert_non_null(f);
    for (int k = 0; k < n; k++) {
        char label[64];
        snprintf(label, sizeof label, "#%d %+.2f %.1f%%", k, 4.2 - k, 14.0 / (k + 1));
        assert_true(figure_set_label(f, k, label, NULL));
    }
    mem_free(p);
    return f;
}

static Figure *one_image(int h, int w, const float *p, bool is_signed)
{
    Figure *f = figure_images(1, h, w, p, is_signed, NULL);
    assert_non_null(f);
    return f;
}

static const DrawStyle mono80 = {
    .level = LEVEL_MONO, .width = 80, .light = false, .utf8 = true};
static const DrawStyle true80 = {
    .level = LEVEL_TRUE, .width = 80, .light = false, .utf8 = true};

static void test_golden(void **unused)
{
    (void)unused;
    Figure *page = rings(5, 28, 28), *small = rings(2, 6, 6);
    assert_true(figure_set_title(page, "Rings", NULL));
    assert_true(figure_set_caption(page, "A ring around a blot.", NULL));
    golden_figure("page-mono-80", page, mono80);
    golden_figure(
        "page-ansi-80", page,
        (DrawStyle){.level = LEVEL_ANSI, .width = 80, .light = false, .utf8 = true});
    golden_figure(
        "page-ansi-light-80", page,
        (DrawStyle){.level = LEVEL_ANSI, .width = 80, .light = true, .utf8 = true});
    golden_figure(
        "page-ansi-30", page,
        (DrawStyle){.level = LEVEL_ANSI, .width = 30, .light = false, .utf8 = true});
    golden_figure(
        "page-256-80", page,
        (DrawStyle){.level = LEVEL_256, .width = 80, .light = false, .utf8 = true});
    golden_figure(
        "page-256-ascii-80", page,
        (DrawStyle){.level = LEVEL_256, .width = 80, .light = false, .utf8 = false});
    golden_figure(
        "small-256", small,
        (DrawStyle){.level = LEVEL_256, .width = 60, .light = false, .utf8 = true});
    golden_figure(
        "small-256-light", small,
        (DrawStyle){.level = LEVEL_256, .width = 60, .light = true, .utf8 = true});
    golden_figure(
        "small-true", small,
        (DrawStyle){.level = LEVEL_TRUE, .width = 60, .light = false, .utf8 = true});
    small->is_signed = false;
    golden_figure(
        "small-grey-256", small,
        (DrawStyle){.level = LEVEL_256, .width = 60, .light = false, .utf8 = true});
    figure_free(page);
    figure_free(small);
}

/* Columns and rows that a page of n images takes up, without scale line and
 * captions. */
static void expect_layout(Figure *f, DrawStyle style, int cols, int rows)
{
    Grid g;
    int most = 0, last = -1;
    assert_true(figure_draw(f, &style, &g, NULL));
    for (int i = 0; i < g.rows; i++)
        for (int j = 0; j < g.cols; j++) {
            int32_t bg = grid_at(&g, i, j)->bg;
            if (bg == GRID_DEFAULT || i == g.rows - 1)
                continue;
            most = j + 1 > most ? j + 1 : most;
            last = i;
        }
    assert_int_equal(most, cols);
    assert_int_equal(last + 1, rows);
    grid_done(&g);
}

static void test_sizes(void **unused)
{
    (void)unused;
    static const struct {
        int n, side, per_row, width, cols, rows;
    } want[] = {
        {1,  28,  0, 80,  28,  14}, /* full size */
        {2,  28,  0, 80,  58,  14},
        {3,  28,  0, 80,  46,  7 }, /* thumbnails */
        {5,  28,  0, 80,  78,  7 },
        {10, 28,  0, 80,  78,  16}, /* two rows with captions */
        {7,  28,  0, 120, 110, 7 },
        {5,  28,  0, 160, 148, 14},
        {10, 28,  0, 160, 158, 7 },
        {10, 28,  5, 160, 148, 30},
        {4,  28,  2, 80,  58,  30},
        {4,  28,  1, 80,  28,  62},
        {3,  28,  9, 20,  14,  25}, /* one below the other */
        {1,  784, 0, 80,  80,  40},
        {2,  64,  0, 80,  58,  14},
        {1,  4,   0, 80,  28,  14}, /* enlarged by an integer */
        {1,  10,  0, 80,  20,  10},
    };
    for (size_t i = 0; i < ARRAY_LEN(want); i++) {
        Figure *f = rings(want[i].n, want[i].side, want[i].side);
        f->per_row = want[i].per_row;
        DrawStyle style = {
            .level = LEVEL_256, .width = want[i].width, .utf8 = true};
        expect_layout(f, style, want[i].cols, want[i].rows);
        figure_free(f);
    }
}

static void test_zoom(void **unused)
{
    (void)unused;
    static const struct {
        int rows, width, cols;
    } want[] = {
        {62, 120, 112},
        {60, 100, 84 },
        {35, 100, 56 },
        {24, 80,  28 },
        {12, 80,  12 }
    };
    Figure *f = rings(3, 28, 28);
    f->pixels[0] = 8; /* the limit comes from the whole page */
    Err err = {0};
    for (size_t i = 0; i < ARRAY_LEN(want); i++) {
        DrawStyle style = {
            .level = LEVEL_256, .width = want[i].width, .utf8 = true};
        Grid g;
        Str t;
        str_init(&t);
        assert_true(figure_zoom(f, 2, want[i].rows, &style, &g, &err));
        assert_true(g.rows <= want[i].rows);
        int cols = 0;
        while (cols < g.cols && grid_at(&g, 1, cols)->bg != GRID_DEFAULT)
            cols++;
        assert_int_equal(cols, want[i].cols);
        grid_plain(&g, &t);
        assert_has(t.s, "-8 ");
        assert_has(t.s, "#2 +2.20");
        str_done(&t);
        grid_done(&g);
    }
    Grid g;
    assert_false(figure_zoom(f, 3, 24, &true80, &g, &err));
    assert_int_equal(err.code, ERR_SHAPE);
    assert_true(figure_zoom(f, 0, 1, &mono80, &g, &err)); /* as small as it gets */
    grid_done(&g);
    figure_free(f);
}

static void test_interrupt(void **unused)
{
    (void)unused;
    Figure *f = rings(3, 28, 28);
    Err err = {0};
    Grid g;
    size_t live = mem_live();
    intr_raise();
    bool ok = figure_draw(f, &true80, &g, &err);
    intr_clear();
    assert_false(ok);
    assert_int_equal(err.code, ERR_INTERRUPT);
    assert_int_equal(mem_live(), live);
    figure_free(f);
}

/* True when some t has colour a and -t has colour b. */
static bool mirrored(Map m, int32_t a, int32_t b)
{
    for (int i = -20000; i <= 20000; i++)
        if (map_colour(m, i / 20000.0) == a && map_colour(m, -i / 20000.0) == b)
            return true;
    return false;
}

static void test_negating_swaps_colours(void **unused)
{
    (void)unused;
    for (int variant = 0; variant < 8; variant++) {
        DrawStyle style = {.level = variant & 1 ? LEVEL_TRUE : LEVEL_256,
                           .width = variant & 2 ? 20 : 80,
                           .light = variant & 4,
                           .utf8 = true};
        Map m = {style.level, style.light, true, TONE_GREY};
        Figure *f = rings(1, 12, 12);
        Grid a, b;
        assert_true(figure_draw(f, &style, &a, NULL));
        for (int i = 0; i < 144; i++)
            f->pixels[i] = -f->pixels[i];
        assert_true(figure_draw(f, &style, &b, NULL));
        int coloured = 0;
        for (int i = 0; i < (a.rows - 4) * a.cols; i++) {
            GridCell x = a.cell[i], y = b.cell[i];
            assert_int_equal(x.rune, y.rune);
            if (x.bg == GRID_DEFAULT)
                continue;
            assert_true(mirrored(m, x.bg, y.bg));
            assert_true(x.rune == ' ' || mirrored(m, x.fg, y.fg));
            coloured += x.bg != map_colour(m, 0);
        }
        assert_true(coloured > 20);
        grid_done(&a);
        grid_done(&b);
        figure_free(f);
    }
}

/* From zero on every step is farther from the background; the fixed palette entries. */
static void test_maps_rise(void **unused)
{
    (void)unused;
    for (int light = 0; light < 2; light++)
        for (int sign = -1; sign <= 1; sign += 2) {
            double last = light ? 256 : -1;
            for (int i = 0; i <= 20; i++) {
                uint8_t c[3];
                map_rgb((Map){LEVEL_TRUE, light, true, TONE_GREY}, sign * i / 20.0, c);
                double luma = 0.299 * c[0] + 0.587 * c[1] + 0.114 * c[2];
                assert_true(light ? luma < last : luma > last);
                last = luma;
            }
        }
    Map dark = {LEVEL_256, false, true, TONE_GREY};
    assert_int_equal(map_colour(dark, 0.069), 16); /* dead band */
    assert_int_equal(map_colour(dark, -0.069), 16);
    assert_int_equal(map_colour(dark, 0.071), 52);
    assert_int_equal(map_colour(dark, -0.071), 18);
    assert_int_equal(map_colour(dark, 1), 217);
    assert_int_equal(map_colour(dark, -1), 153);
    Map black = {LEVEL_TRUE, false, true, TONE_GREY};
    assert_int_equal(map_colour(black, 0), GRID_RGB(0, 0, 0));
}

/* Columns of the image in which something is drawn, at a thumbnail size. */
static int marked_columns(const Figure *f, Level level, int row)
{
    DrawStyle style = {.level = level, .width = 40, .light = false, .utf8 = true};
    Grid g;
    int marked = 0;
    assert_true(figure_draw(f, &style, &g, NULL));
    int32_t zero = map_colour((Map){level, false, f->is_signed, f->tone}, 0);
    for (int j = 0; j < 14; j++) {
        const GridCell *c = grid_at(&g, row, j);
        bool ink = c->rune != ' ';
        if (level >= LEVEL_256)
            ink = c->bg != zero || (ink && c->fg != zero);
        marked += ink;
    }
    grid_done(&g);
    return marked;
}

static void test_thin_line_survives(void **unused)
{
    (void)unused;
    for (int at = 0; at < 28; at++)
        for (int turned = 0; turned < 2; turned++) {
            static float p[2 * 784];
            memset(p, 0, sizeof p);
            for (int i = 0; i < 28; i++)
                p[turned ? at * 28 + i : i * 28 + at] = at % 2 ? 1.0f : -1.0f;
            Figure *f = figure_images(2, 28, 28, p, true, NULL);
            for (Level l = LEVEL_ANSI; l <= LEVEL_TRUE; l++)
                for (int row = 0; row < 7; row++) {
                    int want = !turned ? 1 : at / 4 == row ? 14 : 0;
                    assert_int_equal(marked_columns(f, l, row), want);
                }
            figure_free(f);
        }
}

static void test_box_filter_is_exact(void **unused)
{
    (void)unused;
    float p[6] = {1, 2, 3, 4, 5, 6}; /* 2 x 3 */
    double d[24];
    sample_area(p, 2, 3, d, 1, 1);
    assert_true(d[0] == 3.5);
    sample_area(p, 2, 3, d, 4, 6);
    for (int i = 0; i < 24; i++)
        assert_true(d[i] == (double)p[i / 12 * 3 + i % 6 / 2]);
    sample_area(p, 2, 3, d, 1, 2);
    assert_true(fabs(d[0] - (1 + 4 + 1 + 2.5) / 3) < 1e-15);
    p[2] = NAN; /* reaches its own box only */
    sample_area(p, 2, 3, d, 2, 3);
    assert_true(d[1] == 2 && isnan(d[2]) && d[5] == 6);
    float flat[77];
    for (int i = 0; i < 77; i++)
        flat[i] = 0.1f;
    sample_area(flat, 7, 11, d, 3, 4);
    for (int i = 0; i < 12; i++)
        assert_true(d[i] == (double)0.1f);
}

static bool shows(const Figure *f, DrawStyle style, const char *part)
{
    Str t = plain_figure(f, style);
    bool found = strstr(t.s, part) != NULL;
    str_done(&t);
    return found;
}

static void test_odd_values(void **unused)
{
    (void)unused;
    float p[16] = {0};
    Figure *f = one_image(4, 4, p, true);
    assert_true(shows(f, true80, "zero"));
    assert_true(shows(f, true80, "-0 "));
    f->pixels[5] = NAN;
    assert_true(shows(f, true80, "NaN"));
    assert_true(shows(f, true80, "?????"));
    assert_true(shows(f, mono80, "?????"));
    assert_false(shows(f, true80, "zero"));
    f->pixels[5] = 2;
    f->pixels[6] = INFINITY;
    f->pixels[9] = -INFINITY;
    assert_true(shows(f, true80, "!"));
    assert_true(shows(f, true80, "+2 "));
    assert_false(shows(f, true80, "??"));
    Grid g;
    assert_true(figure_draw(f, &true80, &g, NULL));
    Map m = {LEVEL_TRUE, false, true, TONE_GREY};
    assert_int_equal(grid_at(&g, 4, 14)->bg, map_colour(m, 1)); /* 7 columns a pixel */
    assert_int_equal(grid_at(&g, 8, 7)->bg, map_colour(m, -1));
    grid_done(&g);
    for (int i = 0; i < 16; i++)
        f->pixels[i] = -3.5f; /* constant: full colour everywhere */
    assert_true(figure_draw(f, &true80, &g, NULL));
    for (int i = 0; i < 14; i++)
        for (int j = 0; j < 28; j++)
            assert_int_equal(grid_at(&g, i, j)->bg, map_colour(m, -1));
    grid_done(&g);
    for (int i = 0; i < 16; i++)
        f->pixels[i] = i % 2 ? 1e-37f : -3e38f;
    assert_true(shows(f, true80, "+3e38"));
    for (int i = 0; i < 16; i++)
        f->pixels[i] = (float)1e-300; /* zero as a float */
    assert_true(shows(f, true80, "zero"));
    for (int i = 0; i < 16; i++)
        f->pixels[i] = 1e-30f;
    assert_true(shows(f, true80, "+1e-30"));
    assert_false(shows(f, true80, "zero"));
    for (int i = 0; i < 16; i++)
        f->pixels[i] = NAN;
    assert_true(shows(f, mono80, "NaN"));
    figure_free(f);
}

static void test_scales(void **unused)
{
    (void)unused;
    float p[400];
    for (int i = 0; i < 400; i++)
        p[i] = (float)(i % 200 + 1) / (i < 200 ? 100 : 200) * (i % 2 ? -1.0f : 1.0f);
    p[7] = 50;
    Figure *f = figure_images(2, 10, 20, p, true, NULL);
    ImageFacts facts[2];
    assert_true(sample_facts(f, facts, NULL));
    assert_true(facts[0].limit == 50 && facts[1].limit == 50);
    f->scale = SCALE_EACH;
    assert_true(sample_facts(f, facts, NULL));
    assert_true(facts[0].limit == 50 && facts[1].limit == 1);
    assert_true(shows(f, true80, "+/-50") && shows(f, true80, "+/-1\n"));
    f->scale = SCALE_P99;
    assert_true(sample_facts(f, facts, NULL));
    /* sizes sorted: the 396th of 400; 50, 2.00, 1.99, 1.98 lie beyond */
    assert_true(facts[0].limit == (double)1.97f && facts[1].limit == (double)1.97f);
    assert_int_equal(facts[0].clipped + facts[1].clipped, 4);
    assert_true(shows(f, true80, "+1.97") && shows(f, true80, "4 beyond it"));
    memset(f->pixels, 0, 400 * sizeof(float));
    f->pixels[3] = -2; /* nearly all zero: the percentile would be 0 */
    assert_true(sample_facts(f, facts, NULL));
    assert_true(facts[0].limit == 2 && !facts[0].zero && facts[1].zero);
    f->is_signed = false;
    f->pixels[4] = 0.5f;
    f->scale = SCALE_SHARED;
    assert_true(sample_facts(f, facts, NULL));
    assert_true(facts[0].limit == 0.5);
    figure_free(f);
}

static void test_labels(void **unused)
{
    (void)unused;
    Figure *f = rings(5, 28, 28);
    assert_true(figure_set_label(f, 0, "a label that is too long for this", NULL));
    const char *hostile = "\033[2J\xE8\xA7\xA3\xE6\x9E\x90 name that is cut";
    assert_true(figure_set_label(f, 1, hostile, NULL));
    memset(f->pixels, 0, 784 * sizeof(float));
    Str t = plain_figure(f, true80);
    assert_has(t.s, "a label ~ zero");
    assert_has(t.s, "^[[2J\xE8\xA7\xA3\xE6\x9E\x90 nam~");
    assert_null(strchr(t.s, '\033'));
    str_done(&t);
    figure_free(f);
}

/* Every width at every level, also with odd shapes: no crash, the width is kept, and
 * the scale's words are there. */
static void test_every_width(void **unused)
{
    (void)unused;
    static const int shape[][3] = {
        {10, 28,  28 },
        {1,  1,   784},
        {2,  300, 1  },
        {3,  1,   1  },
        {1,  5,   7  },
        {2,  90,  40 }
    };
    for (size_t s = 0; s < ARRAY_LEN(shape); s++) {
        Figure *f = rings(shape[s][0], shape[s][1], shape[s][2]);
        f->scale = s % 2 ? SCALE_EACH : SCALE_SHARED;
        for (int width = 20; width <= 300; width += 1 + width / 24)
            for (int v = 0; v < 8; v++) {
                DrawStyle style = {.level = (Level)(v / 2),
                                   .width = width,
                                   .light = s & 1,
                                   .utf8 = v & 1};
                Grid g;
                assert_true(figure_draw(f, &style, &g, NULL));
                assert_int_equal(g.cols, width);
                assert_true(g.rows > 2 && g.rows < 3 * width + 400);
                grid_done(&g);
            }
        for (int width = 1; width < 20; width++) {
            DrawStyle style = {
                .level = LEVEL_TRUE, .width = width, .light = false, .utf8 = true};
            Grid g;
            assert_true(figure_draw(f, &style, &g, NULL));
            assert_int_equal(g.cols, width);
            grid_done(&g);
        }
        figure_free(f);
    }
}

static bool draw_some(void *ctx, Err *err)
{
    Grid g;
    if (!figure_draw(
            ctx,
            &(DrawStyle){
                .level = LEVEL_MONO, .width = 80, .light = false, .utf8 = false},
            &g, err))
        return false;
    grid_done(&g);
    return true;
}

static bool make_some(void *ctx, Err *err)
{
    float p[4] = {1, 2, 3, 4};
    (void)ctx;
    Figure *f = figure_images(2, 1, 2, p, true, err);
    bool ok = f && figure_set_label(f, 1, "one", err) &&
              figure_set_title(f, "t", err) && figure_set_caption(f, "c", err) &&
              figure_set_title(f, "t2", err) && figure_set_label(f, 1, "two", err);
    figure_free(f);
    return ok;
}

static void test_memory(void **unused)
{
    (void)unused;
    Figure *f = rings(10, 28, 28);
    f->scale = SCALE_P99;
    assert_true(fail_each_alloc(draw_some, f) >= 5);
    assert_true(fail_each_alloc(make_some, NULL) >= 6);
    figure_free(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden),
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_zoom),
        cmocka_unit_test(test_interrupt),
        cmocka_unit_test(test_negating_swaps_colours),
        cmocka_unit_test(test_maps_rise),
        cmocka_unit_test(test_thin_line_survives),
        cmocka_unit_test(test_box_filter_is_exact),
        cmocka_unit_test(test_odd_values),
        cmocka_unit_test(test_scales),
        cmocka_unit_test(test_labels),
        cmocka_unit_test(test_every_width),
        cmocka_unit_test(test_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
