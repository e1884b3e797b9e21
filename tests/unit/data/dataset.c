/* The bundled MNIST, folders of IDX files, parts, and the second moment against sums in
 * whole numbers. Runs from the top of the tree. */
#include "data/dataset.h"

#include <math.h>

#include "base/file.h"
#include "base/intr.h"
#include "support.h"
#include "tensor/pool.h"

static char dir[64];

static int set_up(void **unused)
{
    (void)unused;
    scratch_make(dir);
    return setenv("CLEAVE_DATA", "data", 1);
}

static int tear_down(void **unused)
{
    (void)unused;
    scratch_remove(dir);
    return 0;
}

static const uint8_t *pixels(const Dataset *d, int64_t i)
{
    return (const uint8_t *)d->images.data + i * d->height * d->width;
}

static int32_t label(const Dataset *d, int64_t i)
{
    return ((const int32_t *)d->labels.data)[i];
}

static void test_mnist(void **unused)
{
    (void)unused;
    static const int per_class[] = {5923, 6742, 5958, 6131, 5842,
                                    5421, 5918, 6265, 5851, 5949}; /* as published */
    Dataset train, test;
    Err err = {0};
    int count[10] = {0};
    mem_peak_reset();
    size_t before = mem_live();
    assert_ok(dataset_mnist(&train, &test, &err), err);
#if !defined(__SANITIZE_ADDRESS__)
    assert_true(mem_peak() - before <= 60 << 20);
#endif
    assert_true(train.n == 60000 && test.n == 10000);
    assert_true(train.height == 28 && train.width == 28 && train.n_classes == 10);
    for (int64_t i = 0; i < train.n; i++)
        count[label(&train, i)]++;
    for (int c = 0; c < 10; c++)
        assert_int_equal(count[c], per_class[c]);
    assert_int_equal(label(&train, 0), 5);
    assert_int_equal(label(&test, 0), 7);
    assert_string_equal(train.name, "mnist train");
    dataset_done(&train), dataset_done(&test);
    assert_int_equal(mem_live(), before);
}

/* n images of 2 x 3 whose pixels are 10 i + k, and labels i mod 4 */
static void write_split(const char *images, const char *labels, uint8_t n,
                        uint8_t width)
{
    char path[160];
    uint8_t f[4096] = {0, 0, 8, 3, 0, 0, 0, n, 0, 0, 0, 2, 0, 0, 0, width};
    size_t size = 2 * (size_t)width, at = 16;
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < size; k++)
            f[at++] = (uint8_t)(10 * i + k);
    snprintf(path, sizeof path, "%s/%s", dir, images);
    assert_true(file_write_all(path, f, at, NULL));
    uint8_t g[512] = {0, 0, 8, 1, 0, 0, 0, n};
    for (size_t i = 0; i < n; i++)
        g[8 + i] = (uint8_t)(i % 4);
    snprintf(path, sizeof path, "%s/%s", dir, labels);
    assert_true(file_write_all(path, g, 8 + (size_t)n, NULL));
}

static void test_folder(void **unused)
{
    (void)unused;
    Dataset train, test;
    Err err = {0};
    assert_false(dataset_idx(dir, &train, &test, &err));
    assert_int_equal(err.code, ERR_IO);
    assert_has(err.msg, "holds no train-images-idx3-ubyte");
    write_split("train-images-idx3-ubyte", "train-labels.idx1-ubyte", 12, 3);
    assert_false(dataset_idx(dir, &train, &test, &err));
    assert_has(err.msg, "holds no t10k-images-idx3-ubyte");
    write_split("t10k-images.idx3-ubyte", "t10k-labels-idx1-ubyte", 3, 3);
    assert_ok(dataset_idx(dir, &train, &test, &err), err);
    assert_true(train.n == 12 && test.n == 3 && train.height == 2 && train.width == 3);
    assert_true(train.n_classes == 4 && test.n_classes == 4); /* test alone has 3 */
    assert_int_equal(pixels(&train, 5)[4], 54);
    assert_has(train.name, "train");
    dataset_done(&train), dataset_done(&test);
    write_split("t10k-images.idx3-ubyte", "t10k-labels-idx1-ubyte", 3, 4);
    assert_false(dataset_idx(dir, &train, &test, &err));
    assert_has(err.msg, "2 x 3 but test images 2 x 4");
    write_split("t10k-images.idx3-ubyte", "elsewhere", 5, 3);
    assert_false(dataset_idx(dir, &train, &test, &err));
    assert_has(err.msg, "5 images but 3 labels");
    assert_null(train.images.data);
}

/* A folder that is not MNIST is refused by name; nothing is kept. */
static void test_wrong_mnist(void **unused)
{
    (void)unused;
    Dataset train, test;
    Err err = {0};
    size_t live = mem_live();
    write_split("train-images-idx3-ubyte", "train-labels.idx1-ubyte", 12, 3);
    setenv("CLEAVE_DATA", dir, 1);
    assert_false(dataset_mnist(&train, &test, &err));
    assert_int_equal(err.code, ERR_FORMAT);
    assert_has(err.msg, "train-images-idx3-ubyte: its CRC-32 is");
    assert_has(err.msg, "instead of e9f4d8b3");
    setenv("CLEAVE_DATA", "/nowhere", 1);
    assert_false(dataset_mnist(&train, &test, &err));
    assert_int_equal(err.code, ERR_IO);
    assert_has(err.msg, "$CLEAVE_DATA (/nowhere)");
    setenv("CLEAVE_DATA", "data", 1);
    assert_int_equal(mem_live(), live);
}

static Dataset small(int64_t n)
{
    Tensor images, labels;
    Dataset d;
    uint32_t x = 12345;
    assert_true(tensor_new(U8, 3, (int64_t[]){n, 5, 3}, &images, NULL));
    assert_true(tensor_new(I32, 1, &n, &labels, NULL));
    for (int64_t i = 0; i < n * 15; i++)
        ((uint8_t *)images.data)[i] = (uint8_t)((x = x * 1664525 + 1013904223) >> 24);
    for (int64_t i = 0; i < n; i++)
        ((int32_t *)labels.data)[i] = (int32_t)(i % 7);
    assert_true(dataset_make("small", &images, &labels, 0, &d, NULL));
    tensor_release(&images), tensor_release(&labels);
    return d;
}

static void test_split_is_disjoint_and_whole(void **unused)
{
    (void)unused;
    enum { N = 97 };
    Dataset d = small(N), a, b, c, e;
    int seen[N] = {0};
    for (int i = 0; i < N; i++) /* the first two pixels say which example it is */
        ((uint8_t *)d.images.data)[15 * i] = (uint8_t)i;
    assert_true(dataset_split(&d, 30, 3, &a, &b, NULL));
    assert_true(a.n == 30 && b.n == N - 30 && a.n_classes == 7);
    for (int64_t i = 0; i < a.n; i++)
        seen[pixels(&a, i)[0]]++;
    for (int64_t i = 0; i < b.n; i++) {
        seen[pixels(&b, i)[0]]++;
        assert_int_equal(label(&b, i), pixels(&b, i)[0] % 7);
    }
    for (int i = 0; i < N; i++)
        assert_int_equal(seen[i], 1);
    assert_true(dataset_split(&d, 30, 3, &c, &e, NULL));
    assert_memory_equal(a.images.data, c.images.data, 30 * 15);
    dataset_done(&c), dataset_done(&e);
    assert_true(dataset_split(&d, 30, 4, &c, &e, NULL));
    assert_true(memcmp(a.images.data, c.images.data, 30 * 15) != 0);
    dataset_done(&a), dataset_done(&b), dataset_done(&c), dataset_done(&e);
    Err err = {0};
    assert_false(dataset_split(&d, N + 1, 0, &a, &b, &err));
    assert_int_equal(err.code, ERR_OPTION);
    dataset_done(&d);
}

static void test_parts(void **unused)
{
    (void)unused;
    Dataset d = small(20), part;
    Err err = {0};
    assert_true(dataset_range(&d, 5, 9, &part, NULL));
    assert_true(part.n == 4 && pixels(&part, 0) == pixels(&d, 5) &&
                label(&part, 3) == 1);
    dataset_done(&part);
    assert_true(dataset_range(&d, 20, 20, &part, NULL));
    assert_int_equal(part.n, 0);
    dataset_done(&part);
    assert_false(dataset_range(&d, 5, 21, &part, &err));
    assert_true(dataset_subset(&d, (int32_t[]){19, 0, 0}, 3, &part, NULL));
    assert_memory_equal(pixels(&part, 2), pixels(&d, 0), 15);
    assert_int_equal(label(&part, 0), 5);
    dataset_done(&part);
    assert_false(dataset_subset(&d, (int32_t[]){20}, 1, &part, &err));
    assert_has(err.msg, "example 20 does not exist; there are 20");
    ((int32_t *)d.labels.data)[3] = -1;
    assert_false(dataset_make("bad", &d.images, &d.labels, 0, &part, &err));
    assert_has(err.msg, "label 3 is -1");
    ((int32_t *)d.labels.data)[3] = 7;
    assert_false(dataset_make("bad", &d.images, &d.labels, 7, &part, &err));
    assert_has(err.msg, "labels must be 0 to 6");
    dataset_done(&d);
}

/* 600 examples make two whole blocks and a tail; every entry is exact. */
static void test_second_moment(void **unused)
{
    (void)unused;
    Dataset d = small(600);
    Tensor sigma, again;
    assert_true(dataset_second_moment(&d, &sigma, NULL));
    for (int64_t i = 0; i < 15; i++)
        for (int64_t j = 0; j < 15; j++) {
            uint64_t sum = 0;
            for (int64_t k = 0; k < d.n; k++)
                sum += (uint64_t)pixels(&d, k)[i] * pixels(&d, k)[j];
            assert_true(tensor_get(&sigma, (int64_t[]){i, j}) ==
                        (double)sum / (255.0 * 255.0 * 600));
        }
    assert_true(pool_set_threads(1, NULL));
    assert_true(dataset_second_moment(&d, &again, NULL));
    assert_memory_equal(sigma.data, again.data, tensor_bytes(&sigma));
    assert_true(pool_set_threads(2, NULL));
    tensor_release(&sigma), tensor_release(&again);
    Dataset none;
    Err err = {0};
    assert_true(dataset_range(&d, 0, 0, &none, NULL));
    assert_false(dataset_second_moment(&none, &sigma, &err));
    assert_int_equal(err.code, ERR_SHAPE);
    intr_raise();
    assert_false(dataset_second_moment(&d, &sigma, &err));
    intr_clear();
    assert_int_equal(err.code, ERR_INTERRUPT);
    assert_null(sigma.data);
    dataset_done(&none), dataset_done(&d);
}

static bool try_all(void *ctx, Err *err)
{
    const Dataset *d = ctx;
    Dataset a = {0}, b = {0};
    Tensor sigma = {0};
    bool ok =
        dataset_split(d, 7, 1, &a, &b, err) && dataset_second_moment(d, &sigma, err);
    dataset_done(&a), dataset_done(&b);
    tensor_release(&sigma);
    return ok;
}

static bool try_folder(void *unused, Err *err)
{
    (void)unused;
    Dataset a, b;
    bool ok = dataset_idx(dir, &a, &b, err);
    if (ok)
        dataset_done(&a), dataset_done(&b);
    return ok;
}

static void test_allocation_failures(void **unused)
{
    (void)unused;
    Dataset d = small(20);
    assert_true(fail_each_alloc(try_all, &d) >= 8);
    write_split("train-images-idx3-ubyte", "train-labels.idx1-ubyte", 12, 3);
    write_split("t10k-images.idx3-ubyte", "t10k-labels-idx1-ubyte", 3, 3);
    assert_true(fail_each_alloc(try_folder, NULL) >= 8);
    dataset_done(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mnist),
        cmocka_unit_test(test_folder),
        cmocka_unit_test(test_wrong_mnist),
        cmocka_unit_test(test_split_is_disjoint_and_whole),
        cmocka_unit_test(test_parts),
        cmocka_unit_test(test_second_moment),
        cmocka_unit_test(test_allocation_failures),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
