/* kernel.h -- the kernel process: it alone runs scripts and writes the journal. It is
 * started by a parent (fork and exec of the same program), takes SIGINT and SIGTERM as
 * "stop", is not ended by SIGHUP, and goes on to the end of the run if the parent dies. */
#ifndef CLEAVE_KERNEL_KERNEL_H
#define CLEAVE_KERNEL_KERNEL_H
#include "base/err.h"

/* What the process returns to the shell. */
typedef enum Exit {
    EXIT_OK = 0,
    EXIT_SCRIPT = 1,    /* the script raised an error */
    EXIT_USAGE = 2,     /* wrong command line or setting */
    EXIT_BROKEN = 3,    /* the kernel died or could not record the run */
    EXIT_STOPPED = 130, /* interrupted */
} Exit;

typedef struct KernelArgs {
    const char *dir;    /* of the run, made by the parent */
    const char *script; /* as given on the command line */
    char **settings;    /* "name=text" */
    int n_settings;
} KernelArgs;

/* Runs one script as one run. Errors go into the journal; only when that is impossible
 * is one sentence written to the standard error the process was started with. */
Exit kernel_run(const KernelArgs *args);
#endif
