/* pane_help.c -- the reference as ?name shows it: the list of all names, or one of
 * them; Enter asks for a name, Backspace goes back. */
#include <limits.h>
#include <string.h>

#include "base/mem.h"
#include "lab/jval.h"
#include "script/script.h"
#include "ui/act.h"

typedef struct Help {
    TextView view;
    TextView list; /* kept while one name is shown; no text: the list is shown */
    bool one;
} Help;

static Help *state_of(const Ui *u)
{
    return u->pane[PANE_HELP];
}

static void *make(Ui *u, Err *err)
{
    (void)u;
    Help *h = mem_zalloc(sizeof *h, err);
    if (h)
        h->view.found = h->list.found = -1;
    return h;
}

static void destroy(void *state)
{
    Help *h = state;
    if (!h)
        return;
    textview_done(&h->view);
    textview_done(&h->list);
    mem_free(h);
}

static const char intro[] =
    "Help\n\n"
    "  ?            all keys of a pane: type to narrow, Enter runs the choice\n"
    "  Ctrl-P       all commands\n"
    "  F1           in a cell: what the name at the cursor is\n"
    "  :help NAME   the same for any name; Enter here asks for one\n"
    "  :tour        a tour of five minutes\n\n";

static void shown(Ui *u)
{
    Help *h = state_of(u);
    Str t;
    if (h->list.text)
        return;
    str_init(&t);
    str_add(&t, intro);
    if (!doc_text(NULL, &t, NULL) || t.oom ||
        !textview_set(&h->list, "all names", t.s, NULL))
        ui_say(u, ROLE_ERROR, "out of memory");
    str_done(&t);
}

static void draw(Ui *u, Area a, bool focus)
{
    Help *h = state_of(u);
    (void)focus;
    a.col++;
    a.cols--;
    shown(u);
    textview_draw(h->one ? &h->view : &h->list, &u->paint, a);
}

static void title(Ui *u, Str *out)
{
    const Help *h = state_of(u);
    const char *name = h->one ? h->view.title : "all names";
    str_add(out, name ? name : "");
}

static void scroll(Ui *u, int lines)
{
    Help *h = state_of(u);
    textview_scroll(h->one ? &h->view : &h->list, lines);
}

static bool find(Ui *u, const char *text, int step)
{
    Help *h = state_of(u);
    shown(u);
    return textview_find(h->one ? &h->view : &h->list, text, step);
}

static bool copy(Ui *u, Str *out)
{
    const Help *h = state_of(u);
    const char *text = h->one ? h->view.text : h->list.text;
    str_add(out, text ? text : "");
    return true;
}

/* The popup's text, to where it can be searched. */
void help_to_pane(Ui *u)
{
    Help *h = state_of(u);
    if (u->popup.text && textview_set(&h->view, u->popup.title, u->popup.text, NULL))
        h->one = true;
    ui_focus(u, PANE_HELP);
}

void act_help_open(Ui *u, const char *arg)
{
    (void)arg;
    ui_prompt(u, PROMPT_COMMAND, "help ");
}

void act_help_back(Ui *u, const char *arg)
{
    (void)arg;
    state_of(u)->one = false;
}

const PaneRow pane_help = {
    .name = "help",
    .tab = "help",
    .make = make,
    .free = destroy,
    .draw = draw,
    .title = title,
    .scroll = scroll,
    .find = find,
    .copy = copy,
    .shown = shown,
};
