/* notebooks.c -- a notebook of this folder that had a session has a folder of its name
 * in .cleave; the one whose journal changed last was the last one. */
#include "ui/notebooks.h"

#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/str.h"

static const char first_notebook[] = "notebook.lua";

bool notebook_tour(char *dst, size_t cap, Err *err)
{
    static const char *const beside[] = {"../scripts/tour.lua",
                                         "../../scripts/tour.lua",
                                         "../share/cleave/scripts/tour.lua"};
    char exe[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", exe, sizeof exe - 1);
    exe[n > 0 ? n : 0] = '\0';
    char *slash = strrchr(exe, '/');
    if (slash)
        *slash = '\0';
    for (size_t i = 0; slash && i < ARRAY_LEN(beside); i++) {
        if (path_join(dst, cap, exe, beside[i], NULL) && file_exists(dst))
            return true;
    }
    const char *data = getenv("CLEAVE_DATA"); /* of a source tree */
    if (data && path_join(dst, cap, data, "../scripts/tour.lua", NULL) &&
        file_exists(dst))
        return true;
    return err_set(err, ERR_IO,
                   "the tour was not found beside '%s' (../scripts, "
                   "../share/cleave/scripts)",
                   exe);
}

static bool last_here(char *dst, size_t cap)
{
    time_t newest = 0;
    struct dirent *e;
    DIR *d = opendir(".cleave");
    while (d && (e = readdir(d))) {
        char path[PATH_MAX];
        struct stat st;
        size_t n = strlen(e->d_name);
        if (n < 5 || strcmp(e->d_name + n - 4, ".lua") != 0 || !file_exists(e->d_name))
            continue;
        snprintf(path, sizeof path, ".cleave/%s/events.jsonl", e->d_name);
        if (stat(path, &st) == 0 && st.st_mtime >= newest) {
            newest = st.st_mtime;
            text_copy(dst, cap, e->d_name);
        }
    }
    if (d)
        closedir(d);
    return newest > 0;
}

void notebook_here(char *dst, size_t cap)
{
    if (last_here(dst, cap))
        return;
    if (file_exists(first_notebook) || !notebook_tour(dst, cap, NULL))
        text_copy(dst, cap, first_notebook);
}
