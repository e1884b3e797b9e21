/* document.c -- cells in order, and the reducer. Every event has one row; a row's
 * function makes what can fail first and changes the document after that. */
#include "kernel/document.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "kernel/document_int.h"
#include "lab/jval.h"

enum { GONE_MAX = 64 };

/* --- cells ------------------------------------------------------------------------ */

bool cell_put(char **slot, const char *s, Err *err)
{
    char *copy = s ? mem_strdup(s, err) : NULL;
    if (s && !copy)
        return false;
    mem_free(*slot);
    *slot = copy;
    return true;
}

Cell *cell_new(int id, Err *err)
{
    Cell *c = mem_zalloc(sizeof *c, err);
    if (!c)
        return NULL;
    c->id = id;
    if (cell_put(&c->text, "", err) && cell_put(&c->title, "", err))
        return c;
    cell_free(c);
    return NULL;
}

void cell_free(Cell *c)
{
    if (!c)
        return;
    char *texts[] = {c->text, c->draft, c->title, c->head, c->tail, c->raw};
    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        mem_free(texts[i]);
    json_decref(c->outputs);
    json_decref(c->progress);
    json_decref(c->reads);
    json_decref(c->assigns);
    mem_free(c);
}

static const char *const type_names[] = {"code", "markdown", "raw"};

const char *cell_type_name(CellType t)
{
    return type_names[t];
}

bool cell_type_parse(const char *name, CellType *t)
{
    for (size_t i = 0; i < ARRAY_LEN(type_names); i++) {
        if (strcmp(name, type_names[i]) == 0) {
            *t = (CellType)i;
            return true;
        }
    }
    return false;
}

const char *cell_state_name(CellState s)
{
    static const char *const name[] = {"new",    "queued",  "running", "done",
                                       "failed", "stopped", "died"};
    return name[s];
}

void cell_headline(const Cell *c, char *dst, size_t cap)
{
    const char *s = c->title;
    if (!s[0])
        s = c->text + strspn(c->text, " \t\n");
    size_t n = strcspn(s, "\n");
    if (cap == 0)
        return;
    if (n >= cap) {
        n = cap - 1;
        while (n > 0 && ((unsigned char)s[n] & 0xC0) == 0x80)
            n--; /* not inside a code point */
    }
    memcpy(dst, s, n);
    dst[n] = '\0';
}

/* --- documents -------------------------------------------------------------------- */

Document *document_new(Err *err)
{
    Document *d = mem_zalloc(sizeof *d, err);
    if (!d)
        return NULL;
    d->next = 1;
    text_copy(d->disk, sizeof d->disk, "same");
    return d;
}

void document_free(Document *d)
{
    if (!d)
        return;
    for (int i = 0; i < d->n; i++)
        cell_free(d->cell[i]);
    for (int i = 0; i < d->n_gone; i++)
        cell_free(d->gone[i]);
    mem_free(d->cell);
    mem_free(d->gone);
    mem_free(d->queue);
    mem_free(d->lead);
    mem_free(d->saved_hash);
    mem_free(d->why);
    mem_free(d);
}

int document_index(const Document *d, int id)
{
    for (int i = 0; i < d->n; i++) {
        if (d->cell[i]->id == id)
            return i;
    }
    return -1;
}

Cell *document_cell(const Document *d, int id)
{
    int i = document_index(d, id);
    return i < 0 ? NULL : d->cell[i];
}

bool document_dirty(const Document *d)
{
    return d->rev != d->saved_rev;
}

bool document_put(Document *d, Cell *taken, int index, Err *err)
{
    if (d->n == d->cap) {
        int cap = d->cap ? 2 * d->cap : 16;
        Cell **more = mem_realloc(d->cell, (size_t)cap * sizeof *more, err);
        if (!more)
            return false;
        d->cell = more;
        d->cap = cap;
    }
    memmove(d->cell + index + 1, d->cell + index,
            (size_t)(d->n - index) * sizeof *d->cell);
    d->cell[index] = taken;
    d->n++;
    return true;
}

static Cell *take_out(Document *d, int index)
{
    Cell *c = d->cell[index];
    d->n--;
    memmove(d->cell + index, d->cell + index + 1,
            (size_t)(d->n - index) * sizeof *d->cell);
    return c;
}

/* --- cells as JSON ---------------------------------------------------------------- */

static json_t *hex_text(const char *s, size_t n)
{
    Str t;
    str_init(&t);
    for (size_t i = 0; i < n; i++)
        str_addf(&t, "%02x", (unsigned char)s[i]);
    json_t *v = t.oom ? NULL : json_stringn(t.s, t.len);
    str_done(&t);
    return v;
}

json_t *cell_to_json(const Cell *c)
{
    json_t *o = json_object();
    bool ok = o && jval_set(o, "id", json_integer(c->id)) &&
              jval_set(o, "type", json_string(cell_type_name(c->type))) &&
              jval_set(o, "text", jval_str(c->text)) &&
              jval_set(o, "title", jval_str(c->title)) &&
              jval_set(o, "rev", json_integer(c->rev)) &&
              (!c->head || jval_set(o, "head", jval_str(c->head))) &&
              (!c->tail || jval_set(o, "tail", jval_str(c->tail))) &&
              (!c->draft || jval_set(o, "draft", jval_str(c->draft))) &&
              (!c->raw || jval_set(o, "raw", hex_text(c->raw, c->n_raw)));
    if (ok)
        return o;
    json_decref(o);
    return NULL;
}

json_t *document_to_json(const Document *d)
{
    json_t *o = json_object(), *cells = json_array();
    bool ok = o && cells;
    for (int i = 0; ok && i < d->n; i++)
        ok = json_array_append_new(cells, cell_to_json(d->cell[i])) == 0;
    ok = ok && jval_set(o, "rev", json_integer(d->rev)) &&
         jval_set(o, "next", json_integer(d->next)) &&
         jval_set(o, "crlf", json_boolean(d->crlf)) &&
         (!d->lead || jval_set(o, "lead", jval_str(d->lead))) &&
         (!d->saved_hash || d->saved_rev != d->rev ||
          jval_set(o, "hash", json_string(d->saved_hash))) &&
         json_object_set(o, "cells", cells) == 0;
    json_decref(cells);
    if (ok)
        return o;
    json_decref(o);
    return NULL;
}

static int hex_digit(char c)
{
    const char *digits = "0123456789abcdef", *at = c ? strchr(digits, c) : NULL;
    return at ? (int)(at - digits) : -1;
}

/* The raw bytes of a cell in JSON, if there are any. */
static bool read_raw(Cell *c, const char *hex, Err *err)
{
    size_t n = strlen(hex) / 2;
    c->raw = mem_alloc(n + 1, err);
    if (!c->raw)
        return false;
    c->n_raw = n;
    c->raw[n] = '\0';
    for (size_t i = 0; i < n; i++) {
        int high = hex_digit(hex[2 * i]), low = hex_digit(hex[2 * i + 1]);
        if (high < 0 || low < 0)
            return err_set(err, ERR_FORMAT, "the raw text of cell %d is no hexadecimal",
                           c->id);
        c->raw[i] = (char)(high << 4 | low);
    }
    return true;
}

static Cell *cell_from_json(const json_t *o, int id, Err *err)
{
    Cell *c = cell_new(id, err);
    const char *raw = jval_get(o, "raw", NULL);
    bool ok = c && cell_put(&c->text, jval_get(o, "text", ""), err) &&
              cell_put(&c->title, jval_get(o, "title", ""), err) &&
              cell_put(&c->head, jval_get(o, "head", NULL), err) &&
              cell_put(&c->tail, jval_get(o, "tail", NULL), err) &&
              cell_put(&c->draft, jval_get(o, "draft", NULL), err) &&
              (!raw || read_raw(c, raw, err));
    if (ok) {
        cell_type_parse(jval_get(o, "type", "code"), &c->type);
        c->rev = jval_get_int(o, "rev", 0);
        return c;
    }
    cell_free(c);
    return NULL;
}

/* What an execution left is kept when a cell is made anew from the file. */
static void inherit(Cell *c, Cell *old)
{
    c->state = old->state;
    c->ended = old->ended;
    c->exec = old->exec;
    c->started = old->started;
    c->secs = old->secs;
    c->log = old->log;
    c->n_dropped = old->n_dropped;
    c->edited = old->edited || (old->exec > 0 && strcmp(c->text, old->text) != 0);
    c->outputs = json_incref(old->outputs);
    c->progress = json_incref(old->progress);
    c->reads = json_incref(old->reads);
    c->assigns = json_incref(old->assigns);
}

/* --- the queue -------------------------------------------------------------------- */

static void unqueue(Document *d, int id)
{
    for (int i = 0; i < d->n_queue; i++) {
        if (d->queue[i] == id) {
            memmove(d->queue + i, d->queue + i + 1,
                    (size_t)(d->n_queue - i - 1) * sizeof *d->queue);
            d->n_queue--;
            return;
        }
    }
}

/* A cell that waits no longer goes back to what its last execution made of it. */
static void settle(Document *d)
{
    for (int i = 0; i < d->n; i++) {
        Cell *c = d->cell[i];
        bool waits = false;
        for (int k = 0; k < d->n_queue; k++)
            waits = waits || d->queue[k] == c->id;
        if (waits && c->id != d->running)
            c->state = CELL_QUEUED;
        else if (c->state == CELL_QUEUED)
            c->state = c->ended;
    }
}

/* --- events ----------------------------------------------------------------------- */

static bool no_cell(const json_t *ev, Err *err)
{
    return err_set(err, ERR_FORMAT,
                   "event %lld ('%s') names cell %lld, which is not there",
                   (long long)jval_get_int(ev, "seq", 0), jval_get(ev, "ev", ""),
                   (long long)jval_get_int(ev, "cell", 0));
}

static Cell *event_cell(const Document *d, const json_t *ev)
{
    return document_cell(d, (int)jval_get_int(ev, "cell", 0));
}

static void note_rev(Document *d, Cell *c, const json_t *ev)
{
    d->rev = jval_get_int(ev, "rev", d->rev + 1);
    if (c)
        c->rev = d->rev;
}

/* A blank line stands between two cells and none behind the last: what the file had is
 * kept where the order did not change. */
static bool mend_tails(Document *d, int was_last, Err *err)
{
    for (int i = 0; i < d->n; i++) {
        Cell *c = d->cell[i];
        bool last = i + 1 == d->n;
        if (c->tail && last != (c->id == was_last) && !cell_put(&c->tail, NULL, err))
            return false;
    }
    return true;
}

static int last_id(const Document *d)
{
    return d->n > 0 ? d->cell[d->n - 1]->id : 0;
}

static bool on_doc(Document *d, const json_t *ev, Err *err)
{
    Document *new = document_new(err);
    const json_t *cells = json_object_get(ev, "cells");
    bool ok = new &&cell_put(&new->lead, jval_get(ev, "lead", NULL), err);
    for (size_t i = 0; ok && i < json_array_size(cells); i++) {
        const json_t *o = json_array_get(cells, i);
        int id = (int)jval_get_int(o, "id", 0);
        if (id <= 0 || document_cell(new, id)) {
            ok = err_set(err, ERR_FORMAT,
                         "a document has the cell id %d twice or below 1", id);
            break;
        }
        Cell *c = cell_from_json(o, id, err), *old = document_cell(d, id);
        if (c && old)
            inherit(c, old);
        ok = c && document_put(new, c, new->n, err);
        if (!ok)
            cell_free(c);
    }
    const char *hash = jval_get(ev, "hash", NULL);
    if (!ok || (hash && !cell_put(&d->saved_hash, hash, err))) {
        document_free(new);
        return false;
    }
    note_rev(d, NULL, ev);
    if (hash)
        d->saved_rev = d->rev;
    d->crlf = json_is_true(json_object_get(ev, "crlf"));
    int64_t next = jval_get_int(ev, "next", d->next);
    for (int i = 0; i < new->n; i++) {
        if (new->cell[i]->id >= next)
            next = new->cell[i]->id + 1;
    }
    d->next = next > d->next ? (int)next : d->next;
    Document swap = *d; /* the old cells leave with `new` */
    d->lead = new->lead, d->cell = new->cell, d->n = new->n, d->cap = new->cap;
    new->lead = swap.lead, new->cell = swap.cell, new->n = swap.n, new->cap = swap.cap;
    document_free(new);
    settle(d);
    return true;
}

/* Where a cell behind `after` goes; -1: `after` is not there. */
static int place_after(const Document *d, const json_t *ev)
{
    int after = (int)jval_get_int(ev, "after", 0);
    if (after == 0)
        return 0;
    int i = document_index(d, after);
    return i < 0 ? -1 : i + 1;
}

/* A cell that was deleted comes back with what it had shown. */
static void revive(Document *d, Cell *c)
{
    for (int i = d->n_gone - 1; i >= 0; i--) {
        if (d->gone[i]->id != c->id)
            continue;
        inherit(c, d->gone[i]);
        cell_free(d->gone[i]);
        d->n_gone--;
        memmove(d->gone + i, d->gone + i + 1,
                (size_t)(d->n_gone - i) * sizeof *d->gone);
        return;
    }
}

static bool on_insert(Document *d, const json_t *ev, Err *err)
{
    int id = (int)jval_get_int(ev, "cell", 0), at = place_after(d, ev);
    if (id <= 0 || at < 0 || document_cell(d, id))
        return no_cell(ev, err);
    int was_last = last_id(d);
    Cell *c = cell_from_json(ev, id, err);
    if (!c || !document_put(d, c, at, err)) {
        cell_free(c);
        return false;
    }
    revive(d, c);
    if (c->state == CELL_QUEUED || c->state == CELL_RUNNING)
        c->state = c->ended;
    if (id >= d->next)
        d->next = id + 1;
    note_rev(d, c, ev);
    return mend_tails(d, was_last, err);
}

static bool on_delete(Document *d, const json_t *ev, Err *err)
{
    int i = document_index(d, (int)jval_get_int(ev, "cell", 0));
    if (i < 0)
        return no_cell(ev, err);
    if (!d->gone && !(d->gone = mem_array(GONE_MAX, sizeof *d->gone, err)))
        return false;
    int was_last = last_id(d);
    if (d->n_gone == GONE_MAX) {
        cell_free(d->gone[0]);
        memmove(d->gone, d->gone + 1, (GONE_MAX - 1) * sizeof *d->gone);
        d->n_gone--;
    }
    Cell *c = take_out(d, i);
    d->gone[d->n_gone++] = c;
    unqueue(d, c->id);
    note_rev(d, NULL, ev);
    return mend_tails(d, was_last, err);
}

static bool on_move(Document *d, const json_t *ev, Err *err)
{
    int i = document_index(d, (int)jval_get_int(ev, "cell", 0)),
        to = place_after(d, ev);
    if (i < 0 || to < 0)
        return no_cell(ev, err);
    int was_last = last_id(d);
    Cell *c = take_out(d, i);
    if (to > i)
        to--;
    memmove(d->cell + to + 1, d->cell + to, (size_t)(d->n - to) * sizeof *d->cell);
    d->cell[to] = c;
    d->n++;
    note_rev(d, NULL, ev);
    return mend_tails(d, was_last, err);
}

static bool on_text(Document *d, const json_t *ev, Err *err)
{
    Cell *c = event_cell(d, ev);
    if (!c)
        return no_cell(ev, err);
    if (!cell_put(&c->text, jval_get(ev, "text", ""), err))
        return false;
    cell_put(&c->draft, NULL, NULL);
    mem_free(c->raw);
    c->raw = NULL;
    c->edited = c->exec > 0;
    note_rev(d, c, ev);
    return true;
}

static bool on_type(Document *d, const json_t *ev, Err *err)
{
    Cell *c = event_cell(d, ev);
    if (!c)
        return no_cell(ev, err);
    if (!cell_put(&c->title, jval_get(ev, "title", c->title), err))
        return false;
    cell_type_parse(jval_get(ev, "type", ""), &c->type);
    cell_put(&c->head, NULL, NULL);
    mem_free(c->raw);
    c->raw = NULL;
    note_rev(d, c, ev);
    return true;
}

static bool on_draft(Document *d, const json_t *ev, Err *err)
{
    Cell *c = event_cell(d, ev);
    if (!c)
        return no_cell(ev, err);
    if (!cell_put(&c->draft, jval_get(ev, "text", NULL), err))
        return false;
    c->draft_by = (int)jval_get_int(ev, "viewer", 0);
    return true;
}

static bool on_queue(Document *d, const json_t *ev, Err *err)
{
    const json_t *cells = json_object_get(ev, "cells");
    size_t n = json_array_size(cells);
    int *queue = mem_array(n + 1, sizeof *queue, err);
    if (!queue)
        return false;
    for (size_t i = 0; i < n; i++)
        queue[i] = (int)json_integer_value(json_array_get(cells, i));
    mem_free(d->queue);
    d->queue = queue;
    d->n_queue = (int)n;
    settle(d);
    return true;
}

static bool on_start(Document *d, const json_t *ev, Err *err)
{
    Cell *c = event_cell(d, ev);
    json_t *reads = json_object(), *assigns = json_object();
    bool ok = reads && assigns;
    if (!ok)
        err_set(err, ERR_MEMORY, "out of memory while a cell began");
    ok = ok && (!c || names_of(c->text, strlen(c->text), reads, assigns, err));
    if (!ok || !c) {
        json_decref(reads);
        json_decref(assigns);
        return ok;
    }
    json_decref(c->reads);
    json_decref(c->assigns);
    json_decref(c->outputs);
    json_decref(c->progress);
    c->reads = reads;
    c->assigns = assigns;
    c->outputs = c->progress = NULL;
    c->n_dropped = 0;
    c->log = jval_get_int(ev, "log", 1);
    c->edited = false;
    c->exec = ++d->execs;
    c->started = json_number_value(json_object_get(ev, "t"));
    c->state = c->ended = CELL_RUNNING;
    d->running = c->id;
    unqueue(d, c->id);
    return true;
}

static bool on_done(Document *d, const json_t *ev, Err *err)
{
    (void)err;
    Cell *c = event_cell(d, ev);
    const char *status = jval_get(ev, "status", "done");
    d->running = 0;
    if (!c)
        return true;
    c->ended = strcmp(status, "done") == 0      ? CELL_DONE
               : strcmp(status, "stopped") == 0 ? CELL_STOPPED
                                                : CELL_FAILED;
    c->state = c->ended;
    c->secs = json_number_value(json_object_get(ev, "secs"));
    json_decref(c->progress);
    c->progress = NULL;
    settle(d);
    return true;
}

static bool on_output(Document *d, const json_t *ev, Err *err)
{
    Cell *c = event_cell(d, ev);
    if (!c)
        c = document_cell(d, d->running);
    return !c || !d->keep_outputs || cell_output(c, ev, err);
}

static bool on_progress(Document *d, const json_t *ev, Err *err)
{
    (void)err;
    Cell *c = event_cell(d, ev);
    if (c && d->keep_outputs) {
        json_decref(c->progress);
        c->progress = json_incref((json_t *)ev);
    }
    return true;
}

static bool on_kernel(Document *d, const json_t *ev, Err *err)
{
    (void)err;
    for (int i = 0; i < d->n; i++) {
        Cell *c = d->cell[i];
        if (c->state == CELL_RUNNING)
            c->ended = CELL_DIED;
        c->state = c->ended;
        c->exec = 0;
        c->stale = c->edited = false;
        json_decref(c->progress);
        c->progress = NULL;
    }
    d->running = d->n_queue = 0;
    d->execs = 0;
    d->n_viewers = strcmp(jval_get(ev, "why", ""), "restart") == 0 ? d->n_viewers : 0;
    d->pid = jval_get_int(ev, "pid", 0);
    text_copy(d->state, sizeof d->state, "running");
    return cell_put(&d->why, NULL, NULL);
}

static bool on_viewers(Document *d, const json_t *ev, Err *err)
{
    (void)err;
    const json_t *list = json_object_get(ev, "viewers");
    d->n_viewers = 0;
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *o = json_array_get(list, i);
        if (d->n_viewers == (int)ARRAY_LEN(d->viewer))
            break;
        DocViewer *v = &d->viewer[d->n_viewers++];
        v->id = (int)jval_get_int(o, "id", 0);
        v->rw = json_is_true(json_object_get(o, "rw"));
        text_copy(v->name, sizeof v->name, jval_get(o, "name", ""));
    }
    d->pen = (int)jval_get_int(ev, "pen", 0);
    return true;
}

static bool on_saved(Document *d, const json_t *ev, Err *err)
{
    if (!cell_put(&d->saved_hash, jval_get(ev, "hash", ""), err))
        return false;
    d->saved_rev = jval_get_int(ev, "rev", d->rev);
    text_copy(d->disk, sizeof d->disk, "same");
    return true;
}

static bool on_disk(Document *d, const json_t *ev, Err *err)
{
    (void)err;
    text_copy(d->disk, sizeof d->disk, jval_get(ev, "state", "same"));
    return true;
}

static bool on_state(Document *d, const json_t *ev, Err *err)
{
    text_copy(d->state, sizeof d->state, jval_get(ev, "state", ""));
    return cell_put(&d->why, jval_get(ev, "why", NULL), err);
}

static const struct {
    const char *kind;
    bool (*apply)(Document *, const json_t *, Err *);
    bool stales; /* staleness can have changed */
} rows[] = {
    {"out",      on_output,   false},
    {"metric",   on_output,   false},
    {"progress", on_progress, false},
    {"value",    on_output,   false},
    {"figure",   on_output,   false},
    {"error",    on_output,   false},
    {"log",      on_output,   false},
    {"result",   on_output,   false},
    {"start",    on_start,    true },
    {"done",     on_done,     true },
    {"queue",    on_queue,    false},
    {"draft",    on_draft,    false},
    {"text",     on_text,     true },
    {"insert",   on_insert,   true },
    {"delete",   on_delete,   true },
    {"move",     on_move,     false},
    {"type",     on_type,     true },
    {"doc",      on_doc,      true },
    {"kernel",   on_kernel,   true },
    {"viewers",  on_viewers,  false},
    {"saved",    on_saved,    false},
    {"disk",     on_disk,     false},
    {"state",    on_state,    false},
};

bool document_apply(Document *d, const json_t *event, Err *err)
{
    const char *kind = jval_get(event, "ev", "");
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        if (strcmp(rows[i].kind, kind) != 0)
            continue;
        if (!rows[i].apply(d, event, err))
            return false;
        if (rows[i].stales)
            document_mark_stale(d);
        return true;
    }
    return true;
}
