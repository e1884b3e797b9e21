/* option.c -- every way to set a field ends in store(), which checks type, range and
 * choice; so defaults, Lua tables and command lines obey the same rules. */
#include "base/option.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"

static const char *const type_names[] = {
    [OPT_INT] = "an integer",    [OPT_NUM] = "a number", [OPT_BOOL] = "true or false",
    [OPT_STR] = "a text",        [OPT_ENUM] = "a word",
};

static const OptRow *find(const OptRow *rows, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(rows[i].name, name) == 0)
            return &rows[i];
    return NULL;
}

static bool unknown(const OptRow *rows, size_t n, const char *name, Err *err)
{
    const char *best = NULL;
    Str all;
    for (size_t i = 0; i < n; i++) {
        const char *const pair[] = {best ? best : rows[i].name, rows[i].name};
        best = text_nearest(name, pair, 2);
    }
    if (best)
        return err_set(err, ERR_OPTION, "there is no option '%s'; did you mean '%s'?",
                       name, best);
    str_init(&all);
    for (size_t i = 0; i < n; i++)
        str_addf(&all, "%s%s", i > 0 ? ", " : "", rows[i].name);
    err_set(err, ERR_OPTION, "there is no option '%s'; there are: %s", name,
            n > 0 ? all.s : "none");
    str_done(&all);
    return false;
}

static bool wrong_type(const OptRow *row, const char *got, Err *err)
{
    return err_set(err, ERR_OPTION, "'%s' must be %s, not %s", row->name,
                   type_names[row->type], got);
}

static bool in_range(const OptRow *row, double v, const char *shown, Err *err)
{
    if (row->lo == row->hi || (v >= row->lo && v <= row->hi))
        return true;
    if (isinf(row->hi) || row->hi >= 1e300)
        return err_set(err, ERR_OPTION, "'%s' is %s; it must be at least %.10g",
                       row->name, shown, row->lo);
    if (isinf(row->lo) || row->lo <= -1e300)
        return err_set(err, ERR_OPTION, "'%s' is %s; it must be at most %.10g",
                       row->name, shown, row->hi);
    return err_set(err, ERR_OPTION, "'%s' is %s; it must be from %.10g to %.10g",
                   row->name, shown, row->lo, row->hi);
}

/* Copies the k-th word of a space-separated list; false behind the last. */
static bool word_at(const char *list, size_t k, char dst[OPT_STR_CAP])
{
    for (;; k--) {
        list += strspn(list, " ");
        size_t n = strcspn(list, " ");
        if (n == 0 || n >= OPT_STR_CAP)
            return false;
        if (k == 0) {
            memcpy(dst, list, n);
            dst[n] = '\0';
            return true;
        }
        list += n;
    }
}

static bool chosen(const OptRow *row, const char *s, Err *err)
{
    char word[OPT_STR_CAP], best[OPT_STR_CAP] = "";
    for (size_t k = 0; word_at(row->choices, k, word); k++) {
        if (strcmp(word, s) == 0)
            return true;
        const char *const pair[] = {best[0] ? best : word, word};
        const char *near = text_nearest(s, pair, 2);
        if (near == word || (near && !best[0]))
            memcpy(best, word, sizeof best);
    }
    if (best[0])
        return err_set(err, ERR_OPTION,
                       "'%s' cannot be '%s'; did you mean '%s'? (choices: %s)",
                       row->name, s, best, row->choices);
    return err_set(err, ERR_OPTION, "'%s' cannot be '%s'; choices: %s", row->name, s,
                   row->choices);
}

static bool store_int(const OptRow *row, void *at, const OptValue *v, Err *err)
{
    char shown[32];
    int64_t i = v->i;
    if (v->type == OPT_NUM) {
        snprintf(shown, sizeof shown, "%.10g", v->f);
        const double end = 9223372036854775808.0; /* 2^63: too large */
        if (!(v->f >= -end && v->f < end) || v->f != floor(v->f))
            return wrong_type(row, shown, err);
        i = (int64_t)v->f;
    } else if (v->type != OPT_INT) {
        return wrong_type(row, type_names[v->type], err);
    }
    snprintf(shown, sizeof shown, "%" PRId64, i);
    if (!in_range(row, (double)i, shown, err))
        return false;
    memcpy(at, &i, sizeof i);
    return true;
}

static bool store_num(const OptRow *row, void *at, const OptValue *v, Err *err)
{
    char shown[32];
    if (v->type != OPT_NUM && v->type != OPT_INT)
        return wrong_type(row, type_names[v->type], err);
    double f = v->type == OPT_INT ? (double)v->i : v->f;
    if (isnan(f))
        return wrong_type(row, "NaN", err);
    snprintf(shown, sizeof shown, "%.10g", f);
    if (!in_range(row, f, shown, err))
        return false;
    memcpy(at, &f, sizeof f);
    return true;
}

static bool store_text(const OptRow *row, char *at, const OptValue *v, Err *err)
{
    if (v->type != OPT_STR && v->type != OPT_ENUM)
        return wrong_type(row, type_names[v->type], err);
    if (row->type == OPT_ENUM && !chosen(row, v->s, err))
        return false;
    if (strlen(v->s) >= OPT_STR_CAP)
        return err_set(err, ERR_OPTION, "'%s' has %zu bytes; at most %d fit", row->name,
                       strlen(v->s), OPT_STR_CAP - 1);
    return text_copy(at, OPT_STR_CAP, v->s);
}

static bool store(const OptRow *row, void *cfg, const OptValue *v, Err *err)
{
    char *at = (char *)cfg + row->offset;
    switch (row->type) {
    case OPT_INT: return store_int(row, at, v, err);
    case OPT_NUM: return store_num(row, at, v, err);
    case OPT_BOOL:
        if (v->type != OPT_BOOL)
            return wrong_type(row, type_names[v->type], err);
        memcpy(at, &v->b, sizeof v->b);
        return true;
    case OPT_STR:
    case OPT_ENUM: return store_text(row, at, v, err);
    }
    return err_set(err, ERR_STATE, "option '%s' has no type", row->name);
}

static bool parse_number(const char *text, OptValue *v)
{
    char *end;
    errno = 0;
    v->type = OPT_INT;
    v->i = strtoll(text, &end, 10);
    if (end != text && *end == '\0' && errno == 0)
        return true;
    v->type = OPT_NUM;
    v->f = strtod(text, &end);
    return end != text && *end == '\0';
}

/* Turns the text into what the row wants. */
static bool parse(const OptRow *row, const char *text, OptValue *v, Err *err)
{
    char quoted[OPT_STR_CAP];
    bool ok = true;
    switch (row->type) {
    case OPT_INT:
    case OPT_NUM: ok = parse_number(text, v); break;
    case OPT_BOOL:
        v->type = OPT_BOOL;
        v->b = strcmp(text, "true") == 0;
        ok = v->b || strcmp(text, "false") == 0;
        break;
    case OPT_STR:
    case OPT_ENUM:
        v->type = OPT_STR;
        v->s = text;
        break;
    }
    if (ok)
        return true;
    snprintf(quoted, sizeof quoted, "'%.200s'", text);
    return wrong_type(row, quoted, err);
}

static bool located(bool ok, const char *where, Err *err)
{
    if (!ok && where && *where)
        err_prefix(err, "%s", where);
    return ok;
}

bool opt_defaults(const OptRow *rows, size_t n, void *cfg, Err *err)
{
    for (size_t i = 0; i < n; i++) {
        const OptRow *row = &rows[i];
        OptValue v = {0};
        const char *text = row->dflt ? row->dflt : "";
        if (!parse(row, text, &v, err) || !store(row, cfg, &v, err))
            return err_prefix(err, "the default of option %zu", i + 1);
    }
    return true;
}

bool opt_set(const OptRow *rows, size_t n, void *cfg, const char *name,
             const OptValue *v, const char *where, Err *err)
{
    const OptRow *row = find(rows, n, name);
    bool ok = row ? store(row, cfg, v, err) : unknown(rows, n, name, err);
    return located(ok, where, err);
}

bool opt_set_text(const OptRow *rows, size_t n, void *cfg, const char *name,
                  const char *text, const char *where, Err *err)
{
    const OptRow *row = find(rows, n, name);
    OptValue v = {0};
    bool ok = row ? parse(row, text, &v, err) && store(row, cfg, &v, err)
                  : unknown(rows, n, name, err);
    return located(ok, where, err);
}

bool opt_get(const OptRow *rows, size_t n, const void *cfg, const char *name,
             OptValue *v)
{
    const OptRow *row = find(rows, n, name);
    if (!row)
        return false;
    const char *at = (const char *)cfg + row->offset;
    *v = (OptValue){.type = row->type};
    switch (row->type) {
    case OPT_INT: memcpy(&v->i, at, sizeof v->i); break;
    case OPT_NUM: memcpy(&v->f, at, sizeof v->f); break;
    case OPT_BOOL: memcpy(&v->b, at, sizeof v->b); break;
    case OPT_STR:
    case OPT_ENUM:
        v->type = OPT_STR;
        v->s = at;
        break;
    }
    return true;
}

/* The shortest of the forms that read back as v. */
static void format_number(double v, char dst[OPT_STR_CAP])
{
    for (int digits = 6; digits <= 17; digits++) {
        snprintf(dst, OPT_STR_CAP, "%.*g", digits, v);
        if (strtod(dst, NULL) == v)
            break;
    }
    if (v == 0 && signbit(v))
        text_copy(dst, OPT_STR_CAP, "-0.0"); /* "-0" would be read as an integer */
}

char *opt_text(const OptRow *row, const void *cfg, char dst[OPT_STR_CAP])
{
    OptValue v = {0};
    dst[0] = '\0';
    opt_get(row, 1, cfg, row->name, &v);
    switch (row->type) {
    case OPT_INT: snprintf(dst, OPT_STR_CAP, "%" PRId64, v.i); break;
    case OPT_NUM: format_number(v.f, dst); break;
    case OPT_BOOL: text_copy(dst, OPT_STR_CAP, v.b ? "true" : "false"); break;
    case OPT_STR:
    case OPT_ENUM: text_copy(dst, OPT_STR_CAP, v.s); break;
    }
    return dst;
}
