/* command.c -- the table, and what reads it. Options may stand anywhere after the
 * command's name, as --name value or --name=value; "--" ends them. */
#include "ui/command.h"

#include <limits.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/kern.h"
#include "base/mem.h"
#include "kernel/version.h"
#include "script/script.h"
#include "tensor/pool.h"
#include "ui/keys_man.h"
#include "ui/scripts.h"
#include "ui/session.h"
#include "ui/style.h"

enum { MAX_NAMES = 32 };

static Exit command_show_help(const Operands *ops, const void *config);
static Exit command_version(const Operands *ops, const void *config);

// clang-format off: rows of unequal length
#define CORE_ROWS                                                                      \
    THREADS_ROW, MACHINE_ROWS
#define THREADS_ROW                                                                    \
    {"threads", OPT_INT, offsetof(CoreOptions, threads), "0", 0, POOL_MAX, NULL,       \
     "threads to compute with; 0: one a core, at most 8. Results do not depend on it"}
#define MACHINE_ROWS                                                                   \
    {"isa", OPT_STR, offsetof(CoreOptions, isa), "", 0, 0, NULL,                       \
     "instruction set: baseline, avx2 or avx512; empty: the best of this machine"},    \
    {"mem", OPT_STR, offsetof(CoreOptions, mem), "", 0, 0, NULL,                       \
     "memory budget, as 512M or 4G; empty: three quarters of the machine's memory"}

static const OptRow core_options[] = {CORE_ROWS};
static const OptRow run_options[] = {
    CORE_ROWS,
    {"runs", OPT_STR, offsetof(RunOptions, runs), "", 0, 0, NULL,
     "folder for run directories; empty: $CLEAVE_RUNS, then ./runs"},
    {"level", OPT_STR, offsetof(RunOptions, level), "", 0, 0, NULL,
     "how figures are drawn: mono, ansi, 256 or true; empty: what the terminal can do"},
    {"width", OPT_INT, offsetof(RunOptions, width), "0", 0, 2000, NULL,
     "columns for figures; 0: the terminal's, or 80"},
};
static const OptRow bench_options[] = {
    CORE_ROWS,
    {"window", OPT_NUM, offsetof(BenchOptions, window), "0.15", 0.001, 60, NULL,
     "seconds of one of the 7 windows of a case"},
    {"json", OPT_BOOL, offsetof(BenchOptions, json), "false", 0, 0, NULL,
     "one JSON object a case instead of the table"},
    {"profile", OPT_BOOL, offsetof(BenchOptions, profile), "false", 0, 0, NULL,
     "the time of every op of a training step, before its line"},
    {"losses", OPT_INT, offsetof(BenchOptions, losses), "0", 0, 100000, NULL,
     "print the losses of the first so many steps as JSON instead of any times"},
    {"seed", OPT_INT, offsetof(BenchOptions, seed), "1", 0, 1e15, NULL,
     "seed of the start, batches and random numbers of training steps"},
};
#define VIEW_ROWS(type)                                                                \
    {"runs", OPT_STR, offsetof(type, runs), "", 0, 0, NULL,                            \
     "folder with the run directories; empty: $CLEAVE_RUNS, then ./runs"},             \
    LEVEL_ROWS(type)
#define LEVEL_ROWS(type)                                                               \
    {"level", OPT_STR, offsetof(type, level), "", 0, 0, NULL,                          \
     "how figures are drawn: mono, ansi, 256 or true; empty: what the terminal can do"},\
    {"width", OPT_INT, offsetof(type, width), "0", 0, 2000, NULL,                      \
     "columns for tables and figures; 0: the terminal's, or 80"}

static const OptRow runs_options[] = {
    VIEW_ROWS(RunsOptions),
    {"sort", OPT_STR, offsetof(RunsOptions, sort), "", 0, 0, NULL,
     "key to sort by, -key from the largest down; empty: by start"},
    {"group", OPT_STR, offsetof(RunsOptions, group), "", 0, 0, NULL,
     "keys (a,b): mean over seeds with its 95 % interval for each group"},
    {"baseline", OPT_STR, offsetof(RunsOptions, baseline), "", 0, 0, NULL,
     "with --group: key=value of a group; differences to it, paired by seed"},
    {"columns", OPT_STR, offsetof(RunsOptions, columns), "", 0, 0, NULL,
     "keys (a,b) to show; empty: what differs, as far as the width allows"},
    {"csv", OPT_BOOL, offsetof(RunsOptions, csv), "false", 0, 0, NULL,
     "print comma-separated values with all digits and, unless --columns, all keys"},
    {"keys", OPT_BOOL, offsetof(RunsOptions, keys), "false", 0, 0, NULL,
     "print the keys that the runs have"},
    {"yes", OPT_BOOL, offsetof(RunsOptions, yes), "false", 0, 0, NULL,
     "remove without asking"},
};
static const OptRow sweep_options[] = {
    VIEW_ROWS(SweepOptions),
    {"jobs", OPT_INT, offsetof(SweepOptions, jobs), "1", 1, 256, NULL,
     "runs at a time (-j), each with one thread"},
    {"retry", OPT_BOOL, offsetof(SweepOptions, retry), "false", 0, 0, NULL,
     "run points again that ended in an error of the script"},
    {"slurm", OPT_BOOL, offsetof(SweepOptions, slurm), "false", 0, 0, NULL,
     "print the batch script of a Slurm array instead"},
    {"tasks", OPT_INT, offsetof(SweepOptions, tasks), "0", 0, 100000, NULL,
     "with --slurm: elements of the array; 0: one for every --jobs points"},
    MACHINE_ROWS,
};
static const OptRow verify_options[] = {
    {"runs", OPT_STR, offsetof(VerifyOptions, runs), "", 0, 0, NULL,
     "folder to keep the new run in; empty: it is removed afterwards"},
    LEVEL_ROWS(VerifyOptions),
    {"quick", OPT_BOOL, offsetof(VerifyOptions, quick), "false", 0, 0, NULL,
     "run nothing: compare with the run folder that holds the report"},
};
static const OptRow help_options[] = {
    {"mdoc", OPT_BOOL, offsetof(HelpOptions, mdoc), "false", 0, 0, NULL,
     "print the whole API reference as a manual page source"},
    {"keys", OPT_BOOL, offsetof(HelpOptions, keys), "false", 0, 0, NULL,
     "print the notebook's keys and commands as a manual page source"},
};

#define IDLE_ROW                                                                       \
    {"idle", OPT_NUM, offsetof(SessionOptions, idle), "600", 0, 1e9, NULL,             \
     "seconds after which a session in which nothing ran ends without viewers; 0: never"}
static const OptRow session_options[] = {
    CORE_ROWS,
    IDLE_ROW,
    {"ro", OPT_BOOL, offsetof(SessionOptions, ro), "false", 0, 0, NULL,
     "only look: this viewer cannot edit"},
};
static const OptRow export_options[] = {
    {"output", OPT_STR, offsetof(ExportOptions, output), "", 0, 0, NULL,
     "file to write (-o); its suffix tells the format"},
    {"force", OPT_BOOL, offsetof(ExportOptions, force), "false", 0, 0, NULL,
     "replace a file that is there"},
};
static const OptRow clean_options[] = {
    {"count", OPT_BOOL, offsetof(CleanOptions, count), "false", 0, 0, NULL,
     "only tell what would go"},
};
static const OptRow kernel_options[] = {
    CORE_ROWS,
    IDLE_ROW,
    {"ready", OPT_INT, offsetof(SessionOptions, ready), "-1", -1, 1000, NULL,
     "descriptor that is told when the kernel listens"},
};

static const OptRow play_options[] = {
    CORE_ROWS,
    IDLE_ROW,
    {"script", OPT_STR, offsetof(PlayOptions, script), "", 0, 0, NULL,
     "keys to press and screens to write"},
    {"level", OPT_STR, offsetof(PlayOptions, level), "256", 0, 0, NULL,
     "colours of the screen: mono, ansi, 256 or true"},
    {"rows", OPT_INT, offsetof(PlayOptions, rows), "24", 1, 1000, NULL, "of the screen"},
    {"cols", OPT_INT, offsetof(PlayOptions, cols), "80", 1, 1000, NULL, "of the screen"},
    {"ascii", OPT_BOOL, offsetof(PlayOptions, ascii), "false", 0, 0, NULL,
     "no characters beyond ASCII"},
    {"light", OPT_BOOL, offsetof(PlayOptions, light), "false", 0, 0, NULL,
     "a light background"},
};

const CommandRow command_rows[] = {
    {"open", "[notebook.lua]",
     "open a notebook; its name alone does the same",
     "The file's cells begin with lines '-- %%'. Its kernel is a process of its own and\n"
     "lives on when the viewer ends: cleave ls lists sessions, cleave attach returns.\n"
     "Opening runs nothing. Where the terminal cannot move its cursor, or for pipes, it\n"
     "is a line at a time.\n",
     0, 1, session_options, ARRAY_LEN(session_options), command_open},
    {"export", "notebook.lua -o FILE",
     "write a notebook with its outputs as .ipynb, .md or .html",
     "Outputs are those of its last session; a run's folder may stand for the notebook.\n"
     "Markdown has its pictures in the folder FILE_files, HTML is one file.\n",
     1, 1, export_options, ARRAY_LEN(export_options), command_export},
    {"import", "notebook.ipynb",
     "make a Lua notebook of a Jupyter notebook",
     "Without --output the new file has the same name and ends in .lua.\n",
     1, 1, export_options, ARRAY_LEN(export_options), command_import},
    {"ls", "",
     "list sessions: name, state, process, viewers, whether variables exist",
     "", 0, 0, NULL, 0, command_ls},
    {"attach", "[session]",
     "return to a live session; without a name to the newest",
     "", 0, 1, session_options, ARRAY_LEN(session_options), command_attach},
    {"kill", "session",
     "end a session; edits that were not saved stay in its journal",
     "A kernel that does not end within 5 s is killed.\n",
     1, 1, NULL, 0, command_kill},
    {"restart", "session",
     "drop a session's variables; document and outputs stay",
     "A kernel that does not react within 5 s is replaced by a new one.\n",
     1, 1, session_options, ARRAY_LEN(session_options), command_restart},
    {"clean", "notebook.lua ...",
     "take away what no cell of an ended session shows any longer",
     "Pictures of earlier executions, journals from before they were shortened, texts\n"
     "of deleted cells. Cells, outputs, unsaved edits and runs stay.\n",
     1, 1000, clean_options, ARRAY_LEN(clean_options), command_clean},
    {"run", "script.lua [name=value ...]",
     "run a script headless, as a run directory that keeps everything",
     "Settings that the script declares with cl.config are given as name=value.\n"
     "The last line printed is the run directory. Ctrl-C stops the run and leaves it\n"
     "complete; if it does not react, a later Ctrl-C kills it.\n"
     "Exit code: 0 done, 1 script error, 2 usage, 3 the kernel died or could not\n"
     "record the run, 130 interrupted.\n",
     1, -1, run_options, ARRAY_LEN(run_options), command_run},
    {"runs", "[filter ...] | show RUN | compare RUN RUN ... | remove RUN ...",
     "list, compare, show, export and remove runs",
     "A filter is key=value, key!=value, key>=value (<= < >), key~part or key!~part;\n"
     "keys are fields of the run (state, name, start ...), settings, values of the\n"
     "result and last metrics: cleave runs 'rank>=64' state=done name~two 'acc>.97'\n"
     "A RUN is a folder, an id, its number in the list, or the beginning of an id.\n",
     0, -1, runs_options, ARRAY_LEN(runs_options), command_runs},
    {"sweep", "script.lua name=values ...",
     "run a script over a grid of settings and print means over seeds",
     "Values are single, lists (1e-3,1e-4), ranges (1..5) or ranges with a step\n"
     "(0..1:0.25). What the run folder already has is not run again, so the same command\n"
     "goes on after an interrupt; a run that crashes is tried once more. Under mpirun,\n"
     "srun or in a Slurm array each process takes its share of the points.\n"
     "Exit code: 0 all done, 1 some failed, 2 usage, 3 some crashed, 130 interrupted.\n",
     1, -1, sweep_options, ARRAY_LEN(sweep_options), command_sweep},
    {"verify", "report.md",
     "run a report's command again and say which of its claims hold",
     "The script is the one that the report names, if it has not changed, else the copy\n"
     "beside the report. Exit code: 0 all claims hold, 1 some do not, 2 usage.\n",
     1, 1, verify_options, ARRAY_LEN(verify_options), command_verify},
    {"help", "[name]",
     "the API reference: a name, a command, a script, or the list of all names",
     "", 0, 1, help_options, ARRAY_LEN(help_options), command_show_help},
    {"doctor", "",
     "check terminal, locale, BLAS kernels, threads, data and numerics",
     "Exit code 0 when everything works, 1 when something does not.\n",
     0, 0, core_options, ARRAY_LEN(core_options), command_doctor},
    {"bench", "[case ...]",
     "measure training steps and kernels against floors and plain loops",
     "A time is the median of 7 windows. The floor is what the arithmetic (f) or the\n"
     "memory traffic (b) of the case takes at this machine's measured speed; times is\n"
     "the ratio to it. MB is the most memory held, data included. plain: how much\n"
     "slower a plain C loop is. Cases are chosen by the beginning of their names:\n"
     "start mlp-128 mlp-1024 mlp-8192 bilinear dictionary distill gemm add gelu\n"
     "softmax uniform normal.\n",
     0, -1, bench_options, ARRAY_LEN(bench_options), command_bench},
    {"completion", "bash|zsh",
     "print the shell's completion of cleave commands, options and files",
     "bash: eval \"$(cleave completion bash)\"; zsh: cleave completion zsh > a file\n"
     "called _cleave in a folder of $fpath. make install puts both in place.\n",
     1, 1, NULL, 0, command_completion},
    {"version", "",
     "print the version",
     "", 0, 0, NULL, 0, command_version},
    {"ui", "--script FILE notebook.lua",
     NULL,
     "Plays a notebook without a terminal, for tests.\n",
     1, 1, play_options, ARRAY_LEN(play_options), command_play},
    {"--kernel-run", "DIR script.lua [name=value ...]",
     NULL,
     "", 2, -1, core_options, ARRAY_LEN(core_options), command_kernel},
    {"--watch-session", "notebook.lua",
     NULL,
     "", 1, 1, kernel_options, ARRAY_LEN(kernel_options), command_watch},
    {"--kernel-session", "notebook.lua",
     NULL,
     "", 1, 1, kernel_options, ARRAY_LEN(kernel_options), command_session},
};
// clang-format on
const size_t command_n_rows = ARRAY_LEN(command_rows);

/* A sentence with names from anywhere: a terminal gets it filtered. */
static void say(FILE *to, const char *before, const char *text)
{
    Stream st = {.tty = isatty(fileno(to)) == 1, .utf8 = style_utf8()};
    Str out;
    str_init(&out);
    style_text(&st, text, strlen(text), true, &out);
    fprintf(to, "%s%s\n", before, out.s ? out.s : "");
    str_done(&out);
}

Exit command_fail(Exit code, const char *fmt, ...)
{
    Err e = {0};
    va_list ap;
    va_start(ap, fmt);
    err_vset(&e, ERR_OPTION, fmt, ap);
    va_end(ap);
    fflush(stdout);
    say(stderr, "cleave: ", e.msg);
    return code;
}

void command_say(const char *fmt, ...)
{
    Err e = {0};
    va_list ap;
    va_start(ap, fmt);
    err_vset(&e, ERR_OPTION, fmt, ap);
    va_end(ap);
    say(stdout, "", e.msg);
}

const CommandRow *command_find(const char *name)
{
    for (size_t i = 0; i < command_n_rows; i++) {
        if (strcmp(command_rows[i].name, name) == 0)
            return &command_rows[i];
    }
    return NULL;
}

static void option_help(const OptRow *o, Str *out)
{
    char head[64];
    snprintf(head, sizeof head, o->type == OPT_BOOL ? "--%s" : "--%s VALUE", o->name);
    str_addf(out, "  %-16s %s", head, o->doc);
    if (o->dflt[0] && o->type != OPT_BOOL)
        str_addf(out, " (default %s)", o->dflt);
    str_addc(out, '\n');
}

static void overview(Str *out)
{
    str_add(out, "cleave takes small neural networks apart.\n\nusage:\n");
    for (size_t i = 0; i < command_n_rows; i++) {
        char head[80];
        const CommandRow *r = &command_rows[i];
        if (!r->doc)
            continue;
        snprintf(head, sizeof head, "%s %s", r->name, r->operands);
        str_addf(out, "  cleave %-32s %s\n", head, r->doc);
    }
    str_add(out, "\ncleave COMMAND --help tells a command's options.\n");
}

void command_help(const CommandRow *row, Str *out)
{
    if (!row) {
        overview(out);
        return;
    }
    str_addf(out, "usage: cleave %s%s%s%s\n\n%s.\n", row->name,
             row->n_options ? " [options]" : "", row->operands[0] ? " " : "",
             row->operands, row->doc ? row->doc : "started by cleave itself");
    if (row->n_options)
        str_add(out, "\noptions:\n");
    for (size_t i = 0; i < row->n_options; i++)
        option_help(&row->options[i], out);
    if (row->details[0])
        str_addf(out, "\n%s", row->details);
}

static Exit print(Str *t)
{
    Exit code = EXIT_OK;
    if (t->oom || fwrite(t->s, 1, t->len, stdout) != t->len || fflush(stdout) != 0)
        code = command_fail(EXIT_BROKEN, "cannot write to the standard output");
    str_done(t);
    return code;
}

static Exit command_version(const Operands *ops, const void *config)
{
    (void)ops, (void)config;
    Str t;
    str_init(&t);
    str_add(&t, "cleave " CLEAVE_VERSION "\n");
    return print(&t);
}

static Exit command_show_help(const Operands *ops, const void *config)
{
    const HelpOptions *o = config;
    const char *name = ops->n > 0 ? ops->item[0] : NULL;
    const CommandRow *row = name ? command_find(name) : NULL;
    Err err = {0};
    Str t;
    str_init(&t);
    bool ok = true;
    if (o->keys) {
        keys_man(&t);
    } else if (o->mdoc) {
        ok = doc_mdoc(&t, &err);
    } else if (row) {
        command_help(row, &t);
    } else {
        if (!name) {
            overview(&t);
            str_addc(&t, '\n');
            scripts_list(&t);
            str_addc(&t, '\n');
        }
        char path[PATH_MAX];
        bool script = name && strstr(name, ".lua");
        ok = script ? scripts_help(name, &t, &err) : doc_text(name, &t, &err);
        if (!ok && !script && scripts_find(name, path, sizeof path))
            ok = scripts_help(name, &t, &err);
    }
    if (ok)
        return print(&t);
    str_done(&t);
    return command_fail(EXIT_USAGE, "%s", err.msg);
}

/* "512M", "1.5G", "4096" (bytes). */
static bool parse_bytes(const char *text, size_t *bytes)
{
    char *end;
    double v = strtod(text, &end);
    static const char units[] = "KMGT";
    const char *u = *end ? strchr(units, *end & ~0x20) : NULL;
    if (u) {
        for (const char *p = units; p <= u; p++)
            v *= 1024;
        end++;
        if (*end == 'i')
            end++;
        if (*end == 'B')
            end++;
    }
    if (end == text || *end || !(v >= 1) || !(v < 9e18))
        return false;
    *bytes = (size_t)v;
    return true;
}

static bool threads_of_environment(Err *err)
{
    const char *text = getenv("CLEAVE_THREADS");
    char *end = NULL;
    long n = text && text[0] ? strtol(text, &end, 10) : 1;
    if (n >= 1 && n <= POOL_MAX && (!end || !*end))
        return true;
    return err_set(err, ERR_OPTION, "CLEAVE_THREADS '%s' is no number from 1 to %d",
                   text, POOL_MAX);
}

bool command_apply_core(const CoreOptions *core, Err *err)
{
    const char *mem = core->mem[0] ? core->mem : getenv("CLEAVE_MEM");
    size_t bytes;
    const char *isa = core->isa[0] ? core->isa : getenv("CLEAVE_ISA");
    if (isa && isa[0] && !isa_force(isa))
        return err_set(
            err, ERR_OPTION,
            "%s '%s': this machine offers baseline%s; baseline always works",
            core->isa[0] ? "--isa" : "CLEAVE_ISA", isa,
            isa_level() == ISA_AVX512 ? ", avx2 and avx512"
            : isa_level() == ISA_AVX2 ? " and avx2"
                                      : "");
    if (mem && mem[0]) {
        if (!parse_bytes(mem, &bytes))
            return err_set(err, ERR_OPTION,
                           "%s '%s' is no amount of memory; write 512M or 4G",
                           core->mem[0] ? "--mem" : "CLEAVE_MEM", mem);
        mem_set_budget(bytes);
    }
    if (core->threads == 0 && !threads_of_environment(err))
        return false;
    return core->threads == 0 || pool_set_threads((int)core->threads, err);
}

/* One option of a command; *i moves over its value. */
static bool take_option(const CommandRow *row, int argc, char **argv, int *i,
                        void *config, Err *err)
{
    char name[64], where[64];
    const char *arg = argv[*i] + 2, *eq = strchr(arg, '=');
    size_t len = eq ? (size_t)(eq - arg) : strlen(arg);
    const OptRow *found = NULL;
    snprintf(where, sizeof where, "cleave %s", row->name);
    snprintf(name, sizeof name, "%.*s", (int)(len < 63 ? len : 63), arg);
    for (size_t k = 0; k < row->n_options; k++) {
        if (strcmp(row->options[k].name, name) == 0)
            found = &row->options[k];
    }
    const char *value = eq ? eq + 1 : NULL;
    if (found && !value) {
        if (found->type == OPT_BOOL)
            value = "true";
        else if (*i + 1 < argc)
            value = argv[++*i];
        else
            return err_set(err, ERR_OPTION, "%s: --%s needs a value", where, name);
    }
    if (row->n_options == 0)
        return err_set(err, ERR_OPTION, "%s has no option --%s", where, name);
    return opt_set_text(row->options, row->n_options, config, name, value ? value : "",
                        where, err);
}

/* -j VALUE or -jVALUE: the one option that begins with that letter. */
static bool take_letter(const CommandRow *row, int argc, char **argv, int *i,
                        void *config, Err *err)
{
    const char *a = argv[*i];
    const OptRow *found = NULL;
    int n = 0;
    char where[64];
    for (size_t k = 0; k < row->n_options; k++) {
        if (row->options[k].name[0] == a[1]) {
            found = &row->options[k];
            n++;
        }
    }
    bool with_value = found && found->type != OPT_BOOL;
    if (n != 1 || (a[2] && !with_value))
        return err_set(err, ERR_OPTION, "unknown option '%s'; see cleave %s --help", a,
                       row->name);
    if (with_value && !a[2] && *i + 1 == argc)
        return err_set(err, ERR_OPTION, "cleave %s: %s needs a value", row->name, a);
    const char *value = !with_value ? "true" : a[2] ? a + 2 : argv[++*i];
    snprintf(where, sizeof where, "cleave %s", row->name);
    return opt_set_text(row->options, row->n_options, config, found->name, value, where,
                        err);
}

/* Sorts arguments into options and operands. help: --help was among them. */
static bool parse(const CommandRow *row, Operands *ops, int first, void *config,
                  bool *help, Err *err)
{
    bool options = true;
    if (!opt_defaults(row->options, row->n_options, config, err))
        return false;
    for (int i = first; i < ops->argc; i++) {
        const char *a = ops->argv[i];
        if (options && strcmp(a, "--") == 0) {
            options = false;
        } else if (options && (strcmp(a, "--help") == 0 || strcmp(a, "-h") == 0)) {
            *help = true;
        } else if (options && strncmp(a, "--", 2) == 0) {
            if (!take_option(row, ops->argc, ops->argv, &i, config, err))
                return false;
        } else if (options && a[0] == '-' && a[1]) {
            if (!take_letter(row, ops->argc, ops->argv, &i, config, err))
                return false;
        } else {
            ops->item[ops->n++] = ops->argv[i];
        }
    }
    if (!*help && ops->n < row->min_operands)
        return err_set(err, ERR_OPTION, "something is missing; usage: cleave %s %s",
                       row->name, row->operands);
    if (!*help && row->max_operands >= 0 && ops->n > row->max_operands)
        return err_set(err, ERR_OPTION, "cleave %s does not know what to do with '%s'",
                       row->name, ops->item[row->max_operands]);
    return true;
}

static Exit dispatch(const CommandRow *row, int argc, char **argv, int first)
{
    union {
        RunOptions run;
        RunsOptions runs;
        SweepOptions sweep;
        VerifyOptions verify;
        CoreOptions core;
        HelpOptions help;
        BenchOptions bench;
        SessionOptions session;
        ExportOptions out;
        PlayOptions play;
        CleanOptions clean;
    } config;
    Err err = {0};
    bool help = false;
    Operands ops = {.argc = argc, .argv = argv};
    ops.item = mem_array((size_t)argc + 1, sizeof *ops.item, &err);
    if (!ops.item)
        return command_fail(EXIT_BROKEN, "%s", err.msg);
    memset(&config, 0, sizeof config);
    Exit code;
    if (!parse(row, &ops, first, &config, &help, &err)) {
        code = command_fail(EXIT_USAGE, "%s", err.msg);
    } else if (help) {
        Str t;
        str_init(&t);
        command_help(row, &t);
        if (row->run == command_run && ops.n > 0) {
            str_addc(&t, '\n');
            scripts_help(ops.item[0], &t, NULL);
        }
        code = print(&t);
    } else {
        code = row->run(&ops, &config);
    }
    mem_free(ops.item);
    return code;
}

static Exit unknown(const char *name)
{
    const char *names[MAX_NAMES];
    size_t n = 0;
    for (size_t i = 0; i < command_n_rows && n < MAX_NAMES; i++) {
        if (command_rows[i].doc)
            names[n++] = command_rows[i].name;
    }
    const char *near = text_nearest(name, names, n);
    if (near)
        return command_fail(EXIT_USAGE, "unknown command '%s'; did you mean '%s'?",
                            name, near);
    return command_fail(EXIT_USAGE,
                        "unknown command '%s'; cleave --help lists them all", name);
}

Exit command_main(int argc, char **argv)
{
    Str t;
    const char *name = argc > 1 ? argv[1] : "";
    str_init(&t);
    if (argc < 2)
        return dispatch(command_find("open"), argc, argv, 2);
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0) {
        overview(&t);
        return print(&t);
    }
    if (strcmp(name, "--version") == 0 || strcmp(name, "-V") == 0)
        name = "version";
    const CommandRow *row = command_find(name);
    size_t len = strlen(name);
    if (!row && len > 4 && strcmp(name + len - 4, ".lua") == 0)
        return dispatch(command_find("open"), argc, argv, 1);
    return row ? dispatch(row, argc, argv, 2) : unknown(name);
}
