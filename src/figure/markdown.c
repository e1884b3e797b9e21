/* markdown.c -- figures as GitHub Markdown. All text is foreign: characters that mean
 * something to Markdown or HTML are escaped, controls become placeholders, and a text
 * block's fence is longer than any run of backticks in it. */
#include <ctype.h>
#include <string.h>

#include "figure/clean.h"
#include "figure/figure.h"

static bool is_word(char c)
{
    return isalnum((unsigned char)c) || (unsigned char)c >= 0x80;
}

/* An underscore inside a word is harmless, and metric names are full of them. */
static bool needs_escape(const char *s, size_t i)
{
    if (s[i] == '_')
        return !(i > 0 && is_word(s[i - 1]) && is_word(s[i + 1]));
    return s[i] != '\0' && strchr("\\`*[]<>|&~#$", s[i]) != NULL;
}

/* One line: newlines and tabs become `gap`. */
static void add_escaped(const char *s, const char *gap, Str *out)
{
    size_t n = strlen(s);
    for (size_t i = 0; i < n;) {
        Glyph g;
        size_t len = glyph_next(s + i, n - i, 0, &g);
        if (s[i] == '\n' || s[i] == '\t') {
            str_add(out, s[i] == '\n' ? gap : " ");
        } else {
            if (needs_escape(s, i))
                str_addc(out, '\\');
            clean_text(s + i, len, out);
        }
        i += len;
    }
}

/* A paragraph; what would open a list or a heading at a line's start is escaped. */
static void add_paragraph(const char *s, const char *around, Str *out)
{
    size_t digits = strspn(s, "0123456789");
    str_add(out, around);
    if (*s && strchr("+-=", *s)) {
        str_addc(out, '\\');
    } else if (digits > 0 && (s[digits] == '.' || s[digits] == ')')) {
        str_addn(out, s, digits);
        str_addc(out, '\\');
        s += digits;
    }
    add_escaped(s, " ", out);
    str_addf(out, "%s\n", around);
}

/* A path inside <...>: what is no plain path character is percent-encoded. */
static void add_link(const char *path, Str *out)
{
    for (; *path; path++) {
        if (isalnum((unsigned char)*path) || strchr("-._~/+,=@:", *path))
            str_addc(out, *path);
        else
            str_addf(out, "%%%02X", (unsigned char)*path);
    }
}

static void add_picture(const Figure *f, const char *png_name, Str *out)
{
    if (!png_name && f->kind == FIG_IMAGES) {
        str_addf(out, "(%d image%s of %d x %d)\n", f->n, f->n > 1 ? "s" : "", f->h,
                 f->w);
        return;
    }
    if (!png_name) {
        str_addf(out, "(a figure of kind %s)\n", figure_kind_name(f->kind));
        return;
    }
    str_add(out, "![");
    add_escaped(f->title ? f->title : figure_kind_name(f->kind), " ", out);
    str_add(out, "](");
    add_link(png_name, out);
    str_add(out, ")\n");
}

static void add_table_row(const Figure *f, int row, Str *out)
{
    str_add(out, "|");
    for (int j = 0; j < f->n_cols; j++) {
        const char *s = row < 0 ? f->head[j]
                                : f->cell[(size_t)row * (size_t)f->n_cols + (size_t)j];
        str_add(out, " ");
        add_escaped(s, "<br>", out);
        str_add(out, " |");
    }
    str_add(out, "\n");
}

static void add_table(const Figure *f, Str *out)
{
    add_table_row(f, -1, out);
    str_add(out, "|");
    for (int j = 0; j < f->n_cols; j++)
        str_add(out, f->numeric[j] ? " ---: |" : " --- |");
    str_add(out, "\n");
    for (int i = 0; i < f->n_rows; i++)
        add_table_row(f, i, out);
}

static void add_fenced(const char *s, Str *out)
{
    size_t longest = 2, n = strlen(s);
    for (const char *p = s; (p = strchr(p, '`')) != NULL;) {
        size_t run = strspn(p, "`");
        longest = run > longest ? run : longest;
        p += run;
    }
    for (size_t i = 0; i <= longest; i++)
        str_addc(out, '`');
    str_add(out, "text\n");
    clean_text(s, n, out);
    if (n > 0 && s[n - 1] != '\n')
        str_addc(out, '\n');
    for (size_t i = 0; i <= longest; i++)
        str_addc(out, '`');
    str_addc(out, '\n');
}

bool figure_markdown(const Figure *f, const char *png_name, Str *out, Err *err)
{
    if (f->title) {
        add_paragraph(f->title, "**", out);
        str_addc(out, '\n');
    }
    if (figure_is_picture(f))
        add_picture(f, png_name, out);
    else if (f->kind == FIG_TABLE)
        add_table(f, out);
    else
        add_fenced(f->text, out);
    if (f->caption) {
        str_addc(out, '\n');
        add_paragraph(f->caption, "", out);
    }
    return str_ok(out, err);
}
