/* outputs.c -- what one execution of a cell has shown, as a list that stays short: text
 * is a byte range, a series of metrics is its last line and a count, a display with
 * controls is its last drawing, and of a list beyond OUTPUTS_MAX the middle goes. */
#include <string.h>

#include "kernel/document_int.h"
#include "lab/jval.h"

enum { OUTPUTS_MAX = 400, OUTPUTS_HEAD = 200 };

static bool out_of_memory(Err *err)
{
    return err_set(err, ERR_MEMORY, "out of memory while outputs were gathered");
}

static json_t *last_output(const Cell *c, const char *kind)
{
    size_t n = json_array_size(c->outputs);
    json_t *last = n > 0 ? json_array_get(c->outputs, n - 1) : NULL;
    return last && strcmp(jval_get(last, "ev", ""), kind) == 0 ? last : NULL;
}

static bool append(Cell *c, json_t *taken, Err *err)
{
    if (!c->outputs)
        c->outputs = json_array();
    if (!c->outputs || json_array_append_new(c->outputs, taken) != 0)
        return out_of_memory(err);
    if (json_array_size(c->outputs) > OUTPUTS_MAX) {
        json_array_remove(c->outputs, OUTPUTS_HEAD);
        c->n_dropped++;
    }
    return true;
}

static bool add_text(Cell *c, const json_t *ev, Err *err)
{
    json_t *last = last_output(c, "out");
    json_t *to = json_object_get(ev, "to");
    json_int_t lines = jval_get_int(ev, "lines", -1);
    if (last && jval_get_int(last, "to", 0) == jval_get_int(ev, "from", -1)) {
        json_int_t before = jval_get_int(last, "lines", -1);
        lines = before < 0 || lines < 0 ? -1 : before + lines;
        return (json_object_set(last, "to", to) == 0 &&
                jval_set(last, "lines", json_integer(lines))) ||
               out_of_memory(err);
    }
    return append(c,
                  json_pack("{s:s,s:O?,s:O?,s:I}", "ev", "out", "from",
                            json_object_get(ev, "from"), "to", to, "lines", lines),
                  err);
}

/* The same names go on as one entry. */
static bool add_metric(Cell *c, const json_t *ev, Err *err)
{
    json_t *last = last_output(c, "metric"), *m = json_object_get(ev, "m");
    json_t *before = json_object_get(last, "m");
    json_int_t n =
        jval_get_int(ev, "n", 1); /* one that was told again counts for all */
    const char *name;
    json_t *v;
    bool same = last && json_object_size(before) == json_object_size(m);
    json_object_foreach(m, name, v)
    {
        same = same && json_object_get(before, name);
    }
    if (!same)
        return append(c,
                      json_pack("{s:s,s:I,s:O?,s:O?}", "ev", "metric", "n", n, "step",
                                json_object_get(ev, "step"), "m", m),
                      err);
    bool ok = jval_set(last, "n", json_integer(jval_get_int(last, "n", 0) + n)) &&
              json_object_set(last, "step", json_object_get(ev, "step")) == 0 &&
              json_object_set(last, "m", m) == 0;
    return ok || out_of_memory(err);
}

/* Which entry an event with controls takes the place of; -1: it is a new display. */
static int display_of(const Cell *c, const json_t *event)
{
    if (!json_object_get(event, "control"))
        return -1;
    for (size_t i = 0; i < json_array_size(c->outputs); i++) {
        const json_t *e = json_array_get(c->outputs, i);
        if (json_object_get(e, "control") &&
            strcmp(jval_get(e, "name", ""), jval_get(event, "name", "")) == 0)
            return (int)i;
    }
    return -1;
}

bool cell_output(Cell *c, const json_t *event, Err *err)
{
    int display = display_of(c, event);
    if (display >= 0)
        return json_array_set(c->outputs, (size_t)display, (json_t *)event) == 0 ||
               out_of_memory(err);
    const char *kind = jval_get(event, "ev", "");
    if (strcmp(kind, "out") == 0)
        return add_text(c, event, err);
    if (strcmp(kind, "metric") == 0)
        return add_metric(c, event, err);
    return append(c, json_incref((json_t *)event), err);
}
