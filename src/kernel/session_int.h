/* session_int.h -- what the files of the session kernel share. One lock guards the
 * document, the queue and the flags; the request thread holds it while it works on a
 * request, the Lua thread only between executions. `busy` is true from the choice of a
 * cell to its end: while it is false, whoever holds the lock may look at the Lua
 * state. */
#ifndef CLEAVE_KERNEL_SESSION_INT_H
#define CLEAVE_KERNEL_SESSION_INT_H
#include <jansson.h>
#include <pthread.h>
#include <stdatomic.h>

#include "kernel/document.h"
#include "kernel/place.h"
#include "kernel/protocol.h"
#include "kernel/ticker.h"
#include "lab/run.h"
#include "script/script.h"

enum { VIEWERS_MAX = 16, UNDO_MAX = 200 };

typedef struct Viewer {
    int fd;
    int id; /* 0 until its hello */
    bool rw;
    char name[64];
    FrameReader in;
    Str out;
    size_t sent; /* bytes of out */
    bool leaving;
} Viewer;

typedef struct Session {
    SessionPlace place;
    int lock_fd;
    Run *run;
    Journal *journal;
    Run *part; /* what is measured now, as a run of its own; the Lua thread's */
    Ticker *ticker;
    double started; /* unix seconds */

    pthread_mutex_t lock;
    pthread_cond_t work;
    Document *doc;
    Script *script;
    bool busy;
    bool restart, stop;    /* for the Lua thread */
    bool stop_on_error;    /* of the last run request */
    bool ran;              /* a cell ran since the Lua state was made */
    double interrupted_at; /* the first interrupt of this execution; 0: none */
    json_t *names;         /* completion while a cell runs: path -> list of fields */
    json_t *variables;     /* the same for the variables */
    json_t *turns;         /* control requests that wait, the oldest first */
    bool turning;          /* a display's function runs */
    json_t *undo;          /* events that take changes back, the newest last */
    pthread_t lua;
    bool lua_ended;

    Viewer viewer[VIEWERS_MAX];
    int n_viewers, next_viewer, pen;
    int listen_fd, wake_fd, notify_fd;
    double idle_seconds;
    double lonely_since;  /* clock_now() when the last viewer left */
    atomic_bool ending;   /* set by a signal, or when the session is over */
    bool again;           /* end so that the watcher starts another kernel */
    atomic_bool relisten; /* SIGUSR1: somebody removed the socket */
} Session;

/* Records an event and applies it to the document; the lock is held. body is taken. */
bool session_emit(Session *k, const char *kind, json_t *taken_body, Err *err);
/* The same, and notes how to take it back. */
bool session_change(Session *k, const char *kind, json_t *taken_body, Err *err);
bool session_undo(Session *k, bool *any, Err *err);
/* Empties the queue, saying why. */
bool session_cancel(Session *k, const char *why, Err *err);
/* Looks at the file: emits `disk` when what it is has changed. hash: of its bytes, ""
 * when it is gone. */
bool session_look_at_disk(Session *k, char hash[17], Err *err);
void session_wake(Session *k); /* the request thread; async-signal-safe */
/* What run.json says about the notebook and the machine. */
bool session_describe(const Session *k, Run *r, Err *err);

/* part.c: a run folder for what is measured; part_open() is for journal_before_metric(). */
void part_open(void *session);
/* For script_on_run(). */
bool part_begin(void *session, const char *name, const json_t *settings, char *dst,
                size_t cap, Err *err);
void part_close(Session *k, const char *state, const json_t *result);

/* runner.c: the Lua thread. */
bool runner_start(Session *k, Err *err);
/* Raises an interrupt in the running cell; the lock is held. */
void runner_interrupt(Session *k);
/* Asks the Lua thread to end and waits up to `seconds`; false: it is stuck. */
bool runner_stop(Session *k, double seconds);

/* control.c, with the lock held: keeps a request for the Lua thread; does the oldest
 * one there; takes those back that wait, which is told to viewers. */
bool control_ask(Session *k, const json_t *request, Err *err);
bool control_waits(const Session *k);
void control_turn(Session *k);
void control_forget(Session *k);

/* requests.c: the answer to a request, never NULL unless memory is out. */
json_t *session_answer(Session *k, Viewer *from, const json_t *request);
/* A viewer came or went. */
void session_tell_viewers(Session *k);
void session_viewer_left(Session *k, int id);

/* look.c: with the lock held. */
json_t *look_complete(Session *k, const json_t *request, Err *err);
json_t *look_inspect(Session *k, const json_t *request, Err *err);
json_t *look_variables(Session *k, const json_t *request, Err *err);
void look_snapshot(Session *k);

/* server.c: the socket and the loop. */
bool server_open(Session *k, Err *err);
void server_loop(Session *k);
void server_close(Session *k);
#endif
