/* act_prompt.c -- the line at the bottom: commands, search, filter; the palette and the
 * list of keys, both made from the table of keys; settings. */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "ui/act.h"
#include "ui/find.h"

/* --- settings --------------------------------------------------------------------- */

static const struct {
    const char *name, *values, *doc;
} settings[] = {
    {"theme",     "dark light mono high-contrast", "colours"                               },
    {"editing",   "emacs vi",                      "keys of the text editor"               },
    {"highlight", "on off",                        "colours of Lua"                        },
    {"mouse",     "on off",                        "clicks choose, the wheel scrolls"},
    {"images",    "mono ansi 256 true",            "how images are drawn"                  },
};

static bool apply(Ui *u, const char *name, const char *value)
{
    bool on = strcmp(value, "on") == 0;
    Level level;
    if (strcmp(name, "theme") == 0) {
        const Theme *t = theme_find(value);
        if (t) {
            u->draw.light = t->light;
            ui_set_theme(u, t);
        }
        return t != NULL;
    }
    if (strcmp(name, "editing") == 0) {
        u->vi = strcmp(value, "vi") == 0;
        vi_start(&u->vi_state);
        return u->vi || strcmp(value, "emacs") == 0;
    }
    if (strcmp(name, "images") == 0) {
        if (!level_parse(value, &level) || level > u->paint.level)
            return false;
        u->draw.level = level;
        notebook_changed(u, 0);
        return true;
    }
    if (!on && strcmp(value, "off") != 0)
        return false;
    if (strcmp(name, "highlight") == 0) {
        u->highlight = on;
        notebook_changed(u, 0);
    } else {
        u->mouse = on;
        u->mouse_changed = true;
    }
    return true;
}

static const char *value_now(const Ui *u, const char *name)
{
    if (strcmp(name, "theme") == 0)
        return u->paint.theme->name;
    if (strcmp(name, "editing") == 0)
        return u->vi ? "vi" : "emacs";
    if (strcmp(name, "images") == 0)
        return level_name(u->draw.level);
    return (strcmp(name, "highlight") == 0 ? u->highlight : u->mouse) ? "on" : "off";
}

/* The values of one, that in use in brackets. */
static void add_values(const char *values, const char *now, Str *out)
{
    size_t from = out->len;
    for (const char *s = values; *s;) {
        size_t n = strcspn(s, " ");
        bool used = strlen(now) == n && strncmp(s, now, n) == 0;
        str_addf(out, "%s%.*s%s ", used ? "[" : "", (int)n, s, used ? "]" : "");
        s += n + (s[n] == ' ');
    }
    while (!out->oom && out->len - from < 36)
        str_addc(out, ' ');
}

static void list_settings(Ui *u)
{
    Str t;
    str_init(&t);
    str_add(&t, "in use: [so]; :set NAME VALUE changes one\n\n");
    for (size_t i = 0; i < ARRAY_LEN(settings); i++) {
        str_addf(&t, "%-10s ", settings[i].name);
        add_values(settings[i].values, value_now(u, settings[i].name), &t);
        str_addf(&t, "%s\n", settings[i].doc);
    }
    if (!t.oom)
        ui_popup(u, "settings", t.s);
    str_done(&t);
}

void act_set(Ui *u, const char *arg)
{
    char name[32];
    const char *names[ARRAY_LEN(settings)];
    size_t n = strcspn(arg, " =");
    if (!*arg) {
        list_settings(u);
        return;
    }
    snprintf(name, sizeof name, "%.*s", (int)n, arg);
    const char *value = arg + n + strspn(arg + n, " =");
    for (size_t i = 0; i < ARRAY_LEN(settings); i++) {
        names[i] = settings[i].name;
        if (strcmp(name, names[i]) != 0)
            continue;
        if (!apply(u, name, value))
            ui_say(u, ROLE_ERROR, "%s cannot be '%s' here; there are %s", name, value,
                   settings[i].values);
        return;
    }
    const char *near = text_nearest(name, names, ARRAY_LEN(settings));
    ui_say(u, ROLE_ERROR, "no setting '%s'%s%s%s; :set lists them", name,
           near ? "; did you mean '" : "", near ? near : "", near ? "'" : "");
}

void act_theme(Ui *u, const char *arg)
{
    int at = (int)(u->paint.theme - themes);
    (void)arg;
    const Theme *t = &themes[(at + 1) % n_themes];
    u->draw.light = t->light;
    ui_set_theme(u, t);
    ui_say(u, ROLE_DIM, "theme %s", t->name);
}

/* --- the command line ------------------------------------------------------------- */

void ui_run_command(Ui *u, const char *line)
{
    const char *names[256];
    int count = 0;
    while (*line == ' ' || *line == ':')
        line++;
    size_t n = strcspn(line, " ");
    const KeyRow *row = keys_command(line, n);
    if (n == 0)
        return;
    if (row) {
        row->run(u, line + n + strspn(line + n, " "));
        return;
    }
    char name[64];
    snprintf(name, sizeof name, "%.*s", (int)n, line);
    for (int i = 0; i < key_n_rows && count < 256; i++) {
        if (key_rows[i].args)
            names[count++] = key_rows[i].name;
    }
    const char *near = text_nearest(name, names, (size_t)count);
    ui_say(u, ROLE_ERROR, "no command '%s'%s%s%s; Ctrl-P lists them", name,
           near ? "; did you mean '" : "", near ? near : "", near ? "'" : "");
}

static void remember(Ui *u, const char *line)
{
    if (!*line || (u->n_history > 0 && strcmp(u->history[u->n_history - 1], line) == 0))
        return;
    char *copy = mem_strdup(line, NULL);
    if (!copy)
        return;
    if (u->n_history == HISTORY) {
        mem_free(u->history[0]);
        memmove(u->history, u->history + 1, (HISTORY - 1) * sizeof *u->history);
        u->n_history--;
    }
    u->history[u->n_history++] = copy;
}

static void search(Ui *u, int step)
{
    const PaneRow *p = pane_rows[u->focus];
    if (!u->find_text || !u->find_text[0])
        ui_say(u, ROLE_DIM, "nothing was searched for yet; / does");
    else if (!p->find || !p->find(u, u->find_text, step))
        ui_say(u, ROLE_DIM, "'%s' is not in %s", u->find_text, p->name);
}

void act_prompt_enter(Ui *u, const char *arg)
{
    PromptKind kind = u->prompt;
    char *line = mem_strdup(u->line.s, NULL);
    (void)arg;
    u->prompt = PROMPT_NONE;
    if (!line)
        return;
    if (kind == PROMPT_COMMAND) {
        remember(u, line);
        ui_run_command(u, line);
    } else if (kind == PROMPT_FIND && line[0]) {
        mem_free(u->find_text);
        u->find_text = mem_strdup(line, NULL);
        search(u, 1);
    } else if (kind == PROMPT_FILTER && pane_rows[u->focus]->filter) {
        pane_rows[u->focus]->filter(u, line);
    }
    mem_free(line);
}

void act_prompt_close(Ui *u, const char *arg)
{
    (void)arg;
    if (u->prompt == PROMPT_FILTER && pane_rows[u->focus]->filter)
        pane_rows[u->focus]->filter(u, "");
    u->prompt = PROMPT_NONE;
}

/* A filter narrows while it is typed. */
void prompt_changed(Ui *u)
{
    if (u->prompt == PROMPT_FILTER && pane_rows[u->focus]->filter)
        pane_rows[u->focus]->filter(u, u->line.s);
}

static void recall(Ui *u, int step)
{
    int at = u->at_history + step;
    if (u->prompt != PROMPT_COMMAND || at < 0 || at > u->n_history)
        return;
    u->at_history = at;
    edit_set(&u->line, at < u->n_history ? u->history[at] : "");
}

void act_prompt_older(Ui *u, const char *arg)
{
    (void)arg;
    recall(u, -1);
}

void act_prompt_newer(Ui *u, const char *arg)
{
    (void)arg;
    recall(u, 1);
}

/* Completes a command's name as far as it is clear, else lists what fits. */
void act_prompt_complete(Ui *u, const char *arg)
{
    (void)arg;
    const char *s = u->line.s, *first = NULL;
    size_t n = u->line.len, common = 0;
    int fits = 0;
    if (u->prompt != PROMPT_COMMAND || strchr(s, ' '))
        return;
    for (int i = 0; i < key_n_rows; i++) {
        const char *name = key_rows[i].name;
        if (!key_rows[i].args || strncmp(name, s, n) != 0)
            continue;
        if (!first) {
            first = name;
            common = strlen(name);
        }
        size_t k = 0;
        while (k < common && name[k] == first[k])
            k++;
        common = k;
        fits++;
    }
    if (fits == 0)
        return;
    if (common > n || fits == 1) {
        edit_replace(&u->line, 0, n, first, common);
        if (fits == 1)
            edit_type(&u->line, " ", 1);
        return;
    }
    char seed[64];
    snprintf(seed, sizeof seed, "%s", s);
    u->prompt = PROMPT_NONE;
    palette_open(u, S_ANY, seed);
}

void act_command_line(Ui *u, const char *arg)
{
    ui_prompt(u, PROMPT_COMMAND, arg);
}

void act_find(Ui *u, const char *arg)
{
    if (*arg) {
        mem_free(u->find_text);
        u->find_text = mem_strdup(arg, NULL);
        search(u, 1);
    } else {
        ui_prompt(u, PROMPT_FIND, "");
    }
}

void act_find_next(Ui *u, const char *arg)
{
    (void)arg;
    search(u, 1);
}

void act_find_previous(Ui *u, const char *arg)
{
    (void)arg;
    search(u, -1);
}

void act_filter(Ui *u, const char *arg)
{
    if (!pane_rows[u->focus]->filter)
        ui_say(u, ROLE_DIM, "%s has no filter; / searches", pane_rows[u->focus]->name);
    else if (*arg)
        pane_rows[u->focus]->filter(u, arg);
    else
        ui_prompt(u, PROMPT_FILTER, "");
}

/* --- lists of keys and commands --------------------------------------------------- */

static void run_row(void *owner, const MenuItem *item)
{
    Ui *u = owner;
    const KeyRow *row = &key_rows[item->row];
    bool takes_text = row->args && row->args[0] && row->args[0] != '[';
    if (takes_text) { /* it cannot run without */
        char text[80];
        snprintf(text, sizeof text, "%s ", row->name);
        ui_prompt(u, PROMPT_COMMAND, text);
    } else {
        row->run(u, "");
    }
}

void palette_open(Ui *u, unsigned scope, const char *filter)
{
    char title[80];
    bool commands = scope == S_ANY;
    snprintf(title, sizeof title,
             commands ? "commands: type to narrow, Enter runs"
                      : "keys here (%s): type to narrow, Enter runs",
             keys_scope_name(scope));
    if (!menu_open(&u->menu, title, filter, u, run_row, NULL))
        return;
    for (int i = 0; i < key_n_rows; i++) {
        const KeyRow *r = &key_rows[i];
        Str left, right;
        if (commands ? !r->args : !(r->scope & scope) || !r->keys[0])
            continue;
        str_init(&left);
        str_init(&right);
        if (commands) {
            str_addf(&left, ":%s %s", r->name, r->args);
            str_addf(&right, "%s", r->doc);
            if (r->keys[0] && (r->scope & (1u << u->focus))) {
                str_add(&right, "  ");
                key_show_all(r->keys, &right);
            }
        } else {
            key_show_all(r->keys, &left);
            str_add(&right, r->doc);
        }
        bool ok = !left.oom && !right.oom &&
                  menu_add(&u->menu, left.s, right.s, r->name, i, NULL);
        str_done(&left);
        str_done(&right);
        if (!ok)
            break;
    }
    menu_ready(&u->menu);
}

void act_palette(Ui *u, const char *arg)
{
    palette_open(u, S_ANY, arg);
}

void act_keys(Ui *u, const char *arg)
{
    palette_open(u, u->editing ? S_EDIT : 1u << u->focus, arg);
}

/* --- texts of before -------------------------------------------------------------- */

static void take_text(void *owner, const MenuItem *item)
{
    Ui *u = owner;
    if (!u->editing)
        return;
    edit_paste(&u->edit, item->text, strlen(item->text));
    edit_changed(u);
}

static bool add_text(Ui *u, const Cell *c)
{
    char line[200];
    if (!c->text || !c->text[0] || c->type != CELL_CODE || c->id == u->edit_cell)
        return true;
    for (int i = 0; i < u->menu.n; i++) {
        if (strcmp(u->menu.item[i].text, c->text) == 0)
            return true;
    }
    size_t n = strcspn(c->text, "\n");
    snprintf(line, sizeof line, "%.*s%s", (int)(n < 180 ? n : 180), c->text,
             c->text[n] ? " ..." : "");
    return menu_add(&u->menu, line, "", c->text, 0, NULL);
}

/* Every text of this notebook, deleted cells too, latest first; what is typed already
 * is the filter. */
void history_open(Ui *u)
{
    size_t from = edit_line_start(&u->edit, u->edit.cursor);
    char seed[100];
    while (u->edit.s[from] == ' ')
        from++;
    size_t n = from < u->edit.cursor ? u->edit.cursor - from : 0;
    snprintf(seed, sizeof seed, "%.*s", (int)(n < 99 ? n : 99), u->edit.s + from);
    if (!menu_open(&u->menu, "earlier texts: type to narrow, Enter inserts", seed, u,
                   take_text, NULL))
        return;
    bool ok = true;
    for (int i = u->doc->n - 1; ok && i >= 0; i--)
        ok = add_text(u, u->doc->cell[i]);
    for (int i = u->doc->n_gone - 1; ok && i >= 0; i--)
        ok = add_text(u, u->doc->gone[i]);
    menu_ready(&u->menu);
    if (u->menu.n_shown == 0 && seed[0]) { /* nothing begins so: show all */
        edit_set(&u->menu.filter, "");
        menu_ready(&u->menu);
    }
}
