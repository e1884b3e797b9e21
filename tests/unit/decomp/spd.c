/* Stochastic parameter decomposition: facts that hold for any components, losses whose
 * values are known by hand, and what settings and files are refused. */
#include "spd_case.h"

#include "decomp/spd_view.h"

static double one(Tensor t)
{
    double v = tensor_item(&t);
    tensor_release(&t);
    return v;
}

/* The form of a graph with inputs 0..B-1. */
static Graph *form_of(Spd *s, SpdForm *f, const char *stream)
{
    Graph *g = graph_new(NULL);
    int64_t B = s->cfg.batch;
    Val idx = graph_input(g, "idx", I32, 1, &B);
    assert_true(spd_batch_form(f, s, g, idx, B, false, stream));
    return g;
}

/* ---- passes ---------------------------------------------------------------------- */

/* With m = d = 1 components and what they leave over are the network, exactly, and no
 * gradient reaches V and U. */
static void test_all_on(void **state)
{
    (void)state;
    Net n = net_make();
    SpdCfg c = net_cfg();
    Spd *s = spd_of(&n, &c);
    SpdForm f;
    SpdPass p;
    Graph *g = form_of(s, &f, "test");
    spd_pass_init(&p, SPD_MASK_STOCHASTIC, "x");
    p.delta = true;
    for (int l = 0; l < 2; l++) {
        Val ones = g_shift(g, g_scale(g, f.seen[l].a, 0), 1);
        p.r[l] = ones;
        p.d[l] = g_reshape(g, g_sum_axis(g, g_scale(g, ones, 1.0 / 7), 1, false), 1,
                           (int64_t[]){16});
        p.d[l] = g_unary(g, "round", p.d[l]);
    }
    Val out = spd_pass(&f, &p), d[4];
    Val wrt[4] = {spd_V(s, g, 0), spd_U(s, g, 0), spd_V(s, g, 1), spd_U(s, g, 1)};
    graph_output(g, "difference", g_sum(g, g_abs(g, g_sub(g, out, f.out))));
    assert_true(graph_grad(g, g_sum(g, g_square(g, out)), wrt, 4, d));
    Val size = g_sum(g, g_abs(g, d[0]));
    for (int k = 1; k < 4; k++)
        size = g_add(g, size, g_sum(g, g_abs(g, d[k])));
    graph_output(g, "gradient", size);
    assert_true(one(run_graph(g, "difference", 1)) == 0);
    assert_true(one(run_graph(g, "gradient", 1)) == 0);
    graph_free(g);
    spd_free(s);
    net_done(&n);
}

/* y = (a . m) U + d D x + b, by loops. */
static void test_delta(void **state)
{
    (void)state;
    Net n = net_make();
    SpdCfg c = net_cfg();
    Spd *s = spd_of(&n, &c);
    SpdForm f;
    SpdPass p;
    Graph *g = form_of(s, &f, "test");
    Tensor r = t_random(8, F32, DIM2(16, 7), 0, 1),
           d = t_random(9, F32, DIM1(16), 0, 1);
    spd_pass_init(&p, SPD_MASK_STOCHASTIC, "x");
    p.delta = true;
    p.layers = 2;
    p.r[1] = graph_const(g, &r);
    p.d[1] = graph_const(g, &d);
    graph_output(g, "y", spd_pass(&f, &p));
    graph_output(g, "g", f.seen[1].g);
    graph_output(g, "x", f.seen[1].in);
    Tensor y = run_graph(g, "y", 1), ci = run_graph(g, "g", 1),
           x = run_graph(g, "x", 1);
    const Tensor *V = par(s, "b.V"), *U = par(s, "b.U");
    for (int i = 0; i < 16; i++)
        for (int o = 0; o < OUT; o++) {
            double want = t_at(&n.b, o);
            for (int h = 0; h < HID; h++) {
                double D = t_at(&n.B, o * HID + h);
                for (int k = 0; k < 7; k++)
                    D -= t_at(V, h * 7 + k) * t_at(U, k * OUT + o);
                want += t_at(&d, i) * D * t_at(&x, i * HID + h);
            }
            for (int k = 0; k < 7; k++) {
                double a = 0, gk = t_at(&ci, i * 7 + k);
                for (int h = 0; h < HID; h++)
                    a += t_at(&x, i * HID + h) * t_at(V, h * 7 + k);
                want +=
                    a * (gk + (1 - gk) * t_at(&r, i * 7 + k)) * t_at(U, k * OUT + o);
            }
            assert_near(t_at(&y, i * OUT + o), want, 2e-5);
        }
    Tensor *own[] = {&y, &ci, &x, &r, &d};
    for (size_t k = 0; k < ARRAY_LEN(own); k++)
        tensor_release(own[k]);
    graph_free(g);
    spd_free(s);
    net_done(&n);
}

/* Masks of one stream: replacing the only layer "one at a time" is replacing all. */
static void test_layerwise_of_one(void **state)
{
    (void)state;
    Net n = net_make();
    SpdCfg c = net_cfg();
    SpdTarget t = net_target(&n);
    Err err = {0};
    t.n_layers = 1;
    Spd *s = spd_new(&c, &t, &err);
    SpdForm f;
    Graph *g = form_of(s, &f, "test");
    for (int k = 0; k < 2; k++) {
        SpdPass p;
        spd_pass_init(&p, SPD_MASK_STOCHASTIC, "same");
        p.delta = true;
        p.layers = k ? 1 : ~0u;
        graph_output(g, k ? "layerwise" : "all", spd_pass(&f, &p));
    }
    Tensor a = run_graph(g, "all", 1), b = run_graph(g, "layerwise", 1);
    assert_true(t_same_bits(&a, &b));
    tensor_release(&a);
    tensor_release(&b);
    graph_free(g);
    spd_free(s);
    net_done(&n);
}

/* Where routing says no, a layer is the network's own applied to the same input. */
static void test_routing(void **state)
{
    (void)state;
    Net n = net_make();
    for (int delta = 0; delta < 2; delta++) {
        SpdCfg c = net_cfg();
        Spd *s = spd_of(&n, &c);
        SpdForm f;
        Graph *g = form_of(s, &f, "test");
        Tensor none = t_make(F32, DIM2(2, 16)), all = t_make(F32, DIM2(2, 16));
        for (int i = 0; i < 32; i++)
            ((float *)all.data)[i] = 1;
        const char *name[] = {"none", "all", "plain"};
        for (int k = 0; k < 3; k++) {
            SpdPass p;
            spd_pass_init(&p, SPD_MASK_STOCHASTIC, "same");
            p.delta = delta;
            if (k < 2)
                p.route = graph_const(g, k ? &all : &none);
            graph_output(g, name[k], spd_pass(&f, &p));
        }
        graph_output(g, "target", f.out);
        Tensor t[4];
        for (int k = 0; k < 3; k++)
            t[k] = run_graph(g, name[k], 1);
        t[3] = run_graph(g, "target", 1);
        for (int64_t i = 0; i < 16 * OUT; i++) {
            assert_near(t_at(&t[0], i), t_at(&t[3], i), 1e-6);
            assert_near(t_at(&t[1], i), t_at(&t[2], i), 1e-6);
        }
        for (int k = 0; k < 4; k++)
            tensor_release(&t[k]);
        tensor_release(&none);
        tensor_release(&all);
        graph_free(g);
        spd_free(s);
    }
    net_done(&n);
}

/* ---- losses ---------------------------------------------------------------------- */

static const SpdLossRow *row_of(const char *name)
{
    for (size_t k = 0; k < spd_n_loss_rows; k++)
        if (!strcmp(spd_loss_rows[k].name, name))
            return &spd_loss_rows[k];
    fail_msg("no loss %s", name);
    return NULL;
}

static double loss_of(Spd *s, const char *name, double t)
{
    SpdForm f;
    Graph *g = form_of(s, &f, "train");
    const SpdLossRow *row = row_of(name);
    Val v = row->build(&f, row);
    graph_output(g, "v", v);
    double out = one(run_graph(g, "v", t));
    graph_free(g);
    return out;
}

/* Deltas [[1,-1],[2,0]] and [[2,-2,1]] give 15/7. */
static void test_faithfulness(void **state)
{
    (void)state;
    static float first[] = {1, -1, 2, 0}, second[] = {2, -2, 1};
    SpdTarget t = {.forward = net_forward, .batch = net_batch, .n_layers = 2};
    for (int l = 0; l < 2; l++)
        t.layer[l] = (SpdLayer){.kind = &spd_linear, .tied = -1};
    strcpy(t.layer[0].name, "a");
    strcpy(t.layer[1].name, "b");
    t.layer[0].weight = tensor_wrap(F32, DIM2(2, 2), first);
    t.layer[1].weight = tensor_wrap(F32, DIM2(1, 3), second);
    SpdCfg c = net_cfg();
    Err err = {0};
    Spd *s = spd_new(&c, &t, &err);
    if (!s)
        fail_msg("%s", err.msg);
    set_value(s, "a.V", 0);
    set_value(s, "b.V", 0);
    Graph *g = graph_new(NULL);
    graph_output(g, "v", spd_faith_loss(s, g, VAL_NONE));
    assert_near(one(run_graph(g, "v", 1)), 15.0 / 7, 1e-6);
    graph_free(g);
    spd_free(s);
}

/* Importances that a linear function of zero weight makes: the same for every input. */
static Spd *constant_importance(Net *n, SpdCfg *c, double first, double second)
{
    text_copy(c->ci, sizeof c->ci, "linear");
    c->eps = 0;
    Spd *s = spd_of(n, c);
    set_value(s, "a.ci.w", 0);
    set_value(s, "b.ci.w", 0);
    set_value(s, "a.ci.b", first);
    set_value(s, "b.ci.b", second);
    return s;
}

static void test_importance(void **state)
{
    (void)state;
    Net n = net_make();
    const double up = 1 + 0.01 * 0.5; /* of 1.5 */
    SpdCfg c = net_cfg();
    c.p = 2;
    Spd *s = constant_importance(&n, &c, 0.25, 1.5);
    assert_near(loss_of(s, "importance", 1), 7 * (0.0625 + up * up), 1e-5);
    s->cfg.frequency = 1;
    double a = 0.0625, b = up * up;
    assert_near(loss_of(s, "importance", 1),
                7 * (a * (1 + log2(1 + 16 * a)) + b * (1 + log2(1 + 16 * b))), 1e-4);
    spd_free(s);
    /* p goes from 2 at a quarter of 100 steps to 1 at three quarters */
    c.p_final = 1;
    c.p_start = 0.25;
    c.p_end = 0.75;
    c.steps = 100;
    s = constant_importance(&n, &c, 0.25, 0);
    const double step[] = {0, 25, 50, 75, 99}, p[] = {2, 2, 1.5, 1, 1};
    for (int k = 0; k < 5; k++)
        assert_near(loss_of(s, "importance", step[k] + 1), 7 * pow(0.25, p[k]), 1e-5);
    spd_free(s);
    net_done(&n);
}

static void test_weights(void **state)
{
    (void)state;
    Net n = net_make();
    SpdCfg c = net_cfg();
    Spd *s = spd_of(&n, &c);
    double l1 = 0, l2 = 0, count = 0;
    const char *name[] = {"a.V", "a.U", "b.V", "b.U"};
    for (int k = 0; k < 4; k++)
        for (int64_t i = 0; i < tensor_count(par(s, name[k])); i++, count++) {
            double v = t_at(par(s, name[k]), i);
            l1 += fabs(v);
            l2 += v * v;
        }
    assert_near(loss_of(s, "l1", 1), l1 / count, 1e-6);
    assert_near(loss_of(s, "l2", 1), l2 / count, 1e-6);
    spd_free(s);
    net_done(&n);
}

/* Components whose importance is 1 cannot be taken away; the delta still can. */
static void test_masks_of_important(void **state)
{
    (void)state;
    Net n = net_make();
    SpdCfg c = net_cfg();
    c.delta = false;
    Spd *s = constant_importance(&n, &c, 1, 1);
    double ones = loss_of(s, "unmasked", 1);
    assert_true(ones > 0);
    assert_near(loss_of(s, "recon", 1), ones, 1e-6);
    assert_near(loss_of(s, "ci_recon", 1), ones, 1e-6);
    assert_near(loss_of(s, "pgd", 1), ones, 1e-6);
    spd_free(s);
    net_done(&n);
}

/* The adversary is worse than chance, whatever the divergence and the plan. (All ones
 * and a delta component is the network itself: no gradient there shows a way.) */
static void test_adversary(void **state)
{
    (void)state;
    Net n = net_make();
    const char *kind[] = {"mse", "kl"}, *init[] = {"random", "ones", "zeros"};
    for (int k = 0; k < 6; k++) {
        SpdCfg c = net_cfg();
        text_copy(c.output, sizeof c.output, kind[k % 2]);
        text_copy(c.pgd_init, sizeof c.pgd_init, init[k / 2]);
        c.pgd_steps = 5;
        c.pgd_size = 0.3;
        c.delta = k < 2;
        Spd *s = constant_importance(&n, &c, 0.3, 0.2);
        assert_true(loss_of(s, "pgd", 1) > loss_of(s, "recon", 1));
        assert_true(loss_of(s, "pgd_layerwise", 1) > loss_of(s, "layerwise", 1));
        assert_true(loss_of(s, "pgd_subset", 1) > 0);
        s->cfg.pgd_shared = true;
        assert_true(loss_of(s, "pgd", 1) > 0);
        spd_free(s);
    }
    net_done(&n);
}

static void test_hidden_acts(void **state)
{
    (void)state;
    Net n = net_make();
    SpdCfg c = net_cfg();
    c.delta = false;
    Spd *s = constant_importance(&n, &c, 1, 0);
    SpdForm f;
    Graph *g = form_of(s, &f, "test");
    /* The first layer is V U and a bias; its input has no error but counts. */
    Val h = g_matmul(g, f.seen[0].a, f.seen[0].U, false, false);
    h = g_relu(g, g_add(g, h, graph_const(g, &n.a)));
    Val e = g_sum(g, g_square(g, g_sub(g, h, f.seen[1].in)));
    graph_output(g, "v", g_scale(g, e, 1.0 / (16 * (IN + HID))));
    assert_near(loss_of(s, "hidden_acts", 1), one(run_graph(g, "v", 1)), 1e-6);
    graph_free(g);
    spd_free(s);
    net_done(&n);
}

/* The step of all losses together, every CI function and both samplings: gradients are
 * finite, and the sum is the sum. */
static void test_step(void **state)
{
    (void)state;
    Net n = net_make();
    const char *ci[] = {"mlp", "vector_mlp", "shared_mlp", "linear", "mlp"};
    const char *hidden[] = {"4", "4", "", "4", "4,3"};
    for (int k = 0; k < 5; k++) {
        SpdCfg c = net_cfg();
        text_copy(c.ci, sizeof c.ci, ci[k]);
        text_copy(c.ci_hidden, sizeof c.ci_hidden, hidden[k]);
        text_copy(c.sampling, sizeof c.sampling, k == 4 ? "binomial" : "continuous");
        text_copy(c.sigmoid, sizeof c.sigmoid, k == 1 ? "leaky" : "gated");
        text_copy(c.routing, sizeof c.routing, k == 2 ? "static" : "uniform_k");
        for (size_t r = 0; r < spd_n_loss_rows; r++)
            *(double *)((char *)&c + spd_loss_rows[r].coefficient) = 0.5;
        c.clip = c.clip_ci = 1;
        Spd *s = spd_of(&n, &c);
        Graph *g = graph_new(NULL);
        Val idx = graph_input(g, "idx", I32, DIM1(16)), param[16], grad[16];
        Val loss = spd_loss(s, g, idx);
        int m = tset_count(spd_params(s));
        OptimParam p[16];
        for (int i = 0; i < m; i++)
            param[i] =
                graph_state(g, tset_name(spd_params(s), i), tset_at(spd_params(s), i));
        assert_true(graph_grad(g, loss, param, m, grad));
        for (int i = 0; i < m; i++)
            p[i] = (OptimParam){tset_name(spd_params(s), i), param[i], grad[i], 1};
        spd_adjust(s, g, p, m);
        graph_output(g, "loss", loss);
        Val norm = VAL_NONE;
        for (int i = 0; i < m; i++) {
            Val v = g_sum(g, g_square(g, p[i].grad));
            norm = norm == VAL_NONE ? v : g_add(g, norm, v);
        }
        graph_output(g, "norm", norm);
        double total = 0;
        for (size_t r = 0; r < spd_n_loss_rows; r++)
            total += 0.5 * one(run_graph(g, spd_loss_rows[r].name, 1));
        assert_near(one(run_graph(g, "loss", 1)), total, 1e-3);
        double size = one(run_graph(g, "norm", 1));
        assert_true(size > 0 && size <= 2.0001); /* two groups, each at most 1 */
        graph_free(g);
        spd_free(s);
    }
    net_done(&n);
}

/* ---- tied layers ----------------------------------------------------------------- */

static void test_tied(void **state)
{
    (void)state;
    Net n = net_make();
    n.tied = true;
    SpdCfg c = net_cfg();
    Spd *s = spd_of(&n, &c);
    assert_null(tset_get(spd_params(s), "b.V"));
    Graph *g = graph_new(NULL);
    Val d = g_sub(g, spd_V(s, g, 1), g_transpose(g, spd_U(s, g, 0)));
    Val e = g_sub(g, spd_delta(s, g, 1), g_transpose(g, spd_delta(s, g, 0)));
    graph_output(g, "v", g_add(g, g_sum(g, g_abs(g, d)), g_sum(g, g_abs(g, e))));
    assert_true(one(run_graph(g, "v", 1)) < 1e-4);
    graph_free(g);
    spd_free(s);
    net_done(&n);
}

/* ---- the gauge, files ------------------------------------------------------------ */

static double apart(const Tensor *a, const Tensor *b)
{
    double worst = 0;
    for (int64_t i = 0; i < tensor_count(a); i++)
        worst = fmax(worst, fabs(t_at(a, i) - t_at(b, i)));
    return worst;
}

static void test_canonical(void **state)
{
    (void)state;
    Err err = {0};
    for (int k = 0; k < 4; k++) {
        Net n = net_make();
        n.tied = k == 3;
        SpdCfg c = net_cfg();
        text_copy(c.ci, sizeof c.ci, k == 1 ? "linear" : "mlp");
        text_copy(c.ci_hidden, sizeof c.ci_hidden, k == 2 ? "4,3" : "5");
        Spd *s = spd_of(&n, &c);
        Tensor before[3], after[3], V;
        for (int when = 0; when < 2; when++) {
            Tensor *to = when ? after : before;
            assert_ok(spd_outputs(s, &n.x, SPD_MASK_CI, ~0u, 0, &to[0], &err), err);
            assert_ok(spd_view(s, &n.x, 0, SPD_CI, &to[1], &err), err);
            assert_ok(spd_view(s, &n.x, 1, SPD_PRE, &to[2], &err), err);
            if (when == 0)
                assert_ok(spd_canonical(s, &n.x, &err), err);
        }
        for (int i = 0; i < 3; i++) {
            assert_true(apart(&before[i], &after[i]) < 1e-4);
            tensor_release(&before[i]);
            tensor_release(&after[i]);
        }
        V = *par(s, "a.V");
        for (int j = 0; j < 7; j++) {
            double sum = 0;
            for (int i = 0; i < IN; i++)
                sum += t_at(&V, i * 7 + j) * t_at(&V, i * 7 + j);
            assert_near(sum, 1, 1e-5);
        }
        spd_free(s);
        net_done(&n);
    }
}

static void test_files(void **state)
{
    (void)state;
    Err err = {0};
    char dir[64], path[96];
    scratch_make(dir);
    snprintf(path, sizeof path, "%s/spd.safetensors", dir);
    Net n = net_make();
    SpdCfg c = net_cfg();
    Spd *s = spd_of(&n, &c);
    c.seed = 99;
    Spd *t = spd_of(&n, &c);
    assert_ok(spd_save(s, path, &err), err);
    assert_ok(spd_load_into(t, path, &err), err);
    for (int i = 0; i < tset_count(spd_params(s)); i++)
        assert_true(t_same_bits(tset_at(spd_params(s), i), tset_at(spd_params(t), i)));
    c.components = 8;
    Spd *other = spd_of(&n, &c);
    assert_false(spd_load_into(other, path, &err));
    assert_has(err.msg, "another decomposition");
    assert_false(spd_load_into(t, "/no/such/file", &err));
    spd_free(other);
    spd_free(t);
    spd_free(s);
    net_done(&n);
    scratch_remove(dir);
}

/* ---- evaluation ------------------------------------------------------------------ */

static void test_evaluation(void **state)
{
    (void)state;
    Err err = {0};
    Net n = net_make();
    SpdCfg c = net_cfg();
    c.pgd = 1;
    Spd *s = constant_importance(&n, &c, 0.5, 0.05);
    SpdEvalCfg cfg = {.batches = 3, .full = true, .adversary = true};
    SpdEval e;
    assert_ok(spd_evaluate(s, &cfg, &e, &err), err);
    assert_int_equal(e.examples, 48);
    assert_near(e.layer[0].l0, 7, 1e-9);
    assert_near(e.layer[1].l0, 0, 1e-9);
    assert_int_equal(e.layer[0].dense, 7);
    assert_int_equal(e.layer[1].ever, 0);
    assert_int_equal(e.layer[0].hist_ci[50], 48 * 7);
    assert_int_equal(e.layer[1].hist_ci[5] + e.layer[1].hist_ci[4], 48 * 7);
    assert_int_equal(e.layer[0].hist_pre[50], 48 * 7);
    assert_near(e.layer[0].mean_ci[3], 0.5, 1e-6);
    assert_true(e.recon[SPD_MASK_TARGET] == 0);
    assert_true(e.recon[SPD_MASK_ZEROS] > 0);
    assert_true(e.accuracy[SPD_MASK_TARGET] >= 0 && e.accuracy[SPD_MASK_TARGET] <= 1);
    assert_true(e.loss[row_of("pgd") - spd_loss_rows] > 0);
    assert_true(isnan(e.loss[row_of("pgd_subset") - spd_loss_rows]));
    assert_int_equal(s->cfg.pgd_steps, 1);
    spd_eval_done(&e);
    spd_free(s);
    net_done(&n);
}

/* ---- refusals -------------------------------------------------------------------- */

typedef struct Bad {
    const char *set, *value, *says;
} Bad;

static void test_refusals(void **state)
{
    (void)state;
    static const Bad bad[] = {
        {"ci_hidden", "",          "needs a width"        },
        {"ci_hidden", "16,x",      "widths from 1"        },
        {"ci_hidden", "1,2,3,4,5", "at most 4 widths"     },
        {"ci_hidden", "0",         "widths from 1"        },
        {"p_end",     "0.1",       "before p_start"       },
        {"batch",     "1000",      "there are 64 examples"},
    };
    Net n = net_make();
    for (size_t k = 0; k < ARRAY_LEN(bad); k++) {
        Err err = {0};
        SpdCfg c = net_cfg();
        SpdTarget t = net_target(&n);
        c.p_start = 0.5;
        assert_true(opt_set_text(spd_options, spd_n_options, &c, bad[k].set,
                                 bad[k].value, "spd", &err));
        assert_null(spd_new(&c, &t, &err));
        assert_has(err.msg, bad[k].says);
    }
    Err err = {0};
    SpdCfg c = net_cfg();
    SpdTarget t = net_target(&n);
    t.layer[1].tied = 0;
    assert_null(spd_new(&c, &t, &err));
    assert_has(err.msg, "cannot be tied");
    t = net_target(&n);
    t.n_layers = 0;
    assert_null(spd_new(&c, &t, &err));
    t = net_target(&n);
    text_copy(t.layer[1].name, SPD_NAME, "a");
    assert_null(spd_new(&c, &t, &err));
    assert_has(err.msg, "listed twice");
    t = net_target(&n);
    text_copy(t.layer[1].name, SPD_NAME, "nowhere");
    Spd *s = spd_new(&c, &t, &err);
    Tensor out;
    assert_false(spd_outputs(s, &n.x, SPD_MASK_CI, ~0u, 0, &out, &err));
    assert_has(err.msg, "no sites");
    spd_free(s);
    net_done(&n);
}

static bool try_all(void *ctx, Err *err)
{
    Net *n = ctx;
    SpdCfg c = net_cfg();
    SpdTarget t = net_target(n);
    Spd *s = spd_new(&c, &t, err);
    SpdEvalCfg cfg = {.batches = 1, .full = true};
    SpdEval e = {0};
    Tensor y = {0};
    bool ok = s && spd_evaluate(s, &cfg, &e, err) &&
              spd_outputs(s, &n->x, SPD_MASK_STOCHASTIC, ~0u, 0, &y, err) &&
              spd_canonical(s, &n->x, err);
    spd_eval_done(&e);
    tensor_release(&y);
    spd_free(s);
    return ok;
}

static void test_allocations(void **state)
{
    (void)state;
    Net n = net_make();
    assert_true(fail_each_alloc(try_all, &n) > 50);
    net_done(&n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_on),
        cmocka_unit_test(test_delta),
        cmocka_unit_test(test_layerwise_of_one),
        cmocka_unit_test(test_routing),
        cmocka_unit_test(test_faithfulness),
        cmocka_unit_test(test_importance),
        cmocka_unit_test(test_weights),
        cmocka_unit_test(test_masks_of_important),
        cmocka_unit_test(test_adversary),
        cmocka_unit_test(test_hidden_acts),
        cmocka_unit_test(test_step),
        cmocka_unit_test(test_tied),
        cmocka_unit_test(test_canonical),
        cmocka_unit_test(test_files),
        cmocka_unit_test(test_evaluation),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_allocations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
