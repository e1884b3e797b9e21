/* Networks on sparse features: errors of networks set by hand against closed forms, the
 * geometry of known polytopes, theory against brute force, training against theory. */
#include "graph_support.h"

#include "base/mem.h"
#include "base/str.h"
#include "lab/super_fit.h"

static SuperCfg settings(int64_t N, int64_t n)
{
    Err err = {0};
    SuperCfg c;
    assert_ok(opt_defaults(super_options, super_n_options, &c, &err), err);
    c.features = N;
    c.neurons = n;
    return c;
}

static Super *make(const SuperCfg *c)
{
    Err err = {0};
    Super *s = super_new(c, &err);
    if (!s)
        fail_msg("%s", err.msg);
    return s;
}

static float *param(Super *s, const char *name)
{
    return tset_get(super_params(s), name)->data;
}

static void clear(Super *s)
{
    TensorSet *p = super_params(s);
    for (int i = 0; i < tset_count(p); i++)
        memset(tset_at(p, i)->data, 0, tensor_bytes(tset_at(p, i)));
}

/* The first n features in a neuron each, the others left out. */
static void make_naive(Super *s)
{
    int64_t N = super_cfg(s)->features, n = super_cfg(s)->neurons;
    clear(s);
    for (int64_t k = 0; k < n; k++)
        param(s, "in")[k * N + k] = param(s, "out")[k * n + k] = 1;
}

static SuperMeasure measure(Super *s, int64_t samples, Tensor *per)
{
    Err err = {0};
    SuperMeasure m;
    assert_ok(super_measure(s, 0, samples, 7, &m, per, &err), err);
    return m;
}

/* ---- measures -------------------------------------------------------------------- */

static void test_naive_errors(void **state)
{
    (void)state;
    SuperCfg c = settings(100, 10);
    Super *s = make(&c);
    make_naive(s);
    SuperMeasure m = measure(s, 400000, NULL);
    assert_near(m.c_mse, 0.15, 0.15 * 0.02);
    assert_near(m.u_mse, 0.003, 0.003 * 0.02);
    assert_near(m.c_l4, 0.09, 0.09 * 0.02);
    assert_near(m.u_l4, 0.0018, 0.0018 * 0.02);
    /* It is the naive network, on the same examples, bit for bit. */
    assert_true(m.naive_u_mse == m.u_mse && m.naive_u_l4 == m.u_l4);
    assert_near(m.ratio_c_mse, 1, 0);
    assert_near(m.isolated, 0.15, 1e-4);
    assert_near(m.gain, 0.1, 1e-9);
    assert_near(m.ignored, 90, 0);
    assert_near(m.idle_mse, 0, 0);
    assert_near(m.cross_rms, 0, 0);
    assert_near(m.dims, 10, 1e-9);
    super_free(s);
}

/* Two features on one neuron with opposite signs: everything by hand. y0 = a r(x0 - x1),
 * y1 = b r(x0 - x1). */
static void test_by_hand(void **state)
{
    (void)state;
    Err err = {0};
    SuperCfg c = settings(2, 1);
    c.density = 0.5;
    Super *s = make(&c);
    param(s, "in")[0] = 1;
    param(s, "in")[1] = -1;
    param(s, "out")[0] = 0.5f;
    param(s, "out")[1] = 0.25f;
    Tensor per[SUPER_PER_FEATURE] = {{0}}, g, r;
    SuperMeasure m = measure(s, 400000, per);
    const double *gain = per[SUPER_GAIN].data, *neg = per[SUPER_NEGATIVE].data;
    assert_near(gain[0], 0.5, 1e-7);
    assert_near(gain[1], 0, 1e-7);
    assert_near(neg[0], 0, 1e-7);
    assert_near(neg[1], 0.25, 1e-7);
    assert_near(m.diagonal, (0.5 - 0.25) / 2, 1e-7);
    /* Alone: (1 - .5)^2 / 6, and (1 + .25^2) / 6. */
    assert_near(((double *)per[SUPER_ISOLATED].data)[0], 0.25 / 6, 1e-5);
    assert_near(((double *)per[SUPER_ISOLATED].data)[1], 1.0625 / 6, 1e-5);
    assert_near(((double *)per[SUPER_RECEIVED].data)[1], 0.25, 1e-7);
    const double *c_mse = per[SUPER_C_MSE].data;
    assert_near(m.c_mse_std, fabs(c_mse[0] - c_mse[1]) / 2, 1e-12);
    assert_near(m.c_mse_min, fmin(c_mse[0], c_mse[1]), 0);
    assert_near(m.c_mse_max, fmax(c_mse[0], c_mse[1]), 0);
    assert_near(m.cross_max, 0.25, 1e-7);
    assert_near(m.max_cos, 1, 1e-7);
    assert_near(m.dims, 1, 1e-9);
    assert_ok(super_gains(s, &g, &err), err);
    assert_near(((double *)g.data)[2], 0.25, 1e-7); /* output 1 of feature 0 */
    assert_near(((double *)g.data)[1], 0, 1e-7);
    assert_ok(super_responses(s, 5, &r, &err), err);
    const double want[10] = {0, 0, 0, 0.25, 0.5, 0.25, 0.125, 0, 0, 0};
    for (int i = 0; i < 10; i++)
        assert_near(((double *)r.data)[i], want[i], 1e-7);
    for (int k = 0; k < SUPER_PER_FEATURE; k++)
        tensor_release(&per[k]);
    tensor_release(&g);
    tensor_release(&r);
    super_free(s);
}

/* E|e|^2 and E|e|^4 of the network above without the other's help: plain loops over the
 * same examples through super_outputs(), and the loss that is trained. */
static void test_loss_is_what_is_measured(void **state)
{
    (void)state;
    static const int64_t powers[] = {2, 4, 6, 8};
    for (size_t k = 0; k < ARRAY_LEN(powers); k++) {
        Err err = {0};
        SuperCfg c = settings(6, 3);
        c.power = powers[k];
        c.batch = 64;
        c.density = 0.4;
        c.importance = 0.8;
        c.last = 3;
        c.mixing = k == 1 ? 0.5 : 0;
        c.embed = 20;
        Super *s = make(&c);
        Graph *g = graph_new(&err);
        graph_output(g, "loss", super_loss(s, g, VAL_NONE));
        Plan *p = plan_of(g, 3);
        assert_ok(plan_run(p, NULL, &err), err);
        double loss = t_at(plan_output(p, 0), 0), want = 0;
        float x[64 * 6];
        RngKey key = {3, rng_stream("superposition"), 0};
        rng_sparse_f32(key, 0, 64 * 6, 0.4f, -1, 1, x);
        Tensor in = tensor_wrap(F32, 2, DIMS(64, 6), x), y;
        assert_ok(super_outputs(s, &in, &y, &err), err);
        Super *mixer = make(&c);
        for (int64_t b = 0; b < 64; b++)
            for (int64_t i = 0; i < 6; i++) {
                double t = fmax((double)x[b * 6 + i], 0);
                for (int64_t j = 0; c.mixing > 0 && j < 6; j++)
                    t += super_mixing(mixer, i, j) * (double)x[b * 6 + j];
                want += super_importance(s, i) *
                        pow(fabs(t_at(&y, b * 6 + i) - t), (double)powers[k]);
            }
        assert_near(loss, want / (64 * 6), 1e-5 * want / (64 * 6));
        tensor_release(&y);
        plan_free(p);
        graph_free(g);
        super_free(mixer);
        super_free(s);
    }
}

/* E E^T - I: no diagonal, symmetric, entries of variance 1/embed. */
static void test_mixing(void **state)
{
    (void)state;
    SuperCfg c = settings(60, 5);
    c.mixing = 2;
    c.embed = 400;
    Super *s = make(&c);
    double sq = 0;
    for (int64_t i = 0; i < 60; i++)
        for (int64_t j = 0; j < 60; j++) {
            assert_near(super_mixing(s, i, j), super_mixing(s, j, i), 0);
            sq += pow(super_mixing(s, i, j), 2);
        }
    assert_near(super_mixing(s, 3, 3), 0, 0);
    assert_near(sq / (60 * 59), 4.0 / 400, 4.0 / 400 * 0.1);
    super_free(s);
}

/* ---- geometry -------------------------------------------------------------------- */

static Tensor ring(int64_t N, int64_t n, const double *columns)
{
    Tensor w = t_make(F64, 2, DIMS(n, N));
    for (int64_t i = 0; i < N; i++)
        for (int64_t k = 0; k < n; k++)
            ((double *)w.data)[k * N + i] = columns[i * n + k];
    return w;
}

static void check_shape(const Tensor *w, const char *name, double dimension)
{
    Err err = {0};
    SuperShape *shape;
    Tensor group;
    int64_t n;
    assert_ok(super_shapes(w, 0.1, &shape, &n, &group, &err), err);
    assert_int_equal(n, 1);
    assert_string_equal(shape[0].name, name);
    assert_near(shape[0].dimension, dimension, 1e-9);
    assert_near(shape[0].spread, 0, 1e-6);
    assert_int_equal(shape[0].features, w->dim[1]);
    for (int64_t i = 0; i < w->dim[1]; i++)
        assert_int_equal(((int32_t *)group.data)[i], 0);
    tensor_release(&group);
    mem_free(shape);
}

static void test_polytopes(void **state)
{
    (void)state;
    double gon[5][10], tetra[] = {1, 1, 1, 1, -1, -1, -1, 1, -1, -1, -1, 1};
    static const char *const names[] = {"", "digon", "triangle", "", "pentagon"};
    for (int n = 3; n <= 5; n += 2) {
        for (int i = 0; i < n; i++) {
            gon[n - 1][2 * i] = 1.3 * cos(2 * M_PI * i / n);
            gon[n - 1][2 * i + 1] = 1.3 * sin(2 * M_PI * i / n);
        }
        Tensor w = ring(n, 2, gon[n - 1]);
        check_shape(&w, names[n - 1], 2.0 / n);
        tensor_release(&w);
    }
    Tensor w = ring(2, 1, (double[]){2, -2});
    check_shape(&w, "digon", 0.5);
    tensor_release(&w);
    w = ring(4, 3, tetra);
    check_shape(&w, "tetrahedron", 0.75);
    tensor_release(&w);
    double anti[24]; /* corners of a square antiprism whose frame is tight: height^2 1/2 */
    for (int i = 0; i < 8; i++) {
        double at = M_PI * i / 4;
        anti[3 * i] = cos(at);
        anti[3 * i + 1] = sin(at);
        anti[3 * i + 2] = (i % 2 ? -1 : 1) * sqrt(0.5);
    }
    w = ring(8, 3, anti);
    check_shape(&w, "square antiprism", 0.375);
    tensor_release(&w);
}

/* A digon beside a dedicated feature and one that is too short to count. */
static void test_several_groups(void **state)
{
    (void)state;
    Err err = {0};
    const double columns[] = {1, 0, 0, 1, -1, 0, 0.1, 0.01};
    Tensor w = ring(4, 2, columns), group, dims;
    SuperShape *shape;
    int64_t n;
    assert_ok(super_shapes(&w, 0.1, &shape, &n, &group, &err), err);
    assert_int_equal(n, 2);
    assert_int_equal(shape[0].features, 2);
    assert_int_equal(shape[1].features, 1);
    const int32_t want[] = {0, 1, 0, -1};
    assert_memory_equal(group.data, want, sizeof want);
    assert_ok(super_dimensions(&w, &dims, &err), err);
    double sum = 0;
    for (int i = 0; i < 4; i++)
        sum += ((double *)dims.data)[i];
    assert_true(sum <= 2 + 1e-12);
    tensor_release(&w);
    tensor_release(&group);
    tensor_release(&dims);
    mem_free(shape);
}

/* An orthonormal basis is a tight frame; random directions have the |cos| of theory. */
static void test_frames(void **state)
{
    (void)state;
    SuperCfg c = settings(4, 4);
    Super *s = make(&c);
    make_naive(s);
    SuperMeasure m = measure(s, 1000, NULL);
    assert_near(m.frame, 1, 1e-12);
    assert_near(m.frame4, 1, 1e-12);
    assert_near(m.dims, 4, 1e-12);
    assert_near(m.cross_bound, 0, 0);
    super_free(s);
    c = settings(1500, 10);
    s = make(&c);
    RngKey key = {1, rng_stream("directions"), 0};
    rng_normal_f32(key, 0, 15000, 0, 1, param(s, "in"));
    m = measure(s, 1000, NULL);
    assert_near(m.abs_cos_random, 0.2587, 5e-5);
    assert_near(m.abs_cos, m.abs_cos_random, 0.002);
    assert_near(m.frame, 1, 0.01);
    assert_true(m.max_cos >= m.welch);
    super_free(s);
}

/* ---- theory ---------------------------------------------------------------------- */

static SuperTheory theory(int64_t N, int64_t n, int64_t q, double p, double k)
{
    Err err = {0};
    SuperTheory t;
    assert_ok(super_theory(N, n, q, p, k, &t, &err), err);
    return t;
}

/* The gains are the minima of the loss they are said to minimise, found by a grid. */
static void test_theory_minimises(void **state)
{
    (void)state;
    static const int64_t powers[] = {2, 4};
    for (int i = 0; i < 2; i++) {
        double q = (double)powers[i], best = 1e9, at = 0;
        SuperTheory t = theory(100, 10, powers[i], 0.02, 2.1);
        for (double g = 0; g <= 1; g += 1e-4) {
            double loss = pow(1 - g, q) + 2.1 * pow(g, q);
            at = loss < best ? g : at;
            best = fmin(best, loss);
        }
        assert_near(t.gain, at, 2e-4);
        assert_near(t.loss_ratio, best / 0.9, 1e-6);
    }
    /* Under squares superposition and leaving out tie. */
    SuperTheory two = theory(100, 10, 2, 0.02, 0);
    assert_near(two.gain, 0.1, 1e-12);
    assert_near(two.loss_ratio, 1, 1e-12);
    SuperTheory four = theory(100, 10, 4, 0.02, 2.1);
    assert_near(four.gain_coactive, 0.395, 1e-3);
    assert_near(four.u_mse, 0.0059, 5e-5);
    assert_near(four.u_l4, 4.7e-4, 5e-6);
    assert_near(four.k_design, 1.5, 1e-12);
    assert_near(four.k_random, 2.475, 1e-12);
    assert_near(theory(5, 10, 4, 0.02, 0).gain, 1, 1e-12);
}

/* With a density that goes to 0 the others do not matter. */
static void test_theory_limit(void **state)
{
    (void)state;
    SuperTheory t = theory(100, 10, 4, 1e-7, 2);
    assert_near(t.gain_coactive, t.gain, 1e-5);
}

/* ---- training -------------------------------------------------------------------- */

static void train(Super *s)
{
    Err err = {0};
    TrainReport r;
    assert_ok(fit_super(s, NULL, &r, &err), err);
    assert_int_equal(r.steps, super_cfg(s)->steps);
}

static void test_training(void **state)
{
    (void)state;
    SuperCfg c = settings(20, 4);
    c.steps = 600;
    c.batch = 1024;
    c.lr = 0.01;
    Super *s = make(&c);
    train(s);
    SuperMeasure m = measure(s, 100000, NULL);
    SuperTheory t = theory(20, 4, 4, 0.02, m.k4);
    assert_near(m.gain, t.gain_coactive, 0.05);
    assert_near(m.u_mse, t.u_mse, 0.15 * t.u_mse);
    assert_true(m.ratio_u_l4 > 1.5 && m.ratio_u_mse < 1);
    assert_true(m.cross_rms >= m.cross_bound * 0.99);
    super_free(s);
}

static void test_nonnegative(void **state)
{
    (void)state;
    SuperCfg c = settings(12, 4);
    c.steps = 40;
    c.batch = 256;
    c.nonnegative = true;
    Super *s = make(&c);
    for (int i = 0; i < 48; i++)
        assert_true(param(s, "in")[i] >= 0);
    train(s);
    for (int i = 0; i < 48; i++)
        assert_true(param(s, "in")[i] >= 0);
    assert_near(measure(s, 1000, NULL).negative, 0, 0);
    super_free(s);
}

/* Two sparse features of equal importance share one neuron back to back; from a start
 * with equal signs they cannot get there, so the seed is one with different signs. */
static void test_toy_digon(void **state)
{
    (void)state;
    Err err = {0};
    SuperCfg c = settings(2, 1);
    text_copy(c.form, sizeof c.form, "tied");
    text_copy(c.target, sizeof c.target, "identity");
    text_copy(c.values, sizeof c.values, "unit");
    c.power = 2;
    c.density = 0.05;
    c.steps = 1500;
    c.batch = 1024;
    c.lr = 0.01;
    c.seed = 3;
    Super *s = make(&c);
    train(s);
    SuperShape *shape;
    int64_t n;
    assert_ok(super_shapes(tset_get(super_params(s), "in"), 0.1, &shape, &n, NULL, &err),
              err);
    assert_int_equal(n, 1);
    assert_string_equal(shape[0].name, "digon");
    mem_free(shape);
    super_free(s);
}

static void copy_params(Super *s, float *dst)
{
    memcpy(dst, param(s, "in"), 8 * 3 * sizeof *dst);
    memcpy(dst + 24, param(s, "out"), 8 * 3 * sizeof *dst);
}

/* Stopped at any step and resumed is never stopped, with one thread or two. */
static void test_resume(void **state)
{
    (void)state;
    static const int64_t stops[] = {0, 1, 7, 19};
    float whole[48], part[48];
    char dir[] = "/tmp/cleave-super-XXXXXX", at[96];
    assert_non_null(mkdtemp(dir));
    snprintf(at, sizeof at, "%s/c", dir);
    for (size_t k = 0; k < ARRAY_LEN(stops); k++) {
        Err err = {0};
        TrainJob job;
        TrainCfg cfg;
        TrainReport r;
        SuperCfg c = settings(8, 3);
        c.steps = 20;
        c.batch = 64;
        Super *s = make(&c);
        assert_true(pool_set_threads(k % 2 ? 2 : 1, NULL));
        assert_ok(super_job(s, &job, &cfg, &err), err);
        text_copy(cfg.checkpoint, sizeof cfg.checkpoint, at);
        cfg.stop_at = stops[k];
        assert_ok(train_run(&job, &cfg, NULL, &r, &err), err);
        if (stops[k] > 0) {
            super_free(s);
            s = make(&c);
            assert_ok(super_job(s, &job, &cfg, &err), err);
            snprintf(cfg.resume, sizeof cfg.resume, "%s-last.safetensors", at);
            assert_ok(train_run(&job, &cfg, NULL, &r, &err), err);
        }
        copy_params(s, k ? part : whole);
        assert_true(k == 0 || !memcmp(whole, part, sizeof whole));
        super_free(s);
    }
    snprintf(at, sizeof at, "rm -r %s", dir);
    assert_int_equal(system(at), 0);
}

/* ---- what is refused --------------------------------------------------------------- */

static void test_refusals(void **state)
{
    (void)state;
    Err err = {0};
    SuperTheory t;
    SuperMeasure m;
    SuperCfg c = settings(4, 2);
    c.power = 3;
    assert_null(super_new(&c, &err));
    assert_non_null(strstr(err.msg, "even"));
    c.power = 4;
    Super *s = make(&c);
    assert_false(super_measure(s, 0, 0, 1, &m, NULL, &err));
    Tensor x = t_make(F32, 2, DIMS(3, 5)), y, w = t_make(F64, 2, DIMS(2, 2));
    assert_false(super_outputs(s, &x, &y, &err));
    assert_non_null(strstr(err.msg, "[B,4]"));
    assert_false(super_responses(s, 1, &y, &err));
    ((double *)w.data)[1] = (double)NAN;
    assert_false(super_dimensions(&w, &y, &err));
    assert_false(super_theory(10, 2, 3, 0.1, 0, &t, &err));
    assert_false(super_theory(10, 2, 4, 0, 0, &t, &err));
    tensor_release(&x);
    tensor_release(&w);
    super_free(s);
}

static bool one_of_all(Err *err)
{
    SuperCfg c = settings(5, 2);
    SuperMeasure m;
    SuperShape *shape;
    int64_t n;
    Tensor per[SUPER_PER_FEATURE] = {{0}}, r;
    c.mixing = 1;
    c.embed = 8;
    Super *s = super_new(&c, err);
    bool ok = s && super_measure(s, 0, 10, 1, &m, per, err);
    for (int k = 0; ok && k < SUPER_PER_FEATURE; k++)
        tensor_release(&per[k]);
    if (ok && (ok = super_responses(s, 3, &r, err)))
        tensor_release(&r);
    if (ok && (ok = super_shapes(tset_get(super_params(s), "in"), 0.1, &shape, &n, NULL,
                                 err)))
        mem_free(shape);
    super_free(s);
    return ok;
}

static void test_allocations(void **state)
{
    (void)state;
    size_t live = mem_live();
    bool ok = false;
    for (int n = 1; !ok && n < 1000; n++) {
        Err err = {0};
        mem_fail_at(n);
        ok = one_of_all(&err);
        bool fired = mem_fail_fired();
        mem_fail_at(0);
        assert_true(ok != fired);
        assert_int_equal(mem_live(), live);
    }
    assert_true(ok);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_naive_errors),
        cmocka_unit_test(test_by_hand),
        cmocka_unit_test(test_loss_is_what_is_measured),
        cmocka_unit_test(test_mixing),
        cmocka_unit_test(test_polytopes),
        cmocka_unit_test(test_several_groups),
        cmocka_unit_test(test_frames),
        cmocka_unit_test(test_theory_minimises),
        cmocka_unit_test(test_theory_limit),
        cmocka_unit_test(test_training),
        cmocka_unit_test(test_nonnegative),
        cmocka_unit_test(test_toy_digon),
        cmocka_unit_test(test_resume),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_allocations),
    };
    blas_init();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
