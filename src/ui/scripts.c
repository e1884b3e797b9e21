/* scripts.c -- the text is read, nothing is run: the comment up to the first line that is
 * none, and the braces behind cl.config as Lua's own tokens. */
#include "ui/scripts.h"

#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "script/lualex.h"

enum { SCRIPT_MAX = 16 << 20, MOST = 200 };

bool scripts_file(const char *name, char dst[], size_t cap)
{
    static const char *const beside[] = {"..", "../..", "../share/cleave"};
    char exe[PATH_MAX], path[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", exe, sizeof exe - 1);
    exe[n > 0 ? n : 0] = '\0';
    char *slash = strrchr(exe, '/');
    if (slash)
        *slash = '\0';
    for (size_t i = 0; slash && i < ARRAY_LEN(beside); i++) {
        if (path_join(path, sizeof path, exe, beside[i], NULL) &&
            path_join(dst, cap, path, name, NULL) &&
            file_exists(dst))
            return true;
    }
    const char *data = getenv("CLEAVE_DATA"); /* of a source tree */
    return data && path_join(path, sizeof path, data, "..", NULL) &&
           path_join(dst, cap, path, name, NULL) && file_exists(dst);
}

static void shorten(char path[], size_t cap)
{
    char cwd[PATH_MAX], real[PATH_MAX];
    if (!realpath(path, real))
        return;
    size_t n = getcwd(cwd, sizeof cwd) ? strlen(cwd) : 0;
    bool below = n > 1 && strncmp(real, cwd, n) == 0 && real[n] == '/';
    text_copy(path, cap, below ? real + n + 1 : real);
}

static bool ends_in_lua(const char *s)
{
    size_t n = strlen(s);
    return n > 4 && strcmp(s + n - 4, ".lua") == 0;
}

bool scripts_find(const char *name, char dst[], size_t cap)
{
    char bundled[300];
    const char *base = strrchr(name, '/');
    base = base ? base + 1 : name;
    if (ends_in_lua(name) && file_exists(name))
        return text_copy(dst, cap, name);
    snprintf(bundled, sizeof bundled, "scripts/%.250s%s", base,
             ends_in_lua(base) ? "" : ".lua");
    if (!scripts_file(bundled, dst, cap))
        return false;
    shorten(dst, cap);
    return true;
}

/* --- what a script says of itself ------------------------------------------------- */

/* The opening comment without its dashes; `most` lines of it. */
static void add_comment(const char *text, int most, const char *indent, Str *out)
{
    for (int i = 0; i < most && strncmp(text, "--", 2) == 0; i++) {
        size_t n = strcspn(text, "\n"), skip = strspn(text, "-");
        skip += skip < n && text[skip] == ' ';
        if (strncmp(text, "-- %%", 5) != 0)
            str_addf(out, "%s%.*s\n", indent, (int)(n - skip), text + skip);
        text += n + (text[n] == '\n');
    }
}

/* The table behind cl.config, as it is written. */
static void add_settings(const char *text, size_t n, Str *out)
{
    Lex l;
    const char *call = strstr(text, "cl.config");
    size_t from = 0;
    int depth = 0;
    if (!call)
        return;
    lex_start(&l, text, n);
    l.pos = (size_t)(call - text);
    while (lex_next_code(&l)) {
        if (lex_is(&l, "{") && depth++ == 0)
            from = l.to;
        if (lex_is(&l, "}") && --depth == 0)
            break;
    }
    if (depth != 0 || l.to <= from)
        return;
    str_add(out, "\nsettings, given as name=value:\n");
    const char *s = text + from, *end = text + l.from;
    while (s < end) {
        const char *nl = memchr(s, '\n', (size_t)(end - s));
        size_t len = (size_t)((nl ? nl : end) - s);
        if (strspn(s, " ") < len)
            str_addf(out, "%s%.*s\n", *s == ' ' ? "" : "  ", (int)len, s);
        s += len + 1;
    }
}

bool scripts_help(const char *name, Str *out, Err *err)
{
    char path[PATH_MAX], *text;
    size_t n;
    if (!scripts_find(name, path, sizeof path))
        return err_set(err, ERR_OPTION, "there is no script '%s'", name);
    if (!file_read_all(path, SCRIPT_MAX, &text, &n, err))
        return false;
    str_addf(out, "usage: cleave run %s [name=value ...]\n\n", path);
    add_comment(text, MOST, "", out);
    add_settings(text, n, out);
    mem_free(text);
    return str_ok(out, err);
}

/* --- all of them ------------------------------------------------------------------ */

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static size_t list_names(const char *dir, char *name[MOST])
{
    size_t n = 0;
    DIR *d = opendir(dir);
    for (struct dirent *e; d && n < MOST && (e = readdir(d));) {
        char *copy = ends_in_lua(e->d_name) ? mem_strdup(e->d_name, NULL) : NULL;
        if (copy)
            name[n++] = copy;
    }
    if (d)
        closedir(d);
    qsort(name, n, sizeof *name, by_name);
    return n;
}

void scripts_list(Str *out)
{
    char dir[PATH_MAX], path[PATH_MAX], *name[MOST], *text;
    size_t n, size;
    if (!scripts_file("scripts/tour.lua", dir, sizeof dir))
        return;
    *strrchr(dir, '/') = '\0';
    n = list_names(dir, name);
    shorten(dir, sizeof dir);
    if (n > 0)
        str_addf(out, "scripts in %s; cleave help NAME tells about one\n", dir);
    for (size_t i = 0; i < n; i++) {
        if (path_join(path, sizeof path, dir, name[i], NULL) &&
            file_read_all(path, SCRIPT_MAX, &text, &size, NULL)) {
            str_addf(out, "  %.*s\n", (int)strlen(name[i]) - 4, name[i]);
            add_comment(text, 1, "    ", out);
            mem_free(text);
        }
        mem_free(name[i]);
    }
}
