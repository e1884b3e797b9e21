/* Corrupted data sets: what each option does to known images, equal draws for equal
 * seeds, values within their range, refusals. */
#include "data/corrupt.h"

#include <math.h>

#include "support.h"

enum { N = 500, H = 7, W = 9 };
static Dataset set;

/* One white pixel in the middle of grey 40. */
static int set_up(void **unused)
{
    (void)unused;
    Err err = {0};
    Tensor images, labels;
    int64_t n = N;
    assert_ok(tensor_full(U8, 3, (int64_t[]){N, H, W}, 40, &images, &err), err);
    assert_ok(tensor_zeros(I32, 1, &n, &labels, &err), err);
    for (int i = 0; i < N; i++)
        ((uint8_t *)images.data)[i * H * W + 3 * W + 4] = 255;
    assert_ok(dataset_make("spots", &images, &labels, 2, &set, &err), err);
    tensor_release(&images);
    tensor_release(&labels);
    return 0;
}

static int tear_down(void **unused)
{
    (void)unused;
    dataset_done(&set);
    return 0;
}

static Dataset corrupt(int64_t shift, int64_t blank, double noise, int64_t seed)
{
    Err err = {0};
    Dataset d;
    CorruptCfg c = {.shift = shift, .blank = blank, .noise = noise, .seed = seed};
    assert_ok(dataset_corrupt(&set, &c, &d, &err), err);
    assert_int_equal(d.n, N);
    assert_int_equal(d.n_classes, 2);
    assert_true(d.labels.data == set.labels.data);
    return d;
}

static const uint8_t *image(const Dataset *d, int i)
{
    return (const uint8_t *)d->images.data + i * H * W;
}

static void test_nothing_and_moves(void **unused)
{
    (void)unused;
    Dataset same = corrupt(0, 0, 0, 1), moved = corrupt(2, 0, 0, 1);
    int seen[5][5] = {{0}};
    assert_memory_equal(same.images.data, set.images.data, N * H * W);
    for (int i = 0; i < N; i++) {
        int at = 0, edge = 0;
        for (int p = 0; p < H * W; p++) {
            at = image(&moved, i)[p] == 255 ? p : at;
            edge += image(&moved, i)[p] == 0;
        }
        int down = at / W - 3, right = at % W - 4;
        assert_true(abs(down) <= 2 && abs(right) <= 2);
        assert_int_equal(edge, H * W - (H - abs(down)) * (W - abs(right)));
        seen[down + 2][right + 2]++;
    }
    for (int k = 0; k < 25; k++)
        assert_true(seen[k / 5][k % 5] >= 5); /* 20 expected */
    assert_string_equal(moved.name, "spots, shift 2");
    dataset_done(&same);
    dataset_done(&moved);
}

static void test_blank(void **unused)
{
    (void)unused;
    Dataset d = corrupt(0, 3, 0, 1);
    for (int i = 0; i < N; i++) {
        int dark = 0;
        for (int p = 0; p < H * W; p++)
            dark += image(&d, i)[p] == 0;
        assert_int_equal(dark, 9);
    }
    dataset_done(&d);
}

static void test_noise(void **unused)
{
    (void)unused;
    Dataset small = corrupt(0, 0, 0.02, 1), large = corrupt(0, 0, 5, 1);
    double sum = 0, square = 0, n = 0;
    int64_t ends = 0;
    for (int i = 0; i < N; i++)
        for (int p = 0; p < H * W; p++) {
            uint8_t v = image(&large, i)[p];
            ends += v == 0 || v == 255;
            if (p == 3 * W + 4)
                continue;
            double e = image(&small, i)[p] - 40.0;
            sum += e;
            square += e * e;
            n++;
        }
    assert_true(fabs(sum / n) < 0.1);
    assert_true(fabs(sqrt(square / n) - 0.02 * 255) < 0.1);
    assert_true((double)ends > 0.9 * N * H * W);
    dataset_done(&small);
    dataset_done(&large);
}

static void test_draws(void **unused)
{
    (void)unused;
    Err err = {0};
    Dataset a = corrupt(1, 2, 0.1, 4), b = corrupt(1, 2, 0.1, 4),
            c = corrupt(1, 2, 0.1, 5);
    assert_memory_equal(a.images.data, b.images.data, N * H * W);
    assert_memory_not_equal(a.images.data, c.images.data, N * H * W);
    /* the first examples do not depend on how many there are */
    Dataset head, less;
    CorruptCfg cfg = {.shift = 1, .blank = 2, .noise = 0.1, .seed = 4};
    assert_ok(dataset_range(&set, 0, 10, &head, &err), err);
    assert_ok(dataset_corrupt(&head, &cfg, &less, &err), err);
    assert_memory_equal(less.images.data, a.images.data, 10 * H * W);
    Dataset *const own[] = {&a, &b, &c, &head, &less};
    for (size_t i = 0; i < ARRAY_LEN(own); i++)
        dataset_done(own[i]);
}

static bool corrupt_once(void *ctx, Err *err)
{
    Dataset d;
    CorruptCfg c = {.shift = 1, .noise = 0.1};
    (void)ctx;
    bool ok = dataset_corrupt(&set, &c, &d, err);
    dataset_done(&d);
    return ok;
}

static void test_refusals_and_allocations(void **unused)
{
    (void)unused;
    Err err = {0};
    Dataset d;
    CorruptCfg c = {.blank = 8};
    assert_false(dataset_corrupt(&set, &c, &d, &err));
    assert_has(err.msg, "8 pixels does not fit into images of 7 x 9");
    assert_true(fail_each_alloc(corrupt_once, NULL) >= 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_and_moves),
        cmocka_unit_test(test_blank),
        cmocka_unit_test(test_noise),
        cmocka_unit_test(test_draws),
        cmocka_unit_test(test_refusals_and_allocations),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
