/* bench_step.c -- whole training steps as users run them: batches by the shuffling
 * sampler, pixels gathered inside the plan, loss, gradients and optimiser in one
 * replay. The unavoidable traffic of a step is each weight read once, and weight and
 * two moments read and written once, and the batch's pixels read as bytes. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "base/intr.h"
#include "base/mem.h"
#include "data/sampler.h"
#include "graph/build.h"
#include "graph/optim.h"
#include "graph/plan.h"
#include "lab/evaluate.h"
#include "tensor/rng.h"
#include "ui/bench.h"

enum { MAX_PARAMS = 8, EXAMPLES = 8192, BYTES_OF_WEIGHT = 28 };

typedef struct Step {
    Plan *plan;
    TensorSet *params, *moments; /* params borrowed */
    Sampler sampler;
    Tensor idx;
    int in_t, out_loss;
    int64_t done;
    double loss; /* of the last step */
} Step;

static void step_done(Step *s)
{
    plan_free(s->plan);
    tset_free(s->moments);
    sampler_done(&s->sampler);
    tensor_release(&s->idx);
}

static bool build_step(Step *s, Graph *g, const BenchLoss *l, double decay, Err *err)
{
    int n = tset_count(s->params);
    Val param[MAX_PARAMS], grad[MAX_PARAMS];
    OptimParam p[MAX_PARAMS];
    OptimCfg cfg;
    if (!opt_defaults(optim_options, optim_n_options, &cfg, err))
        return false;
    cfg.weight_decay = decay;
    text_copy(cfg.method, sizeof cfg.method, decay > 0 ? "adamw" : "adam");
    Val idx = s->idx.data ? graph_input(g, "idx", I32, 1, s->idx.dim) : VAL_NONE;
    Val loss = l->build(l->ctx, g, idx);
    graph_output(g, "loss", loss);
    for (int i = 0; i < n; i++)
        param[i] = graph_state(g, tset_name(s->params, i), tset_at(s->params, i));
    graph_grad(g, loss, param, n, grad);
    for (int i = 0; i < n; i++)
        p[i] = (OptimParam){tset_name(s->params, i), param[i], grad[i], 1};
    if (l->adjust)
        l->adjust(l->ctx, g, p, n);
    if (!optim_build(g, &cfg, p, n, s->moments, err))
        return false;
    if (l->after)
        l->after(l->ctx, g);
    return graph_ok(g) || (*err = *graph_err(g), false);
}

/* batch 0: the loss takes no examples. */
static bool step_init(Step *s, TensorSet *params, const BenchLoss *l, double decay,
                      int64_t n_examples, int64_t batch, double lr, uint64_t seed,
                      Err *err)
{
    s->params = params;
    if (tset_count(params) > MAX_PARAMS)
        return err_set(err, ERR_OPTION, "a step trains at most %d tensors, not %d",
                       MAX_PARAMS, tset_count(params));
    s->moments = tset_new(err);
    bool ok =
        s->moments &&
        (batch == 0 || (sampler_init(&s->sampler, n_examples, batch, seed, true, err) &&
                        tensor_zeros(I32, 1, &batch, &s->idx, err)));
    Graph *g = ok ? graph_new(err) : NULL;
    ok = g && build_step(s, g, l, decay, err) && (s->plan = plan_new(g, seed, err));
    graph_free(g);
    if (!ok)
        return false;
    s->in_t = plan_input_index(s->plan, "t");
    s->out_loss = plan_output_index(s->plan, "loss");
    return plan_bind_number(s->plan, plan_input_index(s->plan, "lr"), lr, err);
}

static bool run_step(void *ctx, Err *err)
{
    Step *s = ctx;
    Tensor in[4] = {0};
    int idx = plan_input_index(s->plan, "idx");
    if (idx >= 0) {
        in[idx] = s->idx;
        sampler_next(&s->sampler, s->idx.data);
    }
    if (!plan_bind_number(s->plan, s->in_t, (double)++s->done, err) ||
        !plan_run(s->plan, in, err))
        return false;
    s->loss = tensor_item(plan_output(s->plan, s->out_loss));
    return true;
}

/* A line a node, before the case's own line. */
static bool print_profile(Step *s, Err *err)
{
    enum { STEPS = 100 };
    int n = plan_info(s->plan).nodes;
    double *seconds = mem_zalloc((size_t)n * sizeof *seconds, err);
    Str text;
    str_init(&text);
    plan_profile(s->plan, seconds);
    bool ok = seconds != NULL;
    for (int i = 0; ok && i < STEPS; i++)
        ok = run_step(s, err);
    plan_profile(s->plan, NULL);
    plan_describe(s->plan, &text);
    const char *line = text.s;
    for (int i = 0; ok && i < n && *line; i++) {
        int len = (int)strcspn(line, "\n");
        printf("%10.2f us %.*s\n", seconds[i] / STEPS * 1e6, len, line);
        line += len + (line[len] != '\0');
    }
    mem_free(seconds);
    str_done(&text);
    return ok;
}

/* Seconds that the threads of this process have computed. */
static double cpu_now(void)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
           1e-6 * (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec);
}

static bool time_step(const Bench *b, Step *s, BenchResult *r, Err *err)
{
    for (int64_t i = 0; i < b->n_losses; i++) {
        if (!run_step(s, err) || !intr_check(err))
            return false;
        b->losses[i] = s->loss;
    }
    if (b->n_losses > 0)
        return true;
    if (!run_step(s, err))
        return false;
    r->first_loss = s->loss;
    int64_t from = s->done;
    double before = cpu_now();
    if (!bench_time(b, run_step, s, &r->seconds, &r->best, err))
        return false;
    r->cpu = (cpu_now() - before) / (double)(s->done - from);
    return !b->profile || print_profile(s, err);
}

static double weights_of(const TensorSet *params)
{
    double n = 0;
    for (int i = 0; i < tset_count(params); i++)
        n += (double)tensor_count(tset_at(params, i));
    return n;
}

bool bench_fit(const Bench *b, TensorSet *params, const BenchLoss *l,
               int64_t n_examples, int64_t batch, double lr, BenchResult *out, Err *err)
{
    Step s = {0};
    bool ok =
        step_init(&s, params, l, 0, n_examples, batch, lr, (uint64_t)b->seed, err) &&
        time_step(b, &s, out, err);
    if (ok)
        out->bytes = weights_of(params) * BYTES_OF_WEIGHT;
    step_done(&s);
    return ok;
}

/* ---- classifiers ----------------------------------------------------------------- */

typedef struct Classifier {
    Model *model;
    const Dataset *train;
} Classifier;

static Val classifier_loss(void *ctx, Graph *g, Val idx)
{
    const Classifier *c = ctx;
    Val logits = model_forward(c->model, g, dataset_pixels(g, c->train, idx));
    return g_cross_entropy(g, logits, dataset_labels(g, c->train, idx));
}

/* Uniform within 1/sqrt(fan in), as other libraries draw linear layers, so that their
 * loss curves can be held against this one. */
static void draw_weights(Model *m, uint64_t seed)
{
    for (int i = 0; i < tset_count(m->params); i++) {
        const Tensor *t = tset_at(m->params, i);
        const char *name = tset_name(m->params, i);
        if (t->ndim != 2)
            continue;
        float bound = 1 / sqrtf((float)t->dim[1]);
        RngKey key = {seed, rng_stream(name), 0};
        rng_uniform_f32(key, 0, tensor_count(t), -bound, bound, t->data);
    }
}

static Model *make_model(const Bench *b, const BenchCase *c, Err *err)
{
    const ModelRow *row = model_row(c->kind);
    char text[32];
    snprintf(text, sizeof text, "%lld", (long long)c->size);
    bool bilinear = strcmp(c->kind, "bilinear") == 0;
    void *cfg = mem_zalloc(row->config_size, err);
    bool ok =
        cfg && opt_defaults(row->options, row->n_options, cfg, err) &&
        opt_set_text(row->options, row->n_options, cfg, "hidden", text, c->name, err);
    if (ok && bilinear)
        ok = opt_set_text(row->options, row->n_options, cfg, "embed", "0", c->name,
                          err) &&
             opt_set_text(row->options, row->n_options, cfg, "bias", "false", c->name,
                          err);
    Model *m = ok ? model_new(row, cfg, err) : NULL;
    mem_free(cfg);
    if (m)
        draw_weights(m, (uint64_t)b->seed);
    return m;
}

/* Products only: forward and weight gradient of every matrix, input gradient of all
 * that do not read the pixels. */
static double classifier_flops(const Model *m, int64_t batch)
{
    double flops = 0;
    for (int i = 0; i < tset_count(m->params); i++) {
        const Tensor *t = tset_at(m->params, i);
        if (t->ndim == 2)
            flops += 2.0 * (double)batch * (double)tensor_count(t) *
                     (t->dim[1] == model_in(m) ? 2 : 3);
    }
    return flops;
}

bool bench_classifier(Bench *b, const BenchCase *c, BenchResult *out, Err *err)
{
    Step s = {0};
    Classifier k = {.train = bench_mnist(b, err)};
    k.model = k.train ? make_model(b, c, err) : NULL;
    BenchLoss loss = {.build = classifier_loss, .ctx = &k};
    bool ok = k.model &&
              step_init(&s, k.model->params, &loss, c->weight, k.train->n, c->batch,
                        1e-3, (uint64_t)b->seed, err) &&
              time_step(b, &s, out, err);
    if (ok) {
        out->flops = classifier_flops(k.model, c->batch);
        out->bytes = weights_of(k.model->params) * BYTES_OF_WEIGHT +
                     (double)(c->batch * model_in(k.model));
    }
    step_done(&s);
    model_free(k.model);
    return ok;
}

/* ---- dictionaries ---------------------------------------------------------------- */

/* Pixels 0 to 1 of the first examples, and the logits of the tensor on them. */
static bool dict_examples(BenchDict *d, const Dataset *first, Err *err)
{
    int64_t dim[2] = {first->n, d->b.I};
    if (!tensor_new(F32, 2, dim, &d->x, err))
        return false;
    const uint8_t *from = first->images.data;
    for (int64_t i = 0; i < tensor_count(&d->x); i++)
        ((float *)d->x.data)[i] = (float)from[i] / 255;
    return interaction_logits(&d->b, &d->x, &d->logits, err);
}

/* The interaction tensor of the standard network before training: times do not depend
 * on the weights. */
static bool dict_tensor(BenchDict *d, Err *err)
{
    Model *m = model_new(model_row("bilinear"), NULL, err);
    bool ok =
        m && interaction_new(tset_get(m->params, "embed"), tset_get(m->params, "left"),
                             tset_get(m->params, "right"), tset_get(m->params, "head"),
                             tset_get(m->params, "bias"), &d->b, err);
    model_free(m);
    return ok;
}

static bool dict_init(BenchDict *d, const BenchCase *c, const Dataset *train,
                      int64_t seed, Err *err)
{
    Dataset first = {0};
    bool ok = opt_defaults(dict_options, dict_n_options, &d->cfg, err) &&
              dataset_range(train, 0, EXAMPLES, &first, err) && dict_tensor(d, err) &&
              dataset_second_moment(&first, &d->S, err);
    d->cfg.components = c->size;
    d->cfg.seed = seed;
    d->cfg.distill = c->weight;
    d->height = train->height;
    d->width = train->width;
    text_copy(d->cfg.start, sizeof d->cfg.start, c->kind);
    ok = ok && (c->weight <= 0 || dict_examples(d, &first, err));
    dataset_done(&first);
    DictData data = {.S = &d->S, .height = d->height, .width = d->width};
    if (ok && d->x.data) {
        data.x = &d->x;
        data.logits = &d->logits;
    }
    return ok && (d->fit = dictfit_new(&d->cfg, &d->b, &data, err));
}

static void dict_free(BenchDict *d)
{
    dictfit_free(d->fit);
    interaction_done(&d->b);
    tensor_release(&d->S);
    tensor_release(&d->x);
    tensor_release(&d->logits);
}

/* The loss alone, at the parameters as they stand and on the step's last batch. */
static bool dict_loss_now(BenchDict *d, const Step *s, Err *err)
{
    Graph *g = graph_new(err);
    if (!g)
        return false;
    d->idx = s->idx;
    Val idx = s->idx.data ? graph_input(g, "idx", I32, 1, s->idx.dim) : VAL_NONE;
    graph_output(g, "loss", dictfit_loss(d->fit, g, idx));
    Plan *p = plan_new(g, 1, err);
    graph_free(g);
    bool ok = p && plan_run(p, &d->idx, err);
    if (ok)
        d->loss = tensor_item(plan_output(p, plan_output_index(p, "loss")));
    plan_free(p);
    return ok;
}

static bool compare_dense(Bench *b, BenchDict *d, const Step *s, BenchResult *out,
                          Err *err)
{
    double loss;
    if (!b->dense)
        return true;
    if (!dict_loss_now(d, s, err) || !b->dense(b, d, &out->reference, &loss, err))
        return false;
    if (fabs(loss - d->loss) <= 1e-4 * fabs(d->loss))
        return true;
    return err_set(err, ERR_NUMERIC, "the dense form's loss is %.7g, the step's %.7g",
                   loss, d->loss);
}

bool bench_dictionary(Bench *b, const BenchCase *c, BenchResult *out, Err *err)
{
    BenchDict d = {0};
    Step s = {0};
    const Dataset *train = bench_mnist(b, err);
    bool ok = train && dict_init(&d, c, train, b->seed, err);
    BenchLoss loss = {.build = dictfit_loss, .ctx = d.fit};
    ok = ok &&
         step_init(&s, dictfit_params(d.fit), &loss, 0, EXAMPLES, c->batch, d.cfg.lr,
                   (uint64_t)b->seed, err) &&
         time_step(b, &s, out, err);
    if (ok) {
        out->flops = plan_info(s.plan).flops;
        out->bytes = weights_of(s.params) * BYTES_OF_WEIGHT;
        out->memory = (double)mem_peak();
        ok = compare_dense(b, &d, &s, out, err);
    }
    step_done(&s);
    dict_free(&d);
    return ok;
}
