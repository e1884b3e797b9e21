/* journal_target.h -- the journal as a row for the mutation driver: the bytes become
 * events.jsonl of a folder, every line is read, every figure rebuilt, and run.json is
 * read from the same bytes. Damaged lines must cost one sentence each and nothing else.
 */
#ifndef CLEAVE_TEST_JOURNAL_TARGET_H
#define CLEAVE_TEST_JOURNAL_TARGET_H
#include "lab/journal.h"
#include "lab/jval.h"
#include "mutate.h"

static char journal_folder[200];

static inline bool journal_put(const char *name, const void *data, size_t n)
{
    char path[300];
    snprintf(path, sizeof path, "%s/%s", journal_folder, name);
    FILE *f = fopen(path, "wb");
    bool ok = f && fwrite(data, 1, n, f) == n;
    return f && fclose(f) == 0 && ok;
}

static inline int journal_seeds(FuzzSeed *seed)
{
    static const char *const text[] = {
        "{\"seq\":1,\"t\":1.5,\"ev\":\"start\",\"cell\":1,\"name\":\"a\"}\n"
        "{\"seq\":2,\"t\":1.5,\"ev\":\"out\",\"cell\":1,\"from\":0,\"to\":8}\n"
        "{\"seq\":3,\"t\":2,\"ev\":\"metric\",\"step\":1,\"m\":{\"loss\":\"nan\"}}\n",
        "{\"seq\":1,\"ev\":\"figure\",\"kind\":\"images\",\"n\":2,\"h\":2,\"w\":2,"
        "\"signed\":true,\"scale\":\"p99\",\"per_row\":1,\"labels\":[\"a\",\"b\"],"
        "\"blob\":\"blob\",\"title\":\"t\"}\n",
        "{\"seq\":1,\"ev\":\"figure\",\"kind\":\"table\",\"rows\":2,\"cols\":2,"
        "\"head\":[\"a\",\"b\"],\"numeric\":[true,false],"
        "\"cells\":[\"1\",\"2\",\"3\",\"4\"],\"caption\":\"c\"}\n",
        "{\"ev\":\"figure\",\"kind\":\"page\",\"blob\":\"blob\",\"parts\":["
        "{\"kind\":\"heat\",\"n\":1,\"h\":2,\"w\":4,\"signed\":true,\"scale\":"
        "\"each\",\"left\":[\"a\",\"b\"],\"right\":[\"\",\"\",\"\",\"\"]},"
        "{\"kind\":\"plot\",\"x\":{\"log\":false,\"lo\":0,\"hi\":2},\"y\":{\"log\":"
        "true},\"series\":[{\"mark\":\"bins\",\"x\":[0,1,2],\"y\":[3,4],\"labels\":"
        "[\"p\",\"q\"]}]}]}\n",
        "{\"ev\":\"figure\",\"kind\":\"bipartite\",\"left\":[\"a\"],\"right\":[\"b\","
        "\"c\"],\"edges\":[[0,1,0.5],[0,0,-2]]}\n"
        "{\"ev\":\"figure\",\"kind\":\"bars\",\"left\":[\"a\",\"b\"],\"series\":["
        "{\"mark\":\"line\",\"y\":[1,2],\"lo\":[0,1],\"hi\":[2,3]}]}\n"
        "{\"ev\":\"figure\",\"kind\":\"between\",\"between\":[{\"name\":\"g\","
        "\"numbers\":[0.7,\"nan\",\"nan\",0.1,0,0.2,1]}]}\n"
        "{\"ev\":\"figure\",\"kind\":\"diagram\",\"stages\":[2,1],\"left\":[\"a\","
        "\"b\",\"c\"],\"signed\":true,\"limit\":2,\"edges\":[[1,2,0.5]]}\n",
        "{\"ev\":\"figure\",\"kind\":\"text\",\"text\":\"\\u00e9 \\ud83d\\ude00\"}\n",
    };
    static const float blob[8] = {1, -1, 2, -2, 3, -3, 4, -4};
    /* in memory where possible: each input is a file */
    const char *base = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : getenv("TMPDIR");
    snprintf(journal_folder, sizeof journal_folder, "%s/cleave-fuzz-XXXXXX",
             base ? base : "/tmp");
    if (!mkdtemp(journal_folder) || !journal_put("blob", blob, sizeof blob))
        return 0;
    int n = 0;
    for (size_t i = 0; i < ARRAY_LEN(text); i++) {
        size_t len = strlen(text[i]);
        seed[n].data = malloc(FUZZ_CAP);
        if (!seed[n].data)
            break;
        memcpy(seed[n].data, text[i], len);
        seed[n++].n = len;
    }
    return n;
}

/* Draws too: what was rebuilt must be fit to be shown. */
static inline bool journal_show(JournalReader *r, const json_t *ev, Err *err)
{
    DrawStyle style = {.level = LEVEL_256, .width = 60, .utf8 = true};
    Grid grid = {0};
    Figure *f = jreader_figure(r, ev, err);
    bool ok = f && figure_draw(f, &style, &grid, err);
    if (ok)
        grid_done(&grid);
    figure_free(f);
    return ok;
}

static inline bool journal_try(const void *data, size_t n, Err *err)
{
    bool ok = true, more = true;
    if (!journal_put("events.jsonl", data, n))
        return err_set(err, ERR_IO, "the scratch folder cannot be written");
    JournalReader *r = jreader_open(journal_folder, err);
    if (!r)
        return false;
    while (more) {
        Err e = {0};
        json_t *ev = jreader_next(r, &more, &e);
        bool fine = ev ? strcmp(jval_get(ev, "ev", ""), "figure") != 0 ||
                             journal_show(r, ev, &e)
                       : e.code == ERR_NONE;
        json_decref(ev);
        if (!fine) {
            ok = false;
            *err = e;
            if (e.code == ERR_MEMORY)
                break;
        }
    }
    jreader_close(r);
    return ok;
}

static const FuzzTarget journal_target = {"journal", journal_seeds, journal_try, NULL};

/* Removes the scratch folder. */
static inline void journal_clean(void)
{
    char path[300];
    static const char *const name[] = {"events.jsonl", "blob"};
    for (size_t i = 0; i < ARRAY_LEN(name) && journal_folder[0]; i++) {
        snprintf(path, sizeof path, "%s/%s", journal_folder, name[i]);
        unlink(path);
    }
    if (journal_folder[0])
        rmdir(journal_folder);
}
#endif
