/* term.h -- a pseudo-terminal with a program on it, seen through libvterm: what is on
 * its screen, how many bytes came, how the program ended. Waits are on conditions with
 * a deadline. Included by one file of a test program; TAP goes to standard output. */
#ifndef CLEAVE_TESTS_TERM_H
#define CLEAVE_TESTS_TERM_H
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <vterm.h>

#define UNUSED __attribute__((unused)) /* by some of the programs */

enum { DEADLINE = 20, RAW = 1 << 20 };

typedef struct Term {
    pid_t pid;
    int fd;
    VTerm *vt;
    VTermScreen *screen;
    int rows, cols;
    long bytes;    /* that came */
    char raw[RAW]; /* the first of them */
    bool titled;   /* somebody set the title */
    bool eof;
} Term;

static const char *program;
static int n_tests, n_failed;
UNUSED static bool quiet; /* only what fails is told */

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

UNUSED static void ok(bool good, const char *fmt, ...)
{
    va_list ap;
    if (quiet && good)
        return;
    va_start(ap, fmt);
    printf("%sok %d - ", good ? "" : "not ", ++n_tests);
    vprintf(fmt, ap);
    printf("\n");
    va_end(ap);
    fflush(stdout);
    n_failed += !good;
}

/* --- a terminal ------------------------------------------------------------------- */

static int on_prop(VTermProp prop, VTermValue *val, void *user)
{
    (void)val;
    Term *t = user;
    t->titled = t->titled || prop == VTERM_PROP_TITLE || prop == VTERM_PROP_ICONNAME;
    return 1;
}

static const VTermScreenCallbacks callbacks = {.settermprop = on_prop};

typedef struct Env {
    const char *term, *lc, *no_color;
} Env;
static const Env usual = {"xterm-256color", "C.UTF-8", NULL};

static void child(char *const argv[], const Env *e)
{
    if (e->term)
        setenv("TERM", e->term, 1);
    else
        unsetenv("TERM");
    unsetenv("LC_ALL");
    unsetenv("LANG");
    unsetenv("COLORTERM");
    if (e->lc)
        setenv("LC_ALL", e->lc, 1);
    if (e->no_color)
        setenv("NO_COLOR", e->no_color, 1);
    execv(program, argv);
    _exit(127);
}

static bool term_open(Term *t, int rows, int cols, const Env *e, const char *file)
{
    char *argv[] = {(char *)"cleave", (char *)file, NULL};
    struct winsize w = {.ws_row = (unsigned short)rows, .ws_col = (unsigned short)cols};
    memset(t, 0, sizeof *t);
    t->rows = rows;
    t->cols = cols;
    t->pid = forkpty(&t->fd, NULL, NULL, &w);
    if (t->pid == 0)
        child(argv, e);
    t->vt = vterm_new(rows, cols);
    vterm_set_utf8(t->vt, 1);
    t->screen = vterm_obtain_screen(t->vt);
    vterm_screen_set_callbacks(t->screen, &callbacks, t);
    vterm_screen_enable_altscreen(t->screen, 1);
    vterm_screen_reset(t->screen, 1);
    return t->pid > 0;
}

/* Takes what comes within `ms`; false: nothing did. */
UNUSED static bool term_read(Term *t, int ms)
{
    char buf[65536];
    struct pollfd p = {.fd = t->fd, .events = POLLIN};
    if (t->eof || poll(&p, 1, ms) <= 0)
        return false;
    ssize_t n = read(t->fd, buf, sizeof buf);
    if (n <= 0) {
        t->eof = true;
        return false;
    }
    for (ssize_t i = 0; i < n && t->bytes + i < RAW; i++)
        t->raw[t->bytes + i] = buf[i];
    t->bytes += n;
    vterm_input_write(t->vt, buf, (size_t)n);
    return true;
}

UNUSED static void term_send(Term *t, const char *s)
{
    ssize_t n = write(t->fd, s, strlen(s));
    (void)n;
}

UNUSED static void row_text(Term *t, int row, char *dst, size_t cap)
{
    VTermRect r = {row, row + 1, 0, t->cols};
    size_t n = vterm_screen_get_text(t->screen, dst, cap - 1, r);
    dst[n] = '\0';
}

UNUSED static bool term_has(Term *t, const char *text)
{
    char line[4096];
    for (int r = 0; r < t->rows; r++) {
        row_text(t, r, line, sizeof line);
        if (strstr(line, text))
            return true;
    }
    return false;
}

UNUSED static bool term_wait(Term *t, const char *text)
{
    double end = now() + DEADLINE;
    while (!term_has(t, text)) {
        if (now() > end || t->eof)
            return false;
        term_read(t, 100);
    }
    return true;
}

/* Until nothing comes for a while. */
UNUSED static void term_settle(Term *t)
{
    double end = now() + DEADLINE;
    while (now() < end && term_read(t, 300))
        ;
}

UNUSED static void term_show(Term *t)
{
    char line[4096];
    for (int r = 0; r < t->rows; r++) {
        row_text(t, r, line, sizeof line);
        printf("# |%s\n", line);
    }
}

/* The exit status within some seconds; -1: it goes on. */
UNUSED static int term_ended(Term *t, double seconds)
{
    double end = now() + seconds;
    int status;
    while (now() < end) {
        if (waitpid(t->pid, &status, WNOHANG) == t->pid) {
            t->pid = 0;
            return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
        }
        if (t->fd >= 0)
            term_read(t, 10);
        else
            usleep(10000);
    }
    return -1;
}

static void term_close(Term *t)
{
    if (t->fd >= 0)
        close(t->fd);
    if (t->pid > 0) {
        kill(t->pid, SIGKILL);
        waitpid(t->pid, NULL, 0);
    }
    vterm_free(t->vt);
}

/* --- files ------------------------------------------------------------------------ */

UNUSED static void put_file(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");
    if (!f || fputs(text, f) < 0 || fclose(f) != 0) {
        printf("Bail out! cannot write %s\n", path);
        exit(1);
    }
}

/* A home of its own: the folder becomes the working one, sockets are in rt below it. */
UNUSED static void home_in(const char *folder)
{
    char path[4096];
    if (chdir(folder) != 0 || !getcwd(path, sizeof path - 8)) {
        fprintf(stderr, "cannot use the folder %s\n", folder);
        exit(2);
    }
    strcat(path, "/rt");
    setenv("CLEAVE_RUNTIME_DIR", path, 1);
    mkdir(path, 0700);
}

/* A number from a /proc file: what follows `key`; -1: there is none. */
UNUSED static long proc_number(pid_t pid, const char *file, const char *key)
{
    char path[64], line[256];
    long n = -1;
    snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, file);
    FILE *f = fopen(path, "r");
    while (f && n < 0 && fgets(line, sizeof line, f)) {
        if (strncmp(line, key, strlen(key)) == 0)
            n = atol(line + strlen(key));
    }
    if (f)
        fclose(f);
    return n;
}

/* How often a process (all its threads) was put on a processor. */
UNUSED static long wakes(pid_t pid)
{
    char command[128];
    long n = 0, v;
    snprintf(command, sizeof command,
             "cat /proc/%d/task/*/status 2>/dev/null | sed -n "
             "'s/^.*voluntary_ctxt_switches:[ \t]*//p'",
             (int)pid);
    FILE *f = popen(command, "r");
    while (f && fscanf(f, "%ld", &v) == 1)
        n += v;
    if (f)
        pclose(f);
    return n;
}

/* The kernel of a notebook in this home; 0: none. */
UNUSED static pid_t kernel_of(const char *file)
{
    char command[200];
    int pid = 0;
    snprintf(command, sizeof command,
             "grep -l '/%s\"' rt/*.json | xargs sed -n 's/.*\"pid\": "
             "*\\([0-9]*\\).*/\\1/p'",
             file);
    FILE *f = popen(command, "r");
    if (f && fscanf(f, "%d", &pid) != 1)
        pid = 0;
    if (f)
        pclose(f);
    return pid;
}

UNUSED static int by_value(const void *a, const void *b)
{
    double d = *(const double *)a - *(const double *)b;
    return d < 0 ? -1 : d > 0;
}

UNUSED static void many_cells(const char *path, int n)
{
    FILE *f = fopen(path, "w");
    for (int i = 0; f && i < n; i++)
        fprintf(f, "-- %%%% part %d\nlocal x%d = %d\nprint(x%d)\n", i, i, i, i);
    if (!f || fclose(f) != 0)
        exit(1);
}
#endif
