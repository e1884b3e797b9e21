/* shapes.c -- pictures against areas known by hand, attributes against their labels,
 * seeds, noise, and the layout that parts of a set keep. */
#include <math.h>

#include "support.h"

#include "base/mem.h"
#include "data/shapes.h"

static ShapesCfg config(int64_t n)
{
    ShapesCfg cfg;
    Err err = {0};
    assert_ok(opt_defaults(shapes_options, shapes_n_options, &cfg, &err), err);
    cfg.train = n;
    cfg.test = 20;
    return cfg;
}

static void make(const ShapesCfg *cfg, Dataset *train, Dataset *test)
{
    Err err = {0};
    assert_ok(dataset_shapes(cfg, train, test, &err), err);
}

/* Pixels that are on, and their mean place, in a plane of an image. */
static int lit(const Dataset *d, int64_t i, int plane, double *x, double *y)
{
    const uint8_t *p = (const uint8_t *)d->images.data + (i * 3 + plane) * 1024;
    int n = 0;
    *x = *y = 0;
    for (int k = 0; k < 1024; k++)
        if (p[k]) {
            assert_int_equal(p[k], 255);
            n++;
            *x += k % 32;
            *y += k / 32;
        }
    *x /= n ? n : 1;
    *y /= n ? n : 1;
    return n;
}

static int lattice(int r)
{
    int n = 0;
    for (int y = -r; y <= r; y++)
        for (int x = -r; x <= r; x++)
            n += x * x + y * y <= r * r;
    return n;
}

/* A triangle's row k below the tip has 2 floor(k/2) + 1 pixels. */
static int triangle(int r)
{
    int n = 0;
    for (int k = 0; k <= 2 * r; k++)
        n += 2 * (k / 2) + 1;
    return n;
}

static void test_pictures(void **state)
{
    (void)state;
    static const int radius[3] = {5, 8, 10};
    ShapesCfg cfg = config(600);
    Dataset train, test;
    int seen[27] = {0}, places[32][32] = {{0}}, used = 0;
    make(&cfg, &train, &test);
    for (int64_t i = 0; i < train.n; i++) {
        int label = ((const int32_t *)train.labels.data)[i];
        int shape = label / 9, colour = label / 3 % 3, r = radius[label % 3];
        int want = shape == 0   ? lattice(r)
                   : shape == 1 ? (2 * r + 1) * (2 * r + 1)
                                : triangle(r);
        double x, y;
        for (int plane = 0; plane < 3; plane++)
            assert_int_equal(lit(&train, i, plane, &x, &y), plane == colour ? want : 0);
        lit(&train, i, colour, &x, &y);
        assert_true(fabs(x - 16) <= 4);
        assert_true(shape == 2 || fabs(y - 16) <= 4);
        places[(int)lround(x)][shape == 2 ? 0 : (int)lround(y)]++;
        seen[label]++;
    }
    for (int k = 0; k < 27; k++)
        assert_true(seen[k] > 5);
    for (int k = 0; k < 1024; k++)
        used += places[k / 32][k % 32] > 0;
    assert_true(used > 60);
    assert_string_equal(shapes_value(0, 2, 3), "triangle");
    assert_string_equal(shapes_value(2, 1, 2), "large");
    assert_string_equal(shapes_value(2, 1, 3), "medium");
    dataset_done(&train);
    dataset_done(&test);
}

static void test_layout(void **state)
{
    (void)state;
    ShapesCfg cfg = config(50);
    Dataset train, test, part;
    Err err = {0};
    cfg.sizes = 2;
    make(&cfg, &train, &test);
    assert_int_equal(train.channels, 3);
    assert_int_equal(train.height, 96);
    assert_int_equal(train.n_heads, 3);
    assert_int_equal(train.head[2], 2);
    assert_int_equal(train.n_classes, 18);
    assert_string_equal(train.head_name[1], "colour");
    assert_ok(dataset_range(&train, 10, 20, &part, &err), err);
    assert_int_equal(part.n_heads, 3);
    assert_int_equal(part.channels, 3);
    dataset_done(&part);
    assert_false(dataset_layout(&train, 7, 0, NULL, NULL, &err));
    assert_has(err.msg, "96 rows cannot be 7 channels");
    assert_false(dataset_layout(&train, 3, 2, (int[]){3, 3}, NULL, &err));
    assert_has(err.msg, "9 combinations");
    dataset_done(&train);
    dataset_done(&test);
}

static bool same(const Dataset *a, const Dataset *b)
{
    return memcmp(a->images.data, b->images.data, tensor_bytes(&a->images)) == 0;
}

static void test_seeds(void **state)
{
    (void)state;
    ShapesCfg cfg = config(20);
    Dataset a, b, c, ta, tb, tc;
    make(&cfg, &a, &ta);
    make(&cfg, &b, &tb);
    cfg.seed = 2;
    make(&cfg, &c, &tc);
    assert_true(same(&a, &b) && same(&ta, &tb));
    assert_false(same(&a, &c));
    assert_false(same(&a, &ta)); /* training and test are drawn apart */
    dataset_done(&b);
    dataset_done(&tb);
    cfg.seed = 1;
    cfg.noise = 0.1;
    make(&cfg, &b, &tb);
    const uint8_t *p = b.images.data, *q = a.images.data;
    double sum = 0, n = (double)tensor_count(&b.images);
    for (int64_t i = 0; i < tensor_count(&b.images); i++)
        sum += fabs((double)p[i] - (double)q[i]) / 255;
    /* one-sided where clipped: E|noise| / 2 = 0.0399 */
    assert_true(fabs(sum / n - 0.0399) < 0.001);
    assert_memory_equal(a.labels.data, b.labels.data, tensor_bytes(&a.labels));
    Dataset *all[] = {&a, &b, &c, &ta, &tb, &tc};
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        dataset_done(all[i]);
}

static void test_allocations(void **state)
{
    (void)state;
    ShapesCfg cfg = config(5);
    Dataset train, test;
    for (long n = 1;; n++) {
        Err err = {0};
        size_t before = mem_live();
        mem_fail_at(n);
        bool ok = dataset_shapes(&cfg, &train, &test, &err);
        bool fired = mem_fail_fired();
        mem_fail_at(0);
        dataset_done(&train);
        dataset_done(&test);
        assert_int_equal(mem_live(), before);
        assert_true(ok || (fired && err.code == ERR_MEMORY));
        if (!fired)
            break;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pictures),
        cmocka_unit_test(test_layout),
        cmocka_unit_test(test_seeds),
        cmocka_unit_test(test_allocations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
