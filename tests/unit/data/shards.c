/* Streamed rows: every row once an epoch whatever the window, equal seeds give equal
 * batches, any position can be reached, memory does not grow with the files, and every
 * kind of damage names its file. */
#include "data/shards.h"

#include <fcntl.h>
#include <inttypes.h>

#include "base/file.h"
#include "data/sampler.h"
#include "support.h"
#include "tensor/io.h"

enum { WIDTH = 5, FILES = 4 };
static const int64_t file_rows[FILES] = {70, 0, 1, 129};
enum { ROWS = 200 };

static char dir[64];

static const char *in_dir(const char *name)
{
    static char path[128];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    return path;
}

/* Row r of all files together is r, r + 0.25, ... */
static void write_file(const char *path, int64_t first, int64_t rows, DType t)
{
    Err err = {0};
    Tensor x;
    assert_ok(tensor_new(t, 2, (int64_t[]){rows, WIDTH}, &x, &err), err);
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j < WIDTH; j++)
            tensor_set(&x, (int64_t[]){i, j}, (double)(first + i) + 0.25 * (double)j);
    if (strstr(path, ".npy")) {
        assert_ok(npy_save(path, &x, &err), err);
    } else {
        TensorSet *s = tset_new(&err);
        Tensor other = tensor_wrap(I32, 1, (int64_t[]){2}, (int32_t[]){1, 2});
        assert_ok(tset_add(s, "acts", &x, &err) && tset_add(s, "a", &other, &err), err);
        assert_ok(tset_add_meta(s, "layer", "3", &err), err);
        assert_ok(safetensors_save(path, s, &err), err);
        tset_free(s);
    }
    tensor_release(&x);
}

static int make_files(void **unused)
{
    (void)unused;
    scratch_make(dir);
    int64_t first = 0;
    for (int i = 0; i < FILES; first += file_rows[i++]) {
        char name[64];
        snprintf(name, sizeof name, "s%d.npy", i);
        write_file(in_dir(name), first, file_rows[i], i == 3 ? F64 : F32);
    }
    return 0;
}

static int drop_files(void **unused)
{
    (void)unused;
    scratch_remove(dir);
    return 0;
}

static ShardsCfg config(int64_t batch, int64_t window, bool shuffle)
{
    ShardsCfg c;
    Err err = {0};
    assert_ok(opt_defaults(shards_options, shards_n_options, &c, &err), err);
    c.batch = batch;
    c.window = window;
    c.shuffle = shuffle;
    return c;
}

/* One epoch's rows in the order they came; returns how many. */
static int64_t take_epoch(Shards *s, int *order)
{
    Err err = {0};
    int64_t n, total = 0;
    Tensor t;
    do {
        assert_ok(shards_next(s, &t, &n, &err), err);
        for (int64_t i = 0; i < n; i++) {
            const float *row = (const float *)t.data + i * WIDTH;
            order[total++] = (int)row[0];
            for (int j = 0; j < WIDTH; j++)
                assert_true(row[j] == row[0] + 0.25f * (float)j);
        }
        tensor_release(&t);
    } while (n > 0);
    return total;
}

static void check_each_once(const int *order, int64_t n, int64_t most_missing)
{
    int seen[ROWS] = {0};
    for (int64_t i = 0; i < n; i++) {
        assert_in_range(order[i], 0, ROWS - 1);
        assert_int_equal(seen[order[i]]++, 0);
    }
    assert_in_range(n, ROWS - most_missing, ROWS);
}

static void test_in_order(void **unused)
{
    (void)unused;
    static const int64_t windows[] = {1, 7, 64, 1000};
    Err err = {0};
    int order[ROWS];
    for (size_t w = 0; w < ARRAY_LEN(windows); w++) {
        ShardsCfg c = config(7, windows[w], false);
        Shards *s = shards_open(in_dir("*.npy"), &c, &err);
        assert_non_null(s);
        assert_int_equal(shards_rows(s), ROWS);
        assert_int_equal(shards_files(s), FILES);
        for (int epoch = 0; epoch < 2; epoch++) {
            assert_int_equal(take_epoch(s, order), ROWS);
            for (int i = 0; i < ROWS; i++)
                assert_int_equal(order[i], i);
        }
        shards_free(s);
    }
}

static void test_shuffled(void **unused)
{
    (void)unused;
    static const int64_t windows[] = {10, 40, 1000};
    Err err = {0};
    int a[ROWS], b[ROWS], c2[ROWS];
    for (size_t w = 0; w < ARRAY_LEN(windows); w++) {
        ShardsCfg c = config(9, windows[w], true);
        Shards *s = shards_open(dir, &c, &err), *same = shards_open(dir, &c, &err);
        assert_true(s && same);
        int64_t n = take_epoch(s, a);
        check_each_once(a, n, 8);
        assert_int_equal(take_epoch(same, b), n);
        assert_memory_equal(a, b, (size_t)n * sizeof *a);
        check_each_once(c2, take_epoch(s, c2), 8);
        assert_memory_not_equal(a, c2, (size_t)n * sizeof *a);
        int moved = 0;
        for (int64_t i = 0; i + 1 < n; i++)
            moved += a[i + 1] != a[i] + 1;
        assert_true(moved > n / 2);
        shards_free(s);
        c.seed = 2;
        s = shards_open(dir, &c, &err);
        take_epoch(s, b);
        assert_memory_not_equal(a, b, (size_t)n * sizeof *a);
        shards_free(s);
        shards_free(same);
    }
}

static void test_seek(void **unused)
{
    (void)unused;
    Err err = {0};
    ShardsCfg c = config(9, 27, true);
    Shards *s = shards_open(dir, &c, &err), *other = shards_open(dir, &c, &err);
    assert_true(s && other);
    for (int k = 0; k < 50; k++) {
        Tensor a, b;
        int64_t na, nb;
        assert_ok(shards_seek(other, shards_epoch(s), shards_position(s), &err), err);
        assert_ok(shards_next(s, &a, &na, &err), err);
        assert_ok(shards_next(other, &b, &nb, &err), err);
        assert_int_equal(na, nb);
        if (na)
            assert_memory_equal(a.data, b.data, tensor_bytes(&a));
        tensor_release(&a);
        tensor_release(&b);
    }
    assert_false(shards_seek(s, 0, 4, &err));
    assert_has(err.msg, "position 4");
    assert_false(shards_seek(s, -1, 0, &err));
    shards_free(s);
    shards_free(other);
}

static void test_safetensors(void **unused)
{
    (void)unused;
    Err err = {0};
    int order[ROWS];
    char one[128];
    snprintf(one, sizeof one, "%s", in_dir("x.safetensors"));
    write_file(one, 0, ROWS, F32);
    ShardsCfg c = config(16, 64, false);
    assert_null(shards_open(one, &c, &err));
    assert_has(err.msg, "holds 2 tensors");
    snprintf(c.tensor, sizeof c.tensor, "nothing");
    assert_null(shards_open(one, &c, &err));
    assert_has(err.msg, "no tensor 'nothing'");
    snprintf(c.tensor, sizeof c.tensor, "acts");
    Shards *s = shards_open(one, &c, &err);
    assert_non_null(s);
    assert_int_equal(take_epoch(s, order), ROWS);
    assert_int_equal(order[ROWS - 1], ROWS - 1);
    shards_free(s);
    unlink(one);
}

static void refuse(const char *pattern, ShardsCfg c, const char *file, const char *why)
{
    Err err = {0};
    size_t live = mem_live();
    Shards *s = shards_open(pattern, &c, &err);
    if (s)
        fail_msg("%s was accepted", pattern);
    assert_has(err.msg, file);
    assert_has(err.msg, why);
    assert_int_equal(mem_live(), live);
}

static void test_refusals(void **unused)
{
    (void)unused;
    Err err = {0};
    ShardsCfg c = config(8, 64, true);
    char bad[128];
    refuse(in_dir("none*.npy"), c, "none*.npy", "no file");
    refuse(in_dir(""), config(500, 1, true), "batch of 500", "200 rows");
    refuse("tests/data/f8_fortran.npy", c, "f8_fortran.npy", "Fortran order");
    refuse("tests/data/scalar.npy", c, "scalar.npy", "single number");
    snprintf(bad, sizeof bad, "%s", in_dir("t.npy")); /* rows of another shape */
    Tensor wide = tensor_wrap(F32, 2, (int64_t[]){1, 2}, (float[]){1, 2});
    assert_ok(npy_save(bad, &wide, &err), err);
    refuse(dir, c, "t.npy", "one shape");
    char *d;
    size_t n;
    assert_ok(file_read_all(in_dir("s0.npy"), 1 << 20, &d, &n, &err), err);
    assert_ok(file_write_all(bad, d, n - 3, &err), err);
    refuse(dir, c, "t.npy", "but its header asks for");
    assert_ok(file_write_all(bad, d, 30, &err), err);
    refuse(dir, c, "t.npy", "");
    assert_ok(file_write_all(bad, d, 0, &err), err);
    refuse(dir, c, "t.npy", "");
    mem_free(d);
    unlink(bad);
}

static void test_file_that_shrinks(void **unused)
{
    (void)unused;
    Err err = {0};
    char path[128];
    snprintf(path, sizeof path, "%s", in_dir("z.npy"));
    write_file(path, 0, 100, F32);
    ShardsCfg c = config(10, 20, false);
    Shards *s = shards_open(path, &c, &err);
    assert_non_null(s);
    assert_int_equal(truncate(path, 128 + 30 * WIDTH * 4), 0);
    Tensor t;
    int64_t n;
    assert_false(shards_next(s, &t, &n, &err));
    assert_has(err.msg, "z.npy");
    assert_has(err.msg, "it had 2128 bytes, now it has 728");
    assert_false(shards_next(s, &t, &n, &err)); /* and again: it stays usable */
    shards_free(s);
    write_file(path, 0, 100, F32);
    s = shards_open(path, &c, &err);
    assert_non_null(s);
    assert_ok(shards_next(s, &t, &n, &err), err);
    tensor_release(&t);
    shards_free(s);
    unlink(path);
}

/* What a Sampler would give over the rows in memory. */
static void test_one_window_is_a_sampler(void **unused)
{
    (void)unused;
    Err err = {0};
    ShardsCfg c = config(9, ROWS, true);
    Shards *s = shards_open(dir, &c, &err);
    Sampler sampler;
    int32_t rows[9], idx[9];
    const Tensor *window;
    assert_non_null(s);
    assert_ok(sampler_init(&sampler, ROWS, 9, 1, true, &err), err);
    assert_ok(shards_window(s, &window, &err), err);
    for (int step = 0; step < 60; step++) {
        bool fresh;
        sampler_next(&sampler, rows);
        assert_ok(shards_ready(s, sampler.epoch, sampler.position - 9, idx, &fresh, &err),
                  err);
        assert_int_equal(fresh, sampler.position == 9);
        for (int i = 0; i < 9; i++)
            assert_true(((float *)window->data)[idx[i] * WIDTH] == (float)rows[i]);
    }
    bool fresh;
    assert_false(shards_ready(s, 0, 198, idx, &fresh, &err)); /* the tail */
    assert_has(err.msg, "no batch of 9 begins at row 198");
    sampler_done(&sampler);
    shards_free(s);
}

/* Ten times the rows, the same memory. */
static void test_fixed_memory(void **unused)
{
    (void)unused;
    Err err = {0};
    size_t peak[2];
    char path[128];
    snprintf(path, sizeof path, "%s", in_dir("big.npy"));
    for (int k = 0; k < 2; k++) {
        write_file(path, 0, k ? 200000 : 20000, F32);
        ShardsCfg c = config(512, 4096, true);
        mem_trim();
        mem_peak_reset();
        size_t before = mem_live();
        Shards *s = shards_open(path, &c, &err);
        assert_non_null(s);
        int64_t n = 1;
        while (n > 0) {
            Tensor t;
            assert_ok(shards_next(s, &t, &n, &err), err);
            tensor_release(&t);
        }
        peak[k] = mem_peak() - before;
        shards_free(s);
    }
    assert_true(peak[1] < peak[0] + 65536);
    unlink(path);
}

static bool open_and_read(void *ctx, Err *err)
{
    Tensor t;
    int64_t n;
    Shards *s = shards_open(dir, ctx, err);
    bool ok = s && shards_next(s, &t, &n, err);
    if (ok)
        tensor_release(&t);
    shards_free(s);
    return ok;
}

static void test_faults(void **unused)
{
    (void)unused;
    ShardsCfg c = config(9, 150, true);
    assert_true(fail_each_alloc(open_and_read, &c) > 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_in_order),     cmocka_unit_test(test_shuffled),
        cmocka_unit_test(test_seek),         cmocka_unit_test(test_safetensors),
        cmocka_unit_test(test_refusals),     cmocka_unit_test(test_file_that_shrinks),
        cmocka_unit_test(test_fixed_memory), cmocka_unit_test(test_faults),
        cmocka_unit_test(test_one_window_is_a_sampler),
    };
    return cmocka_run_group_tests(tests, make_files, drop_files);
}
