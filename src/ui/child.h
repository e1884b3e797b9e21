/* child.h -- `cleave` processes that another command starts: in a process group of
 * their own, so that Ctrl-C reaches only the one that decides, with the ends of
 * their two output streams kept and never a full pipe. */
#ifndef CLEAVE_UI_CHILD_H
#define CLEAVE_UI_CHILD_H
#include <poll.h>
#include <sys/types.h>

#include "base/err.h"

enum { CHILD_TAIL = 8192, CHILD_LINE = 4096 };
typedef struct ChildStream {
    int fd;                    /* -1: at its end */
    char tail[CHILD_TAIL + 1]; /* what came last, NUL-terminated */
    size_t n;
} ChildStream;
typedef struct Child {
    pid_t pid; /* 0: none */
    ChildStream out, err;
    double start; /* steady clock */
} Child;

/* This program with the arguments (argv[0] is "cleave"), in `cwd` (NULL: here). */
bool child_start(Child *c, char *const *argv, const char *cwd, Err *err);
/* Takes what is there to read; never waits. */
void child_read(Child *c);
/* Fills up to two entries to poll; returns how many. */
int child_poll(const Child *c, struct pollfd *dst);
/* Looks whether it has ended. true: *code is its exit code, or 128 + signal. */
bool child_ended(Child *c, int *code);
void child_signal(const Child *c, int signo);
/* The last line of its output, and its last "cleave: ..." complaint without that. */
void child_last_line(const Child *c, char dst[CHILD_LINE]);
void child_complaint(const Child *c, char dst[CHILD_LINE]);
#endif
