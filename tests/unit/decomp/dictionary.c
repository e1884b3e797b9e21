/* Dictionaries: Gram products against dense tensors, starts at the limit, gauges,
 * display, activations, owners, files. */
#include "case.h"

static void gram_is_dense(void **state)
{
    (void)state;
    Err err = {0};
    Case k = case_random(1, 3, 4, 5, 6, 5);
    Tensor heads = quarters(99, F32, 5, 3), G;
    for (int way = 0; way < 4; way++) {
        const Tensor *S = way & 1 ? &k.S : NULL;
        double nrm[5];
        DictGram g;
        if (way & 2) /* several classes a component */
            memcpy(k.d.head.data, heads.data, tensor_bytes(&heads));
        DenseGram want = dense_gram(&k, &k.d, S);
        assert_ok(dict_gram(&k.d, &k.b, S, &g, nrm, &err), err);
        assert_near(g.TB, want.TB, 1e-10);
        assert_near(g.TT, want.TT, 1e-10);
        assert_near(g.BB / want.BB, 1, 1e-12);
        assert_near(gram_cosine(&g), want.TB / sqrt(want.TT * want.BB), 1e-12);
        assert_ok(dict_gram_matrix(&k.d, S, &G, &err), err);
        for (int r = 0; r < 5; r++)
            for (int s = 0; s < 5; s++) {
                double sum = 0;
                for (int c = 0; c < 3; c++) {
                    double *x = dense_parts(&k.d, c, r, r + 1);
                    double *y = dense_parts(&k.d, c, s, s + 1);
                    sum += dense_inner(x, y, S, 6);
                    free(x);
                    free(y);
                }
                assert_near(d64(&G)[r * 5 + s], sum, 1e-10);
                if (r == s)
                    assert_near(nrm[r], sum, 1e-10);
            }
        tensor_release(&G);
    }
    tensor_release(&heads);
    case_done(&k);
}

static void formula_case(void **state)
{
    (void)state;
    static const double nrm_want[5] = {10673.017054152777, 30656.96198195502,
                                       155672.33315505457, 7607.346621679679,
                                       6280.036795606853};
    Err err = {0};
    Case k = case_formula();
    DictGram g;
    double nrm[5];
    assert_ok(dict_gram(&k.d, &k.b, &k.S, &g, nrm, &err), err);
    assert_near(g.TB / 599.725299523633, 1, 1e-5); /* factors are rounded to f32 */
    assert_near(g.TT / 210869.2378181703, 1, 1e-6);
    assert_near(g.BB / 50.791115703276034, 1, 1e-12);
    assert_near(gram_cosine(&g), 0.18325333179061642, 1e-6);
    for (int r = 0; r < 5; r++)
        assert_near(nrm[r] / nrm_want[r], 1, 1e-6);
    assert_near(similarity_of(&k.d, &k.b, NULL), 0.0428060901389485, 1e-6);
    case_done(&k);
}

/* --- starts ----------------------------------------------------------------------- */

static void check_start(const Case *k, const Tensor *S, int64_t R)
{
    Err err = {0};
    Spectrum s;
    Dictionary d;
    int64_t count[16];
    assert_ok(spectrum_new(&k->b, S, &s, &err), err);
    assert_ok(dict_start_eigen(&s, R, &d, &err), err);
    assert_near(similarity_of(&d, &k->b, S), limit_one_hot(&s, R, true, count), 1e-6);
    for (int64_t r = 0; r < R; r++)
        count[((int32_t *)d.owner.data)[r]]--;
    for (int64_t c = 0; c < k->C; c++)
        assert_int_equal(count[c], 0);
    dict_done(&d);
    spectrum_done(&s);
}

static void eigen_start_is_the_limit(void **state)
{
    (void)state;
    Case k = case_random(2, 3, 6, 7, 9, 5), f = case_formula();
    for (int64_t R = 1; R <= 40; R += 3) { /* 18 eigenvalues: up to twice too many */
        check_start(&k, NULL, R);
        check_start(&k, &k.S, R);
    }
    check_start(&f, NULL, 5);
    check_start(&f, &f.S, 5);
    case_done(&k);
    case_done(&f);
}

static double largest_difference(const Tensor *a, const Tensor *b)
{
    double top = 0;
    for (int64_t i = 0; i < tensor_count(a); i++)
        top = fmax(top, fabs(t_at(a, i) - t_at(b, i)));
    return top;
}

static void gauge_moves_parts_not_the_tensor(void **state)
{
    (void)state;
    Err err = {0};
    Case k = case_random(3, 3, 6, 7, 9, 5);
    Spectrum s;
    Dictionary d, e, f;
    assert_ok(spectrum_new(&k.b, &k.S, &s, &err), err);
    assert_ok(dict_start_eigen(&s, 7, &d, &err), err);
    assert_ok(dict_start_eigen(&s, 7, &e, &err), err);
    assert_ok(dict_start_eigen(&s, 7, &f, &err), err);
    assert_ok(dict_gauge(&e, 1, &err), err);
    assert_ok(dict_gauge(&f, 2, &err), err);
    for (int way = 0; way < 2; way++) {
        const Tensor *S = way ? &k.S : NULL;
        assert_near(similarity_of(&e, &k.b, S), similarity_of(&d, &k.b, S), 1e-6);
    }
    for (int64_t c = 0; c < 3; c++) {
        double *x = dense_parts(&d, c, 0, 7), *y = dense_parts(&e, c, 0, 7);
        for (int i = 0; i < 81; i++)
            assert_near(y[i], x[i], 2e-5);
        free(x);
        free(y);
    }
    assert_true(largest_difference(&d.a, &e.a) > 0.1);
    assert_true(largest_difference(&e.a, &f.a) > 0.1);
    dict_done(&d);
    dict_done(&e);
    dict_done(&f);
    spectrum_done(&s);
    case_done(&k);
}

static void random_start_is_its_seed(void **state)
{
    (void)state;
    Err err = {0};
    Dictionary a, b, c;
    assert_ok(dict_start_random(7, 3, 50, 5, &a, &err), err);
    assert_ok(dict_start_random(7, 3, 50, 5, &b, &err), err);
    assert_ok(dict_start_random(7, 3, 50, 6, &c, &err), err);
    assert_true(t_same_bits(&a.a, &b.a) && t_same_bits(&a.b, &b.b));
    assert_false(t_same_bits(&a.a, &c.a));
    assert_false(t_same_bits(&a.a, &a.b));
    for (int r = 0; r < 7; r++)
        assert_int_equal(((int32_t *)a.owner.data)[r], r % 3);
    dict_done(&a);
    dict_done(&b);
    dict_done(&c);
}

static void owners_follow_the_scores(void **state)
{
    (void)state;
    Err err = {0};
    Case k = case_random(4, 3, 4, 5, 6, 6);
    Dictionary d;
    Tensor anchors = quarters(77, F32, 12, 6);
    const int64_t want[3] = {1, 2, 3};
    int64_t got[3] = {0};
    double best[2] = {0};
    assert_ok(dict_new(6, 3, 6, &d, &err), err);
    memcpy(d.a.data, anchors.data, tensor_bytes(&d.a));
    memcpy(d.b.data, d32(&anchors) + 36, tensor_bytes(&d.b));
    assert_ok(dict_assign_owners(&d, &k.b, want, &err), err);
    for (int64_t r = 0; r < 6; r++) {
        int32_t o = ((int32_t *)d.owner.data)[r];
        got[o]++;
        for (int64_t c = 0; c < 3; c++) {
            double *B = dense_network(&k, c), s = 0;
            for (int i = 0; i < 36; i++)
                s += t_at(&d.a, r * 6 + i / 6) * B[i] * t_at(&d.b, r * 6 + i % 6);
            if (c == o) {
                assert_true(s >= 0);
                best[1] = fmax(best[1], s);
            }
            best[0] = fmax(best[0], fabs(s));
            assert_near(t_at(&d.head, r * 3 + c), c == o, 0);
            free(B);
        }
    }
    for (int c = 0; c < 3; c++)
        assert_int_equal(got[c], want[c]);
    assert_near(best[1], best[0], 1e-4); /* the strongest claim of all is granted */
    tensor_release(&anchors);
    dict_done(&d);
    case_done(&k);
}

/* --- display ---------------------------------------------------------------------- */

static void stretch(Dictionary *d)
{
    static const float s[5] = {8, -0.25f, 3, 1e-3f, -40};
    for (int64_t i = 0; i < d->R * d->I; i++) {
        d32(&d->a)[i] *= s[i / d->I % 5];
        d32(&d->b)[i] /= s[i / d->I % 5];
    }
}

/* Rows of b equal those of a, or their negatives. */
static void assert_same_pictures(const Tensor *a, const Tensor *b, double tol)
{
    int64_t I = a->dim[1];
    for (int64_t r = 0; r < a->dim[0]; r += 2) {
        double d[2] = {0, 0}; /* a negative stretch shows minus the same pictures */
        for (int64_t i = 0; i < 2 * I; i++) {
            d[0] = fmax(d[0], fabs(t_at(a, r * I + i) - t_at(b, r * I + i)));
            d[1] = fmax(d[1], fabs(t_at(a, r * I + i) + t_at(b, r * I + i)));
        }
        assert_near(fmin(d[0], d[1]), 0, tol);
    }
}

static void patterns_do_not_see_the_scale(void **state)
{
    (void)state;
    Err err = {0};
    Case k = case_random(5, 3, 4, 5, 6, 5);
    Tensor q, qs, raw, p, ps, praw;
    assert_ok(dict_patterns(&k.d, NULL, false, &q, &err), err);
    assert_ok(dict_patterns(&k.d, &k.S, false, &qs, &err), err);
    assert_ok(dict_patterns(&k.d, NULL, true, &raw, &err), err);
    stretch(&k.d);
    assert_ok(dict_patterns(&k.d, NULL, false, &p, &err), err);
    assert_ok(dict_patterns(&k.d, &k.S, false, &ps, &err), err);
    assert_ok(dict_patterns(&k.d, NULL, true, &praw, &err), err);
    assert_same_pictures(&q, &p, 1e-6);
    assert_same_pictures(&qs, &ps, 1e-6);
    assert_true(largest_difference(&raw, &praw) > 0.05);
    dict_balance(&k.d);
    tensor_release(&praw);
    assert_ok(dict_patterns(&k.d, NULL, true, &praw, &err), err);
    assert_same_pictures(&q, &praw, 1e-6);
    Tensor *const all[] = {&q, &qs, &raw, &p, &ps, &praw};
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        tensor_release(all[i]);
    case_done(&k);
}

/* The displayed pair are eigenvectors of sym(a b^T), orthonormal. */
static void patterns_are_eigenvectors(void **state)
{
    (void)state;
    Err err = {0};
    Case k = case_random(6, 1, 4, 5, 8, 5);
    Tensor q;
    assert_ok(dict_patterns(&k.d, NULL, false, &q, &err), err);
    for (int64_t r = 0; r < 5; r++) {
        double *T = dense_parts(&k.d, 0, r, r + 1);
        const float *p = d32(&q) + 2 * r * 8, *n = p + 8;
        double na = 0, nb = 0, ab = 0, pn = 0;
        for (int i = 0; i < 8; i++) {
            double a = t_at(&k.d.a, r * 8 + i), b = t_at(&k.d.b, r * 8 + i);
            na += a * a;
            nb += b * b;
            ab += a * b;
            pn += (double)p[i] * (double)n[i];
        }
        double up = 0.5 * (ab + sqrt(na * nb)), down = 0.5 * (ab - sqrt(na * nb));
        assert_near(pn, 0, 1e-6);
        for (int i = 0; i < 8; i++) {
            double tp = 0, tn = 0;
            for (int j = 0; j < 8; j++) {
                tp += T[i * 8 + j] * (double)p[j];
                tn += T[i * 8 + j] * (double)n[j];
            }
            assert_near(tp, up * (double)p[i], 1e-5);
            assert_near(tn, down * (double)n[i], 1e-5);
        }
        free(T);
    }
    tensor_release(&q);
    case_done(&k);
}

static void a_single_eigenvector_has_one_picture(void **state)
{
    (void)state;
    Err err = {0};
    Dictionary d;
    Tensor q;
    assert_ok(dict_start_random(2, 1, 40, 3, &d, &err), err);
    for (int i = 0; i < 40; i++) /* b = 3 a up to rounding */
        d32(&d.b)[i] = 3 * d32(&d.a)[i];
    assert_ok(dict_patterns(&d, NULL, false, &q, &err), err);
    double plus = 0, minus = 0;
    for (int i = 0; i < 40; i++) {
        plus += pow(t_at(&q, i), 2);
        minus += pow(t_at(&q, 40 + i), 2);
    }
    assert_near(plus, 1, 1e-5);
    assert_near(minus, 0, 0); /* rounding noise is no pattern */
    tensor_release(&q);
    dict_done(&d);
}

static void balance_and_scale(void **state)
{
    (void)state;
    Err err = {0};
    Case k = case_random(7, 3, 4, 5, 6, 5);
    DictGram g;
    double before = similarity_of(&k.d, &k.b, &k.S);
    stretch(&k.d);
    dict_balance(&k.d);
    for (int r = 0; r < 5; r++) {
        double a = 0, b = 0;
        for (int i = 0; i < 6; i++) {
            a += pow(t_at(&k.d.a, r * 6 + i), 2);
            b += pow(t_at(&k.d.b, r * 6 + i), 2);
        }
        assert_near(a / b, 1, 1e-5);
    }
    assert_near(similarity_of(&k.d, &k.b, &k.S), before, 1e-6);
    assert_ok(dict_rescale(&k.d, &k.b, &k.S, &err), err);
    assert_ok(dict_gram(&k.d, &k.b, &k.S, &g, NULL, &err), err);
    assert_near(g.TB / g.TT, 1, 1e-5);
    assert_near(gram_cosine(&g), fabs(before),
                1e-6); /* a negative fit is turned round */
    memset(k.d.a.data, 0, tensor_bytes(&k.d.a));
    assert_false(dict_rescale(&k.d, &k.b, &k.S, &err));
    assert_int_equal(err.code, ERR_NUMERIC);
    case_done(&k);
}

/* --- images ----------------------------------------------------------------------- */

static void activations_by_hand(void **state)
{
    (void)state;
    Err err = {0};
    Case k = case_random(8, 3, 4, 5, 6, 5);
    Tensor act, logits, heads = quarters(9, F32, 5, 3), gaps;
    memcpy(k.d.head.data, heads.data, tensor_bytes(&heads));
    assert_ok(dict_activations(&k.d, &k.x, &act, &logits, &err), err);
    for (int n = 0; n < 7; n++)
        for (int c = 0; c < 3; c++) {
            double sum = 0;
            for (int r = 0; r < 5; r++) {
                double xa = 0, xb = 0;
                for (int i = 0; i < 6; i++) {
                    xa += t_at(&k.x, n * 6 + i) * t_at(&k.d.a, r * 6 + i);
                    xb += t_at(&k.x, n * 6 + i) * t_at(&k.d.b, r * 6 + i);
                }
                assert_near(t_at(&act, n * 5 + r), xa * xb, 1e-5);
                sum += xa * xb * t_at(&heads, r * 3 + c);
            }
            assert_near(t_at(&logits, n * 3 + c), sum, 1e-5);
        }
    tensor_release(&act);
    tensor_release(&logits);
    assert_false(dict_activations(&k.d, &heads, &act, NULL, &err));
    assert_has(err.msg, "f32[5,3]");
    assert_ok(tensor_slice(&k.x, 0, 0, 7, 2, &gaps, &err), err);
    assert_false(dict_activations(&k.d, &gaps, &act, NULL, &err));
    tensor_release(&gaps);
    tensor_release(&heads);
    case_done(&k);
}

static void order_by_effect(void **state)
{
    (void)state;
    Err err = {0};
    Case k = case_random(9, 3, 4, 5, 6, 5);
    Tensor act, a0 = {0};
    double before = similarity_of(&k.d, &k.b, NULL), last = INFINITY;
    for (int i = 0; i < 6; i++) /* the last one is the strongest */
        d32(&k.d.a)[24 + i] *= 50;
    before = similarity_of(&k.d, &k.b, NULL);
    assert_ok(tensor_copy(&k.d.a, &a0, &err), err);
    assert_ok(dict_order(&k.d, &k.x, &err), err);
    assert_memory_equal(k.d.a.data, d32(&a0) + 24, 6 * sizeof(float));
    assert_int_equal(((int32_t *)k.d.owner.data)[0], 4 % 3);
    assert_near(similarity_of(&k.d, &k.b, NULL), before, 1e-12);
    assert_ok(dict_activations(&k.d, &k.x, &act, NULL, &err), err);
    for (int r = 0; r < 5; r++) {
        double m = 0, v = 0;
        for (int n = 0; n < 7; n++)
            m += t_at(&act, n * 5 + r) / 7;
        for (int n = 0; n < 7; n++)
            v += pow(t_at(&act, n * 5 + r) - m, 2) / 7;
        assert_true(sqrt(v) <= last + 1e-5);
        last = sqrt(v);
    }
    tensor_release(&act);
    tensor_release(&a0);
    case_done(&k);
}

/* --- files ------------------------------------------------------------------------ */

static void files_keep_every_bit(void **state)
{
    (void)state;
    Err err = {0};
    Case k = case_random(10, 3, 4, 5, 6, 5);
    Dictionary d;
    char dir[64], path[128], other[128];
    scratch_make(dir);
    snprintf(path, sizeof path, "%s/d.safetensors", dir);
    snprintf(other, sizeof other, "%s/x.safetensors", dir);
    assert_ok(dict_save(&k.d, path, &err), err);
    assert_ok(dict_load(path, &d, &err), err);
    assert_true(t_same_bits(&d.a, &k.d.a) && t_same_bits(&d.b, &k.d.b));
    assert_true(t_same_bits(&d.head, &k.d.head) && t_same_bits(&d.owner, &k.d.owner));
    assert_true(d.R == 5 && d.C == 3 && d.I == 6);
    dict_done(&d);
    TensorSet *s = tset_new(&err);
    assert_ok(tset_add(s, "a", &k.d.a, &err) && tset_add(s, "b", &k.x, &err) &&
                  tset_add(s, "head", &k.d.head, &err) &&
                  safetensors_save(other, s, &err),
              err);
    tset_free(s);
    assert_false(dict_load(other, &d, &err));
    assert_int_equal(err.code, ERR_FORMAT);
    assert_has(err.msg, "x.safetensors is not a dictionary");
    assert_int_equal(truncate(path, 40), 0);
    assert_false(dict_load(path, &d, &err));
    snprintf(path, sizeof path, "%s/none", dir);
    assert_false(dict_load(path, &d, &err));
    assert_int_equal(err.code, ERR_IO);
    assert_null(d.a.data);
    scratch_remove(dir);
    case_done(&k);
}

/* --- what goes wrong -------------------------------------------------------------- */

static void shapes_that_do_not_fit(void **state)
{
    (void)state;
    Err err = {0};
    Case k = case_random(11, 3, 4, 5, 6, 5), m = case_random(12, 2, 4, 5, 7, 5);
    Dictionary d;
    DictGram g;
    Tensor G;
    assert_false(dict_new(0, 3, 4, &d, &err));
    assert_int_equal(err.code, ERR_SHAPE);
    assert_false(dict_gram(&k.d, &m.b, NULL, &g, NULL, &err));
    assert_has(err.msg, "2 of 7");
    assert_false(dict_gram(&k.d, &k.b, &m.S, &g, NULL, &err));
    assert_false(dict_gram_matrix(&k.d, &m.S, &G, &err));
    assert_has(err.msg, "f64[6,6]");
    case_done(&k);
    case_done(&m);
}

typedef struct TryCtx {
    Case k;
    Spectrum s;
    char path[128];
} TryCtx;

static bool try_all(void *ctx, Err *err)
{
    TryCtx *t = ctx;
    Case *k = &t->k;
    Dictionary d = {0}, e = {0}, f = {0}, g = {0};
    Tensor q = {0}, act = {0}, logits = {0}, G = {0}, anchors;
    double nrm[8];
    DictGram gram;
    anchors = tensor_wrap(F32, 2, DIMS(2, k->I), k->x.data);
    bool ok = dict_start_eigen(&t->s, 4, &d, err) && dict_gauge(&d, 3, err) &&
              dict_gram(&d, &k->b, &k->S, &gram, nrm, err) &&
              dict_gram_matrix(&d, &k->S, &G, err) &&
              dict_rescale(&d, &k->b, &k->S, err) &&
              dict_patterns(&d, &k->S, false, &q, err) &&
              dict_activations(&d, &k->x, &act, &logits, err) &&
              dict_order(&d, &k->x, err) && dict_start_random(3, 2, 4, 1, &e, err) &&
              dict_save(&d, t->path, err) && dict_load(t->path, &f, err) &&
              dict_start_anchors(&k->b, NULL, &anchors, &g, err);
    Tensor *const all[] = {&q, &act, &logits, &G};
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        tensor_release(all[i]);
    dict_done(&d);
    dict_done(&e);
    dict_done(&f);
    dict_done(&g);
    return ok;
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    Err err = {0};
    TryCtx t = {.k = case_random(13, 2, 3, 3, 4, 1)};
    char dir[64];
    scratch_make(dir);
    snprintf(t.path, sizeof t.path, "%s/d.safetensors", dir);
    assert_ok(spectrum_new(&t.k.b, &t.k.S, &t.s, &err), err);
    assert_true(fail_each_alloc(try_all, &t) > 60);
    spectrum_done(&t.s);
    case_done(&t.k);
    scratch_remove(dir);
}

/* Two gauges of one tensor become one dictionary, of that tensor. */
static void the_canonical_gauge(void **state)
{
    (void)state;
    Err err = {0};
    Case k = case_random(21, 3, 8, 9, 14, 9);
    for (int way = 0; way < 2; way++) {
        const Tensor *S = way ? &k.S : NULL;
        Spectrum s;
        Dictionary d, one, two;
        Interaction t;
        assert_ok(spectrum_new(&k.b, NULL, &s, &err), err);
        assert_ok(dict_start_eigen(&s, 9, &d, &err), err);
        assert_ok(dict_canonical(&d, S, &one, &err), err);
        assert_ok(dict_interaction(&d, &t, &err), err);
        for (int64_t c = 0; c < 3; c++) {
            Tensor dense;
            double *T = dense_parts(&d, c, 0, 9), *U = dense_parts(&one, c, 0, 9);
            assert_ok(interaction_dense(&t, c, &dense, &err), err);
            for (int i = 0; i < 196; i++) {
                assert_near(T[i], d64(&dense)[i], 1e-9);
                assert_near(T[i], U[i], 1e-5);
            }
            tensor_release(&dense);
            free(T);
            free(U);
        }
        assert_ok(dict_gauge(&d, 5, &err), err);
        assert_ok(dict_canonical(&d, S, &two, &err), err);
        assert_int_equal(one.R, two.R);
        for (int64_t i = 0; i < tensor_count(&one.a); i++)
            assert_near(t_at(&one.a, i), t_at(&two.a, i), 2e-4);
        interaction_done(&t);
        spectrum_done(&s);
        dict_done(&d);
        dict_done(&one);
        dict_done(&two);
    }
    Dictionary none;
    d32(&k.d.head)[1] = 1;
    assert_false(dict_canonical(&k.d, NULL, &none, &err));
    assert_has(err.msg, "one-class");
    case_done(&k);
}

int main(void)
{
    blas_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gram_is_dense),
        cmocka_unit_test(formula_case),
        cmocka_unit_test(eigen_start_is_the_limit),
        cmocka_unit_test(gauge_moves_parts_not_the_tensor),
        cmocka_unit_test(random_start_is_its_seed),
        cmocka_unit_test(owners_follow_the_scores),
        cmocka_unit_test(patterns_do_not_see_the_scale),
        cmocka_unit_test(patterns_are_eigenvectors),
        cmocka_unit_test(a_single_eigenvector_has_one_picture),
        cmocka_unit_test(balance_and_scale),
        cmocka_unit_test(activations_by_hand),
        cmocka_unit_test(order_by_effect),
        cmocka_unit_test(files_keep_every_bit),
        cmocka_unit_test(shapes_that_do_not_fit),
        cmocka_unit_test(the_canonical_gauge),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
