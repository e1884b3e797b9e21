/* jfigure.c -- events come from a file that anybody may have written, so nothing in one
 * is believed: sizes are bounded, lists must have the length the sizes say, the blob
 * must have exactly the bytes of the pixels, and its path must stay inside the folder.
 */
#include "lab/jfigure.h"

#include <limits.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "lab/jval.h"

enum { MAX_SIDE = 1 << 16, MAX_PIXELS = 1 << 26, MAX_CELLS = 1 << 20 };

static const char *const kind_name[] = {
    [FIG_IMAGES] = "images", [FIG_TABLE] = "table", [FIG_TEXT] = "text"};
static const char *const scale_name[] = {
    [SCALE_SHARED] = "shared", [SCALE_EACH] = "each", [SCALE_P99] = "p99"};

static int index_of(const char *name, const char *const *names, int n)
{
    for (int i = 0; i < n; i++) {
        if (strcmp(name, names[i]) == 0)
            return i;
    }
    return -1;
}

static json_t *texts(char *const *list, int n)
{
    json_t *a = json_array();
    for (int i = 0; a && i < n; i++) {
        if (json_array_append_new(a, jval_str(list[i] ? list[i] : "")) != 0) {
            json_decref(a);
            return NULL;
        }
    }
    return a;
}

static json_t *flags(const bool *list, int n)
{
    json_t *a = json_array();
    for (int i = 0; a && i < n; i++) {
        if (json_array_append_new(a, json_boolean(list[i])) != 0) {
            json_decref(a);
            return NULL;
        }
    }
    return a;
}

static bool describe_images(const Figure *f, json_t *o)
{
    return jval_set(o, "n", json_integer(f->n)) &&
           jval_set(o, "h", json_integer(f->h)) &&
           jval_set(o, "w", json_integer(f->w)) &&
           jval_set(o, "signed", json_boolean(f->is_signed)) &&
           jval_set(o, "scale", json_string(scale_name[f->scale])) &&
           jval_set(o, "per_row", json_integer(f->per_row)) &&
           (!f->labels || jval_set(o, "labels", texts(f->labels, f->n)));
}

static bool describe_table(const Figure *f, json_t *o)
{
    return jval_set(o, "rows", json_integer(f->n_rows)) &&
           jval_set(o, "cols", json_integer(f->n_cols)) &&
           jval_set(o, "head", texts(f->head, f->n_cols)) &&
           jval_set(o, "numeric", flags(f->numeric, f->n_cols)) &&
           jval_set(o, "cells", texts(f->cell, f->n_rows * f->n_cols));
}

json_t *jfigure_describe(const Figure *f)
{
    json_t *o = json_object();
    bool ok = o && jval_set(o, "kind", json_string(kind_name[f->kind])) &&
              (!f->title || jval_set(o, "title", jval_str(f->title))) &&
              (!f->caption || jval_set(o, "caption", jval_str(f->caption)));
    if (ok && f->kind == FIG_IMAGES)
        ok = describe_images(f, o);
    else if (ok && f->kind == FIG_TABLE)
        ok = describe_table(f, o);
    else if (ok)
        ok = jval_set(o, "text", jval_str(f->text ? f->text : ""));
    if (ok)
        return o;
    json_decref(o);
    return NULL;
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

/* The list under key if it has n strings; NULL and an error otherwise. */
static const json_t *list_member(const json_t *ev, const char *key, int n, Err *err)
{
    const json_t *a = json_object_get(ev, key);
    if (json_is_array(a) && json_array_size(a) == (size_t)n)
        return a;
    err_set(err, ERR_FORMAT, "a figure event needs a list '%s' of %d", key, n);
    return NULL;
}

static const char *text_at(const json_t *list, int i)
{
    const char *s = json_string_value(json_array_get(list, (size_t)i));
    return s ? s : "";
}

static bool inside(const char *path)
{
    return path[0] != '\0' && path[0] != '/' && strcmp(path, "..") != 0 &&
           strncmp(path, "../", 3) != 0 && !strstr(path, "/../") &&
           !(strlen(path) > 3 && strcmp(path + strlen(path) - 3, "/..") == 0);
}

static Figure *rebuild_images(const json_t *ev, const char *dir, Err *err)
{
    char path[PATH_MAX], *data = NULL;
    size_t got = 0;
    Figure *f = NULL;
    int n = 0, h = 0, w = 0, scale = index_of(jval_get(ev, "scale", ""), scale_name, 3);
    const char *blob = jval_get(ev, "blob", "");
    if (!size_member(ev, "n", MAX_SIDE, &n, err) ||
        !size_member(ev, "h", MAX_SIDE, &h, err) ||
        !size_member(ev, "w", MAX_SIDE, &w, err))
        return NULL;
    /* two factors at a time: the three together pass 2^47 */
    if ((int64_t)h * w > MAX_PIXELS || (int64_t)h * w * n > MAX_PIXELS || scale < 0 ||
        !inside(blob)) {
        err_set(err, ERR_FORMAT,
                "a figure event has an impossible size, scale or blob");
        return NULL;
    }
    size_t want = (size_t)n * (size_t)h * (size_t)w * sizeof(float);
    if (!path_join(path, sizeof path, dir, blob, err) ||
        !file_read_all(path, want, &data, &got, err))
        return NULL;
    if (got != want)
        err_set(err, ERR_FORMAT, "'%s' has %zu bytes where %zu are expected", path, got,
                want);
    else
        f = figure_images(n, h, w, (const float *)(const void *)data,
                          json_is_true(json_object_get(ev, "signed")), err);
    mem_free(data);
    if (!f)
        return NULL;
    f->scale = (FigScale)scale;
    int64_t per_row = jval_get_int(ev, "per_row", 0);
    f->per_row = per_row > 0 && per_row <= MAX_SIDE ? (int)per_row : 0;
    if (!json_object_get(ev, "labels"))
        return f;
    const json_t *labels = list_member(ev, "labels", n, err);
    bool ok = labels != NULL;
    for (int i = 0; ok && i < n; i++)
        ok = figure_set_label(f, i, text_at(labels, i), err);
    if (ok)
        return f;
    figure_free(f);
    return NULL;
}

static Figure *rebuild_table(const json_t *ev, Err *err)
{
    int rows = 0, cols = 0;
    if (!size_member(ev, "rows", MAX_CELLS, &rows, err) ||
        !size_member(ev, "cols", MAX_SIDE, &cols, err))
        return NULL;
    if ((int64_t)rows * cols > MAX_CELLS) {
        err_set(err, ERR_FORMAT, "a table of %d x %d cells is too large", rows, cols);
        return NULL;
    }
    const json_t *head = list_member(ev, "head", cols, err);
    const json_t *numeric = head ? list_member(ev, "numeric", cols, err) : NULL;
    const json_t *cells = numeric ? list_member(ev, "cells", rows * cols, err) : NULL;
    Figure *f = cells ? figure_table(rows, cols, err) : NULL;
    bool ok = f != NULL;
    for (int c = 0; ok && c < cols; c++)
        ok = figure_set_head(f, c, text_at(head, c),
                             json_is_true(json_array_get(numeric, (size_t)c)), err);
    for (int i = 0; ok && i < rows * cols; i++)
        ok = figure_set_cell(f, i / cols, i % cols, text_at(cells, i), err);
    if (ok)
        return f;
    figure_free(f);
    return NULL;
}

Figure *jfigure_rebuild(const json_t *ev, const char *dir, Err *err)
{
    Figure *f = NULL;
    int kind = index_of(jval_get(ev, "kind", ""), kind_name, 3);
    if (kind == FIG_IMAGES)
        f = rebuild_images(ev, dir, err);
    else if (kind == FIG_TABLE)
        f = rebuild_table(ev, err);
    else if (kind == FIG_TEXT)
        f = figure_text(jval_get(ev, "text", ""), err);
    else
        err_set(err, ERR_FORMAT, "a figure of unknown kind '%s'",
                jval_get(ev, "kind", ""));
    if (!f)
        return NULL;
    const char *title = jval_get(ev, "title", NULL);
    const char *caption = jval_get(ev, "caption", NULL);
    if ((!title || figure_set_title(f, title, err)) &&
        (!caption || figure_set_caption(f, caption, err)))
        return f;
    figure_free(f);
    return NULL;
}
