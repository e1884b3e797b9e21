/* Labels: strokes of the bank are found where they were drawn and named by kind, nulls
 * keep place and smoothness but not lines, noise gets its share of 5 %, and gaps are
 * where the digit is empty. Halves of components: eigenvalues, examples, denoising. */
#include "case.h"

#include "decomp/label.h"
#include "decomp/parts.h"
#include "decomp/strokes.h"

enum { SIDE = 28, PIXELS = SIDE * SIDE };

static LabelCfg settings(void)
{
    Err err = {0};
    LabelCfg c;
    assert_ok(opt_defaults(label_options, label_n_options, &c, &err), err);
    strcpy(c.view, "filters");
    return c;
}

/* Every template, moved by (1,-2), is matched with itself: place and kind. */
static void templates_are_found(void **state)
{
    (void)state;
    Err err = {0};
    Tensor bank, q = t_make(F32, 2, DIMS(STROKE_COUNT, PIXELS));
    ShapeMatch m[STROKE_COUNT];
    int kinds[4] = {0};
    assert_ok(stroke_bank(SIDE, SIDE, &bank, &err), err);
    for (int64_t k = 0; k < STROKE_COUNT; k++)
        for (int64_t y = 0; y < SIDE; y++)
            for (int64_t x = 0; x < SIDE; x++) {
                bool in = y >= 1 && x + 2 < SIDE;
                d32(&q)[k * PIXELS + y * SIDE + x] =
                    in ? -3 * d32(&bank)[k * PIXELS + (y - 1) * SIDE + x + 2] : 0;
            }
    assert_ok(shape_match(&q, SIDE, SIDE, 2, m, &err), err);
    for (int k = 0; k < STROKE_COUNT; k++) {
        assert_near(m[k].score, 1, 1e-5);
        assert_int_equal(stroke_kind(m[k].which), stroke_kind(k));
        kinds[stroke_kind(k)]++;
    }
    assert_int_equal(m[3].which, 3);
    assert_true(m[3].dy == 1 && m[3].dx == -2);
    assert_true(kinds[STROKE_BAR] == 88 && kinds[STROKE_HOOK] == 16 &&
                kinds[STROKE_LOOP] == 4 && kinds[STROKE_DOT] == 12);
    tensor_release(&q);
    tensor_release(&bank);
}

/* By loops: the largest |cosine| over templates and places. */
static void matches_by_loops(void **state)
{
    (void)state;
    enum { H = 7, W = 6, I = H * W, N = 5 };
    Err err = {0};
    Tensor bank, q = quarters(3, F32, N, I);
    ShapeMatch m[N];
    assert_ok(stroke_bank(H, W, &bank, &err), err);
    assert_ok(shape_match(&q, H, W, 1, m, &err), err);
    for (int64_t r = 0; r < N; r++) {
        double top = 0;
        for (int64_t k = 0; k < STROKE_COUNT; k++)
            for (int dy = -1; dy <= 1; dy++)
                for (int dx = -1; dx <= 1; dx++) {
                    double qt = 0, tt = 0, qq = 0;
                    for (int64_t i = 0; i < I; i++) {
                        int64_t y = i / W - dy, x = i % W - dx;
                        bool in = y >= 0 && y < H && x >= 0 && x < W;
                        double t = in ? t_at(&bank, k * I + y * W + x) : 0;
                        double v = t_at(&q, r * I + i);
                        qt += v * t;
                        tt += t * t;
                        qq += v * v;
                    }
                    if (tt > 1e-20)
                        top = fmax(top, fabs(qt) / sqrt(tt * qq));
                }
        assert_near(m[r].score, top, 1e-5);
    }
    tensor_release(&q);
    tensor_release(&bank);
}

static void bar(float *q, double cy, double cx, double angle, double width)
{
    double n = 0;
    for (int i = 0; i < PIXELS; i++) {
        double y = i / SIDE - cy, x = i % SIDE - cx;
        double u = x * cos(angle) + y * sin(angle), v = y * cos(angle) - x * sin(angle);
        q[i] = (float)exp(-0.5 * (u * u / 16 + v * v / width / width));
        n += (double)q[i] * (double)q[i];
    }
    for (int i = 0; i < PIXELS; i++)
        q[i] = (float)((double)q[i] / sqrt(n));
}

/* Mean row and column, and the share of energy within 8 pixels of (9,18). */
static double near_it(const float *q)
{
    double in = 0, all = 0;
    for (int i = 0; i < PIXELS; i++) {
        double y = i / SIDE - 9, x = i % SIDE - 18, e = (double)q[i] * (double)q[i];
        in += y * y + x * x < 64 ? e : 0;
        all += e;
    }
    return in / all;
}

/* Mean product of a pixel with its neighbours below and to the right, in units of the
 * energy. */
static double smoothness(const float *x, int side)
{
    double sum = 0, energy = 0;
    for (int y = 0; y < side; y++)
        for (int k = 0; k < side; k++) {
            double v = (double)x[y * side + k];
            energy += 2 * v * v;
            sum += y + 1 < side ? v * (double)x[(y + 1) * side + k] : 0;
            sum += k + 1 < side ? v * (double)x[y * side + k + 1] : 0;
        }
    return sum / energy;
}

/* Stripes two pixels wide, upright and lying, are as smooth as each other: alike down
 * them, alike and opposite by turns across them. So their nulls are the same. */
static double stripes(int side, int64_t draws)
{
    Err err = {0};
    Tensor up = t_make(F32, 2, DIMS(1, side * side));
    Tensor flat = t_make(F32, 2, DIMS(1, side * side));
    double own = 0;
    for (int y = 0; y < side; y++)
        for (int x = 0; x < side; x++)
            d32(&up)[y * side + x] = d32(&flat)[x * side + y] = x / 2 % 2 ? 1 : -1;
    for (int64_t k = 0; k < draws; k++) {
        Tensor a, b;
        assert_ok(shape_null(&up, side, side, 1, k, NULL_ROUND, NULL, &a, &err), err);
        assert_ok(shape_null(&flat, side, side, 1, k, NULL_ROUND, NULL, &b, &err), err);
        assert_memory_equal(a.data, b.data, tensor_bytes(&a));
        own += smoothness(a.data, side) / (double)draws;
        tensor_release(&a);
        tensor_release(&b);
    }
    print_message("%d: stripes %.3f, nulls %.3f\n", side, smoothness(up.data, side), own);
    tensor_release(&up);
    tensor_release(&flat);
    return own;
}

/* Neither rough nor smoother than one average of neighbours makes them; in few pixels
 * the last row and column count as the others do. */
static void nulls_are_as_smooth(void **state)
{
    (void)state;
    double own = stripes(SIDE, 20);
    assert_true(own > 0.35 && own < 0.75);
    stripes(3, 60);
}

static void nulls_keep_the_place(void **state)
{
    (void)state;
    Err err = {0};
    Tensor q = t_make(F32, 2, DIMS(1, PIXELS)), z, again, mixed, unlit;
    ShapeMatch own, m;
    bar(q.data, 9, 18, 0.8, 1.2);
    assert_ok(shape_match(&q, SIDE, SIDE, 2, &own, &err), err);
    double mean = 0;
    for (int64_t k = 0; k < 20; k++) {
        assert_ok(shape_null(&q, SIDE, SIDE, 1, k, NULL_ENVELOPE, NULL, &z, &err), err);
        assert_ok(shape_null(&q, SIDE, SIDE, 1, k, NULL_ENVELOPE, NULL, &again, &err),
                  err);
        assert_memory_equal(z.data, again.data, tensor_bytes(&z));
        assert_true(near_it(z.data) > 0.8);
        assert_ok(shape_match(&z, SIDE, SIDE, 2, &m, &err), err);
        mean += m.score / 20;
        tensor_release(&z);
        tensor_release(&again);
    }
    print_message("a bar matches %.3f, its null %.3f\n", own.score, mean);
    assert_true(own.score > 0.7 && mean < own.score - 0.1);
    double place = 0;
    for (int64_t k = 0; k < 20; k++) {
        assert_ok(shape_null(&q, SIDE, SIDE, 1, k, NULL_ROUND, NULL, &z, &err), err);
        place += near_it(z.data) / 20;
        tensor_release(&z);
    }
    assert_true(place > 0.8);
    unlit = t_make(F32, 1, DIMS(PIXELS));
    for (int i = 0; i < PIXELS; i++)
        d32(&unlit)[i] = i % SIDE < 4;
    assert_ok(shape_null(&q, SIDE, SIDE, 1, 0, NULL_SHUFFLED, &unlit, &mixed, &err),
              err);
    double sum = 0, norm = 0;
    for (int i = 0; i < PIXELS; i++) {
        assert_true(i % SIDE >= 4 || d32(&mixed)[i] == 0);
        sum += (double)d32(&mixed)[i];
        norm += pow((double)d32(&mixed)[i], 2);
    }
    assert_near(norm, 1, 1e-5);
    assert_true(sum > 0);
    tensor_release(&mixed);
    tensor_release(&unlit);
    tensor_release(&q);
}

/* Component r has u = v = rows 2r and 2r+1 of q as p and n. */
static Dictionary of_patterns(const Tensor *q, int64_t C)
{
    Err err = {0};
    Dictionary d;
    int64_t R = q->dim[0] / 2;
    assert_ok(dict_new(R, C, PIXELS, &d, &err), err);
    for (int64_t r = 0; r < R; r++) {
        for (int64_t i = 0; i < PIXELS; i++) {
            double p = t_at(q, 2 * r * PIXELS + i),
                   n = t_at(q, (2 * r + 1) * PIXELS + i);
            d32(&d.a)[r * PIXELS + i] = (float)(p + n);
            d32(&d.b)[r * PIXELS + i] = (float)(p - n);
        }
        d32(&d.head)[r * C + r % C] = 1;
    }
    dict_find_owners(&d);
    return d;
}

/* Digits 0 and 1 have ink left and right: what speaks against 0 on the right is a gap,
 * on the left counter-evidence. */
static void names_by_shape_and_place(void **state)
{
    (void)state;
    Err err = {0};
    LabelCfg cfg = settings();
    LabelSummary sum;
    PartLabel p[6];
    Tensor q = t_make(F32, 2, DIMS(6, PIXELS)), ink = t_make(F32, 2, DIMS(2, PIXELS));
    for (int i = 0; i < PIXELS; i++) {
        d32(&ink)[i] = i % SIDE < 14 ? 0.5f : 0.1f;
        d32(&ink)[PIXELS + i] = i % SIDE < 14 ? 0.1f : 0.5f;
    }
    bar(q.data, 9, 8, 0, 1);                   /* + of 0: stroke */
    bar(d32(&q) + PIXELS, 18, 20, 0, 1);       /* - of 0, right: gap */
    bar(d32(&q) + 2 * PIXELS, 18, 8, 1.57, 1); /* + of 1 */
    bar(d32(&q) + 3 * PIXELS, 9, 20, 1.57, 1); /* - of 1, right: counter-evidence */
    RngKey key = {4, rng_stream("noise"), 0};
    for (int i = 0; i < PIXELS; i++) { /* + of 0: noise; - of 0: nothing */
        d32(&q)[4 * PIXELS + i] = (float)(rng_unit(key, i) - 0.5) * 0.1f;
        d32(&q)[5 * PIXELS + i] = 0;
    }
    Dictionary d = of_patterns(&q, 2);
    assert_ok(dict_labels(&d, &cfg, NULL, &ink, NULL, SIDE, SIDE, p, &sum, &err), err);
    static const Label want[6] = {LABEL_STROKE,  LABEL_GAP,   LABEL_STROKE,
                                  LABEL_COUNTER, LABEL_MIXED, LABEL_NONE};
    for (int k = 0; k < 6; k++)
        assert_int_equal(p[k].label, want[k]);
    assert_true(p[0].own > 4 * p[0].other && p[1].other > 4 * p[1].own);
    assert_true(sum.count[LABEL_STROKE] == 2 && sum.count[LABEL_NONE] == 1);
    assert_near(sum.shaped, 0.8, 1e-9);
    assert_near(sum.gap, 0.5, 1e-9);
    assert_near(sum.gap_null, 0.5, 1e-9); /* with two digits the mirror image */
    for (int64_t i = 0; i < PIXELS; i++)
        d32(&d.b)[i] = -d32(&d.b)[i];
    d32(&d.head)[0] = -1; /* the same tensor, written with a negative head */
    assert_ok(dict_labels(&d, &cfg, NULL, NULL, NULL, SIDE, SIDE, p, &sum, &err), err);
    assert_int_equal(p[1].label, LABEL_STROKE);
    assert_int_equal(p[0].label, LABEL_COUNTER); /* no images: no gaps */
    assert_true(isnan(sum.gap) && isnan(p[0].own));
    dict_done(&d);
    tensor_release(&q);
    tensor_release(&ink);
}

/* Fields drawn from the null itself: few have a shape. */
static void chance_has_its_share(void **state)
{
    (void)state;
    enum { N = 120 };
    Err err = {0};
    LabelCfg cfg = settings();
    LabelSummary sum;
    PartLabel p[N];
    Tensor q = t_make(F32, 2, DIMS(N, PIXELS)), z;
    cfg.least = 0;
    for (int64_t k = 0; k < N; k++)
        bar(d32(&q) + k * PIXELS, 6 + (double)(k % 16), 6 + (double)(k % 13), 0.1 * k,
            2);
    assert_ok(shape_null(&q, SIDE, SIDE, 77, 0, NULL_ROUND, NULL, &z, &err), err);
    Dictionary d = of_patterns(&z, 2);
    assert_ok(dict_labels(&d, &cfg, NULL, NULL, NULL, SIDE, SIDE, p, &sum, &err), err);
    print_message("of random fields %.3f have a shape, of their nulls %.3f\n",
                  sum.shaped, sum.shaped_null);
    assert_true(sum.shaped < 0.16);
    assert_true(sum.shaped_null < 0.12);
    dict_done(&d);
    tensor_release(&q);
    tensor_release(&z);
}

/* --- halves ----------------------------------------------------------------------- */

static void halves_make_the_activation(void **state)
{
    (void)state;
    Err err = {0};
    Case k = case_random(5, 3, 4, 5, 12, 6);
    Tensor sides, act, q;
    assert_ok(dict_sides(&k.d, &k.x, &sides, &err), err);
    assert_ok(dict_activations(&k.d, &k.x, &act, NULL, &err), err);
    assert_ok(dict_patterns(&k.d, NULL, false, &q, &err), err);
    for (int64_t i = 0; i < 7; i++)
        for (int64_t r = 0; r < 6; r++) {
            double plus = t_at(&sides, i * 12 + 2 * r), own, other, dot = 0;
            double minus = t_at(&sides, i * 12 + 2 * r + 1);
            assert_near(plus - minus, t_at(&act, i * 6 + r), 1e-4);
            dict_eigenvalues(&k.d, r, &own, &other);
            for (int64_t p = 0; p < 12; p++)
                dot += t_at(&q, 2 * r * 12 + p) * t_at(&k.x, i * 12 + p);
            assert_near(plus, own * dot * dot, 1e-4);
        }
    tensor_release(&sides);
    tensor_release(&act);
    tensor_release(&q);
    case_done(&k);
}

static void examples_are_the_largest(void **state)
{
    (void)state;
    Err err = {0};
    Case k = case_random(6, 2, 4, 5, 12, 4);
    Tensor sides, which;
    k.d.shown = 3;
    assert_ok(dict_sides(&k.d, &k.x, &sides, &err), err);
    assert_ok(dict_examples(&k.d, &k.x, 3, &which, &err), err);
    assert_true(which.dim[0] == 6 && which.dim[1] == 3);
    for (int64_t p = 0; p < 6; p++)
        for (int64_t j = 0; j < 3; j++) {
            int32_t at = ((int32_t *)which.data)[p * 3 + j];
            int64_t above = 0;
            if (at < 0)
                continue;
            for (int64_t i = 0; i < 7; i++)
                above += t_at(&sides, i * 6 + p) > t_at(&sides, at * 6 + p);
            assert_true(above <= j);
        }
    tensor_release(&sides);
    tensor_release(&which);
    case_done(&k);
}

/* All pixels: the tensor itself. Some: pictures with so many. Disjoint patterns stay
 * eigenvectors. */
static void denoising_keeps_the_largest(void **state)
{
    (void)state;
    Err err = {0};
    Case k = case_random(7, 2, 4, 5, 12, 4);
    Dictionary all, few, none;
    Tensor q;
    assert_ok(dict_denoise(&k.d, 12, &all, &err), err);
    for (int64_t c = 0; c < 2; c++) {
        double *X = dense_parts(&k.d, c, 0, 4), *Y = dense_parts(&all, c, 0, 4);
        for (int64_t i = 0; i < 144; i++)
            assert_near(X[i], Y[i], 1e-5);
        free(X);
        free(Y);
    }
    Tensor two = t_make(F32, 2, DIMS(2, PIXELS));
    bar(two.data, 7.3, 7.1, 0.4, 1);
    bar(d32(&two) + PIXELS, 20.8, 21.3, 0.4, 1);
    Dictionary d = of_patterns(&two, 2);
    assert_ok(dict_denoise(&d, 9, &few, &err), err);
    assert_ok(dict_patterns(&few, NULL, false, &q, &err), err);
    for (int side = 0; side < 2; side++) {
        int n = 0;
        for (int i = 0; i < PIXELS; i++)
            n += fabs(t_at(&q, side * PIXELS + i)) > 1e-6;
        assert_int_equal(n, 9);
    }
    assert_false(dict_denoise(&d, 0, &none, &err));
    assert_has(err.msg, "at least one pixel");
    tensor_release(&q);
    tensor_release(&two);
    dict_done(&d);
    dict_done(&all);
    dict_done(&few);
    case_done(&k);
}

static void means_of_classes(void **state)
{
    (void)state;
    Err err = {0};
    Tensor x = quarters(8, F32, 7, 5), label = t_make(I32, 1, DIMS(7)), out, none;
    for (int i = 0; i < 7; i++)
        ((int32_t *)label.data)[i] = i % 2;
    assert_ok(class_means(&x, &label, 3, &out, &err), err);
    for (int64_t i = 0; i < 5; i++) {
        double odd = (t_at(&x, 5 + i) + t_at(&x, 15 + i) + t_at(&x, 25 + i)) / 3;
        assert_near(t_at(&out, 5 + i), odd, 1e-6);
        assert_near(t_at(&out, 10 + i), 0, 0);
    }
    assert_false(class_means(&x, &x, 3, &none, &err));
    tensor_release(&x);
    tensor_release(&label);
    tensor_release(&out);
}

/* With the metric a multiple of the identity, filters respond to themselves; with one
 * that sees the left half alone, what lies on the right responds to nothing. */
static void what_filters_respond_to(void **state)
{
    (void)state;
    Err err = {0};
    LabelCfg cfg = settings();
    LabelSummary sum;
    PartLabel own[2], p[2];
    Tensor q = t_make(F32, 2, DIMS(2, PIXELS)),
           S = t_make(F64, 2, DIMS(PIXELS, PIXELS));
    bar(q.data, 9, 8, 0, 1);
    bar(d32(&q) + PIXELS, 18, 22, 0, 0.7);
    Dictionary d = of_patterns(&q, 2);
    memset(S.data, 0, tensor_bytes(&S));
    for (int64_t i = 0; i < PIXELS; i++)
        d64(&S)[i * PIXELS + i] = 3;
    assert_ok(dict_labels(&d, &cfg, NULL, NULL, NULL, SIDE, SIDE, own, &sum, &err),
              err);
    strcpy(cfg.view, "patterns");
    assert_ok(dict_labels(&d, &cfg, &S, NULL, NULL, SIDE, SIDE, p, &sum, &err), err);
    for (int k = 0; k < 2; k++) {
        assert_near(p[k].match.score, own[k].match.score, 1e-5);
        assert_near(p[k].null_top, own[k].null_top, 1e-5);
    }
    for (int64_t i = 0; i < PIXELS; i++)
        d64(&S)[i * PIXELS + i] = i % SIDE < 14;
    assert_ok(dict_labels(&d, &cfg, &S, NULL, NULL, SIDE, SIDE, p, &sum, &err), err);
    assert_near(p[0].match.score, own[0].match.score, 0.02);
    assert_true(fabs(p[1].match.score - own[1].match.score) > 0.05);
    assert_false(dict_labels(&d, &cfg, NULL, NULL, NULL, SIDE, SIDE, p, &sum, &err));
    assert_has(err.msg, "data metric");
    dict_done(&d);
    tensor_release(&q);
    tensor_release(&S);
}

static bool try_all(void *ctx, Err *err)
{
    const Case *k = ctx;
    LabelCfg cfg = settings();
    LabelSummary sum;
    PartLabel p[8];
    Tensor which = {0};
    Dictionary few = {0};
    cfg.draws = 2;
    cfg.shifts = 1;
    bool ok = dict_labels(&k->d, &cfg, NULL, NULL, NULL, 3, 4, p, &sum, err) &&
              dict_examples(&k->d, &k->x, 2, &which, err) &&
              dict_denoise(&k->d, 4, &few, err);
    tensor_release(&which);
    dict_done(&few);
    return ok;
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    Err err = {0};
    LabelSummary sum;
    PartLabel p[8];
    LabelCfg cfg = settings();
    Case k = case_random(9, 2, 4, 5, 12, 4);
    assert_true(fail_each_alloc(try_all, &k) > 25);
    assert_false(dict_labels(&k.d, &cfg, NULL, NULL, NULL, 3, 5, p, &sum, &err));
    assert_false(dict_labels(&k.d, &cfg, NULL, &k.x, NULL, 3, 4, p, &sum, &err));
    assert_has(err.msg, "mean images");
    case_done(&k);
}

int main(void)
{
    blas_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(templates_are_found),
        cmocka_unit_test(matches_by_loops),
        cmocka_unit_test(nulls_are_as_smooth),
        cmocka_unit_test(nulls_keep_the_place),
        cmocka_unit_test(names_by_shape_and_place),
        cmocka_unit_test(chance_has_its_share),
        cmocka_unit_test(halves_make_the_activation),
        cmocka_unit_test(examples_are_the_largest),
        cmocka_unit_test(denoising_keeps_the_largest),
        cmocka_unit_test(means_of_classes),
        cmocka_unit_test(what_filters_respond_to),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
