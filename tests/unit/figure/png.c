/* Pictures: decoded again with libpng and compared pixel by pixel with the map; labels,
 * hatching, bar; full disks, missing folders and failing allocations leave nothing
 * behind. */
#include <dirent.h>
#include <math.h>
#include <png.h>

#include "base/file.h"
#include "base/intr.h"
#include "figure/map.h"
#include "figure/pix.h"
#include "golden.h"

static char dir[64], path[128];

static int make_dir(void **unused)
{
    (void)unused;
    scratch_make(dir);
    snprintf(path, sizeof path, "%s/figure.png", dir);
    return 0;
}

static int remove_dir(void **unused)
{
    (void)unused;
    scratch_remove(dir);
    return 0;
}

static int files_in_dir(void)
{
    DIR *d = opendir(dir);
    int n = 0;
    assert_non_null(d);
    for (struct dirent *e; (e = readdir(d)) != NULL;)
        n += e->d_name[0] != '.';
    closedir(d);
    return n;
}

/* Decodes the picture with libpng's simplified reader, an independent path. */
static Pix read_png(void)
{
    png_image im = {.version = PNG_IMAGE_VERSION};
    Pix p;
    assert_true(png_image_begin_read_from_file(&im, path));
    assert_int_equal(im.format, PNG_FORMAT_RGB);
    assert_true(pix_new((int)im.width, (int)im.height, (Rgb){0, 0, 0}, &p, NULL));
    assert_true(png_image_finish_read(&im, NULL, p.rgb, 0, NULL));
    return p;
}

static Rgb at(const Pix *p, int x, int y)
{
    const uint8_t *c = p->rgb + ((size_t)y * (size_t)p->w + (size_t)x) * 3;
    return (Rgb){c[0], c[1], c[2]};
}

static bool same(Rgb a, Rgb b)
{
    return a.r == b.r && a.g == b.g && a.b == b.b;
}

static Pix write_and_read(const Figure *f)
{
    Err err = {0};
    assert_ok(figure_png(f, path, &err), err);
    return read_png();
}

static Figure *ring(int n, int side)
{
    float *v = mem_array((size_t)n * (size_t)side * (size_t)side, sizeof *v, NULL);
    for (int k = 0; k < n; k++)
        ring_picture(v + k * side * side, side, side, k);
    Figure *f = figure_images(n, side, side, v, true, NULL);
    mem_free(v);
    assert_non_null(f);
    return f;
}

/* The images begin at the margin; without a title the first pixel is at (24, 24). */
static void check_pixels(const Figure *f, const Pix *p, int image, int x0, int k,
                         float limit)
{
    Map m = {LEVEL_TRUE, true, f->is_signed, f->tone};
    const float *v = f->pixels + image * f->h * f->w;
    for (int i = 0; i < f->h; i++)
        for (int j = 0; j < f->w; j++) {
            uint8_t c[3];
            map_rgb(m, (double)v[i * f->w + j] / (double)limit, c);
            Rgb want = {c[0], c[1], c[2]};
            for (int d = 0; d < k * k; d++)
                assert_true(same(at(p, x0 + j * k + d % k, 24 + i * k + d / k), want));
        }
}

static float largest(const float *v, int n)
{
    float most = 0;
    for (int i = 0; i < n; i++)
        most = fabsf(v[i]) > most ? fabsf(v[i]) : most;
    return most;
}

static void test_pixels_come_back(void **unused)
{
    (void)unused;
    Figure *f = ring(3, 28);
    Pix p = write_and_read(f);
    for (int k = 0; k < 3; k++)
        check_pixels(f, &p, k, 24 + k * (28 * 8 + 20), 8, largest(f->pixels, 3 * 784));
    pix_done(&p);
    f->scale = SCALE_EACH;
    p = write_and_read(f);
    for (int k = 0; k < 3; k++)
        check_pixels(f, &p, k, 24 + k * (28 * 8 + 20), 8,
                     largest(f->pixels + k * 784, 784));
    pix_done(&p);
    f->is_signed = false;
    f->scale = SCALE_SHARED;
    float most = 0;
    for (int i = 0; i < 3 * 784; i++)
        most = f->pixels[i] > most ? f->pixels[i] : most;
    p = write_and_read(f);
    check_pixels(f, &p, 1, 24 + 28 * 8 + 20, 8, most);
    assert_true(same(at(&p, 0, 0), (Rgb){255, 255, 255}));
    pix_done(&p);
    figure_free(f);
}

static void test_sizes(void **unused)
{
    (void)unused;
    Figure *f = ring(1, 4); /* enlarged more, so that one can see it */
    Pix p = write_and_read(f);
    check_pixels(f, &p, 0, 24, 28, largest(f->pixels, 16));
    pix_done(&p);
    figure_free(f);
    f = ring(1, 600); /* enlarged less */
    p = write_and_read(f);
    check_pixels(f, &p, 0, 24, 1, largest(f->pixels, 360000));
    assert_true(p.h > 600 && p.h < 720);
    pix_done(&p);
    figure_free(f);
    f = ring(10, 28);
    p = write_and_read(f);
    assert_int_equal(p.w, 5 * (224 + 20) - 20 + 48);
    assert_true(p.h > 2 * 224 && p.h < 2 * 224 + 150);
    pix_done(&p);
    f->per_row = 2;
    p = write_and_read(f);
    assert_true(p.w == 560 + 48 && p.h > 5 * 224);
    pix_done(&p);
    figure_free(f);
}

/* Pixels that differ between two pictures of one size. */
static int difference(const Pix *a, const Pix *b)
{
    int n = 0;
    assert_true(a->w == b->w && a->h == b->h);
    for (int i = 0; i < a->h; i++)
        for (int j = 0; j < a->w; j++)
            n += !same(at(a, j, i), at(b, j, i));
    return n;
}

static void test_words_are_drawn(void **unused)
{
    (void)unused;
    Figure *f = ring(1, 28);
    assert_true(figure_set_label(f, 0, "#1 +1.90", NULL));
    assert_true(figure_set_title(f, "Alpha", NULL));
    assert_true(figure_set_caption(f, "caption", NULL));
    Pix a = write_and_read(f);
    assert_true(figure_set_label(f, 0, "#1 -1.90", NULL));
    Pix b = write_and_read(f);
    int n = difference(&a, &b); /* a glyph, and what it moves: 5 of 12 x 20 pixels */
    assert_true(n > 4 && n < 1200);
    pix_done(&b);
    assert_true(figure_set_label(f, 0, "#1 +1.90", NULL));
    assert_true(figure_set_title(f, "Alphb", NULL));
    b = write_and_read(f);
    n = difference(&a, &b);
    assert_true(n > 4 && n < 300);
    pix_done(&b);
    assert_true(figure_set_title(f, "Alpha", NULL));
    for (int i = 0; i < 784; i++)
        f->pixels[i] *= 2; /* the picture is the same, the limit's numbers are not */
    b = write_and_read(f);
    assert_true(difference(&a, &b) > 20);
    for (int i = 24; i < 24 + 36 + 224; i++) /* title and image */
        assert_memory_equal(a.rgb + i * a.w * 3, b.rgb + i * a.w * 3,
                            (size_t)a.w * 3);
    pix_done(&b);
    pix_done(&a);
    figure_free(f);
}

static void test_odd_values(void **unused)
{
    (void)unused;
    float v[784] = {0};
    v[0] = NAN;
    v[1] = INFINITY;
    v[2] = -INFINITY;
    v[3] = -2;
    Figure *f = figure_images(1, 28, 28, v, true, NULL);
    Pix p = write_and_read(f);
    int dark = 0;
    for (int i = 0; i < 64; i++) {
        Rgb c = at(&p, 24 + i % 8, 24 + i / 8);
        assert_true(c.r == c.g && c.g == c.b);
        dark += c.r == 110;
    }
    assert_int_equal(dark, 16);
    uint8_t red[3], blue[3];
    map_rgb((Map){LEVEL_TRUE, true, true, TONE_GREY}, 1, red);
    map_rgb((Map){LEVEL_TRUE, true, true, TONE_GREY}, -1, blue);
    assert_true(same(at(&p, 32, 24), (Rgb){red[0], red[1], red[2]}));
    assert_true(same(at(&p, 40, 24), (Rgb){blue[0], blue[1], blue[2]}));
    assert_true(same(at(&p, 48, 24), (Rgb){blue[0], blue[1], blue[2]}));
    pix_done(&p);
    memset(f->pixels, 0, sizeof v);
    p = write_and_read(f);
    assert_true(same(at(&p, 30, 30), (Rgb){250, 250, 250}));
    pix_done(&p);
    figure_free(f);
}

static Figure *small_table(void)
{
    Figure *f = figure_table(2, 2, NULL);
    assert_non_null(f);
    assert_true(figure_set_head(f, 0, "name", false, NULL));
    assert_true(figure_set_head(f, 1, "value", true, NULL));
    assert_true(figure_set_cell(f, 0, 0, "two_bank \xE8\xA7\xA3\033", NULL));
    assert_true(figure_set_cell(f, 0, 1, "0.97", NULL));
    assert_true(figure_set_cell(f, 1, 1, "12.5", NULL));
    return f;
}

static void test_tables_and_texts(void **unused)
{
    (void)unused;
    Figure *f = small_table();
    Pix a = write_and_read(f);
    assert_int_equal(a.h, 4 * 26 + 48);
    assert_int_equal(a.w, (13 + 2 + 5) * 12 + 48);
    assert_true(figure_set_cell(f, 1, 1, "13.5", NULL));
    Pix b = write_and_read(f);
    int n = difference(&a, &b);
    assert_true(n > 4 && n < 240);
    pix_done(&a);
    pix_done(&b);
    figure_free(f);
    f = figure_text("", NULL);
    a = write_and_read(f);
    assert_int_equal(a.h, 48);
    pix_done(&a);
    figure_free(f);
}

static void test_disk_full(void **unused)
{
    (void)unused;
    Figure *f = ring(2, 28);
    assert_true(figure_png(f, path, NULL));
    char *before, *after;
    size_t n, m, live = mem_live();
    assert_true(file_read_all(path, 1 << 20, &before, &n, NULL));
    for (size_t k = 0; k < n; k += 1 + n / 17) {
        Err err = {0};
        file_fail_after((int64_t)k);
        bool ok = figure_png(f, path, &err);
        file_fail_after(-1);
        assert_false(ok);
        assert_int_equal(err.code, ERR_IO);
        assert_has(err.msg, "figure.png");
        assert_has(err.msg, "No space");
        assert_int_equal(files_in_dir(), 1);
    }
    assert_true(file_read_all(path, 1 << 20, &after, &m, NULL));
    assert_true(n == m && memcmp(before, after, n) == 0); /* the old one is whole */
    mem_free(before);
    mem_free(after);
    assert_int_equal(mem_live(), live);
    Err err = {0};
    assert_false(figure_png(f, "/nonexistent/folder/x.png", &err));
    assert_int_equal(err.code, ERR_IO);
    figure_free(f);
}

static void test_interrupt(void **unused)
{
    (void)unused;
    Figure *f = ring(2, 28);
    Err err = {0};
    int files = files_in_dir();
    size_t live = mem_live();
    intr_raise();
    bool ok = figure_png(f, path, &err);
    intr_clear();
    assert_false(ok);
    assert_int_equal(err.code, ERR_INTERRUPT);
    assert_int_equal(files_in_dir(), files);
    assert_int_equal(mem_live(), live);
    Pix p;
    assert_true(pix_new(9, 200, (Rgb){1, 2, 3}, &p, NULL));
    intr_raise(); /* in the middle of the compression, past libpng's set-up */
    ok = pix_png(&p, path, &err);
    intr_clear();
    assert_false(ok);
    assert_int_equal(err.code, ERR_INTERRUPT);
    assert_int_equal(files_in_dir(), files);
    pix_done(&p);
    figure_free(f);
}

static bool save(void *ctx, Err *err)
{
    return figure_png(ctx, path, err);
}

static void test_memory(void **unused)
{
    (void)unused;
    Figure *f = ring(2, 6);
    assert_true(figure_set_label(f, 0, "label", NULL));
    unlink(path);
    assert_true(fail_each_alloc(save, f) >= 8); /* libpng's and zlib's among them */
    assert_int_equal(files_in_dir(), 1);
    figure_free(f);
    f = small_table();
    assert_true(fail_each_alloc(save, f) >= 8);
    figure_free(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pixels_come_back), cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_words_are_drawn),  cmocka_unit_test(test_odd_values),
        cmocka_unit_test(test_tables_and_texts),
        cmocka_unit_test(test_disk_full),        cmocka_unit_test(test_interrupt),
        cmocka_unit_test(test_memory),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
