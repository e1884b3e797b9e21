/* jval.c -- own writer, because jansson prints 0.1 as 0.10000000000000001: 15 digits
 * are tried, then 16, then 17, the first that reads back equal wins. Reading is
 * jansson's, behind a scan that refuses deep nesting before its recursive parser sees
 * it. */
#include "lab/jval.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"

json_t *jval_text(const char *s, size_t n)
{
    json_t *fast = memchr(s, 0, n) ? NULL : json_stringn(s, n);
    if (fast)
        return fast;
    Str t;
    str_init(&t);
    while (n > 0) {
        uint32_t rune;
        int used = utf8_next(s, n, &rune);
        str_add_rune(&t, rune ? rune : 0xFFFD);
        s += used;
        n -= (size_t)used;
    }
    json_t *v = t.oom ? NULL : json_stringn(t.s, t.len);
    str_done(&t);
    return v;
}

json_t *jval_clipped(const char *s, size_t n, size_t most)
{
    Str t;
    if (n <= most)
        return jval_text(s, n);
    while (most > 0 && ((unsigned char)s[most] & 0xC0) == 0x80)
        most--; /* not inside a character */
    str_init(&t);
    str_addn(&t, s, most);
    str_addf(&t, "... (cut: %zu bytes in all)", n);
    json_t *j = t.oom ? NULL : jval_text(t.s, t.len);
    str_done(&t);
    return j;
}

json_t *jval_str(const char *s)
{
    return s ? jval_text(s, strlen(s)) : json_null();
}

json_t *jval_number(double v)
{
    if (isnan(v))
        return json_string("nan");
    if (isinf(v))
        return json_string(v > 0 ? "inf" : "-inf");
    if (v == floor(v) && fabs(v) < 9007199254740992.0 && !(v == 0 && signbit(v)))
        return json_integer((json_int_t)v);
    return json_real(v);
}

double jval_to_number(const json_t *v, double dflt)
{
    if (json_is_number(v))
        return json_number_value(v);
    const char *s = json_string_value(v);
    if (!s)
        return dflt;
    if (strcmp(s, "nan") == 0)
        return NAN;
    if (strcmp(s, "inf") == 0)
        return HUGE_VAL;
    return strcmp(s, "-inf") == 0 ? -HUGE_VAL : dflt;
}

const char *jval_get(const json_t *object, const char *key, const char *dflt)
{
    const char *s = json_string_value(json_object_get(object, key));
    return s ? s : dflt;
}

int64_t jval_get_int(const json_t *object, const char *key, int64_t dflt)
{
    const json_t *v = json_object_get(object, key);
    return json_is_integer(v) ? (int64_t)json_integer_value(v) : dflt;
}

bool jval_set(json_t *object, const char *key, json_t *taken)
{
    if (!taken)
        return false;
    json_t *clean = jval_str(key); /* jansson refuses a key that is not UTF-8 */
    bool ok = clean && json_object_set(object, json_string_value(clean), taken) == 0;
    json_decref(clean);
    json_decref(taken);
    return ok;
}

static void dump_real(double v, Str *out)
{
    char buf[40];
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(buf, sizeof buf, "%.*g", digits, v);
        if (strtod(buf, NULL) == v)
            break;
    }
    str_add(out, buf);
    if (!strpbrk(buf, ".en"))
        str_add(out, ".0"); /* stays a real when read back */
}

static void dump_string(const char *s, size_t n, Str *out)
{
    str_addc(out, '"');
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)s[i];
        if (c == '"' || c == '\\') {
            str_addc(out, '\\');
            str_addc(out, (char)c);
        } else if (c == '\n') {
            str_add(out, "\\n");
        } else if (c == '\t') {
            str_add(out, "\\t");
        } else if (c < 0x20 || c == 0x7f) {
            str_addf(out, "\\u%04x", c);
        } else {
            str_addc(out, (char)c);
        }
    }
    str_addc(out, '"');
}

static void new_line(int indent, int depth, Str *out)
{
    if (indent == 0)
        return;
    str_addc(out, '\n');
    for (int i = 0; i < indent * depth; i++)
        str_addc(out, ' ');
}

static bool dump(const json_t *v, int indent, int depth, Str *out);

static bool dump_object(const json_t *v, int indent, int depth, Str *out)
{
    const char *key, *comma = "";
    json_t *item;
    str_addc(out, '{');
    json_object_foreach((json_t *)v, key, item)
    {
        str_add(out, comma);
        comma = ",";
        new_line(indent, depth + 1, out);
        dump_string(key, strlen(key), out);
        str_add(out, indent ? ": " : ":");
        if (!dump(item, indent, depth + 1, out))
            return false;
    }
    if (*comma)
        new_line(indent, depth, out);
    str_addc(out, '}');
    return true;
}

/* A list of plain values stays on one line. */
static bool dump_array(const json_t *v, int indent, int depth, Str *out)
{
    size_t n = json_array_size(v);
    bool flat = true;
    for (size_t i = 0; i < n; i++) {
        const json_t *item = json_array_get(v, i);
        flat = flat && !json_is_object(item) && !json_is_array(item);
    }
    str_addc(out, '[');
    for (size_t i = 0; i < n; i++) {
        if (i > 0)
            str_add(out, flat && indent ? ", " : ",");
        if (!flat)
            new_line(indent, depth + 1, out);
        if (!dump(json_array_get(v, i), indent, depth + 1, out))
            return false;
    }
    if (!flat)
        new_line(indent, depth, out);
    str_addc(out, ']');
    return true;
}

static bool dump(const json_t *v, int indent, int depth, Str *out)
{
    if (depth > JVAL_DEPTH)
        return false;
    switch (json_typeof(v)) {
    case JSON_OBJECT: return dump_object(v, indent, depth, out);
    case JSON_ARRAY: return dump_array(v, indent, depth, out);
    case JSON_STRING:
        dump_string(json_string_value(v), json_string_length(v), out);
        break;
    case JSON_INTEGER: str_addf(out, "%lld", (long long)json_integer_value(v)); break;
    case JSON_REAL: dump_real(json_real_value(v), out); break;
    case JSON_TRUE: str_add(out, "true"); break;
    case JSON_FALSE: str_add(out, "false"); break;
    case JSON_NULL: str_add(out, "null"); break;
    }
    return true;
}

bool jval_dump(const json_t *v, int indent, Str *out, Err *err)
{
    if (!v)
        return err_set(err, ERR_MEMORY,
                       "out of memory while a record was put together");
    if (!dump(v, indent, 0, out))
        return err_set(err, ERR_FORMAT, "a value is nested deeper than %d levels",
                       JVAL_DEPTH);
    return str_ok(out, err);
}

static bool shallow(const char *s, size_t n)
{
    int depth = 0;
    bool in_string = false;
    for (size_t i = 0; i < n; i++) {
        if (in_string) {
            if (s[i] == '\\')
                i++;
            else if (s[i] == '"')
                in_string = false;
        } else if (s[i] == '"') {
            in_string = true;
        } else if (s[i] == '{' || s[i] == '[') {
            if (++depth > JVAL_DEPTH + 1)
                return false;
        } else if (s[i] == '}' || s[i] == ']') {
            depth--;
        }
    }
    return true;
}

/* The reason quotes what it found: nothing of that may be more than plain text. */
static void clean(char *s)
{
    for (size_t left = strlen(s); left > 0;) {
        uint32_t rune;
        int n = utf8_next(s, left, &rune);
        if (rune_width(rune) < 0 || rune == 0xFFFD)
            memset(s, '?', (size_t)n);
        s += n;
        left -= (size_t)n;
    }
}

json_t *jval_parse(const char *s, size_t n, Err *err)
{
    json_error_t at;
    if (!shallow(s, n)) {
        err_set(err, ERR_FORMAT, "the JSON is nested deeper than %d levels",
                JVAL_DEPTH);
        return NULL;
    }
    json_t *v = json_loadb(s, n, JSON_DECODE_ANY, &at);
    if (!v)
        clean(at.text);
    if (!v)
        err_set(err, ERR_FORMAT, "not JSON at line %d, column %d (%s)", at.line,
                at.column, at.text);
    return v;
}

json_t *jval_read_file(const char *path, size_t max, Err *err)
{
    char *data;
    size_t n;
    if (!file_read_all(path, max, &data, &n, err))
        return NULL;
    json_t *v = jval_parse(data, n, err);
    mem_free(data);
    if (!v) {
        err_prefix(err, "'%s'", path);
    } else if (!json_is_object(v)) {
        json_decref(v);
        v = NULL;
        err_set(err, ERR_FORMAT, "'%s' holds no JSON object", path);
    }
    return v;
}

bool jval_write_file(const char *path, const json_t *v, Err *err)
{
    Str t;
    str_init(&t);
    bool ok = jval_dump(v, 2, &t, err);
    if (ok) {
        str_addc(&t, '\n');
        ok = str_ok(&t, err) && file_write_all(path, t.s, t.len, err);
    }
    str_done(&t);
    return ok;
}
