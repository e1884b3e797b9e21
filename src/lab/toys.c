/* toys.c -- the table of toys, their targets' training, and what makes one sound. */
#include "lab/toys.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "graph/build.h"

#define TMS_SPD                                                                        \
    "ci=mlp ci_hidden=16 recon=1 layerwise=1 batch=4096 lr=1e-3 schedule=cosine "      \
    "faith_steps=200 faith_lr=0.01 faith_decay=0.1"
#define PAPER " faithfulness=1 delta=false faith_steps=0 sigmoid=leaky init=unit"

/* What the toys of a family have in common; the published trainings of the targets. */
#define TMS_TARGET                                                                     \
    .model = "tms", .active = 0.05, .steps = 10000, .lr = 5e-3,                        \
    .schedule = "constant", .paper = "steps=40000" PAPER, .encoder = "linear1"
#define RESID_TARGET                                                                   \
    .model = "resid", .active = 0.01, .negative = true, .labels_relu = true,           \
    .batch = 2048, .lr = 3e-3, .schedule = "cosine", .worst = 1

static const ToyRow rows[] = {
    {.name = "tms_5-2",
     .doc = "Superposition of 5 features in 2 dimensions.",
     TMS_TARGET,
     .options = "input=5 width=2",
     .batch = 1024,
     .spd = TMS_SPD " components=20 importance=3e-3 p=1 steps=10000",
     .expect = {{"linear1", 5, 0}, {"linear2", 5, 0}},
     .worst = 0.004},
    {.name = "tms_5-2-id",
     .doc = "The same with an identity between encoder and decoder.",
     TMS_TARGET,
     .options = "input=5 width=2 identity=true",
     .batch = 1024,
     .spd = TMS_SPD " components=20 importance=3e-3 p=1 steps=10000",
     .expect = {{"linear1", 5, 0}, {"hidden", 0, 2}, {"linear2", 5, 0}},
     .worst = 0.004},
    {.name = "tms_40-10",
     .doc = "Superposition of 40 features in 10 dimensions.",
     TMS_TARGET,
     .options = "input=40 width=10 bias=zero",
     .batch = 8192,
     .spd = TMS_SPD " components=200 importance=1e-4 p=2 steps=10000",
     .expect = {{"linear1", 40, 0}, {"linear2", 40, 0}},
     .worst = 0.008},
    {.name = "tms_40-10-id",
     .doc = "The same with an identity between encoder and decoder.",
     TMS_TARGET,
     .options = "input=40 width=10 bias=zero identity=true",
     .batch = 8192,
     .spd = TMS_SPD " components=200 importance=1e-4 p=2 steps=20000",
     .expect = {{"linear1", 40, 0}, {"hidden", 0, 10}, {"linear2", 40, 0}},
     .worst = 0.008},
    {.name = "resid_mlp1",
     .doc = "One residual layer of 50 neurons for 100 features.",
     RESID_TARGET,
     .options = "input=100 width=1000 neurons=50 layers=1",
     .steps = 1000,
     .spd = "components=100 ci=mlp ci_hidden=16 importance=1e-5 p=2 recon=1 "
            "layerwise=1 batch=2048 steps=20000 lr=2e-3 schedule=constant",
     .paper = "steps=30000" PAPER,
     .expect = {{"mlp_in1", 100, 0}, {"mlp_out1", 0, 50}}},
    {.name = "resid_mlp2",
     .doc = "Two residual layers of 25 neurons for 100 features.",
     RESID_TARGET,
     .options = "input=100 width=1000 neurons=25 layers=2",
     .steps = 1000,
     .spd = "components=400 ci=shared_mlp ci_hidden=256 importance=1e-4 p=2 recon=0 "
            "layerwise=0 subset=2 pgd_subset=2 pgd_shared=true batch=2048 steps=25000 "
            "lr=3e-4 schedule=constant faith_decay=0",
     .paper = "ci=mlp ci_hidden=16 importance=1e-5 recon=1 layerwise=1 subset=0 "
              "pgd_subset=0 steps=50000 lr=1e-3" PAPER,
     .expect = {{"mlp_in1", 100, 0}, {"mlp_out1", 0, 25}, {"mlp_in2", 100, 0},
                {"mlp_out2", 0, 25}}},
    {.name = "resid_mlp3",
     .doc = "Three residual layers of 17 neurons for 102 features.",
     RESID_TARGET,
     .options = "input=102 width=1000 neurons=17 layers=3",
     .steps = 10000,
     .spd = "components=500 ci=mlp ci_hidden=128 importance=1e-5 p=2 recon=1 "
            "layerwise=1 batch=2048 steps=50000 lr=1e-3 schedule=constant",
     .paper = "importance=5e-6 steps=200000" PAPER,
     .expect = {{"mlp_in1", 102, 0}, {"mlp_out1", 0, 17}, {"mlp_in2", 102, 0},
                {"mlp_out2", 0, 17}, {"mlp_in3", 102, 0}, {"mlp_out3", 0, 17}}},
};

int toy_count(void)
{
    return (int)ARRAY_LEN(rows);
}

const ToyRow *toy_at(int i)
{
    return &rows[i];
}

const ToyRow *toy_row(const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (!strcmp(rows[i].name, name))
            return &rows[i];
    return NULL;
}

int toy_layers(const ToyRow *row)
{
    int n = 0;
    while (n < TOY_LAYERS && row->expect[n].layer)
        n++;
    return n;
}

/* "a=1 b=two" through option rows. */
static bool set_all(const char *text, const OptRow *opt, size_t n, void *cfg,
                    const char *where, Err *err)
{
    while (*(text += strspn(text, " "))) {
        char name[64], value[64];
        int used = 0;
        if (sscanf(text, "%63[^= ]=%63[^ ]%n", name, value, &used) != 2)
            return err_set(err, ERR_OPTION, "%s: '%.40s' is no setting", where, text);
        if (!opt_set_text(opt, n, cfg, name, value, where, err))
            return false;
        text += used;
    }
    return true;
}

bool toy_preset(const ToyRow *row, bool paper, SpdCfg *cfg, Err *err)
{
    return set_all(row->spd, spd_options, spd_n_options, cfg, row->name, err) &&
           (!paper ||
            set_all(row->paper, spd_options, spd_n_options, cfg, row->name, err));
}

/* ---- targets --------------------------------------------------------------------- */

static Val target_loss(void *ctx, Graph *g, Val idx)
{
    Toy *t = ctx;
    (void)idx;
    Val x = spd_net_features(&t->net, g, t->row->batch, "features");
    Val y = t->row->labels_relu ? g_add(g, x, g_relu(g, x)) : x;
    Val e = g_sub(g, model_forward(t->net.model, g, x), y);
    return g_mean(g, g_square(g, e));
}

/* Embeddings and identities are not trained. */
static bool trained(const char *name)
{
    return strcmp(name, "embed") && strcmp(name, "hidden.weight");
}

static bool train_target(Toy *t, int64_t steps, const TrainHooks *hooks, Err *err)
{
    TrainCfg cfg;
    TrainReport report = {0};
    const TensorSet *all = t->net.model->params;
    TensorSet *some = tset_new(err);
    bool ok = some && opt_defaults(train_options, train_n_options, &cfg, err);
    for (int i = 0; ok && i < tset_count(all); i++)
        if (trained(tset_name(all, i)))
            ok = tset_add(some, tset_name(all, i), tset_at(all, i), err);
    TrainJob job = {.params = some, .loss = target_loss, .ctx = t, .name = "target"};
    if (ok) {
        cfg.steps = steps > 0 ? steps : t->row->steps;
        cfg.seed = t->seed;
        cfg.optim.lr = t->row->lr;
        cfg.optim.weight_decay = 0.01;
        text_copy(cfg.optim.method, sizeof cfg.optim.method, "adamw");
        text_copy(cfg.optim.schedule, sizeof cfg.optim.schedule, t->row->schedule);
        ok = train_run(&job, &cfg, hooks, &report, err);
    }
    t->loss = report.loss;
    tset_free(some);
    if (ok && report.interrupted)
        return err_set(err, ERR_INTERRUPT, "interrupted");
    return ok;
}

static double angle_of(const float *w, int64_t n, int64_t j)
{
    double a = atan2((double)w[n + j], (double)w[j]) * 180 / M_PI;
    return a < 0 ? a + 360 : a;
}

/* Largest distance of neighbouring columns from 360/n degrees. */
static double uneven(const Tensor *W)
{
    int64_t n = W->dim[1];
    double worst = 0, even = 360.0 / (double)n;
    for (int64_t j = 0; j < n; j++) {
        double next = 360, a = angle_of(W->data, n, j);
        for (int64_t k = 0; k < n; k++) {
            double d = angle_of(W->data, n, k) - a;
            d = d < 0 ? d + 360 : d;
            next = k != j && d < next ? d : next;
        }
        worst = fmax(worst, fabs(next - even));
    }
    return worst;
}

static bool sound(Toy *t)
{
    const Tensor *W = tset_get(t->net.model->params, "linear1.weight");
    if (!(t->loss < t->row->worst)) {
        snprintf(t->why, sizeof t->why, "its loss is %.4g", t->loss);
        return false;
    }
    for (int64_t j = 0; W && j < W->dim[1]; j++) {
        double sum = 0;
        for (int64_t m = 0; m < W->dim[0]; m++) {
            double w = (double)((const float *)W->data)[m * W->dim[1] + j];
            sum += w * w;
        }
        if (sqrt(sum) < 0.9) {
            snprintf(t->why, sizeof t->why, "the norm of column %lld is %.2f",
                     (long long)j + 1, sqrt(sum));
            return false;
        }
    }
    if (W && W->dim[0] == 2 && uneven(W) > 10) {
        snprintf(t->why, sizeof t->why, "its columns are %.0f degrees from even",
                 uneven(W));
        return false;
    }
    return true;
}

static Model *new_model(const ToyRow *row, int64_t seed, Err *err)
{
    const ModelRow *kind = model_row(row->model);
    _Alignas(16) char cfg[4 * OPT_STR_CAP];
    OptValue v = {.type = OPT_INT, .i = seed};
    if (!kind || kind->config_size > sizeof cfg) {
        err_set(err, ERR_STATE, "there is no network '%s'", row->model);
        return NULL;
    }
    if (!opt_defaults(kind->options, kind->n_options, cfg, err) ||
        !set_all(row->options, kind->options, kind->n_options, cfg, row->name, err) ||
        !opt_set(kind->options, kind->n_options, cfg, "seed", &v, row->name, err))
        return NULL;
    return model_new(kind, cfg, err);
}

bool toy_make(const ToyRow *row, int64_t seed, int64_t attempts, int64_t steps,
              const TrainHooks *hooks, Toy *out, Err *err)
{
    *out = (Toy){.row = row,
                 .net = {.active = row->active, .negative = row->negative}};
    for (int64_t k = 0; k < attempts; k++) {
        model_free(out->net.model);
        out->seed = seed + 1000 * k;
        out->attempts = k + 1;
        out->net.model = new_model(row, out->seed, err);
        if (!out->net.model || !train_target(out, steps, hooks, err)) {
            toy_done(out);
            return false;
        }
        if (sound(out))
            return true;
    }
    err_set(err, ERR_STATE, "%s: no sound target in %lld attempts; of the last, %s",
            row->name, (long long)attempts, out->why);
    toy_done(out);
    return false;
}

void toy_done(Toy *t)
{
    model_free(t->net.model);
    t->net.model = NULL;
}

bool toy_truth(const Toy *t, Spd *s, SpdTruth *out, Err *err)
{
    return spd_truth(s, t->row->expect, toy_layers(t->row), t->row->encoder,
                     model_in(t->net.model), out, err);
}
