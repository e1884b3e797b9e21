/* session.h -- the kernel of a notebook: a process of its own that lives on without
 * viewers. Two are started for a session: a watcher, which only waits, and the kernel,
 * so that somebody can tell how a killed kernel ended. */
#ifndef CLEAVE_KERNEL_SESSION_H
#define CLEAVE_KERNEL_SESSION_H
#include "kernel/kernel.h"

typedef struct SessionArgs {
    const char *file;    /* of the notebook */
    int ready_fd;        /* told "ok", "taken" (a kernel lives) or one sentence,
                            then closed; -1: nobody waits */
    double idle_seconds; /* a session in which nothing ever ran ends after this long
                            without a viewer; 0: never */
    char **argv;         /* of this process, for the watcher to start the kernel with */
} SessionArgs;

/* What ends the kernel so that the watcher starts another. */
enum { EXIT_AGAIN = 75 };

/* Starts argv with "--kernel-session" in place of "--watch-session" and waits for its
 * end; notes in the journal when it was killed. */
Exit session_watch(const SessionArgs *args);
/* The kernel itself. */
Exit session_run(const SessionArgs *args);
#endif
