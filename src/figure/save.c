/* save.c -- a figure into a file by its suffix. A document refers to its picture by the
 * bare file name, since both stand in one folder. */
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "figure/figure.h"

typedef bool WriteFn(const Figure *f, const char *path, Err *err);

static bool write_text(const Str *t, const char *path, bool made, Err *err)
{
    return made && file_write_all(path, t->s, t->len, err);
}

static bool save_csv(const Figure *f, const char *path, Err *err)
{
    Str t;
    str_init(&t);
    bool ok = write_text(&t, path, figure_csv(f, &t, err), err);
    str_done(&t);
    return ok;
}

/* path with another suffix; its bare name in *name. */
static bool beside(const char *path, const char *suffix, char dst[PATH_MAX],
                   const char **name, Err *err)
{
    size_t n = strlen(path) - strlen(strrchr(path, '.'));
    if (n + strlen(suffix) >= PATH_MAX)
        return err_set(err, ERR_IO, "the path '%.60s...' is too long", path);
    memcpy(dst, path, n);
    strcpy(dst + n, suffix);
    const char *slash = strrchr(dst, '/');
    *name = slash ? slash + 1 : dst;
    return true;
}

static bool save_markdown(const Figure *f, const char *path, Err *err)
{
    char picture[PATH_MAX];
    const char *name = NULL;
    Str t;
    if (!beside(path, ".png", picture, &name, err) ||
        (figure_is_picture(f) && !figure_png(f, picture, err)))
        return false;
    str_init(&t);
    bool ok = write_text(&t, path, figure_markdown(f, name, &t, err), err);
    str_done(&t);
    return ok;
}

static bool save_latex(const Figure *f, const char *path, Err *err)
{
    char picture[PATH_MAX];
    const char *name = NULL;
    Str t;
    if (!beside(path, ".pdf", picture, &name, err) ||
        (figure_is_picture(f) && !figure_pdf(f, picture, err)))
        return false;
    str_init(&t);
    bool ok = write_text(&t, path, figure_latex(f, name, &t, err), err);
    str_done(&t);
    return ok;
}

static const struct {
    const char *suffix;
    WriteFn *write;
} formats[] = {
    {".png", figure_png   },
    {".svg", figure_svg   },
    {".pdf", figure_pdf   },
    {".csv", save_csv     },
    {".md",  save_markdown},
    {".tex", save_latex   },
};

bool figure_is_picture(const Figure *f)
{
    return f->kind != FIG_TABLE && f->kind != FIG_TEXT;
}

bool figure_save(const Figure *f, const char *path, Err *err)
{
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    const char *dot = strrchr(name, '.');
    for (size_t i = 0; dot && dot > name && i < ARRAY_LEN(formats); i++)
        if (strcmp(dot, formats[i].suffix) == 0)
            return formats[i].write(f, path, err);
    return err_set(err, ERR_OPTION,
                   "a figure cannot be saved as '%s': the name must end in .png, .svg, "
                   ".pdf, .csv, .md or .tex",
                   name);
}
