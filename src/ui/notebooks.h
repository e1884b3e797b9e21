/* notebooks.h -- which notebook is meant when none is named. */
#ifndef CLEAVE_UI_NOTEBOOKS_H
#define CLEAVE_UI_NOTEBOOKS_H
#include "base/err.h"

/* The last one of this folder, else notebook.lua where it is there, else the tour, else
 * a new notebook.lua. */
void notebook_here(char *dst, size_t cap);
/* scripts/tour.lua, beside the program or installed with it. */
bool notebook_tour(char *dst, size_t cap, Err *err);
#endif
