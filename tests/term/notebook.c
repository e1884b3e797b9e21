/* The notebook on pseudo-terminals, seen through libvterm: what is on the screen, how
 * many bytes a key costs, that an idle viewer sleeps, that a hang-up ends it, that
 * text from outside steers nothing, and that it starts everywhere. Writes TAP. Times
 * are only printed. Usage: notebook CLEAVE FOLDER; FOLDER is empty and becomes the
 * home of it all. */
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

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void ok(bool good, const char *fmt, ...)
{
    va_list ap;
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
static bool term_read(Term *t, int ms)
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

static void term_send(Term *t, const char *s)
{
    ssize_t n = write(t->fd, s, strlen(s));
    (void)n;
}

static void row_text(Term *t, int row, char *dst, size_t cap)
{
    VTermRect r = {row, row + 1, 0, t->cols};
    size_t n = vterm_screen_get_text(t->screen, dst, cap - 1, r);
    dst[n] = '\0';
}

static bool term_has(Term *t, const char *text)
{
    char line[4096];
    for (int r = 0; r < t->rows; r++) {
        row_text(t, r, line, sizeof line);
        if (strstr(line, text))
            return true;
    }
    return false;
}

static bool term_wait(Term *t, const char *text)
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
static void term_settle(Term *t)
{
    double end = now() + DEADLINE;
    while (now() < end && term_read(t, 300))
        ;
}

static void term_show(Term *t)
{
    char line[4096];
    for (int r = 0; r < t->rows; r++) {
        row_text(t, r, line, sizeof line);
        printf("# |%s\n", line);
    }
}

/* The exit status within some seconds; -1: it goes on. */
static int term_ended(Term *t, double seconds)
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

static void put_file(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");
    if (!f || fputs(text, f) < 0 || fclose(f) != 0) {
        printf("Bail out! cannot write %s\n", path);
        exit(1);
    }
}

static void many_cells(const char *path, int n)
{
    FILE *f = fopen(path, "w");
    for (int i = 0; f && i < n; i++)
        fprintf(f, "-- %%%% part %d\nlocal x%d = %d\nprint(x%d)\n", i, i, i, i);
    if (!f || fclose(f) != 0)
        exit(1);
}

/* --- tests ------------------------------------------------------------------------ */

static long switches(pid_t pid)
{
    char path[64], line[256];
    long n = 0;
    snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
    FILE *f = fopen(path, "r");
    while (f && fgets(line, sizeof line, f)) {
        long v;
        if (sscanf(line, "voluntary_ctxt_switches: %ld", &v) == 1 ||
            sscanf(line, "nonvoluntary_ctxt_switches: %ld", &v) == 1)
            n += v;
    }
    if (f)
        fclose(f);
    return n;
}

static Term t; /* too large for the stack */

static void starts_and_sleeps(void)
{
    many_cells("many.lua", 500);
    double from = now();
    term_open(&t, 24, 80, &usual, "many.lua");
    bool up = term_wait(&t, "?:keys");
    printf("# first screen with a new kernel after %.0f ms\n", (now() - from) * 1e3);
    ok(up && term_has(&t, "part 0"), "500 cells are shown");
    term_settle(&t);
    long bytes = t.bytes, woke = switches(t.pid);
    double end = now() + 3;
    while (now() < end)
        term_read(&t, 500);
    ok(t.bytes == bytes, "0 bytes in 3 idle seconds (%ld)", t.bytes - bytes);
    ok(switches(t.pid) == woke, "0 wake-ups in 3 idle seconds (%ld)",
       switches(t.pid) - woke);
}

static int by_value(const void *a, const void *b)
{
    double d = *(const double *)a - *(const double *)b;
    return d < 0 ? -1 : d > 0;
}

/* Types into a cell; every plain character costs at most 64 bytes. */
static void typing_is_cheap(const char *what)
{
    enum { KEYS = 200 };
    static double took[KEYS];
    long worst = 0;
    int late = 0;
    for (int i = 0; i < KEYS; i++) {
        char key[2] = {"abcdefghij klmnop "[i % 18], 0};
        long bytes = t.bytes;
        double from = now();
        term_send(&t, i % 60 == 59 ? "\r" : key);
        while (t.bytes == bytes && now() < from + 5)
            term_read(&t, 50);
        took[i] = now() - from;
        late += t.bytes == bytes;
        while (term_read(&t, 4)) /* the rest of the frame */
            ;
        if (i % 60 != 59 && t.bytes - bytes > worst)
            worst = t.bytes - bytes;
    }
    qsort(took, KEYS, sizeof *took, by_value);
    printf("# %s: key to echo median %.2f ms, p99 %.2f ms\n", what,
           took[KEYS / 2] * 1e3, took[KEYS * 99 / 100] * 1e3);
    ok(late == 0, "%s: every key is echoed", what);
    ok(worst <= 64, "%s: at most 64 bytes a typed character (%ld)", what, worst);
}

static void edits(void)
{
    term_send(&t, "\r");
    ok(term_wait(&t, "EDIT"), "Enter begins to edit");
    term_settle(&t);
    typing_is_cheap("500 cells");
    term_send(&t, "\033");
    ok(term_wait(&t, "CMD"), "Esc ends it");
}

static void quits(void)
{
    term_send(&t, "q");
    int code = term_ended(&t, 5);
    ok(code == 0, "q leaves with status 0 (%d)", code);
    ok(strstr(t.raw + (t.bytes > 400 ? t.bytes - 400 : 0), "cleave attach") != NULL,
       "and says how to come back");
    term_close(&t);
}

static void comes_back(void)
{
    double from = now();
    term_open(&t, 40, 120, &usual, "many.lua");
    bool up = term_wait(&t, "?:keys");
    printf("# first screen of a live session after %.0f ms\n", (now() - from) * 1e3);
    ok(up && term_has(&t, "abcdefghij"),
       "the session went on: the typed text is there");
}

static void hangs_up(void)
{
    close(t.fd);
    t.fd = -1;
    double from = now();
    int code = term_ended(&t, 5);
    printf("# gone after %.0f ms\n", (now() - from) * 1e3);
    ok(code >= 0, "a hang-up ends the viewer (status %d)", code);
    term_close(&t);
}

static void resizes(void)
{
    static const int sizes[][2] = {
        {5,   20 },
        {100, 300},
        {3,   10 },
        {24,  80 },
        {48,  160},
        {24,  80 }
    };
    term_open(&t, 24, 80, &usual, "many.lua");
    term_wait(&t, "?:keys");
    for (int k = 0; k < 5; k++)
        for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
            struct winsize w = {.ws_row = (unsigned short)sizes[i][0],
                                .ws_col = (unsigned short)sizes[i][1]};
            t.rows = sizes[i][0];
            t.cols = sizes[i][1];
            vterm_set_size(t.vt, t.rows, t.cols);
            ioctl(t.fd, TIOCSWINSZ, &w);
            term_read(&t, k < 3 ? 1 : 60);
        }
    term_settle(&t);
    ok(term_wait(&t, "?:keys") && term_has(&t, "log"),
       "a storm of sizes ends in a whole screen");
    term_send(&t, "D");
    ok(term_ended(&t, 5) == 0, "D leaves");
    term_close(&t);
}

static void hostile_text(void)
{
    put_file("hostile.lua", "-- %% \033]0;owned\007 title\n"
                            "print('\\27]52;c;aGFja2Vk\\7 \\27[2J\\27[31m \\194\\155 "
                            "\\226\\128\\174 end-1')\n"
                            "cl.log('\\27]0;owned\\7 end-2')\n"
                            "cl.metric(1, { ['m\\27]0;owned\\7'] = 1 })\n"
                            "error('\\27]0;owned\\7 \\255\\254 end-3')\n");
    term_open(&t, 24, 80, &usual, "hostile.lua");
    term_wait(&t, "?:keys");
    long from = t.bytes < RAW ? t.bytes : RAW;
    term_send(&t, "r");
    ok(term_wait(&t, "end-3"), "its output is shown");
    term_send(&t, "2");
    term_settle(&t);
    bool shown =
        term_has(&t, "^[]0;owned^G end-2") && term_has(&t, "^[]52;c;aGFja2Vk^G ^[[2J");
    if (!shown)
        term_show(&t);
    ok(shown, "controls are shown as text");
    term_send(&t, "5");
    term_settle(&t);
    ok(!t.titled, "nothing sets the title");
    bool osc = false;
    for (long i = from; i + 1 < t.bytes && i + 1 < RAW; i++)
        osc = osc || (t.raw[i] == 033 && t.raw[i + 1] == ']') ||
              (unsigned char)t.raw[i] == 0x9b;
    ok(!osc, "no OSC and no C1 reach the terminal");
    ok(term_has(&t, "m^[]0;"), "in names of metrics too");
    term_send(&t, "qq");
    term_ended(&t, 5);
    term_close(&t);
}

/* Another cell floods, another viewer is stopped: keys are echoed as before. */
static void floods(void)
{
    static Term other;
    put_file("flood.lua", "-- %% flood\nfor i = 1, 3e6 do print('line', i) end\n"
                          "-- %% edit here\nlocal y = 1\n");
    term_open(&t, 24, 80, &usual, "flood.lua");
    term_wait(&t, "?:keys");
    term_open(&other, 24, 80, &usual, "flood.lua");
    ok(term_wait(&other, "?:keys"), "a second viewer");
    kill(other.pid, SIGSTOP);
    term_send(&t, "r");
    ok(term_wait(&t, "busy"), "the cell runs");
    term_send(&t, "\r");
    term_wait(&t, "EDIT");
    int seen = 0;
    for (int i = 0; i < 20; i++) {
        char text[8];
        snprintf(text, sizeof text, "K%02d", i);
        double from = now();
        term_send(&t, text);
        while (!term_has(&t, text) && now() < from + 2)
            term_read(&t, 5);
        seen += term_has(&t, text);
    }
    ok(seen == 20, "typing goes on while a cell floods (%d of 20)", seen);
    term_send(&t, "\003");
    double from = now();
    ok(term_wait(&t, "idle"), "Ctrl-C stops it");
    printf("# stopped after %.0f ms\n", (now() - from) * 1e3);
    kill(other.pid, SIGCONT);
    term_send(&t, "\033");
    term_wait(&t, "CMD");
    term_send(&t, "q");
    term_ended(&t, 5);
    term_close(&t);
    term_send(&other, "G");
    ok(term_wait(&other, "K19") && term_wait(&other, "idle"),
       "the second viewer catches up");
    term_send(&other, "q");
    term_ended(&other, 5);
    term_close(&other);
}

static void starts_everywhere(void)
{
    static const char *const terms[] = {
        "xterm-256color", "tmux-256color",       "screen", "linux",    "vt100",
        "xterm-direct",   "xterm-kitty-unknown", "dumb",   "nonsense", ""};
    static const char *const locales[] = {"C", "C.UTF-8", "xx_XX.UTF-8"};
    static const int sizes[][2] = {
        {5,   20 },
        {24,  80 },
        {48,  160},
        {100, 300}
    };
    int starts = 0, wanted = 0;
    put_file("small.lua", "-- %% hello\nprint('hi')\n");
    for (size_t i = 0; i < sizeof terms / sizeof terms[0]; i++)
        for (size_t k = 0; k < sizeof locales / sizeof locales[0]; k++) {
            const int *size = sizes[(i + k) % 4];
            Env e = {terms[i], locales[k], (i + k) % 2 ? "1" : NULL};
            bool plain = strcmp(terms[i], "dumb") == 0 ||
                         strcmp(terms[i], "nonsense") == 0 || !terms[i][0];
            term_open(&t, size[0], size[1], &e, "small.lua");
            bool up = term_wait(&t, plain ? ">" : "CMD");
            term_send(&t, plain ? ":quit\r" : "q");
            int code = term_ended(&t, 5);
            wanted++;
            starts += up && code == 0;
            if (!up || code != 0) {
                printf("# %s %s %dx%d: %s, status %d\n", terms[i], locales[k], size[0],
                       size[1], up ? "shown" : "no screen", code);
                term_show(&t);
            }
            term_close(&t);
        }
    ok(starts == wanted, "it starts on every terminal and locale (%d of %d)", starts,
       wanted);
}

int main(int argc, char **argv)
{
    if (argc != 3 || chdir(argv[2]) != 0) {
        fprintf(stderr, "usage: notebook CLEAVE FOLDER\n");
        return 2;
    }
    program = argv[1];
    setenv("CLEAVE_RUNTIME_DIR", "rt", 1);
    char *full = realpath(".", NULL), path[4096];
    snprintf(path, sizeof path, "%s/rt", full ? full : ".");
    setenv("CLEAVE_RUNTIME_DIR", path, 1);
    free(full);
    mkdir(path, 0700);
    starts_and_sleeps();
    edits();
    quits();
    comes_back();
    hangs_up();
    resizes();
    hostile_text();
    floods();
    starts_everywhere();
    printf("1..%d\n", n_tests);
    return n_failed > 0;
}
