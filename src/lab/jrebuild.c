/* jrebuild.c -- JSON into a figure: one function a kind. Sizes come first, then the
 * lists, whose lengths must agree; pixels are handed out from the blob in the order of
 * the parts, and the whole must use it up. */
#include <limits.h>
#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "lab/jfigure.h"
#include "lab/jval.h"

enum {
    MAX_SIDE = 1 << 16,
    MAX_PIXELS = 1 << 26,
    MAX_CELLS = 1 << 20,
    MAX_PARTS = 4096
};

static const char *const scale_name[] = {
    [SCALE_SHARED] = "shared", [SCALE_EACH] = "each", [SCALE_P99] = "p99"};
static const char *const mark_name[] = {
    [MARK_LINE] = "line", [MARK_POINTS] = "points", [MARK_BINS] = "bins"};

typedef struct Rebuild {
    const float *pixels; /* of the blob; NULL: there is none */
    size_t n, used;      /* floats */
    int depth;           /* of pages */
} Rebuild;

static int index_of(const char *name, const char *const *names, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (strcmp(name, names[i]) == 0)
            return (int)i;
    }
    return -1;
}

static bool size_member(const json_t *ev, const char *key, int max, int *dst, Err *err)
{
    int64_t v = jval_get_int(ev, key, -1);
    if (v < 0 || v > max)
        return err_set(err, ERR_FORMAT, "a figure event needs '%s' from 0 to %d", key,
                       max);
    *dst = (int)v;
    return true;
}

/* The list under key if it has n items (-1: up to `max`); NULL and an error if not. */
static const json_t *list_member(const json_t *ev, const char *key, int n, int max,
                                 Err *err)
{
    const json_t *a = json_object_get(ev, key);
    size_t len = json_array_size(a);
    if (json_is_array(a) && (n < 0 ? len <= (size_t)max : len == (size_t)n))
        return a;
    err_set(err, ERR_FORMAT, "a figure event needs a list '%s' of %s%d", key,
            n < 0 ? "at most " : "", n < 0 ? max : n);
    return NULL;
}

static const char *text_at(const json_t *list, int i)
{
    const char *s = json_string_value(json_array_get(list, (size_t)i));
    return s ? s : "";
}

static double number_at(const json_t *list, int i)
{
    return jval_to_number(json_array_get(list, (size_t)i), (double)NAN);
}

/* The next n*h*w floats of the blob, or NULL and an error. */
static const float *take_pixels(Rebuild *r, int n, int h, int w, Err *err)
{
    int64_t plane = (int64_t)h * w; /* each factor is below 2^17 */
    if (!r->pixels || plane > MAX_PIXELS || plane * n > (int64_t)(r->n - r->used)) {
        err_set(err, ERR_FORMAT,
                "a figure of %d x %d x %d pixels has a blob of %zu numbers", n, h, w,
                r->n - r->used);
        return NULL;
    }
    const float *p = r->pixels + r->used;
    r->used += (size_t)(plane * n);
    return p;
}

static void set_colours(Figure *f, const json_t *ev)
{
    const char *tone = jval_get(ev, "tone", "");
    double limit = jval_to_number(json_object_get(ev, "limit"), 0);
    for (int t = 0; t < TONES; t++)
        if (strcmp(tone, tone_name((Tone)t)) == 0)
            f->tone = (Tone)t;
    f->limit = isfinite(limit) && limit > 0 ? limit : 0;
}

/* Scale and images in a row, which images and heat maps have. */
static bool set_look(Figure *f, const json_t *ev, Err *err)
{
    int scale = index_of(jval_get(ev, "scale", ""), scale_name, ARRAY_LEN(scale_name));
    int64_t per_row = jval_get_int(ev, "per_row", 0);
    if (scale < 0)
        return err_set(err, ERR_FORMAT, "a figure event has an unknown scale");
    f->scale = (FigScale)scale;
    set_colours(f, ev);
    int64_t group = jval_get_int(ev, "group", 0);
    f->per_row = per_row > 0 && per_row <= MAX_SIDE ? (int)per_row : 0;
    f->group = group > 0 && group <= MAX_SIDE ? (int)group : 0;
    return true;
}

static bool fill_images(Figure *f, const json_t *ev, Err *err)
{
    if (!set_look(f, ev, err))
        return false;
    if (!json_object_get(ev, "labels"))
        return true;
    const json_t *labels = list_member(ev, "labels", f->n, 0, err);
    bool ok = labels != NULL;
    for (int i = 0; ok && i < f->n; i++)
        ok = figure_set_label(f, i, text_at(labels, i), err);
    return ok;
}

static Figure *finish(Figure *f, bool ok)
{
    if (ok)
        return f;
    figure_free(f);
    return NULL;
}

static Figure *rebuild_images(Rebuild *r, const json_t *ev, Err *err)
{
    int n = 0, h = 0, w = 0;
    int64_t channels = jval_get_int(ev, "channels", 1);
    const float *px = NULL;
    if (channels != 1 && channels != 3)
        err_set(err, ERR_FORMAT, "a figure event needs 'channels' of 1 or 3");
    else if (size_member(ev, "n", MAX_SIDE, &n, err) &&
             size_member(ev, "h", MAX_SIDE, &h, err) &&
             size_member(ev, "w", MAX_SIDE, &w, err))
        px = take_pixels(r, n * (int)channels, h, w, err);
    bool is_signed = json_is_true(json_object_get(ev, "signed"));
    Figure *f = !px             ? NULL
                : channels == 3 ? figure_colours(n, h, w, px, is_signed, err)
                                : figure_images(n, h, w, px, is_signed, err);
    return finish(f, f && fill_images(f, ev, err));
}

static Figure *rebuild_table(Rebuild *r, const json_t *ev, Err *err)
{
    (void)r;
    int rows = 0, cols = 0;
    if (!size_member(ev, "rows", MAX_CELLS, &rows, err) ||
        !size_member(ev, "cols", MAX_SIDE, &cols, err))
        return NULL;
    if ((int64_t)rows * cols > MAX_CELLS) {
        err_set(err, ERR_FORMAT, "a table of %d x %d cells is too large", rows, cols);
        return NULL;
    }
    const json_t *head = list_member(ev, "head", cols, 0, err);
    const json_t *numeric = head ? list_member(ev, "numeric", cols, 0, err) : NULL;
    const json_t *cells =
        numeric ? list_member(ev, "cells", rows * cols, 0, err) : NULL;
    Figure *f = cells ? figure_table(rows, cols, err) : NULL;
    bool ok = f != NULL;
    for (int c = 0; ok && c < cols; c++)
        ok = figure_set_head(f, c, text_at(head, c),
                             json_is_true(json_array_get(numeric, (size_t)c)), err);
    for (int i = 0; ok && i < rows * cols; i++)
        ok = figure_set_cell(f, i / cols, i % cols, text_at(cells, i), err);
    return finish(f, ok);
}

static Figure *rebuild_text(Rebuild *r, const json_t *ev, Err *err)
{
    (void)r;
    return figure_text(jval_get(ev, "text", ""), err);
}

/* --- plots and bars --------------------------------------------------------------- */

static void set_range(FigAxis *a, const json_t *o)
{
    double lo = jval_to_number(json_object_get(o, "lo"), (double)NAN);
    double hi = jval_to_number(json_object_get(o, "hi"), (double)NAN);
    if (isfinite(lo) && isfinite(hi) && lo < hi) {
        a->lo = lo;
        a->hi = hi;
    }
}

static bool set_axis(Figure *f, const json_t *ev, bool is_y, Err *err)
{
    const json_t *o = json_object_get(ev, is_y ? "y" : "x");
    if (!json_is_object(o) || (f->kind == FIG_BARS && !is_y))
        return true;
    set_range(is_y ? &f->y : &f->x, o);
    return figure_set_axis(f, is_y, jval_get(o, "label", NULL),
                           json_is_true(json_object_get(o, "log")), err);
}

/* A list of n numbers as an array, freed by the caller; *dst stays NULL without one. */
static bool read_numbers(const json_t *o, const char *key, int n, double **dst,
                         Err *err)
{
    if (!json_object_get(o, key))
        return true;
    const json_t *list = list_member(o, key, n, 0, err);
    *dst = list ? mem_array((size_t)n, sizeof **dst, err) : NULL;
    for (int i = 0; *dst && i < n; i++)
        (*dst)[i] = number_at(list, i);
    return *dst != NULL;
}

static bool set_points(Figure *f, const json_t *o, int n, Err *err)
{
    if (!json_object_get(o, "labels"))
        return true;
    const json_t *labels = list_member(o, "labels", n, 0, err);
    bool ok = labels != NULL;
    for (int i = 0; ok && i < n; i++)
        ok = figure_set_point(f, i, text_at(labels, i), err);
    return ok;
}

static bool add_series(Figure *f, const json_t *o, Err *err)
{
    double *x = NULL, *y = NULL, *lo = NULL, *hi = NULL;
    int mark = index_of(jval_get(o, "mark", ""), mark_name, ARRAY_LEN(mark_name));
    const json_t *list = list_member(o, "y", -1, MAX_PIXELS, err);
    if (!list)
        return false;
    if (mark < 0)
        return err_set(err, ERR_FORMAT, "a figure event has an unknown mark");
    int n = (int)json_array_size(list);
    bool ok = read_numbers(o, "x", mark == MARK_BINS ? n + 1 : n, &x, err) &&
              read_numbers(o, "y", n, &y, err) && read_numbers(o, "lo", n, &lo, err) &&
              read_numbers(o, "hi", n, &hi, err) &&
              figure_add_series(f, jval_get(o, "name", NULL), (Mark)mark, n, x, y, lo,
                                hi, err) &&
              set_points(f, o, n, err);
    mem_free(x);
    mem_free(y);
    mem_free(lo);
    mem_free(hi);
    return ok;
}

static bool fill_plot(Figure *f, const json_t *ev, Err *err)
{
    const json_t *list = list_member(ev, "series", -1, MAX_PARTS, err);
    bool ok = list && set_axis(f, ev, false, err) && set_axis(f, ev, true, err);
    for (size_t i = 0; ok && i < json_array_size(list); i++)
        ok = add_series(f, json_array_get(list, i), err);
    return ok;
}

static Figure *rebuild_plot(Rebuild *r, const json_t *ev, Err *err)
{
    (void)r;
    Figure *f = figure_plot(err);
    return finish(f, f && fill_plot(f, ev, err));
}

typedef bool SetName(Figure *f, int i, const char *text, Err *err);

static bool fill_names(Figure *f, const json_t *list, SetName *set, Err *err)
{
    bool ok = true;
    for (int i = 0; ok && i < (int)json_array_size(list); i++)
        ok = set(f, i, text_at(list, i), err);
    return ok;
}

static Figure *rebuild_bars(Rebuild *r, const json_t *ev, Err *err)
{
    (void)r;
    const json_t *names = list_member(ev, "left", -1, MAX_SIDE, err);
    Figure *f = names ? figure_bars((int)json_array_size(names), err) : NULL;
    if (f)
        f->is_signed = json_is_true(json_object_get(ev, "signed"));
    return finish(f, f && fill_names(f, names, figure_set_left, err) &&
                         fill_plot(f, ev, err));
}

/* --- names on two sides ----------------------------------------------------------- */

static Figure *rebuild_heat(Rebuild *r, const json_t *ev, Err *err)
{
    int h = 0, w = 0;
    const float *px = NULL;
    if (size_member(ev, "h", MAX_SIDE, &h, err) &&
        size_member(ev, "w", MAX_SIDE, &w, err))
        px = take_pixels(r, 1, h, w, err);
    const json_t *left = px ? list_member(ev, "left", h, 0, err) : NULL;
    const json_t *right = left ? list_member(ev, "right", w, 0, err) : NULL;
    bool is_signed = json_is_true(json_object_get(ev, "signed"));
    Figure *f = right ? figure_heat(h, w, px, is_signed, err) : NULL;
    return finish(f, f && set_look(f, ev, err) &&
                         fill_names(f, left, figure_set_left, err) &&
                         fill_names(f, right, figure_set_right, err));
}

static bool add_edge(Figure *f, const json_t *e, Err *err)
{
    const json_t *left = json_array_get(e, 0), *right = json_array_get(e, 1);
    json_int_t a = json_is_integer(left) ? json_integer_value(left) : -1;
    json_int_t b = json_is_integer(right) ? json_integer_value(right) : -1;
    if (a < 0 || b < 0 || a > MAX_SIDE || b > MAX_SIDE)
        return err_set(err, ERR_FORMAT, "an edge of a figure event needs two nodes");
    return figure_add_edge(f, (int)a, (int)b, number_at(e, 2), err);
}

static Figure *rebuild_bipartite(Rebuild *r, const json_t *ev, Err *err)
{
    (void)r;
    const json_t *left = list_member(ev, "left", -1, MAX_SIDE, err);
    const json_t *right = left ? list_member(ev, "right", -1, MAX_SIDE, err) : NULL;
    const json_t *edges = right ? list_member(ev, "edges", -1, MAX_CELLS, err) : NULL;
    Figure *f = edges ? figure_bipartite((int)json_array_size(left),
                                         (int)json_array_size(right), err)
                      : NULL;
    bool ok = f && fill_names(f, left, figure_set_left, err) &&
              fill_names(f, right, figure_set_right, err);
    for (size_t i = 0; ok && i < json_array_size(edges); i++)
        ok = add_edge(f, json_array_get(edges, i), err);
    return finish(f, ok);
}

static Figure *rebuild_diagram(Rebuild *r, const json_t *ev, Err *err)
{
    enum { MAX_STAGES = 64 };
    int sizes[MAX_STAGES];
    (void)r;
    const json_t *stages = list_member(ev, "stages", -1, MAX_STAGES, err);
    const json_t *edges = stages ? list_member(ev, "edges", -1, MAX_CELLS, err) : NULL;
    int n = (int)json_array_size(stages), total = 0;
    if (!edges)
        return NULL;
    for (int i = 0; i < n; i++) {
        const json_t *size = json_array_get(stages, (size_t)i);
        json_int_t v = json_is_integer(size) ? json_integer_value(size) : 0;
        sizes[i] = v > 0 && v <= MAX_SIDE ? (int)v : 0;
        total += sizes[i];
    }
    const json_t *names = list_member(ev, "left", total, 0, err);
    bool is_signed = json_is_true(json_object_get(ev, "signed"));
    Figure *f = names ? figure_diagram(n, sizes, is_signed, err) : NULL;
    bool ok = f && fill_names(f, names, figure_set_left, err);
    for (size_t i = 0; ok && i < json_array_size(edges); i++)
        ok = add_edge(f, json_array_get(edges, i), err);
    if (f)
        set_colours(f, ev);
    return finish(f, ok);
}

/* --- metrics and pages ------------------------------------------------------------ */

static bool add_between(Figure *f, const json_t *o, Err *err)
{
    char *name = mem_strdup(jval_get(o, "name", ""), err);
    const json_t *v = list_member(o, "numbers", 7, 0, err);
    bool ok = name && v;
    if (ok) {
        Between b = {.name = name,
                     .value = number_at(v, 0),
                     .lo = number_at(v, 1),
                     .hi = number_at(v, 2),
                     .null = number_at(v, 3),
                     .null_lo = number_at(v, 4),
                     .null_hi = number_at(v, 5),
                     .limit = number_at(v, 6)};
        ok = figure_add_between(f, &b, err);
    }
    mem_free(name);
    return ok;
}

static bool fill_between(Figure *f, const json_t *ev, Err *err)
{
    const json_t *list = list_member(ev, "between", -1, MAX_PARTS, err);
    bool ok = list != NULL;
    for (size_t i = 0; ok && i < json_array_size(list); i++)
        ok = add_between(f, json_array_get(list, i), err);
    return ok;
}

static Figure *rebuild_between(Rebuild *r, const json_t *ev, Err *err)
{
    (void)r;
    Figure *f = figure_between(err);
    return finish(f, f && fill_between(f, ev, err));
}

static Figure *rebuild_any(Rebuild *r, const json_t *ev, Err *err);

static bool fill_parts(Rebuild *r, Figure *f, const json_t *ev, Err *err)
{
    const json_t *list = list_member(ev, "parts", -1, MAX_PARTS, err);
    int64_t per_row = jval_get_int(ev, "per_row", 0);
    if (list && r->depth >= FIG_DEPTH)
        return err_set(err, ERR_FORMAT, "pages of a figure event are nested too deep");
    bool ok = list != NULL;
    f->per_row = per_row > 0 && per_row <= MAX_SIDE ? (int)per_row : 0;
    f->multiples = json_is_true(json_object_get(ev, "multiples"));
    r->depth++;
    for (size_t i = 0; ok && i < json_array_size(list); i++) {
        Figure *part = rebuild_any(r, json_array_get(list, i), err);
        ok = part && figure_add_part(f, part, err);
    }
    r->depth--;
    return ok;
}

static Figure *rebuild_page(Rebuild *r, const json_t *ev, Err *err)
{
    Figure *f = figure_page(err);
    return finish(f, f && fill_parts(r, f, ev, err));
}

static Figure *rebuild_components(Rebuild *r, const json_t *ev, Err *err)
{
    const json_t *names = list_member(ev, "left", -1, MAX_SIDE, err);
    const json_t *series = names ? list_member(ev, "series", -1, MAX_PARTS, err) : NULL;
    Figure *f = series ? figure_components((int)json_array_size(names), err) : NULL;
    bool ok = f && fill_names(f, names, figure_set_left, err);
    for (size_t i = 0; ok && i < json_array_size(series); i++)
        ok = add_series(f, json_array_get(series, i), err);
    return finish(f, ok && fill_between(f, ev, err) && fill_parts(r, f, ev, err));
}

static Figure *(*const rebuild[FIG_KINDS])(Rebuild *, const json_t *, Err *) = {
    [FIG_IMAGES] = rebuild_images,       [FIG_TABLE] = rebuild_table,
    [FIG_TEXT] = rebuild_text,           [FIG_PLOT] = rebuild_plot,
    [FIG_BARS] = rebuild_bars,           [FIG_HEAT] = rebuild_heat,
    [FIG_BIPARTITE] = rebuild_bipartite, [FIG_BETWEEN] = rebuild_between,
    [FIG_PAGE] = rebuild_page,           [FIG_COMPONENTS] = rebuild_components,
    [FIG_DIAGRAM] = rebuild_diagram,
};

static Figure *rebuild_any(Rebuild *r, const json_t *ev, Err *err)
{
    Figure *f = NULL;
    const char *kind = jval_get(ev, "kind", "");
    const char *title = jval_get(ev, "title", NULL);
    const char *caption = jval_get(ev, "caption", NULL);
    int k = 0;
    while (k < FIG_KINDS && strcmp(kind, figure_kind_name((FigKind)k)) != 0)
        k++;
    if (k < FIG_KINDS)
        f = rebuild[k](r, ev, err);
    else
        err_set(err, ERR_FORMAT, "a figure event of a kind that is not known");
    if (f)
        f->each = json_is_true(json_object_get(ev, "each"));
    return finish(f, f && (!title || figure_set_title(f, title, err)) &&
                         (!caption || figure_set_caption(f, caption, err)));
}

/* --- the blob --------------------------------------------------------------------- */

static bool inside(const char *path)
{
    size_t n = strlen(path);
    return n > 0 && path[0] != '/' && strcmp(path, "..") != 0 &&
           strncmp(path, "../", 3) != 0 && !strstr(path, "/../") &&
           !(n > 3 && strcmp(path + n - 3, "/..") == 0);
}

static bool read_blob(const json_t *ev, const char *dir, char **data, size_t *n,
                      Err *err)
{
    char path[PATH_MAX];
    const char *blob = jval_get(ev, "blob", NULL);
    if (!blob)
        return true;
    if (!inside(blob))
        return err_set(err, ERR_FORMAT, "a figure event has a blob outside its folder");
    return path_join(path, sizeof path, dir, blob, err) &&
           file_read_all(path, MAX_PIXELS * sizeof(float), data, n, err);
}

Figure *jfigure_rebuild(const json_t *ev, const char *dir, Err *err)
{
    char *data = NULL;
    size_t n = 0;
    Rebuild r = {0};
    if (!read_blob(ev, dir, &data, &n, err))
        return NULL;
    r.pixels = (const float *)(const void *)data;
    r.n = n / sizeof(float);
    Figure *f = rebuild_any(&r, ev, err);
    bool exact = r.used * sizeof(float) == n;
    if (f && !exact)
        err_set(err, ERR_FORMAT, "the blob of a figure event has %zu bytes, not %zu", n,
                r.used * sizeof(float));
    mem_free(data);
    return finish(f, f && exact);
}
