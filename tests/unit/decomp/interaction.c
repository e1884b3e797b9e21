/* Interaction tensors from factors against dense ones, spectra, and the one-hot limit.
 */
#include "case.h"

static void assert_matrix(const double *got, const double *want, int64_t n, double tol)
{
    for (int64_t i = 0; i < n; i++)
        assert_near(got[i], want[i], tol);
}

static void dense_is_the_networks(void **state)
{
    (void)state;
    Err err = {0};
    Case k = case_random(1, 3, 4, 5, 6, 2);
    for (int64_t c = 0; c < k.C; c++) {
        Tensor got;
        double *want = dense_network(&k, c);
        assert_ok(interaction_dense(&k.b, c, &got, &err), err);
        assert_matrix(got.data, want, 36, 1e-13);
        tensor_release(&got);
        free(want);
    }
    case_done(&k);
}

static void norms_and_cosines(void **state)
{
    (void)state;
    Err err = {0};
    Case k = case_random(2, 3, 4, 5, 6, 2), m = case_random(30, 3, 3, 2, 6, 2);
    for (int data = 0; data < 2; data++) {
        const Tensor *S = data ? &k.S : NULL;
        Tensor K;
        double got, ab = 0, aa = 0, bb = 0;
        for (int64_t c = 0; c < 3; c++) {
            double *A = dense_network(&k, c), *B = dense_network(&m, c);
            ab += dense_inner(A, B, S, 6);
            aa += dense_inner(A, A, S, 6);
            bb += dense_inner(B, B, S, 6);
            free(A);
            free(B);
        }
        assert_ok(interaction_gram(&k.b, S, &K, &err), err);
        assert_ok(interaction_norm2(&k.b, &K, &got, &err), err);
        assert_near(got / aa, 1, 1e-12);
        assert_ok(interaction_cosine(&k.b, &m.b, S, &got, &err), err);
        assert_near(got, ab / sqrt(aa * bb), 1e-12);
        assert_ok(interaction_cosine(&k.b, &k.b, S, &got, &err), err);
        assert_near(got, 1, 1e-12);
        tensor_release(&K);
    }
    case_done(&k);
    case_done(&m);
}

static void logits_are_quadratic_forms(void **state)
{
    (void)state;
    Err err = {0};
    Case k = case_random(3, 3, 4, 5, 6, 2);
    Tensor y;
    assert_ok(interaction_logits(&k.b, &k.x, &y, &err), err);
    for (int64_t c = 0; c < 3; c++) {
        double *B = dense_network(&k, c);
        for (int64_t n = 0; n < 7; n++) {
            double s = 0;
            for (int64_t i = 0; i < 6; i++)
                for (int64_t j = 0; j < 6; j++)
                    s += t_at(&k.x, n * 6 + i) * B[i * 6 + j] * t_at(&k.x, n * 6 + j);
            assert_near(t_at(&y, n * 3 + c), s, 1e-4);
        }
        free(B);
    }
    tensor_release(&y);
    case_done(&k);
}

/* The same network with its embedding multiplied in. */
static Interaction folded(const Case *k, int64_t H)
{
    Err err = {0};
    Interaction b;
    Tensor l = t_make(F64, 2, DIMS(H, k->I)), r = t_make(F64, 2, DIMS(H, k->I));
    for (int64_t h = 0; h < H; h++)
        for (int64_t i = 0; i < k->I; i++)
            for (int64_t e = 0; e < k->E; e++) {
                double w = t_at(&k->embed, e * k->I + i);
                d64(&l)[h * k->I + i] += t_at(&k->left, h * k->E + e) * w;
                d64(&r)[h * k->I + i] += t_at(&k->right, h * k->E + e) * w;
            }
    assert_ok(interaction_new(NULL, &l, &r, &k->head, NULL, &b, &err), err);
    tensor_release(&l);
    tensor_release(&r);
    return b;
}

static void works_without_an_embedding(void **state)
{
    (void)state;
    Err err = {0};
    for (int64_t H = 2; H <= 8; H += 3) { /* 2H below, at and above I */
        Case k = case_random(4, 3, 4, H, 7, 2);
        Interaction b = folded(&k, H);
        Spectrum s, t;
        assert_int_equal(b.E, 2 * H < 7 ? 2 * H : 7);
        for (int64_t c = 0; c < 3; c++) {
            Tensor got;
            double *want = dense_network(&k, c);
            assert_ok(interaction_dense(&b, c, &got, &err), err);
            assert_matrix(got.data, want, 49, 1e-12);
            tensor_release(&got);
            free(want);
            assert_near(d64(&b.bias)[c], 0, 0);
        }
        assert_ok(spectrum_new(&b, &k.S, &s, &err), err);
        assert_ok(spectrum_new(&k.b, &k.S, &t, &err), err);
        assert_near(limit_one_hot(&s, 3, true, NULL), limit_one_hot(&t, 3, true, NULL),
                    1e-9);
        spectrum_done(&s);
        spectrum_done(&t);
        interaction_done(&b);
        case_done(&k);
    }
}

/* --- spectra ---------------------------------------------------------------------- */

static void check_spectrum(const Case *k, const Tensor *S)
{
    Err err = {0};
    Spectrum s;
    int64_t I = k->I;
    assert_ok(spectrum_new(&k->b, S, &s, &err), err);
    for (int64_t c = 0; c < s.C; c++) {
        const double *v = d64(&s.val) + c * s.K, *w = d64(&s.filter) + c * s.K * I;
        double *B = dense_network(k, c);
        for (int64_t a = 0; a < s.K; a++) {
            double top = 0;
            assert_true(a == 0 || v[a] <= v[a - 1]);
            for (int64_t i = 0; i < I; i++)
                top = fabs(w[a * I + i]) > fabs(top) ? w[a * I + i] : top;
            assert_true(top > 0);
            for (int64_t b = 0; b < s.K; b++) {
                double dot = 0;
                for (int64_t i = 0; i < I; i++)
                    for (int64_t j = 0; j < I; j++)
                        dot += w[a * I + i] * w[b * I + j] *
                               (S ? d64(S)[i * I + j] : (double)(i == j));
                assert_near(dot, a == b, 1e-9);
            }
        }
        for (int64_t i = 0; i < I * I; i++) {
            double sum = 0;
            for (int64_t a = 0; a < s.K; a++)
                sum += v[a] * w[a * I + i / I] * w[a * I + i % I];
            assert_near(sum, B[i], 1e-9);
        }
        free(B);
    }
    spectrum_done(&s);
}

static void spectrum_rebuilds_the_tensor(void **state)
{
    (void)state;
    Case k = case_random(5, 3, 4, 5, 6, 2);
    check_spectrum(&k, NULL);
    check_spectrum(&k, &k.S);
    case_done(&k);
}

static void rank_deficient_embedding(void **state)
{
    (void)state;
    Err err = {0};
    Case k = case_random(6, 2, 4, 5, 6, 2);
    Spectrum s;
    for (int64_t i = 0; i < 6; i++) { /* one row twice, one row zero */
        d32(&k.embed)[6 + i] = d32(&k.embed)[i];
        d32(&k.embed)[12 + i] = 0;
    }
    interaction_done(&k.b);
    assert_ok(interaction_new(&k.embed, &k.left, &k.right, &k.head, NULL, &k.b, &err),
              err);
    assert_ok(spectrum_new(&k.b, &k.S, &s, &err), err);
    assert_int_equal(s.K, 2);
    spectrum_done(&s);
    check_spectrum(&k, NULL);
    check_spectrum(&k, &k.S);
    case_done(&k);
}

static void formula_case(void **state)
{
    (void)state;
    static const double want[3][6] = {
        {3.0363374408803043, 0.4093573014428626, 0.023448216314311276,
         0.018186046172981116, -0.11365892495586519, -1.8563965250845031},
        {1.6723369501122445, 0.11351552974436716, 0.007273905959478302,
         -0.051084386450250374, -0.18772688718644145, -3.9546681047037073},
        {3.8627507533654266, 0.1666864755832323, 0.08485443087961149,
         -0.05415876815769945, -0.09979535790824727, -2.118624456251774}};
    Err err = {0};
    Case k = case_formula();
    Spectrum s;
    assert_ok(spectrum_new(&k.b, &k.S, &s, &err), err);
    for (int c = 0; c < 3; c++)
        for (int i = 0; i < 6; i++)
            assert_near(d64(&s.val)[c * 6 + i], want[c][i], 1e-9);
    assert_near(limit_one_hot(&s, 5, true, NULL), 0.9994936807684071, 1e-10);
    spectrum_done(&s);
    assert_ok(spectrum_new(&k.b, NULL, &s, &err), err);
    assert_near(limit_one_hot(&s, 5, true, NULL), 0.9799078572236879, 1e-10);
    spectrum_done(&s);
    case_done(&k);
}

/* --- the limit against a search --------------------------------------------------- */

enum { TC = 2, TI = 3, TR = 2 };

/* Cosine of the tensor that n = TR * 2 * TI numbers make with owners given; one vector
 * and a sign a component when !pairs. */
static double search_cosine(double *const B[TC], const double *p, const int *owner,
                            bool pairs, const int *sign, const Tensor *S)
{
    double TB = 0, TT = 0, BB = 0;
    for (int c = 0; c < TC; c++) {
        double T[TI * TI] = {0};
        for (int r = 0; r < TR; r++)
            for (int i = 0; owner[r] == c && i < TI * TI; i++) {
                const double *a = p + r * 2 * TI, *b = a + TI;
                T[i] += pairs ? 0.5 * (a[i / TI] * b[i % TI] + b[i / TI] * a[i % TI])
                              : sign[r] * a[i / TI] * a[i % TI];
            }
        TB += dense_inner(T, B[c], S, TI);
        TT += dense_inner(T, T, S, TI);
        BB += dense_inner(B[c], B[c], S, TI);
    }
    return TT > 0 ? TB / sqrt(TT * BB) : 0;
}

/* Random steps that grow when they help and shrink when they do not. */
static double search(double *const B[TC], const int *owner, bool pairs, const int *sign,
                     const Tensor *S, uint64_t seed)
{
    enum { N = TR * 2 * TI };
    double p[N], q[N], z[N], step = 0.5;
    RngKey key = {seed, rng_stream("search"), 0};
    rng_normal_f64(key, 0, N, 0, 1, p);
    double best = search_cosine(B, p, owner, pairs, sign, S);
    for (int t = 1; t < 3000; t++) {
        key.step = (uint64_t)t;
        rng_normal_f64(key, 0, N, 0, step, z);
        for (int i = 0; i < N; i++)
            q[i] = p[i] + z[i];
        double s = search_cosine(B, q, owner, pairs, sign, S);
        step *= s > best ? 1.5 : 0.92;
        step = fmax(step, 1e-6);
        if (s > best) {
            best = s;
            memcpy(p, q, sizeof p);
        }
    }
    return best;
}

static void search_meets_the_limit(uint64_t seed, bool pairs, bool data)
{
    Err err = {0};
    Case k = case_random(seed, TC, 3, 4, TI, TR);
    Spectrum s;
    double *B[TC] = {dense_network(&k, 0), dense_network(&k, 1)}, best = 0;
    const Tensor *S = data ? &k.S : NULL;
    assert_ok(spectrum_new(&k.b, S, &s, &err), err);
    double limit = limit_one_hot(&s, TR, pairs, NULL);
    for (int way = 0; way < (pairs ? 4 : 16); way++)
        for (uint64_t start = 0; start < 4; start++) {
            int owner[TR] = {way & 1, way >> 1 & 1};
            int sign[TR] = {way & 4 ? 1 : -1, way & 8 ? 1 : -1};
            double got = search(B, owner, pairs, sign, S, seed * 100 + start);
            assert_true(got <= limit + 1e-12);
            best = fmax(best, got);
        }
    assert_near(best, limit, 2e-4);
    spectrum_done(&s);
    free(B[0]);
    free(B[1]);
    case_done(&k);
}

static void no_search_beats_the_limit(void **state)
{
    (void)state;
    for (uint64_t seed = 10; seed < 13; seed++)
        for (int way = 0; way < 4; way++)
            search_meets_the_limit(seed, way & 1, way & 2);
}

static void limit_by_hand(void **state)
{
    (void)state;
    double val[2][4] = {{3, 1, -1, -2}, {5, 4, 2, 1}};
    Spectrum s = {.C = 2, .K = 4, .I = 4, .val = tensor_wrap(F64, 2, DIMS(2, 4), val)};
    int64_t count[2];
    double total = 9 + 1 + 1 + 4 + 25 + 16 + 4 + 1;
    /* pairs of class 0: 13, 2; of class 1: 25, 16, 4, 1 */
    assert_near(limit_one_hot(&s, 1, true, count), sqrt(25 / total), 1e-15);
    assert_near(limit_one_hot(&s, 3, true, count), sqrt((25 + 16 + 13) / total), 1e-15);
    assert_int_equal(count[0], 1);
    assert_int_equal(count[1], 2);
    assert_near(limit_one_hot(&s, 6, true, NULL), 1, 1e-15);
    assert_near(limit_one_hot(&s, 50, true, NULL), 1, 1e-15);
    /* single values of class 0: 9, 4, 1, 1 */
    assert_near(limit_one_hot(&s, 3, false, count), sqrt((25 + 16 + 9) / total), 1e-15);
    assert_near(limit_one_hot(&s, 8, false, count), 1, 1e-15);
    assert_int_equal(count[0], 4);
    assert_near(limit_one_hot(&s, 0, true, count), 0, 0);
}

/* --- what goes wrong -------------------------------------------------------------- */

static void bad_shapes_are_named(void **state)
{
    (void)state;
    Err err = {0};
    Case k = case_random(7, 3, 4, 5, 6, 2), m = case_random(8, 2, 4, 5, 6, 2);
    Interaction b;
    Tensor y, nine = t_make(F64, 2, DIMS(3, 3)), none = t_make(F32, 2, DIMS(0, 5));
    double c;
    assert_false(interaction_new(&k.left, &k.left, &k.right, &k.head, NULL, &b, &err));
    assert_int_equal(err.code, ERR_SHAPE);
    assert_has(err.msg, "f32[5,4]");
    assert_false(interaction_new(&k.embed, &k.left, &k.head, &k.head, NULL, &b, &err));
    assert_false(interaction_new(&k.embed, &k.left, &k.right, &none, NULL, &b, &err));
    assert_false(
        interaction_new(&k.embed, &k.left, &k.right, &k.head, &m.bias, &b, &err));
    assert_has(err.msg, "bias");
    assert_false(interaction_dense(&k.b, 3, &y, &err));
    assert_has(err.msg, "outside 0..2");
    assert_false(interaction_gram(&k.b, &nine, &y, &err));
    assert_has(err.msg, "f64[6,6]");
    assert_false(interaction_cosine(&k.b, &m.b, NULL, &c, &err));
    assert_has(err.msg, "must agree");
    assert_false(interaction_logits(&k.b, &k.left, &y, &err));
    assert_has(err.msg, "f32[N,6]");
    tensor_release(&nine);
    tensor_release(&none);
    case_done(&k);
    case_done(&m);
}

static void a_zero_network_has_no_spectrum(void **state)
{
    (void)state;
    Err err = {0};
    Case k = case_random(9, 2, 2, 2, 3, 1);
    Interaction b;
    Spectrum s;
    memset(k.embed.data, 0, tensor_bytes(&k.embed));
    assert_ok(interaction_new(&k.embed, &k.left, &k.right, &k.head, NULL, &b, &err),
              err);
    assert_false(spectrum_new(&b, NULL, &s, &err));
    assert_int_equal(err.code, ERR_NUMERIC);
    interaction_done(&b);
    case_done(&k);
}

static bool try_all(void *ctx, Err *err)
{
    Case *k = ctx;
    Interaction b = {0}, f = {0};
    Spectrum s = {0};
    Tensor dense = {0}, y = {0};
    double c;
    bool ok =
        interaction_new(&k->embed, &k->left, &k->right, &k->head, &k->bias, &b, err) &&
        interaction_new(NULL, &k->left, &k->right, &k->head, NULL, &f, err) &&
        spectrum_new(&b, &k->S, &s, err) && interaction_dense(&b, 0, &dense, err) &&
        interaction_cosine(&b, &k->b, &k->S, &c, err) &&
        interaction_logits(&b, &k->x, &y, err);
    interaction_done(&b);
    interaction_done(&f);
    spectrum_done(&s);
    tensor_release(&dense);
    tensor_release(&y);
    return ok;
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    Case k = case_random(11, 2, 3, 3, 4, 1);
    assert_true(fail_each_alloc(try_all, &k) > 20);
    case_done(&k);
}

int main(void)
{
    blas_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dense_is_the_networks),
        cmocka_unit_test(norms_and_cosines),
        cmocka_unit_test(logits_are_quadratic_forms),
        cmocka_unit_test(works_without_an_embedding),
        cmocka_unit_test(spectrum_rebuilds_the_tensor),
        cmocka_unit_test(rank_deficient_embedding),
        cmocka_unit_test(formula_case),
        cmocka_unit_test(no_search_beats_the_limit),
        cmocka_unit_test(limit_by_hand),
        cmocka_unit_test(bad_shapes_are_named),
        cmocka_unit_test(a_zero_network_has_no_spectrum),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
