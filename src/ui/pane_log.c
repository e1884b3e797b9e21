/* pane_log.c -- all that is printed, logged, raised or returned, as lines with their
 * time and cell. The last lines are kept; the count is of all. Text is read from the
 * cells' logs a piece at a time, so a cell that floods never holds up a key. */
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/mem.h"
#include "figure/clean.h"
#include "lab/jval.h"
#include "ui/act.h"
#include "ui/ansi.h"
#include "ui/find.h"

enum {
    KEEP = 10000,      /* lines */
    LINE = 2000,       /* bytes of a line that are kept */
    PIECE = 256 << 10, /* bytes read at a time */
    BEHIND = 64        /* texts that wait */
};

typedef struct LogLine {
    char *text;
    double t;
    int cell;
    Role role;
} LogLine;
typedef struct Range { /* printed text that is still to be read, or lines behind it */
    int cell;
    int64_t log; /* the number of the text's file */
    int64_t from, to;
    double t;
    char *lines; /* NULL: printed text */
    Role role;
} Range;
typedef struct Log {
    LogLine *line; /* ring of KEEP */
    int first, n;
    int64_t count, bytes;
    Range range[BEHIND];
    int n_ranges;
    Str rest; /* an unfinished line */
    int rest_cell;
    int top; /* line shown first, among those that pass the filter; -1: follow */
    int rows;
    char *filter;
    int only;      /* lines of this cell; 0: of all */
    int64_t found; /* number of the line that was found; -1: none */
    char *match;
} Log;

static Log *state_of(const Ui *u)
{
    return u->pane[PANE_LOG];
}

static void *make(Ui *u, Err *err)
{
    (void)u;
    Log *g = mem_zalloc(sizeof *g, err);
    if (!g)
        return NULL;
    g->line = mem_zalloc(KEEP * sizeof *g->line, err);
    if (!g->line) {
        mem_free(g);
        return NULL;
    }
    str_init(&g->rest);
    g->top = -1;
    g->found = -1;
    return g;
}

static void destroy(void *state)
{
    Log *g = state;
    if (!g)
        return;
    for (int i = 0; i < KEEP; i++)
        mem_free(g->line[i].text);
    mem_free(g->line);
    for (int i = 0; i < g->n_ranges; i++)
        mem_free(g->range[i].lines);
    str_done(&g->rest);
    mem_free(g->filter);
    mem_free(g->match);
    mem_free(g);
}

static LogLine *line_at(const Log *g, int i)
{
    return &g->line[(g->first + i) % KEEP];
}

static void add(Log *g, const char *s, size_t n, double t, int cell, Role role)
{
    while (n > 0 && s[n - 1] == '\r')
        n--;
    for (size_t i = n; i > 0; i--) { /* what a carriage return leaves of a line */
        if (s[i - 1] == '\r') {
            s += i;
            n -= i;
            break;
        }
    }
    n = n < LINE ? n : LINE;
    char *copy = mem_alloc(n + 1, NULL);
    if (!copy)
        return;
    memcpy(copy, s, n);
    copy[n] = '\0';
    ansi_take(copy, NULL, 0);
    if (g->n == KEEP) {
        mem_free(g->line[g->first].text);
        g->line[g->first].text = NULL;
        g->first = (g->first + 1) % KEEP;
        g->n--;
        if (g->top > 0)
            g->top--;
    }
    *line_at(g, g->n++) = (LogLine){copy, t, cell, role};
    g->count++;
}

static void add_block(Log *g, const char *s, double t, int cell, Role role)
{
    while (*s) {
        size_t n = strcspn(s, "\n");
        add(g, s, n, t, cell, role);
        s += n + (s[n] == '\n');
    }
}

/* --- printed text ----------------------------------------------------------------- */

static void end_rest(Log *g, double t)
{
    if (g->rest.len > 0)
        add(g, g->rest.s, g->rest.len, t, g->rest_cell, ROLE_TEXT);
    str_clear(&g->rest);
}

static void feed(Log *g, const char *s, size_t n, const Range *r)
{
    if (g->rest_cell != r->cell)
        end_rest(g, r->t);
    g->rest_cell = r->cell;
    while (n > 0) {
        const char *nl = memchr(s, '\n', n);
        size_t len = nl ? (size_t)(nl - s) : n;
        if (nl && g->rest.len == 0) {
            add(g, s, len, r->t, r->cell, ROLE_TEXT);
        } else {
            if (g->rest.len < 2 * LINE)
                str_addn(&g->rest, s, len);
            if (nl)
                end_rest(g, r->t);
        }
        s += len + (nl != NULL);
        n -= len + (nl != NULL);
    }
}

bool log_behind(const Ui *u)
{
    return state_of(u)->n_ranges > 0;
}

/* A piece of the printed text; false: there is no more of it. */
static bool read_piece(Ui *u, Log *g, Range *r)
{
    char *text;
    size_t n, want;
    Err err = {0};
    want = r->to - r->from < PIECE ? (size_t)(r->to - r->from) : PIECE;
    if (jreader_log_out(u->reader, r->cell, r->log, r->from, want, &text, &n, &err) &&
        n > 0) {
        feed(g, text, n, r);
        g->bytes += (int64_t)n;
        r->from += (int64_t)n;
        mem_free(text);
        return r->from < r->to;
    }
    if (err.code == ERR_STATE)
        add_block(g, "(its text went when the cell was run again)", r->t, r->cell,
                  ROLE_DIM);
    return false; /* it is not there */
}

void log_read(Ui *u)
{
    Log *g = state_of(u);
    Range *r = &g->range[0];
    if (g->n_ranges == 0)
        return;
    if (r->lines) {
        end_rest(g, r->t);
        add_block(g, r->lines, r->t, r->cell, r->role);
        mem_free(r->lines);
    }
    if (r->lines || !read_piece(u, g, r))
        memmove(g->range, g->range + 1, (size_t)--g->n_ranges * sizeof *r);
    u->dirty = u->dirty || ui_pane_visible(u, PANE_LOG);
}

static void on_out(Ui *u, Log *g, const json_t *ev, double t)
{
    int cell = (int)jval_get_int(ev, "cell", 0);
    Range r = {.cell = cell,
               .log = jreader_log(u->reader, cell),
               .from = jval_get_int(ev, "from", 0),
               .to = jval_get_int(ev, "to", 0),
               .t = t};
    Range *last = g->n_ranges > 0 ? &g->range[g->n_ranges - 1] : NULL;
    if (last && !last->lines && last->cell == r.cell && last->log == r.log &&
        last->to == r.from) {
        last->to = r.to;
        return;
    }
    while (g->n_ranges == BEHIND)
        log_read(u);
    g->range[g->n_ranges++] = r;
}

/* --- events ----------------------------------------------------------------------- */

/* Lines stand behind the text that was printed before them, however much of that is
 * still to be read. */
static void say(Ui *u, const char *text, double t, int cell, Role role)
{
    Log *g = state_of(u);
    for (int i = 0; i < 4 && g->n_ranges > 0; i++)
        log_read(u);
    while (g->n_ranges == BEHIND)
        log_read(u);
    char *copy = g->n_ranges > 0 ? mem_strdup(text, NULL) : NULL;
    if (copy) {
        g->range[g->n_ranges++] =
            (Range){.cell = cell, .t = t, .lines = copy, .role = role};
        return;
    }
    if (g->n_ranges == 0)
        end_rest(g, t);
    add_block(g, text, t, cell, role);
}

static void event(Ui *u, const json_t *ev)
{
    Log *g = state_of(u);
    const char *kind = jval_get(ev, "ev", "");
    double t = jval_to_number(json_object_get(ev, "t"), 0);
    int cell = (int)jval_get_int(ev, "cell", u->doc->running);
    if (strcmp(kind, "out") == 0) {
        on_out(u, g, ev, t);
    } else if (strcmp(kind, "log") == 0 || strcmp(kind, "value") == 0) {
        say(u, jval_get(ev, "text", ""), t, cell, ROLE_TEXT);
    } else if (strcmp(kind, "error") == 0) {
        say(u, jval_get(ev, "msg", ""), t, cell, ROLE_ERROR);
        if (jval_get(ev, "trace", "")[0])
            say(u, jval_get(ev, "trace", ""), t, cell, ROLE_DIM);
    } else if (strcmp(kind, "done") == 0) {
        say(u, strcmp(jval_get(ev, "status", ""), "stopped") ? "" : "interrupted", t,
            cell, ROLE_WARN);
    } else if (strcmp(kind, "kernel") == 0 &&
               strcmp(jval_get(ev, "why", ""), "start") != 0) {
        say(u, "the kernel was started again", t, 0, ROLE_WARN);
    }
}

static bool passes(const Log *g, const LogLine *l)
{
    if (g->only && l->cell != g->only)
        return false;
    return !g->filter ||
           text_find(l->text, strlen(l->text), g->filter) < strlen(l->text);
}

/* --- drawing ---------------------------------------------------------------------- */

static void draw_line(Ui *u, Area a, int row, const LogLine *l, bool found)
{
    char stamp[32], cell[32];
    time_t secs = (time_t)l->t;
    struct tm tm;
    int col = 0;
    if (a.cols >= 60 && l->t > 0 && !u->still && localtime_r(&secs, &tm)) {
        snprintf(stamp, sizeof stamp, " %02d:%02d:%02d", tm.tm_hour, tm.tm_min,
                 tm.tm_sec);
        col = paint_str(&u->paint, a, row, 0, stamp, ROLE_DIM);
    }
    if (l->cell > 0) {
        snprintf(cell, sizeof cell, " [%d]", l->cell);
        col += paint_str(&u->paint, a, row, col, cell, ROLE_DIM);
    }
    paint_cut(&u->paint, a, row, col + 1, l->text, a.cols - col - 1,
              found ? ROLE_MATCH : l->role);
}

static void draw(Ui *u, Area a, bool focus)
{
    Log *g = state_of(u);
    (void)focus;
    g->rows = a.rows;
    int shown = 0;
    if (g->top < 0) { /* the last lines: found from the end */
        int from = g->n;
        while (from > 0 && shown < a.rows)
            shown += passes(g, line_at(g, --from));
        for (int i = from, row = 0; i < g->n; i++) {
            if (passes(g, line_at(g, i)))
                draw_line(u, a, row++, line_at(g, i), false);
        }
        if (shown == 0)
            paint_str(&u->paint, a, 0, 1,
                      g->filter ? "no line fits the filter" : "nothing was printed yet",
                      ROLE_DIM);
        return;
    }
    for (int i = g->top; i < g->n && shown < a.rows; i++) {
        if (passes(g, line_at(g, i)))
            draw_line(u, a, shown++, line_at(g, i), g->count - g->n + i == g->found);
    }
}

static void title(Ui *u, Str *out)
{
    const Log *g = state_of(u);
    char mb[32];
    str_addf(out, "%lld line%s", (long long)g->count, g->count == 1 ? "" : "s");
    if (g->bytes > 100000) {
        figure_digits((double)g->bytes / 1e6, 3, mb);
        str_addf(out, ", %s MB on disk", mb);
    }
    if (g->count > g->n)
        str_addf(out, ", the last %d here", g->n);
    if (g->only)
        str_add(out, ", this cell");
    if (g->filter)
        str_addf(out, ", filter: %s", g->filter);
    if (g->top >= 0)
        str_add(out, ", G follows");
}

/* --- moving ----------------------------------------------------------------------- */

/* The last line that has a full page from it on. */
static int last_top(const Log *g)
{
    int rows = 0;
    for (int i = g->n - 1; i >= 0; i--) {
        if (passes(g, line_at(g, i)) && ++rows == g->rows)
            return i;
    }
    return 0;
}

static void scroll(Ui *u, int lines)
{
    Log *g = state_of(u);
    int last = last_top(g), top = g->top < 0 ? last : g->top;
    int64_t left = lines < 0 ? -(int64_t)lines : lines;
    while (left > 0 && (lines < 0 ? top > 0 : top < last)) {
        top += lines < 0 ? -1 : 1;
        if (passes(g, line_at(g, top)))
            left--;
    }
    g->top = top >= last ? -1 : top;
}

static bool find(Ui *u, const char *text, int step)
{
    Log *g = state_of(u);
    int64_t base = g->count - g->n;
    int at = g->found >= base ? (int)(g->found - base) : step > 0 ? -1 : g->n;
    if (g->found < base && g->top < 0 && step > 0)
        step = -1, at = g->n; /* from the end that is seen, backwards */
    for (int k = 0; k < g->n; k++) {
        at = ((at + step) % g->n + g->n) % g->n;
        const LogLine *l = line_at(g, at);
        if (!passes(g, l) ||
            text_find(l->text, strlen(l->text), text) >= strlen(l->text))
            continue;
        g->found = base + at;
        g->top = at > g->rows / 2 ? at - g->rows / 2 : 0;
        return true;
    }
    return false;
}

static void filter(Ui *u, const char *text)
{
    Log *g = state_of(u);
    mem_free(g->filter);
    g->filter = *text ? mem_strdup(text, NULL) : NULL;
    g->top = -1;
}

static bool copy(Ui *u, Str *out)
{
    const Log *g = state_of(u);
    int from = g->top < 0 ? last_top(g) : g->top, rows = 0;
    for (int i = from; i < g->n && rows < g->rows; i++) {
        if (passes(g, line_at(g, i))) {
            str_addf(out, "%s\n", line_at(g, i)->text);
            rows++;
        }
    }
    return rows > 0;
}

void act_log_follow(Ui *u, const char *arg)
{
    (void)arg;
    state_of(u)->top = -1;
    state_of(u)->found = -1;
}

void act_log_cell(Ui *u, const char *arg)
{
    Log *g = state_of(u);
    (void)arg;
    g->only = g->only ? 0 : u->sel;
    g->top = -1;
}

const PaneRow pane_log = {
    .name = "log",
    .tab = "log",
    .make = make,
    .free = destroy,
    .event = event,
    .draw = draw,
    .title = title,
    .scroll = scroll,
    .find = find,
    .filter = filter,
    .copy = copy,
};
