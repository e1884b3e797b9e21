/* client.h -- the viewers' end: finding or starting the session of a file, sending
 * requests, taking replies. Nothing here waits unless it says so; what happens in the
 * session is read from its journal:
 *
 *   Client *c = client_open("study.lua", NULL, &err);   starts a kernel if none lives
 *   JournalReader *r = jreader_open(client_dir(c), &err);
 *   Document *d = document_new(&err); d->keep_outputs = true;
 *   loop: poll(keyboard, client_fd(c), jreader_wait...)
 *         while ((ev = jreader_next(r, &more, &err)) || more) document_apply(d, ev, ..)
 *         while ((reply = client_receive(c, &err))) ...;   client_alive(c)?
 *   client_send(c, client_request("run", "{s:[i]}", "cells", 3), &id, &err)
 *   client_close(c)                                     the kernel lives on
 *
 * A Client belongs to one thread. */
#ifndef CLEAVE_KERNEL_CLIENT_H
#define CLEAVE_KERNEL_CLIENT_H
#include <jansson.h>
#include <limits.h>
#include <stdint.h>

#include "base/err.h"

/* Where a file's session is. */
typedef struct SessionPlace {
    char file[PATH_MAX];   /* real path of the notebook (which may not exist yet) */
    char dir[PATH_MAX];    /* journal folder: .cleave/<file>/, or in the state folder */
    char socket[108];      /* of its kernel */
    char record[PATH_MAX]; /* <socket's name>.json: what `cleave ls` shows */
    char lock[PATH_MAX];   /* held by the kernel as long as it lives */
} SessionPlace;
/* Makes the folders (0700) that are missing. Refuses a socket folder that is a link, of
 * another user, or open to others, with the reason. */
bool session_place(const char *file, SessionPlace *p, Err *err);
/* Only file and dir, and makes nothing; dir is "" when there never was a session. */
bool session_peek(const char *file, SessionPlace *p, Err *err);
/* Whether a kernel holds the session's lock. */
bool session_alive(const SessionPlace *p);

typedef struct SessionInfo {
    char name[64]; /* what ls and attach use: the file's name without .lua, made
                            different by -2, -3 ... where two are equal */
    SessionPlace place;
    int64_t pid;
    double started; /* unix seconds */
    bool alive;
} SessionInfo;
/* Sessions with a record, live ones first, newest first. *list is freed with
 * mem_free(). Records of dead sessions that ended properly are taken away. */
bool session_list(SessionInfo **list, int *n, Err *err);
/* By name or by file; NULL or "": the newest live one. */
bool session_find(const char *name, SessionInfo *info, Err *err);

typedef struct ClientOptions {
    const char *name; /* shown to other viewers; NULL: the terminal's name */
    bool read_only;
    bool no_start;     /* fail when no kernel lives */
    char *const *core; /* "--threads=2" ... for a kernel that is started; NULL: none */
} ClientOptions;

typedef struct Client Client;
/* Waits at most 5 s for a kernel that has to be started (usually 10 ms). */
Client *client_open(const char *file, const ClientOptions *opt, Err *err);
void client_close(Client *c);            /* the session goes on; NULL is fine */
const char *client_dir(const Client *c); /* for jreader_open() */
const SessionPlace *client_place(const Client *c);
int client_id(const Client *c);      /* this viewer's id in `viewers`, `draft` */
int64_t client_pid(const Client *c); /* the kernel's */

/* For poll(): POLLIN, and POLLOUT while client_pending(). */
int client_fd(const Client *c);
bool client_pending(const Client *c);
/* {"req":name, ...members in jansson's pack format}. NULL: out of memory. */
json_t *client_request(const char *name, const char *fmt, ...);
/* Sends as much as goes now and keeps the rest; *id (may be NULL) tells the reply. */
bool client_send(Client *c, json_t *taken_request, int64_t *id, Err *err);
/* The next reply, the caller's; NULL: none now. Also sends what waits. */
json_t *client_receive(Client *c, Err *err);
/* false: the kernel is gone, or broke the protocol. */
bool client_alive(const Client *c);
/* One sentence why it is gone, from the journal where it says so (its last state),
 * waiting up to half a second for that. */
void client_why_gone(Client *c, char *dst, size_t cap);
/* Sends and waits for the reply: the "ok" member, the caller's. NULL with err when it
 * is refused (ERR_STATE; the message is the kernel's) or does not come in time.
 * Replies to other requests are kept for client_receive(). */
json_t *client_call(Client *c, json_t *taken_request, double seconds, Err *err);
/* Whether the file of this session has a live kernel again; then connects to it. Make
 * the journal's reader and the document anew then: a long journal is written anew when
 * a kernel begins. */
bool client_reopen(Client *c, Err *err);
/* Asks a live session something without becoming a viewer: the "ok" member of status,
 * restart, kill or shutdown. Waits for it. */
json_t *session_ask(const SessionPlace *p, const char *request, double seconds,
                    Err *err);
/* Ends a kernel that does not react, by SIGKILL; its journal stays. */
bool session_kill(const SessionPlace *p, Err *err);
#endif
