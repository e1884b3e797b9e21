/* jfigure.c -- a figure into JSON: one function a kind, members named as in Figure. */
#include "lab/jfigure.h"

#include "lab/jval.h"

static const char *const scale_name[] = {
    [SCALE_SHARED] = "shared", [SCALE_EACH] = "each", [SCALE_P99] = "p99"};
static const char *const mark_name[] = {
    [MARK_LINE] = "line", [MARK_POINTS] = "points", [MARK_BINS] = "bins"};

/* Appends, or drops the whole list: what follows sees NULL. */
static json_t *append(json_t *list, json_t *taken)
{
    if (json_array_append_new(list, taken) == 0)
        return list;
    json_decref(list);
    return NULL;
}

static json_t *texts(char *const *list, int n)
{
    json_t *a = json_array();
    for (int i = 0; a && i < n; i++)
        a = append(a, jval_str(list[i] ? list[i] : ""));
    return a;
}

static json_t *flags(const bool *list, int n)
{
    json_t *a = json_array();
    for (int i = 0; a && i < n; i++)
        a = append(a, json_boolean(list[i]));
    return a;
}

static json_t *numbers(const double *list, int n)
{
    json_t *a = json_array();
    for (int i = 0; a && i < n; i++)
        a = append(a, jval_number(list[i]));
    return a;
}

/* Only where they are not as usual: older readers know neither. */
static bool describe_colours(const Figure *f, json_t *o)
{
    return (f->tone == TONE_GREY ||
            jval_set(o, "tone", json_string(tone_name(f->tone)))) &&
           (!(f->limit > 0) || jval_set(o, "limit", jval_number(f->limit)));
}

static bool describe_images(const Figure *f, json_t *o)
{
    return jval_set(o, "n", json_integer(f->n)) &&
           jval_set(o, "h", json_integer(f->h)) &&
           jval_set(o, "w", json_integer(f->w)) &&
           (!f->rgb || jval_set(o, "channels", json_integer(3))) &&
           jval_set(o, "signed", json_boolean(f->is_signed)) &&
           jval_set(o, "scale", json_string(scale_name[f->scale])) &&
           describe_colours(f, o) && jval_set(o, "per_row", json_integer(f->per_row)) &&
           (f->group < 2 || jval_set(o, "group", json_integer(f->group))) &&
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

static bool describe_text(const Figure *f, json_t *o)
{
    return jval_set(o, "text", jval_str(f->text ? f->text : ""));
}

static json_t *axis(const FigAxis *a)
{
    json_t *o = json_object();
    bool ok = o && jval_set(o, "log", json_boolean(a->log)) &&
              (!a->label || jval_set(o, "label", jval_str(a->label))) &&
              (!(a->lo < a->hi) || (jval_set(o, "lo", jval_number(a->lo)) &&
                                    jval_set(o, "hi", jval_number(a->hi))));
    if (ok)
        return o;
    json_decref(o);
    return NULL;
}

static json_t *one_series(const Series *s)
{
    json_t *o = json_object();
    int n_x = s->mark == MARK_BINS ? s->n + 1 : s->n;
    bool ok = o && jval_set(o, "mark", json_string(mark_name[s->mark])) &&
              (!s->name || jval_set(o, "name", jval_str(s->name))) &&
              (!s->x || jval_set(o, "x", numbers(s->x, n_x))) &&
              jval_set(o, "y", numbers(s->y, s->n)) &&
              (!s->lo || (jval_set(o, "lo", numbers(s->lo, s->n)) &&
                          jval_set(o, "hi", numbers(s->hi, s->n)))) &&
              (!s->label || jval_set(o, "labels", texts(s->label, s->n)));
    if (ok)
        return o;
    json_decref(o);
    return NULL;
}

static bool describe_plot(const Figure *f, json_t *o)
{
    json_t *list = json_array();
    for (int i = 0; list && i < f->n_series; i++)
        list = append(list, one_series(&f->series[i]));
    return jval_set(o, "series", list) && jval_set(o, "x", axis(&f->x)) &&
           jval_set(o, "y", axis(&f->y));
}

static bool describe_bars(const Figure *f, json_t *o)
{
    return describe_plot(f, o) && jval_set(o, "left", texts(f->left, f->n_left)) &&
           jval_set(o, "signed", json_boolean(f->is_signed));
}

static bool describe_sides(const Figure *f, json_t *o)
{
    return jval_set(o, "left", texts(f->left, f->n_left)) &&
           jval_set(o, "right", texts(f->right, f->n_right));
}

static bool describe_heat(const Figure *f, json_t *o)
{
    return describe_images(f, o) && describe_sides(f, o);
}

static json_t *edge_list(const Figure *f)
{
    json_t *list = json_array();
    for (int i = 0; list && i < f->n_edges; i++)
        list = append(list, json_pack("[i,i,o]", f->edges[i].left, f->edges[i].right,
                                      jval_number(f->edges[i].weight)));
    return list;
}

static bool describe_bipartite(const Figure *f, json_t *o)
{
    return jval_set(o, "edges", edge_list(f)) && describe_sides(f, o);
}

static bool describe_diagram(const Figure *f, json_t *o)
{
    json_t *stages = json_array();
    for (int i = 0; stages && i < f->n_stages; i++)
        stages = append(stages, json_integer(f->stage[i]));
    return jval_set(o, "stages", stages) && jval_set(o, "edges", edge_list(f)) &&
           jval_set(o, "left", texts(f->left, f->n_left)) &&
           jval_set(o, "signed", json_boolean(f->is_signed)) && describe_colours(f, o);
}

static json_t *between_list(const Figure *f)
{
    json_t *list = json_array();
    for (int i = 0; list && i < f->n_between; i++) {
        const Between *b = &f->between[i];
        const double v[] = {b->value,   b->lo,      b->hi,   b->null,
                            b->null_lo, b->null_hi, b->limit};
        list = append(list, json_pack("{s:o,s:o}", "name", jval_str(b->name), "numbers",
                                      numbers(v, (int)ARRAY_LEN(v))));
    }
    return list;
}

static bool describe_between(const Figure *f, json_t *o)
{
    return jval_set(o, "between", between_list(f));
}

static bool describe_page(const Figure *f, json_t *o)
{
    json_t *list = json_array();
    for (int i = 0; list && i < f->n_parts; i++)
        list = append(list, jfigure_describe(f->parts[i]));
    return jval_set(o, "parts", list) &&
           jval_set(o, "per_row", json_integer(f->per_row)) &&
           (!f->multiples || jval_set(o, "multiples", json_true()));
}

static bool describe_components(const Figure *f, json_t *o)
{
    json_t *list = json_array();
    for (int i = 0; list && i < f->n_series; i++)
        list = append(list, one_series(&f->series[i]));
    return jval_set(o, "series", list) && jval_set(o, "left", texts(f->left, f->n_left)) &&
           jval_set(o, "between", between_list(f)) && describe_page(f, o);
}

static bool (*const describe[FIG_KINDS])(const Figure *f, json_t *o) = {
    [FIG_IMAGES] = describe_images,       [FIG_TABLE] = describe_table,
    [FIG_TEXT] = describe_text,           [FIG_PLOT] = describe_plot,
    [FIG_BARS] = describe_bars,           [FIG_HEAT] = describe_heat,
    [FIG_BIPARTITE] = describe_bipartite, [FIG_BETWEEN] = describe_between,
    [FIG_PAGE] = describe_page,           [FIG_COMPONENTS] = describe_components,
    [FIG_DIAGRAM] = describe_diagram,
};

json_t *jfigure_describe(const Figure *f)
{
    json_t *o = json_object();
    bool ok = o && jval_set(o, "kind", json_string(figure_kind_name(f->kind))) &&
              (!f->title || jval_set(o, "title", jval_str(f->title))) &&
              (!f->caption || jval_set(o, "caption", jval_str(f->caption))) &&
              (!f->each || jval_set(o, "each", json_true())) &&
              describe[f->kind](f, o);
    if (ok)
        return o;
    json_decref(o);
    return NULL;
}

static size_t own_pixels(const Figure *f)
{
    return f->pixels ? (size_t)f->n * figure_plane(f) : 0;
}

size_t jfigure_pixels(const Figure *f)
{
    size_t n = own_pixels(f);
    for (int i = 0; i < f->n_parts; i++)
        n += jfigure_pixels(f->parts[i]);
    return n;
}

bool jfigure_write_pixels(const Figure *f, FileOut *out, Err *err)
{
    bool ok =
        !f->pixels || fileout_write(out, f->pixels, own_pixels(f) * sizeof(float), err);
    for (int i = 0; ok && i < f->n_parts; i++)
        ok = jfigure_write_pixels(f->parts[i], out, err);
    return ok;
}
