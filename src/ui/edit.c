/* edit.c -- one block of bytes; a change is an entry (where, what was there, how much
 * came) of a list, and undo walks it by groups. Cells are short, so lines are found by
 * looking for them. Lua is in edit_lua.c. */
#include "ui/edit.h"

#include <string.h>

#include "base/mem.h"
#include "figure/clean.h"

enum { MAX_UNDO = 2000 };

/* --- killed text ------------------------------------------------------------------ */

void kill_ring_done(KillRing *k)
{
    for (int i = 0; i < KILL_RING; i++)
        mem_free(k->item[i]);
    *k = (KillRing){0};
}

void kill_ring_put(KillRing *k, const char *s, size_t n, int join)
{
    Str t;
    str_init(&t);
    if (join > 0)
        str_add(&t, kill_ring_top(k));
    str_addn(&t, s, n);
    if (join < 0)
        str_add(&t, kill_ring_top(k));
    char *copy = t.oom ? NULL : mem_strdup(t.s, NULL);
    str_done(&t);
    if (!copy)
        return;
    if (join == 0 || k->n == 0) {
        k->top = (k->top + 1) % KILL_RING;
        k->n = k->n < KILL_RING ? k->n + 1 : KILL_RING;
    }
    mem_free(k->item[k->top]);
    k->item[k->top] = copy;
    k->at = 0;
}

const char *kill_ring_top(const KillRing *k)
{
    return k->n > 0 ? k->item[k->top] : "";
}

/* --- text ------------------------------------------------------------------------- */

static bool reserve(Edit *e, size_t need)
{
    if (need + 1 <= e->cap)
        return true;
    size_t cap = e->cap < 64 ? 64 : e->cap;
    while (cap < need + 1)
        cap *= 2;
    char *s = mem_realloc(e->s, cap, NULL);
    if (!s) {
        e->oom = true;
        return false;
    }
    e->s = s;
    e->cap = cap;
    return true;
}

bool edit_init(Edit *e, const char *text, bool one_line, Err *err)
{
    *e = (Edit){.goal = -1, .one_line = one_line};
    if (!reserve(e, strlen(text)))
        return err_set(err, ERR_MEMORY, "no memory for a text to edit");
    edit_set(e, text);
    return true;
}

static void drop_undo(Edit *e, int from)
{
    for (int i = from; i < e->n_undo; i++)
        mem_free(e->undo[i].gone);
    e->n_undo = from;
    e->redo = 0;
}

void edit_done(Edit *e)
{
    drop_undo(e, 0);
    mem_free(e->undo);
    mem_free(e->s);
    *e = (Edit){0};
}

void edit_set(Edit *e, const char *text)
{
    size_t n = strlen(text);
    drop_undo(e, 0);
    if (!reserve(e, n))
        return;
    memcpy(e->s, text, n + 1);
    e->len = e->cursor = n;
    e->marking = false;
    e->goal = -1;
    e->did = DID_OTHER;
    e->changes++;
}

static void splice(Edit *e, size_t from, size_t n_gone, const char *s, size_t n)
{
    memmove(e->s + from + n, e->s + from + n_gone, e->len - from - n_gone + 1);
    memcpy(e->s + from, s, n);
    e->len = e->len - n_gone + n;
    e->changes++;
}

/* A slot of the list of changes, the oldest group dropped when there are too many. */
static EditChange *new_change(Edit *e)
{
    drop_undo(e, e->n_undo - e->redo);
    if (e->n_undo >= MAX_UNDO) {
        int n = 1;
        while (n < e->n_undo && e->undo[n].group == e->undo[0].group)
            n++;
        for (int i = 0; i < n; i++)
            mem_free(e->undo[i].gone);
        memmove(e->undo, e->undo + n, (size_t)(e->n_undo - n) * sizeof *e->undo);
        e->n_undo -= n;
    }
    if (e->n_undo == e->cap_undo) {
        int cap = e->cap_undo ? 2 * e->cap_undo : 32;
        EditChange *u = mem_realloc(e->undo, (size_t)cap * sizeof *u, NULL);
        if (!u)
            return NULL;
        e->undo = u;
        e->cap_undo = cap;
    }
    return &e->undo[e->n_undo];
}

void edit_replace(Edit *e, size_t from, size_t to, const char *s, size_t n)
{
    EditChange *c = new_change(e);
    char *gone = c ? mem_alloc(to - from + 1, NULL) : NULL;
    if (!gone || !reserve(e, e->len - (to - from) + n)) {
        mem_free(gone);
        e->oom = true;
        return;
    }
    memcpy(gone, e->s + from, to - from);
    gone[to - from] = '\0';
    *c = (EditChange){from, gone, to - from, n, e->group, e->cursor};
    e->n_undo++;
    splice(e, from, to - from, s, n);
    if (e->one_line) {
        for (size_t i = from; i < from + n; i++)
            if (e->s[i] == '\n' || e->s[i] == '\r')
                e->s[i] = ' ';
    }
    e->cursor = from + n;
    e->goal = -1;
    e->marking = false;
}

void edit_group(Edit *e)
{
    e->group++;
    e->did = DID_OTHER;
}

/* Swaps a change for its reverse. */
static bool reverse(Edit *e, EditChange *c)
{
    char *now = mem_alloc(c->n_new + 1, NULL);
    if (!now || !reserve(e, e->len + c->n_gone)) {
        mem_free(now);
        return false;
    }
    memcpy(now, e->s + c->at, c->n_new);
    now[c->n_new] = '\0';
    splice(e, c->at, c->n_new, c->gone, c->n_gone);
    mem_free(c->gone);
    c->gone = now;
    size_t n = c->n_new;
    c->n_new = c->n_gone;
    c->n_gone = n;
    return true;
}

bool edit_undo(Edit *e)
{
    int at = e->n_undo - e->redo - 1;
    if (at < 0)
        return false;
    for (int group = e->undo[at].group; at >= 0 && e->undo[at].group == group; at--) {
        if (!reverse(e, &e->undo[at]))
            return false;
        e->cursor = e->undo[at].cursor;
        e->redo++;
    }
    e->did = DID_OTHER;
    e->marking = false;
    e->goal = -1;
    e->group++;
    return true;
}

bool edit_redo(Edit *e)
{
    if (e->redo == 0)
        return false;
    int at = e->n_undo - e->redo;
    for (int group = e->undo[at].group; e->redo > 0 && e->undo[at].group == group;
         at++) {
        if (!reverse(e, &e->undo[at]))
            return false;
        e->cursor = e->undo[at].at + e->undo[at].n_new;
        e->redo--;
    }
    e->did = DID_OTHER;
    e->group++;
    return true;
}

void edit_type(Edit *e, const char *s, size_t n)
{
    bool blank = n == 1 && (*s == ' ' || *s == '\n');
    if (e->did != DID_TYPE || blank)
        e->group++;
    edit_replace(e, e->cursor, e->cursor, s, n);
    e->did = DID_TYPE;
}

void edit_paste(Edit *e, const char *s, size_t n)
{
    size_t from = e->cursor, to = e->cursor;
    edit_group(e);
    if (e->marking)
        edit_region(e, &from, &to);
    edit_replace(e, from, to, s, n);
    edit_group(e);
}

/* --- where things are ------------------------------------------------------------- */

size_t edit_line_start(const Edit *e, size_t pos)
{
    while (pos > 0 && e->s[pos - 1] != '\n')
        pos--;
    return pos;
}

size_t edit_line_end(const Edit *e, size_t pos)
{
    while (pos < e->len && e->s[pos] != '\n')
        pos++;
    return pos;
}

int edit_line_number(const Edit *e, size_t pos)
{
    int n = 0;
    for (size_t i = 0; i < pos; i++)
        n += e->s[i] == '\n';
    return n;
}

int edit_column(const Edit *e, size_t pos)
{
    int cols = 0;
    Glyph g;
    for (size_t i = edit_line_start(e, pos); i < pos;) {
        i += glyph_next(e->s + i, e->len - i, cols, &g);
        cols += g.width;
    }
    return cols;
}

static size_t at_column(const Edit *e, size_t line, int col)
{
    int cols = 0;
    Glyph g;
    while (line < e->len && e->s[line] != '\n') {
        size_t n = glyph_next(e->s + line, e->len - line, cols, &g);
        if (cols + g.width > col)
            break;
        cols += g.width;
        line += n;
    }
    return line;
}

static size_t left_of(const Edit *e, size_t pos)
{
    if (pos > 0)
        pos--;
    while (pos > 0 && ((unsigned char)e->s[pos] & 0xC0) == 0x80)
        pos--;
    return pos;
}

static size_t right_of(const Edit *e, size_t pos)
{
    if (pos < e->len)
        pos++;
    while (pos < e->len && ((unsigned char)e->s[pos] & 0xC0) == 0x80)
        pos++;
    return pos;
}

static bool in_word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           c == '_' || ((unsigned char)c & 0x80);
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\n';
}

static size_t word_step(const Edit *e, Motion m, size_t p)
{
    if (m == GO_WORD_LEFT) {
        while (p > 0 && !in_word(e->s[p - 1]))
            p--;
        while (p > 0 && in_word(e->s[p - 1]))
            p--;
    } else if (m == GO_WORD_RIGHT) {
        while (p < e->len && !in_word(e->s[p]))
            p++;
        while (p < e->len && in_word(e->s[p]))
            p++;
    } else if (m == GO_NEXT_WORD) {
        bool word = p < e->len && in_word(e->s[p]);
        while (p < e->len && !is_blank(e->s[p]) && in_word(e->s[p]) == word)
            p++;
        while (p < e->len && is_blank(e->s[p]))
            p++;
    } else { /* GO_WORD_END */
        p = right_of(e, p);
        while (p < e->len && is_blank(e->s[p]))
            p++;
        bool word = p < e->len && in_word(e->s[p]);
        while (p + 1 < e->len && !is_blank(e->s[p + 1]) && in_word(e->s[p + 1]) == word)
            p++;
    }
    return p;
}

static size_t up_down(Edit *e, size_t pos, int step)
{
    size_t start = edit_line_start(e, pos), end = edit_line_end(e, pos);
    if (e->goal < 0)
        e->goal = edit_column(e, pos);
    if (step < 0)
        return start == 0 ? pos : at_column(e, edit_line_start(e, start - 1), e->goal);
    return end >= e->len ? pos : at_column(e, end + 1, e->goal);
}

static size_t step_to(Edit *e, Motion m, size_t p)
{
    size_t q;
    switch (m) {
    case GO_LEFT: return left_of(e, p);
    case GO_RIGHT: return right_of(e, p);
    case GO_UP: return up_down(e, p, -1);
    case GO_DOWN: return up_down(e, p, 1);
    case GO_LINE_START: return edit_line_start(e, p);
    case GO_LINE_END: return edit_line_end(e, p);
    case GO_TEXT_START:
        for (q = edit_line_start(e, p); e->s[q] == ' ' || e->s[q] == '\t';)
            q++;
        return q;
    case GO_START: return 0;
    case GO_END: return e->len;
    default: return word_step(e, m, p);
    }
}

size_t edit_target(Edit *e, Motion m, int count)
{
    size_t p = e->cursor;
    int goal = e->goal;
    for (int i = 0; i < count; i++)
        p = step_to(e, m, p);
    e->goal = goal;
    return p;
}

void edit_go(Edit *e, size_t pos)
{
    e->cursor = pos < e->len ? pos : e->len;
    e->goal = -1;
    e->did = DID_OTHER;
}

bool edit_move(Edit *e, Motion m, int count)
{
    size_t p = e->cursor;
    if (m != GO_UP && m != GO_DOWN)
        e->goal = -1;
    for (int i = 0; i < count; i++)
        p = step_to(e, m, p);
    bool moved = p != e->cursor;
    e->cursor = p;
    e->did = DID_OTHER;
    return moved;
}

/* --- changes ---------------------------------------------------------------------- */

void edit_backspace(Edit *e)
{
    size_t from, to;
    if (e->marking && edit_region(e, &from, &to)) {
        edit_group(e);
        edit_replace(e, from, to, "", 0);
        return;
    }
    if (e->cursor == 0)
        return;
    if (e->did != DID_DELETE)
        e->group++;
    /* two blanks of indentation go together */
    size_t start = edit_line_start(e, e->cursor);
    bool pair = edit_at_indent(e) && (e->cursor - start) % 2 == 0 &&
                e->cursor - start >= 2 && e->s[e->cursor - 1] == ' ' &&
                e->s[e->cursor - 2] == ' ';
    edit_replace(e, pair ? e->cursor - 2 : left_of(e, e->cursor), e->cursor, "", 0);
    e->did = DID_DELETE;
}

void edit_delete(Edit *e)
{
    size_t from, to;
    if (e->marking && edit_region(e, &from, &to)) {
        edit_group(e);
        edit_replace(e, from, to, "", 0);
        return;
    }
    if (e->cursor == e->len)
        return;
    if (e->did != DID_DELETE)
        e->group++;
    size_t at = e->cursor;
    edit_replace(e, at, right_of(e, at), "", 0);
    e->did = DID_DELETE;
}

static void kill_to(Edit *e, KillRing *k, size_t target)
{
    size_t from = target < e->cursor ? target : e->cursor;
    size_t to = target < e->cursor ? e->cursor : target;
    if (from == to)
        return;
    bool again = e->did == DID_KILL;
    kill_ring_put(k, e->s + from, to - from, !again ? 0 : target < e->cursor ? -1 : 1);
    e->group++;
    edit_replace(e, from, to, "", 0);
    e->did = DID_KILL;
}

void edit_kill(Edit *e, KillRing *k, Motion m)
{
    kill_to(e, k, edit_target(e, m, 1));
}

void edit_kill_line(Edit *e, KillRing *k)
{
    size_t end = edit_line_end(e, e->cursor);
    kill_to(e, k, end > e->cursor ? end : right_of(e, e->cursor));
}

void edit_kill_region(Edit *e, KillRing *k, bool keep)
{
    size_t from, to;
    if (!edit_region(e, &from, &to))
        return;
    kill_ring_put(k, e->s + from, to - from, 0);
    edit_group(e);
    if (!keep)
        edit_replace(e, from, to, "", 0);
    e->marking = false;
}

void edit_yank(Edit *e, const KillRing *k)
{
    const char *s = kill_ring_top(k);
    edit_group(e);
    e->yank_from = e->cursor;
    edit_replace(e, e->cursor, e->cursor, s, strlen(s));
    e->did = DID_YANK;
}

void edit_yank_older(Edit *e, KillRing *k)
{
    if (e->did != DID_YANK || k->n < 2)
        return;
    k->at = (k->at + 1) % k->n;
    const char *s = k->item[(k->top - k->at + KILL_RING) % KILL_RING];
    size_t from = e->yank_from;
    edit_replace(e, from, e->cursor, s, strlen(s));
    e->did = DID_YANK;
}

void edit_set_mark(Edit *e)
{
    e->marking = !e->marking || e->mark != e->cursor;
    e->mark = e->cursor;
    e->did = DID_OTHER;
}

bool edit_region(const Edit *e, size_t *from, size_t *to)
{
    if (!e->marking)
        return false;
    size_t mark = e->mark < e->len ? e->mark : e->len;
    *from = mark < e->cursor ? mark : e->cursor;
    *to = mark < e->cursor ? e->cursor : mark;
    return *from < *to;
}

void edit_transpose(Edit *e)
{
    size_t at = e->cursor;
    if (at == e->len || e->s[at] == '\n')
        at = left_of(e, at);
    size_t a = left_of(e, at), end = right_of(e, at);
    char both[16];
    if (a >= at || e->s[a] == '\n' || end - a > sizeof both)
        return;
    memcpy(both, e->s + at, end - at);
    memcpy(both + (end - at), e->s + a, at - a);
    edit_group(e);
    edit_replace(e, a, end, both, end - a);
}
