/* runs.h -- what the commands about runs share: the list (runs.c), one run and several
 * side by side (runs_show.c), and the grouped table that also ends a sweep. */
#ifndef CLEAVE_UI_RUNS_H
#define CLEAVE_UI_RUNS_H
#include "lab/runs.h"
#include "ui/command.h"
#include "ui/show.h"

/* Groups by keys ("a,b"), numbers as mean and 95 % interval over seeds; baseline
 * "key=value" or "", columns "a,b" or "" for the numeric values of results. */
bool runs_show_groups(const Runs *r, const char *by, const char *baseline,
                      const char *columns, bool csv, const PrintStyle *style, Err *err);
/* The keys that such a table shows, as an array; NULL: out of memory. */
json_t *runs_group_metrics(const Runs *r, const char *columns);
/* Deletes a folder and all in it; false with errno. */
bool runs_remove_tree(const char *path);
Exit runs_show(const Runs *r, const Operands *ops, const RunsOptions *o,
               const PrintStyle *style);
Exit runs_compare(const Runs *r, const Operands *ops, const RunsOptions *o,
                  const PrintStyle *style);
/* The keys to show: those asked for, or all (CSV), or what tells the runs apart. The
 * caller's; NULL: out of memory. */
json_t *runs_columns(const Runs *r, const RunsOptions *o);
/* One value as a cell of a table; `brief`: as short as people want it. */
void runs_cell(const RunRow *row, const char *key, bool brief, Str *t);
#endif
