/* Crossings: counts that are known, every order of small graphs tried, and graphs whose
 * least is 0. */
#include "graph_support.h"

#include "base/intr.h"
#include "decomp/causal.h"
#include "decomp/crossing.h"

static CrossingCfg defaults(void)
{
    Err err = {0};
    CrossingCfg c;
    assert_ok(opt_defaults(crossing_options, crossing_n_options, &c, &err), err);
    return c;
}

static Crossing minimise(const Tensor *w, const CrossingCfg *c)
{
    Err err = {0};
    Crossing out;
    int64_t n;
    assert_ok(crossing_minimise(w, c, &out, &err), err);
    assert_ok(crossing_count(w, &out.left, &out.right, &n, &err), err);
    assert_int_equal(n, out.crossings);
    assert_true(out.crossings <= out.by_index);
    assert_int_equal(out.right.dim[0], w->dim[1]);
    return out;
}

static void edge(Tensor *w, int64_t i, int64_t j)
{
    ((double *)w->data)[i * w->dim[1] + j] = (i + j) % 2 ? -0.5 : 2;
}

static int32_t index_at(const Tensor *t, int64_t k)
{
    return ((int32_t *)t->data)[k];
}

/* Straight from the definition. */
static int64_t slow_count(const Tensor *w, const int *pl, const int *pr)
{
    int64_t n = 0, L = w->dim[0], R = w->dim[1];
    for (int64_t e = 0; e < L * R; e++)
        for (int64_t f = 0; f < e; f++)
            n += t_at(w, e) != 0 && t_at(w, f) != 0 &&
                 (pl[e / R] - pl[f / R]) * (pr[e % R] - pr[f % R]) < 0;
    return n;
}

/* ---- every order of 6 x 6 -------------------------------------------------------- */

enum { SIX = 6, ORDERS = 720 };
static int orders[ORDERS][SIX];

static void fill_orders(void)
{
    int n = 0;
    for (int code = 0; code < SIX * SIX * SIX * SIX * SIX * SIX; code++) {
        int seen = 0, v = code, p[SIX];
        for (int k = 0; k < SIX; k++, v /= SIX) {
            p[k] = v % SIX;
            seen |= 1 << p[k];
        }
        if (seen == (1 << SIX) - 1)
            memcpy(orders[n++], p, sizeof p);
    }
    assert_int_equal(n, ORDERS);
}

/* pair[u][v]: crossings of the edges of left u and v with u above v, for one right. */
static int64_t least_of_all(const Tensor *w)
{
    int64_t least = INT64_MAX;
    for (int r = 0; r < ORDERS; r++) {
        int pair[SIX][SIX] = {{0}};
        for (int u = 0; u < SIX; u++)
            for (int v = 0; v < SIX; v++)
                for (int a = 0; a < SIX; a++)
                    for (int b = 0; b < SIX; b++)
                        pair[u][v] += t_at(w, u * SIX + a) != 0 &&
                                      t_at(w, v * SIX + b) != 0 &&
                                      orders[r][a] > orders[r][b];
        for (int l = 0; l < ORDERS; l++) {
            int64_t n = 0;
            for (int i = 0; i < SIX; i++)
                for (int k = i + 1; k < SIX; k++)
                    n += pair[orders[l][i]][orders[l][k]];
            least = n < least ? n : least;
        }
    }
    return least;
}

static void test_every_order(void **state)
{
    (void)state;
    CrossingCfg c = defaults();
    fill_orders();
    for (uint64_t seed = 0; seed < 40; seed++) {
        Tensor w = t_random(seed, F64, 2, DIMS(SIX, SIX), 0, 1);
        double dense = 0.2 + 0.01 * (double)seed;
        for (int64_t k = 0; k < SIX * SIX; k++)
            ((double *)w.data)[k] = t_at(&w, k) < dense ? 1 : 0;
        Crossing x = minimise(&w, &c);
        assert_int_equal(x.crossings, least_of_all(&w));
        crossing_done(&x);
        tensor_release(&w);
    }
}

/* ---- known graphs ---------------------------------------------------------------- */

static void test_counts(void **state)
{
    (void)state;
    Err err = {0};
    for (uint64_t seed = 0; seed < 30; seed++) {
        Tensor w = t_random(seed, F64, 2, DIMS(9, 5), -1, 1);
        int32_t l[9], r[5];
        int pl[9], pr[5];
        int64_t n;
        rng_permutation((RngKey){seed, 1, 0}, 9, l);
        rng_permutation((RngKey){seed, 2, 0}, 5, r);
        for (int k = 0; k < 9; k++)
            pl[l[k]] = k;
        for (int k = 0; k < 5; k++)
            pr[r[k]] = k;
        for (int64_t k = 0; k < 45; k++)
            if (fabs(t_at(&w, k)) < 0.5)
                ((double *)w.data)[k] = k % 2 ? 0 : NAN; /* neither is an edge */
        Tensor tl = tensor_wrap(I32, 1, DIMS(9), l),
               tr = tensor_wrap(I32, 1, DIMS(5), r);
        assert_ok(crossing_count(&w, &tl, &tr, &n, &err), err);
        for (int64_t k = 0; k < 45; k++)
            if (isnan(t_at(&w, k)))
                ((double *)w.data)[k] = 0;
        assert_int_equal(n, slow_count(&w, pl, pr));
        tensor_release(&w);
    }
}

static void test_complete(void **state)
{
    (void)state;
    CrossingCfg c = defaults();
    static const int64_t size[][3] = {
        {3, 3, 9 },
        {2, 2, 1 },
        {5, 3, 30},
        {1, 7, 0 }
    };
    for (int k = 0; k < 4; k++) {
        Tensor w = t_random(1, F64, 2, DIMS(size[k][0], size[k][1]), 1, 2);
        Crossing x = minimise(&w, &c);
        assert_int_equal(x.crossings, size[k][2]);
        assert_int_equal(x.by_index, size[k][2]);
        assert_int_equal(x.parts, 1);
        crossing_done(&x);
        tensor_release(&w);
    }
}

/* A matching, shuffled paths and a caterpillar can be drawn without a crossing. */
static void test_planar(void **state)
{
    (void)state;
    CrossingCfg c = defaults();
    int32_t l[40], r[40];
    rng_permutation((RngKey){5, 1, 0}, 40, l);
    rng_permutation((RngKey){5, 2, 0}, 40, r);
    for (int way = 0; way < 4; way++) {
        int64_t n = way == 1 ? 15 : way == 3 ? 10 : 40;
        Tensor w = t_make(F64, 2, DIMS(40, 40));
        for (int64_t k = 0; k < n; k++) {
            edge(&w, l[k], r[k]);
            if (way > 0 && k + 1 < n) /* paths of 30, 80 and 20 nodes */
                edge(&w, l[k], r[k + 1]);
            if (way == 3) { /* with legs on every node */
                edge(&w, l[10 + k], r[k]);
                edge(&w, l[20 + k], r[k]);
                edge(&w, l[k], r[10 + k]);
            }
        }
        Crossing x = minimise(&w, &c);
        assert_int_equal(x.crossings, 0);
        assert_int_equal(x.parts, way == 0 ? 40 : 1);
        crossing_done(&x);
        tensor_release(&w);
    }
}

/* 28 x 10 with 7 random inputs an output, as large as those of a real analysis. */
static void test_typical(void **state)
{
    (void)state;
    CrossingCfg c = defaults(), bare = c;
    Tensor w = t_make(F64, 2, DIMS(28, 10));
    for (int64_t j = 0; j < 10; j++) {
        int32_t p[28];
        rng_permutation((RngKey){3, 9, (uint64_t)j}, 28, p);
        for (int k = 0; k < 7; k++)
            edge(&w, p[k], j);
    }
    Crossing x = minimise(&w, &c), again = minimise(&w, &c);
    assert_int_equal(x.edges, 70);
    assert_true(x.crossings < x.by_index / 2);
    assert_true(t_same_bits(&x.left, &again.left) &&
                t_same_bits(&x.right, &again.right));
    bare.sift = bare.spectral = false;
    Crossing y = minimise(&w, &bare);
    assert_true(x.crossings <= y.crossings);
    crossing_done(&x);
    crossing_done(&y);
    crossing_done(&again);
    tensor_release(&w);
}

static void test_isolated_and_empty(void **state)
{
    (void)state;
    CrossingCfg c = defaults();
    Tensor w = t_make(F64, 2, DIMS(4, 3));
    Crossing x = minimise(&w, &c);
    assert_int_equal(x.left.dim[0], 0);
    assert_int_equal(x.edges, 0);
    crossing_done(&x);
    edge(&w, 2, 1);
    x = minimise(&w, &c);
    assert_int_equal(x.left.dim[0], 1);
    assert_int_equal(index_at(&x.left, 0), 2);
    assert_int_equal(index_at(&x.right, 0), 1);
    assert_int_equal(index_at(&x.right, 1), 0);
    assert_int_equal(index_at(&x.right, 2), 2);
    crossing_done(&x);
    tensor_release(&w);
    Err err = {0};
    Tensor flat = t_make(F32, 2, DIMS(2, 2));
    assert_false(crossing_minimise(&flat, &c, &x, &err));
    assert_has(err.msg, "f64[left,right]");
    tensor_release(&flat);
}

static void test_wrong_orders(void **state)
{
    (void)state;
    Err err = {0};
    int64_t n;
    int32_t twice[2] = {1, 1}, outside[1] = {4};
    Tensor w = t_make(F64, 2, DIMS(4, 3));
    Tensor a = tensor_wrap(I32, 1, DIMS(2), twice),
           b = tensor_wrap(I32, 1, DIMS(1), outside);
    assert_false(crossing_count(&w, &a, NULL, &n, &err));
    assert_has(err.msg, "left order has 1 twice");
    assert_false(crossing_count(&w, NULL, &b, &n, &err));
    assert_has(err.msg, "right order has 4 outside the graph");
    tensor_release(&w);
}

static bool try_minimise(void *ctx, Err *err)
{
    CrossingCfg c = defaults();
    Crossing x;
    int64_t n;
    c.restarts = 1;
    bool ok = crossing_minimise(ctx, &c, &x, err) &&
              crossing_count(ctx, &x.left, &x.right, &n, err);
    crossing_done(&x);
    return ok;
}

static void test_interrupts(void **state)
{
    (void)state;
    Err err = {0};
    Crossing c;
    CrossingCfg cfg = defaults();
    Tensor w = t_random(9, F64, 2, (int64_t[]){12, 9}, 1, 2), keep;
    int64_t count[9];
    intr_raise();
    bool ordered = crossing_minimise(&w, &cfg, &c, &err);
    ErrCode first = err.code;
    crossing_done(&c);
    err = (Err){0};
    bool kept = causal_keep(&w, 0.8, &keep, count, &err);
    intr_clear();
    assert_false(ordered || kept);
    assert_int_equal(first, ERR_INTERRUPT);
    assert_int_equal(err.code, ERR_INTERRUPT);
    assert_null(keep.data);
    tensor_release(&w);
}

static void test_memory(void **state)
{
    (void)state;
    Tensor w = t_random(2, F64, 2, DIMS(5, 4), 1, 2);
    assert_true(fail_each_alloc(try_minimise, &w) >= 8);
    tensor_release(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_counts),       cmocka_unit_test(test_every_order),
        cmocka_unit_test(test_complete),     cmocka_unit_test(test_planar),
        cmocka_unit_test(test_typical),      cmocka_unit_test(test_isolated_and_empty),
        cmocka_unit_test(test_wrong_orders), cmocka_unit_test(test_interrupts),
        cmocka_unit_test(test_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
