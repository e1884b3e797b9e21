/* keys_man.c -- man/cleave-keys.5 from the table of keys: each row once, under the
 * place where its key means something. */
#include <stdio.h>

#include "ui/keys_man.h"
#include "ui/ui.h"

static void add_escaped(Str *out, const char *s, bool argument)
{
    for (; *s; s++) {
        if (*s == '\\')
            str_add(out, "\\e");
        else if (*s == '-')
            str_add(out, "\\-");
        else if (*s == '"' && argument)
            str_add(out, "\\(dq");
        else if (*s == ' ' && argument)
            str_add(out, "\\ ");
        else
            str_addc(out, *s);
    }
}

static void add_item(Str *out, const char *head, const char *doc)
{
    str_add(out, ".It \\&"); /* what follows is no name of a macro */
    add_escaped(out, head, true);
    str_add(out, "\n\\&");
    add_escaped(out, doc, false);
    str_addc(out, '\n');
}

static void begin(Str *out, const char *title)
{
    str_addf(out, ".Ss %s\n.Bl -tag -width Ctrl-Space-x\n", title);
}

static int n_panes(unsigned scope)
{
    int n = 0;
    for (int i = 0; i < PANE_COUNT; i++)
        n += scope >> i & 1;
    return n;
}

/* The heading a row stands under: a pane's number, or one of these. */
enum { PLACE_MANY = PANE_COUNT, PLACE_EDIT, PLACE_PROMPT, PLACE_TEXT, PLACES };

static int place_of(unsigned scope)
{
    if ((scope & S_TEXT) == S_TEXT && !(scope & S_PANES))
        return PLACE_TEXT;
    if (n_panes(scope) > 1)
        return PLACE_MANY;
    if (scope & S_EDIT)
        return PLACE_EDIT;
    if (scope & S_PROMPT)
        return PLACE_PROMPT;
    for (int i = 0; i < PANE_COUNT; i++) {
        if (scope == 1u << i)
            return i;
    }
    return PLACE_MANY;
}

static const char *place_title(int place)
{
    switch (place) {
    case PLACE_MANY: return "All panes, or several";
    case PLACE_EDIT: return "Editing a cell";
    case PLACE_PROMPT: return "The line at the bottom";
    case PLACE_TEXT: return "Editing a cell or the line at the bottom";
    default: return pane_rows[place]->name;
    }
}

static void add_keys(Str *out, int place)
{
    begin(out, place_title(place));
    for (int i = 0; i < key_n_rows; i++) {
        const KeyRow *r = &key_rows[i];
        Str keys;
        if (!r->keys[0] || place_of(r->scope) != place)
            continue;
        str_init(&keys);
        key_show_all(r->keys, &keys);
        out->oom = out->oom || keys.oom;
        if (!keys.oom)
            add_item(out, keys.s, r->doc);
        str_done(&keys);
    }
    str_add(out, ".El\n");
}

static void add_commands(Str *out)
{
    str_add(out, ".Sh COMMANDS\n.Bl -tag -width Ctrl-Space-x\n");
    for (int i = 0; i < key_n_rows; i++) {
        const KeyRow *r = &key_rows[i];
        char head[96];
        if (!r->args)
            continue;
        snprintf(head, sizeof head, ":%s%s%s", r->name, r->args[0] ? " " : "", r->args);
        add_item(out, head, r->doc);
    }
    str_add(out, ".El\n");
}

void keys_man(Str *out)
{
    static const int order[] = {PANE_NOTEBOOK, PLACE_EDIT, PLACE_TEXT, PLACE_PROMPT,
                                PLACE_MANY,    PANE_LOG,   PANE_RUNS,  PANE_IMAGES,
                                PANE_PLOTS,    PANE_COMPONENTS, PANE_CONTROLS, PANE_VARS,  PANE_HELP};
    str_add(out, ".Dd $Mdocdate$\n.Dt CLEAVE-KEYS 5\n.Os\n.Sh NAME\n.Nm cleave-keys\n"
                 ".Nd keys and commands of the cleave notebook\n.Sh DESCRIPTION\n"
                 "The notebook has a command mode and, while a cell is edited, an edit "
                 "mode.\n.Ic \\&?\nlists the keys of a pane and\n.Ic Ctrl\\-P\nall "
                 "commands; both lists narrow while you type and run what is chosen.\n"
                 "Shift\\-Enter and Ctrl\\-Enter need a terminal that sends them.\n"
                 "This page is made from the program's own table.\n.Sh KEYS\n");
    for (size_t i = 0; i < ARRAY_LEN(order); i++)
        add_keys(out, order[i]);
    add_commands(out);
    str_add(out, ".Sh SEE ALSO\n.Xr cleave 1 ,\n.Xr cleave-api 3\n");
}
