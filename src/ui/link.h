/* link.h -- a viewer's state tied to a session: the client, the reader of its journal,
 * the document. The terminal's loop and the scripted one share it. */
#ifndef CLEAVE_UI_LINK_H
#define CLEAVE_UI_LINK_H
#include "kernel/client.h"
#include "ui/ui.h"

typedef struct Link {
    Ui ui;
    Client *client;
    JournalReader *reader;
    Document *doc;
    int watch; /* descriptor that tells of events; -1: look now and then */
    bool more; /* events are left for the next turn */
} Link;
/* Takes the client, also when it fails. */
bool link_open(Link *l, Client *taken, const DrawStyle *draw, bool read_only, Err *err);
void link_close(Link *l); /* zeroed is fine */
/* Events and replies that have come, a bounded number; sets the clock. */
void link_take(Link *l);
/* All events so far, the first cell selected. */
void link_catch_up(Link *l);
/* Starts a kernel again where it was asked for. */
void link_reopen(Link *l);
/* Unfinished text goes to the kernel; waits a moment until it has left. */
void link_flush(Link *l);
/* Nothing runs or waits, and every request was answered. */
bool link_idle(const Link *l);
#endif
