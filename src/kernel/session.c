/* session.c -- a session from its start to its end. The journal is the memory of the
 * document: a new kernel reads it, so nothing that was edited is lost with the old one;
 * the file on disk comes in where the journal has nothing newer. */
#include "kernel/session.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/kern.h"
#include "base/mem.h"
#include "kernel/compact.h"
#include "kernel/document_int.h"
#include "kernel/session_int.h"
#include "kernel/version.h"
#include "lab/jval.h"
#include "tensor/blas.h"
#include "tensor/pool.h"

enum { FILE_MAX = 64 << 20, READ_TRIES = 200 };
#define STOP_SECONDS 3.0

/* --- events ----------------------------------------------------------------------- */

bool session_emit(Session *k, const char *kind, json_t *taken_body, Err *err)
{
    if (!taken_body)
        return err_set(err, ERR_MEMORY, "out of memory while a change was recorded");
    json_t *body = taken_body;
    bool ok = journal_event(k->journal, kind, json_deep_copy(body), err) &&
              (jval_set(body, "ev", json_string(kind)) ||
               err_set(err, ERR_MEMORY, "out of memory while a change was recorded")) &&
              document_apply(k->doc, body, err);
    json_decref(body);
    return ok;
}

/* The event that takes a change back, made before the change. */
static json_t *inverse_of(const Document *d, const char *kind, const json_t *body)
{
    int id = (int)jval_get_int(body, "cell", 0), i = document_index(d, id);
    const Cell *c = i >= 0 ? d->cell[i] : NULL;
    int after = i > 0 ? d->cell[i - 1]->id : 0;
    if (strcmp(kind, "insert") == 0)
        return json_pack("{s:s,s:i}", "ev", "delete", "cell", id);
    if (strcmp(kind, "doc") == 0) {
        json_t *o = document_to_json(d);
        jval_set(o, "ev", json_string("doc"));
        json_object_del(o, "hash");
        return o;
    }
    if (!c)
        return NULL;
    if (strcmp(kind, "text") == 0)
        return json_pack("{s:s,s:i,s:o}", "ev", "text", "cell", id, "text",
                         jval_str(c->text));
    if (strcmp(kind, "move") == 0)
        return json_pack("{s:s,s:i,s:i}", "ev", "move", "cell", id, "after", after);
    if (strcmp(kind, "type") == 0)
        return json_pack("{s:s,s:i,s:s,s:o}", "ev", "type", "cell", id, "type",
                         cell_type_name(c->type), "title", jval_str(c->title));
    if (strcmp(kind, "delete") == 0) {
        json_t *o = cell_to_json(c);
        jval_set(o, "ev", json_string("insert"));
        jval_set(o, "cell", json_integer(id));
        jval_set(o, "after", json_integer(after));
        return o;
    }
    return NULL;
}

bool session_change(Session *k, const char *kind, json_t *taken_body, Err *err)
{
    json_t *back = taken_body ? inverse_of(k->doc, kind, taken_body) : NULL;
    if (taken_body)
        jval_set(taken_body, "rev", json_integer(k->doc->rev + 1));
    if (!session_emit(k, kind, taken_body, err)) {
        json_decref(back);
        return false;
    }
    if (back && json_array_append_new(k->undo, back) == 0 &&
        json_array_size(k->undo) > UNDO_MAX)
        json_array_remove(k->undo, 0);
    return true;
}

bool session_undo(Session *k, bool *any, Err *err)
{
    size_t n = json_array_size(k->undo);
    *any = n > 0;
    if (n == 0)
        return true;
    json_t *back = json_incref(json_array_get(k->undo, n - 1));
    json_array_remove(k->undo, n - 1);
    char kind[16];
    text_copy(kind, sizeof kind, jval_get(back, "ev", ""));
    json_object_del(back, "ev");
    jval_set(back, "rev", json_integer(k->doc->rev + 1));
    return session_emit(k, kind, back, err);
}

bool session_cancel(Session *k, const char *why, Err *err)
{
    json_t *body = json_pack("{s:[]}", "cells");
    if (why)
        jval_set(body, "why", jval_str(why));
    return session_emit(k, "queue", body, err);
}

/* --- the file --------------------------------------------------------------------- */

/* The file's bytes and their hash; no file is no bytes and the hash "". */
static bool read_notebook(const Session *k, char **text, size_t *n, char hash[17],
                          Err *err)
{
    Err why = {0};
    *text = NULL;
    *n = 0;
    hash[0] = '\0';
    if (!file_exists(k->place.file))
        return true;
    /* an interrupt of the running cell also ends reads; ours is to be repeated */
    for (int i = 0; !file_read_all(k->place.file, FILE_MAX, text, n, &why); i++) {
        if (why.code != ERR_INTERRUPT || i == READ_TRIES) {
            if (err)
                *err = why;
            return false;
        }
        struct timespec pause = {.tv_nsec = 10000000};
        nanosleep(&pause, NULL);
    }
    document_hash(*text, *n, hash);
    return true;
}

bool session_look_at_disk(Session *k, char hash[17], Err *err)
{
    char *text;
    size_t n;
    if (!read_notebook(k, &text, &n, hash, err))
        return false;
    mem_free(text);
    const char *saved = k->doc->saved_hash ? k->doc->saved_hash : "";
    const char *state = strcmp(hash, saved) == 0 ? "same"
                        : hash[0]                ? "changed"
                                                 : "gone";
    if (strcmp(state, k->doc->disk) == 0)
        return true;
    return session_emit(k, "disk", json_pack("{s:s}", "state", state), err);
}

/* What earlier kernels recorded. */
static bool replay(Session *k, Err *err)
{
    bool more, ok = true;
    json_t *ev;
    JournalReader *r = jreader_open(k->place.dir, err);
    if (!r)
        return false;
    while (ok && ((ev = jreader_next(r, &more, NULL)) || more)) {
        Err why = {0};
        if (ev && !document_apply(k->doc, ev, &why) && why.code == ERR_MEMORY)
            ok = err_set(err, ERR_MEMORY, "%s", why.msg);
        json_decref(ev);
    }
    jreader_close(r);
    return ok;
}

static bool take_drafts(Session *k, Err *err)
{
    bool ok = true;
    for (int i = 0; ok && i < k->doc->n; i++) {
        const Cell *c = k->doc->cell[i];
        if (c->draft)
            ok = session_change(
                k, "text",
                json_pack("{s:i,s:o}", "cell", c->id, "text", jval_str(c->draft)), err);
    }
    return ok;
}

static bool first_document(Session *k, const char *text, size_t n, Err *err)
{
    Document *d = document_new(err);
    bool ok = d && document_load(d, text ? text : "", n, err);
    if (ok && !text)
        mem_free(d->saved_hash), d->saved_hash = NULL;
    ok = ok && session_emit(k, "doc", document_to_json(d), err);
    document_free(d);
    return ok;
}

/* The document that the session begins with: the journal's where it has edits that no
 * file holds, else the file's. */
static bool begin_document(Session *k, Err *err)
{
    char *text, hash[17];
    size_t n;
    if (!read_notebook(k, &text, &n, hash, err))
        return false;
    bool drafts = false, ok = true;
    for (int i = 0; i < k->doc->n; i++)
        drafts = drafts || k->doc->cell[i]->draft;
    bool newer = drafts || document_dirty(k->doc);
    const char *saved = k->doc->saved_hash ? k->doc->saved_hash : "";
    if (k->doc->n == 0)
        ok = first_document(k, text, n, err);
    else if (!newer && hash[0] && strcmp(hash, saved) != 0)
        ok = session_emit(k, "doc", document_reload(k->doc, text, n, err), err);
    else
        ok = session_look_at_disk(k, hash, err);
    mem_free(text);
    return ok && take_drafts(k, err);
}

/* --- starting --------------------------------------------------------------------- */

static Session *the_session; /* for the signal handler */

static void on_end(int signo)
{
    (void)signo;
    if (the_session) {
        the_session->ending = true;
        session_wake(the_session);
    }
}

/* The way back for a session whose socket somebody removed. */
static void on_relisten(int signo)
{
    (void)signo;
    if (the_session) {
        the_session->relisten = true;
        session_wake(the_session);
    }
}

void session_wake(Session *k)
{
    int saved = errno;
    uint64_t one = 1;
    (void)!write(k->wake_fd, &one, sizeof one);
    errno = saved;
}

static void take_signals(Session *k)
{
    struct sigaction end = {.sa_handler = on_end, .sa_flags = SA_RESTART};
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    struct sigaction again = {.sa_handler = on_relisten, .sa_flags = SA_RESTART};
    the_session = k;
    sigemptyset(&end.sa_mask);
    sigaction(SIGUSR1, &again, NULL);
    sigaction(SIGTERM, &end, NULL);
    sigaction(SIGINT, &ignore, NULL);
    sigaction(SIGHUP, &ignore, NULL);
    sigaction(SIGPIPE, &ignore, NULL);
    sigaction(SIGXFSZ, &ignore, NULL);
}

/* A kernel on another machine that shares the folder. A session at rest has no
 * heartbeat, so only that machine can tell whether it lives. */
static bool lives_elsewhere(const Session *k, Err *err)
{
    char path[PATH_MAX], here[256] = "";
    if (!path_join(path, sizeof path, k->place.dir, "run.json", NULL) ||
        !file_exists(path))
        return false;
    json_t *o = jval_read_file(path, FILE_MAX, NULL);
    const char *host = jval_get(o, "host", "");
    gethostname(here, sizeof here - 1);
    bool elsewhere = o && strcmp(jval_get(o, "state", ""), "running") == 0 && host[0] &&
                     strcmp(host, here) != 0;
    if (elsewhere)
        err_set(err, ERR_IO,
                "a kernel for '%s' was started on %s and did not end: attach there, or "
                "remove '%s' if that machine is gone",
                k->place.file, host, path);
    json_decref(o);
    return elsewhere;
}

bool session_describe(const Session *k, Run *r, Err *err)
{
    char cwd[PATH_MAX];
    return run_set(r, "version", json_string(CLEAVE_VERSION), err) &&
           run_set(r, "script", jval_str(k->place.file), err) &&
           run_set(r, "cwd", jval_str(getcwd(cwd, sizeof cwd) ? cwd : ""), err) &&
           run_set(r, "isa", json_string(isa_name()), err) &&
           run_set(r, "threads", json_integer(pool_threads()), err) &&
           run_set(r, "blas_core", jval_str(blas_core()), err) &&
           run_set(r, "blas_version", jval_str(blas_version()), err) &&
           run_set(r, "memory_budget", json_integer((json_int_t)mem_budget()), err);
}

static void stop_running(void)
{
    if (the_session && the_session->script)
        script_interrupt(the_session->script);
}

static bool open_session(Session *k, const SessionArgs *a, Err *err)
{
    if (!session_place(a->file, &k->place, err))
        return false;
    k->lock_fd = session_lock(&k->place, err);
    if (k->lock_fd < 0 || lives_elsewhere(k, err))
        return false;
    k->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (k->wake_fd < 0)
        return err_set(err, ERR_IO, "cannot make an eventfd: %s", strerror(errno));
    k->doc = document_new(err);
    k->undo = json_array();
    if (!k->doc || !k->undo || !journal_compact(k->place.dir, COMPACT_AT, err) ||
        !replay(k, err))
        return false;
    k->run = run_open(k->place.dir, err);
    if (!k->run)
        return false;
    k->journal = run_journal(k->run);
    journal_capture_std(k->journal);
    k->started = clock_wall();
    return run_set(k->run, "kind", json_string("session"), err) &&
           session_describe(k, k->run, err) && run_save(k->run, err) &&
           session_emit(k, "state", json_pack("{s:s}", "state", "running"), err) &&
           session_emit(k, "kernel",
                        json_pack("{s:i,s:s,s:s}", "pid", (int)getpid(), "version",
                                  CLEAVE_VERSION, "why", "start"),
                        err) &&
           begin_document(k, err) && server_open(k, err) &&
           session_write_record(&k->place, err);
}

static bool start_threads(Session *k, Err *err)
{
    k->ticker = ticker_start(k->run, stop_running, err);
    if (!k->ticker)
        return false;
    ticker_rest(k->ticker, true);
    return runner_start(k, err);
}

static void tell_ready(int fd, const char *text)
{
    if (fd < 0)
        return;
    (void)!write(fd, text, strlen(text));
    close(fd);
}

/* --- ending ----------------------------------------------------------------------- */

static Exit end_session(Session *k)
{
    Err err = {0};
    bool again = k->again;
    server_close(k);
    if (again) {
        /* a stuck thread cannot be joined; the journal has everything */
        journal_event(k->journal, "state",
                      json_pack("{s:s,s:s}", "state", "killed", "why",
                                "the kernel was killed on request"),
                      NULL);
        _exit(EXIT_AGAIN);
    }
    unlink(k->place.record);
    pthread_mutex_lock(&k->lock);
    take_drafts(k, NULL);
    pthread_mutex_unlock(&k->lock);
    bool stuck = !runner_stop(k, STOP_SECONDS);
    ticker_stop(k->ticker);
    bool ok = run_finish(k->run, "done", NULL, &err);
    if (stuck)
        _exit(ok ? EXIT_OK : EXIT_BROKEN);
    run_close(k->run);
    return ok ? EXIT_OK : EXIT_BROKEN;
}

Exit session_run(const SessionArgs *a)
{
    static Session session;
    Session *k = &session;
    Err err = {0};
    k->lock_fd = k->wake_fd = k->listen_fd = k->notify_fd = -1;
    k->stop_on_error = true;
    k->next_viewer = 1;
    k->idle_seconds = a->idle_seconds;
    k->lonely_since = clock_now();
    pthread_mutex_init(&k->lock, NULL);
    pthread_cond_init(&k->work, NULL);
    setvbuf(stdout, NULL, _IOLBF, 0);
    take_signals(k);
    if (!open_session(k, a, &err) || !start_threads(k, &err)) {
        bool taken = k->lock_fd < 0 && err.code == ERR_STATE;
        tell_ready(a->ready_fd, taken ? "taken" : err.msg);
        if (k->run)
            run_finish(k->run, "failed", NULL, NULL);
        return k->lock_fd < 0 ? EXIT_USAGE : EXIT_BROKEN;
    }
    tell_ready(a->ready_fd, "ok");
    server_loop(k);
    return end_session(k);
}

/* --- the watcher ------------------------------------------------------------------ */

static pid_t start_kernel(const SessionArgs *a, Err *err)
{
    char *argv[32];
    int n = 0;
    pid_t pid;
    for (char **p = a->argv; *p && n < 31; p++) {
        if (a->ready_fd < 0 && strncmp(*p, "--ready=", 8) == 0)
            continue; /* only the first kernel is waited for */
        argv[n++] =
            strcmp(*p, "--watch-session") == 0 ? (char *)"--kernel-session" : *p;
    }
    argv[n] = NULL;
    int code = posix_spawn(&pid, "/proc/self/exe", NULL, NULL, argv, environ);
    if (code == 0)
        return pid;
    err_set(err, ERR_STATE, "cannot start the kernel process: %s", strerror(code));
    return -1;
}

static void note_death(const char *file, int status)
{
    char why[300];
    SessionPlace p;
    if (!session_place(file, &p, NULL))
        return;
    if (WIFSIGNALED(status)) {
        int signo = WTERMSIG(status);
        const char *hint =
            signo == SIGKILL ? ", which the system does when memory runs out" : "";
        snprintf(why, sizeof why, "the kernel was killed by signal %d (%s)%s", signo,
                 strsignal(signo), hint);
    } else {
        snprintf(why, sizeof why, "the kernel ended unexpectedly with status %d",
                 WEXITSTATUS(status));
    }
    run_mark_crashed(p.dir, why, NULL);
}

Exit session_watch(const SessionArgs *a)
{
    Err err = {0};
    SessionArgs args = *a;
    for (;;) {
        int status = 0;
        pid_t pid = start_kernel(&args, &err);
        if (pid < 0) {
            tell_ready(args.ready_fd, err.msg);
            return EXIT_BROKEN;
        }
        if (args.ready_fd >= 0)
            close(args.ready_fd);
        args.ready_fd = -1;
        while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
            ;
        if (WIFEXITED(status) && WEXITSTATUS(status) == EXIT_AGAIN)
            continue;
        bool known = WIFEXITED(status) && (WEXITSTATUS(status) == EXIT_OK ||
                                           WEXITSTATUS(status) == EXIT_USAGE);
        if (!known)
            note_death(args.file, status);
        return WIFEXITED(status) ? (Exit)WEXITSTATUS(status) : EXIT_BROKEN;
    }
}
