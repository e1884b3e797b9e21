/* jread.c -- the reader. It keeps the bytes that follow the last whole line and hands
 * out lines from a buffer, so a torn last line simply waits for its rest. A line that
 * is no event costs one sentence and is skipped; so is one beyond LINE_MAX_BYTES,
 * without its ever being held whole. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "lab/jfigure.h"
#include "lab/journal.h"
#include "lab/jout.h"
#include "lab/jval.h"

#define POLL_EVERY 0.25 /* seconds, where changes are not announced */
enum { CHUNK = 64 << 10, LINE_MAX_BYTES = 64 << 20 };

enum { UNASKED = -2, WATCH_DIR = 1, WATCH_FILE };

typedef struct CellLog {
    int cell;
    int64_t log;
} CellLog;

struct JournalReader {
    char dir[PATH_MAX], path[PATH_MAX];
    int fd;         /* -1 until the file exists */
    int notify;     /* UNASKED at first; -1: poll */
    int watching;   /* WATCH_DIR until the file exists */
    int64_t offset; /* of the next byte to read */
    int64_t line;   /* of the next line, from 1 */
    char *buf;      /* bytes read and not handed out: buf[at..fill) */
    size_t at, fill, cap;
    size_t scanned; /* buf[at..scanned) holds no newline */
    bool skipping;  /* inside a line that is too long */
    CellLog *log;   /* cells whose newest text so far is not the first */
    int n_log, cap_log;
};

/* Network and user-space file systems do not announce what other machines write. */
static bool announces(const char *dir)
{
    static const long silent[] = {0x6969 /* nfs */,       0x517B /* smb */,
                                  0xFF534D42L /* cifs */, 0xFE534D42L /* smb2 */,
                                  0x65735546L /* fuse */, 0x0BD00BD0 /* lustre */,
                                  0x01021997 /* 9p */,    0x47504653 /* gpfs */,
                                  0x00C36400 /* ceph */,  0x19830326 /* beegfs */};
    struct statfs fs;
    if (statfs(dir, &fs) != 0)
        return false;
    for (size_t i = 0; i < ARRAY_LEN(silent); i++) {
        if ((unsigned)fs.f_type == (unsigned)silent[i])
            return false;
    }
    return true;
}

/* Asks for announcements, at the first wait: closing an inotify descriptor takes the
 * system milliseconds, which reading a finished journal should not cost. */
static void watch(JournalReader *r)
{
    bool on_file = r->fd >= 0;
    if (r->notify == UNASKED)
        r->notify = announces(r->dir) ? inotify_init1(IN_NONBLOCK | IN_CLOEXEC) : -1;
    if (r->notify < 0 || r->watching == (on_file ? WATCH_FILE : WATCH_DIR))
        return;
    r->watching = on_file ? WATCH_FILE : WATCH_DIR;
    const char *path = on_file ? r->path : r->dir;
    uint32_t mask = on_file ? IN_MODIFY : IN_CREATE | IN_MOVED_TO;
    if (inotify_add_watch(r->notify, path, mask) < 0) {
        close(r->notify);
        r->notify = -1;
    }
}

/* Opens the file as soon as it is there. */
static bool open_file(JournalReader *r, Err *err)
{
    if (r->fd >= 0)
        return true;
    r->fd = open(r->path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (r->fd < 0 && errno != ENOENT)
        return err_set(err, ERR_IO, "cannot open '%s': %s", r->path, strerror(errno));
    return true;
}

JournalReader *jreader_open(const char *dir, Err *err)
{
    JournalReader *r = mem_zalloc(sizeof *r, err);
    if (!r)
        return NULL;
    r->fd = -1;
    r->notify = UNASKED;
    r->line = 1;
    if (!text_copy(r->dir, sizeof r->dir, dir) ||
        !path_join(r->path, sizeof r->path, dir, "events.jsonl", err)) {
        err_set(err, ERR_IO, "the path '%s' is too long", dir);
        goto fail;
    }
    if (!file_is_dir(dir)) {
        err_set(err, ERR_IO, "'%s' is no run folder", dir);
        goto fail;
    }
    if (!open_file(r, err))
        goto fail;
    return r;
fail:
    jreader_close(r);
    return NULL;
}

void jreader_close(JournalReader *r)
{
    if (!r)
        return;
    if (r->fd >= 0)
        close(r->fd);
    if (r->notify >= 0)
        close(r->notify);
    mem_free(r->buf);
    mem_free(r->log);
    mem_free(r);
}

const char *jreader_dir(const JournalReader *r)
{
    return r->dir;
}

/* Room for one more chunk behind fill; what was handed out is dropped first. */
static bool make_room(JournalReader *r, Err *err)
{
    if (r->at > 0) {
        memmove(r->buf, r->buf + r->at, r->fill - r->at);
        r->fill -= r->at;
        r->scanned -= r->at;
        r->at = 0;
    }
    if (r->cap - r->fill >= CHUNK)
        return true;
    size_t cap = r->cap * 2 + CHUNK;
    char *more = mem_realloc(r->buf, cap, err);
    if (!more)
        return false;
    r->buf = more;
    r->cap = cap;
    return true;
}

/* Reads the next chunk: 1, 0 at the end of the file, -1 on an error. */
static int read_more(JournalReader *r, Err *err)
{
    if (!open_file(r, err))
        return -1;
    if (r->fd < 0)
        return 0;
    if (!make_room(r, err))
        return -1;
    ssize_t got = pread(r->fd, r->buf + r->fill, CHUNK, r->offset);
    if (got < 0) {
        err_set(err, ERR_IO, "cannot read '%s': %s", r->path, strerror(errno));
        return -1;
    }
    r->offset += got;
    r->fill += (size_t)got;
    return got > 0;
}

static json_t *bad_line(const JournalReader *r, const char *why, Err *err)
{
    err_set(err, ERR_FORMAT, "line %lld of '%s' was skipped: %s",
            (long long)r->line - 1, r->path, why);
    return NULL;
}

static CellLog *find_log(const JournalReader *r, int cell)
{
    for (int i = 0; i < r->n_log; i++) {
        if (r->log[i].cell == cell)
            return &r->log[i];
    }
    return NULL;
}

/* Which file the text of the execution that begins is in. Out of memory: the first, and
 * its text reads as replaced. */
static void note_start(JournalReader *r, const json_t *ev)
{
    int cell = (int)jval_get_int(ev, "cell", 0);
    int64_t log = jval_get_int(ev, "log", 1);
    CellLog *known = find_log(r, cell);
    if (known) {
        known->log = log;
        return;
    }
    if (log <= 1)
        return;
    if (r->n_log == r->cap_log) {
        int cap = r->cap_log * 2 + 16;
        CellLog *more = mem_realloc(r->log, (size_t)cap * sizeof *more, NULL);
        if (!more)
            return;
        r->log = more;
        r->cap_log = cap;
    }
    r->log[r->n_log++] = (CellLog){cell, log};
}

/* One line without its newline, as an event. */
static json_t *parse_line(JournalReader *r, const char *s, size_t n, Err *err)
{
    Err why = {0};
    r->line++;
    if (r->skipping) {
        r->skipping = false;
        return bad_line(r, "it is longer than 64 MiB", err);
    }
    json_t *ev = jval_parse(s, n, &why);
    if (!ev)
        return bad_line(r, why.msg, err);
    const char *kind = json_is_object(ev) ? jval_get(ev, "ev", NULL) : NULL;
    if (kind && strcmp(kind, "start") == 0)
        note_start(r, ev);
    if (kind)
        return ev;
    json_decref(ev);
    return bad_line(r, "it is no event", err);
}

json_t *jreader_next(JournalReader *r, bool *more, Err *err)
{
    *more = false;
    for (;;) {
        char *end = NULL;
        if (r->fill > r->scanned)
            end = memchr(r->buf + r->scanned, '\n', r->fill - r->scanned);
        if (end) {
            char *line = r->buf + r->at;
            r->at = r->scanned = (size_t)(end - r->buf) + 1;
            *more = true;
            return parse_line(r, line, (size_t)(end - line), err);
        }
        r->scanned = r->fill;
        if (r->fill - r->at > LINE_MAX_BYTES) {
            r->skipping = true;
            r->at = r->fill;
        }
        int got = read_more(r, err);
        if (got <= 0)
            return NULL;
    }
}

/* Takes the announcements off the queue; they only say "look again". */
static void drain(int fd)
{
    _Alignas(struct inotify_event) char buf[4096];
    while (read(fd, buf, sizeof buf) > 0)
        ;
}

int jreader_watch(JournalReader *r)
{
    watch(r);
    if (r->notify >= 0)
        drain(r->notify);
    return r->notify;
}

static bool grew(const JournalReader *r)
{
    struct stat st;
    if (r->fd < 0)
        return access(r->path, F_OK) == 0;
    return fstat(r->fd, &st) == 0 && st.st_size > r->offset;
}

void jreader_wait(JournalReader *r, double seconds, int extra_fd)
{
    double end = clock_now() + seconds;
    watch(r);
    for (;;) {
        if (r->notify >= 0)
            drain(r->notify); /* before looking: what comes later wakes the poll */
        double left = end - clock_now();
        if (grew(r) || left <= 0)
            return;
        if (r->notify < 0 && left > POLL_EVERY)
            left = POLL_EVERY;
        if (left > 3600)
            left = 3600;
        struct pollfd p[2] = {
            {.fd = r->notify, .events = POLLIN},
            {.fd = extra_fd,  .events = POLLIN}
        };
        if (poll(p, 2, (int)(left * 1e3) + 1) < 0 || p[1].revents)
            return;
    }
}

Figure *jreader_figure(JournalReader *r, const json_t *event, Err *err)
{
    return jfigure_rebuild(event, r->dir, err);
}

int64_t jreader_log(const JournalReader *r, int cell)
{
    const CellLog *known = find_log(r, cell);
    return known ? known->log : 1;
}

void jreader_log_name(const JournalReader *r, int cell, char dst[64])
{
    jout_name(cell, jreader_log(r, cell), dst);
}

bool jreader_out(JournalReader *r, int cell, int64_t from, size_t max, char **text,
                 size_t *n, Err *err)
{
    return jreader_log_out(r, cell, jreader_log(r, cell), from, max, text, n, err);
}

bool jreader_log_out(JournalReader *r, int cell, int64_t log, int64_t from, size_t max,
                     char **text, size_t *n, Err *err)
{
    char path[PATH_MAX + JOUT_NAME], name[JOUT_NAME];
    struct stat st;
    *text = NULL;
    *n = 0;
    jout_name(cell, log, name);
    snprintf(path, sizeof path, "%s/%s", r->dir, name);
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0 && errno == ENOENT && jout_newest(r->dir, cell, 0) > log) {
        err_set(err, ERR_STATE, "a newer execution of cell %d has replaced it", cell);
        goto fail;
    }
    if (fd < 0 || fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
        err_set(err, ERR_IO, "cannot read '%s': %s", path, strerror(errno));
        goto fail;
    }
    if (from < 0 || from > st.st_size) {
        err_set(err, ERR_FORMAT, "'%s' has no byte %lld", path, (long long)from);
        goto fail;
    }
    size_t want = (size_t)(st.st_size - from) < max ? (size_t)(st.st_size - from) : max;
    *text = mem_alloc(want + 1, err);
    if (!*text)
        goto fail;
    ssize_t got = pread(fd, *text, want, from);
    *n = got > 0 ? (size_t)got : 0;
    (*text)[*n] = '\0';
    close(fd);
    return true;
fail:
    if (fd >= 0)
        close(fd);
    return false;
}
