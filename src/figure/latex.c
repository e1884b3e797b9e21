/* latex.c -- tables as booktabs, texts verbatim, pictures by \includegraphics. All text
 * is foreign: what means something to TeX is escaped, controls become placeholders. */
#include <string.h>

#include "figure/clean.h"
#include "figure/figure.h"

static const char *escaped(char c)
{
    switch (c) {
    case '\\': return "\\textbackslash{}";
    case '~': return "\\textasciitilde{}";
    case '^': return "\\textasciicircum{}";
    case '&': return "\\&";
    case '%': return "\\%";
    case '$': return "\\$";
    case '#': return "\\#";
    case '_': return "\\_";
    case '{': return "\\{";
    case '}': return "\\}";
    case '<': return "\\textless{}";
    case '>': return "\\textgreater{}";
    case '|': return "\\textbar{}";
    case '-': /* or two of them become a dash */ return "-{}";
    case '[': /* an option of what stands before */ return "{[}";
    case ']': return "{]}";
    case '"': return "\\textquotedbl{}";
    case '\'': return "'{}";
    case '`': return "`{}";
    default: return NULL;
    }
}

static void add_escaped(const char *s, Str *out)
{
    Str clean;
    str_init(&clean);
    clean_text(s, strlen(s), &clean);
    for (const char *p = clean.s; *p; p++) {
        const char *e = escaped(*p);
        if (strncmp(p, "\xEF\xBF\xBD", 3) == 0) { /* TeX has no such sign */
            str_addc(out, '?');
            p += 2;
        } else if (e)
            str_add(out, e);
        else
            str_addc(out, *p == '\n' || *p == '\t' ? ' ' : *p);
    }
    out->oom = out->oom || clean.oom;
    str_done(&clean);
}

/* "-0.5" as -0.5 in mathematics, so that the minus is one. */
static void add_cell(const char *s, bool numeric, Str *out)
{
    bool minus = numeric && s[0] == '-' && s[1] >= '0' && s[1] <= '9';
    if (minus)
        str_add(out, "$-$");
    add_escaped(minus ? s + 1 : s, out);
}

static void add_table(const Figure *f, Str *out)
{
    str_add(out, "\\begin{tabular}{");
    for (int j = 0; j < f->n_cols; j++)
        str_addc(out, f->numeric[j] ? 'r' : 'l');
    str_add(out, "}\n\\toprule\n");
    for (int i = -1; i < f->n_rows; i++) {
        for (int j = 0; j < f->n_cols; j++) {
            if (i < 0)
                add_escaped(f->head[j], out);
            else
                add_cell(f->cell[(size_t)i * (size_t)f->n_cols + (size_t)j],
                         f->numeric[j], out);
            str_add(out, j + 1 < f->n_cols ? " & " : " \\\\\n");
        }
        if (i < 0)
            str_add(out, "\\midrule\n");
    }
    str_add(out, "\\bottomrule\n\\end{tabular}\n");
}

/* Each line on its own: a verbatim environment could be ended from inside. */
static void add_text(const char *s, Str *out)
{
    str_add(out, "\\begin{flushleft}\\ttfamily\n");
    while (*s) {
        size_t n = strcspn(s, "\n");
        Str line;
        str_init(&line);
        str_addn(&line, s, n);
        str_add(out, "\\mbox{");
        add_escaped(line.s, out);
        str_add(out, s[n] ? "}\\\\\n" : "}\n");
        out->oom = out->oom || line.oom;
        str_done(&line);
        s += n + (s[n] == '\n');
    }
    str_add(out, "\\end{flushleft}\n");
}

bool figure_latex(const Figure *f, const char *picture, Str *out, Err *err)
{
    bool table = f->kind == FIG_TABLE;
    str_addf(out, "\\begin{%s}\n\\centering\n", table ? "table" : "figure");
    if (f->kind == FIG_TABLE)
        add_table(f, out);
    else if (f->kind == FIG_TEXT)
        add_text(f->text, out);
    else if (picture)
        str_addf(out, "\\includegraphics{\\detokenize{%s}}\n", picture);
    if (table && (f->title || f->caption)) {
        str_add(out, "\\caption{");
        add_escaped(f->title ? f->title : "", out);
        str_add(out, f->title && f->caption ? ". " : "");
        add_escaped(f->caption ? f->caption : "", out);
        str_add(out, "}\n");
    }
    str_addf(out, "\\end{%s}\n", table ? "table" : "figure");
    return str_ok(out, err);
}
