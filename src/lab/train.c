/* train.c -- the loop. A step is plan_run() at a step number with a batch that follows
 * from (seed, step), so it is a pure function of the live tensors; every 0.1 s of steps
 * these are copied (shadow.h). What goes wrong inside a step -- an interrupt between
 * two updates, NaN -- is undone by going back to the copy and replaying the steps
 * since, at most 0.1 s of work. The loss is looked at each step; parameters and moments
 * whenever a copy, a checkpoint or an evaluation is due, so a copy is always finite and
 * the first bad value is found by replay. */
#include "lab/train.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "base/clock.h"
#include "base/intr.h"
#include "base/mem.h"
#include "graph/build.h"
#include "lab/train_int.h"

#define OPT(field, type, dflt, lo, hi, choices, doc)                                   \
    {#field, type, offsetof(TrainCfg, field), dflt, lo, hi, choices, doc}
#define OPTIM(field, type, dflt, lo, hi, choices, doc)                                 \
    {#field, type, offsetof(TrainCfg, optim.field), dflt, lo, hi, choices, doc}
const OptRow train_options[] = {
    OPT(epochs, OPT_INT, "8", 1, 1e9, NULL, "passes over the training examples"),
    OPT(steps, OPT_INT, "0", 0, 1e15, NULL, "steps; 0: as many as the epochs have"),
    OPT(batch, OPT_INT, "512", 1, 1e9, NULL,
        "examples a step; a shorter rest of an epoch is left out"),
    OPT(noise, OPT_NUM, "0", 0, 1e6, NULL,
        "standard deviation of Gaussian noise added to the input (pixels are 0 to 1)"),
    OPT(noise_share, OPT_NUM, "0.5", 0, 1, NULL,
        "share of the examples that get the noise"),
    OPT(dropout_in, OPT_NUM, "0", 0, 0.999, NULL,
        "share of pixels set to 0, the others are scaled up"),
    OPT(dropout, OPT_NUM, "0", 0, 0.999, NULL,
        "the same for the sites 'hidden' and those that end in '.act'"),
    OPT(shift, OPT_INT, "0", 0, 1000, NULL,
        "images are moved by up to so many pixels down, up, right and left, anew in "
        "each step"),
    OPT(smoothing, OPT_NUM, "0", 0, 1, NULL,
        "label smoothing: the share of the target that is spread over all classes"),
    OPT(seed, OPT_INT, "1", 0, 1e15, NULL,
        "seed of shuffles, noise, dropout and moves"),
    OPT(eval_every, OPT_INT, "1", 0, 1e9, NULL,
        "epochs between evaluations; 0: at the end only"),
    OPT(checkpoint, OPT_STR, "", 0, 0, NULL,
        "path to which -last.safetensors and -best.safetensors are added; empty: none"),
    OPT(checkpoint_every, OPT_INT, "0", 0, 1e15, NULL,
        "steps between checkpoints; 0: each epoch"),
    OPT(resume, OPT_STR, "", 0, 0, NULL, "checkpoint to go on from"),
    OPT(stop_at, OPT_INT, "0", 0, 1e15, NULL,
        "step to stop at as if interrupted; 0: off"),
    OPTIM(method, OPT_ENUM, "adamw", 0, 0, "sgd adam adamw adam_l2", "optimiser"),
    OPTIM(lr, OPT_NUM, "3e-3", 0, 1e6, NULL, "learning rate at its highest"),
    OPTIM(beta1, OPT_NUM, "0.9", 0, 0.999999999, NULL, "decay of Adam's first moment"),
    OPTIM(beta2, OPT_NUM, "0.999", 0, 0.999999999, NULL,
          "decay of Adam's second moment"),
    OPTIM(eps, OPT_NUM, "1e-8", 0, 1, NULL, "added to Adam's denominator"),
    OPTIM(weight_decay, OPT_NUM, "1e-4", 0, 1e6, NULL,
          "weight decay: decoupled in adamw, added to the gradient elsewhere"),
    OPTIM(momentum, OPT_NUM, "0", 0, 0.999999999, NULL, "heavy-ball momentum of sgd"),
    OPTIM(clip, OPT_NUM, "0", 0, 1e30, NULL, "largest global gradient norm; 0: off"),
    OPTIM(
        schedule, OPT_ENUM, "cosine", 0, 0, "constant linear cosine tail onecycle",
        "how the learning rate falls after warm-up: tail, linearly over the last fifth "
        "of the steps; onecycle rises over the first 30 % of them, without warm-up"),
    OPTIM(warmup, OPT_INT, "0", 0, 1e15, NULL, "steps of linear warm-up"),
    OPTIM(final_lr, OPT_NUM, "0", 0, 1, NULL,
          "fraction of lr that linear, cosine and tail end at"),
};
const size_t train_n_options = ARRAY_LEN(train_options);

static const double shadow_seconds = 0.1, progress_seconds = 0.1;
enum { LOG_POINTS = 256 }; /* loss metrics in a training, about */

/* ---- making ---------------------------------------------------------------------- */

/* The graph of one step: loss, gradients, updates. */
static bool build_step(Trainer *t, Graph *g, OptimParam *p, Val *param, Val *grad,
                       Err *err)
{
    const TrainJob *job = t->job;
    int n = tset_count(job->params);
    Val idx = t->per_epoch ? graph_input(g, "idx", I32, 1, &t->cfg->batch) : VAL_NONE;
    Val loss = job->loss(job->ctx, g, idx);
    graph_output(g, "loss", loss);
    for (int i = 0; i < n; i++)
        param[i] = graph_state(g, tset_name(job->params, i), tset_at(job->params, i));
    graph_grad(g, loss, param, n, grad);
    for (int i = 0; i < n; i++)
        p[i] = (OptimParam){.name = tset_name(job->params, i),
                            .param = param[i],
                            .grad = grad[i],
                            .decay = 1};
    if (job->adjust)
        job->adjust(job->ctx, g, p, n);
    if (!optim_build(g, &t->cfg->optim, p, n, t->moments, err))
        return false;
    if (job->after)
        job->after(job->ctx, g);
    if (!graph_ok(g) && err)
        *err = *graph_err(g);
    return graph_ok(g);
}

static bool make_plan(Trainer *t, Err *err)
{
    size_t n = (size_t)tset_count(t->job->params);
    Arena *a = arena_new(err);
    Graph *g = a ? graph_new(err) : NULL;
    OptimParam *p = g ? arena_alloc(a, n * sizeof *p, err) : NULL;
    Val *param = p ? arena_alloc(a, n * sizeof *param, err) : NULL;
    Val *grad = param ? arena_alloc(a, n * sizeof *grad, err) : NULL;
    if (grad && build_step(t, g, p, param, grad, err))
        t->plan = plan_new(g, (uint64_t)t->cfg->seed, err);
    graph_free(g);
    arena_free(a);
    return t->plan != NULL;
}

/* Lists `from` in live, each name with a prefix. */
static bool add_live(Trainer *t, const char *prefix, const TensorSet *from, Err *err)
{
    for (int i = 0; from && i < tset_count(from); i++) {
        char name[300];
        snprintf(name, sizeof name, "%s%s", prefix, tset_name(from, i));
        if (!tset_add(t->live, name, tset_at(from, i), err))
            return false;
    }
    return true;
}

static bool make_live(Trainer *t, Err *err)
{
    int64_t n = N_LOSSES;
    t->live = tset_new(err);
    return t->live && tensor_zeros(F64, 1, &n, &t->losses, err) &&
           add_live(t, "", t->job->params, err) &&
           add_live(t, "optim.", t->moments, err) &&
           add_live(t, "state.", t->job->states, err) &&
           tset_add(t->live, "train.losses", &t->losses, err) &&
           shadow_init(&t->shadow, t->live, err);
}

static bool bind_inputs(Trainer *t, Err *err)
{
    int n = plan_input_count(t->plan);
    t->input = mem_zalloc(sizeof *t->input * (size_t)(n > 0 ? n : 1), err);
    if (!t->input)
        return false;
    t->in_lr = plan_input_index(t->plan, "lr");
    t->in_t = plan_input_index(t->plan, "t");
    t->out_loss = plan_output_index(t->plan, "loss");
    int idx = plan_input_index(t->plan, "idx");
    if (t->per_epoch && !tensor_new(I32, 1, &t->cfg->batch, &t->idx, err))
        return false;
    if (idx >= 0)
        t->input[idx] = t->idx;
    return true;
}

static bool plan_length(Trainer *t, Err *err)
{
    const TrainCfg *cfg = t->cfg;
    if (t->job->feed) {
        t->per_epoch = t->job->n_examples / cfg->batch;
        if (t->per_epoch < 1)
            return err_set(err, ERR_OPTION,
                           "a batch of %" PRId64 " does not fit into %" PRId64
                           " examples",
                           cfg->batch, t->job->n_examples);
    } else if (t->job->n_examples) {
        if (!sampler_init(&t->sampler, t->job->n_examples, cfg->batch,
                          (uint64_t)cfg->seed, true, err))
            return false;
        t->per_epoch = sampler_batches(&t->sampler);
    } else if (cfg->steps == 0) {
        return err_set(err, ERR_OPTION, "a full-batch fit has no epochs: set 'steps'");
    }
    t->total = cfg->steps ? cfg->steps : cfg->epochs * t->per_epoch;
    t->log_every = (t->total + LOG_POINTS - 1) / LOG_POINTS;
    return true;
}

static bool trainer_init(Trainer *t, Err *err)
{
    t->best = -INFINITY;
    t->best_step = t->evaluated = t->saved = -1;
    t->moments = tset_new(err);
    return t->moments && plan_length(t, err) && make_plan(t, err) &&
           make_live(t, err) && bind_inputs(t, err);
}

static void trainer_done(Trainer *t)
{
    plan_free(t->plan);
    shadow_done(&t->shadow);
    sampler_done(&t->sampler);
    tensor_release(&t->idx);
    tensor_release(&t->losses);
    tset_free(t->live);
    tset_free(t->moments);
    mem_free(t->input);
}

/* ---- one step -------------------------------------------------------------------- */

static void note_loss(Trainer *t, double loss)
{
    double *l = t->losses.data;
    if (t->step % t->log_every == 0)
        l[LOSS_SUM] = l[LOSS_COUNT] = 0;
    l[t->step % RECENT] = loss;
    l[LOSS_SUM] += loss;
    l[LOSS_COUNT] += 1;
}

/* The examples of the step after t->step. Changes no live tensor. */
static bool feed(Trainer *t, bool *fresh, Err *err)
{
    const TrainFeed *f = t->job->feed;
    *fresh = false;
    if (f)
        return f->next(f->ctx, t->step / t->per_epoch,
                       t->step % t->per_epoch * t->cfg->batch, t->idx.data, fresh, err);
    if (t->per_epoch)
        sampler_next(&t->sampler, t->idx.data);
    return true;
}

/* The step after t->step on these, as it is. On failure the live tensors may be half
 * updated. */
static bool compute(Trainer *t, double *loss, Err *err)
{
    double lr = sched_rate(&t->cfg->optim, t->step + 1, t->total);
    if (t->in_lr >= 0 && !plan_bind_number(t->plan, t->in_lr, lr, err))
        return false;
    if (t->in_t >= 0 && !plan_bind_number(t->plan, t->in_t, (double)(t->step + 1), err))
        return false;
    plan_set_step(t->plan, (uint64_t)t->step);
    if (!plan_run(t->plan, t->input, err))
        return false;
    *loss = tensor_item(plan_output(t->plan, t->out_loss));
    note_loss(t, *loss);
    if (t->job->feed) { /* these two are all of the sampler that a fed job uses */
        t->sampler.epoch = t->step / t->per_epoch;
        t->sampler.position = (t->step % t->per_epoch + 1) * t->cfg->batch;
    }
    t->step++;
    return true;
}

static bool raw_step(Trainer *t, double *loss, Err *err)
{
    bool fresh;
    return feed(t, &fresh, err) && compute(t, loss, err);
}

static bool go_back(Trainer *t, Err *err)
{
    shadow_restore(&t->shadow);
    t->step = t->shadow.step;
    t->sampler.epoch = t->shadow.epoch;
    t->sampler.position = t->shadow.position;
    return !t->per_epoch || t->job->feed ||
           sampler_seek(&t->sampler, t->shadow.epoch, t->shadow.position, err);
}

/* The state after `step` steps, which is not before the copy. A pending interrupt
 * waits. */
static bool replay_to(Trainer *t, int64_t step, Err *err)
{
    bool pending = intr_pending();
    double loss;
    bool ok = go_back(t, err);
    while (ok && t->step < step) {
        intr_clear();
        ok = raw_step(t, &loss, err);
        if (!ok && intr_pending()) { /* one more signal: again from the copy */
            pending = true;
            ok = go_back(t, err);
        }
    }
    if (pending)
        intr_raise();
    return ok;
}

static bool all_finite(const TensorSet *s)
{
    for (int i = 0; i < tset_count(s); i++)
        if (!tensor_finite(tset_at(s, i)))
            return false;
    return true;
}

/* What is not finite after a step, causes before effects: a first moment is NaN because
 * the gradient is. Empty when all is well. */
static bool find_bad(const Trainer *t, double loss, char what[320])
{
    what[0] = '\0';
    if (!isfinite(loss)) {
        snprintf(what, 320, "the loss");
        return true;
    }
    for (int i = 0; i < tset_count(t->moments); i++) {
        const char *name = tset_name(t->moments, i), *dot = strrchr(name, '.');
        if (tensor_finite(tset_at(t->moments, i)))
            continue;
        if (strcmp(dot, ".m") == 0)
            snprintf(what, 320, "the gradient of '%.*s'", (int)(dot - name), name);
        else
            snprintf(what, 320, "the squared gradient of '%.*s'", (int)(dot - name),
                     name);
        return true;
    }
    for (int i = 0; i < tset_count(t->job->params); i++)
        if (!tensor_finite(tset_at(t->job->params, i))) {
            snprintf(what, 320, "the parameter '%.200s'", tset_name(t->job->params, i));
            return true;
        }
    return false;
}

/* Something is not finite at t->step: finds the first such step since the copy, goes to
 * the state before it, and says so. Always false. */
static bool diverged(Trainer *t, Err *err)
{
    int64_t last = t->step, bad = last;
    char what[320] = "a value";
    double loss = 0;
    bool pending = intr_pending(), ok = go_back(t, err);
    while (ok && t->step < last) {
        intr_clear();
        bad = t->step + 1;
        ok = raw_step(t, &loss, err);
        if (!ok && intr_pending()) {
            pending = true;
            ok = go_back(t, err);
        } else if (ok && find_bad(t, loss, what)) {
            break;
        }
    }
    if (pending)
        intr_raise();
    if (!ok || !replay_to(t, bad - 1, err))
        return false;
    return err_set(err, ERR_NUMERIC,
                   "%s is not finite at step %" PRId64 "; the parameters are those of "
                   "step %" PRId64 "; a lower learning rate, clipping or warm-up may help",
                   what, bad, bad - 1);
}

static bool check_finite(Trainer *t, Err *err)
{
    return (all_finite(t->job->params) && all_finite(t->moments)) || diverged(t, err);
}

static bool take_shadow(Trainer *t, Err *err)
{
    if (!check_finite(t, err))
        return false;
    shadow_take(&t->shadow);
    t->shadow.step = t->step;
    t->shadow.epoch = t->sampler.epoch;
    t->shadow.position = t->sampler.position;
    t->shadow_due = t->step_seconds + shadow_seconds;
    return true;
}

/* One whole step, or none. */
static bool advance(Trainer *t, Err *err)
{
    double loss, start = clock_now();
    int64_t before = t->step;
    bool fresh;
    /* Neither undoes anything; a copy here keeps replays from reading again. */
    if (!feed(t, &fresh, err) || (fresh && !take_shadow(t, err)))
        return false;
    if (!compute(t, &loss, err)) {
        Err second = {0};
        if (!replay_to(t, before, &second))
            err_prefix(err, "%s, and the step cannot be undone", second.msg);
        return false;
    }
    t->step_seconds += clock_now() - start;
    if (!isfinite(loss))
        return diverged(t, err);
    return t->step_seconds < t->shadow_due || take_shadow(t, err);
}

/* ---- between steps --------------------------------------------------------------- */

static double recent_loss(const Trainer *t)
{
    const double *l = t->losses.data;
    int64_t n = t->step < RECENT ? t->step : RECENT;
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += l[i];
    return n ? sum / (double)n : (double)NAN;
}

static bool tell_metric(Trainer *t, const char *const *names, const double *v, int n,
                        Err *err)
{
    const TrainHooks *h = t->hooks;
    return !h || !h->metric || h->metric(h->ctx, t->step, names, v, n, err);
}

/* The loss, the rate, and the scalars that the loss made outputs, as they are now. */
static bool tell_loss(Trainer *t, Err *err)
{
    enum { MOST = 24 };
    const char *names[MOST] = {"loss", "lr"};
    const double *l = t->losses.data;
    double v[MOST] = {l[LOSS_SUM] / l[LOSS_COUNT],
                      sched_rate(&t->cfg->optim, t->step, t->total)};
    int n = 2;
    int outputs = t->job->curves ? plan_output_count(t->plan) : 0;
    for (int i = 0; i < outputs && n < MOST; i++) {
        const Tensor *out = plan_output(t->plan, i);
        if (i == t->out_loss || tensor_count(out) != 1)
            continue;
        names[n] = plan_output_name(t->plan, i);
        v[n++] = tensor_item(out);
    }
    return tell_metric(t, names, v, n, err);
}

/* At most ten times a second, and at the end. */
static bool tell_progress(Trainer *t, bool last, Err *err)
{
    const TrainHooks *h = t->hooks;
    double now = clock_now();
    char text[160], epoch[64] = "";
    if (!h || !h->progress || (!last && now - t->shown_at < progress_seconds))
        return true;
    double rate =
        (double)(t->step - t->shown_step) / (t->step_seconds - t->shown_seconds);
    if (t->per_epoch)
        snprintf(epoch, sizeof epoch, "epoch %" PRId64 "/%" PRId64 ", ",
                 (t->step + t->per_epoch - 1) / t->per_epoch,
                 (t->total + t->per_epoch - 1) / t->per_epoch);
    int n = snprintf(text, sizeof text, "%sloss %.4f", epoch, recent_loss(t));
    if (isfinite(rate) && rate > 0)
        snprintf(text + n, sizeof text - (size_t)n, ", %.*f steps/s", rate < 10 ? 1 : 0,
                 rate);
    t->shown_at = now;
    t->shown_step = t->step;
    t->shown_seconds = t->step_seconds;
    return h->progress(h->ctx, (double)t->step, (double)t->total, text, err);
}

static bool score(Trainer *t, Err *err)
{
    t->n_scores = TRAIN_MAX_SCORES;
    if (t->job->step)
        *t->job->step = t->step;
    bool ok = t->job->evaluate(t->job->ctx, t->score_name, t->score, &t->n_scores, err);
    if (!ok)
        t->n_scores = 0;
    return ok;
}

static bool evaluate(Trainer *t, Err *err)
{
    if (!check_finite(t, err) || !score(t, err) ||
        !tell_metric(t, t->score_name, t->score, t->n_scores, err))
        return false;
    t->evaluated = t->step;
    if (t->n_scores == 0 || t->job->no_best || !(t->score[0] > t->best))
        return true;
    t->best = t->score[0];
    t->best_step = t->step;
    return checkpoint_save(t, "best", err);
}

static bool save_last(Trainer *t, Err *err)
{
    if (t->saved == t->step)
        return true;
    if (!check_finite(t, err) || !checkpoint_save(t, "last", err))
        return false;
    t->saved = t->step;
    return true;
}

static bool due(const Trainer *t, int64_t every)
{
    return every > 0 && t->step % every == 0;
}

static bool evaluate_due(const Trainer *t)
{
    int64_t by_epoch = t->cfg->eval_every * t->per_epoch;
    return t->job->evaluate && t->evaluated < t->step &&
           (t->step == t->total ||
            due(t, t->job->eval_steps ? t->job->eval_steps : by_epoch));
}

static bool after_step(Trainer *t, Err *err)
{
    int64_t every = t->cfg->checkpoint_every;
    if ((due(t, t->log_every) || t->step == t->total) && !tell_loss(t, err))
        return false;
    if (evaluate_due(t) && !evaluate(t, err))
        return false;
    if (due(t, every ? every : t->per_epoch) && !save_last(t, err))
        return false;
    return tell_progress(t, t->step == t->total, err);
}

/* ---- the run --------------------------------------------------------------------- */

static bool run(Trainer *t, Err *err)
{
    int64_t end = t->total, stop = t->cfg->stop_at;
    if (stop > 0 && stop < end)
        end = stop;
    /* An evaluation that the interrupted run still owed comes first. */
    bool ok =
        take_shadow(t, err) && (t->step == 0 || !evaluate_due(t) || evaluate(t, err));
    while (ok && t->step < end)
        ok = advance(t, err) && after_step(t, err);
    if (ok && t->step == t->total && t->job->evaluate && t->n_scores == 0)
        ok = score(t, err); /* resumed at the end */
    return ok;
}

static double score_named(const Trainer *t, const char *name)
{
    for (int i = 0; i < t->n_scores; i++)
        if (strcmp(t->score_name[i], name) == 0)
            return t->score[i];
    return NAN;
}

static void report(const Trainer *t, bool interrupted, TrainReport *out)
{
    *out = (TrainReport){
        .steps = t->step,
        .epochs = t->per_epoch ? t->step / t->per_epoch : 0,
        .loss = recent_loss(t),
        .test_acc = score_named(t, "test_acc"),
        .test_loss = score_named(t, "test_loss"),
        .best_acc = t->best_step >= 0 ? t->best : (double)NAN,
        .seconds = clock_now() - t->begun,
        .interrupted = interrupted || t->step < t->total,
    };
    if (t->step > t->first)
        out->steps_per_second = (double)(t->step - t->first) / t->step_seconds;
}

static bool train(Trainer *t, TrainReport *out, Err *err)
{
    if (!trainer_init(t, err) || (t->cfg->resume[0] && !checkpoint_resume(t, err)))
        return false;
    t->begun = t->shown_at = clock_now();
    t->first = t->shown_step = t->step;
    bool ok = run(t, err), interrupted = !ok && err->code == ERR_INTERRUPT;
    if (interrupted)
        err_clear(err);
    ok = (ok || interrupted) && save_last(t, err);
    report(t, interrupted, out);
    return ok;
}

bool train_run(const TrainJob *job, const TrainCfg *cfg, const TrainHooks *hooks,
               TrainReport *out, Err *err)
{
    Trainer t = {.job = job, .cfg = cfg, .hooks = hooks};
    TrainReport ignored;
    Err local = {0};
    out = out ? out : &ignored;
    *out = (TrainReport){0};
    bool ok = train(&t, out, &local);
    trainer_done(&t);
    if (!ok && err) {
        *err = local;
        err_prefix(err, "%s", job->name);
    }
    return ok;
}
