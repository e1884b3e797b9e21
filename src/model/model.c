/* model.c -- what all networks share: parameters, their draws, and files.
 * Reading a file runs the same row->init as making a network, with `from` set:
 * model_add_*() then takes the tensor of that name from the file, after checking its
 * shape, instead of drawing. So a file can never ask for memory that it does not itself
 * hold. */
#include "model/model.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "model/rows.h"
#include "tensor/rng.h"

static const ModelRow *const rows[] = {&model_bilinear, &model_mlp, &model_cnn,
                                       &model_resid, &model_tms};

int model_row_count(void)
{
    return (int)ARRAY_LEN(rows);
}

const ModelRow *model_row_at(int i)
{
    return rows[i];
}

const ModelRow *model_row(const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (strcmp(rows[i]->name, name) == 0)
            return rows[i];
    return NULL;
}

/* ---- making ---------------------------------------------------------------------- */

void model_free(Model *m)
{
    if (!m)
        return;
    tset_free(m->params);
    mem_free(m->config);
    mem_free(m);
}

/* A model without parameters; config NULL: defaults. */
static Model *bare(const ModelRow *row, const void *config, Err *err)
{
    Model *m = mem_zalloc(sizeof *m, err);
    if (!m)
        return NULL;
    m->row = row;
    m->config = mem_zalloc(row->config_size, err);
    m->params = m->config ? tset_new(err) : NULL;
    bool ok = m->params != NULL;
    if (ok && config)
        memcpy(m->config, config, row->config_size);
    else if (ok)
        ok = opt_defaults(row->options, row->n_options, m->config, err);
    if (ok)
        return m;
    model_free(m);
    return NULL;
}

Model *model_new(const ModelRow *row, const void *config, Err *err)
{
    Model *m = bare(row, config, err);
    if (m && row->init(m, err))
        return m;
    if (m)
        err_prefix(err, "%s", row->name);
    model_free(m);
    return NULL;
}

/* ---- parameters ------------------------------------------------------------------ */

static bool take(Model *m, const char *name, const Tensor *want, Err *err)
{
    const Tensor *t = tset_get(m->from, name);
    char is[96], must[96];
    if (!t)
        return err_set(err, ERR_FORMAT, "the parameter '%s' is missing; it must be %s",
                       name, tensor_format_shape(want, must));
    if (t->dtype != F32 || !tensor_same_shape(t, want))
        return err_set(err, ERR_FORMAT, "the parameter '%s' is %s; it must be %s", name,
                       tensor_format_shape(t, is), tensor_format_shape(want, must));
    if (!tensor_contiguous(t))
        return err_set(err, ERR_FORMAT, "the parameter '%s' is a strided view", name);
    if (!tensor_finite(t))
        return err_set(err, ERR_FORMAT, "the parameter '%s' holds NaN or infinity",
                       name);
    return tset_add(m->params, name, t, err);
}

typedef enum Draw { DRAW_NORMAL, DRAW_UNIFORM, DRAW_ZERO } Draw;

/* A new parameter; scale is the standard deviation or the bound. */
static bool add(Model *m, const char *name, int ndim, const int64_t *dim, Draw draw,
                double scale, uint64_t seed, Err *err)
{
    Tensor t = tensor_wrap(F32, ndim, dim, NULL);
    char stream[128];
    if (m->from)
        return take(m, name, &t, err);
    if (snprintf(stream, sizeof stream, "init.%s", name) >= (int)sizeof stream)
        return err_set(err, ERR_OPTION, "the parameter name '%.60s...' is too long",
                       name);
    if (!tensor_zeros(F32, ndim, dim, &t, err))
        return err_prefix(err, "parameter '%s'", name);
    RngKey key = {.seed = seed, .stream = rng_stream(stream)};
    if (draw == DRAW_NORMAL)
        rng_normal_f32(key, 0, tensor_count(&t), 0, (float)scale, t.data);
    else if (draw == DRAW_UNIFORM)
        rng_uniform_f32(key, 0, tensor_count(&t), (float)-scale, (float)scale, t.data);
    bool ok = tset_add(m->params, name, &t, err);
    tensor_release(&t);
    return ok;
}

bool model_add_normal(Model *m, const char *name, int ndim, const int64_t *dim,
                      double std, uint64_t seed, Err *err)
{
    return add(m, name, ndim, dim, DRAW_NORMAL, std, seed, err);
}

bool model_add_uniform(Model *m, const char *name, int ndim, const int64_t *dim,
                       double bound, uint64_t seed, Err *err)
{
    return add(m, name, ndim, dim, DRAW_UNIFORM, bound, seed, err);
}

bool model_add_zeros(Model *m, const char *name, int ndim, const int64_t *dim, Err *err)
{
    return add(m, name, ndim, dim, DRAW_ZERO, 0, 0, err);
}

typedef struct Init {
    const char *name;
    Draw weight, bias;
    double gain; /* scale = gain / sqrt(fan); fan 0: gain itself */
    int in, out; /* fan = in * fan_in + out * fan_out */
} Init;

static const Init inits[] = {
    {"pytorch", DRAW_UNIFORM, DRAW_UNIFORM, 1, 1, 0},
    {"normal", DRAW_NORMAL, DRAW_ZERO, 1, 1, 0},
    {"he", DRAW_NORMAL, DRAW_ZERO, M_SQRT2, 1, 0},
    {"xavier", DRAW_UNIFORM, DRAW_ZERO, 2.4494897427831779 /* sqrt 6 */, 1, 1},
    {"small", DRAW_NORMAL, DRAW_ZERO, 0.02, 0, 0},
};

bool model_add_weights(Model *m, const char *name, int ndim, const int64_t *dim,
                       bool bias, const char *init, uint64_t seed, Err *err)
{
    char full[96];
    const Init *how = NULL;
    int64_t taps = 1;
    for (size_t i = 0; i < ARRAY_LEN(inits); i++)
        if (strcmp(inits[i].name, init) == 0)
            how = &inits[i];
    if (!how)
        return err_set(err, ERR_OPTION, "'init' cannot be '%s'; choices: %s", init,
                       MODEL_INITS);
    for (int k = 2; k < ndim; k++)
        taps *= dim[k];
    double fan = (double)(taps * (how->in * dim[1] + how->out * dim[0]));
    double scale = how->gain / (fan > 0 ? sqrt(fan) : 1);
    snprintf(full, sizeof full, "%s.weight", name);
    if (!add(m, full, ndim, dim, how->weight, scale, seed, err))
        return false;
    snprintf(full, sizeof full, "%s.bias", name);
    return !bias || add(m, full, 1, dim, how->bias, scale, seed, err);
}

bool model_add_linear(Model *m, const char *name, int64_t out, int64_t in, bool bias,
                      const char *init, uint64_t seed, Err *err)
{
    return model_add_weights(m, name, 2, (int64_t[]){out, in}, bias, init, seed, err);
}

Val model_param(Model *m, Graph *g, const char *name)
{
    const Tensor *t = tset_get(m->params, name);
    if (!t)
        return graph_fail(g, ERR_STATE, "%s has no parameter called '%s'", m->row->name,
                          name);
    return graph_state(g, name, t);
}

Val model_forward(Model *m, Graph *g, Val x)
{
    Spec s = graph_spec(g, x);
    char is[96];
    if (!graph_ok(g))
        return VAL_NONE;
    if (s.ndim != 2 || s.dim[1] != model_in(m))
        return graph_fail(g, ERR_SHAPE, "%s takes inputs [B,%" PRId64 "], not %s",
                          m->row->name, model_in(m),
                          shape_format(s.dtype, s.ndim, s.dim, is));
    return m->row->forward(m, g, x);
}

static int64_t size_option(const Model *m, const char *name)
{
    OptValue v = {0};
    opt_get(m->row->options, m->row->n_options, m->config, name, &v);
    return v.i;
}

int64_t model_in(const Model *m)
{
    return size_option(m, "input");
}

int64_t model_out(const Model *m)
{
    return size_option(m, "classes");
}

void model_conv_steps(const Model *m, int64_t *stride, int64_t *pad, int64_t *dilation)
{
    OptValue v;
    bool conv = opt_get(m->row->options, m->row->n_options, m->config, "kernel", &v);
    *stride = conv ? size_option(m, "stride") : 1;
    *dilation = conv ? size_option(m, "dilation") : 1;
    *pad = conv ? size_option(m, "pad") : 0;
    if (*pad < 0)
        *pad = *dilation * (v.i - 1) / 2;
}

/* ---- files ----------------------------------------------------------------------- */

bool model_describe(const Model *m, TensorSet *file, Err *err)
{
    bool ok = tset_add_meta(file, "model", m->row->name, err);
    for (size_t i = 0; ok && i < m->row->n_options; i++) {
        const OptRow *row = &m->row->options[i];
        char key[96], text[OPT_STR_CAP];
        snprintf(key, sizeof key, "model.%s", row->name);
        ok = tset_add_meta(file, key, opt_text(row, m->config, text), err);
    }
    return ok;
}

bool model_save(const Model *m, const char *path, Err *err)
{
    TensorSet *file = tset_new(err);
    bool ok = file && model_describe(m, file, err);
    for (int i = 0; ok && i < tset_count(m->params); i++)
        ok = tset_add(file, tset_name(m->params, i), tset_at(m->params, i), err);
    ok = ok && safetensors_save(path, file, err);
    tset_free(file);
    return ok;
}

static bool starts(const char *s, const char *with)
{
    return strncmp(s, with, strlen(with)) == 0;
}

static bool read_config(Model *m, const TensorSet *file, Err *err)
{
    for (int i = 0; i < tset_meta_count(file); i++) {
        const char *key = tset_meta_key(file, i);
        if (starts(key, "model.") &&
            !opt_set_text(m->row->options, m->row->n_options, m->config,
                          key + strlen("model."), tset_meta(file, key), m->row->name,
                          err))
            return false;
    }
    return true;
}

/* Every tensor of the file must be a parameter or belong to the trainer. */
static bool nothing_left(const Model *m, const TensorSet *file, Err *err)
{
    for (int i = 0; i < tset_count(file); i++) {
        const char *name = tset_name(file, i);
        if (!tset_get(m->params, name) && !starts(name, "optim.") &&
            !starts(name, "state.") && !starts(name, "train."))
            return err_set(err, ERR_FORMAT, "the tensor '%.100s' is no parameter of %s",
                           name, m->row->name);
    }
    return true;
}

bool model_from(const TensorSet *file, const char *name, Model **out, Err *err)
{
    const char *kind = tset_meta(file, "model");
    const ModelRow *row = kind ? model_row(kind) : NULL;
    *out = NULL;
    if (kind && strcmp(kind, "custom") == 0)
        return err_set(err, ERR_FORMAT,
                       "%s: it holds the parameters of a network that a script made; "
                       "make that with cl.model.custom again and give it "
                       "parameters = cl.load(file)",
                       name);
    if (!row)
        return err_set(err, ERR_FORMAT, "%s: %s%.60s%s; models are saved by net:save()",
                       name, kind ? "there is no model '" : "this file holds no model",
                       kind ? kind : "", kind ? "'" : "");
    Model *m = bare(row, NULL, err);
    if (!m)
        return false;
    m->from = file;
    bool ok =
        read_config(m, file, err) && row->init(m, err) && nothing_left(m, file, err);
    m->from = NULL;
    if (ok) {
        *out = m;
        return true;
    }
    model_free(m);
    return err_prefix(err, "%s", name);
}

bool model_load(const char *path, Model **out, Err *err)
{
    TensorSet *file;
    *out = NULL;
    if (!safetensors_load(path, &file, err))
        return false;
    bool ok = model_from(file, path, out, err);
    tset_free(file);
    return ok;
}
