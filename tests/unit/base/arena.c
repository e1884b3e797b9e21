#include "support.h"

static void pieces_are_zeroed_aligned_and_apart(void **state)
{
    (void)state;
    size_t live = mem_live();
    Arena *a = arena_new(NULL);
    unsigned char *p[500];
    for (size_t i = 0; i < 500; i++) {
        size_t n = i * i % 5000;
        p[i] = arena_alloc(a, n, NULL);
        assert_non_null(p[i]);
        assert_int_equal((uintptr_t)p[i] % 16, 0);
        for (size_t k = 0; k < n; k++)
            assert_int_equal(p[i][k], 0);
        memset(p[i], (int)(i % 255) + 1, n);
    }
    for (size_t i = 0; i < 500; i++)
        for (size_t k = 0; k < i * i % 5000; k++)
            assert_int_equal(p[i][k], i % 255 + 1);
    arena_free(a);
    arena_free(NULL);
    assert_int_equal(mem_live(), live);
}

static void release_goes_back_to_the_mark(void **state)
{
    (void)state;
    Arena *a = arena_new(NULL);
    ArenaMark start = arena_mark(a);
    char *keep = arena_strdup(a, "kept", NULL);
    ArenaMark m = arena_mark(a);
    char *next = arena_alloc(a, 100, NULL);
    memset(next, 'x', 100);
    for (int i = 0; i < 100; i++)
        memset(arena_alloc(a, 30000, NULL), 'y', 30000);
    assert_non_null(arena_alloc(a, 5 << 20, NULL));
    arena_release(a, m);
    char *again = arena_alloc(a, 100, NULL);
    assert_ptr_equal(again, next);
    for (int i = 0; i < 100; i++)
        assert_int_equal(again[i], 0);
    assert_string_equal(keep, "kept");
    arena_release(a, start);
    assert_null(arena_mark(a).block);
    arena_free(a);
}

static void a_loop_of_marks_settles(void **state)
{
    (void)state;
    Arena *a = arena_new(NULL);
    arena_alloc(a, 16000, NULL);
    uint64_t after_two = 0;
    for (int i = 0; i < 1000; i++) {
        ArenaMark m = arena_mark(a);
        assert_non_null(arena_alloc(a, 9000, NULL));
        assert_non_null(arena_alloc(a, 9000, NULL));
        arena_release(a, m);
        if (i == 1)
            after_two = mem_total();
    }
    assert_int_equal(mem_total(), after_two);
    arena_free(a);
}

static void printf_formats_any_length(void **state)
{
    (void)state;
    Arena *a = arena_new(NULL);
    assert_string_equal(arena_printf(a, NULL, "%d-%s", 12, "ab"), "12-ab");
    char *s = arena_printf(a, NULL, "%0*d", 40000, 7);
    assert_int_equal(strlen(s), 40000);
    assert_int_equal(s[39999], '7');
    arena_free(a);
}

static void absurd_sizes_fail(void **state)
{
    (void)state;
    Arena *a = arena_new(NULL);
    const size_t huge[] = {SIZE_MAX, SIZE_MAX - 15, SIZE_MAX / 2, SIZE_MAX / 4};
    for (size_t i = 0; i < ARRAY_LEN(huge); i++) {
        Err err = {0};
        assert_null(arena_alloc(a, huge[i], &err));
        assert_int_equal(err.code, ERR_MEMORY);
    }
    assert_non_null(arena_alloc(a, 0, NULL));
    arena_free(a);
}

static bool build(void *ctx, Err *err)
{
    (void)ctx;
    bool ok = false;
    Arena *a = arena_new(err);
    if (!a)
        return false;
    if (!arena_strdup(a, "first", err))
        goto out;
    for (int i = 0; i < 10; i++)
        if (!arena_alloc(a, 20000, err))
            goto out;
    if (!arena_printf(a, err, "%*d", 100000, 1))
        goto out;
    ok = true;
out:
    arena_free(a);
    return ok;
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    assert_in_range(fail_each_alloc(build, NULL), 4, 14);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pieces_are_zeroed_aligned_and_apart),
        cmocka_unit_test(release_goes_back_to_the_mark),
        cmocka_unit_test(a_loop_of_marks_settles),
        cmocka_unit_test(printf_formats_any_length),
        cmocka_unit_test(absurd_sizes_fail),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
