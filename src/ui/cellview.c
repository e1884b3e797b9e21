/* cellview.c -- outputs are drawn below each other into a grid that grows. A text's
 * carriage returns are obeyed as a terminal would: only what follows the last one of a
 * line is left of it. */
#include "ui/cellview.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "figure/clean.h"
#include "lab/jval.h"
#include "ui/ansi.h"
#include "ui/bar.h"
#include "ui/source.h"

enum {
    READ_MAX = 32 << 10, /* bytes of a text that are looked at, at each end */
    HEAD = 16,           /* lines of it that are shown */
    TAIL = 12,
    FULL = 1000,
    SPANS = 64, /* changes of colour in a line */
    FIGURE_ROWS = 44,
    GROW = 16
};

typedef struct Out {
    Painter p;
    Grid *g;
    int row, cols;
    const CellLook *look;
    const Cell *cell;
    Fold fold;
    const char *spanned; /* the line that has colours of its own; NULL: none */
    AnsiSpan span[SPANS];
    int n_spans;
} Out;

static Area all(const Out *o)
{
    return (Area){0, 0, o->g->rows, o->cols};
}

static bool need(Out *o, int rows)
{
    if (o->row + rows <= o->g->rows)
        return true;
    return grid_resize(o->g, o->row + rows + GROW, NULL);
}

/* A piece of a line in its own colours. */
static void paint_piece(Out *o, const char *s, size_t n, Look look)
{
    Area a = all(o);
    int col = GUTTER;
    size_t at = o->spanned ? (size_t)(s - o->spanned) : 0;
    for (int i = 0; o->spanned && i < o->n_spans && n > 0; i++) {
        const AnsiSpan *k = &o->span[i];
        size_t before = k->at > at ? k->at - at : 0;
        before = before < n ? before : n;
        col += paint_text(&o->p, a, o->row, col, s, before, look);
        s += before;
        at += before;
        n -= before;
        if (k->at <= at)
            look = k->look;
    }
    paint_text(&o->p, a, o->row, col, s, n, look);
}

/* One line of text, wrapped; at most `most` rows. Returns the rows. */
static int add_text(Out *o, const char *gutter, const char *s, Role role, int most)
{
    int rows = 0;
    do {
        int used;
        size_t skip, n = clean_line(s, o->cols - GUTTER, &used, &skip);
        if (rows == most || !need(o, 1))
            return rows;
        if (rows == 0 && gutter[0])
            paint_str(&o->p, all(o), o->row, 2, gutter,
                      role == ROLE_ERROR ? ROLE_ERROR : ROLE_DIM);
        paint_piece(o, s, n, paint_look(&o->p, role));
        o->row++;
        rows++;
        s += skip;
        if (skip == 0)
            break;
    } while (*s);
    return rows;
}

static void add_remark(Out *o, const char *fmt, ...) ATTR_PRINTF(2, 3);
static void add_remark(Out *o, const char *fmt, ...)
{
    Err e = {0};
    va_list ap;
    va_start(ap, fmt);
    err_vset(&e, ERR_STATE, fmt, ap);
    va_end(ap);
    add_text(o, "", e.msg, ROLE_DIM, 3);
}

/* --- printed text ----------------------------------------------------------------- */

/* The visible part of each line goes to `to`, NUL-terminated. */
static int split(char *text, size_t n, char **line, int max)
{
    int count = 0;
    char *s = text, *end = text + n;
    while (s < end) {
        char *nl = memchr(s, '\n', (size_t)(end - s));
        char *stop = nl ? nl : end;
        if (count < max) {
            char *from = s, *to = stop;
            while (to > from && to[-1] == '\r')
                to--;
            for (char *c = from; c < to; c++)
                if (*c == '\r')
                    from = c + 1;
            *to = '\0';
            line[count] = from;
        }
        count++;
        s = stop + 1;
    }
    return count;
}

static void put_lines(Out *o, char **line, int n)
{
    for (int i = 0; i < n; i++) {
        o->n_spans = ansi_take(line[i], o->span, SPANS);
        o->spanned = o->n_spans > 0 ? line[i] : NULL;
        add_text(o, "", line[i], ROLE_TEXT, o->fold == FOLD_FULL ? 50 : 8);
    }
    o->spanned = NULL;
}

/* A text of which both ends fit into what is read at once. */
static void short_text(Out *o, char *text, size_t n)
{
    int most = o->fold == FOLD_FULL ? FULL : HEAD + TAIL;
    char **line = mem_array(n + 1, sizeof *line, NULL);
    if (!line)
        return;
    int count = split(text, n, line, (int)n + 1);
    if (count <= most + 2) {
        put_lines(o, line, count);
    } else {
        int tail = most * TAIL / (HEAD + TAIL), head = most - tail;
        put_lines(o, line, head);
        add_remark(o, "... %d more lines (Space shows them)", count - most);
        put_lines(o, line + count - tail, tail);
    }
    mem_free(line);
}

/* 1234567 as "1,234,567" */
static void count_show(int64_t n, char dst[32])
{
    char digits[24];
    int len = snprintf(digits, sizeof digits, "%lld", (long long)n), at = 0;
    for (int i = 0; i < len; i++) {
        if (i > 0 && (len - i) % 3 == 0)
            dst[at++] = ',';
        dst[at++] = digits[i];
    }
    dst[at] = '\0';
}

/* "9,999,972 more lines, 10,000,000 in all (88.9 MB): .cleave/a.lua/out-1.log" */
static void say_hidden(Out *o, int64_t hidden, int64_t lines, int64_t bytes)
{
    char size[32], file[64], more[32], all[32];
    const char *dir = jreader_dir(o->look->reader), *at = dir + strlen(dir);
    for (int slashes = 0; at > dir && (at[-1] != '/' || ++slashes < 2); at--)
        ;
    jreader_log_name(o->look->reader, o->cell->id, file);
    figure_digits((double)bytes / 1e6, 3, size);
    if (lines < 0) {
        add_remark(o, "... %s MB in all: %s/%s", size, at, file);
        return;
    }
    count_show(hidden > 0 ? hidden : 0, more);
    count_show(lines, all);
    add_remark(o, "... %s more lines, %s in all (%s MB): %s/%s", more, all, size, at,
               file);
}

static void long_text(Out *o, const json_t *ev)
{
    int64_t from = jval_get_int(ev, "from", 0), to = jval_get_int(ev, "to", 0);
    int64_t lines = jval_get_int(ev, "lines", -1);
    char *head, *tail = NULL;
    size_t n_head, n_tail;
    char *line[HEAD + TAIL + 1];
    if (!jreader_out(o->look->reader, o->cell->id, from, READ_MAX, &head, &n_head,
                     NULL))
        return;
    if (!jreader_out(o->look->reader, o->cell->id, to - READ_MAX / 4, READ_MAX / 4,
                     &tail, &n_tail, NULL))
        n_tail = 0;
    int first = split(head, n_head, line, HEAD);
    first = first < HEAD ? first : HEAD;
    put_lines(o, line, first);
    /* the last lines: starts are found from the end */
    size_t at = n_tail;
    for (int found = 0; at > 0; at--) {
        if (tail[at - 1] == '\n' && at < n_tail && ++found == TAIL)
            break;
    }
    if (lines >= 0 && n_tail > 0)
        lines += tail[n_tail - 1] != '\n';
    int last = n_tail > 0 ? split(tail + at, n_tail - at, line, TAIL) : 0;
    last = last < TAIL ? last : TAIL;
    say_hidden(o, lines - first - last, lines, to - from);
    put_lines(o, line, last);
    mem_free(head);
    mem_free(tail);
}

static void out_text(Out *o, const json_t *ev)
{
    int64_t from = jval_get_int(ev, "from", 0), to = jval_get_int(ev, "to", 0);
    char *text;
    size_t n;
    Err err = {0};
    if (to - from > 2 * READ_MAX) {
        long_text(o, ev);
    } else if (to > from) {
        if (jreader_out(o->look->reader, o->cell->id, from, (size_t)(to - from), &text,
                        &n, &err)) {
            short_text(o, text, n);
            mem_free(text);
        } else {
            add_remark(o, "(its text cannot be read: %s)", err.msg);
        }
    }
}

/* --- other outputs ---------------------------------------------------------------- */

/* A text of several lines behind a gutter mark, bounded. */
static void add_block(Out *o, const char *gutter, const char *s, Role role, int most)
{
    int rows = 0;
    while (*s) {
        size_t n = strcspn(s, "\n");
        Str t;
        str_init(&t);
        str_addn(&t, s, n);
        if (rows >= most) {
            add_remark(o, "... (Space shows more)");
            str_done(&t);
            return;
        }
        rows += add_text(o, rows == 0 ? gutter : "", t.s, role, most - rows);
        str_done(&t);
        s += n + (s[n] == '\n');
    }
}

static void out_value(Out *o, const json_t *ev)
{
    add_block(o, "=>", jval_get(ev, "text", ""), ROLE_TEXT,
              o->fold == FOLD_FULL ? FULL : 24);
}

static void out_log(Out *o, const json_t *ev)
{
    add_block(o, "--", jval_get(ev, "text", ""), ROLE_TEXT, 12);
}

static void out_error(Out *o, const json_t *ev)
{
    const char *trace = jval_get(ev, "trace", "");
    add_block(o, "!!", jval_get(ev, "msg", "an error without a text"), ROLE_ERROR, 12);
    if (trace[0])
        add_block(o, "", trace, ROLE_DIM, o->fold == FOLD_FULL ? FULL : 6);
}

static void out_metric(Out *o, const json_t *ev)
{
    Str t;
    const char *name;
    json_t *value;
    str_init(&t);
    int64_t n = jval_get_int(ev, "n", 1);
    str_addf(&t, "step %lld", (long long)jval_get_int(ev, "step", 0));
    json_object_foreach(json_object_get(ev, "m"), name, value)
    {
        char number[32];
        figure_number(jval_to_number(value, (double)NAN), number);
        str_addf(&t, "  %s %s", name, number);
    }
    if (n > 1)
        str_addf(&t, "  (%lld points; 5 plots them)", (long long)n);
    add_text(o, "~~", t.s, ROLE_TEXT, 4);
    str_done(&t);
}

static void out_figure(Out *o, const json_t *ev)
{
    Err err = {0};
    Grid g = {0};
    Figure *f = jreader_figure(o->look->reader, ev, &err);
    DrawStyle style = o->look->draw;
    style.width = o->cols - GUTTER > 20 ? o->cols - GUTTER : 20;
    style.rows = f && f->kind == FIG_PLOT ? 12 : 0;
    if (!f || !figure_draw(f, &style, &g, &err)) {
        add_remark(o, "(a figure cannot be shown: %s)", err.msg);
    } else {
        int most = o->fold == FOLD_FULL ? FULL : FIGURE_ROWS;
        int rows = g.rows < most + 4 ? g.rows : most;
        if (need(o, rows)) {
            paint_grid(&o->p, all(o), o->row, GUTTER, &g, 0, rows);
            o->row += rows;
        }
        if (rows < g.rows)
            add_remark(o, "... %d more rows (Space shows them; %s)", g.rows - rows,
                       json_object_get(ev, "control") ? "9 turns it"
                       : f->kind == FIG_COMPONENTS    ? "8: one by one"
                                                      : "4: pages and zoom");
    }
    grid_done(&g);
    figure_free(f);
}

static const struct {
    const char *kind;
    void (*draw)(Out *, const json_t *);
} kinds[] = {
    {"out",    out_text  },
    {"value",  out_value },
    {"log",    out_log   },
    {"error",  out_error },
    {"metric", out_metric},
    {"figure", out_figure},
};

static void out_progress(Out *o, const json_t *ev)
{
    Str t;
    str_init(&t);
    bar_format(ev, o->cols - GUTTER, true, &t);
    add_text(o, "..", t.s, ROLE_GOOD, 1);
    str_done(&t);
}

/* How it ended, where that is not plain. */
static void out_end(Out *o)
{
    const Cell *c = o->cell;
    char text[48];
    if (c->state == CELL_STOPPED)
        add_text(o, "!!", "interrupted", ROLE_WARN, 1);
    else if (c->state == CELL_DIED)
        add_text(o, "!!", "the kernel ended while this ran", ROLE_ERROR, 1);
    if (c->state < CELL_DONE || c->secs < 0.0005 || o->look->still || o->row == 0)
        return;
    if (c->secs < 60)
        snprintf(text, sizeof text, c->secs < 10 ? "%.2fs" : "%.1fs", c->secs);
    else
        clock_hms(c->secs, text);
    /* at the right of the first line where there is room, else of the last */
    int w = (int)strlen(text), row = -1;
    for (int r = 0; r < o->row && row < 0; r++) {
        bool room = true;
        for (int i = 0; i < w + 2; i++) {
            const GridCell *k = grid_at(o->g, r, o->cols - 1 - i);
            room = room && k && k->rune == ' ' && k->bg == GRID_DEFAULT;
        }
        if (room && (r == 0 || r == o->row - 1))
            row = r;
    }
    if (row >= 0)
        paint_right(&o->p, all(o), row, o->cols, text, ROLE_DIM);
}

static void draw_output(CellView *v, const Cell *c, const CellLook *look)
{
    Out o = {.p = look->paint,
             .g = &v->output,
             .cols = v->cols,
             .look = look,
             .cell = c,
             .fold = v->fold};
    grid_done(&v->output);
    if (c->type != CELL_CODE || !grid_new(GROW, v->cols, &v->output, NULL))
        return;
    o.p.grid = &v->output;
    size_t n = json_array_size(c->outputs);
    if (v->fold == FOLD_OUTPUT) {
        if (n > 0)
            add_text(&o, "..", "(output folded; o opens it)", ROLE_DIM, 1);
        n = 0;
    }
    for (size_t i = 0; i < n; i++) {
        const json_t *ev = json_array_get(c->outputs, i);
        const char *kind = jval_get(ev, "ev", "");
        for (size_t k = 0; k < ARRAY_LEN(kinds); k++) {
            if (strcmp(kinds[k].kind, kind) == 0)
                kinds[k].draw(&o, ev);
        }
        if (c->n_dropped > 0 && i == n / 2)
            add_remark(&o, "... %lld outputs are left out here; the log has them",
                       (long long)c->n_dropped);
    }
    if (c->state == CELL_RUNNING && c->progress)
        out_progress(&o, c->progress);
    if (v->fold != FOLD_OUTPUT)
        out_end(&o);
    grid_resize(&v->output, o.row, NULL);
}

/* --- text ------------------------------------------------------------------------- */

const char *cellview_text(const CellView *v, const Cell *c)
{
    return v->expect ? v->expect : c->text ? c->text : "";
}

static void marker_line(const CellView *v, const Painter *p, const Cell *c)
{
    Str t;
    str_init(&t);
    if (c->title && c->title[0])
        str_addf(&t, "%s ", c->title);
    if (c->type != CELL_CODE)
        str_addf(&t, "[%s] ", cell_type_name(c->type));
    if (c->draft)
        str_add(&t, "(draft)");
    paint_cut(p, (Area){0, 0, v->source.rows, v->cols}, 0, GUTTER, t.s,
              v->cols - GUTTER, ROLE_STRONG);
    str_done(&t);
}

static void draw_markdown(const Painter *p, Area a, const char *text)
{
    bool heading = false;
    const char *s = text;
    for (int row = 0; *s && row < a.rows; row++) {
        int used;
        size_t skip, n = clean_line(s, a.cols, &used, &skip);
        if (s == text || s[-1] == '\n')
            heading = s[0] == '#';
        paint_text(p, a, row, 0, s, n,
                   paint_look(p, heading ? ROLE_STRONG : ROLE_TEXT));
        if (skip == 0)
            return;
        s += skip;
    }
}

static int markdown_rows(const char *s, int cols)
{
    int rows = 0;
    while (*s) {
        int used;
        size_t skip;
        clean_line(s, cols, &used, &skip);
        rows++;
        if (skip == 0)
            break;
        s += skip;
    }
    return rows > 0 ? rows : 1;
}

static void draw_source(CellView *v, const Cell *c, const CellLook *look)
{
    const char *text = cellview_text(v, c);
    Source s = {.s = text,
                .n = strlen(text),
                .lua = look->highlight && c->type == CELL_CODE,
                .cursor = SIZE_MAX};
    int cols = v->cols - GUTTER, row, col;
    bool marker = (c->title && c->title[0]) || c->type != CELL_CODE || c->draft;
    int rows = c->type == CELL_CODE ? source_rows(&s, cols) : markdown_rows(text, cols);
    if (v->fold_source && rows > 1)
        rows = 1;
    grid_done(&v->source);
    if (!grid_new(rows + marker, v->cols, &v->source, NULL))
        return;
    Painter p = look->paint;
    p.grid = &v->source;
    Area a = {marker, GUTTER, rows, cols};
    if (marker)
        marker_line(v, &p, c);
    if (c->type == CELL_CODE)
        source_draw(&s, &p, a, 0, &row, &col);
    else
        draw_markdown(&p, a, text);
    if (v->fold_source)
        paint_right(&p, a, 0, cols, " ...", ROLE_DIM);
}

void cellview_update(CellView *v, const Cell *c, const CellLook *look, int cols)
{
    bool anew = v->cols != cols;
    v->cols = cols;
    if (anew || v->source_old)
        draw_source(v, c, look);
    if (anew || v->output_old)
        draw_output(v, c, look);
    v->source_old = v->output_old = false;
}

void cellview_done(CellView *v)
{
    grid_done(&v->source);
    grid_done(&v->output);
    mem_free(v->expect);
    *v = (CellView){0};
}

int cellview_rows(const CellView *v)
{
    return v->source.rows + v->output.rows;
}
