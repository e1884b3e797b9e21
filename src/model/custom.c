/* custom.c -- the row of networks that are defined outside. */
#include "model/custom.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "model/rows.h"

static const OptRow options[] = {
    {"input",   OPT_INT, offsetof(CustomCfg, input),   "784", 1, MODEL_MAX_SIZE, NULL,
     "input values, pixels of an image"},
    {"classes", OPT_INT, offsetof(CustomCfg, classes), "10",  1, MODEL_MAX_SIZE, NULL,
     "outputs"                         },
};

static bool custom_init(Model *m, Err *err)
{
    (void)m, (void)err; /* the parameters come afterwards */
    return true;
}

static Val custom_forward(Model *m, Graph *g, Val x)
{
    const CustomCfg *c = m->config;
    Val y = c->forward(c->ctx, m, g, x);
    if (!graph_ok(g))
        return VAL_NONE;
    Spec in = graph_spec(g, x), out = graph_spec(g, y);
    char is[96];
    if (out.dtype != F32 || out.ndim != 2 || out.dim[0] != in.dim[0] ||
        out.dim[1] != c->classes)
        return graph_fail(g, ERR_SHAPE,
                          "the forward function must return logits f32[%" PRId64
                          ",%" PRId64 "], not %s",
                          in.dim[0], c->classes,
                          shape_format(out.dtype, out.ndim, out.dim, is));
    return y;
}

const ModelRow model_custom = {
    .name = "custom",
    .doc = "A network whose forward pass is a function of the script.",
    .options = options,
    .n_options = ARRAY_LEN(options),
    .config_size = sizeof(CustomCfg),
    .init = custom_init,
    .forward = custom_forward,
};

Model *model_custom_new(const CustomCfg *cfg, Err *err)
{
    return model_new(&model_custom, cfg, err);
}

bool model_custom_add(Model *m, const char *name, const Tensor *t, Err *err)
{
    Tensor own;
    if (!tensor_convert(t, F32, &own, err))
        return err_prefix(err, "parameter '%s'", name);
    bool ok = tset_add(m->params, name, &own, err);
    tensor_release(&own);
    return ok;
}

bool model_custom_draw(Model *m, const char *name, int ndim, const int64_t *dim,
                       const char *init, double scale, uint64_t seed, Err *err)
{
    double fan = 1, out = ndim ? (double)dim[0] : 1;
    for (int i = 1; i < ndim; i++)
        fan *= (double)dim[i];
    bool given = scale > 0;
    double narrow = given ? scale : 1 / sqrt(fan > 0 ? fan : 1);
    bool uniform = strcmp(init, "pytorch") == 0, xavier = strcmp(init, "xavier") == 0;
    if (strcmp(init, "ones") == 0) {
        Tensor t;
        bool ok = tensor_full(F32, ndim, dim, given ? scale : 1, &t, err) &&
                  tset_add(m->params, name, &t, err);
        tensor_release(&t);
        return ok;
    }
    if (strcmp(init, "zeros") == 0 || (uniform && ndim < 2 && !given))
        return model_add_zeros(m, name, ndim, dim, err);
    if (uniform)
        return model_add_uniform(m, name, ndim, dim, narrow, seed, err);
    if (xavier)
        return model_add_uniform(m, name, ndim, dim,
                                 given ? scale : sqrt(6 / (fan + out)), seed, err);
    if (strcmp(init, "he") == 0)
        return model_add_normal(m, name, ndim, dim, given ? scale : narrow * M_SQRT2,
                                seed, err);
    if (strcmp(init, "small") == 0)
        return model_add_normal(m, name, ndim, dim, given ? scale : 0.02, seed, err);
    if (strcmp(init, "normal") == 0)
        return model_add_normal(m, name, ndim, dim, narrow, seed, err);
    return err_set(err, ERR_OPTION, "parameter '%s': init cannot be '%s'; choices: %s",
                   name, init, CUSTOM_INITS);
}
