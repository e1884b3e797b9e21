/* act_cells.c -- what command mode does to cells. Nothing is changed here: requests
 * leave, and what comes of them arrives as events. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "lab/jval.h"
#include "ui/act.h"

static json_t *about(const char *req, int cell)
{
    return json_pack("{s:s,s:i}", "req", req, "cell", cell);
}

/* The cell, or NULL with a message. */
static Cell *chosen(Ui *u)
{
    Cell *c = ui_cell(u);
    if (!c)
        ui_say(u, ROLE_DIM, "there is no cell; b makes one");
    return c;
}

static int id_at(const Ui *u, int index)
{
    return index >= 0 && index < u->doc->n ? u->doc->cell[index]->id : 0;
}

static void select_made(Ui *u, const json_t *ok, int64_t tag)
{
    (void)tag;
    int id = (int)jval_get_int(ok, "cell", 0);
    if (document_index(u->doc, id) >= 0)
        ui_select(u, id);
    else
        u->awaited = id; /* its event is still to come */
}

static void new_made(Ui *u, const json_t *ok, int64_t tag)
{
    select_made(u, ok, tag);
    ui_say(u, ROLE_DIM, "Enter edits the new cell");
}

static void edit_made(Ui *u, const json_t *ok, int64_t tag)
{
    select_made(u, ok, tag);
    u->edit_awaited = true;
    ui_awaited(u);
}

/* The cell that a request made may come as an event before or after the reply. */
void ui_awaited(Ui *u)
{
    if (u->awaited && document_index(u->doc, u->awaited) >= 0) {
        ui_select(u, u->awaited);
        u->awaited = 0;
    }
    if (u->edit_awaited && !u->awaited) {
        u->edit_awaited = false;
        edit_begin(u, u->sel);
    }
}

static void insert(Ui *u, int after, CellType type, const char *text, ReplyFn done)
{
    ui_request_first(u,
                     json_pack("{s:s,s:i,s:s,s:o}", "req", "insert", "after", after,
                               "type", cell_type_name(type), "text", jval_str(text)),
                     done, 0);
}

void act_edit(Ui *u, const char *arg)
{
    (void)arg;
    Cell *c = chosen(u);
    if (c)
        edit_begin(u, c->id);
}

static void queue_up(Ui *u, json_t *cells)
{
    if (json_array_size(cells) == 0) {
        json_decref(cells);
        return;
    }
    ui_request(u, json_pack("{s:s,s:o}", "req", "run", "cells", cells), NULL, 0);
}

/* "?name" asks instead of running. */
static bool is_question(Ui *u, const Cell *c)
{
    const char *s = u->editing ? u->edit.s : c->text;
    while (s && *s == ' ')
        s++;
    if (!s || *s != '?' || strchr(s, '\n'))
        return false;
    while (*s == '?' || *s == ' ')
        s++;
    help_show(u, s);
    return true;
}

static bool run_one(Ui *u, const Cell *c)
{
    if (c->type != CELL_CODE)
        return true;
    if (is_question(u, c))
        return false;
    queue_up(u, json_pack("[i]", c->id));
    return true;
}

static void run_from(Ui *u, int first)
{
    json_t *cells = json_array();
    for (int i = first; cells && i < u->doc->n; i++) {
        if (u->doc->cell[i]->type == CELL_CODE)
            json_array_append_new(cells, json_integer(u->doc->cell[i]->id));
    }
    if (cells)
        queue_up(u, cells);
}

void act_run_stay(Ui *u, const char *arg)
{
    (void)arg;
    Cell *c = chosen(u);
    if (c)
        run_one(u, c);
}

void act_run_next(Ui *u, const char *arg)
{
    (void)arg;
    Cell *c = chosen(u);
    if (!c || !run_one(u, c))
        return;
    int at = document_index(u->doc, c->id);
    if (at + 1 < u->doc->n)
        ui_select(u, id_at(u, at + 1));
    else if (c->text && c->text[0])
        insert(u, c->id, CELL_CODE, "", select_made);
}

void act_run_insert(Ui *u, const char *arg)
{
    (void)arg;
    Cell *c = chosen(u);
    if (c && run_one(u, c))
        insert(u, c->id, CELL_CODE, "", edit_made);
}

void act_run_below(Ui *u, const char *arg)
{
    (void)arg;
    Cell *c = chosen(u);
    if (c)
        run_from(u, document_index(u->doc, c->id));
}

void act_run_all(Ui *u, const char *arg)
{
    (void)arg;
    run_from(u, 0);
}

void act_insert_above(Ui *u, const char *arg)
{
    (void)arg;
    insert(u, id_at(u, document_index(u->doc, u->sel) - 1), CELL_CODE, "", new_made);
}

void act_insert_below(Ui *u, const char *arg)
{
    (void)arg;
    insert(u, u->sel, CELL_CODE, "", new_made);
}

static void keep_text(Ui *u, const Cell *c)
{
    char *copy = mem_strdup(c->text ? c->text : "", NULL);
    if (!copy)
        return;
    mem_free(u->clip);
    u->clip = copy;
    u->clip_type = c->type;
}

void act_copy_cell(Ui *u, const char *arg)
{
    (void)arg;
    Cell *c = chosen(u);
    if (!c)
        return;
    keep_text(u, c);
    ui_say(u, ROLE_DIM, "copied; v pastes it below the selected cell");
}

void act_delete(Ui *u, const char *arg)
{
    (void)arg;
    Cell *c = chosen(u);
    if (!c)
        return;
    ui_request_first(u, about("delete", c->id), NULL, 0);
    ui_say(u, ROLE_DIM, "deleted; u brings it back");
}

void act_cut(Ui *u, const char *arg)
{
    Cell *c = chosen(u);
    if (!c)
        return;
    keep_text(u, c);
    act_delete(u, arg);
    ui_say(u, ROLE_DIM, "cut; v pastes it, u brings it back");
}

void act_paste(Ui *u, const char *arg)
{
    (void)arg;
    if (u->clip)
        insert(u, u->sel, u->clip_type, u->clip, select_made);
    else
        ui_say(u, ROLE_DIM, "nothing was cut or copied yet");
}

void act_undo(Ui *u, const char *arg)
{
    (void)arg;
    ui_request_first(u, json_pack("{s:s}", "req", "undo"), NULL, 0);
}

static void move_to(Ui *u, int after)
{
    Cell *c = chosen(u);
    if (c)
        ui_request_first(
            u, json_pack("{s:s,s:i,s:i}", "req", "move", "cell", c->id, "after", after),
            NULL, 0);
}

void act_move_up(Ui *u, const char *arg)
{
    (void)arg;
    int at = document_index(u->doc, u->sel);
    if (at > 0)
        move_to(u, id_at(u, at - 2));
}

void act_move_down(Ui *u, const char *arg)
{
    (void)arg;
    int at = document_index(u->doc, u->sel);
    if (at >= 0 && at + 1 < u->doc->n)
        move_to(u, id_at(u, at + 1));
}

void act_merge(Ui *u, const char *arg)
{
    (void)arg;
    Cell *c = chosen(u);
    if (!c)
        return;
    if (document_index(u->doc, c->id) + 1 >= u->doc->n)
        ui_say(u, ROLE_DIM, "there is no cell below to merge with");
    else
        ui_request_first(u, about("merge", c->id), NULL, 0);
}

static void set_type(Ui *u, CellType type)
{
    Cell *c = chosen(u);
    if (c && c->type != type)
        ui_request_first(u,
                         json_pack("{s:s,s:i,s:s}", "req", "type", "cell", c->id,
                                   "type", cell_type_name(type)),
                         NULL, 0);
}

void act_to_markdown(Ui *u, const char *arg)
{
    (void)arg;
    set_type(u, CELL_MARKDOWN);
}

void act_to_code(Ui *u, const char *arg)
{
    (void)arg;
    set_type(u, CELL_CODE);
}

void act_to_raw(Ui *u, const char *arg)
{
    (void)arg;
    set_type(u, CELL_RAW);
}

void act_title(Ui *u, const char *arg)
{
    Cell *c = chosen(u);
    if (c)
        ui_request(u,
                   json_pack("{s:s,s:i,s:s,s:o}", "req", "type", "cell", c->id, "type",
                             cell_type_name(c->type), "title", jval_str(arg)),
                   NULL, 0);
}

void act_fold(Ui *u, const char *arg)
{
    (void)arg;
    if (u->sel)
        notebook_fold(u, u->sel, -1, 1);
}

void act_fold_source(Ui *u, const char *arg)
{
    (void)arg;
    if (u->sel)
        notebook_fold(u, u->sel, 2, -1);
}

void act_expand(Ui *u, const char *arg)
{
    (void)arg;
    if (u->sel)
        notebook_fold(u, u->sel, -1, 2);
}

void act_fold_all(Ui *u, const char *arg)
{
    (void)arg;
    notebook_fold(u, 0, 1, 3);
}

void act_unfold_all(Ui *u, const char *arg)
{
    (void)arg;
    notebook_fold(u, 0, 0, 0);
}

/* A cell, or the function of a display. */
static bool something_runs(const Ui *u)
{
    return u->doc->running || u->doc->n_queue > 0 || controls_wait(u);
}

void act_interrupt(Ui *u, const char *arg)
{
    (void)arg;
    if (!something_runs(u)) {
        ui_say(u, ROLE_DIM, "nothing is running");
        return;
    }
    if (u->interrupted == 0 && u->doc->running)
        u->interrupted = u->now;
    ui_request(u, json_pack("{s:s}", "req", "interrupt"), NULL, 0);
    ui_say(u, ROLE_WARN, "stopping ...");
}

/* Ctrl-C in command mode: stops what runs, else drops what was being typed. */
void act_cancel(Ui *u, const char *arg)
{
    if (something_runs(u))
        act_interrupt(u, arg);
    else
        ui_say(u, ROLE_DIM, "nothing is running; q leaves, ? lists the keys");
}

void act_clear_queue(Ui *u, const char *arg)
{
    (void)arg;
    ui_request(u, json_pack("{s:s}", "req", "cancel"), NULL, 0);
}

static void do_restart(Ui *u)
{
    ui_request(u, json_pack("{s:s}", "req", "restart"), NULL, 0);
}

void act_restart(Ui *u, const char *arg)
{
    (void)arg;
    if (u->lost) {
        u->reopen = true;
        return;
    }
    ui_ask(u, do_restart, "Restart the kernel? All variables are lost.");
}

/* The loop leaves the screen to the editor and comes back with the file's text. */
void act_editor(Ui *u, const char *arg)
{
    (void)arg;
    Cell *c = chosen(u);
    char path[] = "/tmp/cleave-cell-XXXXXX.lua";
    Err err = {0};
    if (!c)
        return;
    int fd = mkstemps(path, 4);
    const char *text = c->text ? c->text : "";
    bool ok = fd >= 0 && fd_append(fd, text, strlen(text), path, &err);
    if (fd >= 0)
        close(fd);
    if (!ok) {
        ui_say(u, ROLE_ERROR, "%s",
               err.msg[0] ? err.msg : "cannot make a file in /tmp");
        return;
    }
    mem_free(u->editor_file);
    u->editor_file = mem_strdup(path, NULL);
    u->editor_cell = c->id;
}
