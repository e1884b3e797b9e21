/* compact.c -- the document is made from the long journal and told again in as few
 * events as make it. The new file is written whole before either is renamed, so a crash
 * leaves one of the two in place. */
#include "kernel/compact.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/str.h"
#include "kernel/document.h"
#include "lab/journal.h"
#include "lab/jval.h"

typedef struct Retell {
    FileOut *out;
    int64_t seq;
    double t; /* of the last event */
} Retell;

static bool tell(Retell *r, const char *kind, double t, json_t *taken, Err *err)
{
    Str line;
    str_init(&line);
    json_t *o = json_object();
    bool ok = o && taken && jval_set(o, "seq", json_integer(r->seq + 1)) &&
              jval_set(o, "t", json_real(t)) && jval_set(o, "ev", json_string(kind));
    if (ok) {
        json_object_del(taken, "seq");
        json_object_del(taken, "t");
        json_object_del(taken, "ev");
        ok = json_object_update(o, taken) == 0;
    }
    if (!ok)
        err_set(err, ERR_MEMORY, "out of memory while a journal was shortened");
    ok = ok && jval_dump(o, 0, &line, err);
    str_addc(&line, '\n');
    ok = ok && str_ok(&line, err) && fileout_write(r->out, line.s, line.len, err);
    r->seq += ok;
    json_decref(o);
    json_decref(taken);
    str_done(&line);
    return ok;
}

static bool tell_cell(Retell *r, const Cell *c, Err *err)
{
    char line[64];
    size_t i;
    json_t *entry;
    if (c->ended == CELL_NEW)
        return true;
    cell_headline(c, line, sizeof line);
    json_t *begin = json_pack("{s:i,s:o}", "cell", c->id, "name", jval_str(line));
    if (c->log > 1)
        jval_set(begin, "log", json_integer(c->log));
    bool ok = tell(r, "start", c->started, begin, err);
    json_array_foreach(c->outputs, i, entry)
    {
        json_t *copy = ok ? json_copy(entry) : NULL;
        ok = copy && jval_set(copy, "cell", json_integer(c->id)) &&
             tell(r, jval_get(entry, "ev", ""), c->started, copy, err);
    }
    if (c->ended == CELL_RUNNING || c->ended == CELL_DIED)
        return ok; /* the next kernel's beginning tells that it died */
    const char *status = cell_state_name(c->ended);
    return ok && tell(r, "done", c->started + c->secs,
                      json_pack("{s:i,s:s,s:f}", "cell", c->id, "status", status,
                                "secs", c->secs),
                      err);
}

static bool tell_document(Retell *r, const Document *d, Err *err)
{
    bool ok = tell(r, "doc", r->t, document_to_json(d), err);
    if (ok && d->saved_hash)
        ok = tell(r, "saved", r->t,
                  json_pack("{s:I,s:s}", "rev", (json_int_t)d->saved_rev, "hash",
                            d->saved_hash),
                  err);
    for (int i = 0; ok && i < d->n; i++)
        ok = tell_cell(r, d->cell[i], err);
    return ok;
}

static bool read_all(const char *dir, Document *d, Retell *r, Err *err)
{
    bool more, ok = true;
    json_t *ev;
    JournalReader *reader = jreader_open(dir, err);
    if (!reader)
        return false;
    while (ok) {
        Err why = {0};
        ev = jreader_next(reader, &more, &why);
        if (!ev && !more) {
            ok = why.code == ERR_NONE || err_set(err, why.code, "%s", why.msg);
            break; /* half a journal is no journal */
        }
        if (ev && !document_apply(d, ev, &why) && why.code == ERR_MEMORY)
            ok = err_set(err, ERR_MEMORY, "%s", why.msg);
        r->seq = ev ? jval_get_int(ev, "seq", r->seq) : r->seq;
        r->t = ev ? json_number_value(json_object_get(ev, "t")) : r->t;
        json_decref(ev);
    }
    jreader_close(reader);
    return ok;
}

Document *journal_document(const char *dir, Err *err)
{
    Retell r = {0};
    Document *d = document_new(err);
    if (d)
        d->keep_outputs = true;
    if (d && read_all(dir, d, &r, err))
        return d;
    document_free(d);
    return NULL;
}

/* The long journal gets another name, then the new one takes its place. */
static bool swap(const char *dir, const char *path, const char *fresh, int64_t seq,
                 Err *err)
{
    char kept[PATH_MAX], name[48];
    snprintf(name, sizeof name, "events-%lld.jsonl", (long long)seq);
    if (!path_join(kept, sizeof kept, dir, name, err))
        return false;
    if ((link(path, kept) != 0 && errno != EEXIST) || rename(fresh, path) != 0)
        return err_set(err, ERR_IO, "cannot replace '%s': %s", path, strerror(errno));
    return true;
}

bool journal_compact(const char *dir, int64_t at, Err *err)
{
    char path[PATH_MAX], fresh[PATH_MAX];
    struct stat st;
    Retell r = {0};
    if (!path_join(path, sizeof path, dir, "events.jsonl", err) ||
        !path_join(fresh, sizeof fresh, dir, "events.new", err))
        return false;
    if (stat(path, &st) != 0 || st.st_size < at)
        return true;
    Document *d = document_new(err);
    if (!d)
        return false;
    d->keep_outputs = true;
    bool ok = read_all(dir, d, &r, err);
    int64_t last = r.seq;
    r.out = ok ? fileout_open(fresh, err) : NULL;
    ok = r.out && tell_document(&r, d, err);
    if (ok)
        ok = fileout_commit(r.out, err);
    else
        fileout_abort(r.out);
    ok = ok && swap(dir, path, fresh, last, err);
    document_free(d);
    return ok;
}
