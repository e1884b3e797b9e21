/* run.h -- a run: a directory runs/<time>-<name>-<id>/ that holds run.json, the
 * journal, the script as run, figures, tensors and report.md. run.json is rewritten
 * atomically; states are "running", "done", "failed" (script error), "stopped"
 * (interrupted), "crashed" (killed). Live: on this host, its process is there (same pid
 * and same start); from another host, the heartbeat is younger than 60 s. A run that
 * says running and is not live reads as crashed. Threads: run_set() and run_save() may
 * be called from any thread. */
#ifndef CLEAVE_LAB_RUN_H
#define CLEAVE_LAB_RUN_H
#include <jansson.h>

#include "base/err.h"
#include "lab/journal.h"

typedef struct Run Run;
/* Makes the directory under `root` (NULL: $CLEAVE_RUNS, then ./runs) and copies the
 * script into it as script.lua; dst is its path. Nothing stays behind on failure. */
bool run_make_dir(const char *root, const char *script, char *dst, size_t cap,
                  Err *err);
/* The same for a script that is in memory; `script` is only its name. */
bool run_make_dir_of(const char *root, const char *script, const char *text, size_t n,
                     char *dst, size_t cap, Err *err);
/* By the kernel: opens the journal and fills run.json (state running, pid, host, start)
 * in memory; the file is written by run_save(). */
Run *run_open(const char *dir, Err *err);
void run_close(Run *r); /* NULL is fine */
Journal *run_journal(Run *r);
const char *run_dir(const Run *r);
/* A member of run.json; in the file after run_save(), run_finish() or the kernel's next
 * tick. */
bool run_set(Run *r, const char *key, json_t *taken_value, Err *err);
/* Adds to a list in run.json, made when there is none. */
bool run_append(Run *r, const char *key, json_t *taken_value, Err *err);
/* Adds members to an object in run.json, made when there is none. */
bool run_add(Run *r, const char *key, const json_t *members, Err *err);
bool run_save(Run *r, Err *err); /* does nothing when nothing changed */
bool run_unsaved(Run *r);
/* From now on `part`, a run of its own, is told what r is by its script: settings and
 * other members, and what journal_tell() names. NULL: it is over. */
void run_tell(Run *r, Run *part);
/* Writes the `result` and `state` events, then run.json with state, result, end and
 * seconds. */
bool run_finish(Run *r, const char *state, json_t *taken_result, Err *err);
/* By the parent, after the child died: marks a run that still says running (or whose
 * run.json was never written) as crashed, with the reason; a finished one is left
 * alone. */
bool run_mark_crashed(const char *dir, const char *why, Err *err);
/* The state as a reader should see it, "crashed" included. */
bool run_state(const char *dir, char dst[16], Err *err);
#endif
