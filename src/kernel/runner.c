/* runner.c -- the Lua thread: takes cells from the queue, one at a time, and makes and
 * drops the Lua state. A failure empties the queue behind it. */
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/intr.h"
#include "base/mem.h"
#include "kernel/session_int.h"
#include "lab/jval.h"

enum { STACK_BYTES = 16 << 20 };

/* The first cell of the queue that can run; what cannot is dropped. */
static Cell *choose(Session *k)
{
    Document *d = k->doc;
    bool dropped = false;
    Cell *c = NULL;
    while (d->n_queue > 0 && !c) {
        c = document_cell(d, d->queue[0]);
        if (c && c->type == CELL_CODE)
            break;
        c = NULL;
        dropped = true;
        d->n_queue--;
        memmove(d->queue, d->queue + 1, (size_t)d->n_queue * sizeof *d->queue);
    }
    if (dropped && !c)
        session_cancel(k, NULL, NULL);
    return c;
}

/* Chunk names end in errors: "[3]:2: ...". */
static void chunk_name(const Cell *c, char dst[32])
{
    snprintf(dst, 32, "=[%d]", c->id);
}

static bool begin(Session *k, Cell *c, Str *text, Err *err)
{
    char line[64];
    cell_headline(c, line, sizeof line);
    json_t *ev =
        json_pack("{s:s,s:i,s:f}", "ev", "start", "cell", c->id, "t", clock_wall());
    bool ok = cell_source(c, text, err) &&
              journal_begin_cell(k->journal, c->id, line, err) &&
              document_apply(k->doc, ev, err);
    json_decref(ev);
    return ok;
}

static const char *const status_name[] = {
    [SCRIPT_DONE] = "done",
    [SCRIPT_FAILED] = "failed",
    [SCRIPT_STOPPED] = "stopped",
    [SCRIPT_USAGE] = "failed",
};

static void finish(Session *k, int cell, ScriptEnd end, double secs,
                   json_t *taken_result, const Err *why)
{
    if (k->part && (end == SCRIPT_FAILED || end == SCRIPT_USAGE))
        run_set(k->part, "why", jval_str(why->msg), NULL);
    if (end == SCRIPT_FAILED || end == SCRIPT_USAGE)
        journal_event(k->journal, "error",
                      json_pack("{s:i,s:o,s:o}", "cell", cell, "msg",
                                jval_str(why->msg), "trace",
                                jval_str(script_trace(k->script))),
                      NULL);
    journal_end_cell(k->journal, status_name[end], secs, NULL);
    json_t *ev = json_pack("{s:s,s:i,s:s,s:f}", "ev", "done", "cell", cell, "status",
                           status_name[end], "secs", secs);
    document_apply(k->doc, ev, NULL);
    json_decref(ev);
    if (taken_result) /* behind the end, as a run writes it */
        journal_event(k->journal, "result",
                      json_pack("{s:i,s:O}", "cell", cell, "result", taken_result),
                      NULL);
    if (end != SCRIPT_DONE && k->stop_on_error && k->doc->n_queue > 0) {
        char text[64];
        snprintf(text, sizeof text, "cell %d %s", cell, status_name[end]);
        session_cancel(k, text, NULL);
    }
    if (k->doc->n_queue == 0)
        part_close(k, status_name[end], taken_result);
    json_decref(taken_result);
}

/* Runs one cell; the lock is held on entry and exit, and free while Lua runs. */
static void run_cell(Session *k, Cell *c)
{
    Str text;
    Err err = {0};
    char chunk[32];
    json_t *result = NULL;
    int id = c->id;
    str_init(&text);
    chunk_name(c, chunk);
    k->busy = true;
    k->ran = true;
    k->interrupted_at = 0;
    look_snapshot(k);
    intr_clear();
    bool ok = begin(k, c, &text, &err);
    double start = clock_now();
    if (ok)
        ticker_rest(k->ticker, false);
    ScriptEnd end = SCRIPT_FAILED;
    if (ok) {
        pthread_mutex_unlock(&k->lock);
        journal_before_metric(k->journal, part_open, k);
        end = script_run_cell(k->script, text.s, text.len, chunk, &result, &err);
        fflush(NULL);
        pthread_mutex_lock(&k->lock);
    }
    finish(k, id, end, clock_now() - start, result, &err);
    k->busy = false;
    if (k->doc->n_queue == 0)
        ticker_rest(k->ticker, true);
    str_done(&text);
    session_wake(k);
}

/* Drops every variable. A finaliser may run, so nobody may look meanwhile. */
static void renew(Session *k)
{
    Err err = {0};
    k->busy = true;
    k->restart = false;
    control_forget(k);
    pthread_mutex_unlock(&k->lock);
    script_free(k->script);
    Script *s = script_new(k->run, &err);
    if (s)
        script_on_run(s, part_begin, k);
    pthread_mutex_lock(&k->lock);
    k->script = s;
    k->busy = !s;
    k->ran = false;
    json_decref(k->names);
    json_decref(k->variables);
    k->names = k->variables = NULL;
    session_emit(k, "kernel",
                 json_pack("{s:i,s:s}", "pid", (int)getpid(), "why", "restart"), NULL);
    if (!s) {
        session_emit(k, "error",
                     json_pack("{s:i,s:o,s:s}", "cell", 0, "msg", jval_str(err.msg),
                               "trace", ""),
                     NULL);
        k->ending = true;
    }
    session_wake(k);
}

static void *lua_loop(void *arg)
{
    Session *k = arg;
    Err err = {0};
    Script *first = script_new(k->run, &err);
    if (first)
        script_on_run(first, part_begin, k);
    pthread_mutex_lock(&k->lock);
    k->script = first;
    k->busy = !first;
    if (!k->script) {
        session_emit(k, "error",
                     json_pack("{s:i,s:o,s:s}", "cell", 0, "msg", jval_str(err.msg),
                               "trace", ""),
                     NULL);
        k->ending = true;
        session_wake(k);
    }
    while (!k->stop && k->script) {
        Cell *c = k->restart ? NULL : choose(k);
        if (k->restart)
            renew(k);
        else if (c)
            run_cell(k, c);
        else if (control_waits(k))
            control_turn(k);
        else
            pthread_cond_wait(&k->work, &k->lock);
    }
    k->busy = true; /* nobody looks at what goes */
    pthread_mutex_unlock(&k->lock);
    script_free(k->script);
    pthread_mutex_lock(&k->lock);
    k->script = NULL;
    k->lua_ended = true;
    pthread_cond_broadcast(&k->work);
    pthread_mutex_unlock(&k->lock);
    return NULL;
}

bool runner_start(Session *k, Err *err)
{
    pthread_attr_t attr;
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, STACK_BYTES);
    k->busy = true;
    int code = pthread_create(&k->lua, &attr, lua_loop, k);
    pthread_attr_destroy(&attr);
    if (code == 0)
        return true;
    return err_set(err, ERR_STATE, "cannot start the thread that runs Lua: %s",
                   strerror(code));
}

void runner_interrupt(Session *k)
{
    if (!k->busy || !k->script || (k->doc->running == 0 && !k->turning))
        return;
    if (k->interrupted_at == 0)
        k->interrupted_at = clock_now();
    script_interrupt(k->script);
}

bool runner_stop(Session *k, double seconds)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += (time_t)seconds + 1;
    pthread_mutex_lock(&k->lock);
    k->stop = true;
    runner_interrupt(k);
    pthread_cond_broadcast(&k->work);
    int code = 0;
    while (!k->lua_ended && code == 0)
        code = pthread_cond_timedwait(&k->work, &k->lock, &until);
    bool ended = k->lua_ended;
    pthread_mutex_unlock(&k->lock);
    if (ended)
        pthread_join(k->lua, NULL);
    return ended;
}
