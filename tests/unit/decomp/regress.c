/* The lasso: solutions known in closed form, the conditions that characterise every
 * solution, cross-validation done the long way. Stepwise: each choice against dense
 * least squares on every fold. */
#include "graph_support.h"

#include "decomp/regress.h"
#include "tensor/lapack.h"

static LassoCfg lasso_defaults(void)
{
    Err err = {0};
    LassoCfg c;
    assert_ok(opt_defaults(lasso_options, lasso_n_options, &c, &err), err);
    return c;
}

static StepwiseCfg stepwise_defaults(void)
{
    Err err = {0};
    StepwiseCfg c;
    assert_ok(opt_defaults(stepwise_options, stepwise_n_options, &c, &err), err);
    return c;
}

static double at(const Tensor *t, int64_t i, int64_t j)
{
    return t_at(t, i * t->dim[1] + j);
}

static LassoFit fit(const Tensor *X, const Tensor *Y, const LassoCfg *c)
{
    Err err = {0};
    LassoFit f;
    assert_ok(lasso_fit(X, Y, c, &f, &err), err);
    assert_int_equal(f.unfinished, 0);
    return f;
}

/* Columns of a 4-row sign matrix: means 0, x_k.x_l / N = delta. y = 3 x1 + 0.5 x2. */
static void test_lasso_golden(void **state)
{
    (void)state;
    static const double signs[4][2] = {
        {1,  1 },
        {1,  -1},
        {-1, 1 },
        {-1, -1}
    };
    Tensor X = t_make(F64, 2, DIMS(40, 2)), Y = t_make(F64, 2, DIMS(40, 1));
    for (int64_t r = 0; r < 40; r++) {
        for (int k = 0; k < 2; k++)
            ((double *)X.data)[r * 2 + k] = signs[r % 4][k] + 5 + 95 * k;
        ((double *)Y.data)[r] = 3 * signs[r % 4][0] + 0.5 * signs[r % 4][1] + 7;
    }
    LassoCfg c = lasso_defaults();
    c.alpha = 0.5;
    LassoFit f = fit(&X, &Y, &c);
    assert_near(at(&f.coef, 0, 0), 2.5, 1e-10);
    assert_near(at(&f.coef, 0, 1), 0, 0);
    assert_near(t_at(&f.intercept, 0), 7 - 2.5 * 5, 1e-9);
    assert_near(t_at(&f.r2_top2, 0), 9 / 9.25, 1e-10);
    assert_near(t_at(&f.r2, 0), 1 - (0.25 + 0.25) / 9.25, 1e-10);
    assert_int_equal(((int32_t *)f.top.data)[0], 0);
    assert_int_equal(((int32_t *)f.top.data)[1], -1);
    lasso_done(&f);
    c.alpha = 0; /* no noise: the least alpha is the best */
    f = fit(&X, &Y, &c);
    assert_near(at(&f.coef, 0, 0), 3, 0.01);
    assert_near(t_at(&f.alpha, 0), 3e-3, 1e-9);
    assert_int_equal(((int32_t *)f.top.data)[1], 1);
    assert_near(t_at(&f.r2_top2, 0), 1, 1e-9);
    lasso_done(&f);
    tensor_release(&X);
    tensor_release(&Y);
}

/* Correlated columns of very different scale, one constant, one twice. */
static void mixed(Tensor *X, Tensor *Y, int64_t N)
{
    *X = t_random(11, F64, 2, DIMS(N, 6), -1, 1);
    Tensor noise = t_random(12, F64, 2, DIMS(N, 2), -1, 1);
    *Y = t_make(F64, 2, DIMS(N, 2));
    double *x = X->data, *y = Y->data;
    for (int64_t r = 0; r < N; r++, x += 6, y += 2) {
        x[1] = 0.8 * x[0] + 0.3 * x[1];
        x[2] = 20 * x[2] + 1000;
        x[3] = 5;
        x[5] = x[4];
        y[0] = 2 * x[0] - x[1] + 0.1 * x[2] + 0.5 * t_at(&noise, 2 * r);
        y[1] = x[4] + 2 * t_at(&noise, 2 * r + 1) + 30;
    }
    tensor_release(&noise);
}

static double mean_of(const Tensor *t, int64_t k)
{
    double s = 0;
    for (int64_t r = 0; r < t->dim[0]; r++)
        s += at(t, r, k) / (double)t->dim[0];
    return s;
}

static double residual(const Tensor *X, const Tensor *Y, const LassoFit *f, int64_t y,
                       int64_t r)
{
    double e = at(Y, r, y) - t_at(&f->intercept, y);
    for (int64_t k = 0; k < X->dim[1]; k++)
        e -= at(X, r, k) * at(&f->coef, y, k);
    return e;
}

/* |x_k . residual| / N <= alpha, with equality and the sign of w_k where w_k is not 0. */
static void check_kkt(const Tensor *X, const Tensor *Y, const LassoFit *f)
{
    int64_t N = X->dim[0];
    for (int64_t y = 0; y < Y->dim[1]; y++) {
        double sum = 0, alpha = t_at(&f->alpha, y);
        for (int64_t r = 0; r < N; r++)
            sum += residual(X, Y, f, y, r);
        assert_near(sum / (double)N, 0, 1e-8);
        for (int64_t k = 0; k < X->dim[1]; k++) {
            double g = 0, m = mean_of(X, k), w = at(&f->coef, y, k);
            for (int64_t r = 0; r < N; r++)
                g += (at(X, r, k) - m) * residual(X, Y, f, y, r) / (double)N;
            if (w != 0)
                assert_near(g, w > 0 ? alpha : -alpha, 2e-6);
            else
                assert_true(fabs(g) <= alpha + 2e-6);
        }
    }
}

static void test_lasso_conditions(void **state)
{
    (void)state;
    Tensor X, Y;
    mixed(&X, &Y, 203);
    LassoCfg c = lasso_defaults();
    static const double alphas[] = {1e-4, 1e-2, 0.3, 1.5, 100};
    for (int k = 0; k < 5; k++) {
        c.alpha = alphas[k];
        LassoFit f = fit(&X, &Y, &c);
        check_kkt(&X, &Y, &f);
        assert_near(at(&f.coef, 0, 3), 0, 0);
        if (k == 4) {
            assert_int_equal(((int32_t *)f.top.data)[0], -1);
            assert_near(t_at(&f.r2, 0), 0, 1e-12);
        }
        lasso_done(&f);
    }
    tensor_release(&X);
    tensor_release(&Y);
}

/* Rows first..first+n-1 left out. */
static Tensor without(const Tensor *t, int64_t first, int64_t n)
{
    int64_t d = t->dim[1];
    Tensor out = t_make(F64, 2, DIMS(t->dim[0] - n, d));
    memcpy(out.data, t->data, sizeof(double) * (size_t)(first * d));
    memcpy((double *)out.data + first * d, (double *)t->data + (first + n) * d,
           sizeof(double) * (size_t)((t->dim[0] - first - n) * d));
    return out;
}

static double held_out(const Tensor *X, const Tensor *Y, const LassoCfg *c, int64_t y,
                       int64_t folds)
{
    double sum = 0;
    int64_t N = X->dim[0], first = 0;
    for (int64_t k = 0; k < folds; k++) {
        int64_t n = N / folds + (k < N % folds);
        Tensor x = without(X, first, n), z = without(Y, first, n);
        LassoFit f = fit(&x, &z, c);
        double e = 0;
        for (int64_t r = first; r < first + n; r++)
            e += residual(X, Y, &f, y, r) * residual(X, Y, &f, y, r) / (double)n;
        sum += e / (double)folds;
        lasso_done(&f);
        tensor_release(&x);
        tensor_release(&z);
        first += n;
    }
    return sum;
}

static void test_lasso_cross_validation(void **state)
{
    (void)state;
    Tensor X, Y;
    mixed(&X, &Y, 103);
    LassoCfg c = lasso_defaults(), one = c;
    c.alphas = 12;
    LassoFit f = fit(&X, &Y, &c);
    for (int64_t y = 0; y < 2; y++) {
        double most = 0, best = INFINITY, found = 0;
        for (int64_t k = 0; k < 6; k++) {
            double s = 0, mx = mean_of(&X, k), my = mean_of(&Y, y);
            for (int64_t r = 0; r < 103; r++)
                s += (at(&X, r, k) - mx) * (at(&Y, r, y) - my) / 103;
            most = fmax(most, fabs(s));
        }
        for (int t = 0; t < 12; t++) {
            one.alpha = most * pow(1e-3, t / 11.0);
            double e = held_out(&X, &Y, &one, y, 5);
            if (e < best) {
                best = e;
                found = one.alpha;
            }
        }
        assert_near(t_at(&f.alpha, y), found, 1e-9 * found);
    }
    check_kkt(&X, &Y, &f);
    lasso_done(&f);
    tensor_release(&X);
    tensor_release(&Y);
}

/* With scaled columns the choice of the two does not depend on units. */
static void test_lasso_standardised(void **state)
{
    (void)state;
    Tensor X, Y;
    mixed(&X, &Y, 150);
    LassoCfg c = lasso_defaults();
    c.standardise = true;
    c.alpha = 0.05;
    LassoFit f = fit(&X, &Y, &c);
    for (int64_t r = 0; r < 150; r++)
        ((double *)X.data)[r * 6] *= -50;
    LassoFit g = fit(&X, &Y, &c);
    assert_near(at(&f.coef, 0, 0), -50 * at(&g.coef, 0, 0), 1e-7);
    assert_near(t_at(&f.r2, 0), t_at(&g.r2, 0), 1e-9);
    assert_memory_equal(f.top.data, g.top.data, tensor_bytes(&f.top));
    lasso_done(&f);
    lasso_done(&g);
    tensor_release(&X);
    tensor_release(&Y);
}

/* ---- stepwise -------------------------------------------------------------------- */

/* Mean held-out R2 of dense least squares with an intercept. */
static double dense_score(const Tensor *X, const Tensor *Y, int64_t y,
                          const int32_t *list, int64_t k, int64_t folds)
{
    Err err = {0};
    int64_t N = X->dim[0], first = 0;
    double sum = 0;
    for (int64_t f = 0; f < folds; f++) {
        int64_t n = N / folds + (f < N % folds), row = 0;
        Tensor A = t_make(F64, 2, DIMS(N - n, k + 1)), b = t_make(F64, 1, DIMS(N - n)),
               w;
        for (int64_t r = 0; r < N; r++) {
            if (r >= first && r < first + n)
                continue;
            for (int64_t c = 0; c < k; c++)
                ((double *)A.data)[row * (k + 1) + c] = at(X, r, list[c]);
            ((double *)A.data)[row * (k + 1) + k] = 1;
            ((double *)b.data)[row++] = at(Y, r, y);
        }
        assert_ok(lapack_lstsq(&A, &b, 0, &w, NULL, &err), err);
        double sse = 0, mean = 0, sst = 0;
        for (int64_t r = first; r < first + n; r++)
            mean += at(Y, r, y) / (double)n;
        for (int64_t r = first; r < first + n; r++) {
            double e = at(Y, r, y) - t_at(&w, k);
            for (int64_t c = 0; c < k; c++)
                e -= at(X, r, list[c]) * t_at(&w, c);
            sse += e * e;
            sst += (at(Y, r, y) - mean) * (at(Y, r, y) - mean);
        }
        sum += (1 - sse / sst) / (double)folds;
        tensor_release(&A);
        tensor_release(&b);
        tensor_release(&w);
        first += n;
    }
    return sum;
}

static void test_stepwise(void **state)
{
    (void)state;
    Tensor X, Y;
    mixed(&X, &Y, 152);
    StepwiseCfg c = stepwise_defaults();
    StepwiseFit f;
    Err err = {0};
    c.enough = 2; /* until nothing helps */
    assert_ok(stepwise_fit(&X, &Y, &c, &f, &err), err);
    for (int64_t y = 0; y < 2; y++) {
        int32_t list[7], n = ((int32_t *)f.needed.data)[y];
        double now = 0;
        assert_true(n >= 1 && n < 6);
        for (int32_t k = 0; k <= n; k++) {
            double best = now;
            int32_t which = -1;
            for (int32_t q = 0; q < 5; q++) { /* 5 is a copy of 4 */
                bool used = false;
                for (int32_t t = 0; t < k; t++)
                    used = used || list[t] == q;
                list[k] = q;
                double s = used || q == 3 ? -1 : dense_score(&X, &Y, y, list, k + 1, 3);
                if (s > best + 1e-12) {
                    best = s;
                    which = q;
                }
            }
            int32_t got = k < c.most ? ((int32_t *)f.chosen.data)[y * c.most + k] : -1;
            assert_int_equal(got, k < n ? which : -1);
            assert_true(k < n || which < 0);
            if (k < n)
                assert_near(at(&f.r2, y, k), best, 1e-9);
            list[k] = which;
            now = best;
        }
    }
    stepwise_done(&f);
    c.enough = 0.5;
    assert_ok(stepwise_fit(&X, &Y, &c, &f, &err), err);
    int32_t n = ((int32_t *)f.needed.data)[0];
    assert_int_equal(((uint8_t *)f.reached.data)[0], 1);
    assert_int_equal(((uint8_t *)f.reached.data)[1], 0);
    assert_true(at(&f.r2, 0, n - 1) >= 0.5 && (n < 2 || at(&f.r2, 0, n - 2) < 0.5));
    assert_true(isnan(at(&f.r2, 0, n)));
    stepwise_done(&f);
    tensor_release(&X);
    tensor_release(&Y);
}

/* ---- refused --------------------------------------------------------------------- */

typedef struct Pair {
    Tensor X, Y;
} Pair;

static bool try_both(void *ctx, Err *err)
{
    Pair *p = ctx;
    LassoCfg c = lasso_defaults();
    StepwiseCfg d = stepwise_defaults();
    LassoFit f;
    StepwiseFit g;
    c.alphas = 3;
    if (!lasso_fit(&p->X, &p->Y, &c, &f, err))
        return false;
    lasso_done(&f);
    bool ok = stepwise_fit(&p->X, &p->Y, &d, &g, err);
    stepwise_done(&g);
    return ok;
}

static void test_refused(void **state)
{
    (void)state;
    Pair p;
    Err err = {0};
    mixed(&p.X, &p.Y, 30);
    assert_true(fail_each_alloc(try_both, &p) >= 12);
    ((double *)p.X.data)[4] = NAN;
    assert_false(try_both(&p, &err));
    assert_has(err.msg, "X has values that are not finite");
    ((double *)p.X.data)[4] = 0;
    Tensor all = p.X, few;
    assert_ok(tensor_slice(&all, 0, 0, 3, 1, &few, &err), err);
    p.X = few;
    assert_false(try_both(&p, &err));
    assert_has(err.msg, "X has 3 rows and Y 30");
    Tensor y = p.Y;
    assert_ok(tensor_slice(&y, 0, 0, 3, 1, &p.Y, &err), err);
    assert_false(try_both(&p, &err));
    assert_has(err.msg, "too few for 5 folds");
    tensor_release(&p.X);
    tensor_release(&p.Y);
    tensor_release(&all);
    /* what does not vary cannot be explained */
    for (int64_t r = 0; r < 30; r++)
        ((double *)y.data)[2 * r] = 4;
    mixed(&p.X, &p.Y, 30);
    LassoCfg c = lasso_defaults();
    LassoFit f = fit(&p.X, &y, &c);
    assert_true(isnan(t_at(&f.r2, 0)) && !isnan(t_at(&f.r2, 1)));
    assert_near(t_at(&f.intercept, 0), 4, 1e-12);
    lasso_done(&f);
    tensor_release(&p.X);
    tensor_release(&p.Y);
    tensor_release(&y);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lasso_golden),
        cmocka_unit_test(test_lasso_conditions),
        cmocka_unit_test(test_lasso_cross_validation),
        cmocka_unit_test(test_lasso_standardised),
        cmocka_unit_test(test_stepwise),
        cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
