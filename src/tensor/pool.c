/* pool.c -- workers that share the chunks of one job.
 * The job lives in one 64-bit word: its number in the high half, how many chunks are
 * not yet claimed in the low half. A thread claims a chunk by compare-and-swap on
 * the whole word, so a worker that wakes late can never claim from the wrong job, and
 * fn, ctx and n may be read after a claim: the job cannot end before the claimed chunk
 * has. `pending` counts chunks not finished; who brings it to 0 wakes the caller.
 * `epoch` is what idle workers sleep on: it changes after the job is published, and the
 * kernel compares it again before it lets them sleep, so no wake-up is lost. */
#include "tensor/pool.h"

#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/kern.h"

/* Two halves of a 10 us job take 5.2 us when the worker still spins and 18 us when it
 * sleeps: waking costs the caller 12 us under virtualisation. Spinning for about that
 * long can lose at most what it would have saved, and gives a wanted core back soon. */
enum { POOL_DEFAULT_MAX = 8, SPIN_NS = 20000 };

static struct {
    _Alignas(64) atomic_uint_least64_t ticket; /* job << 32 | unclaimed */
    _Alignas(64) atomic_uint epoch;            /* futex of the workers */
    atomic_int sleepers;
    _Alignas(64) atomic_uint pending; /* futex of the caller */
    atomic_bool waiting;              /* the caller sleeps on pending */
    _Alignas(64) atomic_bool busy;    /* a job runs */
    atomic_bool quit;
    PoolFn *fn;
    void *ctx;
    int n;
    uint32_t job;
    int target;  /* threads wanted, 0: not decided */
    int started; /* workers running */
    bool refused; /* the system gave fewer workers than asked */
    bool spins;
    pthread_t worker[POOL_MAX];
} pool;

static void futex_wait(atomic_uint *word, unsigned seen)
{
    syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, seen, NULL, NULL, 0);
}

static void futex_wake(atomic_uint *word, int n)
{
    syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, n, NULL, NULL, 0);
}

static int64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* Waits up to SPIN_NS for *word to leave `seen`; true when it did. */
static bool spin_while(atomic_uint *word, unsigned seen)
{
    if (!pool.spins)
        return false;
    int64_t end = now_ns() + SPIN_NS;
    do {
        for (int i = 0; i < 16; i++) {
            if (atomic_load_explicit(word, memory_order_acquire) != seen)
                return true;
            __builtin_ia32_pause();
        }
    } while (now_ns() < end);
    return false;
}

/* Claims and runs chunks until none is left. */
static void run_chunks(void)
{
    unsigned done = 0;
    uint64_t seen = atomic_load(&pool.ticket);
    while ((uint32_t)seen != 0) {
        if (!atomic_compare_exchange_weak(&pool.ticket, &seen, seen - 1))
            continue;
        pool.fn(pool.n - (int)(uint32_t)seen, pool.ctx);
        done++;
        seen = atomic_load(&pool.ticket);
        /* Our finished chunks keep the job open, so `seen` is still this job. */
    }
    if (done > 0 && atomic_fetch_sub(&pool.pending, done) == done &&
        atomic_load(&pool.waiting))
        futex_wake(&pool.pending, 1);
}

static void *worker_main(void *unused)
{
    (void)unused;
    fpmode_enter();
    while (!atomic_load(&pool.quit)) {
        unsigned seen = atomic_load(&pool.epoch);
        run_chunks();
        if (spin_while(&pool.epoch, seen))
            continue;
        atomic_fetch_add(&pool.sleepers, 1);
        futex_wait(&pool.epoch, seen);
        atomic_fetch_sub(&pool.sleepers, 1);
    }
    return NULL;
}

/* The child of a fork has none of the workers. */
static void forget_workers(void)
{
    pool.started = 0;
    pool.refused = false;
    atomic_store(&pool.sleepers, 0);
    atomic_store(&pool.busy, false);
    atomic_store(&pool.ticket, 0);
}

static void start_workers(void)
{
    static bool once;
    if (!once) {
        once = true;
        pthread_atfork(NULL, NULL, forget_workers);
    }
    sigset_t all, saved;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &saved);
    while (pool.started < pool.target - 1 && !pool.refused) {
        pool.refused =
            pthread_create(&pool.worker[pool.started], NULL, worker_main, NULL) != 0;
        if (!pool.refused)
            pool.started++;
    }
    pthread_sigmask(SIG_SETMASK, &saved, NULL);
}

static void join_workers(void)
{
    atomic_store(&pool.quit, true);
    atomic_fetch_add(&pool.epoch, 1);
    futex_wake(&pool.epoch, POOL_MAX);
    for (int i = 0; i < pool.started; i++)
        pthread_join(pool.worker[i], NULL);
    pool.started = 0;
    pool.refused = false;
    atomic_store(&pool.quit, false);
}

static int cores(void)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    if (sched_getaffinity(0, sizeof set, &set) == 0 && CPU_COUNT(&set) > 0)
        return CPU_COUNT(&set);
    return 1;
}

int pool_threads(void)
{
    if (pool.target == 0) {
        const char *text = getenv("CLEAVE_THREADS");
        char *end;
        long n = text && *text ? strtol(text, &end, 10) : 0;
        int most = cores();
        pool.spins = most > 1;
        pool.target = n >= 1 && n <= POOL_MAX && !*end ? (int)n
                      : most < POOL_DEFAULT_MAX        ? most
                                                       : POOL_DEFAULT_MAX;
    }
    return pool.target;
}

bool pool_set_threads(int n, Err *err)
{
    if (n < 1 || n > POOL_MAX)
        return err_set(err, ERR_OPTION, "threads must be 1 to %d, not %d", POOL_MAX, n);
    if (atomic_exchange(&pool.busy, true))
        return err_set(
            err, ERR_STATE,
            "the number of threads cannot change while a parallel loop runs");
    pool_threads();
    if (n - 1 < pool.started)
        join_workers();
    pool.target = n;
    pool.refused = false;
    atomic_store(&pool.busy, false);
    return true;
}

void pool_shutdown(void)
{
    if (!atomic_exchange(&pool.busy, true)) {
        join_workers();
        atomic_store(&pool.busy, false);
    }
}

static void run_here(int n_chunks, PoolFn *fn, void *ctx)
{
    for (int i = 0; i < n_chunks; i++)
        fn(i, ctx);
}

/* Publishes the job, helps, and waits for the rest. */
static void run_shared(int n_chunks, PoolFn *fn, void *ctx)
{
    pool.fn = fn;
    pool.ctx = ctx;
    pool.n = n_chunks;
    atomic_store(&pool.pending, (unsigned)n_chunks);
    atomic_store(&pool.ticket, (uint64_t)++pool.job << 32 | (unsigned)n_chunks);
    atomic_fetch_add(&pool.epoch, 1);
    if (atomic_load(&pool.sleepers) > 0)
        futex_wake(&pool.epoch, n_chunks - 1);
    run_chunks();

    unsigned left;
    while ((left = atomic_load(&pool.pending)) != 0) {
        if (spin_while(&pool.pending, left))
            continue;
        atomic_store(&pool.waiting, true);
        futex_wait(&pool.pending, left);
        atomic_store(&pool.waiting, false);
    }
}

void pool_run(int n_chunks, PoolFn *fn, void *ctx)
{
    /* The same mode on every thread, or denormals would tell who ran a chunk. */
    unsigned mode = fpmode_enter();
    if (n_chunks <= 1 || pool_threads() == 1 || atomic_exchange(&pool.busy, true)) {
        run_here(n_chunks, fn, ctx);
    } else {
        if (pool.started < pool.target - 1 && !pool.refused)
            start_workers();
        if (pool.started > 0)
            run_shared(n_chunks, fn, ctx);
        else
            run_here(n_chunks, fn, ctx);
        atomic_store(&pool.busy, false);
    }
    fpmode_leave(mode);
}

int pool_chunks(long count, long grain)
{
    return count <= 0 ? 0 : (int)((count - 1) / grain + 1);
}
