/* sweep.c -- `cleave sweep`: a grid as a pool of `cleave run` processes. What is
 * done is found in the run folders, never kept anywhere else: a point whose mark
 * some run.json carries is done, failed, or at work in another process, and the rest
 * is missing. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "lab/jval.h"
#include "lab/run.h"
#include "lab/sweep.h"
#include "ui/bar.h"
#include "ui/child.h"
#include "ui/runs.h"

enum { SCRIPT_CAP = 16 << 20, MAX_JOBS = 256, MAX_TRIES = 2, FIXED_ARGS = 12 };
#define LOOK_EVERY 0.5 /* seconds between looks at runs of other processes */

typedef enum Where {
    NOT_OURS, /* another process's share */
    MISSING,
    AT_WORK,   /* in a child of ours */
    ELSEWHERE, /* in a process that is not ours */
    DONE,
    FAILED,
    CRASHED,
} Where;
typedef struct State {
    Where where;
    int tries;
    char *dir;  /* of a run elsewhere, or of what failed */
    char *said; /* the complaint of what failed */
} State;
typedef struct Pool {
    const SweepOptions *o;
    const char *script, *root;
    Sweep grid;
    State *state;  /* of each point */
    json_t *place; /* mark -> number of the point */
    Child child[MAX_JOBS];
    size_t point[MAX_JOBS]; /* of each child */
    int jobs;
    size_t next; /* no point before it is missing */
    size_t rank, size;
    double began, looked, asked_at;
    size_t finished;      /* by children of this process */
    double child_seconds; /* that they took */
    char usage[CHILD_LINE];
    PrintStyle style;
    Bar bar;
} Pool;

static int wake_pipe[2] = {-1, -1};

static void on_signal(int signo)
{
    int saved = errno;
    char c = (char)signo;
    (void)!write(wake_pipe[1], &c, 1);
    errno = saved;
}

static bool take_signals(Err *err)
{
    static const int watched[] = {SIGINT, SIGTERM, SIGHUP, SIGCHLD};
    if (pipe2(wake_pipe, O_CLOEXEC | O_NONBLOCK) != 0)
        return err_set(err, ERR_IO, "cannot make a pipe: %s", strerror(errno));
    struct sigaction take = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    sigemptyset(&take.sa_mask);
    for (size_t i = 0; i < ARRAY_LEN(watched); i++)
        sigaction(watched[i], &take, NULL);
    return true;
}

/* --- what there is already -------------------------------------------------------- */

static bool is_state(const RunRow *row, const char *name)
{
    return strcmp(row->state, name) == 0;
}

/* A finished run counts for good; one that is at work is waited for. */
static void note_run(Pool *p, const RunRow *row)
{
    const char *mark = json_string_value(runs_value(row, "run.point"));
    const json_t *place = mark ? json_object_get(p->place, mark) : NULL;
    State *s = place ? &p->state[json_integer_value(place)] : NULL;
    if (!s || s->where == NOT_OURS || s->where == DONE)
        return;
    if (is_state(row, "done")) {
        s->where = DONE;
    } else if (is_state(row, "failed") && !p->o->retry) {
        s->where = FAILED;
    } else if (is_state(row, "running")) {
        s->where = ELSEWHERE;
    } else {
        return;
    }
    mem_free(s->dir);
    s->dir = mem_strdup(row->dir, NULL);
}

/* Runs that started a moment ago do not say yet what they are; they are waited for. */
static bool survey(Pool *p, Err *err)
{
    double until = clock_now() + 6;
    bool vague = true;
    if (!file_exists(p->root))
        return dir_make(p->root, err);
    while (vague) {
        Runs r;
        vague = false;
        if (!runs_open(p->root, &r, err))
            return false;
        for (size_t i = 0; i < r.n; i++)
            vague = vague || is_state(&r.row[i], "starting");
        vague = vague && clock_now() < until;
        for (size_t i = 0; !vague && i < r.n; i++)
            note_run(p, &r.row[i]);
        runs_close(&r);
        if (vague && !clock_sleep(0.1, err))
            return false;
    }
    return true;
}

static void look_elsewhere(Pool *p)
{
    char state[16];
    if (clock_now() - p->looked < LOOK_EVERY)
        return;
    p->looked = clock_now();
    for (size_t i = 0; i < p->grid.n; i++) {
        State *s = &p->state[i];
        if (s->where != ELSEWHERE || !s->dir)
            continue;
        if (!run_state(s->dir, state, NULL))
            strcpy(state, "crashed");
        if (strcmp(state, "running") == 0)
            continue;
        s->where = strcmp(state, "done") == 0     ? DONE
                   : strcmp(state, "failed") == 0 ? FAILED
                                                  : MISSING;
        if (s->where == MISSING && i < p->next)
            p->next = i;
    }
}

/* --- children --------------------------------------------------------------------- */

static bool start_one(Pool *p, int slot, Err *err)
{
    char *argv[SWEEP_MAX_SETTINGS + FIXED_ARGS + 1], mark[40];
    size_t n = 0;
    while (p->next < p->grid.n && p->state[p->next].where != MISSING)
        p->next++;
    if (p->next == p->grid.n)
        return true;
    const SweepPoint *point = &p->grid.point[p->next];
    const char *fixed[] = {"cleave", "run",          "--threads", "1",
                           "--isa",  p->o->core.isa, "--mem",     p->o->core.mem,
                           "--runs", p->root,        "--",        p->script};
    _Static_assert(ARRAY_LEN(fixed) == FIXED_ARGS, "room for the arguments");
    for (size_t i = 0; i < ARRAY_LEN(fixed); i++)
        argv[n++] = (char *)fixed[i];
    for (size_t i = 0; i < p->grid.n_settings; i++)
        argv[n++] = point->setting[i];
    argv[n] = NULL;
    snprintf(mark, sizeof mark, "%s:%s", p->grid.mark, point->mark);
    setenv("CLEAVE_SWEEP", mark, 1);
    snprintf(mark, sizeof mark, "%ld", (long)getpid());
    setenv("CLEAVE_SWEEP_PID", mark, 1);
    if (!child_start(&p->child[slot], argv, NULL, err))
        return false;
    p->point[slot] = p->next;
    p->state[p->next].where = AT_WORK;
    p->state[p->next++].tries++;
    return true;
}

static void keep_text(char **dst, const char *text)
{
    mem_free(*dst);
    *dst = mem_strdup(text, NULL);
}

static void end_one(Pool *p, int slot, int code)
{
    size_t at = p->point[slot];
    State *s = &p->state[at];
    Child *c = &p->child[slot];
    char line[CHILD_LINE];
    child_last_line(c, line);
    keep_text(&s->dir, line);
    child_complaint(c, line);
    keep_text(&s->said, line);
    p->finished++;
    p->child_seconds += clock_now() - c->start;
    if (code == EXIT_OK) {
        s->where = DONE;
    } else if (code == EXIT_SCRIPT) {
        s->where = FAILED;
    } else if (code == EXIT_USAGE) {
        s->where = FAILED;
        snprintf(p->usage, sizeof p->usage, "%s", line);
    } else if (code == EXIT_STOPPED) {
        s->where = p->asked_at > 0 ? MISSING : CRASHED;
    } else if (s->tries < MAX_TRIES) {
        s->where = MISSING;
        p->next = at < p->next ? at : p->next;
    } else {
        s->where = CRASHED;
    }
}

static int reap(Pool *p)
{
    int running = 0, code;
    for (int i = 0; i < p->jobs; i++) {
        child_read(&p->child[i]);
        if (p->child[i].pid && child_ended(&p->child[i], &code))
            end_one(p, i, code);
        running += p->child[i].pid != 0;
    }
    return running;
}

static void take_wakes(Pool *p)
{
    char c[64];
    ssize_t n;
    while ((n = read(wake_pipe[0], c, sizeof c)) > 0) {
        for (ssize_t i = 0; i < n; i++) {
            if (c[i] == SIGCHLD)
                continue;
            if (p->asked_at == 0)
                p->asked_at = clock_now();
            for (int k = 0; k < p->jobs; k++)
                child_signal(&p->child[k], SIGINT);
        }
    }
}

static void wait_for_news(Pool *p)
{
    struct pollfd fd[2 * MAX_JOBS + 1];
    int n = 1;
    fd[0] = (struct pollfd){.fd = wake_pipe[0], .events = POLLIN};
    for (int i = 0; i < p->jobs; i++)
        n += child_poll(&p->child[i], fd + n);
    poll(fd, (nfds_t)n, (int)(LOOK_EVERY * 1000));
}

/* --- the progress line ------------------------------------------------------------ */

typedef struct Tally {
    size_t all, done, missing, elsewhere, failed, crashed;
} Tally;

static Tally tally(const Pool *p)
{
    Tally t = {0};
    for (size_t i = 0; i < p->grid.n; i++) {
        Where w = p->state[i].where;
        t.all += w != NOT_OURS;
        t.done += w == DONE;
        t.missing += w == MISSING;
        t.elsewhere += w == ELSEWHERE;
        t.failed += w == FAILED;
        t.crashed += w == CRASHED;
    }
    return t;
}

static void write_bar(Pool *p, Str *s)
{
    for (size_t at = 0; at < s->len;) {
        ssize_t got = write(p->style.err.fd, s->s + at, s->len - at);
        if (got < 0 && errno != EINTR)
            break;
        at += got > 0 ? (size_t)got : 0;
    }
    str_done(s);
}

static void show_progress(Pool *p, int running)
{
    Tally t = tally(p);
    char text[120];
    double each = p->finished ? p->child_seconds / (double)p->finished : (double)NAN;
    double left = (double)(t.missing + (size_t)running);
    int n = snprintf(text, sizeof text, "%d running", running);
    if (t.elsewhere)
        n +=
            snprintf(text + n, sizeof text - (size_t)n, ", %zu elsewhere", t.elsewhere);
    snprintf(text + n, sizeof text - (size_t)n, ", %zu failed", t.failed + t.crashed);
    double done = (double)(t.done + t.failed + t.crashed);
    json_t *ev = json_pack("{s:o,s:f,s:f,s:s}", "t", jval_number(clock_wall()), "done",
                           done, "total", (double)t.all, "text", text);
    if (ev && isfinite(each))
        jval_set(ev, "eta", jval_number(each * left / p->jobs));
    Str s;
    str_init(&s);
    if (ev) {
        bar_event(&p->bar, ev);
        bar_draw(&p->bar, &p->style.err, &s);
    }
    json_decref(ev);
    write_bar(p, &s);
}

static void end_progress(Pool *p)
{
    Str s;
    str_init(&s);
    bar_clear(&p->bar, &p->style.err, &s);
    bar_forget(&p->bar);
    write_bar(p, &s);
}

/* --- the sweep -------------------------------------------------------------------- */

static bool work(Pool *p, Err *err)
{
    bool ok = true;
    for (;;) {
        take_wakes(p);
        int running = reap(p);
        bool stop = !ok || p->asked_at > 0 || p->usage[0];
        look_elsewhere(p);
        for (int i = 0; !stop && ok && i < p->jobs; i++) {
            if (p->child[i].pid == 0) {
                ok = start_one(p, i, err);
                running += p->child[i].pid != 0;
            }
        }
        if (running == 0 && (stop || tally(p).elsewhere == 0))
            break;
        show_progress(p, running);
        wait_for_news(p);
    }
    end_progress(p);
    return ok;
}

static void list_failures(const Pool *p)
{
    for (size_t i = 0; i < p->grid.n; i++) {
        const State *s = &p->state[i];
        Str t;
        if (s->where != FAILED && s->where != CRASHED)
            continue;
        str_init(&t);
        str_add(&t, s->where == FAILED ? "failed:" : "crashed:");
        for (size_t k = 0; k < p->grid.n_settings; k++)
            str_addf(&t, " %s", p->grid.point[i].setting[k]);
        str_addf(&t, "  %s%s%s\n", s->said ? s->said : "",
                 s->said && s->said[0] && s->dir ? "  " : "", s->dir ? s->dir : "");
        fflush(stdout);
        Str shown;
        str_init(&shown);
        style_text(&p->style.err, t.s, t.len, true, &shown);
        fwrite(shown.s, 1, shown.len, stderr);
        str_done(&shown);
        str_done(&t);
    }
}

/* Names of settings as keys that mean nothing else. */
static void group_keys(const Pool *p, const Runs *r, Str *out)
{
    for (const char *s = p->grid.varied; *s;) {
        char name[200], full[220];
        size_t n = strcspn(s, ",");
        snprintf(name, sizeof name, "%.*s", (int)n, s);
        snprintf(full, sizeof full, "settings.%s", name);
        bool plain =
            r->n == 0 || runs_value(&r->row[0], name) == runs_value(&r->row[0], full);
        str_addf(out, "%s%s", out->len ? "," : "", plain ? name : full);
        s += n + (s[n] == ',');
    }
}

/* The table over all done runs of the grid; *complete: every point has one. */
static bool show_table(Pool *p, bool *complete, Err *err)
{
    Runs all, some = {0};
    size_t have = 0;
    Str keys;
    if (!runs_open(p->root, &all, err))
        return false;
    char *seen = mem_zalloc(p->grid.n, err);
    some.row = seen ? mem_array(all.n, sizeof *some.row, err) : NULL;
    for (size_t i = 0; some.row && i < all.n; i++) {
        const char *mark = json_string_value(runs_value(&all.row[i], "run.point"));
        const json_t *place = mark ? json_object_get(p->place, mark) : NULL;
        if (!place || !is_state(&all.row[i], "done"))
            continue;
        char *flag = &seen[json_integer_value(place)];
        have += !*flag;
        if (!*flag)
            some.row[some.n++] = all.row[i];
        *flag = 1;
    }
    *complete = have == p->grid.n;
    bool ok = some.row != NULL;
    str_init(&keys);
    group_keys(p, &some, &keys);
    if (ok && have < p->grid.n)
        printf("%zu of the grid's %zu points are done\n", have, p->grid.n);
    if (ok && some.n > 0 && (*complete || p->size == 1))
        ok = runs_show_groups(&some, keys.len ? keys.s : "", "", "", false, &p->style,
                              err);
    str_done(&keys);
    mem_free(some.row);
    mem_free(seen);
    runs_close(&all);
    return ok;
}

static Exit conclude(Pool *p)
{
    Err err = {0};
    bool complete;
    Tally t = tally(p);
    if (p->usage[0])
        return command_fail(EXIT_USAGE, "%s", p->usage);
    list_failures(p);
    if (!show_table(p, &complete, &err) || !show_end(&err))
        return command_fail(EXIT_BROKEN, "%s", err.msg);
    if (p->asked_at > 0)
        return command_fail(EXIT_STOPPED,
                            "stopped; the same command goes on with what is missing");
    return t.crashed ? EXIT_BROKEN : t.failed ? EXIT_SCRIPT : EXIT_OK;
}

static bool pool_init(Pool *p, Err *err)
{
    p->place = json_object();
    p->state = mem_zalloc(p->grid.n * sizeof *p->state, err);
    if (!p->place || !p->state)
        return err_set(err, ERR_MEMORY, "out of memory while preparing the sweep");
    for (size_t i = 0; i < p->grid.n; i++) {
        p->state[i].where = i % p->size == p->rank ? MISSING : NOT_OURS;
        json_object_set_new(p->place, p->grid.point[i].mark,
                            json_integer((json_int_t)i));
    }
    for (int i = 0; i < MAX_JOBS; i++)
        p->child[i].out.fd = p->child[i].err.fd = -1;
    return true;
}

static void pool_done(Pool *p)
{
    for (size_t i = 0; p->state && i < p->grid.n; i++) {
        mem_free(p->state[i].dir);
        mem_free(p->state[i].said);
    }
    mem_free(p->state);
    json_decref(p->place);
    sweep_done(&p->grid);
    mem_free(p);
}

static Exit sweep(Pool *p)
{
    Err err = {0};
    if (!pool_init(p, &err) || !survey(p, &err) || !take_signals(&err))
        return command_fail(err.code == ERR_INTERRUPT ? EXIT_STOPPED : EXIT_BROKEN,
                            "%s", err.msg);
    if (!work(p, &err))
        return command_fail(EXIT_BROKEN, "%s", err.msg);
    return conclude(p);
}

/* --- a batch script for Slurm ----------------------------------------------------- */

static void add_quoted(const char *s, Str *out)
{
    if (s[0] && strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                          "0123456789_-./=,:+@%") == strlen(s)) {
        str_add(out, s);
        return;
    }
    str_addc(out, '\'');
    for (; *s; s++) {
        if (*s == '\'')
            str_add(out, "'\\''");
        else
            str_addc(out, *s);
    }
    str_addc(out, '\'');
}

static Exit print_slurm(const Pool *p, const Operands *ops)
{
    char cwd[PATH_MAX] = ".", self[PATH_MAX] = "cleave";
    Str t;
    Err err = {0};
    size_t tasks =
        p->o->tasks > 0 ? (size_t)p->o->tasks : (p->grid.n - 1) / p->jobs + 1;
    tasks = tasks > p->grid.n ? p->grid.n : tasks;
    tasks = tasks > 1000 && p->o->tasks == 0 ? 1000 : tasks;
    str_init(&t);
    str_addf(&t,
             "#!/bin/sh\n# %zu points as an array of %zu; submit with: sbatch FILE\n"
             "#SBATCH --job-name=cleave-sweep\n#SBATCH --array=0-%zu\n"
             "#SBATCH --ntasks=1\n#SBATCH --cpus-per-task=%d\n"
             "#SBATCH --output=%%x-%%A_%%a.log\ncd ",
             p->grid.n, tasks, tasks - 1, p->jobs);
    add_quoted(getcwd(cwd, sizeof cwd) ? cwd : ".", &t);
    str_add(&t, " || exit 1\nexec ");
    ssize_t got = readlink("/proc/self/exe", self, sizeof self - 1);
    self[got > 0 ? got : (ssize_t)strlen(self)] = '\0';
    add_quoted(self, &t);
    str_add(&t, " sweep --runs ");
    add_quoted(p->root, &t);
    str_addf(&t, " --jobs %d", p->jobs);
    if (p->o->core.isa[0])
        str_addf(&t, " --isa %s", p->o->core.isa);
    if (p->o->core.mem[0])
        str_addf(&t, " --mem %s", p->o->core.mem);
    str_add(&t, " --");
    for (int i = 0; i < ops->n; i++) {
        str_addc(&t, ' ');
        add_quoted(ops->item[i], &t);
    }
    str_addc(&t, '\n');
    if (!t.oom)
        fwrite(t.s, 1, t.len, stdout);
    str_done(&t);
    return show_end(&err) ? EXIT_OK : command_fail(EXIT_BROKEN, "%s", err.msg);
}

Exit command_sweep(const Operands *ops, const void *config)
{
    Err err = {0};
    char *text = NULL;
    size_t n;
    Pool *p = mem_zalloc(sizeof *p, &err);
    if (!p)
        return command_fail(EXIT_BROKEN, "%s", err.msg);
    p->o = config;
    p->script = ops->item[0];
    p->root = runs_root(p->o->runs);
    p->jobs = (int)p->o->jobs;
    bool ok = style_detect(p->o->level, (int)p->o->width, &p->style, &err) &&
              file_read_all(p->script, SCRIPT_CAP, &text, &n, &err) &&
              sweep_expand(text, n, ops->item + 1, ops->n - 1, &p->grid, &err) &&
              sweep_share(&p->rank, &p->size, &err);
    mem_free(text);
    Exit code = !ok           ? command_fail(EXIT_USAGE, "%s", err.msg)
                : p->o->slurm ? print_slurm(p, ops)
                              : sweep(p);
    pool_done(p);
    return code;
}
