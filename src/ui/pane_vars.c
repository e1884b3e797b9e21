/* pane_vars.c -- the names that cells have made, asked for when the pane is shown and
 * when a cell has ended; Enter shows one. The kernel looks at them without running any
 * code of the user's. */
#include <limits.h>
#include <string.h>

#include "base/mem.h"
#include "figure/clean.h"
#include "lab/jval.h"
#include "ui/act.h"
#include "ui/find.h"

typedef struct Vars {
    json_t *list; /* [{name, kind, text}] */
    int sel, top, rows;
    bool stale, asked;
    char *filter;
} Vars;

static Vars *state_of(const Ui *u)
{
    return u->pane[PANE_VARS];
}

static void *make(Ui *u, Err *err)
{
    (void)u;
    return mem_zalloc(sizeof(Vars), err);
}

static void destroy(void *state)
{
    Vars *v = state;
    if (!v)
        return;
    json_decref(v->list);
    mem_free(v->filter);
    mem_free(v);
}

static bool passes(const Vars *v, const json_t *var)
{
    const char *name = jval_get(var, "name", "");
    return !v->filter || text_find(name, strlen(name), v->filter) < strlen(name);
}

/* The i-th that passes the filter; NULL behind the last. */
static const json_t *var_at(const Vars *v, int i)
{
    for (size_t k = 0; k < json_array_size(v->list); k++) {
        const json_t *var = json_array_get(v->list, k);
        if (passes(v, var) && i-- == 0)
            return var;
    }
    return NULL;
}

static int count(const Vars *v)
{
    int n = 0;
    for (size_t k = 0; k < json_array_size(v->list); k++)
        n += passes(v, json_array_get(v->list, k));
    return n;
}

static void answered(Ui *u, const json_t *ok, int64_t tag)
{
    Vars *v = state_of(u);
    (void)tag;
    json_decref(v->list);
    v->list = json_incref(json_object_get(ok, "vars"));
    v->stale = json_is_true(json_object_get(ok, "stale"));
    v->asked = false;
}

static void ask(Ui *u)
{
    Vars *v = state_of(u);
    if (v->asked || u->lost)
        return;
    v->asked = true;
    ui_request(u, json_pack("{s:s}", "req", "variables"), answered, 0);
}

static void event(Ui *u, const json_t *ev)
{
    Vars *v = state_of(u);
    const char *kind = jval_get(ev, "ev", "");
    bool kernel = strcmp(kind, "kernel") == 0;
    if (kernel) {
        json_decref(v->list);
        v->list = NULL;
        v->asked = false;
    }
    if ((kernel || strcmp(kind, "done") == 0) && ui_pane_visible(u, PANE_VARS))
        ask(u);
}

static void draw(Ui *u, Area a, bool focus)
{
    Vars *v = state_of(u);
    int n = count(v), name = 4, kind = 4;
    v->rows = a.rows - 1;
    if (n == 0) {
        paint_str(&u->paint, a, 0, 1,
                  v->filter ? "no name fits the filter"
                            : "no variables yet: run a cell that makes some",
                  ROLE_DIM);
        return;
    }
    v->sel = v->sel >= n ? n - 1 : v->sel;
    if (v->sel < v->top)
        v->top = v->sel;
    if (v->sel >= v->top + v->rows)
        v->top = v->sel - v->rows + 1;
    for (int i = v->top; i < n && i < v->top + v->rows; i++) {
        int w = clean_width(jval_get(var_at(v, i), "name", ""));
        int k = clean_width(jval_get(var_at(v, i), "kind", ""));
        name = w > name ? w : name;
        kind = k > kind ? k : kind;
    }
    name = name < a.cols / 3 ? name : a.cols / 3;
    kind = kind < 16 ? kind : 16;
    paint_str(&u->paint, a, 0, 1, "name", ROLE_DIM);
    paint_str(&u->paint, a, 0, name + 3, "kind", ROLE_DIM);
    paint_str(&u->paint, a, 0, name + kind + 5, "value", ROLE_DIM);
    for (int i = v->top; i < n && i < v->top + v->rows; i++) {
        const json_t *var = var_at(v, i);
        int row = 1 + i - v->top;
        paint_cut(&u->paint, a, row, 1, jval_get(var, "name", ""), name, ROLE_STRONG);
        paint_cut(&u->paint, a, row, name + 3, jval_get(var, "kind", ""), kind,
                  ROLE_DIM);
        paint_cut(&u->paint, a, row, name + kind + 5, jval_get(var, "text", ""),
                  a.cols - name - kind - 6, ROLE_TEXT);
        if (focus && i == v->sel)
            paint_row(&u->paint, a, row, ROLE_CURSOR_LINE);
    }
}

static void title(Ui *u, Str *out)
{
    const Vars *v = state_of(u);
    str_addf(out, "%d names%s", count(v),
             v->stale ? ", as before the running cell" : "");
    if (v->filter)
        str_addf(out, ", filter: %s", v->filter);
}

static void move(Ui *u, int steps)
{
    Vars *v = state_of(u);
    int n = count(v);
    int64_t to = (int64_t)v->sel + steps;
    v->sel = to < 0 || n == 0 ? 0 : to >= n ? n - 1 : (int)to;
}

static bool find(Ui *u, const char *text, int step)
{
    Vars *v = state_of(u);
    int n = count(v);
    for (int k = 1; k <= n; k++) {
        int i = ((v->sel + k * step) % n + n) % n;
        const char *name = jval_get(var_at(v, i), "name", "");
        const char *value = jval_get(var_at(v, i), "text", "");
        if (text_find(name, strlen(name), text) < strlen(name) ||
            text_find(value, strlen(value), text) < strlen(value)) {
            v->sel = i;
            return true;
        }
    }
    return false;
}

static void filter(Ui *u, const char *text)
{
    Vars *v = state_of(u);
    mem_free(v->filter);
    v->filter = *text ? mem_strdup(text, NULL) : NULL;
    v->sel = v->top = 0;
}

static bool copy(Ui *u, Str *out)
{
    const json_t *var = var_at(state_of(u), state_of(u)->sel);
    str_add(out, jval_get(var, "text", ""));
    return var != NULL;
}

/* --- looking at one --------------------------------------------------------------- */

static void inspected(Ui *u, const json_t *ok, int64_t tag)
{
    Str t;
    (void)tag;
    const char *kind = jval_get(ok, "kind", ""), *doc = jval_get(ok, "doc", "");
    str_init(&t);
    str_addf(&t, "%s  %s\n\n%s", jval_get(ok, "name", ""), kind,
             jval_get(ok, "text", ""));
    if (doc[0])
        str_addf(&t, "\n\n%s", doc);
    if (json_is_true(json_object_get(ok, "stale")))
        str_add(&t, "\n\n(as it was before the running cell)");
    if (strcmp(kind, "nil") == 0 && u->not_found[0])
        ui_say(u, ROLE_DIM, "%s", u->not_found);
    else if (!t.oom)
        ui_popup(u, jval_get(ok, "name", ""), t.s);
    str_done(&t);
}

void inspect_ask(Ui *u, const char *name, const char *otherwise)
{
    text_copy(u->not_found, sizeof u->not_found, otherwise);
    ui_request(u, json_pack("{s:s,s:o}", "req", "inspect", "name", jval_str(name)),
               inspected, 0);
}

void act_vars_inspect(Ui *u, const char *arg)
{
    const json_t *var = var_at(state_of(u), state_of(u)->sel);
    if (*arg)
        inspect_ask(u, arg, "");
    else if (var)
        inspect_ask(u, jval_get(var, "name", ""), "");
}

void act_vars_refresh(Ui *u, const char *arg)
{
    (void)arg;
    state_of(u)->asked = false;
    ask(u);
}

const PaneRow pane_vars = {
    .name = "variables",
    .tab = "vars",
    .make = make,
    .free = destroy,
    .event = event,
    .draw = draw,
    .title = title,
    .select = move,
    .find = find,
    .filter = filter,
    .copy = copy,
    .shown = ask,
};
