/* act_edit.c -- edit mode: keys of the text editor, for a cell's text and the prompt,
 * and how a cell's text goes to the kernel: whole when editing ends or the cell is run,
 * as a draft once a second. */
#include <string.h>

#include "base/mem.h"
#include "lab/jval.h"
#include "ui/act.h"

static Edit *target(Ui *u)
{
    return u->prompt ? &u->line : &u->edit;
}

/* After anything that may have changed the text. */
void edit_changed(Ui *u)
{
    if (u->prompt) {
        prompt_changed(u);
        return;
    }
    if (u->edit.oom) {
        ui_say(u, ROLE_ERROR, "out of memory: the last change is lost");
        u->edit.oom = false;
    }
    if (u->edit.changes == u->drafted)
        return;
    u->edit_touched = true;
    if (!u->draft_due) {
        u->draft_due = true;
        u->draft_at = u->now;
    }
    complete_update(u);
}

/* --- beginning and ending --------------------------------------------------------- */

void edit_begin(Ui *u, int id)
{
    Cell *c = document_cell(u->doc, id);
    if (!c)
        return;
    if (u->port.read_only) {
        ui_say(u, ROLE_WARN, "this viewer is read only");
        return;
    }
    ui_focus(u, PANE_NOTEBOOK);
    ui_select(u, id);
    edit_set(&u->edit, c->draft ? c->draft : c->text ? c->text : "");
    if (c->draft)
        ui_say(u, ROLE_WARN,
               "a draft that was never finished; Ctrl-X r goes back to the "
               "text before it");
    u->edit.cursor = 0;
    if (u->edit.len < 400)
        edit_move(&u->edit, GO_END, 1);
    u->editing = true;
    u->edit_cell = id;
    u->edit_rev = c->rev;
    u->edit_touched = c->draft != NULL;
    u->drafted = u->edit.changes;
    u->draft_due = false;
    vi_start(&u->vi_state);
}

void edit_send_draft(Ui *u)
{
    u->draft_due = false;
    if (!u->editing || u->edit.changes == u->drafted)
        return;
    u->drafted = u->edit.changes;
    ui_request(u,
               json_pack("{s:s,s:i,s:o}", "req", "draft", "cell", u->edit_cell, "text",
                         jval_text(u->edit.s, u->edit.len)),
               NULL, 0);
}

void edit_keep(Ui *u)
{
    if (u->editing && u->edit_touched && u->edit.changes != u->drafted)
        edit_send_draft(u);
}

static void committed(Ui *u, const json_t *ok, int64_t tag)
{
    if (u->editing && u->edit_cell == tag)
        u->edit_rev = jval_get_int(ok, "rev", u->edit_rev);
}

void edit_commit(Ui *u)
{
    const Cell *c = document_cell(u->doc, u->edit_cell);
    u->draft_due = false;
    if (!u->editing || !u->edit_touched || !c)
        return;
    u->edit_touched = false;
    u->drafted = u->edit.changes;
    if (strcmp(c->text ? c->text : "", u->edit.s) == 0) {
        if (c->draft) /* typed and taken back */
            ui_request(u, json_pack("{s:s,s:i}", "req", "draft", "cell", c->id), NULL,
                       0);
        return;
    }
    notebook_expect(u, c->id, u->edit.s);
    ui_request(u,
               json_pack("{s:s,s:i,s:I,s:o}", "req", "edit", "cell", c->id, "rev",
                         (json_int_t)u->edit_rev, "text",
                         jval_text(u->edit.s, u->edit.len)),
               committed, c->id);
}

void edit_leave(Ui *u)
{
    edit_commit(u);
    complete_close(u);
    u->editing = false;
    u->dirty = true;
}

void edit_conflict(Ui *u, int id, const char *msg)
{
    const Cell *c = document_cell(u->doc, id);
    notebook_expect(u, id, NULL);
    if (!c) {
        ui_say(u, ROLE_ERROR, "%s", msg);
        return;
    }
    if (u->edit_cell == id)
        kill_ring_put(&u->kills, u->edit.s, u->edit.len, 0);
    if (u->editing && u->edit_cell == id) {
        edit_set(&u->edit, c->text ? c->text : "");
        u->edit_rev = c->rev;
        u->edit_touched = false;
        u->drafted = u->edit.changes;
    }
    ui_say(u, ROLE_WARN,
           "another viewer changed this cell first: its text is shown, "
           "Ctrl-Y inserts yours");
}

void edit_apply_file(Ui *u, int cell, const char *text)
{
    const Cell *c = document_cell(u->doc, cell);
    size_t n = strlen(text);
    if (!c)
        return;
    while (n > 0 && text[n - 1] == '\n')
        n--;
    if (c->text && strlen(c->text) == n && memcmp(c->text, text, n) == 0) {
        ui_say(u, ROLE_DIM, "nothing was changed");
        return;
    }
    ui_request(u,
               json_pack("{s:s,s:i,s:I,s:o}", "req", "edit", "cell", cell, "rev",
                         (json_int_t)c->rev, "text", jval_text(text, n)),
               NULL, cell);
}

/* --- typing ----------------------------------------------------------------------- */

static bool closes_block(const KeyEvent *k)
{
    return k->key == '}' || k->key == ')' || k->key == ']' || k->key == 'd' ||
           k->key == 'e' || k->key == 'f' || k->key == 'l';
}

void edit_input(Ui *u, const KeyEvent *k)
{
    Edit *e = &u->edit;
    if (k->key == K_PASTE) {
        edit_paste(e, k->text, k->n);
    } else if (key_is_text(k->key)) {
        Str t;
        str_init(&t);
        str_add_rune(&t, k->key);
        if (e->marking)
            edit_paste(e, t.s, t.len);
        else if (!t.oom)
            edit_type(e, t.s, t.len);
        str_done(&t);
        if (closes_block(k))
            edit_outdent_closer(e);
    } else if (k->key != K_ESC && k->key != K_MOUSE) {
        Str t;
        str_init(&t);
        key_show(k->key, &t);
        ui_say(u, ROLE_DIM, "%s does nothing here; F1 is help", t.s ? t.s : "");
        str_done(&t);
    }
    edit_changed(u);
}

bool edit_vi(Ui *u, const KeyEvent *k)
{
    if (!u->vi)
        return false;
    if (u->vi_state.insert) {
        if (k->key != K_ESC)
            return false;
        u->vi_state.insert = false;
        if (u->edit.cursor > edit_line_start(&u->edit, u->edit.cursor))
            edit_move(&u->edit, GO_LEFT, 1);
        return true;
    }
    bool taken = vi_key(&u->vi_state, &u->edit, &u->kills, k->key);
    if (taken)
        edit_changed(u);
    return taken || key_is_text(k->key);
}

/* --- motions ---------------------------------------------------------------------- */

static void go(Ui *u, Motion m, int count)
{
    complete_close(u);
    edit_move(target(u), m, count);
}

#define MOTION(name, motion)                                                           \
    void act_text_##name(Ui *u, const char *arg)                                       \
    {                                                                                  \
        (void)arg;                                                                     \
        go(u, motion, 1);                                                              \
    }
MOTION(left, GO_LEFT)
MOTION(right, GO_RIGHT)
MOTION(start, GO_LINE_START)
MOTION(end, GO_LINE_END)
MOTION(word_left, GO_WORD_LEFT)
MOTION(word_right, GO_WORD_RIGHT)
MOTION(first, GO_START)
MOTION(last, GO_END)
MOTION(up, GO_UP)
MOTION(down, GO_DOWN)
#undef MOTION

void act_text_page_up(Ui *u, const char *arg)
{
    (void)arg;
    go(u, GO_UP, u->grid.rows / 2);
}

void act_text_page_down(Ui *u, const char *arg)
{
    (void)arg;
    go(u, GO_DOWN, u->grid.rows / 2);
}

void act_text_match(Ui *u, const char *arg)
{
    (void)arg;
    size_t a[2], b[2];
    if (!edit_match(&u->edit, a, b)) {
        ui_say(u, ROLE_DIM, "no bracket or block here that has a partner");
        return;
    }
    bool at_open = u->edit.cursor >= a[0] && u->edit.cursor <= a[1];
    edit_go(&u->edit, at_open ? b[0] : a[0]);
}

/* --- changes ---------------------------------------------------------------------- */

#define CHANGE(name, call)                                                             \
    void act_text_##name(Ui *u, const char *arg)                                       \
    {                                                                                  \
        (void)arg;                                                                     \
        Edit *e = target(u);                                                           \
        call;                                                                          \
        edit_changed(u);                                                               \
    }
CHANGE(newline, edit_newline(e))
CHANGE(backspace, edit_backspace(e))
CHANGE(delete, edit_delete(e))
CHANGE(kill_line, edit_kill_line(e, &u->kills))
CHANGE(kill_start, edit_kill(e, &u->kills, GO_LINE_START))
CHANGE(kill_word, edit_kill(e, &u->kills, GO_WORD_RIGHT))
CHANGE(kill_word_left, e->marking ? edit_kill_region(e, &u->kills, false)
                                  : edit_kill(e, &u->kills, GO_WORD_LEFT))
CHANGE(copy_region, edit_kill_region(e, &u->kills, true))
CHANGE(yank, edit_yank(e, &u->kills))
CHANGE(yank_older, edit_yank_older(e, &u->kills))
CHANGE(transpose, edit_transpose(e))
CHANGE(mark, edit_set_mark(e))
CHANGE(outdent, edit_indent(e, -1))
#undef CHANGE

void act_text_undo(Ui *u, const char *arg)
{
    (void)arg;
    if (!edit_undo(target(u)))
        ui_say(u, ROLE_DIM, "nothing to undo");
    edit_changed(u);
}

void act_text_redo(Ui *u, const char *arg)
{
    (void)arg;
    if (!edit_redo(target(u)))
        ui_say(u, ROLE_DIM, "nothing to redo");
    edit_changed(u);
}

void act_text_tab(Ui *u, const char *arg)
{
    (void)arg;
    Edit *e = &u->edit;
    if (e->marking) {
        edit_indent(e, 1);
    } else if (edit_at_indent(e)) {
        size_t line = edit_line_start(e, e->cursor);
        edit_group(e);
        edit_replace(e, e->cursor, e->cursor, "  ", (e->cursor - line) % 2 ? 1 : 2);
        edit_group(e);
    } else {
        complete_ask(u);
        return;
    }
    edit_changed(u);
}

void act_text_complete(Ui *u, const char *arg)
{
    (void)arg;
    complete_ask(u);
}

void act_text_help(Ui *u, const char *arg)
{
    (void)arg;
    size_t from, to;
    char name[128];
    edit_word(&u->edit, u->edit.cursor, &from, &to);
    if (to - from >= sizeof name || to == from) {
        ui_say(u, ROLE_DIM, "no name here; the pane 7:help lists all");
        return;
    }
    memcpy(name, u->edit.s + from, to - from);
    name[to - from] = '\0';
    help_show(u, name);
}

void act_text_history(Ui *u, const char *arg)
{
    (void)arg;
    history_open(u);
}

/* --- out of edit mode ------------------------------------------------------------- */

void act_text_leave(Ui *u, const char *arg)
{
    (void)arg;
    edit_leave(u);
}

/* Ctrl-C: stops what runs; else leaves the region or the list of completions alone. */
void act_text_cancel(Ui *u, const char *arg)
{
    if (u->doc->running) {
        act_interrupt(u, arg);
        return;
    }
    u->edit.marking = false;
    ui_say(u, ROLE_DIM, "nothing is running; Esc ends editing");
}

void act_text_run_next(Ui *u, const char *arg)
{
    bool asks = u->edit.s[0] == '?';
    edit_commit(u);
    act_run_next(u, arg);
    if (!asks)
        edit_leave(u);
}

void act_text_run_stay(Ui *u, const char *arg)
{
    edit_commit(u);
    act_run_stay(u, arg);
}

void act_text_run_insert(Ui *u, const char *arg)
{
    edit_commit(u);
    act_run_insert(u, arg);
}

static void go_to_second(Ui *u, const json_t *ok, int64_t tag)
{
    (void)tag;
    u->awaited = (int)jval_get_int(ok, "cell", 0);
    u->edit_awaited = true;
    ui_awaited(u);
}

static void split_now(Ui *u, const json_t *ok, int64_t tag)
{
    const Cell *c = document_cell(u->doc, (int)tag);
    if (!c)
        return;
    ui_request_first(u,
                     json_pack("{s:s,s:I,s:I,s:I}", "req", "split", "cell",
                               (json_int_t)tag, "rev",
                               (json_int_t)jval_get_int(ok, "rev", c->rev), "at",
                               (json_int_t)u->edit.cursor),
                     go_to_second, 0);
    u->editing = false;
}

void act_text_split(Ui *u, const char *arg)
{
    (void)arg;
    const Cell *c = document_cell(u->doc, u->edit_cell);
    if (!c)
        return;
    bool same = strcmp(c->text ? c->text : "", u->edit.s) == 0;
    complete_close(u);
    if (same) { /* nothing to send first */
        json_t *now = json_pack("{s:I}", "rev", (json_int_t)u->edit_rev);
        if (now)
            split_now(u, now, c->id);
        json_decref(now);
        return;
    }
    u->edit_touched = false;
    u->draft_due = false;
    ui_request_first(u,
                     json_pack("{s:s,s:i,s:I,s:o}", "req", "edit", "cell", c->id, "rev",
                               (json_int_t)u->edit_rev, "text",
                               jval_text(u->edit.s, u->edit.len)),
                     split_now, c->id);
}

void act_text_revert(Ui *u, const char *arg)
{
    (void)arg;
    const Cell *c = document_cell(u->doc, u->edit_cell);
    if (!c)
        return;
    edit_group(&u->edit);
    edit_replace(&u->edit, 0, u->edit.len, c->text ? c->text : "",
                 c->text ? strlen(c->text) : 0);
    edit_changed(u);
}

void act_text_save(Ui *u, const char *arg)
{
    edit_commit(u);
    act_save(u, arg);
}
