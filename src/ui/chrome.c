/* chrome.c -- what is around the panes: tabs, rules, status bar, the line for messages
 * and prompts, and what lies over them. */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "figure/clean.h"
#include "lab/jval.h"
#include "ui/ui.h"

/* Panes that are of no use yet have no tab. */
static bool has_tab(const Ui *u, PaneId pane)
{
    return pane == u->focus || pane < PANE_COMPONENTS || pane_in_use(u, pane);
}

/* The tabs from the left, all but the focused one as numbers where `brief`; the columns
 * used. `shown` false: only counted. */
static int put_tabs(Ui *u, bool brief, bool shown)
{
    Area a = u->layout.tabs;
    int col = 0;
    for (int i = 0; i < PANE_COUNT; i++) {
        char text[24];
        bool focus = (PaneId)i == u->focus;
        if (!has_tab(u, (PaneId)i) || (a.cols < 60 && !focus))
            continue;
        if (brief && !focus)
            snprintf(text, sizeof text, " %d ", i + 1);
        else
            snprintf(text, sizeof text, " %d:%s ", i + 1, pane_rows[i]->tab);
        if (shown)
            paint_str(&u->paint, a, 0, col, text, focus ? ROLE_BAR_STRONG : ROLE_BAR);
        col += (int)strlen(text);
    }
    return col;
}

/* A part of the notebook's name, but that it was changed in any case. */
static void put_name(Ui *u, Area a, int col)
{
    const char *mark = document_dirty(u->doc) ? " [+]" : "";
    int room = a.cols - col - 1 - (int)strlen(mark);
    if (room > 1)
        col += 1 + paint_cut(&u->paint, a, 0, col + 1, u->file, room, ROLE_BAR);
    paint_str(&u->paint, a, 0, col, mark, ROLE_BAR);
}

static void draw_tabs(Ui *u)
{
    Area a = u->layout.tabs;
    Str t;
    paint_clear(&u->paint, a, ROLE_BAR);
    str_init(&t);
    str_addf(&t, " %s%s ", u->file, document_dirty(u->doc) ? " [+]" : "");
    int name = clean_width(t.s), end = a.cols - name, full = put_tabs(u, false, false);
    Str what;
    str_init(&what);
    PaneId first = u->layout.n > 0 ? u->layout.part[0].pane : PANE_NOTEBOOK;
    if (first != PANE_NOTEBOOK && pane_rows[first]->title)
        pane_rows[first]->title(u, &what);
    int want = clean_width(what.s ? what.s : "");
    bool brief = full + (want > 0 ? want + 3 + name : 0) > a.cols;
    int col = put_tabs(u, brief, true);
    if (end >= col)
        paint_str(&u->paint, a, 0, end, t.s, ROLE_BAR);
    else if (a.cols - col > 4)
        put_name(u, a, col);
    int room = end - col - 2;
    if (what.len > 0 && room > 4)
        paint_cut(&u->paint, a, 0, want < room ? end - 1 - want : col + 1, what.s, room,
                  ROLE_BAR);
    str_done(&what);
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

/* The right of the status bar, shorter with each `form`: what the terminal is and why
 * it is no more, the keys that lead on. */
static void status_right(const Ui *u, int form, Str *t)
{
    str_add(t, u->terminal);
    if (u->trouble && form < 2)
        str_addf(t, ": %s", u->trouble);
    if (form < 3)
        str_addf(t, "  %s ", u->editing ? "Esc:done" : "?:keys");
    if (form == 0)
        str_add(t, u->editing ? "F1:help " : "::commands ");
}

/* Of the right as much as fits; where nothing else helps, less at the left. */
static void put_status(Ui *u, Area a, const char *left, const char *brief)
{
    static const struct {
        bool brief;
        int form;
    } tries[] = {
        {false, 0},
        {false, 1},
        {false, 2},
        {true,  2},
        {true,  3}
    };
    Str right;
    str_init(&right);
    for (size_t i = 0; i < ARRAY_LEN(tries); i++) {
        const char *l = tries[i].brief ? brief : left;
        str_clear(&right);
        status_right(u, tries[i].form, &right);
        if (clean_width(l) + clean_width(right.s) + tries[i].brief <= a.cols) {
            paint_str(&u->paint, a, 0, 0, l, ROLE_BAR);
            paint_right(&u->paint, a, 0, a.cols, right.s, ROLE_BAR);
            str_done(&right);
            return;
        }
    }
    paint_cut(&u->paint, a, 0, 0, left, a.cols, ROLE_BAR);
    str_done(&right);
}

static void draw_status(Ui *u)
{
    Area a = u->layout.status;
    Str t, brief;
    str_init(&t);
    str_init(&brief);
    paint_clear(&u->paint, a, ROLE_BAR);
    int col = paint_str(&u->paint, a, 0, 0, mode_name(u),
                        u->editing ? ROLE_BAR_STRONG : ROLE_BAR);
    str_addc(&t, ' ');
    add_activity(u, &t);
    add_activity(u, &brief);
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
    put_status(u, (Area){a.row, col, 1, a.cols - col}, t.s ? t.s : "", brief.s);
    str_done(&t);
    str_done(&brief);
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
        static const char answers[] = " (y/n) ";
        int room = a.cols - (int)sizeof answers + 1;
        paint_clear(&u->paint, a, ROLE_WARN);
        int col = paint_cut(&u->paint, a, 0, 0, u->question, room, ROLE_WARN);
        col += paint_str(&u->paint, a, 0, col, answers, ROLE_WARN);
        u->cursor_row = a.row;
        u->cursor_col = a.col + (col < a.cols ? col : a.cols - 1);
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
