/* csv.c -- tables of numbers as text (RFC 4180 fields). One pass: a field is cut out,
 * its quotes removed, then it is a number or, in the first line, may be a name. The
 * number of columns is that of the first line. */
#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/file.h"
#include "base/intr.h"
#include "base/mem.h"
#include "base/str.h"
#include "tensor/decode.h"
#include "tensor/io.h"

enum { MAX_COLUMNS = 1 << 20, MAX_NUMBER = 400, POLL_LINES = 4096 };

typedef struct Csv {
    const char *p, *end;
    const char *name; /* of the file */
    char sep;
    int64_t line;    /* where p is, from 1 */
    int64_t at_line; /* where the record began */
    Str field;
    double *value;
    size_t n, cap;
    int64_t columns; /* 0: not known yet */
    Str names;       /* each with its NUL */
    bool named;
    Err *err;
} Csv;

static bool fail(Csv *c, int64_t column, const char *why)
{
    char shown[SHOWN_CAP];
    return err_set(c->err, ERR_FORMAT, "'%s', line %lld, column %lld: '%s' %s", c->name,
                   (long long)c->at_line, (long long)column,
                   text_shown(c->field.s, shown), why);
}

/* The field between quotes; p is behind the first one. */
static bool take_quoted(Csv *c, int64_t column)
{
    bool closed = false;
    for (; c->p < c->end && !closed; c->p++) {
        closed = *c->p == '"';
        if (closed && c->p + 1 < c->end && c->p[1] == '"') {
            closed = false;
            c->p++;
        }
        c->line += *c->p == '\n';
        if (!closed)
            str_addc(&c->field, *c->p);
    }
    if (!closed)
        return fail(c, column, "begins with a quote that is not closed");
    while (c->p < c->end && *c->p == ' ')
        c->p++;
    return c->p >= c->end || *c->p == c->sep || *c->p == '\n' || *c->p == '\r' ||
           fail(c, column, "has text behind its closing quote");
}

/* Cuts out the next field; *last is set when the record ends behind it. */
static bool take_field(Csv *c, int64_t column, bool *last)
{
    str_clear(&c->field);
    while (c->p < c->end && (*c->p == ' ' || (*c->p == '\t' && c->sep != '\t')))
        c->p++;
    if (c->p < c->end && *c->p == '"') {
        c->p++;
        if (!take_quoted(c, column))
            return false;
    } else {
        const char *first = c->p;
        while (c->p < c->end && *c->p != c->sep && *c->p != '\n' && *c->p != '\r')
            c->p++;
        const char *stop = c->p;
        while (stop > first && (stop[-1] == ' ' || stop[-1] == '\t'))
            stop--;
        str_addn(&c->field, first, (size_t)(stop - first));
    }
    if (!str_ok(&c->field, c->err))
        return false;
    if (strlen(c->field.s) != c->field.len)
        return fail(c, column, "holds a zero byte");
    *last = c->p >= c->end || *c->p != c->sep;
    if (!*last) {
        c->p++;
        return true;
    }
    if (c->p < c->end && *c->p == '\r')
        c->p++;
    if (c->p < c->end && *c->p == '\n')
        c->p++;
    c->line++;
    return true;
}

/* Decimal numbers, nan and inf; C's hexadecimal ones are not meant in a table. */
static bool to_number(const char *s, double *v)
{
    char *end;
    const char *body = s + (*s == '-' || *s == '+');
    bool word = !strcasecmp(body, "nan") || !strcasecmp(body, "inf") ||
                !strcasecmp(body, "infinity");
    if (!word && (strlen(s) > MAX_NUMBER || s[strspn(s, "+-.0123456789eE")]))
        return false;
    *v = strtod(s, &end);
    return *s && !*end;
}

static bool push_value(Csv *c, double v)
{
    if (c->n == c->cap) {
        size_t cap = c->cap ? 2 * c->cap : 256;
        double *grown = cap < SIZE_MAX / sizeof *grown / 2
                            ? mem_realloc(c->value, cap * sizeof *grown, c->err)
                            : NULL;
        if (!grown)
            return err_prefix(c->err, "'%s'", c->name);
        c->value = grown;
        c->cap = cap;
    }
    c->value[c->n++] = v;
    return true;
}

/* A field of the first line is kept both as a number and as a name until the line
 * ends. */
static bool take_value(Csv *c, int64_t column, bool first)
{
    double v = NAN;
    bool number = to_number(c->field.s, &v);
    if (!number && !first)
        return fail(c, column,
                    c->field.len ? "is not a number"
                                 : "is empty where a number must be");
    if (first) {
        c->named |= !number;
        str_addn(&c->names, c->field.s, c->field.len + 1);
        if (!str_ok(&c->names, c->err))
            return false;
    }
    return push_value(c, v);
}

static bool take_record(Csv *c)
{
    bool first = c->columns == 0, last = false;
    int64_t column = 0;
    c->at_line = c->line;
    while (!last) {
        if (++column > (first ? MAX_COLUMNS : c->columns))
            return err_set(
                c->err, ERR_FORMAT, "'%s', line %lld: more than %lld columns", c->name,
                (long long)c->at_line, (long long)(first ? MAX_COLUMNS : c->columns));
        if (!take_field(c, column, &last) || !take_value(c, column, first))
            return false;
    }
    if (first) {
        c->columns = column;
        if (c->named)
            c->n = 0;
    }
    return column == c->columns ||
           err_set(c->err, ERR_FORMAT,
                   "'%s', line %lld has %lld columns; the first one has %lld", c->name,
                   (long long)c->at_line, (long long)column, (long long)c->columns);
}

/* Goes behind blank lines and comments; false at the end. */
static bool next_record(Csv *c)
{
    while (c->p < c->end) {
        const char *s = c->p;
        while (s < c->end && (*s == ' ' || (*s == '\t' && c->sep != '\t')))
            s++;
        if (s < c->end && *s != '#' && *s != '\n' && *s != '\r')
            return true;
        while (s < c->end && *s != '\n')
            s++;
        c->p = s < c->end ? s + 1 : s;
        c->line++;
    }
    return false;
}

static bool make_tensor(const Csv *c, DType dtype, Tensor *out)
{
    int64_t dim[2] = {c->columns ? (int64_t)c->n / c->columns : 0, c->columns};
    Tensor all = tensor_wrap(F64, 2, dim, c->value);
    return tensor_convert(&all, dtype, out, c->err);
}

bool csv_parse(const char *data, size_t n, const char *name, char sep, DType dtype,
               Tensor *out, char **names, Err *err)
{
    static const char mark[] = "\xef\xbb\xbf"; /* of UTF-8, as some programs write it */
    Csv c = {
        .p = data, .end = data + n, .name = name, .sep = sep, .line = 1, .err = err};
    memset(out, 0, sizeof *out);
    if (names)
        *names = NULL;
    if (n >= 3 && memcmp(data, mark, 3) == 0)
        c.p += 3;
    str_init(&c.field);
    str_init(&c.names);
    bool ok = true;
    for (int64_t k = 0; ok && next_record(&c); k++)
        ok = take_record(&c) && (k % POLL_LINES != 0 || intr_check(err));
    if (ok && c.columns == 0)
        ok = err_set(err, ERR_FORMAT, "'%s' holds no numbers", name);
    ok = ok && make_tensor(&c, dtype, out);
    if (ok && names && c.named) {
        *names = mem_alloc(c.names.len + 1, err);
        if ((ok = *names != NULL))
            memcpy(*names, c.names.s, c.names.len);
        else
            tensor_release(out);
    }
    str_done(&c.field);
    str_done(&c.names);
    mem_free(c.value);
    return ok;
}

bool csv_load(const char *path, char sep, DType dtype, Tensor *out, char **names,
              Err *err)
{
    char *data;
    size_t n;
    memset(out, 0, sizeof *out);
    if (names)
        *names = NULL;
    if (!file_read_all(path, mem_budget(), &data, &n, err))
        return false;
    bool ok = csv_parse(data, n, path, sep, dtype, out, names, err);
    mem_free(data);
    return ok;
}

/* ---- writing --------------------------------------------------------------------- */

/* The shortest of a few precisions that reads back to the same bits. */
static void add_number(Str *s, DType t, double v)
{
    char text[40];
    if (t == I32 || t == U8) {
        str_addf(s, "%.0f", v);
        return;
    }
    if (!isfinite(v)) {
        str_add(s, isnan(v) ? "nan" : v < 0 ? "-inf" : "inf");
        return;
    }
    for (int digits = 6; digits <= 17; digits += digits == 9   ? 6
                                                 : digits == 6 ? 3
                                                               : 1) {
        snprintf(text, sizeof text, "%.*g", digits, v);
        double back = strtod(text, NULL);
        if (t == F32 ? (float)back == (float)v : back == v)
            break;
    }
    str_add(s, text);
}

static void add_name(Str *s, char sep, const char *name)
{
    size_t n = strlen(name);
    bool plain = n > 0 && !strpbrk(name, "\"\r\n") && !strchr(name, sep) &&
                 name[0] != '#' && !isspace((unsigned char)name[0]) &&
                 !isspace((unsigned char)name[n - 1]);
    if (plain) {
        str_add(s, name);
        return;
    }
    str_addc(s, '"');
    for (; *name; name++) {
        if (*name == '"')
            str_addc(s, '"');
        str_addc(s, *name);
    }
    str_addc(s, '"');
}

static bool write_names(FileOut *f, char sep, const char *const *names, int64_t n,
                        Str *line, Err *err)
{
    bool numbers = true;
    double v;
    for (int64_t i = 0; i < n; i++) {
        numbers &= to_number(names[i], &v);
        if (i)
            str_addc(line, sep);
        add_name(line, sep, names[i]);
    }
    if (numbers)
        return err_set(err, ERR_OPTION,
                       "csv: column names that are all numbers would read back as a "
                       "row of numbers");
    str_addc(line, '\n');
    return str_ok(line, err) && fileout_write(f, line->s, line->len, err);
}

static bool write_rows(FileOut *f, char sep, const Tensor *t, Str *line, Err *err)
{
    int64_t columns = t->ndim == 2 ? t->dim[1] : 1;
    for (int64_t i = 0; i < t->dim[0]; i++) {
        str_clear(line);
        for (int64_t j = 0; j < columns; j++) {
            if (j)
                str_addc(line, sep);
            add_number(line, t->dtype, tensor_get(t, (int64_t[]){i, j}));
        }
        str_addc(line, '\n');
        if (!str_ok(line, err) || !fileout_write(f, line->s, line->len, err) ||
            (i % POLL_LINES == 0 && !intr_check(err)))
            return false;
    }
    return true;
}

bool csv_save(const char *path, char sep, const Tensor *t, const char *const *names,
              Err *err)
{
    char shape[96];
    Str line;
    if (t->ndim < 1 || t->ndim > 2 || (t->ndim == 2 && t->dim[1] == 0))
        return err_set(err, ERR_SHAPE,
                       "csv: a table has rows and at least one column; %s has not",
                       tensor_format_shape(t, shape));
    FileOut *f = fileout_open(path, err);
    if (!f)
        return false;
    str_init(&line);
    bool ok = (!names ||
               write_names(f, sep, names, t->ndim == 2 ? t->dim[1] : 1, &line, err)) &&
              write_rows(f, sep, t, &line, err);
    str_done(&line);
    if (ok)
        return fileout_commit(f, err);
    fileout_abort(f);
    return false;
}
