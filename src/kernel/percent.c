/* percent.c -- the file format. A file is lead + for each cell head + text + tail, each
 * piece kept as it was read, so an unedited document is written as the same bytes. A
 * marker is a short comment alone on its line: the lexer knows which comments those
 * are. A long bracket that never closes hides no marker. */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "kernel/document.h"
#include "kernel/document_int.h"
#include "lab/jval.h"
#include "script/lualex.h"

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == '\v' || c == '\f';
}

static size_t line_end(const char *s, size_t n, size_t at)
{
    const char *nl = memchr(s + at, '\n', n - at);
    return nl ? (size_t)(nl - s) + 1 : n;
}

static bool valid_utf8(const char *s, size_t n)
{
    for (size_t i = 0; i < n;) {
        uint32_t rune;
        int used = utf8_next(s + i, n - i, &rune);
        if (rune == 0 || (rune == 0xFFFD && used == 1))
            return false;
        i += (size_t)used;
    }
    return true;
}

/* --- markers ---------------------------------------------------------------------- */

/* The marker's text behind the percent signs, or NULL when the comment is none. */
static const char *marker_rest(const char *s, size_t n)
{
    size_t i = 2;
    if (i < n && s[i] == ' ')
        i++;
    if (n < i + 2 || s[i] != '%' || s[i + 1] != '%')
        return NULL;
    while (i < n && s[i] == '%')
        i++;
    return i == n || is_space(s[i]) ? s + i : NULL;
}

/* Only blanks stand before it on its line, and nothing behind. Lua's lines end at a
 * carriage return too, a file's here do not: code behind one must not vanish in a
 * marker. */
static bool is_line(const Lex *l, size_t *start)
{
    size_t at = l->from, end = l->to;
    while (at > 0 && (l->s[at - 1] == ' ' || l->s[at - 1] == '\t'))
        at--;
    *start = at;
    if (end < l->n && l->s[end] == '\r')
        end++;
    return (at == 0 || l->s[at - 1] == '\n') && (end == l->n || l->s[end] == '\n');
}

/* The next marker from where the lexer is: its line is [*from, *to). */
static bool next_marker(Lex *l, size_t *from, size_t *to)
{
    while (lex_next(l)) {
        bool runs_out = l->open && l->to == l->n;
        if (runs_out && (l->kind == LEX_COMMENT || l->s[l->from] == '[')) {
            l->pos = l->from + 1; /* never closed: not a bracket */
            if (l->kind == LEX_COMMENT) {
                while (l->pos < l->n && l->s[l->pos] != '\n')
                    l->pos++;
            }
        }
        if (l->kind == LEX_COMMENT && marker_rest(l->s + l->from, l->to - l->from) &&
            is_line(l, from)) {
            *to = line_end(l->s, l->n, l->from);
            if (valid_utf8(l->s + *from, *to - *from))
                return true;
        }
    }
    return false;
}

static void start_lexer(Lex *l, const char *text, size_t n)
{
    lex_start(l, text, n);
    if (n > 0 && text[0] == '#')
        l->pos = line_end(text, n, 0);
}

/* "[markdown] title" in either order, spaces trimmed. */
static bool parse_marker(Cell *c, const char *line, size_t n, Err *err)
{
    static const struct {
        const char *word;
        CellType type;
    } kinds[] = {
        {"[markdown]", CELL_MARKDOWN},
        {"[md]",       CELL_MARKDOWN},
        {"[raw]",      CELL_RAW     }
    };
    size_t skip = 0;
    while (skip < n && line[skip] != '-')
        skip++;
    const char *rest = marker_rest(line + skip, n - skip);
    Str t;
    str_init(&t);
    str_addn(&t, rest, (size_t)(line + n - rest));
    for (size_t i = 0; !t.oom && i < ARRAY_LEN(kinds); i++) {
        char *at = strstr(t.s, kinds[i].word);
        if (!at)
            continue;
        size_t len = strlen(kinds[i].word);
        memmove(at, at + len, strlen(at + len) + 1);
        t.len -= len;
        c->type = kinds[i].type;
        break;
    }
    size_t from = 0, to = t.len;
    while (from < to && is_space(t.s[from]))
        from++;
    while (to > from && is_space(t.s[to - 1]))
        to--;
    Str title;
    str_init(&title);
    str_addn(&title, t.s + from, to - from);
    bool ok =
        str_ok(&t, err) && str_ok(&title, err) && cell_put(&c->title, title.s, err);
    str_done(&title);
    str_done(&t);
    return ok;
}

/* --- texts as shown and as written ------------------------------------------------ */

static void add_line(Str *out, const char *s, size_t n, bool more, bool crlf)
{
    str_addn(out, s, n);
    if (more)
        str_add(out, crlf ? "\r\n" : "\n");
}

/* Whether a markdown line would be read as a marker behind "-- ". */
static bool like_marker(const char *s, size_t n)
{
    size_t i = 0;
    while (i < n && s[i] == '%')
        i++;
    return i >= 2 && (i == n || is_space(s[i]));
}

void cell_encode(CellType type, bool crlf, const char *text, Str *out)
{
    size_t n = strlen(text), at = 0;
    while (at < n) {
        const char *nl = memchr(text + at, '\n', n - at);
        size_t end = nl ? (size_t)(nl - text) : n;
        if (type != CELL_CODE)
            str_add(out, end == at                          ? "--"
                         : like_marker(text + at, end - at) ? "--  "
                                                            : "-- ");
        add_line(out, text + at, end - at, nl != NULL, crlf);
        at = end + (nl != NULL);
        if (nl && at == n && type != CELL_CODE)
            str_add(out, "--");
    }
}

/* The text to show of the file's bytes: comment signs of other types taken away, line
 * ends of one byte, always UTF-8. */
static void decode(CellType type, bool crlf, const char *s, size_t n, Str *out)
{
    for (size_t at = 0; at < n;) {
        const char *nl = memchr(s + at, '\n', n - at);
        size_t end = nl ? (size_t)(nl - s) : n, stop = end;
        if (crlf && nl && stop > at && s[stop - 1] == '\r')
            stop--;
        if (type != CELL_CODE && stop - at >= 2 && s[at] == '-' && s[at + 1] == '-')
            at += stop - at >= 3 && s[at + 2] == ' ' ? 3 : 2;
        while (at < stop) {
            uint32_t rune;
            at += (size_t)utf8_next(s + at, stop - at, &rune);
            str_add_rune(out, rune ? rune : 0xFFFD);
        }
        if (nl)
            str_addc(out, '\n');
        at = end + (nl != NULL);
    }
}

/* Takes the bytes between two markers: text up to the last line that is not blank. */
static bool set_body(Cell *c, const char *s, size_t n, bool crlf, Err *err)
{
    size_t last = n;
    while (last > 0 && is_space(s[last - 1]))
        last--;
    size_t end = last; /* blanks behind the last word belong to its line */
    while (last > 0 && end < n && (s[end] == ' ' || s[end] == '\t'))
        end++;
    Str text, again, tail;
    str_init(&text);
    str_init(&again);
    str_init(&tail);
    decode(c->type, crlf, s, end, &text);
    cell_encode(c->type, crlf, text.s, &again);
    str_addn(&tail, s + end, n - end);
    bool ok = str_ok(&text, err) && str_ok(&again, err) && str_ok(&tail, err) &&
              cell_put(&c->text, text.s, err) && cell_put(&c->tail, tail.s, err);
    if (ok && (again.len != end || memcmp(again.s, s, end) != 0)) {
        c->raw = mem_alloc(end + 1, err);
        ok = c->raw != NULL;
        if (ok) {
            memcpy(c->raw, s, end);
            c->raw[end] = '\0';
            c->n_raw = end;
        }
    }
    str_done(&text);
    str_done(&again);
    str_done(&tail);
    return ok;
}

/* --- reading ---------------------------------------------------------------------- */

static bool add_cell(Document *d, const char *s, size_t head, size_t body, size_t end,
                     Err *err)
{
    Cell *c = cell_new(d->next, err);
    if (!c)
        return false;
    Str t;
    str_init(&t);
    str_addn(&t, s + head, body - head);
    bool ok = str_ok(&t, err) && cell_put(&c->head, t.s, err) &&
              (body == head || parse_marker(c, s + head, body - head, err)) &&
              set_body(c, s + body, end - body, d->crlf, err) &&
              document_put(d, c, d->n, err);
    str_done(&t);
    if (ok)
        d->next++;
    else
        cell_free(c);
    return ok;
}

static bool blank(const char *s, size_t n)
{
    while (n > 0 && is_space(s[n - 1]))
        n--;
    return n == 0;
}

bool document_load(Document *d, const char *text, size_t n, Err *err)
{
    Lex l;
    size_t at = 0, from = 0, to = 0;
    const char *nl = memchr(text, '\n', n);
    d->crlf = nl && nl > text && nl[-1] == '\r';
    if (n >= 3 && memcmp(text, "\xEF\xBB\xBF", 3) == 0)
        at = 3;
    const char *s = text + at;
    n -= at;
    start_lexer(&l, s, n);
    bool more = next_marker(&l, &from, &to);
    Str lead;
    str_init(&lead);
    str_addn(&lead, text, at);
    bool none = more && blank(s, from);
    if (none)
        str_addn(&lead, s, from);
    bool ok = str_ok(&lead, err) && cell_put(&d->lead, lead.s, err) &&
              (none || add_cell(d, s, 0, 0, more ? from : n, err));
    str_done(&lead);
    while (ok && more) {
        size_t head = from, body = to;
        more = next_marker(&l, &from, &to);
        ok = add_cell(d, s, head, body, more ? from : n, err);
    }
    char hash[17];
    document_hash(text, n + at, hash);
    d->saved_rev = d->rev;
    return ok && cell_put(&d->saved_hash, hash, err);
}

json_t *percent_split(const char *text, size_t n, Err *err)
{
    Document *d = document_new(err);
    json_t *list = json_array();
    bool ok = d && list && document_load(d, text, n, err);
    for (int i = 0; ok && i < d->n; i++) {
        const Cell *c = d->cell[i];
        ok = json_array_append_new(list, json_pack("{s:s,s:s,s:s}", "type",
                                                   cell_type_name(c->type), "title",
                                                   c->title, "text", c->text)) == 0;
        if (!ok)
            err_set(err, ERR_MEMORY, "out of memory while a cell was split");
    }
    document_free(d);
    if (ok)
        return list;
    json_decref(list);
    return NULL;
}

/* --- writing ---------------------------------------------------------------------- */

static void add_head(const Document *d, int i, Str *out)
{
    const Cell *c = d->cell[i];
    const char *nl = d->crlf ? "\r\n" : "\n";
    bool bare = c->type == CELL_CODE && !c->title[0];
    if (out->len > 0 && out->s[out->len - 1] != '\n' &&
        strcmp(out->s, "\xEF\xBB\xBF") != 0)
        str_add(out, nl);
    if (c->head && (c->head[0] || (i == 0 && bare))) {
        str_add(out, c->head);
        size_t len = strlen(c->head);
        if (len > 0 && c->head[len - 1] != '\n' && c->text[0])
            str_add(out, nl);
        return;
    }
    str_add(out, "-- %%");
    if (c->title[0])
        str_addf(out, " %s", c->title);
    if (c->type != CELL_CODE)
        str_addf(out, " [%s]", cell_type_name(c->type));
    str_add(out, nl);
}

bool document_save(const Document *d, Str *out, Err *err)
{
    return document_lines(d, out, NULL, err);
}

static int count_lines(const char *s, size_t n)
{
    int lines = 0;
    for (size_t i = 0; i < n; i++)
        lines += s[i] == '\n';
    return lines;
}

bool document_lines(const Document *d, Str *out, int *before, Err *err)
{
    const char *nl = d->crlf ? "\r\n" : "\n";
    size_t counted = 0;
    int lines = 0;
    str_add(out, d->lead ? d->lead : "");
    for (int i = 0; i < d->n; i++) {
        const Cell *c = d->cell[i];
        add_head(d, i, out);
        if (before) {
            lines += count_lines(out->s + counted, out->len - counted);
            counted = out->len;
            before[i] = lines;
        }
        if (c->raw)
            str_addn(out, c->raw, c->n_raw);
        else
            cell_encode(c->type, d->crlf, c->text, out);
        if (c->tail) {
            str_add(out, c->tail);
        } else {
            str_add(out, c->text[0] ? nl : "");
            str_add(out, i + 1 < d->n ? nl : "");
        }
    }
    return str_ok(out, err);
}

bool cell_source(const Cell *c, Str *out, Err *err)
{
    if (c->raw && c->type == CELL_CODE)
        str_addn(out, c->raw, c->n_raw);
    else
        str_add(out, c->text);
    return str_ok(out, err);
}

void document_hash(const char *text, size_t n, char dst[17])
{
    uint64_t h = 14695981039346656037u;
    for (size_t i = 0; i < n; i++)
        h = (h ^ (unsigned char)text[i]) * 1099511628211u;
    snprintf(dst, 17, "%016llx", (unsigned long long)h);
}

/* --- a file that changed ---------------------------------------------------------- */

static bool same_cell(const Cell *a, const Cell *b)
{
    return a->type == b->type && strcmp(a->text, b->text) == 0;
}

/* Longest common subsequence of cells: keep[j] is the old index of new cell j, or -1.
 */
static bool match_cells(const Document *old, const Document *new, int *keep, Err *err)
{
    size_t w = (size_t) new->n + 1;
    int *len = mem_array(((size_t)old->n + 1) * w, sizeof *len, err);
    if (!len)
        return false;
    for (int i = old->n; i >= 0; i--) {
        for (int j = new->n; j >= 0; j--) {
            size_t at = (size_t)i * w + (size_t)j;
            if (i == old->n || j == new->n)
                len[at] = 0;
            else if (same_cell(old->cell[i], new->cell[j]))
                len[at] = len[at + w + 1] + 1;
            else
                len[at] = len[at + w] > len[at + 1] ? len[at + w] : len[at + 1];
        }
    }
    for (int i = 0, j = 0; j < new->n;) {
        size_t at = (size_t)i * w + (size_t)j;
        if (i < old->n && same_cell(old->cell[i], new->cell[j]))
            keep[j++] = i++;
        else if (i < old->n && len[at + w] >= len[at + 1])
            i++;
        else
            keep[j++] = -1;
    }
    mem_free(len);
    return true;
}

/* A changed cell between the same neighbours is the old one, edited. */
static void pair_changed(const Document *old, const Document *new, int *keep)
{
    for (int j = 0; j < new->n; j++) {
        int before = j > 0 ? keep[j - 1] : -1, after = old->n;
        if (keep[j] >= 0 || (j > 0 && before < 0))
            continue;
        for (int k = j + 1; k < new->n &&after == old->n; k++) {
            if (keep[k] >= 0)
                after = keep[k];
        }
        if (before + 1 < after && old->cell[before + 1]->type == new->cell[j]->type)
            keep[j] = before + 1;
    }
}

json_t *document_reload(const Document *d, const char *text, size_t n, Err *err)
{
    json_t *out = NULL;
    int *keep = NULL;
    Document *new = document_new(err);
    if (!new || !document_load(new, text, n, err))
        goto done;
    keep = mem_array((size_t) new->n + 1, sizeof *keep, err);
    if (!keep || !match_cells(d, new, keep, err))
        goto done;
    pair_changed(d, new, keep);
    new->next = d->next;
    new->rev = new->saved_rev = d->rev + 1;
    for (int j = 0; j < new->n; j++) {
        const Cell *old = keep[j] >= 0 ? d->cell[keep[j]] : NULL;
        bool same = old && same_cell(old, new->cell[j]);
        new->cell[j]->id = old ? old->id : new->next++;
        new->cell[j]->rev = same ? old->rev : new->rev;
    }
    out = document_to_json(new);
    if (!out)
        err_set(err, ERR_MEMORY, "out of memory while the file was read again");
done:
    document_free(new);
    mem_free(keep);
    return out;
}
