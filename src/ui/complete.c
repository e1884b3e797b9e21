/* complete.c -- completion: asked for by a key, answered whenever the kernel does;
 * typing goes on meanwhile. An answer to an older text is dropped. Typing more of a
 * word narrows the list. */
#include <string.h>

#include "base/mem.h"
#include "figure/clean.h"
#include "lab/jval.h"
#include "ui/ui.h"

enum { ROWS = 8, MAX_ITEMS = 200, QUICK_MS = 30, PATIENT_MS = 400 };

void complete_close(Ui *u)
{
    Completion *c = &u->comp;
    for (int i = 0; i < c->n; i++) {
        mem_free(c->item[i].text);
        mem_free(c->item[i].kind);
        mem_free(c->item[i].doc);
    }
    mem_free(c->item);
    *c = (Completion){.sel = -1};
}

static bool add_item(Completion *c, const json_t *it)
{
    CompItem *to = &c->item[c->n];
    *to = (CompItem){mem_strdup(jval_get(it, "text", ""), NULL),
                     mem_strdup(jval_get(it, "kind", ""), NULL),
                     mem_strdup(jval_get(it, "doc", ""), NULL)};
    if (to->text && to->kind && to->doc) {
        c->n++;
        return true;
    }
    mem_free(to->text);
    mem_free(to->kind);
    mem_free(to->doc);
    return false;
}

/* What all items begin with, as far as it goes beyond what is typed. */
static size_t common_prefix(const Completion *c)
{
    size_t n = c->n > 0 ? strlen(c->item[0].text) : 0;
    for (int i = 1; i < c->n; i++) {
        size_t k = 0;
        while (k < n && c->item[i].text[k] == c->item[0].text[k])
            k++;
        n = k;
    }
    return n;
}

static void put(Ui *u, const char *s, size_t n)
{
    Edit *e = &u->edit;
    size_t from = u->comp.from;
    if (from > e->cursor || (e->cursor - from == n && memcmp(e->s + from, s, n) == 0))
        return;
    edit_group(e);
    edit_replace(e, from, e->cursor, s, n);
    edit_group(e);
    u->comp.changes = e->changes;
}

static void take(Ui *u, int i)
{
    char *text = mem_strdup(u->comp.item[i].text, NULL);
    if (text)
        put(u, text, strlen(text));
    mem_free(text);
    complete_close(u);
    edit_changed(u);
}

static void ask(Ui *u, bool wanted, int deadline_ms);

static void answered(Ui *u, const json_t *ok, int64_t tag)
{
    Completion *c = &u->comp;
    if (!u->editing || u->edit.changes != c->changes || c->id == 0)
        return;
    int64_t changes = c->changes;
    bool wanted = c->wanted;
    const json_t *items = json_object_get(ok, "items");
    size_t n = json_array_size(items);
    complete_close(u);
    if (n == 0 && wanted && tag == QUICK_MS) {
        ask(u, true, PATIENT_MS); /* there may have been no time to look */
        return;
    }
    if (n == 0) {
        if (wanted)
            ui_say(u, ROLE_DIM, "nothing to complete");
        return;
    }
    n = n < MAX_ITEMS ? n : MAX_ITEMS;
    c->item = mem_array(n, sizeof *c->item, NULL);
    for (size_t i = 0; c->item && i < n && add_item(c, json_array_get(items, i)); i++)
        ;
    int64_t from = jval_get_int(ok, "from", -1);
    if (c->n == 0 || from < 0 || (size_t)from > u->edit.cursor) {
        complete_close(u);
        return;
    }
    c->from = (size_t)from;
    c->changes = changes;
    c->stale = json_is_true(json_object_get(ok, "stale"));
    c->open = true;
    if (wanted && c->n == 1) {
        take(u, 0);
    } else if (wanted && common_prefix(c) > u->edit.cursor - c->from) {
        put(u, c->item[0].text, common_prefix(c));
        edit_changed(u);
        c->open = c->n > 0;
    }
}

static void ask(Ui *u, bool wanted, int deadline_ms)
{
    Completion *c = &u->comp;
    c->changes = u->edit.changes;
    c->wanted = wanted;
    ui_request(u,
               json_pack("{s:s,s:o,s:I,s:i}", "req", "complete", "text",
                         jval_text(u->edit.s, u->edit.len), "pos",
                         (json_int_t)u->edit.cursor, "deadline_ms", deadline_ms),
               answered, deadline_ms);
    c->id = 1; /* an answer is awaited */
}

void complete_ask(Ui *u)
{
    complete_close(u);
    ask(u, true, QUICK_MS);
}

/* The list follows what is typed as long as it is one name. */
void complete_update(Ui *u)
{
    Completion *c = &u->comp;
    if (!c->open || c->changes == u->edit.changes)
        return;
    size_t at = u->edit.cursor;
    char last = at > 0 ? u->edit.s[at - 1] : ' ';
    bool name = (last >= 'a' && last <= 'z') || (last >= 'A' && last <= 'Z') ||
                (last >= '0' && last <= '9') || last == '_' || last == '.' ||
                last == ':';
    if (!name || at < c->from) {
        complete_close(u);
        return;
    }
    ask(u, false, QUICK_MS);
}

bool complete_key(Ui *u, Key k)
{
    Completion *c = &u->comp;
    if (!c->open)
        return false;
    int n = c->n;
    switch (k) {
    case K_TAB:
    case K_DOWN:
    case 'n' | K_CTRL: c->sel = (c->sel + 1) % n; return true;
    case K_TAB | K_SHIFT:
    case K_UP:
    case 'p' | K_CTRL: c->sel = (c->sel + n - (c->sel >= 0)) % n; return true;
    case K_ENTER:
        if (c->sel < 0)
            break;
        take(u, c->sel);
        return true;
    case K_ESC: complete_close(u); return true;
    default: break;
    }
    return false;
}

void complete_draw(Ui *u, int row, int col)
{
    const Completion *c = &u->comp;
    Area body = ui_body(u);
    int rows = c->n < ROWS ? c->n : ROWS, width = 16;
    int first = c->sel >= rows ? c->sel - rows + 1 : 0;
    for (int i = first; i < first + rows; i++) {
        const char *doc = c->item[i].doc;
        int w = clean_width(c->item[i].text) +
                clean_width(doc[0] ? doc : c->item[i].kind) + 5;
        width = w > width ? w : width;
    }
    width = width < body.cols - 2 ? width : body.cols - 2;
    width = width < 64 ? width : 64;
    int left = col - (int)(u->edit.cursor - c->from) - 1;
    left = left < 0 ? 0 : left + width > body.cols ? body.cols - width : left;
    bool above = row + 1 + rows > body.row + body.rows && row - rows >= body.row;
    Area a = {above ? row - rows : row + 1, left, rows, width};
    paint_clear(&u->paint, a, ROLE_BOX);
    for (int i = 0; i < rows; i++) {
        const CompItem *it = &c->item[first + i];
        int used = paint_cut(&u->paint, a, i, 1, it->text, width - 2, ROLE_BOX);
        const char *remark = it->doc[0] ? it->doc : it->kind;
        paint_cut(&u->paint, a, i, used + 3, remark, width - used - 4, ROLE_BOX);
        if (u->paint.level < LEVEL_256)
            paint_str(&u->paint, a, i, 0, "|", ROLE_BOX);
        if (first + i == c->sel)
            paint_row(&u->paint, a, i, ROLE_BOX_STRONG);
    }
}
