/* Files: PNG, SVG and PDF of every kind are well formed, carry their words, and are the
 * same each time; CSV reads back to the same bits; Markdown and LaTeX escape what they
 * must; full disks and failing allocations leave nothing behind. */
#include <dirent.h>
#include <math.h>

#include "base/file.h"
#include "figure/paper.h"
#include "figure/sheet.h"
#include "golden.h"
#include "zoo.h"

static char dir[64];

static int make_dir(void **unused)
{
    (void)unused;
    scratch_make(dir);
    return 0;
}

static int remove_dir(void **unused)
{
    (void)unused;
    scratch_remove(dir);
    return 0;
}

static const char *path_of(const char *name)
{
    static char path[128];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    return path;
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

static char *saved(const Figure *f, const char *name, size_t *n)
{
    char *text;
    Err err = {0};
    assert_ok(figure_save(f, path_of(name), &err), err);
    assert_ok(file_read_all(path_of(name), 1 << 24, &text, n, &err), err);
    return text;
}

static int count(const char *text, const char *what)
{
    int n = 0;
    for (const char *p = text; (p = strstr(p, what)) != NULL; p++)
        n++;
    return n;
}

/* Every element is closed, and no text of the figure became markup. */
static void test_svg(void **unused)
{
    (void)unused;
    for (int i = 0; i < ZOO; i++) {
        size_t n;
        Figure *f = zoo(i);
        char *s = saved(f, "f.svg", &n);
        assert_has(s, "<svg xmlns=");
        assert_string_equal(s + n - strlen("</svg>\n"), "</svg>\n");
        assert_int_equal(count(s, "<g"),
                         count(s, "</g>") + count(s, "<g/>") - count(s, "</glyph>"));
        assert_null(strstr(s, "evil"));
        assert_null(strchr(s, '\033'));
        bool raster = i == 6 || i == 7 || i == 8 || i == 10 || i == 12 || i == 14 ||
                      i == 16 || i == 17;
        assert_int_equal(strstr(s, "<image") != NULL, raster);
        mem_free(s);
        figure_free(f);
    }
}

/* Saving twice gives the same bytes; nothing in them comes from the clock. */
static void test_same_bytes(void **unused)
{
    (void)unused;
    static const char *const names[] = {"f.png", "f.svg", "f.pdf",
                                        "f.csv", "f.md",  "f.tex"};
    for (int i = 0; i < ZOO; i++)
        for (size_t k = 0; k < ARRAY_LEN(names); k++) {
            size_t n, m;
            Figure *f = zoo(i);
            char *a = saved(f, names[k], &n), *b = saved(f, names[k], &m);
            if (n != m || memcmp(a, b, n) != 0)
                fail_msg("figure %d as %s differs", i, names[k]);
            mem_free(a);
            mem_free(b);
            figure_free(f);
        }
}

static void test_pdf(void **unused)
{
    (void)unused;
    for (int i = 0; i < ZOO; i++) {
        size_t n;
        Figure *f = zoo(i);
        char *s = saved(f, "f.pdf", &n);
        assert_memory_equal(s, "%PDF-1.", 7);
        assert_memory_equal(s + n - 6, "%%EOF\n", 6);
        assert_null(strstr(s, "evil"));
        mem_free(s);
        figure_free(f);
    }
}

/* The sheet of a negated figure has red where blue was, pixel by pixel. */
static void test_negation(void **unused)
{
    (void)unused;
    float v[64], w[64];
    for (int i = 0; i < 64; i++)
        w[i] = -(v[i] = (float)sin(i));
    Rgb red = map_paper(true, 0.7), blue = map_paper(true, -0.7);
    assert_int_not_equal(red.r, blue.r);
    size_t n, m;
    Figure *f = figure_images(1, 8, 8, v, true, NULL);
    Figure *g = figure_images(1, 8, 8, w, true, NULL);
    char *a = saved(f, "f.png", &n);
    char *b = saved(g, "f.png", &m);
    assert_true(n != m || memcmp(a, b, n) != 0);
    mem_free(a);
    mem_free(b);
    for (int i = 0; i < 64; i++)
        g->pixels[i] = -g->pixels[i];
    a = saved(f, "f.png", &n);
    b = saved(g, "f.png", &m);
    assert_true(n == m && memcmp(a, b, n) == 0);
    mem_free(a);
    mem_free(b);
    figure_free(f);
    figure_free(g);
}

static void test_csv_reads_back(void **unused)
{
    (void)unused;
    const double x[] = {0.1, 1e-300, 1e300}, y[] = {1.0 / 3, -0.0, 123456789.125};
    Figure *f = figure_plot(NULL);
    assert_true(
        figure_add_series(f, "a,\"b\"\nc", MARK_LINE, 3, x, y, NULL, NULL, NULL));
    Str t;
    str_init(&t);
    assert_true(figure_csv(f, &t, NULL));
    static const char head[] = "series,x,x_end,y,lo,hi,label\n\"a,\"\"b\"\"\nc\",";
    assert_memory_equal(t.s, head, strlen(head));
    const char *at = t.s;
    for (int i = 0; i < 3; i++) {
        char *end;
        at = strstr(at, "c\",") + 3;
        assert_true(strtod(at, &end) == x[i]);
        assert_true(strtod(end + 2, &end) == y[i]); /* no x_end */
        assert_memory_equal(end, ",,,\n", 4);
    }
    str_done(&t);
    figure_free(f);
}

static void golden_text(const char *name, int kind,
                        bool (*write)(const Figure *, Str *))
{
    Figure *f = zoo(kind);
    Str t;
    str_init(&t);
    assert_true(write(f, &t));
    golden_check(name, &t);
    str_done(&t);
    figure_free(f);
}

static bool csv(const Figure *f, Str *t)
{
    return figure_csv(f, t, NULL);
}

static bool latex(const Figure *f, Str *t)
{
    return figure_latex(f, "a picture.pdf", t, NULL);
}

static bool markdown(const Figure *f, Str *t)
{
    return figure_markdown(f, "a picture.png", t, NULL);
}

static void test_documents(void **unused)
{
    (void)unused;
    golden_text("csv-scatter", 1, csv);
    golden_text("csv-counts", 2, csv);
    golden_text("csv-bars", 4, csv);
    golden_text("csv-heat", 6, csv);
    golden_text("csv-bipartite", 8, csv);
    golden_text("csv-between", 9, csv);
    golden_text("csv-diagram", 14, csv);
    golden_text("csv-table", 11, csv);
    golden_text("latex-table", 11, latex);
    golden_text("latex-text", 13, latex);
    golden_text("latex-plot", 0, latex);
    golden_text("markdown-plot", 0, markdown);
    golden_text("markdown-table", 11, markdown);
}

static void test_suffixes(void **unused)
{
    (void)unused;
    static const char *const wrong[] = {"f", "f.bmp", ".png", "f.PNG.", "d.png/f"};
    Figure *f = zoo(0);
    Err err;
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        assert_false(figure_save(f, path_of(wrong[i]), &err));
        assert_int_equal(err.code, ERR_OPTION);
        assert_has(err.msg, ".svg");
    }
    assert_true(figure_save(f, path_of("doc.md"), NULL));
    assert_true(file_exists(path_of("doc.png")));
    assert_true(figure_save(f, path_of("doc.tex"), NULL));
    assert_true(file_exists(path_of("doc.pdf")));
    figure_free(f);
    f = zoo(11);
    assert_true(figure_save(f, path_of("table.tex"), NULL));
    assert_false(file_exists(path_of("table.pdf")));
    figure_free(f);
    /* more images than a picture can hold */
    float *v = mem_zalloc(40000 * 10 * sizeof *v, NULL);
    f = figure_images(1, 10, 40000, v, true, NULL);
    assert_false(figure_save(f, path_of("wide.png"), &err));
    assert_int_equal(err.code, ERR_SHAPE);
    assert_has(err.msg, "32767");
    mem_free(v);
    figure_free(f);
}

static void test_disk_full(void **unused)
{
    (void)unused;
    static const char *const names[] = {"x.png", "x.svg", "x.pdf", "x.csv"};
    Figure *f = zoo(0);
    int before = files_in_dir();
    for (size_t k = 0; k < ARRAY_LEN(names); k++)
        for (int64_t room = 0; room < 600; room += 150) {
            Err err = {0};
            file_fail_after(room);
            assert_false(figure_save(f, path_of(names[k]), &err));
            file_fail_after(-1);
            assert_int_equal(err.code, ERR_IO);
            assert_int_equal(files_in_dir(), before);
        }
    figure_free(f);
}

static const char *save_name;

static bool save(void *ctx, Err *err)
{
    return figure_save(ctx, path_of(save_name), err);
}

static void test_memory(void **unused)
{
    (void)unused;
    static const char *const names[] = {"m.svg", "m.csv", "m.tex", "m.md"};
    for (int i = 0; i < ZOO; i++) {
        Figure *f = zoo(i);
        for (size_t k = 0; k < ARRAY_LEN(names); k++) {
            if (i == 7 && k == 3) /* a large PNG for every allocation of it */
                continue;
            save_name = names[k];
            assert_true(fail_each_alloc(save, f) >= 1);
        }
        figure_free(f);
    }
}

/* Words are as wide as drawn, wrapped within their room, and cut with a mark. */
static void test_paper(void **unused)
{
    (void)unused;
    Ink ink = ink_of(0, (Rgb){0, 0, 0});
    Paper *p = paper_new(PAPER_PNG, 0, 0, NULL);
    assert_non_null(p);
    assert_true(paper_is_dry(p));
    double one = paper_width(p, "word", ink), two = paper_width(p, "word word", ink);
    assert_true(one > 5 && two > 2 * one && two < 3 * one);
    assert_true(paper_width(p, "", ink) == 0);
    double line = paper_leading(ink);
    assert_true(paper_wrap(p, 0, 0, two + 0.01, "word word", ink) == line);
    assert_true(paper_wrap(p, 0, 0, two - 0.1, "word word", ink) == 2 * line);
    assert_true(paper_wrap(p, 0, 0, 1, "abc", ink) == 3 * line); /* a glyph a line */
    assert_true(paper_wrap(p, 0, 0, 100, "a\nb\n\nc", ink) == 4 * line);
    assert_true(paper_wrap(p, 0, 0, 100, "", ink) == 0);
    paper_cut(p, 0, 0, one / 2, "word", ink);
    paper_cut(p, 0, 0, 0, HOSTILE, ink);
    assert_true(paper_ok(p, NULL));
    paper_free(p);
    Err err;
    assert_null(paper_new(PAPER_PNG, 1e9, 10, &err));
    assert_null(paper_new(PAPER_PDF, 10, NAN, &err));
    assert_int_equal(err.code, ERR_SHAPE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_svg),       cmocka_unit_test(test_same_bytes),
        cmocka_unit_test(test_pdf),       cmocka_unit_test(test_negation),
        cmocka_unit_test(test_documents), cmocka_unit_test(test_csv_reads_back),
        cmocka_unit_test(test_suffixes),  cmocka_unit_test(test_disk_full),
        cmocka_unit_test(test_memory),    cmocka_unit_test(test_paper),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
