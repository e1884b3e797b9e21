/* Effects of components: cases worked out by hand, an independent slow copy, what must
 * not depend on gauge, and inputs that are refused. */
#include "graph_support.h"

#include "decomp/causal.h"

enum { N = 90, R1 = 5, H = 7, R2 = 4 };

typedef struct Case {
    Tensor a, U1, b1, V2, ci1, ci2, extra;
    int32_t input[R1], output[R2];
    CausalNet net;
    CausalCfg cfg;
} Case;

static CausalCfg defaults(void)
{
    Err err = {0};
    CausalCfg c;
    assert_ok(opt_defaults(causal_options, causal_n_options, &c, &err), err);
    return c;
}

static void point(Case *c, int64_t n, int64_t m)
{
    for (int i = 0; i < R1; i++)
        c->input[i] = i;
    for (int i = 0; i < R2; i++)
        c->output[i] = i;
    c->net = (CausalNet){&c->a,     &c->U1,   &c->b1,    &c->V2, &c->ci1, &c->ci2,
                         &c->extra, c->input, c->output, n,      m};
    c->cfg = defaults();
}

static void make(Case *c)
{
    memset(c, 0, sizeof *c);
    c->a = t_random(1, F64, 2, DIMS(N, R1), -1, 2);
    c->U1 = t_random(2, F64, 2, DIMS(R1, H), -1, 1);
    c->b1 = t_random(3, F64, 1, DIMS(H), -1, 1);
    c->V2 = t_random(4, F64, 2, DIMS(H, R2), -1, 1);
    c->ci1 = t_random(5, F64, 2, DIMS(N, R1), 0, 1);
    c->ci2 = t_random(6, F64, 2, DIMS(N, R2), -0.5, 0.7);
    c->extra = t_random(7, F64, 2, DIMS(N, H), -0.2, 0.2);
    point(c, R1, R2);
}

static void done(Case *c)
{
    tensor_release(&c->a);
    tensor_release(&c->U1);
    tensor_release(&c->b1);
    tensor_release(&c->V2);
    tensor_release(&c->ci1);
    tensor_release(&c->ci2);
    tensor_release(&c->extra);
}

static CausalEffects effects(const Case *c)
{
    Err err = {0};
    CausalEffects e;
    assert_ok(causal_effects(&c->net, &c->cfg, &e, &err), err);
    return e;
}

static double at(const Tensor *t, int64_t i, int64_t j)
{
    return t_at(t, i * t->dim[1] + j);
}

static void set(Tensor *t, const double *v)
{
    memcpy(t->data, v, tensor_bytes(t));
}

/* One input x = 1, V1 = [1,1]: a = (1,1). */
static void test_bias_golden(void **state)
{
    (void)state;
    Case c = {0};
    c.a = t_make(F64, 2, DIMS(1, 2));
    c.U1 = t_make(F64, 2, DIMS(2, 2));
    c.b1 = t_make(F64, 1, DIMS(2));
    c.V2 = t_make(F64, 2, DIMS(2, 1));
    c.ci2 = t_make(F64, 2, DIMS(1, 1));
    set(&c.a, (double[]){1, 1});
    set(&c.U1, (double[]){0.6, 0.3, 0.6, 0});
    set(&c.b1, (double[]){-1, 0});
    set(&c.V2, (double[]){1, -1});
    set(&c.ci2, (double[]){1});
    point(&c, 2, 1);
    c.net.ci1 = c.net.extra = NULL;
    c.cfg.min_rows = 1;
    CausalEffects e = effects(&c);
    assert_near(at(&e.effect, 0, 0), -0.1, 1e-12);
    assert_near(at(&e.effect, 1, 0), 0.2, 1e-12);
    assert_near(at(&e.weight, 0, 0), 0.3, 1e-12);
    assert_near(at(&e.weight, 1, 0), 0.6, 1e-12);
    strcpy(c.cfg.bias, "after");
    CausalEffects theirs = effects(&c);
    assert_near(at(&theirs.effect, 0, 0), 0.3, 1e-12);
    assert_near(at(&theirs.effect, 1, 0), 0.6, 1e-12);
    Err err = {0};
    CausalSigns s;
    assert_ok(causal_signs(&e, &theirs.effect, NULL, &s, &err), err);
    /* component 0: gates close hidden 0 (path 0.6 - 0.3 > 0, effect -0.1 < 0): the change
     * of gates turns the sign, and the misplaced bias turns it back */
    assert_int_equal(s.pairs, 2);
    assert_int_equal(s.against, 0);
    assert_int_equal(s.cause[CAUSE_CHANGE].turns, 1);
    assert_int_equal(s.cause[CAUSE_BIAS].turns, 1);
    assert_int_equal(s.cause[CAUSE_BIAS].left, 1);
    assert_ok(causal_signs(&e, NULL, NULL, &s, &err), err);
    assert_int_equal(s.against, 1);
    assert_int_equal(s.cause[CAUSE_CHANGE].alone, 1);
    assert_int_equal(s.cause[CAUSE_CHANGE].left, 0);
    assert_near(s.cause[CAUSE_CHANGE].share, 1, 1e-15);
    causal_done(&e);
    causal_done(&theirs);
    done(&c);
}

static double relu(double v)
{
    return v > 0 ? v : 0;
}

/* o_k of row r with component i scaled by m, everything else at `mask`. */
static double output(const Case *c, int64_t r, int64_t i, double m, bool ci, bool after,
                     int64_t k)
{
    double o = 0;
    for (int64_t h = 0; h < H; h++) {
        double p = at(&c->extra, r, h);
        for (int64_t q = 0; q < R1; q++)
            p += at(&c->a, r, q) *
                 (q == i ? m
                  : ci   ? at(&c->ci1, r, q)
                         : 1) *
                 at(&c->U1, q, h);
        double b = t_at(&c->b1, h);
        o += (after ? relu(p) + b : relu(p + b)) * at(&c->V2, h, k);
    }
    return o;
}

static void test_plain_loops(void **state)
{
    (void)state;
    Case c;
    make(&c);
    for (int way = 0; way < 4; way++) {
        bool ci = way & 1, after = way & 2;
        strcpy(c.cfg.background, ci ? "ci" : "ones");
        strcpy(c.cfg.bias, after ? "after" : "inside");
        CausalEffects e = effects(&c);
        for (int64_t i = 0; i < R1; i++)
            for (int64_t k = 0; k < R2; k++) {
                double sum = 0, sq = 0, n = 0, mean = 0;
                for (int64_t r = 0; r < N; r++) {
                    if (!(at(&c.ci2, r, k) > 0.1))
                        continue;
                    double d = output(&c, r, i, 1, ci, after, k) -
                               output(&c, r, i, 0, ci, after, k);
                    sum += d;
                    sq += d * d;
                    mean += at(&c.a, r, i);
                    n++;
                }
                assert_true(n >= 10);
                assert_near(at(&e.effect, i, k), sum / n, 1e-12);
                assert_near(at(&e.mean, i, k), mean / n, 1e-12);
                assert_near(at(&e.se, i, k),
                            sqrt((sq / n - sum / n * sum / n) / (n - 1)), 1e-12);
                assert_near(t_at(&e.rows, k), n, 0);
            }
        assert_true(e.interaction > 0.01 && e.interaction < 0.9);
        causal_done(&e);
    }
    done(&c);
}

/* Without gates everything is the weight path times the mean activation. */
static void test_identity_gate(void **state)
{
    (void)state;
    Case c;
    make(&c);
    strcpy(c.cfg.gate, "identity");
    CausalEffects e = effects(&c);
    for (int64_t k = 0; k < R1 * R2; k++) {
        assert_near(t_at(&e.effect, k), t_at(&e.mean, k) * t_at(&e.weight, k), 1e-12);
        assert_near(t_at(&e.path, k), t_at(&e.effect, k), 1e-12);
    }
    assert_near(e.interaction, 0, 1e-13);
    causal_done(&e);
    done(&c);
}

/* (V, U) -> (V s, U / s): the activation of c times s. */
static void test_gauge_free(void **state)
{
    (void)state;
    Case c;
    Err err = {0};
    CausalSigns before, after;
    make(&c);
    CausalEffects e = effects(&c);
    assert_ok(causal_signs(&e, NULL, NULL, &before, &err), err);
    for (int64_t i = 0; i < R1; i++) {
        double s = i % 2 ? -2.5 : 0.4;
        for (int64_t r = 0; r < N; r++)
            ((double *)c.a.data)[r * R1 + i] *= s;
        for (int64_t h = 0; h < H; h++)
            ((double *)c.U1.data)[i * H + h] /= s;
    }
    CausalEffects f = effects(&c);
    for (int64_t k = 0; k < R1 * R2; k++) {
        double s = k / R2 % 2 ? -1 : 1;
        assert_near(t_at(&f.effect, k), t_at(&e.effect, k), 1e-12);
        assert_near(t_at(&f.path, k), t_at(&e.path, k), 1e-12);
        assert_true(t_at(&f.weight, k) * s * t_at(&e.weight, k) > 0);
        assert_near(t_at(&f.weight, k) * t_at(&f.mean, k),
                    t_at(&e.weight, k) * t_at(&e.mean, k), 1e-12);
    }
    assert_ok(causal_signs(&f, NULL, NULL, &after, &err), err);
    double shares = 0; /* all contradictions are shared out */
    for (int k = 0; k < N_CAUSES; k++)
        shares += after.cause[k].share;
    assert_true(after.against > 0);
    assert_near(shares, 1, 1e-12);
    for (int k = CAUSE_SELECTION; k < N_CAUSES; k++)
        assert_int_equal(before.cause[k].turns, after.cause[k].turns);
    assert_int_equal(before.cause[CAUSE_GAUGE].left, after.cause[CAUSE_GAUGE].left);
    assert_true(before.cause[CAUSE_GAUGE].turns != after.cause[CAUSE_GAUGE].turns);
    causal_done(&e);
    causal_done(&f);
    done(&c);
}

/* The mean over draws comes close to the exact one where the gate is the identity, and
 * between ones and ci in general it is neither. */
static void test_stochastic(void **state)
{
    (void)state;
    Case c;
    make(&c);
    strcpy(c.cfg.background, "stochastic");
    strcpy(c.cfg.gate, "identity");
    CausalEffects e = effects(&c), f = effects(&c);
    for (int64_t k = 0; k < R1 * R2; k++)
        assert_near(t_at(&e.effect, k), t_at(&e.mean, k) * t_at(&e.weight, k), 1e-12);
    assert_true(t_same_bits(&e.effect, &f.effect));
    causal_done(&e);
    causal_done(&f);
    strcpy(c.cfg.gate, "relu");
    c.cfg.samples = 200;
    e = effects(&c);
    c.cfg.seed = 2;
    f = effects(&c);
    double most = 0;
    for (int64_t k = 0; k < R1 * R2; k++)
        most = fmax(most, fabs(t_at(&e.effect, k) - t_at(&f.effect, k)));
    assert_true(most > 0 && most < 0.02);
    causal_done(&e);
    causal_done(&f);
    done(&c);
}

/* Rows that are cut into several blocks give what one block gives. */
static void test_blocks_and_lists(void **state)
{
    (void)state;
    Case c;
    Err err = {0};
    make(&c);
    int64_t copies = 7; /* 630 rows */
    Case big = c;
    Tensor *from[] = {&c.a, &c.ci1, &c.ci2, &c.extra};
    Tensor *to[] = {&big.a, &big.ci1, &big.ci2, &big.extra};
    for (int k = 0; k < 4; k++) {
        *to[k] = t_make(F64, 2, DIMS(N * copies, from[k]->dim[1]));
        for (int64_t i = 0; i < copies; i++)
            memcpy((char *)to[k]->data + (size_t)i * tensor_bytes(from[k]),
                   from[k]->data, tensor_bytes(from[k]));
    }
    point(&big, 2, 2);
    big.input[0] = 3;
    big.input[1] = 1;
    big.output[0] = 2;
    big.output[1] = 0;
    CausalEffects e = effects(&c), f = effects(&big);
    for (int i = 0; i < 2; i++)
        for (int k = 0; k < 2; k++)
            assert_near(at(&f.effect, i, k), at(&e.effect, big.input[i], big.output[k]),
                        1e-12);
    causal_done(&f);
    c.cfg.min_rows = 1000;
    f = effects(&c);
    assert_near(t_at(&f.rows, 0), 0, 0);
    assert_near(t_at(&f.effect, 0), 0, 0);
    CausalSigns s;
    assert_ok(causal_signs(&f, NULL, NULL, &s, &err), err);
    assert_int_equal(s.pairs, 0);
    causal_done(&e);
    causal_done(&f);
    for (int k = 0; k < 4; k++)
        tensor_release(to[k]);
    done(&c);
}

static void refused(const Case *c, const char *part)
{
    Err err = {0};
    CausalEffects e;
    assert_false(causal_effects(&c->net, &c->cfg, &e, &err));
    assert_has(err.msg, part);
    causal_done(&e);
}

static void test_refused(void **state)
{
    (void)state;
    Case c;
    make(&c);
    ((double *)c.a.data)[3] = NAN;
    refused(&c, "a has values that are not finite");
    ((double *)c.a.data)[3] = 0;
    c.input[2] = R1;
    refused(&c, "component 5 does not exist");
    c.input[2] = 2;
    c.net.n = 0;
    refused(&c, "list of input components is empty");
    c.net.n = R1;
    strcpy(c.cfg.background, "ci");
    c.net.ci1 = NULL;
    refused(&c, "ci1");
    c.net.ci1 = &c.ci2;
    refused(&c, "ci1 is f64[90,4], it must be f64[90,5]");
    done(&c);
}

static bool try_effects(void *ctx, Err *err)
{
    Case *c = ctx;
    CausalEffects e;
    bool ok = causal_effects(&c->net, &c->cfg, &e, err);
    causal_done(&e);
    return ok;
}

static void test_memory(void **state)
{
    (void)state;
    Case c;
    make(&c);
    assert_true(fail_each_alloc(try_effects, &c) >= 10);
    done(&c);
}

static void test_keep(void **state)
{
    (void)state;
    static double v[5 * 3] = {3, 1e-8, 1, -2, 0, 0, 1, 0, 0, -.5, 0, 0, .5, 0, 0};
    Tensor t = tensor_wrap(F64, 2, DIMS(5, 3), v), keep;
    Err err = {0};
    int64_t n[3];
    assert_ok(causal_keep(&t, 0.8, &keep, n, &err), err);
    assert_int_equal(n[0], 3);
    assert_int_equal(n[1], 0);
    assert_int_equal(n[2], 1);
    static const uint8_t want[15] = {1, 0, 1, 1, 0, 0, 1};
    assert_memory_equal(keep.data, want, 15);
    tensor_release(&keep);
    assert_false(causal_keep(&t, 0, &keep, n, &err));
    v[0] = INFINITY;
    assert_false(causal_keep(&t, 0.8, &keep, n, &err));
    assert_has(err.msg, "not finite");
}

static void test_alive(void **state)
{
    (void)state;
    static double v[4 * 3] = {0.5, -1, 0, 0, -1, 0.3, 0, -1, 0, 0, -1, 0};
    Tensor t = tensor_wrap(F64, 2, DIMS(4, 3), v), out;
    Err err = {0};
    assert_ok(causal_alive(&t, "mean", 0, 0.1, &out, &err), err);
    assert_int_equal(out.dim[0], 2);
    assert_int_equal(((int32_t *)out.data)[1], 1);
    tensor_release(&out);
    assert_ok(causal_alive(&t, "density", 0.1, 0.001, &out, &err), err);
    assert_int_equal(out.dim[0], 2);
    assert_int_equal(((int32_t *)out.data)[1], 2);
    tensor_release(&out);
    assert_ok(causal_alive(&t, "ever", 0.4, 0, &out, &err), err);
    assert_int_equal(out.dim[0], 1);
    tensor_release(&out);
    assert_false(causal_alive(&t, "norm", 0, 0, &out, &err));
    assert_has(err.msg, "mean, density or ever");
}

static void test_gauge(void **state)
{
    (void)state;
    static double V[2 * 3] = {3, 0, -2, -4, 0, 0}, a[2 * 3] = {-1, 1, 1, -3, 1, 1},
                        ci[2 * 3] = {1, 1, 0, 0, 1, 0};
    Tensor tv = tensor_wrap(F64, 2, DIMS(2, 3), V),
           ta = tensor_wrap(F64, 2, DIMS(2, 3), a),
           tc = tensor_wrap(F64, 2, DIMS(2, 3), ci), s;
    Err err = {0};
    assert_ok(causal_gauge(&tv, &ta, &tc, 0.1, &s, &err), err);
    assert_near(t_at(&s, 0), -0.2, 1e-15); /* where it matters its activation is -1 */
    assert_near(t_at(&s, 1), 1, 0);        /* a zero column */
    assert_near(t_at(&s, 2), -0.5, 1e-15); /* never: the largest entry decides */
    tensor_release(&s);
}

static void test_correlation(void **state)
{
    (void)state;
    Tensor a = t_random(1, F64, 2, DIMS(50, 3), 0, 1), b = t_make(F64, 2, DIMS(50, 3)),
           out;
    Err err = {0};
    for (int64_t r = 0; r < 50; r++) {
        ((double *)b.data)[r * 3] = -7 * at(&a, r, 0) + 2;
        ((double *)b.data)[r * 3 + 1] = 4;
        ((double *)b.data)[r * 3 + 2] = at(&a, r, 1) + at(&a, r, 2);
    }
    assert_ok(causal_correlation(&a, &b, &out, &err), err);
    assert_near(at(&out, 0, 0), -1, 1e-12);
    for (int i = 0; i < 3; i++)
        assert_near(at(&out, i, 1), 0, 0);
    double m1 = 0, m2 = 0, s11 = 0, s12 = 0, s22 = 0;
    for (int64_t r = 0; r < 50; r++) {
        m1 += at(&a, r, 1) / 50;
        m2 += at(&b, r, 2) / 50;
    }
    for (int64_t r = 0; r < 50; r++) {
        double x = at(&a, r, 1) - m1, y = at(&b, r, 2) - m2;
        s11 += x * x;
        s12 += x * y;
        s22 += y * y;
    }
    assert_near(at(&out, 1, 2), s12 / sqrt(s11 * s22), 1e-12);
    tensor_release(&out);
    tensor_release(&a);
    tensor_release(&b);
}

static void test_pair_map(void **state)
{
    (void)state;
    Err err = {0};
    Tensor p = t_make(F64, 1, DIMS(101)), q = t_make(F64, 1, DIMS(101)), out;
    for (int64_t r = 0; r <= 100; r++) {
        ((double *)p.data)[r] = (double)r;
        ((double *)q.data)[r] = (double)r;
    }
    assert_ok(causal_pair_map(&p, &q, &p, 4, &out, &err), err);
    /* 2 to 98 in four bins: only the rising diagonal, from the bottom left, has rows */
    for (int i = 0; i < 4; i++)
        for (int k = 0; k < 4; k++)
            assert_int_equal(isnan(at(&out, i, k)), i != 3 - k);
    assert_near(at(&out, 3, 0), (2 + 25) / 2.0, 1e-12);
    assert_near(at(&out, 0, 3), (74 + 98) / 2.0, 1e-12);
    tensor_release(&out);
    Tensor one = tensor_wrap(F64, 1, DIMS(1), p.data);
    assert_ok(causal_pair_map(&one, &one, &one, 2, &out, &err), err);
    assert_near(at(&out, 1, 0), 0, 0);
    tensor_release(&out);
    tensor_release(&p);
    tensor_release(&q);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bias_golden),   cmocka_unit_test(test_plain_loops),
        cmocka_unit_test(test_identity_gate), cmocka_unit_test(test_gauge_free),
        cmocka_unit_test(test_stochastic),    cmocka_unit_test(test_blocks_and_lists),
        cmocka_unit_test(test_refused),       cmocka_unit_test(test_memory),
        cmocka_unit_test(test_keep),          cmocka_unit_test(test_alive),
        cmocka_unit_test(test_gauge),         cmocka_unit_test(test_correlation),
        cmocka_unit_test(test_pair_map),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
