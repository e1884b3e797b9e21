/* verify.c -- `cleave verify`: the command of a report's ledger as a `cleave run` of
 * its own, in the folder it was given in and with the same instruction set, and its
 * values against the claimed intervals. Only `cleave run` is ever started, whatever
 * the report says. */
#include <errno.h>
#include <limits.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/kern.h"
#include "base/mem.h"
#include "lab/fingerprint.h"
#include "lab/jval.h"
#include "lab/ledger.h"
#include "ui/child.h"
#include "ui/runs.h"

enum { SCRIPT_CAP = 16 << 20, MAX_ARGS = 256, FIXED_ARGS = 9 };

static volatile sig_atomic_t stops;

static void on_signal(int signo)
{
    stops = stops + (signo != SIGCHLD);
}

static void take_signals(void)
{
    static const int watched[] = {SIGINT, SIGTERM, SIGHUP, SIGCHLD};
    struct sigaction take = {.sa_handler = on_signal};
    sigemptyset(&take.sa_mask);
    for (size_t i = 0; i < ARRAY_LEN(watched); i++)
        sigaction(watched[i], &take, NULL);
}

/* --- what to run ------------------------------------------------------------------ */

/* The folder of a file, as an absolute path. */
static bool folder_of(const char *path, char dst[PATH_MAX], Err *err)
{
    char full[PATH_MAX];
    if (!realpath(path, full))
        return err_set(err, ERR_OPTION, "cannot open '%s': %s", path, strerror(errno));
    char *slash = strrchr(full, '/');
    *(slash == full ? slash + 1 : slash) = '\0';
    return text_copy(dst, PATH_MAX, full);
}

static bool has_mark(const char *path, const char *mark)
{
    char *text, hex[17];
    size_t n;
    if (!file_read_all(path, SCRIPT_CAP, &text, &n, NULL))
        return false;
    fingerprint_hex(fingerprint(text, n, 0), hex);
    mem_free(text);
    return strcmp(hex, mark) == 0;
}

/* The script as it was: where the report says, else the copy beside the report. */
static bool find_script(const json_t *run, const char *cwd, const char *folder,
                        char dst[PATH_MAX], Err *err)
{
    const char *script = jval_get(run, "script", ""), *mark = jval_get(run, "mark", "");
    if (script[0] == '/' ? text_copy(dst, PATH_MAX, script)
                         : cwd && path_join(dst, PATH_MAX, cwd, script, NULL)) {
        if (has_mark(dst, mark))
            return true;
    }
    if (path_join(dst, PATH_MAX, folder, "script.lua", NULL) && has_mark(dst, mark))
        return true;
    return err_set(
        err, ERR_OPTION,
        "'%.500s' is not the script of this report any more, and '%.500s' holds "
        "no copy of it",
        script, folder);
}

typedef struct Job {
    const json_t *run;
    const char *cwd; /* NULL: it is gone; run here */
    char script[PATH_MAX], runs[PATH_MAX];
    bool keep;
    Child child;
} Job;

static bool start(Job *j, Err *err)
{
    char *argv[MAX_ARGS + FIXED_ARGS + 1], threads[24];
    const json_t *given = json_object_get(j->run, "argv");
    const char *isa = jval_get(j->run, "isa", "");
    size_t n = 0;
    if (isa[0] && !isa_force(isa)) {
        fprintf(stderr, "cleave: this machine has no %s; using %s\n", isa, isa_name());
        isa = "";
    }
    snprintf(threads, sizeof threads, "%lld",
             (long long)jval_get_int(j->run, "threads", 0));
    const char *fixed[] = {"cleave", "run",    "--threads", threads, "--isa",
                           isa,      "--runs", j->runs,     "--"};
    _Static_assert(ARRAY_LEN(fixed) == FIXED_ARGS, "room for the arguments");
    for (size_t i = 0; i < FIXED_ARGS; i++)
        argv[n++] = (char *)fixed[i];
    argv[n++] = j->script;
    for (size_t i = 3; i < json_array_size(given) && n < MAX_ARGS + FIXED_ARGS; i++)
        argv[n++] = (char *)json_string_value(json_array_get(given, i));
    argv[n] = NULL;
    return child_start(&j->child, argv, j->cwd, err);
}

/* Runs it to its end; dir is the new run. */
static Exit run_again(Job *j, char dir[CHILD_LINE], Err *err)
{
    int code = 0, passed = 0;
    take_signals();
    if (!start(j, err))
        return EXIT_BROKEN;
    while (!child_ended(&j->child, &code)) {
        struct pollfd fd[2];
        int n = child_poll(&j->child, fd);
        poll(fd, (nfds_t)n, n > 0 ? 500 : 20);
        child_read(&j->child);
        if (stops > passed) {
            passed = stops;
            child_signal(&j->child, SIGINT);
        }
    }
    child_last_line(&j->child, dir);
    if (code == 0)
        return EXIT_OK;
    char said[CHILD_LINE];
    child_complaint(&j->child, said);
    err_set(err, ERR_STATE, passed ? "stopped" : "the run failed: %.900s", said);
    return passed                                      ? EXIT_STOPPED
           : code == EXIT_SCRIPT || code == EXIT_USAGE ? EXIT_SCRIPT
                                                       : EXIT_BROKEN;
}

/* A folder for the new run: the one asked for, or a temporary one. */
static bool make_place(Job *j, const VerifyOptions *o, Err *err)
{
    const char *tmp = getenv("TMPDIR");
    char cwd[PATH_MAX];
    j->keep = o->runs[0] != '\0';
    if (!j->keep) {
        snprintf(j->runs, sizeof j->runs, "%.4000s/cleave-verify-XXXXXX",
                 tmp && tmp[0] == '/' ? tmp : "/tmp");
        return mkdtemp(j->runs) ||
               err_set(err, ERR_IO, "cannot make the folder '%s': %s", j->runs,
                       strerror(errno));
    }
    if (o->runs[0] == '/')
        return text_copy(j->runs, sizeof j->runs, o->runs);
    return getcwd(cwd, sizeof cwd) &&
           path_join(j->runs, sizeof j->runs, cwd, o->runs, err);
}

/* Values by key from a new run. */
static Exit fresh_values(const json_t *ledger, const char *folder,
                         const VerifyOptions *o, json_t **values, Err *err)
{
    char dir[CHILD_LINE];
    Job *j = mem_zalloc(sizeof *j, err);
    if (!j)
        return EXIT_BROKEN;
    j->run = json_object_get(ledger, "run");
    j->cwd = jval_get(j->run, "cwd", NULL);
    if (j->cwd && !file_is_dir(j->cwd))
        j->cwd = NULL;
    Exit code = EXIT_USAGE;
    if (find_script(j->run, j->cwd, folder, j->script, err) && make_place(j, o, err)) {
        code = run_again(j, dir, err);
        if (code == EXIT_OK && !(*values = ledger_values(dir, err)))
            code = EXIT_BROKEN;
        if (j->keep && code == EXIT_OK)
            printf("%s\n\n", dir);
        if (!j->keep)
            runs_remove_tree(j->runs);
    }
    mem_free(j);
    return code;
}

/* --- judging ---------------------------------------------------------------------- */

static const char *judge(const json_t *claim, const json_t *found)
{
    double v = jval_to_number(found, NAN);
    double lo = jval_to_number(json_object_get(claim, "lo"), NAN);
    double hi = jval_to_number(json_object_get(claim, "hi"), NAN);
    return !found ? "missing" : lo <= v && v <= hi ? "holds" : "FAILS";
}

static bool add_number(Listing *s, const json_t *v, bool flag, Err *err)
{
    char text[32] = "";
    double number = jval_to_number(v, NAN);
    if (v && flag)
        snprintf(text, sizeof text, "%s", number != 0 ? "true" : "false");
    else if (v)
        snprintf(text, sizeof text, "%.6g", number);
    return listing_cell(s, text, err);
}

static bool show_claims(const json_t *claims, const json_t *values, size_t *bad,
                        const PrintStyle *style, Err *err)
{
    static const char *const heads[] = {"", "claimed", "from", "to", "found", "claim"};
    Listing s = {0};
    size_t i;
    json_t *c;
    bool ok = true;
    char caption[80];
    *bad = 0;
    for (size_t k = 0; ok && k < ARRAY_LEN(heads); k++)
        ok = listing_column(&s, heads[k], err);
    json_array_foreach(claims, i, c)
    {
        const json_t *found = json_object_get(values, jval_get(c, "key", ""));
        const char *verdict = judge(c, found);
        bool flag = json_is_true(json_object_get(c, "flag"));
        *bad += strcmp(verdict, "holds") != 0;
        ok = ok && listing_cell(&s, verdict, err) &&
             add_number(&s, json_object_get(c, "value"), flag, err) &&
             add_number(&s, flag ? NULL : json_object_get(c, "lo"), flag, err) &&
             add_number(&s, flag ? NULL : json_object_get(c, "hi"), flag, err) &&
             add_number(&s, found, flag, err) &&
             listing_cell(&s, jval_get(c, "text", ""), err);
    }
    snprintf(caption, sizeof caption, "%zu of %zu claims hold",
             json_array_size(claims) - *bad, json_array_size(claims));
    ok = ok && listing_show(&s, NULL, caption, style, err);
    listing_done(&s);
    return ok;
}

Exit command_verify(const Operands *ops, const void *config)
{
    const VerifyOptions *o = config;
    Err err = {0};
    PrintStyle style;
    char folder[PATH_MAX];
    json_t *values = NULL, *ledger = NULL;
    size_t bad = 0;
    bool shown = false;
    Exit code = EXIT_USAGE;
    if (style_detect(o->level, (int)o->width, &style, &err) &&
        folder_of(ops->item[0], folder, &err))
        ledger = ledger_read(ops->item[0], &err);
    if (ledger && o->quick) {
        values = ledger_values(folder, &err);
        code = EXIT_BROKEN;
    } else if (ledger) {
        code = fresh_values(ledger, folder, o, &values, &err);
    }
    bool ok =
        values && ledger_shown(ops->item[0], ledger, &shown, &err) &&
        show_claims(json_object_get(ledger, "claims"), values, &bad, &style, &err) &&
        show_end(&err);
    if (ok && !shown)
        fprintf(stderr,
                "cleave: the table of claims in '%s' was edited: it is not that "
                "of the ledger below it, which was verified\n",
                ops->item[0]);
    json_decref(values);
    json_decref(ledger);
    if (ok)
        return bad || !shown ? EXIT_SCRIPT : EXIT_OK;
    return command_fail(values ? EXIT_BROKEN : code, "%s", err.msg);
}
