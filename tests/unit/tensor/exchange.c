/* npz archives, CSV tables and PNG pictures: files of other programs (fixtures of
 * tests/data/make_exchange.py), round trips, one sentence for each kind of damage, and
 * faults of memory and of the disk. Runs from the top of the tree. */
#include <math.h>

#include "base/file.h"
#include "support.h"
#include "tensor/archive.h"
#include "tensor/io.h"

static char dir[64];

static int make_dir(void **unused)
{
    (void)unused;
    scratch_make(dir);
    return 0;
}

static int drop_dir(void **unused)
{
    (void)unused;
    scratch_remove(dir);
    return 0;
}

static const char *in_dir(const char *name)
{
    static char path[128];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    return path;
}

/* ---- npz ------------------------------------------------------------------------- */

static TensorSet *sample_set(void)
{
    float f[6] = {1, -2, 3.5f, 0, NAN, INFINITY};
    int32_t i[2] = {-7, 9};
    Tensor a = tensor_wrap(F32, 2, (int64_t[]){2, 3}, f), t, b, c;
    Tensor w = tensor_wrap(I32, 1, (int64_t[]){2}, i);
    Err err = {0};
    TensorSet *s = tset_new(&err);
    assert_non_null(s);
    assert_ok(tensor_copy(&a, &b, &err), err);
    assert_ok(tensor_transpose(&b, 0, 1, &t, &err), err); /* strided */
    assert_ok(tensor_copy(&w, &c, &err), err);
    assert_ok(tset_add(s, "zz", &t, &err), err);
    assert_ok(tset_add(s, "folder/ints", &c, &err), err);
    tensor_release(&t);
    tensor_release(&b);
    tensor_release(&c);
    return s;
}

static void test_npz_round_trip(void **unused)
{
    (void)unused;
    Err err = {0};
    TensorSet *s = sample_set(), *back;
    assert_ok(npz_save(in_dir("a.npz"), s, &err), err);
    assert_ok(npz_load(in_dir("a.npz"), &back, &err), err);
    assert_int_equal(tset_count(back), 2);
    assert_string_equal(tset_name(back, 0), "folder/ints");
    const Tensor *z = tset_get(back, "zz");
    assert_int_equal(z->dim[0], 3);
    assert_true(tensor_get(z, (int64_t[]){2, 0}) == 3.5);
    assert_true(isnan(tensor_get(z, (int64_t[]){1, 1})));
    assert_true(tensor_get(tset_get(back, "folder/ints"), (int64_t[]){0}) == -7);
    tset_free(back);

    char *one, *two;
    size_t n_one, n_two;
    assert_ok(file_read_all(in_dir("a.npz"), 1 << 20, &one, &n_one, &err), err);
    assert_ok(npz_save(in_dir("b.npz"), s, &err), err);
    assert_ok(file_read_all(in_dir("b.npz"), 1 << 20, &two, &n_two, &err), err);
    assert_int_equal(n_one, n_two);
    assert_memory_equal(one, two, n_one);
    mem_free(one);
    mem_free(two);
    tset_free(s);
}

static void test_npz_from_numpy(void **unused)
{
    (void)unused;
    Err err = {0};
    TensorSet *s;
    char shape[96];
    assert_ok(npz_load("tests/data/mlp_numpy.npz", &s, &err), err); /* compressed */
    assert_int_equal(tset_count(s), 6);
    assert_string_equal(tensor_format_shape(tset_get(s, "W1"), shape), "f32[16,10]");
    tset_free(s);
    assert_ok(npz_load("tests/data/mlp_io.npz", &s, &err), err); /* stored */
    assert_string_equal(tensor_format_shape(tset_get(s, "logits"), shape), "f32[20,5]");
    tset_free(s);
}

static void refuse_npz(const char *path, const char *why)
{
    Err err = {0};
    TensorSet *s;
    size_t live = mem_live();
    assert_false(npz_load(path, &s, &err));
    assert_has(err.msg, why);
    assert_int_equal(mem_live(), live);
}

static void test_npz_refusals(void **unused)
{
    (void)unused;
    Err err = {0};
    char *d;
    size_t n;
    TensorSet *s;
    refuse_npz("tests/data/lone.pt", "is no array");
    refuse_npz("tests/data/f4.npy", "not a readable zip archive");
    refuse_npz("tests/data", "it is a folder");
    refuse_npz("tests/data/none.npz", "none.npz");
    assert_ok(file_read_all("tests/data/mlp_io.npz", 1 << 20, &d, &n, &err), err);
    for (size_t i = 0; i < n; i++) { /* a flipped bit anywhere: refused or harmless */
        size_t live = mem_live();
        d[i] ^= 0x10;
        if (npz_parse(d, n, "x.npz", &s, &err))
            tset_free(s);
        else
            assert_true(err.msg[0]);
        d[i] ^= 0x10;
        assert_int_equal(mem_live(), live);
    }
    d[200] ^= 1; /* inside the data of the first member */
    assert_false(npz_parse(d, n, "x.npz", &s, &err));
    assert_has(err.msg, "CRC");
    mem_free(d);
}

static bool save_npz(void *ctx, Err *err)
{
    return npz_save(in_dir("fault.npz"), ctx, err);
}

static bool load_npz(void *ctx, Err *err)
{
    TensorSet *s;
    bool ok = npz_load(ctx, &s, err);
    tset_free(s);
    return ok;
}

static void test_npz_faults(void **unused)
{
    (void)unused;
    static char path[] = "tests/data/mlp_numpy.npz";
    TensorSet *s = sample_set();
    assert_true(fail_each_alloc(save_npz, s) > 3);
    assert_true(fail_each_alloc(load_npz, path) > 6);
    for (int64_t bytes = 0; bytes < 480; bytes += 37) {
        Err err = {0};
        unlink(in_dir("full.npz"));
        file_fail_after(bytes);
        assert_false(npz_save(in_dir("full.npz"), s, &err));
        file_fail_after(-1);
        assert_int_equal(err.code, ERR_IO);
        assert_false(file_exists(in_dir("full.npz")));
    }
    tset_free(s);
}

/* Sizes from 4 GiB on need other fields; a sparse file would hide a wrong offset, so
 * the fields are checked where they can be: many members need the wide end record. */
static void test_many_members(void **unused)
{
    (void)unused;
    enum { MEMBERS = 70000 };
    Err err = {0};
    ArchiveOut *o = archiveout_open(in_dir("many.zip"), &err);
    assert_non_null(o);
    for (int i = 0; i < MEMBERS; i++) {
        char name[16];
        snprintf(name, sizeof name, "m%d", i);
        assert_ok(archiveout_add(o, name, name, strlen(name), NULL, 0, &err), err);
    }
    assert_ok(archiveout_commit(o, &err), err);
    Archive *a = archive_open(in_dir("many.zip"), &err);
    assert_non_null(a);
    assert_int_equal(archive_count(a), MEMBERS);
    void *data;
    size_t n;
    assert_ok(archive_read(a, archive_find(a, "m69999"), &data, &n, &err), err);
    assert_int_equal(n, 6);
    assert_memory_equal(data, "m69999", 6);
    mem_free(data);
    archive_close(a);
}

/* ---- CSV ------------------------------------------------------------------------- */

static void check_csv(const char *text, char sep, const char *shape, double first,
                      double last, const char *names, size_t n_names)
{
    Err err = {0};
    Tensor t;
    char *found, is[96];
    assert_ok(csv_parse(text, strlen(text), "x.csv", sep, F64, &t, &found, &err), err);
    assert_string_equal(tensor_format_shape(&t, is), shape);
    if (tensor_count(&t)) {
        double v = tensor_get(&t, (int64_t[]){t.dim[0] - 1, t.dim[1] - 1});
        assert_true(tensor_item(&t) == first);
        assert_true(v == last || (isnan(v) && isnan(last)));
    }
    if (names)
        assert_memory_equal(found, names, n_names);
    else
        assert_null(found);
    mem_free(found);
    tensor_release(&t);
}

static void test_csv_reads(void **unused)
{
    (void)unused;
    check_csv("1,2\n3,4\n", ',', "f64[2,2]", 1, 4, NULL, 0);
    check_csv("1,2\r\n3,4", ',', "f64[2,2]", 1, 4, NULL, 0);
    check_csv("\xef\xbb\xbf a , \"b \"\"c\"\"\"\n 1 , \"-2.5e3\"\n", ',', "f64[1,2]", 1,
              -2500, "a\0b \"c\"", 8);
    check_csv("# made by hand\n\n  \n5\n6\n\n# end\n", ',', "f64[2,1]", 5, 6, NULL, 0);
    check_csv("x\ty\n1\tnan\n2\t-inf\n", '\t', "f64[2,2]", 1, -INFINITY, "x\0y", 4);
    check_csv("0.1,NaN\n", ',', "f64[1,2]", 0.1, NAN, NULL, 0);
    check_csv("a,b\n", ',', "f64[0,2]", 0, 0, "a\0b", 4);
    check_csv("\"two\nlines\",b\n1,2\n", ',', "f64[1,2]", 1, 2, "two\nlines\0b", 12);
}

static void test_csv_refusals(void **unused)
{
    (void)unused;
    static const struct {
        const char *text, *why;
    } cases[] = {
        {"1,2\n3,x4\n",      "line 2, column 2: 'x4' is not a number"    },
        {"a,b\n1,2\n\n3,\n", "line 4, column 2: '' is empty"             },
        {"1,2\n3\n",         "line 2 has 1 columns; the first one has 2" },
        {"1,2\n3,4,5\n",     "line 2: more than 2 columns"               },
        {"a\n\"1\n",         "line 2, column 1: '1?' begins with a quote"},
        {"1,\"2\"x\n",       "line 1, column 2: '2' has text behind"     },
        {"1\n0x10\n",        "'0x10' is not a number"                    },
        {"1\n1,5\n",         "line 2: more than 1 columns"               },
        {"1\n1 2\n",         "'1 2' is not a number"                     },
        {"\"a\nb\"\n1\nz\n", "line 4, column 1: 'z'"                     },
        {"",                 "holds no numbers"                          },
        {"\n# nothing\n",    "holds no numbers"                          },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        Err err = {0};
        Tensor t;
        char *names;
        size_t live = mem_live();
        if (csv_parse(cases[i].text, strlen(cases[i].text), "x.csv", ',', F32, &t,
                      &names, &err))
            fail_msg("case %d was accepted", (int)i);
        assert_has(err.msg, cases[i].why);
        assert_int_equal(mem_live(), live);
    }
    Err err = {0};
    Tensor t;
    assert_false(csv_parse("1\n1\0002\n", 6, "x.csv", ',', F32, &t, NULL, &err));
    assert_has(err.msg, "zero byte");
}

static void test_csv_round_trip(void **unused)
{
    (void)unused;
    float f[6] = {0.1f, 1.0f / 3, 1e-38f, -3.4e38f, 16777217, INFINITY};
    double d[4] = {0.1, 1.0 / 3, 5e-324, -1.7e308};
    const char *names[] = {"plain", "with \"quotes\", and commas", "2"};
    Tensor a = tensor_wrap(F32, 2, (int64_t[]){2, 3}, f), back;
    Tensor b = tensor_wrap(F64, 1, (int64_t[]){4}, d);
    Err err = {0};
    char *found;
    assert_ok(csv_save(in_dir("a.csv"), ',', &a, names, &err), err);
    assert_ok(csv_load(in_dir("a.csv"), ',', F32, &back, &found, &err), err);
    assert_memory_equal(back.data, f, sizeof f);
    assert_string_equal(found + 6, names[1]);
    mem_free(found);
    tensor_release(&back);
    assert_ok(csv_save(in_dir("b.csv"), '\t', &b, NULL, &err), err);
    assert_ok(csv_load(in_dir("b.csv"), '\t', F64, &back, NULL, &err), err);
    assert_int_equal(back.ndim, 2);
    assert_memory_equal(back.data, d, sizeof d);
    tensor_release(&back);

    const char *numbers[] = {"1", "2", "3"};
    assert_false(csv_save(in_dir("c.csv"), ',', &a, numbers, &err));
    assert_has(err.msg, "all numbers");
    Tensor cube = tensor_wrap(F32, 3, (int64_t[]){1, 2, 3}, f);
    assert_false(csv_save(in_dir("c.csv"), ',', &cube, NULL, &err));
    assert_has(err.msg, "f32[1,2,3]");
    assert_false(file_exists(in_dir("c.csv")));
}

static bool parse_csv(void *ctx, Err *err)
{
    Tensor t;
    char *names;
    bool ok = csv_parse(ctx, strlen(ctx), "x.csv", ',', F32, &t, &names, err);
    tensor_release(&t);
    mem_free(names);
    return ok;
}

static void test_csv_faults(void **unused)
{
    (void)unused;
    static char text[] = "a,b\n1,2\n3,4\n";
    assert_true(fail_each_alloc(parse_csv, text) >= 4);
}

/* ---- PNG ------------------------------------------------------------------------- */

/* Sample i of the generator at a depth of `bits`. */
static double sample(int64_t i, int bits)
{
    return (double)((37 * i + 11) % (1 << bits));
}

static void check_png(const char *file, int channels, int bits)
{
    enum { W = 5, H = 4 };
    char path[96], shape[96], want[96];
    Err err = {0};
    Tensor t;
    snprintf(path, sizeof path, "tests/data/%s", file);
    assert_ok(png_load(path, &t, &err), err);
    if (channels == 1)
        snprintf(want, sizeof want, "f32[%d,%d]", H, W);
    else
        snprintf(want, sizeof want, "f32[%d,%d,%d]", channels, H, W);
    assert_string_equal(tensor_format_shape(&t, shape), want);
    for (int c = 0; c < channels; c++)
        for (int y = 0; y < H; y++)
            for (int x = 0; x < W; x++) {
                float v = ((const float *)t.data)[(c * H + y) * W + x];
                double s = sample((y * W + x) * channels + c, bits);
                assert_true(v == (float)(s / ((1 << bits) - 1)) ||
                            fabs((double)v - s / ((1 << bits) - 1)) < 1e-7);
            }
    tensor_release(&t);
}

static void test_png_kinds(void **unused)
{
    (void)unused;
    check_png("grey1.png", 1, 1);
    check_png("grey8.png", 1, 8);
    check_png("grey16.png", 1, 16);
    check_png("greya8.png", 2, 8);
    check_png("rgb8.png", 3, 8);
    check_png("rgb16.png", 3, 16);
    check_png("rgba8.png", 4, 8);
}

static void test_png_palette_and_passes(void **unused)
{
    (void)unused;
    Err err = {0};
    Tensor t;
    assert_ok(png_load("tests/data/palette4.png", &t, &err), err);
    assert_int_equal(t.dim[0], 3);
    for (int64_t i = 0; i < 20; i++) {
        const float *v = t.data;
        double index = sample(i, 4);
        assert_true(fabs((double)v[i] * 255 - 16 * index) < 1e-4);
        assert_true(fabs((double)v[20 + i] * 255 - 5 * index) < 1e-4);
        assert_true(fabs((double)v[40 + i] * 255 - (255 - index)) < 1e-4);
    }
    tensor_release(&t);
    assert_ok(png_load("tests/data/interlaced.png", &t, &err), err);
    assert_int_equal(t.dim[0], 9);
    for (int64_t i = 0; i < 81; i++)
        assert_true(fabs((double)((float *)t.data)[i] * 255 - sample(i, 8)) < 1e-4);
    tensor_release(&t);
}

static bool parse_png(void *ctx, Err *err)
{
    Tensor t;
    bool ok = png_load(ctx, &t, err);
    tensor_release(&t);
    return ok;
}

static void test_png_refusals(void **unused)
{
    (void)unused;
    static char path[] = "tests/data/interlaced.png";
    Err err = {0};
    Tensor t;
    char *d;
    size_t n;
    assert_false(png_load("tests/data/f4.npy", &t, &err));
    assert_has(err.msg, "not a PNG file");
    assert_ok(file_read_all(path, 1 << 20, &d, &n, &err), err);
    for (size_t cut = 8; cut < n - 12; cut++) {
        size_t live = mem_live();
        err = (Err){0};
        assert_false(png_parse(d, cut, "x.png", &t, &err));
        assert_has(err.msg, "'x.png'");
        assert_int_equal(mem_live(), live);
    }
    for (size_t i = 8; i < n - 12; i++) {
        d[i] ^= 0x20;
        err = (Err){0};
        if (png_parse(d, n, "x.png", &t, &err))
            tensor_release(&t);
        else
            assert_true(err.msg[0]);
        d[i] ^= 0x20;
    }
    d[16] = 0x7f; /* a width of two thousand million */
    assert_false(png_parse(d, n, "x.png", &t, &err));
    mem_free(d);
    assert_true(fail_each_alloc(parse_png, path) > 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_npz_round_trip),
        cmocka_unit_test(test_npz_from_numpy),
        cmocka_unit_test(test_npz_refusals),
        cmocka_unit_test(test_npz_faults),
        cmocka_unit_test(test_many_members),
        cmocka_unit_test(test_csv_reads),
        cmocka_unit_test(test_csv_refusals),
        cmocka_unit_test(test_csv_round_trip),
        cmocka_unit_test(test_csv_faults),
        cmocka_unit_test(test_png_kinds),
        cmocka_unit_test(test_png_palette_and_passes),
        cmocka_unit_test(test_png_refusals),
    };
    return cmocka_run_group_tests(tests, make_dir, drop_dir);
}
