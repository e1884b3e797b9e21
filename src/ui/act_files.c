/* act_files.c -- the notebook's file: saving, taking its text from disk again, writing it
 * with its outputs in another format. A path that does not begin at the root begins in
 * the viewer's folder; the session's own folder may be another. */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "kernel/export.h"
#include "lab/jval.h"
#include "ui/act.h"

/* false: there is no such folder, and the message line says so. */
static bool whole_path(Ui *u, const char *given, char dst[PATH_MAX])
{
    char cwd[PATH_MAX];
    Err err = {0};
    if (given[0] == '/' ? text_copy(dst, PATH_MAX, given)
                        : getcwd(cwd, sizeof cwd) &&
                              path_join(dst, PATH_MAX, cwd, given, &err))
        return true;
    ui_say(u, ROLE_ERROR, "there is no folder for '%s'", given);
    return false;
}

void ui_wrote(Ui *u, const char *path)
{
    char real[PATH_MAX];
    ui_say(u, ROLE_GOOD, "wrote %s", realpath(path, real) ? real : path);
}

static void said_copy(Ui *u, const json_t *ok, int64_t tag)
{
    (void)tag;
    ui_say(u, ROLE_GOOD, "a copy is in %s", jval_get(ok, "path", ""));
}

static void save(Ui *u, const char *given, bool force)
{
    char path[PATH_MAX];
    json_t *r = json_pack("{s:s,s:b}", "req", "save", "force", force);
    bool other = given[0] != '\0';
    if (r && other &&
        !(whole_path(u, given, path) && jval_set(r, "path", jval_str(path)))) {
        json_decref(r);
        return;
    }
    ui_request(u, r, other ? said_copy : NULL, 0);
}

void act_save(Ui *u, const char *arg)
{
    save(u, arg, false);
}

void act_save_force(Ui *u, const char *arg)
{
    save(u, arg, true);
}

static void said_reloaded(Ui *u, const json_t *ok, int64_t tag)
{
    (void)tag;
    if (jval_get_int(ok, "changed", 0))
        ui_say(u, ROLE_GOOD, "the cells are those of the file; u takes it back");
    else
        ui_say(u, ROLE_DIM, "the cells are those of the file already");
}

void act_reload(Ui *u, const char *arg)
{
    (void)arg;
    ui_request(u, json_pack("{s:s,s:b}", "req", "disk", "reload", true), said_reloaded,
               0);
}

static void export(Ui *u, const char *given, bool force)
{
    char path[PATH_MAX];
    Err err = {0};
    Notebook nb = {.doc = u->doc, .reader = u->reader};
    if (!given[0]) {
        ui_say(u, ROLE_DIM,
               "a file says the format: :export notes.html, or .md, .ipynb, .lua");
        return;
    }
    if (!whole_path(u, given, path))
        return;
    if (!force && file_exists(path)) {
        ui_say(u, ROLE_ERROR, "'%s' is there already; :export! replaces it", given);
        return;
    }
    edit_keep(u);
    text_copy(nb.place.dir, sizeof nb.place.dir, jreader_dir(u->reader));
    if (notebook_export(&nb, path, &err))
        ui_wrote(u, path);
    else
        ui_say(u, ROLE_ERROR, "%s", err.msg);
}

void act_export(Ui *u, const char *arg)
{
    export(u, arg, false);
}

void act_export_force(Ui *u, const char *arg)
{
    export(u, arg, true);
}
