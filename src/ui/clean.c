/* clean.c -- the command clean: each notebook in turn, what went and how much it was. */
#include "kernel/clean.h"

#include <stdio.h>

#include "ui/session.h"

static void add_part(Str *t, int n, const char *one, const char *many)
{
    if (n > 0)
        str_addf(t, "%s%d %s", t->len ? ", " : "", n, n == 1 ? one : many);
}

Exit command_clean(const Operands *ops, const void *config)
{
    const CleanOptions *o = config;
    for (int i = 0; i < ops->n; i++) {
        Cleaned c;
        Err err = {0};
        Str t;
        if (!session_clean(ops->item[i], o->count, &c, &err))
            return command_fail(err.code == ERR_STATE || err.code == ERR_OPTION
                                    ? EXIT_USAGE
                                    : EXIT_BROKEN,
                                "%s", err.msg);
        str_init(&t);
        add_part(&t, c.figures, "file of a figure", "files of figures");
        add_part(&t, c.journals, "old journal", "old journals");
        add_part(&t, c.texts, "text", "texts");
        if (t.len > 0)
            command_say("%s: %s%s, %.1f MB", ops->item[i],
                        o->count ? "would take away " : "took away ", t.s,
                        (double)c.bytes / 1e6);
        else
            command_say("%s: everything there is shown by a cell", ops->item[i]);
        str_done(&t);
    }
    return EXIT_OK;
}
