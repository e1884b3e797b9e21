/* run.c -- run.json is a JSON object in memory, written whole each time. A process is
 * told from a later one with the same pid by its start time in /proc (clock ticks since
 * boot). */
#include "lab/run.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "lab/jval.h"

#define LIVE_SECONDS 60.0
enum { RUN_JSON_MAX = 64 << 20, SCRIPT_MAX = 16 << 20, NAME_MAX_LEN = 40 };

struct Run {
    char dir[PATH_MAX], path[PATH_MAX];
    Journal *journal;
    json_t *json;
    pthread_mutex_t lock;
    bool dirty;
    double start;
    Run *part; /* is told what this one is; run_tell() */
};

/* The script's base name without .lua, in file-name letters. */
static void short_name(const char *script, char dst[NAME_MAX_LEN + 1])
{
    const char *base = strrchr(script, '/');
    base = base ? base + 1 : script;
    size_t len = strlen(base), n = 0;
    if (len > 4 && strcmp(base + len - 4, ".lua") == 0)
        len -= 4;
    for (size_t i = 0; i < len && n < NAME_MAX_LEN; i++) {
        char c = base[i];
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                     (c >= '0' && c <= '9') || c == '_';
        dst[n++] = plain ? c : '-';
    }
    dst[n] = '\0';
}

/* Six letters from the system's random source: 2^30 ids within one second and name. */
static void random_id(char dst[7])
{
    static const char letters[] = "0123456789abcdefghjkmnpqrstvwxyz";
    unsigned char b[6];
    if (getrandom(b, sizeof b, 0) != (ssize_t)sizeof b) {
        double t = clock_now() + getpid();
        memcpy(b, &t, sizeof b);
    }
    for (int i = 0; i < 6; i++)
        dst[i] = letters[b[i] & 31];
    dst[6] = '\0';
}

/* In a folder that nobody knows yet the file needs no rename, and no wait for the disk.
 */
static bool copy_script(const char *dir, const char *text, size_t n, Err *err)
{
    char path[PATH_MAX];
    if (!path_join(path, sizeof path, dir, "script.lua", err))
        return false;
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd < 0)
        return err_set(err, ERR_IO, "cannot create '%s': %s", path, strerror(errno));
    bool ok = fd_append(fd, text, n, path, err);
    if (close(fd) != 0 && ok)
        ok = err_set(err, ERR_IO, "cannot write '%s': %s", path, strerror(errno));
    if (!ok)
        unlink(path);
    return ok;
}

bool run_make_dir_of(const char *root, const char *script, const char *text, size_t n,
                     char *dst, size_t cap, Err *err)
{
    char name[NAME_MAX_LEN + 1], id[7], stamp[20], entry[96];
    bool ok = false;
    if (!root)
        root = getenv("CLEAVE_RUNS");
    if (!root || !root[0])
        root = "runs";
    time_t now = (time_t)clock_wall();
    struct tm tm;
    localtime_r(&now, &tm);
    strftime(stamp, sizeof stamp, "%Y%m%d-%H%M%S", &tm);
    short_name(script, name);
    if (!dir_make(root, err))
        return false;
    for (int i = 0; i < 100; i++) {
        random_id(id);
        snprintf(entry, sizeof entry, "%s-%s-%s", stamp, name, id);
        if (!path_join(dst, cap, root, entry, err))
            return false;
        ok = mkdir(dst, 0777) == 0;
        if (ok || errno != EEXIST)
            break;
    }
    if (!ok)
        return err_set(err, ERR_IO, "cannot make the run folder '%s': %s", dst,
                       strerror(errno));
    ok = copy_script(dst, text, n, err);
    if (!ok)
        rmdir(dst);
    return ok;
}

bool run_make_dir(const char *root, const char *script, char *dst, size_t cap, Err *err)
{
    char *text;
    size_t n;
    if (!file_read_all(script, SCRIPT_MAX, &text, &n, err))
        return false;
    bool ok = run_make_dir_of(root, script, text, n, dst, cap, err);
    mem_free(text);
    return ok;
}

/* Field 22 of /proc/<pid>/stat; 0 when the process is not there. */
static int64_t process_start(long pid)
{
    char path[64], *text;
    size_t n;
    snprintf(path, sizeof path, "/proc/%ld/stat", pid);
    if (!file_read_all(path, 4096, &text, &n, NULL))
        return 0;
    char *p = strrchr(text, ')'); /* the name before it may hold anything */
    char state = p && p[1] == ' ' ? p[2] : 'Z';
    for (int field = 2; p && field < 22; field++)
        p = strchr(p + 1, ' ');
    int64_t start = p && state != 'Z' && state != 'X' ? strtoll(p + 1, NULL, 10) : 0;
    mem_free(text);
    return start;
}

static void host_name(char dst[256])
{
    if (gethostname(dst, 256) != 0)
        strcpy(dst, "unknown");
    dst[255] = '\0';
}

static bool set_time(json_t *o, const char *key, double wall)
{
    char iso[32];
    clock_iso(wall, iso);
    return jval_set(o, key, json_string(iso));
}

Run *run_open(const char *dir, Err *err)
{
    char host[256];
    Run *r = mem_zalloc(sizeof *r, err);
    if (!r)
        return NULL;
    pthread_mutex_init(&r->lock, NULL);
    if (!text_copy(r->dir, sizeof r->dir, dir)) {
        err_set(err, ERR_IO, "the path '%s' is too long", dir);
        goto fail;
    }
    if (!path_join(r->path, sizeof r->path, dir, "run.json", err))
        goto fail;
    r->journal = journal_open(dir, err);
    if (!r->journal)
        goto fail;
    host_name(host);
    r->start = clock_wall();
    r->json = json_object();
    r->dirty = true;
    bool ok = r->json && jval_set(r->json, "state", json_string("running")) &&
              set_time(r->json, "start", r->start) &&
              jval_set(r->json, "host", jval_str(host)) &&
              jval_set(r->json, "pid", json_integer(getpid())) &&
              jval_set(r->json, "pid_start", json_integer(process_start(getpid())));
    if (ok)
        return r;
    err_set(err, ERR_MEMORY, "out of memory while opening the run '%s'", dir);
fail:
    run_close(r);
    return NULL;
}

void run_close(Run *r)
{
    if (!r)
        return;
    journal_close(r->journal);
    json_decref(r->json);
    pthread_mutex_destroy(&r->lock);
    mem_free(r);
}

Journal *run_journal(Run *r)
{
    return r->journal;
}

const char *run_dir(const Run *r)
{
    return r->dir;
}

void run_tell(Run *r, Run *part)
{
    pthread_mutex_lock(&r->lock);
    json_t *settings = json_object_get(r->json, "settings");
    if (part && settings)
        run_set(part, "settings", json_incref(settings), NULL);
    r->part = part;
    pthread_mutex_unlock(&r->lock);
    journal_tell(r->journal, part ? part->journal : NULL);
}

bool run_set(Run *r, const char *key, json_t *taken_value, Err *err)
{
    pthread_mutex_lock(&r->lock);
    if (r->part && taken_value && strcmp(key, "settings") == 0)
        run_add(r->part, key, taken_value, NULL); /* it has some of its own */
    else if (r->part && taken_value)
        run_set(r->part, key, json_incref(taken_value), NULL);
    bool ok = jval_set(r->json, key, taken_value);
    r->dirty = r->dirty || ok;
    pthread_mutex_unlock(&r->lock);
    journal_poke(r->journal);
    return ok ||
           err_set(err, ERR_MEMORY, "out of memory while noting '%s' of the run", key);
}

bool run_append(Run *r, const char *key, json_t *taken_value, Err *err)
{
    pthread_mutex_lock(&r->lock);
    if (r->part && taken_value)
        run_append(r->part, key, json_incref(taken_value), NULL);
    json_t *list = json_object_get(r->json, key);
    bool ok = list || jval_set(r->json, key, json_array());
    list = json_object_get(r->json, key);
    ok = ok && taken_value && json_array_append(list, taken_value) == 0;
    r->dirty = r->dirty || ok;
    pthread_mutex_unlock(&r->lock);
    json_decref(taken_value);
    journal_poke(r->journal);
    return ok ||
           err_set(err, ERR_MEMORY, "out of memory while noting '%s' of the run", key);
}

bool run_add(Run *r, const char *key, const json_t *members, Err *err)
{
    pthread_mutex_lock(&r->lock);
    if (r->part)
        run_add(r->part, key, members, NULL);
    json_t *had = json_object_get(r->json, key);
    json_t *all = json_is_object(had) ? json_deep_copy(had) : json_object();
    bool ok = all && json_object_update(all, (json_t *)members) == 0 &&
              json_object_set(r->json, key, all) == 0;
    r->dirty = r->dirty || ok;
    pthread_mutex_unlock(&r->lock);
    json_decref(all);
    journal_poke(r->journal);
    return ok ||
           err_set(err, ERR_MEMORY, "out of memory while noting '%s' of the run", key);
}

bool run_save(Run *r, Err *err)
{
    pthread_mutex_lock(&r->lock);
    bool ok = !r->dirty || jval_write_file(r->path, r->json, err);
    if (ok)
        r->dirty = false;
    if (r->part)
        run_save(r->part, NULL);
    pthread_mutex_unlock(&r->lock);
    return ok;
}

bool run_unsaved(Run *r)
{
    pthread_mutex_lock(&r->lock);
    bool dirty = r->dirty;
    pthread_mutex_unlock(&r->lock);
    return dirty;
}

bool run_finish(Run *r, const char *state, json_t *taken_result, Err *err)
{
    json_t *result = taken_result ? taken_result : json_null();
    double now = clock_wall();
    pthread_mutex_lock(&r->lock);
    bool ok =
        jval_set(r->json, "state", json_string(state)) &&
        json_object_set(r->json, "result", result) == 0 &&
        set_time(r->json, "end", now) &&
        jval_set(r->json, "seconds", json_real(round((now - r->start) * 1e3) / 1e3));
    r->dirty = true;
    pthread_mutex_unlock(&r->lock);
    if (!ok) {
        json_decref(result);
        return err_set(err, ERR_MEMORY, "out of memory while finishing the run");
    }
    if (taken_result)
        ok = journal_event(r->journal, "result", json_pack("{s:O}", "result", result),
                           err);
    json_decref(result);
    return ok &&
           journal_event(r->journal, "state", json_pack("{s:s}", "state", state),
                         err) &&
           run_save(r, err);
}

/* run.json of a folder, or an empty object if there is none yet. */
static json_t *read_run(const char *dir, char path[PATH_MAX], Err *err)
{
    if (!path_join(path, PATH_MAX, dir, "run.json", err))
        return NULL;
    if (!file_exists(path) && file_is_dir(dir))
        return json_object();
    return jval_read_file(path, RUN_JSON_MAX, err);
}

bool run_mark_crashed(const char *dir, const char *why, Err *err)
{
    char path[PATH_MAX];
    json_t *o = read_run(dir, path, err);
    if (!o)
        return false;
    bool ok = true;
    if (strcmp(jval_get(o, "state", "running"), "running") == 0) {
        ok = jval_set(o, "state", json_string("crashed")) &&
             jval_set(o, "why", jval_str(why)) && set_time(o, "end", clock_wall());
        if (!ok)
            err_set(err, ERR_MEMORY, "out of memory while marking the run as crashed");
        ok = ok && jval_write_file(path, o, err);
        Journal *j = ok ? journal_open(dir, err) : NULL;
        if (ok)
            ok = j && journal_event(j, "state",
                                    json_pack("{s:s,s:o}", "state", "crashed", "why",
                                              jval_str(why)),
                                    err);
        journal_close(j);
    }
    json_decref(o);
    return ok;
}

static bool is_live(const char *dir, const json_t *o)
{
    char host[256], path[PATH_MAX];
    struct stat st;
    int64_t pid = jval_get_int(o, "pid", 0);
    host_name(host);
    if (pid > 0 && strcmp(host, jval_get(o, "host", "")) == 0) {
        int64_t start = process_start((long)pid);
        return start != 0 && start == jval_get_int(o, "pid_start", start);
    }
    if (!path_join(path, sizeof path, dir, "heartbeat", NULL) || stat(path, &st) != 0)
        return false;
    return clock_wall() - (double)st.st_mtime < LIVE_SECONDS;
}

bool run_state(const char *dir, char dst[16], Err *err)
{
    char path[PATH_MAX];
    json_t *o = read_run(dir, path, err);
    if (!o)
        return false;
    const char *state = jval_get(o, "state", "running");
    if (strcmp(state, "running") == 0 && !is_live(dir, o))
        state = "crashed";
    bool ok = text_copy(dst, 16, state);
    json_decref(o);
    return ok || err_set(err, ERR_FORMAT, "'%s' holds no known state", path);
}
