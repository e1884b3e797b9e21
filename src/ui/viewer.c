/* viewer.c -- each turn of the loop takes the keys and shows what they did at once, in
 * a frame of its own; what the session did is taken and drawn at most 30 times a second,
 * in pieces between which keys are looked for, so a flood neither holds up a key nor
 * rides on its echo. Then it sleeps in poll(). A hang-up ends it at once. */
#include "ui/viewer.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "kernel/linger.h"
#include "ui/link.h"
#include "ui/screen.h"
#include "ui/term.h"

enum { CELL_MAX = 16 << 20 };
#define FRAME     (1.0 / 30)
#define TAKE_MOST 0.025 /* seconds of a frame in which what waits is read */
#define RESCAN    0.25  /* where the file system announces nothing */

typedef struct Viewer {
    Link link;
    Ui *ui; /* of the link */
    Screen screen;
    const PrintStyle *style;
    char terminal[40];
    const char *trouble;
    double taken; /* when the session was last looked at */
    bool typed;   /* a key came: draw without waiting */
    bool gone;    /* the terminal */
} Viewer;

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
    static const int watched[] = {SIGINT, SIGTERM, SIGHUP, SIGWINCH};
    if (wake_pipe[0] < 0 && pipe2(wake_pipe, O_CLOEXEC | O_NONBLOCK) != 0)
        return err_set(err, ERR_IO, "cannot make a pipe: %s", strerror(errno));
    struct sigaction take = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    sigemptyset(&take.sa_mask);
    for (size_t i = 0; i < ARRAY_LEN(watched); i++)
        sigaction(watched[i], &take, NULL);
    return true;
}

static void take_wakes(Viewer *v)
{
    char c[64];
    ssize_t n;
    bool resized = false;
    while ((n = read(wake_pipe[0], c, sizeof c)) > 0) {
        for (ssize_t i = 0; i < n; i++) {
            resized = resized || c[i] == SIGWINCH;
            v->gone = v->gone || c[i] == SIGHUP || c[i] == SIGTERM;
        }
    }
    if (resized) {
        int rows, cols;
        term_resize(&rows, &cols);
        screen_forget(&v->screen);
        ui_resize(v->ui, rows, cols, NULL);
        v->typed = true;
    }
}

/* --- leaving the screen for a while ----------------------------------------------- */

static void back_on_screen(Viewer *v)
{
    int rows, cols;
    term_return();
    term_resize(&rows, &cols);
    screen_forget(&v->screen);
    ui_resize(v->ui, rows, cols, NULL);
    v->typed = true;
}

static void suspend(Viewer *v)
{
    v->ui->suspend = false;
    term_leave();
    signal(SIGTSTP, SIG_DFL);
    kill(0, SIGTSTP);
    back_on_screen(v);
}

static bool run_editor(const char *path)
{
    const char *editor = getenv("VISUAL");
    if (!editor || !editor[0])
        editor = getenv("EDITOR");
    if (!editor || !editor[0])
        editor = "vi";
    char command[PATH_MAX];
    int status;
    pid_t pid;
    snprintf(command, sizeof command, "%s \"$1\"", editor);
    char sh[] = "sh", flag[] = "-c", file[PATH_MAX];
    text_copy(file, sizeof file, path);
    char *argv[] = {sh, flag, command, sh, file, NULL};
    if (posix_spawn(&pid, "/bin/sh", NULL, NULL, argv, environ) != 0)
        return false;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static void edit_outside(Viewer *v)
{
    char *path = v->ui->editor_file, *text = NULL;
    size_t n;
    Err err = {0};
    v->ui->editor_file = NULL;
    term_leave();
    bool ok = run_editor(path);
    back_on_screen(v);
    if (!ok)
        ui_say(v->ui, ROLE_WARN, "the editor failed; the cell is as it was");
    else if (!file_read_all(path, CELL_MAX, &text, &n, &err))
        ui_say(v->ui, ROLE_ERROR, "%s", err.msg);
    else
        edit_apply_file(v->ui, v->ui->editor_cell, text);
    unlink(path);
    mem_free(text);
    mem_free(path);
}

/* --- a turn ----------------------------------------------------------------------- */

static void take_keys(Viewer *v)
{
    KeyEvent k;
    while (!v->ui->leave && term_key(&k, &v->gone)) {
        ui_key(v->ui, &k);
        v->typed = true;
        if (v->ui->to_clipboard.len > 0) {
            if (!term_clipboard(v->ui->to_clipboard.s, v->ui->to_clipboard.len))
                ui_say(v->ui, ROLE_WARN,
                       "this terminal has no clipboard that is known");
            str_clear(&v->ui->to_clipboard);
        }
        if (v->ui->suspend)
            suspend(v);
        if (v->ui->editor_file)
            edit_outside(v);
        if (v->ui->reopen)
            link_reopen(&v->link);
        if (v->ui->mouse_changed) {
            v->ui->mouse_changed = false;
            term_mouse(v->ui->mouse);
        }
        if (v->ui->redraw) {
            v->ui->redraw = false;
            screen_forget(&v->screen);
        }
    }
}

static bool writable(void)
{
    struct pollfd p = {.fd = STDOUT_FILENO, .events = POLLOUT};
    return poll(&p, 1, 0) > 0 && (p.revents & POLLOUT);
}

static bool key_waits(void)
{
    struct pollfd p = {.fd = STDIN_FILENO, .events = POLLIN};
    return poll(&p, 1, 0) > 0;
}

/* false: the terminal takes nothing now; the next frame shows the newest state. */
static bool draw(Viewer *v)
{
    if (!v->ui->dirty)
        return true;
    if (!writable())
        return false;
    ui_draw(v->ui);
    screen_show(&v->screen, &v->ui->grid, v->ui->cursor_row, v->ui->cursor_col);
    v->typed = false;
    return true;
}

static bool behind(const Viewer *v)
{
    return v->link.more || log_behind(v->ui);
}

/* What the session did since the last look, when it is time for a frame; false: not yet.
 * *wait: seconds until it is time again, < 0: when something comes. */
static bool follow(Viewer *v, double *wait)
{
    double from = clock_now();
    *wait = v->taken + FRAME - from;
    if (*wait > 0)
        return false;
    v->taken = from;
    do {
        link_take(&v->link);
    } while (behind(v) && !key_waits() && clock_now() - from < TAKE_MOST);
    *wait = behind(v) ? fmax(0, from + FRAME - clock_now()) : -1;
    return true;
}

static double sooner(double a, double b)
{
    return a < 0 ? b : b < 0 || a < b ? a : b;
}

/* session: whether its news is to wake us; else the next frame looks anyway. */
static void sleep_until(Viewer *v, double wait, bool session)
{
    int fd = session && !v->ui->lost ? client_fd(v->link.client) : -1;
    short out = fd >= 0 && client_pending(v->link.client) ? POLLOUT : 0;
    struct pollfd p[] = {
        {.fd = STDIN_FILENO,                     .events = POLLIN               },
        {.fd = wake_pipe[0],                     .events = POLLIN               },
        {.fd = session ? v->link.watch : -1,     .events = POLLIN               },
        {.fd = fd,                               .events = (short)(POLLIN | out)},
        {.fd = session ? runs_watch(v->ui) : -1, .events = POLLIN               },
    };
    if (v->link.watch < 0)
        wait = sooner(wait, RESCAN);
    poll(p, ARRAY_LEN(p), wait < 0 ? -1 : (int)(wait * 1e3 + 0.999));
    if (p[0].revents & (POLLHUP | POLLERR | POLLNVAL))
        v->gone = true;
    if (p[4].revents & POLLIN)
        runs_announced(v->ui);
}

static void turn(Viewer *v)
{
    take_wakes(v);
    if (v->gone)
        return;
    v->ui->now = clock_now();
    take_keys(v);
    if (v->gone || v->ui->leave)
        return;
    bool shown = !v->typed || draw(v);
    double wait, due = ui_timeout(v->ui);
    bool looked = follow(v, &wait), tick = due >= 0 && due <= 0.001;
    if (tick)
        ui_tick(v->ui);
    if (looked || tick)
        shown = draw(v);
    sleep_until(v, sooner(shown ? -1 : FRAME, sooner(wait, ui_timeout(v->ui))), looked);
}

/* --- beginning and end ------------------------------------------------------------ */

/* What the screen is, and why it is not more. */
static void describe(Viewer *v, const TermScreen *t, DrawStyle *draw)
{
    const char *no_color = getenv("NO_COLOR");
    if (draw->level == LEVEL_TRUE && !t->direct)
        draw->level = LEVEL_256; /* curses sends what the description has */
    if (t->colors < 8)
        draw->level = LEVEL_MONO;
    snprintf(v->terminal, sizeof v->terminal, "%s%s",
             draw->level == LEVEL_TRUE   ? "24bit"
             : draw->level == LEVEL_256  ? "256c"
             : draw->level == LEVEL_ANSI ? "8c"
                                         : "mono",
             draw->utf8 ? "" : " ascii");
    if (t->stand_in)
        v->trouble = "TERM unknown, taken as xterm";
    else if (no_color && no_color[0])
        v->trouble = "NO_COLOR";
    else if (!draw->utf8)
        v->trouble = "locale without UTF-8";
}

static bool start(Viewer *v, Client *taken, bool read_only, Err *err)
{
    TermScreen t;
    DrawStyle level = v->style->draw;
    if (!take_signals(err) || !term_open(&t, err)) {
        client_close(taken);
        return false;
    }
    describe(v, &t, &level);
    if (!link_open(&v->link, taken, &level, read_only, err))
        return false;
    v->ui->terminal = v->terminal;
    v->ui->trouble = v->trouble;
    screen_init(&v->screen, level.level, level.utf8);
    return ui_resize(v->ui, t.rows, t.cols, err);
}

static void say_goodbye(const Viewer *v)
{
    if (v->gone || v->ui->ended || v->ui->next_file)
        return;
    if (v->ui->lost)
        command_say("The kernel of %s has ended; cleave %s starts it again.",
                    v->ui->port.session, client_place(v->link.client)->file);
    else
        command_say("The session of %s goes on; come back with: cleave attach %s",
                    v->ui->port.session, v->ui->port.session);
    char why[300];
    if (!v->ui->lost && !linger_process(client_pid(v->link.client), why, sizeof why))
        command_say("But %s.", why);
}

const char *viewer_hindrance(const PrintStyle *style)
{
    const char *name = getenv("TERM");
    TermInfo t = term_info(STDOUT_FILENO);
    if (!isatty(STDIN_FILENO) || !style->out.tty)
        return "this is no terminal";
    if (!name || !name[0])
        return "TERM is not set";
    if (!t.known)
        return "nothing is known about a terminal of this TERM";
    return t.can_move ? NULL : "this terminal cannot move its cursor";
}

Exit viewer_run(Client *taken, const PrintStyle *style, bool read_only,
                const char **next)
{
    Viewer v = {.style = style};
    Err err = {0};
    Exit code = EXIT_OK;
    v.ui = &v.link.ui;
    if (!start(&v, taken, read_only, &err)) {
        term_close();
        code = command_fail(EXIT_BROKEN, "%s", err.msg);
        goto done;
    }
    link_catch_up(&v.link);
    v.typed = true;
    while (!v.ui->leave && !v.gone)
        turn(&v);
    link_flush(&v.link);
    if (v.gone)
        _exit(EXIT_OK); /* nobody is there: no escape sequences, no waiting */
    term_close();
    say_goodbye(&v);
    if (next)
        *next = v.ui->next_file;
done:
    link_close(&v.link);
    screen_done(&v.screen);
    return code;
}
