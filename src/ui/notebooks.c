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
#include "ui/scripts.h"

static const char first_notebook[] = "notebook.lua";

bool notebook_tour(char *dst, size_t cap, Err *err)
{
    return scripts_file("scripts/tour.lua", dst, cap) ||
           err_set(err, ERR_IO,
                   "the tour was not found beside the program (../scripts, "
                   "../share/cleave/scripts)");
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
