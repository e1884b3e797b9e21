/* Matchings against brute force over all permutations, scores against loops, groups
 * that were planted, ranks by hand. */
#include "case.h"

#include "decomp/match.h"
#include "decomp/rank.h"

static double best_sum;
static int best_pairs;

/* All ways to give rows i.. distinct columns or none. */
static void try_all(const Tensor *s, int64_t i, unsigned used, double sum, int pairs)
{
    if (i == s->dim[0]) {
        if (pairs > best_pairs || (pairs == best_pairs && sum > best_sum)) {
            best_pairs = pairs;
            best_sum = sum;
        }
        return;
    }
    try_all(s, i + 1, used, sum, pairs);
    for (int64_t j = 0; j < s->dim[1]; j++) {
        double v = t_at(s, i * s->dim[1] + j);
        if (!(used >> j & 1) && isfinite(v))
            try_all(s, i + 1, used | 1u << j, sum + v, pairs + 1);
    }
}

static void check_one_to_one(const int32_t *column, int64_t n, int64_t m)
{
    for (int64_t i = 0; i < n; i++) {
        assert_true(column[i] >= -1 && column[i] < m);
        for (int64_t k = 0; k < i; k++)
            assert_true(column[i] < 0 || column[i] != column[k]);
    }
}

static void hungarian_against_brute_force(void **state)
{
    (void)state;
    Err err = {0};
    for (uint64_t seed = 0; seed < 120; seed++) {
        int64_t n = 1 + (int64_t)(seed % 6), m = 1 + (int64_t)(seed / 6 % 6);
        Tensor s = t_random(seed, F64, 2, DIMS(n, m), -1, 1);
        int32_t column[8];
        if (seed % 3 == 2) /* some pairs are forbidden */
            for (int64_t k = 0; k < n * m; k += 3)
                d64(&s)[k] = (double)NAN;
        best_sum = -1e9;
        best_pairs = -1;
        try_all(&s, 0, 0, 0, 0);
        assert_ok(match_hungarian(&s, column, &err), err);
        check_one_to_one(column, n, m);
        double sum = 0;
        int pairs = 0;
        for (int64_t i = 0; i < n; i++)
            if (column[i] >= 0) {
                sum += t_at(&s, i * m + column[i]);
                pairs++;
            }
        assert_int_equal(pairs, best_pairs);
        assert_near(sum, best_sum, 1e-12);
        if (pairs)
            assert_near(match_mean(&s, column), sum / pairs, 1e-12);
        else
            assert_true(isnan(match_mean(&s, column)));
        tensor_release(&s);
    }
}

static void greedy_takes_the_largest_left(void **state)
{
    (void)state;
    Err err = {0};
    Tensor s = t_make(F64, 2, DIMS(3, 2));
    static const double v[6] = {.9, .8, .85, .1, .2, .3};
    int32_t column[3];
    memcpy(s.data, v, sizeof v);
    assert_ok(match_greedy(&s, column, &err), err);
    assert_true(column[0] == 0 && column[1] == -1 && column[2] == 1);
    assert_near(match_mean(&s, column), .6, 1e-12);
    assert_ok(match_hungarian(&s, column, &err), err); /* .8 + .85 beats .9 + .3 */
    assert_true(column[0] == 1 && column[1] == 0 && column[2] == -1);
    d64(&s)[0] = (double)NAN;
    assert_ok(match_greedy(&s, column, &err), err);
    assert_true(column[0] == 1 && column[1] == 0);
    tensor_release(&s);
}

/* The largest of all that is open, looked for anew each time; the first of equals. */
static void greedy_by_loops(const Tensor *s, int32_t *column)
{
    int64_t n = s->dim[0], m = s->dim[1];
    bool used[16] = {false};
    for (int64_t i = 0; i < n; i++)
        column[i] = -1;
    for (int64_t best = 0; best >= 0;) {
        best = -1;
        for (int64_t k = 0; k < n * m; k++)
            if (column[k / m] < 0 && !used[k % m] && isfinite(t_at(s, k)) &&
                (best < 0 || t_at(s, k) > t_at(s, best)))
                best = k;
        if (best >= 0) {
            column[best / m] = (int32_t)(best % m);
            used[best % m] = true;
        }
    }
}

static void greedy_is_the_slow_one(void **state)
{
    (void)state;
    Err err = {0};
    for (int trial = 0; trial < 200; trial++) {
        int64_t n = 1 + trial % 9, m = 1 + trial * 7 % 11;
        Tensor s = t_make(F64, 2, DIMS(n, m));
        int32_t column[16], want[16];
        rng_uniform_f64((RngKey){.seed = (uint64_t)trial}, 0, n * m, 0, 1, d64(&s));
        for (int64_t k = 0; k < n * m; k++) { /* equals, and some that may not */
            double v = floor(d64(&s)[k] * 6);
            d64(&s)[k] = v == 5 ? (double)NAN : v;
        }
        assert_ok(match_greedy(&s, column, &err), err);
        greedy_by_loops(&s, want);
        for (int64_t i = 0; i < n; i++)
            assert_int_equal(column[i], want[i]);
        tensor_release(&s);
    }
}

static void interrupts_stop_matchings(void **state)
{
    (void)state;
    Err err = {0};
    int32_t column[3];
    Tensor s = t_make(F64, 2, DIMS(3, 3));
    intr_raise();
    bool greedy = match_greedy(&s, column, &err);
    assert_int_equal(err.code, ERR_INTERRUPT);
    err = (Err){0};
    bool hungarian = match_hungarian(&s, column, &err);
    intr_clear();
    assert_int_equal(err.code, ERR_INTERRUPT);
    assert_false(greedy || hungarian);
    tensor_release(&s);
}

/* --- scores ----------------------------------------------------------------------- */

static void scores_by_loops(void **state)
{
    (void)state;
    Err err = {0};
    Case k = case_random(1, 3, 4, 5, 12, 4), other = case_random(2, 3, 4, 5, 12, 5);
    Tensor p, q, s;
    assert_ok(score_patterns_of(&k.d, &other.d, &k.S, &s, &err), err);
    assert_ok(dict_patterns(&k.d, &k.S, false, &p, &err), err);
    assert_ok(dict_patterns(&other.d, &k.S, false, &q, &err), err);
    for (int64_t i = 0; i < 8; i++)
        for (int64_t j = 0; j < 10; j++) {
            double dot = 0;
            for (int64_t t = 0; t < 12; t++)
                dot += t_at(&p, i * 12 + t) * t_at(&q, j * 12 + t);
            assert_near(t_at(&s, i * 10 + j), fabs(dot), 1e-7);
        }
    score_restrict(&s, &k.d, &other.d, 1, 2);
    for (int64_t i = 0; i < 8; i++)
        for (int64_t j = 0; j < 10; j++)
            assert_true(isfinite(t_at(&s, i * 10 + j)) ==
                        ((i / 2 % 3 + 1) % 3 == j / 2 % 3));
    tensor_release(&s);
    tensor_release(&p);
    tensor_release(&q);
    d32(&other.d.head)[0] = -1; /* a negative head turns the sign */
    Tensor x, y;
    assert_ok(score_activations(&k.d, &other.d, &k.x, &s, &err), err);
    assert_ok(dict_activations(&k.d, &k.x, &x, NULL, &err), err);
    assert_ok(dict_activations(&other.d, &k.x, &y, NULL, &err), err);
    for (int64_t i = 0; i < 4; i++)
        for (int64_t j = 0; j < 5; j++) {
            double mx = 0, my = 0, xy = 0, xx = 0, yy = 0;
            for (int64_t n = 0; n < 7; n++) {
                mx += t_at(&x, n * 4 + i) / 7;
                my += t_at(&y, n * 5 + j) / 7;
            }
            for (int64_t n = 0; n < 7; n++) {
                double u = t_at(&x, n * 4 + i) - mx, w = t_at(&y, n * 5 + j) - my;
                xy += u * w;
                xx += u * u;
                yy += w * w;
            }
            assert_near(t_at(&s, i * 5 + j), (j == 0 ? -1 : 1) * xy / sqrt(xx * yy),
                        1e-6);
        }
    tensor_release(&x);
    tensor_release(&y);
    tensor_release(&s);
    case_done(&k);
    case_done(&other);
}

static void parts_are_recovered(void **state)
{
    (void)state;
    Err err = {0};
    Case k = case_random(3, 3, 4, 5, 12, 4);
    Tensor q, rows = t_make(F32, 2, DIMS(3, 12));
    double mean;
    k.d.shown = 3;
    assert_ok(dict_patterns(&k.d, NULL, false, &q, &err), err);
    for (int i = 0; i < 12; i++) {
        d32(&rows)[i] = -3 * d32(&q)[5 * 12 + i]; /* a shown pattern, turned */
        d32(&rows)[12 + i] = 2 * d32(&q)[2 * 12 + i];
    }
    assert_ok(match_recovery(&k.d, &rows, &mean, &err), err);
    assert_near(mean, 2.0 / 3, 1e-6); /* the third row is zero */
    rows.dim[1] = 6;
    assert_false(match_recovery(&k.d, &rows, &mean, &err));
    tensor_release(&rows);
    tensor_release(&q);
    case_done(&k);
}

/* --- consensus -------------------------------------------------------------------- */

static void planted_groups(void **state)
{
    (void)state;
    Err err = {0};
    enum { SEEDS = 4, PER = 3, D = 40 };
    /* every dictionary has three themes with noise and random signs; the third theme
     * has class 1 and is missing from the last one, which has a loner instead */
    Tensor theme = t_random(3, F64, 2, DIMS(PER, D), -1, 1);
    Tensor noise = t_random(4, F64, 2, DIMS(SEEDS * PER, D), -0.4, 0.4);
    Tensor rows = t_make(F32, 2, DIMS(SEEDS * PER, D));
    int32_t owner[SEEDS * PER], from[SEEDS * PER];
    for (int i = 0; i < SEEDS * PER; i++) {
        int s = i / PER, t = i % PER;
        double n = 0, x[D];
        owner[i] = t == 2;
        from[i] = s;
        for (int k = 0; k < D; k++) {
            bool loner = s == SEEDS - 1 && t == 2;
            x[k] = (loner ? cos(9.0 * k) : t_at(&theme, t * D + k)) +
                   t_at(&noise, i * D + k);
            x[k] *= (s + t) % 2 ? -1 : 1;
            n += x[k] * x[k];
        }
        for (int k = 0; k < D; k++)
            d32(&rows)[i * D + k] = (float)(x[k] / sqrt(n));
    }
    Consensus c;
    assert_ok(consensus_new(&rows, owner, from, 0.5, &c, &err), err);
    assert_int_equal(c.n_groups, 4);
    assert_true(c.support[0] == 4 && c.support[1] == 4 && c.support[2] == 3 &&
                c.support[3] == 1);
    assert_true(c.owner[0] == 0 && c.owner[1] == 0 && c.owner[2] == 1);
    assert_true(isnan(c.likeness[3]) && c.likeness[0] >= c.likeness[1]);
    for (int i = 0; i < SEEDS * PER; i++) /* a theme is one group */
        assert_int_equal(c.group[i], i == SEEDS * PER - 1 ? 3 : c.group[i % PER]);
    double sum = 0; /* likeness by hand, of the group of theme 2 */
    for (int i = 2; i < 9; i += 3)
        for (int j = 2; j < i; j += 3) {
            double dot = 0;
            for (int k = 0; k < D; k++)
                dot += t_at(&rows, i * D + k) * t_at(&rows, j * D + k);
            sum += fabs(dot) / 3;
        }
    assert_near(c.likeness[2], sum, 1e-9);
    consensus_done(&c);
    assert_ok(consensus_new(&rows, owner, from, 1.01, &c, &err), err);
    assert_int_equal(c.n_groups, SEEDS * PER);
    consensus_done(&c);
    tensor_release(&theme);
    tensor_release(&noise);
    tensor_release(&rows);
}

/* --- ranks ------------------------------------------------------------------------ */

static void scores_of_components(void **state)
{
    (void)state;
    Err err = {0};
    Case k = case_random(5, 3, 4, 5, 12, 6);
    Tensor labels = t_make(I32, 1, DIMS(7)), act;
    double s[6];
    for (int i = 0; i < 7; i++)
        ((int32_t *)labels.data)[i] = i % 3;
    k.d.shown = 5;
    assert_ok(dict_activations(&k.d, &k.x, &act, NULL, &err), err);
    assert_ok(dict_scores(&k.d, "selectivity", &k.x, &labels, 3, 4, s, &err), err);
    for (int r = 0; r < 6; r++) {
        double own = 0, all = 0;
        for (int i = 0; i < 7; i++) {
            all += pow(t_at(&act, i * 6 + r), 2);
            own += i % 3 == r % 3 ? pow(t_at(&act, i * 6 + r), 2) : 0;
        }
        assert_near(s[r], all > 0 ? own / all : 0, 1e-6);
    }
    assert_ok(dict_scores(&k.d, "sigma", NULL, NULL, 3, 4, s, &err), err);
    for (int r = 0; r < 6; r++) {
        double a = 0, b = 0;
        for (int i = 0; i < 12; i++) {
            a += pow(t_at(&k.d.a, r * 12 + i), 2);
            b += pow(t_at(&k.d.b, r * 12 + i), 2);
        }
        assert_near(s[r], sqrt(a * b), 1e-6);
    }
    assert_ok(dict_scores(&k.d, "gini", NULL, NULL, 3, 4, s, &err), err);
    assert_ok(dict_scores(&k.d, "locality", NULL, NULL, 3, 4, s, &err), err);
    for (int r = 0; r < 6; r++) /* 7x7 windows hold all of 3x4 */
        assert_near(s[r], 1, 1e-6);
    assert_ok(dict_scores(&k.d, "effect", &k.x, NULL, 3, 4, s, &err), err);
    float first = d32(&k.d.a)[5 * 12];
    assert_ok(dict_sort(&k.d, s, &err), err);
    double before = 1e9;
    double after[6];
    assert_ok(dict_scores(&k.d, "effect", &k.x, NULL, 3, 4, after, &err), err);
    for (int r = 0; r < 5; r++) {
        assert_true(after[r] <= before);
        before = after[r];
    }
    assert_true(d32(&k.d.a)[5 * 12] == first); /* the residual stays last */
    assert_false(dict_scores(&k.d, "beauty", &k.x, NULL, 3, 4, s, &err));
    assert_has(err.msg, "beauty");
    assert_false(dict_scores(&k.d, "effect", NULL, NULL, 3, 4, s, &err));
    tensor_release(&labels);
    tensor_release(&act);
    case_done(&k);
}

static void taking_some(void **state)
{
    (void)state;
    Err err = {0};
    Case k = case_random(6, 3, 4, 5, 12, 7); /* owners 0 1 2 0 1 2 0 */
    Dictionary top, some;
    const bool keep[7] = {false, true, false, true, true, true, true};
    k.d.shown = 6;
    assert_ok(dict_take(&k.d, keep, &some, &err), err);
    assert_true(some.R == 5 && some.shown == 4);
    assert_near(t_at(&some.a, 12), t_at(&k.d.a, 36), 0);
    assert_ok(dict_top(&k.d, 1, &top, &err), err);
    assert_true(top.R == 4 && top.shown == 3);
    assert_near(t_at(&top.b, 3 * 12), t_at(&k.d.b, 6 * 12), 0);
    dict_done(&some);
    dict_done(&top);
    assert_false(dict_top(&k.d, 0, &top, &err));
    assert_has(err.msg, "left");
    case_done(&k);
}

static bool try_matching(void *ctx, Err *err)
{
    Case *k = ctx;
    Tensor s = {0}, rows = {0};
    Consensus c = {0};
    Dictionary top = {0};
    int32_t column[16], from[8] = {0, 0, 0, 0, 1, 1, 1, 1}, owner[8] = {0};
    double score[4];
    bool ok = score_patterns_of(&k->d, &k->d, NULL, &s, err) &&
              match_hungarian(&s, column, err) && match_greedy(&s, column, err);
    tensor_release(&s);
    ok = ok && score_activations(&k->d, &k->d, &k->x, &s, err) &&
         dict_patterns(&k->d, NULL, false, &rows, err) &&
         consensus_new(&rows, owner, from, 0.2, &c, err) &&
         dict_scores(&k->d, "gini", NULL, NULL, 2, 2, score, err) &&
         dict_scores(&k->d, "effect", &k->x, NULL, 2, 2, score, err) &&
         dict_top(&k->d, 1, &top, err) && dict_sort(&top, score, err);
    tensor_release(&s);
    tensor_release(&rows);
    consensus_done(&c);
    dict_done(&top);
    return ok;
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    Case k = case_random(7, 2, 3, 3, 4, 4);
    assert_true(fail_each_alloc(try_matching, &k) > 40);
    case_done(&k);
}

int main(void)
{
    blas_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hungarian_against_brute_force),
        cmocka_unit_test(greedy_takes_the_largest_left),
        cmocka_unit_test(greedy_is_the_slow_one),
        cmocka_unit_test(interrupts_stop_matchings),
        cmocka_unit_test(scores_by_loops),
        cmocka_unit_test(parts_are_recovered),
        cmocka_unit_test(planted_groups),
        cmocka_unit_test(scores_of_components),
        cmocka_unit_test(taking_some),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
