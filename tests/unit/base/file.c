#include "support.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/file.h"
#include "base/intr.h"

static char dir[64];

static const char *at(const char *name)
{
    static char buf[4][256];
    static int k;
    char *s = buf[k++ % 4];
    assert_true(path_join(s, sizeof buf[0], dir, name, NULL));
    return s;
}

static int entries(void)
{
    int n = 0;
    DIR *d = opendir(dir);
    assert_non_null(d);
    while (readdir(d))
        n++;
    closedir(d);
    return n - 2;
}

static void holds(const char *path, const char *want)
{
    char *s;
    size_t n;
    Err err = {0};
    assert_ok(file_read_all(path, 1 << 20, &s, &n, &err), err);
    assert_int_equal(n, strlen(want));
    assert_string_equal(s, want);
    mem_free(s);
}

static int fresh(void **state)
{
    (void)state;
    scratch_make(dir);
    return 0;
}

static int gone(void **state)
{
    (void)state;
    file_fail_after(-1);
    scratch_remove(dir);
    return 0;
}

static void writes_and_reads_back_all_sizes(void **state)
{
    (void)state;
    static const size_t sizes[] = {0, 1, 100, 65535, 65536, 65537, 200000, 700001};
    unsigned char *data = mem_alloc(700001, NULL);
    for (size_t i = 0; i < 700001; i++)
        data[i] = (unsigned char)(i * 2654435761u >> 13);
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        for (size_t piece = 1; piece < 300000; piece = piece * 7 + 4090) {
            FileOut *f = fileout_open(at("f"), NULL);
            for (size_t k = 0; k < sizes[i]; k += piece) {
                size_t n = sizes[i] - k < piece ? sizes[i] - k : piece;
                assert_true(fileout_write(f, data + k, n, NULL));
            }
            assert_true(fileout_commit(f, NULL));
            char *back;
            size_t n;
            assert_true(file_read_all(at("f"), sizes[i], &back, &n, NULL));
            assert_int_equal(n, sizes[i]);
            assert_memory_equal(back, data, n);
            assert_int_equal(back[n], '\0');
            mem_free(back);
        }
    }
    mem_free(data);
    assert_int_equal(entries(), 1);
}

static void the_target_changes_only_at_commit(void **state)
{
    (void)state;
    char big[100000];
    memset(big, 'n', sizeof big);
    assert_true(file_write_all(at("f"), "old", 3, NULL));
    FileOut *f = fileout_open(at("f"), NULL);
    assert_true(fileout_write(f, big, sizeof big, NULL));
    holds(at("f"), "old");
    assert_int_equal(entries(), 2);
    fileout_abort(f);
    fileout_abort(NULL);
    holds(at("f"), "old");
    assert_int_equal(entries(), 1);
    f = fileout_open(at("f"), NULL);
    FileOut *g = fileout_open(at("f"), NULL); /* two writers: the last commit wins */
    assert_true(fileout_write(f, "first", 5, NULL));
    assert_true(fileout_write(g, "second", 6, NULL));
    assert_true(fileout_commit(f, NULL));
    holds(at("f"), "first");
    assert_true(fileout_commit(g, NULL));
    holds(at("f"), "second");
    assert_int_equal(entries(), 1);
}

/* Readers that look all the time see one whole version or the other. */
static void *reader(void *path)
{
    for (int i = 0; i < 400; i++) {
        char *s;
        size_t n;
        if (!file_read_all(path, 1 << 20, &s, &n, NULL))
            return path;
        bool whole = n == 90000;
        for (size_t k = 1; k < n; k++)
            whole = whole && s[k] == s[0];
        mem_free(s);
        if (!whole)
            return path;
    }
    return NULL;
}

static void readers_never_see_half_a_file(void **state)
{
    (void)state;
    static char text[90000];
    pthread_t t;
    void *result = NULL;
    char path[256];
    strcpy(path, at("r"));
    memset(text, 'a', sizeof text);
    assert_true(file_write_all(path, text, sizeof text, NULL));
    assert_int_equal(pthread_create(&t, NULL, reader, path), 0);
    for (int i = 0; i < 60; i++) {
        memset(text, 'a' + i % 26, sizeof text);
        assert_true(file_write_all(path, text, sizeof text, NULL));
    }
    pthread_join(t, &result);
    assert_null(result);
}

static void the_seam_fails_at_every_byte(void **state)
{
    (void)state;
    char data[100000];
    memset(data, 'd', sizeof data);
    assert_true(file_write_all(at("f"), "old", 3, NULL));
    size_t live = mem_live();
    for (int64_t n = 0; n < (int64_t)sizeof data; n += n < 3 ? 1 : 9973) {
        Err err = {0};
        file_fail_after(n);
        assert_false(file_write_all(at("f"), data, sizeof data, &err));
        file_fail_after(-1);
        assert_int_equal(err.code, ERR_IO);
        assert_has(err.msg, dir);
        assert_has(err.msg, strerror(ENOSPC));
        holds(at("f"), "old");
        assert_int_equal(entries(), 1);
    }
    /* small enough to sit in the buffer: the failure comes at the commit */
    FileOut *f = fileout_open(at("f"), NULL);
    file_fail_after(2);
    assert_true(fileout_write(f, "new", 3, NULL));
    Err err = {0};
    assert_false(fileout_commit(f, &err));
    assert_int_equal(err.code, ERR_IO);
    file_fail_after(sizeof data);
    assert_true(file_write_all(at("g"), data, sizeof data, NULL));
    assert_false(file_write_all(at("g"), "x", 1, NULL));
    file_fail_after(-1);
    assert_true(file_write_all(at("f"), "new", 3, NULL));
    assert_int_equal(entries(), 2);
    assert_int_equal(mem_live(), live);
}

static void a_file_size_limit_is_an_error(void **state)
{
    (void)state;
    char data[300000];
    struct rlimit old, low;
    Err err = {0};
    memset(data, 'd', sizeof data);
    assert_true(file_write_all(at("f"), "old", 3, NULL));
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    low = old;
    low.rlim_cur = 100000;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &low), 0);
    bool ok = file_write_all(at("f"), data, sizeof data, &err);
    setrlimit(RLIMIT_FSIZE, &old);
    signal(SIGXFSZ, SIG_DFL);
    assert_false(ok);
    assert_int_equal(err.code, ERR_IO);
    assert_has(err.msg, strerror(EFBIG));
    holds(at("f"), "old");
    assert_int_equal(entries(), 1);
}

static void a_torn_append_is_taken_back(void **state)
{
    (void)state;
    Err err = {0};
    int fd = open(at("log"), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    assert_true(fd_append(fd, "one\n", 4, "log", NULL));
    file_fail_after(3);
    assert_false(fd_append(fd, "two two\n", 8, "log", &err));
    assert_has(err.msg, "cannot append to 'log'");
    file_fail_after(-1);
    holds(at("log"), "one\n");
    assert_true(fd_append(fd, "three\n", 6, "log", NULL));
    holds(at("log"), "one\nthree\n");
    close(fd);
    assert_false(fd_append(fd, "x", 1, "log", &err));
    assert_has(err.msg, strerror(EBADF));
    assert_true(fd_append(-1, "", 0, "log", NULL));
}

static void appends_from_two_processes_do_not_interleave(void **state)
{
    (void)state;
    enum { LINES = 300, WIDTH = 200 };
    pid_t child[2];
    for (int c = 0; c < 2; c++) {
        child[c] = fork();
        if (child[c] == 0) {
            char line[WIDTH];
            memset(line, 'a' + c, WIDTH - 1);
            line[WIDTH - 1] = '\n';
            int fd = open(at("log"), O_WRONLY | O_CREAT | O_APPEND, 0666);
            for (int i = 0; i < LINES; i++)
                if (!fd_append(fd, line, WIDTH, "log", NULL))
                    _exit(1);
            _exit(0);
        }
    }
    for (int c = 0; c < 2; c++) {
        int status = -1;
        waitpid(child[c], &status, 0);
        assert_int_equal(status, 0);
    }
    char *s;
    size_t n;
    assert_true(file_read_all(at("log"), 1 << 20, &s, &n, NULL));
    assert_int_equal(n, 2 * LINES * WIDTH);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(s[i], i % WIDTH == WIDTH - 1 ? '\n' : s[i / WIDTH * WIDTH]);
    mem_free(s);
}

static void links_modes_and_devices_survive(void **state)
{
    (void)state;
    struct stat st;
    assert_true(file_write_all(at("real"), "1", 1, NULL));
    assert_int_equal(chmod(at("real"), 0640), 0);
    assert_int_equal(symlink("real", at("link")), 0);
    assert_true(file_write_all(at("link"), "22", 2, NULL));
    assert_int_equal(lstat(at("link"), &st), 0);
    assert_true(S_ISLNK(st.st_mode));
    holds(at("real"), "22");
    assert_int_equal(stat(at("real"), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0640);
    assert_true(file_write_all("/dev/null", "x", 1, NULL));
    assert_int_equal(stat("/dev/null", &st), 0);
    assert_true(S_ISCHR(st.st_mode));
    assert_int_equal(entries(), 2);
}

static void a_full_device_is_reported(void **state)
{
    (void)state;
    Err err = {0};
    if (!file_exists("/dev/full"))
        skip();
    assert_false(file_write_all("/dev/full", "x", 1, &err));
    assert_has(err.msg, strerror(ENOSPC));
}

static void refusals_name_the_path(void **state)
{
    (void)state;
    Err err = {0};
    char *s = (char *)1, longer[6000];
    size_t n;
    assert_true(file_write_all(at("f"), "12345", 5, NULL));
    assert_false(file_read_all(at("f"), 4, &s, &n, &err));
    assert_has(err.msg, "more than the 4 bytes");
    assert_null(s);
    assert_false(file_read_all(at("none"), 4, &s, &n, &err));
    assert_has(err.msg, at("none"));
    assert_has(err.msg, strerror(ENOENT));
    assert_false(file_read_all(dir, 4, &s, &n, &err));
    assert_has(err.msg, "is a directory");
    assert_false(file_write_all(dir, "x", 1, &err));
    assert_has(err.msg, "is a directory");
    assert_false(file_write_all(at("none/f"), "x", 1, &err));
    assert_has(err.msg, strerror(ENOENT));
    memset(longer, 'x', sizeof longer);
    longer[5999] = '\0';
    assert_false(file_write_all(longer, "x", 1, &err));
    assert_has(err.msg, strerror(ENAMETOOLONG));
    assert_false(dir_make(longer, &err));
    assert_int_equal(err.code, ERR_IO);
}

static void reads_pipes_and_endless_files_within_the_limit(void **state)
{
    (void)state;
    int p[2];
    char name[32], *s;
    size_t n;
    Err err = {0};
    assert_int_equal(pipe(p), 0);
    assert_int_equal(write(p[1], "through a pipe", 14), 14);
    close(p[1]);
    snprintf(name, sizeof name, "/dev/fd/%d", p[0]);
    assert_ok(file_read_all(name, 100, &s, &n, &err), err);
    assert_string_equal(s, "through a pipe");
    mem_free(s);
    close(p[0]);
    assert_false(file_read_all("/dev/zero", 1000000, &s, &n, &err));
    assert_has(err.msg, "more than the 1000000 bytes");
    intr_raise();
    assert_false(file_read_all("/dev/zero", SIZE_MAX, &s, &n, &err));
    intr_clear();
    assert_int_equal(err.code, ERR_INTERRUPT);
}

static void folders_are_made_with_their_parents(void **state)
{
    (void)state;
    Err err = {0};
    assert_ok(dir_make(at("a/b//c/"), &err), err);
    assert_ok(dir_make(at("a/b/c"), &err), err);
    assert_true(file_is_dir(at("a/b/c")));
    assert_true(file_write_all(at("a/f"), "x", 1, NULL));
    assert_true(file_exists(at("a/f")));
    assert_false(file_is_dir(at("a/f")));
    assert_false(dir_make(at("a/f"), &err));
    assert_has(err.msg, "a/f");
    assert_has(err.msg, strerror(ENOTDIR));
    assert_false(dir_make(at("a/f/g"), &err));
    assert_false(dir_make("", &err));
    assert_true(dir_make("/", NULL));
    assert_true(dir_make(".", NULL));
}

static void paths_are_joined_or_refused(void **state)
{
    (void)state;
    char dst[8];
    Err err = {0};
    assert_true(path_join(dst, sizeof dst, "abc", "def", NULL));
    assert_string_equal(dst, "abc/def");
    assert_true(path_join(dst, sizeof dst, "/", "def", NULL));
    assert_string_equal(dst, "/def");
    assert_false(path_join(dst, sizeof dst, "abc", "defg", &err));
    assert_int_equal(err.code, ERR_IO);
    assert_has(err.msg, "'defg' in 'abc'");
}

static bool write_try(void *ctx, Err *err)
{
    return file_write_all(ctx, "some text", 9, err);
}

static bool read_try(void *ctx, Err *err)
{
    char *s;
    size_t n;
    if (!file_read_all(ctx, 1 << 20, &s, &n, err))
        return false;
    mem_free(s);
    return true;
}

static bool read_proc_try(void *ctx, Err *err)
{
    (void)ctx;
    char name[] = "/proc/self/maps"; /* its size is unknown: the buffer has to grow */
    return read_try(name, err);
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    char path[256];
    strcpy(path, at("f"));
    assert_in_range(fail_each_alloc(write_try, path), 1, 3);
    assert_in_range(fail_each_alloc(read_try, path), 1, 2);
    assert_in_range(fail_each_alloc(read_proc_try, NULL), 2, 10);
    assert_int_equal(entries(), 1);
}

#define IN_SCRATCH(f) cmocka_unit_test_setup_teardown(f, fresh, gone)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_SCRATCH(writes_and_reads_back_all_sizes),
        IN_SCRATCH(the_target_changes_only_at_commit),
        IN_SCRATCH(readers_never_see_half_a_file),
        IN_SCRATCH(the_seam_fails_at_every_byte),
        IN_SCRATCH(a_file_size_limit_is_an_error),
        IN_SCRATCH(a_torn_append_is_taken_back),
        IN_SCRATCH(appends_from_two_processes_do_not_interleave),
        IN_SCRATCH(links_modes_and_devices_survive),
        IN_SCRATCH(a_full_device_is_reported),
        IN_SCRATCH(refusals_name_the_path),
        IN_SCRATCH(reads_pipes_and_endless_files_within_the_limit),
        IN_SCRATCH(folders_are_made_with_their_parents),
        IN_SCRATCH(paths_are_joined_or_refused),
        IN_SCRATCH(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
