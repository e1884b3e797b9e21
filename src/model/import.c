/* import.c -- networks trained elsewhere. The network is made first, with its own
 * draws, and every parameter is then overwritten: so its names and shapes are those of
 * its row, and a tensor that does not fit is found by comparing with what is already
 * there. */
#include <stdio.h>
#include <string.h>

#include "model/custom.h"

/* Where the parameter `name` comes from; fills *transpose. */
static const char *source_of(const ImportCfg *cfg, const char *name, bool *transpose)
{
    *transpose = false;
    for (int i = 0; i < cfg->n_map; i++)
        if (strcmp(cfg->map[i].param, name) == 0) {
            *transpose = cfg->map[i].transpose;
            return cfg->map[i].source;
        }
    return name;
}

/* The names of the source, as far as they fit into a sentence. */
static const char *list_names(const TensorSet *s, char *dst, size_t cap)
{
    size_t used = 0;
    char shown[SHOWN_CAP];
    dst[0] = '\0';
    for (int i = 0; i < tset_count(s) && used + SHOWN_CAP + 8 < cap; i++)
        used += (size_t)snprintf(dst + used, cap - used, "%s%s", i ? ", " : "",
                                 text_shown(tset_name(s, i), shown));
    return dst;
}

static bool take_one(const ImportCfg *cfg, const TensorSet *from, const char *name,
                     Tensor *param, Err *err)
{
    bool transpose;
    const char *source = source_of(cfg, name, &transpose);
    const Tensor *t = tset_get(from, source);
    char list[500], is[96], must[96];
    if (!t)
        return err_set(
            err, ERR_FORMAT,
            "the parameter '%s' must be %s, but there is no tensor '%.100s'; "
            "there are: %s",
            name, tensor_format_shape(param, must), source,
            list_names(from, list, sizeof list));
    Tensor view = *t; /* borrowed */
    if (transpose && t->ndim == 2) {
        view.dim[0] = t->dim[1], view.dim[1] = t->dim[0];
        view.stride[0] = t->stride[1], view.stride[1] = t->stride[0];
    }
    if (!tensor_same_shape(&view, param))
        return err_set(err, ERR_SHAPE,
                       "the parameter '%s' must be %s, but '%.100s' is %s%s", name,
                       tensor_format_shape(param, must), source,
                       tensor_format_shape(&view, is), transpose ? " transposed" : "");
    if (!tensor_copy_into(&view, param, err))
        return false;
    return tensor_finite(param) ||
           err_set(err, ERR_NUMERIC, "'%.100s' holds NaN or infinity", source);
}

/* A pattern is a name, or the beginning of names and a star. */
static bool matches(const char *pattern, const char *name)
{
    size_t n = strlen(pattern);
    return n && pattern[n - 1] == '*' ? strncmp(pattern, name, n - 1) == 0
                                      : strcmp(pattern, name) == 0;
}

static bool is_used(const ImportCfg *cfg, const Model *m, const char *source)
{
    bool transpose;
    for (int i = 0; i < tset_count(m->params); i++)
        if (strcmp(source_of(cfg, tset_name(m->params, i), &transpose), source) == 0)
            return true;
    for (int i = 0; i < cfg->n_ignore; i++)
        if (matches(cfg->ignore[i], source))
            return true;
    return false;
}

/* A tensor that no parameter takes is a sign of another network. */
static bool nothing_left(const ImportCfg *cfg, const Model *m, const TensorSet *from,
                         Err *err)
{
    char shown[SHOWN_CAP];
    for (int i = 0; i < tset_count(from); i++)
        if (!is_used(cfg, m, tset_name(from, i)))
            return err_set(err, ERR_FORMAT,
                           "the tensor '%s' is no parameter of %s; map it, or list it "
                           "in ignore",
                           text_shown(tset_name(from, i), shown), m->row->name);
    return true;
}

static bool names_exist(const ImportCfg *cfg, const Model *m, Err *err)
{
    char list[500];
    for (int i = 0; i < cfg->n_map; i++)
        if (!tset_get(m->params, cfg->map[i].param))
            return err_set(err, ERR_OPTION,
                           "map: %s has no parameter '%.100s'; it has: %s",
                           m->row->name, cfg->map[i].param,
                           list_names(m->params, list, sizeof list));
    return true;
}

bool model_import(Model *m, const TensorSet *from, const ImportCfg *cfg, Err *err)
{
    if (!names_exist(cfg, m, err) || !nothing_left(cfg, m, from, err))
        return false;
    for (int i = 0; i < tset_count(m->params); i++) {
        Tensor param = *tset_at(m->params, i); /* borrowed */
        if (!take_one(cfg, from, tset_name(m->params, i), &param, err))
            return false;
    }
    return true;
}
