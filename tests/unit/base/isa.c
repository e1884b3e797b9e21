#include "support.h"

#include <sys/wait.h>

#include "base/kern.h"

static const char *const names[] = {"baseline", "avx2", "avx512"};

/* The level is settled once a process, so each question gets a process of its own;
 * the answer is its exit code. */
static int level_in_child(const char *env, const char *force)
{
    int status = -1;
    pid_t pid = fork();
    if (pid == 0) {
        if (env)
            setenv("CLEAVE_ISA", env, 1);
        else
            unsetenv("CLEAVE_ISA");
        if (force && !isa_force(force))
            _exit(90);
        if (strcmp(isa_name(), names[isa_level()]) != 0)
            _exit(91);
        _exit((int)isa_level());
    }
    waitpid(pid, &status, 0);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

/* What the system says the CPU has: a second source, independent of CPUID. */
static int level_of_the_machine(void)
{
    static char text[1 << 16];
    FILE *f = fopen("/proc/cpuinfo", "r");
    if (!f)
        return -1;
    size_t n = fread(text, 1, sizeof text - 1, f);
    fclose(f);
    text[n] = '\0';
    char *flags = strstr(text, "\nflags");
    if (!flags)
        return -1;
    flags[1 + strcspn(flags + 1, "\n")] = '\0';
    static const char *const first[] = {" avx2", " fma"};
    static const char *const second[] = {" avx512f", " avx512bw", " avx512dq",
                                         " avx512vl"};
    for (size_t i = 0; i < ARRAY_LEN(first); i++)
        if (!strstr(flags, first[i]))
            return ISA_BASE;
    for (size_t i = 0; i < ARRAY_LEN(second); i++)
        if (!strstr(flags, second[i]))
            return ISA_AVX2;
    return ISA_AVX512;
}

static void the_best_level_is_the_default(void **state)
{
    (void)state;
    int machine = level_of_the_machine();
    if (machine < 0)
        skip();
    assert_int_equal(level_in_child(NULL, NULL), machine);
}

static void levels_up_to_the_cpus_can_be_asked_for(void **state)
{
    (void)state;
    int best = level_in_child(NULL, NULL);
    for (int i = 0; i <= ISA_AVX512; i++) {
        assert_int_equal(level_in_child(names[i], NULL), i <= best ? i : best);
        assert_int_equal(level_in_child(NULL, names[i]), i <= best ? i : 90);
        assert_int_equal(level_in_child("baseline", names[i]), i <= best ? i : 90);
    }
}

static void unknown_names_are_refused(void **state)
{
    (void)state;
    int best = level_in_child(NULL, NULL);
    static const char *const bad[] = {"", "AVX2", "avx", "sse2", "avx5122"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        assert_int_equal(level_in_child(NULL, bad[i]), 90);
        assert_int_equal(level_in_child(bad[i], NULL), best);
    }
    assert_false(isa_force(NULL));
}

static void forcing_again_changes_it_again(void **state)
{
    (void)state;
    const char *first = isa_name();
    assert_true(isa_force("baseline"));
    assert_int_equal(isa_level(), ISA_BASE);
    assert_false(isa_force("nonsense"));
    assert_string_equal(isa_name(), "baseline");
    assert_true(isa_force(first));
    assert_string_equal(isa_name(), first);
}

typedef struct Row {
    int id;
} Row;
extern const Row row_f32_base, row_f32_avx2, row_f32_avx512, row_f64_base;
const Row row_f32_base = {0}, row_f32_avx2 = {1}, row_f32_avx512 = {2},
          row_f64_base = {64};

static void the_pick_follows_the_level(void **state)
{
    (void)state;
    const char *first = isa_name();
    for (int i = 0; i <= ISA_AVX512; i++) {
        if (!isa_force(names[i]))
            continue;
        assert_int_equal(KERN_PICK(row, false)->id, i);
        assert_int_equal(KERN_PICK(row, true)->id, 64);
    }
    isa_force(first);
}

static float halved(float x)
{
    volatile float half = 0.5f, v = x;
    return v * half;
}

static void denormals_vanish_inside_and_come_back(void **state)
{
    (void)state;
#if defined(__x86_64__)
    volatile float smallest = 0x1p-126f, denormal = 0x1p-130f, big = 0x1p100f;
    assert_true(halved(smallest) > 0);
    unsigned outer = fpmode_enter();
    assert_true(halved(smallest) == 0); /* flush-to-zero */
    assert_true(denormal * big == 0);   /* denormals-are-zero */
    unsigned inner = fpmode_enter();
    fpmode_leave(inner);
    assert_true(halved(smallest) == 0); /* nesting keeps the outer mode */
    fpmode_leave(outer);
    assert_true(halved(smallest) > 0);
    assert_true(denormal * big > 0);
#else
    fpmode_leave(fpmode_enter());
    assert_true(halved(0x1p-126f) > 0);
#endif
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_best_level_is_the_default),
        cmocka_unit_test(levels_up_to_the_cpus_can_be_asked_for),
        cmocka_unit_test(unknown_names_are_refused),
        cmocka_unit_test(forcing_again_changes_it_again),
        cmocka_unit_test(the_pick_follows_the_level),
        cmocka_unit_test(denormals_vanish_inside_and_come_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
