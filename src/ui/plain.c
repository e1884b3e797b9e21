/* plain.c -- the notebook as lines: what is typed becomes a cell at the end of the
 * document and is run; what happens is printed from the journal. Two readers follow it,
 * one for the printer and one for the document. Ctrl-C stops the cell, or drops the
 * input. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "kernel/document.h"
#include "lab/jval.h"
#include "script/script.h"
#include "ui/printer.h"
#include "ui/session.h"

#define ANSWER_SECONDS 10.0
#define PATIENCE       5.0

typedef struct Plain {
    Client *client;
    Document *doc;
    JournalReader *doc_reader, *reader;
    Printer *printer;
    bool prompt; /* somebody types */
    bool quit;
    Exit code;
} Plain;

static volatile sig_atomic_t interrupted;

static void on_interrupt(int signo)
{
    (void)signo;
    interrupted = 1;
}

/* --- following -------------------------------------------------------------------- */

static void follow_document(Plain *p)
{
    bool more;
    json_t *ev;
    while ((ev = jreader_next(p->doc_reader, &more, NULL)) || more) {
        if (ev)
            document_apply(p->doc, ev, NULL);
        json_decref(ev);
    }
}

static void show(Plain *p)
{
    follow_document(p);
    printer_catch_up(p->printer, NULL);
}

static void gone(Plain *p)
{
    char why[400];
    client_why_gone(p->client, why, sizeof why);
    show(p);
    printer_remark(p->printer, why);
    p->quit = true;
    p->code = EXIT_BROKEN;
}

/* Sends and waits; NULL: refused (said), or the kernel is gone (said). */
static json_t *ask(Plain *p, json_t *request)
{
    Err err = {0};
    json_t *ok = client_call(p->client, request, ANSWER_SECONDS, &err);
    if (!ok && !client_alive(p->client))
        gone(p);
    else if (!ok)
        printer_remark(p->printer, err.msg);
    return ok;
}

static bool settled(const Plain *p)
{
    return p->doc->running == 0 && p->doc->n_queue == 0;
}

/* Prints until nothing runs and nothing waits. */
static void watch(Plain *p)
{
    double asked = 0;
    bool offered = false;
    show(p);
    while (!settled(p) && !p->quit) {
        jreader_wait(p->reader, asked > 0 ? 0.2 : 1.0, client_fd(p->client));
        json_decref(client_receive(p->client, NULL));
        if (!client_alive(p->client)) {
            gone(p);
            return;
        }
        if (interrupted) {
            interrupted = 0;
            json_decref(ask(p, client_request(offered ? "kill" : "interrupt", NULL)));
            asked = asked > 0 ? asked : clock_now();
        }
        show(p);
        if (asked > 0 && !offered && !settled(p) && clock_now() - asked > PATIENCE) {
            offered = true;
            printer_remark(p->printer,
                           "the cell does not react; Ctrl-C again kills the "
                           "kernel (journal and notebook are safe)");
        }
    }
}

/* --- what is typed ---------------------------------------------------------------- */

static void note_failure(Plain *p, int id)
{
    const Cell *c = document_cell(p->doc, id);
    if (c && (c->state == CELL_FAILED || c->state == CELL_STOPPED))
        p->code = c->state == CELL_STOPPED ? EXIT_STOPPED : EXIT_SCRIPT;
}

static void run_text(Plain *p, const char *text)
{
    const Document *d = p->doc;
    const Cell *last = d->n > 0 ? d->cell[d->n - 1] : NULL;
    bool reuse = last && last->type == CELL_CODE && !last->text[0] && !last->title[0];
    json_t *ok;
    if (reuse)
        ok = ask(p, client_request("edit", "{s:i,s:I,s:o}", "cell", last->id, "rev",
                                   (json_int_t)last->rev, "text", jval_str(text)));
    else
        ok = ask(p, client_request("insert", "{s:i,s:o}", "after", last ? last->id : 0,
                                   "text", jval_str(text)));
    if (!ok)
        return;
    int id = reuse ? last->id : (int)jval_get_int(ok, "cell", 0);
    json_decref(ok);
    ok = ask(p, client_request("run", "{s:[i]}", "cells", id));
    json_decref(ok);
    if (!ok)
        return;
    watch(p);
    note_failure(p, id);
}

static void run_all(Plain *p, const char *rest)
{
    (void)rest;
    json_t *ok = ask(p, client_request("run", NULL));
    json_decref(ok);
    if (!ok)
        return;
    watch(p);
    for (int i = 0; i < p->doc->n; i++)
        note_failure(p, p->doc->cell[i]->id);
}

static void run_cell(Plain *p, const char *rest)
{
    int id = atoi(rest);
    json_t *ok = ask(p, client_request("run", "{s:[i]}", "cells", id));
    json_decref(ok);
    if (!ok)
        return;
    watch(p);
    note_failure(p, id);
}

static void list_cells(Plain *p, const char *rest)
{
    (void)rest;
    char line[64], out[120];
    follow_document(p);
    for (int i = 0; i < p->doc->n; i++) {
        const Cell *c = p->doc->cell[i];
        cell_headline(c, line, sizeof line);
        snprintf(out, sizeof out, "[%d] %-8s %s%s", c->id,
                 c->type == CELL_CODE ? cell_state_name(c->state)
                                      : cell_type_name(c->type),
                 c->stale ? "! " : "", line);
        printer_line(p->printer, out);
    }
}

static void save(Plain *p, const char *rest)
{
    bool force = strcmp(rest, "!") == 0;
    json_t *ok = ask(p, client_request("save", "{s:b}", "force", force));
    if (ok)
        printer_line(p->printer, jval_get(ok, "path", ""));
    json_decref(ok);
}

static void restart(Plain *p, const char *rest)
{
    (void)rest;
    json_decref(ask(p, client_request("restart", NULL)));
}

static void shut_down(Plain *p, const char *rest)
{
    (void)rest;
    json_decref(ask(p, client_request("shutdown", NULL)));
    p->quit = true;
}

static void quit(Plain *p, const char *rest)
{
    (void)rest;
    p->quit = true;
}

static void help(Plain *p, const char *rest);

static const struct {
    const char *name, *doc;
    void (*run)(Plain *, const char *);
} commands[] = {
    {"all",      "run all cells in order",                                run_all   },
    {"run",      "ID: run one cell",                                      run_cell  },
    {"list",     "the cells with their ids and states",                   list_cells},
    {"save",     "write the file; ':save !' although it changed on disk", save      },
    {"restart",  "drop every variable",                                   restart   },
    {"quit",     "leave; the session lives on (cleave attach)",           quit      },
    {"shutdown", "leave and end the session",                             shut_down },
    {"help",     "these lines; ?NAME explains a name",                    help      },
};

static void help(Plain *p, const char *rest)
{
    (void)rest;
    char line[120];
    for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
        snprintf(line, sizeof line, ":%-10s %s", commands[i].name, commands[i].doc);
        printer_line(p->printer, line);
    }
}

static void command(Plain *p, const char *line)
{
    size_t n = strcspn(line, " \n");
    const char *rest = line + n + strspn(line + n, " ");
    for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
        if (n > 0 && strncmp(commands[i].name, line, n) == 0) {
            commands[i].run(p, rest);
            return;
        }
    }
    printer_remark(p->printer, "no such command; :help lists them");
}

static void explain(Plain *p, const char *name)
{
    json_t *ok = ask(p, client_request("inspect", "{s:o}", "name", jval_str(name)));
    if (!ok)
        return;
    const char *text = jval_get(ok, "text", ""), *doc = jval_get(ok, "doc", "");
    if (text[0])
        printer_line(p->printer, text);
    if (doc[0])
        printer_line(p->printer, doc);
    json_decref(ok);
}

/* --- input ------------------------------------------------------------------------ */

static void ask_for(const Plain *p, bool more)
{
    const char *text = more ? ">> " : "> ";
    if (p->prompt)
        (void)!write(STDOUT_FILENO, text, strlen(text));
}

static void drop_newlines(Str *t)
{
    while (t->len > 0 && strchr("\r\n", t->s[t->len - 1]))
        t->s[--t->len] = '\0';
}

/* One whole input, which may have several lines. */
static void take(Plain *p, Str *text)
{
    drop_newlines(text);
    const char *s = text->s + strspn(text->s, " \t\r\n");
    if (*s == ':' && s[1] != ':')
        command(p, s + 1);
    else if (*s == '?')
        explain(p, s + 1 + strspn(s + 1, " "));
    else if (*s)
        run_text(p, text->s);
    str_clear(text);
}

static void read_loop(Plain *p)
{
    char *line = NULL;
    size_t cap = 0;
    Str text;
    str_init(&text);
    while (!p->quit) {
        ask_for(p, text.len > 0);
        errno = 0;
        ssize_t n = getline(&line, &cap, stdin);
        if (interrupted) { /* drops what was typed */
            interrupted = 0;
            clearerr(stdin);
            str_clear(&text);
            printer_line(p->printer, "");
            continue;
        }
        if (n < 0)
            break;
        str_addn(&text, line, (size_t)n);
        bool special = text.s[strspn(text.s, " \t")] == ':' || text.s[0] == '?';
        if (special || !script_wants_more(text.s, text.len))
            take(p, &text);
    }
    if (text.len > 0 && !p->quit)
        take(p, &text); /* the compiler says what is missing */
    str_done(&text);
    free(line);
}

static bool start(Plain *p, const PrintStyle *style, Err *err)
{
    bool more;
    json_t *ev;
    p->doc = document_new(err);
    p->doc_reader = p->doc ? jreader_open(client_dir(p->client), err) : NULL;
    p->reader = p->doc_reader ? jreader_open(client_dir(p->client), err) : NULL;
    if (!p->reader)
        return false;
    follow_document(p);
    /* what happened before is not printed again */
    while ((ev = jreader_next(p->reader, &more, NULL)) || more)
        json_decref(ev);
    p->printer = printer_new(p->reader, style, err);
    return p->printer != NULL;
}

static void greet(const Plain *p, const char *why)
{
    char line[PATH_MAX + 100];
    const char *name = strrchr(client_place(p->client)->file, '/') + 1;
    snprintf(line, sizeof line, "%s, %d cells, kernel %lld; :help lists commands", name,
             p->doc->n, (long long)client_pid(p->client));
    printer_line(p->printer, line);
    snprintf(line, sizeof line, "(lines only: %s)", why);
    printer_line(p->printer, line);
}

Exit plain_view(Client *taken, const PrintStyle *style, const char *why)
{
    Err err = {0};
    Plain p = {.client = taken, .prompt = isatty(STDIN_FILENO) && style->out.tty};
    struct sigaction stop = {.sa_handler = on_interrupt}; /* ends a read */
    sigemptyset(&stop.sa_mask);
    if (start(&p, style, &err)) {
        sigaction(SIGINT, &stop, NULL);
        if (p.prompt)
            greet(&p, why);
        if (!settled(&p))
            watch(&p);
        read_loop(&p);
        show(&p);
        printer_end(p.printer);
    } else {
        p.code = command_fail(EXIT_BROKEN, "%s", err.msg);
    }
    printer_free(p.printer);
    jreader_close(p.reader);
    jreader_close(p.doc_reader);
    document_free(p.doc);
    client_close(p.client);
    return p.code;
}
