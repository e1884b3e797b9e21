/* checkpoint.c -- a training in a file. Tensors are the trainer's live ones; the
 * metadata holds the counters and, in clear, every setting that the numbers depend on,
 * so that a resume with another setting can say which. Everything is checked before the
 * first byte is copied. */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lab/train_int.h"

/* Settings that may differ: they do not change what a step computes. The length of the
 * training counts through "train.total", and only with a schedule that looks at it. */
static const char *const free_settings[] = {
    "epochs", "steps", "checkpoint", "checkpoint_every", "resume", "stop_at",
};

static bool is_free(const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(free_settings); i++)
        if (strcmp(free_settings[i], name) == 0)
            return true;
    return false;
}

typedef struct Counter {
    const char *key;
    int64_t value;
} Counter;

enum {
    C_STEP,
    C_TOTAL,
    C_EXAMPLES,
    C_EPOCH,
    C_POSITION,
    C_EVALUATED,
    C_BEST_STEP,
    N_COUNTERS
};

static const char *const counter_keys[N_COUNTERS] = {
    "train.step",     "train.total",     "train.examples",  "train.epoch",
    "train.position", "train.evaluated", "train.best_step",
};

static bool add_counters(const Trainer *t, TensorSet *file, Err *err)
{
    const int64_t value[N_COUNTERS] = {
        [C_STEP] = t->step,
        [C_TOTAL] = t->total,
        [C_EXAMPLES] = t->job->n_examples,
        [C_EPOCH] = t->sampler.epoch,
        [C_POSITION] = t->sampler.position,
        [C_EVALUATED] = t->evaluated,
        [C_BEST_STEP] = t->best_step,
    };
    char text[64];
    for (int i = 0; i < N_COUNTERS; i++) {
        snprintf(text, sizeof text, "%" PRId64, value[i]);
        if (!tset_add_meta(file, counter_keys[i], text, err))
            return false;
    }
    snprintf(text, sizeof text, "%.17g", t->best);
    return tset_add_meta(file, "train.best", text, err);
}

/* What the order of the examples follows from, where that is not the seed alone. */
static const char *order_of(const Trainer *t)
{
    return t->job->feed ? t->job->feed->order : "";
}

static bool add_settings(const Trainer *t, TensorSet *file, Err *err)
{
    const TrainCfg *cfg = t->cfg;
    if (order_of(t)[0] && !tset_add_meta(file, "train.order", order_of(t), err))
        return false;
    for (size_t i = 0; i < train_n_options; i++) {
        char key[96], text[OPT_STR_CAP];
        if (is_free(train_options[i].name))
            continue;
        snprintf(key, sizeof key, "train.set.%s", train_options[i].name);
        if (!tset_add_meta(file, key, opt_text(&train_options[i], cfg, text), err))
            return false;
    }
    return true;
}

bool checkpoint_save(Trainer *t, const char *which, Err *err)
{
    char path[OPT_STR_CAP + 32];
    if (!t->cfg->checkpoint[0])
        return true;
    snprintf(path, sizeof path, "%s-%s.safetensors", t->cfg->checkpoint, which);
    TensorSet *file = tset_new(err);
    bool ok = file && (!t->job->describe || t->job->describe(t->job->ctx, file, err)) &&
              tset_add_meta(file, "train.job", t->job->name, err) &&
              add_counters(t, file, err) && add_settings(t, file, err);
    for (int i = 0; ok && i < tset_count(t->live); i++)
        ok = tset_add(file, tset_name(t->live, i), tset_at(t->live, i), err);
    ok = ok && safetensors_save(path, file, err);
    tset_free(file);
    return ok || err_prefix(err, "checkpoint");
}

/* ---- resuming -------------------------------------------------------------------- */

static bool read_counter(const TensorSet *file, const char *key, int64_t *v, Err *err)
{
    const char *text = tset_meta(file, key);
    char *end;
    errno = 0;
    *v = text ? strtoll(text, &end, 10) : 0;
    if (!text || end == text || *end || errno)
        return err_set(err, ERR_FORMAT, "'%s' is %.40s; it must be a whole number", key,
                       text ? text : "missing");
    return true;
}

static bool same_settings(const Trainer *t, const TensorSet *file, Err *err)
{
    const char *job = tset_meta(file, "train.job");
    if (!job)
        return err_set(err, ERR_FORMAT, "this is no checkpoint of a training");
    if (strcmp(job, t->job->name) != 0)
        return err_set(err, ERR_OPTION, "the checkpoint is of '%.60s', this is '%s'",
                       job, t->job->name);
    for (size_t i = 0; i < train_n_options; i++) {
        const OptRow *row = &train_options[i];
        char key[96], now[OPT_STR_CAP];
        snprintf(key, sizeof key, "train.set.%s", row->name);
        const char *then = tset_meta(file, key);
        if (is_free(row->name))
            continue;
        if (!then)
            return err_set(err, ERR_FORMAT, "'%s' is missing", key);
        if (strcmp(then, opt_text(row, t->cfg, now)) != 0)
            return err_set(err, ERR_OPTION,
                           "the checkpoint was made with %s = %.100s, now it is %s; "
                           "resuming needs the same settings",
                           row->name, then, now);
    }
    const char *order = tset_meta(file, "train.order");
    order = order ? order : "";
    if (strcmp(order, order_of(t)) != 0)
        return err_set(err, ERR_OPTION,
                       "the checkpoint's examples came from %.200s, now they come from "
                       "%.200s; resuming needs the same order",
                       order[0] ? order : "memory",
                       order_of(t)[0] ? order_of(t) : "memory");
    return true;
}

/* The counters fit each other, this job and this length. */
static bool counters_ok(const Trainer *t, const int64_t c[N_COUNTERS], Err *err)
{
    if (c[C_EXAMPLES] != t->job->n_examples)
        return err_set(err, ERR_OPTION,
                       "the checkpoint is of %" PRId64
                       " examples, now there are %" PRId64,
                       c[C_EXAMPLES], t->job->n_examples);
    if (c[C_TOTAL] != t->total && strcmp(t->cfg->optim.schedule, "constant") != 0)
        return err_set(err, ERR_OPTION,
                       "the checkpoint is of a %s schedule over %" PRId64
                       " steps, now it is over %" PRId64,
                       t->cfg->optim.schedule, c[C_TOTAL], t->total);
    if (c[C_STEP] > t->total)
        return err_set(err, ERR_OPTION,
                       "the checkpoint is at step %" PRId64 ", beyond the %" PRId64
                       " asked for",
                       c[C_STEP], t->total);
    int64_t seen = t->per_epoch ? -1 : c[C_STEP];
    if (t->per_epoch && c[C_EPOCH] >= 0 && c[C_EPOCH] <= INT64_MAX / t->per_epoch - 1)
        seen = c[C_EPOCH] * t->per_epoch + c[C_POSITION] / t->cfg->batch;
    if (c[C_STEP] < 0 || c[C_EVALUATED] > c[C_STEP] || c[C_BEST_STEP] > c[C_STEP] ||
        seen != c[C_STEP])
        return err_set(err, ERR_FORMAT, "its counters contradict each other");
    return true;
}

static bool tensors_ok(const Trainer *t, const TensorSet *file, Err *err)
{
    char is[96], must[96];
    for (int i = 0; i < tset_count(t->live); i++) {
        const char *name = tset_name(t->live, i);
        const Tensor *want = tset_at(t->live, i), *have = tset_get(file, name);
        if (!have)
            return err_set(err, ERR_FORMAT, "the tensor '%s' is missing", name);
        if (have->dtype != want->dtype || !tensor_same_shape(have, want))
            return err_set(err, ERR_FORMAT, "the tensor '%s' is %s; it must be %s",
                           name, tensor_format_shape(have, is),
                           tensor_format_shape(want, must));
    }
    if (tset_count(file) != tset_count(t->live))
        return err_set(err, ERR_FORMAT, "it holds %d tensors; this training has %d",
                       tset_count(file), tset_count(t->live));
    return true;
}

static bool read_best(const TensorSet *file, double *best, Err *err)
{
    const char *text = tset_meta(file, "train.best");
    char *end;
    *best = text ? strtod(text, &end) : 0;
    if (!text || end == text || *end || isnan(*best))
        return err_set(err, ERR_FORMAT, "'train.best' is %.40s; it must be a number",
                       text ? text : "missing");
    return true;
}

static bool take_file(Trainer *t, const TensorSet *file, Err *err)
{
    int64_t c[N_COUNTERS];
    double best;
    if (!same_settings(t, file, err) || !read_best(file, &best, err))
        return false;
    for (int i = 0; i < N_COUNTERS; i++)
        if (!read_counter(file, counter_keys[i], &c[i], err))
            return false;
    if (!counters_ok(t, c, err) || !tensors_ok(t, file, err))
        return false;
    if (t->job->feed) {
        t->sampler.epoch = c[C_EPOCH];
        t->sampler.position = c[C_POSITION];
    } else if (t->per_epoch && !sampler_seek(&t->sampler, c[C_EPOCH], c[C_POSITION], err)) {
        return false;
    }
    for (int i = 0; i < tset_count(t->live); i++) {
        Tensor dst = *tset_at(t->live, i);
        if (!tensor_copy_into(tset_get(file, tset_name(t->live, i)), &dst, err))
            return false;
    }
    t->step = c[C_STEP];
    t->evaluated = c[C_EVALUATED];
    t->best_step = c[C_BEST_STEP];
    t->best = best;
    return true;
}

bool checkpoint_resume(Trainer *t, Err *err)
{
    TensorSet *file;
    const char *path = t->cfg->resume;
    if (!safetensors_load(path, &file, err))
        return err_prefix(err, "resume");
    bool ok = take_file(t, file, err);
    tset_free(file);
    return ok || err_prefix(err, "resume from %s", path);
}
