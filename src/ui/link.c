/* link.c -- events are taken in bounded pieces, so that a flood never holds up a key. */
#include "ui/link.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"

enum { EVENTS_A_TURN = 500 };

/* --- the port --------------------------------------------------------------------- */

static bool port_send(void *self, json_t *taken, int64_t *id, Err *err)
{
    return client_send(self, taken, id, err);
}

static json_t *port_receive(void *self, Err *err)
{
    return client_receive(self, err);
}

static const char *session_name(const Client *c)
{
    const char *slash = strrchr(client_place(c)->file, '/');
    return slash ? slash + 1 : client_place(c)->file;
}

/* --- what comes ------------------------------------------------------------------- */

static void take_events(Link *l)
{
    Err err = {0};
    bool more = true;
    l->watch = jreader_watch(l->reader);
    l->more = false;
    for (int i = 0; i < EVENTS_A_TURN; i++) {
        json_t *ev = jreader_next(l->reader, &more, &err);
        if (!ev && !more)
            return;
        if (ev)
            ui_event(&l->ui, ev);
        else
            ui_say(&l->ui, ROLE_WARN, "%s", err.msg);
        json_decref(ev);
    }
    l->more = true;
}

static void lose(Link *l)
{
    char text[700], why[500];
    if (l->ui.lost || l->ui.ended)
        return;
    l->ui.lost = true;
    client_why_gone(l->client, why, sizeof why);
    snprintf(
        text, sizeof text,
        "The kernel is gone\n\n%s\n\nThe notebook and all outputs are safe; variables "
        "are lost. 00 or :restart starts another kernel.",
        why);
    ui_popup(&l->ui, "kernel", text);
}

static void take_replies(Link *l)
{
    json_t *reply;
    Err err = {0};
    while ((reply = l->ui.port.receive(l->ui.port.self, &err))) {
        ui_reply(&l->ui, reply);
        json_decref(reply);
    }
    if (!client_alive(l->client))
        lose(l);
}

void link_reopen(Link *l)
{
    Err err = {0};
    char file[PATH_MAX];
    text_copy(file, sizeof file, client_place(l->client)->file);
    ClientOptions opt = {.read_only = l->ui.port.read_only};
    l->ui.reopen = false;
    Client *c = client_open(file, &opt, &err);
    if (!c) {
        ui_say(&l->ui, ROLE_ERROR, "%s", err.msg);
        return;
    }
    client_close(l->client);
    l->client = c;
    l->ui.port.self = c;
    l->ui.lost = false;
    ui_say(&l->ui, ROLE_GOOD, "a new kernel runs");
}

/* --- the whole -------------------------------------------------------------------- */

bool link_open(Link *l, Client *taken, const DrawStyle *draw, bool read_only, Err *err)
{
    *l = (Link){.client = taken, .watch = -1};
    Port port = {.self = taken,
                 .send = port_send,
                 .receive = port_receive,
                 .session = session_name(taken),
                 .read_only = read_only};
    l->doc = document_new(err);
    l->reader = l->doc ? jreader_open(client_dir(taken), err) : NULL;
    bool ok = l->reader && ui_init(&l->ui, &port, l->reader, l->doc, draw, err);
    if (!ok) {
        link_close(l);
        return false;
    }
    l->doc->keep_outputs = true;
    text_copy(l->ui.file, sizeof l->ui.file, port.session);
    l->ui.now = clock_now();
    l->ui.wall = clock_wall();
    return true;
}

void link_close(Link *l)
{
    ui_done(&l->ui);
    jreader_close(l->reader);
    document_free(l->doc);
    client_close(l->client);
    *l = (Link){0};
}

void link_take(Link *l)
{
    l->ui.now = clock_now();
    l->ui.wall = clock_wall();
    take_events(l);
    take_replies(l);
    ui_release(&l->ui);
    log_read(&l->ui);
}

void link_catch_up(Link *l)
{
    do {
        take_events(l);
    } while (l->more);
    l->ui.message[0] = '\0';
    if (l->doc->n > 0 && !l->ui.sel)
        ui_select(&l->ui, l->doc->cell[0]->id);
}

void link_flush(Link *l)
{
    if (l->ui.lost)
        return;
    edit_keep(&l->ui);
    for (int i = 0; i < 50 && client_pending(l->client); i++) {
        json_decref(client_receive(l->client, NULL));
        clock_sleep(0.002, NULL);
    }
}

bool link_idle(const Link *l)
{
    for (int i = 0; i < MAX_WAITING; i++) {
        if (l->ui.waiting[i].id)
            return false;
    }
    return !l->more && l->ui.n_held == 0 && !l->doc->running && l->doc->n_queue == 0 &&
           !log_behind(&l->ui) && !client_pending(l->client);
}
