/* kernel.c -- one script, its cells in order, one run. Standard output and error become the
 * cell's log, so that whatever a library prints before it aborts is part of the record.
 * The order at the end matters: Lua is closed first (its finalisers may print), then
 * the cell, then run.json. */
#include "kernel/kernel.h"

#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/intr.h"
#include "base/kern.h"
#include "base/mem.h"
#include "base/file.h"
#include "kernel/document.h"
#include "kernel/ticker.h"
#include "kernel/version.h"
#include "lab/jval.h"
#include "lab/ledger.h"
#include "lab/run.h"
#include "script/script.h"
#include "tensor/blas.h"
#include "tensor/pool.h"

enum { MAIN_CELL = 1, SCRIPT_MAX = 16 << 20 };

static Script *_Atomic running; /* what a signal interrupts */
static atomic_bool asked;       /* to stop, perhaps before there was a script */
static int first_stderr = -1;

static void stop_running(void)
{
    Script *s = atomic_load(&running);
    atomic_store(&asked, true);
    intr_raise();
    if (s)
        script_interrupt(s);
}

static void on_signal(int signo)
{
    (void)signo;
    stop_running();
}

static void take_signals(void)
{
    struct sigaction stop = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    sigset_t taken;
    sigemptyset(&taken);
    sigaddset(&taken, SIGINT);
    sigaddset(&taken, SIGTERM);
    sigemptyset(&stop.sa_mask);
    sigaction(SIGINT, &stop, NULL);
    sigaction(SIGTERM, &stop, NULL);
    sigaction(SIGHUP, &ignore, NULL);
    sigaction(SIGPIPE, &ignore, NULL);
    sigaction(SIGXFSZ, &ignore, NULL);
    sigprocmask(SIG_UNBLOCK, &taken, NULL); /* the parent started us with them blocked */
}

static void ignore_signals(void)
{
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    sigemptyset(&ignore.sa_mask);
    sigaction(SIGINT, &ignore, NULL);
    sigaction(SIGTERM, &ignore, NULL);
    intr_clear();
}

/* The last resort: the error stream the process was born with. */
static Exit broken(const Err *err)
{
    dprintf(first_stderr >= 0 ? first_stderr : STDERR_FILENO, "cleave: %s\n", err->msg);
    return EXIT_BROKEN;
}

/* What to type to get this run again; threads and instruction set are beside it. */
static json_t *command_line(const KernelArgs *a)
{
    json_t *list = json_pack("[s,s,o]", "cleave", "run", jval_str(a->script));
    for (int i = 0; list && i < a->n_settings; i++)
        json_array_append_new(list, jval_str(a->settings[i]));
    return list;
}

static json_t *settings_of(const KernelArgs *a)
{
    json_t *o = json_object();
    for (int i = 0; o && i < a->n_settings; i++) {
        const char *eq = strchr(a->settings[i], '=');
        json_t *name = jval_text(a->settings[i], (size_t)(eq - a->settings[i]));
        if (name)
            jval_set(o, json_string_value(name), jval_str(eq + 1));
        json_decref(name);
    }
    return o;
}

/* A point of a sweep: "<mark of the sweep>:<mark of the point>", from who started it. */
static bool note_sweep(Run *r, Err *err)
{
    const char *both = getenv("CLEAVE_SWEEP"), *colon = both ? strchr(both, ':') : NULL;
    return !colon || (run_set(r, "sweep", jval_text(both, (size_t)(colon - both)), err) &&
                      run_set(r, "point", jval_str(colon + 1), err));
}

/* What somebody needs to repeat the run. */
static bool describe(Run *r, const KernelArgs *a, Err *err)
{
    char cwd[4096];
    return run_set(r, "version", json_string(CLEAVE_VERSION), err) &&
           run_set(r, "script", jval_str(a->script), err) &&
           run_set(r, "argv", command_line(a), err) &&
           run_set(r, "cwd", jval_str(getcwd(cwd, sizeof cwd) ? cwd : ""), err) &&
           run_set(r, "settings", settings_of(a), err) &&
           run_set(r, "isa", json_string(isa_name()), err) &&
           run_set(r, "threads", json_integer(pool_threads()), err) &&
           run_set(r, "blas_core", jval_str(blas_core()), err) &&
           run_set(r, "blas_version", jval_str(blas_version()), err) &&
           run_set(r, "memory_budget", json_integer((json_int_t)mem_budget()), err);
}

static bool account(Run *r, Err *err)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    double user = (double)u.ru_utime.tv_sec + 1e-6 * (double)u.ru_utime.tv_usec;
    double sys = (double)u.ru_stime.tv_sec + 1e-6 * (double)u.ru_stime.tv_usec;
    return run_set(r, "peak_memory", json_integer((json_int_t)mem_peak()), err) &&
           run_set(r, "max_rss", json_integer((json_int_t)u.ru_maxrss * 1024), err) &&
           run_set(r, "user_seconds", json_real(user), err) &&
           run_set(r, "system_seconds", json_real(sys), err);
}

static bool give_settings(Script *s, const KernelArgs *a, Err *err)
{
    char name[128];
    for (int i = 0; i < a->n_settings; i++) {
        const char *eq = strchr(a->settings[i], '=');
        size_t n = (size_t)(eq - a->settings[i]);
        if (n >= sizeof name)
            return err_set(err, ERR_OPTION,
                           "a setting's name has more than 127 letters");
        memcpy(name, a->settings[i], n);
        name[n] = '\0';
        if (!script_set(s, name, eq + 1, err))
            return false;
    }
    return true;
}

/* The sentence is in run.json too: a list of runs tells why one failed. */
static bool record_error(Run *r, int cell, const char *msg, const char *trace, Err *err)
{
    Journal *j = run_journal(r);
    run_set(r, "why", jval_str(msg), NULL);
    json_t *b = json_pack("{s:i,s:o,s:o}", "cell", cell, "msg", jval_str(msg),
                          "trace", jval_str(trace));
    return journal_event(j, "error", b, err);
}

static const struct {
    const char *state;
    Exit code;
} outcome[] = {
    [SCRIPT_DONE] = {"done", EXIT_OK},
    [SCRIPT_FAILED] = {"failed", EXIT_SCRIPT},
    [SCRIPT_STOPPED] = {"stopped", EXIT_STOPPED},
    [SCRIPT_USAGE] = {"failed", EXIT_USAGE},
};

/* One cell as a part of the file: its lines keep the file's numbers. */
static ScriptEnd run_cell(Script *s, const Document *d, int i, int before,
                          const char *chunk, json_t **result, Err *why)
{
    Str text;
    str_init(&text);
    for (int k = 0; k < before && d->n > 1; k++)
        str_addc(&text, '\n');
    bool ok = cell_source(d->cell[i], &text, why);
    ScriptEnd end = SCRIPT_FAILED;
    if (ok && d->n > 1)
        end = script_run_cell(s, text.s, text.len, chunk, result, why);
    else if (ok)
        end = script_run_text(s, text.s, text.len, chunk, result, why);
    str_done(&text);
    return end;
}

/* All code cells in order, each with an entry of its own in the journal; a file without
 * markers is one cell. *err is a failure to record. */
static ScriptEnd run_cells(Run *r, Script *s, const Document *d, const int *before,
                           const char *chunk, json_t **result, Err *why, Err *err)
{
    Journal *j = run_journal(r);
    ScriptEnd end = SCRIPT_DONE;
    char line[64];
    bool ok = true;
    for (int i = 0; i < d->n && ok && end == SCRIPT_DONE; i++) {
        if (d->cell[i]->type != CELL_CODE)
            continue;
        if (atomic_load(&asked)) /* between two cells, when nothing was running */
            return SCRIPT_STOPPED;
        double start = clock_now();
        cell_headline(d->cell[i], line, sizeof line);
        ok = journal_begin_cell(j, d->cell[i]->id, line, err);
        json_decref(*result);
        *result = NULL;
        if (ok)
            end = run_cell(s, d, i, before[i], chunk, result, why);
        if (end == SCRIPT_FAILED || end == SCRIPT_USAGE)
            record_error(r, d->cell[i]->id, why->msg,
                         end == SCRIPT_USAGE ? "" : script_trace(s), err);
        fflush(stdout);
        ok = ok && journal_end_cell(j, outcome[end].state, clock_now() - start, err);
    }
    if (!ok || end != SCRIPT_DONE || script_settings_taken(s, why))
        return end;
    record_error(r, MAIN_CELL, why->msg, "", err);
    return SCRIPT_USAGE;
}

/* A run that the script began by cl.run(), beside its own, which has everything. */
typedef struct Part {
    Run *whole, *run; /* run: NULL, none yet */
    const KernelArgs *args;
    const char *text;
    size_t n;
} Part;

static void end_part(Part *p, const char *state)
{
    if (!p->run)
        return;
    run_tell(p->whole, NULL);
    run_finish(p->run, state, NULL, NULL);
    if (strcmp(state, "done") == 0)
        ledger_write(run_dir(p->run), NULL);
    run_close(p->run);
    p->run = NULL;
}

static bool begin_part(void *ctx, const char *name, const json_t *settings, char *dst,
                       size_t cap, Err *err)
{
    Part *p = ctx;
    char root[4096];
    const char *script = p->args->script;
    end_part(p, "done");
    text_copy(root, sizeof root, p->args->dir);
    char *slash = strrchr(root, '/');
    if (slash)
        *slash = '\0';
    else
        text_copy(root, sizeof root, ".");
    if (!run_make_dir_of(root, name[0] ? name : script, p->text, p->n, dst, cap, err))
        return false;
    p->run = run_open(dst, err);
    if (!p->run)
        return false;
    bool ok = describe(p->run, p->args, err) &&
              run_set(p->run, "part_of", jval_str(slash ? slash + 1 : p->args->dir), err);
    run_tell(p->whole, p->run);
    return ok && run_add(p->run, "settings", settings, err) && run_save(p->run, err);
}

/* Runs the script and records how it ended; *err is a failure to record. */
static ScriptEnd run_script(Run *r, const KernelArgs *a, json_t **result, Err *err)
{
    Err why = {0};
    ScriptEnd end = SCRIPT_FAILED;
    char *text = NULL;
    size_t n;
    int *before = NULL;
    char copy[4096]; /* the parent's: the original may have been a pipe, or changed since */
    Str chunk, whole;
    str_init(&chunk);
    str_init(&whole);
    str_addf(&chunk, "@%s", a->script);
    Document *d = document_new(&why);
    Script *s = script_new(r, &why);
    bool ready = d && s && give_settings(s, a, &why) &&
                 path_join(copy, sizeof copy, a->dir, "script.lua", &why) &&
                 file_read_all(copy, SCRIPT_MAX, &text, &n, &why) &&
                 document_load(d, text, n, &why) && str_ok(&chunk, &why) &&
                 (before = mem_array((size_t)d->n, sizeof *before, &why)) &&
                 document_lines(d, &whole, before, &why);
    if (ready) {
        Part part = {.whole = r, .args = a, .text = text, .n = n};
        script_on_run(s, begin_part, &part);
        atomic_store(&running, s);
        end = run_cells(r, s, d, before, chunk.s, result, &why, err);
        atomic_store(&running, NULL);
        end_part(&part, outcome[end].state);
    } else if (why.code == ERR_INTERRUPT) {
        end = SCRIPT_STOPPED;
    } else {
        record_error(r, MAIN_CELL, why.msg, "", err);
    }
    script_free(s);
    document_free(d);
    mem_free(text);
    mem_free(before);
    str_done(&chunk);
    str_done(&whole);
    fflush(stdout);
    return end;
}

static Exit run_and_record(Run *r, const KernelArgs *a)
{
    Err err = {0};
    Journal *j = run_journal(r);
    json_t *result = NULL;
    journal_capture_std(j);
    if (!describe(r, a, &err) || !note_sweep(r, &err))
        return broken(&err);
    Ticker *ticker = ticker_start(r, stop_running, &err);
    if (!ticker)
        return broken(&err);
    ScriptEnd end = run_script(r, a, &result, &err);
    ticker_stop(ticker);
    ignore_signals(); /* what follows must not be cut short by one */
    bool ok = err.code == ERR_NONE && journal_healthy(j, &err) && account(r, &err);
    /* a record with a hole must not read as done; where the disk is full even this
     * fails, and the parent marks the run as crashed */
    ok = run_finish(r, ok ? outcome[end].state : "failed", result, ok ? &err : NULL) &&
         ok;
    if (ok && end == SCRIPT_DONE)
        ok = ledger_write(a->dir, &err);
    return ok ? outcome[end].code : broken(&err);
}

Exit kernel_run(const KernelArgs *a)
{
    Err err = {0};
    take_signals();
    first_stderr = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
    setvbuf(stdout, NULL, _IOLBF, 0);
    Run *r = run_open(a->dir, &err);
    if (!r)
        return broken(&err);
    Exit code = run_and_record(r, a);
    run_close(r);
    return code;
}
