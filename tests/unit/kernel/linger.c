/* Whether a process outlives a logout, on machines made of a few files. */
#include "support.h"

#include <sys/stat.h>

#include "base/file.h"
#include "kernel/linger.h"

static const char session[] = "0::/user.slice/user-1000.slice/session-3.scope\n";
static const char manager[] =
    "0::/user.slice/user-1000.slice/user@1000.service/tmux.scope\n";
static const char service[] = "0::/system.slice/ssh.service\n";
static char root[64], why[300];

static void put(const char *path, const char *text)
{
    char full[256], dir[256];
    Err err = {0};
    snprintf(full, sizeof full, "%s/%s", root, path);
    snprintf(dir, sizeof dir, "%.*s", (int)(strrchr(full, '/') - full), full);
    assert_ok(dir_make(dir, &err), err);
    assert_ok(file_write_all(full, text, strlen(text), &err), err);
}

static bool outlives(const char *cgroup, const char *user)
{
    why[0] = '\0';
    bool ok = linger_outlives(root, cgroup, user, why, sizeof why);
    assert_int_equal(ok, why[0] == '\0');
    return ok;
}

static void logout(void **state)
{
    (void)state;
    Err err = {0};
    char dir[256];
    scratch_make(root);
    assert_true(outlives(session, "ann")); /* not that init */
    snprintf(dir, sizeof dir, "%s/run/systemd/system", root);
    assert_ok(dir_make(dir, &err), err);
    assert_true(outlives(session, "ann"));
    assert_true(outlives(service, "ann"));
    assert_false(outlives(manager, "ann"));
    assert_has(why, "enable-linger");
    /* the default that was compiled in is a comment */
    put("etc/systemd/logind.conf", "[Login]\n#KillUserProcesses=no\n#KillOnlyUsers=\n");
    assert_true(outlives(session, "ann"));
    put("etc/systemd/logind.conf",
        "[Login]\n#KillUserProcesses=yes\n#KillExcludeUsers=root\n");
    assert_false(outlives(session, "ann"));
    assert_has(why, "KillUserProcesses");
    assert_has(why, "enable-linger");
    assert_true(outlives(session, "root"));
    assert_true(outlives(service, "ann"));
    /* drop-ins in the order of their names, whatever their folder */
    put("etc/systemd/logind.conf.d/10-no.conf", "[Login]\nKillUserProcesses = no \n");
    assert_true(outlives(session, "ann"));
    put("usr/lib/systemd/logind.conf.d/50-yes.conf", "KillUserProcesses=true\n");
    assert_false(outlives(session, "ann"));
    put("run/systemd/logind.conf.d/60.conf", "KillExcludeUsers=joann ann\n");
    assert_true(outlives(session, "ann"));
    assert_false(outlives(session, "jo"));
    put("run/systemd/logind.conf.d/70.conf", "KillOnlyUsers=bob\n#KillOnlyUsers=jo\n");
    assert_true(outlives(session, "jo"));
    assert_false(outlives(session, "bob"));
    put("var/lib/systemd/linger/bob", "");
    assert_true(outlives(manager, "bob"));
    assert_false(outlives(session, "bob"));
    assert_null(strstr(why, "enable-linger"));
    assert_has(why, "systemd-run");
    scratch_remove(root);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(logout)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
