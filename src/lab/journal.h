/* journal.h -- the append-only, numbered record of a session or run: events.jsonl, with
 * out-<cell>.log and blobs beside it. The kernel writes it; every viewer reads it. One
 * JSON object a line: {"seq":n,"t":unix_seconds,"ev":"metric",...}. An event is in the
 * file before the call returns (one write(2) a line, O_APPEND; no locks, no mmap).
 * Strings are made valid UTF-8; NaN and infinities become the strings "nan", "inf",
 * "-inf".
 *
 * Events: state{state} start{cell,name,log} out{cell,from,to,lines} log{text} value{cell,text}
 * error{cell,msg,trace} metric{step,m{}} progress{done,total,rate,eta,text}
 * figure{id,kind,...,blob} done{cell,status,secs} result{result}.
 * Threads: all writers are safe from any thread (one mutex). */
#ifndef CLEAVE_LAB_JOURNAL_H
#define CLEAVE_LAB_JOURNAL_H
#include <jansson.h>
#include <stdint.h>

#include "base/err.h"
#include "figure/figure.h"

typedef struct Journal Journal;
/* Opens dir/events.jsonl for appending (dir must exist); continues its numbering and
 * ends a torn last line first, so that nothing is ever glued to it. */
Journal *journal_open(const char *dir, Err *err);
void journal_close(Journal *j); /* flushes; NULL is fine */
/* From the next journal_begin_cell() on, descriptors 1 and 2 of the process go to the
 * cell's log too, so what C libraries print is kept, in order, even if the process is
 * killed. */
void journal_capture_std(Journal *j);
/* For the ticker's thread: sleeps until something waits for journal_tick(), until
 * journal_poke(), or for `seconds`. true: something waits. */
bool journal_wait(Journal *j, double seconds);
void journal_poke(Journal *j);
/* false with the first failure since opening (disk full ...): the record has a hole. */
bool journal_healthy(Journal *j, Err *err);
/* Appends {"seq","t","ev":kind} + body. Takes body (always released; NULL: no members,
 * or out of memory). Pending output is written first, and coalesced progress if its
 * rate allows, so order is what the script did. */
bool journal_event(Journal *j, const char *kind, json_t *taken_body, Err *err);

/* Text output of the running cell (0 before the first): appended to out-<cell>.log at
 * once, or to out-<cell>.2.log, .3.log ... when an earlier execution of the cell left a
 * text, which goes then: a cell keeps the text of its newest execution; `out` events are coalesced per 50 ms by journal_tick() or written before the
 * next other event. After a crash the log may go on beyond the last `out` event: a
 * viewer shows that rest too. A log is not capped: a viewer that shows parts of a cell
 * only takes head and tail by jreader_out(). */
bool journal_begin_cell(Journal *j, int cell, const char *name, Err *err);
bool journal_out(Journal *j, const char *text, size_t n, Err *err);
bool journal_end_cell(Journal *j, const char *status, double secs, Err *err);
/* n named values; also one line in metrics.jsonl: {"step":..,"t":..,"loss":..}. */
bool journal_metric(Journal *j, int64_t step, const char *const *names,
                    const double *values, int n, Err *err);
/* At most 10 in any second reach the file; the last one of a cell always does. total <=
 * 0: unknown. The rate is taken over the last ten seconds of the same series (text and
 * total unchanged, done not falling); rate and eta are left out until they are known.
 */
bool journal_progress(Journal *j, double done, double total, const char *text,
                      Err *err);
int journal_cell(Journal *j); /* the cell that runs or ran last; 0: none yet */
/* Writes the pixels as a raw blob (f32, little endian), the description as JSON, and a
 * PNG "figures/<id>.png"; the id is a number and the name (NULL: none) in file-name
 * letters. */
bool journal_figure(Journal *j, const Figure *f, const char *name, Err *err);
/* From now on `other` (NULL: nobody any longer) gets what a script does here: cells,
 * text, metrics, progress, figures, `value`, `log` and `error`; what the running cell
 * has printed so far comes first, up to 4 MiB of it. It is flushed with this one's
 * journal_tick(). A failure there is in its own journal_healthy(). */
void journal_tell(Journal *j, Journal *other);
/* Called on the thread of journal_metric(), before it writes, while nobody is told. */
void journal_before_metric(Journal *j, void (*fn)(void *ctx), void *ctx);
/* Flushes coalesced output and progress, touches the heartbeat. Called every 50 ms by a
 * ticker. */
bool journal_tick(Journal *j, Err *err);

/* Reading: follows a journal from an offset. */
typedef struct JournalReader JournalReader;
JournalReader *jreader_open(const char *dir, Err *err);
void jreader_close(JournalReader *r);
/* The next whole line as an object (the caller's). NULL with *more = false: none yet, a
 * torn last line waits. NULL with *more = true: a line that is no event was skipped,
 * err says which and why. */
json_t *jreader_next(JournalReader *r, bool *more, Err *err);
/* Waits until the file grew, or `seconds` passed: inotify, on network file systems
 * polling. extra_fd (or -1) wakes it when readable. */
void jreader_wait(JournalReader *r, double seconds, int extra_fd);
/* For a poll() of one's own: forgets the announcements so far and returns a descriptor
 * that becomes readable with the next one; -1: look again every quarter of a second.
 * Called before reading to the end, nothing is missed. */
int jreader_watch(JournalReader *r);
const char *jreader_dir(const JournalReader *r);
/* Rebuilds a figure from its event (pixels from the blob). Every size is checked
 * against the file before memory is asked for; paths that leave the folder are refused.
 */
Figure *jreader_figure(JournalReader *r, const json_t *event, Err *err);
/* Up to `max` bytes of what the cell's last execution printed, as far as this reader has
 * come (the last `start` that jreader_next() gave), from offset `from`, NUL-terminated
 * beyond *n; freed by the caller with mem_free(). Reading at the end gives 0 bytes;
 * ERR_STATE: a newer execution has replaced it. */
bool jreader_out(JournalReader *r, int cell, int64_t from, size_t max, char **text,
                 size_t *n, Err *err);
/* The number of that execution's text, and a text by its number, for a reader that is
 * behind itself. */
int64_t jreader_log(const JournalReader *r, int cell);
bool jreader_log_out(JournalReader *r, int cell, int64_t log, int64_t from, size_t max,
                     char **text, size_t *n, Err *err);
/* The name of its file in the folder. */
void jreader_log_name(const JournalReader *r, int cell, char dst[64]);
#endif
