/* protocol.c -- frames, and the table of requests. A reader's buffer holds at most one
 * unfinished frame: a length is checked as soon as its four bytes are there. */
#include "kernel/protocol.h"

#include <string.h>

#include "lab/jval.h"

/* --- frames ----------------------------------------------------------------------- */

static void add_head(size_t n, char kind, Str *out)
{
    char head[FRAME_HEAD] = {(char)(n & 0xFF), (char)(n >> 8 & 0xFF),
                             (char)(n >> 16 & 0xFF), (char)(n >> 24 & 0xFF), kind};
    str_addn(out, head, sizeof head);
}

static bool too_long(size_t n, Err *err)
{
    return err_set(err, ERR_FORMAT,
                   "a message of %zu bytes is too long; at most %d can be sent", n,
                   (int)FRAME_MAX);
}

bool frame_json(const json_t *object, Str *out, Err *err)
{
    Str body;
    str_init(&body);
    bool ok = jval_dump(object, 0, &body, err);
    if (ok && body.len > FRAME_MAX)
        ok = too_long(body.len, err);
    if (ok) {
        add_head(body.len, 'J', out);
        str_addn(out, body.s, body.len);
        ok = str_ok(out, err);
    }
    str_done(&body);
    return ok;
}

bool frame_raw(const void *data, size_t n, Str *out, Err *err)
{
    if (n > FRAME_MAX)
        return too_long(n, err);
    add_head(n, 'B', out);
    str_addn(out, data, n);
    return str_ok(out, err);
}

void frame_reader_init(FrameReader *r)
{
    *r = (FrameReader){0};
    str_init(&r->bytes);
}

void frame_reader_done(FrameReader *r)
{
    str_done(&r->bytes);
}

static bool broken(FrameReader *r, Err *err)
{
    r->broken = true;
    return err_set(err, ERR_FORMAT, "the connection broke a rule before");
}

bool frame_feed(FrameReader *r, const void *data, size_t n, Err *err)
{
    if (r->broken)
        return broken(r, err);
    if (r->at > 0) { /* what was handed out makes room */
        memmove(r->bytes.s, r->bytes.s + r->at, r->bytes.len - r->at);
        r->bytes.len -= r->at;
        r->at = 0;
    }
    str_addn(&r->bytes, data, n);
    if (str_ok(&r->bytes, err))
        return true;
    r->broken = true;
    return false;
}

static bool refuse(FrameReader *r, Err *err, const char *why)
{
    r->broken = true;
    return err_set(err, ERR_FORMAT, "a frame %s", why);
}

bool frame_next(FrameReader *r, Frame *out, Err *err)
{
    *out = (Frame){0};
    if (r->broken)
        return broken(r, err);
    const unsigned char *p = (const unsigned char *)r->bytes.s + r->at;
    size_t have = r->bytes.len - r->at;
    if (have >= FRAME_HEAD && p[4] != 'J' && p[4] != 'B')
        return refuse(r, err, "is of no known kind");
    if (have < 4)
        return true;
    size_t n = p[0] | (size_t)p[1] << 8 | (size_t)p[2] << 16 | (size_t)p[3] << 24;
    if (n > FRAME_MAX)
        return refuse(r, err, "is longer than 16 MiB");
    if (have < FRAME_HEAD + n)
        return true;
    const char *body = (const char *)p + FRAME_HEAD;
    r->at += FRAME_HEAD + n;
    if (p[4] == 'B') {
        out->raw = body;
    } else {
        json_t *v = jval_parse(body, n, err);
        if (!v) {
            r->broken = true;
            return err_prefix(err, "a frame");
        }
        if (!json_is_object(v)) {
            json_decref(v);
            return refuse(r, err, "holds no JSON object");
        }
        out->json = v;
    }
    out->kind = (char)p[4];
    out->n = n;
    return true;
}

/* --- requests --------------------------------------------------------------------- */

// clang-format off
#define CELL_FIELD                                                                     \
    {                                                                                  \
        "cell", FIELD_INT, true, "its id"                                              \
    }

const RequestRow request_rows[REQ_COUNT] = {
    [REQ_HELLO] =
        {"hello",
         false,
         {{"proto", FIELD_INT, true, "the highest version the viewer speaks"},
          {"name", FIELD_TEXT, false, "what others see, such as the terminal's name"},
          {"ro", FIELD_BOOL, false, "true: never edits"}},
         "must come first; only status, restart, kill and shutdown need none",
         "proto, viewer (its id), pid, dir (the journal's folder), file, version"},
    [REQ_EDIT] =
        {"edit",
         true,
         {CELL_FIELD,
          {"rev", FIELD_INT, true, "the cell's revision that was edited"},
          {"text", FIELD_TEXT, true, "all of the new text"}},
         "commits a cell's text; lines that are markers split the cell. 'conflict' "
         "when the cell has another revision",
         "rev, cells (ids of cells that the text was split into)"},
    [REQ_DRAFT] = {"draft",
                   true,
                   {CELL_FIELD,
                    {"text", FIELD_TEXT, false, "as typed so far; missing: given up"}},
                   "keeps unfinished text, once a second while somebody types",
                   ""},
    [REQ_INSERT] = {"insert",
                    true,
                    {{"after", FIELD_INT, true, "a cell's id; 0: at the top"},
                     {"type", FIELD_TEXT, false, "code, markdown or raw (code)"},
                     {"text", FIELD_TEXT, false, "(empty)"},
                     {"title", FIELD_TEXT, false, "(none)"}},
                    "makes a cell",
                    "cell, rev"},
    [REQ_DELETE] = {"delete", true, {CELL_FIELD}, "takes a cell away", "rev"},
    [REQ_MOVE] = {"move",
                  true,
                  {CELL_FIELD,
                   {"after", FIELD_INT, true, "a cell's id; 0: to the top"}},
                  "moves a cell",
                  "rev"},
    [REQ_TYPE] = {"type",
                  true,
                  {CELL_FIELD,
                   {"type", FIELD_TEXT, true, "code, markdown or raw"},
                   {"title", FIELD_TEXT, false, "of its marker (as it was)"}},
                  "changes what a cell is",
                  "rev"},
    [REQ_SPLIT] = {"split",
                   true,
                   {CELL_FIELD,
                    {"rev", FIELD_INT, true, "the cell's revision"},
                    {"at", FIELD_INT, true, "a byte of its text, where it is cut"}},
                   "makes two cells of one",
                   "cell (the second), rev"},
    [REQ_MERGE] = {"merge", true, {CELL_FIELD}, "joins a cell and the next one", "rev"},
    [REQ_UNDO] = {"undo",
                  true,
                  {{NULL, FIELD_INT, false, NULL}},
                  "takes back the last change of the document that was not undone: "
                  "text, insert, delete, move, type",
                  "rev"},
    [REQ_RUN] = {"run",
                 false,
                 {{"cells", FIELD_CELLS, false, "in this order (all)"},
                  {"stop_on_error", FIELD_BOOL, false,
                   "a failure cancels what waits behind (true)"}},
                 "puts code cells into the queue",
                 "queue (their ids)"},
    [REQ_CANCEL] = {"cancel",
                    false,
                    {{"cells", FIELD_CELLS, false, "(all that wait)"}},
                    "takes cells out of the queue",
                    "queue"},
    [REQ_INTERRUPT] = {"interrupt",
                       false,
                       {{NULL, FIELD_INT, false, NULL}},
                       "stops the running cell and empties the queue. A cell that "
                       "still runs after 5 s cannot be stopped: offer 'kill'",
                       "running (a cell's id, 0: none), since (seconds since the first "
                       "interrupt of this execution)"},
    [REQ_COMPLETE] =
        {"complete",
         false,
         {{"text", FIELD_TEXT, true, "of the cell as it is being edited"},
          {"pos", FIELD_INT, true, "the cursor, in bytes"},
          {"deadline_ms", FIELD_INT, false, "how long to look (30)"}},
         "ways to go on; never runs code of the user's",
         "from (byte where the word begins), items [{text, kind}], stale (found "
         "in a snapshot because a cell runs), cut (the deadline or 200 items)"},
    [REQ_INSPECT] = {"inspect",
                     false,
                     {{"name", FIELD_TEXT, true, "a name or path, such as net.layers"},
                      {"deadline_ms", FIELD_INT, false, "(100)"}},
                     "what a name is; never runs code of the user's",
                     "name, kind, text, doc, stale"},
    [REQ_VARIABLES] = {"variables",
                       false,
                       {{"deadline_ms", FIELD_INT, false, "(100)"}},
                       "the names that cells have made",
                       "vars [{name, kind, text}], stale"},
    [REQ_CONTROL] =
        {"control",
         true,
         {{"display", FIELD_TEXT, true, "the name it was shown with"},
          {"control", FIELD_TEXT, false, "missing: all back to their first values"},
          {"value", FIELD_VALUE, false, "the control's new value"},
          {"token", FIELD_INT, false, "comes back with the figure that answers (0)"}},
         "turns a control of a display: its function is called as soon as nothing runs, "
         "and a figure event follows; of several changes of one control the last counts",
         "waits (a cell runs)"},
    [REQ_SAVE] = {"save",
                  false,
                  {{"path", FIELD_TEXT, false, "another file (the notebook's own)"},
                   {"force", FIELD_BOOL, false,
                    "true: although the file changed on disk"}},
                  "writes the file, whole or not at all. 'conflict' when another "
                  "program changed it",
                  "path, rev"},
    [REQ_DISK] = {"disk",
                  false,
                  {{"reload", FIELD_BOOL, false,
                    "true: take the file's text; edits can be undone"}},
                  "looks whether another program changed the file",
                  "state (same, changed, gone), changed (1: the text was taken)"},
    [REQ_RESTART] = {"restart",
                     false,
                     {{NULL, FIELD_INT, false, NULL}},
                     "drops every variable; stops the running cell first. The document "
                     "and its outputs stay",
                     ""},
    [REQ_KILL] = {"kill",
                  false,
                  {{NULL, FIELD_INT, false, NULL}},
                  "ends the process at once, whatever it does, and starts another",
                  ""},
    [REQ_STATUS] = {"status",
                    false,
                    {{NULL, FIELD_INT, false, NULL}},
                    "how it is",
                    "state (idle, busy), running, queue, viewers, rss (bytes), live "
                    "(bytes of tensors), variables (whether a cell ran), dirty, pid, "
                    "started"},
    [REQ_SHUTDOWN] = {"shutdown",
                      false,
                      {{NULL, FIELD_INT, false, NULL}},
                      "ends the session; unsaved edits stay in its journal",
                      ""},
};
// clang-format on

Request request_find(const char *name)
{
    int i = 0;
    while (i < REQ_COUNT && strcmp(request_rows[i].name, name) != 0)
        i++;
    return (Request)i;
}

static bool has_type(const json_t *v, FieldType type)
{
    switch (type) {
    case FIELD_INT: return json_is_integer(v);
    case FIELD_TEXT: return json_is_string(v);
    case FIELD_BOOL: return json_is_boolean(v);
    case FIELD_CELLS:
        for (size_t i = 0; i < json_array_size(v); i++) {
            if (!json_is_integer(json_array_get(v, i)))
                return false;
        }
        return json_is_array(v);
    case FIELD_VALUE: return json_is_number(v) || json_is_string(v);
    }
    return false;
}

bool request_check(Request q, const json_t *object, Err *err)
{
    static const char *const type_name[] = {"an integer", "a text", "true or false",
                                            "a list of cell ids",
                                            "a number or a text"};
    const RequestRow *row = &request_rows[q];
    for (int i = 0; i < REQUEST_FIELDS && row->field[i].name; i++) {
        const FieldRow *f = &row->field[i];
        const json_t *v = json_object_get(object, f->name);
        if (!v && !f->required)
            continue;
        if (!v)
            return err_set(err, ERR_OPTION, "request '%s' needs '%s': %s", row->name,
                           f->name, f->doc);
        if (!has_type(v, f->type))
            return err_set(err, ERR_OPTION, "request '%s': '%s' must be %s", row->name,
                           f->name, type_name[f->type]);
    }
    return true;
}

json_t *reply_ok(int64_t id, json_t *taken)
{
    return json_pack("{s:I,s:o}", "id", (json_int_t)id, "ok",
                     taken ? taken : json_object());
}

json_t *reply_err(int64_t id, const char *code, const char *msg)
{
    return json_pack("{s:I,s:{s:s,s:o}}", "id", (json_int_t)id, "err", "code", code,
                     "msg", jval_str(msg));
}
