/* Whole training steps: a plan against the same recorded nodes called one by one
 * eagerly, with one and two threads, in every instruction set, over several steps. */
#include "graph_support.h"

#include "base/kern.h"
#include "base/str.h"
#include "graph/graph_int.h"
#include "graph/optim.h"

enum { MAX_PARAM = 5, N_DATA = 60, PIXELS = 50, CLASSES = 7, STEPS = 6 };

typedef struct Net {
    Graph *g;
    TensorSet *moments;
    Tensor images, labels, param[MAX_PARAM];
    Val val[MAX_PARAM];
    int n;
    int64_t batch, hidden;
} Net;

static Val param(Net *t, const char *name, int64_t rows, int64_t cols)
{
    int64_t dim[2] = {rows, cols};
    int k = t->n++;
    t->param[k] = t_random(100 + (uint64_t)k, F32, cols ? 2 : 1, dim, -0.2, 0.2);
    return t->val[k] = graph_state(t->g, name, &t->param[k]);
}

static Val mlp(Net *t, Val x)
{
    Graph *g = t->g;
    Val w1 = param(t, "fc1.w", t->hidden, PIXELS), b1 = param(t, "fc1.b", t->hidden, 0);
    Val w2 = param(t, "fc2.w", CLASSES, t->hidden), b2 = param(t, "fc2.b", CLASSES, 0);
    Val noise = g_scale(g, g_normal(g, "noise", F32, 2, DIMS(t->batch, PIXELS)), 0.1);
    Val h = g_relu(g, graph_site(g, "fc1", g_linear(g, g_add(g, x, noise), w1, b1)));
    return graph_site(g, "logits", g_linear(g, h, w2, b2));
}

static Val bilinear(Net *t, Val x)
{
    Graph *g = t->g;
    Val w = param(t, "w", t->hidden, PIXELS), v = param(t, "v", t->hidden, PIXELS);
    Val p = param(t, "p", CLASSES, t->hidden);
    Val h = g_mul(g, g_linear(g, x, w, VAL_NONE), g_linear(g, x, v, VAL_NONE));
    return graph_site(g, "logits", g_linear(g, g_gelu(g, h), p, VAL_NONE));
}

static Net net_new(int64_t batch, int64_t hidden, Val (*model)(Net *t, Val x),
                   const char *method, double clip)
{
    Err err = {0};
    Net t = {.g = graph_new(&err),
             .moments = tset_new(&err),
             .batch = batch,
             .hidden = hidden};
    Graph *g = t.g;
    t.images = t_make(U8, 2, DIMS(N_DATA, PIXELS));
    t.labels = t_make(I32, 1, DIMS(N_DATA));
    RngKey key = {3, rng_stream("data"), 0};
    for (int64_t i = 0; i < N_DATA * PIXELS; i++)
        ((uint8_t *)t.images.data)[i] = (uint8_t)rng_below(key, i, 256);
    for (int64_t i = 0; i < N_DATA; i++)
        ((int32_t *)t.labels.data)[i] =
            (int32_t)rng_below(key, N_DATA * PIXELS + i, CLASSES);
    Val idx = graph_input(g, "idx", I32, 1, DIMS(batch)), grad[MAX_PARAM];
    Val x = g_binary(g, "batch_u8", graph_const(g, &t.images), idx);
    Val y = g_binary(g, "gather", graph_const(g, &t.labels), idx);
    Val loss = g_cross_entropy(g, model(&t, x), y);
    Tensor ema = t_make(F32, 0, NULL);
    Val mean = graph_state(g, "loss.mean", &ema);
    tensor_release(&ema);
    graph_grad(g, loss, t.val, t.n, grad);
    OptimParam p[MAX_PARAM];
    for (int i = 0; i < t.n; i++)
        p[i] = (OptimParam){g->states.at[g->val[t.val[i]].index].name, t.val[i],
                            grad[i], 1};
    OptimCfg cfg;
    assert_ok(opt_defaults(optim_options, optim_n_options, &cfg, &err), err);
    assert_true(text_copy(cfg.method, sizeof cfg.method, method));
    cfg.clip = clip;
    cfg.weight_decay = 0.01;
    assert_ok(optim_build(g, &cfg, p, t.n, t.moments, &err), err);
    graph_assign(g, mean, g_add(g, g_scale(g, mean, 0.9), g_scale(g, loss, 0.1)));
    graph_output(g, "loss", loss);
    graph_output(g, "mean", mean);
    if (!graph_ok(g))
        fail_msg("%s", graph_err(g)->msg);
    return t;
}

static void net_free(Net *t)
{
    graph_free(t->g);
    tset_free(t->moments);
    tensor_release(&t->images);
    tensor_release(&t->labels);
    for (int i = 0; i < t->n; i++)
        tensor_release(&t->param[i]);
}

static void fill_inputs(const Net *t, int step, Tensor in[3])
{
    in[0] = t_make(I32, 1, DIMS(t->batch));
    RngKey key = {4, rng_stream("batch"), (uint64_t)step};
    for (int64_t i = 0; i < t->batch; i++)
        ((int32_t *)in[0].data)[i] = (int32_t)rng_below(key, i, N_DATA);
    in[1] = t_scalar(F32, 1e-2);
    in[2] = t_scalar(F32, step + 1);
}

/* Every recorded node, dead and repeated ones too, by op_eager(). */
static double eager_step(Net *t, const Tensor *in, uint64_t seed, int step)
{
    const Graph *g = t->g;
    Err err = {0};
    Tensor *val = calloc((size_t)g->n_val, sizeof *val);
    RunCtx ctx = {seed, (uint64_t)step};
    for (int v = 0; v < g->n_val; v++) {
        const GVal *l = &g->val[v];
        if (l->kind != VK_NODE)
            val[v] = tensor_retain(l->kind == VK_INPUT   ? &in[l->index]
                                   : l->kind == VK_STATE ? &g->states.at[l->index].t
                                                         : &g->consts.at[l->index].t);
    }
    for (int i = 0; i < g->n_node; i++) {
        const GNode *n = &g->node[i];
        const Tensor *x[OP_MAX_IN];
        Tensor out[OP_MAX_OUT];
        for (int k = 0; k < n->n_in; k++)
            x[k] = n->in[k] == VAL_NONE ? NULL : &val[n->in[k]];
        assert_ok(op_eager(n->row, x, n->n_in, &n->attr, &ctx, out, &err), err);
        for (int k = 0; k < n->n_out; k++)
            val[n->out[k]] = out[k];
    }
    double loss = tensor_item(&val[g->outputs.at[0].val]);
    for (int v = 0; v < g->n_val; v++)
        tensor_release(&val[v]);
    free(val);
    return loss;
}

static void assert_equal_nets(const Net *a, const Net *b)
{
    assert_int_equal(a->g->states.n, b->g->states.n);
    for (int i = 0; i < a->g->states.n; i++)
        if (!t_same_bits(&a->g->states.at[i].t, &b->g->states.at[i].t))
            fail_msg("state %s differs", a->g->states.at[i].name);
}

typedef struct Setup {
    int64_t batch, hidden;
    Val (*model)(Net *t, Val x);
    const char *method;
    double clip;
    int fused;
} Setup;

static const Setup setups[] = {
    {8, 33, mlp, "adam", 0, 2},         {8, 600, mlp, "adamw", 0, 2},
    {1, 16, mlp, "adam_l2", 0, 2},      {16, 5, bilinear, "adamw", 0, 3},
    {40, 600, bilinear, "adamw", 0, 0}, {40, 33, mlp, "sgd", 0.5, 0},
    {7, 40, bilinear, "sgd", 0, 3},
};

static void check(const Setup *s)
{
    Err err = {0};
    Net a = net_new(s->batch, s->hidden, s->model, s->method, s->clip);
    Net b = net_new(s->batch, s->hidden, s->model, s->method, s->clip);
    Net c = net_new(s->batch, s->hidden, s->model, s->method, s->clip);
    Plan *p = plan_of(a.g, 9), *q = plan_of(c.g, 9);
    assert_int_equal(plan_info(p).fused, s->fused);
    double first = 0, loss = 0;
    for (int step = 0; step < STEPS; step++) {
        Tensor in[3];
        fill_inputs(&a, 0, in);
        tensor_set(&in[2], NULL, step + 1);
        assert_ok(pool_set_threads(2, &err), err);
        assert_ok(plan_run(p, in, &err), err);
        assert_ok(pool_set_threads(1, &err), err);
        assert_ok(plan_run(q, in, &err), err);
        loss = eager_step(&b, in, 9, step);
        first = step == 0 ? loss : first;
        assert_true(t_at(plan_output(p, 0), 0) == loss);
        assert_equal_nets(&a, &b);
        assert_equal_nets(&a, &c);
        for (int i = 0; i < 3; i++)
            tensor_release(&in[i]);
    }
    assert_true(loss < first); /* one batch again and again: it must learn */
    plan_free(p);
    plan_free(q);
    net_free(&a);
    net_free(&b);
    net_free(&c);
}

static void test_steps(void **state)
{
    (void)state;
    static const char *const isa[] = {"baseline", "avx2", "avx512"};
    const char *best = isa_name();
    size_t live = mem_live();
    for (size_t k = 0; k < ARRAY_LEN(isa); k++)
        if (isa_force(isa[k]))
            for (size_t i = 0; i < ARRAY_LEN(setups); i++)
                check(&setups[i]);
    assert_true(isa_force(best));
    assert_int_equal(mem_live(), live);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_steps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
