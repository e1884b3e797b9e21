/* control.c -- controls of displays. A request is kept until the Lua thread is idle;
 * what a viewer asks of one control while another request for it waits takes that one's
 * place, so a key that is held down never runs behind. The call is a line of Lua, so
 * interrupts and errors are what they are for cells. */
#include <stdio.h>
#include <string.h>

#include "base/intr.h"
#include "kernel/session_int.h"
#include "lab/jval.h"

enum { WAITING_MAX = 64 };

static bool same_control(const json_t *a, const json_t *b)
{
    return strcmp(jval_get(a, "display", ""), jval_get(b, "display", "")) == 0 &&
           strcmp(jval_get(a, "control", ""), jval_get(b, "control", "")) == 0;
}

bool control_ask(Session *k, const json_t *q, Err *err)
{
    if (!k->turns)
        k->turns = json_array();
    size_t n = json_array_size(k->turns);
    json_t *turn = json_pack(
        "{s:o,s:O?,s:O?,s:I}", "display", jval_str(jval_get(q, "display", "")),
        "control", json_object_get(q, "control"), "value", json_object_get(q, "value"),
        "token", (json_int_t)jval_get_int(q, "token", 0));
    bool ok = k->turns && turn;
    if (ok && n > 0 && same_control(json_array_get(k->turns, n - 1), turn))
        ok = json_array_set_new(k->turns, n - 1, turn) == 0;
    else if (ok && n < WAITING_MAX)
        ok = json_array_append_new(k->turns, turn) == 0;
    else
        json_decref(turn); /* so many are waiting that one less is not missed */
    pthread_cond_signal(&k->work);
    return ok || err_set(err, ERR_MEMORY, "out of memory while a control was turned");
}

bool control_waits(const Session *k)
{
    return json_array_size(k->turns) > 0;
}

static void refuse(Session *k, const json_t *turn, const char *why)
{
    session_emit(k, "control",
                 json_pack("{s:o,s:o}", "display",
                           jval_str(jval_get(turn, "display", "")), "error",
                           jval_str(why)),
                 NULL);
}

void control_forget(Session *k)
{
    size_t i;
    json_t *turn;
    json_array_foreach(k->turns, i, turn) refuse(k, turn, "interrupted");
    json_decref(k->turns);
    k->turns = NULL;
}

/* A text as a Lua literal: every byte that means something is written as a number. */
static void add_literal(Str *t, const char *s)
{
    str_addc(t, '"');
    for (; *s; s++) {
        bool plain = (*s >= 'a' && *s <= 'z') || (*s >= 'A' && *s <= 'Z') ||
                     (*s >= '0' && *s <= '9') || *s == ' ' || *s == '_';
        if (plain)
            str_addc(t, *s);
        else
            str_addf(t, "\\%03u", (unsigned)(unsigned char)*s);
    }
    str_addc(t, '"');
}

static bool make_line(const json_t *turn, Str *t, Err *err)
{
    const char *control = jval_get(turn, "control", NULL);
    const json_t *value = json_object_get(turn, "value");
    str_add(t, "require \"cleave\".turn(");
    add_literal(t, jval_get(turn, "display", ""));
    if (control) {
        str_add(t, ", ");
        add_literal(t, control);
        str_add(t, ", ");
        if (json_is_string(value))
            add_literal(t, json_string_value(value));
        else
            str_addf(t, "%.17g", json_number_value(value));
    }
    str_addf(t, "%s%lld)", control ? ", " : ", nil, nil, ",
             (long long)jval_get_int(turn, "token", 0));
    return str_ok(t, err);
}

void control_turn(Session *k)
{
    Str line;
    Err err = {0};
    json_t *turn = json_incref(json_array_get(k->turns, 0));
    json_array_remove(k->turns, 0);
    str_init(&line);
    ScriptEnd end = SCRIPT_FAILED;
    if (make_line(turn, &line, &err)) {
        k->busy = k->turning = true;
        k->interrupted_at = 0;
        intr_clear();
        pthread_mutex_unlock(&k->lock);
        end = script_run_text(k->script, line.s, line.len, "=control", NULL, &err);
        pthread_mutex_lock(&k->lock);
        k->busy = k->turning = false;
    }
    if (end != SCRIPT_DONE)
        refuse(k, turn, err.msg);
    json_decref(turn);
    str_done(&line);
    session_wake(k);
}
