#include "support.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <sys/stat.h>

enum { MIB = 1 << 20 };

static const size_t sizes[] = {0,       1,           15,      16,         63,
                               64,      65,          1000,    4096,       65536,
                               3 * MIB, 4 * MIB - 1, 4 * MIB, 5 * MIB + 7, 33 * MIB};

static void blocks_are_aligned_distinct_and_writable(void **state)
{
    (void)state;
    unsigned char *p[ARRAY_LEN(sizes)];
    size_t before = mem_live();
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        p[i] = mem_alloc(sizes[i], NULL);
        assert_non_null(p[i]);
        assert_int_equal((uintptr_t)p[i] % 64, 0);
        memset(p[i], (int)i + 1, sizes[i]);
    }
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        for (size_t j = 0; j < sizes[i]; j += 61)
            assert_int_equal(p[i][j], i + 1);
        mem_free(p[i]);
    }
    mem_free(NULL);
    assert_int_equal(mem_live(), before);
}

static bool all_zero(const unsigned char *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (p[i])
            return false;
    return true;
}

static void zalloc_is_zero_even_when_memory_is_reused(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        for (int round = 0; round < 3; round++) {
            unsigned char *p = mem_zalloc(sizes[i], NULL);
            assert_non_null(p);
            assert_true(all_zero(p, sizes[i]));
            memset(p, 0xAB, sizes[i]);
            mem_free(p);
        }
    }
}

static void realloc_keeps_the_bytes(void **state)
{
    (void)state;
    size_t before = mem_live();
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        for (size_t j = 0; j < ARRAY_LEN(sizes); j++) {
            size_t least = sizes[i] < sizes[j] ? sizes[i] : sizes[j];
            unsigned char *p = mem_alloc(sizes[i], NULL);
            for (size_t k = 0; k < sizes[i]; k++)
                p[k] = (unsigned char)(k % 251);
            p = mem_realloc(p, sizes[j], NULL);
            assert_non_null(p);
            assert_int_equal((uintptr_t)p % 64, 0);
            for (size_t k = 0; k < least; k++)
                if (p[k] != (unsigned char)(k % 251))
                    fail_msg("%zu to %zu: byte %zu differs", sizes[i], sizes[j], k);
            memset(p, 1, sizes[j]);
            mem_free(p);
        }
    }
    assert_int_equal(mem_live(), before);
    void *p = mem_realloc(NULL, 10, NULL);
    assert_non_null(p);
    mem_free(p);
}

static void realloc_failure_leaves_the_old_block(void **state)
{
    (void)state;
    const size_t from[] = {100, 6 * MIB};
    for (size_t i = 0; i < ARRAY_LEN(from); i++) {
        Err err = {0};
        char *p = mem_alloc(from[i], NULL);
        strcpy(p, "still here");
        size_t live = mem_live();
        mem_fail_at(1);
        assert_null(mem_realloc(p, 8 * MIB, &err));
        assert_true(mem_fail_fired());
        assert_int_equal(err.code, ERR_MEMORY);
        assert_null(mem_realloc(p, SIZE_MAX - 3, &err));
        size_t budget = mem_budget();
        mem_set_budget(live + MIB);
        assert_null(mem_realloc(p, 8 * MIB, &err));
        mem_set_budget(budget);
        assert_string_equal(p, "still here");
        assert_int_equal(mem_live(), live);
        mem_free(p);
    }
}

static void overflow_is_an_error_not_a_small_block(void **state)
{
    (void)state;
    const size_t huge[] = {SIZE_MAX, SIZE_MAX - 1, SIZE_MAX - 63, SIZE_MAX - 64,
                           SIZE_MAX / 2, SIZE_MAX / 4 + 1};
    size_t live = mem_live();
    for (size_t i = 0; i < ARRAY_LEN(huge); i++) {
        Err err = {0};
        assert_null(mem_alloc(huge[i], &err));
        assert_int_equal(err.code, ERR_MEMORY);
        assert_null(mem_zalloc(huge[i], NULL));
    }
    Err err = {0};
    assert_null(mem_array(SIZE_MAX / 8 + 2, 8, &err));
    assert_int_equal(err.code, ERR_MEMORY);
    assert_has(err.msg, "items of 8 bytes");
    assert_null(mem_array((size_t)1 << 32, (size_t)1 << 32, NULL));
    void *p = mem_array(0, SIZE_MAX, NULL), *q = mem_array(SIZE_MAX, 0, NULL);
    assert_non_null(p);
    assert_non_null(q);
    mem_free(p);
    mem_free(q);
    assert_int_equal(mem_live(), live);
}

static void the_budget_holds_and_the_sentence_says_so(void **state)
{
    (void)state;
    Err err = {0};
    size_t old = mem_budget();
    mem_set_budget(mem_live() + 3 * MIB);
    void *a = mem_alloc(2 * MIB, &err);
    assert_non_null(a);
    assert_null(mem_alloc(2 * MIB, &err));
    assert_int_equal(err.code, ERR_MEMORY);
    assert_has(err.msg, "asked for 2.0 MiB");
    assert_has(err.msg, "budget of 3.0 MiB");
    assert_null(mem_alloc(64 * (size_t)MIB, NULL));
    void *b = mem_alloc(MIB / 2, NULL);
    assert_non_null(b);
    mem_free(a);
    a = mem_alloc(2 * MIB, NULL);
    assert_non_null(a);
    mem_set_budget(1); /* below what is live: nothing more, nothing breaks */
    assert_null(mem_alloc(1, NULL));
    mem_free(a);
    mem_free(b);
    mem_set_budget(old);
}

static void counters_follow(void **state)
{
    (void)state;
    mem_peak_reset();
    size_t live = mem_live();
    uint64_t total = mem_total();
    assert_int_equal(mem_peak(), live);
    for (int i = 0; i < 10; i++) {
        void *p = mem_alloc(10 * MIB, NULL);
        assert_in_range(mem_live() - live, 10 * MIB, 10 * MIB + 8192);
        mem_free(p);
    }
    assert_int_equal(mem_live(), live);
    assert_in_range(mem_peak() - live, 10 * MIB, 10 * MIB + 8192);
    assert_in_range(mem_total() - total, 100 * MIB, 100 * MIB + 81920);
    void *p = mem_alloc(100, NULL);
    assert_in_range(mem_live() - live, 100, 100 + 64);
    mem_free(p);
    mem_peak_reset();
    assert_int_equal(mem_peak(), live);
}

static void the_nth_allocation_fails_once(void **state)
{
    (void)state;
    for (long n = 1; n <= 5; n++) {
        mem_fail_at(n);
        for (long i = 1; i <= 8; i++) {
            Err err = {0};
            assert_int_equal(mem_fail_fired(), i > n);
            void *p = mem_alloc(i % 2 ? 32 : 5 * MIB, &err);
            assert_int_equal(p == NULL, i == n);
            assert_int_equal(err.code, i == n ? ERR_MEMORY : ERR_NONE);
            mem_free(p);
        }
        assert_true(mem_fail_fired());
    }
    mem_fail_at(2);
    mem_free(mem_alloc(1, NULL));
    mem_fail_at(0);
    void *p = mem_alloc(1, NULL);
    assert_non_null(p);
    mem_free(p);
    assert_false(mem_fail_fired());
}

static bool strdup_try(void *ctx, Err *err)
{
    char *s = mem_strdup(ctx, err);
    if (!s)
        return false;
    assert_string_equal(s, ctx);
    mem_free(s);
    return true;
}

static void strdup_copies_or_fails(void **state)
{
    (void)state;
    char text[] = "a text";
    assert_int_equal(fail_each_alloc(strdup_try, text), 1);
}

static atomic_bool over_budget;

static void *churn(void *arg)
{
    uint32_t x = (uint32_t)(uintptr_t)arg;
    void *mine[8] = {0};
    for (int i = 0; i < 4000; i++) {
        x = x * 1664525u + 1013904223u;
        int k = (int)(x >> 29);
        bool large = (x >> 8) % 16 == 0;
        size_t n = large ? 4 * MIB + (x >> 12) % 3 * 4096 : (x >> 8) % 60000;
        mem_free(mine[k]);
        mine[k] = mem_alloc(n, NULL);
        if (mine[k] && n >= sizeof k)
            memcpy(mine[k], &k, sizeof k);
        if (mem_live() > mem_budget())
            atomic_store(&over_budget, true);
    }
    for (int k = 0; k < 8; k++)
        mem_free(mine[k]);
    return NULL;
}

static void threads_share_one_budget(void **state)
{
    (void)state;
    pthread_t t[4];
    size_t live = mem_live(), old = mem_budget();
    mem_set_budget(live + 24 * MIB);
    mem_peak_reset();
    for (uintptr_t i = 0; i < ARRAY_LEN(t); i++)
        assert_int_equal(pthread_create(&t[i], NULL, churn, (void *)(i * 7919 + 1)), 0);
    for (size_t i = 0; i < ARRAY_LEN(t); i++)
        pthread_join(t[i], NULL);
    assert_int_equal(mem_live(), live);
    assert_in_range(mem_peak(), live + 16 * MIB, live + 24 * MIB);
    assert_false(atomic_load(&over_budget));
    mem_set_budget(old);
}

static void the_default_budget_is_a_share_of_the_machine(void **state)
{
    (void)state;
    size_t all = (size_t)sysconf(_SC_PHYS_PAGES) * (size_t)sysconf(_SC_PAGESIZE);
    assert_in_range(mem_machine(), 1, all);
    assert_int_equal(mem_budget(), mem_machine() / 4 * 3);
}

static void group_file(const char *dir, const char *group, const char *text)
{
    char path[256];
    snprintf(path, sizeof path, "%s%s", dir, group);
    mkdir(path, 0777);
    strcat(path, "/memory.max");
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static void the_tightest_group_limit_counts(void **state)
{
    (void)state;
    char dir[64];
    scratch_make(dir);
    assert_int_equal(mem_group_limit(dir, "/a/b"), SIZE_MAX);
    group_file(dir, "/a", "max\n");
    group_file(dir, "/a/b", "5000000\n");
    assert_int_equal(mem_group_limit(dir, "/a"), SIZE_MAX);
    assert_int_equal(mem_group_limit(dir, "/a/b"), 5000000);
    assert_int_equal(mem_group_limit(dir, "/a/bb"), SIZE_MAX);
    group_file(dir, "/a", "4000000\n");
    assert_int_equal(mem_group_limit(dir, "/a/b"), 4000000);
    group_file(dir, "", "3000000\n");
    assert_int_equal(mem_group_limit(dir, "/a/b"), 3000000);
    assert_int_equal(mem_group_limit(dir, "/"), 3000000);
    group_file(dir, "/a/b", "99999999999999999999999999\n");
    group_file(dir, "/a", "");
    assert_int_equal(mem_group_limit(dir, "/a/b"), 3000000);
    scratch_remove(dir);
}

static long faults_of_a_round(void)
{
    struct rusage a, b;
    getrusage(RUSAGE_SELF, &a);
    char *p = mem_alloc(16 * MIB, NULL);
    assert_non_null(p);
    memset(p, 1, 16 * MIB);
    mem_free(p);
    getrusage(RUSAGE_SELF, &b);
    return b.ru_minflt - a.ru_minflt;
}

static void large_blocks_in_a_loop_fault_only_once(void **state)
{
    (void)state;
#if defined(__SANITIZE_ADDRESS__)
    skip();
#endif
    mem_trim();
    assert_true(faults_of_a_round() >= 8);
    for (int i = 0; i < 10; i++)
        assert_true(faults_of_a_round() < 4);
    mem_trim();
    assert_true(faults_of_a_round() >= 8);
    for (size_t i = 0; i < 100; i++) /* many sizes: old ones are given back */
        mem_free(mem_alloc((i % 40 + 4) * MIB, NULL));
    mem_trim();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_default_budget_is_a_share_of_the_machine),
        cmocka_unit_test(the_tightest_group_limit_counts),
        cmocka_unit_test(large_blocks_in_a_loop_fault_only_once),
        cmocka_unit_test(blocks_are_aligned_distinct_and_writable),
        cmocka_unit_test(zalloc_is_zero_even_when_memory_is_reused),
        cmocka_unit_test(realloc_keeps_the_bytes),
        cmocka_unit_test(realloc_failure_leaves_the_old_block),
        cmocka_unit_test(overflow_is_an_error_not_a_small_block),
        cmocka_unit_test(the_budget_holds_and_the_sentence_says_so),
        cmocka_unit_test(counters_follow),
        cmocka_unit_test(the_nth_allocation_fails_once),
        cmocka_unit_test(strdup_copies_or_fails),
        cmocka_unit_test(threads_share_one_budget),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
