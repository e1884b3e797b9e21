/* Two seconds of the mutation driver for each file parser (tests/fuzz/run.sh has the
 * long run under clang's sanitizers). A driver whose inputs are all refused, or all
 * accepted, would find nothing, so that is checked too. */
#include "../../fuzz/targets.h"

#include "support.h"

static void run(const char *name)
{
    const char *seconds = getenv("FUZZ_SECONDS");
    FuzzStat st;
    for (size_t i = 0; i < ARRAY_LEN(fuzz_targets); i++)
        if (strcmp(fuzz_targets[i].name, name) == 0) {
            if (!fuzz_run(&fuzz_targets[i], seconds ? atof(seconds) : 2, 1, NULL, &st))
                fail_msg("%s, input %llu: %s", name, (unsigned long long)st.fault_at,
                         st.fault);
            assert_true(st.inputs > 100);
            assert_true(st.accepted > st.inputs / 50 && st.accepted < st.inputs / 2);
            return;
        }
    fail_msg("no target %s", name);
}

static void test_idx(void **unused)
{
    (void)unused;
    run("idx");
}

static void test_gz(void **unused)
{
    (void)unused;
    run("gz");
    run("gz-inner");
}

static void test_npy(void **unused)
{
    (void)unused;
    run("npy");
}

static void test_safetensors(void **unused)
{
    (void)unused;
    run("safetensors");
}

static void test_archives(void **unused)
{
    (void)unused;
    run("npz");
    run("torch");
    run("torch-old");
}

static void test_pickle(void **unused)
{
    (void)unused;
    run("pickle");
}

static void test_tables_and_pictures(void **unused)
{
    (void)unused;
    run("csv");
    run("png");
}

static void test_headers(void **unused)
{
    (void)unused;
    run("npy-head");
    run("st-head");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_idx),
        cmocka_unit_test(test_gz),
        cmocka_unit_test(test_npy),
        cmocka_unit_test(test_safetensors),
        cmocka_unit_test(test_archives),
        cmocka_unit_test(test_pickle),
        cmocka_unit_test(test_tables_and_pictures),
        cmocka_unit_test(test_headers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
