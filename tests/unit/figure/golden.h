/* golden.h -- compares a text with tests/golden/figure/<name>.txt, read from the
 * repository's root. CLEAVE_GOLDEN=update writes the files instead; read the diff
 * before committing it. */
#ifndef CLEAVE_TEST_GOLDEN_H
#define CLEAVE_TEST_GOLDEN_H
#include "base/file.h"
#include "base/str.h"
#include "figure/figure.h"
#include "support.h"

/* Escapes are written as \e so that the files can be read. */
static inline void golden_check(const char *name, const Str *text)
{
    char path[256], *want;
    size_t n;
    Err err = {0};
    Str got;
    str_init(&got);
    for (size_t i = 0; i < text->len; i++)
        if (text->s[i] == '\033')
            str_add(&got, "\\e");
        else
            str_addc(&got, text->s[i]);
    assert_true(str_ok(&got, NULL));
    snprintf(path, sizeof path, "tests/golden/figure/%s.txt", name);
    const char *mode = getenv("CLEAVE_GOLDEN");
    if (mode && strcmp(mode, "update") == 0)
        assert_ok(file_write_all(path, got.s, got.len, &err), err);
    assert_ok(file_read_all(path, 1 << 20, &want, &n, &err), err);
    if (n != got.len || memcmp(want, got.s, n) != 0)
        fail_msg("%s differs; CLEAVE_GOLDEN=update rewrites it. Now:\n%s", path, got.s);
    mem_free(want);
    str_done(&got);
}

static inline void golden_figure(const char *name, const Figure *f, DrawStyle style)
{
    Grid g;
    Str t;
    Err err = {0};
    str_init(&t);
    assert_ok(figure_draw(f, &style, &g, &err), err);
    assert_int_equal(g.cols, style.width);
    grid_print(&g, style.level, &t);
    golden_check(name, &t);
    grid_done(&g);
    str_done(&t);
}

/* What a figure looks like without attributes; the caller frees with str_done(). */
static inline Str plain_figure(const Figure *f, DrawStyle style)
{
    Grid g;
    Str t;
    Err err = {0};
    str_init(&t);
    assert_ok(figure_draw(f, &style, &g, &err), err);
    grid_plain(&g, &t);
    grid_done(&g);
    return t;
}

/* A signed picture of a ring (positive) around a blot (negative), moved by `shift`. */
static inline void ring_picture(float *p, int h, int w, int shift)
{
    for (int i = 0; i < h; i++)
        for (int j = 0; j < w; j++) {
            double y = (i + 0.5) / h * 2 - 1, x = (j + 0.5) / w * 2 - 1 - shift * 0.1;
            double r = y * y + x * x;
            bool on_ring = r > 0.3 && r < 0.7;
            p[i * w + j] = (float)(r < 0.1 ? -1 + 4 * r : on_ring ? 0.9 - r : 0);
        }
}
#endif
