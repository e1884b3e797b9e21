/* sparse.c -- sparse codes against plain loops in double: what a selection keeps, also
 * with ties, with too few above 0 and where the sample that guides it sees nothing; the
 * products, and the gradient of the code where it is not 0 and only there. */
#include <math.h>

#include "graph_support.h"

static Tensor run_op(const char *name, const Tensor *const *in, int n_in,
                     const OpAttr *a)
{
    Err err = {0};
    Tensor out[OP_MAX_OUT];
    if (!op_eager(op_find(name), in, n_in, a, NULL, out, &err))
        fail_msg("%s: %s", name, err.msg);
    return out[0];
}

/* ---- selection ------------------------------------------------------------------- */

/* Whether element i is among the n first of those at from .. from+count-1: larger ones
 * first, the earlier of equal ones first. */
static bool selected(const Tensor *u, int64_t from, int64_t count, int64_t i, int64_t n,
                     bool with_sign)
{
    double v = t_at(u, i), size = with_sign ? fabs(v) : v;
    int64_t before = 0;
    for (int64_t k = from; k < from + count; k++) {
        double w = with_sign ? fabs(t_at(u, k)) : t_at(u, k);
        before += w > size || (w == size && k < i);
    }
    return size > 0 && before < n;
}

static void check_topk(const Tensor *u, int64_t n, bool batch, bool with_sign)
{
    OpAttr a = {
        .i = {n, batch, with_sign}
    };
    int64_t M = u->dim[1], all = tensor_count(u);
    Tensor y = run_op("sparse_topk", &u, 1, &a);
    for (int64_t i = 0; i < all; i++) {
        int64_t from = batch ? 0 : i / M * M, count = batch ? all : M;
        double want = selected(u, from, count, i, n, with_sign) ? t_at(u, i) : 0;
        if (t_at(&y, i) != want)
            fail_msg("n %lld batch %d signed %d: element %lld is %g, not %g",
                     (long long)n, batch, with_sign, (long long)i, t_at(&y, i), want);
    }
    tensor_release(&y);
}

static void each_way(const Tensor *u, int64_t n)
{
    for (int k = 0; k < 4; k++)
        check_topk(u, k & 1 ? n * u->dim[0] : n, k & 1, k & 2);
}

static void test_selection(void **state)
{
    (void)state;
    Tensor u = t_random(1, F32, 2, (int64_t[]){7, 300}, -1, 1);
    each_way(&u, 0);
    each_way(&u, 1);
    each_way(&u, 20);
    each_way(&u, 299); /* more than are above 0 */
    float *x = u.data;
    for (int64_t i = 0; i < tensor_count(&u); i++)
        x[i] = roundf(4 * x[i]) / 4; /* nine values: many ties */
    each_way(&u, 5);
    each_way(&u, 60);
    for (int64_t i = 0; i < tensor_count(&u); i++)
        x[i] = 0.25f;
    each_way(&u, 3);
    tensor_release(&u);
}

/* The histogram looks at every seventh run of 16; here all that is large is elsewhere,
 * so that its bound is too high or finds nothing. */
static void test_unlucky_sample(void **state)
{
    (void)state;
    Tensor u = t_random(2, F32, 2, (int64_t[]){8, 448}, 0.5, 1);
    float *x = u.data;
    for (int64_t i = 0; i < tensor_count(&u); i++)
        if (i / 16 % 7 == 0)
            x[i] *= -1;
    check_topk(&u, 100, true, false);
    for (int64_t i = 0; i < tensor_count(&u); i++)
        x[i] = fabsf(x[i]) * (i / 16 % 7 == 0 ? 100 : 1);
    check_topk(&u, 1500, true, false);
    tensor_release(&u);
}

static void test_not_a_number_is_kept(void **state)
{
    (void)state;
    Tensor u = t_random(3, F32, 2, (int64_t[]){2, 50}, 0, 1);
    const Tensor *in = &u;
    ((float *)u.data)[30] = NAN; /* either sign, in a run of 16 and behind the last */
    ((float *)u.data)[17] = -NAN;
    ((float *)u.data)[98] = -NAN;
    for (int way = 0; way < 8; way++) { /* and none at all of the others */
        Tensor y = run_op("sparse_topk", &in, 1,
                          &(OpAttr){
                              .i = {way & 4, way & 1, way & 2}
        });
        /* so a diverged encoder shows in the loss */
        assert_true(isnan(t_at(&y, 30)) && isnan(t_at(&y, 17)) && isnan(t_at(&y, 98)));
        assert_true(t_at(&y, 31) == 0 || t_at(&y, 31) == t_at(&u, 31));
        tensor_release(&y);
    }
    tensor_release(&u);
}

/* ---- products -------------------------------------------------------------------- */

enum { B = 600, M = 333, O = 150 };

typedef struct Setup {
    Tensor f, w, b, dy;
} Setup;

static Setup setup(double share)
{
    Setup s = {.f = t_random(4, F32, 2, (int64_t[]){B, M}, -1, 1),
               .w = t_random(5, F32, 2, (int64_t[]){M, O}, -1, 1),
               .b = t_random(6, F32, 1, (int64_t[]){O}, -1, 1),
               .dy = t_random(7, F32, 2, (int64_t[]){B, O}, -1, 1)};
    Tensor keep = t_random(8, F32, 2, (int64_t[]){B, M}, 0, 1);
    for (int64_t i = 0; i < B * M; i++)
        if (t_at(&keep, i) > share && i / M != 11) /* row 11 is full */
            ((float *)s.f.data)[i] = 0;
    tensor_release(&keep);
    return s;
}

static void setup_done(Setup *s)
{
    tensor_release(&s->f);
    tensor_release(&s->w);
    tensor_release(&s->b);
    tensor_release(&s->dy);
}

static void near(double got, double want, const char *what)
{
    if (!(fabs(got - want) <= 2e-4 * fmax(1, fabs(want))))
        fail_msg("%s: %.9g, not %.9g", what, got, want);
}

static void check_products(double share)
{
    Setup s = setup(share);
    Tensor y = run_op("sparse_decode", (const Tensor *[]){&s.f, &s.w, &s.b}, 3, NULL);
    Tensor df = run_op("sparse_df", (const Tensor *[]){&s.f, &s.w, &s.dy}, 3, NULL);
    Tensor dw = run_op("sparse_dw", (const Tensor *[]){&s.f, &s.dy, &s.b}, 3, NULL);
    Tensor used = run_op("sparse_used", (const Tensor *[]){&s.f}, 1, NULL);
    for (int64_t r = 0; r < B; r++)
        for (int64_t o = 0; o < O; o++) {
            double sum = t_at(&s.b, o);
            for (int64_t m = 0; m < M; m++)
                sum += t_at(&s.f, r * M + m) * t_at(&s.w, m * O + o);
            near(t_at(&y, r * O + o), sum, "decode");
        }
    for (int64_t m = 0; m < M; m++) {
        bool any = false;
        for (int64_t r = 0; r < B; r++) {
            double dot = 0;
            bool on = t_at(&s.f, r * M + m) != 0;
            any |= on;
            for (int64_t o = 0; on && o < O; o++)
                dot += t_at(&s.dy, r * O + o) * t_at(&s.w, m * O + o);
            near(t_at(&df, r * M + m), dot, "df");
        }
        assert_true(t_at(&used, m) == any);
        for (int64_t o = 0; o < O; o++) {
            double sum = 0;
            for (int64_t r = 0; r < B; r++)
                sum += t_at(&s.f, r * M + m) * (t_at(&s.dy, r * O + o) - t_at(&s.b, o));
            near(t_at(&dw, m * O + o), sum, "dw");
        }
    }
    tensor_release(&y);
    tensor_release(&df);
    tensor_release(&dw);
    tensor_release(&used);
    setup_done(&s);
}

static void test_products(void **state)
{
    (void)state;
    check_products(0.02); /* lists */
    check_products(0.5);  /* the weight gradient by a dense product */
}

/* Of a decoder after a selection everything is the derivative. */
static void test_gradient_through_a_selection(void **state)
{
    (void)state;
    Tensor u = t_random(9, F64, 2, (int64_t[]){4, 24}, -1, 1);
    Tensor w = t_random(10, F64, 2, (int64_t[]){24, 5}, -1, 1);
    Graph *g = graph_new(NULL);
    Val uv = graph_state(g, "u", &u), wv = graph_state(g, "w", &w), d[2];
    Val f = g_call(g, "sparse_topk", &uv, 1,
                   &(OpAttr){
                       .i = {8, 1, 0}
    });
    Val loss = g_sum(g, g_square(g, g_binary(g, "sparse_decode", f, wv)));
    graph_grad(g, loss, (Val[]){uv, wv}, 2, d);
    graph_output(g, "loss", loss);
    graph_output(g, "du", d[0]);
    graph_output(g, "dw", d[1]);
    Plan *p = plan_of(g, 1);
    assert_true(plan_run(p, NULL, NULL));
    Tensor du = {0}, dw = {0};
    assert_true(tensor_copy(plan_output(p, 1), &du, NULL));
    assert_true(tensor_copy(plan_output(p, 2), &dw, NULL));
    for (int k = 0; k < 2; k++) {
        double *x = k ? w.data : u.data, h = 1e-6;
        for (int64_t i = 0; i < tensor_count(k ? &w : &u); i++) {
            double keep = x[i], v[2];
            for (int s = 0; s < 2; s++) {
                x[i] = keep + (s ? -h : h);
                assert_true(plan_run(p, NULL, NULL));
                v[s] = tensor_item(plan_output(p, 0));
            }
            x[i] = keep;
            near(t_at(k ? &dw : &du, i), (v[0] - v[1]) / (2 * h), k ? "dw" : "du");
        }
    }
    tensor_release(&du);
    tensor_release(&dw);
    plan_free(p);
    graph_free(g);
    tensor_release(&u);
    tensor_release(&w);
}

static void test_unit_rows(void **state)
{
    (void)state;
    Tensor w = t_random(11, F32, 2, (int64_t[]){3, 100}, -1, 1);
    Tensor gr = t_random(12, F32, 2, (int64_t[]){3, 100}, -1, 1);
    memset((float *)w.data + 100, 0, 400);
    Tensor flat = run_op("tangent_rows", (const Tensor *[]){&gr, &w}, 2, NULL);
    for (int64_t r = 0; r < 3; r++) {
        double along = 0, size = 0;
        for (int64_t i = 0; i < 100; i++) {
            along += t_at(&flat, r * 100 + i) * t_at(&w, r * 100 + i);
            size += t_at(&w, r * 100 + i) * t_at(&w, r * 100 + i);
        }
        assert_true(fabs(along) < 1e-4);
        assert_true(r != 1 || t_at(&flat, 150) == t_at(&gr, 150));
    }
    Err err = {0};
    const Tensor *in = &w;
    assert_true(op_eager(op_find("unit_rows"), &in, 1, NULL, NULL, NULL, &err));
    for (int64_t r = 0; r < 3; r++) {
        double size = 0;
        for (int64_t i = 0; i < 100; i++)
            size += t_at(&w, r * 100 + i) * t_at(&w, r * 100 + i);
        assert_true(fabs(size - (r == 1 ? 0 : 1)) < 1e-5);
    }
    tensor_release(&flat);
    tensor_release(&w);
    tensor_release(&gr);
}

static void test_refusals(void **state)
{
    (void)state;
    Err err = {0};
    Tensor u = t_random(1, F32, 2, (int64_t[]){2, 3}, -1, 1), out;
    const Tensor *in[2] = {&u, &u};
    OpAttr a = {
        .i = {4, 0, 0}
    };
    assert_false(op_eager(op_find("sparse_topk"), in, 1, &a, NULL, &out, &err));
    assert_non_null(strstr(err.msg, "n is 4, there are 3 elements"));
    assert_false(op_eager(op_find("sparse_decode"), in, 2, NULL, NULL, &out, &err));
    assert_non_null(strstr(err.msg, "codes [B,M] need a factor [M,O]"));
    tensor_release(&u);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_selection),
        cmocka_unit_test(test_unlucky_sample),
        cmocka_unit_test(test_not_a_number_is_kept),
        cmocka_unit_test(test_products),
        cmocka_unit_test(test_gradient_through_a_selection),
        cmocka_unit_test(test_unit_rows),
        cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
