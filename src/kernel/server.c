/* server.c -- the socket and the request thread's loop. It waits in poll(2) without a
 * timeout (but for an idle session's end), so a session in which nothing happens wakes
 * nobody. Every peer must be of our own user. */
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "kernel/session_int.h"
#include "lab/jval.h"

enum { OUT_MAX = 64 << 20, PIECE = 64 << 10 };

/* --- the socket ------------------------------------------------------------------- */

/* What is left of an earlier kernel goes; the session's lock is ours, so nobody uses
 * it. Anything but a socket of ours is not touched. */
static bool heal(const char *path, Err *err)
{
    struct stat st;
    if (lstat(path, &st) != 0)
        return errno == ENOENT ||
               err_set(err, ERR_IO, "cannot look at '%s': %s", path, strerror(errno));
    if (S_ISLNK(st.st_mode) || !S_ISSOCK(st.st_mode) || st.st_uid != geteuid())
        return err_set(err, ERR_IO, "'%s' is no socket of ours; remove it", path);
    return unlink(path) == 0 ||
           err_set(err, ERR_IO, "cannot remove the old socket '%s': %s", path,
                   strerror(errno));
}

static bool listen_at(Session *k, Err *err)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    const char *path = k->place.socket;
    if (!text_copy(a.sun_path, sizeof a.sun_path, path))
        return err_set(err, ERR_IO, "the socket's path '%s' is too long", path);
    k->listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (k->listen_fd < 0)
        return err_set(err, ERR_IO, "cannot make a socket: %s", strerror(errno));
    mode_t mask = umask(077);
    int code = bind(k->listen_fd, (struct sockaddr *)&a, sizeof a);
    int why = errno;
    umask(mask);
    if (code != 0 || chmod(path, 0600) != 0 || listen(k->listen_fd, 16) != 0)
        return err_set(err, ERR_IO, "cannot listen at '%s': %s", path,
                       strerror(code ? why : errno));
    return true;
}

/* Announces what other programs do to the notebook's folder. */
static void watch_file(Session *k)
{
    char dir[PATH_MAX];
    const char *slash = strrchr(k->place.file, '/');
    snprintf(dir, sizeof dir, "%.*s/", (int)(slash - k->place.file), k->place.file);
    k->notify_fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    if (k->notify_fd >= 0 && inotify_add_watch(k->notify_fd, dir,
                                               IN_CLOSE_WRITE | IN_MOVED_TO |
                                                   IN_MOVED_FROM | IN_DELETE) < 0) {
        close(k->notify_fd);
        k->notify_fd = -1;
    }
}

bool server_open(Session *k, Err *err)
{
    if (!heal(k->place.socket, err) || !listen_at(k, err))
        return false;
    watch_file(k);
    return true;
}

void server_close(Session *k)
{
    unlink(k->place.socket);
    for (int i = 0; i < k->n_viewers; i++)
        close(k->viewer[i].fd);
    if (k->listen_fd >= 0)
        close(k->listen_fd);
    k->listen_fd = -1;
}

/* --- viewers ---------------------------------------------------------------------- */

static bool is_ours(int fd)
{
    struct ucred peer;
    socklen_t n = sizeof peer;
    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &n) == 0 &&
           peer.uid == geteuid();
}

static void take_viewer(Session *k)
{
    int fd = accept4(k->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0)
        return;
    if (!is_ours(fd) || k->n_viewers == VIEWERS_MAX) {
        session_emit(k, "log",
                     json_pack("{s:s}", "text",
                               k->n_viewers == VIEWERS_MAX
                                   ? "a viewer was refused: 16 are attached"
                                   : "a connection of another user was refused"),
                     NULL);
        close(fd);
        return;
    }
    Viewer *v = &k->viewer[k->n_viewers++];
    *v = (Viewer){.fd = fd};
    frame_reader_init(&v->in);
    str_init(&v->out);
}

static void drop_viewer(Session *k, int i)
{
    Viewer gone = k->viewer[i];
    k->n_viewers--;
    memmove(k->viewer + i, k->viewer + i + 1,
            (size_t)(k->n_viewers - i) * sizeof *k->viewer);
    close(gone.fd);
    frame_reader_done(&gone.in);
    str_done(&gone.out);
    if (gone.id > 0)
        session_viewer_left(k, gone.id);
    if (k->n_viewers == 0)
        k->lonely_since = clock_now();
}

static void send_some(Viewer *v)
{
    while (v->sent < v->out.len) {
        ssize_t got =
            send(v->fd, v->out.s + v->sent, v->out.len - v->sent, MSG_NOSIGNAL);
        if (got > 0) {
            v->sent += (size_t)got;
        } else if (got < 0 && errno == EINTR) {
            continue;
        } else {
            v->leaving = v->leaving || (errno != EAGAIN && errno != EWOULDBLOCK);
            break;
        }
    }
    if (v->sent == v->out.len) {
        str_clear(&v->out);
        v->sent = 0;
    }
}

static void answer_frames(Session *k, Viewer *v)
{
    Frame f;
    while (!v->leaving && frame_next(&v->in, &f, NULL) && f.kind) {
        /* no request takes raw bytes */
        json_t *reply = f.kind == 'J'
                            ? session_answer(k, v, f.json)
                            : reply_err(0, "bad", "raw bytes that nobody asked for");
        json_decref(f.json);
        if (!reply || !frame_json(reply, &v->out, NULL) || v->out.len > OUT_MAX)
            v->leaving = true;
        json_decref(reply);
        if (k->ending)
            break;
    }
    v->leaving = v->leaving || v->in.broken;
    send_some(v);
}

static void hear_viewer(Session *k, Viewer *v)
{
    char buf[PIECE];
    ssize_t got = recv(v->fd, buf, sizeof buf, 0);
    if (got > 0) {
        if (!frame_feed(&v->in, buf, (size_t)got, NULL))
            v->leaving = true;
        answer_frames(k, v);
    } else if (got == 0 || (errno != EAGAIN && errno != EINTR)) {
        v->leaving = true;
    }
}

/* --- the loop --------------------------------------------------------------------- */

/* Whether the announcements name the notebook. */
static bool file_announced(const Session *k)
{
    _Alignas(struct inotify_event) char buf[8192];
    const char *name = strrchr(k->place.file, '/') + 1;
    bool named = false;
    ssize_t got;
    while ((got = read(k->notify_fd, buf, sizeof buf)) > 0) {
        for (ssize_t at = 0; at < got;) {
            const struct inotify_event *e = (const void *)(buf + at);
            named = named || (e->len > 0 && strcmp(e->name, name) == 0) ||
                    (e->mask & IN_Q_OVERFLOW);
            at += (ssize_t)(sizeof *e + e->len);
        }
    }
    return named;
}

/* Milliseconds until an idle session ends; -1: never. */
static int patience(const Session *k)
{
    if (k->idle_seconds <= 0 || k->n_viewers > 0 || k->ran || k->busy ||
        k->doc->n_queue > 0)
        return -1;
    double left = k->lonely_since + k->idle_seconds - clock_now();
    return left <= 0 ? 0 : left > 1e6 ? 1000000000 : (int)ceil(left * 1e3);
}

static void listen_again(Session *k)
{
    k->relisten = false;
    close(k->listen_fd);
    k->listen_fd = -1;
    if (private_folder_of(k->place.socket, NULL) && heal(k->place.socket, NULL))
        listen_at(k, NULL);
    session_write_record(&k->place, NULL);
}

static void hear(Session *k, const struct pollfd *p, int n_polled)
{
    uint64_t count;
    char hash[17];
    if (p[1].revents)
        (void)!read(k->wake_fd, &count, sizeof count);
    if (p[2].revents && file_announced(k))
        session_look_at_disk(k, hash, NULL);
    for (int i = 0; i < n_polled && !k->ending; i++) {
        if (p[3 + i].revents & POLLOUT)
            send_some(&k->viewer[i]);
        if (p[3 + i].revents & (POLLIN | POLLHUP | POLLERR))
            hear_viewer(k, &k->viewer[i]);
    }
    for (int i = k->n_viewers - 1; i >= 0; i--) {
        if (k->viewer[i].leaving && !k->ending)
            drop_viewer(k, i);
    }
    if (p[0].revents)
        take_viewer(k);
}

void server_loop(Session *k)
{
    pthread_mutex_lock(&k->lock);
    while (!k->ending) {
        struct pollfd p[3 + VIEWERS_MAX] = {
            {.fd = k->listen_fd, .events = POLLIN},
            {.fd = k->wake_fd,   .events = POLLIN},
            {.fd = k->notify_fd, .events = POLLIN}
        };
        int n = k->n_viewers, wait = patience(k);
        for (int i = 0; i < n; i++) {
            const Viewer *v = &k->viewer[i];
            p[3 + i] = (struct pollfd){.fd = v->fd, .events = POLLIN};
            if (v->sent < v->out.len)
                p[3 + i].events |= POLLOUT;
        }
        pthread_mutex_unlock(&k->lock);
        int got = poll(p, (nfds_t)(3 + n), wait);
        pthread_mutex_lock(&k->lock);
        if (got > 0)
            hear(k, p, n);
        if (k->relisten)
            listen_again(k);
        if (got == 0 && patience(k) == 0)
            k->ending = true;
    }
    pthread_mutex_unlock(&k->lock);
}
