/* journal.c -- the writer. One mutex orders everything; every line is one append, so a
 * process killed at any moment leaves whole lines and at most one torn one. Text output
 * is appended to its log before the call returns and only its description (the byte
 * range) waits; the range ends where the file ends, so bytes that C libraries wrote to
 * the same log are in it. Progress waits for a slot: eight a second in the ordinary
 * way, which leaves two for those that must not be lost, and never more than ten in any
 * one second. */
#include "lab/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "lab/jfigure.h"
#include "lab/jout.h"
#include "lab/jval.h"

#define OUT_EVERY   0.05  /* seconds */
#define HEART_EVERY 10.0  /* seconds; readers allow 60 */
#define STEADY      0.125 /* seconds between progress events */
#define RATE_SPAN   10.0  /* seconds over which the rate is taken */
enum {
    BURST = 10,
    SAMPLES = 16,
    TEXT_CAP = 256,
    TOLD_BEFORE = 4 << 20,
    TEXT_MOST = 1 << 20
};

typedef struct Progress {
    bool waiting; /* the newest values are not in the file yet */
    double done, total;
    char text[TEXT_CAP];
    double sent[BURST]; /* times of the last events, a ring */
    int n_sent;
    struct {
        double t, done;
    } sample[SAMPLES]; /* of the running series, oldest first */
    int n_samples;
} Progress;

struct Journal {
    pthread_mutex_t lock;
    pthread_cond_t wake; /* for journal_wait() */
    bool poked;
    char dir[PATH_MAX];
    int fd, fd_metrics, fd_out, fd_heart;
    int64_t seq;    /* of the last event */
    int64_t figure; /* number of the last figure */
    int cell;
    int64_t log; /* the number of its text's file */
    bool capture;
    int64_t out_from; /* bytes of the log that events have described */
    double out_since; /* when text began to wait; 0: none waits */
    double heart_at;
    Progress progress;
    Journal *other; /* is told what a script does here; journal_tell() */
    void (*before_metric)(void *ctx);
    void *before_ctx;
    char name[128]; /* of the running cell */
    Err failed;     /* the first failure; ERR_NONE while healthy */
};

static int open_append(const char *dir, const char *name, Err *err)
{
    char path[PATH_MAX];
    if (!path_join(path, sizeof path, dir, name, err))
        return -1;
    int fd = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY, 0666);
    if (fd < 0)
        err_set(err, ERR_IO, "cannot open '%s': %s", path, strerror(errno));
    return fd;
}

static int64_t size_of(int fd)
{
    struct stat st;
    return fstat(fd, &st) == 0 ? (int64_t)st.st_size : 0;
}

/* The number of the last event in a piece of the file; 0 when it holds none. */
static int64_t last_seq(const char *s, size_t n)
{
    while (n > 0) {
        size_t from = n - 1;
        while (from > 0 && s[from - 1] != '\n')
            from--;
        json_t *ev = jval_parse(s + from, n - from, NULL);
        int64_t seq = jval_get_int(ev, "seq", 0);
        json_decref(ev);
        if (seq > 0)
            return seq;
        n = from;
    }
    return 0;
}

/* Finds the number to go on from, looking at a tail that grows until it holds a whole
 * event, and ends a torn last line. */
static bool continue_file(Journal *j, Err *err)
{
    int64_t size = size_of(j->fd);
    char last = '\n';
    for (int64_t tail = 64 << 10; size > 0 && j->seq == 0; tail *= 8) {
        int64_t from = tail < size ? size - tail : 0;
        char *s = mem_alloc((size_t)(size - from) + 1, err);
        if (!s)
            return false;
        ssize_t got = pread(j->fd, s, (size_t)(size - from), from);
        if (got > 0) {
            last = s[got - 1];
            j->seq = last_seq(s, (size_t)got);
        }
        mem_free(s);
        if (from == 0)
            break;
    }
    j->figure = j->seq; /* never fewer events than figures, so no number comes twice */
    return last == '\n' || fd_append(j->fd, "\n", 1, "events.jsonl", err);
}

Journal *journal_open(const char *dir, Err *err)
{
    Journal *j = mem_zalloc(sizeof *j, err);
    if (!j)
        return NULL;
    j->fd = j->fd_metrics = j->fd_out = j->fd_heart = -1;
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_mutex_init(&j->lock, NULL);
    pthread_cond_init(&j->wake, &monotonic);
    pthread_condattr_destroy(&monotonic);
    if (!text_copy(j->dir, sizeof j->dir, dir)) {
        err_set(err, ERR_IO, "the path '%s' is too long", dir);
        goto fail;
    }
    j->fd = open_append(dir, "events.jsonl", err);
    if (j->fd < 0)
        goto fail;
    j->fd_heart = open_append(dir, "heartbeat", err);
    if (j->fd_heart < 0 || !continue_file(j, err))
        goto fail;
    return j;
fail:
    journal_close(j);
    return NULL;
}

void journal_capture_std(Journal *j)
{
    j->capture = true;
}

/* Remembers the first failure; returns ok so that callers read well. */
static bool note(Journal *j, bool ok, const Err *e, Err *err)
{
    if (!ok) {
        if (j->failed.code == ERR_NONE && (e->code == ERR_IO || e->code == ERR_MEMORY))
            j->failed = *e;
        if (err)
            *err = *e;
    }
    return ok;
}

static bool append_line(Journal *j, int fd, const char *name, const json_t *v, Err *err)
{
    Str t;
    Err e = {0};
    str_init(&t);
    bool ok = jval_dump(v, 0, &t, &e);
    if (ok) {
        str_addc(&t, '\n');
        char path[PATH_MAX];
        ok = str_ok(&t, &e) && path_join(path, sizeof path, j->dir, name, &e) &&
             fd_append(fd, t.s, t.len, path, &e);
    }
    str_done(&t);
    return note(j, ok, &e, err);
}

/* Writes one event as it is; the lock is held. A number is used up only by success. */
static bool write_event(Journal *j, const char *kind, json_t *taken_body, Err *err)
{
    json_t *o = json_object();
    bool ok = o && jval_set(o, "seq", json_integer(j->seq + 1)) &&
              jval_set(o, "t", json_real(floor(clock_wall() * 1e3) / 1e3)) &&
              jval_set(o, "ev", json_string(kind)) &&
              (!taken_body || json_object_update(o, taken_body) == 0);
    json_decref(taken_body);
    if (!ok) {
        Err e = {0};
        err_set(&e, ERR_MEMORY, "out of memory while recording a '%s' event", kind);
        note(j, false, &e, err);
    } else {
        ok = append_line(j, j->fd, "events.jsonl", o, err);
        j->seq += ok;
    }
    json_decref(o);
    return ok;
}

/* An event that must have a body: NULL means that building it ran out of memory. */
static bool emit(Journal *j, const char *kind, json_t *taken_body, Err *err)
{
    Err e = {0};
    if (taken_body)
        return write_event(j, kind, taken_body, err);
    err_set(&e, ERR_MEMORY, "out of memory while recording a '%s' event", kind);
    return note(j, false, &e, err);
}

static bool flush_out(Journal *j, Err *err)
{
    j->out_since = 0;
    if (j->fd_out < 0)
        return true;
    int64_t to = size_of(j->fd_out);
    if (to <= j->out_from)
        return true;
    json_t *b = json_pack("{s:i,s:I,s:I,s:I}", "cell", j->cell, "from",
                          (json_int_t)j->out_from, "to", (json_int_t)to, "lines",
                          (json_int_t)jout_lines(j->fd_out, j->out_from, to));
    if (!emit(j, "out", b, err))
        return false;
    j->out_from = to;
    return true;
}

/* Items per second over the samples kept; 0 when unknown. */
static double progress_rate(const Progress *p)
{
    if (p->n_samples < 2)
        return 0;
    double secs = p->sample[p->n_samples - 1].t - p->sample[0].t;
    return secs > 0 ? (p->sample[p->n_samples - 1].done - p->sample[0].done) / secs : 0;
}

static bool flush_progress(Journal *j, Err *err)
{
    Progress *p = &j->progress;
    double rate = progress_rate(p);
    if (!p->waiting)
        return true;
    p->waiting = false;
    p->sent[p->n_sent++ % BURST] = clock_now();
    json_t *b = json_object();
    bool ok = b && jval_set(b, "cell", json_integer(j->cell)) &&
              jval_set(b, "done", jval_number(p->done)) &&
              (!(p->total > 0) || jval_set(b, "total", jval_number(p->total)));
    if (ok && rate > 0)
        ok = jval_set(b, "rate", jval_number(rate)) &&
             (!(p->total > 0) ||
              jval_set(b, "eta", jval_number((p->total - p->done) / rate)));
    ok = ok && (!p->text[0] || jval_set(b, "text", jval_str(p->text)));
    if (!ok) {
        json_decref(b);
        b = NULL;
    }
    return emit(j, "progress", b, err);
}

/* Whether one more progress event keeps to `gap` seconds and to ten in any second. */
static bool progress_slot(const Progress *p, double gap)
{
    double now = clock_now();
    if (p->n_sent > 0 && now - p->sent[(p->n_sent - 1) % BURST] < gap)
        return false;
    return p->n_sent < BURST || now - p->sent[p->n_sent % BURST] > 1.0;
}

/* What must be in the file before another event is. */
static bool flush_before(Journal *j, Err *err)
{
    bool ok = flush_out(j, err);
    if (ok && j->progress.waiting && progress_slot(&j->progress, STEADY))
        ok = flush_progress(j, err);
    return ok;
}

static bool scripts_say(const char *kind)
{
    return strcmp(kind, "value") == 0 || strcmp(kind, "log") == 0 ||
           strcmp(kind, "error") == 0;
}

/* A reader skips lines beyond 64 MiB, and nobody reads one of a tenth of it. */
static void clip_texts(json_t *body)
{
    static const char *const keys[] = {"text", "msg", "trace"};
    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        json_t *v = json_object_get(body, keys[i]);
        size_t n = json_string_length(v);
        json_t *cut =
            n > TEXT_MOST ? jval_clipped(json_string_value(v), n, TEXT_MOST) : NULL;
        if (cut)
            json_object_set_new(body, keys[i], cut);
    }
}

bool journal_event(Journal *j, const char *kind, json_t *taken_body, Err *err)
{
    if (scripts_say(kind))
        clip_texts(taken_body);
    pthread_mutex_lock(&j->lock);
    if (j->other && scripts_say(kind))
        journal_event(j->other, kind, json_deep_copy(taken_body), NULL);
    bool ok = flush_before(j, err);
    if (ok)
        ok = write_event(j, kind, taken_body, err);
    else
        json_decref(taken_body);
    pthread_mutex_unlock(&j->lock);
    return ok;
}

/* fresh: a file that holds no other execution's text. */
static bool open_out(Journal *j, int cell, bool fresh, Err *err)
{
    char name[JOUT_NAME];
    int64_t log = jout_newest(j->dir, cell, 0);
    int fd = -1;
    for (log = log > 0 ? log : 1;; log++) {
        jout_name(cell, log, name);
        fd = open_append(j->dir, name, err);
        if (fd < 0)
            return false;
        if (!fresh || size_of(fd) == 0)
            break;
        close(fd);
    }
    if (j->fd_out >= 0)
        close(j->fd_out);
    j->fd_out = fd;
    j->cell = cell;
    j->log = log;
    j->out_from = size_of(fd);
    if (j->capture) {
        fflush(stdout);
        dup2(fd, STDOUT_FILENO);
        dup2(fd, STDERR_FILENO);
    }
    return true;
}

/* The older text goes when the newer one's beginning is recorded. */
static bool record_start(Journal *j, const char *name, Err *err)
{
    json_t *b =
        json_pack("{s:i,s:o}", "cell", j->cell, "name", jval_str(name ? name : ""));
    if (b && j->log > 1 && !jval_set(b, "log", json_integer(j->log))) {
        json_decref(b);
        b = NULL;
    }
    if (!emit(j, "start", b, err))
        return false;
    jout_newest(j->dir, j->cell, j->log);
    return true;
}

bool journal_begin_cell(Journal *j, int cell, const char *name, Err *err)
{
    pthread_mutex_lock(&j->lock);
    Err e = {0};
    bool ok = flush_out(j, err) && flush_progress(j, err);
    if (ok)
        ok = note(j, open_out(j, cell, true, &e), &e, err);
    ok = ok && record_start(j, name, err);
    j->progress.n_samples = 0;
    text_copy(j->name, sizeof j->name, name ? name : "");
    if (j->other)
        journal_begin_cell(j->other, cell, name, NULL);
    pthread_mutex_unlock(&j->lock);
    return ok;
}

/* The lock is held. */
static void tell_text_so_far(Journal *j)
{
    char buf[16 << 10];
    int64_t at = 0;
    while (j->fd_out >= 0 && at < TOLD_BEFORE) {
        ssize_t got = pread(j->fd_out, buf, sizeof buf, at);
        if (got <= 0)
            break;
        journal_out(j->other, buf, (size_t)got, NULL);
        at += got;
    }
}

void journal_tell(Journal *j, Journal *other)
{
    pthread_mutex_lock(&j->lock);
    j->other = other;
    if (other && j->cell > 0) {
        journal_begin_cell(other, j->cell, j->name, NULL);
        tell_text_so_far(j);
    }
    pthread_mutex_unlock(&j->lock);
}

void journal_before_metric(Journal *j, void (*fn)(void *ctx), void *ctx)
{
    j->before_metric = fn;
    j->before_ctx = ctx;
}

bool journal_out(Journal *j, const char *text, size_t n, Err *err)
{
    char path[PATH_MAX + JOUT_NAME], name[JOUT_NAME];
    Err e = {0};
    if (n == 0)
        return true;
    pthread_mutex_lock(&j->lock);
    bool ok = j->fd_out >= 0 || open_out(j, 0, false, &e);
    if (ok) {
        jout_name(j->cell, j->log, name);
        snprintf(path, sizeof path, "%s/%s", j->dir, name);
        ok = fd_append(j->fd_out, text, n, path, &e);
    }
    note(j, ok, &e, err);
    if (ok && j->other)
        journal_out(j->other, text, n, NULL);
    if (ok && j->out_since == 0) {
        j->out_since = clock_now();
        pthread_cond_signal(&j->wake);
    } else if (ok && clock_now() - j->out_since >= OUT_EVERY) {
        ok = flush_out(j, err); /* in step even where nobody ticks */
    }
    pthread_mutex_unlock(&j->lock);
    return ok;
}

bool journal_end_cell(Journal *j, const char *status, double secs, Err *err)
{
    pthread_mutex_lock(&j->lock);
    bool ok = flush_out(j, err) && flush_progress(j, err);
    if (ok)
        ok =
            emit(j, "done",
                 json_pack("{s:i,s:o,s:o}", "cell", j->cell, "status", jval_str(status),
                           "secs", json_real(floor(secs * 1e6) / 1e6)),
                 err);
    if (j->other)
        journal_end_cell(j->other, status, secs, NULL);
    pthread_mutex_unlock(&j->lock);
    return ok;
}

/* The derived line: {"step":..,"t":..,"loss":..}. */
static bool write_metric_line(Journal *j, int64_t step, const json_t *m, Err *err)
{
    Err e = {0};
    if (j->fd_metrics < 0)
        j->fd_metrics = open_append(j->dir, "metrics.jsonl", &e);
    if (j->fd_metrics < 0)
        return note(j, false, &e, err);
    json_t *o = json_object();
    jval_set(o, "step", json_integer(step));
    jval_set(o, "t", json_real(floor(clock_wall() * 1e3) / 1e3));
    bool ok = o && json_object_update(o, (json_t *)m) == 0;
    if (ok) {
        ok = append_line(j, j->fd_metrics, "metrics.jsonl", o, err);
    } else {
        err_set(&e, ERR_MEMORY, "out of memory while recording metrics");
        note(j, false, &e, err);
    }
    json_decref(o);
    return ok;
}

bool journal_metric(Journal *j, int64_t step, const char *const *names,
                    const double *values, int n, Err *err)
{
    json_t *m = json_object(), *b = json_object();
    bool ok = m && b;
    for (int i = 0; ok && i < n; i++)
        ok = jval_set(m, names[i], jval_number(values[i]));
    ok = ok && jval_set(b, "step", json_integer(step)) &&
         json_object_set(b, "m", m) == 0;
    if (!j->other && j->before_metric)
        j->before_metric(j->before_ctx);
    pthread_mutex_lock(&j->lock);
    if (j->other)
        journal_metric(j->other, step, names, values, n, NULL);
    if (!ok) {
        Err e = {0};
        err_set(&e, ERR_MEMORY, "out of memory while recording metrics");
        note(j, false, &e, err);
    } else {
        ok = flush_before(j, err) && write_event(j, "metric", json_incref(b), err) &&
             write_metric_line(j, step, m, err);
    }
    pthread_mutex_unlock(&j->lock);
    json_decref(b);
    json_decref(m);
    return ok;
}

/* Keeps the samples of the last RATE_SPAN seconds, thinned so that they fit. */
static void add_sample(Progress *p, double now, double done)
{
    int n = p->n_samples;
    if (n >= 2 && now - p->sample[n - 2].t < RATE_SPAN / SAMPLES)
        n--; /* the newest is replaced until its distance is worth keeping */
    while (n == SAMPLES || (n > 2 && now - p->sample[0].t > RATE_SPAN)) {
        memmove(p->sample, p->sample + 1, sizeof p->sample[0] * (size_t)(n - 1));
        n--;
    }
    p->sample[n].t = now;
    p->sample[n].done = done;
    p->n_samples = n + 1;
}

bool journal_progress(Journal *j, double done, double total, const char *text, Err *err)
{
    Progress *p = &j->progress;
    char clipped[TEXT_CAP];
    bool ok = true;
    text_copy(clipped, sizeof clipped, text ? text : "");
    pthread_mutex_lock(&j->lock);
    if (j->other)
        journal_progress(j->other, done, total, text, NULL);
    bool same = done >= p->done && total == p->total && strcmp(clipped, p->text) == 0;
    if (!same || p->n_samples == 0) {
        /* the end of a series is kept if the rate allows */
        if (p->waiting && progress_slot(p, 0))
            ok = flush_out(j, err) && flush_progress(j, err);
        p->n_samples = 0;
    }
    p->done = done;
    p->total = total;
    memcpy(p->text, clipped, sizeof clipped);
    p->waiting = true;
    add_sample(p, clock_now(), done);
    if (ok && progress_slot(p, STEADY))
        ok = flush_out(j, err) && flush_progress(j, err);
    else
        pthread_cond_signal(&j->wake);
    pthread_mutex_unlock(&j->lock);
    return ok;
}

/* Letters, digits, '-', '_' and '.' of a name, at most 40; anything else becomes '-'.
 */
static void file_letters(const char *name, char dst[48])
{
    size_t n = 0;
    for (const char *s = name; *s && n < 40; s++) {
        bool plain = (*s >= 'a' && *s <= 'z') || (*s >= 'A' && *s <= 'Z') ||
                     (*s >= '0' && *s <= '9') || *s == '_' || (*s == '.' && n > 0);
        if (plain)
            dst[n++] = *s;
        else if (n > 0 && dst[n - 1] != '-')
            dst[n++] = '-';
    }
    while (n > 0 && dst[n - 1] == '-')
        n--;
    dst[n] = '\0';
}

static bool write_blob(const Figure *f, const char *path, Err *err)
{
    FileOut *out = fileout_open(path, err);
    if (!out)
        return false;
    if (jfigure_write_pixels(f, out, err))
        return fileout_commit(out, err);
    fileout_abort(out);
    return false;
}

/* figures/<id>.f32 and figures/<id>.png, before the event that names them. */
static bool write_figure_files(Journal *j, const Figure *f, const char *id,
                               json_t *body, Err *err)
{
    char path[PATH_MAX], rel[128];
    if (!path_join(path, sizeof path, j->dir, "figures", err) || !dir_make(path, err))
        return false;
    snprintf(rel, sizeof rel, "figures/%s.png", id);
    if (!path_join(path, sizeof path, j->dir, rel, err) || !figure_png(f, path, err))
        return false;
    bool ok = jval_set(body, "png", json_string(rel));
    if (ok && jfigure_pixels(f) > 0) {
        snprintf(rel, sizeof rel, "figures/%s.f32", id);
        if (!path_join(path, sizeof path, j->dir, rel, err) ||
            !write_blob(f, path, err))
            return false;
        ok = jval_set(body, "blob", json_string(rel));
    }
    return ok || err_set(err, ERR_MEMORY, "out of memory while recording a figure");
}

int journal_cell(Journal *j)
{
    pthread_mutex_lock(&j->lock);
    int cell = j->cell;
    pthread_mutex_unlock(&j->lock);
    return cell;
}

bool journal_figure(Journal *j, const Figure *f, const char *name, Err *err)
{
    char slug[48], id[80];
    Err e = {0};
    file_letters(name ? name : "", slug);
    pthread_mutex_lock(&j->lock);
    long long number = (long long)++j->figure;
    int cell = j->cell;
    if (j->other)
        journal_figure(j->other, f, name, NULL);
    pthread_mutex_unlock(&j->lock);
    snprintf(id, sizeof id, slug[0] ? "%03lld-%s" : "%03lld%s", number, slug);
    json_t *body = jfigure_describe(f);
    bool ok = body && jval_set(body, "id", json_string(id)) &&
              jval_set(body, "cell", json_integer(cell)) &&
              (!name || jval_set(body, "name", jval_str(name)));
    if (!ok)
        err_set(&e, ERR_MEMORY, "out of memory while recording a figure");
    ok = ok && write_figure_files(j, f, id, body, &e);
    if (ok)
        return journal_event(j, "figure", body, err);
    json_decref(body);
    pthread_mutex_lock(&j->lock);
    note(j, false, &e, err);
    pthread_mutex_unlock(&j->lock);
    return false;
}

/* The lock is held. */
static bool waits(const Journal *j)
{
    return j->out_since > 0 || j->progress.waiting;
}

bool journal_wait(Journal *j, double seconds)
{
    struct timespec until;
    double end = clock_now() + seconds;
    until.tv_sec = (time_t)end;
    until.tv_nsec = (long)((end - floor(end)) * 1e9);
    pthread_mutex_lock(&j->lock);
    int timed_out = 0;
    while (!waits(j) && !j->poked && timed_out == 0)
        timed_out = pthread_cond_timedwait(&j->wake, &j->lock, &until);
    j->poked = false;
    bool some = waits(j);
    pthread_mutex_unlock(&j->lock);
    return some;
}

void journal_poke(Journal *j)
{
    pthread_mutex_lock(&j->lock);
    j->poked = true;
    pthread_cond_signal(&j->wake);
    pthread_mutex_unlock(&j->lock);
}

bool journal_healthy(Journal *j, Err *err)
{
    pthread_mutex_lock(&j->lock);
    bool ok = j->failed.code == ERR_NONE;
    if (!ok && err)
        *err = j->failed;
    pthread_mutex_unlock(&j->lock);
    return ok;
}

bool journal_tick(Journal *j, Err *err)
{
    pthread_mutex_lock(&j->lock);
    double now = clock_now();
    bool ok = flush_out(j, err);
    if (ok && j->progress.waiting && progress_slot(&j->progress, STEADY))
        ok = flush_progress(j, err);
    if (j->heart_at == 0 || now - j->heart_at >= HEART_EVERY * 0.95) {
        j->heart_at = now;
        futimens(j->fd_heart, NULL);
    }
    if (j->other)
        journal_tick(j->other, NULL);
    pthread_mutex_unlock(&j->lock);
    return ok;
}

void journal_close(Journal *j)
{
    if (!j)
        return;
    if (j->fd >= 0) {
        flush_out(j, NULL);
        flush_progress(j, NULL);
    }
    int fds[] = {j->fd, j->fd_metrics, j->fd_out, j->fd_heart};
    for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
        if (fds[i] >= 0)
            close(fds[i]);
    }
    pthread_cond_destroy(&j->wake);
    pthread_mutex_destroy(&j->lock);
    mem_free(j);
}
