/* runs_curve.c -- curves from metrics.jsonl, and several of them as one with a band. */
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "lab/jval.h"
#include "lab/runs.h"

enum { FILE_MAX = 1 << 30 };

static Curve *curve_named(Curves *c, const char *name, Err *err)
{
    for (size_t i = 0; i < c->n; i++) {
        if (strcmp(c->curve[i].name, name) == 0)
            return &c->curve[i];
    }
    Curve *more = mem_realloc(c->curve, (c->n + 1) * sizeof *more, err);
    if (!more)
        return NULL;
    c->curve = more;
    c->curve[c->n] = (Curve){.name = mem_strdup(name, err)};
    return c->curve[c->n].name ? &c->curve[c->n++] : NULL;
}

static bool add_point(Curve *c, double step, double value, Err *err)
{
    if (c->n == c->cap) {
        size_t cap = c->cap ? 2 * c->cap : 64;
        double *step_ = mem_realloc(c->step, cap * sizeof *step_, err);
        if (step_)
            c->step = step_;
        double *value_ =
            step_ ? mem_realloc(c->value, cap * sizeof *value_, err) : NULL;
        if (!value_)
            return false;
        c->value = value_;
        c->cap = cap;
    }
    c->step[c->n] = step;
    c->value[c->n++] = value;
    return true;
}

bool runs_curves(const RunRow *row, Curves *out, Err *err)
{
    char path[PATH_MAX], *text;
    size_t n;
    bool ok = true;
    *out = (Curves){0};
    if (!path_join(path, sizeof path, row->dir, "metrics.jsonl", err))
        return false;
    if (!file_exists(path))
        return true;
    if (!file_read_all(path, FILE_MAX, &text, &n, err))
        return false;
    for (char *s = text, *nl; ok && (nl = memchr(s, '\n', n - (size_t)(s - text)));
         s = nl + 1) {
        const char *key;
        json_t *v, *line = jval_parse(s, (size_t)(nl - s), NULL);
        double step = jval_to_number(json_object_get(line, "step"), NAN);
        json_object_foreach(line, key, v)
        {
            if (!ok || strcmp(key, "step") == 0 || strcmp(key, "t") == 0)
                continue;
            Curve *c = curve_named(out, key, err);
            ok = c && add_point(c, step, jval_to_number(v, NAN), err);
        }
        json_decref(line);
    }
    mem_free(text);
    if (!ok)
        runs_curves_done(out);
    return ok;
}

void runs_curves_done(Curves *c)
{
    for (size_t i = 0; i < c->n; i++) {
        mem_free(c->curve[i].name);
        mem_free(c->curve[i].step);
        mem_free(c->curve[i].value);
    }
    mem_free(c->curve);
    *c = (Curves){0};
}

/* --- bands ------------------------------------------------------------------------ */

typedef struct Point {
    double step, value;
} Point;

static int by_step(const void *a, const void *b)
{
    const Point *p = a, *q = b;
    return (p->step > q->step) - (p->step < q->step);
}

static Point *all_points(const Curves *runs, size_t n_runs, const char *name, size_t *n,
                         Err *err)
{
    size_t cap = 0, at = 0;
    for (size_t i = 0; i < n_runs; i++) {
        for (size_t k = 0; k < runs[i].n; k++)
            cap += strcmp(runs[i].curve[k].name, name) == 0 ? runs[i].curve[k].n : 0;
    }
    Point *p = mem_array(cap, sizeof *p, err);
    for (size_t i = 0; p && i < n_runs; i++) {
        for (size_t k = 0; k < runs[i].n; k++) {
            const Curve *c = &runs[i].curve[k];
            for (size_t j = 0; strcmp(c->name, name) == 0 && j < c->n; j++) {
                if (isfinite(c->step[j]))
                    p[at++] = (Point){c->step[j], c->value[j]};
            }
        }
    }
    if (p && at > 1)
        qsort(p, at, sizeof *p, by_step);
    *n = at;
    return p;
}

double *runs_band(const Curves *runs, size_t n_runs, const char *name, size_t *n,
                  Err *err)
{
    size_t m, at = 0;
    Point *p = all_points(runs, n_runs, name, &m, err);
    double *value = p ? mem_array(m, sizeof *value, err) : NULL;
    double *out = value ? mem_array(4 * m, sizeof *out, err) : NULL;
    for (size_t i = 0, k; out && i < m; i = k) {
        size_t count = 0;
        for (k = i; k < m && p[k].step <= p[i].step; k++)
            value[count++] = p[k].value;
        Spread s = spread_of(value, count);
        double half = s.n > 1 ? s.half : 0;
        out[at] = p[i].step;
        out[m + at] = s.mean;
        out[2 * m + at] = s.mean - half;
        out[3 * m + at++] = s.mean + half;
    }
    for (size_t part = 1; out && part < 4; part++)
        memmove(out + part * at, out + part * m, at * sizeof *out);
    *n = at;
    mem_free(p);
    mem_free(value);
    return out;
}
