/* protocol.h -- what viewers and the kernel say to each other. Requests go to the
 * kernel over a private Unix socket; whatever becomes of them is an event in the
 * session's journal, which every viewer reads (lab/journal.h). A reply says only
 * whether a request was taken, or carries what was asked for.
 *
 * Frames: 4 bytes length of the payload (little endian), 1 byte kind ('J' one JSON
 * object, 'B' raw bytes that belong to the J before), payload of at most 16 MiB. JSON
 * is strict UTF-8 and at most 64 levels deep. A frame that breaks a rule closes the
 * connection; unknown members are ignored; an unknown request is answered with an
 * error.
 *   request {"id":7,"req":"edit","cell":3,"rev":12,"text":"..."}
 *   reply   {"id":7,"ok":{...}}  or  {"id":7,"err":{"code":"conflict","msg":"..."}}
 *
 * Events about the document, beside those of lab/journal.h. `rev` counts the changes
 * of the document; a cell's revision is the rev of its last change.
 *   kernel   {pid,version,why}      a kernel began ("start", "restart"): what ran or
 *                                   waited is over, no variable exists
 *   doc      {rev,next,cells:[..]}  the whole document; cells as document_to_json()
 *   insert   {rev,cell,after,type,text,title}   after 0: at the top
 *   delete   {rev,cell}
 *   move     {rev,cell,after}
 *   text     {rev,cell,text}        takes the cell's draft away
 *   type     {rev,cell,type,title}  "code", "markdown", "raw"
 *   draft    {cell,text,viewer}     text null: given up
 *   queue    {cells:[..],why}       what waits, in order; `start` takes its cell off
 *   viewers  {viewers:[{id,name,rw}],pen}   pen: who edited last, 0: nobody
 *   saved    {rev,path,hash}        the file now holds this revision
 *   disk     {state}                "same", "changed" or "gone", as last looked at
 *   control  {display,error}        a control could not be turned (lab/display.h has
 *                                   what comes when it could) */
#ifndef CLEAVE_KERNEL_PROTOCOL_H
#define CLEAVE_KERNEL_PROTOCOL_H
#include <jansson.h>

#include "base/str.h"

#define PROTOCOL_VERSION 1
enum { FRAME_HEAD = 5, FRAME_MAX = 16 << 20, FRAME_DEPTH = 64 };

/* --- frames ----------------------------------------------------------------------- */

/* Appends one J frame. ERR_FORMAT when it is too long or too deep. */
bool frame_json(const json_t *object, Str *out, Err *err);
/* Appends one B frame. */
bool frame_raw(const void *data, size_t n, Str *out, Err *err);

/* Takes bytes as they arrive and hands out whole frames. Memory is asked for as bytes
 * come, never by what a length claims. */
typedef struct FrameReader {
    Str bytes;
    size_t at; /* bytes of it that were handed out */
    bool broken;
} FrameReader;
typedef struct Frame {
    char kind;       /* 'J' or 'B' */
    json_t *json;    /* of a J: an object, the caller's */
    const char *raw; /* of a B: valid until the next call */
    size_t n;
} Frame;
void frame_reader_init(FrameReader *r);
void frame_reader_done(FrameReader *r);
bool frame_feed(FrameReader *r, const void *data, size_t n, Err *err);
/* true: *out holds a frame, or kind 0 when none is whole yet. false: a rule was broken,
 * now and for ever. */
bool frame_next(FrameReader *r, Frame *out, Err *err);

/* --- requests --------------------------------------------------------------------- */

typedef enum FieldType {
    FIELD_INT,  /* a JSON integer */
    FIELD_TEXT, /* a JSON string */
    FIELD_BOOL,
    FIELD_CELLS, /* a list of cell ids */
    FIELD_VALUE, /* a number or a text */
} FieldType;
typedef struct FieldRow {
    const char *name;
    FieldType type;
    bool required;
    const char *doc; /* with the default, where it may be left out */
} FieldRow;

/* The order of request_rows. */
typedef enum Request {
    REQ_HELLO,
    REQ_EDIT,
    REQ_DRAFT,
    REQ_INSERT,
    REQ_DELETE,
    REQ_MOVE,
    REQ_TYPE,
    REQ_SPLIT,
    REQ_MERGE,
    REQ_UNDO,
    REQ_RUN,
    REQ_CANCEL,
    REQ_INTERRUPT,
    REQ_COMPLETE,
    REQ_INSPECT,
    REQ_VARIABLES,
    REQ_CONTROL,
    REQ_SAVE,
    REQ_DISK,
    REQ_RESTART,
    REQ_KILL,
    REQ_STATUS,
    REQ_SHUTDOWN,
    REQ_COUNT
} Request;

enum { REQUEST_FIELDS = 6 };
typedef struct RequestRow {
    const char *name;
    bool edits; /* changes the document: takes the pen, refused to read-only viewers */
    FieldRow field[REQUEST_FIELDS]; /* up to the first without a name */
    const char *doc;
    const char *reply; /* members of "ok" */
} RequestRow;
extern const RequestRow request_rows[REQ_COUNT];

/* The row of a request's name; REQ_COUNT when there is none. */
Request request_find(const char *name);
/* Checks members against the row: ERR_OPTION names the one that is missing or has the
 * wrong type. */
bool request_check(Request q, const json_t *object, Err *err);

/* {"id":id,"ok":...} (taken; NULL: {}) and {"id":id,"err":{"code","msg"}}. Codes:
 * "unknown", "bad", "conflict", "readonly", "nocell", "busy", "io", "proto". */
json_t *reply_ok(int64_t id, json_t *taken);
json_t *reply_err(int64_t id, const char *code, const char *msg);
#endif
