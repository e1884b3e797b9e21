/* printer.c -- output is gathered and written once a batch: one write(2) to each
 * stream, the output stream first. `shown` counts the bytes of the current cell's log
 * that were printed, so the rest can be found after a crash. */
#include "ui/printer.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "lab/jval.h"
#include "ui/bar.h"

enum { PIECE = 256 << 10, FLUSH_AT = 1 << 20 };

/* A curve has hundreds of points and a terminal few lines: the first METRIC_FREE lines
 * of a set of names are printed, later ones at most every METRIC_GAP seconds. All are
 * in the run. */
enum { METRIC_SETS = 8, METRIC_FREE = 10 };
static const double METRIC_GAP = 2;
typedef struct MetricSet {
    uint32_t names; /* hash; 0: unused */
    int shown;
    double last; /* time of the last line */
} MetricSet;

struct Printer {
    JournalReader *reader;
    PrintStyle style;
    Str out, err; /* gathered for the streams */
    bool out_closed, err_closed;
    bool mid_line; /* the output stream stands behind text without a newline */
    int cell;
    int64_t shown; /* bytes of the cell's log that were printed */
    char rest[4];  /* the start of a code point whose end is yet to come */
    size_t n_rest;
    Bar bar;
    MetricSet metrics[METRIC_SETS];
};

Printer *printer_new(JournalReader *borrowed, const PrintStyle *style, Err *err)
{
    Printer *p = mem_zalloc(sizeof *p, err);
    if (!p)
        return NULL;
    p->reader = borrowed;
    p->style = *style;
    str_init(&p->out);
    str_init(&p->err);
    return p;
}

void printer_free(Printer *p)
{
    if (!p)
        return;
    bar_forget(&p->bar);
    str_done(&p->out);
    str_done(&p->err);
    mem_free(p);
}

/* Writes and empties; a closed stream swallows everything from then on. */
static void write_out(int fd, Str *t, bool *closed)
{
    size_t at = 0;
    while (at < t->len && !*closed) {
        ssize_t got = write(fd, t->s + at, t->len - at);
        if (got > 0) {
            at += (size_t)got;
        } else if (got < 0 && errno == EAGAIN) {
            struct pollfd wait = {.fd = fd, .events = POLLOUT};
            poll(&wait, 1, 1000);
        } else if (got < 0 && errno != EINTR) {
            *closed = true;
            if (errno != EPIPE && fd != STDERR_FILENO)
                dprintf(STDERR_FILENO,
                        "cleave: the output cannot be written: %s; the run goes on and is "
                        "whole in its folder\n",
                        strerror(errno));
        }
    }
    str_clear(t);
    t->oom =
        false; /* a batch that did not fit in memory is lost on screen, not on disk */
}

/* The progress line leaves before and returns after what is written now. */
static void flush(Printer *p)
{
    if (p->out.len > 0 && p->bar.on_screen) {
        Str clear;
        str_init(&clear);
        bar_clear(&p->bar, &p->style.err, &clear);
        write_out(p->style.err.fd, &clear, &p->err_closed);
        str_done(&clear);
    }
    write_out(p->style.out.fd, &p->out, &p->out_closed);
    if (p->err.len > 0)
        write_out(p->style.err.fd, &p->err, &p->err_closed);
}

/* Takes the progress line away before anything is added to the error stream. */
static void bar_away(Printer *p)
{
    flush(p);
    bar_clear(&p->bar, &p->style.err, &p->err);
}

static void draw_bar(Printer *p)
{
    if (p->style.err.tty && p->style.out.tty && p->mid_line)
        return; /* a prompt-like text stays readable; the bar waits for its newline */
    bar_draw(&p->bar, &p->style.err, &p->err);
    flush(p);
}

/* --- text ------------------------------------------------------------------------- */

static void add_text(Printer *p, const char *s, size_t n, bool last)
{
    char joined[sizeof p->rest + 4];
    if (n > 0)
        p->mid_line = s[n - 1] != '\n';
    while (p->n_rest > 0 && n > 0) {
        /* complete the code point byte by byte; at most three rounds */
        memcpy(joined, p->rest, p->n_rest);
        joined[p->n_rest] = *s++;
        n--;
        size_t have = p->n_rest + 1;
        size_t used = style_text(&p->style.out, joined, have, false, &p->out);
        p->n_rest = have - used;
        memmove(p->rest, joined + used, p->n_rest);
    }
    size_t used = style_text(&p->style.out, s, n, last, &p->out);
    if (used < n) {
        p->n_rest = n - used;
        memcpy(p->rest, s + used, p->n_rest);
    }
}

static void end_text(Printer *p)
{
    if (p->n_rest > 0)
        style_text(&p->style.out, p->rest, p->n_rest, true, &p->out);
    p->n_rest = 0;
}

/* Prints the cell's log from `shown` up to `to` (-1: to its end). */
static void show_log(Printer *p, int64_t to)
{
    for (;;) {
        char *text;
        size_t n, max = PIECE;
        if (to >= 0 && to - p->shown < (int64_t)max)
            max = to > p->shown ? (size_t)(to - p->shown) : 0;
        if (max == 0 ||
            !jreader_out(p->reader, p->cell, p->shown, max, &text, &n, NULL))
            return;
        add_text(p, text, n, false);
        p->shown += (int64_t)n;
        mem_free(text);
        if (p->out.len >= FLUSH_AT)
            flush(p);
        if (n == 0)
            return;
    }
}

/* Starts a line of its own, whatever the script printed before. */
static void fresh_line(Printer *p)
{
    end_text(p);
    if (p->mid_line)
        str_addc(&p->out, '\n');
    p->mid_line = false;
}

static void add_line(Printer *p, const char *text)
{
    fresh_line(p);
    style_text(&p->style.out, text, strlen(text), true, &p->out);
    str_addc(&p->out, '\n');
}

/* --- one function for each kind of event ---------------------------------------------
 */

static void on_start(Printer *p, const json_t *ev)
{
    p->cell = (int)jval_get_int(ev, "cell", 0);
    p->shown = 0;
}

static void on_out(Printer *p, const json_t *ev)
{
    int64_t from = jval_get_int(ev, "from", 0), to = jval_get_int(ev, "to", 0);
    int cell = (int)jval_get_int(ev, "cell", 0);
    if (cell != p->cell || from > p->shown)
        p->shown = from;
    p->cell = cell;
    if (to > p->shown)
        show_log(p, to);
}

static void on_text(Printer *p, const json_t *ev)
{
    const char *text = jval_get(ev, "text", "");
    size_t n = strlen(text);
    fresh_line(p);
    style_text(&p->style.out, text, n, true, &p->out);
    if (n == 0 || text[n - 1] != '\n')
        str_addc(&p->out, '\n');
}

static bool wants_metric(Printer *p, const json_t *ev)
{
    const char *name;
    json_t *value;
    uint32_t names = 2166136261u;
    double t = json_number_value(json_object_get(ev, "t"));
    json_object_foreach(json_object_get(ev, "m"), name, value)
        for (const char *c = name; *c; c++)
            names = (names ^ (uint8_t)*c) * 16777619u;
    for (size_t i = 0; i < METRIC_SETS; i++) {
        MetricSet *m = &p->metrics[i];
        if (m->names && m->names != names)
            continue;
        m->names = names;
        if (m->shown >= METRIC_FREE && t - m->last < METRIC_GAP)
            return false;
        m->shown++;
        m->last = t;
        return true;
    }
    return true;
}

static void on_metric(Printer *p, const json_t *ev)
{
    const char *name;
    json_t *value;
    Str t;
    if (!wants_metric(p, ev))
        return;
    str_init(&t);
    str_addf(&t, "step %lld", (long long)jval_get_int(ev, "step", 0));
    json_object_foreach(json_object_get(ev, "m"), name, value)
    {
        char number[32];
        figure_number(jval_to_number(value, 0.0), number);
        str_addf(&t, "  %s %s", name, number);
    }
    add_line(p, t.s);
    str_done(&t);
}

static void on_progress(Printer *p, const json_t *ev)
{
    bar_event(&p->bar, ev);
    if (!p->style.err.tty)
        draw_bar(p); /* plain lines keep their place among the others */
}

static void on_figure(Printer *p, const json_t *ev)
{
    Err err = {0};
    Grid grid = {0};
    Figure *f = jreader_figure(p->reader, ev, &err);
    bool ok = f && figure_draw(f, &p->style.draw, &grid, &err);
    fresh_line(p);
    if (ok && (p->style.out.escapes || p->style.forced))
        grid_print(&grid, p->style.draw.level, &p->out);
    else if (ok)
        grid_plain(&grid, &p->out);
    const char *png = jval_get(ev, "png", "");
    if (ok && f->kind != FIG_TABLE && f->kind != FIG_TEXT && png[0]) {
        str_addf(&p->out, "(%s/", jreader_dir(p->reader));
        style_text(&p->style.out, png, strlen(png), true, &p->out);
        str_add(&p->out, ")\n");
    }
    grid_done(&grid);
    figure_free(f);
    if (!ok) {
        char remark[sizeof err.msg + 40];
        snprintf(remark, sizeof remark, "a figure cannot be shown: %s", err.msg);
        printer_remark(p, remark);
    }
}

static void on_error(Printer *p, const json_t *ev)
{
    const Stream *s = &p->style.err;
    const char *msg = jval_get(ev, "msg", "an error without a text");
    const char *trace = jval_get(ev, "trace", "");
    fresh_line(p);
    bar_away(p);
    str_add(&p->err, "cleave: ");
    style_text(s, msg, strlen(msg), true, &p->err);
    str_addc(&p->err, '\n');
    if (trace[0]) {
        str_add(&p->err, s->escapes ? "\033[2m" : "");
        style_text(s, trace, strlen(trace), true, &p->err);
        str_add(&p->err, s->escapes ? "\033[0m" : "");
        if (trace[strlen(trace) - 1] != '\n')
            str_addc(&p->err, '\n');
    }
    flush(p);
}

static void on_done(Printer *p, const json_t *ev)
{
    (void)ev;
    end_text(p);
    bar_away(p);
    bar_forget(&p->bar);
}

/* Kinds that are not here (state, result, doc ...) have nothing to print. */
static const struct {
    const char *kind;
    void (*show)(Printer *, const json_t *);
} shows[] = {
    {"start",    on_start   },
    {"out",      on_out     },
    {"log",      on_text    },
    {"value",    on_text    },
    {"metric",   on_metric  },
    {"figure",   on_figure  },
    {"error",    on_error   },
    {"progress", on_progress},
    {"done",     on_done    },
};

bool printer_catch_up(Printer *p, Err *err)
{
    bool more;
    Err e = {0};
    for (;;) {
        json_t *ev = jreader_next(p->reader, &more, &e);
        if (!ev && !more)
            break;
        if (!ev) {
            printer_remark(p, e.msg);
            continue;
        }
        const char *kind = jval_get(ev, "ev", "");
        for (size_t i = 0; i < ARRAY_LEN(shows); i++) {
            if (strcmp(shows[i].kind, kind) == 0)
                shows[i].show(p, ev);
        }
        json_decref(ev);
        if (p->out.len >= FLUSH_AT)
            flush(p);
        err_clear(&e);
    }
    flush(p);
    if (p->style.err.tty)
        draw_bar(p);
    if (e.code == ERR_NONE)
        return true;
    if (err)
        *err = e;
    return false;
}

void printer_end(Printer *p)
{
    bar_away(p);
    bar_forget(&p->bar);
    show_log(p, -1);
    fresh_line(p);
    flush(p);
}

void printer_line(Printer *p, const char *text)
{
    add_line(p, text);
    flush(p);
}

void printer_remark(Printer *p, const char *text)
{
    fresh_line(p);
    bar_away(p);
    str_add(&p->err, "cleave: ");
    style_text(&p->style.err, text, strlen(text), true, &p->err);
    str_addc(&p->err, '\n');
    flush(p);
}

void printer_resize(Printer *p)
{
    style_resize(&p->style);
}
