/* look.c -- completion and inspection. While no cell runs the Lua state itself is
 * looked at, by raw access; while one runs a snapshot answers that was taken when it
 * began. */
#include <dirent.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "kernel/look.h"
#include "kernel/session_int.h"
#include "lab/jval.h"
#include "script/lualex.h"

#define SNAPSHOT_SECONDS 0.005
enum { ITEMS_MAX = 200, FIELDS_MAX = 2000 };

/* --- the snapshot ----------------------------------------------------------------- */

static void keep_fields(Session *k, const char *path, double deadline)
{
    json_t *fields = script_fields(k->script, path, deadline, FIELDS_MAX, NULL);
    if (fields)
        jval_set(k->names, path, fields);
}

/* The globals and one level below those that hold something. */
void look_snapshot(Session *k)
{
    double deadline = clock_now() + SNAPSHOT_SECONDS;
    size_t i;
    json_t *item;
    json_decref(k->names);
    json_decref(k->variables);
    k->names = json_object();
    k->variables = script_variables(k->script, deadline, NULL);
    if (!k->names)
        return;
    keep_fields(k, "", deadline);
    json_array_foreach(json_object_get(k->names, ""), i, item)
    {
        const char *name = jval_get(item, "text", ""),
                   *kind = jval_get(item, "kind", "");
        bool plain = strcmp(kind, "function") == 0 || strcmp(kind, "number") == 0 ||
                     strcmp(kind, "boolean") == 0 || strcmp(name, "_G") == 0;
        if (clock_now() > deadline)
            return;
        if (!plain)
            keep_fields(k, name, deadline);
    }
}

static double deadline_of(const json_t *q, int dflt_ms)
{
    int64_t ms = jval_get_int(q, "deadline_ms", dflt_ms);
    ms = ms < 1 ? 1 : ms > 1000 ? 1000 : ms;
    return clock_now() + 1e-3 * (double)ms;
}

/* --- completion ------------------------------------------------------------------- */

typedef struct Ways {
    json_t *items, *seen; /* seen: a set of their texts */
    char prefix[128];
    bool cut;
} Ways;

static void add_way(Ways *w, const char *text, const char *kind)
{
    if (strncmp(text, w->prefix, strlen(w->prefix)) != 0 ||
        json_object_get(w->seen, text))
        return;
    if (json_array_size(w->items) >= ITEMS_MAX) {
        w->cut = true;
        return;
    }
    json_object_set_new(w->seen, text, json_true());
    json_array_append_new(w->items,
                          json_pack("{s:o,s:s}", "text", jval_str(text), "kind", kind));
}

static bool is_word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           c == '_';
}

/* The word before the cursor and the path it hangs on: "cl.data.mn" is "mn" of
 * "cl.data". false: it hangs on something that is no path, such as a call. */
static bool find_path(const char *s, size_t pos, size_t *from, char *path, size_t cap)
{
    size_t at = pos;
    while (at > 0 && is_word(s[at - 1]))
        at--;
    *from = at;
    path[0] = '\0';
    if (at == 0 || (s[at - 1] != '.' && s[at - 1] != ':') ||
        (at > 1 && s[at - 2] == '.'))
        return true;
    size_t end = at - 1, begin = end;
    while (begin > 0 &&
           (is_word(s[begin - 1]) || s[begin - 1] == '.' || s[begin - 1] == ':'))
        begin--;
    if (begin == end || end - begin >= cap ||
        (begin > 0 && strchr(")]}\"'", s[begin - 1])))
        return false;
    memcpy(path, s + begin, end - begin);
    path[end - begin] = '\0';
    return true;
}

static void add_fields(Session *k, Ways *w, const char *path, double deadline)
{
    size_t i;
    json_t *item, *fields;
    if (k->busy)
        fields = json_incref(json_object_get(k->names, path));
    else
        fields = script_fields(k->script, path, deadline, FIELDS_MAX, NULL);
    json_array_foreach(fields, i, item)
        add_way(w, jval_get(item, "text", ""), jval_get(item, "kind", ""));
    w->cut = w->cut || clock_now() > deadline;
    json_decref(fields);
}

/* Words that the notebook's code has. */
static void add_words(Ways *w, const char *text, double deadline)
{
    Lex l;
    char name[128];
    lex_start(&l, text, strlen(text));
    while (lex_next(&l) && clock_now() < deadline) {
        size_t n = l.to - l.from;
        if (l.kind != LEX_NAME || n >= sizeof name || n < 3 || n <= strlen(w->prefix))
            continue;
        memcpy(name, l.s + l.from, n);
        name[n] = '\0';
        add_way(w, name, "word");
    }
}

/* File names behind the last slash of an unfinished string. */
static void add_files(Ways *w, const char *s, size_t from, size_t pos, size_t *start)
{
    char dir[512];
    size_t at = pos;
    while (at > from && s[at - 1] != '/')
        at--;
    *start = at;
    if (at - from >= sizeof dir || pos - at >= sizeof w->prefix)
        return;
    memcpy(dir, s + from, at - from);
    dir[at - from] = '\0';
    memcpy(w->prefix, s + at, pos - at);
    w->prefix[pos - at] = '\0';
    DIR *d = opendir(dir[0] ? dir : ".");
    for (struct dirent *e; d && (e = readdir(d));) {
        if (e->d_name[0] != '.' || w->prefix[0] == '.')
            add_way(w, e->d_name, e->d_type == DT_DIR ? "folder" : "file");
    }
    if (d)
        closedir(d);
}

/* Names of options in the table of a call, the words that a choice may be in a string
 * behind its name. true: nothing else can stand here. */
static bool add_options(Ways *w, const char *text, size_t n, bool in_string)
{
    OptionPlace at;
    size_t i;
    json_t *row;
    if (!option_place(text, n, &at) || at.names == in_string)
        return false;
    json_t *rows = doc_options(at.callee);
    bool any = false;
    json_array_foreach(rows, i, row)
    {
        const char *name = jval_get(row, "text", ""),
                   *choices = jval_get(row, "choices", "");
        if (at.names)
            add_way(w, name, jval_get(row, "kind", ""));
        if (at.names || strcmp(name, at.key) != 0)
            continue;
        for (const char *c = choices; *c; c += strspn(c, " ")) {
            char word[64];
            size_t len = strcspn(c, " ");
            snprintf(word, sizeof word, "%.*s", (int)len, c);
            add_way(w, word, "choice");
            any = true;
            c += len;
        }
    }
    any = any || (at.names && json_array_size(w->items) > 0);
    json_decref(rows);
    return any;
}

static int by_text(const void *a, const void *b)
{
    json_t *const *x = a, *const *y = b;
    return strcmp(jval_get(*x, "text", ""), jval_get(*y, "text", ""));
}

static json_t *sorted(json_t *list)
{
    size_t n = json_array_size(list);
    json_t **item = mem_array(n + 1, sizeof *item, NULL);
    json_t *out = json_array();
    for (size_t i = 0; item && i < n; i++)
        item[i] = json_array_get(list, i);
    if (item)
        qsort(item, n, sizeof *item, by_text);
    for (size_t i = 0; item && i < n; i++)
        json_array_append(out, item[i]);
    mem_free(item);
    return out;
}

json_t *look_complete(Session *k, const json_t *q, Err *err)
{
    const char *text = jval_get(q, "text", "");
    size_t n = strlen(text), pos = (size_t)jval_get_int(q, "pos", 0), from = 0;
    double deadline = deadline_of(q, 30);
    char path[256];
    Ways w = {.items = json_array(), .seen = json_object()};
    Lex last;
    if (pos > n)
        pos = n;
    lex_start(&last, text, pos); /* the token that the cursor stands behind */
    for (Lex next = last; lex_next(&next);)
        last = next;
    bool in_string = last.kind == LEX_STRING && last.open;
    bool in_comment = last.kind == LEX_COMMENT && (last.open || last.to == pos);
    if (in_string && pos - last.from - 1 < sizeof w.prefix) {
        from = last.from + 1;
        memcpy(w.prefix, text + from, pos - from);
        if (!add_options(&w, text, last.from, true))
            add_files(&w, text, last.from + 1, pos, &from);
    } else if (in_string) {
        add_files(&w, text, last.from + 1, pos, &from);
    } else if (!in_comment && find_path(text, pos, &from, path, sizeof path) &&
               pos - from < sizeof w.prefix) {
        memcpy(w.prefix, text + from, pos - from);
        bool words = !path[0] && w.prefix[0];
        if (!path[0] && add_options(&w, text, from, false))
            words = false;
        else
            add_fields(k, &w, path, deadline);
        for (size_t i = 0; words && i < lex_n_keywords; i++)
            add_way(&w, lex_keywords[i], "keyword");
        for (int i = 0; words && i < k->doc->n; i++)
            add_words(&w, k->doc->cell[i]->text, deadline);
    }
    json_t *ok = json_pack("{s:I,s:o,s:b,s:b}", "from", (json_int_t)from, "items",
                           sorted(w.items), "stale", k->busy, "cut", w.cut);
    json_decref(w.items);
    json_decref(w.seen);
    if (!ok)
        err_set(err, ERR_MEMORY, "out of memory while completing");
    return ok;
}

/* --- inspection ------------------------------------------------------------------- */

static json_t *from_snapshot(const Session *k, const char *name)
{
    size_t i;
    json_t *item;
    json_array_foreach(k->variables, i, item)
    {
        if (strcmp(jval_get(item, "name", ""), name) == 0)
            return json_copy(item);
    }
    return NULL;
}

/* What the reference says of a name; of an object that is called so, what it can do. */
static bool reference(const char *name, const json_t *value, Str *doc)
{
    const char *kind = jval_get(value, "kind", "");
    bool own = kind[0] && strcmp(kind, "function") != 0 && strcmp(kind, "table") != 0;
    if (own)
        return doc_methods(kind, doc);
    return doc_text(name[0] ? name : NULL, doc, NULL);
}

/* "net:accuracy" is documented as "model:accuracy" when net is a model. */
static bool method_reference(Session *k, const char *name, Str *doc)
{
    char full[256];
    const char *colon = strrchr(name, ':');
    if (!colon || k->busy ||
        snprintf(full, sizeof full, "%.*s", (int)(colon - name), name) >=
            (int)sizeof full)
        return false;
    json_t *o = script_describe(k->script, full, NULL);
    snprintf(full, sizeof full, "%.100s:%.100s", jval_get(o, "kind", ""), colon + 1);
    json_decref(o);
    return full[0] != ':' && doc_text(full, doc, NULL);
}

json_t *look_inspect(Session *k, const json_t *q, Err *err)
{
    const char *name = jval_get(q, "name", "");
    Str doc;
    str_init(&doc);
    Err why = {0};
    json_t *o = k->busy ? from_snapshot(k, name)
                        : script_describe(k->script, name, &why);
    bool known = method_reference(k, name, &doc) || reference(name, o, &doc);
    if (!o && !known && !k->busy && err)
        *err = why;
    if (!o && known)
        o = json_pack("{s:o,s:s,s:s}", "name", jval_str(name), "kind", "", "text", "");
    if (o && known)
        jval_set(o, "doc", jval_text(doc.s, doc.len));
    if (o)
        jval_set(o, "stale", json_boolean(k->busy));
    else if (k->busy)
        err_set(err, ERR_STATE, "'%.100s' is not known while a cell runs", name);
    str_done(&doc);
    return o;
}

json_t *look_variables(Session *k, const json_t *q, Err *err)
{
    json_t *vars = k->busy ? json_incref(k->variables)
                           : script_variables(k->script, deadline_of(q, 100), err);
    if (!vars && !k->busy)
        return NULL;
    return json_pack("{s:o,s:b}", "vars", vars ? vars : json_array(), "stale", k->busy);
}
