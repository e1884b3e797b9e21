/* run.c -- `cleave run`: a thin parent that starts the kernel in a session of its own,
 * follows its journal and passes interrupts on. Signals reach the loop through a pipe,
 * because a library's thread may be the one that receives them. The kernel is made by
 * posix_spawn (fork and exec in one), so no library's fork handlers run. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "lab/run.h"
#include "ui/command.h"
#include "ui/printer.h"
#include "ui/runs.h"
#include "ui/scripts.h"

#define PATIENCE 5.0 /* seconds a kernel gets to react to an interrupt */

static int wake_pipe[2] = {-1, -1};

static void on_signal(int signo)
{
    int saved = errno;
    char c = (char)signo;
    (void)!write(wake_pipe[1], &c, 1); /* a full pipe already wakes the loop */
    errno = saved;
}

static bool take_signals(Err *err)
{
    static const int watched[] = {SIGINT, SIGTERM, SIGHUP, SIGCHLD, SIGWINCH};
    if (pipe2(wake_pipe, O_CLOEXEC | O_NONBLOCK) != 0)
        return err_set(err, ERR_IO, "cannot make a pipe: %s", strerror(errno));
    struct sigaction take = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    sigemptyset(&take.sa_mask);
    for (size_t i = 0; i < ARRAY_LEN(watched); i++)
        sigaction(watched[i], &take, NULL);
    return true;
}

/* --- starting the kernel ---------------------------------------------------------- */

static void drop_argv(char **argv)
{
    for (char **p = argv; p && *p; p++)
        mem_free(*p);
    mem_free(argv);
}

/* cleave --kernel-run --threads N --isa X --mem M -- DIR script name=value ... */
static char **kernel_argv(const char *dir, const Operands *ops, const CoreOptions *core,
                          Err *err)
{
    char threads[40];
    snprintf(threads, sizeof threads, "--threads=%lld", (long long)core->threads);
    const char *fixed[] = {"cleave", "--kernel-run", threads, "--isa", core->isa,
                           "--mem",  core->mem,      "--",    dir};
    size_t n = ARRAY_LEN(fixed), at = 0;
    char **argv = mem_array(n + (size_t)ops->n + 1, sizeof *argv, err);
    bool ok = argv != NULL;
    for (size_t i = 0; ok && i < n + (size_t)ops->n; i++) {
        argv[at + 1] = NULL;
        argv[at] = mem_strdup(i < n ? fixed[i] : ops->item[i - n], err);
        ok = argv[at++] != NULL;
    }
    if (ok)
        return argv;
    drop_argv(argv);
    return NULL;
}

static pid_t spawn(char **argv, Err *err)
{
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attr;
    sigset_t dflt, blocked;
    pid_t pid = -1;
    /* products are cut and spread by the program's own pool, so the library needs no
     * threads */
    setenv("OPENBLAS_NUM_THREADS", "1", 0);
    posix_spawn_file_actions_init(&files);
    posix_spawnattr_init(&attr);
    posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    /* an interrupt waits until the kernel can take it */
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGINT);
    sigaddset(&blocked, SIGTERM);
    sigemptyset(&dflt);
    sigaddset(&dflt, SIGINT);
    sigaddset(&dflt, SIGTERM);
    sigaddset(&dflt, SIGCHLD);
    posix_spawnattr_setsigdefault(&attr, &dflt);
    posix_spawnattr_setsigmask(&attr, &blocked);
    posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGDEF |
                                        POSIX_SPAWN_SETSIGMASK);
    int code = posix_spawn(&pid, "/proc/self/exe", &files, &attr, argv, environ);
    posix_spawnattr_destroy(&attr);
    posix_spawn_file_actions_destroy(&files);
    if (code == 0)
        return pid;
    err_set(err, ERR_STATE, "cannot start the kernel process: %s", strerror(code));
    return -1;
}

/* --- following it ----------------------------------------------------------------- */

typedef struct Follow {
    pid_t pid;
    Printer *printer;
    JournalReader *reader;
    double asked_at; /* when the first interrupt was passed on; 0: none was */
    bool offered;    /* the next interrupt kills */
    bool killed;     /* by us, on request */
    bool hung_up;
} Follow;

static void on_interrupt(Follow *f)
{
    if (f->offered) {
        f->killed = true;
        kill(f->pid, SIGKILL);
        return;
    }
    if (f->asked_at == 0)
        printer_remark(f->printer, "stopping ...");
    f->asked_at = f->asked_at > 0 ? f->asked_at : clock_now();
    kill(f->pid, SIGINT);
}

static void offer(Follow *f)
{
    if (f->asked_at == 0 || f->offered || clock_now() - f->asked_at < PATIENCE)
        return;
    f->offered = true;
    printer_remark(f->printer,
                   "the kernel has not reacted for 5 s; press Ctrl-C again to "
                   "kill it (what is written stays)");
}

static void take_wakes(Follow *f)
{
    char c[64];
    ssize_t n;
    while ((n = read(wake_pipe[0], c, sizeof c)) > 0) {
        for (ssize_t i = 0; i < n; i++) {
            if (c[i] == SIGINT || c[i] == SIGTERM)
                on_interrupt(f);
            else if (c[i] == SIGWINCH)
                printer_resize(f->printer);
            else if (c[i] == SIGHUP)
                f->hung_up = true;
        }
    }
}

/* Prints until the kernel has ended; its wait status, or -1 when the terminal hung up.
 */
static int follow(Follow *f)
{
    int status;
    Err err = {0};
    for (;;) {
        take_wakes(f);
        if (f->hung_up)
            return -1;
        pid_t got = waitpid(f->pid, &status, WNOHANG);
        if (!printer_catch_up(f->printer, &err)) {
            printer_remark(f->printer, err.msg);
            err_clear(&err);
        }
        if (got == f->pid)
            break;
        offer(f);
        double wait = 3600;
        if (f->asked_at > 0 && !f->offered)
            wait = f->asked_at + PATIENCE - clock_now();
        jreader_wait(f->reader, wait, wake_pipe[0]);
    }
    printer_end(f->printer);
    return status;
}

/* --- the end ---------------------------------------------------------------------- */

static void say_death(const Follow *f, int status, const char *dir, char *dst,
                      size_t cap)
{
    int signo = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
    const char *hint = "";
    if (f->killed)
        hint = " on request, after it did not react to an interrupt";
    else if (signo == SIGKILL)
        hint = ", which is what the system does when memory runs out";
    if (signo)
        snprintf(dst, cap,
                 "the kernel was killed by signal %d (%s)%s; what it wrote is in %s",
                 signo, strsignal(signo), hint, dir);
    else
        snprintf(dst, cap,
                 "the kernel ended unexpectedly with status %d; what it wrote is in %s",
                 WEXITSTATUS(status), dir);
}

/* Nothing was measured, drawn or printed, and the script has put no file there. */
static bool is_bare(const char *dir)
{
    static const char *const record[] = {".",        "..",        "events.jsonl",
                                         "run.json", "heartbeat", "script.lua"};
    char path[PATH_MAX];
    struct stat st;
    bool bare = true;
    DIR *d = opendir(dir);
    for (struct dirent *e; d && bare && (e = readdir(d));) {
        bool known = false;
        for (size_t i = 0; i < ARRAY_LEN(record); i++)
            known = known || strcmp(e->d_name, record[i]) == 0;
        if (!known)
            bare = (strncmp(e->d_name, "out-", 4) == 0 ||
                    strcmp(e->d_name, "metrics.jsonl") == 0) &&
                   path_join(path, sizeof path, dir, e->d_name, NULL) &&
                   lstat(path, &st) == 0 && st.st_size == 0;
    }
    if (d)
        closedir(d);
    return d && bare;
}

/* From the kernel's end to ours. A run that still says running has died; one that began
 * with a wrong setting and did nothing is no run. */
static Exit conclude(Follow *f, int status, const char *dir)
{
    char why[PATH_MAX + 200], state[16] = "";
    Err err = {0};
    Exit code = WIFEXITED(status) ? (Exit)WEXITSTATUS(status) : EXIT_BROKEN;
    bool finished = WIFEXITED(status) && run_state(dir, state, NULL) &&
                    strcmp(state, "crashed") != 0;
    if (!finished) {
        say_death(f, status, dir, why, sizeof why);
        if (!WIFEXITED(status) || code != EXIT_BROKEN)
            printer_remark(f->printer, why);
        if (!run_mark_crashed(dir, why, &err))
            printer_remark(f->printer, err.msg);
        code = f->killed ? EXIT_STOPPED : EXIT_BROKEN;
    }
    if (code == EXIT_USAGE && is_bare(dir))
        runs_remove_tree(dir);
    else
        printer_line(f->printer, dir);
    return code;
}

static bool is_setting(const char *s)
{
    const char *eq = strchr(s, '=');
    if (!eq || eq == s || (s[0] >= '0' && s[0] <= '9'))
        return false;
    for (; s < eq; s++) {
        bool letter = (*s >= 'a' && *s <= 'z') || (*s >= 'A' && *s <= 'Z') ||
                      (*s >= '0' && *s <= '9') || *s == '_' || *s == '.';
        if (!letter)
            return false;
    }
    return true;
}

/* What can be known to be wrong before anything is started. */
static bool check_operands(const Operands *ops, const RunOptions *o, PrintStyle *style,
                           Err *err)
{
    struct stat st;
    char near[PATH_MAX];
    const char *script = ops->item[0];
    if (stat(script, &st) != 0 || access(script, R_OK) != 0) {
        const char *why = strerror(errno);
        bool other = scripts_find(script, near, sizeof near) && access(near, R_OK) == 0;
        return err_set(err, ERR_OPTION, "cannot open '%s': %s%s%s%s", script, why,
                       other ? "; did you mean '" : "", other ? near : "",
                       other ? "'?" : "");
    }
    if (S_ISDIR(st.st_mode))
        return err_set(err, ERR_OPTION, "'%s' is a folder, not a Lua script", script);
    for (int i = 1; i < ops->n; i++) {
        if (!is_setting(ops->item[i]))
            return err_set(err, ERR_OPTION,
                           "'%s' is no setting; write name=value, such as epochs=3",
                           ops->item[i]);
    }
    return command_apply_core(&o->core, err) &&
           style_detect(o->level, (int)o->width, style, err);
}

/* A run of a sweep stops with the process that started it, however that ended: the next
 * one would otherwise find points at work that nobody waits for. */
static bool tie_to_sweep(Err *err)
{
    const char *parent = getenv("CLEAVE_SWEEP_PID");
    if (!parent)
        return true;
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    return getppid() == atol(parent) ||
           err_set(err, ERR_STATE, "the sweep that started this run has ended");
}

Exit command_run(const Operands *ops, const void *config)
{
    const RunOptions *o = config;
    char dir[PATH_MAX];
    Err err = {0};
    PrintStyle style;
    Follow f = {0};
    Exit code = EXIT_BROKEN;
    char **argv = NULL;
    if (!check_operands(ops, o, &style, &err))
        return command_fail(EXIT_USAGE, "%s", err.msg);
    if (!take_signals(&err) || !tie_to_sweep(&err) ||
        !run_make_dir(o->runs[0] ? o->runs : NULL, ops->item[0], dir, sizeof dir, &err))
        return command_fail(EXIT_BROKEN, "%s", err.msg);
    f.reader = jreader_open(dir, &err);
    f.printer = f.reader ? printer_new(f.reader, &style, &err) : NULL;
    argv = f.printer ? kernel_argv(dir, ops, &o->core, &err) : NULL;
    f.pid = argv ? spawn(argv, &err) : -1;
    if (f.pid < 0) {
        command_fail(EXIT_BROKEN, "%s", err.msg);
        run_mark_crashed(dir, err.msg, NULL);
        goto done;
    }
    int status = follow(&f);
    code = status == -1 ? EXIT_STOPPED : conclude(&f, status, dir);
done:
    drop_argv(argv);
    printer_free(f.printer);
    jreader_close(f.reader);
    return code;
}

Exit command_kernel(const Operands *ops, const void *config)
{
    Err err = {0};
    KernelArgs a = {.dir = ops->item[0],
                    .script = ops->item[1],
                    .settings = ops->item + 2,
                    .n_settings = ops->n - 2};
    for (int i = 2; i < ops->n; i++) {
        if (!is_setting(ops->item[i]))
            return command_fail(EXIT_USAGE, "'%s' is no setting; write name=value",
                                ops->item[i]);
    }
    if (!command_apply_core(config, &err))
        return command_fail(EXIT_BROKEN, "%s", err.msg);
    return kernel_run(&a);
}
