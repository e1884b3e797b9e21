/* scripts.h -- the scripts that come with cleave, and what a script says of itself: the
 * comment it begins with and the settings it declares. */
#ifndef CLEAVE_UI_SCRIPTS_H
#define CLEAVE_UI_SCRIPTS_H
#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/str.h"

/* A file that comes with cleave, "scripts/tour.lua": beside the program, in its share
 * folder, or in the source tree of $CLEAVE_DATA. */
bool scripts_file(const char *name, char dst[], size_t cap);
/* The script of a name: a file as given, or a bundled one by its name with or without
 * folder and .lua. The path is short where it is below this folder. */
bool scripts_find(const char *name, char dst[], size_t cap);
/* One line for each bundled script: its name and what it asks. */
void scripts_list(Str *out);
/* How to run it, its opening comment, its settings. false: there is no such script, or it
 * cannot be read. */
bool scripts_help(const char *name, Str *out, Err *err);
#endif
