/* viewer.h -- the notebook on a terminal: one loop that waits for keys, the journal,
 * the kernel's replies and signals, with no timer while nothing happens. */
#ifndef CLEAVE_UI_VIEWER_H
#define CLEAVE_UI_VIEWER_H
#include "kernel/client.h"
#include "ui/command.h"
#include "ui/style.h"

/* Why standard input and output cannot show the notebook; NULL: they can. */
const char *viewer_hindrance(const PrintStyle *style);
/* Shows it until the user leaves; takes the client. *next (may be NULL) is what to open
 * then: "tour", or NULL. */
Exit viewer_run(Client *taken, const PrintStyle *style, bool read_only,
                const char **next);
#endif
