/* csv.c -- the numbers behind a figure in long form: one line a value with the names it
 * has, so that any table program can pivot it. Numbers have 17 digits where they need
 * them; texts are quoted by RFC 4180 and otherwise as they are. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/intr.h"
#include "figure/figure.h"

static void add_text(Str *out, const char *s)
{
    bool quote =
        strpbrk(s, ",\"\r\n") != NULL || *s == ' ' || (*s && s[strlen(s) - 1] == ' ');
    if (!quote) {
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

/* The shortest text that reads back to the same bits; "" is missing. */
static void add_number(Str *out, double v)
{
    char s[40];
    if (isnan(v))
        return;
    for (int digits = 6; digits <= 17; digits++) {
        snprintf(s, sizeof s, "%.*g", digits, v);
        if (strtod(s, NULL) == v)
            break;
    }
    str_add(out, s);
}

static void add_float(Str *out, float v)
{
    char s[40];
    if (isnan(v))
        return;
    for (int digits = 4; digits <= 9; digits++) {
        snprintf(s, sizeof s, "%.*g", digits, (double)v);
        if (strtof(s, NULL) == v)
            break;
    }
    str_add(out, s);
}

static const char *name_of(char *const *names, int i)
{
    return names && names[i] ? names[i] : "";
}

static bool add_images(const Figure *f, Str *out, Err *err)
{
    size_t plane = (size_t)f->h * (size_t)f->w;
    str_addf(out, "image,label,row,column,%s\n", f->rgb ? "red,green,blue" : "value");
    for (int i = 0; i < f->n; i++)
        for (int y = 0; y < f->h; y++) {
            if (!intr_check(err))
                return false;
            for (int x = 0; x < f->w; x++) {
                str_addf(out, "%d,", i);
                add_text(out, name_of(f->labels, i));
                str_addf(out, ",%d,%d", y, x);
                for (size_t k = 0; k < figure_plane(f); k += plane) {
                    str_addc(out, ',');
                    add_float(out, f->pixels[(size_t)i * figure_plane(f) + k +
                                             (size_t)y * (size_t)f->w + (size_t)x]);
                }
                str_addc(out, '\n');
            }
        }
    return true;
}

static void add_heat(const Figure *f, Str *out)
{
    str_add(out, "row,column,row_name,column_name,value\n");
    for (int y = 0; y < f->h; y++)
        for (int x = 0; x < f->w; x++) {
            str_addf(out, "%d,%d,", y, x);
            add_text(out, f->left[y]);
            str_addc(out, ',');
            add_text(out, f->right[x]);
            str_addc(out, ',');
            add_float(out, f->pixels[(size_t)y * (size_t)f->w + (size_t)x]);
            str_addc(out, '\n');
        }
}

static void add_table(const Figure *f, Str *out)
{
    for (int i = -1; i < f->n_rows; i++)
        for (int j = 0; j < f->n_cols; j++) {
            add_text(out, i < 0 ? f->head[j]
                                : f->cell[(size_t)i * (size_t)f->n_cols + (size_t)j]);
            str_addc(out, j + 1 < f->n_cols ? ',' : '\n');
        }
}

static void add_band(const Series *s, int k, Str *out)
{
    str_addc(out, ',');
    add_number(out, s->y[k]);
    str_addc(out, ',');
    add_number(out, s->lo ? s->lo[k] : (double)NAN);
    str_addc(out, ',');
    add_number(out, s->hi ? s->hi[k] : (double)NAN);
}

/* x_end is the right edge of a bin. */
static bool add_plot(const Figure *f, Str *out, Err *err)
{
    str_add(out, "series,x,x_end,y,lo,hi,label\n");
    for (int i = 0; i < f->n_series; i++) {
        const Series *s = &f->series[i];
        if (!intr_check(err))
            return false;
        for (int k = 0; k < s->n; k++) {
            add_text(out, s->name ? s->name : "");
            str_addc(out, ',');
            add_number(out, s->x[k]);
            str_addc(out, ',');
            add_number(out, s->mark == MARK_BINS ? s->x[k + 1] : (double)NAN);
            add_band(s, k, out);
            str_addc(out, ',');
            add_text(out, name_of(s->label, k));
            str_addc(out, '\n');
        }
    }
    return true;
}

static void add_bars(const Figure *f, Str *out)
{
    str_add(out, "name,series,y,lo,hi\n");
    for (int k = 0; k < f->n_left; k++)
        for (int i = 0; i < f->n_series; i++) {
            add_text(out, f->left[k]);
            str_addc(out, ',');
            add_text(out, f->series[i].name ? f->series[i].name : "");
            add_band(&f->series[i], k, out);
            str_addc(out, '\n');
        }
}

static void add_edges(const Figure *f, Str *out)
{
    str_add(out, "left,right,left_name,right_name,weight\n");
    for (int i = 0; i < f->n_edges; i++) {
        const Edge *e = &f->edges[i];
        str_addf(out, "%d,%d,", e->left, e->right);
        add_text(out, f->left[e->left]);
        str_addc(out, ',');
        add_text(out, f->kind == FIG_DIAGRAM ? f->left[e->right] : f->right[e->right]);
        str_addc(out, ',');
        add_number(out, e->weight);
        str_addc(out, '\n');
    }
}

static void add_between(const Figure *f, Str *out)
{
    str_add(out, "name,value,lo,hi,null,null_lo,null_hi,limit,share,verdict\n");
    for (int i = 0; i < f->n_between; i++) {
        const Between *b = &f->between[i];
        double v[] = {b->value,   b->lo,      b->hi,    b->null,
                      b->null_lo, b->null_hi, b->limit, 0};
        between_verdict(b, &v[ARRAY_LEN(v) - 1]);
        add_text(out, b->name);
        for (size_t k = 0; k < ARRAY_LEN(v); k++) {
            str_addc(out, ',');
            add_number(out, v[k]);
        }
        Str words;
        str_init(&words);
        between_words(b, &words);
        str_addc(out, ',');
        add_text(out, words.s);
        out->oom = out->oom || words.oom;
        str_done(&words);
        str_addc(out, '\n');
    }
}

/* The parts one below the other, a blank line between. */
static bool add_parts(const Figure *f, Str *out, Err *err)
{
    for (int i = 0; i < f->n_parts; i++) {
        if (i > 0)
            str_addc(out, '\n');
        if (!figure_csv(f->parts[i], out, err))
            return false;
    }
    return true;
}

/* One line a component, one column a metric. */
static void add_components(const Figure *f, Str *out)
{
    str_add(out, "component,name");
    for (int k = 0; k < f->n_series; k++) {
        str_addc(out, ',');
        add_text(out, f->series[k].name ? f->series[k].name : "");
    }
    str_addc(out, '\n');
    for (int i = 0; i < f->n_left; i++) {
        str_addf(out, "%d,", i);
        add_text(out, f->left[i]);
        for (int k = 0; k < f->n_series; k++) {
            str_addc(out, ',');
            add_number(out, f->series[k].y[i]);
        }
        str_addc(out, '\n');
    }
}

bool figure_csv(const Figure *f, Str *out, Err *err)
{
    bool ok = true;
    switch (f->kind) {
    case FIG_IMAGES: ok = add_images(f, out, err); break;
    case FIG_TABLE: add_table(f, out); break;
    case FIG_TEXT:
        add_text(out, "text");
        str_addc(out, '\n');
        add_text(out, f->text);
        str_addc(out, '\n');
        break;
    case FIG_PLOT: ok = add_plot(f, out, err); break;
    case FIG_BARS: add_bars(f, out); break;
    case FIG_HEAT: add_heat(f, out); break;
    case FIG_BIPARTITE:
    case FIG_DIAGRAM: add_edges(f, out); break;
    case FIG_BETWEEN: add_between(f, out); break;
    case FIG_PAGE: ok = add_parts(f, out, err); break;
    case FIG_COMPONENTS: add_components(f, out); break;
    }
    return ok && str_ok(out, err);
}
