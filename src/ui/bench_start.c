/* bench_start.c -- what a user waits for: `cleave run` of a script with one product,
 * from exec to the end, with its run directory written. Memory is the largest resident
 * set of its processes. It is measured before anything big is allocated here: a new
 * process inherits the mark of the one that starts it. */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "ui/bench.h"

static const char script[] =
    "local cl = require 'cleave' return cl.matmul(cl.eye(8), cl.eye(8)):sum():item()\n";

typedef struct Start {
    const char *program;
    char dir[PATH_MAX - 64], path[PATH_MAX], runs[PATH_MAX];
    double memory;
} Start;

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
    (void)st, (void)type, (void)at;
    return remove(path);
}

static bool once(void *ctx, Err *err)
{
    Start *s = ctx;
    struct rusage use;
    int status = 0;
    pid_t pid = fork();
    if (pid < 0)
        return err_set(err, ERR_IO, "cannot start a process: %s", strerror(errno));
    if (pid == 0) {
        int null = open("/dev/null", O_WRONLY);
        /* at real-time priority the library's spinning threads hold up the rest */
        sched_setscheduler(0, SCHED_OTHER, &(struct sched_param){0});
        dup2(null, STDOUT_FILENO);
        execl(s->program, "cleave", "run", "--runs", s->runs, s->path, (char *)NULL);
        _exit(127);
    }
    while (wait4(pid, &status, 0, &use) < 0)
        if (errno != EINTR)
            return err_set(err, ERR_IO, "cannot wait for a process: %s",
                           strerror(errno));
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        return err_set(err, ERR_STATE, "'%s run' of one product ended with status %d",
                       s->program, WIFEXITED(status) ? WEXITSTATUS(status) : -1);
    double bytes = (double)use.ru_maxrss * 1024;
    s->memory = bytes > s->memory ? bytes : s->memory;
    return true;
}

bool bench_start(Bench *b, const BenchCase *c, BenchResult *out, Err *err)
{
    Start s = {.program = b->program};
    const char *tmp = getenv("TMPDIR");
    (void)c;
    snprintf(s.dir, sizeof s.dir, "%s/cleave-bench-XXXXXX",
             tmp && tmp[0] ? tmp : "/tmp");
    if (!mkdtemp(s.dir))
        return err_set(err, ERR_IO, "cannot make a folder %s: %s", s.dir,
                       strerror(errno));
    snprintf(s.path, sizeof s.path, "%s/one.lua", s.dir);
    snprintf(s.runs, sizeof s.runs, "%s/runs", s.dir);
    bool ok = file_write_all(s.path, script, sizeof script - 1, err) &&
              bench_time(b, once, &s, &out->seconds, &out->best, err);
    out->memory = s.memory;
    nftw(s.dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    return ok;
}
