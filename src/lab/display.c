/* display.c -- nothing here waits for the disk but the first drawing's PNG. */
#include "lab/display.h"

#include <limits.h>
#include <stdio.h>

#include "base/file.h"
#include "lab/jfigure.h"
#include "lab/journal.h"
#include "lab/jval.h"

enum { BLOBS = 8 };

static void file_name(const char *name, char dst[48])
{
    size_t n = 0;
    for (const char *s = name; *s && n < 40; s++) {
        bool plain = (*s >= 'a' && *s <= 'z') || (*s >= 'A' && *s <= 'Z') ||
                     (*s >= '0' && *s <= '9') || *s == '-' || *s == '_';
        dst[n++] = plain ? *s : '-';
    }
    dst[n] = '\0';
}

static bool write_blob(const Figure *f, const char *path, Err *err)
{
    FileOut *out = fileout_open(path, err);
    if (!out)
        return false;
    if (jfigure_write_pixels(f, out, err))
        return fileout_replace(out, err);
    fileout_abort(out);
    return false;
}

static bool write_files(const Figure *f, const char *dir, const char *id, int64_t count,
                        json_t *body, Err *err)
{
    char path[PATH_MAX], rel[128];
    if (!path_join(path, sizeof path, dir, "figures", err) || !dir_make(path, err))
        return false;
    snprintf(rel, sizeof rel, "figures/%s.png", id);
    if (!jval_set(body, "png", json_string(rel)) ||
        !path_join(path, sizeof path, dir, rel, err) ||
        (count == 0 && !figure_png(f, path, err)))
        return false;
    if (jfigure_pixels(f) == 0)
        return true;
    snprintf(rel, sizeof rel, "figures/%s-%d.f32", id, (int)(count % BLOBS));
    return jval_set(body, "blob", json_string(rel)) &&
           path_join(path, sizeof path, dir, rel, err) && write_blob(f, path, err);
}

bool display_write(Run *run, const Figure *f, const char *name, int cell, int64_t count,
                   json_t *taken_control, Err *err)
{
    char slug[48], id[80];
    file_name(name, slug);
    snprintf(id, sizeof id, "display-%d-%s", cell, slug);
    json_t *body = jfigure_describe(f);
    bool ok = jval_set(body, "control", taken_control) &&
              jval_set(body, "id", json_string(id)) &&
              jval_set(body, "cell", json_integer(cell)) &&
              jval_set(body, "name", jval_str(name));
    if (!ok)
        err_set(err, ERR_MEMORY, "out of memory while recording a display");
    if (ok && write_files(f, run_dir(run), id, count, body, err))
        return journal_event(run_journal(run), "figure", body, err);
    json_decref(body);
    return false;
}
