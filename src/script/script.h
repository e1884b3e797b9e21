/* script.h -- one Lua state that runs experiment scripts and cells against a Run.
 * A Script borrows its Run (NULL: nothing is recorded; cl.show prints nothing). One thread
 * runs it; script_interrupt() may be called from a signal handler or another thread.
 * Text chunks only; os.exit, os.setlocale, C loaders and string.dump are removed. The
 * runner keeps top-level locals of a chunk visible to later chunks. */
#ifndef CLEAVE_SCRIPT_SCRIPT_H
#define CLEAVE_SCRIPT_SCRIPT_H
#include <jansson.h>

#include "base/str.h"
#include "lab/run.h"

typedef struct Script Script;
typedef enum ScriptEnd {
    SCRIPT_DONE,    /* ran to its end */
    SCRIPT_FAILED,  /* a Lua error: err has the sentence, script_trace() the calls */
    SCRIPT_STOPPED, /* interrupted */
    SCRIPT_USAGE,   /* a setting that cl.config does not know or cannot read */
} ScriptEnd;

Script *script_new(Run *borrowed, Err *err);
void script_free(Script *s);
/* What cl.run() does: ends the run that is measured into and opens one with that name
 * ("": the script's) and those settings; dst: its folder. Without it the settings go to
 * the run of script_new(). */
typedef bool (*ScriptRunFn)(void *ctx, const char *name, const json_t *settings,
                            char *dst, size_t cap, Err *err);
void script_on_run(Script *s, ScriptRunFn fn, void *ctx);
/* A setting "name=text" given on the command line; cl.config picks it up by name. */
bool script_set(Script *s, const char *name, const char *text, Err *err);
/* Runs text as one chunk. *result (may be NULL) is what it returned: numbers, strings, booleans and
 * tables of them as JSON, NULL when it returned nothing. */
ScriptEnd script_run_text(Script *s, const char *text, size_t n, const char *chunk,
                          json_t **result, Err *err);
ScriptEnd script_run_file(Script *s, const char *path, json_t **result, Err *err);
/* As script_run_text(), for one cell of several: the value of a cell that is an expression is
 * shown as cl.show would, and only an explicit `return` makes a *result. */
ScriptEnd script_run_cell(Script *s, const char *text, size_t n, const char *chunk,
                          json_t **result, Err *err);
/* After the last cell: false when settings were given and nobody asked for them. */
bool script_settings_taken(const Script *s, Err *err);
const char *script_trace(const Script *s); /* of the last failure, "" if none */
void script_interrupt(Script *s);          /* async-signal-safe */

/* Looking at a state that does not run (inspect.c), from any thread: raw access only, so that no
 * code of the user's runs and nothing is collected. They stop at `deadline` (clock_now()) with
 * what they have. Lists are the caller's; NULL: out of memory, or a path that leads nowhere. */
/* What can stand behind `path` ("", "cl.data", "net"): [{"text","kind"}], at most `max`. */
json_t *script_fields(Script *s, const char *path, double deadline, int max, Err *err);
/* The value at a path: {"name","kind","text"}. */
json_t *script_describe(Script *s, const char *path, Err *err);
/* The names that cells have made: [{"name","kind","text"}], sorted. */
json_t *script_variables(Script *s, double deadline, Err *err);
/* Whether the text is the beginning of a chunk, as the compiler sees it: a line editor asks for
 * more. Needs no Script. */
bool script_wants_more(const char *text, size_t n);

/* Documentation of a name ("relu", "cl.train", "tensor:sum"): signature, doc, defaults.
 * NULL name: the list of all names by area. false with the nearest name when unknown. */
bool doc_text(const char *name, Str *out, Err *err);
/* The options that a function ("cl.train") or method ("net:fit") takes in a table:
 * [{"text","kind","doc","choices"}]; the caller's, NULL: out of memory. */
json_t *doc_options(const char *path);
/* The signatures of an object's methods, a line each; false: a kind without any. */
bool doc_methods(const char *kind, Str *out);
/* The whole reference as mdoc for man/cleave-api.3. */
bool doc_mdoc(Str *out, Err *err);
#endif
