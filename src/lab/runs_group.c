/* runs_group.c -- groups of runs, and numbers over their seeds. Everything goes through
 * one value a seed: the mean over the runs that share it. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "lab/jval.h"
#include "lab/runs.h"

enum { MAX_KEYS = 16 };

typedef struct Keys {
    char text[1024];
    const char *item[MAX_KEYS];
    size_t n;
} Keys;

static bool split_keys(const char *list, Keys *k, Err *err)
{
    k->n = 0;
    if (!text_copy(k->text, sizeof k->text, list))
        return err_set(err, ERR_OPTION, "the list of keys to group by is too long");
    char *rest = k->text;
    for (char *s; (s = strsep(&rest, ",")) != NULL;) {
        if (!s[0])
            continue;
        if (k->n == MAX_KEYS)
            return err_set(err, ERR_OPTION, "runs are grouped by at most %d keys",
                           MAX_KEYS);
        k->item[k->n++] = s;
    }
    return true;
}

static json_t *label_of(const RunRow *row, const Keys *k)
{
    json_t *label = json_object();
    for (size_t i = 0; label && i < k->n; i++) {
        const json_t *v = runs_value(row, k->item[i]);
        json_object_set_new(label, k->item[i], v ? json_deep_copy(v) : json_null());
    }
    return label;
}

static bool add_member(RunGroup *g, size_t row, Err *err)
{
    size_t *more = mem_realloc(g->member, (g->n + 1) * sizeof *more, err);
    if (!more)
        return false;
    g->member = more;
    g->member[g->n++] = row;
    return true;
}

/* The group with this label, made when there is none; takes the label. */
static RunGroup *group_of(RunGroups *g, json_t *taken_label, json_t *index, Err *err)
{
    char *text = taken_label ? json_dumps(taken_label, JSON_COMPACT) : NULL;
    const json_t *place = text ? json_object_get(index, text) : NULL;
    RunGroup *found = NULL;
    if (place) {
        found = &g->group[json_integer_value(place)];
    } else if (text) {
        RunGroup *more = mem_realloc(g->group, (g->n + 1) * sizeof *more, err);
        if (more) {
            g->group = more;
            found = &g->group[g->n];
            *found = (RunGroup){.label = json_incref(taken_label)};
            json_object_set_new(index, text, json_integer((json_int_t)g->n));
            g->n++;
        }
    } else {
        err_set(err, ERR_MEMORY, "out of memory while grouping runs");
    }
    free(text);
    json_decref(taken_label);
    return found;
}

/* --- one value a seed ------------------------------------------------------------- */

typedef struct SeedMeans {
    json_t *index; /* text of the seed -> place */
    double *sum;
    size_t *count, n;
} SeedMeans;

static void seeds_done(SeedMeans *s)
{
    json_decref(s->index);
    mem_free(s->sum);
    mem_free(s->count);
}

static void seed_text(const RunRow *row, char dst[128])
{
    Str t;
    str_init(&t);
    runs_text(runs_value(row, "settings.seed"), false, &t);
    if (t.len > 0)
        snprintf(dst, 128, "%.120s", t.s);
    else
        snprintf(dst, 128, "run %d", row->number);
    str_done(&t);
}

/* key NULL: only which seeds there are. */
static bool seeds_of(const Runs *r, const RunGroup *g, const char *key, SeedMeans *s,
                     Err *err)
{
    *s = (SeedMeans){.index = json_object()};
    s->sum = mem_array(g->n, sizeof *s->sum, err);
    s->count = s->sum ? mem_array(g->n, sizeof *s->count, err) : NULL;
    if (!s->count || !s->index) {
        seeds_done(s);
        return err_set(err, ERR_MEMORY, "out of memory while comparing runs");
    }
    for (size_t i = 0; i < g->n; i++) {
        char seed[128];
        const RunRow *row = &r->row[g->member[i]];
        double v = key ? runs_number(row, key) : 0;
        if (!isfinite(v))
            continue;
        seed_text(row, seed);
        const json_t *place = json_object_get(s->index, seed);
        size_t at = place ? (size_t)json_integer_value(place) : s->n;
        if (!place) {
            json_object_set_new(s->index, seed, json_integer((json_int_t)at));
            s->sum[at] = 0;
            s->count[at] = 0;
            s->n++;
        }
        s->sum[at] += v;
        s->count[at]++;
    }
    for (size_t i = 0; i < s->n; i++)
        s->sum[i] /= (double)s->count[i];
    return true;
}

bool runs_spread(const Runs *r, const RunGroup *g, const char *key, Spread *out,
                 Err *err)
{
    SeedMeans s;
    if (!seeds_of(r, g, key, &s, err))
        return false;
    *out = spread_of(s.sum, s.n);
    seeds_done(&s);
    return true;
}

bool runs_difference(const Runs *r, const RunGroup *g, const RunGroup *base,
                     const char *key, Spread *out, Err *err)
{
    SeedMeans a, b;
    const char *seed;
    json_t *place;
    size_t n = 0;
    if (!seeds_of(r, g, key, &a, err))
        return false;
    if (!seeds_of(r, base, key, &b, err)) {
        seeds_done(&a);
        return false;
    }
    double *d = mem_array(a.n, sizeof *d, err);
    json_object_foreach(a.index, seed, place)
    {
        const json_t *other = json_object_get(b.index, seed);
        if (other && d)
            d[n++] =
                a.sum[json_integer_value(place)] - b.sum[json_integer_value(other)];
    }
    if (d)
        *out = spread_of(d, n);
    seeds_done(&a);
    seeds_done(&b);
    mem_free(d);
    return d != NULL;
}

/* --- groups ----------------------------------------------------------------------- */

void runs_groups_done(RunGroups *g)
{
    for (size_t i = 0; i < g->n; i++) {
        json_decref(g->group[i].label);
        mem_free(g->group[i].member);
    }
    mem_free(g->group);
    *g = (RunGroups){0};
}

static bool keys_known(const Runs *r, const Keys *k, Err *err)
{
    for (size_t i = 0; i < k->n; i++) {
        bool seen = r->n == 0;
        for (size_t j = 0; !seen && j < r->n; j++)
            seen = runs_value(&r->row[j], k->item[i]) != NULL;
        if (!seen)
            return err_set(
                err, ERR_OPTION,
                "grouping: no run has '%.80s'; cleave runs --keys lists what "
                "they have",
                k->item[i]);
    }
    return true;
}

bool runs_group(const Runs *r, const char *keys, RunGroups *out, Err *err)
{
    Keys k;
    SeedMeans s;
    *out = (RunGroups){0};
    if (!split_keys(keys, &k, err) || !keys_known(r, &k, err))
        return false;
    json_t *index = json_object();
    bool ok = index || err_set(err, ERR_MEMORY, "out of memory while grouping runs");
    for (size_t i = 0; ok && i < r->n; i++) {
        RunGroup *g = group_of(out, label_of(&r->row[i], &k), index, err);
        ok = g && add_member(g, i, err);
    }
    for (size_t i = 0; ok && i < out->n; i++) {
        ok = seeds_of(r, &out->group[i], NULL, &s, err);
        if (ok) {
            out->group[i].seeds = s.n;
            seeds_done(&s);
        }
    }
    json_decref(index);
    if (!ok)
        runs_groups_done(out);
    return ok;
}

int runs_baseline(const Runs *r, const RunGroups *g, const char *term, Err *err)
{
    const char *eq = strchr(term, '=');
    char key[256], *end;
    int found = -1, n = 0;
    if (!eq || eq == term || (size_t)(eq - term) >= sizeof key) {
        err_set(err, ERR_OPTION,
                "'%.80s' names no group; write key=value, such as rank=8", term);
        return -1;
    }
    snprintf(key, sizeof key, "%.*s", (int)(eq - term), term);
    double number = strtod(eq + 1, &end);
    bool is_number = eq[1] && !*end;
    for (size_t i = 0; i < g->n; i++) {
        bool all = g->group[i].n > 0;
        for (size_t k = 0; all && k < g->group[i].n; k++) {
            const json_t *v = runs_value(&r->row[g->group[i].member[k]], key);
            Str t;
            str_init(&t);
            runs_text(v, false, &t);
            all = json_is_number(v) ? is_number && json_number_value(v) == number
                                    : v && strcmp(t.s, eq + 1) == 0;
            str_done(&t);
        }
        found = all ? (int)i : found;
        n += all;
    }
    if (n == 1)
        return found;
    err_set(err, ERR_OPTION, "%s: %s", term,
            n ? "several groups fit; group by fewer keys, or name another key"
              : "no group fits; give a key of --group and a value that it has");
    return -1;
}
