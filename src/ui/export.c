/* export.c -- the commands export and import. Both write a file whole or not at all and
 * replace one only when told to; exporting again over an own export is the common case
 * and needs --force too. */
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "kernel/export.h"
#include "ui/session.h"

static bool may_write(const char *path, bool force, Err *err)
{
    if (force || !file_exists(path))
        return true;
    return err_set(err, ERR_OPTION, "'%s' is there already; --force replaces it", path);
}

Exit command_export(const Operands *ops, const void *config)
{
    const ExportOptions *o = config;
    Notebook nb;
    Err err = {0};
    if (!o->output[0])
        return command_fail(EXIT_USAGE,
                            "export needs -o FILE; the suffix .ipynb, .md or "
                            ".html tells the format");
    if (!file_exists(ops->item[0]))
        return command_fail(EXIT_USAGE, "there is no notebook '%s'", ops->item[0]);
    if (!may_write(o->output, o->force, &err) ||
        !notebook_open(ops->item[0], &nb, &err))
        return command_fail(EXIT_USAGE, "%s", err.msg);
    bool ok = notebook_export(&nb, o->output, &err);
    notebook_close(&nb);
    if (ok)
        return EXIT_OK;
    return command_fail(err.code == ERR_OPTION ? EXIT_USAGE : EXIT_BROKEN, "%s",
                        err.msg);
}

static void lua_name(const char *path, char dst[OPT_STR_CAP + 8])
{
    size_t n = strlen(path);
    if (n > 6 && strcmp(path + n - 6, ".ipynb") == 0)
        n -= 6;
    snprintf(dst, OPT_STR_CAP + 8, "%.*s.lua", (int)(n < OPT_STR_CAP ? n : OPT_STR_CAP),
             path);
}

Exit command_import(const Operands *ops, const void *config)
{
    const ExportOptions *o = config;
    char *text, name[OPT_STR_CAP + 8];
    size_t n;
    Err err = {0};
    Str out;
    lua_name(ops->item[0], name);
    const char *path = o->output[0] ? o->output : name;
    if (!may_write(path, o->force, &err) ||
        !file_read_all(ops->item[0], IPYNB_MAX, &text, &n, &err))
        return command_fail(EXIT_USAGE, "%s", err.msg);
    str_init(&out);
    Document *d = ipynb_read(text, n, &err);
    mem_free(text);
    if (!d)
        err_prefix(&err, "'%s'", ops->item[0]);
    bool ok =
        d && document_save(d, &out, &err) && file_write_all(path, out.s, out.len, &err);
    document_free(d);
    str_done(&out);
    if (!ok)
        return command_fail(EXIT_BROKEN, "%s", err.msg);
    command_say("%s", path);
    return EXIT_OK;
}
