/* export.c -- opening a notebook with its outputs, what all writers need of outputs,
 * and the choice of the writer. */
#include "kernel/export.h"

#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "lab/jval.h"

enum { FILE_MAX = 64 << 20, PNG_MAX = 64 << 20 };

/* --- opening ---------------------------------------------------------------------- */

static bool replay(Notebook *nb, Err *err)
{
    bool more;
    json_t *ev;
    if (!nb->place.dir[0])
        return true;
    nb->reader = jreader_open(nb->place.dir, err);
    if (!nb->reader)
        return false;
    while ((ev = jreader_next(nb->reader, &more, NULL)) || more) {
        Err why = {0};
        bool ok = !ev || document_apply(nb->doc, ev, &why) || why.code != ERR_MEMORY;
        json_decref(ev);
        if (!ok)
            return err_set(err, ERR_MEMORY, "%s", why.msg);
    }
    return true;
}

/* The file's cells, where the journal holds nothing newer. */
static bool take_file(Notebook *nb, Err *err)
{
    char *text, hash[17];
    size_t n;
    bool fresh = nb->doc->n == 0;
    if (!fresh && (document_dirty(nb->doc) || !file_exists(nb->place.file)))
        return true;
    if (!file_read_all(nb->place.file, FILE_MAX, &text, &n, err))
        return false;
    document_hash(text, n, hash);
    bool ok = true;
    if (fresh) {
        ok = document_load(nb->doc, text, n, err);
    } else if (!nb->doc->saved_hash || strcmp(hash, nb->doc->saved_hash) != 0) {
        json_t *ev = document_reload(nb->doc, text, n, err);
        ok = ev && jval_set(ev, "ev", json_string("doc")) &&
             document_apply(nb->doc, ev, err);
        json_decref(ev);
    }
    mem_free(text);
    return ok;
}

/* A run's folder: its script has the cells that its journal speaks of. */
static bool open_run(const char *dir, Notebook *nb, Err *err)
{
    char *text;
    size_t n;
    if (!text_copy(nb->place.dir, sizeof nb->place.dir, dir) ||
        !path_join(nb->place.file, sizeof nb->place.file, dir, "script.lua", err) ||
        !file_read_all(nb->place.file, FILE_MAX, &text, &n, err))
        return false;
    bool ok = document_load(nb->doc, text, n, err) && replay(nb, err);
    mem_free(text);
    return ok;
}

bool notebook_open(const char *file, Notebook *nb, Err *err)
{
    memset(nb, 0, sizeof *nb);
    nb->doc = document_new(err);
    if (!nb->doc)
        return false;
    nb->doc->keep_outputs = true;
    bool ok = file_is_dir(file) ? open_run(file, nb, err)
                                : session_peek(file, &nb->place, err) &&
                                      replay(nb, err) && take_file(nb, err);
    if (ok)
        return true;
    notebook_close(nb);
    return false;
}

void notebook_close(Notebook *nb)
{
    document_free(nb->doc);
    jreader_close(nb->reader);
    nb->doc = NULL;
    nb->reader = NULL;
}

/* --- outputs ---------------------------------------------------------------------- */

static void add_clean(const char *s, size_t n, Str *out)
{
    while (n > 0) {
        uint32_t rune;
        int used = utf8_next(s, n, &rune);
        str_add_rune(out, rune ? rune : 0xFFFD);
        s += used;
        n -= (size_t)used;
    }
}

static bool add_range(const Notebook *nb, int cell, int64_t from, size_t n, Str *out,
                      Err *err)
{
    char *text;
    size_t got;
    if (!jreader_out(nb->reader, cell, from, n, &text, &got, err))
        return false;
    add_clean(text, got, out);
    mem_free(text);
    return str_ok(out, err);
}

bool output_text(const Notebook *nb, const Cell *c, const json_t *out_entry, size_t max,
                 Str *out, Err *err)
{
    int64_t from = jval_get_int(out_entry, "from", 0),
            to = jval_get_int(out_entry, "to", 0);
    if (!nb->reader || to <= from)
        return true;
    size_t n = (size_t)(to - from);
    if (n <= max)
        return add_range(nb, c->id, from, n, out, err);
    if (!add_range(nb, c->id, from, max / 2, out, err))
        return false;
    char log[64];
    int64_t lines = jval_get_int(out_entry, "lines", -1);
    jreader_log_name(nb->reader, c->id, log);
    str_addf(out, "\n... %zu bytes are left out; all of it", n - 2 * (max / 2));
    if (lines >= 0)
        str_addf(out, " (%lld lines)", (long long)lines);
    str_addf(out, " is in %s ...\n", log);
    return add_range(nb, c->id, to - (int64_t)(max / 2), max / 2, out, err);
}

static void add_base64(const unsigned char *s, size_t n, Str *out)
{
    static const char digit[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                "0123456789+/";
    for (size_t i = 0; i < n; i += 3) {
        unsigned v = (unsigned)s[i] << 16;
        v |= i + 1 < n ? (unsigned)s[i + 1] << 8 : 0;
        v |= i + 2 < n ? s[i + 2] : 0;
        char quad[4] = {digit[v >> 18], digit[v >> 12 & 63],
                        i + 1 < n ? digit[v >> 6 & 63] : '=',
                        i + 2 < n ? digit[v & 63] : '='};
        str_addn(out, quad, 4);
    }
}

/* A display that was turned has the picture of its first drawing: it is made anew. */
static bool draw_again(const Notebook *nb, const json_t *event, const char *path,
                       Err *err)
{
    Figure *f = nb->reader ? jreader_figure(nb->reader, event, err) : NULL;
    bool ok = !nb->reader || (f && figure_png(f, path, err));
    figure_free(f);
    return ok;
}

bool output_png(const Notebook *nb, const json_t *figure, char **data, size_t *n,
                Err *err)
{
    char path[PATH_MAX];
    const char *png = jval_get(figure, "png", "");
    if (!strchr(png, '/') || png[0] == '/' || strstr(png, ".."))
        return err_set(err, ERR_FORMAT,
                       "a figure has no picture in the session's folder");
    const json_t *control = json_object_get(figure, "control");
    return path_join(path, sizeof path, nb->place.dir, png, err) &&
           (jval_get_int(control, "count", 0) == 0 ||
            draw_again(nb, figure, path, err)) &&
           file_read_all(path, PNG_MAX, data, n, err);
}

bool output_png64(const Notebook *nb, const json_t *figure, Str *out, Err *err)
{
    char *data;
    size_t n;
    if (!output_png(nb, figure, &data, &n, err))
        return false;
    add_base64((const unsigned char *)data, n, out);
    mem_free(data);
    return str_ok(out, err);
}

void output_metric(const json_t *entry, Str *out)
{
    const char *name;
    json_t *value;
    int64_t n = jval_get_int(entry, "n", 1);
    str_addf(out, "step %lld", (long long)jval_get_int(entry, "step", 0));
    json_object_foreach(json_object_get(entry, "m"), name, value)
    {
        char number[32];
        figure_number(jval_to_number(value, 0.0), number);
        str_addf(out, "  %s %s", name, number);
    }
    if (n > 1)
        str_addf(out, "  (the last of %lld)", (long long)n);
    str_addc(out, '\n');
}

/* --- the choice ------------------------------------------------------------------- */

static bool lua_write(const Notebook *nb, Str *out, Err *err)
{
    return document_save(nb->doc, out, err);
}

/* "study.md": pictures go to "study_files". */
static void files_folder(const char *path, char dst[PATH_MAX])
{
    const char *dot = strrchr(path, '.');
    snprintf(dst, PATH_MAX, "%.*s_files", (int)(dot - path), path);
}

bool notebook_export(const Notebook *nb, const char *path, Err *err)
{
    static const struct {
        const char *suffix;
        bool (*write)(const Notebook *, Str *, Err *);
    } formats[] = {
        {".ipynb", ipynb_write},
        {".html",  html_write },
        {".lua",   lua_write  }
    };
    const char *dot = strrchr(path, '.');
    char files[PATH_MAX];
    Str out;
    bool known = false, ok = true;
    str_init(&out);
    for (size_t i = 0; dot && i < ARRAY_LEN(formats); i++) {
        if (strcmp(dot, formats[i].suffix) == 0) {
            known = true;
            ok = formats[i].write(nb, &out, err);
        }
    }
    if (dot && strcmp(dot, ".md") == 0) {
        known = true;
        files_folder(path, files);
        ok = markdown_write(nb, files, &out, err);
    }
    if (!known)
        ok = err_set(
            err, ERR_OPTION,
            "'%s' ends in no format that is known: .ipynb, .md, .html and .lua are",
            path);
    ok = ok && file_write_all(path, out.s, out.len, err);
    str_done(&out);
    return ok;
}
