/* session.c -- commands about sessions. What they print is made from the records of
 * sessions and from one question to each live kernel. */
#include "ui/session.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "kernel/session.h"
#include "lab/jval.h"
#include "ui/notebooks.h"
#include "ui/scripted.h"
#include "ui/show.h"
#include "ui/viewer.h"

#define ASK_SECONDS  2.0
#define STOP_SECONDS 5.0
enum { PIPE_WIDTH = 1000 }; /* lines for other programs are not wrapped */

/* --- opening ---------------------------------------------------------------------- */

/* The options of the kernel as arguments for it. */
typedef struct CoreArgs {
    char text[4][OPT_STR_CAP + 16];
    char *argv[5];
} CoreArgs;

static void core_args(const SessionOptions *o, CoreArgs *a)
{
    int n = 0;
    memset(a, 0, sizeof *a);
    snprintf(a->text[n], sizeof a->text[n], "--threads=%lld",
             (long long)o->core.threads);
    n++;
    snprintf(a->text[n++], sizeof a->text[0], "--idle=%.17g", o->idle);
    if (o->core.isa[0])
        snprintf(a->text[n++], sizeof a->text[0], "--isa=%s", o->core.isa);
    if (o->core.mem[0])
        snprintf(a->text[n++], sizeof a->text[0], "--mem=%s", o->core.mem);
    for (int i = 0; i < n; i++)
        a->argv[i] = a->text[i];
}

static Exit view(const char *file, const SessionOptions *o, bool start,
                 const char **next)
{
    Err err = {0};
    PrintStyle style;
    CoreArgs core;
    core_args(o, &core);
    if (!style_detect(NULL, 0, &style, &err))
        return command_fail(EXIT_USAGE, "%s", err.msg);
    ClientOptions opt = {.read_only = o->ro, .no_start = !start, .core = core.argv};
    Client *c = client_open(file, &opt, &err);
    if (!c)
        return command_fail(err.code == ERR_OPTION ? EXIT_USAGE : EXIT_BROKEN, "%s",
                            err.msg);
    const char *why = viewer_hindrance(&style);
    return why ? plain_view(c, &style, why) : viewer_run(c, &style, o->ro, next);
}

/* The tour, and after any notebook whose user asked for it. */
static Exit view_and_next(const char *file, const SessionOptions *o, bool start)
{
    const char *next = NULL;
    char path[PATH_MAX];
    Err err = {0};
    Exit code = view(file, o, start, &next);
    if (!next)
        return code;
    if (!notebook_tour(path, sizeof path, &err))
        return command_fail(EXIT_BROKEN, "%s", err.msg);
    return view(path, o, true, NULL);
}

Exit command_open(const Operands *ops, const void *config)
{
    char path[PATH_MAX];
    if (ops->n > 0)
        return view_and_next(ops->item[0], config, true);
    notebook_here(path, sizeof path);
    return view_and_next(path, config, true);
}

Exit command_play(const Operands *ops, const void *config)
{
    const PlayOptions *o = config;
    CoreArgs core;
    Err err = {0};
    DrawStyle draw = {.light = o->light, .utf8 = !o->ascii, .width = (int)o->cols};
    core_args(&o->session, &core);
    if (!o->script[0] || !level_parse(o->level, &draw.level))
        return command_fail(EXIT_USAGE,
                            "cleave ui needs --script FILE and a --level of "
                            "mono, ansi, 256 or true");
    ClientOptions opt = {.core = core.argv, .name = "script"};
    Client *c = client_open(ops->item[0], &opt, &err);
    if (!c)
        return command_fail(EXIT_BROKEN, "%s", err.msg);
    return scripted_run(c, &draw, o->script, (int)o->rows, (int)o->cols);
}

Exit command_attach(const Operands *ops, const void *config)
{
    SessionInfo info;
    Err err = {0};
    if (!session_find(ops->n > 0 ? ops->item[0] : NULL, &info, &err))
        return command_fail(EXIT_USAGE, "%s", err.msg);
    if (!info.alive)
        return command_fail(EXIT_USAGE,
                            "the session '%s' is not alive; cleave %s opens it again",
                            info.name, info.place.file);
    return view_and_next(info.place.file, config, false);
}

/* --- ls --------------------------------------------------------------------------- */

static bool add(Listing *l, Err *err, const char *fmt, ...) ATTR_PRINTF(3, 4);
static bool add(Listing *l, Err *err, const char *fmt, ...)
{
    Err text; /* only used to format */
    va_list ap;
    va_start(ap, fmt);
    err_vset(&text, ERR_NONE, fmt, ap);
    va_end(ap);
    return listing_cell(l, text.msg, err);
}

static bool add_session(Listing *l, const SessionInfo *s, Err *err)
{
    char up[16], mem[24] = "-", state[40] = "ended";
    json_t *st = s->alive ? session_ask(&s->place, "status", ASK_SECONDS, NULL) : NULL;
    size_t queue = json_array_size(json_object_get(st, "queue"));
    if (s->alive)
        snprintf(state, sizeof state, "%s",
                 st ? jval_get(st, "state", "") : "no answer");
    if (queue > 0)
        snprintf(state + strlen(state), sizeof state - strlen(state), " +%zu", queue);
    if (st)
        snprintf(mem, sizeof mem, "%lld MB",
                 (long long)(jval_get_int(st, "rss", 0) >> 20));
    clock_hms(clock_wall() - s->started, up);
    bool ok = add(l, err, "%s", s->name) && add(l, err, "%s", state) &&
              add(l, err, "%lld", (long long)s->pid) &&
              add(l, err, "%lld", (long long)jval_get_int(st, "viewers", 0)) &&
              add(l, err, "%s",
                  json_is_true(json_object_get(st, "variables")) ? "yes" : "no") &&
              add(l, err, "%s", mem) && add(l, err, "%s", up) &&
              add(l, err, "%s", s->place.file);
    json_decref(st);
    return ok;
}

Exit command_ls(const Operands *ops, const void *config)
{
    (void)ops, (void)config;
    static const char *const head[] = {"session",   "state",  "pid", "viewers",
                                       "variables", "memory", "up",  "file"};
    SessionInfo *list;
    int n;
    Err err = {0};
    PrintStyle style;
    Listing l = {0};
    if (!session_list(&list, &n, &err))
        return command_fail(EXIT_BROKEN, "%s", err.msg);
    bool ok = style_detect(NULL, isatty(STDOUT_FILENO) ? 0 : PIPE_WIDTH, &style, &err);
    for (size_t i = 0; ok && i < ARRAY_LEN(head); i++)
        ok = listing_column(&l, head[i], &err);
    for (int i = 0; ok && i < n; i++)
        ok = add_session(&l, &list[i], &err);
    if (ok && n == 0)
        show_text("no sessions; cleave FILE.lua starts one\n", &style);
    else if (ok)
        ok = listing_show(&l, NULL, NULL, &style, &err);
    ok = ok && show_end(&err);
    listing_done(&l);
    mem_free(list);
    return ok ? EXIT_OK : command_fail(EXIT_BROKEN, "%s", err.msg);
}

/* --- kill and restart ------------------------------------------------------------- */

static bool wait_until_gone(const SessionPlace *p, double seconds)
{
    double end = clock_now() + seconds;
    while (session_alive(p) && clock_now() < end)
        clock_sleep(0.02, NULL);
    return !session_alive(p);
}

Exit command_kill(const Operands *ops, const void *config)
{
    (void)config;
    SessionInfo info;
    Err err = {0};
    if (!session_find(ops->item[0], &info, &err))
        return command_fail(EXIT_USAGE, "%s", err.msg);
    json_t *st =
        info.alive ? session_ask(&info.place, "status", ASK_SECONDS, NULL) : NULL;
    bool dirty = json_is_true(json_object_get(st, "dirty"));
    json_t *ok = st ? session_ask(&info.place, "shutdown", ASK_SECONDS, NULL) : NULL;
    json_decref(st);
    json_decref(ok);
    if (ok && wait_until_gone(&info.place, STOP_SECONDS)) {
        command_say("session '%s' ended%s%s", info.name,
                    dirty ? "; unsaved edits are in " : "",
                    dirty ? info.place.dir : "");
        return EXIT_OK;
    }
    if (!session_kill(&info.place, &err))
        return command_fail(EXIT_BROKEN, "%s", err.msg);
    command_say("session '%s' killed; what it recorded is in %s", info.name,
                info.place.dir);
    return EXIT_OK;
}

/* Whether the kernel is idle with a fresh state within the time. */
static bool is_fresh(const SessionPlace *p, double seconds)
{
    double end = clock_now() + seconds;
    bool fresh = false;
    while (!fresh && clock_now() < end) {
        json_t *st = session_ask(p, "status", ASK_SECONDS, NULL);
        fresh = st && strcmp(jval_get(st, "state", ""), "idle") == 0 &&
                !json_is_true(json_object_get(st, "variables"));
        json_decref(st);
        if (!fresh)
            clock_sleep(0.05, NULL);
    }
    return fresh;
}

Exit command_restart(const Operands *ops, const void *config)
{
    SessionInfo info;
    Err err = {0};
    if (!session_find(ops->item[0], &info, &err))
        return command_fail(EXIT_USAGE, "%s", err.msg);
    bool ok;
    if (info.alive) {
        json_t *r = session_ask(&info.place, "restart", ASK_SECONDS, NULL);
        json_decref(r);
        ok = r && is_fresh(&info.place, STOP_SECONDS);
        if (!ok) { /* it does not react: the process goes, the document stays */
            r = session_ask(&info.place, "kill", ASK_SECONDS, NULL);
            json_decref(r);
            ok = is_fresh(&info.place, STOP_SECONDS);
        }
    } else {
        CoreArgs core;
        core_args(config, &core);
        ClientOptions opt = {.read_only = true, .core = core.argv};
        Client *c = client_open(info.place.file, &opt, &err);
        ok = c != NULL;
        client_close(c);
    }
    if (!ok)
        return command_fail(EXIT_BROKEN, "session '%s' could not be restarted%s%s",
                            info.name, err.msg[0] ? ": " : "", err.msg);
    command_say("session '%s' restarted", info.name);
    return EXIT_OK;
}

/* --- processes that cleave starts itself ------------------------------------------ */

static SessionArgs session_args(const Operands *ops, const SessionOptions *o)
{
    if (o->ready >= 0)
        fcntl((int)o->ready, F_SETFD, 0);
    return (SessionArgs){.file = ops->item[0],
                         .ready_fd = (int)o->ready,
                         .idle_seconds = o->idle,
                         .argv = ops->argv};
}

Exit command_watch(const Operands *ops, const void *config)
{
    SessionArgs a = session_args(ops, config);
    return session_watch(&a);
}

Exit command_session(const Operands *ops, const void *config)
{
    const SessionOptions *o = config;
    Err err = {0};
    SessionArgs a = session_args(ops, o);
    if (a.ready_fd >= 0)
        fcntl(a.ready_fd, F_SETFD, FD_CLOEXEC);
    if (command_apply_core(&o->core, &err))
        return session_run(&a);
    if (a.ready_fd >= 0)
        (void)!write(a.ready_fd, err.msg, strlen(err.msg));
    return EXIT_USAGE;
}
