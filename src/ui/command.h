/* command.h -- the command line as one table. A row names a command, its operands,
 * what it does, its options (as OptRow, so they are typed, checked and documented like
 * every other setting) and its function; parsing, --help and "did you mean" all read
 * this table. Functions return an exit code and print their own errors with
 * command_fail(). */
#ifndef CLEAVE_UI_COMMAND_H
#define CLEAVE_UI_COMMAND_H
#include "base/option.h"
#include "base/str.h"
#include "kernel/kernel.h"

typedef struct Operands {
    char **item; /* what is no option, in order; borrowed from argv */
    int n;
    int argc; /* the whole command line */
    char **argv;
} Operands;

/* Memory, threads and instruction set of the process that computes. */
typedef struct CoreOptions {
    int64_t threads;       /* 0: as many as cores, at most 8 */
    char isa[OPT_STR_CAP]; /* "": the best there is */
    char mem[OPT_STR_CAP]; /* "": three quarters of the machine's */
} CoreOptions;
typedef struct RunOptions {
    CoreOptions core; /* first: commands with CoreOptions only share its rows */
    char runs[OPT_STR_CAP];
    char level[OPT_STR_CAP];
    int64_t width;
} RunOptions;
typedef struct BenchOptions {
    CoreOptions core;
    double window; /* seconds */
    bool json, profile;
    int64_t losses; /* of so many first steps, instead of times */
    int64_t seed;
} BenchOptions;
typedef struct HelpOptions {
    bool mdoc, keys;
} HelpOptions;

/* Where runs are, and how tables and figures about them are drawn. */
typedef struct RunsOptions {
    char runs[OPT_STR_CAP];
    char level[OPT_STR_CAP];
    int64_t width;
    char sort[OPT_STR_CAP], group[OPT_STR_CAP], baseline[OPT_STR_CAP];
    char columns[OPT_STR_CAP];
    bool csv, keys, yes;
} RunsOptions;

typedef struct SweepOptions {
    CoreOptions core; /* threads: unused, a run has one */
    char runs[OPT_STR_CAP];
    char level[OPT_STR_CAP];
    int64_t width, jobs, tasks;
    bool slurm, retry;
} SweepOptions;

typedef struct VerifyOptions {
    char runs[OPT_STR_CAP];
    char level[OPT_STR_CAP];
    int64_t width;
    bool quick;
} VerifyOptions;

typedef struct CommandRow {
    const char *name;
    const char *operands; /* "script.lua [name=value ...]" */
    const char *doc;      /* one sentence, for the overview; NULL: not shown */
    const char *details;  /* more lines for its own help; "" for none */
    int min_operands, max_operands; /* max -1: any number */
    const OptRow *options;
    size_t n_options;
    Exit (*run)(const Operands *ops, const void *config);
} CommandRow;
extern const CommandRow command_rows[];
extern const size_t command_n_rows;

/* Runs what the command line asks for. */
Exit command_main(int argc, char **argv);
/* Prints "cleave: sentence" on the error stream; returns code. */
Exit command_fail(Exit code, const char *fmt, ...) ATTR_PRINTF(2, 3);
/* A line for standard output. */
void command_say(const char *fmt, ...) ATTR_PRINTF(1, 2);
/* The overview, or the help of one command, generated from the table. */
void command_help(const CommandRow *row, Str *out);
const CommandRow *command_find(const char *name); /* NULL: there is none */
/* Applies the options to this process; ERR_OPTION names what is wrong. */
bool command_apply_core(const CoreOptions *core, Err *err);

Exit command_run(const Operands *ops, const void *config);    /* run.c */
Exit command_kernel(const Operands *ops, const void *config); /* run.c */
Exit command_runs(const Operands *ops, const void *config);   /* runs.c */
Exit command_sweep(const Operands *ops, const void *config);  /* sweep.c */
Exit command_verify(const Operands *ops, const void *config); /* verify.c */
Exit command_doctor(const Operands *ops, const void *config); /* doctor.c */
Exit command_bench(const Operands *ops, const void *config);  /* bench.c */
Exit command_completion(const Operands *ops, const void *config); /* completion.c */
#endif
