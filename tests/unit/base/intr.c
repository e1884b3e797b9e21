#include "support.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/time.h>

#include "base/clock.h"
#include "base/intr.h"

static void the_flag_is_seen_until_cleared(void **state)
{
    (void)state;
    Err err = {0};
    assert_false(intr_pending());
    assert_true(intr_check(&err));
    assert_int_equal(err.code, ERR_NONE);
    errno = 77;
    intr_raise();
    assert_int_equal(errno, 77); /* a handler must leave it alone */
    assert_true(intr_pending());
    assert_false(intr_check(&err));
    assert_int_equal(err.code, ERR_INTERRUPT);
    assert_string_equal(err.msg, "interrupted");
    assert_false(intr_check(NULL));
    intr_clear();
    assert_true(intr_check(NULL));
}

static void on_alarm(int sig)
{
    (void)sig;
    intr_raise();
}

static void a_signal_ends_a_sleep(void **state)
{
    (void)state;
    Err err = {0};
    struct sigaction sa = {.sa_handler = on_alarm, .sa_flags = SA_RESTART};
    struct itimerval in = {.it_value = {.tv_usec = 30000}};
    sigaction(SIGALRM, &sa, NULL);
    setitimer(ITIMER_REAL, &in, NULL);
    assert_false(clock_sleep(1e9, &err)); /* would outlast any test run */
    assert_int_equal(err.code, ERR_INTERRUPT);
    assert_false(clock_sleep(1e9, NULL)); /* still pending */
    intr_clear();
}

static void *sleeper(void *arg)
{
    return clock_sleep(1e9, NULL) ? arg : NULL;
}

static void one_raise_wakes_every_sleeping_thread(void **state)
{
    (void)state;
    pthread_t t[3];
    int slept_through = 0;
    for (size_t i = 0; i < ARRAY_LEN(t); i++)
        assert_int_equal(pthread_create(&t[i], NULL, sleeper, &slept_through), 0);
    clock_sleep(0.03, NULL);
    intr_raise();
    for (size_t i = 0; i < ARRAY_LEN(t); i++) {
        void *result = &slept_through;
        pthread_join(t[i], &result);
        assert_null(result);
    }
    intr_clear();
}

static void sleeping_wakes_nobody(void **state)
{
    (void)state;
    struct rusage a, b;
    getrusage(RUSAGE_SELF, &a);
    double start = clock_now();
    assert_false(intr_wait(0.25));
    double end = clock_now();
    getrusage(RUSAGE_SELF, &b);
    assert_true(end - start >= 0.249);
    assert_in_range(b.ru_nvcsw - a.ru_nvcsw, 0, 4);
    assert_false(intr_wait(0));
    assert_false(intr_wait(-5));
    assert_true(clock_sleep(-1, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_flag_is_seen_until_cleared),
        cmocka_unit_test(a_signal_ends_a_sleep),
        cmocka_unit_test(one_raise_wakes_every_sleeping_thread),
        cmocka_unit_test(sleeping_wakes_nobody),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
