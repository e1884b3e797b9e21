/* classify.c -- training a classifier: cross-entropy of a model on examples gathered
 * inside the plan from the resident u8 images, with noise drawn inside the plan, so a
 * step is one call. Noise goes to a share of the *examples* (all pixels of one), is not
 * clipped, and is new in every step (streams "noise" and "noise_on"). */
#include "graph/build.h"
#include "lab/evaluate.h"
#include "lab/train.h"

typedef struct Classifier {
    Model *model;
    const Dataset *train, *test;
    const TrainCfg *cfg;
    Evaluator eval;
} Classifier;

/* x + noise * on * N(0,1), on [B,1] is 1 with probability `share`. */
Val classifier_input(Graph *g, const Dataset *d, Val idx, double std, double share)
{
    Val x = dataset_pixels(g, d, idx);
    Spec s = graph_spec(g, x);
    if (!graph_ok(g) || std <= 0 || share <= 0)
        return x;
    Val noise = g_normal(g, "noise", s.dtype, 2, s.dim);
    if (share >= 1)
        return g_add(g, x, g_scale(g, noise, std));
    int64_t column[2] = {s.dim[0], 1};
    Val on = g_scale(g, g_bernoulli(g, "noise_on", share, s.dtype, 2, column), std);
    return g_add(g, x, g_mul(g, noise, on));
}

static Val loss(void *ctx, Graph *g, Val idx)
{
    const Classifier *c = ctx;
    Val x = classifier_input(g, c->train, idx, c->cfg->noise, c->cfg->noise_share);
    Val logits = model_forward(c->model, g, x);
    return g_cross_entropy(g, logits, dataset_labels(g, c->train, idx));
}

static bool evaluate(void *ctx, const char **names, double *v, int *n, Err *err)
{
    Classifier *c = ctx;
    names[0] = "test_acc";
    names[1] = "test_loss";
    *n = 2;
    return evaluator_run(&c->eval, err) &&
           logits_score(&c->eval.logits, &c->test->labels, &v[0], &v[1], err);
}

static bool describe(void *ctx, TensorSet *file, Err *err)
{
    const Classifier *c = ctx;
    return model_describe(c->model, file, err);
}

bool train_model(Model *m, const Dataset *train, const Dataset *test,
                 const TrainCfg *cfg, const TrainHooks *hooks, TrainReport *out,
                 Err *err)
{
    Classifier c = {.model = m, .train = train, .test = test, .cfg = cfg};
    bool scored = test && test->n > 0;
    if (train->n == 0)
        return err_set(err, ERR_SHAPE, "%s holds no examples to train on", train->name);
    if (!dataset_fits(train, m, err) ||
        (scored && !evaluator_init(&c.eval, m, test, err)))
        return false;
    TrainJob job = {.params = m->params,
                    .loss = loss,
                    .evaluate = scored ? evaluate : NULL,
                    .ctx = &c,
                    .n_examples = train->n,
                    .name = m->row->name,
                    .describe = describe};
    bool ok = train_run(&job, cfg, hooks, out, err);
    evaluator_done(&c.eval);
    return ok;
}
