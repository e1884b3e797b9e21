/* Run folders: unique, complete or absent, and honest about their state. */
#include "lab/run.h"

#include <dirent.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "lab/folder.h"
#include "lab/jval.h"

static int entries(const char *name)
{
    int n = 0;
    DIR *d = opendir(in_folder(name));
    if (!d)
        return -1;
    for (struct dirent *e; (e = readdir(d));)
        n += e->d_name[0] != '.';
    closedir(d);
    return n;
}

static void make_dir(char dst[PATH_MAX])
{
    Err err = {0};
    char root[PATH_MAX], script[PATH_MAX];
    write_text("some study.lua", "w", "print(1)\n");
    snprintf(root, sizeof root, "%s", in_folder("runs"));
    snprintf(script, sizeof script, "%s", in_folder("some study.lua"));
    if (!run_make_dir(root, script, dst, PATH_MAX, &err))
        fail_msg("%s", err.msg);
}

static void folders_are_unique_and_hold_the_script(void **state)
{
    (void)state;
    char a[PATH_MAX], b[PATH_MAX], *text;
    size_t n;
    make_dir(a);
    make_dir(b);
    assert_string_not_equal(a, b);
    assert_non_null(strstr(a, "-some-study-"));
    char path[PATH_MAX];
    assert_true(path_join(path, sizeof path, a, "script.lua", NULL));
    assert_true(file_read_all(path, 100, &text, &n, NULL));
    assert_string_equal(text, "print(1)\n");
    Err err = {0};
    assert_false(run_make_dir(in_folder("runs"), "/no/such.lua", a, sizeof a, &err));
    assert_int_equal(err.code, ERR_IO);
    assert_int_equal(entries("runs"), 2);
    mem_free(text);
}

static void full_disk_leaves_no_folder(void **state)
{
    (void)state;
    Err err = {0};
    char dst[PATH_MAX], root[PATH_MAX];
    write_text("s.lua", "w", "print(1)\n");
    snprintf(root, sizeof root, "%s", in_folder("runs"));
    file_fail_after(3);
    bool ok = run_make_dir(root, in_folder("s.lua"), dst, sizeof dst, &err);
    file_fail_after(-1);
    assert_false(ok);
    assert_int_equal(err.code, ERR_IO);
    assert_int_equal(entries("runs"), 0);
    write_text("file", "w", "");
    snprintf(root, sizeof root, "%s", in_folder("file"));
    assert_false(run_make_dir(root, in_folder("s.lua"), dst, sizeof dst, &err));
    assert_non_null(strstr(err.msg, "file"));
}

static json_t *run_json(const char *dir)
{
    char path[PATH_MAX];
    Err err = {0};
    assert_true(path_join(path, sizeof path, dir, "run.json", NULL));
    json_t *o = jval_read_file(path, 1 << 20, &err);
    if (!o)
        fail_msg("%s", err.msg);
    return o;
}

static void finished_run_says_everything(void **state)
{
    (void)state;
    Err err = {0};
    char dir[PATH_MAX], now[16];
    make_dir(dir);
    Run *r = run_open(dir, &err);
    assert_non_null(r);
    assert_true(run_set(r, "threads", json_integer(2), &err));
    assert_true(run_unsaved(r) && run_save(r, &err) && !run_unsaved(r));
    assert_true(run_state(dir, now, &err));
    assert_string_equal(now, "running"); /* we are alive */
    assert_true(run_finish(r, "done", json_pack("{s:f}", "acc", 0.97), &err));
    run_close(r);
    assert_true(run_state(dir, now, &err));
    assert_string_equal(now, "done");
    json_t *o = run_json(dir);
    assert_int_equal(jval_get_int(o, "threads", 0), 2);
    assert_int_equal(jval_get_int(o, "pid", 0), getpid());
    assert_true(jval_to_number(json_object_get(json_object_get(o, "result"), "acc"),
                               0) == 0.97);
    assert_true(strlen(jval_get(o, "end", "")) == 24);
    json_decref(o);
    assert_true(run_mark_crashed(dir, "too late", &err));
    assert_true(run_state(dir, now, &err));
    assert_string_equal(now, "done"); /* a finished run is left alone */
}

static void dead_process_reads_as_crashed(void **state)
{
    (void)state;
    Err err = {0};
    char dir[PATH_MAX], now[16];
    make_dir(dir);
    pid_t pid = fork();
    if (pid == 0) {
        Run *r = run_open(dir, NULL);
        _exit(!(r && run_save(r, NULL) &&
                journal_event(run_journal(r), "log", NULL, NULL)));
    }
    int status;
    waitpid(pid, &status, 0);
    assert_int_equal(status, 0);
    json_t *o = run_json(dir);
    assert_string_equal(jval_get(o, "state", ""), "running");
    json_decref(o);
    assert_true(run_state(dir, now, &err));
    assert_string_equal(now, "crashed");
    assert_true(run_mark_crashed(dir, "killed", &err));
    o = run_json(dir);
    assert_string_equal(jval_get(o, "state", ""), "crashed");
    assert_string_equal(jval_get(o, "why", ""), "killed");
    json_decref(o);
    JournalReader *j = jreader_open(dir, &err);
    bool more;
    json_decref(jreader_next(j, &more, &err));
    json_t *ev = jreader_next(j, &more, &err);
    assert_string_equal(jval_get(ev, "state", ""), "crashed");
    assert_int_equal(jval_get_int(ev, "seq", 0), 2);
    json_decref(ev);
    jreader_close(j);
}

static void reused_pid_is_not_taken_for_the_run(void **state)
{
    (void)state;
    Err err = {0};
    char dir[PATH_MAX], now[16];
    make_dir(dir);
    Run *r = run_open(dir, &err);
    assert_true(run_set(r, "pid_start", json_integer(1), &err) && run_save(r, &err));
    run_close(r);
    assert_true(run_state(dir, now, &err));
    assert_string_equal(now, "crashed");
}

static void other_hosts_are_judged_by_their_heartbeat(void **state)
{
    (void)state;
    Err err = {0};
    char dir[PATH_MAX], now[16], path[PATH_MAX];
    make_dir(dir);
    Run *r = run_open(dir, &err);
    assert_true(run_set(r, "host", json_string("elsewhere.example"), &err) &&
                run_save(r, &err) && journal_tick(run_journal(r), &err));
    run_close(r);
    assert_true(run_state(dir, now, &err));
    assert_string_equal(now, "running");
    assert_true(path_join(path, sizeof path, dir, "heartbeat", NULL));
    double old = clock_wall() - 61;
    struct timeval t[2] = {
        {(time_t)old, 0},
        {(time_t)old, 0}
    };
    assert_int_equal(utimes(path, t), 0);
    assert_true(run_state(dir, now, &err));
    assert_string_equal(now, "crashed");
}

static void never_written_run_can_be_marked(void **state)
{
    (void)state;
    Err err = {0};
    char dir[PATH_MAX], now[16];
    make_dir(dir);
    assert_true(run_mark_crashed(dir, "the kernel never started", &err));
    assert_true(run_state(dir, now, &err));
    assert_string_equal(now, "crashed");
    assert_false(run_mark_crashed("/no/such/run", "x", &err));
    assert_false(run_state("/no/such/run", now, &err));
}

#define T(f) cmocka_unit_test_setup_teardown(f, folder_make, folder_drop)
int main(void)
{
    const struct CMUnitTest tests[] = {
        T(folders_are_unique_and_hold_the_script),
        T(full_disk_leaves_no_folder),
        T(finished_run_says_everything),
        T(dead_process_reads_as_crashed),
        T(reused_pid_is_not_taken_for_the_run),
        T(other_hosts_are_judged_by_their_heartbeat),
        T(never_written_run_can_be_marked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
