/* runs_query.c -- keys, filters, order and names of runs. A term is split at its first
 * operator; whether it compares numbers or texts is decided by the values that the runs
 * have, so "lr>abc" is refused where lr is a number. */
#include <ctype.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "lab/jval.h"
#include "lab/runs.h"

static const char *const sections[] = {"run", "settings", "result", "metric"};

const json_t *runs_value(const RunRow *row, const char *key)
{
    for (size_t i = 0; i < ARRAY_LEN(sections); i++) {
        size_t n = strlen(sections[i]);
        const json_t *o = json_object_get(row->info, sections[i]);
        const json_t *v = json_object_get(o, key);
        if (!v && strncmp(key, sections[i], n) == 0 && key[n] == '.')
            v = json_object_get(o, key + n + 1);
        if (v)
            return v;
    }
    return NULL;
}

double runs_number(const RunRow *row, const char *key)
{
    return jval_to_number(runs_value(row, key), NAN);
}

void runs_text(const json_t *value, bool brief, Str *out)
{
    char number[32];
    if (json_is_string(value)) {
        str_addn(out, json_string_value(value), json_string_length(value));
    } else if (json_is_boolean(value)) {
        str_add(out, json_is_true(value) ? "true" : "false");
    } else if (json_is_real(value) && brief) {
        snprintf(number, sizeof number, "%.4g", json_real_value(value));
        str_add(out, number);
    } else if (value) {
        jval_dump(value, 0, out, NULL);
    }
}

json_t *runs_keys(const Runs *r, const char *section)
{
    json_t *seen = json_object(), *keys = json_array();
    for (size_t k = 0; seen && keys && k < ARRAY_LEN(sections); k++) {
        if (section && strcmp(section, sections[k]) != 0)
            continue;
        for (size_t i = 0; i < r->n; i++) {
            const char *key;
            json_t *v;
            json_object_foreach(json_object_get(r->row[i].info, sections[k]), key, v)
            {
                char name[300];
                snprintf(name, sizeof name, "%s.%s", sections[k], key);
                if (!json_object_get(seen, name)) {
                    json_object_set_new(seen, name, json_true());
                    json_array_append_new(keys, json_string(name));
                }
            }
        }
    }
    json_decref(seen);
    return keys;
}

/* --- filters ---------------------------------------------------------------------- */

typedef enum Compare { EQ, NE, LE, GE, LT, GT, HAS, HAS_NOT } Compare;
static const struct {
    const char *sign;
    Compare how;
} compares[] = {
    {"!=", NE     },
    {"!~", HAS_NOT},
    {">=", GE     },
    {"<=", LE     },
    {"==", EQ     },
    {"=",  EQ     },
    {"~",  HAS    },
    {">",  GT     },
    {"<",  LT     },
};

typedef struct Term {
    const char *whole;
    char key[256];
    Compare how;
    const char *text;
    bool is_number;
    double number;
} Term;

static bool read_number(const char *s, double *v)
{
    char *end;
    if (!s[0] || isspace((unsigned char)s[0]))
        return false;
    *v = strtod(s, &end);
    return *end == '\0';
}

static bool split_term(const char *text, Term *t, Err *err)
{
    size_t n = strcspn(text, "=<>~!");
    *t = (Term){.whole = text};
    if (n > 0 && n < sizeof t->key) {
        memcpy(t->key, text, n);
        t->key[n] = '\0';
        for (size_t i = 0; i < ARRAY_LEN(compares); i++) {
            size_t len = strlen(compares[i].sign);
            if (strncmp(text + n, compares[i].sign, len) != 0)
                continue;
            if (text[n + len]) {
                t->how = compares[i].how;
                t->text = text + n + len;
                t->is_number = read_number(t->text, &t->number);
                return true;
            }
            break;
        }
    }
    return err_set(
        err, ERR_OPTION,
        "'%.80s' is no filter; write key=value, key>=value or key~part, such "
        "as rank>=64 state=done name~two",
        text);
}

/* The key as somebody meant it: the nearest of all that runs have. */
static bool unknown_key(const Runs *r, const char *key, const char *where, Err *err)
{
    enum { CAP = 512 };
    const char *names[CAP];
    size_t n = 0;
    json_t *keys = runs_keys(r, NULL);
    for (size_t i = 0; i < json_array_size(keys) && n < CAP; i++) {
        const char *name = json_string_value(json_array_get(keys, i));
        names[n++] = strchr(name, '.') + 1;
    }
    const char *near = text_nearest(key, names, n);
    err_set(err, ERR_OPTION, "%s: no run has '%.80s'%s%.80s%s", where, key,
            near ? "; did you mean '" : "; cleave runs --keys lists what they have",
            near ? near : "", near ? "'?" : "");
    json_decref(keys);
    return false;
}

bool runs_check_key(const Runs *r, const char *key, const char *where, Err *err)
{
    for (size_t i = 0; i < r->n; i++) {
        if (runs_value(&r->row[i], key))
            return true;
    }
    return r->n == 0 || unknown_key(r, key, where, err);
}

static bool check_term(const Runs *r, const Term *t, Err *err)
{
    bool ordered = t->how == LE || t->how == GE || t->how == LT || t->how == GT;
    if (!runs_check_key(r, t->key, t->whole, err))
        return false;
    for (size_t i = 0; i < r->n && ordered && !t->is_number; i++) {
        if (json_is_number(runs_value(&r->row[i], t->key)))
            return err_set(err, ERR_OPTION,
                           "%.80s: '%s' holds numbers, '%.80s' is none", t->whole,
                           t->key, t->text);
    }
    return true;
}

/* One item of a list, or the whole text. */
static bool equals(const json_t *v, const char *shown, const char *item)
{
    double number;
    if (json_is_number(v))
        return read_number(item, &number) && json_number_value(v) == number;
    return strcmp(shown, item) == 0 ||
           (strcmp(item, "live") == 0 && strcmp(shown, "running") == 0);
}

static bool in_list(const json_t *v, const char *shown, const char *list)
{
    char item[256];
    if (equals(v, shown, list))
        return true;
    for (const char *s = list; strchr(s, ',') || s > list;) {
        size_t n = strcspn(s, ",");
        snprintf(item, sizeof item, "%.*s", (int)n, s);
        if (equals(v, shown, item))
            return true;
        if (!s[n])
            break;
        s += n + 1;
    }
    return false;
}

static bool ordered(Compare how, double d)
{
    return how == LE ? d <= 0 : how == GE ? d >= 0 : how == LT ? d < 0 : d > 0;
}

static bool fulfils(const RunRow *row, const Term *t)
{
    const json_t *v = runs_value(row, t->key);
    bool not_it = t->how == NE || t->how == HAS_NOT, hit;
    Str s;
    if (!v)
        return not_it;
    str_init(&s);
    runs_text(v, false, &s);
    if (t->how == EQ || t->how == NE)
        hit = in_list(v, s.s, t->text);
    else if (t->how == HAS || t->how == HAS_NOT)
        hit = strcasestr(s.s, t->text) != NULL;
    else if (t->is_number)
        hit = ordered(t->how, jval_to_number(v, NAN) - t->number);
    else
        hit = ordered(t->how, strcmp(s.s, t->text));
    str_done(&s);
    return hit != not_it;
}

bool runs_filter(Runs *r, const char *const *terms, size_t n, Err *err)
{
    Term *t = mem_array(n, sizeof *t, err);
    bool ok = t != NULL;
    for (size_t i = 0; ok && i < n; i++)
        ok = split_term(terms[i], &t[i], err) && check_term(r, &t[i], err);
    size_t kept = 0;
    for (size_t i = 0; ok && i < r->n; i++) {
        bool keep = true;
        for (size_t k = 0; keep && k < n; k++)
            keep = fulfils(&r->row[i], &t[k]);
        if (keep) {
            RunRow row = r->row[i];
            r->row[i] = r->row[kept];
            r->row[kept++] = row;
        }
    }
    for (size_t i = kept; ok && i < r->n; i++)
        runs_row_done(&r->row[i]);
    if (ok)
        r->n = kept;
    mem_free(t);
    return ok;
}

/* --- order ------------------------------------------------------------------------ */

typedef struct Order {
    const char *key;
    bool down;
} Order;

static bool absent(const json_t *v)
{
    return !v || (json_is_string(v) && strcmp(json_string_value(v), "nan") == 0);
}

static int by_value(const void *a, const void *b, void *ctx)
{
    const Order *o = ctx;
    const RunRow *x = a, *y = b;
    const json_t *v = runs_value(x, o->key), *w = runs_value(y, o->key);
    int d = 0;
    if (absent(v) || absent(w)) {
        d = absent(v) - absent(w);
        return d ? d : x->number - y->number;
    }
    double p = jval_to_number(v, NAN), q = jval_to_number(w, NAN);
    if (!isnan(p) && !isnan(q))
        d = (p > q) - (p < q);
    else if (isnan(p) != isnan(q))
        d = isnan(p) - isnan(q);
    else
        d = strcmp(json_string_value(v) ? json_string_value(v) : "",
                   json_string_value(w) ? json_string_value(w) : "");
    d = o->down ? -d : d;
    return d ? d : x->number - y->number;
}

bool runs_sort(Runs *r, const char *key, Err *err)
{
    Order o = {.key = key + (key[0] == '-' || key[0] == '+'), .down = key[0] == '-'};
    if (!runs_check_key(r, o.key, "sorting", err))
        return false;
    if (r->n > 1)
        qsort_r(r->row, r->n, sizeof *r->row, by_value, &o);
    return true;
}

/* --- names ------------------------------------------------------------------------ */

/* How well a name fits a run: 0 exactly, 1 as a number, 2 as a beginning, -1 not. */
static int fit(const RunRow *row, const char *name, size_t n)
{
    const char *dash = strrchr(row->id, '-'), *last = dash ? dash + 1 : row->id;
    char number[24];
    snprintf(number, sizeof number, "%d", row->number);
    if (strcmp(row->dir, name) == 0 || strcmp(row->id, name) == 0 ||
        strcmp(last, name) == 0)
        return 0;
    if (strcmp(number, name) == 0)
        return 1;
    return strncmp(row->id, name, n) == 0 || strncmp(last, name, n) == 0 ? 2 : -1;
}

static const RunRow *none_fits(const Runs *r, const char *name, Err *err)
{
    const char **ids = mem_array(r->n, sizeof *ids, NULL);
    for (size_t i = 0; ids && i < r->n; i++)
        ids[i] = r->row[i].id;
    const char *near = ids ? text_nearest(name, ids, r->n) : NULL;
    err_set(err, ERR_OPTION, "no run '%.200s' in '%s'%s%s%s", name, r->root,
            near ? "; did you mean '" : "; cleave runs lists them", near ? near : "",
            near ? "'?" : "");
    mem_free(ids);
    return NULL;
}

const RunRow *runs_find(const Runs *r, const char *name, Err *err)
{
    const RunRow *best = NULL;
    int how = 3, others = 0;
    char plain[PATH_MAX];
    text_copy(plain, sizeof plain, name);
    size_t n = strlen(plain);
    while (n > 1 && plain[n - 1] == '/')
        plain[--n] = '\0';
    for (size_t i = 0; i < r->n && n > 0; i++) {
        int f = fit(&r->row[i], plain, n);
        if (f < 0 || f > how)
            continue;
        others = f == how ? others + 1 : 0;
        how = f;
        best = &r->row[i];
    }
    if (!best)
        return none_fits(r, name, err);
    if (others == 0)
        return best;
    err_set(err, ERR_OPTION,
            "%d runs begin with '%.200s', one of them %s; write more of it", others + 1,
            name, best->id);
    return NULL;
}
