/* ticker.c -- two waits: the long one inside the journal (woken by the first thing that
 * has to be written), then a pause of 50 ms in which more may gather. Signals are
 * blocked, so that they reach the thread that runs Lua. */
#include "kernel/ticker.h"

#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/mem.h"

#define GATHER    0.05
#define HEARTBEAT 10.0
#define FOREVER   1e8

struct Ticker {
    Run *run;
    void (*on_failure)(void);
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool stop;
    bool rest;
};

/* Waits for `seconds` or the stop; true: stop. */
static bool pause_or_stop(Ticker *t, double seconds)
{
    double end = clock_now() + seconds;
    struct timespec until = {.tv_sec = (time_t)end,
                             .tv_nsec = (long)((end - floor(end)) * 1e9)};
    int timed_out = 0;
    pthread_mutex_lock(&t->lock);
    while (!t->stop && seconds > 0 && timed_out == 0)
        timed_out = pthread_cond_timedwait(&t->wake, &t->lock, &until);
    bool stop = t->stop;
    pthread_mutex_unlock(&t->lock);
    return stop;
}

static void *tick_loop(void *arg)
{
    Ticker *t = arg;
    Journal *j = run_journal(t->run);
    bool failed = false;
    /* a run shorter than one pause is written once, at its end */
    while (!pause_or_stop(t, GATHER)) {
        bool ok = journal_tick(j, NULL);
        ok = run_save(t->run, NULL) && ok;
        if (!ok && !failed)
            t->on_failure();
        failed = failed || !ok;
        pthread_mutex_lock(&t->lock);
        bool rest = t->rest;
        pthread_mutex_unlock(&t->lock);
        journal_wait(j, rest ? FOREVER : HEARTBEAT);
    }
    return NULL;
}

Ticker *ticker_start(Run *borrowed, void (*on_failure)(void), Err *err)
{
    pthread_condattr_t monotonic;
    sigset_t all, old;
    Ticker *t = mem_zalloc(sizeof *t, err);
    if (!t)
        return NULL;
    t->run = borrowed;
    t->on_failure = on_failure;
    pthread_mutex_init(&t->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&t->wake, &monotonic);
    pthread_condattr_destroy(&monotonic);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    int code = pthread_create(&t->thread, NULL, tick_loop, t);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (code == 0)
        return t;
    err_set(err, ERR_STATE, "cannot start a thread: %s", strerror(code));
    pthread_cond_destroy(&t->wake);
    pthread_mutex_destroy(&t->lock);
    mem_free(t);
    return NULL;
}

void ticker_rest(Ticker *t, bool rest)
{
    pthread_mutex_lock(&t->lock);
    t->rest = rest;
    pthread_mutex_unlock(&t->lock);
    journal_poke(run_journal(t->run));
}

void ticker_stop(Ticker *t)
{
    if (!t)
        return;
    pthread_mutex_lock(&t->lock);
    t->stop = true;
    pthread_cond_signal(&t->wake);
    pthread_mutex_unlock(&t->lock);
    journal_poke(run_journal(t->run));
    pthread_join(t->thread, NULL);
    pthread_cond_destroy(&t->wake);
    pthread_mutex_destroy(&t->lock);
    mem_free(t);
}
