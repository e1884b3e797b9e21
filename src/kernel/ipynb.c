/* ipynb.c -- Jupyter notebooks, nbformat 4.5. Texts are written as lists of lines, as
 * Jupyter does, so that they diff; ids are the cells' own, so a second export of the
 * same notebook differs only where it changed. Reading believes nothing: types are
 * checked, and what is no text of a known kind is left out. */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "kernel/document_int.h"
#include "kernel/export.h"
#include "kernel/version.h"
#include "lab/jval.h"

enum { TEXT_MAX = 1 << 20 };

/* --- writing ---------------------------------------------------------------------- */

/* "a\nb" as ["a\n", "b"]. */
static json_t *lines_of(const char *s)
{
    json_t *list = json_array();
    while (list && *s) {
        const char *nl = strchr(s, '\n');
        size_t n = nl ? (size_t)(nl - s) + 1 : strlen(s);
        json_array_append_new(list, jval_text(s, n));
        s += n;
    }
    return list;
}

static json_t *stream(const char *text)
{
    return json_pack("{s:s,s:s,s:o}", "output_type", "stream", "name", "stdout", "text",
                     lines_of(text));
}

static json_t *text_result(const char *text)
{
    return json_pack("{s:s,s:{s:o},s:{}}", "output_type", "display_data", "data",
                     "text/plain", lines_of(text), "metadata");
}

static json_t *figure_output(const Notebook *nb, const json_t *ev)
{
    Err err = {0};
    Str png, text;
    str_init(&png);
    str_init(&text);
    Figure *f = nb->reader ? jreader_figure(nb->reader, ev, &err) : NULL;
    json_t *data = json_object();
    if (f && !figure_is_picture(f)) {
        Str md;
        str_init(&md);
        if (figure_markdown(f, "", &md, NULL))
            jval_set(data, "text/markdown", lines_of(md.s));
        str_done(&md);
    } else if (output_png64(nb, ev, &png, &err)) {
        jval_set(data, "image/png", json_stringn(png.s, png.len));
    }
    Grid grid = {0};
    DrawStyle plain = {.level = LEVEL_MONO, .width = 80};
    if (f && !figure_is_picture(f) && figure_draw(f, &plain, &grid, NULL)) {
        grid_plain(&grid, &text);
        grid_done(&grid);
    } else {
        str_addf(&text, "<figure %s>", jval_get(ev, "id", ""));
    }
    jval_set(data, "text/plain", lines_of(text.s));
    str_done(&png);
    str_done(&text);
    figure_free(f);
    return json_pack("{s:s,s:o,s:{}}", "output_type", "display_data", "data", data,
                     "metadata");
}

static json_t *error_output(const json_t *ev)
{
    const char *msg = jval_get(ev, "msg", ""), *trace = jval_get(ev, "trace", "");
    json_t *lines = json_array();
    json_array_append_new(lines, jval_str(msg));
    for (const char *s = trace; *s;) {
        size_t n = strcspn(s, "\n");
        json_array_append_new(lines, jval_text(s, n));
        s += n + (s[n] != '\0');
    }
    return json_pack("{s:s,s:s,s:o,s:o}", "output_type", "error", "ename", "LuaError",
                     "evalue", jval_str(msg), "traceback", lines);
}

static json_t *one_output(const Notebook *nb, const Cell *c, const json_t *ev)
{
    const char *kind = jval_get(ev, "ev", "");
    json_t *o = NULL;
    Str t;
    str_init(&t);
    if (strcmp(kind, "out") == 0) {
        if (output_text(nb, c, ev, TEXT_MAX, &t, NULL))
            o = stream(t.s);
    } else if (strcmp(kind, "metric") == 0) {
        output_metric(ev, &t);
        o = stream(t.s);
    } else if (strcmp(kind, "log") == 0) {
        str_addf(&t, "%s\n", jval_get(ev, "text", ""));
        o = stream(t.s);
    } else if (strcmp(kind, "value") == 0) {
        o = text_result(jval_get(ev, "text", ""));
    } else if (strcmp(kind, "result") == 0) {
        jval_dump(json_object_get(ev, "result"), 2, &t, NULL);
        o = text_result(t.s);
    } else if (strcmp(kind, "figure") == 0) {
        o = figure_output(nb, ev);
    } else if (strcmp(kind, "error") == 0) {
        o = error_output(ev);
    }
    str_done(&t);
    return o;
}

static json_t *outputs_of(const Notebook *nb, const Cell *c)
{
    json_t *list = json_array();
    for (size_t i = 0; list && i < json_array_size(c->outputs); i++) {
        json_t *o = one_output(nb, c, json_array_get(c->outputs, i));
        if (o)
            json_array_append_new(list, o);
    }
    return list;
}

static json_t *cell_of(const Notebook *nb, const Cell *c)
{
    char id[24];
    snprintf(id, sizeof id, "cell-%d", c->id);
    json_t *meta = json_object();
    if (c->title[0])
        jval_set(meta, "title", jval_str(c->title));
    json_t *o = json_pack("{s:s,s:s,s:o,s:o}", "cell_type", cell_type_name(c->type),
                          "id", id, "metadata", meta, "source", lines_of(c->text));
    if (!o || c->type != CELL_CODE)
        return o;
    jval_set(o, "execution_count", c->exec > 0 ? json_integer(c->exec) : json_null());
    jval_set(o, "outputs", outputs_of(nb, c));
    return o;
}

bool ipynb_write(const Notebook *nb, Str *out, Err *err)
{
    json_t *cells = json_array();
    for (int i = 0; cells && i < nb->doc->n; i++)
        json_array_append_new(cells, cell_of(nb, nb->doc->cell[i]));
    json_t *root =
        json_pack("{s:o,s:{s:{s:s,s:s,s:s},s:{s:s,s:s,s:s}},s:i,s:i}", "cells", cells,
                  "metadata", "kernelspec", "display_name", "cleave", "language", "lua",
                  "name", "cleave", "language_info", "name", "lua", "file_extension",
                  ".lua", "version", "5.4", "nbformat", 4, "nbformat_minor", 5);
    if (!root)
        return err_set(err, ERR_MEMORY, "out of memory while a notebook was written");
    bool ok = jval_dump(root, 1, out, err);
    str_addc(out, '\n');
    json_decref(root);
    return ok && str_ok(out, err);
}

/* --- reading ---------------------------------------------------------------------- */

/* A source: a text, or a list of texts. */
static bool source_of(const json_t *v, Str *out, int number, Err *err)
{
    if (json_is_string(v))
        str_addn(out, json_string_value(v), json_string_length(v));
    for (size_t i = 0; json_is_array(v) && i < json_array_size(v); i++) {
        const json_t *line = json_array_get(v, i);
        if (!json_is_string(line))
            return err_set(err, ERR_FORMAT,
                           "the source of cell %d holds something that is "
                           "no text",
                           number);
        str_addn(out, json_string_value(line), json_string_length(line));
    }
    if (v && !json_is_string(v) && !json_is_array(v))
        return err_set(err, ERR_FORMAT, "the source of cell %d is no text", number);
    while (out->len > 0 && strchr(" \t\r\n", out->s[out->len - 1]))
        out->s[--out->len] = '\0';
    return str_ok(out, err);
}

/* Line ends inside a title would end its marker. */
static void one_line(char *s)
{
    for (; *s; s++) {
        if ((unsigned char)*s < ' ' || *s == 0x7f)
            *s = ' ';
    }
}

static bool add_cell(Document *d, const json_t *o, int number, Err *err)
{
    Cell *c = cell_new(d->next, err);
    Str text;
    str_init(&text);
    bool ok = c && json_is_object(o);
    if (c && !json_is_object(o))
        err_set(err, ERR_FORMAT, "cell %d is no object", number);
    ok =
        ok && source_of(json_object_get(o, "source"), &text, number, err) &&
        cell_put(&c->text, text.s, err) &&
        cell_put(&c->title, jval_get(json_object_get(o, "metadata"), "title", ""), err);
    if (ok && !cell_type_parse(jval_get(o, "cell_type", ""), &c->type))
        ok = err_set(err, ERR_FORMAT,
                     "cell %d has an unknown cell_type; code, markdown "
                     "and raw are known",
                     number);
    if (ok)
        one_line(c->title);
    ok = ok && document_put(d, c, d->n, err);
    str_done(&text);
    if (ok)
        d->next++;
    else
        cell_free(c);
    return ok;
}

Document *ipynb_read(const char *text, size_t n, Err *err)
{
    if (n > IPYNB_MAX) {
        err_set(err, ERR_FORMAT, "it is larger than %d MiB", IPYNB_MAX >> 20);
        return NULL;
    }
    json_t *root = jval_parse(text, n, err);
    if (!root)
        return NULL;
    const json_t *cells = json_object_get(root, "cells");
    int64_t major = jval_get_int(root, "nbformat", 0);
    Document *d = NULL;
    bool ok = false;
    if (!json_is_array(cells) || major != 4)
        err_set(
            err, ERR_FORMAT, "it is no Jupyter notebook of format 4 (format %lld, %s)",
            (long long)major, json_is_array(cells) ? "with cells" : "without cells");
    else
        ok = (d = document_new(err)) != NULL;
    for (size_t i = 0; ok && i < json_array_size(cells); i++)
        ok = add_cell(d, json_array_get(cells, i), (int)i + 1, err);
    json_decref(root);
    if (ok)
        return d;
    document_free(d);
    return NULL;
}
