/* session.h -- the commands about sessions: opening a notebook, listing, attaching,
 * ending and restarting, and the two processes that cleave itself starts. */
#ifndef CLEAVE_UI_SESSION_H
#define CLEAVE_UI_SESSION_H
#include "kernel/client.h"
#include "ui/command.h"
#include "ui/style.h"

typedef struct SessionOptions {
    CoreOptions core; /* first */
    bool ro;
    double idle;
    int64_t ready;
} SessionOptions;

/* A notebook played from a script, on a screen that nobody sees. */
typedef struct PlayOptions {
    SessionOptions session; /* first */
    char script[OPT_STR_CAP], level[OPT_STR_CAP];
    int64_t rows, cols;
    bool ascii, light;
} PlayOptions;
Exit command_play(const Operands *ops, const void *config);

typedef struct ExportOptions {
    char output[OPT_STR_CAP];
    bool force;
} ExportOptions;
Exit command_export(const Operands *ops, const void *config); /* export.c */
Exit command_import(const Operands *ops, const void *config);

typedef struct CleanOptions {
    bool count;
} CleanOptions;
Exit command_clean(const Operands *ops, const void *config); /* clean.c */

Exit command_open(const Operands *ops, const void *config);
Exit command_ls(const Operands *ops, const void *config);
Exit command_attach(const Operands *ops, const void *config);
Exit command_kill(const Operands *ops, const void *config);
Exit command_restart(const Operands *ops, const void *config);
Exit command_watch(const Operands *ops, const void *config);
Exit command_session(const Operands *ops, const void *config);

/* A line at a time on the same kernel, for streams that are no terminal and terminals
 * that cannot move their cursor (plain.c); `why` is told to who types. Takes the client.
 */
Exit plain_view(Client *taken, const PrintStyle *style, const char *why);
#endif
