/* requests.c -- one function for each row of request_rows, called with the session's
 * lock held. A change becomes an event first; the answer only says that it was taken.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "kernel/session_int.h"
#include "kernel/version.h"
#include "lab/jval.h"

typedef struct Answer {
    json_t *ok;       /* the "ok" member; NULL: {} */
    const char *code; /* of a refusal; NULL: "io" */
    Err err;
} Answer;

static bool refuse(Answer *a, const char *code, const char *fmt, ...) ATTR_PRINTF(3, 4);
static bool refuse(Answer *a, const char *code, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    err_vset(&a->err, ERR_STATE, fmt, ap);
    va_end(ap);
    a->code = code;
    return false;
}

static Cell *asked_cell(Session *k, const json_t *q, Answer *a)
{
    int id = (int)jval_get_int(q, "cell", 0);
    Cell *c = document_cell(k->doc, id);
    if (!c)
        refuse(a, "nocell", "there is no cell %d", id);
    return c;
}

static bool flag(const json_t *q, const char *name, bool dflt)
{
    const json_t *v = json_object_get(q, name);
    return v ? json_is_true(v) : dflt;
}

static json_t *ids(const int *cell, int n)
{
    json_t *list = json_array();
    for (int i = 0; list && i < n; i++)
        json_array_append_new(list, json_integer(cell[i]));
    return list;
}

static bool rev_reply(Session *k, Answer *a, bool ok)
{
    if (ok)
        a->ok = json_pack("{s:I}", "rev", (json_int_t)k->doc->rev);
    return ok;
}

static bool same_rev(Session *k, const Cell *c, const json_t *q, Answer *a)
{
    (void)k;
    if (jval_get_int(q, "rev", -1) == c->rev)
        return true;
    return refuse(
        a, "conflict",
        "cell %d was changed by somebody else (revision %lld, yours is of %lld)", c->id,
        (long long)c->rev, (long long)jval_get_int(q, "rev", -1));
}

/* --- the document ----------------------------------------------------------------- */

static bool insert_cell(Session *k, int after, const char *type, const char *text,
                        const char *title, int *id, Err *err)
{
    *id = k->doc->next;
    return session_change(k, "insert",
                          json_pack("{s:i,s:i,s:s,s:o,s:o}", "cell", *id, "after",
                                    after, "type", type, "text", jval_str(text),
                                    "title", jval_str(title)),
                          err);
}

/* A committed code text becomes as many cells as it has markers. */
static bool put_text(Session *k, Cell *c, const char *text, json_t *made, Err *err)
{
    int id = c->id, after = id;
    if (c->type != CELL_CODE)
        return session_change(
            k, "text", json_pack("{s:i,s:o}", "cell", id, "text", jval_str(text)), err);
    json_t *parts = percent_split(text, strlen(text), err);
    if (!parts)
        return false;
    bool ok = true;
    for (size_t i = 0; ok && i < json_array_size(parts); i++) {
        const json_t *part = json_array_get(parts, i);
        const char *body = jval_get(part, "text", "");
        const char *kind = jval_get(part, "type", "code");
        const char *title = jval_get(part, "title", "");
        bool first = i == 0 && strcmp(kind, "code") == 0 && !title[0];
        if (i == 0)
            ok = session_change(
                k, "text", json_pack("{s:i,s:o}", "cell", id, "text", jval_str(body)),
                err);
        if (i == 0 && !first)
            ok = ok && session_change(k, "type",
                                      json_pack("{s:i,s:s,s:s}", "cell", id, "type",
                                                kind, "title", title),
                                      err);
        if (i == 0)
            continue;
        ok = insert_cell(k, after, kind, body, title, &after, err) &&
             json_array_append_new(made, json_integer(after)) == 0;
    }
    json_decref(parts);
    return ok;
}

static bool do_edit(Session *k, Viewer *v, const json_t *q, Answer *a)
{
    (void)v;
    Cell *c = asked_cell(k, q, a);
    if (!c || !same_rev(k, c, q, a))
        return false;
    const char *text = jval_get(q, "text", "");
    json_t *made = json_array();
    bool ok = made != NULL;
    bool same = strcmp(c->text, text) == 0;
    if (same && c->draft)
        ok = session_emit(k, "draft", json_pack("{s:i,s:n}", "cell", c->id, "text"),
                          &a->err);
    else if (!same)
        ok = ok && put_text(k, c, text, made, &a->err);
    if (ok)
        a->ok = json_pack("{s:I,s:O}", "rev", (json_int_t)k->doc->rev, "cells", made);
    json_decref(made);
    return ok;
}

static bool do_draft(Session *k, Viewer *v, const json_t *q, Answer *a)
{
    Cell *c = asked_cell(k, q, a);
    const char *text = jval_get(q, "text", NULL);
    return c && session_emit(k, "draft",
                             json_pack("{s:i,s:o,s:i}", "cell", c->id, "text",
                                       jval_str(text), "viewer", v->id),
                             &a->err);
}

static bool known_place(Session *k, const json_t *q, Answer *a)
{
    int after = (int)jval_get_int(q, "after", 0);
    if (after == 0 || document_cell(k->doc, after))
        return true;
    return refuse(a, "nocell", "there is no cell %d to stand behind", after);
}

static bool known_type(const json_t *q, Answer *a)
{
    CellType t;
    const char *type = jval_get(q, "type", "code");
    if (cell_type_parse(type, &t))
        return true;
    return refuse(a, "bad", "'%s' is no type of cell; code, markdown and raw are",
                  type);
}

static bool do_insert(Session *k, Viewer *v, const json_t *q, Answer *a)
{
    (void)v;
    int id;
    if (!known_place(k, q, a) || !known_type(q, a) ||
        !insert_cell(k, (int)jval_get_int(q, "after", 0), jval_get(q, "type", "code"),
                     jval_get(q, "text", ""), jval_get(q, "title", ""), &id, &a->err))
        return false;
    a->ok = json_pack("{s:i,s:I}", "cell", id, "rev", (json_int_t)k->doc->rev);
    return true;
}

static bool do_delete(Session *k, Viewer *v, const json_t *q, Answer *a)
{
    (void)v;
    int id;
    Cell *c = asked_cell(k, q, a);
    if (!c)
        return false;
    if (c->id == k->doc->running)
        return refuse(a, "busy", "cell %d runs; stop it first", c->id);
    bool ok = session_change(k, "delete", json_pack("{s:i}", "cell", c->id), &a->err);
    if (ok && k->doc->n == 0) /* there is always a cell to type in */
        ok = insert_cell(k, 0, "code", "", "", &id, &a->err);
    return rev_reply(k, a, ok);
}

static bool do_move(Session *k, Viewer *v, const json_t *q, Answer *a)
{
    (void)v;
    Cell *c = asked_cell(k, q, a);
    int after = (int)jval_get_int(q, "after", 0);
    if (!c || !known_place(k, q, a))
        return false;
    bool moves = after != c->id;
    return rev_reply(
        k, a,
        !moves || session_change(k, "move",
                                 json_pack("{s:i,s:i}", "cell", c->id, "after", after),
                                 &a->err));
}

static bool do_type(Session *k, Viewer *v, const json_t *q, Answer *a)
{
    (void)v;
    Cell *c = asked_cell(k, q, a);
    if (!c || !known_type(q, a))
        return false;
    json_t *body =
        json_pack("{s:i,s:s,s:o}", "cell", c->id, "type", jval_get(q, "type", "code"),
                  "title", jval_str(jval_get(q, "title", c->title)));
    return rev_reply(k, a, session_change(k, "type", body, &a->err));
}

static bool do_split(Session *k, Viewer *v, const json_t *q, Answer *a)
{
    (void)v;
    Cell *c = asked_cell(k, q, a);
    if (!c || !same_rev(k, c, q, a))
        return false;
    size_t n = strlen(c->text), at = (size_t)jval_get_int(q, "at", 0);
    if (jval_get_int(q, "at", -1) < 0 || at > n ||
        ((unsigned char)c->text[at] & 0xC0) == 0x80)
        return refuse(a, "bad", "cell %d has no character at byte %zu", c->id, at);
    int id = c->id, new;
    size_t first = at, second = at;
    while (first > 0 && strchr(" \t\n", c->text[first - 1]))
        first--;
    while (c->text[second] == '\n')
        second++;
    json_t *head = jval_text(c->text, first), *tail = jval_str(c->text + second);
    const char *type = cell_type_name(c->type);
    bool ok =
        head && tail &&
        session_change(k, "text", json_pack("{s:i,s:O}", "cell", id, "text", head),
                       &a->err) &&
        insert_cell(k, id, type, json_string_value(tail), "", &new, &a->err);
    json_decref(head);
    json_decref(tail);
    if (ok)
        a->ok = json_pack("{s:i,s:I}", "cell", new, "rev", (json_int_t)k->doc->rev);
    return ok;
}

static bool do_merge(Session *k, Viewer *v, const json_t *q, Answer *a)
{
    (void)v;
    Cell *c = asked_cell(k, q, a);
    if (!c)
        return false;
    int i = document_index(k->doc, c->id), id = c->id;
    if (i + 1 >= k->doc->n)
        return refuse(a, "nocell", "cell %d is the last one", id);
    Cell *next = k->doc->cell[i + 1];
    if (next->id == k->doc->running)
        return refuse(a, "busy", "cell %d runs; stop it first", next->id);
    Str t;
    str_init(&t);
    str_add(&t, c->text);
    str_add(&t, c->text[0] && next->text[0] ? "\n" : "");
    str_add(&t, next->text);
    bool ok =
        str_ok(&t, &a->err) &&
        session_change(k, "delete", json_pack("{s:i}", "cell", next->id), &a->err) &&
        session_change(k, "text",
                       json_pack("{s:i,s:o}", "cell", id, "text", jval_str(t.s)),
                       &a->err);
    str_done(&t);
    return rev_reply(k, a, ok);
}

static bool do_undo(Session *k, Viewer *v, const json_t *q, Answer *a)
{
    (void)v, (void)q;
    bool any;
    if (!session_undo(k, &any, &a->err))
        return false;
    return any ? rev_reply(k, a, true) : refuse(a, "bad", "there is nothing to undo");
}

/* --- running ---------------------------------------------------------------------- */

static json_t *waiting(const Session *k)
{
    return ids(k->doc->queue, k->doc->n_queue);
}

static void add_to_queue(const Session *k, json_t *queue, int id)
{
    const Cell *c = document_cell(k->doc, id);
    bool there = !c || c->type != CELL_CODE;
    for (size_t i = 0; !there && i < json_array_size(queue); i++)
        there = json_integer_value(json_array_get(queue, i)) == id;
    if (!there)
        json_array_append_new(queue, json_integer(id));
}

static bool do_run(Session *k, Viewer *v, const json_t *q, Answer *a)
{
    (void)v;
    json_t *queue = waiting(k), *cells = json_object_get(q, "cells");
    for (size_t i = 0; i < json_array_size(cells); i++) {
        int id = (int)json_integer_value(json_array_get(cells, i));
        if (!document_cell(k->doc, id)) {
            json_decref(queue);
            return refuse(a, "nocell", "there is no cell %d", id);
        }
        add_to_queue(k, queue, id);
    }
    for (int i = 0; !cells && i < k->doc->n; i++)
        add_to_queue(k, queue, k->doc->cell[i]->id);
    k->stop_on_error = flag(q, "stop_on_error", true);
    bool ok = session_emit(k, "queue", json_pack("{s:O}", "cells", queue), &a->err);
    if (ok)
        a->ok = json_pack("{s:O}", "queue", queue);
    json_decref(queue);
    pthread_cond_signal(&k->work);
    return ok;
}

static bool do_cancel(Session *k, Viewer *v, const json_t *q, Answer *a)
{
    (void)v;
    json_t *left = json_array(), *cells = json_object_get(q, "cells");
    for (int i = 0; i < k->doc->n_queue && cells; i++) {
        bool goes = false;
        for (size_t j = 0; j < json_array_size(cells); j++)
            goes = goes ||
                   json_integer_value(json_array_get(cells, j)) == k->doc->queue[i];
        if (!goes)
            json_array_append_new(left, json_integer(k->doc->queue[i]));
    }
    bool ok = session_emit(
        k, "queue", json_pack("{s:O,s:s}", "cells", left, "why", "cancelled"), &a->err);
    if (ok)
        a->ok = json_pack("{s:O}", "queue", left);
    json_decref(left);
    return ok;
}

static bool do_interrupt(Session *k, Viewer *v, const json_t *q, Answer *a)
{
    (void)v, (void)q;
    if (k->doc->n_queue > 0 && !session_cancel(k, "interrupted", &a->err))
        return false;
    control_forget(k);
    runner_interrupt(k);
    double since = k->interrupted_at > 0 ? clock_now() - k->interrupted_at : 0;
    a->ok = json_pack("{s:i,s:f}", "running", k->doc->running, "since", since);
    return true;
}

static bool do_restart(Session *k, Viewer *v, const json_t *q, Answer *a)
{
    (void)v, (void)q;
    if (k->doc->n_queue > 0 && !session_cancel(k, "restart", &a->err))
        return false;
    k->restart = true;
    runner_interrupt(k);
    pthread_cond_signal(&k->work);
    return true;
}

static bool do_kill(Session *k, Viewer *v, const json_t *q, Answer *a)
{
    (void)v, (void)q, (void)a;
    k->ending = k->again = true;
    return true;
}

static bool do_shutdown(Session *k, Viewer *v, const json_t *q, Answer *a)
{
    (void)v, (void)q, (void)a;
    k->ending = true;
    return true;
}

/* --- looking ---------------------------------------------------------------------- */

static bool do_complete(Session *k, Viewer *v, const json_t *q, Answer *a)
{
    (void)v;
    a->ok = look_complete(k, q, &a->err);
    return a->ok != NULL;
}

static bool do_inspect(Session *k, Viewer *v, const json_t *q, Answer *a)
{
    (void)v;
    a->ok = look_inspect(k, q, &a->err);
    a->code = "bad";
    return a->ok != NULL;
}

static bool do_variables(Session *k, Viewer *v, const json_t *q, Answer *a)
{
    (void)v;
    a->ok = look_variables(k, q, &a->err);
    return a->ok != NULL;
}

static int64_t resident(void)
{
    long pages = 0;
    FILE *f = fopen("/proc/self/statm", "re");
    if (f && fscanf(f, "%*d %ld", &pages) != 1)
        pages = 0;
    if (f)
        fclose(f);
    return (int64_t)pages * sysconf(_SC_PAGESIZE);
}

static bool do_status(Session *k, Viewer *v, const json_t *q, Answer *a)
{
    (void)v, (void)q;
    int n = 0;
    for (int i = 0; i < k->n_viewers; i++)
        n += k->viewer[i].id > 0;
    a->ok = json_pack(
        "{s:s,s:i,s:o,s:i,s:I,s:I,s:b,s:b,s:i,s:f}", "state", k->busy ? "busy" : "idle",
        "running", k->doc->running, "queue", waiting(k), "viewers", n, "rss",
        (json_int_t)resident(), "live", (json_int_t)mem_live(), "variables", k->ran,
        "dirty", document_dirty(k->doc), "pid", (int)getpid(), "started", k->started);
    return a->ok != NULL;
}

static bool do_control(Session *k, Viewer *v, const json_t *q, Answer *a)
{
    (void)v;
    if (!control_ask(k, q, &a->err))
        return false;
    a->ok = json_pack("{s:b}", "waits", k->doc->running != 0);
    return true;
}

/* --- the file --------------------------------------------------------------------- */

static bool write_file(Session *k, const char *path, char hash[17], Err *err)
{
    Str t;
    str_init(&t);
    bool ok = document_save(k->doc, &t, err) && file_write_all(path, t.s, t.len, err);
    if (ok)
        document_hash(t.s, t.len, hash);
    str_done(&t);
    return ok;
}

static bool save_elsewhere(Session *k, const char *path, bool force, Answer *a)
{
    char hash[17];
    if (path[0] != '/')
        return refuse(a, "bad", "'%s' must be a path from the root", path);
    if (!force && file_exists(path))
        return refuse(a, "conflict", "'%s' is there already", path);
    if (!write_file(k, path, hash, &a->err))
        return false;
    a->ok =
        json_pack("{s:o,s:I}", "path", jval_str(path), "rev", (json_int_t)k->doc->rev);
    return true;
}

static bool do_save(Session *k, Viewer *v, const json_t *q, Answer *a)
{
    (void)v;
    char hash[17];
    const char *path = jval_get(q, "path", k->place.file);
    bool force = flag(q, "force", false);
    if (strcmp(path, k->place.file) != 0)
        return save_elsewhere(k, path, force, a);
    if (!session_look_at_disk(k, hash, &a->err))
        return false;
    if (!force && strcmp(k->doc->disk, "changed") == 0)
        return refuse(a, "conflict",
                      "'%s' was changed by another program since it was "
                      "read",
                      path);
    if (!write_file(k, path, hash, &a->err) ||
        !session_emit(k, "saved",
                      json_pack("{s:I,s:o,s:s}", "rev", (json_int_t)k->doc->rev, "path",
                                jval_str(path), "hash", hash),
                      &a->err))
        return false;
    a->ok =
        json_pack("{s:o,s:I}", "path", jval_str(path), "rev", (json_int_t)k->doc->rev);
    return true;
}

/* The file's text in the place of the document's; *changed: it was another. */
static bool reload(Session *k, bool *changed, Err *err)
{
    char hash[17], *text;
    size_t n;
    Str now;
    if (!file_read_all(k->place.file, 64 << 20, &text, &n, err))
        return false;
    str_init(&now);
    bool ok = document_save(k->doc, &now, err);
    *changed = now.len != n || memcmp(now.s ? now.s : "", text, n) != 0;
    if (ok && *changed)
        ok = session_change(k, "doc", document_reload(k->doc, text, n, err), err) &&
             session_look_at_disk(k, hash, err);
    mem_free(text);
    str_done(&now);
    return ok;
}

static bool do_disk(Session *k, Viewer *v, const json_t *q, Answer *a)
{
    char hash[17];
    bool changed = false, wanted = flag(q, "reload", false);
    if (!session_look_at_disk(k, hash, &a->err))
        return false;
    if (wanted && !v->rw)
        return refuse(a, "readonly", "this viewer only reads");
    if (wanted && !reload(k, &changed, &a->err))
        return false;
    a->ok = json_pack("{s:s,s:i}", "state", k->doc->disk, "changed", changed);
    return true;
}

/* --- viewers ---------------------------------------------------------------------- */

void session_tell_viewers(Session *k)
{
    json_t *list = json_array();
    for (int i = 0; i < k->n_viewers; i++) {
        const Viewer *v = &k->viewer[i];
        if (v->id > 0 && !v->leaving)
            json_array_append_new(list, json_pack("{s:i,s:o,s:b}", "id", v->id, "name",
                                                  jval_str(v->name), "rw", v->rw));
    }
    session_emit(k, "viewers", json_pack("{s:o,s:i}", "viewers", list, "pen", k->pen),
                 NULL);
}

/* What somebody was typing when the connection broke becomes the cell's text. */
void session_viewer_left(Session *k, int id)
{
    for (int i = 0; i < k->doc->n; i++) {
        const Cell *c = k->doc->cell[i];
        if (c->draft && c->draft_by == id)
            session_change(
                k, "text",
                json_pack("{s:i,s:o}", "cell", c->id, "text", jval_str(c->draft)),
                NULL);
    }
    if (k->pen == id)
        k->pen = 0;
    session_tell_viewers(k);
}

static bool do_hello(Session *k, Viewer *v, const json_t *q, Answer *a)
{
    int64_t proto = jval_get_int(q, "proto", 0);
    if (proto < 1)
        return refuse(a, "proto",
                      "the viewer speaks protocol %lld, this kernel (cleave %s) "
                      "speaks 1 to %d",
                      (long long)proto, CLEAVE_VERSION, PROTOCOL_VERSION);
    if (v->id == 0)
        v->id = k->next_viewer++;
    v->rw = !flag(q, "ro", false);
    text_copy(v->name, sizeof v->name, jval_get(q, "name", ""));
    session_tell_viewers(k);
    a->ok = json_pack("{s:i,s:i,s:i,s:o,s:o,s:s}", "proto", PROTOCOL_VERSION, "viewer",
                      v->id, "pid", (int)getpid(), "dir", jval_str(k->place.dir),
                      "file", jval_str(k->place.file), "version", CLEAVE_VERSION);
    return a->ok != NULL;
}

/* --- dispatch --------------------------------------------------------------------- */

static bool (*const handlers[REQ_COUNT])(Session *, Viewer *, const json_t *,
                                         Answer *) = {
    [REQ_HELLO] = do_hello,
    [REQ_EDIT] = do_edit,
    [REQ_DRAFT] = do_draft,
    [REQ_INSERT] = do_insert,
    [REQ_DELETE] = do_delete,
    [REQ_MOVE] = do_move,
    [REQ_TYPE] = do_type,
    [REQ_SPLIT] = do_split,
    [REQ_MERGE] = do_merge,
    [REQ_UNDO] = do_undo,
    [REQ_RUN] = do_run,
    [REQ_CANCEL] = do_cancel,
    [REQ_INTERRUPT] = do_interrupt,
    [REQ_COMPLETE] = do_complete,
    [REQ_INSPECT] = do_inspect,
    [REQ_VARIABLES] = do_variables,
    [REQ_CONTROL] = do_control,
    [REQ_SAVE] = do_save,
    [REQ_DISK] = do_disk,
    [REQ_RESTART] = do_restart,
    [REQ_KILL] = do_kill,
    [REQ_STATUS] = do_status,
    [REQ_SHUTDOWN] = do_shutdown,
};

/* Who edits has the pen from then on. */
static void take_pen(Session *k, const Viewer *v)
{
    if (k->pen == v->id)
        return;
    k->pen = v->id;
    session_tell_viewers(k);
}

static bool answer(Session *k, Viewer *v, const json_t *q, Answer *a)
{
    const char *name = jval_get(q, "req", "");
    Request r = request_find(name);
    if (r == REQ_COUNT)
        return refuse(a, "unknown", "there is no request '%.60s'", name);
    if (!request_check(r, q, &a->err)) {
        a->code = "bad";
        return false;
    }
    bool control = r == REQ_HELLO || r == REQ_STATUS || r == REQ_RESTART ||
                   r == REQ_KILL || r == REQ_SHUTDOWN;
    if (v->id == 0 && !control)
        return refuse(a, "proto", "the first request must be 'hello'");
    if (request_rows[r].edits && !v->rw)
        return refuse(a, "readonly", "this viewer only reads");
    if (request_rows[r].edits)
        take_pen(k, v);
    return handlers[r](k, v, q, a);
}

json_t *session_answer(Session *k, Viewer *from, const json_t *request)
{
    Answer a = {0};
    int64_t id = jval_get_int(request, "id", 0);
    if (answer(k, from, request, &a))
        return reply_ok(id, a.ok);
    json_decref(a.ok);
    return reply_err(id, a.code ? a.code : "io", a.err.msg);
}
