/* show.c -- a sheet is a growing array of texts; it becomes a table figure when it is
 * shown, so tables of commands look like tables of runs. */
#include "ui/show.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

enum { GAP = 2 };

bool show_figure(const Figure *f, const PrintStyle *style, Err *err)
{
    Grid grid = {0};
    Str t;
    if (!figure_draw(f, &style->draw, &grid, err))
        return false;
    str_init(&t);
    if (style->out.escapes || style->forced)
        grid_print(&grid, style->draw.level, &t);
    else
        grid_plain(&grid, &t);
    bool ok = str_ok(&t, err);
    if (ok)
        fwrite(t.s, 1, t.len, stdout);
    str_done(&t);
    grid_done(&grid);
    return ok;
}

void show_text(const char *text, const PrintStyle *style)
{
    Str t;
    str_init(&t);
    style_text(&style->out, text, strlen(text), true, &t);
    fwrite(t.s, 1, t.len, stdout);
    str_done(&t);
}

bool show_end(Err *err)
{
    errno = 0;
    if (fflush(stdout) == 0 && !ferror(stdout))
        return true;
    return errno == EPIPE ||
           err_set(err, ERR_IO, "cannot write to the standard output: %s",
                   strerror(errno));
}

/* --- sheets ----------------------------------------------------------------------- */

bool listing_column(Listing *s, const char *head, Err *err)
{
    char **more = mem_realloc(s->head, (s->cols + 1) * sizeof *more, err);
    if (!more)
        return false;
    s->head = more;
    s->head[s->cols] = mem_strdup(head, err);
    if (!s->head[s->cols])
        return false;
    s->cols++;
    return true;
}

bool listing_cell(Listing *s, const char *text, Err *err)
{
    if (s->rows == s->cap) {
        size_t cap = s->cap ? 2 * s->cap : 64;
        char **more = mem_realloc(s->cell, cap * sizeof *more, err);
        if (!more)
            return false;
        s->cell = more;
        s->cap = cap;
    }
    s->cell[s->rows] = mem_strdup(text, err);
    if (!s->cell[s->rows])
        return false;
    s->rows++;
    return true;
}

void listing_done(Listing *s)
{
    for (size_t i = 0; i < s->cols; i++)
        mem_free(s->head[i]);
    for (size_t i = 0; i < s->rows; i++)
        mem_free(s->cell[i]);
    mem_free(s->head);
    mem_free(s->cell);
    *s = (Listing){0};
}

static size_t row_count(const Listing *s)
{
    return s->cols ? s->rows / s->cols : 0;
}

static int column_width(const Listing *s, size_t col)
{
    int width = text_width(s->head[col]);
    for (size_t r = 0; r < row_count(s); r++) {
        int w = text_width(s->cell[r * s->cols + col]);
        width = w > width ? w : width;
    }
    return width;
}

static void keep_columns(Listing *s, size_t cols)
{
    size_t rows = row_count(s), at = 0;
    for (size_t i = 0; i < rows * s->cols; i++) {
        if (i % s->cols < cols)
            s->cell[at++] = s->cell[i];
        else
            mem_free(s->cell[i]);
    }
    for (size_t c = cols; c < s->cols; c++)
        mem_free(s->head[c]);
    s->rows = at;
    s->cols = cols;
}

size_t listing_fit(Listing *s, size_t least, int width)
{
    size_t cols = 0, all = s->cols;
    int used = -GAP;
    while (cols < all) {
        used += GAP + column_width(s, cols);
        if (used > width && cols >= least)
            break;
        cols++;
    }
    if (cols < all)
        keep_columns(s, cols);
    return all - cols;
}

static bool is_numeric(const Listing *s, size_t col)
{
    bool any = false;
    for (size_t r = 0; r < row_count(s); r++) {
        const char *t = s->cell[r * s->cols + col];
        char *end;
        if (!t[0] || strcmp(t, "-") == 0)
            continue;
        strtod(t, &end);
        if (end == t || (*end && *end != ' ' && *end != ':'))
            return false;
        any = true;
    }
    return any;
}

bool listing_show(const Listing *s, const char *title, const char *caption,
                  const PrintStyle *style, Err *err)
{
    Figure *f = figure_table((int)row_count(s), (int)s->cols, err);
    bool ok = f && (!title || figure_set_title(f, title, err)) &&
              (!caption || figure_set_caption(f, caption, err));
    for (size_t c = 0; ok && c < s->cols; c++)
        ok = figure_set_head(f, (int)c, s->head[c], is_numeric(s, c), err);
    for (size_t i = 0; ok && i < row_count(s) * s->cols; i++)
        ok =
            figure_set_cell(f, (int)(i / s->cols), (int)(i % s->cols), s->cell[i], err);
    ok = ok && show_figure(f, style, err);
    figure_free(f);
    return ok;
}

static void csv_field(const char *s, Str *out)
{
    if (!strpbrk(s, ",\"\r\n")) {
        str_add(out, s);
        return;
    }
    str_addc(out, '"');
    for (; *s; s++) {
        if (*s == '"')
            str_addc(out, '"');
        str_addc(out, *s);
    }
    str_addc(out, '"');
}

void listing_csv(const Listing *s, Str *out)
{
    for (size_t c = 0; c < s->cols; c++) {
        csv_field(s->head[c], out);
        str_add(out, c + 1 < s->cols ? "," : "\r\n");
    }
    for (size_t i = 0; i < row_count(s) * s->cols; i++) {
        csv_field(s->cell[i], out);
        str_add(out, (i + 1) % s->cols ? "," : "\r\n");
    }
}
