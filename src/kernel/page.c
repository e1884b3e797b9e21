/* page.c -- Markdown and HTML. Texts of the notebook never become markup: in Markdown
 * they stand in fences longer than any run of backticks they hold, in HTML every
 * character with a meaning is escaped, and nothing is interpreted or loaded. */
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "kernel/export.h"
#include "lab/jval.h"
#include "script/lualex.h"

enum { TEXT_MAX = 64 << 10 };

/* What an output says as plain text; false: it is a figure. */
static bool plain_output(const Notebook *nb, const Cell *c, const json_t *ev, Str *t)
{
    const char *kind = jval_get(ev, "ev", "");
    if (strcmp(kind, "figure") == 0)
        return false;
    if (strcmp(kind, "out") == 0) {
        output_text(nb, c, ev, TEXT_MAX, t, NULL);
    } else if (strcmp(kind, "metric") == 0) {
        output_metric(ev, t);
    } else if (strcmp(kind, "result") == 0) {
        jval_dump(json_object_get(ev, "result"), 2, t, NULL);
    } else if (strcmp(kind, "error") == 0) {
        str_addf(t, "%s\n%s", jval_get(ev, "msg", ""), jval_get(ev, "trace", ""));
    } else {
        str_add(t, jval_get(ev, "text", ""));
    }
    return true;
}

/* --- Markdown --------------------------------------------------------------------- */

static void fenced(const char *text, const char *language, Str *out)
{
    size_t longest = 2, run = 0;
    for (const char *s = text; *s; s++) {
        run = *s == '`' ? run + 1 : 0;
        longest = run > longest ? run : longest;
    }
    for (size_t i = 0; i <= longest; i++)
        str_addc(out, '`');
    str_addf(out, "%s\n%s", language, text);
    if (text[0] && text[strlen(text) - 1] != '\n')
        str_addc(out, '\n');
    for (size_t i = 0; i <= longest; i++)
        str_addc(out, '`');
    str_add(out, "\n\n");
}

/* Copies the picture into the folder beside the file. */
static bool copy_picture(const Notebook *nb, const json_t *ev, const char *files,
                         char name[128], Err *err)
{
    char to[PATH_MAX], *data;
    size_t n;
    const char *base = strrchr(jval_get(ev, "png", ""), '/');
    snprintf(name, 128, "%s", base ? base + 1 : "");
    if (!dir_make(files, err) || !path_join(to, sizeof to, files, name, err) ||
        !output_png(nb, ev, &data, &n, err))
        return false;
    bool ok = file_write_all(to, data, n, err);
    mem_free(data);
    return ok;
}

static bool markdown_figure(const Notebook *nb, const json_t *ev, const char *files,
                            Str *out, Err *err)
{
    char name[128], link[400];
    const char *folder = strrchr(files, '/');
    Figure *f = nb->reader ? jreader_figure(nb->reader, ev, err) : NULL;
    if (!f)
        return false;
    bool ok = !figure_is_picture(f) || copy_picture(nb, ev, files, name, err);
    snprintf(link, sizeof link, "%.255s/%s", folder ? folder + 1 : files,
             figure_is_picture(f) && ok ? name : "");
    ok = ok && figure_markdown(f, link, out, err);
    str_add(out, "\n");
    figure_free(f);
    return ok;
}

bool markdown_write(const Notebook *nb, const char *files, Str *out, Err *err)
{
    for (int i = 0; i < nb->doc->n; i++) {
        const Cell *c = nb->doc->cell[i];
        if (c->type == CELL_MARKDOWN) {
            str_addf(out, "%s\n\n", c->text);
            continue;
        }
        if (c->text[0])
            fenced(c->text, c->type == CELL_CODE ? "lua" : "", out);
        for (size_t k = 0; k < json_array_size(c->outputs); k++) {
            const json_t *ev = json_array_get(c->outputs, k);
            Str t;
            str_init(&t);
            if (plain_output(nb, c, ev, &t))
                fenced(t.s, "text", out);
            else if (!markdown_figure(nb, ev, files, out, err)) {
                str_done(&t);
                return false;
            }
            str_done(&t);
        }
    }
    return str_ok(out, err);
}

/* --- HTML ------------------------------------------------------------------------- */

static void escaped(const char *s, size_t n, Str *out)
{
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)s[i];
        if (c == '<')
            str_add(out, "&lt;");
        else if (c == '>')
            str_add(out, "&gt;");
        else if (c == '&')
            str_add(out, "&amp;");
        else if (c == '"')
            str_add(out, "&quot;");
        else if (c < ' ' && c != '\n' && c != '\t')
            str_addf(out, "&#x%X;", 0x2400u + c); /* its visible picture */
        else
            str_addc(out, (char)c);
    }
}

static void block(const char *class, const char *text, Str *out)
{
    str_addf(out, "<pre class=\"%s\">", class);
    escaped(text, strlen(text), out);
    str_add(out, "</pre>\n");
}

static void code(const char *text, Str *out)
{
    static const char *const class[] = {[LEX_KEYWORD] = "k",
                                        [LEX_NUMBER] = "n",
                                        [LEX_STRING] = "s",
                                        [LEX_COMMENT] = "c",
                                        [LEX_OP] = NULL};
    Lex l;
    size_t at = 0, n = strlen(text);
    str_add(out, "<pre class=\"code\">");
    lex_start(&l, text, n);
    while (lex_next(&l)) {
        escaped(text + at, l.from - at, out);
        if (class[l.kind])
            str_addf(out, "<b class=\"%s\">", class[l.kind]);
        escaped(text + l.from, l.to - l.from, out);
        if (class[l.kind])
            str_add(out, "</b>");
        at = l.to;
    }
    escaped(text + at, n - at, out);
    str_add(out, "</pre>\n");
}

static void html_table(const Figure *f, Str *out)
{
    str_add(out, "<table>");
    if (f->title) {
        str_add(out, "<caption>");
        escaped(f->title, strlen(f->title), out);
        str_add(out, "</caption>");
    }
    for (int r = -1; r < f->n_rows; r++) {
        str_add(out, "<tr>");
        for (int c = 0; c < f->n_cols; c++) {
            const char *text = r < 0 ? f->head[c] : f->cell[r * f->n_cols + c];
            str_addf(out, r < 0 ? "<th>" : f->numeric[c] ? "<td class=\"r\">" : "<td>");
            escaped(text ? text : "", text ? strlen(text) : 0, out);
            str_add(out, r < 0 ? "</th>" : "</td>");
        }
        str_add(out, "</tr>\n");
    }
    str_add(out, "</table>\n");
    if (f->caption) {
        str_add(out, "<p>");
        escaped(f->caption, strlen(f->caption), out);
        str_add(out, "</p>\n");
    }
}

static bool html_figure(const Notebook *nb, const json_t *ev, Str *out, Err *err)
{
    Figure *f = nb->reader ? jreader_figure(nb->reader, ev, err) : NULL;
    bool ok = f != NULL;
    if (f && f->kind == FIG_TABLE) {
        html_table(f, out);
    } else if (f && f->kind == FIG_TEXT) {
        block("out", f->text ? f->text : "", out);
    } else if (f) {
        str_add(out, "<img alt=\"");
        escaped(f->title ? f->title : "", f->title ? strlen(f->title) : 0, out);
        str_add(out, "\" src=\"data:image/png;base64,");
        ok = output_png64(nb, ev, out, err);
        str_add(out, "\">\n");
    }
    figure_free(f);
    return ok;
}

static const char style[] =
    "body{font:16px/1.5 sans-serif;max-width:60em;margin:2em auto;padding:0 1em}\n"
    "pre{font:14px/1.4 monospace;overflow-x:auto;padding:.6em;margin:.4em 0}\n"
    ".code{background:#f4f4f4;border-left:3px solid #888}.out{margin-left:1em}\n"
    ".error{color:#a00;margin-left:1em}.k{color:#00688b}.s{color:#7a3e00}\n"
    ".n{color:#5b2a86}.c{color:#777;font-weight:normal}b{font-weight:normal}\n"
    ".md{white-space:pre-wrap;font:inherit}table{border-collapse:collapse;margin:1em}\n"
    "td,th{padding:.1em .8em;border-bottom:1px solid #ddd}.r{text-align:right}\n"
    "img{max-width:100%;margin-left:1em}\n"
    "@media(prefers-color-scheme:dark){body{background:#111;color:#ddd}\n"
    ".code{background:#1c1c1c}.k{color:#6cf}.s{color:#fb6}.n{color:#c9f}}\n";

/* Headings are told by their signs; everything else is shown as it was written. */
static void markdown_html(const char *text, Str *out)
{
    const char *s = text;
    while (*s) {
        size_t n = strcspn(s, "\n"), level = strspn(s, "#");
        if (level >= 1 && level <= 6 && s[level] == ' ') {
            str_addf(out, "<h%zu>", level);
            escaped(s + level + 1, n - level - 1, out);
            str_addf(out, "</h%zu>\n", level);
            s += n + (s[n] == '\n');
            continue;
        }
        const char *end = s;
        while (*end && strspn(end, "#") == 0) {
            end += strcspn(end, "\n");
            end += *end == '\n';
        }
        if (end == s)
            end = s + n + (s[n] == '\n');
        str_add(out, "<p class=\"md\">");
        escaped(s, (size_t)(end - s), out);
        str_add(out, "</p>\n");
        s = end;
    }
}

bool html_write(const Notebook *nb, Str *out, Err *err)
{
    const char *name = strrchr(nb->place.file, '/');
    name = name ? name + 1 : nb->place.file;
    str_add(
        out,
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n<title>");
    escaped(name, strlen(name), out);
    str_addf(out, "</title>\n<style>\n%s</style></head><body>\n", style);
    for (int i = 0; i < nb->doc->n; i++) {
        const Cell *c = nb->doc->cell[i];
        if (c->type == CELL_MARKDOWN)
            markdown_html(c->text, out);
        else if (c->type == CELL_RAW)
            block("out", c->text, out);
        else if (c->text[0])
            code(c->text, out);
        for (size_t k = 0; k < json_array_size(c->outputs); k++) {
            const json_t *ev = json_array_get(c->outputs, k);
            bool error = strcmp(jval_get(ev, "ev", ""), "error") == 0;
            Str t;
            str_init(&t);
            bool ok = true;
            if (plain_output(nb, c, ev, &t))
                block(error ? "error" : "out", t.s, out);
            else
                ok = html_figure(nb, ev, out, err);
            str_done(&t);
            if (!ok)
                return false;
        }
    }
    str_add(out, "</body></html>\n");
    return str_ok(out, err);
}
