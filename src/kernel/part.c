/* part.c -- measurements in a session are runs as well: the first metric of a cell, or
 * cl.run(), opens a run folder, which from then on gets what the cell and the rest of the
 * queue do (so run-all is one run), and ends with the queue or the next cl.run(). Cells
 * that measure nothing leave no folder. The Lua thread opens and closes; the lock of the session is taken before that
 * of a journal, never the other way round. */
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/session_int.h"
#include "lab/jval.h"
#include "lab/ledger.h"

static Run *make(Session *k, const char *name, Err *err)
{
    char dir[PATH_MAX];
    Str text;
    Run *r = NULL;
    str_init(&text);
    pthread_mutex_lock(&k->lock);
    bool ok = document_save(k->doc, &text, err);
    pthread_mutex_unlock(&k->lock);
    if (ok && run_make_dir_of(NULL, name, text.s ? text.s : "", text.len, dir,
                              sizeof dir, err))
        r = run_open(dir, err);
    if (r && !(session_describe(k, r, err) && run_save(r, err))) {
        run_finish(r, "failed", NULL, NULL);
        run_close(r);
        r = NULL;
    }
    str_done(&text);
    return r;
}

static void begin(Session *k, Run *taken)
{
    char full[PATH_MAX];
    Run *r = k->part = taken;
    run_tell(k->run, r);
    journal_event(k->journal, "run",
                  json_pack("{s:o}", "dir",
                            jval_str(realpath(run_dir(r), full) ? full : run_dir(r))),
                  NULL);
}

void part_open(void *session)
{
    Session *k = session;
    Err err = {0};
    journal_before_metric(k->journal, NULL, NULL); /* once, whatever comes of it */
    Run *r = make(k, k->place.file, &err);
    if (r)
        begin(k, r);
    else
        journal_event(k->journal, "log", json_pack("{s:o}", "text", jval_str(err.msg)),
                      NULL);
}

bool part_begin(void *session, const char *name, const json_t *settings, char *dst,
                size_t cap, Err *err)
{
    Session *k = session;
    if (k->turning)
        return err_set(err, ERR_STATE,
                       "cl.run begins a run in a cell, not in a display's function");
    journal_before_metric(k->journal, NULL, NULL);
    part_close(k, "done", NULL);
    Run *r = make(k, name[0] ? name : k->place.file, err);
    if (!r)
        return false;
    begin(k, r);
    text_copy(dst, cap, run_dir(r));
    return run_add(r, "settings", settings, err) && run_save(r, err);
}

void part_close(Session *k, const char *state, const json_t *result)
{
    Run *r = k->part;
    Err err = {0};
    if (!r)
        return;
    run_tell(k->run, NULL);
    k->part = NULL;
    bool whole = journal_healthy(run_journal(r), &err);
    run_finish(r, whole ? state : "failed", json_deep_copy(result), NULL);
    if (whole && strcmp(state, "done") == 0)
        ledger_write(run_dir(r), NULL);
    run_close(r);
    if (!whole)
        journal_event(k->journal, "log", json_pack("{s:o}", "text", jval_str(err.msg)),
                      NULL);
}
