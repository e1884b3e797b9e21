/* file.c -- every byte that we write passes put(), where the fault seam sits. A FileOut
 * fills a temporary beside its target; until the rename the target is untouched, after
 * it the new content is complete. A symbolic link keeps being one (its target is
 * replaced), an existing file keeps its mode, and something that is no regular file
 * (/dev/null, a pipe) is written directly: a rename would replace the device. */
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/intr.h"
#include "base/mem.h"
#include "base/str.h"

enum { BUF = 64 << 10, READ_STEP = 256 << 10, TMP_TRIES = 100, SHOWN = 600 };

struct FileOut {
    int fd;
    bool direct;             /* no temporary, nothing to rename */
    char path[PATH_MAX];     /* the file that is replaced */
    char tmp[PATH_MAX + 32];
    size_t fill;             /* bytes waiting in buf */
    char buf[BUF];
};

static _Atomic int64_t seam = -1; /* bytes until ENOSPC; -1: off */

void file_fail_after(int64_t bytes)
{
    atomic_store(&seam, bytes < 0 ? -1 : bytes);
}

/* The end of an overlong path, so that the reason behind it still fits. */
static const char *tail(const char *path, const char **dots)
{
    size_t n = strlen(path);
    *dots = n > SHOWN ? "..." : "";
    if (n > SHOWN)
        path += n - SHOWN;
    while (**dots && ((unsigned char)*path & 0xC0) == 0x80)
        path++;
    return path;
}

static bool io_err(Err *err, const char *what, const char *path)
{
    int code = errno;
    const char *dots, *end = tail(path, &dots);
    return err_set(err, ERR_IO, "cannot %s '%s%s': %s", what, dots, end,
                   strerror(code));
}

/* write(2), cut short or refused by the seam. */
static ssize_t put(int fd, const void *data, size_t n)
{
    int64_t left = atomic_load_explicit(&seam, memory_order_relaxed);
    if (left >= 0) {
        if (left == 0 && n > 0) {
            errno = ENOSPC;
            return -1;
        }
        if ((uint64_t)left < n)
            n = (size_t)left;
    }
    ssize_t got = write(fd, data, n);
    if (left >= 0 && got > 0)
        atomic_fetch_sub(&seam, got);
    return got;
}

/* Writes all of it; *done says how far it came. */
static bool put_all(int fd, const char *data, size_t n, size_t *done)
{
    *done = 0;
    while (*done < n) {
        ssize_t got = put(fd, data + *done, n - *done);
        if (got > 0) {
            *done += (size_t)got;
        } else if (got == 0) {
            errno = EIO;
            return false;
        } else if (errno != EINTR) {
            return false;
        }
    }
    return true;
}

static bool flush(FileOut *f, Err *err)
{
    size_t done, n = f->fill;
    f->fill = 0;
    if (put_all(f->fd, f->buf, n, &done))
        return true;
    return io_err(err, "write", f->path);
}

static bool open_tmp(FileOut *f, Err *err)
{
    for (int i = 0; i < TMP_TRIES; i++) {
        int n = snprintf(f->tmp, sizeof f->tmp, "%s.tmp-%ld", f->path, (long)getpid());
        if (i > 0)
            snprintf(f->tmp + n, sizeof f->tmp - (size_t)n, "-%d", i);
        f->fd = open(f->tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (f->fd >= 0)
            return true;
        if (errno != EEXIST)
            break;
    }
    return io_err(err, "create", f->path); /* the name that its user knows */
}

static bool open_target(FileOut *f, Err *err)
{
    struct stat st;
    if (stat(f->path, &st) != 0)
        return open_tmp(f, err);
    if (S_ISDIR(st.st_mode))
        return err_set(err, ERR_IO, "cannot write '%s': it is a directory", f->path);
    if (!S_ISREG(st.st_mode)) {
        f->direct = true;
        f->fd = open(f->path, O_WRONLY | O_CLOEXEC | O_NOCTTY);
        return f->fd >= 0 || io_err(err, "open", f->path);
    }
    if (!open_tmp(f, err))
        return false;
    /* a file system without modes refuses this; the content matters more */
    (void)!fchmod(f->fd, st.st_mode & 07777);
    return true;
}

FileOut *fileout_open(const char *path, Err *err)
{
    FileOut *f = mem_alloc(sizeof *f, err);
    struct stat st;
    if (!f)
        return NULL;
    f->fd = -1;
    f->direct = false;
    f->fill = 0;
    bool link = lstat(path, &st) == 0 && S_ISLNK(st.st_mode);
    if (!link || !realpath(path, f->path)) {
        if (!text_copy(f->path, sizeof f->path, path)) {
            errno = ENAMETOOLONG;
            io_err(err, "write", path);
            goto fail;
        }
    }
    if (open_target(f, err))
        return f;
fail:
    mem_free(f);
    return NULL;
}

bool fileout_write(FileOut *f, const void *data, size_t n, Err *err)
{
    size_t done;
    if (n < sizeof f->buf - f->fill) {
        memcpy(f->buf + f->fill, data, n);
        f->fill += n;
        return true;
    }
    if (!flush(f, err))
        return false;
    if (n < sizeof f->buf) {
        memcpy(f->buf, data, n);
        f->fill = n;
        return true;
    }
    if (put_all(f->fd, data, n, &done))
        return true;
    return io_err(err, "write", f->path);
}

void fileout_abort(FileOut *f)
{
    if (!f)
        return;
    if (f->fd >= 0)
        close(f->fd);
    if (!f->direct)
        unlink(f->tmp);
    mem_free(f);
}

/* Some devices and file systems know no fsync; that is no failure to write. */
static bool sync_fd(int fd)
{
    return fsync(fd) == 0 || errno == EINVAL || errno == ENOTSUP || errno == EROFS;
}

static bool commit(FileOut *f, bool sync, Err *err)
{
    if (!flush(f, err))
        goto fail;
    if (sync && !sync_fd(f->fd)) {
        io_err(err, "write", f->path);
        goto fail;
    }
    int fd = f->fd;
    f->fd = -1;
    if (close(fd) != 0 && errno != EINTR) {
        io_err(err, "write", f->path);
        goto fail;
    }
    if (!f->direct && rename(f->tmp, f->path) != 0) {
        io_err(err, "replace", f->path);
        goto fail;
    }
    mem_free(f);
    return true;
fail:
    fileout_abort(f);
    return false;
}

bool fileout_commit(FileOut *f, Err *err)
{
    return commit(f, true, err);
}

bool fileout_replace(FileOut *f, Err *err)
{
    return commit(f, false, err);
}

bool file_write_all(const char *path, const void *data, size_t n, Err *err)
{
    FileOut *f = fileout_open(path, err);
    if (!f)
        return false;
    if (!fileout_write(f, data, n, err)) {
        fileout_abort(f);
        return false;
    }
    return fileout_commit(f, err);
}

static bool too_large(const char *path, size_t max, Err *err)
{
    const char *dots, *end = tail(path, &dots);
    return err_set(err, ERR_IO,
                   "cannot read '%s%s': it has more than the %zu bytes allowed here",
                   dots, end, max);
}

/* Reads to the end, growing: what fstat says is a hint, pipes and /proc say 0. */
static bool slurp(int fd, const char *path, size_t hint, size_t max, char **data,
                  size_t *n, Err *err)
{
    size_t cap = hint + 2, len = 0; /* the NUL, and a byte to find the end with */
    char *buf = mem_alloc(cap, err);
    while (buf) {
        if (len + 1 >= cap) {
            cap = cap * 2 + 4096;
            char *more = mem_realloc(buf, cap, err);
            if (!more)
                break;
            buf = more;
        }
        size_t want = cap - len - 1;
        ssize_t got = read(fd, buf + len, want < READ_STEP ? want : READ_STEP);
        if (got < 0 && errno != EINTR) {
            io_err(err, "read", path);
            break;
        }
        if (!intr_check(err))
            break;
        if (got == 0) {
            buf[len] = '\0';
            *data = buf;
            *n = len;
            return true;
        }
        len += got > 0 ? (size_t)got : 0;
        if (len > max) {
            too_large(path, max, err);
            break;
        }
    }
    mem_free(buf);
    return false;
}

bool file_read_all(const char *path, size_t max, char **data, size_t *n, Err *err)
{
    struct stat st;
    bool ok = false;
    *data = NULL;
    *n = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0)
        return io_err(err, "open", path);
    if (fstat(fd, &st) != 0)
        io_err(err, "read", path);
    else if (S_ISDIR(st.st_mode))
        err_set(err, ERR_IO, "cannot read '%s': it is a directory", path);
    else if (S_ISREG(st.st_mode) && (uint64_t)st.st_size > max)
        too_large(path, max, err);
    else
        ok = slurp(fd, path, S_ISREG(st.st_mode) ? (size_t)st.st_size : 0, max, data, n,
                   err);
    close(fd);
    return ok;
}

bool file_exists(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0;
}

bool file_is_dir(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

bool dir_make(const char *path, Err *err)
{
    char part[PATH_MAX];
    if (!text_copy(part, sizeof part, path)) {
        errno = ENAMETOOLONG;
        return io_err(err, "make the folder", path);
    }
    for (char *p = part + 1; part[0] != '\0'; p++) {
        char c = *p;
        if (c != '/' && c != '\0')
            continue;
        *p = '\0';
        int why = mkdir(part, 0777) == 0 ? 0 : errno;
        if (why && !file_is_dir(part)) {
            errno = why == EEXIST ? ENOTDIR : why;
            return io_err(err, "make the folder", part);
        }
        *p = c;
        if (c == '\0')
            return true;
    }
    errno = ENOENT;
    return io_err(err, "make the folder", path);
}

/* After a write that stopped half-way: takes the torn piece off again, if the file is
 * a regular one and nobody has appended behind it. */
static void untear(int fd, size_t done)
{
    struct stat st;
    off_t end = lseek(fd, 0, SEEK_CUR);
    if (done > 0 && end >= (off_t)done && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) &&
        st.st_size == end && ftruncate(fd, end - (off_t)done) == 0)
        (void)!lseek(fd, end - (off_t)done, SEEK_SET);
}

bool fd_append(int fd, const void *data, size_t n, const char *path, Err *err)
{
    size_t done;
    if (put_all(fd, data, n, &done))
        return true;
    io_err(err, "append to", path);
    untear(fd, done);
    return false;
}

bool path_join(char *dst, size_t cap, const char *dir, const char *name, Err *err)
{
    size_t len = strlen(dir);
    const char *slash = len > 0 && dir[len - 1] == '/' ? "" : "/";
    int n = snprintf(dst, cap, "%s%s%s", dir, slash, name);
    if (n >= 0 && (size_t)n < cap)
        return true;
    const char *dots, *end = tail(name, &dots);
    return err_set(err, ERR_IO, "the path of '%s%s' in '%.*s' is longer than %zu bytes",
                   dots, end, SHOWN / 3, dir, cap > 0 ? cap - 1 : 0);
}
