/* act_panes.c -- what works in every pane: focus, scrolling, copying, help, leaving. */
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "script/script.h"
#include "ui/act.h"

enum { CLIPBOARD_MAX = 74994 / 4 * 3 }; /* bytes that terminals take, before base64 */

#define PANE(name, id)                                                                 \
    void act_pane_##name(Ui *u, const char *arg)                                       \
    {                                                                                  \
        (void)arg;                                                                     \
        ui_focus(u, id);                                                               \
    }
PANE(notebook, PANE_NOTEBOOK)
PANE(log, PANE_LOG)
PANE(runs, PANE_RUNS)
PANE(images, PANE_IMAGES)
PANE(plots, PANE_PLOTS)
PANE(vars, PANE_VARS)
PANE(help, PANE_HELP)
PANE(components, PANE_COMPONENTS)
#undef PANE

/* Through the panes on the screen; where there is one only, through all. */
static void cycle(Ui *u, int step)
{
    int n = u->layout.n, at = layout_part(&u->layout, u->focus);
    if (n > 1 && at >= 0)
        ui_focus(u, u->layout.part[(at + step + n) % n].pane);
    else
        ui_focus(u, (PaneId)(((int)u->focus + step + PANE_COUNT) % PANE_COUNT));
}

void act_pane_next(Ui *u, const char *arg)
{
    (void)arg;
    PaneId main = u->main;
    cycle(u, 1);
    if (layout_part(&u->layout, main) < 0)
        u->main = u->focus;
}

void act_pane_previous(Ui *u, const char *arg)
{
    (void)arg;
    cycle(u, -1);
}

void act_zoom(Ui *u, const char *arg)
{
    (void)arg;
    u->zoomed = !u->zoomed;
}

void act_unzoom(Ui *u, const char *arg)
{
    (void)arg;
    u->zoomed = false;
}

static void select_rows(Ui *u, int steps)
{
    const PaneRow *p = pane_rows[u->focus];
    if (p->select)
        p->select(u, steps);
    else if (p->scroll)
        p->scroll(u, steps);
}

static void scroll(Ui *u, int lines)
{
    const PaneRow *p = pane_rows[u->focus];
    if (p->scroll)
        p->scroll(u, lines);
    else if (p->select)
        p->select(u, lines);
}

static int page(const Ui *u)
{
    int at = layout_part(&u->layout, u->focus);
    int rows = at >= 0 ? u->layout.part[at].area.rows : u->grid.rows;
    return rows > 3 ? rows - 2 : 1;
}

#define MOVE(name, call)                                                               \
    void act_##name(Ui *u, const char *arg)                                            \
    {                                                                                  \
        (void)arg;                                                                     \
        call;                                                                          \
    }
MOVE(select_up, select_rows(u, -1))
MOVE(select_down, select_rows(u, 1))
MOVE(select_first, select_rows(u, -INT_MAX))
MOVE(select_last, select_rows(u, INT_MAX))
MOVE(page_up, scroll(u, -page(u)))
MOVE(page_down, scroll(u, page(u)))
MOVE(half_up, scroll(u, -(page(u) / 2 + 1)))
MOVE(half_down, scroll(u, page(u) / 2 + 1))
MOVE(line_up, scroll(u, -1))
MOVE(line_down, scroll(u, 1))
#undef MOVE

static void restyle(Ui *u)
{
    u->style_changes++;
    notebook_changed(u, 0);
}

void act_palette_zero(Ui *u, const char *arg)
{
    (void)arg;
    u->draw.light = !u->draw.light;
    restyle(u);
    ui_say(u, ROLE_DIM, "zero is %s", u->draw.light ? "white" : "black");
}

void act_level(Ui *u, const char *arg)
{
    (void)arg;
    u->draw.level =
        u->draw.level == LEVEL_MONO ? u->paint.level : (Level)(u->draw.level - 1);
    restyle(u);
    ui_say(u, ROLE_DIM, "images in %s", level_name(u->draw.level));
}

void act_copy(Ui *u, const char *arg)
{
    (void)arg;
    const PaneRow *p = pane_rows[u->focus];
    str_clear(&u->to_clipboard);
    if (!p->copy || !p->copy(u, &u->to_clipboard) || u->to_clipboard.len == 0) {
        ui_say(u, ROLE_DIM, "nothing here to copy");
    } else if (u->to_clipboard.len > CLIPBOARD_MAX) {
        ui_say(u, ROLE_WARN, "%zu bytes are more than terminals take (%d); not copied",
               u->to_clipboard.len, CLIPBOARD_MAX);
        str_clear(&u->to_clipboard);
    } else {
        ui_say(u, ROLE_DIM, "%zu bytes sent to the terminal's clipboard",
               u->to_clipboard.len);
    }
}

/* --- help ------------------------------------------------------------------------- */

/* "cl.train" is documented as "train" or "cl.train"; "net:logits" as "logits" ... */
static bool doc_find(const char *name, Str *out, Err *err)
{
    const char *tail = name;
    if (doc_text(name, out, err))
        return true;
    for (const char *c = name; *c; c++) {
        if (*c == '.' || *c == ':')
            tail = c + 1;
    }
    str_clear(out);
    return tail != name && doc_text(tail, out, NULL);
}

void help_show(Ui *u, const char *name)
{
    Err err = {0};
    Str t;
    str_init(&t);
    if (doc_find(name, &t, &err))
        ui_popup(u, name, t.s);
    else
        inspect_ask(u, name, err.msg);
    str_done(&t);
}

void act_help(Ui *u, const char *arg)
{
    if (*arg)
        help_show(u, arg);
    else
        ui_focus(u, PANE_HELP);
}

/* --- leaving ---------------------------------------------------------------------- */

/* q closes what is open first: a zoomed pane, then another pane than the notebook. */
void act_leave(Ui *u, const char *arg)
{
    (void)arg;
    if (u->zoomed)
        u->zoomed = false;
    else if (u->focus != PANE_NOTEBOOK)
        ui_focus(u, PANE_NOTEBOOK);
    else
        u->leave = true;
}

void act_escape(Ui *u, const char *arg)
{
    (void)arg;
    if (u->zoomed)
        u->zoomed = false;
    else if (u->focus != PANE_NOTEBOOK)
        ui_focus(u, PANE_NOTEBOOK);
}

void act_detach(Ui *u, const char *arg)
{
    (void)arg;
    u->leave = true;
}

static void do_shutdown(Ui *u)
{
    ui_request(u, json_pack("{s:s}", "req", "shutdown"), NULL, 0);
    u->leave = u->ended = true;
}

void act_shutdown(Ui *u, const char *arg)
{
    (void)arg;
    if (document_dirty(u->doc))
        ui_ask(u, do_shutdown,
               "End the session? There are unsaved edits: they stay in its "
               "journal only.");
    else
        ui_ask(u, do_shutdown, "End the session? All variables are lost.");
}

void act_redraw(Ui *u, const char *arg)
{
    (void)arg;
    u->redraw = true;
}

void act_suspend(Ui *u, const char *arg)
{
    (void)arg;
    u->suspend = true;
}

void act_tour(Ui *u, const char *arg)
{
    (void)arg;
    u->next_file = "tour";
    u->leave = true;
}
