/* The gauge: moves keep the tensor and better the criterion, turns come back, squares
 * are squares, and planted strokes that eigenvectors mix up are found again. */
#include "case.h"

#include "decomp/gauge.h"
#include "decomp/strokes.h"

static GaugeCfg settings(const char *criterion)
{
    Err err = {0};
    GaugeCfg c;
    assert_ok(opt_defaults(gauge_options, gauge_n_options, &c, &err), err);
    strcpy(c.criterion, criterion);
    return c;
}

static Dictionary eigen_start(const Case *k, int64_t R)
{
    Err err = {0};
    Spectrum s;
    Dictionary d;
    assert_ok(spectrum_new(&k->b, NULL, &s, &err), err);
    assert_ok(dict_start_eigen(&s, R, &d, &err), err);
    spectrum_done(&s);
    return d;
}

/* Largest entry of the difference of two dictionaries' tensors over the largest of one.
 */
static double apart(const Dictionary *x, const Dictionary *y)
{
    double most = 0, top = 0;
    for (int64_t c = 0; c < x->C; c++) {
        double *X = dense_parts(x, c, 0, x->R), *Y = dense_parts(y, c, 0, y->R);
        for (int64_t i = 0; i < x->I * x->I; i++) {
            most = fmax(most, fabs(X[i] - Y[i]));
            top = fmax(top, fabs(X[i]));
        }
        free(X);
        free(Y);
    }
    return most / top;
}

static Dictionary copy_of(const Dictionary *d)
{
    Err err = {0};
    Dictionary out;
    assert_ok(dict_new(d->R, d->C, d->I, &out, &err), err);
    memcpy(out.a.data, d->a.data, tensor_bytes(&d->a));
    memcpy(out.b.data, d->b.data, tensor_bytes(&d->b));
    memcpy(out.head.data, d->head.data, tensor_bytes(&d->head));
    out.shown = d->shown;
    dict_find_owners(&out);
    return out;
}

static void moves_keep_the_tensor(void **state)
{
    (void)state;
    static const char *const criterion[4] = {"sparsity", "locality", "smoothness",
                                             "varimax"};
    Err err = {0};
    Case k = case_random(1, 3, 8, 9, 20, 9);
    for (int way = 0; way < 8; way++) {
        Dictionary d = eigen_start(&k, 9), before = copy_of(&d);
        GaugeCfg c = settings(criterion[way % 4]);
        GaugeReport r;
        if (way >= 4)
            strcpy(c.display, "squares");
        c.starts = way == 0 ? 3 : 1;
        assert_ok(gauge_move(&d, &c, 4, 5, &r, &err), err);
        assert_true(r.after < r.before - 1e-3);
        assert_true(apart(&before, &d) < 1e-6);
        assert_near(similarity_of(&d, &k.b, NULL), similarity_of(&before, &k.b, NULL),
                    1e-6);
        assert_near(similarity_of(&d, &k.b, &k.S), similarity_of(&before, &k.b, &k.S),
                    1e-6);
        if (way >= 4)
            assert_memory_equal(d.a.data, d.b.data, tensor_bytes(&d.a));
        else
            assert_int_equal(d.R, 9);
        dict_done(&d);
        dict_done(&before);
    }
    case_done(&k);
}

/* Signs and sizes of heads go into the factors; a residual stays as it is. */
static void heads_and_residuals(void **state)
{
    (void)state;
    Err err = {0};
    Case k = case_random(2, 2, 4, 5, 12, 6);
    for (int way = 0; way < 2; way++) {
        Dictionary d = copy_of(&k.d), before;
        GaugeCfg c = settings("sparsity");
        GaugeReport r;
        for (int64_t i = 0; i < 6; i++)
            d32(&d.head)[i * 2 + i % 2] = (float)(i % 3 ? -0.5 * (double)(i + 1) : 2);
        d32(&d.head)[10] = d32(&d.head)[11] = 0.25f; /* a free head in the residual */
        d.shown = 5;
        before = copy_of(&d);
        if (way)
            strcpy(c.display, "squares");
        assert_ok(gauge_move(&d, &c, 3, 4, &r, &err), err);
        assert_true(apart(&before, &d) < 1e-6);
        assert_true(d.R == d.shown + 1);
        assert_memory_equal(d32(&d.a) + d.shown * 12, d32(&before.a) + 60, 48);
        dict_done(&d);
        dict_done(&before);
    }
    case_done(&k);
}

static void turns_come_back(void **state)
{
    (void)state;
    Err err = {0};
    Case k = case_random(3, 2, 8, 9, 12, 8);
    Dictionary d = eigen_start(&k, 8), before = copy_of(&d);
    for (int kind = TURN_PLUS; kind <= TURN_BOOST; kind++)
        for (int64_t j = kind == TURN_BOOST ? 0 : 1; j < 3; j++) {
            double moved = 0;
            assert_ok(gauge_turn(&d, 1, (GaugeTurn)kind, 0, j, 0.4, &err), err);
            assert_true(apart(&before, &d) < 1e-6);
            for (int64_t i = 0; i < tensor_count(&d.a); i++)
                moved = fmax(moved, fabs(t_at(&d.a, i) - t_at(&before.a, i)));
            assert_true(moved > 0.01);
            assert_ok(gauge_turn(&d, 1, (GaugeTurn)kind, 0, j, -0.4, &err), err);
            for (int64_t i = 0; i < tensor_count(&d.a); i++)
                assert_near(t_at(&d.a, i), t_at(&before.a, i), 1e-5);
        }
    assert_false(gauge_turn(&d, 1, TURN_PLUS, 0, 0, 1, &err));
    assert_false(gauge_turn(&d, 1, TURN_PLUS, 0, 40, 1, &err));
    assert_has(err.msg, "40");
    dict_done(&d);
    dict_done(&before);
    case_done(&k);
}

/* --- planted ---------------------------------------------------------------------- */

enum { SIDE = 14, PIXELS = SIDE * SIDE, CLASSES = 2, PARTS = 4 };

/* Strokes without negative values, rows of unit norm [2*CLASSES*PARTS, PIXELS]; the
 * ones of a class cross each other. */
static Tensor planted_strokes(void)
{
    static const int pick[CLASSES][2 * PARTS] = {
        {36, 37, 82, 38, 39, 44, 86, 91 },
        {40, 41, 81, 96, 42, 43, 87, 101}
    };
    Err err = {0};
    Tensor bank, t = t_make(F32, 2, DIMS(2 * CLASSES * PARTS, PIXELS));
    assert_ok(stroke_bank(SIDE, SIDE, &bank, &err), err);
    for (int r = 0; r < 2 * CLASSES * PARTS; r++) {
        const float *q = d32(&bank) + pick[r / (2 * PARTS)][r % (2 * PARTS)] * PIXELS;
        float *x = d32(&t) + r * PIXELS, low = q[0];
        double n = 0;
        for (int i = 0; i < PIXELS; i++)
            low = fminf(low, q[i]);
        for (int i = 0; i < PIXELS; i++)
            n += pow((double)(q[i] - low), 2);
        for (int i = 0; i < PIXELS; i++)
            x[i] = (q[i] - low) / (float)sqrt(n);
    }
    tensor_release(&bank);
    return t;
}

/* The network whose class c is sum of squares of its first strokes minus the others. */
static Interaction planted_tensor(const Tensor *strokes)
{
    Err err = {0};
    Interaction b;
    int64_t H = strokes->dim[0];
    Tensor head = t_make(F32, 2, DIMS(CLASSES, H));
    for (int64_t h = 0; h < H; h++)
        d32(&head)[h / (2 * PARTS) * H + h] = h % (2 * PARTS) < PARTS ? 1 : -1;
    assert_ok(interaction_new(NULL, strokes, strokes, &head, NULL, &b, &err), err);
    tensor_release(&head);
    return b;
}

/* Mean over the strokes of the best |cosine| with a pattern, each used once. */
static double recovered(const Tensor *strokes, const Dictionary *d)
{
    Err err = {0};
    Tensor q;
    double sum = 0;
    bool used[256] = {false};
    assert_ok(dict_patterns(d, NULL, false, &q, &err), err);
    for (int64_t s = 0; s < strokes->dim[0]; s++) {
        double best = -1;
        int64_t at = 0;
        for (int64_t k = 0; k < q.dim[0]; k++) {
            double dot = 0;
            for (int64_t i = 0; i < PIXELS; i++)
                dot += t_at(strokes, s * PIXELS + i) * t_at(&q, k * PIXELS + i);
            if (!used[k] && fabs(dot) > best) {
                best = fabs(dot);
                at = k;
            }
        }
        used[at] = true;
        sum += best;
    }
    tensor_release(&q);
    return sum / (double)strokes->dim[0];
}

static void planted_strokes_come_back(void **state)
{
    (void)state;
    Err err = {0};
    Tensor strokes = planted_strokes();
    Interaction b = planted_tensor(&strokes);
    Spectrum s;
    Dictionary d;
    GaugeCfg c = settings("sparsity");
    GaugeReport r;
    assert_ok(spectrum_new(&b, NULL, &s, &err), err);
    assert_ok(dict_start_eigen(&s, CLASSES * PARTS, &d, &err), err);
    assert_true(similarity_of(&d, &b, NULL) > 0.99999);
    double eigen = recovered(&strokes, &d);
    strcpy(c.display, "squares");
    c.steps = 300;
    c.starts = 6;
    assert_ok(gauge_move(&d, &c, SIDE, SIDE, &r, &err), err);
    assert_true(similarity_of(&d, &b, NULL) > 0.99999);
    double found = recovered(&strokes, &d);
    print_message("eigenvectors %.3f, sparsest gauge %.3f\n", eigen, found);
    assert_true(eigen < 0.7);
    assert_true(found > 0.95);
    spectrum_done(&s);
    dict_done(&d);
    interaction_done(&b);
    tensor_release(&strokes);
}

/* --- refusals --------------------------------------------------------------------- */

static void what_has_no_gauge(void **state)
{
    (void)state;
    Err err = {0};
    Case k = case_random(4, 2, 3, 3, 4, 3);
    GaugeCfg c = settings("sparsity");
    GaugeReport r;
    assert_false(gauge_move(&k.d, &c, 3, 2, &r, &err));
    assert_has(err.msg, "4 pixels");
    d32(&k.d.head)[1] = 1;
    assert_false(gauge_move(&k.d, &c, 2, 2, &r, &err));
    assert_has(err.msg, "one-class heads");
    case_done(&k);
}

typedef struct TryCtx {
    const Case *k;
    const GaugeCfg *c;
} TryCtx;

static bool try_move(void *ctx, Err *err)
{
    TryCtx *t = ctx;
    GaugeReport r;
    Dictionary d;
    if (!dict_new(t->k->d.R, t->k->d.C, t->k->d.I, &d, err))
        return false;
    memcpy(d.a.data, t->k->d.a.data, tensor_bytes(&d.a));
    memcpy(d.b.data, t->k->d.b.data, tensor_bytes(&d.b));
    memcpy(d.head.data, t->k->d.head.data, tensor_bytes(&d.head));
    dict_find_owners(&d);
    d.shown = 2;
    bool ok = gauge_move(&d, t->c, 2, 2, &r, err);
    dict_done(&d);
    return ok;
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    Case k = case_random(5, 2, 3, 3, 4, 3);
    GaugeCfg c = settings("sparsity");
    c.steps = 2;
    c.starts = 2;
    assert_true(fail_each_alloc(try_move, &(TryCtx){&k, &c}) > 40);
    strcpy(c.display, "squares");
    assert_true(fail_each_alloc(try_move, &(TryCtx){&k, &c}) > 40);
    case_done(&k);
}

int main(void)
{
    blas_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(moves_keep_the_tensor),
        cmocka_unit_test(heads_and_residuals),
        cmocka_unit_test(turns_come_back),
        cmocka_unit_test(planted_strokes_come_back),
        cmocka_unit_test(what_has_no_gauge),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
