/* rows_ref.c -- structured ops against plain loops in double that share nothing with
 * the kernels, the distributions of the draws, the index and label errors, and the
 * signature parser. */
#include <math.h>

#include "graph_support.h"

static Tensor run_op(const char *name, const Tensor *const *in, int n_in,
                     const OpAttr *a)
{
    Err err = {0};
    Tensor out[OP_MAX_OUT];
    const OpRow *row = op_find(name);
    RunCtx ctx = {3, 0};
    assert_non_null(row);
    if (!op_eager(row, in, n_in, a, &ctx, out, &err))
        fail_msg("%s", err.msg);
    return out[0];
}

static Tensor run1(const char *name, const Tensor *x, const OpAttr *a)
{
    return run_op(name, (const Tensor *[]){x}, 1, a);
}

static void expect(const char *what, const Tensor *y, int64_t i, double want,
                   double tol)
{
    double got = t_at(y, i);
    if (!(fabs(got - want) <= tol * fmax(1.0, fabs(want))))
        fail_msg("%s [%lld]: %.9g, expected %.9g", what, (long long)i, got, want);
}

/* ---- einsum ---------------------------------------------------------------------- */

static int64_t letter_dim(const char *l, const Tensor *t, char c)
{
    const char *p = strchr(l, c);
    return p ? t->dim[p - l] : -1;
}

static int64_t offset_of(const char *l, const Tensor *t, const char *all,
                         const int64_t *at)
{
    int64_t o = 0;
    for (int k = 0; k < t->ndim; k++)
        o = o * t->dim[k] + at[strchr(all, l[k]) - all];
    return o;
}

/* Sums over every value of every letter. */
static void einsum_case(const char *la, const char *lb, const char *lo,
                        const int64_t *size)
{
    static const char all[] = "abcdefg";
    char spec[48];
    Tensor t[2], want;
    int64_t da[MAX_DIM], db[MAX_DIM], d_out[MAX_DIM], at[7] = {0};
    snprintf(spec, sizeof spec, "%s,%s->%s", la, lb, lo);
    for (size_t k = 0; la[k]; k++)
        da[k] = size[la[k] - 'a'];
    for (size_t k = 0; lb[k]; k++)
        db[k] = size[lb[k] - 'a'];
    for (size_t k = 0; lo[k]; k++)
        d_out[k] = size[lo[k] - 'a'];
    t[0] = t_random(1, F64, (int)strlen(la), da, -1, 1);
    t[1] = t_random(2, F64, (int)strlen(lb), db, -1, 1);
    want = t_make(F64, (int)strlen(lo), d_out);
    int64_t lim[7], total = 1;
    for (int k = 0; k < 7; k++) {
        int64_t d = letter_dim(la, &t[0], all[k]);
        d = d < 0 ? letter_dim(lb, &t[1], all[k]) : d;
        lim[k] = d < 0 ? 1 : d;
        total *= lim[k];
    }
    for (int64_t n = 0; n < total; n++) {
        int64_t rest = n;
        for (int k = 0; k < 7; k++) {
            at[k] = rest % lim[k];
            rest /= lim[k];
        }
        ((double *)want.data)[offset_of(lo, &want, all, at)] +=
            t_at(&t[0], offset_of(la, &t[0], all, at)) *
            t_at(&t[1], offset_of(lb, &t[1], all, at));
    }
    OpAttr a = {0};
    strcpy(a.text, spec);
    Tensor y = run_op("einsum", (const Tensor *[]){&t[0], &t[1]}, 2, &a);
    assert_true(tensor_same_shape(&y, &want));
    for (int64_t i = 0; i < tensor_count(&y); i++)
        expect(spec, &y, i, t_at(&want, i), 1e-12);
    tensor_release(&t[0]);
    tensor_release(&t[1]);
    tensor_release(&want);
    tensor_release(&y);
}

/* Random specs: each letter goes to the operands and the result as a draw says. */
static void test_einsum(void **state)
{
    (void)state;
    RngKey key = {8, rng_stream("einsum"), 0};
    int64_t draw = 0;
    for (int n = 0; n < 400; n++) {
        char l[3][MAX_DIM + 1] = {"", "", ""};
        int64_t size[7];
        for (int c = 0; c < 5; c++) {
            int where = (int)rng_below(key, draw++, 3); /* a, b, both */
            size[c] = 1 + rng_below(key, draw++, n % 40 == 0 ? 11 : 4);
            for (int t = 0; t < 3; t++) {
                bool has = t < 2 ? where == 2 || where == t : rng_below(key, draw++, 2);
                size_t len = strlen(l[t]),
                       at = (size_t)rng_below(key, draw++, (int64_t)len + 1);
                if (!has)
                    continue;
                memmove(l[t] + at + 1, l[t] + at, len + 1 - at);
                l[t][at] = (char)('a' + c);
            }
        }
        einsum_case(l[0], l[1], l[2], size);
    }
    einsum_case("ab", "cb", "ac", (int64_t[]){40, 70, 30});
    einsum_case("abc", "abd", "adc", (int64_t[]){3, 20, 30, 40});
}

static void einsum_refuses(const char *spec, const Tensor *a, const Tensor *b,
                           const char *says)
{
    Err err = {0};
    Tensor out;
    OpAttr at = {0};
    snprintf(at.text, sizeof at.text, "%s", spec);
    assert_false(op_eager(op_find("einsum"), (const Tensor *[]){a, b}, b ? 2 : 1, &at,
                          NULL, &out, &err));
    assert_int_equal(err.code, ERR_SHAPE);
    assert_has(err.msg, says);
}

static void test_einsum_refuses(void **state)
{
    (void)state;
    Tensor a = t_make(F32, 2, DIMS(3, 4)), b = t_make(F32, 2, DIMS(5, 2));
    einsum_refuses("ij,jk->ik", &a, &b, "'j' is 4 in one operand and 5");
    einsum_refuses("ii,jk->ik", &a, &b, "twice");
    einsum_refuses("ij,kl->im", &a, &b, "no operand has 'm'");
    einsum_refuses("ijk,kl->il", &a, &b, "3 letters");
    einsum_refuses("i1,kl->il", &a, &b, "letter is needed");
    einsum_refuses("ij->ij", &a, &b, "must describe 2");
    einsum_refuses("ij,kl->ik", &a, NULL, "must describe 1");
    einsum_refuses("ij,kl,m->ik", &a, &b, "more than two");
    einsum_refuses("ij,kl->ik->i", &a, &b, "");
    tensor_release(&a);
    tensor_release(&b);
}

/* ---- broadcasting and sums ------------------------------------------------------- */

static void test_broadcast(void **state)
{
    (void)state;
    RngKey key = {9, rng_stream("broadcast"), 0};
    int64_t draw = 0;
    for (int n = 0; n < 200; n++) {
        int64_t dim[4], d[2][4];
        for (int k = 0; k < 4; k++)
            dim[k] = 1 + rng_below(key, draw++, 4);
        int nd[2] = {4, (int)rng_below(key, draw++, 5)};
        for (int t = 0; t < 2; t++)
            for (int k = 0; k < nd[t]; k++)
                d[t][k] = rng_below(key, draw++, 2) ? dim[4 - nd[t] + k] : 1;
        Tensor a = t_random(1, F32, nd[0], d[0], -1, 1);
        Tensor b = t_random(2, F32, nd[1], d[1], -1, 1);
        Tensor y = run_op("sub", (const Tensor *[]){&a, &b}, 2, NULL);
        for (int64_t i = 0; i < tensor_count(&y); i++) {
            int64_t rest = i, ia[4] = {0}, ib[4] = {0};
            for (int k = y.ndim - 1; k >= 0; k--) {
                int64_t at = rest % y.dim[k], kb = k - (4 - nd[1]);
                rest /= y.dim[k];
                ia[k] = d[0][k] == 1 ? 0 : at;
                if (kb >= 0)
                    ib[kb] = d[1][kb] == 1 ? 0 : at;
            }
            expect("sub", &y, i, tensor_get(&a, ia) - tensor_get(&b, ib), 1e-6);
        }
        OpAttr to = {.n_list = nd[1]};
        memcpy(to.list, d[1], sizeof d[1]);
        if (tensor_count(&y) > 0) { /* <1, y> = <1, sum_to(y)>, and shapes fit */
            Tensor s = run1("sum_to", &y, &to), p = run1("sum", &s, NULL),
                   q = run1("sum", &y, NULL);
            expect("sum_to", &p, 0, t_at(&q, 0), 1e-5);
            assert_true(tensor_same_shape(&s, &b));
            tensor_release(&s);
            tensor_release(&p);
            tensor_release(&q);
        }
        tensor_release(&a);
        tensor_release(&b);
        tensor_release(&y);
    }
}

/* A million f32 ones plus small parts: the plain running sum would be off by 1e-3. */
static void test_sum_accuracy(void **state)
{
    (void)state;
    int64_t n = 1000003;
    Tensor x = t_random(4, F32, 1, &n, 0, 1);
    double want = 0, squares = 0;
    for (int64_t i = 0; i < n; i++)
        want += t_at(&x, i);
    for (int64_t i = 0; i < n; i++)
        squares += (t_at(&x, i) - want / (double)n) * (t_at(&x, i) - want / (double)n);
    Tensor s = run1("sum", &x, NULL), m = run1("mean", &x, NULL),
           v = run1("var", &x, NULL);
    expect("sum", &s, 0, want, 1e-7);
    expect("mean", &m, 0, want / (double)n, 1e-7);
    expect("var", &v, 0, squares / (double)n, 1e-6);
    tensor_release(&x);
    tensor_release(&s);
    tensor_release(&m);
    tensor_release(&v);
}

/* ---- reductions and softmax along any axis --------------------------------------- */

typedef double LineFn(int64_t n, const double *x);

static double ref_sum(int64_t n, const double *x)
{
    double s = 0;
    for (int64_t i = 0; i < n; i++)
        s += x[i];
    return s;
}

static double ref_max(int64_t n, const double *x)
{
    double m = x[0];
    for (int64_t i = 0; i < n; i++)
        m = fmax(m, x[i]);
    return m;
}

static double ref_argmin(int64_t n, const double *x)
{
    int64_t at = 0;
    for (int64_t i = 0; i < n; i++)
        at = x[i] < x[at] ? i : at;
    return (double)at;
}

static double ref_norm(int64_t n, const double *x)
{
    double s = 0;
    for (int64_t i = 0; i < n; i++)
        s += x[i] * x[i];
    return sqrt(s);
}

static double ref_std(int64_t n, const double *x)
{
    double m = ref_sum(n, x) / (double)n, s = 0;
    for (int64_t i = 0; i < n; i++)
        s += (x[i] - m) * (x[i] - m);
    return sqrt(s / (double)n);
}

static double ref_lse(int64_t n, const double *x)
{
    double s = 0;
    for (int64_t i = 0; i < n; i++)
        s += exp(x[i]);
    return log(s);
}

static void read_line(const Tensor *x, int axis, int64_t p, int64_t q, double *line)
{
    for (int64_t i = 0; i < x->dim[axis]; i++)
        line[i] = axis == 0   ? tensor_get(x, DIMS(i, p, q))
                  : axis == 1 ? tensor_get(x, DIMS(p, i, q))
                              : tensor_get(x, DIMS(p, q, i));
}

static void test_lines(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        LineFn *fn;
    } refs[] = {{"sum", ref_sum},   {"max", ref_max}, {"argmin", ref_argmin},
                {"norm", ref_norm}, {"std", ref_std}, {"logsumexp", ref_lse}};
    Tensor x = t_random(6, F32, 3, DIMS(5, 33, 7), -3, 3);
    double line[33];
    for (int axis = 0; axis < 3; axis++) {
        OpAttr a = {.i = {axis}};
        int64_t P = axis == 0 ? 33 : 5, Q = axis == 2 ? 33 : 7;
        for (size_t f = 0; f < ARRAY_LEN(refs); f++) {
            Tensor y = run1(refs[f].name, &x, &a);
            for (int64_t k = 0; k < P * Q; k++) {
                read_line(&x, axis, k / Q, k % Q, line);
                expect(refs[f].name, &y, k, refs[f].fn(x.dim[axis], line), 1e-5);
            }
            tensor_release(&y);
        }
        Tensor s = run1("softmax", &x, &a), l = run1("log_softmax", &x, &a);
        for (int64_t k = 0; k < P * Q; k++) {
            double soft[33], logs[33];
            read_line(&x, axis, k / Q, k % Q, line);
            read_line(&s, axis, k / Q, k % Q, soft);
            read_line(&l, axis, k / Q, k % Q, logs);
            double lse = ref_lse(x.dim[axis], line);
            for (int64_t i = 0; i < x.dim[axis]; i++) {
                assert_true(fabs(soft[i] - exp(line[i] - lse)) < 1e-6);
                assert_true(fabs(logs[i] - (line[i] - lse)) < 1e-5);
            }
        }
        tensor_release(&s);
        tensor_release(&l);
    }
    tensor_release(&x);
}

static void test_extremes_and_losses(void **state)
{
    (void)state;
    Tensor big = t_make(F32, 2, DIMS(1, 3)), lab = t_make(I32, 1, DIMS(1));
    tensor_set(&big, DIMS(0, 0), 1e4);
    tensor_set(&big, DIMS(0, 1), -1e4);
    tensor_set(&lab, DIMS(0), 1);
    Tensor s = run1("softmax", &big, &(OpAttr){.i = {-1}});
    Tensor x = run_op("cross_entropy", (const Tensor *[]){&big, &lab}, 2, NULL);
    expect("softmax", &s, 0, 1, 0);
    expect("softmax", &s, 1, 0, 0);
    expect("cross_entropy", &x, 0, 2e4, 1e-6);
    tensor_release(&s);
    tensor_release(&x);
    tensor_set(&big, DIMS(0, 2), NAN);
    s = run1("max", &big, &(OpAttr){.i = {-1}});
    assert_true(isnan(t_at(&s, 0)));
    tensor_release(&s);
    tensor_release(&big);
    tensor_release(&lab);

    Tensor p = t_random(1, F32, 2, DIMS(6, 5), -2, 2),
           q = t_random(2, F32, 2, DIMS(6, 5), -2, 2);
    double want = 0;
    for (int64_t r = 0; r < 6; r++) {
        double a[5], b[5];
        for (int64_t c = 0; c < 5; c++) {
            a[c] = tensor_get(&p, DIMS(r, c));
            b[c] = tensor_get(&q, DIMS(r, c));
        }
        for (int64_t c = 0; c < 5; c++)
            want += exp(a[c] - ref_lse(5, a)) *
                    (a[c] - ref_lse(5, a) - b[c] + ref_lse(5, b));
    }
    Tensor kl = run_op("kl_div", (const Tensor *[]){&p, &q}, 2, NULL);
    expect("kl_div", &kl, 0, want / 6, 1e-5);
    tensor_release(&kl);
    tensor_release(&p);
    tensor_release(&q);
}

/* ---- images ---------------------------------------------------------------------- */

static int64_t reflect(int64_t i, int64_t n)
{
    if (n == 1)
        return 0;
    return i < 0 ? -i : i >= n ? 2 * n - 2 - i : i;
}

static double pixel(const Tensor *x, int64_t h, int64_t w, int64_t i, int64_t j)
{
    return t_at(x, reflect(i, h) * w + reflect(j, w));
}

static void image_case(int64_t h, int64_t w)
{
    Tensor x = t_random(7, F64, 2, DIMS(1, h * w), -1, 1);
    OpAttr a = {.i = {h, w}};
    Tensor s = run1("smooth3", &x, &a), l = run1("laplacian", &x, &a);
    Tensor tv = run1("total_variation", &x, &a);
    double across = 0, down = 0;
    for (int64_t i = 0; i < h; i++)
        for (int64_t j = 0; j < w; j++) {
            double sum = 0, c = pixel(&x, h, w, i, j);
            for (int64_t u = -1; u <= 1; u++)
                for (int64_t v = -1; v <= 1; v++)
                    sum += pixel(&x, h, w, i + u, j + v);
            expect("smooth3", &s, i * w + j, sum / 9, 1e-13);
            expect("laplacian", &l, i * w + j,
                   pixel(&x, h, w, i - 1, j) + pixel(&x, h, w, i + 1, j) +
                       pixel(&x, h, w, i, j - 1) + pixel(&x, h, w, i, j + 1) - 4 * c,
                   1e-13);
            across += j + 1 < w ? fabs(pixel(&x, h, w, i, j + 1) - c) : 0;
            down += i + 1 < h ? fabs(pixel(&x, h, w, i + 1, j) - c) : 0;
        }
    double want = (w > 1 ? across / (double)(h * (w - 1)) : 0) +
                  (h > 1 ? down / (double)((h - 1) * w) : 0);
    expect("total_variation", &tv, 0, want, 1e-13);
    tensor_release(&x);
    tensor_release(&s);
    tensor_release(&l);
    tensor_release(&tv);
}

static void test_translate(void **state)
{
    (void)state;
    enum { H = 4, W = 5 };
    static const int32_t by[][2] = {
        {0,  0 },
        {1,  -2},
        {-3, 4 },
        {4,  0 },
        {0,  -5},
        {9,  9 }
    };
    int64_t n = ARRAY_LEN(by);
    Tensor x = t_random(7, F64, 2, DIMS(n, H * W), -1, 1);
    Tensor move = t_make(I32, 2, DIMS(n, 2));
    memcpy(move.data, by, sizeof by);
    for (int back = 0; back < 2; back++) {
        OpAttr a = {
            .i = {H, W, back}
        };
        Tensor y = run_op("translate", (const Tensor *[]){&x, &move}, 2, &a);
        for (int64_t k = 0; k < n * H * W; k++) {
            int64_t image = k / (H * W), i = k / W % H, j = k % W;
            i -= back ? -by[image][0] : by[image][0];
            j -= back ? -by[image][1] : by[image][1];
            bool in = i >= 0 && i < H && j >= 0 && j < W;
            expect("translate", &y, k, in ? t_at(&x, (image * H + i) * W + j) : 0, 0);
        }
        tensor_release(&y);
    }
    tensor_release(&x);
    tensor_release(&move);
}

static void test_images(void **state)
{
    (void)state;
    static const int64_t sides[] = {1, 2, 3, 4, 5, 6, 28, 70};
    for (size_t i = 0; i < ARRAY_LEN(sides); i++)
        for (size_t j = 0; j < ARRAY_LEN(sides); j++)
            image_case(sides[i], sides[j]);
    image_case(3, 1100);
    image_case(1, 1100);
    Tensor x = t_random(7, F64, 2, DIMS(1, 28 * 28), -1, 1);
    Tensor y = run1("box_sum", &x, &(OpAttr){.i = {28, 28, 7}});
    assert_int_equal(tensor_count(&y), 22 * 22);
    for (int64_t i = 0; i < 22; i++)
        for (int64_t j = 0; j < 22; j++) {
            double sum = 0;
            for (int64_t k = 0; k < 49; k++)
                sum += t_at(&x, (i + k / 7) * 28 + j + k % 7);
            expect("box_sum", &y, i * 22 + j, sum, 1e-13);
        }
    tensor_release(&x);
    tensor_release(&y);
}

/* ---- index, gates ---------------------------------------------------------------- */

static void test_topk(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 60; seed++) {
        int64_t n = 1 + (int64_t)seed % 17, k = (int64_t)seed % (n + 1), kept = 0;
        Tensor x = t_random(seed, F32, 1, &n, -3, 3);
        for (int64_t i = 0; i < n; i++) /* ties on purpose */
            tensor_set(&x, &i, round(t_at(&x, i)));
        Tensor y = run1("topk_gate", &x, &(OpAttr){.i = {k, -1}});
        Tensor m = run1("topk_mask", &x, &(OpAttr){.i = {k, -1}});
        for (int64_t i = 0; i < n; i++) {
            int64_t above = 0;
            for (int64_t j = 0; j < n; j++)
                above += fabs(t_at(&x, j)) > fabs(t_at(&x, i)) ||
                         (fabs(t_at(&x, j)) == fabs(t_at(&x, i)) && j < i);
            assert_true(t_at(&m, i) == (above < k));
            assert_true(t_at(&y, i) == (above < k ? t_at(&x, i) : 0));
            kept += t_at(&m, i) != 0;
        }
        assert_int_equal(kept, k);
        tensor_release(&x);
        tensor_release(&y);
        tensor_release(&m);
    }
}

static void test_index_errors(void **state)
{
    (void)state;
    Tensor x = t_make(F32, 2, DIMS(4, 3)), idx = t_make(I32, 1, DIMS(4)), out;
    static const char *const ops[] = {"gather", "cross_entropy", "nll", "take_along"};
    static const int bad[] = {7, -1};
    for (size_t k = 0; k < ARRAY_LEN(ops); k++)
        for (size_t b = 0; b < ARRAY_LEN(bad); b++) {
            Err err = {0};
            Tensor flat = tensor_wrap(F32, 1, DIMS(4), x.data);
            const Tensor *first = !strcmp(ops[k], "take_along") ? &flat : &x;
            tensor_set(&idx, DIMS(2), bad[b]);
            assert_false(op_eager(op_find(ops[k]), (const Tensor *[]){first, &idx}, 2,
                                  NULL, NULL, &out, &err));
            assert_has(err.msg, ops[k]);
            assert_has(err.msg, "outside 0..");
        }
    tensor_release(&x);
    tensor_release(&idx);
}

/* Equal indices add up; the rows' values are small integers, so sums are exact. */
static void test_scatter(void **state)
{
    (void)state;
    int64_t n = 900;
    Tensor base = t_make(F32, 2, DIMS(5, 700)), idx = t_make(I32, 1, &n);
    Tensor src = t_make(F32, 2, DIMS(900, 700));
    for (int64_t i = 0; i < n; i++)
        ((int32_t *)idx.data)[i] = (int32_t)(i * 7 % 5);
    for (int64_t i = 0; i < n * 700; i++)
        ((float *)src.data)[i] = (float)(i % 13);
    Tensor y = run_op("scatter_add", (const Tensor *[]){&base, &idx, &src}, 3, NULL);
    for (int64_t r = 0; r < 5; r++)
        for (int64_t c = 0; c < 700; c += 37) {
            double sum = 0;
            for (int64_t i = 0; i < n; i++)
                sum += i * 7 % 5 == r ? (double)((i * 700 + c) % 13) : 0;
            expect("scatter_add", &y, r * 700 + c, sum, 0);
        }
    tensor_release(&base);
    tensor_release(&idx);
    tensor_release(&src);
    tensor_release(&y);
}

static void test_batch_u8(void **state)
{
    (void)state;
    Tensor im = t_make(U8, 3, DIMS(3, 2, 2)), idx = t_make(I32, 1, DIMS(2));
    for (int k = 0; k < 12; k++)
        ((uint8_t *)im.data)[k] = (uint8_t)(k * 23);
    tensor_set(&idx, DIMS(0), 2);
    OpAttr a;
    op_attr_defaults(op_find("batch_u8"), &a);
    Tensor y = run_op("batch_u8", (const Tensor *[]){&im, &idx}, 2, &a);
    assert_int_equal(y.dtype, F32);
    for (int k = 0; k < 4; k++) {
        expect("batch_u8", &y, k, (8 + k) * 23 / 255.0, 1e-6);
        expect("batch_u8", &y, 4 + k, k * 23 / 255.0, 1e-6);
    }
    tensor_release(&im);
    tensor_release(&idx);
    tensor_release(&y);
}

/* ---- draws ----------------------------------------------------------------------- */

static void moments(const Tensor *t, double *mean, double *std)
{
    int64_t n = tensor_count(t);
    double s = 0, q = 0;
    for (int64_t i = 0; i < n; i++)
        s += t_at(t, i);
    for (int64_t i = 0; i < n; i++)
        q += (t_at(t, i) - s / (double)n) * (t_at(t, i) - s / (double)n);
    *mean = s / (double)n;
    *std = sqrt(q / (double)n);
}

static void test_draws(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        double f1, f2, mean, std;
    } draws[] = {{"uniform", -1, 3, 1, 4 / 3.4641016},
                 {"normal", 2, 0.5, 2, 0.5},
                 {"bernoulli", 0.3, 0, 0.3, 0.4582576},
                 {"sparse_uniform", 0.3, 0, 0.15, 0.2783882}};
    for (size_t k = 0; k < ARRAY_LEN(draws); k++)
        for (int f64 = 0; f64 < 2; f64++) {
            OpAttr a;
            double mean, std;
            op_attr_defaults(op_find(draws[k].name), &a);
            a.f[2] = draws[k].f1;
            a.f[3] = draws[k].f2;
            a.n_list = 1;
            a.list[0] = 200000;
            a.i[op_sig(op_find(draws[k].name))->n - 1] = f64 ? F64 : F32;
            Tensor t = run_op(draws[k].name, NULL, 0, &a);
            strcpy(a.text, "another");
            Tensor u = run_op(draws[k].name, NULL, 0, &a);
            assert_int_equal(t.dtype, f64 ? F64 : F32);
            assert_false(t_same_bits(&t, &u));
            moments(&t, &mean, &std);
            assert_true(fabs(mean - draws[k].mean) < 0.01);
            assert_true(fabs(std - draws[k].std) < 0.01);
            tensor_release(&t);
            tensor_release(&u);
        }
    OpAttr a;
    op_attr_defaults(op_find("randint"), &a);
    a.i[2] = -2;
    a.i[3] = 3;
    a.n_list = 1;
    a.list[0] = 100000;
    Tensor whole = run_op("randint", NULL, 0, &a);
    int count[5] = {0};
    for (int64_t i = 0; i < 100000; i++)
        count[((int32_t *)whole.data)[i] + 2]++;
    for (int i = 0; i < 5; i++)
        assert_true(abs(count[i] - 20000) < 600);
    tensor_release(&whole);
    op_attr_defaults(op_find("permutation"), &a);
    a.i[0] = 1000;
    Tensor p = run_op("permutation", NULL, 0, &a);
    int seen[1000] = {0};
    for (int64_t i = 0; i < 1000; i++)
        seen[((int32_t *)p.data)[i]]++;
    for (int i = 0; i < 1000; i++)
        assert_int_equal(seen[i], 1);
    tensor_release(&p);
}

/* ---- comparisons of integers, signatures ----------------------------------------- */

static void test_compare_i32(void **state)
{
    (void)state;
    Tensor a = t_make(I32, 1, DIMS(3)), b = t_make(I32, 0, NULL),
           f = t_make(F32, 0, NULL), o;
    for (int k = 0; k < 3; k++)
        ((int32_t *)a.data)[k] = k;
    ((int32_t *)b.data)[0] = 1;
    Tensor y = run_op("eq", (const Tensor *[]){&a, &b}, 2, NULL);
    Tensor z = run_op("ge", (const Tensor *[]){&b, &a}, 2, NULL);
    assert_int_equal(y.dtype, F32);
    for (int k = 0; k < 3; k++) {
        expect("eq", &y, k, k == 1, 0);
        expect("ge", &z, k, k <= 1, 0);
    }
    Err err = {0};
    assert_false(
        op_eager(op_find("eq"), (const Tensor *[]){&a, &f}, 2, NULL, NULL, &o, &err));
    assert_has(err.msg, "eq: input 1 must be f32 or f64");
    tensor_release(&a);
    tensor_release(&b);
    tensor_release(&f);
    tensor_release(&y);
    tensor_release(&z);
}

static void test_signatures(void **state)
{
    (void)state;
    const OpSig *s = op_sig(op_find("linear"));
    assert_int_equal(s->n, 3);
    assert_int_equal(s->n_tensors, 3);
    assert_true(s->p[2].optional && !s->p[1].optional);
    s = op_sig(op_find("concat"));
    assert_true(s->p[0].rest && s->p[0].type == 'T');
    assert_true(s->p[1].type == 'a' && s->p[1].def_i == 0 && s->p[1].slot == 0);
    s = op_sig(op_find("sum"));
    assert_true(s->p[1].none && s->p[1].def_i == OP_AXIS_NONE && s->p[2].slot == 1);
    s = op_sig(op_find("batch_u8"));
    assert_true(fabs(s->p[2].def_f - 1 / 255.0) < 1e-15);
    s = op_sig(op_find("normal"));
    assert_string_equal(s->p[1].def_s, "normal");
    assert_true(s->p[4].type == 'd' && s->p[4].def_i == F32 && s->p[4].slot == 4);

    Err err = {0};
    int axis;
    const OpRow *row = op_find("sum");
    assert_true(op_axis(row, -1, 3, &axis, &err) && axis == 2);
    assert_false(op_axis(row, 3, 3, &axis, &err));
    assert_has(err.msg, "sum: axis 4 is outside");
    assert_false(op_axis(row, OP_AXIS_NONE, 3, &axis, &err));

    Spec in[2] = {spec_make(F32, 1, DIMS(3)), spec_make(F64, 1, DIMS(3))}, out;
    assert_false(op_shape(op_find("add"), in, 2, NULL, &out, &err));
    assert_has(err.msg, "cast one to the other");
    assert_false(op_shape(op_find("add"), in, 1, NULL, &out, &err));
    assert_has(err.msg, "takes 2 tensors, got 1");
    in[1] = spec_make(F32, 1, DIMS(4));
    assert_false(op_shape(op_find("add"), in, 2, NULL, &out, &err));
    assert_has(err.msg, "add: f32[3] and f32[4] do not broadcast");
    in[1] = spec_absent();
    assert_false(op_shape(op_find("add"), in, 2, NULL, &out, &err));
    assert_has(err.msg, "input 2 (b) is missing");
}

int main(void)
{
    blas_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_einsum),     cmocka_unit_test(test_einsum_refuses),
        cmocka_unit_test(test_broadcast),  cmocka_unit_test(test_sum_accuracy),
        cmocka_unit_test(test_lines),      cmocka_unit_test(test_extremes_and_losses),
        cmocka_unit_test(test_images),     cmocka_unit_test(test_translate),
        cmocka_unit_test(test_topk),       cmocka_unit_test(test_index_errors),
        cmocka_unit_test(test_scatter),    cmocka_unit_test(test_batch_u8),
        cmocka_unit_test(test_draws),      cmocka_unit_test(test_compare_i32),
        cmocka_unit_test(test_signatures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
