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
#include "figure/clean.h"
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
    static const char *const call[] = {"cl", ".", "config"};
    Lex l;
    size_t from = 0, seen = 0;
    int depth = 0;
    lex_start(&l, text, n);
    while (seen < ARRAY_LEN(call) && lex_next_code(&l))
        seen = lex_is(&l, call[seen]) ? seen + 1 : lex_is(&l, call[0]);
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

/* The text of a script, harmless to a terminal; str_done() in any case. */
static bool read_script(const char *path, Str *text, Err *err)
{
    char *raw;
    size_t n;
    str_init(text);
    if (!file_read_all(path, SCRIPT_MAX, &raw, &n, err))
        return false;
    clean_text(raw, n, text);
    str_addc(text, '\n');
    mem_free(raw);
    return str_ok(text, err);
}

bool scripts_help(const char *name, Str *out, Err *err)
{
    char path[PATH_MAX];
    Str text;
    if (!scripts_find(name, path, sizeof path))
        return err_set(err, ERR_OPTION, "there is no script '%s'", name);
    bool ok = read_script(path, &text, err);
    if (ok) {
        str_addf(out, "usage: cleave run %s [name=value ...]\n\n", path);
        add_comment(text.s, MOST, "", out);
        add_settings(text.s, text.len, out);
    }
    str_done(&text);
    return ok && str_ok(out, err);
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
    char dir[PATH_MAX], path[PATH_MAX], *name[MOST];
    size_t n;
    if (!scripts_file("scripts/tour.lua", dir, sizeof dir))
        return;
    *strrchr(dir, '/') = '\0';
    n = list_names(dir, name);
    shorten(dir, sizeof dir);
    if (n > 0)
        str_addf(out, "scripts in %s; cleave help NAME tells about one\n", dir);
    for (size_t i = 0; i < n; i++) {
        Str text;
        str_init(&text);
        if (path_join(path, sizeof path, dir, name[i], NULL) &&
            read_script(path, &text, NULL)) {
            str_addf(out, "  %.*s\n", (int)strlen(name[i]) - 4, name[i]);
            add_comment(text.s, 1, "    ", out);
        }
        str_done(&text);
        mem_free(name[i]);
    }
}
