/* Two seconds of the mutation driver for the journal; tests/fuzz/run.sh has the long run. */
#include "../../fuzz/journal_target.h"
#include "../../fuzz/runs_target.h"

#include "support.h"

static void test_journal(void **unused)
{
    (void)unused;
    FuzzStat st;
    const char *seconds = getenv("FUZZ_SECONDS");
    if (!fuzz_run(&journal_target, seconds ? atof(seconds) : 2, 1, NULL, &st))
        fail_msg("input %llu: %s", (unsigned long long)st.fault_at, st.fault);
    assert_true(st.inputs > 100);
    assert_true(st.accepted > st.inputs / 50 && st.accepted < st.inputs / 2);
    journal_clean();
}

static void test_runs(void **unused)
{
    (void)unused;
    FuzzStat st;
    const char *seconds = getenv("FUZZ_SECONDS");
    if (!fuzz_run(&runs_target, seconds ? atof(seconds) : 2, 1, NULL, &st))
        fail_msg("input %llu: %s", (unsigned long long)st.fault_at, st.fault);
    assert_true(st.inputs > 100);
    assert_true(st.accepted > st.inputs / 50 && st.accepted < st.inputs);
    runs_clean();
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_journal),
                                       cmocka_unit_test(test_runs)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
