/* draw.c -- the frame of every figure: title, body, caption, one below the other. Rows
 * are added by doubling and cut at the end. */
#include "figure/draw.h"

#include <string.h>

#include "figure/clean.h"

enum { MIN_WIDTH = 20, FIRST_ROWS = 16 };

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

static bool draw_body(Canvas *c, const Figure *f, Err *err)
{
    switch (f->kind) {
    case FIG_IMAGES:
        return draw_images(c, f, -1, 0, err);
    case FIG_TABLE:
        return draw_table(c, f, err);
    case FIG_TEXT:
        break;
    }
    return canvas_text(c, f->text, 0, err);
}

static bool draw_all(Canvas *c, const Figure *f, Err *err)
{
    int gap = f->kind == FIG_TABLE; /* a blank line, or the caption looks like a row */
    if (f->title && !canvas_text(c, f->title, CELL_BOLD, err))
        return false;
    c->row += f->title ? gap : 0;
    if (!draw_body(c, f, err))
        return false;
    c->row += f->caption ? gap : 0;
    if (f->caption && !canvas_text(c, f->caption, 0, err))
        return false;
    return grid_resize(c->grid, c->row, err);
}

static bool start(Canvas *c, const DrawStyle *style, Grid *out, Err *err)
{
    *out = (Grid){0};
    *c = (Canvas){.grid = out, .style = *style, .width = style->width};
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
