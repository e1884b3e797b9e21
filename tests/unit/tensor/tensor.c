/* tensor.c -- making, counting and releasing tensors; shapes, views and broadcasting.
 * Expected elements come from index arithmetic written here, not from the code tested.
 */
#include "support.h"

#include <math.h>

#include "tensor/tensor.h"

#define DIMS(...) (int64_t[]){__VA_ARGS__}

/* f32 [dims] with element = its row-major number. */
static Tensor counting(int ndim, const int64_t *dim)
{
    Tensor t;
    Err err;
    assert_ok(tensor_new(F32, ndim, dim, &t, &err), err);
    for (int64_t i = 0; i < tensor_count(&t); i++)
        ((float *)t.data)[i] = (float)i;
    return t;
}

static void assert_zeroed(const Tensor *t)
{
    static const Tensor zero;
    assert_null(t->data);
    assert_null(t->buf);
    assert_int_equal(t->ndim, zero.ndim);
}

static void assert_text(const char *got, const char *want)
{
    assert_string_equal(got, want);
}

static void test_dtypes(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        DType t;
        size_t size;
    } rows[] = {{"f32", F32, 4}, {"f64", F64, 8}, {"i32", I32, 4}, {"u8", U8, 1}};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        DType t = N_DTYPES;
        assert_true(dtype_parse(rows[i].name, &t));
        assert_int_equal(t, rows[i].t);
        assert_int_equal(dtype_size(t), rows[i].size);
        assert_text(dtype_name(t), rows[i].name);
    }
    DType t = I32;
    assert_false(dtype_parse("f16", &t));
    assert_false(dtype_parse("", &t));
    assert_int_equal(t, I32);
}

static void test_new_and_release(void **state)
{
    (void)state;
    Err err;
    size_t live = mem_live();
    Tensor t;
    assert_ok(tensor_zeros(F64, 3, DIMS(2, 3, 4), &t, &err), err);
    assert_int_equal(t.stride[0], 12);
    assert_int_equal(t.stride[1], 4);
    assert_int_equal(t.stride[2], 1);
    assert_int_equal(tensor_count(&t), 24);
    assert_int_equal(tensor_bytes(&t), 192);
    assert_int_equal((uintptr_t)t.data % 64, 0);
    assert_true(mem_live() >= live + 192);
    for (int i = 0; i < 24; i++)
        assert_true(((double *)t.data)[i] == 0);
    Tensor u = tensor_retain(&t);
    tensor_release(&t);
    assert_zeroed(&t);
    assert_true(mem_live() > live);
    tensor_release(&u);
    assert_int_equal(mem_live(), live);
    tensor_release(&u);
    tensor_release(NULL);
}

static void test_scalars_and_empty(void **state)
{
    (void)state;
    Err err;
    char text[96];
    Tensor t;
    assert_ok(tensor_full(I32, 0, NULL, -3.9, &t, &err), err);
    assert_int_equal(tensor_count(&t), 1);
    assert_true(tensor_item(&t) == -3);
    assert_true(tensor_contiguous(&t));
    assert_text(tensor_format_shape(&t, text), "i32[]");
    tensor_release(&t);
    assert_ok(tensor_full(F32, 3, DIMS(4, 0, 5), 1, &t, &err), err);
    assert_int_equal(tensor_count(&t), 0);
    assert_int_equal(tensor_bytes(&t), 0);
    assert_non_null(t.data);
    assert_true(isnan(tensor_item(&t)));
    assert_text(tensor_format_shape(&t, text), "f32[4,0,5]");
    tensor_release(&t);
}

static void test_full(void **state)
{
    (void)state;
    static const struct {
        DType t;
        double in, out;
    } rows[] = {
        {F32, 0.1, (double)0.1f}, {F64, 0.1, 0.1},        {I32, 3e9, INT32_MAX},
        {I32, -3e9, INT32_MIN},   {I32, -2.9, -2},        {U8, -1, 0},
        {U8, 255.9, 255},         {U8, 1e9, 255},         {U8, 7.5, 7},
        {F64, -0.0, -0.0},        {F32, 1e300, HUGE_VAL}, {I32, HUGE_VAL, INT32_MAX},
        {I32, (double)NAN, 0},    {U8, (double)NAN, 0},
    };
    for (size_t r = 0; r < ARRAY_LEN(rows); r++) {
        Err err;
        Tensor t;
        assert_ok(tensor_full(rows[r].t, 2, DIMS(77, 301), rows[r].in, &t, &err), err);
        for (int64_t i = 0; i < 77 * 301; i++) {
            double v = tensor_get(&t, DIMS(i / 301, i % 301));
            assert_true(v == rows[r].out && !signbit(v) == !signbit(rows[r].out));
        }
        tensor_release(&t);
    }
}

static void test_impossible_shapes(void **state)
{
    (void)state;
    Err err;
    Tensor t;
    const int64_t big = (int64_t)1 << 32;
    assert_false(tensor_new(F32, 1, DIMS(-1), &t, &err));
    assert_int_equal(err.code, ERR_SHAPE);
    assert_has(err.msg, "-1");
    assert_zeroed(&t);
    assert_false(tensor_new(F32, 7, DIMS(1, 1, 1, 1, 1, 1, 1), &t, &err));
    assert_int_equal(err.code, ERR_SHAPE);
    assert_false(tensor_new(F32, -1, NULL, &t, &err));
    assert_false(tensor_new(N_DTYPES, 0, NULL, &t, &err));
    assert_int_equal(err.code, ERR_SHAPE);
    assert_false(tensor_new(F64, 3, DIMS(big, big, 2), &t, &err));
    assert_int_equal(err.code, ERR_SHAPE);
    assert_has(err.msg, "f64[4294967296,4294967296,2]");
    /* A dimension of 0 does not excuse strides that overflow. */
    assert_false(tensor_new(F64, 4, DIMS(big, big, 0, big), &t, &err));
    assert_int_equal(err.code, ERR_SHAPE);
    assert_false(tensor_zeros(F32, 2, DIMS(1 << 20, 1 << 30), &t, &err));
    assert_int_equal(err.code, ERR_MEMORY);
    assert_has(err.msg, "f32[1048576,1073741824]");
    assert_zeroed(&t);
}

static void test_wrap(void **state)
{
    (void)state;
    Err err;
    size_t live = mem_live();
    float v[6] = {0, 1, 2, 3, 4, 5};
    Tensor t = tensor_wrap(F32, 2, DIMS(2, 3), v), s, r;
    assert_null(t.buf);
    r = tensor_retain(&t);
    assert_ptr_equal(r.data, v);
    assert_ok(tensor_slice(&t, 1, 1, 3, 1, &s, &err), err);
    assert_ptr_equal(s.data, v + 1);
    tensor_set(&s, DIMS(1, 1), 9);
    assert_true(v[5] == 9);
    tensor_release(&s);
    tensor_release(&r);
    tensor_release(&t);
    assert_int_equal(mem_live(), live);
}

/* A view's element i must be start + i * step of the source; -1 marks "no such slice".
 */
static void test_slice_all(void **state)
{
    (void)state;
    Err err;
    enum { LEN = 7 };
    Tensor t = counting(1, DIMS(LEN));
    for (int64_t step = -4; step <= 4; step++) {
        for (int64_t start = -3; start <= LEN + 2; start++) {
            for (int64_t stop = -3; stop <= LEN + 2; stop++) {
                int64_t lo = step > 0 ? 0 : -1, hi = step > 0 ? LEN : LEN - 1;
                bool legal = step != 0 && start >= lo && start <= hi && stop >= lo &&
                             stop <= hi;
                Tensor s;
                assert_int_equal(tensor_slice(&t, 0, start, stop, step, &s, &err),
                                 legal);
                if (!legal) {
                    assert_int_equal(err.code, ERR_SHAPE);
                    assert_zeroed(&s);
                    continue;
                }
                int64_t n = 0;
                for (int64_t at = start; step > 0 ? at < stop : at > stop; at += step)
                    assert_true(n < s.dim[0] &&
                                tensor_get(&s, DIMS(n++)) == (double)at);
                assert_int_equal(s.dim[0], n);
                tensor_release(&s);
            }
        }
    }
    tensor_release(&t);
}

static void test_views_compose(void **state)
{
    (void)state;
    Err err;
    size_t live = mem_live();
    Tensor t = counting(3, DIMS(4, 5, 6)), a, b, c, d;
    assert_ok(tensor_slice(&t, -1, 5, -1, -2, &a, &err), err); /* 5 3 1 */
    assert_ok(tensor_transpose(&a, 0, 2, &b, &err), err);      /* [3,5,4] */
    assert_ok(tensor_select(&b, 1, 2, &c, &err), err);         /* [3,4] */
    assert_ok(tensor_permute(&c, (int[]){1, 0}, &d, &err), err);
    tensor_release(&t);
    tensor_release(&a);
    tensor_release(&b);
    tensor_release(&c);
    assert_int_equal(d.ndim, 2);
    assert_int_equal(d.dim[0], 4);
    assert_int_equal(d.dim[1], 3);
    assert_false(tensor_contiguous(&d));
    for (int64_t i = 0; i < 4; i++) {
        for (int64_t j = 0; j < 3; j++)
            assert_true(tensor_get(&d, DIMS(i, j)) ==
                        (double)(i * 30 + 2 * 6 + 5 - 2 * j));
    }
    tensor_release(&d);
    assert_int_equal(mem_live(), live);
}

static void test_view_errors(void **state)
{
    (void)state;
    Err err;
    Tensor t = counting(2, DIMS(2, 3)), o;
    assert_false(tensor_select(&t, 0, 2, &o, &err));
    assert_has(err.msg, "index 2");
    assert_zeroed(&o);
    assert_false(tensor_select(&t, 0, -1, &o, &err));
    assert_false(tensor_select(&t, 2, 0, &o, &err));
    assert_has(err.msg, "f32[2,3]");
    assert_false(tensor_slice(&t, -3, 0, 1, 1, &o, &err));
    assert_false(tensor_slice(&t, 0, 0, 1, INT64_MIN, &o, &err));
    assert_false(tensor_transpose(&t, 0, 5, &o, &err));
    assert_false(tensor_permute(&t, (int[]){0, 0}, &o, &err));
    assert_has(err.msg, "twice");
    assert_false(tensor_permute(&t, (int[]){0, 2}, &o, &err));
    assert_zeroed(&o);
    tensor_release(&t);
}

static void test_empty_views(void **state)
{
    (void)state;
    Err err;
    Tensor t = counting(2, DIMS(3, 0)), a, b, c;
    assert_ok(tensor_select(&t, 0, 2, &a, &err), err);
    assert_int_equal(a.dim[0], 0);
    assert_ptr_equal(a.data, t.data);
    assert_ok(tensor_slice(&t, 0, 2, -1, -1, &b, &err), err);
    assert_int_equal(b.dim[0], 3);
    assert_true(tensor_contiguous(&b));
    assert_ok(tensor_copy(&b, &c, &err), err);
    assert_int_equal(c.dim[1], 0);
    tensor_release(&a);
    tensor_release(&b);
    tensor_release(&c);
    assert_ok(tensor_reshape(&t, 3, DIMS(0, 5, 2), &a, &err), err);
    tensor_release(&a);
    assert_ok(tensor_reshape(&t, 2, DIMS(7, -1), &a, &err), err);
    assert_int_equal(a.dim[1], 0);
    tensor_release(&a);
    assert_false(tensor_reshape(&t, 2, DIMS(0, -1), &a, &err)); /* any would do */
    assert_zeroed(&a);
    assert_false(tensor_reshape(&t, 3, DIMS(0, INT64_MAX, 4), &a, &err));
    tensor_release(&t);
}

static void test_contiguous(void **state)
{
    (void)state;
    Err err;
    Tensor t = counting(3, DIMS(3, 1, 4)), v, c;
    assert_ok(tensor_transpose(&t, 0, 1, &v, &err), err); /* [1,3,4]: same order */
    assert_true(tensor_contiguous(&v));
    assert_ok(tensor_contiguous_of(&v, &c, &err), err);
    assert_ptr_equal(c.data, t.data);
    assert_int_equal(c.stride[0], 12);
    tensor_release(&c);
    tensor_release(&v);
    assert_ok(tensor_slice(&t, 0, 1, 2, 1, &v, &err), err);
    assert_true(tensor_contiguous(&v));
    tensor_release(&v);
    assert_ok(tensor_transpose(&t, 0, 2, &v, &err), err);
    assert_false(tensor_contiguous(&v));
    assert_ok(tensor_contiguous_of(&v, &c, &err), err);
    assert_ptr_not_equal(c.data, t.data);
    for (int64_t i = 0; i < 12; i++)
        assert_true(((float *)c.data)[i] == (float)(i % 3 * 4 + i / 3));
    tensor_release(&c);
    tensor_release(&v);
    tensor_release(&t);
}

static void test_reshape(void **state)
{
    (void)state;
    Err err;
    Tensor t = counting(2, DIMS(4, 6)), r, v, s;
    assert_ok(tensor_reshape(&t, 3, DIMS(2, -1, 3), &r, &err), err);
    assert_ptr_equal(r.data, t.data);
    assert_int_equal(r.dim[1], 4);
    assert_true(tensor_get(&r, DIMS(1, 2, 1)) == 19);
    tensor_release(&r);
    assert_ok(tensor_transpose(&t, 0, 1, &v, &err), err);
    assert_ok(tensor_reshape(&v, 1, DIMS(-1), &s, &err), err); /* copies */
    assert_ptr_not_equal(s.data, t.data);
    assert_true(tensor_get(&s, DIMS(5)) == 7);
    tensor_release(&s);
    tensor_release(&v);
    static const int64_t bad[][2] = {{5, 5}, {-1, -1}, {-2, -12}, {5, -1}, {0, -1}};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        assert_false(tensor_reshape(&t, 2, bad[i], &r, &err));
        assert_int_equal(err.code, ERR_SHAPE);
        assert_zeroed(&r);
    }
    assert_false(tensor_reshape(&t, 7, DIMS(24, 1, 1, 1, 1, 1, 1), &r, &err));
    tensor_release(&t);
    t = counting(1, DIMS(1));
    assert_ok(tensor_reshape(&t, 0, NULL, &r, &err), err);
    assert_int_equal(r.ndim, 0);
    tensor_release(&r);
    tensor_release(&t);
}

static void test_broadcast(void **state)
{
    (void)state;
    Err err;
    Tensor t = counting(2, DIMS(3, 1)), b;
    assert_ok(tensor_broadcast(&t, 3, DIMS(2, 3, 4), &b, &err), err);
    for (int64_t i = 0; i < 24; i++)
        assert_true(tensor_get(&b, DIMS(i / 12, i / 4 % 3, i % 4)) ==
                    (double)(i / 4 % 3));
    tensor_release(&b);
    assert_ok(tensor_broadcast(&t, 2, DIMS(3, 0), &b, &err), err);
    assert_int_equal(tensor_count(&b), 0);
    tensor_release(&b);
    assert_false(tensor_broadcast(&t, 2, DIMS(4, 4), &b, &err));
    assert_has(err.msg, "f32[4,4]");
    assert_false(tensor_broadcast(&t, 1, DIMS(3), &b, &err));
    assert_false(tensor_broadcast(&t, 3, DIMS(-1, 3, 1), &b, &err));
    assert_false(
        tensor_broadcast(&t, 4, DIMS((int64_t)1 << 40, 1 << 20, 3, 8), &b, &err));
    assert_zeroed(&b);
    tensor_release(&t);
}

static void test_shape_broadcast(void **state)
{
    (void)state;
    static const struct {
        int na;
        int64_t a[3];
        int nb;
        int64_t b[3];
        int n; /* -1: does not */
        int64_t out[3];
    } rows[] = {
        {2, {4, 3}, 1, {3}, 2, {4, 3}},      {0, {0}, 2, {5, 6}, 2, {5, 6}},
        {3, {2, 1, 4}, 2, {3, 1}, 3, {2, 3, 4}}, {1, {0}, 2, {2, 1}, 2, {2, 0}},
        {1, {0}, 1, {1}, 1, {0}},            {2, {4, 3}, 1, {4}, -1, {0}},
        {1, {0}, 1, {2}, -1, {0}},           {0, {0}, 0, {0}, 0, {0}},
    };
    for (size_t r = 0; r < ARRAY_LEN(rows); r++) {
        for (int swap = 0; swap < 2; swap++) {
            int64_t out[MAX_DIM];
            int n = -1;
            Err err;
            bool ok = swap ? shape_broadcast("add", rows[r].nb, rows[r].b, rows[r].na,
                                             rows[r].a, &n, out, &err)
                           : shape_broadcast("add", rows[r].na, rows[r].a, rows[r].nb,
                                             rows[r].b, &n, out, &err);
            assert_int_equal(ok, rows[r].n >= 0);
            if (!ok)
                assert_has(err.msg, "add: ");
            for (int i = 0; ok && i < rows[r].n; i++)
                assert_int_equal(out[i], rows[r].out[i]);
            if (ok)
                assert_int_equal(n, rows[r].n);
        }
    }
}

static void test_long_shape_text(void **state)
{
    (void)state;
    char text[96];
    int64_t dim[MAX_DIM];
    for (int i = 0; i < MAX_DIM; i++)
        dim[i] = INT64_MIN;
    shape_format(F32, MAX_DIM, dim, text);
    assert_true(strlen(text) < 96);
    assert_int_equal(text[strlen(text) - 1], ']');
    assert_text(shape_format(U8, 2, DIMS(10, 784), text), "u8[10,784]");
}

static bool try_everything(void *ctx, Err *err)
{
    Tensor a = {0}, b = {0}, c = {0}, d = {0}, e = {0}, f = {0};
    (void)ctx;
    bool ok = tensor_full(F32, 2, DIMS(5, 7), 2, &a, err) &&
              tensor_transpose(&a, 0, 1, &b, err) && tensor_copy(&b, &c, err) &&
              tensor_reshape(&b, 1, DIMS(-1), &d, err) &&
              tensor_convert(&b, F64, &e, err) &&
              tensor_slice(&a, 0, 4, -1, -1, &f, err) &&
              tensor_copy_into(&f, &a, err); /* overlaps, so it needs a copy */
    tensor_release(&a);
    tensor_release(&b);
    tensor_release(&c);
    tensor_release(&d);
    tensor_release(&e);
    tensor_release(&f);
    return ok;
}

static void test_failing_allocations(void **state)
{
    (void)state;
    assert_int_equal(fail_each_alloc(try_everything, NULL), 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_dtypes),
        cmocka_unit_test(test_new_and_release),
        cmocka_unit_test(test_full),
        cmocka_unit_test(test_scalars_and_empty),
        cmocka_unit_test(test_wrap),
        cmocka_unit_test(test_impossible_shapes),
        cmocka_unit_test(test_slice_all),
        cmocka_unit_test(test_views_compose),
        cmocka_unit_test(test_view_errors),
        cmocka_unit_test(test_empty_views),
        cmocka_unit_test(test_contiguous),
        cmocka_unit_test(test_reshape),
        cmocka_unit_test(test_broadcast),
        cmocka_unit_test(test_shape_broadcast),
        cmocka_unit_test(test_long_shape_text),
        cmocka_unit_test(test_failing_allocations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
