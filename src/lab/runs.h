/* runs.h -- all runs of a folder as rows, quickly: what run.json says is kept in an
 * index file (".cleave-index" in the folder, or under $XDG_CACHE_HOME/cleave when the
 * folder cannot be written). An entry counts only while run.json has the same time,
 * size and inode, and the file is replaced whole, so any number of readers and writers
 * may work at once and a lost index costs time, nothing else.
 * Keys, for filters, sorting and groups: fields of the run (number id name state script
 * start end seconds host threads isa version profile sweep why step), then settings,
 * values of the result (lists of rows as "name.metric", a second row of a name as
 * "name.2.metric"), last metrics; "run.",
 * "settings.", "result.", "metric." in front of a key says which is meant. */
#ifndef CLEAVE_LAB_RUNS_H
#define CLEAVE_LAB_RUNS_H
#include <jansson.h>

#include "base/err.h"
#include "base/str.h"
#include "lab/spread.h"

typedef struct RunRow {
    int number;     /* 1 is the oldest of the folder */
    char *dir;      /* path of the run */
    const char *id; /* its last part */
    char state[16]; /* as run_state() has it; "starting": no run.json yet, just made */
    json_t *info;   /* {"run":{},"settings":{},"result":{},"metric":{}}, flat objects */
} RunRow;
typedef struct Runs {
    char *root;
    RunRow *row;
    size_t n;
    size_t parsed; /* run.json files that were read; the others came from the index */
} Runs;

/* The folder asked for, else $CLEAVE_RUNS, else "runs". */
const char *runs_root(const char *given);
/* Rows by start. A folder that is no run is left out; one whose
 * run.json is damaged has the state "damaged". ERR_IO when root cannot be read. */
bool runs_open(const char *root, Runs *out, Err *err);
void runs_close(Runs *r); /* zeroed is fine */
/* One run as a row, without an index; number 0. */
bool runs_read(const char *dir, RunRow *out, Err *err);
void runs_row_done(RunRow *row);

/* The value of a key, borrowed; NULL when the run has none. */
const json_t *runs_value(const RunRow *row, const char *key);
/* The same as a number: NaN when it is none. */
double runs_number(const RunRow *row, const char *key);
/* As people read it: numbers with 4 digits when `brief`, else so that they read
 * back. */
void runs_text(const json_t *value, bool brief, Str *out);
/* Every key that some row has, in the order above, as an array of qualified names
 * ("settings.lr"); `section`: only that one, NULL: all. NULL: out of memory. */
json_t *runs_keys(const Runs *r, const char *section);

/* Whether some row has the key, or there are no rows; else err (ERR_OPTION) says so,
 * after `where`, and names the nearest. */
bool runs_check_key(const Runs *r, const char *key, const char *where, Err *err);

/* Keeps the rows that fulfil all terms: key=v key!=v key>v key>=v key<v key<=v key~part
 * key!~part; = and != take lists (1,2,5). A term whose key no run has is an error that
 * names the nearest, as is text where numbers are compared. */
bool runs_filter(Runs *r, const char *const *terms, size_t n, Err *err);
/* By a key, "-key" downwards; rows without it, and NaN, last. Ties keep their order. */
bool runs_sort(Runs *r, const char *key, Err *err);
/* By folder (with or without root), id, its last six letters, number, or the beginning
 * of one if no other run has it. NULL: err lists what fits. */
const RunRow *runs_find(const Runs *r, const char *name, Err *err);

/* --- groups ----------------------------------------------------------------------- */
typedef struct RunGroup {
    json_t *label;  /* key -> value, in the order of the keys */
    size_t *member; /* indices of rows */
    size_t n;
    size_t seeds; /* different seeds among them; runs without one count each */
} RunGroup;
typedef struct RunGroups {
    RunGroup *group;
    size_t n;
} RunGroups;
/* Rows that agree in all keys ("a,b"; "": all together), in order of appearance. */
bool runs_group(const Runs *r, const char *keys, RunGroups *out, Err *err);
void runs_groups_done(RunGroups *g);
/* A value over the group's seeds: runs of one seed are averaged first, so that
 * repeating a run does not narrow the interval. */
bool runs_spread(const Runs *r, const RunGroup *g, const char *key, Spread *out,
                 Err *err);
/* Mean difference g - base over the seeds that both have. */
bool runs_difference(const Runs *r, const RunGroup *g, const RunGroup *base,
                     const char *key, Spread *out, Err *err);
/* The group whose label or rows fulfil "key=value"; -1 with an error that lists
 * them. */
int runs_baseline(const Runs *r, const RunGroups *g, const char *term, Err *err);

/* --- curves ----------------------------------------------------------------------- */
typedef struct Curve {
    char *name;
    size_t n, cap;
    double *step, *value; /* in the order of metrics.jsonl; values may be NaN */
} Curve;
typedef struct Curves {
    Curve *curve;
    size_t n;
} Curves;
/* Every metric of a run. A torn last line is left out; no metrics are no error. */
bool runs_curves(const RunRow *row, Curves *out, Err *err);
void runs_curves_done(Curves *c); /* zeroed is fine */
/* Mean and interval at each step that some run of the list has; arrays of *n doubles in
 * one block (steps, means, lows, highs), freed with mem_free(). Where fewer than two
 * runs have a value, low and high are the mean. */
double *runs_band(const Curves *runs, size_t n_runs, const char *name, size_t *n,
                  Err *err);
#endif
