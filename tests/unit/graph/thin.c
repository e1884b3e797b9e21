/* The product for thin batches: against sums in double for every batch size, ragged
 * lengths, with and without a bias, in every instruction set; the same bits for any
 * cut. */
#include "graph_support.h"

#include <math.h>

#include "graph/thin.h"
#include "graph/thin_kern.h"

static void check(int64_t B, int64_t O, int64_t I, bool bias)
{
    Tensor x = t_random(1, F32, 2, DIMS(B, I), -1, 1),
           w = t_random(2, F32, 2, DIMS(O, I), -1, 1);
    Tensor b = t_random(3, F32, 1, DIMS(O), -1, 1),
           y = t_random(4, F32, 2, DIMS(B, O), 5, 6);
    thin_linear(B, &x, &w, bias ? &b : NULL, &y);
    for (int64_t r = 0; r < B; r++)
        for (int64_t o = 0; o < O; o++) {
            double sum = bias ? t_at(&b, o) : 0, size = fabs(sum);
            for (int64_t i = 0; i < I; i++) {
                double term = t_at(&x, r * I + i) * t_at(&w, o * I + i);
                sum += term;
                size += fabs(term);
            }
            if (fabs(t_at(&y, r * O + o) - sum) > 1e-6 * size)
                fail_msg("B %d O %d I %d: y[%d,%d] = %.9g, must be %.9g", (int)B,
                         (int)O, (int)I, (int)r, (int)o, t_at(&y, r * O + o), sum);
        }
    tensor_release(&x);
    tensor_release(&w);
    tensor_release(&b);
    tensor_release(&y);
}

static void each_isa(void (*f)(void))
{
    static const char *const isa[] = {"baseline", "avx2", "avx512"};
    const char *best = isa_name();
    for (size_t k = 0; k < ARRAY_LEN(isa); k++)
        if (isa_force(isa[k]))
            f();
    assert_true(isa_force(best));
}

static void values(void)
{
    static const int64_t shape[][2] = {{1, 1},    {2, 3}, {3, 16},    {5, 37},
                                       {10, 128}, {7, 0}, {33, 67},   {128, 784},
                                       {9, 5000}, {0, 5}, {2100, 512}};
    for (size_t s = 0; s < ARRAY_LEN(shape); s++)
        for (int64_t B = 0; B <= THIN_MAX_BATCH; B += shape[s][0] > 1000 ? 5 : 1)
            check(B, shape[s][0], shape[s][1], B % 2);
}

static void test_values(void **state)
{
    (void)state;
    each_isa(values);
}

/* Every cut in two, and one column at a time. */
static void cuts(void)
{
    enum { B = 11, O = 9, I = 83 };
    const ThinTable *k = KERN_PICK(thin_table, false);
    Tensor x = t_random(1, F32, 2, DIMS(B, I), -1, 1),
           w = t_random(2, F32, 2, DIMS(O, I), -1, 1);
    Tensor a = t_make(F32, 2, DIMS(B, O)), b = t_make(F32, 2, DIMS(B, O));
    k->linear(B, O, I, x.data, w.data, NULL, a.data, 0, O);
    for (int64_t cut = 0; cut <= O; cut++) {
        memset(b.data, 0, tensor_bytes(&b));
        k->linear(B, O, I, x.data, w.data, NULL, b.data, 0, cut);
        k->linear(B, O, I, x.data, w.data, NULL, b.data, cut, O - cut);
        assert_true(t_same_bits(&a, &b));
    }
    memset(b.data, 0, tensor_bytes(&b));
    for (int64_t o = 0; o < O; o++)
        k->linear(B, O, I, x.data, w.data, NULL, b.data, o, 1);
    assert_true(t_same_bits(&a, &b));
    tensor_release(&x);
    tensor_release(&w);
    tensor_release(&a);
    tensor_release(&b);
}

static void test_cuts(void **state)
{
    (void)state;
    each_isa(cuts);
}

static void test_pieces(void **state)
{
    (void)state;
    static const int64_t count[] = {0, 1, 5, 64, 1000, 8192};
    for (size_t c = 0; c < ARRAY_LEN(count); c++)
        for (int pieces = 1; pieces <= 16; pieces++)
            for (int64_t unit = 1; unit <= 64; unit *= 8) {
                int64_t before = 0;
                for (int k = 0; k <= pieces; k++) {
                    int64_t at = weight_cut(count[c], k, pieces, unit);
                    assert_true(at >= before && at <= count[c]);
                    assert_true(at % unit == 0 || at == count[c]);
                    before = at;
                }
                assert_int_equal(weight_cut(count[c], 0, pieces, unit), 0);
                assert_int_equal(before, count[c]);
            }
    assert_int_equal(weight_pieces(100), 1);
    assert_true(weight_pieces(100000) == 2 && weight_pieces(1 << 24) > 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_cuts),
        cmocka_unit_test(test_pieces),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
