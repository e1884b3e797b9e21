/* child.c -- streams are read without waiting and only their end is kept: half of the
 * buffer is dropped when it is full. */
#include "ui/child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"

static bool open_stream(ChildStream *s, int *theirs, Err *err)
{
    int fd[2];
    if (pipe2(fd, O_CLOEXEC) != 0)
        return err_set(err, ERR_IO, "cannot make a pipe: %s", strerror(errno));
    fcntl(fd[0], F_SETFL, O_NONBLOCK);
    s->fd = fd[0];
    s->n = 0;
    s->tail[0] = '\0';
    *theirs = fd[1];
    return true;
}

static void close_stream(ChildStream *s)
{
    if (s->fd >= 0)
        close(s->fd);
    s->fd = -1;
}

static int spawn(Child *c, char *const *argv, const char *cwd, int out, int err)
{
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attr;
    sigset_t dflt, none;
    posix_spawn_file_actions_init(&files);
    posix_spawnattr_init(&attr);
    posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&files, out, STDOUT_FILENO);
    posix_spawn_file_actions_adddup2(&files, err, STDERR_FILENO);
    if (cwd)
        posix_spawn_file_actions_addchdir_np(&files, cwd);
    sigemptyset(&none);
    sigemptyset(&dflt);
    sigaddset(&dflt, SIGINT);
    sigaddset(&dflt, SIGTERM);
    sigaddset(&dflt, SIGCHLD);
    posix_spawnattr_setsigdefault(&attr, &dflt);
    posix_spawnattr_setsigmask(&attr, &none);
    posix_spawnattr_setpgroup(&attr, 0);
    posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGDEF |
                                        POSIX_SPAWN_SETSIGMASK);
    int code = posix_spawn(&c->pid, "/proc/self/exe", &files, &attr, argv, environ);
    posix_spawnattr_destroy(&attr);
    posix_spawn_file_actions_destroy(&files);
    return code;
}

bool child_start(Child *c, char *const *argv, const char *cwd, Err *err)
{
    int out, errors;
    c->pid = 0;
    c->out.fd = c->err.fd = -1;
    c->start = clock_now();
    if (!open_stream(&c->out, &out, err))
        return false;
    if (!open_stream(&c->err, &errors, err)) {
        close_stream(&c->out);
        close(out);
        return false;
    }
    int code = spawn(c, argv, cwd, out, errors);
    close(out);
    close(errors);
    if (code == 0)
        return true;
    c->pid = 0;
    close_stream(&c->out);
    close_stream(&c->err);
    return err_set(err, ERR_STATE, "cannot start a process: %s", strerror(code));
}

static void read_stream(ChildStream *s)
{
    while (s->fd >= 0) {
        if (s->n == CHILD_TAIL) {
            memmove(s->tail, s->tail + CHILD_TAIL / 2, CHILD_TAIL / 2);
            s->n = CHILD_TAIL / 2;
        }
        ssize_t got = read(s->fd, s->tail + s->n, CHILD_TAIL - s->n);
        if (got > 0)
            s->n += (size_t)got;
        else if (got == 0 || (errno != EAGAIN && errno != EINTR))
            close_stream(s);
        else if (errno == EAGAIN)
            break;
    }
    s->tail[s->n] = '\0';
}

void child_read(Child *c)
{
    read_stream(&c->out);
    read_stream(&c->err);
}

int child_poll(const Child *c, struct pollfd *dst)
{
    int n = 0;
    if (c->out.fd >= 0)
        dst[n++] = (struct pollfd){.fd = c->out.fd, .events = POLLIN};
    if (c->err.fd >= 0)
        dst[n++] = (struct pollfd){.fd = c->err.fd, .events = POLLIN};
    return n;
}

bool child_ended(Child *c, int *code)
{
    int status;
    if (c->pid == 0 || waitpid(c->pid, &status, WNOHANG) != c->pid)
        return false;
    child_read(c);
    close_stream(&c->out);
    close_stream(&c->err);
    c->pid = 0;
    *code = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
    return true;
}

void child_signal(const Child *c, int signo)
{
    if (c->pid > 0)
        kill(c->pid, signo);
}

/* Copies the line that starts at s. */
static void copy_line(const char *s, char dst[CHILD_LINE])
{
    snprintf(dst, CHILD_LINE, "%.*s", (int)strcspn(s, "\n"), s);
}

void child_last_line(const Child *c, char dst[CHILD_LINE])
{
    const char *s = c->out.tail, *line = s;
    for (; (s = strchr(s, '\n')) && s[1]; s++)
        line = s + 1;
    copy_line(line, dst);
}

void child_complaint(const Child *c, char dst[CHILD_LINE])
{
    static const char start[] = "cleave: ";
    dst[0] = '\0';
    for (const char *s = c->err.tail; s && *s; s = strchr(s, '\n')) {
        s += *s == '\n';
        if (strncmp(s, start, sizeof start - 1) == 0)
            copy_line(s + sizeof start - 1, dst);
    }
}
