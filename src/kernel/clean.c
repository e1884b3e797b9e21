/* clean.c -- what stays is found in the document: every path below figures/ in an output,
 * and the ids of the cells. Everything else of the three known kinds goes; a file of
 * another name is nobody's business here. The session's lock is held meanwhile. */
#include "kernel/clean.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "kernel/compact.h"
#include "kernel/place.h"
#include "lab/jout.h"
#include "lab/jval.h"

enum { DEPTH = 8 };

typedef struct Clean {
    const char *dir;
    json_t *keep; /* set of "figures/..." */
    const Document *doc;
    bool only_count;
    Cleaned *out;
} Clean;

/* false: out of memory, and nothing may go. */
static bool collect(json_t *set, const json_t *v, int depth)
{
    const char *key;
    json_t *item;
    size_t i;
    const char *text = json_string_value(v);
    bool ok = !text || strncmp(text, "figures/", 8) != 0 ||
              json_object_set_new(set, text, json_true()) == 0;
    if (depth == DEPTH)
        return ok;
    json_object_foreach((json_t *)v, key, item) ok =
        ok && collect(set, item, depth + 1);
    json_array_foreach(v, i, item) ok = ok && collect(set, item, depth + 1);
    return ok;
}

static bool take_away(Clean *c, const char *name, int *count, Err *err)
{
    char path[PATH_MAX];
    struct stat st;
    if (!path_join(path, sizeof path, c->dir, name, err))
        return false;
    if (lstat(path, &st) != 0 || !S_ISREG(st.st_mode))
        return true;
    if (!c->only_count && unlink(path) != 0)
        return err_set(err, ERR_IO, "cannot take away '%s': %s", path, strerror(errno));
    c->out->bytes += st.st_size;
    (*count)++;
    return true;
}

static bool clean_figures(Clean *c, Err *err)
{
    char dir[PATH_MAX], name[300];
    DIR *d = path_join(dir, sizeof dir, c->dir, "figures", err) ? opendir(dir) : NULL;
    bool ok = true;
    if (!d)
        return true; /* it drew nothing yet */
    for (struct dirent *e; ok && (e = readdir(d));) {
        snprintf(name, sizeof name, "figures/%s", e->d_name);
        if (!json_object_get(c->keep, name))
            ok = take_away(c, name, &c->out->figures, err);
    }
    closedir(d);
    return ok;
}

/* "out-7.log" and "out-7.2.log" of a cell that is not there; not "out-7 of mine.log". */
static bool is_orphan(const Clean *c, const char *name)
{
    int cell;
    long long log = 1;
    char same[JOUT_NAME];
    if (sscanf(name, "out-%9d.%18lld", &cell, &log) < 1 || cell < 1)
        return false;
    jout_name(cell, log, same);
    return strcmp(name, same) == 0 && document_index(c->doc, cell) < 0;
}

/* "events-123.jsonl" */
static bool is_old_journal(const char *name)
{
    char same[48];
    long long seq;
    if (sscanf(name, "events-%18lld", &seq) != 1)
        return false;
    snprintf(same, sizeof same, "events-%lld.jsonl", seq);
    return strcmp(name, same) == 0;
}

static bool clean_files(Clean *c, Err *err)
{
    DIR *d = opendir(c->dir);
    bool ok = true;
    if (!d)
        return err_set(err, ERR_IO, "cannot read '%s': %s", c->dir, strerror(errno));
    for (struct dirent *e; ok && (e = readdir(d));) {
        if (is_old_journal(e->d_name))
            ok = take_away(c, e->d_name, &c->out->journals, err);
        else if (is_orphan(c, e->d_name))
            ok = take_away(c, e->d_name, &c->out->texts, err);
    }
    closedir(d);
    return ok;
}

/* What the cells show; false when that cannot be known for sure. */
static bool find_kept(Clean *c, const Document *d, Err *err)
{
    if (d->n == 0)
        return err_set(err, ERR_FORMAT,
                       "the journal in '%s' tells of no cells, so nothing is taken away",
                       c->dir);
    c->doc = d;
    c->keep = json_object();
    bool ok = c->keep != NULL;
    for (int i = 0; ok && i < d->n; i++)
        ok = collect(c->keep, d->cell[i]->outputs, 0);
    return ok || err_set(err, ERR_MEMORY, "out of memory while a session was cleaned");
}

bool session_clean(const char *file, bool only_count, Cleaned *out, Err *err)
{
    SessionPlace p;
    Err why = {0};
    memset(out, 0, sizeof *out);
    if (!session_peek(file, &p, err))
        return false;
    if (!p.dir[0] || !file_is_dir(p.dir))
        return err_set(err, ERR_STATE, "'%s' has no session folder", file);
    if (!session_place(file, &p, err))
        return false;
    int lock = session_lock(&p, &why);
    if (lock < 0 && why.code != ERR_STATE)
        return err_set(err, why.code, "%s", why.msg);
    if (lock < 0)
        return err_set(err, ERR_STATE,
                       "the session of '%s' lives; cleave kill ends it first", file);
    Document *d = journal_document(p.dir, err);
    Clean c = {.dir = p.dir, .only_count = only_count, .out = out};
    bool ok = d && find_kept(&c, d, err) && clean_figures(&c, err) &&
              clean_files(&c, err);
    json_decref(c.keep);
    document_free(d);
    close(lock);
    return ok;
}
