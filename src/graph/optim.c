/* optim.c -- update nodes for a list of parameters, and learning rates.
 * The choice of method is a row of `methods`: which step row, which moments, where the
 * weight decay goes. Everything that changes over time enters the graph through the
 * scalar inputs "lr" and "t", so one plan serves a whole training. */
#include "graph/optim.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "graph/build.h"

typedef struct Method {
    const char *name, *step;
    bool m, v, timed, coupled;
} Method;

static const Method methods[] = {
    {"sgd", "sgd_step", false, false, false, true},
    {"sgd", "momentum_step", true, false, false, true},
    {"adam", "adam_step", true, true, true, true},
    {"adamw", "adam_step", true, true, true, false},
    {"adam_l2", "adam_step", true, true, true, true},
};

#define OPT(field, type, dflt, lo, hi, choices, doc)                                   \
    {                                                                                  \
#field, type, offsetof(OptimCfg, field), dflt, lo, hi, choices, doc            \
    }
const OptRow optim_options[] = {
    OPT(method, OPT_ENUM, "adam", 0, 0, "sgd adam adamw adam_l2", "optimiser"),
    OPT(lr, OPT_NUM, "1e-3", 0, 1e6, NULL, "learning rate at its highest"),
    OPT(beta1, OPT_NUM, "0.9", 0, 0.999999999, NULL, "decay of Adam's first moment"),
    OPT(beta2, OPT_NUM, "0.999", 0, 0.999999999, NULL, "decay of Adam's second moment"),
    OPT(eps, OPT_NUM, "1e-8", 0, 1, NULL, "added to Adam's denominator"),
    OPT(weight_decay, OPT_NUM, "0", 0, 1e6, NULL,
        "weight decay: decoupled in adamw, added to the gradient elsewhere"),
    OPT(momentum, OPT_NUM, "0", 0, 0.999999999, NULL, "heavy-ball momentum of sgd"),
    OPT(clip, OPT_NUM, "0", 0, 1e30, NULL, "largest global gradient norm; 0 is off"),
    OPT(schedule, OPT_ENUM, "constant", 0, 0, "constant linear cosine tail onecycle",
        "how the learning rate falls after warm-up: tail, linearly over the last fifth "
        "of the steps; onecycle rises from lr/25 over the "
        "first 30 % of the steps and falls along cosines"),
    OPT(warmup, OPT_INT, "0", 0, 1e15, NULL, "steps of linear warm-up"),
    OPT(final_lr, OPT_NUM, "0", 0, 1, NULL,
        "fraction of lr that linear, cosine and tail end at"),
};
const size_t optim_n_options = ARRAY_LEN(optim_options);

static const Method *method_of(const OptimCfg *cfg, Err *err)
{
    for (size_t i = 0; i < ARRAY_LEN(methods); i++)
        if (strcmp(methods[i].name, cfg->method) == 0)
            return &methods[i] + (i == 0 && cfg->momentum > 0);
    err_set(err, ERR_OPTION, "method must be sgd, adam, adamw or adam_l2, not \"%s\"",
            cfg->method);
    return NULL;
}

static bool cfg_ok(const OptimCfg *cfg, Err *err)
{
    if (!(cfg->beta1 >= 0 && cfg->beta1 < 1 && cfg->beta2 >= 0 && cfg->beta2 < 1))
        return err_set(err, ERR_OPTION,
                       "beta1 and beta2 must be in [0,1), they are %g, %g", cfg->beta1,
                       cfg->beta2);
    if (!(cfg->momentum >= 0 && cfg->momentum < 1))
        return err_set(err, ERR_OPTION, "momentum must be in [0,1), it is %g",
                       cfg->momentum);
    if (!(cfg->weight_decay >= 0 && cfg->clip >= 0 && cfg->eps >= 0))
        return err_set(err, ERR_OPTION,
                       "weight_decay, clip and eps must be at least 0");
    return true;
}

/* The moment called "<param>.<suffix>": the one in the set, or a new one of zeros. */
static Val moment(Graph *g, const OptimParam *p, const char *suffix, TensorSet *moments)
{
    char name[256], a[96], b[96];
    Err err = {0};
    Spec s = graph_spec(g, p->param);
    if (snprintf(name, sizeof name, "%s.%s", p->name, suffix) >= (int)sizeof name)
        return graph_fail(g, ERR_OPTION, "the parameter name \"%.40s...\" is too long",
                          p->name);
    const Tensor *have = tset_get(moments, name);
    if (!have) {
        Tensor t;
        if (!tensor_zeros(s.dtype, s.ndim, s.dim, &t, &err))
            return graph_fail(g, err.code, "%s", err.msg);
        bool ok = tset_add(moments, name, &t, &err);
        tensor_release(&t);
        if (!ok)
            return graph_fail(g, err.code, "%s", err.msg);
        have = tset_get(moments, name);
    }
    Tensor like = tensor_wrap(s.dtype, s.ndim, s.dim, have->data);
    if (have->dtype != s.dtype || !tensor_same_shape(have, &like))
        return graph_fail(g, ERR_SHAPE, "the saved moment \"%s\" is %s, it must be %s",
                          name, tensor_format_shape(have, a),
                          tensor_format_shape(&like, b));
    return graph_state(g, name, have);
}

/* The scalar input called name, made on first use. */
static Val scalar_input(Graph *g, const char *name, DType t)
{
    Val v = graph_find_input(g, name);
    if (v == VAL_NONE)
        return graph_input(g, name, t, 0, NULL);
    Spec s = graph_spec(g, v);
    if (s.ndim != 0 || s.dtype != t)
        return graph_fail(g, ERR_SHAPE,
                          "the graph's input \"%s\" must be a scalar of the "
                          "parameters' dtype",
                          name);
    return v;
}

/* min(1, clip / norm) over all gradients. */
static Val clip_factor(Graph *g, double clip, const OptimParam *p, int n)
{
    Val sum = VAL_NONE;
    for (int i = 0; i < n; i++) {
        Val one = g_unary(g, "grad_norm_sq", p[i].grad);
        sum = sum == VAL_NONE ? one : g_add(g, sum, one);
    }
    OpAttr a = {0};
    a.f[0] = clip;
    return g_call(g, "clip_scale", &sum, 1, &a);
}

typedef struct Common { /* inputs of every step */
    Val lr, t, scale;
} Common;

static void step(Graph *g, const OptimCfg *cfg, const Method *how, const OptimParam *p,
                 Common common, TensorSet *moments)
{
    Val in[OP_MAX_IN];
    int n = 0;
    in[n++] = p->param;
    if (how->m)
        in[n++] = moment(g, p, "m", moments);
    if (how->v)
        in[n++] = moment(g, p, "v", moments);
    in[n++] = p->grad;
    in[n++] = common.lr;
    if (how->timed)
        in[n++] = common.t;
    if (common.scale != VAL_NONE)
        in[n++] = common.scale;
    if (!graph_ok(g))
        return;
    OpAttr a;
    op_attr_defaults(op_find(how->step), &a);
    a.f[how->coupled ? 0 : 1] = cfg->weight_decay * p->decay;
    if (how->timed) {
        a.f[2] = cfg->beta1;
        a.f[3] = cfg->beta2;
        a.f[4] = cfg->eps;
    } else if (how->m) {
        a.f[2] = cfg->momentum;
    }
    g_call(g, how->step, in, n, &a);
}

static void build_all(Graph *g, const OptimCfg *cfg, const Method *how,
                      const OptimParam *p, int n, TensorSet *moments)
{
    DType t = graph_spec(g, p[0].param).dtype;
    for (int i = 0; i < n; i++) {
        if (!graph_is_state(g, p[i].param)) {
            graph_fail(g, ERR_STATE, "parameter \"%s\" is not a state of the graph",
                       p[i].name);
            return;
        }
        if (graph_spec(g, p[i].param).dtype != t) {
            graph_fail(g, ERR_SHAPE, "parameter \"%s\" must be %s like the first one",
                       p[i].name, dtype_name(t));
            return;
        }
    }
    Common common = {scalar_input(g, "lr", t), VAL_NONE, VAL_NONE};
    if (how->timed)
        common.t = scalar_input(g, "t", t);
    if (cfg->clip > 0)
        common.scale = clip_factor(g, cfg->clip, p, n);
    for (int i = 0; i < n && graph_ok(g); i++)
        step(g, cfg, how, &p[i], common, moments);
}

bool optim_build(Graph *g, const OptimCfg *cfg, const OptimParam *p, int n,
                 TensorSet *moments, Err *err)
{
    const Method *how = method_of(cfg, err);
    if (!how || !cfg_ok(cfg, err))
        return false;
    if (n > 0 && graph_ok(g))
        build_all(g, cfg, how, p, n, moments);
    if (!graph_ok(g) && err)
        *err = *graph_err(g);
    return graph_ok(g);
}

/* Cosines up and down (Smith & Topin 2019, arXiv 1708.07120); no warm-up of its own. */
static double one_cycle(const OptimCfg *cfg, int64_t t, int64_t total)
{
    const double start = 0.04, peak = 0.3;
    double at = total > 1 ? (double)(t - 1) / (double)(total - 1) : 1;
    if (at < peak)
        return cfg->lr * (1 - (1 - start) * 0.5 * (1 + cos(M_PI * at / peak)));
    double down = 0.5 * (1 + cos(M_PI * (at - peak) / (1 - peak)));
    return cfg->lr * (cfg->final_lr + (1 - cfg->final_lr) * down);
}

static const double tail_share = 0.2;

double sched_rate(const OptimCfg *cfg, int64_t t, int64_t total)
{
    if (strcmp(cfg->schedule, "onecycle") == 0)
        return one_cycle(cfg, t, total);
    if (t <= cfg->warmup && cfg->warmup > 0)
        return cfg->lr * (double)t / (double)cfg->warmup;
    double left = 1; /* goes from 1 to 0 over the steps after warm-up */
    int64_t span = total - cfg->warmup;
    if (span > 1)
        left = 1 - (double)(t - cfg->warmup - 1) / (double)(span - 1);
    left = left < 0 ? 0 : left;
    double low = cfg->final_lr;
    if (strcmp(cfg->schedule, "tail") == 0)
        return cfg->lr * (low + (1 - low) * fmin(left / tail_share, 1));
    if (strcmp(cfg->schedule, "linear") == 0)
        return cfg->lr * (low + (1 - low) * left);
    if (strcmp(cfg->schedule, "cosine") == 0)
        return cfg->lr * (low + (1 - low) * 0.5 * (1 + cos(M_PI * (1 - left))));
    return cfg->lr;
}
