/* journal.h -- the append-only, numbered record of a session or run: events.jsonl, with
 * out-<cell>.log and blobs beside it. The kernel writes it; every viewer reads it. One JSON object a
 * line: {"seq":n,"t":unix_seconds,"ev":"metric",...}. An event is in the file before the call
 * returns (one write(2) a line, O_APPEND; no locks, no mmap). Strings are made valid UTF-8; NaN and
 * infinities become the strings "nan", "inf", "-inf".
 *
 * Events: state{state} start{cell,name} out{cell,from,to} log{text} value{cell,text}
 * error{cell,msg,trace} metric{step,m{}} progress{done,total,rate,eta,text} figure{id,kind,...,blob}
 * done{cell,status,secs} result{...}.
 * Threads: all writers are safe from any thread (one mutex). */
#ifndef CLEAVE_LAB_JOURNAL_H
#define CLEAVE_LAB_JOURNAL_H
#include <jansson.h>
#include <stdint.h>

#include "base/err.h"
#include "figure/figure.h"

typedef struct Journal Journal;
/* Opens dir/events.jsonl for appending (dir must exist); continues its numbering. */
Journal *journal_open(const char *dir, Err *err);
void journal_close(Journal *j);
const char *journal_dir(const Journal *j);
/* Appends {"seq","t","ev":kind} + body. Takes body (always released). Pending output and the last
 * coalesced progress are written first, so order is what the script did. */
bool journal_event(Journal *j, const char *kind, json_t *taken_body, Err *err);

/* Text output of the running cell: appended to out-<cell>.log; `out` events are coalesced per 50 ms
 * by journal_tick() or written before the next other event. */
bool journal_begin_cell(Journal *j, int cell, const char *name, Err *err);
bool journal_out(Journal *j, const char *text, size_t n, Err *err);
bool journal_end_cell(Journal *j, const char *status, double secs, Err *err);
bool journal_metric(Journal *j, int64_t step, const char *const *names, const double *values,
                    int n, Err *err); /* also one line in metrics.jsonl */
/* At most 10 a second reach the file; the last one always does. total <= 0: unknown. */
bool journal_progress(Journal *j, double done, double total, const char *text, Err *err);
/* Writes the pixels as a raw blob, the description as JSON, and a PNG "figures/<id>.png". */
bool journal_figure(Journal *j, const Figure *f, const char *name, Err *err);
/* Flushes coalesced output and progress, touches the heartbeat. Called every 50 ms by a ticker. */
bool journal_tick(Journal *j, Err *err);

/* Reading: follows a journal from an offset. */
typedef struct JournalReader JournalReader;
JournalReader *jreader_open(const char *dir, Err *err);
void jreader_close(JournalReader *r);
/* The next whole line as an object, or NULL with *more = false when there is none yet (or ERR on
 * a line that is not JSON: it is skipped, err says which line). A torn last line waits. */
json_t *jreader_next(JournalReader *r, bool *more, Err *err);
/* Waits until the file grew, or `seconds` passed: inotify, else polling. extra_fd (or -1) also
 * wakes it. */
void jreader_wait(JournalReader *r, double seconds, int extra_fd);
/* Rebuilds a figure from its event (pixels from the blob). */
Figure *jreader_figure(JournalReader *r, const json_t *event, Err *err);
#endif
