/* ledger.h -- the end of report.md: settings, environment, and the claim ledger, a
 * table of every number that the run states, and behind it the same as JSON in an
 * HTML comment, for `cleave verify`. Claims come from cl.claim and cl.check
 * ("claims" of run.json) and from the numbers of the result; durations are none.
 * Each names run, seed, command and the interval in which a repetition must fall. */
#ifndef CLEAVE_LAB_LEDGER_H
#define CLEAVE_LAB_LEDGER_H
#include <jansson.h>

#include "base/err.h"

/* What counts as the same value when nobody said: one unit of the fourth significant
 * digit each way; an integer only itself. */
void ledger_interval(double value, bool is_integer, double *lo, double *hi);
/* Ends the report of a finished run; makes one when there is none but there are
 * claims of the script's own. Does nothing for a run with neither. */
bool ledger_write(const char *run_dir, Err *err);
/* The JSON of a report: {"version", "run": {"id", "script", "mark", "argv", "cwd",
 * "seed", "isa", "threads"}, "claims": [{"key", "text", "value", "lo", "hi", "flag"}]}.
 * NULL: ERR_FORMAT when there is none or it is damaged. */
json_t *ledger_read(const char *report, Err *err);
/* Whether the table that readers see is that of the ledger; false after an edit of
 * either. */
bool ledger_shown(const char *report, const json_t *ledger, bool *shown, Err *err);
/* What a run (its folder) has for the keys of claims: key -> number. */
json_t *ledger_values(const char *run_dir, Err *err);
#endif
