/* draw_table.c -- tables as cells. Numeric columns are aligned on the decimal point:
 * each keeps the widest part before and after it. When the table is too wide, long
 * texts are wrapped inside their cells first; when that does not do, the columns go
 * into blocks below each other, each with the first column in front because it says
 * which row it is. */
#include <string.h>

#include "base/mem.h"
#include "figure/clean.h"
#include "figure/draw.h"

enum { SEP = 2, NARROW_TEXT = 12 };

typedef struct Column {
    int width;
    int before, after; /* columns before the decimal point and from it on */
    bool aligned;      /* numeric and wide enough for before + after */
} Column;

typedef struct Table {
    const Figure *f;
    Column *col;
    int width;
} Table;

static int larger(int a, int b)
{
    return a > b ? a : b;
}

static int smaller(int a, int b)
{
    return a < b ? a : b;
}

static const char *text_at(const Figure *f, int row, int col)
{
    if (row < 0)
        return f->head[col];
    return f->cell[(size_t)row * (size_t)f->n_cols + (size_t)col];
}

/* Columns up to where a decimal point is or would be: behind the first run of digits. A
 * text without digits ("-", "inf") ends there as a whole. */
static int point_of(const char *text)
{
    size_t n = strcspn(text, "0123456789"), left = strlen(text);
    int cols = 0;
    n += strspn(text + n, "0123456789,");
    for (size_t at = 0; at < n;) {
        Glyph g;
        at += glyph_next(text + at, left - at, cols, &g);
        cols += g.width;
    }
    return cols;
}

static void measure(Table *t)
{
    const Figure *f = t->f;
    for (int j = 0; j < f->n_cols; j++) {
        Column *c = &t->col[j];
        *c = (Column){.width = larger(clean_extent(f->head[j]), 1)};
        for (int i = 0; i < f->n_rows; i++) {
            const char *s = text_at(f, i, j);
            int w = clean_extent(s), point = smaller(point_of(s), w);
            c->width = larger(c->width, w);
            c->before = larger(c->before, point);
            c->after = larger(c->after, w - point);
        }
        c->aligned = f->numeric[j];
        if (c->aligned)
            c->width = larger(c->width, c->before + c->after);
    }
}

static int total_width(const Table *t, int text_cap)
{
    int sum = -SEP;
    for (int j = 0; j < t->f->n_cols; j++) {
        int w = t->col[j].width;
        sum += SEP + (t->f->numeric[j] ? w : smaller(w, text_cap));
        if (sum > t->width)
            return sum;
    }
    return sum;
}

static void cap_column(Column *c, int cap)
{
    c->width = smaller(c->width, cap);
    c->aligned = c->aligned && c->before + c->after <= c->width;
}

/* The first column's share where the table goes into blocks: up to half, as long as
 * every number still fits beside it, and a third in any case. */
static int key_width(const Table *t)
{
    int widest = 0;
    if (t->f->n_cols == 1)
        return t->width;
    for (int j = 1; j < t->f->n_cols; j++)
        if (t->f->numeric[j])
            widest = larger(widest, t->col[j].width);
    int beside = smaller(t->width / 2, t->width - SEP - widest);
    return larger(t->width / 3, beside);
}

static void fit(Table *t)
{
    const Figure *f = t->f;
    int cap = t->width;
    while (cap > NARROW_TEXT && total_width(t, cap) > t->width)
        cap--;
    bool whole = total_width(t, cap) <= t->width;
    int key = key_width(t);
    for (int j = 0; j < f->n_cols; j++) {
        if (!whole)
            cap_column(&t->col[j], j == 0 ? key : t->width - SEP - t->col[0].width);
        else if (!f->numeric[j])
            cap_column(&t->col[j], cap);
    }
}

static int count_lines(const char *s, int width)
{
    int lines = 0, used;
    size_t skip;
    for (; *s; s += skip) {
        clean_line(s, width, &used, &skip);
        lines++;
    }
    return lines;
}

static void draw_cell(const Table *t, Canvas *c, int row, int at, int j, const char *s,
                      uint8_t attr)
{
    const Column *k = &t->col[j];
    bool right = t->f->numeric[j];
    while (*s) {
        int used, shift = 0;
        size_t skip, n = clean_line(s, k->width, &used, &skip);
        if (right && k->aligned && n == strlen(s) && !(attr & CELL_BOLD))
            shift = k->width - k->after - point_of(s);
        else if (right)
            shift = k->width - used;
        canvas_piece(c, row++, at + larger(shift, 0), s, n, attr);
        s += skip;
    }
}

/* Columns of a block: `first`..`end`-1, and column 0 in front of every later block. */
typedef struct Block {
    int first, end;
} Block;

static int block_next(Block b, int j)
{
    return j == 0 && b.first > 0 ? b.first : j + 1;
}

static bool draw_line(const Table *t, Canvas *c, Block b, int i, Err *err)
{
    int height = i < 0 ? 0 : 1, at = 0;
    for (int j = 0; j < b.end; j = block_next(b, j))
        height = larger(height, count_lines(text_at(t->f, i, j), t->col[j].width));
    if (!canvas_need(c, height, err))
        return false;
    for (int j = 0; j < b.end; j = block_next(b, j)) {
        const char *s = text_at(t->f, i, j);
        int down = i < 0 ? height - count_lines(s, t->col[j].width) : 0;
        draw_cell(t, c, c->row + down, at, j, s, i < 0 ? CELL_BOLD : 0);
        at += t->col[j].width + SEP;
    }
    c->row += height;
    return true;
}

static bool draw_rule(const Table *t, Canvas *c, Block b, Err *err)
{
    bool fine = c->style.utf8 && c->style.level >= LEVEL_256;
    int at = 0;
    if (!canvas_need(c, 1, err))
        return false;
    for (int j = 0; j < b.end; j = block_next(b, j)) {
        for (int k = 0; k < t->col[j].width; k++) {
            GridCell *cell = grid_at(c->grid, c->row, at + k);
            if (cell)
                cell->rune = fine ? 0x2500 : '-';
        }
        at += t->col[j].width + SEP;
    }
    c->row++;
    return true;
}

static bool draw_block(const Table *t, Canvas *c, Block b, Err *err)
{
    bool headed = false;
    for (int j = 0; j < b.end; j = block_next(b, j))
        headed = headed || *t->f->head[j];
    if (headed && (!draw_line(t, c, b, -1, err) || !draw_rule(t, c, b, err)))
        return false;
    for (int i = 0; i < t->f->n_rows; i++)
        if (!draw_line(t, c, b, i, err))
            return false;
    return true;
}

bool draw_table(Canvas *c, const Figure *f, Err *err)
{
    Table t = {.f = f, .width = c->width};
    t.col = mem_array((size_t)f->n_cols, sizeof *t.col, err);
    if (!t.col)
        return false;
    measure(&t);
    fit(&t);
    bool ok = true;
    for (Block b = {0, 0}; ok && b.end < f->n_cols; b.first = b.end) {
        int at = b.first > 0 ? t.col[0].width + SEP : 0;
        while (b.end < f->n_cols &&
               (b.end == b.first || at + t.col[b.end].width <= t.width))
            at += t.col[b.end++].width + SEP;
        if (b.first > 0) { /* a blank line between blocks */
            ok = canvas_need(c, 1, err);
            c->row++;
        }
        ok = ok && draw_block(&t, c, b, err);
    }
    mem_free(t.col);
    return ok;
}
