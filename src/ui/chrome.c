/* chrome.c -- what is around the panes: tabs, rules, status bar, the line for messages
 * and prompts, and what lies over them. */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "figure/clean.h"
#include "lab/jval.h"
#include "ui/ui.h"

static void draw_tabs(Ui *u)
{
    Area a = u->layout.tabs;
    int col = 0;
    Str t;
    paint_clear(&u->paint, a, ROLE_BAR);
    for (int i = 0; i < PANE_COUNT; i++) {
        char text[24];
        snprintf(text, sizeof text, " %d:%s ", i + 1, pane_rows[i]->tab);
        if (a.cols < 60 && (PaneId)i != u->focus)
            continue;
        col += paint_str(&u->paint, a, 0, col, text,
                         (PaneId)i == u->focus ? ROLE_BAR_STRONG : ROLE_BAR);
    }
    str_init(&t);
    str_addf(&t, " %s%s ", u->file, document_dirty(u->doc) ? " [+]" : "");
    int end = a.cols - clean_width(t.s);
    if (end >= col)
        paint_str(&u->paint, a, 0, end, t.s, ROLE_BAR);
    str_clear(&t);
    PaneId first = u->layout.n > 0 ? u->layout.part[0].pane : PANE_NOTEBOOK;
    if (first != PANE_NOTEBOOK && pane_rows[first]->title)
        pane_rows[first]->title(u, &t);
    int want = clean_width(t.s), room = end - col - 2;
    if (t.len > 0 && room > 4)
        paint_cut(&u->paint, a, 0, want < room ? end - 1 - want : col + 1, t.s, room,
                  ROLE_BAR);
    str_done(&t);
}

static void add_activity(const Ui *u, Str *t)
{
    char left[16];
    const Cell *c = u->doc->running ? document_cell(u->doc, u->doc->running) : NULL;
    if (u->lost) {
        str_add(t, "no kernel");
    } else if (c) {
        double secs = u->wall - c->started;
        clock_hms(secs > 0 && !u->still ? secs : 0, left);
        str_addf(t, "%s [%d] %s", u->interrupted > 0 ? "stopping" : "busy", c->id,
                 left);
        if (u->doc->n_queue > 0)
            str_addf(t, "  %d wait", u->doc->n_queue);
    } else {
        str_add(t, "idle");
    }
}

static void add_viewers(const Ui *u, Str *t)
{
    if (u->doc->n_viewers > 1)
        str_addf(t, "  %d viewers", u->doc->n_viewers);
    if (u->port.read_only)
        str_add(t, "  read only");
}

static const char *mode_name(const Ui *u)
{
    if (u->prompt)
        return " LINE ";
    if (!u->editing)
        return " CMD ";
    return u->vi && !u->vi_state.insert ? " VI " : " EDIT ";
}

static void draw_status(Ui *u)
{
    Area a = u->layout.status;
    Str t, right;
    str_init(&t);
    str_init(&right);
    paint_clear(&u->paint, a, ROLE_BAR);
    int col = paint_str(&u->paint, a, 0, 0, mode_name(u),
                        u->editing ? ROLE_BAR_STRONG : ROLE_BAR);
    str_addc(&t, ' ');
    add_activity(u, &t);
    int at = document_index(u->doc, u->sel);
    if (u->editing)
        str_addf(&t, "  line %d:%d", edit_line_number(&u->edit, u->edit.cursor) + 1,
                 edit_column(&u->edit, u->edit.cursor) + 1);
    else if (u->doc->n > 0)
        str_addf(&t, "  cell %d/%d", at + 1, u->doc->n);
    add_viewers(u, &t);
    if (u->n_chord > 0) {
        str_add(&t, "  ");
        for (int i = 0; i < u->n_chord; i++)
            key_show(u->chord[i], &t);
        str_add(&t, "...");
    }
    str_addf(&right, "%s%s%s  ", u->terminal, u->trouble ? ": " : "",
             u->trouble ? u->trouble : "");
    str_add(&right, u->editing ? "Esc:done F1:help " : "?:keys ::commands ");
    int room = a.cols - col;
    if (clean_width(t.s) + clean_width(right.s) > room) {
        str_clear(&right);
        str_add(&right, u->editing ? "Esc:done " : "?:keys ");
    }
    paint_cut(&u->paint, a, 0, col, t.s, room, ROLE_BAR);
    if (clean_width(t.s) + clean_width(right.s) <= room)
        paint_right(&u->paint, a, 0, a.cols, right.s, ROLE_BAR);
    str_done(&t);
    str_done(&right);
}

static void draw_prompt(Ui *u, Area a)
{
    const char *sign = u->prompt == PROMPT_COMMAND ? ":"
                       : u->prompt == PROMPT_FIND  ? "/"
                                                   : "filter: ";
    paint_clear(&u->paint, a, ROLE_TEXT);
    int col = paint_str(&u->paint, a, 0, 0, sign, ROLE_STRONG);
    /* the part around the cursor */
    size_t from = 0;
    int width = edit_column(&u->line, u->line.cursor);
    while (width > a.cols - col - 2 && from < u->line.cursor) {
        Glyph g;
        size_t n = glyph_next(u->line.s + from, u->line.len - from, 0, &g);
        width -= g.width;
        from += n;
    }
    paint_str(&u->paint, a, 0, col, u->line.s + from, ROLE_TEXT);
    u->cursor_row = a.row;
    u->cursor_col = a.col + col + width;
}

static void draw_message(Ui *u)
{
    Area a = u->layout.message;
    if (u->prompt) {
        draw_prompt(u, a);
    } else if (u->question) {
        Str t;
        str_init(&t);
        str_addf(&t, "%s (y/n) ", u->question);
        paint_clear(&u->paint, a, ROLE_WARN);
        int w = clean_width(t.s), col = 0;
        if (w > a.cols) /* the end matters: it says how to answer */
            paint_right(&u->paint, a, 0, a.cols, t.s, ROLE_WARN), col = a.cols - 1;
        else
            col = paint_str(&u->paint, a, 0, 0, t.s, ROLE_WARN);
        u->cursor_row = a.row;
        u->cursor_col = a.col + col;
        str_done(&t);
    } else if (u->message[0]) {
        paint_clear(&u->paint, a, ROLE_TEXT);
        paint_cut(&u->paint, a, 0, 0, u->message, a.cols, u->message_role);
    }
}

static void draw_part(Ui *u, int i)
{
    Area a = u->layout.part[i].area;
    PaneId pane = u->layout.part[i].pane;
    const PaneRow *row = pane_rows[pane];
    if (u->layout.part[i].ruled) {
        Str t;
        str_init(&t);
        str_add(&t, row->name);
        if (row->title) {
            str_add(&t, "  ");
            row->title(u, &t);
        }
        paint_rule(&u->paint, a, 0, t.s,
                   pane == u->focus ? ROLE_TITLE_FOCUS : ROLE_TITLE);
        str_done(&t);
        a.row++;
        a.rows--;
    }
    if (a.rows > 0)
        row->draw(u, a, pane == u->focus);
}

static void draw_split(Ui *u)
{
    Area left = u->layout.part[0].area;
    for (int r = 0; r < left.rows; r++)
        paint_str(&u->paint, (Area){left.row, 0, left.rows, u->grid.cols}, r,
                  u->layout.split_col, u->paint.utf8 ? "\xE2\x94\x82" : "|",
                  ROLE_TITLE);
}

static void draw_popup(Ui *u)
{
    Area body = ui_body(u), a = body;
    a.cols = body.cols > 100 ? 96 : body.cols;
    a.col = (body.cols - a.cols) / 2;
    textview_draw(&u->popup, &u->paint, (Area){a.row, a.col, 0, a.cols - 4});
    int want = u->popup.lines + 2;
    a.rows = want < body.rows ? want : body.rows;
    a.row = body.row + (body.rows - a.rows) / 2;
    Area in = paint_box(&u->paint, a, u->popup.title ? u->popup.title : "");
    in.col++;
    in.cols -= 2;
    Painter p = u->paint;
    textview_draw(&u->popup, &p, in);
    paint_right(&u->paint, a, a.rows - 1, a.cols - 2, " Esc closes, F1 opens the pane ",
                ROLE_BOX);
}

void ui_draw(Ui *u)
{
    Area whole = {0, 0, u->grid.rows, u->grid.cols};
    u->dirty = false;
    u->cursor_row = u->cursor_col = -1;
    ui_layout(u);
    paint_clear(&u->paint, whole, ROLE_TEXT);
    if (u->layout.too_small) {
        paint_str(&u->paint, whole, 0, 0, "terminal too small", ROLE_TEXT);
        return;
    }
    for (int i = 0; i < u->layout.n; i++)
        draw_part(u, i);
    if (u->layout.split_col > 0)
        draw_split(u);
    draw_tabs(u);
    draw_status(u);
    if (u->comp.open && u->cursor_row >= 0)
        complete_draw(u, u->cursor_row, u->cursor_col);
    if (u->popup_open)
        draw_popup(u);
    draw_message(u);
    if (u->menu.open)
        menu_draw(&u->menu, &u->paint, ui_body(u), &u->cursor_row, &u->cursor_col);
}
