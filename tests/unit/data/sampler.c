/* Epochs are permutations, tails are dropped or handed out, seeking is going on. */
#include "data/sampler.h"

#include "support.h"
#include "tensor/rng.h"

static void test_epochs_are_permutations(void **unused)
{
    (void)unused;
    enum { N = 103, BATCH = 10 };
    Sampler s;
    int32_t idx[BATCH], seen[3][N] = {0};
    assert_true(sampler_init(&s, N, BATCH, 7, true, NULL));
    assert_int_equal(sampler_batches(&s), 10);
    for (int epoch = 0; epoch < 3; epoch++) {
        int32_t want[N];
        rng_permutation((RngKey){7, rng_stream("shuffle"), (uint64_t)epoch}, N, want);
        for (int b = 0; b < 10; b++) {
            assert_int_equal(sampler_next(&s, idx), BATCH);
            assert_int_equal(s.epoch, epoch);
            assert_memory_equal(idx, want + b * BATCH, sizeof idx);
            for (int i = 0; i < BATCH; i++)
                assert_int_equal(seen[epoch][idx[i]]++, 0);
        }
    }
    assert_true(memcmp(seen[0], seen[1], sizeof seen[0]) !=
                0); /* another tail dropped */
    sampler_done(&s);
}

static void test_seed_matters(void **unused)
{
    (void)unused;
    Sampler a, b;
    int32_t x[50], y[50];
    assert_true(sampler_init(&a, 50, 50, 1, true, NULL));
    assert_true(sampler_init(&b, 50, 50, 2, true, NULL));
    sampler_next(&a, x), sampler_next(&b, y);
    assert_true(memcmp(x, y, sizeof x) != 0);
    sampler_done(&a), sampler_done(&b);
}

/* Stopping after any batch and seeking there in a new sampler changes nothing. */
static void test_resume(void **unused)
{
    (void)unused;
    enum { STEPS = 12 };
    for (int stop = 0; stop <= STEPS; stop++) {
        Sampler a, b;
        int32_t x[8], y[8];
        assert_true(sampler_init(&a, 37, 8, 5, true, NULL));
        assert_true(sampler_init(&b, 37, 8, 5, true, NULL));
        for (int i = 0; i < stop; i++)
            sampler_next(&a, x);
        assert_true(sampler_seek(&b, a.epoch, a.position, NULL));
        for (int i = stop; i < STEPS + 6; i++) {
            sampler_next(&a, x), sampler_next(&b, y);
            assert_memory_equal(x, y, sizeof x);
            assert_true(a.epoch == b.epoch && a.position == b.position);
        }
        sampler_done(&a), sampler_done(&b);
    }
}

static void test_sequential_hands_out_the_tail(void **unused)
{
    (void)unused;
    Sampler s;
    int32_t idx[8];
    assert_true(sampler_init(&s, 19, 8, 0, false, NULL));
    assert_int_equal(sampler_batches(&s), 3);
    for (int round = 0; round < 2; round++) {
        static const int64_t want[] = {8, 8, 3, 0};
        int32_t next = 0;
        for (int b = 0; b < 4; b++) {
            assert_int_equal(sampler_next(&s, idx), want[b]);
            for (int64_t i = 0; i < want[b]; i++)
                assert_int_equal(idx[i], next++);
        }
        assert_int_equal(next, 19);
    }
    sampler_done(&s);
    assert_true(sampler_init(&s, 3, 8, 0, false, NULL)); /* all of it is a tail */
    assert_int_equal(sampler_next(&s, idx), 3);
    sampler_done(&s);
}

static void test_refusals(void **unused)
{
    (void)unused;
    Sampler s;
    Err err = {0};
    assert_false(sampler_init(&s, 0, 8, 0, false, &err));
    assert_false(sampler_init(&s, 8, 0, 0, false, &err));
    assert_false(sampler_init(&s, 8, 9, 0, true, &err));
    assert_int_equal(err.code, ERR_OPTION);
    assert_has(err.msg, "a batch of 9 does not fit into 8 examples");
    assert_true(sampler_init(&s, 20, 8, 0, true, NULL));
    assert_false(sampler_seek(&s, 0, 5, &err));
    assert_false(sampler_seek(&s, -1, 8, &err));
    assert_false(sampler_seek(&s, 0, 24, &err));
    assert_has(err.msg, "position 24 is not a state");
    sampler_done(&s);
}

static bool try_init(void *unused, Err *err)
{
    (void)unused;
    Sampler s;
    bool ok = sampler_init(&s, 100, 8, 0, true, err);
    sampler_done(&s);
    return ok;
}

static void test_allocation_failures(void **unused)
{
    (void)unused;
    assert_int_equal(fail_each_alloc(try_init, NULL), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_epochs_are_permutations),
        cmocka_unit_test(test_seed_matters),
        cmocka_unit_test(test_resume),
        cmocka_unit_test(test_sequential_hands_out_the_tail),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_allocation_failures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
