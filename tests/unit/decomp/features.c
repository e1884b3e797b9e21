/* Statistics of features against the formulas written out, example by example. */
#include "decomp/features.h"

#include <math.h>

#include "base/mem.h"
#include "support.h"

enum { N = 40, M = 6, C = 3, K = 4 };

static void near(double got, double want)
{
    if (!(fabs(got - want) <= 1e-12))
        fail_msg("got %.17g, want %.17g", got, want);
}

static void fill(float *a, int32_t *y)
{
    for (int i = 0; i < N; i++) {
        y[i] = i % 7 < 4 ? 0 : i % 7 < 6 ? 2 : 1;
        for (int m = 0; m < M; m++) {
            float v = (float)sin(1.3 * i + 2.1 * m) * (float)(m + 1);
            a[i * M + m] = m == 4 || (m == 2 && v < 1) ? 0 : v; /* dead; sparse */
        }
        a[i * M + 5] = a[i * M + 3]; /* equal energies */
    }
}

static void check_feature(const FeatureStats *s, const float *a, const int32_t *y,
                          int m)
{
    double count = 0, sum = 0, sq = 0, mean[C] = {0}, energy[C] = {0}, of[C] = {0};
    for (int i = 0; i < N; i++) {
        double v = (double)a[i * M + m];
        count += v != 0;
        sum += fabs(v);
        sq += v * v;
        mean[y[i]] += v;
        energy[y[i]] += v * v;
        of[y[i]]++;
    }
    int best = 0;
    for (int c = 1; c < C; c++)
        best = energy[c] > energy[best] ? c : best;
    near(((double *)s->density.data)[m], count / N);
    near(((double *)s->energy.data)[m], sq / N);
    near(((double *)s->spread.data)[m], sq > 0 ? sum * sum / (N * sq) : 0);
    near(((double *)s->selectivity.data)[m], sq > 0 ? energy[best] / sq : 0);
    assert_int_equal(((int32_t *)s->best.data)[m], best);
    for (int c = 0; c < C; c++) {
        near(((double *)s->class_mean.data)[m * C + c], mean[c] / of[c]);
        near(((double *)s->share.data)[c], of[c] / N);
    }
}

static void numbers(void **state)
{
    (void)state;
    float a[N * M];
    int32_t y[N];
    Err err = {0};
    FeatureStats s;
    fill(a, y);
    Tensor act = tensor_wrap(F32, 2, (int64_t[]){N, M}, a);
    Tensor labels = tensor_wrap(I32, 1, (int64_t[]){N}, y);
    assert_ok(features_measure(&act, &labels, C, &s, &err), err);
    for (int m = 0; m < M; m++)
        check_feature(&s, a, y, m);
    const int32_t *order = s.order.data;
    for (int i = 1; i < M; i++) {
        double before = ((double *)s.energy.data)[order[i - 1]];
        double now = ((double *)s.energy.data)[order[i]];
        assert_true(before > now || (before == now && order[i - 1] < order[i]));
    }
    features_done(&s);
}

/* Each row holds the K largest, found by looking K times. */
static void check_top(const float *a, const Tensor *top, const int32_t *pick, int n,
                      int sign)
{
    for (int r = 0; r < n; r++) {
        bool used[N] = {false};
        int m = pick ? pick[r] : r;
        for (int k = 0; k < K; k++) {
            int best = -1;
            for (int i = 0; i < N; i++) {
                float v = (float)sign * a[i * M + m];
                if (!used[i] && v > 0 &&
                    (best < 0 || v > (float)sign * a[best * M + m]))
                    best = i;
            }
            assert_int_equal(((int32_t *)top->data)[r * K + k], best);
            if (best >= 0)
                used[best] = true;
        }
    }
}

static void examples(void **state)
{
    (void)state;
    float a[N * M];
    int32_t y[N];
    static const int32_t pick[] = {5, 4, 2};
    Err err = {0};
    Tensor top, act = tensor_wrap(F32, 2, (int64_t[]){N, M}, a);
    fill(a, y);
    for (int sign = -1; sign <= 1; sign += 2) {
        assert_ok(features_top(&act, NULL, M, K, sign, &top, &err), err);
        check_top(a, &top, NULL, M, sign);
        tensor_release(&top);
        assert_ok(features_top(&act, pick, 3, K, sign, &top, &err), err);
        check_top(a, &top, pick, 3, sign);
        tensor_release(&top);
    }
}

static void refusals(void **state)
{
    (void)state;
    float a[N * M];
    int32_t y[N], bad[] = {M};
    Err err = {0};
    FeatureStats s;
    Tensor top, act = tensor_wrap(F32, 2, (int64_t[]){N, M}, a);
    Tensor labels = tensor_wrap(I32, 1, (int64_t[]){N}, y);
    fill(a, y);
    assert_false(features_measure(&act, &labels, 2, &s, &err));
    assert_has(err.msg, "label 2 of example 4");
    assert_false(features_measure(&labels, &labels, C, &s, &err));
    a[7] = NAN;
    assert_false(features_measure(&act, &labels, C, &s, &err));
    assert_has(err.msg, "feature 1 on example 1");
    assert_false(features_top(&act, bad, 1, K, 1, &top, &err));
    assert_false(features_top(&act, NULL, M + 1, K, 1, &top, &err));
}

static bool measure(void *ctx, Err *err)
{
    float a[N * M];
    int32_t y[N];
    FeatureStats s;
    (void)ctx;
    fill(a, y);
    Tensor top, act = tensor_wrap(F32, 2, (int64_t[]){N, M}, a);
    Tensor labels = tensor_wrap(I32, 1, (int64_t[]){N}, y);
    if (!features_measure(&act, &labels, C, &s, err))
        return false;
    bool ok = features_top(&act, NULL, M, K, 1, &top, err);
    if (ok)
        tensor_release(&top);
    features_done(&s);
    return ok;
}

static void memory(void **state)
{
    (void)state;
    assert_true(fail_each_alloc(measure, NULL) >= 9);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers),
        cmocka_unit_test(examples),
        cmocka_unit_test(refusals),
        cmocka_unit_test(memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
