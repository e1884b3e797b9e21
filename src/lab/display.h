/* display.h -- a figure that is drawn again and again while somebody turns its controls:
 * a `figure` event with the member control{name,count,items[]} and the name of the
 * display. Readers keep only the last one of a name. Pixels go round a few blobs that
 * are written over, so that any number of turns takes the room of a few; only the first
 * drawing has a PNG. */
#ifndef CLEAVE_LAB_DISPLAY_H
#define CLEAVE_LAB_DISPLAY_H
#include "lab/run.h"

/* cell: whose output it is. control: as above, always released. count: how often it was
 * drawn before; 0 is the first time. name: letters, digits, - and _ name the files. */
bool display_write(Run *run, const Figure *f, const char *name, int cell, int64_t count,
                   json_t *taken_control, Err *err);
#endif
