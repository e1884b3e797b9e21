/* classify.c -- training a classifier: cross-entropy of a model on examples gathered
 * inside the plan from the resident u8 images, with everything random drawn inside the
 * plan, so a step is one call and resuming needs no state. Images are moved first, then
 * noise is added, then pixels are dropped. Noise goes to a share of the *examples* (all
 * pixels of one) and is not clipped. Dropout hooks into sites, so it works for every
 * network that names its hidden values. Streams "shift", "noise", "noise_on",
 * "dropout.in" and "dropout.<site>". */
#include <stdio.h>
#include <string.h>

#include "graph/build.h"
#include "lab/evaluate.h"
#include "lab/heads.h"
#include "lab/train.h"

typedef struct Classifier {
    Model *model;
    const Dataset *train, *test;
    const TrainCfg *cfg;
    Evaluator eval;
    char name[DATASET_HEADS][DATASET_HEAD_CAP + 8]; /* "acc_shape" */
} Classifier;

/* x + noise * on * N(0,1), on [B,1] is 1 with probability `share`. */
static Val noisy(Graph *g, Val x, double std, double share)
{
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

Val classifier_input(Graph *g, const Dataset *d, Val idx, double std, double share)
{
    return noisy(g, dataset_pixels(g, d, idx), std, share);
}

/* Every image by its own number of pixels, -far..far down and right. */
static Val moved(Graph *g, const Dataset *d, Val x, int64_t far)
{
    if (!graph_ok(g) || far == 0)
        return x;
    OpAttr draw = {0}, size = {0};
    draw.n_list = 2;
    draw.list[0] = graph_spec(g, x).dim[0];
    draw.list[1] = 2;
    draw.i[2] = -far;
    draw.i[3] = far + 1;
    snprintf(draw.text, sizeof draw.text, "shift");
    size.i[0] = d->height;
    size.i[1] = d->width;
    Val in[2] = {x, g_call(g, "randint", NULL, 0, &draw)};
    return g_call(g, "translate", in, 2, &size);
}

/* x/(1-p) where a draw says so, else 0. */
static Val dropped(Graph *g, const char *where, Val x, double p)
{
    char stream[96];
    Spec s = graph_spec(g, x);
    if (!graph_ok(g) || p <= 0)
        return x;
    snprintf(stream, sizeof stream, "dropout.%.80s", where);
    Val keep = g_bernoulli(g, stream, 1 - p, s.dtype, s.ndim, s.dim);
    return g_mul(g, x, g_scale(g, keep, 1 / (1 - p)));
}

static Val drop_site(Graph *g, const char *site, Val v, void *ctx)
{
    const TrainCfg *cfg = ctx;
    size_t n = strlen(site);
    bool act = !strcmp(site, "hidden") || (n > 4 && !strcmp(site + n - 4, ".act"));
    return act ? dropped(g, site, v, cfg->dropout) : v;
}

static Val loss(void *ctx, Graph *g, Val idx)
{
    const Classifier *c = ctx;
    TrainCfg cfg = *c->cfg;
    Val x = moved(g, c->train, dataset_pixels(g, c->train, idx), cfg.shift);
    x = noisy(g, x, cfg.noise, cfg.noise_share);
    x = dropped(g, "in", x, cfg.dropout_in);
    if (cfg.dropout > 0)
        graph_set_hook(g, drop_site, &cfg);
    Val logits = model_forward(c->model, g, x);
    graph_set_hook(g, NULL, NULL);
    Val labels = dataset_labels(g, c->train, idx);
    return heads_loss(g, c->train, logits, labels, cfg.smoothing);
}

static bool evaluate(void *ctx, const char **names, double *v, int *n, Err *err)
{
    Classifier *c = ctx;
    HeadScore score;
    if (!evaluator_run(&c->eval, err) ||
        !heads_score(c->test, &c->eval.logits, &score, err))
        return false;
    names[0] = "test_acc";
    names[1] = "test_loss";
    v[0] = score.joint;
    v[1] = score.nll;
    for (int h = 0; h < c->test->n_heads; h++) {
        names[2 + h] = c->name[h];
        v[2 + h] = score.acc[h];
    }
    *n = 2 + c->test->n_heads;
    return true;
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
    if (cfg->shift && train->channels > 1)
        return err_set(err, ERR_OPTION, "shift works on images of one channel, %s has %d",
                       train->name, train->channels);
    for (int h = 0; scored && h < test->n_heads; h++)
        snprintf(c.name[h], sizeof c.name[h], "acc_%s", test->head_name[h]);
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
