/* scripted.h -- the notebook played from a script, for tests and for screens in texts.
 * The language is in scripted.c. */
#ifndef CLEAVE_UI_SCRIPTED_H
#define CLEAVE_UI_SCRIPTED_H
#include "figure/grid.h"
#include "kernel/client.h"
#include "ui/command.h"

/* Plays it on a screen of this size; takes the client. EXIT_SCRIPT when a wait or a
 * line of it fails. */
Exit scripted_run(Client *taken, const DrawStyle *draw, const char *script, int rows,
                  int cols);
#endif
