/* dense.c -- the benchmark table with one more column filled in: the dictionary step
 * against its textbook form, which multiplies the tensors out. With C classes and I
 * pixels it holds, for every class, an I x I matrix of the dictionary, and weighs it by
 * the metric on both sides:
 *     T_c = 1/2 sum_r D_rc (a_r b_r^T + b_r a_r^T),
 *     <T,B> = sum_c tr(T_c S B_c S),   <T,T> = sum_c tr(T_c S T_c S),
 *     logits_c = x^T T_c x.
 * The program's step gets the same numbers from products of the factors. Both run on
 * the same kernels, so the ratio is that of the algorithms; losses that differ by more
 * than 1e-4 are an error. Usage: dense CLEAVE [option=value ...] [case ...], as cleave
 * bench has them. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "decomp/priors.h"
#include "graph/build.h"
#include "graph/optim.h"
#include "graph/plan.h"
#include "ui/bench.h"

typedef struct Dense {
    const BenchDict *d;
    Tensor S;    /* f32 [I,I] */
    Tensor B;    /* f32 [C,I,I] */
    Tensor SBS;  /* f32 [C,I,I] */
    Tensor head; /* f32 [R,C] */
    double BB;   /* <B,B> */
    double var;  /* of the logits */
    Plan *plan;
    int in_t;
    int64_t done;
} Dense;

/* ---- constants ------------------------------------------------------------------- */

static bool dense_tensors(Dense *k, Err *err)
{
    const Interaction *b = &k->d->b;
    int64_t C = b->C, I = b->I, dim[3] = {C, I, I};
    bool ok = tensor_convert(&k->d->S, F32, &k->S, err) &&
              tensor_new(F32, 3, dim, &k->B, err) &&
              tensor_new(F32, 3, dim, &k->SBS, err);
    k->BB = 0;
    for (int64_t c = 0; ok && c < C; c++) {
        Tensor one = {0}, s = {0}, t = {0}, st = {0}, sbs = {0};
        ok = interaction_dense(b, c, &one, err) &&
             metric_apply(&k->d->S, &one, &s, err) && /* B_c S */
             tensor_transpose(&s, 0, 1, &t, err) &&   /* S B_c, as B_c is symmetric */
             tensor_copy(&t, &st, err) && metric_apply(&k->d->S, &st, &sbs, err);
        for (int64_t i = 0; ok && i < I * I; i++) {
            double x = ((double *)one.data)[i], y = ((double *)sbs.data)[i];
            ((float *)k->B.data)[c * I * I + i] = (float)x;
            ((float *)k->SBS.data)[c * I * I + i] = (float)y;
            k->BB += x * y;
        }
        tensor_release(&t);
        tensor_release(&st);
        tensor_release(&one);
        tensor_release(&s);
        tensor_release(&sbs);
    }
    return ok;
}

static void logits_variance(Dense *k)
{
    int64_t n = tensor_count(&k->d->logits);
    double sum = 0, square = 0;
    for (int64_t i = 0; i < n; i++) {
        double v = (double)((float *)k->d->logits.data)[i];
        sum += v / (double)n;
        square += v * v / (double)n;
    }
    k->var = square - sum * sum;
}

static bool dense_init(Dense *k, Err *err)
{
    Dictionary now;
    if (!dictfit_finish(k->d->fit, &now, err))
        return false;
    k->head = tensor_retain(&now.head);
    dict_done(&now);
    if (k->d->x.data)
        logits_variance(k);
    return dense_tensors(k, err);
}

static void dense_done(Dense *k)
{
    plan_free(k->plan);
    tensor_release(&k->S);
    tensor_release(&k->B);
    tensor_release(&k->SBS);
    tensor_release(&k->head);
}

/* ---- the step -------------------------------------------------------------------- */

static Val permuted(Graph *g, Val x, int64_t a, int64_t b, int64_t c)
{
    OpAttr axes = {
        .n_list = 3, .list = {a, b, c}
    };
    return g_call(g, "permute", &x, 1, &axes);
}

/* T [C,I,I] of factors a, b [R,I] and head [R,C]. */
static Val dense_dictionary(Graph *g, Val head, Val a, Val b)
{
    Val scaled = g_einsum(g, "rc,ri->cri", head, a);
    Val half = g_einsum(g, "cri,rj->cij", scaled, b);
    return g_scale(g, g_add(g, half, permuted(g, half, 0, 2, 1)), 0.5);
}

/* S T_c S of every class. */
static Val weighed(Graph *g, Val S, Val T)
{
    return g_einsum(g, "ik,ckj->cij", S, g_einsum(g, "cij,jk->cik", T, S));
}

/* |T_r|^2 in the metric, of single components with heads of 1. */
static Val component_norms(Graph *g, Val S, Val a, Val b)
{
    Val aS = g_matmul(g, a, S, false, false), bS = g_matmul(g, b, S, false, false);
    Val aa = g_sum_axis(g, g_mul(g, aS, a), 1, false);
    Val bb = g_sum_axis(g, g_mul(g, bS, b), 1, false);
    Val ab = g_sum_axis(g, g_mul(g, aS, b), 1, false);
    return g_scale(g, g_add(g, g_mul(g, aa, bb), g_square(g, ab)), 0.5);
}

static Val priors(const Dense *k, Graph *g, Val a, Val b, Val nrm, Val TT)
{
    const DictCfg *cfg = &k->d->cfg;
    OpAttr axis = {0};
    Val loss = g_num(g, TT, 0);
    Val w = g_exp(
        g, g_scale(g, g_log(g, g_stop(g, g_shift(g, nrm, 1e-20))), cfg->emphasis / 2));
    w = g_div(g, w, g_mean(g, w));
    PriorCtx p = {.g = g,
                  .R = cfg->components,
                  .I = k->d->b.I,
                  .height = k->d->height,
                  .width = k->d->width,
                  .nrm = nrm,
                  .TT = TT,
                  .gram = VAL_NONE,
                  .unlit = VAL_NONE,
                  .q = prior_patterns(g, a, b)};
    p.energy = g_square(g, p.q);
    p.weight = g_call(g, "concat", (Val[]){w, w}, 2, &axis);
    for (size_t i = 0; i < prior_n_rows; i++)
        if (cfg->prior[i] > 0)
            loss = g_add(g, loss, g_scale(g, prior_rows[i].build(&p), cfg->prior[i]));
    return loss;
}

/* Mean squared error of x^T T_c x, T at its best scale, over the logits' variance. */
static Val distillation(const Dense *k, Graph *g, Val T, Val scale, Val idx)
{
    OpAttr axis = {0};
    Val x = g_call(g, "gather", (Val[]){graph_const(g, &k->d->x), idx}, 2, &axis);
    Val y = g_call(g, "gather", (Val[]){graph_const(g, &k->d->logits), idx}, 2, &axis);
    Val Tx = g_einsum(g, "bi,cij->bcj", x, T);
    Val logits = g_mul(g, g_einsum(g, "bcj,bj->bc", Tx, x), scale);
    return g_scale(g, g_mean(g, g_square(g, g_sub(g, logits, y))), 1 / k->var);
}

static Val dense_loss(const Dense *k, Graph *g, Val a, Val b, Val idx)
{
    Val S = graph_const(g, &k->S), SBS = graph_const(g, &k->SBS);
    Val T = dense_dictionary(g, graph_const(g, &k->head), a, b);
    Val TB = g_sum(g, g_mul(g, T, SBS));
    Val TT = g_sum(g, g_mul(g, T, weighed(g, S, T)));
    Val cosine = g_div(g, TB, g_sqrt(g, g_scale(g, TT, k->BB)));
    Val loss = g_shift(g, g_neg(g, cosine), 1);
    loss = g_add(g, loss, priors(k, g, a, b, component_norms(g, S, a, b), TT));
    if (idx != VAL_NONE)
        loss = g_add(g, loss,
                     g_scale(g, distillation(k, g, T, g_div(g, TB, TT), idx),
                             k->d->cfg.distill));
    return loss;
}

static bool dense_plan(Dense *k, TensorSet *moments, Err *err)
{
    Graph *g = graph_new(err);
    const Tensor *batch = &k->d->idx;
    TensorSet *params = dictfit_params(k->d->fit);
    OptimCfg cfg;
    Val p[2], grad[2];
    if (!g)
        return false;
    for (int i = 0; i < 2; i++)
        p[i] = graph_state(g, tset_name(params, i), tset_at(params, i));
    Val idx = batch->data ? graph_input(g, "idx", I32, 1, batch->dim) : VAL_NONE;
    Val loss = dense_loss(k, g, p[0], p[1], idx);
    graph_output(g, "loss", loss);
    graph_grad(g, loss, p, 2, grad);
    OptimParam step[2] = {
        {"a", p[0], grad[0], 1},
        {"b", p[1], grad[1], 1}
    };
    bool ok = opt_defaults(optim_options, optim_n_options, &cfg, err) &&
              optim_build(g, &cfg, step, 2, moments, err) &&
              (k->plan = plan_new(g, 1, err)) != NULL;
    graph_free(g);
    k->in_t = ok ? plan_input_index(k->plan, "t") : 0;
    return ok && plan_bind_number(k->plan, plan_input_index(k->plan, "lr"),
                                  k->d->cfg.lr, err);
}

static bool dense_step(void *ctx, Err *err)
{
    Dense *k = ctx;
    Tensor in[4] = {0};
    int idx = plan_input_index(k->plan, "idx");
    if (idx >= 0)
        in[idx] = k->d->idx;
    return plan_bind_number(k->plan, k->in_t, (double)++k->done, err) &&
           plan_run(k->plan, in, err);
}

/* The loss is that of the first step, before it changes the parameters. */
static bool measure_dense(const Bench *b, const BenchDict *d, double *seconds,
                          double *loss, Err *err)
{
    Dense k = {.d = d};
    TensorSet *moments = tset_new(err);
    double best;
    bool ok = moments && dense_init(&k, err) && dense_plan(&k, moments, err) &&
              dense_step(&k, err);
    if (ok)
        *loss = tensor_item(plan_output(k.plan, plan_output_index(k.plan, "loss")));
    ok = ok && bench_time(b, dense_step, &k, seconds, &best, err);
    dense_done(&k);
    tset_free(moments);
    return ok;
}

int main(int argc, char **argv)
{
    const CommandRow *row = command_find("bench");
    BenchOptions o;
    Err err = {0};
    int words = 2;
    if (argc < 2 || !opt_defaults(row->options, row->n_options, &o, &err)) {
        fprintf(stderr, "usage: dense CLEAVE [name=value ...] [case ...]\n");
        return EXIT_USAGE;
    }
    for (; words < argc && strchr(argv[words], '='); words++) {
        *strchr(argv[words], '=') = '\0';
        if (!opt_set_text(row->options, row->n_options, &o, argv[words],
                          argv[words] + strlen(argv[words]) + 1, "dense", &err))
            return command_fail(EXIT_USAGE, "%s", err.msg);
    }
    Bench b = {.program = argv[1], .dense = measure_dense};
    return (int)bench_run(&b, &o, argv + words, argc - words);
}
