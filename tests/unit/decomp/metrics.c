/* Every metric against loops over a tiny case, what makes it move, what it ignores, and
 * what is missing without its inputs. */
#include "case.h"

#include "base/intr.h"
#include "decomp/metrics.h"

enum { H = 9, W = 8, PIXELS = 72, NR = 5, NC = 3, NX = 40, MANY = 20, MOST = 60 };

typedef struct World {
    Case k;
    Tensor x, labels, unlit;
    Spectrum plain, data;
    DictEval e;
} World;

/* R components; heads one-hot, or several classes each. */
static void world_make(World *w, int64_t R, bool mixed)
{
    Err err = {0};
    *w = (World){.k = case_random(21, NC, 6, 7, PIXELS, R)};
    w->x = t_random(22, F32, 2, DIMS(NX, PIXELS), -1, 1); /* varied answers */
    w->labels = t_make(I32, 1, DIMS(NX));
    w->unlit = t_make(F32, 1, DIMS(PIXELS));
    for (int i = 0; i < NX; i++)
        ((int32_t *)w->labels.data)[i] = i * 7 % NC;
    for (int i = 0; i < PIXELS; i += 5)
        d32(&w->unlit)[i] = 1;
    if (mixed) {
        Tensor h = quarters(23, F32, R, NC);
        memcpy(w->k.d.head.data, h.data, tensor_bytes(&h));
        tensor_release(&h);
        dict_find_owners(&w->k.d);
    }
    assert_ok(dict_rescale(&w->k.d, &w->k.b, &w->k.S, &err), err);
    for (int i = 0; i < R * PIXELS;
         i++) /* a random dictionary: large enough to matter */
        d32(&w->k.d.a)[i] *= 60;
    assert_ok(spectrum_new(&w->k.b, NULL, &w->plain, &err), err);
    assert_ok(spectrum_new(&w->k.b, &w->k.S, &w->data, &err), err);
    w->e = (DictEval){.dict = &w->k.d,
                      .b = &w->k.b,
                      .S = &w->k.S,
                      .plain = &w->plain,
                      .data = &w->data,
                      .x = &w->x,
                      .labels = &w->labels,
                      .unlit = &w->unlit,
                      .height = H,
                      .width = W};
}

static void world_done(World *w)
{
    tensor_release(&w->x);
    tensor_release(&w->labels);
    tensor_release(&w->unlit);
    spectrum_done(&w->plain);
    spectrum_done(&w->data);
    case_done(&w->k);
}

static DictMetrics measure(const DictEval *e)
{
    Err err = {0};
    DictMetrics m;
    assert_ok(dict_metrics(e, &m, &err), err);
    return m;
}

static double at(const DictMetrics *m, const char *name)
{
    int k = metric_index(name);
    if (k < 0)
        fail_msg("no metric %s", name);
    return m->value[k];
}

/* --- the long way ----------------------------------------------------------------- */

typedef struct Naive {
    double act[NX][MOST], dec[NX][NC], own[NX][NC];
} Naive;

static double dot(const float *x, const float *y)
{
    double s = 0;
    for (int i = 0; i < PIXELS; i++)
        s += (double)x[i] * (double)y[i];
    return s;
}

static void network_logits(const World *w, const double *x, double y[NC])
{
    for (int c = 0; c < NC; c++) {
        double *B = dense_network(&w->k, c);
        y[c] = t_at(&w->k.bias, c);
        for (int i = 0; i < PIXELS * PIXELS; i++)
            y[c] += x[i / PIXELS] * B[i] * x[i % PIXELS];
        free(B);
    }
}

static void naive_answers(const World *w, Naive *n)
{
    const Dictionary *d = &w->k.d;
    for (int s = 0; s < NX; s++) {
        double x[PIXELS];
        const float *xs = d32(&w->x) + s * PIXELS;
        for (int i = 0; i < PIXELS; i++)
            x[i] = (double)xs[i];
        network_logits(w, x, n->own[s]);
        for (int c = 0; c < NC; c++)
            n->dec[s][c] = 0;
        for (int r = 0; r < d->R; r++) {
            n->act[s][r] =
                dot(xs, d32(&d->a) + r * PIXELS) * dot(xs, d32(&d->b) + r * PIXELS);
            for (int c = 0; c < NC; c++)
                n->dec[s][c] += n->act[s][r] * t_at(&d->head, r * NC + c);
        }
    }
}

static int best(const double y[NC], const World *bias)
{
    int top = 0;
    double v[NC];
    for (int c = 0; c < NC; c++) {
        v[c] = y[c] + (bias ? t_at(&bias->k.bias, c) : 0);
        top = v[c] > v[top] ? c : top;
    }
    return top;
}

static double head_norm(const Dictionary *d, int r)
{
    double s = 0;
    for (int c = 0; c < NC; c++)
        s += pow(t_at(&d->head, r * NC + c), 2);
    return sqrt(s);
}

static void check_answers(const World *w, const Naive *n, const DictMetrics *m)
{
    double agree = 0, base = 0, plain = 0, biased = 0, kept = 0, parts = 0, whole = 0;
    const Dictionary *d = &w->k.d;
    for (int s = 0; s < NX; s++) {
        int label = ((int32_t *)w->labels.data)[s], own = best(n->own[s], NULL);
        agree += best(n->dec[s], w) == own;
        base += own == label;
        plain += best(n->dec[s], NULL) == label;
        biased += best(n->dec[s], w) == label;
        double y[NC] = {0};
        for (int r = 0; r < d->R; r++) {
            int stronger = 0;
            double size = fabs(n->act[s][r]) * head_norm(d, r);
            for (int q = 0; q < d->R; q++)
                stronger += fabs(n->act[s][q]) * head_norm(d, q) > size;
            for (int c = 0; c < NC; c++) {
                double part = n->act[s][r] * t_at(&d->head, r * NC + c);
                y[c] += stronger < 16 ? part : 0;
                parts += fabs(part);
            }
        }
        kept += best(y, w) == own;
        for (int c = 0; c < NC; c++)
            whole += fabs(n->dec[s][c]);
    }
    assert_near(at(m, "agreement"), agree / NX, 1e-12);
    assert_near(at(m, "base_acc"), base / NX, 1e-12);
    assert_near(at(m, "test_acc"), plain / NX, 1e-12);
    assert_near(at(m, "test_acc_bias"), biased / NX, 1e-12);
    assert_near(at(m, "keep16_agreement"), kept / NX, 1e-12);
    assert_near(at(m, "cancellation_data"), parts / whole, 1e-9);
}

static double pearson(const double *x, const double *y, int n)
{
    double mx = 0, my = 0, xx = 0, yy = 0, xy = 0;
    for (int i = 0; i < n; i++) {
        mx += x[i] / n;
        my += y[i] / n;
    }
    for (int i = 0; i < n; i++) {
        xx += (x[i] - mx) * (x[i] - mx);
        yy += (y[i] - my) * (y[i] - my);
        xy += (x[i] - mx) * (y[i] - my);
    }
    return xy / sqrt(xx * yy);
}

/* Values below plus half of the others that equal it. */
static double rank_of(const double *x, int n, int i)
{
    double r = 0;
    for (int k = 0; k < n; k++)
        r += x[k] < x[i] ? 1 : k != i && x[k] == x[i] ? 0.5 : 0;
    return r;
}

static void check_ablation(const World *w, const Naive *n, const DictMetrics *m)
{
    const Dictionary *d = &w->k.d;
    int R = (int)d->R;
    double size[MANY], flips[MANY], rs[MANY], rf[MANY], others = 0;
    for (int r = 0; r < R; r++) {
        double mean = 0, var = 0, on[2] = {0}, count[2] = {0};
        for (int s = 0; s < NX; s++)
            mean += n->act[s][r] / NX;
        flips[r] = 0;
        for (int s = 0; s < NX; s++) {
            double y[NC];
            for (int c = 0; c < NC; c++)
                y[c] =
                    n->own[s][c] + (mean - n->act[s][r]) * t_at(&d->head, r * NC + c);
            flips[r] += best(y, NULL) != best(n->own[s], NULL);
            var += pow(n->act[s][r] - mean, 2) / NX;
            int own = ((int32_t *)w->labels.data)[s] == ((int32_t *)d->owner.data)[r];
            on[own] += fabs(n->act[s][r]);
            count[own]++;
        }
        size[r] = sqrt(var) * head_norm(d, r);
        others += on[1] / count[1] <= on[0] / count[0];
    }
    for (int r = 0; r < R; r++) {
        rs[r] = rank_of(size, R, r);
        rf[r] = rank_of(flips, R, r);
    }
    assert_near(at(m, "ablation_rank_corr"), pearson(rs, rf, R), 1e-9);
    assert_near(at(m, "other_digit_share"), others / R, 1e-12);
}

/* Takes the plane of a and b out of the image itself, then asks the network. */
static void check_erasure(const World *w, const Naive *n, const DictMetrics *m)
{
    const Dictionary *d = &w->k.d;
    static double guess[NX * MANY], truth[NX * MANY];
    int k = 0;
    for (int r = 0; r < d->R; r++) {
        const float *a = d32(&d->a) + r * PIXELS, *b = d32(&d->b) + r * PIXELS;
        double aa = dot(a, a), bb = dot(b, b), ab = dot(a, b), det = aa * bb - ab * ab;
        int c = ((int32_t *)d->owner.data)[r];
        for (int s = 0; s < NX; s++, k++) {
            const float *xs = d32(&w->x) + s * PIXELS;
            double xa = dot(xs, a), xb = dot(xs, b), x[PIXELS], y[NC];
            double ta = (bb * xa - ab * xb) / det, tb = (aa * xb - ab * xa) / det;
            for (int i = 0; i < PIXELS; i++)
                x[i] = (double)xs[i] - ta * (double)a[i] - tb * (double)b[i];
            network_logits(w, x, y);
            truth[k] = y[c] - n->own[s][c];
            guess[k] = -n->act[s][r] * t_at(&d->head, r * NC + c);
        }
    }
    assert_near(at(m, "erase_corr"), pearson(guess, truth, k), 1e-6);
}

static void check_patterns(const World *w, bool raw, const DictMetrics *m)
{
    Err err = {0};
    Tensor q;
    double g = 0, loc = 0, tv = 0, bg = 0, n = 2.0 * (double)w->k.d.R;
    assert_ok(dict_patterns(&w->k.d, NULL, raw, &q, &err), err);
    for (int k = 0; k < 2 * w->k.d.R; k++) {
        const float *p = d32(&q) + k * PIXELS;
        double apart = 0, sum = 0, top = 0, all = 0, down = 0, across = 0;
        for (int i = 0; i < PIXELS; i++) {
            for (int j = 0; j < PIXELS; j++)
                apart += fabs(fabs((double)p[i]) - fabs((double)p[j]));
            sum += fabs((double)p[i]);
            all += (double)p[i] * (double)p[i];
            bg += (double)d32(&w->unlit)[i] * (double)p[i] * (double)p[i];
            down += i + W < PIXELS ? fabs((double)(p[i + W] - p[i])) : 0;
            across += i % W + 1 < W ? fabs((double)(p[i + 1] - p[i])) : 0;
        }
        for (int y = 0; y + 7 <= H; y++)
            for (int x = 0; x + 7 <= W; x++) {
                double e = 0;
                for (int i = 0; i < 49; i++)
                    e += pow((double)p[(y + i / 7) * W + x + i % 7], 2);
                top = fmax(top, e);
            }
        g += apart / (2 * PIXELS * sum);
        loc += top / all;
        tv += down / ((H - 1) * W) + across / (H * (W - 1));
    }
    assert_near(at(m, raw ? "pattern_gini_raw" : "pattern_gini"), g / n, 1e-6);
    assert_near(at(m, raw ? "locality_7x7_raw" : "locality_7x7"), loc / n, 1e-6);
    if (!raw) {
        assert_near(at(m, "display_tv"), tv / n, 1e-6);
        assert_near(at(m, "background_energy"), bg / n, 1e-6);
    }
    tensor_release(&q);
}

static void check_tensor(const World *w, const DictMetrics *m)
{
    const Dictionary *d = &w->k.d;
    double nrm = 0, top = 0;
    DenseGram plain = dense_gram(&w->k, d, NULL), data = dense_gram(&w->k, d, &w->k.S);
    assert_near(at(m, "similarity"), plain.TB / sqrt(plain.TT * plain.BB), 1e-9);
    assert_near(at(m, "similarity_data"), data.TB / sqrt(data.TT * data.BB), 1e-9);
    for (int r = 0; r < d->R; r++)
        for (int s = 0; s <= r; s++) {
            double rs = 0, rr = 0, ss = 0;
            for (int c = 0; c < NC; c++) {
                double *x = dense_parts(d, c, r, r + 1),
                       *y = dense_parts(d, c, s, s + 1);
                nrm += r == s ? dense_inner(x, x, NULL, PIXELS) : 0;
                rs += dense_inner(x, y, &w->k.S, PIXELS);
                rr += dense_inner(x, x, &w->k.S, PIXELS);
                ss += dense_inner(y, y, &w->k.S, PIXELS);
                free(x);
                free(y);
            }
            if (r != s &&
                ((int32_t *)d->owner.data)[r] == ((int32_t *)d->owner.data)[s])
                top = fmax(top, fabs(rs) / sqrt(rr * ss));
        }
    assert_near(at(m, "cancellation"), sqrt(nrm / plain.TT), 1e-9);
    assert_near(at(m, "max_same_class_cos"), top, 1e-9);
}

static void check_heads(const World *w, const DictMetrics *m)
{
    const Dictionary *d = &w->k.d;
    double top1 = 0, selectivity = 0, size[MANY], sum = 0, first = 0;
    int R = (int)d->R;
    for (int r = 0; r < R; r++) {
        double s = 0, top = 0, e = 0;
        for (int c = 0; c < NC; c++) {
            double h = fabs(t_at(&d->head, r * NC + c));
            s += h;
            top = fmax(top, h);
        }
        for (int c = 0; c < NC; c++) {
            double p = fabs(t_at(&d->head, r * NC + c)) / s;
            e -= p > 0 ? p * log(p) : 0;
        }
        top1 += top / s / R;
        selectivity += (1 - e / log(NC)) / R;
        const float *a = d32(&d->a) + r * PIXELS, *b = d32(&d->b) + r * PIXELS;
        size[r] = sqrt(dot(a, a) * dot(b, b)) * head_norm(d, r);
        sum += size[r];
    }
    for (int r = 0; r < R; r++)
        first += R - 1 - rank_of(size, R, r) < 8 ? size[r] : 0;
    assert_near(at(m, "head_top1_frac"), top1, 1e-9);
    assert_near(at(m, "class_selectivity"), selectivity, 1e-9);
    assert_near(at(m, "top_sigma_frac"), first / sum, 1e-9);
}

static void check_all(World *w)
{
    static Naive n;
    DictMetrics m = measure(&w->e);
    naive_answers(w, &n);
    check_answers(w, &n, &m);
    check_ablation(w, &n, &m);
    check_erasure(w, &n, &m);
    check_patterns(w, false, &m);
    check_patterns(w, true, &m);
    check_tensor(w, &m);
    check_heads(w, &m);
    assert_near(at(&m, "frontier_score"),
                .65 * at(&m, "similarity") + .3 * at(&m, "test_acc") +
                    .45 * at(&m, "pattern_gini") + .65 * at(&m, "locality_7x7") +
                    .6 * at(&m, "class_selectivity") + .15 * at(&m, "head_top1_frac"),
                1e-12);
}

static void one_class_heads(void **state)
{
    (void)state;
    World w;
    for (int64_t R = NR; R <= MANY; R += MANY - NR) { /* fewer and more than 16 */
        world_make(&w, R, false);
        check_all(&w);
        DictMetrics m = measure(&w.e);
        assert_near(at(&m, "limit"), limit_one_hot(&w.plain, R, true, NULL), 1e-12);
        assert_near(at(&m, "limit_data"), limit_one_hot(&w.data, R, true, NULL), 1e-12);
        assert_near(at(&m, "class_selectivity"), 1, 1e-12);
        world_done(&w);
    }
}

static void heads_of_several_classes(void **state)
{
    (void)state;
    World w;
    world_make(&w, MANY, true);
    check_all(&w);
    DictMetrics m = measure(&w.e);
    assert_true(isnan(at(&m, "limit")) && isnan(at(&m, "limit_data")));
    assert_true(at(&m, "class_selectivity") < 0.9);
    world_done(&w);
}

static void only_the_strongest_are_kept(void **state)
{
    (void)state;
    static Naive n;
    World w;
    for (int mixed = 0; mixed < 2; mixed++) {
        world_make(&w, MOST, mixed);
        DictMetrics m = measure(&w.e);
        naive_answers(&w, &n);
        check_answers(&w, &n, &m);
        world_done(&w);
    }
}

static void formula_case(void **state)
{
    (void)state;
    static const double gini[10] = {0.3037552067323025,  0.35442464579625416,
                                    0.3480081702586982,  0.3413299575529131,
                                    0.38852768007401134, 0.3974230975348768,
                                    0.3606093366301705,  0.34200168714856694,
                                    0.33732392696082175, 0.3394992264755866};
    static const double locality[10] = {0.08827104807613508, 0.11338885076041393,
                                        0.10241795048436038, 0.12795269745346752,
                                        0.17629845455213503, 0.17860098485448006,
                                        0.1433693131850533,  0.1278005783884124,
                                        0.12577701419479476, 0.10375700305291091};
    Case k = case_formula();
    double g = 0, l = 0;
    for (int i = 0; i < 10; i++) {
        g += gini[i] / 10;
        l += locality[i] / 10;
    }
    DictMetrics m = measure(&(DictEval){
        .dict = &k.d, .b = &k.b, .S = &k.S, .x = &k.x, .height = 28, .width = 28});
    assert_near(at(&m, "pattern_gini"), g, 1e-6);
    assert_near(at(&m, "locality_7x7"), l, 1e-6);
    assert_near(at(&m, "cancellation_data"), 1.085631815504095, 1e-6);
    assert_near(at(&m, "cancellation"), 1.0000238640490553, 1e-6);
    assert_near(at(&m, "similarity_data"), 0.18325333179061642, 1e-6);
    case_done(&k);
}

/* --- the ideal dictionary and the duplicated one ---------------------------------- */

static void at_the_limit_everything_agrees(void **state)
{
    (void)state;
    Err err = {0};
    World w;
    world_make(&w, NR, false);
    dict_done(&w.k.d);
    assert_ok(dict_start_eigen(&w.data, 18, &w.k.d, &err), err);
    DictMetrics m = measure(&w.e);
    assert_near(at(&m, "similarity_data"), 1, 1e-6);
    assert_near(at(&m, "similarity"), 1, 1e-6);
    assert_near(at(&m, "agreement"), 1, 0);
    assert_near(at(&m, "max_same_class_cos"), 0, 1e-5);
    assert_true(at(&m, "cancellation_data") >= 1);
    dict_done(&w.k.d); /* plain: components are eigenplanes, and erasing is exact */
    assert_ok(dict_start_eigen(&w.plain, 18, &w.k.d, &err), err);
    m = measure(&w.e);
    assert_near(at(&m, "erase_corr"), 1, 1e-6);
    assert_near(at(&m, "cancellation"), 1, 1e-5);
    world_done(&w);
}

static void duplicates_show(void **state)
{
    (void)state;
    World w;
    world_make(&w, 6, false);
    for (int i = 0; i < PIXELS; i++) { /* components 1 and 4 are of one class */
        d32(&w.k.d.a)[4 * PIXELS + i] = 2 * d32(&w.k.d.a)[PIXELS + i];
        d32(&w.k.d.b)[4 * PIXELS + i] = -d32(&w.k.d.b)[PIXELS + i];
    }
    DictMetrics m = measure(&w.e);
    assert_near(at(&m, "max_same_class_cos"), 1, 1e-9);
    world_done(&w);
}

static void scale_of_a_factor_changes_nothing(void **state)
{
    (void)state;
    World w;
    world_make(&w, MANY, false);
    DictMetrics before = measure(&w.e);
    for (int i = 0; i < MANY * PIXELS; i++) {
        float s = ldexpf(i / PIXELS % 2 ? -1 : 1, i / PIXELS % 7 - 3);
        d32(&w.k.d.a)[i] *= s;
        d32(&w.k.d.b)[i] /= s;
    }
    DictMetrics after = measure(&w.e);
    for (size_t k = 0; k < metric_n_rows; k++)
        if (!strstr(metric_rows[k].name, "_raw"))
            assert_near(after.value[k], before.value[k], 1e-6);
    assert_true(fabs(at(&after, "pattern_gini_raw") - at(&before, "pattern_gini_raw")) >
                1e-3);
    world_done(&w);
}

/* The same images 53 times over: several blocks, and 25 copies for the erasure. */
static void blocks_change_nothing(void **state)
{
    (void)state;
    enum { COPIES = 53 };
    World w;
    world_make(&w, MANY, true);
    DictMetrics one = measure(&w.e);
    Tensor x = t_make(F32, 2, DIMS(COPIES * NX, PIXELS)),
           l = t_make(I32, 1, DIMS(COPIES * NX));
    for (int i = 0; i < COPIES; i++) {
        memcpy(d32(&x) + i * NX * PIXELS, w.x.data, tensor_bytes(&w.x));
        memcpy((int32_t *)l.data + i * NX, w.labels.data, tensor_bytes(&w.labels));
    }
    w.e.x = &x;
    w.e.labels = &l;
    DictMetrics many = measure(&w.e);
    for (size_t k = 0; k < metric_n_rows; k++)
        if (!isnan(one.value[k]))
            assert_near(many.value[k], one.value[k], 1e-9);
    tensor_release(&x);
    tensor_release(&l);
    world_done(&w);
}

/* --- what is missing, what is wrong ----------------------------------------------- */

static bool have(const DictEval *e, const char *name)
{
    DictMetrics m = measure(e);
    return !isnan(at(&m, name));
}

static void without_an_input_its_rows_are_missing(void **state)
{
    (void)state;
    World w;
    world_make(&w, NR, false);
    DictMetrics m = measure(&w.e);
    for (size_t k = 0; k < metric_n_rows; k++)
        assert_true(isfinite(m.value[k]));
    DictEval e = w.e;
    e.x = NULL;
    assert_true(have(&e, "similarity") && have(&e, "locality_7x7"));
    assert_false(have(&e, "agreement") || have(&e, "erase_corr") ||
                 have(&e, "frontier_score"));
    e = w.e;
    e.labels = NULL;
    assert_true(have(&e, "agreement") && have(&e, "ablation_rank_corr"));
    assert_false(have(&e, "test_acc") || have(&e, "base_acc") ||
                 have(&e, "other_digit_share"));
    e = w.e;
    e.S = NULL;
    e.data = NULL;
    assert_true(have(&e, "similarity") && have(&e, "limit"));
    assert_false(have(&e, "similarity_data") || have(&e, "limit_data") ||
                 have(&e, "max_same_class_cos"));
    e = w.e;
    e.unlit = NULL;
    e.height = e.width = 0;
    assert_true(have(&e, "pattern_gini"));
    assert_false(have(&e, "background_energy") || have(&e, "locality_7x7"));
    world_done(&w);
}

static void refuses(const DictEval *e, const char *part)
{
    Err err = {0};
    DictMetrics m;
    assert_false(dict_metrics(e, &m, &err));
    assert_int_equal(err.code, ERR_SHAPE);
    assert_has(err.msg, part);
}

static void inputs_that_do_not_fit(void **state)
{
    (void)state;
    World w;
    world_make(&w, NR, false);
    Case k = case_random(1, 2, 3, 3, 4, 2);
    DictEval e = w.e;
    e.dict = &k.d;
    refuses(&e, "2 classes of 4 pixels");
    e = w.e;
    e.x = &k.x;
    refuses(&e, "f32[N,72]");
    e = w.e;
    e.labels = &w.unlit;
    refuses(&e, "i32[40]");
    e = w.e;
    e.unlit = &k.x;
    refuses(&e, "f32[72]");
    e = w.e;
    e.S = &k.S;
    refuses(&e, "f64[72,72]");
    e = w.e;
    e.height = 8;
    refuses(&e, "8 x 8");
    case_done(&k);
    world_done(&w);
}

static void the_table(void **state)
{
    (void)state;
    for (size_t k = 0; k < metric_n_rows; k++) {
        assert_int_equal(metric_index(metric_rows[k].name), k);
        assert_true(strlen(metric_rows[k].doc) > 10);
        if (metric_rows[k].limit)
            assert_true(metric_index(metric_rows[k].limit) >= 0);
    }
    assert_int_equal(metric_index("nonsense"), -1);
}

static void toy_sizes(void **state)
{
    (void)state;
    Err err = {0};
    Case k = case_random(17, 1, 1, 2, 1, 1);
    int32_t zero[7] = {0};
    Tensor labels = tensor_wrap(I32, 1, DIMS(7), zero);
    DictEval e = {.dict = &k.d,
                  .b = &k.b,
                  .S = &k.S,
                  .x = &k.x,
                  .labels = &labels,
                  .height = 1,
                  .width = 1};
    DictMetrics m = measure(&e);
    assert_near(at(&m, "locality_7x7"), 1, 1e-9);
    assert_near(at(&m, "agreement"), 1, 0);
    assert_near(at(&m, "class_selectivity"), 1, 0);
    assert_near(at(&m, "display_tv"), 0, 0);
    assert_true(isnan(at(&m, "other_digit_share"))); /* there is no other digit */
    assert_true(isnan(at(&m, "ablation_rank_corr")));
    memset(k.d.a.data, 0, tensor_bytes(&k.d.a));
    assert_ok(dict_metrics(&e, &m, &err), err);
    assert_near(at(&m, "similarity"), 0, 0);
    assert_true(isnan(at(&m, "cancellation_data")));
    case_done(&k);
}

/* Curves of keeping and taking away, by counting for every image and number. */
static void curves_by_counting(void **state)
{
    (void)state;
    enum { N = 5 };
    static const int64_t k[N] = {0, 1, 3, 16, 1000};
    static Naive n;
    Err err = {0};
    World w;
    double agree[N], half[N];
    world_make(&w, MANY, true);
    naive_answers(&w, &n);
    for (int keep = 0; keep < 2; keep++) {
        assert_ok(dict_curve(&w.e, keep, k, N, agree, half, &err), err);
        for (int i = 0; i < N; i++) {
            double same = 0;
            for (int s = 0; s < NX; s++) {
                double y[NC] = {0};
                for (int r = 0; r < MANY; r++) {
                    int stronger = 0;
                    double size = fabs(n.act[s][r]) * head_norm(&w.k.d, r);
                    for (int q = 0; q < MANY; q++)
                        stronger += fabs(n.act[s][q]) * head_norm(&w.k.d, q) > size;
                    for (int c = 0; c < NC && (stronger < k[i]) == keep; c++)
                        y[c] += n.act[s][r] * t_at(&w.k.d.head, r * NC + c);
                }
                same += best(y, &w) == best(n.own[s], NULL);
            }
            double p = same / NX;
            assert_near(agree[i], p, 1e-12);
            assert_near(half[i],
                        1.959963985 *
                            sqrt(p * (1 - p) / NX + 3.8414588 / (4.0 * NX * NX)) /
                            (1 + 3.8414588 / NX),
                        1e-7);
        }
    }
    DictMetrics all = measure(&w.e);
    assert_near(agree[4], at(&all, "agreement"), 1e-12);
    static const int64_t falling[2] = {3, 1};
    assert_false(dict_curve(&w.e, true, falling, 2, agree, half, &err));
    w.e.x = NULL;
    assert_false(dict_curve(&w.e, true, k, 1, agree, half, &err));
    world_done(&w);
}

static void an_interrupt_stops_it(void **state)
{
    (void)state;
    Err err = {0};
    World w;
    DictMetrics m;
    world_make(&w, NR, false);
    intr_raise();
    assert_false(dict_metrics(&w.e, &m, &err));
    intr_clear();
    assert_int_equal(err.code, ERR_INTERRUPT);
    world_done(&w);
}

static bool try_metrics(void *ctx, Err *err)
{
    DictMetrics m;
    double agree, half;
    return dict_metrics(ctx, &m, err) &&
           dict_curve(ctx, true, (int64_t[]){2}, 1, &agree, &half, err);
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    World w;
    world_make(&w, NR, false);
    assert_true(fail_each_alloc(try_metrics, &w.e) > 50);
    world_done(&w);
}

int main(void)
{
    blas_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_class_heads),
        cmocka_unit_test(heads_of_several_classes),
        cmocka_unit_test(only_the_strongest_are_kept),
        cmocka_unit_test(formula_case),
        cmocka_unit_test(at_the_limit_everything_agrees),
        cmocka_unit_test(duplicates_show),
        cmocka_unit_test(scale_of_a_factor_changes_nothing),
        cmocka_unit_test(blocks_change_nothing),
        cmocka_unit_test(without_an_input_its_rows_are_missing),
        cmocka_unit_test(inputs_that_do_not_fit),
        cmocka_unit_test(the_table),
        cmocka_unit_test(toy_sizes),
        cmocka_unit_test(curves_by_counting),
        cmocka_unit_test(an_interrupt_stops_it),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
