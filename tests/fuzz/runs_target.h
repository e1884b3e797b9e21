/* runs_target.h -- run folders as a row for the mutation driver: the bytes become
 * run.json, metrics.jsonl and report.md of a run and the index of its folder, and all
 * of it is read. A damaged run is a row that says so, a damaged index is no index. */
#ifndef CLEAVE_TEST_RUNS_TARGET_H
#define CLEAVE_TEST_RUNS_TARGET_H
#include <sys/stat.h>

#include "lab/ledger.h"
#include "lab/runs.h"
#include "mutate.h"

static char runs_folder[200];

static inline bool runs_put(const char *name, const void *data, size_t n)
{
    char path[300];
    snprintf(path, sizeof path, "%s/%s", runs_folder, name);
    FILE *f = fopen(path, "wb");
    bool ok = f && fwrite(data, 1, n, f) == n;
    return f && fclose(f) == 0 && ok;
}

static inline int runs_seeds(FuzzSeed *seed)
{
    static const char *const text[] = {
        "{\"state\":\"done\",\"start\":\"2026\",\"argv\":[\"cleave\",\"run\",\"s.lua\"]"
        ","
        "\"settings\":{\"seed\":1,\"a\":{\"b\":[1,2,{\"name\":\"x\",\"v\":0.5}]}},"
        "\"claims\":[{\"text\":\"t\",\"value\":1,\"lo\":0,\"hi\":2,\"flag\":false}],"
        "\"result\":[{\"name\":\"m\",\"acc\":0.9,\"bad\":\"nan\",\"flag\":true}]}\n",
        "{\"step\":1,\"t\":2,\"loss\":0.5}\n{\"step\":2,\"t\":3,\"loss\":\"inf\"}\n",
        "{\"v\":1,\"dir\":\"run-a\",\"mtime\":1,\"size\":2,\"inode\":3,\"info\":{"
        "\"run\":"
        "{\"state\":\"running\"},\"settings\":{},\"result\":{\"a\":1},\"metric\":{}}}"
        "\n",
        "# R\n<!-- "
        "cleave-ledger\n{\"version\":1,\"run\":{\"argv\":[\"a\",\"b\",\"c\"]},"
        "\"claims\":[{\"key\":\"k\",\"text\":\"t\",\"value\":1,\"lo\":0,\"hi\":2}]}\n--"
        ">\n",
    };
    char path[300];
    const char *base = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : getenv("TMPDIR");
    snprintf(runs_folder, sizeof runs_folder, "%s/cleave-fuzz-XXXXXX",
             base ? base : "/tmp");
    if (!mkdtemp(runs_folder))
        return 0;
    snprintf(path, sizeof path, "%s/run-a", runs_folder);
    if (mkdir(path, 0777) != 0 || !runs_put("run-a/script.lua", "return 1", 8))
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

/* Accepted: it is a run or a ledger. */
static inline bool runs_try(const void *data, size_t n, Err *err)
{
    char path[300];
    Runs r;
    Curves c;
    Err e = {0};
    if (!runs_put("run-a/run.json", data, n) ||
        !runs_put("run-a/metrics.jsonl", data, n) ||
        !runs_put("run-a/report.md", data, n) || !runs_put(".cleave-index", data, n))
        return err_set(err, ERR_IO, "the scratch folder cannot be written");
    if (!runs_open(runs_folder, &r, err))
        return false;
    bool sound = r.n == 1 && strcmp(r.row[0].state, "damaged") != 0;
    bool ok = r.n == 0 || runs_curves(&r.row[0], &c, err);
    if (ok && r.n > 0)
        runs_curves_done(&c);
    runs_close(&r);
    snprintf(path, sizeof path, "%s/run-a/report.md", runs_folder);
    json_t *ledger = ok ? ledger_read(path, &e) : NULL;
    json_decref(ledger);
    snprintf(path, sizeof path, "%s/run-a", runs_folder);
    if (ok && sound && !ledger_write(path, err))
        return false;
    if (ok && !ledger && !sound && err)
        *err = e;
    return ok && (ledger || sound);
}

static inline void runs_clean(void)
{
    static const char *const names[] = {"run-a/run.json",
                                        "run-a/metrics.jsonl",
                                        "run-a/report.md",
                                        "run-a/script.lua",
                                        ".cleave-index",
                                        "run-a",
                                        ""};
    for (size_t i = 0; runs_folder[0] && i < ARRAY_LEN(names); i++) {
        char path[300];
        snprintf(path, sizeof path, "%s/%s", runs_folder, names[i]);
        remove(path);
    }
}

static const FuzzTarget runs_target = {"runs", runs_seeds, runs_try, NULL};
#endif
