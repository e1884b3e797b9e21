/* pool.c -- every chunk runs once, whatever the threads; workers are silent when idle,
 * deaf to signals, flush denormals, and survive being forgotten by a fork. */
#include "support.h"

#include <dirent.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>

#include "base/kern.h"
#include "tensor/pool.h"

enum { MOST = 1000 };

static void nap(long ms)
{
    struct timespec t = {ms / 1000, ms % 1000 * 1000000};
    nanosleep(&t, NULL);
}

static int tasks_now(void)
{
    int n = 0;
    DIR *d = opendir("/proc/self/task");
    assert_non_null(d);
    for (struct dirent *e; (e = readdir(d));)
        n += e->d_name[0] != '.';
    closedir(d);
    return n;
}

/* Threads of this process; a joined one may take a moment to leave /proc. */
static int tasks(int hoped)
{
    int n = tasks_now();
    for (int i = 0; i < 200 && n > hoped; i++) {
        nap(10);
        n = tasks_now();
    }
    return n;
}

static int others; /* threads that libraries and sanitizers had before main */

static void assert_pool_tasks(int n)
{
    assert_int_equal(tasks(others + n), others + n);
}

static void count_one(int chunk, void *ctx)
{
    atomic_fetch_add(&((atomic_int *)ctx)[chunk], 1);
}

/* Read once, before anything else has set the number. */
static void test_environment(void **state)
{
    (void)state;
    assert_int_equal(pool_threads(), 3);
    setenv("CLEAVE_THREADS", "2", 1);
    assert_int_equal(pool_threads(), 3);
}

static void test_each_chunk_once(void **state)
{
    (void)state;
    static atomic_int hits[MOST];
    for (int threads = 1; threads <= 9; threads += 2) {
        assert_true(pool_set_threads(threads, NULL));
        assert_int_equal(pool_threads(), threads);
        for (int round = 0; round < 3000; round++) {
            int n = round * 7 % 40;
            pool_run(n, count_one, hits);
            for (int i = 0; i < 41; i++)
                assert_int_equal(atomic_exchange(&hits[i], 0), i < n);
        }
        pool_run(MOST, count_one, hits);
        for (int i = 0; i < MOST; i++)
            assert_int_equal(atomic_exchange(&hits[i], 0), 1);
    }
    pool_shutdown();
}

static void test_lazy_and_joined(void **state)
{
    (void)state;
    static atomic_int hits[8];
    pool_shutdown();
    assert_pool_tasks(1);
    assert_true(pool_set_threads(4, NULL));
    assert_pool_tasks(1);
    pool_run(1, count_one, hits);
    assert_pool_tasks(1);
    pool_run(8, count_one, hits);
    assert_pool_tasks(4);
    assert_true(pool_set_threads(2, NULL));
    pool_run(8, count_one, hits);
    assert_pool_tasks(2);
    assert_true(pool_set_threads(1, NULL));
    assert_pool_tasks(1);
    pool_run(8, count_one, hits);
    assert_pool_tasks(1);
    assert_int_equal(hits[7], 3);
}

static void test_bad_counts(void **state)
{
    (void)state;
    Err err;
    int before = pool_threads();
    assert_false(pool_set_threads(0, &err));
    assert_int_equal(err.code, ERR_OPTION);
    assert_false(pool_set_threads(1000, &err));
    assert_has(err.msg, "1000");
    assert_int_equal(pool_threads(), before);
    assert_int_equal(pool_chunks(0, 16), 0);
    assert_int_equal(pool_chunks(1, 16), 1);
    assert_int_equal(pool_chunks(16, 16), 1);
    assert_int_equal(pool_chunks(17, 16), 2);
}

typedef struct Nest {
    atomic_int inner[4];
    atomic_bool same_thread, refused;
} Nest;

typedef struct Here {
    Nest *nest;
    pthread_t self;
} Here;

static void nested_inner(int chunk, void *ctx)
{
    Here *h = ctx;
    atomic_fetch_add(&h->nest->inner[chunk], 1);
    if (!pthread_equal(h->self, pthread_self()))
        atomic_store(&h->nest->same_thread, false);
}

static void nested_outer(int chunk, void *ctx)
{
    (void)chunk;
    Here h = {.nest = ctx, .self = pthread_self()};
    pool_run(4, nested_inner, &h);
    Err err;
    if (pool_set_threads(3, &err) || err.code != ERR_STATE)
        atomic_store(&h.nest->refused, false);
}

static void test_nested_runs_inline(void **state)
{
    (void)state;
    Nest nest = {.same_thread = true, .refused = true};
    assert_true(pool_set_threads(4, NULL));
    for (int i = 0; i < 200; i++)
        pool_run(6, nested_outer, &nest);
    for (int i = 0; i < 4; i++)
        assert_int_equal(nest.inner[i], 1200);
    assert_true(nest.same_thread);
    assert_true(nest.refused);
    assert_int_equal(pool_threads(), 4);
}

/* Two threads that each wait to see the other: proof that chunks run at once. */
static void meet(int chunk, void *ctx)
{
    atomic_int *arrived = ctx;
    (void)chunk;
    atomic_fetch_add(arrived, 1);
    while (atomic_load(arrived) < 2)
        sched_yield();
}

static void test_chunks_run_at_once(void **state)
{
    (void)state;
    assert_true(pool_set_threads(2, NULL));
    for (int i = 0; i < 50; i++) {
        atomic_int arrived = 0;
        pool_run(2, meet, &arrived);
        assert_int_equal(arrived, 2);
        struct timespec t = {0, i % 10 * 20000}; /* awake, nearly asleep, asleep */
        nanosleep(&t, NULL);
    }
}

typedef struct Probe {
    atomic_int arrived, flushed, deaf;
    pthread_t caller;
} Probe;

static void probe(int chunk, void *ctx)
{
    Probe *p = ctx;
    volatile float tiny = 1e-30f;
    sigset_t mask;
    meet(chunk, &p->arrived);
    if (tiny * 1e-10f == 0)
        atomic_fetch_add(&p->flushed, 1);
    pthread_sigmask(SIG_BLOCK, NULL, &mask);
    if (!pthread_equal(p->caller, pthread_self()))
        atomic_store(&p->deaf,
                     sigismember(&mask, SIGINT) && sigismember(&mask, SIGCHLD));
}

static void test_modes(void **state)
{
    (void)state;
    Probe p = {.caller = pthread_self()};
    volatile float tiny = 1e-30f;
    assert_true(pool_set_threads(2, NULL));
    pool_run(2, probe, &p);
    assert_int_equal(p.flushed, 2);
    assert_true(p.deaf);
    assert_true(tiny * 1e-10f > 0); /* the caller has its own mode back */
    p.flushed = 0;
    p.arrived = 1;
    pool_run(1, probe, &p);
    assert_int_equal(p.flushed, 1);
}

static double cpu_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void test_idle_workers_sleep(void **state)
{
    (void)state;
    static atomic_int hits[8];
    assert_true(pool_set_threads(4, NULL));
    pool_run(8, count_one, hits);
    nap(50); /* the new ones are still starting */
    double before = cpu_seconds();
    nap(200);
    assert_true(cpu_seconds() - before <
                0.02); /* three spinning workers: 0.4 or more */
}

static void test_fork(void **state)
{
    (void)state;
    static atomic_int hits[8];
    assert_true(pool_set_threads(3, NULL));
    pool_run(8, count_one, hits);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        alarm(20);
        pool_run(8, count_one, hits);
        _exit(hits[0] == 2 && hits[7] == 2 && tasks(3) == 3 ? 0 : 1);
    }
    int status = -1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    pool_run(8, count_one, hits);
    assert_int_equal(hits[7], 2);
    pool_shutdown();
    assert_true(tasks(1 + others) <= 1 + others); /* libraries stop theirs in a fork */
}

/* When the system refuses threads, work is done by those there are. A few stacks of
 * joined threads are kept by libc, so some can still start. */
static void test_too_few_threads_to_be_had(void **state)
{
    (void)state;
#ifdef __SANITIZE_ADDRESS__
    skip(); /* the sanitizer needs the address space */
#endif
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        static atomic_int hits[8];
        struct rlimit none = {1 << 20, 1 << 20}; /* no room for a stack */
        alarm(20);
        if (setrlimit(RLIMIT_AS, &none) != 0 || !pool_set_threads(64, NULL))
            _exit(2);
        pool_run(8, count_one, hits);
        pool_run(8, count_one, hits);
        _exit(hits[0] == 2 && hits[7] == 2 && tasks_now() < 40 ? 0 : 1);
    }
    int status = -1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

int main(void)
{
    others = tasks_now() - 1;
    setenv("CLEAVE_THREADS", "3", 1);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_environment),
        cmocka_unit_test(test_each_chunk_once),
        cmocka_unit_test(test_lazy_and_joined),
        cmocka_unit_test(test_bad_counts),
        cmocka_unit_test(test_nested_runs_inline),
        cmocka_unit_test(test_chunks_run_at_once),
        cmocka_unit_test(test_modes),
        cmocka_unit_test(test_idle_workers_sleep),
        cmocka_unit_test(test_fork),
        cmocka_unit_test(test_too_few_threads_to_be_had),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
