/* draw.c -- the frame of every figure: title, body, caption, one below the other. Rows
 * are added by doubling and cut at the end. */
#include "figure/draw.h"

#include <string.h>

#include "figure/clean.h"
#include "figure/multiples.h"

enum { MIN_WIDTH = 20, FIRST_ROWS = 16, MOST_COLUMNS = 8 };

bool canvas_need(Canvas *c, int rows, Err *err)
{
    int have = c->grid->rows, want = have;
    while (want < c->row + rows)
        want *= 2;
    return want == have || grid_resize(c->grid, want, err);
}

void canvas_piece(Canvas *c, int row, int col, const char *text, size_t n, uint8_t attr)
{
    int at = 0;
    while (n > 0) {
        char one[8];
        Glyph g;
        size_t len = glyph_next(text, n, at, &g);
        memcpy(one, text, len);
        one[len] = '\0';
        if (*text != '\t') /* a tab is blank, and there is nothing under it */
            grid_text(c->grid, row, col + at, one, GRID_DEFAULT, GRID_DEFAULT, attr);
        at += g.width;
        text += len;
        n -= len;
    }
}

int canvas_cut(Canvas *c, int row, int col, const char *text, int room, int32_t fg,
               uint8_t attr)
{
    size_t left = strlen(text), n = 0;
    bool cut = clean_width(text) > room;
    int used = 0;
    while (n < left) {
        char one[8];
        Glyph g;
        size_t len = glyph_next(text + n, left - n, used, &g);
        if (used + g.width > room - cut)
            break;
        memcpy(one, text + n, len);
        one[len] = '\0';
        if (text[n] != '\t')
            grid_text(c->grid, row, col + used, one, fg, GRID_DEFAULT, attr);
        used += g.width;
        n += len;
    }
    if (cut && room > 0)
        canvas_put(c, row, col + used++, '~', fg);
    return used;
}

void canvas_put(Canvas *c, int row, int col, uint32_t rune, int32_t fg)
{
    GridCell *cell = grid_at(c->grid, row, col);
    if (cell) {
        cell->rune = rune;
        cell->fg = fg;
    }
}

bool canvas_text(Canvas *c, const char *text, uint8_t attr, Err *err)
{
    while (*text) {
        int used;
        size_t skip, n = clean_line(text, c->width, &used, &skip);
        if (!canvas_need(c, 1, err))
            return false;
        canvas_piece(c, c->row++, 0, text, n, attr);
        text += skip;
    }
    return true;
}

int canvas_used(const Canvas *c, int top)
{
    int most = 0;
    for (int i = top; i < c->row; i++)
        for (int j = most; j < c->width; j++) {
            const GridCell *cell = grid_at(c->grid, i, j);
            if (cell && (cell->rune != ' ' || cell->bg != GRID_DEFAULT))
                most = j + 1;
        }
    return most;
}

bool canvas_part(const Canvas *c, int width, Canvas *part, Grid *grid, Err *err)
{
    *part = (Canvas){.grid = grid, .style = c->style, .width = at_least(width, 1)};
    return grid_new(FIRST_ROWS, part->width, grid, err);
}

bool canvas_paste(Canvas *c, Canvas *part, int top, int col, bool drawn, Err *err)
{
    int end = top + part->row, below = end > c->row ? end - c->row : 0;
    bool ok = drawn && canvas_need(c, below, err);
    for (int i = 0; ok && i < part->row; i++)
        for (int j = 0; j < part->width; j++) {
            GridCell *to = grid_at(c->grid, top + i, col + j);
            if (to)
                *to = *grid_at(part->grid, i, j);
        }
    grid_done(part->grid);
    c->row = at_least(c->row, end);
    return ok;
}

/* A part beside what was drawn at row `top`, from column `at` on. */
static bool draw_beside(Canvas *c, const Figure *f, int top, int at, Err *err)
{
    Grid g;
    Canvas part;
    return canvas_part(c, c->width - at, &part, &g, err) &&
           canvas_paste(c, &part, top, at, canvas_figure(&part, f, err), err);
}

/* Parts in columns of equal width, each below the one of its column that ends first. */
static bool draw_columns(Canvas *c, const Figure *f, int n, Err *err)
{
    enum { GUTTER = 3 };
    int wide = (c->width - GUTTER * (n - 1)) / n, end[MOST_COLUMNS], last = c->row;
    for (int k = 0; k < n; k++)
        end[k] = c->row;
    for (int i = 0; i < f->n_parts; i++) {
        int to = 0;
        for (int k = 1; k < n; k++)
            to = end[k] < end[to] ? k : to;
        Canvas part;
        Grid g;
        c->row = last;
        if (!canvas_part(c, wide, &part, &g, err) ||
            !canvas_paste(c, &part, end[to], to * (wide + GUTTER),
                          canvas_figure(&part, f->parts[i], err), err))
            return false;
        end[to] += part.row + 1; /* blank line */
        last = at_least(last, c->row);
    }
    c->row = last;
    return true;
}

/* What the tiles of small multiples have in common. */
static bool draw_common(Canvas *c, const Figure *page, Err *err)
{
    const Figure *f = multiples_common(page);
    if (!multiples_told(f, f))
        return true;
    return f->kind == FIG_PLOT   ? draw_legend(c, f, err)
           : f->kind == FIG_HEAT ? draw_heat_scale(c, page, f, err)
                                 : draw_diagram_scale(c, page, f, err);
}

/* Rows of tiles that start level, with blank lines between. */
static bool draw_multiples(Canvas *c, const Figure *f, Err *err)
{
    enum { GUTTER = 3, TILE = 24 };
    int fit = at_least((c->width + GUTTER) / (TILE + GUTTER), 1);
    int n = at_most(at_most(fit, f->per_row > 0 ? f->per_row : fit), f->n_parts);
    int wide = (c->width - GUTTER * (n - 1)) / at_least(n, 1);
    for (int i = 0; i < f->n_parts; i += n) {
        int top = c->row;
        for (int k = 0; k < n && i + k < f->n_parts; k++) {
            Canvas part;
            Grid g;
            if (!canvas_part(c, wide, &part, &g, err))
                return false;
            part.tile = true;
            part.common = multiples_common(f);
            if (!canvas_paste(c, &part, top, k * (wide + GUTTER),
                              canvas_figure(&part, f->parts[i + k], err), err))
                return false;
        }
        if (!canvas_need(c, 1, err))
            return false;
        c->row++;
    }
    int end = c->row;
    if (f->n_parts > 0 && !draw_common(c, f, err))
        return false;
    c->row -= c->row == end && end > 0; /* no blank line at the end */
    return true;
}

/* Parts stand beside each other where the page is wide enough. */
static bool draw_page(Canvas *c, const Figure *f, Err *err)
{
    enum { ROOM = 36, GUTTER = 3, COLUMN = 56 };
    int columns = at_most(at_most(f->per_row, c->width / COLUMN), MOST_COLUMNS);
    if (f->multiples)
        return draw_multiples(c, f, err);
    if (columns > 1 && f->n_parts > 1)
        return draw_columns(c, f, columns, err);
    for (int i = 0; i < f->n_parts; i++) {
        int top = c->row;
        if (i > 0 && !canvas_need(c, 1, err))
            return false;
        c->row = top += i > 0; /* blank line */
        if (!canvas_figure(c, f->parts[i], err))
            return false;
        int used = canvas_used(c, top);
        if (i + 1 < f->n_parts && f->parts[i + 1]->kind == FIG_BARS &&
            used + GUTTER + ROOM <= c->width &&
            !draw_beside(c, f->parts[++i], top, used + GUTTER, err))
            return false;
    }
    return true;
}

static bool draw_body(Canvas *c, const Figure *f, Err *err)
{
    switch (f->kind) {
    case FIG_IMAGES: return draw_images(c, f, -1, 0, err);
    case FIG_TABLE: return draw_table(c, f, err);
    case FIG_TEXT: return canvas_text(c, f->text, 0, err);
    case FIG_PLOT: return draw_plot(c, f, err);
    case FIG_BARS: return draw_bars(c, f, err);
    case FIG_HEAT: return draw_heat(c, f, err);
    case FIG_BIPARTITE: return draw_bipartite(c, f, err);
    case FIG_DIAGRAM: return draw_diagram(c, f, err);
    case FIG_BETWEEN: return draw_between(c, f, err);
    case FIG_COMPONENTS: return draw_components(c, f, err);
    case FIG_PAGE: break;
    }
    return draw_page(c, f, err);
}

bool canvas_figure(Canvas *c, const Figure *f, Err *err)
{
    /* a blank line, or a table's caption looks like a row */
    int gap = f->kind == FIG_TABLE;
    if (f->title && !canvas_text(c, f->title, CELL_BOLD, err))
        return false;
    c->row += f->title ? gap : 0;
    if (!draw_body(c, f, err))
        return false;
    c->row += f->caption ? gap : 0;
    return !f->caption || canvas_text(c, f->caption, 0, err);
}

static bool draw_all(Canvas *c, const Figure *f, Err *err)
{
    return canvas_figure(c, f, err) && grid_resize(c->grid, c->row, err);
}

static bool start(Canvas *c, const DrawStyle *style, Grid *out, Err *err)
{
    *out = (Grid){0};
    *c = (Canvas){.grid = out,
                  .style = *style,
                  .width = style->width,
                  .side = style->side};
    if (style->width < 1)
        return err_set(err, ERR_SHAPE,
                       "a figure cannot be drawn %d columns wide; give 20 or more",
                       style->width);
    if (c->width < MIN_WIDTH)
        c->width = MIN_WIDTH;
    return grid_new(FIRST_ROWS, style->width, out, err);
}

static bool finish(Canvas *c, bool drawn)
{
    if (!drawn)
        grid_done(c->grid);
    else if (!c->style.utf8)
        grid_ascii(c->grid);
    return drawn;
}

bool figure_draw(const Figure *f, const DrawStyle *style, Grid *out, Err *err)
{
    Canvas c;
    return start(&c, style, out, err) && finish(&c, draw_all(&c, f, err));
}

bool figure_zoom(const Figure *f, int image, int max_rows, const DrawStyle *style,
                 Grid *out, Err *err)
{
    Canvas c;
    *out = (Grid){0};
    if (f->kind != FIG_IMAGES || image < 0 || image >= f->n)
        return err_set(err, ERR_SHAPE, "image %d cannot be enlarged: the figure has %d",
                       image, f->n);
    return start(&c, style, out, err) &&
           finish(&c, draw_images(&c, f, image, max_rows, err) &&
                          grid_resize(out, c.row, err));
}

bool figure_draw_component(const Figure *f, int r, int rows, const DrawStyle *style,
                           Grid *out, Err *err)
{
    Canvas c;
    *out = (Grid){0};
    Figure *page = figure_one_component(f, r, err);
    if (!page)
        return false;
    bool ok = start(&c, style, out, err);
    ok = ok && finish(&c, draw_component(&c, page, rows, err) &&
                              grid_resize(out, c.row, err));
    figure_free(page);
    return ok;
}
