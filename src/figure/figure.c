/* figure.c -- making, filling and freeing figures. Texts are copied; absent texts in
 * tables share one empty string that is never freed. */
#include "figure/figure.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"

static char nothing[1]; /* every "" of a table */

static char **texts_new(size_t n, Err *err)
{
    char **t = mem_array(n, sizeof *t, err);
    for (size_t i = 0; t && i < n; i++)
        t[i] = nothing;
    return t;
}

static void texts_free(char **t, size_t n)
{
    for (size_t i = 0; t && i < n; i++)
        if (t[i] != nothing)
            mem_free(t[i]);
    mem_free(t);
}

static bool set_text(char **slot, const char *text, Err *err)
{
    char *copy = text && *text ? mem_strdup(text, err) : nothing;
    if (!copy)
        return false;
    if (*slot != nothing)
        mem_free(*slot);
    *slot = copy;
    return true;
}

/* Title and caption: NULL and "" both mean none. */
static bool set_line(char **slot, const char *text, Err *err)
{
    char *copy = text && *text ? mem_strdup(text, err) : NULL;
    if (text && *text && !copy)
        return false;
    mem_free(*slot);
    *slot = copy;
    return true;
}

static const char *const kind_names[FIG_KINDS] = {
    "images",    "table",   "text", "plot",       "bars",    "heat",
    "bipartite", "between", "page", "components", "diagram",
};

const char *figure_kind_name(FigKind kind)
{
    return kind_names[kind];
}

size_t figure_plane(const Figure *f)
{
    return (f->rgb ? 3u : 1u) * (size_t)f->h * (size_t)f->w;
}

static Figure *images_of(int n, int h, int w, bool rgb, const float *pixels,
                         bool is_signed, Err *err)
{
    const int64_t most = (int64_t)1 << 40;
    if (n < 1 || h < 1 || w < 1 || (int64_t)h * w > most / n) {
        err_set(err, ERR_SHAPE,
                "a page of %d images of %d x %d: needs one image of one pixel, and no "
                "more than 2^40 pixels",
                n, h, w);
        return NULL;
    }
    Figure *f = mem_zalloc(sizeof *f, err);
    if (!f)
        return NULL;
    *f = (Figure){.kind = FIG_IMAGES, .n = n, .h = h, .w = w, .rgb = rgb};
    f->is_signed = is_signed;
    size_t total = (size_t)n * figure_plane(f);
    f->pixels = mem_array(total, sizeof *f->pixels, err);
    if (!f->pixels) {
        figure_free(f);
        return NULL;
    }
    memcpy(f->pixels, pixels, total * sizeof *pixels);
    return f;
}

Figure *figure_images(int n, int h, int w, const float *pixels, bool is_signed,
                      Err *err)
{
    return images_of(n, h, w, false, pixels, is_signed, err);
}

Figure *figure_colours(int n, int h, int w, const float *pixels, bool is_signed,
                       Err *err)
{
    return images_of(n, h, w, true, pixels, is_signed, err);
}

Figure *figure_images_like(const Figure *f, int n, const float *pixels, Err *err)
{
    Figure *to = images_of(n, f->h, f->w, f->rgb, pixels, f->is_signed, err);
    if (to) {
        to->scale = f->scale;
        to->tone = f->tone;
    }
    return to;
}

Figure *figure_table(int n_rows, int n_cols, Err *err)
{
    if (n_rows < 0 || n_cols < 1) {
        err_set(err, ERR_SHAPE, "a table of %d rows and %d columns: needs one column",
                n_rows, n_cols);
        return NULL;
    }
    Figure *f = mem_zalloc(sizeof *f, err);
    if (!f)
        return NULL;
    *f = (Figure){.kind = FIG_TABLE, .n_rows = n_rows, .n_cols = n_cols};
    size_t cols = (size_t)n_cols;
    if (!(f->head = texts_new(cols, err)) ||
        !(f->cell = texts_new((size_t)n_rows * cols, err)) ||
        !(f->numeric = mem_zalloc(cols * sizeof *f->numeric, err))) {
        figure_free(f);
        return NULL;
    }
    return f;
}

Figure *figure_text(const char *text, Err *err)
{
    Figure *f = mem_zalloc(sizeof *f, err);
    if (!f)
        return NULL;
    f->kind = FIG_TEXT;
    f->text = mem_strdup(text, err);
    if (!f->text) {
        figure_free(f);
        return NULL;
    }
    return f;
}

static void series_done(Series *s)
{
    mem_free(s->name);
    mem_free(s->x);
    mem_free(s->y);
    mem_free(s->lo);
    mem_free(s->hi);
    texts_free(s->label, (size_t)s->n);
}

void figure_free(Figure *f)
{
    if (!f)
        return;
    for (int i = 0; i < f->n_series; i++)
        series_done(&f->series[i]);
    for (int i = 0; i < f->n_between; i++)
        mem_free(f->between[i].name);
    for (int i = 0; i < f->n_parts; i++)
        figure_free(f->parts[i]);
    mem_free(f->series);
    mem_free(f->between);
    mem_free(f->parts);
    mem_free(f->edges);
    mem_free(f->stage);
    mem_free(f->x.label);
    mem_free(f->y.label);
    texts_free(f->left, (size_t)f->n_left);
    texts_free(f->right, (size_t)f->n_right);
    mem_free(f->title);
    mem_free(f->caption);
    mem_free(f->pixels);
    texts_free(f->labels, (size_t)f->n);
    texts_free(f->head, (size_t)f->n_cols);
    texts_free(f->cell, (size_t)f->n_rows * (size_t)f->n_cols);
    mem_free(f->numeric);
    mem_free(f->text);
    mem_free(f);
}

bool figure_set_title(Figure *f, const char *text, Err *err)
{
    return set_line(&f->title, text, err);
}

bool figure_set_caption(Figure *f, const char *text, Err *err)
{
    return set_line(&f->caption, text, err);
}

bool figure_set_label(Figure *f, int image, const char *text, Err *err)
{
    if (f->kind != FIG_IMAGES || image < 0 || image >= f->n)
        return err_set(err, ERR_SHAPE, "a label for image %d: the figure has %d images",
                       image, f->n);
    if (!f->labels && !(f->labels = texts_new((size_t)f->n, err)))
        return false;
    return set_text(&f->labels[image], text, err);
}

bool figure_set_head(Figure *f, int col, const char *text, bool numeric, Err *err)
{
    if (f->kind != FIG_TABLE || col < 0 || col >= f->n_cols)
        return err_set(err, ERR_SHAPE,
                       "a heading for column %d: the table has %d columns", col,
                       f->n_cols);
    if (!set_text(&f->head[col], text, err))
        return false;
    f->numeric[col] = numeric;
    return true;
}

bool figure_set_cell(Figure *f, int row, int col, const char *text, Err *err)
{
    if (f->kind != FIG_TABLE || row < 0 || row >= f->n_rows || col < 0 ||
        col >= f->n_cols)
        return err_set(err, ERR_SHAPE,
                       "a text for row %d, column %d: the table has %d x %d", row, col,
                       f->n_rows, f->n_cols);
    return set_text(&f->cell[(size_t)row * (size_t)f->n_cols + (size_t)col], text, err);
}

static bool set_name(char **names, int n, int i, const char *text, const char *what,
                     Err *err)
{
    if (i < 0 || i >= n)
        return err_set(err, ERR_SHAPE, "a name for %s %d: the figure has %d", what, i,
                       n);
    return set_text(&names[i], text, err);
}

bool figure_set_left(Figure *f, int i, const char *text, Err *err)
{
    return set_name(f->left, f->n_left, i, text, "row, bar or left node", err);
}

bool figure_set_right(Figure *f, int i, const char *text, Err *err)
{
    return set_name(f->right, f->n_right, i, text, "column or right node", err);
}

bool figure_set_axis(Figure *f, bool is_y, const char *label, bool log, Err *err)
{
    FigAxis *a = is_y ? &f->y : &f->x;
    if (f->kind != FIG_PLOT && !(f->kind == FIG_BARS && is_y))
        return err_set(err, ERR_SHAPE, "an axis for a figure of kind %s: only plots "
                                       "have two, and bars have y",
                       kind_names[f->kind]);
    a->log = log;
    return set_line(&a->label, label, err);
}

/* "1.5e-05" -> "1.5e-5" */
static void shorten_exponent(char *s)
{
    char *e = strchr(s, 'e');
    if (!e)
        return;
    char *to = e + 1, *from = e + 1;
    if (*from == '-')
        to++;
    if (*from == '-' || *from == '+')
        from++;
    while (*from == '0' && from[1])
        from++;
    memmove(to, from, strlen(from) + 1);
}

void figure_number(double v, char dst[32])
{
    double a = fabs(v);
    if (isnan(v)) {
        strcpy(dst, "-");
    } else if (isinf(v)) {
        strcpy(dst, v > 0 ? "inf" : "-inf");
    } else if (v == 0) {
        strcpy(dst, "0");
    } else if ((v == trunc(v) && a < 1e12) || (a >= 999.5 && a < 1e5)) {
        snprintf(dst, 32, "%.0f", v); /* counts stay whole */
    } else {
        figure_digits(v, 4, dst);
    }
}

void figure_digits(double v, int digits, char dst[32])
{
    snprintf(dst, 32, "%.*g", digits < 1 ? 1 : digits > 17 ? 17 : digits, v);
    shorten_exponent(dst);
}
