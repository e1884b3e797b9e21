/* Calibration, fidelity and words against sums done by hand. */
#include "toy.h"

#include "lab/fidelity.h"

static Tensor matrix(int64_t n, int64_t c, const float *v)
{
    Err err = {0};
    Tensor t;
    assert_ok(tensor_new(F32, 2, (int64_t[]){n, c}, &t, &err), err);
    memcpy(t.data, v, tensor_bytes(&t));
    return t;
}

static Tensor integers(int64_t n, const int32_t *v)
{
    Err err = {0};
    Tensor t;
    assert_ok(tensor_new(I32, 1, &n, &t, &err), err);
    memcpy(t.data, v, tensor_bytes(&t));
    return t;
}

static Tensor random_logits(int64_t n, int64_t c, uint64_t seed)
{
    Err err = {0};
    Tensor t;
    RngKey key = {.seed = seed, .stream = rng_stream("logits")};
    assert_ok(tensor_new(F32, 2, (int64_t[]){n, c}, &t, &err), err);
    rng_normal_f32(key, 0, n * c, 0, 2, t.data);
    return t;
}

/* ---- calibration ----------------------------------------------------------------- */

/* Two classes, log-odds log 3, log 9 and log 1.5: confidences .75, .9 and .6. */
static void calibration_by_hand(void **state)
{
    (void)state;
    Err err = {0};
    float a = logf(3), b = logf(9), c = logf(1.5f);
    const float z[] = {a, 0, 0, a, a, 0, 0, a, b, 0, 0, b, c, 0};
    const int32_t y[] = {0, 0, 0, 1, 0, 0, 1};
    Tensor logits = matrix(7, 2, z), labels = integers(7, y), table;
    Calibration r;
    assert_ok(logits_calibration(&logits, &labels, 10, &r, &table, &err), err);
    /* bins (.7,.8]: 4 examples, 3 right; (.8,.9]: 2, 1 right; (.5,.6]: 1, wrong */
    assert_near(r.acc, 4.0 / 7, 1e-12);
    assert_near(r.confidence, (4 * 0.75 + 2 * 0.9 + 0.6) / 7, 1e-6);
    assert_near(r.ece, (4 * fabs(0.75 - 0.75) + 2 * 0.4 + 0.6) / 7, 1e-6);
    assert_near(r.mce, 0.6, 1e-6);
    assert_near(
        r.nll, -(3 * log(0.75) + log(0.25) + log(0.9) + log(0.1) + log(0.4)) / 7, 1e-6);
    double brier = 3 * 0.0625 + 0.5625 + 0.01 + 0.81 + 0.36;
    assert_near(r.brier, 2 * brier / 7, 1e-6);
    const double *t = table.data;
    assert_near(t[3 * 7], 4, 0);
    assert_near(t[3 * 7 + 1], 0.75, 1e-6);
    assert_near(t[3 * 7 + 2], 0.75, 1e-12);
    assert_near(t[3 * 5 + 2], 0, 0);
    assert_true(t[3 * 2] == 0 && isnan(t[3 * 2 + 1]));
    tensor_release(&table);
    assert_false(logits_calibration(&logits, &labels, 0, &r, NULL, &err));
    assert_has(err.msg, "bins must be in 1..1000, not 0");
    tensor_release(&logits);
    tensor_release(&labels);
}

/* Labels drawn from the distributions themselves: calibrated up to noise; doubled logits
 * are over-confident. */
static void drawn_labels_are_calibrated(void **state)
{
    (void)state;
    Err err = {0};
    enum { N = 20000, C = 4 };
    Tensor z = random_logits(N, C, 3), y;
    int64_t n = N;
    RngKey key = {.seed = 1, .stream = rng_stream("draw")};
    Calibration r;
    assert_ok(tensor_new(I32, 1, &n, &y, &err), err);
    for (int64_t i = 0; i < N; i++) {
        double p[C], sum = 0, u = rng_unit(key, i);
        for (int c = 0; c < C; c++)
            sum += p[c] = exp((double)((float *)z.data)[i * C + c]);
        int c = 0;
        for (u *= sum; c < C - 1 && (u -= p[c]) >= 0;)
            c++;
        ((int32_t *)y.data)[i] = c;
    }
    assert_ok(logits_calibration(&z, &y, 15, &r, NULL, &err), err);
    assert_true(r.ece < 0.015);
    assert_near(r.acc, r.confidence, 0.015);
    for (int64_t i = 0; i < N * C; i++)
        ((float *)z.data)[i] *= 2;
    assert_ok(logits_calibration(&z, &y, 15, &r, NULL, &err), err);
    assert_true(r.ece > 0.05 && r.confidence > r.acc);
    tensor_release(&z);
    tensor_release(&y);
}

/* ---- fidelity -------------------------------------------------------------------- */

static Tensor some_labels(const Tensor *z)
{
    int64_t n = z->dim[0], C = z->dim[1];
    int32_t *v = calloc((size_t)n, sizeof *v);
    for (int64_t i = 0; i < n; i++) {
        const float *r = (const float *)z->data + i * C;
        for (int c = 1; c < C; c++)
            v[i] = r[c] > r[v[i]] ? c : v[i];
        v[i] = i % 5 ? v[i] : (int32_t)(i % C);
    }
    Tensor t = integers(n, v);
    free(v);
    return t;
}

static void nothing_lost_and_all_lost(void **state)
{
    (void)state;
    Err err = {0};
    Tensor z = random_logits(700, 6, 1), y = some_labels(&z), flat;
    Fidelity f;
    assert_ok(logits_fidelity(&z, &z, &y, NULL, &f, NULL, &err), err);
    assert_true(f.acc_loss == 0 && f.ce_loss == 0 && f.agreement == 1 && f.mse == 0);
    assert_near(f.fve_z, 1, 0);
    assert_near(f.recovered, 1, 1e-12);
    assert_near(f.kl, 0, 1e-12);
    assert_near(f.bits_kept, f.bits_there, 1e-12);
    assert_true(f.bits_there > 0.1);
    assert_ok(tensor_zeros(F32, 2, z.dim, &flat, &err), err);
    assert_ok(logits_fidelity(&z, &flat, &y, NULL, &f, NULL, &err), err);
    assert_near(f.ce, log(6), 1e-12);
    assert_near(f.recovered, 0, 1e-12);
    assert_true(f.bits_kept < 0);
    tensor_release(&z);
    tensor_release(&y);
    tensor_release(&flat);
}

/* Outputs that are each answer's mean distribution keep nothing beyond the answer. */
static void the_best_table_keeps_nothing(void **state)
{
    (void)state;
    Err err = {0};
    enum { N = 900, C = 4 };
    Tensor z = random_logits(N, C, 5), y = some_labels(&z), q;
    double mean[C][C] = {{0}}, n[C] = {0};
    Fidelity f;
    assert_ok(tensor_new(F32, 2, z.dim, &q, &err), err);
    for (int pass = 0; pass < 2; pass++)
        for (int i = 0; i < N; i++) {
            const float *r = (const float *)z.data + i * C;
            double p[C], sum = 0;
            int a = 0;
            for (int c = 0; c < C; c++) {
                sum += p[c] = exp((double)r[c]);
                a = r[c] > r[a] ? c : a;
            }
            for (int c = 0; c < C && !pass; c++)
                mean[a][c] += p[c] / sum;
            for (int c = 0; c < C && pass; c++)
                ((float *)q.data)[i * C + c] = (float)log(mean[a][c] / n[a]);
            n[a] += !pass;
        }
    assert_ok(logits_fidelity(&z, &q, &y, NULL, &f, NULL, &err), err);
    assert_near(f.bits_kept, 0, 1e-6);
    assert_true(f.agreement == 1 && f.bits_there > 0.1);
    tensor_release(&z);
    tensor_release(&y);
    tensor_release(&q);
}

static void errors_by_hand(void **state)
{
    (void)state;
    Err err = {0};
    /* columns with standard deviations 1 and 2 in the reference */
    const float ref[] = {-1, 8, 0, 10, 1, 12}, z[] = {0, 0, 0, 0, 0, 0, 4, 2};
    const float q[] = {1, 0, 0, 4, 3, 0, 4, 2};
    const int32_t y[] = {0, 1, 0, 0};
    Tensor r = matrix(3, 2, ref), a = matrix(4, 2, z), b = matrix(4, 2, q);
    Tensor labels = integers(4, y), each;
    Fidelity f;
    assert_ok(logits_fidelity(&a, &b, &labels, &r, &f, &each, &err), err);
    const double want[] = {0.5, 2, 4.5, 0};
    for (int i = 0; i < 4; i++)
        assert_near(((double *)each.data)[i], want[i], 1e-12);
    assert_near(f.mse_z, 1.75, 1e-12);
    assert_near(f.mse, (1 + 16 + 9) / 8.0, 1e-12);
    assert_near(f.median, 1.25, 1e-12);
    assert_near(f.p95, 2 + 0.85 * 2.5, 1e-12);
    assert_true(f.best_at == 3 && f.worst_at == 2 && f.best == 0 && f.worst == 4.5);
    /* variances about the set's own mean: 3 and .75; raw 3.75, z-scored 3 + .75/4 */
    assert_near(f.fve, 1 - 26.0 / 4 / 3.75, 1e-12);
    assert_near(f.fve_z, 1 - 3.5 / 3.1875, 1e-12);
    assert_near(f.to_right, 0.25, 0);
    assert_near(f.acc_base, 0.75, 0);
    assert_near(f.acc, 1, 0);
    tensor_release(&each);
    assert_false(logits_fidelity(&a, &r, &labels, NULL, &f, NULL, &err));
    assert_has(err.msg, "logits are f32[4,2], but outputs f32[3,2]");
    Tensor *const own[] = {&r, &a, &b, &labels};
    for (size_t i = 0; i < ARRAY_LEN(own); i++)
        tensor_release(own[i]);
}

/* ---- words ----------------------------------------------------------------------- */

static void words_by_hand(void **state)
{
    (void)state;
    Err err = {0};
    /* answers 0 0 1 1; codes {a} {a,b} {b} {b} */
    const float z[] = {1, 0, 1, 0, 0, 1, 0, 1}, f[] = {2, 0, 1, 3, 0, -1, 0, 5};
    Tensor logits = matrix(4, 2, z), codes = matrix(4, 2, f);
    const int32_t one[] = {7, 7, 7, 7};
    Tensor cells = integers(4, one);
    CodeBits b;
    assert_ok(code_bits(&codes, &logits, &b, &err), err);
    assert_near(b.words, 3, 0);
    assert_near(b.word, 1.5, 1e-12);
    assert_near(b.answer, 1, 1e-12);
    assert_near(b.beyond, 0.5, 1e-12);
    assert_near(b.missing, 0, 1e-12);
    assert_ok(code_bits(&cells, &logits, &b, &err), err);
    assert_true(b.words == 1 && b.word == 0);
    assert_near(b.missing, 1, 1e-12);
    Tensor less = integers(3, one);
    assert_false(code_bits(&less, &logits, &b, &err));
    assert_has(err.msg, "or cells i32 [4], not i32[3]");
    ((float *)codes.data)[3] = NAN;
    assert_false(code_bits(&codes, &logits, &b, &err));
    assert_has(err.msg, "codes are not finite");
    Tensor *const own[] = {&logits, &codes, &cells, &less};
    for (size_t i = 0; i < ARRAY_LEN(own); i++)
        tensor_release(own[i]);
}

static bool all_of_it(void *ctx, Err *err)
{
    Tensor *const *t = ctx, errors = {0}, table = {0};
    Fidelity f;
    CodeBits b;
    Calibration c;
    bool ok = logits_fidelity(t[0], t[0], t[1], NULL, &f, &errors, err) &&
              logits_calibration(t[0], t[1], 5, &c, &table, err) &&
              code_bits(t[0], t[0], &b, err);
    tensor_release(&errors);
    tensor_release(&table);
    return ok;
}

static void allocations_may_fail(void **state)
{
    (void)state;
    Tensor z = random_logits(20, 3, 1), y = some_labels(&z);
    Tensor *t[] = {&z, &y};
    assert_true(fail_each_alloc(all_of_it, t) >= 8);
    tensor_release(&z);
    tensor_release(&y);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(calibration_by_hand),
        cmocka_unit_test(drawn_labels_are_calibrated),
        cmocka_unit_test(nothing_lost_and_all_lost),
        cmocka_unit_test(the_best_table_keeps_nothing),
        cmocka_unit_test(errors_by_hand),
        cmocka_unit_test(words_by_hand),
        cmocka_unit_test(allocations_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
