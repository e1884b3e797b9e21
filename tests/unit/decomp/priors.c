/* Priors on a graph of doubles: values against formulas and an independent program,
 * gradients against differences, and no prior sees the scale of a factor. */
#include "case.h"

#include "decomp/priors.h"

typedef struct Setting {
    int64_t R, height, width;
    Tensor a, b, weight, unlit; /* f64; a and b are states */
    Tensor S;                   /* f64 [I,I] of nrm, TT and gram */
    Tensor same;                /* f64 [R,R] */
    Tensor head;                /* f64 [R,4] */
} Setting;

static Setting setting_new(int64_t R, int64_t height, int64_t width)
{
    int64_t I = height * width;
    Setting s = {.R = R, .height = height, .width = width};
    s.a = t_random(1, F64, 2, DIMS(R, I), -1, 1);
    s.b = t_random(2, F64, 2, DIMS(R, I), -2, 2);
    s.weight = t_random(3, F64, 1, DIMS(2 * R), 0.2, 1.8);
    s.unlit = t_make(F64, 1, DIMS(I));
    s.S = t_make(F64, 2, DIMS(I, I));
    s.same = t_make(F64, 2, DIMS(R, R));
    s.head = t_random(5, F64, 2, DIMS(R, 4), -1, 1);
    for (int64_t i = 0; i < I; i++) {
        d64(&s.unlit)[i] = i % 3 == 0;
        for (int64_t j = 0; j < I; j++)
            d64(&s.S)[i * I + j] = (i == j) + 0.1 * cos((double)(i + j));
    }
    for (int64_t i = 0; i < R * R; i++)
        d64(&s.same)[i] = i / R % 2 == i % R % 2;
    return s;
}

static void setting_done(Setting *s)
{
    Tensor *const all[] = {&s->a, &s->b,    &s->weight, &s->unlit,
                           &s->S, &s->same, &s->head};
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        tensor_release(all[i]);
}

static PriorCtx context(const Setting *s, Graph *g, Val *a, Val *b)
{
    *a = graph_state(g, "a", &s->a);
    *b = graph_state(g, "b", &s->b);
    PriorCtx p = {.g = g,
                  .R = s->R,
                  .I = s->height * s->width,
                  .height = s->height,
                  .width = s->width};
    Val S = graph_const(g, &s->S), aS = g_matmul(g, *a, S, false, false);
    Val bS = g_matmul(g, *b, S, false, false);
    Val ab = g_matmul(g, aS, *b, false, true);
    Val sum = g_add(
        g, g_mul(g, g_matmul(g, aS, *a, false, true), g_matmul(g, bS, *b, false, true)),
        g_mul(g, ab, g_transpose(g, ab)));
    p.gram = g_mul(g, g_scale(g, sum, 0.5), graph_const(g, &s->same));
    p.nrm = g_unary(g, "diag", p.gram);
    p.TT = g_sum(g, p.gram);
    p.q = prior_patterns(g, *a, *b);
    p.energy = g_square(g, p.q);
    p.weight = graph_const(g, &s->weight);
    p.unlit = graph_const(g, &s->unlit);
    p.a = *a;
    p.b = *b;
    p.head = graph_state(g, "head", &s->head);
    return p;
}

typedef struct Compiled {
    Plan *plan;
} Compiled;

/* Outputs: the value, its gradients for a, b and head, the patterns. */
static Compiled compile(const Setting *s, const PriorRow *row)
{
    Err err = {0};
    Graph *g = graph_new(&err);
    Val of[3], d[3];
    PriorCtx p = context(s, g, &of[0], &of[1]);
    of[2] = p.head;
    Val v = row->build(&p);
    graph_output(g, "value", v);
    graph_grad(g, v, of, 3, d);
    graph_output(g, "da", d[0]);
    graph_output(g, "db", d[1]);
    graph_output(g, "dhead", d[2]);
    graph_output(g, "q", p.q);
    if (!graph_ok(g))
        fail_msg("%s: %s", row->name, graph_err(g)->msg);
    Compiled c = {plan_of(g, 0)};
    graph_free(g);
    return c;
}

static double value_of(Compiled *c)
{
    Err err = {0};
    assert_ok(plan_run(c->plan, NULL, &err), err);
    return t_at(plan_output(c->plan, 0), 0);
}

static const PriorRow *row_named(const char *name)
{
    for (size_t k = 0; k < prior_n_rows; k++)
        if (!strcmp(prior_rows[k].name, name))
            return &prior_rows[k];
    fail_msg("no prior %s", name);
    return NULL;
}

static double prior_value(const Setting *s, const char *name)
{
    Compiled c = compile(s, row_named(name));
    double v = value_of(&c);
    plan_free(c.plan);
    return v;
}

/* --- values ----------------------------------------------------------------------- */

static void values_of_the_formula_case(void **state)
{
    (void)state;
    static const double h[5] = {0.785771288204336, 1.0783723141749495,
                                1.7557934523732865, 0.7098718528148055,
                                0.6701910924326221};
    Case k = case_formula();
    Setting s = setting_new(5, 28, 28);
    for (int r = 0; r < 5; r++) {
        d64(&s.weight)[r] = d64(&s.weight)[5 + r] = h[r];
        for (int j = 0; j < 784; j++) {
            d64(&s.a)[r * 784 + j] = formula_a(r, j);
            d64(&s.b)[r * 784 + j] = formula_b(r, j);
        }
        for (int q = 0; q < 5; q++)
            d64(&s.same)[r * 5 + q] = r % 3 == q % 3;
    }
    memcpy(s.S.data, k.S.data, tensor_bytes(&s.S));
    assert_near(prior_value(&s, "sparsity"), 0.8486860532696158, 1e-10);
    assert_near(prior_value(&s, "locality"), 0.6581624815302025, 1e-10);
    assert_near(prior_value(&s, "roughness"), 1.6191697459689411, 1e-9);
    assert_near(prior_value(&s, "cancellation"), 0.8175015451378134, 1e-9);
    setting_done(&s);
    case_done(&k);
}

/* The displayed pattern of component r of the setting: side 1 plus, -1 minus. */
static void pattern(const Setting *s, int64_t r, int side, double *q)
{
    int64_t I = s->height * s->width;
    const double *a = d64(&s->a) + r * I, *b = d64(&s->b) + r * I;
    double na = 0, nb = 0, n = 0;
    for (int64_t i = 0; i < I; i++) {
        na += a[i] * a[i];
        nb += b[i] * b[i];
    }
    for (int64_t i = 0; i < I; i++) {
        q[i] = a[i] / sqrt(sqrt(na)) * sqrt(sqrt(nb)) +
               side * b[i] / sqrt(sqrt(nb)) * sqrt(sqrt(na));
        n += q[i] * q[i];
    }
    for (int64_t i = 0; i < I; i++)
        q[i] /= sqrt(n);
}

static void values_by_hand(void **state)
{
    (void)state;
    enum { R = 3, H = 3, W = 4, I = 12 };
    Setting s = setting_new(R, H, W);
    double tv = 0, background = 0, cosines = 0, q[I];
    for (int k = 0; k < 2 * R; k++) {
        double v = 0, e = 0, w = d64(&s.weight)[k];
        pattern(&s, k % R, k < R ? 1 : -1, q);
        for (int i = 0; i < I; i++) {
            v += i % W + 1 < W ? fabs(q[i + 1] - q[i]) : 0;
            v += i + W < I ? fabs(q[i + W] - q[i]) : 0;
            e += i % 3 == 0 ? q[i] * q[i] : 0;
        }
        tv += w * v / sqrt(I) / (2 * R);
        background += w * e / (2 * R);
    }
    double T[R][I * I];
    for (int r = 0; r < R; r++)
        for (int i = 0; i < I * I; i++)
            T[r][i] = 0.5 * (d64(&s.a)[r * I + i / I] * d64(&s.b)[r * I + i % I] +
                             d64(&s.b)[r * I + i / I] * d64(&s.a)[r * I + i % I]);
    for (int r = 0; r < R; r++)
        for (int t = 0; t < R; t++)
            if (r != t && r % 2 == t % 2) {
                double rt = dense_inner(T[r], T[t], &s.S, I);
                cosines += rt * rt / dense_inner(T[r], T[r], &s.S, I) /
                           dense_inner(T[t], T[t], &s.S, I) / R;
            }
    assert_near(prior_value(&s, "variation"), tv, 1e-10);
    assert_near(prior_value(&s, "background"), background, 1e-10);
    assert_near(prior_value(&s, "duplicates"), cosines, 1e-10);
    setting_done(&s);
}

static void values_of_squares_by_hand(void **state)
{
    (void)state;
    enum { R = 3, H = 3, W = 4, I = 12, C = 4 };
    Setting s = setting_new(R, H, W);
    double lap = 0, border = 0, fourth = 0, apart = 0, l1 = 0, entropy = 0, q[I];
    for (int k = 0; k < 2 * R; k++) {
        double w = d64(&s.weight)[k] / (2 * R);
        pattern(&s, k % R, k < R ? 1 : -1, q);
        for (int y = 0; y < H; y++)
            for (int x = 0; x < W; x++) {
                int up = y ? y - 1 : 1, down = y + 1 < H ? y + 1 : H - 2;
                int left = x ? x - 1 : 1, right = x + 1 < W ? x + 1 : W - 2;
                double p = q[y * W + x], cy = y - 1, cx = x * 2.0 / 3 - 1;
                double d = q[up * W + x] + q[down * W + x] + q[y * W + left] +
                           q[y * W + right] - 4 * p;
                lap += w * d * d;
                border += w * p * p * (cy * cy + cx * cx);
                fourth += w * p * p * p * p;
            }
    }
    for (int r = 0; r < R; r++) {
        double na = 0, nb = 0, sum = 0, square = 0;
        for (int i = 0; i < I; i++) {
            na += pow(d64(&s.a)[r * I + i], 2);
            nb += pow(d64(&s.b)[r * I + i], 2);
        }
        for (int i = 0; i < I; i++)
            apart +=
                pow(d64(&s.a)[r * I + i] / sqrt(na) - d64(&s.b)[r * I + i] / sqrt(nb),
                    2) /
                R;
        for (int c = 0; c < C; c++) {
            sum += fabs(d64(&s.head)[r * C + c]);
            square += pow(d64(&s.head)[r * C + c], 2);
        }
        l1 += sum / sqrt(square) / R;
        for (int c = 0; c < C; c++) {
            double p = fabs(d64(&s.head)[r * C + c]) / sum;
            entropy -= p * log(p) / log(C) / R;
        }
    }
    assert_near(prior_value(&s, "laplacian"), lap, 1e-9);
    assert_near(prior_value(&s, "border"), border, 1e-10);
    assert_near(prior_value(&s, "varimax"), 1 - fourth, 1e-10);
    assert_near(prior_value(&s, "symmetry"), apart, 1e-10);
    assert_near(prior_value(&s, "head_l1"), l1, 1e-10);
    assert_near(prior_value(&s, "head_entropy"), entropy, 1e-9);
    setting_done(&s);
}

/* --- gradients and invariance ----------------------------------------------------- */

static void gradients_match_differences(void **state)
{
    (void)state;
    Setting s = setting_new(3, 3, 4);
    for (size_t k = 0; k < prior_n_rows; k++) {
        Compiled c = compile(&s, &prior_rows[k]);
        Tensor *const param[3] = {&s.a, &s.b, &s.head};
        double top = 0;
        value_of(&c);
        for (int side = 0; side < 3; side++) {
            Tensor d = {0};
            Err err = {0};
            value_of(&c);
            assert_ok(tensor_copy(plan_output(c.plan, 1 + side), &d, &err), err);
            for (int64_t i = 0; i < tensor_count(&d); i++) {
                double *x = d64(param[side]) + i, old = *x, step = 1e-6;
                *x = old + step;
                double up = value_of(&c);
                *x = old - step;
                double down = value_of(&c);
                *x = old;
                if (fabs((up - down) / (2 * step) - t_at(&d, i)) > 1e-7)
                    fail_msg("%s: gradient %d of side %d is %.10g, must be %.10g",
                             prior_rows[k].name, (int)i, side, t_at(&d, i),
                             (up - down) / (2 * step));
                top = fmax(top, fabs(t_at(&d, i)));
            }
            tensor_release(&d);
        }
        assert_true(top > 1e-3);
        plan_free(c.plan);
    }
    setting_done(&s);
}

static void no_prior_sees_the_scale(void **state)
{
    (void)state;
    for (size_t k = 0; k < prior_n_rows; k++) {
        Setting s = setting_new(4, 3, 4);
        Compiled c = compile(&s, &prior_rows[k]);
        double before = value_of(&c);
        static const double by[4] = {8, 0.25, 3, 1e-3};
        for (int64_t i = 0; i < 48; i++) {
            d64(&s.a)[i] *= by[i / 12];
            d64(&s.b)[i] /= by[i / 12];
        }
        assert_near(value_of(&c), before, 1e-8); /* norms are shifted by 1e-12 */
        for (int64_t i = 0; i < 48; i++) {       /* nor the size of everything */
            d64(&s.a)[i] *= 10;
            d64(&s.b)[i] *= 10;
        }
        assert_near(value_of(&c), before, 1e-8);
        plan_free(c.plan);
        setting_done(&s);
    }
}

/* A dot costs most, a flat pattern least, and so on: what the docs promise. */
static void extremes(void **state)
{
    (void)state;
    Setting s = setting_new(1, 5, 5);
    for (int i = 0; i < 25; i++) {
        d64(&s.a)[i] = i == 12; /* plus is a dot, minus another */
        d64(&s.b)[i] = i == 12 ? 1 : 0;
    }
    d64(&s.weight)[0] = 2;
    d64(&s.weight)[1] = 0; /* a = b: the minus pattern is zero */
    assert_near(prior_value(&s, "sparsity"), 1.0 / 5, 1e-9);
    assert_near(prior_value(&s, "locality"), 0, 1e-9);
    assert_near(prior_value(&s, "roughness"), 4, 1e-9);
    assert_near(prior_value(&s, "cancellation"), 1, 1e-9);
    assert_near(prior_value(&s, "duplicates"), 0, 1e-9);
    for (int i = 0; i < 25; i++)
        d64(&s.a)[i] = d64(&s.b)[i] = 1;
    assert_near(prior_value(&s, "sparsity"), 1, 1e-9);
    assert_near(prior_value(&s, "roughness"), 0, 1e-9);
    assert_near(prior_value(&s, "variation"), 0, 1e-9);
    assert_near(prior_value(&s, "locality"), 1,
                1e-9); /* 2 times the mean of 1, 1/4, 0 ... */
    setting_done(&s);
}

static void one_pixel_and_unknown_background(void **state)
{
    (void)state;
    Err err = {0};
    Setting s = setting_new(2, 1, 1);
    for (size_t k = 0; k < prior_n_rows; k++)
        assert_true(isfinite(prior_value(&s, prior_rows[k].name)));
    Graph *g = graph_new(&err);
    Val a, b;
    PriorCtx p = context(&s, g, &a, &b);
    p.unlit = VAL_NONE;
    assert_int_equal(row_named("background")->build(&p), VAL_NONE);
    assert_has(graph_err(g)->msg, "training images");
    graph_free(g);
    setting_done(&s);
}

int main(void)
{
    blas_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_of_the_formula_case),
        cmocka_unit_test(values_by_hand),
        cmocka_unit_test(values_of_squares_by_hand),
        cmocka_unit_test(gradients_match_differences),
        cmocka_unit_test(no_prior_sees_the_scale),
        cmocka_unit_test(extremes),
        cmocka_unit_test(one_pixel_and_unknown_background),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
