/* run.h -- a run: a directory runs/<time>-<name>-<id>/ that holds run.json, the journal, the
 * script as run, figures, tensors and report.md. run.json is rewritten atomically; states are
 * "running", "done", "failed" (script error), "stopped" (interrupted), "crashed" (killed).
 * Live = heartbeat (mtime of `heartbeat`) within 60 s or its pid alive on this host; a run that says
 * running and is not live reads as crashed. */
#ifndef CLEAVE_LAB_RUN_H
#define CLEAVE_LAB_RUN_H
#include <jansson.h>

#include "base/err.h"
#include "lab/journal.h"

typedef struct Run Run;
/* Makes the directory under `root` (NULL: $CLEAVE_RUNS, then ./runs). Copies the script. */
bool run_make_dir(const char *root, const char *script, char *dst, size_t cap, Err *err);
Run *run_open(const char *dir, Err *err); /* by the kernel: opens the journal, starts run.json */
void run_close(Run *r);
Journal *run_journal(Run *r);
const char *run_dir(const Run *r);
bool run_set(Run *r, const char *key, json_t *taken_value, Err *err); /* in run.json */
bool run_finish(Run *r, const char *state, json_t *taken_result, Err *err);
/* By the parent, after the child died: marks a run that still says running as crashed. */
bool run_mark_crashed(const char *dir, const char *why, Err *err);
/* The state as a reader should see it, "crashed" included. */
bool run_state(const char *dir, char dst[16], Err *err);
#endif
