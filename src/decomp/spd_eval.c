/* spd_eval.c -- one graph per call, run once a batch; importances are read back and
 * counted here in fixed bins, so nothing grows with the number of positions. */
#include "decomp/spd_eval.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "decomp/spd_int.h"
#include "graph/build.h"
#include "graph/plan.h"
#include "tensor/rng.h"

static const double alive_density = 0.001, alive_norm = 0.017;
static const double pre_low = -2, pre_high = 3;

int spd_loss_count(void)
{
    return (int)spd_n_loss_rows;
}

const char *spd_loss_name(int i)
{
    return spd_loss_rows[i].name;
}

const char *spd_loss_doc(int i)
{
    return spd_loss_rows[i].doc;
}

typedef struct Eval {
    Spd *s;
    const SpdEvalCfg *cfg;
    SpdEval *out;
    Plan *plan;
    Tensor idx; /* i32 [B], zeroed when the target draws its batches */
    Tensor input[1];
    Arena *arena;
    SpdHeads heads;               /* at least one */
    double whole[SPD_MAX_LAYERS]; /* |W x|^2 so far; `left` is |D x|^2 until the end */
} Eval;

/* ---- the graph ------------------------------------------------------------------- */

static void put(Graph *g, const char *what, int k, Val v)
{
    char name[48];
    snprintf(name, sizeof name, "%s.%d", what, k);
    graph_output(g, name, v);
}

static const Tensor *got(const Eval *e, const char *what, int k)
{
    char name[48];
    snprintf(name, sizeof name, "%s.%d", what, k);
    int i = plan_output_index(e->plan, name);
    return i < 0 ? NULL : plan_output(e->plan, i);
}

static bool wanted(const Eval *e, size_t k)
{
    const SpdLossRow *row = &spd_loss_rows[k];
    double w;
    memcpy(&w, (const char *)&e->s->cfg + row->coefficient, sizeof w);
    bool adversary = row->build == spd_loss_pgd;
    return adversary ? e->cfg->adversary && w > 0 : true;
}

static void add_full(Eval *e, SpdForm *f)
{
    Graph *g = f->g;
    for (size_t k = 0; k < spd_n_loss_rows && graph_ok(g); k++)
        if (wanted(e, k))
            put(g, "loss", (int)k, spd_loss_rows[k].build(f, &spd_loss_rows[k]));
    for (int m = 0; m < SPD_MASK_COUNT && graph_ok(g); m++) {
        SpdPass p;
        spd_pass_init(&p, (SpdMask)m, "%s.mask.%d", f->stream, m);
        p.delta = m == SPD_MASK_STOCHASTIC && e->s->cfg.delta;
        Val out = spd_pass(f, &p);
        put(g, "out", m, out);
        put(g, "recon", m, spd_divergence(f, out));
    }
    for (int l = 0; l < e->s->target.n_layers && graph_ok(g); l++) {
        SpdPass p;
        spd_pass_init(&p, SPD_MASK_STOCHASTIC, "%s.alone.%d", f->stream, l);
        p.delta = e->s->cfg.delta;
        p.layers = 1u << l;
        put(g, "alone", l, spd_pass(f, &p));
    }
}

/* The network's layer against all components of it, on its own inputs. */
static void add_left(SpdForm *f, int l)
{
    Graph *g = f->g;
    const SpdSeen *y = &f->seen[l];
    const Tensor *bias = &f->s->target.layer[l].bias;
    Val whole = bias->data ? g_sub(g, y->rows, graph_const(g, bias)) : y->rows;
    Val parts = g_matmul(g, y->a, y->U, false, false);
    put(g, "left", l, g_sum(g, g_square(g, g_sub(g, whole, parts))));
    put(g, "whole", l, g_sum(g, g_square(g, whole)));
}

static void add_weights(Eval *e, Graph *g)
{
    for (int l = 0; l < e->s->target.n_layers && graph_ok(g); l++) {
        Val D = spd_delta(e->s, g, l);
        Val W = graph_const(g, &e->s->target.layer[l].weight);
        put(g, "delta", l, g_sum(g, g_square(g, D)));
        put(g, "weight", l, g_sum(g, g_square(g, W)));
        put(g, "V", l, spd_V(e->s, g, l));
        put(g, "U", l, spd_U(e->s, g, l));
    }
}

static bool make_plan(Eval *e, Err *err)
{
    Spd *s = e->s;
    const SpdTarget *t = &s->target;
    Graph *g = graph_new(err);
    SpdForm f;
    if (!g)
        return false;
    Val idx = t->n_examples ? graph_input(g, "idx", I32, 1, &s->cfg.batch) : VAL_NONE;
    if (spd_batch_form(&f, s, g, idx, s->cfg.batch, false, "eval")) {
        for (int l = 0; l < t->n_layers; l++) {
            put(g, "g", l, f.seen[l].g);
            put(g, "z", l, f.seen[l].z);
            add_left(&f, l);
        }
        add_weights(e, g);
        if (t->labels)
            put(g, "labels", 0, t->labels(t->ctx, g, idx));
        if (e->cfg->full)
            add_full(e, &f);
    }
    if (graph_ok(g))
        e->plan = plan_new(g, (uint64_t)s->cfg.seed, err);
    else
        *err = *graph_err(g);
    graph_free(g);
    return e->plan != NULL;
}

/* ---- counting -------------------------------------------------------------------- */

static int bin_of(double v)
{
    int b = (int)(v * SPD_BINS);
    return b < 0 ? 0 : b >= SPD_BINS ? SPD_BINS - 1 : b;
}

static void count_pre(SpdLayerEval *y, const Tensor *z)
{
    const float *v = z->data;
    for (int64_t i = 0, n = tensor_count(z); i < n; i++) {
        double at = ((double)v[i] - pre_low) / (pre_high - pre_low);
        y->hist_pre[at < 0 ? SPD_BINS : at > 1 ? SPD_BINS + 1 : bin_of(at)]++;
    }
}

/* g [B * positions, C] */
static void count_ci(SpdLayerEval *y, const Tensor *t, int64_t B, double tau)
{
    int64_t C = y->C, each = B > 0 ? t->dim[0] / B : 0;
    y->positions = each;
    for (int64_t b = 0; b < B; b++)
        for (int64_t c = 0; c < C; c++) {
            double top = 0;
            for (int64_t p = 0; p < each; p++) {
                double v = (double)((const float *)t->data)[(b * each + p) * C + c];
                y->mean_ci[c] += v;
                y->density[c] += v > tau;
                y->hist_ci[bin_of(v)]++;
                top = v > top ? v : top;
            }
            y->mean_ci_image[c] += top;
            y->density_image[c] += top > tau;
            y->hist_ci_image[bin_of(top)]++;
        }
}

static int64_t answer(const float *x, int64_t n)
{
    int64_t best = 0;
    for (int64_t k = 1; k < n; k++)
        best = x[k] > x[best] ? k : best;
    return best;
}

/* Adds the shares of rows on which x and y give the same answer: in every head at once,
 * and in each. */
static void compare(const SpdHeads *h, const Tensor *x, const Tensor *y, double *all,
                    double *each)
{
    int64_t n = x->dim[0], O = x->dim[1];
    for (int64_t i = 0; i < n; i++) {
        int same = 0;
        for (int k = 0; k < h->n; k++) {
            int64_t at = i * O + h->first[k];
            bool one = answer((const float *)x->data + at, h->size[k]) ==
                       answer((const float *)y->data + at, h->size[k]);
            each[k] += one / (double)n;
            same += one;
        }
        *all += (same == h->n) / (double)n;
    }
}

/* -log softmax(x)[y] */
static double surprise(const float *x, int64_t n, int64_t y)
{
    double top = (double)x[answer(x, n)], sum = 0;
    for (int64_t k = 0; k < n; k++)
        sum += exp((double)x[k] - top);
    return y >= 0 && y < n ? top + log(sum) - (double)x[y] : (double)NAN;
}

static void score(const SpdHeads *h, const Tensor *out, const Tensor *labels,
                  double *all, double *each, double *ce)
{
    int64_t n = out->dim[0], O = out->dim[1];
    for (int64_t i = 0; i < n; i++) {
        int64_t label = ((const int32_t *)labels->data)[i];
        int right = 0;
        for (int k = 0; k < h->n; k++) {
            const float *x = (const float *)out->data + i * O + h->first[k];
            int64_t y = h->n > 1 ? label / h->divide[k] % h->size[k] : label;
            bool one = answer(x, h->size[k]) == y;
            each[k] += one / (double)n;
            *ce += surprise(x, h->size[k], y) / (double)n;
            right += one;
        }
        *all += (right == h->n) / (double)n;
    }
}

static void add_batch(Eval *e)
{
    SpdEval *o = e->out;
    const Tensor *labels = got(e, "labels", 0), *whole = got(e, "out", 0);
    if (e->s->target.heads.n == 0 && whole)
        e->heads = (SpdHeads){.n = 1, .size = {whole->dim[1]}};
    for (int l = 0; l < o->n_layers; l++) {
        SpdLayerEval *y = &o->layer[l];
        count_ci(y, got(e, "g", l), e->s->cfg.batch, e->s->cfg.tau);
        count_pre(y, got(e, "z", l));
        y->left += tensor_item(got(e, "left", l));
        e->whole[l] += tensor_item(got(e, "whole", l));
        if (e->cfg->full)
            compare(&e->heads, got(e, "alone", l), got(e, "out", 0), &y->agreement,
                    y->agreement_head);
    }
    for (size_t k = 0; k < spd_n_loss_rows; k++) {
        const Tensor *v = got(e, "loss", (int)k);
        o->loss[k] += v ? tensor_item(v) : (double)NAN;
    }
    for (int m = 0; m < SPD_MASK_COUNT; m++) {
        const Tensor *v = got(e, "recon", m), *out = got(e, "out", m);
        o->recon[m] += v ? tensor_item(v) : (double)NAN;
        if (labels && out)
            score(&e->heads, out, labels, &o->accuracy[m], o->accuracy_head[m],
                  &o->ce[m]);
        else
            o->accuracy[m] = o->ce[m] = (double)NAN;
    }
}

/* ---- finishing ------------------------------------------------------------------- */

static void norms(SpdLayerEval *y, const Tensor *V, const Tensor *U)
{
    int64_t C = y->C, I = V->dim[0], O = U->dim[1];
    for (int64_t c = 0; c < C; c++) {
        double v = 0, u = 0;
        for (int64_t i = 0; i < I; i++)
            v += fabs((double)((const float *)V->data)[i * C + c]);
        for (int64_t o = 0; o < O; o++) {
            double w = (double)((const float *)U->data)[c * O + o];
            u += w * w;
        }
        y->norm[c] = v * sqrt(u);
        y->normed += y->norm[c] > alive_norm;
    }
}

static void finish_layer(Eval *e, int l, double *delta, double *weight, double *count)
{
    SpdEval *o = e->out;
    SpdLayerEval *y = &o->layer[l];
    double images = (double)o->examples, rows = images * (double)y->positions;
    for (int64_t c = 0; c < y->C; c++) {
        y->ever += y->density[c] > 0;
        y->l0 += y->density[c] / rows;
        y->l0_image += y->density_image[c] / images;
        y->density[c] /= rows;
        y->mean_ci[c] /= rows;
        y->density_image[c] /= images;
        y->mean_ci_image[c] /= images;
        y->dense += y->density[c] > alive_density;
    }
    int own = e->s->part[l].own; /* tied layers have the same components */
    norms(y, got(e, "V", own), got(e, "U", own));
    double d = tensor_item(got(e, "delta", l)), w = tensor_item(got(e, "weight", l));
    double n = (double)(e->s->part[l].d_in * e->s->part[l].d_out);
    y->faithfulness = d / n;
    y->relative = sqrt(d / (w > 0 ? w : 1));
    y->left = sqrt(y->left / (e->whole[l] > 0 ? e->whole[l] : 1));
    y->agreement = e->cfg->full ? y->agreement / (double)o->batches : (double)NAN;
    for (int k = 0; k < SPD_HEADS; k++)
        y->agreement_head[k] /= (double)o->batches;
    *delta += d;
    *weight += w;
    *count += n;
}

static void finish(Eval *e)
{
    SpdEval *o = e->out;
    double n = (double)o->batches, delta = 0, weight = 0, count = 0;
    for (int l = 0; l < o->n_layers; l++)
        finish_layer(e, l, &delta, &weight, &count);
    o->faithfulness = delta / count;
    o->relative = sqrt(delta / (weight > 0 ? weight : 1));
    for (size_t k = 0; k < SPD_EVAL_LOSSES; k++)
        o->loss[k] = k < spd_n_loss_rows ? o->loss[k] / n : (double)NAN;
    for (int m = 0; m < SPD_MASK_COUNT; m++) {
        o->recon[m] /= n;
        o->accuracy[m] /= n;
        for (int k = 0; k < SPD_HEADS; k++)
            o->accuracy_head[m][k] /= n;
        o->ce[m] /= n;
    }
}

/* ---- the call -------------------------------------------------------------------- */

static bool make_room(Eval *e, Err *err)
{
    SpdEval *o = e->out;
    if (!(e->arena = arena_new(err)))
        return false;
    o->memory = e->arena;
    o->n_layers = e->s->target.n_layers;
    for (int l = 0; l < o->n_layers; l++) {
        SpdLayerEval *y = &o->layer[l];
        y->C = e->s->part[l].C;
        double **const lists[] = {&y->density, &y->density_image, &y->mean_ci,
                                  &y->mean_ci_image, &y->norm};
        for (size_t k = 0; k < ARRAY_LEN(lists); k++) {
            *lists[k] = arena_alloc(e->arena, sizeof(double) * (size_t)y->C, err);
            if (!*lists[k])
                return false;
        }
    }
    return true;
}

static bool one_batch(Eval *e, int64_t b, Err *err)
{
    uint64_t step = e->cfg->draw * 1000003u + (uint64_t)b;
    RngKey key = {.seed = (uint64_t)e->s->cfg.seed,
                  .stream = rng_stream("spd.eval"),
                  .step = step};
    for (int64_t i = 0; e->idx.data && i < e->s->cfg.batch; i++)
        ((int32_t *)e->idx.data)[i] =
            (int32_t)rng_below(key, i, e->s->target.n_examples);
    e->input[0] = e->idx;
    plan_set_step(e->plan, step);
    if (!plan_run(e->plan, e->input, err))
        return false;
    add_batch(e);
    return true;
}

bool spd_evaluate(Spd *s, const SpdEvalCfg *cfg, SpdEval *out, Err *err)
{
    Eval e = {.s = s, .cfg = cfg, .out = out};
    SpdCfg keep = s->cfg;
    *out = (SpdEval){.batches = cfg->batches > 0 ? cfg->batches : 1};
    out->examples = out->batches * s->cfg.batch;
    e.heads = s->target.heads;
    out->n_heads = e.heads.n > 0 ? e.heads.n : 1;
    s->cfg.pgd_steps = 20;
    s->cfg.pgd_size = 0.1;
    s->cfg.pgd_shared = true;
    bool ok = make_room(&e, err) && make_plan(&e, err) &&
              (!s->target.n_examples || tensor_new(I32, 1, &s->cfg.batch, &e.idx, err));
    s->cfg = keep;
    for (int64_t b = 0; ok && b < out->batches; b++)
        ok = one_batch(&e, b, err);
    if (ok)
        finish(&e);
    tensor_release(&e.idx);
    plan_free(e.plan);
    if (!ok)
        spd_eval_done(out);
    return ok;
}

void spd_eval_done(SpdEval *e)
{
    arena_free(e->memory);
    *e = (SpdEval){0};
}
