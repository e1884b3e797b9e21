/* vi.c -- a command is [count] [operator [count]] motion, or [count] action. Its keys
 * are kept while they are typed, so that `.` can type the last change again;
 * insertions are not part of it. */
#include "ui/vi.h"

#include <string.h>

#include "base/mem.h"

void vi_start(Vi *v)
{
    *v = (Vi){.insert = false};
}

static bool is_motion(Key k, Motion *m, bool *inclusive)
{
    static const struct {
        Key key;
        Motion m;
        bool inclusive;
    } map[] = {
        {'h',         GO_LEFT,       false},
        {K_LEFT,      GO_LEFT,       false},
        {'l',         GO_RIGHT,      false},
        {K_RIGHT,     GO_RIGHT,      false},
        {' ',         GO_RIGHT,      false},
        {K_BACKSPACE, GO_LEFT,       false},
        {'w',         GO_NEXT_WORD,  false},
        {'b',         GO_WORD_LEFT,  false},
        {'e',         GO_WORD_END,   true },
        {'0',         GO_LINE_START, false},
        {'^',         GO_TEXT_START, false},
        {'$',         GO_LINE_END,   false},
        {K_HOME,      GO_LINE_START, false},
        {K_END,       GO_LINE_END,   false},
    };
    for (size_t i = 0; i < ARRAY_LEN(map); i++) {
        if (map[i].key == k) {
            *m = map[i].m;
            *inclusive = map[i].inclusive;
            return true;
        }
    }
    return false;
}

static void done(Vi *v, bool changes)
{
    if (changes && !v->replaying && v->n_now > 0) {
        memcpy(v->last, v->now, sizeof v->now);
        v->n_last = v->n_now;
    }
    v->n_now = v->count = v->op_count = 0;
    v->op = v->wait = 0;
}

static size_t after(const Edit *e, size_t pos)
{
    if (pos < e->len)
        pos++;
    while (pos < e->len && ((unsigned char)e->s[pos] & 0xC0) == 0x80)
        pos++;
    return pos;
}

/* d, c or y on [from, to); whole lines when `lines`. */
static void operate(Vi *v, Edit *e, KillRing *k, size_t from, size_t to, bool lines)
{
    Key op = v->op;
    if (lines) {
        from = edit_line_start(e, from);
        to = edit_line_end(e, to);
    }
    kill_ring_put(k, e->s + from, to - from, 0);
    v->lines = lines;
    edit_group(e);
    if (op == 'd' && lines && to < e->len)
        to++;
    else if (op == 'd' && lines && from > 0)
        from--;
    if (op != 'y')
        edit_replace(e, from, to, "", 0);
    edit_go(e, op == 'd' && lines ? edit_line_start(e, from < e->len ? from : e->len)
                                  : from);
    edit_group(e);
    v->insert = op == 'c';
    done(v, op != 'y');
}

static void move_or_operate(Vi *v, Edit *e, KillRing *k, size_t to, bool inclusive)
{
    size_t from = e->cursor;
    if (!v->op) {
        edit_go(e, to);
        done(v, false);
        return;
    }
    if (to < from) {
        size_t t = from;
        from = to;
        to = t;
    } else if (inclusive) {
        to = after(e, to);
    }
    operate(v, e, k, from, to, false);
}

static void put(Vi *v, Edit *e, const KillRing *k, bool behind)
{
    const char *s = kill_ring_top(k);
    size_t n = strlen(s), at = e->cursor;
    edit_group(e);
    if (v->lines) {
        at = behind ? edit_line_end(e, at) : edit_line_start(e, at);
        edit_replace(e, at, at, "\n", 1);
        edit_replace(e, behind ? at + 1 : at, behind ? at + 1 : at, s, n);
        edit_go(e, behind ? at + 1 : at);
    } else {
        if (behind && at < e->len && e->s[at] != '\n')
            at = after(e, at);
        edit_replace(e, at, at, s, n);
    }
    edit_group(e);
    done(v, true);
}

static void join_lines(Vi *v, Edit *e)
{
    size_t end = edit_line_end(e, e->cursor), to = end + 1;
    if (end < e->len) {
        while (to < e->len && (e->s[to] == ' ' || e->s[to] == '\t'))
            to++;
        edit_group(e);
        edit_replace(e, end, to, " ", 1);
        edit_go(e, end);
    }
    done(v, true);
}

static void open_line(Vi *v, Edit *e, bool below)
{
    if (below) {
        edit_move(e, GO_LINE_END, 1);
        edit_newline(e);
    } else {
        size_t at = edit_line_start(e, e->cursor);
        edit_group(e);
        edit_replace(e, at, at, "\n", 1);
        edit_go(e, at);
    }
    v->insert = true;
    done(v, false);
}

static void to_insert(Vi *v, Edit *e, Key k)
{
    if (k == 'a' && e->cursor < edit_line_end(e, e->cursor))
        edit_move(e, GO_RIGHT, 1);
    if (k == 'A')
        edit_move(e, GO_LINE_END, 1);
    if (k == 'I')
        edit_move(e, GO_TEXT_START, 1);
    edit_group(e);
    v->insert = true;
    done(v, false);
}

static void find_char(Vi *v, Edit *e, KillRing *k, Key kind, Key c, int count)
{
    size_t start = edit_line_start(e, e->cursor), end = edit_line_end(e, e->cursor);
    size_t p = e->cursor;
    bool ahead = kind == 'f' || kind == 't';
    for (int i = 0; i < count; i++) {
        do {
            if (ahead ? p + 1 >= end : p <= start) {
                done(v, false);
                return;
            }
            p = ahead ? p + 1 : p - 1;
        } while ((unsigned char)e->s[p] != c);
    }
    if (kind == 't')
        p--;
    if (kind == 'T')
        p++;
    move_or_operate(v, e, k, p, ahead);
}

static void replace_char(Vi *v, Edit *e, Key c)
{
    Str t;
    str_init(&t);
    str_add_rune(&t, c);
    size_t at = e->cursor;
    if (!t.oom && at < e->len && e->s[at] != '\n') {
        edit_group(e);
        edit_replace(e, at, after(e, at), t.s, t.len);
        edit_go(e, at);
    }
    str_done(&t);
    done(v, true);
}

/* The second key of f, t, F, T, r and g. */
static void second_key(Vi *v, Edit *e, KillRing *k, Key key, int count)
{
    Key wait = v->wait;
    v->wait = 0;
    if (!key_is_text(key))
        done(v, false);
    else if (wait == 'r')
        replace_char(v, e, key);
    else if (wait == 'g' && key == 'g' && v->op)
        operate(v, e, k, 0, e->cursor, true);
    else if (wait == 'g')
        move_or_operate(v, e, k, key == 'g' ? 0 : e->cursor, false);
    else
        find_char(v, e, k, wait, key, count);
}

static void lines_key(Vi *v, Edit *e, KillRing *k, Key key, int count)
{
    bool down = key == 'j' || key == K_DOWN || key == K_ENTER || key == '+';
    size_t to = edit_target(e, down ? GO_DOWN : GO_UP, count);
    if (v->op) {
        operate(v, e, k, to < e->cursor ? to : e->cursor,
                to < e->cursor ? e->cursor : to, true);
    } else {
        edit_move(e, down ? GO_DOWN : GO_UP, count);
        done(v, false);
    }
}

static void again(Vi *v, Edit *e, KillRing *k)
{
    Key keys[24];
    int n = v->n_last;
    memcpy(keys, v->last, sizeof keys);
    done(v, false);
    v->replaying = true;
    for (int i = 0; i < n; i++)
        vi_key(v, e, k, keys[i]);
    v->replaying = false;
}

/* Actions that are no motion. false: none. */
static bool action(Vi *v, Edit *e, KillRing *k, Key key, int count)
{
    size_t end = edit_line_end(e, e->cursor), a[2], b[2];
    switch (key) {
    case 'x':
    case K_DELETE:
    case 's':
        v->op = key == 's' ? 'c' : 'd';
        end = edit_target(e, GO_RIGHT, count) < end ? edit_target(e, GO_RIGHT, count)
                                                    : end;
        operate(v, e, k, e->cursor, end, false);
        return true;
    case 'D':
    case 'C':
        v->op = key == 'D' ? 'd' : 'c';
        operate(v, e, k, e->cursor, end, false);
        return true;
    case 'i':
    case 'a':
    case 'A':
    case 'I': to_insert(v, e, key); return true;
    case 'o':
    case 'O': open_line(v, e, key == 'o'); return true;
    case 'p':
    case 'P': put(v, e, k, key == 'p'); return true;
    case 'u':
        edit_undo(e);
        done(v, false);
        return true;
    case 'r' | K_CTRL:
        edit_redo(e);
        done(v, false);
        return true;
    case 'J': join_lines(v, e); return true;
    case 'v':
        edit_set_mark(e);
        done(v, false);
        return true;
    case '.': again(v, e, k); return true;
    case 'G':
        if (v->op)
            operate(v, e, k, e->cursor, e->len, true);
        else
            move_or_operate(v, e, k, e->len, false);
        return true;
    case '%':
        if (edit_match(e, a, b))
            move_or_operate(v, e, k, e->cursor <= a[1] ? b[0] : a[0], true);
        else
            done(v, false);
        return true;
    default: return false;
    }
}

bool vi_key(Vi *v, Edit *e, KillRing *k, Key key)
{
    Motion m;
    bool inclusive;
    if (v->n_now < (int)ARRAY_LEN(v->now))
        v->now[v->n_now++] = key;
    int count = (v->count ? v->count : 1) * (v->op_count ? v->op_count : 1);
    if (v->wait) {
        second_key(v, e, k, key, count);
        return true;
    }
    if ((key >= '1' && key <= '9') || (key == '0' && v->count > 0)) {
        if (v->count < 100000)
            v->count = v->count * 10 + (int)(key - '0');
        return true;
    }
    if (key == K_ESC) {
        bool busy = v->op || v->count || e->marking;
        done(v, false);
        e->marking = false;
        return busy;
    }
    if (v->op && key == v->op) {
        size_t to = count > 1 ? edit_target(e, GO_DOWN, count - 1) : e->cursor;
        operate(v, e, k, e->cursor, to, true);
        return true;
    }
    if ((key == 'd' || key == 'c' || key == 'y') && e->marking) {
        size_t from = e->cursor, to = e->cursor;
        edit_region(e, &from, &to);
        v->op = key;
        operate(v, e, k, from, to, false);
        e->marking = false;
        return true;
    }
    if ((key == 'd' || key == 'c' || key == 'y') && !v->op) {
        v->op = key;
        v->op_count = v->count;
        v->count = 0;
        return true;
    }
    if (key == 'f' || key == 't' || key == 'F' || key == 'T' || key == 'r' ||
        key == 'g') {
        v->wait = key;
        return true;
    }
    if (key == 'j' || key == 'k' || key == K_UP || key == K_DOWN) {
        lines_key(v, e, k, key, count);
        return true;
    }
    if (is_motion(key, &m, &inclusive)) {
        if (v->op == 'c' && key == 'w') { /* as vi has it: to the word's end */
            m = GO_WORD_END;
            inclusive = true;
        }
        move_or_operate(v, e, k, edit_target(e, m, count), inclusive);
        return true;
    }
    if (action(v, e, k, key, count))
        return true;
    done(v, false);
    return false;
}
