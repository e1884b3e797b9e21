/* document.h -- a notebook in memory: cells with ids, the percent format it is read
 * from and written to, and the reducer that makes the same document from the same
 * events in the kernel, in every viewer and in the exporters. A Document belongs to
 * one thread.
 *
 * Percent format, as jupytext reads it: a line "-- %%" or "--%%" (optional title and
 * [markdown], [md] or [raw]) begins a cell, except inside a long string or comment
 * that ends later; what comes before the first marker is a cell too. Loading and
 * saving gives the same bytes; an edited cell keeps its marker line and the blank
 * lines behind it. Text of markdown and raw cells is held without "-- ". */
#ifndef CLEAVE_KERNEL_DOCUMENT_H
#define CLEAVE_KERNEL_DOCUMENT_H
#include <jansson.h>
#include <stdint.h>

#include "base/str.h"

typedef enum CellType { CELL_CODE, CELL_MARKDOWN, CELL_RAW } CellType;
typedef enum CellState {
    CELL_NEW, /* not run since it was made or the kernel began */
    CELL_QUEUED,
    CELL_RUNNING,
    CELL_DONE,
    CELL_FAILED,
    CELL_STOPPED,
    CELL_DIED, /* the kernel ended while it ran */
} CellState;

typedef struct Cell {
    int id; /* > 0, never used twice in a session; names out-<id>.log */
    CellType type;
    char *text;   /* as edited, without marker and without blank lines at the end */
    char *draft;  /* typed and not yet committed; NULL: none */
    int draft_by; /* the viewer who types */
    char *title;  /* of the marker line; "" */
    int64_t rev;  /* of the last change; `edit` must name it */

    CellState state;
    CellState ended;   /* what the last execution came to: what a cell goes back to that
                        waits no longer */
    bool stale;        /* document_mark_stale() found out */
    bool edited;       /* the text is not the one that ran */
    int64_t exec;      /* which execution of this kernel, from 1; 0: none */
    double started;    /* unix seconds */
    double secs;       /* of the last execution that ended */
    json_t *outputs;   /* a list of events since the last start: out, value, figure,
                        error, log, metric; neighbours that continue each other are
                        one: out {from,to,lines} (newlines; -1: not known), metric {n,step,m} (the last one's) */
    int64_t n_dropped; /* entries taken out of the middle of a very long list */
    json_t *progress;  /* the last progress event while it runs; NULL: none */
    int64_t log;       /* which file has the text of its last execution: 1 (or 0, none
                          yet) out-<id>.log, n out-<id>.n.log */
    json_t *reads, *assigns; /* sets of names, of the text that ran; NULL: not run */

    char *head; /* the file's marker line; "" for a first cell without one; NULL: new */
    char *tail; /* the file's bytes between the text and the next marker; NULL: new */
    char *raw;  /* the file's bytes of a text that the rules would not give, or of one
                    that is no UTF-8; NULL: the rules give them */
    size_t n_raw;
} Cell;

typedef struct DocViewer {
    int id;
    bool rw;
    char name[64];
} DocViewer;

typedef struct Document {
    char *
        lead; /* the file's bytes before the first cell: byte order mark, blank lines */
    bool crlf; /* lines end in two bytes, in the file */
    Cell **cell;
    int n, cap;
    int next; /* the next cell's id */
    int64_t rev;
    int64_t saved_rev; /* rev of the last `saved`; other: there are unsaved edits */
    char *saved_hash;  /* of the file's bytes then; NULL: never */
    char disk[12];     /* "same", "changed", "gone" */
    int running;       /* the cell that runs, 0: none */
    int *queue;
    int n_queue;
    int64_t execs;  /* executions of this kernel */
    char state[16]; /* of the session: "running", "done", "crashed" ... */
    char *why;      /* of a crash; NULL */
    int64_t pid;    /* of the last kernel that began */
    DocViewer viewer[16];
    int n_viewers, pen;
    bool keep_outputs; /* false: outputs stay NULL (the kernel needs none) */
    Cell **gone;       /* deleted cells, oldest first, so that an undo finds outputs */
    int n_gone;
} Document;

Document *document_new(Err *err);
void document_free(Document *d); /* NULL is fine */

/* Makes the same change an event describes. Events it does not know are ignored. false:
 * ERR_MEMORY, or ERR_FORMAT for one that does not fit (the document is as before). */
bool document_apply(Document *d, const json_t *event, Err *err);
/* What `doc` carries. */
json_t *document_to_json(const Document *d);

Cell *document_cell(const Document *d, int id); /* NULL: there is none */
int document_index(const Document *d, int id);  /* -1: there is none */
bool document_dirty(const Document *d);         /* edits the file does not hold */
const char *cell_type_name(CellType t);
bool cell_type_parse(const char *name, CellType *t);
const char *cell_state_name(CellState s);
/* A line for lists: the title, or the first line that is not blank. */
void cell_headline(const Cell *c, char *dst, size_t cap);
/* Marks cells as stale that read a name which a later execution of another cell
 * assigned, whose text changed since they ran, or that read what a stale cell assigns.
 * Called by document_apply() where it can have changed. */
void document_mark_stale(Document *d);
/* The global names that a piece of Lua reads, and those it assigns (a top-level local
 * counts as global), as the members of two objects. false: out of memory. (names.c) */
bool names_of(const char *text, size_t n, json_t *reads, json_t *assigns, Err *err);

/* --- the file (percent.c) --------------------------------------------------------- */

/* Reads a file's bytes into an empty document; the last saved revision is this one. */
bool document_load(Document *d, const char *text, size_t n, Err *err);
/* The bytes to write. */
bool document_save(const Document *d, Str *out, Err *err);
/* The same; before[i] (NULL: not asked for) is how many lines the file has before the
 * text of cell i. */
bool document_lines(const Document *d, Str *out, int *before, Err *err);
/* The body of a `doc` event that makes the cells those of a file's bytes; cells whose
 * text is still there keep their ids. The caller's; NULL: out of memory. */
json_t *document_reload(const Document *d, const char *text, size_t n, Err *err);
/* What is run: the file's own bytes while the cell is unedited, else its text. */
bool cell_source(const Cell *c, Str *out, Err *err);
/* The cells that a committed code text makes, as a list of {type,title,text}: more than
 * one when it holds marker lines. The caller's; NULL: out of memory. */
json_t *percent_split(const char *text, size_t n, Err *err);
/* FNV-1a of the bytes, 16 hexadecimal digits: tells whether a file changed. */
void document_hash(const char *text, size_t n, char dst[17]);
#endif
