/* Colour images: exact bytes of cells at every level and of PNG pixels, complements,
 * the nearest of 256 by brute force, scales and their words, odd values, copies. */
#include <math.h>
#include <unistd.h>

#include <png.h>

#include "figure/colour.h"
#include "figure/sample.h"
#include "golden.h"

static const DrawStyle true60 = {.level = LEVEL_TRUE, .width = 60, .utf8 = true};

/* Four pixels: red, green / blue, a mixed one; in planes. */
static const float four[12] = {1, 0, 0, 0.2f, 0, 1, 0, 0.4f, 0, 0, 1, 0.6f};

static Figure *colours(int n, int h, int w, const float *v, bool is_signed)
{
    Figure *f = figure_colours(n, h, w, v, is_signed, NULL);
    assert_non_null(f);
    return f;
}

/* A gradient with an edge, another for each image and sign. */
static Figure *pictures(int n, int side, bool is_signed)
{
    size_t m = (size_t)(3 * side * side);
    float *v = mem_array((size_t)n * m, sizeof *v, NULL);
    for (int k = 0; k < n; k++)
        for (int c = 0; c < 3; c++)
            for (int i = 0; i < side * side; i++) {
                double x = (i % side + 0.5) / side, y = (double)(i / side) / side;
                double t = c == 0 ? x : c == 1 ? y : (x + y < 0.8 + 0.1 * k);
                v[(size_t)k * m + (size_t)(c * side * side + i)] =
                    (float)(is_signed ? 2 * t - 1 : t);
            }
    Figure *f = colours(n, side, side, v, is_signed);
    mem_free(v);
    return f;
}

static GridCell cell_at(const Figure *f, DrawStyle style, int row, int col)
{
    Grid g;
    Err err = {0};
    assert_ok(figure_draw(f, &style, &g, &err), err);
    GridCell c = *grid_at(&g, row, col);
    grid_done(&g);
    return c;
}

static void test_golden(void **unused)
{
    (void)unused;
    Figure *page = pictures(3, 8, false), *filters = pictures(3, 4, true);
    assert_true(figure_set_title(page, "Colours", NULL));
    assert_true(figure_set_label(page, 0, "first", NULL));
    DrawStyle style = true60;
    golden_figure("colours-true", page, style);
    golden_figure("filters-true", filters, style);
    style.level = LEVEL_256;
    golden_figure("colours-256", page, style);
    golden_figure("filters-256", filters, style);
    style.light = true; /* a picture is the same on every background */
    golden_figure("colours-256", page, style);
    style.light = style.utf8 = false;
    golden_figure("colours-256-ascii", page, style);
    style.level = LEVEL_ANSI;
    golden_figure("colours-ansi", page, style);
    golden_figure("filters-ansi", filters, style);
    style.level = LEVEL_MONO;
    golden_figure("colours-mono", page, style);
    golden_figure("filters-mono", filters, style);
    figure_free(page);
    figure_free(filters);
}

static void test_cells(void **unused)
{
    (void)unused;
    Figure *f = colours(1, 2, 2, four, false);
    DrawStyle style = true60;
    GridCell c = cell_at(f, style, 6, 0); /* 28 x 14 cells, 14 pixels each */
    assert_int_equal(c.bg, GRID_RGB(255, 0, 0));
    assert_int_equal(cell_at(f, style, 6, 27).bg, GRID_RGB(0, 255, 0));
    assert_int_equal(cell_at(f, style, 7, 0).bg, GRID_RGB(0, 0, 255));
    assert_int_equal(cell_at(f, style, 7, 27).bg, GRID_RGB(51, 102, 153));
    style.level = LEVEL_256;
    assert_int_equal(cell_at(f, style, 6, 0).bg, 196);
    assert_int_equal(cell_at(f, style, 7, 0).bg, 21);
    assert_int_equal(cell_at(f, style, 7, 27).bg, 60); /* 95, 95, 135 */
    style.level = LEVEL_ANSI;
    assert_int_equal(cell_at(f, style, 6, 0).fg, 1);
    assert_int_equal(cell_at(f, style, 6, 27).fg, 2);
    assert_int_equal(cell_at(f, style, 7, 0).fg, 4);
    assert_int_equal(cell_at(f, style, 6, 0).rune, '@');
    style.level = LEVEL_MONO;
    assert_int_equal(cell_at(f, style, 6, 0).fg, GRID_DEFAULT);
    assert_int_equal(cell_at(f, style, 6, 0).rune, 'x');  /* .299^.7 of 7 steps */
    assert_int_equal(cell_at(f, style, 6, 27).rune, 'o'); /* .587 */
    assert_int_equal(cell_at(f, style, 7, 0).rune, ':');  /* .114 */
    figure_free(f);
}

static void test_half_blocks_and_quadrants(void **unused)
{
    (void)unused;
    const double red[3] = {1, 0, 0}, blue[3] = {0, 0, 1}, none[3] = {0, NAN, 0};
    Map m = {LEVEL_TRUE, false, false, TONE_SHADES};
    GridCell c = colour_half(m, red, blue);
    assert_int_equal(c.rune, 0x2580);
    assert_int_equal(c.fg, GRID_RGB(255, 0, 0));
    assert_int_equal(c.bg, GRID_RGB(0, 0, 255));
    assert_int_equal(colour_half(m, red, red).rune, ' ');
    assert_int_equal(colour_half(m, red, NULL).bg, GRID_DEFAULT);
    assert_int_equal(colour_half(m, red, none).rune, '?');
    for (unsigned mask = 0; mask < 16; mask++) { /* two colours: exact */
        double t[4][3];
        for (int i = 0; i < 4; i++)
            memcpy(t[i], mask >> i & 1 ? red : blue, sizeof t[i]);
        c = colour_quad(m, t);
        bool last = mask >> 3 & 1;
        assert_int_equal(c.bg, last ? GRID_RGB(255, 0, 0) : GRID_RGB(0, 0, 255));
        if (mask == 0 || mask == 15)
            assert_int_equal(c.rune, ' ');
        else
            assert_int_equal(c.fg, last ? GRID_RGB(0, 0, 255) : GRID_RGB(255, 0, 0));
    }
    double t[4][3] = {{1, 0, 0}, {0, 1, 0}, {0, 0, 0}, {0, 0, NAN}};
    assert_int_equal(colour_quad(m, t).rune, '?');
}

/* Thumbnails of 14 x 7 cells use quadrants where there are 24 bits. */
static void test_thumbnail(void **unused)
{
    (void)unused;
    Figure *f = pictures(4, 28, false);
    DrawStyle style = true60;
    Grid g;
    assert_true(figure_draw(f, &style, &g, NULL));
    int quads = 0;
    for (int i = 0; i < g.rows * g.cols; i++)
        quads += g.cell[i].rune > 0x2580 && g.cell[i].rune <= 0x259F;
    assert_true(quads > 10);
    grid_done(&g);
    figure_free(f);
}

static void test_signed(void **unused)
{
    (void)unused;
    assert_int_equal(colour_byte(true, 0), 128);
    assert_int_equal(colour_byte(true, 1), 255);
    assert_int_equal(colour_byte(true, -1), 0);
    assert_int_equal(colour_byte(true, 7), 255);
    for (int i = 1; i <= 1000; i++)
        assert_int_equal(colour_byte(true, i / 1000.0) + colour_byte(true, -i / 1000.0),
                         255);
    /* + and - panels where there are few colours */
    const float v[12] = {2, 0, 0, -2, -2, 0, 0, 0, 0, 0, -2, 2};
    Figure *f = colours(1, 2, 2, v, true);
    DrawStyle style = {.level = LEVEL_ANSI, .width = 80};
    GridCell plus = cell_at(f, style, 1, 0), minus = cell_at(f, style, 1, 29);
    assert_int_equal(plus.fg, 1);
    assert_int_equal(minus.fg, 2);
    assert_true(plus.rune == '@' && minus.rune == '@');
    Str t = plain_figure(f, style);
    assert_has(t.s, "2  largest |v|; left panel +, right panel -");
    str_done(&t);
    t = plain_figure(f, true60);
    assert_has(t.s, "-2 ");
    assert_has(t.s, " +2  largest |v|; grey is 0");
    str_done(&t);
    style = true60;
    style.width = 40;
    t = plain_figure(f, style);
    assert_has(t.s, "grey is 0, bright +,");
    str_done(&t);
    figure_free(f);
}

/* Palette entries as terminals have them. */
static void palette(int p, int c[3])
{
    static const int step[] = {0, 95, 135, 175, 215, 255};
    for (int i = 0, cube = p - 16; i < 3; i++, cube /= 6)
        c[2 - i] = p >= 232 ? 8 + 10 * (p - 232) : step[cube % 6];
}

static int distance(int p, const int rgb[3])
{
    int c[3], sum = 0;
    palette(p, c);
    for (int i = 0; i < 3; i++)
        sum += (c[i] - rgb[i]) * (c[i] - rgb[i]);
    return sum;
}

static void test_nearest_of_256(void **unused)
{
    (void)unused;
    for (int i = 0; i < 4096; i++) {
        const int rgb[3] = {(i >> 8) * 17, (i >> 4 & 15) * 17, (i & 15) * 17};
        int got = grid_colour(GRID_RGB(rgb[0], rgb[1], rgb[2]), LEVEL_256), least = 16;
        for (int p = 17; p < 256; p++)
            if (distance(p, rgb) < distance(least, rgb))
                least = p;
        assert_true(got >= 16 && got < 256);
        if (distance(got, rgb) != distance(least, rgb))
            fail_msg("%d,%d,%d: %d at %d, the nearest is %d at %d", rgb[0], rgb[1],
                     rgb[2], got, distance(got, rgb), least, distance(least, rgb));
    }
}

static double limit_of(Figure *f, FigScale scale, double given)
{
    ImageFacts facts[4];
    f->scale = scale;
    f->limit = given;
    assert_true(sample_facts(f, facts, NULL));
    return facts[0].limit;
}

static void test_scales(void **unused)
{
    (void)unused;
    float v[24];
    for (int i = 0; i < 24; i++)
        v[i] = (i < 12 ? 0.25f : 0.5f) * four[i % 12];
    Figure *f = colours(2, 2, 2, v, false);
    assert_true(limit_of(f, SCALE_SHARED, 0) == 1); /* dark pictures stay dark */
    assert_true(limit_of(f, SCALE_SHARED, 0.5) == 0.5);
    assert_true(limit_of(f, SCALE_EACH, 0) == 0.25);
    assert_true(limit_of(f, SCALE_P99, 0) == 0.5);
    f->pixels[3] = 4;
    assert_true(limit_of(f, SCALE_SHARED, 0) == 4);
    Str t = plain_figure(f, true60);
    assert_has(t.s, " 4  shared: largest v of the page");
    str_done(&t);
    f->pixels[3] = 0;
    t = plain_figure(f, true60);
    assert_has(t.s, " 1  red, green and blue from none to full");
    str_done(&t);
    f->scale = SCALE_EACH;
    t = plain_figure(f, true60);
    assert_has(t.s, "0..0.25");
    str_done(&t);
    figure_free(f);
    f = colours(1, 2, 2, v, true);
    assert_true(limit_of(f, SCALE_SHARED, 0) == 0.25);
    figure_free(f);
}

static void test_odd_values(void **unused)
{
    (void)unused;
    float v[12] = {1, NAN, 0, INFINITY, 0.5f, 0, -1, 0, 0, 0, 1, 0};
    Figure *f = colours(1, 2, 2, v, false);
    for (int level = 0; level <= LEVEL_TRUE; level++)
        for (int light = 0; light < 2; light++) {
            DrawStyle style = {level, 60, light, level >= LEVEL_256, 0, 0};
            Str t = plain_figure(f, style);
            assert_has(t.s, "??????????????");
            assert_has(t.s, "! NaN");
            assert_has(t.s, "1 below 0 as 0; ! infinite values at full level");
            str_done(&t);
        }
    assert_int_equal(cell_at(f, true60, 7, 0).bg, GRID_RGB(0, 0, 255));
    assert_int_equal(cell_at(f, true60, 7, 27).bg, GRID_RGB(255, 0, 0));
    figure_free(f);
    memset(v, 0, sizeof v);
    f = colours(1, 2, 2, v, false);
    Str t = plain_figure(f, true60);
    assert_has(t.s, "zero");
    str_done(&t);
    figure_free(f);
    Err err = {0};
    assert_null(figure_colours(0, 2, 2, v, false, &err));
    assert_int_equal(err.code, ERR_SHAPE);
    assert_null(figure_colours(1 << 30, 1 << 15, 1 << 15, v, false, &err));
    assert_int_equal(err.code, ERR_SHAPE);
}

/* --- files ------------------------------------------------------------------------ */

static char dir[] = "/tmp/cleave-colour-XXXXXX", path[64];

static int make_dir(void **state)
{
    (void)state;
    return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
    (void)state;
    unlink(path);
    return rmdir(dir);
}

static uint8_t *read_png(const Figure *f, int *w, int *h)
{
    Err err = {0};
    png_image im = {.version = PNG_IMAGE_VERSION};
    snprintf(path, sizeof path, "%s/figure.png", dir);
    assert_ok(figure_png(f, path, &err), err);
    assert_true(png_image_begin_read_from_file(&im, path));
    im.format = PNG_FORMAT_RGB;
    uint8_t *rgb = mem_alloc(PNG_IMAGE_SIZE(im), NULL);
    assert_non_null(rgb);
    assert_true(png_image_finish_read(&im, NULL, rgb, 0, NULL));
    *w = (int)im.width;
    *h = (int)im.height;
    return rgb;
}

static void expect_pixel(const uint8_t *rgb, int w, int x, int y, int r, int g, int b)
{
    const uint8_t *p = rgb + 3 * ((size_t)y * (size_t)w + (size_t)x);
    if (p[0] != r || p[1] != g || p[2] != b)
        fail_msg("pixel %d, %d is %d %d %d, not %d %d %d", x, y, p[0], p[1], p[2], r, g,
                 b);
}

/* 56 pixels for each of theirs, behind a margin of 24. */
static void test_png(void **unused)
{
    (void)unused;
    int w, h;
    Figure *f = colours(1, 2, 2, four, false);
    uint8_t *rgb = read_png(f, &w, &h);
    for (int i = 0; i < 56; i += 55) {
        expect_pixel(rgb, w, 24 + i, 24 + i, 255, 0, 0);
        expect_pixel(rgb, w, 80 + i, 24 + i, 0, 255, 0);
        expect_pixel(rgb, w, 24 + i, 80 + i, 0, 0, 255);
        expect_pixel(rgb, w, 80 + i, 80 + i, 51, 102, 153);
    }
    mem_free(rgb);
    figure_free(f);
    const float v[12] = {0.5f, 0, NAN, -0.5f, -0.5f, 0, 0, 0, 0, 0, 0, 0.25f};
    f = colours(1, 2, 2, v, true);
    rgb = read_png(f, &w, &h);
    expect_pixel(rgb, w, 30, 30, 255, 0, 128);
    expect_pixel(rgb, w, 90, 30, 128, 128, 128);
    expect_pixel(rgb, w, 90, 90, 0, 128, 191);
    int hatched = 0;
    for (int x = 24; x < 80; x++)
        hatched += rgb[3 * (100 * w + x)] == 110;
    assert_true(hatched > 10 && hatched < 20);
    mem_free(rgb);
    figure_free(f);
}

static void test_csv_and_copies(void **unused)
{
    (void)unused;
    Figure *f = colours(1, 2, 2, four, false), *copy = figure_copy(f, NULL);
    Str t;
    str_init(&t);
    assert_true(copy && copy->rgb && figure_plane(copy) == 12);
    assert_true(figure_csv(copy, &t, NULL));
    assert_string_equal(t.s, "image,label,row,column,red,green,blue\n0,,0,0,1,0,0\n"
                             "0,,0,1,0,1,0\n0,,1,0,0,0,1\n0,,1,1,0.2,0.4,0.6\n");
    str_done(&t);
    figure_free(copy);
    figure_free(f);
}

/* A component's pictures stay its own, in colour. */
static void test_component(void **unused)
{
    (void)unused;
    float v[24];
    for (int i = 0; i < 24; i++)
        v[i] = i < 12 ? four[i] : four[23 - i];
    Figure *set = figure_components(2, NULL), *part = colours(2, 2, 2, v, false);
    part->each = true;
    assert_true(set && figure_add_part(set, part, NULL));
    Figure *page = figure_one_component(set, 1, NULL);
    assert_true(page && page->n_parts == 1 && page->parts[0]->rgb);
    assert_memory_equal(page->parts[0]->pixels, v + 12, 12 * sizeof *v);
    figure_free(page);
    DrawStyle style = true60;
    Grid g;
    assert_true(figure_draw_component(set, 0, 24, &style, &g, NULL));
    int red = 0;
    for (int i = 0; i < g.rows * g.cols; i++)
        red += g.cell[i].bg == GRID_RGB(255, 0, 0);
    assert_true(red >= 49);
    grid_done(&g);
    figure_free(set);
}

static bool make_and_draw(void *ctx, Err *err)
{
    DrawStyle style = true60;
    Grid g;
    (void)ctx;
    Figure *f = figure_colours(1, 2, 2, four, false, err);
    bool ok = f && figure_draw(f, &style, &g, err);
    if (ok)
        grid_done(&g);
    figure_free(f);
    return ok;
}

static void test_memory(void **unused)
{
    (void)unused;
    assert_true(fail_each_alloc(make_and_draw, NULL) >= 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden),
        cmocka_unit_test(test_cells),
        cmocka_unit_test(test_half_blocks_and_quadrants),
        cmocka_unit_test(test_thumbnail),
        cmocka_unit_test(test_signed),
        cmocka_unit_test(test_nearest_of_256),
        cmocka_unit_test(test_scales),
        cmocka_unit_test(test_odd_values),
        cmocka_unit_test(test_png),
        cmocka_unit_test(test_csv_and_copies),
        cmocka_unit_test(test_component),
        cmocka_unit_test(test_memory),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
