/* A few seconds of the fuzz targets of kernel/ in every test run. */
#include <stdlib.h>

#include "../../fuzz/kernel_target.h"
#include "support.h"

static void targets(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(kernel_targets); i++) {
        FuzzStat st;
        if (!fuzz_run(&kernel_targets[i], 1.0, 20, NULL, &st))
            fail_msg("%s: %s", kernel_targets[i].name, st.fault);
        assert_true(st.inputs > 50);
        assert_true(st.accepted > 0);
    }
}

/* Brackets that never close are looked for once. */
static void hopeless_brackets(void **state)
{
    (void)state;
    Err err = {0};
    enum { N = 1 << 20 };
    char *text = mem_alloc(N, &err);
    assert_non_null(text);
    memset(text, '[', N);
    Document *d = document_new(&err);
    assert_true(document_load(d, text, N, &err));
    assert_int_equal(d->n, 1);
    document_free(d);
    mem_free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(targets),
        cmocka_unit_test(hopeless_brackets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
