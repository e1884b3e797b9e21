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
#include "lab/jval.h"

enum { DEPTH = 8 };

typedef struct Clean {
    const char *dir;
    json_t *keep; /* set of "figures/..." */
    const Document *doc;
    bool only_count;
    Cleaned *out;
} Clean;

static void collect(json_t *set, const json_t *v, int depth)
{
    const char *key;
    json_t *item;
    size_t i;
    const char *text = json_string_value(v);
    if (text && strncmp(text, "figures/", 8) == 0)
        json_object_set_new(set, text, json_true());
    if (depth == DEPTH)
        return;
    json_object_foreach((json_t *)v, key, item) collect(set, item, depth + 1);
    json_array_foreach(v, i, item) collect(set, item, depth + 1);
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

/* "out-7.log" and "out-7.2.log" of a cell that is not there. */
static bool is_orphan(const Clean *c, const char *name)
{
    int cell;
    size_t n = strlen(name);
    return n > 4 && strcmp(name + n - 4, ".log") == 0 &&
           sscanf(name, "out-%d.", &cell) == 1 && document_index(c->doc, cell) < 0;
}

/* "events-123.jsonl" */
static bool is_old_journal(const char *name)
{
    int end = 0;
    long long seq;
    return sscanf(name, "events-%lld.jsonl%n", &seq, &end) == 1 && end > 0 &&
           name[end] == '\0';
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

bool session_clean(const char *file, bool only_count, Cleaned *out, Err *err)
{
    SessionPlace p;
    memset(out, 0, sizeof *out);
    if (!session_peek(file, &p, err))
        return false;
    if (!p.dir[0] || !file_is_dir(p.dir))
        return err_set(err, ERR_STATE, "'%s' has no session folder", file);
    if (!session_place(file, &p, err))
        return false;
    int lock = session_lock(&p, NULL);
    if (lock < 0)
        return err_set(err, ERR_STATE,
                       "the session of '%s' lives; cleave kill ends it first", file);
    Document *d = journal_document(p.dir, err);
    Clean c = {.dir = p.dir,
               .keep = json_object(),
               .doc = d,
               .only_count = only_count,
               .out = out};
    for (int i = 0; d && i < d->n; i++)
        collect(c.keep, d->cell[i]->outputs, 0);
    bool ok = d && c.keep && clean_figures(&c, err) && clean_files(&c, err);
    json_decref(c.keep);
    document_free(d);
    close(lock);
    return ok;
}
