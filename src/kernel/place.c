/* place.c -- where sessions are. The journal lies beside the notebook (or in the state
 * folder where that cannot be written); socket, lock and record lie in one private
 * folder of the user's on a local file system, under a hash of the notebook's real
 * path, so that their names are always short enough for a socket. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "kernel/client.h"
#include "kernel/document.h"
#include "kernel/place.h"
#include "lab/jval.h"
#include "lab/run.h"

enum { RECORD_MAX = 1 << 16, SESSIONS_MAX = 1000, SOCKET_NAME = 24 };

/* --- folders ---------------------------------------------------------------------- */

bool private_folder(const char *dir, Err *err)
{
    struct stat st;
    if (mkdir(dir, 0700) != 0 && errno != EEXIST)
        return err_set(err, ERR_IO, "cannot make the folder '%s': %s", dir,
                       strerror(errno));
    if (lstat(dir, &st) != 0)
        return err_set(err, ERR_IO, "cannot look at '%s': %s", dir, strerror(errno));
    const char *why = S_ISLNK(st.st_mode)       ? "is a link"
                      : !S_ISDIR(st.st_mode)    ? "is no folder"
                      : st.st_uid != geteuid()  ? "belongs to another user"
                      : (st.st_mode & 077) != 0 ? "is open to other users"
                                                : NULL;
    if (!why)
        return true;
    return err_set(err, ERR_IO,
                   "'%s' %s, so it cannot hold the sockets of sessions; it must be a "
                   "folder of yours with mode 0700 (or set CLEAVE_RUNTIME_DIR)",
                   dir, why);
}

bool private_folder_of(const char *path, Err *err)
{
    char dir[PATH_MAX];
    const char *slash = strrchr(path, '/');
    snprintf(dir, sizeof dir, "%.*s", slash ? (int)(slash - path) : 0, path);
    return private_folder(dir, err);
}

static bool home_folder(const char *variable, const char *below, char *dst, size_t cap,
                        Err *err)
{
    const char *set = getenv(variable), *home = getenv("HOME");
    if (set && set[0] == '/')
        return text_copy(dst, cap, set) ||
               err_set(err, ERR_IO, "$%s is too long", variable);
    if (!home || home[0] != '/') {
        struct passwd *pw = getpwuid(geteuid());
        home = pw ? pw->pw_dir : "/";
    }
    return path_join(dst, cap, home, below, err);
}

/* $XDG_STATE_HOME/cleave, made if need be. */
static bool state_folder(char *dst, size_t cap, Err *err)
{
    char base[PATH_MAX];
    return home_folder("XDG_STATE_HOME", ".local/state", base, sizeof base, err) &&
           path_join(dst, cap, base, "cleave", err) && dir_make(dst, err);
}

/* Locks and sockets need a file system of this machine. */
static bool is_local(const char *dir)
{
    static const unsigned remote[] = {0x6969,     0x517B,     0xFF534D42, 0xFE534D42,
                                      0x65735546, 0x0BD00BD0, 0x01021997, 0x47504653,
                                      0x00C36400, 0x19830326};
    struct statfs fs;
    if (statfs(dir, &fs) != 0)
        return false;
    for (size_t i = 0; i < ARRAY_LEN(remote); i++) {
        if ((unsigned)fs.f_type == remote[i])
            return false;
    }
    return true;
}

static bool fits(const char *dir)
{
    return strlen(dir) + 1 + SOCKET_NAME < sizeof((SessionPlace *)0)->socket;
}

static bool runtime_folder(char *dst, size_t cap, Err *err)
{
    char state[PATH_MAX];
    const char *set = getenv("CLEAVE_RUNTIME_DIR"), *tmp = getenv("TMPDIR");
    if (set && set[0]) {
        if (set[0] != '/' || !text_copy(dst, cap, set) || !fits(dst))
            return err_set(err, ERR_IO,
                           "CLEAVE_RUNTIME_DIR must be a path from the root of at most "
                           "%d letters; it is '%s'",
                           107 - SOCKET_NAME, set);
        return private_folder(dst, err);
    }
    if (state_folder(state, sizeof state, NULL) &&
        path_join(dst, cap, state, "run", NULL) && fits(dst) && is_local(state) &&
        access(state, W_OK) == 0)
        return private_folder(dst, err);
    snprintf(dst, cap, "%s/cleave-%ld", tmp && tmp[0] == '/' ? tmp : "/tmp",
             (long)geteuid());
    if (!fits(dst))
        snprintf(dst, cap, "/tmp/cleave-%ld", (long)geteuid());
    return private_folder(dst, err);
}

/* --- a file's session ------------------------------------------------------------- */

/* The real path, of a file that may not exist yet. */
static bool real_file(const char *file, char dst[PATH_MAX], Err *err)
{
    char dir[PATH_MAX], real[PATH_MAX];
    struct stat st;
    if (!file[0])
        return err_set(err, ERR_OPTION, "a notebook's name is empty");
    if (realpath(file, dst)) {
        if (stat(dst, &st) == 0 && !S_ISREG(st.st_mode))
            return err_set(err, ERR_OPTION, "'%s' is no file, so it is no notebook",
                           file);
        return true;
    }
    if (errno != ENOENT)
        return err_set(err, ERR_IO, "cannot open '%s': %s", file, strerror(errno));
    const char *slash = strrchr(file, '/');
    size_t n = slash ? (size_t)(slash - file) : 0;
    snprintf(dir, sizeof dir, "%.*s", slash ? (int)(n ? n : 1) : 1, slash ? file : ".");
    if (!realpath(dir, real))
        return err_set(err, ERR_IO, "cannot open '%s': the folder '%s' is not there",
                       file, dir);
    if (slash && !slash[1])
        return err_set(err, ERR_OPTION, "'%s' is no file, so it is no notebook", file);
    return path_join(dst, PATH_MAX, real, slash ? slash + 1 : file, err);
}

/* A folder that came with somebody's files may hold links that lead our writes
 * elsewhere; `levels` below it are looked at too. */
static bool no_links(const char *dir, int levels, Err *err)
{
    char path[PATH_MAX];
    struct stat st;
    bool ok = true;
    DIR *d = opendir(dir);
    if (!d)
        return err_set(err, ERR_IO, "cannot read '%s': %s", dir, strerror(errno));
    for (struct dirent *e; ok && (e = readdir(d));) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0 ||
            !path_join(path, sizeof path, dir, e->d_name, NULL) ||
            lstat(path, &st) != 0)
            continue;
        if (S_ISDIR(st.st_mode) && levels > 0)
            ok = no_links(path, levels - 1, err);
        else if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode))
            ok = err_set(err, ERR_IO,
                         "'%s' is a link or no plain file, so it cannot be part of a "
                         "session's journal; remove it",
                         path);
        else if (S_ISREG(st.st_mode) && st.st_nlink > 1 &&
                 strncmp(e->d_name, "events", 6) != 0) /* while a journal is replaced */
            ok =
                err_set(err, ERR_IO,
                        "'%s' has other names too, so it cannot be part of a session's "
                        "journal; remove it",
                        path);
    }
    closedir(d);
    return ok;
}

static bool is_link(const char *path)
{
    struct stat st;
    return lstat(path, &st) == 0 && S_ISLNK(st.st_mode);
}

static bool journal_folder(SessionPlace *p, const char *hash, Err *err)
{
    char dir[PATH_MAX], state[PATH_MAX], name[NAME_MAX + 20];
    const char *base = strrchr(p->file, '/') + 1;
    snprintf(dir, sizeof dir, "%.*s/.cleave", (int)(base - p->file - 1), p->file);
    if (is_link(dir))
        return err_set(err, ERR_IO,
                       "'%s' is a link, so it cannot hold the journal of '%s'", dir,
                       p->file);
    bool beside = path_join(p->dir, sizeof p->dir, dir, base, NULL) &&
                  dir_make(p->dir, NULL) && access(p->dir, W_OK | X_OK) == 0;
    if (!beside) {
        snprintf(name, sizeof name, "sessions/%s-%.200s", hash, base);
        if (!state_folder(state, sizeof state, err) ||
            !path_join(p->dir, sizeof p->dir, state, name, err) ||
            !dir_make(p->dir, err))
            return false;
    }
    struct stat st;
    if (lstat(p->dir, &st) != 0 || !S_ISDIR(st.st_mode) || st.st_uid != geteuid())
        return err_set(
            err, ERR_IO,
            "'%s' is a link or belongs to another user, so it cannot hold the "
            "journal of '%s'",
            p->dir, p->file);
    if ((st.st_mode & 077) != 0 && chmod(p->dir, 0700) != 0)
        return err_set(err, ERR_IO, "cannot make '%s' private: %s", p->dir,
                       strerror(errno));
    return no_links(p->dir, 1, err);
}

bool session_peek(const char *file, SessionPlace *p, Err *err)
{
    char hash[17], state[PATH_MAX], name[NAME_MAX + 20];
    memset(p, 0, sizeof *p);
    if (!real_file(file, p->file, err))
        return false;
    const char *base = strrchr(p->file, '/') + 1;
    int n = snprintf(p->dir, sizeof p->dir, "%.*s/.cleave/%.255s",
                     (int)(base - p->file - 1), p->file, base);
    if (n < (int)sizeof p->dir && file_is_dir(p->dir))
        return true;
    document_hash(p->file, strlen(p->file), hash);
    snprintf(name, sizeof name, "cleave/sessions/%s-%.200s", hash, base);
    bool there =
        home_folder("XDG_STATE_HOME", ".local/state", state, sizeof state, NULL) &&
        path_join(p->dir, sizeof p->dir, state, name, NULL) && file_is_dir(p->dir);
    if (!there)
        p->dir[0] = '\0';
    return true;
}

bool session_place(const char *file, SessionPlace *p, Err *err)
{
    char run[PATH_MAX], hash[17];
    memset(p, 0, sizeof *p);
    if (!real_file(file, p->file, err) || !runtime_folder(run, sizeof run, err))
        return false;
    document_hash(p->file, strlen(p->file), hash);
    snprintf(p->socket, sizeof p->socket, "%.80s/%s.sock", run, hash);
    snprintf(p->record, sizeof p->record, "%.4000s/%s.json", run, hash);
    snprintf(p->lock, sizeof p->lock, "%.4000s/%s.lock", run, hash);
    return journal_folder(p, hash, err);
}

int session_lock(const SessionPlace *p, Err *err)
{
    int fd = open(p->lock, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) {
        err_set(err, ERR_IO, "cannot open '%s': %s", p->lock, strerror(errno));
        return -1;
    }
    struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    if (fcntl(fd, F_OFD_SETLK, &whole) == 0)
        return fd;
    err_set(err, ERR_STATE, "a kernel for '%s' lives already", p->file);
    close(fd);
    return -1;
}

bool session_alive(const SessionPlace *p)
{
    int fd = open(p->lock, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return false;
    struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    bool alive = fcntl(fd, F_OFD_GETLK, &whole) == 0 && whole.l_type != F_UNLCK;
    close(fd);
    return alive;
}

/* --- records ---------------------------------------------------------------------- */

bool session_write_record(const SessionPlace *p, Err *err)
{
    json_t *o = json_pack("{s:o,s:o,s:I,s:f}", "file", jval_str(p->file), "dir",
                          jval_str(p->dir), "pid", (json_int_t)getpid(), "started",
                          clock_wall());
    if (!o)
        return err_set(err, ERR_MEMORY, "out of memory while noting the session");
    struct stat st;
    if (lstat(p->record, &st) == 0 && !S_ISREG(st.st_mode))
        unlink(p->record); /* a link would be written through */
    bool ok = jval_write_file(p->record, o, err);
    json_decref(o);
    return ok;
}

static bool read_record(const char *run, const char *name, SessionInfo *info)
{
    size_t n = strlen(name);
    SessionPlace *p = &info->place;
    if (n < 6 || strcmp(name + n - 5, ".json") != 0)
        return false;
    snprintf(p->record, sizeof p->record, "%.3800s/%.250s", run, name);
    snprintf(p->lock, sizeof p->lock, "%.3800s/%.*s.lock", run, (int)(n - 5), name);
    snprintf(p->socket, sizeof p->socket, "%.80s/%.*s.sock", run,
             (int)(n - 5 > 16 ? 16 : n - 5), name);
    json_t *o = jval_read_file(p->record, RECORD_MAX, NULL);
    bool ok = o && text_copy(p->file, sizeof p->file, jval_get(o, "file", "")) &&
              text_copy(p->dir, sizeof p->dir, jval_get(o, "dir", "")) && p->file[0];
    info->pid = jval_get_int(o, "pid", 0);
    info->started = json_number_value(json_object_get(o, "started"));
    json_decref(o);
    if (!ok)
        return false;
    info->alive = session_alive(p);
    const char *base = strrchr(p->file, '/');
    snprintf(info->name, sizeof info->name, "%.56s", base ? base + 1 : p->file);
    n = strlen(info->name);
    if (n > 4 && strcmp(info->name + n - 4, ".lua") == 0)
        info->name[n - 4] = '\0';
    return true;
}

static int live_then_new(const void *a, const void *b)
{
    const SessionInfo *x = a, *y = b;
    if (x->alive != y->alive)
        return x->alive ? -1 : 1;
    return x->started > y->started ? -1 : x->started < y->started;
}

static void tell_apart(SessionInfo *s, int n)
{
    for (int i = n - 1; i >= 0; i--) { /* the oldest keeps its plain name */
        int twin = 1;
        for (int k = n - 1; k > i; k--)
            twin += strcmp(s[k].place.file, s[i].place.file) != 0 &&
                    strncmp(s[k].name, s[i].name, strlen(s[i].name)) == 0 &&
                    (s[k].name[strlen(s[i].name)] == '\0' ||
                     s[k].name[strlen(s[i].name)] == '-');
        if (twin > 1) {
            size_t len = strlen(s[i].name);
            snprintf(s[i].name + len, sizeof s[i].name - len, "-%d", twin);
        }
    }
}

bool session_list(SessionInfo **list, int *n, Err *err)
{
    char run[PATH_MAX];
    *list = NULL;
    *n = 0;
    if (!runtime_folder(run, sizeof run, err))
        return false;
    DIR *d = opendir(run);
    if (!d)
        return err_set(err, ERR_IO, "cannot read '%s': %s", run, strerror(errno));
    int cap = 0;
    bool ok = true;
    for (struct dirent *e; ok && *n < SESSIONS_MAX && (e = readdir(d));) {
        if (*n == cap) {
            cap = cap ? 2 * cap : 8;
            SessionInfo *more = mem_realloc(*list, (size_t)cap * sizeof *more, err);
            ok = more != NULL;
            *list = more ? more : *list;
        }
        if (!ok)
            break;
        SessionInfo *info = &(*list)[*n];
        memset(info, 0, sizeof *info);
        *n += read_record(run, e->d_name, info);
    }
    closedir(d);
    if (!ok) {
        mem_free(*list);
        *list = NULL;
        *n = 0;
        return false;
    }
    if (*n > 0)
        qsort(*list, (size_t)*n, sizeof **list, live_then_new);
    tell_apart(*list, *n);
    return true;
}

bool session_find(const char *name, SessionInfo *info, Err *err)
{
    SessionInfo *list;
    int n;
    char real[PATH_MAX];
    if (!session_list(&list, &n, err))
        return false;
    bool any = !name || !name[0], found = false;
    if (any || !realpath(name, real))
        real[0] = '\0';
    for (int i = 0; i < n && !found; i++) {
        found = any ? list[i].alive
                    : strcmp(list[i].name, name) == 0 ||
                          strcmp(list[i].place.file, real) == 0;
        if (found)
            *info = list[i];
    }
    mem_free(list);
    if (found)
        return true;
    if (any)
        return err_set(err, ERR_STATE, "no session lives; cleave FILE.lua starts one");
    return err_set(err, ERR_STATE, "there is no session '%s'; cleave ls lists them",
                   name);
}

bool session_kill(const SessionPlace *p, Err *err)
{
    json_t *o = jval_read_file(p->record, RECORD_MAX, NULL);
    pid_t pid = (pid_t)jval_get_int(o, "pid", 0);
    json_decref(o);
    if (session_alive(p)) {
        if (pid <= 1 || kill(pid, SIGKILL) != 0)
            return err_set(err, ERR_STATE, "cannot kill the kernel %ld of '%s': %s",
                           (long)pid, p->file, strerror(errno));
        for (int i = 0; i < 250 && session_alive(p); i++)
            clock_sleep(0.02, NULL);
        if (session_alive(p))
            return err_set(err, ERR_STATE,
                           "the kernel %ld of '%s' was killed and is "
                           "still there",
                           (long)pid, p->file);
    }
    unlink(p->socket);
    unlink(p->record);
    return run_mark_crashed(p->dir, "the kernel was killed on request", err);
}
