/* linger.c -- files are read, no service is asked: this runs while somebody waits for
 * the prompt. logind reads its main file, then the drop-ins of three folders in the
 * order of their names; a commented line in the main file states the default that was
 * compiled in. */
#include "kernel/linger.h"

#include <dirent.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/str.h"

enum { CONF_MAX = 1 << 20, DROP_INS = 64 };

typedef struct Logind {
    bool kill;
    char only[512], exclude[512]; /* users */
} Logind;

/* The value behind "name=" in a line, without blanks around it; NULL: another line. */
static const char *setting(char *line, const char *name)
{
    size_t n = strlen(name);
    if (strncmp(line, name, n) != 0)
        return NULL;
    char *v = line + n + strspn(line + n, " \t");
    if (*v != '=')
        return NULL;
    v += 1 + strspn(v + 1, " \t");
    for (size_t end = strlen(v); end > 0 && strchr(" \t\r", v[end - 1]);)
        v[--end] = '\0';
    return v;
}

static bool is_yes(const char *v)
{
    return strcmp(v, "yes") == 0 || strcmp(v, "true") == 0 || strcmp(v, "on") == 0 ||
           strcmp(v, "1") == 0;
}

static void read_conf(Logind *l, const char *path, bool defaults)
{
    char *text, *save = NULL;
    size_t n;
    if (!file_read_all(path, CONF_MAX, &text, &n, NULL))
        return;
    for (char *line = strtok_r(text, "\n", &save); line;
         line = strtok_r(NULL, "\n", &save)) {
        const char *v;
        line += strspn(line, " \t");
        if (defaults && *line == '#')
            line++;
        if ((v = setting(line, "KillUserProcesses")))
            l->kill = is_yes(v);
        else if ((v = setting(line, "KillOnlyUsers")))
            text_copy(l->only, sizeof l->only, v);
        else if ((v = setting(line, "KillExcludeUsers")))
            text_copy(l->exclude, sizeof l->exclude, v);
    }
    mem_free(text);
}

static int by_base_name(const void *a, const void *b)
{
    const char *const *x = a, *const *y = b;
    return strcmp(strrchr(*x, '/'), strrchr(*y, '/'));
}

static void read_drop_ins(Logind *l, const char *root)
{
    static const char *const dirs[] = {"usr/lib", "run", "etc"};
    char dir[PATH_MAX], path[PATH_MAX], *found[DROP_INS];
    int n = 0;
    for (size_t i = 0; i < ARRAY_LEN(dirs); i++) {
        snprintf(dir, sizeof dir, "%s/%s/systemd/logind.conf.d", root, dirs[i]);
        DIR *d = opendir(dir);
        for (struct dirent *e; d && n < DROP_INS && (e = readdir(d));) {
            size_t len = strlen(e->d_name);
            if (len > 5 && strcmp(e->d_name + len - 5, ".conf") == 0 &&
                path_join(path, sizeof path, dir, e->d_name, NULL) &&
                (found[n] = mem_strdup(path, NULL)))
                n++;
        }
        if (d)
            closedir(d);
    }
    qsort(found, (size_t)n, sizeof *found, by_base_name);
    for (int i = 0; i < n; i++) {
        read_conf(l, found[i], false);
        mem_free(found[i]);
    }
}

static bool lists(const char *users, const char *user)
{
    size_t n = strlen(user);
    for (const char *s = users; (s = strstr(s, user)); s += n) {
        bool starts = s == users || s[-1] == ' ' || s[-1] == '\t';
        if (starts && (!s[n] || s[n] == ' ' || s[n] == '\t'))
            return true;
    }
    return false;
}

static bool there(const char *root, const char *path, const char *name)
{
    char full[PATH_MAX];
    snprintf(full, sizeof full, "%s%s%s", root, path, name);
    return access(full, F_OK) == 0;
}

bool linger_outlives(const char *root, const char *cgroup, const char *user, char *why,
                     size_t cap)
{
    Logind l = {.exclude = "root"};
    char path[PATH_MAX];
    if (!there(root, "/run/systemd/", "system"))
        return true;
    bool manager = strstr(cgroup, "/user@") != NULL;
    bool lingers = there(root, "/var/lib/systemd/linger/", user);
    if (manager && !lingers) {
        snprintf(why, cap,
                 "it ends with your last login: 'loginctl enable-linger' keeps it");
        return false;
    }
    if (manager || !strstr(cgroup, "/session-"))
        return true;
    snprintf(path, sizeof path, "%s/usr/lib/systemd/logind.conf", root);
    read_conf(&l, path, true);
    snprintf(path, sizeof path, "%s/etc/systemd/logind.conf", root);
    read_conf(&l, path, true);
    read_drop_ins(&l, root);
    if (!l.kill || lists(l.exclude, user) || (l.only[0] && !lists(l.only, user)))
        return true;
    snprintf(why, cap,
             "it ends when you log out (KillUserProcesses is on): %s"
             "'systemd-run --user --scope cleave FILE' starts one that stays",
             lingers ? "" : "'loginctl enable-linger' and ");
    return false;
}

bool linger_process(long pid, char *why, size_t cap)
{
    char path[64], *cgroup;
    size_t n;
    struct passwd *pw = getpwuid(geteuid());
    snprintf(path, sizeof path, "/proc/%ld/cgroup", pid);
    if (!pw || !file_read_all(path, CONF_MAX, &cgroup, &n, NULL))
        return true;
    bool ok = linger_outlives("", cgroup, pw->pw_name, why, cap);
    mem_free(cgroup);
    return ok;
}
