/* copy.c -- copies between layouts and dtypes against a loop over single elements. */
#include "support.h"

#include <math.h>

#include "base/intr.h"
#include "tensor/tensor.h"

#define DIMS(...) (int64_t[]){__VA_ARGS__}

static uint64_t lcg = 1;
static int64_t below(int64_t n)
{
    lcg = lcg * 6364136223846793005ull + 1442695040888963407ull;
    return (int64_t)(lcg >> 33) % n;
}

/* Truncation into lo..hi; NaN and -0 give 0. */
static double whole_in(double v, double lo, double hi)
{
    return isnan(v) ? 0 : fmin(fmax(trunc(v), lo), hi) + 0.0;
}

static double expected(DType to, double v)
{
    switch (to) {
    case F32: return (double)(float)v;
    case I32: return whole_in(v, INT32_MIN, INT32_MAX);
    case U8: return whole_in(v, 0, 255);
    default: return v;
    }
}

static void next_index(const Tensor *t, int64_t *index)
{
    for (int i = t->ndim - 1; i >= 0; i--) {
        if (++index[i] < t->dim[i])
            return;
        index[i] = 0;
    }
}

/* A tensor of the given dims that is a random view (axes in any order, steps of either
 * sign, gaps) of memory filled with `fill`. */
static Tensor random_view(DType t, int ndim, const int64_t *dim, double fill)
{
    Err err;
    int64_t wide[MAX_DIM] = {0}, step[MAX_DIM];
    int axes[MAX_DIM], back[MAX_DIM];
    for (int i = 0; i < ndim; i++)
        axes[i] = i;
    for (int i = ndim - 1; i > 0; i--) {
        int64_t j = below(i + 1);
        int swap = axes[i];
        axes[i] = axes[j];
        axes[j] = swap;
    }
    for (int i = 0; i < ndim; i++) {
        back[axes[i]] = i;
        step[i] = below(3) + 1;
        wide[i] = dim[axes[i]] * step[i] + below(2);
    }
    Tensor base, view;
    assert_ok(tensor_full(t, ndim, wide, fill, &base, &err), err);
    for (int i = 0; i < ndim; i++) {
        int64_t n = dim[axes[i]], last = (n - 1) * step[i];
        bool down = n > 0 && below(2);
        assert_ok(tensor_slice(&base, i, down ? last : 0,
                               down    ? -1
                               : n > 0 ? last + 1
                                       : 0,
                               down ? -step[i] : step[i], &view, &err),
                  err);
        tensor_release(&base);
        base = view;
    }
    assert_ok(tensor_permute(&base, back, &view, &err), err);
    tensor_release(&base);
    for (int i = 0; i < ndim; i++)
        assert_int_equal(view.dim[i], dim[i]);
    return view;
}

static const double samples[] = {
    0,          -0.0,       1,           -1,          0.5, -0.5,  1.5,   254.9,
    255,        255.5,      256,         -255,        300, 1e5,   -1e5,  2147483520,
    2147483647, 2147483648, -2147483648, -2147483904, 3e9, -3e9,  1e30,  -1e30,
    HUGE_VAL,   -HUGE_VAL,  (double)NAN, 16777217,    0.1, 1e-30, 3e-39,
};

/* Every dtype pair, random shapes up to 5 axes, random layouts on both sides. */
static void test_any_layout(void **state)
{
    (void)state;
    Err err;
    for (int round = 0; round < 3000; round++) {
        DType from = (DType)(round % 4), to = (DType)(round / 4 % 4);
        int ndim = (int)below(6);
        int64_t dim[MAX_DIM], index[MAX_DIM] = {0};
        for (int i = 0; i < ndim; i++)
            dim[i] = below(round % 50 ? 6 : 40 / ndim) + (round % 7 > 0);
        Tensor src = random_view(from, ndim, dim, 3),
               dst = random_view(to, ndim, dim, 9);
        int64_t n = tensor_count(&src);
        for (int64_t i = 0; i < n; i++, next_index(&src, index))
            tensor_set(&src, index, samples[below((int64_t)ARRAY_LEN(samples))]);
        assert_ok(tensor_copy_into(&src, &dst, &err), err);
        for (int64_t i = 0; i < n; i++, next_index(&src, index)) {
            double want = expected(to, tensor_get(&src, index));
            double got = tensor_get(&dst, index);
            assert_true(isnan(want) ? isnan(got)
                                    : got == want && !signbit(got) == !signbit(want));
        }
        tensor_release(&src);
        tensor_release(&dst);
    }
}

/* The unit-stride loops (vectorised) agree with the single-element path at all lengths.
 */
static void test_contiguous_conversions(void **state)
{
    (void)state;
    Err err;
    for (int pair = 0; pair < 16; pair++) {
        for (int64_t n = 0; n < 70; n++) {
            Tensor src, dst;
            assert_ok(tensor_new((DType)(pair % 4), 1, &n, &src, &err), err);
            for (int64_t i = 0; i < n; i++)
                tensor_set(&src, &i,
                           samples[(i * 7 + n) % (int64_t)ARRAY_LEN(samples)]);
            assert_ok(tensor_convert(&src, (DType)(pair / 4), &dst, &err), err);
            for (int64_t i = 0; i < n; i++) {
                double want = expected((DType)(pair / 4), tensor_get(&src, &i));
                double got = tensor_get(&dst, &i);
                assert_true(isnan(want) ? isnan(got) : got == want);
            }
            tensor_release(&src);
            tensor_release(&dst);
        }
    }
}

/* Elements between those of a strided target stay as they are. */
static void test_gaps_untouched(void **state)
{
    (void)state;
    Err err;
    float mem[40];
    for (int i = 0; i < 40; i++)
        mem[i] = -1;
    Tensor base = tensor_wrap(F32, 1, DIMS(40), mem), view, one;
    assert_ok(tensor_slice(&base, 0, 38, 1, -4, &view, &err), err);
    assert_ok(tensor_full(F32, 1, &view.dim[0], 5, &one, &err), err);
    assert_ok(tensor_copy_into(&one, &view, &err), err);
    for (int i = 0; i < 40; i++)
        assert_true(mem[i] == (i >= 2 && i <= 38 && (38 - i) % 4 == 0 ? 5.0f : -1.0f));
    tensor_release(&view);
    tensor_release(&one);
}

/* Overlapping source and target behave as if the source had been copied first. */
static void test_overlap(void **state)
{
    (void)state;
    Err err;
    float mem[10];
    Tensor base = tensor_wrap(F32, 1, DIMS(10), mem), a, b;
    for (int shift = -9; shift <= 9; shift++) {
        for (int i = 0; i < 10; i++)
            mem[i] = (float)i;
        int n = 10 - abs(shift), from = shift < 0 ? -shift : 0,
            to = shift > 0 ? shift : 0;
        assert_ok(tensor_slice(&base, 0, from, from + n, 1, &a, &err), err);
        assert_ok(tensor_slice(&base, 0, to, to + n, 1, &b, &err), err);
        assert_ok(tensor_copy_into(&a, &b, &err), err);
        for (int i = 0; i < n; i++)
            assert_true(mem[to + i] == (float)(from + i));
        tensor_release(&a);
        tensor_release(&b);
    }
    Tensor sq = tensor_wrap(F32, 2, DIMS(3, 3), mem), tr;
    for (int i = 0; i < 9; i++)
        mem[i] = (float)i;
    assert_ok(tensor_transpose(&sq, 0, 1, &tr, &err), err);
    assert_ok(tensor_copy_into(&tr, &sq, &err), err);
    for (int i = 0; i < 9; i++)
        assert_true(mem[i] == (float)(i % 3 * 3 + i / 3));
    assert_ok(tensor_copy_into(&sq, &sq, &err), err);
    assert_true(mem[1] == 3);
}

static void test_refusals(void **state)
{
    (void)state;
    Err err;
    Tensor a, b, wide;
    assert_ok(tensor_zeros(F32, 2, DIMS(2, 3), &a, &err), err);
    assert_ok(tensor_zeros(F32, 1, DIMS(3), &b, &err), err);
    assert_false(tensor_copy_into(&b, &a, &err));
    assert_int_equal(err.code, ERR_SHAPE);
    assert_has(err.msg, "f32[2,3]");
    assert_ok(tensor_broadcast(&b, 2, DIMS(2, 3), &wide, &err), err);
    assert_ok(tensor_copy_into(&wide, &a, &err), err);
    assert_false(tensor_copy_into(&a, &wide, &err));
    assert_has(err.msg, "share memory");
    tensor_release(&a);
    tensor_release(&b);
    tensor_release(&wide);
}

/* A large transpose: the tiles, and what an interrupt leaves behind. */
static void test_large(void **state)
{
    (void)state;
    Err err;
    enum { M = 2100, K = 2003 };
    size_t live = mem_live();
    Tensor t, v, c = {0};
    assert_ok(tensor_new(I32, 2, DIMS(M, K), &t, &err), err);
    for (int32_t i = 0; i < M * K; i++)
        ((int32_t *)t.data)[i] = i;
    assert_ok(tensor_transpose(&t, 0, 1, &v, &err), err);
    assert_ok(tensor_copy(&v, &c, &err), err);
    for (int32_t i = 0; i < M * K; i++)
        assert_true(((int32_t *)c.data)[i] == i % M * K + i / M);
    tensor_release(&c);
    intr_raise();
    bool ok = tensor_copy(&v, &c, &err);
    intr_clear();
    assert_false(ok);
    assert_int_equal(err.code, ERR_INTERRUPT);
    assert_null(c.data);
    tensor_release(&t);
    tensor_release(&v);
    assert_int_equal(mem_live(), live);
}

static void test_finite(void **state)
{
    (void)state;
    Err err = {0};
    const double bad[] = {NAN, INFINITY, -INFINITY};
    for (int dtype = F32; dtype <= F64; dtype++)
        for (int64_t at = 0; at < 37; at += 9)
            for (size_t k = 0; k < ARRAY_LEN(bad); k++) {
                Tensor t;
                assert_true(tensor_zeros((DType)dtype, 1, DIMS(37), &t, &err));
                assert_true(tensor_finite(&t));
                tensor_set(&t, &at, bad[k]);
                assert_false(tensor_finite(&t));
                tensor_release(&t);
            }
    Tensor none, whole;
    assert_true(tensor_zeros(F32, 1, DIMS(0), &none, &err));
    assert_true(tensor_zeros(I32, 1, DIMS(3), &whole, &err));
    assert_true(tensor_finite(&none) && tensor_finite(&whole));
    tensor_release(&none);
    tensor_release(&whole);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_any_layout),
        cmocka_unit_test(test_contiguous_conversions),
        cmocka_unit_test(test_gaps_untouched),
        cmocka_unit_test(test_overlap),
        cmocka_unit_test(test_finite),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_large),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
