/* client.c -- the viewers' end of the socket. A kernel that has to be started tells
 * over a pipe when it listens, or why it cannot. */
#include "kernel/client.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/str.h"
#include "kernel/protocol.h"
#include "lab/journal.h"
#include "lab/jval.h"
#include "lab/run.h"

#define START_SECONDS 5.0
enum { PIECE = 64 << 10, READY_FD = 3, CORE_MAX = 8 };

struct Client {
    SessionPlace place;
    char dir[PATH_MAX], name[64];
    bool read_only;
    int fd, id;
    int64_t pid, next;
    FrameReader in;
    Str out;
    size_t sent;
    json_t *kept; /* replies that client_call() passed over */
};

/* --- starting --------------------------------------------------------------------- */

static int connect_to(const char *path, Err *err)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    struct ucred peer;
    struct stat st;
    socklen_t n = sizeof peer;
    if (lstat(path, &st) == 0 && (!S_ISSOCK(st.st_mode) || st.st_uid != geteuid())) {
        err_set(err, ERR_STATE, "'%s' is no socket of ours; remove it", path);
        return -1;
    }
    text_copy(a.sun_path, sizeof a.sun_path, path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof a) != 0) {
        err_set(err, ERR_STATE, "cannot connect to '%s': %s", path, strerror(errno));
    } else if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &n) != 0 ||
               peer.uid != geteuid()) {
        err_set(err, ERR_STATE, "the process behind '%s' is of another user", path);
    } else {
        fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
        return fd;
    }
    if (fd >= 0)
        close(fd);
    return -1;
}

/* Starts watcher and kernel in a session of their own. */
static bool spawn(const char *file, char *const *core, int ready, Err *err)
{
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attr;
    sigset_t dflt, none;
    pid_t pid;
    char option[24];
    char *argv[CORE_MAX + 8] = {(char *)"cleave", (char *)"--watch-session", option};
    int n = 3;
    snprintf(option, sizeof option, "--ready=%d", READY_FD);
    for (int i = 0; core && core[i] && i < CORE_MAX; i++)
        argv[n++] = core[i];
    argv[n++] = (char *)"--";
    argv[n++] = (char *)file;
    posix_spawn_file_actions_init(&files);
    posix_spawnattr_init(&attr);
    posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDWR, 0);
    posix_spawn_file_actions_adddup2(&files, STDIN_FILENO, STDOUT_FILENO);
    posix_spawn_file_actions_adddup2(&files, STDIN_FILENO, STDERR_FILENO);
    posix_spawn_file_actions_adddup2(&files, ready, READY_FD);
    sigemptyset(&none);
    sigfillset(&dflt);
    posix_spawnattr_setsigdefault(&attr, &dflt);
    posix_spawnattr_setsigmask(&attr, &none);
    posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGDEF |
                                        POSIX_SPAWN_SETSIGMASK);
    setenv("OPENBLAS_NUM_THREADS", "1", 0);
    int code = posix_spawn(&pid, "/proc/self/exe", &files, &attr, argv, environ);
    posix_spawnattr_destroy(&attr);
    posix_spawn_file_actions_destroy(&files);
    return code == 0 || err_set(err, ERR_STATE, "cannot start the kernel process: %s",
                                strerror(code));
}

/* Reads what a starting kernel says, until it closes the pipe. */
static bool await_ready(int fd, Err *err)
{
    char said[1000];
    size_t n = 0;
    double end = clock_now() + START_SECONDS;
    for (;;) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        double left = end - clock_now();
        if (left <= 0)
            return err_set(err, ERR_STATE, "the kernel did not start within %.0f s",
                           START_SECONDS);
        if (poll(&p, 1, (int)(left * 1e3) + 1) <= 0)
            continue;
        ssize_t got = read(fd, said + n, sizeof said - 1 - n);
        if (got <= 0)
            break;
        n += (size_t)got;
    }
    said[n] = '\0';
    if (strcmp(said, "ok") == 0 || strcmp(said, "taken") == 0)
        return true; /* taken: somebody else's kernel was faster */
    return err_set(err, ERR_STATE, "%s",
                   n ? said : "the kernel ended while it was starting");
}

static bool start_kernel(const SessionPlace *p, char *const *core, Err *err)
{
    int ready[2];
    if (pipe2(ready, O_CLOEXEC) != 0)
        return err_set(err, ERR_IO, "cannot make a pipe: %s", strerror(errno));
    if (ready[1] == READY_FD) { /* dup2 onto itself would keep it close-on-exec */
        int other = fcntl(ready[1], F_DUPFD_CLOEXEC, READY_FD + 1);
        close(ready[1]);
        ready[1] = other;
    }
    bool ok = spawn(p->file, core, ready[1], err);
    close(ready[1]);
    ok = ok && await_ready(ready[0], err);
    close(ready[0]);
    return ok;
}

/* --- a client --------------------------------------------------------------------- */

static void default_name(char dst[64])
{
    const char *tty = isatty(STDIN_FILENO) ? ttyname(STDIN_FILENO) : NULL;
    text_copy(dst, 64,
              !tty                            ? "no terminal"
              : strncmp(tty, "/dev/", 5) == 0 ? tty + 5
                                              : tty);
}

static bool greet(Client *c, Err *err)
{
    json_t *hello =
        json_pack("{s:s,s:i,s:o,s:b}", "req", "hello", "proto", PROTOCOL_VERSION,
                  "name", jval_str(c->name), "ro", c->read_only);
    json_t *ok = client_call(c, hello, START_SECONDS, err);
    if (!ok)
        return false;
    c->id = (int)jval_get_int(ok, "viewer", 0);
    c->pid = jval_get_int(ok, "pid", 0);
    text_copy(c->dir, sizeof c->dir, jval_get(ok, "dir", c->place.dir));
    json_decref(ok);
    return true;
}

static void hang_up(Client *c)
{
    if (c->fd >= 0)
        close(c->fd);
    c->fd = -1;
    frame_reader_done(&c->in);
    frame_reader_init(&c->in);
    str_clear(&c->out);
    c->sent = 0;
}

static bool attach(Client *c, Err *err)
{
    hang_up(c);
    c->fd = connect_to(c->place.socket, err);
    if (c->fd < 0)
        return false;
    if (greet(c, err))
        return true;
    hang_up(c);
    return false;
}

static Client *client_make(const SessionPlace *p, Err *err)
{
    Client *c = mem_zalloc(sizeof *c, err);
    if (!c)
        return NULL;
    c->place = *p;
    c->fd = -1;
    c->next = 1;
    frame_reader_init(&c->in);
    str_init(&c->out);
    return c;
}

/* Connects to the kernel that lives, waiting for one that is just beginning or ending,
 * or starts one. */
static bool reach(Client *c, const char *file, const ClientOptions *opt, Err *err)
{
    double end = clock_now() + START_SECONDS;
    do {
        if (!session_alive(&c->place)) {
            if (opt->no_start)
                return err_set(err, ERR_STATE, "no session of '%s' lives", file);
            if (!start_kernel(&c->place, opt->core, err))
                return false;
        }
        if (attach(c, err))
            return true;
        clock_sleep(0.02, NULL);
    } while (clock_now() < end);
    return err_prefix(err,
                      "the kernel of '%s' lives but cannot be reached (kill -USR1 "
                      "makes its socket anew)",
                      file);
}

Client *client_open(const char *file, const ClientOptions *opt, Err *err)
{
    static const ClientOptions none = {0};
    SessionPlace place;
    if (!opt)
        opt = &none;
    if (!session_place(file, &place, err))
        return NULL;
    Client *c = client_make(&place, err);
    if (!c)
        return NULL;
    c->read_only = opt->read_only;
    default_name(c->name);
    if (opt->name)
        text_copy(c->name, sizeof c->name, opt->name);
    bool ok = reach(c, file, opt, err);
    if (ok)
        return c;
    client_close(c);
    return NULL;
}

void client_close(Client *c)
{
    if (!c)
        return;
    hang_up(c);
    frame_reader_done(&c->in);
    str_done(&c->out);
    json_decref(c->kept);
    mem_free(c);
}

const char *client_dir(const Client *c)
{
    return c->dir;
}

const SessionPlace *client_place(const Client *c)
{
    return &c->place;
}

int client_id(const Client *c)
{
    return c->id;
}

int64_t client_pid(const Client *c)
{
    return c->pid;
}

int client_fd(const Client *c)
{
    return c->fd;
}

bool client_alive(const Client *c)
{
    return c->fd >= 0;
}

bool client_pending(const Client *c)
{
    return c->fd >= 0 && c->sent < c->out.len;
}

/* --- requests and replies --------------------------------------------------------- */

json_t *client_request(const char *name, const char *fmt, ...)
{
    va_list ap;
    json_error_t at;
    va_start(ap, fmt);
    json_t *q = fmt ? json_vpack_ex(&at, 0, fmt, ap) : json_object();
    va_end(ap);
    if (q && jval_set(q, "req", json_string(name)))
        return q;
    json_decref(q);
    return NULL;
}

static void flush(Client *c)
{
    while (client_pending(c)) {
        ssize_t got =
            send(c->fd, c->out.s + c->sent, c->out.len - c->sent, MSG_NOSIGNAL);
        if (got > 0)
            c->sent += (size_t)got;
        else if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
            return;
        else if (got >= 0 || errno != EINTR)
            break; /* what the kernel still said can be read */
    }
    str_clear(&c->out);
    c->sent = 0;
}

bool client_send(Client *c, json_t *taken_request, int64_t *id, Err *err)
{
    int64_t mine = c->next++;
    bool ok = taken_request != NULL;
    if (!ok)
        err_set(err, ERR_MEMORY, "out of memory while a request was made");
    if (ok && c->fd < 0)
        ok = err_set(err, ERR_STATE, "the kernel is gone");
    ok = ok && jval_set(taken_request, "id", json_integer(mine)) &&
         frame_json(taken_request, &c->out, err);
    json_decref(taken_request);
    if (id)
        *id = mine;
    if (ok)
        flush(c);
    return ok;
}

/* A reply from the bytes that are there; NULL: none is whole. */
static json_t *next_reply(Client *c, Err *err)
{
    Frame f;
    while (c->fd >= 0) {
        if (!frame_next(&c->in, &f, err)) {
            hang_up(c);
            return NULL;
        }
        if (f.kind != 'B')
            return f.json;
    }
    return NULL;
}

/* Reads without waiting. */
static void hear(Client *c)
{
    char buf[PIECE];
    while (c->fd >= 0) {
        ssize_t got = recv(c->fd, buf, sizeof buf, 0);
        if (got > 0) {
            if (!frame_feed(&c->in, buf, (size_t)got, NULL))
                hang_up(c);
            if ((size_t)got < sizeof buf)
                return;
        } else if (got < 0 && errno == EINTR) {
            continue;
        } else {
            if (got == 0 || (errno != EAGAIN && errno != EWOULDBLOCK))
                hang_up(c);
            return;
        }
    }
}

json_t *client_receive(Client *c, Err *err)
{
    if (json_array_size(c->kept) > 0) {
        json_t *first = json_incref(json_array_get(c->kept, 0));
        json_array_remove(c->kept, 0);
        return first;
    }
    flush(c);
    json_t *reply = next_reply(c, err);
    if (!reply && c->fd >= 0) {
        hear(c);
        reply = next_reply(c, err);
    }
    return reply;
}

static json_t *verdict(json_t *taken_reply, Err *err)
{
    json_t *ok = json_incref(json_object_get(taken_reply, "ok"));
    const json_t *e = json_object_get(taken_reply, "err");
    if (!ok)
        err_set(err, ERR_STATE, "%s", jval_get(e, "msg", "the kernel gave no reason"));
    json_decref(taken_reply);
    return ok;
}

json_t *client_call(Client *c, json_t *taken_request, double seconds, Err *err)
{
    int64_t id;
    double end = clock_now() + seconds;
    if (!client_send(c, taken_request, &id, err))
        return NULL;
    for (;;) {
        json_t *reply = next_reply(c, err);
        if (reply && jval_get_int(reply, "id", 0) == id)
            return verdict(reply, err);
        if (reply) {
            if (!c->kept)
                c->kept = json_array();
            json_array_append_new(c->kept, reply);
            continue;
        }
        double left = end - clock_now();
        if (c->fd < 0 || left <= 0) {
            err_set(err, ERR_STATE,
                    c->fd < 0 ? "the kernel is gone"
                              : "the kernel did not answer in time");
            return NULL;
        }
        short events = (short)(POLLIN | (client_pending(c) ? POLLOUT : 0));
        struct pollfd p = {.fd = c->fd, .events = events};
        if (poll(&p, 1, (int)(left * 1e3) + 1) > 0) {
            flush(c);
            hear(c);
        }
    }
}

json_t *session_ask(const SessionPlace *p, const char *request, double seconds,
                    Err *err)
{
    json_t *ok = NULL;
    Client *c = client_make(p, err);
    if (!c)
        return NULL;
    c->fd = connect_to(p->socket, err);
    if (c->fd >= 0)
        ok = client_call(c, client_request(request, NULL), seconds, err);
    client_close(c);
    return ok;
}

/* --- a kernel that is gone -------------------------------------------------------- */

/* The last state of the journal, and why. */
static bool last_state(const char *dir, char state[16], char *why, size_t cap)
{
    bool more, any = false;
    json_t *ev;
    JournalReader *r = jreader_open(dir, NULL);
    if (!r)
        return false;
    while ((ev = jreader_next(r, &more, NULL)) || more) {
        if (ev && strcmp(jval_get(ev, "ev", ""), "state") == 0) {
            text_copy(state, 16, jval_get(ev, "state", ""));
            text_copy(why, cap, jval_get(ev, "why", ""));
            any = true;
        }
        json_decref(ev);
    }
    jreader_close(r);
    return any;
}

void client_why_gone(Client *c, char *dst, size_t cap)
{
    char state[16] = "", why[300] = "";
    for (int i = 0; i < 25; i++) {
        if (last_state(c->dir, state, why, sizeof why) && strcmp(state, "running") != 0)
            break;
        clock_sleep(0.02, NULL);
    }
    if (why[0])
        text_copy(dst, cap, why);
    else if (strcmp(state, "done") == 0)
        text_copy(dst, cap, "the session was ended");
    else
        snprintf(dst, cap, "the kernel (process %lld) is gone and left no reason",
                 (long long)c->pid);
}

bool client_reopen(Client *c, Err *err)
{
    if (!session_alive(&c->place))
        return err_set(err, ERR_STATE, "no session of '%s' lives", c->place.file);
    return attach(c, err);
}
