/* runs.c -- one stat a folder decides whether its index entry still holds; only what
 * changed is parsed. A run that says running may go on writing metrics without touching
 * run.json, so its metrics and its state are looked at every time. */
#include "lab/runs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "lab/fingerprint.h"
#include "lab/jval.h"
#include "lab/run.h"

#define INDEX_NAME ".cleave-index"
#define STARTING   5.0 /* seconds that a folder may be without run.json */
enum {
    INDEX_VERSION = 2,
    INDEX_MAX = 1 << 30,
    RUN_MAX = 64 << 20,
    TAIL = 64 << 10,
    FLAT_DEPTH = 4,
    FLAT_MAX = 400,
    TEXT_MAX_LEN = 300,
};

const char *runs_root(const char *given)
{
    const char *env = getenv("CLEAVE_RUNS");
    if (given && given[0])
        return given;
    return env && env[0] ? env : "runs";
}

/* --- run.json as flat objects ----------------------------------------------------- */

static bool is_plain(const json_t *v)
{
    return json_is_number(v) || json_is_boolean(v) ||
           (json_is_string(v) && json_string_length(v) <= TEXT_MAX_LEN);
}

static bool flatten(json_t *dst, const char *prefix, const json_t *v, int depth);

static bool flatten_member(json_t *dst, const char *prefix, const char *key,
                           const json_t *v, int depth)
{
    char name[256];
    int n = snprintf(name, sizeof name, "%s%s%s", prefix, prefix[0] ? "." : "", key);
    return n >= (int)sizeof name || flatten(dst, name, v, depth + 1);
}

/* How many rows before row i have its name. */
static int same_name_before(const json_t *list, size_t i, const char *name)
{
    int n = 0;
    for (size_t k = 0; k < i; k++)
        n += strcmp(jval_get(json_array_get(list, k), "name", ""), name) == 0;
    return n;
}

static bool flatten_row(json_t *dst, const char *prefix, const json_t *list, size_t i,
                        int depth)
{
    char key[256];
    const json_t *row = json_array_get(list, i);
    const char *name = jval_get(row, "name", "");
    int before = name[0] ? same_name_before(list, i, name) : 0;
    if (!name[0])
        snprintf(key, sizeof key, "%zu", i + 1);
    else if (before > 0)
        snprintf(key, sizeof key, "%.200s.%d", name, before + 1);
    else
        snprintf(key, sizeof key, "%.200s", name);
    return flatten_member(dst, prefix, key, row, depth);
}

/* Plain values under dotted names; a list of rows by each row's "name" ("x", the second
 * of that name "x.2"), else from 1. */
static bool flatten(json_t *dst, const char *prefix, const json_t *v, int depth)
{
    const char *key;
    json_t *item;
    bool ok = true;
    if (depth > FLAT_DEPTH || json_object_size(dst) >= FLAT_MAX)
        return true;
    if (is_plain(v))
        return json_object_set(dst, prefix, (json_t *)v) == 0;
    json_object_foreach((json_t *)v, key, item) ok =
        ok && flatten_member(dst, prefix, key, item, depth);
    for (size_t i = 0; ok && i < json_array_size(v) && i < FLAT_MAX; i++)
        ok = flatten_row(dst, prefix, v, i, depth);
    return ok;
}

static const char *const run_fields[] = {
    "name", "why", "script",  "start",   "end",   "seconds", "host", "threads",
    "isa",  "version", "profile", "sweep", "point"};

/* The name in "<day>-<time>-<name>-<id>". */
static json_t *name_of(const char *id)
{
    const char *a = strchr(id, '-'), *b = a ? strchr(a + 1, '-') : NULL;
    const char *z = strrchr(id, '-');
    return b && z > b ? jval_text(b + 1, (size_t)(z - b - 1)) : jval_str(id);
}

/* The four flat objects of a run; takes nothing. NULL: out of memory. */
static json_t *digest(const json_t *o, const char *id)
{
    json_t *run = json_object(), *settings = json_object(), *result = json_object();
    bool ok = run && settings && result && jval_set(run, "id", jval_str(id)) &&
              jval_set(run, "name", name_of(id)) &&
              jval_set(run, "state", jval_str(jval_get(o, "state", "running")));
    for (size_t i = 1; ok && i < ARRAY_LEN(run_fields); i++) {
        json_t *v = json_object_get(o, run_fields[i]);
        if (v && is_plain(v))
            ok = json_object_set(run, run_fields[i], v) == 0;
    }
    const json_t *res = json_object_get(o, "result");
    ok = ok && flatten(settings, "", json_object_get(o, "settings"), 0) &&
         (!res || flatten(result, is_plain(res) ? "result" : "", res, 0));
    if (ok)
        return json_pack("{s:o,s:o,s:o,s:{}}", "run", run, "settings", settings,
                         "result", result, "metric");
    json_decref(run);
    json_decref(settings);
    json_decref(result);
    return NULL;
}

/* --- last metrics ----------------------------------------------------------------- */

/* The end of a file, from the first whole line in it. */
static bool read_tail(const char *path, char **text, size_t *n)
{
    struct stat st;
    bool ok = false;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    *text = fd >= 0 ? mem_alloc(TAIL + 1, NULL) : NULL;
    if (*text && fstat(fd, &st) == 0) {
        off_t from = st.st_size > TAIL ? st.st_size - TAIL : 0;
        ssize_t got = pread(fd, *text, TAIL, from);
        ok = got >= 0;
        *n = ok ? (size_t)got : 0;
        (*text)[*n] = '\0';
        char *nl = ok && from > 0 ? strchr(*text, '\n') : NULL;
        if (nl) {
            *n -= (size_t)(nl + 1 - *text);
            memmove(*text, nl + 1, *n + 1);
        }
    }
    if (fd >= 0)
        close(fd);
    return ok;
}

/* Each metric's newest value, and the newest step among run fields. */
static void last_metrics(const char *dir, json_t *info)
{
    char path[PATH_MAX], *text = NULL;
    size_t n = 0;
    json_t *metric = json_object_get(info, "metric");
    json_t *run = json_object_get(info, "run");
    if (path_join(path, sizeof path, dir, "metrics.jsonl", NULL) &&
        read_tail(path, &text, &n)) {
        for (char *s = text, *nl; (nl = strchr(s, '\n')); s = nl + 1) {
            const char *key;
            json_t *v, *line = jval_parse(s, (size_t)(nl - s), NULL);
            json_object_foreach(line, key, v)
            {
                if (strcmp(key, "step") == 0)
                    json_object_set(run, "step", v);
                else if (strcmp(key, "t") != 0)
                    json_object_set(metric, key, v);
            }
            json_decref(line);
        }
    }
    mem_free(text);
}

/* --- one run ---------------------------------------------------------------------- */

/* run.json of a folder, as a digest; a damaged one gives the state "damaged". */
static json_t *read_info(const char *dir, const char *id)
{
    char path[PATH_MAX];
    Err err = {0};
    json_t *o = NULL;
    if (path_join(path, sizeof path, dir, "run.json", &err))
        o = file_exists(path) ? jval_read_file(path, RUN_MAX, &err) : json_object();
    if (!o && err.code != ERR_MEMORY)
        o = json_pack("{s:s,s:o}", "state", "damaged", "why", jval_str(err.msg));
    json_t *info = o ? digest(o, id) : NULL;
    json_decref(o);
    if (info)
        last_metrics(dir, info);
    return info;
}

static bool set_row_state(RunRow *row, const char *state)
{
    text_copy(row->state, sizeof row->state, state);
    json_t *run = json_object_get(row->info, "run");
    return jval_set(run, "state", json_string(row->state)) &&
           jval_set(run, "number", json_integer(row->number));
}

/* From the state in the file to the one that a reader should see. */
static bool judge(RunRow *row, Err *err)
{
    json_t *run = json_object_get(row->info, "run");
    const char *said = jval_get(run, "state", "running");
    char state[16];
    bool running = strcmp(said, "running") == 0;
    if (!running)
        text_copy(state, sizeof state, said);
    else if (row->state[0])
        text_copy(state, sizeof state, row->state);
    else if (!run_state(row->dir, state, NULL))
        strcpy(state, "damaged");
    return set_row_state(row, state) ||
           err_set(err, ERR_MEMORY, "out of memory while reading runs");
}

void runs_row_done(RunRow *row)
{
    json_decref(row->info);
    mem_free(row->dir);
    *row = (RunRow){0};
}

/* A folder of a run without run.json; *young: made a moment ago. */
static bool is_bare_run(const char *dir, bool *young)
{
    char path[PATH_MAX];
    struct stat st;
    if (!path_join(path, sizeof path, dir, "script.lua", NULL) || stat(path, &st) != 0)
        return false;
    double age = clock_wall() - (double)st.st_mtime;
    *young = age > -STARTING && age < STARTING;
    return true;
}

bool runs_read(const char *dir, RunRow *out, Err *err)
{
    char path[PATH_MAX];
    bool young = false;
    *out = (RunRow){0};
    if (!path_join(path, sizeof path, dir, "run.json", err))
        return false;
    bool bare = !file_exists(path);
    if (bare && !is_bare_run(dir, &young))
        return err_set(err, ERR_IO, "'%s' is no run folder: it has no run.json", dir);
    out->dir = mem_strdup(dir, err);
    size_t n = out->dir ? strlen(out->dir) : 0;
    while (n > 1 && out->dir[n - 1] == '/')
        out->dir[--n] = '\0';
    const char *slash = out->dir ? strrchr(out->dir, '/') : NULL;
    out->id = slash ? slash + 1 : out->dir;
    out->info = out->dir ? read_info(out->dir, out->id) : NULL;
    if (!out->info)
        err_set(err, ERR_MEMORY, "out of memory while reading the run '%s'", dir);
    if (bare && young)
        strcpy(out->state, "starting");
    if (out->info && judge(out, err))
        return true;
    runs_row_done(out);
    return false;
}

/* --- the index -------------------------------------------------------------------- */

/* What is known about run.json of a row without opening it. */
typedef struct Stamp {
    int64_t mtime, size, inode;
    bool bare, young; /* there is none; its folder was just made */
} Stamp;
typedef struct Scan {
    Runs *runs;
    Stamp *mark; /* of each row */
    json_t *old; /* folder -> index line */
    size_t kept; /* entries of it that still hold */
    size_t cap;
    int fd;
} Scan;

/* The index beside the runs, or the one in the user's cache folder. */
static bool index_path(const char *root, bool beside, char dst[PATH_MAX])
{
    char real[PATH_MAX], dir[PATH_MAX], name[40], hex[17];
    const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    if (beside)
        return path_join(dst, PATH_MAX, root, INDEX_NAME, NULL);
    if (!realpath(root, real))
        return false;
    if (cache && cache[0] == '/')
        snprintf(dir, sizeof dir, "%.4000s/cleave", cache);
    else if (home && home[0] == '/')
        snprintf(dir, sizeof dir, "%.4000s/.cache/cleave", home);
    else
        return false;
    fingerprint_hex(fingerprint_text(real, 0), hex);
    snprintf(name, sizeof name, "index-%s", hex);
    return dir_make(dir, NULL) && path_join(dst, PATH_MAX, dir, name, NULL);
}

/* Lines that are not what they should be are skipped: the index is only a memory. */
static void load_index(Scan *s, const char *path)
{
    char *text;
    size_t n;
    if (!file_read_all(path, INDEX_MAX, &text, &n, NULL))
        return;
    for (char *p = text, *nl; (nl = memchr(p, '\n', n - (size_t)(p - text)));
         p = nl + 1) {
        json_t *line = json_loadb(p, (size_t)(nl - p), 0, NULL);
        const char *dir = jval_get(line, "dir", NULL);
        const json_t *info = json_object_get(line, "info");
        bool good = dir && jval_get_int(line, "v", 0) == INDEX_VERSION &&
                    json_is_object(json_object_get(info, "run")) &&
                    json_is_object(json_object_get(info, "settings")) &&
                    json_is_object(json_object_get(info, "result")) &&
                    json_is_object(json_object_get(info, "metric"));
        if (good)
            json_object_set(s->old, dir, line);
        json_decref(line);
    }
    mem_free(text);
}

static Stamp mark_of(const struct stat *st)
{
    return (Stamp){.mtime =
                       (int64_t)st->st_mtim.tv_sec * 1000000000 + st->st_mtim.tv_nsec,
                   .size = (int64_t)st->st_size,
                   .inode = (int64_t)st->st_ino};
}

/* The entry of a folder if it still describes the file; a new reference. */
static json_t *from_index(Scan *s, const char *id, const Stamp *m)
{
    const json_t *line = json_object_get(s->old, id);
    if (!line || jval_get_int(line, "mtime", -1) != m->mtime ||
        jval_get_int(line, "size", -1) != m->size ||
        jval_get_int(line, "inode", -1) != m->inode)
        return NULL;
    return json_incref(json_object_get(line, "info"));
}

static void to_index(const RunRow *row, const Stamp *m, Str *out)
{
    json_t *line = json_pack("{s:i,s:o,s:I,s:I,s:I,s:O}", "v", INDEX_VERSION, "dir",
                             jval_str(row->id), "mtime", (json_int_t)m->mtime, "size",
                             (json_int_t)m->size, "inode", (json_int_t)m->inode, "info",
                             row->info);
    if (line && jval_dump(line, 0, out, NULL))
        str_addc(out, '\n');
    json_decref(line);
}

static bool grow(Scan *s, Err *err)
{
    size_t cap = s->cap ? 2 * s->cap : 64;
    RunRow *row = mem_realloc(s->runs->row, cap * sizeof *row, err);
    if (row)
        s->runs->row = row;
    Stamp *mark = row ? mem_realloc(s->mark, cap * sizeof *mark, err) : NULL;
    if (!mark)
        return false;
    s->mark = mark;
    s->cap = cap;
    return true;
}

static bool add_row(Scan *s, const char *dir, json_t *taken_info, const Stamp *m,
                    Err *err)
{
    Runs *r = s->runs;
    char *copy = r->n < s->cap || grow(s, err) ? mem_strdup(dir, err) : NULL;
    if (!copy) {
        json_decref(taken_info);
        return false;
    }
    s->mark[r->n] = *m;
    RunRow *row = &r->row[r->n++];
    *row = (RunRow){.dir = copy, .id = strrchr(copy, '/') + 1, .info = taken_info};
    if (m->bare && m->young)
        strcpy(row->state, "starting");
    return true;
}

/* One entry of the folder, which may be no run at all. */
static bool scan_one(Scan *s, const char *id, Err *err)
{
    char path[PATH_MAX], dir[PATH_MAX];
    struct stat st;
    Stamp m = {0};
    if (snprintf(path, sizeof path, "%s/run.json", id) >= (int)sizeof path ||
        !path_join(dir, sizeof dir, s->runs->root, id, NULL))
        return true;
    if (fstatat(s->fd, path, &st, 0) == 0)
        m = mark_of(&st);
    else if (!is_bare_run(dir, &m.young))
        return true;
    else
        m.bare = true;
    json_t *info = m.bare ? NULL : from_index(s, id, &m);
    bool known = info != NULL;
    if (!known)
        info = read_info(dir, id);
    if (!info)
        return err_set(err, ERR_MEMORY, "out of memory while reading the runs in '%s'",
                       s->runs->root);
    const char *said = jval_get(json_object_get(info, "run"), "state", "");
    if (known && strcmp(said, "running") == 0)
        last_metrics(dir, info);
    s->kept += known;
    s->runs->parsed += !known && !m.bare;
    return add_row(s, dir, info, &m, err);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Names in the folder that may be runs, sorted. */
static bool list_names(DIR *d, char ***names, size_t *n, Err *err)
{
    size_t cap = 0;
    *names = NULL;
    *n = 0;
    for (struct dirent *e; (e = readdir(d));) {
        if (e->d_name[0] == '.' ||
            (e->d_type != DT_DIR && e->d_type != DT_LNK && e->d_type != DT_UNKNOWN))
            continue;
        if (*n == cap) {
            cap = cap ? 2 * cap : 256;
            char **more = mem_realloc(*names, cap * sizeof *more, err);
            if (!more)
                return false;
            *names = more;
        }
        (*names)[*n] = mem_strdup(e->d_name, err);
        if (!(*names)[*n])
            return false;
        ++*n;
    }
    if (*n > 1)
        qsort(*names, *n, sizeof **names, by_name);
    return true;
}

/* Beside the runs if that is possible, else in the cache; failing is no error. */
static void save_index(const Scan *s)
{
    char path[PATH_MAX];
    const char *root = s->runs->root;
    Str t;
    if (s->runs->parsed == 0 && s->kept == json_object_size(s->old))
        return;
    str_init(&t);
    for (size_t i = 0; i < s->runs->n; i++) {
        if (!s->mark[i].bare)
            to_index(&s->runs->row[i], &s->mark[i], &t);
    }
    bool done = t.oom || (index_path(root, true, path) && access(root, W_OK) == 0 &&
                          file_write_all(path, t.s, t.len, NULL));
    if (!done && index_path(root, false, path))
        file_write_all(path, t.s, t.len, NULL);
    str_done(&t);
}

/* Runs that have not noted their start yet come last. */
static int by_start(const void *a, const void *b)
{
    const RunRow *p = a, *q = b;
    int d = strcmp(jval_get(json_object_get(p->info, "run"), "start", "~"),
                   jval_get(json_object_get(q->info, "run"), "start", "~"));
    return d ? d : strcmp(p->id, q->id);
}

bool runs_open(const char *root, Runs *out, Err *err)
{
    char path[PATH_MAX], **names = NULL;
    size_t n = 0;
    Scan s = {.runs = out, .fd = -1};
    *out = (Runs){0};
    DIR *d = opendir(root);
    if (!d)
        return err_set(err, ERR_IO, "cannot read the folder of runs '%s': %s", root,
                       strerror(errno));
    s.fd = dirfd(d);
    s.old = json_object();
    out->root = mem_strdup(root, err);
    bool ok = out->root && (s.old || err_set(err, ERR_MEMORY, "out of memory")) &&
              list_names(d, &names, &n, err);
    if (ok && index_path(root, true, path))
        load_index(&s, path);
    if (ok && n > 0 && json_object_size(s.old) == 0 && index_path(root, false, path))
        load_index(&s, path);
    for (size_t i = 0; ok && i < n; i++)
        ok = scan_one(&s, names[i], err);
    if (ok && n > 0)
        save_index(&s); /* before the states in the rows are judged */
    if (ok && out->n > 1)
        qsort(out->row, out->n, sizeof *out->row, by_start);
    for (size_t i = 0; ok && i < out->n; i++) {
        out->row[i].number = (int)i + 1;
        ok = judge(&out->row[i], err);
    }
    for (size_t i = 0; i < n; i++)
        mem_free(names[i]);
    mem_free(names);
    json_decref(s.old);
    mem_free(s.mark);
    closedir(d);
    if (!ok)
        runs_close(out);
    return ok;
}

void runs_close(Runs *r)
{
    for (size_t i = 0; i < r->n; i++)
        runs_row_done(&r->row[i]);
    mem_free(r->row);
    mem_free(r->root);
    *r = (Runs){0};
}
