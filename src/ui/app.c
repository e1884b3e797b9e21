/* app.c -- the life of the viewer's state: events and replies come in, keys find their
 * rows, the screen is composed. Nothing here waits. */
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "lab/jval.h"
#include "ui/ui.h"

#define DRAFT_AFTER 1.0 /* seconds of typing that a lost link may lose */
#define PATIENCE    5.0 /* seconds a cell gets to react to an interrupt */
#define TICK        1.0
#define HOLD        5.0 /* seconds that keys wait for a reply */

bool ui_init(Ui *u, const Port *port, JournalReader *borrowed, Document *borrowed_doc,
             const DrawStyle *draw, Err *err)
{
    *u = (Ui){.port = *port,
              .reader = borrowed,
              .doc = borrowed_doc,
              .draw = *draw,
              .terminal = level_name(draw->level),
              .cursor_row = -1,
              .cursor_col = -1,
              .highlight = true,
              .dirty = true,
              .popup = {.found = -1}};
    str_init(&u->to_clipboard);
    u->paint = (Painter){.level = draw->level, .utf8 = draw->utf8};
    ui_set_theme(u, theme_find(draw->level == LEVEL_MONO ? "mono"
                               : draw->light             ? "light"
                                                         : "dark"));
    bool ok = edit_init(&u->edit, "", false, err) && edit_init(&u->line, "", true, err);
    for (int i = 0; ok && i < PANE_COUNT; i++) {
        u->pane[i] = pane_rows[i]->make(u, err);
        ok = u->pane[i] != NULL;
    }
    if (!ok)
        ui_done(u);
    return ok;
}

void ui_done(Ui *u)
{
    for (int i = 0; i < PANE_COUNT; i++)
        pane_rows[i]->free(u->pane[i]);
    for (int i = 0; i < HISTORY; i++)
        mem_free(u->history[i]);
    for (int i = 0; i < u->n_held; i++) {
        if (u->held[i].key == K_PASTE)
            mem_free((char *)u->held[i].text);
    }
    edit_done(&u->edit);
    edit_done(&u->line);
    kill_ring_done(&u->kills);
    complete_close(u);
    menu_close(&u->menu);
    textview_done(&u->popup);
    grid_done(&u->grid);
    str_done(&u->to_clipboard);
    mem_free(u->clip);
    mem_free(u->question);
    mem_free(u->find_text);
    mem_free(u->editor_file);
    *u = (Ui){0};
}

void ui_set_theme(Ui *u, const Theme *t)
{
    u->paint.theme = t;
    if (u->pane[PANE_NOTEBOOK])
        notebook_changed(u, 0);
    u->dirty = true;
}

bool ui_resize(Ui *u, int rows, int cols, Err *err)
{
    Grid g;
    if (!grid_new(rows, cols, &g, err))
        return false;
    grid_done(&u->grid);
    u->grid = g;
    u->paint.grid = &u->grid;
    u->dirty = true;
    return true;
}

void ui_say(Ui *u, Role role, const char *fmt, ...)
{
    Err e = {0};
    va_list ap;
    va_start(ap, fmt);
    err_vset(&e, ERR_STATE, fmt, ap);
    va_end(ap);
    text_copy(u->message, sizeof u->message, e.msg);
    u->message_role = role;
    u->dirty = true;
}

/* --- requests and replies --------------------------------------------------------- */

/* The id of the request; 0: it was not sent. */
static int64_t ask(Ui *u, json_t *taken, ReplyFn done, int64_t tag)
{
    Err err = {0};
    int64_t id = 0;
    if (!taken) {
        ui_say(u, ROLE_ERROR, "out of memory");
        return 0;
    }
    if (u->lost) {
        json_decref(taken);
        ui_say(u, ROLE_ERROR, "the kernel is gone; :restart starts another");
        return 0;
    }
    if (!u->port.send(u->port.self, taken, &id, &err)) {
        ui_say(u, ROLE_ERROR, "%s", err.msg);
        return 0;
    }
    Waiting *w = &u->waiting[0];
    for (int i = 0; i < MAX_WAITING; i++) {
        if (u->waiting[i].id < w->id)
            w = &u->waiting[i]; /* a free one, else the oldest */
    }
    *w = (Waiting){id, done, tag};
    return id;
}

void ui_request(Ui *u, json_t *taken, ReplyFn done, int64_t tag)
{
    ask(u, taken, done, tag);
}

void ui_request_first(Ui *u, json_t *taken, ReplyFn done, int64_t tag)
{
    u->hold_for = ask(u, taken, done, tag);
    u->hold_until = u->now + HOLD;
}

static bool holding(const Ui *u)
{
    return (u->hold_for || u->awaited) && u->now < u->hold_until;
}

/* A pasted text is only lent. */
static void hold(Ui *u, const KeyEvent *k)
{
    KeyEvent copy = *k;
    if (u->n_held == MAX_HELD)
        return;
    if (k->key == K_PASTE) {
        char *text = mem_alloc(k->n + 1, NULL);
        if (!text)
            return;
        memcpy(text, k->text, k->n);
        copy.text = text;
    }
    u->held[u->n_held++] = copy;
}

void ui_release(Ui *u)
{
    while (u->n_held > 0 && !holding(u)) {
        KeyEvent k = u->held[0];
        u->hold_for = u->awaited = 0;
        memmove(u->held, u->held + 1, (size_t)--u->n_held * sizeof k);
        ui_key(u, &k);
        if (k.key == K_PASTE)
            mem_free((char *)k.text);
    }
}

void ui_reply(Ui *u, const json_t *reply)
{
    int64_t id = jval_get_int(reply, "id", -1);
    const json_t *ok = json_object_get(reply, "ok"), *e = json_object_get(reply, "err");
    Waiting w = {0};
    if (id == u->hold_for)
        u->hold_for = 0;
    for (int i = 0; i < MAX_WAITING; i++) {
        if (u->waiting[i].id == id && id > 0) {
            w = u->waiting[i];
            u->waiting[i].id = 0;
        }
    }
    if (e && strcmp(jval_get(e, "code", ""), "conflict") == 0 && w.tag > 0) {
        edit_conflict(u, (int)w.tag, jval_get(e, "msg", ""));
    } else if (e) {
        if (w.tag > 0)
            notebook_expect(u, (int)w.tag, NULL);
        ui_say(u, ROLE_ERROR, "%s", jval_get(e, "msg", "the kernel refused"));
    } else if (ok && w.id && w.done) {
        w.done(u, ok, w.tag);
    }
    u->dirty = true;
}

/* --- events ----------------------------------------------------------------------- */

/* The selected cell may be gone: its neighbour takes its place. */
static void keep_selection(Ui *u)
{
    int n = u->doc->n;
    if (document_index(u->doc, u->sel) >= 0) {
        u->sel_index = document_index(u->doc, u->sel);
        return;
    }
    if (u->editing && u->edit_cell == u->sel && u->sel) {
        kill_ring_put(&u->kills, u->edit.s, u->edit.len, 0);
        u->editing = false;
        ui_say(u, ROLE_WARN,
               "the cell was deleted; p in an edited cell (Ctrl-Y) brings "
               "its text back");
    }
    int at = u->sel_index < n ? u->sel_index : n - 1;
    u->sel = n > 0 ? u->doc->cell[at < 0 ? 0 : at]->id : 0;
}

static void on_saved(Ui *u, const json_t *ev)
{
    const char *path = jval_get(ev, "path", "");
    const char *slash = strrchr(path, '/');
    ui_say(u, ROLE_GOOD, "saved %s", slash ? slash + 1 : path);
}

static void on_disk(Ui *u, const json_t *ev)
{
    const char *state = jval_get(ev, "state", "");
    if (strcmp(state, "changed") == 0)
        ui_say(u, ROLE_WARN,
               "the file was changed by another program: :reload takes its "
               "text, :save! keeps this one");
    else if (strcmp(state, "gone") == 0)
        ui_say(u, ROLE_WARN, "the file is gone; :save writes it again");
}

void ui_event(Ui *u, const json_t *ev)
{
    Err err = {0};
    const char *kind = jval_get(ev, "ev", "");
    int was_running = u->doc->running;
    if (!document_apply(u->doc, ev, &err))
        ui_say(u, ROLE_ERROR, "%s", err.msg);
    keep_selection(u);
    ui_awaited(u);
    if (was_running != u->doc->running) {
        if (u->interrupted > 0 && strncmp(u->message, "stopping", 8) == 0)
            ui_say(u, ROLE_DIM, "stopped; variables keep their values");
        u->interrupted = 0, u->offered_kill = false;
    }
    for (int i = 0; i < PANE_COUNT; i++) {
        if (pane_rows[i]->event)
            pane_rows[i]->event(u, ev);
    }
    if (strcmp(kind, "saved") == 0)
        on_saved(u, ev);
    else if (strcmp(kind, "disk") == 0)
        on_disk(u, ev);
    u->dirty = true;
}

/* --- panes ------------------------------------------------------------------------ */

bool ui_pane_visible(const Ui *u, PaneId pane)
{
    return layout_part(&u->layout, pane) >= 0;
}

void ui_layout(Ui *u)
{
    LayoutWish w = {.rows = u->grid.rows,
                    .cols = u->grid.cols,
                    .focus = u->focus,
                    .main = u->main,
                    .zoomed = u->zoomed,
                    .images = images_any(u),
                    .science = runs_any(u)};
    layout_make(&w, &u->layout);
}

void ui_focus(Ui *u, PaneId pane)
{
    if (u->editing && pane != PANE_NOTEBOOK)
        edit_leave(u);
    u->focus = pane;
    if (pane != PANE_LOG)
        u->main = pane;
    ui_layout(u);
    if (pane_rows[pane]->shown)
        pane_rows[pane]->shown(u);
    u->dirty = true;
}

Cell *ui_cell(const Ui *u)
{
    return document_cell(u->doc, u->sel);
}

Area ui_body(const Ui *u)
{
    return (Area){1, 0, u->layout.status.row - 1, u->grid.cols};
}

/* --- questions, prompts, popups --------------------------------------------------- */

void ui_ask(Ui *u, void (*if_yes)(Ui *), const char *fmt, ...)
{
    Err e = {0};
    va_list ap;
    va_start(ap, fmt);
    err_vset(&e, ERR_STATE, fmt, ap);
    va_end(ap);
    mem_free(u->question);
    u->question = mem_strdup(e.msg, NULL);
    u->if_yes = if_yes;
    u->dirty = true;
}

void ui_popup(Ui *u, const char *title, const char *text)
{
    if (!textview_set(&u->popup, title, text, NULL))
        return;
    u->popup_open = true;
    u->dirty = true;
}

void ui_prompt(Ui *u, PromptKind kind, const char *text)
{
    u->prompt = kind;
    u->at_history = u->n_history;
    edit_set(&u->line, text);
    u->message[0] = '\0';
    u->dirty = true;
}

/* --- keys ------------------------------------------------------------------------- */

static unsigned scope_now(const Ui *u)
{
    if (u->prompt)
        return S_PROMPT;
    if (u->editing)
        return S_EDIT;
    return 1u << u->focus;
}

static void popup_key(Ui *u, Key k)
{
    int page = u->popup.rows > 1 ? u->popup.rows - 1 : 1;
    switch (k) {
    case K_DOWN:
    case 'j': textview_scroll(&u->popup, 1); break;
    case K_UP:
    case 'k': textview_scroll(&u->popup, -1); break;
    case K_PGDN:
    case ' ':
    case 'd' | K_CTRL: textview_scroll(&u->popup, page); break;
    case K_PGUP:
    case 'u' | K_CTRL:
    case 'b': textview_scroll(&u->popup, -page); break;
    case K_HOME:
    case 'g': textview_scroll(&u->popup, -INT_MAX); break;
    case K_END:
    case 'G': textview_scroll(&u->popup, INT_MAX); break;
    case K_F1: /* to where it can be searched */
        u->popup_open = false;
        help_to_pane(u);
        break;
    default: u->popup_open = false;
    }
}

static void answer(Ui *u, Key k)
{
    void (*yes)(Ui *) = u->if_yes;
    mem_free(u->question);
    u->question = NULL;
    if (k == 'y' || k == 'Y')
        yes(u);
}

/* Text for the prompt or the cell, when no row took the key. */
static void type_key(Ui *u, const KeyEvent *k)
{
    if (u->editing && !u->prompt) {
        edit_input(u, k);
        return;
    }
    if (!u->prompt)
        return;
    if (k->key == K_PASTE) {
        edit_paste(&u->line, k->text, k->n);
    } else if (key_is_text(k->key)) {
        Str t;
        str_init(&t);
        str_add_rune(&t, k->key);
        if (!t.oom)
            edit_type(&u->line, t.s, t.len);
        str_done(&t);
    }
    prompt_changed(u);
}

static void no_such_key(Ui *u)
{
    Str t;
    str_init(&t);
    for (int i = 0; i < u->n_chord; i++)
        key_show(u->chord[i], &t);
    if (!t.oom)
        ui_say(u, ROLE_DIM, "%s does nothing here; ? lists the keys", t.s);
    str_done(&t);
}

/* Looks the chord up; keys that begin a longer one wait for the rest. */
static void find_row(Ui *u, const KeyEvent *k)
{
    bool more = false;
    u->chord[u->n_chord++] = k->key;
    const KeyRow *row = keys_find(scope_now(u), u->chord, u->n_chord, &more);
    if (!row && more && u->n_chord < KEY_CHORD)
        return;
    if (row)
        row->run(u, "");
    else if (u->n_chord == 1 && (u->editing || u->prompt))
        type_key(u, k);
    else if (k->key != K_ESC && k->key != K_PASTE && k->key != K_MOUSE)
        no_such_key(u);
    u->n_chord = 0;
}

static void mouse_key(Ui *u, const KeyEvent *k)
{
    for (int i = 0; i < u->layout.n; i++) {
        Area a = u->layout.part[i].area;
        PaneId pane = u->layout.part[i].pane;
        if (k->row < a.row || k->row >= a.row + a.rows || k->col < a.col ||
            k->col >= a.col + a.cols)
            continue;
        if (k->wheel && pane_rows[pane]->scroll)
            pane_rows[pane]->scroll(u, 3 * k->wheel);
        else if (!k->wheel && pane != u->focus)
            ui_focus(u, pane);
        return;
    }
}

void ui_key(Ui *u, const KeyEvent *k)
{
    u->dirty = true;
    if (holding(u) && k->key != ('c' | K_CTRL)) {
        hold(u, k);
        return;
    }
    if (!u->prompt)
        u->message[0] = '\0';
    if (k->key == K_MOUSE) {
        mouse_key(u, k);
    } else if (u->question) {
        answer(u, k->key);
    } else if (u->menu.open) {
        menu_key(&u->menu, k);
    } else if (u->popup_open) {
        popup_key(u, k->key);
    } else if (u->editing && !u->prompt && u->n_chord == 0 && complete_key(u, k->key)) {
        return;
    } else if (u->editing && !u->prompt && u->n_chord == 0 && edit_vi(u, k)) {
        return;
    } else {
        find_row(u, k);
    }
}

/* --- time ------------------------------------------------------------------------- */

static bool offer_due(const Ui *u)
{
    return u->interrupted > 0 && !u->offered_kill && u->doc->running;
}

/* What is due at `when`, if nothing is due before. */
static void due_at(const Ui *u, double when, double *left)
{
    double wait = when > u->now ? when - u->now : 0;
    if (*left < 0 || wait < *left)
        *left = wait;
}

double ui_timeout(const Ui *u)
{
    double left = -1;
    if (u->draft_due)
        due_at(u, u->draft_at + DRAFT_AFTER, &left);
    if (u->n_held > 0)
        due_at(u, u->hold_until, &left);
    if (offer_due(u))
        due_at(u, u->interrupted + PATIENCE, &left);
    if (u->doc->running || runs_live(u) || images_live(u))
        due_at(u, u->ticked + TICK, &left);
    return left;
}

static void kill_kernel(Ui *u)
{
    ui_request(u, json_pack("{s:s}", "req", "kill"), NULL, 0);
}

void ui_tick(Ui *u)
{
    if (u->now >= u->ticked + TICK)
        u->ticked = u->now;
    ui_release(u);
    if (u->draft_due && u->now >= u->draft_at + DRAFT_AFTER)
        edit_send_draft(u);
    if (offer_due(u) && u->now >= u->interrupted + PATIENCE) {
        u->offered_kill = true;
        ui_ask(u, kill_kernel,
               "Not stopped after 5 s. Kill the kernel? Variables are lost, "
               "cells stay.");
    }
    for (int i = 0; i < u->layout.n; i++) {
        const PaneRow *p = pane_rows[u->layout.part[i].pane];
        if (p->shown && p != pane_rows[PANE_VARS])
            p->shown(u);
    }
    if (u->doc->running)
        u->dirty = true; /* the clock */
}
