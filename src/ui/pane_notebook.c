/* pane_notebook.c -- cells below each other. The place is kept as a cell and lines into
 * it, so a cell that grows above does not move what is being read. Only cells in sight
 * are drawn; the views of others are kept as they were. */
#include "ui/ui.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "lab/jval.h"
#include "ui/cellview.h"
#include "ui/find.h"
#include "ui/source.h"

enum { GAP = 1, MAX_VIEWS = 4096 };

typedef struct Notebook {
    CellView *view;
    int n, cap;
    int top_id, skip; /* the first line shown: this cell, lines into it */
    bool follow;      /* keep the selected cell in sight */
    int rows, cols;   /* of the area */
    char *match;
} Notebook;

static Notebook *state_of(const Ui *u)
{
    return u->pane[PANE_NOTEBOOK];
}

static void *make(Ui *u, Err *err)
{
    (void)u;
    Notebook *b = mem_zalloc(sizeof *b, err);
    if (b)
        b->follow = true;
    return b;
}

static void free_views(Notebook *b)
{
    for (int i = 0; i < b->n; i++)
        cellview_done(&b->view[i]);
    b->n = 0;
}

static void destroy(void *state)
{
    Notebook *b = state;
    if (!b)
        return;
    free_views(b);
    mem_free(b->view);
    mem_free(b->match);
    mem_free(b);
}

static CellView *find_view(const Notebook *b, int id)
{
    for (int i = 0; i < b->n; i++) {
        if (b->view[i].id == id)
            return &b->view[i];
    }
    return NULL;
}

/* NULL: out of memory. Moves the others: hold on to one view at a time. */
static CellView *view_of(Notebook *b, int id)
{
    CellView *v = find_view(b, id);
    if (v)
        return v;
    if (b->n >= MAX_VIEWS)
        free_views(b);
    if (b->n == b->cap) {
        int cap = b->cap ? 2 * b->cap : 32;
        v = mem_realloc(b->view, (size_t)cap * sizeof *v, NULL);
        if (!v)
            return NULL;
        b->view = v;
        b->cap = cap;
    }
    v = &b->view[b->n++];
    *v = (CellView){.id = id};
    return v;
}

/* --- heights ---------------------------------------------------------------------- */

static void edited_source(const Ui *u, const Cell *c, Source *s)
{
    *s = (Source){.s = u->edit.s,
                  .n = u->edit.len,
                  .cursor = u->edit.cursor,
                  .lua = u->highlight && c->type == CELL_CODE};
    edit_region(&u->edit, &s->from, &s->to);
    if (!u->edit.marking && s->lua)
        (void)!edit_match(&u->edit, s->mark[0], s->mark[1]);
}

static bool being_edited(const Ui *u, const Cell *c)
{
    return u->editing && u->edit_cell == c->id;
}

static CellView *updated(Ui *u, const Cell *c)
{
    Notebook *b = state_of(u);
    CellLook look = {.paint = u->paint,
                     .draw = u->draw,
                     .reader = u->reader,
                     .highlight = u->highlight,
                     .still = u->still};
    CellView *v = view_of(b, c->id);
    if (v)
        cellview_update(v, c, &look, b->cols);
    return v;
}

static int source_height(Ui *u, const Cell *c, const CellView *v)
{
    if (!being_edited(u, c))
        return v->source.rows;
    Source s;
    edited_source(u, c, &s);
    return source_rows(&s, state_of(u)->cols - GUTTER);
}

static int cell_height(Ui *u, int index)
{
    const Cell *c = u->doc->cell[index];
    const CellView *v = updated(u, c);
    return v ? source_height(u, c, v) + v->output.rows + GAP : GAP;
}

static int top_index(const Ui *u)
{
    const Notebook *b = state_of(u);
    int i = document_index(u->doc, b->top_id);
    return i < 0 ? 0 : i;
}

/* Puts the line `above` lines above the cell's first line at the top of the area. */
static void put_top(Ui *u, int index, int above)
{
    Notebook *b = state_of(u);
    while (above > 0 && index > 0)
        above -= cell_height(u, --index);
    b->top_id = u->doc->cell[index]->id;
    b->skip = above < 0 ? -above : 0;
}

/* Lines of the selected cell that have to be seen: [from, to). */
static void wanted_lines(Ui *u, int index, int *from, int *to)
{
    const Cell *c = u->doc->cell[index];
    Notebook *b = state_of(u);
    *from = 0;
    *to = cell_height(u, index);
    if (being_edited(u, c)) {
        Source s;
        edited_source(u, c, &s);
        int row = source_cursor_row(&s, b->cols - GUTTER);
        *from = row > 0 ? row - 1 : 0;
        *to = row + 2 < *to ? row + 2 : *to;
        if (u->comp.open && *to < row + 7)
            *to = row + 7;
    } else if (*to > b->rows) {
        *to = b->rows;
    }
}

static void keep_in_sight(Ui *u, int index)
{
    Notebook *b = state_of(u);
    int top = top_index(u), from, to, y = -b->skip;
    wanted_lines(u, index, &from, &to);
    if (index < top) {
        put_top(u, index, 0);
        b->skip = from;
        return;
    }
    for (int i = top; i < index && y < b->rows; i++)
        y += cell_height(u, i);
    if (y + from < 0) {
        b->top_id = u->doc->cell[index]->id;
        b->skip = from;
    } else if (y + to > b->rows) {
        put_top(u, index, b->rows - to);
        if (to > b->rows) {
            b->top_id = u->doc->cell[index]->id;
            b->skip = to - b->rows;
        }
    }
}

/* --- drawing ---------------------------------------------------------------------- */

static void gutter_text(const Cell *c, char dst[32])
{
    char number[16] = " ";
    char mark = ' ';
    if (c->state == CELL_RUNNING)
        mark = '*';
    else if (c->state == CELL_QUEUED)
        mark = '+';
    else if (c->state == CELL_FAILED || c->state == CELL_DIED)
        mark = 'x';
    else if (c->exec > 0 && (c->stale || c->edited))
        mark = '!';
    if (c->exec > 0 || c->state == CELL_RUNNING)
        snprintf(number, sizeof number, "%d",
                 c->id); /* as errors and the log have it */
    if (c->type == CELL_CODE)
        snprintf(dst, 32, "[%s]%c", number, mark);
    else
        dst[0] = '\0';
}

static void draw_gutter(Ui *u, Area a, int y, const Cell *c, int height)
{
    char text[32];
    bool selected = c->id == u->sel;
    Role role = c->state == CELL_RUNNING                           ? ROLE_GOOD
                : c->state == CELL_FAILED || c->state == CELL_DIED ? ROLE_ERROR
                                                                   : ROLE_DIM;
    gutter_text(c, text);
    paint_str(&u->paint, a, y, 1, text, role);
    if (!selected)
        return;
    paint_str(&u->paint, a, y, 0, ">", ROLE_SELECT);
    for (int r = 1; r < height - GAP; r++)
        paint_str(&u->paint, a, y + r, 0, u->paint.utf8 ? "\xE2\x94\x82" : "|",
                  ROLE_SELECT);
}

static void draw_editor(Ui *u, Area a, int y, const Cell *c, int rows)
{
    Source s;
    int row, col, skip = y < 0 ? -y : 0;
    Area in = {a.row + (y > 0 ? y : 0), a.col + GUTTER, 0, a.cols - GUTTER};
    in.rows = a.row + a.rows - in.row;
    if (in.rows > rows - skip)
        in.rows = rows - skip;
    if (in.rows <= 0)
        return;
    edited_source(u, c, &s);
    source_draw(&s, &u->paint, in, skip, &row, &col);
    if (row >= 0) {
        u->cursor_row = in.row + row;
        u->cursor_col = in.col + col;
    }
}

static void mark_matches(Ui *u, Area a, int y, const Cell *c, const CellView *v)
{
    const Notebook *b = state_of(u);
    const char *text = cellview_text(v, c);
    if (b->match && text_find(text, strlen(text), b->match) < strlen(text))
        paint_str(&u->paint, a, y, GUTTER - 1, "/", ROLE_MATCH);
}

/* One cell at line y of the area (may be above it). Returns its height. */
static int draw_cell(Ui *u, Area a, int y, const Cell *c)
{
    const CellView *v = updated(u, c);
    if (!v)
        return GAP;
    int rows = source_height(u, c, v);
    int height = rows + v->output.rows + GAP;
    draw_gutter(u, a, y, c, height);
    for (int r = 0; r < v->output.rows; r++) {
        if (y + rows + r >= 0 && y + rows + r < a.rows) {
            Area line = {a.row, a.col + 2, a.rows, a.cols - 2};
            Grid part = {1, v->output.cols - 2,
                         v->output.cell + (size_t)r * (size_t)v->output.cols + 2};
            paint_grid(&u->paint, line, y + rows + r, 0, &part, 0, 1);
        }
    }
    if (being_edited(u, c)) {
        draw_editor(u, a, y, c, rows);
    } else {
        Area text = {a.row, a.col + GUTTER, a.rows, a.cols - GUTTER};
        for (int r = 0; r < v->source.rows; r++) {
            Grid part = {1, v->source.cols - GUTTER,
                         v->source.cell + (size_t)r * (size_t)v->source.cols + GUTTER};
            if (y + r >= 0)
                paint_grid(&u->paint, text, y + r, 0, &part, 0, 1);
        }
        mark_matches(u, a, y, c, v);
    }
    return height;
}

static void draw_empty(Ui *u, Area a)
{
    static const char *const lines[] = {
        "This notebook has no cells yet.",
        "",
        "  b      makes a cell and starts to edit it; Esc stops, r runs it",
        "  ?      lists all keys; typing narrows the list, Enter runs the choice",
        "  :tour  opens the five-minute tour",
    };
    for (size_t i = 0; i < ARRAY_LEN(lines); i++)
        paint_cut(&u->paint, a, 1 + (int)i, 2, lines[i], a.cols - 3, ROLE_TEXT);
}

static void draw(Ui *u, Area a, bool focus)
{
    Notebook *b = state_of(u);
    (void)focus;
    b->rows = a.rows;
    b->cols = a.cols;
    if (u->doc->n == 0) {
        draw_empty(u, a);
        return;
    }
    int sel = document_index(u->doc, u->sel);
    if (b->follow && sel >= 0)
        keep_in_sight(u, sel);
    int at = top_index(u), y = -b->skip;
    if (b->skip >= cell_height(u, at))
        y = b->skip = 0;
    for (; at < u->doc->n && y < a.rows; at++)
        y += draw_cell(u, a, y, u->doc->cell[at]);
}

static void title(Ui *u, Str *out)
{
    int at = document_index(u->doc, u->sel);
    str_addf(out, "cell %d/%d", at + 1, u->doc->n);
}

/* --- moving ----------------------------------------------------------------------- */

static void scroll(Ui *u, int lines)
{
    Notebook *b = state_of(u);
    if (u->doc->n == 0)
        return;
    b->follow = false;
    int at = top_index(u);
    if (lines < 0) {
        if (b->skip >= -(int64_t)lines)
            b->skip += lines;
        else
            put_top(u, at, lines > -INT_MAX ? -lines - b->skip : INT_MAX);
    } else {
        int64_t skip = (int64_t)b->skip + lines;
        while (at + 1 < u->doc->n && skip >= cell_height(u, at))
            skip -= cell_height(u, at++);
        int most = cell_height(u, at) - 1;
        b->top_id = u->doc->cell[at]->id;
        b->skip = skip > most ? most : (int)skip;
    }
    /* the selection comes along, so that the next key acts on what is seen */
    int from = top_index(u), last = from, y = -b->skip;
    for (int i = from; i < u->doc->n && y < b->rows; i++) {
        last = i;
        y += cell_height(u, i);
    }
    int sel = document_index(u->doc, u->sel);
    int first = b->skip > 0 && last > from ? from + 1 : from;
    if (sel < first || sel > last) {
        u->sel = u->doc->cell[sel < first ? first : last]->id;
        u->sel_index = document_index(u->doc, u->sel);
    }
}

void ui_select(Ui *u, int id)
{
    Notebook *b = state_of(u);
    int at = document_index(u->doc, id);
    b->follow = true;
    u->sel = at >= 0 ? id : 0;
    if (at >= 0)
        u->sel_index = at;
    u->dirty = true;
}

static void move(Ui *u, int steps)
{
    int at = document_index(u->doc, u->sel);
    if (u->doc->n == 0)
        return;
    int64_t to = (int64_t)(at < 0 ? 0 : at) + steps;
    to = to < 0 ? 0 : to >= u->doc->n ? u->doc->n - 1 : to;
    ui_select(u, u->doc->cell[to]->id);
}

/* --- search and copy -------------------------------------------------------------- */

static bool find(Ui *u, const char *text, int step)
{
    Notebook *b = state_of(u);
    int n = u->doc->n, at = document_index(u->doc, u->sel);
    char *copy = mem_strdup(text, NULL);
    mem_free(b->match);
    b->match = copy;
    for (int k = 1; k <= n; k++) {
        int i = ((at + k * step) % n + n) % n;
        const char *s = u->doc->cell[i]->text;
        if (s && text_find(s, strlen(s), text) < strlen(s)) {
            ui_select(u, u->doc->cell[i]->id);
            return true;
        }
    }
    return false;
}

static bool copy(Ui *u, Str *out)
{
    const Cell *c = ui_cell(u);
    if (!c)
        return false;
    str_add(out, c->text ? c->text : "");
    return true;
}

/* --- changes ---------------------------------------------------------------------- */

void notebook_changed(Ui *u, int id)
{
    Notebook *b = state_of(u);
    for (int i = 0; i < b->n; i++) {
        if (id == 0 || b->view[i].id == id)
            b->view[i].source_old = b->view[i].output_old = true;
    }
    u->dirty = true;
}

void notebook_expect(Ui *u, int id, const char *text)
{
    CellView *v = view_of(state_of(u), id);
    if (!v)
        return;
    char *copy_of = text ? mem_strdup(text, NULL) : NULL;
    mem_free(v->expect);
    v->expect = copy_of;
    v->source_old = true;
}

void notebook_fold(Ui *u, int id, int source, int output)
{
    Notebook *b = state_of(u);
    for (int i = 0; i < u->doc->n; i++) {
        const Cell *c = u->doc->cell[i];
        CellView *v = id == 0 || c->id == id ? view_of(b, c->id) : NULL;
        if (!v)
            continue;
        if (source >= 0)
            v->fold_source = source == 2 ? !v->fold_source : source == 1;
        if (output >= 0) {
            Fold want = output == 1 ? FOLD_OUTPUT : output == 2 ? FOLD_FULL : FOLD_NONE;
            v->fold = v->fold == want ? FOLD_NONE : want;
        }
        v->source_old = v->output_old = true;
    }
    u->dirty = true;
}

static void event(Ui *u, const json_t *ev)
{
    Notebook *b = state_of(u);
    const char *kind = jval_get(ev, "ev", "");
    int id = (int)jval_get_int(ev, "cell", 0);
    CellView *v = find_view(b, id);
    if (v && strcmp(kind, "text") == 0) {
        mem_free(v->expect);
        v->expect = NULL;
    }
    if (v) {
        v->output_old = true;
        v->source_old = v->source_old || strcmp(kind, "text") == 0 ||
                        strcmp(kind, "draft") == 0 || strcmp(kind, "type") == 0;
    } else if (id == 0) {
        /* metric, progress and figure belong to the cell that runs */
        v = find_view(b, u->doc->running);
        if (v)
            v->output_old = true;
    }
    if (strcmp(kind, "doc") == 0 || strcmp(kind, "kernel") == 0)
        notebook_changed(u, 0);
}

const PaneRow pane_notebook = {
    .name = "notebook",
    .tab = "nb",
    .make = make,
    .free = destroy,
    .event = event,
    .draw = draw,
    .title = title,
    .scroll = scroll,
    .select = move,
    .find = find,
    .copy = copy,
};
